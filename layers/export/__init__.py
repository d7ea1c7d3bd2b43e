"""A layer as a file that somebody else opens: the format is the ending of the name.

Coordinates leave in the county's working CRS, in longitude and latitude (CGCS2000 and WGS 84 are one within a metre)
where the format asks for it, in another CRS where one is given. Every file says, in itself or in `FILE.about.json`
beside it, which version of which layer it holds, its source and vintage, that it is synthetic where it is, and its
classification; a layer of 秘密 does not leave at all. What a format cannot hold is in the notes, feature and field.
"""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from pyproj import CRS

from layers import crs as crs_
from layers import field_map
from layers.errors import BadInput, Fault, Refused
from layers.export import gdal, tables
from layers.export.boundary import boundary
from layers.export.columns import Names, only, type_name, typed
from layers.export.geoparquet import geoparquet
from layers.export.outgoing import Outgoing
from layers.export.place import making
from layers.records import Geoms, Layer
from layers.schema import role

__all__ = [
    "ENCODINGS",
    "FORMATS",
    "Exported",
    "Format",
    "export",
    "format_of",
    "read_field_map",
    "refuse_at_once",
    "restored",
]

ENCODINGS = {"gb18030": "GB18030", "gbk": "GBK", "utf-8": "UTF-8"}
LEAVES = {"公开", "内部"}
IDS_OF_KML = ("description", "timestamp", "begin", "end", "altitudeMode", "tessellate", "extrude", "visibility",
              "drawOrder", "icon", "fid")  # fmt: skip

AS_THEY_ARE = Names()


@dataclass(frozen=True)
class Exported:
    """What was written, the main file first, and what the format lost or the reader has to know."""

    files: tuple[Path, ...]
    notes: tuple[Fault, ...]
    fields: dict[str, str]
    features: int


@dataclass(frozen=True)
class Format:
    """One kind of file. `lonlat`: it can only be in longitude and latitude. `encoding`: the default where one may be
    chosen. `inside`: it has a place of its own for what is said about the layer. `parts`: endings beside the main one.
    `zips`: what is packed. `is_table`: no geometry. `maps`: fields with other names are worth a map.
    """

    title: str
    write: Callable[[Path, Outgoing], None]
    names: Names = AS_THEY_ARE
    lonlat: bool = False
    encoding: str | None = None
    inside: bool = False
    parts: tuple[str, ...] = ()
    zips: str | None = None
    is_table: bool = False
    maps: bool = True


_SHAPEFILE = Names(most=10, plain=True)
_DATABASE = Names(most=64, plain=True, taken=frozenset({"OBJECTID", "FID", "SHAPE", "SHAPE_Length", "SHAPE_Area"}))
_GEOPACKAGE = Names(taken=frozenset({"fid", "geom", "geometry"}))
_OTHER = Names(taken=frozenset({"geometry"}))
FORMATS: dict[str, Format] = {
    ".gpkg": Format("GeoPackage", gdal.geopackage, _GEOPACKAGE, inside=True),
    ".shp": Format("Shapefile, GB18030", gdal.shapefile, _SHAPEFILE, encoding="GB18030",
                   parts=(".shx", ".dbf", ".prj", ".cpg", ".fields.csv")),
    ".shp.zip": Format("Shapefile in a zip", gdal.shapefile, _SHAPEFILE, encoding="GB18030", zips=".shp"),
    ".zip": Format("Shapefile in a zip", gdal.shapefile, _SHAPEFILE, encoding="GB18030", zips=".shp"),
    ".gdb": Format("FileGDB, a folder", gdal.filegdb, _DATABASE),
    ".gdb.zip": Format("FileGDB in a zip", gdal.filegdb, _DATABASE, zips=".gdb"),
    ".parquet": Format("GeoParquet", geoparquet, _OTHER, inside=True),
    ".fgb": Format("FlatGeobuf", gdal.flatgeobuf, _OTHER),
    ".geojson": Format("GeoJSON (RFC 7946)", gdal.geojson, _OTHER, lonlat=True),
    ".kml": Format("KML", gdal.kml, Names(plain=True, taken=frozenset(IDS_OF_KML)), lonlat=True),
    ".dxf": Format("DXF, geometry only", gdal.dxf, maps=False),
    ".xlsx": Format("Excel table", tables.xlsx, inside=True, is_table=True),
    ".txt": Format("国土 TXT boundary text, GBK", boundary, encoding="GBK", maps=False),
    ".csv": Format("CSV table, UTF-8 with BOM", tables.csv_, encoding="UTF-8", is_table=True),
}  # fmt: skip


