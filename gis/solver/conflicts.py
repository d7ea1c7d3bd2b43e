"""Conflicts as few strong rows: pairs that form complete blocks become one row each.

A set of cells of which at most one can be chosen anyway (one project on several sites, or several projects on ground
that holds one) is a *side*. Where every cell of one side conflicts with every cell of another, their sum is at most 1.
"""

from __future__ import annotations

import numpy as np

from gis.solver.problem import Problem
from layers.records import Ints

SEED = 20_260_601
MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


def grouped(problem: Problem) -> tuple[Ints, Ints, int]:
    """The rows as pairs (row, cell), and how many rows there are."""
    pairs = _needed(problem)
    none: Ints = np.zeros(0, dtype=np.int64)
    if not len(pairs):
        return none, none, 0
    by_project, by_ground = _sides(problem)
    ways = [_rows(problem, pairs, by_project), *(_rows(problem, one, by_ground) for one in (pairs, pairs[:, ::-1]))]
    return min(ways, key=lambda way: (way[2], len(way[0])))


def _needed(problem: Problem) -> Ints:
    """Those that no other row says already."""
    projects = problem.shape[1]
    site, project = np.divmod(problem.conflicts, projects)
    same_site = (site[:, 0] == site[:, 1]) & problem.exclusive[site[:, 0]]
    needed: Ints = problem.conflicts[(project[:, 0] != project[:, 1]) & ~same_site]
    return needed


def _sides(problem: Problem) -> tuple[Ints, Ints]:
    """Ways to sort sites into sides, (S,) each: -1 where a side is a project wherever it stands, or the ground that a
    site takes, which is the site itself or the largest group of those that share ground."""
    sites = problem.shape[0]
    alone = np.where(problem.exclusive, np.arange(sites), -1)
    side = alone.copy()
    order = (
        np.argsort(np.bincount(problem.group)[problem.group], kind="stable") if len(problem.group) else problem.group
    )
    side[problem.shared[order]] = sites + problem.group[order]
    return np.full(sites, -1, dtype=np.int64), np.where(problem.exclusive, side, -1)


def _rows(problem: Problem, pairs: Ints, side_of: Ints) -> tuple[Ints, Ints, int]:
    """One row for each first cell and each side of second cells; then rows with the same second side are merged.

    Keys are single whole numbers, because sorting rows of several takes ten times as long.
    """
    sites, projects = problem.shape
    sides = np.int64(projects + sites + int(problem.group.max(initial=-1)) + 1)
    site, project = np.divmod(pairs, projects)
    # a side: whoever is on the same ground where that holds one, or the same project anywhere
    side = np.where(side_of[site] >= 0, side_of[site] + projects, project)
    key, row = np.unique(pairs[:, 0] * sides + side[:, 1], return_inverse=True)
    # the same second side is known by a sum of random numbers, one for each cell
    random = np.random.default_rng(SEED).integers(0, 2**63, sites * projects, dtype=np.uint64)
    print_of = np.zeros(len(key), dtype=np.uint64)
    np.add.at(print_of, row, random[pairs[:, 1]])
    cell, second = np.divmod(key, sides)
    lead_side = side_of[cell // projects]
    lead = np.where(lead_side >= 0, lead_side + projects, cell % projects)
    told = np.stack([lead, second, np.bincount(row)]).astype(np.uint64)
    print_of += (told * MIX[:, None]).sum(axis=0, dtype=np.uint64)
    _, merged = np.unique(print_of, return_inverse=True)
    count, cells = int(merged.max()) + 1, np.int64(sites * projects)
    both = np.unique(np.concatenate([merged[row] * cells + pairs[:, 1], merged * cells + cell]))
    return both // cells, both % cells, count
