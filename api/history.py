"""The checks that were made: a short row of each, so that one is found again without reading them all.

A row is kept beside its check. Checks never change, so a process that has seen a row keeps it; of those made before
rows were kept it is drawn from the check itself, once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from threading import Lock
from typing import Any, Literal

import numpy as np
import shapely
from pyproj import CRS

from layers.crs import LONLAT, parse_cached, transform
from layers.errors import UnknownName
from layers.records import Purpose
from layers.store import Store

KIND = "check_row"
Verdict = Literal["clear", "warned", "conditional", "undetermined", "blocked"]
TOUCH_DEG2 = 1e-10  # about a square metre


def row(check: Mapping[str, Any], by: str | None) -> dict[str, Any]:
    """What a list says of a check. `box` west, south, east, north in degrees; `by` None where nobody knows."""
    site, project = check["site"], check["project"]
    return {
        "id": check["id"],
        "created_at": check["created_at"],
        "project": {"id": project.get("id"), "name": project.get("name")},
        "purpose": check["purpose"],
        "verdict": check["verdict"],
        "conclusion": check["conclusion"],
        "parcels": [str(one["parcel"]) for one in site["parts"] if one.get("parcel")],
        "zones": [one["zone"] for one in site["zones"]],
        "area_m2": site["area_m2"],
        "box": [round(edge, 7) for edge in shapely.from_geojson(json.dumps(site["geometry"])).bounds],
        "by": by,
    }


def lonlat_of(ground: shapely.Geometry, crs: CRS) -> shapely.Geometry:
    """Ground of the working CRS in degrees, as the rows and checks have theirs."""
    moved: shapely.Geometry = transform(np.array([ground], dtype=object), crs, parse_cached(LONLAT))[0]
    return moved


@dataclass(frozen=True)
class Wanted:
    """Which checks: of a project (its id, or part of its name), between two days, with a verdict, at a purpose."""

    project: str | None = None
    since: date | None = None
    until: date | None = None
    verdict: Verdict | None = None
    purpose: Purpose | None = None

    def fits(self, one: Mapping[str, Any]) -> bool:
        day = one["created_at"][:10]
        return (
            (self.project is None or self._is_project(one["project"]))
            and (self.since is None or day >= self.since.isoformat())
            and (self.until is None or day <= self.until.isoformat())
            and self.verdict in (None, one["verdict"])
            and self.purpose in (None, one["purpose"])
        )

    def _is_project(self, one: Mapping[str, Any]) -> bool:
        sought = str(self.project).casefold()
        return sought in str(one["name"] or "").casefold() or sought == str(one["id"] or "").casefold()


@dataclass
class History:
    """The rows of a county's checks, as far as this process has seen them."""

    store: Store
    _rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def newest_first(self) -> list[dict[str, Any]]:
        """All rows; ids sort by time."""
        with self._lock:
            keys = self.store.keys("check")
            if not self._rows:
                self._rows.update((one["id"], one) for one in self.store.list(KIND))
            for key in keys:
                if key not in self._rows:
                    self._rows[key] = self._read(key)
            return [self._rows[key] for key in reversed(keys)]

    def on(self, ground: shapely.Geometry, parcel: str) -> Iterator[dict[str, Any]]:
        """The rows of checks that name a parcel, or whose ground shares more than a border with it (degrees)."""
        shapely.prepare(ground)
        for one in self.newest_first():
            is_near = shapely.intersects(ground, shapely.box(*one["box"]))
            if parcel in one["parcels"] or (is_near and self._shares(one["id"], ground)):
                yield one

    def _shares(self, key: str, ground: shapely.Geometry) -> bool:
        site = shapely.from_geojson(json.dumps(self.store.load("check", key)["site"]["geometry"]))
        return float(shapely.intersection(site, ground).area) > TOUCH_DEG2

    def _read(self, key: str) -> dict[str, Any]:
        try:
            return self.store.load(KIND, key)
        except UnknownName:
            pass
        try:
            by = self.store.load("check_seen", key).get("by")
        except UnknownName:
            by = None
        return row(self.store.load("check", key), by)
