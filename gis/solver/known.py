"""What one search knows so far: the best plan, and what no plan can be worth more than."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from gis.solver.greedy import holds
from gis.solver.problem import Problem
from layers.records import Bools, Floats, Ints

TOLERANCE = 1e-7  # of the objective: smaller differences are the solver's rounding

Watch = Callable[["Progress"], bool | None]


@dataclass(frozen=True)
class Progress:
    """The best plan so far, and what none can be worth more than."""

    seconds: float
    site: Ints | None
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        return gap_of(self.objective, self.bound)


def gap_of(objective: float, bound: float) -> float:
    """How much better another plan might be, as a share.

    >>> gap_of(100.0, 102.0)
    0.02
    """
    if not np.isfinite(objective):
        return np.inf
    over = bound - objective
    if over <= TOLERANCE * max(1.0, abs(objective)):
        return 0.0
    return over / abs(objective) if objective else np.inf


@dataclass(eq=False)
class Search:
    """One search: what is asked, how long, and the best that is known."""

    problem: Problem
    until: float
    gap: float
    seed: int
    watch: Watch | None = None
    began: float = field(default_factory=time.monotonic)
    site: Ints | None = None
    bought: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))
    objective: float = -np.inf
    bound: float = np.inf
    infeasible: bool = False
    cancelled: bool = False
    prices: Floats | None = None
    felt: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))  # conflict rows with a price

    @property
    def left_s(self) -> float:
        return self.until - time.monotonic()

    @property
    def is_done(self) -> bool:
        return self.cancelled or self.infeasible or self.left_s <= 0 or gap_of(self.objective, self.bound) <= self.gap

    @property
    def enough(self) -> float:
        """What a plan has to be worth to be worth looking for."""
        if not np.isfinite(self.objective):
            return -np.inf
        return self.objective + max(self.gap, TOLERANCE) * abs(self.objective) + TOLERANCE

    def tell(self) -> None:
        if self.watch is not None and not self.cancelled:
            seconds = time.monotonic() - self.began
            self.cancelled = self.watch(Progress(seconds, self.site, self.objective, self.bound)) is False

    def offer(self, site: Ints, bought: Bools) -> bool:
        """Keep a plan if it holds and is better."""
        value = self.problem.value(site, bought)
        if not value > self.objective or not holds(self.problem, site, bought):
            return False
        self.site, self.bought, self.objective = site, bought, value
        self.bound = max(self.bound, value)
        self.tell()
        return True

    def bounded(self, bound: float) -> None:
        if bound < self.bound:
            self.bound = max(bound, self.objective)
            self.tell()
