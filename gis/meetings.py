"""Columns of the meeting of a site and a project, (P, N): which facility serves, whether the zone fits the trade."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely

from gis import measure
from gis.agglomeration import SameChain
from gis.derived import InsideShare, Ratio, Served
from gis.footprint import FootprintFits
from gis.ground import SLIVER_M2, Ground, Meeting, Needs, Outside, Shown
from gis.intervals import Interval
from gis.network import Fit, Service, can_feed, can_supply, headroom_of, serve
from gis.raw_materials import RawMaterial
from gis.ways import WATER_REACH_M, WaterHead
from layers.records import Bools, Floats, Project, Snapshot

Kind = tuple[Callable[[Snapshot, Floats], Fit], str]
"""Which facilities are of a kind to serve, and the need column that asks for the kind."""


@dataclass(frozen=True)
class Serving:
    """The nearest facility that has enough left, or what is left within reach.

    `reach` is a need column in metres, or metres. `effluent plants` and `water works` reach by policy, a substation
    by the economic distance of the voltage the load needs. `fit` and its need column say which are of a kind to serve.
    """

    role: str
    need: str
    reach: str | float
    column: Callable[[Service], Interval]
    unit: str
    fit: Kind | None = None

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.exact(np.full((ground.count, len(projects)), np.nan))
        far = np.full(len(projects), 0.0 if isinstance(self.reach, str) else self.reach)
        reach = needs[self.reach] if isinstance(self.reach, str) else Interval.exact(far)
        to_each_m, headroom, surveyed_m = (
            ground.matrix_m(self.role, layer),
            self.headroom(ground),
            ground.depth_m(layer),
        )

        def served(need: Floats, reach_m: Floats, kind: Floats | None) -> Interval:
            fit = self.fit[0](layer, kind) if self.fit is not None and kind is not None else None
            return self.column(serve(to_each_m, headroom, need, reach_m, surveyed_m, fit))

        kind = needs[self.fit[1]] if self.fit is not None else None
        most = served(needs[self.need].hi, reach.hi, None if kind is None else kind.hi)
        if needs[self.need].is_exact and reach.is_exact:
            return most
        # An estimated load: who serves it and how far he may be both grow with it, so the ends bound what lies between.
        least = served(needs[self.need].lo, reach.lo, None if kind is None else kind.lo)
        return Interval(np.minimum(least.lo, most.lo), np.maximum(least.hi, most.hi))

    def headroom(self, ground: Ground) -> Floats:
        """(K,) what each facility has left, of its own and upstream."""
        layer = ground.layer(self.role)
        assert layer is not None
        return headroom_of(layer, ground.world.pools(), self.need)

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        layer = ground.layer(self.role)
        if layer is None or len(layer.pieces) == 0:
            return None
        enough = self.headroom(ground) >= needs[self.need].hi[0]
        if self.fit is not None:
            enough &= self.fit[0](layer, needs[self.fit[1]].hi[:1])[0][:, 0]
        distance_m = np.where(enough if enough.any() else True, ground.matrix_m(self.role, layer)[0], np.inf)
        row = int(np.argmin(distance_m))
        way = self._way(site, ground, str(layer.column("id")[row]))
        if way is not None:
            return Shown(way, (layer.names[row],))
        pieces = layer.pieces[layer.owner == row]
        nearest = pieces[int(np.argmin(shapely.distance(site, pieces)))]
        return Shown(shapely.shortest_line(site, nearest), (layer.names[row],))

    def _way(self, site: shapely.Geometry, ground: Ground, facility: str) -> shapely.Geometry | None:
        """The kept route to a facility; None where none is kept."""
        utility = next(name for name, kind in UTILITY_ROLES.items() if kind == self.role)
        reached = None if ground.routes is None else ground.routes(utility, self.role, facility)
        route = None if reached is None else reached.route(site)
        return None if route is None else route.line


@dataclass(frozen=True)
class OutsideFittingZone:
    """Square metres of a site that lie in no park zone meant for the project's industry."""

    role: str = "zones"
    unit: str = "m2"

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        zones = ground.layer(self.role)
        if zones is None:
            return Interval.exact(np.full((ground.count, len(projects)), np.nan))
        table = ground.overlaps(self.role, zones)
        said = zones.column("industries")
        columns = []
        for project in projects:
            certain, possible = fitting(said, project)
            lo = ground.area_m2 - measure.covered_m2(ground.sites, zones, table, possible)
            hi = ground.area_m2 - measure.covered_m2(ground.sites, zones, table, certain)
            columns.append((lo, hi))
        lo = np.stack([low for low, _ in columns], axis=1)
        hi = np.stack([high for _, high in columns], axis=1)
        return Interval(_dustless(lo), _dustless(hi)).where(ground.surveyed(zones)[:, None] & np.ones_like(lo, bool))

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        zones = ground.layer(self.role)
        if zones is None:
            return None
        inside = measure.shared_ground(site, zones)
        return Shown(site, () if inside is None else tuple(zones.names[row] for row in inside[1]))


