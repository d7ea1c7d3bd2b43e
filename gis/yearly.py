"""What a plan takes of quotas and capacities, year by year, as pools of `choose`.

Quota falls in the year of approval and may be carried over: for every window of years, what is approved in it is at
most what was granted for it. Replacement farmland (占补平衡) and energy quota (能耗指标) are drawn as the books draw
them for a single claim: where a unit keeps the account, farmland with the ground of each phase and until it is used up,
energy with the first phase. Loads, and energy under a cap of the scenario, stay from the year of production on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gis.claims import SUPPLEMENT
from gis.companions import Kin, Linked
from gis.plan import Expansion, Pool
from gis.quota import UNTIL_USED
from gis.scenario import Scenario
from layers.records import Bools, Floats, Ints, Project

LOADS = ("power_kva", "water_m3d", "effluent_m3d", "freight_td")
QUOTAS = ("new_construction", "agricultural", "cultivated")
FARMLAND = {kind: follows for kind, follows, _ in SUPPLEMENT}
ENERGY = "energy_tce"  # the account's kind, and the pool of a scenario's cap
DRAWN = (*QUOTAS, *FARMLAND, ENERGY)
QUOTA = re.compile(rf"quota/(?P<unit>[^/@]+)/(?P<year>\d{{4}})/(?P<kind>{'|'.join(DRAWN)})(?:@(?P<carried>\d{{4}}))?")
EVER = 200  # years: until used up


@dataclass(frozen=True, eq=False)
class County:
    """What is measured of S candidates and N projects.

    allowed : (S, N) the check lets the project stand there
    value : (K, S, N) of each offer by the scenario's objectives; (S, N) where every offer is worth the same
    offers : (K, S, N) whether a site has a k-th offer for a project (`gis.offered`); one for each where not given
    unit : (S,) whose quota a candidate is charged to; quota_m2 : kind -> (S,) what it would take, of replacement
        farmland too, where any unit keeps it; kept : kind -> (S,) who is charged for it, "" nobody keeps the account
    serves : account of a capacity -> (K, S, N) or (S, N) whether an offer draws on it
    loads : kind -> (N,) what projects draw
    ways : account of a stretch of road -> (S,) whether it lies on the way from a candidate to the trunk road
    energy_tce : (N,), NaN unknown; kinds : kind -> (N,) yes-or-no needs; accounts : account -> balance
    spared : what is traded against value, name -> (S, N)
    costs : "connection", "earthwork", "land" -> (K, S, N) or (S, N) wan, NaN where nobody knows
    links, kin : components among the N projects, and pairs of one industrial chain
    """

    allowed: Bools
    value: Floats
    unit: Sequence[str]
    quota_m2: Mapping[str, Floats]
    serves: Mapping[str, Bools]
    loads: Mapping[str, Floats]
    energy_tce: Floats
    kinds: Mapping[str, Bools]
    accounts: Mapping[str, float]
    spared: Mapping[str, Floats] = field(default_factory=dict)
    ways: Mapping[str, Bools] = field(default_factory=dict)
    links: tuple[Linked, ...] = ()
    kin: tuple[Kin, ...] = ()
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)
    offers: Bools | None = None
    costs: Mapping[str, Floats] = field(default_factory=dict)

    def charged(self, kind: str) -> Sequence[str]:
        """(S,) whose account of a kind of quota a candidate is charged to, "" nobody's."""
        return self.unit if kind in QUOTAS else self.kept.get(kind, ())

    @property
    def drawn(self) -> tuple[str, ...]:
        """The kinds of quota that a plan draws on."""
        return (*QUOTAS, *(kind for kind in DRAWN if kind in self.kept))

    def quota(self, site: int, n: int, phases: Phases, row: int) -> dict[str, float]:
        """`quota/<unit>/<kind>` -> what one phase of a project on a candidate takes, by its approval."""
        return {
            f"quota/{unit}/{kind}": float(self._amount(kind, phases)[row] * self._across(kind)[site])
            for kind in self.drawn
            if (unit := self.charged(kind)[site])
        }

    def _across(self, kind: str) -> Floats:
        """(S,) what of a kind candidates take for a whole project, or once for each tce of it."""
        return np.ones(len(self.unit)) if kind == ENERGY else self.quota_m2[kind]

    def _amount(self, kind: str, phases: Phases) -> Floats:
        """(rows,) how much of that falls to each phase."""
        if kind != ENERGY:
            return phases.share
        return np.where(phases.is_first, np.nan_to_num(self.energy_tce)[phases.project], 0.0)

    def covered_wan(self, scenario: Scenario) -> Floats:
        """(K, S, N) what placements take of the building fund beside purchases; NaN where nobody knows."""
        spent: Floats = np.zeros((self.choices, *self.allowed.shape))
        for one in scenario.fund_covers:
            spent = spent + self.each(self.costs[one])
        return spent

    @property
    def choices(self) -> int:
        """K, how many offers there may be for a project on a site."""
        return 1 if self.offers is None else len(self.offers)

    def each(self, table: Floats | Bools) -> Any:
        """(K, S, N) of a table that may be the same for every offer."""
        return np.broadcast_to(table, (self.choices, *table.shape[-2:]))

    def takes(self, site: int, n: int, offer: int = 0) -> list[str]:
        """The accounts of capacities that a project draws on from a candidate by one of its offers."""
        freight = [name for name, on in self.ways.items() if on[site]] if self.loads["freight_td"][n] > 0 else []
        return [*(name for name, serves in self.serves.items() if self.each(serves)[offer, site, n]), *freight]

    def most(self) -> dict[str, float]:
        """Account of a capacity -> what it would be asked for if every project drew on it that may."""
        found = {}
        for name, serves in self.serves.items():
            found[name] = float(self.loads[kind_of(name)][(self.each(serves) & self.allowed).any(axis=(0, 1))].sum())
        for name, on in self.ways.items():
            found[name] = float(self.loads[kind_of(name)][self.allowed[on].any(axis=0)].sum())
        return found


