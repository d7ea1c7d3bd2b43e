"""Ways out of a failing check: each passes the check it came from, and none that is much better was missed."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from scipy import ndimage

from gis.check import check, rulebook
from gis.judge import Status, Verdict
from gis.mending import Raised, mend
from gis.shifting import moved, shifts
from layers.records import Project
from tests.worlds import grid, kind_world, layer

BOOK = rulebook().confirmed(
    [{"rule": rule.id, "document": "试字1号", "date": "2026-01-01"} for rule in rulebook().rules]
)
GOOD = (Status.PASS, Status.EXEMPT)
TEA = {
    "id": "TEA",
    "land_m2": 8_000,
    "industry": {"system": "GB/T 4754-2017", "code": "1530"},
    "power_kva": 400,
    "water_m3d": 20,
    "effluent_m3d": 10,
    "dust": False,
}


def blobs(rng, count, around=400.0, size=(20, 120)):
    """Some convex pieces of ground."""
    found = []
    for _ in range(count):
        at, radius = rng.uniform(-around, around, 2), rng.uniform(*size)
        found.append(shapely.convex_hull(shapely.multipoints(at + rng.normal(0, radius / 2, (7, 2)))))
    return found


def drawn_world(rng):
    """Farmland, red line, a river, a power line and sinkholes thrown about, plots between."""
    plots = shapely.box(*(np.array(np.meshgrid(range(-5, 6), range(-5, 6))).reshape(2, -1) * 150.0 + 20.0), *(
        np.array(np.meshgrid(range(-5, 6), range(-5, 6))).reshape(2, -1) * 150.0 + 20.0 + rng.uniform(70, 130)
    ))  # fmt: skip
    at = rng.uniform(-400, 400, (2, 2))
    steep = np.cumsum(np.where(np.arange(500) * 20.0 - 5_000 > rng.uniform(0, 400), 20.0, 0.0))
    return kind_world(
        basic_farmland=layer("basic_farmland", blobs(rng, rng.integers(0, 5))),
        eco_redline=layer("eco_redline", blobs(rng, rng.integers(0, 3))),
        forest_land=layer("forest_land", blobs(rng, rng.integers(0, 3))),
        river_management=layer("river_management", blobs(rng, rng.integers(0, 2))),
        karst=layer("karst", shapely.points(rng.uniform(-300, 300, (rng.integers(0, 2), 2)))),
        power_lines=layer("power_lines", [shapely.LineString(at)], voltage_kv=[110.0], width_m=[8.0]),
        placed=layer("placed", blobs(rng, 1, size=(10, 60)), project=["OTHER"], batch=[None]),
        parcels=layer("parcels", plots),
    ).replaced(grid(np.tile(steep, (500, 1)), west=-5_000, north=5_000, cell_m=20.0))


def site_of(rng):
    """An L, a rectangle or a blob of about a hectare, turned somehow."""
    width, height = rng.uniform(80, 160, 2)
    shape = shapely.box(0, 0, width, height)
    if rng.random() < 0.3:
        shape = shape.difference(shapely.box(width / 2, height / 2, width, height))
    turn = shapely.affinity.rotate(shape, rng.uniform(0, 90))
    return shapely.affinity.translate(turn, *rng.uniform(-100, 100, 2))


def projects(rng):
    least = rng.choice([3_000, 8_000])
    return Project(**{**TEA, "land_min_m2": float(least), "land_max_m2": 40_000.0})


@pytest.mark.parametrize("seed", range(60))
def test_every_remedy_passes_the_check_it_was_made_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world, site, project = drawn_world(rng), site_of(rng), projects(rng)
    if seed % 3 == 0:
        world = world.with_pools(**{"capacity__substations-1__power_kva": float(rng.uniform(0, 399))})
    checked = check([site], project, BOOK, world)
    found = mend(checked, 0, 0)
    fails = {r.id for r, s in zip(checked.rules, checked.status[:, 0, 0], strict=True) if s == Status.FAIL}
    hard = {r.id for r in checked.rules if r.severity != "warn"}
    assert bool(found) <= bool(fails & hard)
    for one in found:
        ground = site if one.geometry is None else one.geometry
        there = world if one.account is None else Raised(world, {one.account: one.amount})
        again = check([ground], project, BOOK, there)
        passes = {r.id for r, s in zip(again.rules, again.status[:, 0, 0], strict=True) if s in GOOD}
        assert one.mends, one
        assert set(one.mends) <= fails & passes, one
        assert not set(one.leaves) & passes
        assert one.verdict == again.verdict[0, 0]
        before = {r.id for r, s in zip(checked.rules, checked.status[:, 0, 0], strict=True) if s in GOOD}
        if one.kind in ("part", "shift"):  # no way out into another rule, but that a part may be small
            assert before & hard <= passes | ({"land.enough"} if not one.enough else set()), one
        if one.kind == "part":
            assert ground.geom_type == "Polygon"
            assert site.buffer(1e-6).contains(ground)
            assert one.enough == ("land.enough" in passes)
        if one.kind == "shift":
            assert shapely.area(ground) == pytest.approx(site.area)
            assert np.hypot(*one.move_m) <= 400.1
        if one.kind == "plot":
            assert one.verdict <= Verdict.CONDITIONAL


def largest_by_cells(site, barred, cell_m=1.0):
    """The largest connected piece of a site beside barred ground, counted in cells."""
    west, south, east, north = site.bounds
    x, y = np.arange(west + cell_m / 2, east, cell_m), np.arange(south + cell_m / 2, north, cell_m)
    east_m, north_m = np.meshgrid(x, y)
    free = shapely.contains_xy(site, east_m, north_m) & ~shapely.contains_xy(barred, east_m, north_m)
    labels, count = ndimage.label(free)
    return max((int(size) for size in np.bincount(labels.ravel())[1:]), default=0) * cell_m**2 if count else 0.0


@pytest.mark.parametrize("seed", range(40))
def test_the_part_is_the_largest_there_is(seed: int) -> None:
    rng = np.random.default_rng(1_000 + seed)
    farm = blobs(rng, 4, around=80.0)
    world = kind_world(basic_farmland=layer("basic_farmland", farm))
    site = site_of(rng)
    project = Project(**{**TEA, "land_min_m2": 100.0})
    checked = check([site], project, BOOK, world)
    most = largest_by_cells(site, shapely.union_all(farm))
    parts = [one for one in mend(checked, 0, 0) if one.kind == "part" and "farmland.basic" in one.mends]
    if checked.status[[r.id for r in checked.rules].index("farmland.basic"), 0, 0] != Status.FAIL or most < 100:
        return
    assert parts, most
    assert max(one.geometry.area for one in parts) >= 0.95 * most


@pytest.mark.parametrize("seed", range(40))
def test_no_shorter_move_was_missed(seed: int) -> None:
    rng = np.random.default_rng(2_000 + seed)
    barred = shapely.union_all(blobs(rng, 6, around=200.0))
    site = site_of(rng)
    ways = shifts(site, barred, 300.0)
    grid = np.array(np.meshgrid(np.arange(-300, 301, 6.0), np.arange(-300, 301, 6.0))).reshape(2, -1).T
    shapely.prepare(barred)
    free = grid[~shapely.intersects(barred, moved(site, grid))]
    free = free[np.hypot(*free.T) <= 300]
    for way in ways:
        assert not shapely.intersects(barred, moved(site, way[None])[0])
    if len(free):
        assert np.hypot(*ways[0]) <= 1.02 * np.hypot(*free.T).min() + 8.0


def test_what_is_short_is_said_in_its_account_and_cleared_by_as_much() -> None:
    world = kind_world().with_pools(quota__520625__2026__new_construction=4_000.0)
    farm = layer(
        "land_use", [shapely.box(-2e4, -2e4, 2e4, 2e4)], code_system=["GB/T 21010-2017"], code=["0301"],
        three_class=["agricultural"], cultivated=[False], paddy=[False],
    )  # fmt: skip
    checked = check([shapely.box(0, 0, 100, 100)], Project(**TEA), BOOK, world.replaced(farm))
    (short,) = [one for one in mend(checked, 0, 0) if one.kind == "short"]
    assert (short.account, short.amount) == ("quota/520625/2026/new_construction", 6_000.0)
    less = Raised(checked.world, {short.account: short.amount - 1})
    again = check([shapely.box(0, 0, 100, 100)], Project(**TEA), BOOK, less)
    assert again.verdict[0, 0] == Verdict.BLOCKED


def test_what_nobody_may_be_offered_is_not_told() -> None:
    world = drawn_world(np.random.default_rng(3))
    checked = check([site_of(np.random.default_rng(5))], Project(**TEA), BOOK, world)
    east = shapely.box(0, -1e4, 1e4, 1e4)
    some = mend(checked, 0, 0, lambda ground: shapely.within(ground, east))
    assert all(one.geometry is None or east.contains(one.geometry) for one in some)
