"""Closing thin gaps and overlaps: the ground goes to the neighbour that has the longest border with it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely

from layers.quality import between
from layers.quality.between import TOUCH_M
from layers.quality.examine import is_dust, is_thin
from layers.quality.paths import paths
from layers.quality.within import close_segments, spike_tips
from layers.quality.work import Work
from layers.records import Geoms, Ints


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
        whole, reaching = work.shapes[gives], shapely.intersection(near, work.shapes[keeps])
        tries = (_areas(shapely.difference(whole, taken)) for taken in (ground, reaching))
        _put(work, gives, tries, f"a thin overlap of {area:,.3f} m² goes to {work.names[keeps]}")


def _gaps(work: Work) -> None:
    rows = np.flatnonzero(work.usable)
    borders, kept = work.drawn()
    figures = work.figures
    narrower = max(figures["gap.width_m"], figures["sliver.width_m"])
    found, _ = between.gaps(borders, kept, work.shapes, rows, narrower, is_dust(figures))
    narrow = is_thin(figures)(found.width_m, found.area_m2) | (found.width_m < figures["gap.width_m"])
    tree = shapely.STRtree(work.shapes[rows])
    for n in np.flatnonzero(narrow & (found.one >= 0)):
        face, winner = found.ground[n], int(found.one[n])
        wider = shapely.buffer(face, TOUCH_M, join_style="mitre")
        around = rows[tree.query(wider)]
        whole = work.shapes[winner]
        # exactly what nobody has, and else a little into the winner, so that the two are one
        tries = (
            _areas(shapely.union(whole, _missing(work, face, wider, but))) for but in (around, around[around != winner])
        )
        _put(work, winner, tries, f"a gap of {found.area_m2[n]:,.3f} m² is closed")


def _missing(work: Work, face: shapely.Geometry, wider: shapely.Geometry, rows: Ints) -> shapely.Geometry:
    """The ground about a gap that none of the features has, without the crumbs beyond its ends."""
    parts = shapely.get_parts(shapely.difference(wider, shapely.union_all(work.shapes[rows])))
    inside = shapely.area(shapely.intersection(parts, face)) > work.figures["dust.area_m2"]
    return shapely.union_all(parts[inside])


def _put(work: Work, row: int, tries: Iterable[shapely.Geometry], note: str) -> None:
    """Take the first of several new shapes that may stand; where none may, say why the first may not."""
    at = np.array([row], dtype=np.int64)
    first = ""
    for after in tries:
        new: Geoms = np.array([after, None], dtype=object)[:1]
        (why,) = work.refused(at, new)
        if not why and shapely.get_num_geometries(after) > shapely.get_num_geometries(work.shapes[row]):
            why = "it would break the area into more parts"
        if not why and _faults(new, work) > _faults(work.shapes[at], work):
            why = "its border would get a spike or two points too close, and mending these would open it again"
        if not why:
            work.put(at, "close", new, note)
            return
        first = first or why
    work.leave(at, "close", [first])


def _faults(shapes: Geoms, work: Work) -> int:
    """How many spikes and points too close the borders of areas have."""
    figures, borders = work.figures, paths(shapes)
    tips, _, _ = spike_tips(borders, figures["spike.angle_deg"], figures["spike.length_m"])
    return len(tips) + len(close_segments(borders, figures["near_point.distance_m"]))


def _areas(shape: shapely.Geometry) -> shapely.Geometry:
    """The areas of an overlay's answer, as Polygon or MultiPolygon."""
    parts = shapely.get_parts(shape)
    parts = parts[shapely.get_dimensions(parts) == 2]
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
