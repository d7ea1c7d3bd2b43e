"""What may be done to the books, over any store: each act reads a page of them, decides, and appends one entry.

A page is the books inside one transaction. An act either appends its entry, with all that follows from it, or raises
and leaves nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

import shapely

from layers.errors import BadInput, Fault, GroundTaken, Refused, Stale, UnknownName
from layers.ledger import book, story
from layers.ledger.records import EVENTS, Balance, Charge, Draft, Entry, Paper, Posting, Reservation, account
from layers.ledger.states import STATE_NAMES, Step, step
from layers.records import Areas, Claim

SLIVER_M2 = 1.0  # two holds may share no more ground than this: what rounding of coordinates makes of a shared edge
HOLD_DAYS = 180  # how long a reservation lasts where nobody says, an assumption; it can be extended
LONGEST_DAYS = 3 * 366
SYSTEM = "system"
# Decided by somebody else than the one who asked.
SECOND_PERSON = ("approve", "reject", "return", "supply", "revoke", "commission", "progress")


class Page(Protocol):
    """The books inside one transaction."""

    @property
    def now(self) -> str:
        """The time of the next entry, never before that of the last (UTC, ISO 8601)."""

    def of_holder(self, holder: str) -> Sequence[Balance]: ...

    def balance(self, name: str) -> Balance | None: ...

    def entry(self, seq: int) -> Entry:
        """UnknownName where there is none."""

    def reversed_by(self, seq: int) -> int | None: ...

    def reservation(self, key: str) -> Reservation:
        """UnknownName where there is none."""

    def ground(self, digest: str) -> shapely.Geometry: ...

    def holds_near(self, ground: shapely.Geometry) -> Sequence[tuple[str, shapely.Geometry]]:
        """(reservation, ground) of every live hold whose box meets that of some ground."""

    def append(self, draft: Draft) -> Entry:
        """Write an entry, its postings and the balances that they change."""

    def keep(self, one: Reservation, ground: shapely.Geometry | None = None) -> None:
        """Keep what a reservation has become, and its ground where that is new; in a live state it holds it."""


# --- accounts -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """An entry of an account that somebody orders, on a document."""

    change: book.Change
    document: Paper
    actor: str
    note: str = ""


def order(page: Page, asked: Order) -> Entry:
    change = asked.change
    detail = {"account": change.account.name, "to": change.to, "to_year": change.to_year}
    draft = Draft(asked.actor, change.event, book.changed(change), asked.document, asked.note, detail=detail)
    for one in draft.postings:
        if one.debit == "available" and page.balance(one.account) is None:
            raise UnknownName(f"there is no account {one.account}", account=one.account)
    return page.append(draft)


def reverse(page: Page, seq: int, document: Paper, actor: str, note: str = "") -> Entry:
    """冲正: an entry of accounts undone by one that moves everything back; nothing is rewritten."""
    was = page.entry(seq)
    if was.draft.reservation is not None or was.draft.event == "reverse":
        fix = "Reverse an entry of accounts; what became of a reservation is undone by its own events"
        raise BadInput(f"entry {seq} cannot be reversed", [Fault(f"it is {was.draft.event}", fix, field="reverses")])
    if (by := page.reversed_by(seq)) is not None:
        raise Stale(f"entry {seq} was reversed by entry {by}", entry=seq)
    postings = book.reversed_(was.draft.postings)
    detail = {"account": was.draft.detail["account"], "to": None, "to_year": None}
    return page.append(Draft(actor, "reverse", postings, document, note, reverses=seq, detail=detail))


# --- reservations -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ask:
    """A reservation that somebody asks for, or an intention, which holds nothing."""

    actor: str
    ground: shapely.Geometry
    claim: Claim
    for_year: int
    project: str | None = None
    batch: str | None = None
    parcels: tuple[str, ...] = ()
    charge_to: str | None = None
    expires_at: datetime | None = None
    document: Paper | None = None
    intended: bool = False
    record: Mapping[str, Any] | None = None  # the project as it was asked for
    phases: tuple[tuple[int, Claim], ...] = ()  # the claim by years where it falls in several
    id: str | None = None
    plan: Mapping[str, Any] | None = None  # what it was adopted from
    pinned: Mapping[str, Any] | None = None  # what the claim was worked out from, so that it can be asked again


def digest_of(ground: shapely.Geometry) -> str:
    return hashlib.sha256(shapely.to_wkb(ground, output_dimension=2)).hexdigest()


def new_id() -> str:
    """An id that sorts by time and cannot be guessed."""
    return f"R{time.time_ns() // 1_000_000:011x}{secrets.token_hex(6)}"


def reserve(page: Page, asked: Ask) -> Reservation:
    """Ground, quota and capacity together or not at all: GroundTaken, QuotaShort, CapacityShort, BadInput."""
    if (asked.project is None) == (asked.batch is None):
        fix = "Give exactly one of project and batch"
        raise BadInput("for whom?", [Fault("a reservation is for a project or for a batch", fix, field="project")])
    detail: dict[str, Any] = {
        "for_year": asked.for_year,
        "charge_to": asked.charge_to,
        "area_m2": round(asked.ground.area),
        "project": None if asked.record is None else dict(asked.record),
        **({} if asked.plan is None else {"plan": dict(asked.plan)}),
    }
    postings: tuple[Posting, ...] = ()
    claim = asked.claim
    if not asked.intended:
        free(page, asked.ground)
        detail["expires_at"] = _expiry(page, asked.expires_at)
        if asked.pinned is not None:
            detail["pinned"] = dict(asked.pinned)
        taken = _take(page, claim, asked.for_year, asked.phases)
        claim, postings = taken.claim, book.moving(taken.charges, "available", "reserved")
    draft = Draft(
        actor=asked.actor,
        event="intend" if asked.intended else "reserve",
        postings=postings,
        document=asked.document,
        project=asked.project,
        batch=asked.batch,
        reservation=asked.id or new_id(),
        parcels=asked.parcels,
        ground=digest_of(asked.ground),
        detail=detail | {"claim": story.claim_json(claim)},
    )
    return _write(page, None, draft, asked.ground)


def _take(page: Page, claim: Claim, for_year: int, phases: Sequence[tuple[int, Claim]]) -> book.Taken:
    """What a claim takes in its year, or its parts in theirs; the books refuse parts that together are too much."""
    if not phases:
        return book.take(claim, for_year, page)
    parts = [book.take(part, year, page) for year, part in phases]
    loads = tuple(load for part in parts for load in part.claim.loads)
    charges: dict[str, int] = {}
    for one in (charge for part in parts for charge in part.charges):
        charges[one.account] = charges.get(one.account, 0) + one.amount
    return book.Taken(tuple(Charge(*one) for one in charges.items()), replace(claim, loads=loads))


def free(page: Page, ground: shapely.Geometry) -> None:
    """GroundTaken where a live hold shares more than a sliver with some ground; neighbours share an edge only."""
    for key, other in page.holds_near(ground):
        overlap_m2 = float(shapely.intersection(ground, other).area)
        if overlap_m2 > SLIVER_M2:
            held = page.reservation(key)
            whose = held.project or held.batch
            said = f"{overlap_m2:,.1f} m2 of it are held by reservation {key} ({whose}, {STATE_NAMES[held.state]})"
            raise GroundTaken(said, reservation=key, state=held.state, overlap_m2=round(overlap_m2, 2))


def _expiry(page: Page, wanted: datetime | None) -> str:
    now = datetime.fromisoformat(page.now)
    if wanted is None:
        return (now + timedelta(days=HOLD_DAYS)).isoformat(timespec="microseconds")
    until = wanted.astimezone(UTC)
    if not now < until <= now + timedelta(days=LONGEST_DAYS):
        fix = f"Give a time to come, within {LONGEST_DAYS} days"
        raise BadInput("it would not last", [Fault(f"{until.isoformat()} cannot be its end", fix, field="expires_at")])
    return until.isoformat(timespec="microseconds")


@dataclass(frozen=True)
class Turn:
    """What is to become of a reservation. `seen` is the version that the caller saw; None where it does not matter.

    `approved` is the tuple that was approved (all of it where nobody says), `supply` what was supplied to whom,
    `claim` what an intention takes when it is reserved, `pinned` what that was worked out from, `on` the day of the
    survey that includes a plant's load.
    """

    reservation: str
    event: str
    actor: str
    seen: int | None = None
    document: Paper | None = None
    note: str = ""
    expires_at: datetime | None = None
    approved: Areas | None = None
    supply: Mapping[str, Any] | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    claim: Claim | None = None
    phases: tuple[tuple[int, Claim], ...] = ()
    pinned: Mapping[str, Any] | None = None
    on: date | None = None


def turn(page: Page, asked: Turn) -> Reservation:
    """An event of a reservation: Stale, IllegalTransition, Refused, BadInput, or what reserving raises."""
    was = page.reservation(asked.reservation)
    if asked.seen is not None and asked.seen != was.version:
        said = f"reservation {was.id} is at version {was.version} ({STATE_NAMES[was.state]}), not {asked.seen}"
        raise Stale(said, reservation=was.id, state=was.state, version=was.version)
    way = step(was.state, asked.event)
    if asked.event in SECOND_PERSON and asked.actor in (was.created_by, was.applied_by):
        raise Refused(f"{asked.actor} asked for reservation {was.id}; {asked.event} takes a second person")
    if way.papers and asked.document is None:
        zh = EVENTS[asked.event][0]
        fault = Fault(f"{asked.event}（{zh}）stands on a document", "Give document {number, date}", field="document")
        raise BadInput("no document", [fault])
    postings, detail = _decided(page, was, asked, way)
    draft = Draft(
        actor=asked.actor,
        event=asked.event,
        postings=postings,
        document=asked.document,
        note=asked.note,
        project=was.project,
        batch=was.batch,
        reservation=was.id,
        parcels=was.parcels,
        ground=was.ground,
        reverses=_approval(was, asked.event),
        detail=detail,
    )
    return _write(page, was, draft, page.ground(was.ground) if asked.event == "reserve" else None)


def _decided(page: Page, was: Reservation, asked: Turn, way: Step) -> tuple[tuple[Posting, ...], dict[str, Any]]:
    """The postings of an event, and what it says."""
    detail: dict[str, Any] = {}
    if asked.event == "reserve":
        free(page, page.ground(was.ground))
        taken = _take(page, asked.claim or was.claim, was.for_year, asked.phases)
        detail = {"claim": story.claim_json(taken.claim), "expires_at": _expiry(page, asked.expires_at)}
        if asked.pinned is not None:
            detail["pinned"] = dict(asked.pinned)
        return book.moving(taken.charges, "available", "reserved"), detail
    if asked.event in ("extend", "return"):
        detail["expires_at"] = _expiry(page, asked.expires_at)
    elif asked.event == "approve":
        approved = asked.approved or was.claim.areas
        _within(approved, was.claim.areas)
        detail["approved"] = dict(approved.items())
        return book.written_off(was.charges, approved), detail
    elif asked.event == "supply":
        detail["supply"] = _supply(was, asked)
    elif asked.event == "progress":
        if not asked.progress:
            fix = "Give progress, for example started_on"
            raise BadInput("no progress", [Fault("nothing is said", fix, field="progress")])
        detail["progress"] = dict(asked.progress)
    elif asked.event == "commission":
        assert asked.document is not None
        detail["surveyed_on"] = (asked.on or asked.document.date).isoformat()
        loads = [one for one in was.charges if not account(one.account).is_quota]
        return book.moving(loads, "spent", "recalled"), detail
    return (book.moving(was.charges, *way.move) if way.move else ()), detail


def _within(approved: Areas, claimed: Areas) -> None:
    """BadInput where more was approved than applied for, of any kind."""
    over = [(kind, one, most) for (kind, one), (_, most) in zip(approved.items(), claimed.items(), strict=True)]
    faults = [
        Fault(
            f"{one:,} m2 are more than the {most:,} m2 applied for", "Apply for more first", field=f"approved.{kind}_m2"
        )
        for kind, one, most in over
        if one > most
    ]
    if faults:
        raise BadInput("more was approved than applied for", faults)


def _approval(was: Reservation, event: str) -> int | None:
    """The entry that a revocation takes back: the approval, which is the last of an approved reservation."""
    return was.version if event == "revoke" else None


def _supply(was: Reservation, asked: Turn) -> dict[str, Any]:
    said = dict(asked.supply or {})
    area_m2, left_m2 = said.get("area_m2"), was.area_m2 - was.supplied_m2
    faults = [
        Fault(f"a supply names its {name}", f"Give supply.{name}", field=f"supply.{name}")
        for name in ("mode", "contract", "winner")
        if not said.get(name)
    ]
    if area_m2 is None:
        said["area_m2"] = area_m2 = left_m2
    if not 0 < area_m2 <= left_m2:
        fix = f"At most {left_m2:,} m2 of {was.area_m2:,} m2 are left"
        faults.append(Fault(f"{area_m2:,} m2 cannot be supplied", fix, field="supply.area_m2"))
    if faults:
        raise BadInput("the supply cannot be entered", faults)
    return said


def _write(page: Page, was: Reservation | None, draft: Draft, ground: shapely.Geometry | None) -> Reservation:
    entry = page.append(draft)
    now = story.told(was, entry.seq, entry.at, draft)
    page.keep(now, ground)
    return now


def expire(page: Page, key: str) -> Reservation:
    """过期: a reservation whose time has come goes back, by an entry of its own."""
    return turn(page, Turn(key, "expire", SYSTEM))
