"""The way a line takes from a site to a facility, and what it costs: looked up, never searched for a site.

    reached = accumulate(surface, prices, "power", [station])      once for a facility and a version of the county
    route = reached.route(site)                                    a walk along links
    items = bill(route, surface, prices, 22.0)                     lengths by class of ground, crossings

An accumulation is worth keeping by `key_of`: the layers, prices and the facility it was made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from gis import surface as ground
from gis.spread import Links, spread, way
from gis.surface import CODES, COVER_AT, COVERS, CROSSED, NO_ELEVATION, PASSED, PROTECTED, SLOPES, Prices, Surface
from layers.records import Floats, Geoms, Ints

VERSION = b"1"  # of the cells' codes and of what is done with them
SURE = ("seen", "mem-high", "mem-mid", "mem-low", "assumption")  # from the surest
SLOPE_NAMES = (("平缓 <8°", "gentle <8°"), ("8–15°", "8–15°"), ("15–25°", "15–25°"), (">25°", ">25°"))
COVER_NAMES = {
    "open": ("其他地", "other ground"),
    "cultivated": ("耕地", "cultivated"),
    "forest": ("林地", "forest"),
    "built_up": ("建成区", "built up"),
}
NAMES = {
    "river": ("跨河", "river crossings"),
    "road": ("跨公路", "road crossings"),
    "railway": ("跨铁路", "railway crossings"),
    "basic_farmland": ("永久基本农田", "basic farmland"),
    "eco_redline": ("生态保护红线", "ecological red line"),
    "protected": ("水源一级保护区或保护地核心区", "first-grade water protection or a reserve's core"),
    "hazard": ("地质灾害高易发区", "high geological hazard"),
}


@dataclass(frozen=True, eq=False)
class Reached:
    """What one utility needs from a facility to every cell: `total` (R, C) metres of easy ground, and links back."""

    utility: str
    surface: Surface
    total: NDArray[np.float32]
    back: Links

    def route(self, site: shapely.Geometry) -> Route | None:
        """The cheapest way from the site; None where none leads to it or it lies outside the grid."""
        row, column = self.surface.cells(site)
        if len(row) == 0:
            return None
        best = int(np.argmin(self.total[row, column]))
        return self.route_from(int(row[best]), int(column[best]))

    def route_from(self, row: int, column: int) -> Route | None:
        """The cheapest way from a cell; None where none leads."""
        cells = way(self.back, row, column)
        return Route(self.utility, *cells, self.surface) if len(cells[0]) else None

    def start(self, cells: tuple[Ints, Ints, Ints], count: int) -> tuple[Ints, Ints, Floats]:
        """(P,) row, column and metres of easy ground of the cell of each site from which the way is cheapest: -1 and
        inf where none leads, -1 and NaN outside the grid.

        cells : site, row and column of every cell of P sites, as `Surface.cells_of` gives them
        """
        site, row, column = cells
        effort = self.total[row, column].astype(float)
        order = np.lexsort((np.arange(len(site)), effort, site))
        first = order[np.r_[True, np.diff(site[order]) > 0]] if len(order) else order
        found_row, found_column = np.full((2, count), -1, dtype=np.int64)
        least = np.full(count, np.nan)
        least[site[first]] = effort[first]
        leads = first[np.isfinite(effort[first])]
        found_row[site[leads]], found_column[site[leads]] = row[leads], column[leads]
        return found_row, found_column, least

    def least_m(self, sites: Geoms) -> Floats:
        """(P,) metres of easy ground each site's way costs; inf where none leads, NaN outside the grid."""
        return self.start(self.surface.cells_of(sites), len(sites))[2]


@dataclass(frozen=True, eq=False)
class Route:
    """A way over cells, from a site to a facility."""

    utility: str
    row: Ints
    column: Ints
    surface: Surface

    @property
    def line(self) -> shapely.Geometry:
        xy = self.surface.places(self.row, self.column)
        return shapely.LineString(xy) if len(xy) > 1 else shapely.Point(xy[0])

    @property
    def steps_m(self) -> Floats:
        """(K - 1,) the length of each step."""
        steps: Floats = np.hypot(np.diff(self.row), np.diff(self.column)) * self.surface.cell_m
        return steps

    @property
    def in_cell_m(self) -> Floats:
        """(K,) how far it runs in each cell: half of each step it takes from there."""
        half = self.steps_m / 2
        metres: Floats = np.r_[half, 0.0] + np.r_[0.0, half]
        return metres

    @property
    def blind_m(self) -> float:
        """How far it runs over cells without elevation."""
        blind = (self.surface.codes[self.row, self.column] & NO_ELEVATION) > 0
        return float(self.in_cell_m[blind].sum())

    @property
    def length_m(self) -> float:
        return float(self.steps_m.sum())

    def effort_m(self, prices: Prices, end: int = 1) -> float:
        """Metres of easy ground that cost as much, at the low (0), typical (1) or high (2) end."""
        return float(self.in_cell_m @ self.weights(prices, end))

    def weights(self, prices: Prices, end: int = 1) -> Floats:
        """(K,) metres of easy ground that a metre in each cell costs."""
        code = _open(self.surface.codes[self.row, self.column])
        known, at = np.unique(code, return_inverse=True)
        weight: Floats = prices.weights_of(self.utility, known.astype(np.int64), self.surface.cell_m, end)[at]
        return weight


