"""Who may come in, and what was done: keys are kept as hashes, the log only grows."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest

from layers.access import ORIGIN, ROLES, Access, Origin, User
from layers.errors import BadInput, Exists, Refused, StoreBroken, UnknownName


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    opened = Access(tmp_path / "county.gpkg")
    yield opened
    opened.close()


def zones_of(role: str) -> list[str] | None:
    return ["*"] if role == "planner" else None


def altered(path: Path, sql: str) -> None:
    """A change past the program: through apsw as well, for two SQLites in one process drop each other's locks."""
    with closing(apsw.Connection(str(path))) as file:
        file.execute(sql)


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


# --- the log ----------------------------------------------------------------------------------------------


def test_the_log_tells_what_was_done_in_order(access):
    for number in range(5):
        access.record("甲", "check", f"c{number}", "clear")
    log = access.audit()
    assert [(one["seq"], one["actor"], one["action"], one["subject"]) for one in log] == [
        (n + 1, "甲", "check", f"c{n}") for n in range(5)
    ]
    assert [one["at"] for one in log] == sorted(one["at"] for one in log)
    assert all(one["at"].endswith("+00:00") for one in log)
    assert [one["seq"] for one in access.audit(after=3)] == [4, 5]
    assert [one["seq"] for one in access.audit(after=1, limit=2)] == [2, 3]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET outcome = 'clear'",
        "UPDATE audit SET seq = 9",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE seq = 2",
        "REPLACE INTO audit VALUES (1, '', '', '', '', '', '', '', '', x'')",
        "INSERT INTO audit VALUES (9, '', '', '', '', '', '', '', '', x'')",
        "INSERT OR REPLACE INTO audit SELECT seq, at, actor, role, action, subject, '', request, source, '' FROM audit",
        "INSERT INTO audit VALUES (1, '', '', '', '', '', '', '', '', x'') ON CONFLICT DO UPDATE SET outcome = ''",
    ],
)
def test_the_log_cannot_be_altered(access, tmp_path, change):
    for number in range(3):
        access.record("甲", "check", f"c{number}", "blocked")
    before = access.audit()
    with pytest.raises(apsw.ConstraintError, match="the audit only grows"):
        altered(tmp_path / "county.access", change)
    assert access.audit() == before
    access.record("甲", "check", "c3", "clear")
    assert [one["seq"] for one in access.audit()] == [1, 2, 3, 4]


def test_threads_and_processes_write_one_log_without_a_gap(access, tmp_path):
    code = (
        "import sys; from pathlib import Path; from layers.access import Access\n"
        "access = Access(Path(sys.argv[1]))\n"
        "for n in range(40): access.record('乙', 'check', str(n), 'clear')"
    )
    other = subprocess.Popen([sys.executable, "-c", code, tmp_path / "county.gpkg"], cwd=Path(__file__).parents[2])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: access.record("甲", "check", str(n), "clear"), range(60)))
    assert other.wait(30) == 0
    log = access.audit()
    assert [one["seq"] for one in log] == list(range(1, 101))
    assert [one["subject"] for one in log if one["actor"] == "乙"] == [str(n) for n in range(40)]


# --- what breaks --------------------------------------------------------------------------------------------


def test_what_is_no_access_file_says_so(tmp_path):
    (tmp_path / "county.access").write_text("not a database, and long enough to be looked at")
    with pytest.raises(StoreBroken, match=r"county\.access cannot be opened \(.*not a database"):
        Access(tmp_path / "county.gpkg")
    with pytest.raises(StoreBroken, match=r"county\.access cannot be opened \(.*No such file"):
        Access(tmp_path / "nowhere" / "county.gpkg")


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


# --- the chain ---------------------------------------------------------------------------------------------------


def test_the_log_says_where_it_comes_from(access):
    token = ORIGIN.set(Origin("abc", "10.0.0.7", "甲", "planner"))
    access.record("甲", "check", "c1", "clear")
    ORIGIN.reset(token)
    access.record("operator", "check", "c2", "clear")
    assert [(one["role"], one["request"], one["source"]) for one in access.audit()] == [
        ("planner", "abc", "10.0.0.7"),
        ("operator", "", "local"),
    ]
    assert [one["subject"] for one in access.audit(actor="甲")] == ["c1"]
    assert [one["subject"] for one in access.audit(subject="2", action="check")] == ["c2"]


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


def tampered(path: Path, sql: str) -> None:
    """A change as somebody makes it who may write the file and knows of the triggers."""
    drops = "".join(f"DROP TRIGGER IF EXISTS audit_{name}; " for name in ("stays", "keeps", "grows"))
    altered(path, drops + sql)


