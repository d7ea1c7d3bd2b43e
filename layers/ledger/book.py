"""How the books are kept: which postings an operation makes, and what postings come to. Nothing here stores anything.

Each function takes balances and answers with postings, or refuses: QuotaShort and CapacityShort name the account,
what was needed and what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from layers.errors import BadInput, CapacityShort, Fault, QuotaShort
from layers.ledger.records import (
    ACCOUNT_EVENTS,
    BUCKETS,
    CARRY_YEARS,
    NESTED,
    SOURCES,
    YEARLY,
    Account,
    Balance,
    Bucket,
    Charge,
    Posting,
    account,
    quota_name,
)
from layers.records import Areas, Claim, Load, Other

PLACE = {bucket: place for place, bucket in enumerate(BUCKETS)}
GIVES = len(SOURCES)  # the sources come first: they count what they gave
PLENTY = 2**62


# --- what postings come to ----------------------------------------------------------------------------


def moved(balance: Balance, posting: Posting) -> Balance:
    """A balance after a posting; QuotaShort or CapacityShort where a bucket would go below zero."""
    row = list(balance.row())
    debit, credit = PLACE[posting.debit], PLACE[posting.credit]
    row[debit] += posting.amount if debit < GIVES else -posting.amount
    row[credit] -= posting.amount if credit < GIVES else -posting.amount
    if row[debit] < 0:
        raise short(posting.account, posting.amount, balance.row()[debit], posting.debit)
    if row[credit] < 0:
        raise short(posting.account, posting.amount, balance.row()[credit], posting.credit)
    return Balance(balance.account, *row)


def fold(postings: Iterable[Posting], start: Mapping[str, Balance] | None = None) -> dict[str, Balance]:
    """Balances from postings, in O(n)."""
    balances = dict(start or {})
    for one in postings:
        balances[one.account] = moved(balances.get(one.account) or Balance(one.account), one)
    return balances


def summed(rows: Iterable[tuple[str, Bucket, Bucket, int]]) -> dict[str, Balance]:
    """Balances from sums of postings (account, debit, credit, amount), whatever their order was."""
    found: dict[str, list[int]] = {}
    for name, debit, credit, amount in rows:
        row = found.setdefault(name, [0] * len(BUCKETS))
        row[PLACE[debit]] += amount if PLACE[debit] < GIVES else -amount
        row[PLACE[credit]] -= amount if PLACE[credit] < GIVES else -amount
    return {name: Balance(name, *row) for name, row in found.items()}


def short(name: str, needed: int, there: int, bucket: Bucket = "available") -> QuotaShort | CapacityShort:
    said = account(name)
    kind = QuotaShort if said.is_quota else CapacityShort
    where = "" if bucket == "available" else f" {bucket}"
    message = f"{name} has {there:,} {said.unit}{where}, {needed:,} {said.unit} are needed"
    return kind(message, account=name, needed=needed, available=there, unit=said.unit)


# --- entries of accounts ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """What is to be done to an account: an event, how much, and where that goes.

    `amount` is a tuple for the kinds that nest. `to` is the unit that gets it (分解, 调剂), `to_year` the year it is
    carried into (结转). A grant of nothing to a kind that is `named` opens its account: zero is not unknown.
    """

    event: str
    account: Account
    amount: Areas | int
    to: str | None = None
    to_year: int | None = None
    named: frozenset[str] = frozenset()


def changed(change: Change) -> tuple[Posting, ...]:
    """The postings of a change; BadInput with all that is wrong with it."""
    if faults := _faults(change):
        raise BadInput(f"{change.event} cannot be entered", faults)
    here, event = change.account, change.event
    postings: list[Posting] = []
    for name, amount in _lines(change):
        if event in ("allot", "trade", "carry_over"):
            source: Bucket = "carried_in" if event == "carry_over" else "transferred_in"
            postings.append(Posting(name, "available", "transferred_out", amount))
            postings.append(Posting(_target(here, account(name).kind, change), source, "available", amount))
        else:
            debit, credit = SIMPLE[event]
            postings.append(Posting(name, debit, credit, amount))
    return tuple(postings)


SIMPLE: dict[str, tuple[Bucket, Bucket]] = {
    "grant": ("granted", "available"),
    "advance": ("advanced", "available"),
    "settle": ("granted", "advanced"),
    "recall": ("available", "recalled"),
}


def _target(here: Account, kind: str, change: Change) -> str:
    if change.event == "carry_over":
        return quota_name(here.holder, here.year or 0, kind, change.to_year)
    return quota_name(str(change.to), here.year or 0, kind, here.for_year)


def _lines(change: Change) -> list[tuple[str, int]]:
    if isinstance(change.amount, int):
        return [(change.account.name, change.amount)]
    opens = change.named if change.event == "grant" else frozenset()
    amounts = [(kind, amount) for kind, amount in change.amount.items() if amount or kind in opens]
    return [(change.account.sibling(kind).name, amount) for kind, amount in amounts]


def _faults(change: Change) -> list[Fault]:
    here, event, faults = change.account, change.event, []

    def wrong(reason: str, fix: str, field: str) -> None:
        faults.append(Fault(reason, fix, field=field))

    if event not in ACCOUNT_EVENTS or event == "reverse":
        wrong(f"there is no event {event!r}", f"One of {', '.join(ACCOUNT_EVENTS)}", "event")
    if here.kind in NESTED:
        if here.kind != "new_construction" or not isinstance(change.amount, Areas):
            fix = f"Post to {here.sibling('new_construction').name} with areas"
            wrong("新增建设用地、农用地、耕地 are posted as one tuple", fix, "areas")
        elif change.amount.new_construction <= 0 and event != "grant":
            wrong("nothing would move", "Give new_construction_m2 above zero", "areas")
    elif isinstance(change.amount, Areas):
        wrong(f"{here.kind} has no areas", "Give an amount", "amount")
    elif change.amount < (event != "grant"):
        wrong(f"{change.amount:,} cannot be entered", "Give a whole number above zero", "amount")
    if not here.is_quota and event not in ("grant", "recall"):
        wrong(f"{event} is for quota", "A capacity account takes grant and recall", "event")
    if here.is_quota and event in ("allot", "trade") and (change.to is None or change.to == here.holder):
        wrong("it does not say which unit gets it", "Give another unit's code", "to")
    if event == "carry_over" and here.is_quota:
        first, last = (here.for_year or 0) + 1, (here.year or 0) + CARRY_YEARS
        if here.kind not in YEARLY:
            wrong(f"{here.kind} is used until it is used up", "It needs no carrying over", "event")
        elif change.to_year is None or not first <= change.to_year <= last:
            years = f"a year from {first} to {last}" if first <= last else "no later year: it lapses"
            wrong(f"{change.to_year} is not within {CARRY_YEARS} years of {here.year}", f"Give {years}", "to_year")
    return faults


def reversed_(postings: Sequence[Posting]) -> tuple[Posting, ...]:
    """Postings that undo others, the last first."""
    return tuple(Posting(one.account, one.credit, one.debit, one.amount) for one in reversed(postings))


# --- what a reservation takes -------------------------------------------------------------------------


def draw(wanted: Sequence[int], lots: Sequence[Sequence[int]]) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Take a nested tuple from lots in their order, each part nested itself: as much as can be from the first.

    Parameters
    ----------
    wanted : (K,) each part of the one before
    lots : what each has left of each kind, (L, K)

    Returns
    -------
    what is taken of each lot, and what could not be taken (all zero where the lots have enough)

    >>> draw((10, 10), [(10, 0), (10, 10)])  # the farmland of the second lot needs its new construction, too
    ([(0, 0), (10, 10)], (0, 0))
    """
    rest, taken = list(wanted), []
    for lot in lots:
        part = [0] * len(rest)
        most = inner = inner_rest = 0
        caps = [min(lot[: k + 1]) for k in range(len(rest))]
        for k in range(len(rest) - 1, -1, -1):  # from the innermost, so that what stays behind nests as well
            most = rest[k] - inner_rest + inner
            part[k] = max(inner, min(caps[k], most))
            inner, inner_rest = part[k], rest[k]
        taken.append(tuple(part))
        rest = [whole - part_ for whole, part_ in zip(rest, part, strict=True)]
    return taken, tuple(rest)


