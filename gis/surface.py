"""What a line has to cross: one number for each cell of a county, of which each utility makes its own weights.

A cell's code tells its slope class, its cover and what runs through it or protects it, bit by bit. The weight of a code
is in metres of easy ground: how many of them cost what one metre here costs. So one grid serves power, water, sewers
and roads alike, and a route's bill is read from the codes it passes.

a layer that is not loaded       says nothing of any cell; `missing` names it and a bill repeats it
a cell without elevation         passes for the steepest, and a bill says over how many metres
ground outside the survey        no way leads there
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from gis import terrain
from gis.rules import Rulebook, shipped
from gis.sorts import IsIn, Sort
from gis.spread import Codes
from layers.records import Bools, Floats, Geoms, Ints, Layer, Raster, Snapshot, World

CELL_M = 20.0
SLOPES = ((8.0, "slope_8"), (15.0, "slope_15"), (25.0, "slope_25"))  # degrees from which a class begins
COVERS = ("open", "cultivated", "forest", "built_up")
COVER_AT = 2  # the bits above the two of the slope class
RIVER, ROAD, RAILWAY, BASIC_FARMLAND, ECO_REDLINE, PROTECTED, HAZARD, NO_ELEVATION, OUTSIDE = 1 << np.arange(4, 13)
CODES = 1 << 13
CROSSED = {"river": RIVER, "road": ROAD, "railway": RAILWAY}
PASSED = {
    "basic_farmland": BASIC_FARMLAND,
    "eco_redline": ECO_REDLINE,
    "protected": PROTECTED,
    "hazard": HAZARD,
}
UTILITIES = ("power", "water", "effluent", "road")
BLOCK_ROWS = 256


@dataclass(frozen=True)
class Drawn:
    """Which features of a layer set a bit."""

    role: str
    bit: int
    sort: Sort | None = None


LINES = (
    Drawn("rivers", RIVER),
    Drawn("roads", ROAD, IsIn("road_class", ("expressway", "national", "provincial", "county", "township"))),
    Drawn("railways", RAILWAY),
)
AREAS = (
    Drawn("basic_farmland", BASIC_FARMLAND),
    Drawn("eco_redline", ECO_REDLINE),
    Drawn("nature_reserve", PROTECTED, IsIn("kind", ("core",))),
    Drawn("water_protection", PROTECTED, IsIn("grade", ("first",))),
    Drawn("hazards", HAZARD, IsIn("grade", ("high",))),
)
COVER_ROLES = ("land_use", "forest_land", "residential")
READS = ("dem", *COVER_ROLES, *(one.role for one in (*LINES, *AREAS)))


@dataclass(frozen=True, eq=False)
class Surface:
    """codes (R, C), row 0 north; `missing` the roles that say nothing of it because they are not loaded."""

    codes: Codes
    west: float
    north: float
    cell_m: float
    missing: tuple[str, ...] = ()

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Row and column of a place; None outside the grid."""
        column, row = math.floor((x - self.west) / self.cell_m), math.floor((self.north - y) / self.cell_m)
        inside = 0 <= row < self.codes.shape[0] and 0 <= column < self.codes.shape[1]
        return (row, column) if inside else None

    def cells(self, site: shapely.Geometry) -> tuple[Ints, Ints]:
        """Rows and columns of the cells of an area, a line or a point, as far as they lie in the grid."""
        if shapely.get_dimensions(site) == 2:
            return self.cells_of(np.array([site], dtype=object))[1:]
        row, column = crossed_cells(np.array([site], dtype=object), self)
        inside = (row >= 0) & (row < self.codes.shape[0]) & (column >= 0) & (column < self.codes.shape[1])
        return row[inside], column[inside]

    def cells_of(self, sites: Geoms) -> tuple[Ints, Ints, Ints]:
        """Site, row and column of the cells of P areas, as far as they lie in the grid."""
        site, row, column = terrain.cells(sites, self.grid)
        inside = (row >= 0) & (row < self.codes.shape[0]) & (column >= 0) & (column < self.codes.shape[1])
        return site[inside], row[inside], column[inside]

    @cached_property
    def grid(self) -> Raster:
        """The codes as a grid that `terrain` can lay sites on; its values are never read."""
        bare = np.broadcast_to(np.float32(0), self.codes.shape)
        rows, columns = self.codes.shape
        box = shapely.box(self.west, self.north - rows * self.cell_m, self.west + columns * self.cell_m, self.north)
        return Raster(Layer("surface", 1, "", "", box, 1), bare, self.west, self.north, self.cell_m)

    def places(self, row: Ints, column: Ints) -> Floats:
        """(K, 2) the middles of cells."""
        return np.stack([self.west + (column + 0.5) * self.cell_m, self.north - (row + 0.5) * self.cell_m], axis=1)

    def opened(self, row: Ints, column: Ints) -> Codes:
        """The codes with the protected ground lifted that these cells lie in: works stand in the zone they protect."""
        if not (self.codes[row, column] & PROTECTED).any():
            return self.codes
        label, _ = ndimage.label(self.codes & PROTECTED)
        own = np.isin(label, np.setdiff1d(label[row, column], [0]))
        return np.where(own, self.codes & np.uint16(~PROTECTED & (CODES - 1)), self.codes)


