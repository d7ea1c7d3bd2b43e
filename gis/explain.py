"""A cell of the table spelled out: each rule's finding with its article, numbers, margin and evidence, zh and en.

Nothing is judged here; the statuses are those of `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely

from gis.check import Checked
from gis.facts import FACTS
from gis.ground import Ground, Shown
from gis.intervals import Interval
from gis.judge import Status, Verdict, margin, shown_margin
from gis.meetings import MEETINGS
from gis.rules import Rule

Names = Mapping[str, tuple[str, str]]  # layer role -> (zh, en)

UNITS = {"m2": "m²", "m": "m", "deg": "°", "share": "", "kva": "kVA", "m3d": "m³/d", "td": "t/d", "": ""}
SAYS = {"is_chemical": "industry", "is_food": "industry", "is_two_high": "industry", "is_dusty": "dust"}
CONCLUSION = {
    Verdict.CLEAR: ("符合", "complies"),
    Verdict.WARNED: ("符合（有提示）", "complies, with remarks"),
    Verdict.CONDITIONAL: ("有条件符合", "complies on conditions"),
    Verdict.UNDETERMINED: ("数据不足无法判定", "cannot be determined for lack of data"),
    Verdict.BLOCKED: ("不符合", "does not comply"),
}


@dataclass(frozen=True)
class Finding:
    """What one rule found in one cell. Numbers are None where nothing is known; geometry is in the working CRS.

    `value_bound` is "at_least" where the search ended before anything was found: print "> 15 km".
    """

    rule: str
    status: str
    severity: str
    scope: str
    value: float | None
    value_bound: str
    limit: float | None
    op: str
    unit: str
    margin: float | None
    basis: str
    edition: str
    authority: str
    verified: str
    layer: str | None
    layer_version: str | None
    features: tuple[str, ...]
    message: dict[str, str]
    evidence: shapely.Geometry | None


def verdict(checked: Checked, i: int, j: int) -> Verdict:
    return Verdict(int(checked.verdict[i, j]))


def conclusion(result: Verdict) -> dict[str, str]:
    """The words a report may use. The system only pre-examines; people decide."""
    zh, en = CONCLUSION[result]
    return {"zh": f"系统初审：{zh}", "en": f"Preliminary system check: {en}"}


def findings(
    checked: Checked, i: int, j: int, names: Names | None = None, ground: Ground | None = None
) -> list[Finding]:
    """Every rule of the purpose for site `i` and project `j`, those that do not apply as exempt."""
    here = ground if ground is not None else Ground(checked.sites[i : i + 1], checked.world)
    return [_finding(checked, rule, row, i, j, here, names or {}) for row, rule in enumerate(checked.rules)]


def _finding(checked: Checked, rule: Rule, row: int, i: int, j: int, ground: Ground, names: Names) -> Finding:
    result = Status(int(checked.status[row, i, j]))
    value, limit = checked.column(rule.value, i, j), checked.column(rule.limit, i, j)
    between = shown_margin(margin(value, rule.op, limit), np.array([result]))
    role = _role(rule)
    layer = ground.layer(role) if role not in (None, "dem") else None
    grid = ground.world.raster("dem") if role == "dem" else None
    version = layer.layer.label if layer is not None else grid.layer.label if grid is not None else None
    shown = _evidence(checked, rule, i, j, ground) if result is not Status.EXEMPT else None
    unit = _unit(rule)
    number, bound = _number(value, checked.facts.reach_m.get(rule.value))
    finding_limit = _number(limit, None)[0]
    texts = _message(
        checked,
        rule,
        result,
        number,
        bound,
        finding_limit,
        unit,
        _margin(between),
        j,
        role,
        layer is not None or grid is not None,
        names,
        shown,
    )
    return Finding(
        rule.id,
        result.name.lower(),
        rule.severity,
        rule.scope,
        number,
        bound,
        finding_limit,
        rule.op,
        unit,
        _margin(between),
        rule.basis,
        rule.edition,
        rule.authority,
        rule.verified,
        role,
        version,
        shown.names if shown is not None else (),
        texts,
        shown.geometry if shown is not None else None,
    )


def _role(rule: Rule) -> str | None:
    """The layer a rule reads: that of its value, or of its limit where the value is the project's."""
    for name in (rule.value, rule.limit):
        if name in FACTS:
            return FACTS[name].role
        if name in MEETINGS:
            return MEETINGS[name].role
    return None


def _unit(rule: Rule) -> str:
    for name in (rule.value, rule.limit):
        if name in FACTS:
            return FACTS[name].unit
        if name in MEETINGS:
            return MEETINGS[name].unit
    return ""


