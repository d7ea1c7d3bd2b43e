"""The workbench at `/`: an empty page for everybody, what fills it for those who may read."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from api import workbench
from api.auth import DEMO, DEMO_DEFAULT, READ, allow, is_demo
from api.catalogue import FIRST, LANGUAGES, catalogue
from api.county import County, county_of
from api.routers.pages import rendered
from layers.access import User

router = APIRouter(include_in_schema=False)
VENDOR = "/static/vendor"
IMPORTS = json.dumps(
    {
        "imports": {
            "maplibre-gl": f"{VENDOR}/maplibre-gl/dist/maplibre-gl.mjs",
            "terra-draw": f"{VENDOR}/terra-draw/dist/terra-draw.module.js",
            "terra-draw-maplibre-gl-adapter": (
                f"{VENDOR}/terra-draw-maplibre-gl-adapter/dist/terra-draw-maplibre-gl-adapter.module.js"
            ),
        }
    }
)
HASH = base64.b64encode(hashlib.sha256(IMPORTS.encode()).digest()).decode()
CSP = (
    f"default-src 'none'; script-src 'self' 'sha256-{HASH}'; style-src 'self'; worker-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/", response_class=HTMLResponse)
def page(request: Request, lang: Annotated[str, Query(max_length=20)] = FIRST) -> HTMLResponse:
    """The page alone. It asks for a key where one is needed; the demo's people are named where they may come in."""
    words = catalogue(lang)
    people = [{"key": key, "role": one.role, "zones": sorted(one.zones or ())} for key, one in DEMO.items()]
    return rendered(
        "workbench.html",
        CSP,
        t=words.__getitem__,
        lang=lang if lang in LANGUAGES else FIRST,
        imports=IMPORTS,
        people=people if is_demo(request) else [],
        default=DEMO_DEFAULT.name,
    )


@router.get("/workbench.json")
def setup(
    county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    """The county, its zones and the styles of its layers."""
    return workbench.setup(county.store, county.scope(user))
