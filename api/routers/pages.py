"""The pages people open first: the front page, the API documentation and what a problem means."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import jinja2
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse

from api.auth import READ, allow
from api.county import County, county_of
from api.problems import PROBLEMS
from layers.access import User
from layers.errors import UnknownName
from layers.schema import roles

router = APIRouter(include_in_schema=False)
PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
CSP = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; frame-ancestors 'none'"


def rendered(name: str, csp: str = CSP, **parts: object) -> HTMLResponse:
    return HTMLResponse(PAGES.get_template(name).render(**parts), headers={"Content-Security-Policy": csp})


@router.get("/", response_class=HTMLResponse)
def front(county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]) -> HTMLResponse:
    """What is here: the map, the layers that are loaded and those that are missing, the ways in."""
    loaded = county.store.layers()
    have = {layer.role for layer in loaded}
    missing = [role for name, role in roles().items() if name not in have and not role.kept]
    zones = []
    if "zones" in have:
        frame = county.store.frame("zones")
        scope = county.scope(user)
        zones = [
            (str(key), str(name or key))
            for key, name in zip(frame["id"], frame.get("name", frame["id"]), strict=True)
            if scope.holds(str(key))
        ]
    return rendered(
        "front.html",
        county=county.store.name,
        layers=[(roles()[layer.role], layer) for layer in loaded],
        missing=missing,
        zones=zones,
        synthetic=any(layer.synthetic for layer in loaded),
    )


@router.get("/docs", response_class=HTMLResponse)
def docs() -> HTMLResponse:
    """Swagger UI from this process alone."""
    nonce = secrets.token_urlsafe(16)
    csp = (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )
    return rendered("docs.html", csp, nonce=nonce)


@router.get("/problems/{slug}", response_class=HTMLResponse)
def explain(slug: str) -> HTMLResponse:
    """What a problem type means and what to do about it."""
    if slug not in PROBLEMS:
        raise UnknownName(f"no problem type {slug!r}", slug=slug)
    status, zh, en, fix = PROBLEMS[slug]
    return rendered("problem.html", slug=slug, status=status, zh=zh, en=en, fix=fix)


@router.get("/favicon.ico")
def favicon() -> None:
    raise HTTPException(404, "there is no icon")
