"""Reports and map sheets read back out of the files: true to scale, whole, the same text in every form."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterator
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import openpyxl
import pdfplumber
import pytest
import shapely
from docx import Document
from fastapi.testclient import TestClient

from api.answers import answer, asked_columns
from api.reports import boundary, docx, fonts, html, mapsheet, of_check, of_occupation, of_parcels, of_plan, pdf, xlsx
from api.reports.model import Table, shown
from api.reports.plate import Sheet, Window, plate
from gis.check import check, rulebook
from layers.errors import BadInput, NotInstalled, Stale, TooLarge
from layers.gpkg import GeoPackage
from layers.ingest import from_frame
from layers.records import Industry, Part, Project, Site
from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, people, served, two_zones
from tests.counties import EAST, EXTENT, FARM, GOOD, NORTH, TEA, found_county

pytestmark = pytest.mark.needs("font")
PT_MM = 25.4 / 72
TODAY = date(2026, 6, 1)
PLAIN = "520625001001GB00009"  # a parcel of which nothing is known but its ground
LONG = "长" * 150 + "N" * 150
EVIL = (
    "#panic()", "$x^2$", "*bold*", "_it_ `raw` @ref <label>", "<script>alert(1)</script>", "=cmd|' /C calc'!A0",
    r"\u{41} \ end", "{{ 7*7 }} ${8*8}", "]#[", "// no comment /* nor this */", LONG,
)  # fmt: skip


def poppler(*words: str, data: bytes) -> str:
    return subprocess.run([*words, "-", "-"], input=data, capture_output=True, check=True).stdout.decode()


def text_of(data: bytes) -> str:
    return poppler("pdftotext", "-raw", data=data)


def squeezed(text: str) -> str:
    """Without what only breaks lines: a long name stands in many."""
    return re.sub(r"[\s\u200b\f]", "", text)


class Seen(HTMLParser):
    """The text of a page as a reader sees it, and the elements it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GeoPackage]:
    store = found_county(tmp_path_factory.mktemp("reports") / "county.gpkg")
    ids = [GOOD, FARM, "520625001001GB00003", PLAIN, *(f"E{n}" for n in range(len(EVIL)))]
    lower = shapely.box(*np.array([[EAST + 400 + 60 * n, NORTH, EAST + 450 + 60 * n, NORTH + 60] for n in range(11)]).T)
    ground = [
        *store.frame("parcels").geometry, shapely.box(EAST, NORTH - 300, EAST + 100, NORTH - 200), *lower,
    ]  # fmt: skip
    names = ["一号地", "二号地", "三号地", None, *EVIL]
    frame = gpd.GeoDataFrame({"id": ids, "name": names, "synthetic": True}, geometry=ground, crs=4545)
    store.put(from_frame(frame, "parcels", source="tests", extent=EXTENT), by="tests")
    yield store
    store.close()


def answered(store: GeoPackage, parcel: str, name: str = "精制茶", **more: Any) -> dict[str, Any]:
    book = rulebook().confirmed(store.list("confirmation"))
    project = Project(id="TEA", name=name, land_m2=8_000, industry=Industry(code="1530"), **more)
    geometry = store.ground("parcels", [parcel])[parcel]
    checked = check([geometry], project, book, store.at(), extra=asked_columns(book))
    return answer(checked, 0, 0, Site.of(Part(geometry, parcel)))


@pytest.fixture(scope="module")
def farm(store: GeoPackage) -> dict[str, Any]:
    """A check that fails, has unknowns, passes and exempts: the demands of the project are not all said."""
    return answered(store, FARM)


@pytest.fixture(scope="module")
def printed(store: GeoPackage, farm: dict[str, Any]) -> bytes:
    return pdf.write(of_check.report(farm, store))


# --- true scale -----------------------------------------------------------------------------------


def ground_on(page: Any) -> dict[str, Any]:
    """The ground's outline as pdfplumber (pdfminer) reads its path: the one large thing with a red stroke."""

    def is_red(color: Any) -> bool:
        return isinstance(color, tuple) and np.allclose(color, (0xC2 / 255, 0, 0x3D / 255), atol=0.01)

    drawn = [one for one in [*page.curves, *page.rects] if one["stroke"] and is_red(one["stroking_color"])]
    (found,) = [one for one in drawn if one["width"] * PT_MM > 8]
    return dict(found)


