"""How sure a hit is, given how well a layer's borders are known (边界精度).

A border drawn with an accuracy of a metres may truly run anywhere within a metres of where it is drawn. What a site
shares with a layer is *certain* where some of it lies deeper than that inside the border: no shift of the border by
as much could take it away. Otherwise it is a *boundary* touch: shown, named, and no reason to refuse.

The border is that of all features of one class together. Where a feature was cut into pieces, and where a neighbour
of the same class begins, there is none. A narrow site in the middle of farmland is certain, however narrow.

A hit is a site on one feature; outside a layer it is one connected piece of ground.

Accuracy cuts both ways. What is too large for a sliver is not forgiven by a coarse layer: it may be there or not
(`Certain`). And where the border is drawn beside a site, but no farther off than the accuracy, it may run inside
(`Reach`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis import measure
from gis.ground import SLIVER_M2, Ground, Outside, Overlap, Shown, clean, counted
from gis.intervals import Interval
from gis.rules import Tolerance
from layers.records import Bools, Floats, Geoms, Ints, Snapshot

Accuracy = Literal["certain", "boundary", "none"]
GAP_M = 5e-4  # neighbours of a class that miss each other by a millimetre are neighbours
CAREFUL = 1.02  # rounds off what a buffer's arcs and its own simplification may lack, on the side of "boundary"
ROUND = 16  # segments of a quarter of a circle
SLIVER_DEPTH_M = 2.0  # assumption: twice the metre that drawing on a 1:10,000 map explains
LEAST_M2 = 0.01  # the least that registers keep; a buffer's arcs may lack that much
SLIVER_SHARE = 0.1  # assumption: what takes a tenth of a site is no sliver, however narrow
CLASS = {  # the column that tells the classes of a role apart; other roles are one class
    "environment_units": "kind",
    "hazards": "grade",
    "land_use": "code",
    "nature_reserve": "kind",
    "plan_zoning": "code",
    "public_welfare_forest": "grade",
    "urban_boundary": "kind",
    "water_protection": "grade",
}


@dataclass(frozen=True)
class Classes:
    """(E,) how sure each row of an overlap table is, and how wide the ground of a boundary touch, else NaN."""

    accuracy: NDArray[np.str_]
    width_m: Floats


@dataclass(frozen=True)
class Certain:
    """Square metres of the hits that no shift of the border within the layer's accuracy takes away.

    What is not certain counts as zero only where it is a sliver: all of it takes less than SLIVER_SHARE of the site
    and reaches no deeper than SLIVER_DEPTH_M. Otherwise the column lies between the certain ground and the whole hit.
    """

    of: Overlap | Outside

    @property
    def role(self) -> str:
        return self.of.role

    @property
    def unit(self) -> str:
        return self.of.unit

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        full = self.of.measure(ground, reach_m)
        if not (full.hi > 0).any():
            return full
        sure = self._within(ground, np.inf)
        doubt_m2 = full.hi - sure.hi
        if not (doubt_m2 > SLIVER_M2).any():
            return sure
        large = doubt_m2 >= SLIVER_SHARE * ground.area_m2
        layer = ground.layer(self.role)
        if layer is not None and ground.tolerance(layer).depth_m > SLIVER_DEPTH_M:
            large |= self._within(ground, SLIVER_DEPTH_M).hi > sure.hi + SLIVER_M2
        return Interval(sure.lo, np.where(large, full.hi, sure.hi)) if large.any() else sure

    def _within(self, ground: Ground, depth_m: float) -> Interval:
        """What is certain at the layer's accuracy, or at `depth_m` where that is less."""
        read = self._inside_m2 if isinstance(self.of, Overlap) else self._outside_m2
        return self.of.bounds(ground, partial(read, at_most_m=depth_m))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return self.of.evidence(site, ground, reach_m)

    def _inside_m2(self, ground: Ground, layer: Snapshot, keep: Bools, at_most_m: float) -> Floats:
        assert isinstance(self.of, Overlap)
        shared = self.of.shared_m2(ground, layer, keep)
        given = _at_most(ground.tolerance(layer), at_most_m)
        if (shared > given.area_m2).sum() == np.count_nonzero(shared):
            return shared
        hits = ground.touched(self.role, layer)
        one_class = layer.once(("one class", id(keep)), lambda _: np.where(keep, 0, -1))
        doubtful = keep[hits.feature] & ~certain_rows(ground.sites, layer, hits, one_class, given)
        if not doubtful.any():
            return shared
        sites = np.unique(hits.site[doubtful])
        left = shared.copy()
        left[sites] = hits.where(keep[hits.feature] & ~doubtful).per_site(ground.count)[sites]
        if layer.overlapping:  # the same ground may be hit twice
            for row in sites[left[sites] > 0]:
                sure = hits.feature[(hits.site == row) & keep[hits.feature] & ~doubtful]
                left[row] = shapely.area(
                    shapely.union_all(measure.shared_parts(ground.sites, layer, np.full(len(sure), row), sure)[0])
                )
        return clean(np.minimum(left, shared))

    def _outside_m2(self, ground: Ground, layer: Snapshot, keep: Bools, at_most_m: float) -> Floats:
        assert isinstance(self.of, Outside)
        left = self.of.left_m2(ground, layer, keep)
        given = _at_most(ground.tolerance(layer), at_most_m)
        doubtful = (left > 0) & (left <= given.area_m2)
        if given.depth_m == 0 or not doubtful.any():
            return left
        hits = ground.overlaps(self.role, layer)
        apart = np.bincount(hits.site[keep[hits.feature]], minlength=ground.count) == 0
        doubtful &= ~(apart & (measure.inradius_m(ground.sites) > given.depth_m))
        sites = np.flatnonzero(doubtful)
        part, row = measure.left_parts(ground.sites[sites], layer, keep)
        sure = measure.inradius_m(part) > given.depth_m
        sure[~sure] = _reaches_away(part[~sure], layer, keep, given.depth_m)
        found = left.copy()
        whole = np.bincount(row[~sure], minlength=len(sites)) == 0
        parts_m2 = clean(measure.summed(row[sure], shapely.area(part[sure]), len(sites)))
        found[sites] = np.where(whole, left[sites], parts_m2)
        return found


