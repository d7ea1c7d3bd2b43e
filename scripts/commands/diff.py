"""`parkplan diff`: what changed between two versions of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, out, print_json

MOST_ROWS = 30


def diff(
    county: County,
    role: Annotated[str, typer.Argument(help="parcels, land_use, basic_farmland, ...")],
    old: Annotated[int | None, typer.Option("--from", help="The older version; default: the one before")] = None,
    new: Annotated[int | None, typer.Option("--to", help="The newer version; default: the latest")] = None,
    to_file: Annotated[Path | None, typer.Option("--out", help="Write OUT.html (map), OUT.gpkg or OUT.csv")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions of a layer: what came, what went, what was redrawn or told anew (版本对比)."""
    from api import changes, maps
    from layers.store import open_store

    kind = to_file.suffix.lower() if to_file is not None else ""
    if kind not in ("", ".html", ".gpkg", ".csv"):
        raise BadInput(f"no comparison in {kind}", [Fault("unknown kind of file", "Use .html, .gpkg or .csv")])
    store = open_store(county)
    try:
        before, after = changes.versions(store, role, old, new)
        found = changes.difference(store, before, after)
        rows = changes.table(found)
        if to_file is not None and kind == ".html":
            to_file.write_text(maps.standalone(changes.chart(store, before, after)), encoding="utf-8")
        elif to_file is not None:
            changes.write(rows, to_file)
        if as_json:
            print_json(changes.answer(store, before, after, most=1_000))
            return
    finally:
        store.close()
    out.print(f"{before.label} -> {after.label}, matched by {found.matched_by}", highlight=False)
    out.print("  ".join(f"{name} {count:,}" for name, count in found.counts.items()), highlight=False)
    table = Table()
    for title in ("编号 feature", "变化 change", "m² before", "m² after", "m² moved", "字段 fields"):
        is_area = title.startswith("m²")
        table.add_column(title, justify="right" if is_area else "left", no_wrap=is_area)
    for row in rows.head(MOST_ROWS).itertuples():
        areas = ("" if area != area else f"{area:,.2f}" for area in (row.old_m2, row.new_m2, row.moved_m2))
        table.add_row(str(row.feature), f"{row.zh} {row.en}", *areas, "" if row.fields == "{}" else row.fields)
    if len(rows):
        out.print(table)
    if len(rows) > MOST_ROWS:
        out.print(f"... and {len(rows) - MOST_ROWS:,} more; see --out or --json", highlight=False)
