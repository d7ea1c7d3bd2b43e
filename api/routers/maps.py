"""Maps as pages that load nothing from elsewhere."""

from __future__ import annotations

import secrets
from datetime import date
from typing import Annotated

import geopandas as gpd
import numpy as np
import shapely
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from api import changes, maps
from api.auth import READ, allow
from api.county import County, county_of
from api.parcels import lineage, standing
from api.plan_map import plan_chart
from api.relief import relief
from api.routers.gate import Gated
from api.scope import Scope
from api.sheets import AROUND, OVERVIEW, around, intended, lonlat, sheets
from layers.access import User
from layers.crs import LONLAT, parse_cached, transform
from layers.errors import UnknownName
from layers.fabric import frame as frame_of
from layers.store import Store

KIN = (("id", "宗地代码 Parcel"), ("since", "自 Since"), ("until", "至 Until"))
router = APIRouter(prefix="/maps", tags=["maps"], route_class=Gated)
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]


@router.get("/overview", response_class=HTMLResponse)
def overview(county: Here, user: Reader) -> HTMLResponse:
    """The whole county."""
    return dressed(overview_chart(county.store, county.scope(user), tiled=True))


@router.get("/zones/{zone_id}", response_class=HTMLResponse)
def zone(zone_id: str, county: Here, user: Reader) -> HTMLResponse:
    """One park zone and its surroundings, by id or name."""
    scope = county.scope(user)
    scope.zone(zone_id)
    return dressed(zone_chart(county.store, zone_id, scope, tiled=True))


@router.get("/parcels/{parcel_id}", response_class=HTMLResponse)
def parcel(
    parcel_id: str,
    county: Here,
    user: Reader,
    as_of: Annotated[date | None, Query(description="As it stood on this day; default: as it stands")] = None,
) -> HTMLResponse:
    """One parcel and its surroundings, with the parcels it came of and those it became."""
    scope = county.scope(user)
    scope.parcel(parcel_id)
    return dressed(parcel_chart(county.store, parcel_id, as_of, scope, tiled=True))


@router.get("/checks/{check_id}", response_class=HTMLResponse)
def check(check_id: str, county: Here, user: Reader) -> HTMLResponse:
    """A siting check: the site, what each finding points at, and the findings in words."""
    scope = county.scope(user)
    return dressed(check_chart(county.store, scope.check(check_id), scope, tiled=True))


@router.get("/plans/{plan_id}", response_class=HTMLResponse)
def plan(plan_id: str, county: Here, user: Reader) -> HTMLResponse:
    """A joint plan that is done: sites by project, what waits, who is left out and why."""
    return dressed(plan_chart(county.store, county.plan(plan_id, user), county.scope(user), tiled=True))


@router.get("/layers/{role}/diff", response_class=HTMLResponse)
def diff(
    role: str,
    county: Here,
    user: Reader,
    old: Annotated[int | None, Query(alias="from", ge=1)] = None,
    new: Annotated[int | None, Query(alias="to", ge=1)] = None,
) -> HTMLResponse:
    """What changed between two versions of a layer (default: the last two)."""
    return dressed(changes.chart(county.store, *changes.versions(county.store, role, old, new)))


def overview_chart(store: Store, scope: Scope | None = None, *, tiled: bool = False) -> maps.Chart:
    elevation = store.at().raster("dem")
    image = relief(elevation, store.crs) if elevation is not None else None
    library = store.list("project") if scope is None else scope.projects()
    drawn = [*sheets(store, OVERVIEW, scope=scope, tiled=tiled), *intended(store, library)]
    return maps.overview(f"{store.name} 总图 Overview", drawn, image=image)


def zone_chart(store: Store, zone_id: str, scope: Scope | None = None, *, tiled: bool = False) -> maps.Chart:
    """One park zone with what lies within a kilometre of it."""
    frame = store.frame("zones")
    mine = frame[(frame["id"] == zone_id) | (frame.get("name") == zone_id)]
    if mine.empty:
        raise UnknownName(f"no zone {zone_id!r}", zone_id=zone_id)
    box = around(mine.geometry.union_all(), 1_000.0)
    name = str(mine.iloc[0].get("name") or mine.iloc[0]["id"])
    return maps.zone(name, lonlat(mine), sheets(store, AROUND, box, scope=scope, tiled=tiled))


def parcel_chart(
    store: Store, parcel_id: str, as_of: date | None, scope: Scope | None = None, *, tiled: bool = False
) -> maps.Chart:
    mine = standing(store.fabric, parcel_id, as_of)
    around_it = sheets(store, AROUND, around(mine.geometry, 800.0), as_of, scope, tiled=tiled)
    kin = [
        maps.Sheet(role, zh, en, lonlat(frame), KIN, shown=False)
        for role, zh, en, frame in lineage(store, mine)
        if not frame.empty
    ]
    day = f"（{as_of}）" if as_of else ""
    own = lonlat(frame_of([mine], store.crs))
    this = maps.Sheet("site", "本宗地", "This parcel", own, KIN[:1])
    return maps.overview(f"宗地 {parcel_id}{day}", [*around_it, *kin, this], focus=own)


def check_chart(
    store: Store, found: dict[str, object], scope: Scope | None = None, *, tiled: bool = False
) -> maps.Chart:
    """The map of a check that was answered, with the layers around its site as they are now."""
    drawn = gpd.GeoDataFrame.from_features([{"geometry": found["site"]["geometry"], "properties": {}}])  # type: ignore[index]
    shape = np.array([drawn.geometry.iloc[0]], dtype=object)
    site: shapely.Geometry = transform(shape, parse_cached(LONLAT), store.crs)[0]
    return maps.check_map(found, sheets(store, AROUND, around(site, 1_500.0), scope=scope, tiled=tiled))


def dressed(chart: maps.Chart) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    return HTMLResponse(maps.page(chart, nonce=nonce), headers={"Content-Security-Policy": maps.csp(nonce)})
