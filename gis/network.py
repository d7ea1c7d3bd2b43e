"""Which facility can serve a project from a site: near enough, and with enough left.

The nearest substation is no use when it is full. For each project the facilities with enough headroom count, and
the nearest of them serves; a facility whose headroom nobody knows may serve, and counts in one bound only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gis.intervals import Interval
from layers.records import Floats


@dataclass(frozen=True)
class Service:
    """For sites (P,) and projects (N,): how far the serving facility is and how much is left within reach."""

    distance_m: Interval
    headroom: Interval


def headroom_of(ids: Iterable[str], pools: Mapping[str, float], unit: str) -> Floats:
    """(K,) balance of `capacity/<facility>/<unit>`; NaN for a facility without an account."""
    return np.array([pools.get(f"capacity/{one}/{unit}", np.nan) for one in ids], dtype=float)


def serve(distance_m: Floats, headroom: Floats, need: Floats, reach_m: Floats, surveyed_m: Floats) -> Service:
    """Match sites with facilities for each project.

    Parameters
    ----------
    distance_m : (P, K) from each site to each facility
    headroom : (K,) what each has left, NaN unknown
    need, reach_m : (N,) what each project draws and how far a connection may go, NaN unknown
    surveyed_m : (P,) how far around each site facilities were looked for; -1 not at all

    Examples
    --------
    >>> to_each, left = np.array([[100., 900.]]), np.array([5., 50.])
    >>> found = serve(to_each, left, np.array([20.]), np.array([2000.]), np.array([3000.]))
    >>> found.distance_m.hi.tolist(), found.headroom.lo.tolist()
    ([[900.0]], [[50.0]])
    """
    untold = np.isnan(headroom)
    sure = np.stack([_least(distance_m, headroom >= one) for one in need], axis=1)
    maybe = np.stack([_least(distance_m, untold | (headroom >= one)) for one in need], axis=1)
    # Beyond the end of the survey a nearer one may stand.
    lo = np.minimum(maybe, np.maximum(surveyed_m, 0.0)[:, None])
    lo = np.where(maybe <= surveyed_m[:, None], maybe, lo)
    within = distance_m[:, :, None] <= reach_m
    left = np.where(within & ~untold[:, None], headroom[:, None], 0.0).max(axis=1, initial=0.0)
    more = (within & untold[:, None]).any(axis=1) | (surveyed_m[:, None] < reach_m)
    said = ~np.isnan(need + reach_m)[None, :] & (surveyed_m >= 0)[:, None]
    return Service(
        Interval(np.minimum(lo, sure), sure).where(said), Interval(left, np.where(more, np.inf, left)).where(said)
    )


def _least(distance_m: Floats, keep: np.ndarray) -> Floats:
    least: Floats = distance_m[:, keep].min(axis=1, initial=np.inf)
    return least
