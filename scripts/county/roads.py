"""Roads that find their way: least effort over the ground, villages joining whatever road is nearest."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Floats, Geoms, Ints
from scripts.county.burn import is_near
from scripts.county.frames import frame
from scripts.county.outline import clipped, is_inside
from scripts.county.park import on_pads
from scripts.county.places import EAST, NORTH, SOUTH, TOWNS, WEST, draws, town
from scripts.county.terrain import Terrain

STEP_M = 150.0
CLASSES = ("expressway", "national", "provincial", "county", "township", "village")
LAND_WIDTH_M = {
    "expressway": 45.0,
    "national": 24.0,
    "provincial": 18.0,
    "county": 12.0,
    "township": 8.5,
    "village": 6.5,
}
WIDTH_M = {
    "expressway": 24.5,
    "national": 9.0,
    "provincial": 8.5,
    "county": 7.0,
    "township": 6.0,
    "village": 4.5,
}
BRIDGE_T = {
    "expressway": 55.0,
    "national": 55.0,
    "provincial": 49.0,
    "county": 30.0,
    "township": 20.0,
    "village": 13.0,
}
MOST_GRADE = {  # cut and fill see to it that a road is no steeper (JTG B01-2014); village roads were never designed
    "expressway": 0.05,
    "national": 0.06,
    "provincial": 0.07,
    "county": 0.08,
    "township": 0.09,
    "village": 0.13,
}
GRADE_STEP_M = 100.0
PLANNED_YEAR = 2028
TRUNKS = ("national", "provincial")
RAMP_M = 2_500.0  # the farthest a trunk road lies from the interchange that serves it
RAMP_STEP_M = 350.0
NAMES = [re.sub("街道|社区|镇|乡", "", place.name) for place in TOWNS]


@dataclass(frozen=True)
class Way:
    """What an edge of the network is part of; the first way to claim an edge keeps it."""

    name: str
    road_class: str
    open_year: int | None = None


Edges = dict[tuple[int, int], Way]


class Effort:
    """A grid of what it takes to cross the ground, and the easiest way over it."""

    def __init__(self, terrain: Terrain, pads: Floats, rng: np.random.Generator) -> None:
        x = np.arange(WEST + STEP_M / 2, EAST, STEP_M)
        y = np.arange(NORTH - STEP_M / 2, SOUTH, -STEP_M)
        self.columns, self.rows = len(x), len(y)
        grid_x, grid_y = np.meshgrid(x, y)
        spread = [terrain.slope_at(grid_x + dx, grid_y + dy) for dx in (-50, 0, 50) for dy in (-50, 0, 50)]
        wet = is_near([river.line for river in terrain.rivers], grid_x, grid_y, 65.0).ravel()
        cost = 1 + (np.mean(spread, axis=0).ravel() / 6.5) ** 2
        cost[wet] += 14
        cost[~is_inside(grid_x, grid_y, depth_m=100.0).ravel()] += 1_000  # no road leaves the county by the hills
        cost[on_pads(pads, grid_x.ravel(), grid_y.ravel())] += 6
        self.cost: list[float] = cost.tolist()
        shake = (rng.random((2, *grid_x.shape)) - 0.5) * 70
        self.x: Floats = np.round(grid_x + shake[0], 3).ravel()
        self.y: Floats = np.round(grid_y + shake[1], 3).ravel()

    def node(self, x: float, y: float) -> int:
        column = min(max(int((x - WEST) / STEP_M), 0), self.columns - 1)
        row = min(max(int((NORTH - y) / STEP_M), 0), self.rows - 1)
        return row * self.columns + column

    def reach(self, starts: Iterable[int], goal: int | None = None) -> list[int]:
        """For every node the next one on the way back to the nearest start; -1 at a start or out of reach."""
        back = [-1] * len(self.cost)
        best = [float("inf")] * len(self.cost)
        queue = []
        for start in starts:
            best[start] = 0.0
            queue.append((0.0, start))
        heapq.heapify(queue)
        around = [(dr, dc, float(np.hypot(dr, dc)) / 2) for dr in (-1, 0, 1) for dc in (-1, 0, 1) if dr or dc]
        cost, rows, columns = self.cost, self.rows, self.columns
        while queue:
            effort, here = heapq.heappop(queue)
            if here == goal:
                break
            if effort > best[here]:
                continue
            row, column = divmod(here, columns)
            for dr, dc, half in around:
                if 0 <= row + dr < rows and 0 <= column + dc < columns:
                    there = here + dr * columns + dc
                    total = effort + half * (cost[here] + cost[there])
                    if total < best[there]:
                        best[there] = total
                        back[there] = here
                        heapq.heappush(queue, (total, there))
        return back


def roads(seed: int, terrain: Terrain, villages: Floats, access: Floats, pads: Floats) -> gpd.GeoDataFrame:
    """The road network, cut at every junction so that line ends meet.

    Parameters
    ----------
    villages : (V, 2) places that a village road has to reach
    access : (A, 2) places that a township road has to reach
    pads : (K, 2) middles of levelled ground, which roads go around
    """
    rng = draws(seed, "roads")
    ground = Effort(terrain, pads, rng)
    edges: Edges = {}
    trunks = _trunks(terrain)
    _lay_all(edges, ground, [one for one in trunks if one[0].open_year is None])
    for x, y in access:
        terrace = ground.node(x, y)
        back = ground.reach(_open_nodes(edges), terrace)
        _claim(edges, _path(back, terrace), Way("园区连接路", "township"))
    _reach_villages(edges, ground, villages)
    # Planned roads last: where one will follow a road of today, that road is there until then.
    _lay_all(edges, ground, [one for one in trunks if one[0].open_year is not None])
    lines, ways = _chains(edges, ground)
    express = _expressway(rng)
    ramps = _interchanges(express, lines, ways)
    more = [Way("沿印松高速(示例)", "expressway"), *(Way("高速公路互通连接线(示例)", "provincial") for _ in ramps)]
    return _dressed(np.concatenate([lines, [express], ramps]), [*ways, *more], terrain, rng)


def _trunks(terrain: Terrain) -> list[tuple[Way, list[tuple[float, float]]]]:
    at = {name: town(name).at for name in NAMES}
    bench = {name: (b.x, b.y) for name, b in terrain.benches.items()}
    main = terrain.rivers[0].points
    west_y = float(main[-1][1]) + 260
    county = [
        ("合紫公路", [at["合水"], at["紫薇"]]),
        ("木新公路", [at["木黄"], at["新业"]]),
        ("朗天公路", [at["朗溪"], at["天堂"]]),
        ("天刀公路", [at["天堂"], at["刀坝"], (552_600, 3_130_600)]),
        ("峨板公路", [at["峨岭"], at["板溪"], at["沙子坡"]]),
        ("板朗公路", [at["板溪"], bench["板溪坪"], at["朗溪"]]),
        ("中杉公路", [at["中兴"], at["杉树"]]),
        ("缠新公路", [at["缠溪"], at["新寨"], at["罗场"], (532_400, 3_085_900)]),
    ]
    return [
        (
            Way("示例国道G999", "national"),
            [(549_600, 3_059_600), at["杨柳"], at["洋溪"], at["缠溪"], at["新寨"], at["峨岭"]],
        ),
        (
            Way("示例省道S999", "provincial"),
            [(WEST + 2_200, west_y), at["中兴"], at["峨岭"], at["朗溪"], at["合水"], at["木黄"], (571_400, 3_114_000)],
        ),
        *[(Way(f"{name}(示例)", "county"), stops) for name, stops in county],
        (
            Way("天堂至金竹坳公路(规划)", "county", PLANNED_YEAR),
            [at["天堂"], (553_900, 3_113_900), bench["合水坪"]],
        ),
        (Way("天堂至沙子坡公路(规划)", "county", PLANNED_YEAR), [at["天堂"], at["沙子坡"]]),
        (
            Way("县域环线公路(规划)", "county", PLANNED_YEAR),
            [at["沙子坡"], at["杉树"], at["中兴"], at["罗场"], at["缠溪"], at["紫薇"], at["新业"]],
        ),
    ]


def _lay_all(edges: Edges, ground: Effort, trunks: Iterable[tuple[Way, list[tuple[float, float]]]]) -> None:
    for way, stops in trunks:
        for start, goal in pairwise(stops):
            _lay(edges, ground, way, ground.node(*start), ground.node(*goal))


def _lay(edges: Edges, ground: Effort, way: Way, start: int, goal: int) -> None:
    _claim(edges, _path(ground.reach([start], goal), goal), way)


def _path(back: list[int], goal: int) -> list[int]:
    nodes = [goal]
    while back[nodes[-1]] >= 0:
        nodes.append(back[nodes[-1]])
    return nodes


def _claim(edges: Edges, nodes: list[int], way: Way) -> None:
    for a, b in pairwise(nodes):
        edges.setdefault((min(a, b), max(a, b)), way)


def _open_nodes(edges: Edges) -> set[int]:
    """Nodes of roads that are there today."""
    return {node for edge, way in edges.items() if way.open_year is None for node in edge}


def _reach_villages(edges: Edges, ground: Effort, villages: Floats) -> None:
    """One tree from the roads to every village; a stem that serves several is a township road."""
    back = ground.reach(_open_nodes(edges))
    served: dict[tuple[int, int], int] = {}
    for place in villages:
        nodes = _path(back, ground.node(*place))
        for a, b in pairwise(nodes):
            edge = (min(a, b), max(a, b))
            served[edge] = served.get(edge, 0) + 1
    for edge, count in served.items():
        edges.setdefault(edge, Way("乡道(示例)", "township") if count >= 7 else Way("村道(示例)", "village"))


def _chains(edges: Edges, ground: Effort) -> tuple[Geoms, list[Way]]:
    """Lines between junctions; a change of road is a junction too."""
    touching: dict[int, list[int]] = {}
    for a, b in edges:
        touching.setdefault(a, []).append(b)
        touching.setdefault(b, []).append(a)

    def way(a: int, b: int) -> Way:
        return edges[(min(a, b), max(a, b))]

    def passes(node: int) -> bool:
        ends = touching[node]
        return len(ends) == 2 and way(node, ends[0]) == way(node, ends[1])

    lines, ways = [], []
    used: set[tuple[int, int]] = set()
    for start in sorted(node for node in touching if not passes(node)):
        for step in sorted(touching[start]):
            if (start, step) in used:
                continue
            nodes = [start, step]
            while passes(nodes[-1]):
                ends = touching[nodes[-1]]
                nodes.append(ends[0] if ends[1] == nodes[-2] else ends[1])
            used.update(zip(nodes[1:], nodes, strict=False))
            lines.append(_eased(np.column_stack([ground.x[nodes], ground.y[nodes]])))
            ways.append(way(start, step))
    return np.array(lines, dtype=object), ways


def _eased(points: Floats) -> shapely.LineString:
    """Corners cut twice (Chaikin); the ends stay where other roads meet them."""
    for _ in range(2):
        a, b = points[:-1], points[1:]
        cut = np.empty((2 * len(a), 2))
        cut[0::2], cut[1::2] = 0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b
        points = np.vstack([points[:1], cut, points[-1:]])
    return shapely.LineString(np.round(points, 3))


def _expressway(rng: np.random.Generator) -> shapely.LineString:
    """Straight through the mountains by tunnel and viaduct; it meets other roads at its interchanges alone."""
    y = np.linspace(3_128_500.0, 3_060_000.0, 1_000)
    x = np.interp(
        y,
        [3_060_000, 3_075_000, 3_090_000, 3_098_500, 3_104_000, 3_110_000, 3_115_000, 3_128_500],
        [548_900, 545_500, 541_500, 542_700, 542_300, 545_500, 547_200, 546_400],
    )
    kernel = np.hanning(61) / np.hanning(61).sum()
    x = np.convolve(np.pad(x, 30, mode="edge"), kernel, mode="valid") + 30 * np.sin(y / 900 + rng.random())
    return cast("shapely.LineString", clipped(np.array([shapely.LineString(np.round(np.column_stack([x, y]), 3))]))[0])


def _interchanges(express: shapely.LineString, lines: Geoms, ways: list[Way]) -> Geoms:
    """(K,) one ramp from the expressway to each trunk road of today that comes near it.

    A ramp leaves a little before the roads cross or come closest, so that it has a length.
    """
    ramps = []
    for name in dict.fromkeys(way.name for way in ways if way.road_class in TRUNKS and way.open_year is None):
        trunk = lines[[way.name == name for way in ways]]
        row = int(np.argmin(shapely.distance(trunk, express)))
        near = shapely.shortest_line(trunk[row], express)
        if near.length > RAMP_M:
            continue
        on_trunk, on_express = (shapely.Point(xy) for xy in near.coords)
        spot = float(express.project(on_express)) + RAMP_STEP_M
        road = float(trunk[row].project(on_trunk))
        aside = road - RAMP_STEP_M if road > trunk[row].length / 2 else road + RAMP_STEP_M
        ends = [express.interpolate(spot), trunk[row].interpolate(min(max(aside, 0.0), trunk[row].length))]
        ramps.append(shapely.LineString(np.round(shapely.get_coordinates(ends), 3)))
    return np.array(ramps, dtype=object)


def _natural_grade(lines: Geoms, terrain: Terrain) -> Floats:
    """The grade that nine tenths of a line stay below where it follows the ground, by steps of 100 m."""
    count = np.maximum((shapely.length(lines) // GRADE_STEP_M).astype(np.int64), 1) + 1
    line = np.repeat(np.arange(len(lines)), count)
    nth = np.arange(len(line)) - np.repeat(np.cumsum(count) - count, count)
    along = nth * shapely.length(lines)[line] / (count - 1)[line]
    xy = shapely.get_coordinates(shapely.line_interpolate_point(lines[line], along))
    z = terrain.height_at(xy[:, 0], xy[:, 1])
    same = line[1:] == line[:-1]
    grade = np.abs(np.diff(z) / np.maximum(np.diff(along), 1.0))[same]
    of = line[1:][same]
    order = np.lexsort((grade, of))
    last = np.cumsum(np.bincount(of, minlength=len(lines))) - 1
    steps = np.bincount(of, minlength=len(lines))
    found: Floats = grade[order][last - (steps / 10).astype(np.int64)]
    return found


def _dressed(lines: Geoms, ways: list[Way], terrain: Terrain, rng: np.random.Generator) -> gpd.GeoDataFrame:
    classes = np.array([way.road_class for way in ways])
    order: Ints = np.argsort([CLASSES.index(c) for c in classes], kind="stable")
    lines, ways, classes = lines[order], [ways[i] for i in order], classes[order]
    crossing = np.zeros(len(lines), dtype=bool)
    crossing[shapely.STRtree(lines).query([r.line for r in terrain.rivers], predicate="intersects")[1]] = True
    land = np.array([LAND_WIDTH_M[c] for c in classes])
    land[(classes == "village") & (rng.random(len(lines)) < 0.35)] = np.nan
    bridge = np.where(crossing | (rng.random(len(lines)) < 0.25), [BRIDGE_T[c] for c in classes], np.nan)
    return frame(
        "roads",
        lines,
        id=[f"RD-{n:04d}" for n in range(1, len(lines) + 1)],
        name=[way.name for way in ways],
        road_class=classes,
        land_width_m=land,
        width_m=[WIDTH_M[c] for c in classes],
        bridge_limit_t=bridge,
        bridges=(~np.isnan(bridge)).astype(float),
        grade_share=np.minimum(_natural_grade(lines, terrain), [MOST_GRADE[c] for c in classes]).round(3),
        open_year=[way.open_year for way in ways],
    )
