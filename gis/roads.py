"""How trucks reach a site: over the road network to the nearest trunk road, and what the way is like.

One search from all trunk roads, made once for a version of the layer, leaves with every node its distance and the worst
of its way: the lowest class, the steepest grade, the weakest bridge, the narrowest stretch. A site then only looks up
the node at either end of the road in front of its gate.

a road in a part of the drawing that no line joins with a trunk road     the reach is unknown, not infinite
a stretch that does not say its class, grade, width or bridge             the worst is known as a bound only
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import shapely
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from gis.intervals import Interval
from gis.rules import Rulebook, shipped
from gis.topology import Network, network_of
from layers.records import Bools, Floats, Geoms, Ints, Snapshot

TRUNK = ("national", "provincial")
NO_GATE = ("expressway",)  # a road without gates: only its interchanges let anybody on
NEVER = -1


@dataclass(frozen=True)
class RoadClasses:
    """The classes from the highest, and how many more trucks a day each may carry; assumptions, row by row."""

    names: tuple[str, ...]
    trucks_d: Floats

    @classmethod
    def of(cls, book: Rulebook) -> RoadClasses:
        return cls.of_rows(book.tables.get("road_classes", shipped("road_classes")))

    @classmethod
    def of_rows(cls, rows: pd.DataFrame) -> RoadClasses:
        trucks = rows["aadt_pcu_d"].astype(float) * rows["truck_share"].astype(float)
        return cls(tuple(rows["road_class"]), np.asarray(trucks / rows["pcu_per_truck"].astype(float), dtype=float))

    def rank(self, classes: object) -> Floats:
        """(K,) 0 for the highest class; NaN where none is said."""
        at = {name: float(n) for n, name in enumerate(self.names)}
        return np.array([at.get(str(one), np.nan) for one in np.asarray(classes, dtype=object)], dtype=float)


WORST: Mapping[str, float] = {"rank": 1.0, "grade_share": 1.0, "width_m": -1.0, "bridge_limit_t": -1.0}  # * sign: max


@dataclass(frozen=True, eq=False)
class Roads:
    """A road network with the way from every node to its nearest trunk road.

    distance_m : (N,) metres, inf where there is none;  toward : (N,) the next node, by_edge : (N,) the edge to it
    worst : column -> Interval (N,) over the edges of the way
    of_edge : column -> Interval (E,)
    """

    network: Network
    trunk: Bools
    gate: Bools
    distance_m: Floats
    toward: Ints
    by_edge: Ints
    of_edge: Mapping[str, Interval]
    worst: Mapping[str, Interval]

    @cached_property
    def gates(self) -> shapely.STRtree:
        """The edges a site may have its gate on, cut into short stretches: long lines make a nearest search slow."""
        return shapely.STRtree(self._stretches[0])

    @cached_property
    def _stretches(self) -> tuple[Geoms, Ints]:
        from_edge = np.flatnonzero(self.gate)
        xy, line = shapely.get_coordinates(self.network.lines[from_edge], return_index=True)
        inner = np.flatnonzero(line[1:] == line[:-1])
        pairs = np.stack([xy[inner], xy[inner + 1]], axis=1)
        return shapely.linestrings(pairs), from_edge[line[inner]]

    def along_worst(self, of_edge: Interval) -> Interval:
        """(N,) the least of some amount over the way of each node: what a way still carries."""
        return Interval(
            _folded(of_edge.lo, self.toward, self.by_edge, np.minimum, np.inf),
            _folded(of_edge.hi, self.toward, self.by_edge, np.minimum, np.inf),
        )

    def reach(self, sites: Geoms) -> Reach:
        """The way of each site (P,), by the nearest road that is no expressway."""
        count = len(sites)
        edge = np.full(count, NEVER, dtype=np.int64)
        stretches, of = self._stretches
        if len(stretches) == 0 or count == 0:
            empty = np.full(count, np.nan)
            return Reach(self, edge, edge.copy(), empty, empty, np.empty(count, dtype=object))
        nearest = self.gates.query_nearest(sites, all_matches=False)[1]  # in the order of the sites
        edge[:] = of[nearest]
        link = shapely.shortest_line(sites, stretches[nearest])
        gate = shapely.get_point(link, -1)
        along = shapely.line_locate_point(self.network.lines[edge], gate)
        ends = np.stack([self.network.start[edge], self.network.stop[edge]])
        ways = np.stack([along, self.network.length_m[edge] - along]) + self.distance_m[ends]
        ways[:, self.trunk[edge]] = 0.0
        best = np.argmin(ways, axis=0)
        every = np.arange(count)
        node = np.where(self.trunk[edge], NEVER, ends[best, every])
        return Reach(self, edge, node, shapely.length(link), ways[best, every], link)


@dataclass(frozen=True, eq=False)
class Reach:
    """The way of P sites: over `link` to `edge`, along it to `node` (-1: the edge is a trunk road), on to the trunk."""

    roads: Roads
    edge: Ints
    node: Ints
    access_m: Floats
    road_m: Floats
    link: Geoms

    @property
    def distance_m(self) -> Interval:
        """From the site's border to a trunk road; unknown where the drawing joins it with none."""
        total = self.access_m + self.road_m
        lost = np.isinf(total)
        return Interval(np.where(lost, self.access_m, total), total)

    def worst(self, column: str) -> Interval:
        """(P,) the worst of the way, the road in front of the gate included; unknown where there is no way."""
        sign = WORST[column]
        here, on = self.roads.of_edge[column], self.roads.worst[column]
        pick = np.maximum if sign > 0 else np.minimum
        lo, hi = (self._with_gate(a, b, pick, -sign * np.inf) for a, b in ((here.lo, on.lo), (here.hi, on.hi)))
        return Interval(lo, hi).where(~np.isinf(self.road_m) & (self.edge >= 0) & ~np.isnan(self.road_m))

    def least(self, of_edge: Interval) -> Interval:
        """(P,) the least of an amount of the edges over the way."""
        on = self.roads.along_worst(of_edge)
        lo, hi = (self._with_gate(a, b, np.minimum, np.inf) for a, b in ((of_edge.lo, on.lo), (of_edge.hi, on.hi)))
        return Interval(lo, hi).where(~np.isinf(self.road_m) & (self.edge >= 0) & ~np.isnan(self.road_m))

    def _with_gate(self, edges: Floats, nodes: Floats, pick: np.ufunc, nothing: float) -> Floats:
        onward = np.where(self.node >= 0, nodes[np.maximum(self.node, 0)], nothing) if len(nodes) else nothing
        found: Floats = pick(np.where(self.edge >= 0, edges[np.maximum(self.edge, 0)], np.nan), onward)
        return found

    def edges(self, i: int) -> list[int]:
        """The edges of one site's way, from its gate on."""
        if self.edge[i] < 0:
            return []
        way, node = [int(self.edge[i])], int(self.node[i])
        while node >= 0 and self.roads.toward[node] >= 0:
            way.append(int(self.roads.by_edge[node]))
            node = int(self.roads.toward[node])
        return way

    def course(self, i: int) -> shapely.Geometry:
        """One site's way as drawn: the link to its gate, the stretch from there, the edges behind."""
        if self.edge[i] < 0:
            return shapely.LineString()
        network = self.roads.network
        first, *others = self.edges(i)
        line = network.lines[first]
        along = float(shapely.line_locate_point(line, shapely.get_point(self.link[i], -1)))
        ends = (along, 0.0) if self.node[i] == network.start[first] else (along, float(network.length_m[first]))
        stretch = substring(line, *ends) if self.node[i] >= 0 else None
        parts = [self.link[i], stretch, *(network.lines[edge] for edge in others)]
        return shapely.line_merge(shapely.MultiLineString([one for one in parts if one is not None and one.length > 0]))