@dataclass(frozen=True, eq=False)
class Prices:
    """Unit prices with their low, typical and high end, source and confidence: one row of the rulebook each."""

    rows: pd.DataFrame

    @classmethod
    def of(cls, book: Rulebook) -> Prices:
        """The prices of a book; those shipped where it was kept before there were any."""
        return _prices(book)

    @classmethod
    def of_rows(cls, rows: pd.DataFrame) -> Prices:
        return cls(rows.set_index(["utility", "item"]).sort_index())

    @cached_property
    def _by_item(self) -> dict[tuple[str, str], tuple[Floats, str, str]]:
        ends = self.rows[["low", "typical", "high"]].astype(float).to_numpy()
        said = zip(self.rows.index, ends, self.rows["confidence"], self.rows["source"], strict=True)
        return {key: (three, str(sure), str(source)) for key, three, sure, source in said}

    def of_item(self, utility: str, item: str) -> Floats:
        """(3,) low, typical, high."""
        return self._by_item[utility, item][0]

    def typical(self, utility: str, item: str) -> float:
        return float(self.of_item(utility, item)[1])

    def confidence(self, utility: str, item: str) -> str:
        return self._by_item[utility, item][1]

    @cache  # noqa: B019 (a book's prices live as long as the book)
    def said(self, utility: str) -> str:
        """The rows of a utility as text, for a digest."""
        return str(self.rows.loc[[utility], ["low", "typical", "high"]].to_csv())

    def source(self, utility: str, item: str) -> str:
        return self._by_item[utility, item][2]

    def weights(self, utility: str, cell_m: float, end: int = 1) -> Floats:
        """(CODES,) metres of easy ground that one metre of each code costs; `end` 0 low, 1 typical, 2 high."""
        return self.weights_of(utility, np.arange(CODES), cell_m, end)

    def weights_of(self, utility: str, code: Ints, cell_m: float, end: int = 1) -> Floats:
        """(K,) the same for some codes."""
        weight = self.times(utility, code, end)
        for item, bit in CROSSED.items():
            weight = weight + np.where(code & bit, self.of_item(utility, item)[end] / cell_m, 0.0)
        return np.where(code & OUTSIDE, np.inf, weight)

    def times(self, utility: str, code: Ints, end: int = 1) -> Floats:
        """(K,) the factors of slope, cover and protection, without crossings."""
        slope = np.array([1.0, *(self.of_item(utility, item)[end] for _, item in SLOPES)])
        cover = np.array([1.0, *(self.of_item(utility, item)[end] for item in COVERS[1:])])
        weight: Floats = slope[code & 3] * cover[(code >> COVER_AT) & 3]
        for item, bit in PASSED.items():
            weight = np.where(code & bit, weight * self.of_item(utility, item)[end], weight)
        return weight


