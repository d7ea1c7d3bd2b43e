"""The catalogue of layers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.answers import geojson
from api.auth import READ, allow
from api.county import County, county_of
from layers.access import User
from layers.records import Layer
from layers.schema import roles
from layers.store import Store

router = APIRouter(prefix="/layers", tags=["layers"])


@router.get("")
def read_all(
    county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    """Every layer that is loaded, with its source, version and surveyed extent, and the roles still missing."""
    return catalogue(county.store)


def catalogue(store: Store) -> dict[str, Any]:
    loaded = store.layers()
    extents = geojson([layer.extent for layer in loaded], store.crs)
    have = {layer.role for layer in loaded}
    return {
        "county": store.name,
        "crs": store.crs.to_string() if store.crs.to_epsg() is None else f"EPSG:{store.crs.to_epsg()}",
        "layers": [_row(layer, extent) for layer, extent in zip(loaded, extents, strict=True)],
        "missing": [{"role": name, "zh": one.zh, "en": one.en} for name, one in roles().items() if name not in have],
    }


def _row(layer: Layer, extent: dict[str, Any] | None) -> dict[str, Any]:
    role = roles()[layer.role]
    return {
        "role": layer.role,
        "zh": role.zh,
        "en": role.en,
        "version": layer.version,
        "digest": layer.digest,
        "source": layer.source,
        "vintage": layer.vintage,
        "features": layer.loaded,
        "rejected": layer.rejected,
        "synthetic": layer.synthetic,
        "imported_at": layer.imported_at,
        "fields": layer.fields,
        "extent": extent,
    }
