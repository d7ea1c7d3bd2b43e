"""The catalogue of layers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api import changes
from api.answers import geojson
from api.auth import READ, allow
from api.county import County, county_of
from layers.access import User
from layers.records import Layer
from layers.schema import roles
from layers.store import Store

router = APIRouter(prefix="/layers", tags=["layers"])


Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]


@router.get("")
def read_all(
    county: Here,
    user: Reader,
    extents: Annotated[bool, Query(description="With the surveyed extents, which may be large; else null")] = True,
) -> dict[str, Any]:
    """Every layer that is loaded, with its source, version and surveyed extent, and the roles still missing."""
    return catalogue(county.store, extents=extents)


@router.get("/{role}/versions")
def read_versions(role: str, county: Here, user: Reader) -> dict[str, Any]:
    """Every version of a layer that was ever stored, the oldest first: none is overwritten."""
    found = county.store.versions(role)
    extents = geojson([layer.extent for layer in found], county.store.crs)
    return {"role": role, "versions": [_row(layer, extent) for layer, extent in zip(found, extents, strict=True)]}


@router.get("/{role}/diff")
def read_diff(
    role: str,
    county: Here,
    user: Reader,
    old: Annotated[int | None, Query(alias="from", ge=1)] = None,
    new: Annotated[int | None, Query(alias="to", ge=1)] = None,
    most: Annotated[int, Query(alias="limit", ge=1, le=10_000)] = 1_000,
) -> dict[str, Any]:
    """What changed from one version to another (default: the last two), those with the most ground first."""
    return changes.answer(county.store, *changes.versions(county.store, role, old, new), most)


def catalogue(store: Store, *, extents: bool = True) -> dict[str, Any]:
    loaded = store.layers()
    where = geojson([layer.extent if extents else None for layer in loaded], store.crs)
    have = {layer.role for layer in loaded}
    return {
        "county": store.name,
        "crs": store.crs.to_string() if store.crs.to_epsg() is None else f"EPSG:{store.crs.to_epsg()}",
        "layers": [_row(layer, extent) for layer, extent in zip(loaded, where, strict=True)],
        "missing": [
            {"role": name, "zh": one.zh, "en": one.en}
            for name, one in roles().items()
            if name not in have and not one.kept
        ],
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
        "found": layer.found,
        "accuracy_m": layer.accuracy_m,
        "classification": layer.classification,
        "imported_by": layer.imported_by,
        "approved_by": layer.approved_by,
        "extent": extent,
    }
