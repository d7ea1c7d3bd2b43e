"""The formats that GDAL writes, each with what it asks and what it loses."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FieldError

from layers.errors import BadInput, Fault
from layers.export.columns import cut, free_name, texts, where
from layers.export.outgoing import GEOMETRY, Outgoing
from layers.records import Geoms

SINGLE = {0: "Point", 1: "LineString", 2: "Polygon"}
LETTERS_MOST = 254  # bytes in one text field of a .dbf
DIGITS_MOST = 10**18  # past it a .dbf says a whole number as a rounded one
NOT_XML = r"[\x{0}-\x{8}\x{B}\x{C}\x{E}-\x{1F}\x{FFFE}\x{FFFF}]"  # however it is escaped
UNESCAPED = "[<>&\"'\t\r\n]"  # GDAL writes a Placemark's id as it is
EXACT_MOST = 2**53  # past it a double has no room for every whole number


def geopackage(place: Path, out: Outgoing) -> None:
    about = out.about_text()
    _write(
        place,
        out,
        "GPKG",
        one_type=True,
        dataset_options={"VERSION": "1.3"},
        layer_options={"IDENTIFIER": about["title"], "DESCRIPTION": about.get("handling", "")},
        layer_metadata=about,
    )


def flatgeobuf(place: Path, out: Outgoing) -> None:
    out.note("FlatGeobuf puts features in spatial order", "Go by the id, not by the row")
    _write(place, out, "FlatGeobuf", one_type=True, layer_options={"TITLE": out.about()["title"]})


def geojson(place: Path, out: Outgoing) -> None:
    """RFC 7946: lon/lat, outer rings counter-clockwise, nine decimals (a tenth of a millimetre)."""
    _no_features(out, "GeoJSON")
    _finite(out)
    _write(place, out, "GeoJSON", layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "9"})


def kml(place: Path, out: Outgoing) -> None:
    """Attributes as ExtendedData, the id as the Placemark's; numbers with 15 digits."""
    _no_features(out, "KML")
    keep = "KML is XML; use .gpkg to keep it"
    out.rewrite(NOT_XML, "\ufffd", "a control character is written as U+FFFD", keep)
    out.rewrite(r"\]\]>", "]] >", "]]> is written as ]] >", keep)  # GDAL's CDATA would end there
    _finite(out)
    if "id" in out.names:
        _say_the_id(out)
    for name in _of_type(out, pa.types.is_date):
        out.change(name, out.table[name].cast(pa.string()))  # GDAL would write 2024/01/31
    _one_and_zero(out, "KML")  # older programs read `true` as 0
    _say_extra(out, "date", "is text in KML", pa.types.is_temporal)
    if any(pa.types.is_int64(column.type) for column in out.table.columns):
        out.note("KML has no type for 64-bit whole numbers; they are text", "Use .gpkg to keep the type")
    _write(place, out, "LIBKML")


def _say_the_id(out: Outgoing) -> None:
    """The id among the data, too: not every program shows a Placemark's own, and that one is written as it is."""
    copy = free_name("feature_id", [*out.table.column_names, *out.names.values()])
    ids = out.table["id"]
    if where(ids, lambda one: pc.match_substring_regex(one, UNESCAPED)).any():
        out.names["id"] = copy
        out.note("an id has a character that a Placemark's id cannot hold", f"The ids are in {copy}", field="id")
    else:
        out.table, out.names[copy] = out.table.append_column(copy, ids), copy
        out.note(f"the id is the Placemark's and stands in {copy}, too", "An import needs one of them")


def dxf(place: Path, out: Outgoing) -> None:
    """Areas as hatches with their holes, lines and points as such, on a CAD layer named after the role."""
    out.note("DXF keeps the geometry only; attributes and ids stay behind", "Export .xlsx beside it for the table")
    if (shapely.get_num_geometries(out.geometries) > 1).any():
        out.note("features of several parts become one entity per part", "Use .gpkg or .shp to keep them whole")
    if 2 in out.kinds:
        out.note("areas are HATCH entities", "Where closed polylines are wanted, let the CAD program draw boundaries")
    code = ":".join(out.crs.to_authority() or ()) or out.crs.name
    out.note(
        f"DXF cannot say its CRS, which is {out.crs.name} ({code})",
        f"{place.name}.about.json says it; import with --crs",
    )
    layer = np.full(len(out.geometries), out.layer.role, dtype=object)
    with _told(out):
        pyogrio.raw.write(
            str(place), shapely.to_wkb(out.geometries), [layer], np.array(["Layer"], dtype=object), layer="entities",
            driver="DXF", geometry_type="Unknown", crs=out.crs.to_wkt(),
        )  # fmt: skip
    out.progress(len(out.geometries))


