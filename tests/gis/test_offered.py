"""Offers name who serves and what connecting costs: the same cost as the check's, few of them, and none needlessly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from gis.billing import Placed, bill
from gis.check import rulebook
from gis.connections import connect
from gis.ground import Ground
from gis.needs import measure_needs
from gis.offered import offered
from gis.routes import accumulate
from gis.scenario import Purchase
from gis.surface import Prices, surface
from gis.verify_plan import Billed, verify_bill
from layers.records import Project
from tests.worlds import FAR, MemoryWorld, grid, layer

BOOK = rulebook()
PRICES = Prices.of(BOOK)
NEAR_STATION, FAR_STATION = "capacity/substations-1/power_kva", "capacity/substations-2/power_kva"
SITES = np.array([shapely.box(100, 900, 200, 1000), shapely.box(300, 900, 400, 1000), shapely.box(100, 400, 180, 480)])
SMALL = Project(id="s", land_m2=1e4, power_kva=4_000, water_m3d=800, effluent_m3d=60, freight_td=100)
LARGE = SMALL.model_copy(update={"id": "l", "power_kva": 20_000.0, "water_m3d": 3_000.0})
DUAL = SMALL.model_copy(update={"id": "d", "dual_supply": True})


def hilly(seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(np.cumsum(rng.normal(0, 0.4, (100, 200)), axis=0), axis=1) / 10 + 40


def world(pools: dict[str, float] | None = None, z: np.ndarray | None = None, **changes):
    made = {
        "substations": layer(
            "substations", [shapely.Point(1_050, 950), shapely.Point(3_050, 950)], name=["近站", "远站"],
            voltage_kv=[35.0, 110.0], extent=FAR,
        ),
        "water_sources": layer(
            "water_sources", [shapely.Point(850, 950), shapely.Point(850, 150)], name=["水厂", "二水厂"],
            head_m=[30.0, 20.0],
        ),
        "wastewater_plants": layer("wastewater_plants", [shapely.Point(600, 500)], capacity_m3d=[2_000.0]),
        "roads": layer(
            "roads", [shapely.LineString([(0, 1_190), (4_000, 1_190)])], name=["县道"], road_class=["county"]
        ),
    }  # fmt: skip
    balances = {
        NEAR_STATION: 50_000.0,
        FAR_STATION: 90_000.0,
        "capacity/water_sources-1/water_m3d": 9_000.0,
        "capacity/water_sources-2/water_m3d": 9_000.0,
        "capacity/wastewater_plants-1/effluent_m3d": 900.0,
    } | (pools or {})
    dem = grid(np.zeros((100, 200)) if z is None else z, west=0, north=2000, cell_m=20.0)
    return MemoryWorld(*(made | changes).values(), rasters=[dem], pools=balances)


def kept(one):
    under, made = surface(one), {}

    def find(utility, role, facility):
        if (utility, facility) not in made:
            found = one.near(role, (0, 0, 1, 1))
            row = {str(name): n for n, name in enumerate(found.column("id"))}
            pieces = found.pieces if facility == "*" else found.pieces[found.owner == row[facility]]
            made[utility, facility] = accumulate(under, PRICES, utility, list(pieces))
        return made[utility, facility]

    return find


def offers(one, *projects, allowed=None, routes=None, more=None):
    everywhere = np.ones((len(SITES), len(projects)), dtype=bool)
    needs = measure_needs(list(projects), BOOK)
    keep = everywhere if allowed is None else allowed
    return offered(Ground(SITES, one, BOOK), needs, keep, one.pools(), more or {}, routes)


@pytest.mark.parametrize("z", [None, hilly(1), hilly(2)])
@pytest.mark.parametrize("project", [SMALL, LARGE, DUAL])
def test_an_offer_costs_what_the_check_says_of_the_same_connections(z, project):
    one = world(z=z)
    routes = kept(one)
    found = offers(one, project, routes=routes)
    assert found.open.shape[0] == 1  # nothing may fall short
    for site, ground in enumerate(SITES):
        said = connect(ground, project, BOOK, one, routes)
        for utility in ("power", "water", "effluent", "road"):
            typical = sum(made.cost_wan[1] for made in said if made.utility == utility)
            assert found.cost_wan[utility][0, site, 0] == pytest.approx(typical, rel=1e-6)


def test_the_dearer_station_is_offered_only_where_the_cheaper_one_may_fall_short():
    assert offers(world(), SMALL, SMALL.model_copy(update={"id": "t"}), routes=kept(world())).open.shape[0] == 1
    tight = world({NEAR_STATION: 5_000.0})
    found = offers(tight, SMALL, SMALL.model_copy(update={"id": "t"}), routes=kept(tight))
    assert found.open.all(axis=(1, 2)).tolist() == [True, True]
    assert found.facility["power"][:, 0, 0].tolist() == [0, 1]
    cost = found.counted_wan()[0]
    assert (cost[0] < cost[1]).all()
    assert found.serves[NEAR_STATION][:, 0, 0].tolist() == [True, False]
    assert found.serves[FAR_STATION][:, 0, 0].tolist() == [False, True]


def test_a_station_that_the_short_one_feeds_is_no_way_out():
    fed = layer(
        "substations", [shapely.Point(1_050, 950), shapely.Point(3_050, 950)], voltage_kv=[35.0, 35.0], extent=FAR,
        feeds_from=[None, "substations-1"],
    )  # fmt: skip
    tight = world({NEAR_STATION: 5_000.0}, substations=fed)
    found = offers(tight, SMALL, SMALL.model_copy(update={"id": "t"}), routes=kept(tight))
    assert found.open.shape[0] == 1
    assert found.facility["power"].max() == 0


def test_without_ways_the_nearer_comes_first_and_no_cost_is_known():
    tight = world({NEAR_STATION: 5_000.0})
    found = offers(tight, SMALL, SMALL.model_copy(update={"id": "t"}))
    assert found.facility["power"][:, 0, 0].tolist() == [0, 1]
    counted, unknown = found.counted_wan()
    assert (counted == 0).all()
    assert unknown == {"power": 1.0, "water": 1.0, "effluent": 1.0, "road": 1.0}


def test_a_full_station_that_may_grow_is_offered_beside_one_that_has_room():
    full = world({NEAR_STATION: 100.0})
    assert offers(full, SMALL, routes=kept(full)).facility["power"][:, 0, 0].tolist() == [1]
    grows = offers(full, SMALL, routes=kept(full), more={NEAR_STATION: 9_000.0})
    assert grows.facility["power"][:, 0, 0].tolist() == [0, 1]


def test_a_cost_nobody_knows_counts_as_the_dearest_known_and_is_said():
    silent = SMALL.model_copy(update={"id": "u", "effluent_m3d": None})
    one = world()
    found = offers(one, SMALL, silent, routes=kept(one))
    assert np.isnan(found.cost_wan["effluent"][0, :, 1]).all()
    counted, unknown = found.counted_wan()
    assert unknown == {"effluent": 0.5}
    dearest = found.cost_wan["effluent"][0, :, 0].max()
    rest = sum(np.broadcast_to(found.cost_wan[name], (1, 3, 2))[0, :, 1] for name in ("power", "water", "road"))
    assert counted[0, :, 1] == pytest.approx(rest + dearest)


def test_a_second_supply_is_paid_for_and_named():
    one = world()
    found = offers(one, DUAL, routes=kept(one))
    assert (found.facility["power"][0, 0, 0], found.second[0, 0, 0]) == (0, 1)


def made_bill(*, fund=None, covers=()):
    one = world(z=hilly())
    rows = {"power": 0, "water": 0, "effluent": 0}
    names = ("A", "B", "C")
    placed = [
        Placed(name, None, project, site, rows, -1)
        for name, project, site in zip(names, (SMALL, LARGE, SMALL), SITES, strict=True)
    ]
    bought = (Purchase(name="二号主变", cost_wan=120.5, adds={NEAR_STATION: 10.0}),)
    return bill(placed, BOOK, one, kept(one), bought, fund, covers)


def test_a_bill_adds_up_and_the_verifier_agrees():
    found, added = made_bill()
    assert verify_bill(added) == ()
    assert found.is_complete
    assert found.connection_wan < found.alone_wan
    assert found.total_wan == pytest.approx(
        found.connection_wan + found.earthwork_wan[1] + found.land_wan[1] + found.purchases_wan, abs=1e-9
    )
    for one in found.owed:
        for link in one.links:
            assert link.share_wan <= link.alone_wan + 1e-4


def changed(added: Billed, kind: str) -> Billed:
    first = added.lines[0]
    if kind == "bill-line":
        return replace(added, lines=(replace(first, alone_wan=first.alone_wan + 0.01), *added.lines[1:]))
    if kind == "bill-share":
        return replace(added, lines=(replace(first, share_wan=first.share_wan - 0.01), *added.lines[1:]))
    if kind == "bill-utility":
        return replace(added, utilities={**added.utilities, "water": added.utilities["water"] + 0.01})
    if kind == "bill-project":
        return replace(added, projects={**added.projects, "A": added.projects["A"] - 0.01})
    if kind == "bill-total":
        return replace(added, total=added.total + 0.01)
    return replace(added, fund=1.0)


@pytest.mark.parametrize("kind", ["bill-line", "bill-share", "bill-utility", "bill-project", "bill-total", "bill-fund"])
def test_the_verifier_finds_what_does_not_add_up(kind):
    assert kind in {one.what for one in verify_bill(changed(made_bill()[1], kind))}


def test_a_fund_holds_what_it_is_said_to_cover():
    found, added = made_bill(fund=5_000.0, covers=("connection", "earthwork"))
    assert found.fund_spent_wan == pytest.approx(120.5 + found.connection_wan + found.earthwork_wan[1])
    assert verify_bill(added) == ()
    assert [one.what for one in verify_bill(replace(added, fund=found.fund_spent_wan - 1))] == ["bill-fund"]


def test_what_nobody_knows_is_named_and_in_no_sum():
    one = world()
    silent = SMALL.model_copy(update={"effluent_m3d": None})
    placed = [Placed("A", None, silent, SITES[0], {"power": 0, "water": 0, "effluent": -1}, -1)]
    found, added = bill(placed, BOOK, one, kept(one), (), None, ())
    assert found.owed[0].unknown == ("effluent",)
    assert not found.is_complete
    assert verify_bill(added) == ()
    blind, _ = bill(placed, BOOK, one, None, (), None, ())
    assert set(blind.owed[0].unknown) == {"power", "water", "effluent", "road"}
    assert blind.connection_wan == 0
