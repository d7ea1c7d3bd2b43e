"""What one pool says of whole projects, as inequalities that its row alone does not give.

The relaxation fills a pool to the last unit with a part of some project, which no plan can. Every way of filling it
with whole ones keeps certain inequalities that such a filling breaks; they are found exactly over the projects that are
in parts, and lifted to all others (Avella, Boccia and Vasilyev 2010, exact knapsack separation for the generalized
assignment problem). Only the solver's process imports this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import highspy
import numpy as np

if TYPE_CHECKING:  # it brings pandas, for which the solver's process need not wait
    from layers.records import Bools, Floats, Ints

PART = 1e-6  # of a project: less is none
SLACK = 1e-6  # the solver keeps rows to this; no filling that it accepts is cut off
BROKEN = 1e-4  # of the inequality's right side: what is broken by less is left
MOST_PARTS = 34  # projects in parts at a time: two halves of 2 ** 17 fillings are looked through
AT_ONCE = 12  # fillings that one look brings
KEPT = 400  # fillings remembered for the next time
DENOMINATORS = (*range(1, 13), 60, 360, 2000)  # by which the found inequality becomes whole numbers


@dataclass(frozen=True, eq=False)
class Cut:
    """sum value x[column] <= upper, the largest value being 1."""

    column: Ints
    value: Floats
    upper: float


class Knapsack:
    """One pool: items of which whole ones are taken, and the cuts of their knapsack.

    column, weight : (K,) the columns with what they take from the pool; negative is what a purchase adds
    item : (K,) the project of a column, of whose columns one at most is taken; -1 is an item of its own
    balance : what there is to take
    """

    def __init__(self, column: Ints, weight: Floats, item: Ints, balance: float) -> None:
        self._column, self._weight = column, np.abs(weight)
        self._turned: Bools = weight < 0  # what is not bought is taken from a pool in which all is bought
        self._full = balance + float(self._weight[self._turned].sum()) + SLACK
        own = np.where(item < 0, item.max(initial=-1) + 1 + np.arange(len(item)), item)
        self._item: Ints = np.unique(own, return_inverse=True)[1]
        self._count = int(self._item.max(initial=-1)) + 1
        self._least = np.full(self._count, np.inf)
        np.minimum.at(self._least, self._item, self._weight)
        self._seen: list[Bools] = []

    def cut(self, x: Floats) -> Cut | None:
        """An inequality that every plan keeps and `x` breaks, where one is found."""
        share = np.where(self._turned, 1.0 - x[self._column], x[self._column])
        # where what a project takes depends on its site, a cut counts the sites on which it takes as much as on the
        # least of those it is on
        weight = np.full(self._count, np.inf)
        on = share > PART
        np.minimum.at(weight, self._item[on], self._weight[on])
        weight = np.where(np.isfinite(weight), weight, self._least)
        counted = self._weight >= weight[self._item] * (1 - 1e-9)
        taken: Floats = np.asarray(np.bincount(self._item[counted], share[counted], self._count), dtype=float)
        parts = np.flatnonzero((taken > PART) & (taken < 1 - PART))
        whole = np.flatnonzero(taken >= 1 - PART)
        left = self._full - float(weight[whole].sum())
        if not 0 < len(parts) <= MOST_PARTS or left < 0:
            return None
        found = self._separated(parts, taken[parts], weight[parts], left)
        if found is None:
            return None
        times, most = _lifted(found, parts, whole, weight, self._full)
        if times @ taken - most <= BROKEN * most:
            return None
        value = np.where(counted, times[self._item], 0.0)
        value[self._turned] *= -1
        upper, size = most + float(value[self._turned].sum()), float(np.abs(value).max())
        on = value != 0
        return Cut(self._column[on], value[on] / size, upper / size)

    def _separated(self, parts: Ints, taken: Floats, weight: Floats, left: float) -> Ints | None:
        """(parts,) whole numbers whose sum over what is taken is more than over any filling, found by a small linear
        programme with a row for each filling, which are added as they are broken."""
        count = len(parts)
        highs = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("presolve", "off")):
            highs.setOptionValue(name, value)
        highs.addVars(count, np.zeros(count), np.ones(count))
        highs.changeColsCost(count, np.arange(count, dtype=np.int32), -taken)
        _add(highs, self._remembered(parts, taken, weight, left))
        while True:
            highs.run()
            times = np.array(highs.getSolution().col_value)
            if times @ taken <= 1 + BROKEN:
                return None
            worth, fillings = _best(times, weight, left)
            fillings = fillings[worth > 1 + 1e-7]
            if not len(fillings):
                return _whole(times)
            _add(highs, fillings)
            remembered = np.zeros((len(fillings), self._count), dtype=bool)
            remembered[:, parts] = fillings
            self._seen = [*self._seen, *remembered][-KEPT:]

    def _remembered(self, parts: Ints, taken: Floats, weight: Floats, left: float) -> Bools:
        """Fillings of earlier times that still are fillings, with what more has room."""
        if not self._seen:
            return np.zeros((0, len(parts)), dtype=bool)
        found: Bools = np.array(self._seen)[:, parts]
        room = left - found @ weight
        found, room = found[room >= 0], room[room >= 0]
        for one in np.argsort(-taken / weight, kind="stable"):
            more = ~found[:, one] & (weight[one] <= room)
            found[more, one] = True
            room[more] -= weight[one]
        _, first = np.unique(found @ (1 << np.arange(len(parts))), return_index=True)
        return np.asarray(found[first])


def _add(highs: highspy.Highs, fillings: Bools) -> None:
    """Rows: no filling is worth more than one."""
    row, column = np.nonzero(fillings)
    count = len(fillings)
    start = np.searchsorted(row, np.arange(count)).astype(np.int32)
    highs.addRows(
        count, np.full(count, -np.inf), np.ones(count), len(row), start, column.astype(np.int32), np.ones(len(row))
    )


def _best(times: Floats, weight: Floats, left: float) -> tuple[Floats, Bools]:
    """Fillings that are worth most: every filling by the first half of the items, with the best of the second half
    beside it."""
    half = len(times) // 2
    first, second = _all(times[:half], weight[:half]), _all(times[half:], weight[half:])
    order = np.argsort(second[1], kind="stable")
    worth = np.maximum.accumulate(second[0][order])
    at = np.maximum.accumulate(np.where(second[0][order] == worth, np.arange(len(order)), 0))
    fits = np.searchsorted(second[1][order], left - first[1], side="right") - 1
    total = np.where(fits >= 0, first[0] + worth[np.maximum(fits, 0)], -np.inf)
    top = np.argpartition(-total, min(AT_ONCE, len(total)) - 1)[:AT_ONCE]
    top = top[np.isfinite(total[top])]
    other = order[at[fits[top]]]
    bits = np.concatenate(
        [(top[:, None] >> np.arange(half)) & 1, (other[:, None] >> np.arange(len(times) - half)) & 1], axis=1
    )
    return total[top], bits.astype(bool)


def _all(times: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Worth and weight of every set of items, which is numbered by its bits.

    >>> [part.tolist() for part in _all(np.array([1.0, 2.0]), np.array([5.0, 7.0]))]
    [[0.0, 1.0, 2.0, 3.0], [0.0, 5.0, 7.0, 12.0]]
    """
    worth, heavy = np.zeros(1), np.zeros(1)
    for one, more in zip(times, weight, strict=True):
        worth, heavy = np.concatenate([worth, worth + one]), np.concatenate([heavy, heavy + more])
    return worth, heavy


