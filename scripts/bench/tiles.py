"""Map tiles of a county beside raw PostGIS, and over HTTP.

    python -m scripts.bench.tiles demo/county.gpkg [--tiles 200] [--seconds 5] [--clients 4] [--workers 2]
                                  [--without postgis http]

Works on a copy of the county's cache, so that nothing is written beside it. Draws the whole store (zoom 8 to 12) anew;
encodes cold tiles of the land use at zoom 13 to 16, and the same tiles by ST_AsMVT in a PostGIS started for it, in
turns, from the same features with the same attributes; decodes every one of ours with mapbox-vector-tile and compares
areas; serves stored tiles and pictures to clients on the same machine; and counts the bytes of the first view of
100,000 parcels, made of the county's own.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from api.pictures import TITLES, Pictures
from api.tiles import MERCATOR, Tiles, View, everything, said
from gis.check import rulebook
from gis.drawing import FINE, Drawing
from gis.vector_tiles import EXTENT, MARGIN, Attributes
from gis.web_tiles import Tile, covering
from layers.crs import LONLAT, between, parse_cached, transform
from layers.store import Store, open_store

ROLE = "land_use"
PARCELS = 100_000
START_S, WARM_S = 300, 20  # workers map every layer when they start, which is not what is measured
VIEW_PX = (1920, 1080)


def main() -> None:
    """Run it all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("county", type=Path)
    parser.add_argument("--tiles", type=int, default=200, help="cold tiles of each zoom")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--without", nargs="*", default=[], choices=["postgis", "http"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        county = Path(folder) / "county.gpkg"
        shutil.copy(asked.county, county)
        shutil.copytree(asked.county.with_suffix(".cache"), county.with_suffix(".cache"))
        shutil.rmtree(county.with_suffix(".cache") / "tiles", ignore_errors=True)
        store = open_store(county)
        tiles = Tiles(store)
        stored(tiles)
        drawing = tiles.drawing(tiles.view(ROLE, everything), everything)
        if "postgis" not in asked.without:
            beside_postgis(store, drawing, asked.tiles)
        first_view(store)
        pictures(store)
        stored_numbers = some_stored(tiles)
        store.close()
        if "http" not in asked.without:
            over_http(county, stored_numbers, asked)


def say(what: str, figure: str) -> None:
    """One line of the table."""
    sys.stdout.write(f"{what:<66} {figure}\n")
    sys.stdout.flush()


def stored(tiles: Tiles) -> None:
    """The whole store drawn anew."""
    start = time.perf_counter()
    built = {role: tiles.build(role) for role in tiles.roles()}
    seconds = time.perf_counter() - start
    say("whole vector store, zoom 8 to 12", f"{seconds:.1f} s, {sum(one.tiles for one in built.values()):,} tiles")
    say("largest tile, as stored and sent", f"{max(one.most for one in built.values()) / 1e3:.0f} kB")
    total = sum(one.plain for one in built.values()), sum(one.stored for one in built.values())
    say("all of them, plain and as stored", f"{total[0] / 1e6:.1f} MB, {total[1] / 1e6:.1f} MB")


def sampled(drawing: Drawing, z: int, count: int) -> list[Tile]:
    """Tiles of a zoom that hold something, the same in every run."""
    assert drawing.bounds is not None
    every = covering(drawing.bounds, z)
    order = np.random.default_rng(z).permutation(len(every))
    found: list[Tile] = []
    for x, y in every[order].tolist():
        tile = Tile(z, x, y)
        if drawing.tile(tile):
            found.append(tile)
        if len(found) == count:
            break
    return found