def export(
    frame: gpd.GeoDataFrame,
    layer: Layer,
    path: Path,
    *,
    crs: str | None = None,
    encoding: str | None = None,
    fields: Sequence[str] | None = None,
    with_wkt: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Exported:
    """Write features of a layer as a file that others open.

    Parameters
    ----------
    frame : features in the county's working CRS, as `store.frame` gives them
    layer : the catalogue row they are of
    path : where to; its ending is the format, one of `FORMATS`
    crs : instead of the working CRS, for example EPSG:4490; GeoJSON and KML are always in longitude and latitude
    encoding : GB18030, GBK or UTF-8, for Shapefile, CSV and boundary TXT
    fields : which columns, in this order; `synthetic` goes along where the layer is
    with_wkt : XLSX and CSV get a column with the geometry
    progress : is told how many features are written

    Raises Refused for a layer that may not leave, BadInput (with every fault) for what the format cannot be asked.
    """
    suffix, form = format_of(path)
    refuse_at_once(layer)
    wanted = role(layer.role)
    spoken = _encoding(encoding, form, path)
    table = typed(_attributes(frame, layer, fields, path), wanted)
    geometries: Geoms = np.asarray(frame.geometry.values, dtype=object)
    out_crs, moved = _moved(frame.crs, geometries, table, crs, form, path)
    stem = path.name[: -len(suffix)]
    out = Outgoing(
        stem if form.zips or suffix == ".shp" else layer.role,
        layer,
        wanted,
        table,
        moved,
        out_crs,
        form.names.of(table.column_names, spoken),
        spoken,
        with_wkt=with_wkt,
        types={name: type_name(table[name]) for name in table.column_names},
    )
    if progress is not None:
        out.progress = progress
    if form.is_table:
        tables.measured(out, geometries)
    _say_first(out)
    parts = [path, *(path.with_name(stem + part) for part in form.parts)]
    parts += [] if form.inside else [path.with_name(f"{path.name}.about.json")]
    with making(path, parts, overwrite) as folder:
        _make(folder, path.name, stem, form, out)
        names = sorted((one.name for one in folder.iterdir()), key=lambda name: (name != path.name, name))
    return Exported(tuple(path.with_name(name) for name in names), tuple(out.notes), out.names, len(geometries))


def format_of(path: Path) -> tuple[str, Format]:
    """The ending of a name and its format; BadInput names them all."""
    name = path.name.lower()
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix) and len(name) > len(suffix):
            return path.name[-len(suffix) :], FORMATS[suffix]
    known = ", ".join(f"{suffix} ({form.title})" for suffix, form in FORMATS.items())
    raise BadInput(f"{path.name} says no format", [Fault("its ending is not known", f"Use one of {known}")])


def _make(folder: Path, name: str, stem: str, form: Format, out: Outgoing) -> None:
    """The file, its field map where names differ, and `FILE.about.json` where the file has no place for it."""
    inner = folder / "inner" if form.zips else folder
    inner.mkdir(exist_ok=True)
    main = inner / (f"{stem}{form.zips}" if form.zips else name)
    form.write(main, out)
    if main.suffix.lower() == ".shp" or (out.renamed and form.maps):
        (inner / f"{stem}.fields.csv").write_bytes(field_map.written(out.names, out.types))
        said = ", ".join(f"{ours} -> {theirs}" for ours, theirs in out.renamed.items())
        if said:
            out.note(f"fields have other names here: {said}", f"{stem}.fields.csv says which is which")
    if form.zips:
        gdal.zipped(inner, folder / name)
        shutil.rmtree(inner)
    if not form.inside:
        about = json.dumps(out.about() | {"fields": out.names}, ensure_ascii=False, indent=1)
        (folder / f"{name}.about.json").write_text(about, encoding="utf-8")


