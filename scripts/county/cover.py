"""The land-use survey: one tessellation of the window, patch by patch, with rivers and roads cut in."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Bools, Floats, Geoms, Ints
from scripts.county.burn import is_near, number_at
from scripts.county.frames import frame
from scripts.county.lattice import window_lattice
from scripts.county.noise import smooth_noise
from scripts.county.outline import is_inside, outline
from scripts.county.park import Park, on_pads
from scripts.county.places import SOUTH, TOWNS, WEST, draws
from scripts.county.ribbons import Ribbons
from scripts.county.settle import Villages
from scripts.county.terrain import Terrain

CELL_M = 50.0
CODE_SYSTEM = "TD/T 1055-2019"
SLIVER_M2 = 200.0
NAMES = {
    "0101": "水田",
    "0102": "水浇地",
    "0103": "旱地",
    "0201": "果园",
    "0202": "茶园",
    "0301": "乔木林地",
    "0302": "竹林地",
    "0305": "灌木林地",
    "0307": "其他林地",
    "0404": "其他草地",
    "05H1": "商业服务业设施用地",
    "0508": "物流仓储用地",
    "0601": "工业用地",
    "0602": "采矿用地",
    "0701": "城镇住宅用地",
    "0702": "农村宅基地",
    "0809": "公用设施用地",
    "08H1": "机关团体新闻出版用地",
    "08H2": "科教文卫用地",
    "1001": "铁路用地",
    "1003": "公路用地",
    "1004": "城镇村道路用地",
    "1006": "农村道路",
    "1101": "河流水面",
    "1103": "水库水面",
    "1104": "坑塘水面",
    "1106": "内陆滩涂",
    "1201": "空闲地",
    "1202": "设施农用地",
    "1206": "裸土地",
    "1207": "裸岩石砾地",
}
STATE_OWNED = (
    "05H1",
    "0508",
    "0601",
    "0602",
    "0701",
    "0809",
    "08H1",
    "08H2",
    "1001",
    "1003",
    "1004",
    "1101",
    "1103",
    "1201",
)
# what grows or stands where: code -> share, by how steep the ground is; fields come first, so that they lie together
FLAT = {
    "0101": 0.66,
    "0103": 0.17,
    "0102": 0.03,
    "0201": 0.04,
    "1104": 0.02,
    "1202": 0.02,
    "0702": 0.02,
    "0404": 0.04,
}
GENTLE = {
    "0101": 0.10,
    "0103": 0.27,
    "0202": 0.06,
    "0201": 0.05,
    "0305": 0.12,
    "0301": 0.34,
    "0404": 0.04,
    "0302": 0.02,
}
HILLY = {"0103": 0.15, "0202": 0.03, "0301": 0.56, "0305": 0.16, "0307": 0.04, "0404": 0.04, "1206": 0.02}
STEEP = {"0103": 0.03, "0301": 0.69, "0305": 0.17, "0307": 0.05, "1207": 0.03, "0404": 0.03}
HIGH = {"0301": 0.55, "0305": 0.33, "0404": 0.09, "1207": 0.03}
TERRACE = {"0103": 0.62, "0404": 0.14, "0201": 0.06, "0202": 0.05, "0305": 0.08, "0101": 0.05}
TOWN = {"0701": 0.55, "05H1": 0.14, "08H2": 0.09, "08H1": 0.05, "0809": 0.03, "1004": 0.10, "0601": 0.04}


@dataclass(frozen=True, eq=False)
class Cover:
    """The survey, with what later layers ask of a patch: its middle, and the town or village it belongs to."""

    land_use: gpd.GeoDataFrame
    middle: Floats  # (M, 2)
    place: Ints  # (M,) 0 none, 1.. towns, then villages


def cover(seed: int, terrain: Terrain, ground: Park, settled: Villages, strips: Ribbons, plants: Geoms) -> Cover:
    """About 170,000 patches; borders are shared exactly, nothing is left over. `plants` stand on industrial land."""
    rng = draws(seed, "cover")
    lattice = window_lattice(CELL_M, rng)
    x, y = lattice.centres()
    levelled, zone_here = _on_park(ground, plants, x, y, rng)
    seeds_x, seeds_y, label = _patches(terrain, x, y, zone_here, levelled, rng)
    code_of_seed, place_of_seed = _classified(terrain, ground, settled, seeds_x, seeds_y, rng)
    here = np.where(is_inside(x, y, depth_m=-2 * CELL_M), label * 4 + levelled, 0)
    cells = np.repeat(np.repeat(here, 2, axis=0), 2, axis=1)
    polygons, number = lattice.halved(rng, 4.0).polygons(cells, rounds=3)
    owner, built = number // 4, number % 4
    codes = code_of_seed[owner].copy()
    codes[built == 1] = "0601"
    codes[built == 2] = "1201"
    place = np.where(built > 0, 0, place_of_seed[owner])
    polygons, codes, place = _cut_in(polygons, codes, place, strips)
    middle = shapely.get_coordinates(shapely.point_on_surface(polygons))
    state = np.isin(codes, STATE_OWNED) | ((terrain.height_at(*middle.T) > 1_500) & (np.char.find(codes, "03") == 0))
    land_use = frame(
        "land_use",
        polygons,
        id=[f"LU{n:09d}" for n in range(1, len(polygons) + 1)],
        code_system=CODE_SYSTEM,
        code=codes,
        code_name=[NAMES[c] for c in codes],
        ownership=np.where(state, "20", "30"),
        patch_area_m2=np.round(shapely.area(polygons), 2),
    )
    return Cover(land_use, middle, place)


def _on_park(ground: Park, plants: Geoms, x: Floats, y: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Levelled ground in the zones (1 built, 2 vacant), and the zone of each cell."""
    zone = number_at(ground.zones.geometry, x, y)
    wave = smooth_noise(x, y, 1_050, rng) + 0.25 * smooth_noise(x, y, 300, rng)
    levelled = (zone > 0) & ((wave > np.select([zone == 1, zone == 2], [0.12, 0.06], 0.0)) | on_pads(ground.pads, x, y))
    vacant = smooth_noise(x, y, 800, rng) > 0.02
    labels = np.where(levelled, np.where(vacant, 2, 1), 0)
    labels[is_near(plants, x, y, 30.0)] = 1
    return labels, zone


