"""Both kinds of store, so that one test speaks of either: counties in files, counties in schemas of a database."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any, Protocol

import apsw

from layers.gpkg import GeoPackage
from layers.shelf import Shelf
from layers.store import create_store, open_store

NUMBERS = itertools.count(1)


class Stores(Protocol):
    """Where the counties of a test are."""

    kind: str

    def new(self, crs: str = "EPSG:4545") -> Any:
        """An empty county."""

    def name(self, store: Any) -> str:
        """What people write for a county of ours."""

    def again(self, store: Any) -> Any:
        """The same county as another process opens it."""

    def sql(self, store: Any, *statements: str) -> list[Any]:
        """What another program sees and does; the rows of the last statement."""


class InFiles:
    kind = "gpkg"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self, crs: str = "EPSG:4545") -> Shelf:
        folder = self._folder / f"county{next(NUMBERS)}"
        store = create_store(folder / "county.gpkg", "印江", crs)
        assert isinstance(store, GeoPackage)
        return store

    def name(self, store: Any) -> str:
        return str(store.path)

    def again(self, store: Any) -> Any:
        return open_store(store.path)

    def sql(self, store: Any, *statements: str) -> list[Any]:
        # the store's own SQLite, as two in one process drop each other's locks
        with contextlib.closing(apsw.Connection(str(store.path))) as other:
            return [list(other.execute(statement)) for statement in statements][-1]


class InDatabase:
    kind = "postgis"

    def __init__(self, url: str) -> None:
        self.url = url

    def fresh(self) -> str:
        """The URL of a county that is not there yet."""
        return f"{self.url}?schema=county{next(NUMBERS)}"

    def new(self, crs: str = "EPSG:4545") -> Any:
        return create_store(self.fresh(), "印江", crs)

    def name(self, store: Any) -> str:
        return f"{self.url}?schema={store.place.schema}"

    def again(self, store: Any) -> Any:
        return open_store(self.name(store))

    def sql(self, store: Any, *statements: str) -> list[Any]:
        from layers.postgres import connect

        with contextlib.closing(connect(store.place)) as other:
            rows: list[Any] = []
            for statement in statements:
                cursor = other.execute(statement)
                rows = cursor.fetchall() if cursor.description else []
            return rows
