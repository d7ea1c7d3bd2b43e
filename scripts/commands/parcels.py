"""`parkplan parcels`: what became of parcels, and what shall become of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, out, print_json

app = typer.Typer(
    help="The parcel fabric (宗地变更): history, split 分割, merge 合并, adjust 调整, retire 注销, restore 恢复.\n\n"
    "Every change stands on a document (--document, --date) and nothing is rewritten.",
    no_args_is_help=True,
)
Document = Annotated[str, typer.Option(help="Number of the legal document, for example 印自然资〔2026〕1号")]
Dated = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="Date of the document")]
Effective = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day on which it is so; default: today")
]
Crs = Annotated[str | None, typer.Option(help="CRS of the coordinates; default: longitude and latitude")]
Note = Annotated[str, typer.Option(help="A remark")]
Ids = Annotated[list[str] | None, typer.Option("--id", help="Id of a new parcel; repeat it, from west to east")]
Shapes = Annotated[Path | None, typer.Option(help="GeoJSON: a feature per parcel, its id in `id`")]
Lines = Annotated[str | None, typer.Option(help="GeoJSON file with lines, or 'X,Y X,Y ...'")]


@app.callback()
def of_county(context: typer.Context, county: County) -> None:
    context.obj = county


@app.command()
def history(context: typer.Context, parcel: str, as_json: AsJson = False) -> None:
    """All that is recorded of a parcel, with what it came of and what it became (宗地沿革)."""
    from api import parcels
    from layers.store import open_store

    store = open_store(context.obj)
    try:
        found = parcels.history(store, parcel)
    finally:
        store.close()
    if as_json:
        print_json(found)
        return
    table = Table(title=f"{parcel} {'现势 stands' if found['stands'] else '历史 gone'}")
    for title in ("event", "变更 kind", "生效 effective", "登记 recorded", "文号 document", "来自 of", "成为 into"):
        table.add_column(title, no_wrap=title.startswith(("event", "生效", "登记")))
    for one in found["events"]:
        paper = one["document"]["number"] if one["document"] else one["source"]
        days = (one["effective_on"] or "—", one["recorded_at"][:10])
        table.add_row(str(one["seq"]), one["kind"], *days, paper, " ".join(one["parents"]), " ".join(one["children"]))
    out.print(table)
    for state in found["states"]:
        since, until = state["valid_from"] or "有记录以来 always", state["valid_to"] or "至今 now"
        out.print(f"{since} – {until}: {state['area_m2']:,.2f} m²（{state['area_mu']:,.2f} 亩）", highlight=False)
    for title, names in (("来源 ancestors", found["ancestors"]), ("去向 descendants", found["descendants"])):
        out.print(f"{title}: {', '.join(names) or '—'}", highlight=False, markup=False, soft_wrap=True)


@app.command()
def split(
    context: typer.Context,
    parcel: str,
    document: Document,
    date: Dated,
    cut: Lines = None,
    id_: Ids = None,
    pieces: Shapes = None,
    effective: Effective = None,
    crs: Crs = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Split a parcel by lines across it (--cut with --id) or as its pieces are drawn (--pieces)."""
    from api import parcels

    body = _said(document, date, note, effective, crs) | _drawn(pieces=pieces)
    if cut is not None:
        body |= {"cut": _lines(cut), "ids": id_}
    asked = parcels.SplitIn.model_validate(body)
    _do(context, as_json, lambda store, most: parcels.split(store, parcel, asked, "operator", most))


