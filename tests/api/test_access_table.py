"""Every route, asked by every role, without a key, with a wrong one, and with the ids of another zone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyogrio
import pytest
from fastapi.testclient import TestClient
from starlette.routing import Mount

from layers.access import ROLES
from tests.api.access_table import FORM, OPEN, TABLE, Row
from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, people, served, two_zones

FILLED = [row for row in TABLE if row.roles != OPEN]
SCOPED = (
    "{check_id}",
    "{parcel_id}",
    "{project_id}",
    "{zone_id}",
    "{upload_id}",
    "{plan_id}",
    "{reservation_id}",
)  # what belongs to a zone
ids = [f"{row.method} {row.path}" for row in FILLED]


class World:
    """A served county of two zones, its people's keys, and real things of either zone."""

    def __init__(self, client: TestClient, keys: dict[str, str], boundary: bytes) -> None:
        self.client, self.keys, self.count = client, keys, 0
        self.of = {zone: self._things(zone, boundary) for zone in ("W", "E")}

    def _things(self, zone: str, boundary: bytes) -> dict[str, str]:
        parcel = {"W": WEST_PARCEL, "E": EAST_PARCEL}[zone]
        key = bearer(self.keys[{"W": "west", "E": "east"}[zone]])
        asked = {"project_id": f"TEA-{zone}", "site": {"parcels": [parcel]}}
        made = self.client.post("/checks", json=asked, headers=key)
        assert made.status_code == 201, made.text
        sent = self.client.post("/uploads", files={"file": ("site.geojson", boundary)}, headers=key)
        assert sent.status_code == 201, sent.text
        plan = self.client.post("/plans", json={"projects": [f"TEA-{zone}"]}, headers=key)
        assert plan.status_code == 202, plan.text
        held = self.client.post("/reservations", json=asked, headers={**key, "Idempotency-Key": "1"})
        assert held.status_code == 201, held.text
        return {
            "{reservation_id}": held.json()["id"],
            "{account:path}": "capacity/substations-1/power_kva",
            "{check_id}": made.json()["id"],
            "{parcel_id}": parcel,
            "{project_id}": f"TEA-{zone}",
            "{zone_id}": zone,
            "{upload_id}": sent.json()["id"],
            "{plan_id}": plan.json()["id"],
            "{form}": "csv",
            "{kind}": "html",
            "{role}": "basic_farmland",
            "{picture}": "suitability",
            "{z}/{x}/{y}": "12/3283/1715",
            "{key}": "none",
            "{name}": "spare",
            "{prefix}": "AAAAAAAA",
            "{slug}": "busy",
        }

    def ask(self, row: Row, headers: dict[str, str], zone: str = "W", **instead: str) -> Any:
        self.count += 1
        words = {**self.of[zone], "{new}": f"new-{self.count}", **{f"{{{k}}}": v for k, v in instead.items()}}
        path, body = row.path, json.dumps(row.body)
        headers = {**headers, "Idempotency-Key": f"n{self.count}", "If-Match": "*"}
        for name, value in words.items():
            path, body = path.replace(name, value), body.replace(name, value)
        if row.body is FORM:
            return self.client.request(row.method, path, headers=headers)
        sent = None if row.body is None else json.loads(body)
        return self.client.request(row.method, path, json=sent, headers=headers)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("two")
    store = two_zones(folder / "two.gpkg")
    frame = store.frame("parcels")
    pyogrio.write_dataframe(frame[frame["id"] == WEST_PARCEL][["id", "geometry"]].to_crs(4326), folder / "site.geojson")
    store.close()
    keys = people(folder / "two.gpkg")
    with served(folder / "two.gpkg") as client:
        # what is tried on a user is tried on one that nothing else depends on
        client.post("/users", json={"name": "spare"}, headers=bearer(keys["system_admin"]))
        client.post("/users/spare/keys", headers=bearer(keys["system_admin"]))
        yield World(client, keys, (folder / "site.geojson").read_bytes())


def test_every_route_has_a_row_and_every_row_a_route(world: World) -> None:
    routes = set()
    for route in every(world.client.app):
        if isinstance(route, Mount):
            routes.add(("GET", route.path))
        else:
            routes |= {(method, route.path) for method in route.methods - {"HEAD", "OPTIONS"}}
    table = [(row.method, row.path.partition("?")[0]) for row in TABLE]
    assert routes == set(table)
    assert len(table) == len(set(table))


def every(app: Any) -> Iterator[Any]:
    """The routes of an application, those of its routers among them."""
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from every(inner)
        else:
            yield route


def is_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


@pytest.mark.parametrize("row", [row for row in TABLE if row.roles == OPEN], ids=lambda row: row.path)
def test_what_is_open_needs_no_key(world: World, row: Row) -> None:
    assert world.ask(row, {}).status_code in (200, *row.well)


@pytest.mark.parametrize("row", FILLED, ids=ids)
def test_without_a_key_or_with_a_wrong_one_nothing_is_said(world: World, row: Row) -> None:
    world.client.app.state.tries._failed.clear()
    for headers in ({}, bearer("wrong"), bearer("demo-planner"), bearer("x" * 43), {"Authorization": "Basic eDp5"}):
        answer = world.ask(row, headers)
        is_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("row", FILLED, ids=ids)
def test_each_role_gets_as_far_as_the_table_says(world: World, row: Row, role: str) -> None:
    answer = world.ask(row, bearer(world.keys[role]))
    if role in row.roles.split():
        assert answer.status_code in (200, 201, 202, *row.well), answer.text
    else:
        is_problem(answer, 403)


@pytest.mark.parametrize("row", [row for row in FILLED if any(one in f"{row.path}{row.body}" for one in SCOPED)])
def test_the_ids_of_another_zone_are_not_there(world: World, row: Row) -> None:
    """One's own answer, another's 404, and the 404 of what never was says the same word for word."""
    planner = bearer(world.keys["west"])
    if "planner" not in row.roles.split():
        is_problem(world.ask(row, planner, zone="E"), 403)
        return
    mine = world.ask(row, planner, zone="W")
    assert mine.status_code in (200, 201, *row.well), mine.text
    if row.path == "/projects":  # another zone in a new project is no id; it is simply not theirs to write
        is_problem(world.ask(row, planner, zone="E"), 403)
        return
    for name in SCOPED:
        if name in row.path or (name in str(row.body) and name != "{zone_id}"):
            other = world.of["E"][name]
            theirs = is_problem(world.ask(row, planner, **{name[1:-1]: other}), 404)
            never = is_problem(world.ask(row, planner, **{name[1:-1]: "never"}), 404)
            assert json.loads(json.dumps(never, ensure_ascii=False).replace("never", other)) == theirs
