"""Searches and plans over HTTP and by the command line; a plan is a job that outlives its process."""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.jobs import Plans
from gis.unplaced import pool_words
from layers.gpkg import GeoPackage
from layers.ledger.keeping import open_books
from layers.ledger.records import Paper
from scripts import cli
from tests.api.two_zones import WEST_PARCEL, bearer, people, served, two_zones
from tests.counties import GOOD, TEA


def ended(client: TestClient, job: dict[str, Any], **headers: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(f"/plans/{job['id']}", **headers).json()  # type: ignore[arg-type]
        if found["status"] in ("done", "failed", "cancelled"):
            return found
        time.sleep(0.05)
    raise AssertionError("the plan did not end")


def test_a_search_ranks_what_passes_and_counts_what_fails_by_rule(client: TestClient) -> None:
    found = client.post("/searches", json={"project_id": "TEA"}).json()
    first = found["candidates"][0]
    assert (first["rank"], first["verdict"]) == (1, "clear")
    assert {one["name"] for one in found["candidates"]} == {GOOD, "520625001001GB00003"}
    assert 0 <= first["score"] <= 1
    assert first["criteria"]["area_m2"] == 10_000
    assert found["considered"] == len(found["candidates"]) + 1
    assert found["rejected"]["farmland.basic"] == 1
    assert sum(one["share"] for one in found["robustness"]["first_place"]) == pytest.approx(1.0)


def test_weights_by_a_name_that_is_no_criterion_are_refused(client: TestClient) -> None:
    wrong = client.post("/searches", json={"project_id": "TEA", "weights": {"beauty": 1}})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "ranking.weights.beauty"
    zero = client.post("/searches", json={"project_id": "TEA", "weights": {"area_m2": 0}})
    assert zero.status_code == 422


def test_a_plan_is_a_job_with_assignments_pools_and_a_proof(client: TestClient) -> None:
    made = client.post(
        "/plans",
        json={
            "projects": ["TEA", {**TEA, "id": "TEA-2", "tax_wan": 5}],
            "scenario": {"weights": {"tax_wan": 1, "jobs": 1, "land_m2": 0.001}},
        },
    )
    assert made.status_code == 202
    assert made.headers["location"] == f"/plans/{made.json()['id']}"
    found = ended(client, made.json())
    assert found["status"] == "done", found
    assert {one["project"] for one in found["assignments"]} == {"TEA", "TEA-2"}
    assert len({one["site"]["name"] for one in found["assignments"]}) == 2
    assert found["objective"] == pytest.approx(21.0)
    assert found["bound"] == pytest.approx(21.0)
    assert found["gap"] == 0
    assert found["violations"] == []
    quota = [one for one in found["pools"] if one["name"].endswith("new_construction")]
    assert all(one["used"] <= one["balance"] for one in quota)


def test_projects_of_a_preferred_industry_come_first_when_ground_is_short(client: TestClient) -> None:
    rivals = [{**TEA, "id": f"R{n}", "tax_wan": 30, "industry": {"code": "3392"}} for n in (1, 2)]
    tea = {**TEA, "tax_wan": 10}
    asked = {"projects": [tea, *rivals], "scenario": {"weights": {"tax_wan": 1}}}
    plain = ended(client, client.post("/plans", json=asked).json())
    assert {one["project"] for one in plain["assignments"]} == {"R1", "R2"}, plain
    asked["scenario"] = {"weights": {"tax_wan": 1}, "preferred": {"agri_processing": 10, "high_tech": 2}}
    found = ended(client, client.post("/plans", json=asked).json())
    assert "TEA" in {one["project"] for one in found["assignments"]}
    assert any("agri_processing, counts 10 times" in one["en"] for one in found["notes"])
    asked["scenario"] = {"preferred": {"beauty": 2}}
    assert client.post("/plans", json=asked).status_code == 422


def test_a_plan_says_what_it_is_at_before_the_solver_speaks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float | None]] = []
    said: list[dict[str, Any]] = []
    kept = GeoPackage.save

    def save(self: GeoPackage, kind: str, key: str, body: Any) -> str:
        if kind == "plan" and body["status"] == "running":
            seen.append((body["progress"]["phase"], body["progress"]["share"]))
            said.append(body["progress"])
        return kept(self, kind, key, body)

    monkeypatch.setattr(GeoPackage, "save", save)
    with served(path) as client:
        ended(client, client.post("/plans", json={"projects": [TEA]}).json())
    assert seen[:2] == [("measuring", 0.0), ("choosing", 1.0)]
    assert said[1]["done"] == said[1]["of"] == 3
    assert said[1]["what"] == {"zh": "候选地块", "en": "candidate sites"}


def test_a_shortage_is_said_in_one_language_at_a_time() -> None:
    zh, en = pool_words("quota/520625-NE/2027/linked since 2026")
    assert (zh, en) == ("quota/520625-NE/2027/linked（2026 年起）", "quota/520625-NE/2027/linked since 2026")


