"""Networks: what is wrong with them, and what it takes to connect a site."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api.auth import CHECK, READ, allow
from api.county import County, county_of
from api.networks import dressed, network_report
from api.sites import SiteIn, resolve
from layers.access import User
from layers.records import Project, Strict

router = APIRouter(tags=["networks"])
Here = Annotated[County, Depends(county_of)]
Year = Annotated[int, Field(ge=2000, le=2100)]


class ConnectIn(Strict):
    """One project on one site; `for_year` decides which facilities stand."""

    project: Project | None = None
    project_id: str | None = None
    site: SiteIn
    for_year: Year | None = None
    as_of: date | None = None


@router.get("/network/report")
def report(
    county: Here,
    user: Annotated[User, Depends(allow(*READ))],
    for_year: Annotated[int | None, Query(ge=2000, le=2100)] = None,
    as_of: date | None = None,
) -> dict[str, Any]:
    """Roads, lines and mains as networks: their size, their breaks by feature, facilities with missing or impossible
    attributes, and what is planned."""
    return network_report(county.store, as_of, for_year)


@router.post("/connections")
def connections(asked: ConnectIn, county: Here, user: Annotated[User, Depends(allow(*CHECK))]) -> JSONResponse:
    """Which facilities would serve a project on a site, along which way, and at what cost.

    The first question of a county, and of one with new layers, takes some seconds: ways are worked out and kept.
    """
    scope = county.scope(user)
    project = county.project(asked.project, asked.project_id, scope)
    scope.named([asked.site])
    sites = resolve([asked.site], county.store, *county.site_limits, asked.as_of)
    scope.sites(sites)
    world = county.store.at(asked.as_of, asked.for_year)
    found = county.networks.connections(sites[0], project, world)
    county.access.record(user.name, "connections", project.key, "")
    return JSONResponse(dressed(found, sites[0], world))
