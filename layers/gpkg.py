"""The default store: one GeoPackage file is the whole county, and QGIS opens it.

GDAL writes a new layer into a file of its own beside the county; SQLite then moves its tables over in one
transaction together with the catalogue row, so that a layer is there wholly or not at all. The two libraries
never have the county file open in one process: closing it in one would drop the locks of the other.

Measuring reads the snapshot in `<county>.cache/<digest>`, which is rebuilt from the file when it is missing.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import apsw
import pandas as pd
import pyogrio
from pyproj import CRS
from pyproj.exceptions import CRSError

from layers import gpkg_fabric, gpkg_tables, snapshot
from layers.crs import working
from layers.errors import BadInput, Fault, StoreBroken
from layers.ingest import Prepared
from layers.ledger import sqlite_sql
from layers.ledger.sqlite import CHECKPOINT_PAGES, SqliteLedger, patient
from layers.records import Geoms, Layer, Raster
from layers.schema import role
from layers.shelf import Shelf, table_of
from layers.sqlite_tables import SqliteTables, told

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
SCHEMA += "".join(
    f"""
CREATE TRIGGER IF NOT EXISTS parkplan_documents_{what.lower()} BEFORE {what} ON parkplan_documents
    WHEN OLD.kind IN ('rulebook', 'layers')
    BEGIN SELECT RAISE(ABORT, 'what answers were worked out from is not altered'); END;
"""
    for what in ("UPDATE", "DELETE")
)
# Columns that came after the first county files; a file without them gets them when it is opened.
LATER = {
    "parkplan_layers": {
        "found": "TEXT NOT NULL DEFAULT '{}'",
        "accuracy_m": "REAL",
        "classification": "TEXT NOT NULL DEFAULT '内部'",
        "approved_by": "TEXT",
    }
}


def create(path: Path, name: str, crs: str) -> GeoPackage:
    """A new, empty county. Raises BadInput where the file exists or the CRS cannot be worked in."""
    if path.suffix.lower() != ".gpkg":
        fix = f"Call it {path.name}.gpkg; counties are kept in GeoPackage files"
        raise BadInput(f"{path.name} is not a name for a county file", [Fault("it does not end in .gpkg", fix)])
    if path.exists():
        raise BadInput(f"{path.name} exists already", [Fault("it would be overwritten", "Choose another name")])
    wkt = working(crs).to_wkt()
    facts = pd.DataFrame({"key": ["name", "crs", "format"], "value": [name, wkt, "1"]})
    with told(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with snapshot.staging(path.parent) as place:
            made = place / "county.gpkg"
            pyogrio.write_dataframe(
                facts, made, layer="parkplan_county", driver="GPKG", dataset_options=gpkg_tables.GPKG
            )
            made.rename(path)
    return GeoPackage(path)


class GeoPackage(Shelf):
    """A county kept in one GeoPackage file. Safe to share between threads; open one per process."""

    _documents_stamp = "SELECT kind, count(*), max(saved_at) FROM parkplan_documents"
    _tables: SqliteTables
    _unreadable = (apsw.Error, *Shelf._unreadable)

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.cache = path.with_suffix(".cache")
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.set_busy_handler(patient)
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            self._db.execute(f"PRAGMA wal_autocheckpoint={2 * CHECKPOINT_PAGES}")  # the books see to it before
            facts = dict(self._db.execute("SELECT key, value FROM parkplan_county"))
            with self._db:
                self._db.execute(SCHEMA)
                self._db.execute(gpkg_fabric.SCHEMA)
                self._db.execute(sqlite_sql.SCHEMA)
                self._catch_up()
            self.name = facts["name"]
            self.crs = CRS.from_user_input(facts["crs"])
        except (apsw.Error, KeyError, CRSError) as error:
            raise StoreBroken(f"{path.name} cannot be opened as a county ({error})", county=path.name) from error
        self._db.transaction_mode = "IMMEDIATE"  # a reader that turns writer would not wait for the other writer
        self._tables = SqliteTables(self._db, path)
        self._lock = self._tables.lock
        self.fabric = gpkg_fabric.GeoPackageFabric(self._tables, self.crs, self._read_features)
        self.ledger = SqliteLedger(path, functools.partial(told, path))
        for folder in (path.parent, self.cache):
            snapshot.sweep(folder)

    def _catch_up(self) -> None:
        """Columns that a county file of an earlier version does not have yet."""
        for table, columns in LATER.items():
            have = {name for (name,) in self._db.execute("SELECT name FROM pragma_table_info(?)", (table,))}
            for name in columns.keys() - have:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")

    def standing_at_once(self, role: str) -> Layer | None:
        if not self._tables.lock.acquire(blocking=False):
            return None
        try:
            return self._layer(role)
        finally:
            self._tables.lock.release()

    def close(self) -> None:
        self.ledger.close()
        with self._lock:
            self._db.close()

    def put(self, prepared: Prepared, *, by: str, approved_by: str | None = None) -> Layer:
        """Store a new version of a layer beside the older ones; wholly or not at all."""
        self._importable(prepared)
        with (
            self._tables.told("written"),
            snapshot.staging(self.path.parent) as staging,
            ThreadPoolExecutor(1) as beside,
        ):
            known = [old.version for old in self.layers() if old.role == prepared.layer.role]
            wanted = replace(prepared.layer, version=1 + max(known, default=0))
            table, place = table_of(wanted), staging / "layer.gpkg"
            cutting = beside.submit(self._write_snapshot, prepared)  # GEOS computes while SQLite writes
            if prepared.raster is None:
                gpkg_tables.write_features(place, table, prepared, self.crs)
            else:
                gpkg_tables.write_grid(place, table, prepared.raster, self.crs)
            with self._attached(place), self._db:
                if wanted.role == "parcels":
                    self.fabric.catch_up()
                gpkg_tables.adopt(self._db, table, f"{role(wanted.role).zh} {wanted.role} v{wanted.version}")
                cutting.result()  # what cannot be measured is not stored
                self._enter(wanted, table, by, approved_by)
                if wanted.role == "parcels":
                    self.fabric.survey(wanted.version, prepared.features, prepared.geometries)
        return next(layer for layer in self.layers() if layer.role == wanted.role)

    @contextlib.contextmanager
    def _attached(self, place: Path) -> Iterator[None]:
        self._db.execute("ATTACH ? AS staging", (str(place),))
        try:
            yield
        finally:
            self._db.execute("DETACH staging")

    def _has(self, table: str) -> bool:
        return bool(self._tables.all("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)))

    def _read_features(self, table: str, role_name: str) -> tuple[pd.DataFrame, Geoms]:
        return gpkg_tables.read_features(self._db, table, role_name)

    def _read_grid(self, layer: Layer) -> Raster:
        return gpkg_tables.read_grid(self._db, table_of(layer), layer)
