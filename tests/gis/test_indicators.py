"""The control indicators of industrial land: by hand, unknown where no table is loaded, and as a county loads it."""

from dataclasses import replace

import pytest

from gis.check import check, rulebook
from gis.explain import findings, verdict
from gis.indicators import INDICATORS, LIMITS, Limits, why_no_limit, with_indicators
from gis.judge import Verdict
from gis.needs import NEEDS, measure_needs
from layers.errors import BadInput
from layers.records import AnnualOutput, Industry, Project
from tests.worlds import SITE, kind_world

BOOK = rulebook()
TABLE_2023 = [
    {"indicator": "floor_area_ratio", "code_prefix": "30", "value": "0.7", "source": "县局转发 2023 年表"},
    {"indicator": "floor_area_ratio", "code_prefix": "3011", "value": "0.5", "source": "县局转发 2023 年表"},
    {"indicator": "investment_wan_per_ha", "code_prefix": "*", "value": 1_500, "source": "县局转发 2023 年表"},
    {"indicator": "output_wan_per_ha", "code_prefix": "*", "value": 3_000, "source": "县定"},
    {"indicator": "tax_wan_per_ha", "code_prefix": "*", "value": 150, "source": "县定"},
]


def confirmed(book):
    return book.confirmed([{"rule": r.id, "document": "县定文号", "date": "2026-01-01"} for r in book.rules])


# 2 ha; floor 16,000 (0.8), footprint 8,000 (40 %), office land 1,400 (7 %), office floor 2,400 (15 %)
PLANT = Project(
    id="p",
    land_m2=20_000,
    industry=Industry(code="3021"),
    floor_area_m2=16_000,
    building_footprint_m2=8_000,
    office_land_m2=1_400,
    office_floor_m2=2_400,
    investment_wan=3_000,
    output_wan=5_000,
    tax_wan=300,
)


def found(project, rule, book=BOOK, purpose="supply"):
    checked = check([SITE], project, confirmed(book), kind_world(), purpose=purpose)
    return next(one for one in findings(checked, 0, 0) if one.rule == rule)


def test_the_seven_are_worked_out_on_the_project_land():
    needs = measure_needs([PLANT], BOOK)
    assert {name: float(needs[name].lo[0]) for name in INDICATORS} == pytest.approx(
        {
            "floor_area_ratio": 0.8,
            "building_coverage_share": 0.4,
            "office_land_share": 0.07,
            "office_floor_share": 0.15,
            "investment_wan_per_ha": 1_500.0,
            "output_wan_per_ha": 2_500.0,
            "tax_wan_per_ha": 150.0,
        }
    )


@pytest.mark.parametrize(
    ("rule", "field", "good", "bad"),
    [
        ("indicator.coverage", "building_footprint_m2", 8_000, 7_999),
        ("indicator.office", "office_land_m2", 1_399, 1_401),
        ("indicator.office_floor", "office_floor_m2", 2_399, 2_401),
    ],
)
def test_a_share_that_is_known_passes_fails_and_is_unknown(rule, field, good, bad):
    assert found(PLANT.model_copy(update={field: float(good)}), rule).status == "pass"
    assert found(PLANT.model_copy(update={field: float(bad)}), rule).status == "fail"
    silent = found(PLANT.model_copy(update={field: None}), rule)
    assert silent.status == "unknown"
    assert field in silent.message["zh"]


@pytest.mark.parametrize(
    ("rule", "legacy"),
    [("indicator.floor_area_ratio", "0.7"), ("indicator.investment", "440–1555"), ("indicator.tax", None)],
)
def test_what_nobody_has_seen_is_unknown_with_the_superseded_figure_beside_it(rule, legacy):
    finding = found(PLANT, rule)
    assert (finding.status, finding.limit) == ("unknown", None)
    assert "2023 版控制指标表未加载" in finding.message["zh"]
    assert "the 2023 table is not loaded" in finding.message["en"]
    assert ("2008" in finding.message["zh"]) is (legacy is not None)
    assert legacy is None or f"旧值 {legacy}，仅供参考" in finding.message["zh"]


def test_the_superseded_edition_judges_nothing():
    limits = Limits(BOOK.tables)
    for code in ("13", "1530", "3021", "3140", "2922"):
        project = PLANT.model_copy(update={"industry": Industry(code=code)})
        assert limits.limit("floor_area_ratio", project) is None
        assert limits.legacy("floor_area_ratio", project) is not None
    assert limits.limit("building_coverage_share", PLANT) == 0.4  # not the 0.3 of 2008
    crowded = PLANT.model_copy(update={"floor_area_m2": 1e6})
    assert found(crowded, "indicator.floor_area_ratio").status == "unknown"


