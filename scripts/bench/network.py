"""Networks at the size of a county: ours beside peers in the same process, as ratios.

    python -m scripts.bench.network [--side 2191] [--parcels 20000] [--edges 2000]

One accumulation over 4.8 M cells beside `skimage.graph.MCP_Geometric`; a route looked up; the way of 20,000
parcels over a road graph beside networkx, on a sample; the connections of one site.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from datetime import date
from typing import TypeVar

import networkx as nx
import numpy as np
import shapely
from pyproj import CRS
from skimage.graph import MCP_Geometric

from gis.check import rulebook
from gis.connections import connect
from gis.roads import RoadClasses, prepare
from gis.routes import accumulate
from gis.surface import RIVER, Prices, Surface, surface
from layers.records import Floats, Layer, Project, Raster, Snapshot

CELL_M = 20.0
T = TypeVar("T")


def hills(side: int, cell_m: float = CELL_M, seed: int = 1) -> Floats:
    """Rolling slopes with steep flanks, metres."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(side) * cell_m, np.arange(side) * cell_m)
    z = 800 + 0.01 * x
    for _ in range(12):
        along, across, phase = rng.uniform(-0.004, 0.004), rng.uniform(-0.004, 0.004), rng.uniform(0, 6)
        z += 40 * np.sin(along * x + across * y + phase)
    made: Floats = z
    return made


def dem_of(z: Floats) -> Raster:
    side = len(z)
    box = shapely.box(0, 0, side * CELL_M, side * CELL_M)
    return Raster(Layer("dem", 1, "", "", box, 1), z.astype(np.float32), 0.0, side * CELL_M, CELL_M)


def roads(edges: int, seed: int = 2) -> Snapshot:
    """A lattice of winding roads with a trunk road down the middle; as many stretches as asked for."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(edges / 2))) + 1
    step = 44_000.0 / side
    at = np.stack(np.meshgrid(np.arange(side) * step, np.arange(side) * step), axis=2) + rng.uniform(
        0, 300, (side, side, 2)
    )
    lines: list[shapely.LineString] = []
    classes: list[str] = []
    for row in range(side):
        for column in range(side):
            for down, right in ((0, 1), (1, 0)):
                if row + down < side and column + right < side and len(lines) < edges:
                    ends = np.stack([at[row, column], at[row + down, column + right]])
                    middle = np.linspace(ends[0], ends[1], 22)[1:-1] + rng.normal(0, 25, (20, 2))
                    lines.append(shapely.LineString([ends[0], *middle, ends[1]]))
                    classes.append("provincial" if row == side // 2 and right else "village")
    return Snapshot.of("roads", np.array(lines, dtype=object), road_class=classes)


def timed(call: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def routes(side: int) -> None:
    prices = Prices.of(rulebook())
    world = World(dem_of(hills(side)))
    small = Surface(np.zeros((9, 9), dtype=np.uint16), 0.0, 9 * CELL_M, CELL_M)
    accumulate(small, prices, "power", [shapely.Point(90, 90)])  # compiled before anything is timed
    seconds, made = timed(lambda: surface(world))
    assert made is not None
    made.codes[side // 3] |= np.uint16(RIVER)
    print(f"surface of {made.codes.size / 1e6:.1f} M cells from the heights: {seconds:.2f} s")
    before = peak_gb()
    station = shapely.Point(side * CELL_M / 2, side * CELL_M / 2)
    ours, reached = timed(lambda: accumulate(made, prices, "power", [station]))
    print(f"one accumulation: {ours:.2f} s, peak of the process {peak_gb():.2f} GB ({before:.2f} before)")
    weight = prices.weights("power", CELL_M)[made.codes]
    start = [made.cell(station.x, station.y)]
    theirs, (total, _) = timed(lambda: MCP_Geometric(weight, sampling=(CELL_M, CELL_M)).find_costs(start))
    known = np.isfinite(total) & (total > 0)
    off = np.abs(reached.total[known] / total[known] - 1).max()
    print(f"skimage.graph.MCP_Geometric: {theirs:.2f} s; ratio {theirs / ours:.1f}; largest difference {off:.0e}")
    place = np.random.default_rng(3).uniform(500, side * CELL_M - 500, (200, 2))
    sites = shapely.box(place[:, 0], place[:, 1], place[:, 0] + 100, place[:, 1] + 100)
    each = [timed(lambda site=site: reached.route(site))[0] for site in sites]  # type: ignore[misc]
    print(f"a route looked up: median {np.median(each) * 1000:.2f} ms, longest {max(each) * 1000:.2f} ms")
    project = Project(id="x", name=None, land_m2=1e4, power_kva=4_000)
    book = rulebook()
    seconds, _ = timed(lambda: connect(sites[0], project, book, world, lambda *_: reached))
    print(f"the connections of a site, its routes kept: {seconds * 1000:.1f} ms")


def reach(edges: int, parcels: int) -> None:
    layer = roads(edges)
    place = np.random.default_rng(4).uniform(0, 44_000, (parcels, 2))
    sites = shapely.box(place[:, 0], place[:, 1], place[:, 0] + 80, place[:, 1] + 60)
    classes = RoadClasses.of(rulebook())
    first, made = timed(lambda: prepare(layer, classes))
    second, found = timed(lambda: made.reach(sites))
    print(f"{len(layer.features):,} edges: network and search {first:.3f} s; {parcels:,} parcels {second:.2f} s")
    net = made.network
    graph = nx.Graph()
    for edge in range(len(net.lines)):
        graph.add_edge(int(net.start[edge]), int(net.stop[edge]), weight=float(net.length_m[edge]))
    goals = {int(one) for one in np.concatenate([net.start[made.trunk], net.stop[made.trunk]])}
    truth = nx.multi_source_dijkstra_path_length(graph, goals)
    off = max(abs(made.distance_m[node] - metres) for node, metres in truth.items())
    sample = np.unique(found.node[found.node >= 0])[:100]
    slow, _ = timed(lambda: [nx.multi_source_dijkstra(graph, goals, int(node)) for node in sample])
    theirs = slow * parcels / len(sample)
    print(f"networkx, a search for each of {len(sample)} parcels multiplied: {theirs:.1f} s; ", end="")
    print(f"ratio {theirs / (first + second):.0f}; largest difference {off:.0e} m")
    one, _ = timed(lambda: made.reach(sites[:1]).distance_m)
    print(f"the way of one site: {one * 1000:.2f} ms; known for {np.isfinite(found.distance_m.hi).mean():.0%}")


class World:
    """A county of heights and nothing else."""

    def __init__(self, dem: Raster) -> None:
        self._dem, self.as_of, self.for_year, self.crs = dem, date(2026, 6, 1), 2026, CRS(4545)

    def near(self, role: str, bounds: object) -> Snapshot | None:
        return None

    def raster(self, role: str) -> Raster | None:
        return self._dem if role == "dem" else None

    def pools(self) -> dict[str, float]:
        return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2_191)
    parser.add_argument("--parcels", type=int, default=20_000)
    parser.add_argument("--edges", type=int, default=2_000)
    asked = parser.parse_args()
    routes(asked.side)
    reach(asked.edges, asked.parcels)


if __name__ == "__main__":
    main()
