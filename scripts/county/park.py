"""The park's ground on one fine lattice: zones, planning blocks, the development boundary and the parcels nest."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from layers.records import Bools, Floats, Geoms, Ints
from scripts.county.burn import number_at
from scripts.county.frames import frame
from scripts.county.lattice import Lattice
from scripts.county.noise import smooth_noise
from scripts.county.outline import is_inside
from scripts.county.places import COUNTY, EAST, MARGIN_M, NORTH, SOUTH, TOWNS, WEST, draws, town
from scripts.county.rivers import intake_chainage_m
from scripts.county.terrain import Terrain

CELL_M = 60.0
TURN_DEG = 28.0  # the valley runs south-west to north-east, and so do its fields
SMALLEST_M2, LARGEST_M2 = 3_000.0, 60_000.0


@dataclass(frozen=True)
class Kind:
    unit_code: str
    name: str
    kind: str
    industries: str
    planned: tuple[str, ...]  # planned use of its blocks, drawn in these proportions


ZONES = (
    Kind(
        "520625-NE",
        "东北部工业经济带",
        "belt",
        "06,08,09,26,30,31,32,7723",
        ("100103", "100103", "100103", "100102", "100102"),
    ),
    Kind("520625-FOOD", "特色食品工业集聚区", "food", "13,14,15", ("100101", "100101", "100102")),
    Kind(
        "520625-BM",
        "建材工业集聚区",
        "building_materials",
        "20,243,264,29,30,33",
        ("100102", "100102", "100103", "100103", "100101"),
    ),
)
PLANNED = {"100101": "一类工业用地", "100102": "二类工业用地", "100103": "三类工业用地"}
CONCENTRATED, FLEXIBLE, SPECIAL = 1, 2, 3
PAD_M = 290.0


@dataclass(frozen=True, eq=False)
class Park:
    """Cells (R, C): the zone (1..3), the parcel block, the planning block, the kind of boundary; 0 is none."""

    lattice: Lattice
    x: Floats
    y: Floats
    zone: Ints
    block: Ints
    planned: Ints
    boundary: Ints
    inside: Bools  # far enough from the window's edge for a parcel
    pads: Floats  # (K, 2) middles of ground that has been levelled
    mill: tuple[float, float]  # a cement mill at the upstream end of the food zone
    intake: tuple[float, float]  # where the town draws its water
    zones: gpd.GeoDataFrame
    plan_zoning: gpd.GeoDataFrame
    urban_boundary: gpd.GeoDataFrame


def park(seed: int, terrain: Terrain) -> Park:
    """Where the three zones lie, on gentle ground beside the river and on the terraces."""
    rng = draws(seed, "park")
    lattice = _lattice(rng)
    x, y = lattice.centres()
    inside = is_inside(x, y, depth_m=MARGIN_M + 60)
    gentle = _mean_slope(terrain, x, y)
    along, away = _along_river(terrain, x, y, inside)
    zone = _zone_of(terrain, x, y, along, away, gentle, inside, rng)
    block = _blocks(zone, rng)
    pads = _pads(terrain, x, y, zone, along, away, gentle)
    boundary = _boundary(terrain, x, y, zone, pads, gentle, rng)
    planned, uses = _planned(block, zone, rng)
    lattice = lattice.keeping(zone, block, boundary, planned)
    polygons, number = lattice.polygons(zone)
    merged = [shapely.MultiPolygon(list(polygons[number == k + 1])) for k in range(len(ZONES))]
    zones = frame(
        "zones",
        np.array(merged, dtype=object),
        id=[z.unit_code for z in ZONES],
        name=[z.name for z in ZONES],
        kind=[z.kind for z in ZONES],
        industries=[z.industries for z in ZONES],
        unit_code=[z.unit_code for z in ZONES],
    )
    return Park(
        lattice,
        x,
        y,
        zone,
        block,
        planned,
        boundary,
        inside,
        pads,
        terrain.rivers[0].beside((float(pads[0, 0]), float(pads[0, 1])), -330, 230),
        _intake(terrain),
        zones,
        _plan_zoning(lattice, planned, uses),
        _urban_boundary(lattice, boundary),
    )


def _intake(terrain: Terrain) -> tuple[float, float]:
    spot = terrain.rivers[0].line.interpolate(intake_chainage_m(terrain.rivers[0]))
    return spot.x, spot.y


def parcels(ground: Park, ribbons: Geoms, count: int) -> gpd.GeoDataFrame:
    """`count` parcels nearest to the zones, less the land of roads, rivers and the railway.

    `ready` is left to whoever knows which ground is levelled.
    """
    block = np.where(ground.inside, ground.block, 0)
    chosen = _nearest_blocks(ground, block, count)
    polygons, label = ground.lattice.polygons(np.where(np.isin(block, chosen), block, 0))
    polygons = subtract(polygons, ribbons)
    parts, owner = shapely.get_parts(polygons, return_index=True)
    area = shapely.area(parts)
    fits = (area >= SMALLEST_M2) & (area <= LARGEST_M2)
    parts, label = parts[fits], label[owner[fits]]
    rank = np.full(int(chosen.max()) + 1, len(chosen))
    rank[chosen] = np.arange(len(chosen))
    parts = parts[np.argsort(rank[label], kind="stable")[:count]]
    centre = shapely.centroid(parts)
    zone = _zone_names(ground, centre)
    at = shapely.get_coordinates(centre)
    order = np.lexsort((np.round(at[:, 0]), -np.round(at[:, 1], -2)))
    parts, zone, at = parts[order], zone[order], at[order]
    ids, names = _parcel_codes(at, zone)
    by_id = np.argsort(ids)
    return frame(
        "parcels",
        parts[by_id],
        id=ids[by_id],
        name=names[by_id],
        zone=[z or None for z in zone[by_id]],
        ready=np.zeros(len(parts), dtype=bool),
    )


def subtract(polygons: Geoms, ribbons: Geoms) -> Geoms:
    """Polygons less every ribbon that meets them."""
    left = polygons.copy()
    row, other = shapely.STRtree(ribbons).query(polygons, predicate="intersects")
    order = np.lexsort((other, row))
    row, other = row[order], other[order]
    nth = np.arange(len(row)) - np.searchsorted(row, row)
    for turn in range(int(nth.max()) + 1 if len(nth) else 0):
        now = nth == turn
        left[row[now]] = shapely.difference(left[row[now]], ribbons[other[now]])
    return left


# --- the lattice ----------------------------------------------------------------------------------


def _lattice(rng: np.random.Generator) -> Lattice:
    """Cells of 60 m turned along the valley, bent like terraces; about half the plain vertices may be skipped."""
    turn = np.radians(TURN_DEG)
    wide, high = EAST - WEST, NORTH - SOUTH
    half = (
        CELL_M
        * 4
        * np.ceil(
            np.array([wide * np.cos(turn) + high * np.sin(turn), wide * np.sin(turn) + high * np.cos(turn)])
            / 2
            / CELL_M
            / 4
        )
    )
    u, v = np.meshgrid(np.arange(-half[0], half[0] + 1, CELL_M), np.arange(half[1], -half[1] - 1, -CELL_M))
    x = (WEST + EAST) / 2 + u * np.cos(turn) - v * np.sin(turn)
    y = (SOUTH + NORTH) / 2 + u * np.sin(turn) + v * np.cos(turn)
    bend = [smooth_noise(x, y, 1_500, rng) * 170 + smooth_noise(x, y, 420, rng) * 26 for _ in "xy"]
    shake = (rng.random((2, *x.shape)) - 0.5) * 16
    keep = rng.random(x.shape) < 0.75
    return Lattice(np.round(x + bend[0] + shake[0], 3), np.round(y + bend[1] + shake[1], 3), keep)


def _mean_slope(terrain: Terrain, x: Floats, y: Floats) -> Floats:
    total = sum(terrain.slope_at(x + dx, y + dy) for dx in (-45, 0, 45) for dy in (-45, 0, 45))
    return np.asarray(total) / 9


# --- zones ----------------------------------------------------------------------------------------


def _along_river(terrain: Terrain, x: Floats, y: Floats, inside: Bools) -> tuple[Floats, Floats]:
    """How far down the main river each cell inside lies, and how far from it; elsewhere nowhere."""
    river = terrain.rivers[0]
    tree = shapely.STRtree(shapely.points(river.points))
    spots = shapely.points(x[inside], y[inside])
    (_, nearest), found = tree.query_nearest(spots, return_distance=True, all_matches=False)
    along, away = np.full(x.shape, np.inf), np.full(x.shape, np.inf)
    along[inside], away[inside] = river.chainage_m[nearest], found
    return along, away


def _zone_of(
    terrain: Terrain,
    x: Floats,
    y: Floats,
    along: Floats,
    away: Floats,
    gentle: Floats,
    inside: Bools,
    rng: np.random.Generator,
) -> Ints:
    away = away * (1 + 0.5 * smooth_noise(x, y, 1_400, rng))
    river = terrain.rivers[0]
    line = river.line
    at = {name: float(line.project(shapely.Point(town(name).at))) for name in ("木黄", "合水", "朗溪", "峨岭")}
    core = np.zeros(x.shape, dtype=bool)
    for place in TOWNS:
        core |= np.hypot(x - place.at[0], y - place.at[1]) < place.radius_m * 0.8
    free = ~core & inside & (gentle < 13)
    reach = {name: bench.reach(x, y) for name, bench in terrain.benches.items()}
    belt = (along > at["木黄"] - 1_500) & (along < at["合水"] + 2_600) & (away < 780)
    food = (along > at["朗溪"] + 500) & (along < at["朗溪"] + 4_600) & (away < 1_050)
    zone = np.zeros(x.shape, dtype=np.int64)
    zone[free & (belt | (reach["合水坪"] < 1.08) | (reach["木黄坪"] < 1.08))] = 1
    zone[free & food] = 2
    zone[free & (reach["板溪坪"] < 1.08)] = 3
    return _without_crumbs(_settled(zone), 300_000.0)


def _pads(terrain: Terrain, x: Floats, y: Floats, zone: Ints, along: Floats, away: Floats, gentle: Floats) -> Floats:
    """The roomiest spots of the zones, (K, 2): the first lies at the food zone's upstream end."""
    dry = (zone > 0) & (away > 110)
    food = along[zone == 2]
    upstream, downstream = np.percentile(food, [12, 45])
    bench = terrain.benches["木黄坪"]
    flat, tilted = _room(dry & (gentle < 6.5)), _room(dry & (gentle > 8.5) & (gentle < 12.5))
    places = (
        (flat, (zone == 2) & (along < upstream)),
        (flat, (zone == 2) & (along > downstream)),
        (flat, zone == 3),
        (flat, (zone == 1) & (x > 562_300) & (bench.reach(x, y) > 1.3)),
        (flat, (zone == 1) & (x < 560_000)),
        (flat, (zone == 1) & (bench.reach(x, y) < 1.1)),
        (tilted, zone == 3),
    )
    best = [np.argmax(np.where(place, room, -1.0)) for room, place in places]
    return np.column_stack([x.ravel()[best], y.ravel()[best]])