@pytest.mark.parametrize(
    ("scale", "paper", "side_mm"),
    [
        (2_000, "A4", 50.0),
        (2_000, "A3", 50.0),
        (1_000, "A4", 100.0),
        (5_000, "A4", 20.0),
        (500, "A3", 200.0),
        (10_000, "A3", 10.0),
    ],
)
def test_a_hundred_metres_measure_right_on_the_page(
    store: GeoPackage, scale: int, paper: mapsheet.Paper, side_mm: float
) -> None:
    made = of_parcels.sheets(store, [GOOD], scale=scale, paper=paper, drawn_on=TODAY, points=False)
    with pdfplumber.open(io.BytesIO(pdf.write(made))) as book:
        (page,) = book.pages
        size = sorted((float(page.width) * PT_MM, float(page.height) * PT_MM))
        assert size == pytest.approx(sorted(mapsheet.PAPERS[paper]), abs=0.1)
        drawn = ground_on(page)
        assert (drawn["width"] * PT_MM, drawn["height"] * PT_MM) == pytest.approx((side_mm, side_mm), abs=0.2)


def test_the_grid_and_the_scale_bar_measure_right_too(store: GeoPackage) -> None:
    """At 1:2000 lines of the grid stand 100 m, so 50 mm apart, and carry coordinates that are so far apart."""
    made = of_parcels.sheets(store, [GOOD], scale=2_000, drawn_on=TODAY, points=False)
    with pdfplumber.open(io.BytesIO(pdf.write(made))) as book:
        page = book.pages[0]
        words = page.extract_words(keep_blank_chars=True)
        bars = [one for one in page.rects if abs(one["height"] * PT_MM - 1.2) < 0.2 and one["width"] * PT_MM < 12]
    labels = {
        int(one["text"].replace(" ", "")): (one["x0"] + one["x1"]) / 2 * PT_MM
        for one in words
        if re.fullmatch(r"5\d\d \d00", one["text"])
    }
    east = sorted(labels)
    assert len(east) >= 3
    assert set(np.diff(east)) == {100}
    assert np.diff([labels[one] for one in east]) == pytest.approx(50.0, abs=0.2)
    assert [one["width"] * PT_MM for one in bars] == pytest.approx([10.0] * 4, abs=0.2)


def test_the_drawn_ground_lies_where_its_coordinates_say(store: GeoPackage) -> None:
    """The red square's corner against the grid's own labels: the map is not only as large as it should be."""
    made = of_parcels.sheets(store, [GOOD], scale=2_000, drawn_on=TODAY, points=False)
    with pdfplumber.open(io.BytesIO(pdf.write(made))) as book:
        page = book.pages[0]
        words = page.extract_words(keep_blank_chars=True)
        ground = ground_on(page)
    tick = next(one for one in words if one["text"] == f"{int(EAST) // 1000} {int(EAST) % 1000:03d}")
    assert ground["x0"] * PT_MM == pytest.approx((tick["x0"] + tick["x1"]) / 2 * PT_MM, abs=0.3)


@pytest.mark.parametrize(("wide_m", "high_m", "across"), [(300, 100, True), (100, 300, False)])
def test_paper_lies_as_the_ground_does(wide_m: float, high_m: float, across: bool) -> None:
    window = mapsheet.fit((0, 0, wide_m, high_m), None, "A4")
    assert (window.width_mm > window.height_mm) is across
    assert window.scale == 2_000


def test_what_does_not_fit_is_refused_with_the_scale_that_does() -> None:
    with pytest.raises(BadInput) as said:
        mapsheet.fit((0, 0, 150, 150), 500, "A4", name="P")
    (fault,) = said.value.faults
    assert fault.feature == "P"
    assert "150 × 150 m do not fit 1:500 on A4" in fault.reason
    assert fault.fix == "Use 1:1000 on A4"
    assert mapsheet.fit((0, 0, 150, 150), 1_000, "A4").scale == 1_000
    with pytest.raises(BadInput, match="cannot be drawn"):
        mapsheet.fit((0, 0, 9_000, 9_000), None, "A3")
    assert mapsheet.fit((0, 0, 9_000, 9_000), None, "A3", coarser=True).scale == 50_000


