"""A report as PDF by typst: fonts embedded, pages numbered, the same bytes for the same report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import typst

from api.reports import fonts
from api.reports.model import Blanks, Block, Facts, Figure, Page, Report, Table, Text, Verdict, Words, shown

MEDIA_TYPE = "application/pdf"
TEMPLATE = Path(__file__).parent.parent / "templates" / "report.typ"
PPI = 200
ONE_AT_A_TIME = Lock()


@lru_cache(maxsize=1)
def _compiler() -> tuple[typst.Compiler, fonts.Found]:
    known = fonts.found()
    return typst.Compiler(root=TEMPLATE.parent, font_paths=known.fonts, ignore_system_fonts=True), known


def write(report: Report) -> bytes:
    """The whole report. What it says reaches typst as data: no text of it is ever markup."""
    made = _compiled(as_data(report), "pdf", _moment(report.created_at))
    assert isinstance(made, bytes)
    return made


def picture(figure: Figure | Page) -> bytes:
    """A drawing as PNG, for those who cannot take SVG."""
    made = _compiled({"picture": _drawing(figure)}, "png", None)
    return made if isinstance(made, bytes) else made[0]


def _compiled(data: dict[str, Any], form: Any, moment: int | None) -> bytes | list[bytes]:
    with ONE_AT_A_TIME:
        compiler, known = _compiler()
        text = json.dumps(data | {"sans": known.sans, "serif": known.serif}, ensure_ascii=False)
        made = compiler.compile(
            TEMPLATE, format=form, ppi=PPI, sys_inputs={"data": text}, timestamp=moment, pdf_tags=False
        )  # fmt: skip
    assert made is not None
    return made


def _moment(said: str) -> int:
    """What the PDF says it was made at: the moment of the answer, so that printing twice gives the same file."""
    try:
        return int(datetime.fromisoformat(said).timestamp())
    except ValueError:
        return int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())


def as_data(report: Report) -> dict[str, Any]:
    """The report as the template reads it: every cell its printed text."""
    return {
        "title": report.title._asdict(),
        "county": report.county,
        "key": report.key,
        "stamp": report.stamp,
        "synthetic": report.synthetic,
        "sections": [
            {"title": one.title._asdict(), "blocks": [block(part) for part in one.blocks]} for one in report.sections
        ],
        "pages": [_drawing(one) for one in report.pages],
    }


def block(one: Block) -> dict[str, Any]:
    """A block with its kind and its texts."""
    match one:
        case Table():
            return {
                "kind": "table",
                "title": one.title._asdict() if one.title is not None else None,
                "columns": [
                    {"zh": c.zh, "en": c.en, "width": c.width, "number": c.is_number} for c in one.columns
                ],
                "rows": [cells(row, one) for row in one.rows],
                "strong": sorted(one.strong),
                "indent": list(one.indent) or [0] * len(one.rows),
                "tone": one.tone,
            }  # fmt: skip
        case Facts():
            rows = [{"zh": label.zh, "en": label.en, "value": shown(value, unit)} for label, value, unit in one.rows]
            return {"kind": "facts", "rows": rows}
        case Verdict():
            return {"kind": "verdict", "tone": one.tone, "said": one.said._asdict(), "more": one.more._asdict()}
        case Figure():
            return {"kind": "figure", **_drawing(one), "caption": one.caption._asdict()}
        case Blanks():
            rows = [{"zh": label.zh, "en": label.en, "lines": lines} for label, lines in one.rows]
            return {"kind": "blanks", "rows": rows}
        case Text():
            return {"kind": "text", **asdict(one)}


def cells(row: Sequence[object], table: Table) -> list[dict[str, str]]:
    """The printed cells of a row: one line, or Chinese with English under it."""
    said = []
    for value, column in zip(row, table.columns, strict=True):
        if isinstance(value, Words):
            said.append({"zh": value.zh, "en": value.en})
        else:
            said.append({"zh": shown(value, column.unit), "en": ""})
    return said


def _drawing(one: Figure | Page) -> dict[str, Any]:
    return {"svg": one.svg, "width": one.width_mm, "height": one.height_mm}
