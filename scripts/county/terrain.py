"""The ground: rivers drawn from town to town, valleys around them, mountains behind, higher to the east."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import rasterio.features
import rasterio.transform
import shapely
from numpy.typing import NDArray

from layers.records import Floats, Geoms
from scripts.county.noise import fractal, ramp, smooth_noise
from scripts.county.places import EAST, NORTH, SOUTH, WEST, draws, town

CELL_M = 25.0
COARSE_M = 100.0


@dataclass(frozen=True, eq=False)
class River:
    """A stream from source to mouth. `points` (n, 2), `z` (n,) metres above sea level."""

    name: str
    points: Floats
    z: Floats
    floor_m: Floats  # (n,) half the width of its valley's floor
    width_m: float  # of the water

    @property
    def line(self) -> shapely.LineString:
        return shapely.LineString(self.points)

    def beside(self, point: tuple[float, float], step_m: float, offset_m: float) -> tuple[float, float]:
        """A place `step_m` downstream of the point and `offset_m` left of the water."""
        line = self.line
        at = float(line.project(shapely.Point(point))) + step_m
        a, b = (np.array(line.interpolate(at + d).coords[0]) for d in (-400.0, 400.0))
        across = np.array([-(b - a)[1], (b - a)[0]]) / np.hypot(*(b - a))
        x, y = np.array(line.interpolate(at).coords[0]) + across * offset_m
        return float(round(x, 1)), float(round(y, 1))

    @property
    def chainage_m(self) -> Floats:
        steps = np.hypot(*np.diff(self.points, axis=0).T)
        along: Floats = np.concatenate([[0.0], np.cumsum(steps)])
        return along


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

    dem: NDArray[np.float32]
    slope_deg: NDArray[np.float32]
    floor_m: NDArray[np.float32]  # distance beyond the nearest valley floor, COARSE_M cells
    rivers: tuple[River, ...]
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


def mean_slope_deg(slope_deg: NDArray[np.float32], polygons: Geoms) -> Floats:
    """Mean over the cells whose middle lies in each polygon; the polygons do not overlap.

    Returns
    -------
    (P,) degrees, NaN for a polygon that holds no cell's middle
    """
    grid = rasterio.features.rasterize(
        zip(polygons, range(1, len(polygons) + 1), strict=True),
        out_shape=slope_deg.shape,
        transform=rasterio.transform.from_origin(WEST, NORTH, CELL_M, CELL_M),
        dtype=np.int32,
    )
    count = np.bincount(grid.ravel(), minlength=len(polygons) + 1)[1:]
    total = np.bincount(grid.ravel(), weights=slope_deg.ravel(), minlength=len(polygons) + 1)[1:]
    mean: Floats = np.divide(total, count, out=np.full(len(polygons), np.nan), where=count > 0)
    return mean


def terrain(seed: int) -> Terrain:
    """Rivers, then the ground they carve: flat floors, steep sides, karst hills, a massif in the south-east."""
    rivers = _rivers(seed)
    rng = draws(seed, "terrain")
    coarse_x, coarse_y = _cells(COARSE_M)
    level, beyond = _valleys(rivers, coarse_x, coarse_y, rng)
    x, y = _cells(CELL_M)
    beyond_m = _bilinear(beyond, x, y)
    level_m = _bilinear(level, x, y)
    east = ramp(556_000, 573_000, x + 0.25 * (3_106_000 - y))
    massif = ramp(15_000, 1_500, np.hypot(x - 571_500, y - 3_094_500))
    relief = 330 + 170 * east + 60 * smooth_noise(x, y, 9_000, rng)
    bend_x, bend_y = (700 * smooth_noise(x, y, 3_000, rng) for _ in "xy")
    hills = fractal(x + bend_x, y + bend_y, 4_200, 6, rng, ridged=True) - 0.35
    cones = fractal(x, y, 900, 3, rng, ridged=True) - 0.4
    away = ramp(0, 1_100, beyond_m)
    z = level_m + relief * (1 - np.exp(-beyond_m / 480))
    z += away * (hills * (400 + 300 * east + 160 * massif) + cones * (95 - 55 * east))
    z += (360 * east + 480 * massif) * (1 - np.exp(-beyond_m / 2_600))
    z += ramp(0, 150, beyond_m) * 16 * fractal(x, y, 260, 3, rng)
    z += 1.1 * smooth_noise(x, y, 340, rng)
    benches = _benches(rivers[0])
    for bench in benches.values():
        reach = bench.reach(x, y) + 0.3 * smooth_noise(x, y, 900, rng) + 0.1 * smooth_noise(x, y, 300, rng)
        height = float(np.percentile(z[(reach > 1.0) & (reach < 1.6)], 15))
        flat = height + 0.02 * (x - bench.x) + 1.5 * smooth_noise(x, y, 420, rng)
        if bench.knoll is not None:  # even slopes of about ten degrees: fit for terraces, not for one platform
            away = np.hypot(x - bench.knoll[0], y - bench.knoll[1])
            flat = flat + 0.19 * np.maximum(480 - np.hypot(away, 60.0), 0.0)
        blend = ramp(1.6, 0.95, reach)
        z = z * (1 - blend) + flat * blend
    z = np.where(z > 2_000, 2_000 + (z - 2_000) * 0.55, z)  # summits end near 2,400 m
    dem = z.astype(np.float32)
    return Terrain(dem, horn_slope_deg(dem, CELL_M), beyond.astype(np.float32), rivers, benches)


def horn_slope_deg(dem: NDArray[np.float32], cell_m: float) -> NDArray[np.float32]:
    """Slope in degrees by Horn's method; the rim repeats its neighbours.

    >>> plane = np.tile(np.arange(0, 50, 10, dtype=np.float32), (5, 1))
    >>> horn_slope_deg(plane, 10.0)[2, 2].item()
    45.0
    """
    z = np.pad(dem, 1, mode="edge")
    east = z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:] - z[:-2, :-2] - 2 * z[1:-1, :-2] - z[2:, :-2]
    south = z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:] - z[:-2, :-2] - 2 * z[:-2, 1:-1] - z[:-2, 2:]
    slope: NDArray[np.float32] = np.degrees(np.arctan(np.hypot(east, south) / (8 * cell_m))).astype(np.float32)
    return slope


# --- rivers ---------------------------------------------------------------------------------------


def _rivers(seed: int) -> tuple[River, ...]:
    rng = draws(seed, "rivers")
    at = {name: np.array(town(name).at) for name in ("木黄", "合水", "朗溪", "峨岭", "紫薇", "新业", "天堂", "板溪")}
    main = _bent(
        [
            (EAST + 300, 3_114_900),
            at["木黄"] + (1_900, 1_300),
            at["木黄"] + (250, -420),
            (561_300, 3_108_350),
            at["合水"] + (120, -430),
            (552_500, 3_102_500),
            at["朗溪"] + (-150, -420),
            (544_900, 3_099_700),
            at["峨岭"] + (150, -500),
            (537_600, 3_098_900),
            (WEST - 300, 3_100_400),
        ],
        110.0,  # it has to pass its towns
        rng,
    )
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(main, axis=0).T))])
    z = np.interp(
        along, [0, along[-1] * 0.16, along[-1] * 0.45, along[-1] * 0.75, along[-1]], [735, 642, 556, 498, 452]
    )
    basin = float(shapely.LineString(main).project(shapely.Point(at["朗溪"]))) + 2_500
    floor = 330 + 300 * ramp(3_400, 1_200, np.abs(along - basin))  # 朗溪坝子: the one broad basin
    rivers = [River("印江河", main, z, floor, 44.0)]
    for name, controls, gradient, floor_m, width_m in (
        (
            "永义河",
            [(562_500, SOUTH - 300), at["紫薇"] + (200, 200), (557_900, 3_100_800)],
            0.020,
            95.0,
            16.0,
        ),
        (
            "新业河",
            [(EAST + 300, 3_100_600), at["新业"] + (150, 250), (566_900, 3_108_200)],
            0.024,
            95.0,
            14.0,
        ),
        ("新民河", [(567_600, NORTH + 300), (566_300, 3_116_200)], 0.026, 60.0, 10.0),
        (
            "车家河",
            [(550_300, NORTH + 300), at["天堂"] + (250, -100), (549_600, 3_108_800)],
            0.020,
            80.0,
            14.0,
        ),
        (
            "板溪河",
            [(540_900, NORTH + 300), at["板溪"] + (-350, 0), (541_000, 3_102_000)],
            0.018,
            110.0,
            12.0,
        ),
        ("南门沟", [(545_600, SOUTH - 300), (544_700, 3_096_300)], 0.030, 40.0, 6.0),
        ("西门沟", [(537_000, SOUTH - 300), (537_500, 3_096_000)], 0.026, 40.0, 6.0),
        ("金厂沟", [(555_600, NORTH + 300), (555_300, 3_112_500)], 0.030, 40.0, 6.0),
    ):
        last = np.asarray(controls[-1], dtype=float)
        ahead = np.hypot(*(main - last).T)
        mouth = int(np.argmin(np.where(main[:, 0] < last[0] + 400, ahead, np.inf)))
        points = _bent([*controls, main[mouth]], 150.0, rng)
        points[-1] = main[mouth]
        length = np.hypot(*np.diff(points, axis=0).T)
        up = np.concatenate([np.cumsum(length[::-1])[::-1], [0.0]])
        rivers.append(
            River(
                name,
                points,
                z[mouth] + gradient * up * (0.55 + up / 22_000),
                np.full(len(points), floor_m),
                width_m,
            )
        )
    return tuple(rivers)


def _bent(controls: list[object], swing_m: float, rng: np.random.Generator) -> Floats:
    """A smooth line through the controls that swings like a river; a point every 60 m or so, to the millimetre."""
    knots = _wandering(np.array([np.asarray(c, dtype=float) for c in controls]), rng)
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    t = np.linspace(0, 1, 60, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    curve = shapely.LineString(np.vstack([*pieces, knots[-1:]]))
    points: Floats = shapely.get_coordinates(shapely.line_interpolate_point(curve, np.arange(0, curve.length, 60.0)))
    steps = np.asarray(np.gradient(points, axis=0), dtype=float)
    normal = np.column_stack([-steps[:, 1], steps[:, 0]]) / np.hypot(*steps.T)[:, None]
    along = np.arange(len(points), dtype=float) * 60.0
    swing = np.zeros(len(points), dtype=float)
    for wave, times in ((6_500.0, 5.0), (2_400.0, 2.0), (900.0, 0.6)):
        swing += times * smooth_noise(along, np.full(1, 0.37 * wave), wave, rng)
    calm = np.minimum(ramp(0, 1_500, along), ramp(0, 1_500, along[::-1]))
    bent: Floats = np.round(points + normal * (swing * swing_m * calm)[:, None], 3)
    return bent


def _benches(main: River) -> dict[str, Bench]:
    """Three terraces: two beside the upper river, out of reach of the one-kilometre rule, one under 板溪."""
    heshui, muhuang = town("合水").at, town("木黄").at
    return {
        "合水坪": Bench(*main.beside(heshui, -1_800, -1_950), 1_250, 640, 38),
        "木黄坪": Bench(*main.beside(muhuang, 4_300, 1_950), 1_100, 560, 38),
        "板溪坪": Bench(545_200, 3_104_300, 1_600, 900, 20, knoll=(546_050, 3_104_700)),
    }


def _wandering(knots: Floats, rng: np.random.Generator) -> Floats:
    """Long straight reaches broken in the middle, twice, and pushed aside."""
    for _ in range(2):
        bent = [knots[0]]
        for a, b in pairwise(knots):
            length = float(np.hypot(*(b - a)))
            if length > 3_000:
                across = np.array([-(b - a)[1], (b - a)[0]])
                bent.append((a + b) / 2 + across * (rng.random() - 0.5) * 0.34)
            bent.append(b)
        knots = np.array(bent)
    return knots


# --- valleys --------------------------------------------------------------------------------------


def _cells(cell_m: float) -> tuple[Floats, Floats]:
    """Cell centres, x (1, C) and y (R, 1), row 0 north."""
    x = np.arange(WEST + cell_m / 2, EAST, cell_m)[None, :]
    y = np.arange(NORTH - cell_m / 2, SOUTH, -cell_m)[:, None]
    return x, y


def _valleys(rivers: tuple[River, ...], x: Floats, y: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """On a coarse grid: the level of the water it drains to, distance beyond the nearest valley floor."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    spots = shapely.points(np.broadcast_to(x, shape).ravel(), np.broadcast_to(y, shape).ravel())
    wobble = 1 + 0.75 * smooth_noise(x, y, 1_500, rng) + 0.35 * smooth_noise(x, y, 500, rng)
    beyond = np.full(shape, np.inf)
    weights, levels = np.zeros(shape), np.zeros(shape)
    for river in rivers:
        tree = shapely.STRtree(shapely.points(river.points))
        (_, at), away = tree.query_nearest(spots, return_distance=True, all_matches=False)
        distance = away.reshape(shape)
        weight = (distance + 60.0) ** -4.0
        weights += weight
        levels += weight * river.z[at].reshape(shape)
        floor = river.floor_m[at].reshape(shape) * np.clip(wobble, 0.65, 1.8)
        beyond = np.minimum(beyond, np.maximum(distance - floor, 0.0))
    return levels / weights, beyond


def _nearest_cell(grid: NDArray[np.float32], x: Floats, y: Floats) -> Floats:
    column = np.clip(((np.asarray(x) - WEST) / CELL_M).astype(int), 0, grid.shape[1] - 1)
    row = np.clip(((NORTH - np.asarray(y)) / CELL_M).astype(int), 0, grid.shape[0] - 1)
    values: Floats = grid[row, column].astype(float)
    return values


def _bilinear(grid: NDArray[np.floating], x: Floats, y: Floats) -> Floats:
    u = np.clip((np.asarray(x) - WEST) / COARSE_M - 0.5, 0, grid.shape[1] - 1.001)
    v = np.clip((NORTH - np.asarray(y)) / COARSE_M - 0.5, 0, grid.shape[0] - 1.001)
    column, row = u.astype(int), v.astype(int)
    u, v = u - column, v - row
    top = grid[row, column] * (1 - u) + grid[row, column + 1] * u
    bottom = grid[row + 1, column] * (1 - u) + grid[row + 1, column + 1] * u
    value: Floats = top * (1 - v) + bottom * v
    return value
