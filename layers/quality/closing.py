"""Closing thin gaps and overlaps: the ground goes to the neighbour that has the longest border with it."""

from __future__ import annotations

import numpy as np
import shapely

from layers.quality import between
from layers.quality.between import TOUCH_M
from layers.quality.examine import is_dust, is_thin
from layers.quality.paths import paths
from layers.quality.within import close_segments
from layers.quality.work import Work
from layers.records import Geoms


def close(work: Work) -> bool:
    """Close every thin overlap and every gap that is narrow enough to be a fault, one by one; whether any was."""
    before = work.shapes.copy()
    _overlaps(work)
    _gaps(work)
    return bool((work.shapes != before).any())


def _overlaps(work: Work) -> None:
    rows = np.flatnonzero(work.usable)
    found = between.overlapping(work.shapes, rows, lambda share: None)
    _, thin = between.by_class(found, is_thin(work.figures))
    dust = is_dust(work.figures)(thin.width_m, thin.area_m2)
    for n in np.flatnonzero(~dust):
        one, other, ground, area = thin.one[n], thin.other[n], thin.ground[n], thin.area_m2[n]
        # the border of the ground that one of them has runs through the other: there the ground is joined to it
        near = shapely.buffer(ground, TOUCH_M, join_style="mitre")
        runs = shapely.length(shapely.intersection(shapely.boundary(work.shapes[[one, other]]), near))
        keeps, gives = (one, other) if runs[1] > runs[0] else (other, one)
        taken = shapely.intersection(near, work.shapes[keeps])
        after = _areas(shapely.difference(work.shapes[gives], taken))
        _put(work, gives, after, f"a thin overlap of {area:,.3f} m² goes to {work.names[keeps]}")


def _gaps(work: Work) -> None:
    rows = np.flatnonzero(work.usable)
    borders, kept = work.drawn()
    figures = work.figures
    narrower = max(figures["gap.width_m"], figures["sliver.width_m"])
    found, _ = between.gaps(borders, kept, work.shapes, rows, narrower, is_dust(figures))
    whole = is_thin(figures)(found.width_m, found.area_m2) | (found.width_m < figures["gap.width_m"])
    tree = shapely.STRtree(work.shapes[rows])
    for n in np.flatnonzero(whole & (found.one >= 0)):
        face, winner = found.ground[n], int(found.one[n])
        wider = shapely.buffer(face, TOUCH_M, join_style="mitre")
        around = work.shapes[rows[tree.query(wider)]]
        parts = shapely.get_parts(shapely.difference(wider, shapely.union_all(around)))
        inside = shapely.area(shapely.intersection(parts, face)) > figures["dust.area_m2"]
        ground = shapely.union_all(parts[inside])
        after = _areas(shapely.union(work.shapes[winner], ground))
        _put(work, winner, after, f"a gap of {found.area_m2[n]:,.3f} m² is closed")


def _put(work: Work, row: int, after: shapely.Geometry, note: str) -> None:
    at = np.array([row], dtype=np.int64)
    new: Geoms = np.array([after, None], dtype=object)[:1]
    (why,) = work.refused(at, new)
    if not why and _close_points(new, work) > _close_points(work.shapes[at], work):
        why = "it would bring two points of its border too close, and joining them would open it again"
    if why:
        work.leave(at, "close", [why])
    else:
        work.put(at, "close", new, note)


def _close_points(shapes: Geoms, work: Work) -> int:
    return len(close_segments(paths(shapes), work.figures["near_point.distance_m"]))


def _areas(shape: shapely.Geometry) -> shapely.Geometry:
    """The areas of an overlay's answer, as Polygon or MultiPolygon."""
    parts = shapely.get_parts(shape)
    parts = parts[shapely.get_dimensions(parts) == 2]
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
