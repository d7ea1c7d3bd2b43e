"""One file is the county: what is put in comes out, beside the older versions, wholly or not at all."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import CRS

from layers import snapshot
from layers.errors import BadInput, StoreBroken, UnknownName
from layers.gpkg import GeoPackage, create
from layers.ingest import from_frame
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.keeping import open_books
from layers.ledger.records import Paper, account
from layers.store import open_store
from tests.layers.contents import EVERYWHERE, furnish, grid, near, zones
from tests.layers.files import EAST, NORTH, county, frame, square, squares, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[GeoPackage]:
    opened = county(tmp_path / "county")
    yield opened
    opened.close()


def sql(path: Path, text: str, *bindings: Any) -> list[Any]:
    """What another program sees and does in the file."""
    with sqlite3.connect(path) as other:
        rows = other.execute(text, bindings).fetchall()
    other.close()
    return rows


# --- versions -----------------------------------------------------------------------------------------


def test_a_county_is_not_made_over_another_or_in_a_strange_crs(tmp_path):
    county(tmp_path).close()
    for path, crs, says in (
        ("county.gpkg", "EPSG:4545", "exists already"),
        ("b.gpkg", "EPSG:4490", "projected CRS in metres"),
        ("b.gpkg", "EPSG:2225", "projected CRS in metres"),
        ("b.gpkg", "EPSG:2360", "西安80"),
        ("b.gpkg", "somewhere", "not a coordinate reference system"),
        ("b.txt", "EPSG:4545", "does not end in .gpkg"),
        ("postgresql:/host/b", "EPSG:4545", "does not end in .gpkg"),
    ):
        with pytest.raises(BadInput, match=says):
            create(tmp_path / path, "乙", crs)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".gpkg-shm") == ["county.gpkg"]


# --- the cache only copies ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def furnished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = county(tmp_path_factory.mktemp("full"))
    furnish(store)
    store.close()
    return store.path


@pytest.fixture
def full(tmp_path: Path, furnished_once: Path) -> Iterator[GeoPackage]:
    opened = county(tmp_path / "full", furnished_once)
    yield opened
    opened.close()


@pytest.mark.parametrize("harm", ["UPDATE land_use_v1 SET geom = NULL", "UPDATE land_use_v1 SET geom = x'00'"])
def test_a_layer_that_cannot_be_read_is_unknown(full, harm):
    full.close()
    shutil.rmtree(full.cache)
    with sqlite3.connect(full.path) as other:  # another program, which does not know the functions of the index
        for (name,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {name}")
        other.execute(harm)
    other.close()
    again = GeoPackage(full.path)
    try:
        assert again.at().near("land_use", EVERYWHERE) is None
        with pytest.raises(StoreBroken, match="land_use"):
            again.frame("land_use")
    finally:
        again.close()


# --- grids --------------------------------------------------------------------------------------------


def test_other_programs_see_the_grid_and_where_it_has_no_value(store):
    prepared = grid(300, 513)
    assert prepared.raster is not None
    store.put(prepared, by="test")
    store.close()
    with rasterio.open(store.path) as file:
        seen = file.read(1, masked=True).filled(np.nan)
        assert (file.crs.to_epsg(), file.transform.a, file.transform.c, file.transform.f) == (4545, 12.5, EAST, NORTH)
    np.testing.assert_array_equal(seen, prepared.raster.values)


# --- balances -------------------------------------------------------------------------------------------


A, B, C = (f"capacity/{name}/power_kva" for name in "ABC")


def opened(store: GeoPackage, balances: dict[str, float | None]) -> None:
    pools = pd.DataFrame({"account": list(balances), "balance": list(balances.values())})
    open_books(store.ledger, pools, Paper("1", date(2026, 1, 1)))


def test_the_world_reads_what_the_books_have_left_and_an_unknown_balance_opens_none(store):
    opened(store, {A: 5.0, B: None, C: 0.0})
    assert store.at().pools() == {A: 5.0, C: 0.0}
    with pytest.raises(BadInput, match="the books are open"):
        opened(store, {A: 7.0})
    order = acts.Order(Change("grant", account(A), 2), Paper("2", date(2026, 2, 1)), "test")
    store.ledger.run(lambda page: acts.order(page, order))
    assert store.at().pools() == {A: 7.0, C: 0.0}
    assert store.at(date(2020, 1, 1)).pools() == {}  # the books were not kept yet


# --- what breaks ----------------------------------------------------------------------------------------


def test_what_is_no_county_says_so(tmp_path):
    (tmp_path / "text.gpkg").write_text("hello")
    (tmp_path / "empty.gpkg").touch()
    write(tmp_path / "plain.gpkg", frame())
    whole = county(tmp_path / "whole")
    whole.close()
    content = whole.path.read_bytes()
    (tmp_path / "short.gpkg").write_bytes(content[: len(content) // 3])
    for name in ("text", "empty", "plain", "short", "missing", "no/such/folder"):
        with pytest.raises(StoreBroken, match=r"\.gpkg cannot be opened as a county \(") as broken:
            GeoPackage(tmp_path / f"{name}.gpkg")
        assert broken.value.facts == {"county": Path(f"{name}.gpkg").name}
    assert not (tmp_path / "missing.gpkg").exists()
    with pytest.raises(UnknownName, match=r"no county at missing\.gpkg; make one with: parkplan init"):
        open_store(tmp_path / "missing.gpkg")


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of somebody who is not root: root may write everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        county(folder / "county").close()
        root = os.geteuid() == 0
        if root:
            for path in (folder / "county", *(folder / "county").iterdir()):
                os.chown(path, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder / "county"
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")
def test_a_file_one_may_only_read_is_read_and_says_that_it_cannot_be_written(unprivileged):
    path = unprivileged / "county.gpkg"
    path.chmod(0o444)
    store = GeoPackage(path)
    try:
        assert store.layers() == []
        for act in (
            lambda: store.put(zones(), by="test"),
            lambda: store.save("project", "a", {}),
            lambda: opened(store, {A: 1.0}),
        ):
            with pytest.raises(StoreBroken, match=r"county\.gpkg cannot be written \(.*read"):
                act()
        assert store.layers() == []
    finally:
        store.close()


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")
def test_a_folder_one_may_not_write_is_named(unprivileged):
    store = GeoPackage(unprivileged / "county.gpkg")
    try:
        unprivileged.chmod(0o555)
        with pytest.raises(StoreBroken, match=r"county\.gpkg cannot be written \(.*Permission denied"):
            store.put(zones(), by="test")
        with pytest.raises(StoreBroken, match=r"new\.gpkg cannot be written \(.*Permission denied"):
            create(unprivileged / "new.gpkg", "乙", "EPSG:4545")
        unprivileged.chmod(0o755)
        store.close()
        unprivileged.chmod(0o555)  # now without the files that SQLite keeps beside an open county
        with pytest.raises(StoreBroken, match=r"county\.gpkg cannot be opened as a county"):
            GeoPackage(unprivileged / "county.gpkg")
    finally:
        unprivileged.chmod(0o755)
        store.close()


def test_a_county_that_breaks_while_it_is_open_says_so(full):
    (root,) = sql(full.path, "SELECT rootpage FROM sqlite_master WHERE name = 'parkplan_layers'")[0]
    list(full._db.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
    with full.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    again = GeoPackage(full.path)
    try:
        with pytest.raises(StoreBroken, match=r"county\.gpkg cannot be read \(.*malformed"):
            again.layers()
        with pytest.raises(StoreBroken, match=r"county\.gpkg cannot be"):
            again.put(zones(), by="test")
    finally:
        again.close()


def test_an_import_that_fails_halfway_leaves_nothing(store, monkeypatch):
    store.put(zones(2), by="test")
    before = sql(store.path, "SELECT type, name, sql FROM sqlite_master ORDER BY name")

    def fail(*_: Any) -> None:
        raise apsw.FullError("database or disk is full")

    for place in ("layers.gpkg_tables.copy_rows", "layers.snapshot.cut", "layers.gpkg_tables.write_features"):
        with monkeypatch.context() as patch:
            patch.setattr(place, fail)
            with pytest.raises(StoreBroken, match=r"county\.gpkg cannot be written \(the disk is full\)"):
                store.put(zones(3), by="test")
        assert sql(store.path, "SELECT type, name, sql FROM sqlite_master ORDER BY name") == before
        assert [one.version for one in store.layers()] == [1]
        assert strays(store.path.parent) == []
    assert store.put(zones(3), by="test").version == 2


# --- what other programs see --------------------------------------------------------------------------


def furnished(folder: Path, crs: str = "EPSG:4545") -> Path:
    """A county with every sort of table in it."""
    folder.mkdir(parents=True, exist_ok=True)
    store = create(folder / "county.gpkg", "印江", crs)
    for count in (2, 3):
        store.put(from_frame(frame(squares(count), store.crs), "zones", source="x"), by="test")
    store.put(from_frame(frame(squares(0), store.crs, name=[]), "eco_redline", source="x", extent=square()), by="test")
    mixed = [square(), shapely.Point(EAST + 9, NORTH), shapely.LineString([(EAST, NORTH), (EAST + 500, NORTH)])]
    store.put(from_frame(frame(mixed, store.crs), "karst", source="x"), by="test")
    store.put(grid(300, 513), by="test")
    opened(store, {A: 1.0})
    store.close()
    return store.path


CUSTOM = "+proj=tmerc +lat_0=0 +lon_0=108.5 +k=1 +x_0=500000 +ellps=GRS80 +units=m +no_defs"


@pytest.mark.parametrize("crs", ["EPSG:4545", CUSTOM], ids=["EPSG", "local grid"])
def test_the_file_is_a_whole_geopackage(tmp_path, crs):
    path = furnished(tmp_path, crs)
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]
    assert sql(path, "PRAGMA foreign_key_check") == []
    assert sql(path, "SELECT (SELECT * FROM pragma_user_version), (SELECT * FROM pragma_application_id)") == [
        (10300, int.from_bytes(b"GPKG", "big"))
    ]
    srs = 4545 if crs == "EPSG:4545" else 100000
    assert sql(path, "SELECT table_name, data_type, srs_id FROM gpkg_contents ORDER BY 1") == [
        ("dem_v1", "2d-gridded-coverage", srs),
        ("eco_redline_v1", "features", srs),
        ("karst_v1", "features", srs),
        ("parkplan_county", "attributes", 0),
        ("zones_v1", "features", srs),
        ("zones_v2", "features", srs),
    ]
    assert sql(path, "SELECT identifier FROM gpkg_contents WHERE table_name = 'zones_v2'") == [("园区片区 zones v2",)]
    assert sql(path, "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE table_name = 'zones_v2'") == [
        (EAST, NORTH, EAST + 500, NORTH + 100)
    ]
    assert sql(path, "SELECT * FROM gpkg_geometry_columns ORDER BY 1") == [
        ("eco_redline_v1", "geom", "MULTIPOLYGON", srs, 0, 0),
        ("karst_v1", "geom", "GEOMETRY", srs, 0, 0),
        ("zones_v1", "geom", "MULTIPOLYGON", srs, 0, 0),
        ("zones_v2", "geom", "MULTIPOLYGON", srs, 0, 0),
    ]
    extensions = sql(path, "SELECT table_name, column_name, extension_name FROM gpkg_extensions")
    assert len(extensions) == len(set(extensions))
    assert {row for row in extensions if row[2] == "gpkg_rtree_index"} == {
        (table, "geom", "gpkg_rtree_index") for table in ("eco_redline_v1", "karst_v1", "zones_v1", "zones_v2")
    }
    assert {row[0] for row in extensions if row[2] == "gpkg_2d_gridded_coverage"} == {
        "gpkg_2d_gridded_coverage_ancillary",
        "gpkg_2d_gridded_tile_ancillary",
        "dem_v1",
    }
    assert sql(path, "SELECT * FROM gpkg_ogr_contents ORDER BY 1") == [
        ("eco_redline_v1", 0),
        ("karst_v1", 3),
        ("parkplan_county", 3),
        ("zones_v1", 2),
        ("zones_v2", 3),
    ]
    assert sql(path, "SELECT count(*) FROM rtree_zones_v2_geom") == [(3,)]
    for table, column, name in extensions:  # an extension that is announced is there
        assert name != "gpkg_crs_wkt" or sql(path, f"SELECT count({column}) FROM {table}")


def seen(path: Path) -> dict[str, tuple[Any, ...]]:
    """Name -> CRS, count and extent, as GDAL reads them; a warning would be an error here."""
    found = {}
    for name, _ in pyogrio.list_layers(path):
        info = pyogrio.read_info(path, layer=name)
        epsg = CRS(info["crs"]).to_epsg() if info["crs"] else None
        found[str(name)] = (epsg, info["features"], info["total_bounds"])
        assert len(pyogrio.read_dataframe(path, layer=name)) == info["features"]
    return found


def test_gdal_reads_every_layer_without_a_warning(tmp_path):
    path = furnished(tmp_path)
    box = (EAST, NORTH, EAST + 500, NORTH + 100)
    assert seen(path) == {
        "parkplan_county": (None, 3, None),
        "zones_v1": (4545, 2, (EAST, NORTH, EAST + 300, NORTH + 100)),
        "zones_v2": (4545, 3, box),
        "eco_redline_v1": (4545, 0, None),
        "karst_v1": (4545, 3, box),
    }
    window = pyogrio.read_dataframe(path, layer="zones_v2", bbox=square(2).bounds)  # through the index
    assert window["id"].tolist() == ["zones-3"]


@pytest.mark.needs("ogrinfo", "gdalinfo")
def test_the_tools_of_gdal_read_it_without_a_word_of_complaint(tmp_path):
    path = furnished(tmp_path)
    tables = subprocess.run(["ogrinfo", "-ro", "-al", "-so", path], capture_output=True, text=True, check=True)
    grids = subprocess.run(["gdalinfo", "-stats", path], capture_output=True, text=True, check=True)
    assert (tables.stderr, grids.stderr) == ("", "")
    assert [
        line for line in tables.stdout.splitlines() if line.startswith(("Layer name", "Feature Count", "Extent"))
    ] == [
        "Layer name: zones_v1",
        "Feature Count: 2",
        "Extent: (564900.000000, 3110800.000000) - (565200.000000, 3110900.000000)",
        "Layer name: zones_v2",
        "Feature Count: 3",
        "Extent: (564900.000000, 3110800.000000) - (565400.000000, 3110900.000000)",
        "Layer name: eco_redline_v1",
        "Feature Count: 0",
        "Layer name: karst_v1",
        "Feature Count: 3",
        "Extent: (564900.000000, 3110800.000000) - (565400.000000, 3110900.000000)",
        "Layer name: parkplan_county",
        "Feature Count: 3",
    ]
    assert tables.stdout.count('ID["EPSG",4545]') == 4
    assert "NoData Value=-9999" in grids.stdout
    assert "Size is 513, 300" in grids.stdout


def test_what_another_program_adds_is_kept(tmp_path):
    """QGIS keeps its styles in tables of its own."""
    path = furnished(tmp_path)
    pyogrio.write_dataframe(frame(squares(1)), path, layer="my_drawing")
    sql(path, "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY, style TEXT)")
    store = GeoPackage(path)
    try:
        store.put(zones(4), by="test")
        assert [one.role for one in store.layers()] == ["zones", "eco_redline", "karst", "dem"]
    finally:
        store.close()
    assert len(seen(path)["my_drawing"]) == 3
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


# --- several processes, and processes that die ----------------------------------------------------------

# Loads once what takes long, then runs each line it is sent in a process of its own and answers with its exit code.
# A line is: DEATH <tab> argument <tab> argument ...; DEATH is a number of seconds, the name of a moment or never.
# The line `read` starts a reader instead, and `join` waits for all of them.
COMMANDS = r"""
import os, signal, sys, time
from pathlib import Path
import pyogrio, rasterio
from layers import gpkg, gpkg_tables, ingest, snapshot, store
from scripts import cli

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def before_commit(db, *rest, adopt=gpkg_tables.adopt):
    adopt(db, *rest)
    db.set_commit_hook(die)