def _patches(
    terrain: Terrain, x: Floats, y: Floats, zone: Ints, levelled: Ints, rng: np.random.Generator
) -> tuple[Floats, Floats, Ints]:
    """Seeds, dense in the fields and sparse in the forest, and for each cell the nearest of them (from 1)."""
    slope = terrain.slope_at(x, y)
    size_ha = np.select([slope < 8, slope < 15, slope < 25], [0.6, 0.85, 1.2], 1.9)
    size_ha = np.where(terrain.height_at(x, y) > 1_500, 5.0, size_ha)
    size_ha = np.where(levelled > 0, 4.0, np.where(zone > 0, 0.8, size_ha))
    row, column = np.nonzero(rng.random(x.shape) < CELL_M**2 / 10_000 / size_ha)
    seeds_x, seeds_y = x[row, column], y[row, column]
    tree = shapely.STRtree(shapely.points(seeds_x, seeds_y))
    shaken = [v + (rng.random(v.shape) - 0.5) * 30 for v in (x, y)]
    nearest = tree.query_nearest(shapely.points(shaken[0].ravel(), shaken[1].ravel()), all_matches=False)[1]
    return np.append(0.0, seeds_x), np.append(0.0, seeds_y), nearest.reshape(x.shape) + 1


def _classified(
    terrain: Terrain, ground: Park, settled: Villages, x: Floats, y: Floats, rng: np.random.Generator
) -> tuple[np.ndarray, Ints]:
    """A land-use code for each seed, and the town or village whose houses it is part of."""
    slope = terrain.mean_slope_at(x, y, 40)
    beyond = terrain.beyond_floor_at(x, y)
    # neighbours tend to be alike: the draw itself varies slowly
    alike = rng.random(x.shape) + 3.2 * smooth_noise(x, y, 5_200, rng) + 0.9 * smooth_noise(x, y, 1_500, rng)
    draw = np.argsort(np.argsort(alike)) / len(alike)
    reach = np.min([bench.reach(x, y) for bench in terrain.benches.values()], axis=0)
    height = terrain.height_at(x, y)
    cases = (
        (reach < 1.15, TERRACE),
        (height > 1_750, HIGH),
        ((slope < 7) & (beyond < 90), FLAT),
        (slope < 14, GENTLE),
        (slope < 25, HILLY),
        (slope >= 25, STEEP),
    )
    codes = np.full(x.shape, "0301", dtype="<U4")
    left = np.ones(x.shape, dtype=bool)
    for where, shares in cases:
        now = left & where
        codes[now] = _drawn(shares, draw[now])
        left &= ~where
    place = np.zeros(x.shape, dtype=np.int64)
    at_village = _near(settled.points, x, y, 95.0 + 90 * rng.random(len(settled.points)))
    codes[at_village > 0] = "0702"
    place[at_village > 0] = at_village[at_village > 0] + len(TOWNS)
    for number, town in enumerate(TOWNS, start=1):
        away = np.hypot(x - town.at[0], y - town.at[1]) / town.radius_m + 0.35 * smooth_noise(x, y, 500, rng)
        built = (away < 0.78) & (slope < 17)
        codes[built] = _drawn(TOWN, draw[built])
        place[built] = number
    mined = _near(np.array([[547_900, 3_106_900], [561_300, 3_104_300]], dtype=float), x, y, np.array([260.0, 330.0]))
    codes[mined > 0] = "0602"
    return codes, place


