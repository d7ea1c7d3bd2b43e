"""The books as rows, whichever database keeps them: what may be asked of them, in SQL that SQLite and PostgreSQL both
understand. A store says how it reads, what a transaction is, and how it finds ground by its box.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import shapely

from layers.errors import CapacityShort, GroundTaken, KeyReused, ParkError, QuotaShort, UnknownName
from layers.ledger import acts, book, chain, story
from layers.ledger.chain import COLUMNS, Stored
from layers.ledger.keeping import Hold, Key, Left
from layers.ledger.records import BUCKETS, Balance, Entry, Reservation, account
from layers.ledger.writer import Told, Writer, Written
from layers.records import Bounds

T = TypeVar("T")
FAR = 1e12
KNOWN_GROUNDS = 1_024
ALL = 2**62  # more than there are rows or entries
REFUSALS: dict[str, type[ParkError]] = {one.__name__: one for one in (GroundTaken, QuotaShort, CapacityShort)}
ROW = ", ".join(COLUMNS)
TEN = ", ".join(BUCKETS)
LAST = "SELECT seq, at, hash FROM parkplan_ledger_entries ORDER BY seq DESC LIMIT 1"
DUE = (
    "SELECT id FROM parkplan_ledger_reservations WHERE expires_at IS NOT NULL AND expires_at <= ?"
    " ORDER BY expires_at LIMIT 200"
)
IS_DUE = "EXISTS (SELECT 1 FROM parkplan_ledger_reservations WHERE expires_at IS NOT NULL AND expires_at <= ?)"
LEFT = (
    "SELECT m.seq, m.due, b.account, b.available FROM"
    f" (SELECT (SELECT max(seq) FROM parkplan_ledger_entries) AS seq, {IS_DUE} AS due) m"
    " LEFT JOIN parkplan_ledger_balances b"
    " ON b.account IN (SELECT p.account FROM parkplan_ledger_postings p WHERE p.seq > ?)"
)
OF_HOLDER = f"SELECT account, {TEN} FROM parkplan_ledger_balances WHERE holder = ?"
REVERSED = "SELECT seq FROM parkplan_ledger_entries WHERE reverses = ? AND event = 'reverse'"
Read = Callable[[str, tuple[Any, ...]], list[Any]]


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def read_reservation(read: Read, key: str) -> Reservation:
    rows = read("SELECT body FROM parkplan_ledger_reservations WHERE id = ?", (key,))
    if not rows:
        raise UnknownName(f"no reservation {key!r}", reservation=key)
    return story.reservation_of(json.loads(rows[0][0]))


def read_ground(read: Read, digest: str) -> shapely.Geometry:
    rows = read("SELECT wkb FROM parkplan_ledger_grounds WHERE digest = ?", (digest,))
    if not rows:
        raise UnknownName(f"no ground {digest!r}", ground=digest)
    return shapely.from_wkb(rows[0][0])


def read_answer(read: Read, key: Key) -> str | None:
    """What a key was answered; KeyReused where it stood for another request."""
    rows = read("SELECT request, answer FROM parkplan_ledger_answers WHERE actor = ? AND key = ?", (key.actor, key.key))
    return None if not rows else same_request(key, *rows[0])


def same_request(key: Key, request: str, answer: str) -> str:
    if request != key.request:
        raise KeyReused(f"the idempotency key {key.key!r} was used for another request", key=key.key)
    return answer


def said(kept: str) -> str:
    """The answer that was kept, or the refusal, raised again."""
    words = json.loads(kept)
    if "error" in words:
        raise REFUSALS[words["error"]](words["message"], **words["facts"])
    return str(words["answer"])


class RowPage(Written, Protocol):
    """A page that knows the keys that were used."""

    def answered(self, key: Key) -> str | None: ...

    def answer(self, key: Key, text: str) -> None: ...


def _once(key: Key, work: Callable[[acts.Page], str]) -> Callable[[RowPage], str]:
    """Work that is done the first time a key is seen; the answer is kept, and a refusal of the books is one, too."""

    def job(page: RowPage) -> str:
        known = page.answered(key)
        if known is None:
            try:
                with page.part():
                    known = json.dumps({"answer": work(page)}, ensure_ascii=False)
            except tuple(REFUSALS.values()) as error:
                words = {"error": type(error).__name__, "message": error.message, "facts": error.facts}
                known = json.dumps(words, ensure_ascii=False)
            page.answer(key, known)
        return known

    return job


class RowLedger:
    """The books of one county. Safe to share between threads; open one per process."""

    _held: str  # SQL of holds by box (west, south, east, north), until, until

    def __init__(self, told: Told) -> None:
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._told = told
        self._writer = Writer(self._transaction, told)
        # what a digest names never changes
        self._ground = lru_cache(maxsize=KNOWN_GROUNDS)(lambda digest: read_ground(self._read, digest))

    # --- what a store says itself ---

    @abstractmethod
    def _read(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]: ...

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[RowPage]:
        """A page, in the writer's thread; what was written on it is durable afterwards, or nothing is."""

    @abstractmethod
    def _entries(self, where: str, bindings: tuple[Any, ...]) -> list[Stored]:
        """Entries as they are kept, in their order; `where` is of `e`."""

    @abstractmethod
    def journal(self) -> Iterator[Stored]: ...

    # --- writing ---

    def tell(self, heard: Callable[[int, str], None]) -> None:
        self._writer.heard = heard

    def close(self) -> None:
        self._writer.close()

    def run(self, work: Callable[[acts.Page], T]) -> T:
        done: T = self._writer.submit(work)
        return done

    def once(self, key: Key, work: Callable[[acts.Page], str]) -> str:
        return str(self._writer.submit(_once(key, work), said))

    def begin(self, work: Callable[[acts.Page], str], key: Key | None, heard: Callable[[str], None]) -> Future[str]:
        def tell(kept: str) -> str:
            text = kept if key is None else said(kept)
            heard(text)
            return text

        return self._writer.begin(work if key is None else _once(key, work), tell)

    def _moment(self) -> str:
        return stamp(self.clock())

    def sweep(self) -> None:
        now = self._moment()
        before: list[Any] = []
        while (due := self._read(DUE, (now,))) and due != before:  # some at a time
            self.run(lambda page: None)
            before = due

    # --- reading ---

    def answered(self, key: Key) -> str | None:
        known = read_answer(self._read, key)
        return None if known is None else said(known)

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
            "SELECT account, debit, credit, CAST(sum(amount) AS BIGINT) FROM parkplan_ledger_postings WHERE seq <= ?"
            " GROUP BY account, debit, credit"
        )
        found = book.summed(self._read(sql, (until,)))
        return [found[name] for name in sorted(found) if holder in (None, account(name).holder)]

    def entries(self, of: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        where = "WHERE e.seq > ?" if of is None else (
            "WHERE e.seq > ? AND e.seq IN (SELECT seq FROM parkplan_ledger_postings WHERE account = ?)"
        )  # fmt: skip
        bindings: tuple[Any, ...] = (after,) if of is None else (after, of)
        some = f"{where} AND e.seq IN (SELECT seq FROM parkplan_ledger_entries e {where} ORDER BY seq LIMIT ?)"
        return [chain.entry(one) for one in self._entries(some, (*bindings, *bindings, limit))]

    def history(self, reservation: str) -> list[Entry]:
        return [chain.entry(one) for one in self._entries("WHERE e.reservation = ?", (reservation,))]

    def reservation(self, key: str) -> Reservation:
        rows = self._read(
            f"SELECT body, {IS_DUE} FROM parkplan_ledger_reservations WHERE id = ?", (self._moment(), key)
        )
        if rows and not rows[0][1]:
            return story.reservation_of(json.loads(rows[0][0]))
        self.sweep()
        return read_reservation(self._read, key)

    def reservations(self, states: Sequence[str] = (), after: str = "", limit: int | None = None) -> list[Reservation]:
        self.sweep()
        among = f"AND state IN ({', '.join('?' * len(states))})" if states else ""
        sql = f"SELECT body FROM parkplan_ledger_reservations WHERE id > ? {among} ORDER BY id LIMIT ?"
        rows = self._read(sql, (after, *states, ALL if limit is None else limit))
        return [story.reservation_of(json.loads(body)) for (body,) in rows]

    def ground(self, digest: str) -> shapely.Geometry:
        return self._ground(digest)

    def held_since(self, until: int | None = None) -> int:
        most = until if until is not None else ALL
        sql = (
            "SELECT (SELECT max(taken) FROM parkplan_ledger_holds WHERE taken <= ?),"
            f" (SELECT max(freed) FROM parkplan_ledger_holds WHERE freed <= ?), {IS_DUE}"
        )
        ((taken, freed, due),) = self._read(sql, (most, most, self._moment()))
        if due:
            self.sweep()
            ((taken, freed, _),) = self._read(sql, (most, most, ""))
        return max(int(taken or 0), int(freed or 0))

    def left(self, before: Left | None = None) -> Left:
        """What is left in every account after the last entry: what changed since `before`, where that is given."""
        known = before or Left(0, {})
        rows = self._read(LEFT, (self._moment(), known.seq))
        if rows[0][1]:
            self.sweep()
            rows = self._read(LEFT, ("", known.seq))
        changed = {name: float(left) for _, _, name, left in rows if name is not None}
        return Left(int(rows[0][0] or 0), {**known.by_account, **changed}) if changed else known

    def holds(self, until: int | None = None, bounds: Bounds | None = None) -> list[Hold]:
        self.sweep()
        most = until if until is not None else ALL
        box = map(float, bounds if bounds is not None else (-FAR, -FAR, FAR, FAR))
        rows = self._read(self._held, (*box, most, most))
        return [Hold(story.reservation_of(json.loads(body)), shapely.from_wkb(wkb), *when) for body, wkb, *when in rows]

    # --- for verify ---

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
