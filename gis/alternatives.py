"""Other plans nearly as good, and what one more of a benefit costs: both by adding pools to the same problem.

A plan that differs from an earlier one in at least d projects uses at most (count - d) of its cells: that is a pool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gis.plan import Choice, Pool, choose
from layers.errors import BadInput, Fault


def alternatives(
    benefit: ArrayLike, first: Choice, *, count: int = 5, differs: int = 1, pools: Iterable[Pool] = (), **asked: Any
) -> list[Choice]:
    """Up to `count` further plans, the best first, each unlike all others in at least `differs` projects.

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
        placed = np.flatnonzero(last.site >= 0)
        if len(placed) < differs:
            break
        same = np.zeros(table.shape)
        same[last.site[placed], placed] = 1.0
        cuts.append(Pool(f"unlike plan {len(known)}", same, float(len(placed) - differs)))
        choice = choose(table, pools=cuts, **asked)
        if choice.status not in ("optimal", "feasible"):
            break
        known.append(choice)
        found.append(choice)
    return found


def front(
    benefit: ArrayLike, other: ArrayLike, *, points: int = 6, pools: Iterable[Pool] = (), **asked: Any
) -> list[tuple[float, float, Choice]]:
    """Plans none of which is better both in value and in what it spends of something else (帕累托前沿).

    other : (S, N) >= 0 what is to be spared, such as farmland or earthwork; a ceiling on it is lowered step by step

    Returns
    -------
    (value, spent, plan) from the most valuable to the most sparing

    >>> [point[:2] for point in front([[5.0], [3.0]], [[4.0], [1.0]], points=3)]
    [(5.0, 4.0), (3.0, 1.0), (0.0, 0.0)]
    """
    spent = np.asarray(other, dtype=float)
    table = np.asarray(benefit, dtype=float)
    if spent.shape != table.shape or not (np.isfinite(spent) & (spent >= 0)).all():
        reason = f"its shape is {spent.shape}, or it is negative or unknown somewhere"
        raise BadInput("no front can be drawn", [Fault(reason, f"Give {table.shape} amounts", field="other")])
    base = list(pools)
    first = choose(table, pools=base, **asked)
    found: list[tuple[float, float, Choice]] = []
    ceilings = np.linspace(_spent(spent, first), 0.0, points)
    for ceiling in ceilings:
        choice = first if not found else choose(table, pools=[*base, Pool("ceiling", spent, float(ceiling))], **asked)
        if choice.status not in ("optimal", "feasible"):
            break
        point = (choice.objective, _spent(spent, choice), choice)
        if found and point[0] >= found[-1][0] - 1e-9 and point[1] <= found[-1][1]:
            found[-1] = point  # as good and more sparing
        elif not found or point[1] < found[-1][1] - 1e-9:
            found.append(point)
    return found


def _spent(other: Any, choice: Choice) -> float:
    placed = np.flatnonzero(choice.site >= 0)
    return float(other[choice.site[placed], placed].sum())
