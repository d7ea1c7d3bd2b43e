"""Policy gates: each rule with a plant it lets through, one it stops, and one that did not say enough."""

from datetime import date

import pytest

from gis.check import check, rulebook
from gis.explain import findings, verdict
from gis.judge import Verdict
from layers.records import PURPOSES, AnnualOutput, Equipment, Industry, Project
from tests.worlds import SITE, kind_world

BOOK = rulebook()
CONFIRMED = BOOK.confirmed([{"rule": r.id, "document": "县定文号", "date": "2026-01-01"} for r in BOOK.rules])
UNLIFTED = BOOK.confirmed(
    [{"rule": r.id, "document": "县定文号", "date": "2026-01-01"} for r in BOOK.rules if r.replaces is None]
)


def plant(code, name=None, made=None, energy_tce=None, gates=None, **equipment) -> Project:
    amount, unit, product = (*made, None, None)[:3] if made else (None, None, None)
    return Project(
        id="p",
        name=name,
        land_m2=8_000,
        industry=Industry(code=code),
        power_kva=400,
        water_m3d=20,
        effluent_m3d=10,
        energy_tce=energy_tce,
        annual_output=AnnualOutput(amount=amount, unit=unit, product=product) if made else None,
        gates=gates,
        equipment=Equipment(**equipment) if equipment else None,
    )


def status_of(project, rule, book=CONFIRMED):
    purpose = next(rule_.at for rule_ in book.rules if rule_.id == rule)[-1]
    checked = check([SITE], project, book, kind_world(), purpose=purpose)
    return next(one for one in findings(checked, 0, 0) if one.rule == rule)


