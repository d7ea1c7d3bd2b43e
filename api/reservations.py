"""Reservations on the wire: what may be asked for, what becomes of it, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Any

import shapely
from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from api.answers import geojson
from api.books import NO_PROMISE, Amount, AreasIn, Ready, Unit, Year, event_of, key_of, paper, told
from api.county import County
from api.parcels import DocumentIn
from api.scope import Scope, seen
from api.sites import SiteIn, resolve
from gis.claims import claim
from gis.supply import judge_term, modes
from layers.errors import BadInput, Fault, NeedSeen, Refused
from layers.ledger import acts, book
from layers.ledger.records import KIND_NAMES, Paper, Reservation, account
from layers.ledger.states import STATE_NAMES, legal
from layers.ledger.story import claim_digest
from layers.records import Claim, Project, Strict
from layers.store import Store
from layers.units import mu

Text = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
IN_ENGLISH = {one.zh: name for name, one in modes().items()}
Mode = Annotated[
    str,
    BeforeValidator(lambda said: IN_ENGLISH.get(said, said) if isinstance(said, str) else said),
    Field(pattern=f"^({'|'.join(modes())})$", description="English name or Chinese word"),
]

TURNS = (
    "reserve", "apply", "return", "approve", "reject", "withdraw", "release", "extend", "revoke", "supply", "progress",
    "commission",
)  # fmt: skip
PLANNERS = ("reserve", "apply", "withdraw", "release", "extend")
REVIEWERS = ("approve", "reject", "return", "supply", "progress", "revoke", "commission", "release")
BELONGS = {
    "approved": ("approve",),
    "supply": ("supply",),
    "progress": ("progress",),
    "expires_at": ("reserve", "extend", "return"),
    "surveyed_on": ("commission",),
}


class ReservationIn(Strict):
    """Ground, quota and capacity for a project (its record, or its id in the library) or for a batch (批次).

    `charge_to` names the unit whose quota is charged; default: the units the site lies in, by area. With `intended`
    it is an intention (意向), which holds nothing. With `linked` its new construction is charged to linked quota
    (增减挂钩节余指标) and not to the year's plan.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"project": "TEA", "site": {"parcels": ["520625001001GB00001"]}}]},
        extra="forbid",
        frozen=True,
    )

    project: Project | Text | None = None
    project_id: Text | None = None
    batch: Text | None = None
    site: SiteIn
    charge_to: Unit | None = None
    for_year: Year | None = None
    expires_at: AwareDatetime | None = None
    document: DocumentIn | None = None
    intended: bool = False
    linked: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> ReservationIn:
        if sum(one is not None for one in (self.project, self.project_id, self.batch)) != 1:
            raise ValueError("give exactly one of project, project_id and batch")
        if self.intended and self.linked:
            raise ValueError("an intention draws on nothing; say linked when it is reserved")
        return self


class BarsIn(Strict):
    """标准地: what the lot must bring, fixed before the auction."""

    investment_wan_per_mu: Number | None = None
    tax_wan_per_mu: Number | None = None
    floor_area_ratio: Number | None = None
    energy_tce_per_wan: Number | None = None
    emission_t_per_wan: Number | None = None
    others: Annotated[dict[Text, Text], Field(max_length=50)] = Field(default_factory=dict)


class SupplyIn(Strict):
    """What is supplied to whom; the winner may be another than the project. Without `area_m2` all that is left."""

    mode: Mode
    contract: Text
    winner: Text
    area_m2: Annotated[Amount, Field(gt=0)] | None = None
    signed_on: date | None = None
    handed_over_on: date | None = None
    agreed_start_on: date | None = None
    term_years: Annotated[float, Field(gt=0, le=100)] | None = None
    price_wan: Number | None = None
    bars: BarsIn | None = None

    @model_validator(mode="after")
    def _bars(self) -> SupplyIn:
        if self.mode == "standard_land" and self.bars is None:
            raise ValueError("标准地 standard_land names its bars")
        return self


