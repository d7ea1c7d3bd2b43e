"""What a drawn network is: which ends meet, and what the drawing leaves open."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.topology import build, cut_line, network_of, whole_lines
from layers.records import Snapshot
from layers.snapshot import cut
from tests.worlds import layer


def lines(*texts):
    return np.array([*(shapely.from_wkt(f"LINESTRING ({one})") for one in texts), None], dtype=object)[:-1]


def breaks(made, kind):
    return [tuple(row) for row in made.breaks[made.breaks["kind"] == kind][["feature", "other"]].to_numpy()]


def test_ends_within_the_tolerance_are_one_node_and_others_are_not():
    made = build(lines("0 0, 100 0", "100.4 0.3, 200 0", "201.5 0, 300 0"), ["a", "b", "c"])
    assert made.stop[0] == made.start[1]
    assert made.stop[1] != made.start[2]
    assert made.summary()["parts"] == 2
    assert breaks(made, "unconnected part") == [("c", "")]
    assert sorted(breaks(made, "gap")) == [("b", "c"), ("c", "b")]  # 1.5 m: perhaps meant to meet


def test_an_end_on_the_middle_of_a_line_is_a_junction_and_a_crossing_is_none():
    made = build(lines("0 0, 100 0", "50 40, 50 0.5", "20 -10, 20 10"), ["main", "side", "bridge"])
    assert made.junctions == 1
    assert sorted(made.length_m[made.row == 0].round(6)) == [50, 50]
    assert made.summary()["parts"] == 2  # what only crosses goes over a bridge
    assert len(made.lines) == 4


def test_an_open_end_is_a_break_unless_the_survey_ends_there():
    rim = shapely.boundary(shapely.box(0, -500, 1000, 500))
    made = build(lines("0 0, 600 0"), ["a"], rim=rim)
    (row,) = made.breaks.to_dict("records")
    assert (row["kind"], row["x"], row["y"]) == ("dangling end", 600, 0)


def test_a_stretch_drawn_twice_is_named_with_its_double():
    made = build(lines("0 0, 50 0.4, 100 0", "0.2 0, 100 0.3", "0 0, 50 40, 100 0"), ["a", "b", "way round"])
    assert breaks(made, "duplicate") == [("b", "a")]


def test_a_line_of_one_point_is_named_and_the_rest_works():
    bad = [shapely.LineString([(5, 5), (5, 5)]), None, shapely.LineString()]
    made = build(np.array([*bad, *lines("0 0, 10 0")], dtype=object), ["point", "none", "empty", "good"])
    assert [one for one, _ in breaks(made, "bad line")] == ["point", "none", "empty"]
    assert len(made.lines) == 1
    assert made.length_m.tolist() == [10]


def test_no_line_at_all_is_a_network_of_nothing():
    made = network_of(layer("roads", []))
    assert made.summary()["edges"] == 0
    assert made.breaks.empty


def test_a_layer_cut_into_runs_is_the_network_it_was():
    wiggle = shapely.LineString([(n * 10, n % 2) for n in range(40)])
    two = shapely.MultiLineString([[(0, 50), (10, 50)], [(20, 50), (30, 50)]])
    pieces, owner = cut(np.array([wiggle, two], dtype=object))
    whole = layer("roads", [wiggle, two])
    cut_up = Snapshot(whole.layer, whole.features, pieces, owner)
    joined, of = whole_lines(cut_up)
    assert of.tolist() == [0, 1, 1]
    assert joined[0].equals_exact(wiggle, 0)
    assert network_of(cut_up).length_m.sum() == pytest.approx(wiggle.length + two.length)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6))
def test_cutting_a_line_loses_nothing(shares):
    line = shapely.LineString([(0, 0), (30, 40), (30, 100), (90, 100)])
    pieces = cut_line(line, np.sort(np.array(shares)) * line.length)
    assert shapely.length(pieces).sum() == pytest.approx(line.length)
    assert all(one.coords[-1] == other.coords[0] for one, other in pairwise(pieces))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 25))
def test_the_length_of_a_network_is_that_of_its_lines(seed, count):
    """Junctions and snapping move ends by less than the tolerance and lose no line."""
    rng = np.random.default_rng(seed)
    drawn = shapely.linestrings(rng.integers(0, 60, (count, 3, 2)) * 10.0)
    drawn = drawn[shapely.length(drawn) > 0]
    made = build(drawn, [str(n) for n in range(len(drawn))])
    assert made.length_m.sum() == pytest.approx(shapely.length(drawn).sum())
    ends = shapely.get_coordinates(shapely.get_point(made.lines, 0))
    assert np.hypot(*(ends - made.nodes[made.start]).T).max(initial=0) <= 1.0
