"""What a store of the books can do, whatever keeps them. `acts` says what may be done on a page of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd
import shapely

from layers.errors import BadInput, Fault
from layers.ledger.acts import Order, Page, order
from layers.ledger.book import Change
from layers.ledger.chain import Stored
from layers.ledger.records import NESTED, Balance, Entry, Paper, Reservation, account
from layers.records import Areas, Bounds

T = TypeVar("T")


@dataclass(frozen=True)
class Key:
    """An idempotency key of one actor, and the digest of the request that it stands for."""

    actor: str
    key: str
    request: str


@dataclass(frozen=True)
class Hold:
    """Ground that a reservation holds or held: from entry `taken` on, until entry `freed`."""

    reservation: Reservation
    ground: shapely.Geometry
    taken: int
    freed: int | None


@dataclass(frozen=True)
class Left:
    """What is left by account after entry `seq`, as the thinking reads it."""

    seq: int
    by_account: Mapping[str, float]


class Ledger(Protocol):
    """The books of one county. What is acknowledged is durable."""

    clock: Callable[[], datetime]

    def run(self, work: Callable[[Page], T]) -> T:
        """Do something to the books in one transaction, wholly or not at all; Busy where it may or may not be done."""

    def tell(self, heard: Callable[[int, str], None]) -> None:
        """Have somebody told the last entry (number, hash) after what was written is durable."""

    def once(self, key: Key, work: Callable[[Page], str]) -> str:
        """The same, once for ever: a key seen before gives the answer it gave, KeyReused for another request.

        A refusal of the books (ground taken, quota or capacity short) is an answer, too, and raised again.
        """

    def begin(self, work: Callable[[Page], str], key: Key | None, heard: Callable[[str], None]) -> Future[str]:
        """Put something in line and do not wait for it: as `run` does, or as `once` where there is a key. `heard` is
        told the answer once it is durable, and before whoever waits; what it raises is the answer then."""

    def answered(self, key: Key) -> str | None:
        """What a key was answered, None where it was not used; raises as `once` does."""

    def sweep(self) -> None:
        """Let what is due expire, before somebody reads the books."""

    def last(self) -> int:
        """The number of the last entry, 0 where there is none."""

    def seq_at(self, day: date) -> int:
        """The last entry that was made by the end of a day."""

    def balances(self, holder: str | None = None, until: int | None = None) -> list[Balance]: ...

    def entries(self, of: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]: ...

    def reservation(self, key: str) -> Reservation: ...

    def reservations(
        self, states: Sequence[str] = (), after: str = "", limit: int | None = None
    ) -> list[Reservation]: ...

    def history(self, reservation: str) -> list[Entry]: ...

    def ground(self, digest: str) -> shapely.Geometry: ...

    def left(self, before: Left | None = None) -> Left:
        """What is left in every account now; only what changed since `before` is read."""

    def held_since(self, until: int | None = None) -> int:
        """The last entry, by `until`, that took or freed ground."""

    def holds(self, until: int | None = None, bounds: Bounds | None = None) -> list[Hold]:
        """The ground that was held after entry `until` (default: the last), at least all that touches the bounds."""

    # --- for verify: everything as it is kept ---

    def journal(self) -> Iterator[Stored]: ...

    def kept_balances(self) -> Mapping[str, Balance]: ...

    def kept_reservations(self) -> Mapping[str, Reservation]: ...

    def kept_holds(self) -> Sequence[tuple[str, str, int, int | None]]:
        """(reservation, digest of the ground, taken, freed) of every hold that ever was."""

    def kept_grounds(self) -> Iterator[tuple[str, bytes]]: ...

    def close(self) -> None: ...


def open_books(ledger: Ledger, pools: pd.DataFrame, document: Paper, actor: str = "founding") -> int:
    """Post balances by account as 下达: what a county had before it kept books. Returns how many entries it took.

    `pools` has `account` and `balance`; an unknown balance opens no account, one below zero opens it with nothing, a
    broken one is rounded down. BadInput where quota of a unit and year does not nest, or an account is open already.
    """
    rows = pools[pools["balance"].notna()]
    left = np.maximum(np.floor(rows["balance"].to_numpy(dtype=float)), 0).astype(np.int64)
    amounts = dict(zip(map(str, rows["account"]), left.tolist(), strict=True))
    notes = dict(zip(rows["account"], _notes(rows), strict=True))
    tuples: dict[str, dict[str, int]] = {}
    changes: list[Change] = []
    for name, amount in amounts.items():
        said = account(name)
        if said.kind in NESTED:
            tuples.setdefault(said.sibling("new_construction").name, {})[said.kind] = amount
        else:
            changes.append(Change("grant", said, amount))
    for name, parts in tuples.items():
        changes.append(Change("grant", account(name), Areas(**parts), named=frozenset(parts)))

    def post(page: Page) -> int:
        open_already = [name for name in amounts if page.balance(name) is not None]
        if open_already:
            fix = "Post a grant or a recall for the difference"
            faults = [Fault("the account is open", fix, feature=name) for name in open_already]
            raise BadInput("the books are open", faults)
        for change in changes:
            order(page, Order(change, document, actor, notes.get(change.account.name, "")))
        return len(changes)

    return ledger.run(post)


def _notes(rows: pd.DataFrame) -> list[str]:
    said = [rows[name].astype(object).where(rows[name].notna(), "") for name in ("source", "note") if name in rows]
    return [" ".join(filter(None, map(str, one))) for one in zip(*said, strict=True)] if said else [""] * len(rows)


def pools(balances: Sequence[Balance]) -> dict[str, float]:
    """What is left by account, as the thinking reads it."""
    return {one.account: float(one.available) for one in balances}
