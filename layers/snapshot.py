"""Cutting a layer once, at import, into what measuring wants: small pieces under a tree, on disk by digest.

Large polygons make every overlay slow and long lines every nearest search; pieces of at most 256 vertices and
runs of 12 segments do not. The pieces of a feature share no ground and together are the feature.

The folder only copies what the county file holds. A seal over its files tells a damaged copy from a whole one.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray
from pyarrow import feather

from layers.cores import blockwise
from layers.errors import StoreBroken
from layers.records import Bools, Geoms, Ints, Layer, Raster, Snapshot
from layers.rings import Rings, cross, parts

MAX_VERTICES = 256
RUN_SEGMENTS = 12
DUST_M2 = 0.001  # a tenth of the smallest area any rule minds
SEAL = "seal"
JUST_MADE_S = 2.0  # a staging folder so new may not be locked yet
FORMAT = b"5"  # a folder of another format is made again


def cut(geometries: Geoms) -> tuple[Geoms, Ints]:
    """Pieces of the geometries and the row each came from.

    >>> pieces, owner = cut(np.array([shapely.LineString([(n, 0) for n in range(25)])]))
    >>> len(pieces), shapely.length(pieces).tolist(), owner.tolist()
    (2, [12.0, 12.0], [0, 0])
    """
    alone, owner = parts(geometries)
    dimension = shapely.get_dimensions(alone)
    cut_polygons, polygon_owner = _halve(alone[dimension == 2], owner[dimension == 2])
    runs, run_owner = _runs(alone[dimension == 1], owner[dimension == 1])
    pieces = np.concatenate([cut_polygons, runs, alone[dimension == 0]])
    owners = np.concatenate([polygon_owner, run_owner, owner[dimension == 0]])
    order = np.argsort(owners, kind="stable")
    return pieces[order], owners[order]


def _halve(polygons: Geoms, owner: Ints) -> tuple[Geoms, Ints]:
    """Polygons halved across their longer side until none has more than MAX_VERTICES."""
    done: list[Geoms] = []
    done_owner: list[Ints] = []
    while len(polygons):
        small = shapely.get_num_coordinates(polygons) <= MAX_VERTICES
        done.append(polygons[small])
        done_owner.append(owner[small])
        polygons, owner = polygons[~small], owner[~small]
        if len(polygons) == 0:
            break
        west, south, east, north = shapely.bounds(polygons).T
        wide = east - west >= north - south
        middle_x, middle_y = (west + east) / 2, (south + north) / 2
        first = shapely.box(west, south, np.where(wide, middle_x, east), np.where(wide, north, middle_y))
        second = shapely.box(np.where(wide, middle_x, west), np.where(wide, south, middle_y), east, north)
        halves = np.concatenate([shapely.intersection(polygons, first), shapely.intersection(polygons, second)])
        polygons, index = shapely.get_parts(halves, return_index=True)
        owner = np.concatenate([owner, owner])[index]
        area = shapely.get_dimensions(polygons) == 2
        polygons, owner = polygons[area], owner[area]
    return _joined(done), np.concatenate([*done_owner, np.empty(0, dtype=np.int64)])


def _joined(arrays: list[Geoms]) -> Geoms:
    joined: Geoms = np.concatenate([*arrays, np.empty(0, dtype=object)])
    return joined


def _runs(lines: Geoms, owner: Ints) -> tuple[Geoms, Ints]:
    """Lines as runs of RUN_SEGMENTS segments; neighbouring runs share their end point."""
    if len(lines) == 0:
        return lines, owner
    coordinates = shapely.get_coordinates(lines)
    vertices = shapely.get_num_coordinates(lines)
    run_count = np.maximum(-(-(vertices - 1) // RUN_SEGMENTS), 1)
    line_of_run = np.repeat(np.arange(len(lines)), run_count)
    nth = np.arange(len(line_of_run)) - np.repeat(np.cumsum(run_count) - run_count, run_count)
    line_start = np.cumsum(vertices) - vertices
    start = line_start[line_of_run] + nth * RUN_SEGMENTS
    length = np.minimum(RUN_SEGMENTS + 1, vertices[line_of_run] - nth * RUN_SEGMENTS)
    run_of_vertex = np.repeat(np.arange(len(start)), length)
    within = np.arange(len(run_of_vertex)) - np.repeat(np.cumsum(length) - length, length)
    runs: Geoms = shapely.linestrings(coordinates[start[run_of_vertex] + within], indices=run_of_vertex)
    return runs, owner[line_of_run]


def overlapping(pieces: Geoms, owner: Ints) -> bool:
    """Whether any two features share ground, beyond the dust that rounding leaves along a common border.

    Only pieces with a border that no other piece draws on its far side are compared with the others. There is no other
    way into ground that several pieces cover: across a border that is drawn by both sides, as many pieces begin as end.
    """
    alone, row = parts(pieces)
    areas = (shapely.get_dimensions(alone) == 2) & ~shapely.is_empty(alone)
    alone, owner = alone[areas], owner[row[areas]]
    tree = shapely.STRtree(alone)
    tree.query(shapely.Point())  # builds it, which threads must not do at once

    def met(rows: Ints) -> Ints:
        at, other = tree.query(alone[rows], predicate="intersects")
        return np.stack([rows[at], other])

    suspects = np.flatnonzero(_unmatched(alone))
    pairs = np.concatenate([np.empty((2, 0), dtype=np.int64), *blockwise(met, suspects)], axis=1)
    pairs = np.unique(np.sort(pairs[:, owner[pairs[0]] != owner[pairs[1]]], axis=0), axis=1)
    return any(blockwise(_share_ground, alone[pairs[0]], alone[pairs[1]]))


def _share_ground(first: Geoms, second: Geoms) -> bool:
    """Whether any pair shares more ground than dust."""
    deep = shapely.relate_pattern(first, second, "2********")
    return bool((shapely.area(shapely.intersection(first[deep], second[deep])) > DUST_M2).any())


def _unmatched(polygons: Geoms) -> Bools:
    """(N,) whether a polygon has an edge that is not, vertex for vertex, an edge of exactly one other on its far side.

    Edges are told apart by 63 bits mixed from their coordinates, polygons by 24 of them: some are named without need.
    """
    if len(polygons) == 0:
        return np.empty(0, dtype=bool)
    odd = np.uint64(secrets.randbits(64) | 1)  # so that no file can be drawn to deceive
    blocks = blockwise(lambda block: _edge_keys(block, odd), polygons)
    keys = np.sort(np.concatenate([key for key, _ in blocks]))
    start = np.flatnonzero(np.concatenate([[True], keys[1:] >> 1 != keys[:-1] >> 1]))
    count = np.diff(start, append=len(keys))
    twins = (count == 2) & (keys[start] != keys[start + count - 1])
    alone = np.zeros(1 << 24, dtype=bool)
    alone[keys[np.repeat(~twins, count)] >> 40] = True
    return np.concatenate([np.logical_or.reduceat(alone[key >> 40], first) for key, first in blocks])


def _edge_keys(polygons: Geoms, odd: np.uint64) -> tuple[NDArray[np.uint64], Ints]:
    """A number for each edge of (N,) polygons, and the first edge of each polygon.

    The sides of a common edge get numbers that differ in their last bit, which says which way the edge runs around
    the ground on its left.
    """
    rings = Rings.of(polygons)
    words = (rings.vertices + 0.0).view(np.uint64)  # a negative zero is a zero
    vertex = _mixed(_mixed(words[:, 0] * odd) + words[:, 1])
    start, end = vertex[rings.at], vertex[rings.at + 1]
    origin = rings.of_edge(rings.start[rings.first])
    signs = rings.signs(rings.sums(cross(rings.start - origin, rings.end - origin)))
    ahead = (start > end) ^ rings.of_edge(signs > 0)
    keys = _mixed(np.minimum(start, end) * odd + np.maximum(start, end)) & ~np.uint64(1) | ahead.astype(np.uint64)
    shell = np.searchsorted(rings.polygon, np.arange(len(polygons)))
    return keys, rings.first[shell]


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Words whose every bit depends on every bit of what went in (the finalizer of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def as_wkb(geometries: Geoms) -> pa.LargeBinaryArray:
    """(N,) the WKB of geometries, null where there is none, the same on every machine."""
    return pa.array(shapely.to_wkb(geometries, byte_order=1), pa.large_binary())


def digest_of(role: str, features: pd.DataFrame, wkb: pa.LargeBinaryArray, extent: shapely.Geometry) -> str:
    """SHA-256 of a layer's content: its role, every attribute, every coordinate and the surveyed extent."""
    running = hashlib.sha256(f"{role}\n{','.join(features.columns)}\n{len(features)}\n".encode())
    for name in features.columns:
        for chunk in _bytes_of(features[name]):
            running.update(chunk)
    for chunk in _runs_of(wkb):
        running.update(chunk)
    running.update(shapely.to_wkb(extent, byte_order=1))
    return running.hexdigest()