@dataclass(frozen=True)
class HeldByOthers:
    """Square metres of a site on ground that a reservation of another project, or of a batch, holds in the ledger."""

    role: str = "placed"
    unit: str = "m2"

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        held = ground.layer(self.role)
        if held is None:
            return Interval.exact(np.full((ground.count, len(projects)), np.nan))
        if len(held.pieces) == 0:
            return Interval.exact(np.zeros((ground.count, len(projects))))
        table = ground.overlaps(self.role, held)
        columns = [measure.covered_m2(ground.sites, held, table, others(held, one)) for one in projects]
        return Interval.exact(np.stack(columns, axis=1))

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        held = ground.layer(self.role)
        if held is None:
            return None
        theirs = held.where(others(held, projects[0]))
        shared = measure.shared_ground(site, theirs)
        return None if shared is None else Shown(shared[0], tuple(theirs.names[row] for row in shared[1]))


def others(held: Snapshot, project: Project) -> Bools:
    """(M,) the holds that are not the project's own."""
    mine: Bools = held.column("project") == project.key
    return ~mine


def fitting(said: Iterable[object], project: Project) -> tuple[Bools, Bools]:
    """Zones that certainly take the project's industry, and those that may.

    A code too coarse to tell may fit, and so may a zone that lists something which is no code.
    """
    lists = [industries_of(one) if isinstance(one, str) else None for one in said]
    if project.industry is None:
        return np.zeros(len(lists), dtype=bool), np.ones(len(lists), dtype=bool)
    digits = project.industry.digits
    certain = np.array([one is not None and digits.startswith(one.prefixes) for one in lists], dtype=bool)
    possible = [one is None or one.unread or any(prefix.startswith(digits) for prefix in one.prefixes) for one in lists]
    return certain, certain | np.array(possible, dtype=bool)


@dataclass(frozen=True)
class Listed:
    """The industries a zone is meant for: prefixes of GB/T 4754, and whether it lists something that is none."""

    prefixes: tuple[str, ...]
    unread: bool


@lru_cache(maxsize=1024)
def industries_of(text: str) -> Listed:
    """What a zone's list of industries says, codes with or without their letter, ranges of divisions, whole sections.

    >>> industries_of("C15, 3011；26-28")
    Listed(prefixes=('15', '3011', '26', '27', '28'), unread=False)
    >>> industries_of("食品加工")
    Listed(prefixes=(), unread=True)
    """
    prefixes: list[str] = []
    unread = not text.strip()
    for one in filter(None, re.split(r"[\s,，、;；/]+", text)):
        code = re.fullmatch(r"[A-Z]?(\d{2,4})", one)
        span = re.fullmatch(r"[A-Z]?(\d{2})[-–~至][A-Z]?(\d{2})", one)
        if code is not None:
            prefixes.append(code[1])
        elif span is not None or one in SECTIONS:
            first, last = (int(span[1]), int(span[2])) if span is not None else SECTIONS[one]
            prefixes.extend(f"{division:02}" for division in range(first, last + 1))
        else:
            unread = True
    return Listed(tuple(prefixes), unread)