def test_points_run_clockwise_from_the_north_west_with_their_sides(store: GeoPackage) -> None:
    made = of_parcels.sheets(store, [GOOD], drawn_on=TODAY)
    (table,) = made.sections[0].blocks
    assert isinstance(table, Table)
    at = [(row[0], row[1] - NORTH, row[2] - EAST, row[4]) for row in table.rows]  # type: ignore[operator]
    assert at == [("J1", 100, 0, 100), ("J2", 100, 100, 100), ("J3", 0, 100, 100), ("J4", 0, 0, 100)]


def test_a_hole_goes_on_counting_and_runs_the_other_way() -> None:
    from api.reports.boundary import rings

    outer, hole = rings(shapely.Polygon(shapely.box(0, 0, 10, 10).exterior, [shapely.box(2, 2, 4, 4).exterior]))
    assert (outer.names, hole.names) == (["J1", "J2", "J3", "J4"], ["J5", "J6", "J7", "J8"])
    assert hole.points.tolist() == [[2, 4], [2, 2], [4, 2], [4, 4]]
    assert (outer.is_hole, hole.is_hole) == (False, True)


def test_a_boundary_of_fifty_thousand_points_is_not_a_book(store: GeoPackage, farm: dict[str, Any]) -> None:
    angle = np.linspace(0, 2 * np.pi, 50_000, endpoint=False)
    round_ = shapely.Polygon(np.column_stack([EAST + 50 * np.cos(angle), NORTH + 50 * np.sin(angle)]))
    said, table = boundary.points(round_)
    assert isinstance(table, Table)
    assert len(table.rows) == boundary.MOST_ROWS
    assert "共 50,000 个" in said.zh  # type: ignore[union-attr]
    many = [*farm["occupation"]["allocation"]] * 400
    cut = {**farm, "occupation": {**farm["occupation"], "allocation": many}}
    blocks = of_check.report(cut, store).sections[4].blocks
    assert max(len(one.rows) for one in blocks if isinstance(one, Table)) == of_occupation.MOST_ROWS
    told = f"另有 {len(many) - of_occupation.MOST_ROWS:,} 行"
    assert any(told in one.zh for one in blocks if not isinstance(one, Table))  # type: ignore[union-attr]


def test_only_layers_that_are_drawn_stand_in_the_legend(store: GeoPackage) -> None:
    ground = mapsheet.Ground(store)
    window = Window.around((EAST, NORTH, EAST + 100, NORTH + 100), 1_000, 100, 100)
    far = Window.around((EAST + 9e3, NORTH + 9e3, EAST + 9.1e3, NORTH + 9.1e3), 1_000, 100, 100)
    drawn = {one.role for one in plate(window, ground.sheets(window)).drawn}
    assert {"parcels", "land_use"} <= drawn
    assert "parcels" not in {one.role for one in plate(far, ground.sheets(far)).drawn}


def test_a_parcel_names_its_neighbours_and_no_others(store: GeoPackage) -> None:
    frame = gpd.GeoDataFrame({"id": ["A", "B", "C"]}, geometry=shapely.box([0, 9.02, 30], 0, [9, 18, 39], 9), crs=4545)

    class Here(mapsheet.Ground):
        def frame(self, role: str, bounds: Any) -> gpd.GeoDataFrame:
            return frame

    state = store.fabric.at(None, None, ids=[GOOD])[0]
    one = type(state)(1, "A", frame.geometry[0], {}, "2026-01-01", 1)
    assert of_parcels.neighbours(Here(store), one) == ["B"]


# --- what is printed ------------------------------------------------------------------------------


@pytest.mark.needs("pdftotext")
def test_every_table_of_a_check_can_be_read_out_of_its_pdf(farm: dict[str, Any], printed: bytes) -> None:
    text = squeezed(text_of(printed))
    assert squeezed(farm["conclusion"]["zh"]) in text
    assert farm["conclusion"]["zh"].startswith("系统初审：")
    for one in farm["findings"]:
        said = one["message"]["zh"] if one["status"] != "pass" else one["message"]["zh"].partition("：")[0]
        assert squeezed(said) in text, one["rule"]
        assert squeezed(one["basis"])[:40] in text
    for row in farm["occupation"]["land_class_summary"]:
        assert squeezed(row["zh"]) in text
    assert f"{farm['site']['control_area_m2']:,.2f}" in text
    for heading in (
        "审查结论", "项目与地块", "不符合事项", "无法判定的事项", "占用情况", "三大类与地类汇总", "现状分类面积",
        "权属汇总", "指标需求", "已审查并符合的事项", "不涉及的事项", "办结意见", "界址点坐标", "数据与规则版本",
        "审查意见", "选址范围图", "不构成用地批准或供地承诺", "含合成数据", "EPSG:4545",
        farm["rulebook_digest"], farm["facts_digest"],
    ):  # fmt: skip
        assert heading in text, heading
    for label in farm["layer_versions"].values():
        assert label in text


