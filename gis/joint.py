"""The whole project library on the ground at once: offers, years, quotas and capacities become one `choose`.

Sites run down once for each year a project may be approved in, projects run across; quotas and loads by year are in
`gis.yearly`. What comes out is verified by `gis.verify_plan` before anybody sees it.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely

from gis.alternatives import Point, alternatives, front
from gis.billing import Bill
from gis.companions import Bonuses, Linked, bonuses, linked
from gis.offers import Candidates
from gis.plan import Choice, choose
from gis.quota import UNTIL_USED
from gis.scenario import ChainBonus, Purchase, Scenario
from gis.solver.known import Watch, gap_of
from gis.unplaced import contradictions, why_left_out, why_none
from gis.verify_plan import SHARED_M2, Apart, Bought, Pair, Placement, Step, Stock, Violation, verify
from gis.waiting import Asking, waits
from gis.yearly import ENERGY, EVER, QUOTA, County, Phases, granted_of, kind_of, phases_of, pools_of, used_tce
from layers.errors import BadInput, Fault
from layers.records import Floats, Ints, Project

MOST_MUSTS = 40  # beyond them it is not looked for which two contradict each other


@dataclass(frozen=True)
class Assigned:
    """One project on one candidate."""

    project: str
    site: int
    name: str
    value: float
    steps: tuple[Step, ...]
    waits_for: tuple[str, ...] = ()
    component: str | None = None
    column: int = -1
    offer: int = 0

    @property
    def key(self) -> str:
        return self.project if self.component is None else f"{self.project}/{self.component}"


@dataclass(frozen=True)
class Held:
    """One pool of a plan in one year, or in a window of years from `since` on."""

    name: str
    year: int
    used: float
    balance: float
    price: float
    since: int | None = None


@dataclass(frozen=True)
class Alternative:
    """Another plan nearly as good: `moved` says of whom it places elsewhere (project, from, to), each the name of the
    site and the year of approval, None where it is not placed."""

    objective: float
    bound: float
    bought: tuple[str, ...]
    moved: tuple[tuple[str, tuple[str, int] | None, tuple[str, int] | None], ...]


@dataclass(frozen=True)
class Trade:
    """One point of the front of value against what is spared: how much of each is spent, how many are placed."""

    value: float
    spent: tuple[float, ...]
    placed: int
    bought: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Joint:
    """A plan of projects on candidates: `violations` is what the verifier found, empty where the plan holds."""

    assigned: tuple[Assigned, ...]
    unplaced: dict[str, tuple[tuple[str, str], ...]]
    pools: tuple[Held, ...]
    bought: tuple[str, ...]
    choice: Choice
    violations: tuple[Violation, ...]
    shortfall: dict[str, float] | None = None
    alternatives: tuple[Alternative, ...] = ()
    front: tuple[Trade, ...] = ()
    built: tuple[Purchase, ...] = ()
    bill: Bill | None = None


def plan(
    sites: Candidates, projects: Sequence[Project], county: County, scenario: Scenario, watch: Watch | None = None
) -> Joint:
    """The best plan for a scenario, verified.

    Raises BadInput for names in the scenario that stand for nothing, and for locks on ground where the project may not
    stand, all of them at once.
    """
    years = scenario.start_years
    assert years is not None, "the caller knows which year it is"
    keys = [one.key for one in projects]
    _known(sites, keys, county, scenario)
    phases = phases_of(projects, county.loads, scenario.build_years)
    count, choices = len(sites.ground), county.choices
    spread = len(years) * choices
    value = county.each(county.value) * np.array([scenario.priorities.get(key, 1.0) for key in keys])
    there = county.allowed & sites.fits & (True if county.offers is None else county.offers)
    benefit = np.tile(np.where(there, value, -np.inf).reshape(-1, len(keys)), (len(years), 1))
    for n, project in enumerate(projects):
        first = min((one.approval_year for one in project.phases if one.approval_year is not None), default=None)
        if first in years:
            late = np.repeat(np.array(years) != first, count * choices)
            benefit[late, n] = -np.inf
    if scenario.energy_caps:
        benefit[:, np.isnan(county.energy_tce)] = -np.inf  # unknown is not zero
    spends = None
    if scenario.fund_wan is not None and scenario.fund_covers:
        spends = np.tile(county.each(county.covered_wan(scenario)).reshape(-1, len(keys)), (len(years), 1))
        benefit[~np.isfinite(spends)] = -np.inf  # nobody knows what it would take of the fund
        spends = np.where(np.isfinite(spends), spends, 0.0) * scenario.fund_weight
    pools, held = pools_of(county, phases, scenario, count)
    needs = linked(np.tile(sites.ground, choices), benefit, county.links)
    extra = None
    if scenario.chain is not None and county.kin:
        extra = bonuses(sites.ground, benefit, county.kin, scenario.chain.value, scenario.chain.within_m)
        needs += extra.needs
    must = np.array([key in scenario.must or key in scenario.locks for key in keys])
    _lock(sites, keys, benefit, scenario)
    asked: dict[str, Any] = {
        "pools": pools if extra is None else [replace(one, use=_wider(one.use, extra)) for one in pools],
        "needs": needs,
        "overlaps": _groups(sites, spread),
        "conflicts": _conflicts(sites, county, scenario, benefit),
        "must": must,
        "fund": None if scenario.fund_wan is None else scenario.fund_wan * scenario.fund_weight,
        "spends": spends,
        "time_limit_s": scenario.time_limit_s,
        "gap": scenario.gap,
        "seed": scenario.seed,
    }
    narrow = benefit
    if extra is not None:
        benefit = _wider(benefit, extra, extra.benefit)
        asked["must"] = np.append(must, np.zeros(len(extra.pairs), dtype=bool))
        asked["spends"] = None if spends is None else _wider(spends, extra)
    choice = choose(benefit, **asked, watch=watch)
    if extra is not None and scenario.chain is not None:
        choice = _with_pairs(choice, sites, extra, scenario.chain)
    others: list[Choice] = []
    if scenario.alternatives and choice.status in ("optimal", "feasible"):
        real = np.arange(benefit.shape[1]) < len(keys)
        others = alternatives(
            benefit,
            choice,
            count=scenario.alternatives,
            watch=watch,
            counted=real,
            alike=_places(benefit, choices, count),
            **asked,
        )
    trades: list[Point] = []
    if county.spared and choice.status in ("optimal", "feasible"):
        spared = [np.tile(county.each(one).reshape(-1, len(keys)), (len(years), 1)) for one in county.spared.values()]
        spared = spared if extra is None else [_wider(one, extra) for one in spared]
        each_s = max(1.0, scenario.time_limit_s / scenario.front_points)
        once = {**asked, "time_limit_s": each_s}
        trades = front(benefit, *spared, points=scenario.front_points, first=choice, watch=watch, **once)
    assigned = tuple(
        _assigned(sites, keys, county, phases, years, choice, value, int(n), bool(scenario.energy_caps))
        for n in np.flatnonzero(choice.site[: len(keys)] >= 0)
    )
    assigned = _waiting(assigned, scenario, county, choice)
    violations = _verified(assigned, sites, projects, county, scenario, choice, years)
    pool_rows = tuple(
        Held(account, year, choice.used.get(pool.name, 0.0), pool.balance, choice.prices.get(pool.name, 0.0), since)
        for pool, (account, year, since) in zip(pools, held, strict=True)
    )
    of_plant: dict[int, list[Linked]] = {}
    for link in county.links:
        of_plant.setdefault(link.plant, []).append(link)
    components = {link.component for link in county.links}
    unplaced = {}
    against: dict[int, list[str]] = {}
    if choice.status == "infeasible" and must.sum() <= MOST_MUSTS:
        against = contradictions(must, sites, narrow, asked["conflicts"], keys)
    for n in np.flatnonzero(choice.site[: len(keys)] < 0).tolist():
        if n in components:
            continue
        reasons = list(why_left_out(n, county, scenario, sites, pools, narrow, choice))
        if choice.status == "infeasible" and np.isfinite(narrow[:, n]).any():
            reasons = list(why_none(n, must, against, choice.shortfall))
        for link in of_plant.get(n, ()):
            for zh, en in why_left_out(link.component, county, scenario, sites, pools, narrow, choice):
                reasons.append((f"{link.name}：{zh}", f"{link.name}: {en}"))
        unplaced[keys[n]] = tuple(reasons)
    different = tuple(_different(sites, keys, years, choices, choice, other) for other in others)
    return Joint(
        assigned, unplaced, pool_rows, choice.expansions_used, choice, violations, choice.shortfall, different,
        tuple(Trade(value, spent, int((one.site >= 0).sum()), one.expansions_used) for value, spent, one in trades),
        tuple(one for one in scenario.purchases if one.name in choice.expansions_used),
    )  # fmt: skip


def _wider(use: Any, extra: Bonuses, corner: Floats | None = None) -> Any:
    """What projects take of a pool, or are worth, with nothing for the bonuses behind them, or with `corner`."""
    more, behind = extra.benefit.shape
    if isinstance(use, tuple):
        across, along = use
        if across.ndim == 1:
            return np.append(across, np.zeros(more)), np.append(along, np.zeros(behind))
        return np.pad(across, ((0, more), (0, 0))), np.pad(along, ((0, 0), (0, behind)))
    wide = np.pad(use, ((0, more), (0, behind)), constant_values=0.0 if corner is None else -np.inf)
    if corner is not None:
        wide[-more:, -behind:] = corner
    return wide


def _with_pairs(choice: Choice, sites: Candidates, extra: Bonuses, chain: ChainBonus) -> Choice:
    """A search that ended within its gap may have left a bonus that its plan has: it counts."""
    site, count = choice.site[: len(choice.site) - len(extra.pairs)], len(sites.ground)
    near = sum(
        bool(site[pair.one] >= 0 and site[pair.other] >= 0)
        and sites.ground[site[pair.one] % count].distance(sites.ground[site[pair.other] % count]) <= chain.within_m
        for pair in extra.pairs
    )
    missed = chain.value * (near - int((choice.site[len(site) :] >= 0).sum()))
    if not missed or choice.status not in ("optimal", "feasible"):
        return choice
    value = choice.objective + missed
    bound = max(choice.bound, value)
    return replace(choice, objective=value, bound=bound, gap=gap_of(value, bound))


def _different(
    sites: Candidates, keys: Sequence[str], years: Sequence[int], choices: int, choice: Choice, other: Choice
) -> Alternative:
    """Another plan by who moved."""

    def where(row: int) -> tuple[str, int] | None:
        turn, site = divmod(row, len(sites.ground))
        return None if row < 0 else (sites.names[site], years[turn // choices])

    stands = [(key, where(int(choice.site[n])), where(int(other.site[n]))) for n, key in enumerate(keys)]
    moved = [one for one in stands if one[1] != one[2]]
    return Alternative(other.objective, other.bound, other.expansions_used, tuple(moved))


def _known(sites: Candidates, keys: Sequence[str], county: County, scenario: Scenario) -> None:
    faults = []

    def fault(reason: str, field: str) -> None:
        faults.append(Fault(reason, "Correct the name", layer="scenario", field=field))

    for row, some in (("must", scenario.must), ("locks", scenario.locks), ("priorities", scenario.priorities)):
        for key in sorted(set(some) - set(keys)):
            fault(f"there is no project {key!r}", f"{row}.{key}")
    for key, site in scenario.locks.items():
        if site not in sites.names:
            parts = [name for name in sites.names if name.startswith(f"{site}/")]
            near = parts[:5] or difflib.get_close_matches(site, sites.names, n=3)
            fix = f"Candidates near that name: {', '.join(near)}" if near else "Correct the name"
            faults.append(Fault(f"there is no candidate site {site!r} for {key}", fix, layer="scenario", field="locks"))

    def strange(names: Iterable[str]) -> list[str]:
        """Neither an account nor quota of one of the units, which may be granted one day."""
        units = {unit for kind in county.drawn for unit in county.charged(kind)}
        some = sorted(set(names) - set(county.accounts))
        return [name for name in some if (said := QUOTA.fullmatch(name)) is None or said["unit"] not in units]

    for one in scenario.purchases:
        for account in strange(one.adds):
            fault(f"there is no account {account!r}", f"purchases.{one.name}")
    for account in strange(scenario.balances):
        fault(f"there is no account {account!r}", "balances")
    for rule in scenario.apart:
        for kind in sorted({rule.kind, rule.other} - set(county.kinds)):
            fault(f"there is no kind {kind!r}; one of {', '.join(sorted(county.kinds))}", "apart")
    if faults:
        raise BadInput("the scenario cannot be used", faults)


def _groups(sites: Candidates, spread: int) -> list[Ints]:
    """Shared ground in any of the years; a site itself is taken once, whenever."""
    count = len(sites.ground)
    later = np.arange(spread) * count
    groups = [(one[:, None] + later).ravel() for one in sites.overlaps()]
    inside = np.zeros(count, dtype=bool)
    for one in groups:
        inside[one[one < count]] = True
    if spread > 1:
        groups += [site + later for site in np.flatnonzero(~inside)]
    return groups


def _conflicts(sites: Candidates, county: County, scenario: Scenario, benefit: Floats) -> Ints:
    count = len(sites.ground)
    spread = len(benefit) // count
    rows: list[Ints] = []
    owner = np.arange(benefit.shape[1])
    owner[[link.component for link in county.links]] = [link.plant for link in county.links]
    for rule in scenario.apart:
        one, other = np.flatnonzero(county.kinds[rule.kind]), np.flatnonzero(county.kinds[rule.other])
        if not len(one) or not len(other):
            continue
        left, right = shapely.STRtree(sites.ground).query(sites.ground, predicate="dwithin", distance=rule.distance_m)
        near = shapely.distance(sites.ground[left], sites.ground[right]) < rule.distance_m
        left, right = left[near], right[near]
        for i in one:
            for j in other:
                if owner[i] == owner[j]:
                    continue  # a plant need not keep away from its own yard
                for early in range(spread):
                    for late in range(spread):
                        a, b = left + early * count, right + late * count
                        both = np.isfinite(benefit[a, i]) & np.isfinite(benefit[b, j])
                        rows.append(
                            np.stack([a[both], np.full(both.sum(), i), b[both], np.full(both.sum(), j)], axis=1)
                        )
    none: Ints = np.zeros((0, 4), dtype=np.int64)
    return np.concatenate([none, *rows])


def _lock(sites: Candidates, keys: Sequence[str], benefit: Floats, scenario: Scenario) -> None:
    """Leaves to a locked project its site only, in whatever year and by whatever offer."""
    faults = []
    stands: dict[int, int] = {}
    there = np.arange(len(benefit)) % len(sites.ground)
    for key, name in scenario.locks.items():
        n, site = keys.index(key), sites.names.index(name)
        benefit[there != site, n] = -np.inf
        if np.isfinite(benefit[:, n]).any():
            stands[n] = site
            continue
        if sites.fits[site, n]:
            reason = f"{key} may not stand on {name}: it does not pass its check there"
        else:
            reason = f"{key} may not stand on {name}: it asks for another size of ground"
        faults.append(Fault(reason, "Take the lock off, or see its check", None, "scenario", key, "locks"))
    for one, other in itertools.combinations(stands, 2):
        shared_m2 = sites.ground[stands[one]].intersection(sites.ground[stands[other]]).area
        if shared_m2 > SHARED_M2:
            who = f"{keys[one]} and {keys[other]}"
            reason = f"{who} are locked on the same ground: {sites.names[stands[one]]}, {sites.names[stands[other]]}"
            faults.append(Fault(reason, "Take one of the locks off", None, "scenario", keys[other], "locks"))
    if faults:
        raise BadInput("a project is locked on ground where it may not stand", faults)


def _places(benefit: Floats, choices: int, count: int) -> Ints:
    """(rows,) which site in which year a row is, by whatever offer."""
    row = np.arange(len(benefit))
    places: Ints = row // (choices * count) * count + row % count
    return places


def _assigned(
    sites: Candidates,
    keys: Sequence[str],
    county: County,
    phases: Phases,
    years: Sequence[int],
    choice: Choice,
    value: Floats,
    n: int,
    is_capped: bool,
) -> Assigned:
    turn, site = divmod(int(choice.site[n]), len(sites.ground))
    year, offer = divmod(turn, county.choices)
    steps = []
    for row in np.flatnonzero(phases.project == n):
        approval, start, done = (
            years[year] + int(one[row]) for one in (phases.approval, phases.start, phases.production)
        )
        takes = county.quota(site, n, phases, int(row))
        if is_capped:
            takes[ENERGY] = float(used_tce(county, phases)[row])
        takes |= {account: float(phases.load[kind_of(account)][row]) for account in county.takes(site, n, offer)}
        steps.append(Step(approval, start, done, takes))
    link = next((one for one in county.links if one.component == n), None)
    whose, part = (keys[n], None) if link is None else (keys[link.plant], link.name)
    return Assigned(whose, site, sites.names[site], float(value[offer, site, n]), tuple(steps), (), part, n, offer)


def _waiting(
    assigned: tuple[Assigned, ...], scenario: Scenario, county: County, choice: Choice
) -> tuple[Assigned, ...]:
    """Whoever draws on more than the books hold today waits for what is bought, granted or carried over."""
    bought = [one for one in scenario.purchases if one.name in choice.expansions_used]
    asking = [Asking(one.key, one.value, one.steps) for one in assigned]
    found = waits(asking, county.accounts, bought, scenario.carry_years)
    together: dict[str, dict[str, None]] = {}
    for one in assigned:  # a plant waits for what its components wait for, and they for it
        together.setdefault(one.project, {}).update(dict.fromkeys(found[one.key]))
    return tuple(replace(one, waits_for=tuple(together[one.project])) for one in assigned)


def _verified(
    assigned: Sequence[Assigned],
    sites: Candidates,
    projects: Sequence[Project],
    county: County,
    scenario: Scenario,
    choice: Choice,
    years: Sequence[int],
) -> tuple[Violation, ...]:
    accounts = {**county.accounts, **scenario.balances}
    keys = [one.key for one in projects]
    stocks = [Stock(account, "load", {min(years): accounts[account]}) for account in (*county.serves, *county.ways)]
    if scenario.energy_caps:
        stocks.append(Stock(ENERGY, "load", {-1: float("inf"), **scenario.energy_caps}))
    granted = granted_of(accounts)
    for kind in county.drawn:
        carried = EVER if kind in UNTIL_USED else scenario.carry_years
        for unit in sorted(set(county.charged(kind)) - {""}):
            stocks.append(Stock(f"quota/{unit}/{kind}", "quota", granted.get((unit, kind), {}), carried))
    bought = []
    for one in scenario.purchases:
        if one.name in choice.expansions_used:
            loads = {account: amount for account, amount in one.adds.items() if not account.startswith("quota/")}
            bought.append(Bought(one.name, one.cost_wan * scenario.fund_weight, loads, one.from_year or min(years)))
            for account, amount in one.adds.items():
                if account.startswith("quota/"):  # a quota is of its own year
                    _, unit, year, kind = account.split("/")
                    bought.append(Bought(account, 0.0, {f"quota/{unit}/{kind}": amount}, int(year)))
    placements = []
    spends = county.covered_wan(scenario) if scenario.fund_wan is not None and scenario.fund_covers else None
    for at in assigned:
        n = at.column
        within_m = next((one.within_m for one in county.links if one.component == n), None)
        kinds = frozenset(kind for kind, holds in county.kinds.items() if holds[n])
        spent = 0.0 if spends is None else float(spends[at.offer, at.site, n]) * scenario.fund_weight
        where = at.project, sites.ground[at.site]
        placements.append(Placement(*where, at.steps, at.value, at.name, at.component, kinds, within_m, spent))
    fund = None if scenario.fund_wan is None else scenario.fund_wan * scenario.fund_weight
    blocked = [(at.project, at.name) for at in assigned if not county.allowed[at.site, at.column]]
    return verify(
        placements,
        stocks,
        apart=[Apart(one.kind, one.other, one.distance_m) for one in scenario.apart],
        bought=bought,
        fund=fund,
        must=scenario.must if choice.status in ("optimal", "feasible") else (),
        locks=scenario.locks if assigned else {},
        blocked=blocked,
        pairs=[]
        if scenario.chain is None
        else [
            Pair(keys[one.one], keys[one.other], scenario.chain.within_m, scenario.chain.value) for one in county.kin
        ],
        components={
            keys[link.plant]: [one.name for one in county.links if one.plant == link.plant] for link in county.links
        },
        objective=choice.objective if assigned else None,
    )
