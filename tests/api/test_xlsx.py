"""The workbook of a check: every table a sheet, totals that close, text that stays text."""

import io
from decimal import Decimal

import openpyxl
import pytest
import shapely
from fastapi.testclient import TestClient

from api import xlsx
from api.answers import QUOTA_FACTS, answer
from api.app import create_app
from api.settings import Settings
from gis.check import check, rulebook
from gis.occupation import TABLES
from layers.records import Industry, Part, Project, Site
from tests.counties import FARM, GOOD, found_county
from tests.worlds import SITE, kind_world, layer

HERE = "http://127.0.0.1"
EVIL = '=HYPERLINK("http://example.invalid","x")'


def world():
    thirds = shapely.box([0, 33.3, 66.6, 0], [0, 0, 0, 90], [33.3, 66.6, 100, 100], [90, 90, 90, 95])
    land = layer(
        "land_use",
        thirds,
        code_system=["TD/T 1055-2019"] * 4,
        code=["0101", "0103", "0601", "0301"],
        code_name=["水田", EVIL, "工业用地", "乔木林地"],
        three_class=["agricultural", "agricultural", "construction", "agricultural"],
        cultivated=[True, True, False, False],
        paddy=[True, False, False, False],
        deduct_share=[0.12, 1 / 3, None, None],
        deducted_code=["1203", "1203", None, None],
        ownership=["30", "30", "20", "10"],
        seat_name=["甲村", "@乙村", "", None],
        patch_area_m2=[2_990.0, 2_999.9, 3_010.0, 500.0],
    )
    return kind_world(land_use=land)


def answered(here=None):
    project = Project(id="=1+1", name="+茶厂", land_m2=8_000, industry=Industry(code="C1530"))
    checked = check([SITE], project, rulebook(), here or world(), extra=QUOTA_FACTS)
    return answer(checked, 0, 0, Site.of(Part(SITE)))


def opened(found):
    return openpyxl.load_workbook(io.BytesIO(xlsx.workbook(found)))


def rows_of(sheet):
    """Heading -> values, under the four heading rows and the two rows of column names."""
    head = [cell.value for cell in sheet[5]]
    return [dict(zip(head, (cell.value for cell in row), strict=True)) for row in sheet.iter_rows(min_row=7)]


@pytest.fixture(scope="module")
def book():
    return opened(answered())


def test_every_table_is_a_sheet_with_chinese_headings_over_english(book):
    assert book.sheetnames == ["审查结论", *(table.zh for table in TABLES.values())]
    for sheet in book.worksheets:
        assert any("\u4e00" <= letter <= "\u9fff" for letter in sheet["A1"].value)
        assert sheet["A3"].value.startswith("系统初审：")
        assert len([cell for cell in sheet[5] if cell.value]) == len([cell for cell in sheet[6] if cell.value])


@pytest.mark.parametrize("unit", ["㎡", "公顷", "亩"])
def test_printed_columns_add_up_to_their_printed_totals(book, unit):
    whole = {"㎡": "10000.00", "公顷": "1.0000", "亩": "15.00"}[unit]
    for name, column in (("图斑明细", "压占面积"), ("分类面积", "面积")):
        *parts, last = rows_of(book[name])
        assert sum(Decimal(str(row[f"{column}（{unit}）"])) for row in parts) == Decimal(whole), name
        assert Decimal(str(last[f"{column}（{unit}）"])) == Decimal(whole)
    *parts, last = rows_of(book["权属汇总"])
    assert sum(Decimal(str(row[f"面积（{unit}）"])) for row in parts) == Decimal(whole)
    summary = {row["地类"]: Decimal(str(row[f"面积（{unit}）"])) for row in rows_of(book["地类汇总"])}
    groups = ("农用地", "建设用地", "未利用地", "未覆盖（无图斑）")
    assert sum(summary[name] for name in groups) == summary["合计"] == Decimal(whole)
    assert sum(summary[name] for name in ("水田", "水浇地", "旱地")) == summary["耕地"]
    farmed = ("耕地", "园地", "林地", "草地", "田坎", "其他农用地")
    assert sum(summary[name] for name in farmed) == summary["农用地"]


