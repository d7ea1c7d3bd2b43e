"""Who may come in, and what was done: a file of its own beside the county, readable by its owner alone."""

from __future__ import annotations

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

    def verify(self) -> Chain:
        """Whether every row of the audit log is there and as it was written."""
        return self._trail.verify()
