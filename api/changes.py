"""What changed between two versions of a layer, as JSON, as a table to take away and as a map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio

from api import maps
from api.answers import geojson
from api.sheets import lonlat
from layers.difference import Difference, compare, has_ids, order
from layers.errors import UnknownName
from layers.records import Layer
from layers.schema import role as role_of
from layers.sheets import text
from layers.store import Store

WORDS = {
    "added": ("新增", "added"),
    "gone": ("消失", "gone"),
    "ground": ("边界变化", "redrawn"),
    "attributes": ("属性变化", "told anew"),
    "ground+attributes": ("边界与属性变化", "redrawn and told anew"),
}
COLUMNS = (
    ("feature", "编号 Feature"),
    ("zh", "变化 Change"),
    ("moved_m2", "变化面积 Ground, m²"),
    ("fields", "字段 Fields"),
)


def versions(store: Store, role: str, old: int | None, new: int | None) -> tuple[Layer, Layer]:
    """The two versions to compare; by default the latest and the one before it. UnknownName where there is no such."""
    known = {layer.version: layer for layer in store.versions(role)}
    latest = max(known)
    wanted = (old if old is not None else (new or latest) - 1, new if new is not None else latest)
    missing = [version for version in wanted if version not in known]
    if missing:
        named = ", ".join(map(str, known))
        raise UnknownName(f"{role} has no version {missing[0]}; it has {named}", role=role, version=missing[0])
    return known[wanted[0]], known[wanted[1]]


def difference(store: Store, old: Layer, new: Layer) -> Difference:
    frames = [store.frame(layer.role, version=layer.version) for layer in (old, new)]
    return compare(*frames, by_ground=not (has_ids(old) and has_ids(new)))


def table(found: Difference) -> gpd.GeoDataFrame:
    """The changes, those with the most ground first, the kind of change in words beside its name."""
    changes = found.changes.iloc[order(found.changes)].reset_index(drop=True)
    words = [WORDS[change] for change in changes["change"]]
    return changes.assign(zh=[zh for zh, _ in words], en=[en for _, en in words])


def answer(store: Store, old: Layer, new: Layer, most: int) -> dict[str, Any]:
    """The difference as JSON: counts, and the `most` changes with the most ground."""
    found = difference(store, old, new)
    rows = table(found).head(most)
    shapes = geojson(list(rows.geometry), store.crs)
    return {
        "role": new.role,
        "from": old.label,
        "to": new.label,
        "matched_by": found.matched_by,
        "counts": found.counts,
        "columns_added": list(found.columns_added),
        "columns_gone": list(found.columns_gone),
        "changes": [
            {
                "feature": row.feature,
                "change": row.change,
                "zh": row.zh,
                "fields": json.loads(row.fields),
                **{name: _m2(getattr(row, name)) for name in ("old_m2", "new_m2", "moved_m2")},
                "geometry": shape,
            }
            for row, shape in zip(rows.itertuples(), shapes, strict=True)
        ],
        "more": len(found.changes) - len(rows),
    }


def _m2(area: float) -> float | None:
    return None if area != area else round(area, 2)


def write(changes: gpd.GeoDataFrame, path: Path) -> None:
    """The table of changes as a GeoPackage that QGIS opens, or as a spreadsheet's CSV without the ground."""
    if path.suffix.lower() == ".gpkg":
        pyogrio.write_dataframe(changes, path, layer="changes", driver="GPKG")
        return
    told = changes.drop(columns="geometry")
    told.map(text).to_csv(path, index=False, encoding="utf-8-sig")


def chart(store: Store, old: Layer, new: Layer) -> maps.Chart:
    """The changes on a map, one sheet for each kind of change."""
    rows = table(difference(store, old, new))
    role = role_of(new.role)
    drawn = lonlat(rows).assign(synthetic=old.synthetic or new.synthetic)  # the page says so
    kinds = {"attributes": ("attributes",), "ground": ("ground", "ground+attributes"), "gone": ("gone",)}
    sheets = [
        maps.Sheet(f"change_{name}", *WORDS[name], drawn[drawn["change"].isin(changes)], COLUMNS)
        for name, changes in {**kinds, "added": ("added",)}.items()
    ]
    title = f"{role.zh} {role.en}: v{old.version} → v{new.version}"
    return maps.overview(title, sheets)
