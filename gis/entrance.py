"""Where one enters a site, and what the roads from there to the trunk road carry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from gis.ground import Ground
from gis.intervals import Interval
from gis.roads import roads_of
from gis.rules import Rulebook
from gis.ways import classes_of
from layers.records import World

BESIDE_M = 20.0  # assumption: an entrance lies on a site's border; a drawn one may miss it by the width of a road
WORST = ("grade_share", "width_m", "bridge_limit_t")


@dataclass(frozen=True, eq=False)
class Entrance:
    """`at` in the working CRS; `distance_m` from there to a trunk road, `worst` of the way by column, one site each.

    `course` is the way as drawn, `roads` its names in order; None and empty where no roads are loaded.
    """

    at: shapely.Point
    is_given: bool
    distance_m: Interval
    worst: dict[str, Interval]
    course: shapely.Geometry | None
    roads: tuple[str, ...]


def entrance(site: shapely.Geometry, given: shapely.Point | None, book: Rulebook, world: World) -> Entrance:
    """The entrance that is given, else the place on the border that is nearest to a road one may turn off."""
    ground = Ground(np.array([site], dtype=object), world, book)
    layer = ground.layer("roads")
    unknown = Interval.unknown(1)
    if layer is None:
        return Entrance(
            given or site.representative_point(), given is not None, unknown, dict.fromkeys(WORST, unknown), None, ()
        )
    reach = roads_of(layer, classes_of(ground)).reach(np.array([site if given is None else given], dtype=object))
    at = given
    if at is None:
        link = reach.link[0]
        at = site.representative_point() if link is None else shapely.get_point(link, 0)
    way = reach.edges(0)
    names = tuple(dict.fromkeys(layer.names[row] for row in reach.roads.network.row[way].tolist()))
    worst = {name: reach.worst(name) for name in WORST}
    return Entrance(at, given is not None, reach.distance_m, worst, reach.course(0) if way else None, names)
