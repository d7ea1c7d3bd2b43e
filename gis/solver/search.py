"""The best plan found by a deadline, and what no plan can be worth more than.

The relaxation is solved over some columns (all, where there are few), and every cell is priced by its duals until none
is worth adding. By weak duality these duals bound the value of every plan there is, and of every
plan with a given cell in it; cells whose plans cannot beat the one in hand are left out without any loss, and where
more than the solver can take remain, the best of what was left out stays in the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gis.solver.greedy import needed, plans
from gis.solver.improve import Improver
from gis.solver.known import TOLERANCE, Search
from gis.solver.process import Solver
from gis.solver.programme import Programme, load, scale_of
from gis.solver.rows import Columns, Rows, joined
from gis.solver.wire import Message
from layers.records import Floats, Ints

WHOLE = 15_000  # cells that are all columns from the beginning
LARGEST = 40_000  # cells handed to the solver as one programme after pricing
EACH = 40  # cells of each project that pricing begins with
ADDED = 12  # cells of each project that one round of pricing adds
FEW_CONFLICTS = 500  # rows of conflicts that are no burden
TIGHTENING = 0.4  # of the time left, at most, for rows that bring the relaxation nearer
GRACE_S = 3.0  # how long after its own deadline the solver may still answer


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
    cells = problem.cells
    if one.site is None and len(cells) == 0:
        one.infeasible = True  # nobody may stand anywhere, and even that does not hold
    if one.is_done:
        return
    rows = Rows(problem)
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
        programme = Programme(rows, np.union1d(rows.needed(np.union1d(cells[kept], own)), own), one.seed)
        helper = Improver(one, programme, worth)
        try:
            _solve(solver, one, programme, outside, helper)
        finally:
            helper.end()
        before = len(rest)
        if not before:
            break
    if one.site is None and before and not one.is_done:
        _solve(solver, one, Programme(rows, cells, one.seed), np.inf)


def _price(solver: Solver, one: Search, rows: Rows) -> tuple[Floats | None, Floats, float]:
    """Solve the relaxation over all cells by adding those worth adding.

    Returns (S, N) what each cell is worth at the best prices found, (N,) each project's part of the bound, the bound.
    """
    problem = one.problem
    sites, projects = problem.shape
    scale = scale_of(problem)
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
    load(solver, rows, columns, scale, one.seed, upper=np.inf)
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
        _solve(solver, one, Programme(rows, problem.cells, one.seed), np.inf)  # no prices: everything, as it is
    return best


def _answer(solver: Solver, one: Search, kind: str) -> dict[str, Any] | None:
    for message in solver.answers(one.until + GRACE_S):
        if message is not None and message["kind"] == kind:
            return message
        if message is None:
            one.tell()
        if one.cancelled:
            return None
    return None


def _solve(solver: Solver, one: Search, programme: Programme, outside: float, helper: Improver | None = None) -> None:
    """A programme over some cells; no plan with another cell in it is worth more than `outside`.

    Where there are many conflicts, those that the prices do not feel wait until the relaxation or a plan breaks them.
    """
    rows = programme.rows
    conflicts = np.arange(rows.first_conflict, rows.first_link)
    idle = conflicts[~one.felt] if len(conflicts) > FEW_CONFLICTS and len(one.felt) else conflicts[:0]
    programme.load(solver, idle)
    tight = _tighten(solver, one, programme, outside, helper)
    if tight is None or one.is_done:
        return
    cuts = {name: tight[name] for name in ("start", "column", "value", "upper")}
    broken = rows.broken(programme.cells, tight["x"][programme.ahead :]) if len(idle) else idle
    while True:
        if len(broken):
            idle = np.setdiff1d(idle, broken)
            programme.load(solver, idle)
            solver.ask("cut", **cuts)
        broken = _solve_with(solver, one, programme, outside, helper, idle)
        if not len(broken) or one.is_done:
            return


def _tighten(
    solver: Solver, one: Search, programme: Programme, outside: float, helper: Improver | None
) -> Message | None:
    """Add to a loaded programme what each pool alone says of whole projects, and tell the better bounds; returns the
    rows added and the relaxation that keeps them, None where the search has ended."""
    rows = programme.rows
    solver.ask(
        "tighten",
        pools=np.arange(rows.first_pool, rows.first_conflict),
        item=programme.item,
        seconds=max(TIGHTENING * one.left_s, 0.1),
        enough=-one.enough * programme.scale,
    )
    for message in _heard(solver, one, helper):
        if message["kind"] == "tight":
            if helper is not None and len(message["upper"]):
                helper.tightened(message, programme.ahead)
            return message
        one.bounded(_over_all(-message["bound"] / programme.scale, outside, one))
    return None


def _solve_with(
    solver: Solver, one: Search, programme: Programme, outside: float, helper: Improver | None, idle: Ints
) -> Ints:
    """A loaded programme without the rows that are idle; returns those of them that its plans break."""
    rows, problem = programme.rows, programme.rows.problem
    asked: dict[str, Any] = {"keeps_sums": bool(len(programme.sums))}
    broken: Ints = idle[:0]
    if one.site is not None:
        asked["x"] = programme.values(one.site, one.bought)
    solver.ask("solve", seconds=max(one.left_s, 0.1), gap=one.gap, **asked)
    for message in _heard(solver, one, helper):
        if len(message["x"]):
            site, bought = programme.plan(message["x"])
            one.offer(site, bought)
            broken = np.union1d(broken, np.intersect1d(rows.broken(problem.chosen(site)), idle))
        if message.get("status", "") == "Infeasible":
            if not np.isfinite(outside):
                one.infeasible = one.site is None
            return broken[:0]
        bound = -message["bound"] / programme.scale
        if np.isfinite(bound):
            one.bounded(_over_all(bound, outside, one))
        if message["kind"] == "solved":
            return broken
    return broken if not one.cancelled else broken[:0]


def _heard(solver: Solver, one: Search, helper: Improver | None) -> Iterator[Message]:
    """What a solver says until the search has ended, while the helper takes its turns."""
    for message in solver.answers(one.until + GRACE_S):
        if helper is not None:
            helper.turn()
            if one.is_done:
                return
        if message is None:
            one.tell()
        else:
            yield message
        if one.cancelled:
            return


def _over_all(bound: float, outside: float, one: Search) -> float:
    """The bound of a programme over some cells as one over all."""
    return bound if outside == np.inf else max(bound, outside, one.objective)
