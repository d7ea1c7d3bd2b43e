"""Mountains as water leaves them: the steeper a stream, the less ground it drains.

A landscape in balance obeys Flint's law (slope falls with a power of the drained area; Flint, Stream gradient as a
function of order, magnitude, and discharge, 1974). Heights follow from it by adding slope times step up every flow
path from the rivers that are given. Paths change with the heights, so it is done again until divides stand still.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import rasterio.features
import rasterio.transform
import shapely
from numpy.typing import NDArray

from layers.errors import Refused
from layers.records import Bools, Floats
from scripts.county.noise import fractal, ramp, smooth_noise
from scripts.county.places import NORTH, WEST, draws
from scripts.county.rivers import River

Grid = NDArray[np.float32]

CELL_M = 50.0
ROUNDS = 16
CONCAVITY, STEEPNESS = 0.45, 36.0  # slope = steepness x uplift x area ** -concavity, area in m2
FALLS_AWAY = 0.4  # how steeply ground may fall on the far side of a valley's rim
DIG_M = 30.0  # rivers lie lower than all around them while paths are sought
AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
DIAGONAL = (2, 8, 32, 128)  # of the eight D8 directions


def eroded(
    seed: int, rivers: tuple[River, ...], x: Floats, y: Floats, level_m: Floats, beyond_m: Floats, massif: Floats
) -> Grid:
    """Heights on a grid of CELL_M.

    Parameters
    ----------
    x, y : (1, C) and (R, 1) cell centres
    level_m : (R, C) the level of the rivers around
    beyond_m : (R, C) distance beyond the nearest valley floor, on which nothing rises
    massif : (R, C) 0 to 1, how much a cell belongs to the highest mountain
    """
    rng = draws(seed, "erosion")
    shape = np.broadcast_shapes(x.shape, y.shape)
    east = ramp(553_000, 573_000, x + 0.25 * (3_106_000 - y)) * ramp(580_500, 572_500, x)
    uplift = (0.75 + 0.75 * east + 3.0 * massif) * (1 + 0.5 * smooth_noise(x, y, 7_000, rng))
    steepest = (0.30 + 0.20 * east + 0.20 * massif) * (1 + 0.6 * smooth_noise(x, y, 2_600, rng))
    flat = 0.02 + 0.98 * ramp(0, 260, beyond_m)
    z: Grid = (
        level_m + 200 * (1 - np.exp(-beyond_m / 2_000)) + 250 * east + 600 * massif + 260 * fractal(x, y, 9_000, 5, rng)
    ).astype(np.float32)
    wild = rng.standard_normal(shape).astype(np.float32)
    # a valley's floor does not sink below its river: water that runs along it joins the river where it meets it
    lowest = (level_m - 1.0 - FALLS_AWAY * beyond_m).astype(np.float32)
    bed = _beds(rivers, shape)
    wet = bed > 0
    for turn in range(ROUNDS):
        shaken = z + (12 * (1 - turn / ROUNDS) + 1) * np.roll(wild, (turn * 37, turn * 91), (0, 1))
        # every river cell is an end, at its own level
        filled, direction, flow = drained(np.where(wet, bed - DIG_M, shaken).astype(np.float32), CELL_M, ends=wet)
        area_m2 = flow.upstream_area().astype(float) * CELL_M**2
        slope = np.minimum(STEEPNESS * uplift * area_m2**-CONCAVITY, steepest) * flat
        rise = slope * CELL_M * np.where(np.isin(direction, DIAGONAL), np.sqrt(2), 1.0)
        ends = direction == 0
        rise[ends] = np.where(wet, bed, filled if turn == 0 else z)[ends]
        risen = _no_steeper(flow.accuflux(rise.astype(np.float32), direction="down"), 1.35 * steepest)
        risen = np.maximum(risen, lowest)
        z = np.float32(0.5) * (z + risen) if 0 < turn < ROUNDS - 3 else risen
    return z


def drained(z: Grid, cell_m: float, ends: Bools | None = None) -> tuple[Grid, NDArray[np.uint8], Any]:
    """Hollows filled to their rim (priority flood), the D8 direction of each cell, and the flow as pyflwdir keeps it.

    Water leaves over the edge of the grid, and into the cells that are `ends`. Refused where pyflwdir is missing.
    """
    try:  # its kernels are compiled as it is imported: only who builds a county waits for that
        import pyflwdir
    except ImportError as error:
        raise Refused("building the demo county takes pyflwdir; install it with: uv sync --extra demo") from error
    filled, direction = pyflwdir.dem.fill_depressions(z, outlets="edge")
    if ends is not None:
        direction[ends] = 0
    transform = rasterio.transform.from_origin(WEST, NORTH, cell_m, cell_m)
    flow = pyflwdir.from_array(direction, ftype="d8", transform=transform, latlon=False, check_ftype=False)
    return filled, direction, flow


def _beds(rivers: tuple[River, ...], shape: tuple[int, ...]) -> Grid:
    """The level of the river in each cell that one runs through, else 0; where two meet the lower counts."""
    reaches = [
        (shapely.LineString(river.points[n : n + 2]), river.z[n + 1])
        for river in rivers
        for n in range(len(river.points) - 1)
    ]
    reaches.sort(key=lambda reach: -reach[1])
    bed: Grid = rasterio.features.rasterize(
        reaches,
        out_shape=shape,
        transform=rasterio.transform.from_origin(WEST, NORTH, CELL_M, CELL_M),
        dtype=np.float32,
        all_touched=True,
    )
    return bed


def _no_steeper(z: Grid, most: Floats, times: int = 4) -> Grid:
    """Cliffs where two valleys meet unequal heights are worn down: no neighbour stands above another by more."""
    rows, columns = z.shape
    step = (most * CELL_M).astype(np.float32)
    for _ in range(times):
        for down, right in AROUND:
            here = slice(max(down, 0), rows + min(down, 0)), slice(max(right, 0), columns + min(right, 0))
            there = slice(max(-down, 0), rows + min(-down, 0)), slice(max(-right, 0), columns + min(-right, 0))
            reach = np.float32(np.hypot(down, right))
            z[here] = np.minimum(z[here], z[there] + step[here] * reach)
    return z
