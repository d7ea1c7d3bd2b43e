"""`parkplan search`: where a project would stand best."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from scripts.console import AsJson, County, out, print_json


def search(
    county: County,
    project: Annotated[str, typer.Option(help="P.json, or the id of a project of the library")],
    top: Annotated[int, typer.Option(min=1, max=200)] = 20,
    weight: Annotated[list[str] | None, typer.Option(help="CRITERION=WEIGHT; what is not named weighs nothing")] = None,
    as_json: AsJson = False,
) -> None:
    """Ranked candidate sites for one project; what fails hard is counted by rule (选址推荐)."""
    from api.searching import search as find
    from gis.check import rulebook
    from layers.store import open_store
    from scripts.reading import read_project

    weights = None if not weight else dict(_weight(one) for one in weight)
    store = open_store(county)
    try:
        wanted = read_project(project, store)
        book = rulebook().confirmed(store.list("confirmation"))
        found = find(store, wanted, book, store.at(), top=top, weights=weights)
    finally:
        store.close()
    if as_json:
        print_json(found)
        return
    table = Table(title=f"{found['considered']} 个候选 candidates")
    for title in ("#", "用地 site", "ha", "结论 verdict", "得分 score", "未通过或未知 fails or unknown"):
        table.add_column(title)
    for one in found["candidates"]:
        rules = ", ".join(finding["rule"] for finding in one["findings"][:4])
        hectares = f"{one['site']['area_m2'] / 1e4:.2f}"
        table.add_row(str(one["rank"]), one["name"], hectares, one["verdict"], f"{one['score']:.3f}", rules)
    out.print(table)
    for rule, count in found["rejected"].items():
        out.print(f"否决 rejected by {rule}: {count}", highlight=False)
    for one in found["notes"]:
        out.print(f"{one['zh']} {one['en']}", style="dim", highlight=False, markup=False, soft_wrap=True)


def _weight(said: str) -> tuple[str, float]:
    name, _, number = said.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise typer.BadParameter(f"{said!r} is not CRITERION=WEIGHT", param_hint="--weight") from None
