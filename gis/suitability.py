"""What the rulebook says of the bare ground, cell by cell: may a site be here, before anybody asks for whom.

Of the rules asked at a screening, those that read nothing but the ground are put to every cell of a map as if it were
a site: what it shares with a layer or what a layer leaves of it, and its slope. They are judged by the same `status`
and `outcome` as a site; the worst counts. Rules that depend on a project (industry, size, supply), distances, quotas
and how accurately a border is known are left to a check.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gis.facts import FACTS, FULL
from gis.ground import Outside, Overlap, Terrain
from gis.intervals import Interval
from gis.judge import Verdict, margin, outcome, status
from gis.rules import Rule, Rulebook
from gis.web_pictures import Canvas
from layers.records import Bools, Floats, Geoms

Classes = NDArray[np.uint8]
CELL_M2 = 100.0  # what a cell that is covered shares: more than any limit forgives, whatever the scale


class Covered(IntEnum):
    """How a layer lies on a cell."""

    NO = 0
    YES = 1
    PERHAPS = 2  # by a feature that may count or not
    UNKNOWN = 3  # the layer is not loaded, or was not surveyed there


class Suitability(IntEnum):
    """The classes of the map, from the best to the worst; 0 is nothing drawn."""

    CLEAR = 1
    WARNED = 2
    CONDITIONAL = 3
    UNDETERMINED = 4
    OUTSIDE = 5  # blocked only because a planned boundary does not reach here
    BLOCKED = 6


@dataclass(frozen=True)
class Overlay:
    """A rule on the ground that a cell shares with a layer, or (`Outside`) that the layer leaves."""

    rule: Rule
    fact: Overlap | Outside

    def classes(self) -> Classes:
        """(4,) what each of `Covered` makes of a cell."""
        lo, hi = np.array([0, 1, 0, np.nan]) * CELL_M2, np.array([0, 1, 1, np.nan]) * CELL_M2
        if isinstance(self.fact, Outside):
            lo, hi = CELL_M2 - hi, CELL_M2 - lo
        found = _judged(self.rule, Interval(lo, hi))
        if isinstance(self.fact, Outside):
            return np.where(found == Suitability.BLOCKED, Suitability.OUTSIDE, found).astype(np.uint8)
        return found

    @property
    def key(self) -> tuple[str, object, bool]:
        """Overlays of one key lie on the same ground."""
        return self.fact.role, self.fact.sort, self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether what the layer leaves out may be anything."""
        return isinstance(self.fact, Overlap) and self.fact.complete

    def covered(self, features: pd.DataFrame, shapes: Geoms, surveyed: Bools, canvas: Canvas) -> Classes:
        """(rows, columns) of `Covered`.

        Parameters
        ----------
        features : (M,) attributes of the layer
        shapes : (M,) their ground, EPSG:3857
        surveyed : (rows, columns) where the layer was surveyed
        """
        rest = Covered.PERHAPS if self.is_complete else Covered.NO
        out = np.where(surveyed, np.uint8(rest), np.uint8(Covered.UNKNOWN))
        if self.is_complete:
            out[canvas.burnt(shapes)] = Covered.NO
        every = np.ones(len(features), dtype=bool)
        certain, possible = (every, every) if self.fact.sort is None else self.fact.sort(features)
        perhaps = possible & ~certain
        for rows, said in ((perhaps, Covered.PERHAPS), (certain, Covered.YES)):
            if rows.any():
                out[canvas.burnt(shapes[rows])] = said
        return out


def overlays(book: Rulebook, day: date) -> list[Overlay]:
    """The rules of a day that overlay a layer, whatever the project."""
    found = ((rule, FACTS.get(FULL.get(rule.value, rule.value))) for rule in _of_ground(book, day))
    return [Overlay(rule, fact) for rule, fact in found if isinstance(fact, (Overlap, Outside))]


def slope_rules(book: Rulebook, day: date) -> list[Rule]:
    """The rules of a day on the mean slope of a site, which is that of a cell."""
    return [
        rule
        for rule in _of_ground(book, day)
        if isinstance(fact := FACTS.get(rule.value), Terrain) and fact == FACTS["slope_mean_deg"]
    ]


def slope_classes(rules: Sequence[Rule], slope_deg: Floats) -> Classes:
    """(C,) what the rules make of cells of these slopes; NaN is unknown."""
    worst = np.full(len(slope_deg), Suitability.CLEAR, dtype=np.uint8)
    for rule in rules:
        np.maximum(worst, _judged(rule, Interval.exact(slope_deg)), out=worst)
    return worst


def _of_ground(book: Rulebook, day: date) -> Iterator[Rule]:
    for rule in book.asked("screening", day):
        if rule.scope == "each" and rule.when is None and not isinstance(rule.limit, str):
            yield rule


def _judged(rule: Rule, value: Interval) -> Classes:
    limit = Interval.exact(np.full(len(value.lo), float(rule.limit)))
    verdict = outcome(status(margin(value, rule.op, limit)), rule.severity, rule.is_confirmed)
    return CLASS_OF[verdict]


CLASS_OF = np.zeros(len(Verdict), dtype=np.uint8)
CLASS_OF[[Verdict.CLEAR, Verdict.WARNED, Verdict.CONDITIONAL]] = [1, 2, 3]
CLASS_OF[[Verdict.UNDETERMINED, Verdict.BLOCKED]] = [4, 6]
