"""Other plans nearly as good, and what one more of a benefit costs: both by adding pools to the same problem.

A plan that differs from an earlier one in at least d projects uses at most (count - d) of its cells: that is a pool.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gis.plan import Choice, Pool, choose
from layers.errors import BadInput, Fault
from layers.records import Bools, Ints

Point = tuple[float, tuple[float, ...], Choice]
SAME = 1e-9


def alternatives(
    benefit: ArrayLike,
    first: Choice,
    *,
    count: int = 5,
    differs: int = 1,
    pools: Iterable[Pool] = (),
    counted: Bools | None = None,
    alike: Ints | None = None,
    **asked: Any,
) -> list[Choice]:
    """Up to `count` further plans, the best first, each unlike all others in at least `differs` projects.

    counted : (N,) the projects that make plans unlike, all unless given
    alike : (S,) rows of the same number are one place, and a project is where it was on any of them
    asked : the other arguments of `choose`; a plan that fixes everything has no alternatives

    >>> one = choose([[3.0], [2.0], [1.0]])
    >>> [plan.objective for plan in alternatives([[3.0], [2.0], [1.0]], one, count=2)]
    [2.0, 1.0]
    """
    table = np.asarray(benefit, dtype=float)
    known = [first]
    found: list[Choice] = []
    cuts = list(pools)
    while len(found) < count:
        last = known[-1]
        placed = np.flatnonzero((last.site >= 0) & (True if counted is None else counted))
        if len(placed) < differs:
            break
        same = np.zeros(table.shape)
        if alike is None:
            same[last.site[placed], placed] = 1.0
        else:
            same[:, placed] = alike[:, None] == alike[last.site[placed]]
        cuts.append(Pool(f"unlike plan {len(known)}", same, float(len(placed) - differs)))
        choice = choose(table, pools=cuts, **asked)
        if choice.status not in ("optimal", "feasible"):
            break
        known.append(choice)
        found.append(choice)
    return found


def front(
    benefit: ArrayLike,
    *others: ArrayLike,
    points: int = 6,
    pools: Iterable[Pool] = (),
    first: Choice | None = None,
    **asked: Any,
) -> list[Point]:
    """Plans none of which is better in value and in all that it spends of something else (帕累托前沿).

    others : one or two (S, N) >= 0 of what is to be spared, such as farmland or earthwork; ceilings on them are lowered
        step by step, for two in `points` by `points` steps
    first : the most valuable plan, where it is known

    Returns
    -------
    (value, spent of each, plan) from the most valuable on

    >>> [point[:2] for point in front([[5.0], [3.0]], [[4.0], [1.0]], points=3)]
    [(5.0, (4.0,)), (3.0, (1.0,)), (0.0, (0.0,))]
    """
    table = np.asarray(benefit, dtype=float)
    spared = [np.asarray(one, dtype=float) for one in others]
    if not 1 <= len(spared) <= 2:
        raise BadInput("no front can be drawn", [Fault("it spares neither one nor two things", "Give one or two")])
    for one in spared:
        if one.shape != table.shape or not (np.isfinite(one) & (one >= 0)).all():
            reason = f"its shape is {one.shape}, or it is negative or unknown somewhere"
            raise BadInput("no front can be drawn", [Fault(reason, f"Give {table.shape} amounts", field="other")])
    base = list(pools)
    best = first if first is not None else choose(table, pools=base, **asked)
    if best.status not in ("optimal", "feasible"):
        return []
    begun = (best.objective, tuple(_spent(one, best) for one in spared), best)
    solved: list[tuple[tuple[float, ...], Point]] = [((np.inf,) * len(spared), begun)]
    for ceilings in list(product(*(np.linspace(most, 0.0, points).tolist() for most in begun[1])))[1:]:
        if any(_below(ceilings, looser) and _below(point[1], ceilings) for looser, point in solved):
            continue  # the best under looser ceilings keeps these, too
        caps = [Pool(f"ceiling {n}", one, top) for n, (one, top) in enumerate(zip(spared, ceilings, strict=True))]
        choice = choose(table, pools=[*base, *caps], **asked)
        if choice.status in ("optimal", "feasible"):
            point = (choice.objective, tuple(_spent(one, choice) for one in spared), choice)
            solved.append((ceilings, point))
    found = [point for _, point in solved]
    return sorted((one for one in found if not _beaten(one, found)), key=lambda one: (-one[0], one[1]))


def _below(some: tuple[float, ...], ceilings: tuple[float, ...]) -> bool:
    return all(one <= top + SAME for one, top in zip(some, ceilings, strict=True))


def _beaten(one: Point, found: list[Point]) -> bool:
    """Whether another point is as good in everything and better in something, or the same and told before."""
    mine = (-one[0], *one[1])
    for place, other in enumerate(found):
        theirs = (-other[0], *other[1])
        if other is not one and _below(theirs, mine) and (not _below(mine, theirs) or place < found.index(one)):
            return True
    return False


def _spent(other: Any, choice: Choice) -> float:
    placed = np.flatnonzero(choice.site >= 0)
    return float(other[choice.site[placed], placed].sum())
