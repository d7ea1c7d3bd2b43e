"""What only a county in a database can do wrong: versions of its tables, connections that drop, neighbours, secrets."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
import shapely

from api.county import County
from api.settings import Settings
from layers import fabric as ops
from layers import places, postgis, postgis_tables
from layers.access import Access
from layers.errors import BadInput, Busy, StoreBroken, UnknownName, Unreachable
from layers.ingest import from_frame
from layers.records import Part, Project, Site
from layers.store import create_store, open_store
from tests.counties import EAST as SITE_EAST
from tests.counties import NORTH as SITE_NORTH
from tests.counties import TEA, fill_county
from tests.layers.contents import EVERYWHERE, furnish, near, told, zones
from tests.layers.files import EAST, NORTH, county, frame, square, squares, write
from tests.postgres import programs, server
from tests.stores import InDatabase

pytestmark = pytest.mark.needs("postgis")
ROOT = Path(__file__).resolve().parents[2]
PAPER = ops.Document("1", date(2026, 1, 5))


@pytest.fixture
def store(databases: InDatabase) -> Iterator[Any]:
    opened = databases.new()
    yield opened
    opened.close()


def tables(databases: InDatabase, store: Any) -> set[str]:
    names = databases.sql(store, f"SELECT tablename FROM pg_tables WHERE schemaname = '{store.place.schema}'")
    return {name for (name,) in names if not name.startswith(("parkplan_", "alembic"))}


# --- where it is ----------------------------------------------------------------------------------------


def test_counties_in_one_database_do_not_see_each_other(databases):
    one, other = databases.new(), databases.new()
    one.put(zones(2), by="甲")
    other.put(zones(3), by="乙")
    one.save("project", "a", {})
    assert [len(near(store).features) for store in (one, other)] == [2, 3]
    assert (one.list("project"), other.list("project")) == ([{}], [])
    assert one.cache != other.cache
    one.close()
    other.close()


def test_a_schema_may_be_called_anything_that_postgresql_allows(databases):
    for name in ("印江县", "with space", 'quote"d', "Upper", "x" * 63):
        url = f"{databases.url}?{places.urlencode({'schema': name})}"
        store = create_store(url, "", "EPSG:4545")
        assert (store.name, store.place.schema) == (name, name)
        store.put(zones(2), by="test")
        assert len(store.frame("zones", bounds=square(1).bounds)) == 1
        store.close()
        with pytest.raises(BadInput, match="exists already"):
            create_store(url, "", "EPSG:4545")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:geheim@127.0.0.1:x/db", "a setting in the URL cannot be"),
        ("postgresql://u:gehe im@127.0.0.1/db?sslmode", "no PostgreSQL URL"),
        ("postgresql://u:geheim@127.0.0.1", "names no database"),
        ("postgresql://u:geheim@127.0.0.1/db?schema=pg_x", "schema cannot be"),
        ("postgresql://u:geheim@127.0.0.1/db?schema=a&schema=b", "schema cannot be"),
        ("postgresql://u:geheim@127.0.0.1/db?schema=" + "x" * 64, "schema cannot be"),
        ("postgresql://u:geheim@127.0.0.1:1/db", r"db/parkplan cannot be reached \(no server listens there\)"),
        ("postgresql://u:geheim@nowhere.invalid/db?schema=x", r"db/x cannot be reached \(the host is not known\)"),
    ],
)
def test_what_is_no_county_says_so_and_tells_no_secret(url, says, caplog):
    for attempt in (open_store, lambda where: create_store(where, "", "EPSG:4545")):
        with pytest.raises((BadInput, StoreBroken), match=says) as broken:
            attempt(url)
        whole = "".join(map(str, (broken.value, broken.value.facts, broken.value.__cause__, caplog.text)))
        assert not any(secret in whole for secret in ("geheim", "gehe im", "127.0.0.1", "nowhere"))


def test_a_database_without_the_county_or_without_itself_says_so(databases):
    with pytest.raises(UnknownName, match="there is no county in postgres/nobody; make one with: parkplan init"):
        open_store(f"{databases.url}?schema=nobody")
    with pytest.raises(StoreBroken, match=r"nothing/parkplan cannot be reached \(there is no such database"):
        open_store(databases.url.removesuffix("postgres") + "nothing")


def test_a_role_that_may_not_create_is_told_and_leaves_nothing(databases):
    with contextlib.closing(psycopg.connect(databases.url, autocommit=True)) as admin:
        admin.execute("DROP ROLE IF EXISTS guest")
        admin.execute("CREATE ROLE guest LOGIN PASSWORD 'geheim'")
    url = databases.url.replace("postgres@", "guest:geheim@") + "?schema=guests"
    with pytest.raises(StoreBroken, match="permission denied for database postgres") as broken:
        create_store(url, "", "EPSG:4545")
    assert "geheim" not in str(broken.value)
    with pytest.raises(UnknownName):
        open_store(f"{databases.url}?schema=guests")


def test_a_crs_that_nobody_works_in_makes_no_county(databases):
    url = databases.fresh()
    with pytest.raises(BadInput, match="projected CRS in metres"):
        create_store(url, "", "EPSG:4490")
    with pytest.raises(UnknownName):
        open_store(url)


def test_a_local_grid_is_kept_without_a_number(databases):
    custom = "+proj=tmerc +lat_0=0 +lon_0=108.5 +k=1 +x_0=500000 +ellps=GRS80 +units=m +no_defs"
    store = databases.new(custom)
    store.put(from_frame(frame(squares(3), store.crs), "parcels", source="x"), by="test")
    assert store.frame("parcels", bounds=square(1).bounds)["id"].tolist() == ["parcels-2"]
    assert [one.parcel for one in store.fabric.at(bounds=square(1).bounds)] == ["parcels-2"]
    assert databases.again(store).crs == store.crs
    store.close()


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg_pool", None)
    with pytest.raises(BadInput, match="need the extra `postgis`") as told:
        open_store("postgresql://127.0.0.1/db")
    assert "parkplan[postgis]" in str(told.value)


# --- versions of the tables -------------------------------------------------------------------------------


def test_tables_go_back_and_forward_with_what_they_hold(databases, store):
    furnish(store)
    store.put(from_frame(frame(squares(3)), "parcels", source="x"), by="test")
    store.save("project", "a", {"名": 1})
    name, before = databases.name(store), told(store)
    parcels = [(one.parcel, one.geometry.wkt, one.attributes, one.valid_from) for one in store.fabric.at()]
    store.close()
    assert postgis.migrate(name, "0001") == ("0004", "0001")
    with pytest.raises(StoreBroken, match=r"are at version 0001, ours at 0004; run: parkplan migrate URL"):
        open_store(name)
    assert postgis.migrate(name) == ("0001", "0004")
    again = open_store(name)
    try:
        assert told(again) == before
        assert again.load("project", "a") == {"名": 1}
        # the surveys are registered again from their layers
        stood = [(one.parcel, one.geometry.wkt, one.attributes, one.valid_from) for one in again.fabric.at()]
        assert stood == parcels
    finally:
        again.close()


def test_a_step_back_that_would_lose_something_is_refused(databases, store):
    store.put(from_frame(frame(squares(3)), "parcels", source="x"), by="test")
    ops.retire(store.fabric, ops.Act("retire", ("parcels-1",), PAPER, "x"))
    name = databases.name(store)
    with pytest.raises(BadInput, match="1 recorded changes of parcels would be lost"):
        postgis.migrate(name, "0001")
    with pytest.raises(BadInput, match="no version '9999'"):
        postgis.migrate(name, "9999")
    assert [one.parcel for one in store.fabric.at()] == ["parcels-2", "parcels-3"]
    empty = databases.new()
    empty.close()
    assert postgis.migrate(databases.name(empty), "base") == ("0004", None)
    assert tables(databases, empty) == set()
    with pytest.raises(UnknownName):
        postgis.migrate(databases.name(empty))
    postgis.create(databases.name(empty), "", "EPSG:4545").close()


def test_tables_of_a_newer_version_are_left_alone(databases, store):
    store.close()
    databases.sql(store, "UPDATE alembic_version SET version_num = '9998'")
    with pytest.raises(StoreBroken, match="at version 9998, ours at 0004; it needs a newer parkplan"):
        open_store(databases.name(store))


@pytest.mark.parametrize("table", ["events", "states", "ends", "links"])
def test_what_is_recorded_of_parcels_is_not_rewritten(databases, store, table):
    store.put(from_frame(frame(squares(1)), "parcels", source="x"), by="test")
    for harm in (f"DELETE FROM parkplan_parcel_{table}", f"TRUNCATE parkplan_parcel_{table}"):
        with pytest.raises(psycopg.errors.RaiseException, match="only grows"):
            databases.sql(store, harm)
    with pytest.raises(psycopg.errors.RaiseException, match="only grows"):
        databases.sql(
            store,
            f"UPDATE parkplan_parcel_{table} SET {('state', 'seq')[table == 'events']} = 1"
            if table != "links"
            else "UPDATE parkplan_parcel_links SET child = 1",
        )


# --- columns and grids -------------------------------------------------------------------------------------

STAMPS = ["2024-01-01T10:00:00.123", None, "0999-01-01T00:00:00.000"]
COLUMNS: dict[str, Any] = {
    "words": ["甲", None, 'a\n\\.\n"b",\t\\N'],
    "nothing": [None, None, None],
    "truths": [True, False, True],
    "half_truths": [True, None, False],
    "whole": [1, -(2**60), 0],
    "short": np.array([1, 2, -3], np.int16),
    "bytes": np.array([1, 2, 255], np.uint8),
    "huge": np.array([1, 2, 2**64 - 1], np.uint64),
    "missing": pd.arrays.IntegerArray(np.array([1, 0, 3]), np.array([False, True, False])),
    "real": [1.5, np.nan, -0.0],
    "tiny": [5e-324, 0.1 + 0.2, np.inf],
    "small": np.array([0.1, np.nan, 3], np.float32),
    "stamp": pd.to_datetime(STAMPS),
    "zoned": pd.to_datetime(["2024-01-01T10:00:00.123456", None, "2025-01-01T00:00:00.0"]).tz_localize("Asia/Shanghai"),
    "day": [datetime.date(2024, 1, 1), None, datetime.date(1, 1, 1)],
    "xmin": ["a column of PostgreSQL's own", None, ""],
    'with "quotes" %s {} :name ?': [1, 2, 3],
    "调" * 40: ["long", None, "name"],
    "调" * 41: ["longer", None, "name"],
    "Name": ["upper", None, "case"],
}


def test_every_kind_of_column_is_read_back_bit_for_bit(databases, store):
    """The snapshot that another machine makes from the database is the one that the import made."""
    made = from_frame(frame(squares(3), **COLUMNS), "zones", source="t")
    layer = store.put(made, by="test")
    folder = store.cache / layer.digest
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    whole = store.frame("zones")
    shutil.rmtree(store.cache)
    again = databases.again(store)
    try:
        pd.testing.assert_frame_equal(pd.DataFrame(again.frame("zones")), pd.DataFrame(whole))
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    finally:
        again.close()


def test_columns_stand_in_the_types_that_others_expect(databases, store):
    store.put(from_frame(frame(squares(3), **COLUMNS), "zones", source="t"), by="test")
    sql = f"SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = '{store.place.schema}'"
    types = dict(databases.sql(store, f"{sql} AND table_name = 'zones_v1'"))
    said = {name: types[name] for name in ("id", "truths", "whole", "real", "stamp", "zoned", "day", "xmin_2")}
    assert said == {
        "id": "text",
        "truths": "boolean",
        "whole": "bigint",
        "real": "double precision",
        "stamp": "timestamp without time zone",
        "zoned": "timestamp with time zone",
        "day": "date",
        "xmin_2": "text",
    }
    columns = databases.sql(store, "SELECT f_table_name, srid, type FROM geometry_columns")
    assert ("zones_v1", 4545, "GEOMETRY") in columns
    assert databases.sql(store, "SELECT ST_Area(geom), ST_SRID(geom) FROM zones_v1 LIMIT 1") == [(10_000.0, 4545)]
    assert databases.sql(store, "SELECT obj_description('zones_v1'::regclass)") == [("园区片区 zones v1",)]


def test_a_text_that_postgresql_cannot_hold_is_refused_whole(databases, store):
    for act in (
        lambda: store.put(from_frame(frame(squares(2), name=["a\0b", None]), "zones", source="t"), by="test"),
        lambda: store.load("project", "a\0"),
        lambda: store.save("project", "a\0", {}),
    ):
        with pytest.raises(BadInput, match=r"a text is one that PostgreSQL cannot hold\n.*U\+0000"):
            act()
    assert (store.layers(), tables(databases, store)) == ([], set())


def test_every_kind_of_geometry_comes_back_as_it_was(databases, store):
    line = shapely.LineString([(EAST, NORTH), (EAST + 0.1, NORTH + 1e-9)])
    donut = square().difference(square().buffer(-10))
    shapes = [
        shapely.Point(EAST, NORTH),
        line,
        donut,
        shapely.MultiPolygon([*squares(2)]),
        shapely.MultiLineString([line, line]),
    ]
    store.put(from_frame(frame(shapes), "roads", source="t"), by="test")
    shutil.rmtree(store.cache)
    with contextlib.closing(databases.again(store)) as again:
        read = again.frame("roads").geometry.to_numpy()
        assert shapely.to_wkb(read).tolist() == shapely.to_wkb(np.array(shapes)).tolist()


def test_a_window_comes_through_the_index_and_is_what_the_whole_layer_has_there(databases, store):
    east, north = np.meshgrid(EAST + np.arange(200) * 10.0, NORTH + np.arange(200) * 10.0)
    draw = random.Random(1)
    flags = [draw.choice([True, False, None]) for _ in range(40_000)]
    made = frame(shapely.box(east, north, east + 9, north + 9).ravel(), ready=flags)
    store.put(from_frame(made, "plots", source="t"), by="t")
    windows = [shapely.box(EAST + x, NORTH + y, EAST + x + 30, NORTH + y + 5).bounds for x, y in ((1, 1), (995, 995))]
    ids = ["plots-40000", "nobody", "plots-1", "plots-1"]
    parts = [*(store.frame("plots", bounds=window) for window in windows), store.frame("plots", ids=ids)]
    assert store._whole == {}
    store.frame("plots")
    wholes = [*(store.frame("plots", bounds=window) for window in windows), store.frame("plots", ids=ids)]
    assert store._whole
    for part, whole in zip(parts, wholes, strict=True):
        assert part["id"].tolist() == whole["id"].tolist()
        assert part.geometry.to_wkb().tolist() == whole.geometry.to_wkb().tolist()
        pd.testing.assert_frame_equal(pd.DataFrame(part), pd.DataFrame(whole))
    plan = "EXPLAIN SELECT id FROM plots_v1 WHERE geom && ST_MakeEnvelope(564901, 3110801, 564931, 3110806, 4545)"
    assert any("plots_v1_geom_idx" in line for (line,) in databases.sql(store, plan))


# --- backup -----------------------------------------------------------------------------------------------


def test_a_dump_of_the_schema_is_the_whole_county(databases, store, tmp_path):
    furnish(store)
    store.put(from_frame(frame(squares(3)), "parcels", source="x"), by="test")
    ops.retire(store.fabric, ops.Act("retire", ("parcels-1",), PAPER, "x"))
    store.save("project", "a", {"名": 1})
    before, schema, file = told(store), store.place.schema, str(tmp_path / "county.dump")
    store.close()
    folder = programs()
    assert folder is not None
    subprocess.run([folder / "pg_dump", "-Fc", "-n", schema, "-f", file, databases.url], check=True)
    with contextlib.closing(psycopg.connect(databases.url, autocommit=True)) as admin:
        admin.execute("DROP DATABASE IF EXISTS again")
        admin.execute("CREATE DATABASE again")
    elsewhere = databases.url.removesuffix("postgres") + "again"
    with contextlib.closing(psycopg.connect(elsewhere, autocommit=True)) as admin:
        admin.execute("CREATE EXTENSION postgis")
    subprocess.run([folder / "pg_restore", "--exit-on-error", "-d", elsewhere, file], check=True)
    with contextlib.closing(open_store(f"{elsewhere}?schema={schema}")) as again:
        assert told(again) == before
        assert [one.parcel for one in again.fabric.at()] == ["parcels-2", "parcels-3"]
        assert again.load("project", "a") == {"名": 1}
        again.save("project", "a", {"名": 2})
        assert again.put(zones(2), by="test").version == 1


# --- the same on both stores -------------------------------------------------------------------------------


def seals(cache: Path) -> dict[str, dict[str, bytes]]:
    return {folder.name: {path.name: path.read_bytes() for path in folder.iterdir()} for folder in cache.iterdir()}


def test_the_same_layers_give_the_same_snapshots_and_the_same_answers_in_both_stores(databases, tmp_path):
    here, there = county(tmp_path / "file"), databases.new()
    for store in (here, there):
        fill_county(store)
    assert [one.digest for one in here.layers()] == [one.digest for one in there.layers()]
    assert seals(here.cache) == seals(there.cache)
    asked = Project.model_validate(TEA)
    ground = shapely.box(SITE_EAST + 10, SITE_NORTH + 10, SITE_EAST + 90, SITE_NORTH + 290)
    said = []
    for store, place in ((here, here.path), (there, places.beside(databases.name(there)))):
        served = County(store, Access(place), Settings(county=str(place)))
        for year in (2026, 2040):
            (answer,) = served.check([Site.of(Part(ground))], asked, "screening", date(2030, 1, 1), year)
            said.append({name: value for name, value in answer.items() if name not in ("id", "created_at")})
        served.access.close()
        store.close()
    assert said[:2] == said[2:]
    assert said[0]["verdict"] in ("blocked", "undetermined", "conditional")


def test_another_machine_makes_the_same_snapshots_from_the_database(databases):
    store = databases.new()
    fill_county(store)
    store.put(from_frame(frame(squares(40)), "parcels", source="x"), by="test")
    before = seals(store.cache)
    store.close()
    shutil.rmtree(store.cache)
    with contextlib.closing(databases.again(store)) as again:
        for layer in again.layers():
            assert (again.at().near(layer.role, EVERYWHERE) or again.at().raster(layer.role)) is not None
        current = {layer.digest for layer in again.layers()}
        assert seals(again.cache) == {digest: files for digest, files in before.items() if digest in current}


# --- connections that drop, processes that die -------------------------------------------------------------


def drop_connections(databases: InDatabase) -> int:
    """End every connection but one's own, as a failing network or an administrator does."""
    with contextlib.closing(psycopg.connect(databases.url, autocommit=True)) as admin:
        ended = admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        ).fetchone()
    assert ended is not None
    return int(ended[0])


