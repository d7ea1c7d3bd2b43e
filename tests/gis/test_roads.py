"""The way to a trunk road, counted by hand and against networkx."""

import networkx as nx
import numpy as np
import pytest
import shapely

from gis.check import rulebook
from gis.roads import RoadClasses, prepare, roads_of
from gis.topology import network_of
from tests.worlds import layer

CLASSES = RoadClasses.of(rulebook())


def roads(*rows, **more):
    """(wkt coordinates, class, further columns) ..."""
    names = ("grade_share", "width_m", "bridge_limit_t", "bridges")
    columns = {name: [row[2].get(name, np.nan) if len(row) > 2 else np.nan for row in rows] for name in names}
    drawn = [shapely.from_wkt(f"LINESTRING ({row[0]})") for row in rows]
    return layer("roads", drawn, road_class=[row[1] for row in rows], **columns, **more)


# trunk along y = 1000; a village road up from the site's gate by a township road
LADDER = roads(
    ("0 1000, 2000 1000", "provincial", {"grade_share": 0.04, "width_m": 9, "bridges": 0}),
    ("500 1000, 500 400", "township", {"grade_share": 0.07, "width_m": 6, "bridge_limit_t": 20}),
    ("500 400, 500 0", "village", {"grade_share": 0.1, "width_m": 4.5, "bridges": 0}),
    ("500 400, 900 400", "village", {"grade_share": 0.02, "width_m": 3.5, "bridge_limit_t": 12}),
)
SITE = shapely.box(510, 90, 600, 110)  # 10 m east of the village road, which it meets 90 to 110 m from its end


def test_a_way_is_counted_from_the_border_over_the_gate_to_the_trunk():
    reach = roads_of(LADDER, CLASSES).reach(np.array([SITE]))
    (far,) = reach.distance_m.hi
    assert far == reach.distance_m.lo[0]
    assert 10 + 290 + 600 <= far <= 10 + 310 + 600  # any point of the border that is nearest to the road
    assert [LADDER.column("id")[row] for row in reach.roads.network.row[reach.edges(0)]] == ["roads-3", "roads-2"]
    assert reach.course(0).length == pytest.approx(far)


@pytest.mark.parametrize(
    ("column", "worst"), [("grade_share", 0.1), ("width_m", 4.5), ("bridge_limit_t", 20), ("rank", 5)]
)
def test_the_worst_of_a_way_is_the_worst_of_its_stretches(column, worst):
    found = roads_of(LADDER, CLASSES).reach(np.array([SITE])).worst(column)
    assert (found.lo[0], found.hi[0]) == (worst, worst)


def test_a_stretch_that_says_nothing_is_a_bound_and_never_a_pass():
    silent = roads(
        ("0 1000, 2000 1000", "provincial", {"bridges": 0}),
        ("500 1000, 500 0", "county", {}),
    )
    reach = roads_of(silent, CLASSES).reach(np.array([SITE]))
    grade, bridge = reach.worst("grade_share"), reach.worst("bridge_limit_t")
    assert (grade.lo[0], grade.hi[0]) == (0, np.inf)
    assert (bridge.lo[0], bridge.hi[0]) == (0, np.inf)


def test_a_trunk_road_at_the_gate_is_the_end_of_the_way():
    reach = roads_of(LADDER, CLASSES).reach(np.array([shapely.box(100, 1020, 200, 1100)]))
    assert reach.distance_m.hi[0] == 20
    assert reach.worst("rank").hi[0] == CLASSES.names.index("provincial")


def test_a_road_in_pieces_is_unknown_and_not_infinite():
    pieces = roads(("0 1000, 2000 1000", "national"), ("500 900, 500 0", "village"))
    reach = roads_of(pieces, CLASSES).reach(np.array([SITE]))
    assert reach.distance_m.lo[0] == 10
    assert np.isinf(reach.distance_m.hi[0])
    assert np.isnan(reach.worst("rank").hi[0])


def test_nobody_turns_off_an_expressway():
    fast = roads(
        ("0 100, 2000 100", "expressway"), ("0 1000, 2000 1000", "county"), ("2000 1000, 3000 1000", "national")
    )
    reach = roads_of(fast, CLASSES).reach(np.array([shapely.box(400, 150, 500, 250)]))
    assert reach.roads.network.row[reach.edge[0]] == 1


@pytest.mark.parametrize("seed", range(4))
def test_every_distance_equals_that_of_networkx(seed):
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 20_000, (60, 2))
    pairs = rng.integers(0, 60, (150, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    drawn = shapely.linestrings(place[pairs])
    classes = rng.choice(["national", "county", "village", "village", "village", "township"], len(pairs))
    snapshot = layer("roads", list(drawn), road_class=list(classes))
    found = prepare(snapshot, CLASSES)
    network = network_of(snapshot)
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(len(network.nodes)))
    for start, stop, metres in zip(network.start, network.stop, network.length_m, strict=True):
        graph.add_edge(int(start), int(stop), weight=metres)
    goals = {int(n) for edge in np.flatnonzero(found.trunk) for n in (network.start[edge], network.stop[edge])}
    truth = nx.multi_source_dijkstra_path_length(graph, goals)
    expected = [truth.get(node, np.inf) for node in range(len(network.nodes))]
    assert found.distance_m == pytest.approx(np.array(expected))
    for node in np.flatnonzero(found.toward >= 0):  # the links lead where the distances say
        step = network.length_m[found.by_edge[node]]
        assert found.distance_m[node] == pytest.approx(step + found.distance_m[found.toward[node]])


@pytest.mark.parametrize("seed", range(3))
def test_a_folded_worst_equals_a_walk_along_the_way(seed):
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 5_000, (40, 2))
    pairs = rng.integers(0, 40, (90, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    grade = rng.uniform(0, 0.2, len(pairs))
    classes = rng.choice(["national", "village", "village", "village"], len(pairs))
    snapshot = layer(
        "roads", list(shapely.linestrings(place[pairs])), road_class=list(classes), grade_share=list(grade)
    )
    sites = shapely.box(*(rng.uniform(0, 5_000, (2, 30))), *np.full((2, 30), 5_010.0))
    reach = roads_of(snapshot, CLASSES).reach(sites)
    worst = reach.worst("grade_share")
    for i in range(len(sites)):
        way = reach.edges(i)
        if np.isfinite(reach.road_m[i]):
            assert worst.hi[i] == max(grade[reach.roads.network.row[edge]] for edge in way)
