"""How long ways out of a failing check take, how many pass when they are asked again, what is missed.

    python -m scripts.bench.remedies COUNTY [--sites 200] [--seed 1]

Sites are plots of the county, drawn at random and moved by up to their own width, checked for projects of its library.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
import shapely

from gis.barred import barred
from gis.check import check, rulebook
from gis.judge import Status
from gis.mending import Raised, mend
from layers.records import Project
from layers.store import open_store

GOOD = (Status.PASS, Status.EXEMPT)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("county", type=Path)
    asked.add_argument("--sites", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    said = asked.parse_args()
    rng = np.random.default_rng(said.seed)
    store = open_store(said.county)
    world = store.at()
    book = rulebook().confirmed(store.list("confirmation"))
    projects = [Project.model_validate(one) for one in store.list("project")]
    plots = np.asarray(store.frame("plots").geometry.values, dtype=object)
    seconds, single, kinds, wrong, within = [], [], Counter[str](), 0, []
    for n in range(said.sites + 1):
        plot = plots[rng.integers(len(plots))]
        width = np.sqrt(plot.area)
        site = shapely.affinity.translate(plot, *rng.uniform(-width, width, 2))
        project = projects[rng.integers(len(projects))]
        begun = time.perf_counter()
        checked = check([site], project, book, world)
        between = time.perf_counter()
        found = mend(checked, 0, 0)
        if n == 0:
            continue  # the layers are read
        seconds.append(time.perf_counter() - between)
        single.append(between - begun)
        for one in found:
            kinds[one.kind] += 1
            there = world if one.account is None else Raised(world, {one.account: one.amount or 0.0})
            again = check([site if one.geometry is None else one.geometry], project, book, there)
            passes = {r.id for r, s in zip(again.rules, again.status[:, 0, 0], strict=True) if s in GOOD}
            wrong += not set(one.mends) <= passes
        within += _shares(checked, site, found)
    count = sum(kinds.values())
    fifty, ninety, most = np.percentile(np.array(seconds) * 1e3, [50, 95, 100])
    print(f"{said.sites} sites, {count} remedies: {dict(kinds)}")
    print(f"asked again: {count - wrong} of {count} pass")
    print(f"ms: median {fifty:.0f}, 95 % {ninety:.0f}, most {most:.0f}")
    print(f"against a single check of the same site: {np.median(np.array(seconds) / np.array(single)):.1f} times")
    if within:
        print(f"largest part against cells of 2 m: least {min(within):.3f}, median {np.median(within):.3f}")
    store.close()


def _shares(checked, site, found) -> list[float]:  # type: ignore[no-untyped-def]
    """The area of the part that keeps out of all that blocks, against what cells count."""
    from scipy import ndimage

    fails = [r for r, s in zip(checked.rules, checked.status[:, 0, 0], strict=True) if s == Status.FAIL]
    areas = {
        r.id: one for r in fails if r.severity == "block" and (one := barred(checked, r, 0, site.bounds)) is not None
    }
    parts = [one for one in found if one.kind == "part" and set(areas) <= set(one.mends)]
    if not areas or not parts:
        return []
    west, south, east, north = site.bounds
    x, y = np.meshgrid(np.arange(west + 1, east, 2.0), np.arange(south + 1, north, 2.0))
    free = shapely.contains_xy(site, x, y) & ~shapely.contains_xy(shapely.union_all(list(areas.values())), x, y)
    sizes = np.bincount(ndimage.label(free)[0].ravel())[1:]
    most = float(sizes.max(initial=0)) * 4.0
    return [max(one.geometry.area for one in parts) / most] if most > 100 else []


if __name__ == "__main__":
    main()
