"""Networks: what is wrong with them, and what it takes to connect a site."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import numpy as np
import shapely
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from pyproj import CRS

from api.auth import CHECK, READ, allow
from api.county import County, county_of
from api.networks import as_features, dressed, network_report
from api.sites import Crs, Position, SiteIn, resolve
from layers.access import User
from layers.crs import LONLAT, parse_cached, transform
from layers.records import Part, Project, Site, Strict

router = APIRouter(tags=["networks"])
Here = Annotated[County, Depends(county_of)]
Year = Annotated[int, Field(ge=2000, le=2100)]


class EntranceIn(Strict):
    """Where one enters a site: lon/lat unless `crs` says otherwise."""

    coordinates: Position
    crs: Crs | None = None

    def at(self, crs: CRS) -> shapely.Point:
        """In a county's CRS."""
        point = np.array([shapely.Point(self.coordinates[:2])], dtype=object)
        moved: shapely.Point = transform(point, parse_cached(self.crs or LONLAT), crs)[0]
        return moved


class ConnectIn(Strict):
    """One project on one site; `for_year` decides which facilities stand. The access road begins at the `entrance`."""

    project: Project | None = None
    project_id: str | None = None
    site: SiteIn
    entrance: EntranceIn | None = None
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
    way_in = None if asked.entrance is None else asked.entrance.at(county.store.crs)
    found = county.networks.connections(sites[0], project, world, way_in)
    county.access.record(user.name, "connections", project.key, "")
    return JSONResponse(dressed(*found, sites[0], world))


@router.get("/checks/{check_id}/connections", response_class=Response)
def of_check(check_id: str, county: Here, user: Annotated[User, Depends(allow(*READ))]) -> JSONResponse:
    """The connections of a check's site and project as GeoJSON for a map: the site, its entrance, every way with who
    serves, what it costs and of what that is made. On the county as of the day and for the year of the check."""
    check = county.scope(user).check(check_id)
    given = county.store.load("check_seen", check_id)
    site = Site.of(*(Part(shapely.from_wkb(one["wkb"]), one["parcel"], one["plot"]) for one in given["parts"]))
    world = county.store.at(date.fromisoformat(check["as_of"]), check["for_year"])
    found = county.networks.connections(site, Project.model_validate(check["project"]), world)
    return JSONResponse(as_features(dressed(*found, site, world)), media_type="application/geo+json")
