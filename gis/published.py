"""The one published overlap of a site and a layer: hundredths of a square metre that add up to the control area.

The control area (控制面积) of a site is its plane area, rounded half up to 0.01 m². The features under it, and the
ground no feature covers, are closed to it by largest remainder, in whole hundredths, so that any sum of them is exact.
Verdict, quota, tables and report read these figures and no others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from gis.ground import SLIVER_M2, Ground
from layers.records import Bools, Floats, Geoms, Ints, Snapshot
from layers.units import rounded

FUZZ = 1e-7  # of a hundredth: binary noise just below a whole number of them


@dataclass(frozen=True)
class Published:
    """(K,) rows sorted by site, then feature; and (P,) what belongs to the sites themselves.

    `gross_m2` is the plain geometric overlap; where features overlap each other it counts ground more than once,
    `hundredths` never does.
    """

    site: Ints
    feature: Ints
    hundredths: Ints
    gross_m2: Floats
    control: Ints
    uncovered: Ints
    doubled_m2: Floats

    def per_site(self, hundredths: Ints, keep: Bools | None = None) -> Ints:
        """(P,) the sum per site of a (K,) column of hundredths, over the features where `keep` (M,) holds."""
        chosen = hundredths if keep is None else np.where(keep[self.feature], hundredths, 0)
        total = np.zeros(len(self.control), dtype=np.int64)
        np.add.at(total, self.site, chosen)
        return total


def control(area_m2: Floats) -> Ints:
    """(P,) control areas in hundredths of a square metre.

    >>> control(np.array([1.005, 2.0]))
    array([101, 200])
    """
    return hundredths(rounded(area_m2, 2))


def hundredths(square_metres: Floats) -> Ints:
    """Whole hundredths of a square metre, half up.

    >>> hundredths(np.array([0.125, 0.004]))
    array([13,  0])
    """
    return np.floor(np.asarray(square_metres, dtype=float) * 100 + 0.5 + FUZZ).astype(np.int64)


def published(ground: Ground, layer: Snapshot, rank: Ints | None = None) -> Published:
    """The closed overlap of a block of sites with a polygon layer.

    Ground under several features goes to the one of the lowest `rank` (M,), then to the earlier one, and is told in
    `doubled_m2`; ground under none is told in `uncovered`, never spread over the others.
    """
    table = ground.overlaps(layer.layer.role, layer)
    real = table.area_m2 > SLIVER_M2
    site, feature, gross_m2 = table.site[real], table.feature[real], table.area_m2[real]
    whole = ground.once("control", lambda block: control(block.area_m2))
    if len(site) == 0:
        none = np.zeros(0, dtype=np.int64)
        return Published(none, none, none, gross_m2, whole, whole.copy(), np.zeros(ground.count))
    area_m2, doubled_m2 = gross_m2, np.zeros(ground.count)
    if layer.overlapping:
        area_m2 = gross_m2.copy()
        for row in np.flatnonzero(np.bincount(site, minlength=ground.count) > 1):
            here = np.flatnonzero(site == row)
            order = here if rank is None else here[np.lexsort((feature[here], rank[feature[here]]))]
            area_m2[order] -= _taken_m2(ground.sites[row], layer, feature[order])
            doubled_m2[row] = (gross_m2[here] - area_m2[here]).sum()
    covered_m2 = np.bincount(site, area_m2, minlength=ground.count)
    over = covered_m2 > ground.area_m2  # by the noise of many small areas
    if over.any():
        area_m2 = area_m2 * np.where(over, ground.area_m2 / np.maximum(covered_m2, SLIVER_M2), 1.0)[site]
    left_m2 = np.where(over, 0.0, ground.area_m2 - covered_m2)
    left_m2[left_m2 < np.maximum(SLIVER_M2, 1e-9 * ground.area_m2)] = 0.0
    everyone = np.arange(ground.count)
    closed = close(np.concatenate([site, everyone]), np.concatenate([area_m2, left_m2]), whole)
    return Published(site, feature, closed[: len(site)], gross_m2, whole, closed[len(site) :], doubled_m2)


def close(site: Ints, area_m2: Floats, whole: Ints) -> Ints:
    """(K,) parts of several sites in hundredths, each site's closed to its `whole` (P,) by largest remainder.

    The last hundredths go to the largest remainders, then to the larger part, then to the earlier one, as in
    `layers.units.closed`.

    >>> close(np.array([0, 0, 0, 1]), np.array([1 / 3, 1 / 3, 1 / 3, 2.0]), np.array([100, 200]))
    array([ 34,  33,  33, 200])
    """
    exact = area_m2 * 100
    floor = np.floor(exact + FUZZ).astype(np.int64)
    rest = np.maximum(np.round(exact - floor, 7), 0.0)
    short = whole.copy()
    np.subtract.at(short, site, floor)
    order = np.lexsort((-exact, -rest, site))
    first = np.searchsorted(site[order], np.arange(len(whole)))
    nth = np.arange(len(order)) - first[site[order]]
    floor[order[nth < short[site[order]]]] += 1
    return floor


def _taken_m2(site: shapely.Geometry, layer: Snapshot, features: Ints) -> Floats:
    """Ground of each feature in the site that an earlier one of the list covers already."""
    piece = layer.tree.query(site, predicate="intersects")
    shared = shapely.intersection(site, layer.pieces[piece])
    owner = layer.owner[piece]
    shapes: Geoms = np.array([shapely.union_all(shared[owner == one]) for one in features], dtype=object)
    taken_m2 = np.zeros(len(features))
    later, earlier = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    before = earlier < later
    later, earlier = later[before], earlier[before]
    deep = shapely.area(shapely.intersection(shapes[later], shapes[earlier])) > SLIVER_M2
    for row in np.unique(later[deep]):
        others = shapely.union_all(shapes[earlier[deep & (later == row)]])
        taken_m2[row] = shapely.area(shapely.intersection(shapes[row], others))
    return taken_m2
