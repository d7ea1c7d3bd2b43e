"""A cell of the table spelled out: each rule's finding with its article, numbers, margin and evidence, zh and en.

Nothing is judged here; the statuses are those of `check`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import shapely

from gis import accuracy, measure
from gis.accuracy import Accuracy
from gis.check import Checked
from gis.facts import CERTAIN, FACTS, FULL, REACH
from gis.ground import Ground, Shown
from gis.indicators import why_no_limit
from gis.intervals import Interval
from gis.judge import Status, Verdict, margin
from gis.meetings import MEETINGS, reads
from gis.rules import Rule
from layers.units import m2

Names = Mapping[str, tuple[str, str]]  # layer role -> (zh, en)

UNITS = {"m2": "m²", "m": "m", "deg": "°", "share": "", "kva": "kVA", "m3": "m³", "m3d": "m³/d", "td": "t/d", "": ""}
UNITS |= {"t": "t", "trucks": "辆/d", "sources": ""}
SAYS = {  # need column -> the field of a project it is read from
    "is_chemical": "industry", "is_food": "industry", "is_two_high": "industry", "is_dusty": "dust",
    "footprint_fits": "footprint",
    "is_cement_clinker": "industry", "is_manufacturing": "industry", "is_slaughter": "industry",
    "is_silicon": "industry", "is_plastic_film": "industry", "is_steelmaking": "industry", "is_flat_glass": "industry",
    "is_electrolytic_manganese": "annual_output.product", "is_vanadium": "annual_output.product",
    "is_fired_brick": "annual_output.product", "is_pig_slaughter": "annual_output.product",
    "output_head": "annual_output", "output_10k_brick": "annual_output",
    "energy_tce_per_unit": "energy_tce, annual_output",
    "capacity_replacement_missing": "gates.capacity_replacement", "energy_review_missing": "gates.energy_review",
    "slaughter_permit_missing": "gates.slaughter_permit", "eia_missing": "gates.eia",
    "clinker_line_td": "equipment.clinker_line_td", "furnace_kva": "equipment.furnace_kva",
    "rectifier_kva": "equipment.rectifier_kva", "leach_tank_m3": "equipment.leach_tank_m3",
    "film_mm": "equipment.film_mm", "is_chloride_roast": "equipment.chloride_roast",
    "is_induction_furnace": "equipment.induction_furnace", "is_solid_clay": "equipment.solid_clay",
    "floor_area_ratio": "floor_area_m2, land_m2", "building_coverage_share": "building_footprint_m2, land_m2",
    "office_land_share": "office_land_m2, land_m2", "office_floor_share": "office_floor_m2, floor_area_m2",
    "investment_wan_per_ha": "investment_wan, land_m2", "output_wan_per_ha": "output_wan, land_m2",
    "tax_wan_per_ha": "tax_wan, land_m2", "land_min_m2": "land_m2",
}  # fmt: skip
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
    `accuracy` says whether ground shared with a layer is certain, given how well its borders are known, a boundary
    touch or none; None for other rules and where it is not known.
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
    accuracy: Accuracy | None
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
    between = margin(value, rule.op, limit)
    if result is Status.PASS and limit.hi[0] != limit.lo[0]:  # the end that was the harder to pass
        limit = Interval.exact(limit.lo if rule.op == "<=" else limit.hi)
    if result is Status.FAIL and not value.is_exact:  # the side that already fails
        value = Interval.exact(value.lo if rule.op == "<=" else value.hi)
    number, bound = _number(value, checked.facts.reach_m.get(rule.value))
    if result is Status.PASS and bound == "at_most" and rule.op == ">=":
        number, bound = float(value.lo[0]), "at_least"
    if result is Status.FAIL and _is_beside(rule, ground):
        bound = "at_most"
    role = _role(rule)
    case = _Case(
        checked,
        rule,
        result,
        j,
        number,
        bound,
        _number(limit, None)[0],
        _margin(between, result),
        _unit(rule),
        role,
        _version(role, ground),
        _evidence(checked, rule, i, j, ground) if result in (Status.FAIL, Status.UNKNOWN) else None,
        _accuracy(checked, rule, i, ground),
        ground,
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
        case.accuracy,
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
    accuracy: Accuracy | None
    ground: Ground


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
    suffix = rule.value.rpartition("_")[2]
    return suffix if suffix in UNITS else ""


def _evidence(checked: Checked, rule: Rule, i: int, j: int, ground: Ground) -> Shown | None:
    site = checked.sites[i]
    project = (checked.projects[j],)
    for name in (rule.value, rule.limit):
        if name in FACTS:
            full = name if name in REACH.values() else FULL.get(name, name)  # two rules often read the same ground
            reach_m = checked.facts.reach_m.get(name, 0.0)
            shown = ground.once(("shown", i, full), partial(FACTS[full].evidence, site, reach_m=reach_m))
        elif name in MEETINGS:
            needs = {need: column[j : j + 1] for need, column in checked.needs.items()}
            shown = MEETINGS[name].evidence(site, ground, project, needs)
        else:
            continue
        if shown is not None:
            return shown
    return None


def _accuracy(checked: Checked, rule: Rule, i: int, ground: Ground) -> Accuracy | None:
    """How sure the ground is that a rule reads; measured here where no rule asked for its certain part."""
    full = FULL.get(rule.value, rule.value)
    if full not in CERTAIN:
        return None
    shared = checked.facts.columns[full][i : i + 1]
    if rule.value in REACH.values() and _is_beside(rule, ground):
        return "boundary"
    if not shared.lo[0] > 0:
        return accuracy.class_of(shared, shared)
    known = checked.facts.columns.get(CERTAIN[full])
    return accuracy.class_of(shared, FACTS[CERTAIN[full]].measure(ground, 0.0) if known is None else known[i : i + 1])


def _is_beside(rule: Rule, ground: Ground) -> bool:
    """Whether a site shares no ground with a layer whose border may, given its accuracy, run inside it."""
    if rule.value not in REACH.values():
        return False
    drawn, possible = (FACTS[name].measure(ground, 0.0) for name in (FULL[rule.value], rule.value))
    return bool(drawn.hi[0] == 0 and possible.lo[0] > 0)


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
    zh, en = _stated(case) or _numbers(case)
    if _is_estimated(case):
        zh, en = f"{zh}（按行业估算）", f"{en} (estimated)"
    touch = case.accuracy == "boundary"
    if case.result is Status.PASS:
        only, only_en = ("，仅边界触碰，待校核", ", a boundary touch only, to be checked") if touch else ("", "")
        return {"zh": f"{rule.zh}：{zh}，通过{only}", "en": f"{rule.en}: {en}; passes{only_en}"}
    who = case.shown.names if case.shown is not None else ()
    at, at_en = (f"（{'、'.join(who)}）", f" ({', '.join(who)})") if who else ("", "")
    short = quantity(-case.margin, case.unit) if case.margin is not None and _stated(case) is None else ""
    gap, gap_en = (f"，相差 {short}", f", off by {short}") if short else ("", "")
    asks, asks_en = ("", "") if rule.is_confirmed else ("，条文待核", "; article to be confirmed")
    edge, edge_en = _touch(case) if touch else ("", "")
    return {
        "zh": f"{rule.zh}{at}：{zh}{gap}，不通过{asks}{edge}",
        "en": f"{rule.en}{at_en}: {en}{gap_en}; fails{asks_en}{edge_en}",
    }


def _touch(case: _Case) -> tuple[str, str]:
    """How wide a boundary touch is and what the layer's borders are good for."""
    assert case.role is not None
    layer = case.ground.layer(case.role)
    if layer is None or case.shown is None or case.shown.geometry is None:
        return "，边界触碰，待校核", "; a boundary touch, to be checked"
    given = case.ground.tolerance(layer)
    if _is_beside(case.rule, case.ground):
        gap = f"{measure.distance_m(case.ground.sites, layer, given.depth_m)[0]:.2f} m"
        return (
            f"；图层边界距地块 {gap}，图层精度 {given.depth_m:g} m，边界可能在地块内，须校正边界或由图层保管人确认",
            f"; the border is drawn {gap} off and accurate to {given.depth_m:g} m, so that it may lie inside:"
            " correct it, or have the keeper of the layer confirm it",
        )
    width_m = accuracy.width_m(case.shown.geometry)
    within = f"{given.depth_m:g} m" + (f", {given.area_m2:g} m²" if math.isfinite(given.area_m2) else "")
    said, said_en = (
        (f"图层精度 {within}", f"the layer is accurate to {within}")
        if given.stated
        else (f"图层未注明精度，假定容差 {within}", f"the layer states no accuracy; assumed tolerance {within}")
    )
    return (
        f"；边界触碰，宽约 {_width(width_m)}（{said}），待校核",
        f"; a boundary touch about {_width(width_m)} wide ({said_en}), to be checked",
    )


