"""The five principles of a park (产业集聚, 集中布局, 集约用地, 节约资源, 集中治污) as measures, and nearness to ore.

`principles.csv` is the one table of what is measured, in which unit and which way is better; each row names a column
of `gis.meetings`. A check says what a cell's columns are; ranking reads the same columns and the same directions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gis.agglomeration import SameChain, chains_of
from gis.check import Checked
from gis.derived import Ratio
from gis.ground import Ground
from gis.indicators import LIMITS, why_no_limit
from gis.meetings import MEETINGS
from gis.raw_materials import RawMaterial, material
from gis.rules import Rulebook

FIVE = ("agglomeration", "concentration", "intensity", "economy", "central_treatment")
UNSAID = {  # needs a project may leave out, as people call them
    "water_mean_m3d": ("日用水量", "its water per day"),
    "output_wan": ("年产值", "its yearly output"),
    "energy_tce": ("综合能耗", "its energy"),
    "effluent_m3d": ("废水量", "its effluent"),
    "investment_wan_per_ha": ("投资额或用地", "its investment or land"),
    "output_wan_per_ha": ("产值或用地", "its output or land"),
    "tax_wan_per_ha": ("税收或用地", "its tax or land"),
}
Note = tuple[str, str]


@dataclass(frozen=True)
class Principle:
    """One measure of a principle: a row of the table."""

    principle: str
    principle_zh: str
    principle_en: str
    measure: str
    zh: str
    en: str
    unit: str
    better: Literal["more", "less"]


@dataclass(frozen=True)
class Measured:
    """A measure of one cell: between `low` and `high`, NaN where nothing is known; `note` says why or with whom."""

    of: Principle
    low: float
    high: float
    note: Note | None = None

    @property
    def value(self) -> float | None:
        return self.high if self.low == self.high and math.isfinite(self.high) else None

    @property
    def bound(self) -> Literal["exact", "between", "at_least", "none_found", "unknown"]:
        """What the ends say: `none_found` is an infinite distance, everything was surveyed and nothing is there."""
        if math.isnan(self.low) or math.isnan(self.high):
            return "unknown"
        if math.isinf(self.low):
            return "none_found"
        return "exact" if self.low == self.high else "at_least" if math.isinf(self.high) else "between"


@lru_cache(maxsize=8)
def principles_of(book: Rulebook) -> tuple[Principle, ...]:
    """The measures of a rulebook; none in a book from before there were any."""
    rows = book.tables.get("principles")
    if rows is None:
        return ()
    columns = [column for column in rows if column not in ("source", "confidence")]
    return tuple(Principle(*row) for row in rows[columns].itertuples(index=False, name=None))


def columns_of(book: Rulebook) -> tuple[str, ...]:
    """The columns to measure, as `extra` of `gis.check.check`."""
    return tuple(one.measure for one in principles_of(book))


def measured(checked: Checked, i: int, j: int) -> Iterator[Measured]:
    """The measures of site `i` and project `j`, in the order of the table."""
    ground = checked.ground(i)
    for one in principles_of(checked.rulebook):
        if one.measure in checked.meetings:
            column = checked.column(one.measure, i, j)
            low, high = float(column.lo[0]), float(column.hi[0])
            yield Measured(one, low, high, _note(checked, ground, one.measure, j, unknown=math.isnan(high)))


def _note(checked: Checked, ground: Ground, name: str, j: int, *, unknown: bool) -> Note | None:
    if unknown:
        return _why(checked, ground, name, j)
    project = checked.projects[j]
    needs = {need: column[j : j + 1] for need, column in checked.needs.items()}
    shown = MEETINGS[name].evidence(ground.sites[0], ground, [project], needs)
    names = "、".join(shown.names) if shown is not None else ""
    if name == "raw_material_m":
        of = material(ground, project)
        assert of is not None
        near = (f"：{names}", f": {names}") if names else ("：调查范围内未见", ": none in the surveyed ground")
        return of.zh + near[0], of.en + near[1]
    return (names, names) if names else None


def _why(checked: Checked, ground: Ground, name: str, j: int) -> Note | None:
    """Why a measure is not known: what the project leaves out, a table without the industry, a layer not there."""
    project, measure = checked.projects[j], MEETINGS[name]
    asked = [measure.part, measure.whole] if isinstance(measure, Ratio) else [getattr(measure, "need", "")]
    for need in asked:
        if need in LIMITS:
            return why_no_limit(need, project, checked.rulebook)
        if need in checked.needs and math.isnan(checked.needs[need].lo[j]):
            zh, en = UNSAID.get(need, (need, need))
            return f"项目未说明{zh}", f"the project does not say {en}"
    if isinstance(measure, SameChain | RawMaterial) and project.industry is None:
        return "项目未说明行业", "the project does not say its industry"
    if isinstance(measure, RawMaterial) and material(ground, project) is None:
        return "原料表没有该产品", "the table of raw materials does not know its product"
    chains = chains_of(checked.rulebook)
    if isinstance(measure, SameChain) and (chains is None or not chains.of_project(project)[1]):
        return "产业链表没有该行业", "the table of chains does not know its industry"
    if isinstance(measure, RawMaterial):
        return "原料所在图层未加载或未覆盖", "no layer with its raw material is loaded and surveyed here"
    layer = None if measure.role is None else ground.layer(measure.role)
    if layer is None:
        return "所需图层未加载", "the layer it rests on is not loaded"
    return "不在图层调查范围内", "outside the surveyed extent of the layer"
