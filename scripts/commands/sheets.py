"""`parkplan sheets`: parcels as map sheets at true scale, one PDF."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scripts.console import County


class Paper(StrEnum):
    """The papers of map sheets."""

    A4 = "A4"
    A3 = "A3"


def sheets(
    county: County,
    parcel: Annotated[list[str], typer.Argument(help="Parcel ids, up to 200; they are drawn in this order")],
    to: Annotated[Path, typer.Option("--out", help="The PDF to write")],
    scale: Annotated[
        int | None, typer.Option(help="500, 1000, 2000, 5000 or 10000; without it the finest that fits each")
    ] = None,
    paper: Annotated[Paper, typer.Option(help="Upright or across, whichever fits")] = Paper.A4,
    points: Annotated[bool, typer.Option(help="With the tables of boundary points")] = True,
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As they stood on a day")] = None,
) -> None:
    """Map sheets of parcels at true scale in the county's grid (宗地图), as one PDF."""
    from api.reports import of_parcels, pdf
    from api.reports.mapsheet import SCALES
    from layers.store import open_store

    if scale is not None and scale not in SCALES:
        raise typer.BadParameter(f"one of {', '.join(map(str, SCALES))}", param_hint="--scale")
    store = open_store(county)
    try:
        made = of_parcels.sheets(
            store, parcel, scale=scale, paper=paper.value, as_of=as_of.date() if as_of else None,
            drawn_on=datetime.now(UTC).date(), points=points,
        )  # fmt: skip
        to.write_bytes(pdf.write(made))
    finally:
        store.close()
    typer.echo(f"wrote {to}: {len(made.pages)} sheets", err=True)
