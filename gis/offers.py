"""Where projects might stand: plots and parcels as they are, adjacent ones together, parts cut from large ones.

Every candidate lies within the bounds of at least one project's land, is in one piece and compact; none stands twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from layers.records import Bools, Floats, Geoms, Ints, Project

LARGER = 1.5  # assumption: without land_max_m2 a project takes up to half as much again as it asks for
COMPACT = 0.25  # isoperimetric quotient (1 a circle, 0.785 a square, 0.25 a strip of about 1 : 11)
TOUCH_M = 1.0  # of common border for two parcels to be one block
LEVELS = 33  # slices of a large plot by which the place of a cut is found
SHARED_M2 = 0.01


@dataclass(frozen=True, eq=False)
class Candidates:
    """S pieces of ground.

    ground : (S,) working CRS; names : what it is made of; members : rows of the parcels it is made of
    whole : (S,) whether it takes these entirely; fits : (S, N) area within the project's bounds
    """

    ground: Geoms
    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    whole: Bools
    fits: Bools

    def overlaps(self) -> list[Ints]:
        """Groups of candidates that share ground, at most one of which can be used."""
        none: Ints = np.zeros(0, dtype=np.int64)
        member = np.concatenate([none, *(np.array(one, dtype=np.int64) for one in self.members)])
        owner = np.repeat(np.arange(len(self.members)), [len(one) for one in self.members])
        rows = pd.DataFrame({"member": member, "owner": owner, "whole": self.whole[owner]})
        groups: list[Ints] = []
        for _, one in rows.groupby("member"):
            together = one["owner"].to_numpy()
            entire, parts = together[one["whole"]], together[~one["whole"]]
            if len(entire) > 1 and not len(parts):
                groups.append(entire)
            if len(parts):
                groups.extend(np.append(entire, clique) for clique in self._cliques(parts))
        return [one for one in groups if len(one) > 1]

    def _cliques(self, parts: Ints) -> list[Ints]:
        """Sets of parts that all share ground with each other and together hold every pair that does; each part is in
        one at least. Few large sets make a plan far easier to prove than many pairs."""
        a, b = np.triu_indices(len(parts), 1)
        near = np.eye(len(parts), dtype=bool)
        shared = shapely.area(shapely.intersection(self.ground[parts[a]], self.ground[parts[b]])) > SHARED_M2
        near[a, b] = near[b, a] = shared
        left, found = near.copy(), []
        while left.any():
            first, second = divmod(int(left.argmax()), len(parts))
            clique = [first] if first == second else [first, second]
            for other in np.flatnonzero(near[first] & near[second]).tolist():
                if other not in clique and near[other, clique].all():
                    clique.append(other)
            left[np.ix_(clique, clique)] = False
            found.append(parts[clique])
        return found


def bounds_m2(project: Project, land_m2: float | None = None) -> tuple[float, float]:
    """The least and the most ground a project takes."""
    asked = project.land_m2 or land_m2 or np.nan
    return project.land_min_m2 or asked, project.land_max_m2 or LARGER * asked


def candidates(
    parcels: Geoms, names: Sequence[str], bounds: Floats, *, together: int = 4, cut: bool = True, most: int = 5_000
) -> Candidates:
    """Candidates for projects with (N, 2) bounds of land, from P parcels.

    together : how many adjacent parcels may make one block; most : how many blocks of several are kept, compact first
    """
    area_m2 = shapely.area(parcels)
    found: list[tuple[shapely.Geometry, str, tuple[int, ...], bool]] = []
    useful = _within(area_m2, bounds).any(axis=1)
    found += [(parcels[row], names[row], (int(row),), True) for row in np.flatnonzero(useful).tolist()]
    if together > 1:
        found += _blocks(parcels, names, area_m2, bounds, together, most)
    if cut:
        found += _cuts(parcels, names, area_m2, bounds)
    ground = np.array([*(one[0] for one in found), None], dtype=object)[:-1]
    return Candidates(
        ground,
        tuple(one[1] for one in found),
        tuple(one[2] for one in found),
        np.array([one[3] for one in found], dtype=bool),
        _within(shapely.area(ground), bounds),
    )


def _within(area_m2: Floats, bounds: Floats) -> Bools:
    least, most = bounds[:, 0] * (1 - 1e-9), bounds[:, 1] * (1 + 1e-9)
    return np.asarray((area_m2[:, None] >= least) & (area_m2[:, None] <= most), dtype=bool)


def compactness(ground: Geoms) -> Floats:
    """(P,) isoperimetric quotient, 1 for a circle.

    >>> compactness(np.array([shapely.box(0, 0, 1, 1)])).round(3).tolist()
    [0.785]
    """
    around = shapely.length(ground)
    return np.asarray(4 * np.pi * shapely.area(ground) / np.maximum(around**2, 1e-9), dtype=float)


def _blocks(
    parcels: Geoms, names: Sequence[str], area_m2: Floats, bounds: Floats, together: int, most: int
) -> list[tuple[shapely.Geometry, str, tuple[int, ...], bool]]:
    """Unions of adjacent parcels, grown one by one; the parcels themselves may be smaller than any project."""
    largest = float(np.nanmax(bounds[:, 1]))
    left, right = shapely.STRtree(parcels).query(parcels, predicate="intersects")
    keep = (left < right) & (area_m2[left] + area_m2[right] <= largest)
    left, right = left[keep], right[keep]
    shared = shapely.length(shapely.intersection(shapely.boundary(parcels[left]), shapely.boundary(parcels[right])))
    left, right = left[shared >= TOUCH_M], right[shared >= TOUCH_M]
    next_to: dict[int, list[int]] = {}
    for a, b in zip([*left.tolist(), *right.tolist()], [*right.tolist(), *left.tolist()], strict=True):
        next_to.setdefault(a, []).append(b)
    level = {tuple(pair) for pair in np.stack([left, right], axis=1).tolist()}
    found: list[tuple[shapely.Geometry, str, tuple[int, ...], bool]] = []
    for _ in range(together - 1):
        sets = sorted(level)[: 4 * most]
        if not sets:
            break
        sums = np.array([area_m2[list(one)].sum() for one in sets])
        fits = np.flatnonzero(_within(sums, bounds).any(axis=1))
        made = np.array([shapely.union_all(parcels[list(sets[row])]) for row in fits] + [None], dtype=object)[:-1]
        single = (shapely.get_type_id(made) == 3) & (compactness(made) >= COMPACT)
        found += [
            (made[k], "+".join(names[n] for n in sets[fits[k]]), sets[fits[k]], True) for k in np.flatnonzero(single)
        ]
        level = {
            tuple(sorted({*one, other}))
            for one, total in zip(sets, sums, strict=True)
            for member in one
            for other in next_to.get(member, [])
            if other not in one and total + area_m2[other] <= largest
        }
    if not found:
        return []
    order = np.argsort(-compactness(np.array([one[0] for one in found], dtype=object)), kind="stable")
    return [found[row] for row in order[:most].tolist()]


def _cuts(
    parcels: Geoms, names: Sequence[str], area_m2: Floats, bounds: Floats
) -> list[tuple[shapely.Geometry, str, tuple[int, ...], bool]]:
    """Parts of parcels too large for a project, cut across their long and their short axis from either end."""
    found: list[tuple[shapely.Geometry, str, tuple[int, ...], bool]] = []
    wanted = np.unique(bounds[np.isfinite(bounds[:, 0]), 0])
    for row in np.flatnonzero(area_m2 > wanted.min(initial=np.inf)).tolist():
        targets = wanted[wanted * LARGER < area_m2[row]]
        if not len(targets):
            continue
        for axis, (slices, reach) in enumerate(_slices(parcels[row])):
            shares = shapely.area(shapely.intersection(parcels[row], slices))
            for end, order in enumerate((slice(None), slice(None, None, -1))):
                cumulated = np.concatenate([[0.0], np.cumsum(shares[order])])
                places = np.interp(targets * 1.002, cumulated, np.linspace(0, 1, LEVELS))
                for target, place in zip(targets, places, strict=True):
                    part = shapely.intersection(parcels[row], reach(place if end == 0 else 1 - place, end == 0))
                    if (
                        part.geom_type == "Polygon"
                        and part.area >= target
                        and compactness(np.array([part]))[0] >= COMPACT
                    ):
                        found.append((part, f"{names[row]}/{axis + 1}{'ab'[end]}{target:.0f}", (int(row),), False))
    return found


def _slices(ground: shapely.Geometry) -> list[tuple[NDArray[np.object_], Reach]]:
    """For both axes of the smallest rectangle around the ground: equal slices, and what lies before a place."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(ground))[:4]
    out = []
    for a, b, d in ((0, 1, 3), (1, 2, 0)):
        origin, along, across = corners[a], corners[b] - corners[a], corners[d] - corners[a]
        if not (np.hypot(*along) and np.hypot(*across)):
            continue
        steps = np.linspace(0, 1, LEVELS)
        reach = Reach(origin, along, across)
        out.append((np.array([reach.between(a, b) for a, b in pairwise(steps)]), reach))
    return out


@dataclass(frozen=True, eq=False)
class Reach:
    """A rectangle by its corner and sides, cut at shares of the first."""

    origin: Floats
    along: Floats
    across: Floats

    def between(self, low: float, high: float) -> shapely.Geometry:
        first, last = self.origin + low * self.along, self.origin + high * self.along
        wide = 1e-6 * self.across
        return shapely.Polygon([first - wide, last - wide, last + self.across + wide, first + self.across + wide])

    def __call__(self, place: float, before: bool) -> shapely.Geometry:
        return self.between(-1e-6, place) if before else self.between(place, 1 + 1e-6)