def _bytes_of(values: pd.Series) -> Iterator[bytes | pa.Buffer]:
    """A column as bytes that are equal where its values are: their kind, which are null, and the values one by one."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        array = pa.array(values.map(repr).where(values.notna(), None), pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if array.null_count == len(array):
        yield b"nothing"
        return
    yield array.is_valid().to_numpy(zero_copy_only=False).tobytes()
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_floating(kind) or pa.types.is_signed_integer(kind):
        yield b"boolean" if pa.types.is_boolean(kind) else b"number" if pa.types.is_floating(kind) else b"integer"
        wide = pa.int64() if pa.types.is_signed_integer(kind) else pa.float64()
        yield array.cast(wide).fill_null(0).to_numpy(zero_copy_only=False).tobytes()
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield b"text"
        yield from _runs_of(array.cast(pa.large_binary()))
    else:
        yield str(kind).encode()
        yield from _runs_of(pa.array(values.map(repr), pa.large_string()).cast(pa.large_binary()))


def _runs_of(array: pa.LargeBinaryArray) -> Iterator[bytes | pa.Buffer]:
    """The lengths of byte strings, then their bytes in a row."""
    if len(array):
        array = array.fill_null(b"")
        _, offsets, content = array.buffers()
        ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        yield np.diff(ends).tobytes()
        yield content[int(ends[0]) : int(ends[-1])] if content is not None else b""


def write(folder: Path, features: pd.DataFrame, geometries: Geoms, wkb: pa.LargeBinaryArray | None = None) -> None:
    """Cut and keep a vector layer under `folder`; whole or not at all. `wkb` is the geometries', if it is at hand."""
    wkb = as_wkb(geometries) if wkb is None else wkb
    pieces, owner = cut(geometries)
    attributes = pa.Table.from_pandas(features, preserve_index=False).append_column("geometry", wkb)
    cut_table = pa.table({"owner": owner, "wkb": _piece_wkb(geometries, pieces, owner)})
    cut_table = cut_table.replace_schema_metadata({"overlapping": str(overlapping(pieces, owner))})

    def fill(place: Path) -> None:
        feather.write_feather(attributes, str(place / "features.arrow"), compression="lz4")
        feather.write_feather(cut_table, str(place / "pieces.arrow"), compression="lz4")

    _publish(folder, fill)