def _whole(times: Floats) -> Ints:
    """Whole numbers in the same proportions, or nearly: what is right of them is worked out afterwards."""
    scaled = times
    for denominator in DENOMINATORS:
        scaled = times * denominator
        if np.abs(scaled - np.round(scaled)).max() < 1e-6:
            break
    return np.asarray(np.floor(scaled + 1e-6), dtype=np.int64)


def _lifted(times: Ints, parts: Ints, whole: Ints, weight: Floats, full: float) -> tuple[Ints, int]:
    """(items,) what each item counts in the inequality, and the most that any filling of the pool counts.

    One item after the other is given the most it may count. `lightest` is what it weighs at least to count so much or
    more.
    """
    out = np.zeros(len(weight), dtype=np.int64)
    out[parts] = times
    lightest = np.zeros(1)
    for count, heavy in zip(times.tolist(), weight[parts], strict=True):
        lightest = _with(lightest, count, heavy)
    room = full - float(weight[whole].sum())
    most = _reached(lightest, room)
    for one in whole[np.argsort(-weight[whole], kind="stable")]:
        room += weight[one]
        before, most = most, _reached(lightest, room)
        out[one] = most - before
        lightest = _with(lightest, int(out[one]), weight[one])
    rest = np.ones(len(weight), dtype=bool)
    rest[parts] = rest[whole] = False
    lightest = lightest[: most + 1]
    for one in np.flatnonzero(rest)[np.argsort(-weight[rest], kind="stable")]:
        out[one] = most - _reached(lightest, full - weight[one])
        lightest = _with(lightest, int(out[one]), weight[one])[: most + 1]
    return out, most


def _reached(lightest: Floats, room: float) -> int:
    """The most that can be counted within so much room."""
    return max(int(lightest.searchsorted(room, side="right")) - 1, 0)


def _with(lightest: Floats, count: int, heavy: float) -> Floats:
    """The same with one more item to choose from."""
    if count <= 0:
        return lightest
    out = np.concatenate([lightest, np.full(count, np.inf)])
    np.minimum(out[count:], lightest + heavy, out=out[count:])
    np.minimum(out[:count], heavy, out=out[:count])
    return out
