"""What is short: the cheapest increases of pools under which everything that must be placed can be."""

from __future__ import annotations

import time

import numpy as np

from gis.solver.greedy import ROUNDING
from gis.solver.problem import Problem
from gis.solver.process import Solver
from gis.solver.rows import Columns, Rows, joined
from layers.records import Floats

MOST = 400_000  # cells beyond which each project brings only those that take least


def shortfall(solver: Solver, problem: Problem, until: float, seed: int) -> dict[str, float] | None:
    """Pool -> increase in its own unit, the cheapest by the pools' prices; None where no increase is enough.

    What can be bought may be bought; what it costs is not counted. Only projects that must be placed are.
    """
    rows = Rows(problem)
    must = problem.must.copy()
    must[problem.tie_cell % problem.shape[1]] = True  # what others need may be placed for them
    cells = problem.cells
    cells = cells[must[cells % problem.shape[1]]]
    if len(cells) > MOST:
        spent = problem.use_at(cells) @ problem.price
        order = np.lexsort((spent, cells % problem.shape[1]))
        rank = np.arange(len(order)) - np.searchsorted(cells[order] % problem.shape[1], cells[order] % problem.shape[1])
        cells = np.sort(cells[order[rank < MOST // problem.shape[1]]])
    pools = np.arange(len(problem.pools))
    # a column is counted in what the pool's whole stock costs, so that its numbers are near one
    size = np.maximum(problem.use_at(cells).max(axis=0, initial=0.0), 1e-12)
    short = Columns(problem.price * size, np.arange(len(pools) + 1), rows.first_pool + pools, -size * rows.scale)
    columns = joined(short, rows.of_purchases(), rows.of_used_sites(), rows.of_cells(cells))
    cost = np.zeros(len(columns.cost))
    cost[: len(pools)] = short.cost / max(float(short.cost.max(initial=0.0)), 1e-300) * 1024.0
    count = len(cost)
    integer = np.ones(count, dtype=np.uint8)
    integer[: len(pools)] = 0
    solver.ask(
        "load",
        seed=seed,
        cost=cost,
        lower=np.zeros(count),
        upper=np.where(integer, 1.0, np.inf),
        integer=integer,
        row_lower=rows.lower,
        row_upper=rows.upper,
        start=columns.start,
        row=columns.row,
        value=columns.value,
    )
    until = max(until, time.monotonic() + 1.0)
    solver.ask("solve", seconds=until - time.monotonic(), gap=0.0)
    best: Floats | None = None
    for message in solver.answers(until + 3.0):
        if message is None:
            continue
        if len(message["x"]):
            best = message["x"]
        if message["kind"] == "solved":
            break
    if best is None:
        return None
    chosen = cells[best[count - len(cells) :] > 0.5]
    bought = best[len(pools) : len(pools) + len(problem.cost)] > 0.5
    left = problem.balance + problem.extra[:, bought].sum(axis=1)
    used = problem.use_at(chosen).sum(axis=0)
    over = used - left
    tight = ROUNDING * np.maximum(np.abs(used), 1.0)
    return {problem.pools[row]: float(over[row]) for row in np.flatnonzero(over > tight)}
