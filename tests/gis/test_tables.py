"""The tables under gis/rulebook and layers/codes: complete, sourced, and still text."""

import csv
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = {
    "gis/rulebook/control_indicators.csv": (
        "indicator edition code_prefix land_grade op value unit nature source confidence note"
    ),
    "gis/rulebook/energy_benchmarks.csv": "code_prefix product level tce_per_unit per edition source confidence note",
    "gis/rulebook/industry_chains.csv": "chain name_zh name_en code_prefix product source confidence note",
    "gis/rulebook/raw_materials.csv": (
        "code_prefix product material name_zh name_en role column values source confidence note"
    ),
    "gis/rulebook/principles.csv": (
        "principle principle_zh principle_en measure name_zh name_en unit better source confidence"
    ),
    "gis/rulebook/reserve_steps.csv": (
        "step name_zh name_en how role column values unsaid basis source confidence note"
    ),
    "gis/rulebook/industry_demand.csv": (
        "code_prefix product of_class parameter low typical high unit per source confidence note"
    ),
    "gis/rulebook/industries.csv": "code name_zh name_en level source confidence",
    "gis/rulebook/industry_traits.csv": "code_prefix trait value source confidence note",
    "gis/rulebook/landuse_classes.csv": "code_prefix landuse_class source confidence note",
    "gis/rulebook/positional_accuracy.csv": "role accuracy_m area_m2 source confidence",
    "gis/rulebook/voltages.csv": "min_kva max_kva supply_kv economic_reach_m source confidence",
    "layers/codes/land_use.csv": (
        "code_system edition code name_zh name_en three_class cultivated paddy source confidence"
    ),
}
KEYS = {
    "gis/rulebook/control_indicators.csv": ("indicator", "edition", "code_prefix", "land_grade"),
    "gis/rulebook/energy_benchmarks.csv": ("code_prefix", "product", "level"),
    "gis/rulebook/industry_chains.csv": ("chain", "code_prefix", "product"),
    "gis/rulebook/industry_demand.csv": ("code_prefix", "product", "parameter"),
    "gis/rulebook/principles.csv": ("measure",),
    "gis/rulebook/raw_materials.csv": ("code_prefix", "product", "role"),
    "gis/rulebook/reserve_steps.csv": ("step",),
    "gis/rulebook/industries.csv": ("code",),
    "gis/rulebook/industry_traits.csv": ("code_prefix", "trait"),
    "gis/rulebook/landuse_classes.csv": ("code_prefix",),
    "gis/rulebook/positional_accuracy.csv": ("role",),
    "gis/rulebook/voltages.csv": ("supply_kv",),
    "layers/codes/land_use.csv": ("code_system", "code"),
}
CONFIDENCE = {"seen", "measured", "mem-high", "mem-mid", "mem-low", "assumption"}
TRAITS = {
    "high_tech",
    "agri_processing",
    "light_industry",
    "chemical",
    "food",
    "dust",
    "hazardous",
    "two_high",
    "smelting",
    "water_heavy_season",
    "discharges",
    "slaughter",
    "cement_clinker",
    "furnace",
}
# The codes of the projects in the county's own list (industry_demand.csv of the domain notes).
COUNTY_PROJECTS = [
    *("1311", "1331", "1351", "1353", "1391", "1530", "2613", "2922", "2923", "2928", "3011"),
    *("3021", "3031", "3032", "3039", "3099", "3120", "3140", "3217", "3218", "3239", "3311"),
]


