"""Ways out over HTTP and by the command line: sent back, each passes; what is another zone's is not offered."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import shapely
from fastapi.testclient import TestClient
from shapely.geometry import mapping

from layers.ledger.keeping import open_books
from layers.ledger.records import Paper
from tests.api.two_zones import bearer, people, served, two_zones
from tests.counties import EAST, NORTH, TEA, found_county

# of it the north lies on basic farmland, from 180 m on
SITE = {"geometry": mapping(shapely.box(EAST, NORTH + 90, EAST + 100, NORTH + 200)), "crs": "EPSG:4545"}
SMALL = {**TEA, "land_m2": 8_000, "land_max_m2": 20_000}


@pytest.fixture
def client(tmp_path: Path) -> Any:
    found_county(tmp_path / "small.gpkg").close()
    with served(tmp_path / "small.gpkg") as client:
        yield client


def fails(check: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in check["findings"] if one["status"] in ("fail", "unknown")}


def test_ways_out_are_told_where_asked_for_and_pass_when_they_are_sent_back(client: TestClient) -> None:
    asked = {"project": SMALL, "site": SITE}
    plain = client.post("/checks", json=asked).json()
    assert "remedies" not in plain
    found = client.post("/checks?remedies=true", json=asked).json()
    assert found["verdict"] == plain["verdict"] == "blocked"
    kinds = {one["kind"] for one in found["remedies"]}
    assert {"part", "shift", "plot"} <= kinds
    for one in found["remedies"]:
        again = client.post("/checks", json={"project": SMALL, "site": {"geometry": one["geometry"]}}).json()
        assert again["verdict"] == one["verdict"]
        assert not set(one["mends"]) & fails(again)
        assert set(one["mends"]) <= fails(found)
    (shift,) = [one for one in found["remedies"] if one["kind"] == "shift"]
    assert shift["move"]["distance_m"] == pytest.approx(20.0, abs=0.1)
    assert shift["message"]["zh"].startswith("整体向南移动 20.")
    part = max((one for one in found["remedies"] if one["kind"] == "part"), key=lambda one: one["area_m2"])
    assert part["area_m2"] == pytest.approx(9_000, rel=0.001)
    assert client.get(f"/checks/{found['id']}").json()["remedies"] == found["remedies"]
    assert client.post(f"/checks/{found['id']}/recheck").json()["same"]


def test_a_batch_may_ask_too_but_not_for_very_many(client: TestClient) -> None:
    asked = {"project": SMALL, "sites": [SITE, {"parcels": ["520625001001GB00001"]}]}
    found = client.post("/checks/batch?remedies=true", json=asked).json()["checks"]
    assert [bool(one["remedies"]) for one in found] == [True, False]
    many = {"project": SMALL, "sites": [SITE] * 101}
    assert client.post("/checks/batch?remedies=true", json=many).status_code == 413


def test_ground_of_another_zone_is_not_offered(tmp_path: Path) -> None:
    store = two_zones(tmp_path / "two.gpkg")
    names = [f"quota/{unit}/{store.at().for_year}/new_construction" for unit in ("U-W", "U-E")]
    pools = pd.DataFrame({"account": names, "balance": [1e6, 1e6], "unit": ""})
    open_books(store.ledger, pools, Paper("试字2号", date(2026, 1, 1)))
    store.close()
    keys = people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        asked = {"project": SMALL, "site": SITE}
        named = {}
        for who in ("west", "planner"):
            found = client.post("/checks?remedies=true", json=asked, headers=bearer(keys[who])).json()
            named[who] = {one["name"] for one in found["remedies"] if one["kind"] == "plot"}
        assert named["west"]
        assert named["planner"] == named["west"] | {"<b>三号地</b>${1+1}"}