@app.command()
def merge(
    context: typer.Context,
    parcel: Annotated[list[str], typer.Argument(help="Two or more parcels")],
    into: Annotated[str, typer.Option(help="Id of the new parcel")],
    document: Document,
    date: Dated,
    multipart: Annotated[bool, typer.Option("--multipart", help="They need not hang together")] = False,
    effective: Effective = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Merge parcels into one."""
    from api import parcels

    body = {"parcels": parcel, "id": into, "multipart": multipart}
    asked = parcels.MergeIn.model_validate(_said(document, date, note, effective, None) | body)
    _do(context, as_json, lambda store, most: parcels.merge(store, asked, "operator", most))


@app.command()
def adjust(
    context: typer.Context,
    parcel: str,
    neighbour: Annotated[list[str], typer.Option("--with", help="A neighbour; may be repeated")],
    document: Document,
    date: Dated,
    boundary: Lines = None,
    pieces: Shapes = None,
    effective: Effective = None,
    crs: Crs = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Give neighbours another common boundary: a line across them (--boundary) or their new shapes (--pieces)."""
    from api import parcels

    body = _said(document, date, note, effective, crs) | {"with": neighbour} | _drawn(pieces=pieces)
    if boundary is not None:
        body["boundary"] = {
            "type": "MultiLineString",
            "coordinates": [one["coordinates"] for one in _lines(boundary)],
        }
    asked = parcels.AdjustIn.model_validate(body)
    _do(context, as_json, lambda store, most: parcels.adjust(store, parcel, asked, "operator", most))


@app.command()
def retire(
    context: typer.Context,
    parcel: str,
    document: Document,
    date: Dated,
    effective: Effective = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Take a parcel from the register."""
    from api import parcels

    asked = parcels.RetireIn.model_validate(_said(document, date, note, effective, None))
    _do(context, as_json, lambda store, most: parcels.retire(store, parcel, asked, "operator", most))


@app.command()
def restore(
    context: typer.Context,
    document: Document,
    date: Dated,
    event: Annotated[int | None, typer.Option(help="The event to undo; `history` gives its number")] = None,
    parcel: Annotated[str | None, typer.Option(help="Undo what was last done to this parcel")] = None,
    effective: Effective = None,
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Undo a change: what it closed stands again, ids and all."""
    from api import parcels

    body = {key: value for key, value in (("event", event), ("parcel", parcel)) if value is not None}
    asked = parcels.RestoreIn.model_validate(_said(document, date, note, effective, None) | body)
    _do(context, as_json, lambda store, most: parcels.restore(store, asked, "operator", most))


def _do(context: typer.Context, as_json: bool, change: Callable[[Any, int], Any]) -> None:
    from api import parcels
    from api.settings import Settings
    from layers.access import Access
    from layers.places import beside
    from layers.store import open_store

    store = open_store(context.obj)
    try:
        event = change(store, Settings(county=context.obj).max_site_vertices)
        access = Access(beside(context.obj))
        parcels.audit(access, event)
        access.close()
        found = parcels.done(store, event)
    finally:
        store.close()
    if as_json:
        print_json(found)
        return
    out.print(f"event {event.seq}: {event.kind}, effective {event.effective_on}", highlight=False)
    for word, some in (("－", found["closed"]), ("＋", found["opened"])):
        for one in some:
            out.print(f"{word} {one['id']}  {one['area_m2']:,.2f} m²（{one['area_mu']:,.2f} 亩）", highlight=False)


def _said(document: str, date: datetime, note: str, effective: datetime | None, crs: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {"document": {"number": document, "date": date.date(), "note": note}, "crs": crs}
    return body | ({"effective_on": effective.date()} if effective else {})


def _drawn(*, pieces: Path | None) -> dict[str, Any]:
    """The pieces of a GeoJSON file as the service takes them: id, geometry, and the other properties as attributes."""
    if pieces is None:
        return {}
    made = []
    for one in _features(pieces):
        told = dict(one.get("properties") or {})
        name = told.pop("id", None) or one.get("id")
        made.append({"id": name, "geometry": one.get("geometry"), "attributes": told})
    return {"pieces": made}


def _lines(said: str) -> list[dict[str, Any]]:
    """Lines of a GeoJSON file, or one line written out."""
    try:
        points = [[float(number) for number in pair.split(",")] for pair in said.split()]
    except ValueError:
        shapes = [one.get("geometry") or {} for one in _features(Path(said))]
        return [part for shape in shapes for part in _single(shape)]
    return [{"type": "LineString", "coordinates": points}]


def _single(shape: dict[str, Any]) -> list[dict[str, Any]]:
    if shape.get("type") != "MultiLineString":
        return [shape]
    return [{"type": "LineString", "coordinates": path} for path in shape.get("coordinates", ())]


def _features(path: Path) -> list[dict[str, Any]]:
    """The features of a GeoJSON file, whatever it holds at its top."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fix = "Give a GeoJSON file, UTF-8"
        raise BadInput(f"{path.name} cannot be read", [Fault(str(error), fix, file=path.name)]) from error
    kind = read.get("type") if isinstance(read, dict) else None
    if kind == "FeatureCollection":
        return [one for one in read.get("features", ()) if isinstance(one, dict)]
    if kind == "Feature":
        return [read]
    return [{"geometry": read}]
