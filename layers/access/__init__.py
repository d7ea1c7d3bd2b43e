"""Who may come in, and what was done: a file of its own beside the county, readable by its owner alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from layers.access.chain import Chain
from layers.access.file import File
from layers.access.people import ADMINISTRATORS, ALL_ZONES, FOREIGN, OPERATOR, ROLES, SCOPED, Key, People, User
from layers.access.trail import ORIGIN, Origin, Trail, scrub

__all__ = [
    "ADMINISTRATORS", "ALL_ZONES", "FOREIGN", "OPERATOR", "ORIGIN", "ROLES", "SCOPED", "Access", "Chain", "Key",
    "Origin", "User", "scrub",
]  # fmt: skip


class Access(People):
    """Users and the audit log of one county."""

    def __init__(self, county: Path) -> None:
        file = File(county)
        super().__init__(file, Trail(file))

    def close(self) -> None:
        self._file.close()

    def record(self, actor: str, action: str, subject: str, outcome: str) -> None:
        """Add a row to the audit log; role, request and address come from the request it happens in (`ORIGIN`)."""
        self._trail.record(actor, action, subject, outcome)

    def audit(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> list[dict[str, Any]]:
        return self._trail.read(after, limit, actor=actor, action=action, subject=subject)

    def verify(self, seen: tuple[int, str] | None = None) -> Chain:
        """Whether every row of the audit log is there and as it was written, `seen` (number of a row and its hash, hex)
        among them."""
        found = self._trail.verify()
        if seen is None or not found.holds:
            return found
        rows, head = seen
        if found.rows < rows:
            return replace(found, broken_at=found.rows + 1, fault=f"rows {found.rows + 1} to {rows} are cut off")
        if rows and self._trail.read(rows - 1, 1)[0]["hash"] != head:
            return replace(found, broken_at=rows, fault=f"row {rows} is not the one that was seen")
        return found

    def head(self) -> tuple[int, str]:
        """The number of the last row of the audit log, and its hash (hex)."""
        rows = self._file.rows("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        return (int(rows[0][0]), rows[0][1].hex()) if rows else (0, "")

    def witness(self, seq: int, head: str) -> None:
        """Keep how far the books have come; what was seen before stays where that was farther."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        sql = (
            "INSERT INTO witness VALUES ('ledger', ?, ?, ?) ON CONFLICT (journal) DO UPDATE"
            " SET seq = excluded.seq, hash = excluded.hash, at = excluded.at WHERE excluded.seq > seq"
        )
        with self._file.told("written"), self._file.writing() as db:
            db.execute(sql, (seq, head, now))

    def witnessed(self) -> tuple[int, str] | None:
        """How far the books had come when they were last seen: the number of an entry, and its hash."""
        rows = self._file.rows("SELECT seq, hash FROM witness WHERE journal = 'ledger'")
        return (int(rows[0][0]), str(rows[0][1])) if rows else None
