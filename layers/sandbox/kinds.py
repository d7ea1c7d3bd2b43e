"""What a file is, by its own bytes. The content decides; its name only must not say otherwise.

GDAL left to itself tries a hundred drivers on whatever it is given, and some of them only follow a path or an
address written in the file: such files are refused here by name, before GDAL is loaded.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

from layers.errors import BadInput, Fault

HEAD = 65_536
USE = "Use GeoPackage, Shapefile, GeoJSON or FlatGeobuf"
USE_GRID = "Use a GeoTIFF with one band"


@dataclass(frozen=True)
class Kind:
    """One format: its name, GDAL's driver for it ("" where GDAL is not asked), the endings and side files it has."""

    name: str
    driver: str
    suffixes: tuple[str, ...]
    sidecars: tuple[str, ...] = ()
    is_text: bool = False  # read by a module of layers.formats


GPKG = Kind("GeoPackage", "GPKG", (".gpkg",), (".gpkg-wal",))
SHP = Kind("Shapefile", "ESRI Shapefile", (".shp",), (".shx", ".dbf", ".prj", ".cpg"))
GEOJSON = Kind("GeoJSON", "GeoJSON", (".geojson", ".json"))
FGB = Kind("FlatGeobuf", "FlatGeobuf", (".fgb",))
GDB = Kind("FileGDB", "OpenFileGDB", (".gdb",))
KML = Kind("KML", "LIBKML", (".kml",))
DXF = Kind("DXF", "DXF", (".dxf",))
TAB = Kind("MapInfo TAB", "MapInfo File", (".tab",), (".dat", ".map", ".id", ".ind", ".dbf"))
MIF = Kind("MapInfo MIF", "MapInfo File", (".mif",), (".mid",))
PARQUET = Kind("GeoParquet", "", (".parquet", ".geoparquet"))
PBF = Kind("OSM PBF", "OSM", (".pbf",))
BOUNDARY_TXT = Kind("boundary TXT", "", (".txt",), is_text=True)
MOJ_XML = Kind("MOJ registry map", "", (".xml",), is_text=True)
TIFF = Kind("GeoTIFF", "GTiff", (".tif", ".tiff"))
KINDS = (GPKG, SHP, GEOJSON, FGB, GDB, KML, DXF, TAB, MIF, PARQUET, PBF, BOUNDARY_TXT, MOJ_XML, TIFF)
BY_SUFFIX = {suffix: kind for kind in KINDS for suffix in kind.suffixes}
SIDECARS = {kind.suffixes[0]: kind.sidecars for kind in KINDS if kind.sidecars}

SQLITE = b"SQLite format 3\0"
ZIP = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
GPKG_IDS = (b"GPKG", b"GP10", b"GP11")
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JSON_TYPE = re.compile(
    rb'"type"\s*:\s*"(FeatureCollection|Feature|(Multi)?(Point|LineString|Polygon)|GeometryCollection)"'
)
DXF_START = re.compile(rb"\s*(999\s*\r?\n[^\n]*\n\s*)*0\s*\r?\n\s*SECTION\b")
MIF_START = re.compile(rb"\s*version\s+\d+\s", re.IGNORECASE)
TAB_TYPE = re.compile(rb"\btype\s+(native|dbf)\b", re.IGNORECASE)
MOJ_ROOT = re.compile(rb"<(\w+:)?" + "地図".encode() + rb"[\s>]|moj\.go\.jp/MINJI/tizuxml")
TXT_WORDS = tuple(
    word.encode(encoding)
    for word in ("地块坐标", "属性描述")
    for encoding in ("utf-8", "gbk", "utf-16-le", "utf-16-be")
)
KNOWN_STRANGERS = (
    (re.compile(rb"AC10\d\d"), "it is an AutoCAD DWG drawing", "Save it as DXF, or export a Shapefile"),
    (re.compile(rb"Rar!"), "it is a RAR archive", "Pack it as zip"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "it is a 7z archive", "Pack it as zip"),
    (re.compile(rb"%PDF"), "it is a PDF", USE),
    (re.compile(rb"AutoCAD Binary DXF"), "it is a binary DXF", "Save it as a text DXF"),
    (re.compile(rb"\x1f\x8b"), "it is packed with gzip", "Unpack it, or pack it as zip"),
    (re.compile(rb"\xd0\xcf\x11\xe0"), "it is an old Office document", USE),
)
# Files that hold no data but say where GDAL should fetch some.
POINTERS = (
    (b"<OGRVRT", "a GDAL virtual layer (VRT)"),
    (b"<VRTDataset", "a GDAL virtual raster (VRT)"),
    (b"gdal_streamed_alg", "a GDAL command (gdal_streamed_alg)"),
    (b"<GDAL_WMS", "the address of a map service"),
    (b"<OGRWFSDataSource", "the address of a map service"),
    (b"<PAMDataset", "GDAL's notes on another file"),
)
ENTITIES = (b"<!DOCTYPE", b"<!ENTITY")


