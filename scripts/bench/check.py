"""One drawn site, and every parcel, against all layers of a county: ours beside a plain geopandas script.

    python -m scripts.bench.check demo/county.gpkg [--sites 300] [--parcels 20000]

Prints latencies, rates, the ratio to the plain script in the same run, and the largest difference in area.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import shapely

from gis.check import check, rulebook
from gis.explain import findings
from layers.gpkg import GeoPackage
from layers.records import Industry, Project
from scripts.bench.plain import Plain

PLANT = Project(
    id="bench",
    name="bench",
    land_m2=10_000,
    industry=Industry(code="2613"),
    power_kva=2_000,
    water_m3d=200,
    effluent_m3d=50,
)


def drawn(count: int, around: shapely.Geometry, seed: int = 7) -> np.ndarray:
    """Fifty-vertex boundaries as somebody would draw them, 1 to 8 ha, where parcels are."""
    rng = np.random.default_rng(seed)
    points = shapely.get_coordinates(shapely.centroid(around))
    centres = points[rng.integers(len(points), size=count)]
    angle = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    reach = rng.uniform(60, 160, (count, 1)) * rng.uniform(0.8, 1.0, (count, 50))
    rings = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1) + centres[:, None]
    return np.asarray(shapely.polygons(rings))


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("county", type=Path)
    say.add_argument("--sites", type=int, default=300)
    say.add_argument("--parcels", type=int, default=20_000)
    said = say.parse_args()
    store = GeoPackage(said.county)
    world = store.at()
    book = rulebook().confirmed(store.list("confirmation"))
    parcels = store.frame("parcels").geometry.iloc[: said.parcels]
    sites = drawn(said.sites, parcels.to_numpy())
    warm = check(sites[:5], PLANT, book, world)
    plain = Plain(store, warm)
    plain.one(sites[0])

    ours, spelled, theirs = np.empty((3, len(sites)))
    for n, site in enumerate(sites):  # in turn, so that both see the same machine
        start = time.perf_counter()
        checked = check([site], PLANT, book, world)
        ours[n] = time.perf_counter() - start
        findings(checked, 0, 0)
        spelled[n] = time.perf_counter() - start
        start = time.perf_counter()
        plain.one(site)
        theirs[n] = time.perf_counter() - start
    layers = len(store.layers())
    print(f"{said.county.name}: {layers} layers, {len(warm.rules)} rules asked, {len(warm.facts.columns)} facts")
    for name, seconds in (("check", ours), ("check + findings", spelled), ("plain geopandas", theirs)):
        p50, p99 = np.percentile(seconds * 1e3, [50, 99])
        print(f"one drawn site, {name:<17} p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    print(f"ratio of medians, plain / check: {np.median(theirs) / np.median(ours):.1f}")
    print(f"ratio of medians, plain / check + findings: {np.median(theirs) / np.median(spelled):.1f}")

    start = time.perf_counter()
    table = check(parcels, PLANT, book, world)
    our_s = time.perf_counter() - start
    start = time.perf_counter()
    frame = plain.many(parcels.reset_index(drop=True))
    their_s = time.perf_counter() - start
    count = len(parcels)
    some = parcels.iloc[:: max(1, count // 4_000)]
    start = time.perf_counter()
    plain.by_overlay(some.reset_index(drop=True))
    own_rate = len(some) / (time.perf_counter() - start)
    print(f"{count:,} parcels measured and judged: {count / our_s:,.0f}/s")
    print(f"geopandas overlay and sjoin_nearest: {own_rate:,.0f}/s, ratio {count / our_s / own_rate:.1f}")
    print(f"arrays by hand over geopandas' indexes: {count / their_s:,.0f}/s, ratio {their_s / our_s:.1f}")
    worst = 0.0
    for name in ("basic_farmland_m2", "eco_redline_m2", "forest_land_m2", "cultivated_m2", "hazard_high_m2"):
        if name in frame:
            gap = np.abs(table.facts.columns[name].hi - frame[name].to_numpy()) / shapely.area(parcels.to_numpy())
            worst = max(worst, float(np.nanmax(gap)))
    print(f"largest difference in area, relative to the site: {worst:.1e}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