def _evidence(checked: Checked, rule: Rule, i: int, j: int, ground: Ground) -> Shown | None:
    site = checked.sites[i]
    project = (checked.projects[j],)
    for name in (rule.value, rule.limit):
        if name in FACTS:
            shown = FACTS[name].evidence(site, ground, checked.facts.reach_m.get(name, 0.0))
        elif name in MEETINGS:
            needs = {need: column[j : j + 1] for need, column in checked.needs.items()}
            shown = MEETINGS[name].evidence(site, ground, project, needs)
        else:
            continue
        if shown is not None:
            return shown
    return None


def _number(value: Interval, reach_m: float | None) -> tuple[float | None, str]:
    """The number to print and whether it is exact, a lower or an upper bound."""
    lo, hi = float(value.lo[0]), float(value.hi[0])
    if np.isnan(lo) or np.isnan(hi):
        return None, "unknown"
    if np.isinf(hi):
        least = reach_m if np.isinf(lo) and reach_m is not None else lo
        return (float(least), "at_least") if np.isfinite(least) else (None, "unbounded")
    return hi, "exact" if lo == hi else "at_most"


def _margin(between: np.ndarray) -> float | None:
    margin_ = float(between[0])
    return margin_ if np.isfinite(margin_) else None


def _message(
    checked: Checked,
    rule: Rule,
    result: Status,
    number: float | None,
    bound: str,
    limit: float | None,
    unit: str,
    between: float | None,
    j: int,
    role: str | None,
    loaded: bool,
    names: Names,
    shown: Shown | None,
) -> dict[str, str]:
    sign = {"at_least": ("不小于 ", "at least "), "at_most": ("不大于 ", "at most ")}.get(bound, ("", ""))
    value_text = quantity(number, unit) if number is not None else None
    limit_text = f"{'≥' if rule.op == '>=' else '≤'} {quantity(limit, unit)}" if limit is not None else None
    who = f"（{'、'.join(shown.names)}）" if shown is not None and shown.names else ""
    who_en = f" ({', '.join(shown.names)})" if shown is not None and shown.names else ""
    if result is Status.EXEMPT:
        by = checked.replaced.get(rule.id)
        if by is not None:
            return {"zh": f"{rule.zh}：由 {by} 取代", "en": f"{rule.en}: replaced by {by}"}
        return {"zh": f"{rule.zh}：不适用", "en": f"{rule.en}: does not apply"}
    if result is Status.UNKNOWN:
        zh, en = _why_unknown(checked, rule, j, role, loaded, names, number is None)
        return {"zh": f"{rule.zh}：{zh}", "en": f"{rule.en}: {en}"}
    numbers = f"{sign[0]}{value_text}，要求 {limit_text}" if value_text and limit_text else ""
    numbers_en = f"{sign[1]}{value_text}, required {limit_text}" if value_text and limit_text else ""
    if result is Status.PASS:
        return {"zh": f"{rule.zh}：{numbers}，通过", "en": f"{rule.en}: {numbers_en}; passes"}
    short = quantity(-between, unit) if between is not None else ""
    asks, asks_en = ("，条文待核", "; article to be confirmed") if not rule.is_confirmed else ("", "")
    gap, gap_en = (f"，相差 {short}", f", off by {short}") if short else ("", "")
    return {
        "zh": f"{rule.zh}{who}：{numbers}{gap}，不通过{asks}",
        "en": f"{rule.en}{who_en}: {numbers_en}{gap_en}; fails{asks_en}",
    }


def _why_unknown(
    checked: Checked, rule: Rule, j: int, role: str | None, loaded: bool, names: Names, no_number: bool
) -> tuple[str, str]:
    """What is missing, in the order somebody would look for it: the project's word, the layer, its extent."""
    missing = [name for name in rule.columns if name in checked.needs and np.isnan(checked.needs[name].hi[j])]
    if missing:
        field = SAYS.get(missing[0], missing[0])
        return f"项目未填写 {field}，无法判定", f"the project does not say {field}"
    zh, en = names.get(role or "", (role or "", role or ""))
    if role is not None and not loaded:
        return f"未加载图层“{zh}”，无法判定", f"the layer {en!r} is not loaded"
    if no_number:
        return (
            f"地块不全在图层“{zh}”的调查范围内，或该图层缺数",
            f"the site is not wholly inside the survey of {en!r}, or it lacks values",
        )
    return f"图层“{zh}”的属性或调查范围不足以判定", f"attributes or extent of {en!r} do not decide it"


def quantity(number: float | None, unit: str) -> str:
    """A number as people read it.

    >>> quantity(12345.678, "m2"), quantity(2345.0, "m"), quantity(0.25, "share"), quantity(23_400.0, "m")
    ('12,345.68 m²', '2,345.0 m', '25.0 %', '23.4 km')
    """
    if number is None:
        return "?"
    if unit == "share":
        return f"{number * 100:.1f} %"
    if unit == "m" and abs(number) >= 10_000:
        return f"{number / 1000:,.1f} km"
    digits = 2 if unit == "m2" else 1
    shown = f"{number:,.{digits}f}"
    return f"{shown} {UNITS.get(unit, unit)}".strip() if unit != "deg" else f"{shown}°"
