"""GeoParquet 1.1 through pyarrow: WKB geometry, the CRS as PROJJSON, row groups of the size that is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import shapely

from layers.export.outgoing import GEOMETRY, Outgoing


def geoparquet(place: Path, out: Outgoing) -> None:
    about = json.dumps(out.about(), ensure_ascii=False)
    schema = out.schema().remove_metadata()
    # the column is plain WKB here: the file's own metadata says that it is a geometry
    schema = schema.set(len(schema) - 1, schema.field(GEOMETRY).remove_metadata())
    schema = schema.with_metadata({"geo": json.dumps(_geo(out)), "parkplan": about})
    with pq.ParquetWriter(place, schema, compression="zstd") as file:
        for batch in out.batches(out.geometries):
            file.write_batch(batch.replace_schema_metadata(schema.metadata))


def _geo(out: Outgoing) -> dict[str, object]:
    types = {"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"}
    found = {str(one) for one in np.unique([shape.geom_type for shape in out.geometries])}
    column: dict[str, object] = {
        "encoding": "WKB",
        "geometry_types": sorted(found & types),
        "crs": out.crs.to_json_dict(),
        "edges": "planar",
    }
    if len(out.geometries):
        column["bbox"] = shapely.total_bounds(out.geometries).tolist()
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