def after_commit(db, *rest, adopt=gpkg_tables.adopt):
    adopt(db, *rest)
    db.set_wal_hook(die)

MOMENTS = {
    "before the layer is written": (gpkg_tables, "write_features", die),
    "before the snapshot is written": (snapshot, "write", die),
    "while the snapshot is written": (snapshot, "_seal", die),
    "before the tables are moved": (gpkg_tables, "adopt", die),
    "while the tables are moved": (gpkg_tables, "copy_rows", die),
    "before the commit": (gpkg_tables, "adopt", before_commit),
    "after the commit": (gpkg_tables, "adopt", after_commit),
}

def run(death, arguments):
    if death in MOMENTS:
        setattr(*MOMENTS[death])
    sys.argv = ["parkplan", *arguments]
    cli.main()

def read(ready, path, last):
    seen = set()
    while max(seen, default=0) < int(last):
        county = gpkg.GeoPackage(Path(path))
        for _ in range(5):
            layer = county.at().near("zones", (-1e9, -1e9, 1e9, 1e9))
            assert len(layer.features) == layer.layer.version <= len(county.frame("zones"))
            seen.add(layer.layer.version)
        county.close()
        os.write(ready, b"1")
    assert len(seen) > 1

def start(act, *given):
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            act(*given)
        except SystemExit as end:
            os._exit(end.code or 0)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            os._exit(1)
        os._exit(0)
    return child

