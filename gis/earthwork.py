"""What it takes to make a site flat: one level, one tilt, or two terraces; what is dug and filled, and what that costs.

The ground of a site is read along scan lines of its own: every line is cut exactly where it meets the border, and the
elevation model is read bilinearly in the middle of steps. The heights of each site are then sorted once, after which
any level is answered from running sums. Nothing loops over sites.

A platform is balanced where the ground dug, times the bulking factor, fills what lies below. Prices, bulking, the
steepest grade and the error of the elevation model are rows of `rulebook/earthwork_prices.csv`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd
import shapely

from gis import terrain
from gis.ground import Ground, Shown
from gis.intervals import Interval
from layers.records import Bools, Floats, Geoms, Ints, Raster

POINTS = 900  # on a site of any size; more where the elevation model is finer than that
NARROW = 1.8  # lines lie closer than steps: a line ends exactly at the border, the first and last line do not
SPLITS = np.arange(1, 32) / 32  # shares of a site that may become the lower terrace
CNY_PER_WAN = 1e4


@dataclass(frozen=True)
class Price:
    """A row of the table: a range and the figure used where one is needed."""

    low: float
    typical: float
    high: float


@cache
def prices() -> dict[str, Price]:
    """The rows of `earthwork_prices.csv`, by name."""
    with files("gis").joinpath("rulebook/earthwork_prices.csv").open(encoding="utf-8") as file:
        rows = pd.read_csv(file)
    numbers = rows[["low", "typical", "high"]].astype(float).itertuples(index=False)
    return {name: Price(*row) for name, row in zip(rows["name"], numbers, strict=True)}


@dataclass(frozen=True)
class Samples:
    """(C,) points on the ground of P sites: whose, where from the site's middle, how high, for how many m2 each."""

    site: Ints
    x_m: Floats
    y_m: Floats
    z_m: Floats
    area_m2: Floats


def sample(sites: Geoms, dem: Raster) -> Samples:
    """Points along scan lines through every site, north to south; z is NaN where the model has none."""
    west, south, east, north = shapely.bounds(sites).T
    area_m2 = shapely.area(sites)
    lines = np.sqrt(POINTS * (east - west) * (north - south) / area_m2)  # a thin site fills little of its box
    step_x = (east - west) / np.ceil(np.maximum(lines / NARROW, (east - west) / dem.cell_m))
    step_y = (north - south) / np.ceil(np.maximum(lines * NARROW, (north - south) / dem.cell_m))
    site, row, left, right = terrain.runs(sites, west, north, step_x, step_y)
    count = np.maximum(np.ceil(right - left), 1).astype(np.int64)
    run = np.repeat(np.arange(len(site)), count)
    place = np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
    long = (right - left)[run] / count[run]
    of = site[run]
    x = west[of] + (left[run] + 0.5 + (place + 0.5) * long) * step_x[of]
    y = north[of] - (row[run] + 0.5) * step_y[of]
    drawn = long * step_x[of] * step_y[of]
    whole = np.bincount(of, drawn, minlength=len(sites))
    area = drawn * (area_m2 / np.where(whole > 0, whole, 1.0))[of]
    return Samples(of, x - (west + east)[of] / 2, y - (south + north)[of] / 2, terrain.at_points(dem, x, y), area)


@dataclass(frozen=True)
class Levelled:
    """(Q,) a balanced level in metres, and what is dug and filled for it."""

    level_m: Floats
    cut_m3: Floats
    fill_m3: Floats

    @property
    def moved_m3(self) -> Floats:
        return self.cut_m3 + self.fill_m3


