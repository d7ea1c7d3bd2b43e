"""Spreadsheet cells: nothing is worked out, nothing loses a digit."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import sheets


def there_and_back(values: list[Any], write_only: bool) -> list[Any]:
    book = openpyxl.Workbook(write_only=write_only)
    sheet = book.create_sheet("x")
    sheet.append(sheets.row(sheet, values))
    file = io.BytesIO()
    book.save(file)
    read = openpyxl.load_workbook(file)["x"]
    return [read.cell(1, n) for n in range(1, len(values) + 1)]


writable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
risky = st.builds(str.__add__, st.sampled_from(sheets.RISKY[:4] + sheets.RISKY[7:]), writable)


@settings(max_examples=40)
@given(st.lists(st.one_of(writable, risky, st.from_regex(r"\A[0-9]{1,25}\Z")), min_size=1, max_size=8), st.booleans())
def test_text_stays_text_letter_for_letter(values: list[str], write_only: bool) -> None:
    cells = there_and_back(values, write_only)
    assert [cell.value for cell in cells] == [value or None for value in values]
    assert all(cell.data_type == "s" for cell, value in zip(cells, values, strict=True) if value)


@given(st.one_of(writable, risky))
def test_a_csv_text_never_starts_a_formula(value: str) -> None:
    said = sheets.text(value)
    assert not said.startswith(sheets.RISKY)
    assert said.removeprefix("'") == value.removeprefix("'") or said == value


def test_numbers_dates_and_the_unknown() -> None:
    when = datetime(2024, 1, 31, 8, 15, tzinfo=UTC)
    cells = there_and_back(
        [1, 1.5, Decimal("2.68"), np.int64(7), True, date(2024, 1, 31), when, None, float("nan"), pd.NaT], True
    )
    assert [cell.value for cell in cells[:5]] == [1, 1.5, 2.68, 7, True]
    assert cells[5].value == datetime(2024, 1, 31)  # noqa: DTZ001
    assert cells[6].value == datetime(2024, 1, 31, 8, 15)  # noqa: DTZ001
    assert [cell.value for cell in cells[7:]] == [None, None, None]


@pytest.mark.parametrize(
    ("value", "said"),
    [(520625001001000001, "520625001001000001"), (float("inf"), "inf"), (date(1899, 5, 1), "1899-05-01")],
)
def test_what_a_spreadsheet_would_spoil_is_text(value: Any, said: str) -> None:
    (cell,) = there_and_back([value], True)
    assert cell.value == said
    assert sheets.text(value) == said


def test_what_a_cell_cannot_hold_is_seen_beforehand() -> None:
    assert sheets.fits("字" * 32_767)
    assert not sheets.fits("字" * 32_768)
    assert not sheets.fits("a\x0bb")
    assert sheets.cell("a\x0bb") == "a\ufffdb"
    assert len(sheets.cell("字" * 40_000)) == 32_767
