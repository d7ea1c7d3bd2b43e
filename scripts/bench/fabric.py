"""A hundred thousand parcels with a million events, asked for any day: ours beside a plain scan of the same rows.

    python -m scripts.bench.fabric [--parcels 100000] [--events 1000000] [--asks 300]

The parcels are squares of 50 m (a plain square is the cheapest to write, not to find); the events are splits,
merges, adjustments and restorings spread over ten years. They go through the inserts that `record` uses, in
transactions of many events, without the checks of the geometry: what is measured is asking, not recording.
The plain way is what one writes with pandas: all states in memory, a mask over their days, a mask over their boxes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers.gpkg import GeoPackage, create
from layers.ingest import from_frame
from layers.records import Bounds

EAST, NORTH, SIDE_M, WINDOW_M = 480_000.0, 3_080_000.0, 50.0, 500.0
FIRST = date(2016, 1, 1)
DAYS = 3_650
CHUNK = 50_000


def founded(folder: Path, parcels: int) -> GeoPackage:
    """A county of square parcels in blocks, as wide as it is high."""
    store = create(folder / "county.gpkg", "bench", "EPSG:4545")
    wide = int(np.ceil(np.sqrt(parcels)))
    row, column = np.divmod(np.arange(parcels), wide)
    west, south = EAST + column * SIDE_M, NORTH + row * SIDE_M
    ids = [f"520625001001GB{n:05d}" if n < 100_000 else f"P{n}" for n in range(parcels)]
    frame = gpd.GeoDataFrame(
        {"id": ids, "name": "地", "ready": True},
        geometry=shapely.box(west, south, west + SIDE_M, south + SIDE_M),
        crs=4545,
    )
    store.put(from_frame(frame, "parcels", source="bench"), by="bench")
    return store


def filled(store: GeoPackage, events: int, seed: int = 7) -> tuple[int, int]:
    """Events by the million: a parcel is split in two, the two are merged, and so on; returns states and seconds."""
    start = time.perf_counter()
    fabric, draw = store.fabric, np.random.default_rng(seed)
    live = [(one.state, one.parcel, one.geometry.bounds) for one in fabric.at()]
    told = '{"name": "地", "ready": true}'
    days = [(FIRST + timedelta(days=int(n))).isoformat() for n in np.linspace(0, DAYS - 1, events)]
    chosen = draw.integers(len(live), size=events)
    cuts = draw.uniform(0.2, 0.8, size=events)
    pieces: dict[int, tuple[tuple[int, str, Bounds], ...]] = {n: (one,) for n, one in enumerate(live)}
    stamp = store.fabric.clock().date().isoformat()
    number = 0
    for begin in range(0, events, CHUNK):
        with store._db:
            opened: list[tuple[str, Bounds, str, str, int, None]] = []
            closed, links = [], []
            first = int(fabric._one("SELECT max(state) FROM parkplan_parcel_states")) + 1
            for n in range(begin, min(begin + CHUNK, events)):
                place = int(chosen[n])
                now = pieces[place]
                west, south, east, north = live[place][2]
                kind = "merge" if len(now) == 2 else "split"
                recorded = f"{stamp}T99+{n:09d}"
                seq = fabric._insert_event(kind, days[n], recorded, "bench", "1", days[n], "", None, None, 0.0)
                middle = west + SIDE_M * float(cuts[n])
                boxes = (
                    ((west, south, east, north),)
                    if kind == "merge"
                    else ((west, south, middle, north), (middle, south, east, north))
                )
                fresh = []
                for box in boxes:
                    number += 1
                    name = f"N{number}"
                    fresh.append((first + len(opened), name, box))
                    opened.append((name, box, told, days[n], seq, None))
                closed += [(state, days[n], seq) for state, _, _ in now]
                links += [(child[0], parent[0], 1.0) for child in fresh for parent in now]
                pieces[place] = tuple(fresh)
            west, south, east, north = np.array([row[1] for row in opened]).T
            blobs = shapely.to_wkb(shapely.box(west, south, east, north))
            fabric._open([(row[0], blob, *row[2:]) for row, blob in zip(opened, blobs, strict=True)])
            fabric._close(closed)
            fabric._link(links)
    return number, round(time.perf_counter() - start)


class Plain:
    """All states in memory, looked through row by row of a column."""

    def __init__(self, store: GeoPackage) -> None:
        rows = list(
            store._db.execute(
                "SELECT s.parcel, s.geometry, s.valid_from, ifnull(e.valid_to, '9999') FROM parkplan_parcel_states s"
                " LEFT JOIN parkplan_parcel_ends e USING (state)"
            )
        )
        self.table = pd.DataFrame(rows, columns=["parcel", "wkb", "since", "until"])
        self.ground = shapely.from_wkb(self.table.pop("wkb").to_numpy())
        self.bounds = shapely.bounds(self.ground)

    def one(self, parcel: str, day: str) -> int:
        table = self.table
        return int(((table["parcel"] == parcel) & (table["since"] <= day) & (table["until"] > day)).sum())

    def window(self, bounds: Bounds, day: str) -> int:
        table, (west, south, east, north) = self.table, self.bounds.T
        within = (east >= bounds[0]) & (west <= bounds[2]) & (north >= bounds[1]) & (south <= bounds[3])
        rows = np.flatnonzero(((table["since"] <= day) & (table["until"] > day)).to_numpy() & within)
        return int(shapely.intersects(self.ground[rows], shapely.box(*bounds)).sum())


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("--parcels", type=int, default=100_000)
    say.add_argument("--events", type=int, default=1_000_000)
    say.add_argument("--asks", type=int, default=300)
    said = say.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        store = founded(Path(folder), said.parcels)
        survey_s = time.perf_counter() - start
        states, took_s = filled(store, said.events)
        size = store.path.stat().st_size + store.path.with_suffix(".gpkg-wal").stat().st_size
        print(f"{said.parcels:,} parcels (put in {survey_s:.0f} s), {said.events:,} events, {states:,} states opened")
        print(f"filled in {took_s} s, county file with its log {size / 2**30:.2f} GiB")
        ask(store, said.asks)
        store.close()


def ask(store: GeoPackage, asks: int, seed: int = 11) -> None:
    """One parcel and one window as of random days, ours and the plain way in turn."""
    draw = np.random.default_rng(seed)
    plain = Plain(store)
    bounds = np.array(shapely.total_bounds(plain.ground))
    names = plain.table["parcel"].to_numpy()[draw.integers(len(plain.table), size=asks)]
    corners = draw.uniform(bounds[:2], np.maximum(bounds[:2], bounds[2:] - WINDOW_M), (asks, 2))
    days = [FIRST + timedelta(days=int(n)) for n in draw.integers(DAYS, size=asks)]
    took = np.empty((4, asks))
    found = 0
    for n, (name, corner, day) in enumerate(zip(names, corners, days, strict=True)):
        window = (*map(float, corner), *(float(edge) for edge in corner + WINDOW_M))
        asked: list[tuple[Callable[..., int], tuple[object, ...]]] = [
            (lambda *given: len(store.fabric.at(given[0], ids=[given[1]])), (day, name)),
            (lambda *given: len(store.fabric.at(given[0], bounds=given[1])), (day, window)),
            (plain.one, (name, day.isoformat())),
            (plain.window, (window, day.isoformat())),
        ]
        counts = []
        for row, (act, given) in enumerate(asked):
            begin = time.perf_counter()
            counts.append(act(*given))
            took[row, n] = time.perf_counter() - begin
        if counts[:2] != counts[2:]:
            raise SystemExit(f"the two ways differ: {counts} for {name} and {window} on {day}")
        found += counts[1]
    print(f"{asks} random days; a window of {WINDOW_M:.0f} m holds {found / asks:.0f} parcels; both ways agree")
    for title, ours, theirs in (("one parcel", 0, 2), ("a window", 1, 3)):
        p50, p95 = np.percentile(took[ours] * 1e3, [50, 95])
        slow = np.percentile(took[theirs] * 1e3, 50)
        print(
            f"{title:<10} as of a day: p50 {p50:6.2f} ms  p95 {p95:6.2f} ms;"
            f" plain scan p50 {slow:7.1f} ms, ratio {slow / p50:,.0f}"
        )


if __name__ == "__main__":
    main()
