"""Cuts of one pool against every filling there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

pytest.importorskip("highspy")

from gis.solver.knapsack import Cut, Knapsack


def fillings(weight, item, balance):
    """Every choice of columns, one at most of each project, that the pool has room for."""
    for on in itertools.product((0.0, 1.0), repeat=len(weight)):
        chosen = np.array(on)
        taken = item[(chosen > 0) & (item >= 0)]
        if len(set(taken.tolist())) == len(taken) and chosen @ weight <= balance:
            yield chosen


def relaxed(worth, weight, item, balance, others):
    """The best filling in parts, of this pool and of others that are half of what is asked for."""
    rows = [weight, *others, *((item == one).astype(float) for one in np.unique(item[item >= 0]))]
    most = [balance, *(others.sum(axis=1) / 2), *([1.0] * (len(rows) - 1 - len(others)))]
    found = linprog(-worth, np.array(rows), most, bounds=(0, 1))
    return np.asarray(found.x)


def cuts(seed: int) -> tuple[list[Cut], list[np.ndarray], np.ndarray, np.ndarray, float]:
    """Cuts of a random pool: sites of a project that take alike or not, projects with one site, purchases."""
    draw = np.random.default_rng(seed)
    item = np.array([0, 0, 1, 1, 2, 3, 4, 5, -1, -1])
    weight = np.array([*draw.integers(2, 30, 8), *-draw.integers(1, 12, 2)], dtype=float)
    if seed % 2:
        weight[1], weight[3] = weight[0], weight[2]
    balance = float(np.floor(weight[weight > 0].sum() * draw.uniform(0.2, 0.6)))
    pool = Knapsack(np.arange(10), weight, item, balance)
    found, broken = [], []
    for _ in range(12):
        worth = weight + draw.uniform(0, 6, 10)
        x = relaxed(worth, weight, item, balance, draw.uniform(0, 20, (3, 10)))
        if (cut := pool.cut(x)) is not None:
            found.append(cut)
            broken.append(x)
    return found, broken, weight, item, balance


@pytest.mark.parametrize("seed", range(24))
def test_every_filling_keeps_every_cut_and_the_relaxation_does_not(seed):
    found, broken, weight, item, balance = cuts(seed)
    for chosen in fillings(weight, item, balance):
        for cut in found:
            assert cut.value @ chosen[cut.column] <= cut.upper + 1e-9
    for cut, x in zip(found, broken, strict=True):
        assert cut.value @ x[cut.column] > cut.upper + 1e-6


def test_pools_are_cut_at_all():
    assert sum(len(cuts(seed)[0]) for seed in range(24)) > 50
