"""The county's whole library as one joint plan: how long measuring takes, how long choosing, and how good it is.

    python -m scripts.bench.plan_library COUNTY [--projects 12] [--gap 0.0] [--no-upgrades]

Measuring is done twice, because the first time reads the layers. Choosing ends when the plan is proven within the gap;
beside it stands greedy on the same programme. The gap of 0.1 % is the default of a scenario.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from api.networks import Networks
from api.planning import Prepared, prepare
from gis.check import rulebook
from gis.joint import plan
from gis.scenario import Scenario
from gis.solver.known import Progress
from layers.records import Project
from layers.store import open_store


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("county", type=Path)
    asked.add_argument(
        "--projects", type=int, help="the first so many of the library that have most output; all unless given"
    )
    asked.add_argument("--gap", type=float, default=0.0)
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--no-upgrades", action="store_true")
    said = asked.parse_args()
    store = open_store(said.county)
    world = store.at()
    book = rulebook().confirmed(store.list("confirmation"))
    library = [Project.model_validate(one) for one in store.list("project")]
    library = sorted(library, key=lambda one: -(one.output_wan or 0.0))[: said.projects]
    scenario = Scenario.model_validate(
        {"upgrades": not said.no_upgrades, "gap": said.gap, "time_limit_s": said.seconds}
    )
    networks = Networks(store, lambda: book)
    began = time.perf_counter()
    count = networks.make_all(world)
    print(f"{count} accumulations of ways, those that were kept already included: {time.perf_counter() - began:.2f} s")
    routes = networks.lookup(world)
    for what in ("layers read, candidates made, measured and judged", "again"):
        began = time.perf_counter()
        ready: Prepared = prepare(store, library, scenario, book, world, routes=routes)
        print(f"{what}: {time.perf_counter() - began:.2f} s")
    columns = len(ready.found.projects)
    print(
        f"{len(library)} projects with {columns - len(library)} components on "
        f"{len(ready.found.sites.ground):,} candidates, "
        f"{len(ready.scenario.purchases)} upgrades and up to {ready.county.choices} ways to be served on offer"
    )
    told: list[tuple[float, float, float]] = []
    within: dict[float, float] = {}

    def watch(now: Progress) -> None:
        told.append((now.seconds, now.objective, now.bound))
        for share in (0.01, 0.001):
            if now.gap <= share:
                within.setdefault(share, now.seconds)

    began = time.perf_counter()
    made = plan(ready.found.sites, ready.found.projects, ready.county, ready.scenario, watch)
    seconds = time.perf_counter() - began
    choice = made.choice
    print(
        f"chosen and verified: {seconds:.2f} s, of it choosing {choice.seconds:.2f} s; "
        f"{choice.status}, gap {choice.gap:.3%}"
    )
    print("; ".join(f"<= {share:.1%} at {at:.2f} s" for share, at in within.items()))
    first = next((one for one in told if one[1] > 0), None)
    if first is not None:
        print(f"first plan (greedy) at {first[0]:.2f} s: {1 - first[1] / choice.objective:.2%} worse than the plan")
    print(
        f"value {choice.objective:,.1f}, bound {choice.bound:,.1f}; "
        f"{len(made.assigned)} placed, {len(made.unplaced)} not, "
        f"{len(made.bought)} upgrades bought, {len(made.violations)} violations"
    )


if __name__ == "__main__":
    main()
