"""What changed between two versions of a layer: features added, gone, redrawn, or told anew.

Features are the same where their ids are. A survey that gives no ids has them made up from the row, and the rows of
two files need not correspond; there features are the same where their ground is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers.records import Bools, Floats, Geoms, Ints, Layer

SAME_M = 1e-4  # coordinates nearer than this are the same point, as every exchange format rounds more
DERIVED = frozenset({"id", "area_m2", "area_ellipsoid_m2", "area_method"})  # follow from id and ground
CHANGES = ("added", "gone", "ground", "attributes", "ground+attributes")


@dataclass(frozen=True, eq=False)
class Difference:
    """One row per feature that is not the same in both versions, and the features that are, counted.

    `changes` : GeoDataFrame in the working CRS with `change` (one of CHANGES), `feature`, `fields` (JSON:
    column -> [old, new], the column's values as they were), `old_m2`, `new_m2`, `moved_m2` (ground that is in one of
    the two only) and as geometry the ground concerned: new, gone, or where the two differ (a line that was drawn with
    other vertices alone shows whole).
    """

    changes: gpd.GeoDataFrame
    same: int
    matched_by: str
    columns_added: tuple[str, ...]
    columns_gone: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        found = self.changes["change"].value_counts()
        return {**{change: int(found.get(change, 0)) for change in CHANGES}, "same": self.same}


def compare(old: gpd.GeoDataFrame, new: gpd.GeoDataFrame, *, by_ground: bool = False) -> Difference:
    """The difference from one version's features to another's, both in the working CRS with a unique text `id`."""
    old_ground: Geoms = np.asarray(old.geometry.values, dtype=object)
    new_ground: Geoms = np.asarray(new.geometry.values, dtype=object)
    key_old, key_new = (_keys(old_ground), _keys(new_ground)) if by_ground else (old["id"], new["id"])
    partner = pd.Index(key_old).get_indexer(pd.Index(key_new)).astype(np.int64)  # (new,) row of old, or -1
    after = np.flatnonzero(partner >= 0)
    before = partner[after]
    added = np.flatnonzero(partner < 0)
    gone = np.setdiff1d(np.arange(len(old)), before)

    told = [name for name in new.columns if name in old.columns and name not in DERIVED | {new.geometry.name}]
    differs = {name: _differs(old[name].iloc[before], new[name].iloc[after]) for name in told}
    retold = np.logical_or.reduce(list(differs.values())) if differs else np.zeros(len(after), dtype=bool)
    redrawn = _redrawn(old_ground[before], new_ground[after])
    changed = np.flatnonzero(retold | redrawn)
    kinds = np.where(redrawn & retold, "ground+attributes", np.where(redrawn, "ground", "attributes"))

    shown, moved_m2 = _moved(old_ground[before[changed]], new_ground[after[changed]], redrawn[changed])
    fields = [_fields(old, new, differs, int(row), int(before[row]), int(after[row])) for row in changed]
    old_m2, new_m2 = shapely.area(old_ground), shapely.area(new_ground)
    pieces = [
        _rows("added", new["id"].iloc[added], new_ground[added], new_m2=new_m2[added], moved_m2=new_m2[added]),
        _rows("gone", old["id"].iloc[gone], old_ground[gone], old_m2=old_m2[gone], moved_m2=old_m2[gone]),
        _rows(
            kinds[changed],
            new["id"].iloc[after[changed]],
            shown,
            old_m2=old_m2[before[changed]],
            new_m2=new_m2[after[changed]],
            moved_m2=moved_m2,
            fields=fields,
        ),
    ]
    changes = gpd.GeoDataFrame(pd.concat(pieces, ignore_index=True), geometry="geometry", crs=new.crs)
    ours = {"geometry", new.geometry.name, old.geometry.name}
    return Difference(
        changes,
        same=len(after) - len(changed),
        matched_by="ground" if by_ground else "id",
        columns_added=tuple(name for name in new.columns if name not in old.columns and name not in ours),
        columns_gone=tuple(name for name in old.columns if name not in new.columns and name not in ours),
    )


def has_ids(layer: Layer) -> bool:
    """Whether the survey named its features itself."""
    return "id" in layer.fields


def _keys(ground: Geoms) -> list[bytes]:
    """A name for a piece of ground: the same however its rings are turned and wherever they start."""
    rounded = shapely.transform(ground, lambda xy: np.round(xy / SAME_M) * SAME_M)
    blobs = shapely.to_wkb(shapely.normalize(rounded))
    seen = pd.Series(blobs).groupby(blobs).cumcount()  # the second of two on the same ground stays the second
    return [blob + int(again).to_bytes(4, "big") for blob, again in zip(blobs, seen, strict=True)]


def _differs(old: pd.Series, new: pd.Series) -> Bools:
    """Where two columns do not say the same; null says the same as null."""
    old, new = old.astype(object).reset_index(drop=True), new.astype(object).reset_index(drop=True)
    both_null = (old.isna() & new.isna()).to_numpy(dtype=bool)
    return np.asarray((old != new).to_numpy(dtype=bool) & ~both_null, dtype=bool)


def _redrawn(old: Geoms, new: Geoms) -> Bools:
    unlike: Bools = ~shapely.equals_exact(old, new, tolerance=0.0)
    rows = np.flatnonzero(unlike)
    unlike[rows] = ~shapely.equals_exact(shapely.normalize(old[rows]), shapely.normalize(new[rows]), SAME_M)
    return unlike


def _moved(old: Geoms, new: Geoms, redrawn: Bools) -> tuple[Geoms, Floats]:
    """The ground that only one of the two has, and its area; the feature as it is where the ground did not move."""
    shown, moved_m2 = new.copy(), np.zeros(len(new))
    rows = np.flatnonzero(redrawn)
    between = shapely.symmetric_difference(old[rows], new[rows])
    empty = shapely.is_empty(between)
    shown[rows] = np.where(empty, new[rows], between)
    moved_m2[rows] = shapely.area(between)
    return shown, moved_m2


def _fields(
    old: gpd.GeoDataFrame, new: gpd.GeoDataFrame, differs: dict[str, Bools], row: int, before: int, after: int
) -> str:
    values = {
        name: [_plain(old[name].iloc[before]), _plain(new[name].iloc[after])]
        for name, unlike in differs.items()
        if unlike[row]
    }
    return json.dumps(values, ensure_ascii=False)


def _plain(value: Any) -> str | int | float | bool | None:
    """A cell as JSON knows it."""
    if value is None or pd.isna(value):
        return None
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not np.isfinite(plain):
        return str(plain)
    return plain if isinstance(plain, (str, int, float, bool)) else str(plain)


def _rows(
    change: str | np.ndarray,
    features: pd.Series,
    ground: Geoms,
    *,
    moved_m2: Floats,
    old_m2: Floats | float = float("nan"),
    new_m2: Floats | float = float("nan"),
    fields: list[str] | str = "{}",
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "change": change,
            "feature": features.to_numpy(dtype=object),
            "fields": fields,
            "old_m2": old_m2,
            "new_m2": new_m2,
            "moved_m2": moved_m2,
            "geometry": ground,
        },
        index=np.arange(len(features)),
    )


def order(changes: gpd.GeoDataFrame) -> Ints:
    """Rows with the most ground first, as somebody reads them who has little time."""
    return np.argsort(-changes["moved_m2"].to_numpy(dtype=float), kind="stable").astype(np.int64)
