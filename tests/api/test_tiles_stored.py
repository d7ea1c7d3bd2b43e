"""Stored tiles: the same bytes as those drawn on demand, for every kind of store, and never those of an older layer."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient

from api.tiles import Tiles, everything, of
from gis.web_tiles import Tile
from layers.ingest import from_frame
from layers.store import open_store
from scripts.ahead import drawing
from tests.api.two_zones import EAST_PARCEL, bearer, people, served, two_zones
from tests.counties import EAST, EXTENT, NORTH, fill_county, found_county
from tests.stores import Stores

AT = of("parcels", 12, 3283, 1715)


@pytest.fixture
def store(stores: Stores) -> Iterator[Any]:
    made = stores.new()
    fill_county(made)
    yield made
    made.close()


def ids(body: bytes) -> set[str]:
    layers = mapbox_vector_tile.decode(body) if body else {"parcels": {"features": []}}
    return {one["properties"]["id"] for one in layers["parcels"]["features"]}


def around(z: int) -> Tile:
    """The tile of a zoom that holds `AT`."""
    return of("parcels", z, AT.x >> 12 - z, AT.y >> 12 - z)


def test_what_is_stored_is_what_would_be_drawn(store: Any) -> None:
    drawn = Tiles(store)
    view = drawn.view("parcels", everything)
    cold = {z: drawn.vector(view, around(z), everything).body for z in range(8, 13)}
    told: list[tuple[int, int]] = []
    built = drawn.build("parcels", lambda done, all_: told.append((done, all_)))
    assert told[-1][0] == told[-1][1]
    assert built.tiles >= 5
    assert 0 < built.most <= 300_000
    other = Tiles(store)  # as another process
    view = other.view("parcels", everything)
    for z, body in cold.items():
        sent = other.vector(view, around(z), everything, gzipped=True)
        assert (sent.encoding, gzip.decompress(sent.body)) == ("gzip", body)
        assert other.vector(view, around(z), everything) == (body, None)
    assert other.build("parcels").stored == 0  # there already
    assert other.vector(view, Tile(12, 0, 0), everything).body == b""


def test_a_new_version_is_drawn_anew_and_the_old_tiles_go(store: Any) -> None:
    tiles = Tiles(store)
    tiles.build("parcels")
    before = tiles.view("parcels", everything)
    assert EAST_PARCEL in ids(tiles.vector(before, AT, everything).body)
    ground = [shapely.box(EAST + 400, NORTH, EAST + 500, NORTH + 90)]
    frame = gpd.GeoDataFrame({"id": ["P-NEW"]}, geometry=ground, crs=4545)
    store.put(from_frame(frame, "parcels", source="tests", extent=EXTENT, vintage="2030-01-01"), by="tests")
    after = tiles.view("parcels", everything)
    assert after.key != before.key
    assert "P-NEW" in ids(tiles.vector(after, AT, everything).body)
    tiles.build("parcels")
    assert [path.name for path in (store.cache / "tiles").glob("parcels-*")] == [f"parcels-{after.key}"]


def test_held_ground_is_on_the_map_at_once_and_never_stored(store: Any) -> None:
    tiles = Tiles(store)
    assert tiles.vector(tiles.view("placed", everything), AT, everything).body == b""
    assert "placed" not in tiles.roles()
    assert "dem" not in tiles.roles()


def test_a_user_of_one_zone_is_not_given_what_was_stored_for_all(tmp_path: Any) -> None:
    path = tmp_path / "two.gpkg"
    made = two_zones(path)
    for role in Tiles(made).roles():
        Tiles(made).build(role)
    made.close()
    keys = people(path)

    def got(client: TestClient, who: str) -> set[str]:
        answer = client.get("/tiles/parcels/12/3283/1715.mvt", headers=bearer(keys[who]))
        assert answer.status_code == 200
        return ids(answer.content)

    with served(path) as client:
        assert (
            client.get("/tiles/parcels/12/3283/1715.mvt", headers=bearer(keys["viewer"])).headers["content-encoding"]
            == "gzip"
        )
        everybody = got(client, "viewer")
        for _ in range(2):  # in whatever order they ask
            assert got(client, "east") == {EAST_PARCEL}
            assert got(client, "west") == everybody - {EAST_PARCEL}
            assert got(client, "viewer") == everybody


def test_a_damaged_store_is_drawn_again(store: Any) -> None:
    tiles = Tiles(store)
    tiles.build("parcels")
    (folder,) = (store.cache / "tiles").glob("parcels-*")
    (folder / "whole").unlink()
    again = Tiles(store)
    assert EAST_PARCEL in ids(again.vector(again.view("parcels", everything), AT, everything).body)
    assert again.build("parcels").stored > 0


def test_areas_of_a_close_tile_are_those_of_the_source(store: Any) -> None:
    tiles = Tiles(store)
    tile = of("parcels", 14, 3283 * 4 + 1, 1715 * 4 + 2)
    found: dict[str, float] = {}
    inside = shapely.box(0, 0, 4096, 4096)
    for x in range(3283 * 4, 3283 * 4 + 4):
        for y in range(1715 * 4, 1715 * 4 + 4):
            body = tiles.vector(tiles.view("parcels", everything), of("parcels", 14, x, y), everything).body
            for one in mapbox_vector_tile.decode(body)["parcels"]["features"] if body else ():
                name, ground = one["properties"]["id"], shapely.geometry.shape(one["geometry"])
                found[name] = found.get(name, 0.0) + ground.intersection(inside).area
    unit_m = tile.size_m / 4096 * np.cos(np.radians(28.06))  # on the ground
    frame = store.frame("parcels")
    for name, area_m2 in zip(frame["id"], frame["area_m2"], strict=True):
        assert found[name] * unit_m**2 == pytest.approx(area_m2, rel=0.03)  # 100 m are 51 units


def test_a_stored_tile_is_told_at_once_and_a_writer_is_never_waited_for(tmp_path: Path) -> None:
    store = found_county(tmp_path / "county.gpkg")
    tiles = Tiles(store)
    view = tiles.view("zones", everything)
    at = around(10)
    assert tiles.at_hand("zones", at) is None  # nothing is stored
    tiles.build("zones")
    assert tiles.at_hand("zones", at) == (view.key, tiles.vector(view, at, everything, gzipped=True).body)
    tiles.build("parcels")
    assert tiles.at_hand("parcels", at) is None  # each user's own
    assert tiles.at_hand("nowhere", at) is None
    with ThreadPoolExecutor(1) as other, store._tables.writing():
        assert other.submit(tiles.at_hand, "zones", at).result(5) is None
    store.close()


def test_tiles_are_drawn_ahead_once_and_the_process_ends_with_its_starter(tmp_path: Path) -> None:
    path = tmp_path / "county.gpkg"
    found_county(path).close()
    with drawing(str(path)):
        until = time.monotonic() + 60
        while not list(path.with_suffix(".cache").glob("tiles/suitability-*/whole")) and time.monotonic() < until:
            time.sleep(0.1)
    store = open_store(path)
    tiles = Tiles(store)
    assert {name: tiles.build(name).stored for name in tiles.roles()} == dict.fromkeys(tiles.roles(), 0)
    store.close()
    env = {**os.environ, "PARKPLAN_COUNTY": str(path)}
    alone = subprocess.Popen([sys.executable, "-m", "scripts.ahead"], stdin=subprocess.PIPE, env=env)
    assert alone.stdin is not None
    alone.stdin.close()
    assert alone.wait(30) is not None
