"""What every command shares: where it speaks, and the arguments that mean the same everywhere."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

out, err = Console(), Console(stderr=True)

County = Annotated[str, typer.Argument(metavar="COUNTY", help="The county: a .gpkg path or a postgresql:// URL")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON")]


def print_json(body: Any) -> None:
    typer.echo(json.dumps(body, ensure_ascii=False, indent=2))
