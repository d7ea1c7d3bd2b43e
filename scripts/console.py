"""What every command shares: where it speaks, and the arguments that mean the same everywhere."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer
from rich.console import Console

out, err = Console(), Console(stderr=True)

County = Annotated[str, typer.Argument(metavar="COUNTY", help="The county: a .gpkg path or a postgresql:// URL")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON")]


def spoken(words: dict[str, str]) -> list[tuple[str, str]]:
    """A word under the languages spoken here: PARKPLAN_LANG or the terminal's own, all where neither says it."""
    for name in ("PARKPLAN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        said = os.environ.get(name, "").lower()[:2]
        if said in words:
            return [(said, words[said])]
    return list(words.items())


def print_json(body: Any) -> None:
    typer.echo(json.dumps(body, ensure_ascii=False, indent=2))