def _width(width_m: float) -> str:
    """A width with two digits that count.

    >>> _width(0.0612), _width(0.0049), _width(1.26)
    ('0.06 m', '0.005 m', '1.26 m')
    """
    return f"{width_m:.2f} m" if width_m >= 0.01 else f"{width_m:.3f} m"


def _is_estimated(case: _Case) -> bool:
    """Whether a rule rests on what industry knowledge estimates of the project."""
    asked = {need for name in case.rule.columns for need in (name, *reads(name))}
    return not asked.isdisjoint(case.checked.estimated[case.j])


def _stated(case: _Case) -> tuple[str, str] | None:
    """A document held or not, a yes or a no, in words; None for rules about amounts."""
    if case.rule.value.endswith("_missing"):
        return ("未提供文件", "no document") if case.value else ("已提供文件", "the document is held")
    if case.rule.value.startswith("is_"):
        return ("是", "yes") if case.value else ("否", "no")
    return None


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
    for name in missing:
        why = why_no_limit(name, case.checked.projects[case.j], case.checked.rulebook)
        if why is not None:
            return why
    if missing:
        said = SAYS.get(missing[0], missing[0])
        return f"项目未填写 {said}，无法判定", f"the project does not say {said}"
    zh, en = names.get(case.role or "", (case.role or "", case.role or ""))
    if case.role is not None and case.version is None:
        return f"未加载图层“{zh}”，无法判定", f"the layer {en!r} is not loaded"
    if _is_estimated(case):
        return (
            "按行业估算的区间不足以判定，请项目单位填报实际数值",
            "the estimated range does not decide it; the project has to state the figure",
        )
    if case.accuracy == "boundary" and case.rule.value in FULL:
        shared = quantity(case.value, case.unit)
        return (
            f"在图层“{zh}”的边界精度以内触及 {shared}，不止窄条，须核实边界，无法判定",
            f"{shared} lie within the accuracy of the border of {en!r}, too much for a sliver: have it surveyed",
        )
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
    shown = f"{m2(number):,}" if unit == "m2" else f"{number:,.1f}" if unit or abs(number) >= 10 else f"{number:.4g}"
    return f"{shown} {UNITS.get(unit, unit)}".strip() if unit != "deg" else f"{shown}°"