def _room(good: Bools, half: int = 4) -> Floats:
    """For each cell how many of the cells around it are good."""
    tally = np.pad(np.cumsum(np.cumsum(np.pad(good, half).astype(float), axis=0), axis=1), ((1, 0), (1, 0)))
    side, (rows, columns) = 2 * half + 1, good.shape
    room: Floats = tally[side:, side:] - tally[side:, :-side] - tally[:-side, side:] + tally[:-side, :-side]
    return room[:rows, :columns]


def on_pads(pads: Floats, x: Floats, y: Floats) -> Bools:
    """Is a place on levelled ground?"""
    near: Bools = np.logical_or.reduce([np.hypot(x - px, y - py) < PAD_M for px, py in pads])
    return near


def _settled(zone: Ints, rounds: int = 3) -> Ints:
    """Each cell takes what most of the 3 x 3 around it have, so that borders become simple."""
    for _ in range(rounds):
        padded = np.pad(zone, 1)
        best, result = np.zeros(zone.shape, dtype=int), np.zeros_like(zone)
        for value in range(4):
            same = (padded == value).astype(int)
            count = sum(same[r : r + zone.shape[0], c : c + zone.shape[1]] for r in range(3) for c in range(3))
            result[count > best] = value
            best = np.maximum(best, count)
        zone = result
    return zone