def test_every_finding_stands_in_exactly_one_group(store: GeoPackage, farm: dict[str, Any]) -> None:
    made = of_check.report(farm, store)
    groups = {one.title.zh: one.blocks[0] for one in made.sections}
    counts = {
        status: len(groups[title].rows)  # type: ignore[union-attr]
        for status, title in (
            ("fail", "不符合事项"), ("unknown", "数据不足、无法判定的事项"),
            ("pass", "已审查并符合的事项"), ("exempt", "不涉及的事项"),
        )
    }  # fmt: skip
    assert counts == {status: sum(one["status"] == status for one in farm["findings"]) for status in counts}
    assert min(counts.values()) > 0


def test_a_row_nobody_verified_says_so(store: GeoPackage, farm: dict[str, Any]) -> None:
    asked = {**farm, "findings": [{**one, "verified": "memory"} for one in farm["findings"]]}
    (table,) = of_check.report(asked, store).sections[2].blocks
    assert isinstance(table, Table)
    assert all("待核" in row[3].zh for row in table.rows)  # type: ignore[attr-defined]
    (table,) = of_check.report(farm, store).sections[2].blocks
    assert isinstance(table, Table)
    assert not any("待核" in row[3].zh for row in table.rows)  # type: ignore[attr-defined]


@pytest.mark.needs("pdftotext")
def test_the_digest_and_the_page_of_how_many_stand_on_every_page(
    store: GeoPackage, farm: dict[str, Any], printed: bytes
) -> None:
    pages = text_of(printed).split("\f")[:-1]
    digest = of_check.report(farm, store).digest
    assert len(pages) >= 4
    for n, page in enumerate(pages, start=1):
        assert f"第{n}页共{len(pages)}页" in squeezed(page)
        assert f"SHA-256{digest[:16]}" in squeezed(page)


def test_the_digest_is_of_the_check_alone(store: GeoPackage, farm: dict[str, Any]) -> None:
    """An opinion given later changes the report but not what it is a report of."""
    one = {"at": "2026-02-03T10:00:00.000+00:00", "rule": "farmland.basic", "decision": "maintained", "document": "文1",
           "reason": "维持", "by": "r"}  # fmt: skip
    plain, told = of_check.report(farm, store), of_check.report(farm, store, opinions=[one])
    assert plain.digest == told.digest != of_check.report({**farm, "verdict": "clear"}, store).digest
    assert pdf.write(plain) != pdf.write(told)


@pytest.mark.needs("pdffonts")
def test_every_font_is_embedded_and_one_is_chinese(store: GeoPackage, printed: bytes) -> None:
    sheet = pdf.write(of_parcels.sheets(store, [GOOD], drawn_on=TODAY))
    for data in (printed, sheet):
        rows = _fonts(data)
        assert rows
        assert all(row["emb"] == "yes" and row["sub"] == "yes" for row in rows)
        assert any("CJK" in row["name"] or "Han" in row["name"] or "Hei" in row["name"] for row in rows)


def _fonts(data: bytes) -> list[dict[str, str]]:
    lines = subprocess.run(["pdffonts", "-"], input=data, capture_output=True, check=True).stdout.decode().splitlines()
    found = []
    for line in lines[2:]:
        words = line.split()
        found.append({"name": words[0], "emb": words[-5], "sub": words[-4]})
    return found


def test_printing_twice_gives_the_same_bytes(store: GeoPackage, farm: dict[str, Any]) -> None:
    for write in (pdf.write, docx.write, html.write):
        assert write(of_check.report(farm, store)) == write(of_check.report(farm, store))


# --- text stays text ------------------------------------------------------------------------------


