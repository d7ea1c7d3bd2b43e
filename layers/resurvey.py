"""A new survey of the parcels beside the fabric as it stands: what it opens, what it closes, what came of what.

Ids it does not know are opened; changed ones closed and opened anew; those it leaves out are closed where their
ground was surveyed or is others' now. What took effect after the day of the survey is younger than it and stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import shapely

from layers.fabric import ALWAYS, MEASURED, State
from layers.records import Bools, Geoms
from layers.tiling import array, overlap_m2

AS_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
SAME_M = 1e-4  # a boundary surveyed again within this is the same boundary
MOST_OF = 0.1  # assumption: a neighbour drawn anew overlaps less of the smaller parcel than a successor does


class Rows:
    """A survey's features as they are stored: ids, ground, attributes."""

    def __init__(self, features: pd.DataFrame, geometries: Geoms) -> None:
        self.ids: list[str] = features["id"].tolist()
        self.geometries = shapely.force_2d(geometries)
        self._blobs = shapely.to_wkb(self.geometries)
        names = [name for name in features.columns if name != "id"]
        columns = [_plain(features[name]) for name in names]
        cells = zip(*columns, strict=True) if columns else ((),) * len(features)
        self._told = [dict(zip(names, row, strict=True)) for row in cells]

    def stored(self, row: int) -> tuple[str, bytes, str]:
        """A row's id, its ground as WKB and its attributes as JSON."""
        return self.ids[row], self._blobs[row], AS_JSON(self._told[row])

    def differ(self, rows: Sequence[int], states: Sequence[State]) -> Bools:
        """Whether each row says something else than the state beside it, of the ground or in its attributes."""
        drawn, stood = self.geometries[np.array(rows, dtype=np.int64)], array([one.geometry for one in states])
        same: Bools = shapely.equals_exact(drawn, stood, SAME_M)
        rest = np.flatnonzero(~same)
        same[rest] = shapely.equals_exact(shapely.normalize(drawn[rest]), shapely.normalize(stood[rest]), SAME_M)
        told = [_said_of(self._told[row]) != _said_of(one.attributes) for row, one in zip(rows, states, strict=True)]
        found: Bools = ~same | np.array(told, dtype=bool)
        return found


@dataclass(frozen=True)
class Resurvey:
    """Rows opened, each with the day since when; states closed; links (place in `opened`, state, m2 in common)."""

    opened: list[int]
    since: list[str]
    closed: list[int]
    links: list[tuple[int, int, float]]


def compare(
    rows: Rows,
    old: Sequence[State],
    day: str,
    *,
    surveyed: shapely.Geometry,
    before: shapely.Geometry,
    ended_later: set[str],
    ever: set[str],
) -> Resurvey:
    """A survey of a day beside the parcels that stand.

    surveyed, before : the ground of this survey and of all earlier ones; a parcel on ground that nobody surveyed
        before stands since before the records
    ended_later, ever : ids of parcels that ended after the day; ids of the rows that were used before
    """
    younger = ended_later | {one.parcel for one in old if one.valid_from > day}
    row_of = {name: row for row, name in enumerate(rows.ids) if name not in younger}
    both = [one for one in old if one.parcel in row_of]
    differ = rows.differ([row_of[one.parcel] for one in both], both)
    changed = [one for one, does in zip(both, differ, strict=True) if does]
    stands = {one.parcel for one in old}
    new = [row for name, row in row_of.items() if name not in stands]
    opened = [row_of[one.parcel] for one in changed] + new

    known = set(rows.ids)
    missing = [one for one in old if one.parcel not in known | younger]
    drawn, ground = rows.geometries[np.array(opened, dtype=np.int64)], array([one.geometry for one in missing])
    # Successors: what is missing beside what is drawn anew. Neighbours that were both drawn anew keep to themselves.
    took, lost, shared = overlap_m2(drawn, ground)
    most = shared > MOST_OF * np.minimum(shapely.area(drawn)[took], shapely.area(ground)[lost])
    took, lost, shared = took[most], lost[most], shared[most]
    shapely.prepare(surveyed)
    gone = shapely.contains(surveyed, shapely.point_on_surface(ground))
    gone[lost] = True

    shapely.prepare(before)
    first = ~shapely.contains(before, shapely.point_on_surface(drawn))
    first[took] = False
    first &= [row >= len(changed) and rows.ids[number] not in ever for row, number in enumerate(opened)]
    links = [(row, one.state, float(one.geometry.area)) for row, one in enumerate(changed)]
    pairs = zip(took.tolist(), lost.tolist(), shared.tolist(), strict=True)
    return Resurvey(
        opened,
        np.where(first, ALWAYS, day).tolist(),
        [one.state for one in changed] + [missing[n].state for n in np.flatnonzero(gone)],
        links + [(row, missing[n].state, m2) for row, n, m2 in pairs],
    )


def day_of(vintage: str | None, imported: str) -> str:
    """The day a survey speaks of: its vintage where that is a day, else the day it was imported.

    >>> day_of("2024-03-31", "2025-01-01"), day_of("2024", "2025-01-01"), day_of("2026-01-01", "2025-01-01")
    ('2024-03-31', '2025-01-01', '2025-01-01')
    """
    try:
        return min(date.fromisoformat(vintage or "").isoformat(), imported)
    except ValueError:
        return imported


def _said_of(told: dict[str, Any]) -> dict[str, Any]:
    """What a survey says of a parcel: not what follows from its ground, and nothing where it says nothing."""
    return {name: value for name, value in told.items() if value is not None and name not in MEASURED}


def _plain(column: pd.Series) -> list[Any]:
    """Values that JSON has: missing is null, dates are text."""
    cells = column.astype(object).where(column.notna(), None).tolist()
    return [one if one is None or type(one) in (str, bool, int, float) else _said(one) for one in cells]


def _said(value: Any) -> Any:
    item = value.item() if isinstance(value, np.generic) else value
    return item if isinstance(item, (str, bool, int, float)) else str(item)