def beside_postgis(store: Store, drawing: Drawing, count: int) -> None:
    """Cold tiles, ours and PostGIS's in turns; what is the same, and how long each takes."""
    from tests import postgres

    if why := postgres.missing():
        say("beside PostGIS", f"not run: {why}")
        return
    import psycopg

    table, ground = store.whole(store.standing(ROLE))
    frame = said(table, store.standing(ROLE))
    shapes = transform(ground, store.crs, parse_cached(MERCATOR))
    columns = [str(name) for name in frame]
    kinds = ", ".join(f"{name} {'boolean' if name == 'synthetic' else 'text'}" for name in columns)
    with postgres.server(("fsync=off", "shared_buffers=512MB", "jit=off")) as url, psycopg.connect(url) as link:
        link.execute("CREATE EXTENSION postgis")
        link.execute(f"CREATE TABLE patches ({kinds}, geom geometry(Geometry, 3857))")
        names = ", ".join(columns)
        with link.cursor().copy(f"COPY patches ({names}, geom) FROM STDIN") as copy:
            wkb = shapely.to_wkb(shapely.set_srid(shapes, 3857), hex=True, include_srid=True)
            for values, geometry in zip(frame.itertuples(index=False), wkb, strict=True):
                copy.write_row((*(None if pd.isna(one) else one for one in values), geometry))
        link.execute("CREATE INDEX ON patches USING gist (geom)")
        link.execute("ANALYZE patches")
        link.commit()
        asked = (
            f"SELECT ST_AsMVT(q, '{ROLE}', {EXTENT}, 'geom') FROM (SELECT {names},"  # noqa: S608  names of our own
            f" ST_AsMVTGeom(geom, ST_TileEnvelope(%s, %s, %s), {EXTENT}, {round(MARGIN * EXTENT)}, true) AS geom"
            f" FROM patches WHERE geom && ST_TileEnvelope(%s, %s, %s, margin => {MARGIN})) q WHERE geom IS NOT NULL"
        )
        for z in range(FINE, 17):
            tiles = sampled(drawing, z, count)
            ours, theirs, sizes = [], [], []
            for tile in tiles:
                start = time.perf_counter()
                mine = drawing.tile(tile)
                middle = time.perf_counter()
                (row,) = link.execute(asked, (*tile, *tile), prepare=True).fetchall()
                end = time.perf_counter()
                ours.append(middle - start)
                theirs.append(end - middle)
                sizes.append((len(mine), len(row[0]), *same(mine, bytes(row[0]))))
            both = np.median(ours) * 1e3, np.median(theirs) * 1e3
            size = np.array(sizes, dtype=float)
            say(
                f"cold zoom {z}, {len(tiles)} tiles: ours, ST_AsMVT, median ms",
                f"{both[0]:.2f}, {both[1]:.2f}: {both[1] / both[0]:.1f} times as fast",
            )
            say("  95th percentile ms", f"{np.percentile(ours, 95) * 1e3:.2f}, {np.percentile(theirs, 95) * 1e3:.2f}")
            say("  bytes of one to those of the other, features ours / theirs", _shares(size))


def _shares(size: Any) -> str:
    bytes_, features = size[:, 0].sum() / size[:, 1].sum(), size[:, 2].sum() / size[:, 3].sum()
    return f"{bytes_:.2f}, {features:.4f}; areas differ by {np.abs(size[:, 4] / size[:, 5] - 1).max():.1e} at most"


def same(mine: bytes, theirs: bytes) -> tuple[int, int, float, float]:
    """Features and areas (units) of both, decoded by a third."""
    import mapbox_vector_tile

    found = []
    for body in (mine, theirs):
        features = mapbox_vector_tile.decode(body)[ROLE]["features"]
        found.append((len(features), sum(shapely.geometry.shape(one["geometry"]).area for one in features)))
    return found[0][0], found[1][0], found[0][1], found[1][1]


