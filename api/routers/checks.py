"""Siting checks: may this project stand on this land?"""

from __future__ import annotations

from datetime import date
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from api import xlsx
from api.auth import CHECK, READ, allow
from api.county import County, county_of
from api.history import Verdict, Wanted, lonlat_of
from api.parcels import standing
from api.recheck import recheck
from api.sites import SiteIn, resolve
from layers.access import User
from layers.errors import TooLarge
from layers.records import Project, Purpose, Strict

router = APIRouter(prefix="/checks", tags=["checks"])
Year = Annotated[int, Field(ge=2000, le=2100)]
WaysOut = Annotated[bool, Query(description="Work out what would make it pass, each way checked again")]
MOST_MENDED = 100  # sites of a batch with ways out, which take far longer than the check


class CheckIn(Strict):
    """One project on one site."""

    project: Project | None = None
    project_id: str | None = None
    site: SiteIn
    purpose: Purpose = "screening"
    for_year: Year | None = None
    as_of: date | None = None


class BatchIn(Strict):
    """One project on many sites, answered in their order."""

    project: Project | None = None
    project_id: str | None = None
    sites: Annotated[list[SiteIn], Field(min_length=1)]
    purpose: Purpose = "screening"
    for_year: Year | None = None
    as_of: date | None = None


class ListIn(Strict):
    """Which checks. `project` by id or part of its name; `parcel` also finds ground that was drawn over it; `after` is
    the `next` of the page before."""

    project: Annotated[str, Field(max_length=200)] | None = None
    parcel: Annotated[str, Field(max_length=200)] | None = None
    since: date | None = None
    until: date | None = None
    verdict: Verdict | None = None
    purpose: Purpose | None = None
    after: Annotated[str, Field(max_length=40)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


@router.get("")
def read_all(
    asked: Annotated[ListIn, Query()],
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*READ))],
) -> dict[str, Any]:
    """The checks already made in the user's zones, the newest first, without their findings."""
    scope = county.scope(user)
    wanted = Wanted(asked.project, asked.since, asked.until, asked.verdict, asked.purpose)
    if asked.parcel is None:
        rows = iter(county.history.newest_first())
    else:
        scope.parcel(asked.parcel)
        there = standing(county.store.fabric, asked.parcel, None)
        rows = county.history.on(lonlat_of(there.geometry, county.store.crs), asked.parcel)
    fit = (
        one
        for one in rows
        if (asked.after is None or one["id"] < asked.after) and wanted.fits(one) and scope.sees_check(one["zones"])
    )
    found = list(islice(fit, asked.limit + 1))
    return {"checks": found[: asked.limit], "next": found[asked.limit - 1]["id"] if len(found) > asked.limit else None}


@router.post("", status_code=201)
def create(
    asked: CheckIn,
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*CHECK))],
    remedies: WaysOut = False,
) -> Response:
    """Check one site. A blocked site is an answer (201 with its verdict), not an error."""
    scope = county.scope(user)
    project = county.project(asked.project, asked.project_id, scope)
    scope.named([asked.site])
    sites = resolve([asked.site], county.store, *county.site_limits, asked.as_of)
    scope.sites(sites)
    with county.turn:
        found, text = county.check_and_keep(
            sites[0], project, asked.purpose, asked.as_of, asked.for_year, by=user.name,
            ways_out=remedies and scope.offers,
        )  # fmt: skip
    return Response(text, 201, {"Location": f"/checks/{found['id']}"}, "application/json")


@router.post("/batch")
def batch(
    asked: BatchIn,
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow(*CHECK))],
    remedies: WaysOut = False,
) -> JSONResponse:
    """Check up to 1,000 sites at once, answered in order. The answers are not kept."""
    most = min(county.settings.max_batch_sites, MOST_MENDED) if remedies else county.settings.max_batch_sites
    if len(asked.sites) > most:
        raise TooLarge(f"{len(asked.sites):,} sites are more than {most:,}", sites=len(asked.sites), most=most)
    scope = county.scope(user)
    project = county.project(asked.project, asked.project_id, scope)
    scope.named(asked.sites)
    sites = resolve(asked.sites, county.store, *county.site_limits, asked.as_of)
    scope.sites(sites)
    found = county.check(sites, project, asked.purpose, asked.as_of, asked.for_year, remedies and scope.offers)
    county.access.record(user.name, "check-batch", project.key, f"{len(found)} sites")
    return JSONResponse({"checks": found})


@router.get("/{check_id}")
def read(
    check_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    """A check as it was answered, which never changes, with the opinions on it and what they leave open."""
    return county.opinions.on(county.scope(user).check(check_id))


@router.post("/{check_id}/recheck")
def check_again(
    check_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    """The same question on the layer versions, balances and rules it saw: does it still give the same answer?"""
    county.scope(user).check(check_id)
    found = recheck(county.store, check_id)
    county.access.record(user.name, "recheck", check_id, "same" if found["same"] else "differs")
    return found


@router.get("/{check_id}/report.geojson", response_class=Response)
def report_geojson(
    check_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> JSONResponse:
    """The site and the evidence of every finding as one feature collection."""
    return JSONResponse(as_features(county.scope(user).check(check_id)), media_type="application/geo+json")


@router.get("/{check_id}/report.xlsx", response_class=Response)
def report_xlsx(
    check_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> Response:
    """The tables of the occupation review as a workbook."""
    content = xlsx.workbook(county.scope(user).check(check_id))
    named = {"Content-Disposition": f'attachment; filename="check-{check_id}.xlsx"'}
    return Response(content, media_type=xlsx.MEDIA_TYPE, headers=named)


def as_features(check: dict[str, Any]) -> dict[str, Any]:
    """A check as a GeoJSON feature collection: the site first, then what each finding points at."""
    site = {"verdict": check["verdict"], "conclusion": check["conclusion"]["zh"], "area_m2": check["site"]["area_m2"]}
    kept = ("rule", "status", "severity", "value", "limit", "unit", "margin", "basis")
    features = [{"type": "Feature", "id": check["id"], "geometry": check["site"]["geometry"], "properties": site}]
    features += [
        {
            "type": "Feature",
            "geometry": finding["evidence"],
            "properties": {**{name: finding[name] for name in kept}, "message": finding["message"]["zh"]},
        }
        for finding in check["findings"]
        if finding["evidence"] is not None
    ]
    return {"type": "FeatureCollection", "features": features}
