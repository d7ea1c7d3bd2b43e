"""What the ground may do: landslides, sinkholes, old workings; and what lies on it from the past."""

from __future__ import annotations

from datetime import date

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Geoms
from scripts.county.frames import frame
from scripts.county.lattice import window_lattice
from scripts.county.noise import ramp, smooth_noise
from scripts.county.outline import is_inside, outline, parts_within
from scripts.county.places import NORTH, SOUTH, TOWNS, WEST, draws
from scripts.county.terrain import Terrain

Frames = dict[str, gpd.GeoDataFrame]
KARST_EAST = 561_200.0  # the karst survey has not been done beyond


def hazards(seed: int, terrain: Terrain) -> Frames:
    return {
        "hazards": _prone_areas(seed, terrain),
        "karst": _karst(seed, terrain),
        "mining_rights": _mining(seed),
        "heritage": _heritage(seed, terrain),
    }


def karst_extent() -> shapely.Geometry:
    """The karst survey stopped east of 合水: beyond it nothing is known, which is not the same as nothing there."""
    return shapely.intersection(shapely.box(WEST, SOUTH, KARST_EAST, NORTH), outline())


def blob(x: float, y: float, radius_m: float, rng: np.random.Generator) -> shapely.Polygon:
    """A rounded shape of about that radius."""
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    turn = rng.random() * 50
    reach = radius_m * (1 + 0.6 * smooth_noise(np.cos(angle) * 1.3 + turn, np.sin(angle) * 1.3 + turn, 1.0, rng))
    return shapely.Polygon(np.round(np.column_stack([x + reach * np.cos(angle), y + reach * np.sin(angle)]), 3))


def _prone_areas(seed: int, terrain: Terrain) -> gpd.GeoDataFrame:
    rng = draws(seed, "hazards")
    lattice = window_lattice(75.0, rng)
    x, y = lattice.centres()
    slope = terrain.mean_slope_at(x, y, 30)
    lean = 26 * smooth_noise(x, y, 2_200, rng) + 8 * smooth_noise(x, y, 600, rng)
    prone = slope + ramp(5, 13, slope) * lean
    labels = np.select([prone > 38, prone > 29, prone > 22], [3, 2, 1], 0) * is_inside(x, y, depth_m=-150.0)
    polygons, grade = lattice.polygons(labels, rounds=2)
    polygons, owner = parts_within(polygons)
    grade = grade[owner]
    worth = shapely.area(polygons) > 12_000
    polygons, grade = polygons[worth], grade[worth]
    words = {1: ("low", "低易发区"), 2: ("medium", "中易发区"), 3: ("high", "高易发区")}
    return frame(
        "hazards",
        polygons,
        id=[f"DZ-{n:05d}" for n in range(1, len(polygons) + 1)],
        name=[f"地质灾害{words[g][1]}" for g in grade],
        grade=[words[g][0] for g in grade],
    )


def _karst(seed: int, terrain: Terrain) -> gpd.GeoDataFrame:
    """Sinkholes and caves as points, dolines as small areas; none on the valley floors."""
    rng = draws(seed, "karst")
    spots = rng.random((1_800, 2)) * [KARST_EAST - WEST - 400, NORTH - SOUTH] + [WEST + 200, SOUTH]
    spots = spots[is_inside(spots[:, 0], spots[:, 1], depth_m=200.0)]
    spots = np.round(spots[(terrain.beyond_floor_at(*spots.T) > 250) & (terrain.slope_at(*spots.T) < 24)], 3)
    kinds = rng.choice(
        ["sinkhole", "doline", "cave", "spring", "underground_river"],
        len(spots),
        p=[0.4, 0.35, 0.12, 0.08, 0.05],
    )
    words = {
        "sinkhole": "落水洞",
        "doline": "岩溶洼地",
        "cave": "溶洞",
        "spring": "岩溶泉",
        "underground_river": "地下河出口",
    }
    shapes: Geoms = shapely.points(spots)
    for row in np.flatnonzero(kinds == "doline"):
        x, y = spots[row]
        shapes[row] = blob(x, y, 25 + 55 * rng.random(), rng)
    return frame(
        "karst",
        shapes,
        id=[f"KS-{n:04d}" for n in range(1, len(shapes) + 1)],
        name=[f"{words[k]}{n}" for n, k in enumerate(kinds, start=1)],
        kind=kinds,
    )


def _mining(seed: int) -> gpd.GeoDataFrame:
    rng = draws(seed, "mining")
    rights = (
        ("示例石灰岩采矿权一", "limestone", "mining", 547_900, 3_106_900, 420),
        ("示例白云岩采矿权二", "dolomite", "mining", 561_300, 3_104_300, 520),
        ("示例锰矿采矿权三", "manganese", "mining", 566_200, 3_107_300, 1_100),
        ("示例钒矿采矿权四", "vanadium", "mining", 560_200, 3_113_200, 1_000),
        ("示例页岩采矿权五", "shale", "mining", 543_100, 3_101_900, 260),
        ("示例重晶石探矿权六", "barite", "exploration", 551_900, 3_109_400, 700),
        ("示例煤炭采矿权七", "coal", "mining", 564_700, 3_115_600, 800),
        ("示例硅石采矿权八", "silica", "mining", 569_900, 3_109_800, 480),
        ("示例大理石采矿权九", "marble", "mining", 555_300, 3_108_700, 360),
    )
    shapes = [blob(x, y, r, rng) for *_, x, y, r in rights]
    return frame(
        "mining_rights",
        np.array(shapes, dtype=object),
        id=[f"KYQ-{n:02d}" for n in range(1, len(rights) + 1)],
        name=[f"{name}(合成)" for name, *_ in rights],
        mineral=[mineral for _, mineral, *_ in rights],
        kind=[kind for _, _, kind, *_ in rights],
        valid_until=[
            date(2031 + n % 4, 6, 30) if kind == "mining" else None for n, (_, _, kind, *_) in enumerate(rights)
        ],
    )


def _heritage(seed: int, terrain: Terrain) -> gpd.GeoDataFrame:
    rng = draws(seed, "heritage")
    towns = [TOWNS[k] for k in (0, 1, 2, 3, 4, 8)]
    shapes: list[shapely.Geometry] = []
    names, kinds = [], []
    for place, word in zip(towns, ("文昌阁", "古寨门", "红色旧址", "宗祠", "石刻", "古桥"), strict=True):
        x, y = place.at[0] + 900 * (rng.random() - 0.5), place.at[1] + 900 * (rng.random() - 0.5)
        shapes.append(
            blob(x, y, 45 + 30 * rng.random(), rng) if rng.random() < 0.6 else shapely.Point(round(x, 3), round(y, 3))
        )
        names.append(f"示例{word}")
        kinds.append("county_unit" if rng.random() < 0.6 else "provincial_unit")
    core = shapely.intersection(blob(571_000, 3_094_500, 5_200, rng), outline())
    buffer = shapely.intersection(blob(570_600, 3_095_000, 8_800, rng), outline()).difference(core)
    shapes += [core, buffer]
    names += ["示例世界自然遗产地", "示例世界自然遗产地缓冲区"]
    kinds += ["world_heritage", "world_heritage_buffer"]
    return frame(
        "heritage",
        np.array(shapes, dtype=object),
        id=[f"WH-{n:02d}" for n in range(1, len(names) + 1)],
        name=names,
        kind=kinds,
    )
