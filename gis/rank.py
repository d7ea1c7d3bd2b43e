"""Which site is best, by several criteria at once, and how far that depends on the weights.

Values are scaled to 0 ... 1 between the worst and the best of the sites compared, 1 the better. A site that fails
hard is never ranked. An unknown value counts as the worst there is (unknown is not pass); the cell, and the rank that
its best case would give, are said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from layers.errors import BadInput, Fault
from layers.records import Bools, Floats, Ints

Method = Literal["weighted_sum", "topsis", "owa"]
METHODS: tuple[Method, ...] = ("weighted_sum", "topsis", "owa")


@dataclass(frozen=True)
class Criterion:
    """One column to rank by; `weight` is relative to the others'."""

    name: str
    better: Literal["more", "less"]
    weight: float = 1.0
    zh: str = ""
    en: str = ""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Sites in order.

    order : rows of the table, the best first, without those that fail hard
    rank : (P,) 1 the best, 0 not ranked; best_rank : what its unknown values could make of it
    score : (P,) by the method, NaN where not ranked; unknown : (P, C) values nobody knows
    scaled : (R, C) of the ranked sites in the table's order, 1 the better; weights : (C,) summing to 1
    """

    criteria: tuple[Criterion, ...]
    method: Method
    order: Ints
    rank: Ints
    best_rank: Ints
    score: Floats
    unknown: Bools
    ranked: Ints
    scaled: Floats
    weights: Floats
    orness: float = 0.5
    notes: tuple[tuple[str, str], ...] = ()

    @cached_property
    def falling(self) -> tuple[Ints, Floats]:
        """(R, C) the criteria of each site from its strongest side to its weakest, and how good it is in each."""
        order = np.argsort(-self.scaled, axis=1, kind="stable")
        return order, np.take_along_axis(self.scaled, order, axis=1)

    @cached_property
    def squares(self) -> tuple[Floats, Floats]:
        """(C, R) each, squared: how far every site is from the worst and from the best of each criterion."""
        table = self.scaled.T
        worst, best = (table - end(table, axis=1, keepdims=True) for end in (np.min, np.max))
        return worst**2, best**2


def rank(
    values: ArrayLike,
    criteria: Sequence[Criterion],
    *,
    method: Method = "topsis",
    excluded: ArrayLike | None = None,
    orness: float = 0.5,
) -> Ranking:
    """Rank P sites by C criteria.

    Parameters
    ----------
    values : (P, C), NaN where unknown; an infinite distance is as far as the farthest known
    excluded : (P,) sites that fail hard
    orness : for `owa`, from 0 (a site is as good as its weakest side) to 1 (as its strongest)

    Raises BadInput for weights that are negative or all zero, and tables that do not match.

    Examples
    --------
    >>> found = rank([[1.0, 9.0], [3.0, 2.0], [9.0, 0.0]], [Criterion("road_m", "less"), Criterion("jobs", "more")],
    ...              excluded=[False, False, True])
    >>> found.order.tolist(), found.rank.tolist()
    ([0, 1], [1, 2, 0])
    """
    table = np.array(values, dtype=float)
    out = np.zeros(len(table), dtype=bool) if excluded is None else np.asarray(excluded, dtype=bool)
    weights = _read(table, criteria, out, method, orness)
    ranked = np.flatnonzero(~out)
    kept = table[ranked]
    unknown = np.isnan(kept)
    low, high = scaled(kept, criteria, unknown_is=0.0), scaled(kept, criteria, unknown_is=1.0)
    score = _score(low, weights, method, orness)
    order = np.lexsort((ranked, -score))
    hoped = _score(high, weights, method, orness) if unknown.any() else score
    best = 1 + (score[None, :] > hoped[:, None]).sum(axis=1) if unknown.any() else 1 + np.argsort(order, kind="stable")
    notes = [
        (
            f"{one.zh or one.name}：{count} 处未知，按最差计",
            f"{one.en or one.name}: unknown at {count} of {len(ranked)} sites, counted as the worst",
        )
        if count < len(ranked)
        else (
            f"{one.zh or one.name}：全部未知，不起作用",
            f"{one.en or one.name}: unknown everywhere, tells nothing apart",
        )
        for one, count in zip(criteria, unknown.sum(axis=0).tolist(), strict=True)
        if count
    ]
    full, full_best, full_score = (np.zeros(len(table), dtype=np.int64) for _ in range(3))
    full[ranked[order]] = np.arange(1, len(ranked) + 1)
    full_best[ranked] = np.minimum(best, full[ranked])
    spread = np.full(len(full_score), np.nan)
    spread[ranked] = score
    return Ranking(
        tuple(criteria), method, ranked[order], full, full_best, spread, np.isnan(table), ranked, low, weights, orness,
        tuple(notes),
    )  # fmt: skip


def _read(table: Floats, criteria: Sequence[Criterion], out: Bools, method: str, orness: float) -> Floats:
    faults = []
    if table.ndim != 2 or table.shape[1:] != (len(criteria),) or not len(criteria):
        reason = f"its shape is {table.shape} for {len(criteria)} criteria"
        faults.append(Fault(reason, "One row per site, one column per criterion", field="values"))
    elif out.shape != (len(table),):
        faults.append(Fault(f"its shape is {out.shape}", f"Give ({len(table)},)", field="excluded"))
    weights = np.array([one.weight for one in criteria], dtype=float)
    for one in criteria:
        if not (np.isfinite(one.weight) and one.weight >= 0):
            faults.append(Fault(f"its weight is {one.weight}", "Give a number of at least 0", field=one.name))
    if len(weights) and np.isfinite(weights).all() and weights.sum() <= 0:
        faults.append(Fault("all of them are zero", "Give at least one criterion a weight", field="weights"))
    if method not in METHODS:
        faults.append(Fault(f"there is no {method}", f"One of {', '.join(METHODS)}", field="method"))
    if not 0 <= orness <= 1:
        faults.append(Fault(f"it is {orness}", "Give a number from 0 to 1", field="orness"))
    if faults:
        raise BadInput("the sites cannot be ranked", faults)
    return np.asarray(weights / weights.sum(), dtype=float)


def scaled(values: Floats, criteria: Sequence[Criterion], unknown_is: float = 0.0) -> Floats:
    """(P, C) from 0, the worst of these sites, to 1, the best; 1 throughout where all are alike."""
    out = np.empty_like(values)
    for column, one in enumerate(criteria):
        known = values[:, column] if one.better == "more" else -values[:, column]
        finite = known[np.isfinite(known)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        clipped = np.clip(known, low, high)  # NaN stays NaN
        out[:, column] = 1.0 if low == high else (clipped - low) / (high - low)
        out[np.isnan(known), column] = unknown_is
    return out


def _score(table: Floats, weights: Floats, method: Method, orness: float) -> Floats:
    if method == "weighted_sum":
        return np.asarray(table @ weights, dtype=float)
    if method == "owa":
        return owa(table, weights, orness)
    ratio = _topsis_ratio(table, weights[:, None])[:, 0]
    return np.asarray(ratio / (1 + ratio), dtype=float)


def _topsis_ratio(table: Floats, weights: Floats) -> Floats:
    """(P, K) distance to the worst over distance to the best, for (C, K) weights; it rises with TOPSIS' closeness.

    The distances of all draws are two matrix products: sum of w^2 (v - v_best)^2 over the criteria.
    """
    if not len(table):
        return np.zeros((0, weights.shape[1]))
    squared = weights**2
    worst = ((table - table.min(axis=0)) ** 2) @ squared
    best = ((table - table.max(axis=0)) ** 2) @ squared
    ratio = np.divide(worst, best, out=np.full_like(worst, np.inf), where=best > 0)
    np.sqrt(ratio, out=ratio)
    return np.where(np.isinf(ratio), 1e300, ratio)


def owa(table: Floats, weights: Floats, orness: float) -> Floats:
    """(P,) ordered weighted average: from the weakest side (0) over the mean (0.5) to the strongest (1).

    Importance enters as the share of the order each criterion takes up, so that at 0.5 it is the weighted sum.
    """
    order = np.argsort(-table, axis=1, kind="stable")
    return _ordered(np.take_along_axis(table, order, axis=1), weights[order], orness)


def _ordered(falling: Floats, weights: Floats, orness: float) -> Floats:
    """OWA of sites whose sides stand from the strongest to the weakest, along the last axis."""
    ends = np.minimum(np.cumsum(weights, axis=-1), 1.0)
    power = np.inf if orness == 0 else (1 - orness) / orness
    with np.errstate(over="ignore"):
        reached = np.where(ends >= 1 - 1e-12, 1.0, ends**power if np.isfinite(power) else 0.0)
    return np.asarray((falling * np.diff(reached, axis=-1, prepend=0.0)).sum(axis=-1), dtype=float)


# --- weights ----------------------------------------------------------------------------------------

# Rao Tummala and Ling 1998, by the number of criteria
RANDOM_INDEX = (
    0, 0, 0, 0.5799, 0.8921, 1.1159, 1.2358, 1.3322, 1.3952, 1.4537, 1.4882, 1.5117, 1.5356, 1.5571, 1.5714, 1.5831,
)  # fmt: skip
CONSISTENT = 0.1  # Saaty 1980: a ratio above it asks for the comparisons to be made again


@dataclass(frozen=True, eq=False)
class Pairwise:
    """Weights from comparisons in pairs (层次分析法), and how consistent these are.

    strained : pairs (row, column, as compared, as the weights have it), the most at odds first; empty where all agree
    """

    weights: Floats
    consistency_ratio: float
    warning: tuple[str, str] | None = field(default=None)
    strained: tuple[tuple[int, int, float, float], ...] = ()


def ahp(matrix: ArrayLike) -> Pairwise:
    """Weights of C criteria from a (C, C) matrix: how many times more the row matters than the column.

    Raises BadInput unless it is positive and reciprocal, of 1 to 15 criteria.

    >>> ahp([[1, 3], [1 / 3, 1]]).weights.tolist()
    [0.75, 0.25]
    """
    table = np.asarray(matrix, dtype=float)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not 1 <= len(table) < len(RANDOM_INDEX):
        raise BadInput(
            "the comparisons cannot be read",
            [Fault(f"their shape is {table.shape}", "Give a square matrix of 1 to 15 criteria", field="matrix")],
        )
    wrong = ~(np.isfinite(table) & (table > 0)) | (np.abs(table * table.T - 1) > 1e-2)
    if wrong.any():
        raise BadInput(
            "the comparisons cannot be read",
            [
                Fault(
                    "the two ways of one pair are not reciprocal",
                    "If a : b is 3, b : a is 1/3",
                    None,
                    "matrix",
                    f"{a}, {b}",
                )
                for a, b in np.argwhere(wrong | wrong.T).tolist()
                if a <= b
            ],
        )
    values, vectors = np.linalg.eig(table)
    first = int(np.argmax(values.real))
    weights = np.abs(vectors[:, first].real)
    count = len(table)
    apart = (values[first].real - count) / max(count - 1, 1)
    ratio = float(max(apart, 0.0) / RANDOM_INDEX[count]) if count > 2 else 0.0
    warning = None
    if ratio > CONSISTENT:
        warning = (
            f"判断矩阵一致性比率 {ratio:.3f} 大于 0.1，应重新比较",
            f"the comparisons contradict each other (consistency ratio {ratio:.3f} > 0.1): make them again",
        )
    weights = weights / weights.sum()
    fits = weights[:, None] / weights[None, :]
    odds = np.triu(np.abs(np.log(table / fits)), 1)
    worst = [divmod(int(at), count) for at in np.argsort(-odds, axis=None, kind="stable") if odds.flat[at] > 1e-9]
    strained = tuple((i, j, float(table[i, j]), float(fits[i, j])) for i, j in worst)
    return Pairwise(weights, ratio, warning, strained)


def entropy_weights(values: ArrayLike) -> Floats:
    """(C,) weights by how much each criterion tells the (P, C) sites apart (熵权法); values of at least 0.

    An unknown value (NaN) is left out of its own criterion; one of which fewer than two are known weighs nothing.

    >>> entropy_weights([[1, 1], [1, 3]]).tolist()
    [0.0, 1.0]
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or len(table) < 2 or np.isinf(table).any() or (table < 0).any():
        raise BadInput(
            "entropy weights cannot be worked out",
            [Fault("it needs two sites and finite values of at least 0", "Leave others out", field="values")],
        )
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    total = np.nansum(table, axis=0)
    share = np.divide(table, total, out=np.where(known, 1 / np.maximum(count, 1), 0.0), where=known & (total > 0))
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    told = np.maximum(1 + (share * logs).sum(axis=0) / np.log(np.maximum(count, 2)), 0.0)
    told[(told < 1e-12) | (count < 2)] = 0.0
    whole = told.sum()
    return np.full(table.shape[1], 1 / table.shape[1]) if whole == 0 else np.asarray(told / whole, dtype=float)


