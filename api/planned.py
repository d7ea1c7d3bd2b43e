"""A plan as the contract writes it, and what it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from api.costing import billed, served_by
from api.planning import Measured
from gis.joint import Joint
from gis.scenario import Purchase, Scenario
from gis.yearly import QUOTA
from layers.ledger.placed import ROLE
from layers.ledger.records import QUOTA_UNITS
from layers.records import World
from layers.schema import roles


def dressed(joint: Joint, found: Measured, world: World, scenario: Scenario) -> dict[str, Any]:
    """A plan as the contract writes it."""
    choice = joint.choice
    said = {"objective": choice.objective, "bound": choice.bound, "gap": choice.gap}
    finite = {name: float(value) if np.isfinite(value) else None for name, value in said.items()}
    status = "failed" if joint.violations else "done"
    return {
        "status": status,
        "solver_status": choice.status,
        "assignments": [
            {
                "project": one.project,
                "component": one.component,
                "site": {
                    "name": one.name,
                    found.role: found.parts(one.site),
                    "area_m2": round(float(found.sites.ground[one.site].area), 2),
                    "geometry": shapely.geometry.mapping(found.sites.ground[one.site]),
                    "crs": world.crs.to_string(),
                },
                "value": round(one.value, 4),
                "approval_year": min(step.approval_year for step in one.steps),
                "production_year": max(step.production_year for step in one.steps),
                "phases": [
                    {
                        "approval_year": step.approval_year,
                        "start_year": step.start_year,
                        "production_year": step.production_year,
                        "takes": {name: round(amount, 2) for name, amount in step.takes.items() if amount},
                    }
                    for step in one.steps
                ],
                "waits_for": list(one.waits_for),
                "served_by": {} if joint.bill is None else served_by(joint.bill, one.key),
            }
            for one in joint.assigned
        ],
        "unplaced": [
            {"project": key, "reasons": [{"zh": zh, "en": en} for zh, en in reasons]}
            for key, reasons in joint.unplaced.items()
        ],
        "pools": [
            {
                "name": one.name,
                "used": round(one.used, 2),
                "balance": one.balance,
                "unit": _unit_of(one.name),
                "year": one.year,
                "since": one.since,
            }
            | {"price": round(one.price, 6)}
            for one in joint.pools
        ],
        "expansions": [_built(one) for one in joint.built],
        "bill": None if joint.bill is None else billed(joint.bill, world),
        **finite,
        "shortfall": joint.shortfall,
        "alternatives": [
            {
                "objective": one.objective,
                "expansions": list(one.bought),
                "moved": [{"project": key, "from": _place(old), "to": _place(new)} for key, old, new in one.moved],
            }
            for one in joint.alternatives
        ],
        "front": [
            {"value": one.value, "placed": one.placed, "expansions": list(one.bought)}
            | {"spent": dict(zip(scenario.spare, one.spent, strict=True))}
            for one in joint.front
        ],
        "violations": [{"what": one.what, "zh": one.zh, "en": one.en} for one in joint.violations],
        "notes": [{"zh": zh, "en": en} for zh, en in found.notes],
        "scenario": scenario.model_dump(mode="json"),
        "rulebook_digest": found.checked.rulebook.digest,
        "seen": _seen(joint, found, world),
        "seconds": round(choice.seconds, 3),
    }


def _seen(joint: Joint, found: Measured, world: World) -> dict[str, Any]:
    """What the plan rests on: whoever adopts it asks whether that is still so."""
    ground = found.checked.last
    drawn: set[str] = set()
    for one in joint.assigned:
        for step in one.steps:
            drawn |= {name for name, amount in step.takes.items() if amount}
    named = {name: QUOTA.fullmatch(name) for name in world.pools()}
    stocks = {name: f"quota/{said['unit']}/{said['kind']}" for name, said in named.items() if said is not None}
    mine = {name for name in world.pools() if stocks.get(name, name) in drawn}
    return {
        "as_of": world.as_of.isoformat(),
        "for_year": world.for_year,
        "layer_versions": {
            role: layer.label for role in roles() if role != ROLE and (layer := ground.known(role)) is not None
        },
        "balances": {name: int(world.pools()[name]) for name in sorted(mine)},
    }


def _built(one: Purchase) -> dict[str, Any]:
    """A purchase of a plan: what is built where, by how much it adds to which account from when on, and its price."""
    said = one.model_dump(mode="json", exclude={"adds"})
    return {
        **said,
        "adds": [{"account": name, "amount": amount, "unit": _unit_of(name)} for name, amount in one.adds.items()],
    }


def _place(at: tuple[str, int] | None) -> dict[str, Any] | None:
    return None if at is None else {"site": at[0], "approval_year": at[1]}


def _unit_of(account: str) -> str:
    """The unit an account counts in."""
    kind = account.rpartition("/")[2]
    return QUOTA_UNITS.get(kind) or kind.rpartition("_")[2]
