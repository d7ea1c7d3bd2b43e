"""The ground: valleys around the rivers, karst hills behind, a massif in the east; every cell drains to the edge."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import rasterio.features
import rasterio.transform
import shapely
from numpy.typing import NDArray

from gis.terrain import slope_deg
from layers.records import Floats, Geoms, Ints
from scripts.county import erosion
from scripts.county.noise import fractal, ramp, smooth_noise
from scripts.county.outline import outline
from scripts.county.places import EAST, HIGHEST_M, LOWEST_M, NORTH, SOUTH, WEST, draws, town
from scripts.county.rivers import CHANNEL_M, River, intake_chainage_m, rivers

CELL_M = 12.5
COARSE_M = 100.0
STRIP = 160  # rows of cells made at a time

MASSIF = (571_500.0, 3_094_500.0)  # 梵净山
BROOK_KM2 = 3.0  # a stream that drains so much is drawn

Grid = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bench:
    """A flat terrace above the valley: where a plant finds level ground away from the river."""

    x: float
    y: float
    long_m: float
    short_m: float
    turn_deg: float
    knoll: tuple[float, float] | None = None

    def reach(self, x: Floats, y: Floats) -> Floats:
        """Elliptic distance: 0 in the middle, 1 on the rim."""
        turn = np.radians(self.turn_deg)
        along = (x - self.x) * np.cos(turn) + (y - self.y) * np.sin(turn)
        across = -(x - self.x) * np.sin(turn) + (y - self.y) * np.cos(turn)
        reach: Floats = np.hypot(along / self.long_m, across / self.short_m)
        return reach


@dataclass(frozen=True, eq=False)
class Terrain:
    """The elevation model with what follows from it, and the rivers that carved it; row 0 is north."""

    dem: Grid
    slope_deg: Grid
    floor_m: Grid  # distance beyond the nearest valley floor, COARSE_M cells
    rivers: tuple[River, ...]
    brooks: Geoms  # (B,) LineString down the flow, the unnamed streams
    catchment: shapely.Polygon  # what drains to the town's intake
    benches: dict[str, Bench]

    def slope_at(self, x: Floats, y: Floats) -> Floats:
        return _nearest_cell(self.slope_deg, x, y)

    def mean_slope_at(self, x: Floats, y: Floats, around_m: float) -> Floats:
        """The mean of four places around each."""
        steps = ((-around_m, -around_m), (-around_m, around_m), (around_m, -around_m), (around_m, around_m))
        mean: Floats = np.mean([self.slope_at(x + dx, y + dy) for dx, dy in steps], axis=0)
        return mean

    def height_at(self, x: Floats, y: Floats) -> Floats:
        return _nearest_cell(self.dem, x, y)

    def beyond_floor_at(self, x: Floats, y: Floats) -> Floats:
        return _bilinear(self.floor_m, x, y)


def mean_slope_deg(slope_deg: Grid, polygons: Geoms) -> Floats:
    """Mean over the cells whose middle lies in each polygon; the polygons do not overlap.

    Returns
    -------
    (P,) degrees, NaN for a polygon that holds no cell's middle
    """
    grid = rasterio.features.rasterize(
        zip(polygons, range(1, len(polygons) + 1), strict=True),
        out_shape=slope_deg.shape,
        transform=_transform(),
        dtype=np.int32,
    )
    inside = grid > 0
    number = grid[inside]
    count = np.bincount(number, minlength=len(polygons) + 1)[1:]
    total = np.bincount(number, weights=slope_deg[inside], minlength=len(polygons) + 1)[1:]
    mean: Floats = np.divide(total, count, out=np.full(len(polygons), np.nan), where=count > 0)
    return mean


def terrain(seed: int) -> Terrain:
    """Rivers, then the ground they carve; closed hollows are filled, so that water leaves from everywhere."""
    courses = rivers(seed)
    level, beyond = _valleys(courses, seed)
    x, y = _cells(erosion.CELL_M)
    massif = ramp(12_000, 1_000, np.hypot(x - MASSIF[0], y - MASSIF[1]))
    mountains = erosion.eroded(
        seed, courses, x, y, _spread(level, COARSE_M, x, y), _spread(beyond, COARSE_M, x, y), massif
    )
    benches = _benches(courses[0])
    tops = [NORTH - row * CELL_M for row in range(0, round((NORTH - SOUTH) / CELL_M), STRIP)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        raw = np.concatenate(list(pool.map(lambda top: _strip(seed, top, mountains, beyond), tops)))
    for bench in benches.values():
        _level_bench(raw, bench, seed)
    _dig_channels(raw, courses)
    dem, brooks, catchment = _drained(_between_known_heights(raw), courses[0])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        slope = np.concatenate(list(pool.map(lambda row: _slope_strip(dem, row), range(0, len(dem), STRIP))))
    return Terrain(dem, slope, beyond.astype(np.float32), courses, brooks, catchment, benches)


# --- the ground before water has run over it ------------------------------------------------------


def _strip(seed: int, top: float, mountains: Grid, beyond: Floats) -> Grid:
    """STRIP rows of heights below `top`, with karst cones and the small unevenness that water leaves alone.

    Every strip draws the same fields anew, so seams cannot show.
    """
    rng = draws(seed, "terrain")
    x, y = _cells(CELL_M)
    y = y[(y < top) & (y > top - STRIP * CELL_M)][:, None]
    z = _spread(mountains, erosion.CELL_M, x, y)
    beyond_m = _spread(beyond, COARSE_M, x, y)
    karst = ramp(566_000, 556_000, x + 600 * smooth_noise(x, y, 4_000, rng))  # 梵净山 is not of limestone
    cones = fractal(x, y, 640, 3, rng, ridged=True) - 0.4
    z += ramp(150, 900, beyond_m) * cones * (8 + 34 * karst)
    z += ramp(0, 150, beyond_m) * 9 * fractal(x, y, 230, 3, rng)
    z += 1.1 * smooth_noise(x, y, 340, rng)
    return z.astype(np.float32)


def _level_bench(z: Grid, bench: Bench, seed: int) -> None:
    """Flatten a terrace into the ground, at the height that its lower rim has."""
    rng = draws(seed, f"bench {bench.x:.0f}")
    wide = 2.2 * bench.long_m
    row, column = (
        slice(max(int(low / CELL_M), 0), int(high / CELL_M))
        for low, high in (
            (NORTH - bench.y - wide, NORTH - bench.y + wide),
            (bench.x - wide - WEST, bench.x + wide - WEST),
        )
    )
    x, y = (axis[part] for axis, part in zip(_cells(CELL_M), ((slice(None), column), (row, slice(None))), strict=True))
    here = z[row, column]
    reach = bench.reach(x, y) + 0.3 * smooth_noise(x, y, 900, rng) + 0.1 * smooth_noise(x, y, 300, rng)
    height = float(np.percentile(here[(reach > 1.0) & (reach < 1.6)], 45))
    flat = height + 0.02 * (x - bench.x) + 1.5 * smooth_noise(x, y, 420, rng)
    if bench.knoll is not None:  # even slopes of about ten degrees: fit for terraces, not for one platform
        away = np.hypot(x - bench.knoll[0], y - bench.knoll[1])
        flat = flat + 0.19 * np.maximum(480 - np.hypot(away, 60.0), 0.0)
    blend = ramp(1.6, 0.95, reach)
    z[row, column] = here * (1 - blend) + flat * blend


def _benches(main: River) -> dict[str, Bench]:
    """Three terraces: two beside the upper river, out of reach of the one-kilometre rule, one under 板溪."""
    heshui, muhuang = town("合水").at, town("木黄").at
    return {
        "合水坪": Bench(*main.beside(heshui, -1_800, -1_950), 1_250, 640, 38),
        "木黄坪": Bench(*main.beside(muhuang, 4_300, 1_950), 1_100, 560, 38),
        "板溪坪": Bench(545_200, 3_104_300, 1_600, 900, 20, knoll=(546_050, 3_104_700)),
    }


def _between_known_heights(z: Grid) -> Grid:
    """The county's lowest and highest place as they are known; order is kept, so water runs as before."""
    county = rasterio.features.geometry_mask([outline()], z.shape, _transform(), invert=True)
    top = float(z.max(where=county, initial=0.0))
    z = np.where(z > 1_600, 1_600 + (z - 1_600) * np.float32((HIGHEST_M - 1_600) / (top - 1_600)), z)
    return np.clip(z, np.float32(LOWEST_M), np.float32(HIGHEST_M))


