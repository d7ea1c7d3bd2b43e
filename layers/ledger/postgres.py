"""The books of a county in a database: one writer at a time by an advisory lock, what it writes in one call.

The rules are the same Python that keeps them in a file (`acts`, `book`): a page reads what it needs under the lock,
keeps what is to be written, and sends it whole to the database's own function `parkplan_ledger_write`. Many requests
of one process share a COMMIT (`writer`); other processes and machines wait for the lock in the order they came.
Candidates for the same ground come from the GiST index over boxes; whether interiors meet is found here, so that both
stores give the same answer.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import psycopg
import shapely

from layers.errors import BadInput, Busy, Fault, UnknownName, Unreachable
from layers.ledger import book, chain, story
from layers.ledger.chain import COLUMNS, Stored
from layers.ledger.keeping import Key
from layers.ledger.records import Balance, Draft, Entry, Reservation, account
from layers.ledger.rows import (
    ALL,
    DUE,
    LAST,
    OF_HOLDER,
    REVERSED,
    ROW,
    RowLedger,
    read_answer,
    read_ground,
    read_reservation,
    same_request,
    stamp,
)
from layers.ledger.states import LIVE
from layers.ledger.writer import Torn
from layers.postgres import Connection, PostgresTables, bound, told

LOCK = "ledger"
BLOCK = 2_000  # entries of the journal that are read at once
LINE = ("seq", "line", "account", "debit", "credit", "amount")
BOXED = "h.bounds && box(point(?, ?), point(?, ?))"
NEAR = (
    "SELECT h.reservation, g.wkb FROM parkplan_ledger_holds h JOIN parkplan_ledger_grounds g ON g.digest = h.ground"
    f" WHERE {BOXED} AND h.freed IS NULL ORDER BY h.hold"
)
HELD = (
    "SELECT r.body, g.wkb, h.taken, h.freed FROM parkplan_ledger_holds h"
    " JOIN parkplan_ledger_grounds g ON g.digest = h.ground JOIN parkplan_ledger_reservations r ON r.id = h.reservation"
    f" WHERE {BOXED} AND h.taken <= ?"
    " AND (h.freed IS NULL OR h.freed > ?) ORDER BY h.hold"
)


@dataclass
class _Hold:
    """Ground that is taken: from entry `taken` until entry `freed`, within a box."""

    reservation: str
    ground: str
    taken: int
    freed: int | None
    west: float
    south: float
    east: float
    north: float

    def row(self) -> dict[str, Any]:
        said = {"reservation": self.reservation, "ground": self.ground, "taken": self.taken, "freed": self.freed}
        return said | {"bounds": f"({self.east!r},{self.north!r}),({self.west!r},{self.south!r})"}


@dataclass
class _Sheet:
    """What a part of a transaction has to write and has not sent yet, over what was known when it began."""

    seq: int
    hash: str
    mark: str = ""  # the savepoint before what it sent
    entries: list[dict[str, Any]] = field(default_factory=list)
    postings: list[dict[str, Any]] = field(default_factory=list)
    balances: dict[str, Balance] = field(default_factory=dict)
    grounds: dict[str, bytes] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    frees: list[dict[str, Any]] = field(default_factory=list)
    holds: list[_Hold] = field(default_factory=list)
    answers: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.entries or self.reservations or self.answers)

    def free(self, reservation: str, seq: int) -> None:
        for one in self.holds:
            if one.reservation == reservation and one.freed is None:
                one.freed = seq
                return
        self.frees.append({"reservation": reservation, "freed": seq})

    def take(self, part: _Sheet) -> None:
        """What a part of this one came to, after it."""
        self.entries += part.entries
        self.postings += part.postings
        self.balances |= part.balances
        self.grounds |= part.grounds
        self.reservations |= part.reservations
        for one in part.frees:
            self.free(one["reservation"], one["freed"])
        self.holds += part.holds
        self.answers |= part.answers

    def text(self) -> str:
        """As `parkplan_ledger_write` reads it: a list of rows by column for each table."""
        rows = {
            "entries": self.entries,
            "postings": self.postings,
            "balances": [{"holder": account(name).holder, **asdict(one)} for name, one in self.balances.items()],
            "grounds": [{"digest": digest, "wkb": f"\\x{wkb.hex()}"} for digest, wkb in self.grounds.items()],
            "reservations": [
                {
                    "id": one.id,
                    "state": one.state,
                    "version": one.version,
                    "expires_at": one.expires_at,
                    "body": chain.text(story.reservation_json(one)),
                }
                for one in self.reservations.values()
            ],
            "frees": self.frees,
            "holds": [one.row() for one in self.holds],
            "answers": list(self.answers.values()),
        }
        return json.dumps(rows, ensure_ascii=False)

    def sent(self) -> None:
        for one in (self.entries, self.postings, self.frees, self.holds):
            one.clear()
        for known in (self.balances, self.grounds, self.reservations, self.answers):
            known.clear()


class PostgresPage:
    """The books inside one transaction of the writer. What it read it knows until the transaction ends."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._parts = 0
        self.torn: psycopg.Error | None = None
        rows = self._ask(LAST, ())
        last: tuple[int, str, str] = rows[0] if rows else (0, "", chain.FIRST)
        self._seq, at, self._hash = last
        self._now = max(stamp(now), at)
        self._holders: dict[str, dict[str, Balance]] = {}  # as they are in the database
        self._sheets = [_Sheet(self._seq, self._hash)]

    @property
    def now(self) -> str:
        return self._now

    @property
    def head(self) -> tuple[int, str]:
        return self._seq, self._hash

    # --- parts of the transaction ---

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        sheet = _Sheet(self._seq, self._hash)
        self._sheets.append(sheet)
        try:
            yield
        except BaseException:
            if sheet.mark and self.torn is None:
                self._do(f"ROLLBACK TO SAVEPOINT {sheet.mark}")
                self._holders.clear()
            self._seq, self._hash = sheet.seq, sheet.hash
            raise
        else:
            self._sheets[-2].take(sheet)
        finally:
            self._sheets.pop()

    def send(self) -> None:
        """What is written so far goes to the database, so that it is found when it is asked; still one transaction."""
        for depth, sheet in enumerate(self._sheets):
            if depth and not sheet.mark and any(self._sheets[depth:]):
                self._parts += 1
                sheet.mark = f"part{self._parts}"
                self._do(f"SAVEPOINT {sheet.mark}")
            if sheet:
                self._ask("SELECT parkplan_ledger_write(?::jsonb)::text", (sheet.text(),))
                for name, balance in sheet.balances.items():
                    self._holders.setdefault(account(name).holder, {})[name] = balance
                sheet.sent()

    def _ask(self, sql: str, bindings: tuple[Any, ...]) -> list[Any]:
        try:
            return self._connection.execute(bound(sql), bindings).fetchall()
        except psycopg.Error as error:  # the database does nothing more in this transaction
            self.torn = self.torn or error
            raise

    def _do(self, sql: str) -> None:
        try:
            self._connection.execute(bound(sql))
        except psycopg.Error as error:  # the database does nothing more in this transaction
            self.torn = self.torn or error
            raise

    # --- reading ---

    def of_holder(self, holder: str) -> Sequence[Balance]:
        if holder not in self._holders:
            self._holders[holder] = {row[0]: Balance(*row) for row in self._ask(OF_HOLDER, (holder,))}
        found = dict(self._holders[holder])
        for sheet in self._sheets:
            found |= {name: one for name, one in sheet.balances.items() if account(name).holder == holder}
        return list(found.values())

    def balance(self, name: str) -> Balance | None:
        for sheet in reversed(self._sheets):
            if name in sheet.balances:
                return sheet.balances[name]
        holder = account(name).holder
        if holder not in self._holders:
            self.of_holder(holder)
        return self._holders[holder].get(name)

    def entry(self, seq: int) -> Entry:
        self.send()
        found = read_entries(self._ask, "WHERE e.seq = ?", (seq,))
        if not found:
            raise UnknownName(f"there is no entry {seq}", entry=seq)
        return chain.entry(found[0])

    def reversed_by(self, seq: int) -> int | None:
        self.send()
        rows = self._ask(REVERSED, (seq,))
        return rows[0][0] if rows else None

    def reservation(self, key: str) -> Reservation:
        for sheet in reversed(self._sheets):
            if key in sheet.reservations:
                return sheet.reservations[key]
        return read_reservation(self._ask, key)

    def ground(self, digest: str) -> shapely.Geometry:
        for sheet in self._sheets:
            if digest in sheet.grounds:
                return shapely.from_wkb(sheet.grounds[digest])
        return read_ground(self._ask, digest)

    def holds_near(self, ground: shapely.Geometry) -> Sequence[tuple[str, shapely.Geometry]]:
        west, south, east, north = map(float, ground.bounds)
        gone: set[str] = set()
        here: dict[str, str] = {}  # what is not sent yet: reservation -> its ground
        for sheet in self._sheets:
            for one in sheet.frees:
                gone.add(one["reservation"])
                here.pop(one["reservation"], None)
            for hold in sheet.holds:
                far = hold.west > east or hold.east < west or hold.south > north or hold.north < south
                if hold.freed is None and not far:
                    here[hold.reservation] = hold.ground
        found = [(key, shapely.from_wkb(wkb)) for key, wkb in self._ask(NEAR, (west, south, east, north))]
        found = [(key, other) for key, other in found if key not in gone]
        return [*found, *((key, self.ground(digest)) for key, digest in here.items())]

    def due(self) -> list[str]:
        return [key for (key,) in self._ask(DUE, (self.now,))]

    # --- writing ---

    def append(self, draft: Draft) -> Entry:
        after: dict[str, Balance] = {}
        for one in draft.postings:  # before anything is written
            was = after.get(one.account) or self.balance(one.account) or Balance(one.account)
            after[one.account] = book.moved(was, one)
        seq = self._seq + 1
        kept = chain.stored(seq, self._now, draft, self._hash)
        if any("\0" in value for value in kept.row if isinstance(value, str)):
            fault = Fault("it holds the character U+0000", "Leave the character out")
            raise BadInput("a text is one that PostgreSQL cannot hold", [fault])
        sheet = self._sheets[-1]
        sheet.entries.append(dict(zip(COLUMNS, kept.row, strict=True)) | {"previous": kept.previous, "hash": kept.hash})
        sheet.postings += [dict(zip(LINE, (seq, *one), strict=True)) for one in kept.postings]
        sheet.balances |= after
        self._seq, self._hash = seq, kept.hash
        return Entry(seq, self._now, draft, kept.previous, kept.hash)

    def keep(self, one: Reservation, ground: shapely.Geometry | None = None) -> None:
        sheet = self._sheets[-1]
        sheet.reservations[one.id] = one
        if ground is not None:
            sheet.grounds[one.ground] = shapely.to_wkb(ground, output_dimension=2)
            if one.state in LIVE:
                sheet.holds.append(_Hold(one.id, one.ground, one.version, None, *map(float, ground.bounds)))
        elif one.state not in LIVE:
            sheet.free(one.id, one.version)

    # --- idempotency ---

    def answered(self, key: Key) -> str | None:
        for sheet in self._sheets:
            if (found := sheet.answers.get((key.actor, key.key))) is not None:
                return same_request(key, found["request"], found["answer"])
        return read_answer(self._ask, key)

    def answer(self, key: Key, text: str) -> None:
        row = {"actor": key.actor, "key": key.key, "request": key.request, "answer": text, "at": self._now}
        self._sheets[-1].answers[key.actor, key.key] = row


