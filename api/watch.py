"""Count and time requests by route, and set the headers every answer carries. Plain ASGI, so that errors raised
while a body is read reach their handler as they are."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Watch:
    """The innermost middleware: it knows the route that answered."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        by = ["method", "route"]
        self.seconds = Histogram("parkplan_request_seconds", "Time to answer", by, registry=registry)
        self.answers = Counter("parkplan_answers", "Answers by status", [*by, "status"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, dressed)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self.seconds.labels(scope["method"], route).observe(time.perf_counter() - start)
            self.answers.labels(scope["method"], route, str(status)).inc()
