"""What a project draws when it says only its industry and what it makes in a year.

Each figure is the yearly output times what a unit of it takes (`industry_demand.csv`), spread over the hours or days
it is drawn in. It is an interval, never a number: rules pass where even its unfavourable end passes. What nobody has
a figure for stays unknown.

    power_kva       = output x kWh per unit x spare / (full-load hours x power factor)
    water_m3d, ...  = output x m3 per unit / working days
    water_peak_m3d  = output x share of the peak month x m3 per unit / 30      seasonal trades only; their effluent too
    land_m2         = output x m2 per unit
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import pandas as pd

from gis.rules import Rulebook
from layers.errors import BadInput, Fault
from layers.records import AnnualOutput, Project

End = Literal["low", "typical", "high"]
MONTH_DAYS = 30.0
CONFIDENCE = ("measured", "seen", "mem-high", "mem-mid", "mem-low", "assumption")  # the weakest row speaks for all
UNITS = {  # how output is said -> the unit the table is kept in, and how many of it
    "t": ("t", 1.0), "吨": ("t", 1.0), "kg": ("t", 1e-3), "kt": ("t", 1e3), "千吨": ("t", 1e3), "万吨": ("t", 1e4),
    "万t": ("t", 1e4), "Mt": ("t", 1e6), "m3": ("m3", 1.0), "m³": ("m3", 1.0), "立方米": ("m3", 1.0),
    "方": ("m3", 1.0), "万m3": ("m3", 1e4), "万m³": ("m3", 1e4), "万立方米": ("m3", 1e4), "万方": ("m3", 1e4),
    "m2": ("m2", 1.0), "m²": ("m2", 1.0), "平方米": ("m2", 1.0), "万m2": ("m2", 1e4), "万m²": ("m2", 1e4),
    "万平方米": ("m2", 1e4), "head": ("head", 1.0), "头": ("head", 1.0), "万头": ("head", 1e4),
    "brick": ("10k_brick", 1e-4), "块": ("10k_brick", 1e-4), "万块": ("10k_brick", 1.0),
    "10k_brick": ("10k_brick", 1.0),
}  # fmt: skip
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # field -> what it grows with, what it shrinks with
    "land_m2": (("land",), ()),
    "power_kva": (("electricity", "spare"), ("hours", "power_factor")),
    "water_m3d": (("water",), ("days",)),
    "water_peak_m3d": (("water", "peak_month_share"), ("month_days",)),
    "freight_td": (("freight",), ("days",)),
    "effluent_m3d": (("effluent",), ("days",)),
    "solid_waste_td": (("solid_waste",), ("days",)),
}
SEASONAL_EFFLUENT = (("effluent", "peak_month_share"), ("month_days",))


@dataclass(frozen=True)
class Figure:
    """One row of the table: what a unit of output takes, or how long and how evenly a plant runs."""

    parameter: str
    low: float
    typical: float
    high: float
    unit: str
    per: str
    source: str
    confidence: str
    product: str = ""

    def end(self, name: End) -> float:
        return {"low": self.low, "typical": self.typical, "high": self.high}[name]


@dataclass(frozen=True)
class Estimate:
    """One demand nobody stated. `basis` is the sum it was worked out by, `confidence` that of its weakest figure."""

    field: str
    value: float
    low: float
    high: float
    unit: str
    basis: str
    source: str
    confidence: str


@dataclass(frozen=True)
class Estimated:
    """A project with what it left out filled in: `project` with typical values, `low` and `high` with the ends."""

    project: Project
    low: Project
    high: Project
    estimates: tuple[Estimate, ...] = ()


class Demands:
    """`industry_demand.csv` as a lookup: the longest prefix, then the product, decide."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._figures: dict[tuple[str, str], dict[str, Figure]] = {}
        self._whole: set[tuple[str, str]] = set()
        for row in rows.itertuples(index=False):
            key = (str(row.code_prefix), str(row.product))
            low, typical, high = (float(str(end)) for end in (row.low, row.typical, row.high))
            texts = (str(text) for text in (row.unit, row.per, row.source, row.confidence, row.product))
            figure = Figure(str(row.parameter), low, typical, high, *texts)
            self._figures.setdefault(key, {})[figure.parameter] = figure
            if row.of_class == "all":
                self._whole.add(key)

    def products(self, digits: str) -> list[str]:
        """The products of a class that the table knows, each as its names joined by |."""
        return [product for prefix, product in self._figures if product and digits.startswith(prefix)]

    def product(self, project: Project) -> str | None:
        """Which product of the table a project makes; None where it is not there or cannot be told.

        A class often holds products with quite different demands: then the project has to name its own.
        """
        if project.industry is None:
            return None
        digits = project.industry.digits
        candidates = self.products(digits)
        said = project.annual_output.product if project.annual_output is not None else None
        named = closest(candidates, said or project.name or "")
        if named is not None or said is not None:
            return named
        whole = [product for prefix, product in self._whole if product and digits.startswith(prefix)]
        return whole[0] if len(whole) == 1 else None

    def figures(self, digits: str, product: str) -> Mapping[str, Figure]:
        """What applies to one product, its own rows before those that hold for every plant."""
        own = [key for key in self._figures if key[1] == product and digits.startswith(key[0])]
        found = dict(self._figures.get(("*", ""), {}))
        for key in sorted(own, key=lambda key: len(key[0])):
            found |= self._figures[key]
        month = Figure("month_days", MONTH_DAYS, MONTH_DAYS, MONTH_DAYS, "d", "", "", "measured")
        return MappingProxyType(found | {"month_days": month})


