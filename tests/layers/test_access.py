"""Who may come in: keys are kept as hashes and end at once, nobody gives rights to themselves."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from layers.access import ROLES, Access, User
from layers.errors import BadInput, Exists, Refused, UnknownName


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    opened = Access(tmp_path / "county.gpkg")
    yield opened
    opened.close()


def zones_of(role: str) -> list[str] | None:
    return ["*"] if role == "planner" else None


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("county.access*")))


# --- keys -----------------------------------------------------------------------------------------------


def test_a_key_opens_for_its_user_and_for_nobody_else(access):
    assert not access.has_users()
    keys = {name: access.add(name, role, zones_of(role)) for name, role in zip("甲乙丙丁戊己庚", ROLES, strict=True)}
    assert access.has_users()
    assert len(set(keys.values())) == 7
    for (name, key), role in zip(keys.items(), ROLES, strict=True):
        assert access.remembered(key) is None
        assert access.recognise(key) == User(name, role)
        assert access.remembered(key) == User(name, role)  # and again, from memory


def test_a_wrong_key_is_nobody(access):
    key = access.add("甲", "reviewer")
    other = access.add("乙", "auditor")
    for wrong in (
        "",
        key[:-1],
        key + "A",
        key[:8],
        key[:8] + other[8:],
        key.swapcase(),
        "%",
        "' OR 1=1 --",
        "\0",
        "键",
    ):
        assert access.recognise(wrong) is None
    assert access.recognise(key) == User("甲", "reviewer")


def test_the_file_keeps_no_key(access, tmp_path):
    key = access.add("甲", "reviewer")
    access.recognise(key)
    access.record("甲", "check", "c1", "clear")
    access.close()
    content = everything(tmp_path)
    assert key.encode() not in content
    assert key[8:].encode() not in content
    with sqlite3.connect(tmp_path / "county.access") as file:
        ((salt, hashed),) = file.execute("SELECT salt, hash FROM keys").fetchall()
    file.close()
    assert (len(salt), len(hashed)) == (16, 64)
    again = Access(tmp_path / "county.gpkg")
    assert again.recognise(key) == User("甲", "reviewer")
    again.close()


def test_the_same_name_or_a_strange_role_is_refused(access):
    access.add("甲", "reviewer")
    with pytest.raises(Exists, match="a user '甲' already"):
        access.add("甲", "viewer")
    with pytest.raises(BadInput, match="no role 'root'"):
        access.add("乙", "root")
    assert access.add("乙", "viewer")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")
def test_only_the_owner_reads_the_file(tmp_path):
    before = os.umask(0)
    try:
        access = Access(tmp_path / "county.gpkg")
        access.add("甲", "reviewer")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        access.close()
    finally:
        os.umask(before)
    assert set(modes) == {"county.access", "county.access-wal", "county.access-shm"}
    assert set(modes.values()) == {0o600}


# --- keys end ------------------------------------------------------------------------------------------------


def test_a_user_has_several_keys_and_each_ends_alone(access):
    first = access.add("甲", "viewer")
    second = access.issue("甲", "甲", days=30)
    assert access.recognise(first) == access.recognise(second.text) == User("甲", "viewer")
    access.revoke("甲", first[:8], "甲")
    assert access.recognise(first) is None
    assert access.recognise(second.text) == User("甲", "viewer")
    kept = {one["prefix"]: one for one in access.account("甲")["keys"]}
    assert kept[first[:8]]["revoked_by"] == "甲"
    assert kept[second.prefix]["revoked_at"] is None
    assert kept[second.prefix]["expires_at"][:10] == (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    with pytest.raises(UnknownName, match="has no key"):
        access.revoke("甲", "AAAAAAAA", "甲")


def test_what_one_process_revokes_another_has_forgotten_at_once(access, tmp_path):
    key, other = access.add("甲", "viewer"), access.add("乙", "viewer")
    assert access.recognise(key) == User("甲", "viewer")
    code = (
        "import sys; from pathlib import Path; from layers.access import Access\n"
        "access = Access(Path(sys.argv[1])); access.disable('甲', 'operator'); access.close()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "county.gpkg"], cwd=Path(__file__).parents[2], check=True)
    assert access.remembered(key) is None
    assert access.recognise(key) is None
    assert access.recognise(other) == User("乙", "viewer")
    assert access.account("甲")["state"] == "disabled"
    assert all(one["revoked_at"] for one in access.account("甲")["keys"])
    with pytest.raises(Refused, match="disabled"):
        access.issue("甲", "operator")


def test_an_expired_key_is_nobody_also_from_memory(access, monkeypatch):
    key = access.add("甲", "viewer", days=1)
    assert access.recognise(key) == User("甲", "viewer")
    late = (datetime.now(UTC) + timedelta(days=1, seconds=1)).isoformat(timespec="microseconds")
    monkeypatch.setattr("layers.access.people._now", lambda: late)
    assert access.remembered(key) is None
    assert access.recognise(key) is None


def test_a_change_of_role_or_zones_counts_at_once(access):
    key = access.add("甲", "planner", ["Z1"])
    assert access.recognise(key) == User("甲", "planner", frozenset({"Z1"}))
    access.grant("甲", "planner", ["Z2", "Z1"], "安全员")
    assert access.recognise(key) == User("甲", "planner", frozenset({"Z1", "Z2"}))
    access.grant("甲", "auditor", None, "安全员")
    assert access.recognise(key) == User("甲", "auditor")


# --- who gives rights ------------------------------------------------------------------------------------------


def test_a_proposed_user_comes_in_only_when_somebody_else_granted_the_role(access):
    access.propose("甲", "系统员", "reviewer")
    key = access.issue("甲", "系统员").text
    assert access.recognise(key) is None
    with pytest.raises(Refused, match="second person"):
        access.grant("甲", "reviewer", None, "系统员")
    assert access.recognise(key) is None
    access.grant("甲", "viewer", None, "安全员")  # the wish is only a wish
    assert access.recognise(key) == User("甲", "viewer")


def test_nobody_changes_their_own_rights(access):
    access.add("安全员", "security_admin")
    for change in (
        lambda: access.grant("安全员", "reviewer", None, "安全员"),
        lambda: access.disable("安全员", "安全员"),
    ):
        with pytest.raises(Refused, match="their own rights"):
            change()
    assert access.account("安全员")["role"] == "security_admin"


def test_a_second_key_of_somebody_else_is_refused(access):
    access.add("甲", "reviewer")
    with pytest.raises(Refused, match="has a key"):
        access.issue("甲", "系统员")
    access.revoke("甲", access.account("甲")["keys"][0]["prefix"], "安全员")
    assert access.recognise(access.issue("甲", "系统员").text) == User("甲", "reviewer")


@pytest.mark.parametrize("role", ["reviewer", "system_admin", "security_admin", "auditor"])
def test_who_is_there_for_the_whole_county_has_no_zones(access, role):
    with pytest.raises(BadInput, match="zones for this role"):
        access.add("甲", role, ["Z1"])


def test_a_planners_zones_have_to_be_said(access):
    with pytest.raises(BadInput, match="planner of which zones"):
        access.add("甲", "planner")
    for zones in ([], [""]):
        with pytest.raises(BadInput, match="no such zones"):
            access.add("甲", "planner", zones)
    assert access.recognise(access.add("甲", "planner", ["*"])).zones is None


@pytest.mark.parametrize("name", ["", " 甲", "a/b", "..", "operator", "demo-planner", "oidc:甲", "甲\n乙", "x" * 101])
def test_names_that_stand_for_others_or_for_nothing_are_refused(access, name):
    with pytest.raises(BadInput, match="no name for a user"):
        access.add(name, "viewer")
    assert not access.has_users()


def test_the_demos_users_end_no_demo_and_are_dead_elsewhere(access):
    access.propose("甲", "demo-system", demo=True)
    key = access.issue("甲", "demo-system").text
    access.grant("甲", "viewer", None, "demo-security")
    assert not access.has_users()
    assert access.recognise(key, demo=True) == User("甲", "viewer")
    assert access.recognise(key) is None
    assert access.remembered(key) is None


def test_every_change_of_a_right_is_in_the_log(access):
    access.propose("甲", "系统员")
    prefix = access.issue("甲", "系统员").prefix
    access.grant("甲", "planner", ["Z1"], "安全员")
    access.revoke("甲", prefix, "安全员")
    access.disable("甲", "安全员")
    told = [(one["actor"], one["action"], one["subject"]) for one in access.audit()]
    assert told == [
        ("系统员", "user-propose", "甲"),
        ("系统员", "key-issue", f"甲 {prefix}"),
        ("安全员", "user-grant", "甲"),
        ("安全员", "key-revoke", f"甲 {prefix}"),
        ("安全员", "user-disable", "甲"),
    ]


def test_no_key_comes_into_the_log(access, tmp_path):
    key = access.add("甲", "viewer")
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiLnlLIifQ."
    access.record(key, f"GET /checks/{key}", f"x {key} y", f"{token} {key}")
    row = access.audit()[-1]
    assert (row["actor"], row["subject"]) == (f"{key[:8]}…", f"x {key[:8]}… y")
    access.close()
    content = everything(tmp_path)
    assert key.encode() not in content
    assert token.encode() not in content
