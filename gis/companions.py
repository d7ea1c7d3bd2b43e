"""What belongs together on the ground: a plant with its detached parts, and plants of one industrial chain.

A component (a slag yard, a second industry) is a project of its own with a column of its own: it is placed where its
plant is placed near enough, in the same year, or neither is. A bonus for two plants of a chain that stand near each
other is a project, too: it stands on a site that takes nothing, and needs both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from gis.agglomeration import chains_of
from gis.rules import Rulebook
from layers.records import Bools, Demands, Floats, Geoms, Ints, Project

Needs = list[tuple[Ints, Ints]]
OF_PLANT = ("industry", "nature", "stage", "preparation", "dust", "odour", "noise", "hazardous")


@dataclass(frozen=True)
class Linked:
    """A component by its column and its name, the column of its plant, and how far from it the component may stand."""

    component: int
    plant: int
    name: str
    within_m: float


@dataclass(frozen=True)
class Kin:
    """Two projects, by their columns, whose industries certainly belong to one chain."""

    one: int
    other: int


def parts_of(projects: Sequence[Project]) -> tuple[tuple[Project, ...], tuple[Linked, ...]]:
    """The projects, and behind them their components as projects, with the links.

    What a component does not say it shares with its plant: the industry and its nuisances. A demand it does not say is
    part of its plant's demand, so that its own is zero (decision 0016).

    >>> yard = {"name": "yard", "land_m2": 5, "linked_within_m": 90}
    >>> parts, links = parts_of([Project(id="P", land_m2=9, power_kva=4, components=(yard,))])
    >>> [one.key for one in parts], parts[1].power_kva, links
    (['P', 'P/yard'], 0.0, (Linked(component=1, plant=0, name='yard', within_m=90.0),))
    """
    parts, links = list(projects), []
    for n, project in enumerate(projects):
        for one in project.components:
            links.append(Linked(len(parts), n, one.name, one.linked_within_m))
            drawn = {name: _or_zero(getattr(one, name), name) for name in Demands.model_fields}
            shared = {name: getattr(project, name) for name in OF_PLANT}
            industry = {} if one.industry is None else {"industry": one.industry}
            own = {"id": f"{project.key}/{one.name}", "name": one.name, "land_m2": one.land_m2, "energy_tce": 0.0}
            parts.append(Project.model_validate({**drawn, **shared, **industry, **own}))
    return tuple(parts), tuple(links)


def _or_zero(said: float | bool | None, name: str) -> float | bool | None:
    return 0.0 if said is None and name != "dual_supply" else said


def kin_of(projects: Sequence[Project], book: Rulebook) -> tuple[Kin, ...]:
    """Pairs of projects of one chain, for certain; a component belongs to its plant and is in no pair."""
    chains = chains_of(book)
    if chains is None:
        return ()
    sure = [chains.of_project(one)[0] for one in projects]
    return tuple(Kin(i, j) for j in range(len(projects)) for i in range(j) if sure[i] & sure[j])


def linked(ground: Geoms, benefit: Floats, links: Iterable[Linked]) -> Needs:
    """The needs of components and their plants over (S * Y) rows: sites of the first year, of the second ..."""
    found: Needs = []
    count = len(ground)
    open_ = np.isfinite(benefit)
    for link in links:
        for first in range(0, len(benefit), count):
            these, those = (np.flatnonzero(open_[first : first + count, n]) for n in (link.plant, link.component))
            for some, near in _near(ground, these, those, link.within_m):
                found.append((_cells(first + some, link.plant), _cells(first + near, link.component)))
        found.append(tuple(_cells(np.flatnonzero(open_[:, n]), n) for n in (link.component, link.plant)))  # type: ignore[arg-type]
    return found


@dataclass(frozen=True, eq=False)
class Bonuses:
    """What pairs of a chain add to a plan: (V, K) benefit of K more projects on V more sites, and what they need."""

    pairs: tuple[Kin, ...]
    benefit: Floats
    needs: Needs


def bonuses(ground: Geoms, benefit: Floats, pairs: Iterable[Kin], value: float, within_m: float) -> Bonuses:
    """A bonus of `value` for each pair that stands within a distance, in whatever years."""
    count = len(ground)
    later = np.arange(0, len(benefit), count)
    open_: Bools = np.asarray(np.isfinite(benefit).reshape(len(later), count, -1).any(axis=0))
    kept: list[Kin] = []
    groups: list[tuple[int, Ints, Ints]] = []
    for pair in pairs:
        these, those = (np.flatnonzero(open_[:, n]) for n in (pair.one, pair.other))
        some = [(mine, near) for mine, near in _near(ground, these, those, within_m) if len(near)]
        if some:
            groups += [(len(kept), *one) for one in some]
            kept.append(pair)
    worth = np.full((len(groups), len(kept)), -np.inf)
    needs: Needs = []
    for v, (k, mine, near) in enumerate(groups):
        worth[v, k] = value
        bonus = _cells(np.array([len(benefit) + v]), benefit.shape[1] + k)
        for n, sites in ((kept[k].one, mine), (kept[k].other, near)):
            needs.append((bonus, _cells((sites[:, None] + later).ravel(), n)))
    return Bonuses(tuple(kept), worth, needs)


def _cells(sites: Ints, project: int) -> Ints:
    return np.stack([sites, np.full(len(sites), project, dtype=np.int64)], axis=1)


def _near(ground: Geoms, these: Ints, those: Ints, within_m: float) -> list[tuple[Ints, Ints]]:
    """Sets of `these` that have the same of `those` within a distance, with them: few rows instead of one for each."""
    near = np.zeros((len(these), len(those)), dtype=bool)
    if len(these) and len(those):
        left, right = shapely.STRtree(ground[those]).query(ground[these], predicate="dwithin", distance=within_m)
        near[left, right] = True
    sets, which = np.unique(near, axis=0, return_inverse=True)
    return [(these[which.ravel() == k], those[one]) for k, one in enumerate(sets)] if len(these) else []
