"""Mending a layer's geometry, every change written down, no area moved beyond a stated bound.

Features in are features out, in the same order; only a repeated feature may go, where that was asked for, and the
log says so. What would change a feature's area by more than the bound is not done, and the log says that, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from layers.quality import between, redraw, within
from layers.quality.closing import close
from layers.quality.examine import Progress
from layers.quality.record import replacing, write_layer
from layers.quality.tolerances import Tolerances, tolerances
from layers.quality.valid import made_valid
from layers.quality.work import LEFT, STEPS, Work
from layers.records import Geoms, Ints

ROUNDS = 8  # a spike gone may leave two points too close, and the other way round
REDRAW: dict[str, redraw.Step] = {
    "repeats": redraw.without_repeats,
    "spikes": redraw.without_spikes,
    "points": redraw.points_joined,
    "join": redraw.nodes_joined,
    "nodes": redraw.nodes_inserted,
}


@dataclass(frozen=True, eq=False)
class Repaired:
    """A layer as it was mended.

    Parameters
    ----------
    geometries : (M,) two-dimensional; what is not an area, or could not be mended, is as it was
    rows : (M,) the row of the input each one is: all of them, less the duplicates that were dropped
    log : feature, step, before_m2, after_m2, change_m2, note; a line for each change, a line whose note begins with
        `left:` for each change that was not made, and a last line with the totals
    """

    geometries: Geoms
    rows: Ints
    log: pd.DataFrame

    @property
    def before_m2(self) -> float:
        return float(self.log["before_m2"].iloc[-1])

    @property
    def after_m2(self) -> float:
        return float(self.log["after_m2"].iloc[-1])

    @property
    def changed(self) -> pd.DataFrame:
        """The lines of changes that were made."""
        return self.log[:-1][~self.log["note"][:-1].str.startswith(LEFT)]

    @property
    def left(self) -> pd.DataFrame:
        """The lines of changes that were not made, with the reason."""
        return self.log[:-1][self.log["note"][:-1].str.startswith(LEFT)]

    def to_gpkg(self, path: Path, table: pd.DataFrame, crs: Any, layer: str) -> None:
        """The mended layer with its attributes (one row of `table` for each feature that came in), and the log.

        The log is the table `repair_log`. An older file of that name is replaced.
        """
        kept = table.iloc[self.rows].reset_index(drop=True)
        taken = {name: f"{name}_1" for name in kept.columns if name.lower() in ("fid", "geom")}
        frame = gpd.GeoDataFrame(kept.rename(columns=taken), geometry=self.geometries, crs=crs)
        areas = np.isin(shapely.get_type_id(self.geometries), (-1, 3, 6)).all()
        options = {"geometry_type": "MultiPolygon", "promote_to_multi": True} if areas else {"geometry_type": "Unknown"}
        with replacing(path) as made:
            write_layer(frame, made, layer, **options)
            write_layer(self.log, made, "repair_log")

    def steps(self) -> dict[str, int]:
        """How many lines of changes each step has."""
        counted = self.changed["step"].value_counts()
        return {step: int(counted[step]) for step in STEPS.values() if step in counted}


def repair(
    geometries: Geoms,
    ids: Sequence[Any] | NDArray[Any],
    tolerances_: Tolerances | None = None,
    *,
    drop_duplicates: bool = False,
    close_slivers: bool = False,
    progress: Progress | None = None,
) -> Repaired:
    """Mend the areas of a layer, as far as the tolerances allow.

    Parameters
    ----------
    geometries : (N,) in a projected CRS, metres; None where a feature has none
    ids : (N,) what the features are called
    tolerances_ : how far points may be moved and areas may change; those of `*` where not given
    drop_duplicates : drop features drawn exactly as an earlier one
    close_slivers : give thin overlaps, and gaps narrow enough to be faults, to the neighbour with the longest border

    In this order: invalid areas are made valid; repeated points go; spikes go; points closer than the tolerance are
    joined; a vertex that misses a neighbour's border becomes a vertex of it. Where borders meet, a place is changed
    for all features that have it or for none. A second repair finds nothing more to do, except where the bound on
    the area stopped the first.

    >>> mended = repair(np.array([shapely.Polygon([(0, 0), (50, 0), (50, 0), (50, 50), (0, 50)])]), ["a"])
    >>> shapely.get_num_coordinates(mended.geometries).tolist(), mended.log["change_m2"].tolist()
    ([5], [0.0, 0.0])
    """
    tell = progress or (lambda text, share: None)
    shapes: Geoms = shapely.force_2d(np.asarray(geometries, dtype=object))
    names = np.array([*map(str, ids), None], dtype=object)[:-1]
    _, why = within.without_ground(shapes, None)
    is_area = np.isin(shapely.get_type_id(shapes), (3, 6))
    work = Work(shapes, names, tolerances_ or tolerances(), is_area & (why == ""))
    empty = np.flatnonzero((is_area | shapely.is_missing(shapes)) & (why != ""))
    work.leave(empty, "valid", [str(one) for one in why[empty]])
    tell("有效化 making valid", 0.0)
    _make_valid(work, lambda share: tell("有效化 making valid", 0.2 * share))
    rows = _drop_duplicates(work) if drop_duplicates else np.arange(len(shapes))
    for turn in range(ROUNDS):
        share = 0.2 + 0.8 * turn / ROUNDS
        _redraw(work, tell, share)
        if not close_slivers:
            break
        tell(STEPS["close"], share + 0.4 / ROUNDS)
        if not close(work):
            break
    tell("完成 done", 1.0)
    was, now = (float(np.nansum(shapely.area(kept))) for kept in (shapes, work.shapes))
    return Repaired(work.shapes[rows], rows, work.log(was, now, f"{len(shapes)} features in, {len(rows)} out"))


def _make_valid(work: Work, progress: Callable[[float], None]) -> None:
    rows = np.flatnonzero(work.usable)
    rows = rows[~shapely.is_valid(work.shapes[rows])]
    made = made_valid(work.shapes[rows], work.figures["repair.deadline_s"], progress)
    # where nothing came back, the reason why is better than that no area would be left
    why = [said or refused for said, refused in zip(made.reasons, work.refused(rows, made.geometries), strict=True)]
    good = np.array([not said for said in why], dtype=bool)
    work.leave(rows[~good], "valid", [said for said in why if said])
    work.usable[rows[~good]] = False
    work.put(rows[good], "valid", made.geometries[good])


def _drop_duplicates(work: Work) -> Ints:
    """The rows that stay when what repeats an earlier feature exactly is dropped."""
    drawn = np.flatnonzero(~shapely.is_missing(work.shapes) & ~shapely.is_empty(work.shapes))
    first, again = between.same(work.shapes, drawn)
    work.drop(again, [f"the same ground as {work.names[row]}, which stays" for row in first])
    return np.setdiff1d(np.arange(len(work.shapes)), again)


def _redraw(work: Work, tell: Progress, share: float) -> None:
    """The steps that go vertex by vertex, round after round until none has anything left to change."""
    for turn in range(ROUNDS):
        done = 0
        for n, (step, redrawn) in enumerate(REDRAW.items()):
            tell(STEPS[step], share + 0.05 * (turn + n / len(REDRAW)) / ROUNDS)
            done += _apply(work, step, redrawn)
        if not done:
            return


def _apply(work: Work, step: str, redrawn: redraw.Step) -> int:
    """One step; a feature it may not change keeps its border, and so do the others where they share it."""
    fixed = ~work.usable
    while True:
        rows, after = redrawn(work, fixed)
        why = work.refused(rows, after)
        bad = np.array([bool(said) for said in why], dtype=bool)
        if not bad.any():
            break
        work.leave(rows[bad], step, [said for said in why if said])
        fixed[rows[bad]] = True
    work.put(rows, step, after)
    return len(rows)
