"""The planner beside its peers in the same run: HiGHS given the whole programme at once without a start, and greedy.

    python -m scripts.bench.plan [county|published|classic|shortfall|verifier|rank|short|all] [--published FOLDER]

`FOLDER` holds OR-Library's gap1-0 ... gap12-4 (60 instances). One solver thread each. Ratios say more than seconds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from gis.plan import Choice, Progress, choose
from gis.rank import Criterion, rank, robustness
from gis.solver.greedy import plans
from gis.solver.problem import Problem, read
from gis.solver.process import Solver
from gis.solver.rows import Rows, joined
from gis.verify_plan import verify
from scripts.bench.plan_cases import PUBLISHED, as_pools, assignment, county, published, raised, too_small
from scripts.bench.plan_faults import broken, plan_of

PARTS = ("county", "published", "classic", "shortfall", "verifier", "rank", "short", "all")


def problem_of(case: dict[str, Any]) -> Problem:
    return read(
        case["benefit"],
        case.get("pools", ()),
        case.get("exclusive", True),
        (),
        case.get("conflicts", ()),
        case.get("must", False),
        (),
    )


def directly(problem: Problem, seconds: float, gap: float = 0.0) -> tuple[float, float]:
    """HiGHS itself with the same rows, all columns, no start: objective and bound."""
    rows = Rows(problem)
    columns = joined(rows.of_purchases(), rows.of_used_sites(), rows.of_cells(problem.cells))
    count = len(columns.cost)
    until = time.monotonic() + seconds
    with Solver() as solver:
        solver.ask(
            "load",
            seed=0,
            cost=columns.cost,
            lower=np.zeros(count),
            upper=np.ones(count),
            integer=np.ones(count, dtype=np.uint8),
            row_lower=rows.lower,
            row_upper=rows.upper,
            start=columns.start,
            row=columns.row,
            value=columns.value,
        )
        solver.ask("solve", seconds=max(until - time.monotonic(), 0.1), gap=gap)
        best, bound = -np.inf, np.inf
        for message in solver.answers(until + 5):
            if message is not None:
                if len(message["x"]):
                    best = max(best, -float(columns.cost @ np.round(message["x"])))
                if np.isfinite(message["bound"]):
                    bound = min(bound, -message["bound"])
                if message["kind"] == "solved":
                    break
    return best, bound


class Seen:
    """When the first plan came, and when the gap fell below each of some shares."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.below: dict[float, float] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.site is not None and self.first is None:
            self.first = progress.seconds
        for share in (0.02, 0.01, 0.005, 0.001):
            if progress.gap <= share:
                self.below.setdefault(share, progress.seconds)


def run(name: str, case: dict[str, Any], seconds: float, *, peer: bool = True) -> Choice:
    seen = Seen()
    found = choose(**case, time_limit_s=seconds, watch=seen)
    problem = problem_of(case)
    alone = max(problem.value(site, bought) for site, bought in plans(problem))
    print(f"{name}: {len(problem.cells):,} open cells, {len(problem.conflicts):,} conflicts")
    print(
        f"  ours       {found.objective:,.1f} bound {found.bound:,.1f} gap {found.gap:.3%} in {found.seconds:.1f} s; "
        f"first plan {seen.first or np.nan:.2f} s; "
        + "; ".join(f"<= {share:.1%} at {at:.1f} s" for share, at in sorted(seen.below.items(), reverse=True))
    )
    print(f"  greedy     {alone:,.1f}: {1 - alone / found.objective:.2%} worse than ours")
    if peer:
        best, bound = directly(problem, seconds)
        print(f"  HiGHS      {best:,.1f} bound {bound:,.1f}; ours / its {found.objective / best:.5f}")
    return found


def counties(seeds: int) -> None:
    for seed in range(1, seeds + 1):
        run(f"300 projects x 20,000 parcels, 30 offers each, seed {seed}", county(300, 20_000, seed, 30), 10)
    case = county(200, 2_000, 1, apart_m=500)
    found = run("200 projects x 2,000 parcels, zones, 6 substations, 5 waters, separation", case, 60)
    placed = np.flatnonzero(found.site >= 0)
    locked = placed[: int(0.8 * len(placed))]
    again = choose(
        **case, fixed=[(int(n), int(found.site[n])) for n in locked], time_limit_s=4.5, gap=0.001, start=found.site
    )
    print(f"  80 % locked: {again.seconds:.2f} s, gap {again.gap:.3%}, {again.objective / found.objective:.5f} of it")
    run("300 projects x 20,000 parcels, every fitting parcel open", county(300, 20_000, 1), 30, peer=False)


