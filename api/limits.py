"""Bounds on what one request may bring, kept before anything is parsed. Plain ASGI: nothing is buffered here."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem

UPLOADS = re.compile(r"/uploads|/layers/[a-z_]+")  # where files come in


class BodyLimit:
    """Answer 413 to a body of more than `most` bytes (`most_file` where files come in), said or counted."""

    def __init__(self, app: ASGIApp, most: int, most_file: int) -> None:
        self.app = app
        self.most = most
        self.most_file = most_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.most_file if UPLOADS.fullmatch(scope["path"]) else self.most
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > most:
            refusal = problem("too-large", f"the body is larger than {most:,} bytes")
            await refusal(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise HTTPException(413, f"the body is larger than {most:,} bytes")
            return message

        await self.app(scope, counted, send)


class Crowd:
    """Answer 503 when more than `most` requests are under way; the health pages always get through."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ("/healthz", "/readyz", "/metrics"):
            await self.app(scope, receive, send)
            return
        if self.inside >= self.most:
            busy = problem("busy", f"{self.inside} requests are under way", headers={"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        self.inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.inside -= 1
