"""Batches of Arrow, counted and made plain on their way into the file that the child hands back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from layers.errors import TooLarge
from layers.sandbox import wkb
from layers.sandbox.answers import GEOMETRY
from layers.sandbox.limits import Limits

BYTES_PER_VERTEX = 16


class NotPlain(Exception):
    """A batch holds arcs, or Arrow that its maker got wrong: it has to be read another way."""


class NotText(Exception):
    """A text is not in the encoding it was taken for."""


def check_size(name: str, columns: int, features: int, limits: Limits | None) -> None:
    """Raise TooLarge before anything is read."""
    if limits is None:
        return
    if columns > limits.columns:
        raise TooLarge(
            f"{name} has {columns:,} columns; at most {limits.columns:,} are read: leave out what is not needed"
        )
    if features > limits.features:
        raise TooLarge(f"{name} has {features:,} features; at most {limits.features:,} are read: send it in parts")


def write(
    batches: Iterable[Any],
    schema: Any,
    geometry: int,
    place: Path,
    name: str,
    limits: Limits | None,
    *,
    codes: bool = False,
) -> None:
    """Write record batches with the geometry last, other columns in plain types; counted as they come.

    geometry : position of the WKB column; codes : a dictionary is a coded domain, of which the codes are wanted

    Raises TooLarge, NotText, and NotPlain where the geometry cannot be taken as it is.
    """
    writer, features, vertices = None, 0, 0
    try:
        nothing = pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)
        for batch in chain([nothing], batches):  # so that a layer without features keeps its columns
            made = plain(batch, geometry, codes)
            if limits is not None:
                features += made.num_rows
                vertices += made.column(made.num_columns - 1).nbytes // BYTES_PER_VERTEX
                check_size(name, made.num_columns - 1, features, limits)
                if vertices > limits.vertices:
                    raise TooLarge(f"{name} has more than {limits.vertices:,} vertices; send it in parts")
                verdict = wkb.judge(made.column(made.num_columns - 1))
                if (verdict == wkb.CURVED).any():
                    raise NotPlain
                made = _without_broken(made, verdict)
            writer = writer or pa.ipc.new_file(place, made.schema)
            writer.write_batch(made)
    finally:
        if writer is not None:
            writer.close()


def _without_broken(batch: Any, verdict: wkb.Bytes) -> Any:
    """Null for geometry that must not reach a parser."""
    last = batch.num_columns - 1
    broken = verdict == wkb.BROKEN
    if broken.sum() == batch.column(last).null_count:  # nulls count as broken
        return batch
    from pyarrow import compute  # takes a while to load, and is seldom needed

    shapes = compute.if_else(pa.array(~broken), batch.column(last), pa.scalar(None, pa.binary()))
    return pa.record_batch([*batch.columns[:last], shapes], schema=batch.schema)


def plain(batch: Any, geometry: int, codes: bool) -> Any:
    """A batch with its geometry last as `GEOMETRY`, and every other column as number, flag, text, bytes or time."""
    order = [n for n in range(batch.num_columns) if n != geometry]
    try:  # GDAL 3.12 leaves the offsets of null geometries in FlatGeobuf unset
        batch.column(geometry).validate(full=True)
    except pa.ArrowInvalid as error:
        raise NotPlain(str(error)) from error
    columns = [_plain(batch.column(n), codes) for n in order] + [_as(batch.column(geometry), pa.binary())]
    names = [batch.schema.names[n] for n in order] + [GEOMETRY]
    return pa.record_batch(columns, names=names)


def _plain(column: Any, codes: bool) -> Any:
    """One column in a plain type, its text checked to be UTF-8.

    GDAL gives a coded domain as a dictionary whose indices are the codes; lists and JSON become text.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(column.storage, codes)
    if pa.types.is_dictionary(kind):
        return _plain(column.indices if codes else column.dictionary_decode(), codes)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise NotText(str(error)) from error
        return _as(column, pa.string())
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms"))
    if pa.types.is_time(kind):
        return column.cast(pa.string())
    if pa.types.is_nested(kind):
        said = [None if one is None else json.dumps(one, ensure_ascii=False, default=str) for one in column.to_pylist()]
        return pa.array(said, pa.string())
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.binary())
    return column


def _as(column: Any, kind: Any) -> Any:
    """A cast where one is needed; loading Arrow's casts takes a third of a child's start."""
    return column if column.type == kind else column.cast(kind)
