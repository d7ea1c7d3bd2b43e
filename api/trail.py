"""Every request leaves its trail: an id of its own, every write and every read of a decision in the audit log, and
what was refused, counted by the minute so that a flood cannot fill the disk. Plain ASGI."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from layers.access import ORIGIN, Access, Origin
from layers.errors import NoRoom, StoreBroken

log = logging.getLogger(__name__)
SAFE = ("GET", "HEAD", "OPTIONS")
# read: on record, too
DECISIONS = (
    "/checks/",
    "/maps/checks/",
    "/plans/",
    "/maps/plans/",
    "/reservations",
    "/ledger/entries",
    "/supply",
    "/audit",
)
MOST_KINDS = 20  # refusals of one minute that get a row of their own; the others are counted together


class Trail:
    """Between the routes and `Watch`. An answer that cannot be put on record is not given."""

    def __init__(self, app: ASGIApp, access: Access, refusals: Refusals) -> None:
        self.app = app
        self.access = access
        self.refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        origin = Origin(secrets.token_hex(8), client[0] if client else "", "-", "")
        token = ORIGIN.set(origin)
        withheld = False

        async def recorded(message: Message) -> None:
            nonlocal withheld
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = origin.request
                try:
                    await self._record(scope, message["status"], origin)
                except StoreBroken as error:
                    log.error("the audit log cannot be written", exc_info=error)
                    withheld = True
                    slug = "no-room" if isinstance(error, NoRoom) else "store-broken"
                    answer = problem(slug, "the audit log cannot be written, so that nothing is answered")
                    await answer(scope, receive, send)
            if not withheld:
                await send(message)

        try:
            await self.app(scope, receive, recorded)
        finally:
            ORIGIN.reset(token)

    async def _record(self, scope: Scope, status: int, origin: Origin) -> None:
        if self.refusals.is_due:
            await run_in_threadpool(self.refusals.flush)
        route = getattr(scope.get("route"), "path", None)
        action = f"{scope['method']} {route or 'unmatched'}"
        subject = " ".join(str(one) for one in scope.get("path_params", {}).values())
        is_kept = route is not None and (scope["method"] not in SAFE or route.startswith(DECISIONS))
        if status in (401, 403, 429) or (status == 404 and is_kept):  # another zone's ids are asked for by number, too
            await run_in_threadpool(self.refusals.add, origin, action, subject, status)
        elif is_kept and not 400 <= status < 500 and not origin.written:
            await run_in_threadpool(self.access.record, origin.actor, action, subject, str(status))


class Refusals:
    """The first refusal of a kind (address, who, answer) in a minute is written at once, the others are counted and
    written as one row when the minute is over: at most `2 * (MOST_KINDS + 1)` rows a minute and process."""

    def __init__(
        self, record: Callable[[str, str, str, str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._record = record
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._seen: dict[tuple[str, str, int], tuple[Origin, int]] = {}

    @property
    def is_due(self) -> bool:
        return bool(self._seen) and self._now() != self._minute

    def add(self, origin: Origin, action: str, subject: str, status: int) -> None:
        if self.is_due:
            self.flush()
        with self._lock:
            self._minute = self._now()
            key: tuple[str, str, int] = (origin.source, origin.actor, status)
            if key not in self._seen and len(self._seen) >= MOST_KINDS:
                key = ("", "", status)
                origin = Origin("", "", "many", "")
            first, count = self._seen.get(key, (origin, 0))
            self._seen[key] = (first, count + 1)
        if count == 0:
            self._write(first, action, subject, f"refused {status}")

    def flush(self) -> None:
        """Write what was counted."""
        with self._lock:
            seen, self._seen = self._seen, {}
        for (_, _, status), (origin, count) in seen.items():
            if count > 1:
                self._write(
                    Origin("", origin.source, origin.actor, origin.role), "refused", "", f"{count - 1} more {status}"
                )

    def _write(self, origin: Origin, action: str, subject: str, outcome: str) -> None:
        token = ORIGIN.set(origin)
        try:
            self._record(origin.actor, action, subject, outcome)
        finally:
            ORIGIN.reset(token)

    def _now(self) -> int:
        return int(self._clock() // 60)
