"""Lines that protect: farmland, red line, reserves, drinking water, forest, and the units of the environment plan."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely
from shapely.ops import substring

from layers.records import Floats, Geoms, Ints
from scripts.county.burn import is_near
from scripts.county.cover import Cover, is_cultivated, union_by
from scripts.county.frames import frame
from scripts.county.lattice import window_lattice
from scripts.county.noise import fractal, smooth_noise
from scripts.county.outline import clipped, is_inside, parts_within
from scripts.county.park import Park
from scripts.county.places import EAST, NORTH, SOUTH, TOWNS, WEST, draws
from scripts.county.rivers import intake_chainage_m
from scripts.county.terrain import MASSIF, Terrain

Frames = dict[str, gpd.GeoDataFrame]
FOREST_STANDS = 1_200


def controls(seed: int, terrain: Terrain, ground: Park, survey: Cover) -> Frames:
    """Every protective layer but the river's own ground."""
    return {
        **_farmland(seed, terrain, ground, survey),
        **_forest(seed, terrain, survey),
        **_heights(seed, terrain, ground),
        "water_protection": _water_protection(terrain),
        "intake_catchments": frame(
            "intake_catchments",
            clipped(np.array([terrain.catchment], dtype=object)),
            id=["HS-01"],
            name=["县城取水口上游汇水区(合成)"],
            document="按演示地形推算 derived from the made-up terrain",
        ),
        "environment_units": _environment_units(seed, terrain, ground),
        "wetlands": _wetlands(seed, terrain),
    }


def _farmland(seed: int, terrain: Terrain, ground: Park, survey: Cover) -> Frames:
    """Permanent basic farmland: the better fields outside the development boundary, joined where they touch."""
    rng = draws(seed, "farmland")
    codes = survey.land_use["code"].to_numpy().astype(str)
    polygons = np.asarray(survey.land_use.geometry.values, dtype=object)
    x, y = survey.middle.T
    field = is_cultivated(codes) & (terrain.slope_at(x, y) < 25)
    planned = np.concatenate([ground.urban_boundary.geometry.to_numpy(), ground.zones.geometry.to_numpy()])
    free = np.ones(len(polygons), dtype=bool)
    free[shapely.STRtree(planned).query(polygons, predicate="intersects")[0]] = False
    better = smooth_noise(x, y, 2_600, rng) + 0.2 * rng.random(len(x)) > -0.22
    basic = field & free & better
    reserve = field & free & ~better & (smooth_noise(x, y, 900, rng) > 0.12)
    return {
        "basic_farmland": _joined("basic_farmland", polygons[basic], 3_000.0, "永久基本农田图斑", "YJ"),
        "farmland_reserve": _joined("farmland_reserve", polygons[reserve], 2_000.0, "永久基本农田储备区", "CB"),
    }


def _joined(role: str, polygons: Geoms, smallest_m2: float, name: str, prefix: str) -> gpd.GeoDataFrame:
    parts = shapely.get_parts(shapely.coverage_union_all(polygons))
    parts = parts[shapely.area(parts) >= smallest_m2]
    return frame(
        role,
        parts,
        id=[f"{prefix}{n:06d}" for n in range(1, len(parts) + 1)],
        name=[f"{name}{n}" for n in range(1, len(parts) + 1)],
    )


def _forest(seed: int, terrain: Terrain, survey: Cover) -> Frames:
    """Forest stands follow the survey's forest patches, except where the forest office saw it otherwise."""
    rng = draws(seed, "forest")
    codes = survey.land_use["code"].to_numpy().astype(str)
    wooded = (np.char.find(codes, "03") == 0) & (rng.random(len(codes)) > 0.015)
    polygons = np.asarray(survey.land_use.geometry.values, dtype=object)[wooded]
    middle = survey.middle[wooded]
    stands = rng.random((FOREST_STANDS, 2)) * [EAST - WEST, NORTH - SOUTH] + [WEST, SOUTH]
    stand = shapely.STRtree(shapely.points(stands)).query_nearest(shapely.points(middle), all_matches=False)[1]
    joined = union_by(polygons, stand)
    names = [f"{int(k) + 1:03d}林班" for k in np.unique(stand)]
    at = shapely.get_coordinates(shapely.point_on_surface(joined))
    height, massif = terrain.height_at(*at.T), np.hypot(at[:, 0] - MASSIF[0], at[:, 1] - MASSIF[1])
    welfare = (height > 1_050) & (rng.random(len(joined)) < 0.75) | (rng.random(len(joined)) < 0.06)
    first = massif < 8_500
    return {
        "forest_land": frame("forest_land", joined, id=[f"FL{n:04d}" for n in range(1, len(joined) + 1)], name=names),
        "public_welfare_forest": frame(
            "public_welfare_forest",
            joined[welfare],
            id=[f"PW{n:04d}" for n in range(1, int(welfare.sum()) + 1)],
            name=[f"{name}公益林" for name, w in zip(names, welfare, strict=True) if w],
            grade=np.where(first, "first", "second")[welfare],
        ),
    }