# --- water ----------------------------------------------------------------------------------------


def _dig_channels(z: Grid, courses: tuple[River, ...]) -> None:
    """The beds of the named rivers, each reach at its own level; where two meet the lower stays."""
    beds: list[tuple[shapely.Geometry, float]] = []
    for river in courses:
        ends = np.stack([river.points[:-1], river.points[1:]], axis=1)
        reaches = shapely.buffer(shapely.linestrings(ends), max(river.width_m / 2, 0.75 * CELL_M), quad_segs=2)
        beds.extend(zip(reaches, river.z[1:] - CHANNEL_M, strict=True))
    beds.sort(key=lambda bed: -bed[1])
    dug = rasterio.features.rasterize(
        beds, out_shape=z.shape, transform=_transform(), fill=1e6, dtype=np.float32, all_touched=True
    )
    np.minimum(z, dug, out=z)


def _drained(z: Grid, main: River) -> tuple[Grid, Geoms, shapely.Polygon]:
    """Heights with every hollow filled to its rim, to the centimetre; the brooks that the flow gathers into; and the
    ground that drains to the town's intake."""
    filled, _, flow = erosion.drained(z, CELL_M)
    area = flow.upstream_area()
    gathers = area > BROOK_KM2 * 1e6 / CELL_M**2
    streams = flow.streams(mask=gathers)
    lines: Geoms = np.array([shapely.LineString(one["geometry"]["coordinates"]) for one in streams], dtype=object)
    dem: Grid = np.round(filled, 2)
    brooks = shapely.simplify(lines[shapely.length(lines) > 4 * CELL_M], 0.6 * CELL_M)
    return dem, brooks, _catchment(flow, area, main)


