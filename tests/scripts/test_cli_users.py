"""`parkplan users` and `parkplan audit`: what the operator at the machine makes, shows and ends."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from layers.access import Access, User
from layers.gpkg import create
from tests.api.two_zones import two_zones


@pytest.fixture
def path(tmp_path) -> Path:
    create(tmp_path / "small.gpkg", "试验县", "EPSG:4545").close()
    return tmp_path / "small.gpkg"


def recognised(path: Path, key: str) -> User | None:
    with closing(Access(path)) as access:
        return access.recognise(key)


@pytest.mark.parametrize("how", [("add", "审查员"), ("审查员",)])
def test_a_user_is_added_and_the_key_printed_once_alone(run, path, how):
    code, said, told = run("users", path, *how, "--role", "reviewer")
    assert code == 0
    key = said.strip()
    assert len(key) == 43
    assert "shown this once" in told
    assert recognised(path, key) == User("审查员", "reviewer")
    code, said, told = run("users", path, "list")
    assert "审查员" in said
    assert key[:8] in said
    assert key not in said + told
    assert run("users", path, *how, "--role", "reviewer")[0] == 3  # the name is taken


def test_keys_are_made_rotated_revoked_and_ended_with_their_user(run, path):
    first = run("users", path, "add", "甲", "--role", "viewer")[1].strip()
    made = json.loads(run("users", path, "key", "甲", "--days", "30", "--json")[1])
    assert recognised(path, first) == recognised(path, made["key"]) == User("甲", "viewer")
    assert run("users", path, "revoke", made["prefix"])[0] == 0
    assert recognised(path, made["key"]) is None
    assert recognised(path, first) is not None
    rotated = run("users", path, "key", "甲", "--rotate")[1].strip()
    assert recognised(path, first) is None
    assert recognised(path, rotated) is not None
    assert run("users", path, "disable", "甲")[0] == 0
    assert recognised(path, rotated) is None
    code, said, _ = run("users", path, "list", "--json")
    (one,) = json.loads(said)
    assert (code, one["state"], len(one["keys"])) == (0, "disabled", 3)
    assert all(key["revoked_at"] for key in one["keys"])
    assert run("users", path, "role", "甲", "--role", "auditor")[0] == 0
    assert run("users", path, "revoke", "AAAAAAAA")[0] == 3
    assert run("users", path, "disable", "niemand")[0] == 3


def test_zones_are_those_of_the_county(run, tmp_path):
    path = tmp_path / "two.gpkg"
    two_zones(path).close()
    code, _, told = run("users", path, "add", "甲", "--role", "planner", "--zone", "nowhere")
    assert code == 3
    assert "'nowhere' is no zone" in told
    code, _, told = run("users", path, "add", "甲", "--role", "planner")
    assert code == 3
    assert "for all zones" in told
    key = run("users", path, "add", "甲", "--role", "planner", "--zone", "W", "--zone", "U-E")[1].strip()
    assert recognised(path, key) == User("甲", "planner", frozenset({"W", "U-E"}))
    key = run("users", path, "add", "乙", "--role", "planner", "--zone", "*")[1].strip()
    assert recognised(path, key) == User("乙", "planner")


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "甲"),
        ("add",),
        ("list", "甲"),
        ("key",),
        ("key", "甲", "--role", "viewer"),
        ("nonsense", "甲"),
        ("--role", "viewer"),
    ],
)
def test_wrong_usage_is_2_and_adds_nobody(run, path, arguments):
    assert run("users", path, *arguments)[0] == 2
    with closing(Access(path)) as access:
        assert access.accounts() == []


def test_a_county_that_is_not_there_has_no_users(run, tmp_path):
    for command in (("users", tmp_path / "none.gpkg", "list"), ("audit", tmp_path / "none.gpkg", "--verify")):
        assert run(*command)[0] == 3
    assert not (tmp_path / "none.access").exists()


def test_the_log_is_read_and_its_chain_verified(run, path):
    run("users", path, "add", "甲", "--role", "viewer")
    code, said, _ = run("audit", path, "--json")
    rows = json.loads(said)
    assert [row["action"] for row in rows] == ["user-propose", "user-grant", "key-issue"]
    assert [json.loads(run("audit", path, "--json", "--action", "key-issue")[1])[0]["seq"]] == [3]
    code, said, _ = run("audit", path, "--verify")
    assert code == 0
    assert rows[-1]["hash"] in said
    with closing(apsw.Connection(str(path.with_suffix(".access")))) as file:
        file.execute("DROP TRIGGER audit_stays; UPDATE audit SET subject = '乙' WHERE seq = 2")
    code, said, _ = run("audit", path, "--verify")
    assert code == 1
    assert "row 2" in said
    assert json.loads(run("audit", path, "--verify", "--json")[1])["broken_at"] == 2
