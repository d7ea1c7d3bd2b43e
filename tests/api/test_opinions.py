"""A condition is closed by a reviewer, on a document; the verdict stays, and some findings nobody may close."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from fastapi.testclient import TestClient

from api.opinions import refuse, remains
from gis.check import rulebook
from gis.rules import _digested
from layers.access import Access
from layers.errors import BadInput
from layers.ingest import from_frame
from tests.api.test_service import is_problem
from tests.api.two_zones import bearer, served
from tests.counties import EAST, EXTENT, FARM, GOOD, NORTH, TEA, found_county

REVIEWER, SECOND = bearer("demo-reviewer"), bearer("demo-reviewer-2")
GRANT = {"document": "黔林审〔2026〕8号", "reason": "已取得批复"}


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    store = found_county(path)
    ground = [shapely.box(EAST + 10, NORTH + 10, EAST + 60, NORTH + 60)]
    frame = gpd.GeoDataFrame({"id": ["SD-1"], "name": ["湿地"]}, geometry=ground, crs=4545)
    store.put(from_frame(frame, "wetlands", source="tests", extent=EXTENT), by="tests")
    store.close()
    return path


@pytest.fixture(scope="module")
def client(county: Path) -> Iterator[TestClient]:
    with served(county) as client:
        yield client


def checked(client: TestClient, parcel: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    made = client.post("/checks", json={"project": TEA, "site": {"parcels": [parcel]}}, headers=headers or {})
    assert made.status_code == 201
    return made.json()


def say(
    client: TestClient, check: str, rule: str, decision: str, headers: dict[str, str] = REVIEWER, **more: Any
) -> Any:
    body = {"rule": rule, "decision": decision, **GRANT, **more}
    return client.post(f"/checks/{check}/opinions", json=body, headers=headers)


def test_a_condition_is_closed_and_the_verdict_stays(client: TestClient, county: Path) -> None:
    check = checked(client, GOOD)
    (rule,) = [one["rule"] for one in check["findings"] if one["status"] == "fail" and one["severity"] != "warn"]
    assert rule == "wetlands.any"
    assert check["opinions"] == []
    assert check["remains"]["open"] == [rule]
    assert check["remains"]["zh"] == "未办结：条件 1 项（wetlands.any）"
    made = say(client, check["id"], rule, "satisfied")
    assert made.status_code == 201, made.text
    assert made.json().items() >= {"rule": rule, "decision": "satisfied", "by": "demo-reviewer", **GRANT}.items()
    now = client.get(f"/checks/{check['id']}").json()
    assert now["opinions"] == [made.json()]
    assert now["remains"] == {
        "open": [],
        "closed": [rule],
        "zh": "意见已全部办结（1 项），原结论不变",
        "en": "All closed by opinions (1); the verdict stays",
    }
    same = ("verdict", "conclusion", "findings", "facts_digest", "rulebook_digest")
    assert {name: now[name] for name in same} == {name: check[name] for name in same}
    assert client.post(f"/checks/{check['id']}/recheck").json()["same"]
    access = Access(county)
    row = access.audit(action="opinion")[-1]
    access.close()
    assert (row["actor"], row["role"], row["subject"]) == ("demo-reviewer", "reviewer", f"{check['id']} {rule}")
    assert row["outcome"] == "satisfied"


def test_the_last_opinion_on_a_rule_counts_and_none_is_lost(client: TestClient) -> None:
    check = checked(client, GOOD)["id"]
    for decision, still in (("overridden", []), ("maintained", ["wetlands.any"]), ("satisfied", [])):
        assert say(client, check, "wetlands.any", decision, SECOND).status_code == 201
        assert client.get(f"/checks/{check}").json()["remains"]["open"] == still
    given = client.get(f"/checks/{check}/opinions").json()
    assert [one["decision"] for one in given["opinions"]] == ["overridden", "maintained", "satisfied"]
    assert given["remains"]["closed"] == ["wetlands.any"]


def test_nobody_gives_an_opinion_on_their_own_check(client: TestClient) -> None:
    own = checked(client, GOOD, REVIEWER)["id"]
    is_problem(say(client, own, "wetlands.any", "satisfied"), 403, "forbidden")
    assert say(client, own, "wetlands.any", "satisfied", SECOND).status_code == 201


def test_of_a_check_made_before_it_was_kept_the_log_knows_who_asked(client: TestClient) -> None:
    own = checked(client, GOOD, REVIEWER)["id"]
    store = client.app.state.county.store
    seen = {name: value for name, value in store.load("check_seen", own).items() if name != "by"}
    store.save("check_seen", own, seen)
    is_problem(say(client, own, "wetlands.any", "satisfied"), 403, "forbidden")
    assert say(client, own, "wetlands.any", "satisfied", SECOND).status_code == 201


@pytest.mark.parametrize("decision", ["satisfied", "overridden"])
def test_basic_farmland_cannot_be_waived(client: TestClient, decision: str) -> None:
    check = checked(client, FARM)
    assert check["verdict"] == "blocked"
    body = is_problem(say(client, check["id"], "farmland.basic", decision), 422, "bad-input")
    assert "cannot be waived" in body["errors"][0]["reason"]
    assert client.get(f"/checks/{check['id']}").json()["opinions"] == []
    assert say(client, check["id"], "farmland.basic", "maintained").status_code == 201
    now = client.get(f"/checks/{check['id']}").json()
    assert "farmland.basic" in now["remains"]["open"]


def test_what_cannot_be_waived_is_a_column_of_the_rulebook() -> None:
    fixed = {rule.id for rule in rulebook().rules if not rule.waivable}
    assert fixed == {"farmland.basic", "farmland.basic_touch", "redline.ecological", "redline.ecological_touch"}


def test_the_stricter_of_the_checks_book_and_todays_decides() -> None:
    book = rulebook()
    (rule,) = [one for one in book.rules if one.id == "wetlands.any"]
    strict = replace(book, rules=(replace(rule, waivable=False),))
    check = {"findings": [{"rule": rule.id, "status": "fail", "basis": rule.basis}]}
    refuse(check, rule.id, "satisfied", "乙", "甲", [book, book])
    for books in ([strict, book], [book, strict]):
        with pytest.raises(BadInput, match="不得以意见办结"):
            refuse(check, rule.id, "satisfied", "乙", "甲", books)
        refuse(check, rule.id, "maintained", "乙", "甲", books)


def test_a_new_column_leaves_the_digests_of_kept_books_alone() -> None:
    book = rulebook()
    plain = replace(book, rules=tuple(rule for rule in book.rules if rule.waivable))
    strict = replace(plain, rules=tuple(replace(rule, waivable=False) for rule in plain.rules))
    assert plain.digest != strict.digest
    assert '"waivable"' not in _digested_text(plain)


def _digested_text(book: Any) -> str:
    return json.dumps([_digested(rule) for rule in book.rules], default=str)


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"rule": "land.enough"}, "bad-input"),  # it passes
        ({"rule": "no.such"}, "bad-input"),
        ({"decision": "waived"}, "invalid-request"),
        ({"document": " "}, "invalid-request"),
        ({"document": {"number": "1号"}}, "invalid-request"),
        ({"reason": ""}, "invalid-request"),
        ({"by": "somebody"}, "invalid-request"),
    ],
)
def test_an_opinion_names_an_open_finding_a_document_and_a_reason(client: TestClient, body: Any, slug: str) -> None:
    check = checked(client, GOOD)["id"]
    is_problem(say(client, check, **({"rule": "wetlands.any", "decision": "satisfied"} | body)), 422, slug)


def test_a_document_may_be_a_number_with_its_date(client: TestClient) -> None:
    check = checked(client, GOOD)["id"]
    made = say(client, check, "wetlands.any", "satisfied", document={"number": "1号", "date": "2026-01-05"})
    assert made.json()["document"] == {"number": "1号", "date": "2026-01-05"}


def test_no_check_has_no_opinions(client: TestClient) -> None:
    is_problem(client.get("/checks/none/opinions"), 404, "not-found")
    is_problem(say(client, "none", "wetlands.any", "satisfied"), 404, "not-found")


def test_what_remains_is_sorted_by_how_hard_it_is() -> None:
    found = [
        {"rule": "a", "severity": "block", "status": "fail"},
        {"rule": "b", "severity": "condition", "status": "fail"},
        {"rule": "c", "severity": "condition", "status": "unknown"},
        {"rule": "d", "severity": "warn", "status": "fail"},
        {"rule": "e", "severity": "block", "status": "pass"},
    ]
    told = remains(found, [{"rule": "b", "decision": "overridden"}])
    assert told["open"] == ["a", "c"]
    assert told["zh"] == "未办结：禁止 1 项（a）、数据不足 1 项（c）"
    assert told["en"] == "Open: 1 blocking (a); 1 undetermined (c)"
    assert remains([], [])["zh"] == "无待办事项"
