"""One parcel's dossier."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.answers import dossier
from api.auth import READ, allow
from api.county import County, county_of
from layers.access import User
from layers.errors import UnknownName

router = APIRouter(prefix="/parcels", tags=["parcels"])


@router.get("/{parcel_id}")
def read(
    parcel_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    """A parcel's boundary, areas, attributes, zones, land use and what it stands on."""
    frame = county.store.frame("parcels", ids=[parcel_id])
    if frame.empty:
        raise UnknownName(f"no parcel {parcel_id!r}", parcel_id=parcel_id)
    return dossier(frame, county.store.at())
