"""The plan, the books and the rule agree on who serves: in worlds drawn at random, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from gis.check import check, rulebook
from gis.claims import claim
from gis.ground import Ground
from gis.intervals import Interval
from gis.needs import measure_needs
from gis.offered import offered
from gis.serving import FREIGHT, PLANTS, reachable, ways, whole
from layers.records import Industry, Project
from tests.worlds import SITE, kind_world, layer

BOOK = rulebook()
TEA = Project(id="tea", land_m2=10_000, industry=Industry(code="1530"), power_kva=400.2, water_m3d=20, effluent_m3d=10)
SITES = np.array([SITE, shapely.box(3_000, 0, 3_100, 100)], dtype=object)
EVERYWHERE = np.ones((2, 1), dtype=bool)


def drawn(seed):
    """Stations and works at random places, some full, some without an account, some fed by another."""
    rng = np.random.default_rng(seed)
    count = 4
    at = shapely.points(rng.uniform(-9_000, 9_000, (count, 2)))
    above = [None, *(str(rng.choice(["", "substations-1"])) or None for _ in range(count - 1))]
    kinds = rng.choice(["水厂", "水库", "intake"], count).tolist()
    world = kind_world(
        substations=layer(
            "substations",
            at,
            feeds_from=above,
            voltage_kv=rng.choice([10.0, 35.0, 110.0], count),
            bays_free=rng.choice([0.0, 1.0, np.nan], count),
        ),
        water_sources=layer("water_sources", shapely.points(rng.uniform(-6_000, 6_000, (count, 2))), kind=kinds),
        wastewater_plants=layer("wastewater_plants", shapely.points(rng.uniform(-6_000, 6_000, (count, 2)))),
    )
    pools = {name: left for name, left in world.pools().items() if not name.startswith("capacity/")}
    for kind, role in (
        ("power_kva", "substations"),
        ("water_m3d", "water_sources"),
        ("effluent_m3d", "wastewater_plants"),
    ):
        for n in range(1, count + 1):
            if rng.random() < 0.8:
                pools[f"capacity/{role}-{n}/{kind}"] = float(rng.choice([0.0, 5.0, 100.0, 400.0, 401.0, 9_000.0]))
    world._pools = pools
    return world


@pytest.mark.parametrize("seed", range(40))
def test_what_the_plan_books_is_what_the_books_take(seed):
    world = drawn(seed)
    needs = measure_needs([TEA], BOOK)
    some = offered(Ground(SITES, world, BOOK), needs, EVERYWHERE, world.pools(), {})
    loads, serves = some.loads, {name: on[0] for name, on in some.serves.items()}
    for site, ground in enumerate(SITES):
        taken = {one.kind: one for one in claim(ground, TEA, BOOK, world).loads}
        for one in PLANTS:
            mine = {name for name, on in serves.items() if on[site, 0] and name.endswith(one.kind)}
            if one.kind not in taken:
                assert not mine
                continue
            load = taken[one.kind]
            assert load.amount == loads[one.kind][0]
            room = [route for route in load.routes if all(world.pools()[name] >= load.amount for name in route)]
            assert mine == set((room or load.routes)[0])


@pytest.mark.parametrize("seed", range(20))
def test_where_the_rule_passes_for_certain_there_is_room_on_what_the_plan_books(seed):
    world = drawn(seed)
    found = check(SITES, [TEA], BOOK, world)
    needs = found.needs | measure_needs([TEA], BOOK)
    some = offered(Ground(SITES, world, BOOK), needs, EVERYWHERE, world.pools(), {})
    loads, serves = some.loads, {name: on[0] for name, on in some.serves.items()}
    for limit, kind in (("power_headroom_kva", "power_kva"), ("water_headroom_m3d", "water_m3d")):
        for site in range(len(SITES)):
            left: Interval = found.meetings[limit]
            mine = [name for name, on in serves.items() if on[site, 0] and name.endswith(kind)]
            has_room = bool(mine) and all(world.pools()[name] >= loads[kind][0] for name in mine)
            if left.lo[site, 0] >= loads[kind][0]:
                assert has_room
            if left.hi[site, 0] < loads[kind][0]:
                assert not has_room


def test_a_load_nobody_has_room_for_is_booked_where_room_may_be_made_and_never_left_out():
    two = layer("substations", shapely.points([[1_000, 0], [2_000, 0]]))
    world = kind_world(substations=two)
    pools = {f"capacity/substations-{n}/power_kva": 100.0 for n in (1, 2)}
    world._pools = {**world._pools, **pools}
    found = reachable(Ground(SITES[:1], world, BOOK), PLANTS[0], measure_needs([TEA], BOOK))
    assert found is not None
    assert found.choices(0, 400.0).tolist() == [[0]]
    assert found.choices(0, 400.0, {"capacity/substations-2/power_kva": 300.0}).tolist() == [[1]]
    assert found.choices(0, 100.0, {"capacity/substations-2/power_kva": 300.0}).tolist() == [[0]]


def test_every_site_has_the_way_that_the_books_take():
    lines = [[(150, 0), (150, 900)], [(150, 900), (150, 2_000)], [(-9_000, 2_000), (9_000, 2_000)]]
    roads = layer("roads", [shapely.LineString(one) for one in lines], road_class=["village", "county", "provincial"])
    world = kind_world(roads=roads)
    world._pools = {**world._pools, **{f"capacity/roads-{n}/freight_td": 500.0 for n in (1, 2, 3)}}
    hauling = TEA.model_copy(update={"freight_td": 99.5})
    sites = np.array(
        [shapely.box(100, 100, 140, 140), shapely.box(100, 1_990, 140, 1_999), shapely.box(0, -9e3, 1, -8e3)]
    )
    each = ways(Ground(sites, world, BOOK))
    for site, found in zip(sites, each, strict=True):
        load = next((one for one in claim(site, hauling, BOOK, world).loads if one.kind == FREIGHT.kind), None)
        assert (load.routes if load else ()) == tuple(found or ())
        assert load is None or load.amount == whole(99.5) == 100
    assert [len(found[0]) if found else 0 for found in each] == [2, 1, 0]
