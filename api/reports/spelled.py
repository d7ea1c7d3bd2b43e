"""A report in letters: every number as it is printed, for templates that know nothing of units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from api.reports.model import Blanks, Block, Facts, Figure, Page, Report, Table, Text, Verdict, Words, plain, shown


def spelled(report: Report) -> dict[str, Any]:
    """The report as a template reads it."""
    return {
        "title": report.title._asdict(),
        "county": plain(report.county),
        "key": report.key,
        "stamp": report.stamp,
        "synthetic": report.synthetic,
        "sections": [
            {"title": one.title._asdict(), "blocks": [block(part) for part in one.blocks]} for one in report.sections
        ],
        "pages": [drawing(one) for one in report.pages],
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
            return {"kind": "figure", **drawing(one), "caption": one.caption._asdict()}
        case Blanks():
            return {
                "kind": "blanks",
                "rows": [{"zh": label.zh, "en": label.en, "lines": lines} for label, lines in one.rows],
            }
        case Text():
            return {"kind": "text", **asdict(one)}


def cells(row: Sequence[object], table: Table) -> list[dict[str, str]]:
    """The printed cells of a row: one line, or Chinese with English under it."""
    said = []
    for value, column in zip(row, table.columns, strict=True):
        if isinstance(value, Words):
            said.append({"zh": plain(value.zh), "en": plain(value.en)})
        else:
            said.append({"zh": shown(value, column.unit), "en": ""})
    return said


def drawing(one: Figure | Page) -> dict[str, Any]:
    return {"svg": one.svg, "width": one.width_mm, "height": one.height_mm}
