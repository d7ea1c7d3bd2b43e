"""What a plan costs: every project's connections, alone and with the trenches it shares, its earthwork, its land, and
the upgrades that are bought.

Amounts are whole yuan, said in wan. A share is rounded once and a total is the sum of shares, so that they add up to
the last yuan. What nobody knows is named and in no sum: then the total is that of the rest, and not `complete`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from gis.connections import Connection, access, of_facility
from gis.earthwork import earthwork
from gis.ground import Ground, Routes
from gis.intervals import Interval
from gis.needs import measure_needs
from gis.offered import ROAD, UTILITY_OF
from gis.rules import Rulebook, shipped
from gis.scenario import Covered, Purchase
from gis.serving import FREIGHT, PLANTS
from gis.surface import Prices
from gis.trenches import shared_costs, stretches
from gis.verify_plan import Billed, Line
from layers.records import Floats, Project, World

YUAN = 10_000
UTILITIES = ("power", "water", "effluent", ROAD)
RULE = (
    "同类管线共用的沟段（廊道）只建一次，由所有使用者均摊；管径或电压要求更高者独自承担其超出部分（沙普利值分摊）。",
    "A stretch that several lines of a kind use is built once and its users pay equal parts; who needs it dearer than "
    "the others pays what that adds alone (the Shapley value).",
)  # fmt: skip
Band = tuple[float, float, float]


def yuan(wan: float) -> float:
    """Wan in whole yuan.

    >>> yuan(1.23456)
    1.2346
    """
    return round(wan * YUAN) / YUAN


def total(some: Sequence[float]) -> float:
    """The sum of amounts in whole yuan, to the yuan."""
    return sum(round(one * YUAN) for one in some) / YUAN


def land_price_wan(book: Rulebook) -> Floats:
    """(3,) wan a square metre of ground is granted for: low, typical, high."""
    rows = book.tables.get("land_prices", shipped("land_prices")).set_index("item")
    price: Floats = rows.loc["grant", ["low", "typical", "high"]].astype(float).to_numpy() / YUAN
    return price


@dataclass(frozen=True)
class Placed:
    """One project (or component) on its ground by one of its offers: rows of the facilities that serve it."""

    name: str
    component: str | None
    project: Project
    ground: shapely.Geometry
    facility: Mapping[str, int]
    second: int

    @property
    def key(self) -> str:
        return self.name if self.component is None else f"{self.name}/{self.component}"


@dataclass(frozen=True)
class Linked:
    """One connection of a plan: what it costs alone, and what its share is; None where nobody knows. `ends_wan` is the
    share at the low and the high prices."""

    key: str
    connection: Connection
    alone_wan: float | None
    share_wan: float | None
    ends_wan: tuple[float, float] | None

    @property
    def utility(self) -> str:
        return self.connection.utility

    @property
    def saving_wan(self) -> float | None:
        return None if self.alone_wan is None or self.share_wan is None else yuan(self.alone_wan - self.share_wan)


@dataclass(frozen=True)
class Owed:
    """What one project pays in wan (typical), None where nobody knows; earthwork and land low, typical, high."""

    project: str
    component: str | None
    links: tuple[Linked, ...]
    earthwork_wan: Band | None
    land_wan: Band

    @property
    def key(self) -> str:
        return self.project if self.component is None else f"{self.project}/{self.component}"

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody knows the cost of."""
        some = [one.utility for one in self.links if one.share_wan is None]
        return tuple(dict.fromkeys([*some, *(["earthwork"] if self.earthwork_wan is None else [])]))

    @property
    def alone_wan(self) -> float:
        return total([one.alone_wan or 0.0 for one in self.links])

    @property
    def share_wan(self) -> float:
        return total([one.share_wan or 0.0 for one in self.links])

    @property
    def total_wan(self) -> float:
        dug = 0.0 if self.earthwork_wan is None else self.earthwork_wan[1]
        return total([self.share_wan, dug, self.land_wan[1]])


