"""Does the plant fit? The largest rectangle at any angle inside a site, and whether a project's rectangle does.

First a coarse look: the site turned to many angles, drawn on a small lattice, the best block of whole cells by running
heights. Then, about the middles of the best blocks, exact ground: between two lines across a site the room above and
below a middle is bounded by the edges themselves, so that every rectangle found lies inside, holes and parts included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import affinity

from gis import terrain
from gis.earthwork import prices
from gis.ground import WIDEST_LAND_M, Ground, Needs, Shown
from gis.intervals import Interval
from layers.records import Floats, Geoms, Project

Score = Callable[[Floats, Floats], Floats]  # of widths and heights; grows with both

LATTICE = 60  # cells across a turned site in the coarse look
ANGLES = np.arange(0.0, 90.0, 2.0)
LONGEST = 8  # edges whose direction is tried as well: a site's own sides
SEEDS = 24
SEARCH = (  # turns in degrees, lines on each side of the middle, how many go on
    (np.array([-0.9, -0.45, 0.0, 0.45, 0.9]), 32, 12),
    (np.array([-0.25, 0.0, 0.25]), 12, 5),
    (np.array([-0.1, 0.0, 0.1]), 12, 1),
)
SHORT = 0.97  # the search finds 98 % of the largest area; a rectangle this much too large certainly does not fit
SAME = 1e-7  # relative; a site as large as the plant takes it
HAIR = 1e-9  # relative; by how much a strip stays inside an edge it would lie on


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in the working CRS: its sides in metres, `angle_deg` of the long one from east, counterclockwise."""

    length_m: float
    width_m: float
    angle_deg: float
    geometry: shapely.Geometry
    score: float

    @property
    def area_m2(self) -> float:
        return self.length_m * self.width_m


@dataclass(frozen=True)
class _Tried:
    """(B,) rectangles in frames turned by `angle`, degrees; middles and half-open sides in the frame."""

    angle: Floats
    left: Floats
    right: Floats
    bottom: Floats
    top: Floats
    score: Floats

    def best(self, count: int) -> _Tried:
        rows = np.argsort(-self.score, kind="stable")[:count]
        return _Tried(*(values[rows] for values in vars(self).values()))


def area(width: Floats, height: Floats) -> Floats:
    return width * height


def scale_of(length_m: float, width_m: float) -> Score:
    """How often larger than a footprint a rectangle is, either way round; 1 and more takes it."""

    def score(width: Floats, height: Floats) -> Floats:
        along = np.minimum(width / length_m, height / width_m)
        across = np.minimum(width / width_m, height / length_m)
        return np.asarray(np.maximum(along, across))

    return score


def largest(site: shapely.Geometry, score: Score = area) -> Rectangle | None:
    """The best rectangle at any angle inside a Polygon or MultiPolygon; None where the site has no ground.

    >>> found = largest(affinity.rotate(shapely.box(0, 0, 90, 60), 37))
    >>> round(found.length_m, 3), round(found.width_m, 3), round(found.angle_deg, 3)
    (90.0, 60.0, 37.0)
    """
    if site.is_empty or not site.area > 0:
        return None
    middle = np.array(site.envelope.centroid.coords[0])
    moved = affinity.translate(site, -middle[0], -middle[1])
    edges = _edges(moved)
    tried = _seeds(moved, edges, score)
    for step, (turns, lines, keep) in enumerate(SEARCH):
        tried = _pushed(edges, _about(edges, tried, turns, lines, score, zoomed=step > 0), score).best(keep)
    if not tried.score.size or not tried.score[0] > 0:
        return None
    return _rectangle(tried, middle)


def _rectangle(tried: _Tried, middle: Floats) -> Rectangle:
    west, east, south, north = (float(side[0]) for side in (tried.left, tried.right, tried.bottom, tried.top))
    long, high, angle = east - west, north - south, float(tried.angle[0])
    drawn = affinity.rotate(shapely.box(west, south, east, north), angle, origin=(0, 0))
    return Rectangle(
        max(long, high),
        min(long, high),
        (angle if long >= high else angle + 90) % 180,
        affinity.translate(drawn, *middle),
        float(tried.score[0]),
    )


