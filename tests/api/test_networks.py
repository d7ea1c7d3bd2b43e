"""Networks over HTTP: the report on them, and what it takes to connect a site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.networks import Networks
from api.settings import Settings
from gis.check import rulebook
from layers import arrays
from layers.ingest import from_frame
from layers.store import open_store
from tests.counties import EAST, EXTENT, GOOD, NORTH, found_county

HERE = "http://127.0.0.1"
PLANT = {"id": "P", "land_m2": 8000, "power_kva": 3000, "water_m3d": 200, "effluent_m3d": 100, "freight_td": 40}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    store = found_county(path)
    lines = [[(-1e4, -100), (1e4, -100)], [(50, -90), (50, 40)]]
    frame = gpd.GeoDataFrame(
        {"id": ["R1", "R2"], "name": ["省道", "村道"], "road_class": ["provincial", "village"]},
        geometry=[shapely.LineString([(EAST + x, NORTH + y) for x, y in line]) for line in lines],
        crs=4545,
    )
    store.put(from_frame(frame, "roads", source="tests", extent=EXTENT), by="tests")
    store.close()
    return path


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(county=path)), base_url=HERE) as client:
        yield client


def test_the_report_names_every_break_by_its_feature(client):
    found = client.get("/network/report").json()
    assert found["networks"]["roads"]["edges"] == 2
    breaks = {(one["role"], one["kind"], one["feature"]) for one in found["breaks"]}
    assert ("roads", "gap", "R2") in breaks  # its end stops 10 m short of the provincial road
    assert ("roads", "unconnected part", "R2") in breaks
    assert any(kind == "no capacity_kva" for _, kind, _ in breaks)
    at = next(one["at"] for one in found["breaks"] if one["kind"] == "gap")
    assert at["type"] == "Point"
    assert 100 < at["coordinates"][0] < 120


def test_a_site_is_connected_along_ways_that_are_then_kept(client, path):
    asked = {"project": PLANT, "site": {"parcels": [GOOD]}}
    first = client.post("/connections", json=asked)
    assert first.status_code == 200
    found = {one["utility"]: one for one in first.json()["connections"]}
    power = found["power"]
    assert (power["status"], power["name"]) == ("served", "木黄变电站")
    assert power["route"]["type"] == "LineString"
    assert power["length_m"] == pytest.approx(2_900, abs=40)
    assert power["cost_wan"]["typical"] == pytest.approx(sum(one["cost_wan"]["typical"] for one in power["items"]))
    assert first.json()["cost_wan"]["typical"] == pytest.approx(
        sum(one["cost_wan"]["typical"] for one in found.values()), abs=0.01
    )
    kept = sorted(one.name for one in (path.with_suffix(".cache") / "routes").iterdir())
    assert client.post("/connections", json=asked).json() == first.json()
    assert sorted(one.name for one in (path.with_suffix(".cache") / "routes").iterdir()) == kept


def test_a_check_shows_the_kept_way_and_can_be_asked_again(client):
    asked = {"project": {**PLANT, "water_m3d": 1000}, "site": {"parcels": [GOOD]}}
    before = client.post("/checks", json=asked).json()
    client.post("/connections", json=asked)
    after = client.post("/checks", json=asked).json()
    lines = []
    for check in (before, after):
        found = next(one for one in check["findings"] if one["rule"] == "water.headroom")
        lines.append(found["evidence"]["coordinates"])
        assert "水厂还差 100 m³/d" in found["remedy"]["zh"]
        assert client.post(f"/checks/{check['id']}/recheck").json()["same"]
    assert len(lines[1]) > 50
    assert before["verdict"] == after["verdict"]


def test_another_county_of_the_same_layers_reads_what_is_kept(path, client):
    client.post("/connections", json={"project": PLANT, "site": {"parcels": [GOOD]}})
    store = open_store(path)
    book = rulebook().confirmed(store.list("confirmation"))
    find = Networks(store, lambda: book).lookup(store.at())
    assert find("power", "substations", "substations-1") is not None
    assert find("power", "substations", "nowhere") is None
    store.close()


def test_a_year_out_of_range_and_a_site_that_is_none_are_refused(client):
    assert client.get("/network/report?for_year=1").status_code == 422
    assert client.post("/connections", json={"project": PLANT, "site": {"parcels": ["none"]}}).status_code == 404


def test_arrays_that_are_not_whole_are_not_there(tmp_path):
    arrays.keep(tmp_path / "key", {"a": np.arange(3)})
    assert arrays.kept(tmp_path / "key")["a"].tolist() == [0, 1, 2]
    (tmp_path / "key" / "whole").unlink()
    assert arrays.kept(tmp_path / "key") is None
    arrays.keep(tmp_path / "key", {"a": np.arange(4)})
    assert arrays.kept(tmp_path / "key")["a"].tolist() == [0, 1, 2, 3]
    (tmp_path / "key" / "a.npy").write_bytes(b"cut")
    assert arrays.kept(tmp_path / "key") is None


def test_the_connections_of_a_check_are_features_for_a_map(client):
    check = client.post("/checks", json={"project": PLANT, "site": {"parcels": [GOOD]}}).json()
    answer = client.get(f"/checks/{check['id']}/connections")
    assert answer.headers["content-type"] == "application/geo+json"
    found = answer.json()
    asked = client.post("/connections", json={"project": PLANT, "site": {"parcels": [GOOD]}}).json()
    assert found["cost_wan"] == asked["cost_wan"]
    ways = {one["properties"]["utility"]: one for one in found["features"] if one["properties"]["kind"] == "connection"}
    for one in asked["connections"]:
        assert ways[one["utility"]]["geometry"] == one["route"]
        assert ways[one["utility"]]["properties"]["facility"] == one["facility"]
    assert [one["properties"]["kind"] for one in found["features"]][:2] == ["site", "entrance"]
    assert client.get("/checks/none/connections").status_code == 404


def test_the_access_road_begins_at_the_entrance_that_is_given(client):
    asked = {"project": PLANT, "site": {"parcels": [GOOD]}}
    nearest = client.post("/connections", json=asked).json()
    assert nearest["entrance"]["given"] is False
    assert nearest["entrance"]["roads"] == ["村道"]  # it runs into the site
    gate = {"coordinates": [EAST + 50, NORTH + 100], "crs": "EPSG:4545"}
    north = client.post("/connections", json={**asked, "entrance": gate}).json()
    assert north["entrance"]["given"] is True
    road = {name: next(one for one in some["connections"] if one["utility"] == "road")
            for name, some in (("nearest", nearest), ("north", north))}  # fmt: skip
    assert road["nearest"]["length_m"] == 0  # the village road runs through the site
    assert 40 <= road["north"]["length_m"] <= 80  # from its northern border to the end of that road
    assert road["north"]["distance_m"] == pytest.approx(60)
    off = client.post(
        "/connections", json={**asked, "entrance": {"coordinates": [EAST + 50, NORTH + 400], "crs": "EPSG:4545"}}
    )
    assert off.status_code == 422
    assert off.json()["errors"][0]["field"] == "entrance"
