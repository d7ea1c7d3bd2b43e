"""May these projects stand on these sites? One call for one cell, one column or the whole table.

sites x layers -> facts (P,)      projects -> needs (N,)      their meeting -> meetings (P, N)
each rule: one comparison -> status (P, N)          the worst outcome of a cell -> verdict (P, N)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from gis.facts import FACTS, FULL, Facts, measure_facts
from gis.ground import Ground, Routes
from gis.intervals import Interval, concatenate
from gis.judge import Status, Statuses, Verdict, margin, outcome, status
from gis.meetings import MEETINGS, measure_meetings
from gis.needs import NEEDS, estimated_needs, measure_needs
from gis.rules import Rule, Rulebook, load, reach_m
from layers.errors import BadInput, Fault
from layers.records import Geoms, Project, Purpose, World

BLOCK = 1024  # sites measured together: enough to keep numpy busy, few enough to share between threads


def rulebook() -> Rulebook:
    """The rulebook shipped with this package."""
    return load([*FACTS, *NEEDS, *MEETINGS])


@dataclass(frozen=True, eq=False)
class Checked:
    """The answer for P sites and N projects. `status` is (R, P, N) by rule, `verdict` (P, N)."""

    sites: Geoms
    projects: tuple[Project, ...]
    rulebook: Rulebook
    rules: tuple[Rule, ...]
    world: World
    purpose: Purpose
    facts: Facts
    needs: dict[str, Interval]
    meetings: dict[str, Interval]
    status: Statuses
    verdict: NDArray[np.int8]
    replaced: dict[str, str]
    last: Ground
    routes: Routes | None = None

    @cached_property
    def estimated(self) -> tuple[frozenset[str], ...]:
        """For each project, the need columns that rest on an estimate."""
        return tuple(estimated_needs(project, self.rulebook) for project in self.projects)

    def ground(self, i: int) -> Ground:
        """Site `i` alone in the world, for whoever spells its cell out; what was measured on it is kept."""
        if len(self.sites) == 1:
            return self.last
        return Ground(self.sites[i : i + 1], self.world, self.rulebook, self.routes)

    def column(self, name: str | float, i: int, j: int) -> Interval:
        """One column of one cell, as an interval of one number."""
        if isinstance(name, (int, float)):
            return Interval.exact(np.array([float(name)]))
        if name in self.facts.columns:
            return self.facts.columns[name][i : i + 1]
        if name in self.needs:
            return self.needs[name][j : j + 1]
        return self.meetings[name][i : i + 1, j]


def check(
    sites: gpd.GeoDataFrame | gpd.GeoSeries | Iterable[shapely.Geometry],
    projects: Project | Sequence[Project],
    rulebook: Rulebook,
    world: World,
    *,
    purpose: Purpose = "screening",
    extra: Iterable[str] = (),
    routes: Routes | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Checked:
    """Check sites against projects.

    Parameters
    ----------
    sites : (P,) Polygon or MultiPolygon; a frame with a CRS is brought to the county's, bare geometries are in it
    projects : (N,) what each asks for
    rulebook : the rules; those asked at `purpose` and in force on `world.as_of` count
    world : the county as of a day, from `store.at(as_of, for_year)`
    extra : further facts to measure, whether a rule asks for them or not
    routes : what is kept of ways to facilities, to point at; no verdict depends on it
    told : hears how many sites are done, of how many; what it raises ends the measuring within a block or two

    Raises BadInput for sites that are not areas and for unknown industry codes, all of them at once.
    """
    asked = (projects,) if isinstance(projects, Project) else tuple(projects)
    geometries = _areas(sites, world)
    rules = rulebook.asked(purpose, world.as_of)
    needs = measure_needs(asked, rulebook)
    asks = [*(name for rule in rules for name in rule.columns), *extra]
    named = list(dict.fromkeys(one for name in asks for one in (FULL.get(name, name), name)))
    facts = [name for name in named if name in FACTS]
    meetings = [name for name in named if name in MEETINGS]
    reach = reach_m(rules)
    # A row nobody has confirmed lifts no other: its pass would turn a block into clear.
    replaced = {rule.replaces: rule.id for rule in rules if rule.replaces is not None and rule.is_confirmed}

    def block(start: int) -> tuple[dict[str, Interval], dict[str, Interval], Statuses, Ground]:
        ground = Ground(geometries[start : start + BLOCK], world, rulebook, routes)
        measured = measure_facts(ground, facts, reach)
        met = measure_meetings(ground, meetings, asked, needs)
        return measured, met, _judge(rules, measured, needs, met, (ground.count, len(asked)), replaced), ground

    starts = range(0, len(geometries), BLOCK)
    if len(starts) > 1:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = []
            try:
                for one in pool.map(block, starts):
                    done.append(one)
                    told(min(len(done) * BLOCK, len(geometries)), len(geometries))
            except BaseException:  # whoever listens may end it: what was not begun is not
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    else:
        done = [block(0)]
        told(len(geometries), len(geometries))
    measured, met, judged, grounds = zip(*done, strict=True)
    statuses = np.concatenate(judged, axis=1)
    return Checked(
        geometries,
        asked,
        rulebook,
        rules,
        world,
        purpose,
        Facts(len(geometries), {name: concatenate([one[name] for one in measured]) for name in facts}, reach),
        needs,
        {name: concatenate([one[name] for one in met]) for name in meetings},
        statuses,
        _verdict(rules, statuses),
        replaced,
        grounds[-1],
        routes,
    )


def _areas(sites: Any, world: World) -> Geoms:
    if isinstance(sites, (gpd.GeoDataFrame, gpd.GeoSeries)):
        series = sites.geometry
        moved = series if series.crs is None or series.crs == world.crs else series.to_crs(world.crs)
        geometries: Geoms = np.asarray(moved.values, dtype=object)
    else:
        geometries = np.array(list(sites), dtype=object)
    areas = np.isin(shapely.get_type_id(geometries), (3, 6)) & ~shapely.is_empty(geometries)
    areas[areas] &= np.isfinite(shapely.bounds(geometries[areas])).all(axis=1)
    areas[areas] &= shapely.is_valid(geometries[areas])
    if len(geometries) == 0 or not areas.all():
        raise BadInput(
            "a site is not an area that can be measured",
            [
                Fault(
                    "there is no site" if geometry is None else _not_an_area(geometry),
                    "Draw a closed boundary that does not cross itself",
                    feature=f"site {row + 1}",
                )
                for row, geometry in [(int(r), geometries[r]) for r in np.flatnonzero(~areas)[:1000]] or [(0, None)]
            ],
        )
    return geometries


def _not_an_area(geometry: shapely.Geometry) -> str:
    if geometry.geom_type not in ("Polygon", "MultiPolygon"):
        return f"it is a {geometry.geom_type}"
    if geometry.is_empty:
        return "it is empty"
    return f"its boundary is not valid: {shapely.is_valid_reason(geometry)}"


def _judge(
    rules: Sequence[Rule],
    facts: dict[str, Interval],
    needs: dict[str, Interval],
    meetings: dict[str, Interval],
    shape: tuple[int, int],
    replaced: dict[str, str],
) -> Statuses:
    """Status of every rule in every cell of a block, (R, P, N)."""

    @cache
    def column(name: str | float) -> Interval:
        if isinstance(name, (int, float)):
            return Interval.exact(np.full((1, 1), float(name)))
        if name in facts:
            return facts[name].reshape(-1, 1)
        return needs[name].reshape(1, -1) if name in needs else meetings[name]

    out = np.empty((len(rules), *shape), dtype=np.int8)
    for row, rule in enumerate(rules):
        applies = column(rule.when) if rule.when is not None else None
        out[row] = status(margin(column(rule.value), rule.op, column(rule.limit)), applies)
    at = {rule.id: row for row, rule in enumerate(rules)}
    for old, new in replaced.items():
        if old in at:  # only where the newer rule really answers; elsewhere the older one still does
            answers = (out[at[new]] == Status.PASS) | (out[at[new]] == Status.FAIL)
            out[at[old]][answers] = Status.EXEMPT
    return out


def _verdict(rules: Sequence[Rule], statuses: Statuses) -> NDArray[np.int8]:
    worst = np.full(statuses.shape[1:], Verdict.CLEAR, dtype=np.int8)
    for rule, one in zip(rules, statuses, strict=True):
        np.maximum(worst, outcome(one, rule.severity, rule.is_confirmed), out=worst)
    return worst
