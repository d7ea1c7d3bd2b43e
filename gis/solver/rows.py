"""The rows of the joint plan's mixed-integer programme, and what a column has in them. Arrays throughout.

project n      sum over sites x[s, n] <= 1, = 1 where it must be placed
site s         sum over projects x[s, n] <= 1, where only one may stand
group g        sum over its sites <= 1; a site that may hold several counts once, by a column of its own
pool p         sum use x - sum extra y <= balance, scaled so that the solver's tolerance means little in its unit
conflict       one side + other side <= 1, where both sides hold at most one anyway
link           x[s, n] <= used[s], for a site of a group that may hold several
tie            sum of these x - sum of those x <= 0, for cells that need others
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gis.solver.conflicts import SEED, grouped
from gis.solver.problem import Problem
from layers.records import Floats, Ints

PART = 1e-6  # of a cell: less is none
LARGEST = 4096.0  # of a scaled pool row: the solver keeps rows to 1e-6, which is then 2.4e-10 of the largest use


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns by their entries (CSC), their cost in a minimisation, and whether they are whole numbers."""

    cost: Floats
    start: Ints
    row: Ints
    value: Floats


class Rows:
    """Which rows there are; they do not depend on which cells become columns."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        sites, projects = problem.shape
        counted = np.zeros(sites, dtype=bool)
        counted[problem.shared] = True
        self.used_sites: Ints = np.flatnonzero(counted & ~problem.exclusive)
        self.site_row = np.full(sites, -1, dtype=np.int64)
        alone = np.flatnonzero(problem.exclusive & ~counted)  # where it is in a group, the group's row says more
        self.site_row[alone] = projects + np.arange(len(alone))
        groups = int(problem.group.max(initial=-1)) + 1
        self.first_group = projects + len(alone)
        self.first_pool = self.first_group + groups
        self.first_conflict = self.first_pool + len(problem.pools)
        self.conflict_row, self.conflict_cell, count = grouped(problem)
        self.conflict_row = self.conflict_row + self.first_conflict
        order = np.argsort(self.conflict_cell, kind="stable")
        self.conflict_row, self.conflict_cell = self.conflict_row[order], self.conflict_cell[order]
        self.first_link = self.first_conflict + count
        cells = problem.cells
        self.link_cells: Ints = cells[np.isin(cells // projects, self.used_sites)]
        self.first_tie = self.first_link + len(self.link_cells)
        self.count = self.first_tie + problem.ties
        whole = problem.shared, problem.group
        keep = problem.exclusive[whole[0]]
        self._site_of_group, self._group_of_site = _by_site(whole[0][keep], whole[1][keep])
        largest = _largest_use(problem)
        self.scale: Floats = np.where(largest > 0, 2.0 ** np.round(np.log2(LARGEST / np.maximum(largest, 1e-300))), 1.0)
        self.upper = np.ones(self.count)
        self.upper[self.first_pool : self.first_conflict] = problem.balance * self.scale
        self.upper[self.first_link :] = 0.0
        self.lower = np.full(self.count, -np.inf)
        self.lower[np.flatnonzero(problem.must)] = 1.0

    @property
    def pool_rows(self) -> slice:
        return slice(self.first_pool, self.first_conflict)

    def of_cells(self, cells: Ints) -> Columns:
        """The columns of cells, in their order."""
        problem = self.problem
        sites, projects = np.divmod(cells, problem.shape[1])
        at = np.arange(len(cells))
        parts: list[tuple[Ints, Ints, Floats]] = [(at, projects, np.ones(len(cells)))]
        alone = np.flatnonzero(self.site_row[sites] >= 0)
        parts.append((alone, self.site_row[sites[alone]], np.ones(len(alone))))
        column, found = _matches(sites, self._site_of_group)
        parts.append((column, self.first_group + self._group_of_site[found], np.ones(len(column))))
        use = problem.use_at(cells) * self.scale
        column, pool = np.nonzero(use)
        parts.append((column, self.first_pool + pool, use[column, pool]))
        column, found = _matches(cells, self.conflict_cell)
        parts.append((column, self.conflict_row[found], np.ones(len(column))))
        column, found = _matches(cells, self.link_cells)
        parts.append((column, self.first_link + found, np.ones(len(column))))
        column, found = _matches(cells, problem.tie_cell)
        parts.append((column, self.first_tie + problem.tie_row[found], problem.tie_value[found]))
        cost: Floats = -problem.benefit.ravel()[cells]
        return _columns(cost, parts)

    def needed(self, cells: Ints) -> Ints:
        """Some cells without those that a better one always can stand for: of the same project, taking the same of
        every pool, on ground that nobody else wants."""
        problem = self.problem
        sites, projects = np.divmod(cells, problem.shape[1])
        wanted = np.bincount(sites, minlength=problem.shape[0])
        shared, tied = np.isin(sites, problem.shared), np.isin(cells, problem.tie_cell)
        bound = shared | tied | np.isin(cells, self.conflict_cell) | np.isin(cells, self.link_cells)
        free = ~bound & ((wanted[sites] == 1) | ~problem.exclusive[sites])
        # the same use is known by a sum of random numbers
        same = problem.use_at(cells) @ np.random.default_rng(SEED).uniform(1.0, 2.0, len(problem.pools))
        order = np.lexsort((-problem.benefit.ravel()[cells], tied, same, projects))
        first = np.ones(len(order), dtype=bool)
        first[1:] = (np.diff(projects[order]) != 0) | (np.diff(same[order]) != 0) | (np.diff(tied[order]) != 0)
        better = np.cumsum(free[order]) - free[order]  # free ones before it, in all
        start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        return np.sort(cells[order[better == better[start]]])

    def broken(self, cells: Ints, part: Floats | None = None) -> Ints:
        """The rows of conflicts in which more than one of some cells stand, or more than one in all of their parts."""
        position, found = _matches(cells, self.conflict_cell)
        row, at = np.unique(self.conflict_row[found], return_inverse=True)
        return row[np.bincount(at, None if part is None else part[position], len(row)) > 1 + PART]

    def of_purchases(self) -> Columns:
        pool, column = np.nonzero(self.problem.extra)
        value = -self.problem.extra[pool, column] * self.scale[pool]
        return _columns(self.problem.cost.copy(), [(column, self.first_pool + pool, value)])

    def of_used_sites(self) -> Columns:
        """One column for each site of a group that may hold several projects: whether it is used at all."""
        problem = self.problem
        column, found = _matches(self.used_sites, *(_sorted := _by_site(problem.shared, problem.group))[:1])
        groups = (column, self.first_group + _sorted[1][found], np.ones(len(column)))
        sites = self.link_cells // problem.shape[1]
        links = np.arange(len(sites))
        linked = (np.searchsorted(self.used_sites, sites), self.first_link + links, -np.ones(len(sites)))
        return _columns(np.zeros(len(self.used_sites)), [groups, linked])

    def reduced(self, duals: Floats) -> Floats:
        """(S, N) what each cell is worth above what it takes at the price of every row but its project's."""
        problem = self.problem
        sites, projects = problem.shape
        site_price = np.where(self.site_row >= 0, duals[self.site_row], 0.0)
        in_group = duals[self.first_group + self._group_of_site]
        site_price += np.bincount(self._site_of_group, weights=in_group, minlength=sites)
        pools = duals[self.pool_rows] * self.scale
        worth: Floats = problem.benefit - site_price[:, None]
        if len(problem.paired):
            worth -= (problem.across * pools[problem.paired]) @ problem.along
        for row, use in zip(problem.full, problem.dense, strict=True):
            if pools[row]:
                worth -= pools[row] * use
        flat = worth.ravel()
        for cells, rows in ((self.conflict_cell, self.conflict_row), (self.link_cells, self._links)):
            if len(cells):
                flat -= np.bincount(cells, weights=duals[rows], minlength=sites * projects)
        if problem.ties:
            price = duals[self.first_tie + problem.tie_row] * problem.tie_value
            flat -= np.bincount(problem.tie_cell, weights=price, minlength=sites * projects)
        return worth

    @property
    def _links(self) -> Ints:
        return self.first_link + np.arange(len(self.link_cells))

    def bound(self, duals: Floats, reduced: Floats) -> tuple[float, Floats]:
        """What no plan can be worth more than, by weak duality over every cell, and (N,) each project's part in it.

        `duals` (R,) are >= 0 but for projects' rows, which are not needed: each project takes its best cell or none.
        """
        best = reduced.max(axis=0)
        part: Floats = np.where(self.problem.must, best, np.maximum(best, 0.0))
        rows = slice(self.problem.shape[1], None)
        upper, price = self.upper[rows], duals[rows]
        total = float((upper[price > 0] * price[price > 0]).sum() + part.sum())
        for columns in (self.of_purchases(), self.of_used_sites()):
            owner = np.repeat(np.arange(len(columns.cost)), np.diff(columns.start))
            worth = -columns.cost - np.bincount(owner, columns.value * duals[columns.row], len(columns.cost))
            total += float(np.maximum(worth, 0.0).sum())
        return total, part


