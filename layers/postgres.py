"""The connections to a county's database: a pool of them, their schema, their limits, and their errors in our words.

A connection looks into the county's schema first and then where PostGIS lives, so that no name of ours is ever
qualified. Nothing it says names the host, the user or the password.
"""

from __future__ import annotations

import contextlib
import re
import select
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, LiteralString

import psycopg
from psycopg import IsolationLevel, errors, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types import TypeInfo
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout
from rasterio.errors import RasterioError

from layers.errors import BadInput, Busy, Fault, NoRoom, StoreBroken, Unreachable
from layers.places import Url
from layers.tables import Bindings

Connection = psycopg.Connection[tuple[Any, ...]]
CONNECT_S = 10
STATEMENT_S = 60
LOCK_S = 10
CLOCK_S = 10  # how long an answer on what time it is stands
IMPORT_S = 3_600  # one statement of an import: a COPY, an index
MOST_CONNECTIONS = 8  # of one process
HAS_SRID = 0x20000000  # the flag in the type of an EWKB
REASONS = {
    "28P01": "the password is not accepted",
    "28000": "the user is not accepted",
    "3D000": "there is no such database",
    "53300": "it has too many connections",
    "57P03": "it is starting or stopping",
}
GONE = ("57P01", "57P02", "57P03", "53300")


class _Wkb(Loader):
    """A geometry as plain WKB; its SRID is the county's, so that it need not be said with each."""

    def load(self, data: Buffer) -> bytes:
        return without_srid(bytes.fromhex(bytes(data).decode()))


def without_srid(ewkb: bytes) -> bytes:
    number = int.from_bytes(ewkb[1:5], "little")
    return ewkb[:1] + (number & ~HAS_SRID).to_bytes(4, "little") + ewkb[9:] if number & HAS_SRID else ewkb


def with_srid(wkb: bytes, srid: int) -> bytes:
    """Little-endian WKB as PostGIS wants it."""
    number = int.from_bytes(wkb[1:5], "little") | HAS_SRID
    return wkb[:1] + number.to_bytes(4, "little") + srid.to_bytes(4, "little") + wkb[5:]


@contextlib.contextmanager
def told(label: str, what: str) -> Iterator[None]:
    """What PostgreSQL and the disk say of a county, in our words."""
    try:
        yield
    except (PoolTimeout, PoolClosed):
        raise Unreachable(f"{label} cannot be {what} (the database does not answer)", county=label) from None
    except errors.LockNotAvailable as error:
        raise Busy(f"{label} is being written by somebody else; try again shortly", county=label) from error
    except errors.DiskFull as error:
        raise NoRoom(f"{label} cannot be {what} (the disk is full)", county=label) from error
    except errors.QueryCanceled as error:
        raise Unreachable(f"{label} cannot be {what} (the database took too long)", county=label) from error
    except psycopg.DataError as error:
        if "0x00" not in str(error):
            raise StoreBroken(f"{label} cannot be {what} ({error.diag.message_primary})", county=label) from error
        fault = Fault("it holds the character U+0000", "Leave the character out")
        raise BadInput("a text is one that PostgreSQL cannot hold", [fault]) from error
    except psycopg.Error as error:
        lost = isinstance(error, psycopg.OperationalError) and (error.sqlstate is None or error.sqlstate in GONE)
        if lost:  # libpq names the host
            raise Unreachable(f"{label} cannot be {what} ({_lost(error)})", county=label) from None
        said = error.diag.message_primary or type(error).__name__
        raise StoreBroken(f"{label} cannot be {what} ({said})", county=label) from error
    except (OSError, RasterioError) as error:
        raise StoreBroken(f"{label} cannot be {what} ({error})", county=label) from error


def _lost(error: psycopg.Error) -> str:
    return REASONS.get(error.sqlstate or "", "the connection to the database was lost")


def connect(place: Url) -> Connection:
    """One connection, outside a pool: for founding, migrating, and for hearing why there is none."""
    try:
        made = psycopg.connect(place.conninfo, connect_timeout=CONNECT_S, autocommit=True)
    except psycopg.OperationalError as error:
        reason = _refusal(error)
        raise Unreachable(f"{place.label} cannot be reached ({reason})", county=place.label) from None
    with told(place.label, "opened"):
        configure(made, place.schema)
    return made


def _refusal(error: psycopg.OperationalError) -> str:
    """Why there is no connection, without the host that libpq names."""
    text = str(error)
    if error.sqlstate in REASONS:
        return REASONS[error.sqlstate]
    for words, reason in (
        ("password", "the password or the user is not accepted"),
        ("does not exist", "there is no such database or user"),
        ("timeout", "no server answers in time"),
        ("refused", "no server listens there"),
        ("No such file", "no server listens there"),
        ("resolve host", "the host is not known"),
        ("translate host", "the host is not known"),
        ("invalid", "a setting in the URL cannot be"),
        ("SSL", "server and URL do not agree on encryption"),
    ):
        if words in text:
            return reason
    return "the server does not let us in"


