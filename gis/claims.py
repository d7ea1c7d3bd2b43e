"""What a reservation takes of what is shared, worked out from the site and the project, never told by the caller.

Quota is what the occupation review says has to be converted, in whole square metres and rounded up; where the
survey leaves it open, the most it can be. Loads are the project's own, the most where they are estimated, on the
nearest facility within reach that has enough left, and on those that feed it. Lorries load every stretch of road on
their way to the nearest trunk road, as the rule that judges the way asks of every stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from gis.ground import Ground
from gis.intervals import Interval
from gis.landuse import KINDS
from gis.meetings import MEETINGS, Kind, Serving
from gis.needs import measure_needs
from gis.network import headroom_of, route, upstream_of
from gis.quota import QuotaNeed, accounts, shares
from gis.rules import Rulebook
from gis.ways import WATER_REACH_M, reach_of
from layers.errors import BadInput, Fault
from layers.records import Areas, Bools, Claim, Load, Other, Project, Snapshot, World

ROAD_REACH_M = 2_000.0  # assumption: the access of a plant meets a road within this


@dataclass(frozen=True)
class Demand:
    """A kind of load: the need it is, the layer that serves it, and how far that may be."""

    kind: str
    role: str
    reach: str | float
    zh: str
    fit: Kind | None = None


def _served(meeting: str, zh: str) -> Demand:
    one = MEETINGS[meeting]
    assert isinstance(one, Serving)
    return Demand(one.need, one.role, one.reach, zh, one.fit)


DEMANDS = (
    _served("power_headroom_kva", "报装容量"),
    _served("water_headroom_m3d", "用水量"),
    _served("effluent_headroom_m3d", "排水量"),
    Demand("freight_td", "roads", ROAD_REACH_M, "货运量"),
)
SUPPLEMENT = (("balance_area", "cultivated", "补充耕地数量"), ("balance_paddy", "paddy", "补充水田"))
__all__ = ["DEMANDS", "ROAD_REACH_M", "WATER_REACH_M", "claim"]


def claim(
    site: shapely.Geometry, project: Project | None, rulebook: Rulebook, world: World, charge_to: str | None = None
) -> Claim:
    """What holding a site for a project (None: a batch, which has no loads) takes in `world.for_year`.

    BadInput where nobody can say what quota it needs or who is charged: all that is unknown at once.
    """
    ground = Ground(np.array([site], dtype=object), world, rulebook)
    faults: list[Fault] = []
    areas = _areas(ground, faults)
    units = _shares(ground, "new_construction", charge_to) if areas.new_construction else []
    if units is None:
        fix = "Name the unit in charge_to, or have its quota entered (下达、分解)"
        faults.append(Fault(f"no unit keeps quota of {world.for_year} for all of this ground", fix, field="charge_to"))
    if faults:
        raise BadInput("what it would take is not known", faults)
    untaken: list[tuple[str, str]] = []
    others = [*_supplement(ground, areas, charge_to, untaken), *_energy(ground, project, charge_to, untaken)]
    loads = _loads(ground, project, rulebook, untaken) if project is not None else []
    return Claim(areas, tuple(units or ()), tuple(others), tuple(loads), tuple(untaken))


def _areas(ground: Ground, faults: list[Fault]) -> Areas:
    needs = [float(QuotaNeed(kind).measure(ground, 0.0).hi[0]) for kind in KINDS]
    if not all(math.isfinite(one) for one in needs):
        fix = "Import land_use (and approved_land) for this ground"
        faults.append(
            Fault("the land use of the site is not surveyed, so that its quota is unknown", fix, field="site")
        )
        return Areas()
    return Areas(*(_up(one) for one in needs))


def _up(amount: float) -> int:
    """A whole number that is surely enough: noise in the last bit of a float is no square metre."""
    return math.ceil(round(amount, 3))


def _shares(ground: Ground, kind: str, charge_to: str | None) -> list[tuple[str, float]] | None:
    return [(charge_to, 1.0)] if charge_to is not None else shares(ground, kind)


def _supplement(ground: Ground, areas: Areas, charge_to: str | None, untaken: list[tuple[str, str]]) -> list[Other]:
    """占补: cultivated ground and paddy are made good by replacement farmland, where its accounts are kept."""
    found, amounts = [], dict(areas.items())
    for kind, follows, zh in SUPPLEMENT:
        if amounts[follows]:
            units = _kept(ground, kind, charge_to)
            if units is None:
                untaken.append((kind, f"{zh}：台账无此账户"))
            else:
                found.append(Other(kind, amounts[follows], tuple(units)))
    if amounts["cultivated"]:
        untaken.append(("balance_yield", "补充粮食产能：缺耕地等别，未知"))
    return found


def _energy(
    ground: Ground, project: Project | None, charge_to: str | None, untaken: list[tuple[str, str]]
) -> list[Other]:
    units = _kept(ground, "energy_tce", charge_to)
    if project is None or units is None:
        return []
    if project.energy_tce is None:
        untaken.append(("energy_tce", "能耗：项目未填写"))
        return []
    return [Other("energy_tce", _up(project.energy_tce), tuple(units))] if project.energy_tce else []


def _kept(ground: Ground, kind: str, charge_to: str | None) -> list[tuple[str, float]] | None:
    """Who is charged for a kind that not every unit keeps: the one named where it does, else by area."""
    if charge_to is not None and charge_to in accounts(ground).get(kind, {}):
        return [(charge_to, 1.0)]
    return shares(ground, kind)


def _loads(ground: Ground, project: Project, rulebook: Rulebook, untaken: list[tuple[str, str]]) -> list[Load]:
    needs = measure_needs([project], rulebook)
    found = []
    for one in DEMANDS:
        amount = float(needs[one.kind].hi[0])
        if math.isnan(amount):
            untaken.append((one.kind, f"{one.zh}：项目未填写"))
            continue
        if amount <= 0:
            continue
        routes = _routes(ground, one, amount, needs)
        if routes is None:
            untaken.append((one.kind, f"{one.zh}：可达范围内的设施容量不明"))
        elif not routes:  # how far is reachable is an assumption, which may not refuse anybody
            untaken.append((one.kind, f"{one.zh}：可达范围内无设施，须另行落实"))
        else:
            found.append(Load(one.kind, _up(amount), tuple(routes)))
    return found


def _routes(ground: Ground, one: Demand, amount: float, needs: dict[str, Interval]) -> Sequence[tuple[str, ...]] | None:
    """The accounts of the facilities within reach, the nearest first, each with those upstream that keep one.

    None where nobody knows of any capacity there; empty where no facility is within reach.
    """
    layer = ground.layer(one.role)
    reach_m = float(needs[one.reach].hi[0]) if isinstance(one.reach, str) else one.reach
    if layer is None or math.isnan(reach_m):
        return None
    pools = ground.world.pools()
    far_m = ground.matrix_m(one.role, layer)[0]
    known = ~np.isnan(headroom_of(layer, pools, one.kind))
    within = far_m <= reach_m
    if one.fit is not None:
        within &= one.fit[0](layer, needs[one.fit[1]].hi[:1])[1][:, 0]
    if one.role == "roads":
        return _way(ground, layer, known, bool(within.any()), one.kind)
    near = np.flatnonzero(within)
    if not known.any() or (len(near) and not known[near].any()):
        return None  # nobody knows what there is
    upstream = layer.once("upstream", upstream_of)
    ids = layer.column("id")
    order = near[np.argsort(far_m[near], kind="stable")]
    names = [[f"capacity/{name}/{one.kind}" for name in route(str(ids[row]), upstream)] for row in order if known[row]]
    return [tuple(name for name in some if name in pools) for some in names]


def _way(ground: Ground, roads: Snapshot, known: Bools, is_near: bool, kind: str) -> Sequence[tuple[str, ...]] | None:
    """The accounts of the stretches from the gate to the trunk road; of the first where the drawing leads to none.

    None where a stretch of the way keeps no account: what it still carries is not known.
    """
    if not is_near:
        return []
    reach = reach_of(ground)
    assert reach is not None
    rows = np.array(list(dict.fromkeys(reach.roads.network.row[reach.edges(0)].tolist())), dtype=np.int64)
    if not known[rows].all():
        return None
    return [tuple(f"capacity/{roads.column('id')[row]}/{kind}" for row in rows)]