def test_two_plans_are_compared_by_who_moved(client: TestClient) -> None:
    weights = {"land_m2": 1}
    one = ended(client, client.post("/plans", json={"projects": ["TEA"], "scenario": {"weights": weights}}).json())
    stands = one["assignments"][0]["site"]["name"]
    elsewhere = next(name for name in (GOOD, "520625001001GB00003") if name != stands)
    lock = {"weights": weights, "locks": {"TEA": elsewhere}}
    other = ended(client, client.post("/plans", json={"projects": ["TEA"], "scenario": lock}).json())
    found = client.get(f"/plans/{one['id']}/compare", params={"with": other["id"]}).json()
    (moved,) = found["moved"]
    assert (moved["from"]["site"], moved["to"]["site"]) == (stands, elsewhere)
    assert found["scenario"] == {"locks": [{}, {"TEA": elsewhere}]}
    assert client.get(f"/plans/{one['id']}/compare", params={"with": one["id"]}).json()["moved"] == []
    assert client.get(f"/plans/{one['id']}/compare", params={"with": "none"}).status_code == 404


@pytest.mark.parametrize(
    ("scenario", "field"),
    [
        ({"weights": {"tax_wan": 0}}, "scenario"),
        ({"must": ["NOBODY"]}, "scenario"),
        ({"gap": 2}, "scenario.gap"),
    ],
)
def test_a_bad_scenario_is_a_problem_that_names_its_row(
    client: TestClient, scenario: dict[str, Any], field: str
) -> None:
    wrong = client.post("/plans", json={"projects": ["TEA"], "scenario": scenario})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"].startswith(field)


def test_a_lock_on_blocked_ground_fails_the_job_with_its_reason(client: TestClient) -> None:
    farm = "520625001001GB00002"
    made = client.post("/plans", json={"projects": ["TEA"], "scenario": {"locks": {"TEA": farm}}})
    found = ended(client, made.json())
    assert found["status"] == "failed"
    assert f"TEA may not stand on {farm}" in found["errors"][0]


def test_a_plan_whose_process_died_is_taken_up_again_and_given_up_the_second_time(path: Path) -> None:
    with served(path) as client:
        made = client.post("/plans", json={"projects": ["TEA"]}).json()
        ended(client, made)
    gone = {"id": "another", "pid": 2**22 + 1, "at": time.time()}  # no such process
    store = GeoPackage(path)
    kept = store.load("plan", made["id"])
    for begun in (1, 2):
        left = {name: kept[name] for name in ("by", "zones", "created_at", "progress", "asked")}
        store.save(
            "plan",
            f"left-{begun}",
            {**left, "id": f"left-{begun}", "status": "running", "begun": begun, "process": gone},
        )
    store.close()
    with served(path) as client:
        assert ended(client, {"id": "left-1"})["status"] == "done"
        twice = ended(client, {"id": "left-2"})
    assert (twice["status"], twice["reason"]) == ("failed", "its process ended twice before the plan was done")


def test_a_plan_that_waits_can_be_cancelled(path: Path) -> None:
    store = GeoPackage(path)
    plans = Plans(store, lambda: pytest.fail("it was cancelled"))
    plans._put = lambda key: None  # type: ignore[method-assign] # as if another were at work
    from gis.scenario import Scenario
    from layers.records import Project

    job = plans.submit([Project.model_validate(TEA)], Scenario.model_validate({}), "p", None)
    assert plans.cancel(job["id"])["status"] == "cancelled"
    plans._work(job["id"])
    assert plans.read(job["id"])["status"] == "cancelled"
    store.close()


def test_a_plan_that_measures_is_cancelled_before_the_next_batch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from api import jobs
    from gis import check
    from gis.scenario import Scenario
    from layers.records import Project

    monkeypatch.setattr(check, "BLOCK", 1)  # each candidate is a batch of its own
    heard: list[tuple[int, int]] = []
    store = GeoPackage(path)
    plans = Plans(store, lambda: check.rulebook().confirmed(store.list("confirmation")))
    plans._put = lambda key: None  # type: ignore[method-assign]
    job = plans.submit([Project.model_validate(TEA)], Scenario.model_validate({}), "p", None)
    kept = jobs.joint_plan

    def joint_plan(*given: Any, told: Any, **named: Any) -> Any:
        def hears(done: int, of: int) -> None:
            heard.append((done, of))
            plans.cancel(job["id"])
            told(done, of)

        return kept(*given, told=hears, **named)

    monkeypatch.setattr(jobs, "joint_plan", joint_plan)
    plans._work(job["id"])
    ended = store.load("plan", job["id"])
    assert heard == [(1, 3)]
    assert (ended["status"], ended["progress"]["phase"]) == ("cancelled", "measuring")
    assert not {"assignments", "pools", "plan_digest", "reason"} & set(ended)
    store.close()


