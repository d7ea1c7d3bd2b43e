"""Where people live, learn and work: what a plant has to keep its distance from."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

from scripts.county.cover import Cover, union_by
from scripts.county.frames import frame
from scripts.county.park import Park
from scripts.county.places import TOWNS, draws, town
from scripts.county.settle import Villages
from scripts.county.terrain import Terrain

Frames = dict[str, gpd.GeoDataFrame]
HOUSES = ("0701", "0702", "08H2", "05H1")


def people(seed: int, settled: Villages, survey: Cover) -> Frames:
    """Houses, villages and the places that need quiet."""
    return {
        "residential": _residential(settled, survey),
        "villages": frame(
            "villages",
            shapely.points(settled.points),
            id=[f"VL-{n:04d}" for n in range(1, len(settled.names) + 1)],
            name=settled.names,
        ),
        "sensitive_sites": _sensitive(seed, settled),
    }


def _residential(settled: Villages, survey: Cover) -> gpd.GeoDataFrame:
    codes = survey.land_use["code"].to_numpy().astype(str)
    homes = (survey.place > 0) & np.isin(codes, HOUSES)
    polygons = np.asarray(survey.land_use.geometry.values, dtype=object)[homes]
    joined = union_by(polygons, survey.place[homes])
    names = [t.name for t in TOWNS] + [f"{name}居民点" for name in settled.names]
    numbers = np.unique(survey.place[homes])
    return frame("residential", joined, id=[f"RS-{n:04d}" for n in numbers], name=[names[n - 1] for n in numbers])


def _sensitive(seed: int, settled: Villages) -> gpd.GeoDataFrame:
    rng = draws(seed, "sensitive")
    words = {"school": "小学", "kindergarten": "幼儿园", "hospital": "卫生院", "nursing_home": "敬老院"}
    points, names, kinds = [], [], []
    for place in TOWNS:
        for kind, word in words.items():
            points.append(np.array(place.at) + (rng.random(2) - 0.5) * place.radius_m)
            names.append(f"{place.name}{word}")
            kinds.append(kind)
    for row in rng.permutation(len(settled.names))[:28]:
        points.append(settled.points[row] + (rng.random(2) - 0.5) * 160)
        names.append(f"{settled.names[row]}小学")
        kinds.append("school")
    return frame(
        "sensitive_sites",
        shapely.points(np.round(np.array(points), 3)),
        id=[f"SN-{n:03d}" for n in range(1, len(points) + 1)],
        name=names,
        kind=kinds,
    )


def enterprises(terrain: Terrain, ground: Park) -> gpd.GeoDataFrame:
    """The plants at work. The cement mill stands off the food zone's upstream edge: that corner suits no food."""
    bench = terrain.benches

    def by_river(name: str, step_m: float, beside_m: float) -> tuple[float, float]:
        return terrain.rivers[0].beside(town(name).at, step_m, beside_m)

    plants = (
        ("示例水泥粉磨站", ground.mill, "3011", True, False, 90),
        ("示例电解锰厂", by_river("木黄", 1_900, -300), "3140", True, False, 150),
        ("示例铁合金厂", by_river("木黄", 3_600, 280), "3140", True, False, 120),
        ("示例钒业中试厂", (bench["木黄坪"].x + 300, bench["木黄坪"].y + 150), "2613", False, False, 80),
        ("示例商品混凝土站", (bench["板溪坪"].x - 900, bench["板溪坪"].y - 250), "3021", True, False, 80),
        ("示例碎石加工厂", (bench["板溪坪"].x + 1_000, bench["板溪坪"].y + 300), "3032", True, False, 90),
        ("示例木业公司", (bench["板溪坪"].x + 100, bench["板溪坪"].y - 500), "2011", True, False, 70),
        ("示例茶业公司", by_river("朗溪", 2_900, -330), "1530", False, True, 60),
        ("示例粮油公司", by_river("朗溪", 3_600, 300), "1311", False, True, 60),
        ("示例米粉厂", by_river("朗溪", 4_200, -260), "1431", False, True, 50),
        ("示例页岩砖厂", (543_300, 3_101_700), "3031", True, False, 90),
        ("示例煤炭洗选厂", by_river("木黄", 6_200, 260), "061", True, False, 100),
        ("示例大理石加工厂", by_river("合水", -3_300, 300), "3032", True, False, 90),
        ("示例酒厂", by_river("峨岭", -1_400, 420), "1512", False, True, 60),
    )
    shapes = [shapely.Point(xy).buffer(radius, quad_segs=3) for _, xy, _, _, _, radius in plants]
    return frame(
        "enterprises",
        shapely.set_precision(np.array(shapes, dtype=object), 0.001),
        id=[f"QY-{n:02d}" for n in range(1, len(plants) + 1)],
        name=[p[0] for p in plants],
        industry=[p[2] for p in plants],
        dust=[p[3] for p in plants],
        food=[p[4] for p in plants],
    )
