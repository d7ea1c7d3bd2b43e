"""Columns of the meeting of a site and a project, (P, N): which facility serves, whether the zone fits the trade."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import shapely

from gis import measure
from gis.ground import SLIVER_M2, Ground, Shown
from gis.intervals import Interval
from gis.network import Service, headroom_of, serve
from layers.records import Bools, Project

Needs = Mapping[str, Interval]


class Meeting(Protocol):
    """A column of sites and projects."""

    @property
    def role(self) -> str: ...

    @property
    def unit(self) -> str: ...

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval: ...

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None: ...


@dataclass(frozen=True)
class Serving:
    """The nearest facility that has enough left, or what is left within reach.

    `reach` is a need column in metres, or metres. `effluent plants` and `water works` reach by policy, a substation
    by the economic distance of the voltage the load needs.
    """

    role: str
    need: str
    reach: str | float
    column: Callable[[Service], Interval]
    unit: str

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.exact(np.full((ground.count, len(projects)), np.nan))
        need = needs[self.need].hi
        reach_m = needs[self.reach].hi if isinstance(self.reach, str) else np.full(len(projects), self.reach)
        surveyed_m = ground.depth_m(layer)
        return self.column(serve(ground.matrix_m(self.role, layer), self._headroom(ground), need, reach_m, surveyed_m))

    def _headroom(self, ground: Ground) -> np.ndarray:
        layer = ground.layer(self.role)
        assert layer is not None
        return headroom_of(layer.column("id"), ground.world.pools(), self.need)

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        layer = ground.layer(self.role)
        if layer is None or len(layer.pieces) == 0:
            return None
        enough = self._headroom(ground) >= needs[self.need].hi[0]
        distance_m = np.where(enough if enough.any() else True, ground.matrix_m(self.role, layer)[0], np.inf)
        row = int(np.argmin(distance_m))
        pieces = layer.pieces[layer.owner == row]
        nearest = pieces[int(np.argmin(shapely.distance(site, pieces)))]
        return Shown(shapely.shortest_line(site, nearest), (layer.names[row],))


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
            certain, possible = _fits(said, project)
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


def _fits(said: Iterable[object], project: Project) -> tuple[Bools, Bools]:
    """Zones that certainly take the project's industry, and those that may."""
    unsaid = np.array([not isinstance(one, str) for one in said], dtype=bool)
    if project.industry is None:
        return np.zeros_like(unsaid), np.ones_like(unsaid)
    digits = project.industry.digits
    fits = np.array(
        [
            isinstance(prefixes, str)
            and any(digits.startswith(one.strip()) for one in prefixes.split(",") if one.strip())
            for prefixes in said
        ],
        dtype=bool,
    )
    return fits, fits | unsaid


def _dustless(area_m2: np.ndarray) -> np.ndarray:
    return np.where(np.abs(area_m2) < SLIVER_M2 * 1e3, 0.0, area_m2)


WATER_REACH_M = 8_000.0  # assumption: how far a works or an effluent plant may be before a trunk main is a project
MEETINGS: dict[str, Meeting] = {
    "outside_fitting_zone_m2": OutsideFittingZone(),
    "power_serving_m": Serving("substations", "power_kva", "power_reach_m", lambda s: s.distance_m, "m"),
    "power_headroom_kva": Serving("substations", "power_kva", "power_reach_m", lambda s: s.headroom, "kva"),
    "water_serving_m": Serving("water_sources", "water_m3d", WATER_REACH_M, lambda s: s.distance_m, "m"),
    "water_headroom_m3d": Serving("water_sources", "water_m3d", WATER_REACH_M, lambda s: s.headroom, "m3d"),
    "effluent_headroom_m3d": Serving("wastewater_plants", "effluent_m3d", WATER_REACH_M, lambda s: s.headroom, "m3d"),
}


def measure_meetings(
    ground: Ground, names: Iterable[str], projects: Sequence[Project], needs: Needs
) -> dict[str, Interval]:
    """The named meeting columns of a block of sites with all projects, each (P, N)."""
    return {name: MEETINGS[name].measure(ground, projects, needs) for name in names}
