"""What a plan costs, as the contract writes it: by project, by utility, in all, and the ways on the ground."""

from __future__ import annotations

from typing import Any

import shapely

from api.networks import told_without_way
from gis.billing import RULE, Band, Bill, Linked, Owed
from layers.records import World

NAMES = {
    "power": ("供电", "power"),
    "water": ("供水", "water"),
    "effluent": ("排水", "effluent"),
    "road": ("进场道路", "access road"),
    "earthwork": ("土石方", "earthwork"),
}


def billed(found: Bill, world: World) -> dict[str, Any]:
    """`bill` of a plan: wan at typical prices unless it says low or high; shares add up to the totals exactly."""
    return {
        "unit": "wan",
        "rule": {"zh": RULE[0], "en": RULE[1]},
        "complete": found.is_complete,
        "projects": [_owed(one) for one in found.owed],
        "utilities": [
            {
                "utility": one.utility,
                "connections": one.count,
                "alone_wan": one.alone_wan,
                "shared_wan": one.shared_wan,
                "saving_wan": round(one.alone_wan - one.shared_wan, 4),
                "low_wan": round(one.low_wan, 4),
                "high_wan": round(one.high_wan, 4),
                "alone_m": round(one.alone_m, 1),
                "dug_m": round(one.dug_m, 1),
            }
            for one in found.utilities
        ],
        "connection_wan": {
            "alone": found.alone_wan,
            "shared": found.connection_wan,
            "saving": round(found.alone_wan - found.connection_wan, 4),
        },
        "earthwork_wan": _band(found.earthwork_wan),
        "land_wan": _band(found.land_wan),
        "purchases": [{"name": name, "cost_wan": cost} for name, cost in found.purchases],
        "purchases_wan": found.purchases_wan,
        "total_wan": found.total_wan,
        "fund": None
        if found.fund_wan is None
        else {
            "ceiling_wan": found.fund_wan,
            "covers": ["purchases", *found.covers],
            "spent_wan": found.fund_spent_wan,
            "left_wan": round(found.fund_wan - found.fund_spent_wan, 4),
        },
        "stretches": [
            {
                "utility": one.utility,
                "users": list(one.users),
                "length_m": round(one.geometry.length, 1),
                "geometry": shapely.geometry.mapping(one.geometry),
                "crs": world.crs.to_string(),
            }
            for one in found.stretches
            if one.geometry.length > 0
        ],
    }


def served_by(found: Bill, key: str) -> dict[str, Any]:
    """Which facility a project is connected to, by utility; a second supply beside the first."""
    said: dict[str, Any] = {}
    for link in (link for one in found.owed if one.key == key for link in one.links):
        to = {"facility": link.connection.facility, "name": link.connection.name, "grade": link.connection.grade}
        name = link.utility if link.utility not in said else f"{link.utility}_second"
        said[name] = to
    return said


def _owed(one: Owed) -> dict[str, Any]:
    return {
        "project": one.project,
        "component": one.component,
        "connection_wan": {
            "alone": one.alone_wan,
            "share": one.share_wan,
            "saving": round(one.alone_wan - one.share_wan, 4),
        },
        "earthwork_wan": _band(one.earthwork_wan),
        "land_wan": _band(one.land_wan),
        "total_wan": one.total_wan,
        "unknown": list(one.unknown),
        "connections": [_linked(link) for link in one.links],
    }


def _linked(one: Linked) -> dict[str, Any]:
    return {
        **told_without_way(one.connection),
        "alone_wan": one.alone_wan,
        "share_wan": one.share_wan,
        "saving_wan": one.saving_wan,
    }


def _band(wan: Band | None) -> dict[str, float] | None:
    return None if wan is None else dict(zip(("low", "typical", "high"), wan, strict=True))
