"""A small stored county: the world of `tests.worlds.kind_world`, kept in a real GeoPackage at real coordinates."""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gis.check import rulebook
from layers.access import Access
from layers.gpkg import GeoPackage, create
from layers.ingest import from_frame, from_grid
from layers.ledger.keeping import open_books
from layers.ledger.records import Paper
from layers.store import Store
from tests.worlds import MemoryWorld, kind_world, layer

EAST, NORTH = 560_000.0, 3_105_000.0
EXTENT = shapely.box(EAST - 2e4, NORTH - 2e4, EAST + 2e4, NORTH + 2e4)
FARM = "520625001001GB00002"
GOOD = "520625001001GB00001"


def moved(geometries: np.ndarray) -> np.ndarray:
    return shapely.transform(geometries, lambda xy: np.add(xy, (EAST, NORTH)))


def small_world() -> MemoryWorld:
    parcels = shapely.box([0, 0, 200], [0, 200, 0], [100, 100, 300], [100, 300, 100])
    ids = [GOOD, FARM, "520625001001GB00003"]
    world = kind_world(
        basic_farmland=layer("basic_farmland", [shapely.box(-50, 180, 500, 400)], name=["甲片基本农田"]),
        river_management=layer("river_management", [shapely.box(-5_000, -900, 5_000, -800)], name=["印江河"]),
    )
    made = layer("parcels", parcels, name=["一号地", "二号地", "<b>三号地</b>${1+1}"])
    made.features["id"] = ids
    return world.replaced(made)


def found_county(path: Path, world: MemoryWorld | None = None) -> GeoPackage:
    """A county of a few features, its rulebook confirmed, with one project in its library."""
    store = create(path, "试验县", "EPSG:4545")
    fill_county(store, world)
    return store


def closed_county(path: Path) -> str:
    """A county with a user of its own, so that keys are needed; the key of that planner."""
    found_county(path).close()
    with contextlib.closing(Access(path)) as access:
        return access.add("planner-1", "planner", ["*"])


def fill_county(store: Store, world: MemoryWorld | None = None) -> None:
    world = world or small_world()
    for role in world.roles:
        if role in ("dem", "placed"):
            continue
        one = world.near(role, (0, 0, 1, 1))
        assert one is not None
        frame = gpd.GeoDataFrame(one.features.assign(synthetic=True), geometry=moved(one.pieces), crs=4545)
        store.put(from_frame(frame, role, source="tests", extent=EXTENT), by="tests")
    values = np.zeros((500, 500), dtype=np.float32)
    store.put(from_grid(values, EAST - 5e3, NORTH + 5e3, 20.0, "dem", source="tests", synthetic=True), by="tests")
    pools = pd.DataFrame({"account": list(world.pools()), "balance": list(world.pools().values())}).assign(unit="")
    open_books(store.ledger, pools, Paper("试字1号", date(2026, 1, 1)))
    for rule in rulebook().rules:
        store.save("confirmation", rule.id, {"rule": rule.id, "document": "试字1号", "date": "2026-01-01"})
    store.save("project", "TEA", TEA)


TEA = {
    "id": "TEA",
    "name": "精制茶",
    "land_m2": 8000,
    "industry": {"system": "GB/T 4754-2017", "code": "1530"},
    "power_kva": 400,
    "water_m3d": 20,
    "effluent_m3d": 10,
    "dust": False,
}