def _catchment(flow: Any, area: NDArray[np.int32], main: River) -> shapely.Polygon:
    """What drains to the river where the town draws its water, its border eased to about two cells."""
    at = main.line.interpolate(intake_chainage_m(main))
    row, column = int((NORTH - at.y) / CELL_M), int((at.x - WEST) / CELL_M)
    around = area[row - 3 : row + 4, column - 3 : column + 4]  # the bed is a few cells wide, the flow one
    down, right = np.unravel_index(int(np.argmax(around)), around.shape)
    outlet = np.array([(row - 3 + down) * area.shape[1] + column - 3 + right])
    basin = flow.basins(idxs=outlet) > 0
    shapes = [
        shapely.geometry.shape(shape)
        for shape, _ in rasterio.features.shapes(basin.astype(np.uint8), mask=basin, transform=_transform())
    ]
    return cast("shapely.Polygon", max(shapes, key=lambda one: one.area).simplify(2 * CELL_M))


def _valleys(courses: tuple[River, ...], seed: int) -> tuple[Floats, Floats]:
    """On a coarse grid: the level of the water it drains to, distance beyond the nearest valley floor."""
    rng = draws(seed, "valleys")
    x, y = _cells(COARSE_M)
    shape = np.broadcast_shapes(x.shape, y.shape)
    spots = shapely.points(np.broadcast_to(x, shape).ravel(), np.broadcast_to(y, shape).ravel())
    wobble = 1 + 0.75 * smooth_noise(x, y, 1_500, rng) + 0.35 * smooth_noise(x, y, 500, rng)
    beyond = np.full(shape, np.inf)
    weights, levels = np.zeros(shape), np.zeros(shape)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda river: _nearest(river.points, spots), courses))
    for river, (at, away) in zip(courses, found, strict=True):
        distance = away.reshape(shape)
        weight = (distance + 60.0) ** -4.0
        weights += weight
        levels += weight * river.z[at].reshape(shape)
        floor = river.floor_m[at].reshape(shape) * np.clip(wobble, 0.65, 1.8)
        beyond = np.minimum(beyond, np.maximum(distance - floor, 0.0))
    return levels / weights, beyond


