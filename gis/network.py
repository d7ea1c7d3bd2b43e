"""Which facility can serve a project from a site: near enough, of a fitting kind, and with enough left.

The nearest substation is no use when it is full, of too low a voltage, or fed by one that is full. For each project the
facilities with enough headroom count, and the nearest of them serves; a facility whose headroom or voltage nobody knows
may serve, and counts in one bound only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gis.intervals import Interval
from layers.records import Bools, Floats, Snapshot

Fit = tuple[Bools, Bools]
"""(K, N) facilities that certainly are of a kind to serve each project, and those that may be."""

ANY_STATION_KV = 10.0  # every substation has a 10 kV side, whatever its own voltage


@dataclass(frozen=True)
class Service:
    """For sites (P,) and projects (N,): how far the serving facility is, how much is left within reach, how many
    facilities within reach have enough."""

    distance_m: Interval
    headroom: Interval
    count: Interval


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


def can_feed(layer: Snapshot, supply_kv: Floats) -> Fit:
    """(K, N) substations that can feed loads at a voltage: high enough, and with an outgoing bay left.

    Nobody feeds 110 kV from a station of 35 kV. Up to 10 kV any station will do.
    """
    own_kv, bays = layer.column("voltage_kv").astype(float)[:, None], layer.column("bays_free").astype(float)[:, None]
    asked = supply_kv[None, :]
    low = asked <= ANY_STATION_KV
    sure, may = low | (own_kv >= asked), low | ~(own_kv < asked) | np.isnan(asked)
    full = bays == 0
    return sure & ~full, may & ~full


RAW_WATER = ("intake", "reservoir", "取水口", "水库")


def hands_out(layer: Snapshot) -> Bools:
    """(K,) water facilities that hand out treated water; an intake or a reservoir feeds a works, not a plant."""
    treated: Bools = ~np.isin(layer.column("kind").astype(str), RAW_WATER)
    return treated


def can_supply(layer: Snapshot, need: Floats) -> Fit:
    """(K, N) `hands_out` for each project."""
    fit: Bools = np.repeat(hands_out(layer)[:, None], len(need), axis=1)
    return fit, fit


def with_room(headroom: Floats, need: Floats, fit: Fit | None = None) -> Fit:
    """(K, N) facilities that certainly have enough left for each project and are of a kind to serve it, and those that
    may: an unknown headroom may be enough."""
    surely, may = fit if fit is not None else (np.ones((len(headroom), len(need)), dtype=bool),) * 2
    enough = headroom[:, None] >= need
    return enough & surely, (np.isnan(headroom)[:, None] | enough) & may


def serve(
    distance_m: Floats, headroom: Floats, need: Floats, reach_m: Floats, surveyed_m: Floats, fit: Fit | None = None
) -> Service:
    """Match sites with facilities for each project.

    Parameters
    ----------
    distance_m : (P, K) from each site to each facility
    headroom : (K,) what each has left, NaN unknown
    need, reach_m : (N,) what each project draws and how far a connection may go, NaN unknown
    surveyed_m : (P,) how far around each site facilities were looked for; -1 not at all
    fit : which are of a kind to serve; all where not given

    Examples
    --------
    >>> to_each, left = np.array([[100., 900.]]), np.array([5., 50.])
    >>> found = serve(to_each, left, np.array([20.]), np.array([2000.]), np.array([3000.]))
    >>> found.distance_m.hi.tolist(), found.headroom.lo.tolist()
    ([[900.0]], [[50.0]])
    """
    untold = np.isnan(headroom)
    surely, may = fit if fit is not None else (np.ones((len(headroom), len(need)), dtype=bool),) * 2
    enough, perhaps = with_room(headroom, need, (surely, may))
    sure = np.stack([_least(distance_m, keep) for keep in enough.T], axis=1)
    maybe = np.stack([_least(distance_m, keep) for keep in perhaps.T], axis=1)
    # Beyond the end of the survey a nearer one may stand.
    lo = np.minimum(maybe, np.maximum(surveyed_m, 0.0)[:, None])
    lo = np.where(maybe <= surveyed_m[:, None], maybe, lo)
    within = distance_m[:, :, None] <= reach_m
    left = np.where(within & (~untold[:, None] & surely), headroom[:, None], 0.0).max(axis=1, initial=0.0)
    beyond = surveyed_m[:, None] < reach_m
    more = (within & (untold[:, None] & may | may & ~surely)).any(axis=1) | beyond
    many = Interval((within & enough).sum(axis=1, dtype=float), (within & perhaps).sum(axis=1, dtype=float))
    said = ~np.isnan(need + reach_m)[None, :] & (surveyed_m >= 0)[:, None]
    return Service(
        Interval(np.minimum(lo, sure), sure).where(said),
        Interval(left, np.where(more, np.inf, left)).where(said),
        Interval(many.lo, np.where(beyond, np.inf, many.hi)).where(said),
    )


def _least(distance_m: Floats, keep: np.ndarray) -> Floats:
    least: Floats = distance_m[:, keep].min(axis=1, initial=np.inf)
    return least
