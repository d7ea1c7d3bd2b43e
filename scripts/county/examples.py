"""One site for every verdict, found by overlay on the finished county, never by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Bools, Floats, Geoms, Ints
from scripts.county.cover import is_cultivated
from scripts.county.supply import CONSTRUCTION, overlap_m2

Frames = dict[str, gpd.GeoDataFrame]


class Example(NamedTuple):
    """A project on a site (parcel ids, or a polygon in EPSG:4545) and why it shows its verdict."""

    project: str
    site: list[str] | shapely.Geometry
    zh: str
    en: str


class Measured:
    """Plain measurements of chosen parcels, with the layers as they were built."""

    def __init__(self, layers: Frames, rows: Ints, slope_deg: Floats) -> None:
        parcels = layers["parcels"].iloc[rows]
        self.layers = layers
        self.ids: list[str] = parcels["id"].tolist()
        self.zone = parcels["zone"].fillna("").to_numpy()
        self.ready: Bools = parcels["ready"].to_numpy(dtype=bool)
        self.polygons: Geoms = np.asarray(parcels.geometry.values, dtype=object)
        self.area_m2: Floats = shapely.area(self.polygons)
        self.slope_deg = slope_deg[rows]

    def shapes(self, role: str, keep: Any = None) -> Geoms:
        frame = self.layers[role]
        chosen = frame if keep is None else frame[keep(frame)]
        return np.asarray(chosen.geometry.values, dtype=object)

    def share(self, role: str, keep: Any = None) -> Floats:
        """How much of each parcel the layer covers, 0 to 1."""
        part: Floats = overlap_m2(self.polygons, self.shapes(role, keep)) / self.area_m2
        return part

    def distance_m(self, role: str, keep: Any = None) -> Floats:
        shapes = self.shapes(role, keep)
        nearest, away = shapely.STRtree(shapes).query_nearest(self.polygons, return_distance=True, all_matches=False)
        distance = np.full(len(self.polygons), np.inf)
        distance[nearest[0]] = away
        return distance


def examples(layers: Frames, slope_deg: Floats, projects: list[dict[str, Any]], karst: shapely.Geometry) -> dict[str, Example]:
    """A verdict word for each, with a project that fits the parcel it names."""
    land = {p["id"]: p["land_m2"] for p in projects}
    in_zone = np.flatnonzero(layers["parcels"]["zone"].notna().to_numpy())
    m = Measured(layers, in_zone, slope_deg)
    outside = _outside(layers, slope_deg)
    protected = ("basic_farmland", "farmland_reserve", "eco_redline", "nature_reserve", "water_protection", "river_management")
    clean = np.ones(len(m.ids), dtype=bool)
    for role in (*protected, "wetlands", "heritage", "mining_rights", "public_welfare_forest", "idle_land", "violations"):
        clean &= m.share(role) == 0
    clean &= m.share("urban_boundary", lambda f: f["kind"] == "concentrated") > 1 - 1e-9
    built = m.share("land_use", lambda f: f["code"].isin(CONSTRUCTION))
    field = m.share("land_use", lambda f: is_cultivated(f["code"].to_numpy().astype(str)))
    wood = m.share("forest_land")
    no_hazard = m.share("hazards") == 0
    surveyed = shapely.covered_by(shapely.buffer(m.polygons, 600.0), karst)
    flat = m.slope_deg < 8
    trunk, side = ("expressway", "national", "provincial"), ("county", "township")
    served = (
        (m.distance_m("roads", lambda f: f["open_year"].isna()) < 600)
        & (m.distance_m("roads", lambda f: f["road_class"].isin(trunk)) > 80)
        & (m.distance_m("roads", lambda f: f["road_class"].isin(side)) > 40)
        & (m.distance_m("roads") > 12)
    )
    quiet = (m.distance_m("residential") > 120) & (m.distance_m("sensitive_sites") > 300) & (m.distance_m("karst") > 200)
    no_dust = m.distance_m("enterprises", lambda f: f["dust"].fillna(False).astype(bool)) > 500
    good = clean & no_hazard & flat & served & quiet & surveyed

    def site(where: Bools, wanted: str, project: str) -> list[str]:
        return [m.ids[row] for row in _room_for(m, where, land[project], wanted)]

    timber = m.zone == "520625-BM"
    belt = m.zone == "520625-NE"
    return {
        "clear": Example(
            "PRJ-BAGS",
            site(good & timber & (built > 1 - 1e-9) & m.ready & (wood == 0), "clear", "PRJ-BAGS"),
            "平整净地,全部为存量建设用地,位于集中建设区内,未压占任何控制线,近路近电近水。",
            "Levelled ground, all construction land, inside the concentrated boundary, on no control line, near road, power and water.",
        ),
        "warned": Example(
            "PRJ-TEA",
            site(clean & no_hazard & flat & served & surveyed & (m.zone == "520625-FOOD") & (built > 1 - 1e-9) & (wood == 0) & ~no_dust, "warned", "PRJ-TEA"),
            "存量建设用地,各控制线均未压占,但距已有水泥粉磨站不足500米,食品企业宜避让扬尘。",
            "Construction land on no control line, but a cement mill stands less than 500 m away: food keeps clear of dust.",
        ),
        "conditional": Example(
            "PRJ-BAGS",
            site(clean & timber & surveyed & flat & served & (field > 0.25) & no_hazard, "conditional", "PRJ-BAGS"),
            "占用耕地,须办理农用地转用、落实占补平衡后方可用地。",
            "Takes cultivated land: conversion and its compensation come first.",
        ),
        "undetermined": Example(
            "PRJ-BAGS",
            site(clean & belt & no_hazard & flat & served & ~shapely.intersects(m.polygons, karst), "undetermined", "PRJ-BAGS"),
            "岩溶调查未覆盖该地块,落水洞和溶洞情况不明,数据不足无法判定。",
            "The karst survey does not reach this parcel, so sinkholes are unknown: no verdict.",
        ),
        "blocked": Example(
            "PRJ-TEA",
            outside,
            "压占永久基本农田,任何单位和个人不得擅自占用。",
            "On permanent basic farmland, which nobody at county level can waive.",
        ),
    }  # fmt: skip


def _outside(layers: Frames, slope_deg: Floats) -> list[str]:
    """A flat parcel beside a zone that lies mostly on permanent basic farmland."""
    rows = np.flatnonzero(layers["parcels"]["zone"].isna().to_numpy() & (slope_deg < 8))
    m = Measured(layers, rows, slope_deg)
    fits = (m.share("basic_farmland") > 0.6) & (m.area_m2 > 3_500)
    if not fits.any():
        raise LookupError("no flat parcel beside a zone lies on basic farmland; try another seed")
    return [m.ids[int(np.argmax(np.where(fits, m.share("basic_farmland"), 0.0)))]]


def _room_for(m: Measured, where: Bools, land_m2: float, wanted: str) -> list[int]:
    """Rows of the fewest neighbouring parcels that together give the project its land."""
    rows = np.flatnonzero(where)
    tree = shapely.STRtree(m.polygons[rows])
    best: list[int] = []
    for start in range(len(rows)):
        group, area = [start], m.area_m2[rows[start]]
        edge = [start]
        while edge and area < land_m2 and (not best or len(group) < len(best)):
            here = edge.pop(0)
            touching = np.sort(tree.query(m.polygons[rows[here]], predicate="touches"))
            shared = shapely.length(shapely.intersection(m.polygons[rows[here]], m.polygons[rows[touching]])) > 20
            for other in touching[shared]:
                if other not in group and area < land_m2:
                    group.append(int(other))
                    edge.append(int(other))
                    area += m.area_m2[rows[other]]
        if area >= land_m2 and (not best or len(group) < len(best)):
            best = group
    if not best:
        raise LookupError(f"this county has no site that would be {wanted}; try another seed")
    return [int(rows[k]) for k in best]
