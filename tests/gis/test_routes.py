"""Least effort over ground: against two other implementations, and bills counted by hand."""

import heapq

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.check import rulebook
from gis.routes import accumulate, bill, key_of
from gis.spread import DOWN, RIGHT, spread, way
from gis.surface import (
    ECO_REDLINE,
    NO_ELEVATION,
    OUTSIDE,
    PROTECTED,
    RIVER,
    Prices,
    Surface,
    crossed_cells,
    filled,
    surface,
)
from tests.worlds import MemoryWorld, grid, layer

PRICES = Prices.of(rulebook())


def plain(weight, sources, cell_m):
    """The same by a heap and nothing else."""
    rows, columns = weight.shape
    total = np.full(weight.shape, np.inf)
    queue = [(0.0, row, column) for row, column in sources]
    for _, row, column in queue:
        total[row, column] = 0.0
    heapq.heapify(queue)
    while queue:
        effort, row, column = heapq.heappop(queue)
        if effort > total[row, column]:
            continue
        for down, right in zip(DOWN, RIGHT, strict=True):
            r, c = row + down, column + right
            if not (0 <= r < rows and 0 <= c < columns):
                continue
            step = np.hypot(down, right) * cell_m * (weight[row, column] + weight[r, c]) / 2
            if effort + step < total[r, c]:
                total[r, c] = effort + step
                heapq.heappush(queue, (total[r, c], r, c))
    return total


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25), st.integers(1, 25), st.floats(1.0, 500.0), st.floats(0.0, 0.5))
def test_every_total_equals_that_of_a_plain_heap(seed, rows, columns, dearest, walls):
    rng = np.random.default_rng(seed)
    weight = np.append(rng.uniform(1.0, dearest, 20), np.inf)
    codes = rng.integers(0, 20, (rows, columns)).astype(np.uint16)
    codes[rng.random(codes.shape) < walls] = 20
    source = int(rng.integers(0, codes.size))
    codes.ravel()[source] = 0
    total, back = spread(codes, weight, np.array([source]), 20.0)
    expected = plain(weight[codes], [divmod(source, columns)], 20.0)
    assert (np.isinf(total) == np.isinf(expected)).all()
    known = np.isfinite(expected)
    assert total[known] == pytest.approx(expected[known], rel=1e-6)
    for row, column in np.argwhere(known)[:: max(codes.size // 20, 1)]:
        r, c = way(np.ascontiguousarray(back), int(row), int(column))
        cell = weight[codes[r, c]]
        walked = (np.hypot(np.diff(r), np.diff(c)) * 20.0 * (cell[1:] + cell[:-1]) / 2).sum()
        assert walked == pytest.approx(total[row, column])


def test_every_total_equals_that_of_skimage():
    graph = pytest.importorskip("skimage.graph")
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 50, (80, 90)).astype(np.uint16)
    weight = rng.uniform(1, 60, 50)
    total, _ = spread(codes, weight, np.array([45 * 90 + 40]), 20.0)
    theirs, _ = graph.MCP_Geometric(weight[codes], sampling=(20.0, 20.0)).find_costs([(45, 40)])
    assert total == pytest.approx(theirs, rel=1e-6)


def test_of_several_sources_the_nearest_counts():
    total, back = spread(np.zeros((1, 5), dtype=np.uint16), np.array([1.0]), np.array([0, 4]), 10.0)
    assert total.tolist() == [[0, 10, 20, 10, 0]]
    assert [int(back[0, 0]), int(back[0, 4])] == [8, 8]


def test_weights_have_to_be_positive():
    with pytest.raises(ValueError, match="positive"):
        spread(np.zeros((2, 2), dtype=np.uint16), np.array([0.0]), np.array([0]), 10.0)


# --- the surface -------------------------------------------------------------------------------------

FLAT = grid(np.zeros((20, 20)), north=400, cell_m=20.0)  # 20 x 20 cells of 20 m


def world(*layers, dem=FLAT, **more):
    return MemoryWorld(*layers, rasters=[dem], **more)


def test_a_slope_is_classed_and_a_hole_is_said():
    z = np.tile(np.arange(20) * 20 * np.tan(np.radians(12)), (20, 1))
    z[10, 10] = np.nan
    found = surface(world(dem=grid(z, north=400, cell_m=20.0))).codes
    assert found[3, 3] & 3 == 1  # 8 to 15 degrees
    assert found[10, 10] & NO_ELEVATION
    assert found[10, 10] & 3 == 3


def test_a_layer_that_is_not_loaded_is_named():
    found = surface(world(layer("rivers", [])))
    assert "land_use" in found.missing
    assert "rivers" not in found.missing


def test_ground_outside_the_survey_lets_no_way_through():
    half = shapely.box(0, 0, 200, 400)
    dem = grid(np.zeros((20, 20)), north=400, cell_m=20.0)
    dem = type(dem)(type(dem.layer)("dem", 1, "", "", half, 1), dem.values, dem.west, dem.north, dem.cell_m)
    codes = surface(world(dem=dem)).codes
    assert (codes[:, 10:] & OUTSIDE).all()
    assert not (codes[:, :10] & OUTSIDE).any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 9.9), st.floats(0.1, 9.9)), min_size=2, max_size=5, unique=True))