def _dustless(area_m2: np.ndarray) -> np.ndarray:
    return np.where(np.abs(area_m2) < SLIVER_M2 * 1e3, 0.0, area_m2)


SECTIONS = {"B": (6, 12), "C": (13, 43), "D": (44, 46)}  # mining, manufacturing, power and water of GB/T 4754
CAN_FEED = (can_feed, "supply_kv")
CAN_SUPPLY = (can_supply, "water_m3d")
UTILITY_ROLES = {"power": "substations", "water": "water_sources", "effluent": "wastewater_plants"}
EFFLUENT_HEADROOM = Serving("wastewater_plants", "effluent_m3d", WATER_REACH_M, lambda s: s.headroom, "m3d")
MEETINGS: dict[str, Meeting] = {
    "outside_fitting_zone_m2": OutsideFittingZone(),
    "footprint_fits": FootprintFits(),
    "held_by_others_m2": HeldByOthers(),
    "power_serving_m": Serving("substations", "power_kva", "power_reach_m", lambda s: s.distance_m, "m", CAN_FEED),
    "power_headroom_kva": Serving("substations", "power_kva", "power_reach_m", lambda s: s.headroom, "kva", CAN_FEED),
    "power_sources": Serving("substations", "power_kva", "power_reach_m", lambda s: s.count, "sources", CAN_FEED),
    "water_head_m": WaterHead(),
    "water_serving_m": Serving("water_sources", "water_m3d", WATER_REACH_M, lambda s: s.distance_m, "m", CAN_SUPPLY),
    "water_headroom_m3d": Serving("water_sources", "water_m3d", WATER_REACH_M, lambda s: s.headroom, "m3d", CAN_SUPPLY),
    "effluent_headroom_m3d": EFFLUENT_HEADROOM,
    # the five principles, as measures that rank (`gis.principles`)
    "same_chain_plants": SameChain(count=True, unit="plants"),
    "same_chain_m": SameChain(count=False, unit="m"),
    "inside_zones_share": InsideShare(Outside("zones")),
    "inside_fitting_zone_share": InsideShare(OutsideFittingZone()),
    "investment_intensity_ratio": Ratio("investment_wan_per_ha", "investment_wan_per_ha_min", "times"),
    "output_intensity_ratio": Ratio("output_wan_per_ha", "output_wan_per_ha_min", "times"),
    "tax_intensity_ratio": Ratio("tax_wan_per_ha", "tax_wan_per_ha_min", "times"),
    "water_m3_per_wan": Ratio("water_mean_m3d", "output_wan", "m3/wan", per_day=True),
    "energy_tce_per_wan": Ratio("energy_tce", "output_wan", "tce/wan"),
    "effluent_served": Served(EFFLUENT_HEADROOM, "effluent_m3d"),
    "effluent_serving_m": Serving("wastewater_plants", "effluent_m3d", WATER_REACH_M, lambda s: s.distance_m, "m"),
    "raw_material_m": RawMaterial(),
}


def measure_meetings(
    ground: Ground, names: Iterable[str], projects: Sequence[Project], needs: Needs
) -> dict[str, Interval]:
    """The named meeting columns of a block of sites with all projects, each (P, N)."""
    return {name: MEETINGS[name].measure(ground, projects, needs) for name in names}


def reads(name: str) -> tuple[str, ...]:
    """The need columns a meeting column rests on."""
    one = MEETINGS.get(name)
    if isinstance(one, WaterHead):
        return (one.need,)
    if not isinstance(one, Serving):
        return ()
    kind = (one.fit[1],) if one.fit is not None else ()
    return (one.need, one.reach, *kind) if isinstance(one.reach, str) else (one.need, *kind)
