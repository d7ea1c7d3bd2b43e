"""Plans of a few projects on a few squares, small enough to be counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from gis.alternatives import alternatives, front
from gis.check import rulebook
from gis.companions import Kin, kin_of, parts_of
from gis.joint import plan
from gis.offers import bounds_m2, candidates, compactness
from gis.plan import choose
from gis.scenario import ChainBonus, KeepApart, Purchase, Scenario, scenario_of
from gis.verify_plan import Placement, verify
from gis.yearly import County
from layers.errors import BadInput
from layers.records import Component, Industry, Phase, Project

HA = 10_000.0


def squares(count, apart_m=0.0):
    x = np.arange(count) * (100.0 + apart_m)
    return shapely.box(x, np.zeros(count), x + 100, np.full(count, 100.0))


def world(projects, sites=3, quota=None, **more):
    """Squares of a hectare in one unit, all allowed, each taking a hectare of quota."""
    ground = squares(sites, 50.0)
    bounds = np.array([bounds_m2(one) for one in projects])
    found = candidates(ground, [f"s{n}" for n in range(sites)], bounds, together=1, cut=False)
    shape = (sites, len(projects))
    county = County(
        allowed=np.ones(shape, dtype=bool),
        value=np.tile(np.arange(10.0, 10.0 + len(projects)), (sites, 1)),
        unit=["U"] * sites,
        quota_m2={
            "new_construction": np.full(sites, HA),
            "agricultural": np.zeros(sites),
            "cultivated": np.zeros(sites),
        },
        serves={"capacity/S1/power_kva": np.ones(shape, dtype=bool)},
        loads={
            "power_kva": np.full(len(projects), 100.0),
            "water_m3d": np.zeros(shape[1]),
            "effluent_m3d": np.zeros(shape[1]),
            "freight_td": np.zeros(shape[1]),
        },
        energy_tce=np.full(len(projects), np.nan),
        kinds={"is_food": np.zeros(shape[1], dtype=bool), "is_dusty": np.zeros(shape[1], dtype=bool)},
        accounts={"capacity/S1/power_kva": 1e6}
        | (quota if quota is not None else {"quota/U/2026/new_construction": 1e6}),
    )
    return found, projects, replace(county, **more)


def projects(count):
    return [Project(id=f"p{n}", land_m2=HA, land_max_m2=HA) for n in range(count)]


def scenario(**said):
    return Scenario(**{"start_years": (2026,), "gap": 0.0, **said})


def years(joint):
    return {one.project: one.steps[0].approval_year for one in joint.assigned}


def test_what_a_quota_has_left_serves_the_next_year_and_no_year_before():
    quota = {"quota/U/2026/new_construction": HA, "quota/U/2027/new_construction": HA}
    joint = plan(*world(projects(3), quota=quota), scenario(start_years=(2026, 2027), carry_years=1))
    assert len(joint.assigned) == 2  # two hectares in two years
    assert joint.violations == ()
    late = plan(
        *world(projects(2), quota={"quota/U/2026/new_construction": 2 * HA}),
        scenario(start_years=(2027,), carry_years=1),
    )
    assert years(late) == {"p0": 2027, "p1": 2027}
    never = plan(
        *world(projects(2), quota={"quota/U/2026/new_construction": 2 * HA}),
        scenario(start_years=(2027,), carry_years=0),
    )
    assert never.assigned == ()
    early = plan(*world(projects(2), quota={"quota/U/2027/new_construction": 2 * HA}), scenario(start_years=(2026,)))
    assert early.assigned == ()
    assert "quota/U/2026/new_construction" in early.unplaced["p0"][0][1]


def test_quota_falls_in_the_year_each_phase_is_approved():
    phased = Project(
        id="p0",
        land_m2=HA,
        land_max_m2=HA,
        phases=(
            Phase(land_m2=HA / 2, approval_year=2026, production_year=2028),
            Phase(land_m2=HA / 2, approval_year=2027, production_year=2029),
        ),
    )
    halves = {"quota/U/2026/new_construction": HA / 2, "quota/U/2027/new_construction": HA / 2}
    joint = plan(*world([phased], quota=halves), scenario(start_years=(2026, 2027)))
    assert [step.approval_year for step in joint.assigned[0].steps] == [2026, 2027]
    assert joint.violations == ()
    assert (
        plan(*world([phased], quota={"quota/U/2026/new_construction": 2 * HA}), scenario(carry_years=0)).assigned == ()
    )


def test_a_purchase_is_made_where_it_pays_and_the_fund_allows():
    asked = world(projects(2), accounts={"quota/U/2026/new_construction": 1e6, "capacity/S1/power_kva": 100.0})
    line = Purchase(name="second line", cost_wan=4.0, adds={"capacity/S1/power_kva": 100.0})
    assert len(plan(*asked, scenario()).assigned) == 1
    bought = plan(*asked, scenario(purchases=(line,), fund_wan=4.0))
    assert (len(bought.assigned), bought.bought, bought.choice.objective) == (2, ("second line",), 17.0)
    assert bought.violations == ()
    assert {one.project: one.waits_for for one in bought.assigned} == {"p1": (), "p0": ("second line",)}
    assert plan(*asked, scenario(purchases=(line,), fund_wan=3.9)).bought == ()
    assert plan(*asked, scenario(purchases=(line.model_copy(update={"cost_wan": 20.0}),))).bought == ()


def test_lorries_of_all_fit_on_every_stretch_or_one_stays_away():
    freight = {kind: np.zeros(2) for kind in ("power_kva", "water_m3d", "effluent_m3d")} | {
        "freight_td": np.array([60.0, 50.0])
    }
    lane, road = "capacity/R1/freight_td", "capacity/R2/freight_td"
    stretches = {lane: np.array([True, False, False]), road: np.array([True, True, False])}
    asked = world(projects(2), loads=freight, serves={}, ways=stretches)
    asked[2].value[2] = -1.0  # nobody goes where no road is loaded
    accounts = {"quota/U/2026/new_construction": 1e6, lane: 55.0, road: 100.0}
    joint = plan(asked[0], asked[1], replace(asked[2], accounts=accounts), scenario())
    assert (len(joint.assigned), joint.violations) == (1, ())
    assert {one.name for one in joint.pools if one.name == lane} == {lane}  # 110 t/d might ask for either
    wide = plan(asked[0], asked[1], replace(asked[2], accounts={**accounts, road: 110.0}), scenario())
    assert {one.project: one.name for one in wide.assigned} == {"p0": "s1", "p1": "s0"}  # 60 t do not fit on the lane
    assert wide.assigned[1].steps[0].takes[lane] == 50.0
    assert wide.violations == ()
    assert road not in {one.name for one in wide.pools}  # which is never short, whoever comes
    up = Purchase(name="a class up", cost_wan=2.0, adds={road: 20.0}, from_year=2028)
    bought = plan(asked[0], asked[1], replace(asked[2], accounts=accounts), scenario(purchases=(up,)))
    assert (len(bought.assigned), bought.bought, bought.violations) == (2, ("a class up",), ())
    late = scenario(purchases=(up.model_copy(update={"from_year": 2029}),))
    assert len(plan(asked[0], asked[1], replace(asked[2], accounts=accounts), late).assigned) == 1


YARD = {"name": "yard", "land_m2": HA, "linked_within_m": 51.0}


def with_yards(count, sites, **more):
    """Plants with a yard each, on squares 50 m apart."""
    parts, links = parts_of([one.model_copy(update={"components": (Component(**YARD),)}) for one in projects(count)])
    parts = [one.model_copy(update={"land_max_m2": HA}) for one in parts]
    found, _, county = world(parts, sites=sites, links=links, **more)
    county.value[:, count:] = -1.0
    return found, parts, county


def test_a_yard_stands_near_its_plant_in_the_same_year_or_neither_is_placed():
    quota = {"quota/U/2026/new_construction": 2 * HA, "quota/U/2027/new_construction": 2 * HA}
    asked = with_yards(2, 4, quota=quota)
    joint = plan(*asked, scenario(start_years=(2026, 2027), carry_years=0))
    assert joint.violations == ()
    assert {(one.project, one.component) for one in joint.assigned} == {
        (p, c) for p in ("p0", "p1") for c in (None, "yard")
    }
    at = {(one.project, one.component): one for one in joint.assigned}
    for key in ("p0", "p1"):
        plant, yard = at[key, None], at[key, "yard"]
        assert abs(plant.site - yard.site) == 1
        assert plant.steps[0].approval_year == yard.steps[0].approval_year
    alone = plan(*with_yards(1, 1), scenario())
    assert (alone.assigned, list(alone.unplaced)) == ((), ["p0"])
    odd = plan(*with_yards(2, 3), scenario())
    assert len(odd.assigned) == 2  # no third and fourth square
    apart = with_yards(1, 3)
    apart[2].allowed[1] = False  # the one between: those left are 200 m from each other
    assert plan(*apart, scenario()).assigned == ()
    waits = with_yards(1, 2, quota={"quota/U/2026/new_construction": HA})
    short = plan(*waits, scenario(balances={"quota/U/2026/new_construction": 2 * HA}))
    assert {one.waits_for for one in short.assigned} == {("quota/U/2026/new_construction",)}  # both, or neither


def test_the_verifier_misses_no_yard_that_is_missing_or_too_far():
    plant = Placement("p", shapely.box(0, 0, 100, 100), ())
    yard = Placement("p", shapely.box(160, 0, 260, 100), (), component="yard", linked_within_m=51.0)
    asked = {"components": {"p": ["yard"]}}
    assert {one.what for one in verify([plant], [], **asked)} == {"component"}
    assert {one.what for one in verify([plant, yard], [], **asked)} == {"component"}
    assert verify([plant, replace(yard, linked_within_m=61.0)], [], **asked) == ()


def test_a_chain_stands_together_where_that_is_worth_it_and_only_if_near():
    found, some, county = world(projects(2), sites=4, kin=(Kin(0, 1),))
    county.value[:] = [[10, 1], [1, 2], [1, 2], [1, 10]]
    far = plan(found, some, county, scenario())
    assert {one.name for one in far.assigned} == {"s0", "s3"}
    small = plan(found, some, county, scenario(chain=ChainBonus(value=7.0, within_m=60.0)))
    assert ({one.name for one in small.assigned}, small.choice.objective) == ({"s0", "s3"}, 20.0)
    joint = plan(found, some, county, scenario(chain=ChainBonus(value=9.0, within_m=60.0)))
    assert (joint.choice.objective, joint.violations, len(joint.assigned)) == (21.0, (), 2)
    assert {one.name for one in joint.assigned} in ({"s0", "s1"}, {"s2", "s3"})
    wide = plan(found, some, county, scenario(chain=ChainBonus(value=7.0, within_m=1e3), start_years=(2026, 2027)))
    assert (wide.choice.objective, wide.violations) == (27.0, ())
    more = plan(found, some, county, scenario(chain=ChainBonus(value=7.0, within_m=1e3), alternatives=3, spare=()))
    assert all(one.moved for one in more.alternatives)


def test_a_chain_is_one_only_where_both_certainly_belong_to_it():
    book = rulebook()
    codes = [("a", "0820"), ("b", "3140"), ("c", "1530"), ("d", "2613")]
    some = [Project(id=key, land_m2=HA, industry=Industry(code=code)) for key, code in codes]
    assert kin_of(some, book) == (Kin(0, 1),)  # whose salts "d" makes nobody says


def test_food_and_dust_keep_their_distance_or_one_of_them_stays_away():
    kinds = {"is_food": np.array([True, False]), "is_dusty": np.array([False, True])}
    near = plan(
        *world(projects(2), sites=2, kinds=kinds),
        scenario(apart=(KeepApart(kind="is_food", other="is_dusty", distance_m=51.0),)),
    )
    assert len(near.assigned) == 1
    far = plan(
        *world(projects(2), sites=3, kinds=kinds),
        scenario(apart=(KeepApart(kind="is_food", other="is_dusty", distance_m=51.0),)),
    )
    assert len(far.assigned) == 2
    assert abs(far.assigned[0].site - far.assigned[1].site) == 2
    assert far.violations == ()


def test_an_energy_cap_places_nobody_whose_energy_is_unknown():
    asked = world(projects(3), energy_tce=np.array([40.0, 60.0, np.nan]))
    joint = plan(*asked, scenario(energy_cap_tce=60.0))
    assert [one.project for one in joint.assigned] == ["p1"]
    assert "energy is unknown" in joint.unplaced["p2"][0][1]


def test_a_cap_by_year_puts_the_larger_user_of_energy_off():
    asked = world(projects(2), energy_tce=np.array([40.0, 60.0]), quota=granted(2026, 2027))
    caps = scenario(start_years=(2026, 2027), build_years=2, energy_cap_tce={2028: 60.0, 2029: 100.0})
    joint = plan(*asked, caps)
    assert sorted(years(joint).values()) == [2026, 2027]
    assert joint.violations == ()
    assert [(one.year, one.balance) for one in joint.pools if one.name == "energy_tce"] == [(2028, 60.0), (2029, 100.0)]
    assert joint.assigned[0].waits_for == ()  # a cap is no account


def granted(*of, **others):
    return {f"quota/U/{year}/new_construction": 9 * HA for year in of} | others


def farmland(accounts, **more):
    """Three squares, half a hectare of each cultivated, in a unit that keeps accounts of replacement farmland."""
    quota_m2 = {kind: np.full(3, HA) for kind in ("new_construction", "agricultural")}
    quota_m2 |= {"cultivated": np.zeros(3), "balance_area": np.full(3, HA / 2)}
    quota_m2["agricultural"] = np.zeros(3)
    return world(projects(3), quota=accounts, quota_m2=quota_m2, kept={"balance_area": ["U"] * 3}, **more)


def test_replacement_farmland_is_used_until_it_is_used_up_and_not_before_it_is_granted():
    accounts = granted(2026, 2027) | {"quota/U/2020/balance_area": HA, "quota/U/2027/balance_area": HA / 2}
    joint = plan(*farmland(accounts), scenario(start_years=(2026, 2027), carry_years=0))
    assert len(joint.assigned) == 3
    assert sorted(years(joint).values())[1:].count(2027) >= 1  # the third waits for what is granted in 2027
    assert joint.violations == ()
    assert all(one.steps[0].takes["quota/U/balance_area"] == HA / 2 for one in joint.assigned)
    assert {one.waits_for for one in joint.assigned} == {()}
    pools = {(one.year, one.since): (one.used, one.balance) for one in joint.pools if "balance_area" in one.name}
    assert pools[2027, 2026] == (1.5 * HA, 1.5 * HA)


def test_replacement_farmland_that_is_short_is_named_with_the_increase_that_is_enough():
    accounts = granted(2026) | {"quota/U/2020/balance_area": 0.6 * HA}
    must = scenario(must=("p0", "p1", "p2"))
    assert plan(*farmland(accounts), must).shortfall == {"quota/U/2026/balance_area": pytest.approx(0.9 * HA)}
    joint = plan(*farmland(accounts), scenario())
    assert "quota/U/2026/balance_area" in joint.unplaced["p0"][0][1]
    more = plan(*farmland(accounts | {"quota/U/2026/balance_area": 0.9 * HA}), must)
    assert more.choice.status == "optimal"
    paid = Purchase(name="补充耕地项目", cost_wan=1, adds={"quota/U/2026/balance_area": 0.9 * HA})
    bought = plan(*farmland(accounts), scenario(must=must.must, purchases=(paid,)))
    assert bought.bought == ("补充耕地项目",)
    assert bought.violations == ()
    assert ("补充耕地项目",) in {one.waits_for for one in bought.assigned}


def test_energy_quota_is_drawn_with_the_first_phase_where_its_account_is_kept():
    energy = np.array([40.0, 60.0, np.nan])
    accounts = granted(2026) | {"quota/U/2026/energy_tce": 60.0}
    kept = {"energy_tce": ["U", "U", ""]}
    joint = plan(*world(projects(3), quota=accounts, energy_tce=energy, kept=kept), scenario())
    # the third square is charged to nobody, and what a project does not say is not drawn
    assert len(joint.assigned) == 3
    drawn = [one.steps[0].takes.get("quota/U/energy_tce", 0.0) for one in joint.assigned]
    assert sum(drawn) <= 60.0
    everywhere = {"energy_tce": ["U"] * 3}
    joint = plan(*world(projects(3), quota=accounts, energy_tce=energy, kept=everywhere), scenario())
    assert {one.project for one in joint.assigned} == {"p1", "p2"}
    assert joint.violations == ()


def test_the_verifier_adds_energy_and_farmland_up_again(monkeypatch):
    import gis.joint

    kept = gis.joint.pools_of

    def careless(*given):
        pools, held = kept(*given)
        fine = [n for n, one in enumerate(pools) if "balance_area" not in one.name and "energy" not in one.name]
        return [pools[n] for n in fine], [held[n] for n in fine]

    monkeypatch.setattr(gis.joint, "pools_of", careless)
    accounts = granted(2026) | {"quota/U/2026/balance_area": HA}
    joint = plan(*farmland(accounts, energy_tce=np.full(3, 50.0)), scenario(energy_cap_tce=120.0))
    assert {one.who[0] for one in joint.violations} == {"quota/U/balance_area", "energy_tce"}


def test_what_must_be_placed_and_cannot_be_says_what_is_short():
    quota = {"quota/U/2026/new_construction": 1.5 * HA}
    joint = plan(*world(projects(2), quota=quota), scenario(must=("p0", "p1")))
    assert joint.choice.status == "infeasible"
    assert joint.shortfall == {"quota/U/2026/new_construction": pytest.approx(0.5 * HA)}


def test_names_that_stand_for_nothing_and_locks_on_blocked_ground_are_refused_with_their_row():
    asked = world(projects(2))
    with pytest.raises(BadInput) as refused:
        plan(*asked, scenario(must=("nobody",), locks={"p0": "nowhere"}, balances={"quota/U/1999/x": 1.0}))
    assert [fault.field for fault in refused.value.faults] == ["must.nobody", "locks", "balances"]
    blocked = np.ones((3, 2), dtype=bool)
    blocked[1, 0] = False
    with pytest.raises(BadInput, match="p0 may not stand on s1"):
        plan(*world(projects(2), allowed=blocked), scenario(locks={"p0": "s1"}))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("weights: {tax_wan: 0}", "all of them are zero"),
        ("start_years: [2026, 2026]", "a year stands twice"),
        ("gap: .nan", "gap"),
        ("colour: red", "colour"),
        ("[1, 2]", "no table"),
        ("a: [", "not YAML"),
    ],
)
def test_a_bad_scenario_is_refused_by_its_row(text, row):
    with pytest.raises(BadInput, match=row):
        scenario_of(text)


def test_blocks_are_in_one_piece_and_cuts_have_the_size_that_is_asked_for():
    bounds = np.array([[1.5 * HA, 2 * HA], [0.3 * HA, 0.4 * HA]])
    found = candidates(squares(4), list("abcd"), bounds, together=3)
    blocks = [name for name, whole in zip(found.names, found.whole, strict=True) if whole]
    assert blocks == ["a+b", "b+c", "c+d"]  # three of them are too large
    area_m2 = shapely.area(found.ground[~found.whole])
    assert len(area_m2) == 16  # from either end of both axes of each square
    assert (area_m2 >= 0.3 * HA).all()
    assert (area_m2 <= 0.31 * HA).all()
    assert (compactness(found.ground) >= 0.25).all()
    for group in found.overlaps():
        for a in group:
            for b in group:
                assert a == b or found.ground[a].intersection(found.ground[b]).area > 0.01


def test_two_candidates_that_share_ground_are_always_in_one_group():
    rng = np.random.default_rng(1)
    bounds = np.array([[0.3 * HA, 0.5 * HA], [0.9 * HA, 2.2 * HA], [0.5 * HA, 0.7 * HA]])
    found = candidates(squares(4), list("abcd"), bounds, together=2)
    pairs = {(int(a), int(b)) for group in found.overlaps() for a in group for b in group}
    for a, b in rng.integers(0, len(found.ground), (400, 2)):
        shared = found.ground[a].intersection(found.ground[b]).area > 0.01
        assert a == b or shared == ((a, b) in pairs)


def test_alternatives_differ_and_none_is_better():
    rng = np.random.default_rng(2)
    benefit = rng.integers(1, 50, (8, 5)).astype(float)
    first = choose(benefit)
    others = alternatives(benefit, first, count=5, differs=2)
    plans = [first, *others]
    assert len(others) == 5
    assert [one.objective for one in plans] == sorted((one.objective for one in plans), reverse=True)
    for n, one in enumerate(plans):
        for other in plans[n + 1 :]:
            assert (one.site != other.site).sum() >= 2


def test_no_point_of_a_front_is_better_in_both():
    rng = np.random.default_rng(3)
    benefit, farmland = rng.integers(1, 50, (8, 5)).astype(float), rng.integers(0, 9, (8, 5)).astype(float)
    points = [(value, spent) for value, (spent,), _ in front(benefit, farmland, points=5)]
    assert len(points) >= 3
    assert points == sorted(points, reverse=True)
    assert len({spent for _, spent in points}) == len(points)


def test_alternatives_say_who_moves():
    joint = plan(*world(projects(1), sites=3), scenario(alternatives=2))
    assert [one.objective for one in joint.alternatives] == [10.0, 10.0]
    places = {joint.assigned[0].name}
    for one in joint.alternatives:
        ((key, old, new),) = one.moved
        assert (key, old) == ("p0", (joint.assigned[0].name, 2026))
        assert new is not None
        places.add(new[0])
    assert places == {"s0", "s1", "s2"}


def test_why_not_counts_what_was_bought_and_only_pools_that_a_project_draws_on():
    line = Purchase(name="second line", cost_wan=4.0, adds={"capacity/S1/power_kva": 100.0})
    held = {"capacity/S1/power_kva": 100.0, "quota/U/2026/new_construction": 2 * HA}
    joint = plan(
        *world(projects(3), accounts={**held, "quota/U/2026/new_construction": 1e6}), scenario(purchases=(line,))
    )
    assert joint.bought == ("second line",)
    assert [en for _, en in joint.unplaced["p0"]] == ["capacity/S1/power_kva is short by at least 100"]
    served = np.ones((3, 3), dtype=bool)
    served[:, 0] = False
    asked = world(projects(3), accounts=held, serves={"capacity/S1/power_kva": served})
    joint = plan(*asked, scenario(purchases=(line,), priorities={"p0": 0.5}))
    assert [en for _, en in joint.unplaced["p0"]] == ["quota/U/2026/new_construction is short by at least 10,000"]


def test_musts_that_contradict_each_other_name_each_other():
    kinds = {"is_food": np.array([True, False, False]), "is_dusty": np.array([False, True, False])}
    far = scenario(must=("p0", "p1"), apart=(KeepApart(kind="is_food", other="is_dusty", distance_m=9_000.0),))
    joint = plan(*world(projects(3), kinds=kinds), far)
    assert joint.choice.status == "infeasible"
    assert "has to be placed and so has p1" in joint.unplaced["p0"][0][1]
    assert "has to be placed and so has p0" in joint.unplaced["p1"][0][1]
    assert "there is no plan" in joint.unplaced["p2"][0][1]


def test_musts_that_lack_a_pool_say_what_all_of_them_lack():
    quota = {"quota/U/2026/new_construction": 1.5 * HA}
    joint = plan(*world(projects(2), quota=quota), scenario(must=("p0", "p1")))
    assert "quota/U/2026/new_construction short by 5,000" in joint.unplaced["p0"][0][1]


def test_two_locks_on_one_ground_are_refused_and_name_both():
    with pytest.raises(BadInput) as refused:
        plan(*world(projects(2)), scenario(locks={"p0": "s1", "p1": "s1"}))
    assert "p0 and p1 are locked on the same ground: s1, s1" in refused.value.faults[0].reason


def offers(found, asked, county):
    """Two offers for each project: S1 for 1 wan, S2 for 4."""
    sites, count = len(found.ground), len(asked)
    at = np.zeros((2, sites, count), dtype=bool)
    first, second = at.copy(), at.copy()
    first[0], second[1] = True, True
    cost = np.zeros(at.shape)
    cost[0], cost[1] = 1.0, 4.0
    return (
        found,
        asked,
        replace(
            county,
            serves={"capacity/S1/power_kva": first, "capacity/S2/power_kva": second},
            value=county.value - cost,
            offers=~at,
            costs={"connection": cost},
            accounts={
                "quota/U/2026/new_construction": 1e6,
                "capacity/S1/power_kva": 100.0,
                "capacity/S2/power_kva": 100.0,
            },
        ),
    )


def test_the_dearer_offer_is_taken_where_the_cheaper_station_is_full():
    joint = plan(*offers(*world(projects(3))), scenario())
    assert len(joint.assigned) == 2  # 100 kVA each, two stations of 100
    assert sorted(one.offer for one in joint.assigned) == [0, 1]
    assert joint.choice.objective == 11 + 12 - 1 - 4
    assert joint.violations == ()
    taken = {name for one in joint.assigned for step in one.steps for name in step.takes if name.startswith("capacity")}
    assert taken == {"capacity/S1/power_kva", "capacity/S2/power_kva"}


def test_what_the_fund_covers_counts_with_what_is_bought():
    asked = offers(*world(projects(2)))
    both = plan(*asked, scenario(fund_wan=5.0, fund_covers=("connection",)))
    assert (len(both.assigned), both.violations) == (2, ())
    one = plan(*asked, scenario(fund_wan=4.9, fund_covers=("connection",)))
    assert [at.offer for at in one.assigned] == [0]
    nobody = replace(asked[2], costs={"connection": np.full((2, 3, 2), np.nan)})
    blind = plan(asked[0], asked[1], nobody, scenario(fund_wan=1e6, fund_covers=("connection",)))
    assert blind.assigned == ()
    assert "unknown" in blind.unplaced["p0"][0][1]


def test_a_locked_project_keeps_its_site_in_any_year_and_by_any_offer():
    quota = {"quota/U/2027/new_construction": 1e6}
    locked = scenario(start_years=(2026, 2027), locks={"p0": "s2"})
    joint = plan(*world(projects(1), quota=quota), locked)
    assert [(one.name, one.steps[0].approval_year) for one in joint.assigned] == [("s2", 2027)]


def test_alternatives_are_other_places_not_other_stations():
    joint = plan(*offers(*world(projects(1))), scenario(alternatives=3))
    places = [one.moved[0][2] for one in joint.alternatives]
    assert len({joint.assigned[0].name, *(at and at[0] for at in places)}) == 4  # three sites and none, however served
