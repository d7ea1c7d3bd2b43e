"""A network out of drawn lines: which ends meet, which edges there are, and what the drawing leaves open.

Ends within the tolerance of each other are one node; an end within the tolerance of the middle of another line is a
junction, and that line is cut there. Lines that only cross are no junction: one of them is a bridge. Every break is a
row that names its features, so that somebody can mend the drawing; the rest of the network works meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from layers.records import Bools, Floats, Geoms, Ints, Snapshot

TOLERANCE_M = 1.0  # ends drawn this near each other are meant to meet: survey files round to decimetres at worst
GAP_M = 25.0  # an open end this near another line is worth a look
BREAKS = ("bad line", "dangling end", "gap", "unconnected part", "duplicate", "loop")


@dataclass(frozen=True, eq=False)
class Network:
    """E edges between N nodes.

    lines : (E,) each edge's course;  row : (E,) the feature it is a stretch of
    start, stop : (E,) nodes at its two ends;  length_m : (E,)
    nodes : (N, 2) where they lie;  part : (N,) the connected part, 0 the one with the most metres
    breaks : what is wrong, one row each: kind, feature, other, x, y, metres, note
    """

    ids: tuple[str, ...]
    lines: Geoms
    row: Ints
    start: Ints
    stop: Ints
    length_m: Floats
    nodes: Floats
    part: Ints
    junctions: int
    breaks: pd.DataFrame

    @cached_property
    def degree(self) -> Ints:
        """(N,) how many ends of edges meet in each node."""
        return np.bincount(np.concatenate([self.start, self.stop]), minlength=len(self.nodes))

    @cached_property
    def tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.lines)

    def summary(self) -> dict[str, int | float]:
        """Counts for a report; `breaks` by kind."""
        counts = self.breaks["kind"].value_counts()
        return {
            "features": len(self.ids),
            "edges": len(self.lines),
            "nodes": len(self.nodes),
            "length_km": round(float(self.length_m.sum()) / 1000, 3),
            "parts": int(self.part.max(initial=-1)) + 1,
            "junctions": self.junctions,
            **{kind: int(counts.get(kind, 0)) for kind in BREAKS},
        }


def network_of(layer: Snapshot, tolerance_m: float = TOLERANCE_M) -> Network:
    """The network of a layer of lines, worked out once for it; features that are not lines are left aside."""
    return layer.once(("network", tolerance_m), lambda one: _of(one, tolerance_m))


def _of(layer: Snapshot, tolerance_m: float) -> Network:
    lines, owner = whole_lines(layer)
    edge = shapely.boundary(layer.layer.extent)
    return build(lines, [str(one) for one in layer.column("id")], owner, tolerance_m=tolerance_m, rim=edge)


def whole_lines(layer: Snapshot) -> tuple[Geoms, Ints]:
    """The lines of a layer whose pieces are short runs, and the feature of each: runs that follow each other join."""
    runs = np.flatnonzero(shapely.get_type_id(layer.pieces) == 1)
    pieces, owner = layer.pieces[runs], layer.owner[runs]
    if len(pieces) == 0:
        return pieces, owner
    first = shapely.get_coordinates(shapely.get_point(pieces, 0))
    last = shapely.get_coordinates(shapely.get_point(pieces, -1))
    follows = np.r_[False, (owner[1:] == owner[:-1]) & (first[1:] == last[:-1]).all(axis=1)]
    line = np.cumsum(~follows) - 1
    xy, piece = shapely.get_coordinates(pieces, return_index=True)
    again = np.r_[True, piece[1:] != piece[:-1]] & follows[piece]  # the point a run shares with the one before
    joined: Geoms = shapely.linestrings(xy[~again], indices=line[piece[~again]])
    return joined, owner[~follows]


def build(
    lines: Geoms,
    ids: Sequence[str],
    owner: Ints | None = None,
    *,
    tolerance_m: float = TOLERANCE_M,
    rim: shapely.Geometry | None = None,
) -> Network:
    """A network from lines in metres.

    Parameters
    ----------
    lines : (L,) LineString; None, empty, of one point or without length is a break and left out
    ids : (M,) names of features;  owner : (L,) the feature of each line, its own where not given
    rim : where the survey ends: an open end there is no break

    Examples
    --------
    >>> made = build(shapely.from_wkt(["LINESTRING (0 0, 10 0)", "LINESTRING (5 5, 5 0.2)"]), ["a", "b"])
    >>> made.summary()["edges"], made.summary()["dangling end"]
    (3, 3)
    """
    lines = np.asarray(lines, dtype=object)
    owner = np.arange(len(lines)) if owner is None else owner
    usable = _usable(lines)
    breaks = [
        _break("bad line", ids[owner[row]], note="no course: empty, of one point, or without length")
        for row in np.flatnonzero(~usable)
    ]
    lines, owner = shapely.force_2d(lines[usable]), owner[usable]
    pieces, row, junctions = _cut_at_ends(lines, owner, tolerance_m)
    ends = np.stack([shapely.get_coordinates(shapely.get_point(pieces, end)) for end in (0, -1)], axis=1)
    of, nodes = _nodes(ends.reshape(-1, 2), tolerance_m)
    start, stop = of.reshape(-1, 2).T if len(of) else (np.empty(0, dtype=np.int64),) * 2
    length_m: Floats = shapely.length(pieces)
    loop = (start == stop) & (length_m <= 2 * tolerance_m)  # what snapping swallowed
    pieces, row, start, stop, length_m = (one[~loop] for one in (pieces, row, start, stop, length_m))
    part = _parts(start, stop, length_m, len(nodes))
    made = Network(tuple(ids), pieces, row, start, stop, length_m, nodes, part, junctions, pd.DataFrame())
    breaks += _open_ends(made, rim, tolerance_m) + _apart(made) + _twice(made, tolerance_m)
    table = pd.DataFrame(breaks, columns=["kind", "feature", "other", "x", "y", "metres", "note"])
    return Network(tuple(ids), pieces, row, start, stop, length_m, nodes, part, junctions, table)


def _usable(lines: Geoms) -> Bools:
    good: Bools = (shapely.get_type_id(lines) == 1) & ~shapely.is_empty(lines)
    good[good] &= np.isfinite(shapely.bounds(lines[good])).all(axis=1) & (shapely.length(lines[good]) > 0)
    return good


def _cut_at_ends(lines: Geoms, owner: Ints, tolerance_m: float) -> tuple[Geoms, Ints, int]:
    """Lines cut where another line ends on their middle; how many such junctions there are."""
    if len(lines) == 0:
        return lines, owner, 0
    ends = np.stack([shapely.get_point(lines, 0), shapely.get_point(lines, -1)], axis=1).ravel()
    point, line = shapely.STRtree(lines).query(ends, predicate="dwithin", distance=tolerance_m)
    at = shapely.line_locate_point(lines[line], ends[point])
    length_m = shapely.length(lines)
    inner = (at > tolerance_m) & (at < length_m[line] - tolerance_m)
    line, at = line[inner], at[inner]
    order = np.lexsort((at, line))
    line, at = line[order], at[order]
    fresh = np.r_[True, (line[1:] != line[:-1]) | (at[1:] - at[:-1] > tolerance_m)] if len(line) else inner[:0]
    line, at = line[fresh], at[fresh]
    kept = np.ones(len(lines), dtype=bool)
    kept[line] = False
    pieces, rows = [lines[kept]], [owner[kept]]
    for one in np.unique(line):  # few of the lines are cut
        pieces.append(cut_line(lines[one], at[line == one]))
        rows.append(np.full(len(pieces[-1]), owner[one]))
    return np.concatenate(pieces), np.concatenate(rows), len(line)


def cut_line(line: shapely.LineString, at_m: Floats) -> Geoms:
    """A line cut at some distances from its start, in order.

    >>> [one.wkt for one in cut_line(shapely.LineString([(0, 0), (4, 0)]), np.array([1.0]))]
    ['LINESTRING (0 0, 1 0)', 'LINESTRING (1 0, 4 0)']
    """
    xy = shapely.get_coordinates(line)
    along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(xy, axis=0).T))]
    cuts = np.column_stack([np.interp(at_m, along, xy[:, 0]), np.interp(at_m, along, xy[:, 1])])
    bounds = [0.0, *at_m.tolist(), float(along[-1])]
    corners = [xy[:1], *(one[None] for one in cuts), xy[-1:]]
    made = np.empty(len(at_m) + 1, dtype=object)
    for n in range(len(made)):
        inside = (along > bounds[n]) & (along < bounds[n + 1])
        made[n] = shapely.LineString(np.concatenate([corners[n], xy[inside], corners[n + 1]]))
    return made


def _nodes(points: Floats, tolerance_m: float) -> tuple[Ints, Floats]:
    """Points within the tolerance of each other, directly or through others, as one node in their middle."""
    if len(points) == 0:
        return np.empty(0, dtype=np.int64), np.empty((0, 2))
    near = cKDTree(points).query_pairs(tolerance_m, output_type="ndarray")
    links = coo_matrix((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(len(points), len(points)))
    count, of = connected_components(links, directed=False)
    many = np.bincount(of, minlength=count)
    middle = np.stack([np.bincount(of, points[:, axis], minlength=count) / many for axis in (0, 1)], axis=1)
    return of.astype(np.int64), middle


def _parts(start: Ints, stop: Ints, length_m: Floats, count: int) -> Ints:
    """(N,) the connected part of each node, numbered from the longest."""
    if count == 0:
        return np.empty(0, dtype=np.int64)
    links = coo_matrix((np.ones(len(start)), (start, stop)), shape=(count, count))
    _, label = connected_components(links, directed=False)
    metres = np.bincount(label[start], length_m, minlength=label.max(initial=0) + 1)
    rank = np.empty(len(metres), dtype=np.int64)
    rank[np.argsort(-metres, kind="stable")] = np.arange(len(metres))
    return rank[label]


def _open_ends(made: Network, rim: shapely.Geometry | None, tolerance_m: float) -> list[tuple[object, ...]]:
    """Ends that meet nothing, and how far the nearest other line is where that is near."""
    ends = np.concatenate([made.start, made.stop])
    edge = np.tile(np.arange(len(made.lines)), 2)
    open_ = made.degree[ends] == 1
    ends, edge = ends[open_], edge[open_]
    points = shapely.points(made.nodes[ends])
    if rim is not None and len(points):
        inside = shapely.distance(points, rim) > max(tolerance_m, GAP_M)
        ends, edge, points = ends[inside], edge[inside], points[inside]
    found = [
        _break("dangling end", made.ids[made.row[e]], at=made.nodes[n], note="the end meets no other line")
        for n, e in zip(ends, edge, strict=True)
    ]
    if len(points) == 0:
        return found
    point, line = made.tree.query(points, predicate="dwithin", distance=GAP_M)
    other = (line != edge[point]) & (made.start[line] != ends[point]) & (made.stop[line] != ends[point])
    point, line = point[other], line[other]
    metres = shapely.distance(points[point], made.lines[line])
    order = np.lexsort((metres, point))
    first = order[np.r_[True, np.diff(point[order]) > 0]] if len(order) else order
    for n in first:
        one = point[n]
        ids = made.ids[made.row[edge[one]]], made.ids[made.row[line[n]]]
        found.append(_break("gap", *ids, at=made.nodes[ends[one]], metres=metres[n], note="perhaps meant to meet"))
    return found


def _apart(made: Network) -> list[tuple[object, ...]]:
    """One row for each part that is not connected with the largest."""
    of = made.part[made.start]
    first = np.unique(of, return_index=True)[1]
    metres = np.bincount(of, made.length_m)
    count = np.bincount(of)
    return [
        _break(
            "unconnected part",
            made.ids[made.row[edge]],
            at=made.nodes[made.start[edge]],
            metres=metres[of[edge]],
            note=f"{count[of[edge]]} edges that no line joins with the largest part",
        )
        for edge in first
        if of[edge] > 0
    ]


def _twice(made: Network, tolerance_m: float) -> list[tuple[object, ...]]:
    """Edges drawn twice between the same nodes along the same course, and edges that return to where they start."""
    loops = [
        _break("loop", made.ids[made.row[e]], at=made.nodes[made.start[e]], metres=made.length_m[e], note="ends meet")
        for e in np.flatnonzero(made.start == made.stop)
    ]
    low, high = np.minimum(made.start, made.stop), np.maximum(made.start, made.stop)
    order = np.lexsort((made.length_m, high, low))
    a, b = order[:-1], order[1:]
    same = (low[a] == low[b]) & (high[a] == high[b]) & (made.length_m[b] - made.length_m[a] <= 4 * tolerance_m)
    a, b = a[same], b[same]
    near = shapely.hausdorff_distance(made.lines[a], made.lines[b]) <= 2 * tolerance_m
    return loops + [
        _break(
            "duplicate",
            made.ids[made.row[one]],
            made.ids[made.row[two]],
            at=made.nodes[made.start[one]],
            metres=made.length_m[one],
            note="the same stretch is drawn twice",
        )
        for one, two in zip(a[near], b[near], strict=True)
    ]


def _break(
    kind: str, feature: str, other: str = "", *, at: Floats | None = None, metres: float = np.nan, note: str = ""
) -> tuple[object, ...]:
    x, y = (np.nan, np.nan) if at is None else (round(float(at[0]), 3), round(float(at[1]), 3))
    return kind, feature, other, x, y, round(float(metres), 3), note