def _largest_use(problem: Problem) -> Floats:
    largest = np.zeros(len(problem.pools))
    if len(problem.paired):
        np.maximum.at(largest, problem.paired, problem.across.max(axis=0) * problem.along.max(axis=1))
    for row, use in zip(problem.full, problem.dense, strict=True):
        largest[row] = use.max()
    most: Floats = np.maximum(largest, np.abs(problem.extra).max(axis=1, initial=0.0))
    return most


def _by_site(sites: Ints, groups: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(sites, kind="stable")
    return sites[order], groups[order]


def _matches(wanted: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """Every pair (position in `wanted`, position in `keys`) of equal numbers; `keys` ascending, perhaps repeated.

    >>> [part.tolist() for part in _matches(np.array([7, 5]), np.array([5, 5, 6, 7]))]
    [[0, 1, 1], [3, 0, 1]]
    """
    low, high = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
    counts = high - low
    position = np.repeat(np.arange(len(wanted)), counts)
    offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return position, np.repeat(low, counts) + offset


def _columns(cost: Floats, parts: list[tuple[Ints, Ints, Floats]]) -> Columns:
    column, row, value = (np.concatenate(list(one)) for one in zip(*parts, strict=True))
    order = np.argsort(column, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(column, minlength=len(cost)))])
    return Columns(np.asarray(cost, dtype=float), start, row[order], value[order])


def joined(*blocks: Columns) -> Columns:
    """Blocks of columns, one after the other."""
    lengths = np.cumsum([0, *(len(one.row) for one in blocks)])
    return Columns(
        np.concatenate([one.cost for one in blocks]),
        np.concatenate([[0], *(one.start[1:] + shift for one, shift in zip(blocks, lengths, strict=False))]),
        np.concatenate([one.row for one in blocks]),
        np.concatenate([one.value for one in blocks]),
    )
