"""The ground on which a rule fails: what a siting rule says of one site, turned into an area on the map.

Only rules of ground are areas: ground shared with a layer, ground left by one, a distance to keep. Where a feature does
not say its class it counts. An area may be a hair too large and is never too small, so that whoever keeps out of it
passes the rule as far as the layers are surveyed.
"""

from __future__ import annotations

import math

import numpy as np
import shapely

from gis.accuracy import Certain, Reach
from gis.check import Checked
from gis.facts import FACTS
from gis.ground import Distance, EdgeDistance, Outside, Overlap, split
from gis.meetings import MEETINGS, HeldByOthers, OutsideFittingZone, fitting, others
from gis.rules import Rule
from layers.records import Bounds, Floats, Geoms, Project, Snapshot, World

TOUCH = 1.0  # square metres: a rule with a larger limit is of a share of the site, not of a place
SEGMENTS = 16
ROUND = 1 / math.cos(math.pi / (4 * SEGMENTS))  # makes the arcs of a buffer lie outside the circle
HAIR_M = 0.01  # what rounding of coordinates may take away


def barred(checked: Checked, rule: Rule, j: int, window: Bounds) -> shapely.Geometry | None:
    """Where project `j` fails a rule within a window, in the working CRS; None where the rule is of no place."""
    one = FACTS.get(rule.value) or MEETINGS.get(rule.value)
    if isinstance(one, (Certain, Reach)):
        one, grown = one.of, isinstance(one, Reach)
    else:
        grown = False
    world = checked.world
    if isinstance(one, Distance):
        limit = _limit(checked, rule, j)
        return None if rule.op != ">=" or limit is None else _near(one, world, limit, window)
    if rule.op != "<=" or not isinstance(rule.limit, (int, float)) or rule.limit > TOUCH:
        return None
    if isinstance(one, Overlap):
        layer = world.near(one.role, window)
        if layer is None:
            return None
        found = split(layer, one.sort)[1]
        return _joined(found, window, (layer.layer.accuracy_m or 0.0) if grown else 0.0)
    if isinstance(one, (Outside, OutsideFittingZone, HeldByOthers)):
        return _of_features(one, world, checked.projects[j], window)
    return None


def _of_features(
    one: Outside | OutsideFittingZone | HeldByOthers, world: World, project: Project, window: Bounds
) -> shapely.Geometry | None:
    layer = world.near(one.role, window)
    if layer is None:
        return None
    if isinstance(one, HeldByOthers):
        return _joined(layer.where(others(layer, project)), window) if len(layer.pieces) else shapely.Polygon()
    if isinstance(one, Outside):
        inside = split(layer, one.sort)[0]
    else:
        inside = layer.where(fitting(layer.column("industries"), project)[0])
    return shapely.difference(shapely.box(*window), _joined(inside, window))


def _limit(checked: Checked, rule: Rule, j: int) -> float | None:
    if isinstance(rule.limit, (int, float)):
        return float(rule.limit)
    if rule.limit not in checked.needs:
        return None
    limit = float(checked.needs[rule.limit].hi[j])
    return limit if math.isfinite(limit) else None


def _joined(layer: Snapshot, window: Bounds, grown_m: float = 0.0) -> shapely.Geometry:
    """The features of a layer in a window as one geometry, grown where they may begin nearer than they are drawn."""
    box = shapely.box(*window)
    if grown_m == 0.0:
        return shapely.union_all(layer.pieces[layer.tree.query(box, predicate="intersects")])
    near = layer.pieces[layer.tree.query(box, predicate="dwithin", distance=grown_m)]
    return shapely.union_all(_buffered(near, np.full(len(near), grown_m)))


def _near(one: Distance, world: World, limit_m: float, window: Bounds) -> shapely.Geometry | None:
    layer = world.near(one.role, window)
    if layer is None:
        return None
    found = split(layer, one.sort)[1]
    half = np.zeros(len(found.features))
    if isinstance(one, EdgeDistance):
        half = one.half_width_m(found, unsaid_m=one.widest_m / 2)
    reach_m = limit_m + float(half.max(initial=0.0))
    rows = found.tree.query(shapely.box(*window), predicate="dwithin", distance=reach_m)
    return shapely.union_all(_buffered(found.pieces[rows], limit_m + half[found.owner[rows]]))


def _buffered(pieces: Geoms, by_m: Floats) -> Geoms:
    out: Geoms = shapely.buffer(pieces, by_m * ROUND + HAIR_M, quad_segs=SEGMENTS)
    return out
