"""A county's candidates, measured and judged for a list of projects: what search and plan both begin with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from gis.billing import Placed, bill, land_price_wan
from gis.check import Checked, check
from gis.companions import kin_of, parts_of
from gis.expansions import expansions, purchases
from gis.ground import Ground, Routes
from gis.intervals import Interval
from gis.joint import Joint, plan
from gis.judge import Status, Verdict, outcome
from gis.landuse import KINDS
from gis.needs import measure_needs, traits_of
from gis.offered import ROAD, Offered, offered
from gis.offers import Candidates, bounds_m2, candidates
from gis.rules import Rulebook
from gis.scenario import COSTS, PREFERRED, Scenario
from gis.solver.known import Watch
from gis.verify_plan import verify_bill
from gis.yearly import DRAWN, ENERGY, FARMLAND, QUOTA, QUOTAS, County
from layers.errors import BadInput, Fault
from layers.records import Bools, Floats, Project, World
from layers.store import Store

OF_PROJECT = ("investment_wan", "output_wan", "tax_wan", "jobs", "land_m2", "energy_tce")
BLOCK = 4  # parcels that may make one site together
BORDER_M2 = 1.0  # less ground beyond a zone is a drawn border
Words = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Measured:
    """Candidates of a county with their check; `notes` says what was not known."""

    sites: Candidates
    projects: tuple[Project, ...]
    checked: Checked
    notes: tuple[Words, ...]
    role: str = "parcels"
    ids: tuple[str, ...] = ()  # of the pieces of ground that candidates are made of

    def parts(self, site: int) -> list[str]:
        """The parcels or plots that a candidate is made of, entirely or in part."""
        return [self.ids[row] for row in self.sites.members[site]]


def ground_of(
    store: Store, projects: Sequence[Project], land_m2: Floats, zones: Sequence[str] | None = None
) -> tuple[Candidates, str, tuple[str, ...]]:
    """Candidates from the plots of the county, else from its parcels, with the role and the ids of what they are made
    of; of some zones those that lie in them entirely."""
    loaded = {layer.role for layer in store.layers()}
    role = next((role for role in ("plots", "parcels") if role in loaded), None)
    if role is None:
        raise BadInput(
            "there is no ground to look at",
            [Fault("neither plots nor parcels are loaded", "parkplan import COUNTY FILE --role plots", layer="plots")],
        )
    frame = store.frame(role)
    if zones is not None:
        frame = frame[_inside(store, frame, zones)]
    ground = np.asarray(frame.geometry.values, dtype=object)
    bounds = np.array([bounds_m2(one, most) for one, most in zip(projects, land_m2.tolist(), strict=True)])
    ids = frame["id"].astype(str).tolist()
    return candidates(ground, ids, bounds, together=BLOCK), role, tuple(ids)


def _inside(store: Store, frame: gpd.GeoDataFrame, zones: Sequence[str]) -> Bools:
    """(P,) which pieces of ground lie in some zones, by id, unit code or name, but for a border's width."""
    known = store.frame("zones")
    held = np.zeros(len(known), dtype=bool)
    for name in ("id", "unit_code", "name"):
        if name in known:
            held |= known[name].astype(str).isin(zones).to_numpy()
    mine = shapely.union_all(np.asarray(known.geometry.values, dtype=object)[held])
    beyond = shapely.area(shapely.difference(np.asarray(frame.geometry.values, dtype=object), mine))
    return np.asarray(beyond <= BORDER_M2, dtype=bool)


