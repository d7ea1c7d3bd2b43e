"""What the first look at the workbench costs: bytes, requests and time until the map stands still.

    python -m scripts.bench.first_view COUNTY [--limit-mb 2.0]

Serves the county on a free port of loopback and opens `/` in Chromium with an empty cache, twice: while no tile of it
is drawn (the very first visitor) and once all are. Bytes are those that came over the wire, tiles of the map's worker
included. Fails where a first look takes more than the limit. Times depend on the machine; /healthz of the same
server in the same run stands beside them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from playwright.sync_api import Request, sync_playwright

from scripts.ahead import draw
from scripts.bench.tiles import body, say, served

BROWSER = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic"]
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
STILL_MS = 180_000


def main() -> None:
    """Run it and print a table; ends with 1 where a look takes more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("county", type=Path)
    parser.add_argument("--limit-mb", type=float, default=2.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        county = Path(folder) / "county.gpkg"
        shutil.copy(asked.county, county)
        shutil.copytree(asked.county.with_suffix(".cache"), county.with_suffix(".cache"))
        shutil.rmtree(county.with_suffix(".cache") / "tiles", ignore_errors=True)
        sent = [look(county, "no tile drawn before")]
        start = time.perf_counter()
        draw(str(county))
        say("all tiles drawn in advance", f"{time.perf_counter() - start:.1f} s")
        sent.append(look(county, "tiles drawn before"))
    if max(sent) > asked.limit_mb * 1e6:
        sys.exit(f"a first look takes {max(sent) / 1e6:.2f} MB, more than {asked.limit_mb:g} MB")


def look(county: Path, what: str) -> int:
    """Open the workbench once; the bytes that it took."""
    with served(county, 2) as port:
        start = time.perf_counter()
        for _ in range(100):
            body(port, "/healthz")
        health_ms = (time.perf_counter() - start) * 10
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=[*BROWSER, ALONE])
            page = browser.new_page(viewport={"width": 1366, "height": 768})
            done: list[Request] = []
            page.on("requestfinished", lambda one: done.append(one))  # noqa: PLW0108  Playwright marks its handlers
            start = time.perf_counter()
            page.goto(f"http://127.0.0.1:{port}/", wait_until="networkidle", timeout=STILL_MS)
            seconds = time.perf_counter() - start
            by_kind: Counter[str] = Counter()
            for one in done:
                if not one.url.startswith(("data:", "blob:")):
                    sizes = one.sizes()
                    by_kind[kind_of(one.url)] += sizes["responseBodySize"] + sizes["responseHeadersSize"]
            browser.close()
    say(
        f"first look, {what}: sent, requests, until still",
        f"{by_kind.total() / 1e6:.2f} MB, {len(done)}, {seconds:.1f} s",
    )
    say("  of it", ", ".join(f"{kind} {size / 1e3:,.0f} kB" for kind, size in by_kind.most_common()))
    say(
        "  /healthz of the same server",
        f"{health_ms:.1f} ms; the look takes {seconds * 1e3 / health_ms:,.0f} times as long",
    )
    return by_kind.total()


def kind_of(url: str) -> str:
    """Tiles, pictures, parts of the page, or what the service says."""
    path = url.split("/", 3)[3].split("?")[0]
    if path.endswith(".mvt"):
        return "tiles"
    if path.endswith(".png"):
        return "pictures"
    return "page" if path == "" or path.startswith("static/") else "answers"


if __name__ == "__main__":
    main()
