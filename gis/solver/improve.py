"""Better plans beside the search for the bound: most of a plan is kept, some projects are placed anew, over and over.

It runs in a solver of its own, and begins only once the whole programme has proved not to be quickly done. Projects
are freed by what they share, because those that draw on one pool can make room for each other. Once cuts have brought
the relaxation near to plans, all are placed anew on what it finds cheapest, and then those about whom the plan and the
relaxation differ most (relaxation induced neighbourhoods, project by project).
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

import numpy as np

from gis.solver.known import Search
from gis.solver.process import Solver
from gis.solver.programme import Programme
from gis.solver.wire import Message
from layers.errors import SolverDied
from layers.records import Bools, Floats, Ints

AFTER_S = 1.0  # of the whole programme; most plans are done by then
ROUND_S = 1.5  # for one neighbourhood
LARGE = 5_000  # cells: of larger programmes each round loads its own part, because presolve would take the round
EACH = 25  # best cells of a freed project
CHEAPEST, CHEAPEST_S = 2, 2.0  # cells of each project, all together, for the round on what is cheapest
CHEAP = 3  # the same for the rounds after it
DIFFERING = 0.6  # of the rounds with cuts free those about whom plan and relaxation differ, the rest free as before
CHANCE = 0.5  # how far chance reorders who differs, of whom a project wholly moved counts 2
FREED = 60  # projects freed at first; fewer after rounds that were not finished, more after idle ones
PATIENCE = 40  # idle rounds in a row after which it stops


class Improver:
    """A thread that asks its own solver; plans come out of `found`."""

    def __init__(self, one: Search, programme: Programme, worth: Floats) -> None:
        self._one, self._programme = one, programme
        self._worth = worth.ravel()[programme.cells]
        self._cuts: Message | None = None
        self._relaxed: Floats | None = None
        self._idle = 0
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

    def tightened(self, tight: Message, ahead: int) -> None:
        """Rows that hold for all plans, and each column's value and reduced cost in the relaxation that keeps them."""
        self._worth, self._relaxed = -tight["reduced"][ahead:], tight["x"][ahead:]
        self._cuts = {name: tight[name] for name in ("start", "column", "value", "upper")}

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        while not self.found.empty():
            self._one.offer(*self.found.get())

    def _run(self) -> None:
        try:
            while not self._is_over:
                self._rounds(self._cuts)
        except SolverDied:
            return  # the whole programme goes on without

    @property
    def _is_large(self) -> bool:
        return len(self._programme.cells) > LARGE

    @property
    def _is_over(self) -> bool:
        return self._stop.is_set() or self._idle >= PATIENCE or self._one.left_s <= 0.2

    def _rounds(self, cuts: Message | None) -> None:
        """One neighbourhood after the other, until there are better cuts."""
        one, programme = self._one, self._programme
        projects = programme.rows.problem.shape[1]
        rng = np.random.default_rng(one.seed)
        near, cheap = self._near(), None if cuts is None else self._cheapest(CHEAP)
        freed, first = min(FREED, projects), cuts is not None
        with Solver(niceness=5) as solver:  # the bound comes first where both cannot run
            if not self._is_large:
                programme.load(solver)
                if cuts is not None:
                    solver.ask("cut", **cuts)
            while not self._is_over and self._cuts is cuts:
                site, bought = one.site, one.bought
                assert site is not None
                if first:
                    done, better = self._round(
                        solver, site, bought, np.zeros_like(near), self._cheapest(CHEAPEST), CHEAPEST_S
                    )
                else:
                    differing = cheap is not None and rng.random() < DIFFERING
                    free = self._free(rng, site, freed, differing=differing)[programme.project]
                    may = cheap if cheap is not None and differing else near
                    done, better = self._round(solver, site, bought, ~free, may & free, ROUND_S)
                    freed = max(10, int(freed * 0.8)) if not done and better is None else freed
                first = False
                if better is None:
                    self._idle += 1
                    if done and self._idle % 4 == 0:
                        freed = min(projects, int(freed * 1.3) + 1)
                else:
                    self._idle = 0
                    self.found.put(better)
                    self._stop.wait(0.2)  # until it is the plan to begin from

    def _near(self) -> Bools:
        """(cells,) the best of each project."""
        project = self._programme.project
        order = np.lexsort((-self._worth, project))
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order)) - np.searchsorted(project[order], project[order])
        return np.asarray(rank < EACH)

    def _cheapest(self, each: int) -> Bools:
        """(cells,) the best of all projects together, so many times as there are projects."""
        count = min(each * self._programme.rows.problem.shape[1], len(self._worth))
        return np.asarray(self._worth >= -np.partition(-self._worth, count - 1)[count - 1])

    def _free(self, rng: np.random.Generator, site: Ints, freed: int, *, differing: bool) -> Bools:
        """Who is placed anew: many of the unplaced, and those who differ, those of some pools, or anybody."""
        problem = self._programme.rows.problem
        placed = np.flatnonzero(site >= 0)
        free = np.zeros(len(site), dtype=bool)
        if differing and self._relaxed is not None:
            apart = np.abs(self._relaxed - self._programme.values(site, self._one.bought)[self._programme.ahead :])
            differs = np.bincount(self._programme.project, apart, len(site)) + CHANCE * rng.random(len(site))
            free[np.argsort(-differs)[:freed]] = True
        elif len(problem.pools) and rng.random() < 0.7:
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
        self, solver: Solver, site: Ints, bought: Bools, kept: Bools, near: Bools, most_s: float
    ) -> tuple[bool, tuple[Ints, Bools] | None]:
        """Whether a neighbourhood was looked through, and a better plan in it.

        kept, near : (cells,) whose part in the plan stays, and which others may be chosen
        """
        programme, problem = self._programme, self._programme.rows.problem
        x = programme.values(site, bought)
        own = x[programme.ahead :] > 0
        if self._is_large:
            at = np.flatnonzero(own | near)
            programme = Programme(programme.rows, programme.cells[at], self._one.seed)
            programme.load(solver)
            x, own, kept, near = programme.values(site, bought), own[at], kept[at], near[at]
        lower, upper = np.zeros(len(x)), np.ones(len(x))
        lower[programme.ahead :] = own & kept
        upper[programme.ahead :] = own | near
        seconds, cuts = min(most_s, self._one.left_s), self._cuts
        solver.ask(
            "solve",
            seconds=seconds,
            gap=1e-6,
            x=x,
            lower=lower,
            upper=upper,
            keeps_sums=bool(len(programme.sums)),
        )
        answer: dict[str, Any] | None = None
        for message in solver.answers(time.monotonic() + seconds + 2.0):
            if message is not None and message["kind"] == "solved":
                answer = message
                break
            if self._stop.is_set() or self._cuts is not cuts:
                return False, None
        if answer is None:
            raise SolverDied("a neighbourhood was not answered in time")
        done = answer["status"] == "Optimal"
        if not len(answer["x"]):
            return done, None
        found = programme.plan(answer["x"])
        value, now = problem.value(*found), problem.value(site, bought)
        return done, found if value > now + 1e-7 * max(1.0, abs(now)) else None
