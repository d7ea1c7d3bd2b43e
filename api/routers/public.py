"""政务公开: what a county tells of itself to whoever asks, without a key; writing takes a reviewer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from api import public
from api.auth import allow
from api.county import County, county_of
from api.opinions import asker
from api.routers.pages import rendered
from layers.access import User
from layers.errors import Refused

router = APIRouter(prefix="/public", tags=["public"])
Here = Annotated[County, Depends(county_of)]
Reviewer = Annotated[User, Depends(allow("reviewer"))]


@router.get("", response_class=HTMLResponse)
def view(county: Here) -> HTMLResponse:
    """The generalised map and the decided cases. Without a map approval number (审图号) on loopback only."""
    number = county.settings.map_approval_no
    if number is None and not county.settings.on_loopback:
        raise Refused("a public map needs its approval number (审图号): set PARKPLAN_MAP_APPROVAL_NO")
    return rendered(
        "public.html",
        county=county.store.name,
        number=number,
        map=public.drawing(county.store),
        cases=public.cases(county.store),
    )


@router.get("/cases")
def read_all(county: Here) -> dict[str, Any]:
    """The decided cases, those that were withdrawn among them."""
    return {"cases": public.cases(county.store)}


@router.post("/cases", status_code=201)
def publish(asked: public.CaseIn, county: Here, user: Reviewer) -> dict[str, Any]:
    """Publish a decided case; not by the one who asked the check."""
    check = county.scope(user).check(asked.check)
    by = asker(county.store, county.access, asked.check)
    today = datetime.now(UTC).astimezone().date()
    with county.turn:
        case = public.publish(county.store, county.rulebook(), check, by, asked, user, today)
    county.access.record(user.name, "public-case", case["id"], f"{asked.decision} {asked.check}")
    return case


@router.post("/cases/{key}/withdrawals", status_code=201)
def withdraw(key: str, asked: public.WithdrawalIn, county: Here, user: Reviewer) -> dict[str, Any]:
    """Withdraw a case by a further document; the case stays, marked."""
    county.scope(user).check(county.store.load(public.CASE, key)["check"])
    with county.turn:
        case = public.withdraw(county.store, key, asked, user)
    county.access.record(user.name, "public-withdrawal", key, asked.document)
    return case
