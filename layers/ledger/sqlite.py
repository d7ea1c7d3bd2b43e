"""The books in a county file: one writer per process, many requests per COMMIT.

A thread of its own takes what waits, opens one transaction (BEGIN IMMEDIATE), does each request in a savepoint of
its own, commits, and only then answers: whoever got an answer will find what was done after a power cut, too
(synchronous=FULL). Several processes may serve one file: each reads the books anew after it has the lock.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import apsw
import shapely

from layers.errors import Busy, CapacityShort, GroundTaken, KeyReused, ParkError, QuotaShort, UnknownName
from layers.ledger import acts, book, chain, story
from layers.ledger.chain import Stored
from layers.ledger.keeping import Hold, Key
from layers.ledger.records import Balance, Draft, Entry, Reservation, account
from layers.ledger.sqlite_sql import (
    DUE,
    HELD,
    INSERT_ENTRY,
    INSERT_POSTING,
    LAST,
    NEAR,
    PUT_BALANCE,
    PUT_RESERVATION,
    ROW,
    TEN,
)
from layers.ledger.states import LIVE
from layers.records import Bounds

log = logging.getLogger(__name__)
T = TypeVar("T")
MOST_AT_ONCE = 256  # requests of one COMMIT: enough to share its cost, few enough that nobody waits long
CHECKPOINT_PAGES = 8_000  # 32 MB of log before it is moved into the file: the default stops the writer all the time
WAIT_S = 10.0  # for another process's transaction
ANSWER_S = 60.0
FAR = 1e12
REFUSALS: dict[str, type[ParkError]] = {one.__name__: one for one in (GroundTaken, QuotaShort, CapacityShort)}
Told = Callable[[str], AbstractContextManager[None]]


class SqlitePage:
    """The books inside one transaction of the writer. What it read it knows until the transaction ends."""

    def __init__(self, db: apsw.Connection, now: str) -> None:
        self._db = db
        self._seq, at, self._hash = self._last()
        self._now = max(now, at)
        self._holders: dict[str, dict[str, Balance]] = {}

    @property
    def now(self) -> str:
        return self._now

    def forget(self) -> None:
        """After a savepoint was rolled back: read anew."""
        self._seq, _, self._hash = self._last()
        self._holders.clear()

    def _last(self) -> tuple[int, str, str]:
        row = self._db.execute(LAST).fetchone()
        return (int(row[0]), str(row[1]), str(row[2])) if row is not None else (0, "", chain.FIRST)

    def _of(self, holder: str) -> dict[str, Balance]:
        if holder not in self._holders:
            sql = f"SELECT account, {TEN} FROM parkplan_ledger_balances WHERE holder = ?"
            self._holders[holder] = {row[0]: Balance(*row) for row in self._db.execute(sql, (holder,))}
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
        row = self._db.execute(
            "SELECT seq FROM parkplan_ledger_entries WHERE reverses = ? AND event = 'reverse'", (seq,)
        ).fetchone()
        return row[0] if row is not None else None

    def reservation(self, key: str) -> Reservation:
        return read_reservation(self._db, key)

    def ground(self, digest: str) -> shapely.Geometry:
        return read_ground(self._db, digest)

    def holds_near(self, ground: shapely.Geometry) -> Sequence[tuple[str, shapely.Geometry]]:
        west, south, east, north = map(float, ground.bounds)
        rows = self._db.execute(NEAR, (west, east, south, north)).fetchall()
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
        return read_answer(self._db, key)

    def answer(self, key: Key, text: str) -> None:
        values = (key.actor, key.key, key.request, text, self._now)
        self._db.execute("INSERT INTO parkplan_ledger_answers VALUES (?,?,?,?,?)", values)


# --- reading ------------------------------------------------------------------------------------------


def read_entries(db: apsw.Connection, where: str = "", bindings: tuple[Any, ...] = ()) -> Iterator[Stored]:
    """Entries as they are kept, in their order; `where` is of `e`."""
    columns = ", ".join(f"e.{name}" for name in ROW.split(", "))
    sql = f"SELECT {columns}, e.previous, e.hash FROM parkplan_ledger_entries e {where} ORDER BY e.seq"
    lines = "SELECT line, account, debit, credit, amount FROM parkplan_ledger_postings WHERE seq = ? ORDER BY line"
    for row in db.execute(sql, bindings):
        yield Stored(tuple(row[:-2]), tuple(db.execute(lines, (row[0],)).fetchall()), row[-2], row[-1])


def read_reservation(db: apsw.Connection, key: str) -> Reservation:
    row = db.execute("SELECT body FROM parkplan_ledger_reservations WHERE id = ?", (key,)).fetchone()
    if row is None:
        raise UnknownName(f"no reservation {key!r}", reservation=key)
    return story.reservation_of(json.loads(row[0]))


def read_ground(db: apsw.Connection, digest: str) -> shapely.Geometry:
    row = db.execute("SELECT wkb FROM parkplan_ledger_grounds WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise UnknownName(f"no ground {digest!r}", ground=digest)
    return shapely.from_wkb(row[0])


def read_answer(db: apsw.Connection, key: Key) -> str | None:
    """What a key was answered; KeyReused where it stood for another request."""
    sql = "SELECT request, answer FROM parkplan_ledger_answers WHERE actor = ? AND key = ?"
    row = db.execute(sql, (key.actor, key.key)).fetchone()
    if row is None:
        return None
    if row[0] != key.request:
        raise KeyReused(f"the idempotency key {key.key!r} was used for another request", key=key.key)
    return str(row[1])


def _said(kept: str) -> str:
    """The answer that was kept, or the refusal, raised again."""
    said = json.loads(kept)
    if "error" in said:
        raise REFUSALS[said["error"]](said["message"], **said["facts"])
    return str(said["answer"])


# --- the books ----------------------------------------------------------------------------------------


class SqliteLedger:
    """The books of one county file. Safe to share between threads; open one per process."""

    def __init__(self, path: Path, told: Told) -> None:
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._path, self._told = path, told
        self._lock = threading.RLock()
        self._reader: apsw.Connection | None = None
        self._jobs: queue.SimpleQueue[tuple[Callable[[SqlitePage], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def close(self) -> None:
        """What was asked is still done; then nothing more."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    # --- writing ---

    def run(self, work: Callable[[acts.Page], T]) -> T:
        return self._submit(work)

    def once(self, key: Key, work: Callable[[acts.Page], str]) -> str:
        def job(page: SqlitePage) -> str:
            known = page.answered(key)
            if known is None:
                try:
                    with _savepoint(page, "kept"):
                        known = json.dumps({"answer": work(page)}, ensure_ascii=False)
                except tuple(REFUSALS.values()) as error:
                    said = {"error": type(error).__name__, "message": error.message, "facts": error.facts}
                    known = json.dumps(said, ensure_ascii=False)
                page.answer(key, known)
            return known

        return _said(self._submit(job))

    def answered(self, key: Key) -> str | None:
        with self._lock, self._told("read"):
            known = read_answer(self._db(), key)
        return None if known is None else _said(known)

    def _submit(self, work: Callable[[SqlitePage], T]) -> T:
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Busy("the books are closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
                self._thread.start()
            self._jobs.put((work, future))
        try:
            return future.result(ANSWER_S)
        except TimeoutError as error:
            raise Busy("the books are busy; ask again with the same key") from error

    def _write(self) -> None:
        """The writer's thread: until it is told to stop."""
        db: apsw.Connection | None = None
        while (first := self._jobs.get()) is not None:
            jobs, stop = [first], False
            while len(jobs) < MOST_AT_ONCE:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                    break
                jobs.append(more)
            try:
                with self._told("written"):
                    db = db or self._open(apsw.SQLITE_OPEN_READWRITE)
                    self._together(db, jobs)
            except BaseException as error:
                for _, future in jobs:
                    if not future.done():
                        future.set_exception(error)
            if stop:
                break
        if db is not None:
            db.close()

    def _open(self, flags: int) -> apsw.Connection:
        db = apsw.Connection(str(self._path), flags=flags)
        db.set_busy_handler(_patient)
        db.execute(f"PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return db

    def _together(self, db: apsw.Connection, jobs: Sequence[tuple[Callable[[SqlitePage], Any], Future[Any]]]) -> None:
        """Requests in one transaction, each wholly or not at all; nobody hears before it is durable."""
        try:
            db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise Busy("somebody else is writing to the county") from error
        outcomes: list[tuple[Any, BaseException | None]] = []
        try:
            page = SqlitePage(db, self.clock().astimezone(UTC).isoformat(timespec="microseconds"))
            for (key,) in db.execute(DUE, (page.now,)).fetchall():
                try:
                    with _savepoint(page, "due"):
                        acts.expire(page, str(key))
                except ParkError:  # verify names what is wrong with it; the others must not wait for that
                    log.exception("reservation %s cannot expire", key)
            for work, _ in jobs:
                try:
                    with self._told("written"), _savepoint(page, "one"):
                        outcomes.append((work(page), None))
                except Exception as error:
                    outcomes.append((None, error))
            db.execute("COMMIT")
        except BaseException as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, apsw.Error):
                raise Busy("it is not known whether it was done; ask again with the same key") from error
            raise
        for (_, future), (value, failed) in zip(jobs, outcomes, strict=True):
            if failed is not None:
                future.set_exception(failed)
            else:
                future.set_result(value)

    # --- reading ---

    def _read(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock, self._told("read"):
            return self._db().execute(sql, bindings).fetchall()

    def _db(self) -> apsw.Connection:
        if self._reader is None:
            self._reader = self._open(apsw.SQLITE_OPEN_READWRITE)
        return self._reader

    def sweep(self) -> None:
        now = self.clock().astimezone(UTC).isoformat(timespec="microseconds")
        before: list[Any] = []
        while (due := self._read(DUE, (now,))) and due != before:  # some at a time
            self.run(lambda page: None)
            before = due

    def last(self) -> int:
        rows = self._read(LAST)
        return int(rows[0][0]) if rows else 0

    def seq_at(self, day: date) -> int:
        sql = "SELECT max(seq) FROM parkplan_ledger_entries WHERE at <= ?"
        ((seq,),) = self._read(sql, (f"{day.isoformat()}T99",))
        return int(seq or 0)

    def balances(self, holder: str | None = None, until: int | None = None) -> list[Balance]:
        if until is not None:
            return self._balances_at(until, holder)
        self.sweep()
        where, bindings = ("WHERE holder = ?", (holder,)) if holder is not None else ("", ())
        sql = f"SELECT account, {TEN} FROM parkplan_ledger_balances {where} ORDER BY account"
        return [Balance(*row) for row in self._read(sql, bindings)]

    def _balances_at(self, until: int, holder: str | None) -> list[Balance]:
        sql = (
            "SELECT account, debit, credit, sum(amount) FROM parkplan_ledger_postings WHERE seq <= ?"
            " GROUP BY account, debit, credit"
        )
        found = book.summed(self._read(sql, (until,)))
        return [found[name] for name in sorted(found) if holder in (None, account(name).holder)]

    def entries(self, of: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        where = "WHERE e.seq > ?" if of is None else (
            "WHERE e.seq > ? AND e.seq IN (SELECT seq FROM parkplan_ledger_postings WHERE account = ?)"
        )  # fmt: skip
        bindings: tuple[Any, ...] = (after,) if of is None else (after, of)
        sql = f"{where} AND e.seq IN (SELECT seq FROM parkplan_ledger_entries e {where} ORDER BY seq LIMIT ?)"
        with self._lock, self._told("read"):
            return [chain.entry(one) for one in read_entries(self._db(), sql, (*bindings, *bindings, limit))]

    def history(self, reservation: str) -> list[Entry]:
        with self._lock, self._told("read"):
            return [chain.entry(one) for one in read_entries(self._db(), "WHERE e.reservation = ?", (reservation,))]

    def reservation(self, key: str) -> Reservation:
        self.sweep()
        with self._lock, self._told("read"):
            return read_reservation(self._db(), key)

    def reservations(self, states: Sequence[str] = (), after: str = "", limit: int | None = None) -> list[Reservation]:
        self.sweep()
        among = f"AND state IN ({', '.join('?' * len(states))})" if states else ""
        sql = f"SELECT body FROM parkplan_ledger_reservations WHERE id > ? {among} ORDER BY id LIMIT ?"
        rows = self._read(sql, (after, *states, -1 if limit is None else limit))
        return [story.reservation_of(json.loads(body)) for (body,) in rows]

    def ground(self, digest: str) -> shapely.Geometry:
        with self._lock, self._told("read"):
            return read_ground(self._db(), digest)

    def held_since(self, until: int | None = None) -> int:
        self.sweep()
        most = until if until is not None else 2**62
        ((seq,),) = self._read(
            "SELECT max(ifnull((SELECT max(taken) FROM parkplan_ledger_holds WHERE taken <= ?), 0),"
            " ifnull((SELECT max(freed) FROM parkplan_ledger_holds WHERE freed <= ?), 0))",
            (most, most),
        )
        return int(seq)

    def holds(self, until: int | None = None, bounds: Bounds | None = None) -> list[Hold]:
        self.sweep()
        most = until if until is not None else 2**62
        west, south, east, north = bounds if bounds is not None else (-FAR, -FAR, FAR, FAR)
        rows = self._read(HELD, (west, east, south, north, most, most))
        return [Hold(story.reservation_of(json.loads(body)), shapely.from_wkb(wkb), *when) for body, wkb, *when in rows]

    # --- for verify ---

    def journal(self) -> Iterator[Stored]:
        with self._told("read"):
            db = self._open(apsw.SQLITE_OPEN_READWRITE)  # of its own: it is read for long
            try:
                yield from read_entries(db)
            finally:
                db.close()

    def kept_balances(self) -> Mapping[str, Balance]:
        sql = f"SELECT account, {TEN} FROM parkplan_ledger_balances"
        return {row[0]: Balance(*row) for row in self._read(sql)}

    def kept_reservations(self) -> Mapping[str, Reservation]:
        rows = self._read("SELECT id, state, version, expires_at, body FROM parkplan_ledger_reservations")
        found = {}
        for key, state, version, expires_at, body in rows:
            one = story.reservation_of(json.loads(body))
            same = (one.id, one.state, one.version, one.expires_at) == (key, state, version, expires_at)
            found[key] = one if same else one.with_(state=f"{state}?")
        return found

    def kept_holds(self) -> Sequence[tuple[str, str, int, int | None]]:
        return self._read("SELECT reservation, ground, taken, freed FROM parkplan_ledger_holds ORDER BY hold")

    def kept_grounds(self) -> Iterator[tuple[str, bytes]]:
        yield from self._read("SELECT digest, wkb FROM parkplan_ledger_grounds")


class _savepoint:  # noqa: N801 - it is read as a statement
    """A part of a transaction that is done wholly or not at all."""

    def __init__(self, page: SqlitePage, name: str) -> None:
        self._page, self._name = page, name

    def __enter__(self) -> None:
        self._page._db.execute(f"SAVEPOINT {self._name}")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        db = self._page._db
        if kind is not None:
            db.execute(f"ROLLBACK TO {self._name}")
            self._page.forget()
        db.execute(f"RELEASE {self._name}")


def _patient(tries: int) -> bool:
    """Ask again every millisecond: whoever sleeps longer never gets in where two processes write all the time."""
    time.sleep(0.001)
    return tries < WAIT_S * 1000