HELD, NONE = "黔工信产能〔2025〕1号", None
GATES = {  # rule -> the plants it passes, fails, cannot tell, and does not concern
    "gate.capacity_cement": (
        [
            plant("3011", gates={"capacity_replacement": HELD}),
            plant("3011", clinker_line_td=2_500, gates={"capacity_replacement": HELD}),
        ],
        [plant("3011", gates={"capacity_replacement": NONE})],
        [
            plant("3011"),
            plant("3011", gates={"energy_review": HELD}),
            plant("30", gates={"capacity_replacement": NONE}),
        ],
        [plant("3021"), plant("3011", clinker_line_td=0)],  # a grinding station burns no clinker
    ),
    "gate.capacity_glass": (
        [plant("3041", gates={"capacity_replacement": HELD})],
        [plant("3041", gates={"capacity_replacement": NONE})],
        [plant("3041")],
        [plant("3042")],
    ),
    "gate.capacity_steel": (
        [plant("3120", gates={"capacity_replacement": HELD})],
        [plant("3120", gates={"capacity_replacement": NONE})],
        [plant("3120"), plant("31")],
        [plant("3130"), plant("1530")],  # processing alone
    ),
    "industry.two_high": (
        [plant("3011", gates={"energy_review": HELD})],
        [plant("3011", gates={"energy_review": NONE})],
        [plant("3011")],
        [plant("1530"), plant("1530", gates={"energy_review": NONE})],
    ),
    "gate.energy_benchmark": (
        [
            plant("3217", made=(10_000, "t", "金属镁"), energy_tce=40_000.0),
            plant("3011", made=(100, "万吨", "水泥熟料"), energy_tce=99_000.0),
        ],
        [plant("3217", made=(10_000, "t", "金属镁"), energy_tce=40_001.0)],
        [
            plant("3217", made=(10_000, "t", "金属镁")),
            plant("3217", energy_tce=40_000.0),
            plant("3140", made=(10_000, "t", "电解金属锰"), energy_tce=1.0),  # no benchmark of it is held
            plant("3011", made=(100, "万吨", "水泥"), energy_tce=1.0),  # the benchmark is of clinker
        ],
        [plant("1530", made=(10, "t"), energy_tce=9e9)],
    ),
    "gate.cement_line": (
        [plant("3011", clinker_line_td=2_000)],
        [plant("3011", clinker_line_td=1_999)],
        [plant("3011")],
        [plant("3011", clinker_line_td=0), plant("3012")],
    ),
    "gate.manganese_rectifier": (
        [plant("3140", made=(1, "t", "电解金属锰"), rectifier_kva=5_001)],
        [plant("3140", "电解锰技改", rectifier_kva=5_000)],
        [plant("3140", rectifier_kva=5_000), plant("3140", made=(1, "t", "电解金属锰"))],
        [plant("3140", made=(1, "t", "硅铁"), rectifier_kva=1), plant("3218")],
    ),
    "gate.manganese_tank": (
        [plant("3140", made=(1, "t", "电解金属锰"), leach_tank_m3=200)],
        [plant("3140", made=(1, "t", "电解金属锰"), leach_tank_m3=150)],
        [plant("3140", made=(1, "t", "电解金属锰"))],
        [plant("3140", made=(1, "t", "硅铁"))],
    ),
    "gate.silicon_furnace": (
        [plant("3218", furnace_kva=25_000)],
        [plant("3218", furnace_kva=12_500)],
        [plant("3218")],
        [plant("3217", furnace_kva=1)],
    ),
    "gate.vanadium_roast": (
        [plant("2613", made=(1, "t", "五氧化二钒"), chloride_roast=False)],
        [plant("2613", made=(1, "t", "五氧化二钒"), chloride_roast=True), plant("3239", "钒厂", chloride_roast=True)],
        [plant("2613", made=(1, "t", "五氧化二钒")), plant("2613", chloride_roast=True)],
        [plant("2613", made=(1, "t", "硫酸锰"), chloride_roast=True)],
    ),
    "gate.steel_induction": (
        [plant("3120", induction_furnace=False)],
        [plant("3120", induction_furnace=True)],
        [plant("3120")],
        [plant("3391", induction_furnace=True)],  # a foundry may melt so
    ),
    "gate.brick_scale": (
        [plant("3031", "烧结多孔砖", made=(6_000, "万块"))],
        [plant("3031", "烧结多孔砖", made=(59_990_000, "块"))],
        [plant("3031", "烧结多孔砖"), plant("3031", "烧结多孔砖", made=(1, "t")), plant("3031", made=(1, "块"))],
        [plant("3031", made=(1, "块", "蒸压加气块"))],
    ),
    "gate.brick_clay": (
        [plant("3031", "烧结页岩砖", solid_clay=False)],
        [plant("3031", "烧结粘土砖", solid_clay=True)],
        [plant("3031", "烧结砖")],
        [plant("3032", solid_clay=True)],
    ),
    "gate.bag_film": (
        [plant("2923", film_mm=0.025)],
        [plant("2923", film_mm=0.024)],
        [plant("2923")],
        [plant("2922", film_mm=0.01)],
    ),
    "gate.slaughter_permit": (
        [plant("1351", "生猪屠宰", gates={"slaughter_permit": HELD})],
        [plant("1351", "生猪屠宰", gates={"slaughter_permit": NONE})],
        [plant("1351", "生猪屠宰")],
        [plant("1353", "肉制品", gates={"slaughter_permit": NONE})],
    ),
    "gate.eia": (
        [plant("3011", gates={"eia": HELD})],
        [plant("3011", gates={"eia": NONE})],
        [plant("3011")],
        [plant("1530", gates={"eia": NONE})],
    ),
}
CASES = [
    pytest.param(rule, status, project, id=f"{rule}-{status}-{n}")
    for rule, groups in GATES.items()
    for status, projects in zip(("pass", "fail", "unknown", "exempt"), groups, strict=True)
    for n, project in enumerate(projects)
]


@pytest.mark.parametrize(("rule", "status", "project"), CASES)
def test_a_gate_passes_fails_is_unknown_or_does_not_concern(rule, status, project):
    assert status_of(project, rule).status == status


def test_every_gate_of_the_book_is_tried_here():
    lifted = {"gate.slaughter_scale", "gate.slaughter_minority"}
    assert {r.id for r in BOOK.rules if r.id.startswith("gate.")} == {*GATES, *lifted} - {"industry.two_high"}


def test_a_gate_says_where_it_comes_from():
    for rule in BOOK.rules:
        if rule.id.startswith("gate."):
            assert rule.basis
            assert rule.edition
            assert rule.confidence in {"seen", "mem-high", "mem-mid", "mem-low"}


