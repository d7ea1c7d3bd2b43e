"""How ground is measured: a block of sites in a world, and the kinds of measurement a fact can be.

a layer nobody loaded, or a site not wholly inside its surveyed extent     NaN, which is unknown
a survey that found nothing                                               0 shared ground, infinite distance
the survey ends nearer than the nearest find                              lo = where it ends, hi = the find
a feature that does not say its class                                     counts in one bound only
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import shapely

from gis import measure, terrain
from gis.intervals import Interval
from gis.routes import Reached
from gis.rules import Rulebook, Tolerance, tolerances
from gis.sorts import Sort
from layers.records import Bools, Floats, Geoms, Layer, Project, Raster, Snapshot, World, union_bounds
from layers.units import rounded

T = TypeVar("T")
Needs = Mapping[str, Interval]
Routes = Callable[[str, str, str], Reached | None]
"""Looks up what is kept of routes: (utility, role, facility id) -> the accumulation, None where none is kept."""

WIDEST_LAND_M = 100.0  # assumption: no highway's land is wider, edge to edge, interchanges aside
SLIVER_M2 = 1e-6  # floating-point dust on a shared border; real slivers are far larger and are shown
HAIR_M2 = 0.1  # a hair's width of ground as large as this would be a kilometre long


@dataclass(frozen=True)
class Shown:
    """What a finding points at: ground or a line in the working CRS, and the names of the features concerned."""

    geometry: shapely.Geometry | None
    names: tuple[str, ...] = ()


class Measurement(Protocol):
    """How a column is measured, and the ground that shows it."""

    @property
    def role(self) -> str | None: ...

    @property
    def unit(self) -> str: ...

    def measure(self, ground: Ground, reach_m: float) -> Interval: ...

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None: ...


Read = Callable[["Ground", Snapshot, Bools], Floats]


class Meeting(Protocol):
    """A column of sites and projects."""

    @property
    def role(self) -> str | None: ...

    @property
    def unit(self) -> str: ...

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval: ...

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None: ...


class Ground:
    """A block of sites in a world, with what several facts share: areas, overlaps, cells, depth of survey."""

    def __init__(self, sites: Geoms, world: World, book: Rulebook | None = None, routes: Routes | None = None) -> None:
        self.sites = sites
        self.routes = routes
        self.world = world
        self.book = book
        self.assumed = tolerances() if book is None else book.tolerances
        self.count = len(sites)
        self.bounds = union_bounds(shapely.bounds(sites))
        self.area_m2: Floats = shapely.area(sites)
        self._layers: dict[str, Snapshot | None] = {}
        self._overlaps: dict[str, measure.Overlaps] = {}
        self._matrices: dict[str, Floats] = {}
        self._depths: dict[bytes, Floats] = {}
        self._cells: dict[str, terrain.Cells] = {}
        self._cell_values: dict[str, Floats] = {}
        self._memory: dict[object, Any] = {}

    def once(self, key: object, make: Callable[[Ground], T]) -> T:
        """What `make` says of this block, worked out once."""
        if key not in self._memory:
            self._memory[key] = make(self)
        known: T = self._memory[key]
        return known

    def layer(self, role: str) -> Snapshot | None:
        if role not in self._layers:
            self._layers[role] = self.world.near(role, self.bounds)
        return self._layers[role]

    def known(self, role: str) -> Layer | None:
        """The layer of a role that was looked at so far."""
        layer: Snapshot | Raster | None = self._layers.get(role)
        if layer is None and role in self._cells:
            layer = self.world.raster(role)
        return layer.layer if layer is not None else None

    def tolerance(self, layer: Snapshot) -> Tolerance:
        """How far the layer's borders may be off: as it states, else as the rulebook assumes."""
        if layer.layer.accuracy_m is not None:
            return Tolerance(layer.layer.accuracy_m)
        return self.assumed.get(layer.layer.role, self.assumed["*"])

    def depth_m(self, layer: Snapshot) -> Floats:
        """How far each site lies inside a layer's surveyed extent; -1 where it does not. Layers often share one."""
        key = layer.once("extent", lambda whole: whole.layer.extent.wkb)
        if key not in self._depths:
            self._depths[key] = measure.depth_m(self.sites, layer.layer.extent)
        return self._depths[key]

    def surveyed(self, layer: Snapshot) -> Bools:
        return self.depth_m(layer) >= 0

    def overlaps(self, role: str, layer: Snapshot) -> measure.Overlaps:
        if role not in self._overlaps:
            self._overlaps[role] = measure.overlaps(self.sites, layer)
        return self._overlaps[role]

    def touched(self, role: str, layer: Snapshot) -> measure.Overlaps:
        """The overlaps without those no wider than a hair, which come of rounding coordinates along a shared border."""
        return self.once(("touched", role), lambda ground: _touched(ground, ground.overlaps(role, layer), layer))

    def matrix_m(self, role: str, layer: Snapshot) -> Floats:
        """(P, M) distance from each site to each feature, for the few facilities that serve."""
        if role not in self._matrices:
            pieces = measure.matrix_m(self.sites, layer.pieces)
            first = np.flatnonzero(np.diff(layer.owner, prepend=-1))
            self._matrices[role] = np.minimum.reduceat(pieces, first, axis=1) if len(first) else pieces
        return self._matrices[role]

    def raster(self, role: str) -> tuple[Floats, terrain.Cells] | None:
        """The values of a grid in the cells that each site covers, and the cells."""
        grid = self.world.raster(role)
        if grid is None:
            return None
        if role not in self._cells:
            self._cells[role] = terrain.cells(self.sites, grid)
        at = self._cells[role]
        return self._once_read(role, lambda: terrain.read(grid.values, at)), at

    def slope(self) -> tuple[Floats, terrain.Cells] | None:
        """Slope in degrees: of the elevation model, or of a slope grid where only that is loaded."""
        elevation = self.world.raster("dem")
        if elevation is None:
            return self.raster("slope")
        found = self.raster("dem")
        if found is None:
            return None
        return self._once_read("slope", lambda: terrain.slope_at(elevation, found[1])), found[1]

    def _once_read(self, key: str, read: Callable[[], Floats]) -> Floats:
        if key not in self._cell_values:
            self._cell_values[key] = read()
        return self._cell_values[key]


