"""Reservations: ground, quota and capacity held together, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Response

from api import reservations
from api.auth import READ, allow
from api.books import Ready, written
from api.county import County, county_of
from api.scope import Scope
from layers.access import User
from layers.errors import GroundTaken
from layers.ledger.states import STATE_NAMES

router = APIRouter(prefix="/reservations", tags=["reservations"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]
Planner = Annotated[User, Depends(allow("planner"))]
Either = Annotated[User, Depends(allow("planner", "reviewer"))]
OnceKey = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


@router.post("", status_code=201)
async def create(asked: reservations.ReservationIn, county: Here, user: Planner, idempotency_key: OnceKey) -> Response:
    """Take ground, quota and capacity together or not at all. 不构成供地承诺."""
    return _answer(
        await _done(county, user, lambda scope: reservations.create(county, asked, scope, idempotency_key)), 201
    )


async def _done(county: County, user: User, make: Callable[[Scope], Ready | str]) -> str:
    """What a request of the books is answered, in words for who asked, and on record: made ready in its turn, written
    together with the others."""

    def prepared() -> tuple[Scope, Ready | str]:
        scope = county.scope(user)
        return scope, make(scope)

    scope, ready = await county.at_the_desk(prepared)
    if isinstance(ready, str):
        return ready
    try:
        return await written(county.store.ledger, ready, county.access, user.name)
    except GroundTaken as error:
        raise (error if scope.is_all else await run_sync(scope.taken, error)) from error


@router.get("")
def read_all(
    county: Here,
    user: Reader,
    state: Annotated[list[str] | None, Query(description=f"Any of {', '.join(STATE_NAMES)}", max_length=20)] = None,
    after: Annotated[str, Query(max_length=100, description="The `next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Reservations in the order they were made, those of some states or all."""
    return reservations.page(county.store, county.scope(user), state or (), after, limit)


@router.get("/{reservation_id}")
def read(reservation_id: str, county: Here, user: Reader) -> Response:
    """A reservation as it stands; its `ETag` is what a transition sends as `If-Match`."""
    return _answer(reservations.read(county.store, county.scope(user), reservation_id), 200)


@router.get("/{reservation_id}/entries")
def history(reservation_id: str, county: Here, user: Reader) -> dict[str, Any]:
    """Every entry that made it what it is."""
    return reservations.history(county.store, county.scope(user), reservation_id)


@router.post("/{reservation_id}/transitions")
async def turn(
    reservation_id: str,
    asked: reservations.TransitionIn,
    county: Here,
    user: Either,
    if_match: Annotated[str | None, Header(alias="If-Match", max_length=100)] = None,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)] = None,
) -> Response:
    """apply, return, approve, reject, withdraw, release, extend, revoke, supply, progress, commission."""

    def make(scope: Scope) -> Ready | str:
        return reservations.turn(county, reservation_id, asked, scope, if_match, idempotency_key)

    return _answer(await _done(county, user, make), 200)


def _answer(text: str, status: int) -> Response:
    headers = {"ETag": reservations.etag(text)}
    if status == 201:
        headers["Location"] = f"/reservations/{reservations.id_of(text)}"
    return Response(text, status, headers, "application/json")