def test_a_dropped_connection_is_made_anew(databases, store):
    store.put(zones(2), by="test")
    for _ in range(3):
        assert drop_connections(databases) > 0
        assert [one.version for one in store.layers()] == [1]
        store.save("project", "a", {})


@pytest.mark.parametrize("role", ["zones", "parcels"])
@pytest.mark.parametrize("moment", ["write_features", "_adopt", "_enter", "survey"])
def test_a_connection_dropped_in_the_middle_of_an_import_leaves_nothing(databases, store, monkeypatch, role, moment):
    store.put(from_frame(frame(squares(2)), role, source="x"), by="test")
    where = {"write_features": postgis_tables, "survey": store.fabric}.get(moment, store)
    original = getattr(where, moment)

    def dropped(*given: Any, **named: Any) -> Any:
        made = original(*given, **named)
        drop_connections(databases)
        return made

    monkeypatch.setattr(where, moment, dropped)
    if (moment, role) != ("survey", "zones"):  # which is never called
        with pytest.raises(StoreBroken, match=r"cannot be written \(the connection to the database was lost\)"):
            store.put(from_frame(frame(squares(3)), role, source="x"), by="test")
    monkeypatch.undo()
    assert tables(databases, store) == {f"{role}_v1"}
    assert [one.version for one in store.layers()] == [1]
    assert len(near(store, role).features) == 2
    assert store.put(from_frame(frame(squares(3)), role, source="x"), by="test").version == 2
    assert len(near(store, role).features) == len(store.frame(role)) == 3


