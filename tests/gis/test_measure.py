import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import measure, terrain
from layers.records import Layer, Snapshot
from layers.snapshot import MAX_VERTICES, RUN_SEGMENTS, cut
from tests.worlds import draw, grid, layer

W = draw(
    """
    . . . . R
    F f P . R
    F f P . R
    """,
    parcels="Pf",
    basic_farmland="Ff",
    river="R",
)


def test_overlap_and_distance_as_counted_on_the_drawing():
    farmland, river = layer("basic_farmland", W["basic_farmland"]), layer("river_management", W["river"])
    table = measure.overlaps(W["parcels"], farmland)
    assert table.area_m2 == pytest.approx([2 * 100 * 100])
    assert measure.distance_m(W["parcels"], river, 1e4) == pytest.approx([100])
    assert measure.distance_m(W["parcels"], farmland, 1e4) == pytest.approx([0])


def test_a_survey_that_found_nothing_is_no_ground_and_infinitely_far():
    nothing = layer("rivers", [])
    assert measure.overlaps(W["parcels"], nothing).per_site(1).tolist() == [0.0]
    assert measure.distance_m(W["parcels"], nothing, 1e9).tolist() == [np.inf]


def test_nothing_beyond_the_reach_is_found():
    river = layer("river_management", W["river"])
    assert measure.distance_m(W["parcels"], river, 99.0).tolist() == [np.inf]


def test_a_hole_and_several_parts_count_exactly():
    ring = shapely.box(0, 0, 100, 100).difference(shapely.box(25, 25, 75, 75))
    two = shapely.union_all([ring, shapely.box(200, 0, 210, 10)])
    table = measure.overlaps(np.array([shapely.box(-10, -10, 300, 300)]), layer("zones", [two]))
    assert table.area_m2 == pytest.approx([100 * 100 - 50 * 50 + 10 * 10])


def test_neighbours_that_share_an_edge_share_no_ground():
    table = measure.overlaps(np.array([shapely.box(0, 0, 10, 10)]), layer("zones", [shapely.box(10, 0, 20, 10)]))
    assert len(table.site) == 0


def test_the_edge_of_a_road_is_half_its_land_nearer_than_its_middle():
    road = layer("roads", [shapely.LineString([(0, 50), (100, 50)])])
    site = np.array([shapely.box(0, 0, 100, 20)])
    assert measure.edge_distance_m(site, road, np.array([10.0]), 1e3).tolist() == [20.0]
    assert measure.edge_distance_m(site, road, np.array([90.0]), 1e3).tolist() == [0.0]
    assert measure.edge_distance_m(site, road, np.array([10.0]), 19.0).tolist() == [np.inf]


def test_depth_says_how_far_around_a_site_was_surveyed():
    sites = shapely.box([10, -5], [10, 0], [20, 5], [20, 10])
    assert measure.depth_m(sites, shapely.box(0, 0, 100, 100)).tolist() == [10.0, -1.0]