def _without_crumbs(zone: Ints, smallest_m2: float) -> Ints:
    """Holes filled and small outliers dropped."""
    cells = smallest_m2 / CELL_M**2
    rows, columns = zone.shape
    u, v = np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0))
    plain = Lattice(u, v)
    for keep_zero in (True, False):
        labels = zone if keep_zero else np.where(zone == 0, 9, zone)
        polygons, number = plain.polygons(labels)
        small = (shapely.area(polygons) < cells) & ((number != 9) | (shapely.area(polygons) < cells / 3))
        zone = zone.copy()
        for polygon, value in zip(polygons[small], number[small], strict=True):
            west, north, east, south = (int(b) for b in polygon.bounds)
            window = zone[north:south, west:east]
            spots = shapely.points(
                *(m.ravel() + 0.5 for m in np.meshgrid(np.arange(west, east), np.arange(north, south)))
            )
            within = shapely.contains(polygon, spots).reshape(window.shape)
            around = zone[max(north - 1, 0), west] or zone[north, max(west - 1, 0)]
            window[within] = around if value == 9 else 0
    return zone


def _blocks(zone: Ints, rng: np.random.Generator) -> Ints:
    """Parcel blocks of 1 to 16 cells; large ones only in the zones, none across a zone's border."""
    rows, columns = zone.shape
    r, c = np.indices(zone.shape)
    quads = (rng.random((rows // 4 + 1, columns // 4 + 1)), rng.random((rows // 2 + 1, columns // 2 + 1)))
    in_zone = zone > 0
    large = (quads[0][r // 4, c // 4] < 0.16) & in_zone
    draw = quads[1][r // 2, c // 2]
    square = draw < np.where(in_zone, 0.52, 0.07)
    wide = ~square & (draw < np.where(in_zone, 0.72, 0.17))
    tall = ~square & ~wide & (draw < np.where(in_zone, 0.9, 0.27))
    size_r = np.select([large, square, wide, tall], [4, 2, 1, 2], 1)
    size_c = np.select([large, square, wide, tall], [4, 2, 2, 1], 1)
    corner = (r // size_r * size_r) * columns + c // size_c * size_c
    kind = corner * 4 + zone
    return np.unique(kind, return_inverse=True)[1].reshape(zone.shape) + 1


def _planned(block: Ints, zone: Ints, rng: np.random.Generator) -> tuple[Ints, list[str]]:
    """Planning blocks of about a kilometre: each parcel block goes with the nearest of the zone's seeds."""
    planned = np.zeros(zone.shape, dtype=np.int64)
    uses: list[str] = []
    first = np.unique(block, return_index=True)[1]
    row_of, column_of = np.unravel_index(first, zone.shape)
    for number, kind in enumerate(ZONES, start=1):
        rows, columns = np.nonzero(zone == number)
        if len(rows) == 0:
            continue
        share = rng.permutation(len(rows))[: max(5, round(len(rows) * CELL_M**2 / 700_000))]
        tree = shapely.STRtree(shapely.points(columns[share], rows[share]))
        anchors = shapely.points(column_of[block[rows, columns] - 1], row_of[block[rows, columns] - 1])
        nearest = tree.query_nearest(anchors, all_matches=False)[1]
        planned[rows, columns] = len(uses) + 1 + nearest
        drawn = [kind.planned[k % len(kind.planned)] for k in range(len(share))]
        uses.extend(rng.permutation(drawn).tolist())
    return planned, uses


def _plan_zoning(lattice: Lattice, planned: Ints, uses: list[str]) -> gpd.GeoDataFrame:
    polygons, number = lattice.polygons(planned)
    code = [uses[n - 1] for n in number]
    return frame("plan_zoning", polygons, code_system="YDYH-2023", code=code, code_name=[PLANNED[c] for c in code])


def _boundary(
    terrain: Terrain, x: Floats, y: Floats, zone: Ints, pads: Floats, gentle: Floats, rng: np.random.Generator
) -> Ints:
    """The development boundary: most of the zones and the towns; the river's strip is kept from building."""
    wave = smooth_noise(x, y, 1_700, rng)
    built = (zone > 0) & ((wave < 0.36) | on_pads(pads, x, y))
    for place in TOWNS:
        away = np.hypot(x - place.at[0], y - place.at[1]) / place.radius_m + 0.35 * smooth_noise(x, y, 600, rng)
        built |= (away < 1.0) & (gentle < 15)
    padded = np.pad(zone > 0, 8)
    near = np.zeros(zone.shape, dtype=bool)
    for dr, dc in ((0, 8), (16, 8), (8, 0), (8, 16), (2, 2), (2, 14), (14, 2), (14, 14)):
        near |= padded[dr : dr + zone.shape[0], dc : dc + zone.shape[1]]
    flexible = ~built & (near | (zone > 0)) & (gentle < 14) & (smooth_noise(x, y, 1_100, rng) > 0.12)
    labels = _settled(np.select([built, flexible], [CONCENTRATED, FLEXIBLE], 0))
    strips = [river.line.buffer(river.width_m / 2 + 75) for river in terrain.rivers]
    labels[(number_at(strips, x, y) > 0) & (labels == CONCENTRATED)] = SPECIAL
    return labels


def _urban_boundary(lattice: Lattice, boundary: Ints) -> gpd.GeoDataFrame:
    polygons, number = lattice.polygons(boundary)
    worth = shapely.area(polygons) > 8_000
    polygons, number = polygons[worth], number[worth]
    kinds = {CONCENTRATED: "concentrated", FLEXIBLE: "flexible", SPECIAL: "special"}
    names = {CONCENTRATED: "城镇集中建设区", FLEXIBLE: "城镇弹性发展区", SPECIAL: "特别用途区"}
    return frame("urban_boundary", polygons, name=[names[n] for n in number], kind=[kinds[n] for n in number])


# --- parcels --------------------------------------------------------------------------------------


def _nearest_blocks(ground: Park, block: Ints, count: int) -> Ints:
    """Blocks in order of their distance to a zone and its levelled ground, half as many again as wanted.

    Roads will eat some; where few are wanted, four in ten still lie outside the zones; and the banks at the town's
    intake are among them, since somebody will ask.
    """
    first = np.unique(block, return_index=True)[1]
    first = first[block.ravel()[first] > 0]
    numbers = block.ravel()[first]
    spots = shapely.points(ground.x.ravel()[first], ground.y.ravel()[first])
    inside = ground.zone.ravel()[first] > 0
    zones, pads = (shapely.STRtree(points) for points in (spots[inside], shapely.points(ground.pads)))
    effort = np.zeros(len(first))
    for tree, weight in ((zones, 1.0), (pads, 0.15)):
        effort += weight * tree.query_nearest(spots, return_distance=True, all_matches=False)[1]
    effort[np.hypot(*(shapely.get_coordinates(spots) - ground.intake).T) < 700] = 0.0
    order = np.argsort(effort, kind="stable")
    within, around = order[inside[order]], order[~inside[order]]
    share = min(len(within), int(0.6 * count))
    chosen: Ints = numbers[np.concatenate([within[:share], around[: int((count - share) * 1.5) + 200]])]
    return chosen


def _zone_names(ground: Park, centre: Geoms) -> np.ndarray:
    row, which = shapely.STRtree(ground.zones.geometry.to_numpy()).query(centre, predicate="within")
    names = np.full(len(centre), "", dtype=object)
    names[row] = ground.zones["id"].to_numpy()[which]
    return names


def _parcel_codes(at: Floats, zone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """宗地代码: county, town, square of two and a half kilometres, ownership, running number."""
    towns = np.array([t.at for t in TOWNS])
    nearest = np.argmin(np.hypot(at[:, :1] - towns[:, 0], at[:, 1:] - towns[:, 1]), axis=1)
    square = ((at[:, 0] - WEST) // 2_500 + 21 * ((at[:, 1] - SOUTH) // 2_500)).astype(int) + 1
    district = np.array([TOWNS[k].division for k in nearest])
    feature = np.where(zone != "", "GB", "JB")
    stem = np.array([f"{COUNTY}{d}{s:03d}{f}" for d, s, f in zip(district, square, feature, strict=True)])
    order = np.argsort(stem, kind="stable")
    _, starts = np.unique(stem[order], return_index=True)
    within = np.arange(len(stem)) - np.repeat(starts, np.diff(np.append(starts, len(stem))))
    number = np.empty(len(stem), dtype=int)
    number[order] = within + 1
    ids = np.array([f"{s}{n:05d}" for s, n in zip(stem, number, strict=True)], dtype=object)
    names = np.array(
        [f"{TOWNS[k].name}{s:03d}街坊{n}号宗地" for k, s, n in zip(nearest, square, number, strict=True)],
        dtype=object,
    )
    return ids, names