def configure(connection: Connection, schema: str) -> None:
    """The county's schema before that of PostGIS, limits on waiting, and geometries as WKB."""
    row = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'"
    ).fetchone()
    path = sql.SQL(", ").join(map(sql.Identifier, [schema, row[0] if row else "public"]))
    for name, value in (
        ("search_path", path.as_string(connection)),
        ("statement_timeout", f"{STATEMENT_S * 1000:.0f}"),
        ("lock_timeout", f"{LOCK_S * 1000:.0f}"),
        ("idle_in_transaction_session_timeout", f"{IMPORT_S}s"),
        ("timezone", "UTC"),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    found = TypeInfo.fetch(connection, "geometry")
    if found is not None:
        connection.adapters.register_loader(found.oid, _Wkb)


@lru_cache(maxsize=256)
def bound(text: str) -> LiteralString:
    """SQL with our marks, `?` and `:name`, as psycopg wants them."""
    return re.sub(r"(?<![:\w]):(\w+)", r"%(\1)s", text.replace("?", "%s"))


def _check(connection: Connection) -> None:
    """Raises where the server has dropped the connection. It says so before it hangs up: who has heard nothing need not
    ask, which would be one more way to the server and back for each question."""
    try:
        heard = bool(select.select([connection.fileno()], [], [], 0)[0])
    except (ValueError, OSError, psycopg.Error):  # closed, or a number of a file that `select` cannot count to
        heard = True
    if heard:
        ConnectionPool.check_connection(connection)


class PostgresTables:
    """A county's tables in PostgreSQL. Threads share it; each has one connection at a time."""

    def __init__(self, place: Url) -> None:
        self.place = place
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            place.conninfo,
            min_size=0,
            max_size=MOST_CONNECTIONS,
            timeout=CONNECT_S,
            max_idle=60,
            kwargs={"autocommit": True, "connect_timeout": CONNECT_S},
            configure=lambda connection: configure(connection, place.schema),
            check=_check,  # one that was dropped meanwhile is made anew
            open=True,
        )
        self._mine = threading.local()
        self._offset: tuple[float, float] | None = None  # the server's clock less ours, and when we asked

    def close(self) -> None:
        self._pool.close()

    @contextlib.contextmanager
    def connection(self, what: str = "read") -> Iterator[Connection]:
        """This thread's connection, from the pool where it has none yet; errors in our words."""
        mine: Connection | None = getattr(self._mine, "connection", None)
        if mine is not None:
            yield mine
            return
        with told(self.place.label, what), self._pool.connection() as fresh:
            self._mine.connection = fresh
            try:
                yield fresh
            finally:
                self._mine.connection = None

    @contextlib.contextmanager
    def transaction(self, *, timeout_s: int = STATEMENT_S) -> Iterator[Connection]:
        """Changes that are made wholly or not at all, on the connection that is given; one inside another joins it.

        Nobody else is kept away: see `alone`.
        """
        with self.connection("written") as mine, mine.transaction():
            if timeout_s != STATEMENT_S:
                mine.execute("SELECT set_config('statement_timeout', %s, true)", (f"{timeout_s}s",))
            yield mine

    def alone(self, what: str = "county") -> None:
        """Until this transaction ends, nobody else is here who asked for the same: Busy where that takes too long.

        Who needs several takes `county` first and then the others in the order of their names.
        """
        with self.connection("written") as mine:
            name = f"parkplan {self.place.schema} {what}"
            mine.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))

    def clock(self) -> datetime:
        """The server's: those of the machines that write may differ. It is asked now and then, and ours says how much
        time went by since."""
        known, asked = self._offset, time.monotonic()
        if known is None or asked - known[1] > CLOCK_S:
            ((now,),) = self.all("SELECT extract(epoch FROM clock_timestamp())::float8")
            heard = time.monotonic()
            self._offset = known = (now - (asked + heard) / 2, heard)
        return datetime.fromtimestamp(known[0] + time.monotonic(), UTC)

    def all(self, sql: str, bindings: Bindings = ()) -> list[Any]:
        try:
            return self._all(sql, bindings)
        except Unreachable as error:
            # Dropped while we asked. Outside a transaction a question can be asked again, of a connection that stands.
            lost = isinstance(error.__context__, psycopg.OperationalError) and not isinstance(
                error.__context__, (PoolTimeout, PoolClosed)
            )
            inside = getattr(self._mine, "connection", None) is not None
            if inside or not lost or not sql.startswith("SELECT"):
                raise
        with told(self.place.label, "read"):
            self._pool.check()
        return self._all(sql, bindings)

    def _all(self, sql: str, bindings: Bindings) -> list[Any]:
        with self.connection() as mine:
            return mine.execute(bound(sql), bindings).fetchall()

    def each(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.transaction() as mine, mine.cursor() as cursor:
            cursor.executemany(bound(sql), rows)

    def append(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        with (
            self.transaction() as mine,
            mine.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Several queries of one moment."""
        if getattr(self._mine, "connection", None) is not None:
            yield
            return
        with self.connection() as mine:
            mine.isolation_level, mine.read_only = IsolationLevel.REPEATABLE_READ, True
            try:
                with mine.transaction():
                    yield
            finally:
                if not mine.closed:
                    mine.isolation_level, mine.read_only = None, None

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        with self.transaction():
            self.alone()
            yield
