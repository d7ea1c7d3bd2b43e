"""A layer while it is being mended: its shapes, how far each may change, and the log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from layers.quality.paths import Paths, paths, unmatched
from layers.quality.tolerances import Tolerances
from layers.records import Bools, Floats, Geoms, Ints

STEPS = {
    "valid": "有效化 made valid",
    "repeats": "去除重复点 repeated points removed",
    "spikes": "去除尖刺 spikes removed",
    "points": "合并过近点 points too close joined",
    "join": "节点合并 vertices joined with a neighbour's",
    "nodes": "节点咬合 vertices put into the neighbour's border",
    "duplicate": "删除重复图形 repeated feature dropped",
    "close": "闭合细碎缝隙与重叠 slivers and gaps closed",
    "total": "合计 total",
}
LEFT = "left: "


class Work:
    """Shapes under repair.

    Parameters
    ----------
    shapes : (N,) two-dimensional; changed in place
    names : (N,) what the features are called
    figures : the tolerances
    usable : (N,) areas that may be changed; the others are where they are, and what they share stays with them
    """

    def __init__(self, shapes: Geoms, names: NDArray[np.object_], figures: Tolerances, usable: Bools) -> None:
        self.shapes = shapes.copy()
        self.names = names
        self.figures = figures
        self.usable = usable
        self.first_m2 = shapely.area(shapes)
        self._lines: list[tuple[str, str, float, float, str]] = []
        self._told: set[tuple[int, str, str]] = set()
        self._drawn: tuple[Paths, Ints] | None = None

    def drawn(self) -> tuple[Paths, Ints]:
        """The borders as they now stand, and those segments of usable areas that are no common border of two."""
        if self._drawn is None:
            areas = self.shapes.copy()
            areas[~np.isin(shapely.get_type_id(areas), (3, 6))] = None
            areas[~np.isfinite(shapely.bounds(areas)).all(axis=1)] = None
            borders = paths(areas)
            kept = unmatched(borders, borders.starts(), self.usable)
            self._drawn = borders, kept[self.usable[borders.feature[kept]]]
        return self._drawn

    def put(self, rows: Ints, step: str, after: Geoms, notes: str | Sequence[str] = "") -> None:
        """Change shapes and write a line for each."""
        if len(rows) == 0:
            return
        self._log(rows, step, shapely.area(after), notes)
        self.shapes[rows] = after
        self._drawn = None

    def drop(self, rows: Ints, notes: Sequence[str]) -> None:
        self._log(rows, "duplicate", np.zeros(len(rows)), notes)
        self.shapes[rows] = None
        self.usable[rows] = False
        self._drawn = None

    def leave(self, rows: Ints, step: str, why: Sequence[str]) -> None:
        """Write down that a change was not made; once for each reason."""
        new = [n for n, row in enumerate(rows) if (int(row), step, why[n]) not in self._told]
        self._told |= {(int(rows[n]), step, why[n]) for n in new}
        self._log(rows[new], step, shapely.area(self.shapes[rows[new]]), [LEFT + why[n] for n in new])

    def _log(self, rows: Ints, step: str, now: Floats, notes: str | Sequence[str]) -> None:
        was = np.nan_to_num(shapely.area(self.shapes[rows]))
        said = [notes] * len(rows) if isinstance(notes, str) else notes
        many = [STEPS[step]] * len(rows)
        self._lines += zip(self.names[rows], many, was.tolist(), np.nan_to_num(now).tolist(), said, strict=True)

    def refused(self, rows: Ints, after: Geoms) -> list[str]:
        """Why each new shape may not stand; empty where it may."""
        now, first = shapely.area(after), self.first_m2[rows]
        change = now - first
        # the larger of the two, because the area of a border that crosses itself may come out as nothing
        share = self.figures["repair.change_share"] * np.fmax(now, first)
        bound = np.minimum(self.figures["repair.change_m2"], share)
        within = np.abs(change) <= bound  # never for a shape that could not be built
        sound = shapely.is_valid(after) & ~shapely.is_empty(after)
        return [
            ""
            if good and near
            else f"the area would change by {by:+,.3f} m² in all, at most {most:,.3f} m² is allowed"
            if good
            else "no valid area would be left"
            for good, near, by, most in zip(sound, within, change, bound, strict=True)
        ]

    def log(self, before_m2: float, after_m2: float, note: str) -> pd.DataFrame:
        """All lines, the totals last."""
        lines = [*self._lines, ("*", STEPS["total"], before_m2, after_m2, note)]
        table = pd.DataFrame(lines, columns=["feature", "step", "before_m2", "after_m2", "note"])
        table.insert(4, "change_m2", table["after_m2"] - table["before_m2"])
        return table
