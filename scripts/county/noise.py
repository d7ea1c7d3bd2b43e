"""Smooth random fields: the same place always has the same value, whatever grid asks."""

from __future__ import annotations

import numpy as np

from layers.records import Floats

TABLE = 256


def smooth_noise(x: Floats, y: Floats, wavelength_m: float, rng: np.random.Generator) -> Floats:
    """Gradient noise, roughly -0.7 to 0.7, that varies over `wavelength_m`; x and y broadcast.

    Each field is turned by an angle of its own, so that no grid shows through.
    """
    turn = rng.random() * np.pi / 2
    along, across = np.cos(turn) / wavelength_m, np.sin(turn) / wavelength_m
    angle = (rng.random((TABLE, TABLE)) * 2 * np.pi).astype(np.float32)
    east, north = np.cos(angle), np.sin(angle)
    u = np.asarray(x) * along + np.asarray(y) * across
    v = np.asarray(y) * along - np.asarray(x) * across
    i, j = np.floor(u).astype(np.int32), np.floor(v).astype(np.int32)
    u, v = (u - i).astype(np.float32), (v - j).astype(np.float32)  # half the memory traffic, a third of a second
    fade_u, fade_v = (t * t * t * (t * (t * 6 - 15) + 10) for t in (u, v))

    def corner(di: int, dj: int) -> Floats:
        row, column = (j + dj) % TABLE, (i + di) % TABLE
        value: Floats = east[row, column] * (u - di) + north[row, column] * (v - dj)
        return value

    south = corner(0, 0) + fade_u * (corner(1, 0) - corner(0, 0))
    north_ = corner(0, 1) + fade_u * (corner(1, 1) - corner(0, 1))
    blended: Floats = south + fade_v * (north_ - south)
    return blended


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
