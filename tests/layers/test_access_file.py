"""What was done is on record: the log only grows, every link of its chain holds, older files are brought forward."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from layers.access import ORIGIN, Access, Origin, User
from layers.access.chain import link
from layers.access.trail import COLUMNS
from layers.errors import StoreBroken


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    opened = Access(tmp_path / "county.gpkg")
    yield opened
    opened.close()


def altered(path: Path, sql: str) -> None:
    """A change past the program: through apsw as well, for two SQLites in one process drop each other's locks."""
    with closing(apsw.Connection(str(path))) as file:
        file.execute(sql)


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


def test_a_row_that_was_forged_with_a_hash_of_its_own_does_not_fit_the_next(access, tmp_path):
    for number in range(4):
        access.record("甲", "check", f"c{number}", "blocked")
    one, two = access.audit()[:2]
    forged = [two[name] for name in COLUMNS]
    forged[COLUMNS.index("outcome")] = "clear"
    new = link(bytes.fromhex(one["hash"]), forged).hex()
    tampered(tmp_path / "county.access", f"UPDATE audit SET outcome = 'clear', hash = x'{new}' WHERE seq = 2")
    assert access.verify().broken_at == 3


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


# --- what breaks --------------------------------------------------------------------------------------------


def test_what_is_no_access_file_says_so(tmp_path):
    (tmp_path / "county.access").write_text("not a database, and long enough to be looked at")
    with pytest.raises(StoreBroken, match=r"county\.access cannot be opened \(.*not a database"):
        Access(tmp_path / "county.gpkg")
    with pytest.raises(StoreBroken, match=r"county\.access cannot be opened \(.*No such file"):
        Access(tmp_path / "nowhere" / "county.gpkg")


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
