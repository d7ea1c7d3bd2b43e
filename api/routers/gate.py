"""Pages that a browser opens by itself, without a key to send: an open shell takes their place and fetches them.

The shell holds nothing of the county. Its script has the key of the tab, as the workbench keeps it, or asks for one and
sends it in the header alone: no key in an address, a history, a log or a cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from api import maps
from api.routers.pages import rendered


class Gated(APIRoute):
    """A route whose 401 is the shell where a person's browser asks for a page; a program is told the problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        plain = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                answer = await plain(request)
            except HTTPException as error:
                if error.status_code != 401 or not _is_opened(request):
                    raise
                answer = shell()
            answer.headers.append("Vary", "Accept, Authorization")
            return answer

        return handler


def _is_opened(request: Request) -> bool:
    """Whether a browser opens the address itself: it asks for a page and brought nothing to be known by."""
    wanted = request.headers.get("accept", "").partition(",")[0].partition(";")[0].strip()
    return wanted == "text/html" and "authorization" not in request.headers


def shell() -> Response:
    """The shell, under the policy of the map pages it will hold."""
    nonce = secrets.token_urlsafe(16)
    answer = rendered("gate.html", maps.csp(nonce), nonce=nonce)
    answer.status_code = 401
    answer.headers["WWW-Authenticate"] = "Bearer"
    answer.headers["Cache-Control"] = "no-store"
    return answer
