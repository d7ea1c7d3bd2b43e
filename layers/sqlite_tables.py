"""The tables of a county file, over the one connection that its process has."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.errors import RasterioError

from layers.errors import NoRoom, StoreBroken
from layers.tables import Bindings


@contextlib.contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """What SQLite, GDAL and the disk say of the county file, in our words."""
    try:
        yield
    except apsw.FullError as error:
        raise NoRoom(f"{path.name} cannot be {what} (the disk is full)", county=path.name) from error
    except OSError as error:
        kind = NoRoom if error.errno == errno.ENOSPC else StoreBroken
        raise kind(f"{path.name} cannot be {what} ({error})", county=path.name) from error
    except (apsw.Error, DataSourceError, DataLayerError, RasterioError) as error:
        raise StoreBroken(f"{path.name} cannot be {what} ({error})", county=path.name) from error


class SqliteTables:
    """One thread after the other; the lock is for whoever else uses the connection, too."""

    def __init__(self, db: apsw.Connection, path: Path) -> None:
        self.lock = threading.RLock()
        self._db, self._path = db, path
        self._inside = False  # one of `told` is open already, in the thread that holds the lock

    @contextlib.contextmanager
    def told(self, what: str) -> Iterator[None]:
        """The lock, and the outermost word on what was tried."""
        with self.lock:
            if self._inside:
                yield
                return
            self._inside = True
            try:
                with told(self._path, what):
                    yield
            finally:
                self._inside = False

    def all(self, sql: str, bindings: Bindings = ()) -> list[Any]:
        with self.told("read"):
            return list(self._db.execute(sql, bindings))

    def each(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.writing():
            self._db.executemany(sql, rows)

    def append(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self.each(f"INSERT INTO {table} VALUES ({marks})", rows)

    def reading(self) -> contextlib.AbstractContextManager[None]:
        return self.told("read")

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self.told("written"), self._db:
            yield
