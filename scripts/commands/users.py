"""`parkplan users` and `parkplan audit`: what the operator at the machine does with users, keys and the log."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import typer
from rich.table import Table

from layers.access import OPERATOR, ROLES, Access
from layers.access.people import KEY_DAYS
from layers.errors import BadInput, Fault, UnknownName
from layers.places import beside
from scripts.console import AsJson, County, err, out, print_json

Action = Literal["list", "add", "role", "key", "revoke", "disable"]


def users(
    county: County,
    action: Annotated[
        str, typer.Argument(help="list, add NAME, role NAME, key NAME, revoke PREFIX, disable NAME")
    ] = "list",
    name: Annotated[str | None, typer.Argument(help="The user as the audit log calls them, or a key's prefix")] = None,
    role: Annotated[str | None, typer.Option(help=f"add, role: {', '.join(ROLES)}")] = None,
    zone: Annotated[
        list[str] | None, typer.Option(help="Zone id or unit code (片区); repeat it; * for all. A planner needs it")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="add, key: how long the key is good")] = KEY_DAYS,
    rotate: Annotated[bool, typer.Option("--rotate", help="key: end the user's other keys")] = False,
    as_json: AsJson = False,
) -> None:
    """Users and their keys (用户与密钥). A new key is printed once; from the first user on the demo keys are dead.

    The operator makes the first users; after that the administrators do over HTTP (docs/access.md).
    """
    from layers.store import open_store

    if action not in get_args(Action) and name is None and role is not None:  # as it was: users COUNTY NAME --role R
        action, name = "add", action
    if action not in get_args(Action):
        raise typer.BadParameter(f"one of {', '.join(get_args(Action))}", param_hint="ACTION")
    if (name is None) != (action == "list"):
        raise typer.BadParameter("a list needs no name" if name else f"{action} needs a name", param_hint="NAME")
    if (role is None) == (action in ("add", "role")):
        raise typer.BadParameter("add and role need it, the others do not", param_hint="--role")
    store = open_store(county)  # a county that is not there has no users
    access = Access(beside(county))
    try:
        _known(store, zone or [])
        told = _do(access, action, name or "", role or "", zone, days, rotate)
    finally:
        access.close()
        store.close()
    if as_json:
        print_json(told)
    elif isinstance(told, list):
        _show(told)
    elif "key" in told:
        typer.echo(told["key"])
        err.print(f"{told['user']}: good until {told['expires_at'][:10]}; shown this once", highlight=False)
    else:
        _show([told])


def _do(
    access: Access, action: str, name: str, role: str, zones: list[str] | None, days: int, rotate: bool
) -> list[dict[str, Any]] | dict[str, Any]:
    if action == "list":
        return access.accounts()
    if action == "role":
        return access.grant(name, role, zones, OPERATOR)
    if action == "disable":
        return access.disable(name, OPERATOR)
    if action == "revoke":
        owner = next((one for one in access.accounts() for key in one["keys"] if key["prefix"] == name[:8]), None)
        if owner is None:
            raise UnknownName(f"no key {name[:8]!r}", prefix=name[:8])
        access.revoke(owner["name"], name[:8], OPERATOR)
        return access.account(owner["name"])
    if action == "add":
        key = access.add(name, role, zones, days=days)
        (kept,) = access.account(name)["keys"]
        return {"user": name, "prefix": kept["prefix"], "key": key, "expires_at": kept["expires_at"]}
    old = [one["prefix"] for one in access.account(name)["keys"] if one["revoked_at"] is None] if rotate else []
    for prefix in old:
        access.revoke(name, prefix, OPERATOR)
    made = access.issue(name, OPERATOR, days)
    return {"user": name, "prefix": made.prefix, "key": made.text, "expires_at": made.expires_at}


def _known(store: Any, zones: list[str]) -> None:
    from api.scope import Zones

    if strangers := Zones(store).unknown(zones):
        fix = "Name ids or unit codes of the layer zones, or * for all"
        raise BadInput("no such zones", [Fault(f"{one!r} is no zone", fix, field="zone") for one in strangers])


def _show(accounts: list[dict[str, Any]]) -> None:
    table = Table(title="用户 Users")
    for title in ("name", "角色 role", "片区 zones", "状态 state", "密钥 keys"):
        table.add_column(title)
    for one in accounts:
        keys = [f"{key['prefix']}… {_state(key)}" for key in one["keys"]]
        zones = "全部 all" if one["zones"] is None else ", ".join(one["zones"])
        table.add_row(one["name"], one["role"] or "", zones, one["state"], "\n".join(keys))
    out.print(table)


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"] is not None:
        return f"吊销 revoked {key['revoked_at'][:10]}"
    return "长期 no end" if key["expires_at"] is None else f"至 until {key['expires_at'][:10]}"


def audit(
    county: County,
    verify: Annotated[
        bool, typer.Option("--verify", help="Walk the whole chain; exit 1 where it does not hold")
    ] = False,
    after: Annotated[int, typer.Option(min=0, help="Rows after this number")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="So many rows")] = 100,
    actor: Annotated[str | None, typer.Option(help="Only this user")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action")] = None,
    subject: Annotated[str | None, typer.Option(help="Only where the subject has this text")] = None,
    as_json: AsJson = False,
) -> None:
    """The audit log (审计日志): read it, or prove that no row was altered, left out or put in."""
    from dataclasses import asdict

    from api.witness import audit_seen
    from layers.store import open_store

    store = open_store(county)
    seen = audit_seen(store)
    store.close()
    access = Access(beside(county))
    try:
        chain = access.verify(seen) if verify else None
        rows = [] if verify else access.audit(after, limit, actor=actor, action=action, subject=subject)
    finally:
        access.close()
    if chain is not None:
        if as_json:
            print_json({"holds": chain.holds, **asdict(chain)})
        elif chain.holds:
            out.print(f"完整 holds: {chain.rows:,} rows, head {chain.head}", highlight=False, soft_wrap=True)
        else:
            out.print(f"不完整 broken: {chain.fault}", style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(0 if chain.holds else 1)
    if as_json:
        print_json(rows)
        return
    for one in rows:
        words = (one["seq"], one["at"], one["actor"], one["role"], one["action"], one["subject"], one["outcome"])
        out.print("  ".join(map(str, words)), highlight=False, markup=False, soft_wrap=True)
