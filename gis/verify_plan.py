"""Does a plan hold? Plain sums and plain geometry, sharing nothing with the solver that made it.

Every placement is added up again, every pair of grounds is laid over each other, every year is counted. A plan that
does not verify is never shown as done.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import shapely

SHARED_M2 = 0.01  # less shared ground is the arithmetic of coordinates, as in the published areas
ROUNDING = 1e-6  # of an amount: sums in another order


@dataclass(frozen=True)
class Step:
    """One phase of a placement: when it is approved, begun and productive, and what it takes of each pool."""

    approval_year: int
    start_year: int
    production_year: int
    takes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Placement:
    """One project (or one component of it) on its ground, in the working CRS."""

    project: str
    ground: shapely.Geometry
    steps: tuple[Step, ...]
    value: float = 0.0
    site: str | None = None
    component: str | None = None
    kinds: frozenset[str] = frozenset()
    linked_within_m: float | None = None  # of the project's main ground, for a component
    spends: float = 0.0  # of the fund, where it covers more than purchases

    @property
    def name(self) -> str:
        return self.project if self.component is None else f"{self.project}/{self.component}"


@dataclass(frozen=True)
class Stock:
    """What a pool holds by year.

    A `quota` is granted and spent by year of approval, and what is left may be carried over `carried_years`. A `load`
    stays from the year of production on; `granted` says what there is in all, from that year until the next one named.
    """

    name: str
    kind: Literal["quota", "load"]
    granted: Mapping[int, float]
    carried_years: int = 0


@dataclass(frozen=True)
class Bought:
    """One purchase: its cost, and by how much each pool grows from which year on."""

    name: str
    cost: float
    adds: Mapping[str, float]
    from_year: int


@dataclass(frozen=True)
class Apart:
    """Two kinds that keep a distance from each other."""

    kind: str
    other: str
    distance_m: float


@dataclass(frozen=True)
class Pair:
    """Two projects that are worth more where their main grounds stand within a distance."""

    project: str
    other: str
    within_m: float
    value: float


@dataclass(frozen=True)
class Line:
    """One connection of a project: the places its way leads over, what a metre there costs in metres of easy ground,
    what a km of that costs, what stands at its ends, and what the plan says of it alone and with shared stretches."""

    project: str
    utility: str
    places: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    wan_km: float
    things_wan: float
    alone_wan: float
    share_wan: float


@dataclass(frozen=True)
class Billed:
    """What a plan says it costs, in wan: by line, utility, project and in all; `covers` is what the fund pays besides
    purchases."""

    lines: tuple[Line, ...]
    utilities: Mapping[str, float]
    earthwork: Mapping[str, float]
    land: Mapping[str, float]
    purchases: Mapping[str, float]
    projects: Mapping[str, float]
    total: float
    fund: float | None = None
    covers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong: `what` is a word to count by, `who` the placements or pools, `amount` by how much."""

    what: str
    who: tuple[str, ...]
    amount: float
    zh: str
    en: str