def _nearest(points: Floats, spots: Geoms) -> tuple[Ints, Floats]:
    """For each spot the nearest of the points, and how far it is."""
    (_, at), away = shapely.STRtree(shapely.points(points)).query_nearest(
        spots, return_distance=True, all_matches=False
    )
    return at, away


# --- grids ----------------------------------------------------------------------------------------


def _transform() -> rasterio.Affine:
    return rasterio.transform.from_origin(WEST, NORTH, CELL_M, CELL_M)


def _cells(cell_m: float) -> tuple[Floats, Floats]:
    """Cell centres, x (1, C) and y (R, 1), row 0 north."""
    x = np.arange(WEST + cell_m / 2, EAST, cell_m)[None, :]
    y = np.arange(NORTH - cell_m / 2, SOUTH, -cell_m)[:, None]
    return x, y


def _slope_strip(dem: Grid, row: int) -> Grid:
    """STRIP rows of slope from `row` on; the window's rim repeats its neighbours."""
    rows = np.clip(np.arange(row - 1, min(row + STRIP, len(dem)) + 1), 0, len(dem) - 1)
    return slope_deg(np.pad(dem[rows], ((0, 0), (1, 1)), mode="edge"), CELL_M)[1:-1, 1:-1]


def _nearest_cell(grid: Grid, x: Floats, y: Floats) -> Floats:
    column = np.clip(((np.asarray(x) - WEST) / CELL_M).astype(int), 0, grid.shape[1] - 1)
    row = np.clip(((NORTH - np.asarray(y)) / CELL_M).astype(int), 0, grid.shape[0] - 1)
    values: Floats = grid[row, column].astype(float)
    return values


def _spread(grid: NDArray[np.floating], cell_m: float, x: Floats, y: Floats) -> Floats:
    """A coarser grid on finer cells x (1, C), y (R, 1), without creases: quadratic B-splines along rows and columns."""
    rows, columns = _weights((NORTH - y[:, 0]) / cell_m, len(grid)), _weights((x[0] - WEST) / cell_m, grid.shape[1])
    tall = sum(grid[at] * weight[:, None] for at, weight in rows)
    wide: Floats = np.asarray(sum(np.take(tall, at, axis=1) * weight for at, weight in columns))
    return wide


def _weights(at: Floats, count: int) -> list[tuple[Ints, Floats]]:
    """The three cells around each place, given in cells from the edge, and what each contributes."""
    nearest = np.clip(np.floor(at), 0, count - 1).astype(np.int64)
    t = at - 0.5 - nearest
    shares = (0.5 * (0.5 - t) ** 2, 0.75 - t**2, 0.5 * (0.5 + t) ** 2)
    return [(np.clip(nearest + k, 0, count - 1), share) for k, share in zip((-1, 0, 1), shares, strict=True)]


def _bilinear(grid: NDArray[np.floating], x: Floats, y: Floats) -> Floats:
    u = np.clip((np.asarray(x) - WEST) / COARSE_M - 0.5, 0, grid.shape[1] - 1.001)
    v = np.clip((NORTH - np.asarray(y)) / COARSE_M - 0.5, 0, grid.shape[0] - 1.001)
    column, row = u.astype(int), v.astype(int)
    u, v = u - column, v - row
    top = grid[row, column] * (1 - u) + grid[row, column + 1] * u
    bottom = grid[row + 1, column] * (1 - u) + grid[row + 1, column + 1] * u
    value: Floats = top * (1 - v) + bottom * v
    return value