@dataclass(frozen=True)
class Overlap:
    """Square metres a site shares with the features of a layer that count.

    A layer that is `complete` maps all ground there is; what it leaves out may be anything.
    """

    role: str
    sort: Sort | None = None
    complete: bool = False
    unit: str = "m2"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        return ground.once(self, lambda all_: self.bounds(all_, self.shared_m2))

    def bounds(self, ground: Ground, read: Read) -> Interval:
        """What `read` says of the features that certainly count, up to what it says of those that may."""
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.unknown(ground.count)
        certain, possible = counted(layer, self.sort)
        lo = read(ground, layer, certain)
        hi = lo if certain is possible else read(ground, layer, possible)
        if self.complete:
            hi = hi + unmapped_m2(ground.sites, ground.area_m2, layer, ground.overlaps(self.role, layer))
        return as_found(ground, layer, lo, hi)

    def shared_m2(self, ground: Ground, layer: Snapshot, keep: Bools) -> Floats:
        """(P,) square metres shared with the features where `keep` (M,), an array of `counted`, holds."""
        return ground.once(
            ("shared", self.role, id(keep)),
            lambda all_: clean(measure.covered_m2(all_.sites, layer, all_.touched(self.role, layer), keep)),
        )

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        layer = ground.layer(self.role)
        if layer is None or (ground.count == 1 and len(ground.overlaps(self.role, layer).site) == 0):
            return None
        return shared(site, split(layer, self.sort)[1])


