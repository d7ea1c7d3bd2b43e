"""Columns of the networks: how trucks get to a site and what the way carries, and at what pressure water arrives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from gis import terrain
from gis.ground import Ground, Needs, Shown
from gis.intervals import Interval
from gis.network import hands_out, headroom_of
from gis.roads import WORST, Reach, RoadClasses, roads_of
from gis.rules import shipped
from gis.surface import Prices
from layers.records import Floats, Project, Snapshot

WATER_REACH_M = 8_000.0  # assumption: how far a works or an effluent plant may be before a trunk main is a project


def classes_of(ground: Ground) -> RoadClasses:
    return RoadClasses.of(ground.book) if ground.book is not None else RoadClasses.of_rows(shipped("road_classes"))


def prices_of(ground: Ground) -> Prices:
    return Prices.of(ground.book) if ground.book is not None else Prices.of_rows(shipped("connection_prices"))


def reach_of(ground: Ground) -> Reach | None:
    """The way of every site of a block to its nearest trunk road; None where no roads are loaded."""
    layer = ground.layer("roads")
    if layer is None:
        return None
    return ground.once("road reach", lambda all_: roads_of(layer, classes_of(all_)).reach(all_.sites))


class _OnRoads:
    """What every column of the way shares: its layer, and the way itself as evidence."""

    role = "roads"

    def _known(self, ground: Ground, column: Interval) -> Interval:
        layer = ground.layer("roads")
        assert layer is not None
        return column.where(ground.surveyed(layer))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        layer = ground.layer("roads")
        if layer is None:
            return None
        reach = roads_of(layer, classes_of(ground)).reach(np.array([site], dtype=object))
        way = reach.edges(0)
        if not way:
            return None
        names = [layer.names[row] for row in reach.roads.network.row[self._shown(reach, way)]]
        return Shown(reach.course(0), tuple(dict.fromkeys(names)))

    def _shown(self, reach: Reach, way: list[int]) -> list[int]:
        """The edges to name: those that make the way what it is."""
        return way


@dataclass(frozen=True)
class RoadReach(_OnRoads):
    """Metres from a site's border over the road network to the nearest national or provincial road.

    Unknown where the drawing joins the site's road with none: a gap in it is likelier than a road that leads nowhere.
    """

    unit: str = "m"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        reach = reach_of(ground)
        return Interval.unknown(ground.count) if reach is None else self._known(ground, reach.distance_m)


@dataclass(frozen=True)
class RoadWorst(_OnRoads):
    """The worst of a way: its steepest grade, its narrowest stretch, its weakest bridge."""

    column: str
    unit: str

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        reach = reach_of(ground)
        return Interval.unknown(ground.count) if reach is None else self._known(ground, reach.worst(self.column))

    def _shown(self, reach: Reach, way: list[int]) -> list[int]:
        said = reach.roads.of_edge[self.column]
        sign = WORST[self.column]
        worst = said.hi[way] if sign < 0 else said.lo[way]
        return [way[int(np.argmax(sign * worst))]]


@dataclass(frozen=True)
class RoadTrucks(_OnRoads):
    """Truck passages a day that the lowest class of a way may take on, by the table of road classes."""

    unit: str = "trucks"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        reach = reach_of(ground)
        if reach is None:
            return Interval.unknown(ground.count)
        trucks = classes_of(ground).trucks_d
        rank = self._known(ground, reach.worst("rank"))
        known = ~np.isnan(rank.lo)
        lo, hi = (
            trucks[np.where(known, np.clip(one, 0, len(trucks) - 1), 0).astype(int)] for one in (rank.hi, rank.lo)
        )
        return Interval(lo, hi).where(known)

    def _shown(self, reach: Reach, way: list[int]) -> list[int]:
        return [way[int(np.argmax(reach.roads.of_edge["rank"].hi[way]))]]


@dataclass(frozen=True)
class RoadRoom(_OnRoads):
    """Tonnes a day that the fullest stretch of a way has left in its account, after what is reserved."""

    unit: str = "td"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        reach, layer = reach_of(ground), ground.layer("roads")
        if reach is None or layer is None:
            return Interval.unknown(ground.count)
        return self._known(ground, reach.least(_room(reach, layer, ground)))


def _room(reach: Reach, layer: Snapshot, ground: Ground) -> Interval:
    left = headroom_of(layer, ground.world.pools(), "freight_td")[reach.roads.network.row]
    unsaid = np.isnan(left)
    return Interval(np.where(unsaid, -np.inf, left), np.where(unsaid, np.inf, left))


@dataclass(frozen=True)
class WaterHead:
    """Metres of pressure head with which water arrives at the highest ground of a site, without a pump.

    From the best placed source within reach that has enough: its head, else the ground it stands on, less the site's
    highest cell and what friction takes on the straight way. Below zero water does not arrive, and where no source has
    enough it is -inf.
    """

    need: str = "water_m3d"
    role: str = "water_sources"
    unit: str = "m"

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        layer, dem = ground.layer(self.role), ground.world.raster("dem")
        if layer is None or dem is None or len(layer.features) == 0:
            return Interval.exact(np.full((ground.count, len(projects)), np.nan))
        heads = self.heads_m(ground, layer)
        left = headroom_of(layer, ground.world.pools(), self.need)
        near = (ground.matrix_m(self.role, layer) <= WATER_REACH_M) & hands_out(layer)
        lo, hi = np.empty((2, ground.count, len(projects)))
        for n in range(len(projects)):
            sure = left >= needs[self.need].hi[n]
            may = np.isnan(left) | (left >= needs[self.need].lo[n])
            lo[:, n] = _best(heads, near & sure)
            hi[:, n] = np.where((near & may & np.isnan(heads)).any(axis=1), np.inf, _best(heads, near & may))
        asked = ~np.isnan(needs[self.need].hi)[None, :] & ground.surveyed(layer)[:, None]
        return Interval(lo, hi).where(asked)

    def heads_m(self, ground: Ground, layer: Snapshot) -> Floats:
        """(P, K) the head of each source at each site; NaN where a height is missing."""
        dem = ground.world.raster("dem")
        found = ground.raster("dem")
        assert dem is not None
        assert found is not None
        top = terrain.zonal(*found, ground.count)["max"]
        source = head_of(layer, lambda x, y: terrain.at_points(dem, x, y))
        friction = prices_of(ground).typical("water", "friction") / 1000
        heads: Floats = source[None, :] - top[:, None] - friction * ground.matrix_m(self.role, layer)
        return heads

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        layer = ground.layer(self.role)
        if layer is None or len(layer.features) == 0 or ground.world.raster("dem") is None:
            return None
        heads = np.where(np.isnan(heads := self.heads_m(ground, layer)[0]), -np.inf, heads)
        near = (ground.matrix_m(self.role, layer)[0] <= WATER_REACH_M) & hands_out(layer)
        if not near.any():
            return None
        row = int(np.argmax(np.where(near, heads, -np.inf)))
        piece = layer.pieces[layer.owner == row][0]
        return Shown(shapely.shortest_line(site, piece), (layer.names[row],))


def _best(heads: Floats, keep: np.ndarray) -> Floats:
    """(P,) the highest head of those that count; -inf where none does."""
    best: Floats = np.where(keep & ~np.isnan(heads), heads, -np.inf).max(axis=1, initial=-np.inf)
    return best


def head_of(layer: Snapshot, height_at: Callable[[Floats, Floats], Floats]) -> Floats:
    """(K,) the pressure level of each source or main: as said, else the ground it stands on."""
    first = np.flatnonzero(np.diff(layer.owner, prepend=-1))
    xy = shapely.get_coordinates(shapely.point_on_surface(layer.pieces[first]))
    ground = np.full(len(layer.features), np.nan)
    if len(first):
        ground[layer.owner[first]] = height_at(xy[:, 0], xy[:, 1])
    said = layer.column("head_m").astype(float)
    return np.where(np.isnan(said), ground, said)
