"""Map tiles of a county: its layers as vector tiles, each user's without what is not theirs to see."""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import shapely

from api.scope import Scope
from gis.vector_tiles import Attributes, encode
from gis.web_tiles import Tile
from layers.crs import parse_cached, to_lonlat, transform
from layers.errors import UnknownName
from layers.records import Geoms, Layer
from layers.schema import role as role_of
from layers.store import Store

T = TypeVar("T")
MERCATOR = "EPSG:3857"
FORMAT = "1"  # of what is drawn: tiles of another are drawn again
FIRST, LAST = 8, 16
COARSE_PX = 0.5
FINE = 13  # from this zoom on features are drawn as finely as a tile can
HIDDEN = frozenset({"parcels", "plots", "placed"})  # what zones hide (decision 0006)
MOST_BYTES = 64 << 20  # of tiles kept in a process
SHOWN = (
    "name", "zone", "kind", "grade", "code", "code_name", "slope_class", "road_class", "voltage_kv", "mineral",
    "industry", "ready", "planned_use", "land_purpose", "planned_zone", "forest_kind", "open_year", "document",
    "project", "area_m2",
)  # fmt: skip
EVERYWHERE = (-180.0, -85.0, 180.0, 85.0)


class View(NamedTuple):
    """A layer as one user sees it: `key` says which features, in which version."""

    layer: Layer
    key: str


class _Features(NamedTuple):
    """A layer in web mercator, ready to be drawn."""

    shapes: Geoms
    said: Attributes
    ground: Geoms  # in the working CRS
    tree: shapely.STRtree


class Kept:
    """What was made and may be asked again, up to so many bytes; the longest unasked goes first."""

    def __init__(self, most: int) -> None:
        self._most, self._held, self._lock = most, 0, Lock()
        self._found: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            if key not in self._found:
                self._found[key] = made
                self._held += len(made) + 200
            while self._held > self._most:
                self._held -= len(self._found.popitem(last=False)[1]) + 200
        return made


class Tiles:
    """The tiles of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept = Kept(MOST_BYTES)
        self._features: dict[str, tuple[str, _Features]] = {}
        self._views: OrderedDict[str, Any] = OrderedDict()
        self._making = Lock()

    def view(self, name: str, scope: Callable[[], Scope]) -> View:
        """A role as somebody sees it now; UnknownName where no such layer of features is loaded."""
        if role_of(name).is_raster:
            raise UnknownName(f"the layer {name!r} is a grid and has no features", role=name)
        layer = self._store.standing(name)
        said = [FORMAT, layer.label, layer.digest]
        if name in HIDDEN and not (mine := scope()).is_all:
            said.append(mine.key)
        return View(layer, hashlib.sha256("\n".join(said).encode()).hexdigest()[:24])

    def vector(self, view: View, tile: Tile, scope: Callable[[], Scope]) -> bytes:
        """One vector tile; no bytes where it holds nothing."""
        return self._kept.get((view.key, tile), lambda: self._encoded(view, tile, scope))

    def described(self, name: str, view: View) -> dict[str, Any]:
        """TileJSON 3.0 of a role."""
        features = self._drawn(view.layer)
        role = role_of(name)
        kinds = {key: "Boolean" if key == "synthetic" else "String" for key in features.said.keys}
        return {
            "tilejson": "3.0.0",
            "tiles": [f"/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt"],
            "name": name,
            "description": f"{role.zh} {role.en}",
            "attribution": view.layer.source,
            "version": "1.0.0",
            "bounds": self._bounds(view.layer),
            "minzoom": FIRST,
            "maxzoom": LAST,
            "vector_layers": [
                {
                    "id": name,
                    "description": f"{role.zh} {role.en}",
                    "minzoom": FIRST,
                    "maxzoom": LAST,
                    "fields": kinds,
                }
            ],
            "synthetic": view.layer.synthetic,
        }

    def _bounds(self, layer: Layer) -> list[float]:
        box = self._store.bounds()
        if box is None:
            return list(EVERYWHERE)
        return [round(edge, 6) for edge in to_lonlat(self._store.crs).transform_bounds(*box)]

    def _encoded(self, view: View, tile: Tile, scope: Callable[[], Scope]) -> bytes:
        features = self._drawn(view.layer)
        rows = np.sort(features.tree.query(shapely.box(*tile.bounds(0.02))))
        if view.layer.role in HIDDEN:
            rows = rows[scope().sees(features.ground[rows])]
        coarse = 0.0 if tile.z >= FINE else COARSE_PX
        return encode(view.layer.role, features.shapes[rows], features.said.take(rows), tile, coarse_px=coarse)

    def _drawn(self, layer: Layer) -> _Features:
        known = self._features.get(layer.role)
        if known is None or known[0] != layer.label:
            with self._making:
                known = self._features.get(layer.role)
                if known is None or known[0] != layer.label:
                    self._features[layer.role] = known = (layer.label, self._made(layer))
        return known[1]

    def _made(self, layer: Layer) -> _Features:
        table, ground = self._store.whole(layer)
        shapes = transform(ground, self._store.crs, parse_cached(MERCATOR))
        return _Features(shapes, Attributes.of(said(table, layer)), ground, shapely.STRtree(shapes))


def said(table: pd.DataFrame, layer: Layer) -> pd.DataFrame:
    """What a map says of features: the columns of `SHOWN` that hold anything, as text, and what is made up."""
    columns: dict[str, Any] = {"id": table["id"].astype(str)}
    for name in SHOWN:
        if name in table and table[name].notna().any():
            columns[name] = _texts(table[name])
    if "synthetic" in table:
        columns["synthetic"] = table["synthetic"].map(lambda one: True if one is True else None)
    elif layer.synthetic:
        columns["synthetic"] = list(itertools.repeat(True, len(table)))
    return pd.DataFrame(columns, dtype=object)


def _texts(values: pd.Series) -> pd.Series:
    """Values as texts, null where there is none; numbers without needless digits."""
    if pd.api.types.is_bool_dtype(values):
        return values.map({True: "true", False: "false"})
    if pd.api.types.is_numeric_dtype(values):
        return values.map(lambda one: f"{one:.2f}".rstrip("0").rstrip("."), na_action="ignore")
    return values.map(lambda one: str(one).lower() if isinstance(one, bool) else str(one), na_action="ignore")


def of(name: str, z: int, x: int, y: int) -> Tile:
    """The tile of a path. UnknownName where there is none at these numbers."""
    tile = Tile(z, x, y)
    if not (FIRST <= z <= LAST) or not tile.exists:
        raise UnknownName(f"no tile {z}/{x}/{y} of {name!r}; there are those of zoom {FIRST} to {LAST}", role=name)
    return tile
