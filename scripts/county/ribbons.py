"""Long thin land: rivers with their managed shorelines, the ground of roads and of the railway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Geoms
from scripts.county.frames import frame
from scripts.county.noise import smooth_noise
from scripts.county.outline import clipped, outline
from scripts.county.places import draws
from scripts.county.rivers import River
from scripts.county.terrain import Terrain

WIDE_ROADS = ("expressway", "national", "provincial", "county")


@dataclass(frozen=True, eq=False)
class Ribbons:
    """Land cut out of every parcel and patch, with its land-use code and the order in which it wins."""

    polygons: Geoms
    codes: np.ndarray
    rivers: gpd.GeoDataFrame
    river_management: gpd.GeoDataFrame
    railways: gpd.GeoDataFrame


def ribbons(seed: int, terrain: Terrain, roads: gpd.GeoDataFrame) -> Ribbons:
    rng = draws(seed, "ribbons")
    named = [
        (river, _swelling(river, 0.75, 1.35, 0.0, rng), _swelling(river, 1.0, 1.0, 30.0, rng))
        for river in terrain.rivers
    ]
    water = np.array([w for _, w, _ in named], dtype=object)
    names = [river.name for river in terrain.rivers]
    rail = _railway(rng)
    # in the bed of a named river the flow is that river
    beds = shapely.union_all([river.line.buffer(river.width_m + 50.0, quad_segs=2) for river in terrain.rivers])
    brooks = shapely.get_parts(shapely.difference(clipped(terrain.brooks), beds))
    brooks = brooks[shapely.length(brooks) > 100]
    wide = roads[roads["road_class"].isin(WIDE_ROADS) & roads["open_year"].isna()]
    lines = wide.geometry.to_numpy()
    on_road = clipped(shapely.buffer(lines, wide["land_width_m"].to_numpy() / 2, cap_style="round", quad_segs=2))
    on_rail = np.array([rail.buffer(14.0, cap_style="flat")], dtype=object)
    return Ribbons(
        np.concatenate([on_rail, on_road, water]),
        np.array(["1001"] * len(on_rail) + ["1003"] * len(on_road) + ["1101"] * len(water)),
        frame(
            "rivers",
            np.concatenate([clipped(np.array([river.line for river in terrain.rivers])), brooks]),
            id=[f"RV-{n:03d}" for n in range(1, len(names) + len(brooks) + 1)],
            name=names + ["无名溪沟(合成)"] * len(brooks),
        ),
        frame(
            "river_management",
            np.array([m for _, _, m in named], dtype=object),
            id=[f"RM-{n:02d}" for n in range(1, len(names) + 1)],
            name=[f"{name}河道管理范围(合成)" for name in names],
        ),
        frame("railways", np.array([rail], dtype=object), id=["RW-01"], name=["示例铁路"]),
    )


def _swelling(river: River, least: float, most: float, beside_m: float, rng: np.random.Generator) -> shapely.Polygon:
    """Ground along a river whose half width varies; beside_m up to beside_m + 50 more than the water."""
    along = river.chainage_m
    wave = np.clip(0.5 + smooth_noise(along, np.full(1, 0.4), 2_100.0, rng), 0, 1)
    half = river.width_m / 2 * (least + (most - least) * wave)
    if beside_m:
        half = river.width_m / 2 * 1.35 + beside_m + 50 * wave
    runs = []
    for start in range(0, len(along) - 1, 5):
        stop = min(start + 6, len(along))
        runs.append(shapely.LineString(river.points[start:stop]).buffer(float(half[start]), quad_segs=4))
    return shapely.intersection(shapely.set_precision(shapely.union_all(runs), 0.001), outline())


def _railway(rng: np.random.Generator) -> shapely.LineString:
    """One line from the south-west to the north-west, mostly in tunnel under the hills."""
    y = np.linspace(3_078_000.0, 3_127_000.0, 650)
    x = np.interp(
        y, [3_078_000, 3_086_000, 3_098_000, 3_106_000, 3_127_000], [533_800, 536_600, 538_300, 538_900, 537_200]
    )
    kernel = np.hanning(81) / np.hanning(81).sum()
    x = np.convolve(np.pad(x, 40, mode="edge"), kernel, mode="valid") + 40 * np.sin(y / 2_100 + rng.random())
    return cast("shapely.LineString", clipped(np.array([shapely.LineString(np.round(np.column_stack([x, y]), 3))]))[0])
