"""GeoPackage's own tables: a layer written by GDAL, moved between files by SQLite, and read back through plain SQL."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import rasterio
import shapely
from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from layers.ingest import Prepared, unwrapped
from layers.records import Bools, Geoms, Layer, Raster
from layers.schema import role
from layers.snapshot import as_wkb

# Where GeoPackage names the table a row speaks of.
METADATA = {
    "gpkg_contents": "table_name",
    "gpkg_geometry_columns": "table_name",
    "gpkg_ogr_contents": "table_name",
    "gpkg_tile_matrix_set": "table_name",
    "gpkg_tile_matrix": "table_name",
    "gpkg_2d_gridded_coverage_ancillary": "tile_matrix_set_name",
    "gpkg_2d_gridded_tile_ancillary": "tpudt_name",
}
GPKG = {"VERSION": "1.3"}
MULTI = {"point": ("MultiPoint", 4), "line": ("MultiLineString", 5), "polygon": ("MultiPolygon", 6)}
PLAIN = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "float",
    "double",
    "string",
    "large_string",
)
NO_VALUE = -9999.0


def write_features(place: Path, table: str, prepared: Prepared, crs: CRS) -> None:
    """The features in a file of their own, through Arrow: GDAL takes whole columns, and the WKB that is at hand."""
    wanted = role(prepared.layer.role)
    wkb = as_wkb(prepared.geometries) if prepared.wkb is None else prepared.wkb
    kind, number = MULTI.get(wanted.geometry, ("Unknown", None))
    if number is not None:
        wkb = _promoted(wkb, shapely.get_type_id(prepared.geometries) < number, number)
    flags = _flags(wanted.name, prepared.features)
    columns = {str(name): _column(prepared.features[name], name in flags) for name in prepared.features}
    pyogrio.write_arrow(
        pa.table({**columns, "geom": wkb}),
        place,
        layer=table,
        driver="GPKG",
        geometry_name="geom",
        geometry_type=kind,
        crs=crs.to_wkt(),
        dataset_options=GPKG,
    )


def _promoted(wkb: pa.LargeBinaryArray, single: Bools, number: int) -> pa.LargeBinaryArray:
    """WKB in which what is single stands as a multi-geometry of one: the number of its kind and the count go before."""
    head, glue = (pa.scalar(text, pa.large_binary()) for text in (struct.pack("<BII", 1, number, 1), b""))
    return pc.if_else(pa.array(single), pc.binary_join_element_wise(head, wkb, glue), wkb)


def _column(values: pd.Series, is_flag: bool) -> pa.Array:
    """A column as GDAL can keep it; what it has no type for is kept as text."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        array = pa.nulls(0, pa.binary())  # no one type
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.bool_() if is_flag else pa.string())
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else array
    if str(kind) in PLAIN:
        return array
    return pa.array(values.map(str, na_action="ignore").astype(object), pa.string(), from_pandas=True)


def _flags(role_name: str, features: pd.DataFrame) -> list[str]:
    return [one.name for one in role(role_name).columns if one.type == "boolean" and one.name in features]


def write_grid(place: Path, table: str, raster: Raster, crs: CRS) -> None:
    rows, columns = raster.values.shape
    side = _tile_side(max(rows, columns))
    with rasterio.open(
        place,
        "w",
        driver="GPKG",
        width=columns,
        height=rows,
        count=1,
        dtype="float32",
        crs=crs.to_wkt(),
        transform=rasterio.transform.from_origin(raster.west, raster.north, raster.cell_m, raster.cell_m),
        RASTER_TABLE=table,
        nodata=NO_VALUE,
        BLOCKSIZE=side,
        TILE_FORMAT="TIFF",
        VERSION="1.3",
    ) as file:
        file.write(np.where(np.isnan(raster.values), np.float32(NO_VALUE), raster.values), 1)


def _tile_side(cells: int) -> int:
    """A tile size with which GDAL stores the whole grid: it rounds down where it halves, and drops what is left over.

    >>> _tile_side(512), _tile_side(513)
    (256, 272)
    """
    for side in range(256, 4096, 16):
        tiles = 1
        while cells // tiles > side:
            tiles *= 2
        if tiles * side >= cells:
            break
    return side


