"""Who may come in, and what was done: a file of its own beside the county, readable by its owner alone.

An API key is 32 random bytes, shown once; the file keeps its scrypt hash. The audit log only grows.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw

from layers.errors import BadInput, Fault, StoreBroken

ROLES = ("viewer", "consumer", "planner", "reviewer", "system_admin", "security_admin", "auditor")
SCHEMA = """
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


@dataclass(frozen=True)
class User:
    """Somebody who was recognised."""

    name: str
    role: str


class Access:
    """Users and the audit log of one county."""

    def __init__(self, county: Path) -> None:
        path = county.with_suffix(".access")
        self._lock = threading.Lock()
        self._known: dict[bytes, User] = {}
        try:
            path.touch(mode=0o600)
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.set_busy_timeout(10_000)
            self._db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
            self._db.execute(SCHEMA)
        except (OSError, apsw.Error) as error:
            raise StoreBroken(f"{path.name} cannot be opened ({error})", county=county.name) from error

    def close(self) -> None:
        self._db.close()

    def has_users(self) -> bool:
        with self._lock:
            return self._db.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def add(self, name: str, role: str) -> str:
        """A new user; returns the key, which is kept nowhere else."""
        if role not in ROLES:
            raise BadInput(f"there is no role {role!r}", [Fault("unknown role", f"One of {', '.join(ROLES)}")])
        key, salt = secrets.token_urlsafe(32), os.urandom(16)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with self._lock, self._db:
                self._db.execute(
                    "INSERT INTO users VALUES (?,?,?,?,?,?)", (name, role, key[:8], salt, _hash(key, salt), now)
                )
        except apsw.ConstraintError as error:
            raise BadInput(
                f"there is a user {name!r} already", [Fault("the name is taken", "Choose another")]
            ) from error
        return key

    def recognise(self, key: str) -> User | None:
        """The user of a key, or None. The slow hash is paid once per key and process."""
        digest = hashlib.sha256(key.encode()).digest()
        if digest in self._known:
            return self._known[digest]
        with self._lock:
            row = self._db.execute("SELECT name, role, salt, hash FROM users WHERE prefix = ?", (key[:8],)).fetchone()
        if row is None or not secrets.compare_digest(_hash(key, row[2]), row[3]):
            return None
        user = User(row[0], row[1])
        self._known[digest] = user
        return user

    def record(self, actor: str, action: str, subject: str, outcome: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        with self._lock:
            self._db.execute(
                "INSERT INTO audit (at, actor, action, subject, outcome) VALUES (?,?,?,?,?)",
                (now, actor, action, subject, outcome),
            )

    def audit(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        columns = ("seq", "at", "actor", "action", "subject", "outcome")
        with self._lock:
            rows = self._db.execute(
                f"SELECT {', '.join(columns)} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            ).fetchall()
        return [dict(zip(columns, row, strict=True)) for row in rows]


def _hash(key: str, salt: bytes) -> bytes:
    return hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, maxmem=64 * 2**20)