@pytest.mark.needs("pdftotext")
@pytest.mark.parametrize("n", range(len(EVIL)))
def test_a_name_is_text_in_every_form(store: GeoPackage, n: int) -> None:
    name = EVIL[n]
    made = of_check.report(answered(store, f"E{n}", name), store)
    wanted = squeezed(name)
    assert wanted in squeezed(text_of(pdf.write(made)))
    page = html.write(made)
    seen = Seen(page)
    assert wanted in squeezed(seen.text)
    assert "script" not in seen.tags
    document = Document(io.BytesIO(docx.write(made)))
    cells = {cell.text for table in document.tables for row in table.rows for cell in row.cells}
    assert name in cells


@pytest.mark.needs("pdftotext")
def test_names_on_map_sheets_are_text(store: GeoPackage) -> None:
    """The title cuts a long name; nothing of any name becomes an element of the drawing."""
    made = of_parcels.sheets(store, [f"E{n}" for n in range(len(EVIL))], drawn_on=TODAY, points=False)
    assert len(made.pages) == len(EVIL)
    text = squeezed(text_of(pdf.write(made)))
    for name in EVIL[:-1]:
        assert squeezed(name) in text
    assert "…" in text or "⋯" in text
    for page in made.pages:
        assert not re.search(r"<(script|label|foreignObject)", page.svg)


@pytest.mark.needs("pdftotext")
def test_a_parcel_of_which_nothing_is_known_is_printed_all_the_same(store: GeoPackage) -> None:
    text = text_of(pdf.write(of_parcels.sheets(store, [PLAIN], drawn_on=TODAY)))
    assert PLAIN in text
    assert not re.search(r"\b(nan|None|NaT)\b", text)
    assert not re.search(r"\b(nan|None|NaT)\b", text_of(pdf.write(of_check.report(answered(store, PLAIN), store))))


def test_control_characters_do_not_break_a_document(store: GeoPackage) -> None:
    made = of_check.report(answered(store, GOOD, "茶\x00\x0b\x1f厂"), store)
    for write in (pdf.write, docx.write, html.write):
        assert write(made)
    Document(io.BytesIO(docx.write(made)))


def test_cells_round_half_up_and_say_what_is_missing() -> None:
    assert [shown(one, "m2") for one in (2.675, None, float("nan"), 0.001, 0, 1e9)] == [
        "2.68", "—", "—", "0.001", "0.00", "1,000,000,000.00",
    ]  # fmt: skip


# --- Word, pages ----------------------------------------------------------------------------------


def test_the_word_document_has_blanks_to_fill_and_counts_its_pages(store: GeoPackage, farm: dict[str, Any]) -> None:
    document = Document(io.BytesIO(docx.write(of_check.report(farm, store))))
    blanks = next(one for one in document.tables if "经办意见" in one.rows[0].cells[0].text)
    assert [row.cells[0].text.split("\n")[0] for row in blanks.rows] == [label.zh for label, _ in of_check.SIGN.rows]
    assert all(row.cells[1].text == "" and row.height.mm >= 8 for row in blanks.rows)
    foot = document.sections[0].footer._element.xml
    assert ">PAGE<" in foot
    assert ">NUMPAGES<" in foot
    assert of_check.report(farm, store).digest[:16] in foot
    headings = [one.text for one in document.paragraphs if one.style is not None and one.style.name == "Heading 1"]
    assert len(headings) == 12
    assert headings[0].startswith("一、审查结论")
    assert len(document.inline_shapes) == 1  # the map


def test_the_page_has_no_script_asks_for_nothing_and_brings_its_policy(store: GeoPackage, farm: dict[str, Any]) -> None:
    made = of_check.report(farm, store)
    page = html.write(made)
    assert not re.search(r"(src|href)\s*=", page)
    assert not re.search(r"url\((?!#)", page)
    assert html.csp(made).split(";")[0] == "default-src 'none'"
    assert "style=" not in page
    assert made.digest[:16] in page


# --- fonts ----------------------------------------------------------------------------------------


@pytest.fixture
def no_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(fonts.ENV, str(tmp_path))
    pdf._compiler.cache_clear()
    yield
    pdf._compiler.cache_clear()


def test_without_a_chinese_font_nothing_is_printed_and_it_says_what_to_install(
    store: GeoPackage, farm: dict[str, Any], no_font: None
) -> None:
    with pytest.raises(NotInstalled, match=r"fonts-noto-cjk.*PARKPLAN_FONTS"):
        pdf.write(of_check.report(farm, store))
    assert html.write(of_check.report(farm, store))  # the reader's own fonts will do


