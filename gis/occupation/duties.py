"""What the site owes: quota, replacement of farmland, economical use; and the facts and notes the tables rest on."""

from __future__ import annotations

from typing import Any

import numpy as np

from gis.ground import counted
from gis.intervals import Interval
from gis.judge import Status, margin, status
from gis.landuse import KINDS, OfKind, deduct_share, land_use
from gis.occupation.case import Case, Row, Rows, m2, said
from gis.quota import QuotaBalance, QuotaNeed, accounts
from gis.rules import Rule
from layers.units import ha, mu, round_half_up

KIND_NAMES = {
    "new_construction": ("新增建设用地", "New construction land"),
    "agricultural": ("其中：农用地", "of which agricultural"),
    "cultivated": ("其中：耕地", "of which cultivated"),
    "paddy": ("其中：水田（另计）", "of which paddy, apart"),
}
SUPPLEMENT = (  # item, the quota kind it follows, the account, Chinese, English
    ("supplement_area", "cultivated", "balance_area", "补充耕地数量", "Replacement farmland, area"),
    ("supplement_paddy", "paddy", "balance_paddy", "补充水田", "Replacement paddy"),
    (
        "supplement_yield",
        None,
        "balance_yield",
        "补充粮食产能（缺耕地等别，未知）",
        "Replacement yield (grades not known)",
    ),
)
LAW = "自然资发〔2023〕72号"
INDICATORS = (  # item, Chinese, English, unit, rule, nature
    ("floor_area_ratio", "容积率", "Floor area ratio", "", "indicator.floor_area_ratio", "规范性"),
    ("building_coverage_share", "建筑系数", "Building coverage", "share", "indicator.coverage", "规范性"),
    (
        "office_land_share",
        "行政办公及生活服务设施用地占比",
        "Office and living land",
        "share",
        "indicator.office",
        "规范性",
    ),
    (
        "office_floor_share",
        "行政办公及生活服务设施建筑面积占比",
        "Office and living floor area",
        "share",
        "indicator.office_floor",
        "规范性",
    ),
    (
        "investment_wan_per_ha",
        "固定资产投资强度",
        "Investment per hectare",
        "万元/ha",
        "indicator.investment",
        "推荐性",
    ),
    ("output_wan_per_ha", "土地产出率", "Output per hectare", "万元/ha", "indicator.output", "推荐性"),
    ("tax_wan_per_ha", "土地税收", "Tax per hectare", "万元/ha", "indicator.tax", "推荐性"),
)


def balance(case: Case) -> Rows:
    """指标与占补平衡: the quota the site needs beside what its zones have left, and the farmland to be replaced."""
    ground = case.ground
    found = land_use(ground)
    rows: Rows = []
    needs: dict[str, tuple[float | None, float | None]] = {}
    for kind in KINDS:
        needs[kind] = _bounds(QuotaNeed(kind).measure(ground, 0.0))
        on_site = None
        if found is not None:
            keep = counted(found.layer, OfKind(kind))[0]
            on_site = int(found.on(kind, found.parts.hundredths, keep)[0]) / 100
        most, least = needs[kind]
        exact = most is not None and most == least and on_site is not None
        zh, en = KIND_NAMES[kind]
        approved = m2(on_site - most) if exact and on_site is not None and most is not None else None
        rows.append(_balance_row(case, kind, kind, zh, en) | {"on_site_m2": on_site, "approved_m2": approved,
                                                              "need_m2": most, "need_least_m2": least})  # fmt: skip
    for item, kind_or_none, account, zh, en in SUPPLEMENT:
        most, least = needs[kind_or_none] if kind_or_none is not None else (None, None)
        rows.append(_balance_row(case, item, account, zh, en) | {"need_m2": most, "need_least_m2": least})
    return rows


