"""Draw a county's tiles and its ways to facilities while it is served, so that nobody waits for them.

A process of its own and of the lowest priority: requests never wait for it, not even for the interpreter, and
readiness does not ask about it. It ends with whoever started it, however that ended: the pipe between them closes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parent.parent
FIRST = ("hillshade", "zones", "basic_farmland", "eco_redline", "urban_boundary")  # what a first look asks for
LOWEST = 19  # of nice


@contextmanager
def drawing(county: str) -> Iterator[None]:
    """Around serving a county: its tiles are drawn meanwhile, as far as they are not there."""
    told = [sys.executable, "-m", "scripts.ahead"]
    quiet = subprocess.DEVNULL
    priority: int = getattr(subprocess, "IDLE_PRIORITY_CLASS", 0)  # Windows has no nice
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    # through the environment: a URL may hold a password, and the list of processes is for everybody to read
    env = {**os.environ, "PARKPLAN_COUNTY": county, "PYTHONPATH": paths}
    child = subprocess.Popen(
        told, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=env, creationflags=priority, start_new_session=True
    )
    try:
        yield
    finally:
        child.terminate()
        child.communicate(timeout=10)


def draw(county: str) -> list[str]:
    """Draw all that is not there; the names in their order. Nothing where the county has no place for tiles."""
    from api.county import County
    from api.pictures import TITLES
    from api.settings import Settings
    from layers.access import Access
    from layers.places import beside
    from layers.store import open_store

    store, access = open_store(county), Access(beside(county))
    try:
        served = County(store, access, Settings(county=county))
        if served.tiles.shelf is None:
            return []
        pictures = list(TITLES) if any(layer.role == "dem" for layer in store.layers()) else []
        names = [*served.tiles.roles(), *pictures]
        names.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
        for name in names:
            served.pictures.build(name) if name in TITLES else served.tiles.build(name)
        served.networks.make_all(store.at())  # the ways to facilities, which checks show and plans are priced by
        return names
    finally:
        store.close()
        access.close()


def _end_with_the_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(LOWEST)
    Thread(target=_end_with_the_starter, daemon=True).start()
    draw(os.environ["PARKPLAN_COUNTY"])