@dataclass(frozen=True)
class Dug:
    """What the connections of one utility cost all together: each alone, and with common stretches built once."""

    utility: str
    count: int
    alone_wan: float
    shared_wan: float
    low_wan: float
    high_wan: float
    alone_m: float
    dug_m: float


@dataclass(frozen=True)
class Stretch:
    """Some of the ways of a utility, and whose they are."""

    utility: str
    users: tuple[str, ...]
    geometry: shapely.Geometry


@dataclass(frozen=True)
class Bill:
    """What a plan costs, in wan."""

    owed: tuple[Owed, ...]
    utilities: tuple[Dug, ...]
    purchases: tuple[tuple[str, float], ...]
    stretches: tuple[Stretch, ...]
    fund_wan: float | None
    covers: tuple[Covered, ...]

    @property
    def purchases_wan(self) -> float:
        return total([cost for _, cost in self.purchases])

    @property
    def connection_wan(self) -> float:
        return total([one.shared_wan for one in self.utilities])

    @property
    def alone_wan(self) -> float:
        return total([one.alone_wan for one in self.utilities])

    @property
    def earthwork_wan(self) -> Band:
        return self._sum([one.earthwork_wan for one in self.owed])

    @property
    def land_wan(self) -> Band:
        return self._sum([one.land_wan for one in self.owed])

    @property
    def total_wan(self) -> float:
        return total([self.connection_wan, self.earthwork_wan[1], self.land_wan[1], self.purchases_wan])

    @property
    def is_complete(self) -> bool:
        return not any(one.unknown for one in self.owed)

    @property
    def fund_spent_wan(self) -> float:
        """What is paid by the building fund: purchases, and what else it is said to cover."""
        each = {"connection": self.connection_wan, "earthwork": self.earthwork_wan[1], "land": self.land_wan[1]}
        return total([self.purchases_wan, *(each[one] for one in self.covers)])

    def _sum(self, some: Sequence[Band | None]) -> Band:
        low, typical, high = (total([one[end] for one in some if one is not None]) for end in range(3))
        return low, typical, high


def bill(
    placed: Sequence[Placed],
    book: Rulebook,
    world: World,
    kept: Routes | None,
    bought: Sequence[Purchase],
    fund_wan: float | None,
    covers: tuple[Covered, ...],
) -> tuple[Bill, Billed]:
    """The bill of a plan, and what the verifier adds up again."""
    links = [_links(one, book, world, kept or (lambda *_: None)) for one in placed]
    prices = Prices.of(book)
    settled: list[list[Linked]] = [[] for _ in placed]
    dug, ways, lines = [], [], []
    for utility in UTILITIES:
        mine = [(n, one) for n, some in enumerate(links) for one in some if one.utility == utility]
        priced = [(n, one) for n, one in mine if one.route is not None and one.base is not None]
        routes = [one.route for _, one in priced if one.route is not None]
        bases = np.array([one.base for _, one in priced if one.base is not None]).reshape(-1, 3)
        ends = [shared_costs(routes, prices, bases[:, end].tolist(), end) for end in range(3)]
        for at, (n, one) in enumerate(priced):
            things = one.things_wan
            alone, share = (yuan(float(some[at]) + things[1]) for some in (ends[1].alone, ends[1].share))
            link = Linked(
                placed[n].key, one, alone, share,
                (float(ends[0].share[at]) + things[0], float(ends[2].share[at]) + things[2]),
            )  # fmt: skip
            settled[n].append(link)
            lines.append(_line(link, prices))
        settled_here = [one for some in settled for one in some if one.utility == utility]
        for n, one in mine:
            if one.route is None:
                settled[n].append(Linked(placed[n].key, one, None, None, None))
        if mine:
            parts = stretches(routes)
            dug.append(
                Dug(
                    utility, len(mine), total([one.alone_wan or 0.0 for one in settled_here]),
                    total([one.share_wan or 0.0 for one in settled_here]),
                    math.fsum(one.ends_wan[0] for one in settled_here if one.ends_wan),
                    math.fsum(one.ends_wan[1] for one in settled_here if one.ends_wan),
                    math.fsum(one.length_m for one in routes), math.fsum(part.length for _, part in parts),
                )
            )  # fmt: skip
            ways += [
                Stretch(utility, tuple(dict.fromkeys(placed[priced[at][0]].key for at in users)), part)
                for users, part in parts
            ]
    platforms, price = _earthwork(placed, world), land_price_wan(book)
    owed = []
    for whose, paid, platform in zip(placed, settled, platforms, strict=True):
        low, typical, high = (yuan(whose.ground.area * one) for one in price.tolist())
        owed.append(Owed(whose.name, whose.component, tuple(paid), platform, (low, typical, high)))
    purchases = tuple((one.name, yuan(one.cost_wan)) for one in bought)
    found = Bill(tuple(owed), tuple(dug), purchases, tuple(ways), fund_wan, covers)
    return found, _billed(found, lines)


