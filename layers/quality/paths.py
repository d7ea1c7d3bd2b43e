"""Borders as flat arrays: every vertex of every ring or line once, with its neighbours along the path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from layers.records import Bools, Floats, Geoms, Ints


@dataclass(frozen=True)
class Paths:
    """Vertices of rings (without the closing point) and of lines.

    Parameters
    ----------
    xy : (V, 2) coordinates, metres
    feature : (V,) row of the geometry each vertex belongs to
    run : (V,) number of the ring or line, in the order of `shapely.get_parts` and `get_rings`, lines last
    before, after : (V,) the neighbours along the path; -1 at the ends of a line
    node : (V,) one number for each distinct place, the same for all vertices that lie on it exactly
    """

    xy: Floats
    feature: Ints
    run: Ints
    before: Ints
    after: Ints
    node: Ints

    def starts(self) -> Ints:
        """(S,) the vertices a segment starts at; it ends at `after[start]`. Segments without length are left out."""
        starts = np.flatnonzero(self.after >= 0)
        long: Ints = starts[self.node[starts] != self.node[self.after[starts]]]
        return long

    def lines(self, starts: Ints) -> Geoms:
        """The segments that start there, as lines."""
        ends = np.stack([self.xy[starts], self.xy[self.after[starts]]], axis=1)
        made: Geoms = shapely.linestrings(ends)
        return made


def paths(geometries: Geoms) -> Paths:
    """The borders of areas and the runs of lines; areas are turned so that their ground lies on the left.

    >>> paths(np.array([shapely.box(0, 0, 1, 1)])).xy.tolist()
    [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    turned = shapely.orient_polygons(geometries)
    parts, owner = shapely.get_parts(turned, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    flat = shapely.get_dimensions(parts) == 1
    runs = np.concatenate([rings, parts[flat]])
    run_owner = np.concatenate([owner[part], owner[flat]]).astype(np.int64)
    xy, run = shapely.get_coordinates(runs, return_index=True)
    size = np.bincount(run, minlength=len(runs))
    end = np.cumsum(size)
    closed = np.arange(len(runs)) < len(rings)
    keep = np.ones(len(xy), dtype=bool)
    keep[end[closed & (size > 0)] - 1] = False
    after = np.arange(1, len(xy) + 1)
    before = np.arange(-1, len(xy) - 1)
    first, last = end - size, end - 1 - closed
    some = size > 0
    after[last[some]] = np.where(closed, first, -1)[some]
    before[first[some]] = np.where(closed, last, -1)[some]
    number = np.cumsum(keep) - 1
    xy, after, before = xy[keep], after[keep], before[keep]
    return Paths(
        xy,
        run_owner[run[keep]],
        run[keep],
        np.where(before >= 0, number[before], -1),
        np.where(after >= 0, number[after], -1),
        nodes(xy),
    )


def nodes(xy: Floats) -> Ints:
    """(V,) a number for each distinct coordinate pair, in order of first appearance."""
    east = pd.factorize(xy[:, 0] + 0.0)[0].astype(np.int64)  # + 0.0: minus zero is zero
    north = pd.factorize(xy[:, 1] + 0.0)[0].astype(np.int64)
    number: Ints = pd.factorize(east * len(xy) + north)[0].astype(np.int64)
    return number


def unmatched(paths: Paths, starts: Ints, trusted: Bools) -> Ints:
    """The segments that are not the common border of exactly two features, drawn by both with the same vertices.

    A common border is walked once each way. `trusted` (M,) says whose turning can be relied on (valid areas).
    """
    one, other = paths.node[starts], paths.node[paths.after[starts]]
    forth = one < other
    key = np.where(forth, one * len(paths.xy) + other, other * len(paths.xy) + one)
    number, known = pd.factorize(key)
    count = np.bincount(number, minlength=len(known))
    sound = np.bincount(number, trusted[paths.feature[starts]], minlength=len(known))
    turn = np.bincount(number, np.where(forth, 1, -1), minlength=len(known))
    matched = (count == 2) & (sound == 2) & (turn == 0)
    kept: Ints = starts[~matched[number]]
    return kept


def representatives(xy: Floats, within_m: float) -> Ints:
    """(N,) for each point the one that stands for it: itself, or the nearest chosen one within the distance.

    Points are chosen in their order, so that no two chosen ones are within the distance of each other and nobody
    is farther than it from the one that stands for it: chains do not creep.

    >>> representatives(np.array([[0, 0], [0.6, 0], [1.2, 0], [9, 9]]), 1.0).tolist()
    [0, 0, 2, 3]
    """
    points = shapely.points(xy)
    one, other = shapely.STRtree(points).query(points, predicate="dwithin", distance=within_m)
    apart = one != other
    all_one, all_other = one[apart], other[apart]
    one, other = all_one, all_other
    open_ = np.zeros(len(xy), dtype=bool)
    open_[one] = True
    follows = np.zeros(len(xy), dtype=bool)
    while open_.any():
        live = open_[one] & open_[other]
        one, other = one[live], other[live]
        later = np.zeros(len(xy), dtype=bool)
        later[one[other < one]] = True
        chosen = open_ & ~later
        follows[other[chosen[one]]] = True
        open_ &= ~chosen & ~follows
    stands = np.arange(len(xy))
    pair = follows[all_one] & ~follows[all_other]
    one, other = all_one[pair], all_other[pair]
    far = np.hypot(*(xy[one] - xy[other]).T)
    order = np.lexsort((other, far))[::-1]
    stands[one[order]] = other[order]  # the nearest is written last
    return stands