def first_view(store: Store) -> None:
    """What the first look at 100,000 parcels transfers: the tiles of a screen that shows all of them."""
    table, ground = store.whole(store.standing("parcels"))
    shapes = transform(ground, store.crs, parse_cached(MERCATOR))
    west, south, east, north = shapely.total_bounds(shapes)
    rng = np.random.default_rng(1)
    copies = -(-PARCELS // len(shapes))
    away = [(0.0, 0.0), *zip(rng.uniform(-4e3, 4e3, copies - 1), rng.uniform(-4e3, 4e3, copies - 1), strict=True)]
    many = np.concatenate([shapely.transform(shapes, lambda xy, by=by: xy + by) for by in away])[:PARCELS]
    frame = said(pd.concat([table] * copies, ignore_index=True).iloc[:PARCELS], store.standing("parcels"))
    frame["id"] = [f"{name}-{n}" for n, name in enumerate(frame["id"])]
    start = time.perf_counter()
    drawing = Drawing("parcels", many, Attributes.of(frame))
    prepared = time.perf_counter() - start
    across = max((east - west) / VIEW_PX[0], (north - south) / VIEW_PX[1])  # metres of the map to a pixel
    z = int(np.floor(np.log2(2 * 20_037_508.34 / 512 / across)))
    start = time.perf_counter()
    made = [drawing.tile(Tile(z, *at)) for at in covering((west, south, east, north), z).tolist()]
    drawn = time.perf_counter() - start
    sent = sum(len(gzip.compress(one, 6)) for one in made)
    say(
        f"first view of {PARCELS:,} parcels at zoom {z}, {len(made)} tiles",
        f"{sum(map(len, made)) / 1e6:.2f} MB plain, {sent / 1e6:.2f} MB sent",
    )
    say("  not stored: attributes and index, then drawn", f"{prepared:.1f} s, {drawn:.2f} s")


def pictures(store: Store) -> None:
    """The pictures drawn anew, then tiles of them sliced in this process."""
    book = rulebook().confirmed(store.list("confirmation"))
    drawn = Pictures(store, lambda: book)
    for name in TITLES:
        start = time.perf_counter()
        picture = drawn.picture(name, drawn.key(name))
        seconds = time.perf_counter() - start
        west, south, east, north = between(store.crs, parse_cached(MERCATOR)).transform_bounds(*(store.bounds() or ()))
        every = [Tile(z, *at) for z in range(8, 17) for at in covering((west, south, east, north), z).tolist()]
        some = [every[n] for n in np.random.default_rng(2).permutation(len(every))[:1000]]
        ms = []
        for tile in some:
            start = time.perf_counter()
            picture.tile(tile)
            ms.append((time.perf_counter() - start) * 1e3)
        say(
            f"{name} drawn; {len(some)} tiles of it sliced",
            f"{seconds:.1f} s; p50 {np.median(ms):.2f} ms, p99 {np.percentile(ms, 99):.2f} ms",
        )


def some_stored(tiles: Tiles) -> list[str]:
    """Paths of stored tiles of the land use that hold something."""
    view: View = tiles.view(ROLE, everything)
    assert tiles.shelf is not None
    drawn = tiles.shelf.find(ROLE, view.key)
    assert drawn is not None
    low = (1 << 28) - 1
    return [f"/tiles/{ROLE}/{one >> 56}/{one >> 28 & low}/{one & low}.mvt" for one in drawn.numbers]


# --- over HTTP ----------------------------------------------------------------------------------------


def over_http(county: Path, paths: list[str], asked: argparse.Namespace) -> None:
    """Stored tiles and pictures as clients on the same machine see them."""
    with served(county, asked.workers) as port:
        lane = "/tiles/substations/12/3282/1713.mvt"
        fetch(port, [*paths, lane, "/tiles/slope.json"])
        threading.Event().wait(WARM_S)
        ask(port, paths, asked, "stored tiles of the land use")
        ask(port, ["/healthz"], asked, "  the same server's /healthz, for comparison")
        for picture in ("hillshade", "slope", "suitability"):
            box = json.loads(body(port, f"/tiles/{picture}.json"))["bounds"]
            west, south, east, north = between(parse_cached(LONLAT), parse_cached(MERCATOR)).transform_bounds(*box)
            every = [(z, *at) for z in range(8, 17) for at in covering((west, south, east, north), z).tolist()]
            order = np.random.default_rng(2).permutation(len(every))[:400]
            some = [f"/tiles/{picture}/{every[n][0]}/{every[n][1]}/{every[n][2]}.png" for n in order]
            fetch(port, some[:1])
            ask(port, some, argparse.Namespace(seconds=asked.seconds, clients=1), f"{picture}, one client")


def fetch(port: int, paths: list[str]) -> None:
    """Ask for each path once, so that a worker has it at hand."""
    for path in paths:
        body(port, path)


def body(port: int, path: str) -> bytes:
    """What a path answers."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    wire.request("GET", path)
    answer = wire.getresponse()
    content = answer.read()
    assert answer.status in (200, 204), (path, answer.status, content[:200])
    wire.close()
    return content


CLIENT = """
import json, socket, sys, time
port, seconds, paths = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(",")
wire = socket.create_connection(("127.0.0.1", port))
wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
ms, rest, n, until = [], b"", 0, time.time() + seconds
while time.time() < until:
    start = time.perf_counter()
    asked = (f"GET {paths[n % len(paths)]} HTTP/1.1", "Host: 127.0.0.1", "Accept-Encoding: gzip", "", "")
    wire.sendall("\\r\\n".join(asked).encode())
    while b"\\r\\n\\r\\n" not in rest:
        rest += wire.recv(1 << 20)
    head, _, rest = rest.partition(b"\\r\\n\\r\\n")
    lines = head.lower().split(b"\\r\\n")
    assert lines[0].split()[1] in (b"200", b"204"), head
    size = next((int(one[15:]) for one in lines if one.startswith(b"content-length:")), 0)
    while len(rest) < size:
        rest += wire.recv(1 << 20)
    rest, n = rest[size:], n + 1
    ms.append((time.perf_counter() - start) * 1e3)
print(json.dumps(ms))
"""


def ask(port: int, paths: list[str], asked: argparse.Namespace, what: str) -> None:
    """Several clients ask one path after the other, each waiting for its answer."""
    turned = [",".join(paths[n:] + paths[:n]) for n in range(0, len(paths), max(1, len(paths) // asked.clients))]
    told = [sys.executable, "-c", CLIENT, str(port), str(asked.seconds)]
    lists = [turned[n % len(turned)] for n in range(asked.clients)]
    running = [subprocess.Popen([*told, one], stdout=subprocess.PIPE) for one in lists]
    ms = np.concatenate([json.loads(one.communicate()[0]) for one in running])
    say(
        f"{what}, {asked.clients} client{'s' if asked.clients > 1 else ''}",
        f"{len(ms) / asked.seconds:,.0f} a second, p50 {np.median(ms):.2f} ms, p99 {np.percentile(ms, 99):.2f} ms",
    )


@contextlib.contextmanager
def served(county: Path, workers: int) -> Iterator[int]:
    """The county served on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = [sys.executable, "-m", "scripts.cli", "serve", str(county), "--no-tiles"]
    told += ["--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(told, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    try:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                body(port, "/readyz")
                break
            threading.Event().wait(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(START_S)


if __name__ == "__main__":
    main()
