"""Every rule of the networks: a world where it passes, one where it fails, one where nobody can know."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from gis.check import check, rulebook
from gis.explain import findings
from gis.judge import Status
from gis.network import can_feed, headroom_of, serve
from gis.network_report import report
from gis.remedies import remedy
from gis.routes import accumulate
from gis.surface import Prices, surface
from layers.gpkg import create
from layers.ingest import from_frame
from layers.records import Project
from tests.worlds import MemoryWorld, grid, kind_world, layer

BOOK = rulebook().confirmed(
    [{"rule": rule.id, "document": "试字1号", "date": "2026-01-01"} for rule in rulebook().rules]
)
SITE = shapely.box(0, 0, 100, 100)
PLANT = Project(id="x", land_m2=1e4, power_kva=4_000, water_m3d=800, effluent_m3d=300, freight_td=250, dual_supply=True)
PASS, FAIL, UNKNOWN = Status.PASS, Status.FAIL, Status.UNKNOWN


def stations(*rows, **more):
    """(x, kV) ..."""
    points = [shapely.Point(x, 0) for x, _ in rows]
    return layer("substations", points, voltage_kv=[kv for _, kv in rows], **more)


def village(**says):
    """A village road from the gate to a provincial road a kilometre north."""
    columns = {"grade_share": 0.06, "width_m": 5.0, "bridge_limit_t": 55.0, "road_class": "county"} | says
    lines = [shapely.LineString([(110, 50), (110, 1_000)]), shapely.LineString([(-9_000, 1_000), (9_000, 1_000)])]
    trunk = {"grade_share": 0.03, "width_m": 9.0, "bridge_limit_t": 55.0, "road_class": "provincial"}
    return layer("roads", lines, **{name: [value, trunk[name]] for name, value in columns.items()})


def world(pools=None, **changes):
    one = kind_world(
        **{
            "substations": stations((3_000, 35), (5_000, 110)),
            "roads": village(),
            "water_mains": layer("water_mains", [shapely.LineString([(150, 0), (150, 900)])], diameter_mm=[300.0]),
            "water_sources": layer("water_sources", [shapely.Point(2_000, 0)], head_m=[40.0]),
        }
        | changes
    )
    balances = {
        "capacity__substations-1__power_kva": 5_000.0,
        "capacity__substations-2__power_kva": 9_000.0,
        "capacity__roads-1__freight_td": 900.0,
        "capacity__roads-2__freight_td": 9_000.0,
    }
    return one.with_pools(**(balances | (pools or {})))


NO_MAIN = layer("water_mains", [shapely.LineString([(9_000, 0), (9_000, 900)])], diameter_mm=[300.0])
GAP = layer(
    "roads",
    [shapely.LineString([(110, 50), (110, 900)]), shapely.LineString([(-9_000, 1_000), (9_000, 1_000)])],
    road_class=["county", "provincial"],
)
HOLE = grid(np.full((500, 500), np.nan), west=-5_000, north=5_000, cell_m=20.0)


def one_rule(made, rule, project=PLANT):
    checked = check([SITE], project, BOOK, made, purpose="entry")
    row = next(n for n, one in enumerate(checked.rules) if one.id == rule)
    return Status(int(checked.status[row, 0, 0])), checked, row


CASES = [
    ("road.trunk", world(), PASS),
    ("road.trunk", world(roads=layer("roads", [
        shapely.LineString([(110, 50), (110, 20_000)]), shapely.LineString([(-9_000, 20_000), (9_000, 20_000)])
    ], road_class=["county", "provincial"])), FAIL),
    ("road.trunk", world(roads=GAP), UNKNOWN),
    ("road.grade", world(), PASS),
    ("road.grade", world(roads=village(grade_share=0.12)), FAIL),
    ("road.grade", world(roads=village(grade_share=None)), UNKNOWN),
    ("road.width", world(), PASS),
    ("road.width", world(roads=village(width_m=3.5)), FAIL),
    ("road.width", world(roads=village(width_m=None)), UNKNOWN),
    ("road.bridge", world(), PASS),
    ("road.bridge", world(roads=village(bridge_limit_t=12.0)), FAIL),
    ("road.bridge", world(roads=village(bridge_limit_t=None)), UNKNOWN),
    ("road.trucks", world(), PASS),  # 250 t/d are 20 passages; a county road takes 600
    ("road.trucks", world(roads=village(road_class="village")), PASS),  # and a village road 40
    ("road.trucks", world(roads=village(road_class=None)), PASS),  # even the lowest class takes them
    ("road.headroom", world(), PASS),
    ("road.headroom", world({"capacity__roads-1__freight_td": 249.0}), FAIL),
    ("road.headroom", world({"capacity__roads-1__freight_td": np.nan}), UNKNOWN),
    ("power.reach", world(), PASS),
    ("power.reach", world({
        "capacity__substations-1__power_kva": 1.0, "capacity__substations-2__power_kva": 1.0
    }), FAIL),
    ("power.reach", world({
        "capacity__substations-1__power_kva": np.nan, "capacity__substations-2__power_kva": np.nan
    }), UNKNOWN),
    ("power.dual", world(), PASS),
    ("power.dual", world({"capacity__substations-2__power_kva": 3_999.0}), FAIL),
    ("power.dual", world({"capacity__substations-2__power_kva": np.nan}), UNKNOWN),
    ("water.head", world(), PASS),  # 40 m less 10 of friction over the 1.9 km
    ("water.head", world(water_sources=layer("water_sources", [shapely.Point(2_000, 0)], head_m=[12.0])), FAIL),
    ("water.fire", world(), PASS),
    ("water.fire", world(water_mains=NO_MAIN), FAIL),
    ("water.fire", world().without("water_mains"), UNKNOWN),
    ("effluent.reach", world(), PASS),
    ("effluent.reach", world({"capacity__wastewater_plants-1__effluent_m3d": 1.0}), FAIL),
    ("effluent.reach", world({"capacity__wastewater_plants-1__effluent_m3d": np.nan}), UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "made", "expected"), CASES, ids=[f"{rule}-{said.name}" for rule, _, said in CASES])
def test_each_rule_passes_fails_and_does_not_know(rule, made, expected):
    assert one_rule(made, rule)[0] is expected


def test_more_trucks_than_the_class_takes_fail_and_an_unknown_class_is_unknown():
    many = PLANT.model_copy(update={"freight_td": 600.0})  # 48 passages
    assert one_rule(world(roads=village(road_class="village")), "road.trucks", many)[0] is FAIL
    assert one_rule(world(roads=village(road_class=None)), "road.trucks", many)[0] is UNKNOWN


def test_a_height_that_is_missing_leaves_the_head_unknown():
    made = world()
    holed = MemoryWorld(
        *(made.near(role, ()) for role in made.roles if role != "dem"), rasters=[HOLE], pools=made.pools()
    )
    assert one_rule(holed, "water.head")[0] is UNKNOWN


def test_the_peak_month_decides_for_a_seasonal_plant():
    seasonal = PLANT.model_copy(update={"water_m3d": 300.0, "water_peak_m3d": 1_000.0})  # 900 are left
    assert one_rule(world(), "water.headroom", PLANT.model_copy(update={"water_m3d": 300.0}))[0] is PASS
    assert one_rule(world(), "water.headroom", seasonal)[0] is FAIL


def test_a_high_voltage_load_is_served_where_its_voltage_is():
    big = PLANT.model_copy(update={"power_kva": 45_000.0, "dual_supply": None})  # 110 kV by the class table
    room = {"capacity__substations-1__power_kva": 9e4, "capacity__substations-2__power_kva": 9e4}
    _, checked, _ = one_rule(world(room), "power.reach", big)
    assert checked.meetings["power_serving_m"].hi[0, 0] == 4_900  # the far one: the near one has 35 kV only
    blind = world(room, substations=stations((3_000, None), (5_000, None)))
    assert one_rule(blind, "power.reach", big)[0] is UNKNOWN
    assert one_rule(blind, "power.reach")[0] is PASS  # 4,000 kVA: every station has a 10 kV side


def test_a_station_without_a_free_bay_serves_nobody():
    fit = can_feed(stations((0, 35), (1, 35), bays_free=[0, None]), np.array([10.0]))
    assert fit[0].ravel().tolist() == [False, True]
    found = serve(np.array([[1.0, 2.0]]), np.array([9.0, 9.0]), np.array([5.0]), np.array([9.0]), np.array([99.0]), fit)
    assert (found.distance_m.hi[0, 0], found.count.lo[0, 0]) == (2, 1)


def test_headroom_is_the_least_of_the_facilities_upstream():
    pools = {"capacity/substations-1/power_kva": 100.0, "capacity/substations-2/power_kva": 50.0}
    fed = stations((0, 35), (1, 110), feeds_from=["substations-2", None])
    assert headroom_of(fed, pools, "power_kva").tolist() == [50, 50]
    assert np.isnan(headroom_of(fed, {"capacity/substations-2/power_kva": 50.0}, "power_kva")[0])
    circle = stations((0, 35), (1, 110), feeds_from=["substations-2", "substations-1"])
    assert headroom_of(circle, pools, "power_kva").tolist() == [50, 50]  # a circle comes to an end


# --- by year ---------------------------------------------------------------------------------------------


def test_a_year_before_a_planned_station_opens_gives_the_other_answer(tmp_path):
    store = create(tmp_path / "county.gpkg", "试验县", "EPSG:4545")
    at = (560_000.0, 3_105_000.0)
    frame = gpd.GeoDataFrame(
        {"id": ["SS"], "name": ["合水变电站"], "voltage_kv": [110.0], "open_year": [2028]},
        geometry=[shapely.Point(at[0] + 900, at[1])], crs=4545,
    )  # fmt: skip
    around = shapely.box(at[0] - 4e4, at[1] - 4e4, at[0] + 4e4, at[1] + 4e4)
    store.put(from_frame(frame, "substations", source="tests", extent=around), by="tests")
    site = shapely.box(at[0], at[1], at[0] + 100, at[1] + 100)
    found = {}
    for year in (2027, 2028):
        asked = store.at(None, year)
        asked._pools = {"capacity/SS/power_kva": 50_000.0}
        checked = check([site], PLANT, BOOK, asked, purpose="entry")
        row = next(n for n, one in enumerate(checked.rules) if one.id == "power.reach")
        found[year] = Status(int(checked.status[row, 0, 0]))
    store.close()
    assert found == {2027: FAIL, 2028: PASS}


# --- what would make it pass ------------------------------------------------------------------------------


def said(made, rule, project=PLANT):
    status, checked, row = one_rule(made, rule, project)
    assert status is FAIL
    return remedy(checked, checked.rules[row], 0, 0, checked.ground(0))


def test_a_shortage_names_the_station_the_gap_and_the_upgrade():
    rich = stations((3_000, 35), capacity_kva=[10_000.0], transformers=[1], name=["合水变电站"])
    found = said(world({"capacity__substations-1__power_kva": 800.0}, substations=rich), "power.headroom")
    assert "short by 3,200 kVA at 合水变电站" in found["en"]
    assert "one more transformer of 10 MVA (+4,000; assumption: about 400 万元, 250-600; 2028) clears it" in found["en"]
    assert "合水变电站还差 3,200 kVA" in found["zh"]
    poor = stations((3_000, 35), name=["合水变电站"])
    assert (
        "no upgrade"
        in said(world({"capacity__substations-1__power_kva": 800.0}, substations=poor), "power.reach")["en"]
    )


def test_a_shortage_is_that_of_a_station_within_reach_however_much_a_far_one_has():
    two = stations((3_000, 35), (900_000, 110), name=["合水变电站", "远方变电站"])
    left = {"capacity__substations-1__power_kva": 800.0, "capacity__substations-2__power_kva": 3_900.0}
    assert "short by 3,200 kVA at 合水变电站" in said(world(left, substations=two), "power.headroom")["en"]


def test_a_weak_bridge_is_named_with_its_limit():
    found = said(world(roads=village(bridge_limit_t=12.0)), "road.bridge")
    assert "12 t limit at a bridge of roads-1" in found["en"]


def test_low_pressure_asks_for_a_pump_and_a_far_main_for_a_pond():
    low = world(water_sources=layer("water_sources", [shapely.Point(2_000, 0)], head_m=[12.0]))
    assert "lift it by 8 m" in said(low, "water.head")["en"]  # 12 - 9.5 of friction leave 2.5 of the 10
    assert "108-486 m³" in said(world(water_mains=NO_MAIN), "water.fire")["en"]


def test_a_full_road_names_what_it_lacks():
    assert "short by 1 t/d at roads-1" in said(world({"capacity__roads-1__freight_td": 249.0}), "road.headroom")["en"]


def test_every_finding_of_the_networks_points_at_its_way():
    checked = check([SITE], PLANT, BOOK, world(roads=village(bridge_limit_t=12.0)), purpose="entry")
    found = {one.rule: one for one in findings(checked, 0, 0)}
    assert found["road.bridge"].features == ("roads-1",)
    assert found["road.bridge"].evidence.length == pytest.approx(10 + 900, abs=101)


def test_a_kept_way_is_the_evidence_and_no_verdict_depends_on_it():
    made = world({"capacity__substations-1__power_kva": 100.0, "capacity__substations-2__power_kva": 100.0})
    prices, under = Prices.of(BOOK), surface(made)

    def routes(utility, role, facility):
        found = made.near(role, ())
        at = list(found.column("id")).index(facility)
        return accumulate(under, prices, utility, list(found.pieces[found.owner == at]))

    bare = check([SITE], PLANT, BOOK, made, purpose="entry")
    drawn = check([SITE], PLANT, BOOK, made, purpose="entry", routes=routes)
    assert (bare.status == drawn.status).all()
    lines = [next(f for f in findings(one, 0, 0) if f.rule == "power.headroom").evidence for one in (bare, drawn)]
    assert len(lines[0].coords) == 2
    assert len(lines[1].coords) > 100


# --- bad input: named, and the rest works ------------------------------------------------------------------


def test_what_is_wrong_with_facilities_is_named_by_feature():
    made = world(
        substations=stations(
            (3_000, None), (5_000, 110), capacity_kva=[-5.0, 1_000.0], load_kva=[0.0, 2_000.0], transformers=[1, 2],
            feeds_from=["nowhere", "substations-2"],
        ),
        roads=GAP,
    )  # fmt: skip
    found = {(one["role"], one["kind"], one["feature"]) for one in report(made).breaks}
    assert {
        ("substations", "no voltage_kv", "substations-1"),
        ("substations", "negative capacity_kva", "substations-1"),
        ("substations", "one transformer", "substations-1"),
        ("substations", "feeds_from unknown", "substations-1"),
        ("substations", "load_kva over capacity_kva", "substations-2"),
        ("substations", "feeds itself", "substations-2"),
        ("roads", "unconnected part", "roads-1"),
    } <= found
    assert check([SITE], PLANT, BOOK, made, purpose="entry").verdict.shape == (1, 1)


def test_a_station_with_more_transformers_than_its_line_carries_is_named():
    fed = stations((0, 35), (9_000, 110), capacity_kva=[20_000.0, 100_000.0], feeds_from=["substations-2", None])
    run = [shapely.LineString([(0, 0), (9_000, 0)])] * 2

    def kinds(limits, ends):
        lines = layer("power_lines", run, limit_kva=limits, from_id=["substations-2"] * 2, to_id=ends)
        return [one["note"] for one in report(world(substations=fed, power_lines=lines)).breaks
                if one["kind"] == "weak feeding line"]  # fmt: skip

    both = ["substations-1", "substations-1"]
    assert kinds([9_000.0, 8_000.0], both) == ["its lines from substations-2 carry 17,000 kVA of its 20,000"]
    assert kinds([12_000.0, 8_000.0], both) == []
    assert len(kinds([12_000.0, 8_000.0], ["substations-1", "elsewhere"])) == 1  # only what leads there counts
    assert kinds([9_000.0, None], both) == []  # nobody knows


def test_raw_water_feeds_works_and_no_plant():
    """A reservoir beside the site hands nothing out, however much it holds."""
    points = [shapely.Point(300, 0), shapely.Point(2_000, 0)]

    def made(kinds):
        sources = layer("water_sources", points, kind=kinds, head_m=[90.0, 40.0])
        return world({f"capacity__water_sources-{n}__water_m3d": left for n, left in ((1, 9_000.0), (2, 500.0))},
                     water_sources=sources)  # fmt: skip

    for rule in ("water.headroom", "water.head"):
        assert one_rule(made(["reservoir", "works"]), rule)[0] is FAIL
        assert one_rule(made(["works", "works"]), rule)[0] is PASS
        assert one_rule(made([None, "works"]), rule)[0] is PASS


def test_a_report_lists_what_is_planned():
    made = world(substations=stations((3_000, 35), (5_000, 110), open_year=[None, 2028]))
    assert report(made).planned == [
        {"role": "substations", "feature": "substations-2", "name": "substations-2", "open_year": 2028}
    ]
