"""Which facility serves, along which way, at what cost: small worlds counted by hand."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.check import rulebook
from gis.connections import connect, pipe_mm
from gis.expansions import clearing, expansions, firm_kva, frame
from gis.routes import accumulate
from gis.surface import Prices, Surface, surface
from gis.trenches import shared_costs
from layers.records import Project
from tests.worlds import FAR, MemoryWorld, grid, layer

BOOK = rulebook()
PRICES = Prices.of(BOOK)
SITE = shapely.box(100, 900, 200, 1000)
DEM = grid(np.zeros((100, 200)), west=0, north=2000, cell_m=20.0)
PLANT = Project(id="x", land_m2=1e4, power_kva=4_000, water_m3d=800, effluent_m3d=0, freight_td=100)


def world(pools=None, dem=DEM, **changes):
    made = {
        "substations": layer(
            "substations", [shapely.Point(1_050, 950), shapely.Point(3_050, 950)], name=["近站", "远站"],
            voltage_kv=[35.0, 110.0], capacity_kva=[10_000.0, 100_000.0], transformers=[1, 2], extent=FAR,
        ),
        "water_sources": layer(
            "water_sources", [shapely.Point(850, 950)], name=["水厂"], capacity_m3d=[5_000.0], yield_m3d=[9_000.0],
            ecological_flow_m3d=[1_000.0], head_m=[30.0],
        ),
        "wastewater_plants": layer("wastewater_plants", [shapely.Point(600, 500)], capacity_m3d=[2_000.0]),
        "roads": layer(
            "roads", [shapely.LineString([(0, 1_190), (4_000, 1_190)])], name=["县道"], road_class=["county"]
        ),
    }  # fmt: skip
    balances = {
        "capacity/substations-1/power_kva": 5_000.0,
        "capacity/substations-2/power_kva": 30_000.0,
        "capacity/water_sources-1/water_m3d": 900.0,
    } | (pools or {})
    return MemoryWorld(*(made | changes).values(), rasters=[dem], pools=balances)


def kept(one):
    under = surface(one)

    def find(utility, role, facility):
        found = one.near(role, (0, 0, 1, 1))
        row = {str(name): n for n, name in enumerate(found.column("id"))}
        pieces = found.pieces if facility == "*" else found.pieces[found.owner == row[facility]]
        return accumulate(under, PRICES, utility, list(pieces))

    return find


def asked(one, project=PLANT):
    return {made.utility: made for made in connect(SITE, project, BOOK, one, kept(one))}


def test_the_near_station_serves_with_a_bill_that_can_be_counted():
    power = asked(world())["power"]
    assert (power.status, power.name, power.grade) == ("served", "近站", "10 kV")
    # from the site's eastern cell (190) to the station's (1050): 860 m of flat open ground at 22 wan/km
    typical = {item.en: item.wan[1] for item in power.items}
    assert power.route.length_m == 860
    assert typical["gentle <8°, other ground"] == pytest.approx(0.86 * 22)
    assert typical["10 kV outgoing bay"] == 25
    assert typical["transformer at the plant"] == pytest.approx(4 * 22)
    assert power.cost_wan[1] == pytest.approx(0.86 * 22 + 25 + 88)
    assert power.cost_wan[0] < power.cost_wan[1] < power.cost_wan[2]


def test_a_full_station_leaves_the_far_one_to_serve():
    assert asked(world({"capacity/substations-1/power_kva": 3_999.0}))["power"].name == "远站"


def test_a_station_fed_by_a_full_one_cannot_serve():
    stations = layer(
        "substations", [shapely.Point(1_050, 950), shapely.Point(3_050, 950)], voltage_kv=[35.0, 110.0],
        feeds_from=["substations-2", None],
    )  # fmt: skip
    found = asked(world({"capacity/substations-2/power_kva": 1_000.0}, substations=stations))["power"]
    assert (found.status, found.shortage) == ("short", 3_000)


def test_a_load_of_35_kv_is_not_fed_from_a_station_without_room_at_that_voltage():
    big = PLANT.model_copy(update={"power_kva": 20_000.0})
    assert asked(world(), big)["power"].name == "远站"
    dead = layer("substations", [shapely.Point(3_050, 950)], voltage_kv=[10.0])
    found = asked(world({"capacity/substations-1/power_kva": 9e9}, substations=dead), big)["power"]
    assert found.status == "none"


def test_what_nobody_knows_is_unknown_and_not_served():
    one = world()
    one = MemoryWorld(*(one.near(role, ()) for role in one.roles if role != "dem"), rasters=[DEM], pools={})
    found = asked(one)
    assert {found["power"].status, found["water"].status} == {"unknown"}


def test_a_shortage_says_how_much_at_the_station_that_lacks_least():
    found = asked(world({"capacity/substations-1/power_kva": 800.0, "capacity/substations-2/power_kva": 500.0}))[
        "power"
    ]
    assert (found.status, found.name, found.shortage) == ("short", "近站", 3_200)


def test_a_second_supply_comes_from_a_second_station():
    dual = PLANT.model_copy(update={"dual_supply": True})
    found = [one for one in connect(SITE, dual, BOOK, world(), kept(world())) if one.utility == "power"]
    assert [one.name for one in found] == ["近站", "远站"]
    short = world({"capacity/substations-2/power_kva": 0.0})
    (only,) = (one for one in connect(SITE, dual, BOOK, short, kept(short)) if one.utility == "power")
    assert "second supply" in only.notes[-1][1]


def test_water_runs_by_itself_or_is_pumped_over_the_summit():
    water = asked(world())["water"]
    assert not any("pump" in item.en for item in water.items)  # 30 m of head, 10 for the hydrant, 3 for friction
    z = np.zeros((100, 200))
    z[:, 20:22] = 50.0
    hill = grid(z, west=0, north=2000, cell_m=20.0)
    pumped = next(item for item in asked(world(dem=hill))["water"].items if "pump" in item.en)
    lift_m = 50 - 30 + 5 * asked(world(dem=hill))["water"].route.length_m / 1000
    assert pumped.quantity == pytest.approx(800 / 86_400 * 9.81 * lift_m / 0.68)


def test_no_demand_is_no_connection_and_an_unsaid_one_is_a_row():
    found = asked(world())
    assert "effluent" not in found
    silent = asked(world(), Project(id="y", land_m2=1e4, effluent_m3d=5))
    assert silent["power"].status == "none"
    assert "does not say" in silent["power"].notes[0][1]


def test_the_access_road_leads_to_the_nearest_road():
    road = asked(world())["road"]
    assert road.name == "县道"
    assert road.route.length_m == 200  # from the cell below the border at 1000 to the one of the road at 1190


def test_ways_that_are_not_kept_are_said_and_not_searched():
    found = connect(SITE, PLANT, BOOK, world(), lambda *_: None)
    assert all(one.route is None and one.cost_wan is None for one in found)
    assert any("parkplan connect" in zh for one in found for zh, _ in one.notes)


@pytest.mark.parametrize(("m3d", "mm"), [(100, 150), (1_526, 150), (2_714, 200), (2_715, 300), (1e6, 600)])
def test_a_pipe_is_as_wide_as_a_metre_a_second_asks(m3d, mm):
    assert pipe_mm(m3d) == mm


# --- upgrades ---------------------------------------------------------------------------------------


def test_a_second_transformer_is_worth_what_it_adds_to_what_stays_when_one_fails():
    assert firm_kva(10_000, 1, PRICES) == 9_000
    assert firm_kva(20_000, 2, PRICES) == 13_000
    assert firm_kva(30_000, 3, PRICES) == pytest.approx(26_000)
    rows = expansions(world(), BOOK)
    (one,) = (row for row in rows if row.account == "capacity/substations-1/power_kva" and "transformer" in row.en)
    assert (one.extra, one.cost_wan[1], one.year) == (4_000, 400, 2028)
    assert one.confidence == "assumption"
    assert one.source


def test_a_works_grows_no_further_than_its_source_yields():
    (one,) = (row for row in expansions(world(), BOOK) if row.unit == "m3d" and "water_sources" in row.facility)
    assert one.extra == 2_500  # half of what stands; 9,000 - 1,000 - 5,000 would allow 3,000
    dry = world(water_sources=layer("water_sources", [shapely.Point(850, 950)], capacity_m3d=[5_000.0]))
    assert not [row for row in expansions(dry, BOOK) if "water_sources" in row.facility]  # nobody knows the yield


def test_the_cheapest_upgrade_that_clears_a_shortage_in_time():
    rows = expansions(world(), BOOK)
    account = "capacity/substations-1/power_kva"
    by_line = clearing(rows, account, 3_200)
    assert by_line.cost_wan[1] == min(one.cost_wan[1] for one in rows if one.account == account and one.extra >= 3_200)
    assert clearing(rows, account, 1e9) is None
    assert clearing(rows, account, 3_200, by_year=2026) is None


def test_every_upgrade_is_a_row_with_its_source():
    table = frame(expansions(world(), BOOK))
    assert set(table["unit"]) == {"kva", "m3d", "td"}
    assert (table[["extra", "cost_low_wan", "cost_wan", "cost_high_wan"]] > 0).all(axis=None)
    assert table["source"].str.len().min() > 0


# --- trenches ----------------------------------------------------------------------------------------


def ways(*sites, codes=None):
    made = Surface(np.zeros((40, 40), dtype=np.uint16) if codes is None else codes, 0.0, 800.0, 20.0)
    reached = accumulate(made, PRICES, "water", [shapely.Point(10, 790)])
    return [reached.route(shapely.Point(*site)) for site in sites]


def test_a_common_stretch_is_dug_once_and_paid_by_all_alike():
    near, far = ways((210, 790), (410, 790))  # the far way passes the near site: 200 m in common, 200 m of its own
    found = shared_costs([near, far], PRICES, [65.0, 65.0])
    assert found.alone.tolist() == pytest.approx([13, 26])
    assert found.share.tolist() == pytest.approx([6.5, 19.5])
    assert found.union == pytest.approx(26)
    assert found.saved == pytest.approx(13)


def test_what_one_needs_wider_than_the_others_it_pays_alone():
    near, far = ways((210, 790), (410, 790))
    found = shared_costs([near, far], PRICES, [65.0, 95.0])
    assert found.share.tolist() == pytest.approx([6.5, 6.5 + 6 + 19])
    assert found.union == pytest.approx(0.4 * 95)


def test_no_way_costs_nothing():
    assert shared_costs([], PRICES, []).union == 0.0


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), min_size=1, max_size=7),
    st.data(),
)
def test_shares_add_up_to_the_union_and_nobody_pays_more_than_alone(seed, cells, data):
    codes = np.random.default_rng(seed).integers(0, 16, (40, 40)).astype(np.uint16)
    routes = ways(*((20 * x + 10, 20 * y + 10) for x, y in cells), codes=codes)
    base = data.draw(st.lists(st.sampled_from([50.0, 65.0, 95.0]), min_size=len(routes), max_size=len(routes)))
    found = shared_costs(routes, PRICES, base)
    stretches: dict[tuple, float] = {}
    for route, price in zip(routes, base, strict=True):
        at = list(zip(route.row.tolist(), route.column.tolist(), strict=True))
        weight = route.weights(PRICES)
        for n, (a, b) in enumerate(itertools.pairwise(at)):
            wan = np.hypot(a[0] - b[0], a[1] - b[1]) * 20 * (weight[n] + weight[n + 1]) / 2 * price / 1000
            key = tuple(sorted((a, b)))
            stretches[key] = max(stretches.get(key, 0.0), wan)
    assert found.share.sum() == pytest.approx(sum(stretches.values()))
    assert found.union == pytest.approx(sum(stretches.values()))
    assert (found.share <= found.alone + 1e-9).all()
    assert (found.share >= 0).all()
