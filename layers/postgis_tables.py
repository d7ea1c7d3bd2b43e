"""Layers as tables of PostGIS: an attribute in a column of its own type, geometries under a GiST index, grids in tiles.

Features go in by one binary COPY made of whole Arrow columns. The Arrow schema is kept beside the table, so that what
is read back is, column for column and bit for bit, what was stored.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, LiteralString

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray
from psycopg import sql

from layers.ingest import Prepared
from layers.postgres import Connection
from layers.records import Bounds, Geoms, Layer, Raster

BLOCK = 20_000  # rows of one piece of a COPY
SIDE = 256  # cells of a tile
MOST_BYTES = 63  # of a column's name
TAKEN = {"fid", "geom", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}  # ours and PostgreSQL's own
EPOCH_DAYS, EPOCH_US = 10_957, 946_684_800_000_000  # 2000-01-01, where PostgreSQL counts from, after 1970-01-01
HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END = b"\xff\xff"
NULL = pa.scalar(b"\xff\xff\xff\xff", pa.large_binary())
EMPTY = b"empty somewhere"  # names, beside what pandas keeps in a schema
NOTHING = pa.scalar(b"", pa.large_binary())


# --- columns ------------------------------------------------------------------------------------------


def kind_of(type_: pa.DataType) -> LiteralString:
    """The column type that holds every value of an Arrow type; text for what PostgreSQL has no type for."""
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_) and type_ != pa.uint64():
        return "bigint"
    if pa.types.is_float32(type_) or pa.types.is_float64(type_):
        return "double precision"
    if pa.types.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    return "date" if pa.types.is_date32(type_) else "text"


def names_of(schema: pa.Schema) -> list[str]:
    """Column names as PostgreSQL can have them: at most MOST_BYTES long, none twice, none of its own."""
    taken, names = set(TAKEN), []
    for name in schema.names:
        free, number = _short(name, ""), 1
        while free in taken:
            number += 1
            free = _short(name, f"_{number}")
        taken.add(free)
        names.append(free)
    return names


def _short(name: str, end: str) -> str:
    return name.encode()[: MOST_BYTES - len(end)].decode(errors="ignore") + end


def _plain(features: pd.DataFrame) -> pa.Table:
    """Features as Arrow; lists and the like as text, which is what they are read back as."""
    table = pa.Table.from_pandas(features, preserve_index=False)
    for n, one in enumerate(table.schema):
        words = any(known(one.type) for known in (pa.types.is_string, pa.types.is_large_string, pa.types.is_null))
        if kind_of(one.type) == "text" and not words and not pa.types.is_integer(one.type):
            text = features[one.name].map(str, na_action="ignore").astype(object)
            table = table.set_column(n, one.name, pa.array(text, pa.large_string(), from_pandas=True))
    return table


def _said(array: pa.Array) -> pa.LargeBinaryArray:
    """(N,) a column's values as COPY wants them: their length in bytes, then the bytes; -1 for null."""
    kind, valid = kind_of(array.type), pc.is_valid(array)
    if kind == "text":
        words = array.cast(pa.large_string()).cast(pa.large_binary())
        length = pc.fill_null(pc.binary_length(words), 0).to_numpy(zero_copy_only=False)
        said = pc.binary_join_element_wise(_bytes(length.astype(">i4")), pc.fill_null(words, b""), NOTHING)
    else:
        said = _fixed(*_numbers(array, kind))
    return pc.if_else(valid, said, NULL)


def _numbers(array: pa.Array, kind: str) -> tuple[NDArray[Any], str]:
    if kind == "boolean":
        return pc.fill_null(array, False).to_numpy(zero_copy_only=False), "u1"
    if kind == "double precision":
        return pc.fill_null(array.cast(pa.float64()), 0.0).to_numpy(zero_copy_only=False), ">f8"
    if kind.startswith("timestamp"):
        micros = array.cast(pa.timestamp("us", array.type.tz), safe=False).cast(pa.int64())
        return pc.fill_null(micros, 0).to_numpy(zero_copy_only=False) - EPOCH_US, ">i8"
    if kind == "date":
        return pc.fill_null(array.cast(pa.int32()), 0).to_numpy(zero_copy_only=False) - EPOCH_DAYS, ">i4"
    return pc.fill_null(array.cast(pa.int64()), 0).to_numpy(zero_copy_only=False), ">i8"