def test_no_step_slips_across_a_line(places):
    """The cells of a line hang together side by side, and cover all of it."""
    made = Surface(np.zeros((10, 10), dtype=np.uint16), 0.0, 10.0, 1.0)
    line = shapely.LineString(places)
    row, column = crossed_cells([line], made)
    boxes = shapely.box(column, 9 - row, column + 1, 10 - row)
    assert shapely.difference(line, shapely.buffer(shapely.union_all(boxes), 1e-9)).length == pytest.approx(0, abs=1e-6)
    assert (shapely.distance(boxes, line) < 1e-9).all()
    assert shapely.union_all(boxes).geom_type == "Polygon"  # side by side; corners alone would make several


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_cell_is_filled_where_its_middle_lies_inside(seed):
    rng = np.random.default_rng(seed)
    made = Surface(np.zeros((30, 30), dtype=np.uint16), 0.0, 30.0, 1.0)
    area = shapely.buffer(shapely.points(rng.uniform(-3, 33, (4, 2))), rng.uniform(0.5, 9, 4))
    area = np.append(area, shapely.difference(shapely.box(5, 5, 25, 25), shapely.box(10, 10, 20, 20)))
    x, y = np.meshgrid(np.arange(30) + 0.5, 29.5 - np.arange(30))
    expected = shapely.contains_xy(shapely.union_all(area), x, y)
    assert (filled(area, made) == expected).mean() > 0.999


# --- bills, counted by hand -----------------------------------------------------------------------------


def flat(codes):
    return Surface(np.array(codes, dtype=np.uint16), 0.0, 20.0 * len(codes), 20.0)


def test_a_bill_is_lengths_and_crossings_and_adds_up_to_the_effort():
    made = flat([[0, 0, RIVER, 0, 4, 4]])  # open ground, a river, then two cells of cultivated land
    reached = accumulate(made, PRICES, "power", [shapely.Point(10, 10)])
    route = reached.route(shapely.Point(110, 10))
    assert route.length_m == 100
    # weights: river 1 + 100 / 20 = 6, cultivated 1.1; steps of 20 m at the mean of two cells
    effort = 20 * (1 + 3.5 + 3.5 + 1.05 + 1.1)
    assert route.effort_m(PRICES) == pytest.approx(effort)
    assert reached.total[0, 5] == pytest.approx(effort)
    items = bill(route, PRICES, np.array([10.0, 20.0, 30.0]), "mem-high")
    by_name = {item.en: item for item in items}
    assert by_name["river crossings"].quantity == 1
    assert by_name["river crossings"].wan[1] == pytest.approx(20.0 * 100 / 1000)  # 100 m of easy ground
    assert by_name["gentle <8°, other ground"].quantity == 70
    assert by_name["gentle <8°, cultivated"].quantity == 30
    assert sum(item.wan[1] for item in items) == pytest.approx(20.0 * effort / 1000)
    assert by_name["river crossings"].confidence == "assumption"  # the least sure of what it rests on
    assert all(item.wan[0] <= item.wan[1] <= item.wan[2] for item in items)


