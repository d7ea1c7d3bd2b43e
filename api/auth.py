"""Who is asking, and whether their role may. Every router names the roles it is for.

The three administrators and the auditor have no business rights. The demo keys work on loopback only, and only
while a county has no users of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from api.tokens import is_token
from layers.access import ORIGIN, ROLES, Origin, User

BUSINESS = ("viewer", "consumer", "planner", "reviewer")
READ = (*BUSINESS, "auditor")
CHECK = ("consumer", "planner", "reviewer")
DEMO = {f"demo-{role.removesuffix('_admin')}": User(f"demo-{role.removesuffix('_admin')}", role) for role in ROLES}
DEMO["demo-reviewer-2"] = User("demo-reviewer-2", "reviewer")  # approving takes a second person
DEMO["demo-planner-food"] = User("demo-planner-food", "planner", frozenset({"520625-FOOD"}))  # one zone, to see it
DEMO_DEFAULT = DEMO["demo-planner"]
LONGEST_KEY = 16_384


def is_demo(request: Request) -> bool:
    """Whether the demo's own people may come in: on loopback, while the county has nobody of its own."""
    state = request.app.state
    return bool(state.settings.on_loopback and state.tokens is None and not state.access.has_users())


async def user_of(request: Request) -> User:
    """The caller; 401 where a key is needed and missing or wrong, 429 after too many wrong ones."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    key, demo = said.strip(), is_demo(request)
    if not said and demo:
        return DEMO_DEFAULT
    user = None
    if scheme.lower() == "bearer" and 0 < len(key) <= LONGEST_KEY:
        user = await _bearer(request, key, demo)
    if user is None:
        raise HTTPException(401, "the key is missing or not known", {"WWW-Authenticate": "Bearer"})
    return user


async def _bearer(request: Request, key: str, demo: bool) -> User | None:
    state = request.app.state
    if demo and key in DEMO:
        return DEMO[key]
    user: User | None = state.access.remembered(key, demo=demo)
    if user is not None:
        return user
    source = request.client.host if request.client is not None else ""
    prefix = "token" if is_token(key) else key[:8]
    if wait_s := state.tries.wait_s(source, prefix):
        raise HTTPException(429, "too many wrong keys came from here", {"Retry-After": str(wait_s)})
    if is_token(key):
        user = None if state.tokens is None else await run_in_threadpool(state.tokens.recognise, key)
        if user is not None and state.access.is_disabled(user.name):
            user = None
    else:
        user = await run_in_threadpool(state.access.recognise, key, demo=demo)
    if user is None:
        state.tries.failed(source, prefix)
    return user


def allow(*roles: str) -> Callable[[Request], Awaitable[User]]:
    """A dependency that lets these roles through and answers 403 to the others."""

    async def guard(request: Request) -> User:  # async: a hop to another thread would cost more than it does
        user = await user_of(request)
        origin = ORIGIN.get() or Origin()
        origin.actor, origin.role = user.name, user.role
        if user.role not in roles:
            raise HTTPException(403, f"the role {user.role} may not do this; it takes {', '.join(roles)}")
        return user

    return guard