# --- what a finding makes of the answer ------------------------------------------------------------


def answer(project, book, purpose="screening"):
    return verdict(check([SITE], project, book, kind_world(), purpose=purpose), 0, 0)


def test_a_cement_line_without_capacity_replacement_is_blocked_and_with_it_goes_on():
    bare = plant("3011", gates={"capacity_replacement": NONE}).model_copy(update={"dust": False})
    assert answer(bare, CONFIRMED) is Verdict.BLOCKED
    assert answer(plant("3011"), CONFIRMED) is Verdict.UNDETERMINED
    held = bare.model_copy(update={"gates": {"capacity_replacement": HELD}})
    assert answer(held, CONFIRMED) is Verdict.CLEAR
    said = status_of(bare, "gate.capacity_cement")
    assert (said.severity, said.authority, said.verified) == ("block", "statute", "county")
    assert said.message["zh"] == "水泥熟料产能置换方案：未提供文件，不通过"
    assert "gates.capacity_replacement" in status_of(plant("3011"), "gate.capacity_cement").message["zh"]


def test_a_gate_from_memory_leaves_the_answer_undetermined_until_the_county_confirms():
    small = plant("3218", furnace_kva=6_300)
    finding = status_of(small, "gate.silicon_furnace", BOOK)
    assert (finding.status, finding.verified) == ("fail", "memory")
    assert "待核" in finding.message["zh"]
    row = [r for r in BOOK.rules if r.id == "gate.silicon_furnace"]

    def alone(book):
        from dataclasses import replace

        only = replace(book, rules=tuple(r for r in book.rules if r.id == row[0].id))
        return answer(small, only, "entry")

    assert alone(BOOK) is Verdict.UNDETERMINED
    assert alone(CONFIRMED) is Verdict.BLOCKED


def test_a_project_that_says_nothing_passes_no_gate_it_needs():
    for code in ("3011", "3120", "3041"):
        for purpose in ("screening", "pre_review", "supply", "entry"):
            assert answer(plant(code), CONFIRMED, purpose) >= Verdict.UNDETERMINED


def test_a_document_survives_being_stored():
    project = plant("3011", gates={"capacity_replacement": NONE, "eia": HELD})
    kept = project.model_dump(mode="json", exclude_none=True)
    assert kept["gates"] == {"capacity_replacement": None, "eia": HELD}
    assert Project.model_validate(kept) == project


# --- the exemption of minority areas ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "plain", "lifted"),
    [(150_000, "fail", "exempt"), (150_001, "pass", "exempt"), (None, "unknown", "exempt")],
)
def test_a_minority_area_that_confirms_its_row_lifts_the_scale_of_slaughter(head, plain, lifted):
    project = plant("1351", "生猪屠宰", made=(head, "头") if head else None)
    assert status_of(project, "gate.slaughter_scale", UNLIFTED).status == plain
    assert status_of(project, "gate.slaughter_scale", CONFIRMED).status == lifted
    if lifted == "exempt":
        said = status_of(project, "gate.slaughter_scale", CONFIRMED).message["zh"]
        assert "gate.slaughter_minority" in said


def test_an_exemption_nobody_confirmed_lifts_nothing():
    project = plant("1351", "生猪屠宰", made=(15_000, "头"))
    assert status_of(project, "gate.slaughter_scale", BOOK).status == "fail"
    assert answer(project, UNLIFTED, "entry") is Verdict.BLOCKED


def test_the_exemption_is_dated():
    rule = next(r for r in BOOK.rules if r.id == "gate.slaughter_minority")
    assert not rule.in_force(date(2024, 1, 31))
    assert rule.in_force(date(2024, 2, 1))
    assert rule.document
    assert rule.replaces == "gate.slaughter_scale"


def test_gates_of_industry_policy_are_asked_where_land_is_given():
    restricted = [r for r in BOOK.rules if "目录" in r.basis and r.severity == "block"]
    assert len(restricted) >= 9
    for rule in restricted:
        assert set(rule.at) <= set(PURPOSES)
        assert "entry" in rule.at
        assert "pre_review" in rule.at
