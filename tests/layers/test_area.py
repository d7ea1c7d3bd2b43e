"""Plane and ellipsoid area, counted by hand and against the measured table of the domain report (section 6)."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer

from layers.area import _Density, _followed_m2, ellipsoid_m2

GRID = CRS(4545)
LAT = 27.6  # the south of the county, where the measured table was made


def quarter_square_kilometre(lon: float, crs: CRS = GRID, lat: float = LAT) -> shapely.Geometry:
    """25 ha around a place, in the grid."""
    east, north = Transformer.from_crs("EPSG:4490", crs, always_xy=True).transform(lon, lat)
    return shapely.box(east - 250, north - 250, east + 250, north + 250)


@pytest.mark.parametrize(("lon", "more_m2"), [(108.0, 0.0), (108.2, 2.5), (108.4, 9.7), (108.6, 21.7), (108.8, 38.5)])
def test_the_grid_shows_more_than_there_is_the_farther_from_its_meridian(lon, more_m2):
    site = quarter_square_kilometre(lon)
    assert site.area == pytest.approx(250_000)
    assert site.area - ellipsoid_m2(site, GRID) == pytest.approx(more_m2, abs=0.1)


def test_the_worked_example_of_the_exchange_file():
    plot = shapely.Polygon(
        [(564_900, 3_111_000), (565_200, 3_111_000), (565_200, 3_110_800), (564_900, 3_110_800)],
        [[(565_000, 3_110_920), (565_000, 3_110_880), (565_050, 3_110_880), (565_050, 3_110_920)]],
    )
    assert plot.area == 58_000
    assert ellipsoid_m2(plot, GRID) == pytest.approx(57_993.94, abs=0.005)
    prefixed = shapely.transform(plot, lambda xy: xy + np.array([36_000_000, 0]))
    assert ellipsoid_m2(prefixed, CRS(4524)) == pytest.approx(57_993.94, abs=0.005)


def test_the_second_plot_of_the_example_has_two_parts():
    parts = shapely.MultiPolygon(
        [
            shapely.Polygon([(565_300, 3_111_000), (565_380.5, 3_110_960.25), (565_330, 3_110_860)]),
            shapely.box(565_400, 3_110_840, 565_460, 3_110_900),
        ]
    )
    assert parts.area == pytest.approx(5_038.75 + 3_600)
    whole = ellipsoid_m2(parts, GRID)
    assert whole == pytest.approx(sum(ellipsoid_m2(part, GRID) for part in parts.geoms), abs=1e-6)
    assert round(whole / 10_000, 4) == pytest.approx(0.8638, abs=0.0001)


def test_neither_the_way_round_nor_the_start_of_a_ring_matters():
    site = quarter_square_kilometre(108.7).difference(quarter_square_kilometre(108.7).buffer(-200))
    turned = shapely.Polygon(site.exterior.coords[::-1], [hole.coords[::-1] for hole in site.interiors])
    assert ellipsoid_m2(site, GRID) == pytest.approx(ellipsoid_m2(turned, GRID), abs=1e-6)
    assert ellipsoid_m2(site, GRID) == pytest.approx(250_000 - 100**2, rel=2e-4)


def test_the_ellipsoid_area_is_that_of_karney_on_densely_drawn_edges():
    site = quarter_square_kilometre(108.8)
    to_lonlat = Transformer.from_crs(4545, 4490, always_xy=True).transform
    dense = shapely.transform(shapely.segmentize(site, 1.0), to_lonlat, interleaved=False)
    peer = Geod(a=6378137, rf=298.257222101).geometry_area_perimeter(dense)[0]
    assert ellipsoid_m2(site, GRID) == pytest.approx(abs(peer), abs=0.01)


def test_a_long_straight_edge_of_the_grid_is_a_curve_on_the_ellipsoid():
    """Two corners 100 km apart on the grid: the geodesic between them bends to one side of the line by metres."""
    site = shapely.box(580_000, 3_060_000, 580_500, 3_160_000)
    halves = [shapely.box(580_000, south, 580_500, south + 100) for south in range(3_060_000, 3_160_000, 100)]
    assert ellipsoid_m2(site, GRID) == pytest.approx(sum(ellipsoid_m2(half, GRID) for half in halves), abs=0.1)
    triangle = shapely.Polygon([(580_000, 3_060_000), (650_000, 3_060_000), (580_000, 3_160_000)])
    cut = (
        triangle.intersection(shapely.box(0, 0, 610_000, 4e6)),
        triangle.intersection(shapely.box(610_000, 0, 1e6, 4e6)),
    )
    assert ellipsoid_m2(triangle, GRID) == pytest.approx(sum(ellipsoid_m2(part, GRID) for part in cut), abs=1.0)


def test_web_mercator_shows_far_too_much_and_the_ellipsoid_area_does_not_care():
    mercator = CRS(3857)
    drawn = quarter_square_kilometre(108.0, mercator, lat=28.0)
    assert drawn.area / ellipsoid_m2(drawn, mercator) == pytest.approx(1.283, abs=0.01)
    site = quarter_square_kilometre(108.0)
    over = Transformer.from_crs(4545, 3857, always_xy=True).transform
    same = shapely.transform(shapely.segmentize(site, 1.0), over, interleaved=False)
    assert ellipsoid_m2(same, mercator) == pytest.approx(ellipsoid_m2(site, GRID), rel=1e-6)


def test_the_local_scale_explains_the_difference():
    """Gauss-Krueger stretches by x^2 / 2 R^2 each way, so an area by x^2 / R^2."""
    for lon in (108.2, 108.5, 108.8):
        site = quarter_square_kilometre(lon)
        off_m = site.centroid.x - 500_000
        expected = 250_000 * (off_m / 6_367_000) ** 2
        assert site.area - ellipsoid_m2(site, GRID) == pytest.approx(expected, rel=0.02)


def test_an_area_of_nothing_is_nothing():
    assert ellipsoid_m2(shapely.Polygon(), GRID) == 0.0
    assert ellipsoid_m2(shapely.Polygon([(5e5, 3e6), (5e5 + 9, 3e6), (5e5, 3e6)]), GRID) == pytest.approx(0.0, abs=1e-6)


# --- many at once ---------------------------------------------------------------------------------


def karney_m2(geometries, crs: CRS, step_m: float) -> np.ndarray:
    """The peer: geodesic areas of rings on which a vertex stands every `step_m` of the grid."""
    geod = Geod(a=crs.ellipsoid.semi_major_metre, rf=crs.ellipsoid.inverse_flattening)
    to_lonlat = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform
    step = step_m / 111_320 if crs.is_geographic else step_m
    dense = shapely.orient_polygons(shapely.segmentize(geometries, step))
    lonlat = shapely.transform(dense, to_lonlat, interleaved=False)
    return np.array([geod.geometry_area_perimeter(one)[0] for one in lonlat])


def star(x: float, y: float, reach: float, corners: int, seed: int, hole: bool = False) -> shapely.Geometry:
    """A polygon of uneven spokes around a place; with a hole of the same shape at a third of its size."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    spoke = reach * rng.uniform(0.5, 1.0, corners)
    ring = np.stack([spoke * np.cos(angle), spoke * np.sin(angle)], axis=-1)
    place = np.array([x, y])
    return shapely.Polygon(ring + place, [ring / 3 + place] if hole else None)


