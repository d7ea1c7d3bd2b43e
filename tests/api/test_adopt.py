"""A plan becomes reservations: all of it or nothing, once, on what the county is now. On both stores."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import date
from typing import Any

import geopandas as gpd
import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.proof import prove
from api.settings import Settings
from layers.ingest import from_frame
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.records import Paper, account
from layers.ledger.verify import verify
from layers.records import Areas
from layers.store import open_store
from tests.api.test_plans import ended
from tests.counties import EAST, EXTENT, NORTH, TEA, fill_county, small_world
from tests.stores import Stores
from tests.worlds import layer

HERE = "http://127.0.0.1"
OTHER = "520625001001GB00003"
WATER = "capacity/water_sources-1/water_m3d"
POWER, QUOTA = "capacity/substations-1/power_kva", "quota/520625/2026/new_construction"
PAPER = Paper("试字9号", date(2026, 3, 1))
WEIGHTS = {"weights": {"tax_wan": 1, "land_m2": 0.001}}


def county_world() -> Any:
    """The small county on ground that takes quota, with little of it and little power."""
    farm = layer(
        "land_use",
        [shapely.box(-2e4, -2e4, 2e4, 2e4)],
        code_system=["GB/T 21010-2017"],
        code=["0301"],
        three_class=["agricultural"],
        cultivated=[False],
        paddy=[False],
    )
    world = small_world().replaced(farm)
    kinds = {"new_construction": 30_000.0, "agricultural": 30_000.0, "cultivated": 0.0}
    return world.with_pools(**{f"quota__520625__2026__{kind}": amount for kind, amount in kinds.items()})


@pytest.fixture
def name(stores: Stores) -> str:
    store = stores.new()
    fill_county(store, county_world())
    found = stores.name(store)
    store.close()
    return found


@pytest.fixture
def client(name: str) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(county=name)), base_url=HERE) as client:
        yield client
        with contextlib.closing(open_store(name)) as store:
            assert verify(store.ledger).whole


def planned(client: TestClient, *projects: Any, **scenario: Any) -> dict[str, Any]:
    asked = {"projects": list(projects), "scenario": {**WEIGHTS, "start_years": [2026], **scenario}}
    found = ended(client, client.post("/plans", json=asked).json())
    assert found["status"] == "done", found
    return found


def adopt(client: TestClient, plan: dict[str, Any]) -> Any:
    return client.post(f"/plans/{plan['id']}/adopt")


def left(client: TestClient, name: str) -> int:
    return int(client.get(f"/quotas/{name}").json()["available"])


def entries(client: TestClient) -> int:
    return len(client.get("/ledger/entries").json()["entries"])


def test_all_of_a_plan_is_booked_and_a_second_time_gives_the_same(client: TestClient) -> None:
    plan = planned(client, "TEA", {**TEA, "id": "TEA-2", "tax_wan": 5})
    power, quota = left(client, POWER), left(client, QUOTA)
    made = adopt(client, plan)
    assert made.status_code == 201, made.text
    found = {one["project"]: one for one in made.json()["reservations"]}
    assert {one["state"] for one in found.values()} == {"reserved"}
    for row in plan["assignments"]:
        one = found[row["project"]]
        assert one["site"]["parcels"] == [row["site"]["name"]] == row["site"]["parcels"]
        assert one["for_year"] == row["approval_year"]
        assert one["plan"]["id"] == plan["id"]
        assert one["plan"]["phases"][0]["production_year"] == row["production_year"]
    assert left(client, QUOTA) == quota - 20_000
    assert left(client, POWER) == power - 800
    count = entries(client)
    again = adopt(client, plan)
    assert (again.status_code, again.json()) == (200, made.json())
    assert entries(client) == count
    assert client.get(f"/plans/{plan['id']}").json()["adopted"]["reservations"] == [
        one["id"] for one in made.json()["reservations"]
    ]
    one = made.json()["reservations"][0]
    assert client.get(f"/reservations/{one['id']}").json() == one


def test_an_adopted_reservation_is_asked_again_and_a_layer_that_was_altered_behind_it_is_named(
    client: TestClient, name: str, stores: Stores
) -> None:
    made = adopt(client, planned(client, "TEA", {**TEA, "id": "TEA-2", "tax_wan": 5})).json()["reservations"]
    assert all(set(one["pinned"]) == {"rulebook", "layers", "books", "as_of", "program", "facts"} for one in made)
    with contextlib.closing(open_store(name)) as store:
        found = prove(store)
        assert (found.whole, found.reservations, found.reservations_again, found.unpinned) == (True, 2, 2, 0)
        ((table,),) = stores.sql(store, "SELECT table_name FROM parkplan_layers WHERE role = 'land_use'")
        if stores.kind == "gpkg":  # they speak of functions that GDAL brings
            named = f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table}'"
            for (trigger,) in stores.sql(store, named):
                stores.sql(store, f'DROP TRIGGER "{trigger}"')
        stores.sql(store, f"UPDATE \"{table}\" SET three_class = 'construction', code = '0601'")
        shutil.rmtree(store.cache)
    with contextlib.closing(open_store(name)) as store:
        found = prove(store)
    assert (found.what, found.whole) == ("reservation", False)
    assert found.id in {one["id"] for one in made}


def test_who_adopts_does_not_approve(client: TestClient) -> None:
    one = adopt(client, planned(client, "TEA")).json()["reservations"][0]
    url = f"/reservations/{one['id']}/transitions"
    assert client.post(url, json={"event": "apply"}, headers={"If-Match": "*"}).status_code == 200
    paper = {"number": "1", "date": "2026-03-01"}
    asked = {"event": "approve", "document": paper}
    assert client.post(url, json=asked, headers={"If-Match": "*"}).status_code == 403
    viewer = {"Authorization": "Bearer demo-viewer"}
    assert client.post(f"/plans/{one['plan']['id']}/adopt", headers=viewer).status_code == 403
    auditor = {"Authorization": "Bearer demo-auditor"}
    rows = client.get("/audit", headers=auditor).json()["entries"]
    assert [row["outcome"] for row in rows if row["action"] == "plan-adopt"] == ["1 reserved, 0 intended"]


def test_what_waits_for_quota_that_is_not_granted_is_an_intention_and_is_reserved_when_it_comes(
    client: TestClient, name: str
) -> None:
    kinds = ("new_construction", "agricultural")
    granted = {f"quota/520625/2026/{kind}": 10_000 for kind in kinds}
    purchase = {"name": "追加指标", "cost_wan": 1, "adds": granted}
    with contextlib.closing(open_store(name)) as store:
        takes = acts.Order(Change("recall", account(QUOTA), Areas(20_000, 20_000)), PAPER, "reviewer")
        store.ledger.run(lambda page: acts.order(page, takes))
    plan = planned(client, {**TEA, "tax_wan": 9}, {**TEA, "id": "TEA-2", "tax_wan": 5}, purchases=[purchase])
    assert {row["project"]: row["waits_for"] for row in plan["assignments"]} == {"TEA": [], "TEA-2": ["追加指标"]}
    made = adopt(client, plan).json()
    found = {one["project"]: one for one in made["reservations"]}
    assert (found["TEA"]["state"], found["TEA-2"]["state"]) == ("reserved", "intended")
    assert found["TEA-2"]["waits_for"] == ["追加指标"]
    assert found["TEA-2"]["charges"] == []
    assert [one["waits_for"] for one in made["waiting"]] == [["追加指标"]]
    url = f"/reservations/{found['TEA-2']['id']}/transitions"
    early = client.post(url, json={"event": "reserve"}, headers={"If-Match": "*"})
    assert (early.status_code, early.json()["account"]) == (409, QUOTA)
    with contextlib.closing(open_store(name)) as store:
        comes = acts.Order(Change("grant", account(QUOTA), Areas(10_000, 10_000)), PAPER, "reviewer")
        store.ledger.run(lambda page: acts.order(page, comes))
    late = client.post(url, json={"event": "reserve"}, headers={"If-Match": "*"}).json()
    assert (late["state"], late["waits_for"]) == ("reserved", [])


def test_quota_of_a_year_nobody_has_granted_yet_waits(client: TestClient) -> None:
    kinds = ("new_construction", "agricultural")
    bought = {"name": "2028年计划", "cost_wan": 1, "adds": {f"quota/520625/2028/{kind}": 10_000 for kind in kinds}}
    plan = planned(client, "TEA", start_years=[2028], carry_years=0, purchases=[bought], weights={"land_m2": 1})
    assert [row["waits_for"] for row in plan["assignments"]] == [["2028年计划"]]
    assert planned(client, "TEA", start_years=[2028], carry_years=0)["assignments"] == []


def test_what_has_to_be_carried_over_first_waits_for_that(client: TestClient) -> None:
    plan = planned(client, "TEA", start_years=[2027])
    assert plan["assignments"][0]["waits_for"] == [
        f"quota/520625/2026/{kind}@2027" for kind in ("new_construction", "agricultural")
    ]
    made = adopt(client, plan).json()
    assert made["reservations"][0]["state"] == "intended"


BIG = {**TEA, "id": "BIG", "water_m3d": 1_000, "tax_wan": 5_000}


def test_who_no_works_has_room_for_is_not_placed_and_the_reason_names_what_is_short(client: TestClient) -> None:
    plan = planned(client, "TEA", BIG, upgrades=False)
    assert [row["project"] for row in plan["assignments"]] == ["TEA"]
    (left_out,) = plan["unplaced"]
    assert (left_out["project"], plan["expansions"]) == ("BIG", [])
    assert any(WATER in one["en"] and "short by at least" in one["en"] for one in left_out["reasons"])
    assert adopt(client, plan).status_code == 201


def test_an_upgrade_that_makes_room_is_bought_from_its_year_on_and_waited_for(client: TestClient) -> None:
    room = {"name": "水厂二期", "cost_wan": 900, "adds": {WATER: 300}, "from_year": 2028}
    plan = planned(client, "TEA", BIG, purchases=[room])
    assert {row["project"]: row["waits_for"] for row in plan["assignments"]} == {"TEA": [], "BIG": ["水厂二期"]}
    (bought,) = plan["expansions"]
    assert (bought["name"], bought["cost_wan"], bought["from_year"]) == ("水厂二期", 900, 2028)
    assert bought["adds"] == [{"account": WATER, "amount": 300, "unit": "m3d"}]
    made = adopt(client, plan)
    assert made.status_code == 201, made.text
    assert {one["project"]: one["state"] for one in made.json()["reservations"]} == {
        "TEA": "reserved",
        "BIG": "intended",
    }
    late = planned(client, BIG, purchases=[{**room, "from_year": 2029}], upgrades=False)
    assert late["assignments"] == []  # productive in 2028, when it is not there yet


def test_a_component_is_a_site_and_a_reservation_of_its_own(client: TestClient) -> None:
    yard = {"name": "堆场", "land_m2": 8_000, "linked_within_m": 150, "power_kva": 10}
    plan = planned(client, {**TEA, "components": [yard]})
    rows = {row["component"]: row for row in plan["assignments"]}
    assert rows.keys() == {None, "堆场"}
    assert {row["project"] for row in rows.values()} == {"TEA"}
    assert rows["堆场"]["phases"][0]["takes"][POWER] == 10
    power = left(client, POWER)
    made = adopt(client, plan)
    assert made.status_code == 201, made.text
    assert {one["project"] for one in made.json()["reservations"]} == {"TEA", "TEA/堆场"}
    assert left(client, POWER) == power - 410
    assert adopt(client, plan).json() == made.json()
    near = planned(client, {**TEA, "components": [{**yard, "land_m2": 5e6}]})
    assert near["assignments"] == []
    assert any("堆场" in one["zh"] for one in near["unplaced"][0]["reasons"])


def test_two_phases_take_each_its_year(client: TestClient, name: str) -> None:
    with contextlib.closing(open_store(name)) as store:
        comes = Change(
            "grant",
            account("quota/520625/2027/new_construction"),
            Areas(4_000, 4_000, 0, 0),
            named=frozenset({"cultivated"}),
        )
        store.ledger.run(lambda page: acts.order(page, acts.Order(comes, PAPER, "reviewer")))
    phases = [{"land_m2": land, "approval_year": year} for land, year in ((6_000, 2026), (4_000, 2027))]
    plan = planned(client, {**TEA, "land_m2": 10_000, "phases": phases}, start_years=[2026])
    (one,) = adopt(client, plan).json()["reservations"]
    assert one["state"] == "reserved", one
    taken = {charge["account"]: charge["amount"] for charge in one["charges"]}
    assert taken["quota/520625/2026/new_construction"] == 6_000
    assert taken["quota/520625/2027/new_construction"] == 4_000
    assert taken[POWER] == 400


def test_ground_taken_meanwhile_refuses_all_and_names_it(client: TestClient) -> None:
    plan = planned(client, "TEA", {**TEA, "id": "TEA-2", "tax_wan": 5})
    held = {"batch": "一批", "site": {"parcels": [OTHER]}}
    first = client.post("/reservations", json=held, headers={"Idempotency-Key": "1"}).json()
    count, quota = entries(client), left(client, QUOTA)
    refused = adopt(client, plan)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/ground-taken")
    assert refused.json()["reservation"] == first["id"]
    assert (entries(client), left(client, QUOTA)) == (count, quota)


def test_a_quota_that_shrank_refuses_all_and_names_the_account(client: TestClient, name: str) -> None:
    plan = planned(client, "TEA", {**TEA, "id": "TEA-2", "tax_wan": 5})
    with contextlib.closing(open_store(name)) as store:
        takes = acts.Order(Change("recall", account(QUOTA), Areas(15_000, 15_000)), PAPER, "reviewer")
        store.ledger.run(lambda page: acts.order(page, takes))
    count = entries(client)
    refused = adopt(client, plan)
    body = refused.json()
    assert (refused.status_code, body["type"]) == (409, "/problems/quota-short")
    assert (body["account"], body["needed"], body["available"]) == (QUOTA, 10_000, 5_000)
    assert "TEA" in body["project"]
    assert entries(client) == count


def test_books_that_changed_and_still_suffice_are_stale_and_named(client: TestClient, name: str) -> None:
    plan = planned(client, "TEA")
    with contextlib.closing(open_store(name)) as store:
        takes = acts.Order(Change("recall", account(QUOTA), Areas(1_000, 1_000)), PAPER, "reviewer")
        store.ledger.run(lambda page: acts.order(page, takes))
    refused = adopt(client, plan)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/stale")
    assert QUOTA in refused.json()["changed"]


def test_a_layer_or_a_project_that_changed_is_named(client: TestClient, name: str) -> None:
    plan = planned(client, "TEA")
    client.put("/projects/TEA", json={**TEA, "power_kva": 900})
    refused = adopt(client, plan)
    assert (refused.status_code, refused.json()["changed"]) == (409, "project TEA")
    client.put("/projects/TEA", json=TEA)
    with contextlib.closing(open_store(name)) as store:
        ground = [shapely.box(EAST, NORTH, EAST + 500, NORTH + 100)]
        frame = gpd.GeoDataFrame({"name": ["新划"]}, geometry=ground, crs=4545)
        store.put(from_frame(frame, "basic_farmland", source="tests", extent=EXTENT), by="tests")
    refused = adopt(client, plan)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/stale")
    assert refused.json()["changed"] == "basic_farmland"
    assert client.get("/reservations").json()["reservations"] == []


def test_a_plan_that_is_not_done_or_places_nobody_is_not_adopted(client: TestClient) -> None:
    failed = client.post(
        "/plans", json={"projects": ["TEA"], "scenario": {"locks": {"TEA": "520625001001GB00002"}}}
    ).json()
    ended(client, failed)
    assert adopt(client, failed).status_code == 409
    empty = planned(client, "TEA", weights={"land_m2": -1})
    assert empty["assignments"] == []
    assert adopt(client, empty).status_code == 422
    assert adopt(client, {"id": "none"}).status_code == 404


def test_replacement_farmland_and_energy_are_planned_shown_and_booked(stores: Stores) -> None:
    farm = layer(
        "land_use",
        [shapely.box(-2e4, -2e4, 2e4, 2e4)],
        code_system=["GB/T 21010-2017"],
        code=["0103"],
        three_class=["agricultural"],
        cultivated=[True],
        paddy=[False],
    )
    kinds = {"new_construction": 30_000.0, "agricultural": 30_000.0, "cultivated": 30_000.0, "energy_tce": 60.0}
    held = {f"quota__520625__2026__{kind}": amount for kind, amount in kinds.items()}
    world = small_world().replaced(farm).with_pools(**held, quota__520625__2025__balance_area=15_000.0)
    store = stores.new()
    fill_county(store, world)
    name = stores.name(store)
    store.close()
    farmland, energy = "quota/520625/2025/balance_area", "quota/520625/2026/energy_tce"
    with TestClient(create_app(Settings(county=name)), base_url=HERE) as client:
        two = [{**TEA, "energy_tce": 40}, {**TEA, "id": "TEA-2", "tax_wan": 5, "energy_tce": 10}]
        plan = planned(client, *two)
        assert len(plan["assignments"]) == 1
        (step,) = plan["assignments"][0]["phases"]
        assert step["takes"]["quota/520625/balance_area"] == 10_000
        pools = {one["name"]: one for one in plan["pools"]}
        assert pools["quota/520625/2026/balance_area"]["balance"] == 15_000
        assert (pools["quota/520625/2026/energy_tce"]["unit"], pools["quota/520625/2026/energy_tce"]["balance"]) == (
            "tce",
            60,
        )
        reasons = str(plan["unplaced"][0]["reasons"])
        assert "quota/520625/2026/balance_area" in reasons
        assert plan["seen"]["balances"][farmland] == 15_000
        booked = adopt(client, plan)
        assert booked.status_code == 201, booked.json()
        used = 40 if plan["assignments"][0]["project"] == "TEA" else 10
        assert (left(client, farmland), left(client, energy)) == (5_000, 60 - used)
        with contextlib.closing(open_store(name)) as store:
            assert verify(store.ledger).whole
