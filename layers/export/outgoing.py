"""What is sent out, ready for any writer: typed columns, geometries in their CRS, and what has to be said with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from pyproj import CRS

from layers.errors import BadInput, Fault
from layers.export.columns import replaced, texts, where
from layers.records import Geoms, Layer
from layers.schema import Role

BATCH = 10_000
GEOMETRY = "geometry"
MOST_NOTED = 100  # of one kind, one by one; past that they are counted


@dataclass
class Outgoing:
    """One layer on its way out.

    `names` maps our columns to the file's, `types` says what they are with us; `notes` gathers what the format loses.
    """

    name: str
    layer: Layer
    role: Role
    table: pa.Table
    geometries: Geoms
    crs: CRS
    names: dict[str, str]
    encoding: str
    types: dict[str, str]
    with_wkt: bool = False
    progress: Callable[[int], None] = lambda done: None
    notes: list[Fault] = field(default_factory=list)

    def note(self, reason: str, fix: str, **where: str) -> None:
        self.notes.append(Fault(reason, fix, layer=self.layer.role, **where))

    def note_rows(self, column: str, rows: np.ndarray, reason: str, fix: str) -> None:
        """Note each feature by its id, and past `MOST_NOTED` how many more there are."""
        ids = self.table["id"] if "id" in self.table.column_names else None
        for row in rows[:MOST_NOTED]:
            name = str(ids[int(row)]) if ids is not None else f"{self.layer.role}-{int(row) + 1}"
            self.note(reason, fix, feature=name, field=column)
        if len(rows) > MOST_NOTED:
            self.note(f"{len(rows) - MOST_NOTED:,} more features: {reason}", fix, field=column)

    def change(self, column: str, values: Any) -> None:
        self.table = replaced(self.table, column, values)

    def spoken(self) -> None:
        """Raise BadInput for every text that the chosen encoding has no characters for."""
        if self.encoding != "GBK":  # the others have them all
            return
        faults = []
        ids = self.table["id"].to_pylist() if "id" in self.table.column_names else [None] * self.table.num_rows
        for name in texts(self.table):
            for key, said in zip(ids, self.table[name].to_pylist(), strict=True):
                try:
                    (said or "").encode(self.encoding)
                except UnicodeEncodeError as error:
                    reason = f"{error.object[error.start : error.end]!r} cannot be written in {self.encoding}"
                    faults.append(Fault(reason, "Use GB18030 or UTF-8", feature=str(key), field=name))
        if faults:
            raise BadInput(f"{self.name} cannot be written in {self.encoding}", faults)

    def rewrite(self, pattern: str, by: str, reason: str, fix: str) -> None:
        """Replace what matches (RE2) in every text, and note the features it was in."""
        for name in texts(self.table):
            hit = where(self.table[name], lambda column: pc.match_substring_regex(column, pattern))
            if hit.any():
                self.note_rows(name, np.flatnonzero(hit), reason, fix)
                self.change(name, pc.replace_substring_regex(self.table[name], pattern, by))

    @property
    def kinds(self) -> set[int]:
        """Dimensions of the features (0 points, 1 lines, 2 areas); of an empty layer, what its role takes."""
        if len(self.geometries) == 0:
            return {"point": {0}, "line": {1}, "polygon": {2}}.get(self.role.geometry, set())
        return set(np.unique(shapely.get_dimensions(self.geometries)).tolist())

    @property
    def renamed(self) -> dict[str, str]:
        return {ours: theirs for ours, theirs in self.names.items() if ours != theirs}

    def schema(self) -> pa.Schema:
        fields = [pa.field(self.names[name], self.table.schema.field(name).type) for name in self.table.column_names]
        wkb = pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})
        return pa.schema([*fields, wkb])

    def batches(self, geometries: Geoms) -> Iterator[pa.RecordBatch]:
        """The features by the ten thousand, geometry last as WKB; what is written is told to `progress`."""
        schema = self.schema()
        for start in range(0, len(geometries), BATCH):
            some = self.table.slice(start, BATCH)
            wkb = pa.array(shapely.to_wkb(geometries[start : start + BATCH], flavor="iso"), type=pa.binary())
            columns = [some[name].combine_chunks() for name in some.column_names]
            yield pa.record_batch([*map(_whole, columns), wkb], schema=schema)
            self.progress(min(start + BATCH, len(geometries)))

    def about(self) -> dict[str, Any]:
        """What has to stay with the layer wherever it goes; values are text, numbers, booleans or null."""
        layer = self.layer
        return {
            "title": f"{self.role.zh} {self.role.en}",
            "role": layer.role,
            "version": layer.version,
            "digest": layer.digest,
            "source": layer.source,
            "vintage": layer.vintage,
            "synthetic": layer.synthetic,
            "synthetic_note": "合成数据，不是真实调查成果 Synthetic data, not a survey" if layer.synthetic else None,
            "classification": layer.classification,
            "handling": "内部使用 Internal use only" if layer.classification == "内部" else None,
            "accuracy_m": layer.accuracy_m,
            "imported_at": layer.imported_at,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "features": len(self.geometries),
            "crs": self.crs.name,
            "crs_code": ":".join(self.crs.to_authority() or ()) or None,
            "surveyed_extent_wkt": shapely.to_wkt(layer.extent, rounding_precision=4, trim=True),
            "surveyed_extent_crs": "the county's working CRS",
        }

    def about_text(self) -> dict[str, str]:
        """The same as text values, for places that take nothing else; what is null is left out."""
        said = self.about().items()
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in said if value is not None}


def _whole(column: Any) -> pa.Array:
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)
