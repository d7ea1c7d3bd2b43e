"""The best plan found by a deadline, and what no plan can be worth more than.

The relaxation is solved over some columns (all, where there are few), and every cell is priced by its duals until none
is worth adding. By weak duality these duals bound the value of every plan there is, and of every
plan with a given cell in it; cells whose plans cannot beat the one in hand are left out without any loss, and where
more than the solver can take remain, the best of what was left out stays in the bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gis.solver.greedy import needed, plans
from gis.solver.improve import Improver
from gis.solver.known import TOLERANCE, Search
from gis.solver.problem import Problem
from gis.solver.process import Solver
from gis.solver.rows import Columns, Rows, joined
from layers.records import Bools, Floats, Ints

WHOLE = 15_000  # cells that are all columns from the beginning
LARGEST = 40_000  # cells handed to the solver as one programme after pricing
EACH = 40  # cells of each project that pricing begins with
ADDED = 12  # cells of each project that one round of pricing adds
FEW_CONFLICTS = 500  # rows of conflicts that are no burden
FEW_PROJECTS, MANY_CELLS = 60, 50  # where whether a project is placed is decided apart from where
GRACE_S = 3.0  # how long after its own deadline the solver may still answer
LARGEST_COST = 1024.0  # of the scaled objective


def search(solver: Solver, one: Search, start: Ints | None) -> None:
    """Improve what is known until it is good enough or time is over."""
    problem = one.problem
    if (problem.must & ~np.isfinite(problem.benefit).any(axis=0)).any():
        one.infeasible = True  # somebody has to be placed who may stand nowhere
        return
    if start is not None:
        one.offer(start, needed(problem, start))
    for site, bought in plans(problem):
        one.offer(site, bought)
    rows = Rows(problem)
    cells = problem.cells
    if one.is_done:
        return
    worth, part, bound = _price(solver, one, rows)
    if one.infeasible or worth is None:
        return
    for site, bought in plans(problem, worth):
        one.offer(site, bought)
    before = len(cells) + 1
    while not one.is_done:
        # what a plan with the cell in it can be worth at most
        most = (bound + np.minimum(worth - part, 0.0)).ravel()[cells]
        promising = np.flatnonzero(most > one.enough)
        if len(promising) > LARGEST:
            promising = promising[np.argsort(-most[promising], kind="stable")]
        kept, rest = promising[:LARGEST], promising[LARGEST:]
        if len(rest) >= before:
            break
        own = problem.chosen(one.site) if one.site is not None else kept[:0]
        most[kept] = -np.inf
        outside = float(most.max(initial=-np.inf))
        if outside <= one.objective + TOLERANCE * (1 + abs(one.objective)):
            outside = -np.inf
        helper = Improver(one, rows, worth, _scale(problem))
        try:
            _solve(solver, one, rows, np.union1d(cells[kept], own), outside, helper)
        finally:
            helper.end()
        before = len(rest)
        if not before:
            break
    if one.site is None and before and not one.is_done:
        _solve(solver, one, rows, cells, np.inf)


def _price(solver: Solver, one: Search, rows: Rows) -> tuple[Floats | None, Floats, float]:
    """Solve the relaxation over all cells by adding those worth adding.

    Returns (S, N) what each cell is worth at the best prices found, (N,) each project's part of the bound, the bound.
    """
    problem = one.problem
    sites, projects = problem.shape
    scale = _scale(problem)
    known = np.zeros(sites * projects, dtype=bool)
    if len(problem.cells) <= WHOLE:
        known[problem.cells] = True
    else:
        ranked = np.argpartition(-problem.benefit, min(EACH, sites - 1), axis=0)[:EACH]
        first = (ranked * projects + np.arange(projects)).ravel()
        known[first[np.isfinite(problem.benefit.ravel()[first])]] = True
    if one.site is not None:
        known[problem.chosen(one.site)] = True
    known[rows.link_cells] = True
    added = np.flatnonzero(known)
    must = np.flatnonzero(problem.must)
    # until columns are found that place everyone who must be placed, a price that no plan can be worth
    far = (
        2 * projects * max(float(np.abs(problem.benefit[np.isfinite(problem.benefit)]).max(initial=0.0)), 1e-9)
        + problem.cost.sum()
    )
    missing = Columns(np.full(len(must), far), np.arange(len(must) + 1), must, np.ones(len(must)))
    columns = joined(rows.of_purchases(), rows.of_used_sites(), missing, rows.of_cells(added))
    _load(solver, one, rows, columns, scale, relaxed=True)
    best: tuple[Floats | None, Floats, float] = (None, np.zeros(projects), np.inf)
    while not one.cancelled and one.left_s > 0:
        solver.ask("relax", seconds=one.left_s)
        answer = _answer(solver, one, "relaxed")
        if answer is None or answer["status"] != "Optimal":
            break
        duals = answer["price"] / scale
        duals[projects:] = np.maximum(duals[projects:], 0.0)
        worth = rows.reduced(duals)
        bound, part = rows.bound(duals, worth)
        if bound < best[2]:
            best = worth, part, bound
            one.felt = duals[rows.first_conflict : rows.first_link] > 0
            one.prices = duals[rows.pool_rows] * rows.scale
            one.bounded(bound)
        gain = worth - duals[:projects]
        gain.ravel()[known] = -np.inf
        chosen = np.argpartition(-gain, min(ADDED, sites - 1), axis=0)[:ADDED]
        added = np.sort((chosen * projects + np.arange(projects)).ravel())
        added = added[gain.ravel()[added] > TOLERANCE * max(1.0, abs(bound)) / projects]
        if not len(added):
            break
        known[added] = True
        more = rows.of_cells(added)
        solver.ask("add", cost=more.cost * scale, start=more.start, row=more.row, value=more.value)
    if best[0] is None:
        _solve(solver, one, rows, problem.cells, np.inf)  # no prices: everything, as it is
    return best


def _scale(problem: Problem) -> float:
    """A power of two that brings the largest benefit or cost near LARGEST_COST where it is far from it."""
    largest = max(
        float(np.abs(problem.benefit[np.isfinite(problem.benefit)]).max(initial=0)), problem.cost.max(initial=0)
    )
    if largest == 0 or 1.0 <= largest <= LARGEST_COST**2:
        return 1.0
    return float(2.0 ** np.round(np.log2(LARGEST_COST / largest)))


def _load(
    solver: Solver, one: Search, rows: Rows, columns: Columns, scale: float, *, relaxed: bool, idle: Ints | None = None
) -> None:
    """Rows beyond those of the problem are held at zero; `idle` are rows that hold nothing back for now."""
    count = len(columns.cost)
    beyond = np.zeros(max(int(columns.row.max(initial=-1)) + 1 - rows.count, 0))
    upper = np.append(rows.upper, beyond)
    if idle is not None:
        upper[idle] = np.inf
    solver.ask(
        "load",
        seed=one.seed,
        cost=columns.cost * scale,
        lower=np.zeros(count),
        upper=np.full(count, np.inf if relaxed else 1.0),
        integer=np.ones(count, dtype=np.uint8),
        row_lower=np.append(rows.lower, beyond),
        row_upper=upper,
        start=columns.start,
        row=columns.row,
        value=columns.value,
    )


def _answer(solver: Solver, one: Search, kind: str) -> dict[str, Any] | None:
    for message in solver.answers(one.until + GRACE_S):
        if message is not None and message["kind"] == kind:
            return message
        if message is None:
            one.tell()
        if one.cancelled:
            return None
    return None


def _solve(
    solver: Solver, one: Search, rows: Rows, cells: Ints, outside: float, helper: Improver | None = None
) -> None:
    """The programme over some cells; no plan with another cell in it is worth more than `outside`.

    Where there are many conflicts, those that the prices do not feel wait until a plan breaks them.
    """
    conflicts = np.arange(rows.first_conflict, rows.first_link)
    idle = conflicts[~one.felt] if len(conflicts) > FEW_CONFLICTS and len(one.felt) else conflicts[:0]
    while True:
        broken = _solve_with(solver, one, rows, cells, outside, helper, idle)
        if not len(broken) or one.is_done:
            return
        idle = np.setdiff1d(idle, broken)


def _solve_with(
    solver: Solver, one: Search, rows: Rows, cells: Ints, outside: float, helper: Improver | None, idle: Ints
) -> Ints:
    """One programme without the rows that are idle; returns those of them that its plans break."""
    problem, scale = one.problem, _scale(one.problem)
    free = np.flatnonzero(~problem.must)
    sums = free if len(free) <= FEW_PROJECTS and len(cells) >= MANY_CELLS * len(free) else free[:0]
    fixed = joined(rows.of_purchases(), rows.of_used_sites(), _of_sums(rows.count, len(sums)))
    ahead = len(fixed.cost)
    columns = joined(fixed, _summed(rows.of_cells(cells), rows.count, cells % problem.shape[1], sums))
    _load(solver, one, rows, columns, scale, relaxed=False, idle=idle)
    asked: dict[str, Any] = {"keeps_sums": bool(len(sums))}
    broken: Ints = idle[:0]
    if one.site is not None:
        x = np.zeros(ahead + len(cells))
        x[: len(problem.cost)] = one.bought
        x[len(problem.cost) : ahead - len(sums)] = np.isin(rows.used_sites, one.site)
        x[ahead - len(sums) : ahead] = one.site[sums] >= 0
        x[ahead + np.searchsorted(cells, problem.chosen(one.site))] = 1.0
        asked["x"] = x
    solver.ask("solve", seconds=max(one.left_s, 0.1), gap=one.gap, **asked)
    whole = outside == np.inf
    for message in solver.answers(one.until + GRACE_S):
        if helper is not None:
            helper.turn()
            if one.is_done:
                return broken
        if message is None:
            one.tell()
        else:
            if len(message["x"]):
                x = message["x"] > 0.5
                site = np.full(problem.shape[1], -1, dtype=np.int64)
                chosen = cells[x[ahead:]]
                site[chosen % problem.shape[1]] = chosen // problem.shape[1]
                one.offer(site, needed_of(problem, site, x[: len(problem.cost)]))
                broken = np.union1d(broken, np.intersect1d(rows.broken(chosen), idle))
            status = message.get("status", "")
            if status == "Infeasible":
                if not np.isfinite(outside):
                    one.infeasible = one.site is None
                return broken[:0]
            bound = -message["bound"] / scale
            if np.isfinite(bound):
                one.bounded(bound if whole else max(bound, outside, one.objective))
            if message["kind"] == "solved":
                return broken
        if one.cancelled:
            return broken[:0]
    return broken[:0]


def _of_sums(first_row: int, count: int) -> Columns:
    """A column for each project that may stay away: whether it is placed, minus one in a row of its own.

    The solver decides well on these first. Cell by cell it would have to say no to hundreds that are all but the same.
    """
    return Columns(np.zeros(count), np.arange(count + 1), first_row + np.arange(count), -np.ones(count))


def _summed(columns: Columns, first_row: int, project: Ints, sums: Ints) -> Columns:
    """The columns of cells, each with a one more in the row of its project's sum where there is one."""
    if not len(sums):
        return columns
    place = np.full(int(max(project.max(initial=0), sums.max())) + 1, -1, dtype=np.int64)
    place[sums] = np.arange(len(sums))
    counts = place[project] >= 0
    ends = columns.start[1:][counts]
    start = columns.start + np.concatenate([[0], np.cumsum(counts)])
    row = np.insert(columns.row, ends, first_row + place[project[counts]])
    return Columns(columns.cost, start, row, np.insert(columns.value, ends, 1.0))


def needed_of(problem: Problem, site: Ints, bought: Bools) -> Bools:
    """What the solver bought, less what its plan does not need."""
    fewer = needed(problem, site)
    return fewer if problem.cost[fewer].sum() <= problem.cost[bought].sum() else bought