def _piece_wkb(geometries: Geoms, pieces: Geoms, owner: Ints) -> pa.LargeBinaryArray:
    """(K,) the WKB of pieces; null where the piece is its whole feature, whose WKB lies beside it."""
    uncut = (shapely.get_type_id(geometries) == 3) & (shapely.get_num_coordinates(geometries) <= MAX_VERTICES)
    others = pieces.copy()
    others[uncut[owner]] = None
    return as_wkb(others)


def write_raster(folder: Path, raster: Raster) -> None:
    """Keep a grid under `folder`, ready to be mapped into memory."""

    def fill(place: Path) -> None:
        np.save(place / "values.npy", raster.values)
        np.save(place / "place.npy", np.array([raster.west, raster.north, raster.cell_m]))

    _publish(folder, fill)


def _publish(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside the final one, then rename it, so that a reader never sees half of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staging(folder.parent) as place:
        made = place / "made"
        made.mkdir()
        fill(made)
        (made / SEAL).write_text(_seal(made))
        with contextlib.suppress(FileNotFoundError):
            folder.rename(place / "old")
        made.rename(folder)


def _seal(folder: Path) -> str:
    """A checksum over the files of a snapshot."""
    running = hashlib.sha256(FORMAT)
    for path in sorted(folder.iterdir()):
        if path.name != SEAL:
            with path.open("rb") as file:
                running.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return running.hexdigest()


@contextlib.contextmanager
def _sealed(folder: Path, layer: Layer) -> Iterator[None]:
    """Around reading a snapshot: StoreBroken where a file is missing, cut short or not as it was written."""
    try:
        if (folder / SEAL).read_text() != _seal(folder):
            raise StoreBroken(f"the snapshot of {layer.label} is damaged", folder=folder.name)
        yield
    except (OSError, ValueError, KeyError, pa.ArrowException, shapely.errors.GEOSException) as error:
        raise StoreBroken(f"the snapshot of {layer.label} cannot be read", folder=folder.name) from error


@contextlib.contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A folder to make something in, beside its final place; gone afterwards.

    The lock in it lasts as long as its process: `sweep` removes what a killed one left.
    """
    with tempfile.TemporaryDirectory(prefix=".making-", dir=parent, ignore_cleanup_errors=True) as folder:
        alive = apsw.Connection(str(Path(folder) / "alive"))
        try:
            alive.execute("BEGIN EXCLUSIVE")
            yield Path(folder)
        finally:
            alive.close()


def sweep(parent: Path) -> None:
    """Remove the staging folders that killed processes left; those of living ones stay."""
    for alive in parent.glob(".making-*/alive"):
        with contextlib.suppress(OSError, apsw.Error):  # gone meanwhile, or busy: its process lives
            if time.time() - alive.stat().st_mtime < JUST_MADE_S:
                continue
            with contextlib.closing(apsw.Connection(str(alive), flags=apsw.SQLITE_OPEN_READWRITE)) as lock:
                lock.execute("BEGIN EXCLUSIVE")
            shutil.rmtree(alive.parent, ignore_errors=True)


def read(folder: Path, layer: Layer) -> Snapshot:
    """The snapshot kept under `folder`. StoreBroken where it is not whole."""
    with _sealed(folder, layer):
        pieces = feather.read_table(str(folder / "pieces.arrow"))
        features = feather.read_table(str(folder / "features.arrow"))
        wkb = pc.coalesce(pieces["wkb"], features["geometry"].take(pieces["owner"]))
        features = features.drop_columns(["geometry"])
        plain = {name: features[name].to_numpy(zero_copy_only=False) for name in features.column_names}
        geometries = shapely.from_wkb(wkb.to_numpy(zero_copy_only=False))
        owner = pieces["owner"].to_numpy().astype(np.int64)
        shared = pieces.schema.metadata[b"overlapping"] == b"True"
    return Snapshot(layer, pd.DataFrame(plain), geometries, owner, shared)


def read_whole(folder: Path, layer: Layer) -> tuple[pd.DataFrame, Geoms]:
    """Attributes and uncut geometries of a layer, row for row. StoreBroken where they are not whole."""
    with _sealed(folder, layer):
        table = feather.read_table(str(folder / "features.arrow"))
        geometries = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    return table.drop_columns(["geometry"]).to_pandas(), geometries


def read_raster(folder: Path, layer: Layer) -> Raster:
    """The grid kept under `folder`, mapped into memory. StoreBroken where it is not whole."""
    with _sealed(folder, layer):
        values = np.load(folder / "values.npy", mmap_mode="r")
        west, north, cell_m = np.load(folder / "place.npy")
    return Raster(layer, values, float(west), float(north), float(cell_m))
