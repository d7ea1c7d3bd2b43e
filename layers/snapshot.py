"""Cutting a layer once, at import, into what measuring wants: small pieces under a tree, on disk by digest.

Large polygons make every overlay slow and long lines every nearest search; pieces of at most 256 vertices and
runs of 12 segments do not. The pieces of a feature share no ground and together are the feature.

The folder only copies what the county file holds. A seal over its files tells a damaged copy from a whole one.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely
from pyarrow import feather

from layers.errors import StoreBroken
from layers.records import Geoms, Ints, Layer, Raster, Snapshot

MAX_VERTICES = 256
RUN_SEGMENTS = 12
DUST_M2 = 0.001  # a tenth of the smallest area any rule minds
SEAL = "seal"
JUST_MADE_S = 2.0  # a staging folder so new may not be locked yet
FORMAT = b"4"  # a folder of another format is made again


def cut(geometries: Geoms) -> tuple[Geoms, Ints]:
    """Pieces of the geometries and the row each came from.

    >>> pieces, owner = cut(np.array([shapely.LineString([(n, 0) for n in range(25)])]))
    >>> len(pieces), shapely.length(pieces).tolist(), owner.tolist()
    (2, [12.0, 12.0], [0, 0])
    """
    parts, owner = shapely.get_parts(geometries, return_index=True)
    owner = owner.astype(np.int64)
    dimension = shapely.get_dimensions(parts)
    cut_polygons, polygon_owner = _halve(parts[dimension == 2], owner[dimension == 2])
    runs, run_owner = _runs(parts[dimension == 1], owner[dimension == 1])
    pieces = np.concatenate([cut_polygons, runs, parts[dimension == 0]])
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
    """Whether any two features share ground, beyond the dust that rounding leaves along a common border."""
    areas = shapely.get_dimensions(pieces) == 2
    pieces, owner = pieces[areas], owner[areas]
    first, second = shapely.STRtree(pieces).query(pieces, predicate="intersects")
    other = owner[first] < owner[second]
    first, second = first[other], second[other]
    deep = shapely.relate_pattern(pieces[first], pieces[second], "2********")
    return bool((shapely.area(shapely.intersection(pieces[first[deep]], pieces[second[deep]])) > DUST_M2).any())


def digest_of(role: str, features: pd.DataFrame, geometries: Geoms, extent: shapely.Geometry) -> str:
    """SHA-256 of a layer's content: its role, every attribute, every coordinate and the surveyed extent."""
    running = hashlib.sha256(f"{role}\n{','.join(features.columns)}\n".encode())
    as_text = features.astype(object).where(features.notna(), None).map(repr)
    running.update(np.asarray(pd.util.hash_pandas_object(as_text, index=False)).tobytes())
    for blob in shapely.to_wkb(geometries):
        running.update(blob)
    running.update(shapely.to_wkb(extent))
    return running.hexdigest()


def write(folder: Path, features: pd.DataFrame, geometries: Geoms) -> None:
    """Cut and keep a vector layer under `folder`; whole or not at all."""
    pieces, owner = cut(geometries)
    attributes = pa.Table.from_pandas(features, preserve_index=False)
    attributes = attributes.append_column("geometry", pa.array(shapely.to_wkb(geometries), pa.binary()))
    cut_table = pa.table({"owner": owner, "wkb": pa.array(shapely.to_wkb(pieces), pa.binary())})
    cut_table = cut_table.replace_schema_metadata({"overlapping": str(overlapping(pieces, owner))})

    def fill(place: Path) -> None:
        feather.write_feather(attributes, str(place / "features.arrow"), compression="lz4")
        feather.write_feather(cut_table, str(place / "pieces.arrow"), compression="lz4")

    _publish(folder, fill)


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
        features = feather.read_table(str(folder / "features.arrow")).drop_columns(["geometry"])
        plain = {name: features[name].to_numpy(zero_copy_only=False) for name in features.column_names}
        geometries = shapely.from_wkb(pieces["wkb"].to_numpy(zero_copy_only=False))
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