class ProgressIn(Strict):
    """What was seen on supplied ground; what is not said stays as it was said before."""

    contract: Text
    handed_over_on: date | None = None
    agreed_start_on: date | None = None
    started_on: date | None = None
    built_share: Share | None = None
    invested_share: Share | None = None
    stopped_on: date | None = None
    government_cause: bool | None = None


class TransitionIn(Strict):
    """An event of a reservation. `approved` is the tuple that was approved (核销), all that was applied for where it is
    not said; `supply` belongs to supply, `progress` to progress, `expires_at` to reserve, extend and return, `linked`
    (增减挂钩) to reserve, `surveyed_on` to commission: the load survey that includes the plant."""

    event: event_of(TURNS)  # type: ignore[valid-type]
    approved: AreasIn | None = None
    supply: SupplyIn | None = None
    progress: ProgressIn | None = None
    expires_at: AwareDatetime | None = None
    surveyed_on: date | None = None
    linked: bool = False
    document: DocumentIn | None = None

    @model_validator(mode="after")
    def _belongs(self) -> TransitionIn:
        for name, events in BELONGS.items():
            if getattr(self, name) is not None and self.event not in events:
                raise ValueError(f"{name} does not belong to {self.event}")
        if self.linked and self.event != "reserve":
            raise ValueError(f"linked does not belong to {self.event}")
        if self.event == "supply" and self.supply is None:
            raise ValueError("supply names mode, contract and winner")
        if self.event == "progress" and self.progress is None:
            raise ValueError("progress says what was seen")
        return self


def create(county: County, asked: ReservationIn, scope: Scope, key: str) -> Ready | str:
    """Reserve, or note an intention: what has to be written, or the answer (JSON text) that the key was given."""
    ledger, by = county.store.ledger, scope.user.name
    once = key_of(by, key, "/reservations", asked)
    if (known := ledger.answered(once)) is not None:  # before the site is looked for: it may have changed since
        return known
    project = _project(county, asked, scope)
    scope.named([asked.site])
    (site,) = resolve([asked.site], county.store, *county.site_limits)
    scope.sites([site])
    scope.may_charge(asked.charge_to)
    day = ledger.clock().date()
    for_year = asked.for_year or day.year
    taken, pinned = Claim(), None
    if not asked.intended:
        taken, pinned = claimed(county, site.geometry, project, for_year, asked.charge_to, asked.linked)
    ask = acts.Ask(
        actor=by,
        ground=site.geometry,
        claim=taken,
        for_year=for_year,
        project=None if project is None else project.key,
        batch=asked.batch,
        parcels=tuple(part.parcel for part in site.parts if part.parcel is not None),
        charge_to=asked.charge_to,
        expires_at=asked.expires_at,
        document=paper(asked.document),
        intended=asked.intended,
        record=None if project is None else project.model_dump(mode="json", exclude_none=True),
        pinned=pinned,
    )
    drawn = county.drawn(acts.digest_of(site.geometry), site.geometry)
    return Ready(
        lambda page: _text(acts.reserve(page, ask), drawn),
        once,
        lambda text: ("reserve", id_of(text), asked.batch or ask.project or ""),
    )


def _project(county: County, asked: ReservationIn, scope: Scope) -> Project | None:
    if asked.batch is not None:
        return None
    if isinstance(asked.project, Project):
        return asked.project
    return county.project(None, asked.project or asked.project_id, scope)


def claimed(
    county: County,
    ground: shapely.Geometry,
    project: Project | None,
    for_year: int,
    charge_to: str | None,
    linked: bool = False,
) -> tuple[Claim, dict[str, Any]]:
    """What holding ground takes, and what that was worked out from.

    The books are read before our turn to measure, so that nobody waits for a reader."""
    book, world = county.rulebook(), county.store.at(None, for_year)
    world.pools()
    with county.turn:
        found = claim(ground, project, book, world, charge_to, linked=linked)
    return found, county.pin(book, world) | {"facts": claim_digest(found)}


