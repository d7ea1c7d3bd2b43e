"""Three administrators: one proposes users, one grants roles, one looks on; no one of them does it all."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.tries import Tries
from layers.access import Access
from tests.api.test_service import box, is_problem, lonlat
from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, people, served, two_zones

DEMO_SYSTEM, DEMO_SECURITY = bearer("demo-system"), bearer("demo-security")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("users") / "two.gpkg"
    two_zones(path).close()
    return path, people(path)


@pytest.fixture(scope="module")
def client(place: tuple[Path, dict[str, str]]) -> Iterator[TestClient]:
    with served(place[0]) as client:
        yield client


@pytest.fixture
def key(place: tuple[Path, dict[str, str]]) -> Any:
    return lambda name: bearer(place[1][name])


def whoami(client: TestClient, key: str) -> Any:
    return client.get("/whoami", headers=bearer(key))


def test_a_user_is_proposed_by_one_and_let_in_by_another(client: TestClient, key: Any) -> None:
    made = client.post("/users", json={"name": "新人", "role": "reviewer"}, headers=key("system_admin"))
    assert made.status_code == 201, made.text
    assert made.json()["state"] == "proposed"
    issued = client.post("/users/新人/keys", json={"days": 30}, headers=key("system_admin"))
    assert issued.status_code == 201
    assert issued.headers["cache-control"] == "no-store"
    theirs = issued.json()["key"]
    assert len(theirs) == 43
    is_problem(whoami(client, theirs), 401, "unauthorized")
    is_problem(client.post("/users/新人/role", json={"role": "planner"}, headers=key("system_admin")), 403, "forbidden")
    body = {"role": "planner", "zones": ["U-W"]}
    assert client.post("/users/新人/role", json=body, headers=key("security_admin")).json()["state"] == "active"
    assert whoami(client, theirs).json() == {"name": "新人", "role": "planner", "zones": ["U-W"]}
    # the next key is their own to make, the old one their own to end
    second = client.post("/users/新人/keys", headers=bearer(theirs)).json()["key"]
    is_problem(client.post("/users/新人/keys", headers=key("system_admin")), 403, "forbidden")
    assert client.delete(f"/users/新人/keys/{theirs[:8]}", headers=bearer(second)).status_code == 200
    is_problem(whoami(client, theirs), 401, "unauthorized")
    assert whoami(client, second).status_code == 200
    assert client.post("/users/新人/disable", headers=key("system_admin")).json()["state"] == "disabled"
    is_problem(whoami(client, second), 401, "unauthorized")


def test_nobody_touches_their_own_rights(client: TestClient, key: Any) -> None:
    mine = "/users/security_admin-1"
    is_problem(client.post(f"{mine}/role", json={"role": "reviewer"}, headers=key("security_admin")), 403, "forbidden")
    is_problem(client.post(f"{mine}/disable", headers=key("security_admin")), 403, "forbidden")
    is_problem(client.post("/users/system_admin-1/disable", headers=key("system_admin")), 403, "forbidden")


def test_keys_are_listed_by_their_first_letters_only(client: TestClient, key: Any, place: Any) -> None:
    listed = client.get("/users", headers=key("auditor"))
    assert {"viewer-1", "planner-west"} <= {one["name"] for one in listed.json()["users"]}
    for one in place[1].values():
        assert one not in listed.text
        assert one[:8] in listed.text


@pytest.mark.parametrize(
    "body",
    [
        {"role": "planner"},
        {"role": "planner", "zones": []},
        {"role": "planner", "zones": ["nowhere"]},
        {"role": "auditor", "zones": ["W"]},
        {"role": "root"},
        {"role": "viewer", "admin": True},
    ],
)
def test_a_role_that_is_none_or_zones_that_do_not_fit_are_refused(client: TestClient, key: Any, body: Any) -> None:
    answer = client.post("/users/viewer-1/role", json=body, headers=key("security_admin"))
    assert answer.status_code == 422, answer.text
    assert whoami(client, key("viewer")["Authorization"].split()[1]).json()["role"] == "viewer"


def test_unknown_users_and_keys_are_not_there(client: TestClient, key: Any) -> None:
    is_problem(
        client.post("/users/niemand/role", json={"role": "viewer"}, headers=key("security_admin")), 404, "not-found"
    )
    is_problem(client.post("/users/niemand/keys", headers=key("system_admin")), 404, "not-found")
    is_problem(client.delete("/users/viewer-1/keys/AAAAAAAA", headers=key("security_admin")), 404, "not-found")
    is_problem(client.post("/users", json={"name": "viewer-1"}, headers=key("system_admin")), 409, "exists")


def test_a_revocation_elsewhere_counts_here_at_once(client: TestClient, key: Any, place: Any) -> None:
    elsewhere = Access(place[0])
    made = elsewhere.add("kurz", "viewer")
    assert whoami(client, made).status_code == 200
    elsewhere.disable("kurz", "operator")
    is_problem(whoami(client, made), 401, "unauthorized")
    elsewhere.close()


def test_users_made_in_the_demo_work_beside_the_demo_keys_and_nowhere_else(tmp_path: Path) -> None:
    path = tmp_path / "demo.gpkg"
    two_zones(path).close()
    with served(path) as client:
        assert client.post("/users", json={"name": "甲"}, headers=DEMO_SYSTEM).status_code == 201
        made = client.post("/users/甲/keys", headers=DEMO_SYSTEM).json()["key"]
        assert client.post("/users/甲/role", json={"role": "viewer"}, headers=DEMO_SECURITY).status_code == 200
        assert whoami(client, made).json()["name"] == "甲"
        assert client.get("/whoami").json()["name"] == "demo-planner"
        access = Access(path)
        real = access.add("乙", "viewer")  # from the first real user on the demo is over
        access.close()
        for dead in (made, "demo-planner"):
            is_problem(whoami(client, dead), 401, "unauthorized")
        assert whoami(client, real).status_code == 200


# --- wrong keys --------------------------------------------------------------------------------------------


def test_after_too_many_wrong_keys_an_address_waits_but_whoever_is_known_does_not(place: Any) -> None:
    path, keys = place
    with served(path) as client:
        assert whoami(client, keys["viewer"]).status_code == 200
        wrong = keys["planner"][:8] + "x" * 35
        assert [whoami(client, wrong).status_code for _ in range(8)] == [401] * 6 + [429] * 2
        refused = is_problem(whoami(client, wrong), 429, "too-many-tries")
        assert refused["fix"]
        assert int(whoami(client, wrong).headers["retry-after"]) <= 60
        for number in range(30):
            whoami(client, f"{number:08d}" + "x" * 35)
        is_problem(whoami(client, keys["reviewer"]), 429, "too-many-tries")  # not seen by this process so far
        assert whoami(client, keys["viewer"]).status_code == 200


def test_tries_are_forgotten_after_a_minute_and_never_many() -> None:
    now = [0.0]
    tries = Tries(most=3, most_prefix=2, clock=lambda: now[0])
    for _ in range(2):
        assert tries.wait_s("a", "p") == 0
        tries.failed("a", "p")
    assert tries.wait_s("a", "p") == 61
    assert tries.wait_s("a", "q") == 0
    assert tries.wait_s("b", "p") == 0
    tries.failed("a", "q")
    assert tries.wait_s("a", "r") == 61
    now[0] = 60.0
    assert tries.wait_s("a", "p") == 0
    for number in range(30_000):
        tries.failed(str(number), "p")
    assert len(tries._failed) <= 10_000


# --- keys stay where they belong -------------------------------------------------------------------------------


def test_no_key_comes_into_logs_errors_or_the_audit(place: Any, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    path, keys = place
    texts: list[str] = []
    with caplog.at_level(logging.DEBUG), served(path) as client:
        for one in keys.values():
            good, bad = bearer(one), bearer(one[:-1] + ("A" if one[-1] != "A" else "B"))
            for headers in (good, bad):
                texts += [
                    client.get("/layers", headers=headers).text,
                    client.get(f"/checks/{one}", headers=headers).text,
                    client.get(f"/projects/{one}", headers=headers).text,
                    client.delete(f"/users/niemand/keys/{one}", headers=headers).text,
                    client.post("/users", json={"name": one}, headers=headers).text,
                    client.post("/checks", json={"project_id": one, "site": {"parcels": [one]}}, headers=headers).text,
                    client.post("/checks", content=f"{{{one}", headers=headers).text,
                ]
        metrics = client.get("/metrics").text
    ours = [one.getMessage() for one in caplog.records if not one.name.startswith("http")]  # not the test's own client
    told = "\n".join([*texts, metrics, *ours, *capfd.readouterr()])
    files = b"".join(one.read_bytes() for one in path.parent.iterdir() if one.is_file())
    for one in keys.values():
        assert one not in told
        assert one.encode() not in files


# --- zones -------------------------------------------------------------------------------------------------------


def test_a_planner_of_one_zone_sees_its_parcels_and_projects_alone(client: TestClient, key: Any) -> None:
    def parcels(name: str, **query: Any) -> list[str]:
        answer = client.get("/parcels", params=query, headers=key(name))
        assert answer.status_code == 200, answer.text
        page = answer.json()
        return [one["id"] for one in page["features"]]

    everything = parcels("planner")
    assert set(parcels("west")) == set(everything) - {EAST_PARCEL}
    assert parcels("east") == [EAST_PARCEL]
    assert parcels("reviewer") == parcels("viewer") == everything
    first = client.get("/parcels", params={"limit": 1}, headers=key("east")).json()
    assert (first["numberReturned"], first["next"]) == (1, None)
    projects = {name: client.get("/projects", headers=key(name)).json()["projects"] for name in ("west", "planner")}
    assert [one["id"] for one in projects["west"] if one["id"] == "TEA-E" or "zone" not in one] == []
    assert {"TEA", "TEA-W", "TEA-E"} <= {one["id"] for one in projects["planner"]}
    assert "TEA-E" not in client.get("/projects/export.csv", headers=key("west")).text


def test_a_planner_checks_ground_of_their_zone_and_of_no_other(client: TestClient, key: Any) -> None:
    def ask(name: str, *ground: float) -> int:
        site = {"geometry": lonlat(box(*ground))}
        body = {"project_id": "TEA-W" if name == "west" else "TEA-E", "site": site}
        return client.post("/checks", json=body, headers=key(name)).status_code

    assert ask("west", 20, 0, 80, 60) == 201
    assert ask("west", 170, 0, 230, 60) == 403  # the other zone
    assert ask("west", 120, 0, 180, 60) == 403  # across both
    assert ask("east", 320, 0, 380, 60) == 201  # reaching out of the zone: the rules tell what that means
    assert ask("east", 400, 0, 460, 60) == 403  # outside of all zones
    site = {"geometry": lonlat(box(400, 0, 460, 60))}
    assert client.post("/checks", json={"project_id": "TEA", "site": site}, headers=key("planner")).status_code == 201


def test_a_check_of_ones_zone_is_seen_whoever_asked(client: TestClient, key: Any) -> None:
    made = client.post(
        "/checks", json={"project_id": "TEA-W", "site": {"parcels": [WEST_PARCEL]}}, headers=key("consumer")
    )
    where = made.headers["location"]
    assert client.get(where, headers=key("west")).status_code == 200
    is_problem(client.get(where, headers=key("east")), 404, "not-found")


def test_a_planner_writes_projects_of_their_zone_alone(client: TestClient, key: Any) -> None:
    body = {"name": "茶二", "land_m2": 900}
    for zone, status in (("W", 201), ("西区", 201), ("U-W", 201), ("E", 403), (None, 403)):
        sent = {**body, "id": f"P-{zone}", **({"zone": zone} if zone else {})}
        assert client.post("/projects", json=sent, headers=key("west")).status_code == status, zone
    is_problem(client.put("/projects/P-W", json={**body, "zone": "E"}, headers=key("west")), 403, "forbidden")
    is_problem(client.put("/projects/P-new", json={**body, "zone": "W"}, headers=key("west")), 404, "not-found")
    assert (
        client.put("/projects/P-W", json={**body, "zone": "W", "land_m2": 800}, headers=key("west")).status_code == 200
    )
    rows = "id,name,land_m2,zone\nTEA-E,x,900,W\nP-x,y,900,E\nP-y,z,900,W\n"
    sent = {"file": ("p.csv", rows.encode())}
    told = is_problem(client.post("/projects/import", files=sent, headers=key("west")), 422, "bad-input")
    assert {(one["feature"].split()[-1], one["field"]) for one in told["errors"]} == {("TEA-E", "id"), ("P-x", "zone")}
    assert client.get("/projects/TEA-E", headers=key("planner")).json()["name"] == "精制茶"


def test_places_are_found_in_ones_zone_alone(client: TestClient, key: Any) -> None:
    def found(name: str, text: str) -> set[str]:
        answer = client.get("/places", params={"name": text}, headers=key(name))
        return {one["id"] for one in answer.json()["places"]}

    assert found("planner", "GB0000") == {WEST_PARCEL, "520625001001GB00002", EAST_PARCEL}
    assert found("west", "GB0000") == {WEST_PARCEL, "520625001001GB00002"}
    assert found("east", "GB0000") == {EAST_PARCEL}
    assert "TEA-W" not in found("east", "TEA-")


def test_maps_show_no_parcel_of_another_zone(client: TestClient, key: Any) -> None:
    for page in ("/maps/overview", "/maps/zones/W", f"/maps/parcels/{WEST_PARCEL}"):
        assert EAST_PARCEL not in client.get(page, headers=key("west")).text
        assert EAST_PARCEL in client.get(page, headers=key("planner")).text


def test_a_planner_whose_zone_is_gone_sees_nothing(place: Any) -> None:
    access = Access(place[0])
    lost = access.add("lost", "planner", ["gone"])
    access.close()
    with served(place[0]) as client:
        assert client.get("/parcels", headers=bearer(lost)).json()["features"] == []
        assert client.get("/projects", headers=bearer(lost)).json()["projects"] == []
        is_problem(client.get(f"/parcels/{WEST_PARCEL}", headers=bearer(lost)), 404, "not-found")


def test_a_foreign_boundary_file_is_not_there(client: TestClient, key: Any) -> None:
    feature = {"type": "Feature", "properties": {}, "geometry": lonlat(box(0, 0, 50, 50))}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    made = client.post("/uploads", files={"file": ("a.geojson", text.encode())}, headers=key("reviewer")).json()["id"]
    body = {"project_id": "TEA-W", "site": {"upload": made}}
    is_problem(client.post("/checks", json=body, headers=key("west")), 404, "not-found")
    assert client.post("/checks", json={**body, "project_id": "TEA"}, headers=key("planner")).status_code == 201