def test_a_planner_of_one_zone_plans_in_it_and_others_do_not_see_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    store = two_zones(path)
    names = [f"quota/{unit}/{store.at().for_year}/new_construction" for unit in ("U-W", "U-E")]
    pools = pd.DataFrame({"account": names, "balance": [1e6, 1e6], "unit": ""})
    open_books(store.ledger, pools, Paper("试字2号", date(2026, 1, 1)))
    store.close()
    keys = people(path)
    west, east = bearer(keys["west"]), bearer(keys["east"])
    with served(path) as client:
        asked = {"projects": ["TEA-W"], "scenario": {"weights": {"land_m2": 1}}}
        made = client.post("/plans", json=asked, headers=west).json()
        found = ended(client, made, headers=west)  # type: ignore[arg-type]
        assert [one["site"]["name"] for one in found["assignments"]] == [WEST_PARCEL]
        assert client.get(f"/plans/{made['id']}", headers=east).status_code == 404
        assert client.delete(f"/plans/{made['id']}", headers=east).status_code == 404
        assert client.post("/plans", json={"projects": ["TEA-E"]}, headers=west).status_code == 404
        seen = client.post("/searches", json={"project_id": "TEA-W"}, headers=west).json()
        assert {one["name"] for one in seen["candidates"]} == {WEST_PARCEL}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("COLUMNS", "200")

    def parkplan(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["parkplan", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return parkplan


def test_the_command_writes_the_plan_and_its_ground(run: Any, path: Path, tmp_path: Path) -> None:
    projects = tmp_path / "ps.json"
    projects.write_text(json.dumps([TEA]), encoding="utf-8")
    (tmp_path / "s.yaml").write_text("weights: {land_m2: 1}\nstart_years: [2026]\n", encoding="utf-8")
    code, said, err = run(
        "plan", path, "--projects", projects, "--scenario", tmp_path / "s.yaml", "--out", tmp_path / "out"
    )
    assert code == 0, err
    assert "TEA" in said
    kept = json.loads((tmp_path / "out" / "plan.json").read_text(encoding="utf-8"))
    assert (kept["status"], kept["objective"]) == ("done", 8000.0)
    drawn = json.loads((tmp_path / "out" / "plan.geojson").read_text(encoding="utf-8"))
    assert drawn["features"][0]["properties"]["project"] == "TEA"


def test_what_the_commands_cannot_use_exits_3(run: Any, path: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("weights: {beauty: 1}\n", encoding="utf-8")
    code, _, err = run("plan", path, "--scenario", tmp_path / "s.yaml")
    assert (code, "beauty" in err) == (3, True)
    (tmp_path / "s.yaml").write_text("gap: 7\n", encoding="utf-8")
    assert run("plan", path, "--scenario", tmp_path / "s.yaml")[0] == 3
    assert run("plan", path, "--projects", tmp_path / "none.json")[0] == 3
    assert run("search", path, "--project", "NOBODY")[0] == 3


def test_the_search_command_prints_the_best_first(run: Any, path: Path) -> None:
    code, said, _ = run("search", path, "--project", "TEA", "--json")
    assert code == 0
    assert json.loads(said)["candidates"][0]["rank"] == 1
    assert GOOD in run("search", path, "--project", "TEA", "--weight", "area_m2=1")[1]


def test_the_map_of_a_plan_shows_who_stands_where_and_who_does_not_and_escapes_them(client: TestClient) -> None:
    evil = {**TEA, "id": "X", "name": "<script>x</script>${1+1}", "tax_wan": 9}
    large = {**TEA, "id": "LARGE", "name": "大项目", "land_m2": 9e6, "land_max_m2": 9e6}
    asked = {"projects": ["TEA", evil, large], "scenario": {"weights": {"tax_wan": 1, "land_m2": 0.001}}}
    job = client.post("/plans", json=asked).json()
    plan = ended(client, job)
    shown = client.get(f"/maps/plans/{plan['id']}")
    assert shown.status_code == 200
    assert "<script>x" not in shown.text
    assert not any("${1+1}" in script for script in re.findall(r"<script[^>]*>(.*?)</script>", shown.text, re.DOTALL))
    assert "大项目 未落地" in shown.text
    assert plan["unplaced"][0]["reasons"][0]["zh"] in shown.text
    assert "落地 2 项" in shown.text
    assert "http://" not in shown.text.replace("http://www.w3.org", "").replace("http://127.0.0.1", "")
    lock = {"locks": {"TEA": "520625001001GB00002"}}
    failed = client.post("/plans", json={"projects": ["TEA"], "scenario": lock}).json()
    ended(client, failed)
    assert client.get(f"/maps/plans/{failed['id']}").status_code == 409
