"""What a machine and a county file have and lack, one line each."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

import apsw
import pyogrio
import rasterio

from api.app import STATIC
from layers import reading
from layers.errors import ParkError
from layers.sandbox.fence import says
from layers.schema import role
from layers.store import open_store


def examine(county: str | None) -> Iterator[tuple[str, bool, str]]:
    """(what, whether it is well, a word on it)."""
    yield "Python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield "processors", True, f"{os.cpu_count()}"
    yield "SQLite", True, apsw.sqlite_lib_version()
    yield "GDAL", True, f"{pyogrio.__gdal_version_string__} for vectors, {rasterio.__gdal_version__} for rasters"
    walls, held = reading.state(), reading.probe()
    past = [name for name in ("files", "network") if walls[name] and not held[name]]
    yield "sandbox", all(held.values()), says(walls) + "; but a reader got past them" * bool(past)
    browser = (STATIC / "vendor" / "manifest.json").exists()
    yield "browser parts", browser, "there" if browser else "missing: run ./scripts/demo once, it installs them"
    yield "Chinese font", *_font()
    if county is not None:
        yield from _county(county)


def _font() -> tuple[bool, str]:
    from api.reports import fonts  # typst is loaded by whoever prints

    try:
        known = fonts.found()
    except ParkError as error:
        return False, error.message
    return True, f"{known.sans}, {known.serif}; reports and map sheets are printed with them"


def _county(county: str) -> Iterator[tuple[str, bool, str]]:
    try:
        store = open_store(county)
    except ParkError as error:
        yield "county", False, error.message
        return
    yield "county", True, f"{store.name}, {store.crs.name}"
    world = store.at()
    for layer in store.layers():
        raster = role(layer.role).is_raster
        readable = (world.raster(layer.role) if raster else world.near(layer.role, layer.extent.bounds)) is not None
        word = f"{layer.loaded} features, version {layer.version}"
        yield layer.role, readable, word if readable else "cannot be read; its rules answer unknown"
    store.close()
