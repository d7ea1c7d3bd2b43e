"""What every store does: what is put in comes out, beside the older versions, wholly or not at all."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import CRS

from gis.check import check, rulebook
from layers.errors import StoreBroken, UnknownName
from layers.ingest import from_frame
from layers.records import Industry, Project, Raster
from tests.layers.contents import EVERYWHERE, furnish, grid, near, told, zones
from tests.layers.files import EAST, NORTH, frame, square, squares
from tests.stores import Stores


@pytest.fixture
def store(stores: Stores) -> Iterator[Any]:
    opened = stores.new()
    yield opened
    opened.close()


@pytest.fixture
def full(store: Any) -> Any:
    furnish(store)
    return store


def reopened(stores: Stores, store: Any, change: Callable[[], Any]) -> dict[str, Any]:
    """What the county says when it is opened again after something happened to its files."""
    store.close()
    change()
    again = stores.again(store)
    try:
        return told(again)
    finally:
        again.close()


# --- versions -----------------------------------------------------------------------------------------


def test_a_new_county_is_empty_and_knows_its_name_and_crs(store):
    assert (store.name, store.crs, store.layers(), store.bounds()) == ("印江", CRS(4545), [], None)
    assert store.at().near("zones", EVERYWHERE) is None
    assert store.at().raster("dem") is None
    with pytest.raises(UnknownName, match="no layer 'zones'"):
        store.frame("zones")


def test_a_new_version_stands_beside_the_old_one(stores, store):
    first, second = store.put(zones(2), by="甲"), store.put(zones(3), by="乙")
    assert (first.version, second.version) == (1, 2)
    assert [(one.role, one.version, one.loaded, one.source) for one in store.layers()] == [("zones", 2, 3, "3.gpkg")]
    assert len(near(store).features) == len(store.frame("zones")) == 3
    assert [(one.version, one.imported_by) for one in store.versions("zones")] == [(1, "甲"), (2, "乙")]
    assert [len(store.frame("zones", version=version)) for version in (1, 2)] == [2, 3]
    counts = "SELECT (SELECT count(*) FROM zones_v1), (SELECT count(*) FROM zones_v2)"
    assert stores.sql(store, counts) == [(2, 3)]


def test_a_day_is_answered_as_the_county_was_known_then(stores, store):
    for count in (1, 2, 3):
        store.put(zones(count), by="test")
    store.close()
    for version, day in ((1, "2024-03-01"), (2, "2025-03-01"), (3, "2026-03-01")):
        moment = f"{day}T23:59:59.999999+00:00"
        stores.sql(store, f"UPDATE parkplan_layers SET imported_at = '{moment}' WHERE version = {version}")
    again = stores.again(store)
    try:
        assert again.at(date(2024, 2, 29)).near("zones", EVERYWHERE) is None
        for day, count in ((date(2024, 3, 1), 1), (date(2025, 2, 28), 1), (date(2025, 3, 1), 2), (date(2030, 1, 1), 3)):
            world = again.at(day)
            found = near(again, as_of=day)
            assert (world.as_of, world.for_year) == (day, day.year)
            assert (len(found.features), found.layer.version) == (count, count)
            assert [one.version for one in again.layers(day)] == [count]
    finally:
        again.close()


def test_the_same_content_again_is_a_version_of_its_own(store):
    store.put(zones(), by="test")
    assert near(store).layer.version == 1
    again = store.put(zones(), by="test")
    assert near(store).layer.version == again.version == 2


def test_what_opens_later_is_not_there_yet(store):
    lines = [shapely.LineString([(EAST + n, NORTH), (EAST + n, NORTH + 9)]) for n in range(3)]
    store.put(from_frame(frame(lines, open_year=[2027, None, 2020]), "roads", source="x"), by="test")
    for year, ids in ((2026, ["roads-2", "roads-3"]), (2027, ["roads-1", "roads-2", "roads-3"])):
        found = near(store, "roads", for_year=year)
        assert found.features["id"].tolist() == ids
        assert len(found.pieces) == len(ids)
    assert len(store.frame("roads")) == 3


def test_layers_stand_in_the_order_of_the_roles(store):
    for role in ("eco_redline", "zones", "basic_farmland"):
        store.put(from_frame(frame(), role, source="x"), by="test")
    store.put(grid(), by="test")
    assert [one.role for one in store.layers()] == ["zones", "basic_farmland", "eco_redline", "dem"]
    assert store.bounds() == (EAST, NORTH - 37.5, EAST + 300, NORTH + 100)


def test_features_are_found_by_id_and_by_place(store):
    store.put(zones(5), by="test")
    assert store.frame("zones", ids=["zones-4", "nobody", "zones-2"])["id"].tolist() == ["zones-2", "zones-4"]
    assert store.frame("zones", bounds=square(3).bounds)["id"].tolist() == ["zones-4"]
    assert store.frame("zones", bounds=(0, 0, 1, 1)).empty
    assert store.frame("zones", ids=[]).empty
    assert store.frame("zones", ids=["zones-4", "zones-5"], bounds=square(3).bounds)["id"].tolist() == ["zones-4"]
    assert store.ground("zones", ["zones-2", "nobody"]).keys() == {"zones-2"}
    store.put(grid(), by="test")
    with pytest.raises(UnknownName, match="is a grid"):
        store.frame("dem")


def test_names_stand_in_the_order_of_their_bytes(store):
    names = ["a", "B", "_c", "乙", "甲", "é", "Z-1", "Z1", "10", "9"]
    made = frame(squares(len(names)), id=names)
    store.put(from_frame(made, "parcels", source="x"), by="test")
    store.save_all([("project", name, {"n": name}) for name in names])
    ordered = sorted(names, key=str.encode)
    assert [one.parcel for one in store.fabric.at()] == ordered
    assert [one.parcel for one in store.fabric.at(after="Z1", limit=3)] == ["_c", "a", "é"]
    assert [one["n"] for one in store.list("project")] == ordered


# --- the cache only copies ----------------------------------------------------------------------------


def test_a_deleted_cache_is_made_again_and_says_the_same(stores, full):
    before = told(full)
    assert before["columns"]["paddy"] == ["True", "False", "None", "None"]
    assert reopened(stores, full, lambda: shutil.rmtree(full.cache)) == before


@pytest.mark.parametrize("harm", ["cut short", "garbled", "emptied", "gone"])
@pytest.mark.parametrize("name", ["pieces.arrow", "features.arrow", "values.npy", "place.npy", "seal"])
def test_a_damaged_cache_file_is_noticed_and_made_again(stores, full, name, harm):
    before = told(full)

    def damage() -> None:
        for path in full.cache.glob(f"*/{name}"):
            content = bytearray(path.read_bytes())
            if harm == "garbled":
                content[len(content) // 2] ^= 0x10  # one bit, as a failing disk does
            kept = {"cut short": content[: len(content) // 2], "garbled": content, "emptied": b"", "gone": None}[harm]
            path.unlink()
            if kept is not None:
                path.write_bytes(kept)

    assert reopened(stores, full, damage) == before


def test_features_are_read_even_when_the_cache_goes_while_the_county_is_open(full):
    near(full, "land_use")
    shutil.rmtree(full.cache)
    assert len(full.frame("land_use")) == 4
    assert full.cache.is_dir()


def test_a_layer_whose_table_was_dropped_is_unknown(stores, full):
    full.close()
    stores.sql(full, "DROP TABLE land_use_v1")
    again = stores.again(full)
    try:
        assert again.at().near("land_use", EVERYWHERE) is None
        assert near(again, "roads").features["id"].tolist() == ["roads-1"]
        with pytest.raises(StoreBroken, match=r"land_use@1:.* is gone from the (county file|database)"):
            again.frame("land_use")
    finally:
        again.close()


def test_the_check_says_the_same_from_a_rebuilt_cache(stores, store):
    ground = shapely.box(EAST - 5_000, NORTH - 5_000, EAST + 5_000, NORTH + 5_000)
    system = "GB/T 21010-2017"
    land = frame([square(0), square(1)], code_system=[system] * 2, code=["0101", None])
    store.put(from_frame(land, "land_use", source="x", extent=ground), by="test")
    store.put(from_frame(frame([square(1)]), "basic_farmland", source="x", extent=ground), by="test")
    plant = frame([shapely.Point(EAST, NORTH + 600)], dust=["是"], food=[None])
    store.put(from_frame(plant, "enterprises", source="x", extent=ground), by="test")
    sites = [
        shapely.box(EAST, NORTH, EAST + 90, NORTH + 90),
        square(1),
        shapely.box(EAST, NORTH, EAST + 300, NORTH + 90),
    ]

    def statuses() -> Any:
        again = stores.again(store)
        try:
            asked = Project(id="tea", land_m2=8_000, industry=Industry(code="C1530"), dust=False, hazardous=False)
            checked = check(sites, asked, rulebook(), again.at(date(2030, 1, 1)))
            facts = {name: (one.lo.tolist(), one.hi.tolist()) for name, one in checked.facts.columns.items()}
            return repr(facts), checked.status.tolist(), checked.verdict.tolist()
        finally:
            again.close()

    before = statuses()
    shutil.rmtree(store.cache)
    assert statuses() == before


# --- grids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (7, 10), (256, 256), (257, 300), (300, 513), (5, 2_049), (1_025, 3)])
def test_a_grid_comes_out_bit_for_bit(stores, store, shape):
    prepared = grid(*shape)
    assert prepared.raster is not None
    values = prepared.raster.values
    values[:, 256:512] = 0.0  # a flat tile is not an empty one
    values[256:512, :256] = np.nan
    store.put(prepared, by="test")
    for _ in range(2):  # from the snapshot, then from the store
        again = stores.again(store)
        found = again.at().raster("dem")
        again.close()
        assert isinstance(found, Raster)
        assert (found.west, found.north, found.cell_m) == (EAST, NORTH, 12.5)
        np.testing.assert_array_equal(found.values, values)
        shutil.rmtree(store.cache)


# --- documents --------------------------------------------------------------------------------------


def test_documents_come_back_as_they_were_saved(store):
    body = {"名": "木黄", "n": 1.5, "list": [1, None, {"x": "</script>"}]}
    store.save("project", "b", body)
    store.save("project", "a", {})
    store.save("check", "b", {"other": "kind"})
    assert store.load("project", "b") == body
    assert store.list("project") == [{}, body]
    stamp = store.stamp("project")
    store.save("project", "b", {"new": True})
    assert store.load("project", "b") == {"new": True}
    assert store.stamp("project") != stamp
    with pytest.raises(UnknownName, match="no project 'nobody'"):
        store.load("project", "nobody")
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.save("project", "b", {"x": float("nan")})
    assert store.load("project", "b") == {"new": True}


def test_threads_share_a_store(full):
    from concurrent.futures import ThreadPoolExecutor

    def ask(number: int) -> int:
        if number % 5 == 0:
            full.save("check", str(number), {"n": number})
        if number % 7 == 0:
            full._snapshots.clear()
        return len(near(full, "land_use").features) + len(full.frame("roads"))

    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(60))) == {5}
    assert len(full.list("check")) == 12