def kind_of(account: str) -> str:
    """
    >>> kind_of("capacity/SS-01/power_kva")
    'power_kva'
    """
    return account.rpartition("/")[2]


@dataclass(frozen=True, eq=False)
class Phases:
    """Every project's phases counted from the year of its first approval: share of the whole, and the three years."""

    project: Ints
    share: Floats
    approval: Ints
    start: Ints
    production: Ints
    load: dict[str, Floats]

    @property
    def is_first(self) -> Bools:
        """(rows,) the first phase of each project, as it is said."""
        return np.asarray(np.diff(self.project, prepend=-1) != 0, dtype=bool)


def phases_of(projects: Sequence[Project], loads: Mapping[str, Floats], build_years: int) -> Phases:
    rows: list[tuple[int, float, int, int, int]] = []
    drawn: dict[str, list[float]] = {kind: [] for kind in LOADS}
    for n, project in enumerate(projects):
        phases = project.phases
        years = [one.approval_year for one in phases if one.approval_year is not None]
        if not phases or len(years) < len(phases):  # without years of their own, all at once
            rows.append((n, 1.0, 0, 0, build_years))
            for kind in LOADS:
                drawn[kind].append(float(loads[kind][n]))
            continue
        whole = sum(one.land_m2 for one in phases)
        said = {kind: [getattr(one, kind) for one in phases] for kind in LOADS}
        for k, one in enumerate(phases):
            assert one.approval_year is not None
            begun = one.start_year or one.approval_year
            done = one.production_year or begun + build_years
            share = one.land_m2 / whole
            rows.append((n, share, *(year - min(years) for year in (one.approval_year, begun, done))))  # type: ignore[arg-type]
            for kind in LOADS:
                amounts = [one or 0.0 for one in said[kind]]
                if None in said[kind] or not sum(amounts):
                    amounts = [one.land_m2 for one in phases]
                # together they are what the books take for the project
                drawn[kind].append(float(loads[kind][n]) * amounts[k] / sum(amounts))
    table = np.array(rows, dtype=float)
    whole_years = table.astype(np.int64)
    return Phases(
        whole_years[:, 0],
        table[:, 1],
        whole_years[:, 2],
        whole_years[:, 3],
        whole_years[:, 4],
        {kind: np.array(values, dtype=float) for kind, values in drawn.items()},
    )


def _sums(phases: Phases, amount: Floats, keep: Bools, projects: int) -> Floats:
    """(N,) a project's amounts of those phases that count."""
    return np.asarray(np.bincount(phases.project[keep], amount[keep], projects), dtype=float)


def granted_of(accounts: Mapping[str, float]) -> dict[tuple[str, str], dict[int, float]]:
    """(unit, kind) -> year -> plan quota that may be used in it; what was carried in counts in the year it came into.

    >>> granted_of({"quota/U/2025/cultivated@2026": 5.0, "quota/U/2026/cultivated": 7.0, "capacity/S/power_kva": 1.0})
    {('U', 'cultivated'): {2026: 12.0}}
    """
    found: dict[tuple[str, str], dict[int, float]] = {}
    for name, balance in accounts.items():
        said = QUOTA.fullmatch(name)
        if said is not None and math.isfinite(balance):
            years = found.setdefault((said["unit"], said["kind"]), {})
            year = int(said["carried"] or said["year"])
            years[year] = years.get(year, 0.0) + balance
    return found


