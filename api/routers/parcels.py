"""Parcels: a dossier for any day, their history, and what may become of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from api import parcels
from api.auth import READ, allow
from api.county import County, county_of
from layers.access import User
from layers.errors import BadInput, Fault
from layers.fabric import Event

router = APIRouter(prefix="/parcels", tags=["parcels"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]
Keeper = Annotated[User, Depends(allow("reviewer"))]
Day = Annotated[date | None, Query(description="As it stood on this day; default: as it stands")]
Known = Annotated[date | None, Query(description="By what was recorded by the end of this day; default: by all")]


@router.get("", response_class=JSONResponse)
def read_all(
    county: Here,
    user: Reader,
    bbox: Annotated[str | None, Query(description="west,south,east,north in degrees", max_length=200)] = None,
    as_of: Day = None,
    known: Known = None,
    after: Annotated[str | None, Query(max_length=100, description="The `next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=2_000)] = 500,
) -> JSONResponse:
    """Parcels of a window, a page at a time, as GeoJSON."""
    found = parcels.page(county.store, _bbox(bbox), as_of, known, after, limit, county.scope(user))
    return JSONResponse(found, media_type="application/geo+json")


@router.post("", status_code=201)
def register(asked: parcels.RegisterIn, county: Here, user: Keeper) -> JSONResponse:
    """Register plain ground as a parcel."""
    return _done(county, parcels.register(county.store, asked, user.name, county.settings.max_site_vertices))


@router.post("/merge", status_code=201)
def merge(asked: parcels.MergeIn, county: Here, user: Keeper) -> JSONResponse:
    """Merge parcels that hang together into one."""
    return _done(county, parcels.merge(county.store, asked, user.name, county.settings.max_site_vertices))


@router.post("/restore", status_code=201)
def restore(asked: parcels.RestoreIn, county: Here, user: Keeper) -> JSONResponse:
    """Undo a split, merge, adjustment or retirement: what it closed stands again, ids and all."""
    return _done(county, parcels.restore(county.store, asked, user.name, county.settings.max_site_vertices))


@router.get("/{parcel_id}")
def read(parcel_id: str, county: Here, user: Reader, as_of: Day = None, known: Known = None) -> dict[str, Any]:
    """A parcel's boundary, areas, attributes, zones, land use and what it stands on."""
    county.scope(user).parcel(parcel_id)
    return parcels.parcel(county.store, parcel_id, as_of, known)


@router.get("/{parcel_id}/history")
def history(parcel_id: str, county: Here, user: Reader) -> dict[str, Any]:
    """What became of a parcel and what it came of, with the documents; gone parcels, too."""
    county.scope(user).parcel(parcel_id)
    return parcels.history(county.store, parcel_id)


@router.post("/{parcel_id}/split", status_code=201)
def split(parcel_id: str, asked: parcels.SplitIn, county: Here, user: Keeper) -> JSONResponse:
    """Split a parcel by lines across it or as its pieces are drawn."""
    most = county.settings.max_site_vertices
    return _done(county, parcels.split(county.store, parcel_id, asked, user.name, most))


@router.post("/{parcel_id}/adjust", status_code=201)
def adjust(parcel_id: str, asked: parcels.AdjustIn, county: Here, user: Keeper) -> JSONResponse:
    """Move the common boundary of a parcel and its neighbours."""
    most = county.settings.max_site_vertices
    return _done(county, parcels.adjust(county.store, parcel_id, asked, user.name, most))


@router.post("/{parcel_id}/retire", status_code=201)
def retire(parcel_id: str, asked: parcels.RetireIn, county: Here, user: Keeper) -> JSONResponse:
    """Take a parcel from the register."""
    most = county.settings.max_site_vertices
    return _done(county, parcels.retire(county.store, parcel_id, asked, user.name, most))


def _done(county: County, event: Event) -> JSONResponse:
    parcels.audit(county.access, event)
    where = f"/parcels/{(event.children or event.parents)[0]}/history"
    return JSONResponse(parcels.done(county.store, event), 201, {"Location": quote(where)})


def _bbox(said: str | None) -> list[float] | None:
    if said is None:
        return None
    try:
        west, south, east, north = (float(edge) for edge in said.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        fix = "Send west,south,east,north in degrees, for example 108.5,28.0,108.7,28.2"
        raise BadInput("no such window", [Fault("bbox cannot be read", fix, field="bbox")])
    return [west, south, east, north]