def _open(codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """A way runs through protected ground only where it is a facility's own zone, which is lifted for it."""
    return codes & np.uint16(~PROTECTED & (CODES - 1))


@dataclass(frozen=True)
class Item:
    """One line of a bill; wan CNY at the low, typical and high end."""

    zh: str
    en: str
    quantity: float
    unit: str
    wan: tuple[float, float, float]
    confidence: str
    is_line: bool = True  # of the way itself, which others may share; else it stands at one of its ends


def accumulate(surface: Surface, prices: Prices, utility: str, places: Iterable[shapely.Geometry]) -> Reached:
    """The least effort from the nearest of the places to everywhere, for one utility.

    A facility inside protected ground may lay its line through that very patch; others may not.
    """
    found = [surface.cells(place) for place in places]
    row, column = (np.concatenate([np.empty(0, dtype=np.int64), *(one[axis] for one in found)]) for axis in (0, 1))
    codes = surface.opened(row, column)
    sources = np.unique(row * codes.shape[1] + column)
    total, back = spread(codes, prices.weights(utility, surface.cell_m), sources, surface.cell_m)
    return Reached(utility, surface, total.astype(np.float32), np.ascontiguousarray(back))


def bill(route: Route, prices: Prices, base: Floats, confidence: str) -> list[Item]:
    """What a way costs by class of ground and crossing, `base` (3,) wan per kilometre of easy ground.

    The typical column adds up to base x effort. A crossing on the slant runs longer in its cell and costs more.
    """
    code = _open(route.surface.codes[route.row, route.column]).astype(np.int64)
    metres = route.in_cell_m
    sort = code & (CODES - 1) & ~sum(int(bit) for bit in CROSSED.values())
    items = []
    for one in np.unique(sort):
        here = sort == one
        length = float(metres[here].sum())
        if length == 0 and len(metres) > 1:
            continue
        times = [float(prices.times(route.utility, np.array([one]), end)[0]) for end in range(3)]
        zh, en, factors = _named(int(one))
        sure = least_sure([confidence, *(prices.confidence(route.utility, name) for name in factors)])
        wan = tuple(float(base[end]) * length * times[end] / 1000 for end in range(3))
        items.append(Item(zh, en, length, "m", (wan[0], wan[1], wan[2]), sure))
    for name, bit in CROSSED.items():
        on = (route.surface.codes[route.row, route.column] & bit) > 0
        if on.any():
            per = prices.of_item(route.utility, name) / route.surface.cell_m
            wan = tuple(float(base[end] * (metres[on].sum() * per[end])) / 1000 for end in range(3))
            count = int(np.count_nonzero(on & ~np.r_[False, on[:-1]]))
            sure = least_sure([confidence, prices.confidence(route.utility, name)])
            items.append(Item(*NAMES[name], count, "处 crossings", (wan[0], wan[1], wan[2]), sure))
    return items


def _named(code: int) -> tuple[str, str, list[str]]:
    """A class of ground in words, and the price rows that make it dear."""
    slope, cover = code & 3, COVERS[(code >> COVER_AT) & 3]
    factors = ([SLOPES[slope - 1][1]] if slope else []) + ([cover] if cover != "open" else [])
    zh, en = [SLOPE_NAMES[slope][0], COVER_NAMES[cover][0]], [SLOPE_NAMES[slope][1], COVER_NAMES[cover][1]]
    for name, bit in PASSED.items():
        if code & int(bit):
            zh.append(NAMES[name][0])
            en.append(NAMES[name][1])
            factors.append(name)
    if code & int(NO_ELEVATION):
        zh.append("无高程")
        en.append("no elevation")
    return " · ".join(zh), ", ".join(en), factors


def least_sure(said: Sequence[str]) -> str:
    """The least sure of some confidences.

    >>> least_sure(["mem-high", "assumption", "seen"])
    'assumption'
    """
    return max(said, key=lambda one: SURE.index(one) if one in SURE else len(SURE))


def key_of(labels: Mapping[str, str], for_year: int, prices: Prices, utility: str, role: str, facility: str) -> str:
    """What an accumulation was made of, in short: another county, price, year or facility has another key.

    `labels` says the version of every layer by role; one that is not loaded is not in it.
    """
    running = hashlib.sha256(VERSION)
    for one in sorted({*ground.READS, "slope", role}):
        running.update(f"{one} {labels.get(one, '')};".encode())
    running.update(f"{for_year} {ground.CELL_M} {utility} {role} {facility};{prices.said(utility)}".encode())
    return running.hexdigest()[:32]
