"""The largest rectangle at any angle: beside brute force, inside the site, and the plant that fits or not."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity

from gis.footprint import FootprintFits, Frontage, fits, largest, scale_of, setback_m
from gis.ground import Ground
from layers.records import Footprint, Project
from tests.worlds import MemoryWorld, layer


def blob(seed, reach_m=45.0):
    """A jagged site with up to two holes."""
    rng = np.random.default_rng(seed)
    turn = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 30)))
    far = rng.uniform(0.4, 1, len(turn)) * reach_m
    drawn = shapely.buffer(shapely.Polygon(np.c_[far * np.cos(turn), far * np.sin(turn)]), 0)
    for _ in range(rng.integers(0, 3)):
        hole = shapely.Point(*rng.uniform(-0.4, 0.4, 2) * reach_m).buffer(rng.uniform(2, 8), 3)
        drawn = shapely.difference(drawn, hole)
    return drawn


def brute(site):
    """The largest block of whole 1 m cells, at every whole degree."""
    best = 0
    for angle in range(90):
        frame = affinity.rotate(site, -angle, origin=(0, 0))
        west, south, east, north = frame.bounds
        shapely.prepare(frame)
        corner = shapely.contains_xy(frame, *np.meshgrid(np.arange(west, east + 1), np.arange(south, north + 1)))
        free = corner[1:, 1:] & corner[:-1, 1:] & corner[1:, :-1] & corner[:-1, :-1]
        border = shapely.get_coordinates(shapely.segmentize(frame.boundary, 0.1)) - (west, south)
        x, y = np.floor(border).astype(int).T  # a notch thinner than a cell passes between its corners
        within = (x < free.shape[1]) & (y < free.shape[0])
        free[y[within], x[within]] = False
        tall = np.zeros(free.shape, dtype=int)
        for row in range(len(free)):
            tall[row] = (tall[row - 1] + 1 if row else 1) * free[row]
        lowest = tall
        for wide in range(1, free.shape[1] + 1):
            lowest = tall if wide == 1 else np.minimum(lowest[:, :-1], tall[:, wide - 1 :])
            if not lowest.any():
                break
            best = max(best, int(lowest.max()) * wide)
    return best


@pytest.mark.parametrize("seed", [*range(10), 17])
def test_at_least_98_percent_of_brute_force(seed):
    site = blob(seed)
    assert largest(site).area_m2 >= 0.98 * brute(site)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), x=st.floats(0, 1e5), y=st.floats(0, 1e6))
def test_what_is_found_lies_inside(seed, x, y):
    site = affinity.translate(blob(seed), x, y)
    found = largest(site)
    assert shapely.difference(found.geometry, site).area < 1e-6 * site.area
    assert found.geometry.area == pytest.approx(found.area_m2)


@settings(max_examples=40, deadline=None)
@given(length=st.floats(20, 300), width=st.floats(20, 300), angle=st.floats(0, 180))
def test_a_rectangle_is_its_own_largest(length, width, angle):
    found = largest(affinity.rotate(shapely.box(0, 0, length, width), angle))
    assert found.area_m2 == pytest.approx(length * width, rel=1e-6)


def test_by_hand():
    ell = shapely.union(shapely.box(0, 0, 100, 30), shapely.box(0, 0, 40, 90))
    assert largest(ell).area_m2 == pytest.approx(40 * 90, rel=1e-6)
    yard = shapely.difference(shapely.box(0, 0, 100, 60), shapely.box(70, 20, 80, 40))
    assert largest(yard).area_m2 == pytest.approx(70 * 60, rel=1e-6)
    court = shapely.difference(shapely.box(0, 0, 100, 60), shapely.box(30, 5, 90, 55))
    assert largest(court).area_m2 == pytest.approx(30 * 60, rel=1e-6)
    apart = shapely.union(shapely.box(0, 0, 50, 40), shapely.box(60, 0, 90, 40))
    assert largest(apart).area_m2 == pytest.approx(50 * 40, rel=1e-6)
    # in a right triangle the best stands on the middles of its sides: half the area
    assert largest(shapely.Polygon([(0, 0), (80, 0), (0, 60)])).area_m2 == pytest.approx(1_200, rel=0.005)
    assert largest(shapely.Polygon()) is None


def test_a_shape_is_scaled_until_it_meets_the_border():
    square = shapely.box(0, 0, 60, 60)
    assert largest(square, scale_of(30, 15)).score >= 2.0  # 60 x 30
    assert largest(square, scale_of(15, 30)).score >= 2.0
    # a thin plant fits best across the corners: l + w = 60 sqrt(2)
    assert largest(square, scale_of(70, 10)).score == pytest.approx(60 * np.sqrt(2) / 80, rel=0.005)


def test_fits_or_not_or_too_close_to_call():
    sites = np.array([affinity.rotate(shapely.box(0, 0, 90, 60), 23), shapely.box(0, 0, 300, 10)], dtype=object)
    for length, width, expected in (
        (90, 60, [(1, 1), (0, 0)]),
        (60, 90, [(1, 1), (0, 0)]),
        (95, 50, [(0, 0), (0, 0)]),
        (91, 58, [(0, 1), (0, 0)]),
        (250, 9, [(0, 0), (1, 1)]),
    ):
        found = fits(sites, length, width)
        assert list(zip(found.lo, found.hi, strict=True)) == expected, (length, width)


def test_the_setback_is_kept_and_a_plant_without_an_outline_is_unknown():
    off = setback_m()
    ground = Ground(np.array([shapely.box(0, 0, 90 + 2 * off, 60 + 2 * off)]), MemoryWorld(layer("roads", [])))
    plants = [
        Project(id="a", land_m2=6_000),
        Project(id="b", land_m2=6_000, footprint=Footprint(length_m=90, width_m=60)),
        Project(id="c", land_m2=6_000, footprint=Footprint(length_m=90 + 2 * off, width_m=60 + 2 * off)),
    ]
    found = FootprintFits().measure(ground, plants, {})
    assert found.lo.shape == (1, 3)
    assert found.lo[0].tolist() == pytest.approx([np.nan, 1, 0], nan_ok=True)
    assert found.hi[0].tolist() == pytest.approx([np.nan, 1, 0], nan_ok=True)
    shown = FootprintFits().evidence(ground.sites[0], ground, plants[1:2], {})
    assert shown.geometry.area == pytest.approx(90 * 60)


def test_frontage_is_the_border_along_a_road():
    sites = np.array([shapely.box(0, 0, 100, 60), shapely.box(0, 500, 100, 560)])
    street = shapely.LineString([(-50, -12), (150, -12)])  # 12 m south of the first site, its land 8 m wide
    said = Ground(sites, MemoryWorld(layer("roads", [street], land_width_m=[8.0])))
    found = Frontage().measure(said, 0.0)
    assert found.lo == pytest.approx([100 + 2 * 2, 0], abs=4)  # and 2 m up either side
    assert found.hi.tolist() == found.lo.tolist()
    unsaid = Frontage().measure(Ground(sites, MemoryWorld(layer("roads", [street], land_width_m=[None]))), 0.0)
    assert unsaid.lo == pytest.approx([0, 0])
    assert unsaid.hi == pytest.approx([100 + 2 * 48, 0], abs=4)
    assert np.isnan(Frontage().measure(Ground(sites, MemoryWorld()), 0.0).lo).all()
