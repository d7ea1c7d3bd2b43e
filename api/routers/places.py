"""Where is 慕龙引水工程? Features and projects by their name."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import READ, allow
from api.county import County, county_of
from api.places import EVER, MOST, places
from layers.access import User

router = APIRouter(prefix="/places", tags=["layers"])


@router.get("")
def find(
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*READ))],
    name: Annotated[str, Query(min_length=1, max_length=100, description="Part of a name or an id", examples=["木黄"])],
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> dict[str, Any]:
    """Every named feature whose name or id holds the text, with a point to look at, and the projects."""
    store, scope = county.store, county.scope(user)
    return {"places": places(name, store.at(for_year=EVER), store.layers(), scope.projects(), limit, scope.sees)}
