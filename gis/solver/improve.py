"""Better plans beside the search for the bound: most of a plan is kept, some projects are placed anew, over and over.

It runs in a solver of its own, and begins only once the whole programme has proved not to be quickly done. Projects
are freed by what they share, because those that draw on one pool can make room for each other.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import numpy as np

from gis.solver.greedy import needed
from gis.solver.known import Search
from gis.solver.process import Solver
from gis.solver.rows import Rows, joined
from layers.errors import SolverDied
from layers.records import Bools, Floats, Ints

AFTER_S = 1.0  # of the whole programme; most plans are done by then
ROUND_S = 1.5  # for one neighbourhood
EACH = 25  # best cells of a freed project
FREED = 60  # projects freed at first; fewer after rounds that were not finished, more after idle ones
PATIENCE = 40  # idle rounds in a row after which it stops


class Improver:
    """A thread that asks its own solver; plans come out of `found`."""

    def __init__(self, one: Search, rows: Rows, worth: Floats, scale: float) -> None:
        self._one, self._rows, self._scale = one, rows, scale
        self._worth = worth
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.found: queue.SimpleQueue[tuple[Ints, Bools]] = queue.SimpleQueue()

    def turn(self) -> None:
        """Called while waiting: begin once it is time, hand over what was found."""
        if self._thread is None and self._one.site is not None and time.monotonic() - self._began > AFTER_S:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        while not self.found.empty():
            self._one.offer(*self.found.get())

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        while not self.found.empty():
            self._one.offer(*self.found.get())

    def _run(self) -> None:
        problem = self._rows.problem
        sites, projects = problem.shape
        rng = np.random.default_rng(self._one.seed)
        count = min(EACH, sites)
        ranked = np.argpartition(-self._worth, count - 1, axis=0)[:count] * projects + np.arange(projects)
        freed, idle = min(FREED, projects), 0
        try:
            with Solver(niceness=5) as solver:  # the bound comes first where both cannot run
                while not self._stop.is_set() and idle < PATIENCE and self._one.left_s > 0.2:
                    site, bought = self._one.site, self._one.bought
                    assert site is not None
                    free = self._free(rng, site, freed)
                    done, better = self._round(solver, site, bought, free, ranked)
                    freed = max(10, int(freed * 0.8)) if not done else freed
                    if better is None:
                        idle += 1
                        if done and idle % 4 == 0:
                            freed = min(projects, int(freed * 1.3) + 1)
                    else:
                        idle = 0
                        self.found.put(better)
                        self._stop.wait(0.2)  # until it is the plan to begin from
        except SolverDied:
            return  # the whole programme goes on without

    def _free(self, rng: np.random.Generator, site: Ints, freed: int) -> Bools:
        """Who is placed anew: everybody unplaced with room for, and the projects of some pools."""
        problem = self._rows.problem
        placed = np.flatnonzero(site >= 0)
        free = np.zeros(len(site), dtype=bool)
        if len(problem.pools) and rng.random() < 0.7:
            use = problem.use_at(problem.chosen(site)) > 0
            for pool in rng.permutation(use.shape[1]):
                members = placed[use[:, pool]]
                free[rng.permutation(members)[: max(freed - int(free.sum()), 0)]] = True
                if free.sum() >= freed:
                    break
        else:
            free[rng.permutation(placed)[:freed]] = True
        out = np.flatnonzero(site < 0)
        free[rng.permutation(out)[: 2 * freed]] = True
        return free & (problem.fixed < 0)

    def _round(
        self, solver: Solver, site: Ints, bought: Bools, free: Bools, ranked: Ints
    ) -> tuple[bool, tuple[Ints, Bools] | None]:
        """Whether the neighbourhood was looked through, and a better plan in it."""
        rows, problem = self._rows, self._rows.problem
        kept = problem.chosen(np.where(free, -1, site))
        fresh = ranked[:, free].ravel()
        fresh = fresh[np.isfinite(problem.benefit.ravel()[fresh])]
        own = problem.chosen(site)
        cells = np.unique(np.concatenate([fresh, own]))
        columns = joined(rows.of_purchases(), rows.of_used_sites(), rows.of_cells(cells))
        count = len(columns.cost)
        ahead = count - len(cells)
        lower = np.zeros(count)
        lower[ahead + np.searchsorted(cells, kept)] = 1.0
        x = np.zeros(count)
        x[: len(problem.cost)] = bought
        x[len(problem.cost) : ahead] = np.isin(rows.used_sites, site)
        x[ahead + np.searchsorted(cells, own)] = 1.0
        solver.ask(
            "load",
            seed=self._one.seed,
            cost=columns.cost * self._scale,
            lower=lower,
            upper=np.ones(count),
            integer=np.ones(count, dtype=np.uint8),
            row_lower=rows.lower,
            row_upper=rows.upper,
            start=columns.start,
            row=columns.row,
            value=columns.value,
        )
        seconds = min(ROUND_S, self._one.left_s)
        solver.ask("solve", seconds=seconds, gap=1e-6, x=x)
        answer: dict[str, Any] | None = None
        for message in solver.answers(time.monotonic() + seconds + 2.0):
            if message is not None and message["kind"] == "solved":
                answer = message
                break
            if self._stop.is_set():
                return False, None
        if answer is None:
            raise SolverDied("a neighbourhood was not answered in time")
        done = answer["status"] == "Optimal"
        if not len(answer["x"]):
            return done, None
        found = np.full(problem.shape[1], -1, dtype=np.int64)
        chosen = cells[answer["x"][ahead:] > 0.5]
        found[chosen % problem.shape[1]] = chosen // problem.shape[1]
        buys = needed(problem, found)
        value, now = problem.value(found, buys), problem.value(site, bought)
        return done, (found, buys) if value > now + 1e-7 * max(1.0, abs(now)) else None
