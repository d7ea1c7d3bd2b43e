"""Layer names that mean several things (CZKFBJ): what a name may stand for, said at import, never deciding the role."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

import pandas as pd

from layers.errors import Fault

SEPARATORS = re.compile(r"[^A-Za-z]+")


@lru_cache(maxsize=1)
def acronyms() -> pd.DataFrame:
    """Every known meaning of an acronym: acronym, role (empty where no role of ours is meant), zh, en, source."""
    with files("layers").joinpath("acronyms.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def other_meanings(name: str | None, role: str, *, file: str) -> tuple[Fault, ...]:
    """A note where a file's layer has a name that also means something else than the role it is loaded as.

    >>> [note.reason.split(";")[0] for note in other_meanings("CZKFBJ_520625", "urban_boundary", file="a.gdb")]
    ["the layer's name CZKFBJ does not say what it is: it may be 城镇开发边界, 村庄开发边界 or 城市开发边界"]
    >>> other_meanings("roads", "roads", file="a.gpkg")
    ()
    """
    table = acronyms()
    words = {word.upper() for word in SEPARATORS.split(name or "")}
    notes = []
    for acronym in dict.fromkeys(table["acronym"]):
        meant = table[table["acronym"] == acronym]
        if acronym not in words or (meant["role"] == role).all():
            continue
        said = [*meant.loc[meant["role"] == role, "zh"], *meant.loc[meant["role"] != role, "zh"]]
        listed = " or ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else said[0]
        notes.append(
            Fault(
                f"the layer's name {acronym} does not say what it is: it may be {listed}; it is loaded as {role}",
                f"Compare with the keeper's list that the layer is meant as {role}; the role decides, not the name",
                file=file,
                layer=name,
            )
        )
    return tuple(notes)
