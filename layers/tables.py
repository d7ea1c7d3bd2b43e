"""The tables of one county, whichever database keeps them: SQL that SQLite and PostgreSQL both understand.

Values are bound, as `?` or as `:name`; a name in SQL is one of ours, never a caller's. What the two databases say
differently (boxes of geometries, stamps) the stores say themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Bindings = Sequence[Any] | Mapping[str, Any]


class Tables(Protocol):
    """Raises StoreBroken, in words of ours, where the database cannot answer."""

    def all(self, sql: str, bindings: Bindings = ()) -> list[Any]:
        """The rows of a query."""

    def each(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """A statement for each row, for all of them or for none."""

    def append(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Rows, whole and in the order of the table's columns, for all of them or for none."""

    def reading(self) -> AbstractContextManager[None]:
        """Around several queries that belong together."""

    def writing(self) -> AbstractContextManager[None]:
        """Around changes that are made wholly or not at all, while nobody else makes any in this county."""
