"""The file beside a county that its owner alone reads: its tables, how an older one is brought forward, its two
connections (readers never wait for a writer)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from layers.access.chain import START, link
from layers.errors import NoRoom, StoreBroken

VERSION = 2  # of the tables; 0 is the shape before keys were rows of their own and the log was a chain
PEOPLE = """
CREATE TABLE users (
    name TEXT PRIMARY KEY, role TEXT, zones TEXT, state TEXT NOT NULL, demo INTEGER NOT NULL,
    added_at TEXT NOT NULL, added_by TEXT NOT NULL, granted_at TEXT, granted_by TEXT,
    CHECK (state IN ('proposed', 'active', 'disabled')),
    CHECK (state <> 'active' OR role IS NOT NULL));
CREATE TABLE keys (
    prefix TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users (name), salt BLOB NOT NULL, hash BLOB NOT NULL,
    created_at TEXT NOT NULL, created_by TEXT NOT NULL, expires_at TEXT, revoked_at TEXT, revoked_by TEXT);
CREATE TABLE stamp (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
INSERT INTO stamp VALUES (1, 0);
"""
LOG = """
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL,
    action TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, request TEXT NOT NULL, source TEXT NOT NULL,
    hash BLOB NOT NULL);
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_grows BEFORE INSERT ON audit WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM audit)
    BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
"""
# How far another journal had come when it was last seen; it only goes on.
WITNESS = """
CREATE TABLE witness (journal TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL, at TEXT NOT NULL);
CREATE TRIGGER witness_goes_on BEFORE UPDATE ON witness WHEN NEW.seq <= OLD.seq
    BEGIN SELECT RAISE(ABORT, 'a witness does not go back'); END;
"""
# Whoever changes a user or a key changes the stamp, so that no process remembers a key that is no longer good.
BUMPS = "".join(
    f"CREATE TRIGGER {table}_{what.lower()} AFTER {what} ON {table} BEGIN UPDATE stamp SET number = number + 1; END;\n"
    for table in ("users", "keys")
    for what in ("INSERT", "UPDATE", "DELETE")
)
BEFORE = "seq, at, actor, action, subject, outcome"  # the columns of the log in version 0


class File:
    """`<county>.access`, opened; one writer at a time, also among processes."""

    def __init__(self, county: Path) -> None:
        self.path = county.with_suffix(".access")
        self._writing, self._reading = threading.Lock(), threading.Lock()
        try:
            self.path.touch(mode=0o600)
            self._writer, self._reader = self._opened(), self._opened()
            with self.writing() as db:
                _bring_forward(db)
        except (OSError, apsw.Error) as error:
            raise StoreBroken(f"{self.path.name} cannot be opened ({error})", county=county.name) from error

    def _opened(self) -> apsw.Connection:
        db = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        db.set_busy_timeout(10_000)
        db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON")
        return db

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """One transaction that nobody else writes beside: all of it or nothing."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def told(self, verb: str) -> Iterator[None]:
        """What the database says, in our words."""
        try:
            yield
        except apsw.FullError as error:
            raise NoRoom(f"{self.path.name} cannot be {verb} (the disk is full)") from error
        except apsw.Error as error:
            raise StoreBroken(f"{self.path.name} cannot be {verb} ({error})") from error

    def rows(self, sql: str, bindings: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        with self.told("read"), self._reading:
            return self._reader.execute(sql, bindings).fetchall()


def _bring_forward(db: apsw.Connection) -> None:
    """An empty file gets the tables; one of the shape before gets them with everything that was in it."""
    version = int(db.execute("PRAGMA user_version").get)
    if version > VERSION:
        raise apsw.NotADBError(f"a newer program made it: version {version}")
    if version == VERSION:
        return
    db.execute(WITNESS)
    if version == 1:
        db.execute(f"PRAGMA user_version = {VERSION}")
        return
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "users" in there:
        db.execute("ALTER TABLE users RENAME TO users_before")
    if "audit" in there:
        for name in ("audit_stays", "audit_keeps", "audit_grows"):
            db.execute(f"DROP TRIGGER IF EXISTS {name}")
        db.execute("ALTER TABLE audit RENAME TO audit_before")
    db.execute(PEOPLE + LOG + BUMPS)
    if "users" in there:  # they keep what they had: their key without an end, and all zones
        db.execute("""
            INSERT INTO users SELECT name, role, NULL, 'active', 0, added_at, 'operator', added_at, 'operator'
                FROM users_before ORDER BY rowid;
            INSERT INTO keys SELECT prefix, name, salt, hash, added_at, 'operator', NULL, NULL, NULL
                FROM users_before ORDER BY rowid;
            DROP TABLE users_before""")
    if "audit" in there:
        before = START
        for seq, at, actor, action, subject, outcome in db.execute(f"SELECT {BEFORE} FROM audit_before ORDER BY seq"):
            row = (seq, at, actor, "", action, subject, outcome, "", "")
            before = link(before, row)
            db.execute("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, before))
        db.execute("DROP TABLE audit_before")
    db.execute(f"PRAGMA user_version = {VERSION}")
