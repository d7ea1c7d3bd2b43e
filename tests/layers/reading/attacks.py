"""Files that mean harm, as real as they can be made without harm: what they reach for is a canary and a listener.

Each attack names the layers of defence that stop it *alone*, with every other one taken away. test_attacks.py holds
them to it, takes each layer away in turn, and shows that with none of them the attack succeeds here and now.

| attack | magic | bounds | drivers | rlimits | fence | deadline | checks | answer |
|---|---|---|---|---|---|---|---|---|
| OGR VRT under seven names, to a file or an address | x | | x | | x | | | |
| GDALG command, to a file or an address | x | | x | | x | | | |
| VirtualOGR table in SQLite | x | | x | | x | | | |
| raster VRT named .tif | x | | x | | x | | | |
| .aux.xml and .ovr beside a .tif | | x | x | | | | | |
| WKB nested 200,000 deep | | | | | | | x | x |
| 50,000 columns | | | | x | | x | x | |
| zip of 7 M features | | x | | x | | x | x | |

What cannot be taken away stops the rest: a string is a path and nothing else (`http://`, `CSV:`, `vrt://`, `/vsicurl`),
GDAL is given a copy under a name of our own, a zip's names are never written to, a pipe or device is not read, no SQL
is taken from anybody, nothing is unpickled. XML entities are refused by magic, and GDAL's own expat bounds them too.
A coordinate that is NaN, infinite or 1e308 comes back as it is and is rejected by name at ingest
(tests/layers/test_ingest.py). Without Landlock (`fence.state`) its column is empty and the other two stand.
"""

from __future__ import annotations

import json
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import rasterio
from pyproj import CRS

from layers.sandbox.limits import Defences
from tests.layers.files import EAST, NORTH, frame, geojson, ring, squares, write

SECRET = "CANARY-7f3a"
SECRET_VALUE = 4242.0
LAYERS = tuple(field.name for field in fields(Defences))
NONE = Defences(**dict.fromkeys(LAYERS, False))


@dataclass(frozen=True)
class Prey:
    """What an attack reaches for: files that are not its own, an address that must not be asked."""

    vector: Path
    grid: Path
    url: str


@dataclass(frozen=True)
class Attack:
    """A hostile file, which layers stop it alone, and whether it is a grid."""

    name: str
    make: Callable[[Path, Prey], Path]
    stopped_by: frozenset[str]
    raster: bool = False
    layer: str | None = None

    def __str__(self) -> str:
        return self.name


def prey(folder: Path, port: int) -> Prey:
    """A vector file and a grid that hold the secret, outside whatever is uploaded."""
    folder.mkdir(parents=True, exist_ok=True)
    vector = geojson(folder / "secret.geojson", ring(), rows=[{"name": SECRET}])
    return Prey(vector, tiff(folder / "secret.tif", SECRET_VALUE), f"http://127.0.0.1:{port}/secret.geojson")


def tiff(path: Path, value: float, side: int = 4) -> Path:
    """A square grid of one value, packed."""
    values = np.full((side, side), value, dtype=np.float32 if value % 1 or value > 255 else np.uint8)
    form = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": values.dtype, "compress": "deflate"}
    transform = rasterio.transform.from_origin(EAST, NORTH, 30.0, 30.0)
    with rasterio.open(path, "w", crs="EPSG:4545", transform=transform, **form) as file:
        file.write(values, 1)
    return path


def vrt(name: str, online: bool = False) -> Callable[[Path, Prey], Path]:
    """A layer that is another file's."""

    def make(folder: Path, prey: Prey) -> Path:
        source = f"/vsicurl/{prey.url}" if online else prey.vector
        text = f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{source}</SrcDataSource>'
        (folder / name).write_text(f"{text}</OGRVRTLayer></OGRVRTDataSource>")
        return folder / name

    return make


def gdalg(name: str, online: bool = False) -> Callable[[Path, Prey], Path]:
    """A command that GDAL runs when it opens the file."""

    def make(folder: Path, prey: Prey) -> Path:
        source = f"/vsicurl/{prey.url}" if online else prey.vector
        command = f"gdal vector pipeline ! read {source} ! reproject --dst-crs=EPSG:4326"
        (folder / name).write_text(json.dumps({"type": "gdal_streamed_alg", "command_line": command}))
        return folder / name

    return make


def virtual_table(folder: Path, prey: Prey) -> Path:
    """A SQLite database one of whose layers is a virtual table that opens another file."""
    path = folder / "a.fgb"
    store = sqlite3.connect(path)
    store.executescript(
        """
        CREATE TABLE geometry_columns (f_table_name, f_geometry_column, geometry_type INTEGER,
            coord_dimension INTEGER, srid INTEGER, geometry_format);
        CREATE TABLE spatial_ref_sys (srid INTEGER UNIQUE, auth_name, auth_srid, srtext);
        INSERT INTO geometry_columns VALUES ('secret', 'GEOMETRY', 0, 2, 4326, 'SpatiaLite');
        """
    )
    store.execute("INSERT INTO spatial_ref_sys VALUES (4326, 'EPSG', 4326, ?)", (CRS(4326).to_wkt("WKT1_GDAL"),))
    store.commit()
    store.close()
    add_table(path, "secret", f"CREATE VIRTUAL TABLE secret USING VirtualOGR('{prey.vector}')")
    return path