def _edges(site: shapely.Geometry) -> Floats:
    """(E, 4) x0, y0, x1, y1 of every edge of every ring."""
    xy, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts([site])), return_index=True)
    same = ring[1:] == ring[:-1]
    return np.hstack([xy[:-1][same], xy[1:][same]])


def _turned(edges: Floats, angle: Floats) -> Floats:
    """(B, E, 4) the edges in frames turned by `angle` (B,) degrees."""
    cos, sin = np.cos(np.radians(angle))[:, None], np.sin(np.radians(angle))[:, None]
    x0, y0, x1, y1 = edges.T
    return np.stack([x0 * cos + y0 * sin, y0 * cos - x0 * sin, x1 * cos + y1 * sin, y1 * cos - x1 * sin], axis=2)


def _seeds(site: shapely.Geometry, edges: Floats, score: Score) -> _Tried:
    """The best block of whole cells at each angle, the best of them; not yet certain to lie inside."""
    across = edges[:, 2:] - edges[:, :2]
    longest = across[np.argsort(-np.hypot(*across.T), kind="stable")[:LONGEST]]
    sides = np.degrees(np.arctan2(longest[:, 1], longest[:, 0])) % 90
    angles = np.unique(np.concatenate([ANGLES, sides]))
    turned: Geoms = np.array([affinity.rotate(site, -angle, origin=(0, 0)) for angle in angles], dtype=object)
    west, south, east, north = shapely.bounds(turned).T
    step_x, step_y = (east - west) / LATTICE, (north - south) / LATTICE
    corners = LATTICE + 1
    of, row, left, right = terrain.runs(turned, west - step_x / 2, north + step_y / 2, step_x, step_y)
    drawn = np.zeros((len(angles), corners, corners + 1), dtype=np.int8)
    row = np.clip(row, 0, LATTICE)
    np.add.at(drawn, (of, row, np.clip(np.ceil(left), 0, corners).astype(np.int64)), 1)
    np.add.at(drawn, (of, row, np.clip(np.ceil(right), 0, corners).astype(np.int64)), -1)
    corner = np.cumsum(drawn[:, :, :-1], axis=2) > 0
    inside = corner[:, 1:, 1:] & corner[:, :-1, 1:] & corner[:, 1:, :-1] & corner[:, :-1, :-1]
    tall = np.zeros((len(angles), LATTICE, LATTICE), dtype=np.int8)  # free cells above each cell, itself included
    tall[:, 0] = inside[:, 0]
    for line in range(1, LATTICE):
        tall[:, line] = (tall[:, line - 1] + 1) * inside[:, line]
    best = _Tried(angles, *(np.zeros(len(angles)) for _ in range(5)))
    lowest = tall
    for wide in range(1, LATTICE + 1):
        lowest = tall if wide == 1 else np.minimum(lowest[:, :, :-1], tall[:, :, wide - 1 :])
        flat = lowest.reshape(len(angles), -1)
        at = np.argmax(flat, axis=1)
        high = flat[np.arange(len(angles)), at].astype(float)
        found = score(wide * step_x, high * step_y)
        better = np.flatnonzero(found > best.score)
        foot, first = np.divmod(at[better], LATTICE + 1 - wide)
        best.left[better] = west[better] + first * step_x[better]
        best.right[better] = best.left[better] + wide * step_x[better]
        best.bottom[better] = north[better] - (foot + 1) * step_y[better]
        best.top[better] = best.bottom[better] + high[better] * step_y[better]
        best.score[better] = found[better]
    return best.best(SEEDS)


