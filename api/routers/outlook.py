"""The land reserve outlook, as JSON, as a page and as a workbook."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import Field

from api import outlook_xlsx
from api.auth import READ, allow
from api.county import County, county_of
from api.outlook import seen
from api.outlook_page import page
from api.routers.gate import Gated
from api.routers.pages import rendered
from api.xlsx import MEDIA_TYPE
from layers.access import User
from layers.records import Strict

router = APIRouter(tags=["outlook"], route_class=Gated)
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]


class Asked(Strict):
    """`zone` by id or name; `as_of` the county as it stood and the states as they were on a day."""

    zone: Annotated[str, Field(max_length=200)] | None = None
    as_of: date | None = None


@router.get("/outlook", response_model=None, responses={200: {"content": {"text/html": {}}}})
def outlook(asked: Annotated[Asked, Query()], request: Request, county: Here, user: Reader) -> Response:
    """Buildable land left in each zone, the library's demand by year, the readiness of plots; a page where `Accept`
    asks for HTML first."""
    if request.headers.get("accept", "").partition(";")[0].partition(",")[0].strip() == "text/html":
        page_ = outlook_page(asked, county, user)
        page_.headers["Vary"] = "Accept"
        return page_
    return JSONResponse(_seen(asked, county, user), headers={"Vary": "Accept"})


@router.get("/outlook.html", response_class=HTMLResponse)
def outlook_page(asked: Annotated[Asked, Query()], county: Here, user: Reader) -> HTMLResponse:
    """The same as a page with the waterfall drawn."""
    return rendered("outlook.html", **page(_seen(asked, county, user)))


@router.get("/outlook.xlsx", response_class=Response)
def outlook_workbook(asked: Annotated[Asked, Query()], county: Here, user: Reader) -> Response:
    """The same as a workbook."""
    content = outlook_xlsx.workbook(_seen(asked, county, user))
    return Response(
        content, media_type=MEDIA_TYPE, headers={"Content-Disposition": 'attachment; filename="outlook.xlsx"'}
    )


def _seen(asked: Asked, county: County, user: User) -> dict[str, Any]:
    scope = county.scope(user)
    if asked.zone is not None:
        scope.zone(asked.zone)
    return seen(county.outlooks.get(asked.as_of, asked.zone), scope)
