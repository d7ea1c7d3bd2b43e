"""Which project goes where, all together: the front of the solver, free of any storage.

Everything is arrays: sites run down, projects run across. A plan comes with the value that no plan can exceed, so that
one knows how good it is; where there is none, with the cheapest increases of the pools that would make one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gis.solver.known import Progress, Search, Watch, gap_of
from gis.solver.problem import Expansion, Pool, read
from gis.solver.process import Solver
from gis.solver.search import search
from gis.solver.shortfall import shortfall
from layers.errors import BadInput, Fault
from layers.records import Floats, Ints

__all__ = ["Choice", "Expansion", "Pool", "Progress", "choose"]


@dataclass(frozen=True, eq=False)
class Choice:
    """A plan and how good it is.

    site : (N,) -1 where a project is not placed
    expansions_used : the purchases, by name; an expansion without one is `<pool>#<k>`, counted from 1
    objective, bound : the plan's value, and what no plan can be worth more than; `gap` is their distance as a share
    status : `optimal` within the gap asked for, `feasible`, `infeasible`, or `unknown` where time was over first
    used : pool -> what the plan takes; prices : pool -> what a little more of it would add, where that was worked out
    shortfall : where nothing fits, pool -> the increases that would do, cheapest together; None where none would
    """

    site: Ints
    expansions_used: tuple[str, ...]
    objective: float
    bound: float
    gap: float
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    shortfall: dict[str, float] | None = None
    used: dict[str, float] = field(default_factory=dict)
    prices: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def choose(
    benefit: ArrayLike,
    *,
    pools: Iterable[Pool] = (),
    exclusive: bool | ArrayLike = True,
    overlaps: Iterable[Iterable[int]] = (),
    conflicts: Any = (),
    must: bool | ArrayLike = False,
    fixed: Iterable[tuple[int, int]] = (),
    fund: float | None = None,
    spends: ArrayLike | None = None,
    needs: Iterable[tuple[ArrayLike, ArrayLike]] = (),
    time_limit_s: float = 30.0,
    gap: float = 0.0,
    seed: int = 0,
    start: Sequence[int] | Ints | None = None,
    watch: Watch | None = None,
) -> Choice:
    """The most valuable plan: each project on one site at most, nothing taken twice, no pool overdrawn.

    Parameters
    ----------
    benefit : (S, N) value of project n on site s; -inf where it is not allowed
    pools : what projects share, with what may be bought; the same name in several pools is one purchase
    exclusive : whether a site holds one project only, for all or (S,)
    overlaps : groups of sites that share ground: at most one of each group is used
    conflicts : (site, project, site, project) that may not both happen
    must : projects that have to be placed, all or (N,)
    fixed : (project, site) already decided
    fund : the ceiling on what purchases cost together (园区建设资金)
    spends : (S, N) what a placement takes of the fund beside the purchases, where it counts there
    needs : pairs of (K, 2) and (M, 2) cells (site, project): at most as many of these are chosen as of those. Two
        projects that need each other are placed together or not at all
    start : (N,) a plan to begin with, such as the previous one; used as far as it still holds
    watch : hears of every better plan and bound; answering False ends the search with the best so far

    Raises BadInput with every fault of what was asked, SolverDied where the solver's process ended without an answer.

    Examples
    --------
    >>> best = choose([[3.0, 2.0], [2.5, 0.0]], pools=[Pool("water_m3d", ([1, 1], [60, 50]), 110.0)])
    >>> best.site.tolist(), best.objective, best.status
    ([1, 0], 4.5, 'optimal')
    """
    began = time.monotonic()
    asked = list(pools)
    faults = []
    if not (np.isfinite(time_limit_s) and time_limit_s > 0):
        faults.append(Fault("it is not above zero", "Give seconds", field="time_limit_s"))
    if not (np.isfinite(gap) and gap >= 0):
        faults.append(Fault("it is not a share of at least 0", "Give 0.01 for one per cent", field="gap"))
    if fund is not None and not (np.isfinite(fund) and fund >= 0):
        faults.append(Fault("it is not an amount of at least 0", "Give what may be spent", field="fund"))
    if not 0 <= seed < 2**31:
        faults.append(Fault("it is not between 0 and 2147483647", "Give another", field="seed"))
    if faults:
        raise BadInput("the plan cannot be read", faults)
    with Solver() as solver:  # it starts while we read
        problem = read(benefit, asked, exclusive, overlaps, conflicts, must, fixed, fund, needs, spends)
        first = None
        if start is not None:
            first = np.asarray(start, dtype=np.int64)
            if first.shape != (problem.shape[1],) or (first >= problem.shape[0]).any():
                raise BadInput(
                    "the plan cannot be read",
                    [Fault(f"it is no site for each of {problem.shape[1]} projects", "Use -1 for none", field="start")],
                )
        one = Search(problem, began + time_limit_s, gap, seed, watch, began)
        search(solver, one, first)
        if one.site is None:
            if not one.infeasible:
                return _without(problem.shape[1], "unknown", one, began, None)
            short = shortfall(solver, problem, began + max(time_limit_s, 1.0), seed)
            return _without(problem.shape[1], "infeasible", one, began, short)
    # where time was over before the solver had a bound: nobody is worth more than on the best site of all
    best = np.fmax(problem.benefit.max(axis=0, initial=-np.inf), 0.0).sum()
    one.bounded(float(best))
    bound = one.objective if gap_of(one.objective, one.bound) == 0 else one.bound
    apart = gap_of(one.objective, bound)
    return Choice(
        one.site,
        tuple(name for name, bought in zip(problem.purchases, one.bought, strict=True) if bought),
        one.objective,
        bound,
        apart,
        "optimal" if apart <= gap else "feasible",
        None,
        _named(problem.pools, problem.used(one.site)),
        {} if one.prices is None else _named(problem.pools, one.prices),
        time.monotonic() - began,
    )


def _named(pools: tuple[str, ...], values: Floats) -> dict[str, float]:
    return dict(zip(pools, values.tolist(), strict=True))


def _without(
    projects: int,
    status: Literal["infeasible", "unknown"],
    one: Search,
    began: float,
    short: dict[str, float] | None,
) -> Choice:
    nowhere = np.full(projects, -1, dtype=np.int64)
    bound = -np.inf if status == "infeasible" else one.bound
    return Choice(nowhere, (), -np.inf, bound, np.inf, status, short, seconds=time.monotonic() - began)
