"""`parkplan export`: a layer as a file that others open."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from layers.errors import BadInput, Fault, Refused
from layers.records import Bounds, Layer
from scripts.console import AsJson, County, err, out, print_json

MOST_SHOWN = 50
HELP = """Write a layer as a file that others open (导出图层). The ending of FILE is the format:

\b
.gpkg     GeoPackage: keeps everything; take this one where you may choose
.shp      Shapefile, GB18030 with .cpg; names of at most 10 bytes, texts of at
.shp.zip  most 254; NAME.fields.csv beside it says which field is which. In a
.zip      zip all parts travel together
.gdb      ESRI FileGDB (a folder) · .gdb.zip the same in one file
.parquet  GeoParquet, for analysts · .fgb FlatGeobuf, for streaming
.geojson  always longitude and latitude (RFC 7946), to 0.1 mm · .kml the same
.dxf      CAD: geometry only, on a layer named after the role; no CRS inside
.txt      boundary text of land offices (国土 TXT, 电子报盘), GBK
.xlsx     table with areas and no geometry (--wkt adds it); never a formula
.csv      the same as text, UTF-8 with BOM for Excel

Coordinates leave in the county's working CRS unless the format is longitude and
latitude or --crs says otherwise. What a format cannot hold is said, feature and
field. The file, or FILE.about.json beside it, carries version, digest, source,
vintage, synthetic and classification; a layer of 秘密 is refused.
"""


def export(
    county: County,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="parcels, land_use, basic_farmland, ...")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; its ending is the format")],
    crs: Annotated[str | None, typer.Option(help="Another CRS, for example EPSG:4490")] = None,
    encoding: Annotated[str | None, typer.Option(help="GB18030, GBK or UTF-8, for .shp, .csv and .txt")] = None,
    ids: Annotated[
        str | None, typer.Option(help="Only these features: ID,ID,... or a file with an id per line")
    ] = None,
    bounds: Annotated[
        str | None, typer.Option(help="Only features that touch west,south,east,north in the working CRS")
    ] = None,
    fields: Annotated[str | None, typer.Option(help="Only these columns, in this order: id,name,...")] = None,
    wkt: Annotated[bool, typer.Option("--wkt", help="Geometry as WKT, in .xlsx and .csv")] = False,
    version: Annotated[int | None, typer.Option(help="This version of the layer; default: the latest")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The layer as known on a day")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE where it exists")] = False,
    as_json: AsJson = False,
) -> None:
    from layers import export as export_
    from layers.places import settled
    from layers.store import open_store

    if version is not None and as_of is not None:
        raise typer.BadParameter("give either --version or --as-of", param_hint="--version")
    box = _box(bounds)
    export_.format_of(file)  # a wrong ending is said before the county is opened
    if str(file.resolve()) == settled(county):
        raise Refused(f"{file.name} is the county itself")
    store = open_store(county)
    try:
        layer = _layer(store, role, version, as_of)
        export_.refuse_at_once(layer)
        wanted = _ids(ids)
        # parcels are those that stand, with what was split and merged since they were surveyed
        stands = role == "parcels" and version is None
        day = as_of.date() if as_of else None
        known: dict[str, Any] = {"as_of": day} if stands else {"version": layer.version}
        frame = store.frame(role, ids=wanted, **known)
        _refuse_missing(wanted, set(frame["id"]), role)
        if box is not None:
            frame = store.frame(role, ids=wanted, bounds=box, **known)
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
        ) as progress:
            task = progress.add_task(f"{role} -> {file.name}", total=len(frame))
            made = export_.export(
                frame,
                layer,
                file,
                crs=crs,
                encoding=encoding,
                fields=fields.split(",") if fields else None,
                with_wkt=wkt,
                overwrite=overwrite,
                progress=lambda done: progress.update(task, completed=done),
            )
    finally:
        store.close()
    if as_json:
        print_json(
            {
                "layer": layer.label,
                "features": made.features,
                "files": [str(one) for one in made.files],
                "fields": made.fields,
                "notes": [str(note) for note in made.notes],
            }
        )
        return
    _say(f"{layer.label} -> {file}: {made.features:,} features 个要素")
    for beside in made.files[1:]:
        _say(f"  with 附 {beside.name}")
    for note in made.notes[:MOST_SHOWN]:
        _say(f"  note 注: {note}")
    if len(made.notes) > MOST_SHOWN:
        _say(f"  ... and {len(made.notes) - MOST_SHOWN:,} more; see --json")


def _say(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def _layer(store: Any, role: str, version: int | None, as_of: datetime | None) -> Layer:
    """The version asked for; UnknownName where there is none."""
    from layers.errors import UnknownName
    from layers.schema import role as known

    known(role)
    among = store.layers(as_of.date()) if as_of else store.layers() if version is None else store.versions(role)
    found = next((one for one in among if one.role == role and version in (None, one.version)), None)
    if found is None:
        day = f" on {as_of:%Y-%m-%d}" if as_of else f" in version {version}" if version is not None else ""
        raise UnknownName(f"this county has no layer {role!r}{day}", role=role)
    return found  # type: ignore[no-any-return]


def _ids(text: str | None) -> list[str] | None:
    if text is None:
        return None
    path = Path(text)
    if path.suffix and path.is_file():
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    return [one.strip() for one in text.split(",") if one.strip()]


def _refuse_missing(wanted: list[str] | None, have: set[str], role: str) -> None:
    missing = [one for one in wanted or () if one not in have]
    if missing:
        faults = [Fault("the layer has no such feature", "Check the id", layer=role, feature=one) for one in missing]
        raise BadInput(f"{len(missing)} of the ids are not in the layer", faults)


def _box(text: str | None) -> Bounds | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(edge) for edge in text.split(","))
    except ValueError:
        raise typer.BadParameter("give west,south,east,north", param_hint="--bounds") from None
    if not (west <= east and south <= north):
        raise typer.BadParameter("west lies east of east, or south north of north", param_hint="--bounds")
    return west, south, east, north