def shapefile(place: Path, out: Outgoing) -> None:
    """.shp with .shx, .dbf, .prj and .cpg; names of at most 10 bytes, texts of at most 254."""
    _one_kind(out, "A Shapefile")
    out.spoken()
    _one_and_zero(out, "a Shapefile")  # older programs read the type for it as the letters T and F
    _finite(out)
    for name in _of_type(out, pa.types.is_timestamp):
        out.note("a Shapefile has no time of day; it is text", "Use .gpkg to keep the type", field=name)
        seconds = pc.floor_temporal(out.table[name], unit="second").cast(pa.timestamp("s"))
        out.change(name, pc.strftime(seconds, format="%Y-%m-%dT%H:%M:%S"))
    _long_numbers(out, DIGITS_MOST)
    for name in texts(out.table):
        _shorten(out, name)
    _write(place, out, "ESRI Shapefile", one_type=True, of_none="MultiPolygon", encoding=out.encoding)
    cpg = place.with_suffix(".cpg")
    cpg.write_text(out.encoding, encoding="ascii")


def filegdb(place: Path, out: Outgoing) -> None:
    """An ESRI file geodatabase that ArcGIS 10 and later open; `OBJECTID` and `SHAPE` are its own."""
    _one_kind(out, "A FileGDB feature class")
    _long_numbers(out, EXACT_MOST)
    _one_and_zero(out, "a FileGDB")
    for name, column in zip(out.table.column_names, out.table.columns, strict=True):
        if pa.types.is_integer(column.type) and _small(column):
            out.change(name, column.cast(pa.int32()))
        elif pa.types.is_integer(column.type):
            out.change(name, column.cast(pa.float64()))
        elif pa.types.is_date(column.type):
            out.change(name, column.cast(pa.timestamp("ms")))
    _write(place, out, "OpenFileGDB", one_type=True, of_none="MultiPolygon")


