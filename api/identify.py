"""What lies at a point: the features of every layer there, with all their attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import shapely

from layers.crs import LONLAT, parse_cached, transform
from layers.records import Bools, Geoms, Layer, World
from layers.schema import roles

MOST_PER_LAYER = 20
UNSAID = frozenset({"synthetic", "seq"})  # said by the layer; of the store


def identify(
    lon: float,
    lat: float,
    tolerance_m: float,
    world: World,
    layers: Iterable[Layer],
    sees: Callable[[Geoms], Bools] | None = None,
) -> list[dict[str, Any]]:
    """Features within `tolerance_m` of a point in degrees, as the catalogue orders the layers; areas have to hold it.

    `sees` says which parcels and plots are the asker's (default: all).

    Returns
    -------
    `{role, zh, en, synthetic, version, features[] {id, name, attributes}}` per layer that has something there
    """
    point = transform(np.array([shapely.Point(lon, lat)], dtype=object), parse_cached(LONLAT), world.crs)[0]
    around = shapely.buffer(point, tolerance_m).bounds
    found: list[dict[str, Any]] = []
    for layer in layers:
        known = roles()[layer.role]
        if known.is_raster:
            continue
        snapshot = world.near(layer.role, around)
        if snapshot is None:
            continue
        near = snapshot.tree.query(point, predicate="dwithin", distance=tolerance_m)
        pieces = snapshot.pieces[near]
        is_area = shapely.get_dimensions(pieces) == 2
        near = near[~is_area | (shapely.distance(pieces, point) == 0.0)]
        if sees is not None and layer.role in ("parcels", "plots"):
            near = near[sees(snapshot.pieces[near])]
        rows = np.unique(snapshot.owner[near])[:MOST_PER_LAYER]
        if not len(rows):
            continue
        told = snapshot.features.iloc[rows]
        told = told.astype(object).where(told.notna(), None)
        found.append(
            {
                "role": layer.role,
                "zh": known.zh,
                "en": known.en,
                "synthetic": layer.synthetic,
                "version": layer.label,
                "features": [
                    {
                        "id": str(row["id"]),
                        "name": None if row.get("name") is None else str(row["name"]),
                        "attributes": {
                            key: _plain(value)
                            for key, value in row.items()
                            if key not in UNSAID and key not in ("id", "name") and value is not None
                        },
                    }
                    for row in told.to_dict("records")
                ],
            }
        )
    return found


def _plain(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, (str, int, float, bool)) else str(plain)
