"""Smooth random fields: the same place always has the same value, whatever grid asks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layers.records import Floats

TABLE = 256  # gradients a side; a power of two
CHUNK = 32_768  # places at a time: what fits a core's cache goes ten times as fast

Singles = NDArray[np.float32]
Ints = NDArray[np.int32]


def smooth_noise(x: Floats, y: Floats, wavelength_m: float, rng: np.random.Generator) -> Floats:
    """Gradient noise, roughly -0.7 to 0.7, that varies over `wavelength_m`; x and y broadcast.

    Each field is turned by an angle of its own, so that no grid shows through.
    """
    turn = rng.random() * np.pi / 2
    along, across = np.cos(turn) / wavelength_m, np.sin(turn) / wavelength_m
    angle = (rng.random(TABLE * TABLE) * 2 * np.pi).astype(np.float32)
    slopes = np.cos(angle), np.sin(angle)
    x, y = np.broadcast_arrays(x, y)
    rows = max(CHUNK // max(x[:1].size, 1), 1)
    parts = [
        _blended(
            x[k : k + rows] * along + y[k : k + rows] * across,
            y[k : k + rows] * along - x[k : k + rows] * across,
            slopes,
        )
        for k in range(0, len(x), rows)
    ]
    return np.concatenate(parts) if parts else np.zeros(x.shape, dtype=np.float32)


def _blended(u: Floats, v: Floats, slopes: tuple[Singles, Singles]) -> Singles:
    """Gradient noise at u, v in wavelengths."""
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    du, dv = (u - i).astype(np.float32), (v - j).astype(np.float32)
    fade_u, fade_v = (t * t * t * (t * (t * 6 - 15) + 10) for t in (du, dv))
    west, east = i & (TABLE - 1), (i + 1) & (TABLE - 1)
    south, north = (j & (TABLE - 1)) * TABLE, ((j + 1) & (TABLE - 1)) * TABLE

    def corner(row: Ints, column: Ints, across: Singles, up: Singles) -> Singles:
        at = row | column
        return slopes[0].take(at) * across + slopes[1].take(at) * up

    low = corner(south, west, du, dv)
    low += fade_u * (corner(south, east, du - 1, dv) - low)
    high = corner(north, west, du, dv - 1)
    high += fade_u * (corner(north, east, du - 1, dv - 1) - high)
    low += fade_v * (high - low)
    return low


def fractal(
    x: Floats, y: Floats, wavelength_m: float, octaves: int, rng: np.random.Generator, *, ridged: bool = False
) -> Floats:
    """Noise summed over halving wavelengths, about -1 to 1; ridged folds it into crests (0 to 1)."""
    total = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))
    weight, weights = 1.0, 0.0
    for octave in range(octaves):
        value = smooth_noise(x, y, wavelength_m / 2**octave, rng)
        total += weight * (1 - np.minimum(np.abs(value) * 2.2, 1.0) if ridged else value * 1.5)
        weights += weight
        weight /= 2
    summed: Floats = total / weights
    return summed


def ramp(low: float, high: float, values: Floats) -> Floats:
    """0 below `low`, 1 above `high`, smooth between; `low` may be the larger.

    >>> ramp(0, 10, np.array([-5.0, 5.0, 20.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    t = np.clip((np.asarray(values) - low) / (high - low), 0.0, 1.0)
    eased: Floats = t * t * (3 - 2 * t)
    return eased
