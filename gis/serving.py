"""Who serves a load, and on which accounts it is booked: one answer for the books and for the plan.

A load is booked on the nearest facility within reach that is of a kind to serve and has room, and on those that feed
it; `gis.network.serve` says the same in bounds for the rules. Lorries load every stretch of road on their way to the
nearest trunk road.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gis.ground import Ground
from gis.intervals import Interval
from gis.meetings import MEETINGS, Kind, Serving
from gis.network import headroom_of, route, upstream_of, with_room
from gis.ways import reach_of
from layers.records import Bools, Floats, Ints

ROAD_REACH_M = 2_000.0  # assumption: the access of a plant meets a road within this
Routes = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Demand:
    """A kind of load: the need it is, the layer that serves it, and how far that may be."""

    kind: str
    role: str
    reach: str | float
    zh: str
    fit: Kind | None = None


def _served(meeting: str, zh: str) -> Demand:
    one = MEETINGS[meeting]
    assert isinstance(one, Serving)
    return Demand(one.need, one.role, one.reach, zh, one.fit)


PLANTS = (
    _served("power_headroom_kva", "报装容量"),
    _served("water_headroom_m3d", "用水量"),
    _served("effluent_headroom_m3d", "排水量"),
)
FREIGHT = Demand("freight_td", "roads", ROAD_REACH_M, "货运量")
DEMANDS = (*PLANTS, FREIGHT)


def whole(amount: float) -> int:
    """A whole number that is surely enough: noise in the last bit of a float is no square metre."""
    return math.ceil(round(amount, 3))


@dataclass(frozen=True, eq=False)
class Reachable:
    """The facilities of a kind for P sites and N projects.

    far_m : (P, K) from each site; reach_m : (N,) how far a connection may go, NaN unknown
    headroom : (K,) what each has left, those upstream counted; NaN where nobody knows
    surely, may : (K, N) certainly and perhaps of a kind to serve
    accounts : (K,) what a load on each is booked on, its own first
    """

    far_m: Floats
    reach_m: Floats
    headroom: Floats
    surely: Bools
    may: Bools
    accounts: tuple[tuple[str, ...], ...]
    balances: Mapping[str, float]

    @property
    def known(self) -> Bools:
        """(K,) whose capacity is kept in an account."""
        return ~np.isnan(self.headroom)

    def near(self, n: int) -> Bools:
        """(P, K) within a project's reach, and perhaps of a kind to serve it."""
        near: Bools = (self.far_m <= self.reach_m[n]) & self.may[:, n]
        return near

    def routes(self, site: int, n: int) -> Routes | None:
        """The accounts of every facility that may serve, the nearest first. None where nobody knows of any capacity
        there; empty where no facility is within reach."""
        if math.isnan(self.reach_m[n]):
            return None
        rows = np.flatnonzero(self.near(n)[site])
        if not self.known.any() or (len(rows) and not self.known[rows].any()):
            return None
        order = rows[np.argsort(self.far_m[site, rows], kind="stable")]
        return [self.accounts[row] for row in order if self.known[row]]

    def choices(self, n: int, need: float, more: Mapping[str, float] | None = None, most: int = 1) -> Ints:
        """(M, P) facilities that a load may be booked on, the one that the books would take first; -1 none.

        The nearest that have room for it, then the nearest that would have with `more` in their accounts; where there
        is neither, the nearest, so that a load is never left out because it is too large. Only facilities of known
        capacity; where no capacity is known within reach, the nearest of all, which no account limits.
        """
        room = with_room(self.headroom, np.array([need]))[0][:, 0]
        could = np.array([all(self.balances[name] + (more or {}).get(name, 0.0) >= need for name in some)
                          for some in self.accounts], dtype=bool)  # fmt: skip
        sites, count = self.far_m.shape
        found: Ints = np.full((most, sites), -1, dtype=np.int64)
        if not count:
            return found
        near = self.near(n)
        known = near & self.known
        known = np.where(np.asarray(known.any(axis=1))[:, None], known, near)
        rank = np.where(room, 0, np.where(could, 1, 2))
        alone: Bools = np.asarray((known & (rank < 2)).any(axis=1), dtype=bool)
        open_ = known & np.where(alone[:, None], rank < 2, True)
        far_m = np.where(open_, self.far_m, np.inf)
        near_first = np.argsort(far_m, axis=1, kind="stable")
        first = np.where(open_, rank * 1e12 + far_m, np.inf).argmin(axis=1)
        every = np.arange(sites)
        found[0] = np.where(np.isfinite(far_m[every, first]), first, -1)
        taken = np.ones(sites, dtype=np.int64)
        for place in range(count):
            row = near_first[:, place]
            fits = np.isfinite(far_m[every, row]) & (row != found[0]) & (taken < most) & alone
            found[taken[fits], every[fits]] = row[fits]
            taken[fits] += 1
        return found


def reachable(
    ground: Ground, one: Demand, needs: Mapping[str, Interval], pools: Mapping[str, float] | None = None
) -> Reachable | None:
    """The facilities that may serve a kind of load; None where no layer of them is loaded.

    pools : account -> what is left, the world's unless given
    """
    layer = ground.layer(one.role)
    if layer is None:
        return None
    pools = ground.world.pools() if pools is None else pools
    count = len(needs[one.kind].hi)
    reach_m = needs[one.reach].hi if isinstance(one.reach, str) else np.full(count, one.reach)
    surely, may = (np.ones((len(layer.features), count), dtype=bool),) * 2
    if one.fit is not None:
        surely, may = one.fit[0](layer, needs[one.fit[1]].hi)
    upstream = layer.once("upstream", upstream_of)
    lines = [[f"capacity/{name}/{one.kind}" for name in route(str(id_), upstream)] for id_ in layer.column("id")]
    accounts = tuple(tuple(name for name in line if name in pools) for line in lines)
    headroom = headroom_of(layer, pools, one.kind)
    return Reachable(ground.matrix_m(one.role, layer), reach_m, headroom, surely, may, accounts, pools)


def ways(ground: Ground, pools: Mapping[str, float] | None = None) -> list[Routes | None]:
    """Of each site the accounts of the stretches from its gate to the trunk road, as the one route there is; of the
    first stretch where the drawing leads to none.

    None where a stretch keeps no account, for what it still carries is not known; empty where no road is within reach.
    """
    layer = ground.layer(FREIGHT.role)
    reach = reach_of(ground)
    if layer is None or reach is None:
        return [None] * ground.count
    known = ~np.isnan(headroom_of(layer, ground.world.pools() if pools is None else pools, FREIGHT.kind))
    names = [f"capacity/{one}/{FREIGHT.kind}" for one in layer.column("id")]
    found: list[Routes | None] = []
    for site in range(ground.count):
        if not reach.access_m[site] <= ROAD_REACH_M:
            found.append([])
            continue
        rows = list(dict.fromkeys(reach.roads.network.row[reach.edges(site)].tolist()))
        found.append([tuple(names[row] for row in rows)] if known[rows].all() else None)
    return found


def load_of(need: float) -> float:
    """What the books take for a need; nothing for one that nobody states."""
    return float(whole(need)) if need > 0 else 0.0


def stretches(ground: Ground, pools: Mapping[str, float] | None = None) -> dict[str, Bools]:
    """Account of a stretch of road -> (P,) whether it is on the way of a site to the trunk road."""
    found: dict[str, Bools] = {}
    for site, routes in enumerate(ways(ground, pools)):
        for name in (name for some in routes or () for name in some):
            found.setdefault(name, np.zeros(ground.count, dtype=bool))[site] = True
    return found
