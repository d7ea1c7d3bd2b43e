"""What a county's store can do: few verbs, the same for every backend.

A store speaks frames in the working CRS. The thinking never sees it; it gets `store.at(as_of, for_year)`.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import pandas as pd
import shapely
from pyproj import CRS

from layers.errors import UnknownName
from layers.fabric import Fabric
from layers.ingest import Prepared
from layers.ledger.keeping import Ledger
from layers.places import driver, is_url
from layers.records import Bounds, Geoms, Layer
from layers.stored_world import StoredWorld


class Store(Protocol):
    """One county: its layers by version, its fabric, its books, its documents (checks, projects, confirmations)."""

    name: str
    crs: CRS

    @property
    def fabric(self) -> Fabric: ...

    @property
    def ledger(self) -> Ledger: ...

    def at(self, as_of: date | None = None, for_year: int | None = None) -> StoredWorld: ...

    def seen(
        self, labels: Mapping[str, str], as_of: date, for_year: int, pools: Mapping[str, float]
    ) -> StoredWorld: ...

    def put(self, prepared: Prepared, *, by: str, approved_by: str | None = None) -> Layer: ...

    def layers(self, as_of: date | None = None) -> list[Layer]: ...

    def versions(self, role: str) -> list[Layer]: ...

    def frame(
        self,
        role: str,
        *,
        version: int | None = None,
        ids: Iterable[str] | None = None,
        bounds: Bounds | None = None,
        as_of: date | None = None,
    ) -> gpd.GeoDataFrame: ...

    def standing(self, role: str) -> Layer: ...

    def standing_at_once(self, role: str) -> Layer | None: ...

    def whole(self, layer: Layer) -> tuple[pd.DataFrame, Geoms]: ...

    def ground(self, role: str, ids: Iterable[str], as_of: date | None = None) -> dict[str, shapely.Geometry]: ...

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> str: ...

    def save_all(self, documents: Iterable[tuple[str, str, Mapping[str, Any]]]) -> builtins.list[str]: ...

    def load(self, kind: str, key: str) -> dict[str, Any]: ...

    def stamp(self, *kinds: str) -> str: ...

    def keys(self, kind: str) -> builtins.list[str]: ...

    def list(self, kind: str) -> list[dict[str, Any]]: ...

    def bounds(self) -> Bounds | None: ...

    def close(self) -> None: ...


def open_store(county: str | Path) -> Store:
    """The store of a COUNTY as people write it: a `.gpkg` path or a `postgresql://` URL (see `layers.places`)."""
    if is_url(county):
        driver()
        from layers.postgis import PostGIS

        return PostGIS(county)
    from layers.gpkg import GeoPackage

    path = Path(county)
    if not path.is_file():
        raise UnknownName(
            f"there is no county at {path.name}; make one with: parkplan init {path.name}", county=path.name
        )
    return GeoPackage(path)


def create_store(county: str | Path, name: str, crs: str) -> Store:
    """A new, empty county. BadInput where there is one already, or the CRS cannot be worked in."""
    if is_url(county):
        driver()
        from layers import postgis

        return postgis.create(county, name, crs)
    from layers import gpkg

    return gpkg.create(Path(county), name or Path(county).stem, crs)
