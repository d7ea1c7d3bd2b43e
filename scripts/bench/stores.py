"""The two stores side by side in one run: an import, windows, parcels, documents. Ratios, no verdict.

    python -m scripts.bench.stores postgresql://user@host/database [--features 100000] [--asks 200]

The county in the database is made in a schema of its own, `parkplan_bench`, which is dropped before and after. The
snapshots of both are in one temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from layers import fabric, places
from layers.fabric import Act, Document, Piece
from layers.ingest import Prepared, from_frame
from layers.store import Store, create_store, open_store

EAST, NORTH, SIDE_M = 560_000.0, 3_100_000.0, 30.0
SCHEMA = "parkplan_bench"
PAPER = Document("1", date(2026, 1, 5))


def squares(features: int, role: str) -> Prepared:
    """Squares of 40 vertices in rows, with the attributes of a survey."""
    row, column = np.divmod(np.arange(features), int(np.ceil(np.sqrt(features))))
    west, south = EAST + column * SIDE_M, NORTH + row * SIDE_M
    shapes = shapely.segmentize(shapely.box(west, south, west + SIDE_M, south + SIDE_M), SIDE_M / 10)
    told = {"name": "地", "height": row * 0.5, "owner": [f"权利人{n}" for n in range(features)]}
    return from_frame(gpd.GeoDataFrame(told, geometry=shapes, crs=4545), role, source="bench")


def measured(county: str, plots: Prepared, parcels: Prepared, asks: int) -> Iterator[tuple[str, str, float]]:
    """(what, unit, figure) of one store."""
    store = create_store(county, "bench", "EPSG:4545")
    yield "import, a layer", "s", _once(lambda: store.put(plots, by="bench"))
    yield "import, parcels with their states", "s", _once(lambda: store.put(parcels, by="bench"))
    draw = np.random.default_rng(1)
    corner = draw.uniform(0, np.sqrt(plots.layer.loaded) * SIDE_M - 500, (asks, 2)).tolist()
    windows = [(EAST + x, NORTH + y, EAST + x + 500, NORTH + y + 500) for x, y in corner]
    store.close()

    store = open_store(county)
    yield "open, first 500 m window", "ms", 1e3 * _once(lambda: store.frame("plots", bounds=windows[0]))
    yield "500 m window, layer not read before", "ms", _each(windows, lambda one: store.frame("plots", bounds=one))
    store.frame("plots")
    yield "500 m window, layer in memory", "ms", _each(windows, lambda one: store.frame("plots", bounds=one))
    yield "500 m window of parcels by state", "ms", _each(windows, lambda one: store.fabric.at(bounds=one))
    yield "catalogue", "ms", _each(windows, lambda _: store.layers())
    body = {"findings": [{"rule": f"r{n}", "value": n / 7} for n in range(70)]}
    yield "a document kept", "ms", _each(windows, lambda one: store.save("check", str(one), body))
    yield "a document read", "ms", _each(windows, lambda one: store.load("check", str(one)))
    names = [f"parcels-{n + 1}" for n in range(asks)]
    yield "a parcel split", "ms", _each(names, lambda one: _split(store, one))
    store.close()


def _split(store: Store, parcel: str) -> None:
    (state,) = store.fabric.at(ids=[parcel])
    x, y = state.geometry.centroid.x, state.geometry.centroid.y
    line = shapely.LineString([(x, y - 100), (x, y + 100)])
    pieces = [Piece(f"{parcel}-{n}") for n in (1, 2)]
    fabric.split(store.fabric, Act("split", (parcel,), PAPER, "bench"), pieces, [line])


def _once(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _each(asked: Sequence[Any], act: Callable[[Any], object]) -> float:
    """The median of the milliseconds each took."""
    return 1e3 * median(_once(partial(act, one)) for one in asked)


@contextlib.contextmanager
def schema(url: str) -> Iterator[str]:
    """The URL of a county in a schema of its own, which is dropped before and after."""
    from psycopg import sql

    from layers.postgres import connect

    county = f"{url}{'&' if '?' in url else '?'}schema={SCHEMA}"

    def drop() -> None:
        with contextlib.closing(connect(places.url(county))) as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA)))

    drop()
    try:
        yield county
    finally:
        drop()


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    say.add_argument("url")
    say.add_argument("--features", type=int, default=100_000)
    say.add_argument("--asks", type=int, default=200)
    said = say.parse_args()
    plots, parcels = (squares(said.features, role) for role in ("plots", "parcels"))
    with tempfile.TemporaryDirectory() as folder, schema(said.url) as county:
        os.environ["PARKPLAN_CACHE"] = folder
        both = (str(Path(folder) / "county.gpkg"), county)
        print(f"{said.features:,} features of 41 vertices, {said.asks} asks")
        print(f"{'':<38}{'GeoPackage':>12}{'PostGIS':>12}{'ratio':>8}")
        files, databases = (list(measured(one, plots, parcels, said.asks)) for one in both)
        for (what, unit, here), (_, _, there) in zip(files, databases, strict=True):
            print(f"{what:<38}{here:>9.2f} {unit:<2}{there:>9.2f} {unit:<2}{there / here:>8.2f}")


if __name__ == "__main__":
    main()