def shared(areas: Areas, shares: Sequence[tuple[str, float]]) -> list[tuple[str, Areas]]:
    """A tuple shared out by weights: every part nests and they come to the whole.

    >>> shared(Areas(10, 5), [("A", 0.5), ("B", 0.5)])[0]
    ('A', Areas(new_construction=6, agricultural=3, cultivated=0, paddy=0))
    """
    amounts = [amount for _, amount in areas.items()]
    strips = [outer - inner for outer, inner in zip(amounts, [*amounts[1:], 0], strict=True)]
    weights = [weight for _, weight in shares]
    parts = [largest_remainder(strip, weights) for strip in strips]
    found = []
    for place, (unit, _) in enumerate(shares):
        mine = [part[place] for part in parts]
        found.append((unit, Areas(*(sum(mine[k:]) for k in range(len(mine))))))
    return found


def largest_remainder(amount: int, weights: Sequence[float]) -> list[int]:
    """A whole amount by weights, in whole parts that come to it."""
    total = sum(weights)
    raw = [amount * weight / total for weight in weights]
    parts = [int(one) for one in raw]
    order = sorted(range(len(raw)), key=lambda n: (parts[n] - raw[n], n))
    for n in order[: amount - sum(parts)]:
        parts[n] += 1
    return parts


