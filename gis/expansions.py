"""What would make room, with cost and year: a transformer, a second line, one more line of a works, a better road.

Every row is an assumption of the price table and says so. The planner chooses among them; a shortage names the cheapest
one that clears it.

    rows = expansions(world, book)
    clearing(rows, "capacity/SS-HESHUI/power_kva", 3_200.0)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gis.needs import PAYLOAD_T
from gis.network import hands_out
from gis.roads import RoadClasses
from gis.routes import least_sure
from gis.rules import Rulebook
from gis.scenario import Purchase
from gis.surface import Prices
from layers.records import Snapshot, World

ANYWHERE = (0.0, 0.0, 0.0, 0.0)
DETOUR = 1.3  # assumption: a line in the mountains against the straight way
MODULE_SHARE = 0.5  # assumption: one more line of a works adds half of what stands
UPGRADES = {"village": "township", "township": "county", "county": "provincial"}


@dataclass(frozen=True)
class Option:
    """One way to add to one account. `cost_wan` low, typical, high; `year` the first in which it serves."""

    facility: str
    account: str
    extra: float
    unit: str
    cost_wan: tuple[float, float, float]
    year: int
    zh: str
    en: str
    source: str
    confidence: str


def expansions(world: World, book: Rulebook) -> list[Option]:
    """Every upgrade that the layers of a world know enough of to be priced."""
    prices = Prices.of(book)
    found: list[Option] = []
    for role, make in (
        ("substations", _transformers),
        ("substations", _lines),
        ("water_sources", _works),
        ("wastewater_plants", _plants),
    ):
        layer = world.near(role, ANYWHERE)
        if layer is not None:
            key = (make.__name__, book.digest, world.for_year)
            found += layer.once(key, lambda one, make=make: make(one, prices, world.for_year))  # type: ignore[misc]
    roads = world.near("roads", ANYWHERE)
    if roads is None:
        return found
    classes = RoadClasses.of(book)
    key = ("road options", book.digest, world.for_year)
    return found + roads.once(key, lambda one: _roads(one, prices, classes, world.for_year))


def frame(options: Iterable[Option]) -> pd.DataFrame:
    """The options as a table: cost in three columns."""
    rows = [
        {**{name: getattr(one, name) for name in Option.__dataclass_fields__ if name != "cost_wan"},
         **dict(zip(("cost_low_wan", "cost_wan", "cost_high_wan"), one.cost_wan, strict=True))}
        for one in options
    ]  # fmt: skip
    return pd.DataFrame(rows)


def clearing(options: Iterable[Option], account: str, short: float, by_year: int | None = None) -> Option | None:
    """The cheapest option that adds what is missing to an account, in time where a year is said."""
    fit = [one for one in options if one.account == account and one.extra >= short]
    fit = [one for one in fit if by_year is None or one.year <= by_year]
    return min(fit, key=lambda one: one.cost_wan[1], default=None)


def purchases(options: Sequence[Option], taken: Iterable[str] = ()) -> tuple[Purchase, ...]:
    """The options as purchases of a plan at their typical cost, each under a name of its own that is not `taken`."""
    names = Counter([*taken, *(one.zh for one in options)])
    return tuple(
        Purchase(
            name=one.zh if names[one.zh] == 1 else f"{one.zh}（{one.facility}）",
            cost_wan=one.cost_wan[1],
            adds={one.account: one.extra},
            from_year=one.year,
            facility=one.facility,
            cost_low_wan=one.cost_wan[0],
            cost_high_wan=one.cost_wan[2],
            source=one.source,
            confidence=one.confidence,
        )
        for one in options
    )


def firm_kva(capacity_kva: float, transformers: int, prices: Prices) -> float:
    """What a station may promise: of two or more transformers what the rest can carry when one fails.

    Two may each run at 65 % because one carries 130 % for a while; of n the other n - 1 do.
    """
    if transformers <= 0:
        return 0.0
    if transformers == 1:
        return capacity_kva * prices.typical("power", "firm_single")
    spare = 2 * prices.typical("power", "firm_pair")
    return min(capacity_kva * (transformers - 1) / transformers * spare, capacity_kva)


def _transformers(layer: Snapshot, prices: Prices, year: int) -> list[Option]:
    found = []
    for row, name in enumerate(layer.names):
        capacity, count = _number(layer, "capacity_kva", row), _number(layer, "transformers", row)
        if not capacity > 0 or not count >= 1:  # how many there are decides what one more is worth
            continue
        each = capacity / count
        extra = firm_kva(capacity + each, int(count) + 1, prices) - firm_kva(capacity, int(count), prices)
        low, typical, high = prices.of_item("power", "second_transformer") * each / 1000
        found.append(
            Option(
                *_account(layer, row, "power_kva"), round(extra), "kva", (float(low), float(typical), float(high)),
                year + round(prices.typical("power", "second_transformer_years")),
                f"{name}：增加一台 {each / 1000:g} MVA 主变", f"{name}: one more transformer of {each / 1000:g} MVA",
                prices.source("power", "second_transformer"),
                _sure(prices, "power", "second_transformer", "firm_pair", "firm_single"),
            )
        )  # fmt: skip
    return found


def _lines(layer: Snapshot, prices: Prices, year: int) -> list[Option]:
    """A second line to the nearest station of a higher voltage, where the line and not the transformer limits."""
    kv = layer.column("voltage_kv").astype(float)
    first = np.flatnonzero(np.diff(layer.owner, prepend=-1))
    at = np.full((len(kv), 2), np.nan)
    at[layer.owner[first]] = shapely.get_coordinates(shapely.point_on_surface(layer.pieces[first]))
    found = []
    for row, name in enumerate(layer.names):
        own = f"{kv[row]:g}kv"
        higher = np.flatnonzero(kv > kv[row])
        if kv[row] not in (35.0, 110.0) or len(higher) == 0:
            continue
        far = np.hypot(*(at[higher] - at[row]).T)
        km = float(far.min()) * DETOUR / 1000
        up = layer.names[int(higher[np.argmin(far)])]
        cost = prices.of_item("power", f"line_{own}") * km + 2 * prices.of_item("power", f"bay_{own}")
        extra = prices.typical("power", f"circuit_{own}") * prices.typical("power", "firm_pair")
        found.append(
            Option(
                *_account(layer, row, "power_kva"), round(extra), "kva", _three(cost),
                year + round(prices.typical("power", "new_line_years")),
                f"{name}：新建 {kv[row]:g} kV 第二回线自{up}（约 {km:.1f} km）",
                f"{name}: a second {kv[row]:g} kV line from {up} (about {km:.1f} km)",
                prices.source("power", f"line_{own}"), _sure(prices, "power", f"line_{own}", f"circuit_{own}"),
            )
        )  # fmt: skip
    return found


def _works(layer: Snapshot, prices: Prices, year: int) -> list[Option]:
    """One more line of a waterworks, as far as what its source yields in a dry year goes; that has to be known."""
    found, treats = [], hands_out(layer)
    for row, name in enumerate(layer.names):
        capacity = _number(layer, "capacity_m3d", row)
        taken = np.nan_to_num(_number(layer, "ecological_flow_m3d", row)) + np.nan_to_num(
            _number(layer, "rights_m3d", row)
        )
        free = _number(layer, "yield_m3d", row) - taken - capacity
        if not (free > 0 and capacity > 0 and treats[row]):  # nor where either is unknown
            continue
        extra = min(capacity * MODULE_SHARE, free)
        found.append(
            Option(
                *_account(layer, row, "water_m3d"), round(extra), "m3d",
                _three(prices.of_item("water", "works_module") * extra),
                year + round(prices.typical("water", "works_module_years")),
                f"{name}：扩建 {extra:,.0f} m³/d", f"{name}: another {extra:,.0f} m³/d",
                prices.source("water", "works_module"), _sure(prices, "water", "works_module"),
            )
        )  # fmt: skip
    return found


def _plants(layer: Snapshot, prices: Prices, year: int) -> list[Option]:
    found = []
    for row, name in enumerate(layer.names):
        extra = _number(layer, "capacity_m3d", row) * MODULE_SHARE
        if not extra > 0:
            continue
        found.append(
            Option(
                *_account(layer, row, "effluent_m3d"), round(extra), "m3d",
                _three(prices.of_item("effluent", "plant_module") * extra),
                year + round(prices.typical("effluent", "plant_module_years")),
                f"{name}：扩建 {extra:,.0f} m³/d", f"{name}: another {extra:,.0f} m³/d",
                prices.source("effluent", "plant_module"), _sure(prices, "effluent", "plant_module"),
            )
        )  # fmt: skip
    return found


def _roads(layer: Snapshot, prices: Prices, classes: RoadClasses, year: int) -> list[Option]:
    """Each stretch a class higher: what more trucks carry, for its length."""
    trucks = dict(zip(classes.names, classes.trucks_d, strict=True))
    length = np.bincount(layer.owner, shapely.length(layer.pieces), minlength=len(layer.features))
    found = []
    for row, (name, said) in enumerate(zip(layer.names, layer.column("road_class"), strict=True)):
        better = UPGRADES.get(str(said))
        if better is None or length[row] <= 0:
            continue
        item = f"upgrade_{said}"
        extra = float(trucks[better] - trucks[str(said)]) * PAYLOAD_T / 2
        found.append(
            Option(
                *_account(layer, row, "freight_td"), round(extra), "td",
                _three(prices.of_item("road", item) * length[row] / 1000),
                year + round(prices.typical("road", "upgrade_years")),
                f"{name}：{length[row] / 1000:.2f} km 提升一级", f"{name}: {length[row] / 1000:.2f} km a class up",
                prices.source("road", item), _sure(prices, "road", item),
            )
        )  # fmt: skip
    return found


def _account(layer: Snapshot, row: int, unit: str) -> tuple[str, str]:
    facility = str(layer.column("id")[row])
    return facility, f"capacity/{facility}/{unit}"


def _number(layer: Snapshot, column: str, row: int) -> float:
    value = layer.column(column)[row]
    return np.nan if pd.isna(value) else float(value)


def _three(cost: np.ndarray) -> tuple[float, float, float]:
    low, typical, high = (round(float(one), 3) for one in cost)
    return low, typical, high


def _sure(prices: Prices, utility: str, *items: str) -> str:
    return least_sure([prices.confidence(utility, one) for one in items])
