"""Who is asking, and whether their role may. Every router names the roles it is for.

The three administrators and the auditor have no business rights. The demo keys work on loopback only, and only
while a county has no users of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request

from layers.access import ROLES, User

BUSINESS = ("viewer", "consumer", "planner", "reviewer")
READ = (*BUSINESS, "auditor")
CHECK = ("consumer", "planner", "reviewer")
DEMO = {f"demo-{role.removesuffix('_admin')}": User(f"demo-{role.removesuffix('_admin')}", role) for role in ROLES}
DEMO["demo-reviewer-2"] = User("demo-reviewer-2", "reviewer")  # approving takes a second person
DEMO_DEFAULT = DEMO["demo-planner"]


def user_of(request: Request) -> User:
    """The caller; 401 where a key is needed and missing or wrong."""
    state = request.app.state
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    demo = state.settings.on_loopback and not state.access.has_users()
    if not key and demo:
        return DEMO_DEFAULT
    user = None
    if scheme.lower() == "bearer" and key:
        user = DEMO.get(key.strip()) if demo else state.access.recognise(key.strip())
    if user is None:
        raise HTTPException(401, "the key is missing or not known", {"WWW-Authenticate": "Bearer"})
    return user


def allow(*roles: str) -> Callable[[Request], Awaitable[User]]:
    """A dependency that lets these roles through and answers 403 to the others."""

    async def guard(request: Request) -> User:  # async: a hop to another thread would cost more than it does
        user = user_of(request)
        if user.role not in roles:
            raise HTTPException(403, f"the role {user.role} may not do this; it takes {', '.join(roles)}")
        return user

    return guard