class Heights:
    """The heights of P sites in order, with running sums, so that a level is answered without touching the points."""

    def __init__(self, site: Ints, z_m: Floats, area_m2: Floats, count: int) -> None:
        self.start = np.concatenate([[0], np.cumsum(np.bincount(site, minlength=count))])
        self.base_m = np.zeros(count)  # heights from each site's mean, so that running sums stay small
        weight = np.bincount(site, area_m2, minlength=count)
        self.base_m = np.bincount(site, z_m * area_m2, minlength=count) / np.where(weight > 0, weight, 1.0)
        z = z_m - self.base_m[site]
        apart = 2 * np.abs(z).max(initial=0.0) + 1
        order = np.argsort(z + site * apart, kind="stable")
        self.z_m = z[order]
        self.area_m2 = np.concatenate([[0.0], np.cumsum(area_m2[order])])
        self.volume_m3 = np.concatenate([[0.0], np.cumsum(self.z_m * area_m2[order])])

    def balanced(self, site: Ints, first: Ints, last: Ints, bulking: float) -> Levelled:
        """The balanced level of points `first` to `last` (not included) of each site, (Q,); by bisection."""
        area, volume = self.area_m2, self.volume_m3
        low, high = first.copy(), np.maximum(last - 1, first)  # the last point that is still below or at the level
        while (low < high).any():
            middle = (low + high + 1) // 2
            z = self.z_m[np.minimum(middle, len(self.z_m) - 1)]
            dug = (volume[last] - volume[middle]) - (area[last] - area[middle]) * z
            filled = (area[middle] - area[first]) * z - (volume[middle] - volume[first])
            enough = bulking * dug >= filled
            low, high = np.where(enough, middle, low), np.where(enough, high, middle - 1)
        cut = np.minimum(low + 1, last)
        above, above_m3 = area[last] - area[cut], volume[last] - volume[cut]
        below, below_m3 = area[cut] - area[first], volume[cut] - volume[first]
        weight = bulking * above + below
        level = (bulking * above_m3 + below_m3) / np.where(weight > 0, weight, np.nan)
        return Levelled(level + self.base_m[site], above_m3 - above * level, below * level - below_m3)


@dataclass(frozen=True)
class Earthwork:
    """Platforms of P sites. NaN where the elevation model does not cover the whole site.

    `flat` is one level; `tilted` one plane of at most the grade of the table, never more earth than `flat`; `terraces`
    two levels either side of a contour, each balanced in itself, `step_m` apart, the lower on `lower_share` of the
    site. `rise_east`, `rise_north` is the tilt. Heights along the border are between the flat platform and the ground.
    """

    flat: Levelled
    tilted: Levelled
    rise_east: Floats
    rise_north: Floats
    terraces: Levelled
    step_m: Floats
    lower_share: Floats
    retaining_m: Floats
    face_m2: Floats
    perimeter_m: Floats
    area_m2: Floats
    error_m: float
    bulking: float

    @property
    def grade(self) -> Floats:
        return np.hypot(self.rise_east, self.rise_north)

    @property
    def surplus_m3(self) -> Floats:
        """What is left over of the compacted fill; negative where some has to be brought."""
        return self.bulking * self.flat.cut_m3 - self.flat.fill_m3

    @property
    def cut_band_m3(self) -> Interval:
        """What the cut may be when every height is off by up to `error_m`, whatever the pattern.

        With x the share of a site that is dug, the cut of a balanced level changes by at most 2 e A x (1 - x) /
        (k x + 1 - x) along any change of heights; over x that is at most 2 e A / (1 + sqrt k)^2.
        """
        wide = 2 * self.error_m * self.area_m2 / (1 + np.sqrt(self.bulking)) ** 2
        return Interval(np.maximum(self.flat.cut_m3 - wide, 0.0), self.flat.cut_m3 + wide)

    @property
    def cost_wan(self) -> Interval:
        """10,000 CNY for the flat platform: lowest price of the least earth to highest price of the most."""
        table, cut = prices(), self.cut_band_m3
        off = self.error_m * self.perimeter_m
        face = np.maximum(self.face_m2 - off, 0.0), self.face_m2 + off
        low = cut.lo * (table["cut"].low + self.bulking * table["fill"].low) + face[0] * table["wall"].low
        high = cut.hi * (table["cut"].high + self.bulking * table["fill"].high) + face[1] * table["wall"].high
        return Interval(low / CNY_PER_WAN, high / CNY_PER_WAN)

    @property
    def typical_wan(self) -> Floats:
        """10,000 CNY for the flat platform as the model has it, at typical prices."""
        table, cut = prices(), self.flat.cut_m3
        cost = cut * table["cut"].typical + self.flat.fill_m3 * table["fill"].typical
        return np.asarray((cost + self.face_m2 * table["wall"].typical) / CNY_PER_WAN, dtype=float)