def all_published(folder: Path) -> None:
    """The 60 instances of OR-Library's gap1 ... gap12 with their published optima."""
    right, began = 0, time.perf_counter()
    for k, best in enumerate(PUBLISHED):
        value, weight, capacity = published(folder / f"gap{k // 5 + 1}-{k % 5}")
        found = choose(value, pools=as_pools(weight, capacity), exclusive=False, must=True, time_limit_s=120)
        right += found.status == "optimal" and round(found.objective) == best
    print(f"published assignment instances: {right} of {len(PUBLISHED)} optima, {time.perf_counter() - began:.0f} s")


def classic(seeds: int, seconds: float = 10.0) -> None:
    """Unseen instances of types c, d and e: feasible, bounded, beside HiGHS for the same time."""
    for kind in "cde":
        for agents, jobs in ((10, 100), (20, 200)):
            for seed in range(seeds):
                cost, weight, capacity = assignment(kind, agents, jobs, seed)
                case: dict[str, Any] = {
                    "benefit": -cost,
                    "pools": as_pools(weight, capacity),
                    "exclusive": False,
                    "must": True,
                }
                found = choose(**case, time_limit_s=seconds)
                best, bound = directly(problem_of(case), seconds)
                print(
                    f"type {kind} {agents} x {jobs} seed {seed}: ours {-found.objective:.0f} >= {-found.bound:.1f} "
                    f"({found.status}, {found.seconds:.1f} s), HiGHS {-best:.0f} >= {-bound:.1f}"
                    + ("" if found.objective >= best - 1e-6 else "  WORSE")
                )


def shortfalls(count: int = 100) -> None:
    """Infeasible plans: the increases stated are enough, one per cent less is not."""
    enough = less = 0
    slowest = 0.0
    for seed in range(count):
        benefit, pools = too_small(seed)
        found = choose(benefit, pools=pools, must=True)
        short = found.shortfall or {}
        slowest = max(slowest, found.seconds)
        enough += choose(benefit, pools=raised(pools, short), must=True).status == "optimal"
        less += choose(benefit, pools=raised(pools, short, 0.99), must=True).status == "infeasible"
    print(f"shortfall: enough in {enough} of {count}, 1 % less never in {less}; slowest {slowest:.2f} s")


def verifier(count: int = 1_000) -> None:
    """Seeded faults in a plan of 200 projects."""
    rng = np.random.default_rng(11)
    found, slowest, alarms = 0, 0.0, 0
    for seed in range(20):
        placements, stocks, asked = plan_of(seed)
        began = time.perf_counter()
        alarms += bool(verify(placements, stocks, **asked))
        slowest = max(slowest, time.perf_counter() - began)
    held = plan_of(99)
    for _ in range(count):
        placements, stocks, asked = list(held[0]), held[1], dict(held[2])
        what = broken(rng, placements, stocks, asked)
        found += what in {one.what for one in verify(placements, stocks, **asked)}
    print(f"verifier: {found} of {count} faults found, {alarms} alarms on 20 valid ones, {slowest * 1000:.0f} ms")


def ranks() -> None:
    """10,000 weights over 5,000 sites and 12 criteria."""
    rng = np.random.default_rng(0)
    criteria = [Criterion(f"c{k}", "more" if k % 2 else "less") for k in range(12)]
    ranking = rank(rng.lognormal(2, 1, (5_000, 12)), criteria)
    for places in (1, 10):
        began = time.perf_counter()
        robustness(ranking, places=places)
        print(f"TOPSIS, 10,000 draws x 5,000 sites x 12 criteria, {places} places: {time.perf_counter() - began:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="short", choices=PARTS)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    if asked.part in ("verifier", "short", "all"):
        verifier()
    if asked.part in ("rank", "short", "all"):
        ranks()
    if asked.part in ("shortfall", "all"):
        shortfalls()
    if asked.part in ("county", "short", "all"):
        counties(asked.seeds)
    if asked.part in ("classic", "all"):
        classic(asked.seeds)
    if asked.part in ("published", "all") and asked.published is not None:
        all_published(asked.published)


if __name__ == "__main__":
    main()
