"""`parkplan map`: a map as one page that opens by a double click, without a server and without a network."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from layers.errors import BadInput, Fault
from scripts.console import County


def map_(
    county: County,
    to: Annotated[Path, typer.Option("--out", help="The page to write")],
    zone: Annotated[str | None, typer.Option(help="One park zone, by id or name")] = None,
    parcel: Annotated[str | None, typer.Option(help="One parcel")] = None,
    check: Annotated[str | None, typer.Option(help="A kept check, by its id")] = None,
    plan: Annotated[str | None, typer.Option(help="A plan.json, or the id of a kept plan")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The parcel as it stood on a day")
    ] = None,
) -> None:
    """Write a map as one page that opens without a server: the county, or a zone, parcel, check or plan of it."""
    from api import maps
    from api.plan_map import plan_chart
    from api.routers import maps as charts
    from layers.store import open_store

    if sum(one is not None for one in (zone, parcel, check, plan)) > 1:
        raise typer.BadParameter("give one of them", param_hint="--zone, --parcel, --check, --plan")
    store = open_store(county)
    try:
        if zone is not None:
            chart = charts.zone_chart(store, zone)
        elif parcel is not None:
            chart = charts.parcel_chart(store, parcel, as_of.date() if as_of else None)
        elif check is not None:
            chart = charts.check_chart(store, store.load("check", check))
        elif plan is not None:
            found = _plan(plan, store)
            chart = plan_chart(store, found, projects=store.list("project"))
        else:
            chart = charts.overview_chart(store)
        page = maps.standalone(chart)
    finally:
        store.close()
    to.write_text(page, encoding="utf-8")
    typer.echo(f"wrote {to}")


def _plan(said: str, store: Any) -> dict[str, Any]:
    path = Path(said)
    if not path.suffix:
        found: dict[str, Any] = store.load("plan", said)
        return found
    try:
        read = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        fix = "Give the plan.json that parkplan plan wrote"
        raise BadInput(f"{path.name} cannot be read", [Fault(str(error), fix)]) from error
    if not isinstance(read, dict):
        raise BadInput(f"{path.name} is no plan", [Fault("it holds no object", "Give the plan.json of parkplan plan")])
    return read