def test_a_way_goes_round_protected_ground_but_out_of_the_own_zone():
    wall = [[0] * 7 for _ in range(5)]
    for row in range(4):
        wall[row][3] = int(PROTECTED)
    made = flat(wall)
    reached = accumulate(made, PRICES, "water", [shapely.Point(10, 90)])
    route = reached.route(shapely.Point(130, 90))
    assert not (made.codes[route.row, route.column] & PROTECTED).any()
    assert route.length_m > 120
    inside = accumulate(made, PRICES, "water", [shapely.Point(70, 90)])  # works in the zone they protect
    assert inside.route(shapely.Point(130, 90)).length_m == 60


def test_where_no_way_leads_there_is_none():
    made = flat([[0, int(PROTECTED), 0]])
    assert accumulate(made, PRICES, "water", [shapely.Point(10, 10)]).route(shapely.Point(50, 10)) is None


def test_a_red_line_is_dear_but_no_wall():
    made = flat([[0, int(ECO_REDLINE), 0]])
    route = accumulate(made, PRICES, "power", [shapely.Point(10, 10)]).route(shapely.Point(50, 10))
    assert route.effort_m(PRICES) == pytest.approx(20 * 2.5 * 2)


def test_a_hole_in_the_heights_is_priced_as_steepest_and_said():
    z = np.zeros((20, 20))
    z[:, 8:12] = np.nan
    made = surface(world(dem=grid(z, north=400, cell_m=20.0)))
    route = accumulate(made, PRICES, "power", [shapely.Point(10, 210)]).route(shapely.Point(390, 210))
    assert route.blind_m == pytest.approx(7 * 20)  # the hole and the cells beside it, whose slope nobody knows
    items = bill(route, PRICES, np.array([10.0, 20.0, 30.0]), "mem-high")
    assert any("no elevation" in item.en for item in items)


def test_the_key_changes_with_what_an_accumulation_is_made_of():
    labels = {"dem": "dem@1:aa", "rivers": "rivers@1:bb", "substations": "substations@1:cc"}
    key = key_of(labels, 2026, PRICES, "power", "substations", "a")
    assert key == key_of({**labels, "parcels": "parcels@7:dd"}, 2026, PRICES, "power", "substations", "a")
    others = [
        key_of(labels, 2026, PRICES, "water", "substations", "a"),
        key_of(labels, 2026, PRICES, "power", "substations", "b"),
        key_of(labels, 2030, PRICES, "power", "substations", "a"),
        key_of({**labels, "rivers": "rivers@2:ee"}, 2026, PRICES, "power", "substations", "a"),
        key_of({**labels, "substations": "substations@2:ff"}, 2026, PRICES, "power", "substations", "a"),
        key_of({"dem": "dem@1:aa"}, 2026, PRICES, "power", "substations", "a"),
    ]
    assert len({key, *others}) == 7


def test_a_site_takes_the_cell_that_is_cheapest_to_reach():
    made = flat([[0] * 10 for _ in range(3)])
    reached = accumulate(made, PRICES, "power", [shapely.Point(10, 30)])
    route = reached.route(shapely.box(100, 0, 200, 60))
    assert int(route.column[0]) == 5
    assert reached.least_m(np.array([shapely.box(100, 0, 200, 60), shapely.box(900, 0, 950, 60)])).tolist()[0] == 100
