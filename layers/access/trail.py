"""The audit log: who did or read what, when, from where, and what came of it. It only grows."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import apsw

from layers.access.chain import START, Chain, link, walk
from layers.access.file import File

COLUMNS = ("seq", "at", "actor", "role", "action", "subject", "outcome", "request", "source")
MOST_TEXT = 400  # characters of one column
# an API key (43 letters) and a JSON web token, wherever somebody put one by mistake
SECRET = re.compile(r"(?<![\w-])([\w-]{8})[\w-]{35}(?![\w-])|(?<![\w-])(eyJ[\w-]{5})[\w-]*\.[\w-]+\.[\w-]*", re.ASCII)


@dataclass
class Origin:
    """Where a row of the log comes from. It travels with the request, so that no router can forget to pass it on."""

    request: str = ""
    source: str = "local"
    actor: str = "operator"
    role: str = "operator"
    written: int = 0


ORIGIN: ContextVar[Origin | None] = ContextVar("origin", default=None)


def scrub(text: str) -> str:
    """A text without the keys in it: their first eight letters say which they were.

    >>> scrub("no check 'abcdefgh" + "x" * 35 + "'")
    "no check 'abcdefgh…'"
    """
    return SECRET.sub(lambda found: f"{found[1] or found[2]}…", text)


class Trail:
    """The log of one county."""

    def __init__(self, file: File) -> None:
        self._file = file

    def record(self, actor: str, action: str, subject: str, outcome: str) -> None:
        """Add a row; when this returns it is kept."""
        with self._file.told("written"), self._file.writing() as db:
            self.append(db, actor, action, subject, outcome)

    def append(self, db: apsw.Connection, actor: str, action: str, subject: str, outcome: str) -> None:
        """Add a row within a transaction that does more."""
        origin = ORIGIN.get() or Origin()
        last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone() or (0, START)
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        texts = (actor, origin.role, action, subject, outcome, origin.request, origin.source)
        row = (last[0] + 1, now, *(scrub(text)[:MOST_TEXT] for text in texts))
        db.execute("INSERT INTO audit VALUES (?,?,?,?,?,?,?,?,?,?)", (*row, link(last[1], row)))
        origin.written += 1

    def read(
        self,
        after: int = 0,
        limit: int = 1000,
        *,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> list[dict[str, Any]]:
        """Rows after a number, in order; `subject` is a text that the subject holds."""
        rows = self._file.rows(
            f"SELECT {', '.join(COLUMNS)}, hash FROM audit WHERE seq > :after AND (:actor IS NULL OR actor = :actor) "
            "AND (:action IS NULL OR action = :action) AND (:subject IS NULL OR instr(subject, :subject) > 0) "
            "ORDER BY seq LIMIT :limit",
            {"after": after, "limit": limit, "actor": actor, "action": action, "subject": subject},
        )
        return [{**dict(zip(COLUMNS, row[:-1], strict=True)), "hash": row[-1].hex()} for row in rows]

    def verify(self, step: int = 10_000) -> Chain:
        """Walk the whole log: the first row that does not hold, if there is one."""
        sql = f"SELECT {', '.join(COLUMNS)}, hash FROM audit WHERE seq > ? ORDER BY seq LIMIT {int(step)}"
        # the number first: rows that come in while we walk are no fault
        ((last,),) = self._file.rows("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0)")

        def rows() -> Any:
            after = 0
            while found := self._file.rows(sql, (after,)):
                yield from (row for row in found if row[0] <= last)
                after = found[-1][0]

        return walk(rows(), last)
