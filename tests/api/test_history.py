"""The checks that were made, found again: by project, ground, day and verdict, by those who may see them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.history import History, lonlat_of, row
from api.parcels import standing
from layers.store import open_store
from tests.api.test_service import is_problem
from tests.api.two_zones import bearer, people, served, two_zones
from tests.counties import FARM, GOOD, TEA, found_county

TODAY = datetime.now(UTC).date()


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture(scope="module")
def client(county: Path) -> Iterator[TestClient]:
    with served(county) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(client: TestClient) -> list[dict[str, Any]]:
    """Three checks, the oldest first: two parcels, and ground drawn over the first one."""
    found = [_check(client, {"parcels": [GOOD]}), _check(client, {"parcels": [FARM]}, name="菜籽油")]
    drawn = {"geometry": found[0]["site"]["geometry"]}
    return [*found, _check(client, drawn, purpose="pre_review")]


def _check(client: TestClient, site: dict[str, Any], purpose: str = "screening", **more: Any) -> dict[str, Any]:
    answer = client.post("/checks", json={"project": {**TEA, **more}, "site": site, "purpose": purpose})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _ids(client: TestClient, **asked: Any) -> list[str]:
    return [one["id"] for one in client.get("/checks", params=asked).json()["checks"]]


def test_the_newest_check_stands_first_and_says_what_it_was(client: TestClient, made: list[dict[str, Any]]) -> None:
    listed = client.get("/checks").json()["checks"]
    assert [one["id"] for one in listed] == [one["id"] for one in reversed(made)]
    last = listed[-1]
    assert (last["verdict"], last["parcels"], last["by"]) == (made[0]["verdict"], [GOOD], "demo-planner")
    assert last["project"] == {"id": "TEA", "name": TEA["name"]}


def test_a_check_is_found_by_project_day_verdict_and_purpose(client: TestClient, made: list[dict[str, Any]]) -> None:
    tea, oil, drawn = (one["id"] for one in made)
    assert _ids(client, project="菜籽") == [oil]
    assert _ids(client, project="tea") == [drawn, oil, tea]
    assert _ids(client, purpose="pre_review") == [drawn]
    assert _ids(client, verdict=made[1]["verdict"], project="菜籽") == [oil]
    assert _ids(client, since=str(TODAY - timedelta(days=1)), until=str(TODAY + timedelta(days=1))) == [drawn, oil, tea]
    assert _ids(client, until=str(TODAY - timedelta(days=2))) == []
    is_problem(client.get("/checks", params={"verdict": "fine"}), 422, "invalid-request")


def test_a_parcel_has_the_checks_that_named_it_and_those_drawn_over_it(
    client: TestClient, made: list[dict[str, Any]]
) -> None:
    assert _ids(client, parcel=GOOD) == [made[2]["id"], made[0]["id"]]
    assert _ids(client, parcel=FARM) == [made[1]["id"]]
    is_problem(client.get("/checks", params={"parcel": "nowhere"}), 404, "not-found")


def test_pages_leave_nothing_out(client: TestClient, made: list[dict[str, Any]]) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = client.get("/checks", params={"limit": 1, **({"after": after} if after else {})}).json()
        seen += [one["id"] for one in page["checks"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [one["id"] for one in reversed(made)]


def test_a_check_from_before_rows_were_kept_is_listed_all_the_same(county: Path, made: list[dict[str, Any]]) -> None:
    store = open_store(county)
    try:
        kept = store.load("check_row", made[0]["id"])
        assert row(store.load("check", made[0]["id"]), "demo-planner") == kept
        history = History(store)
        history._rows["x"] = {}  # a process that has read its rows, none of them these
        assert [one["id"] for one in history.newest_first()] == [one["id"] for one in reversed(made)]
        ground = lonlat_of(standing(store.fabric, GOOD, None).geometry, store.crs)
        assert len(list(history.on(ground, "another name"))) == 2
    finally:
        store.close()


def test_checks_of_other_zones_are_not_listed(tmp_path: Path) -> None:
    two_zones(tmp_path / "two.gpkg").close()
    keys = people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        everybody = bearer(keys["reviewer"])
        mine = client.post("/checks", json={"project": TEA, "site": {"parcels": [GOOD]}}, headers=everybody).json()
        zones = {one["zone"] for one in mine["site"]["zones"]}
        for name, key in keys.items():
            answer = client.get("/checks", headers=bearer(key))
            if answer.status_code != 200:
                continue
            read = client.get(f"/checks/{mine['id']}", headers=bearer(key)).status_code == 200
            assert bool(answer.json()["checks"]) == read, (name, zones)
        seen = [bool(client.get("/checks", headers=bearer(key)).json().get("checks")) for key in keys.values()]
        assert True in seen
        assert False in seen