# --- robustness -------------------------------------------------------------------------------------

Draws = NDArray[np.float64]
BLOCK = 16  # draws scored together: with 5,000 sites their scores stay in the cache


@dataclass(frozen=True, eq=False)
class Robustness:
    """How far the order depends on the weights.

    acceptability : (P, K) share of draws in which a site comes 1st ... Kth; 0 where not ranked
    keeps_winner : (C, 2) between which weights of one criterion, the others in proportion, the winner stays first
    drives : (C,) how many places the first ten move on average when one criterion is left out
    """

    acceptability: Floats
    keeps_winner: Floats
    drives: Floats
    draws: int


def robustness(
    ranking: Ranking, *, draws: int = 10_000, spread: float | None = None, places: int = 10, seed: int = 0
) -> Robustness:
    """Rank again under many weights drawn at random.

    spread : None draws from all weights alike; a number draws around the stated ones, the larger the closer
    """
    criteria, count = len(ranking.weights), len(ranking.ranked)
    rng = np.random.default_rng(seed)
    shape = np.ones(criteria) if spread is None else np.maximum(ranking.weights * spread, 1e-3)
    drawn = rng.dirichlet(shape, draws)
    places = min(places, count)
    hits = np.zeros((places, count), dtype=np.int64)
    for start in range(0, draws, BLOCK):
        firsts = _firsts(ranking, drawn[start : start + BLOCK], places)
        for place in range(places):
            hits[place] += np.bincount(firsts[place], minlength=count)
    acceptability = np.zeros((len(ranking.rank), places))
    acceptability[ranking.ranked] = hits.T / draws
    return Robustness(acceptability, _keeps_winner(ranking), _drives(ranking), draws)


