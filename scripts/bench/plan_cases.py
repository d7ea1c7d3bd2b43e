"""Instances for the planner's bench, drawn by seed: counties of projects and parcels, classic assignment types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gis.plan import Expansion, Pool
from layers.records import Floats

# the optima of OR-Library's gap1 ... gap12, five instances each; they are maximised
PUBLISHED = (
    336, 327, 339, 341, 326, 434, 436, 420, 419, 428, 580, 564, 573, 570, 564, 656, 644, 673, 647, 664,
    563, 558, 564, 568, 559, 761, 759, 758, 752, 747, 942, 949, 968, 945, 951, 1133, 1134, 1141, 1117, 1127,
    709, 717, 712, 723, 706, 958, 963, 960, 947, 947, 1139, 1178, 1195, 1171, 1171, 1451, 1449, 1433, 1447, 1446,
)  # fmt: skip


def published(path: Path) -> tuple[Floats, Floats, Floats]:
    """Values (M, J), weights (M, J) and capacities (M,) of one OR-Library file."""
    numbers = np.array(path.read_text().split(), dtype=float)
    agents, jobs = int(numbers[0]), int(numbers[1])
    value, weight = numbers[2 : 2 + 2 * agents * jobs].reshape(2, agents, jobs)
    return value, weight, numbers[-agents:]


def county(
    projects: int, parcels: int, seed: int = 1, offers: int | None = None, apart_m: float = 0.0
) -> dict[str, Any]:
    """Projects that share the land quotas of zones, substations and water sources; value falls with distance.

    offers : only so many best parcels of each project are open; apart_m : food and dust keep this distance
    """
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, 40_000, (parcels, 2))
    area_m2 = rng.lognormal(11.0, 0.7, parcels)
    land_m2 = rng.lognormal(10.6, 0.7, projects)
    power_kva = rng.lognormal(8.0, 0.9, projects)
    water_m3d = rng.lognormal(6.0, 1.0, projects)
    worth = land_m2 * rng.uniform(0.5, 2.0, projects) / 100
    wish = rng.uniform(0, 40_000, (projects, 2))
    far = np.hypot(at[:, None, 0] - wish[None, :, 0], at[:, None, 1] - wish[None, :, 1])
    value = (
        worth * (1.2 - far / 60_000) - 0.002 * np.maximum(area_m2[:, None] - land_m2, 0) + rng.normal(0, 5, far.shape)
    )
    fits = (area_m2[:, None] >= land_m2) & (area_m2[:, None] <= 4 * land_m2) & (rng.random(far.shape) < 0.8)
    benefit = np.where(fits, value, -np.inf)
    if offers is not None:
        least = -np.partition(-benefit, min(offers, parcels) - 1, axis=0)[min(offers, parcels) - 1]
        benefit[benefit < least] = -np.inf
    zone = (at[:, 0] // 13_334).astype(int) * 3 + (at[:, 1] // 13_334).astype(int)
    pools = []
    for kind, share, need, count in (
        ("land_m2", 0.55, land_m2, 9),
        ("power_kva", 0.6, power_kva, 6),
        ("water_m3d", 0.6, water_m3d, 5),
    ):
        if kind == "land_m2":
            serves = zone
        else:
            sources = rng.uniform(0, 40_000, (count, 2))
            serves = np.argmin(np.hypot(at[:, None, 0] - sources[:, 0], at[:, None, 1] - sources[:, 1]), axis=1)
        for k in range(count):
            balance = share * need.sum() / count * rng.uniform(0.7, 1.3)
            bigger = [Expansion(0.3 * balance, 0.02 * worth.sum() / count)]
            pools.append(
                Pool(f"{kind} {k}", ((serves == k).astype(float), need), balance, bigger if kind != "land_m2" else [])
            )
    conflicts = np.zeros((0, 4), dtype=np.int64)
    if apart_m:
        kind_of = rng.permutation(projects)
        food, dust = kind_of[: projects // 20], kind_of[projects // 20 : projects // 10]
        a, b = np.nonzero(np.hypot(at[:, None, 0] - at[:, 0], at[:, None, 1] - at[:, 1]) < apart_m)
        rows = []
        for i in food:
            for j in dust:
                both = np.isfinite(benefit[a, i]) & np.isfinite(benefit[b, j])
                rows.append(np.stack([a[both], np.full(both.sum(), i), b[both], np.full(both.sum(), j)], axis=1))
        conflicts = np.concatenate(rows)
    return {"benefit": benefit, "pools": pools, "conflicts": conflicts}


def assignment(kind: str, agents: int, jobs: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Costs (M, J), weights (M, J) and capacities (M,) of the classic types c, d and e; cost is minimised."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(5, 26, (agents, jobs)).astype(float)
    cost = rng.integers(10, 51, (agents, jobs)).astype(float)
    if kind == "d":
        weight = rng.integers(1, 101, (agents, jobs)).astype(float)
        cost = 111 - weight + rng.integers(-10, 11, (agents, jobs))
    elif kind == "e":
        weight = np.floor(1 - 10 * np.log(rng.uniform(1e-9, 1, (agents, jobs))))
        cost = np.floor(1000 / weight - 10 * rng.uniform(0, 1, (agents, jobs)))
    return cost, weight, np.floor(0.8 * weight.sum(axis=1) / agents)


def as_pools(weight: Floats, capacity: Floats) -> list[Pool]:
    """Each agent's capacity as a pool of its own."""
    pools = []
    for agent in range(len(weight)):
        use = np.zeros(weight.shape)
        use[agent] = weight[agent]
        pools.append(Pool(f"agent {agent}", use, float(capacity[agent])))
    return pools


def too_small(seed: int) -> tuple[Floats, list[Pool]]:
    """Projects that must all be placed, in pools too small for them."""
    rng = np.random.default_rng(seed)
    sites, projects = 12, 6
    zone = rng.integers(0, 2, sites)
    benefit = np.where(rng.random((sites, projects)) < 0.7, rng.integers(1, 50, (sites, projects)), -np.inf)
    benefit[np.arange(projects), np.arange(projects)] = 5.0  # everyone has ground of its own
    land, power = rng.integers(5, 40, projects).astype(float), rng.uniform(10, 90, projects)
    pools = [
        Pool("land 0", ((zone == 0).astype(float), land), float(rng.integers(0, 30)), price=3.0),
        Pool("land 1", ((zone == 1).astype(float), land), float(rng.integers(0, 30)), price=2.0),
        Pool("power", (np.ones(sites), power), 0.6 * power.sum(), [Expansion(0.1 * power.sum(), 9.0)]),
    ]
    return benefit, pools


def raised(pools: list[Pool], more: dict[str, float], share: float = 1.0) -> list[Pool]:
    """The pools with their increases, or a share of these."""
    return [
        Pool(one.name, one.use, one.balance + share * more.get(one.name, 0.0), one.expansions, one.price)
        for one in pools
    ]