def closest(products: Iterable[str], text: str) -> str | None:
    """The product whose longest name stands in a text.

    >>> closest(["水泥", "水泥粉磨|粉磨站"], "年产60万吨水泥粉磨项目"), closest(["水泥"], "砖厂")
    ('水泥粉磨|粉磨站', None)
    """
    found = [(len(name), product) for product in products for name in product.split("|") if name in text]
    return max(found)[1] if found else None


@lru_cache(maxsize=8)
def demands_of(rulebook: Rulebook) -> Demands | None:
    """The demand table of a rulebook; None in a book from before there was one."""
    rows = rulebook.tables.get("industry_demand")
    return None if rows is None else Demands(rows)


def amount_of(output: AnnualOutput) -> tuple[float, str]:
    """Yearly output in the unit the table is kept in.

    >>> amount_of(AnnualOutput(amount=3, unit="万吨"))
    (30000.0, 't')
    """
    unit, times = UNITS[output.unit]
    return output.amount * times, unit


def estimate(project: Project, rulebook: Rulebook) -> Estimated:
    """Fill in the demands a project leaves out, from its industry and yearly output.

    What the project says is never touched. Raises BadInput for a unit of output that is not known.
    """
    table = demands_of(rulebook)
    nothing = Estimated(project, project, project)
    if project.annual_output is None or project.industry is None or table is None:
        return nothing
    faults = unit_faults([project])
    if faults:
        raise BadInput("unknown unit of output", faults)
    amount, unit = amount_of(project.annual_output)
    product = table.product(project)
    if product is None:
        return nothing
    figures = table.figures(project.industry.digits, product)
    asked = [field for field in FIELDS if _left_out(project, field)]
    made = [one for field in asked if (one := _estimate(field, figures, amount, unit)) is not None]
    if not made:
        return nothing
    low, typical, high = (
        project.model_copy(update={one.field: end for one, end in zip(made, ends, strict=True)})
        for ends in zip(*((one.low, one.value, one.high) for one in made), strict=True)
    )
    return Estimated(typical, low, high, tuple(made))


def amount_days(project: Project, rulebook: Rulebook | None) -> tuple[float, float]:
    """The fewest and the most working days of a year in the project's industry; NaN in a book without the table."""
    table = None if rulebook is None else demands_of(rulebook)
    if table is None:
        return math.nan, math.nan
    digits = "" if project.industry is None else project.industry.digits
    days = table.figures(digits, (table.product(project) if digits else None) or "").get("days")
    return (math.nan, math.nan) if days is None else (days.low, days.high)


def unit_faults(projects: Iterable[Project]) -> list[Fault]:
    """Units of output that nobody knows here."""
    return [
        Fault(
            f"{project.annual_output.unit!r} is no unit of output that we know",
            f"Use one of {', '.join(UNITS)}",
            feature=project.key,
            field="annual_output.unit",
        )
        for project in projects
        if project.annual_output is not None and project.annual_output.unit not in UNITS
    ]


def _left_out(project: Project, field: str) -> bool:
    """A demand nobody states: neither the project nor all of its phases."""
    if getattr(project, field) is not None:
        return False
    return not project.phases or any(getattr(phase, field, None) is None for phase in project.phases)


def _estimate(field: str, figures: Mapping[str, Figure], amount: float, unit: str) -> Estimate | None:
    grows, shrinks = FIELDS[field]
    if field == "effluent_m3d" and "peak_month_share" in figures:
        grows, shrinks = SEASONAL_EFFLUENT
    if not all(name in figures for name in (*grows, *shrinks)):
        return None
    up, down = [figures[name] for name in grows], [figures[name] for name in shrinks]
    if up[0].per != unit:
        return None

    def ends(low: End, high: End) -> float:
        return amount * math.prod(one.end(low) for one in up) / math.prod(one.end(high) for one in down)

    used = [one for one in (*up, *down) if one.source]
    return Estimate(
        field,
        ends("typical", "typical"),
        ends("low", "high"),
        ends("high", "low"),
        f"{field.rpartition('_')[2]}",
        _basis(amount, unit, up, down),
        "; ".join(dict.fromkeys(one.source for one in used)),
        max((one.confidence for one in used), key=CONFIDENCE.index),
    )


def _basis(amount: float, unit: str, up: list[Figure], down: list[Figure]) -> str:
    """The sum in figures, as somebody would check it by hand."""
    times = "".join(f" × {_said(one)}" for one in up)
    over = "".join(f" ÷ {_said(one)}" for one in down)
    return f"{up[0].product.partition('|')[0]}: {amount:,g} {unit}/a{times}{over}"


def _said(one: Figure) -> str:
    per = f"/{one.per}" if one.per and "/" not in one.unit else ""
    unit = f" {one.unit}{per}" if one.unit else ""
    span = "" if one.low == one.high else f" ({one.low:,g}–{one.high:,g})"
    return f"{one.parameter} {one.typical:,g}{span}{unit}"
