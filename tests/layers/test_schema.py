"""A survey's table in our columns: bound by name, typed, null where nothing can be read, and every doubt said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from layers import schema
from layers.errors import BadInput, UnknownName
from layers.schema import Conformed, conform, role, roles

NAN = float("nan")


def conformed(role_name: str, fields: dict[str, str] | None = None, **columns: Any) -> Conformed:
    return conform(pd.DataFrame(columns), role(role_name), fields or {}, file="测绘.shp")


def plain(values: pd.Series) -> list[Any]:
    """Values with every sort of null as None."""
    return [None if pd.isna(value) else value for value in values]


# --- the table of roles ---------------------------------------------------------------------------------


def test_the_table_of_roles_agrees_with_itself():
    document = schema._document()
    for one in roles().values():
        names = [column.name for column in one.columns]
        assert names[0] == "id"
        assert len(set(names)) == len(names)
        assert one.required <= set(names)
        assert set(one.aliases) <= set(names), one.name
        assert one.geometry in ("polygon", "line", "point", "any", "raster")
        # a field may be the id and stand in a column of its own, as BSM and ZDDM do
        aliases = [alias.lower() for column, known in one.aliases.items() if column != "id" for alias in known]
        assert len(set(aliases)) == len(aliases), one.name
    for name, spelled in document["spellings"].items():
        words = [word for known in spelled.values() for word in known]
        assert len(set(words)) == len(words), name
        assert not set(words) & set(spelled), name  # a spelling of one is not the code of another
    assert {column["type"] for column in document["columns"].values()} == {
        "text",
        "number",
        "integer",
        "boolean",
        "date",
    }


def test_a_role_that_is_none_names_them_all():
    with pytest.raises(UnknownName, match=r"no layer role '红线'; the roles are zones, parcels, .*, eco_redline, "):
        role("红线")


# --- binding ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "bound"),
    [
        (["id", "name"], {"id": "id", "name": "name"}),
        (["ID", "Name"], {"id": "ID", "name": "Name"}),
        (["Name", "name", "NAME"], {"name": "name"}),
        (["BSM", "HXMC"], {"id": "BSM", "name": "HXMC"}),
        (["bsm", "MC", "id"], {"id": "id", "name": "MC"}),  # our own name comes first
        (["HXMC", "MC", "hxmc"], {"name": "HXMC"}),
        (["名称"], {}),
    ],
)
def test_fields_are_found_by_our_name_and_then_by_the_surveys(columns, bound):
    assert conformed("eco_redline", **{name: ["x"] for name in columns}).bound == bound


def test_what_the_operator_says_comes_first():
    made = conformed("eco_redline", {"name": "名称", "id": "图斑号"}, 名称=["甲"], name=["乙"], BSM=["b"], 图斑号=["t"])
    assert made.bound == {"id": "图斑号", "name": "名称"}
    assert made.table.loc[0].to_dict() == {"id": "t", "name": "甲", "name_2": "乙", "BSM": "b"}


def test_one_field_may_say_two_things():
    made = conformed("zones", {"name": "片区", "unit_code": "片区"}, 片区=["木黄"])
    assert made.table.loc[0].to_dict() == {"id": "zones-1", "name": "木黄", "unit_code": "木黄"}


def test_a_constant_stands_in_every_row():
    made = conformed("land_use", {"code_system": "=GB/T 21010-2017"}, DLBM=["0101", "0301"])
    assert made.table["code_system"].tolist() == ["GB/T 21010-2017"] * 2
    assert made.bound["code_system"] == "=GB/T 21010-2017"


def test_all_that_does_not_bind_is_said_at_once():
    with pytest.raises(BadInput) as refused:
        conformed("land_use", {"nmae": "MC", "code_name": "没有", "ownership": "=国有"}, TBMJ=[1.0])
    faults = {fault.field: fault for fault in refused.value.faults}
    assert set(faults) == {"nmae", "没有", "code", "code_system"}
    assert "Its columns are code, code_name" in faults["nmae"].fix
    assert "Its fields are TBMJ" in faults["没有"].fix
    assert "--field code=FIELD, or give one value for all with --field code==VALUE" in faults["code"].fix
    assert {fault.file for fault in refused.value.faults} == {"测绘.shp"}


def test_a_file_without_fields_says_so():
    with pytest.raises(BadInput, match="Its fields are none"):
        conform(pd.DataFrame(index=range(2)), role("zones"), {"name": "MC"}, file="a.shp")
    assert conform(pd.DataFrame(index=range(2)), role("zones"), {}, file="a.shp").table["id"].tolist() == [
        "zones-1",
        "zones-2",
    ]


# --- ids ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "made", "notes"),
    [
        (["a", "b"], ["a", "b"], 0),
        ([101.0, 102.0], ["101", "102"], 0),
        ([101.0, 102.5], ["101.0", "102.5"], 0),
        ([1, 2], ["1", "2"], 0),
        (["0101", " 0102 "], ["0101", "0102"], 0),
        ([520625201001.0, 9007199254740991.0], ["520625201001", "9007199254740991"], 0),
        ([NAN, float("inf"), 1.0], ["parcels-1", "inf", "1"], 1),
        (["a", "a", "a"], ["a", "a#2", "a#3"], 2),
        (["a", "a#2", "a"], ["a", "a#2", "a#3"], 1),
        (["a#2", "a", "a", "a#2"], ["a#2", "a", "a#3", "a#2#2"], 2),
        ([None, "parcels-1"], ["parcels-1#2", "parcels-1"], 1),
        (["", None, "x"], ["parcels-1", "parcels-2", "x"], 2),
        ([], [], 0),
    ],
)
def test_ids_are_unique_text_and_the_surveys_own_where_they_are(given, made, notes):
    found = conformed("parcels", id=given)
    assert found.table["id"].tolist() == made
    assert len(found.notes) == notes
    assert all(note.field == "id" and note.feature and note.file for note in found.notes)


def test_a_hundred_thousand_times_the_same_id_is_told_in_a_moment():
    found = conformed("parcels", id=["x"] * 100_000)
    assert found.table["id"].is_unique
    assert len(found.notes) == schema.MAX_NOTES + 1
    assert found.notes[-1].reason == f"{100_000 - 1 - schema.MAX_NOTES:,} more features have the same fault"
    assert (found.notes[-1].file, found.notes[-1].field, found.notes[-1].feature) == ("测绘.shp", "id", None)


# --- values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "made", "notes"),
    [
        ([1, 2], [1.0, 2.0], 0),
        ([1.5, NAN], [1.5, None], 0),
        (["1.5", " 2 ", "", None], [1.5, 2.0, None, None], 0),
        (["-1", "1e3", "inf", "1,000", "7 m", "七"], [None, 1_000.0, None, None, None, None], 5),
        ([-0.0, -1e-9], [0.0, None], 1),
        ([float("inf"), float("-inf")], [None, None], 2),
        ([True, False], [None, None], 2),
        (["1e400"], [None], 1),
    ],
)
def test_numbers(given, made, notes):
    found = conformed("roads", width_m=given)
    assert plain(found.table["width_m"]) == made
    assert len(found.notes) == notes
    assert all("a number of at least 0; until then it counts as unknown" in note.fix for note in found.notes)


@pytest.mark.parametrize(
    ("given", "made", "notes"),
    [
        ([2026, 2030], [2026.0, 2030.0], 0),
        (["2026", "2026.0", None], [2026.0, 2026.0, None], 0),
        (["2026.5", "2026年", "inf"], [None, None, None], 3),
        (pd.to_datetime(["2026-01-01", None]), [None, None], 1),
    ],
)
def test_whole_numbers(given, made, notes):
    found = conformed("roads", open_year=given)
    assert plain(found.table["open_year"]) == made
    assert len(found.notes) == notes


@pytest.mark.parametrize(
    ("given", "made", "notes"),
    [
        ([True, False], [True, False], 0),
        ([1, 0], [True, False], 0),
        ([1.0, NAN], [True, None], 0),
        (["是", "否", "Yes", "n", " TRUE ", "f"], [True, False, True, False, True, False], 0),
        (["", None, "maybe", "2"], [None, None, None, None], 2),
    ],
)
def test_yes_and_no(given, made, notes):
    found = conformed("enterprises", dust=given)
    assert plain(found.table["dust"]) == made
    assert len(found.notes) == notes


@pytest.mark.parametrize(
    ("given", "made", "notes"),
    [
        (["2024-01-31", "2024/1/31", "20240131", "2024年1月31日"], ["2024-01-31"] * 4, 0),
        ([20240131, 20240201], ["2024-01-31", "2024-02-01"], 0),
        ([20240131.0, NAN], ["2024-01-31", None], 0),
        (["2024-01-31T08:30:00+08:00", "2024-01-31", "2024-01-31 23:59:59"], ["2024-01-31"] * 3, 0),
        (pd.to_datetime(["2024-01-31", None]), ["2024-01-31", None], 0),
        (pd.to_datetime(["2024-01-31T00:00:00+08:00"]), ["2024-01-31"], 0),
        (["", " ", None], [None, None, None], 0),
        (["soon", "2024-02-30", "9999-99-99", "1706659200000"], [None, None, None, None], 4),
    ],
)
def test_dates(given, made, notes):
    found = conformed("approved_land", approved_on=given)
    assert plain(found.table["approved_on"]) == made
    assert len(found.notes) == notes, found.notes


def test_words_the_survey_uses_become_our_codes():
    found = conformed("roads", road_class=["县道", "motorway", "county", "高铁", " 国道 ", ""])
    assert plain(found.table["road_class"]) == ["county", "expressway", "county", None, "national", None]
    (note,) = found.notes
    assert (note.feature, note.field) == ("roads-4", "road_class")
    assert "expressway, national, provincial" in note.fix


# --- land use -----------------------------------------------------------------------------------------------------


def test_a_land_use_code_is_looked_up_with_its_system():
    found = conformed(
        "land_use",
        code_system=["GB/T 21010-2017", "YDYH-2023", None, "GB/T 21010-2017", "GB/T 21010-2017"],
        code=["0601", "0601", "0601", "601", None],
    )
    assert plain(found.table["three_class"]) == ["construction", "agricultural", None, None, None]
    assert {note.field for note in found.notes} == {"code"}
    assert [note.reason.split(",")[0] for note in found.notes] == [
        "1 features carry '0601' of ''",
        "1 features carry '601' of 'GB/T 21010-2017'",
        "1 features carry '' of 'GB/T 21010-2017'",
    ]


def test_what_the_file_says_of_its_own_class_stands():
    found = conformed(
        "land_use",
        code_system=["GB/T 21010-2017"] * 3,
        code=["0101", "0101", "0101"],
        three_class=["construction", None, "swamp"],
        paddy=["否", None, None],
    )
    assert found.table["three_class"].tolist() == ["construction", "agricultural", "agricultural"]
    assert found.table["paddy"].tolist() == [False, True, True]
    assert [note.field for note in found.notes] == ["three_class"]


# --- what is left over ----------------------------------------------------------------------------------------------


def test_other_fields_stay_and_none_takes_the_place_of_another():
    made = conformed(
        "zones",
        {"name": "MC"},
        MC=["甲"],
        Name=["n"],
        fid=[7],
        geom=["g"],
        Geometry=["y"],
        备注=["b"],
        a=[1],
        A=[2],
        a_2=[3],
    )
    assert made.table.loc[0].to_dict() == {
        "id": "zones-1",
        "name": "甲",
        "Name_2": "n",
        "fid_2": 7,
        "geom_2": "g",
        "Geometry_2": "y",
        "备注": "b",
        "a": 1,
        "A_2": 2,
        "a_2_2": 3,
    }
    lower = [name.lower() for name in made.table]
    assert len(set(lower)) == len(lower)


def test_a_table_with_gaps_in_its_index_keeps_its_rows_together():
    frame = pd.DataFrame({"id": ["a", "b", "c"], "width_m": ["1", "x", "3"]}, index=[5, 9, 2]).reset_index(drop=True)
    made = conform(frame, role("roads"), {}, file="a")
    np.testing.assert_array_equal(made.table["width_m"], [1.0, NAN, 3.0])
    assert [note.feature for note in made.notes] == ["b"]


@pytest.mark.parametrize("said", ["2026", "2026年", "2026-12", "2026年12月", "202612"])
def test_a_date_without_a_day_is_unknown_not_the_first_of_january(said):
    made = conform(pd.DataFrame({"id": ["a"], "approved_on": [said]}), role("approved_land"), {}, file="x.gpkg")
    assert made.table["approved_on"].tolist() == [None]
    assert any(note.field == "approved_on" for note in made.notes)


def test_a_date_as_a_number_is_read():
    made = conform(pd.DataFrame({"id": ["a"], "approved_on": [20261231]}), role("approved_land"), {}, file="x.gpkg")
    assert made.table["approved_on"].tolist() == ["2026-12-31"]
