"""Conflicts as few strong rows: pairs that form complete blocks become one row each.

A set of cells of which at most one can be chosen anyway (one project on several sites, or several projects on a site
that holds one) is a *side*. Where every cell of one side conflicts with every cell of another, their sum is at most 1.
"""

from __future__ import annotations

import numpy as np

from gis.solver.problem import Problem
from layers.records import Bools, Ints

SEED = 20_260_601


def grouped(problem: Problem) -> tuple[Ints, Ints, int]:
    """The rows as pairs (row, cell), and how many rows there are."""
    pairs = _needed(problem)
    if not len(pairs):
        none: Ints = np.zeros(0, dtype=np.int64)
        return none, none, 0
    ways = [_rows(problem, one, by_site) for one in (pairs, pairs[:, ::-1]) for by_site in (False, True)]
    return min(ways, key=lambda way: (way[2], len(way[0])))


def _needed(problem: Problem) -> Ints:
    """Those that no other row says already."""
    projects = problem.shape[1]
    site, project = np.divmod(problem.conflicts, projects)
    same_site = (site[:, 0] == site[:, 1]) & problem.exclusive[site[:, 0]]
    needed: Ints = problem.conflicts[(project[:, 0] != project[:, 1]) & ~same_site]
    return needed


def _rows(problem: Problem, pairs: Ints, by_site: bool) -> tuple[Ints, Ints, int]:
    """One row for each first cell and each side of second cells; then rows with the same second side are merged."""
    second_site, second_project = np.divmod(pairs[:, 1], problem.shape[1])
    # the second side: the same project anywhere, or whoever is on the same site where that holds one
    whole = problem.exclusive[second_site] & by_site
    side = np.where(whole, second_site, -1 - second_project)
    key, row = np.unique(np.stack([pairs[:, 0], side], axis=1), axis=0, return_inverse=True)
    row = row.ravel()
    # the same second side is known by a sum of random numbers, one for each cell
    random = np.random.default_rng(SEED).integers(0, 2**63, problem.shape[0] * problem.shape[1], dtype=np.uint64)
    print_of = np.zeros(len(key), dtype=np.uint64)
    np.add.at(print_of, row, random[pairs[:, 1]])
    size = np.bincount(row)
    lead_site, lead_project = np.divmod(key[:, 0], problem.shape[1])
    alone: Bools = problem.exclusive[lead_site] & by_site
    lead = np.where(alone, lead_site, -1 - lead_project)
    _, merged = np.unique(
        np.stack([lead, key[:, 1], size, print_of.view(np.int64)], axis=1), axis=0, return_inverse=True
    )
    merged = merged.ravel()
    rows = np.concatenate([merged[row], merged])
    cells = np.concatenate([pairs[:, 1], key[:, 0]])
    both = np.unique(np.stack([rows, cells], axis=1), axis=0)
    return both[:, 0], both[:, 1], int(merged.max()) + 1
