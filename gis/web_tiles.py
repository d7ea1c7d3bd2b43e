"""The grid of web map tiles: web mercator (EPSG:3857) halved again and again, x to the east, y to the south.

OGC Two Dimensional Tile Matrix Set 2.0, WebMercatorQuad; zoom 0 is the whole world in one tile.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from layers.records import Bounds, Ints

HALF_M = 20_037_508.342789244  # half the equator in web mercator's metres
DEEPEST = 30  # the tile numbers of a deeper zoom are of no use to anybody


class Tile(NamedTuple):
    """One tile by zoom, column and row."""

    z: int
    x: int
    y: int

    @property
    def exists(self) -> bool:
        return 0 <= self.z <= DEEPEST and 0 <= self.x < 1 << self.z and 0 <= self.y < 1 << self.z

    @property
    def size_m(self) -> float:
        return 2 * HALF_M / (1 << self.z)

    @property
    def west(self) -> float:
        return self.x * self.size_m - HALF_M

    @property
    def north(self) -> float:
        return HALF_M - self.y * self.size_m

    def bounds(self, margin: float = 0.0) -> Bounds:
        """Its box in EPSG:3857, widened on every side by a share of its size.

        >>> Tile(1, 1, 0).bounds() == (0.0, 0.0, HALF_M, HALF_M)
        True
        """
        more = margin * self.size_m
        edge = self.size_m + more
        return self.west - more, self.north - edge, self.west + edge, self.north + more


def covering(bounds: Bounds, z: int) -> NDArray[np.int64]:
    """(T, 2) column and row of every tile of a zoom that touches a box in EPSG:3857.

    >>> covering((-1.0, -1.0, 1.0, 1.0), 1).tolist()
    [[0, 0], [1, 0], [0, 1], [1, 1]]
    """
    west, south, east, north = bounds
    size_m, last = 2 * HALF_M / (1 << z), (1 << z) - 1
    first_x, last_x = (int(np.clip((edge + HALF_M) // size_m, 0, last)) for edge in (west, east))
    first_y, last_y = (int(np.clip((HALF_M - edge) // size_m, 0, last)) for edge in (north, south))
    x, y = np.meshgrid(np.arange(first_x, last_x + 1), np.arange(first_y, last_y + 1))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.int64)


def number(z: int, x: Ints | int, y: Ints | int) -> Ints:
    """One number for a tile, growing with its zoom, column and row; for zooms up to 28."""
    return (np.int64(z) << 56) | (np.asarray(x, dtype=np.int64) << 28) | np.asarray(y, dtype=np.int64)
