"""Plane and ellipsoid area, counted by hand and against the measured table of the domain report (section 6)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from layers.area import SQUARE_METRES_PER_MU, ellipsoid_m2

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


def test_a_mu_is_two_thousand_thirds_of_a_square_metre():
    assert math.isclose(15 * SQUARE_METRES_PER_MU, 10_000)
    assert np.isclose(SQUARE_METRES_PER_MU, 666.6667, atol=1e-4)