@dataclass(frozen=True)
class Reach:
    """Square metres shared with a layer; where there are none, what it would be if the border ran farther out.

    A layer that states its accuracy may truly begin as much nearer than it is drawn. A site no farther off than that
    has the ground it shares with the layer grown by its accuracy; the border may lie inside.
    """

    of: Overlap

    @property
    def role(self) -> str:
        return self.of.role

    @property
    def unit(self) -> str:
        return self.of.unit

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        return ground.once(self, self._measure)

    def _measure(self, ground: Ground) -> Interval:
        full = self.of.measure(ground, 0.0)
        layer = ground.layer(self.role)
        if layer is None or not layer.layer.accuracy_m:
            return full
        beside = np.flatnonzero(full.hi == 0)
        grown, near = self._grown(ground.sites[beside], layer)
        if not near.any():
            return full
        found_m2 = np.where(near, np.maximum(shapely.area(grown), LEAST_M2), 0.0)
        lo, hi = full.lo.copy(), full.hi.copy()
        lo[beside] = hi[beside] = found_m2
        return Interval.exact(hi) if full.is_exact else Interval(lo, hi)

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        shown = self.of.evidence(site, ground, reach_m)
        layer = ground.layer(self.role)
        if layer is None or (shown is not None and not measure.is_hair(np.array([shown.geometry])).all()):
            return shown
        (grown,), (near,) = self._grown(np.array([site], dtype=object), layer)
        if not near:
            return shown
        found = measure.nearest(site, layer, layer.layer.accuracy_m or 0.0)
        return Shown(grown, () if found is None else (layer.names[found[1]],))

    def _grown(self, sites: Geoms, layer: Snapshot) -> tuple[Geoms, Bools]:
        """(K,) what sites share with the layer grown by its accuracy, and whether it is that near."""
        reach_m = layer.layer.accuracy_m or 0.0
        counts = counted(layer, self.of.sort)[1]
        at, piece = layer.tree.query(sites, predicate="dwithin", distance=reach_m)
        near = np.bincount(at[counts[layer.owner[piece]]], minlength=len(sites)) > 0
        around = _near(sites, at, layer, piece, counts[layer.owner[piece]], reach_m)
        return shapely.intersection(sites, shapely.buffer(around, reach_m, quad_segs=ROUND)), near


def _at_most(given: Tolerance, depth_m: float) -> Tolerance:
    return given if given.depth_m <= depth_m else replace(given, depth_m=depth_m)


def classes(ground: Ground, role: str) -> Classes:
    """How sure each row of `ground.overlaps(role, layer)` is: certain, boundary, or none where it is but rounding.

    Here the border is that of the feature's own class, see CLASS.
    """
    layer = ground.layer(role)
    if layer is None:
        return Classes(np.empty(0, dtype="<U8"), np.empty(0))
    return ground.once(("classes", role), lambda all_: _classes(all_, role, layer))


