"""Values in spreadsheets: the one way by which a value reaches an XLSX or CSV cell.

A cell that starts with one of `RISKY` is worked out by the program that opens it, so that a parcel's name could be a
formula; digits alone lose their leading zeros and everything after the fifteenth. Both are written as text:

    sheet.append(row(sheet, values))        an openpyxl worksheet, write-only or not
    sheet.append([cell(v) for v in values]) the same on a worksheet that is not write-only
    text(value)                             CSV, where an apostrophe in front is the only way to say "text"
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.cell.cell import ERROR_CODES, ILLEGAL_CHARACTERS_RE
from openpyxl.styles.cell_style import StyleArray

# The wide forms count too: programs set to Chinese or Japanese take them for the narrow ones.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MAX_TEXT = 32_767  # characters in one cell
SURE_DIGITS = 15  # a spreadsheet keeps a number as a double
FIRST_DAY = date(1900, 3, 1)  # before it spreadsheets count a day that never was
TEXT_FORMAT = 49  # the built-in number format "@"
ALL_DIGITS = re.compile(r"[0-9]+")
NO_CHARACTER = "\ufffd"


def row(sheet: Any, values: Iterable[object]) -> list[Any]:
    """The cells of one row of `sheet`, ready for its `append`."""
    cells = [cell(value) for value in values]
    for one in cells:
        if isinstance(one, Cell):
            one.parent = sheet
    return cells


def cell(value: object) -> Any:
    """A value as openpyxl may take it: None, bool, number, date, harmless text, or a `Cell` that is text for good.

    Unknown (None, NaN, NaT) is an empty cell. Characters that XML cannot hold become U+FFFD, text past 32,767
    characters ends in "…"; `fits` tells beforehand.

    >>> cell(12.5), cell("木黄"), cell(float("nan"))
    (12.5, '木黄', None)
    >>> cell("=1+1").value, cell("=1+1").data_type, cell("00123").number_format, cell(10**15).value
    ('=1+1', 's', '@', '1000000000000000')
    """
    plain = _plain(value)
    if not isinstance(plain, str):
        return plain
    said = ILLEGAL_CHARACTERS_RE.sub(NO_CHARACTER, plain)
    if len(said) > MAX_TEXT:
        said = said[: MAX_TEXT - 1] + "…"
    if not (said.startswith(RISKY) or ALL_DIGITS.fullmatch(said) or said in ERROR_CODES):
        return said
    nowhere: Any = None  # `row` says which sheet
    made: Any = WriteOnlyCell(nowhere, said)
    made._style = StyleArray([0, 0, 0, TEXT_FORMAT, 0, 0, 0, 1, 0])  # the 1 is quotePrefix: text when edited, too
    made.data_type = "s"
    return made


def fits(text: str) -> bool:
    """Whether a text stands in a cell as it is, letter for letter."""
    return len(text) <= MAX_TEXT and ILLEGAL_CHARACTERS_RE.search(text) is None


def text(value: object) -> str:
    """A value as the text of a CSV field: with an apostrophe in front where a spreadsheet would work it out.

    >>> [text(v) for v in ("=1+1", "-5", -5, 0.5, True, None, "00123", date(2024, 1, 31))]
    ["'=1+1", "'-5", '-5', '0.5', 'true', '', '00123', '2024-01-31']
    """
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, str):
        return "'" + plain if plain.startswith(RISKY) and isinstance(value, str) else plain
    return plain.isoformat() if isinstance(plain, date) else str(plain)


def _plain(value: object) -> Any:
    """None, bool, number, date or text; what a double cannot hold, or a spreadsheet's calendar, is text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:  # NaN and NaT differ from themselves
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**SURE_DIGITS else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime):
        value = value.replace(tzinfo=None)
        return value if value.date() >= FIRST_DAY else value.isoformat()
    if isinstance(value, date):
        return value if value >= FIRST_DAY else value.isoformat()
    return value if isinstance(value, Decimal) else str(value)
