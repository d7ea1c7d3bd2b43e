"""Raster measures of sites: which cells a site covers, and what the ground does there.

A cell belongs to a site when its centre lies inside (even-odd rule over all rings, so holes and parts are exact).
A site that covers no centre is given the one cell that holds its representative point.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.records import Floats, Geoms, Ints, Raster

Grid = NDArray[np.float32]
Cells = tuple[Ints, Ints, Ints]  # site, row, column


def slope_deg(elevation_m: Grid, cell_m: float) -> Grid:
    """Slope in degrees by Horn's method (3 x 3 weights 1-2-1), the outermost cells without a value.

    Horn, Hill shading and the reflectance map, 1981. A cell beside one without elevation has none either.

    >>> plane = np.tile(np.arange(5, dtype=np.float32) * 10, (5, 1))
    >>> float(slope_deg(plane, 10.0)[2, 2])
    45.0
    """
    return _inner(elevation_m, lambda east, south: np.degrees(np.arctan(np.hypot(east, south) / (8 * cell_m))))


def hillshade(elevation_m: Grid, cell_m: float) -> Grid:
    """How much of the light of a sun in the north-west, 45 degrees high, each cell gets, 0 to 1; the outermost cells
    without a value, like those beside one without elevation. Horn's gradient, as `slope_deg`.

    >>> flat = np.zeros((3, 3), dtype=np.float32)
    >>> float(hillshade(flat, 10.0)[1, 1].round(4))
    0.7071
    >>> away = -30 * np.add.outer(np.arange(3), np.arange(3)).astype(np.float32)  # steep, and turned from the sun
    >>> float(hillshade(away, 10.0)[1, 1])
    0.0
    """

    def light(east: Grid, south: Grid) -> Grid:
        east, south = east / np.float32(8 * cell_m), south / np.float32(8 * cell_m)
        # The ground's normal (-east, south, 1) against the way to the sun, (-1, 1, sqrt(2)) / 2, in (east, north, up).
        lit: Grid = (east + south + np.float32(np.sqrt(2))) / (2 * np.sqrt(1 + east * east + south * south))
        return np.maximum(lit, 0)

    return _inner(elevation_m, light)


def slope_at(elevation: Raster, at: Cells) -> Floats:
    """(C,) slope of each cell in degrees by Horn's method, read from the nine heights around it: no county's worth of
    slopes is worked out for one site. NaN at the grid's rim, beside missing heights and for sites outside."""
    east, south = _rise_at(elevation, at)
    slope: Floats = np.degrees(np.arctan(np.hypot(east, south) / np.float32(8 * elevation.cell_m))).astype(float)
    return slope


def aspect_at(elevation: Raster, at: Cells) -> Floats:
    """(C,) where each cell faces, clockwise from north in degrees, by Horn's gradient; NaN where it is flat, too."""
    east, south = _rise_at(elevation, at)
    faces: Floats = np.degrees(np.arctan2(-east, south)).astype(float) % 360
    return np.where((east == 0) & (south == 0), np.nan, faces)


def _inner(elevation_m: Grid, of_rise: Callable[[Grid, Grid], Grid]) -> Grid:
    """What follows from the rise (`_rise`) at every cell, the outermost without a value."""
    rows, columns = elevation_m.shape
    out = np.full(elevation_m.shape, np.nan, dtype=np.float32)
    if min(rows, columns) >= 3:
        rise = _rise(lambda down, right: elevation_m[1 + down : rows - 1 + down, 1 + right : columns - 1 + right])
        out[1:-1, 1:-1] = of_rise(*rise)
    return out


def _rise(z: Callable[[int, int], Grid]) -> tuple[Grid, Grid]:
    """Rise towards the east and the south, eight cells wide; `z(down, right)` is the height so many cells off."""
    east = z(-1, 1) + 2 * z(0, 1) + z(1, 1) - (z(-1, -1) + 2 * z(0, -1) + z(1, -1))
    south = z(1, -1) + 2 * z(1, 0) + z(1, 1) - (z(-1, -1) + 2 * z(-1, 0) + z(-1, 1))
    return east, south


def _rise_at(elevation: Raster, at: Cells) -> tuple[Grid, Grid]:
    rows, columns = elevation.values.shape
    _, row, column = at
    inner = (row > 0) & (row < rows - 1) & (column > 0) & (column < columns - 1)
    first = (row * columns + column)[inner]
    heights = elevation.values.reshape(-1)
    east, south = (np.full(len(row), np.nan, dtype=np.float32) for _ in "es")
    east[inner], south[inner] = _rise(lambda down, right: heights[first + down * columns + right])
    return east, south


def cells(sites: Geoms, grid: Raster) -> Cells:
    """(site, row, column) of every cell whose centre lies in a site, by scan lines; (-1, -1) rows for sites
    that reach outside the grid."""
    rows, columns = grid.values.shape
    west, south, east, north = shapely.bounds(sites).T
    outside = (
        ~np.isfinite(west)
        | (west < grid.west)
        | (north > grid.north)
        | (east > grid.west + columns * grid.cell_m)
        | (south < grid.north - rows * grid.cell_m)
    )
    usable = np.flatnonzero(~outside)
    site, row, first, last = _spans(sites[usable], grid)
    count = np.maximum(last - first, 0)
    owner = np.repeat(usable[site], count)
    at_row = np.repeat(row, count)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    at_column = np.repeat(first, count) + offset
    bare = np.setdiff1d(usable, owner)
    point = shapely.get_coordinates(shapely.point_on_surface(sites[bare]))
    bare_column = np.clip(np.floor((point[:, 0] - grid.west) / grid.cell_m), 0, columns - 1)
    bare_row = np.clip(np.floor((grid.north - point[:, 1]) / grid.cell_m), 0, rows - 1)
    gone = np.flatnonzero(outside)
    nowhere = np.full(len(gone), -1, dtype=np.int64)
    return (
        np.concatenate([owner, bare, gone]),
        np.concatenate([at_row, bare_row.astype(np.int64), nowhere]),
        np.concatenate([at_column, bare_column.astype(np.int64), nowhere]),
    )


