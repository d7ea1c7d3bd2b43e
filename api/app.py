"""The service: `create_app(settings)` puts the routers together. Importing this module does nothing."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.staticfiles import PathLike

from api import problems
from api.county import County
from api.limits import BodyLimit, Crowd
from api.routers import (
    audit,
    checks,
    health,
    imports,
    layers,
    ledger,
    maps,
    networks,
    opinions,
    outlook,
    pages,
    parcels,
    places,
    plans,
    projects,
    public,
    quotas,
    reports,
    reservations,
    supply,
    tiles,
    uploads,
    users,
    workbench,
)
from api.settings import Settings
from api.tokens import Tokens
from api.trail import Refusals, Trail
from api.tries import Tries
from api.watch import Watch
from api.witness import Witness
from layers.access import Access
from layers.errors import ParkError, Refused
from layers.places import beside
from layers.store import open_store

# The writer of the books asks for the interpreter after each statement: at 5 ms each it would be the slowest of all.
TURN_S = 0.001
STATIC = Path(__file__).parent / "static"
# a worker lives under the policy its script came with: the map's fetches tiles from here
WORKER_CSP = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"


class Static(StaticFiles):
    """Files of the pages; scripts with the policy of the workers they may become."""

    def file_response(self, full_path: PathLike, *more: Any, **named: Any) -> Response:
        answer = super().file_response(full_path, *more, **named)
        if str(full_path).endswith((".js", ".mjs")):
            answer.headers["Content-Security-Policy"] = WORKER_CSP
        return answer


def _warm(county: County) -> None:
    county.warm()
    gc.collect()
    sys.setswitchinterval(TURN_S)
    gc.freeze()  # what is there for good is not looked through again and again: 130 ms in which nobody is answered


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application over one county. Refused where it would be open to a network without users."""
    chosen = settings if settings is not None else Settings()  # type: ignore[call-arg]
    tokens = Tokens.of(chosen)
    store = open_store(chosen.county)
    access = Access(beside(chosen.county))
    if not chosen.on_loopback and tokens is None and not access.has_users():
        store.close()
        access.close()
        raise Refused(
            f"binding to {chosen.host} would open the county to the network without users; "
            "add one first: parkplan users COUNTY add NAME --role reviewer"
        )

    county = County(store, access, chosen)
    witness = Witness(store, access)
    refusals = Refusals(access.record)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        warming = Thread(target=_warm, args=(county,))  # the first caller should not wait for the layers
        warming.start()
        county.plans.start()
        yield
        county.plans.stop()
        warming.join()
        refusals.flush()
        with suppress(ParkError):  # what was seen before stays
            witness.keep()
        store.close()
        access.close()

    app = FastAPI(
        title="ParkPlan 园区选址规划",
        version=version("parkplan"),
        summary="May this project stand on this land, and why. 地块合规审查与选址",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = chosen
    app.state.access = access
    app.state.tokens = tokens
    app.state.tries = Tries()
    app.state.refusals = refusals
    app.state.county = county
    app.state.registry = CollectorRegistry()
    problems.install(app)
    registry = (
        tiles,  # first: routes are tried one by one, and no other is asked for by the hundred
        workbench,
        pages,
        health,
        checks,
        opinions,
        projects,
        parcels,
        quotas,
        ledger,
        reservations,
        supply,
        layers,
        places,
        imports,
        uploads,
        maps,
        networks,
        outlook,
        plans,
        reports,
        public,
        users,
        audit,
    )
    for router in registry:  # their routes stand side by side: a router within a router is asked twice
        app.router.routes.extend(router.router.routes)
    app.mount("/static", GZipMiddleware(Static(directory=STATIC), minimum_size=1_000, compresslevel=6), name="static")
    if chosen.on_loopback:  # a page from elsewhere whose name was made to point here must not speak as the demo planner
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    app.add_middleware(Trail, access=access, refusals=refusals)
    app.add_middleware(Watch, registry=app.state.registry)
    app.add_middleware(BodyLimit, most=chosen.max_body_bytes, most_file=chosen.max_upload_bytes)
    app.add_middleware(Crowd, most=chosen.max_requests_at_once)
    return app
