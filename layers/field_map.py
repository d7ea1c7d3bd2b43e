"""`NAME.fields.csv`: which of our columns a file's field is, where a format could not take our names.

It is written with an export and read with an import, so that what left comes back under the names it had.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

from layers.errors import BadInput, Fault

COLUMNS = ("our name", "file's name", "type", "中文名")


@lru_cache(maxsize=1)
def zh() -> dict[str, str]:
    """The Chinese name of every column we know, from `field_map.csv`."""
    with files("layers").joinpath("field_map.csv").open(encoding="utf-8") as file:
        return {line["name"]: line["zh"] for line in csv.DictReader(file)}


def written(names: Mapping[str, str], types: Mapping[str, str]) -> bytes:
    """`NAME.fields.csv`: our name, the file's name, type and Chinese name of every field."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    rows.writerows((ours, theirs, types.get(ours, "text"), zh().get(ours, "")) for ours, theirs in names.items())
    return out.getvalue().encode("utf-8-sig")


def read(path: Path) -> dict[str, str]:
    """Our name -> the file's name, from a `NAME.fields.csv`. BadInput where it is not one."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_map(path, str(error)) from error
    if not rows or tuple(rows[0][:2]) != COLUMNS[:2] or any(len(row) < 2 for row in rows[1:]):
        raise _no_map(path, f"its first line is not {', '.join(COLUMNS)}")
    return {ours: theirs for ours, theirs, *_ in rows[1:]}


def restored(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """A file's table with our column names back, by the map that was written with it; case does not matter.

    A field that is no one's but is called as one of ours is numbered, so that it is not taken for it.

    >>> list(restored(pd.DataFrame(columns=["PATCH_AREA", "ID", "memo"]), {"patch_area_m2": "patch_area", "memo": "x"}))
    ['patch_area_m2', 'ID', 'memo']
    >>> list(restored(pd.DataFrame(columns=["id", "feature_id"]), {"id": "feature_id"}))
    ['id_2', 'id']
    """
    ours = {theirs.lower(): name for name, theirs in names.items()}
    found = {str(name): ours[str(name).lower()] for name in table.columns if str(name).lower() in ours}
    back = {name.lower() for name in found.values()}
    taken = back | {str(name).lower() for name in table.columns}
    for name in map(str, table.columns):
        if name not in found and name.lower() in back:
            found[name] = next(free for n in range(2, 10_000) if (free := f"{name}_{n}").lower() not in taken)
            taken.add(found[name].lower())
    return table.rename(columns=found)


def _no_map(path: Path, reason: str) -> BadInput:
    fix = "Take the NAME.fields.csv that was written with the export"
    return BadInput(f"{path.name} is not a field map", [Fault(reason, fix, file=path.name)])