def earthwork(
    sites: Geoms,
    dem: Raster,
    *,
    bulking: float | None = None,
    max_grade: float | None = None,
    error_m: float | None = None,
) -> Earthwork:
    """Platforms of sites (P,) on an elevation model; what is not given is read from the table.

    `error_m` is the vertical error; else what the layer states, else the table's.

    >>> from layers.records import Layer
    >>> rise = np.tile(np.arange(20, dtype=np.float32), (20, 1))  # 1 m in 10
    >>> dem = Raster(Layer("dem", 1, "", "", shapely.box(0, 0, 200, 200), 1), rise, 0.0, 200.0, 10.0)
    >>> made = earthwork(np.array([shapely.box(50, 50, 150, 150)]), dem, bulking=1.0, max_grade=0.02)
    >>> made.flat.level_m.round(2).tolist(), made.flat.cut_m3.round(-2).tolist(), made.retaining_m.round(2).tolist()
    ([9.5], [12500.0], [5.0])
    """
    table, count = prices(), len(sites)
    bulking = table["bulking"].typical if bulking is None else bulking
    max_grade = table["grade"].high if max_grade is None else max_grade
    if error_m is None:
        error_m = table["dem_error"].typical if dem.layer.accuracy_m is None else dem.layer.accuracy_m
    known, points = _covered(sample(sites, dem), count)
    flat, heights = _levelled(points, points.z_m, bulking, count)
    rise_east, rise_north = _tilt(points, max_grade, count)
    rest = points.z_m - rise_east[points.site] * points.x_m - rise_north[points.site] * points.y_m
    tilted, _ = _levelled(points, rest, bulking, count)
    worse = ~(tilted.moved_m3 < flat.moved_m3)
    rise_east[worse] = rise_north[worse] = 0.0
    terraces, step_m, lower_share = _terraces(heights, bulking, count)
    retaining_m, face_m2 = _along_border(sites, dem, flat.level_m)
    unknown = np.where(known, 0.0, np.nan)
    return Earthwork(
        _masked(flat, unknown),
        _masked(_either(worse, flat, tilted), unknown),
        rise_east + unknown,
        rise_north + unknown,
        _masked(terraces, unknown),
        step_m + unknown,
        lower_share + unknown,
        retaining_m + unknown,
        face_m2 + unknown,
        shapely.length(sites) + unknown,
        shapely.area(sites) + unknown,
        error_m,
        bulking,
    )


def _covered(points: Samples, count: int) -> tuple[Bools, Samples]:
    """(P,) which sites the elevation model covers wholly, and the points with zero where it says nothing."""
    blank = np.isnan(points.z_m)
    number = np.bincount(points.site, minlength=count)
    known = (number > 0) & (np.bincount(points.site, blank, minlength=count) == 0)
    z = np.where(blank, 0.0, points.z_m)
    return known, Samples(points.site, points.x_m, points.y_m, z, points.area_m2)


def _levelled(points: Samples, z_m: Floats, bulking: float, count: int) -> tuple[Levelled, Heights]:
    heights = Heights(points.site, z_m, points.area_m2, count)
    everything = heights.balanced(np.arange(count), heights.start[:-1], heights.start[1:], bulking)
    return everything, heights


def _tilt(points: Samples, max_grade: float, count: int) -> tuple[Floats, Floats]:
    """(P,) rise towards east and north of the plane nearest the ground in least squares, no steeper than `max_grade`.

    Least squares within a circle: (C + t I) g = b with t >= 0 found by bisection in the axes of C.
    """
    site, area = points.site, points.area_m2

    def mean(values: Floats) -> Floats:
        total = np.bincount(site, area, minlength=count)
        summed = np.bincount(site, values * area, minlength=count)
        return np.asarray(summed / np.where(total > 0, total, 1.0))

    x = points.x_m - mean(points.x_m)[site]
    y = points.y_m - mean(points.y_m)[site]
    z = points.z_m - mean(points.z_m)[site]
    xx, xy, yy = mean(x * x), mean(x * y), mean(y * y)
    spread, axes = np.linalg.eigh(np.stack([xx, xy, xy, yy], axis=1).reshape(-1, 2, 2))
    pull = np.einsum("pij,pi->pj", axes, np.stack([mean(x * z), mean(y * z)], axis=1))
    spread = np.maximum(spread, 1e-12)

    def grade(t: Floats) -> Floats:
        return np.asarray(np.hypot(*(pull / (spread + t[:, None])).T))

    low, high = np.zeros(count), np.hypot(*pull.T) / max(max_grade, 1e-12)
    for _ in range(60):
        middle = (low + high) / 2
        steep = grade(middle) > max_grade
        low, high = np.where(steep, middle, low), np.where(steep, high, middle)
    held = np.where(grade(np.zeros(count)) > max_grade, high, 0.0)
    rise: Floats = np.einsum("pij,pj->pi", axes, pull / (spread + held[:, None]))
    return rise[:, 0].copy(), rise[:, 1].copy()


