"""A cell of the table spelled out: each rule's finding with its article, numbers, margin and evidence, zh and en.

Nothing is judged here; the statuses are those of `check`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import shapely

from gis.check import Checked
from gis.facts import FACTS
from gis.ground import Ground, Shown
from gis.intervals import Interval
from gis.judge import Status, Verdict, margin
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

    What passes needs no ground to point at; `evidence` is there for what fails or is unknown.
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
    here = ground if ground is not None else checked.ground(i)
    return [_finding(checked, rule, row, i, j, here, names or {}) for row, rule in enumerate(checked.rules)]


def _finding(checked: Checked, rule: Rule, row: int, i: int, j: int, ground: Ground, names: Names) -> Finding:
    result = Status(int(checked.status[row, i, j]))
    value, limit = checked.column(rule.value, i, j), checked.column(rule.limit, i, j)
    if result is Status.FAIL and not value.is_exact:  # the side that already fails
        value = Interval.exact(value.lo if rule.op == "<=" else value.hi)
    number, bound = _number(value, checked.facts.reach_m.get(rule.value))
    role = _role(rule)
    case = _Case(
        checked,
        rule,
        result,
        j,
        number,
        bound,
        _number(limit, None)[0],
        _margin(margin(value, rule.op, limit), result),
        _unit(rule),
        role,
        _version(role, ground),
        _evidence(checked, rule, i, j, ground) if result in (Status.FAIL, Status.UNKNOWN) else None,
    )
    return Finding(
        rule.id,
        result.name.lower(),
        rule.severity,
        rule.scope,
        number,
        bound,
        case.limit,
        rule.op,
        case.unit,
        case.margin,
        rule.basis,
        rule.edition,
        rule.authority,
        rule.verified,
        role,
        case.version,
        case.shown.names if case.shown is not None else (),
        _message(case, names),
        case.shown.geometry if case.shown is not None else None,
    )


@dataclass(frozen=True)
class _Case:
    """All that a message is made of."""

    checked: Checked
    rule: Rule
    result: Status
    j: int
    value: float | None
    bound: str
    limit: float | None
    margin: float | None
    unit: str
    role: str | None
    version: str | None
    shown: Shown | None


def _version(role: str | None, ground: Ground) -> str | None:
    """The version of the layer a rule read; None where it is not loaded."""
    if role is None:
        return None
    if role == "dem":
        grid = ground.world.raster("dem") or ground.world.raster("slope")
        return grid.layer.label if grid is not None else None
    layer = ground.layer(role)
    return layer.layer.label if layer is not None else None


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
    if math.isnan(lo) or math.isnan(hi):
        return None, "unknown"
    if math.isinf(hi):
        least = reach_m if math.isinf(lo) and reach_m is not None else lo
        return (float(least), "at_least") if math.isfinite(least) else (None, "unbounded")
    return hi, "exact" if lo == hi else "at_most"


def _margin(between: Interval, result: Status) -> float | None:
    """The one margin to print: the worst case of a pass, the best case of a fail, none where unknown."""
    if result not in (Status.PASS, Status.FAIL):
        return None
    found = float((between.lo if result is Status.PASS else between.hi)[0])
    return found if math.isfinite(found) else None


def _message(case: _Case, names: Names) -> dict[str, str]:
    rule = case.rule
    if case.result is Status.EXEMPT:
        by = case.checked.replaced.get(rule.id)
        zh, en = ("不适用", "does not apply") if by is None else (f"由 {by} 取代", f"replaced by {by}")
        return {"zh": f"{rule.zh}：{zh}", "en": f"{rule.en}: {en}"}
    if case.result is Status.UNKNOWN:
        zh, en = _why_unknown(case, names)
        return {"zh": f"{rule.zh}：{zh}", "en": f"{rule.en}: {en}"}
    zh, en = _numbers(case)
    if case.result is Status.PASS:
        return {"zh": f"{rule.zh}：{zh}，通过", "en": f"{rule.en}: {en}; passes"}
    who = case.shown.names if case.shown is not None else ()
    at, at_en = (f"（{'、'.join(who)}）", f" ({', '.join(who)})") if who else ("", "")
    short = quantity(-case.margin, case.unit) if case.margin is not None else ""
    gap, gap_en = (f"，相差 {short}", f", off by {short}") if short else ("", "")
    asks, asks_en = ("", "") if rule.is_confirmed else ("，条文待核", "; article to be confirmed")
    return {
        "zh": f"{rule.zh}{at}：{zh}{gap}，不通过{asks}",
        "en": f"{rule.en}{at_en}: {en}{gap_en}; fails{asks_en}",
    }


def _numbers(case: _Case) -> tuple[str, str]:
    """Value and limit side by side; a bound says that it is one."""
    if case.value is None or case.limit is None:
        return "", ""
    least = {"at_least": ("不小于 ", "at least "), "at_most": ("不大于 ", "at most ")}.get(case.bound, ("", ""))
    value, limit = quantity(case.value, case.unit), quantity(case.limit, case.unit)
    sign = "≥" if case.rule.op == ">=" else "≤"
    return f"{least[0]}{value}，要求 {sign} {limit}", f"{least[1]}{value}, required {sign} {limit}"


def _why_unknown(case: _Case, names: Names) -> tuple[str, str]:
    """What is missing, in the order somebody would look for it: the project's word, the layer, its extent."""
    needs = case.checked.needs
    missing = [name for name in case.rule.columns if name in needs and math.isnan(needs[name].hi[case.j])]
    if missing:
        said = SAYS.get(missing[0], missing[0])
        return f"项目未填写 {said}，无法判定", f"the project does not say {said}"
    zh, en = names.get(case.role or "", (case.role or "", case.role or ""))
    if case.role is not None and case.version is None:
        return f"未加载图层“{zh}”，无法判定", f"the layer {en!r} is not loaded"
    if case.value is None:
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