@lru_cache(maxsize=8)
def _prices(book: Rulebook) -> Prices:
    return Prices.of_rows(book.tables.get("connection_prices", shipped("connection_prices")))


def surface(world: World, cell_m: float = CELL_M) -> Surface | None:
    """The county's surface on square cells over the elevation model, or over a slope grid where only that is loaded;
    None where there is neither."""
    dem = world.raster("dem") or world.raster("slope")
    if dem is None:
        return None
    rows, columns = (max(int(count * dem.cell_m // cell_m), 1) for count in dem.values.shape)
    codes = np.zeros((rows, columns), dtype=np.uint16)
    made = Surface(codes, dem.west, dem.north, cell_m)
    _slopes(dem, made)
    bounds = made.grid.layer.extent.bounds
    layers = {role: world.near(role, bounds) for role in READS if role != "dem"}
    _cover(made, layers)
    for one in LINES:
        layer = layers[one.role]
        if layer is not None:
            _set(codes, crossed_cells(_counted(layer, one.sort, 1), made), one.bit)
    for one in AREAS:
        layer = layers[one.role]
        if layer is not None:
            codes[filled(_counted(layer, one.sort, 2), made)] |= np.uint16(one.bit)
    inside = filled(np.array([dem.layer.extent], dtype=object), made)
    codes[~inside] |= np.uint16(OUTSIDE)
    return replace(made, missing=tuple(role for role, layer in layers.items() if layer is None))


def _slopes(dem: Raster, made: Surface) -> None:
    """Slope class and missing elevation of every cell, some rows at a time: a county's heights are large."""
    rows, columns = made.codes.shape
    x = made.west + (np.arange(-1, columns + 1) + 0.5) * made.cell_m
    for first in range(0, rows, BLOCK_ROWS):
        last = min(first + BLOCK_ROWS, rows)
        y = made.north - (np.arange(first - 1, last + 1) + 0.5) * made.cell_m
        east, south = (one.ravel() for one in np.meshgrid(_within(x, dem, 1), _within(y, dem, 0)))
        z = terrain.at_points(dem, east, south).reshape(len(y), len(x)).astype(np.float32)
        slope = (z if dem.layer.role == "slope" else terrain.slope_deg(z, made.cell_m))[1:-1, 1:-1]
        blind = np.isnan(slope)
        steep = np.searchsorted([limit for limit, _ in SLOPES], np.where(blind, 90.0, slope), side="right")
        made.codes[first:last] = steep.astype(np.uint16) | np.where(blind, NO_ELEVATION, 0).astype(np.uint16)


def _within(at: Floats, dem: Raster, axis: int) -> Floats:
    """Places held within the outermost heights, so that the rim has a slope too."""
    if axis == 1:
        return np.clip(at, dem.west, dem.west + dem.values.shape[1] * dem.cell_m)
    return np.clip(at, dem.north - dem.values.shape[0] * dem.cell_m, dem.north)


def _cover(made: Surface, layers: Mapping[str, Snapshot | None]) -> None:
    """What grows or stands there: the land use survey, the forest layer over it, houses over all."""
    cover = np.zeros(made.codes.shape, dtype=np.uint16)
    land, forest, homes = (layers[role] for role in COVER_ROLES)
    if land is not None:
        cover[filled(_counted(land, IsIn("cultivated", (True,)), 2), made)] = 1
        cover[filled(_counted(land, IsIn("three_class", ("construction",)), 2), made)] = 3
    if forest is not None:
        cover[filled(_counted(forest, None, 2), made)] = 2
    if homes is not None:
        cover[filled(_counted(homes, None, 2), made)] = 3
    np.bitwise_or(made.codes, cover << COVER_AT, out=made.codes)


def _counted(layer: Snapshot, sort: Sort | None, dimension: int) -> Geoms:
    """The pieces that certainly count; a line drawn as an area is taken by its border."""
    keep = np.ones(len(layer.features), dtype=bool) if sort is None else sort(layer.features)[0]
    pieces: Geoms = layer.pieces[keep[layer.owner]]
    of = shapely.get_dimensions(pieces)
    if dimension == 1:
        borders: Geoms = np.concatenate([pieces[of == 1], shapely.boundary(pieces[of == 2])])
        return borders
    areas: Geoms = pieces[of == 2]
    return areas


def _set(codes: Codes, at: tuple[Ints, Ints], bit: int) -> None:
    row, column = at
    inside = (row >= 0) & (row < codes.shape[0]) & (column >= 0) & (column < codes.shape[1])
    codes[row[inside], column[inside]] |= np.uint16(bit)


def filled(areas: Geoms, made: Surface) -> Bools:
    """(R, C) the cells whose middle lies in any of the areas."""
    rows, columns = made.codes.shape
    depth: NDArray[np.int16] = np.zeros((rows, columns + 1), dtype=np.int16)
    alone = shapely.get_parts(areas)
    every = np.ones(len(alone))
    if len(alone):
        _, row, left, right = terrain.runs(
            alone, made.west * every, made.north * every, made.cell_m * every, made.cell_m * every
        )
        first, last = (np.clip(np.ceil(one), 0, columns).astype(np.int64) for one in (left, right))
        keep = (row >= 0) & (row < rows) & (last > first)
        np.add.at(depth, (row[keep], first[keep]), 1)
        np.add.at(depth, (row[keep], last[keep]), -1)
    np.cumsum(depth, axis=1, out=depth)
    covered: Bools = depth[:, :-1] > 0
    return covered


def crossed_cells(lines: Iterable[shapely.Geometry], made: Surface) -> tuple[Ints, Ints]:
    """Rows and columns of every cell that lines run through, side by side: no step slips across between them.

    >>> flat = Surface(np.zeros((3, 3), dtype=np.uint16), 0.0, 3.0, 1.0)
    >>> [one.tolist() for one in crossed_cells([shapely.LineString([(0.5, 2.6), (2.5, 2.4)])], flat)]
    [[0, 0, 0], [0, 1, 2]]
    """
    parts = shapely.get_parts(np.array([*lines, None], dtype=object)[:-1])
    xy, line = shapely.get_coordinates(parts, return_index=True)
    x, y = (xy[:, 0] - made.west) / made.cell_m, (made.north - xy[:, 1]) / made.cell_m
    same = line[1:] == line[:-1]
    x0, x1, y0, y1 = x[:-1][same], x[1:][same], y[:-1][same], y[1:][same]
    lone = np.setdiff1d(np.arange(len(x)), np.flatnonzero(np.r_[same, False] | np.r_[False, same]))
    x0, x1, y0, y1 = (np.concatenate([a, b[lone]]) for a, b in ((x0, x), (x1, x), (y0, y), (y1, y)))
    if len(x0) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    segment = np.arange(len(x0))
    of, at = [segment, segment], [np.zeros(len(x0)), np.ones(len(x0))]
    for a, b in ((x0, x1), (y0, y1)):  # where a segment meets the grid's lines, as a share of its length
        low, high = np.ceil(np.minimum(a, b)), np.floor(np.maximum(a, b))
        count = np.maximum(high - low + 1, 0).astype(np.int64)
        owner = np.repeat(segment, count)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        length = (b - a)[owner]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (low[owner] + nth - a[owner]) / length
        of.append(owner[length != 0])
        at.append(share[length != 0])
    owner, share = np.concatenate(of), np.concatenate(at)
    order = np.lexsort((share, owner))
    owner, share = owner[order], share[order]
    within = owner[1:] == owner[:-1]
    middle, owner = ((share[1:] + share[:-1]) / 2)[within], owner[1:][within]
    column = np.floor(x0[owner] + middle * (x1 - x0)[owner]).astype(np.int64)
    row = np.floor(y0[owner] + middle * (y1 - y0)[owner]).astype(np.int64)
    return row, column
