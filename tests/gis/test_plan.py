"""The joint plan against every plan there is, the published assignment instances, and its own promises."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis.plan import Expansion, Pool, choose
from gis.solver import programme, search
from gis.solver.conflicts import grouped
from gis.solver.greedy import greedy, holds
from gis.solver.problem import read
from gis.solver.process import Solver
from layers.errors import BadInput, SolverDied
from scripts.bench.plan_cases import PUBLISHED, as_pools, published, raised, too_small


def every_plan(
    benefit, *, pools=(), exclusive=True, overlaps=(), conflicts=(), must=False, fixed=(), fund=None, needs=()
):
    """The most any plan is worth, by trying all of them; -inf where there is none. Shares nothing with the planner."""
    benefit = np.asarray(benefit, dtype=float)
    sites, projects = benefit.shape
    alone = np.broadcast_to(exclusive, (sites,))
    needed = np.broadcast_to(must, (projects,))
    costs = {}
    for pool in pools:
        for k, one in enumerate(pool.expansions):
            costs[one.name or (pool.name, k)] = one.cost
    best = -np.inf
    for plan in itertools.product(range(-1, sites), repeat=projects):
        placed = [(site, n) for n, site in enumerate(plan) if site >= 0]
        if any(not np.isfinite(benefit[cell]) for cell in placed) or any(
            needed[n] and plan[n] < 0 for n in range(projects)
        ):
            continue
        if any(plan[n] != site for n, site in fixed):
            continue
        if any(alone[s] and plan.count(s) > 1 for s in range(sites)):
            continue
        if any(len(set(group) & set(plan)) > 1 for group in overlaps):
            continue
        if any((a, i) in placed and (b, j) in placed for a, i, b, j in conflicts):
            continue
        if any(
            sum(cell in placed for cell in set(these)) > sum(cell in placed for cell in set(those))
            for these, those in needs
        ):
            continue
        worth = sum(benefit[cell] for cell in placed)
        for count in range(len(costs) + 1):
            for bought in itertools.combinations(costs, count):
                fits = fund is None or sum(costs[name] for name in bought) <= fund
                for pool in pools:
                    use = (
                        pool.use
                        if not isinstance(pool.use, tuple)
                        else np.outer(*pool.use)
                        if pool.use[0].ndim == 1
                        else pool.use[0] @ pool.use[1]
                    )
                    extra = sum(
                        one.extra for k, one in enumerate(pool.expansions) if (one.name or (pool.name, k)) in bought
                    )
                    fits &= sum(use[cell] for cell in placed) <= pool.balance + extra + 1e-9
                if fits:
                    best = max(best, worth - sum(costs[name] for name in bought))
    return best


@st.composite
def small(draw):
    sites, projects = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    whole = st.integers(0, 9)
    cells = draw(
        st.lists(st.one_of(st.just(-np.inf), st.integers(-2, 12)), min_size=sites * projects, max_size=sites * projects)
    )
    benefit = np.array(cells, dtype=float).reshape(sites, projects)
    pools = []
    for k in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            use = (
                np.array(draw(st.lists(st.integers(0, 1), min_size=sites, max_size=sites)), dtype=float),
                np.array(draw(st.lists(whole, min_size=projects, max_size=projects)), dtype=float),
            )
        else:
            use = np.array(draw(st.lists(whole, min_size=sites * projects, max_size=sites * projects)), dtype=float)
            use = use.reshape(sites, projects)
            if draw(st.booleans()):
                use = (np.eye(sites), use)  # as many sorts of sites as there are sites
        expansions = [
            Expansion(draw(whole), 3.0, draw(st.sampled_from([None, "road"]))) for _ in range(draw(st.integers(0, 1)))
        ]
        pools.append(Pool(f"pool{k}", use, float(draw(st.integers(-1, 15))), expansions))
    site, project = st.integers(0, sites - 1), st.integers(0, projects - 1)
    return {
        "benefit": benefit,
        "pools": pools,
        "exclusive": np.array(draw(st.lists(st.booleans(), min_size=sites, max_size=sites))),
        "overlaps": draw(st.lists(st.lists(site, min_size=2, max_size=3), max_size=2)),
        "conflicts": draw(st.lists(st.tuples(site, project, site, project), max_size=4)),
        "must": np.array(draw(st.lists(st.sampled_from([False, False, True]), min_size=projects, max_size=projects))),
        "fund": draw(st.sampled_from([None, None, 3.0, 2.0])),
        "fixed": draw(st.lists(st.tuples(project, site), max_size=1)),
        "needs": _needs(draw, sites, projects),
    }


def _needs(draw, sites, projects):
    """Cells that need others: any, or a companion within a step of its plant."""
    cells = st.lists(st.tuples(st.integers(0, sites - 1), st.integers(0, projects - 1)), max_size=3)
    if projects < 2 or draw(st.booleans()):
        return draw(st.lists(st.tuples(cells, cells), max_size=2))
    near = [([(s, 0)], [(t, 1) for t in range(sites) if abs(s - t) <= 1]) for s in range(sites)]
    return [*near, ([(s, 1) for s in range(sites)], [(s, 0) for s in range(sites)])]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["at once", "column by column", "sums and late conflicts"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=small())
def test_no_plan_is_worth_more_and_none_is_missed(way, asked):
    limits = {
        "column by column": {"WHOLE": 0, "EACH": 1, "ADDED": 1},
        "sums and late conflicts": {"FEW_CONFLICTS": -1, "MANY_CELLS": 0},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.get(way, {}).items():
            patch.setattr(programme if name == "MANY_CELLS" else search, name, value)
        best = every_plan(**asked)
        try:
            found = choose(asked.pop("benefit"), **asked, time_limit_s=20)
        except BadInput as refused:
            refusals = {fault.layer for fault in refused.faults}
        else:
            refusals = set()
    if refusals:
        assert refusals == {"fixed"}
        assert best == -np.inf
        return
    if best == -np.inf:
        assert found.status == "infeasible"
    else:
        assert (found.status, found.objective) == ("optimal", pytest.approx(best))
        assert found.bound == pytest.approx(best, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("k", range(12))
def test_a_published_assignment_instance_is_solved_to_its_optimum(shared_data, k):
    path = shared_data / "opt_gap" / "cattrysse1994" / f"gap{k + 1}-{k % 5}"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    value, weight, capacity = published(path)
    found = choose(value, pools=as_pools(weight, capacity), exclusive=False, must=True, time_limit_s=60)
    assert (found.status, found.objective) == ("optimal", PUBLISHED[5 * k + k % 5])


@pytest.mark.parametrize("seed", range(15))
def test_the_increases_that_are_stated_are_enough_and_a_hundredth_less_is_not(seed):
    benefit, pools = too_small(seed)
    found = choose(benefit, pools=pools, must=True)
    assert found.status == "infeasible"
    assert found.shortfall
    assert choose(benefit, pools=raised(pools, found.shortfall), must=True).status == "optimal"
    assert choose(benefit, pools=raised(pools, found.shortfall, 0.99), must=True).status == "infeasible"


def test_no_increase_helps_a_project_that_may_stand_nowhere():
    found = choose([[1.0, -np.inf]], pools=[Pool("land", ([1], [5, 5]), 20.0)], exclusive=False, must=True)
    assert (found.status, found.shortfall) == ("infeasible", None)


def test_what_cannot_be_read_is_named_all_at_once():
    nan = float("nan")
    with pytest.raises(BadInput) as refused:
        choose(
            [[1.0, nan], [2.0, 3.0]],
            pools=[
                Pool("land", [[1, 2, 3]], 5.0),
                Pool("power", ([1, -1], [1, 1]), nan),
                Pool("water", ([1, 1], [1, 1]), 1.0, [Expansion(1, 5, "main")]),
                Pool("effluent", ([1, 1], [1, 1]), 1.0, [Expansion(1, 6, "main")]),
            ],
            overlaps=[[0, 7]],
            conflicts=[(0, 0, 0, 9)],
            must=[True],
            fixed=[(0, 0), (0, 1), (5, 0), (1, 0)],
        )
    named = {(fault.layer, fault.field, fault.feature) for fault in refused.value.faults}
    assert named == {
        ("benefit", None, "site 0, project 1"),
        ("pool land", "use", None),
        ("pool power", "use", None),
        ("pool power", "balance", None),
        ("pool effluent", None, None),
        ("overlaps", None, "group 0"),
        ("conflicts", None, "row 0"),
        (None, "must", None),
        ("fixed", None, "row 1"),
        ("fixed", None, "row 2"),
        ("fixed", None, "row 3"),
    }


def test_locks_that_contradict_each_other_are_refused_with_their_names():
    with pytest.raises(BadInput, match="share ground"):
        choose(np.ones((2, 2)), overlaps=[[0, 1]], fixed=[(0, 0), (1, 1)])
    with pytest.raises(BadInput, match="rules out project 1 on site 1"):
        choose(np.ones((2, 2)), conflicts=[(0, 0, 1, 1)], fixed=[(0, 0), (1, 1)])


def test_one_purchase_serves_every_pool_that_names_it():
    one = ([1.0], [10.0])
    road = [
        Pool("road", one, 0.0, [Expansion(10, 4, "new road")]),
        Pool("bridge", one, 5.0, [Expansion(5, 4, "new road")]),
    ]
    found = choose([[9.0]], pools=road)
    assert (found.objective, found.expansions_used) == (5.0, ("new road",))
    assert choose([[3.0]], pools=road).objective == 0.0


def hard(seed=3):
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 101, (10, 80)).astype(float)
    cost = 111 - weight + rng.integers(-10, 11, (10, 80))
    return -cost, as_pools(weight, np.floor(0.8 * weight.sum(axis=1) / 10))


def test_a_search_is_ended_by_whoever_watches_it_and_keeps_its_best():
    value, pools = hard()
    told = []

    def watch(progress):
        told.append(progress)
        return progress.site is None

    began = time.monotonic()
    found = choose(value, pools=pools, exclusive=False, must=True, time_limit_s=60, watch=watch)
    assert time.monotonic() - began < 20
    assert found.status == "feasible"
    assert found.bound >= found.objective == told[-1].objective


def test_a_deadline_is_kept_and_the_bound_says_how_good_the_plan_is():
    value, pools = hard()
    found = choose(value, pools=pools, exclusive=False, must=True, time_limit_s=2)
    assert found.seconds < 6
    assert found.bound >= found.objective
    assert found.gap == pytest.approx((found.bound - found.objective) / abs(found.objective))


def test_a_previous_plan_is_where_the_search_begins():
    value, pools = hard()
    first = choose(value, pools=pools, exclusive=False, time_limit_s=3)
    again = choose(value, pools=pools, exclusive=False, time_limit_s=1, start=first.site)
    assert again.objective >= first.objective


def test_the_same_seed_gives_the_same_plan():
    benefit, pools = too_small(1)
    one, two = (choose(benefit, pools=pools, seed=7) for _ in range(2))
    assert (one.site == two.site).all()


@pytest.mark.parametrize("seed", range(12))
def test_rows_of_conflicts_say_all_of_them_and_nothing_else(seed):
    rng = np.random.default_rng(seed)
    pairs = [(a, i, b, j) for a in range(5) for b in range(5) for i in range(4) for j in range(i) if rng.random() < 0.6]
    alone = rng.random(5) < 0.5
    grounds = [[0, 1], [1, 2, 3]][: rng.integers(0, 3)]
    problem = read(np.ones((5, 4)), (), alone, grounds, pairs, False, ())
    rows, cells, _ = grouped(problem)
    said = {(int(p), int(q)) for row in set(rows) for p, q in itertools.combinations(sorted(cells[rows == row]), 2)}
    meant = {tuple(sorted((a * 4 + i, b * 4 + j))) for a, i, b, j in pairs}

    # what else stands in a row together cannot be chosen together anyway
    def together(p, q):
        a, b = p // 4, q // 4
        return (
            p % 4 != q % 4 and not (a == b and alone[a]) and not (a != b and any({a, b} <= set(one) for one in grounds))
        )

    other = {(p, q) for p, q in said - meant if together(p, q)}
    assert other == set()
    assert {(p, q) for p, q in meant - said if not (p // 4 == q // 4 and alone[p // 4])} == set()


def test_a_solver_that_is_gone_is_said_and_leaves_no_process_behind():
    with Solver() as solver:
        solver._process.kill()
        with pytest.raises(SolverDied):
            list(solver.answers(time.monotonic() + 10))
    assert solver._process.poll() is not None


def test_the_planner_itself_never_loads_the_solver():
    code = "import gis.plan, gis.joint, sys; assert 'highspy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_companion_stands_near_its_plant_or_neither_is_placed():
    benefit = np.array([[9.0, -1.0], [5.0, -2.0], [1.0, -1.0], [-np.inf, -3.0]])
    near = [([(s, 0)], [(t, 1) for t in range(4) if abs(s - t) <= 1]) for s in range(4)]
    back = ([(s, 1) for s in range(4)], [(s, 0) for s in range(4)])
    found = choose(benefit, needs=[*near, back])
    assert (found.site.tolist(), found.objective, found.status) == ([0, 1], 7.0, "optimal")
    poor = choose(benefit - [[0, 9]], needs=[*near, back])
    assert poor.site.tolist() == [-1, -1]
    short = choose(benefit, needs=[*near, back], must=[True, False], pools=[Pool("p", np.ones((4, 2)), 1.0)])
    assert (short.status, short.shortfall) == ("infeasible", {"p": 1.0})


def test_greedy_places_companions_together_and_the_plan_holds():
    rng = np.random.default_rng(3)
    benefit = np.concatenate([rng.uniform(1, 9, (30, 3)), rng.uniform(-1, 0, (30, 3))], axis=1)
    needs = []
    for n in range(3):
        needs += [([(s, n)], [(t, n + 3) for t in range(30) if abs(s - t) <= 2]) for s in range(30)]
        needs.append(([(s, n + 3) for s in range(30)], [(s, n) for s in range(30)]))
    problem = read(benefit, [], True, (), (), False, (), None, needs)
    assert {one: some.tolist() for one, some in problem.companions.items()} == {0: [3], 1: [4], 2: [5]}
    site = greedy(problem)
    assert (site >= 0).all()
    assert holds(problem, site, np.zeros(0, dtype=bool))
    assert (np.abs(site[:3] - site[3:]) <= 2).all()


def test_a_need_that_names_no_cell_is_refused():
    with pytest.raises(BadInput, match="row 0"):
        choose([[1.0]], needs=[([(0, 0)], [(0, 1)])])


def test_a_plan_whose_time_is_over_at_once_still_has_a_bound_and_a_gap() -> None:
    rng = np.random.default_rng(5)
    value = rng.uniform(1, 10, (300, 40))
    use = rng.uniform(1, 5, (300, 40))
    found = choose(value, pools=[Pool("p", use, 30.0)], time_limit_s=0.01)
    assert np.isfinite([found.objective, found.bound, found.gap]).all()
    assert found.objective <= found.bound <= value.max(axis=0).sum()
