"""Who serves is part of an offer, and a plan says what it costs: counted by hand, booked on both stores."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.plan_map import plan_chart
from api.settings import Settings
from layers.gpkg import create
from layers.ledger.verify import verify
from layers.store import open_store
from scripts import cli
from tests.api.test_plans import ended
from tests.counties import TEA, fill_county, small_world
from tests.stores import Stores
from tests.worlds import layer

HERE = "http://127.0.0.1"
NEAR, FAR = "capacity/substations-1/power_kva", "capacity/substations-2/power_kva"
PLANTS = [{**TEA, "id": name, "tax_wan": 1_000} for name in ("A", "B")]
WEIGHTS = {"tax_wan": 1, "connection_wan": -1}


def county(store: Any, *, near_kva: float = 500.0, far: bool = True) -> None:
    """Two parcels (0 to 100 m and 200 to 300 m east) and two stations in one row: the near one has room for one plant.

    All ground is built up, flat and open to lines: a kilometre of 10 kV costs 2 x 22 wan, of thin pipe more.
    """
    places = [shapely.Point(690, 50), *([shapely.Point(2_890, 50)] if far else [])]
    names = ["近站", "远站"][: len(places)]
    world = small_world().replaced(layer("substations", places, name=names))
    world._pools = {**world._pools, NEAR: near_kva} | ({FAR: 5_000.0} if far else {})
    fill_county(store, world)


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    store = stores.new()
    county(store)
    name = stores.name(store)
    store.close()
    with TestClient(create_app(Settings(county=name)), base_url=HERE) as client:
        yield client
        with contextlib.closing(open_store(name)) as again:
            assert verify(again.ledger).whole


def planned(client: TestClient, *projects: Any, **scenario: Any) -> dict[str, Any]:
    asked = {"weights": WEIGHTS, "start_years": [2026], "upgrades": False, "gap": 0.0, **scenario}
    found = ended(client, client.post("/plans", json={"projects": list(projects), "scenario": asked}).json())
    assert found["status"] == "done", found
    return found


def stations(plan: dict[str, Any]) -> dict[str, str]:
    return {one["project"]: one["served_by"]["power"]["facility"] for one in plan["assignments"]}


def power(plan: dict[str, Any], key: str) -> dict[str, Any]:
    (owed,) = (one for one in plan["bill"]["projects"] if one["project"] == key)
    return next(one for one in owed["connections"] if one["utility"] == "power")


def test_the_second_plant_goes_to_the_farther_station_and_is_booked_there(client: TestClient) -> None:
    plan = planned(client, *PLANTS)
    served = stations(plan)
    assert sorted(served.values()) == ["substations-1", "substations-2"]
    here = {one["project"]: one["site"]["parcels"][0] for one in plan["assignments"]}
    for key, station in served.items():
        start = 90 if here[key].endswith("1") else 290  # the eastern cell of its parcel
        end = 690 if station == "substations-1" else 2_890
        # 2 x 22 wan a km, a bay of 25, 0.4 MVA of transformer at 22
        assert power(plan, key)["alone_wan"] == pytest.approx((end - start) / 1000 * 44 + 25 + 8.8)
        assert power(plan, key)["length_m"] == end - start
    used = {one["name"]: one["used"] for one in plan["pools"] if one["used"]}
    assert (used[NEAR], used[FAR]) == (400, 400)
    assert plan["objective"] == pytest.approx(2_000 - plan["bill"]["connection_wan"]["alone"])
    before = {name: client.get(f"/quotas/{name}").json()["available"] for name in (NEAR, FAR)}
    assert client.post(f"/plans/{plan['id']}/adopt").status_code == 201
    after = {name: client.get(f"/quotas/{name}").json()["available"] for name in (NEAR, FAR)}
    assert {name: before[name] - after[name] for name in before} == {NEAR: 400, FAR: 400}


def test_a_stretch_that_two_use_is_built_once_and_each_pays_half(client: TestClient) -> None:
    bill = planned(client, *PLANTS)["bill"]
    (lines,) = (one for one in bill["utilities"] if one["utility"] == "power")
    # from 290 to 690 m both lines run side by side
    assert lines["alone_wan"] - lines["shared_wan"] == pytest.approx(0.4 * 44)
    assert lines["saving_wan"] == pytest.approx(0.4 * 44)
    assert lines["alone_m"] - lines["dug_m"] == pytest.approx(400)
    (common,) = (one for one in bill["stretches"] if one["utility"] == "power" and len(one["users"]) == 2)
    assert common["length_m"] == 400
    each = [link for one in bill["projects"] for link in one["connections"] if link["utility"] == "power"]
    assert [one["saving_wan"] for one in each] == pytest.approx([8.8, 8.8])


def test_shares_add_up_to_the_last_yuan(client: TestClient) -> None:
    bill = planned(client, *PLANTS)["bill"]
    yuan = [round(link["share_wan"] * 1e4) for one in bill["projects"] for link in one["connections"]]
    assert sum(yuan) == round(bill["connection_wan"]["shared"] * 1e4)
    rest = [bill["earthwork_wan"]["typical"], bill["land_wan"]["typical"], bill["purchases_wan"]]
    assert round(bill["total_wan"] * 1e4) == sum(yuan) + sum(round(one * 1e4) for one in rest)
    assert sum(round(one["total_wan"] * 1e4) for one in bill["projects"]) == round(bill["total_wan"] * 1e4)
    assert bill["complete"] is True
    assert bill["land_wan"]["typical"] == pytest.approx(2 * 10_000 * 84 / 1e4)


def test_one_that_may_connect_anywhere_takes_what_is_nearer(client: TestClient) -> None:
    plan = planned(client, PLANTS[0])
    assert stations(plan) == {"A": "substations-1"}
    assert plan["assignments"][0]["site"]["parcels"] == ["520625001001GB00003"]  # 200 m less of every line


def test_the_fund_pays_for_connections_where_it_is_said_to(client: TestClient) -> None:
    both = planned(client, *PLANTS)["bill"]["connection_wan"]["alone"]
    wide = planned(client, *PLANTS, fund_wan=both + 1, fund_covers=["connection"])
    assert wide["bill"]["fund"]["covers"] == ["purchases", "connection"]
    assert wide["bill"]["fund"]["spent_wan"] == wide["bill"]["connection_wan"]["shared"]
    assert len(wide["assignments"]) == 2
    tight = planned(client, *PLANTS, fund_wan=both - 1, fund_covers=["connection"])
    assert len(tight["assignments"]) == 1
    assert len(planned(client, *PLANTS, fund_wan=both - 1)["assignments"]) == 2  # purchases only, unless it says more


def test_a_plant_that_costs_more_than_it_is_worth_stays_away(client: TestClient) -> None:
    poor = {**PLANTS[0], "tax_wan": 10}
    assert planned(client, poor)["assignments"] == []
    assert len(planned(client, poor, weights={"tax_wan": 1})["assignments"]) == 1


def test_with_the_near_station_alone_one_is_left_out(tmp_path: Path) -> None:
    with contextlib.closing(create(tmp_path / "one.gpkg", "试验县", "EPSG:4545")) as store:
        county(store, far=False)
    with TestClient(create_app(Settings(county=tmp_path / "one.gpkg")), base_url=HERE) as client:
        plan = planned(client, *PLANTS)
        assert len(plan["assignments"]) == 1
        (left_out,) = plan["unplaced"]
        assert any(NEAR in one["en"] for one in left_out["reasons"])


def test_the_map_draws_the_ways_and_what_is_shared(client: TestClient) -> None:
    plan = planned(client, *PLANTS)
    page = client.get(f"/maps/plans/{plan['id']}").text
    assert "共用廊道" in page
    assert "route_power" in page
    assert "plan_shared" in page


def test_the_command_says_what_each_pays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(create(tmp_path / "two.gpkg", "试验县", "EPSG:4545")) as store:
        county(store)
    (tmp_path / "ps.json").write_text(json.dumps(PLANTS), encoding="utf-8")
    with contextlib.suppress(SystemExit):
        cli.app(["plan", str(tmp_path / "two.gpkg"), "--projects", str(tmp_path / "ps.json")])
    said = capsys.readouterr().out
    assert "费用 costs" in said
    assert "共用廊道节省" in said


def test_a_plan_from_before_there_were_bills_is_still_drawn(client: TestClient, stores: Stores) -> None:
    plan = planned(client, PLANTS[0])
    del plan["bill"]
    store = stores.new()
    county(store)
    chart = plan_chart(store, plan)
    assert chart.plan["bill"] is None
    store.close()


def test_the_report_has_a_chapter_on_costs_and_says_what_each_weight_is(client: TestClient) -> None:
    plan = planned(client, *PLANTS)
    page = client.get(f"/plans/{plan['id']}/report.html").text
    assert "共用廊道节省" in page
    assert "接入工程明细" in page
    assert "connection_wan" in page
    book = client.get(f"/plans/{plan['id']}/report.xlsx")
    assert book.status_code == 200


def test_who_costs_the_fund_nobody_knows_what_is_left_out_and_told_so(client: TestClient) -> None:
    silent = {**PLANTS[0], "effluent_m3d": None}
    open_ = planned(client, silent)
    assert [one["en"] for one in open_["notes"] if "effluent" in one["en"]]
    if open_["assignments"]:  # where the rules let it stand, its bill is not complete
        assert open_["bill"]["complete"] is False
    closed = planned(client, silent, fund_wan=1e6, fund_covers=["connection"])
    assert closed["assignments"] == []


def test_two_plans_are_compared_by_what_they_cost(client: TestClient) -> None:
    one, both = planned(client, PLANTS[0]), planned(client, *PLANTS)
    found = client.get(f"/plans/{one['id']}/compare", params={"with": both["id"]}).json()
    assert found["cost_wan"] == [one["bill"]["total_wan"], both["bill"]["total_wan"]]
    assert found["saving_wan"] == [0.0, both["bill"]["connection_wan"]["saving"]]
