"""Which facility can serve a project from a site: near enough, and with enough left.

The nearest substation is no use when it is full. For each project the facilities with enough headroom count, and
the nearest of them serves; a facility whose headroom nobody knows may serve, and counts in one bound only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gis.intervals import Interval
from layers.records import Floats, Snapshot


@dataclass(frozen=True)
class Service:
    """For sites (P,) and projects (N,): how far the serving facility is and how much is left within reach."""

    distance_m: Interval
    headroom: Interval


def route(facility: str, upstream: Mapping[str, str]) -> tuple[str, ...]:
    """A facility and those it is fed from, one after the other; `upstream` is id -> id of the next.

    >>> route("35kV", {"35kV": "110kV", "110kV": "220kV"})
    ('35kV', '110kV', '220kV')
    """
    found = [facility]
    while (above := upstream.get(found[-1])) is not None and above not in found:
        found.append(above)
    return tuple(found)


def upstream_of(layer: Snapshot) -> dict[str, str]:
    """Facility -> the one that feeds it, where the layer says so (`feeds_from`)."""
    pairs = zip(layer.column("id"), layer.column("feeds_from"), strict=True)
    return {str(one): above for one, above in pairs if isinstance(above, str) and above}


def headroom_of(layer: Snapshot, pools: Mapping[str, float], unit: str) -> Floats:
    """(K,) what is left of `capacity/<facility>/<unit>`, upstream too; NaN where a facility has no account.

    A facility upstream without an account limits nothing that anybody knows of.
    """
    upstream = layer.once("upstream", upstream_of)
    left = []
    for one in layer.column("id"):
        mine, *above = (pools.get(f"capacity/{name}/{unit}", np.nan) for name in route(str(one), upstream))
        left.append(min([mine, *(other for other in above if other == other)]))
    return np.array(left, dtype=float)


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
