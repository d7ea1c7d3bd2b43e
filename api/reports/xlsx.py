"""A report as a workbook: its words on the first sheet, a sheet for each table, numbers as numbers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from api.reports.html import ordinal
from api.reports.model import Blanks, Facts, Report, Table, Text, Unit, Verdict, Words
from api.xlsx import HEAD, MEDIA_TYPE, SMALL, STRONG, SYNTHETIC, TITLE, append, finish
from layers.sheets import row as cells_of

__all__ = ["MEDIA_TYPE", "write"]
FORMATS: dict[Unit, str] = {
    "m2": "#,##0.00", "ha": "#,##0.0000", "mu": "#,##0.00", "share": "0.00%", "m": "#,##0.000", "year": "0",
    "number": "#,##0.00", "signed": "#,##0.00",
}  # fmt: skip


def write(report: Report) -> bytes:
    """Every table on a sheet of its own, under the report's title and its digest."""
    book = Workbook()
    first = book.active
    assert isinstance(first, Worksheet)
    first.title = "报告"
    _heading(first, report, f"{report.title.zh} {report.title.en}", 4)
    for n, section in enumerate(report.sections, start=1):
        append(first, [f"{ordinal(n)}、{section.title.zh}", section.title.en], font=STRONG, fill=HEAD)
        count = 0
        for one in section.blocks:
            match one:
                case Table():
                    count += 1
                    name = f"{section.title.zh}{count if count > 1 else ''}"
                    append(first, [f"见工作表“{name[:31]}”"])
                    _sheet(book.create_sheet(name[:31]), report, section.title, one)
                case Facts():
                    for label, value, unit in one.rows:
                        append(first, [label.zh, label.en, value], [None, None, FORMATS.get(unit)])
                case Text():
                    append(first, [one.zh, one.en])
                case Verdict():
                    append(first, [one.said.zh, one.said.en], font=STRONG)
                    append(first, [one.more.zh, one.more.en])
                case Blanks():
                    for label, _ in one.rows:
                        append(first, [label.zh, label.en, None])
                case _:
                    pass  # drawings are in the PDF
    finish(first, 3)
    made = datetime.fromisoformat(report.created_at).replace(tzinfo=None, microsecond=0)
    book.properties.created = book.properties.modified = made
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _heading(sheet: Worksheet, report: Report, title: str, width: int) -> None:
    notice = SYNTHETIC if report.synthetic else "内部使用"
    for text, font in ((title, TITLE), (f"{report.county}　{report.key}　{report.stamp}　{notice}", SMALL)):
        sheet.append(cells_of(sheet, [text]))
        sheet.merge_cells(start_row=sheet.max_row, end_row=sheet.max_row, start_column=1, end_column=max(width, 4))
        sheet.cell(sheet.max_row, 1).font = font


def _sheet(sheet: Worksheet, report: Report, section: Words, table: Table) -> None:
    title = table.title or section
    _heading(sheet, report, f"{title.zh} {title.en}", len(table.columns))
    append(sheet, [column.zh for column in table.columns], font=STRONG, fill=HEAD)
    append(sheet, [column.en for column in table.columns], font=SMALL, fill=HEAD)
    formats = [FORMATS.get(column.unit) for column in table.columns]
    for n, row in enumerate(table.rows):
        indent = table.indent[n] if table.indent else 0
        append(sheet, _values(row), formats, font=STRONG if n in table.strong else None, indent=indent)
    finish(sheet, 4)


def _values(row: Sequence[object]) -> list[object]:
    return [f"{one.zh}\n{one.en}" if isinstance(one, Words) else one for one in row]
