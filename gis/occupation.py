"""Occupation review (压占分析): what one site stands on, layer by layer, from the same overlaps the rules read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from gis.ground import Ground
from layers.records import Snapshot

STATE_OWNED = ("10", "20", "21")  # QSXZ, TD/T 1057-2020
REVIEWED = (
    "basic_farmland",
    "farmland_reserve",
    "eco_redline",
    "urban_boundary",
    "nature_reserve",
    "water_protection",
    "river_management",
    "forest_land",
    "public_welfare_forest",
    "wetlands",
    "hazards",
    "mining_rights",
    "approved_land",
    "violations",
    "plan_zoning",
)


@dataclass(frozen=True)
class LandUse:
    """One class of the land-use table of a site; areas in square metres, ownership where the survey says it."""

    system: str
    edition: str
    code: str
    name: str
    area_m2: float
    state_m2: float
    collective_m2: float


def land_use(ground: Ground) -> list[LandUse]:
    """The land-use table of the first site of a block, largest class first; empty where the layer is not loaded."""
    layer = ground.layer("land_use")
    if layer is None:
        return []
    classes: dict[tuple[str, str], list[float]] = {}
    names: dict[tuple[str, str], str] = {}
    systems, codes = layer.column("code_system"), layer.column("code")
    said, owners = layer.column("code_name"), layer.column("ownership")
    for row, area_m2 in _first_site(ground, layer):
        key = (str(systems[row]), str(codes[row]))
        names.setdefault(key, said[row] if isinstance(said[row], str) else "")
        owner = owners[row]
        total = classes.setdefault(key, [0.0, 0.0, 0.0])
        total[0] += area_m2
        total[1 if owner in STATE_OWNED else 2] += area_m2 if isinstance(owner, str) else 0.0
    return [
        LandUse(system, system.rsplit("-", 1)[-1], code, names[system, code], *areas)
        for (system, code), areas in sorted(classes.items(), key=lambda item: -item[1][0])
    ]


def tables(ground: Ground) -> dict[str, list[dict[str, object]]]:
    """For the first site of a block: role -> features it stands on, with area and share. A role that is not
    loaded is absent, a role it does not touch is an empty table."""
    found: dict[str, list[dict[str, object]]] = {}
    for role in REVIEWED:
        layer = ground.layer(role)
        if layer is None:
            continue
        ids = layer.column("id")
        found[role] = [
            {
                "feature": ids[row],
                "name": layer.names[row],
                "area_m2": area_m2,
                "share": area_m2 / float(ground.area_m2[0]),
            }
            for row, area_m2 in _first_site(ground, layer)
        ]
    return found


def zone_shares(ground: Ground) -> list[tuple[str, float]]:
    """(zone id, share of the first site) by descending share."""
    layer = ground.layer("zones")
    if layer is None:
        return []
    ids = layer.column("id")
    return [(str(ids[row]), area_m2 / float(ground.area_m2[0])) for row, area_m2 in _first_site(ground, layer)]


def _first_site(ground: Ground, layer: Snapshot) -> list[tuple[int, float]]:
    """(row, square metres) of the features under the first site, largest first."""
    table = ground.overlaps(layer.layer.role, layer)
    mine = table.site == 0
    found = zip(table.feature[mine].tolist(), table.area_m2[mine].tolist(), strict=True)
    return sorted(found, key=lambda pair: -pair[1])


def control_area_m2(geometry: shapely.Geometry) -> float:
    """The one area that verdict, quota and report read: the plane area in the working CRS."""
    return float(np.round(shapely.area(geometry), 2))
