"""What a backup says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: whose it is, how far its books went, and a SHA-256 for each file in it."""

    format: str
    kind: str
    county: str
    schema: str
    created_at: str
    entries: int
    head: str
    files: dict[str, str]


@dataclass(frozen=True)
class Taken:
    """How far the books of a county went at the moment that was copied."""

    county: str
    entries: int
    head: str
