"""What GDAL does not read or reads as a grid: GeoParquet, text formats of our own, GeoTIFF. Only in the child."""

from __future__ import annotations

import dataclasses
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from layers.errors import BadInput, Fault, TooLarge
from layers.sandbox.answers import GRID, TABLE, Answer
from layers.sandbox.kinds import BOUNDARY_TXT, USE_GRID, Kind, unreadable
from layers.sandbox.limits import Limits

if TYPE_CHECKING:
    from layers.records import RawLayer


def read_parquet(path: Path, kind: Kind, name: str, stem: str, out: Path, limits: Limits | None) -> Answer:
    """GeoParquet 1.x with WKB; a CRS that is not said is CRS84, as its specification has it."""
    import pyarrow as pa
    from pyarrow import parquet

    from layers.sandbox import tables

    try:
        file = parquet.ParquetFile(path)
        said = (file.schema_arrow.metadata or {}).get(b"geo")
        if said is None:
            raise unreadable(name, "it is a Parquet table without GeoParquet's account of its geometry")
        told = json.loads(said)
        main = told["primary_column"]
        column = told["columns"][main]
        if column.get("encoding") != "WKB":
            raise unreadable(name, f"its geometry is encoded as {column.get('encoding')}", "Write its geometry as WKB")
        boxes = {path[0] for path in column.get("covering", {}).get("bbox", {}).values()}
        wanted = [field.name for field in file.schema_arrow if field.name not in boxes]
        tables.check_size(name, len(wanted) - 1, file.metadata.num_rows, limits)
        schema = pa.schema([field for field in file.schema_arrow if field.name in wanted])
        batches = file.iter_batches(columns=wanted, use_threads=False)
        tables.write(batches, schema, schema.get_field_index(main), out / TABLE, name, limits)
    except tables.NotPlain as error:
        raise unreadable(name, "it holds arcs or geometry that is cut short", "Write arcs as lines") from error
    except (pa.ArrowException, OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise unreadable(name, f"{error}"[:300].rstrip(".")) from error
    crs = column.get("crs", "OGC:CRS84")
    return Answer(kind.name, stem, None, json.dumps(crs) if isinstance(crs, dict) else crs)


def read_text(
    path: Path, kind: Kind, name: str, stem: str, out: Path, encoding: str | None, limits: Limits | None
) -> Answer:
    """A format that `layers.formats` reads."""
    import pyarrow as pa
    import shapely

    from layers.sandbox import tables

    reader = import_module(f"layers.formats.{'boundary_txt' if kind is BOUNDARY_TXT else 'moj_xml'}")
    raw: RawLayer = reader.read(path.read_bytes(), name=name, encoding=encoding)
    tables.check_size(name, raw.table.shape[1], len(raw.table), limits)
    made = pa.Table.from_pandas(raw.table, preserve_index=False)
    made = made.append_column("", pa.array(shapely.to_wkb(raw.geometries), pa.binary()))
    tables.write(made.to_batches(), made.schema, made.num_columns - 1, out / TABLE, name, limits)
    notes = [dataclasses.asdict(note) for note in raw.notes]
    found = {str(key): str(value) for key, value in raw.found.items()}
    return Answer(kind.name, found.pop("layer", stem), found.pop("encoding", None), raw.crs, found=found, notes=notes)


def read_grid(
    path: Path, kind: Kind, name: str, stem: str, out: Path, limits: Limits | None, any_driver: bool
) -> Answer:
    """The first band of a GeoTIFF as float32, with its place."""
    import warnings

    import numpy as np
    import rasterio

    warnings.simplefilter("ignore")
    try:
        with rasterio.open(path, driver=None if any_driver else kind.driver) as file:
            if limits is not None and file.width * file.height > limits.cells:
                raise TooLarge(f"{name} has {file.width * file.height:,} cells; at most {limits.cells:,} are read")
            with np.errstate(all="ignore"):
                values = file.read(1).astype(np.float32)
            crs = file.crs.to_wkt() if file.crs else None
            answer = Answer(kind.name, crs=crs, nodata=file.nodata)
            answer.transform, answer.bounds = list(file.transform)[:6], list(file.bounds)
    except rasterio.errors.RasterioError as error:
        reason = str(error).replace(f"{path.parent}/", "").replace(path.stem, stem)
        raise no_grid(name, reason[:300].rstrip(".")) from error
    np.save(out / GRID, values, allow_pickle=False)
    return answer


def no_grid(name: str, reason: str) -> BadInput:
    return BadInput(f"{name} cannot be read as a raster", [Fault(reason, USE_GRID, file=name)])
