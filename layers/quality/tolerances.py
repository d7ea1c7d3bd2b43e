"""From which figure on something counts as a fault, per role; every report states them with their source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Literal, cast

import numpy as np
import pandas as pd

from layers.errors import BadInput, Fault

Severity = Literal["error", "warn", "off"]
SEVERITIES = ("error", "warn", "off")
# In the order in which they are looked for and reported.
CHECKS = {
    "degenerate": ("无面积或未闭合", "Degenerate or not closed"),
    "invalid": ("几何无效", "Invalid geometry"),
    "duplicate": ("重复图形", "Same ground twice"),
    "overlap": ("重叠", "Overlap"),
    "gap": ("缝隙", "Gap"),
    "sliver": ("细碎重叠或缝隙", "Sliver (thin overlap or gap)"),
    "spike": ("尖刺", "Spike"),
    "near_point": ("点距过近", "Points too close"),
    "near_node": ("节点未咬合", "Vertex misses the neighbour's border"),
    "tiny": ("小于最小上图面积", "Below the smallest mapped patch"),
}


@dataclass(frozen=True)
class Tolerances:
    """The figures that hold for one layer.

    `rows` has the columns role, check, value, unit, source, confidence; `check` is written `spike.angle_deg`, unit
    in the name. `role` is `*` where the figure holds for every role and `given` where the operator said it.
    """

    rows: pd.DataFrame

    @cached_property
    def words(self) -> dict[str, str]:
        """What the table says under each name, as text."""
        return dict(zip(self.rows["check"], self.rows["value"], strict=True))

    def __contains__(self, name: str) -> bool:
        return name in self.words

    def __getitem__(self, name: str) -> float:
        return float(self.words[name])

    def severity(self, check: str) -> Severity:
        return cast("Severity", self.words[f"{check}.severity"])


@lru_cache(maxsize=1)
def table() -> pd.DataFrame:
    """All tolerances of all roles as they stand in `layers/quality_tolerances.csv`; values are text."""
    with files("layers").joinpath("quality_tolerances.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def tolerances(role: str | None = None, given: Mapping[str, str | float] | None = None) -> Tolerances:
    """The figures for a role: its own rows before those of `*`, and what the operator gave before both.

    Raises BadInput naming every given figure that does not exist or cannot be used.

    >>> tolerances("parcels", {"sliver.width_m": 0.2})["near_point.distance_m"]
    0.01
    """
    ours = table()
    ours = ours[ours["role"].isin(["*", role or "*"])]
    rows = ours.sort_values("role", kind="stable", key=lambda names: names == "*").drop_duplicates("check")
    order = {name: n for n, name in enumerate([*CHECKS, "dust", "repair"])}
    rank = rows["check"].map(lambda name: order[name.split(".")[0]])
    rows = rows.iloc[np.lexsort((rows.index, rank))].reset_index(drop=True)
    faults = []
    for name, value in (given or {}).items():
        at = rows["check"] == name
        if not at.any():
            faults.append(Fault(f"there is no tolerance {name!r}", f"They are {', '.join(rows['check'])}", field=name))
        elif not _usable(name, str(value)):
            word = name.endswith(".severity")
            fix = f"Give one of {', '.join(SEVERITIES)}" if word else "Give a number of at least 0"
            faults.append(Fault(f"{str(value)!r} cannot be used", fix, field=name))
        else:
            rows.loc[at, ["role", "value"]] = ["given", str(value)]
            rows.loc[at, ["source", "confidence"]] = ["操作员指定 given by the operator", "given"]
    if faults:
        raise BadInput("the tolerances cannot be used", faults)
    return Tolerances(rows)


def _usable(name: str, value: str) -> bool:
    if name.endswith(".severity"):
        return value in SEVERITIES
    try:
        return bool(np.isfinite(float(value)) and float(value) >= 0)
    except ValueError:
        return False