def _balance_row(case: Case, item: str, account: str, zh: str, en: str) -> Row:
    units = sorted(accounts(case.ground).get(account, {}))
    counts = bool(units) and account != "balance_yield"
    left = float(QuotaBalance(account).measure(case.ground, 0.0).hi[0]) if counts else np.nan
    return {
        "item": item, "zh": zh, "en": en, "on_site_m2": None, "approved_m2": None, "need_m2": None,
        "need_least_m2": None, "balance_m2": m2(left) if np.isfinite(left) else None, "yield_kg": None,
        "account": ", ".join(f"quota/{unit}/{case.ground.world.for_year}/{account}" for unit in units[:20]) or None,
    }  # fmt: skip


def _bounds(need: Interval) -> tuple[float | None, float | None]:
    """Most and least; None where nothing is known."""
    hi, lo = float(need.hi[0]), float(need.lo[0])
    return (m2(hi) if np.isfinite(hi) else None), (m2(lo) if np.isfinite(lo) else None)


def land_saving(case: Case) -> Rows:
    """节地评价: the 3 + 3 indicators of the 2023 edition; unknown where the rulebook has no limit."""
    if case.project is None:
        return []
    asked = {rule.id: rule for rule in case.rules}
    rows = []
    for item, zh, en, unit, rule_id, nature in INDICATORS:
        rule = asked.get(rule_id or "")
        value = _number(case.needs.get(item))
        rows.append(
            {
                "item": item, "zh": zh, "en": en,
                "value": None if value is None else float(round_half_up(value, 4)),
                "unit": unit or None,
                **_judged(case, rule),
                "nature": nature,
            }
        )  # fmt: skip
    return rows


def _number(need: Interval | None) -> float | None:
    """A need that is one number; None where it is unknown or only estimated."""
    return None if need is None or not np.isfinite(need.hi[0]) or need.lo[0] != need.hi[0] else float(need.hi[0])


def _judged(case: Case, rule: Rule | None) -> Row:
    if rule is None:
        return {"op": ">=", "limit": None, "status": "unknown", "basis": LAW, "edition": "2023", "verified": "memory"}
    limit = _number(case.needs.get(rule.limit)) if isinstance(rule.limit, str) else float(rule.limit)
    here = case.needs.get(rule.value, Interval.unknown(1))
    most = Interval.exact(np.array([np.nan if limit is None else limit]))
    applies = case.needs.get(rule.when) if rule.when is not None else None
    result = Status(int(status(margin(here, rule.op, most), applies)[0]))
    return {
        "op": rule.op, "limit": limit, "status": result.name.lower(), "basis": rule.basis, "edition": rule.edition,
        "verified": rule.verified,
    }  # fmt: skip


def basic(case: Case) -> Rows:
    """基本信息: what was asked, on which ground, measured how, on which data."""
    ground, project = case.ground, case.project
    found = land_use(ground)
    control_m2 = m2(float(ground.area_m2[0]))
    years: Any = [] if found is None else found.layer.column("survey_year")[found.parts.feature]
    seen = sorted({str(said(year)) for year in years if said(year) is not None})
    facts: list[tuple[str, str, str, Any]] = [
        ("project", "项目名称", "Project", project and (project.name or project.key)),
        ("project_id", "项目代码", "Project id", project and project.id),
        ("industry", "行业代码", "Industry", project and project.industry and project.industry.code),
        ("nature", "建设性质", "Nature", project and project.nature),
        ("land_m2", "拟用地面积（平方米）", "Land asked for, m2", project and project.land_m2),
        ("control_area_m2", "地块控制面积（平方米）", "Control area, m2", control_m2),
        ("control_area_ha", "地块控制面积（公顷）", "Control area, ha", float(ha(control_m2))),
        ("control_area_mu", "地块控制面积（亩）", "Control area, mu", float(mu(control_m2))),
        ("area_ellipsoid_m2", "椭球面积（平方米）", "Ellipsoid area, m2", case.area_ellipsoid_m2),
        ("crs", "坐标系", "CRS", ground.world.crs.name),
        ("area_method", "面积计算方法", "Area method", f"plane, {ground.world.crs.name}"),
        ("survey_year", "调查数据年份", "Survey year", "、".join(seen) or None),
        ("purpose", "审查环节", "Purpose", case.purpose),
        ("as_of", "数据截止日", "As of", ground.world.as_of.isoformat()),
        ("for_year", "指标年度", "Quota year", ground.world.for_year),
        ("rulebook_digest", "规则摘要", "Rulebook digest", case.rulebook_digest),
    ]
    return [{"item": item, "zh": zh, "en": en, "value": value} for item, zh, en, value in facts]


