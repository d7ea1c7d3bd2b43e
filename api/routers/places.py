"""Where is 慕龙引水工程, and what lies here? Features and projects by their name, features by a point."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import READ, allow
from api.county import County, county_of
from api.identify import identify
from api.places import EVER, MOST, places
from layers.access import User

router = APIRouter(tags=["layers"])


@router.get("/places")
def find(
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*READ))],
    name: Annotated[str, Query(min_length=1, max_length=100, description="Part of a name or an id", examples=["木黄"])],
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> dict[str, Any]:
    """Every named feature whose name or id holds the text, with a point to look at, and the projects."""
    store, scope = county.store, county.scope(user)
    return {"places": places(name, store.at(for_year=EVER), store.layers(), scope.projects(), limit, scope.sees)}


@router.get("/identify")
def at_point(
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*READ))],
    lon: Annotated[float, Query(ge=-180, le=180, examples=[108.41])],
    lat: Annotated[float, Query(ge=-90, le=90, examples=[27.99])],
    tolerance_m: Annotated[float, Query(ge=0, le=500, description="How far from a line or a point counts")] = 5.0,
) -> dict[str, Any]:
    """Every feature at a point, layer by layer, with its attributes."""
    store = county.store
    sees = county.scope(user).sees
    return {"at": [lon, lat], "layers": identify(lon, lat, tolerance_m, store.at(for_year=EVER), store.layers(), sees)}
