"""What is drawn over the land: the plan, the three control lines, other restrictions, and ground promised already."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gis.explain import Finding
from gis.judge import Status
from gis.occupation.case import Case, Row, Rows, m2, said, share
from gis.quota import in_force
from layers.records import Snapshot

LINES = ("basic_farmland", "eco_redline", "urban_boundary")
RESTRICTING = (
    "farmland_reserve", "nature_reserve", "water_protection", "river_management", "forest_land",
    "public_welfare_forest", "wetlands", "environment_units", "hazards", "karst", "mining_rights", "heritage",
)  # fmt: skip
PROMISED = ("approved_land", "parcels", "plots", "idle_land", "violations")
MEASURES = {"m2": "overlap", "m": "distance"}
WORST = {"fail": 0, "unknown": 1, "pass": 2, "exempt": 3}
BOUNDARY = {"concentrated": "城镇集中建设区", "flexible": "城镇弹性发展区", "special": "特别用途区"}
SAYS = {
    "valid": ("已批未供，在有效期内，该部分不再占用指标", "approved and valid: it needs no quota again"),
    "lapsed": ("批文已失效", "the approval has lapsed"),
    "not_yet": ("批准日期在查询日之后", "approved after the day asked for"),
    "undated": (
        "批准日期或有效期未填，无法判定是否有效",
        "its dates are not said, so nobody knows whether it is valid",
    ),
    "own": ("为本地块自身", "it is the site itself"),
    "supplied": ("已供应宗地，涉嫌重复供地", "supplied already: the ground would be allocated twice"),
    "registered": ("涉及登记宗地，须核实权利状态", "a registered parcel: its right has to be looked up"),
    "planned": ("涉及其他收储规划地块", "part of another planned plot"),
    "held": ("台账已为其他项目预留或占用，不得重复安排", "held in the ledger for another: not to be given twice"),
    "idle": ("闲置土地，处置后方可供应", "idle land, to be settled first"),
    "unlawful": ("违法用地图斑，先查处后报批", "an unlawful use, to be settled first"),
    "none": ("未涉及", "nothing found"),
    "not_surveyed": ("地块不全在调查范围内，无法判定", "the site is not wholly surveyed"),
    "not_loaded": ("未加载图层，无法判定", "the layer is not loaded"),
}


def planning(case: Case) -> Rows:
    """规划符合性: the plan's uses, and inside and outside the urban boundary; each part adds up to the control area."""
    rows = _covering(case, "plan_zoning", "use")
    return rows + _covering(case, "urban_boundary", "boundary")


def _covering(case: Case, role: str, part: str) -> Rows:
    found = case.published(role)
    blank = dict.fromkeys(
        ("feature", "zone", "system", "code", "name", "inside_urban_boundary", "document", "accuracy")
    )
    if found is None:
        return [case.named(role) | {"part": f"{part}_not_loaded"} | blank | {"area_m2": None, "share": None}]
    layer, parts = found
    whole = int(parts.control[0])
    sure = case.accuracy(role)
    rows: Rows = []
    for row, feature in enumerate(parts.feature.tolist()):
        column = _reader(layer, feature)
        kind = column("kind")
        rows.append(
            case.named(role)
            | {
                "part": part,
                "feature": column("id"),
                "zone": (BOUNDARY.get(kind, kind) if part == "boundary" else column("planned_zone")),
                "system": column("code_system"),
                "code": column("code"),
                "name": column("code_name") if part == "use" else column("name"),
                "inside_urban_boundary": True if part == "boundary" else None,
                "document": column("document"),
                "area_m2": int(parts.hundredths[row]) / 100,
                "share": share(int(parts.hundredths[row]), whole),
                "accuracy": sure[row],
            }
        )
    left = int(parts.uncovered[0])
    if left or not rows:
        surveyed = case.surveyed(layer)
        outside = False if part == "boundary" and surveyed else None
        word = {"use": "无规划用途", "boundary": "开发边界外"}[part] if surveyed else "调查范围外"
        area = {"area_m2": left / 100, "share": share(left, whole)}
        rows.append(case.named(role) | {"part": part} | blank | {"zone": word, "inside_urban_boundary": outside} | area)
    return rows


def control_lines(case: Case) -> Rows:
    """三线: what lies in basic farmland and the red line, and outside the urban boundary, with the rule that asks."""
    return [row for role in LINES for row in _line(case, role)]


def _line(case: Case, role: str) -> Rows:
    asked = [one for one in case.findings if one.layer == role]
    worst = min(asked, key=lambda one: (WORST[one.status], one.severity != "block"), default=None)
    judged = {
        "rule": ", ".join(dict.fromkeys(one.rule for one in asked)) or None,
        "status": worst.status if worst is not None else None,
        "basis": worst.basis if worst is not None else None,
    }
    nothing = {"rule": None, "status": None, "basis": None}
    blank = dict.fromkeys(("feature", "name", "accuracy"))
    found = case.published(role)
    if found is None:
        gap = judged | {"status": judged["status"] or "unknown"}
        return [case.named(role) | {"part": "not_loaded"} | blank | {"area_m2": None, "share": None} | gap]
    layer, parts = found
    whole = int(parts.control[0])
    rows: Rows = []
    if role == "urban_boundary":
        covered, part = int(parts.uncovered[0]), "outside"
    else:
        rows = [case.named(role) | one | nothing for one in _features(case, layer, role)]
        covered, part = int(parts.hundredths.sum()), "total"
    touched = sum(one["area_m2"] for one in rows) if covered == 0 else covered / 100
    known = case.surveyed(layer) or covered > 0
    total = {
        "part": part,
        **blank,
        "area_m2": touched if known else None,
        "share": share(covered, whole) if known else None,
    }
    return [*rows, case.named(role) | total | judged]


