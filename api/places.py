"""Finding things by their name: every layer whose features are named, and the project library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import shapely
from pyproj import CRS

from layers.crs import LONLAT, parse_cached, transform
from layers.records import Bools, Geoms, Layer, World
from layers.schema import roles

MOST = 500
EVER = 9999  # for_year: what is planned has a name, too


def places(
    text: str,
    world: World,
    layers: Iterable[Layer],
    projects: Iterable[Mapping[str, Any]],
    most: int = 50,
    sees: Callable[[Geoms], Bools] | None = None,
) -> list[dict[str, Any]]:
    """Named things whose name or id holds `text`, whatever the case; layers as the catalogue has them, then projects.
    `sees` says which parcels and plots are the asker's (default: all).

    Returns
    -------
    `{role, zh, en, id, name, synthetic, at}` each; `at` is a point of the feature in degrees, null for a project
    """
    found: list[dict[str, Any]] = []
    for layer in layers:
        known = roles()[layer.role]
        if known.is_raster or len(found) >= most:
            continue
        snapshot = world.near(layer.role, layer.extent.bounds)
        if snapshot is None or "name" not in snapshot.features:
            continue
        name, key = (snapshot.features[column].fillna("").astype(str) for column in ("name", "id"))
        said = [one.str.contains(text, case=False, regex=False).to_numpy() for one in (name, key)]
        rows = np.flatnonzero(said[0] | said[1])
        if sees is not None and layer.role in ("parcels", "plots"):
            near = np.isin(snapshot.owner, rows)
            rows = np.unique(snapshot.owner[near][sees(snapshot.pieces[near])])
        rows = rows[: most - len(found)]
        piece = np.searchsorted(snapshot.owner, rows)
        spots = _lonlat(shapely.point_on_surface(snapshot.pieces[piece]), world.crs)
        found.extend(
            {
                "role": layer.role,
                "zh": known.zh,
                "en": known.en,
                "id": key.iloc[row],
                "name": name.iloc[row] or None,
                "synthetic": layer.synthetic,
                "at": at,
            }
            for row, at in zip(rows, spots, strict=True)
        )
    asked = text.casefold()
    for project in projects:
        name_, key_ = str(project.get("name") or ""), str(project.get("id") or project.get("name"))
        if asked in name_.casefold() or asked in key_.casefold():
            found.append(
                {"role": "projects", "zh": "项目", "en": "Projects", "id": key_, "name": name_ or None, "at": None}
            )
    return found[:most]


def _lonlat(points: np.ndarray, crs: CRS) -> list[list[float]]:
    spots = shapely.get_coordinates(transform(points, crs, parse_cached(LONLAT)))
    return [[round(float(lon), 6), round(float(lat), 6)] for lon, lat in spots]
