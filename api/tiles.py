"""Map tiles of a county: its layers as vector tiles, each user's without what is not theirs to see."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from api.landcolours import legend
from api.scope import Scope
from gis.drawing import FINE, Drawing
from gis.vector_tiles import Attributes
from gis.web_tiles import Tile, covering, number
from layers.crs import parse_cached, to_lonlat, transform
from layers.errors import UnknownName
from layers.records import Layer
from layers.schema import role as role_of
from layers.schema import roles
from layers.store import Store
from layers.tile_shelf import TileShelf

T = TypeVar("T")
MERCATOR = "EPSG:3857"
FORMAT = "3"  # of what is drawn: tiles of another are drawn again
FIRST, LAST = 8, 16
CLASSED = ("land_use", "plan_zoning")  # layers whose features have a colour by their class
HIDDEN = frozenset({"parcels", "plots", "placed"})  # what zones hide (decision 0006)
MOST_BYTES = 64 << 20  # of tiles kept in a process
MOST_DRAWINGS = 60
SHOWN = (
    "name", "zone", "kind", "grade", "code", "code_name", "slope_class", "road_class", "voltage_kv", "mineral",
    "industry", "ready", "planned_use", "land_purpose", "planned_zone", "forest_kind", "open_year", "document",
    "project", "area_m2",
)  # fmt: skip
EVERYWHERE = (-180.0, -85.0, 180.0, 85.0)


@dataclass(frozen=True)
class View:
    """A layer as one user sees it: `key` says which features, in which version; `is_whole` whether all of them."""

    layer: Layer = field(compare=False)
    key: str
    is_whole: bool


class Sent(NamedTuple):
    """A tile as it goes out; `encoding` is gzip or nothing."""

    body: bytes
    encoding: str | None = None


class Built(NamedTuple):
    """What storing a role came to: tiles, bytes plain and as stored, the largest as stored; none if it was there."""

    tiles: int
    plain: int
    stored: int
    most: int


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
        cache: Path | None = getattr(store, "cache", None)
        self.shelf = None if cache is None else TileShelf(cache)
        self._drawings: dict[View, Drawing] = {}
        self._making = Lock()
        self._keys: dict[str, tuple[str, str]] = {}  # of layers that are the same for all: label, key

    def at_hand(self, name: str, tile: Tile) -> tuple[str, bytes] | None:
        """The key and the gzip of a tile that is stored and the same for all, where nothing has to be waited for; else
        None, and `view` and `vector` tell."""
        if self.shelf is None or tile.z >= FINE or name in HIDDEN or name not in roles():
            return None
        try:
            layer = self._store.standing_at_once(name)
        except UnknownName:
            return None
        if layer is None:
            return None
        known = self._keys.get(name)
        if known is None or known[0] != layer.label:
            self._keys[name] = known = layer.label, self.view(name, everything).key
        drawn = self.shelf.find(name, known[1])
        return None if drawn is None else (known[1], drawn.get(int(number(*tile))))

    def view(self, name: str, scope: Callable[[], Scope]) -> View:
        """A role as somebody sees it now; UnknownName where no such layer of features is loaded."""
        if role_of(name).is_raster:
            raise UnknownName(f"the layer {name!r} is a grid and has no features", role=name)
        layer = self._store.standing(name)
        said = [FORMAT, layer.label, layer.digest]
        is_whole = name not in HIDDEN or scope is everything or (mine := scope()).is_all
        if not is_whole:
            said.append(mine.key)
        return View(layer, hashlib.sha256("\n".join(said).encode()).hexdigest()[:24], is_whole)

    def vector(self, view: View, tile: Tile, scope: Callable[[], Scope], *, gzipped: bool = False) -> Sent:
        """One vector tile, no bytes where it holds nothing; compressed where that is welcome."""
        drawn = self.shelf.find(view.layer.role, view.key) if self.shelf and view.is_whole and tile.z < FINE else None
        if drawn is not None:
            body = drawn.get(int(number(*tile)))
        else:
            body = self._kept.get((view.key, tile), lambda: _packed(self.drawing(view, scope).tile(tile)))
        return Sent(body, "gzip") if gzipped and body else Sent(gzip.decompress(body) if body else b"")

    def roles(self) -> list[str]:
        """The roles whose tiles are stored: all that are loaded and have features."""
        return [layer.role for layer in self._store.layers() if not role_of(layer.role).is_raster]

    def build(self, name: str, said: Callable[[int, int], None] = lambda done, of: None) -> Built:
        """Draw and store the tiles of a role below zoom `FINE`, unless they are there; `said` hears of progress."""
        view = self.view(name, everything)
        assert self.shelf is not None
        if (there := self.shelf.find(name, view.key)) is not None:
            return Built(len(there), 0, 0, 0)
        drawing = self.drawing(view, everything)
        box = drawing.bounds
        wanted = [] if box is None else [Tile(z, *at) for z in range(FIRST, FINE) for at in covering(box, z).tolist()]
        made: dict[int, bytes] = {}
        plain = most = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, (tile, body) in enumerate(zip(wanted, pool.map(drawing.tile, wanted), strict=True), start=1):
                if body:
                    made[int(number(*tile))] = gzip.compress(body, 6, mtime=0)
                    plain, most = plain + len(body), max(most, len(made[int(number(*tile))]))
                said(done, len(wanted))
        self.shelf.keep(name, view.key, made)
        return Built(len(made), plain, sum(map(len, made.values())), most)

    def described(self, name: str, view: View) -> dict[str, Any]:
        """TileJSON 3.0 of a role."""
        table, _ = self._store.whole(view.layer)
        kinds = {key: "Boolean" if key == "synthetic" else "String" for key in fields(table, view.layer)}
        role = role_of(name)
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
            **self._classes(view.layer),
        }

    def _classes(self, layer: Layer) -> dict[str, Any]:
        """Of a layer of land classes the colour of each, by the first two digits of its code."""
        if layer.role not in CLASSED:
            return {}
        return {"classes": legend(self._store.at().near(layer.role, layer.extent.bounds))}

    def _bounds(self, layer: Layer) -> list[float]:
        box = self._store.bounds()
        if box is None:
            return list(EVERYWHERE)
        return [round(edge, 6) for edge in to_lonlat(self._store.crs).transform_bounds(*box)]

    def drawing(self, view: View, scope: Callable[[], Scope]) -> Drawing:
        """What a view draws, kept while it is asked for; of a user of some zones that which is theirs alone."""
        known = self._drawings.get(view)
        if known is not None:
            return known
        with self._making:  # who comes second finds it done
            known = self._drawings.get(view)
            if known is not None:
                return known
            table, ground = self._store.whole(view.layer)
            if not view.is_whole:
                sees = scope().sees(ground)
                table, ground = table[sees], ground[sees]
            shapes = transform(ground, self._store.crs, parse_cached(MERCATOR))
            made = Drawing(view.layer.role, shapes, Attributes.of(said(table, view.layer)))
            there = list(self._drawings)
            for old in there[: max(0, len(there) + 1 - MOST_DRAWINGS)]:
                self._drawings.pop(old, None)
            for old in there:  # an older version of the layer is not asked for again
                if old.layer.role == view.layer.role and old.layer.label != view.layer.label:
                    self._drawings.pop(old, None)
            self._drawings[view] = made
            return made


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, 1, mtime=0) if body else b""


def everything() -> Scope:
    """The scope of whoever draws for all."""
    raise AssertionError("whoever stores tiles sees all of them")


def fields(table: pd.DataFrame, layer: Layer) -> list[str]:
    """What a map says of features: the columns of `SHOWN` that hold anything, and whether they are made up."""
    shown = [name for name in SHOWN if name in table and table[name].notna().any()]
    return ["id", *shown, *(["synthetic"] if "synthetic" in table or layer.synthetic else [])]


def said(table: pd.DataFrame, layer: Layer) -> pd.DataFrame:
    """The `fields` of features, as texts; `synthetic` is true or nothing."""
    columns: dict[str, Any] = {}
    for name in fields(table, layer):
        if name == "synthetic":
            is_made_up = table[name].eq(True) if name in table else pd.Series(True, index=table.index)
            columns[name] = is_made_up.astype(object).where(is_made_up, None)
        else:
            columns[name] = table[name].astype(str) if name == "id" else _texts(table[name])
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