def zipped(folder: Path, place: Path) -> None:
    """Everything in the folder as one zip."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())


# --- writing --------------------------------------------------------------------------------------


def _write(
    place: Path, out: Outgoing, driver: str, *, one_type: bool = False, of_none: str = "Unknown", **options: Any
) -> None:
    """All features through GDAL's Arrow writer; what it warns of becomes a note, an own error passes through.

    `of_none` is the geometry type of an empty layer whose role takes any.
    """
    kind, geometries = _shape(out, of_none) if one_type else ("Unknown", out.geometries)
    failed: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from out.batches(geometries)
        except BaseException as error:  # GDAL would only say that the stream ended
            failed.append(error)
            raise

    stream = pa.RecordBatchReader.from_batches(out.schema(), batches())
    try:
        with _told(out):
            pyogrio.write_arrow(
                stream, str(place), layer=out.name, driver=driver, geometry_name=GEOMETRY,
                geometry_type=kind, crs=out.crs.to_wkt(), **options,
            )  # fmt: skip
    except (DataSourceError, DataLayerError, FieldError, RuntimeError) as error:
        if failed:
            raise failed[0] from None
        fix = "Choose another folder or format"
        raise BadInput(f"{place.name} cannot be written", [Fault(str(error)[:300].rstrip("."), fix)]) from error


class _told:  # noqa: N801
    """What GDAL warns of while it writes, as notes: a loss is said, never swallowed."""

    def __init__(self, out: Outgoing) -> None:
        self.out = out
        self.heard = warnings.catch_warnings(record=True)

    def __enter__(self) -> None:
        self.said = self.heard.__enter__()
        warnings.simplefilter("always")

    def __exit__(self, *error: Any) -> None:
        self.heard.__exit__(*error)
        for one in self.said or ():
            self.out.note(f"GDAL says: {str(one.message)[:300].rstrip('.')}", "Compare the file with the layer")


def _promoted(geometries: Geoms) -> Geoms:
    """Every feature as a multi-geometry, because a layer of a database has one type."""
    many = geometries.copy()
    for type_id, make in {0: shapely.multipoints, 1: shapely.multilinestrings, 3: shapely.multipolygons}.items():
        rows = np.flatnonzero(shapely.get_type_id(geometries) == type_id)
        if len(rows):
            many[rows] = make(geometries[rows], indices=np.arange(len(rows)))
    return many


def _shape(out: Outgoing, of_none: str) -> tuple[str, Geoms]:
    """A geometry type that all features have, and the features in it: multi, but for points that all stand alone."""
    if len(out.kinds) != 1:
        return "Unknown" if out.kinds else of_none, out.geometries
    (dimension,) = out.kinds
    if dimension == 0 and (shapely.get_type_id(out.geometries) == 0).all():
        return "Point", out.geometries
    return f"Multi{SINGLE[dimension]}", _promoted(out.geometries)


def _one_kind(out: Outgoing, what: str) -> None:
    if len(out.kinds) > 1:
        held = "、".join({0: "点 points", 1: "线 lines", 2: "面 areas"}[kind] for kind in sorted(out.kinds))
        reason = f"{what} holds one kind of geometry; this layer has {held}"
        raise BadInput(
            f"{out.layer.role} does not fit one {what.split(' ', 1)[1]}",
            [Fault(reason, "Use .gpkg or .geojson, or export each kind by --ids", layer=out.layer.role)],
        )


def _no_features(out: Outgoing, what: str) -> None:
    if len(out.geometries) == 0:
        out.note(f"an empty {what} file cannot say which fields it has", "Use .gpkg to keep them")


# --- what a format cannot hold --------------------------------------------------------------------


def _of_type(out: Outgoing, test: Any) -> list[str]:
    return [name for name in out.table.column_names if test(out.table[name].type)]


def _say_extra(out: Outgoing, what: str, becomes: str, test: Any) -> None:
    """Note the columns that our role does not know and whose type an import therefore cannot restore."""
    ours = {column.name for column in out.role.columns}
    for name in _of_type(out, test):
        if name not in ours:
            out.note(f"the {what} {becomes}", "Use .gpkg to keep the type", field=name)


def _one_and_zero(out: Outgoing, what: str) -> None:
    _say_extra(out, "boolean", f"comes back from {what} as 1 and 0", pa.types.is_boolean)
    for name in _of_type(out, pa.types.is_boolean):
        out.change(name, out.table[name].cast(pa.int32()))


def _finite(out: Outgoing) -> None:
    for name in _of_type(out, pa.types.is_floating):
        wild = where(out.table[name], pc.is_inf)
        if wild.any():
            out.note_rows(name, np.flatnonzero(wild), "it is infinite; written as null", "Use .gpkg to keep it")
            out.change(name, pc.if_else(pa.array(wild), None, out.table[name]))


def _long_numbers(out: Outgoing, most: int) -> None:
    """Whole numbers past what the format keeps exactly, as text."""
    for name in _of_type(out, pa.types.is_integer):
        column = out.table[name]
        if where(column, lambda one: pc.or_(pc.greater_equal(one, most), pc.less_equal(one, -most))).any():
            out.note(f"it has whole numbers of {len(str(most)) - 1} digits and more; written as text",
                     "Use .gpkg to keep the type", field=name)  # fmt: skip
            out.change(name, column.cast(pa.string()))


def _small(column: pa.ChunkedArray) -> bool:
    ends = pc.min_max(column).as_py()
    return ends["min"] is None or (ends["min"] > -(2**31) and ends["max"] < 2**31)


def _shorten(out: Outgoing, name: str) -> None:
    """Cut what a .dbf cannot hold at a whole character, and say of which feature."""
    said = out.table[name].to_pylist()
    sizes = np.array([0 if one is None else len(one.encode(out.encoding, "replace")) for one in said])
    long = np.flatnonzero(sizes > LETTERS_MOST)
    for row in long:
        said[row] = cut(said[row], LETTERS_MOST, out.encoding)
    if len(long):
        fix = f"It was cut at a whole character to {LETTERS_MOST} bytes; use .gpkg to keep all of it"
        out.note_rows(name, long, f"the text is longer than {LETTERS_MOST} bytes in {out.encoding}", fix)
        out.change(name, pa.array(said, type=pa.string()))
