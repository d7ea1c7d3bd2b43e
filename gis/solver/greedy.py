"""Plans by taking one project after the other: the start the solver is given, and what it must never be worse than."""

from __future__ import annotations

import numpy as np

from gis.solver.problem import Problem
from layers.records import Bools, Floats, Ints

TRIED = 40  # sites of a project with companions
ROUNDING = 1e-9  # of a pool's size: sums of the same numbers in another order differ by less


class Ground:
    """What is still free while projects are placed one by one."""

    def __init__(self, problem: Problem, bought: Bools) -> None:
        self.problem = problem
        self.left: Floats = problem.balance + problem.extra[:, bought].sum(axis=1)
        self.slack: Floats = ROUNDING * np.where(np.isfinite(self.left), np.maximum(np.abs(self.left), 1.0), 1.0)
        self.open: Bools = np.isfinite(problem.benefit)
        self.site: Ints = np.full(problem.shape[1], -1, dtype=np.int64)
        order = np.argsort(problem.conflicts.ravel(), kind="stable")
        self._cell = problem.conflicts.ravel()[order]
        self._other = problem.conflicts[:, ::-1].ravel()[order]
        self.over: Floats = np.zeros(problem.ties)  # these less those, of the rows of cells that need others

    def fitting(self, project: int, sites: Ints, use: Floats) -> Bools:
        """Which of `sites` the project may still take; `use` (K, P) of them."""
        fits: Bools = self.open[sites, project] & (use <= self.left + self.slack).all(axis=1)
        return fits

    def lacking(self, cells: Ints, but: Ints) -> Bools:
        """(K,) which cells need another that is not chosen, but for those of projects `but`, which come with them."""
        problem = self.problem
        out = np.zeros(len(cells), dtype=bool)
        for k, cell in enumerate(cells.tolist()):
            low, high = np.searchsorted(problem.tie_cell, [cell, cell + 1])
            asks = problem.tie_row[low:high][problem.tie_value[low:high] > 0]
            short = asks[self.over[asks] >= 0]
            out[k] = any(not len(but) or not self._gives(row, but) for row in short.tolist())
        return out

    def _gives(self, row: int, projects: Ints) -> bool:
        """Whether some projects may be what a row needs."""
        problem = self.problem
        those = problem.tie_cell[(problem.tie_row == row) & (problem.tie_value < 0)]
        return bool(np.isin(those % problem.shape[1], projects).any())

    def state(self) -> tuple[Floats, Bools, Ints, Floats]:
        return self.left, self.open.copy(), self.site.copy(), self.over.copy()

    def restore(self, state: tuple[Floats, Bools, Ints, Floats]) -> None:
        self.left, self.open, self.site, self.over = state

    def place(self, project: int, site: int, use: Floats) -> None:
        problem = self.problem
        self.site[project] = site
        self.left = self.left - use
        self.open[:, project] = False
        if problem.exclusive[site]:
            self.open[site] = False
        for group in problem.group[problem.shared == site]:
            others = problem.shared[problem.group == group]
            self.open[others[others != site]] = False
        cell = site * problem.shape[1] + project
        low, high = np.searchsorted(self._cell, [cell, cell + 1])
        self.open.ravel()[self._other[low:high]] = False
        low, high = np.searchsorted(problem.tie_cell, [cell, cell + 1])
        np.add.at(self.over, problem.tie_row[low:high], problem.tie_value[low:high])


def greedy(
    problem: Problem, worth: Floats | None = None, bought: Bools | None = None, order: Ints | None = None
) -> Ints:
    """(N,) the site of each project, -1 where it found none. Those that must be placed go first, then the most worth.

    worth : (S, N) by which sites are chosen, the benefit unless something better is known (prices of what is scarce)
    bought : (Y,) purchases already made
    """
    score = problem.benefit if worth is None else np.where(np.isfinite(problem.benefit), worth, -np.inf)
    ground = Ground(problem, np.zeros(len(problem.cost), dtype=bool) if bought is None else bought)
    if order is None:
        best = score.max(axis=0)
        order = np.lexsort((-best, ~problem.must, problem.fixed < 0))
    led = {int(one) for some in problem.companions.values() for one in some}
    tied = np.zeros(problem.shape[1], dtype=bool)
    tied[problem.tie_cell[problem.tie_value > 0] % problem.shape[1]] = True
    for project in sorted(order.tolist(), key=lambda one: bool(tied[one]) and one not in problem.companions):
        if project in problem.companions:
            _together(ground, score, project)
        elif project not in led:
            found = _best(ground, score, project, bool(tied[project]))
            if found is not None and (problem.must[project] or found[1] > 0):
                ground.place(project, found[0], problem.use_of_at(project, np.array([found[0]]))[0])
    return ground.site