# --- plans ----------------------------------------------------------------------------------------


def plan_of(store: GeoPackage) -> dict[str, Any]:
    from api.planned import dressed
    from api.planning import joint_plan
    from gis.scenario import Scenario

    scenario = Scenario.model_validate({"time_limit_s": 10, "weights": {"area_m2": 1.0}})
    projects = [Project.model_validate({**TEA, "id": key}) for key in ("T<1>", "T2", "T3", "T4")]
    world = store.at()
    joint, measured = joint_plan(store, projects, scenario, rulebook().confirmed(store.list("confirmation")), world)
    return dressed(joint, measured, world, scenario)


@pytest.mark.needs("pdftotext")
def test_a_plan_says_who_stands_where_and_who_does_not_and_why_in_every_form(store: GeoPackage) -> None:
    plan = plan_of(store)
    assert plan["assignments"]
    names = [{"id": "T<1>", "name": EVIL[4]}, {"id": "T2", "name": "=二号茶厂"}]
    made = of_plan.report(plan, store, created_at="2026-06-01T00:00:00+00:00", projects=names)
    data = pdf.write(made)
    texts = {"pdf": text_of(data), "html": Seen(html.write(made)).text}
    document = Document(io.BytesIO(docx.write(made)))
    texts["docx"] = "\n".join(cell.text for table in document.tables for row in table.rows for cell in row.cells)
    book = openpyxl.load_workbook(io.BytesIO(xlsx.write(made)))
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"n", "s", "inlineStr", "b", "d"}
    texts["xlsx"] = "\n".join(str(cell.value) for cell in cells)
    for form, text in texts.items():
        said = squeezed(text)
        for one in plan["assignments"]:
            assert squeezed(one["site"]["name"]) in said, form
        for one in plan["unplaced"]:
            assert squeezed(one["reasons"][0]["zh"]) in said, form
        for one in plan["pools"]:
            assert squeezed(one["name"]) in said, form
        assert squeezed(EVIL[4]) in said, form
        assert plan["rulebook_digest"] in said, form
    with pdfplumber.open(io.BytesIO(data)) as opened:
        assert len(opened.pages) >= 2
        assert "联合选址方案图" in opened.pages[-1].extract_text()


def test_a_plan_that_is_not_done_is_no_report(store: GeoPackage) -> None:
    with pytest.raises(Stale, match="running, not done"):
        of_plan.report({"status": "running"}, store, created_at="2026-06-01T00:00:00+00:00")


def test_a_plan_that_places_nobody_is_printed_without_a_map(store: GeoPackage) -> None:
    plan = {**plan_of(store), "assignments": []}
    made = of_plan.report(plan, store, created_at="2026-06-01T00:00:00+00:00")
    assert made.pages == []
    assert pdf.write(made)


def test_expansions_stand_with_their_cost_year_and_source(store: GeoPackage) -> None:
    plan = plan_of(store)
    adds = [{"account": "capacity/S1/power_kva", "amount": 8000.0, "unit": "kva"}]
    span = {"cost_wan": 1234.5, "cost_low_wan": 1000.0, "cost_high_wan": 1500.0}
    plan["expansions"] = [
        {"name": "S1 二号主变", "adds": adds, "from_year": 2028, "source": "价目", "confidence": "low", **span}
    ]
    (table,) = next(
        one for one in of_plan.report(plan, store, created_at="2026-06-01T00:00:00+00:00").sections
        if one.title.zh == "增容购置"
    ).blocks  # fmt: skip
    assert isinstance(table, Table)
    (row,) = table.rows
    assert (row[0], *row[2:]) == ("S1 二号主变", 1234.5, "1,000—1,500", 2028, "价目，low")
    assert row[1].startswith("capacity/S1/power_kva +8,000")


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    path = tmp_path_factory.mktemp("zoned") / "two.gpkg"
    two_zones(path).close()
    keys = people(path)
    with served(path) as client:
        client.headers.update(bearer(keys["planner"]))
        yield client, keys