KILLED = """
import os, signal, sys
from pathlib import Path
import geopandas as gpd
from layers import ingest, postgis, postgis_tables, snapshot, shelf, fabric_register
from layers.store import open_store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def after(where, name):
    original = getattr(where, name)
    def act(*given, **named):
        original(*given, **named)
        die()
    setattr(where, name, act)

MOMENTS = {
    "before the layer is written": (postgis_tables, "write_features"),
    "while the snapshot is written": (snapshot, "_seal"),
    "before it is taken in": (postgis.PostGIS, "_adopt"),
    "before the parcels are registered": (fabric_register.Register, "survey"),
    "after the commit": (postgis.PostGIS, "versions"),
}
url, file, moment = sys.argv[1:]
made = ingest.from_frame(gpd.read_file(file), "parcels", source="x")
store = open_store(url)
print("ready", flush=True)
if moment in MOMENTS:
    setattr(*MOMENTS[moment], die)
elif moment == "before the commit":
    after(fabric_register.Register, "survey")
store.put(made, by="test")
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shapes = shapely.box(EAST + np.arange(4_000) * 2, NORTH, EAST + np.arange(4_000) * 2 + 1, NORTH + 100)
    return write(tmp_path_factory.mktemp("large") / "large.gpkg", frame(shapes))


def killed(databases: InDatabase, store: Any, large: Path, moment: str, after_s: float | None = None) -> None:
    run = [sys.executable, "-c", KILLED, databases.name(store), str(large), moment]
    with subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if after_s is not None:
            time.sleep(after_s)
            process.kill()
        process.wait(120)
    assert process.returncode == -signal.SIGKILL or after_s is not None


def after_death(databases: InDatabase, store: Any) -> int:
    """Old or new, whole, and open to the next import."""
    deadline = time.monotonic() + 20
    while databases.sql(store, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") != [(0,)]:
        assert time.monotonic() < deadline, "the dead one's transaction is still open"
        time.sleep(0.05)
    for alive in store.cache.rglob("alive"):
        os.utime(alive, (0, 0))  # long ago
    with contextlib.closing(databases.again(store)) as again:
        (layer,) = again.layers()
        count = (2, 4_000)[layer.version - 1]
        assert tables(databases, store) == {f"parcels_v{n + 1}" for n in range(layer.version)}
        assert layer.loaded == len(near(again, "parcels").features) == len(again.frame("parcels")) == count
        assert len(again.fabric.at()) == count
        assert not [path for path in store.cache.rglob(".*") if path.is_dir()]
        assert again.put(from_frame(frame(squares(2)), "parcels", source="x"), by="t").version == layer.version + 1
    return layer.version


@pytest.mark.slow
def test_an_import_killed_at_any_step_leaves_the_old_state_or_the_new(databases, large):
    steps = {
        "before the layer is written": 1,
        "while the snapshot is written": 1,
        "before it is taken in": 1,
        "before the parcels are registered": 1,
        "before the commit": 1,
        "after the commit": 2,
    }
    for step, expected in steps.items():
        with contextlib.closing(databases.new()) as store:
            store.put(from_frame(frame(squares(2)), "parcels", source="x", extent=square()), by="test")
            killed(databases, store, large, step)
            assert after_death(databases, store) == expected, step


@pytest.mark.slow
def test_an_import_killed_at_random_moments_leaves_the_old_state_or_the_new(databases, large):
    draw = random.Random(20261122)
    versions = []
    for _ in range(5):
        with contextlib.closing(databases.new()) as store:
            store.put(from_frame(frame(squares(2)), "parcels", source="x", extent=square()), by="test")
            killed(databases, store, large, "never", draw.uniform(0.0, 0.6))
            versions.append(after_death(databases, store))
    assert 1 in versions


@pytest.mark.slow
def test_a_server_that_was_killed_says_so_and_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PARKPLAN_CACHE", str(tmp_path / "cache"))
    with server() as url:
        store = create_store(url, "", "EPSG:4545")
        store.put(zones(2), by="test")
    with pytest.raises(
        StoreBroken, match=r"postgres/parkplan cannot be read \(the database does not answer\)"
    ) as broken:
        store.layers()
    assert "127.0.0.1" not in str(broken.value)
    store.close()


def test_a_database_that_does_not_answer_makes_no_layer_unknown_and_no_parcel_undivided(databases, store):
    store.put(from_frame(frame(squares(3)), "parcels", source="x"), by="test")
    store.put(zones(2), by="test")
    ops.retire(store.fabric, ops.Act("retire", ("parcels-1",), PAPER, "x"))
    world = store.at()
    known = {one.role: one for one in store.layers()}
    store.close()
    for act in (
        lambda: world.near("zones", EVERYWHERE),
        lambda: world.near("parcels", EVERYWHERE),
        lambda: store._edited(known["parcels"]),
        store.at,
    ):
        with pytest.raises(Unreachable, match="the database does not answer"):
            act()


# --- several at once ---------------------------------------------------------------------------------------


def test_imports_at_once_get_a_version_each(databases, store):
    stores = [databases.again(store) for _ in range(4)]
    stored: list[int] = []

    def put(one: Any, count: int) -> None:
        stored.append(one.put(zones(count), by="test").version)

    threads = [threading.Thread(target=put, args=(one, n + 1)) for n, one in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(stored) == [1, 2, 3, 4]
    counts = {layer.version: layer.loaded for layer in store.versions("zones")}
    assert {version: len(store.frame("zones", version=version)) for version in counts} == counts
    for one in stores:
        one.close()


def test_who_waits_too_long_for_another_is_told_to_ask_again(databases, store, monkeypatch):
    monkeypatch.setattr("layers.postgres.LOCK_S", 0.1)
    waiting = databases.again(store)
    with store.tables.transaction():
        store.tables.alone()
        with pytest.raises(Busy, match="is being written by somebody else; try again shortly"):
            waiting.put(zones(2), by="test")
    assert waiting.put(zones(2), by="test").version == 1
    waiting.close()


def test_a_statement_that_takes_too_long_is_ended(databases, store, monkeypatch):
    monkeypatch.setattr("layers.postgres.STATEMENT_S", 0.1)
    hurried = databases.again(store)
    with pytest.raises(StoreBroken, match="the database took too long"):
        hurried.tables.all("SELECT pg_sleep(5)::text")
    assert hurried.layers() == []
    hurried.close()


def test_a_change_by_somebody_else_is_noticed(databases, store):
    other = databases.again(store)
    stamps = [other.stamp("project")]
    for body in ({}, {}, {"x": 1}):
        store.save("project", "a", body)
        stamps.append(other.stamp("project"))
    assert len(set(stamps)) == 4
    other.close()


def test_rows_of_somebody_else_ride_in_the_same_transaction(databases, store):
    """What a ledger needs: its own tables beside ours, changed together or not at all."""
    databases.sql(store, "CREATE TABLE mine (n integer)")

    def both() -> None:
        with store.tables.transaction() as connection:
            store.tables.alone("ledger")
            connection.execute("INSERT INTO mine VALUES (1)")
            store.save("project", "a", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        both()
    assert (databases.sql(store, "SELECT * FROM mine"), store.list("project")) == ([], [])
    with store.tables.transaction() as connection:
        connection.execute("INSERT INTO mine VALUES (1)")
        store.save("project", "a", {})
    assert (databases.sql(store, "SELECT * FROM mine"), store.list("project")) == ([(1,)], [{}])


def test_nothing_is_said_of_the_password(databases, store, caplog):
    with contextlib.closing(psycopg.connect(databases.url, autocommit=True)) as admin:
        admin.execute("DROP ROLE IF EXISTS keeper")
        admin.execute("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'geheim'")
    url = databases.name(store).replace("postgres@", "keeper:geheim@", 1)
    with caplog.at_level(logging.DEBUG), contextlib.closing(open_store(url)) as again:
        again.put(zones(2), by="test")
        drop_connections(databases)
        again.layers()
        with pytest.raises(StoreBroken):
            again.tables.all("SELECT nonsense")
    settings = Settings(county=url)
    assert "geheim" not in caplog.text + repr(settings) + repr(again.place) + str(again.cache) + places.called(url)
