"""GeoPackage's own tables: a layer written by GDAL, moved between files by SQLite, and read back through plain SQL."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import apsw
import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import rasterio
import shapely
from pyproj import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from layers.ingest import Prepared, unwrapped
from layers.records import Geoms, Layer, Raster
from layers.schema import role

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
NO_VALUE = -9999.0


def write_features(place: Path, table: str, prepared: Prepared, crs: CRS) -> None:
    kind = role(prepared.layer.role).geometry
    names = {"polygon": "MultiPolygon", "line": "MultiLineString", "point": "MultiPoint"}
    options: dict[str, Any] = {"geometry_type": names.get(kind, "Unknown"), "promote_to_multi": kind in names}
    # as plain objects GDAL would write true, false and null as words
    typed = dict.fromkeys(_flags(prepared.layer.role, prepared.features), "boolean")
    frame = gpd.GeoDataFrame(prepared.features.astype(typed), geometry=prepared.geometries, crs=crs)
    pyogrio.write_dataframe(frame, place, layer=table, driver="GPKG", dataset_options=GPKG, **options)


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
        db.execute(f'INSERT INTO main."{rtree}" SELECT * FROM staging."{rtree}"')
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
    for name in _flags(role_name, frame):
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