def _spans(sites: Geoms, grid: Raster) -> tuple[Ints, Ints, Ints, Ints]:
    """Runs of cells: (site, row, first column, last column + 1) from where each ring crosses the row centres."""
    every = np.ones(len(sites))
    site, row, left, right = runs(
        sites, grid.west * every, grid.north * every, grid.cell_m * every, grid.cell_m * every
    )
    return site, row, np.ceil(left).astype(np.int64), np.ceil(right).astype(np.int64)


def runs(
    sites: Geoms, west: Floats, north: Floats, step_x: Floats, step_y: Floats
) -> tuple[Ints, Ints, Floats, Floats]:
    """Where scan lines run inside sites: (site, row, left, right), left and right in steps from the first centre.

    Each site has its own lattice: `west`, `north` (P,) its corner, `step_x`, `step_y` (P,) its steps in metres. The
    lines are the centres of its rows. Rows of one site follow each other, runs of a row go from west to east.
    """
    rings, part = shapely.get_rings(shapely.get_parts(sites), return_index=True)
    site_of_ring = shapely.get_parts(sites, return_index=True)[1][part]
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    of = site_of_ring[ring]
    # In lattice units with y growing southwards, so that row centres are the whole numbers.
    x = (xy[:, 0] - west[of]) / step_x[of] - 0.5
    y = (north[of] - xy[:, 1]) / step_y[of] - 0.5
    x0, x1, y0, y1 = x[:-1][same], x[1:][same], y[:-1][same], y[1:][same]
    owner = of[:-1][same]
    top, bottom = np.minimum(y0, y1), np.maximum(y0, y1)
    start = np.ceil(top).astype(np.int64)
    count = np.maximum(np.ceil(bottom).astype(np.int64) - start, 0)
    edge = np.repeat(np.arange(len(count)), count)
    row = start[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    crossing = x0[edge] + (row - y0[edge]) * (x1[edge] - x0[edge]) / (y1[edge] - y0[edge])
    order = np.lexsort((crossing, row, owner[edge]))
    site, row, crossing = owner[edge][order], row[order], crossing[order]
    return site[0::2], row[0::2], crossing[0::2], crossing[1::2]


def at_points(grid: Raster, x: Floats, y: Floats) -> Floats:
    """(C,) the grid at points, bilinear between cell centres and straight on for half a cell beyond the outermost.

    NaN outside the grid and where one of the four cells around has no value.
    """
    rows, columns = grid.values.shape
    if min(rows, columns) < 2:
        return np.full(len(x), np.nan)
    column = (x - grid.west) / grid.cell_m - 0.5
    row = (grid.north - y) / grid.cell_m - 0.5
    inside = (column >= -0.5) & (column <= columns - 0.5) & (row >= -0.5) & (row <= rows - 0.5)
    left = np.clip(column, 0, columns - 2).astype(np.int64)  # towards zero is down: both are at least 0
    above = np.clip(row, 0, rows - 2).astype(np.int64)
    east, south = column - left, row - above
    flat, first = grid.values.reshape(-1), above * columns + left
    upper = flat[first] * (1 - east) + flat[first + 1] * east
    lower = flat[first + columns] * (1 - east) + flat[first + columns + 1] * east
    found: Floats = np.where(inside, upper * (1 - south) + lower * south, np.nan)
    return found


def read(values: Grid, at: Cells) -> Floats:
    """(C,) the grid's value in every cell; NaN for sites that reach outside it."""
    _, row, column = at
    return np.where(row >= 0, values[row, column], np.nan).astype(float)


def zonal(cell_values: Floats, at: Cells, count: int) -> dict[str, Floats]:
    """(count,) mean, min and max over each site's cells; NaN where any cell has no value."""
    site = at[0]
    total = np.bincount(site, cell_values, minlength=count)
    number = np.bincount(site, minlength=count)
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.minimum.at(low, site, cell_values)
        np.maximum.at(high, site, cell_values)
        mean = total / number
    unknown = np.isnan(mean)
    low[unknown] = high[unknown] = np.nan
    return {"mean": mean, "min": low, "max": high}


def share_over(cell_values: Floats, limit: float, at: Cells, count: int) -> Floats:
    """(count,) share of each site's cells above `limit`, 0 to 1; NaN where any cell has no value."""
    over = np.where(np.isnan(cell_values), np.nan, cell_values > limit)
    return zonal(over, at, count)["mean"]


def circular_mean_deg(cell_values: Floats, at: Cells, count: int) -> Floats:
    """(count,) mean direction of each site's cells, 0 to 360; cells without a direction do not count, NaN if none has.

    >>> one_site = (np.zeros(2, dtype=np.int64),) * 3
    >>> circular_mean_deg(np.array([350.0, 30.0]), one_site, 1).round(6).tolist()
    [10.0]
    """
    said = ~np.isnan(cell_values)
    site, turned = at[0][said], np.radians(cell_values[said])
    north = np.bincount(site, np.cos(turned), minlength=count)
    east = np.bincount(site, np.sin(turned), minlength=count)
    none = np.hypot(north, east) < 1e-9 * np.maximum(np.bincount(site, minlength=count), 1)
    return np.where(none, np.nan, np.degrees(np.arctan2(east, north)) % 360)
