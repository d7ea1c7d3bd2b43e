"""A land-use survey imported: ours step by step beside plain geopandas, in the same run.

    python -m scripts.bench.ingest [--polygons 200000] [--crs EPSG:4490] [--broken 200] [--runs 1]

The file is a GeoPackage of polygons with 30 vertices that tile a field, with the fields of a real survey; `broken` of
them cross themselves, are found, left out with a reason, and their repair is worked out. Each side runs in a process of
its own, so that memory is its own; ours runs without the coverage check and with it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import shapely
from pyproj import CRS

from layers import area, crs, gpkg, gpkg_tables, ingest, snapshot
from layers.quality.valid import made_valid
from layers.records import Geoms
from scripts.bench.survey import survey

WORKING = "EPSG:4545"
FIELDS = {"code_system": "=GB/T 21010-2017"}
DEADLINE_S = 10.0
STEPS: dict[str, list[tuple[Any, str]]] = {
    "read": [(ingest, "read")],
    "crs": [(crs, "lost"), (crs, "transform")],
    "conform": [(ingest, "conform")],
    "validate": [(ingest, "_reasons")],
    "area": [(area, "ellipsoid_m2")],
    "hash": [(ingest, "as_wkb"), (ingest, "digest_of")],
    "pieces": [(snapshot, "cut"), (snapshot, "_piece_wkb")],
    "coverage": [(snapshot, "overlapping")],
    "cache": [(snapshot, "_publish")],
    "store": [(gpkg_tables, "write_features"), (gpkg_tables, "adopt")],
}


class Clock:
    """Seconds by step. A step runs on as many cores as it can; from `pieces` on they run beside each other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start

    def around(self, module: Any, function: str, name: str) -> None:
        """From now on a function of a module is timed."""
        plain: Callable[..., Any] = getattr(module, function)

        def timed(*given: Any, **named: Any) -> Any:
            with self.step(name):
                return plain(*given, **named)

        setattr(module, function, timed)


def ours(path: Path, folder: Path, clock: Clock, *, coverage: bool) -> int:
    """A whole import with the repair of what is broken worked out; the number of features loaded."""
    broken: list[Geoms] = []

    def reasons(geometries: Geoms, *rest: Any, plain: Callable[..., Any] = ingest._reasons) -> Any:
        why = plain(geometries, *rest)
        broken.append(geometries[why != ""])
        return why

    setattr(ingest, "_reasons", reasons)  # noqa: B010 - mypy keeps functions of modules from being assigned
    if not coverage:
        setattr(snapshot, "overlapping", lambda *_: True)  # noqa: B010 - what they say who have not looked
    for name, functions in STEPS.items():
        for module, function in functions:
            clock.around(module, function, name)
    store = gpkg.create(folder / "county.gpkg", "bench", WORKING)
    with clock.step("total"):
        prepared = ingest.prepare(path, "land_use", CRS(WORKING), fields=FIELDS)
        with clock.step("repair"):
            made_valid(broken[0], DEADLINE_S)
        store.put(prepared, by="bench")
    return prepared.layer.loaded


def plain(path: Path, folder: Path, clock: Clock, *, coverage: bool) -> int:
    """What a careful script does with geopandas: fewer things, each in one call."""
    with clock.step("total"):
        with clock.step("read"):
            frame = gpd.read_file(path)
        with clock.step("crs"):
            frame = frame.to_crs(WORKING)
        with clock.step("validate"):
            bad = ~frame.is_valid
        with clock.step("repair"):
            frame.loc[bad, "geometry"] = frame.geometry[bad].make_valid()
        with clock.step("area"):
            frame["area_m2"] = frame.area
        with clock.step("index"):
            frame.sindex.query(shapely.Point())
        if coverage:
            with clock.step("coverage"):
                frame[~bad].is_valid_coverage()
        with clock.step("store"):
            frame.to_file(folder / "plain.gpkg")
    return len(frame)


SIDES: dict[str, Callable[[Path, Path, Clock], int]] = {
    "ours": partial(ours, coverage=False),
    "ours + coverage": partial(ours, coverage=True),
    "geopandas": partial(plain, coverage=False),
    "geopandas + coverage": partial(plain, coverage=True),
}


def measured(side: str, path: Path) -> dict[str, Any]:
    """One side in a process of its own: seconds by step, CPU seconds and peak memory with its children's."""
    text = subprocess.run(
        [sys.executable, "-m", "scripts.bench.ingest", "--side", side, "--file", path],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def one_side(side: str, path: Path) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=path.parent) as folder:
        loaded = SIDES[side](path, Path(folder), clock)
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu_s = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    peak_gib = (own.ru_maxrss + children.ru_maxrss) / 2**20
    print(json.dumps({"loaded": loaded, "cpu_s": cpu_s, "peak_gib": peak_gib, **clock.seconds}))


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    say.add_argument("--polygons", type=int, default=200_000)
    say.add_argument("--broken", type=int, default=200)
    say.add_argument("--crs", default="EPSG:4490", help="of the file, EPSG:4490 or EPSG:4524")
    say.add_argument("--runs", type=int, default=1, help="each side this many times, the fastest counts")
    say.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    say.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    said = say.parse_args()
    if said.side:
        one_side(said.side, said.file)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "DLTB.gpkg"
        frame = survey(said.polygons, broken=said.broken).to_crs(said.crs)
        vertices = shapely.get_num_coordinates(frame.geometry.to_numpy()) - 1
        pyogrio.write_dataframe(frame, path, layer="DLTB", geometry_type="MultiPolygon", promote_to_multi=True)
        print(
            f"{len(frame):,} polygons of {vertices.mean():.0f} vertices, {said.broken} broken, {said.crs} > {WORKING}, "
            f"{path.stat().st_size / 2**20:.0f} MiB, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        found = {side: min((measured(side, path) for _ in range(said.runs)), key=_total) for side in SIDES}
    steps = [*STEPS, "index", "repair", "total", "cpu_s", "peak_gib"]
    print(f"{'':10}" + "".join(f"{side:>22}" for side in SIDES))
    for step in steps:
        print(f"{step:10}" + "".join(f"{one[step]:22.2f}" if step in one else f"{'-':>22}" for one in found.values()))
    for with_what in ("", " + coverage"):
        peer, own = found[f"geopandas{with_what}"]["total"], found[f"ours{with_what}"]["total"]
        print(f"ratio of totals, geopandas{with_what} / ours{with_what}: {peer / own:.2f}")
    print(f"loaded {found['ours']['loaded']:,} + left out with a reason {said.broken:,}")


def _total(one: dict[str, Any]) -> float:
    return float(one["total"])


if __name__ == "__main__":
    main()
