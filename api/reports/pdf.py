"""A report as PDF by typst: fonts embedded, pages numbered, the same bytes for the same report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import typst

from api.reports import fonts
from api.reports.model import Figure, Page, Report
from api.reports.spelled import drawing, spelled

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
    made = _compiled(spelled(report), "pdf", _moment(report.created_at))
    assert isinstance(made, bytes)
    return made


def picture(figure: Figure | Page) -> bytes:
    """A drawing as PNG, for those who cannot take SVG."""
    made = _compiled({"picture": drawing(figure)}, "png", None)
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
