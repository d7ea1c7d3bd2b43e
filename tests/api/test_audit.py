"""What was done, read and refused is on record, by whom and from where; the auditor alone reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest
from fastapi.testclient import TestClient

from api.trail import MOST_KINDS, Refusals
from layers.access import ORIGIN, Access, Origin
from tests.api.test_service import is_problem
from tests.api.two_zones import WEST_PARCEL, bearer, people, served, two_zones


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    path = tmp_path / "two.gpkg"
    two_zones(path).close()
    return path, people(path)


@pytest.fixture
def client(place: tuple[Path, dict[str, str]]) -> Iterator[TestClient]:
    with served(place[0]) as client:
        yield client


def log(client: TestClient, place: Any, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/audit", params={"limit": 10_000, **query}, headers=bearer(place[1]["auditor"]))
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def test_every_read_of_a_decision_and_every_write_is_on_record(client: TestClient, place: Any) -> None:
    planner = bearer(place[1]["planner"])
    after = log(client, place)[-1]["seq"]
    made = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [WEST_PARCEL]}}, headers=planner)
    check = made.json()["id"]
    reads = [f"/checks/{check}", f"/checks/{check}/report.geojson", f"/checks/{check}/report.xlsx"]
    reads += [f"/maps/checks/{check}", f"/checks/{check}/opinions"]
    answers = [made, *(client.get(path, headers=planner) for path in reads)]
    answers.append(client.post(f"/checks/{check}/recheck", headers=planner))
    answers.append(client.put("/projects/TEA", json={"name": "茶", "land_m2": 900}, headers=planner))
    client.get("/layers", headers=planner)  # no decision
    rows = [row for row in log(client, place, after=after) if row["actor"] == "planner-1"]
    assert [(row["action"], row["subject"], row["outcome"]) for row in rows] == [
        ("check", check, made.json()["verdict"]),
        ("GET /checks/{check_id}", check, "200"),
        ("GET /checks/{check_id}/report.geojson", check, "200"),
        ("GET /checks/{check_id}/report.xlsx", check, "200"),
        ("GET /maps/checks/{check_id}", check, "200"),
        ("GET /checks/{check_id}/opinions", check, "200"),
        ("recheck", check, "same"),
        ("project", "TEA", "written"),
    ]
    assert {row["role"] for row in rows} == {"planner"}
    assert {row["source"] for row in rows} == {"testclient"}
    assert [row["request"] for row in rows] == [answer.headers["x-request-id"] for answer in answers]
    assert len({row["request"] for row in rows}) == len(rows)


def test_who_reads_the_log_is_in_it(client: TestClient, place: Any) -> None:
    log(client, place)
    (row,) = log(client, place, actor="auditor-1")[-1:]
    assert (row["action"], row["role"]) == ("GET /audit", "auditor")


def test_the_log_is_asked_in_pages_and_by_who_what_and_which(client: TestClient, place: Any) -> None:
    planner, auditor = bearer(place[1]["planner"]), bearer(place[1]["auditor"])
    for name in ("A", "B"):
        client.put(f"/projects/{name}", json={"name": "茶", "land_m2": 900}, headers=planner)
    assert [row["subject"] for row in log(client, place, action="project", actor="planner-1")] == ["A", "B"]
    assert [row["action"] for row in log(client, place, subject="B", actor="planner-1")] == ["project"]
    page = client.get("/audit", params={"limit": 2}, headers=auditor).json()
    assert [row["seq"] for row in page["entries"]] == [1, 2]
    assert page["next"] == 2
    assert client.get("/audit", params={"after": 10**9}, headers=auditor).json() == {"entries": [], "next": None}
    is_problem(client.get("/audit", params={"after": -1}, headers=auditor), 422, "invalid-request")


def test_what_was_refused_is_on_record_but_a_flood_is_only_counted(client: TestClient, place: Any) -> None:
    viewer = bearer(place[1]["viewer"])
    before = len(log(client, place))
    for _ in range(200):
        assert client.post("/projects", json={}, headers=viewer).status_code == 403
        assert client.get("/layers").status_code == 401
    client.app.state.refusals.flush()
    rows = log(client, place)[before:]
    told = [(row["actor"], row["action"], row["outcome"]) for row in rows if row["actor"] != "auditor-1"]
    assert len(told) <= 8  # a minute may end in between
    assert told[:2] == [("viewer-1", "POST /projects", "refused 403"), ("-", "GET /layers", "refused 401")]
    counted = {403: 0, 401: 0}
    for _, _, outcome in told:
        if outcome.startswith("refused "):
            counted[int(outcome.split()[-1])] += 1
        else:
            counted[int(outcome.split()[-1])] += int(outcome.split()[0])
    assert counted == {403: 200, 401: 200}


def test_asking_for_another_zones_check_is_on_record(client: TestClient, place: Any) -> None:
    is_problem(client.get("/checks/none", headers=bearer(place[1]["west"])), 404, "not-found")
    (row,) = log(client, place, actor="planner-west")
    assert (row["action"], row["subject"], row["outcome"]) == ("GET /checks/{check_id}", "none", "refused 404")


def test_refusals_of_many_addresses_stay_few_rows() -> None:
    rows: list[tuple[str, str, str, str, str]] = []
    now = [0.0]

    def record(actor: str, action: str, subject: str, outcome: str) -> None:
        origin = ORIGIN.get()
        assert origin is not None
        rows.append((actor, action, subject, outcome, origin.source))

    refusals = Refusals(record, clock=lambda: now[0])
    for number in range(5_000):
        refusals.add(Origin(f"r{number}", f"10.0.{number // 250}.{number % 250}", "-", ""), "GET /layers", "", 401)
    assert len(rows) == MOST_KINDS + 1
    assert not refusals.is_due
    now[0] = 60.0
    assert refusals.is_due
    refusals.add(Origin("r", "10.9.9.9", "-", ""), "GET /layers", "", 401)
    assert len(rows) == MOST_KINDS + 3
    assert rows[-2] == ("many", "refused", "", f"{5_000 - MOST_KINDS - 1} more 401", "")
    assert rows[-1][4] == "10.9.9.9"


def test_the_chain_is_verified_over_http_and_a_forged_row_named(client: TestClient, place: Any) -> None:
    auditor = bearer(place[1]["auditor"])
    told = client.get("/audit/verify", headers=auditor).json()
    assert (told["holds"], told["fault"]) == (True, None)
    assert told["head"] == log(client, place)[told["rows"] - 1]["hash"]
    with closing(apsw.Connection(str(place[0].with_suffix(".access")))) as file:
        file.execute("DROP TRIGGER audit_stays; UPDATE audit SET actor = 'niemand' WHERE seq = 2")
    told = client.get("/audit/verify", headers=auditor).json()
    assert (told["holds"], told["broken_at"]) == (False, 2)


def test_an_answer_that_cannot_be_put_on_record_is_not_given(client: TestClient, place: Any) -> None:
    planner = bearer(place[1]["planner"])
    made = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [WEST_PARCEL]}}, headers=planner)
    with closing(apsw.Connection(str(place[0].with_suffix(".access")))) as file:
        file.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    told = is_problem(client.get(made.headers["location"], headers=planner), 503, "store-broken")
    assert "findings" not in told
    assert client.get("/layers", headers=planner).status_code == 200  # no decision, no record
    with closing(apsw.Connection(str(place[0].with_suffix(".access")))) as file:
        file.execute("DROP TRIGGER full")
    assert client.get(made.headers["location"], headers=planner).status_code == 200


def test_a_write_that_no_router_records_is_on_record_all_the_same(client: TestClient, place: Any) -> None:
    @client.app.post("/forgotten/{thing}")
    def forgotten(thing: str) -> str:
        return thing

    assert client.post("/forgotten/lost-and-found").status_code == 200
    (row,) = log(client, place, subject="lost-and-found")
    assert (row["action"], row["outcome"]) == ("POST /forgotten/{thing}", "200")


def test_what_the_operator_does_is_local(place: Any) -> None:
    access = Access(place[0])
    assert {(row["actor"], row["role"], row["source"]) for row in access.audit()} == {("operator", "operator", "local")}
    access.close()