def test_the_three_mandatory_leave_the_answer_open_and_the_advisory_three_do_not():
    only = [r for r in BOOK.rules if r.id.startswith("indicator.")]
    mandatory = replace(confirmed(BOOK), rules=tuple(r for r in confirmed(BOOK).rules if r.id in {o.id for o in only}))
    good = PLANT.model_copy(update={"office_floor_m2": 2_000.0, "office_land_m2": 1_000.0})
    assert verdict(check([SITE], good, mandatory, kind_world(), purpose="supply"), 0, 0) is Verdict.UNDETERMINED
    assert verdict(check([SITE], good, mandatory, kind_world(), purpose="entry"), 0, 0) is Verdict.CLEAR
    assert {r.severity for r in only if r.id in ("indicator.investment", "indicator.output", "indicator.tax")} == {
        "warn"
    }


def test_a_county_loads_the_table_and_the_answer_is_known():
    book = with_indicators(BOOK, TABLE_2023)
    assert (found(PLANT, "indicator.floor_area_ratio", book).status) == "pass"
    assert found(PLANT, "indicator.floor_area_ratio", book).limit == 0.7
    low = PLANT.model_copy(update={"floor_area_m2": 13_999.0})
    assert found(low, "indicator.floor_area_ratio", book).status == "fail"
    kiln = low.model_copy(update={"industry": Industry(code="C3011")})
    assert found(kiln, "indicator.floor_area_ratio", book).limit == 0.5  # the longest prefix
    assert found(PLANT, "indicator.investment", book).status == "pass"
    assert found(PLANT, "indicator.output", book).status == "fail"
    assert found(PLANT, "indicator.tax", book).status == "pass"
    other = PLANT.model_copy(update={"industry": Industry(code="1530")})
    assert found(other, "indicator.floor_area_ratio", book).status == "unknown"  # no row of it was loaded
    assert book.digest != BOOK.digest
    assert with_indicators(BOOK, []).digest == BOOK.digest


def test_a_countys_row_stands_in_for_the_shipped_one():
    row = {"indicator": "office_land_share", "code_prefix": "*", "value": 0.05, "source": "县定"}
    book = with_indicators(BOOK, [row])
    assert found(PLANT, "indicator.office", book).limit == 0.05
    finer = with_indicators(BOOK, [row | {"code_prefix": "30"}])
    assert found(PLANT, "indicator.office", finer).limit == 0.05
    assert found(PLANT.model_copy(update={"industry": Industry(code="1530")}), "indicator.office", finer).limit == 0.07


def test_every_fault_of_a_table_is_named_at_once():
    bad = [
        {"indicator": "green_share", "code_prefix": "30", "value": "0.2", "source": "x"},
        {"indicator": "floor_area_ratio", "code_prefix": "C30", "value": "0.7", "source": "x"},
        {"indicator": "floor_area_ratio", "code_prefix": "30", "value": "", "source": "x"},
        {"indicator": "office_land_share", "code_prefix": "*", "value": "7", "source": "x"},
        {"indicator": "floor_area_ratio", "code_prefix": "31", "value": "0.6", "source": ""},
        {"indicator": "floor_area_ratio", "code_prefix": "32", "value": "0.6", "source": "x", "edition": "2008"},
        {"indicator": "tax_wan_per_ha", "code_prefix": "*", "value": "nan", "source": "x"},
        *[{"indicator": "floor_area_ratio", "code_prefix": "33", "value": "0.7", "source": "x"}] * 2,
    ]
    with pytest.raises(BadInput) as refused:
        with_indicators(BOOK, bad)
    assert [(f.feature, f.field) for f in refused.value.faults] == [
        ("row 1", "indicator"),
        ("row 2", "code_prefix"),
        ("row 3", "value"),
        ("row 4", "value"),
        ("row 5", "source"),
        ("row 6", "edition"),
        ("row 7", "value"),
        (None, "indicator"),
    ]


def test_estimated_land_makes_an_indicator_an_interval():
    # 300 t of tea: 3,000 to 7,500 m2, so that a footprint of 2,000 m2 covers 27 to 67 %
    made = AnnualOutput(amount=300, unit="t")
    tea = Project(id="t", industry=Industry(code="1530"), annual_output=made, building_footprint_m2=2_000)
    column = measure_needs([tea], BOOK)["building_coverage_share"]
    assert (column.lo[0], column.hi[0]) == pytest.approx((2_000 / 7_500, 2_000 / 3_000))
    assert found(tea, "indicator.coverage").status == "unknown"
    full = found(tea.model_copy(update={"building_footprint_m2": 3_000.0}), "indicator.coverage")  # 40 % and more
    assert (full.status, full.value_bound, full.value) == ("pass", "at_least", pytest.approx(0.4))
    assert "估算" in full.message["zh"]
    assert found(tea.model_copy(update={"building_footprint_m2": 1_199.0}), "indicator.coverage").status == "fail"


def test_every_limit_is_a_column_and_says_why_it_is_missing():
    assert set(LIMITS) <= set(NEEDS)
    assert set(INDICATORS) <= set(NEEDS)
    assert why_no_limit("power_kva", PLANT, BOOK) is None
    for column in LIMITS:
        assert why_no_limit(column, PLANT, BOOK) is not None


def test_mining_is_no_manufacturing():
    mine = PLANT.model_copy(update={"industry": Industry(code="0610")})
    assert found(mine, "indicator.floor_area_ratio").status == "exempt"