def turn(
    county: County, key: str, asked: TransitionIn, scope: Scope, if_match: str | None, once: str | None = None
) -> Ready | str:
    """An event of a reservation, as it was at a version: what has to be written, or the answer (JSON text) that the key
    was given."""
    ledger, by = county.store.ledger, scope.user.name
    was = _may(scope, asked.event, key)
    version = seen_of(if_match)
    named = key_of(by, once, f"/reservations/{key}/transitions", asked) if once is not None else None
    if named is not None and (known := ledger.answered(named)) is not None:
        return known
    ground = ledger.ground(was.ground)
    ask = acts.Turn(
        reservation=key,
        event=asked.event,
        actor=by,
        seen=version,
        document=paper(asked.document),
        note=asked.document.note if asked.document is not None else "",
        expires_at=asked.expires_at,
        approved=asked.approved.areas() if asked.approved is not None else None,
        supply=_supply(asked),
        progress=_progress(asked),
        on=asked.surveyed_on,
    )
    drawn = county.drawn(was.ground, ground)
    if asked.event == "reserve" and was.state == "intended":
        taken, pinned, project = _claim_of(county, was, asked.linked)
        phases = () if was.plan is None or project is None else by_phase(taken, project)
        ask = replace(ask, claim=taken, pinned=pinned, phases=phases)

    return Ready(
        lambda page: _text(acts.turn(page, ask), drawn),
        named,
        lambda text: (f"reservation-{asked.event}", key, json.loads(text)["state"]),
    )


def _may(scope: Scope, event: str, key: str) -> Reservation:
    """The reservation as it stands. Planners ask, reviewers decide; a commissioned plant's ground is let go by a
    reviewer."""
    user = scope.user
    if event not in (PLANNERS if user.role == "planner" else REVIEWERS):
        raise Refused(f"the role {user.role} may not {event} a reservation")
    was = scope.reservation(key)
    if event == "release" and (was.state == "commissioned") != (user.role == "reviewer"):
        raise Refused(f"the role {user.role} may not release this reservation")
    return was


def _claim_of(county: County, was: Reservation, linked: bool) -> tuple[Claim, dict[str, Any], Project | None]:
    """What an intention takes now that it is reserved, what that was worked out from, and for which project."""
    ledger = county.store.ledger
    record = ledger.history(was.id)[0].draft.detail["project"]
    project = None if record is None else Project.model_validate(record)
    taken, pinned = claimed(county, ledger.ground(was.ground), project, was.for_year, was.charge_to, linked)
    return taken, pinned, project


def by_phase(whole: Claim, project: Project) -> tuple[tuple[int, Claim], ...]:
    """A claim by years of approval where a project is built in phases: quota by their ground, replacement farmland
    and linked quota with it; loads and energy with the first. Empty where there is one phase only."""
    years = [one.approval_year for one in project.phases]
    if len(years) < 2 or None in years:
        return ()
    parts = book.shared(whole.areas, [(str(n), one.land_m2) for n, one in enumerate(project.phases)])
    found = []
    for n, (year, (_, areas)) in enumerate(zip(years, parts, strict=True)):
        amounts = {
            "balance_area": areas.cultivated,
            "balance_paddy": areas.paddy,
            "linked": areas.new_construction,
        }
        others = [replace(one, amount=amounts[one.kind]) for one in whole.others if amounts.get(one.kind)]
        if n == 0:
            others += [one for one in whole.others if one.kind not in amounts]
        found.append((int(year or 0), Claim(areas, whole.shares, tuple(others), whole.loads if n == 0 else ())))
    return tuple(found)


def _supply(asked: TransitionIn) -> dict[str, Any] | None:
    if asked.supply is None:
        return None
    judge_term(asked.supply.mode, asked.supply.term_years)
    said = asked.supply.model_dump(mode="json", exclude_none=True)
    if asked.document is not None:
        said["document"] = {"number": asked.document.number, "date": asked.document.date.isoformat()}
    return said


def _progress(asked: TransitionIn) -> dict[str, Any]:
    if asked.progress is None:
        return {}
    said = asked.progress.model_dump(mode="json", exclude_none=True)
    return {said.pop("contract"): said}