def _best(ground: Ground, score: Floats, project: int, tied: bool) -> tuple[int, float] | None:
    """The best site a project may still take, and its score."""
    sites = np.flatnonzero(ground.open[:, project])
    sites = sites[ground.fitting(project, sites, ground.problem.use_of_at(project, sites))]
    if tied:
        sites = sites[~ground.lacking(sites * ground.problem.shape[1] + project, np.zeros(0, dtype=np.int64))]
    if not len(sites):
        return None
    at = int(np.argmax(score[sites, project]))
    return int(sites[at]), float(score[sites[at], project])


def _together(ground: Ground, score: Floats, project: int) -> None:
    """Place a project with its companions, or none of them: the first few of its best sites are tried."""
    problem = ground.problem
    some = problem.companions[project]
    sites = np.flatnonzero(ground.open[:, project])
    sites = sites[ground.fitting(project, sites, problem.use_of_at(project, sites))]
    sites = sites[np.argsort(-score[sites, project], kind="stable")][:TRIED]
    sites = sites[~ground.lacking(sites * problem.shape[1] + project, some)]
    for site in sites.tolist():
        before = ground.state()
        ground.place(project, site, problem.use_of_at(project, np.array([site]))[0])
        total, all_ = float(score[site, project]), True
        for one in some.tolist():
            # beside whatever plant asked for it: of its sites those that settle the plant's rows
            broken = np.flatnonzero(ground.over > 0)
            mine = problem.tie_cell[(problem.tie_value < 0) & np.isin(problem.tie_row, broken)]
            near = np.unique(mine[mine % problem.shape[1] == one] // problem.shape[1])
            near = near[ground.open[near, one]]
            near = near[ground.fitting(one, near, problem.use_of_at(one, near))]
            if not len(near):
                all_ = False
                break
            at = int(near[np.argmax(score[near, one])])
            total += float(score[at, one])
            ground.place(one, at, problem.use_of_at(one, np.array([at]))[0])
        if all_ and (ground.over <= 0).all() and (problem.must[project] or total > 0):
            return
        ground.restore(before)


def needed(problem: Problem, site: Ints) -> Bools:
    """(Y,) a small set of purchases under which the plan's pools hold: all, less the dearest that can be left out."""
    used = problem.used(site)
    slack = ROUNDING * np.maximum(np.abs(used), 1.0)
    grows = (problem.extra >= 0).all(axis=1)  # the fund shrinks, and is looked at by `holds`
    keep = np.ones(len(problem.cost), dtype=bool)
    for one in np.argsort(-problem.cost, kind="stable"):
        keep[one] = False
        if (used > problem.balance + problem.extra[:, keep].sum(axis=1) + slack)[grows].any():
            keep[one] = True
    return keep


def holds(problem: Problem, site: Ints, bought: Bools) -> bool:
    """Whether a plan is one: everything in it open, within the pools, on ground of its own, nothing in conflict."""
    if (problem.must & (site < 0)).any():
        return False
    placed = np.flatnonzero(site >= 0)
    cells = problem.chosen(site)
    alone = site[placed][problem.exclusive[site[placed]]]
    used = np.isin(problem.shared, site[placed])
    both = np.isin(problem.conflicts, cells).all(axis=1)
    left = problem.balance + problem.extra[:, bought].sum(axis=1)
    most = left + ROUNDING * np.maximum(np.abs(np.where(np.isfinite(left), left, 0.0)), 1.0)
    return bool(
        np.isfinite(problem.benefit.ravel()[cells]).all()
        and len(np.unique(alone)) == len(alone)
        and (np.bincount(problem.group[used]) <= 1).all()
        and not both.any()
        and (problem.over(cells) <= 0).all()
        and (problem.used(site) <= most).all()
    )


def plans(problem: Problem, worth: Floats | None = None) -> list[tuple[Ints, Bools]]:
    """Greedy plans that hold, with what they buy: one buying nothing, one as if everything were bought."""
    found = []
    for everything in (False, True) if len(problem.cost) else (False,):
        bought = np.full(len(problem.cost), everything)
        site = greedy(problem, worth, bought)
        bought = needed(problem, site) if everything else bought
        if holds(problem, site, bought):
            found.append((site, bought))
    return found