@pytest.mark.parametrize(
    ("sql", "at"),
    [
        ("UPDATE audit SET outcome = 'clear' WHERE seq = 3", 3),
        ("UPDATE audit SET at = '2020' WHERE seq = 1", 1),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq > 4", 5),
        ("DELETE FROM audit", 1),
        ("UPDATE audit SET seq = 7 WHERE seq = 6", 6),
        ("INSERT INTO audit SELECT 7, at, actor, role, action, subject, outcome, request, source, hash FROM audit "
         "WHERE seq = 6", 7),
    ],
)  # fmt: skip
def test_whatever_is_done_to_a_row_shows(access, tmp_path, sql, at):
    for number in range(6):
        access.record("甲", "check", f"c{number}", "blocked")
    whole = access.verify()
    assert (whole.holds, whole.rows) == (True, 6)
    assert whole.head == access.audit()[-1]["hash"]
    tampered(tmp_path / "county.access", sql)
    found = access.verify()
    assert not found.holds
    assert found.broken_at == at
    assert str(at) in found.fault


def test_any_altered_column_of_any_row_is_found(access, tmp_path):
    for number in range(40):
        access.record("甲", "check", f"c{number}", "blocked")
    rng = random.Random(5)
    columns = ("at", "actor", "role", "action", "subject", "outcome", "request", "source")
    for _ in range(60):
        seq, column = rng.randint(1, 40), rng.choice(columns)
        was = access.audit(seq - 1, 1)[0][column]
        tampered(tmp_path / "county.access", f"UPDATE audit SET {column} = '{was}乙' WHERE seq = {seq}")
        assert access.verify().broken_at == seq
        tampered(tmp_path / "county.access", f"UPDATE audit SET {column} = '{was}' WHERE seq = {seq}")
    assert access.verify().holds


# --- from the shape before -------------------------------------------------------------------------------------------

# as the program before made and filled it
OLD = """
CREATE TABLE IF NOT EXISTS users (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, prefix TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, hash BLOB NOT NULL,
    added_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, outcome TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER IF NOT EXISTS audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER IF NOT EXISTS audit_grows BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq)
    BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
"""


def old_file(path: Path) -> dict[str, str]:
    keys = {"规划员": secrets.token_urlsafe(32), "审计员": secrets.token_urlsafe(32)}
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA journal_mode=WAL")
        file.executescript(OLD)
        for (name, key), role in zip(keys.items(), ("planner", "auditor"), strict=True):
            salt = os.urandom(16)
            hashed = hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, maxmem=64 * 2**20)
            row = (name, role, key[:8], salt, hashed, "2026-01-02T03:04:05+00:00")
            file.execute("INSERT INTO users VALUES (?,?,?,?,?,?)", row)
        for number in range(3):
            row = (f"2026-01-0{number + 1}T00:00:00+00:00", "规划员", "check", f"c{number}", "clear")
            file.execute("INSERT INTO audit (at, actor, action, subject, outcome) VALUES (?,?,?,?,?)", row)
    file.close()
    return keys


def test_a_file_of_the_shape_before_is_brought_forward_with_all_that_is_in_it(tmp_path):
    keys = old_file(tmp_path / "county.access")
    for _ in range(2):  # the second time nothing is left to do
        access = Access(tmp_path / "county.gpkg")
        assert access.has_users()
        assert access.recognise(keys["规划员"]) == User("规划员", "planner")  # all zones, as before
        assert access.recognise(keys["审计员"]) == User("审计员", "auditor")
        assert [(one["seq"], one["subject"]) for one in access.audit()] == [(1, "c0"), (2, "c1"), (3, "c2")]
        assert access.verify().holds
        assert access.account("规划员")["keys"][0]["expires_at"] is None
        access.close()
    access = Access(tmp_path / "county.gpkg")
    access.record("规划员", "check", "c3", "clear")
    assert access.audit()[-1]["seq"] == 4
    assert access.verify().rows == 4
    access.close()
    with pytest.raises(apsw.ConstraintError, match="the audit only grows"):
        altered(tmp_path / "county.access", "DELETE FROM audit")
    for table in ("users_before", "audit_before"):
        with pytest.raises(apsw.SQLError, match="no such table"):
            altered(tmp_path / "county.access", f"SELECT * FROM {table}")


def test_a_file_of_a_later_program_is_left_alone(tmp_path):
    Access(tmp_path / "county.gpkg").close()
    altered(tmp_path / "county.access", "PRAGMA user_version = 99")
    with pytest.raises(StoreBroken, match="newer program"):
        Access(tmp_path / "county.gpkg")