def pools_of(
    county: County, phases: Phases, scenario: Scenario, count: int
) -> tuple[list[Pool], list[tuple[str, int, int | None]]]:
    years = scenario.start_years
    assert years is not None
    projects = county.allowed.shape[1]
    accounts = {**county.accounts, **scenario.balances}
    pools: list[Pool] = []
    held: list[tuple[str, int, int | None]] = []
    granted = granted_of(accounts)
    spread = len(years) * county.choices
    starts = np.repeat(np.arange(len(years)), count * county.choices)
    last = max(years) + int(phases.approval.max(initial=0))
    span = list(range(min(years), last + 1))

    def put(
        name: str,
        account: str,
        year: int,
        use: Any,
        balance: float,
        adds: Sequence[Expansion],
        since: int | None = None,
    ) -> None:
        pools.append(Pool(name, use, balance, adds))
        held.append((account, year, since))

    def bought(wanted: Sequence[str], until: int) -> list[Expansion]:
        """Purchases that serve any of some accounts by a year; their cost is stated alike in each pool."""
        return [
            Expansion(
                sum(one.adds.get(account, 0.0) for account in wanted), one.cost_wan * scenario.fund_weight, one.name
            )
            for one in scenario.purchases
            if any(account in one.adds for account in wanted) and (one.from_year or 0) <= until
        ]

    for kind in county.drawn:
        amount, charged = county._amount(kind, phases), county.charged(kind)
        carried = EVER if kind in UNTIL_USED else scenario.carry_years
        for unit in sorted(set(charged) - {""}):
            inside = np.array([one == unit for one in charged], dtype=float)
            takes = np.tile(inside * county._across(kind), spread)
            if not takes.any() or not amount.any():
                continue
            left = granted.get((unit, kind), {})
            across = takes[:, None] * (starts[:, None] == np.arange(len(years)))
            for first in span if carried < EVER else span[:1]:  # what never lapses is one sum up to each year
                for end in range(first, span[-1] + 1):
                    along = np.stack(
                        [
                            _sums(
                                phases, amount, (first <= t + phases.approval) & (t + phases.approval <= end), projects
                            )
                            for t in years
                        ]
                    )
                    if not along.any():
                        continue
                    within = range(first - carried, end + 1)
                    balance = sum(left.get(year, 0.0) for year in within)
                    wanted = [f"quota/{unit}/{year}/{kind}" for year in within]
                    name = f"quota/{unit}/{end}/{kind}" + ("" if first == end else f" since {first}")
                    put(
                        name,
                        f"quota/{unit}/{end}/{kind}",
                        end,
                        (across, along),
                        balance,
                        bought(wanted, 9999),
                        None if first == end else first,
                    )
    done = [t + int(one) for t in years for one in np.unique(phases.production)]
    opens = {one.from_year - 1 for one in scenario.purchases if one.from_year is not None}
    ends = sorted({max(done), *(year for year in opens if min(done) <= year < max(done))})
    most = county.most()
    for account in (*county.serves, *county.ways):
        kind = kind_of(account)
        is_road = account in county.ways
        if is_road and most[account] <= accounts[account]:
            continue  # never short, whoever goes there; the verifier adds it up all the same
        for end in ends:
            on = np.stack([_sums(phases, phases.load[kind], t + phases.production <= end, projects) for t in years])
            use: Any
            if is_road:
                across = np.tile(county.ways[account], spread)[:, None] * (starts[:, None] == np.arange(len(years)))
                use, any_ = (across.astype(float), on), bool(on.any() and across.any())
            else:
                drawn = county.each(county.serves[account]).reshape(-1, projects)
                use = np.concatenate([drawn * one for one in on])
                any_ = bool(use.any())
            if any_:
                name = account if end == ends[-1] else f"{account} {end}"
                put(name, account, end, use, accounts[account], bought([account], end))
    caps = scenario.energy_caps
    ends = sorted({*(year - 1 for year in caps if year - 1 >= min(caps)), max(*done, *caps)} if caps else ())
    for end in ends:  # within the years of one cap the last has most in production
        on = np.stack([_sums(phases, used_tce(county, phases), t + phases.production <= end, projects) for t in years])
        cap = caps[max(year for year in caps if year <= end)]
        if on.any():
            across = (starts[:, None] == np.arange(len(years))).astype(float)
            put(ENERGY if end == ends[-1] else f"{ENERGY} {end}", ENERGY, end, (across, on), cap, [])
    return pools, held


def used_tce(county: County, phases: Phases) -> Floats:
    """(rows,) what each phase uses a year once it produces, by its share of the ground."""
    return np.asarray(np.nan_to_num(county.energy_tce)[phases.project] * phases.share, dtype=float)
