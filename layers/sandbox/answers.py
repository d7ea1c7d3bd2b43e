"""What a child hands back: one table or grid in a file of its own, and a few words about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TABLE, GRID, WORDS = "table.arrow", "grid.npy", "answer.json"
GEOMETRY = "geometry:wkb"  # the last column of the table


@dataclass
class Answer:
    """Of a layer: its format, name, encoding, CRS, and which of its columns hold times as text; of a grid its place."""

    format: str
    layer: str = ""
    encoding: str | None = None
    crs: str | None = None
    times: list[str] = field(default_factory=list)
    found: dict[str, str] = field(default_factory=dict)
    notes: list[dict[str, str | None]] = field(default_factory=list)
    transform: list[float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    nodata: float | None = None
    fenced: bool = False


@dataclass(frozen=True)
class Request:
    """One file to read: where it lies here, how its sender names it, and what is asked of it."""

    path: str
    name: str
    suffix: str
    out: str
    raster: bool
    layer: str | None
    encoding: str | None
    limits: dict[str, Any]
    defences: dict[str, bool]
    drivers: tuple[str, ...]
