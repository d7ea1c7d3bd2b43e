"""The project library as a file: it reads back equal, every faulty row is named, a hostile file is refused."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any, get_args

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers import library
from layers.errors import BadInput, Fault, TooLarge
from layers.library import FORMS, read
from layers.library_table import ABOUT, PARTS, PROJECTS, ZH, Column, Wrong, value_of
from layers.library_writing import template, to_bytes
from layers.records import (
    AnnualOutput,
    Component,
    Demands,
    Document,
    Equipment,
    Footprint,
    Industry,
    Milestone,
    Phase,
    Preparation,
    Project,
    Stage,
)
from scripts.county.projects import projects as examples

TEA = {"id": "TEA", "name": "精制茶", "land_m2": 8_000}


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def book(folder: Path, name: str = "library.xlsx", **sheets: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for title, rows in sheets.items():
        page = made.create_sheet(title)
        for row in rows:
            page.append(row)
    made.save(folder / name)
    return folder / name


def said(faults: list[Fault]) -> list[tuple[str | None, str | None, str | None]]:
    return [(one.layer, one.feature, one.field) for one in faults]


# --- there and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_example_project_reads_back_equal(tmp_path, form):
    wanted = [Project.model_validate(one) for one in examples()]
    found, faults = read(put(tmp_path, f"library.{form}", to_bytes(wanted, form)))
    assert faults == []
    assert found == wanted


def test_the_examples_stand_in_every_stage_with_all_that_a_library_keeps():
    made = [Project.model_validate(one) for one in examples()]
    assert {one.stage for one in made} == set(get_args(Stage))
    assert {one.preparation for one in made} == set(get_args(Preparation))
    assert any(one.components for one in made)
    assert any(len(one.phases) > 1 for one in made)
    assert any(one.existing_site for one in made)
    (cement,) = (one for one in made if one.id == "PRJ-CEMENT")
    assert cement.gates == {"capacity_replacement": None}
    for one in made:
        planned = [step.planned_on for step in one.milestones]
        assert planned == sorted(planned, key=lambda day: day or date.max)


AMOUNT = st.floats(0, 1e12, allow_subnormal=False).map(lambda amount: float(f"{amount:.15g}"))
SIZE = st.floats(1, 1e9).map(lambda size: float(f"{size:.15g}"))
YEAR = st.integers(2000, 2100)
LETTERS = st.characters(exclude_categories=("C", "Z"))
WORD = (
    st.one_of(
        st.sampled_from(["=1+1", "+茶", "-5", "@x", "'=quoted", "''", "007", "1e5", "TRUE", "12345678901234567", "是"]),
        st.text(LETTERS, min_size=1, max_size=12),
        st.builds("{} {}".format, st.text(LETTERS, min_size=1), st.text(LETTERS, min_size=1)),
    )
    .map(lambda word: word[:20].strip())
    .filter(lambda word: word not in ("", "无"))
)
DEMANDS: dict[str, st.SearchStrategy[Any]] = {
    name: st.none() | (st.booleans() if name == "dual_supply" else AMOUNT) for name in Demands.model_fields
}
INDUSTRY = st.none() | st.builds(Industry, code=st.from_regex(r"[A-Z]?[0-9]{2,4}", fullmatch=True))
EQUIPMENT = st.builds(
    Equipment, **{name: st.none() | AMOUNT for name in ("furnace_kva", "film_mm")}, solid_clay=st.none() | st.booleans()
).filter(lambda one: one != Equipment())
PROJECT = st.builds(
    Project,
    id=st.none() | WORD,
    name=WORD,
    industry=INDUSTRY,
    stage=st.none() | st.sampled_from(get_args(Stage)),
    preparation=st.none() | st.sampled_from(get_args(Preparation)),
    land_m2=SIZE,
    footprint=st.none() | st.builds(Footprint, length_m=SIZE, width_m=SIZE),
    annual_output=st.none() | st.builds(AnnualOutput, amount=SIZE, unit=WORD, product=st.none() | WORD),
    equipment=st.none() | EQUIPMENT,
    gates=st.none() | st.dictionaries(st.sampled_from(get_args(Document)), st.none() | WORD, min_size=1),
    dust=st.none() | st.booleans(),
    jobs=st.none() | AMOUNT,
    zone=st.none() | WORD,
    existing_site=st.none() | WORD,
    priority=st.none() | st.integers(-(10**9), 10**9),
    components=st.lists(
        st.builds(Component, name=WORD, industry=INDUSTRY, land_m2=SIZE, linked_within_m=AMOUNT, **DEMANDS), max_size=2
    ).map(tuple),
    phases=st.lists(
        st.builds(Phase, approval_year=st.none() | YEAR, production_year=st.none() | YEAR, land_m2=SIZE, **DEMANDS),
        max_size=2,
    ).map(tuple),
    milestones=st.lists(
        st.builds(
            Milestone,
            procedure=WORD,
            planned_on=st.none() | st.dates(date(1890, 1, 1)),
            done_on=st.none() | st.dates(date(1900, 1, 1)),
            document=st.none() | WORD,
        ),
        max_size=2,
    ).map(tuple),
    **DEMANDS,
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(wanted=st.lists(PROJECT, max_size=3, unique_by=lambda one: one.key))
def test_any_library_reads_back_equal(tmp_path_factory, form, wanted):
    path = put(tmp_path_factory.mktemp("any"), f"library.{form}", to_bytes(wanted, form))
    found, faults = read(path)
    assert faults == []
    assert found == wanted


def test_every_field_of_a_project_has_its_column_and_every_heading_its_field():
    fields = {column.field for sheet in (PROJECTS, *PARTS) for column in sheet.columns}
    assert fields | {part.field for part in PARTS} == set(ZH)
    assert len({column.heading for column in PROJECTS.columns}) == len(PROJECTS.columns)
    top = {column.field.partition(".")[0] for column in PROJECTS.columns} | {part.field for part in PARTS}
    assert top == set(Project.model_fields)


def test_a_text_that_a_spreadsheet_would_work_out_stays_a_text(tmp_path):
    data = to_bytes([Project.model_validate({**TEA, "name": '=HYPERLINK("http://x")'})], "xlsx")
    page = openpyxl.load_workbook(io.BytesIO(data))[PROJECTS.title]
    (cell,) = (one for one in page[2] if str(one.value).startswith("="))
    assert cell.data_type == "s"
    assert b",'=HYPERLINK" in to_bytes([Project(id="x", name="=HYPERLINK", land_m2=1)], "csv")


# --- people's own files ----------------------------------------------------------------------------


def test_headings_may_be_chinese_english_or_both_and_the_only_sheet_any_name(tmp_path):
    path = book(tmp_path, Sheet1=[["项目编号", "land_m2", "扬尘 dust", "投产"], ["A", "70,000", "否", None]])
    _, faults = read(path)
    assert said(faults) == [("Sheet1", "row 1", "投产")]
    found, faults = read(
        book(tmp_path, Sheet1=[[], ["项目编号", "用地面积", "扬尘 dust"], ["A", "70,000", "否"], [], [7, 5]])
    )
    assert faults == []
    assert [(one.id, one.land_m2, one.dust) for one in found] == [("A", 70_000, False), ("7", 5, None)]


def test_a_csv_as_chinese_spreadsheets_save_it(tmp_path):
    path = put(tmp_path, "项目.csv", "项目编号,名称,用地面积\r\nA,精制茶,8000\r\n".encode("gb18030"))
    found, faults = read(path)
    assert (found, faults) == ([Project(id="A", name="精制茶", land_m2=8_000)], [])


def test_json_as_the_service_answers_it(tmp_path):
    path = put(tmp_path, "p.json", json.dumps({"projects": [TEA]}).encode())
    assert read(path) == ([Project.model_validate(TEA)], [])


def test_an_empty_document_cell_is_not_said_and_none_held_is(tmp_path):
    rows = [["id", "land_m2", "gates.eia", "gates.energy_review"], ["A", 1, None, "无"], ["B", 1, "黔环审1号", None]]
    found, _ = read(book(tmp_path, x=rows))
    assert [one.gates for one in found] == [{"energy_review": None}, {"eia": "黔环审1号"}]


def test_the_template_is_an_empty_library_with_drop_downs_and_explanations(tmp_path):
    data = template({"zone": ["520625-NE", "520625-BM"]})
    assert read(put(tmp_path, "t.xlsx", data)) == ([], [])
    made = openpyxl.load_workbook(io.BytesIO(data))
    assert made.sheetnames == [PROJECTS.title, *(part.title for part in PARTS), ABOUT]
    listed = {one.formula1 for one in made[PROJECTS.title].data_validations.dataValidation}
    assert {'"储备,引进,新建,实施"', '"是,否"', '"520625-NE,520625-BM"'} <= listed
    explained = {row[2] for row in made[ABOUT].iter_rows(values_only=True)}
    assert {column.field for column in PROJECTS.columns} <= explained


# --- faults ----------------------------------------------------------------------------------------


def test_all_faulty_cells_are_named_at_once_and_the_good_rows_are_read(tmp_path):
    head = ["id", "land_m2", "stage", "dust", "priority", "footprint.length_m", "industry.code"]
    path = book(
        tmp_path,
        projects=[
            head,
            ["GOOD", 5_000, "储备", "是", 1, None, "1530"],
            ["BAD", "70亩", "建成", "也许", 1.5, 90, 820],
            [None, 5_000],
            ["NIL", None],
            ["GOOD", 6_000],
        ],
        phases=[["project_id", "land_m2", "approval_year"], ["GOOD", 1_000, 2026], ["GOOD", 1, 1999], ["WHO", 1, 2026]],
        milestones=[["project_id", "procedure", "planned_on"], ["BAD", "环评", "2026-02-30"]],
    )
    found, faults = read(path)
    assert found == []
    assert {one.file for one in faults} == {"library.xlsx"}
    assert set(said(faults)) == {
        ("projects", "row 3 BAD", "land_m2"),
        ("projects", "row 3 BAD", "stage"),
        ("projects", "row 3 BAD", "dust"),
        ("projects", "row 3 BAD", "priority"),
        ("projects", "row 3 BAD", "footprint.width_m"),
        ("projects", "row 3 BAD", "industry.code"),
        ("projects", "row 4", None),
        ("projects", "row 5 NIL", None),
        ("projects", "row 6 GOOD", "id"),
        ("phases", "row 3 GOOD", "approval_year"),
        ("phases", "row 4 WHO", "project_id"),
        ("milestones", "row 2 BAD", "planned_on"),
    }
    assert all(one.reason and one.fix for one in faults)


def test_a_good_row_is_read_beside_a_bad_one(tmp_path):
    found, faults = read(book(tmp_path, x=[["id", "land_m2"], ["A", 1], ["B", -1], ["C", 3]]))
    assert [one.id for one in found] == ["A", "C"]
    assert said(faults) == [("x", "row 3 B", "land_m2")]


def test_a_formula_is_a_fault_even_where_the_file_keeps_its_value(tmp_path):
    _, faults = read(book(tmp_path, x=[["id", "land_m2"], ["A", "=4000*2"]]))
    assert said(faults) == [("x", "row 2 A", "land_m2")]
    assert "formula" in faults[0].reason


def test_values_without_a_heading_and_headings_twice_are_faults(tmp_path):
    _, faults = read(book(tmp_path, x=[["id", "land_m2", None, "用地面积"], ["A", 1, "stray", 2, "far"]]))
    assert [(one.feature, one.field) for one in faults] == [("row 1", "用地面积"), ("row 2", None)]
    assert "C, E" in faults[1].reason


def test_sheets_that_are_none_of_a_librarys_are_named(tmp_path):
    with pytest.raises(BadInput) as caught:
        read(book(tmp_path, projects=[["id"]], phase=[["project_id"]], 项目=[["id"]]))
    assert [one.layer for one in caught.value.faults] == ["phase", None]


def test_json_faults_name_the_project_and_the_field(tmp_path):
    bad = [{"id": "A", "land_m2": 1, "phases": [{"land_m2": 1}, {}], "colour": "red"}, 5, TEA]
    found, faults = read(put(tmp_path, "p.json", json.dumps(bad).encode()))
    assert [one.id for one in found] == ["TEA"]
    assert set(said(faults)) == {
        ("projects", "project 1 A", "phases.1.land_m2"),
        ("projects", "project 1 A", "colour"),
        ("projects", "project 2", None),
    }


def test_what_else_is_wrong_with_a_project_is_placed_in_its_row(tmp_path):
    path = book(tmp_path, x=[["id", "land_m2"], ["A", 1], ["B", 2]])
    found, faults = read(path, judge=lambda one: [Fault("no", "yes", field="zone")] if one.id == "B" else [])
    assert [one.id for one in found] == ["A"]
    assert said(faults) == [("x", "row 3 B", "zone")]


@pytest.mark.parametrize(
    ("field", "kind", "value", "wanted"),
    [
        ("land_m2", "number", " 1,234.5 ", 1234.5),
        ("land_m2", "number", "１２", 12.0),
        ("dust", "yes_no", "N", False),
        ("dust", "yes_no", 1, True),
        ("planned_on", "date", "2026年3月1日", date(2026, 3, 1)),
        ("planned_on", "date", "2026/3/1", date(2026, 3, 1)),
        ("name", "text", 12.0, "12"),
        ("industry.code", "text", 1530, "1530"),
        ("name", "text", "\u3000 ", None),
    ],
)
def test_a_cell_means_what_people_mean(field, kind, value, wanted):
    assert value_of(Column(field, kind), value) == wanted


@pytest.mark.parametrize(
    ("field", "kind", "value"),
    [
        ("land_m2", "number", "1_000"),
        ("land_m2", "number", "nan"),
        ("land_m2", "number", "12,34"),
        ("land_m2", "number", True),
        ("land_m2", "number", date(2026, 1, 1)),
        ("dust", "yes_no", "maybe"),
        ("planned_on", "date", 46_000),
        ("industry.code", "text", 820),
        ("name", "text", "x" * 2_001),
        ("phases", "list", "{}"),
        ("phases", "list", "[" * 100_000),
    ],
)
def test_a_cell_that_says_something_else_is_wrong(field, kind, value):
    with pytest.raises(Wrong):
        value_of(Column(field, kind), value)


# --- files that are no library ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.xlsx", b"PK\x03\x04 no zip"),
        ("x.xlsx", b"\xd0\xcf\x11\xe0 an old .xls"),
        ("x.xlsx", b""),
        ("x.csv", b""),
        ("x.csv", b"\xff\xfe\x00"),
        ("x.csv", b'id,land_m2\n"open,1\n'),
        ("x.csv", b"colour,size\n1,2\n"),
        ("x.json", b"[" * 100_000),
        ("x.json", b"1"),
        ("x.json", b'[{"id": 1'),
        ("x.pdf", b"%PDF"),
        ("x", b""),
    ],
)
def test_a_file_that_is_no_library_is_refused_with_its_name(tmp_path, name, data):
    with pytest.raises(BadInput) as caught:
        read(put(tmp_path, name, data))
    assert {one.file for one in caught.value.faults} == {name}


def repacked(path: Path, **changed: bytes) -> Path:
    """A workbook with some of its parts replaced or added."""
    with zipfile.ZipFile(path) as archive:
        parts = {one.filename: archive.read(one) for one in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**parts, **changed}.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_workbook_that_declares_entities_is_refused(tmp_path, encoding):
    evil = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><sst>&a;</sst>'.encode(encoding)
    path = repacked(book(tmp_path, x=[["id"], ["A"]]), **{"xl/sharedStrings.xml": evil})
    with pytest.raises(BadInput, match="cannot be read") as caught:
        read(path)
    assert "document type" in caught.value.faults[0].reason


def test_a_workbook_that_unpacks_to_far_more_than_it_is_or_reaches_far_out_is_refused(tmp_path):
    path = repacked(book(tmp_path, x=[["id"], ["A"]]), **{"xl/media/blank.bin": b"\0" * 200_000_000})
    with pytest.raises(TooLarge, match="unpacks"):
        read(path)
    made = book(tmp_path, x=[["id"], ["A"]])
    with zipfile.ZipFile(made) as archive:
        page = archive.read("xl/worksheets/sheet1.xml")
    for far, word in ((b'r="XFD1"', "past column"), (b'r="AAAAAAAAA1"', "past column")):
        with pytest.raises(TooLarge, match=word):
            read(repacked(made, **{"xl/worksheets/sheet1.xml": page.replace(b'r="A1"', far)}))


def test_a_row_number_beyond_any_sheet_ends_the_reading(tmp_path):
    made = book(tmp_path, x=[["id"], ["A"]])
    with zipfile.ZipFile(made) as archive:
        page = archive.read("xl/worksheets/sheet1.xml")
    far = page.replace(b'<row r="2"', b'<row r="99999999999"').replace(b'r="A2"', b'r="A99999999999"')
    with pytest.raises(TooLarge, match="rows"):
        read(repacked(made, **{"xl/worksheets/sheet1.xml": far}))


def test_a_file_with_a_wrong_word_on_its_own_size_loses_no_row(tmp_path):
    made = book(tmp_path, x=[["id", "land_m2"], ["A", 1], ["B", 2]])
    with zipfile.ZipFile(made) as archive:
        page = archive.read("xl/worksheets/sheet1.xml")
    found, faults = read(repacked(made, **{"xl/worksheets/sheet1.xml": page.replace(b'"A1:B3"', b'"A1:A2"')}))
    assert (len(found), faults) == (2, [])


def test_more_rows_than_a_library_may_have_are_refused_not_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "MOST_ROWS", 3)
    with pytest.raises(TooLarge):
        read(put(tmp_path, "x.csv", b"id,land_m2\nA,1\nB,1\nC,1\n"))
    with pytest.raises(TooLarge):
        read(put(tmp_path, "x.json", json.dumps([TEA] * 4).encode()))
    monkeypatch.setattr(library, "MOST_LISTED", 1)
    _, faults = read(put(tmp_path, "x.csv", b"id,land_m2\nA,x\nB,x\n"))
    assert len(faults) == 2
    assert "not listed" in faults[-1].reason