def verify(
    placements: Sequence[Placement],
    stocks: Iterable[Stock],
    *,
    apart: Iterable[Apart] = (),
    taken: Mapping[str, shapely.Geometry] | None = None,
    bought: Sequence[Bought] = (),
    fund: float | None = None,
    must: Iterable[str] = (),
    locks: Mapping[str, str] | None = None,
    blocked: Iterable[tuple[str, str]] = (),
    pairs: Iterable[Pair] = (),
    components: Mapping[str, Iterable[str]] | None = None,
    objective: float | None = None,
) -> tuple[Violation, ...]:
    """Everything that is wrong with a plan; empty where it holds.

    Parameters
    ----------
    taken : ground that others hold already, by name
    fund : the ceiling on purchases (园区建设资金), in the unit of their cost
    must, locks : projects that have to be placed; project -> site it has to be on
    blocked : (project, site) pairs that a fresh single check does not let through
    pairs : what adds to the plan's worth where both stand near each other
    components : project -> the names of what has to be placed with it
    objective : what the plan says it is worth: the values placed and of pairs, less what is bought
    """
    found = [
        *_placed(placements, must, locks or {}, set(blocked)),
        *_ground(placements, taken or {}),
        *_years(placements),
        *_components(placements, components or {}),
        *_distances(placements, apart),
        *_purchases(bought, fund, sum(one.spends for one in placements)),
    ]
    for stock in stocks:
        found += _quota(placements, stock, bought) if stock.kind == "quota" else _load(placements, stock, bought)
    if objective is not None:
        main = {one.project: one.ground for one in placements if one.component is None}
        near = [
            pair.value
            for pair in pairs
            if pair.project in main
            and pair.other in main
            and main[pair.project].distance(main[pair.other]) <= pair.within_m
        ]
        worth = sum(one.value for one in placements) + sum(near) - sum(one.cost for one in bought)
        if abs(worth - objective) > ROUNDING * max(1.0, abs(worth)):
            words = f"方案价值应为 {worth:g}，而非 {objective:g}", f"the plan is worth {worth:g}, not {objective:g}"
            found.append(Violation("objective", (), abs(worth - objective), *words))
    return tuple(found)


def _placed(
    placements: Sequence[Placement], must: Iterable[str], locks: Mapping[str, str], blocked: set[tuple[str, str]]
) -> list[Violation]:
    found = []
    for name, times in Counter(one.name for one in placements).items():
        if times > 1:
            found.append(
                Violation("twice", (name,), times, f"{name} 落地 {times} 次", f"{name} is placed {times} times")
            )
    here = {one.project for one in placements}
    for project in must:
        if project not in here:
            found.append(
                Violation("missing", (project,), 1, f"{project} 必须落地而未落地", f"{project} has to be placed")
            )
    for one in placements:
        lock = locks.get(one.project)
        if one.component is None and lock is not None and one.site != lock:
            words = f"{one.project} 已定于 {lock}", f"{one.project} was fixed on {lock}"
            found.append(Violation("lock", (one.name,), 1, *words))
        if (one.project, one.site) in blocked:
            words = f"{one.name} 在 {one.site} 未通过校验", f"{one.name} does not pass its check on {one.site}"
            found.append(Violation("blocked", (one.name,), 1, *words))
    return found


def _ground(placements: Sequence[Placement], taken: Mapping[str, shapely.Geometry]) -> list[Violation]:
    names = [*(one.name for one in placements), *taken]
    grounds = np.array([*(one.ground for one in placements), *taken.values(), None], dtype=object)[:-1]
    found = []
    left, right = shapely.STRtree(grounds).query(grounds, predicate="intersects")
    for first, second in zip(left.tolist(), right.tolist(), strict=True):
        if first < second and first < len(placements):
            shared_m2 = grounds[first].intersection(grounds[second]).area
            if shared_m2 > SHARED_M2:
                who = (names[first], names[second])
                words = f"{'、'.join(who)} 重叠 {shared_m2:.2f} m²", f"{' and '.join(who)} share {shared_m2:.2f} m²"
                found.append(Violation("ground", who, shared_m2, *words))
    return found


def _years(placements: Sequence[Placement]) -> list[Violation]:
    found = []
    for one in placements:
        before = None
        for step in one.steps:
            if not step.approval_year <= step.start_year <= step.production_year:
                words = (
                    f"{one.name} 的批准、开工、投产年份颠倒",
                    f"{one.name}: approval, start and production are out of order",
                )
                found.append(Violation("years", (one.name,), 1, *words))
            if before is not None and step.approval_year < before:
                words = f"{one.name} 的分期先后颠倒", f"{one.name}: its phases are out of order"
                found.append(Violation("phases", (one.name,), 1, *words))
            before = step.approval_year
    return found