def read_entries(ask: Any, where: str, bindings: tuple[Any, ...]) -> list[Stored]:
    """Entries as they are kept, in their order; `where` is of `e`."""
    columns = ", ".join(f"e.{name}" for name in ROW.split(", "))
    rows = ask(f"SELECT {columns}, e.previous, e.hash FROM parkplan_ledger_entries e {where} ORDER BY e.seq", bindings)
    lines: dict[int, list[tuple[Any, ...]]] = {row[0]: [] for row in rows}
    sql = f"SELECT {', '.join(LINE)} FROM parkplan_ledger_postings WHERE seq = ANY(?) ORDER BY seq, line"
    for seq, *line in ask(sql, (list(lines),)) if lines else ():
        lines[seq].append(tuple(line))
    return [Stored(tuple(row[:-2]), tuple(lines[row[0]]), row[-2], row[-1]) for row in rows]


class PostgresLedger(RowLedger):
    """The books of one county in a database."""

    _held = HELD

    def __init__(self, tables: PostgresTables) -> None:
        super().__init__(lambda what: told(tables.place.label, what))
        self._tables = tables

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[PostgresPage]:
        page, asked = None, False
        try:
            with self._tables.transaction() as connection:
                self._tables.alone(LOCK)
                page = PostgresPage(connection, self.clock())
                yield page
                page.send()
                if page.torn is not None:
                    raise page.torn
                asked = True  # for COMMIT: from here on, a lost connection leaves it open whether it was done
        except Unreachable as error:
            if asked:
                raise Busy("it is not known whether it was done; ask again with the same key") from error
            if page is not None and page.torn is not None:
                raise Torn from error
            raise
        except Exception as error:
            if page is not None and page.torn is not None:
                raise Torn from error
            raise

    def _read(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        return self._tables.all(sql, bindings)

    def _entries(self, where: str, bindings: tuple[Any, ...]) -> list[Stored]:
        return read_entries(self._read, where, bindings)

    def journal(self) -> Iterator[Stored]:
        last = -ALL
        some = "WHERE e.seq IN (SELECT seq FROM parkplan_ledger_entries WHERE seq > ? ORDER BY seq LIMIT ?)"
        while found := self._entries(some, (last, BLOCK)):
            yield from found
            last = found[-1].row[0]
