"""Columns worked out of other columns of a meeting, so that ranking compares what an officer would compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from gis.estimate import amount_days
from gis.ground import Ground, Meeting, Needs, Outside, Shown
from gis.intervals import Interval
from layers.records import Project


@dataclass(frozen=True)
class InsideShare:
    """Share of a site, 0 to 1, that lies inside: what is left when the ground outside is taken away."""

    outside: Meeting | Outside
    role: str = "zones"
    unit: str = "share"

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        if isinstance(self.outside, Outside):
            left = _across(self.outside.measure(ground, 0.0).reshape(-1, 1), len(projects))
        else:
            left = self.outside.measure(ground, projects, needs)
        whole = ground.area_m2[:, None]
        return Interval(np.clip(1 - left.hi / whole, 0.0, 1.0), np.clip(1 - left.lo / whole, 0.0, 1.0))

    def evidence(self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs) -> None:
        return None


@dataclass(frozen=True)
class Served:
    """1 where a facility within reach has room for what a project draws, 0 where none has."""

    headroom: Meeting
    need: str
    unit: str = "flag"

    @property
    def role(self) -> str | None:
        return self.headroom.role

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        left, need = self.headroom.measure(ground, projects, needs), needs[self.need]
        known = ~(np.isnan(left.lo) | np.isnan(need.lo)[None, :])
        sure, may = left.lo >= need.hi[None, :], left.hi >= need.lo[None, :]
        return Interval(sure.astype(float), may.astype(float)).where(known)

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        return self.headroom.evidence(site, ground, projects, needs)


@dataclass(frozen=True)
class Ratio:
    """One need of a project over another, the same on every site; unknown where either is, or where nothing divides.

    `per_day` turns a daily need into a yearly one by the working days of the industry.
    """

    part: str
    whole: str
    unit: str
    per_day: bool = False
    role: None = None

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        part, whole = needs[self.part], needs[self.whole]
        days = [amount_days(project, ground.book) if self.per_day else (1.0, 1.0) for project in projects]
        least, most = np.array(days, dtype=float).reshape(-1, 2).T
        with np.errstate(divide="ignore", invalid="ignore"):
            lo, hi = part.lo * least / whole.hi, part.hi * most / whole.lo
        said = np.isfinite(lo) & np.isfinite(hi)
        one = Interval.exact(lo) if (lo == hi).all() else Interval(lo, hi)
        return _across(one.where(said).reshape(1, -1), ground.count, axis=0)

    def evidence(self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs) -> None:
        return None


def _across(one: Interval, count: int, axis: int = 1) -> Interval:
    """The same column for every project, or the same row for every site."""
    shape = (one.lo.shape[0], count) if axis == 1 else (count, one.lo.shape[1])
    lo = np.broadcast_to(one.lo, shape)
    return Interval.exact(lo) if one.is_exact else Interval(lo, np.broadcast_to(one.hi, shape))
