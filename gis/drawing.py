"""A layer ready to be drawn as vector tiles at any zoom: what is too small to be seen is thinned, never the whole.

From zoom `FINE` on a tile holds every part of every feature that its grid can show. Below, a tile has a budget of
bytes as it is stored and sent, compressed, and takes the first of `LEVELS` that fits. A level moves vertices to a
coarser grid, which leaves common borders common, and thins parts smaller than its limit: of each limit's worth of
ground, length or points in a neighbourhood one stays and stands for all, as a square of that size, so that the map is
as full as the land. Before that, long outlines are straightened (`_outlines`): what has more corners than pixels is
slow to draw, and more than a map library takes for one line.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import numpy as np
import shapely

from gis.vector_tiles import MARGIN, PIXELS, Attributes, encode
from gis.web_tiles import HALF_M, Tile
from layers.records import Bools, Bounds, Floats, Geoms, Ints

FINE = 13
BUDGET_BYTES = 299_000  # and the envelope of gzip
LEAST_BYTES = 15  # of a feature, compressed, so that a level that cannot fit is not tried
SAVED = 0.7  # of its bytes a feature may keep on a coarser grid
LONG = 1_000  # corners from which an outline may be straightened
MOST_CORNERS = 4_800  # of one feature in one tile, before small holes are closed: about 4,000 after that
STEPS_PX = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)  # how far, the first that is enough
MOST_THINNED = 24  # levels held at a time; tiles are drawn zoom by zoom
ORDER_BITS = 16


class Level(NamedTuple):
    """How coarsely a tile is drawn: the pixels of the grid, and of the side of a square smaller than which ground is
    thinned (lines and points by as many pixels as its area has). At 0 nothing is, and ground below a pixel is drawn as
    one."""

    coarse_px: float
    side_px: float

    @property
    def least(self) -> float:
        return self.side_px**2


LEVELS = (
    Level(0.25, 0.0),
    Level(0.5, 0.0),
    *(Level(0.5, side) for side in (1.0, 1.5, 2.0)),
    *(Level(1.0, float(side)) for side in (2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 128, 256, 512)),
)


class Drawing:
    """Features in web mercator with their attributes.

    Parameters
    ----------
    name : the role, which the layer of every tile is named by
    shapes : (F,) any geometries, EPSG:3857
    said : (F,) attributes
    """

    def __init__(self, name: str, shapes: Geoms, said: Attributes) -> None:
        self.name = name
        self.said = said
        self._shapes = shapes
        self._parts, self._row = shapely.get_parts(shapes, return_index=True)
        self._tree = shapely.STRtree(self._parts)
        self._tree.query(shapely.Point())  # builds it, which threads must not do at once
        self._levels: OrderedDict[tuple[int, Level], tuple[Bools, Bools]] = OrderedDict()
        self._straight: dict[int, Geoms] = {}
        self._lock = Lock()

    def take(self, rows: Bools) -> Drawing:
        """Some of the features as a drawing of their own, in which the others have left no trace."""
        return Drawing(self.name, self._shapes[rows], self.said.take(rows))

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile, none where nothing is in it."""
        near = np.sort(self._tree.query(shapely.box(*tile.bounds(2 * MARGIN))))
        if len(near) == 0:
            return b""
        if tile.z >= FINE:
            return encode(self.name, self._parts[near], self._row[near], self.said, tile)
        made, each = b"", float(LEAST_BYTES)
        for level in LEVELS:
            stays, small = self._thinned(tile.z, level)
            there = near[stays[near]]
            if len(there) * each > BUDGET_BYTES:
                continue
            made = encode(
                self.name,
                self._squared(there, small[there], tile.z, level),
                self._row[there],
                self.said,
                tile,
                coarse_px=level.coarse_px,
                least_px2=max(1.0, level.least),
            )
            size = len(made) if len(made) <= BUDGET_BYTES else len(zlib.compress(made))
            if size <= BUDGET_BYTES:
                break
            each = SAVED * size / len(there)
        return made

    @property
    def bounds(self) -> Bounds | None:
        """The box around all of it; None where there is nothing."""
        if shapely.is_empty(self._parts).all():
            return None
        west, south, east, north = map(float, shapely.total_bounds(self._parts))
        return west, south, east, north

    def _thinned(self, z: int, level: Level) -> tuple[Bools, Bools]:
        """(N,) which parts a level draws, and which are too small to be drawn as they are."""
        with self._lock:
            if (z, level) not in self._levels:
                self._levels[z, level] = self._thin(_pixel_m(z), level)
                if len(self._levels) > MOST_THINNED:
                    self._levels.popitem(last=False)
            self._levels.move_to_end((z, level))
            return self._levels[z, level]

    def _outlines(self, z: int) -> Geoms:
        """(N,) the parts as a small zoom draws them: long outlines without the corners that its pixels cannot show.

        Corners go whose triangle with their neighbours is smaller than the square of the tolerance (Visvalingam and
        Whyatt), the same on both sides of a border between two long outlines; the tolerance is the first of `STEPS_PX`
        that leaves no feature more than `MOST_CORNERS` corners in a tile.
        """
        with self._lock:
            if z not in self._straight:
                self._straight[z] = self._straightened(z)
            straight: Geoms = self._straight[z]
            return straight

    def _straightened(self, z: int) -> Geoms:
        is_long = shapely.get_num_coordinates(self._parts) > LONG
        shapes: Geoms = self._parts
        if not is_long.any():
            return shapes
        is_area = shapely.get_dimensions(self._parts) == 2
        for step_px in STEPS_PX:
            tolerance_m = step_px * _pixel_m(z)
            shapes = self._parts.copy()
            grounds, lines = is_long & is_area, is_long & ~is_area
            shapes[grounds] = shapely.coverage_simplify(self._parts[grounds], tolerance_m)
            shapes[lines] = shapely.simplify(self._parts[lines], tolerance_m / 2)
            if _most_corners(shapes[is_long], self._row[is_long], z) <= MOST_CORNERS:
                break
        return shapes

    def _thin(self, pixel_m: float, level: Level) -> tuple[Bools, Bools]:
        measured, is_area = self._measured
        size = np.where(is_area, measured / pixel_m**2, np.where(measured > 0, measured / pixel_m, 1.0))
        small = size < np.where(is_area, max(level.least, 1.0), level.least)
        stays = np.ones(len(size), dtype=bool)
        if level.side_px:
            for kind in (is_area, ~is_area):
                mine = self._order[(small & kind)[self._order]]  # neighbours beside each other
                whole = np.floor(np.cumsum(size[mine]) / level.least)
                stays[mine] = np.diff(whole, prepend=0.0) > 0
        return stays, small & is_area

    def _squared(self, at: Ints, small: Bools, z: int, level: Level) -> Geoms:
        """Some of the parts, the small ones as squares that stand for those that were left out."""
        shapes: Geoms = self._outlines(z)[at]
        pixel_m = _pixel_m(z)
        grid_m = level.coarse_px * pixel_m
        side_m = max(1.0, level.side_px) * pixel_m
        west, south, east, north = shapely.bounds(shapes[small]).T
        left = np.round(((west + east - side_m) / 2 + HALF_M) / grid_m) * grid_m - HALF_M
        bottom = np.round(((south + north - side_m) / 2 + HALF_M) / grid_m) * grid_m - HALF_M
        shapes[small] = shapely.box(left, bottom, left + side_m, bottom + side_m)
        return shapes

    @cached_property
    def _measured(self) -> tuple[Floats, Bools]:
        """(N,) area or length of each part in the metres of the map, and whether it is ground."""
        is_area = shapely.get_dimensions(self._parts) == 2
        size: Floats = np.where(is_area, shapely.area(self._parts), shapely.length(self._parts))
        return size, is_area

    @cached_property
    def _order(self) -> Ints:
        """(N,) the parts from neighbour to neighbour (Morton's order)."""
        west, south, east, north = shapely.bounds(self._parts).T
        middle = np.stack([west + east, south + north], axis=1) / 2
        low = np.nanmin(middle, axis=0)
        span = max(float((np.nanmax(middle, axis=0) - low).max()), 1.0)
        cell = np.nan_to_num((middle - low) / span * ((1 << ORDER_BITS) - 1)).astype(np.int64)
        order: Ints = np.argsort(_interleaved(cell[:, 0]) << 1 | _interleaved(cell[:, 1]), kind="stable")
        return order


def _most_corners(shapes: Geoms, row: Ints, z: int) -> int:
    """The most corners that the shapes of one row have in one tile."""
    xy, at = shapely.get_coordinates(shapes, return_index=True)
    tile = np.floor((xy + HALF_M) / (_pixel_m(z) * PIXELS)).astype(np.int64)
    cells = np.column_stack([row[at], tile])
    return int(np.unique(cells, axis=0, return_counts=True)[1].max(initial=0))


def _pixel_m(z: int) -> float:
    """The side of a pixel in the metres of the map."""
    return 2 * HALF_M / (1 << z) / PIXELS


def _interleaved(values: Ints) -> Ints:
    """The bits of numbers below 2^16 with a gap before each.

    >>> _interleaved(np.array([3, 5])).tolist()
    [5, 17]
    """
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        values = (values | values << shift) & mask
    return values
