"""Founding the demo county: what `scripts.county` draws becomes a county file, the same way any county does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

from gis.check import rulebook
from layers.gpkg import create
from layers.ingest import from_frame, from_grid
from layers.ledger.keeping import open_books
from layers.ledger.records import Paper
from scripts.county import County, build

# What such surveys usually promise, an assumption: parcels by total station, control lines from 1:2,000 sheets.
ACCURACY_M = {
    "parcels": 0.05,
    "basic_farmland": 0.6,
    "eco_redline": 0.6,
    "urban_boundary": 0.6,
    "river_management": 0.6,
}
OPENED = date(2026, 1, 1)  # of the document that the demo county's balances stand on
PARTS = (".gpkg", ".cache", ".access")


def found(county: Path, seed: int, progress: Callable[[str, float], None]) -> County:
    """Build the demo county of a seed beside its place, then move it there: half a county is never served."""
    made = build(seed, progress=lambda text, done: progress(text, 0.6 * done))
    making = county.with_name(".making.gpkg")
    _remove(making)
    source = f"demo seed {seed}"
    store = create(making, made.name, made.crs)
    for number, (role, frame) in enumerate(made.layers.items()):
        progress(role, 0.6 + 0.38 * number / len(made.layers))
        extent = made.extents.get(role, made.extent)
        made_ = from_frame(frame, role, source=source, extent=extent, accuracy_m=ACCURACY_M.get(role))
        store.put(made_, by="demo")
    dem = made.dem
    store.put(from_grid(dem.values, dem.west, dem.north, dem.cell_m, "dem", source=source, synthetic=True), by="demo")
    open_books(store.ledger, made.pools, Paper(f"示例指标文件 {source}", OPENED))
    for project in made.projects:
        store.save("project", project["id"], project)
    for word, example in {**made.examples, **made.further}.items():
        store.save("example", word, {"case": word, **example._asdict()})
    (confirmation,) = made.confirmations
    for rule in rulebook().rules:
        entry = {"rule": rule.id, "document": confirmation.document, "date": confirmation.on.isoformat()}
        store.save("confirmation", rule.id, entry)
    store.close()
    _remove(county)
    for part in PARTS:
        if (here := making.with_suffix(part)).exists():
            here.rename(county.with_suffix(part))
    progress("done", 1.0)
    return made


def _remove(county: Path) -> None:
    for part in PARTS:
        path = county.with_suffix(part)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
