"""What the tests of the stores put into counties, and all that a county says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from layers.ingest import Prepared, from_frame, from_grid
from layers.records import Snapshot
from tests.layers.files import EAST, NORTH, frame, squares

EVERYWHERE = (-1e9, -1e9, 1e9, 1e9)


def zones(count: int = 2, **columns: Any) -> Prepared:
    return from_frame(frame(squares(count), **columns), "zones", source=f"{count}.gpkg")


def grid(rows: int = 3, columns: int = 4, seed: int = 1) -> Prepared:
    values = np.random.default_rng(seed).normal(600, 200, (rows, columns)).astype(np.float32)
    values[0, 0] = np.nan
    values[-1, -1] = -0.5
    return from_grid(values, EAST, NORTH, 12.5, "dem", source="dem.tif")


def near(store: Any, role: str = "zones", **asked: Any) -> Snapshot:
    found = store.at(**asked).near(role, EVERYWHERE)
    assert found is not None
    return found


def told(store: Any) -> dict[str, Any]:
    """All that a layer says, in plain values."""
    land, roads = near(store, "land_use"), near(store, "roads")
    raster = store.at().raster("dem")
    assert raster is not None
    return {
        "columns": {name: land.features[name].map(repr).tolist() for name in land.features},
        "dtypes": {name: str(dtype) for one in (land, roads) for name, dtype in one.features.dtypes.items()},
        "pieces": shapely.to_wkb(land.pieces).tolist() + shapely.to_wkb(roads.pieces).tolist(),
        "owner": land.owner.tolist() + roads.owner.tolist(),
        "grid": (raster.values.tobytes(), raster.values.shape, raster.west, raster.north, raster.cell_m),
        "frame": store.frame("land_use").to_wkb().map(repr).to_dict("list"),
        "width": roads.features["land_width_m"].map(repr).tolist(),
    }


def furnish(store: Any) -> None:
    """Every kind of column, a large polygon, a long line and a grid."""
    system = "GB/T 21010-2017"
    wheel = shapely.Point(EAST, NORTH).buffer(500, quad_segs=500)
    land = frame(
        [*squares(3), wheel],
        code_system=[system, system, None, system],
        code=["0101", "0601", None, "9999"],
        name=["甲", None, "丙", "<b>"],
        height=[1.5, None, 3.0, 4.0],
        count=[1, 2, 3, 4],
        synthetic=[True, False, True, False],
    )
    store.put(from_frame(land, "land_use", source="x"), by="test")
    line = shapely.LineString([(EAST + n, NORTH + n % 7) for n in range(100)])
    store.put(from_frame(frame([line], land_width_m=[None], road_class=["县道"]), "roads", source="x"), by="test")
    store.put(grid(300, 513), by="test")
