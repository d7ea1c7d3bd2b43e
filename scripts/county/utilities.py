"""Power, water and waste water: every capacity here is an assumption, and says so in the pools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import geopandas as gpd
import numpy as np
import shapely
from shapely.ops import substring

from layers.records import Geoms
from scripts.county.frames import frame
from scripts.county.noise import smooth_noise
from scripts.county.places import draws, town
from scripts.county.rivers import intake_chainage_m
from scripts.county.terrain import Terrain

Frames = dict[str, gpd.GeoDataFrame]
XY = tuple[float, float]
TWO_KVA = 16_000.0  # from here on a station has two transformers, as the firm shares of `pools` take it
SURVEYED = date(2026, 6, 30)  # the day on which the loads were read
LINE_KVA = {110: 116_000.0, 35: 31_000.0}  # thermal limits of LGJ-240 and LGJ-185, as in connection_prices.csv
WATER_LOAD = 0.45  # share of a works' capacity that is drawn today
EFFLUENT_LOAD = 0.5
RAW_WATER = {"WS-CHENGGUAN": "WS-INTAKE", "WS-LANGXI": "WS-LANGXI-R"}  # works -> the source it draws from
SERVICE_HEAD_M = 45.0  # pressure with which water leaves a works, above its ground
ASSUMED = "假设 assumption"  # nobody published a figure for any of them


@dataclass(frozen=True)
class Substation:
    id: str
    name: str
    near: XY
    voltage_kv: float
    capacity_kva: float
    load_kva: float
    feeds_from: str | None
    bays_free: float
    open_year: int | None = None


def utilities(seed: int, terrain: Terrain) -> Frames:
    stations = _substations(terrain)
    places = {s.id: gentle_spot(terrain, *s.near) for s in stations}
    plants = _power_plants(terrain)
    water = _water(terrain)
    return {
        "substations": frame(
            "substations",
            shapely.points(list(places.values())),
            id=[s.id for s in stations],
            name=[s.name for s in stations],
            voltage_kv=[s.voltage_kv for s in stations],
            capacity_kva=[s.capacity_kva for s in stations],
            load_kva=[s.load_kva for s in stations],
            capacity_source=ASSUMED,
            transformers=[2.0 if s.capacity_kva >= TWO_KVA else 1.0 for s in stations],
            surveyed_on=[None if s.open_year else SURVEYED for s in stations],
            bays_free=[s.bays_free for s in stations],
            feeds_from=[s.feeds_from for s in stations],
            open_year=[s.open_year for s in stations],
        ),
        "power_lines": _power_lines(seed, places, plants),
        "power_plants": plants,
        "water_sources": water,
        "water_mains": _mains(seed, terrain, water),
        "wastewater_plants": _wastewater(terrain),
    }


def gentle_spot(terrain: Terrain, x: float, y: float) -> XY:
    """The nearest place around that is fit to build on and dry."""
    radius = np.repeat(np.arange(0, 900, 30.0), 16)
    angle = np.tile(np.arange(16) * np.pi / 8, 30)
    tried = np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])
    rivers = shapely.union_all([river.line for river in terrain.rivers])
    good = (terrain.slope_at(*tried.T) < 7) & (shapely.distance(shapely.points(tried), rivers) > 110)
    spot = tried[np.argmax(good)]
    return float(round(spot[0], 3)), float(round(spot[1], 3))


def _shifted(place: XY, east_m: float, north_m: float) -> XY:
    return place[0] + east_m, place[1] + north_m


def _substations(terrain: Terrain) -> list[Substation]:
    bench = {name: (b.x, b.y) for name, b in terrain.benches.items()}
    return [
        Substation(
            "SS-CHENGGUAN", "城关220kV变电站", _shifted(town("峨岭").at, -600, 700), 220, 360_000, 96_000, None, 4
        ),
        Substation(
            "SS-BANXI",
            "板溪110kV变电站",
            _shifted(bench["板溪坪"], -1_200, 200),
            110,
            100_000,
            31_000,
            "SS-CHENGGUAN",
            3,
        ),
        Substation(
            "SS-LANGXI", "朗溪35kV变电站", _shifted(town("朗溪").at, 350, -300), 35, 20_000, 12_600, "SS-CHENGGUAN", 2
        ),
        Substation(
            "SS-TIANTANG", "天堂35kV变电站", _shifted(town("天堂").at, 200, 250), 35, 10_000, 3_900, "SS-BANXI", 1
        ),
        Substation("SS-ZIWEI", "紫薇35kV变电站", _shifted(town("紫薇").at, 150, 300), 35, 6_300, 2_700, "SS-LANGXI", 1),
        Substation(
            "SS-HESHUI", "合水变电站", _shifted(town("合水").at, 900, 300), 110, 100_000, 0, "SS-CHENGGUAN", 5, 2027
        ),
        Substation(
            "SS-MUHUANG", "木黄变电站", _shifted(town("木黄").at, -700, -600), 110, 126_000, 0, "SS-HESHUI", 5, 2027
        ),
    ]


def _power_plants(terrain: Terrain) -> gpd.GeoDataFrame:
    river = terrain.rivers[0].line
    spots = [river.interpolate(share, normalized=True) for share in (0.09, 0.52, 0.86)]
    return frame(
        "power_plants",
        np.array([shapely.Point(round(p.x, 3), round(p.y, 3)) for p in spots], dtype=object),
        id=["PP-YANGBA", "PP-FENGYAN", "PP-TUOZHAI"],
        name=["阳坝电站", "丰岩电站", "坨寨电站"],
        capacity_kva=[6_250.0, 4_000.0, 8_000.0],
        capacity_source=ASSUMED,
        open_year=[None, None, None],
    )


def _sagging(a: XY, b: XY, rng: np.random.Generator, bend_m: float) -> shapely.LineString:
    """A line from a to b that gives way to the ground a little."""
    length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
    t = np.linspace(0, 1, max(int(length / 320), 3))
    off = smooth_noise(t * length, np.full(1, 7.3), 2_600.0, rng) * bend_m * 2 * np.sin(np.pi * t)
    across = np.array([-(b[1] - a[1]), b[0] - a[0]]) / length
    points = np.array(a) + t[:, None] * (np.array(b) - a) + off[:, None] * across
    return shapely.LineString(np.round(points, 3))


def _power_lines(seed: int, places: dict[str, XY], plants: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    rng = draws(seed, "power lines")
    at = places | {i: (g.x, g.y) for i, g in zip(plants["id"], plants.geometry, strict=True)}
    runs = (
        ("城板110kV线", "SS-CHENGGUAN", "SS-BANXI", 110, None),
        ("城朗35kV线", "SS-CHENGGUAN", "SS-LANGXI", 35, None),
        ("板天35kV线", "SS-BANXI", "SS-TIANTANG", 35, None),
        ("朗紫35kV线", "SS-LANGXI", "SS-ZIWEI", 35, None),
        ("城合110kV线(规划)", "SS-CHENGGUAN", "SS-HESHUI", 110, 2027),
        ("合木110kV线(规划)", "SS-HESHUI", "SS-MUHUANG", 110, 2027),
        ("坨寨上网35kV线", "PP-TUOZHAI", "SS-CHENGGUAN", 35, None),
        ("丰岩上网35kV线", "PP-FENGYAN", "SS-LANGXI", 35, None),
        ("阳坝上网35kV线", "PP-YANGBA", "SS-MUHUANG", 35, 2027),
    )
    return frame(
        "power_lines",
        np.array([_sagging(at[a], at[b], rng, 260) for _, a, b, _, _ in runs], dtype=object),
        id=[f"PL-{n:02d}" for n in range(1, len(runs) + 1)],
        name=[r[0] for r in runs],
        voltage_kv=[float(r[3]) for r in runs],
        from_id=[r[1] for r in runs],
        to_id=[r[2] for r in runs],
        limit_kva=[LINE_KVA[r[3]] for r in runs],
        open_year=[r[4] for r in runs],
    )


def _water(terrain: Terrain) -> gpd.GeoDataFrame:
    river = terrain.rivers[0].line
    intake = river.interpolate(intake_chainage_m(terrain.rivers[0]))
    bench = {name: (b.x, b.y) for name, b in terrain.benches.items()}
    rows: list[tuple[str, str, str, XY, float, int | None]] = [
        ("WS-INTAKE", "县城取水口", "intake", (intake.x, intake.y), 40_000, None),
        (
            "WS-CHENGGUAN",
            "城关水厂",
            "works",
            gentle_spot(terrain, *_shifted(town("峨岭").at, 1_500, 500)),
            30_000,
            None,
        ),
        (
            "WS-LANGXI",
            "朗溪园区水厂",
            "works",
            gentle_spot(terrain, *_shifted(town("朗溪").at, -900, 500)),
            8_000,
            None,
        ),
        (
            "WS-BANXI",
            "板溪坪水厂",
            "works",
            gentle_spot(terrain, *_shifted(bench["板溪坪"], 300, 700)),
            10_000,
            None,
        ),
        (
            "WS-MULONG",
            "慕龙引水工程",
            "works",
            gentle_spot(terrain, *terrain.rivers[0].beside(town("木黄").at, 4_500, 260)),
            25_000,
            None,
        ),
        (
            "WS-SHUITIANBA",
            "水田坝引水工程",
            "works",
            gentle_spot(terrain, *_shifted(town("合水").at, 700, 500)),
            15_000,
            2027,
        ),
        ("WS-TIANTANG", "天堂示例水库(除险加固)", "reservoir", _shifted(town("天堂").at, 1_900, 1_300), 12_000, None),
        ("WS-LANGXI-R", "朗溪示例水库(除险加固)", "reservoir", _shifted(town("朗溪").at, -1_500, 2_300), 9_000, None),
    ]
    place = np.array([r[3] for r in rows])
    ground_m = terrain.height_at(place[:, 0], place[:, 1])
    load_m3d = _drawn_m3d({r[0]: 0.0 if r[2] != "works" or r[5] else WATER_LOAD * r[4] for r in rows})
    return frame(
        "water_sources",
        shapely.points(np.round(place, 3)),
        id=[r[0] for r in rows],
        name=[r[1] for r in rows],
        kind=[r[2] for r in rows],
        capacity_m3d=[float(r[4]) for r in rows],
        capacity_source=ASSUMED,
        yield_m3d=[2.0 * r[4] for r in rows],  # of a dry year; nobody published any
        yield_guarantee_share=[0.95 for _ in rows],
        ecological_flow_m3d=[0.2 * r[4] for r in rows],
        load_m3d=[load_m3d[r[0]] for r in rows],
        head_m=(ground_m + [SERVICE_HEAD_M * (r[2] == "works") for r in rows]).round(1),
        surveyed_on=[None if r[5] else SURVEYED for r in rows],
        feeds_from=[RAW_WATER.get(r[0]) for r in rows],
        open_year=[r[5] for r in rows],
    )


def _drawn_m3d(own_m3d: dict[str, float]) -> dict[str, float]:
    """What each source gives today: a raw-water source gives what the works that draw from it hand out."""
    drawn = dict(own_m3d)
    for works, source in RAW_WATER.items():
        drawn[source] += own_m3d[works]
    return drawn


def _mains(seed: int, terrain: Terrain, water: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    rng = draws(seed, "mains")
    at = {i: (g.x, g.y) for i, g in zip(water["id"], water.geometry, strict=True)}
    bench = {name: (b.x, b.y) for name, b in terrain.benches.items()}
    river = terrain.rivers[0]
    ends: list[tuple[str, str, XY, float, float, int | None]] = [  # name, source, end, bend, diameter, year
        ("县城原水管", "WS-INTAKE", at["WS-CHENGGUAN"], 40, 600, None),
        ("城关供水干管", "WS-CHENGGUAN", town("峨岭").at, 40, 500, None),
        ("板溪坪供水干管", "WS-BANXI", _shifted(bench["板溪坪"], -900, -300), 60, 400, None),
        ("板溪坪东供水管", "WS-BANXI", _shifted(bench["板溪坪"], 1_100, 350), 60, 300, None),
        ("合水坪供水管(规划)", "WS-SHUITIANBA", bench["合水坪"], 120, 400, 2027),
        ("木黄坪供水管", "WS-MULONG", bench["木黄坪"], 120, 300, None),
    ]
    runs: list[tuple[str, str, shapely.LineString, float, int | None]] = [
        (name, source, _sagging(at[source], end, rng, bend), diameter, year)
        for name, source, end, bend, diameter, year in ends
    ]
    for name, source, place, start, stop, diameter in (
        ("朗溪园区供水干管", "WS-LANGXI", "朗溪", 400.0, 4_700.0, 400.0),
        ("慕龙供水干管(木黄至合水)", "WS-MULONG", "木黄", -1_200.0, 12_500.0, 600.0),
    ):
        begin = float(river.line.project(shapely.Point(town(place).at)))
        run = substring(river.line, begin + start, begin + stop).simplify(25).offset_curve(170, join_style="round")
        runs.append((name, source, run, diameter, None))
    works = {source: one for one, source in RAW_WATER.items()}
    head = dict(zip(water["id"], water["head_m"], strict=True))
    lines: Geoms = shapely.set_precision(np.array([r[2] for r in runs], dtype=object), 0.001)
    return frame(
        "water_mains",
        lines,
        id=[f"WM-{n:02d}" for n in range(1, len(runs) + 1)],
        name=[r[0] for r in runs],
        diameter_mm=[r[3] for r in runs],
        from_id=[r[1] for r in runs],
        to_id=[works.get(r[1]) for r in runs],
        head_m=[head[r[1]] for r in runs],
        open_year=[r[4] for r in runs],
    )


def _wastewater(terrain: Terrain) -> gpd.GeoDataFrame:
    river = terrain.rivers[0].line
    bench = terrain.benches

    def by_river(name: str, step_m: float) -> XY:
        spot = river.interpolate(float(river.project(shapely.Point(town(name).at))) + step_m)
        return gentle_spot(terrain, spot.x, spot.y)

    rows: list[tuple[str, str, XY, float, int | None]] = [
        ("WW-CHENGGUAN", "县城污水处理厂", by_river("峨岭", 2_600), 20_000, None),
        ("WW-LANGXI", "朗溪食品园区污水处理厂", by_river("朗溪", 2_300), 4_000, None),
        ("WW-BANXI", "板溪坪污水处理站", (bench["板溪坪"].x - 300, bench["板溪坪"].y - 650), 3_000, None),
        ("WW-BELT", "东北部工业带污水处理厂", by_river("合水", 1_600), 12_000, None),
        ("WW-MUHUANG", "木黄镇污水处理厂", by_river("木黄", 900), 2_500, None),
    ]
    return frame(
        "wastewater_plants",
        np.array([shapely.Point(round(r[2][0], 3), round(r[2][1], 3)) for r in rows], dtype=object),
        id=[r[0] for r in rows],
        name=[r[1] for r in rows],
        capacity_m3d=[float(r[3]) for r in rows],
        capacity_source=ASSUMED,
        load_m3d=[EFFLUENT_LOAD * r[3] for r in rows],
        surveyed_on=[SURVEYED for _ in rows],
        open_year=[r[4] for r in rows],
    )
