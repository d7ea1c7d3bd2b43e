"""Platforms of many sites and the largest rectangle in each: ours beside a plain loop over the sites.

    python -m scripts.bench.terrain [--sites 5000] [--sample 200]

The plain loop takes the cells of each site with rasterio and bisects the level; brute force turns each site by whole
degrees on a 1 m lattice. Both are timed on a sample and multiplied, which the lines say.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import shapely
from rasterio.features import geometry_mask
from rasterio.transform import from_origin

from gis.earthwork import earthwork
from gis.footprint import largest
from layers.records import Floats, Geoms, Layer, Raster

CELL_M, SIDE = 12.5, 2_400


def county(seed: int = 1) -> Raster:
    """30 km of rolling slopes."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(SIDE) * CELL_M, np.arange(SIDE) * CELL_M)
    z = 800 + 0.01 * x
    for _ in range(12):
        along, across, phase = rng.uniform(-0.004, 0.004), rng.uniform(-0.004, 0.004), rng.uniform(0, 6)
        z += 40 * np.sin(along * x + across * y + phase)
    box = shapely.box(0, 0, SIDE * CELL_M, SIDE * CELL_M)
    return Raster(Layer("dem", 1, "", "", box, 1), z.astype(np.float32), 0.0, SIDE * CELL_M, CELL_M)


def sites_on(dem: Raster, count: int, seed: int = 2) -> Geoms:
    """Jagged sites of 0.5 to 10 ha."""
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 17)[:-1] + rng.uniform(0, 0.3, (count, 16))
    far = rng.uniform(50, 220, (count, 1)) * rng.uniform(0.6, 1, (count, 16))
    middle = rng.uniform(500, SIDE * CELL_M - 500, (count, 1, 2))
    made: Geoms = shapely.polygons(np.stack([far * np.cos(turn), far * np.sin(turn)], axis=2) + middle)
    return made


def plain_cut_m3(site: shapely.Geometry, dem: Raster) -> float:
    """The cut of one site's balanced level from whole cells."""
    inside = geometry_mask([site], dem.values.shape, from_origin(dem.west, dem.north, CELL_M, CELL_M), invert=True)
    z: Floats = dem.values[inside].astype(float)
    low, high = z.min(), z.max()
    for _ in range(50):
        level = (low + high) / 2
        if 1.05 * np.maximum(z - level, 0).sum() > np.maximum(level - z, 0).sum():
            low = level
        else:
            high = level
    return float(np.maximum(z - low, 0).sum() * CELL_M**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=5_000)
    parser.add_argument("--sample", type=int, default=200)
    asked = parser.parse_args()
    dem = county()
    sites = sites_on(dem, asked.sites)
    start = time.perf_counter()
    made = earthwork(sites, dem)
    ours = time.perf_counter() - start
    sample = sites[: asked.sample]
    start = time.perf_counter()
    plain = np.array([plain_cut_m3(site, dem) for site in sample])
    theirs = (time.perf_counter() - start) * len(sites) / len(sample)
    off = np.median(np.abs(made.flat.cut_m3[: len(sample)] / plain - 1))
    print(f"platforms of {len(sites):,} sites: {ours:.2f} s (level, tilt, terraces, border)")
    print(f"plain loop, level only, {len(sample)} sites multiplied: {theirs:.1f} s; ratio {theirs / ours:.1f}")
    print(f"cut beside the plain loop: median difference {off:.2%}")
    start = time.perf_counter()
    found = [largest(site) for site in sample]
    each = (time.perf_counter() - start) / len(sample)
    share = np.mean([one.area_m2 for one in found if one is not None] / shapely.area(sample))
    print(f"largest rectangle: {each * 1000:.1f} ms a site, {share:.0%} of the site on average")


if __name__ == "__main__":
    main()