def _components(placements: Sequence[Placement], asked: Mapping[str, Iterable[str]]) -> list[Violation]:
    main = {one.project: one for one in placements if one.component is None}
    found = []
    there = {(one.project, one.component) for one in placements}
    for project in main:
        for name in asked.get(project, ()):
            if (project, name) not in there:
                words = f"{project} 缺 {name}", f"{project} is placed without its {name}"
                found.append(Violation("component", (project,), 1, *words))
    for one in placements:
        if one.component is None:
            continue
        if one.project not in main:
            words = f"{one.name} 没有主厂", f"{one.name} has no main ground"
            found.append(Violation("component", (one.name,), 1, *words))
        elif one.linked_within_m is not None:
            far_m = one.ground.distance(main[one.project].ground) - one.linked_within_m
            if far_m > ROUNDING:
                words = f"{one.name} 距主厂超出 {far_m:.1f} m", f"{one.name} is {far_m:.1f} m too far from its plant"
                found.append(Violation("component", (one.name,), far_m, *words))
    return found


def _distances(placements: Sequence[Placement], apart: Iterable[Apart]) -> list[Violation]:
    found = []
    for rule in apart:
        for first in placements:
            if rule.kind not in first.kinds:
                continue
            for second in placements:
                if second.project != first.project and rule.other in second.kinds:
                    short_m = rule.distance_m - first.ground.distance(second.ground)
                    if short_m > ROUNDING and (rule.kind != rule.other or first.name < second.name):
                        who = (first.name, second.name)
                        words = (
                            f"{'、'.join(who)} 间距差 {short_m:.1f} m",
                            f"{' and '.join(who)} are {short_m:.1f} m too near",
                        )
                        found.append(Violation("apart", who, short_m, *words))
    return found


def _purchases(bought: Sequence[Bought], fund: float | None, spent: float) -> list[Violation]:
    found = []
    for name, times in Counter(one.name for one in bought).items():
        if times > 1:
            found.append(Violation("purchase", (name,), times, f"{name} 重复购置", f"{name} is bought {times} times"))
    cost = sum(one.cost for one in bought) + spent
    if fund is not None and cost > fund + ROUNDING * max(1.0, abs(fund)):
        words = f"支出 {cost:g} 超出建设资金 {fund:g}", f"{cost:g} is spent of a fund of {fund:g}"
        found.append(Violation("fund", (), cost - fund, *words))
    return found


def _quota(placements: Sequence[Placement], stock: Stock, bought: Sequence[Bought]) -> list[Violation]:
    """Year by year, the oldest grants are spent first; what is older than may be carried is lost."""
    spent: dict[int, float] = defaultdict(float)
    for one in placements:
        for step in one.steps:
            spent[step.approval_year] += step.takes.get(stock.name, 0.0)
    granted: dict[int, float] = defaultdict(float, stock.granted)
    for purchase in bought:
        granted[purchase.from_year] += purchase.adds.get(stock.name, 0.0)
    left: dict[int, float] = {}
    found = []
    for year in sorted({*spent, *granted}):
        left = {old: amount for old, amount in left.items() if year - old <= stock.carried_years}
        left[year] = granted.get(year, 0.0)
        want = spent.get(year, 0.0)
        for old in sorted(left):
            take = min(want, max(left[old], 0.0))
            left[old] -= take
            want -= take
        if want > ROUNDING * max(1.0, spent.get(year, 0.0)):
            found.append(_short(stock.name, year, want))
    return found


def _load(placements: Sequence[Placement], stock: Stock, bought: Sequence[Bought]) -> list[Violation]:
    steps = [(step.production_year, step.takes.get(stock.name, 0.0)) for one in placements for step in one.steps]
    years = sorted({*stock.granted, *(year for year, amount in steps if amount), *(one.from_year for one in bought)})
    found = []
    for year in years:
        known = [old for old in stock.granted if old <= year]
        there = stock.granted[max(known)] if known else 0.0
        there += sum(one.adds.get(stock.name, 0.0) for one in bought if one.from_year <= year)
        load = sum(amount for since, amount in steps if since <= year)
        if load - there > ROUNDING * max(1.0, load) and load > 0:
            found.append(_short(stock.name, year, load - there))
    return found


