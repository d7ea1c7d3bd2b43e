"""Plans that hold, and plans with one fault in them, for the verifier to find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import shapely
import shapely.affinity

from gis.verify_plan import Apart, Bought, Placement, Step, Stock

Held = tuple[list[Placement], list[Stock], dict[str, Any]]


def plan_of(seed: int, count: int = 200) -> Held:
    """A plan that holds, exactly: what is granted is what is taken."""
    rng = np.random.default_rng(seed)
    placements: list[Placement] = []
    quota: dict[str, dict[int, float]] = {}
    load: dict[str, dict[int, float]] = {}
    for n in range(count):
        x, y = (n % 20) * 500.0, (n // 20) * 500.0
        first = int(rng.integers(2026, 2029))
        steps = []
        for phase in range(int(rng.integers(1, 3))):
            approval = first + phase
            takes = {f"land {n % 4}": float(rng.integers(1, 9)), f"power {n % 3}": float(rng.integers(1, 99))}
            steps.append(Step(approval, approval + 1, approval + 2, takes))
            quota.setdefault(f"land {n % 4}", {}).setdefault(approval, 0.0)
            quota[f"land {n % 4}"][approval] += takes[f"land {n % 4}"]
            load.setdefault(f"power {n % 3}", {}).setdefault(approval + 2, 0.0)
            load[f"power {n % 3}"][approval + 2] += takes[f"power {n % 3}"]
        kind = {0: frozenset({"food"}), 2: frozenset({"dust"})}.get(n % 20, frozenset())
        ground = shapely.box(x, y, x + 500, y + 500)
        placements.append(Placement(f"p{n}", ground, tuple(steps), float(n), f"s{n}", None, kind))
    yard = Step(2026, 2027, 2028)
    placements.append(Placement("p0", shapely.box(-400, 0, -100, 300), (yard,), 0, "yard", "slag", linked_within_m=100))
    stocks = [Stock(name, "quota", granted) for name, granted in quota.items()]
    for name, by_year in load.items():
        years = range(2026, 2032)
        stocks.append(Stock(name, "load", {y: sum(v for at, v in by_year.items() if at <= y) for y in years}))
    more = Bought("substation", 40.0, {"power 0": 10.0}, 2027)
    asked: dict[str, Any] = {
        "apart": [Apart("food", "dust", 500.0)],
        "taken": {"town": shapely.box(0, -900, 9000, 0)},
        "bought": [more],
        "fund": 40.0,
        "must": ["p3", "p4"],
        "locks": {"p5": "s5"},
        "objective": sum(one.value for one in placements) - 40.0,
    }
    return placements, stocks, asked


def moved(one: Placement, dx: float) -> Placement:
    return replace(one, ground=shapely.affinity.translate(one.ground, dx))


def broken(rng: np.random.Generator, placements: list[Placement], stocks: list[Stock], asked: dict[str, Any]) -> str:
    """One fault in a plan that holds, and the word for it."""
    n = int(rng.integers(6, 200))
    one = placements[n]
    step = one.steps[0]
    what = str(
        rng.choice(
            [
                "ground",
                "twice",
                "pool",
                "years",
                "phases",
                "missing",
                "lock",
                "fund",
                "apart",
                "component",
                "taken",
                "objective",
                "blocked",
                "purchase",
                "load",
            ]
        )
    )
    if what == "ground":
        placements[n] = moved(one, float(rng.uniform(0.001, 300)) * (1 if n % 20 < 19 else -1))
    elif what == "taken":
        placements[3] = replace(placements[3], ground=shapely.box(1500, -float(rng.uniform(0.001, 9)), 2000, 500))
        return "ground"
    elif what == "twice":
        placements.append(replace(one, ground=shapely.box(2e5, 0, 2e5 + 1, 1), value=0.0, steps=()))
    elif what in ("pool", "load"):
        name = str(
            rng.choice(
                [key for key in step.takes if key.startswith("land" if what == "pool" else "power 1")]
                or [next(iter(step.takes))]
            )
        )
        more = dict(step.takes) | {name: step.takes[name] + (0.01 if name != "power 0" else 10.01)}
        placements[n] = replace(one, steps=(replace(step, takes=more), *one.steps[1:]))
        return "pool"
    elif what == "years":
        placements[n] = replace(one, steps=(replace(step, start_year=step.production_year + 1), *one.steps[1:]))
    elif what == "phases":
        placements[n] = replace(one, steps=(*one.steps, Step(2020, 2021, 2022)))
    elif what == "missing":
        gone = placements.pop(4)
        asked["objective"] -= gone.value
    elif what == "lock":
        placements[5] = replace(placements[5], site="s6")
    elif what == "fund":
        asked["fund"] = 39.9
    elif what == "apart":
        asked["apart"] = [Apart("food", "dust", 500.0 + float(rng.uniform(0.01, 50)))]
    elif what == "component":
        placements[-1] = moved(placements[-1], -float(rng.uniform(0.01, 50)))
    elif what == "objective":
        asked["objective"] += 0.5
    elif what == "blocked":
        asked["blocked"] = [(one.project, one.site)]
    else:
        asked["bought"] = [*asked["bought"], replace(asked["bought"][0], cost=0.0)]
    return what