@dataclass(frozen=True)
class Outside:
    """Square metres of a site that no feature of the layer covers."""

    role: str
    sort: Sort | None = None
    unit: str = "m2"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        return ground.once(self, lambda all_: self.bounds(all_, self.left_m2))

    def bounds(self, ground: Ground, read: Read) -> Interval:
        """What `read` says beside the features that may count, up to what it says beside those that certainly do."""
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.unknown(ground.count)
        certain, possible = counted(layer, self.sort)
        hi = read(ground, layer, certain)
        column = Interval.exact(hi) if certain is possible else Interval(read(ground, layer, possible), hi)
        return column.where(ground.surveyed(layer))

    def left_m2(self, ground: Ground, layer: Snapshot, keep: Bools) -> Floats:
        """(P,) square metres beside the features where `keep` (M,), an array of `counted`, holds."""
        return ground.once(("left", self.role, id(keep)), lambda all_: self._left_m2(all_, layer, keep))

    def _left_m2(self, ground: Ground, layer: Snapshot, keep: Bools) -> Floats:
        table = ground.overlaps(self.role, layer)
        left = clean(ground.area_m2 - measure.covered_m2(ground.sites, layer, table, keep))
        thin = np.flatnonzero((left > 0) & (left < HAIR_M2))
        if len(thin):
            parts, site = measure.left_parts(ground.sites[thin], layer, keep)
            hair = measure.is_hair(parts)
            left[thin] = clean(measure.summed(site[~hair], shapely.area(parts[~hair]), len(thin)))
        return left

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        inside = Overlap(self.role, self.sort).evidence(site, ground, reach_m)
        left = site if inside is None else shapely.difference(site, inside.geometry)
        return Shown(left) if left.area > SLIVER_M2 else None


@dataclass(frozen=True)
class Distance:
    """Plan distance in metres from a site's edge to the nearest feature that counts, as far as a rule looks."""

    role: str
    sort: Sort | None = None
    unit: str = "m"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.unknown(ground.count)
        certain, possible = split(layer, self.sort)
        hi = measure.distance_m(ground.sites, certain, reach_m)
        lo = hi if certain is possible else measure.distance_m(ground.sites, possible, reach_m)
        return _as_far_as_surveyed(ground, layer, lo, hi, reach_m)

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        layer = ground.layer(self.role)
        if layer is None:
            return None
        possible = split(layer, self.sort)[1]
        found = measure.nearest(site, possible, reach_m)
        return None if found is None else Shown(found[0], (possible.names[found[1]],))


@dataclass(frozen=True)
class EdgeDistance(Distance):
    """Distance to the edge of land that is drawn by its centreline, with its width in a column.

    The law measures from the edge. Where the width is not said, the edge lies between the centreline and half the
    widest land there is, so that a centreline alone passes no rule nearby. A feature drawn as an area is its own edge.
    """

    width: str = "land_width_m"
    widest_m: float = WIDEST_LAND_M

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.unknown(ground.count)
        certain, possible = split(layer, self.sort)
        nearest = possible.once((self, "nearest"), lambda one: self.half_width_m(one, unsaid_m=self.widest_m / 2))
        farthest = certain.once((self, "farthest"), lambda one: self.half_width_m(one, unsaid_m=0.0))
        lo = measure.edge_distance_m(ground.sites, possible, nearest, reach_m)
        said = certain is possible and (nearest == farthest).all()
        hi = lo if said else measure.edge_distance_m(ground.sites, certain, farthest, reach_m)
        return _as_far_as_surveyed(ground, layer, lo, hi, reach_m)

    def half_width_m(self, layer: Snapshot, unsaid_m: float) -> Floats:
        drawn_as_line = np.zeros(len(layer.features), dtype=bool)
        drawn_as_line[layer.owner[shapely.get_dimensions(layer.pieces) == 1]] = True
        said = layer.column(self.width).astype(float)
        half: Floats = np.where(drawn_as_line, np.where(np.isnan(said), unsaid_m, said / 2), 0.0)
        return half


@dataclass(frozen=True)
class Terrain:
    """A statistic of the slope (degrees, Horn) or the elevation (metres) over a site's cells."""

    of: str
    statistic: str
    unit: str
    over: float | None = None
    role: str = "dem"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        found = ground.slope() if self.of == "slope" else ground.raster("dem")
        if found is None:
            return Interval.unknown(ground.count)
        values, at = found
        if self.over is not None:
            return Interval.exact(terrain.share_over(values, self.over, at, ground.count))
        zonal = terrain.zonal(values, at, ground.count)
        range_ = zonal["max"] - zonal["min"] if self.statistic == "range" else zonal[self.statistic]
        return Interval.exact(range_)

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return None


