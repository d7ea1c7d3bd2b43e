"""The books in a county file: one writer per process, many requests per COMMIT (`writer`).

A transaction is BEGIN IMMEDIATE, a part of it a savepoint, and what was answered is there after a power cut, too
(synchronous=FULL). Several processes may serve one file: each reads the books anew after it has the lock.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import apsw
import shapely

from layers.errors import Busy, UnknownName
from layers.ledger import book, chain, story
from layers.ledger.chain import Stored
from layers.ledger.keeping import Key
from layers.ledger.records import Balance, Draft, Entry, Reservation, account
from layers.ledger.rows import (
    DUE,
    LAST,
    OF_HOLDER,
    REVERSED,
    ROW,
    RowLedger,
    read_answer,
    read_ground,
    read_reservation,
    stamp,
)
from layers.ledger.sqlite_sql import HELD, INSERT_ENTRY, INSERT_POSTING, NEAR, PUT_BALANCE, PUT_RESERVATION
from layers.ledger.states import LIVE
from layers.ledger.writer import Told, Torn

CHECKPOINT_PAGES = 8_000  # 32 MB of log before it is moved into the file
WAIT_S = 10.0  # for another process's transaction


class SqlitePage:
    """The books inside one transaction of the writer. What it read it knows until the transaction ends."""

    def __init__(self, db: apsw.Connection, now: str) -> None:
        self._db = db
        self._seq, at, self._hash = self._last()
        self._now = max(now, at)
        self._holders: dict[str, dict[str, Balance]] = {}
        self._depth = 0
        self.torn: BaseException | None = None

    @property
    def now(self) -> str:
        return self._now

    @property
    def head(self) -> tuple[int, str]:
        return self._seq, self._hash

    def part(self) -> AbstractContextManager[None]:
        return self._savepoint(f"part{self._depth}")

    @contextlib.contextmanager
    def _savepoint(self, name: str) -> Iterator[None]:
        if self.torn is not None:  # a savepoint without its transaction would be one of its own
            raise Torn from self.torn
        self._db.execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
        except BaseException as error:
            if not self._db.in_transaction:  # SQLite gave up all of it, as it may on a full disk
                self.torn = self.torn or error
                raise
            self._db.execute(f"ROLLBACK TO {name}")
            self._seq, _, self._hash = self._last()  # read anew
            self._holders.clear()
            raise
        finally:
            self._depth -= 1
            if self.torn is None:
                self._db.execute(f"RELEASE {name}")

    def due(self) -> list[str]:
        return [str(key) for (key,) in self._read(DUE, (self.now,))]

    def _read(self, sql: str, bindings: tuple[Any, ...]) -> list[Any]:
        return self._db.execute(sql, bindings).fetchall()

    def _last(self) -> tuple[int, str, str]:
        row = self._db.execute(LAST).fetchone()
        return (int(row[0]), str(row[1]), str(row[2])) if row is not None else (0, "", chain.FIRST)

    def _of(self, holder: str) -> dict[str, Balance]:
        if holder not in self._holders:
            self._holders[holder] = {row[0]: Balance(*row) for row in self._db.execute(OF_HOLDER, (holder,))}
        return self._holders[holder]

    def of_holder(self, holder: str) -> Sequence[Balance]:
        return list(self._of(holder).values())

    def balance(self, name: str) -> Balance | None:
        return self._of(account(name).holder).get(name)

    def entry(self, seq: int) -> Entry:
        found = next(read_entries(self._db, "WHERE e.seq = ?", (seq,)), None)
        if found is None:
            raise UnknownName(f"there is no entry {seq}", entry=seq)
        return chain.entry(found)

    def reversed_by(self, seq: int) -> int | None:
        row = self._db.execute(REVERSED, (seq,)).fetchone()
        return row[0] if row is not None else None

    def reservation(self, key: str) -> Reservation:
        return read_reservation(self._read, key)

    def ground(self, digest: str) -> shapely.Geometry:
        return read_ground(self._read, digest)

    def holds_near(self, ground: shapely.Geometry) -> Sequence[tuple[str, shapely.Geometry]]:
        rows = self._read(NEAR, tuple(map(float, ground.bounds)))
        return [(str(key), shapely.from_wkb(wkb)) for key, wkb in rows]

    def append(self, draft: Draft) -> Entry:
        after: dict[str, Balance] = {}
        for one in draft.postings:  # before anything is written
            was = after.get(one.account) or self.balance(one.account) or Balance(one.account)
            after[one.account] = book.moved(was, one)
        seq = self._seq + 1
        kept = chain.stored(seq, self._now, draft, self._hash)
        self._db.execute(INSERT_ENTRY, (*kept.row, kept.previous, kept.hash))
        for posting in kept.postings:
            self._db.execute(INSERT_POSTING, (seq, *posting))
        for name, balance in after.items():
            holder = account(name).holder
            self._db.execute(PUT_BALANCE, (name, holder, *balance.row()))
            self._of(holder)[name] = balance
        self._seq, self._hash = seq, kept.hash
        return Entry(seq, self._now, draft, kept.previous, kept.hash)

    def keep(self, one: Reservation, ground: shapely.Geometry | None = None) -> None:
        body = chain.text(story.reservation_json(one))
        self._db.execute(PUT_RESERVATION, (one.id, one.state, one.version, one.expires_at, body))
        if ground is not None:
            blob = shapely.to_wkb(ground, output_dimension=2)
            self._db.execute(
                "INSERT INTO parkplan_ledger_grounds SELECT ?, ? WHERE NOT EXISTS"
                " (SELECT 1 FROM parkplan_ledger_grounds WHERE digest = ?)",
                (one.ground, blob, one.ground),
            )
            if one.state in LIVE:
                self._hold(one, ground)
        elif one.state not in LIVE:
            self._free(one)

    def _hold(self, one: Reservation, ground: shapely.Geometry) -> None:
        self._db.execute(
            "INSERT INTO parkplan_ledger_holds (reservation, ground, taken) VALUES (?,?,?)",
            (one.id, one.ground, one.version),
        )
        west, south, east, north = map(float, ground.bounds)
        hold = self._db.last_insert_rowid()
        self._db.execute("INSERT INTO rtree_parkplan_ledger_boxes VALUES (?,?,?,?,?)", (hold, west, east, south, north))

    def _free(self, one: Reservation) -> None:
        sql = "UPDATE parkplan_ledger_holds SET freed = ? WHERE reservation = ? AND freed IS NULL"
        self._db.execute(sql, (one.version, one.id))  # its box stays: who held what is asked for earlier days, too

    # --- idempotency ---

    def answered(self, key: Key) -> str | None:
        return read_answer(self._read, key)

    def answer(self, key: Key, text: str) -> None:
        values = (key.actor, key.key, key.request, text, self._now)
        self._db.execute("INSERT INTO parkplan_ledger_answers VALUES (?,?,?,?,?)", values)


def read_entries(db: apsw.Connection, where: str = "", bindings: tuple[Any, ...] = ()) -> Iterator[Stored]:
    """Entries as they are kept, in their order; `where` is of `e`."""
    columns = ", ".join(f"e.{name}" for name in ROW.split(", "))
    sql = f"SELECT {columns}, e.previous, e.hash FROM parkplan_ledger_entries e {where} ORDER BY e.seq"
    lines = "SELECT line, account, debit, credit, amount FROM parkplan_ledger_postings WHERE seq = ? ORDER BY line"
    for row in db.execute(sql, bindings):
        yield Stored(tuple(row[:-2]), tuple(db.execute(lines, (row[0],)).fetchall()), row[-2], row[-1])


class SqliteLedger(RowLedger):
    """The books of one county file."""

    _held = HELD

    def __init__(self, path: Path, told: Told) -> None:
        super().__init__(told)
        self._path = path
        self._lock = threading.RLock()
        self._reader: apsw.Connection | None = None
        self._pen: apsw.Connection | None = None  # the writer's, in its thread
        self._moving: threading.Thread | None = None  # moves the log into the file while others write
        self._rest = False  # what was written meanwhile is to be moved, too, so that the log begins anew

    def close(self) -> None:
        super().close()
        if self._moving is not None:
            self._moving.join()
        with self._lock:
            for db in (self._pen, self._reader):
                if db is not None:
                    db.close()
            self._pen = self._reader = None

    def _open(self) -> apsw.Connection:
        db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        db.set_busy_handler(patient)
        db.execute("PRAGMA synchronous=FULL")
        db.set_wal_hook(self._logged)
        return db

    def _logged(self, db: apsw.Connection, name: str, pages: int) -> int:
        """After each COMMIT: a long log is moved into the file by a thread of its own, for which nobody waits. The
        writer itself moves what is left then: little, and nobody writes more of it meanwhile."""
        if pages >= CHECKPOINT_PAGES and self._moving is None:
            self._moving = threading.Thread(target=self._move, name="ledger-log", daemon=True)
            self._moving.start()
        return apsw.SQLITE_OK

    def _move(self) -> None:
        db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        with contextlib.closing(db), contextlib.suppress(apsw.Error):  # the next COMMIT sees how long it is
            db.execute("PRAGMA synchronous=FULL")
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._rest = True

    def _move_rest(self, db: apsw.Connection) -> None:
        self._rest, self._moving = False, None
        with contextlib.suppress(apsw.Error):
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[SqlitePage]:
        db = self._pen = self._pen or self._open()
        if self._rest:
            self._move_rest(db)
        try:
            db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise Busy("somebody else is writing to the county") from error
        try:
            page = SqlitePage(db, stamp(self.clock()))
            yield page
            if page.torn is not None:
                raise Torn from page.torn
            db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, apsw.FullError):  # it was not committed, which the ROLLBACK made sure of
                raise
            if isinstance(error, apsw.Error):
                raise Busy("it is not known whether it was done; ask again with the same key") from error
            raise

    def _read(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock, self._told("read"):
            return self._db().execute(sql, bindings).fetchall()

    def _db(self) -> apsw.Connection:
        if self._reader is None:
            self._reader = self._open()
        return self._reader

    def _entries(self, where: str, bindings: tuple[Any, ...]) -> list[Stored]:
        with self._lock, self._told("read"):
            return list(read_entries(self._db(), where, bindings))

    def journal(self) -> Iterator[Stored]:
        with self._told("read"):
            db = self._open()  # of its own: it is read for long
            try:
                yield from read_entries(db)
            finally:
                db.close()


def patient(tries: int) -> bool:
    """Ask again every millisecond: whoever sleeps longer never gets in where two processes write all the time."""
    time.sleep(0.001)
    return tries < WAIT_S * 1000
