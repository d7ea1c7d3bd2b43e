"""The routes of a site's connections on a map, with the facilities they lead to."""

from __future__ import annotations

import json
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from api import maps
from api.sheets import AROUND, around, sheets
from layers.crs import LONLAT, parse_cached, transform
from layers.store import Store

FIELDS = (
    ("name", "接自 From"),
    ("grade", "规格 Grade"),
    ("length", "长度 Length"),
    ("cost", "费用 Cost, 万元"),
    ("sure", "可信度 Confidence"),
)
TITLES = {
    "power": ("供电路线", "Power route"),
    "water": ("供水路线", "Water route"),
    "effluent": ("排水路线", "Sewer route"),
    "road": ("进场道路", "Access road"),
}


def chart(store: Store, found: dict[str, Any], site: shapely.Geometry) -> maps.Chart:
    """A map of `found`, an answer of POST /connections; `site` in the working CRS."""
    drawn = [one for one in found["connections"] if one["route"] is not None]
    ways = transform(np.array([_shape(one["route"]) for one in drawn], dtype=object), parse_cached(LONLAT), store.crs)
    layers = sheets(store, AROUND, around(shapely.union_all([site, *ways]), 500.0))
    for utility, (zh, en) in TITLES.items():
        rows = [one for one in drawn if one["utility"] == utility]
        if rows:
            layers.append(maps.Sheet(f"route_{utility}", zh, en, _frame(rows), FIELDS))
    ground = gpd.GeoDataFrame({"name": ["选址 Site"]}, geometry=[_shape(found["site"])], crs=4326)
    layers.append(maps.Sheet("site", "选址范围", "Site", ground, (("name", "名称 Name"),)))
    focus = gpd.GeoDataFrame(geometry=[ground.geometry.iloc[0], *(_shape(one["route"]) for one in drawn)], crs=4326)
    return maps.overview(f"接入方案 Connections {found['for_year']}", layers, focus=focus)


def _frame(rows: list[dict[str, Any]]) -> gpd.GeoDataFrame:
    told = [
        {
            "name": one["name"],
            "grade": one["grade"],
            "length": maps.text(one["length_m"], "m"),
            "cost": _cost(one["cost_wan"]),
            "sure": one["confidence"],
        }
        for one in rows
    ]
    return gpd.GeoDataFrame(told, geometry=[_shape(one["route"]) for one in rows], crs=4326)


def _cost(band: dict[str, float] | None) -> str:
    return "—" if band is None else f"{band['typical']:,.0f}（{band['low']:,.0f}–{band['high']:,.0f}）"


def _shape(said: dict[str, Any]) -> shapely.Geometry:
    return shapely.from_geojson(json.dumps(said))
