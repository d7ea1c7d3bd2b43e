"""供地: what was approved and is not supplied, and what was supplied and stands idle."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import READ, allow
from api.county import County, county_of
from api.supply import listed
from layers.access import User

router = APIRouter(prefix="/supply", tags=["reservations"])


@router.get("")
def read_all(
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*READ))],
    on: Annotated[date | None, Query(description="The day to count to; default: today")] = None,
) -> dict[str, Any]:
    """批而未供 and 闲置土地 with the days that come next, those with a warning first."""
    ledger = county.store.ledger
    return listed(ledger, on or ledger.clock().date(), county.scope(user).holds_ground)
