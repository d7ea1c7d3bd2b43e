"""The offers of every site to every project: which facilities serve it, on which accounts, at what connection cost.

An offer names one facility for each kind of load, and there are several where that matters: the dearer station is
offered too where the cheaper one may fall short. Costs are those of `gis.connections` at their typical prices, worked
out for all sites and projects at once; ways are looked up, never searched.

K offers, P sites, N projects. Offer 0 is the cheapest. An offer that draws on the same accounts that may fall short as
a cheaper one, or on more of them, is dropped: no plan is better for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gis import terrain
from gis.connections import ACCESS, EVERY_ROAD, ends_wan, lift_m, line_of, pump_wan, summit_of
from gis.ground import Ground, Routes
from gis.intervals import Interval
from gis.meetings import UTILITY_ROLES
from gis.routes import Reached
from gis.serving import FREIGHT, PLANTS, Demand, Reachable, load_of, reachable, stretches
from gis.surface import Prices, Surface
from gis.ways import head_of
from layers.records import Bools, Floats, Ints, Raster, Snapshot

FACILITIES = 3  # of a kind that may serve one project on one site
OFFERS = 12  # for one project on one site
UTILITY_OF = {role: utility for utility, role in UTILITY_ROLES.items()}
ROAD = "road"
Rows = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Offered:
    """What sites offer projects.

    open : (K, P, N) whether there is a k-th offer
    facility : utility -> (K, P, N) row of the facility in its layer, -1 none; `second` the same of a second supply
    serves : account of a capacity -> (K, P, N) whether the offer draws on it
    loads : kind -> (N,) what projects draw, as the books take it
    cost_wan : utility -> (K, P, N), and road -> (1, P, 1): typical connection cost, NaN where nobody knows
    on_way : account of a stretch of road -> (P,)
    """

    open: Bools
    facility: Mapping[str, Rows]
    second: Rows
    serves: Mapping[str, Bools]
    loads: Mapping[str, Floats]
    cost_wan: Mapping[str, Floats]
    on_way: Mapping[str, Bools]

    def counted_wan(self) -> tuple[Floats, dict[str, float]]:
        """(K, P, N) what an offer's connections count with, and of each utility the share of sites and projects whose
        cost nobody knows. Such a cost counts as the dearest known of its utility for that project, else for any; where
        none is known at all it is the same everywhere and tells no offer from another."""
        total, unknown = np.zeros(self.open.shape), {}
        for utility, some in self.cost_wan.items():
            cost = np.where(self.open, some, np.nan)
            said = np.isfinite(cost)
            dearest = np.where(said, cost, 0.0).max(axis=(0, 1), initial=0.0)
            dearest = np.where(said.any(axis=(0, 1)), dearest, dearest.max(initial=0.0))
            total += np.where(said, cost, dearest)
            missing = ~said & self.open
            if missing.any():
                unknown[utility] = float(missing.any(axis=0).sum() / max(self.open.any(axis=0).sum(), 1))
        return total, unknown


def offered(
    ground: Ground,
    needs: Mapping[str, Interval],
    allowed: Bools,
    pools: Mapping[str, float],
    more: Mapping[str, float],
    kept: Routes | None = None,
) -> Offered:
    """The offers of P sites to N projects, as many as may make a difference.

    needs : of the projects; allowed : (P, N) where a project may stand at all
    pools : account -> what is left; more : account -> what may be added to it
    kept : ways to facilities; without them no cost is known and the nearer facility comes first
    """
    loads = {one.kind: np.array([load_of(need) for need in needs[one.kind].hi.tolist()]) for one in (*PLANTS, FREIGHT)}
    lines = None if kept is None else _Lines(ground, kept, np.asarray(allowed.any(axis=1), dtype=bool))
    kinds = [_kind(ground, one, needs, loads[one.kind], allowed, pools, more, lines) for one in PLANTS]
    shape = allowed.shape
    # the offers by which option of each kind they take: the cheapest of all, then those that differ in one ...
    picks = sorted(product(range(FACILITIES), repeat=len(kinds)), key=lambda pick: (sum(pick), pick[::-1]))
    there: list[tuple[tuple[int, ...], Bools]] = []
    for pick in picks:
        open_ = allowed.copy()
        for kind, m in zip(kinds, pick, strict=True):
            open_ &= kind.open[m]
        if open_.any() or not there:
            there.append((pick, open_))
    there = there[:OFFERS]
    open_ = np.stack([one for _, one in there])
    facility, cost = {}, {}
    serves: dict[str, Bools] = {}
    second = np.full(open_.shape, -1, dtype=np.int32)
    for n, (demand, kind) in enumerate(zip(PLANTS, kinds, strict=True)):
        utility = UTILITY_OF[demand.role]
        rows = np.stack([kind.row[pick[n]] for pick, _ in there])
        facility[utility] = np.where(open_, rows, -1).astype(np.int32)
        cost[utility] = np.stack([kind.cost[pick[n]] for pick, _ in there])
        if utility == "power":
            second = np.stack([kind.second[pick[n]] for pick, _ in there])
        for row, accounts in enumerate(kind.accounts):
            drawn = facility[utility] == row
            if accounts and drawn.any():
                for name in accounts:
                    serves[name] = serves.get(name, np.zeros(open_.shape, dtype=bool)) | drawn
    cost[ROAD] = np.full((1, shape[0], 1), np.nan) if lines is None else lines.access_wan()[None, :, None]
    on_way = stretches(ground, pools) if loads[FREIGHT.kind].any() else {}
    return Offered(open_, facility, second, serves, loads, cost, on_way)


@dataclass(frozen=True, eq=False)
class _Kind:
    """The options of one kind of load, (M, P, N) each, cheapest first; accounts by row of the layer."""

    open: Bools
    row: Rows
    second: Rows
    cost: Floats
    accounts: Sequence[tuple[str, ...]]


def _kind(
    ground: Ground,
    demand: Demand,
    needs: Mapping[str, Interval],
    load: Floats,
    allowed: Bools,
    pools: Mapping[str, float],
    more: Mapping[str, float],
    lines: _Lines | None,
) -> _Kind:
    shape = (FACILITIES, *allowed.shape)
    row, second = np.full(shape, -1, dtype=np.int32), np.full(shape, -1, dtype=np.int32)
    cost, open_ = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    open_[0] = True  # who needs nothing is served by nobody, and so is who nobody can serve
    asked = needs[demand.kind].hi
    cost[0][:, asked == 0] = 0.0
    found = reachable(ground, demand, needs, pools)
    layer = ground.layer(demand.role)
    if found is None or layer is None:
        return _Kind(open_, row, second, cost, ())
    accounts = [some if known else () for some, known in zip(found.accounts, found.known.tolist(), strict=True)]
    served = [int(n) for n in np.flatnonzero(load > 0)]
    for n in served:
        row[:, :, n] = found.choices(n, float(load[n]), more, FACILITIES)
    apart = _apart(accounts, _scarce(accounts, row, load, allowed, pools))
    dual = needs["wants_dual_supply"].hi if UTILITY_OF[demand.role] == "power" else np.zeros(len(load))
    for n in served:
        if lines is not None:
            cost[:, :, n] = lines.cost_wan(demand, layer, row[:, :, n], needs, n)
            if dual[n] == 1:
                second[:, :, n], beside = _second(found, lines, demand, layer, row[:, :, n], needs, n)
                cost[:, :, n] += beside
        order = np.argsort(
            np.where(row[:, :, n] < 0, np.inf, np.nan_to_num(cost[:, :, n], nan=1e18)), axis=0, kind="stable"
        )
        for table in (row, second, cost):
            table[:, :, n] = np.take_along_axis(table[:, :, n], order, axis=0)
        keep = _undominated(row[:, :, n], apart)
        keep[1:] &= allowed[:, n]
        front = np.argsort(~keep, axis=0, kind="stable")
        for table in (row, second, cost):
            table[:, :, n] = np.take_along_axis(table[:, :, n], front, axis=0)
        open_[:, :, n] = np.take_along_axis(keep, front, axis=0)
        open_[0, :, n] = True
    return _Kind(open_, row, second, cost, accounts)


def _scarce(
    accounts: Sequence[tuple[str, ...]], row: Rows, load: Floats, allowed: Bools, pools: Mapping[str, float]
) -> set[str]:
    """Accounts that would be short if every project drew on them that may."""
    asked: dict[str, float] = {}
    for n in np.flatnonzero(load > 0).tolist():
        used = np.unique(row[:, allowed[:, n], n])
        for name in {name for facility in used[used >= 0].tolist() for name in accounts[facility]}:
            asked[name] = asked.get(name, 0.0) + float(load[n])
    return {name for name, amount in asked.items() if amount > pools[name]}


def _apart(accounts: Sequence[tuple[str, ...]], scarce: set[str]) -> Bools:
    """(F, F) whether all that may fall short for one facility may do so for the other, too."""
    mine = [frozenset(some) & scarce for some in accounts]
    return np.array([[one <= other for other in mine] for one in mine], dtype=bool).reshape(len(mine), len(mine))


def _undominated(row: Ints | Rows, apart: Bools) -> Bools:
    """(M, P) the options, cheapest first, that no cheaper one makes needless."""
    keep: Bools = row >= 0
    for m in range(1, len(row)):
        for earlier in range(m):
            keep[m] &= ~(keep[earlier] & apart[row[earlier], row[m]])
    return keep


def _second(
    found: Reachable, lines: _Lines, demand: Demand, layer: Snapshot, row: Ints, needs: Mapping[str, Interval], n: int
) -> tuple[Rows, Floats]:
    """(M, P) the cheapest other facility that surely could serve, and its cost; -1 and 0 where there is no other."""
    need = float(needs[demand.kind].hi[n])
    able = np.flatnonzero(found.surely[:, n] & (found.headroom >= need))
    other, cost = np.full(row.shape, -1, dtype=np.int32), np.zeros(row.shape)
    if not len(able):
        return other, cost
    near = found.near(n)[:, able].T
    each = lines.cost_wan(demand, layer, np.where(near, able[:, None], -1), needs, n)
    for m in range(len(row)):
        priced = np.where(near & (able[:, None] != row[m]) & np.isfinite(each), each, np.inf)
        best = priced.argmin(axis=0)
        least = priced[best, np.arange(row.shape[1])]
        there = np.isfinite(least) & (row[m] >= 0)
        other[m] = np.where(there, able[best], -1)
        cost[m] = np.where(there, least, 0.0)
    return other, cost


class _Lines:
    """Typical cost of lines from many sites: effort is looked up, length and summit are walked once for each cell that
    ways begin in."""

    def __init__(self, ground: Ground, kept: Routes, wanted: Bools) -> None:
        self.ground, self.kept, self.wanted = ground, kept, wanted
        assert ground.book is not None
        self.prices = Prices.of(ground.book)
        self.dem: Raster | None = ground.world.raster("dem")
        heights = ground.raster("dem")
        nothing = np.full(ground.count, np.nan)
        zonal = {"min": nothing, "max": nothing} if heights is None else terrain.zonal(*heights, ground.count)
        self.low_m, self.high_m = zonal["min"], zonal["max"]
        self._cells: tuple[Surface, tuple[Ints, Ints, Ints]] | None = None
        self._starts: dict[tuple[str, str], tuple[Reached, Ints, Ints, Floats] | None] = {}
        self._walked: dict[tuple[str, str, int, int], tuple[float, float]] = {}

    def cost_wan(self, demand: Demand, layer: Snapshot, row: Ints, needs: Mapping[str, Interval], n: int) -> Floats:
        """(M, P) what connecting project n on every site to a facility costs; NaN where nobody knows."""
        utility, need = UTILITY_OF[demand.role], float(needs[demand.kind].hi[n])
        cost = np.full(row.shape, np.nan)
        kv = float(needs["supply_kv"].hi[n]) if utility == "power" else math.nan
        if utility == "power" and math.isnan(kv):
            return cost
        base = self.prices.typical(utility, line_of(utility, kv, need)[0])
        ids = layer.column("id")
        for facility in np.unique(row[row >= 0]).tolist():
            wan = self._effort_m(utility, layer.layer.role, str(ids[facility])) * base / 1000
            on = (row == facility) & np.isfinite(wan) & self.wanted
            if utility == "power":
                wan = wan + ends_wan(self.prices, kv, need)[1]
            else:
                wan = wan + self._pumped_wan(utility, layer, facility, need, on.any(axis=0))
            cost = np.where(on, wan, cost)
        return cost

    def access_wan(self) -> Floats:
        """(P,) the access road of every site to the nearest public road."""
        wan = self._effort_m(ROAD, "roads", EVERY_ROAD) * self.prices.typical(ROAD, ACCESS) / 1000
        return np.where(np.isfinite(wan), wan, np.nan)

    def _effort_m(self, utility: str, role: str, facility: str) -> Floats:
        start = self._start(utility, role, facility)
        return np.full(self.ground.count, np.nan) if start is None else start[3]

    def _start(self, utility: str, role: str, facility: str) -> tuple[Reached, Ints, Ints, Floats] | None:
        key = (utility, facility)
        if key not in self._starts:
            reached = self.kept(utility, role, facility) if self.ground.layer(role) is not None else None
            if reached is not None and (self._cells is None or self._cells[0] is not reached.surface):
                self._cells = (reached.surface, reached.surface.cells_of(self.ground.sites))
            self._starts[key] = (
                None
                if reached is None or self._cells is None
                else (reached, *reached.start(self._cells[1], self.ground.count))
            )
        return self._starts[key]

    def _pumped_wan(self, utility: str, layer: Snapshot, facility: int, need: float, on: Bools) -> Floats:
        """(P,) of the sites that are asked for."""
        wan = np.zeros(self.ground.count)
        start = self._start(utility, layer.layer.role, str(layer.column("id")[facility]))
        sites = np.flatnonzero(on)
        if self.dem is None or start is None or not len(sites):
            return wan
        reached, row, column, _ = start
        dem = self.dem
        length, summit = np.empty((2, len(sites)))
        for k, site in enumerate(sites.tolist()):
            key = (utility, str(layer.column("id")[facility]), int(row[site]), int(column[site]))
            if key not in self._walked:
                route = reached.route_from(*key[2:])
                assert route is not None
                self._walked[key] = (route.length_m, summit_of(route, dem))
            length[k], summit[k] = self._walked[key]
        head_m = math.nan
        if utility == "water":
            head_m = float(head_of(layer, lambda x, y: terrain.at_points(dem, x, y))[facility])
        lift = lift_m(self.prices, utility, length, summit, self.low_m[sites], self.high_m[sites], head_m)
        wan[sites] = pump_wan(self.prices, utility, need, lift)[1][:, 1]
        return wan