def _fixed(values: NDArray[Any], kind: str) -> pa.LargeBinaryArray:
    """Numbers of one width, each after that width."""
    rows = np.empty(len(values), dtype=[("length", ">i4"), ("value", kind)])
    rows["length"], rows["value"] = np.dtype(kind).itemsize, values
    return _bytes(rows)


def _bytes(rows: NDArray[Any]) -> pa.LargeBinaryArray:
    """(N,) the bytes of each element."""
    rows = np.ascontiguousarray(rows)
    fixed = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.dtype.itemsize), len(rows), [None, pa.py_buffer(rows.tobytes())]
    )
    return fixed.cast(pa.large_binary())


def _ground(geometries: Geoms, srid: int) -> pa.LargeBinaryArray:
    """(N,) geometries as COPY wants them: WKB that says its SRID."""
    said = shapely.to_wkb(shapely.set_srid(geometries, srid), byte_order=1, include_srid=srid != 0)
    wkb = pa.array(said, pa.large_binary())
    length = pc.binary_length(wkb).to_numpy(zero_copy_only=False).astype(">i4")
    return pc.binary_join_element_wise(_bytes(length), wkb, NOTHING)


# --- features -----------------------------------------------------------------------------------------


def write_features(connection: Connection, table: str, prepared: Prepared, srid: int) -> bytes:
    """The features as a new table; returns the Arrow schema by which they are read back."""
    features = _plain(prepared.features)
    names = names_of(features.schema)
    columns: list[sql.Composable] = [sql.SQL("fid bigint NOT NULL")]
    columns += [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind_of(one.type)))
        for name, one in zip(names, features.schema, strict=True)
    ]
    columns.append(sql.SQL("geom geometry(Geometry, {}) NOT NULL").format(sql.Literal(srid)))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(table), sql.SQL(", ").join(columns)))
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table))) as copy,
    ):
        for block in _blocks(features, prepared.geometries, srid):
            copy.write(block)
    for statement in (
        "ALTER TABLE {} ADD PRIMARY KEY (fid)",
        "CREATE INDEX ON {} USING gist (geom)",
        "CREATE INDEX ON {} (id)",
        "ANALYZE {}",
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(table)))
    empty = [name for name, column in zip(features.column_names, features.columns, strict=True) if column.null_count]
    told = {**(features.schema.metadata or {}), EMPTY: json.dumps(empty)}
    schema: bytes = features.schema.with_metadata(told).serialize().to_pybytes()
    return schema


def _blocks(features: pa.Table, geometries: Geoms, srid: int) -> Iterator[bytes]:
    """A binary COPY of rows (fid, attributes, geometry), some rows at a time."""
    yield HEAD
    count = pa.scalar(struct.pack(">h", len(features.schema) + 2), pa.large_binary())
    for start in range(0, len(geometries), BLOCK):
        some = features.slice(start, BLOCK).combine_chunks()
        fid = _fixed(np.arange(start + 1, start + 1 + some.num_rows), ">i8")
        told = [_said(pa.concat_arrays(column.chunks)) for column in some.columns]
        whole = pc.binary_join_element_wise(
            count, fid, *told, _ground(geometries[start : start + BLOCK], srid), NOTHING
        )
        yield whole.buffers()[2].to_pybytes()
    yield END


def read_features(
    connection: Connection,
    table: str,
    schema: pa.Schema,
    *,
    ids: Sequence[str] | None = None,
    bounds: Bounds | None = None,
    srid: int = 0,
) -> tuple[pd.DataFrame, Geoms]:
    """Attributes and geometries in stored order; with ids or bounds those that may be meant, by the indexes."""
    names = names_of(schema)
    columns = [_asked(name, kind_of(one.type)) for name, one in zip(names, schema, strict=True)]
    where, said = [sql.SQL("true")], dict[str, Any]()
    if ids is not None:
        where.append(sql.SQL("id = ANY(%(ids)s)"))
        said["ids"] = [one for one in ids if isinstance(one, str)]
    if bounds is not None:
        where.append(sql.SQL("geom && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, %(srid)s)"))
        said |= dict(zip(("west", "south", "east", "north"), map(float, bounds), strict=True)) | {"srid": srid}
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY fid").format(
        sql.SQL(", ").join([*columns, sql.SQL("ST_AsBinary(geom)")]),
        sql.Identifier(table),
        sql.SQL(" AND ").join(where),
    )
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query, said).fetchall()
    *told, blobs = zip(*rows, strict=True) if rows else ((),) * (len(names) + 1)
    arrays = [_array(values, one.type) for values, one in zip(told, schema, strict=True)]
    geometries: Geoms = np.asarray(shapely.from_wkb(np.array([*blobs, None], dtype=object)[:-1]), dtype=object)
    found = pa.Table.from_arrays(arrays, schema=schema).to_pandas()
    window = ids is not None or bounds is not None
    return (_as_in_the_snapshot if window else _as_imported)(found, schema), geometries


