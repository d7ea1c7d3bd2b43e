"""The joint plan over some cells as the solver's programme: its columns, and plans to and from their values."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gis.solver.greedy import needed
from gis.solver.problem import Problem
from gis.solver.process import Solver
from gis.solver.rows import Columns, Rows, joined
from layers.records import Bools, Floats, Ints

FEW_PROJECTS, MANY_CELLS = 60, 50  # where whether a project is placed is decided apart from where
LARGEST_COST = 1024.0  # of the scaled objective


class Programme:
    """Columns in the order: purchases, sites used at all, sums, cells.

    A sum is a column of a project that may stay away: whether it is placed. The solver decides well on these first;
    cell by cell it would have to say no to hundreds that are all but the same.
    """

    def __init__(self, rows: Rows, cells: Ints, seed: int) -> None:
        self.rows, self.cells, self.seed = rows, cells, seed
        self.scale = scale_of(rows.problem)
        free = np.flatnonzero(~rows.problem.must)
        self.sums = free if len(free) <= FEW_PROJECTS and len(cells) >= MANY_CELLS * len(free) else free[:0]
        fixed = joined(rows.of_purchases(), rows.of_used_sites(), _of_sums(rows.count, len(self.sums)))
        self.ahead = len(fixed.cost)
        self.columns = joined(fixed, _summed(rows.of_cells(cells), rows.count, self.project, self.sums))

    @cached_property
    def project(self) -> Ints:
        """(cells,) whose cell it is."""
        return self.cells % self.rows.problem.shape[1]

    @property
    def item(self) -> Ints:
        """(columns,) the project of a cell's column, else -1."""
        return np.concatenate([np.full(self.ahead, -1), self.project])

    def load(self, solver: Solver, idle: Ints | None = None) -> None:
        """Give it to a solver; `idle` are rows that hold nothing back for now."""
        load(solver, self.rows, self.columns, self.scale, self.seed, upper=1.0, idle=idle)

    def values(self, site: Ints, bought: Bools) -> Floats:
        """(columns,) of a plan, all of whose cells are columns."""
        rows, problem = self.rows, self.rows.problem
        chosen = np.zeros(len(self.cells))
        chosen[np.searchsorted(self.cells, problem.chosen(site))] = 1.0
        return np.concatenate([bought, np.isin(rows.used_sites, site), site[self.sums] >= 0, chosen])

    def plan(self, x: Floats) -> tuple[Ints, Bools]:
        """The sites and purchases of some values, less the purchases that the plan does not need."""
        problem = self.rows.problem
        site = np.full(problem.shape[1], -1, dtype=np.int64)
        chosen = self.cells[x[self.ahead :] > 0.5]
        site[chosen % problem.shape[1]] = chosen // problem.shape[1]
        bought, fewer = x[: len(problem.cost)] > 0.5, needed(problem, site)
        return site, fewer if problem.cost[fewer].sum() <= problem.cost[bought].sum() else bought


def load(
    solver: Solver, rows: Rows, columns: Columns, scale: float, seed: int, *, upper: float, idle: Ints | None = None
) -> None:
    """Rows beyond those of the problem are held at zero; `idle` are rows that hold nothing back for now."""
    count = len(columns.cost)
    beyond = np.zeros(max(int(columns.row.max(initial=-1)) + 1 - rows.count, 0))
    row_upper = np.append(rows.upper, beyond)
    if idle is not None:
        row_upper[idle] = np.inf
    solver.ask(
        "load",
        seed=seed,
        cost=columns.cost * scale,
        lower=np.zeros(count),
        upper=np.full(count, upper),
        integer=np.ones(count, dtype=np.uint8),
        row_lower=np.append(rows.lower, beyond),
        row_upper=row_upper,
        start=columns.start,
        row=columns.row,
        value=columns.value,
    )


def scale_of(problem: Problem) -> float:
    """A power of two that brings the largest benefit or cost near LARGEST_COST where it is far from it."""
    largest = max(
        float(np.abs(problem.benefit[np.isfinite(problem.benefit)]).max(initial=0)), problem.cost.max(initial=0)
    )
    if largest == 0 or 1.0 <= largest <= LARGEST_COST**2:
        return 1.0
    return float(2.0 ** np.round(np.log2(LARGEST_COST / largest)))


def _of_sums(first_row: int, count: int) -> Columns:
    """Minus one each in a row of its own."""
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
