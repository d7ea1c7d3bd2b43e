"""A report as a Word document that people go on writing in: real tables, headings, page numbers, blanks to fill."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import Any

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from api.reports import pdf
from api.reports.html import ordinal
from api.reports.model import Blanks, Block, Facts, Figure, Page, Report, Table, Text, Verdict, plain, shown
from api.reports.spelled import cells

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
SONG, HEI = "宋体", "黑体"  # what an office PC has; Word finds its own where it has not
TEXT_MM = 172.0
SOFT = RGBColor(0x5B, 0x6B, 0x7A)
TONES = {"good": "2B8A3E", "warn": "B35C00", "unknown": "B35C00", "bad": "C2003D"}
FILLS = {"": "E4EAF0", "fail": "F8E1E7", "unknown": "FAECD8"}
FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def write(report: Report) -> bytes:
    """The document; the same report gives the same bytes."""
    document = Document()
    _page(document.sections[0], report)
    style = document.styles["Normal"]
    style.font.size, style.font.name = Pt(10.5), "Times New Roman"
    style.element.rPr.rFonts.set(qn("w:eastAsia"), SONG)
    style.paragraph_format.space_after = Pt(3)
    title = document.add_paragraph()
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _run(title, report.title.zh, size=20, bold=True, font=HEI)
    _run(title, f"\n{report.title.en}", size=10, soft=True)
    for n, section in enumerate(report.sections, start=1):
        heading = document.add_paragraph(style="Heading 1")
        heading.paragraph_format.space_before, heading.paragraph_format.space_after = Pt(12), Pt(4)
        _run(heading, f"{ordinal(n)}、{section.title.zh}", size=13, bold=True, font=HEI, color="12355B")
        _run(heading, f"  {section.title.en}", size=9, soft=True)
        for one in section.blocks:
            _block(document, one)
    for page in report.pages:
        _sheet(document, page)
    made = datetime.fromisoformat(report.created_at).replace(tzinfo=None, microsecond=0)
    core = document.core_properties
    core.title, core.author, core.created, core.modified = report.title.zh, plain(report.county), made, made
    core.last_modified_by, core.comments, core.keywords = "", "", report.digest
    out = io.BytesIO()
    document.save(out)
    return _settled(out.getvalue())


def _settled(data: bytes) -> bytes:
    """The same archive with its members' clocks stopped."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            made.writestr(zipfile.ZipInfo(name, FIRST_DAY), given.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _page(section: Any, report: Report) -> None:
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(19)
    section.top_margin, section.bottom_margin = Mm(22), Mm(20)
    head = section.header.paragraphs[0]
    _run(head, f"{report.county}　{report.title.zh}　{report.key}", size=8, soft=True)
    foot = section.footer.paragraphs[0]
    foot.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _run(foot, f"{report.stamp}　　第 ", size=8, soft=True)
    _field(foot, "PAGE")
    _run(foot, " 页 共 ", size=8, soft=True)
    _field(foot, "NUMPAGES")
    _run(foot, " 页　　" + ("含合成数据，仅供演示" if report.synthetic else "内部使用"), size=8, soft=True)


def _field(paragraph: Any, code: str) -> None:
    """A number that Word works out."""
    run = _run(paragraph, "", size=8, soft=True)
    for kind, text in (("begin", None), (None, code), ("separate", None), ("text", "1"), ("end", None)):
        if kind == "text":
            run.add_text(str(text))
        elif kind is None:
            made = OxmlElement("w:instrText")
            made.text = text
            run._r.append(made)
        else:
            made = OxmlElement("w:fldChar")
            made.set(qn("w:fldCharType"), kind)
            run._r.append(made)


def _run(
    paragraph: Any, text: str, *, size: float = 10.5, bold: bool = False, soft: bool = False, font: str | None = None,
    color: str | None = None,
) -> Any:  # fmt: skip
    run = paragraph.add_run(plain(text))
    run.font.size, run.bold = Pt(size), bold
    run.font.name = "Times New Roman"
    run._r.get_or_add_rPr().rFonts.set(qn("w:eastAsia"), font or SONG)
    if soft or color is not None:
        run.font.color.rgb = SOFT if color is None else RGBColor.from_string(color)
    return run


def _block(document: Any, one: Block) -> None:
    match one:
        case Table():
            _table(document, one)
        case Facts():
            _facts(document, one)
        case Verdict():
            box = document.add_paragraph()
            _run(box, one.said.zh, size=16, bold=True, font=HEI, color=TONES[one.tone])
            _run(box, f"\n{one.said.en}", size=10, color=TONES[one.tone])
            _run(box, f"\n{one.more.zh}", size=10)
            _run(box, f"\n{one.more.en}", size=8.5, soft=True)
        case Text():
            said = document.add_paragraph()
            _run(said, one.zh, size=9 if one.look == "small" else 10, bold=one.look == "strong")
            if one.en:
                _run(said, f"\n{one.en}", size=8.5, soft=True)
        case Figure():
            document.add_picture(io.BytesIO(pdf.picture(one)), width=Mm(min(one.width_mm, TEXT_MM)))
            caption = document.add_paragraph()
            caption.alignment = WD_ALIGN_PARAGRAPH.CENTER
            _run(caption, f"{one.caption.zh} {one.caption.en}", size=9, soft=True)
        case Blanks():
            grid = _grid(document, len(one.rows), [32.0, TEXT_MM - 32.0])
            for n, (label, lines) in enumerate(one.rows):
                _fill(grid.cell(n, 0), label.zh, label.en, size=10, bold=True)
                grid.rows[n].height = Mm(8 * lines)