def _links(one: Placed, book: Rulebook, world: World, kept: Routes) -> list[Connection]:
    """The connections of a project to the facilities that its offer names; a demand that nobody states is a row."""
    ground = Ground(np.array([one.ground], dtype=object), world, book)
    needs: Mapping[str, Interval] = measure_needs([one.project], book)
    found = []
    for demand in PLANTS:
        utility, need = UTILITY_OF[demand.role], float(needs[demand.kind].hi[0])
        if need == 0:
            continue
        layer, row = ground.layer(demand.role), one.facility.get(utility, -1)
        if layer is None or row < 0 or math.isnan(need):
            why = ("项目未填写需求", "the project does not say how much") if math.isnan(need) else (
                "可达范围内无设施，须另行落实", "no facility within reach: to be settled otherwise"
            )  # fmt: skip
            unit = demand.kind.rpartition("_")[2]
            found.append(Connection(utility, "none", None, None, need, math.nan, unit, math.nan, "", None, (), (why,)))
            continue
        rows = [row, *([one.second] if utility == "power" and one.second >= 0 else [])]
        for at in rows:
            found.append(of_facility(ground, layer, at, needs, utility, kept))
        if utility == "power" and needs["wants_dual_supply"].hi[0] == 1 and len(rows) == 1:
            only = ("仅一个电源可供，不满足双电源", "only one source can serve; a second supply is asked for")
            found[-1] = replace(found[-1], notes=(*found[-1].notes, only))
    found.append(access(ground, float(needs[FREIGHT.kind].hi[0]), kept))
    return found


def _earthwork(placed: Sequence[Placed], world: World) -> list[Band | None]:
    dem = world.raster("dem")
    if dem is None or not placed:
        return [None] * len(placed)
    made = earthwork(np.array([one.ground for one in placed], dtype=object), dem)
    ends = np.stack([made.cost_wan.lo, made.typical_wan, made.cost_wan.hi], axis=1)
    return [
        (yuan(low), yuan(typical), yuan(high)) if math.isfinite(low + typical + high) else None
        for low, typical, high in ends.tolist()
    ]


def _line(link: Linked, prices: Prices) -> Line:
    route, base = link.connection.route, link.connection.base
    assert route is not None
    assert base is not None
    assert link.alone_wan is not None
    assert link.share_wan is not None
    xy = route.surface.places(route.row, route.column)
    return Line(
        link.key, link.utility, tuple(map(tuple, xy.tolist())), tuple(route.weights(prices).tolist()), base[1],
        link.connection.things_wan[1], link.alone_wan, link.share_wan,
    )  # fmt: skip


def _billed(found: Bill, lines: Sequence[Line]) -> Billed:
    return Billed(
        tuple(lines),
        {one.utility: one.shared_wan for one in found.utilities},
        {one.key: 0.0 if one.earthwork_wan is None else one.earthwork_wan[1] for one in found.owed},
        {one.key: one.land_wan[1] for one in found.owed},
        dict(found.purchases),
        {one.key: one.total_wan for one in found.owed},
        found.total_wan,
        found.fund_wan,
        found.covers,
    )
