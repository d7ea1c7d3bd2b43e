"""A check as a workbook: a sheet a table of the occupation review, Chinese headings first, ready to print on A4.

Areas stand in square metres, hectares (4 places) and 亩 (2 places), rounded half up and closed, so that every printed
column adds up to its printed total. Every value goes through `layers.sheets.row`: no cell is ever a formula.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from api.catalogue import purpose
from gis.occupation import TABLES, Column
from layers.sheets import row as cells_of
from layers.units import closed, exact, ha, mu, round_half_up

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAIN = "area_m2"  # the column that is also printed in hectares and 亩
HIDDEN = frozenset({"layer", "layer_en", "item", "level", "part_of", "finding"})  # for programs
TOTALS = frozenset({"total"})
ADDS_UP = frozenset({"land_class_summary", "land_classes", "patches", "ownership_summary"})
FORMATS = {"m2": "#,##0.00", "ha": "#,##0.0000", "mu": "#,##0.00", "share": "0.00%"}
SYNTHETIC = "含合成数据，仅供演示 Contains synthetic data"
WORDS = {  # what a program's word is on paper
    "pass": "通过", "fail": "不通过", "unknown": "无法判定", "exempt": "不适用", "certain": "确定",
    "boundary": "边界触及", "none": "无", "patch": "图斑", "uncovered": "未覆盖", "owner": "权属单位", "total": "合计",
    "overlap": "压占面积", "distance": "距离", "exact": "等于", "at_least": "不小于", "at_most": "不大于",
    "rule": "规则", "feature": "要素", "use": "规划用途", "boundary_part": "开发边界", "outside": "边界外",
    "county": "县已核实", "memory": "待核", "seen": "见于公开文本", "share": "比例", "m2": "㎡",
    "not_loaded": "未加载", "use_not_loaded": "未加载", "boundary_not_loaded": "未加载",
}  # fmt: skip
SAID_IN_WORDS = frozenset({"status", "accuracy", "kind", "part", "measure", "bound", "unit", "verified"})
HEAD = PatternFill("solid", fgColor="DDE5EC")
SIDE = Side(style="thin", color="B0B7BE")
LINE = Border(left=SIDE, right=SIDE, top=SIDE, bottom=SIDE)
NAME = "宋体"
TITLE, STRONG, PLAIN = Font(NAME, 14, bold=True), Font(NAME, 11, bold=True), Font(NAME, 10)
SMALL = Font(NAME, 9, color="555555")
NARROW, WIDE, LINE_POINTS = 9.0, 40.0, 14.0


def workbook(check: Mapping[str, Any]) -> bytes:
    """The contract's Check as an XLSX file; every check that was kept with its tables can be written again."""
    book = Workbook()
    assert book.active is not None
    _findings(book.active, check)
    tables = check["occupation"]
    for name, table in TABLES.items():
        if name in tables:
            _sheet(book.create_sheet(table.zh[:31]), check, name, tables[name])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def is_synthetic(check: Mapping[str, Any]) -> bool:
    """Whether any layer that the check read is synthetic."""
    return any(row.get("synthetic") for row in check["occupation"].get("sources", ()))


def _findings(sheet: Worksheet, check: Mapping[str, Any]) -> None:
    """The first sheet: the conclusion, and every finding that applies, the worst first."""
    sheet.title = "审查结论"
    order = {"fail": 0, "unknown": 1, "pass": 2}
    shown = sorted((one for one in check["findings"] if one["status"] in order), key=lambda one: order[one["status"]])
    heads = (
        ("判定", "Status"), ("说明", "Finding"), ("English", "English"), ("规则", "Rule"), ("依据", "Basis"),
        ("版本", "Edition"), ("核实", "Verified"), ("图层版本", "Layer version"),
    )  # fmt: skip
    _heading(sheet, check, "审查结论 Conclusion", len(heads))
    for number, head in enumerate(zip(*heads, strict=True)):
        append(sheet, head, font=STRONG if number == 0 else SMALL, fill=HEAD)
    for one in shown:
        message = one["message"]
        append(sheet, (WORDS[one["status"]], message["zh"], message["en"], one["rule"], one["basis"], one["edition"],
                        WORDS.get(one["verified"], one["verified"]), one["layer_version"]))  # fmt: skip
    finish(sheet, 6)


