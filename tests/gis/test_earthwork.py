"""Platforms: planes and paraboloids whose earth is known in closed form, and ground that can be counted by hand."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity

from gis.earthwork import earthwork, prices
from gis.facts import measure_facts
from gis.ground import Ground
from tests.worlds import MemoryWorld, grid

CELL = 12.5
SIDE = 160
X, Y = np.meshgrid((np.arange(SIDE) + 0.5) * CELL, (SIDE - np.arange(SIDE) - 0.5) * CELL)
MIDDLE = 1_000.0


def ground(z):
    return grid(z, 0.0, SIDE * CELL, CELL)


def turned(width, height, degrees, x=MIDDLE, y=MIDDLE):
    drawn = affinity.rotate(shapely.box(-width / 2, -height / 2, width / 2, height / 2), degrees, origin=(0, 0))
    return affinity.translate(drawn, x, y)


def array(*sites):
    return np.array([*sites, None], dtype=object)[:-1]


def cut_of_plane(width, height, degrees, east, north):
    """Half the mean distance from the level, over a rectangle, on a fine lattice of its own."""
    u = (np.arange(600) + 0.5) / 600 - 0.5
    u, v = np.meshgrid(u * width, u * height)
    turn = np.radians(degrees)
    rise = (east * np.cos(turn) + north * np.sin(turn)) * u + (north * np.cos(turn) - east * np.sin(turn)) * v
    return np.abs(rise).mean() / 2 * width * height


@settings(max_examples=40, deadline=None)
@given(
    width=st.floats(40, 300),
    height=st.floats(40, 300),
    degrees=st.floats(0, 90),
    east=st.floats(0.02, 0.4),
    north=st.floats(-0.4, 0.4),
)
def test_the_cut_of_a_plane_is_within_one_percent(width, height, degrees, east, north):
    dem = ground(500 + east * X + north * Y)
    made = earthwork(array(turned(width, height, degrees)), dem, bulking=1.0)
    assert made.flat.cut_m3 == pytest.approx([cut_of_plane(width, height, degrees, east, north)], rel=0.01)
    assert made.flat.level_m == pytest.approx([500 + (east + north) * MIDDLE], abs=0.02)
    assert made.flat.fill_m3 == pytest.approx(made.flat.cut_m3)


@pytest.mark.parametrize("radius", [60.0, 150.0])
def test_the_cut_of_a_paraboloid_is_within_one_percent(radius):
    # z = c r^2 on a disc: level c R^2 / 2, cut = fill = pi c R^4 / 8
    c = 0.002
    dem = ground(300 + c * ((X - MIDDLE) ** 2 + (Y - MIDDLE) ** 2))
    made = earthwork(array(shapely.Point(MIDDLE, MIDDLE).buffer(radius, 64)), dem, bulking=1.0)
    assert made.flat.cut_m3 == pytest.approx([np.pi * c * radius**4 / 8], rel=0.01)
    assert made.flat.level_m - 300 == pytest.approx([c * radius**2 / 2], rel=0.03)
    assert made.retaining_m == pytest.approx([c * radius**2 / 2], rel=0.03)


def test_a_plane_by_hand():
    # 1 m in 10 over 100 m: the level is in the middle, 5 m at the far sides, 100 * 50 * 5 / 2 dug
    made = earthwork(array(turned(100, 100, 0)), ground(500 + 0.1 * X), bulking=1.0, max_grade=0.02)
    assert made.flat.level_m == pytest.approx([600.0], abs=0.01)
    assert made.flat.cut_m3 == pytest.approx([12_500], rel=0.01)
    assert made.retaining_m == pytest.approx([5.0], abs=0.01)
    # two sides of 100 m under a triangle of 2 x 50 x 5 / 2, two of 100 m x 5 m
    assert made.face_m2 == pytest.approx([2 * 250 + 2 * 500], rel=0.01)
    # tilted as far as allowed, 8 m in 100 are left: 4/5 of the earth
    assert made.rise_east == pytest.approx([0.02])
    assert made.rise_north == pytest.approx([0.0], abs=1e-6)
    assert made.tilted.cut_m3 == pytest.approx([10_000], rel=0.01)
    # two terraces of 50 m: half the earth, 5 m apart
    assert made.terraces.cut_m3 == pytest.approx([6_250], rel=0.01)
    assert made.step_m == pytest.approx([5.0], rel=0.02)
    assert made.lower_share == pytest.approx([0.5], abs=0.04)


def test_a_plane_no_steeper_than_the_grade_is_left_as_it_is():
    made = earthwork(array(turned(100, 80, 20)), ground(500 + 0.01 * X - 0.012 * Y), max_grade=0.02)
    assert made.tilted.moved_m3 == pytest.approx([0.0], abs=1.0)
    assert (made.rise_east[0], made.rise_north[0]) == pytest.approx((0.01, -0.012), abs=1e-4)


def test_swollen_ground_fills_more_so_the_level_rises():
    dem, site = ground(500 + 0.1 * X), array(turned(100, 100, 0))
    plain, swollen = earthwork(site, dem, bulking=1.0), earthwork(site, dem, bulking=1.25)
    assert swollen.flat.level_m > plain.flat.level_m
    assert swollen.flat.fill_m3 == pytest.approx(1.25 * swollen.flat.cut_m3)
    assert swollen.surplus_m3 == pytest.approx([0.0], abs=1e-6)
    # 1.25 (5 - d)^2 = (5 + d)^2 on a plane of 1 in 10
    root = np.sqrt(1.25)
    assert swollen.flat.level_m - 600 == pytest.approx([5 * (root - 1) / (root + 1)], abs=0.01)


def test_much_swollen_ground_still_balances():
    # 4 (5 - d)^2 = (5 + d)^2: d = 5 / 3, so 10 / 3 m above the level over a third of the site
    made = earthwork(array(turned(100, 100, 0)), ground(500 + 0.1 * X), bulking=4.0)
    assert made.flat.level_m - 600 == pytest.approx([5 / 3], abs=0.02)
    assert made.flat.cut_m3 == pytest.approx([100 * 100 / 3 * 10 / 3 / 2], rel=0.01)


def test_flat_ground_needs_nothing_but_its_error_does():
    made = earthwork(array(turned(100, 100, 30)), ground(np.full((SIDE, SIDE), 400.0)), bulking=1.0, error_m=2.0)
    assert made.flat.moved_m3 == pytest.approx([0.0], abs=1e-6)
    assert made.cut_band_m3.lo == pytest.approx([0.0])
    assert made.cut_band_m3.hi == pytest.approx([2.0 * 10_000 / 2])  # half raised, half lowered by the error
    assert made.cost_wan.lo == pytest.approx([0.0])
    assert made.cost_wan.hi > 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), bulking=st.floats(0.9, 1.3))
def test_no_error_of_the_ground_leaves_the_band(seed, bulking):
    rng = np.random.default_rng(seed)
    true = 500 + 0.05 * X + 3 * np.sin(X / 60) * np.cos(Y / 45)
    sites = array(turned(150, 90, 17))
    said = earthwork(sites, ground(true), bulking=bulking, error_m=1.5)
    off = earthwork(sites, ground(true + rng.choice([-1.5, 1.5], true.shape)), bulking=bulking)
    assert said.cut_band_m3.lo[0] <= off.flat.cut_m3[0] <= said.cut_band_m3.hi[0]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_options_never_move_more_earth_than_one_level(seed):
    rng = np.random.default_rng(seed)
    z = 500 + rng.normal(0, 4, (SIDE, SIDE)).cumsum(axis=1) * 0.3
    sites = array(
        *(turned(*rng.uniform(30, 200, 2), rng.uniform(0, 90), *rng.uniform(300, 1_700, 2)) for _ in range(9))
    )
    made = earthwork(sites, ground(z))
    assert (made.tilted.moved_m3 <= made.flat.moved_m3 + 1e-6).all()
    assert (made.terraces.moved_m3 <= made.flat.moved_m3 * 1.001).all()
    assert (made.step_m >= -1e-9).all()
    assert (made.grade <= prices()["grade"].high + 1e-9).all()


def test_sites_are_answered_alike_alone_and_together():
    dem = ground(500 + 0.1 * X + 5 * np.sin(Y / 90))
    ring = shapely.difference(turned(200, 160, 12), turned(60, 50, 40))
    parts = shapely.union(turned(40, 90, 5, 700), turned(70, 30, 60, 800))
    sites = array(turned(100, 50, 33, 400), ring, parts)
    whole = earthwork(sites, dem)
    for row, site in enumerate(sites):
        alone = earthwork(array(site), dem)
        assert whole.flat.cut_m3[row] == pytest.approx(alone.flat.cut_m3[0])
        assert whole.terraces.cut_m3[row] == pytest.approx(alone.terraces.cut_m3[0])
        assert whole.tilted.level_m[row] == pytest.approx(alone.tilted.level_m[0])


def test_a_site_the_model_does_not_cover_is_unknown():
    z = 500 + 0.1 * X
    z[:, -20:] = np.nan
    sites = array(
        turned(100, 100, 0), turned(100, 100, 0, x=1_750), turned(100, 100, 0, x=1_990), turned(9, 9, 0, x=-50)
    )
    made = earthwork(sites, ground(z))
    for column in (made.flat.cut_m3, made.tilted.fill_m3, made.terraces.cut_m3, made.retaining_m, made.cost_wan.hi):
        assert np.isnan(column).tolist() == [False, True, True, True]


def test_facts_of_the_ground():
    falls_east = MemoryWorld(rasters=[ground(2_000 - 0.1 * X)])
    sites = array(turned(100, 100, 0), turned(100, 100, 0, x=2_500))
    asked = ["aspect_deg", "elevation_min_m", "elevation_max_m", "cut_m3", "earthwork_cost_wan", "slope_over_8_share"]
    found = measure_facts(Ground(sites, falls_east), asked, {})
    assert found["aspect_deg"].lo == pytest.approx([90.0, np.nan], nan_ok=True)
    span = found["elevation_max_m"].lo - found["elevation_min_m"].lo
    assert span == pytest.approx([8.75, np.nan], nan_ok=True)  # eight cells of 1.25 m, centre to centre
    assert found["slope_over_8_share"].lo == pytest.approx([0.0, np.nan], nan_ok=True)  # 5.7 degrees
    assert found["earthwork_cost_wan"].lo[0] < found["earthwork_cost_wan"].hi[0]
    unloaded = measure_facts(Ground(sites, MemoryWorld()), asked, {})
    assert all(np.isnan(column.lo).all() and np.isnan(column.hi).all() for column in unloaded.values())


def test_the_mean_of_north_by_west_and_north_by_east_is_north():
    cone = ground(1_000 + 0.3 * np.hypot(X - MIDDLE, Y - 100.0))  # rises away from the south: faces south
    faces = measure_facts(Ground(array(turned(200, 200, 0, y=1_500)), MemoryWorld(rasters=[cone])), ["aspect_deg"], {})
    assert faces["aspect_deg"].lo == pytest.approx([180.0], abs=1.0)
    bowl = ground(1_000 - 0.3 * np.hypot(X - MIDDLE, Y - 100.0))
    faces = measure_facts(Ground(array(turned(200, 200, 0, y=1_500)), MemoryWorld(rasters=[bowl])), ["aspect_deg"], {})
    assert min(faces["aspect_deg"].lo[0], 360 - faces["aspect_deg"].lo[0]) < 1.0


def test_every_price_row_says_low_typical_high():
    assert all(0 <= row.low <= row.typical <= row.high for row in prices().values())
