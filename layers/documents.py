"""What a county keeps beside its layers: pools, and documents (checks, projects, confirmations)."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from layers.errors import UnknownName
from layers.tables import Tables

POOL_COLUMNS = ["account", "unit", "balance", "source", "confidence", "note"]
PUT_DOCUMENT = (
    "INSERT INTO parkplan_documents (kind, key, body, saved_at) VALUES (?,?,?,?)"
    " ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, saved_at = excluded.saved_at"
)


class Documents:
    """The half of a store that is plain rows. A store says how it notices that one was written."""

    _tables: Tables
    _put_pool: str
    _pools_stamp: str  # changes whenever a pool does
    _documents_stamp: str  # changes whenever a document of the kind does

    def __init__(self) -> None:
        self._pools: tuple[Any, dict[str, float]] | None = None

    def _now(self) -> str:
        return datetime.now(UTC).isoformat(timespec="microseconds")

    def put_pools(self, pools: pd.DataFrame) -> None:
        """Set balances by account; an account that is not named keeps its own."""
        rows = pools.reindex(columns=POOL_COLUMNS).astype(object).where(lambda frame: frame.notna(), None)
        self._tables.each(self._put_pool, list(rows.itertuples(index=False, name=None)))

    def pools(self) -> dict[str, float]:
        """Balances by account."""
        (stamp,) = self._tables.all(self._pools_stamp)
        known = self._pools
        if known is None or known[0] != stamp:
            rows = self._tables.all("SELECT account, balance FROM parkplan_pools")
            read = {str(account): float("nan") if left is None else float(str(left)) for account, left in rows}
            self._pools = known = (stamp, read)
        return known[1]

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> str:
        """Keep a document; returns it as the JSON text that was kept."""
        return self.save_all([(kind, key, body)])[0]

    def save_all(self, documents: Iterable[tuple[str, str, Mapping[str, Any]]]) -> builtins.list[str]:
        """Keep documents (kind, key, body), all or none of them; returns their JSON texts."""
        now = self._now()
        rows = [(kind, key, json.dumps(body, ensure_ascii=False, allow_nan=False)) for kind, key, body in documents]
        self._tables.each(PUT_DOCUMENT, [(*row, now) for row in rows])
        return [text for _, _, text in rows]

    def stamp(self, kind: str) -> str:
        """Changes whenever a document of the kind does."""
        return str(self._tables.all(self._documents_stamp, (kind,)))

    def load(self, kind: str, key: str) -> dict[str, Any]:
        rows = self._tables.all("SELECT body FROM parkplan_documents WHERE kind = ? AND key = ?", (kind, key))
        if not rows:
            raise UnknownName(f"no {kind} {key!r}", **{kind: key})
        body: dict[str, Any] = json.loads(rows[0][0])
        return body

    def list(self, kind: str) -> list[dict[str, Any]]:
        rows = self._tables.all("SELECT body FROM parkplan_documents WHERE kind = ? ORDER BY key", (kind,))
        return [json.loads(body) for (body,) in rows]