def _grid(document: Any, rows: int, widths_mm: list[float]) -> Any:
    grid = document.add_table(rows=rows, cols=len(widths_mm), style="Table Grid")
    grid.alignment, grid.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    for place, width in enumerate(widths_mm):
        grid.columns[place].width = Mm(width)
    return grid


def _table(document: Any, one: Table) -> None:
    if one.title is not None:
        title = document.add_paragraph()
        title.paragraph_format.keep_with_next = True
        _run(title, one.title.zh, size=10.5, bold=True, font=HEI)
        _run(title, f"  {one.title.en}", size=8.5, soft=True)
    whole = sum(column.width for column in one.columns)
    widths = [TEXT_MM * column.width / whole for column in one.columns]
    grid = _grid(document, max(len(one.rows), 1) + 1, widths)
    _repeat(grid.rows[0])
    rows = [list(row.cells) for row in grid.rows]  # asked of the row once: a cell by its place is slow in a long table
    for cell, column in zip(rows[0], one.columns, strict=True):
        _fill(cell, column.zh, column.en, size=8.5, bold=True, fill=FILLS[one.tone], align="center")
    for n, row in enumerate(one.rows):
        _whole(grid.rows[n + 1])
        for place, said in enumerate(cells(row, one)):
            indent = one.indent[n] if place == 0 and one.indent else 0
            align = "right" if one.columns[place].is_number else "left"
            bold = n in one.strong
            _fill(rows[n + 1][place], "　" * indent + said["zh"], said["en"], size=8.5, bold=bold, align=align)
    if not one.rows:
        _fill(rows[1][0].merge(rows[1][-1]), "无 none", "", size=8.5, align="center")
    document.add_paragraph().paragraph_format.space_after = Pt(0)


def _facts(document: Any, one: Facts) -> None:
    grid = _grid(document, (len(one.rows) + 1) // 2, [33.0, 53.0, 33.0, 53.0])
    rows = [list(row.cells) for row in grid.rows]
    for n, (label, value, unit) in enumerate(one.rows):
        row, left = divmod(n, 2)
        _fill(rows[row][2 * left], label.zh, label.en, size=9, bold=True, fill="EEF2F5")
        _fill(rows[row][2 * left + 1], shown(value, unit), "", size=9)
    document.add_paragraph().paragraph_format.space_after = Pt(0)


def _fill(
    cell: Any, zh: str, en: str, *, size: float, bold: bool = False, fill: str | None = None, align: str = "left"
) -> None:
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_after = Pt(0)
    paragraph.alignment = {
        "left": WD_ALIGN_PARAGRAPH.LEFT, "right": WD_ALIGN_PARAGRAPH.RIGHT, "center": WD_ALIGN_PARAGRAPH.CENTER,
    }[align]  # fmt: skip
    _run(paragraph, zh, size=size, bold=bold)
    if en:
        _run(paragraph, f"\n{en}", size=size - 1.5, soft=True)
    if fill is not None:
        shade = OxmlElement("w:shd")
        for name, value in (("val", "clear"), ("color", "auto"), ("fill", fill)):
            shade.set(qn(f"w:{name}"), value)
        cell._tc.get_or_add_tcPr().append(shade)


def _repeat(row: Any) -> None:
    """The headings again on every page."""
    row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    _whole(row)


def _whole(row: Any) -> None:
    """A row stays on one page."""
    row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))


def _sheet(document: Any, page: Page) -> None:
    """A map sheet as a picture on a page like it, a little smaller than true: the PDF is the one to measure on."""
    section = document.add_section()
    across = page.width_mm > page.height_mm
    section.orientation = WD_ORIENT.LANDSCAPE if across else WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Mm(page.width_mm), Mm(page.height_mm)
    section.left_margin = section.right_margin = Mm(12)
    section.top_margin, section.bottom_margin = Mm(16), Mm(18)
    said = document.add_paragraph()
    said.paragraph_format.space_after = Pt(2)
    _run(said, "插图，非真比例尺；量测以 PDF 图幅为准 A picture, not to scale: measure on the PDF", size=8.5, soft=True)
    room = (page.width_mm - 24, page.height_mm - 48)
    width = min(room[0], room[1] * page.width_mm / page.height_mm)
    document.add_picture(io.BytesIO(pdf.picture(page)), width=Mm(width))
    document.paragraphs[-1].alignment = WD_ALIGN_PARAGRAPH.CENTER
