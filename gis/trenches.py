"""Routes that run side by side share their trench, and pay for it together.

A stretch that k routes use is dug once and each pays a k-th of it. For costs that are fixed per stretch this split is
the Shapley value: what each adds to the bill, averaged over every order in which they might come. The shares add up to
the cost of the union, and nobody pays more than alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from gis.routes import Route
from gis.surface import Prices
from layers.records import Floats, Ints


@dataclass(frozen=True)
class Shared:
    """Costs in the unit of `base` times kilometres. `alone` (R,), `share` (R,), `union` what all cost together."""

    alone: Floats
    share: Floats
    union: float

    @property
    def saved(self) -> float:
        return float(self.alone.sum()) - self.union


def shared_costs(routes: Sequence[Route], prices: Prices, base: Sequence[float], end: int = 1) -> Shared:
    """What each of some routes of one utility pays when stretches that several use are dug once.

    Parameters
    ----------
    routes : (R,) over the same surface
    base : (R,) wan per kilometre of easy ground of each; a common stretch costs what its dearest user needs, and what
        it needs beyond the next dearest it pays alone
    end : 0 the low, 1 the typical, 2 the high end of the prices of the ground

    Returns
    -------
    Shared, in wan
    """
    alone = np.zeros(len(routes))
    parts: list[tuple[Ints, Floats, Ints]] = []
    for number, (route, price) in enumerate(zip(routes, base, strict=True)):
        step, wan = _steps(route, prices, price, end)
        alone[number] = wan.sum()
        parts.append((step, wan, np.full(len(step), number, dtype=np.int64)))
    if not parts:
        return Shared(alone, alone.copy(), 0.0)
    step, wan, who = (np.concatenate(one) for one in zip(*parts, strict=True))
    share = np.zeros(len(routes))
    np.add.at(share, who, _split(step, wan))
    return Shared(alone, share, float(share.sum()))


def _steps(route: Route, prices: Prices, base: float, end: int) -> tuple[Ints, Floats]:
    """Each step of a route by the cells at its ends, whichever way it is walked, and what it costs."""
    weight = route.weights(prices, end)
    wan: Floats = route.steps_m * (weight[:-1] + weight[1:]) / 2 * base / 1000
    return _ends(route), wan


def _ends(route: Route) -> Ints:
    """Each step of a route as one number of the two cells at its ends."""
    cell = route.row * route.surface.codes.shape[1] + route.column
    ends: Ints = np.minimum(cell[:-1], cell[1:]) * route.surface.codes.size + np.maximum(cell[:-1], cell[1:])
    return ends


def _split(step: Ints, wan: Floats) -> Floats:
    """(S,) what each use of a step pays: the airport game on each step, an equal split where all cost the same.

    >>> _split(np.array([7, 7, 7, 9]), np.array([6.0, 6.0, 6.0, 4.0])).tolist()
    [2.0, 2.0, 2.0, 4.0]
    >>> _split(np.array([7, 7]), np.array([2.0, 6.0])).tolist()
    [1.0, 5.0]
    """
    order = np.lexsort((wan, step))
    sorted_step, cost = step[order], wan[order]
    first = np.r_[True, sorted_step[1:] != sorted_step[:-1]] if len(order) else np.empty(0, dtype=bool)
    group = np.cumsum(first) - 1
    start = np.flatnonzero(first)
    size = np.diff(np.r_[start, len(order)])
    users = size[group] - (np.arange(len(order)) - start[group])  # this one and the dearer ones share what it adds
    added = np.where(first, cost, cost - np.r_[0.0, cost[:-1]])
    running = np.cumsum(added / users)
    before = running[start] - (added / users)[start]
    paid = np.empty(len(order))
    paid[order] = running - before[group]
    return paid


def stretches(routes: Sequence[Route]) -> list[tuple[tuple[int, ...], shapely.Geometry]]:
    """The ways as lines that overlap nowhere, each with the numbers of the routes that use it."""
    users: dict[int, list[int]] = {}
    for number, route in enumerate(routes):
        for step in _ends(route).tolist():
            users.setdefault(step, []).append(number)
    groups: dict[tuple[int, ...], list[int]] = {}
    for step, who in users.items():
        groups.setdefault(tuple(dict.fromkeys(who)), []).append(step)
    found = []
    for together, steps in groups.items():
        under = routes[together[0]].surface
        low, high = np.divmod(np.array(steps), under.codes.size)
        columns = under.codes.shape[1]
        ends = np.stack([under.places(*np.divmod(one, columns)) for one in (low, high)], axis=1)
        found.append((together, shapely.line_merge(shapely.multilinestrings(shapely.linestrings(ends)))))
    return found
