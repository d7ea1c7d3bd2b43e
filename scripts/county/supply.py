"""Ground on its way to a plant: approved and not yet supplied, reserved, idle, ready, or built on without a permit."""

from __future__ import annotations

from datetime import date, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers.records import Bools, Floats, Geoms, Ints
from scripts.county.cover import Cover
from scripts.county.frames import frame
from scripts.county.places import draws

Frames = dict[str, gpd.GeoDataFrame]
CONSTRUCTION = (
    "05H1",
    "0508",
    "0601",
    "0602",
    "0701",
    "0702",
    "0809",
    "08H1",
    "08H2",
    "1001",
    "1003",
    "1004",
    "1201",
)
BATCHES = 14
TODAY = date(2026, 6, 30)  # the day of the survey of plots; a county of a seed does not change with the calendar
PLANNED = {"520625-NE": "100103", "520625-FOOD": "100101", "520625-BM": "100102"}  # 用地用海分类 2023


def supply(seed: int, parcels: gpd.GeoDataFrame, survey: Cover) -> tuple[gpd.GeoDataFrame, Frames]:
    """The parcels with `ready` said, and the layers of approved, idle, reserved and unlawfully built ground."""
    rng = draws(seed, "supply")
    polygons = np.asarray(parcels.geometry.values, dtype=object)
    codes = survey.land_use["code"].to_numpy().astype(str)
    patches = np.asarray(survey.land_use.geometry.values, dtype=object)
    in_zone = np.flatnonzero(parcels["zone"].notna().to_numpy())
    built = np.isin(codes, CONSTRUCTION)
    share = overlap_m2(polygons[in_zone], patches[built]) / shapely.area(polygons[in_zone])
    batch = _batches(polygons, in_zone, rng)
    level = np.zeros(len(parcels), dtype=bool)
    level[in_zone] = (share > 0.98) & (rng.random(len(in_zone)) < 0.8)
    ready = level | (batch > 0) & (batch <= BATCHES * 2 // 3)
    out = parcels.copy()
    out["ready"] = pd.array(ready, dtype="boolean")
    idle = rng.permutation(np.flatnonzero(level & (batch == 0)))[:5]
    sold = np.union1d(idle, rng.permutation(np.flatnonzero(level & (batch == 0)))[: int(0.2 * level.sum())])
    rights = pd.Series(None, index=out.index, dtype=object)
    rights.iloc[sold] = rng.choice(["出让", "划拨", "租赁"], len(sold), p=[0.8, 0.1, 0.1])
    out["right_nature"] = rights
    village = rng.permutation(np.flatnonzero(~parcels["zone"].notna().to_numpy()))[:8]
    return out, {
        "approved_land": _approved(polygons, batch),
        "idle_land": frame(
            "idle_land", polygons[np.sort(idle)], id=[f"XZ-{n:02d}" for n in range(1, len(idle) + 1)],
            name=[f"示例闲置土地{n}" for n in range(1, len(idle) + 1)],
        ),
        "plots": _plots(parcels, polygons, in_zone, rng),
        "violations": frame(
            "violations", _scars(polygons[np.sort(village)]),
            id=[f"WF-{n:02d}" for n in range(1, len(village) + 1)],
            name=[f"示例违法图斑{n}" for n in range(1, len(village) + 1)],
        ),
    }  # fmt: skip


def overlap_m2(sites: Geoms, layer: Geoms) -> Floats:
    """Area each site shares with a layer that does not overlap itself.

    >>> overlap_m2(shapely.box([0], [0], [2], [2]), shapely.box([1], [0], [9], [9])).tolist()
    [2.0]
    """
    total = np.zeros(len(sites))
    tree = shapely.STRtree(sites)
    whole = tree.query(
        layer, predicate="covers"
    )  # the layer's large polygons are prepared once, and most sites end here
    some = tree.query(layer, predicate="intersects")
    np.add.at(total, whole[1], shapely.area(sites[whole[1]]))
    other, row = _without(some, whole, len(sites))
    np.add.at(total, row, shapely.area(shapely.intersection(sites[row], layer[other])))
    return total


def _without(pairs: Ints, known: Ints, count: int) -> Ints:
    """Pairs (2, K) that are not among the known ones."""
    left: Ints = pairs[:, ~np.isin(pairs[0] * count + pairs[1], known[0] * count + known[1])]
    return left


def _batches(polygons: Geoms, in_zone: Ints, rng: np.random.Generator) -> Ints:
    """Groups of neighbouring parcels that were approved together; 0 is none."""
    batch = np.zeros(len(polygons), dtype=np.int64)
    middle = shapely.centroid(polygons[in_zone])
    tree = shapely.STRtree(middle)
    for number, start in enumerate(rng.permutation(len(in_zone))[:BATCHES], start=1):
        group = in_zone[tree.query(middle[start], predicate="dwithin", distance=60.0 + 110.0 * rng.random())]
        batch[group[batch[group] == 0]] = number
    return batch


def _approved(polygons: Geoms, batch: Ints) -> gpd.GeoDataFrame:
    """Batches with their documents; the first has lapsed."""
    numbers = np.unique(batch[batch > 0])
    shapes = np.array([shapely.coverage_union_all(polygons[batch == n]) for n in numbers], dtype=object)
    years = [2023 if n == 1 else 2025 + n % 2 for n in numbers]
    return frame(
        "approved_land",
        shapes,
        id=[f"PZ-{n:02d}" for n in numbers],
        name=[f"示例县{y}年第{n}批次城镇建设用地" for y, n in zip(years, numbers, strict=True)],
        document=[f"示例府用地函〔{y}〕{100 + n}号(合成)" for y, n in zip(years, numbers, strict=True)],
        approved_on=[date(y, 1 + n % 9, 12) for y, n in zip(years, numbers, strict=True)],
        valid_until=[date(y + 2, 1 + n % 9, 12) for y, n in zip(years, numbers, strict=True)],
    )


def _plots(parcels: gpd.GeoDataFrame, polygons: Geoms, in_zone: Ints, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Planned plots of several parcels, as the land reserve would offer them."""
    middle = shapely.centroid(polygons[in_zone])
    tree = shapely.STRtree(middle)
    zone = parcels["zone"].to_numpy()
    taken: Bools = np.zeros(len(polygons), dtype=bool)
    shapes: list[shapely.Polygon] = []
    zones: list[str] = []
    for start in rng.permutation(len(in_zone)):
        wide_m = 280.0 if len(shapes) < 12 else 110.0  # a dozen for the works that want thirty hectares
        group = in_zone[tree.query(middle[start], predicate="dwithin", distance=wide_m + 110.0 * rng.random())]
        group = group[(zone[group] == zone[in_zone[start]]) & ~taken[group]]
        if len(group) < 3:
            continue
        parts = shapely.get_parts(shapely.coverage_union_all(polygons[group]))
        shape = parts[np.argmax(shapely.area(parts))]
        if len(parts) > 1 and len(shapes) >= 12:
            continue
        taken[group] = True
        shapes.append(shape)
        zones.append(zone[in_zone[start]])
        if len(shapes) == 60:
            break
    dates = _readiness(len(shapes), rng)
    cleared = dates["cleared_on"]
    return frame(
        "plots",
        np.array(shapes, dtype=object),
        id=[f"DK-{n:03d}" for n in range(1, len(shapes) + 1)],
        name=[f"收储规划地块{n}" for n in range(1, len(shapes) + 1)],
        zone=zones,
        ready=[None if day is None else day <= TODAY for day in cleared],
        planned_use=[PLANNED[z] for z in zones],
        conditions_document=[
            f"示例规条〔{day.year}〕{n}号(合成)" if day is not None and day <= TODAY else None
            for n, day in enumerate(dates["conditions_on"], start=1)
        ],
        **dates,
    )


def _readiness(count: int, rng: np.random.Generator) -> dict[str, list[date | None]]:
    """The day of each step from expropriation to planning conditions: past, planned, and some that nobody said."""
    steps = ("expropriated_on", "compensated_on", "cleared_on", "reserved_on", "conditions_on")
    start = rng.integers(-900, 300, count)
    gaps = np.cumsum(rng.integers(60, 240, (len(steps), count)), axis=0)
    unsaid = rng.random((len(steps), count)) < np.array([0.02, 0.05, 0.08, 0.15, 0.25])[:, None]
    return {
        step: [
            None if gone else TODAY + timedelta(days=int(day)) for day, gone in zip(start + gap, silent, strict=True)
        ]
        for step, gap, silent in zip(steps, gaps, unsaid, strict=True)
    }


def _scars(polygons: Geoms) -> Geoms:
    """The middle of some parcels, where something was built without asking."""
    scars: Geoms = shapely.set_precision(shapely.buffer(shapely.centroid(polygons), 16.0, quad_segs=2), 0.001)
    return scars
