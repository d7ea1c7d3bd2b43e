"""Which layers go onto which map: frames of the store as sheets in lon/lat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from api.maps import Sheet
from api.scope import Scope
from layers.records import Bounds
from layers.schema import roles
from layers.store import Store

NAME = (("name", "名称 Name"), ("id", "编号 Id"))
FIELDS: dict[str, tuple[tuple[str, str], ...]] = {
    "parcels": (("id", "宗地代码 Parcel"), ("zone", "片区 Zone"), ("ready", "净地 Ready")),
    "zones": (*NAME, ("industries", "产业代码 Industries"), ("unit_code", "指标单元 Quota unit")),
    "land_use": (("code_name", "地类 Class"), ("code", "编码 Code"), ("code_system", "分类 System")),
    "roads": (*NAME, ("road_class", "等级 Class"), ("land_width_m", "用地宽度 Land width, m")),
    "substations": (*NAME, ("voltage_kv", "电压 kV"), ("capacity_kva", "容量 kVA"), ("open_year", "投运年 Opens")),
    "water_protection": (*NAME, ("grade", "级别 Grade")),
    "urban_boundary": (*NAME, ("kind", "分区 Kind")),
    "enterprises": (*NAME, ("industry", "行业 Industry")),
}
OVERVIEW = (
    "zones", "parcels", "basic_farmland", "eco_redline", "urban_boundary", "nature_reserve", "water_protection",
    "river_management", "rivers", "roads", "railways", "power_lines", "substations", "power_plants", "water_sources",
    "wastewater_plants", "enterprises", "mining_rights", "villages",
)  # fmt: skip
FROM_AFAR = (  # what can be told apart on a map of many kilometres
    "zones", "basic_farmland", "eco_redline", "urban_boundary", "water_protection", "rivers", "roads", "railways",
)  # fmt: skip
AROUND = (*OVERVIEW, "farmland_reserve", "approved_land", "hazards", "karst", "residential", "water_mains", "heritage")
HIDDEN = frozenset({"nature_reserve", "villages", "power_lines", "mining_rights", "hazards", "heritage", "water_mains"})


def sheets(
    store: Store,
    wanted: Iterable[str],
    bounds: Bounds | None = None,
    as_of: date | None = None,
    scope: Scope | None = None,
    *,
    tiled: bool = False,
) -> list[Sheet]:
    """The loaded layers among `wanted`, those features that touch `bounds` (working CRS), as of a day; of parcels
    those that the user sees. `tiled`: for a page of the service, which has tiles of what stands now."""
    loaded = {layer.role for layer in store.layers(as_of)}
    made = []
    for name in wanted:
        if name in loaded:
            frame = store.frame(name, bounds=bounds, as_of=as_of)
            if name == "parcels" and scope is not None and not scope.is_all:
                frame = frame[scope.sees(frame.geometry.to_numpy())]
            role = roles()[name]
            fields = tuple((column, label) for column, label in FIELDS.get(name, NAME) if column in frame)
            made.append(
                Sheet(name, role.zh, role.en, lonlat(frame), fields, name not in HIDDEN, tiled and as_of is None)
            )
    return made


def intended(store: Store, projects: Sequence[Mapping[str, Any]]) -> list[Sheet]:
    """The project library as marks in the zones that projects prefer: an intention, drawn where there is room."""
    if not any(layer.role == "zones" for layer in store.layers()):
        return []
    zones = store.frame("zones")
    made_up = zones["synthetic"].eq(True) if "synthetic" in zones else zones["id"].isna()  # no word of it: not made up
    made = []
    for zone in zones.itertuples():
        mine = [one for one in projects if one.get("zone") in (zone.id, getattr(zone, "name", None))]
        for one, spot in zip(mine, _spread(zone.geometry, len(mine)), strict=True):
            said = {"id": one.get("id") or one["name"], "stage": one.get("stage"), "synthetic": made_up[zone.Index]}
            made.append({"name": one.get("name") or one["id"], **said, "geometry": spot})
    if not made:
        return []
    frame = gpd.GeoDataFrame(made, geometry="geometry", crs=store.crs)
    fields = (*NAME, ("stage", "阶段 Stage"))
    return [
        Sheet("projects", "项目库（意向片区，非选址）", "Projects (preferred zone, no site)", lonlat(frame), fields)
    ]


def _spread(zone: shapely.Geometry, count: int) -> list[shapely.Point]:
    """`count` points inside a zone, one in each of as many strips from west to east."""
    west, south, east, north = zone.bounds
    edges = np.linspace(west, east, count + 1)
    strips = shapely.intersection(shapely.box(edges[:-1], south, edges[1:], north), zone)
    strips[shapely.area(strips) == 0] = zone
    return list(shapely.point_on_surface(strips))


def around(geometry: shapely.Geometry, margin_m: float) -> Bounds:
    """The box around a geometry in the working CRS, widened on every side."""
    west, south, east, north = geometry.bounds
    return (west - margin_m, south - margin_m, east + margin_m, north + margin_m)


def lonlat(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """A frame in lon/lat, as web maps want it; CGCS2000 and WGS 84 are one within a metre."""
    if frame.empty:
        return frame.set_crs(4326, allow_override=True)
    return frame.to_crs(4326)