def _scores(ranking: Ranking, weights: Draws) -> Floats:
    """(K, R) something that rises with the score, for (K, C) weights."""
    if ranking.method == "weighted_sum":
        return np.asarray(weights @ ranking.scaled.T, dtype=float)
    if ranking.method == "topsis":
        squared = weights**2
        worst, best = (_products(squared, one) for one in ranking.squares)
        best += 1e-300
        worst /= best  # the square of TOPSIS' ratio: the same order
        return worst
    order, falling = ranking.falling
    return _ordered(falling, weights[:, order], ranking.orness)


def _products(weights: Floats, table: Floats) -> Floats:
    """(K, R) `weights @ table`, row by row: products as thin as these are an order slower on several threads."""
    out = np.empty((len(weights), table.shape[1]))
    for one, row in zip(weights, out, strict=True):
        np.dot(one, table, out=row)
    return out


def _firsts(ranking: Ranking, weights: Draws, places: int) -> Ints:
    """(places, K) who comes first, second ...; equal scores in the table's order."""
    score = _scores(ranking, weights)
    found = np.empty((places, len(weights)), dtype=np.int64)
    rows = np.arange(len(weights))
    for place in range(places):  # a few passes over the block cost less than sorting it
        best = np.argmax(score, axis=1)
        found[place] = best
        score[rows, best] = -np.inf
    return found


