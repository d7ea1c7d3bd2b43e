"""Who may come in, and what was done: keys are kept as hashes, the log only grows."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from layers.access import ROLES, Access, User
from layers.errors import BadInput, StoreBroken


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    opened = Access(tmp_path / "county.gpkg")
    yield opened
    opened.close()


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("county.access*")))


# --- keys -----------------------------------------------------------------------------------------------


def test_a_key_opens_for_its_user_and_for_nobody_else(access):
    assert not access.has_users()
    keys = {name: access.add(name, role) for name, role in zip("甲乙丙", ROLES, strict=False)}
    assert access.has_users()
    assert len(set(keys.values())) == 3
    for (name, key), role in zip(keys.items(), ROLES, strict=False):
        assert access.recognise(key) == User(name, role)
        assert access.recognise(key) == User(name, role)  # and again, from memory


def test_a_wrong_key_is_nobody(access):
    key = access.add("甲", "planner")
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
    assert access.recognise(key) == User("甲", "planner")


def test_the_file_keeps_no_key(access, tmp_path):
    key = access.add("甲", "planner")
    access.recognise(key)
    access.record("甲", "check", "c1", "clear")
    access.close()
    content = everything(tmp_path)
    assert key.encode() not in content
    assert key[8:].encode() not in content
    with sqlite3.connect(tmp_path / "county.access") as file:
        ((salt, hashed),) = file.execute("SELECT salt, hash FROM users").fetchall()
    file.close()
    assert (len(salt), len(hashed)) == (16, 64)
    again = Access(tmp_path / "county.gpkg")
    assert again.recognise(key) == User("甲", "planner")
    again.close()


def test_the_same_name_or_a_strange_role_is_refused(access):
    access.add("甲", "planner")
    with pytest.raises(BadInput, match="a user '甲' already"):
        access.add("甲", "viewer")
    with pytest.raises(BadInput, match="no role 'root'"):
        access.add("乙", "root")
    assert access.add("乙", "viewer")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")
def test_only_the_owner_reads_the_file(tmp_path):
    before = os.umask(0)
    try:
        access = Access(tmp_path / "county.gpkg")
        access.add("甲", "planner")
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
        "REPLACE INTO audit (seq, at, actor, action, subject, outcome) VALUES (1, '', '', '', '', '')",
        "INSERT OR REPLACE INTO audit SELECT seq, at, actor, action, subject, 'clear' FROM audit",
        "INSERT INTO audit VALUES (1, '', '', '', '', '') ON CONFLICT (seq) DO UPDATE SET outcome = 'clear'",
    ],
)
def test_the_log_cannot_be_altered(access, tmp_path, change):
    for number in range(3):
        access.record("甲", "check", f"c{number}", "blocked")
    before = access.audit()
    other = sqlite3.connect(tmp_path / "county.access")
    with pytest.raises(sqlite3.IntegrityError, match="the audit only grows"), other:
        other.execute(change)
    other.close()
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
