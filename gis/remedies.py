"""What would make a rule of the networks pass: how much is missing, where, and the cheapest upgrade that clears it.

Worked out of the same columns that failed; every price is an assumption of the rulebook's table, and the text says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gis.check import Checked
from gis.expansions import Option, clearing, expansions
from gis.ground import Ground
from gis.meetings import MEETINGS, Serving
from gis.needs import PAYLOAD_T
from gis.quota import QuotaNeed, accounts, shares
from gis.rules import Rule
from gis.serving import PLANTS, Reachable, reachable
from gis.ways import prices_of, reach_of
from layers.records import Snapshot

Text = dict[str, str]
SURE = {"assumption": ("假设", "assumption")}
FIRE_M3 = (108, 486)  # 15 L/s for 2 h to 45 L/s for 3 h (GB 50974-2014)
QUOTAS = {"new_construction": "新增建设用地", "agricultural": "农用地转用", "cultivated": "耕地转用"}
MAKES = {"power_kva": "kVA", "water_m3d": "m³/d", "effluent_m3d": "m³/d", "freight_td": "t/d"}


def remedy(checked: Checked, rule: Rule, i: int, j: int, ground: Ground) -> Text | None:
    """In words, what would make a failing rule of site `i` and project `j` pass; None for rules of other things."""
    if (one := _serving(rule)) is not None:
        return _room(checked, one, j, ground)
    if rule.pool in QUOTAS:
        short = missing(checked, rule, j, ground)
        return None if short is None else dict(zip(("zh", "en"), short.words(), strict=True))
    make = OTHERS.get(rule.id)
    return None if make is None else make(checked, i, j, ground)


@dataclass(frozen=True)
class Missing:
    """By how much accounts are short for one rule to pass."""

    unit: str
    names: dict[str, str]
    amounts: dict[str, float]

    def words(self) -> tuple[str, str]:
        said = [(self.names[name], f"{amount:,.0f} {self.unit}") for name, amount in self.amounts.items()]
        zh = "；".join(f"{name}还差 {amount}" for name, amount in said)
        return zh, "; ".join(f"{name} is short by {amount}" for name, amount in said)


def missing(checked: Checked, rule: Rule, j: int, ground: Ground) -> Missing | None:
    """What is short where a failing rule is one of a shared pool; None for other rules and where nobody knows.

    Of facilities the one within reach that lacks least, with those that feed it; of quota each unit by its share.
    """
    if rule.pool in QUOTAS:
        return _quota(checked, str(rule.pool), ground)
    one = _serving(rule)
    if one is None or rule.scope != "sum":
        return None
    layer, found = ground.layer(one.role), _reachable(checked, one, ground)
    need = float(checked.needs[one.need].hi[j])
    if layer is None or found is None or math.isnan(need) or (row := _least(found, j)) is None:
        return None
    left = {name: found.balances[name] for name in found.accounts[row]}
    amounts = {name: float(math.ceil(need - balance)) for name, balance in left.items() if balance < need}
    if not amounts:
        return None
    called = dict(zip(map(str, layer.column("id")), layer.names, strict=True))
    return Missing(MAKES[one.need], {name: called.get(name.split("/")[1], name) for name in amounts}, amounts)


def upgrades(checked: Checked, short: Missing) -> list[Option]:
    """Upgrades that clear what is short, the cheapest first; none where more than one account lacks."""
    if len(short.amounts) != 1:
        return []
    ((account, amount),) = short.amounts.items()
    fit = [one for one in expansions(checked.world, checked.rulebook) if one.account == account and one.extra >= amount]
    return sorted(fit, key=lambda one: one.cost_wan[1])


def _quota(checked: Checked, kind: str, ground: Ground) -> Missing | None:
    """Each unit that the site is charged to, by its share of the need."""
    need = float(QuotaNeed(kind).measure(ground, 0.0).hi[0])
    charged = shares(ground, kind)
    if charged is None or not math.isfinite(need):
        return None
    left = accounts(ground)[kind]
    year = checked.world.for_year
    short = {unit: math.ceil(round(need * share - max(left[unit], 0.0), 6)) for unit, share in charged}
    amounts = {f"quota/{unit}/{year}/{kind}": float(amount) for unit, amount in short.items() if amount > 0}
    return (
        Missing("m²", {name: f"{name.split('/')[1]} {QUOTAS[kind]}" for name in amounts}, amounts) if amounts else None
    )


def _serving(rule: Rule) -> Serving | None:
    some = [one for name in rule.columns if isinstance(one := MEETINGS.get(name), Serving)]
    return some[0] if some and rule.id != "power.dual" else None


def _reachable(checked: Checked, serving: Serving, ground: Ground) -> Reachable | None:
    """The facilities that may serve; None where none is loaded."""
    demand = next(one for one in PLANTS if one.kind == serving.need)
    found = reachable(ground, demand, checked.needs)
    return found if found is not None and len(found.accounts) else None


def _least(found: Reachable, j: int) -> int | None:
    """The row of the facility within reach that has most left; None where nobody knows of any."""
    left = np.where(found.near(j)[0], found.headroom, np.nan)
    return None if np.isnan(left).all() else int(np.nanargmax(left))


def _room(checked: Checked, serving: Serving, j: int, ground: Ground) -> Text | None:
    """The facility within reach that lacks least, and what would make it enough."""
    layer, found = ground.layer(serving.role), _reachable(checked, serving, ground)
    if layer is None or found is None:
        return None
    row = _least(found, j)
    if row is None:
        far_m = found.far_m[0]
        near, reach_km = int(np.argmin(far_m)), float(found.reach_m[j]) / 1000
        return {
            "zh": f"{reach_km:g} km 内没有可接且余量已知的设施；"
            f"最近的是{layer.names[near]}（{far_m[near] / 1000:.1f} km）",
            "en": f"nothing that could serve and whose room is known within {reach_km:g} km; the nearest is "
            f"{layer.names[near]} ({far_m[near] / 1000:.1f} km)",
        }
    need = float(checked.needs[serving.need].hi[j])
    return _short(checked, layer, row, need - float(found.headroom[row]), serving.need)


def _short(checked: Checked, layer: Snapshot, row: int, short: float, account: str) -> Text | None:
    if short <= 0:
        return None
    unit, name = MAKES[account], layer.names[row]
    zh, en = f"{name}还差 {short:,.0f} {unit}", f"short by {short:,.0f} {unit} at {name}"
    options = expansions(checked.world, checked.rulebook)
    found = clearing(options, f"capacity/{layer.column('id')[row]}/{account}", short)
    if found is None:
        return {"zh": f"{zh}；已知的扩容方案都不够", "en": f"{en}; no upgrade we know of clears it"}
    said, said_en = told_option(found)
    return {"zh": f"{zh}；{said}可解决", "en": f"{en}; {said_en} clears it"}


def told_option(one: Option) -> tuple[str, str]:
    sure, sure_en = SURE.get(one.confidence, (one.confidence, one.confidence))
    low, typical, high = one.cost_wan
    cost = f"{typical:,.0f} 万元，{low:,.0f}–{high:,.0f}"
    return (
        f"{one.zh}（+{one.extra:,.0f}；{sure}：约 {cost}；{one.year} 年）",
        f"{one.en} (+{one.extra:,.0f}; {sure_en}: about {typical:,.0f} 万元, {low:,.0f}-{high:,.0f}; {one.year})",
    )


def _way(ground: Ground) -> tuple[Snapshot, np.ndarray] | None:
    """The roads, and the features of the site's way in its order."""
    layer, reach = ground.layer("roads"), reach_of(ground)
    if layer is None or reach is None:
        return None
    return layer, reach.roads.network.row[reach.edges(0)]