def refuse_at_once(layer: Layer) -> None:
    """Raise for what no format can help: Refused for a layer that may not leave, BadInput for a grid."""
    if layer.classification not in LEAVES:
        raise Refused(
            f"the layer {layer.role} is {layer.classification} and is not exported",
            role=layer.role,
            classification=layer.classification,
        )
    wanted = role(layer.role)
    if wanted.is_raster:
        raise BadInput(
            f"the layer {layer.role} is a grid and has no features",
            [Fault(f"{wanted.zh} has cells", "Open the county file itself in QGIS; the grid is in it")],
        )


def _encoding(said: str | None, form: Format, path: Path) -> str:
    if said is None:
        return form.encoding or "UTF-8"
    try:
        known = ENCODINGS.get(codecs.lookup(said).name)
    except LookupError:
        known = None
    if known is None:
        fix = f"Use one of {', '.join(ENCODINGS.values())}"
        raise BadInput(f"{said!r} is not an encoding for export", [Fault("it is not one we write", fix)])
    if form.encoding is None and known != "UTF-8":
        raise BadInput(
            f"{path.name} is always in UTF-8",
            [Fault(f"{form.title} has no other encoding", "Leave the encoding out, or use .shp, .csv or .txt")],
        )
    return known


def _attributes(frame: gpd.GeoDataFrame, layer: Layer, fields: Sequence[str] | None, path: Path) -> pd.DataFrame:
    table = pd.DataFrame(frame.drop(columns=frame.geometry.name)).reset_index(drop=True)
    if layer.synthetic and "synthetic" not in table:
        table["synthetic"] = True
    chosen = only(map(str, table.columns), fields, path.name)
    if layer.synthetic and "synthetic" not in chosen:
        chosen.append("synthetic")
    return table[chosen]


def _moved(
    source: CRS | None, geometries: Geoms, table: pa.Table, said: str | None, form: Format, path: Path
) -> tuple[CRS, Geoms]:
    """The geometries in the CRS they leave in; BadInput where one has no place there."""
    if source is None:
        raise BadInput("the frame has no CRS", [Fault("its coordinates cannot be placed", "Set the working CRS")])
    target = source if said is None else crs_.parse(said)
    if form.lonlat:
        lonlat = crs_.parse_cached(crs_.LONLAT)
        if said is not None and not crs_.same_code(target, lonlat) and not crs_.same_code(target, CRS.from_epsg(4326)):
            fix = "Leave the CRS out, or use .gpkg or .fgb"
            raise BadInput(f"{path.name} is always in longitude and latitude", [Fault(f"not in {target.name}", fix)])
        target = lonlat
    crs_.refuse_shiftless(target)
    moved = crs_.transform(geometries, source, target)
    nowhere = shapely.is_missing(moved) | shapely.is_empty(moved) | ~np.isfinite(shapely.bounds(moved)).all(axis=1)
    if nowhere.any():
        ids = table["id"].to_pylist() if "id" in table.column_names else [str(n + 1) for n in range(len(moved))]
        fix = "Correct the geometry, or choose another CRS"
        reason = f"it has no place in {target.name}"
        faults = [Fault(reason, fix, feature=str(ids[row])) for row in np.flatnonzero(nowhere)]
        raise BadInput(f"{path.name} cannot be written", faults)
    return target, moved


def _say_first(out: Outgoing) -> None:
    if out.layer.classification == "内部":
        out.note("内部使用 internal use only", "Hand it on within the administration only")
    if out.layer.synthetic:
        out.note("合成数据 synthetic data, not a survey", "Say so wherever it is shown")
