"""The links of the audit log: each row's hash covers the row and the hash before it, so that no row can be altered,
left out or put in without all later ones showing it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

START = bytes(32)


@dataclass(frozen=True)
class Chain:
    """What a walk along the log found. `head` (hex) written down elsewhere proves later that no row was cut off."""

    rows: int
    head: str
    broken_at: int | None = None
    fault: str | None = None

    @property
    def holds(self) -> bool:
        return self.fault is None


def link(before: bytes, row: Sequence[Any]) -> bytes:
    """The hash of a row (without its hash) after the one before it.

    >>> link(START, (1, "2026-01-01T00:00:00+00:00", "甲", "", "check", "c1", "clear", "", "")).hex()[:8]
    'cffb97c0'
    """
    text = json.dumps(list(row), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(before + text.encode("utf-8", "surrogatepass")).digest()


def walk(rows: Iterable[Sequence[Any]], last: int | None = None) -> Chain:
    """Follow the rows (the last column is the hash) in their order; `last` is the number the log has come to."""
    count, before = 0, START
    for *row, kept in rows:
        if row[0] != count + 1:
            return Chain(count, before.hex(), count + 1, f"row {count + 1} is missing")
        if link(before, row) != kept:
            return Chain(count, before.hex(), row[0], f"row {row[0]} is not as it was written")
        count, before = count + 1, kept
    if last is not None and last != count:
        return Chain(count, before.hex(), count + 1, f"rows {count + 1} to {last} are cut off")
    return Chain(count, before.hex())
