"""The default store: one GeoPackage file is the whole county, and QGIS opens it.

GDAL writes a new layer into a file of its own beside the county; SQLite then moves its tables over in one
transaction together with the catalogue row, so that a layer is there wholly or not at all. The two libraries
never have the county file open in one process: closing it in one would drop the locks of the other.

Measuring reads the snapshot in `<county>.cache/<digest>`, which is rebuilt from the file when it is missing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
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

from layers import gpkg_tables, snapshot
from layers.crs import working
from layers.errors import BadInput, Fault, ParkError, StoreBroken, UnknownName
from layers.ingest import Prepared
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
CREATE TABLE IF NOT EXISTS parkplan_pools (
    account TEXT PRIMARY KEY, unit TEXT NOT NULL, balance REAL, source TEXT, confidence TEXT, note TEXT);
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
POOL_COLUMNS = ["account", "unit", "balance", "source", "confidence", "note"]


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


class GeoPackage:
    """A county kept in one GeoPackage file. Safe to share between threads; open one per process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cache = path.with_suffix(".cache")
        self._lock = threading.RLock()
        self._snapshots: dict[tuple[str, int], Snapshot | Raster] = {}
        self._whole: dict[str, tuple[pd.DataFrame, Geoms]] = {}
        self._ids: dict[str, pd.Index] = {}
        self._pools: tuple[Any, dict[str, float]] | None = None
        self._catalogue: dict[tuple[Any, date | None], list[Layer]] = {}
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.set_busy_timeout(10_000)
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            facts = dict(self._db.execute("SELECT key, value FROM parkplan_county"))
            with self._db:
                self._db.execute(SCHEMA)
                self._catch_up()
            self.name: str = facts["name"]
            self.crs = CRS.from_user_input(facts["crs"])
        except (apsw.Error, KeyError, CRSError) as error:
            raise StoreBroken(f"{path.name} cannot be opened as a county ({error})", county=path.name) from error
        self._db.transaction_mode = "IMMEDIATE"  # a reader that turns writer would not wait for the other writer
        for folder in (path.parent, self.cache):
            snapshot.sweep(folder)

    def _catch_up(self) -> None:
        """Columns that a county file of an earlier version does not have yet."""
        for table, columns in LATER.items():
            have = {name for (name,) in self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))}
            for name in columns.keys() - have:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    # --- layers -----------------------------------------------------------------------------------

    def put(self, prepared: Prepared, *, by: str, approved_by: str | None = None) -> Layer:
        """Store a new version of a layer beside the older ones; wholly or not at all."""
        wanted = prepared.layer
        with self._lock, _told(self.path, "written"), snapshot.staging(self.path.parent) as staging:
            version = 1 + max((old.version for old in self.layers() if old.role == wanted.role), default=0)
            table = f"{wanted.role}_v{version}"
            place = staging / "layer.gpkg"
            folder = self.cache / wanted.digest
            if prepared.raster is None:
                gpkg_tables.write_features(place, table, prepared, self.crs)
                snapshot.write(folder, prepared.features, prepared.geometries)
            else:
                gpkg_tables.write_grid(place, table, prepared.raster, self.crs)
                snapshot.write_raster(folder, prepared.raster)
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            with self._attached(place), self._db:
                gpkg_tables.adopt(self._db, table, f"{role(wanted.role).zh} {wanted.role} v{version}")
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
            "SELECT role, max(version), digest, source, extent, loaded, rejected, vintage, synthetic,"
            " imported_at, fields, found, accuracy_m, classification, imported_by, approved_by"
            " FROM parkplan_layers WHERE imported_at <= ? GROUP BY role",
            (until,),
        )
        found = [
            Layer(
                *(r, v, d, s, shapely.from_wkb(e), n, out, vin, bool(syn), at, json.loads(fields), json.loads(found)),
                *said,
            )
            for r, v, d, s, e, n, out, vin, syn, at, fields, found, *said in rows
        ]
        order = list(roles())
        return sorted(found, key=lambda layer: order.index(layer.role))

    def bounds(self) -> Bounds | None:
        boxes = [layer.extent.bounds for layer in self.layers() if not layer.extent.is_empty]
        return union_bounds(boxes) if boxes else None

    def frame(self, role: str, *, ids: Iterable[str] | None = None, bounds: Bounds | None = None) -> gpd.GeoDataFrame:
        """The latest version's features, whole, in the working CRS; UnknownName where the role is not loaded."""
        layer = self._layer(role)
        table, geometries = self._features(layer)
        rows = np.arange(len(table))
        if ids is not None:
            found = self._ids[layer.digest].get_indexer(pd.Index(list(ids)))
            rows = np.sort(found[found >= 0])
        if bounds is not None:
            rows = rows[shapely.intersects(geometries[rows], shapely.box(*bounds))]
        return gpd.GeoDataFrame(table.iloc[rows].reset_index(drop=True), geometry=geometries[rows], crs=self.crs)

    def ground(self, role: str, ids: Iterable[str]) -> dict[str, shapely.Geometry]:
        """The geometries of the named features of the latest version; names it does not have are absent."""
        layer = self._layer(role)
        _, geometries = self._features(layer)
        wanted = list(ids)
        rows = self._ids[layer.digest].get_indexer(pd.Index(wanted))
        return {name: geometries[row] for name, row in zip(wanted, rows, strict=True) if row >= 0}

    def _layer(self, role: str) -> Layer:
        layer = next((one for one in self.layers() if one.role == role), None)
        if layer is None:
            raise UnknownName(f"this county has no layer {role!r}", role=role)
        return layer

    def _features(self, layer: Layer) -> tuple[pd.DataFrame, Geoms]:
        """A layer's features, whole; kept for as long as the process lives, because people look again and again."""
        if role(layer.role).is_raster:
            raise UnknownName(f"the layer {layer.role!r} is a grid and has no features", role=layer.role)
        if layer.digest not in self._whole:
            table, geometries = self._kept(layer, snapshot.read_whole)
            self._ids[layer.digest] = pd.Index(table["id"])
            self._whole[layer.digest] = table, geometries
        return self._whole[layer.digest]

    def at(self, as_of: date | None = None, for_year: int | None = None) -> World:
        """The county as it was known on a day (default: now), asked for a year (default: that day's)."""
        day = as_of or datetime.now(UTC).date()
        return GeoPackageWorld(self, day, for_year or day.year, {one.role: one for one in self.layers(as_of)})

    def _snapshot(self, layer: Layer) -> Snapshot | Raster:
        """A layer ready to be measured: from memory, from the cache folder, or rebuilt from the county file."""
        key = layer.digest, layer.version
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

    # --- pools and documents ----------------------------------------------------------------------

    def put_pools(self, pools: pd.DataFrame) -> None:
        """Set balances by account; an account that is not named keeps its own."""
        rows = pools.reindex(columns=POOL_COLUMNS).astype(object).where(lambda frame: frame.notna(), None)
        with self._lock, _told(self.path, "written"), self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO parkplan_pools VALUES (?,?,?,?,?,?)",
                list(rows.itertuples(index=False, name=None)),
            )

    def pools(self) -> dict[str, float]:
        """Balances by account. A replaced row gets a new rowid, so that two numbers tell whether anything changed."""
        (stamp,) = self._rows("SELECT max(rowid), count(*) FROM parkplan_pools")
        if self._pools is None or self._pools[0] != stamp:
            rows = self._rows("SELECT account, balance FROM parkplan_pools")
            read = {str(account): float("nan") if left is None else float(str(left)) for account, left in rows}
            self._pools = (stamp, read)
        return self._pools[1]

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> str:
        """Keep a document; returns it as the JSON text that was kept."""
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        with self._lock, _told(self.path, "written"), self._db:
            self._db.execute("INSERT OR REPLACE INTO parkplan_documents VALUES (?,?,?,?)", (kind, key, text, now))
        return text

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

    def __init__(self, store: GeoPackage, as_of: date, for_year: int, layers: Mapping[str, Layer]) -> None:
        self._store = store
        self._layers = layers
        self.as_of = as_of
        self.for_year = for_year
        self.crs = store.crs
        self._pools: Mapping[str, float] | None = None

    def near(self, role: str, bounds: Bounds) -> Snapshot | None:
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
            self._pools = self._store.pools()
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