def _drawn(shares: dict[str, float], draw: Floats) -> np.ndarray:
    limits = np.cumsum(list(shares.values()))
    drawn: np.ndarray = np.array(list(shares))[np.minimum(np.searchsorted(limits / limits[-1], draw), len(shares) - 1)]
    return drawn


def _near(points: Floats, x: Floats, y: Floats, radius_m: Floats) -> Ints:
    """For each place the number (from 1) of the point whose radius covers it, 0 for none."""
    found = np.zeros(x.shape, dtype=np.int64)
    tree = shapely.STRtree(shapely.points(x, y))
    which, row = tree.query(shapely.points(points), predicate="dwithin", distance=radius_m)
    found[row] = which + 1
    return found


def _cut_in(polygons: Geoms, codes: np.ndarray, place: Ints, strips: Ribbons) -> tuple[Geoms, np.ndarray, Ints]:
    """Ribbons and the county's line drawn into the coverage: all lines are noded together once, so both sides get
    the same vertices."""
    county = outline()
    shapely.prepare(county)
    met = shapely.intersects(county, polygons)
    polygons, codes, place = polygons[met], codes[met], place[met]
    on_line = ~shapely.covers(county, polygons)
    row, _ = shapely.STRtree(strips.polygons).query(polygons, predicate="intersects")
    touched = np.union1d(row, np.flatnonzero(on_line))
    lines = np.concatenate([shapely.boundary(polygons[touched]), shapely.boundary(strips.polygons), [county.exterior]])
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all(lines))))
    spots = shapely.point_on_surface(faces)
    owner = np.full(len(faces), -1)
    face, which = shapely.STRtree(polygons[touched]).query(spots, predicate="within")
    owner[face] = touched[which]
    ribbon = np.full(len(faces), len(strips.polygons))
    face, which = shapely.STRtree(strips.polygons).query(spots, predicate="within")
    np.minimum.at(ribbon, face, which)  # earlier ribbons win where they cross
    ours = (owner >= 0) & shapely.contains(county, spots)  # outside them is ground that nothing cuts
    faces, owner, ribbon = faces[ours], owner[ours], ribbon[ours]
    ribbons = len(strips.polygons)
    key = _without_scraps(faces, np.where(ribbon < ribbons, ribbon, ribbons + np.arange(len(faces))))
    on_ribbon = key < ribbons
    merged, ribbon_codes = _merged(faces[on_ribbon], strips.codes[key[on_ribbon]])
    whole = np.ones(len(polygons), dtype=bool)
    whole[touched] = False
    left = union_by(faces[~on_ribbon], key[~on_ribbon])
    kept = owner[np.unique(key[~on_ribbon]) - ribbons]
    return (
        np.concatenate([polygons[whole], left, merged]),
        np.concatenate([codes[whole], codes[kept], ribbon_codes]),
        np.concatenate([place[whole], place[kept], np.zeros(len(merged), dtype=np.int64)]),
    )