def code(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

print("ready", flush=True)
readers = []
for line in sys.stdin:
    word, *arguments = line.rstrip("\n").split("\t")
    if word == "read":
        once, ready = os.pipe()
        readers.append(start(read, ready, *arguments))
        os.read(once, 1)  # it has read the first version
        print(0, flush=True)
    elif word == "join":
        print(sum(map(code, readers)), flush=True)
    else:
        child = start(run, word, arguments)
        if word not in MOMENTS and word != "never":
            time.sleep(float(word))
            os.kill(child, signal.SIGKILL)
        print(code(child), flush=True)
"""


@pytest.fixture(scope="module")
def commands() -> Iterator[Callable[..., int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMANDS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    def run(death: str, *arguments: Any) -> int:
        print(death, *arguments, sep="\t", file=process.stdin, flush=True)
        return int(process.stdout.readline())

    with process:
        yield run


def strays(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_dir()]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shapes = shapely.box(EAST + np.arange(4_000) * 2, NORTH, EAST + np.arange(4_000) * 2 + 1, NORTH + 100)
    return write(tmp_path_factory.mktemp("large") / "large.gpkg", frame(shapes))


def after_death(path: Path, counts: tuple[int, int]) -> int:
    """The county opened after its writer was killed: old or new, whole, swept, and open to the next import."""
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]
    for alive in path.parent.rglob("alive"):
        os.utime(alive, (0, 0))  # long ago
    store = GeoPackage(path)
    assert strays(path.parent) == []
    try:
        (layer,) = store.layers()
        assert layer.loaded == len(near(store).features) == len(store.frame("zones")) == counts[layer.version - 1]
        tables = sql(path, "SELECT table_name FROM gpkg_contents WHERE table_name LIKE 'zones%'")
        assert len(tables) == layer.version
        again = store.put(zones(5), by="test")
        assert (again.version, len(near(store).features)) == (layer.version + 1, 5)
    finally:
        store.close()
    assert seen(path)[f"zones_v{layer.version + 1}"][1] == 5
    return layer.version


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_an_import_killed_at_any_step_leaves_the_old_state_or_the_new(tmp_path, commands, large):
    steps = {
        "before the layer is written": 1,
        "before the snapshot is written": 1,
        "while the snapshot is written": 1,
        "before the tables are moved": 1,
        "while the tables are moved": 1,
        "before the commit": 1,
        "after the commit": 2,
    }
    for number, (step, expected) in enumerate(steps.items()):
        store = county(tmp_path / str(number))
        store.put(zones(2), by="test")
        store.close()
        assert commands(step, "import", store.path, large, "--role", "zones") == -signal.SIGKILL, step
        assert strays(store.path.parent), step
        assert after_death(store.path, (2, 4_000)) == expected, step


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_an_import_killed_at_random_moments_leaves_the_old_state_or_the_new(tmp_path, commands, large):
    store = county(tmp_path / "undisturbed")
    store.put(zones(2), by="test")
    store.close()
    start = time.perf_counter()
    assert commands("never", "import", store.path, large, "--role", "zones") == 0
    took_s = time.perf_counter() - start
    draw = random.Random(20261122)
    versions = []
    for number in range(6):
        store = county(tmp_path / str(number))
        store.put(zones(2), by="test")
        store.close()
        commands(str(draw.uniform(0.1, 1.0) * took_s), "import", store.path, large, "--role", "zones")
        versions.append(after_death(store.path, (2, 4_000)))
    assert 1 in versions


def test_the_staging_of_a_living_process_is_not_swept(tmp_path):
    left = tmp_path / ".making-left"
    left.mkdir()
    (left / "alive").touch()
    with snapshot.staging(tmp_path) as mine:
        snapshot.sweep(tmp_path)
        assert mine.is_dir()
        assert left.is_dir()  # perhaps somebody is about to lock it
        for folder in (mine, left):
            os.utime(folder / "alive", (0, 0))
        snapshot.sweep(tmp_path)
        assert mine.is_dir()
        assert not left.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_two_processes_read_while_a_third_imports(tmp_path, commands):
    last = 10
    store = county(tmp_path)
    store.put(zones(1), by="test")
    for _ in range(2):
        commands("read", store.path, last)
    for count in range(2, last + 1):
        time.sleep(0.1)
        store.put(zones(count), by="test")
    store.close()
    assert commands("join") == 0


def test_two_imports_of_one_role_at_once_are_both_whole_or_one_is_refused(tmp_path):
    """Two stores on one file, as two processes have: the second finds the name of its version taken."""
    first = county(tmp_path)
    second = GeoPackage(first.path)
    original = second.layers
    second.layers = lambda *_: []  # what it saw before the first one finished
    try:
        first.put(zones(2), by="test")
        with pytest.raises(StoreBroken, match=r"zones_v1.* already exists"):
            second.put(zones(3), by="test")
        second.layers = original
        assert second.put(zones(3), by="test").version == 2
        assert [len(near(one).features) for one in (first, second)] == [3, 3]
    finally:
        first.close()
        second.close()


def test_who_waits_for_another_writer_lets_that_one_go_on(store: GeoPackage) -> None:
    """The other writer is a thread of this process: it can only end when who waits lets go of the interpreter."""
    other = apsw.Connection(str(store.path))
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as beside:
        saving = beside.submit(store.save, "check", "C1", {"verdict": "clear"})
        time.sleep(0.2)  # it waits by now
        assert not saving.done()
        other.execute("COMMIT")
        saving.result()
    other.close()
    assert store.load("check", "C1") == {"verdict": "clear"}
