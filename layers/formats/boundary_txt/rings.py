"""Rings of points into the geometry of a plot. The format does not say what a hole is; containment does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import shapely

from layers.formats.boundary_txt.parsing import Document, Plot
from layers.formats.boundary_txt.profile import KINDS
from layers.records import Floats, Geoms, Ints

INSIDE_SHARE = 0.999  # of a ring's area within another: more is inside it, however the shared edge was rounded


@dataclass(frozen=True)
class Run:
    """Consecutive points of one 圈号: (n, 2) easting and northing, and which point of the plot each is."""

    points: Floats
    rows: Ints


@dataclass(frozen=True)
class Built:
    plot: Plot
    dimension: int
    geometry: shapely.Geometry | None
    runs: list[Run]
    closed: bool


def runs(plot: Plot, north_first: bool = True) -> list[Run]:
    """The points of each 圈号, in file order."""
    columns = (plot.second, plot.first) if north_first else (plot.first, plot.second)
    points = np.column_stack([np.array(column, dtype=float) for column in columns])
    made, start = [], 0
    for _, group in groupby(plot.rings):
        stop = start + sum(1 for _ in group)
        made.append(Run(points[start:stop], np.arange(start, stop)))
        start = stop
    return made


def repeats(run: Run) -> bool:
    """Whether a run ends where it began."""
    return len(run.points) > 1 and bool((run.points[0] == run.points[-1]).all())


def repeated(plot: Plot) -> int:
    """How many closing points of an area are a repetition of the first."""
    return sum(repeats(run) for run in runs(plot)) if _dimension(plot) == 2 else 0


def build(document: Document, plot: Plot, north_first: bool = True) -> Built:
    """The plot's ground: polygons by containment of its rings, or its lines, or its points.

    Adds to `plot.unreadable` what keeps it from being built; `runs` of an area come without the repeated last point.
    """
    kind = plot.fields.get("geometry_kind", "")
    dimension = _dimension(plot)
    found = runs(plot, north_first)
    closed = dimension == 2 and any(repeats(run) for run in found)
    if kind not in KINDS and not plot.unreadable:
        if kind:
            reason = f"图形属性 is {kind!r}"
            plot.unreadable.append(document.fault(reason, "Write 面, 线 or 点", plot, plot.line))
        else:
            document.notes.append(document.fault("图形属性 is empty", "It was read as 面", plot, plot.line))
    if not found and not plot.unreadable:
        plot.unreadable.append(document.fault("it has no points", "Add its points", plot, plot.line))
    if dimension == 2:
        found = [Run(run.points[:-1], run.rows[:-1]) if repeats(run) else run for run in found]
        _note_returning(document, plot)
    least = (1, 2, 3)[dimension]
    for run in found:
        if len({*map(tuple, run.points.tolist())}) < least:
            reason = f"圈号 {plot.rings[run.rows[0]]} has fewer than {least} different points"
            plot.unreadable.append(
                document.fault(reason, "Add the missing points or take it out", plot, plot.lines[run.rows[0]])
            )
    if plot.unreadable:
        return Built(plot, dimension, None, [], closed)
    return Built(plot, dimension, _geometry(found, dimension), found, closed)


def _dimension(plot: Plot) -> int:
    return KINDS.get(plot.fields.get("geometry_kind", ""), 2)


def _note_returning(document: Document, plot: Plot) -> None:
    order = [ring for ring, _ in groupby(plot.rings)]
    returning = sorted({ring for ring in order if order.count(ring) > 1}) if len(set(order)) < len(order) else []
    if returning:
        reason = f"圈号 {', '.join(returning)} comes back after another ring"
        document.notes.append(
            document.fault(reason, "Each run was read as a ring of its own; number rings once", plot, plot.line)
        )


def _geometry(found: list[Run], dimension: int) -> shapely.Geometry:
    if dimension == 2:
        return polygons([run.points for run in found])
    if dimension == 1:
        parts = [shapely.linestrings(run.points) for run in found]
    else:
        parts = list(shapely.points(np.concatenate([run.points for run in found])))
    return parts[0] if len(parts) == 1 else shapely.multilinestrings(parts) if dimension else shapely.multipoints(parts)


def polygons(rings: list[Floats]) -> shapely.Geometry:
    """Areas of rings: one inside an odd number of others is a hole of the smallest of them, any other a part.

    Where a ring crosses itself nothing can be said about what it holds, and every ring is a part of its own: the
    result is not valid and is rejected as such.

    >>> outer, hole = shapely.box(0, 0, 9, 9), shapely.box(1, 1, 3, 3)
    >>> island, apart = shapely.box(1.5, 1.5, 2, 2), shapely.box(20, 0, 21, 1)
    >>> made = polygons([shapely.get_coordinates(one)[:-1] for one in (outer, hole, island, apart)])
    >>> made.geom_type, made.area, [len(part.interiors) for part in made.geoms]
    ('MultiPolygon', 78.25, [1, 0, 0])
    """
    linear = np.array([shapely.linearrings(ring) for ring in rings], dtype=object)
    areas = shapely.polygons(linear)
    shells = np.arange(len(areas))
    holes: dict[int, list[shapely.LinearRing]] = {}
    if len(areas) > 1 and shapely.is_valid(areas).all():
        holder = _holders(areas)
        depth = np.array([len(held) for held in holder])
        shells = np.flatnonzero(depth % 2 == 0)
        for ring in np.flatnonzero(depth % 2 == 1):
            inner = max(holder[ring], key=lambda one: depth[one])
            holes.setdefault(inner, []).append(linear[ring])
    parts = [shapely.Polygon(linear[shell], holes.get(shell)) for shell in map(int, shells)]
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def _holders(areas: Geoms) -> list[list[int]]:
    """For each ring the rings it lies in. Of two equal rings the later lies in the earlier."""
    inner, outer = shapely.STRtree(areas).query(areas, predicate="intersects")
    size = shapely.area(areas)
    smaller = (size[inner] < size[outer]) | ((size[inner] == size[outer]) & (inner > outer))
    inner, outer = inner[smaller], outer[smaller]
    within = shapely.area(shapely.intersection(areas[inner], areas[outer])) > INSIDE_SHARE * size[inner]
    holders: list[list[int]] = [[] for _ in areas]
    for one, other in zip(inner[within], outer[within], strict=True):
        holders[int(one)].append(int(other))
    return holders
