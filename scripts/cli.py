"""`parkplan`: the command line. Arguments in, the same calls as the service, files and words out."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.progress import Progress
from rich.table import Table

from api.wording import fault_row, line_of, told_of, zh
from layers.errors import BadInput, Fault, ParkError
from layers.records import PURPOSES
from scripts import measures
from scripts.commands import (
    backup,
    diff,
    estimate,
    export,
    find,
    indicators,
    mapping,
    migrate,
    network,
    outlook,
    parcels,
    plan,
    projects,
    quality,
    quota,
    search,
    sheets,
    tiles,
    users,
)
from scripts.console import AsJson, County, err, out, print_json, spoken
from scripts.reading import read_project

app = typer.Typer(
    help="ParkPlan 园区选址规划: may this project stand on this land, and why.\n\n"
    "A COUNTY is the path of a .gpkg file or a postgresql:// URL. Try `parkplan demo` first.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
EXIT = {"clear": 0, "warned": 0, "conditional": 10, "undetermined": 11, "blocked": 12}
TITLES = {"rejected": "未导入：", "note": "说明："}
COLOUR = {"pass": "green", "fail": "red", "unknown": "yellow", "exempt": "dim"}


def main() -> None:
    """Run the command line: exit 2 for wrong usage, 3 for input that cannot be read."""
    try:
        app()
    except ValidationError as error:
        _say_and_exit("the input is not valid", [told_of(one) for one in error.errors()])
    except ParkError as error:
        _say_and_exit(error.message, map(fault_row, error.faults if isinstance(error, BadInput) else ()))


def _say_and_exit(message: str, faults: Iterable[dict[str, Any]]) -> NoReturn:
    told_faults = list(faults)
    for language, word in spoken({"zh": "错误：", "en": "error: "}):
        err.print(word, style="bold red", end="")
        said = (zh(message) or message) if language == "zh" else message
        for line in (said, *(f"  {line_of(one, language)}" for one in told_faults)):
            err.print(line, highlight=False, markup=False, soft_wrap=True)
    sys.exit(3)


@app.command()
def init(
    county: County,
    name: Annotated[str, typer.Option(help="What the county is called")] = "",
    crs: Annotated[str, typer.Option(help="Working CRS, projected, in metres")] = "EPSG:4545",
) -> None:
    """Make a new, empty county: a file, or a schema of a database."""
    from layers.places import called, is_url
    from layers.store import create_store

    create_store(county, name, crs).close()
    again = "URL" if is_url(county) else county  # a URL may hold a password
    typer.echo(f"made {called(county)}, working CRS {crs}. Next: parkplan import {again} FILE --role ROLE")


@app.command("import")
def import_(
    county: County,
    file: Annotated[Path, typer.Argument(help="GPKG, Shapefile (also zipped), GeoJSON, FlatGeobuf; GeoTIFF")],
    role: Annotated[str, typer.Option(help="What the layer means: parcels, land_use, basic_farmland, ...")],
    crs: Annotated[str | None, typer.Option(help="The file's CRS where it says none or a wrong one")] = None,
    encoding: Annotated[str | None, typer.Option(help="Text encoding, for example GB18030")] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="OURS=THEIRS binds a field; OURS==VALUE sets one value for all")
    ] = None,
    field_map: Annotated[
        Path | None, typer.Option(help="The NAME.fields.csv of an export: its fields get their names back")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Which layer of the file")] = None,
    extent: Annotated[
        str | None, typer.Option(help="Surveyed ground: a polygon file, or west,south,east,north in the working CRS")
    ] = None,
    vintage: Annotated[str | None, typer.Option(help="When it was surveyed, for example 2024")] = None,
    accuracy_m: Annotated[
        float | None, typer.Option(min=0, help="How far its borders may be off, in metres (边界精度)")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Read and report, store nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Load a layer. Every fault of the file is said at once; features in = loaded + rejected."""
    from layers import field_map as maps
    from layers.ingest import prepare
    from layers.store import open_store

    store = open_store(county)
    try:
        prepared = prepare(
            file,
            role,
            store.crs,
            crs=crs,
            encoding=encoding,
            fields=_fields(field or []),
            field_map=maps.read(field_map) if field_map is not None else None,
            layer=layer,
            extent=_extent(extent, store.crs),
            neighbourhood=store.bounds(),
            vintage=vintage,
            accuracy_m=accuracy_m,
        )
        stored = prepared.layer if dry_run else store.put(prepared, by="operator")
    finally:
        store.close()
    report = {
        "file": file.name,
        "role": role,
        "version": stored.version or None,
        "stored": not dry_run,
        "features_in": prepared.features_in,
        "loaded": stored.loaded,
        "rejected": [str(fault) for fault in prepared.rejected],
        "notes": [str(fault) for fault in prepared.notes],
        "found": dict(prepared.found),
        "fields": stored.fields,
        "accuracy_m": stored.accuracy_m,
        "extent": "as given" if extent else "the box around the features (say --extent to change it)",
    }
    if as_json:
        print_json(report)
        return
    verb = "would load" if dry_run else "loaded"
    out.print(
        f"{file.name} -> {role}: {report['features_in']} in, {verb} {stored.loaded}, rejected {stored.rejected}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    typer.echo(f"  found {report['found']}; surveyed extent: {report['extent']}")
    for title, faults in (("rejected", prepared.rejected), ("note", prepared.notes)):
        for fault in faults[:50]:
            for language, word in spoken({"zh": TITLES[title], "en": f"{title}: "}):
                out.print(
                    f"  {word}{line_of(fault_row(fault), language)}", highlight=False, markup=False, soft_wrap=True
                )
        if len(faults) > 50:
            out.print(f"  ... and {len(faults) - 50} more; see --json", highlight=False)


def _fields(given: list[str]) -> dict[str, str]:
    fields = {}
    for one in given:
        ours, sign, theirs = one.partition("=")
        if not sign or not ours or not theirs:
            raise typer.BadParameter(f"{one!r} is not OURS=THEIRS", param_hint="--field")
        fields[ours] = theirs
    return fields


def _extent(text: str | None, crs: Any) -> Any:
    """The surveyed extent an operator gave, in the working CRS."""
    import shapely

    from layers.ingest import read_area

    if text is None:
        return None
    try:
        return shapely.box(*(float(edge) for edge in text.split(",")))
    except (TypeError, ValueError):
        return read_area(Path(text), crs)


@app.command()
def layers(county: County, as_json: AsJson = False) -> None:
    """List the layers that are loaded and the roles that are missing."""
    from api.routers.layers import catalogue
    from layers.store import open_store

    store = open_store(county)
    found = catalogue(store)
    store.close()
    if as_json:
        print_json(found)
        return
    table = Table(title=f"{found['county']} ({found['crs']})")
    for title in ("role", "图层", "version", "features", "rejected", "source", "digest"):
        table.add_column(title, justify="right" if title in ("version", "features", "rejected") else "left")
    for one in found["layers"]:
        cells = (one["role"], one["zh"], one["version"], one["features"], one["rejected"], one["source"])
        table.add_row(*map(str, cells), one["digest"][:12])
    out.print(table)
    out.print("missing (their rules answer unknown): " + ", ".join(one["role"] for one in found["missing"]))


@app.command()
def check(
    county: County,
    project: Annotated[str, typer.Option(help="P.json (id or name, and land_m2 or annual_output) or a library id")],
    site: Annotated[Path | None, typer.Option(help="A boundary file; its features together are the site")] = None,
    parcel: Annotated[list[str] | None, typer.Option(help="Parcel id; may be repeated")] = None,
    purpose: Annotated[str, typer.Option(help=f"One of {', '.join(PURPOSES)}")] = "screening",
    for_year: Annotated[int | None, typer.Option(help="The year asked for: what opens later is not there")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The county as known on a day")] = None,
    report: Annotated[Path | None, typer.Option(help="Write OUT.pdf, .docx, .html, .xlsx (tables) or .geojson")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show the rules that pass, too")] = False,
    remedies: Annotated[bool, typer.Option("--remedies", help="Work out what would make it pass")] = False,
    as_json: AsJson = False,
) -> None:
    """May this project stand on this land? Exit 0 clear or warned, 10 conditional, 11 undetermined, 12 blocked."""
    from api.county import County as Served
    from api.settings import Settings
    from api.sites import SiteIn, resolve
    from layers.access import Access
    from layers.ingest import read_area
    from layers.places import beside
    from layers.records import Part, Site
    from layers.store import open_store

    if (site is None) == (not parcel):
        raise typer.BadParameter("give either --site FILE or --parcel ID", param_hint="--site")
    if purpose not in PURPOSES:
        raise typer.BadParameter(f"one of {', '.join(PURPOSES)}", param_hint="--purpose")
    store = open_store(county)
    wanted = read_project(project, store)
    served = Served(store, Access(beside(county)), Settings(county=county))
    day = as_of.date() if as_of else None
    if site is not None:
        ground = [Site.of(Part(read_area(site, store.crs)))]
    else:
        ground = resolve([SiteIn(parcels=parcel)], store, *served.site_limits, day)
    found, _ = served.check_and_keep(ground[0], wanted, purpose, day, for_year, by="operator", ways_out=remedies)
    if report is not None:
        write_report(report, found, store)
    store.close()
    if as_json:
        print_json(found)
    else:
        print_check(found, every)
    raise typer.Exit(EXIT[found["verdict"]])


@app.command("recheck")
def check_again(
    county: County,
    check_id: Annotated[str, typer.Argument(help="The id of a check that was answered")],
    as_json: AsJson = False,
) -> None:
    """Ask a stored check again on the layer versions, balances and rules it saw. Exit 0 same, 10 different."""
    from api.recheck import recheck
    from layers.store import open_store

    store = open_store(county)
    try:
        found = recheck(store, check_id)
    finally:
        store.close()
    if as_json:
        print_json(found)
    else:
        verdict = found["verdict"]
        out.print(f"{'一致 same' if found['same'] else '不一致 different'}: {verdict['was']} -> {verdict['is']}")
        for one in found["differences"][:50]:
            out.print(f"  {one['field']}: {one['was']} -> {one['is']}", highlight=False, markup=False)
    raise typer.Exit(0 if found["same"] else 10)


def write_report(path: Path, found: dict[str, Any], store: Any) -> None:
    """A check as a file that can be handed on: the report for paper, Word or a browser, the tables, or GeoJSON."""
    from api import xlsx
    from api.reports import docx, html, of_check, pdf
    from api.routers.checks import as_features

    kind = path.suffix.lower()
    if kind == ".geojson":
        path.write_text(json.dumps(as_features(found), ensure_ascii=False), encoding="utf-8")
    elif kind == ".xlsx":
        path.write_bytes(xlsx.workbook(found))
    elif kind == ".html":
        path.write_text(html.write(of_check.report(found, store)), encoding="utf-8")
    elif kind in (".pdf", ".docx"):
        path.write_bytes((pdf if kind == ".pdf" else docx).write(of_check.report(found, store)))
    else:
        fix = "Use .pdf, .docx, .html, .xlsx or .geojson"
        raise BadInput(f"no report in {kind or 'that form'}", [Fault("unknown kind", fix)])
    typer.echo(f"wrote {path}", err=True)


def print_check(found: dict[str, Any], every: bool) -> None:
    out.print(f"[bold]{found['conclusion']['zh']}[/]  {found['conclusion']['en']}")
    area = found["site"]
    out.print(
        f"{area['area_m2']:,.2f} m²（{area['area_mu']:,.2f} 亩）  purpose {found['purpose']}  check {found['id']}",
        highlight=False,
    )
    order = ("fail", "unknown", "pass") if every else ("fail", "unknown")
    shown = [one for one in found["findings"] if one["status"] in order]
    for one in sorted(shown, key=lambda one: order.index(one["status"])):
        colour = COLOUR[one["status"]]
        out.print(f"[{colour}]{one['status']:>8}[/] {one['severity']:<9} ", end="", highlight=False)
        out.print(f"{one['message']['zh']}  〔{one['basis']}〕", highlight=False, markup=False, soft_wrap=True)
    for one in found.get("remedies", ()):
        text = f"{one['message']['zh']}（解决 {', '.join(one['mends'])}）{one['message']['en']}"
        out.print(f"[green]{one['kind']:>8}[/] ", end="", highlight=False)
        out.print(text, highlight=False, markup=False, soft_wrap=True)
    for name, said in measures.lines(found, notes=every):
        out.print(f"[dim]{name}[/] ", end="", highlight=False)
        out.print(said, highlight=False, markup=False, soft_wrap=True)
    count = Counter(one["status"] for one in found["findings"])
    more = "" if every else "  (--all shows them)"
    out.print(f"[dim]{count['pass']} rules pass 通过, {count['exempt']} do not apply 不适用{more}[/]", highlight=False)


app.command("backup")(backup.backup)
app.command("diff")(diff.diff)
app.command("estimate")(estimate.estimate)
app.command("indicators")(indicators.indicators)
app.command("export", help=export.HELP)(export.export)
app.command("find")(find.find)
app.command("tiles")(tiles.tiles)
app.command("map")(mapping.map_)
app.command("migrate")(migrate.migrate)
app.command("network")(network.network)
app.command("connect")(network.connect)
app.command("outlook")(outlook.outlook)
app.command("plan")(plan.plan)
app.command("projects")(projects.projects)
app.command("quality")(quality.quality)
app.command("quota")(quota.quota)
app.command("restore")(backup.restore)
app.command("search")(search.search)
app.command("sheets")(sheets.sheets)
app.command("supply")(quota.supply)
app.command("verify")(quota.verify)
app.command("users")(users.users)
app.command("audit")(users.audit)
app.add_typer(parcels.app, name="parcels")


@app.command()
def serve(
    county: County,
    host: Annotated[str, typer.Option(help="Beyond loopback only with users")] = "127.0.0.1",
    port: int = 8000,
    workers: Annotated[int, typer.Option(help="Processes; two on a two-core machine")] = 1,
    ahead: Annotated[bool, typer.Option("--tiles/--no-tiles", help="Draw map tiles meanwhile, at low priority")] = True,
) -> None:
    """Serve the county over HTTP."""
    from contextlib import nullcontext

    import uvicorn

    from api.app import create_app
    from api.settings import Settings
    from layers.places import settled
    from scripts.ahead import drawing

    settings = Settings(county=settled(county), host=host, port=port)
    create_app(settings).state.county.store.close()  # says what is wrong here rather than in a worker
    os.environ |= {"PARKPLAN_COUNTY": settings.county, "PARKPLAN_HOST": host, "PARKPLAN_PORT": str(port)}
    with drawing(settings.county) if ahead else nullcontext():
        uvicorn.run("api.app:create_app", factory=True, host=host, port=port, workers=workers, log_level="warning")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo county goes")] = Path("demo"),
    seed: int = 1,
    port: int = 8000,
    fresh: Annotated[bool, typer.Option(help="Build it again")] = False,
    serve_it: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve it when it is built")] = True,
) -> None:
    """Build the demo county (synthetic) and serve it on loopback."""
    from scripts.founding import found

    county = folder / "county.gpkg"
    if fresh or not county.exists():
        with Progress(console=err) as progress:
            task = progress.add_task("building the demo county", total=1.0)
            found(county, seed, lambda text, done: progress.update(task, description=text, completed=done))
    url = f"http://127.0.0.1:{port}"
    out.print(f"demo county: {county} (合成数据 synthetic)")
    if not serve_it:
        return
    out.print(f"workbench  {url}/\nAPI docs   {url}/docs\nmap        {url}/maps/overview\nstop with Ctrl-C")
    serve(str(county), port=port, workers=min(2, os.cpu_count() or 1))


@app.command()
def doctor(county: Annotated[str | None, typer.Argument(help="A county to look into")] = None) -> None:
    """Say what this machine and a county have and lack."""
    from scripts.doctor import examine

    faults = 0
    for name, good, word in examine(county):
        out.print(f"[{'green' if good else 'red'}]{'ok  ' if good else 'lack'}[/] {name}: {word}", highlight=False)
        faults += not good
    raise typer.Exit(1 if faults else 0)


if __name__ == "__main__":
    main()