def _sheet(sheet: Worksheet, check: Mapping[str, Any], name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    table = TABLES[name]
    columns = [column for column in table.columns if column.name not in HIDDEN]
    columns = [column for column in columns if not rows or column.name == MAIN or _is_said(rows, column.name)]
    heads = [head for column in columns for head in _heads(column)]
    _heading(sheet, check, f"{table.zh} {table.en}", len(heads))
    for number in (0, 1):
        append(sheet, [head[number] for head in heads], font=STRONG if number == 0 else SMALL, fill=HEAD)
    other = converted(rows, name)
    formats = [head[2] for head in heads]
    for place, row in enumerate(rows):
        values = [value for column in columns for value in _values(column, row, other[place])]
        strong = row.get("kind") in TOTALS or row.get("item") in TOTALS or row.get("part") in TOTALS
        indent = int(row.get("level") or 0)
        append(sheet, values, formats, font=STRONG if strong else None, indent=indent)
    if name in ("land_classes", "patches") and rows:
        _total(sheet, columns, rows, other, formats)
    finish(sheet, 6)


def _is_said(rows: Iterable[Mapping[str, Any]], name: str) -> bool:
    return any(row.get(name) is not None for row in rows)


def _heads(column: Column) -> list[tuple[str, str, str | None]]:
    if column.unit != "m2":
        return [(column.zh, column.en, FORMATS.get(column.unit))]
    heads: list[tuple[str, str, str | None]] = [(f"{column.zh}（㎡）", f"{column.en}, m²", FORMATS["m2"])]
    if column.name == MAIN:
        heads += [(f"{column.zh}（公顷）", f"{column.en}, ha", FORMATS["ha"])]
        heads += [(f"{column.zh}（亩）", f"{column.en}, mu", FORMATS["mu"])]
    return heads


def _values(column: Column, row: Mapping[str, Any], other: tuple[Decimal | None, Decimal | None]) -> list[object]:
    value = row.get(column.name)
    if column.unit == "m2":
        plain = None if value is None else round_half_up(value, 2) if value == 0 or value >= 0.005 else exact(value)
        return [plain, *other] if column.name == MAIN else [plain]
    if column.name in SAID_IN_WORDS:
        if column.name == "part" and value == "boundary":
            value = "boundary_part"
        return [WORDS.get(value, value) if isinstance(value, str) else value]
    if isinstance(value, bool):
        return ["是" if value else "否"]
    if row.get("item") == "purpose":
        return [purpose(str(value))]
    return [value]


def converted(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[Decimal | None, Decimal | None]]:
    """Hectares and 亩 of each row's area; where a table adds up they are closed, from the smallest rows upwards."""
    if name not in ADDS_UP:
        return [
            (None, None) if row.get(MAIN) is None else (ha(row[MAIN]), mu(row[MAIN])) for row in rows
        ]  # fmt: skip
    in_ha, in_mu = (
        _closed(rows, per_m2, places) for per_m2, places in ((Decimal("0.0001"), 4), (Decimal("0.0015"), 2))
    )
    return list(zip(in_ha, in_mu, strict=True))


def _closed(rows: Sequence[Mapping[str, Any]], per_m2: Decimal, places: int) -> list[Decimal]:
    """Areas in another unit: rows without parts are closed to the whole, and what has parts is their sum."""
    above = {row["item"]: row["part_of"] for row in rows if "part_of" in row}
    parents = set(above.values())
    is_total = [row.get("item") == "total" or row.get("kind") == "total" for row in rows]
    leaves = [
        place for place, row in enumerate(rows) if not is_total[place] and row.get("item", place) not in parents
    ]  # fmt: skip
    shares = closed([exact(rows[place][MAIN]) * per_m2 for place in leaves], places=places) if leaves else []
    found = [Decimal(0)] * len(rows)
    at = {row["item"]: place for place, row in enumerate(rows) if "part_of" in row}
    for place, amount in zip(leaves, shares, strict=True):
        found[place] = amount
        above_it = above.get(rows[place].get("item"))
        while above_it is not None:
            found[at[above_it]] += amount
            above_it = above.get(above_it)
    for place, total in enumerate(is_total):
        if total:
            found[place] = sum(shares, Decimal(0))
    return found


def _total(
    sheet: Worksheet,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    other: Sequence[tuple[Decimal | None, Decimal | None]],
    formats: Sequence[str | None],
) -> None:
    """A last row under a table that has none of its own: the sum of every column of areas the rows all say."""
    whole = tuple(sum((pair[n] or Decimal(0) for pair in other), Decimal(0)) for n in (0, 1))
    values: list[object] = []
    for column in columns:
        adds = column.unit == "m2" and column.name not in ("patch_area_m2", "net_area_m2")
        if adds and _is_said(rows, column.name):
            total = sum((exact(row[column.name]) for row in rows if row.get(column.name) is not None), Decimal(0))
            values += [total, *whole] if column.name == MAIN else [total]
        elif column.name == "share":
            values.append(sum((exact(row["share"]) for row in rows if row.get("share") is not None), Decimal(0)))
        else:
            values += [None] * len(_heads(column))
    values[0] = "合计"
    append(sheet, values, formats, font=STRONG)


# --- what a sheet looks like ----------------------------------------------------------------------


def _heading(sheet: Worksheet, check: Mapping[str, Any], title: str, width: int) -> None:
    """Four rows over every table: its title, the project and the ground, the conclusion, and what it is no proof of."""
    project, site = check["project"], check["site"]
    named = "、".join(str(part["parcel"]) for part in site.get("parts", ()) if part.get("parcel"))
    ground = f"{project.get('name') or project.get('id')}　{named}　{site['control_area_m2']:,.2f} ㎡"
    stamp = f"审查编号 {check['id']}　环节 {purpose(check['purpose'])}　截止 {check['as_of']}"
    synthetic = f"　{SYNTHETIC}" if is_synthetic(check) else ""
    for text, font in (
        (title, TITLE),
        (ground, STRONG),
        (f"{check['conclusion']['zh']}　{check['conclusion']['en']}", STRONG),
        (f"{stamp}　内部使用{synthetic}", SMALL),
    ):
        sheet.append(cells_of(sheet, [text]))
        sheet.merge_cells(start_row=sheet.max_row, end_row=sheet.max_row, start_column=1, end_column=max(width, 6))
        sheet.cell(sheet.max_row, 1).font = font
    sheet.row_dimensions[1].height = 22


def append(
    sheet: Worksheet,
    values: Iterable[object],
    formats: Sequence[str | None] = (),
    *,
    font: Font | None = None,
    fill: PatternFill | None = None,
    indent: int = 0,
) -> None:
    sheet.append(cells_of(sheet, values))
    for place, one in enumerate(sheet[sheet.max_row]):
        one.border = LINE
        is_number = isinstance(one.value, (int, float, Decimal)) and not isinstance(one.value, bool)
        one.alignment = Alignment(
            horizontal="right" if is_number else "left", vertical="center", wrap_text=True,
            indent=indent if place == 0 and not is_number else 0,
        )  # fmt: skip
        one.font = font if font is not None else PLAIN
        if fill is not None:
            one.fill = fill
        if is_number and place < len(formats) and formats[place] is not None:
            one.number_format = str(formats[place])


def finish(sheet: Worksheet, head_rows: int) -> None:
    """Widths by what the columns hold; A4 landscape, one page wide, the headings on every page."""
    for place in range(1, sheet.max_column + 1):
        texts = [sheet.cell(row, place) for row in range(head_rows - 1, sheet.max_row + 1)]
        widths = [_width(one.value, one.number_format) for one in texts]
        widest = max(widths[2:], default=0.0)  # headings may take two lines
        width = min(max(widest + 2, max(widths[:2]) / 2 + 2, NARROW), WIDE)
        sheet.column_dimensions[get_column_letter(place)].width = width
    for number, row in enumerate(sheet.iter_rows(min_row=head_rows - 1), head_rows - 1):
        lines = max(
            _lines(one, sheet.column_dimensions[get_column_letter(place)].width) for place, one in enumerate(row, 1)
        )
        sheet.row_dimensions[number].height = LINE_POINTS * lines + 3
    sheet.freeze_panes = f"A{head_rows + 1}"
    sheet.print_title_rows = f"1:{head_rows}"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = 9  # A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.page_margins.left = sheet.page_margins.right = 0.4
    if sheet.oddFooter is not None:
        sheet.oddFooter.center.text = "第 &P 页 共 &N 页"
    sheet.sheet_view.showGridLines = False


def _lines(one: Any, width: float) -> int:
    """How many lines a cell takes: spreadsheets do not grow a row by themselves for a file they did not write."""
    return max(1, math.ceil(_width(one.value, one.number_format) / max(width - 1, 1.0)))


def _width(value: object, number_format: str) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return float(len(f"{value:,.4f}" if "0000" in number_format else f"{value:,.2f}"))
    return float(sum(2 if ord(letter) > 0x2E7F else 1 for letter in str(value)))