def sniff(head: bytes) -> Kind | None:
    """The kind whose mark the first bytes of a file bear; None for none. A zip bears none."""
    if head.startswith(SQLITE):
        return GPKG if head[68:72] in GPKG_IDS else None
    if head.startswith(b"\0\0\x27\x0a") and head[28:32] == b"\xe8\3\0\0":
        return SHP
    for mark, kind in ((b"fgb\3fgb", FGB), (b"PAR1", PARQUET), *((mark, TIFF) for mark in TIFFS)):
        if head.startswith(mark):
            return kind
    if head[4:6] == b"\x0a\x09" and head[6:15] == b"OSMHeader":
        return PBF
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return GEOJSON if JSON_TYPE.search(text) else None
    if text.startswith(b"<"):
        return KML if re.search(rb"<(\w+:)?kml[\s>]", text) else MOJ_XML if MOJ_ROOT.search(text) else None
    if text[:6].lower() == b"!table":
        return TAB
    for start, kind in ((DXF_START, DXF), (MIF_START, MIF)):
        if start.match(text):
            return kind
    return BOUNDARY_TXT if any(word in head for word in TXT_WORDS) else None


def recognise(path: Path, suffix: str, name: str) -> Kind:
    """The kind of a file or folder; BadInput where it is none of ours, points elsewhere, or is misnamed.

    path : where it lies here; suffix : the ending its sender gave it; name : how its sender knows it
    """
    if path.is_dir():
        if any(path.glob("a00000001.gdbtable")):
            return GDB
        raise unreadable(name, "it is a folder and no FileGDB")
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(ZIP):
        raise unreadable(name, "it is a zip where none may be, or an Office document")
    _refuse_pointers(path, head, name)
    claimed = BY_SUFFIX.get(suffix)
    found = sniff(head)
    if found is None and claimed is GEOJSON and head.lstrip()[:1] == b"{" and _within(path, JSON_TYPE):
        found = GEOJSON
    if found is None and claimed is BOUNDARY_TXT and b"\0" not in head:
        found = BOUNDARY_TXT  # its reader knows best what it misses
    if found is None:
        stranger = next(((what, fix) for mark, what, fix in KNOWN_STRANGERS if mark.match(head)), None)
        if head.startswith(SQLITE):
            stranger = ("it is an SQLite database and no GeoPackage", USE)
        should = f"a {claimed.name}" if claimed else "a file of a known format"
        raise unreadable(name, *(stranger or (f"its content is not that of {should}",)))
    if claimed not in (None, found):
        raise unreadable(
            name, f"its name says {suffix}, its content is {found.name}", f"Give it the ending {found.suffixes[0]}"
        )
    if found is TAB and not TAB_TYPE.search(head):
        raise unreadable(name, "it is a MapInfo table that is made of others", "Export the table itself as MIF or TAB")
    return found


def unreadable(name: str, reason: str, fix: str = USE) -> BadInput:
    """The refusal of one file, in the one form all readers use."""
    return BadInput(f"{name} cannot be read", [Fault(reason, fix, file=name)])


def _refuse_pointers(path: Path, head: bytes, name: str) -> None:
    for mark, what in POINTERS:
        if mark in head:
            raise unreadable(name, f"it is {what}, which holds no data itself", "Send the data it points to")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<") and any(_within(path, re.compile(re.escape(mark))) for mark in ENTITIES):
        raise unreadable(name, "it declares XML entities", "Export it without a DOCTYPE")


def _within(path: Path, mark: re.Pattern[bytes]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return mark.search(content) is not None


def refuse_strange_schema(path: Path, name: str) -> None:
    """Raise for a GeoPackage whose schema makes SQLite or GDAL reach for anything but its own tables.

    Virtual tables other than the R-tree can name files (VirtualOGR, VirtualShape); a view may call GDAL's functions
    (`ogr_geocode` asks the network). A view passes if plain SQLite, which lacks those functions, can prepare it.
    Triggers run only when somebody writes, and nobody does.
    """
    import sqlite3

    try:
        store = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            store.execute("PRAGMA trusted_schema = OFF")
            tables = "SELECT name, type, coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'view')"
            for table, kind, sql in store.execute(tables).fetchall():
                virtual = re.match(r"\s*CREATE\s+VIRTUAL\s+TABLE\b", sql, re.IGNORECASE)
                if virtual and not re.search(r"\bUSING\s+[\"'`\[]?rtree[\"'`\]]?\s*\(", sql, re.IGNORECASE):
                    raise unreadable(name, f"its table {table!r} is virtual: it stands for something elsewhere")
                if kind == "view":
                    _prepare(store, table, name)
        finally:
            store.close()
    except sqlite3.Error as error:
        raise unreadable(name, str(error)) from error


def _prepare(store: object, view: str, name: str) -> None:
    import sqlite3

    quoted = view.replace('"', '""')
    try:
        store.execute(f'EXPLAIN SELECT * FROM "{quoted}"').close()  # type: ignore[attr-defined]
    except sqlite3.Error as error:
        raise unreadable(name, f"its view {view!r} does more than look at its tables ({error})") from error
