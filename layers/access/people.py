"""Users, what they may, and the keys they come in with.

Nobody gives rights to themselves: one person proposes a user, another grants the role. A key is 32 random bytes, shown
once; the file keeps its scrypt hash and its first eight letters.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from layers.access.file import File
from layers.access.trail import Trail, scrub
from layers.errors import BadInput, Exists, Fault, Refused, UnknownName

ADMINISTRATORS = (
    "system_admin",
    "security_admin",
    "auditor",
)  # 三员: they exclude each other, none has business rights
SCOPED = ("viewer", "consumer", "planner")  # roles that may be held for some zones only
ROLES = ("viewer", "consumer", "planner", "reviewer", *ADMINISTRATORS)
ALL_ZONES = "*"
OPERATOR = "operator"  # whoever sits at the machine; the file is theirs anyway
KEY_DAYS = 365
MOST_KEYS = 5  # live ones of a user: one in use, one coming, some for machines
PREFIX = 8
MOST_NAME = 200
FOREIGN = "oidc:"  # before the names of those whom the office's own sign-on vouches for


@dataclass(frozen=True)
class User:
    """Somebody who was recognised. `zones` are ids or unit codes of the layer `zones`; None means all of them."""

    name: str
    role: str
    zones: frozenset[str] | None = None


@dataclass(frozen=True)
class Key:
    """A new key: the only time that it is seen whole."""

    text: str
    prefix: str
    expires_at: str


class People:
    """The users of one county."""

    def __init__(self, file: File, trail: Trail) -> None:
        self._file = file
        self._trail = trail
        self._slow = threading.Lock()  # one hash at a time: a flood of wrong keys takes one core, not all
        self._stamp = -1
        self._known: dict[bytes, tuple[User, str | None, bool]] = {}
        self._any = False

    # --- who is it ----------------------------------------------------------------------------------

    def has_users(self) -> bool:
        """Whether somebody other than the demo's own people may come in."""
        self._remembering()
        return self._any

    def remembered(self, key: str, *, demo: bool = False) -> User | None:
        """The user of a key that this process has seen before, if it is still good: no slow hash."""
        found = self._remembering().get(hashlib.sha256(key.encode()).digest())
        if found is None or (found[1] is not None and found[1] <= _now()) or (found[2] and not demo):
            return None
        return found[0]

    def recognise(self, key: str, *, demo: bool = False) -> User | None:
        """The user of a key, or None. The slow hash is paid once per key and process."""
        if (user := self.remembered(key, demo=demo)) is not None:
            return user
        known = self._remembering()  # of the stamp before the row: what changes meanwhile is not remembered
        rows = self._file.rows(
            "SELECT salt, hash, expires_at, name, role, zones, demo FROM keys JOIN users ON user = name "
            "WHERE prefix = ? AND revoked_at IS NULL AND state = 'active'",
            (key[:PREFIX],),
        )
        for salt, hashed, expires_at, name, role, zones, is_demo in rows:
            with self._slow:
                good = secrets.compare_digest(_hash(key, salt), hashed)
            if good and (expires_at is None or expires_at > _now()) and (demo or not is_demo):
                user = User(name, role, None if zones is None else frozenset(json.loads(zones)))
                known[hashlib.sha256(key.encode()).digest()] = (user, expires_at, bool(is_demo))
                return user
        return None

    def is_disabled(self, name: str) -> bool:
        """Whether a name is shut out here, wherever else it is vouched for."""
        return bool(self._file.rows("SELECT 1 FROM users WHERE name = ? AND state = 'disabled'", (name,)))

    def _remembering(self) -> dict[bytes, tuple[User, str | None, bool]]:
        """The keys this process has recognised, forgotten as soon as anybody changes a user or a key anywhere."""
        ((stamp, has_any),) = self._file.rows("SELECT number, EXISTS (SELECT 1 FROM users WHERE demo = 0) FROM stamp")
        if stamp != self._stamp:
            self._known, self._any, self._stamp = {}, bool(has_any), stamp
        return self._known

    # --- who may ------------------------------------------------------------------------------------

    def add(
        self, name: str, role: str, zones: Collection[str] | None = None, *, by: str = OPERATOR, days: int = KEY_DAYS
    ) -> str:
        """A new user who may come in at once, as the operator at the machine makes them; returns the key."""
        held = _zones(role, zones)
        with self._file.told("written"), self._file.writing() as db:
            self._propose(db, name, role, held, by, demo=False)
            self._grant(db, name, role, held, by)
            return self._issue(db, name, by, days).text

    def propose(
        self, name: str, by: str, role: str | None = None, zones: Collection[str] | None = None, *, demo: bool = False
    ) -> dict[str, Any]:
        """A user to be: nothing opens for them before somebody else grants a role. The role said here is a wish."""
        held = None if role is None else _zones(role, zones)
        with self._file.told("written"), self._file.writing() as db:
            self._propose(db, name, role, held, by, demo=demo)
        return self.account(name)

    def grant(self, name: str, role: str, zones: Collection[str] | None, by: str) -> dict[str, Any]:
        """Give a user a role, instead of the one they had. Never oneself, never whom one proposed."""
        held = _zones(role, zones)
        with self._file.told("written"), self._file.writing() as db:
            self._grant(db, name, role, held, by)
        return self.account(name)

    def issue(self, name: str, by: str, days: int = KEY_DAYS) -> Key:
        """A new key. For somebody else only where they have none: a second one would open their door unseen."""
        with self._file.told("written"), self._file.writing() as db:
            return self._issue(db, name, by, days)

    def revoke(self, name: str, prefix: str, by: str) -> dict[str, Any]:
        """End a key, in every process at once."""
        with self._file.told("written"), self._file.writing() as db:
            row = db.execute("SELECT revoked_at FROM keys WHERE prefix = ? AND user = ?", (prefix, name)).fetchone()
            if row is None:
                raise UnknownName(f"{name!r} has no key {prefix[:PREFIX]!r}", prefix=prefix[:PREFIX])
            if row[0] is None:
                db.execute("UPDATE keys SET revoked_at = ?, revoked_by = ? WHERE prefix = ?", (_now(), by, prefix))
                self._trail.append(db, by, "key-revoke", f"{name} {prefix}", "revoked")
        return next(one for one in self.account(name)["keys"] if one["prefix"] == prefix)

    def disable(self, name: str, by: str) -> dict[str, Any]:
        """Shut a user out and end all their keys, in every process at once. Never oneself."""
        with self._file.told("written"), self._file.writing() as db:
            _not_oneself(name, by)
            now = _now()
            if name.startswith(FOREIGN):  # known by tokens alone: kept here so that the next token is refused
                shut = "INSERT OR IGNORE INTO users VALUES (?, NULL, NULL, 'disabled', 0, ?, ?, NULL, NULL)"
                db.execute(shut, (name[:MOST_NAME], now, by))
            _row(db, name)
            db.execute("UPDATE users SET state = 'disabled' WHERE name = ?", (name,))
            ended = "UPDATE keys SET revoked_at = ?, revoked_by = ? WHERE user = ? AND revoked_at IS NULL"
            db.execute(ended, (now, by, name))
            self._trail.append(db, by, "user-disable", name, f"{db.changes()} keys ended")
        return self.account(name)

    def accounts(self) -> list[dict[str, Any]]:
        """Everybody, with the first letters of their keys."""
        columns = ("prefix", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by")
        keys: dict[str, list[dict[str, Any]]] = {}
        for user, *row in self._file.rows(f"SELECT user, {', '.join(columns)} FROM keys ORDER BY created_at, prefix"):
            keys.setdefault(user, []).append(dict(zip(columns, row, strict=True)))
        named = ("name", "role", "zones", "state", "added_at", "added_by", "granted_at", "granted_by")
        found = [
            dict(zip(named, row, strict=True))
            for row in self._file.rows(f"SELECT {', '.join(named)} FROM users ORDER BY name")
        ]
        return [
            {
                **one,
                "zones": None if one["zones"] is None else json.loads(one["zones"]),
                "keys": keys.get(one["name"], []),
            }
            for one in found
        ]

    def account(self, name: str) -> dict[str, Any]:
        found = next((one for one in self.accounts() if one["name"] == name), None)
        if found is None:
            raise UnknownName(f"no user {name!r}", user=name)
        return found

    # --- within one transaction -----------------------------------------------------------------------

    def _propose(
        self, db: apsw.Connection, name: str, role: str | None, zones: str | None, by: str, *, demo: bool
    ) -> None:
        _usable(name)
        now = _now()
        try:
            db.execute(
                "INSERT INTO users VALUES (?,?,?,'proposed',?,?,?,NULL,NULL)", (name, role, zones, demo, now, by)
            )
        except apsw.ConstraintError as error:
            raise Exists(f"there is a user {name!r} already", user=name) from error
        self._trail.append(db, by, "user-propose", name, f"proposed {role or ''}".strip())

    def _grant(self, db: apsw.Connection, name: str, role: str, zones: str | None, by: str) -> None:
        before = _row(db, name)
        _not_oneself(name, by)
        if before["state"] == "proposed" and before["added_by"] == by != OPERATOR:
            raise Refused("whoever proposed a user does not grant the role; a second person does")
        db.execute(
            "UPDATE users SET role = ?, zones = ?, state = 'active', granted_at = ?, granted_by = ? WHERE name = ?",
            (role, zones, _now(), by, name),
        )
        told = f"{role}, zones {zones or 'all'}; was {before['state']} {before['role'] or ''}"
        self._trail.append(db, by, "user-grant", name, told.strip())

    def _issue(self, db: apsw.Connection, name: str, by: str, days: int) -> Key:
        if not 1 <= days <= 3650:
            raise BadInput("no such term", [Fault(f"{days} days", "1 to 3650 days", field="days")])
        if _row(db, name)["state"] == "disabled":
            raise Refused(f"{name!r} is disabled; the security administrator grants the role anew first")
        live = (
            "SELECT count(*) FROM keys WHERE user = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
        )
        count = int(db.execute(live, (name, _now())).get)
        if count and by not in (name, OPERATOR):
            raise Refused(f"{name!r} has a key and makes the next one with it; revoke it first where it is lost")
        if count >= MOST_KEYS:
            raise BadInput("too many keys", [Fault(f"{name!r} has {count} live keys", "Revoke one first")])
        while True:
            key, salt = secrets.token_urlsafe(32), os.urandom(16)
            is_taken = db.execute("SELECT 1 FROM keys WHERE prefix = ?", (key[:PREFIX],)).fetchone()
            if not is_taken and not key.startswith("-"):  # a command line would take it for an option
                break
        now = datetime.now(UTC)
        made = Key(key, key[:PREFIX], (now + timedelta(days=days)).isoformat(timespec="microseconds"))
        db.execute(
            "INSERT INTO keys VALUES (?,?,?,?,?,?,?,NULL,NULL)",
            (made.prefix, name, salt, _hash(key, salt), now.isoformat(timespec="microseconds"), by, made.expires_at),
        )
        self._trail.append(db, by, "key-issue", f"{name} {made.prefix}", f"until {made.expires_at[:10]}")
        return made


def _row(db: apsw.Connection, name: str) -> dict[str, Any]:
    row = db.execute("SELECT role, state, added_by FROM users WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise UnknownName(f"no user {name!r}", user=name)
    return dict(zip(("role", "state", "added_by"), row, strict=True))


def _not_oneself(name: str, by: str) -> None:
    if name == by:
        raise Refused("nobody changes their own rights; another administrator does")


def _zones(role: str, zones: Collection[str] | None) -> str | None:
    """The zones of a role as they are kept: a JSON list, or None for all of them. A planner's have to be said."""
    if role not in ROLES:
        raise BadInput(
            f"there is no role {role!r}", [Fault("unknown role", f"One of {', '.join(ROLES)}", field="role")]
        )
    if zones is None:
        if role == "planner":
            fix = f"Name them, or {ALL_ZONES!r} for all zones"
            raise BadInput("a planner of which zones?", [Fault("no zones are said", fix, field="zones")])
        return None
    if not zones or any(not 0 < len(one) <= 200 for one in zones):
        raise BadInput("no such zones", [Fault("an empty or endless name", "Name ids of zones", field="zones")])
    if ALL_ZONES in zones:
        return None
    if role not in SCOPED:
        reason = f"a {role} is one for the whole county"
        raise BadInput("zones for this role?", [Fault(reason, f"Zones go with {', '.join(SCOPED)}", field="zones")])
    return json.dumps(sorted(set(zones)), ensure_ascii=False)


def _usable(name: str) -> None:
    """The names of the log's other actors are no names for users, nor is what cannot stand in an address."""
    taken = name in (OPERATOR, "-", ".", "..") or name.startswith(("demo-", FOREIGN))
    if (
        taken
        or scrub(name) != name
        or not 0 < len(name) <= 100
        or "/" in name
        or not name.isprintable()
        or name.strip() != name
    ):
        fix = "At most 100 letters without / and without spaces around; not operator, demo-..., oidc:..."
        raise BadInput("no name for a user", [Fault(f"{name[:100]!r} cannot be one", fix, field="name")])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _hash(key: str, salt: bytes) -> bytes:
    return hashlib.scrypt(key.encode(), salt=salt, n=2**14, r=8, p=1, maxmem=64 * 2**20)
