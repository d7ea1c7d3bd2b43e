"""A new survey of the parcels beside the fabric as it stands: what it opens, what it closes, what came of what.

Ids it does not know are opened; changed ones closed and opened anew; those it leaves out are closed where their
ground was surveyed or is others' now. What took effect after the day of the survey is younger than it and stays.
What would lie over a parcel that stays is a fault of the survey.
"""

from __future__ import annotations

import json
import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import shapely

from layers.errors import BadInput, Fault
from layers.fabric import ALWAYS, MEASURED, State
from layers.records import Bools, Geoms
from layers.tiling import array, overlap_m2

AS_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
SAME_M = 1e-4  # a boundary surveyed again within this is the same boundary
MOST_OF = 0.1  # assumption: a neighbour drawn anew overlaps less of the smaller parcel than a successor does
WHOLE = 0.9  # assumption: a parcel of which this share was surveyed was looked at as a whole
VINTAGE = re.compile(r"(\d{4})(?:[-/.年]度?(?:(\d{1,2})(?:[-/.月](?:(\d{1,2})日?)?)?)?|(\d\d)(\d\d)?)?")


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
    """Rows opened, each with the day since when; states closed; links (place in `opened`, state, m2 in common).

    faults : rows that lie over a parcel that stays
    """

    opened: list[int]
    since: list[str]
    closed: list[int]
    links: list[tuple[int, int, float]]
    faults: list[Fault]


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

    others = [one for one in old if one.parcel not in row_of]
    drawn, ground = rows.geometries[np.array(opened, dtype=np.int64)], array([one.geometry for one in others])
    # Successors: what is missing beside what is drawn anew. Neighbours that were both drawn anew keep to themselves.
    took, lost, shared = overlap_m2(drawn, ground)
    most = shared > MOST_OF * np.minimum(shapely.area(drawn)[took], shapely.area(ground)[lost])
    took, lost, shared = took[most], lost[most], shared[most]
    stays = np.array([one.parcel in younger for one in others], dtype=bool)
    gone = ~stays & _seen_whole(ground, surveyed, drawn[np.unique(took)])

    shapely.prepare(before)
    first: Bools = ~shapely.contains(before, shapely.point_on_surface(drawn))
    first[took] = False
    first &= np.array([n >= len(changed) and rows.ids[row] not in ever for n, row in enumerate(opened)], dtype=bool)
    links = [(row, one.state, float(one.geometry.area)) for row, one in enumerate(changed)]
    pairs = list(zip(took.tolist(), lost.tolist(), shared.tolist(), strict=True))
    return Resurvey(
        opened,
        np.where(first, ALWAYS, day).tolist(),
        [one.state for one in changed] + [others[n].state for n in np.flatnonzero(gone)],
        links + [(row, others[n].state, m2) for row, n, m2 in pairs if gone[n]],
        [_over(rows.ids[opened[row]], others[n], m2, day) for row, n, m2 in pairs if not gone[n]],
    )


def _seen_whole(ground: Geoms, surveyed: shapely.Geometry, successors: Geoms) -> Bools:
    """Whether the survey saw the whole of each parcel: in its extent, or in what it drew in that parcel's place."""
    shapely.prepare(surveyed)
    seen: Bools = shapely.covers(surveyed, ground)
    rest = np.flatnonzero(~seen)
    whole = shapely.union_all([surveyed, *successors]) if len(rest) else surveyed
    seen[rest] = shapely.area(shapely.intersection(ground[rest], whole)) >= WHOLE * shapely.area(ground[rest])
    return seen


def _over(row: str, other: State, m2: float, day: str) -> Fault:
    said = f"overlaps parcel {other.parcel!r} by {m2:,.2f} m2"
    if other.valid_from > day:
        fix = "Leave it out, or give the survey's own day with --vintage"
        return Fault(f"{said}, which is as it is since {other.valid_from}, after the survey", fix, feature=row)
    fix = "Draw what became of all of it, say with --extent that it was surveyed, or split or adjust it first"
    return Fault(f"{said}, the rest of which was not surveyed", fix, feature=row)


def period_of(vintage: str | None, imported: str) -> tuple[str, str]:
    """The first and the last day a survey may speak of: a day, a month, a year; any until its import if it says none.

    It counts as made on the last one.

    >>> period_of("2024-02", "2025-01-01"), period_of("2024/2/3", "2025-01-01")
    (('2024-02-01', '2024-02-29'), ('2024-02-03', '2024-02-03'))
    >>> period_of("2024-13", "2025-01-01") == period_of(None, "2025-01-01") == (ALWAYS, "2025-01-01")
    True
    """
    found = VINTAGE.fullmatch((vintage or "").strip())
    if found is None:
        return ALWAYS, imported
    year, month, day = int(found[1]), int(found[2] or found[4] or 0), int(found[3] or found[5] or 0)
    try:
        first = date(year, month or 1, day or 1)
        last = date(year, month or 12, day or monthrange(year, month or 12)[1])
    except ValueError:
        return ALWAYS, imported
    return min(first.isoformat(), imported), min(last.isoformat(), imported)


def judge_vintage(
    rows: Rows, surveyed: shapely.Geometry, touched: Iterable[tuple[str, bytes]], source: str, vintage: str | None
) -> None:
    """Refuse a survey that may be older or younger than what was done to its parcels.

    touched : id and ground (WKB) of the parcels that operations closed or opened within the survey's period
    """
    some = list(touched)
    if not some:
        return
    ground = shapely.from_wkb(np.array([wkb for _, wkb in some], dtype=object))
    shapely.prepare(surveyed)
    meets: Bools = shapely.intersects(surveyed, ground)
    meets[np.unique(overlap_m2(rows.geometries, ground)[1])] = True
    known = set(rows.ids)
    names = sorted({name for (name, _), does in zip(some, meets, strict=True) if does or name in known})
    if names:
        said = f"its vintage {vintage!r} does not tell" if vintage else "it has no vintage that would tell"
        reason = f"{said} whether it is older than what was done to parcels {', '.join(names[:20])}"
        fix = "Give the day of the survey with --vintage, for example 2026-03-31"
        fault = Fault(reason, fix, file=source, layer="parcels", field="vintage")
        raise BadInput("the survey needs its day: parcels were split, merged or changed otherwise", [fault])


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
