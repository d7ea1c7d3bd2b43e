"""Users, their roles and keys. The system administrator proposes users and hands out first keys, the security
administrator grants roles and takes keys away, the auditor looks on; nobody changes their own rights (三员分立)."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from api.auth import allow, is_demo
from api.county import County, county_of
from layers.access import ADMINISTRATORS, ROLES, User
from layers.access.people import KEY_DAYS, PREFIX
from layers.errors import BadInput, Fault, Refused
from layers.records import Strict

router = APIRouter(prefix="/users", tags=["access"])
Here = Annotated[County, Depends(county_of)]
Zones = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=100)]
Role = Literal["viewer", "consumer", "planner", "reviewer", "system_admin", "security_admin", "auditor"]


class UserIn(Strict):
    """A user to be. The role is a wish: the security administrator grants one."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["规划员甲"])]
    role: Role | None = None
    zones: Zones | None = None


class RoleIn(Strict):
    """`zones`: ids or unit codes of zones, `["*"]` for all; a planner's have to be said."""

    role: Role
    zones: Zones | None = None


class KeyIn(Strict):
    """How long the key is good."""

    days: Annotated[int, Field(ge=1, le=3650)] = KEY_DAYS


@router.get("")
def read_all(county: Here, user: Annotated[User, Depends(allow(*ADMINISTRATORS))]) -> dict[str, Any]:
    """Everybody, with role, zones, state and the first letters of their keys."""
    return {"users": county.access.accounts()}


@router.post("", status_code=201)
def propose(
    said: UserIn, request: Request, county: Here, user: Annotated[User, Depends(allow("system_admin"))]
) -> JSONResponse:
    """Propose a user. Nothing opens for them before the security administrator grants a role."""
    _known(county, said.zones)
    made = county.access.propose(said.name, user.name, said.role, said.zones, demo=is_demo(request))
    return JSONResponse(made, 201, {"Location": f"/users/{quote(said.name)}"})


@router.post("/{name}/role")
def grant(
    name: str, said: RoleIn, county: Here, user: Annotated[User, Depends(allow("security_admin"))]
) -> dict[str, Any]:
    """Give a user this role instead of any other. A proposed user becomes active, a disabled one again."""
    _known(county, said.zones)
    return county.access.grant(name, said.role, said.zones, user.name)


@router.post("/{name}/disable")
def disable(
    name: str, county: Here, user: Annotated[User, Depends(allow("system_admin", "security_admin"))]
) -> dict[str, Any]:
    """Shut a user out; all their keys end at once, in every server process."""
    return county.access.disable(name, user.name)


@router.post("/{name}/keys", status_code=201)
def issue(
    name: str, county: Here, user: Annotated[User, Depends(allow(*ROLES))], said: KeyIn | None = None
) -> JSONResponse:
    """A new key, shown this once. One's own, beside the old one; the system administrator's to who has none."""
    if name != user.name and user.role != "system_admin":
        raise Refused("a key of somebody else is made by the system administrator")
    made = county.access.issue(name, user.name, (said or KeyIn()).days)
    body = {"user": name, "prefix": made.prefix, "key": made.text, "expires_at": made.expires_at}
    return JSONResponse(body, 201, {"Cache-Control": "no-store"})


@router.delete("/{name}/keys/{prefix}")
def revoke(name: str, prefix: str, county: Here, user: Annotated[User, Depends(allow(*ROLES))]) -> dict[str, Any]:
    """End a key at once. One's own, or anybody's by the security administrator."""
    if name != user.name and user.role != "security_admin":
        raise Refused("a key of somebody else is ended by the security administrator")
    return county.access.revoke(name, prefix[:PREFIX], user.name)


def _known(county: County, zones: list[str] | None) -> None:
    if strangers := county.zones.unknown(zones or ()):
        fix = "Name ids or unit codes of the layer zones, or * for all"
        faults = [Fault(f"{one!r} is no zone", fix, field="zones") for one in strangers]
        raise BadInput("no such zones", faults)
