"""Where the rivers run: drawn from source to mouth through the towns they are named with, falling all the way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely

from layers.records import Floats
from scripts.county.noise import ramp, smooth_noise
from scripts.county.places import LOWEST_M, NORTH, WEST, draws, town


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


@dataclass(frozen=True)
class Course:
    """How a river is drawn: `knots` in EPSG:4545, and either the level at which it leaves the window or None, where it
    joins the main river (or `joins`) beside its last knot."""

    name: str
    knots: tuple[tuple[float, float], ...]
    gradient: float
    floor_m: float
    width_m: float
    leaves_at_m: float | None = None
    joins: str = "印江河"


def _by(name: str, east_m: float = 0.0, north_m: float = 0.0) -> tuple[float, float]:
    x, y = town(name).at
    return x + east_m, y + north_m


# levels of the main river where it passes its towns, metres; 752 m between its source and the county's line
LEVELS_M = {"木黄": 642.0, "合水": 556.0, "朗溪": 498.0, "峨岭": 452.0}
CHANNEL_M = 3.0  # how deep a river lies in the floor of its valley
SOURCE_M, MOUTH_M = LOWEST_M + 752.0, LOWEST_M + CHANNEL_M


def _courses() -> tuple[Course, ...]:
    """The tributaries of the main river, and the waters of the county's north and south that leave it elsewhere."""
    return (
        Course("永义河", ((566_300, 3_091_900), _by("紫薇", 200, 200), (557_900, 3_100_800)), 0.020, 95.0, 16.0),
        Course("新业河", ((574_600, 3_099_300), _by("新业", 150, 250), (566_900, 3_108_200)), 0.024, 95.0, 14.0),
        Course("新民河", ((566_900, 3_118_900), (566_300, 3_116_200)), 0.026, 60.0, 10.0),
        Course("车家河", ((551_200, 3_120_800), _by("天堂", 250, -100), (549_600, 3_108_800)), 0.020, 80.0, 14.0),
        Course("板溪河", ((542_300, 3_116_900), _by("板溪", -350, 0), (541_000, 3_102_000)), 0.018, 110.0, 12.0),
        Course("南门沟", ((546_300, 3_091_200), (544_700, 3_096_300)), 0.030, 40.0, 6.0),
        Course("西门沟", ((537_600, 3_090_800), (537_500, 3_096_000)), 0.026, 40.0, 6.0),
        Course("金厂沟", ((556_300, 3_119_300), (555_300, 3_112_500)), 0.030, 40.0, 6.0),
        Course(
            "乐茂江河",
            (
                (562_900, 3_087_500),
                _by("缠溪", 100, -250),
                _by("新寨", 0, -300),
                _by("罗场", 200, 250),
                (WEST - 300, 3_086_800),
            ),
            0.013,
            105.0,
            16.0,
            leaves_at_m=520.0,
        ),
        Course(
            "洋溪河",
            ((556_300, 3_078_400), _by("洋溪", 150, 250), (541_900, 3_070_900), (WEST - 300, 3_067_400)),
            0.016,
            95.0,
            14.0,
            leaves_at_m=470.0,
        ),
        Course(
            "江源沟河",
            ((551_300, 3_058_900), _by("杨柳", 250, 100), (543_300, 3_070_000)),
            0.020,
            70.0,
            9.0,
            joins="洋溪河",
        ),
        Course(
            "刀坝河",
            ((557_700, 3_115_900), _by("刀坝", 250, -150), (553_000, 3_130_800), (551_500, NORTH + 300)),
            0.017,
            95.0,
            12.0,
            leaves_at_m=560.0,
        ),
        Course(
            "沙子坡河",
            ((547_600, 3_119_400), _by("沙子坡", 150, 300), (534_800, 3_124_900), (WEST - 300, 3_126_300)),
            0.018,
            90.0,
            11.0,
            leaves_at_m=540.0,
        ),
        Course(
            "杉树河",
            ((541_200, 3_112_900), _by("杉树", 150, -200), (WEST - 300, 3_110_600)),
            0.021,
            70.0,
            8.0,
            leaves_at_m=500.0,
        ),
    )


INTAKE_UP_M = 3_200.0  # how far above the seat the town draws its water


def intake_chainage_m(main: River) -> float:
    """Where the town draws its water: along the main river, a good three kilometres above the seat."""
    return float(main.line.project(shapely.Point(town("峨岭").at))) - INTAKE_UP_M


def rivers(seed: int) -> tuple[River, ...]:
    """The main river first; every other joins one that stands before it, or leaves the window."""
    rng = draws(seed, "rivers")
    drawn = {"印江河": _main(rng)}
    for course in _courses():
        if course.leaves_at_m is None:
            into = drawn[course.joins]
            last = np.asarray(course.knots[-1], dtype=float)
            downstream = into.points[:, 0] < last[0] + 400  # rivers here run west: no one turns back up
            mouth = int(np.argmin(np.where(downstream, np.hypot(*(into.points - last).T), np.inf)))
            points = _bent([*course.knots, into.points[mouth]], 150.0, rng)
            points[-1] = into.points[mouth]
            level = float(into.z[mouth])
        else:
            points, level = _bent(list(course.knots), 150.0, rng), course.leaves_at_m
        length = np.hypot(*np.diff(points, axis=0).T)
        up = np.concatenate([np.cumsum(length[::-1])[::-1], [0.0]])
        z = level + course.gradient * up * (0.55 + up / 22_000)
        drawn[course.name] = River(course.name, points, z, np.full(len(points), course.floor_m), course.width_m)
    return tuple(drawn.values())


def _main(rng: np.random.Generator) -> River:
    """印江河: 木黄, 合水, 朗溪, the county seat, and out at the lowest place of the county."""
    points = _bent(
        [
            (575_200, 3_107_900),
            (573_400, 3_112_400),
            _by("木黄", 1_900, 1_300),
            _by("木黄", 250, -420),
            (561_300, 3_108_350),
            _by("合水", 120, -430),
            (552_500, 3_102_500),
            _by("朗溪", -150, -420),
            (544_900, 3_099_700),
            _by("峨岭", 150, -500),
            (537_600, 3_098_900),
            (WEST - 300, 3_101_200),
        ],
        110.0,  # it has to pass its towns
        rng,
    )
    line = shapely.LineString(points)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = [float(line.project(shapely.Point(town(name).at))) for name in LEVELS_M]
    levels = [SOURCE_M, 0.45 * SOURCE_M + 0.55 * LEVELS_M["木黄"], *LEVELS_M.values(), MOUTH_M]
    z = np.interp(along, [0.0, at[0] * 0.4, *at, along[-1]], levels)
    basin = float(line.project(shapely.Point(town("朗溪").at))) + 2_500
    floor = 330 + 300 * ramp(3_400, 1_200, np.abs(along - basin))  # 朗溪坝子: the one broad basin
    floor *= 0.25 + 0.75 * ramp(0, at[0] * 0.8, along)  # a gorge at the source
    return River("印江河", points, z, floor, 44.0)


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