@dataclass(frozen=True)
class Area:
    """The site's own plane area, to the hundredth of a square metre that registers keep."""

    unit: str = "m2"
    role: None = None

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        return Interval.exact(rounded(ground.area_m2, 2))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return None


def as_found(ground: Ground, layer: Snapshot, lo: Floats, hi: Floats) -> Interval:
    """Ground found in a layer; beyond its survey what was found is there all the same, and there may be more."""
    surveyed = ground.surveyed(layer)
    if surveyed.all():
        return Interval(lo, lo if lo is hi or (lo == hi).all() else hi)
    beyond = ~surveyed
    found = beyond & (lo > 0)
    hi = np.where(found, np.maximum(hi, ground.area_m2), hi) if found.any() else hi
    return Interval(lo, lo if (lo == hi).all() else hi).where(~beyond | found)


def _touched(ground: Ground, table: measure.Overlaps, layer: Snapshot) -> measure.Overlaps:
    thin = np.flatnonzero((table.area_m2 > SLIVER_M2) & (table.area_m2 < HAIR_M2))
    if len(thin) == 0:
        return table
    parts, row = measure.shared_parts(ground.sites, layer, table.site[thin], table.feature[thin])
    wide = np.bincount(row[~measure.is_hair(parts)], minlength=len(thin)) > 0
    if wide.all():
        return table
    keep = np.ones(len(table.site), dtype=bool)
    keep[thin] = wide
    return table.where(keep)


def split(layer: Snapshot, sort: Sort | None) -> tuple[Snapshot, Snapshot]:
    """The features that certainly count and those that may, as two layers; one and the same where all is said."""
    certain, possible = counted(layer, sort)
    sure = layer.once((sort, "certain"), lambda whole: whole.where(certain))
    return sure, sure if certain is possible else layer.once((sort, "possible"), lambda whole: whole.where(possible))


def counted(layer: Snapshot, sort: Sort | None) -> tuple[Bools, Bools]:
    """(M,) which features certainly count and which may; one and the same array where every feature says."""
    return layer.once(("counted", sort), lambda whole: _counted(whole, sort))


def _counted(layer: Snapshot, sort: Sort | None) -> tuple[Bools, Bools]:
    if sort is None:
        return (np.ones(len(layer.features), dtype=bool),) * 2
    certain, possible = sort(layer.features)
    return (certain, certain) if (certain == possible).all() else (certain, possible)


def _as_far_as_surveyed(ground: Ground, layer: Snapshot, lo: Floats, hi: Floats, reach_m: float) -> Interval:
    """Distances found, cut down to what the survey can vouch for: beyond its end something nearer may lie."""
    depth = ground.depth_m(layer)
    vouched = np.where(depth >= reach_m, np.inf, depth)
    if lo is hi and (lo <= vouched).all():
        return Interval.exact(hi)
    return Interval(np.minimum(lo, vouched), hi).where(depth >= 0)


def unmapped_m2(sites: Geoms, area_m2: Floats, layer: Snapshot, table: measure.Overlaps) -> Floats:
    """(P,) ground of each site that no feature of the layer covers."""
    everything, _ = counted(layer, None)
    left = clean(area_m2 - measure.covered_m2(sites, layer, table, everything))
    return np.where(left > 1e-9 * area_m2, left, 0.0)


def shared(site: shapely.Geometry, layer: Snapshot) -> Shown | None:
    """The part of a site in a layer, with the names of the features it touches."""
    found = measure.shared_ground(site, layer)
    return None if found is None else Shown(found[0], tuple(layer.names[row] for row in found[1][:3]))


def clean(area_m2: Floats) -> Floats:
    return np.where(np.abs(area_m2) < SLIVER_M2, 0.0, area_m2)
