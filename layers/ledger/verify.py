"""Proves the books: the chain, the balances, every transition, and that no ground is held twice.

What the journal says is told again from its first entry and compared with what is kept. The first thing that does
not hold is named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from layers.errors import ParkError
from layers.ledger import book, chain, story
from layers.ledger.acts import SLIVER_M2
from layers.ledger.chain import Stored
from layers.ledger.keeping import Ledger
from layers.ledger.records import BUCKETS, Balance, Bucket, Reservation
from layers.ledger.states import BUCKET_OF, LIVE


@dataclass(frozen=True)
class Verified:
    """What was proven, or the first thing that does not hold: `what` of chain, identity, transition, balance,
    reservation, charge, ground, end (the newest entries are gone)."""

    entries: int
    accounts: int
    reservations: int
    holds: int
    head: str
    what: str | None = None
    reason: str | None = None
    seq: int | None = None
    account: str | None = None
    reservation: str | None = None

    @property
    def whole(self) -> bool:
        return self.what is None


@dataclass
class _Told:
    """What the journal comes to, entry by entry."""

    balances: dict[str, Balance]
    reservations: dict[str, Reservation]
    taken: dict[str, list[tuple[str, int, int | None]]]  # reservation -> (ground, taken, freed)
    seq: int = 0
    head: str = chain.FIRST


class _Broken(Exception):
    def __init__(self, what: str, reason: str, **facts: Any) -> None:
        super().__init__(reason)
        self.facts = {"what": what, "reason": reason, **facts}


def verify(ledger: Ledger, seen: tuple[int, str] | None = None) -> Verified:
    """Tell the whole journal again and compare; meant for a moment at which nobody writes, or a copy.

    `seen` is an entry (number, hash) that was there once, as it was kept elsewhere.
    """
    told = _Told({}, {}, {})
    kept_holds: int = 0
    try:
        ledger.sweep()  # what is due would otherwise expire between two looks at the books
        _follow(ledger, told)
        _end(ledger, told, seen)
        _balances(ledger, told)
        _reservations(ledger, told)
        kept_holds = _grounds(ledger, told)
    except _Broken as broken:
        return _result(told, kept_holds, broken.facts)
    except (ParkError, ValueError, TypeError, LookupError, AttributeError, shapely.errors.GEOSException) as error:
        return _result(told, kept_holds, {"what": "kept", "reason": f"what is kept cannot be read ({error})"})
    return _result(told, kept_holds, {})


def _result(told: _Told, holds: int, facts: dict[str, Any]) -> Verified:
    return Verified(told.seq, len(told.balances), len(told.reservations), holds, told.head, **facts)


def _follow(ledger: Ledger, told: _Told) -> None:
    """The chain, the identity after every entry, and every transition."""

    def seen() -> Iterator[Stored]:
        for one in ledger.journal():
            yield one
            _entry(told, one)  # the chain has looked at it by now

    broken = chain.broken(seen())
    if broken is not None:
        raise _Broken("chain", broken[1], seq=broken[0])
    if told.seq != ledger.last():
        raise _Broken("chain", f"the journal ends at entry {told.seq}, not at {ledger.last()}", seq=told.seq)


def _end(ledger: Ledger, told: _Told, seen: tuple[int, str] | None) -> None:
    """Who takes away the newest entries, and all that follows from them, leaves a chain that is whole."""
    if seen is None or not seen[0]:
        return
    seq, head = seen
    if told.seq < seq:
        raise _Broken("end", f"entries {told.seq + 1} to {seq} are missing from the end", seq=told.seq + 1)
    if ledger.entries(after=seq - 1, limit=1)[0].hash != head:
        raise _Broken("end", f"entry {seq} is not the one that was seen", seq=seq)


def _entry(told: _Told, kept: Stored) -> None:
    entry = chain.entry(kept)
    draft, seq = entry.draft, entry.seq
    told.seq, told.head = seq, entry.hash
    try:
        for one in draft.postings:
            now = book.moved(told.balances.get(one.account) or Balance(one.account), one)
            told.balances[one.account] = now
            if not now.holds:
                raise _Broken("identity", f"entry {seq} breaks the identity", seq=seq, account=one.account)
    except ParkError as error:
        said = f"entry {seq} takes what is not there: {error.message}"
        raise _Broken("identity", said, seq=seq, account=error.facts.get("account")) from error
    if draft.event in CROSSING:
        came = sum(one.amount for one in draft.postings if one.debit in ("transferred_in", "carried_in"))
        went = sum(one.amount for one in draft.postings if one.credit == "transferred_out")
        if came != went:
            raise _Broken("identity", f"entry {seq} moves {went:,} out and {came:,} in", seq=seq)
    if draft.reservation is None:
        return
    before = told.reservations.get(draft.reservation)
    try:
        after = story.told(before, seq, entry.at, draft)
    except ParkError as error:
        said = f"entry {seq}: {error.message}"
        raise _Broken("transition", said, seq=seq, reservation=draft.reservation) from error
    told.reservations[draft.reservation] = after
    was_live, is_live = before is not None and before.state in LIVE, after.state in LIVE
    holds = told.taken.setdefault(draft.reservation, [])
    if is_live and not was_live:
        holds.append((after.ground, seq, None))
    elif was_live and not is_live:
        ground, taken, _ = holds[-1]
        holds[-1] = (ground, taken, seq)


PLEDGED: tuple[Bucket, ...] = ("reserved", "locked")  # all that is spent is not held by somebody still
CROSSING = ("allot", "trade", "carry_over")


def _balances(ledger: Ledger, told: _Told) -> None:
    kept = ledger.kept_balances()
    for name in sorted(kept.keys() | told.balances.keys()):
        if kept.get(name) != told.balances.get(name):
            was, now = told.balances.get(name), kept.get(name)
            differ = [
                f"{bucket} {a} -> {b}"
                for bucket, a, b in zip(
                    BUCKETS, was.row() if was else (0,) * 10, now.row() if now else (0,) * 10, strict=True
                )
                if a != b
            ]
            said = f"{name}: the journal comes to another balance ({', '.join(differ) or 'no such account'})"
            raise _Broken("balance", said, account=name)


def _reservations(ledger: Ledger, told: _Told) -> None:
    kept = ledger.kept_reservations()
    held: dict[tuple[str, str], int] = {}
    for key in sorted(kept.keys() | told.reservations.keys()):
        one = told.reservations.get(key)
        if one is None or kept.get(key) != one:
            raise _Broken("reservation", f"reservation {key} is not what the journal says", reservation=key)
        for charge in one.charges:
            at = charge.account, str(BUCKET_OF.get(one.state, "spent"))
            held[at] = held.get(at, 0) + charge.amount
    for name, balance in told.balances.items():
        for bucket in PLEDGED:
            if getattr(balance, bucket) != held.get((name, bucket), 0):
                there, wanted = getattr(balance, bucket), held.get((name, bucket), 0)
                raise _Broken("charge", f"{name}: {bucket} {there:,}, its reservations hold {wanted:,}", account=name)


def _grounds(ledger: Ledger, told: _Told) -> int:
    grounds: dict[str, shapely.Geometry] = {}
    for digest, wkb in ledger.kept_grounds():
        if hashlib.sha256(wkb).hexdigest() != digest:
            raise _Broken("ground", f"the ground {digest[:12]} is not what was written")
        grounds[digest] = shapely.from_wkb(wkb)
    wanted = sorted((key, *hold) for key, holds in told.taken.items() for hold in holds)
    kept = sorted((key, digest, taken, freed) for key, digest, taken, freed in ledger.kept_holds())
    if wanted != kept:
        odd = next(iter(sorted(set(map(str, wanted)) ^ set(map(str, kept)))), "")
        raise _Broken("ground", f"the holds are not what the journal says: {odd}")
    live = [(key, grounds.get(digest)) for key, digest, _, freed in kept if freed is None]
    if sorted(one.reservation.id for one in ledger.holds()) != sorted(key for key, _ in live):
        raise _Broken("ground", "the index of boxes does not find every hold, so that ground could be taken twice")
    missing = next((key for key, ground in live if ground is None), None)
    if missing is not None:
        raise _Broken("ground", f"the ground of reservation {missing} is gone", reservation=missing)
    shapes = np.array([*(ground for _, ground in live), None], dtype=object)[:-1]
    if len(shapes):
        one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        pairs = one < other
        one, other = one[pairs], other[pairs]
        twice = np.flatnonzero(shapely.area(shapely.intersection(shapes[one], shapes[other])) > SLIVER_M2)
        if len(twice):
            a, b = live[one[twice[0]]][0], live[other[twice[0]]][0]
            raise _Broken("ground", f"reservations {a} and {b} hold the same ground", reservation=a)
    return len(live)