REACH_M = st.floats(6, 18_000)  # 100 m2 to 1,000 km2


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([4545, 4524, 4490, 32648, 3857]),
    st.floats(-1.5, 4.5),  # degrees from the central meridian: its own zone, and the next one drawn in it
    st.floats(18, 50),
    st.lists(st.tuples(REACH_M, st.booleans()), min_size=1, max_size=4),
    st.integers(3, 12),
    st.integers(0, 1000),
)
def test_areas_are_those_of_karney_for_any_size_and_far_from_the_meridian(code, beside, lat, sizes, corners, seed):
    crs = CRS(code)
    x, y = Transformer.from_crs(4490, crs, always_xy=True).transform(108 + beside, lat)
    unit = 1 / 111_320 if crs.is_geographic else 1.0
    shapes = np.array([star(x, y, reach * unit, corners, seed, hole) for reach, hole in sizes])
    longest = max(reach for reach, _ in sizes)
    peer = karney_m2(shapes, crs, max(1.0, min(50.0, longest / 100)))
    # the peer keeps longitudes in degrees, which alone is worth 0.001 m2, and takes geodesics for straight lines
    np.testing.assert_allclose(ellipsoid_m2(shapes, crs), peer, rtol=5e-8, atol=2e-3)


@settings(max_examples=100, deadline=None)
@given(st.floats(-5, 5), st.floats(-60, 60), st.floats(10, 20_000), st.booleans(), st.integers(0, 1000))
def test_moments_and_followed_edges_agree(beside, lat, reach, hole, seed):
    x, y = Transformer.from_crs(4490, 4545, always_xy=True).transform(108 + beside, lat)
    shape = np.array([star(x, y, reach, 9, seed, hole)])
    density = _Density.over(shapely.bounds(shape[0]), GRID)
    assert density is not None
    (found,) = density.integral(shape)
    if np.isfinite(found):  # too large for its moments
        assert found == pytest.approx(_followed_m2(shape, GRID)[0], rel=1e-9, abs=1e-6)


