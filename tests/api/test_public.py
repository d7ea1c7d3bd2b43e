"""政务公开: open to anybody, too coarse to measure, published by a reviewer and never deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from tests.counties import EAST, FARM, GOOD, NORTH, found_county

HERE = "http://127.0.0.1"
NUMBER = "黔S（2026）001号"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "small.gpkg"
    path.write_bytes(template.read_bytes())
    return path


@pytest.fixture
def client(path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(county=path)), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def key(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def checked(client: TestClient, parcel: str = GOOD, by: str = "demo-planner") -> str:
    body = {"project_id": "TEA", "site": {"parcels": [parcel]}}
    return str(client.post("/checks", json=body, headers=key(by)).json()["id"])


def case(check: str, **changes: Any) -> dict[str, Any]:
    said = {
        "decision": "agreed",
        "document": "县府函〔2026〕7号",
        "decided_on": "2026-03-01",
        "statement": "同意选址。",
    }
    return {"check": check, **said, **changes}


def publish(client: TestClient, body: dict[str, Any], by: str = "demo-reviewer") -> Any:
    return client.post("/public/cases", json=body, headers=key(by))


def test_a_case_is_published_by_a_reviewer_and_says_nothing_private(client: TestClient, path: Path) -> None:
    check = checked(client)
    made = publish(client, case(check))
    assert made.status_code == 201, made.text
    (shown,) = client.get("/public/cases").json()["cases"]
    assert shown == made.json()
    assert (shown["industry"]["code"], shown["industry"]["name_zh"]) == ("1530", "精制茶加工")
    assert (shown["area_ha"], shown["zones"], shown["verdict"]) == (1.0, ["带"], "clear")
    assert "县府函〔2026〕7号" in client.get("/public").text
    told = json.dumps(shown, ensure_ascii=False)
    for private in (check, GOOD, "demo-", "TEA", "coordinates"):
        assert private not in told
    access = Access(path)
    assert ("demo-reviewer", "public-case") in {(one["actor"], one["action"]) for one in access.audit()}
    access.close()


@pytest.mark.parametrize("who", ["demo-viewer", "demo-consumer", "demo-planner", "demo-auditor", "demo-system"])
def test_nobody_but_a_reviewer_publishes(client: TestClient, who: str) -> None:
    assert publish(client, case(checked(client)), by=who).status_code == 403


def test_whoever_asked_the_check_does_not_publish_it(client: TestClient) -> None:
    check = checked(client, by="demo-reviewer")
    assert publish(client, case(check)).status_code == 403
    assert publish(client, case(check), by="demo-reviewer-2").status_code == 201


def test_a_decision_is_withdrawn_by_a_document_and_stays(client: TestClient) -> None:
    check = checked(client)
    made = publish(client, case(check)).json()
    assert publish(client, case(check)).status_code == 409
    taken = client.post(
        f"/public/cases/{made['id']}/withdrawals",
        json={"document": "县府函〔2026〕9号", "reason": "批文撤回"},
        headers=key("demo-reviewer-2"),
    )
    assert taken.status_code == 201
    (shown,) = client.get("/public/cases").json()["cases"]
    assert shown["decision"] == "agreed"
    assert shown["withdrawn"]["document"] == "县府函〔2026〕9号"
    again = client.post(
        f"/public/cases/{made['id']}/withdrawals", json={"document": "a", "reason": "b"}, headers=key("demo-reviewer")
    )
    assert again.status_code == 409
    assert publish(client, case(check, decision="refused")).status_code == 201  # a new decision beside the old one
    assert len(client.get("/public/cases").json()["cases"]) == 2
    assert client.delete(f"/public/cases/{made['id']}", headers=key("demo-reviewer")).status_code in (404, 405)
    assert (
        client.post(
            "/public/cases/none/withdrawals", json={"document": "a", "reason": "b"}, headers=key("demo-reviewer")
        ).status_code
        == 404
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"decided_on": "2099-01-01"}, "decided_on"),
        ({"statement": "联系人电话13812345678"}, "statement"),
        ({"statement": "身份证52062519900101123X"}, "statement"),
    ],
)
def test_what_may_not_be_public_is_refused(client: TestClient, changes: dict[str, str], field: str) -> None:
    made = publish(client, case(checked(client), **changes))
    assert made.status_code == 422
    assert [one["field"] for one in made.json()["errors"]] == [field]
    assert client.get("/public/cases").json() == {"cases": []}


def test_basic_farmland_is_never_agreed_to(client: TestClient) -> None:
    check = checked(client, FARM)
    assert publish(client, case(check)).status_code == 422
    assert publish(client, case(check, decision="refused")).status_code == 201


def test_an_unknown_check_is_not_found_and_a_bad_body_is_named(client: TestClient) -> None:
    assert publish(client, case("none")).status_code == 404
    assert publish(client, case(checked(client), decision="maybe")).status_code == 422
    assert publish(client, {**case(checked(client)), "parcel": GOOD}).status_code == 422


def test_the_drawing_is_on_a_lattice_and_tells_no_place(client: TestClient) -> None:
    made = client.get("/public")
    assert made.status_code == 200
    page = made.text
    assert "示意图，不作为依据" in page
    assert "合成数据" in page
    assert not re.search(r"<script|style=|https?://", page)
    numbers = [float(one) for path in re.findall(r' d="([^"]+)"', page) for one in re.findall(r"-?[\d.]+", path)]
    assert numbers
    assert all(one == int(one) and 0 <= one <= 400 for one in numbers)  # the county is 40 km across
    for precise in (str(int(EAST)), str(int(NORTH)), "108.6", "28.0", GOOD, "parcels"):
        assert precise not in page


def test_without_a_key_only_this_is_open_where_users_exist(path: Path) -> None:
    access = Access(path)
    access.add("管", "reviewer")
    access.close()
    with TestClient(create_app(Settings(county=path)), base_url=HERE, raise_server_exceptions=False) as client:
        assert client.get("/public").status_code == 200
        assert client.get("/public/cases").status_code == 200
        assert client.post("/public/cases", json=case("x")).status_code == 401
        assert client.get("/outlook").status_code == 401
        assert client.get("/workbench.json").status_code == 401


def test_beyond_loopback_the_map_needs_its_number(path: Path) -> None:
    access = Access(path)
    access.add("管", "reviewer")
    access.close()
    settings = {"county": path, "host": "10.0.0.5"}
    with TestClient(create_app(Settings(**settings)), raise_server_exceptions=False) as client:
        assert client.get("/public").status_code == 403
        assert client.get("/public/cases").status_code == 200
    with TestClient(create_app(Settings(**settings, map_approval_no=NUMBER)), raise_server_exceptions=False) as client:
        page = client.get("/public")
        assert page.status_code == 200
        assert f"审图号：{NUMBER}" in page.text
        assert "不作为依据" not in page.text
