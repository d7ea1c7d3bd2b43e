"""The default store: one GeoPackage file is the whole county, and QGIS opens it.

GDAL writes a new layer into a file of its own beside the county; SQLite then moves its tables over in one
transaction together with the catalogue row, so that a layer is there wholly or not at all. The two libraries
never have the county file open in one process: closing it in one would drop the locks of the other.

Measuring reads the snapshot in `<county>.cache/<digest>`, which is rebuilt from the file when it is missing.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import apsw
import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError

from layers import fabric, gpkg_fabric, gpkg_fabric_sql, gpkg_tables, snapshot
from layers.crs import working
from layers.errors import BadInput, Fault, ParkError, StoreBroken, UnknownName
from layers.ingest import Prepared
from layers.ledger import placed, sqlite_sql
from layers.ledger.keeping import pools
from layers.ledger.sqlite import SqliteLedger
from layers.records import Bounds, Geoms, Layer, Raster, Snapshot, World, union_bounds
from layers.schema import role, roles

log = logging.getLogger(__name__)
T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS parkplan_layers (
    role TEXT NOT NULL, version INTEGER NOT NULL, table_name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,
    source TEXT NOT NULL, vintage TEXT, extent BLOB NOT NULL, loaded INTEGER NOT NULL, rejected INTEGER NOT NULL,
    synthetic INTEGER NOT NULL, fields TEXT NOT NULL, imported_at TEXT NOT NULL, imported_by TEXT NOT NULL,
    found TEXT NOT NULL DEFAULT '{}', accuracy_m REAL, classification TEXT NOT NULL DEFAULT '内部', approved_by TEXT,
    PRIMARY KEY (role, version));
CREATE TABLE IF NOT EXISTS parkplan_documents (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, saved_at TEXT NOT NULL, PRIMARY KEY (kind, key));
"""
# Columns that came after the first county files; a file without them gets them when it is opened.
LATER = {
    "parkplan_layers": {
        "found": "TEXT NOT NULL DEFAULT '{}'",
        "accuracy_m": "REAL",
        "classification": "TEXT NOT NULL DEFAULT '内部'",
        "approved_by": "TEXT",
    }
}
CATALOGUE = (
    "role, version, digest, source, extent, loaded, rejected, vintage, synthetic, imported_at, fields, found,"
    " accuracy_m, classification, imported_by, approved_by"
)