def star(centre, radius, vertices, seed):
    """A jagged but valid area around a centre."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, vertices))
    reach = radius * rng.uniform(0.5, 1.0, vertices)
    return shapely.Polygon(np.c_[centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)]).buffer(0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), vertices=st.integers(5, 3_000))
def test_pieces_are_the_feature_and_measure_like_it(seed, vertices):
    whole = np.array([star((500_000, 3_100_000), 2_000, vertices, seed), star((503_000, 3_100_500), 900, 40, seed + 1)])
    pieces, owner = cut(whole)
    assert shapely.get_num_coordinates(pieces).max() <= MAX_VERTICES
    assert np.bincount(owner, shapely.area(pieces)) == pytest.approx(shapely.area(whole), rel=1e-9)
    made = Snapshot(Layer("zones", 1, "x", "x", whole[0], 2), layer("zones", whole).features, pieces, owner)
    sites = np.array([star((501_500, 3_100_200), 1_500, 12, seed + 2), star((500_300, 3_099_900), 150, 6, seed + 3)])
    cut_m2 = np.zeros((2, 2))
    table = measure.overlaps(sites, made)
    cut_m2[table.site, table.feature] = table.area_m2
    naive = shapely.area(shapely.intersection(sites[:, None], whole[None, :]))
    assert cut_m2 == pytest.approx(naive, rel=1e-9, abs=1e-9 * shapely.area(sites).max())
    assert measure.distance_m(sites, made, 1e6) == pytest.approx(
        shapely.distance(sites[:, None], whole[None, :]).min(axis=1), abs=1e-6
    )


def test_long_lines_are_cut_into_runs_that_touch():
    line = shapely.LineString([(n, n % 3) for n in range(100)])
    runs, owner = cut(np.array([line, shapely.LineString([(0, 0), (1, 1)])]))
    assert shapely.get_num_coordinates(runs).max() == RUN_SEGMENTS + 1
    assert np.bincount(owner, shapely.length(runs)) == pytest.approx([line.length, 2**0.5])


# --- terrain --------------------------------------------------------------------------------------


def test_slope_of_a_plane_is_its_slope_everywhere_inside():
    x, y = np.meshgrid(np.arange(8) * 25.0, np.arange(6) * 25.0)
    slope = terrain.slope_deg((0.3 * x - 0.4 * y).astype(np.float32), 25.0)
    assert slope[1:-1, 1:-1] == pytest.approx(np.degrees(np.arctan(0.5)), abs=1e-3)
    assert np.isnan(slope[0]).all()


def test_cells_are_those_whose_centre_lies_inside_holes_and_parts_too():
    dem = grid(np.arange(100).reshape(10, 10), west=0, north=100)
    ring = shapely.box(0, 0, 50, 50).difference(shapely.box(20, 20, 30, 30))
    site = shapely.union_all([ring, shapely.box(70, 70, 90, 90)])
    where = terrain.cells(np.array([site]), dem)
    assert len(where[0]) == 25 - 1 + 4
    x = dem.west + (where[2] + 0.5) * dem.cell_m
    y = dem.north - (where[1] + 0.5) * dem.cell_m
    assert shapely.contains_xy(site, x, y).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_cells_agree_with_asking_every_centre(seed):
    dem = grid(np.zeros((60, 60)), west=1_000, north=2_000, cell_m=12.5)
    sites = np.array([star((1_300, 1_700), 200, 9, seed), star((1_500, 1_500), 90, 30, seed + 1)])
    site, row, column = terrain.cells(sites, dem)
    x, y = np.meshgrid(1_000 + (np.arange(60) + 0.5) * 12.5, 2_000 - (np.arange(60) + 0.5) * 12.5)
    for n, shape in enumerate(sites):
        mine = np.zeros((60, 60), dtype=bool)
        mine[row[site == n], column[site == n]] = True
        assert (mine == shapely.contains_xy(shape, x, y)).all()


def test_a_site_without_any_centre_is_given_the_cell_it_lies_in():
    dem = grid(np.arange(100).reshape(10, 10), west=0, north=100)
    where = terrain.cells(np.array([shapely.box(11, 91, 13, 93)]), dem)
    found = terrain.zonal(terrain.read(dem.values, where), where, 1)
    assert found["mean"].tolist() == [1.0]


def test_a_site_that_leaves_the_grid_or_covers_a_gap_is_unknown():
    values = np.ones((10, 10), dtype=np.float32)
    values[5, 5] = np.nan
    dem = grid(values, west=0, north=100)
    sites = shapely.box([-5, 40, 60], [0, 30, 60], [20, 70, 90], [20, 60, 90])
    where = terrain.cells(sites, dem)
    found = terrain.zonal(terrain.read(dem.values, where), where, 3)
    assert np.isnan(found["mean"][:2]).all()
    assert np.isnan(found["max"][:2]).all()
    assert found["mean"][2] == 1.0


def test_share_over_a_limit_is_counted_in_cells():
    dem = grid(np.arange(100).reshape(10, 10), west=0, north=100)
    where = terrain.cells(np.array([shapely.box(0, 0, 100, 100)]), dem)
    assert terrain.share_over(terrain.read(dem.values, where), 74.5, where, 1).tolist() == [0.25]
