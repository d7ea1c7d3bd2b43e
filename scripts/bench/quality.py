"""The geometry check and the repair of a large coverage with planted faults: ours beside plain geopandas.

    python -m scripts.bench.quality [--features 100000] [--sample 4000]

Prints seconds, what was planted and found, and the ratio to geopandas' own tools in the same run. Those take so long
that they are timed on a sample and multiplied, which the line says.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers.quality import examine, repair, tolerances
from layers.records import Floats, Geoms, Ints

T = TypeVar("T")
PLANTED = 60  # of each kind
CRS = 4545


def coverage(count: int, seed: int = 1, cell_m: float = 100.0) -> Geoms:
    """Land-use-like cells of about 30 vertices that share every vertex with their neighbours."""
    rng = np.random.default_rng(seed)
    across = round(np.sqrt(count))
    column, row = (grid.ravel() for grid in np.meshgrid(np.arange(across + 1), np.arange(across + 1)))
    corner = np.stack([column, row], axis=1) * cell_m + rng.uniform(-0.25, 0.25, (len(column), 2)) * cell_m
    corner += [560_000, 3_110_000]
    number = np.arange((across + 1) ** 2).reshape(across + 1, across + 1)
    ring = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], axis=-1).reshape(-1, 4)
    a, b = ring.ravel(), np.roll(ring, -1, axis=1).ravel()
    drawn = np.round(_wiggly(corner, np.minimum(a, b), np.maximum(a, b), steps=7), 4)
    drawn = np.where((a > b)[:, None, None], drawn[:, ::-1], drawn)
    xy = np.concatenate([np.round(corner[a], 4)[:, None], drawn], axis=1).reshape(-1, 2)
    made: Geoms = shapely.polygons(shapely.linearrings(xy, indices=np.repeat(np.arange(len(ring)), 4 * 8)))
    return made


def _wiggly(corner: Floats, low: Ints, high: Ints, steps: int) -> Floats:
    """(E, steps, 2) points between the ends of each side, the same whichever cell asks."""
    at, along = corner[low][:, None], (corner[high] - corner[low])[:, None]
    share = (np.arange(1, steps + 1) / (steps + 1))[None, :, None]
    off = 0.02 * np.sin(low[:, None] * 1.7 + high[:, None] * 0.3 + np.arange(steps) * 2.3)[..., None]
    return np.asarray(at + along * share + np.stack([-along[..., 1], along[..., 0]], axis=-1) * off)


def plant(cells: Geoms, rng: np.random.Generator) -> tuple[Geoms, dict[str, Ints]]:
    """Faults of every kind in cells far from each other, and the rows in which each check must find one."""
    across = round(np.sqrt(len(cells)))
    column, row = (grid.ravel() for grid in np.meshgrid(np.arange(2, across - 2, 4), np.arange(2, across - 2, 4)))
    free = rng.permutation(row * across + column)
    kinds: list[tuple[str, Callable[[Geoms], Geoms]]] = [
        ("invalid", lambda those: _each(those, _crossed)),
        ("spike", lambda those: _each(those, _needled)),
        (
            "near_point",
            lambda those: _each(those, lambda xy: np.insert(xy, 1, xy[0] + (xy[1] - xy[0]) * 0.002, axis=0)),
        ),
        ("gap", lambda those: shapely.difference(those, _patch(those, 8.0, 0.6))),
        ("sliver", lambda those: shapely.difference(those, _patch(those, 8.0, 0.08))),
    ]
    made, expected = cells.copy(), {}
    rows = free[: (len(kinds) + 2) * PLANTED].reshape(-1, PLANTED)
    for (check, change), those in zip(kinds, rows, strict=False):
        made[those] = change(made[those])
        expected[check] = those
    expected["sliver"] = np.concatenate([expected["sliver"], expected["spike"]])  # a needle cut in leaves a thin gap
    extra = [_patch(made[rows[-1]], 9.0, 7.0), made[rows[-2]], _outside(PLANTED)]
    for n, check in enumerate(("overlap", "duplicate", "tiny")):
        expected[check] = len(made) + n * PLANTED + np.arange(PLANTED)
    return np.concatenate([made, *extra]), expected


def _each(those: Geoms, change: Callable[[Floats], Floats]) -> Geoms:
    return np.array([shapely.Polygon(change(shapely.get_coordinates(one)[:-1])) for one in those], dtype=object)


def _crossed(xy: Floats) -> Floats:
    """A hole on a leash: the border leaves it and comes back over the same point."""
    middle = xy.mean(axis=0)
    return np.insert(xy, 1, [*(middle + np.array([[0, 0], [0, 3], [3, 0], [0, 0]])), xy[0]], axis=0)


def _needled(xy: Floats) -> Floats:
    """A needle of 3 m cut into the cell."""
    inward = xy.mean(axis=0) - xy[0]
    tip = xy[0] + inward / np.hypot(*inward) * 3
    along = (xy[1] - xy[0]) / np.hypot(*(xy[1] - xy[0]))
    return np.insert(xy, 1, [tip, xy[0] + along * 0.051], axis=0)


def _patch(those: Geoms, long_m: float, wide_m: float) -> Geoms:
    x, y = shapely.get_coordinates(shapely.centroid(those)).T
    made: Geoms = shapely.box(x, y, x + long_m, y + wide_m)
    return made


def _outside(count: int) -> Geoms:
    x = 550_000 + np.arange(count) * 10.0
    made: Geoms = shapely.box(x, 3_109_000, x + 0.9, 3_109_000.9)
    return made


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    answer = work()
    return answer, time.perf_counter() - start


def plain(frame: gpd.GeoDataFrame) -> pd.DataFrame:
    """The same questions by geopandas as one writes them: overlay with itself, and a loop over features."""
    valid = frame[frame.is_valid]
    met = gpd.overlay(valid, valid, how="intersection", keep_geom_type=True)
    overlaps = met[(met["n_1"] < met["n_2"]) & (met.area > 0.001)]
    holes = shapely.get_rings(shapely.get_parts(valid.union_all()))
    found = []
    for row in frame.itertuples():
        for part in getattr(row.geometry, "geoms", [row.geometry]):
            ring = np.asarray(part.exterior.coords)
            step = np.hypot(*np.diff(ring, axis=0).T)
            for n in range(1, len(ring) - 1):
                back, on = ring[n - 1] - ring[n], ring[n + 1] - ring[n]
                angle = abs(np.degrees(np.arctan2(back[0] * on[1] - back[1] * on[0], back @ on)))
                if angle < 1 and min(step[n - 1], step[n]) > 0.2:
                    found.append((row.n, "spike"))
                if step[n] < 0.05:
                    found.append((row.n, "near_point"))
    near = gpd.sjoin(valid, valid, predicate="dwithin", distance=0.05)
    return pd.DataFrame({"overlaps": [len(overlaps)], "holes": [len(holes)], "own": [len(found)], "near": [len(near)]})


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("--features", type=int, default=100_000)
    say.add_argument("--sample", type=int, default=4_000)
    said = say.parse_args()
    cells, expected = plant(coverage(said.features), np.random.default_rng(3))
    ids = np.arange(len(cells))
    vertices = shapely.get_num_coordinates(cells).mean()
    figures = tolerances("land_use", {"gap.width_m": 1, "tiny.construction_m2": 1})
    print(f"{len(cells):,} polygons, mean {vertices:.0f} vertices, {len(expected)} kinds of fault, {PLANTED} of each")
    found, check_s = timed(lambda: examine(cells, ids, crs=CRS, role="land_use", tolerances_=figures))
    wrong = {}
    for kind, rows in expected.items():
        places = found.places[found.places["check"] == kind]
        named = set(places["feature"]) | set(places["other"])
        if len(places) != len(rows) or not set(map(str, rows)) <= named:
            wrong[kind] = len(places)
    other = {kind: count for kind, count in found.counts.items() if count and kind not in expected}
    verdict = f"NOT AS PLANTED: {wrong}" if wrong else "all found, each once, where they are"
    print(f"check {check_s:.1f} s; planted faults {verdict}; others {other or 'none'}")
    mended, repair_s = timed(lambda: repair(cells, ids, figures, close_slivers=True, drop_duplicates=True))
    after, again_s = timed(lambda: examine(mended.geometries, ids[mended.rows], role="land_use", tolerances_=figures))
    print(f"repair {repair_s:.1f} s, {mended.steps()}")
    print(f"after it { ({kind: count for kind, count in after.counts.items() if count}) } ({again_s:.1f} s)")
    across = round(np.sqrt(said.features))
    side = round(np.sqrt(said.sample))
    block = (np.arange(side)[:, None] * across + np.arange(side)).ravel()
    sample = gpd.GeoDataFrame({"n": block}, geometry=cells[block], crs=CRS)
    _, their_s = timed(lambda: plain(sample))
    whole_s = their_s * len(cells) / len(sample)
    print(f"plain geopandas on {len(sample):,}: {their_s:.1f} s; multiplied to {len(cells):,}: {whole_s:,.0f} s")
    print(f"ratio plain (multiplied) / check: {whole_s / check_s:.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