def rows(path: str) -> list[dict[str, str]]:
    with (ROOT / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def trait(code: str, name: str) -> str:
    """Value of the longest matching prefix; "0" when no prefix speaks of the trait."""
    about = [r for r in rows("gis/rulebook/industry_traits.csv") if r["trait"] == name]
    found = [r for r in about if code.startswith(r["code_prefix"])]
    return max(found, key=lambda r: len(r["code_prefix"]))["value"] if found else "0"


def land(system: str) -> dict[str, dict[str, str]]:
    return {r["code"]: r for r in rows("layers/codes/land_use.csv") if r["code_system"] == system}


@pytest.mark.parametrize("path", COLUMNS)
def test_a_table_is_utf8_with_unix_line_ends_and_the_agreed_columns(path):
    raw = (ROOT / path).read_bytes()
    raw.decode("utf-8")
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    table = rows(path)
    assert table
    for row in table:
        assert list(row) == COLUMNS[path].split()
        assert None not in row.values(), row  # a short line
        assert all(value == value.strip() for value in row.values()), row


@pytest.mark.parametrize("path", COLUMNS)
def test_every_row_says_where_it_comes_from_and_how_sure_we_are(path):
    for row in rows(path):
        assert row["source"], row
        assert row["confidence"] in CONFIDENCE, row


@pytest.mark.parametrize("path", KEYS)
def test_no_code_appears_twice(path):
    counted = Counter(tuple(row[k] for k in KEYS[path]) for row in rows(path))
    assert [key for key, n in counted.items() if n > 1] == []


def test_an_industry_is_listed_with_the_levels_above_it():
    table = {r["code"]: r for r in rows("gis/rulebook/industries.csv")}
    for code, row in table.items():
        assert code.isdecimal()
        assert row["level"] == {2: "division", 3: "group", 4: "class"}[len(code)]
        assert row["name_zh"]
        assert row["name_en"]
        assert all(code[:n] in table for n in range(2, len(code))), code


@pytest.mark.parametrize(
    ("first", "last", "divisions", "groups"),
    [("06", "12", 7, 19), ("13", "43", 31, 179), ("44", "46", 3, 9)],
    ids=["mining", "manufacturing", "utilities"],
)
def test_a_section_has_as_many_divisions_and_groups_as_the_standard_counts(first, last, divisions, groups):
    section = [r for r in rows("gis/rulebook/industries.csv") if first <= r["code"][:2] <= last]
    levels = Counter(r["level"] for r in section)
    assert (levels["division"], levels["group"]) == (divisions, groups)


def test_the_county_projects_have_a_class_and_a_suggested_land_use():
    known = {r["code"] for r in rows("gis/rulebook/industries.csv")}
    suggested = [r["code_prefix"] for r in rows("gis/rulebook/landuse_classes.csv")]
    for code in COUNTY_PROJECTS:
        assert code in known
        assert any(code.startswith(prefix) for prefix in suggested), code


@pytest.mark.parametrize("path", ["gis/rulebook/industry_traits.csv", "gis/rulebook/landuse_classes.csv"])
def test_every_prefix_leads_to_a_listed_industry(path):
    known = [r["code"] for r in rows("gis/rulebook/industries.csv")]
    for row in rows(path):
        assert row["code_prefix"].isdecimal()
        assert any(code.startswith(row["code_prefix"]) for code in known), row


def test_a_trait_is_known_by_name_is_yes_or_no_and_says_why():
    table = rows("gis/rulebook/industry_traits.csv")
    assert {r["trait"] for r in table} == TRAITS
    for row in table:
        assert row["value"] in {"0", "1"}, row
        assert row["note"], row


@pytest.mark.parametrize(
    ("code", "name", "expected"),
    [
        ("2613", "chemical", "1"),
        ("3140", "chemical", "0"),
        ("2542", "chemical", "0"),
        ("1530", "food", "1"),
        ("1329", "food", "0"),
        ("3032", "dust", "1"),
        ("1530", "dust", "0"),
        ("1351", "slaughter", "1"),
        ("1353", "slaughter", "0"),
        ("3011", "cement_clinker", "1"),
        ("3012", "cement_clinker", "0"),
        ("3011", "two_high", "1"),
        ("3021", "two_high", "0"),
        ("3218", "smelting", "1"),
        ("325", "smelting", "0"),
        ("1391", "water_heavy_season", "1"),
        ("1351", "discharges", "1"),
        ("3021", "discharges", "0"),
        ("3031", "furnace", "1"),
        ("594", "hazardous", "1"),
        ("592", "hazardous", "0"),
    ],
)
def test_the_longest_prefix_decides_a_trait(code, name, expected):
    assert trait(code, name) == expected


def test_a_suggested_land_use_is_a_class_of_the_2023_guide():
    classes = land("YDYH-2023")
    for row in rows("gis/rulebook/landuse_classes.csv"):
        assert row["landuse_class"] in classes, row


def test_manufacturing_is_always_given_one_of_the_three_industrial_classes():
    table = rows("gis/rulebook/landuse_classes.csv")
    suggested = {r["code_prefix"] for r in table}
    for row in table:
        if "13" <= row["code_prefix"][:2] <= "43":
            assert row["landuse_class"] in {"100101", "100102", "100103"}, row
    for row in rows("gis/rulebook/industries.csv"):
        if row["level"] == "group" and "13" <= row["code"][:2] <= "43":
            assert suggested & {row["code"], row["code"][:2]}, row


def test_voltage_classes_follow_each_other_without_gap_from_zero_upward():
    table = rows("gis/rulebook/voltages.csv")
    low = [float(r["min_kva"]) for r in table]
    high = [float(r["max_kva"]) for r in table]
    assert low[0] == 0
    assert high[:-1] == low[1:]
    assert high[-1] == float("inf")
    for column in ("supply_kv", "economic_reach_m"):
        values = [float(r[column]) for r in table]
        assert values == sorted(set(values))
    carries = [r["supply_kv"] for r in table if float(r["min_kva"]) < 10_000 <= float(r["max_kva"])]
    assert carries == ["10"]  # a bound belongs to the lower class


def test_land_use_systems_are_the_three_we_know_each_with_its_edition():
    systems = {(r["code_system"], r["edition"]) for r in rows("layers/codes/land_use.csv")}
    assert systems == {("GB/T 21010-2017", "2017"), ("TD/T 1055-2019", "2019"), ("YDYH-2023", "2023")}


def test_leading_zeros_are_kept_because_codes_are_text():
    for row in rows("layers/codes/land_use.csv"):
        assert len(row["code"].rstrip("AK")) % 2 == 0, row
    assert "0101" in land("GB/T 21010-2017")
    assert "101" not in land("GB/T 21010-2017")
    assert "06" in {r["code"] for r in rows("gis/rulebook/industries.csv")}


def test_the_national_standard_has_73_classes_in_12_groups():
    codes = land("GB/T 21010-2017")
    assert len(codes) == 73
    assert {code[:2] for code in codes} == {f"{n:02}" for n in range(1, 13)}
    assert all(r["three_class"] for r in codes.values())


def test_the_survey_can_be_looked_up_in_full():
    survey, standard = land("TD/T 1055-2019"), land("GB/T 21010-2017")
    assert sum(len(code) == 4 for code in survey) == 55  # second-level classes of the third survey
    assert {"09", "05H1", "0508", "08H1", "08H2", "08H2A", "0810A", "1104A", "1107A"} <= set(survey)
    assert {"0501", "0604", "0803", "0901"}.isdisjoint(survey)  # merged into other classes
    for code, row in survey.items():
        assert row["three_class"], row
        if code in standard:
            assert all(row[k] == standard[code][k] for k in ("name_zh", "three_class", "cultivated", "paddy"))
        if code.endswith(("A", "K")):
            assert row["three_class"] == survey[code[:-1]]["three_class"], row


def test_paddy_is_cultivated_and_cultivated_is_agricultural():
    for row in rows("layers/codes/land_use.csv"):
        assert row["three_class"] in {"agricultural", "construction", "unused", ""}
        assert row["cultivated"] in {"0", "1"}
        assert row["paddy"] in {"0", "1"} or (row["code_system"], row["code"]) == ("YDYH-2023", "01")
        if row["paddy"] == "1":
            assert row["cultivated"] == "1", row
        if row["cultivated"] == "1":
            assert row["three_class"] == "agricultural", row
    for system in ("GB/T 21010-2017", "TD/T 1055-2019"):
        assert [c for c, r in land(system).items() if r["cultivated"] == "1"] == ["0101", "0102", "0103"]
        assert [c for c, r in land(system).items() if r["paddy"] == "1"] == ["0101"]


@pytest.mark.parametrize(
    ("code", "survey", "plan"),
    [
        ("0601", "工业用地", "农村道路"),
        ("1001", "铁路用地", "工业用地"),
        ("1101", "河流水面", "物流仓储用地"),
    ],
)
def test_the_same_digits_mean_other_ground_in_another_system(code, survey, plan):
    assert land("TD/T 1055-2019")[code]["name_zh"] == survey
    assert land("GB/T 21010-2017")[code]["name_zh"] == survey
    assert land("YDYH-2023")[code]["name_zh"] == plan