def _bridge(checked: Checked, i: int, j: int, ground: Ground) -> Text | None:
    found = _way(ground)
    if found is None or len(found[1]) == 0:
        return None
    layer, rows = found
    limits = layer.column("bridge_limit_t").astype(float)[rows]
    row = rows[int(np.nanargmin(limits))]
    limit, name, feature = float(np.nanmin(limits)), layer.names[row], layer.column("id")[row]
    freight = float(checked.needs["freight_td"].hi[j])
    light = max(limit * 0.6, 1.0)  # about what a truck of that weight carries
    return {
        "zh": f"{name}（{feature}）桥梁限载 {limit:g} t：加固至 49 t，或以总重 ≤{limit:g} t 的车辆每日往返约 "
        f"{freight * 2 / light:,.0f} 车次",
        "en": f"{limit:g} t limit at a bridge of {name} ({feature}): strengthen it to 49 t, or about "
        f"{freight * 2 / light:,.0f} passages a day by trucks of at most {limit:g} t",
    }


def _trucks(checked: Checked, i: int, j: int, ground: Ground) -> Text | None:
    found = _way(ground)
    if found is None or len(found[1]) == 0:
        return None
    layer, rows = found
    most = float(checked.facts.columns["road_trucks_max_d"].hi[i])
    short = (float(checked.needs["trucks_d"].hi[j]) - most) * PAYLOAD_T / 2
    ranks = {name: n for n, name in enumerate(checked.rulebook.tables["road_classes"]["road_class"])}
    row = max(rows, key=lambda one: ranks.get(str(layer.column("road_class")[one]), -1))
    return _short(checked, layer, int(row), short, "freight_td")