def create(path: Path, name: str, crs: str) -> GeoPackage:
    """A new, empty county. Raises BadInput where the file exists or the CRS cannot be worked in."""
    if path.suffix.lower() != ".gpkg":
        fix = f"Call it {path.name}.gpkg; counties are kept in GeoPackage files"
        raise BadInput(f"{path.name} is not a name for a county file", [Fault("it does not end in .gpkg", fix)])
    if path.exists():
        raise BadInput(f"{path.name} exists already", [Fault("it would be overwritten", "Choose another name")])
    wkt = working(crs).to_wkt()
    facts = pd.DataFrame({"key": ["name", "crs", "format"], "value": [name, wkt, "1"]})
    with _told(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with snapshot.staging(path.parent) as place:
            made = place / "county.gpkg"
            pyogrio.write_dataframe(
                facts, made, layer="parkplan_county", driver="GPKG", dataset_options=gpkg_tables.GPKG
            )
            made.rename(path)
    return GeoPackage(path)


@contextlib.contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """What SQLite, GDAL and the disk say of the county file, in our words."""
    try:
        yield
    except (apsw.Error, OSError, DataSourceError, DataLayerError, RasterioError) as error:
        raise StoreBroken(f"{path.name} cannot be {what} ({error})", county=path.name) from error


def _key(layer: Layer) -> str:
    """Names a layer's content in this process's memory."""
    return layer.digest if layer.edits is None else f"{layer.digest}+{layer.edits}"


def _layer_of(row: Any) -> Layer:
    role, version, digest, source, extent, loaded, rejected, vintage, synthetic, at, fields, found, *said = row
    read = (role, version, digest, source, shapely.from_wkb(extent), loaded, rejected, vintage, bool(synthetic), at)
    return Layer(*read, json.loads(fields), json.loads(found), *said)


class GeoPackage:
    """A county kept in one GeoPackage file. Safe to share between threads; open one per process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cache = path.with_suffix(".cache")
        self._lock = threading.RLock()
        self._snapshots: dict[tuple[str, int], Snapshot | Raster] = {}
        self._whole: dict[str, tuple[pd.DataFrame, Geoms]] = {}
        self._ids: dict[str, pd.Index] = {}
        self._pools: tuple[int, dict[str, float]] | None = None
        self._catalogue: dict[tuple[Any, date | None], list[Layer]] = {}
        self._extents: dict[int, shapely.Geometry] = {}  # of the parcels, by version, with those of earlier ones
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.set_busy_timeout(10_000)
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            facts = dict(self._db.execute("SELECT key, value FROM parkplan_county"))
            with self._db:
                self._db.execute(SCHEMA)
                self._db.execute(gpkg_fabric_sql.SCHEMA)
                self._db.execute(sqlite_sql.SCHEMA)
                self._catch_up()
            self.name: str = facts["name"]
            self.crs = CRS.from_user_input(facts["crs"])
        except (apsw.Error, KeyError, CRSError) as error:
            raise StoreBroken(f"{path.name} cannot be opened as a county ({error})", county=path.name) from error
        self._db.transaction_mode = "IMMEDIATE"  # a reader that turns writer would not wait for the other writer
        told = functools.partial(_told, path)
        self.fabric = gpkg_fabric.GeoPackageFabric(self._db, self._lock, told, self.crs)
        self.ledger = SqliteLedger(path, told)
        for folder in (path.parent, self.cache):
            snapshot.sweep(folder)

    def _catch_up(self) -> None:
        """Columns that a county file of an earlier version does not have yet."""
        for table, columns in LATER.items():
            have = {name for (name,) in self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))}
            for name in columns.keys() - have:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def close(self) -> None:
        self.ledger.close()
        with self._lock:
            self._db.close()

    # --- layers -----------------------------------------------------------------------------------

    def put(self, prepared: Prepared, *, by: str, approved_by: str | None = None) -> Layer:
        """Store a new version of a layer beside the older ones; wholly or not at all."""
        wanted = prepared.layer
        if role(wanted.role).kept:
            fix = "Reserve ground; the layer follows"
            fault = Fault("the county keeps it itself", fix, layer=wanted.role)
            raise BadInput(f"{wanted.role} is not imported", [fault])
        with (
            self._lock,
            _told(self.path, "written"),
            snapshot.staging(self.path.parent) as staging,
            ThreadPoolExecutor(1) as beside,
        ):
            version = 1 + max((old.version for old in self.layers() if old.role == wanted.role), default=0)
            table = f"{wanted.role}_v{version}"
            place = staging / "layer.gpkg"
            folder = self.cache / wanted.digest
            if prepared.raster is None:
                whole = prepared.features, prepared.geometries, prepared.wkb
                cutting = beside.submit(snapshot.write, folder, *whole)  # GEOS computes while SQLite writes
                gpkg_tables.write_features(place, table, prepared, self.crs)
            else:
                cutting = beside.submit(snapshot.write_raster, folder, prepared.raster)
                gpkg_tables.write_grid(place, table, prepared.raster, self.crs)
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            with self._attached(place), self._db:
                if wanted.role == "parcels":
                    self.fabric.catch_up()
                gpkg_tables.adopt(self._db, table, f"{role(wanted.role).zh} {wanted.role} v{version}")
                cutting.result()  # what cannot be measured is not stored
                self._db.execute(
                    "INSERT INTO parkplan_layers (role, version, table_name, digest, source, vintage, extent, loaded,"
                    " rejected, synthetic, fields, imported_at, imported_by, found, accuracy_m, classification,"
                    " approved_by) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    (
                        wanted.role,
                        version,
                        table,
                        wanted.digest,
                        wanted.source,
                        wanted.vintage,
                        shapely.to_wkb(wanted.extent),
                        wanted.loaded,
                        wanted.rejected,
                        int(wanted.synthetic),
                        json.dumps(wanted.fields, ensure_ascii=False),
                        now,
                        by,
                        json.dumps(wanted.found, ensure_ascii=False),
                        wanted.accuracy_m,
                        wanted.classification,
                        approved_by,
                    ),
                )
                if wanted.role == "parcels":
                    self.fabric.survey(version, prepared.features, prepared.geometries)
        return next(layer for layer in self.layers() if layer.role == wanted.role)

    @contextlib.contextmanager
    def _attached(self, place: Path) -> Iterator[None]:
        self._db.execute("ATTACH ? AS staging", (str(place),))
        try:
            yield
        finally:
            self._db.execute("DETACH staging")

    def _rows(self, sql: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        with self._lock, _told(self.path, "read"):
            return list(self._db.execute(sql, bindings))

    def layers(self, as_of: date | None = None) -> list[Layer]:
        """The latest version of every layer known at the end of that day, in the order of the roles."""
        with self._lock:
            ((count,),) = self._rows("SELECT count(*) FROM parkplan_layers")  # rows are only ever added
            if (count, as_of) not in self._catalogue:
                self._catalogue = {(count, as_of): self._read_catalogue(as_of)}
            return list(self._catalogue[count, as_of])

    def _read_catalogue(self, as_of: date | None) -> list[Layer]:
        until = f"{as_of.isoformat()}T99" if as_of else "9999"
        rows = self._rows(
            f"SELECT {CATALOGUE.replace('version', 'max(version)')} FROM parkplan_layers"
            " WHERE imported_at <= ? GROUP BY role",
            (until,),
        )
        found = [_layer_of(row) for row in rows]
        order = list(roles())
        return sorted(found, key=lambda layer: order.index(layer.role))

    def versions(self, role: str) -> list[Layer]:
        """Every version of a role that was ever stored, the oldest first; UnknownName where there is none."""
        rows = self._rows(f"SELECT {CATALOGUE} FROM parkplan_layers WHERE role = ? ORDER BY version", (role,))
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
        table, geometries = self._features(layer)
        rows = np.arange(len(table))
        if ids is not None:
            found = self._ids[_key(layer)].get_indexer(pd.Index(list(ids)))
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
        _, geometries = self._features(layer)
        rows = self._ids[_key(layer)].get_indexer(pd.Index(wanted))
        return {name: geometries[row] for name, row in zip(wanted, rows, strict=True) if row >= 0}

    def _layer(self, role: str, version: int | None = None, as_of: date | None = None) -> Layer:
        among = self.layers(as_of) if version is None else self.versions(role)
        layer = next((one for one in among if one.role == role and version in (None, one.version)), None)
        if layer is None:
            named = role if version is None else f"{role} version {version}"
            raise UnknownName(f"this county has no layer {named!r}", role=role)
        return layer

    def _features(self, layer: Layer) -> tuple[pd.DataFrame, Geoms]:
        """A layer's features, whole; kept for as long as the process lives, because people look again and again."""
        if role(layer.role).is_raster:
            raise UnknownName(f"the layer {layer.role!r} is a grid and has no features", role=layer.role)
        key = _key(layer)
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

    def at(self, as_of: date | None = None, for_year: int | None = None) -> World:
        """The county as it was known on a day (default: now), asked for a year (default: that day's)."""
        day = as_of or datetime.now(UTC).date()
        known = {one.role: one for one in self.layers(as_of)}
        if "parcels" in known:
            known["parcels"] = self._edited(known["parcels"], as_of)
        seq = self.ledger.seq_at(as_of) if as_of is not None else None
        known[placed.ROLE] = placed.layer(self.ledger, seq)
        return GeoPackageWorld(self, day, for_year or day.year, known, until=seq)

    def seen(self, labels: Mapping[str, str], as_of: date, for_year: int, pools: Mapping[str, float]) -> World:
        """The county exactly as an answer saw it: by its layers' labels and its balances, whatever came since."""
        return GeoPackageWorld(
            self, as_of, for_year, {role: self._labelled(role, labels[role]) for role in labels}, pools
        )

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

    def _snapshot(self, layer: Layer) -> Snapshot | Raster:
        """A layer ready to be measured: from memory, from the cache folder, or rebuilt from the county file."""
        key = _key(layer), layer.version
        if key not in self._snapshots and layer.edits is not None:
            base = self._snapshot(replace(layer, edits=None))
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
        table, folder = f"{layer.role}_v{layer.version}", self.cache / layer.digest
        with self._lock:
            if not self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)):
                raise StoreBroken(f"the layer {layer.label} is gone from the county file", role=layer.role)
            try:
                return read(folder, layer)
            except StoreBroken:
                log.warning("rebuilding the snapshot of %s", layer.label)
                self._rebuild(layer, table, folder)
                return read(folder, layer)

    def _rebuild(self, layer: Layer, table: str, folder: Path) -> None:
        try:
            if role(layer.role).is_raster:
                snapshot.write_raster(folder, gpkg_tables.read_grid(self._db, table, layer))
            else:
                features, geometries = gpkg_tables.read_features(self._db, table, layer.role)
                snapshot.write(folder, features, geometries)
        except (apsw.Error, OSError, shapely.errors.GEOSException, RasterioError, LookupError, TypeError) as error:
            raise StoreBroken(
                f"the layer {layer.label} cannot be read from the county file", role=layer.role
            ) from error

    # --- balances and documents -------------------------------------------------------------------

    def pools(self, until: int | None = None) -> dict[str, float]:
        """What is left by account, after an entry of the ledger or (default) by now."""
        if until is not None:
            return pools(self.ledger.balances(until=until))
        self.ledger.sweep()
        last = self.ledger.last()
        if self._pools is None or self._pools[0] != last:
            self._pools = (last, pools(self.ledger.balances()))
        return self._pools[1]

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> str:
        """Keep a document; returns it as the JSON text that was kept."""
        return self.save_all([(kind, key, body)])[0]

    def save_all(self, documents: Iterable[tuple[str, str, Mapping[str, Any]]]) -> builtins.list[str]:
        """Keep documents (kind, key, body), all or none of them; returns their JSON texts."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        rows = [(kind, key, json.dumps(body, ensure_ascii=False, allow_nan=False)) for kind, key, body in documents]
        with self._lock, _told(self.path, "written"), self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO parkplan_documents VALUES (?,?,?,?)", [(*row, now) for row in rows]
            )
        return [text for _, _, text in rows]

    def stamp(self, kind: str) -> str:
        """Changes whenever a document of the kind does."""
        return str(self._rows("SELECT count(*), max(saved_at) FROM parkplan_documents WHERE kind = ?", (kind,)))

    def load(self, kind: str, key: str) -> dict[str, Any]:
        rows = self._rows("SELECT body FROM parkplan_documents WHERE kind = ? AND key = ?", (kind, key))
        if not rows:
            raise UnknownName(f"no {kind} {key!r}", **{kind: key})
        body: dict[str, Any] = json.loads(rows[0][0])
        return body

    def list(self, kind: str) -> list[dict[str, Any]]:
        rows = self._rows("SELECT body FROM parkplan_documents WHERE kind = ? ORDER BY key", (kind,))
        return [json.loads(body) for (body,) in rows]


class GeoPackageWorld:
    """The county as of one day, asked for one year. What opens later is not there yet."""

    def __init__(
        self,
        store: GeoPackage,
        as_of: date,
        for_year: int,
        layers: Mapping[str, Layer],
        pools: Mapping[str, float] | None = None,
        until: int | None = None,
    ) -> None:
        self._store = store
        self._layers = layers
        self.as_of = as_of
        self.for_year = for_year
        self.crs = store.crs
        self._pools = pools
        self._until = until

    def near(self, role: str, bounds: Bounds) -> Snapshot | None:
        if role == placed.ROLE:  # changes all the time, and only what is near matters
            return placed.snapshot(self._store.ledger, self._layers[role], bounds) if role in self._layers else None
        # The whole layer is mapped once per process, so that a window of it would cost more than all of it.
        found = self._load(role)
        if not isinstance(found, Snapshot):
            return None
        if "open_year" in found.features:
            opens = found.once("open_year", lambda layer: layer.features["open_year"].to_numpy(dtype=float))
            return found.once(("open", self.for_year), lambda layer: layer.where(~(opens > self.for_year)))
        return found

    def raster(self, role: str) -> Raster | None:
        found = self._load(role)
        return found if isinstance(found, Raster) else None

    def pools(self) -> Mapping[str, float]:
        if self._pools is None:
            self._pools = self._store.pools(self._until)
        return self._pools

    def _load(self, role: str) -> Snapshot | Raster | None:
        layer = self._layers.get(role)
        if layer is None:
            return None
        try:
            return self._store._snapshot(layer)
        except (ParkError, OSError):
            # A layer that cannot be read is a layer nobody loaded: the rules on it answer unknown.
            log.exception("the layer %s cannot be read", layer.label)
            return None
