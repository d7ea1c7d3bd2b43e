"""Tiles for web maps, each user's own: what their zones hide is not in them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from api import pictures, tiles
from api.auth import READ, allow
from api.county import County, county_of
from gis.web_tiles import Tile
from layers.access import User

router = APIRouter(prefix="/tiles", tags=["tiles"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]
Number = Annotated[int, Path(ge=0, le=2**30)]
MVT = "application/vnd.mapbox-vector-tile"
# Whoever keeps a tile asks whether it still stands, and keeps it for this user alone.
CACHED = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}


@router.get("/{role}.json")
def describe(role: str, county: Here, user: Reader) -> dict[str, Any]:
    """TileJSON 3.0 of a layer, with the fields that its features carry, or of a picture (`hillshade`, `slope`,
    `suitability`), with its legend."""
    if role in pictures.TITLES:
        return county.pictures.described(role)
    view = county.tiles.view(role, lambda: county.scope(user))
    return county.tiles.described(role, view)


@router.get("/{role}/{z}/{x}/{y}.mvt", response_class=Response)
async def vector(role: str, z: Number, x: Number, y: Number, county: Here, user: Reader, request: Request) -> Response:
    """A vector tile of web mercator with one layer named as the role. 204 where nothing is in it."""
    tile = tiles.of(role, z, x, y)
    stored = county.tiles.at_hand(role, tile)  # a hop to another thread would cost more than it does
    if stored is None or "gzip" not in request.headers.get("accept-encoding", ""):
        return await run_in_threadpool(_drawn, role, tile, county, user, request)
    key, body = stored
    headers = {**CACHED, "ETag": f'W/"{key}"'}
    if _known(request, key):
        return Response(status_code=304, headers=headers)
    if not body:
        return Response(status_code=204, headers=headers)
    return Response(body, media_type=MVT, headers=headers | {"Content-Encoding": "gzip"})


def _drawn(role: str, tile: Tile, county: County, user: User, request: Request) -> Response:
    view = county.tiles.view(role, lambda: county.scope(user))
    headers = {**CACHED, "ETag": f'W/"{view.key}"'}
    if _known(request, view.key):
        return Response(status_code=304, headers=headers)
    wants = "gzip" in request.headers.get("accept-encoding", "")
    body, encoding = county.tiles.vector(view, tile, lambda: county.scope(user), gzipped=wants)
    if not body:
        return Response(status_code=204, headers=headers)
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    return Response(body, media_type=MVT, headers=headers)


@router.get("/{picture}/{z}/{x}/{y}.png", response_class=Response)
def picture(
    picture: pictures.Name, z: Number, x: Number, y: Number, county: Here, user: Reader, request: Request
) -> Response:
    """A tile of 256 x 256 pixels. 204 where nothing is drawn."""
    tile = tiles.of(picture, z, x, y)
    key = county.pictures.key(picture)
    headers = {**CACHED, "ETag": f'W/"{key}"'}
    if _known(request, key):
        return Response(status_code=304, headers=headers)
    body = county.pictures.tile(picture, key, tile)
    if not body:
        return Response(status_code=204, headers=headers)
    return Response(body, media_type="image/png", headers=headers)


def _known(request: Request, key: str) -> bool:
    """Whether the caller holds this very version (`If-None-Match`, which compares weakly)."""
    asked = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    return "*" in tags or f'"{key}"' in tags
