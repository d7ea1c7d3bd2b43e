"""Ranks beside an independent library, and what must never happen in a ranking."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gis.rank import Criterion, ahp, entropy_weights, owa, rank, robustness
from layers.errors import BadInput


def table(seed, sites=40, criteria=6):
    rng = np.random.default_rng(seed)
    values = rng.lognormal(2, 1, (sites, criteria))
    weights = rng.dirichlet(np.ones(criteria))
    better = rng.choice(["more", "less"], criteria)
    return values, [Criterion(f"c{k}", b, w) for k, (b, w) in enumerate(zip(better, weights, strict=True))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("method", ["topsis", "weighted_sum"])
def test_ranks_and_scores_are_those_of_pymcdm(seed, method):
    from pymcdm import methods, normalizations

    values, criteria = table(seed)
    peer = {"topsis": methods.TOPSIS, "weighted_sum": methods.WSM}[method](normalizations.minmax_normalization)
    weights = np.array([one.weight for one in criteria])
    types = np.array([1 if one.better == "more" else -1 for one in criteria])
    theirs = peer(values, weights, types)
    ours = rank(values, criteria, method=method)
    assert ours.score == pytest.approx(theirs)
    assert (ours.rank == peer.rank(theirs)).all()


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_those_of_pymcdm(seed):
    from pymcdm import weights
    from pymcdm.weights.subjective import AHP

    values, _ = table(seed)
    assert entropy_weights(values) == pytest.approx(weights.entropy_weights(values))
    said = np.random.default_rng(seed).choice([1, 2, 3, 5, 7, 9, 1 / 3, 1 / 5], (5, 5))
    said = np.triu(said, 1) + np.triu(1 / said, 1).T + np.eye(5)
    peer, ours = AHP(matrix=said), ahp(said)
    assert ours.weights == pytest.approx(peer(), abs=1e-6)
    assert ours.consistency_ratio == pytest.approx(peer.get_cr(), abs=1e-6)
    assert (ours.warning is not None) == (ours.consistency_ratio > 0.1)


def test_a_site_that_fails_hard_is_never_ranked_and_does_not_set_the_scale():
    criteria = [Criterion("road_m", "less"), Criterion("jobs", "more")]
    values = [[10.0, 5.0], [20.0, 9.0], [0.0, 1000.0]]
    found = rank(values, criteria, excluded=[False, False, True])
    alone = rank(values[:2], criteria)
    assert found.rank[2] == 0
    assert np.isnan(found.score[2])
    assert found.score[:2] == pytest.approx(alone.score)
    assert robustness(found, draws=100).acceptability[2].sum() == 0


def test_an_unknown_value_counts_as_the_worst_and_is_said():
    found = rank(
        [[1.0, np.nan], [2.0, 5.0], [3.0, 6.0]],
        [Criterion("a", "more"), Criterion("b", "more", 3.0)],
        method="weighted_sum",
    )
    assert found.rank.tolist() == [3, 2, 1]
    assert found.best_rank.tolist() == [2, 2, 1]
    assert found.unknown.tolist() == [[False, True], [False, False], [False, False]]
    assert "unknown at 1 of 3" in found.notes[0][1]


def test_nothing_found_within_reach_is_as_far_as_the_farthest_known():
    found = rank([[np.inf], [5.0], [9.0]], [Criterion("homes_m", "more")])
    assert found.score.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(("orness", "score"), [(0.0, 0.2), (0.5, 0.6), (1.0, 1.0)])
def test_owa_goes_from_the_weakest_side_over_the_mean_to_the_strongest(orness, score):
    assert owa(np.array([[0.2, 1.0]]), np.array([0.5, 0.5]), orness) == pytest.approx([score])


def test_the_weights_between_which_the_winner_stays_are_those_counted_by_hand():
    # site 0 is worth w0, site 1 is worth 1 - w0: the first leads from one half on
    found = rank(
        [[1.0, 0.0], [0.0, 1.0]], [Criterion("a", "more", 0.8), Criterion("b", "more", 0.2)], method="weighted_sum"
    )
    kept = robustness(found, draws=4000, seed=1)
    assert kept.keeps_winner == pytest.approx(np.array([[0.5, 1.0], [0.0, 0.5]]), abs=1e-4)
    assert kept.acceptability[:, 0] == pytest.approx([0.5, 0.5], abs=0.03)
    assert kept.acceptability.sum(axis=0) == pytest.approx([1.0, 1.0])


def test_a_criterion_that_is_the_same_everywhere_drives_nothing():
    values = np.column_stack([np.arange(20.0), np.ones(20), np.random.default_rng(0).random(20)])
    found = robustness(
        rank(values, [Criterion("a", "more"), Criterion("b", "more"), Criterion("c", "more")]), draws=100
    )
    assert found.drives[1] == 0
    assert found.drives[0] > 0


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(BadInput, match="all of them are zero"):
        rank([[1.0]], [Criterion("a", "more", 0.0)])
    with pytest.raises(BadInput, match="reciprocal"):
        ahp([[1, 3], [3, 1]])


@pytest.mark.slow
def test_ten_thousand_draws_over_five_thousand_sites_take_seconds():
    values, criteria = table(0, 5_000, 12)
    found = rank(values, criteria)
    began = time.perf_counter()
    robust = robustness(found, places=1)
    assert time.perf_counter() - began < 12  # three on a quiet machine, as the bench prints
    assert robust.acceptability.sum() == pytest.approx(1.0)