def _as_imported(whole: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Columns of the kind they had in pandas when they came in, so that the snapshot is the same byte for byte."""
    for one in json.loads(schema.metadata[b"pandas"])["columns"]:
        if one["numpy_type"] == "object":
            whole[one["name"]] = whole[one["name"]].astype(object)
    return whole


def _as_in_the_snapshot(some: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Columns that are empty somewhere are of another kind in pandas, also where a window has a value in each row."""
    for name in json.loads(schema.metadata[EMPTY]):
        kind = some[name].dtype
        if kind == np.dtype(bool):
            some[name] = some[name].astype(object)
        elif isinstance(kind, np.dtype) and kind.kind in "iu":
            some[name] = some[name].astype(float)
    return some


def _asked(name: str, kind: str) -> sql.Composed:
    """A column as the number that Arrow keeps where it has one."""
    column = sql.Identifier(name.replace("%", "%%"))  # beside bound values a sign of its own
    if kind.startswith("timestamp"):
        return sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(column)
    return sql.SQL("{} - DATE '1970-01-01'").format(column) if kind == "date" else sql.SQL("{}").format(column)


def _array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    kind = kind_of(type_)
    if pa.types.is_null(type_):
        return pa.nulls(len(values))
    if kind.startswith("timestamp"):
        return pa.array(values, pa.int64()).cast(pa.timestamp("us", type_.tz)).cast(type_)
    if kind == "date":
        return pa.array(values, pa.int32()).cast(type_)
    if kind == "text":
        return pa.array(values, pa.large_string()).cast(type_)
    wide = {"bigint": pa.int64(), "double precision": pa.float64(), "boolean": pa.bool_()}[kind]
    return pa.array(values, wide).cast(type_)


# --- grids --------------------------------------------------------------------------------------------


def write_grid(connection: Connection, table: str, raster: Raster) -> str:
    """A grid as a new table of tiles, row 0 north, float32 little-endian; returns its frame as JSON."""
    connection.execute(
        sql.SQL(
            "CREATE TABLE {} (tile_row integer, tile_column integer, cells bytea NOT NULL,"
            " PRIMARY KEY (tile_row, tile_column))"
        ).format(sql.Identifier(table))
    )
    # measured heights do not compress; trying to would cost more than it saves
    connection.execute(sql.SQL("ALTER TABLE {} ALTER cells SET STORAGE EXTERNAL").format(sql.Identifier(table)))
    rows, columns = raster.values.shape
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table))) as copy,
    ):
        copy.set_types(["int4", "int4", "bytea"])
        for row in range(0, rows, SIDE):
            for column in range(0, columns, SIDE):
                cells = np.ascontiguousarray(raster.values[row : row + SIDE, column : column + SIDE], dtype="<f4")
                copy.write_row((row // SIDE, column // SIDE, cells.tobytes()))
    frame = {"rows": rows, "columns": columns, "side": SIDE}
    return json.dumps(frame | {"west": raster.west, "north": raster.north, "cell_m": raster.cell_m})


def read_grid(connection: Connection, table: str, frame: str, layer: Layer) -> Raster:
    said = json.loads(frame)
    rows, columns, side = said["rows"], said["columns"], said["side"]
    values = np.full((rows, columns), np.nan, dtype=np.float32)
    with connection.cursor(binary=True) as cursor:
        cursor.execute(sql.SQL("SELECT tile_row, tile_column, cells FROM {}").format(sql.Identifier(table)))
        for row, column, cells in cursor:
            window = values[row * side : (row + 1) * side, column * side : (column + 1) * side]
            window[:] = np.frombuffer(cells, "<f4").reshape(window.shape)
    return Raster(layer, values, said["west"], said["north"], said["cell_m"])