def adopt(db: apsw.Connection, table: str, identifier: str) -> None:
    """Move the table of the attached `staging` file, with its index and its metadata, into the county."""
    staged = {
        (kind, name): (of, sql)
        for kind, name, of, sql in db.execute("SELECT type, name, tbl_name, sql FROM staging.sqlite_master")
    }
    here = {name for (name,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")}
    for (kind, name), (_, sql) in staged.items():
        if kind == "table" and name.startswith("gpkg_") and name not in here:
            db.execute(sql)
    db.execute(staged["table", table][1])
    db.execute(f'INSERT INTO main."{table}" SELECT * FROM staging."{table}"')
    rtree = f"rtree_{table}_geom"
    if ("table", rtree) in staged:
        db.execute(staged["table", rtree][1])
        for part in ("node", "parent", "rowid"):  # the tree as GDAL packed it; row by row SQLite would grow it anew
            db.execute(f'DELETE FROM main."{rtree}_{part}"')
            db.execute(f'INSERT INTO main."{rtree}_{part}" SELECT * FROM staging."{rtree}_{part}"')
    for (kind, _), (of, sql) in staged.items():
        if kind == "trigger" and of == table:
            db.execute(sql)
    for name, key in METADATA.items():
        if ("table", name) in staged:
            copy_rows(db, name, f'"{key}" = ?', (table,))
    copy_rows(db, "gpkg_spatial_ref_sys", "srs_id NOT IN (SELECT srs_id FROM main.gpkg_spatial_ref_sys)", ())
    if ("table", "gpkg_extensions") in staged:
        copy_rows(
            db,
            "gpkg_extensions",
            "s.table_name <> 'gpkg_spatial_ref_sys' AND NOT EXISTS (SELECT 1 FROM main.gpkg_extensions x"
            " WHERE x.table_name IS s.table_name AND x.column_name IS s.column_name"
            " AND x.extension_name IS s.extension_name)",
            (),
        )
    db.execute("UPDATE main.gpkg_contents SET identifier = ? WHERE table_name = ?", (identifier, table))
    if ("table", "gpkg_2d_gridded_coverage_ancillary") in staged:  # GDAL knew it while writing and did not say so
        db.execute(
            "UPDATE main.gpkg_2d_gridded_coverage_ancillary SET data_null = ? WHERE tile_matrix_set_name = ?",
            (NO_VALUE, table),
        )


def copy_rows(db: apsw.Connection, name: str, where: str, bindings: tuple[Any, ...]) -> None:
    """Copy metadata rows by the columns both files have; a running `id` is given anew."""
    both = [
        column
        for (column,) in db.execute(
            "SELECT s.name FROM pragma_table_info(?, 'staging') s JOIN pragma_table_info(?, 'main') m USING (name)",
            (name, name),
        )
        if column != "id"
    ]
    columns = ", ".join(f'"{column}"' for column in both)
    db.execute(f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM staging.{name} s WHERE {where}", bindings)


def read_features(db: apsw.Connection, table: str, role_name: str) -> tuple[pd.DataFrame, Geoms]:
    """Attributes and geometries of a feature table through plain SQL, in stored order."""
    declared = dict(db.execute("SELECT name, type FROM pragma_table_info(?)", (table,)))
    frame = pd.DataFrame(list(db.execute(f'SELECT * FROM "{table}" ORDER BY fid')), columns=list(declared))
    for name in (name for name, kind in declared.items() if kind in ("REAL", "MEDIUMINT", "INTEGER")):
        frame[name] = pd.to_numeric(frame[name])
    flags = {name for name, kind in declared.items() if kind == "BOOLEAN"}
    for name in flags.union(_flags(role_name, frame)):
        said = frame[name].map({1: True, 0: False, "True": True, "False": False}).astype(object)
        frame[name] = said.astype(bool) if said.notna().all() else said.where(said.notna(), None)
    blobs = np.array([_wkb(blob) for blob in frame["geom"]], dtype=object)
    return frame.drop(columns=["fid", "geom"]), unwrapped(shapely.from_wkb(blobs))


def _wkb(blob: bytes) -> bytes:
    """The WKB in a GeoPackage blob: 8 bytes of header, then an envelope whose size is in the flags."""
    return blob[8 + (0, 32, 48, 48, 64)[(blob[3] >> 1) & 7] :]


def read_grid(db: apsw.Connection, table: str, layer: Layer) -> Raster:
    west, south, east, north = layer.extent.bounds
    zoom, cell_m, size = list(
        db.execute(
            "SELECT zoom_level, pixel_x_size, tile_width FROM gpkg_tile_matrix WHERE table_name = ?"
            " ORDER BY zoom_level",
            (table,),
        )
    )[-1]
    rows, columns = round((north - south) / cell_m), round((east - west) / cell_m)
    values = np.full((-(-rows // size) * size, -(-columns // size) * size), np.nan, dtype=np.float32)
    for column, row, blob in db.execute(
        f'SELECT tile_column, tile_row, tile_data FROM "{table}" WHERE zoom_level = ?', (zoom,)
    ):
        with warnings.catch_warnings(), MemoryFile(blob) as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # where a tile lies is in the table
            with memory.open() as tile:
                values[row * size : (row + 1) * size, column * size : (column + 1) * size] = tile.read(1)
    values = values[:rows, :columns]
    values[values == np.float32(NO_VALUE)] = np.nan
    return Raster(layer, values, west, north, cell_m)