def seen_of(if_match: str | None) -> int | None:
    """The version that `If-Match` names; None for `*`. NeedSeen where it is missing, BadInput where it is no ETag."""
    if if_match is None:
        raise NeedSeen("If-Match is missing: say which version of the reservation this is for")
    said = if_match.strip()
    if said == "*":
        return None
    bare = said.removeprefix("W/").strip('"')
    if not (bare.isascii() and bare.isdigit()) or len(bare) > 15:
        fault = Fault(f"{said[:40]!r} is no ETag of a reservation", "Send the ETag as it was given", field="If-Match")
        raise BadInput("If-Match cannot be read", [fault])
    return int(bare)


# --- what is told -------------------------------------------------------------------------------------


def etag(text: str) -> str:
    return f'"{json.loads(text)["version"]}"'


def id_of(text: str) -> str:
    return str(json.loads(text)["id"])


def read(store: Store, scope: Scope, key: str) -> str:
    one = scope.reservation(key)
    (drawn,) = geojson([store.ledger.ground(one.ground)], store.crs)
    return _text(one, drawn)


def history(store: Store, scope: Scope, key: str) -> dict[str, Any]:
    one = scope.reservation(key)
    return {"id": one.id, "state": one.state, "entries": [told(entry) for entry in store.ledger.history(key)]}


def page(store: Store, scope: Scope, states: Sequence[str], after: str, limit: int) -> dict[str, Any]:
    shown, more = seen(
        lambda start, most: store.ledger.reservations(states, start, most),
        after,
        limit,
        lambda one: one.id,
        lambda one: scope.holds_ground(one.ground),
    )
    drawn = geojson([store.ledger.ground(one.ground) for one in shown], store.crs)
    return {
        "reservations": [spelled(one, shape) for one, shape in zip(shown, drawn, strict=True)],
        "next": shown[-1].id if more else None,
        "notice": NO_PROMISE,
    }


def _text(one: Reservation, drawn: dict[str, Any] | None) -> str:
    return json.dumps(spelled(one, drawn), ensure_ascii=False, allow_nan=False)


def spelled(one: Reservation, drawn: dict[str, Any] | None) -> dict[str, Any]:
    """A reservation by the names of the contract."""
    return {
        "id": one.id,
        "state": one.state,
        "state_zh": STATE_NAMES[one.state],
        "version": one.version,
        "events": [event for event in legal(one.state) if event != "expire"],
        "project": one.project,
        "batch": one.batch,
        "site": {
            "parcels": list(one.parcels),
            "geometry": drawn,
            "area_m2": one.area_m2,
            "area_mu": float(mu(one.area_m2)),
            "ground_digest": one.ground,
        },
        "for_year": one.for_year,
        "charge_to": one.charge_to,
        "quota_need": {f"{kind}_m2": amount for kind, amount in one.claim.areas.items()},
        "charges": [
            {"account": charge.account, "amount": charge.amount, "unit": account(charge.account).unit}
            for charge in one.charges
        ],
        "not_taken": [
            {"kind": kind, "zh": why, "en": f"{KIND_NAMES[kind][1]}: not taken"} for kind, why in one.claim.untaken
        ],
        "expires_at": one.expires_at,
        "created_by": one.created_by,
        "created_at": one.created_at,
        "applied_by": one.applied_by,
        "approved": None if one.approved is None else {f"{kind}_m2": amount for kind, amount in one.approved.items()},
        "approved_at": one.approved_at,
        "approval": _paper(one.approval),
        "supplies": list(one.supplies),
        "supplied_m2": one.supplied_m2,
        "unsupplied_m2": one.area_m2 - one.supplied_m2 if one.state in ("approved", "supplied") else None,
        "progress": dict(one.progress),
        "commissioned_on": one.commissioned_on,
        "plan": None if one.plan is None else {name: one.plan[name] for name in ("id", "phases")},
        "waits_for": list(one.plan["waits_for"]) if one.plan is not None and one.state == "intended" else [],
        "pinned": None if one.pinned is None else dict(one.pinned),
        "notice": NO_PROMISE,
    }


def _paper(one: Paper | None) -> dict[str, str] | None:
    return None if one is None else {"number": one.number, "date": one.date.isoformat()}