def substring(line: shapely.LineString, start: float, stop: float) -> shapely.LineString:
    """The stretch of a line between two distances from its start."""
    low, high = sorted((start, stop))
    xy = shapely.get_coordinates(line)
    along = np.r_[0.0, np.cumsum(np.hypot(*np.diff(xy, axis=0).T))]
    ends = [[np.interp(one, along, xy[:, axis]) for axis in (0, 1)] for one in (low, high)]
    return shapely.LineString([ends[0], *xy[(along > low) & (along < high)], ends[1]])


def roads_of(layer: Snapshot, classes: RoadClasses) -> Roads:
    """The road network of a layer and the way from each of its nodes, worked out once for it."""
    return layer.once(("roads", classes.names), lambda one: prepare(one, classes))


def prepare(layer: Snapshot, classes: RoadClasses) -> Roads:
    network = network_of(layer)
    row = network.row
    said = layer.column("road_class")
    trunk = np.isin(said.astype(str), TRUNK)[row]
    gate = ~np.isin(said.astype(str), NO_GATE)[row]
    start, stop, length = network.start, network.stop, np.maximum(network.length_m, 1e-6)
    count = len(network.nodes)
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    order = np.lexsort((length, high, low))  # of parallel edges the shortest: a sparse matrix would add them up
    first = order[np.r_[True, (np.diff(low[order]) > 0) | (np.diff(high[order]) > 0)]] if len(order) else order
    graph = csr_matrix((length[first], (low[first], high[first])), shape=(count, count))
    goals = np.unique(np.concatenate([start[trunk], stop[trunk]]))
    if len(goals):
        far, before, _ = dijkstra(graph, directed=False, indices=goals, return_predecessors=True, min_only=True)
    else:
        far, before = np.full(count, np.inf), np.full(count, NEVER)
    toward = np.where(before < 0, NEVER, before).astype(np.int64)
    key = low[first] * count + high[first]
    step = np.minimum(np.arange(count), toward) * count + np.maximum(np.arange(count), toward)
    by_edge = np.where(toward >= 0, first[np.minimum(np.searchsorted(key, step), max(len(first) - 1, 0))], NEVER)
    of_edge = {name: one[row] for name, one in _attributes(layer, classes).items()}
    worst = {
        name: Interval(
            *(
                _folded(ends, toward, by_edge, np.maximum if sign > 0 else np.minimum, -sign * np.inf)
                for ends in (of_edge[name].lo, of_edge[name].hi)
            )
        )
        for name, sign in WORST.items()
    }
    return Roads(network, trunk, gate, far, toward, by_edge, of_edge, worst)


