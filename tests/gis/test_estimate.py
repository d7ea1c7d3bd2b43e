"""What a plant draws, worked out from its yearly output by hand, and what an estimate may and may not decide."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gis.check import check, rulebook
from gis.estimate import CONFIDENCE, FIELDS, UNITS, Demands, estimate
from gis.explain import findings, verdict
from gis.judge import Status, Verdict
from gis.meetings import industries_of
from gis.needs import NEEDS, estimated_needs, measure_needs, traits_of
from layers.errors import BadInput
from layers.records import AnnualOutput, Industry, Phase, Project
from tests.worlds import SITE, kind_world, layer

BOOK = rulebook()
CONFIRMED = BOOK.confirmed([{"rule": r.id, "document": "县定文号", "date": "2026-01-01"} for r in BOOK.rules])
DEMANDS = BOOK.tables["industry_demand"]


def plant(name: str, code: str, amount: float, unit: str = "t", product: str | None = None, **more) -> Project:
    made = AnnualOutput(amount=amount, unit=unit, product=product)
    return Project(id=name, name=name, industry=Industry(code=code), annual_output=made, **more)


def found(project, rule, world, book=CONFIRMED, purpose="screening"):
    checked = check([SITE], project, book, world, purpose=purpose)
    return next(one for one in findings(checked, 0, 0) if one.rule == rule)


EMM = plant("年产3万吨电解金属锰", "C3140", 30_000)
CEMENT = plant("100万吨水泥", "C3011", 1_000_000)
STARCH = plant("红薯淀粉加工", "C1391", 5_000)
TEA = plant("精制茶", "C1530", 800, dust=False, hazardous=False)


# --- by hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("project", "field", "value", "low", "high"),
    [
        # 30 kt x 6,900 kWh = 207 GWh; over 7,920 h 26.1 MW; at cos phi 0.92 28.4 MVA
        (EMM, "power_kva", 207e6 / 7_920 / 0.92, 180e6 / 7_920 / 0.95, 225e6 * 1.1 / 7_200 / 0.90),
        (EMM, "water_m3d", 90_000 / 330, 45_000 / 350, 150_000 / 300),
        (EMM, "freight_td", 540_000 / 330, 450_000 / 350, 720_000 / 300),
        (EMM, "effluent_m3d", 15_000 / 330, 0, 60_000 / 300),
        (EMM, "solid_waste_td", 210_000 / 330, 150_000 / 350, 300_000 / 300),
        (EMM, "land_m2", 300_000, 180_000, 450_000),
        # 1 Mt x 88 kWh = 88 GWh over 6,500 h = 13.5 MW
        (CEMENT, "power_kva", 88e6 / 6_500 / 0.92, 75e6 / 7_000 / 0.95, 98e6 * 1.2 / 6_000 / 0.90),
        (CEMENT, "freight_td", 2e6 / 330, 1.6e6 / 350, 2.6e6 / 300),
        # 70,000 m3 in a campaign of 75 days; two fifths of it in one month of 30 days
        (STARCH, "water_m3d", 70_000 / 75, 40_000 / 90, 125_000 / 60),
        (STARCH, "water_peak_m3d", 0.4 * 70_000 / 30, 0.33 * 40_000 / 30, 0.5 * 125_000 / 30),
        (STARCH, "effluent_m3d", 0.4 * 65_000 / 30, 0.33 * 40_000 / 30, 0.5 * 120_000 / 30),
        # tea: 800 m3 a year are 4 m3 a working day and 8 in the spring month
        (TEA, "water_m3d", 4, 400 / 240, 2_400 / 150),
        (TEA, "water_peak_m3d", 8, 0.2 * 400 / 30, 0.45 * 2_400 / 30),
    ],
    ids=lambda one: one.name if isinstance(one, Project) else None,
)
def test_an_estimate_is_the_sum_done_by_hand(project, field, value, low, high):
    one = next(one for one in estimate(project, BOOK).estimates if one.field == field)
    assert (one.value, one.low, one.high) == pytest.approx((value, low, high))
    assert one.source
    assert one.confidence in CONFIDENCE
    assert one.unit == field.rpartition("_")[2]


def test_207_gwh_of_manganese_are_about_28_mva():
    power = next(one for one in estimate(EMM, BOOK).estimates if one.field == "power_kva")
    assert power.value == pytest.approx(28_400, rel=0.01)
    assert "30,000 t/a × electricity 6,900 (6,000–7,500) kWh/t" in power.basis


def test_a_trade_without_a_season_has_no_peak_month():
    assert "water_peak_m3d" not in {one.field for one in estimate(EMM, BOOK).estimates}


@pytest.mark.parametrize(("amount", "unit"), [(3, "万吨"), (30, "kt"), (30_000, "吨"), (0.03, "Mt"), (3e7, "kg")])
def test_the_same_output_in_another_unit_is_the_same_plant(amount, unit):
    other = plant(EMM.name, "3140", amount, unit)
    assert [one.value for one in estimate(other, BOOK).estimates] == pytest.approx(
        [one.value for one in estimate(EMM, BOOK).estimates]
    )


# --- what is said, what is not ---------------------------------------------------------------------


def test_what_the_project_says_is_never_touched():
    said = plant(EMM.name, "3140", 30_000, power_kva=1.0, land_m2=9.0)
    made = estimate(said, BOOK)
    assert {"power_kva", "land_m2"}.isdisjoint(one.field for one in made.estimates)
    assert (made.project.power_kva, made.low.power_kva, made.high.power_kva) == (1.0, 1.0, 1.0)
    phased = plant(EMM.name, "3140", 30_000, phases=(Phase(land_m2=4_000, power_kva=5.0),) * 2)
    assert "power_kva" not in {one.field for one in estimate(phased, BOOK).estimates}
    assert measure_needs([phased], BOOK)["power_kva"].hi.tolist() == [10.0]
    assert measure_needs([phased], BOOK)["land_m2"].hi.tolist() == [8_000.0]


@pytest.mark.parametrize(
    "project",
    [
        Project(id="x", land_m2=8_000, industry=Industry(code="3140")),  # no output
        Project(id="x", annual_output=AnnualOutput(amount=1, unit="t")),  # no industry
        plant("某厂", "3140", 30_000),  # ferro-alloys share the code
        plant("年产3万吨硅铁", "3140", 30_000),
        plant("电解金属锰", "3140", 30_000, product="硅铁"),
        plant("某厂", "3021", 300_000, "m3", product="预制管桩"),  # its class has figures, of another product
        plant("电解金属锰", "3140", 30_000, "m3"),  # not counted so
        plant("电解金属锰", "31", 30_000),  # too coarse
        plant("煤", "0610", 30_000),  # nobody has figures
    ],
)
def test_without_figures_that_fit_unknown_stays_unknown(project):
    assert estimate(project, BOOK).estimates == ()
    needs = measure_needs([project], BOOK)
    assert np.isnan(needs["power_kva"].lo).all()
    assert verdict(check([SITE], project, CONFIRMED, kind_world()), 0, 0) >= Verdict.UNDETERMINED
    assert "power_kva" in found(project, "power.headroom", kind_world()).message["zh"]


def test_one_of_land_and_output_is_needed():
    with pytest.raises(ValidationError, match="land_m2"):
        Project(id="x")
    assert Project(id="x", annual_output=AnnualOutput(amount=1, unit="t")).land_m2 is None


def test_a_unit_nobody_knows_is_refused_with_its_field():
    with pytest.raises(BadInput) as refused:
        measure_needs([EMM, plant("一", "3140", 1, "cartload")], BOOK)
    (fault,) = refused.value.faults
    assert (fault.feature, fault.field) == ("一", "annual_output.unit")


def test_the_longest_name_decides_between_products_of_a_class():
    mill = next(o for o in estimate(plant("水泥粉磨站", "3011", 1e6), BOOK).estimates if o.field == "power_kva")
    kiln = next(o for o in estimate(CEMENT, BOOK).estimates if o.field == "power_kva")
    assert mill.value < kiln.value / 1.5


def test_a_book_from_before_the_table_estimates_nothing():
    old = replace(BOOK, tables={name: table for name, table in BOOK.tables.items() if name != "industry_demand"})
    assert estimate(EMM, old).estimates == ()


# --- what an estimate decides ----------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    headroom=st.floats(100, 3_000),
    water=st.floats(1, 60),
    amount=st.floats(50, 3_000),
    far_m=st.floats(100, 30_000),
    share=st.floats(0, 1),
)
def test_an_estimate_passes_only_what_every_plant_in_its_range_passes(headroom, water, amount, far_m, share):
    world = (
        kind_world(substations=layer("substations", [far_point(300), far_point(far_m)]))
        .with_pools(**{"capacity__substations-1__power_kva": headroom, "capacity__substations-2__power_kva": 1e5})
        .with_pools(**{"capacity__water_sources-1__water_m3d": water})
    )
    project = plant("精制茶", "1530", amount, dust=False, hazardous=False, investment_wan=500.0)
    made = estimate(project, BOOK)
    between = made.project.model_copy(
        update={one.field: one.low + share * (one.high - one.low) for one in made.estimates} | {"annual_output": None}
    )
    guess = check([SITE], project, CONFIRMED, world, purpose="entry")
    truth = check([SITE], between, CONFIRMED, world, purpose="entry")
    for row, rule in enumerate(guess.rules):
        said, real = guess.status[row, 0, 0], truth.status[row, 0, 0]
        if said in (Status.PASS, Status.FAIL):
            assert said == real, (rule.id, said, real)
    assert guess.verdict[0, 0] >= Verdict.UNDETERMINED or guess.verdict[0, 0] == truth.verdict[0, 0]


def far_point(east_m: float) -> shapely.Point:
    return shapely.Point(100 + east_m, 50)


def test_inside_the_range_it_is_unknown_below_it_fails_above_it_passes():
    # 800 t of tea: 800 x 300 x 1.2 / 3,200 / 0.95 = 95 kVA to 800 x 2,500 x 1.6 / 1,800 / 0.90 = 1,975 kVA
    def power(left):
        world = kind_world().with_pools(**{"capacity__substations-1__power_kva": left})
        return found(TEA, "power.headroom", world)

    high, low = 800 * 2_500 * 1.6 / 1_800 / 0.90, 800 * 300 * 1.2 / 3_200 / 0.95
    assert power(high + 1).status == "pass"
    assert power(high - 1).status == "unknown"
    assert power(low + 1).status == "unknown"
    assert power(low - 1).status == "fail"
    assert power(high + 1).value == pytest.approx(high)
    assert power(high + 1).value_bound == "at_most"
    for left in (high + 1, high - 1, low - 1):
        assert "估算" in power(left).message["zh"]
        assert "estimated" in power(left).message["en"]


def test_a_rule_that_reads_no_estimate_does_not_say_so():
    checked = check([SITE], TEA, CONFIRMED, kind_world(), purpose="entry")
    said = {one.rule for one in findings(checked, 0, 0) if "估算" in one.message["zh"]}
    assert said == {
        "power.reach", "power.headroom", "water.reach", "water.headroom", "water.head", "land.enough",
        "road.grade", "road.bridge", "road.trucks", "road.headroom",
    }  # fmt: skip


def test_the_ground_an_estimate_may_need_is_the_largest():
    small = plant("精制茶", "1530", 300, dust=False, hazardous=False)  # 3,000 to 7,500 m2 on a site of 10,000
    assert found(small, "land.enough", kind_world()).status == "pass"
    assert found(TEA, "land.enough", kind_world()).status == "unknown"  # 8,000 to 20,000
    assert found(plant("精制茶", "1530", 1_100), "land.enough", kind_world()).status == "fail"  # 11,000 and more


def test_discharge_is_judged_by_the_classification_and_not_by_an_estimate_that_starts_at_zero():
    world = kind_world(water_protection=layer("water_protection", [SITE], grade=["second"]))
    assert found(EMM, "water.second", world).status == "fail"


def test_single_check_and_batch_agree_with_estimates():
    projects = [TEA, EMM, Project(id="bare", land_m2=3_000), CEMENT, STARCH]
    table = check([SITE], projects, CONFIRMED, kind_world(), purpose="entry")
    for j, project in enumerate(projects):
        cell = check([SITE], project, CONFIRMED, kind_world(), purpose="entry")
        assert (cell.status[:, 0, 0] == table.status[:, 0, j]).all()
        assert [one.message for one in findings(cell, 0, 0)] == [one.message for one in findings(table, 0, j)]
        assert [one.value for one in findings(cell, 0, 0)] == [one.value for one in findings(table, 0, j)]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", NEEDS)
def test_every_need_lies_between_what_the_ends_of_an_estimate_give(name, share):
    project = plant("精制茶", "1530", 800, investment_wan=900.0, floor_area_m2=6_000.0, office_land_m2=300.0)
    made = estimate(project, BOOK)
    between = made.project.model_copy(
        update={one.field: one.low + share * (one.high - one.low) for one in made.estimates}
    )
    column = measure_needs([project], BOOK)[name]
    value = NEEDS[name](between, traits_of(BOOK))
    assert np.isnan(column.lo[0]) if value is None else column.lo[0] <= value <= column.hi[0]


def test_which_needs_rest_on_an_estimate():
    assert estimated_needs(Project(id="x", land_m2=1), BOOK) == frozenset()
    assert estimated_needs(EMM, BOOK) == {
        "land_m2", "land_min_m2", "power_kva", "power_reach_m", "water_m3d", "water_mean_m3d", "freight_td",
        "effluent_m3d", "supply_kv", "trucks_d", "hauls",
    }  # fmt: skip


# --- the table -------------------------------------------------------------------------------------


def test_every_row_goes_from_low_to_high_and_every_product_is_counted_in_one_unit():
    low, typical, high = (DEMANDS[name].astype(float) for name in ("low", "typical", "high"))
    assert (low <= typical).all()
    assert (typical <= high).all()
    assert (high > 0).all()
    own = DEMANDS[DEMANDS["code_prefix"] != "*"]
    assert set(own["per"]) <= {unit for unit, _ in UNITS.values()}
    assert (own.groupby(["code_prefix", "product"])["per"].nunique() == 1).all()
    assert (own.groupby(["code_prefix", "product"])["of_class"].nunique() == 1).all()
    parameters = {name for up, down in FIELDS.values() for name in (*up, *down)}
    assert set(DEMANDS["parameter"]) <= parameters


def test_every_product_gives_land_power_water_and_freight():
    table = Demands(DEMANDS)
    for prefix, product, per in set(zip(DEMANDS["code_prefix"], DEMANDS["product"], DEMANDS["per"], strict=True)):
        if prefix == "*":
            continue
        one = plant("x", prefix, 1_000, per, product=product.partition("|")[0])
        assert table.product(one) == product
        fields = {made.field for made in estimate(one, BOOK).estimates}
        assert {"land_m2", "power_kva", "water_m3d", "freight_td"} <= fields, product


def test_who_has_an_effluent_figure_discharges():
    with_effluent = DEMANDS[DEMANDS["parameter"] == "effluent"]["code_prefix"]
    for prefix in with_effluent:
        assert traits_of(BOOK).of(Project(id="x", land_m2=1, industry=Industry(code=prefix)), "discharges") == 1.0


def test_the_table_can_be_another():
    row = {
        "code_prefix": "0610", "product": "原煤", "of_class": "all", "parameter": "land", "low": "1", "typical": "2",
        "high": "3", "unit": "m2", "per": "t", "source": "s", "confidence": "seen", "note": "",
    }  # fmt: skip
    book = replace(BOOK, tables={**BOOK.tables, "industry_demand": pd.DataFrame([row])})
    (one,) = estimate(plant("矿", "0610", 10), book).estimates
    assert (one.field, one.low, one.value, one.high) == ("land_m2", 10.0, 20.0, 30.0)


# --- zones meant for an industry -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "code", "status"),
    [
        ("15,26,30", "C1530", "pass"),
        ("C15、C26", "1530", "pass"),
        ("153；26", "C1530", "pass"),
        ("13-15", "C1530", "pass"),
        ("C", "C1530", "pass"),
        ("26,30", "C1530", "fail"),
        ("5,26", "C1530", "unknown"),  # 5 is no code
        ("食品加工", "C1530", "unknown"),
        ("", "C1530", "unknown"),
        (None, "C1530", "unknown"),
        ("1530", "C15", "unknown"),  # the project says less than the zone asks
        ("1530", "C153", "unknown"),
        ("B", "C1530", "fail"),
    ],
)
def test_a_zone_reads_the_codes_of_the_classification(listed, code, status):
    world = kind_world(zones=layer("zones", [SITE.buffer(1e3)], industries=[listed], unit_code=["A"]))
    project = Project(id="x", land_m2=8_000, industry=Industry(code=code))
    assert found(project, "zone.industry", world).status == status


def test_a_range_is_all_its_divisions():
    assert industries_of("C13-C15").prefixes == ("13", "14", "15")
