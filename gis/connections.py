"""What it takes to connect a site: from which facility, along which way, with what equipment, at what cost.

Capacity left, reach and cost decide together: of the facilities that surely have enough, the one whose connection costs
least serves. Where none surely has, those nobody knows enough of are shown as such; where all are full, the fullest is
not offered but the shortage is. Routes are looked up in accumulations that are kept elsewhere; none is searched here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import shapely

from gis import terrain
from gis.ground import Ground, Routes
from gis.intervals import Interval
from gis.meetings import UTILITY_ROLES
from gis.needs import measure_needs
from gis.network import headroom_of
from gis.routes import Item, Route, bill, least_sure
from gis.rules import Rulebook
from gis.serving import PLANTS, Demand, reachable
from gis.surface import Prices
from gis.ways import head_of
from layers.records import Bools, Floats, Project, Raster, Snapshot, World

Served = Literal["served", "unknown", "short", "none"]
PIPES_MM = (150, 200, 300, 400, 600)
PIPE_M_S = 1.0  # economic velocity in a main
GRAVITY = 9.81
ACCESS = "access"
EVERY_ROAD = "*"  # the one accumulation of access roads starts from every public road


@dataclass(frozen=True)
class Connection:
    """One utility of one site. Amounts in `unit`; NaN where nobody knows. Costs in wan CNY: low, typical, high."""

    utility: str
    status: Served
    facility: str | None
    name: str | None
    need: float
    headroom: float
    unit: str
    distance_m: float
    grade: str  # the voltage, the pipe, the road class
    route: Route | None
    items: tuple[Item, ...]
    notes: tuple[tuple[str, str], ...] = field(default=())
    base: tuple[float, float, float] | None = None  # wan per km of easy ground, of the line alone

    @property
    def things_wan(self) -> tuple[float, float, float]:
        """What stands at the ends of the line and is shared with nobody: bay, transformer, pump station."""
        low, typical, high = (math.fsum(one.wan[end] for one in self.items if not one.is_line) for end in range(3))
        return low, typical, high

    @property
    def cost_wan(self) -> tuple[float, float, float] | None:
        """None where there is no route to price."""
        if self.route is None:
            return None
        low, typical, high = (math.fsum(item.wan[end] for item in self.items) for end in range(3))
        return low, typical, high

    @property
    def confidence(self) -> str:
        return least_sure([item.confidence for item in self.items]) if self.items else "assumption"

    @property
    def shortage(self) -> float:
        """How much is missing at the facility; 0 where it is enough or unknown."""
        return max(self.need - self.headroom, 0.0) if self.status == "short" else 0.0


DEMAND_ON = {one.role: one for one in PLANTS}


def connect(
    site: shapely.Geometry,
    project: Project,
    book: Rulebook,
    world: World,
    kept: Routes,
    entrance: shapely.Point | None = None,
) -> list[Connection]:
    """The connections of one site and project: power (two where it asks for a second supply), water, effluent, road.

    A demand that an estimate bounds counts with its upper end; one that nobody said has no connection but a row. The
    access road begins at the `entrance`, else where it is shortest.
    """
    ground = Ground(np.array([site], dtype=object), world, book)
    needs = measure_needs([project], book)
    found = []
    for utility, role in UTILITY_ROLES.items():
        demand = DEMAND_ON[role]
        amount = float(needs[demand.kind].hi[0])
        if amount == 0:
            continue
        many = 2 if utility == "power" and needs["wants_dual_supply"].hi[0] == 1 else 1
        found += _connections(ground, needs, utility, demand, kept, many)
    found.append(access(ground, float(needs["freight_td"].hi[0]), kept, entrance))
    return found


def _connections(
    ground: Ground, needs: Mapping[str, Interval], utility: str, demand: Demand, kept: Routes, many: int
) -> list[Connection]:
    layer, around = ground.layer(demand.role), reachable(ground, demand, needs)
    need = float(needs[demand.kind].hi[0])
    blank = Connection(
        utility, "none", None, None, need, math.nan, demand.kind.rpartition("_")[2], math.nan, "", None, ()
    )
    if layer is None or around is None or len(layer.features) == 0 or math.isnan(need):
        why = ("项目未填写需求", "the project does not say how much") if math.isnan(need) else (
            f"未加载图层 {demand.role}", f"the layer {demand.role} is not loaded or empty"
        )  # fmt: skip
        return [replace(blank, notes=(why,))]
    left, far, reach_m = around.headroom, around.far_m[0], float(around.reach_m[0])
    near, may = far <= reach_m, around.near(0)[0]
    groups: tuple[tuple[Served, Bools], ...] = (
        ("served", near & around.surely[:, 0] & (left >= need)),
        ("unknown", may & (np.isnan(left) | (left >= need))),
        ("short", may & (left < need)),
    )
    for status, keep in groups:
        rows = np.flatnonzero(keep)
        if len(rows) == 0:
            continue
        if status == "short":  # what is least short is the least to add
            rows = rows[[int(np.argmax(left[rows]))]]
        made = [
            _priced(ground, layer, int(row), needs, utility, replace(
                blank, status=status, facility=str(layer.column("id")[row]), name=layer.names[row],
                headroom=float(left[row]), distance_m=float(far[row]),
            ), kept)
            for row in rows[np.argsort(far[rows], kind="stable")]
        ]  # fmt: skip
        made.sort(key=lambda one: math.inf if one.cost_wan is None else one.cost_wan[1])
        chosen = made[:many]
        if len(chosen) < many:
            only = ("仅一个电源可供，不满足双电源", "only one source can serve; a second supply is asked for")
            chosen[-1] = replace(chosen[-1], notes=(*chosen[-1].notes, only))
        return chosen
    why = (f"{reach_m / 1000:g} km 内无可接设施", f"no facility of a fitting kind within {reach_m / 1000:g} km")
    return [replace(blank, notes=(why,))]


def of_facility(
    ground: Ground, layer: Snapshot, row: int, needs: Mapping[str, Interval], utility: str, kept: Routes
) -> Connection:
    """The connection of one site and project to a facility that somebody has chosen."""
    kind = DEMAND_ON[layer.layer.role].kind
    need, unit = float(needs[kind].hi[0]), kind.rpartition("_")[2]
    headroom = float(headroom_of(layer, ground.world.pools(), kind)[row])
    status: Served = "unknown" if math.isnan(headroom) else "served" if headroom >= need else "short"
    far_m = float(ground.matrix_m(layer.layer.role, layer)[0, row])
    named = (str(layer.column("id")[row]), layer.names[row])
    made = Connection(utility, status, *named, need, headroom, unit, far_m, "", None, ())
    return _priced(ground, layer, row, needs, utility, made, kept)


def _priced(
    ground: Ground,
    layer: Snapshot,
    row: int,
    needs: Mapping[str, Interval],
    utility: str,
    made: Connection,
    kept: Routes,
) -> Connection:
    """A connection with its way and its bill, as far as both are known."""
    reached = kept(utility, layer.layer.role, str(layer.column("id")[row]))
    site = ground.sites[0]
    if reached is None:
        why = ("路线未计算（parkplan connect 计算并保留）", "no route is kept for it; parkplan connect works it out")
        return replace(made, notes=(*made.notes, why))
    route = reached.route(site)
    if route is None:
        why = ("无可行路线（保护区或图幅外）", "no way leads there: protected ground, or outside the survey")
        return replace(made, notes=(*made.notes, why))
    assert ground.book is not None
    prices = Prices.of(ground.book)
    kv = float(needs["supply_kv"].hi[0]) if utility == "power" else math.nan
    item, grade = line_of(utility, kv, made.need)
    base = prices.of_item(utility, item)
    items = bill(route, prices, base, prices.confidence(utility, item))
    if utility == "power":
        items += _at_ends(prices, voltage(kv), made.need)
    else:
        items += _pump(prices, utility, made.need, _lift_m(ground, layer, row, route, prices, utility))
    return replace(
        made, grade=grade, route=route, items=tuple(items), notes=(*made.notes, *_gaps(route)), base=_three(base)
    )


def line_of(utility: str, kv: float, need: float) -> tuple[str, str]:
    """The price row of the line that carries a need, and its grade in words.

    >>> line_of("power", 35.0, 4_000.0), line_of("water", math.nan, 3_000.0)
    (('line_35kv', '35 kV'), ('pipe_300', 'DN300'))
    """
    if utility == "power":
        return f"line_{voltage(kv):g}kv", f"{voltage(kv):g} kV"
    return f"pipe_{pipe_mm(need)}", f"DN{pipe_mm(need)}"


def voltage(kv: float) -> float:
    """Nobody is connected below 10 kV."""
    return max(kv, 10.0)


def ends_wan(prices: Prices, kv: float, kva: float) -> Floats:
    """(3,) a bay at the station and a transformer at the plant."""
    each = prices.of_item("power", f"bay_{voltage(kv):g}kv"), prices.of_item("power", "user_transformer") * kva / 1000
    both: Floats = each[0] + each[1]
    return both


def _at_ends(prices: Prices, kv: float, kva: float) -> list[Item]:
    bay = _thing(prices, "power", f"bay_{kv:g}kv", 1, "个 bay", f"{kv:g} kV 出线间隔", f"{kv:g} kV outgoing bay")
    mva = kva / 1000
    return [bay, _thing(prices, "power", "user_transformer", mva, "MVA", "用户变压器", "transformer at the plant")]


def pump_wan(prices: Prices, utility: str, m3d: float, lift_m: Floats) -> tuple[Floats, Floats]:
    """(..., 3) kW and wan of a pump that lifts (..., 3) metres; nothing where nothing is to be lifted."""
    kw = m3d / 86_400 * GRAVITY * np.maximum(lift_m, 0.0) / prices.of_item(utility, "pump_efficiency")
    station = np.where(lift_m > 0, prices.of_item(utility, "pump_station"), 0.0)
    return kw, kw * prices.of_item(utility, "pump_kw") + station


def _pump(prices: Prices, utility: str, m3d: float, lift_m: Floats) -> list[Item]:
    if not (lift_m > 0).any():
        return []
    kw, wan = pump_wan(prices, utility, m3d, lift_m)
    zh = f"加压泵站（扬程约 {lift_m[1]:.0f} m）"
    en = f"pump station (lift about {lift_m[1]:.0f} m)"
    sure = least_sure([prices.confidence(utility, one) for one in ("pump_efficiency", "pump_kw", "pump_station")])
    return [Item(zh, en, float(kw[1]), "kW", _three(wan), sure, is_line=False)]


def _three(ends: Floats) -> tuple[float, float, float]:
    low, typical, high = (float(one) for one in ends)
    return low, typical, high


def pipe_mm(m3d: float) -> int:
    """The thinnest pipe that carries a flow at the economic velocity; the widest we price for anything larger.

    >>> pipe_mm(1_000.0), pipe_mm(3_000.0)
    (150, 300)
    """
    wanted = math.sqrt(4 * m3d / 86_400 / (math.pi * PIPE_M_S)) * 1000
    return next((one for one in PIPES_MM if one >= wanted), PIPES_MM[-1])


def _lift_m(ground: Ground, layer: Snapshot, row: int, route: Route, prices: Prices, utility: str) -> Floats:
    """(3,) of one way; a way without heights asks for no pump, and a note says so."""
    dem = ground.world.raster("dem")
    found = ground.raster("dem")
    if dem is None or found is None:
        return np.zeros(3)
    zonal = terrain.zonal(*found, 1)
    head_m = float(head_of(layer, lambda x, y: terrain.at_points(dem, x, y))[row]) if utility == "water" else math.nan
    length_m, summit_m = np.array([route.length_m]), np.array([summit_of(route, dem)])
    lift: Floats = lift_m(prices, utility, length_m, summit_m, zonal["min"], zonal["max"], head_m)[0]
    return lift


def summit_of(route: Route, dem: Raster) -> float:
    """The highest ground along a way; NaN where nobody knows any of it."""
    xy = route.surface.places(route.row, route.column)
    along = terrain.at_points(dem, xy[:, 0], xy[:, 1])
    return math.nan if np.isnan(along).all() else float(np.nanmax(along))


def lift_m(
    prices: Prices, utility: str, length_m: Floats, summit_m: Floats, low_m: Floats, high_m: Floats, head_m: float
) -> Floats:
    """(S, 3) metres a pump has to lift: none where water runs by itself; the highest point on the way decides.

    Water needs the head of a hydrant at the highest ground of the site; sewage only has to get over the way's summit.

    length_m, summit_m : (S,) of each site's way; low_m, high_m : (S,) of its ground; head_m : at the source of water
    """
    friction = prices.of_item(utility, "friction") * length_m[:, None] / 1000
    if utility == "water":
        site = high_m[:, None] + prices.of_item("water", "hydrant_head")
        lift = np.maximum(site, summit_m[:, None]) + friction - head_m
    else:
        climb = (summit_m - low_m)[:, None]
        lift = np.where(climb <= 0, 0.0, climb + friction)
    made: Floats = np.nan_to_num(lift, nan=0.0)
    return made


def _thing(prices: Prices, utility: str, item: str, count: float, unit: str, zh: str, en: str) -> Item:
    low, typical, high = (float(one) * count for one in prices.of_item(utility, item))
    return Item(zh, en, count, unit, (low, typical, high), prices.confidence(utility, item), is_line=False)


def access(ground: Ground, need: float, kept: Routes, entrance: shapely.Point | None = None) -> Connection:
    """The access road of one site to the nearest public road, for `need` tonnes a day."""
    made = Connection("road", "none", None, None, need, math.nan, "td", math.nan, "三级公路", None, ())
    layer = ground.layer("roads")
    if layer is None or len(layer.features) == 0:
        return replace(made, notes=(("未加载公路", "no roads are loaded"),))
    assert ground.book is not None
    prices = Prices.of(ground.book)
    reached = kept("road", "roads", EVERY_ROAD)
    route = reached.route(entrance or ground.sites[0]) if reached is not None else None
    if route is None:
        return replace(made, notes=(("路线未计算或不可达", "no route is kept, or none leads there"),))
    pieces = layer.pieces
    at = int(layer.tree.nearest(shapely.Point(route.surface.places(route.row[-1:], route.column[-1:])[0])))
    row = int(layer.owner[at])
    base = prices.of_item("road", ACCESS)
    items = bill(route, prices, base, prices.confidence("road", ACCESS))
    far = float(shapely.distance(entrance or ground.sites[0], pieces[at]))
    name, facility = layer.names[row], str(layer.column("id")[row])
    return replace(
        made, status="served", facility=facility, name=name, distance_m=far, route=route, items=tuple(items),
        notes=_gaps(route), base=_three(base),
    )  # fmt: skip


def _gaps(route: Route) -> tuple[tuple[str, str], ...]:
    """What the surface did not know of the way."""
    said = []
    blind = route.blind_m
    if blind > 0:
        said.append(
            (f"路线有 {blind:,.0f} m 无高程，按最陡计价", f"{blind:,.0f} m of it have no elevation: priced as steepest")
        )
    if route.surface.missing:
        roles = ", ".join(route.surface.missing)
        said.append((f"未计入未加载的图层：{roles}", f"layers that are not loaded cost nothing here: {roles}"))
    return tuple(said)
