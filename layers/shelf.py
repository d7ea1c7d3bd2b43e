"""What every store does alike: versions of layers by day, measured from snapshots, the parcels as their fabric has
changed them since their survey.

Measuring reads the snapshot in a cache folder named by the layer's digest, which is rebuilt from the store when it is
missing: two stores that hold the same layers give the same answers.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS
from rasterio.errors import RasterioError

from layers import fabric, snapshot
from layers.documents import Documents
from layers.errors import BadInput, Fault, ParkError, StoreBroken, UnknownName, Unreachable
from layers.fabric_register import Register
from layers.ingest import Prepared
from layers.ledger import placed
from layers.ledger.keeping import Ledger, Left, pools
from layers.records import Bounds, Geoms, Layer, Raster, Snapshot, union_bounds
from layers.schema import role, roles
from layers.stored_world import StoredWorld

log = logging.getLogger(__name__)
T = TypeVar("T")

CATALOGUE = (
    "role, version, digest, source, extent, loaded, rejected, vintage, synthetic, imported_at, fields, found,"
    " accuracy_m, classification, imported_by, approved_by"
)


def key_of(layer: Layer) -> str:
    """Names a layer's content in this process's memory."""
    return layer.digest if layer.edits is None else f"{layer.digest}+{layer.edits}"


def table_of(layer: Layer) -> str:
    return f"{layer.role}_v{layer.version}"


def _layer_of(row: Any) -> Layer:
    role, version, digest, source, extent, loaded, rejected, vintage, synthetic, at, fields, found, *said = row
    read = (role, version, digest, source, shapely.from_wkb(extent), loaded, rejected, vintage, bool(synthetic), at)
    return Layer(*read, json.loads(fields), json.loads(found), *said)


class Shelf(Documents):
    """A county's layers, books and documents. A store says where its tables and its snapshots are."""

    name: str
    crs: CRS
    cache: Path
    fabric: Register
    ledger: Ledger
    _kept_in = "county file"
    _unreadable: tuple[type[Exception], ...] = (
        OSError,
        shapely.errors.GEOSException,
        RasterioError,
        LookupError,
        TypeError,
    )

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._snapshots: dict[tuple[str, int], Snapshot | Raster] = {}
        self._whole: dict[str, tuple[pd.DataFrame, Geoms]] = {}
        self._ids: dict[str, pd.Index] = {}
        self._catalogue: dict[tuple[Any, date | None], list[Layer]] = {}
        self._pools: Left | None = None
        self._extents: dict[int, shapely.Geometry] = {}  # of the parcels, by version, with those of earlier ones

    # --- what a store says itself -----------------------------------------------------------------

    def _has(self, table: str) -> bool:
        raise NotImplementedError

    def _read_features(self, table: str, role_name: str) -> tuple[pd.DataFrame, Geoms]:
        """A version's features in stored order, from the store itself."""
        raise NotImplementedError

    def _read_grid(self, layer: Layer) -> Raster:
        raise NotImplementedError

    # --- layers -----------------------------------------------------------------------------------

    def _importable(self, prepared: Prepared) -> None:
        """BadInput where the county keeps the layer itself."""
        if role(prepared.layer.role).kept:
            fix = "Reserve ground; the layer follows"
            fault = Fault("the county keeps it itself", fix, layer=prepared.layer.role)
            raise BadInput(f"{prepared.layer.role} is not imported", [fault])

    def _write_snapshot(self, prepared: Prepared) -> None:
        folder = self.cache / prepared.layer.digest
        if prepared.raster is None:
            snapshot.write(folder, prepared.features, prepared.geometries, prepared.wkb)
        else:
            snapshot.write_raster(folder, prepared.raster)

    def _enter(self, layer: Layer, table: str, by: str, approved_by: str | None) -> None:
        """The catalogue row of a version that was just stored."""
        row = {
            "role": layer.role,
            "version": layer.version,
            "table_name": table,
            "digest": layer.digest,
            "source": layer.source,
            "vintage": layer.vintage,
            "extent": shapely.to_wkb(layer.extent),
            "loaded": layer.loaded,
            "rejected": layer.rejected,
            "synthetic": int(layer.synthetic),
            "fields": json.dumps(layer.fields, ensure_ascii=False),
            "imported_at": self._now(),
            "imported_by": by,
            "found": json.dumps(layer.found, ensure_ascii=False),
            "accuracy_m": layer.accuracy_m,
            "classification": layer.classification,
            "approved_by": approved_by,
        }
        marks = ",".join("?" * len(row))
        self._tables.each(f"INSERT INTO parkplan_layers ({', '.join(row)}) VALUES ({marks})", [tuple(row.values())])

    def layers(self, as_of: date | None = None) -> list[Layer]:
        """The latest version of every layer known at the end of that day, in the order of the roles."""
        ((count,),) = self._tables.all("SELECT count(*) FROM parkplan_layers")  # rows are only ever added
        known = self._catalogue.get((count, as_of))
        if known is None:
            known = self._read_catalogue(as_of)
            self._catalogue = {(count, as_of): known}
        return list(known)

    def _read_catalogue(self, as_of: date | None) -> list[Layer]:
        until = f"{as_of.isoformat()}T99" if as_of else "9999"
        rows = self._tables.all(
            f"SELECT {CATALOGUE} FROM parkplan_layers NATURAL JOIN"
            " (SELECT role, max(version) AS version FROM parkplan_layers WHERE imported_at <= ? GROUP BY role) latest",
            (until,),
        )
        found = [_layer_of(row) for row in rows]
        order = list(roles())
        return sorted(found, key=lambda layer: order.index(layer.role))

    def versions(self, role: str) -> list[Layer]:
        """Every version of a role that was ever stored, the oldest first; UnknownName where there is none."""
        rows = self._tables.all(f"SELECT {CATALOGUE} FROM parkplan_layers WHERE role = ? ORDER BY version", (role,))
        if not rows:
            raise UnknownName(f"this county has no layer {role!r}", role=role)
        return [_layer_of(row) for row in rows]

    def bounds(self) -> Bounds | None:
        boxes = [layer.extent.bounds for layer in self.layers() if not layer.extent.is_empty]
        return union_bounds(boxes) if boxes else None

    def frame(
        self,
        role: str,
        *,
        version: int | None = None,
        ids: Iterable[str] | None = None,
        bounds: Bounds | None = None,
        as_of: date | None = None,
    ) -> gpd.GeoDataFrame:
        """A version's features, whole, in the working CRS; UnknownName where it is not loaded.

        Without a version: what is known by the end of a day (default: now), parcels as their fabric says they stood.
        """
        layer = self._layer(role, version, as_of if role != "parcels" else None)
        if version is None and layer.role == "parcels":
            if as_of is not None:
                standing = self.fabric.at(as_of, ids=ids, bounds=bounds)
                return fabric.frame(standing, self.crs, list(self._features(layer)[0].columns))
            layer = self._edited(layer)
        wanted = None if ids is None else list(ids)
        table, geometries, names = self._among(layer, wanted, bounds)
        rows = np.arange(len(table))
        if wanted is not None:
            found = names.get_indexer(pd.Index(wanted))
            rows = np.sort(found[found >= 0])
        if bounds is not None:
            rows = rows[shapely.intersects(geometries[rows], shapely.box(*bounds))]
        return gpd.GeoDataFrame(table.iloc[rows].reset_index(drop=True), geometry=geometries[rows], crs=self.crs)

    def ground(self, role: str, ids: Iterable[str], as_of: date | None = None) -> dict[str, shapely.Geometry]:
        """The geometries of the named features as `frame` gives them; names it does not have are absent."""
        layer, wanted = self._layer(role, None, as_of if role != "parcels" else None), list(ids)
        if layer.role == "parcels":
            if as_of is not None:
                return {one.parcel: one.geometry for one in self.fabric.at(as_of, ids=wanted)}
            layer = self._edited(layer)
        _, geometries, names = self._among(layer, wanted, None)
        rows = names.get_indexer(pd.Index(wanted))
        return {name: geometries[row] for name, row in zip(wanted, rows, strict=True) if row >= 0}

    def standing(self, role: str) -> Layer:
        """A layer as it is now: parcels as their fabric changed them, held ground as the ledger says."""
        if role == placed.ROLE:
            return placed.layer(self.ledger)
        layer = self._layer(role)
        return self._edited(layer) if role == "parcels" else layer

    def standing_at_once(self, role: str) -> Layer | None:
        """A layer as it is now where that can be told without waiting for a disk, a writer or another machine; else
        None. Not for parcels and held ground."""
        return None

    def whole(self, layer: Layer) -> tuple[pd.DataFrame, Geoms]:
        """A layer's features, uncut, in stored order. UnknownName where it is a grid."""
        return placed.whole(self.ledger, layer) if layer.role == placed.ROLE else self._features(layer)

    def _layer(self, role: str, version: int | None = None, as_of: date | None = None) -> Layer:
        among = self.layers(as_of) if version is None else self.versions(role)
        layer = next((one for one in among if one.role == role and version in (None, one.version)), None)
        if layer is None:
            named = role if version is None else f"{role} version {version}"
            raise UnknownName(f"this county has no layer {named!r}", role=role)
        return layer

    def _among(
        self, layer: Layer, ids: list[str] | None, bounds: Bounds | None
    ) -> tuple[pd.DataFrame, Geoms, pd.Index]:
        """At least the features with these ids that touch these bounds, in stored order, and all of their ids."""
        return *self._features(layer), self._ids[key_of(layer)]

    def _features(self, layer: Layer) -> tuple[pd.DataFrame, Geoms]:
        """A layer's features, whole; kept for as long as the process lives, because people look again and again."""
        if role(layer.role).is_raster:
            raise UnknownName(f"the layer {layer.role!r} is a grid and has no features", role=layer.role)
        key = key_of(layer)
        if key not in self._whole:
            if layer.edits is None:
                table, geometries = self._kept(layer, snapshot.read_whole)
            else:
                whole = self._features(replace(layer, edits=None))
                table, geometries = fabric.patched_table(*whole, self.fabric.changes(layer.version, layer.edits))
                for old in [one for one in self._whole if one.startswith(f"{layer.digest}+")]:
                    del self._whole[old], self._ids[old]
            self._ids[key] = pd.Index(table["id"])
            self._whole[key] = table, geometries
        return self._whole[key]

    def _edited(self, layer: Layer, as_of: date | None = None) -> Layer:
        """The parcels as the fabric changed them since their survey, on all ground that was ever surveyed for them."""
        try:
            edits = self.fabric.edits(layer.version, as_of)
        except Unreachable:
            raise
        except ParkError:
            log.exception("the parcel fabric cannot be read")
            return layer
        return layer if edits is None else self._with_edits(layer, edits)

    def _with_edits(self, layer: Layer, edits: int) -> Layer:
        if layer.version not in self._extents:
            earlier = [one.extent for one in self.versions(layer.role) if one.version < layer.version]
            more = [extent for extent in earlier if not layer.extent.covers(extent)]
            self._extents[layer.version] = shapely.union_all([layer.extent, *more]) if more else layer.extent
        return replace(layer, edits=edits, extent=self._extents[layer.version])

    def at(self, as_of: date | None = None, for_year: int | None = None) -> StoredWorld:
        """The county as it was known on a day (default: now), asked for a year (default: that day's)."""
        day = as_of or datetime.now(UTC).date()
        known = {one.role: one for one in self.layers(as_of)}
        if "parcels" in known:
            known["parcels"] = self._edited(known["parcels"], as_of)
        seq = self.ledger.seq_at(as_of) if as_of is not None else None
        known[placed.ROLE] = placed.layer(self.ledger, seq)
        return StoredWorld(self, day, for_year or day.year, known, until=seq)

    def seen(self, labels: Mapping[str, str], as_of: date, for_year: int, pools: Mapping[str, float]) -> StoredWorld:
        """The county exactly as an answer saw it: by its layers' labels and its balances, whatever came since."""
        return StoredWorld(self, as_of, for_year, {role: self._labelled(role, labels[role]) for role in labels}, pools)

    def left(self, until: int | None = None) -> Left:
        """What is left by account, after an entry of the ledger or (default) by now."""
        if until is not None:
            return Left(until, pools(self.ledger.balances(until=until)))
        self._pools = known = self.ledger.left(self._pools)
        return known

    def pools(self, until: int | None = None) -> Mapping[str, float]:
        return self.left(until).by_account

    def _labelled(self, role: str, label: str) -> Layer:
        if role == placed.ROLE:
            return placed.labelled(label)
        known = self.versions(role)
        if edited := re.match(r"parcels@\d+\+(\d+):", label):
            known = [self._with_edits(layer, int(edited[1])) for layer in known]
        found = next((layer for layer in known if layer.label == label), None)
        if found is None:
            raise UnknownName(f"this county has no layer {label}", role=role)
        return found

    def snapshot(self, layer: Layer) -> Snapshot | Raster:
        """A layer ready to be measured: from memory, from the cache folder, or rebuilt from the county file."""
        key = key_of(layer), layer.version
        if key not in self._snapshots and layer.edits is not None:
            base = self.snapshot(replace(layer, edits=None))
            assert isinstance(base, Snapshot)
            made = fabric.patched(base, layer, self.fabric.changes(layer.version, layer.edits))
            for old in [one for one in self._snapshots if one[0].startswith(f"{layer.digest}+")]:
                self._snapshots.pop(old, None)
            self._snapshots[key] = made
        if key not in self._snapshots:
            is_raster = role(layer.role).is_raster
            self._snapshots[key] = (
                self._kept(layer, snapshot.read_raster) if is_raster else self._kept(layer, snapshot.read)
            )
        return self._snapshots[key]

    def _kept(self, layer: Layer, read: Callable[[Path, Layer], T]) -> T:
        """What `read` finds in the layer's cache folder, which is made again where it is not whole."""
        folder = self.cache / layer.digest
        with self._lock:
            if not self._has(table_of(layer)):
                raise StoreBroken(f"the layer {layer.label} is gone from the {self._kept_in}", role=layer.role)
            try:
                return read(folder, layer)
            except StoreBroken:
                log.warning("rebuilding the snapshot of %s", layer.label)
                self._rebuild(layer, folder)
                return read(folder, layer)

    def _rebuild(self, layer: Layer, folder: Path) -> None:
        try:
            if role(layer.role).is_raster:
                snapshot.write_raster(folder, self._read_grid(layer))
            else:
                snapshot.write(folder, *self._read_features(table_of(layer), layer.role))
        except self._unreadable as error:
            raise StoreBroken(
                f"the layer {layer.label} cannot be read from the {self._kept_in}", role=layer.role
            ) from error