def _freight(checked: Checked, i: int, j: int, ground: Ground) -> Text | None:
    found = _way(ground)
    if found is None or len(found[1]) == 0:
        return None
    layer, rows = found
    pools = checked.world.pools()
    left = [pools.get(f"capacity/{layer.column('id')[row]}/freight_td", np.inf) for row in rows]
    row = int(rows[int(np.argmin(left))])
    return _short(checked, layer, row, float(checked.needs["freight_td"].hi[j]) - min(left), "freight_td")


def _pump(checked: Checked, i: int, j: int, ground: Ground) -> Text | None:
    head = float(checked.meetings["water_head_m"].hi[i, j])
    if not np.isfinite(head):
        return None
    prices = prices_of(ground)
    lift_m = prices.typical("water", "hydrant_head") - head
    kw = float(checked.needs["water_m3d"].hi[j]) / 86_400 * 9.81 * lift_m / prices.typical("water", "pump_efficiency")
    wan = kw * prices.typical("water", "pump_kw") + prices.typical("water", "pump_station")
    return {
        "zh": f"加压 {lift_m:,.0f} m：泵站约 {kw:,.1f} kW（假设：约 {wan:,.0f} 万元）",
        "en": f"lift it by {lift_m:,.0f} m: a pump station of about {kw:,.1f} kW (assumption: about {wan:,.0f} 万元)",
    }


def _fire(checked: Checked, i: int, j: int, ground: Ground) -> Text | None:
    low, high = FIRE_M3
    return {
        "zh": f"自建消防水池 {low}–{high} m³（15–45 L/s、2–3 h，按火灾危险性定）",
        "en": f"store {low}-{high} m³ on the site (15-45 L/s for 2-3 h, by fire hazard)",
    }


def _dual(checked: Checked, i: int, j: int, ground: Ground) -> Text | None:
    count = int(checked.meetings["power_sources"].hi[i, j])
    return {
        "zh": f"供电半径内仅 {count} 座变电站有余量；第二电源须扩容另一座变电站或自备电源",
        "en": f"only {count} stations within reach have enough; a second supply needs another station enlarged, or a "
        "source of the plant's own",
    }


OTHERS: dict[str, Callable[[Checked, int, int, Ground], Text | None]] = {
    "road.bridge": _bridge,
    "road.trucks": _trucks,
    "road.headroom": _freight,
    "water.head": _pump,
    "water.fire": _fire,
    "power.dual": _dual,
}
