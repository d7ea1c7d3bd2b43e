"""`parkplan find`: where something is, by its name."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from scripts.console import AsJson, County, out, print_json


def find(
    county: County,
    name: Annotated[str, typer.Argument(help="Part of a name or an id, for example 木黄")],
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """Find features and projects by their name (按名称查找), with a point in degrees to look at."""
    from api.places import EVER, places
    from layers.store import open_store

    store = open_store(county)
    found = places(name, store.at(for_year=EVER), store.layers(), store.list("project"), limit)
    store.close()
    if as_json:
        print_json({"places": found})
        return
    table = Table("图层 layer", "编号 id", "名称 name", "经度 lon", "纬度 lat")
    for one in found:
        lon, lat = (f"{value:.6f}" for value in one["at"]) if one["at"] else ("", "")
        table.add_row(f"{one['zh']} {one['role']}", one["id"], one["name"] or "", lon, lat)
    out.print(table if found else f"没有名称含“{name}”的要素 nothing is named like {name!r}")
