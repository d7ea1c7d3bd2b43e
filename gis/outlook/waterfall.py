"""What is left to build on in each park zone: its area, less every constraint in a stated order.

`reserve_steps.csv` is the order. A piece of ground is taken once, by the first constraint that covers it, so that the
rows add up. Ground that no constraint certainly takes, but some constraint may (its layer is not loaded, its survey
does not reach there, a feature does not say its class, the grid has no value), is *not computed*: it stands apart,
under the first such constraint, and is never counted as buildable.

All steps are vector overlays in the working CRS; the steep cells of the elevation model enter as squares, each whole.
A row is the difference of what was left before and after, so the rows come to the zone's plane area by construction;
the printed hundredths are closed to it (`layers.units.closed`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely

from gis import terrain
from gis.ground import counted
from gis.quota import in_force
from gis.rules import Rulebook
from gis.sorts import IsIn
from layers.records import Bools, Bounds, Floats, Geoms, Raster, Snapshot, World
from layers.units import closed

EVERYWHERE: Bounds = (-1e9, -1e9, 1e9, 1e9)
NOTHING = shapely.MultiPolygon()


@dataclass(frozen=True)
class Step:
    """One constraint: where its ground is (`how`), and the law it stands on. A row of the table.

    covered   features of the role, those whose `column` holds one of `values` where it names one
    complete  the same, of a layer that maps all ground there is: what it leaves out may be anything
    in_force  approvals that are valid on the day
    outside   what those features leave
    steeper   cells of the elevation model steeper than so many degrees
    """

    step: str
    zh: str
    en: str
    how: str
    role: str
    column: str
    values: tuple[str, ...]
    unsaid: str
    basis: str
    source: str
    confidence: str
    note: str


@dataclass(frozen=True)
class Reserve:
    """Square metres of Z zones, hundredths closed: gross = shared + taken + unknown + net, exactly, in every row.

    `taken_m2`, `unknown_m2` (Z, S) by step; `shared_m2` (Z,) ground that an earlier zone holds as well and is
    counted there; `buildable` (Z,) the net ground itself.
    """

    steps: tuple[Step, ...]
    ids: tuple[str, ...]
    names: tuple[str, ...]
    gross_m2: Floats
    shared_m2: Floats
    taken_m2: Floats
    unknown_m2: Floats
    net_m2: Floats
    buildable: Geoms


@lru_cache(maxsize=8)
def steps_of(book: Rulebook) -> tuple[Step, ...]:
    rows = book.tables["reserve_steps"].itertuples(index=False, name=None)
    texts = ([str(one) for one in row] for row in rows)
    return tuple(
        Step(step, zh, en, how, role, column, tuple(filter(None, values.split("|"))), *rest)
        for step, zh, en, how, role, column, values, *rest in texts
    )


def zones_of(world: World) -> tuple[Snapshot, Geoms] | None:
    """The park zones and the ground of each, whole; None where none are loaded."""
    layer = world.near("zones", EVERYWHERE)
    if layer is None:
        return None
    ground = [shapely.union_all(layer.pieces[layer.owner == row]) for row in range(len(layer.features))]
    return layer, np.array([*ground, None], dtype=object)[:-1]


def reserve(world: World, book: Rulebook, layer: Snapshot, zones: Geoms) -> Reserve:
    """The waterfall of every zone; zones (Z,) are the features of `layer`, in its order."""
    steps = steps_of(book)
    rows = []
    net = []
    before: shapely.Geometry = NOTHING
    for zone in zones:
        own = shapely.difference(zone, before)
        before = shapely.union(before, zone)
        taken, unknown, left = _fall(own, steps, world)
        parts = [zone.area - own.area, *taken, *unknown, left.area]
        rows.append([float(one) for one in closed(np.maximum(parts, 0.0).tolist(), zone.area)])
        net.append(left)
    table = np.array(rows, dtype=float).reshape(len(rows), 2 + 2 * len(steps))
    gross = np.array([float(closed([zone.area])[0]) for zone in zones])
    return Reserve(
        steps,
        tuple(str(one) for one in layer.column("id")),
        tuple(layer.names),
        gross,
        table[:, 0],
        table[:, 1 : 1 + len(steps)],
        table[:, 1 + len(steps) : -1],
        table[:, -1],
        np.array([*net, None], dtype=object)[:-1],
    )


def _fall(
    zone: shapely.Geometry, steps: Sequence[Step], world: World
) -> tuple[list[float], list[float], shapely.Geometry]:
    """Square metres each step takes and each leaves in doubt, and what is left."""
    left, doubts = zone, []
    taken = []
    for step in steps:
        sure, doubt = _ground(step, zone, world)
        rest = shapely.difference(left, sure) if not sure.is_empty else left
        taken.append(left.area - rest.area)
        doubts.append(doubt)
        left = rest
    unknown = []
    for doubt in doubts:
        rest = shapely.difference(left, doubt) if not doubt.is_empty else left
        unknown.append(left.area - rest.area)
        left = rest
    return taken, unknown, left


def _ground(step: Step, zone: shapely.Geometry, world: World) -> tuple[shapely.Geometry, shapely.Geometry]:
    """The ground of a zone's surroundings that a step certainly takes, and that of which nobody knows."""
    if zone.is_empty:
        return NOTHING, NOTHING
    if step.how == "steeper":
        return _steep(world, float(step.values[0]), zone)
    layer = world.near(step.role, zone.bounds)
    if layer is None:
        return NOTHING, zone
    certain, possible = _counted(step, layer, world)
    sure = _union(layer, certain, zone)
    may = sure if certain is possible else _union(layer, possible, zone)
    beyond = _beyond(zone, layer.layer.extent)
    if step.how == "outside":
        return shapely.difference(shapely.difference(zone, may), beyond), shapely.difference(zone, sure)
    doubt = NOTHING if certain is possible else shapely.difference(may, sure)
    if step.how == "complete":
        mapped = _union(layer, np.ones(len(layer.features), dtype=bool), zone)
        doubt = shapely.union(doubt, shapely.difference(zone, mapped))
    return sure, shapely.union(doubt, beyond) if not beyond.is_empty else doubt


