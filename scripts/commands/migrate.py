"""`parkplan migrate`: the tables of a county in a database, brought to the version of this program or back."""

from __future__ import annotations

from typing import Annotated

import typer

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, print_json


def migrate(
    county: County,
    to: Annotated[str, typer.Option(help="A version of the tables; default: the newest")] = "head",
    as_json: AsJson = False,
) -> None:
    """Bring the tables of a county in PostgreSQL to another version, forward or back.

    Make a backup first. A step back is refused where it would lose what cannot be had again.
    """
    from layers.places import called, driver, is_url

    if not is_url(county):
        fix = "A county file is brought up to date whenever it is opened"
        raise BadInput("only counties in PostgreSQL are migrated", [Fault("this is a file", fix)])
    driver()
    from layers import postgis

    was, now = postgis.migrate(county, to)
    if as_json:
        print_json({"county": called(county), "was": was, "is": now})
    else:
        typer.echo(f"{called(county)}: tables at version {now} (was {was})")
