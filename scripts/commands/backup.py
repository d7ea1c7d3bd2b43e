"""`parkplan backup` and `restore`: a county in one file, and a county made of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scripts.console import AsJson, County, out, print_json


def backup(
    county: County,
    file: Annotated[Path, typer.Argument(help="The backup to make; not overwritten")],
    as_json: AsJson = False,
) -> None:
    """Put a county, its books, users, audit log and waiting files into one file, while it is served."""
    from layers import backup

    said = backup.backup(county, file)
    if as_json:
        print_json(asdict(said))
        return
    size = file.stat().st_size / 1e6
    out.print(f"备份 backup of {said.county}: {file} ({size:,.1f} MB)", highlight=False, markup=False, soft_wrap=True)
    out.print(f"台账 books: {said.entries:,} entries, head {said.head or 'none'}", highlight=False, soft_wrap=True)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `parkplan backup` made")],
    county: Annotated[
        str, typer.Argument(metavar="COUNTY", help="The county to make: a path or a URL; not overwritten")
    ],
    as_json: AsJson = False,
) -> None:
    """Make a county of a backup. It is there only if it proves itself: every page, the books, the audit log."""
    from layers import backup
    from layers.places import called

    said, proof = backup.restore(file, county)
    if as_json:
        print_json({"county": called(county), "backup": asdict(said), "proof": asdict(proof)})
        return
    counts = f"{proof.entries:,} entries, {proof.accounts:,} accounts, {proof.reservations:,} reservations"
    out.print(
        f"恢复 restored {said.county} as {called(county)}, as of {said.created_at}", highlight=False, markup=False
    )
    out.print(f"一致 whole: {counts}; head {proof.head}", highlight=False, soft_wrap=True)