def _classes(ground: Ground, role: str, layer: Snapshot) -> Classes:
    rows = ground.overlaps(role, layer)
    groups = layer.once("classes", _groups)
    sure = certain_rows(ground.sites, layer, rows, groups, ground.tolerance(layer))
    width_m = np.full(len(sure), np.nan)
    doubtful = np.flatnonzero(~sure)
    part, row = measure.shared_parts(ground.sites, layer, rows.site[doubtful], rows.feature[doubtful])
    width_m[doubtful] = measure.mean_width_m(part, row, len(doubtful))
    wide = np.ones(len(sure), dtype=bool)
    wide[doubtful] = np.bincount(row[~measure.is_hair(part)], minlength=len(doubtful)) > 0
    wide &= rows.area_m2 > SLIVER_M2
    return Classes(np.where(~wide, "none", np.where(sure, "certain", "boundary")), width_m)


def _groups(layer: Snapshot) -> Ints:
    column = CLASS.get(layer.layer.role)
    if column is None:
        return np.zeros(len(layer.features), dtype=np.int64)
    codes, _ = pd.factorize(layer.column(column), use_na_sentinel=False)
    return codes.astype(np.int64)


def certain_rows(sites: Geoms, layer: Snapshot, hits: measure.Overlaps, group: Ints, given: Tolerance) -> Bools:
    """(E,) which hits reach deeper than the tolerance inside the border of their group.

    Parameters
    ----------
    sites : (P,) areas
    hits : their overlaps with the layer
    group : (M,) features of one group are one ground; -1 does not count
    given : how far the border may be off
    """
    of = group[hits.feature]
    counts = (of >= 0) & (hits.area_m2 > SLIVER_M2)
    if given.depth_m == 0:
        return counts
    key = hits.site * (int(group.max(initial=0)) + 1) + of
    _, together = np.unique(key, return_inverse=True)
    in_all_m2 = np.bincount(together, hits.area_m2 * counts)[together] if len(key) else hits.area_m2
    sure: Bools = counts & ((in_all_m2 > given.area_m2) | (hits.inradius_m > given.depth_m))
    rest = np.flatnonzero(counts & ~sure)
    part, row = measure.shared_parts(sites, layer, hits.site[rest], hits.feature[rest])
    deep = _reaches_deep(part, layer, group, of[rest][row], given.depth_m)
    sure[rest] = np.bincount(row[deep], minlength=len(rest)) > 0
    return sure


def _reaches_deep(part: Geoms, layer: Snapshot, group: Ints, of: Ints, depth_m: float) -> Bools:
    """(K,) whether any of each part, ground of the group `of` (K,), lies farther than `depth_m` from its border."""
    reach_m = depth_m * CAREFUL + 2 * GAP_M
    at, piece = layer.tree.query(part, predicate="dwithin", distance=reach_m)
    near = _near(part, at, layer, piece, group[layer.owner[piece]] == of[at], reach_m)
    joined = shapely.buffer(near, GAP_M)
    core = shapely.buffer(joined, -(GAP_M + depth_m * CAREFUL), quad_segs=ROUND)
    found: Bools = shapely.area(shapely.intersection(part, core)) > SLIVER_M2
    return found


def _reaches_away(part: Geoms, layer: Snapshot, keep: Bools, depth_m: float) -> Bools:
    """(K,) whether any of each part lies farther than `depth_m` from the features where `keep` holds."""
    reach_m = depth_m * CAREFUL + 2 * GAP_M
    at, piece = layer.tree.query(part, predicate="dwithin", distance=reach_m)
    near = _near(part, at, layer, piece, keep[layer.owner[piece]], reach_m)
    grown = shapely.buffer(near, depth_m * CAREFUL, quad_segs=ROUND)
    found: Bools = shapely.area(shapely.difference(part, grown)) > SLIVER_M2
    return found


def _near(part: Geoms, at: Ints, layer: Snapshot, piece: Ints, counts: Bools, reach_m: float) -> Geoms:
    """(K,) what of the pieces that count lies around each part; farther away nothing matters."""
    at, piece = at[counts], piece[counts]
    west, south, east, north = shapely.bounds(part).T
    window = shapely.box(west - 2 * reach_m, south - 2 * reach_m, east + 2 * reach_m, north + 2 * reach_m)
    clipped, row = measure.areas_of(shapely.intersection(layer.pieces[piece], window[at]), at)
    return measure.together(clipped, row, len(part))


def class_of(shared: Interval, certain: Interval) -> Accuracy | None:
    """The class of one cell's hit; None where it is not known."""
    if shared.hi[0] == 0:
        return "none"
    if certain.lo[0] > 0:
        return "certain"
    return "boundary" if shared.lo[0] > 0 and (certain.hi[0] == 0 or shared.lo[0] == shared.hi[0]) else None


def width_m(shared: shapely.Geometry) -> float:
    """Mean width of shared ground, in metres."""
    part, row = measure.areas_of(np.array([shared]), np.zeros(1, dtype=np.int64))
    return float(measure.mean_width_m(part, row, 1)[0])