def test_areas_are_numbers_with_their_places(book):
    sheet = book["图斑明细"]
    head = [cell.value for cell in sheet[5]]
    formats = {
        name: sheet.cell(7, head.index(name) + 1).number_format
        for name in ("压占面积（㎡）", "压占面积（公顷）", "占比")
    }
    assert formats == {"压占面积（㎡）": "#,##0.00", "压占面积（公顷）": "#,##0.0000", "占比": "0.00%"}
    assert sheet.cell(7, head.index("压占面积（㎡）") + 1).data_type == "n"


def test_no_cell_is_a_formula_and_codes_keep_their_zeros(book):
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"n", "s", "inlineStr", "b"}  # and no "f"
    values = {cell.value for cell in cells}
    assert {EVIL, "@乙村", "0101", "1203"} <= values
    assert all(cell.quotePrefix for cell in cells if cell.value in (EVIL, "@乙村"))


def test_it_prints_on_a4_landscape_one_page_wide_with_its_headings(book):
    for sheet in book.worksheets:
        assert (sheet.page_setup.orientation, int(sheet.page_setup.paperSize)) == ("landscape", 9)
        assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.print_title_rows == "$1:$6"
        assert sheet.freeze_panes == "A7"


def test_a_synthetic_layer_is_said_on_every_sheet(book):
    assert not any("合成" in str(sheet["A4"].value) for sheet in book.worksheets)
    found = answered()
    found["occupation"]["sources"][0]["synthetic"] = True
    assert all("合成" in sheet["A4"].value for sheet in opened(found).worksheets)


def test_findings_stand_worst_first_with_what_is_not_confirmed(book):
    rows = rows_of(book["审查结论"])
    order = [["不通过", "无法判定", "通过"].index(row["判定"]) for row in rows]
    assert order == sorted(order)
    assert "待核" in {row["核实"] for row in rows}


def test_a_check_without_any_layer_is_a_workbook_all_the_same():
    from tests.worlds import MemoryWorld

    book = opened(answered(MemoryWorld()))
    assert rows_of(book["图斑明细"]) == []
    assert "无法判定" in book["审查结论"]["A3"].value


def test_a_touch_of_the_red_line_is_not_printed_as_nothing():
    sliver = layer("eco_redline", [shapely.box(99.99999, 0, 200, 100)], name=["红线"])
    rows = rows_of(opened(answered(kind_world(eco_redline=sliver)))["三线"])
    (row,) = [row for row in rows if row["名称"] == "红线"]
    assert 0 < row["压占面积（㎡）"] < 0.01


# --- over HTTP and on the command line --------------------------------------------------------------


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


def test_the_report_is_served(county):
    with TestClient(create_app(Settings(county=county)), base_url=HERE) as client:
        made = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [FARM]}}).json()
        report = client.get(f"/checks/{made['id']}/report.xlsx")
        assert report.status_code == 200
        assert report.headers["content-type"] == xlsx.MEDIA_TYPE
        book = openpyxl.load_workbook(io.BytesIO(report.content))
        assert "不符合" in book["审查结论"]["A3"].value
        assert FARM in book["图斑明细"]["A2"].value
        assert client.get("/checks/nope/report.xlsx").status_code == 404


def test_the_command_line_writes_it(county, tmp_path):
    import json

    from typer.testing import CliRunner

    from scripts.cli import app

    project = tmp_path / "p.json"
    project.write_text(json.dumps({"id": "x", "land_m2": 8_000}))
    out = tmp_path / "out.xlsx"
    ran = CliRunner().invoke(
        app, ["check", str(county), "--project", str(project), "--parcel", GOOD, "--report", str(out)]
    )
    assert ran.exit_code in (0, 10, 11, 12), ran.output
    assert openpyxl.load_workbook(out).sheetnames[0] == "审查结论"
