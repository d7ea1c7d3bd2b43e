"""The control indicators of industrial land (工业项目建设用地控制指标) and the energy a unit of output may take.

Three indicators are mandatory (容积率, 建筑系数, 行政办公及生活服务), three are advisory (投资强度, 产出率, 税收).
The edition in force is that of 2023. What of its table nobody here has seen is *unknown* until a bureau loads it;
the figures of 2008 stand beside it for information and judge nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pandas as pd

from gis.estimate import amount_of, closest
from gis.rules import Rulebook
from layers.errors import BadInput, Fault
from layers.records import Project

EDITION, LEGACY = "2023", "2008"
INDICATORS = {  # need column -> the side it is limited on, what people call it
    "floor_area_ratio": (">=", "容积率", "floor area ratio"),
    "building_coverage_share": (">=", "建筑系数", "building coverage"),
    "office_land_share": ("<=", "行政办公及生活服务设施用地所占比重", "share of office and living land"),
    "office_floor_share": ("<=", "行政办公及生活服务设施建筑面积占比", "share of office and living floor area"),
    "investment_wan_per_ha": (">=", "固定资产投资强度", "investment per hectare"),
    "output_wan_per_ha": (">=", "土地产出率", "output per hectare"),
    "tax_wan_per_ha": (">=", "土地税收", "tax per hectare"),
}
LIMITS = {f"{name}_{'min' if op == '>=' else 'max'}": name for name, (op, _, _) in INDICATORS.items()}


class Limits:
    """`control_indicators.csv` and `energy_benchmarks.csv` as lookups: the longest prefix of the industry decides."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self._rows: dict[tuple[str, str], list[tuple[str, float]]] = {}
        for row in _records(tables.get("control_indicators")):
            key = (row["indicator"], row["edition"])
            self._rows.setdefault(key, []).append((row["code_prefix"].strip("*"), float(row["value"])))
        self._energy = _records(tables.get("energy_benchmarks"))

    def limit(self, indicator: str, project: Project) -> float | None:
        """What the edition in force asks; None where its table is not loaded for this industry."""
        values = self._values(indicator, EDITION, project)
        return values[0] if len(values) == 1 else None

    def legacy(self, indicator: str, project: Project) -> tuple[float, float] | None:
        """What the superseded edition asked, from the lowest to the highest land grade; it judges nothing."""
        values = self._values(indicator, LEGACY, project)
        return (min(values), max(values)) if values else None

    def _values(self, indicator: str, edition: str, project: Project) -> list[float]:
        if project.industry is None:
            return []
        digits = project.industry.digits
        fits = [row for row in self._rows.get((indicator, edition), ()) if digits.startswith(row[0])]
        longest = max((len(prefix) for prefix, _ in fits), default=0)
        return [value for prefix, value in fits if len(prefix) == longest]

    def energy_tce_per_unit(self, project: Project) -> float | None:
        """What a new plant may take per unit of its product; None where no benchmark of it is held here."""
        if project.industry is None or project.annual_output is None:
            return None
        unit = amount_of(project.annual_output)[1]
        said = project.annual_output.product or project.name or ""
        for row in self._energy:
            fits = project.industry.digits.startswith(row["code_prefix"]) and row["per"] == unit
            if fits and closest([row["product"]], said) is not None:
                return float(row["tce_per_unit"])
        return None


@lru_cache(maxsize=8)
def limits_of(rulebook: Rulebook) -> Limits:
    return Limits(rulebook.tables)


def _records(table: pd.DataFrame | None) -> list[dict[str, str]]:
    return [] if table is None else [{str(k): str(v) for k, v in row.items()} for row in table.to_dict("records")]


