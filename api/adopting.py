"""A joint plan becomes reservations: all of it is booked in one transaction, or nothing (decision 0008).

Before that the plan is held against the county as it is now: what it was measured on has to be the same, and every
project has to pass its single check where the plan puts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import numpy as np
import shapely

from api import recheck
from api.answers import geojson
from api.books import NO_PROMISE
from api.county import County
from api.jobs import require_done
from api.planning import verdict_of
from api.reservations import by_phase, spelled
from api.scope import Scope
from gis.check import check
from gis.claims import claim
from gis.companions import parts_of
from gis.judge import Status
from gis.rules import Rulebook
from gis.scenario import Scenario
from layers.errors import BadInput, Fault, GroundTaken, Stale
from layers.ledger import acts, together
from layers.ledger.records import Reservation
from layers.ledger.story import claim_digest
from layers.records import Claim, Load, Project, Site, World
from layers.records import Part as Piece
from layers.store import Store

HELD = "ground.held"  # says who holds the ground; the ledger itself says it better


def adopt(county: County, plan: Mapping[str, Any], scope: Scope) -> tuple[dict[str, Any], bool]:
    """The reservations of a plan, and whether they were made now."""
    by = scope.user.name
    scope.sites([Site.of(Piece(_ground(row))) for row in plan.get("assignments", ())])
    try:
        found, made = book_plan(county.store, county.rulebook(), plan, by, county.turn)
    except GroundTaken as error:
        raise scope.taken(error) from error
    if made:
        held = sum(one.state != "intended" for one in found)
        county.access.record(by, "plan-adopt", plan["id"], f"{held} reserved, {len(found) - held} intended")
    return told(county.store, plan, found), made


def book_plan(
    store: Store, book: Rulebook, plan: Mapping[str, Any], by: str, turn: Lock | None = None
) -> tuple[list[Reservation], bool]:
    """Book a plan that is done. Stale names what changed since it was made; GroundTaken, QuotaShort and CapacityShort
    name the project and what is short; nothing is written then."""
    require_done(plan)
    rows = plan["assignments"]
    if not rows:
        raise BadInput("there is nothing to adopt", [Fault("the plan places no project", "See `unplaced`", field="id")])
    keys = [together.id_of(plan["id"], _key(row)) for row in rows]
    if there := store.ledger.run(lambda page: together.known(page, keys)):
        return there, False
    with turn if turn is not None else Lock():
        _same(store, book, plan)
        asks = _asks(store, book, plan, by)
    seen = plan["seen"]["balances"]
    found, made = store.ledger.run(lambda page: together.reserve_all(page, asks, seen))
    if made:
        adopted = {"by": by, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), "reservations": keys}
        store.save("plan", plan["id"], {**plan, "adopted": adopted})
    return found, made


def told(store: Store, plan: Mapping[str, Any], found: list[Reservation]) -> dict[str, Any]:
    drawn = geojson([store.ledger.ground(one.ground) for one in found], store.crs)
    return {
        "plan": plan["id"],
        "reservations": [spelled(one, shape) for one, shape in zip(found, drawn, strict=True)],
        "waiting": [
            {"project": one.project, "reservation": one.id, "waits_for": list(one.plan["waits_for"])}
            for one in found
            if one.state == "intended" and one.plan is not None
        ],
        "unplaced": [row["project"] for row in plan["unplaced"]],
        "notice": NO_PROMISE,
    }


# --- is it still so -----------------------------------------------------------------------------------


def _same(store: Store, book: Rulebook, plan: Mapping[str, Any]) -> None:
    """Stale where what the plan was measured on is another now, or a project fails where it is placed."""
    seen = plan.get("seen")
    if seen is None:
        raise Stale("the plan does not say what it was measured on; plan again", plan=plan["id"])
    changed = []
    if plan["rulebook_digest"] != book.digest:
        changed.append("rulebook")
    now = {layer.role: layer.label for layer in store.layers()}
    for role, was in sorted(seen["layer_versions"].items()):
        if was != now.get(role):
            changed.append(f"{role} ({was} -> {now.get(role, 'not loaded')})")
    for one in plan["asked"]["projects"]:
        if one["id"] in plan["asked"].get("library", ()) and _record(store.load("project", one["id"])) != one:
            changed.append(f"project {one['id']}")
    if changed:
        raise Stale(
            f"changed since the plan was made: {'; '.join(changed)}; plan again",
            plan=plan["id"],
            changed=", ".join(one.split(" (")[0] for one in changed),
        )
    _pass(store.at(), book, plan)


def _record(said: Mapping[str, Any]) -> dict[str, Any]:
    return Project.model_validate(said).model_dump(mode="json", exclude_none=True)


def _pass(world: World, book: Rulebook, plan: Mapping[str, Any]) -> None:
    """Every project by the single check where it is placed, as it was when the plan was made."""
    rows = plan["assignments"]
    projects = _projects(plan)
    scenario = Scenario.model_validate(plan["scenario"])
    grounds = [_ground(row) for row in rows]
    checked = check(grounds, [projects[_key(row)] for row in rows], book, world)
    late = [rule.id == HELD for rule in checked.rules]
    verdict = verdict_of(checked, np.array(late))
    for n, row in enumerate(rows):
        if verdict[n, n] > scenario.worst:
            fails = [
                rule.id
                for rule, status in zip(checked.rules, checked.status[:, n, n], strict=True)
                if status in (Status.FAIL, Status.UNKNOWN) and rule.severity != "warn"
            ]
            said = f"{_key(row)} does not pass its check on {row['site']['name']} any more: {', '.join(fails)}"
            raise Stale(said, plan=plan["id"], project=row["project"], changed=", ".join(fails))


def _ground(row: Mapping[str, Any]) -> shapely.Geometry:
    return shapely.geometry.shape(row["site"]["geometry"])


def _projects(plan: Mapping[str, Any]) -> dict[str, Project]:
    some, _ = parts_of([Project.model_validate(one) for one in plan["asked"]["projects"]])
    return {one.key: one for one in some}


def _key(row: Mapping[str, Any]) -> str:
    """Of a project, or of one of its components, which is reserved as a project of its own."""
    return row["project"] if row.get("component") is None else f"{row['project']}/{row['component']}"


# --- what is asked of the books -----------------------------------------------------------------------


def _asks(store: Store, book: Rulebook, plan: Mapping[str, Any], by: str) -> list[acts.Ask]:
    projects = _projects(plan)
    known: set[str] = set()
    return [_ask(store, book, plan, row, projects[_key(row)], by, known) for row in plan["assignments"]]


def _ask(
    store: Store,
    book: Rulebook,
    plan: Mapping[str, Any],
    row: Mapping[str, Any],
    project: Project,
    by: str,
    known: set[str],
) -> acts.Ask:
    ground = _ground(row)
    takes = {name for step in row["phases"] for name in step["takes"]}
    unit = next((name.split("/")[1] for name in sorted(takes) if name.endswith("/new_construction")), None)
    year = row["approval_year"]
    whole = Claim()
    phases: tuple[tuple[int, Claim], ...] = ()
    pinned = None
    if not row["waits_for"]:
        world = store.at(None, year)
        world.pools()
        there = claim(ground, project, book, world, unit)
        pinned = recheck.pin(store, book, world, known) | {"facts": claim_digest(there)}
        whole = _as_planned(there, takes)
        phases = by_phase(whole, project)
    years = ("approval_year", "start_year", "production_year")
    return acts.Ask(
        actor=by,
        ground=ground,
        claim=whole,
        for_year=year,
        project=project.key,
        parcels=tuple(row["site"].get("parcels", ())),
        charge_to=unit,
        intended=bool(row["waits_for"]),
        record=project.model_dump(mode="json", exclude_none=True),
        phases=phases,
        id=together.id_of(plan["id"], project.key),
        plan={
            "id": plan["id"],
            "phases": [{name: step[name] for name in years} for step in row["phases"]],
            "waits_for": list(row["waits_for"]),
        },
        pinned=pinned,
    )


def _as_planned(whole: Claim, takes: set[str]) -> Claim:
    """Loads on the facilities that the plan chose, where it chose."""
    loads = []
    for load in whole.loads:
        chosen = tuple(route for route in load.routes if route and set(route) <= takes)
        loads.append(Load(load.kind, load.amount, chosen) if chosen else load)
    return replace(whole, loads=tuple(loads))