class Books(Protocol):
    """The balances of a moment."""

    def of_holder(self, holder: str) -> Sequence[Balance]: ...

    def balance(self, name: str) -> Balance | None: ...


@dataclass(frozen=True)
class Taken:
    """The charges of a claim, and the claim with the routes that were chosen."""

    charges: tuple[Charge, ...]
    claim: Claim


def take(claim: Claim, for_year: int, books: Books) -> Taken:
    """What a claim takes: the earliest origin year first; each load from the first route that has enough."""
    charges: list[Charge] = []
    if claim.areas.new_construction and claim.shares:  # without shares another kind of quota stands for it (增减挂钩)
        for unit, part in shared(claim.areas, claim.shares):
            charges += _take_tuple(unit, part, for_year, books.of_holder(unit))
    for other in claim.others:
        charges += _take_other(other, for_year, books)
    loads = []
    for load in claim.loads:
        route = _route(load, books)
        charges += [Charge(name, load.amount) for name in route]
        loads.append(Load(load.kind, load.amount, (route,)))
    return Taken(tuple(charges), Claim(claim.areas, claim.shares, claim.others, tuple(loads), claim.untaken))


def usable(one: Account, kind: str, for_year: int) -> bool:
    """Whether an account may be drawn on for a year."""
    if one.kind != kind or one.year is None:
        return False
    return one.for_year == for_year if kind in YEARLY else one.year <= for_year


def _take_tuple(unit: str, part: Areas, for_year: int, balances: Sequence[Balance]) -> list[Charge]:
    lots: dict[int, dict[str, Balance]] = {}
    for one in balances:
        said = account(one.account)
        if said.kind in NESTED and said.for_year == for_year:
            lots.setdefault(said.year or 0, {})[said.kind] = one
    years = sorted(lots)
    keeps_paddy = any("paddy" in lots[year] for year in years)
    caps = [
        [_left(lots[year], kind) if kind != "paddy" or keeps_paddy else PLENTY for kind in NESTED] for year in years
    ]
    wanted = [amount for _, amount in part.items()]
    for place, (kind, amount) in enumerate(part.items()):
        there = sum(min(lot[: place + 1]) for lot in caps)
        if there < amount:
            raise short(quota_name(unit, for_year, kind), amount, there)
    taken, _ = draw(wanted, caps)
    return [
        Charge(lots[year][kind].account, amount)
        for year, amounts in zip(years, taken, strict=True)
        for kind, amount in zip(NESTED, amounts, strict=True)
        if amount and (kind != "paddy" or keeps_paddy)
    ]


