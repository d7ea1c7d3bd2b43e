"""What a county keeps beside its layers and its books: documents (checks, projects, confirmations)."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from layers.errors import UnknownName
from layers.tables import Tables

PUT_DOCUMENT = (
    "INSERT INTO parkplan_documents (kind, key, body, saved_at) VALUES (?,?,?,?)"
    " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, saved_at = excluded.saved_at"
    " WHERE excluded.kind NOT IN ('rulebook', 'layers')"  # named by their digests: what was used stays as it was
)


class Documents:
    """The half of a store that is plain rows. A store says how it notices that one was written."""

    _tables: Tables
    _documents_stamp: str  # changes whenever a document of the kind does

    def _now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="microseconds")

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> str:
        """Keep a document; returns it as the JSON text that was kept."""
        return self.save_all([(kind, key, body)])[0]

    def save_all(self, documents: Iterable[tuple[str, str, Mapping[str, Any]]]) -> builtins.list[str]:
        """Keep documents (kind, key, body), all or none of them; returns their JSON texts."""
        now = self._now()
        rows = [(kind, key, json.dumps(body, ensure_ascii=False, allow_nan=False)) for kind, key, body in documents]
        self._tables.each(PUT_DOCUMENT, [(*row, now) for row in rows])
        return [text for _, _, text in rows]

    def stamp(self, *kinds: str) -> str:
        """Changes whenever a document of one of the kinds does."""
        marks = ", ".join("?" * len(kinds))
        return str(
            self._tables.all(f"{self._documents_stamp} WHERE kind IN ({marks}) GROUP BY kind ORDER BY kind", kinds)
        )

    def load(self, kind: str, key: str) -> dict[str, Any]:
        rows = self._tables.all("SELECT body FROM parkplan_documents WHERE kind = ? AND key = ?", (kind, key))
        if not rows:
            raise UnknownName(f"no {kind} {key!r}", **{kind: key})
        body: dict[str, Any] = json.loads(rows[0][0])
        return body

    def keys(self, kind: str) -> builtins.list[str]:
        rows = self._tables.all("SELECT key FROM parkplan_documents WHERE kind = ? ORDER BY key", (kind,))
        return [str(key) for (key,) in rows]

    def list(self, kind: str) -> list[dict[str, Any]]:
        rows = self._tables.all("SELECT body FROM parkplan_documents WHERE kind = ? ORDER BY key", (kind,))
        return [json.loads(body) for (body,) in rows]
