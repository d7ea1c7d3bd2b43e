"""The project library written as a file, and the empty template that people fill in. Read back by `layers.library`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import openpyxl
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from layers import sheets
from layers.library import MOST_ROWS, Form
from layers.library_table import ABOUT, FLAT, MARKED, NOTES, PARTS, PROJECTS, Column, Sheet, said_of
from layers.records import Project

HEAD = PatternFill("solid", fgColor="DDE5EC")


def to_bytes(projects: Iterable[Project], form: Form) -> bytes:
    """A library as a file; `layers.library.read` gives the same projects again."""
    records = [record_of(project) for project in projects]
    if form == "json":
        return (json.dumps(records, ensure_ascii=False, indent=1) + "\n").encode()
    if form == "csv":
        return _csv(records)
    return _xlsx(records, {})


def record_of(project: Project) -> dict[str, Any]:
    """A project as JSON has it, without what it does not say."""
    said = project.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in said.items() if value not in ([], {})}


def template(choices: Mapping[str, Sequence[str]] | None = None) -> bytes:
    """An empty XLSX library: headings, drop-downs where a field is coded, a sheet that explains each column.

    `choices` adds drop-downs that a county knows: field -> what it may say, for example its zones.
    """
    return _xlsx([], choices or {})


def _csv(records: Sequence[Mapping[str, Any]]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow([column.heading for column in FLAT.columns])
    for record in records:
        writer.writerow([_marked(said_of(record, column)) for column in FLAT.columns])
    return file.getvalue().encode("utf-8-sig")


def _marked(value: object) -> str:
    said = sheets.text(value)
    return "'" + said if isinstance(value, str) and MARKED.match(value) else said


def _xlsx(records: Sequence[Mapping[str, Any]], choices: Mapping[str, Sequence[str]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    _fill(book.create_sheet(PROJECTS.title), PROJECTS, records, choices)
    for part in PARTS:
        rows = [
            {**row, "project_id": record.get("id") or record.get("name")}
            for record in records
            for row in record.get(part.field, ())
        ]
        _fill(book.create_sheet(part.title), part, rows, choices)
    _explain(book.create_sheet(ABOUT))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _fill(
    page: Worksheet, sheet: Sheet, records: Iterable[Mapping[str, Any]], choices: Mapping[str, Sequence[str]]
) -> None:
    page.append([column.heading for column in sheet.columns])
    for record in records:
        page.append(sheets.row(page, [said_of(record, column) for column in sheet.columns]))
    for one in page[1]:
        one.font, one.fill = Font(bold=True), HEAD
    page.freeze_panes = "B2"
    for number, column in enumerate(sheet.columns, 1):
        letter = get_column_letter(number)
        page.column_dimensions[letter].width = 30 if column.field in ("name", "procedure") else 18
        if column.kind == "text" and not column.choices:
            page.column_dimensions[letter].number_format = "@"  # a code typed in keeps its zeros
        _drop_down(page, column, f"{letter}2:{letter}{MOST_ROWS}", choices.get(column.field, ()))


def _drop_down(page: Worksheet, column: Column, cells: str, choices: Sequence[str]) -> None:
    said = ("是", "否") if column.kind == "yes_no" else column.choices or tuple(choices)
    listed = ",".join(said)
    if not said or len(listed) > 255 or any("," in one or '"' in one for one in said):
        return  # a list in a cell holds no more
    rule = DataValidation("list", formula1=f'"{listed}"', allow_blank=True, showErrorMessage=True)
    rule.errorTitle, rule.error = column.zh, f"{column.field}: {'、'.join(said)}"[:225]
    rule.add(cells)
    page.add_data_validation(rule)


def _explain(page: Worksheet) -> None:
    for line in (
        "一行一个项目；组成部分、分期、手续节点各在其表，以项目编号相连。空格即未知，不是零。不接受公式。",
        "One row per project; its parts are on sheets of their own, by the project's id. Empty is unknown, never zero. "
        "No formulas.",
    ):
        page.append([line])
    page.append(["表 sheet", "列 column", "字段 field", "填写 what it takes", "说明 note"])
    for one in page[page.max_row]:
        one.font, one.fill = Font(bold=True), HEAD
    for sheet in (PROJECTS, *PARTS):
        for column in sheet.columns:
            note = NOTES.get(column.field, "")
            page.append(sheets.row(page, [sheet.title, column.zh, column.field, column.fix, note]))
    for letter, width in zip("ABCDE", (22, 26, 28, 44, 60), strict=True):
        page.column_dimensions[letter].width = width