def _attributes(layer: Snapshot, classes: RoadClasses) -> dict[str, Interval]:
    """(M,) of each feature, what is not said as the widest bound."""

    def number(name: str) -> Floats:
        return layer.column(name).astype(float)

    rank = classes.rank(layer.column("road_class"))
    bridge, bridges = number("bridge_limit_t"), number("bridges")
    none = np.isnan(bridge) & (bridges == 0)
    return {
        "rank": _or_else(rank, 0.0, float(len(classes.names) - 1)),
        "grade_share": _or_else(number("grade_share"), 0.0, np.inf),
        "width_m": _or_else(number("width_m"), 0.0, np.inf),
        "bridge_limit_t": _or_else(np.where(none, np.inf, bridge), 0.0, np.inf),
    }


def _or_else(said: Floats, lo: float, hi: float) -> Interval:
    unsaid = np.isnan(said)
    return Interval(np.where(unsaid, lo, said), np.where(unsaid, hi, said))


def _folded(edges: Floats, toward: Ints, by_edge: Ints, pick: np.ufunc, nothing: float) -> Floats:
    """(N,) `pick` over the edges of each node's way, by doubling the step: 1, 2, 4 ... edges at a time."""
    if len(toward) == 0:
        return np.empty(0)
    value: Floats = np.where(by_edge >= 0, edges[np.maximum(by_edge, 0)] if len(edges) else nothing, nothing)
    jump = np.where(toward >= 0, toward, np.arange(len(toward)))
    value[toward < 0] = nothing
    while True:
        value = pick(value, value[jump])
        onward = jump[jump]
        if (onward == jump).all():
            return value
        jump = onward