def test_parts_and_holes_are_counted_in_and_out_one_by_one():
    ring = star(5.6e5, 3.1e6, 400, 7, 1, hole=True)
    far = shapely.transform(ring, lambda xy: xy + np.array([60_000, 0]))
    both = shapely.MultiPolygon([ring, far])
    shell, hole = shapely.Polygon(ring.exterior), shapely.Polygon(ring.interiors[0])
    one, shell_m2, hole_m2, far_m2, two = ellipsoid_m2(np.array([ring, shell, hole, far, both]), GRID)
    assert one == pytest.approx(shell_m2 - hole_m2, abs=1e-6)
    assert two == pytest.approx(one + far_m2, abs=1e-6)


def test_what_has_no_area_is_zero_and_what_is_not_there_is_not_known():
    shapes = np.array([shapely.Point(5e5, 3e6), shapely.LineString([(5e5, 3e6), (6e5, 3e6)]), None, shapely.Polygon()])
    np.testing.assert_array_equal(ellipsoid_m2(shapes, GRID), [0, 0, np.nan, 0])
    assert ellipsoid_m2(np.empty(0, dtype=object), GRID).shape == (0,)


def test_a_layer_across_a_continent_is_measured_all_the_same():
    """No polynomial follows Gauss-Krueger over forty degrees; the edges are followed instead."""
    lon = np.array([90.0, 108.0, 130.0])
    x, y = Transformer.from_crs(4490, 4545, always_xy=True).transform(lon, np.full(3, 30.0))
    shapes = np.array([star(east, north, 3_000, 9, 3) for east, north in zip(x, y, strict=True)])
    assert _Density.over(shapely.total_bounds(shapes), GRID) is None
    np.testing.assert_allclose(ellipsoid_m2(shapes, GRID), karney_m2(shapes, GRID, 10), rtol=1e-8)


def test_an_area_at_the_date_line_is_not_the_rest_of_the_world():
    zone = CRS(32601)  # 180 to 174 degrees west
    x, y = Transformer.from_crs(4326, zone, always_xy=True).transform(180, 10)
    around = np.array([shapely.box(x - reach, y - reach, x + reach, y + reach) for reach in (50, 50_000)])
    np.testing.assert_allclose(ellipsoid_m2(around, zone), karney_m2(around, zone, 50), rtol=1e-8, atol=1e-3)


def test_the_areas_of_a_coverage_come_to_the_area_of_its_outline():
    east, north = np.meshgrid(np.arange(20) * 500.0 + 5.7e5, np.arange(20) * 500.0 + 3.06e6)
    cells = shapely.box(east, north, east + 500, north + 500).ravel()
    outline = shapely.box(5.7e5, 3.06e6, 5.8e5, 3.07e6)
    assert ellipsoid_m2(cells, GRID).sum() == pytest.approx(ellipsoid_m2(outline, GRID), rel=1e-10)


def test_a_box_that_leaves_the_earth_is_measured_edge_by_edge():
    """Beside an ordinary site stands one so far off that the box around both has corners nowhere on earth."""
    site, far = quarter_square_kilometre(108.4), shapely.box(1.9e7, 9.9e6, 1.9e7 + 1, 9.9e6 + 1)
    assert _Density.over(shapely.total_bounds([site, far]), GRID) is None
    assert ellipsoid_m2(np.array([site, far]), GRID)[0] == pytest.approx(ellipsoid_m2(site, GRID), rel=1e-9)