def _features(case: Case, layer: Snapshot, role: str) -> Rows:
    """Each feature with ground in the site; where features overlap their areas do not add up to the total."""
    parts = case.published(role)
    assert parts is not None
    whole = int(parts[1].control[0])
    sure = case.accuracy(role)
    return [
        {
            "part": "feature",
            "feature": layer.column("id")[feature],
            "name": layer.names[feature],
            "area_m2": m2(gross) if hundredths == 0 or parts[1].doubled_m2[0] > 0 else hundredths / 100,
            "share": share(gross * 100, whole),
            "accuracy": sure[row],
        }
        for row, (feature, hundredths, gross) in enumerate(
            zip(parts[1].feature.tolist(), parts[1].hundredths.tolist(), parts[1].gross_m2.tolist(), strict=True)
        )
    ]


def restrictions(case: Case) -> Rows:
    """限制要素: what every rule of the purpose says of the other layers, then the features the site lies on."""
    rows = [
        _rule_row(case, one) for one in case.findings if one.layer is not None and one.layer not in LINES
        and one.layer not in ("zones", "land_use", "plan_zoning") and one.status != Status.EXEMPT.name.lower()
    ]  # fmt: skip
    for role in RESTRICTING:
        layer = case.ground.layer(role)
        if layer is None:
            if not any(row["layer"] == role for row in rows):
                rows.append(
                    case.named(role) | _blank("not_loaded") | {"status": "unknown", "zh": "未加载图层，无法判定"}
                )
            continue
        if not _is_ground(layer):
            continue
        rows += [
            case.named(role)
            | _blank("feature")
            | {
                "feature": one["name"] or one["feature"],
                "measure": "overlap",
                "value": one["area_m2"],
                "unit": "m2",
                "accuracy": one["accuracy"],
            }
            for one in _features(case, layer, role)
        ]
    return rows


def _is_ground(layer: Snapshot) -> bool:
    return layer.once("is ground", lambda one: bool((one.area_m2 > 0).any()))


def _blank(part: str) -> Row:
    names = ("feature", "measure", "value", "bound", "unit", "op", "limit", "rule", "zh", "status", "basis", "accuracy")
    return {"part": part, **dict.fromkeys(names)}


def _rule_row(case: Case, one: Finding) -> Row:
    assert one.layer is not None
    value = None if one.value is None else m2(one.value) if one.unit == "m2" else round(one.value, 4)
    limit = one.limit if one.limit is not None and math.isfinite(one.limit) else None
    return {
        **case.named(one.layer),
        "part": "rule",
        "feature": "、".join(one.features) or None,
        "measure": MEASURES.get(one.unit, one.unit or None),
        "value": value,
        "bound": one.value_bound,
        "unit": one.unit or None,
        "op": one.op,
        "limit": limit,
        "rule": one.rule,
        "zh": one.message["zh"],
        "status": one.status,
        "basis": one.basis,
        "accuracy": one.accuracy,
    }


def allocation(case: Case) -> Rows:
    """已批未供、已供、闲置、违法: what else has a claim on this ground, so that nothing is allocated twice."""
    return [row for role in PROMISED for row in _claims(case, role)] + _held(case)


def _held(case: Case) -> Rows:
    """Ground that reservations of others hold in the ledger; nothing is said where none does."""
    found = case.published("placed")
    if found is None:
        return []
    layer, table = found
    rows: Rows = []
    for feature, one in zip(table.feature.tolist(), _features(case, layer, "placed"), strict=True):
        column = _reader(layer, feature)
        if case.project is not None and column("project") == case.project.key:
            continue
        row = dict.fromkeys(("document", "approved_on", "valid_until", "land_purpose", "right_nature"))
        row |= {name: one[name] for name in ("feature", "name", "area_m2", "share", "accuracy")}
        rows.append(case.named("placed") | row | _says("held"))
    return rows


def _claims(case: Case, role: str) -> Rows:
    found = case.published(role)
    columns = ("document", "approved_on", "valid_until", "land_purpose", "right_nature")
    blank: Row = {
        "feature": None,
        "name": None,
        **dict.fromkeys(columns),
        "area_m2": None,
        "share": None,
        "accuracy": None,
    }
    if found is None:
        return [case.named(role) | blank | _says("not_loaded")]
    layer, _ = found
    rows: Rows = []
    numbers = found[1].feature.tolist()
    for feature, one in zip(numbers, _features(case, layer, role), strict=True):
        column = _reader(layer, feature)
        row = blank | {name: one[name] for name in ("feature", "name", "area_m2", "share", "accuracy")}
        row |= {name: column(name) for name in columns}
        row["document"] = row["document"] or column("contract")
        rows.append(case.named(role) | row | _says(_claim(case, layer, role, feature, str(one["feature"]))))
    if not rows:
        rows.append(case.named(role) | blank | _says("none" if case.surveyed(layer) else "not_surveyed"))
    return rows


def _claim(case: Case, layer: Snapshot, role: str, feature: int, name: str) -> str:
    if role == "approved_land":
        day = case.ground.world.as_of.isoformat()
        sure, may = in_force(layer, day)
        if sure[feature]:
            return "valid"
        given = layer.column("approved_on")[feature]
        return "undated" if may[feature] else "not_yet" if isinstance(given, str) and given > day else "lapsed"
    if name in case.own:
        return "own"
    if role == "parcels":
        return "supplied" if _reader(layer, feature)("right_nature") is not None else "registered"
    return {"plots": "planned", "idle_land": "idle", "violations": "unlawful"}[role]


def _says(finding: str) -> Row:
    return {"finding": finding, "zh": SAYS[finding][0]}


def _reader(layer: Snapshot, feature: int) -> Callable[[str], Any]:
    return lambda name: said(layer.column(name)[feature])
