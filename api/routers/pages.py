"""The small pages: the API documentation and what a problem means."""

from __future__ import annotations

import secrets
from pathlib import Path

import jinja2
from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from api.problems import PROBLEMS
from layers.errors import UnknownName

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