@pytest.mark.needs("pdftotext")
def test_a_served_check_is_printed_in_each_form(zoned: tuple[TestClient, dict[str, str]]) -> None:
    client, _ = zoned
    made = client.post("/checks", json={"project_id": "TEA-W", "site": {"parcels": [WEST_PARCEL]}}).json()
    starts = {"pdf": b"%PDF-", "docx": b"PK", "html": b"<!DOCTYPE html>", "xlsx": b"PK", "geojson": b"{"}
    for form, start in starts.items():
        got = client.get(f"/checks/{made['id']}/report.{form}")
        assert got.status_code == 200, form
        assert got.content.startswith(start), form
    page = client.get(f"/checks/{made['id']}/report.html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert client.get(f"/checks/{made['id']}/report.doc").status_code == 422
    sheet = client.get(f"/checks/{made['id']}/report.pdf?scale=5000&paper=A3")
    assert "1:5 000" in text_of(sheet.content)


def test_sheets_are_drawn_for_up_to_two_hundred_parcels(zoned: tuple[TestClient, dict[str, str]]) -> None:
    client, _ = zoned
    got = client.post(
        "/sheets", json={"parcels": [WEST_PARCEL, EAST_PARCEL, WEST_PARCEL], "scale": 2000, "points": False}
    )
    assert got.status_code == 200
    with pdfplumber.open(io.BytesIO(got.content)) as book:
        assert len(book.pages) == 3
        for page, name in zip(book.pages, (WEST_PARCEL, EAST_PARCEL, WEST_PARCEL), strict=True):
            assert f"宗地代码 {name}" in page.extract_text()
    assert client.post("/sheets", json={"parcels": [WEST_PARCEL] * 201}).status_code == 413
    assert client.post("/sheets", json={"parcels": ["none"]}).status_code == 404
    assert client.post("/sheets", json={"parcels": [WEST_PARCEL], "scale": 1234}).status_code == 422


def test_another_zones_parcels_are_neither_printed_nor_named(zoned: tuple[TestClient, dict[str, str]]) -> None:
    client, keys = zoned
    east = bearer(keys["east"])
    assert client.get(f"/parcels/{WEST_PARCEL}/sheet.pdf", headers=east).status_code == 404
    assert client.post("/sheets", json={"parcels": [EAST_PARCEL, WEST_PARCEL]}, headers=east).status_code == 404
    got = client.get(f"/parcels/{EAST_PARCEL}/sheet.pdf?scale=2000", headers=east)
    with pdfplumber.open(io.BytesIO(got.content)) as book:
        text = "".join(page.extract_text() for page in book.pages)
    assert EAST_PARCEL in text
    assert WEST_PARCEL not in text
    assert WEST_PARCEL[-7:] not in text


def test_a_machine_without_a_font_answers_what_is_lacking(
    zoned: tuple[TestClient, dict[str, str]], no_font: None
) -> None:
    client, _ = zoned
    got = client.get(f"/parcels/{WEST_PARCEL}/sheet.pdf")
    assert (got.status_code, got.json()["type"]) == (503, "/problems/not-installed")
    assert "fonts-noto-cjk" in got.json()["detail"]


def test_two_hundred_is_the_most_of_one_document(store: GeoPackage) -> None:
    with pytest.raises(TooLarge, match="201 sheets"):
        of_parcels.sheets(store, [GOOD] * 201, drawn_on=TODAY)


def test_every_sheet_that_does_not_fit_is_named_at_once(store: GeoPackage) -> None:
    with pytest.raises(BadInput) as said:
        of_parcels.sheets(store, [GOOD, "E0", FARM], scale=500, drawn_on=TODAY)
    assert [fault.feature for fault in said.value.faults] == [GOOD, FARM]


def test_a_layer_that_covers_the_window_is_drawn_without_its_cut(store: GeoPackage) -> None:
    """A feature larger than the map is cut beyond the frame, where nobody sees the cut."""
    window = Window.around((0, 0, 100, 100), 1_000, 50, 50)
    frame = gpd.GeoDataFrame({"name": ["大"]}, geometry=[shapely.box(-1e5, -1e5, 1e5, 1e5)], crs=4545)
    made = plate(window, [Sheet("zones", "片区", "Zone", frame, "name")])
    numbers = [float(one) for one in re.findall(r"-?\d+\.?\d*", made.body.partition('d="')[2].partition('"')[0])]
    assert min(numbers) < 0
    assert max(numbers) > 50
