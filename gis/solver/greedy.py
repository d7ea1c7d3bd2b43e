"""Plans by taking one project after the other: the start the solver is given, and what it must never be worse than."""

from __future__ import annotations

import numpy as np

from gis.solver.problem import Problem
from layers.records import Bools, Floats, Ints

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

    def fitting(self, project: int, sites: Ints, use: Floats) -> Bools:
        """Which of `sites` the project may still take; `use` (K, P) of them."""
        fits: Bools = self.open[sites, project] & (use <= self.left + self.slack).all(axis=1)
        return fits

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
    for project in order:
        sites = np.flatnonzero(ground.open[:, project])
        if not len(sites):
            continue
        use = problem.use_of_at(int(project), sites)
        sites, use = sites[fits := ground.fitting(int(project), sites, use)], use[fits]
        if not len(sites):
            continue
        at = int(np.argmax(score[sites, project]))
        if problem.must[project] or score[sites[at], project] > 0:
            ground.place(int(project), int(sites[at]), use[at])
    return ground.site


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