def with_indicators(rulebook: Rulebook, rows: Iterable[Mapping[str, Any]]) -> Rulebook:
    """The book with a county's own rows of the 2023 table; a row stands in for the shipped one of the same industry.

    Parameters
    ----------
    rows : each `indicator, code_prefix, value, source` (the document it stands in), and `note` where there is one;
        `code_prefix` is of GB/T 4754-2017, `*` for all of manufacturing. Values already are those of the county's
        own land grade.

    Raises BadInput with every faulty row.
    """
    given = [{str(name): "" if said is None else str(said) for name, said in row.items()} for row in rows]
    faults = [fault for number, row in enumerate(given, start=1) for fault in _faults(row, number)]
    faults += _twice(given)
    if faults:
        raise BadInput("the table of control indicators is refused as a whole", faults)
    if not given:
        return rulebook
    shipped = rulebook.tables["control_indicators"]
    own = {(row["indicator"], row["code_prefix"]) for row in given}
    keys = zip(shipped["indicator"], shipped["code_prefix"], shipped["edition"], strict=True)
    kept = shipped[[not (edition == EDITION and (one, prefix) in own) for one, prefix, edition in keys]]
    added = pd.DataFrame(
        [
            {
                **row,
                "edition": EDITION,
                "land_grade": "",
                "op": INDICATORS[row["indicator"]][0],
                "nature": "county",
                "confidence": "seen",
            }
            for row in given
        ]
    )
    table = pd.concat([kept, added], ignore_index=True).reindex(columns=shipped.columns).fillna("")
    return replace(rulebook, tables={**rulebook.tables, "control_indicators": table})


def _faults(row: Mapping[str, str], number: int) -> Iterable[Fault]:
    where = f"row {number}"
    if row.get("indicator") not in INDICATORS:
        yield Fault("no such indicator", f"Use {', '.join(INDICATORS)}", feature=where, field="indicator")
    prefix = row.get("code_prefix", "")
    if prefix != "*" and not (prefix.isdecimal() and 2 <= len(prefix) <= 4):
        fix = "Use 2 to 4 digits of GB/T 4754-2017, or *"
        yield Fault(f"{prefix!r} is no industry", fix, feature=where, field="code_prefix")
    if not row.get("source"):
        yield Fault("it names no document", "Name the document the figure stands in", feature=where, field="source")
    if row.get("edition", EDITION) != EDITION:
        yield Fault(f"edition {row['edition']!r} judges nothing", f"Send {EDITION}", feature=where, field="edition")
    try:
        good = 0 < float(row.get("value", "")) < 1e9
    except ValueError:
        good = False
    if not good:
        yield Fault(f"{row.get('value', '')!r} is no limit", "Give a number above 0", feature=where, field="value")
    elif row.get("indicator", "").endswith("_share") and float(row["value"]) > 1:
        yield Fault(f"{row['value']} is no share", "A share is 0 to 1, never percent", feature=where, field="value")


def _twice(rows: Sequence[Mapping[str, str]]) -> list[Fault]:
    keys = [(row.get("indicator", ""), row.get("code_prefix", "")) for row in rows]
    fix = "Keep one row for each"
    return [
        Fault(f"{name} of {prefix} stands twice", fix, field="indicator")
        for name, prefix in sorted({key for key in keys if keys.count(key) > 1})
    ]


def why_no_limit(column: str, project: Project, rulebook: Rulebook) -> tuple[str, str] | None:
    """Why a limit is unknown, Chinese and English, with the superseded figure beside it; None for other columns."""
    if column == "energy_tce_per_unit_max":
        return "未加载该产品的能耗标杆值，无法判定", "no energy benchmark of this product is loaded"
    indicator = LIMITS.get(column)
    if indicator is None:
        return None
    old = limits_of(rulebook).legacy(indicator, project)
    said = "" if old is None else f"{old[0]:g}" if old[0] == old[1] else f"{old[0]:g}–{old[1]:g}"
    zh = f"（{LEGACY} 年旧值 {said}，仅供参考）" if said else ""
    en = f" (legacy {LEGACY} value {said}, for information)" if said else ""
    return f"{EDITION} 版控制指标表未加载，无法判定{zh}", f"the {EDITION} table is not loaded{en}"