def _heights(seed: int, terrain: Terrain, ground: Park) -> Frames:
    """Red line and nature reserve: the high east, and the steepest sides of the valleys."""
    rng = draws(seed, "heights")
    whole = window_lattice(25.0, rng, warp_m=45.0, jitter=0.2)
    x, y = whole.centres()
    height = terrain.height_at(x, y)
    slope = terrain.slope_at(x, y)
    rough = fractal(x, y, 2_400, 3, rng)
    line = height + 330 * rough + 17 * (slope - 18) > 1_020 - 110 * _east(x)
    steep = (slope > 27) & (smooth_noise(x, y, 1_900, rng) > 0.16)
    line = (line | steep) & ~is_near(ground.urban_boundary.geometry.to_numpy(), x, y, 60.0)
    line &= is_inside(x, y, depth_m=-80.0)
    cells = np.repeat(np.repeat(line, 2, axis=0), 2, axis=1).astype(np.int64)
    polygons, _ = whole.halved(rng, 2.0).polygons(cells)
    polygons = _without_specks(parts_within(polygons)[0], 25_000.0, 3_500.0)
    coarse = window_lattice(100.0, rng)
    cx, cy = coarse.centres()
    massif = np.hypot(cx - MASSIF[0], cy - MASSIF[1]) * (1 + 0.4 * smooth_noise(cx, cy, 4_000, rng))
    reserve, kind = coarse.polygons(np.select([massif < 6_500, massif < 9_500], [1, 2], 0), rounds=2)
    reserve, of = parts_within(reserve)
    kind = kind[of]
    return {
        "eco_redline": frame(
            "eco_redline",
            polygons,
            id=[f"STBHHX{n:04d}" for n in range(1, len(polygons) + 1)],
            name=["武陵山水土保持与生物多样性维护生态保护红线(合成)"] * len(polygons),
        ),
        "nature_reserve": frame(
            "nature_reserve",
            reserve,
            id=[f"NR-{n:02d}" for n in range(1, len(reserve) + 1)],
            name=["示例山地自然保护区"] * len(reserve),
            kind=np.where(kind == 1, "core", "general"),
        ),
    }


def _east(x: Floats) -> Floats:
    share: Floats = np.clip((x - 555_000) / 15_000, 0, 1)
    return share


def _without_specks(polygons: Geoms, smallest_m2: float, smallest_hole_m2: float) -> Geoms:
    large = polygons[shapely.area(polygons) >= smallest_m2]
    shells = shapely.get_exterior_ring(large)
    rings, owner = shapely.get_rings(large, return_index=True)
    nth = np.arange(len(owner)) - np.searchsorted(owner, owner)
    hole = (nth > 0) & (shapely.area(shapely.polygons(rings)) >= smallest_hole_m2)
    kept = [rings[hole & (owner == k)] for k in range(len(large))]
    return np.array([shapely.Polygon(s, list(h)) for s, h in zip(shells, kept, strict=True)], dtype=object)


def _water_protection(terrain: Terrain) -> gpd.GeoDataFrame:
    """Around the town's intake, upstream of the seat: HJ 338-like sizes, approved polygons in reality."""
    river = terrain.rivers[0]
    line = river.line
    intake = intake_chainage_m(river)

    def reach(up_m: float, down_m: float, beside_m: float) -> shapely.Geometry:
        run = substring(line, intake - up_m, intake + down_m)
        return run.buffer(beside_m, quad_segs=8, cap_style="flat")

    first = reach(1_000, 100, 90)
    second = reach(3_000, 300, 620).difference(first)
    quasi = reach(4_200, 300, 1_000).difference(shapely.union_all([first, second]))
    shapes = clipped(np.array([first, second, quasi], dtype=object))
    names = [f"县城饮用水水源{grade}(合成)" for grade in ("一级保护区", "二级保护区", "准保护区")]
    return frame(
        "water_protection",
        shapes,
        id=["WP-1", "WP-2", "WP-3"],
        name=names,
        grade=["first", "second", "quasi"],
    )


def _environment_units(seed: int, terrain: Terrain, ground: Park) -> gpd.GeoDataFrame:
    rng = draws(seed, "environment")
    lattice = window_lattice(150.0, rng, jitter=0.15)
    x, y = lattice.centres()
    wave = fractal(x, y, 5_000, 3, rng)
    priority = terrain.height_at(x, y) + 260 * wave > 1_260 - 120 * _east(x)
    key = is_near(ground.zones.geometry.to_numpy(), x, y, 200.0)
    for place in TOWNS:
        key |= np.hypot(x - place.at[0], y - place.at[1]) < place.radius_m
    labels: Ints = np.select([key, priority], [2, 1], 3)
    polygons, kind = lattice.polygons(labels, rounds=2)
    polygons, of = parts_within(polygons)
    kind = kind[of]
    kinds = {1: "priority", 2: "key", 3: "general"}
    words = {1: "优先保护单元", 2: "重点管控单元", 3: "一般管控单元"}
    return frame(
        "environment_units",
        polygons,
        id=[f"ZH520625{k}{n:04d}" for n, k in enumerate(kind, start=1)],
        name=[f"示例{words[k]}{n}" for n, k in enumerate(kind, start=1)],
        kind=[kinds[k] for k in kind],
    )


def _wetlands(seed: int, terrain: Terrain) -> gpd.GeoDataFrame:
    """Gravel bars and oxbows beside the main river, and two bogs on the heights."""
    rng = draws(seed, "wetlands")
    line = terrain.rivers[0].line
    along = rng.random(7) * (line.length - 4_000) + 2_000
    shapes = []
    for at in along:
        run = substring(line, at, at + 250 + 500 * rng.random())
        bar = run.buffer(60 + 40 * rng.random(), single_sided=True, cap_style="flat")
        shapes.append(bar)
    for x, y in ((569_300, 3_098_700), (566_900, 3_096_200)):
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        radius = 160 * (1 + 0.5 * smooth_noise(np.cos(angle) * 2, np.sin(angle) * 2, 1.0, rng))
        shapes.append(shapely.Polygon(np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])))
    names = [f"示例河滩湿地{n}" for n in range(1, 8)] + ["示例山地沼泽1", "示例山地沼泽2"]
    return frame("wetlands", clipped(np.array(shapes, dtype=object)), name=names)
