"""What a report says, before anybody dresses it: sections of facts, tables, words, figures and lines to fill in."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from layers.sheets import NO_CHARACTER
from layers.units import m2, round_half_up

Unit = Literal["", "m2", "ha", "mu", "share", "m", "number", "year", "signed"]
PLACES: dict[Unit, int] = {"m2": 2, "ha": 4, "mu": 2, "m": 3, "number": 2, "signed": 2}
MISSING = "—"


class Words(NamedTuple):
    """Chinese first, English beside it."""

    zh: str
    en: str


def words(said: Mapping[str, str]) -> Words:
    return Words(said["zh"], said["en"])


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, the unit of its numbers, and its share of the width."""

    zh: str
    en: str
    unit: Unit = ""
    width: float = 1.0

    @property
    def is_number(self) -> bool:
        return self.unit not in ("", "year")


@dataclass(frozen=True)
class Table:
    """Rows under columns; a cell is a number, text, `Words` (two lines) or None. `strong` names the rows of totals,
    `indent` the level of each row's first cell."""

    title: Words | None
    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    strong: frozenset[int] = frozenset()
    indent: Sequence[int] = ()
    tone: Literal["", "fail", "unknown"] = ""


@dataclass(frozen=True)
class Facts:
    """Label and value, two pairs to a line."""

    rows: Sequence[tuple[Words, object, Unit]]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    zh: str
    en: str = ""
    look: Literal["plain", "strong", "notice", "small"] = "plain"


@dataclass(frozen=True)
class Verdict:
    """The conclusion, large."""

    said: Words
    tone: Literal["good", "warn", "unknown", "bad"]
    more: Words


@dataclass(frozen=True)
class Figure:
    """A drawing of an exact size, as SVG."""

    svg: str
    width_mm: float
    height_mm: float
    caption: Words


@dataclass(frozen=True)
class Blanks:
    """Fields that people fill in by hand; `lines` of writing room each."""

    rows: Sequence[tuple[Words, int]]


Block = Table | Facts | Text | Verdict | Figure | Blanks


@dataclass(frozen=True)
class Section:
    title: Words
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A map sheet: a page of its own, drawn to the edge, at true scale."""

    svg: str
    width_mm: float
    height_mm: float
    title: Words


@dataclass(frozen=True)
class Report:
    """A whole report. `digest` is of the answer that is printed, and stands on every page."""

    title: Words
    county: str
    key: str
    digest: str
    created_at: str
    synthetic: bool
    sections: Sequence[Section]
    pages: Sequence[Page] = ()

    @property
    def stamp(self) -> str:
        return f"摘要 SHA-256 {self.digest[:16]}"


def digest_of(answer: Mapping[str, Any]) -> str:
    """The SHA-256 of an answer as canonical JSON (keys sorted, no spaces, UTF-8)."""
    text = json.dumps(answer, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def shown(value: object, unit: Unit = "") -> str:
    """A cell as it is printed: rounded half up, thousands apart, a dash for what is not known, nothing for "".

    >>> shown(3317.515, "m2"), shown(0.5, "share"), shown(None), shown(2026, "year"), shown(float("nan"), "m2")
    ('3,317.52', '50.00%', '—', '2026', '—')
    >>> shown(0.00012, "m2"), shown(True), shown(12), shown(-3.5, "signed")
    ('0.00012', '是', '12', '−3.50')
    """
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, (int, float, Decimal)):
        return _number(value, unit)
    return plain(str(value))


def plain(text: str) -> str:
    """Text without the control characters that neither XML nor a printer knows."""
    return ILLEGAL_CHARACTERS_RE.sub(NO_CHARACTER, text)


def _number(value: float | Decimal, unit: Unit) -> str:
    if not math.isfinite(value):
        return MISSING
    if unit == "year":
        return str(int(value))
    if unit == "share":
        return f"{round_half_up(Decimal(str(value)) * 100, 2)}%"
    if unit == "m2" and 0 < value < 0.005:
        return f"{value:.2g}"  # a sliver is not nothing
    if unit in PLACES:
        said = f"{m2(value) if unit == 'm2' else round_half_up(value, PLACES[unit]):,}"
    else:
        said = f"{value:,}" if isinstance(value, int) else f"{round_half_up(value, 4):f}"
        said = said.rstrip("0").rstrip(".") if "." in said else said
    return said.replace("-", "−")


def joined(*some: object) -> str | None:
    """What is there of some texts, a space between them; None where nothing is."""
    return " ".join(str(one) for one in some if one) or None