def _left(lot: Mapping[str, Balance], kind: str) -> int:
    return lot[kind].available if kind in lot else 0


def _take_other(other: Other, for_year: int, books: Books) -> list[Charge]:
    charges: list[Charge] = []
    parts = largest_remainder(other.amount, [weight for _, weight in other.shares])
    for (unit, _), wanted in zip(other.shares, parts, strict=True):
        mine = [one for one in books.of_holder(unit) if usable(account(one.account), other.kind, for_year)]
        rest = wanted
        for one in sorted(mine, key=lambda one: account(one.account).year or 0):
            part = min(rest, one.available)
            if part:
                charges.append(Charge(one.account, part))
            rest -= part
        if rest:
            raise short(quota_name(unit, for_year, other.kind), wanted, wanted - rest)
    return charges


def _route(load: Load, books: Books) -> tuple[str, ...]:
    """The first route on which every facility has enough left."""
    lacking: tuple[str, int] | None = None
    for route in load.routes:
        left = {name: found.available if (found := books.balance(name)) else 0 for name in route}
        tight = [name for name in route if left[name] < load.amount]
        if not tight:
            return route
        lacking = lacking or (tight[0], left[tight[0]])
    name, there = lacking or (f"capacity/none-in-reach/{load.kind}", 0)
    raise short(name, load.amount, there)


# --- what a reservation does with what it holds -------------------------------------------------------


def moving(charges: Iterable[Charge], debit: Bucket, credit: Bucket) -> tuple[Posting, ...]:
    return tuple(Posting(one.account, debit, credit, one.amount) for one in charges)


def written_off(charges: Sequence[Charge], approved: Areas) -> tuple[Posting, ...]:
    """核销 and 部分退回: what was approved is spent, the earliest origin year first, and the rest is free again.

    Replacement farmland follows the cultivated ground and the paddy that were approved, linked quota the new
    construction; loads are kept whole.
    """
    lots: dict[tuple[int, str, int], dict[str, int]] = {}
    for one in charges:
        said = account(one.account)
        if said.kind in NESTED:
            key = (said.year or 0, said.holder, said.for_year or 0)
            lots.setdefault(key, {})[said.kind] = one.amount
    keys = sorted(lots)
    keeps_paddy = any("paddy" in lots[key] for key in keys)
    caps = [[lots[key].get(kind, 0) if kind != "paddy" or keeps_paddy else PLENTY for kind in NESTED] for key in keys]
    linked = sum(one.amount for one in charges if account(one.account).kind == "linked")
    wanted = [amount if not linked else 0 for _, amount in approved.items()]
    taken, rest = draw(wanted, caps)
    if any(rest) or (linked and approved.new_construction > linked):
        reason = f"{', '.join(f'{kind} {amount:,}' for kind, amount in approved.items())} m2 are more than applied for"
        raise BadInput("more was approved than applied for", [Fault(reason, "Apply for more first", field="approved")])
    spent = {
        quota_name(holder, year, kind, for_year): amount
        for (year, holder, for_year), amounts in zip(keys, taken, strict=True)
        for kind, amount in zip(NESTED, amounts, strict=True)
    }
    follows = {
        "balance_area": approved.cultivated,
        "balance_paddy": approved.paddy,
        "linked": approved.new_construction,
    }
    postings = []
    for one in charges:
        kind = account(one.account).kind
        amount = one.amount
        if kind in NESTED:
            amount = spent.get(one.account, 0)
        elif kind in follows:
            amount = min(one.amount, follows[kind])
            follows[kind] -= amount
        if amount:
            postings.append(Posting(one.account, "locked", "spent", amount))
        if one.amount - amount:
            postings.append(Posting(one.account, "locked", "available", one.amount - amount))
    return tuple(postings)
