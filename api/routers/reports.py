"""Reports and map sheets as files: PDF, Word, a page, a workbook."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from api.auth import READ, allow
from api.county import County, county_of
from api.reports import docx, html, of_check, of_parcels, of_plan, pdf, xlsx
from api.reports.mapsheet import Paper
from api.reports.model import Report
from api.routers import plans
from layers.access import User
from layers.records import Strict

router = APIRouter(tags=["reports"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]
Form = Literal["pdf", "docx", "html"]
PlanForm = Literal["pdf", "docx", "html", "xlsx"]
Scale = Literal["500", "1000", "2000", "5000", "10000"]


class SheetsIn(Strict):
    """Parcels by id, up to 200; without a scale each gets the finest that fits."""

    parcels: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1)]
    scale: Literal[500, 1000, 2000, 5000, 10000] | None = None
    paper: Paper = "A4"
    points: bool = True
    as_of: date | None = None


@router.get("/checks/{check_id}/report.{kind}", response_class=Response)
def check_report(
    check_id: str,
    kind: Form,
    county: Here,
    user: Reader,
    scale: Annotated[Scale | None, Query(description="Of its map; default: the finest that fits")] = None,
    paper: Annotated[Paper, Query(description="Of its map")] = "A4",
) -> Response:
    """The whole check for signing: conclusion, findings with their law, tables, editions, the map at true scale."""
    scope = county.scope(user)
    check = scope.check(check_id)
    now = county.opinions.on(check)
    made = of_check.report(
        check, county.store, scope, opinions=now["opinions"], remains=now["remains"], paper=paper,
        scale=None if scale is None else int(scale),
    )  # fmt: skip
    county.access.record(user.name, "report", check_id, kind)
    return answered(made, kind, f"check-{check_id}")


@router.get("/plans/{plan_id}/report.{kind}", response_class=Response)
def plan_report(
    plan_id: str, kind: PlanForm, county: Here, user: Reader, paper: Annotated[Paper, Query()] = "A4"
) -> Response:
    """A plan that is done: its map, who stands where and when, pools by year, what is left out and why."""
    plan = plans.read(plan_id, county, user)
    made = of_plan.report(
        plan, county.store, county.scope(user), created_at=str(plan.get("ended_at") or plan["created_at"]),
        projects=plan["asked"]["projects"], paper=paper,
    )  # fmt: skip
    county.access.record(user.name, "report", plan_id, kind)
    return answered(made, kind, f"plan-{plan_id}")


@router.get("/parcels/{parcel_id}/sheet.pdf", response_class=Response)
def parcel_sheet(
    parcel_id: str,
    county: Here,
    user: Reader,
    scale: Annotated[Scale | None, Query(description="Default: the finest that fits")] = None,
    paper: Paper = "A4",
    points: Annotated[bool, Query(description="With the table of boundary points")] = True,
    as_of: date | None = None,
) -> Response:
    """A parcel's map at true scale in the local grid."""
    asked = SheetsIn.model_validate(
        {"parcels": [parcel_id], "scale": scale and int(scale), "paper": paper, "points": points, "as_of": as_of}
    )
    return _sheets(asked, county, user, f"parcel-{parcel_id}")


@router.post("/sheets", response_class=Response)
def parcel_sheets(asked: SheetsIn, county: Here, user: Reader) -> Response:
    """Map sheets of up to 200 parcels as one PDF, in the order asked."""
    return _sheets(asked, county, user, f"sheets-{len(asked.parcels)}")


def _sheets(asked: SheetsIn, county: County, user: User, name: str) -> Response:
    scope = county.scope(user)
    for one in asked.parcels:
        scope.parcel(one)
    made = of_parcels.sheets(
        county.store, asked.parcels, scale=asked.scale, paper=asked.paper, as_of=asked.as_of,
        drawn_on=datetime.now(UTC).date(), scope=scope, points=asked.points,
    )  # fmt: skip
    county.access.record(user.name, "sheets", name, f"{len(made.pages)} sheets")
    return answered(made, "pdf", name)


def answered(made: Report, form: str, name: str) -> Response:
    """A report as a file to keep; the page opens where it is and brings its policy."""
    if form == "html":
        return Response(
            html.write(made), media_type=html.MEDIA_TYPE, headers={"Content-Security-Policy": html.csp(made)}
        )
    write, media_type = {
        "pdf": (pdf.write, pdf.MEDIA_TYPE),
        "docx": (docx.write, docx.MEDIA_TYPE),
        "xlsx": (xlsx.write, xlsx.MEDIA_TYPE),
    }[form]
    named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{name}.{form}', safe='')}"}
    return Response(write(made), media_type=media_type, headers=named)
