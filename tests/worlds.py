"""Tiny worlds drawn in letters, so that every answer can be counted by hand.

w = draw('''
    . . . R
    F f P R
    F f P R
''', parcels="Pf", basic_farmland="Ff", river_management="R")

A square is 100 m; a letter may stand for several layers at once. Row 0 is north, the south-west corner is (0, 0).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import shapely
from pyproj import CRS

from layers.records import Bounds, Geoms, Layer, Raster, Snapshot

SQUARE_M = 100.0
FAR = shapely.box(-1e6, -1e6, 1e6, 1e6)


def draw(picture: str, **layers: str) -> dict[str, Geoms]:
    """Layer name -> (M,) areas: the squares whose letter belongs to the layer, joined where they touch."""
    rows = [line.split() for line in picture.strip().splitlines()]
    height = len(rows)
    found = {}
    for name, letters in layers.items():
        squares = [
            shapely.box(c * SQUARE_M, (height - 1 - r) * SQUARE_M, (c + 1) * SQUARE_M, (height - r) * SQUARE_M)
            for r, row in enumerate(rows)
            for c, letter in enumerate(row)
            if letter in letters
        ]
        joined = shapely.union_all(squares)
        found[name] = shapely.get_parts(joined) if squares else np.empty(0, dtype=object)
    return found


def layer(role: str, geometries: Iterable[Any], extent: Any = FAR, **columns: Any) -> Snapshot:
    """A layer of a role, surveyed everywhere unless `extent` says less."""
    array = np.array([*geometries, None], dtype=object)[:-1]
    return Snapshot.of(role, array, extent, **columns)


def grid(values: Any, west: float = 0.0, north: float = 0.0, cell_m: float = 10.0, role: str = "dem") -> Raster:
    array = np.asarray(values, dtype=np.float32)
    box = shapely.box(west, north - cell_m * array.shape[0], west + cell_m * array.shape[1], north)
    return Raster(Layer(role, 1, "memory", "memory", box, loaded=1), array, west, north, cell_m)


class MemoryWorld:
    """A county that is not stored anywhere."""

    def __init__(
        self,
        *layers: Snapshot,
        rasters: Iterable[Raster] = (),
        pools: Mapping[str, float] | None = None,
        as_of: date = date(2026, 6, 1),
        for_year: int = 2026,
    ) -> None:
        self._layers = {one.layer.role: one for one in layers}
        self._rasters = {one.layer.role: one for one in rasters}
        self._pools = dict(pools or {})
        self.as_of, self.for_year, self.crs = as_of, for_year, CRS(4545)

    def near(self, role: str, bounds: Bounds) -> Snapshot | None:
        return self._layers.get(role)

    def raster(self, role: str) -> Raster | None:
        return self._rasters.get(role)

    def pools(self) -> Mapping[str, float]:
        return self._pools

    def with_pools(self, **pools: float) -> MemoryWorld:
        """This world with other balances; `__` in a name stands for `/` in an account."""
        other = copy.copy(self)
        other._pools = {**self._pools, **{name.replace("__", "/"): left for name, left in pools.items()}}
        return other

    def without(self, role: str) -> MemoryWorld:
        other = copy.copy(self)
        other._layers = {name: one for name, one in self._layers.items() if name != role}
        other._rasters = {name: one for name, one in self._rasters.items() if name != role}
        return other

    def replaced(self, one: Snapshot | Raster) -> MemoryWorld:
        other = copy.copy(self)
        if isinstance(one, Raster):
            other._rasters = {**self._rasters, one.layer.role: one}
        else:
            other._layers = {**self._layers, one.layer.role: one}
        return other

    @property
    def roles(self) -> list[str]:
        return [*self._layers, *self._rasters]


def kind_world(**changes: Any) -> MemoryWorld:
    """A county in which a modest tea plant on `SITE` is clear: everything is surveyed, nothing is in the way."""
    ground = shapely.box(-2e4, -2e4, 2e4, 2e4)
    made = {
        "zones": layer("zones", [ground], name=["带"], kind=["belt"], industries=["15,26,30"], unit_code=["520625-NE"]),
        "urban_boundary": layer("urban_boundary", [ground], kind=["concentrated"]),
        "environment_units": layer("environment_units", [ground], kind=["general"]),
        "land_use": layer(
            "land_use",
            [ground],
            code_system=["GB/T 21010-2017"],
            code=["0601"],
            code_name=["工业用地"],
            three_class=["construction"],
            cultivated=[False],
            paddy=[False],
        ),
        "roads": layer(
            "roads", [shapely.LineString([(-1e4, -100), (1e4, -100)])], road_class=["county"], land_width_m=[12.0]
        ),
        "substations": layer("substations", [shapely.Point(3_000, 0)], name=["木黄变电站"]),
        "water_sources": layer("water_sources", [shapely.Point(2_000, 0)], name=["水厂"]),
        "wastewater_plants": layer("wastewater_plants", [shapely.Point(2_500, 0)], name=["污水厂"]),
    }
    empty = [
        "basic_farmland",
        "farmland_reserve",
        "eco_redline",
        "nature_reserve",
        "water_protection",
        "river_management",
        "forest_land",
        "public_welfare_forest",
        "wetlands",
        "hazards",
        "karst",
        "mining_rights",
        "heritage",
        "railways",
        "power_lines",
        "residential",
        "sensitive_sites",
        "enterprises",
        "approved_land",
        "placed",
    ]
    made |= {role: layer(role, []) for role in empty}
    made |= changes
    pools = {
        "quota/520625/2026/new_construction": 1e6,
        "capacity/substations-1/power_kva": 5_000.0,
        "capacity/water_sources-1/water_m3d": 900.0,
        "capacity/wastewater_plants-1/effluent_m3d": 500.0,
    }
    return MemoryWorld(*made.values(), rasters=[FLAT], pools=pools)


SITE = shapely.box(0, 0, 100, 100)
FLAT = grid(np.zeros((500, 500)), west=-5_000, north=5_000, cell_m=20.0)
