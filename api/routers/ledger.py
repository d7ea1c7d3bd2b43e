"""The journal: every entry that was ever made, and the proof that it holds."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api import books
from api.auth import READ, allow
from api.county import County, county_of
from layers.access import User
from layers.ledger.verify import verify

router = APIRouter(prefix="/ledger", tags=["ledger"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]


@router.get("/entries")
def entries(
    county: Here,
    user: Reader,
    account: Annotated[str | None, Query(max_length=200)] = None,
    after: Annotated[int, Query(ge=0, le=books.SQL_MAX, description="The `next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> dict[str, Any]:
    """The entries of an account (default: all), in their order."""
    return books.entries(county.store.ledger, account, after, limit, sees=county.scope(user).entry)


@router.get("/verify")
def proven(county: Here, user: Reader) -> dict[str, Any]:
    """Chain, balances, transitions and ground told again from the first entry; the first thing that does not hold."""
    return books.verified(verify(county.store.ledger, county.access.witnessed()))