def _about(edges: Floats, tried: _Tried, turns: Floats, lines: int, score: Score, *, zoomed: bool) -> _Tried:
    """The best rectangle about the middle of each one tried, in its frame turned a little either way."""
    x, y = (tried.left + tried.right) / 2, (tried.bottom + tried.top) / 2
    half = np.repeat((tried.right - tried.left) / 2, len(turns))
    turn = np.radians(np.tile(turns, len(x)))
    x, y = np.repeat(x, len(turns)), np.repeat(y, len(turns))
    angle = np.repeat(tried.angle, len(turns)) + np.degrees(turn)
    x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    turned = _turned(edges, angle)
    reach = np.stack([x - turned[:, :, 0].min(axis=1), turned[:, :, 0].max(axis=1) - x], axis=1) * (1 - HAIR)  # (B, 2)
    share = np.arange(1, lines + 1) / lines
    if zoomed:  # lines close to where the sides were
        off = half[:, None, None] * (0.88 + 0.24 * share)
        off = np.minimum(np.repeat(off, 2, axis=1), reach[:, :, None])
    else:
        off = reach[:, :, None] * share  # (B, 2, lines)
    off = np.maximum(off, 0.0)
    inner = np.concatenate([np.zeros((*off.shape[:2], 1)), off[:, :, :-1]], axis=2)
    low = np.concatenate([x[:, None] - off[:, 0], x[:, None] + inner[:, 1]], axis=1)
    high = np.concatenate([x[:, None] - inner[:, 0], x[:, None] + off[:, 1]], axis=1)
    bottom, top = _room(turned, y, low, high)
    floor = np.maximum.accumulate(bottom.reshape(-1, 2, lines), axis=2)
    roof = np.minimum.accumulate(top.reshape(-1, 2, lines), axis=2)
    below = np.maximum(floor[:, 0, :, None], floor[:, 1, None, :])
    above = np.minimum(roof[:, 0, :, None], roof[:, 1, None, :])
    found = score(off[:, 0, :, None] + off[:, 1, None, :], above - below).reshape(len(x), -1)
    at = np.argmax(found, axis=1)
    every = np.arange(len(x))
    i, j = np.divmod(at, lines)
    return _Tried(
        angle,
        x - off[every, 0, i],
        x + off[every, 1, j],
        below[every, i, j],
        above[every, i, j],
        found[every, at],
    )


def _room(turned: Floats, y: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """(B, S) the free ground below and above the line at `y` (B,) over each strip from `low` to `high`.

    Nothing, where an edge crosses the line within the strip.
    """
    x0, y0, x1, y1 = (turned[:, None, :, n] for n in range(4))
    first = np.maximum(np.minimum(x0, x1), low[:, :, None])
    last = np.minimum(np.maximum(x0, x1), high[:, :, None])
    upright = (x0 == x1) & (x0 > low[:, :, None]) & (x0 < high[:, :, None])
    within = (first < last) | upright
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = (y1 - y0) / (x1 - x0)
        a = np.where(upright, y0, y0 + (first - x0) * rise)
        b = np.where(upright, y1, y0 + (last - x0) * rise)
    least, most, at = np.minimum(a, b), np.maximum(a, b), y[:, None, None]
    top = np.where(within & (most > at), np.maximum(least, at), np.inf).min(axis=2)
    bottom = np.where(within & (least < at), np.minimum(most, at), -np.inf).max(axis=2)
    shut = ~(np.isfinite(top) & np.isfinite(bottom))
    return np.where(shut, y[:, None], bottom), np.where(shut, y[:, None], top)


def _pushed(edges: Floats, tried: _Tried, score: Score) -> _Tried:
    """Each side moved out until it meets an edge: first left and right, then bottom and top."""
    turned = _turned(edges, tried.angle)
    swapped = turned[:, :, [1, 0, 3, 2]]
    x, y = (tried.left + tried.right) / 2, (tried.bottom + tried.top) / 2
    inner = (tried.top - tried.bottom) / 2 * (1 - HAIR)
    left, right = (side[:, 0] for side in _room(swapped, x, (y - inner)[:, None], (y + inner)[:, None]))
    middle, inner = (left + right) / 2, (right - left) / 2 * (1 - HAIR)
    bottom, top = (side[:, 0] for side in _room(turned, y, (middle - inner)[:, None], (middle + inner)[:, None]))
    found = score(right - left, top - bottom)
    found = np.where((tried.score > 0) & np.isfinite(found), found, 0.0)
    return _Tried(tried.angle, left, right, bottom, top, found)


def setback_m() -> float:
    """How far buildings stand from the border where the planning conditions say nothing."""
    return prices()["setback"].typical


def fits(sites: Geoms, length_m: float, width_m: float) -> Interval:
    """(P,) 1 where the rectangle fits in a site, 0 where it does not, 0 to 1 where the search is too coarse to tell."""
    score = scale_of(length_m, width_m)
    lo, hi = np.zeros(len(sites)), np.zeros(len(sites))
    for row in np.flatnonzero(shapely.area(sites) >= length_m * width_m * (1 - SAME)):
        found = largest(sites[row], score)
        scale = 0.0 if found is None else found.score
        lo[row], hi[row] = scale >= 1 - SAME, scale >= SHORT
    return Interval(lo, hi)


def inside_setback(ground: Ground) -> Geoms:
    """Each site without the strip along its border in which nothing is built."""
    return ground.once("inside setback", lambda all_: shapely.buffer(all_.sites, -setback_m(), join_style="mitre"))


@dataclass(frozen=True)
class FootprintFits:
    """Whether the project's rectangle fits inside the setback, at any angle; unknown where it says none."""

    role: None = None
    unit: str = ""

    def measure(self, ground: Ground, projects: Sequence[Project], needs: Needs) -> Interval:
        columns = [self._one(ground, project) for project in projects]
        return Interval(np.stack([one.lo for one in columns], axis=1), np.stack([one.hi for one in columns], axis=1))

    def _one(self, ground: Ground, project: Project) -> Interval:
        said = project.footprint
        if said is None:
            return Interval.unknown(ground.count)
        return ground.once(said, lambda all_: fits(inside_setback(all_), said.length_m, said.width_m))

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: Needs
    ) -> Shown | None:
        said = projects[0].footprint
        if said is None:
            return None
        found = largest(shapely.buffer(site, -setback_m(), join_style="mitre"), scale_of(said.length_m, said.width_m))
        return None if found is None else Shown(found.geometry)