def add_table(path: Path, name: str, sql: str, kind: str = "table") -> None:
    """Write a table or view into the schema of a database without asking SQLite whether it knows what it is."""
    store = sqlite3.connect(path)
    store.execute("PRAGMA writable_schema = ON")
    row = (kind, name, name, sql)
    store.execute("INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, 0, ?)", row)
    store.commit()
    store.close()


def raster_vrt(folder: Path, prey: Prey) -> Path:
    """A grid that is another file's."""
    text = f'<VRTDataset rasterXSize="4" rasterYSize="4"><SRS>EPSG:4545</SRS><GeoTransform>{EAST},30,0,{NORTH},0,-30'
    text += '</GeoTransform><VRTRasterBand dataType="Float32" band="1"><SimpleSource><SourceFilename relativeToVRT="0">'
    text += f"{prey.grid}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    (folder / "a.tif").write_text(text)
    return folder / "a.tif"


def nested(folder: Path, prey: Prey, depth: int = 200_000) -> Path:
    """Two squares, the second of which is a collection in a collection in a collection ..."""
    path = write(folder / "a.gpkg", frame(squares(2)), layer="ours")
    store = sqlite3.connect(path)
    for (trigger,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        store.execute(f'DROP TRIGGER "{trigger}"')
    (blob,) = store.execute("SELECT geom FROM ours WHERE fid = 2").fetchone()
    wkb = struct.pack("<BII", 1, 7, 1) * depth + struct.pack("<BIdd", 1, 1, EAST, NORTH)
    store.execute("UPDATE ours SET geom = ? WHERE fid = 2", (blob[:40] + wkb,))
    store.commit()
    store.close()
    return path


def many_columns(folder: Path, prey: Prey) -> Path:
    return geojson(folder / "a.geojson", ring(), rows=[{f"f{n}": n for n in range(50_000)}])


def many_features(folder: Path, prey: Prey, count: int = 7_000_000) -> Path:
    """A zip of less than a megabyte that holds a Shapefile of seven million empty features."""
    box = struct.pack("<8d", 0, 0, 1, 1, 0, 0, 0, 0)
    words = {".shp": 50 + 6 * count, ".shx": 50 + 4 * count}
    head = {
        end: struct.pack(">7i", 9994, 0, 0, 0, 0, 0, n) + struct.pack("<2i", 1000, 5) + box for end, n in words.items()
    }
    record = struct.pack(">2i", 1, 2) + struct.pack("<i", 0)
    entry = struct.pack(">2i", 50, 2)
    dbf = struct.pack("<4BIHH20x", 3, 126, 1, 1, count, 65, 3) + struct.pack("<11sc4xBB14x", b"n", b"C", 2, 0) + b"\r"
    many = {".shp": head[".shp"] + record * count, ".shx": head[".shx"] + entry * count, ".dbf": dbf + b" 11" * count}
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for end, content in many.items():
            archive.writestr(f"a{end}", content)
    return folder / "a.zip"


def entities(folder: Path, prey: Prey) -> Path:
    """KML that says one thing a thousand million times, and wants a file besides."""
    declared = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    text = (
        f'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY e0 "laugh"><!ENTITY s SYSTEM "file://{prey.vector}">{declared}]>'
    )
    text += '<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><name>&e9;&s;</name><Point><coordinates>'
    (folder / "a.kml").write_text(f"{text}108.66,28.11</coordinates></Point></Placemark></Document></kml>")
    return folder / "a.kml"


def moved_by_a_neighbour(folder: Path, prey: Prey) -> Path:
    """A grid beside which a file lies that puts it elsewhere, and one that is its overview from elsewhere."""
    path = tiff(folder / "a.tif", 1.0)
    place = f"<PAMDataset><GeoTransform>{SECRET_VALUE}, 30, 0, {NORTH}, 0, -30</GeoTransform></PAMDataset>"
    (folder / "a.tif.aux.xml").write_text(place)
    raster_vrt(folder, prey).rename(folder / "a.tif.ovr")
    tiff(path, 1.0)
    return path


ELSEWHERE = frozenset({"magic", "drivers", "fence"})
VECTOR_NAMES = ("a.gpkg", "a.geojson", "a.json", "a.shp", "a.kml", "a.fgb", "a.dxf")
ATTACKS = (
    *(Attack(f"VRT named {name}", vrt(name), ELSEWHERE) for name in VECTOR_NAMES),
    Attack("VRT to an address", vrt("a.geojson", online=True), ELSEWHERE),
    *(Attack(f"GDALG named {name}", gdalg(name), ELSEWHERE) for name in ("a.json", "a.gpkg")),
    Attack("GDALG to an address", gdalg("a.json", online=True), ELSEWHERE),
    Attack("VirtualOGR named a.fgb", virtual_table, ELSEWHERE, layer="secret"),
    Attack("raster VRT named a.tif", raster_vrt, ELSEWHERE, raster=True),
    Attack("a.tif moved by its neighbour", moved_by_a_neighbour, frozenset({"bounds", "drivers"}), raster=True),
    Attack("nested WKB", nested, frozenset({"checks", "answer"})),
    Attack("50,000 columns", many_columns, frozenset({"checks", "rlimits", "deadline"})),
    Attack("7 M features in a zip", many_features, frozenset({"bounds", "checks", "rlimits", "deadline"})),
)
