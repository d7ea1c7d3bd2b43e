"""One site for every verdict, found by overlay on the finished county, never by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Bools, Floats, Geoms, Ints
from scripts.county.cover import is_cultivated
from scripts.county.supply import CONSTRUCTION, overlap_m2

Frames = dict[str, gpd.GeoDataFrame]
Keep = Callable[[gpd.GeoDataFrame], Any] | None
ALL = 1 - 1e-9
BELT, FOOD, TIMBER = "520625-NE", "520625-FOOD", "520625-BM"
PROTECTED = (
    "basic_farmland",
    "farmland_reserve",
    "eco_redline",
    "nature_reserve",
    "water_protection",
    "river_management",
    "wetlands",
    "heritage",
    "mining_rights",
    "public_welfare_forest",
    "idle_land",
    "violations",
)
TRUNKS = ("expressway", "national", "provincial")
SIDE_ROADS = ("county", "township")


def concentrated(boundary: gpd.GeoDataFrame) -> Any:
    return boundary["kind"] == "concentrated"


def buildable(boundary: gpd.GeoDataFrame) -> Any:
    return boundary["kind"] != "special"


class Example(NamedTuple):
    """A project on a site (parcel ids) and why it shows its verdict.

    `rule` is the one that decides: failing or unknown there. None where every rule passes.
    """

    project: str
    site: list[str]
    verdict: str
    rule: str | None
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

    def shapes(self, role: str, keep: Keep = None) -> Geoms:
        frame = self.layers[role]
        chosen = frame if keep is None else frame[keep(frame)]
        return np.asarray(chosen.geometry.values, dtype=object)

    def share(self, role: str, keep: Keep = None) -> Floats:
        """How much of each parcel the layer covers, 0 to 1."""
        part: Floats = overlap_m2(self.polygons, self.shapes(role, keep)) / self.area_m2
        return part

    def distance_m(self, role: str, keep: Keep = None) -> Floats:
        shapes = self.shapes(role, keep)
        nearest, away = shapely.STRtree(shapes).query_nearest(self.polygons, return_distance=True, all_matches=False)
        distance = np.full(len(self.polygons), np.inf)
        distance[nearest[0]] = away
        return distance


class Sorted:
    """The zone parcels sorted into what is good about them; every array is (P,) over `m`."""

    def __init__(self, layers: Frames, slope_deg: Floats, karst: shapely.Geometry) -> None:
        m = Measured(layers, np.flatnonzero(layers["parcels"]["zone"].notna().to_numpy()), slope_deg)
        self.m = m
        self.clean: Bools = m.share("urban_boundary", concentrated) > ALL
        for role in PROTECTED:
            self.clean &= m.share(role) == 0
        self.built: Bools = m.share("land_use", lambda f: f["code"].isin(CONSTRUCTION)) > ALL
        self.built &= m.share("forest_land") == 0
        self.field: Bools = m.share("land_use", lambda f: is_cultivated(f["code"].to_numpy().astype(str))) > 0.25
        self.stable: Bools = m.share("hazards", lambda f: f["grade"] != "low") == 0
        self.surveyed: Bools = shapely.covered_by(shapely.buffer(m.polygons, 600.0), karst)
        self.unsurveyed: Bools = ~shapely.intersects(m.polygons, karst)
        self.flat: Bools = m.slope_deg < 7
        self.tilted: Bools = (m.slope_deg > 9) & (m.slope_deg < 13)
        self.served: Bools = m.distance_m("roads", lambda f: f["open_year"].isna()) < 450
        for classes, away_m in ((TRUNKS, 80.0), (SIDE_ROADS, 40.0), (("village",), 12.0)):
            self.served &= m.distance_m("roads", _of_class(classes)) > away_m
        for role, away_m in (
            ("power_lines", 25.0),
            ("sensitive_sites", 220.0),
            ("karst", 60.0),
            ("heritage", 110.0),
            ("enterprises", 20.0),
        ):
            self.served &= m.distance_m(role) > away_m
        self.dusty: Bools = m.distance_m("enterprises", lambda f: f["dust"]) < 480
        self.dusty &= m.distance_m("enterprises") > 20
        self.shore_m: Floats = m.distance_m("river_management")

    def site(self, project: dict[str, Any], zone: str, *where: Bools) -> list[str] | None:
        """The fewest neighbouring parcels of a zone that meet every condition and hold the project."""
        fits = np.logical_and.reduce([self.m.zone == zone, *where])
        rows = _room_for(self.m, fits, project["land_m2"])
        return [self.m.ids[row] for row in rows] or None


def examples(
    layers: Frames, slope_deg: Floats, projects: list[dict[str, Any]], karst: shapely.Geometry
) -> tuple[dict[str, Example], dict[str, Example]]:
    """A site for each verdict, and further ones for single rules where the county has them."""
    of = {p["id"]: p for p in projects}
    s = Sorted(layers, slope_deg, karst)
    bags, concrete, tea, v2o5, mg, slag, cement, craft = (
        of[f"PRJ-{k}"] for k in ("BAGS", "CONCRETE", "TEA", "V2O5", "MG", "SLAG", "CEMENT", "CRAFT")
    )
    good = (s.clean, s.stable, s.served, s.surveyed)
    ready = s.m.ready
    outside = partial(_outside, layers, slope_deg)
    verdicts = {
        "clear": (
            bags, s.site(bags, TIMBER, *good, s.flat, s.built, ready), "clear", None,
            "平整净地,全部为存量建设用地,位于集中建设区内,未压占任何控制线,近路近电近水。",
            "Level construction land inside the concentrated boundary, on no control line, near road, power and water.",
        ),
        "warned": (
            bags, s.site(bags, TIMBER, *good, s.tilted, s.built), "warned", "slope.platform",
            "存量建设用地,各控制线均未压占,但平均坡度大于8度,须作台地平整,予以提示。",
            "Construction land on no control line, but its mean slope is over 8 degrees and asks for terraces: a hint.",
        ),
        "conditional": (
            bags, s.site(bags, TIMBER, *good, s.flat, s.field), "conditional", "farmland.cultivated",
            "占用耕地,须办理农用地转用、落实占补平衡后方可用地。",
            "Takes cultivated land: conversion and its compensation come first.",
        ),
        "undetermined": (
            concrete, s.site(concrete, BELT, s.clean, s.stable, s.served, s.unsurveyed, s.flat, s.built),
            "undetermined", "karst.distance",
            "岩溶调查未覆盖该地块,落水洞和溶洞情况不明,数据不足无法判定。",
            "The karst survey does not reach this ground, so sinkholes are unknown: no verdict.",
        ),
        "blocked": (
            tea, outside(tea, "basic_farmland"), "blocked", "farmland.basic",
            "压占永久基本农田,县级无权批准占用。",
            "On permanent basic farmland, which nobody at county level can waive.",
        ),
    }  # fmt: skip
    missing = [word for word, (_, site, *_) in verdicts.items() if site is None]
    if missing:
        raise LookupError(f"this county has no site that would be {', '.join(missing)}; try another seed")
    further = {
        "chemical_by_the_river": (
            v2o5, s.site(v2o5, BELT, s.clean, s.flat, s.shore_m < 900), "blocked", "river.chemical",
            "化工项目距河道管理范围线不足1公里。", "A chemical project within one kilometre of the managed shoreline.",
        ),
        "chemical_on_the_terrace": (
            v2o5, s.site(v2o5, BELT, *good, s.flat, s.built, s.shore_m > 1_020), "clear", None,
            "位于台地存量建设用地,距岸线1公里以外。",
            "On construction land of the terrace, more than a kilometre from the shoreline.",
        ),
        "slag_in_the_second_zone": (
            slag, outside(slag, "water_protection", lambda f: f["grade"] == "second"), "blocked", "water.second_waste",
            "渣场位于县城取水口二级保护区内。", "A slag yard inside the second protection zone of the town's intake.",
        ),
        "slag_upstream": (
            slag, s.site(slag, BELT, *good, s.flat, s.built), "conditional", "water.catchment_waste",
            "位于取水口上游汇水区,环评须论证对水源的影响。",
            "Upstream of the intake: its environmental assessment has to show that the water stays safe.",
        ),
        "cement_without_replacement": (
            cement, s.site(cement, TIMBER, s.flat | s.tilted), "blocked", "gate.capacity_cement",
            "水泥熟料项目无产能置换方案。", "A clinker line that brings no capacity replacement.",
        ),
        "food_beside_dust": (
            tea, s.site(tea, FOOD, s.clean, s.flat, s.dusty), "blocked", "food.from_dust",
            "距已有水泥粉磨站不足500米,不宜建食品厂。", "Less than 500 m from a cement mill: no place for food.",
        ),
        "too_steep": (
            craft, outside(craft, "urban_boundary", buildable, slope=(15.2, 40.0), least=ALL),
            "conditional", "slope.mean", "平均坡度大于15度。", "Its mean slope is over 15 degrees.",
        ),
        "quota_too_small": (
            mg, s.site(mg, BELT, s.flat, s.shore_m > 900, ~s.built), "blocked", "quota.new_construction",
            "新增建设用地指标余额不足。", "The county has too little new-construction quota left.",
        ),
        "first_grade_water": (
            tea, outside(tea, "water_protection", lambda f: f["grade"] == "first", slope=(0.0, 25.0)),
            "blocked", "water.first",
            "位于饮用水水源一级保护区。", "In the first-grade zone of the drinking-water intake.",
        ),
        "red_line": (
            tea, outside(tea, "eco_redline", slope=(0.0, 60.0)), "blocked", "redline.ecological",
            "压占生态保护红线。", "On the ecological red line.",
        ),
    }  # fmt: skip
    return _named(verdicts), _named(further)


def _of_class(classes: tuple[str, ...]) -> Keep:
    return lambda roads: roads["road_class"].isin(classes)


def _named(found: dict[str, tuple[Any, ...]]) -> dict[str, Example]:
    return {
        word: Example(project["id"], site, *said) for word, (project, site, *said) in found.items() if site is not None
    }


def _outside(
    layers: Frames,
    slope_deg: Floats,
    project: dict[str, Any],
    role: str,
    keep: Keep = None,
    *,
    slope: tuple[float, float] = (0.0, 8.0),
    least: float = 0.5,
) -> list[str] | None:
    """Neighbouring parcels outside the zones, away from roads, that lie on a layer and hold the project: at least
    a share of each is covered, and its mean slope is between two bounds.

    Where there is no such group, the parcel that the layer covers most.
    """
    rows = np.flatnonzero(
        layers["parcels"]["zone"].isna().to_numpy() & (slope_deg >= slope[0]) & (slope_deg < slope[1])
    )
    m = Measured(layers, rows, slope_deg)
    apart = m.distance_m("roads", lambda f: f["road_class"] != "village") > 40
    share = m.share(role, keep)
    found = _room_for(m, apart & (share > least), project["land_m2"])
    if not found and least <= 0.5 and share.max(initial=0.0) > 0.3:
        found = [int(np.argmax(share))]
    return [m.ids[row] for row in found] or None


def _room_for(m: Measured, where: Bools, land_m2: float) -> list[int]:
    """Rows of the fewest neighbouring parcels that together hold the project, and of those the smallest ground."""
    rows = np.flatnonzero(where)
    beside = _neighbours(m.polygons[rows])
    area = m.area_m2[rows]
    best: list[int] = []
    best_area = np.inf
    for start in range(len(rows)):
        group, total, edge = [start], area[start], [start]
        while edge and total < land_m2 and (not best or len(group) < len(best)):
            for other in beside[edge.pop(0)]:
                if other not in group and total < land_m2:
                    group.append(other)
                    edge.append(other)
                    total += area[other]
        fewer = not best or len(group) < len(best)
        if total >= land_m2 and (fewer or (len(group) == len(best) and total < best_area)):
            best, best_area = group, total
    return [int(rows[k]) for k in best]


def _neighbours(polygons: Geoms) -> list[list[int]]:
    """For each polygon those that share more than a corner with it."""
    a, b = shapely.STRtree(polygons).query(polygons, predicate="touches")
    shared = shapely.length(shapely.intersection(polygons[a], polygons[b])) > 20
    order = np.lexsort((b[shared], a[shared]))
    ends = np.searchsorted(a[shared][order], np.arange(len(polygons) + 1))
    return [b[shared][order][i:j].tolist() for i, j in pairwise(ends)]