def _with(weights: Floats, criterion: int, to: Floats) -> Draws:
    """(K, C) weights with one of them set, the others in proportion."""
    rest = weights.copy()
    rest[criterion] = 0.0
    rest = (
        rest / rest.sum() if rest.sum() else np.where(np.arange(len(rest)) == criterion, 0.0, 1 / max(len(rest) - 1, 1))
    )
    out: Draws = (1 - to)[:, None] * rest
    out[:, criterion] = to
    return out


def _keeps_winner(ranking: Ranking, steps: int = 60, halvings: int = 12) -> Floats:
    criteria = len(ranking.weights)
    out = np.tile([0.0, 1.0], (criteria, 1))
    if not len(ranking.order):
        return out
    winner = int(np.searchsorted(ranking.ranked, ranking.order[0]))
    for column in range(criteria if criteria > 1 else 0):
        now = ranking.weights[column]

        def stays(to: Floats, column: int = column) -> Bools:
            score = _scores(ranking, _with(ranking.weights, column, to))
            return np.asarray(score[:, winner] >= score.max(axis=1) * (1 - 1e-12), dtype=bool)

        for side, end in enumerate((0.0, 1.0)):
            path = np.linspace(now, end, steps + 1)
            lost = np.flatnonzero(~stays(path))
            if not len(lost) or lost[0] == 0:
                out[column, side] = end if not len(lost) else now
                continue
            inside, outside = path[lost[0] - 1], path[lost[0]]
            for _ in range(halvings):
                middle = (inside + outside) / 2
                inside, outside = (middle, outside) if stays(np.array([middle]))[0] else (inside, middle)
            out[column, side] = inside
    return out


def _drives(ranking: Ranking, first: int = 10) -> Floats:
    criteria = len(ranking.weights)
    if criteria == 1 or not len(ranking.ranked):
        return np.zeros(criteria)
    top = np.searchsorted(ranking.ranked, ranking.order[:first])
    without = np.concatenate([_with(ranking.weights, column, np.zeros(1)) for column in range(criteria)])
    score = _scores(ranking, without)
    place = 1 + (score[:, None, :] > score[:, top, None]).sum(axis=2)
    return np.asarray(np.abs(place - np.arange(1, len(top) + 1)).mean(axis=1), dtype=float)
