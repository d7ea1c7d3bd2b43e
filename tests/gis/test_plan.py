"""The joint plan against every plan there is, the published assignment instances, and its own promises."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gis.plan import Expansion, Pool, choose
from gis.solver import search
from layers.errors import BadInput


def every_plan(benefit, *, pools=(), exclusive=True, overlaps=(), conflicts=(), must=False, fixed=()):
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
        worth = sum(benefit[cell] for cell in placed)
        for count in range(len(costs) + 1):
            for bought in itertools.combinations(costs, count):
                fits = True
                for pool in pools:
                    use = pool.use if not isinstance(pool.use, tuple) else np.outer(*pool.use)
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
        "fixed": draw(st.lists(st.tuples(project, site), max_size=1)),
    }


@pytest.mark.parametrize("priced", [False, True], ids=["at once", "column by column"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=small())
def test_no_plan_is_worth_more_and_none_is_missed(priced, asked):
    with pytest.MonkeyPatch.context() as patch:
        if priced:
            for name, value in (("WHOLE", 0), ("EACH", 1), ("ADDED", 1)):
                patch.setattr(search, name, value)
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


# the published optima of OR-Library's gap1 ... gap12, which maximise
PUBLISHED = """336 327 339 341 326  434 436 420 419 428  580 564 573 570 564  656 644 673 647 664  563 558 564 568 559
    761 759 758 752 747  942 949 968 945 951  1133 1134 1141 1117 1127  709 717 712 723 706  958 963 960 947 947
    1139 1178 1195 1171 1171  1451 1449 1433 1447 1446"""


def assignment(path: Path) -> tuple[np.ndarray, list[Pool]]:
    """Agents as sites that may do several jobs, each with its capacity as a pool."""
    numbers = np.array(path.read_text().split(), dtype=float)
    agents, jobs = int(numbers[0]), int(numbers[1])
    value, weight = numbers[2 : 2 + 2 * agents * jobs].reshape(2, agents, jobs)
    pools = []
    for agent, capacity in enumerate(numbers[-agents:]):
        use = np.zeros((agents, jobs))
        use[agent] = weight[agent]
        pools.append(Pool(f"agent {agent}", use, capacity))
    return value, pools


@pytest.mark.slow
@pytest.mark.parametrize("k", range(12))
def test_a_published_assignment_instance_is_solved_to_its_optimum(shared_data, k):
    path = shared_data / "opt_gap" / "cattrysse1994" / f"gap{k + 1}-{k % 5}"
    if not path.is_file():
        pytest.skip(f"no {path.name}")
    value, pools = assignment(path)
    found = choose(value, pools=pools, exclusive=False, must=True, time_limit_s=60)
    assert (found.status, found.objective) == ("optimal", float(PUBLISHED.split()[5 * k + k % 5]))