def _terraces(heights: Heights, bulking: float, count: int) -> tuple[Levelled, Floats, Floats]:
    """Two levels either side of the contour that moves the least earth, of the splits tried."""
    first, last = heights.start[:-1], heights.start[1:]
    split = first[:, None] + np.rint((last - first)[:, None] * SPLITS).astype(np.int64)
    site = np.repeat(np.arange(count), len(SPLITS))
    shape = (count, len(SPLITS))
    lower = heights.balanced(site, np.repeat(first, len(SPLITS)), split.ravel(), bulking)
    upper = heights.balanced(site, split.ravel(), np.repeat(last, len(SPLITS)), bulking)
    moved = np.nan_to_num((lower.moved_m3 + upper.moved_m3).reshape(shape), nan=np.inf)
    best = np.arange(count), np.argmin(moved, axis=1)

    def chosen(values: Floats) -> Floats:
        return np.asarray(values.reshape(shape)[best])

    both = Levelled(
        chosen(lower.level_m),
        chosen(lower.cut_m3 + upper.cut_m3),
        chosen(lower.fill_m3 + upper.fill_m3),
    )
    area = heights.area_m2
    whole = area[last] - area[first]
    share = (area[split[best]] - area[first]) / np.where(whole > 0, whole, np.nan)
    return both, chosen(upper.level_m) - both.level_m, share


def _along_border(sites: Geoms, dem: Raster, level_m: Floats) -> tuple[Floats, Floats]:
    """(P,) the greatest height between platform and ground along the border, and the face that makes in m2."""
    count = len(sites)
    lines = shapely.segmentize(shapely.boundary(sites), dem.cell_m / 2)
    parts, owner = shapely.get_parts(lines, return_index=True)
    xy, part = shapely.get_coordinates(parts, return_index=True)
    site = owner[part]
    height = np.abs(np.nan_to_num(terrain.at_points(dem, xy[:, 0], xy[:, 1])) - level_m[site])
    most = np.zeros(count)
    np.maximum.at(most, site, height)
    same = part[1:] == part[:-1]
    long = np.hypot(*np.diff(xy, axis=0).T)
    face = np.bincount(site[1:][same], ((height[1:] + height[:-1]) / 2 * long)[same], minlength=count)
    return np.asarray(most, dtype=float), np.asarray(face, dtype=float)


def _either(first: Bools, one: Levelled, other: Levelled) -> Levelled:
    return Levelled(
        np.where(first, one.level_m, other.level_m),
        np.where(first, one.cut_m3, other.cut_m3),
        np.where(first, one.fill_m3, other.fill_m3),
    )


def _masked(levelled: Levelled, unknown: Floats) -> Levelled:
    return Levelled(levelled.level_m + unknown, levelled.cut_m3 + unknown, levelled.fill_m3 + unknown)


@dataclass(frozen=True)
class Platform:
    """A column of the earthwork of a block of sites, which is worked out once for all of its columns."""

    read: Callable[[Earthwork], Floats | Interval]
    unit: str
    role: str = "dem"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        dem = ground.world.raster("dem")
        if dem is None:
            return Interval.unknown(ground.count)
        found = self.read(ground.once("earthwork", lambda block: earthwork(block.sites, dem)))
        return found if isinstance(found, Interval) else Interval.exact(found)

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return None


@dataclass(frozen=True)
class Aspect:
    """Where a site faces: the circular mean of its cells, degrees clockwise from north; NaN for flat ground."""

    unit: str = "deg"
    role: str = "dem"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        dem, found = ground.world.raster("dem"), ground.raster("dem")
        if dem is None or found is None:
            return Interval.unknown(ground.count)
        elevation, at = found
        faces = terrain.circular_mean_deg(terrain.aspect_at(dem, at), at, ground.count)
        whole = ~np.isnan(terrain.zonal(elevation, at, ground.count)["mean"])
        return Interval.exact(np.where(whole, faces, np.nan))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return None


PLATFORM = {
    "platform_level_m": Platform(lambda e: e.flat.level_m, "m"),
    "cut_m3": Platform(lambda e: e.flat.cut_m3, "m3"),
    "fill_m3": Platform(lambda e: e.flat.fill_m3, "m3"),
    "earth_surplus_m3": Platform(lambda e: e.surplus_m3, "m3"),
    "retaining_m": Platform(lambda e: e.retaining_m, "m"),
    "earthwork_cost_wan": Platform(lambda e: e.cost_wan, "wan"),
    "earthwork_wan": Platform(lambda e: e.typical_wan, "wan"),
    "tilt_share": Platform(lambda e: e.grade, "share"),
    "tilted_cut_m3": Platform(lambda e: e.tilted.cut_m3, "m3"),
    "tilted_fill_m3": Platform(lambda e: e.tilted.fill_m3, "m3"),
    "terraces_cut_m3": Platform(lambda e: e.terraces.cut_m3, "m3"),
    "terraces_fill_m3": Platform(lambda e: e.terraces.fill_m3, "m3"),
    "terrace_step_m": Platform(lambda e: e.step_m, "m"),
}
