"""How far a site has to be moved to leave barred ground: a search over directions, the shortest ways first."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.records import Bools, Floats, Geoms

DIRECTIONS = 64
STEPS = 40  # distances tried along each direction before the place of the border is found by halving
HALVINGS = 12
FINER = 12  # further directions on either side of the best
APART = 8  # of 64 directions: ways nearer to each other than that are one way
HAIR_M = 0.02


def moved(site: shapely.Geometry, by_m: Floats) -> Geoms:
    """(K,) the site moved by each of (K, 2) vectors."""
    copies = np.repeat(np.array([site], dtype=object), len(by_m))
    count = shapely.get_num_coordinates(site)
    xy = shapely.get_coordinates(copies) + np.repeat(by_m, count, axis=0)
    out: Geoms = shapely.set_coordinates(copies, xy)
    return out


def shifts(site: shapely.Geometry, barred: shapely.Geometry, most_m: float, count: int = 6) -> Floats:
    """(K, 2) the shortest moves, in metres east and north, after which a site touches no barred ground.

    At most `count`, of different directions, the shortest first; none where there is none within `most_m`. Along each
    direction the first free distance is found to a few centimetres, as far as it is not narrower than a fortieth of
    `most_m`.

    >>> from shapely import box
    >>> shifts(box(0, 0, 10, 10), box(-100, 5, 100, 50), 40.0).round(1).tolist()[0]
    [0.0, -5.0]
    """
    shapely.prepare(barred)
    if not shapely.intersects(barred, site):
        return np.zeros((1, 2))
    angles = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    found = np.full(DIRECTIONS, np.inf)
    until = np.inf
    for step in range(1, STEPS + 1):
        radius = most_m * step / STEPS
        left = np.flatnonzero(np.isinf(found))
        if radius > until or not len(left):
            break
        free = left[_free(site, barred, angles[left], np.full(len(left), radius))]
        found[free] = radius
        if len(free) and np.isinf(until):
            until = 2 * radius  # ways twice as long are no better than those there are
    some = np.flatnonzero(np.isfinite(found))
    if not len(some):
        return np.zeros((0, 2))
    found[some] = _halved(site, barred, angles[some], found[some] - most_m / STEPS, found[some])
    best = angles[int(found.argmin())]
    near = best + np.linspace(-1, 1, 2 * FINER + 1) * 2 * np.pi / DIRECTIONS
    most = np.full(len(near), float(found.min()))
    good = _free(site, barred, near, most)
    finer = _halved(site, barred, near[good], np.zeros(int(good.sum())), most[good])
    angles, found = np.concatenate([angles[some], near[good]]), np.concatenate([found[some], finer])
    chosen: list[int] = []
    for row in np.argsort(found, kind="stable").tolist():
        turn = np.abs(np.angle(np.exp(1j * (angles[chosen] - angles[row]))))
        if (turn > APART * 2 * np.pi / DIRECTIONS).all():
            chosen.append(row)
        if len(chosen) == count:
            break
    return _vectors(angles[chosen], found[chosen] + HAIR_M)


def _vectors(angles: Floats, radius_m: Floats) -> Floats:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius_m[:, None]


def _free(site: shapely.Geometry, barred: shapely.Geometry, angles: Floats, radius_m: Floats) -> Bools:
    out: NDArray[np.bool_] = ~shapely.intersects(barred, moved(site, _vectors(angles, radius_m)))
    return out


def _halved(site: shapely.Geometry, barred: shapely.Geometry, angles: Floats, low: Floats, high: Floats) -> Floats:
    """Where each way becomes free, between a barred distance and a free one; the answer is free."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        free = _free(site, barred, angles, middle)
        low, high = np.where(free, low, middle), np.where(free, middle, high)
    return high
