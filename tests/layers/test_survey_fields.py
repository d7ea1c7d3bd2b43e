"""Fields of the surveys, old and new, bind to our columns; codes travel with their system; names decide nothing."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from layers.acronyms import acronyms, other_meanings
from layers.codes import with_zeros
from layers.errors import BadInput
from layers.schema import conform, role, roles

SYSTEM = {"code_system": "=GB/T 21010-2017"}


def conformed(name, fields=None, **columns):
    return conform(pd.DataFrame(columns), role(name), fields or {}, file="县.gdb")


# --- fields ----------------------------------------------------------------------------------------


def test_the_third_survey_binds_and_says_which_field_was_taken():
    made = conformed(
        "land_use", {"code_system": "=TD/T 1055-2019"},
        BSM=["520625211000000001"], TBBH=["0012"], DLBM=["0201K"], DLMC=["可调整果园"], QSXZ=["30"],
        QSDWDM=["5206251030070000000"], QSDWMC=["甲村"], ZLDWDM=["5206251030070000000"], ZLDWMC=["甲村"],
        TBMJ=[10_000.0], KCDLBM=["1203"], KCXS=[0.12], KCMJ=[1_200.0], TBDLMJ=[8_800.0], GDLX=["TT"], GDPDJB=["3"],
        CZCSXM=["203"], SJNF=[2023],
    )  # fmt: skip
    row = made.table.iloc[0]
    assert (row["id"], row["survey_id"], row["patch_no"]) == ("520625211000000001", "520625211000000001", "0012")
    assert (row["deducted_code"], row["deduct_share"], row["net_area_m2"]) == ("1203", 0.12, 8_800.0)
    assert (row["terrain_kind"], row["slope_class"], row["survey_year"]) == ("TT", "3", 2023)
    assert (row["three_class"], row["cultivated"]) == ("agricultural", False)
    assert made.bound["deduct_share"] == "KCXS"
    assert made.bound["code_system"] == "=TD/T 1055-2019"
    assert made.notes == ()


def test_the_second_survey_binds_by_its_own_names():
    made = conformed(
        "land_use", SYSTEM, DLBM=["0103"], TBMJ=[2_000.0], TKXS=[0.1], TKMJ=[180.0], XZDWMJ=[150.0], LXDWMJ=[50.0],
        GDPDJ=["4"], TBDLMJ=[1_620.0],
    )  # fmt: skip
    row = made.table.iloc[0]
    assert (row["deduct_share"], row["deducted_area_m2"], row["slope_class"]) == (0.1, 180.0, "4")
    assert (row["linear_area_m2"], row["scattered_area_m2"]) == (150.0, 50.0)
    assert made.bound["deducted_area_m2"] == "TKMJ"


@pytest.mark.parametrize(
    ("name", "field", "column", "theirs", "ours"),
    [
        ("parcels", "ZDDM", "id", "520625001001GB00001", "520625001001GB00001"),
        ("parcels", "BDCDYH", "property_unit", "520625001001GB00001W00000000", "520625001001GB00001W00000000"),
        ("parcels", "ZL", "address", "木黄镇", "木黄镇"),
        ("parcels", "ZDMJ", "parcel_area_m2", "1200.5", 1_200.5),
        ("parcels", "QLXZ", "right_nature", "出让", "出让"),
        ("basic_farmland", "YJJBNTMJ", "farmland_area_m2", 900.0, 900.0),
        ("basic_farmland", "BHKSSJ", "protected_on", 20221014, "2022-10-14"),
        ("eco_redline", "HXLX", "line_kind", "水源涵养", "水源涵养"),
        ("urban_boundary", "GHFQMC", "kind", "弹性发展区", "flexible"),
        ("urban_boundary", "GHFQDM", "zone_code", "320", "320"),
        ("approved_land", "XMBH", "project_no", "A-1", "A-1"),
        ("approved_land", "PZMJ", "approved_area_m2", "3.5", 3.5),
        ("forest_land", "SEN_LIN_LB", "forest_kind", "公益林", "公益林"),
        ("public_welfare_forest", "SHI_QUAN_D", "tenure_level", "国家级", "国家级"),
    ],
)
def test_a_field_of_a_legal_layer_binds(name, field, column, theirs, ours):
    made = conformed(name, **{field: [theirs]})
    assert made.table[column].iloc[0] == ours
    assert made.bound[column] == field


@pytest.mark.parametrize(
    ("said", "code"), [("国有", "20"), ("集体土地所有权", "30"), ("30", "30"), (20, "20"), (20.0, "20")]
)
def test_ownership_is_one_code_however_it_is_spelled(said, code):
    assert conformed("land_use", SYSTEM, DLBM=["0103"], QSXZ=[said]).table["ownership"].iloc[0] == code


# --- codes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["land_use", "plan_zoning"])
def test_bare_codes_are_refused_because_systems_collide(name):
    field = {"land_use": "DLBM", "plan_zoning": "YDYHFLDM"}[name]
    with pytest.raises(BadInput) as refused:
        conformed(name, **{field: ["0601"]})
    (fault,) = refused.value.faults
    assert fault.field == "code_system"
    assert "--field code_system" in fault.fix
    assert name in {one for one, held in roles().items() if "code_system" in held.required}


@pytest.mark.parametrize("said", [[101, 601], [101.0, 601.0], ["101.0", "601.0"]])
def test_a_number_gets_its_zero_back_and_it_is_said(said):
    made = conformed("land_use", SYSTEM, DLBM=said)
    assert made.table["code"].tolist() == ["0101", "0601"]
    assert made.table["three_class"].tolist() == ["agricultural", "construction"]
    assert len(made.notes) == 2
    assert all("read as" in note.reason and note.field == "code" for note in made.notes)


def test_text_without_its_zero_stays_unknown():
    made = conformed("land_use", SYSTEM, DLBM=["101", "0601"])
    assert made.table["code"].tolist() == ["101", "0601"]
    assert made.table["three_class"].fillna("?").tolist() == ["?", "construction"]
    assert "not known" in made.notes[0].reason


def test_a_number_that_is_a_code_as_it_stands_is_left_alone():
    system = pd.Series(["YDYH-2023", "GB/T 21010-2017", "YDYH-2023", "nobody's"])
    assert with_zeros(system, pd.Series(["1001", "1001", "601", "101"])).tolist() == ["1001", "1001", "0601", "101"]
    made = conformed("plan_zoning", {"code_system": "=YDYH-2023"}, YDYHFLDM=[1001, 100102])
    assert made.table["code"].tolist() == ["1001", "100102"]
    assert made.notes == ()


# --- names that mean several things ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["CZKFBJ", "czkfbj", "520625_CZKFBJ_2024", "CSKFBJ"])
def test_a_layer_called_czkfbj_says_what_else_that_means(name):
    (note,) = other_meanings(name, "urban_boundary", file="县.gdb")
    assert "城市开发边界" in note.reason
    assert note.layer == name
    assert "the role decides" in note.fix


def test_an_evaluation_is_not_the_red_line():
    (note,) = other_meanings("STBHZYYXPJJG", "eco_redline", file="县.gdb")
    assert "生态保护重要性评价结果" in note.reason


@pytest.mark.parametrize("name", [None, "", "roads", "YJJBNT", "CZKFBJX"])
def test_other_names_are_passed_over(name):
    assert other_meanings(name, "basic_farmland", file="县.gdb") == ()


def test_every_meaning_has_a_source_and_a_role_that_exists():
    path = Path(__file__).resolve().parents[2] / "layers" / "acronyms.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert list(rows[0]) == ["acronym", "role", "zh", "en", "source", "confidence"]
    assert len(rows) == len(acronyms())
    for row in rows:
        assert row["source"]
        assert row["zh"]
        assert row["en"]
        assert None not in row.values()
        assert row["role"] in {"", *roles()}
        assert row["confidence"] in {"seen", "mem-high", "mem-mid"}
