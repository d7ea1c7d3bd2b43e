"""Is the process alive, can it answer, what has it done."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.auth import allow
from api.county import County, county_of
from layers.access import ROLES, User
from layers.errors import ParkError
from layers.reading import state as sandbox

router = APIRouter(tags=["service"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(county: Annotated[County, Depends(county_of)]) -> JSONResponse:
    """The county file can be read and the rulebook is loaded; which walls stand around readers of uploads."""
    state: dict[str, Any] = {"sandbox": sandbox()}
    try:
        state["layers"] = len(county.store.layers())
        state["rulebook"] = county.rulebook().digest
        return JSONResponse({"status": "ready", **state})
    except ParkError as error:
        return JSONResponse({"status": "not ready", "detail": error.message, **state}, status_code=503)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus text. Keep it inside the office: the reverse proxy should not publish it."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/whoami")
def whoami(user: Annotated[User, Depends(allow(*ROLES))]) -> dict[str, Any]:
    """Who the key says you are; `zones` null are all of them."""
    return {"name": user.name, "role": user.role, "zones": None if user.zones is None else sorted(user.zones)}