def measure(
    store: Store,
    projects: Sequence[Project],
    book: Rulebook,
    world: World,
    columns: Sequence[str],
    *,
    zones: Sequence[str] | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Measured:
    """Every candidate checked for every project; `columns` are measured besides what the rules ask for.
    `told` hears how many candidates are done, of how many."""
    land = measure_needs(projects, book)["land_m2"] if projects else Interval.unknown(0)
    faults = [
        Fault("its land is neither said nor can be estimated", "Give land_m2", feature=one.key)
        for one, most in zip(projects, land.hi, strict=True)
        if np.isnan(most)
    ]
    keys = [one.key for one in projects]
    faults += [
        Fault("the project stands twice", "Name each once", feature=key)
        for key in sorted({key for key in keys if keys.count(key) > 1})
    ]
    if faults or not projects:
        raise BadInput("the projects cannot be planned", faults or [Fault("there is no project", "Give at least one")])
    sites, role, ids = ground_of(store, projects, land.hi, zones)
    if not len(sites.ground):
        raise BadInput(
            "there is no ground to look at",
            [
                Fault(
                    "no plot or parcel, alone, together or in part, has the size of any project",
                    "See the projects' land_m2",
                )
            ],
        )
    wanted = [*columns, *(f"quota_{kind}_m2" for kind in KINDS)]
    guessed = [one.key for one in projects if one.land_m2 is None]
    notes = [
        (f"{key}：用地为估算，按上限计", f"{key}: its land is estimated, the larger end counts") for key in guessed
    ]
    checked = check(sites.ground, projects, book, world, extra=wanted, told=told)
    return Measured(sites, tuple(projects), checked, tuple(notes), role, ids)


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that a plan rests on, measured: components stand behind the projects in `found.projects`, and the scenario
    offers the upgrades that may be needed."""

    found: Measured
    county: County
    scenario: Scenario
    offered: Offered


def prepare(
    store: Store,
    projects: Sequence[Project],
    scenario: Scenario,
    book: Rulebook,
    world: World,
    *,
    zones: Sequence[str] | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
    routes: Routes | None = None,
) -> Prepared:
    """Everything that is measured before anything is chosen; `told` as of `measure`, `routes` as of `offered`."""
    if scenario.start_years is None:
        scenario = scenario.model_copy(update={"start_years": (world.for_year,)})
    if past := [year for year in scenario.start_years or () if year < world.as_of.year]:
        faults = [
            Fault(f"{year} is over on {world.as_of}", "Give years to come", layer="scenario", field="start_years")
            for year in past
        ]
        raise BadInput("the scenario cannot be used", faults)
    parts, links = parts_of(projects)
    wanted = [*scenario.weights, *scenario.spare, *(f"{one}_wan" for one in scenario.fund_covers)]
    columns = [name for name in wanted if name not in (*OF_PROJECT, "area_m2", "connection_wan", "land_wan")]
    found = measure(store, parts, book, world, columns, zones=zones, told=told)
    own = scenario.purchases
    options = purchases(expansions(world, book), [one.name for one in own]) if scenario.upgrades else ()
    offering = scenario.model_copy(update={"purchases": (*own, *options)})
    county, some, notes = county_of(found, offering, world, routes)
    county = replace(county, links=links, kin=kin_of(projects, book))
    accounts = {**county.accounts, **scenario.balances}
    short = {name for name, most in county.most().items() if most > accounts[name]}
    useful = tuple(one for one in options if short & one.adds.keys())
    offering = scenario.model_copy(update={"purchases": (*own, *useful)})
    return Prepared(replace(found, notes=(*found.notes, *notes)), county, offering, some)


def joint_plan(
    store: Store,
    projects: Sequence[Project],
    scenario: Scenario,
    book: Rulebook,
    world: World,
    watch: Watch | None = None,
    *,
    zones: Sequence[str] | None = None,
    told: Callable[[int, int], None] = lambda done, of: None,
    routes: Routes | None = None,
) -> tuple[Joint, Measured]:
    """Measure, then choose, then add up what it costs, then verify."""
    ready = prepare(store, projects, scenario, book, world, zones=zones, told=told, routes=routes)
    found = ready.found
    made = plan(found.sites, found.projects, ready.county, ready.scenario, watch)
    return _billed(made, ready, world, routes), found


def _billed(made: Joint, ready: Prepared, world: World, routes: Routes | None) -> Joint:
    """A plan with what it costs, added up a second time."""
    found, some = ready.found, ready.offered
    placed = [
        Placed(
            one.project, one.component, found.projects[one.column], found.sites.ground[one.site],
            {utility: int(rows[one.offer, one.site, one.column]) for utility, rows in some.facility.items()},
            int(some.second[one.offer, one.site, one.column]),
        )
        for one in made.assigned
    ]  # fmt: skip
    asked = ready.scenario
    costs, added = bill(placed, found.checked.rulebook, world, routes, made.built, asked.fund_wan, asked.fund_covers)
    return replace(made, bill=costs, violations=(*made.violations, *verify_bill(added)))


def county_of(
    found: Measured, scenario: Scenario, world: World, routes: Routes | None = None
) -> tuple[County, Offered, tuple[Words, ...]]:
    """The numbers a plan rests on; where a range is known, the end that is worse, of costs the typical price."""
    checked = found.checked
    accounts = dict(world.pools())
    value, notes = _value(found, scenario)
    factor, preferred = _preferred(found, scenario)
    notes = (*notes, *preferred)
    allowed: Bools = verdict_of(checked) <= scenario.worst
    quota = {}
    for kind in QUOTAS:
        quota[kind] = checked.facts.columns[f"quota_{kind}_m2"].hi
        allowed &= np.isfinite(quota[kind])[:, None]  # nobody knows what it would take
        quota[kind] = np.nan_to_num(quota[kind], nan=0.0, posinf=0.0)
    accounts = {name: balance for name, balance in accounts.items() if np.isfinite(balance)}
    units = _units(found.sites, world, accounts)
    kept = _kept(units, {*accounts, *scenario.balances, *scenario.adds()})
    for kind in FARMLAND.keys() & kept.keys():
        takes_m2 = checked.facts.columns[f"quota_{FARMLAND[kind]}_m2"].hi
        allowed &= np.isfinite(takes_m2)[:, None]
        quota[kind] = np.nan_to_num(takes_m2, nan=0.0, posinf=0.0)
    some = offered(
        Ground(found.sites.ground, world, checked.rulebook),
        measure_needs(found.projects, checked.rulebook),
        allowed & found.sites.fits,
        {**accounts, **scenario.balances},
        scenario.adds(),
        routes,
    )
    counted, unknown = some.counted_wan()
    weight = scenario.weights.get("connection_wan", 0.0)
    if weight:
        notes += tuple(_unpriced(utility, share) for utility, share in unknown.items())
    spared = _spared(found, scenario)
    if "connection_wan" in scenario.spare:
        spared["connection_wan"] = counted
    flags = ("is_food", "is_dusty", "is_hazardous", "is_chemical")
    kinds = {name: checked.needs[name].hi >= 0.5 for name in flags if name in checked.needs}
    energy = np.array([np.nan if one.energy_tce is None else one.energy_tce for one in found.projects])
    unsaid = [one.key for one, tce in zip(found.projects, energy, strict=True) if np.isnan(tce)]
    if ENERGY in kept and unsaid:
        names = "、".join(unsaid), ", ".join(unsaid)
        told = f"能耗未填写，不占能耗指标：{names[0]}", f"energy not said, nothing is drawn for it: {names[1]}"
        notes = (*notes, told)
    costs = {"connection": sum(some.cost_wan.values(), start=np.zeros(some.open.shape))}
    for name in ("earthwork_wan", "land_wan"):
        column = _column(found, name)
        if column is not None:
            costs[COSTS[name]] = column
    return County(
        allowed, (value + weight * counted) * factor, units, quota, some.serves, some.loads, energy, kinds, accounts,
        {name: spared[name] for name in scenario.spare}, some.on_way, kept=kept, offers=some.open, costs=costs,
    ), some, notes  # fmt: skip


UTILITY_NAMES = {"power": "供电", "water": "供水", "effluent": "排水", ROAD: "进场道路"}


def _unpriced(utility: str, share: float) -> Words:
    zh, said = UTILITY_NAMES[utility], f"{share:.0%}"
    return (
        f"{zh}接入费用：{said} 未知，按同类最高者计",
        f"{utility} connection cost: unknown for {said}, counted as the dearest known",
    )


def _preferred(found: Measured, scenario: Scenario) -> tuple[Floats, tuple[Words, ...]]:
    """(N,) what the benefit of projects is multiplied by because of their industry, the most where two sorts hold."""
    traits, factor, notes = traits_of(found.checked.rulebook), np.ones(len(found.projects)), []
    for n, one in enumerate(found.projects):
        sorts = {sort: by for sort, by in scenario.preferred.items() if traits.of(one, sort) == 1.0}
        if sorts:
            sort = max(sorts, key=lambda name: sorts[name])
            factor[n] = sorts[sort]
            told = (
                f"{one.key}：{PREFERRED[sort]}，价值按 {sorts[sort]:g} 倍计",
                f"{one.key}: {sort}, counts {sorts[sort]:g} times",
            )
            notes.append(told)
    return factor, tuple(notes)


def _kept(units: Sequence[str], accounts: set[str]) -> dict[str, list[str]]:
    """Kind -> (S,) who is charged for a quota that not every unit keeps: its own unit, else the county, "" nobody."""
    found: dict[str, list[str]] = {}
    said = [one for one in map(QUOTA.fullmatch, accounts) if one is not None]
    for kind in (*FARMLAND, ENERGY):
        keeping = {one["unit"] for one in said if one["kind"] == kind}
        county = min({one["unit"] for one in said}, key=len, default="")
        if keeping:
            found[kind] = [unit if unit in keeping else county if county in keeping else "" for unit in units]
    return found


def verdict_of(checked: Checked, without: Bools | None = None) -> NDArray[np.int8]:
    """(S, N) the verdict without those quotas that the plan itself adds up, by year and with what may be granted, and
    without some (R,) rules."""
    worst = np.full(checked.status.shape[1:], Verdict.CLEAR, dtype=np.int8)
    for row, (rule, status) in enumerate(zip(checked.rules, checked.status, strict=True)):
        if without is not None and without[row]:
            continue
        added_up = rule.scope == "sum" and rule.pool in DRAWN
        said = np.where(status == Status.FAIL, Status.PASS, status) if added_up else status
        np.maximum(worst, outcome(said, rule.severity, rule.is_confirmed), out=worst)
    return worst


def _value(found: Measured, scenario: Scenario) -> tuple[Floats, tuple[Words, ...]]:
    """(S, N) weights times columns. What is not known adds nothing where more is better, and the worst known where less
    is; both are said."""
    shape = (len(found.sites.ground), len(found.projects))
    value, notes, faults = np.zeros(shape), [], []
    for name, weight in scenario.weights.items():
        if name == "connection_wan":
            continue  # it comes with each offer
        column = _column(found, name)
        if column is None:
            faults.append(_no_column(name))
            continue
        unknown = ~np.isfinite(column)
        worst = float(column[~unknown].max(initial=0.0)) if weight < 0 else 0.0
        value += weight * np.where(unknown, worst, column)
        if unknown.any() and weight:
            share = f"{unknown.mean():.0%}"
            notes.append((f"{name}：{share} 未知，按最不利计", f"{name}: unknown for {share}, counted at its worst"))
    if faults:
        raise BadInput("the scenario cannot be used", faults)
    return value, tuple(notes)


def _column(found: Measured, name: str) -> Floats | None:
    """(S, N) a column by its name, the higher end of a range; None where there is none of this name."""
    checked, shape = found.checked, (len(found.sites.ground), len(found.projects))
    if name == "area_m2":
        return np.broadcast_to(shapely.area(found.sites.ground)[:, None], shape)
    if name == "land_wan":
        price = float(land_price_wan(checked.rulebook)[1])
        return np.broadcast_to(shapely.area(found.sites.ground)[:, None] * price, shape)
    if name in OF_PROJECT:
        said = [np.nan if getattr(one, name) is None else getattr(one, name) for one in found.projects]
        return np.broadcast_to(np.array(said, dtype=float), shape)
    if name in checked.facts.columns:
        return np.broadcast_to(checked.facts.columns[name].hi[:, None], shape)
    if name in checked.meetings:
        return checked.meetings[name].hi
    return np.broadcast_to(checked.needs[name].hi, shape) if name in checked.needs else None


def _no_column(name: str) -> Fault:
    return Fault("no column has this name", "See the columns of checks and projects", None, "scenario", name)


def _spared(found: Measured, scenario: Scenario) -> dict[str, Floats]:
    """What value is traded against; unknown counts as the worst known, and less than nothing as nothing."""
    columns = {name: _column(found, name) for name in scenario.spare if name != "connection_wan"}
    if faults := [_no_column(name) for name, column in columns.items() if column is None]:
        raise BadInput("the scenario cannot be used", faults)
    known = {name: column for name, column in columns.items() if column is not None}
    worst = {name: float(one[np.isfinite(one)].max(initial=0.0)) for name, one in known.items()}
    return {name: np.maximum(np.where(np.isfinite(one), one, worst[name]), 0.0) for name, one in known.items()}


def _units(sites: Candidates, world: World, accounts: dict[str, float]) -> list[str]:
    """Whose quota a candidate is charged to: the zone that holds most of it where it has accounts, else the county."""
    units = {name.split("/")[1] for name in accounts if name.startswith("quota/")}
    shortest = min(units, key=len, default="")
    zones = world.near("zones", tuple(shapely.total_bounds(sites.ground)))
    if zones is None:
        return [shortest] * len(sites.ground)
    codes = [code if isinstance(code, str) and code in units else shortest for code in zones.column("unit_code")]
    shared = np.zeros((len(sites.ground), len(codes)))
    left, right = zones.tree.query(sites.ground, predicate="intersects")
    np.add.at(
        shared, (left, zones.owner[right]), shapely.area(shapely.intersection(sites.ground[left], zones.pieces[right]))
    )
    best = shared.argmax(axis=1)
    inside = shared[np.arange(len(best)), best] > shapely.area(sites.ground) / 2
    return [codes[zone] if held else shortest for zone, held in zip(best, inside, strict=True)]
