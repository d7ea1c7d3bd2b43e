"""Pictures as tiles: a grid of colour numbers in web mercator, its overviews, and the PNG of one tile.

Number 0 is where nothing is drawn. Every level is aligned to its tiles, so that a tile is a slice.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gis.terrain import runs
from gis.web_tiles import HALF_M, Tile, covering
from layers.records import Bools, Bounds, Geoms

Numbers = NDArray[np.uint8]
SIDE = 256
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Canvas:
    """All pixels of the tiles of one zoom that touch a box: from column `x` and row `y` on, so many tiles."""

    z: int
    x: int
    y: int
    tiles_across: int
    tiles_down: int

    @classmethod
    def over(cls, bounds: Bounds, z: int) -> Canvas:
        """Over a box in EPSG:3857."""
        tiles = covering(bounds, z)
        (left, top), (right, bottom) = tiles.min(axis=0).tolist(), tiles.max(axis=0).tolist()
        return cls(z, left, top, right - left + 1, bottom - top + 1)

    @property
    def rows(self) -> int:
        return self.tiles_down * SIDE

    @property
    def columns(self) -> int:
        return self.tiles_across * SIDE

    @property
    def pixel_m(self) -> float:
        return 2 * HALF_M / (1 << self.z) / SIDE

    @property
    def west(self) -> float:
        return Tile(self.z, self.x, self.y).west

    @property
    def north(self) -> float:
        return Tile(self.z, self.x, self.y).north

    @property
    def above(self) -> Canvas:
        """The next zoom out, over at least the same ground."""
        right, bottom = (self.x + self.tiles_across - 1) >> 1, (self.y + self.tiles_down - 1) >> 1
        left, top = self.x >> 1, self.y >> 1
        return Canvas(self.z - 1, left, top, right - left + 1, bottom - top + 1)

    def burnt(self, shapes: Geoms) -> Bools:
        """(rows, columns) whether the centre of a pixel lies in any of the areas, EPSG:3857."""
        every = np.ones(len(shapes))
        at = self.west * every, self.north * every, self.pixel_m * every, self.pixel_m * every
        _, row, left, right = runs(shapes, *at)
        there = (row >= 0) & (row < self.rows)
        row = row[there]
        first = np.clip(np.ceil(left[there]), 0, self.columns).astype(np.int64)
        last = np.clip(np.ceil(right[there]), 0, self.columns).astype(np.int64)
        # Areas may cover each other: how many begin and end before a pixel says how many it lies in. Row by row the
        # counts stay in a core's cache.
        burnt = np.zeros((self.rows, self.columns), dtype=bool)
        width = self.columns + 1
        order = np.argsort(row, kind="stable")
        row, first, last = row[order], first[order], last[order]
        ends = np.searchsorted(row, np.arange(0, self.rows + SIDE, SIDE))
        for band, (start, end) in enumerate(itertools.pairwise(ends.tolist())):
            if start < end:
                base = (row[start:end] - band * SIDE) * width
                change = np.bincount(base + first[start:end], minlength=SIDE * width)
                change -= np.bincount(base + last[start:end], minlength=SIDE * width)
                within = np.cumsum(change.reshape(SIDE, width)[:, :-1], axis=1) > 0
                burnt[band * SIDE : (band + 1) * SIDE] = within
        return burnt


def overviews(numbers: Numbers, canvas: Canvas, least: int, halve: Callable[[Numbers], Numbers]) -> dict[int, Numbers]:
    """The grid of every zoom from the canvas's own out to `least`; `halve` makes one pixel of each four."""
    found = {canvas.z: numbers}
    while canvas.z > least:
        above = canvas.above
        even = np.zeros((2 * above.rows, 2 * above.columns), dtype=np.uint8)
        down, right = (canvas.y - 2 * above.y) * SIDE, (canvas.x - 2 * above.x) * SIDE
        even[down : down + canvas.rows, right : right + canvas.columns] = numbers
        numbers, canvas = halve(even), above
        found[canvas.z] = numbers
    return found


def averaged(numbers: Numbers) -> Numbers:
    """Half the rows and columns, the mean of those of each four that are drawn.

    >>> averaged(np.array([[4, 6], [0, 8]], dtype=np.uint8)).tolist()
    [[6]]
    """
    four = numbers.reshape(len(numbers) // 2, 2, -1, 2).astype(np.uint16)
    total, count = four.sum(axis=(1, 3)), (four > 0).sum(axis=(1, 3))
    mean: Numbers = (total // np.maximum(count, 1)).astype(np.uint8)
    return mean


def sampled(numbers: Numbers) -> Numbers:
    """Half the rows and columns, one of each four as it is: shares of classes stay what they were."""
    return np.ascontiguousarray(numbers[::2, ::2])


def cut(levels: Mapping[int, Numbers], canvas: Canvas, tile: Tile, *, smooth: bool) -> Numbers | None:
    """(256, 256) the pixels of a tile, closer than the finest level by drawing it larger; None where none is drawn."""
    while canvas.z > tile.z:
        canvas = canvas.above
    closer = tile.z - canvas.z
    step = SIDE >> closer  # pixels of the level that a tile shows
    left = (tile.x * step) - canvas.x * SIDE
    top = (tile.y * step) - canvas.y * SIDE
    if step == 0 or not (0 <= left < canvas.columns and 0 <= top < canvas.rows):
        return None
    numbers = levels[canvas.z]
    if closer == 0 or not smooth:
        part = numbers[top : top + step, left : left + step].repeat(1 << closer, axis=0).repeat(1 << closer, axis=1)
    else:
        part = _enlarged(numbers, top, left, step, 1 << closer)
    return part if part.any() else None


def _enlarged(numbers: Numbers, top: int, left: int, step: int, times: int) -> Numbers:
    """A window of a grid drawn larger, bilinear between the centres of pixels; not drawn where the nearest is not."""
    rows, columns = numbers.shape
    at = (np.arange(SIDE) + 0.5) / times - 0.5
    down, share = np.floor(at).astype(np.int64), (at - np.floor(at)).astype(np.float32)
    row = np.clip(top + np.arange(-1, step + 1), 0, rows - 1)
    column = np.clip(left + np.arange(-1, step + 1), 0, columns - 1)
    window = numbers[np.ix_(row, column)].astype(np.float32)
    known = (window > 0).astype(np.float32)

    def stretched(values: NDArray[np.float32]) -> NDArray[np.float32]:
        wide = values[:, down + 1] * (1 - share) + values[:, down + 2] * share
        tall = wide[down + 1] * (1 - share)[:, None] + wide[down + 2] * share[:, None]
        return tall.astype(np.float32)

    weight = stretched(known)
    drawn = stretched(window) / np.maximum(weight, 1e-6)
    return np.where(weight >= 0.5, np.rint(drawn), 0).astype(np.uint8)


def png(numbers: Numbers, palette: NDArray[np.uint8]) -> bytes:
    """The PNG of colour numbers; `palette` (C, 4) is red, green, blue, opacity of each."""
    rows, columns = numbers.shape
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)  # each begins with its filter: none
    lines[:, 1:] = numbers
    head = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", head),
        (b"PLTE", palette[:, :3].tobytes()),
        (b"tRNS", palette[:, 3].tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 1)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
