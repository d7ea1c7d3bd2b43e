"""Which ground do polygons cover? Read off a fine grid: near enough to decide what grows where, and quick."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import rasterio.features
import rasterio.transform
import shapely

from layers.records import Bools, Floats, Ints
from scripts.county.places import EAST, NORTH, SOUTH, WEST

CELL_M = 25.0


def number_at(polygons: Iterable[shapely.Geometry], x: Floats, y: Floats) -> Ints:
    """For each place the number (from 1) of the last polygon over it, 0 for none."""
    shapes = [(polygon, number) for number, polygon in enumerate(polygons, start=1) if not polygon.is_empty]
    if not shapes:
        return np.zeros(np.shape(x), dtype=np.int64)
    grid = rasterio.features.rasterize(
        shapes,
        out_shape=(round((NORTH - SOUTH) / CELL_M), round((EAST - WEST) / CELL_M)),
        transform=rasterio.transform.from_origin(WEST, NORTH, CELL_M, CELL_M),
        dtype=np.int16,
    )
    column = np.clip(((x - WEST) / CELL_M).astype(int), 0, grid.shape[1] - 1)
    row = np.clip(((NORTH - y) / CELL_M).astype(int), 0, grid.shape[0] - 1)
    numbers: Ints = grid[row, column].astype(np.int64)
    return numbers


def is_near(polygons: Iterable[shapely.Geometry], x: Floats, y: Floats, distance_m: float) -> Bools:
    """Is each place within a distance of the polygons, to a grid cell or so?"""
    near: Bools = number_at([polygon.buffer(distance_m, quad_segs=3) for polygon in polygons], x, y) > 0
    return near
