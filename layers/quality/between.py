"""Faults between features: the same ground twice, overlaps, gaps, slivers, borders that just miss each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from layers.quality.paths import Paths, representatives
from layers.records import Bools, Floats, Geoms, Ints

GRID_M = 1e-4  # borders are brought onto this grid where faces between them are sought
TOUCH_M = 2e-3  # what lies closer than this to a gap borders on it
BLOCK = 20_000
TILE = 256
Step = Callable[[float], None]
Class = Callable[[Floats, Floats], Bools]  # (width_m, area_m2) of ground -> whether it is of the class


@dataclass(frozen=True)
class Pairs:
    """(K,) shared ground of two features: rows `one` < `other`, its parts of one class as `ground`."""

    one: Ints
    other: Ints
    ground: Geoms
    area_m2: Floats
    width_m: Floats


@dataclass(frozen=True)
class Gaps:
    """(K,) holes between features; `one` has the longest border with it, `other` the next (-1: nobody else)."""

    ground: Geoms
    area_m2: Floats
    width_m: Floats
    one: Ints
    other: Ints


def width_m(geometries: Geoms) -> Floats:
    """Mean width of areas: the shorter side of the rectangle that has the same area and perimeter.

    An area rounder than any rectangle has the side of the square of its area.

    >>> width_m(np.array([shapely.box(0, 0, 30, 0.2), shapely.box(0, 0, 5, 5)]))
    array([0.2, 5. ])
    """
    area, around = shapely.area(geometries), shapely.length(geometries)
    root = np.sqrt(np.maximum(around**2 - 16 * area, 0.0))
    narrow = 4 * area / np.maximum(around + root, np.finfo(float).tiny)  # (around - root) / 4, without its cancellation
    width: Floats = np.minimum(narrow, np.sqrt(area))
    return width


def same(geometries: Geoms, rows: Ints) -> tuple[Ints, Ints]:
    """Features drawn exactly alike, wherever their rings begin: (K,) first row of the ground, row that repeats it."""
    box = pd.DataFrame(shapely.bounds(geometries[rows]))
    rows = rows[box.duplicated(keep=False).to_numpy()]
    drawn = pd.Series(shapely.to_wkb(shapely.normalize(shapely.force_2d(geometries[rows]))))
    number = pd.factorize(drawn)[0]
    again = drawn.duplicated().to_numpy()
    first = rows[~again]
    return first[number[again]], rows[again]


def overlapping(areas: Geoms, rows: Ints, step: Step) -> Pairs:
    """Every pair of valid areas that share ground, which is given whole: not cut into parts.

    Features whose borders fit their neighbours' exactly are told from the rest by GEOS's coverage check.
    """
    shapes = areas[rows]
    loose = ~shapely.is_empty(shapely.coverage_invalid_edges(shapes)) if len(shapes) else np.zeros(0, dtype=bool)
    step(0.4)
    tree = shapely.STRtree(shapes)
    at, near = tree.query(shapes[loose])
    at = np.flatnonzero(loose)[at]
    one, other = np.minimum(at, near), np.maximum(at, near)
    one, other = rows[np.unique(np.stack([one, other])[:, one != other], axis=1)]
    ground = np.empty(len(one), dtype=object)
    for start in range(0, len(one), BLOCK):
        block = slice(start, start + BLOCK)
        ground[block] = shapely.intersection(areas[one[block]], areas[other[block]])
        step(0.4 + 0.6 * min(start + BLOCK, len(one)) / len(one))
    area = shapely.area(ground)
    some = area > 0
    return Pairs(one[some], other[some], ground[some], area[some], np.full(int(some.sum()), np.nan))


def by_class(pairs: Pairs, thin: Class) -> tuple[Pairs, Pairs]:
    """The shared ground of each pair as what is thick and what is thin; at most one row of each per pair."""
    parts, owner = shapely.get_parts(pairs.ground, return_index=True)
    flat = shapely.get_dimensions(parts) == 2
    parts, owner = parts[flat], owner[flat]
    width, area = width_m(parts), shapely.area(parts)
    is_thin = thin(width, area)
    return _gathered(pairs, parts, owner, ~is_thin), _gathered(pairs, parts, owner, is_thin)


def _gathered(pairs: Pairs, parts: Geoms, owner: Ints, keep: Bools) -> Pairs:
    parts, owner = parts[keep], owner[keep]
    pair, index = np.unique(owner, return_inverse=True)
    ground: Geoms = np.empty(len(pair), dtype=object)
    if len(pair):
        shapely.multipolygons(parts, indices=index, out=ground)
    single = np.bincount(index, minlength=len(pair)) == 1
    ground[single] = shapely.get_geometry(ground[single], 0)
    width = np.zeros(len(pair))
    np.maximum.at(width, index, width_m(parts))
    return Pairs(pairs.one[pair], pairs.other[pair], ground, shapely.area(ground), width)


def gaps(paths: Paths, kept: Ints, areas: Geoms, rows: Ints, narrower_m: float, is_dust: Class) -> tuple[Gaps, Floats]:
    """Holes enclosed by features and narrower than a width, less those that are dust, and the areas of these.

    `kept` are the segments that are no common border of two features: whatever encloses a hole has some of them.
    A hole whose border is open by more than GRID_M is no hole.
    """
    tree = shapely.STRtree(areas[rows])
    loose = np.zeros(len(areas), dtype=bool)
    loose[paths.feature[kept]] = True
    may = _may_enclose(areas, rows)
    faces = _holes(areas, rows[loose[rows] & may])
    faces = shapely.get_parts(_less(faces, *_islands(faces, areas[rows[loose[rows] & ~may]])))
    faces = faces[width_m(faces) < narrower_m]
    inside, _ = tree.query(shapely.point_on_surface(faces), predicate="intersects")
    empty = np.ones(len(faces), dtype=bool)
    empty[inside] = False
    faces = faces[empty]
    at, near = shapely.STRtree(faces).query(shapely.point_on_surface(faces), predicate="intersects")
    again = np.zeros(len(faces), dtype=bool)
    again[at[near < at]] = True  # a hole that lies in holes of two tiles is left over in both
    faces = faces[~again]
    dust = is_dust(width_m(faces), shapely.area(faces))
    ignored_m2: Floats = shapely.area(faces[dust])
    faces = faces[~dust]
    one, other = _neighbours(faces, areas, rows, tree)
    return Gaps(faces, shapely.area(faces), width_m(faces), one, other), ignored_m2


def _holes(areas: Geoms, rows: Ints) -> Geoms:
    """The holes in the joint ground of features, on the grid.

    First tile by tile, whose holes are then filled, so that the union of the tiles is a small one; a hole of one
    tile may hold features of another, which are taken out of it.
    """
    if len(rows) == 0:
        return np.zeros(0, dtype=object)
    tile = _tiles(areas[rows])
    joint = [shapely.union_all(areas[rows[tile == n]], grid_size=GRID_M) for n in range(tile.max() + 1)]
    parts, of = shapely.get_parts(np.array([*joint, None], dtype=object)[:-1], return_index=True)
    filled = shapely.polygons(shapely.get_exterior_ring(parts))
    rings, at = shapely.get_rings(parts, return_index=True)
    hole = np.concatenate([[False], at[1:] == at[:-1]]) if len(at) else np.zeros(0, dtype=bool)
    inner, inner_of = shapely.polygons(rings[hole]), of[at[hole]]
    face, near = shapely.STRtree(areas[rows]).query(inner, predicate="intersects")
    foreign = tile[near] != inner_of[face]
    inner = _less(inner, face[foreign], areas[rows[near[foreign]]])
    inner = _less(inner, *_islands(inner, parts))
    outer = shapely.get_parts(shapely.union_all(filled, grid_size=GRID_M))
    rings, at = shapely.get_rings(outer, return_index=True)
    hole = np.concatenate([[False], at[1:] == at[:-1]])
    between = shapely.polygons(rings[hole])
    between = _less(between, *_islands(between, outer))
    found = np.concatenate([shapely.get_parts(inner), shapely.get_parts(between)])
    faces: Geoms = found[(shapely.get_dimensions(found) == 2) & ~shapely.is_empty(found)]
    return faces


def _islands(holes: Geoms, parts: Geoms) -> tuple[Ints, Geoms]:
    """Which parts of the joint ground lie inside which of the holes."""
    hole, part = shapely.STRtree(parts).query(holes, predicate="contains")
    return hole, parts[part]


def _less(holes: Geoms, hole: Ints, ground: Geoms) -> Geoms:
    """Holes without the ground that was found in them, a row for each find."""
    left = holes.copy()
    for n in np.unique(hole):
        found = shapely.union_all(ground[hole == n], grid_size=GRID_M)
        left[n] = shapely.difference(holes[n], found, grid_size=GRID_M)
    return left


def _tiles(areas: Geoms) -> Ints:
    """A tile number for each area: about TILE of them that lie together, in strips from west to east."""
    west, south, east, north = shapely.bounds(areas).T
    strips = math.ceil(math.sqrt(len(areas) / TILE))
    strip = np.argsort(np.argsort(west + east)) * strips // len(areas)
    order = np.lexsort((south + north, strip))
    first = np.searchsorted(strip[order], strip[order])
    run = (np.arange(len(areas)) - first) // TILE
    tile = np.empty(len(areas), dtype=np.int64)
    tile[order] = strip[order] * len(areas) + run
    return pd.factorize(tile)[0].astype(np.int64)


def _may_enclose(areas: Geoms, rows: Ints) -> Bools:
    """(M,) leaves out features that stand alone in one part without a hole: they enclose their own ground only."""
    west, south, east, north = shapely.bounds(areas[rows]).T
    boxes = shapely.box(west - GRID_M, south - GRID_M, east + GRID_M, north + GRID_M)
    at, near = shapely.STRtree(boxes).query(boxes)
    may: Bools = shapely.get_num_geometries(areas[rows]) > 1
    may[at[at != near]] = True
    parts, owner = shapely.get_parts(areas[rows], return_index=True)
    may[owner[shapely.get_num_interior_rings(parts) > 0]] = True
    return may


def _neighbours(faces: Geoms, areas: Geoms, rows: Ints, tree: shapely.STRtree) -> tuple[Ints, Ints]:
    """For each face the two features that border on it longest."""
    near = shapely.buffer(faces, TOUCH_M, cap_style="square", join_style="mitre")
    face, at = tree.query(near, predicate="intersects")
    feature = rows[at]
    border = shapely.boundary(areas[feature])
    shared = shapely.length(shapely.intersection(border, near[face]))
    order = np.lexsort((feature, -shared, face))
    face, feature = face[order], feature[order]
    place = np.arange(len(face)) - np.searchsorted(face, face)
    found = np.full((2, len(faces)), -1, dtype=np.int64)
    for n in (0, 1):
        found[n, face[place == n]] = feature[place == n]
    return found[0], found[1]


@dataclass(frozen=True)
class Misses:
    """(K,) vertices near a border of another feature that has no vertex there.

    `vertex` and `start` are rows of Paths: the vertex, and the start of the segment it misses.
    """

    vertex: Ints
    start: Ints
    distance_m: Floats


def misses(paths: Paths, kept: Ints, within_m: float, beyond_m: float) -> Misses:
    """Ends of unmatched segments that lie within a distance of another feature's unmatched border, but not on it."""
    if len(kept) == 0 or within_m <= beyond_m:
        none = np.zeros(0, dtype=np.int64)
        return Misses(none, none, np.zeros(0))
    ends = np.concatenate([kept, paths.after[kept]])
    _, first = np.unique(paths.node[ends], return_index=True)
    vertex = ends[first]
    lines = paths.lines(kept)
    points = shapely.points(paths.xy[vertex])
    at, near = shapely.STRtree(lines).query(points, predicate="dwithin", distance=within_m)
    theirs = paths.feature[kept[near]]
    asked = np.zeros(len(paths.node), dtype=bool)
    asked[paths.node[vertex[at]]] = True
    mine = asked[paths.node]
    many = int(paths.feature.max()) + 1
    has = paths.node[mine] * many + paths.feature[mine]
    foreign = ~np.isin(paths.node[vertex[at]] * many + theirs, has)
    at, near = at[foreign], near[foreign]
    distance = shapely.distance(points[at], lines[near])
    off = (distance > beyond_m) & (distance < within_m)
    at, near, distance = at[off], near[off], distance[off]
    order = np.lexsort((near, distance, paths.feature[kept[near]], at))
    at, near, distance = at[order], near[order], distance[order]
    nearest = ~pd.DataFrame({"at": at, "of": paths.feature[kept[near]]}).duplicated().to_numpy()
    return Misses(vertex[at[nearest]], kept[near[nearest]], distance[nearest])


def once(found: Misses, paths: Paths, within_m: float) -> Misses:
    """One miss for each place: two vertices that miss each other are one fault."""
    order = np.lexsort((found.distance_m, paths.feature[found.vertex]))
    stands = representatives(paths.xy[found.vertex[order]], within_m)
    keep = np.sort(order[stands == np.arange(len(stands))])
    return Misses(found.vertex[keep], found.start[keep], found.distance_m[keep])
