"""What a reservation takes of what is shared, worked out from the site and the project, never told by the caller.

Quota is what the occupation review says has to be converted, in whole square metres and rounded up; where the
survey leaves it open, the most it can be. Loads are the project's own, the most where they are estimated, on the
nearest facility within reach that has enough left, and on those that feed it. Lorries load every stretch of road on
their way to the nearest trunk road, as the rule that judges the way asks of every stretch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import shapely

from gis.ground import Ground
from gis.intervals import Interval
from gis.landuse import KINDS
from gis.needs import measure_needs
from gis.quota import QuotaNeed, accounts, shares
from gis.rules import Rulebook
from gis.serving import DEMANDS, FREIGHT, Demand, Routes, reachable, ways, whole
from layers.errors import BadInput, Fault
from layers.records import Areas, Claim, Load, Other, Project, World

SUPPLEMENT = (("balance_area", "cultivated", "补充耕地数量"), ("balance_paddy", "paddy", "补充水田"))


def claim(
    site: shapely.Geometry,
    project: Project | None,
    rulebook: Rulebook,
    world: World,
    charge_to: str | None = None,
    *,
    linked: bool = False,
) -> Claim:
    """What holding a site for a project (None: a batch, which has no loads) takes in `world.for_year`.

    `linked`: the new construction is charged to what was saved by clearing and reclaiming elsewhere (增减挂钩), not to
    the year's plan; the reclaimed ground makes good its farmland (decision 0017).

    BadInput where nobody can say what quota it needs or who is charged: all that is unknown at once.
    """
    ground = Ground(np.array([site], dtype=object), world, rulebook)
    faults: list[Fault] = []
    areas = _areas(ground, faults)
    kind = "linked" if linked else "new_construction"
    units = _shares(ground, kind, charge_to) if areas.new_construction else []
    if units is None and linked:
        fix = "Name the unit in charge_to, or have its quota entered (下达、调剂 of quota/<unit>/<year>/linked)"
        faults.append(Fault("no unit keeps linked quota (增减挂钩) for all of this ground", fix, field="linked"))
    elif units is None:
        fix = "Name the unit in charge_to, or have its quota entered (下达、分解)"
        faults.append(Fault(f"no unit keeps quota of {world.for_year} for all of this ground", fix, field="charge_to"))
    if faults:
        raise BadInput("what it would take is not known", faults)
    untaken: list[tuple[str, str]] = []
    others = _reclaimed(areas, units or [], untaken) if linked else _supplement(ground, areas, charge_to, untaken)
    others += _energy(ground, project, charge_to, untaken)
    loads = _loads(ground, project, rulebook, untaken) if project is not None else []
    return Claim(areas, () if linked else tuple(units or ()), tuple(others), tuple(loads), tuple(untaken))


def _areas(ground: Ground, faults: list[Fault]) -> Areas:
    needs = [float(QuotaNeed(kind).measure(ground, 0.0).hi[0]) for kind in KINDS]
    if not all(math.isfinite(one) for one in needs):
        fix = "Import land_use (and approved_land) for this ground"
        faults.append(
            Fault("the land use of the site is not surveyed, so that its quota is unknown", fix, field="site")
        )
        return Areas()
    return Areas(*(whole(one) for one in needs))


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


def _reclaimed(areas: Areas, units: list[tuple[str, float]], untaken: list[tuple[str, str]]) -> list[Other]:
    """增减挂钩: all that is newly built on, of what was saved by clearing; its farmland is made good there as well."""
    for kind, follows, zh in SUPPLEMENT:
        if dict(areas.items())[follows]:
            untaken.append((kind, f"{zh}：由增减挂钩拆旧区复垦落实"))
    return [Other("linked", areas.new_construction, tuple(units))] if areas.new_construction else []


def _energy(
    ground: Ground, project: Project | None, charge_to: str | None, untaken: list[tuple[str, str]]
) -> list[Other]:
    units = _kept(ground, "energy_tce", charge_to)
    if project is None or units is None:
        return []
    if project.energy_tce is None:
        untaken.append(("energy_tce", "能耗：项目未填写"))
        return []
    return [Other("energy_tce", whole(project.energy_tce), tuple(units))] if project.energy_tce else []


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
        routes = _routes(ground, one, needs)
        if routes is None:
            untaken.append((one.kind, f"{one.zh}：可达范围内的设施容量不明"))
        elif not routes:  # how far is reachable is an assumption, which may not refuse anybody
            untaken.append((one.kind, f"{one.zh}：可达范围内无设施，须另行落实"))
        else:
            found.append(Load(one.kind, whole(amount), tuple(routes)))
    return found


def _routes(ground: Ground, one: Demand, needs: Mapping[str, Interval]) -> Routes | None:
    if one is FREIGHT:
        return ways(ground)[0]
    found = reachable(ground, one, needs)
    return None if found is None else found.routes(0, 0)