@dataclass(frozen=True)
class LargestRectangle:
    """A side or the area of the largest rectangle inside a site, at any angle, without setback."""

    read: str
    unit: str
    role: None = None

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        found = ground.once("largest rectangle", lambda all_: [largest(site) for site in all_.sites])
        return Interval.exact(np.array([0.0 if one is None else getattr(one, self.read) for one in found]))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        found = largest(site)
        return None if found is None else Shown(found.geometry)


@dataclass(frozen=True)
class Frontage:
    """Metres of a site's border that lie along a road: within `beside_m` of its land, which may be unsaid.

    Between the edge of the narrowest and of the widest land a road without `land_width_m` may have.
    """

    beside_m: float = 10.0
    step_m: float = 2.0
    role: str = "roads"
    unit: str = "m"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        layer = ground.layer(self.role)
        if layer is None:
            return Interval.unknown(ground.count)
        lines, owner = shapely.get_parts(shapely.boundary(ground.sites), return_index=True)
        xy, line = shapely.get_coordinates(shapely.segmentize(lines, self.step_m), return_index=True)
        same = line[1:] == line[:-1]
        long = np.hypot(*np.diff(xy, axis=0).T)[same]
        middles = shapely.points(((xy[1:] + xy[:-1]) / 2)[same])
        site = owner[line[1:][same]]
        point, piece = layer.tree.query(middles, predicate="dwithin", distance=self.beside_m + WIDEST_LAND_M / 2)
        off = shapely.distance(middles[point], layer.pieces[piece]) - self.beside_m
        half = layer.column("land_width_m").astype(float)[layer.owner[piece]] / 2
        half = np.where(shapely.get_dimensions(layer.pieces[piece]) == 1, half, 0.0)  # an area is its own edge

        def along(half_m: Floats) -> Floats:
            beside = np.bincount(point[off <= half_m], minlength=len(middles)) > 0
            return np.bincount(site, long * beside, minlength=ground.count).astype(float)

        lo = along(np.where(np.isnan(half), 0.0, half))
        hi = along(np.where(np.isnan(half), WIDEST_LAND_M / 2, half))
        return Interval(lo, hi).where(ground.surveyed(layer))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return None
