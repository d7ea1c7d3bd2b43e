"""`parkplan network` and `parkplan connect`: what is wrong with the networks, and what it takes to connect a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, err, out, print_json

MOST_BREAKS = 40
STATUS = {
    "served": "[green]可供 can serve[/]",
    "unknown": "[yellow]余量未知 room unknown[/]",
    "short": "[red]余量不足 short[/]",
    "none": "[red]无 none[/]",
}
UTILITIES = {"power": "电 power", "water": "水 water", "effluent": "污水 effluent", "road": "道路 road"}
UNITS = {"kva": "kVA", "m3d": "m³/d", "td": "t/d"}
Year = Annotated[int | None, typer.Option(help="The year asked for: what opens later is not there")]


def network(
    county: County,
    for_year: Year = None,
    routes: Annotated[bool, typer.Option(help="Work out and keep the ways to every facility")] = False,
    as_json: AsJson = False,
) -> None:
    """Report on roads, power lines and water mains as networks, and on what facilities do not say (网络检查)."""
    from api.networks import Networks, network_report
    from gis.check import rulebook
    from layers.store import open_store

    store = open_store(county)
    try:
        found = network_report(store, None, for_year)
        if routes:
            book = rulebook()
            found["routes"] = Networks(store, lambda: book).make_all(
                store.at(None, for_year), lambda one: err.print(one, highlight=False)
            )
    finally:
        store.close()
    if as_json:
        print_json(found)
        return
    table = Table(title=f"网络 networks, {found['for_year']}")
    rows = found["networks"]
    table.add_column("")
    for role in rows:
        table.add_column(role, justify="right")
    for name in next(iter(rows.values()), {}):
        table.add_row(name, *(f"{one[name]:,}" for one in rows.values()))
    out.print(table)
    breaks = [one for one in found["breaks"] if one["kind"] != "dangling end"]  # many roads end at a village
    for one in breaks[:MOST_BREAKS]:
        metres = "" if one["metres"] is None else f" {one['metres']:,.1f} m"
        other = f" / {one['other']}" if one["other"] else ""
        said = f"{one['role']} {one['feature']}{other}: {one['kind']}{metres} ({one['note']})"
        out.print(said, highlight=False, markup=False, soft_wrap=True)
    if len(breaks) > MOST_BREAKS:
        out.print(f"... {len(breaks) - MOST_BREAKS} more; --json lists all", highlight=False)
    for one in found["planned"]:
        out.print(f"{one['open_year']} {one['role']} {one['name']}", highlight=False, markup=False)


def connect(
    county: County,
    project: Annotated[str, typer.Option(help="P.json or the id of a project of the library")],
    site: Annotated[Path | None, typer.Option(help="A boundary file; its features together are the site")] = None,
    parcel: Annotated[list[str] | None, typer.Option(help="Parcel id; may be repeated")] = None,
    for_year: Year = None,
    to: Annotated[Path | None, typer.Option("--map", help="Write the routes as a map page OUT.html")] = None,
    as_json: AsJson = False,
) -> None:
    """Which facilities would serve a project on a site, along which way and at what cost (接入方案).

    The first time takes some seconds: ways are worked out and kept in the county's cache folder.
    """
    from api.county import County as Served
    from api.networks import dressed
    from api.settings import Settings
    from api.sites import SiteIn, resolve
    from layers.access import Access
    from layers.ingest import read_area
    from layers.places import beside
    from layers.records import Part, Site
    from layers.store import open_store
    from scripts.reading import read_project

    if (site is None) == (not parcel):
        raise typer.BadParameter("give either --site FILE or --parcel ID", param_hint="--site")
    if to is not None and to.suffix.lower() != ".html":
        raise BadInput(f"no map in {to.suffix or 'that form'}", [Fault("unknown kind", "Use .html", file=to.name)])
    store = open_store(county)
    try:
        wanted = read_project(project, store)
        served = Served(store, Access(beside(county)), Settings(county=county))
        if site is not None:
            ground = Site.of(Part(read_area(site, store.crs)))
        else:
            ground = resolve([SiteIn(parcels=parcel)], store, *served.site_limits, None)[0]
        world = store.at(None, for_year)
        found = dressed(*served.networks.connections(ground, wanted, world), ground, world)
        if to is not None:
            from api import maps
            from api.network_map import chart

            to.write_text(maps.standalone(chart(store, found, ground.geometry)), encoding="utf-8")
            typer.echo(f"wrote {to}", err=True)
    finally:
        store.close()
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    for one in found["connections"]:
        head = f"[bold]{UTILITIES[one['utility']]}[/]  {STATUS[one['status']]}  "
        out.print(head, end="", highlight=False)
        unit = UNITS[one["unit"]]
        said = [one["name"] or "", one["grade"]]
        said += [f"{one['need']:,.0f} {unit}"] if one["need"] is not None else []
        said += [f"余 left {one['headroom']:,.0f} {unit}"] if one["headroom"] is not None else []
        said += [f"差 short {one['short']:,.0f} {unit}"] if one["short"] else []
        said += [f"{one['length_m']:,.0f} m"] if one["length_m"] is not None else []
        out.print("  ".join(filter(None, said)), highlight=False, markup=False, soft_wrap=True)
        for item in one["items"]:
            cost = item["cost_wan"]
            line = f"   {item['name']['zh']} {item['quantity']:,.0f} {item['unit']}: {cost['typical']:,.1f} 万元"
            out.print(f"{line} ({cost['low']:,.1f}–{cost['high']:,.1f})", highlight=False, markup=False, soft_wrap=True)
        if one["cost_wan"] is not None:
            out.print(f"   = {_band(one['cost_wan'])}（{one['confidence']}）", highlight=False, markup=False)
        for note in one["notes"]:
            out.print(f"   {note['zh']} {note['en']}", highlight=False, markup=False, soft_wrap=True)
    if found["cost_wan"] is not None:
        out.print(f"合计 together {_band(found['cost_wan'])}", highlight=False, markup=False)


def _band(cost: dict[str, float]) -> str:
    return f"{cost['typical']:,.0f} 万元 ({cost['low']:,.0f}–{cost['high']:,.0f})"