def _without_scraps(faces: Geoms, key: Ints) -> Ints:
    """Keys of faces; what is too small to map takes that of the neighbour, patch or ribbon, that it borders most."""
    key, area_m2, tree = key.copy(), shapely.area(faces), shapely.STRtree(faces)
    for _ in range(3):  # a scrap between scraps waits for them
        total_m2 = np.bincount(key, area_m2)
        small = np.flatnonzero(total_m2[key] < SLIVER_M2)
        scrap, other = tree.query(faces[small], predicate="touches")
        scrap = small[scrap]
        shared_m = shapely.length(shapely.intersection(faces[scrap], faces[other]))
        larger = (shared_m > 0) & (total_m2[key[other]] > total_m2[key[scrap]])
        pair, which = np.unique(np.stack([key[scrap[larger]], key[other[larger]]]), axis=1, return_inverse=True)
        border_m = np.bincount(which, shared_m[larger], minlength=pair.shape[1])
        order = np.lexsort((-border_m, pair[0]))
        _, first = np.unique(pair[0][order], return_index=True)
        into = np.arange(len(total_m2))
        into[pair[0][order[first]]] = pair[1][order[first]]
        key = into[key]
    return key


def _merged(faces: Geoms, codes: np.ndarray) -> tuple[Geoms, np.ndarray]:
    """Faces of one code joined again, a patch for every two kilometres or so; scraps go to what they touch."""
    at = shapely.get_coordinates(shapely.point_on_surface(faces))
    square = ((at[:, 0] - WEST) // 2_000).astype(int) * 100 + ((at[:, 1] - SOUTH) // 2_000).astype(int)
    key = codes.astype(int) * 10_000 + square
    first = np.unique(key, return_index=True)[1]
    parts, owner = shapely.get_parts(union_by(faces, key), return_index=True)
    codes = codes[first][owner]
    small = shapely.area(parts) < SLIVER_M2
    group = np.arange(len(parts))
    scrap, other = shapely.STRtree(parts).query(parts[small], predicate="touches")
    scrap = np.flatnonzero(small)[scrap]
    shared = shapely.length(shapely.intersection(parts[scrap], parts[other])) > 0
    joins = shared & (codes[scrap] == codes[other]) & ~small[other]
    group[scrap[joins]] = other[joins]
    return union_by(parts, group), codes[np.unique(group)]


def union_by(polygons: Geoms, key: Ints) -> Geoms:
    """Polygons that share borders, joined by key; one geometry for each key, keys in order."""
    order = np.argsort(key, kind="stable")
    _, starts = np.unique(key[order], return_index=True)
    joined: Geoms = np.array(
        [shapely.coverage_union_all(group) for group in np.split(polygons[order], starts[1:])], dtype=object
    )
    return joined


def is_cultivated(codes: np.ndarray) -> Bools:
    return np.isin(codes, ["0101", "0102", "0103"])