def _counted(step: Step, layer: Snapshot, world: World) -> tuple[Bools, Bools]:
    if step.how == "in_force":
        sure, may = in_force(layer, world.as_of.isoformat())
        return (sure, sure) if (sure == may).all() else (sure, may)
    certain, possible = counted(layer, IsIn(step.column, step.values) if step.column else None)
    return (certain, certain) if step.unsaid == "none" else (certain, possible)


def _union(layer: Snapshot, keep: Bools, zone: shapely.Geometry) -> shapely.Geometry:
    """The ground of the features where `keep` holds, about the zone; what is drawn as points or lines takes none."""
    piece = layer.tree.query(zone, predicate="intersects")
    piece = piece[keep[layer.owner[piece]] & (layer.area_m2[piece] > 0)]
    return shapely.union_all(layer.pieces[piece]) if len(piece) else NOTHING


def _beyond(zone: shapely.Geometry, extent: shapely.Geometry) -> shapely.Geometry:
    return NOTHING if shapely.covers(extent, zone) else shapely.difference(zone, extent)


def _steep(world: World, over_deg: float, zone: shapely.Geometry) -> tuple[shapely.Geometry, shapely.Geometry]:
    """Cells steeper than `over_deg` by Horn's method, and those without a slope, as squares."""
    elevation = world.raster("dem")
    grid = world.raster("slope") if elevation is None else elevation
    if grid is None:
        return NOTHING, zone
    rows, columns = grid.values.shape
    west, south, east, north = zone.bounds
    first_row, last_row = _window(grid.north - north, grid.north - south, grid.cell_m, rows)
    first, last = _window(west - grid.west, east - grid.west, grid.cell_m, columns)
    if elevation is None:
        window = grid.values[first_row:last_row, first:last]
    else:  # with the ring of heights that the slope of its outermost cells is read from
        top, left = max(first_row - 1, 0), max(first - 1, 0)
        around = terrain.slope_deg(grid.values[top : last_row + 1, left : last + 1], grid.cell_m)
        window = around[first_row - top : last_row - top, first - left : last - left]
    with np.errstate(invalid="ignore"):
        steep = window > over_deg
    whole = shapely.box(grid.west, grid.north - rows * grid.cell_m, grid.west + columns * grid.cell_m, grid.north)
    squares, bare = (
        shapely.union_all(np.array(list(_boxes(mask, grid, first_row, first)), dtype=object)) if mask.any() else NOTHING
        for mask in (steep, np.isnan(window))
    )
    beyond = _beyond(zone, whole)
    return squares, shapely.union(bare, beyond) if not beyond.is_empty else bare


def _window(start_m: float, stop_m: float, cell_m: float, count: int) -> tuple[int, int]:
    first, last = np.clip([np.floor(start_m / cell_m), np.ceil(stop_m / cell_m)], 0, count).astype(int)
    return int(first), int(last)


def _boxes(mask: Bools, grid: Raster, row: int, column: int) -> Iterator[shapely.Geometry]:
    """One box for each run of cells of a row."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    at, start = np.nonzero(edges == 1)
    _, stop = np.nonzero(edges == -1)
    north = grid.north - (row + at) * grid.cell_m
    west, east = grid.west + (column + start) * grid.cell_m, grid.west + (column + stop) * grid.cell_m
    yield from shapely.box(west, north - grid.cell_m, east, north)