def _short(pool: str, year: int, amount: float) -> Violation:
    return Violation(
        "pool", (pool, str(year)), amount, f"{year} 年 {pool} 缺 {amount:g}", f"{pool} is short by {amount:g} in {year}"
    )


YUAN = 1e-4  # wan; what rounding to whole yuan may do to one amount


def verify_bill(bill: Billed) -> tuple[Violation, ...]:
    """Everything that is wrong with what a plan says it costs; empty where it adds up.

    Every step of every way is priced again, a step that several lines of a utility use is divided among them, and what
    comes out is held against what the plan says of each line, utility and project, of all together and of the fund.
    """
    found: list[Violation] = []

    def same(what: str, who: str, said: float, should: float, slack: float) -> None:
        if not abs(said - should) <= slack + ROUNDING * abs(should):
            words = f"{who} 应为 {should:,.4f} 万元，而非 {said:,.4f}", f"{who} is {should:,.4f} wan, not {said:,.4f}"
            found.append(Violation(what, (who,), abs(said - should), *words))

    users: dict[tuple[object, ...], list[tuple[float, int]]] = {}
    alone = [one.things_wan for one in bill.lines]
    for n, one in enumerate(bill.lines):
        for k in range(len(one.places) - 1):
            (x, y), (u, v) = one.places[k], one.places[k + 1]
            metres = ((x - u) ** 2 + (y - v) ** 2) ** 0.5
            wan = metres * (one.weights[k] + one.weights[k + 1]) / 2 * one.wan_km / 1000
            alone[n] += wan
            a, b = sorted([(round(x, 2), round(y, 2)), (round(u, 2), round(v, 2))])
            users.setdefault((one.utility, a, b), []).append((wan, n))
    share = [one.things_wan for one in bill.lines]
    for some in users.values():
        before, left = 0.0, len(some)
        paid = 0.0
        for wan, n in sorted(some):  # the cheapest need first: all who are left pay for what it adds
            paid += (wan - before) / left
            share[n] += paid
            before, left = wan, left - 1
    owed: dict[str, float] = defaultdict(float)
    by_utility: dict[str, float] = defaultdict(float)
    for n, one in enumerate(bill.lines):
        who = f"{one.project} {one.utility}"
        same("bill-line", who, one.alone_wan, alone[n], YUAN)
        same("bill-share", who, one.share_wan, share[n], YUAN)
        owed[one.project] += one.share_wan
        by_utility[one.utility] += one.share_wan
    for utility in {*by_utility, *bill.utilities}:
        same("bill-utility", utility, bill.utilities.get(utility, 0.0), by_utility[utility], 0.0)
    for project in {*owed, *bill.earthwork, *bill.land, *bill.projects}:
        should = owed[project] + bill.earthwork.get(project, 0.0) + bill.land.get(project, 0.0)
        same("bill-project", project, bill.projects.get(project, 0.0), should, 0.0)
    parts = {"connection": sum(by_utility.values()), "earthwork": sum(bill.earthwork.values())}
    parts["land"] = sum(bill.land.values())
    built = sum(bill.purchases.values())
    same("bill-total", "total", bill.total, sum(parts.values()) + built, 0.0)
    if bill.fund is not None:
        spent = built + sum(parts[name] for name in bill.covers)
        if spent > bill.fund + YUAN * (len(bill.lines) + 1):
            words = f"支出 {spent:,.2f} 超出建设资金 {bill.fund:,.2f}", f"{spent:,.2f} is spent of {bill.fund:,.2f}"
            found.append(Violation("bill-fund", (), spent - bill.fund, *words))
    return tuple(found)
