"""The store for several people at once: a county is a schema of a PostgreSQL database with PostGIS.

It stores, indexes and locks; it does not judge. Measuring reads the same snapshots as beside a county file, from a
cache folder of this machine, so that both stores give the same answers. An import is one transaction: the layer's
table, its catalogue row and what it does to the parcels are there together or not at all.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psycopg
import pyarrow as pa
import sqlalchemy as sa
from psycopg import sql
from pyproj import CRS
from pyproj.exceptions import CRSError

from layers import migrations, places, postgis_tables, snapshot
from layers.crs import working
from layers.errors import BadInput, Fault, StoreBroken, UnknownName
from layers.ingest import Prepared
from layers.ledger.postgres import PostgresLedger
from layers.places import Url
from layers.postgis_fabric import PostgisFabric
from layers.postgres import IMPORT_S, Connection, PostgresTables, connect, told
from layers.records import Bounds, Geoms, Layer, Raster
from layers.schema import role
from layers.shelf import Shelf, key_of, table_of


def create(county: str | Path, name: str, crs: str) -> PostGIS:
    """A new, empty county in a schema of its own. BadInput where there is one, or the CRS cannot be worked in."""
    place = places.url(county)
    wanted = working(crs)
    with contextlib.closing(connect(place)) as first:
        extend(first, place)
        srid = _srid(first, wanted)
    with _engine(place, "founded") as begun:
        if migrations.current(begun, place.schema) is not None:
            fix = f"Choose another: {places.EXAMPLE}"
            raise BadInput(f"{place.label} exists already", [Fault("there is a county in this schema", fix)])
        begun.execute(sa.schema.CreateSchema(place.schema, if_not_exists=True))
        migrations.upgrade(begun, place.schema)
        facts = {"name": name or place.schema, "crs": wanted.to_wkt(), "format": "1", "srid": str(srid)}
        rows = [{"key": key, "value": value} for key, value in facts.items()]
        begun.execute(sa.text("INSERT INTO parkplan_county (key, value) VALUES (:key, :value)"), rows)
    return PostGIS(county)


@contextlib.contextmanager
def _engine(place: Url, what: str) -> Iterator[sa.Connection]:
    """A transaction of SQLAlchemy for migrations, with errors in our words."""
    engine = migrations.engine(place)
    try:
        with told(place.label, what), engine.begin() as begun:
            yield begun
    except sa.exc.DBAPIError as error:
        with told(place.label, what):
            raise error.orig if isinstance(error.orig, psycopg.Error) else error from error
    finally:
        engine.dispose()


def extend(connection: Connection, place: Url) -> None:
    """PostGIS in the database, made where we may."""
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone():
        return
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public")
    except psycopg.Error as error:
        fix = (
            f"Install PostGIS on the server, and let an administrator run in {place.database}: CREATE EXTENSION postgis"
        )
        said = error.diag.message_primary or type(error).__name__
        raise BadInput(f"the database {place.database} has no PostGIS", [Fault(said, fix)]) from error


def _srid(connection: Connection, crs: CRS) -> int:
    """The number PostGIS knows the CRS by; 0, which is none, for a grid without one."""
    code = crs.to_epsg(min_confidence=100)
    known = connection.execute("SELECT 1 FROM spatial_ref_sys WHERE srid = %s", (code,)).fetchone() if code else None
    return code if code and known else 0


def migrate(county: str | Path, revision: str = "head") -> tuple[str | None, str | None]:
    """Bring a county's tables to a revision, forward or back; returns what it was at and is at.

    BadInput where there is no such revision, or a step back would lose what cannot be had again.
    """
    place = places.url(county)
    with _engine(place, "migrated") as begun:
        was = migrations.current(begun, place.schema)
        if was is None:
            raise UnknownName(f"there is no county in {place.label}", county=place.label)
        wanted = migrations.newest() if revision == "head" else revision
        try:
            if wanted == "base" or wanted < was:
                migrations.downgrade(begun, place.schema, wanted)
            else:
                migrations.upgrade(begun, place.schema, wanted)
        except RuntimeError as error:  # raised by a step that refuses
            fix = "Make a backup and stay at this version, or export what is to be kept first"
            raise BadInput(f"{place.label} cannot be taken back to {wanted}", [Fault(str(error), fix)]) from error
        except migrations.CommandError as error:
            fix = f"The newest is {migrations.newest()}"
            raise BadInput(f"there is no version {revision!r} of the tables", [Fault(str(error), fix)]) from error
        return was, migrations.current(begun, place.schema)


class PostGIS(Shelf):
    """A county in a database. Safe to share between threads and machines; open one per process.

    `tables.transaction()` gives a connection in a transaction of the county's schema, and `tables.alone(what)` a lock
    in it, to whatever else keeps its rows beside the layers.
    """

    # Numbers of rows only grow, so that any change that others may see makes the sum another.
    _documents_stamp = "SELECT kind, count(*), sum(written) FROM parkplan_documents"
    _unreadable = (psycopg.Error, pa.ArrowException, *Shelf._unreadable)
    _kept_in = "database"
    _tables: PostgresTables

    def __init__(self, county: str | Path) -> None:
        super().__init__()
        self.place = place = places.url(county)
        self.cache = places.snapshots(place)
        examine(place)
        self.tables = self._tables = PostgresTables(place)
        try:
            facts = dict(self._tables.all("SELECT key, value FROM parkplan_county"))
            self.name, self._srid = facts["name"], int(facts["srid"])
            self.crs = CRS.from_user_input(facts["crs"])
        except (KeyError, ValueError, CRSError) as error:
            self._tables.close()
            raise StoreBroken(f"{place.label} cannot be opened as a county ({error})", county=place.label) from error
        except BaseException:
            self._tables.close()
            raise
        self._schemas: dict[str, pa.Schema] = {}
        self.fabric = PostgisFabric(self._tables, self.crs, self._read_features, self._srid)
        self.fabric.clock = self._tables.clock
        self.ledger = PostgresLedger(self._tables)
        self.ledger.clock = self._tables.clock
        snapshot.sweep(self.cache)

    def close(self) -> None:
        self.ledger.close()
        self._tables.close()

    def _now(self) -> str:
        return self._tables.clock().isoformat(timespec="microseconds")

    def put(self, prepared: Prepared, *, by: str, approved_by: str | None = None) -> Layer:
        """Store a new version of a layer beside the older ones; wholly or not at all."""
        self._importable(prepared)
        place = f"incoming_{secrets.token_hex(8)}"  # others may store meanwhile: the version is settled at the end
        with self._tables.transaction(timeout_s=IMPORT_S) as connection, ThreadPoolExecutor(1) as beside:
            cutting = beside.submit(self._write_snapshot, prepared)  # GEOS computes while PostgreSQL writes
            schema, grid = None, None
            if prepared.raster is None:
                schema = postgis_tables.write_features(connection, place, prepared, self._srid)
            else:
                grid = postgis_tables.write_grid(connection, place, prepared.raster)
            cutting.result()  # what cannot be measured is not stored
            self._tables.alone()
            latest = "SELECT coalesce(max(version), 0) FROM parkplan_layers WHERE role = ?"
            ((known,),) = self._tables.all(latest, (prepared.layer.role,))
            wanted = replace(prepared.layer, version=known + 1)
            if wanted.role == "parcels":
                self.fabric.catch_up()
            table = table_of(wanted)
            self._adopt(connection, place, table, f"{role(wanted.role).zh} {wanted.role} v{wanted.version}")
            self._tables.append("parkplan_tables", [(table, schema, grid)])
            self._enter(wanted, table, by, approved_by)
            if wanted.role == "parcels":
                self.fabric.survey(wanted.version, prepared.features, prepared.geometries)
        return next(layer for layer in self.versions(wanted.role) if layer.version == wanted.version)

    def _adopt(self, connection: Connection, place: str, table: str, words: str) -> None:
        """A table that came in under its name for good, with its indexes."""
        rows = self._tables.all("SELECT indexname FROM pg_indexes WHERE schemaname = ?", (self.place.schema,))
        rename = sql.SQL("ALTER {} {} RENAME TO {}")
        for (index,) in rows:
            if index.startswith(place):
                new = table + index.removeprefix(place)
                connection.execute(rename.format(sql.SQL("INDEX"), sql.Identifier(index), sql.Identifier(new)))
        connection.execute(rename.format(sql.SQL("TABLE"), sql.Identifier(place), sql.Identifier(table)))
        comment = sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(table), sql.Literal(words))
        connection.execute(comment)

    def _has(self, table: str) -> bool:
        found = "SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = ?"
        return bool(self._tables.all(found, (self.place.schema, table)))

    def _read_features(
        self, table: str, role_name: str, ids: list[str] | None = None, bounds: Bounds | None = None
    ) -> tuple[pd.DataFrame, Geoms]:
        schema = self._schema(table)
        with self._tables.connection() as connection:
            return postgis_tables.read_features(connection, table, schema, ids=ids, bounds=bounds, srid=self._srid)

    def _schema(self, table: str) -> pa.Schema:
        if table not in self._schemas:
            ((kept,),) = self._tables.all("SELECT columns FROM parkplan_tables WHERE table_name = ?", (table,))
            self._schemas[table] = pa.ipc.read_schema(pa.py_buffer(kept))
        return self._schemas[table]

    def _read_grid(self, layer: Layer) -> Raster:
        table = table_of(layer)
        ((frame,),) = self._tables.all("SELECT grid FROM parkplan_tables WHERE table_name = ?", (table,))
        with self._tables.connection() as connection:
            return postgis_tables.read_grid(connection, table, frame, layer)

    def _among(
        self, layer: Layer, ids: list[str] | None, bounds: Bounds | None
    ) -> tuple[pd.DataFrame, Geoms, pd.Index]:
        """A window of a layer that this process has not read whole comes through the indexes of its table."""
        whole = (ids is None and bounds is None) or layer.edits is not None or key_of(layer) in self._whole
        if whole or role(layer.role).is_raster or not self._has(table_of(layer)):
            return super()._among(layer, ids, bounds)
        table, geometries = self._read_features(table_of(layer), layer.role, ids, bounds)
        return table, geometries, pd.Index(table["id"], dtype=object)


def examine(place: Url) -> None:
    """Whether there is a county whose tables are ours; says so where there is not."""
    with contextlib.closing(connect(place)) as first, told(place.label, "opened"):
        found = first.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'alembic_version'", (place.schema,)
        ).fetchone()
        if found is None:
            fix = "make one with: parkplan init URL"
            raise UnknownName(f"there is no county in {place.label}; {fix}", county=place.label)
        row = first.execute("SELECT version_num FROM alembic_version").fetchone()
    at, newest = row[0] if row else None, migrations.newest()
    if at != newest:
        older = at is None or at < newest
        fix = "run: parkplan migrate URL" if older else "it needs a newer parkplan"
        raise StoreBroken(
            f"the tables of {place.label} are at version {at}, ours at {newest}; {fix}", county=place.label
        )
