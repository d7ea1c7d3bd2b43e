"""`parkplan indicators`: a county's own table of the control indicators of industrial land."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, out, print_json


def indicators(
    county: County,
    file: Annotated[
        Path | None, typer.Argument(help="FILE.csv with indicator, code_prefix, value, source (the 2023 table)")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the control indicators a county judges by, or load its table (用地控制指标)."""
    from gis.check import rulebook
    from gis.indicators import EDITION, with_indicators
    from layers.store import open_store

    store = open_store(county)
    try:
        if file is not None:
            rows = _read(file)
            with_indicators(rulebook(), rows)  # says every fault before anything is kept
            store.save_all([("indicators", f"{row['indicator']}:{row['code_prefix']}", row) for row in rows])
        table = with_indicators(rulebook(), store.list("indicators")).tables["control_indicators"]
    finally:
        store.close()
    held = table[table["edition"] == EDITION].to_dict("records")
    if as_json:
        print_json(held)
        return
    shown = Table(title=f"{EDITION} 控制指标 control indicators")
    names = ("indicator", "code_prefix", "op", "value", "source", "confidence")
    for name in names:
        shown.add_column(name)
    for row in held:
        shown.add_row(*(str(row[name]) for name in names))
    out.print(shown)


def _read(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = [{str(k): (v or "").strip() for k, v in row.items()} for row in csv.DictReader(opened)]
    except (OSError, UnicodeDecodeError, AttributeError, csv.Error) as error:
        fix = "Save it as CSV in UTF-8, one value per column"
        raise BadInput("the table cannot be read", [Fault(str(error), fix, file=file.name)]) from error
    missing = {"indicator", "code_prefix", "value", "source"} - set(rows[0] if rows else ())
    if missing:
        fix = "Name the columns indicator, code_prefix, value, source"
        raise BadInput("columns are missing", [Fault(f"no {', '.join(sorted(missing))}", fix, file=file.name)])
    return rows