def sources(case: Case, roles: tuple[str, ...]) -> Rows:
    """数据来源: version, year and accuracy of every layer the tables read; those not loaded are named too."""
    rows = []
    for role in roles:
        found = case.ground.layer(role)
        layer = None if found is None else found.layer
        rows.append(
            case.named(role)
            | {
                "version": layer and layer.label,
                "vintage": layer and layer.vintage,
                "source": layer and layer.source,
                "accuracy_m": layer and layer.accuracy_m,
                "synthetic": layer and layer.synthetic,
                "covers_site": None if found is None else case.surveyed(found),
            }
        )
    return rows


def notes(case: Case, roles: tuple[str, ...]) -> Rows:
    """说明: everything that makes the tables less than they seem."""
    found = land_use(case.ground)
    told: list[tuple[str, str, str]] = []
    missing = [role for role in roles if case.ground.layer(role) is None]
    if missing:
        zh = "、".join(case.names.get(role, (role, role))[0] for role in missing)
        told.append(("not_loaded", f"未加载：{zh}", f"Not loaded: {', '.join(missing)}"))
    if found is not None:
        told += _land_notes(case)
    told.append(
        (
            "closing",
            "各表面积以控制面积为准，按最大余数法闭合到 0.01 平方米；公顷、亩由平方米换算后四舍五入并闭合",
            "Areas are closed to the control area by largest remainder at 0.01 m2",
        )
    )
    return [{"item": item, "zh": zh, "en": en} for item, zh, en in told]


def _land_notes(case: Case) -> list[tuple[str, str, str]]:
    found = land_use(case.ground)
    assert found is not None
    layer, parts = found.layer, found.parts
    told = []
    if parts.uncovered[0]:
        left = f"{parts.uncovered[0] / 100:,.2f}"
        told.append(("uncovered", f"{left} 平方米无图斑覆盖，单列不分摊", f"{left} m2 have no land-use patch"))
    if parts.doubled_m2[0] > 0.005:
        twice = f"{m2(float(parts.doubled_m2[0])):,.2f}"
        told.append(
            (
                "overlapping",
                f"现状图斑相互重叠 {twice} 平方米，计入要求更严的地类一次",
                f"Patches overlap by {twice} m2, counted once under the stricter class",
            )
        )
    said_code = np.array([said(one) is not None for one in layer.column("deducted_code")[parts.feature]], dtype=bool)
    unsaid = int((said_code & (deduct_share(layer)[parts.feature] == 0)).sum())
    if unsaid:
        zh, en = (
            f"{unsaid} 个图斑有扣除地类而无系数，未扣田坎",
            f"{unsaid} patches name a deducted class without a share",
        )
        told.append(("no_deduct_share", zh, en))
    for column, zh in (("linear_area_m2", "线状地物"), ("scattered_area_m2", "零星地物")):
        if any((said(one) or 0) > 0 for one in layer.column(column)[parts.feature]):
            told.append((column, f"二调{zh}面积未单列扣除", f"{column} of the second survey is not deducted"))
    if not case.surveyed(layer):
        zh, en = "地块不全在现状调查范围内", "The site is not wholly inside the land-use survey"
        told.append(("not_surveyed", zh, en))
    return told
