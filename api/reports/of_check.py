"""A siting check as a report: the contract's Check in, sections out; the order is the one a reviewer reads in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
import shapely

from api.catalogue import purpose as named
from api.reports import boundary, mapsheet, of_occupation
from api.reports.mapsheet import Ground, Paper, Subject, fit
from api.reports.model import (
    Blanks,
    Block,
    Column,
    Facts,
    Page,
    Report,
    Section,
    Table,
    Text,
    Unit,
    Verdict,
    Words,
    digest_of,
    joined,
    words,
)
from api.scope import Scope
from api.xlsx import WORDS, is_synthetic
from gis.explain import quantity
from layers.crs import LONLAT, parse_cached, transform
from layers.store import Store
from layers.units import mu

Row = Mapping[str, Any]
TONES: dict[str, Literal["good", "warn", "unknown", "bad"]] = {
    "clear": "good", "warned": "good", "conditional": "warn", "undetermined": "unknown", "blocked": "bad",
}  # fmt: skip
SEVERITIES = {
    "block": Words("禁止", "block"),
    "condition": Words("条件", "condition"),
    "warn": Words("提示", "warning"),
}
AUTHORITIES = {"statute": "法律法规", "standard": "标准规范", "policy": "政策文件", "assumption": "经验假定"}
DECISIONS = {"satisfied": "已满足", "maintained": "维持", "overridden": "不采纳"}
SIGNS = {"<=": "≤", ">=": "≥"}
BOUNDS = {"at_least": "> ", "at_most": "< "}
QUOTAS = (
    ("new_construction_m2", "新增建设用地", "New construction land", 0),
    ("agricultural_m2", "其中：农用地", "Agricultural", 1),
    ("cultivated_m2", "其中：耕地", "Cultivated", 2),
    ("paddy_m2", "其中：水田", "Paddy", 3),
)  # fmt: skip
DEMANDS: tuple[tuple[str, str, str, Unit], ...] = (
    ("investment_wan", "总投资（万元）", "Investment, 10,000 CNY", "number"),
    ("output_wan", "年产值（万元）", "Output, 10,000 CNY", "number"),
    ("tax_wan", "年税收（万元）", "Tax, 10,000 CNY", "number"),
    ("jobs", "就业（人）", "Jobs", "number"),
    ("power_kva", "报装容量（kVA）", "Power, kVA", "number"),
    ("water_m3d", "用水（m³/d）", "Water, m³/d", "number"),
    ("effluent_m3d", "排水（m³/d）", "Effluent, m³/d", "number"),
    ("freight_td", "货运（t/d）", "Freight, t/d", "number"),
)
NOT_A_COMMITMENT = Text(
    "本报告为系统依据所载数据版本和规则作出的初步审查意见，供审查人员参考，不构成行政决定，不构成用地批准或供地承诺。",
    "A preliminary check by a system on the stated editions of data and rules. It is no administrative decision, no "
    "approval of land use and no commitment to supply land (不构成供地承诺).",
    "notice",
)  # fmt: skip
MADE_UP = Text(
    "本报告所用数据含合成数据，仅供演示，不得用于实际审批。",
    "Some of the data are synthetic, for demonstration only; nothing may be decided on them.",
    "notice",
)  # fmt: skip


def report(
    check: Row,
    store: Store,
    scope: Scope | None = None,
    *,
    opinions: Sequence[Row] = (),
    remains: Row | None = None,
    paper: Paper = "A4",
    scale: int | None = None,
) -> Report:
    """`check` as it is kept; opinions and what they leave open as they are now."""
    ground = site_of(check, store)
    findings = sorted(check["findings"], key=lambda one: list(SEVERITIES).index(one["severity"]))
    of = {status: [one for one in findings if one["status"] == status] for status in WORDS}
    sections = [
        Section(Words("审查结论", "Conclusion"), _conclusion(check, of, remains or check.get("remains"))),
        Section(Words("项目与地块", "Project and site"), _project(check)),
        Section(Words("不符合事项", "What fails"), [_failing(of["fail"])]),
        Section(Words("数据不足、无法判定的事项", "What had no data: unknown is not pass"), [_unknown(of["unknown"])]),
        Section(Words("占用情况", "Occupation"), of_occupation.occupation(check["occupation"])),
        Section(Words("指标需求", "Quota need"), _quota(check)),
        Section(Words("已审查并符合的事项", "What was shown"), [_passing(of["pass"])]),
        Section(Words("不涉及的事项", "What was not concerned"), [_exempt(of["exempt"])]),
        Section(Words("办结意见", "Opinions given"), [_opinions(opinions)]),
        Section(Words("界址点坐标", "Boundary points"), [_where(store), *boundary.points(ground)]),
        Section(Words("数据与规则版本", "Editions of data and rules"), _editions(check)),
        Section(Words("审查意见", "Opinion of the bureau"), [SIGN]),
    ]
    return Report(
        title=Words("建设项目选址系统初审报告", "Preliminary siting check"),
        county=store.name,
        key=str(check["id"]),
        digest=digest_of(check),
        created_at=str(check["created_at"]),
        synthetic=is_synthetic(check),
        sections=sections,
        pages=[_map(check, store, scope, ground, paper, scale)],
    )


SIGN = Blanks((
    (Words("经办意见", "Case officer"), 3),
    (Words("科室审核意见", "Section head"), 3),
    (Words("局领导审批意见", "Head of the bureau"), 3),
    (Words("经办人 / 日期", "Signed, date"), 1),
    (Words("审核人 / 日期", "Signed, date"), 1),
    (Words("单位（盖章）", "Stamp of the bureau"), 4),
))  # fmt: skip


def site_of(check: Row, store: Store) -> shapely.Geometry:
    """The checked ground in the county's own grid."""
    drawn = shapely.from_geojson(_json(check["site"]["geometry"]))
    moved: shapely.Geometry = transform(np.array([drawn], dtype=object), parse_cached(LONLAT), store.crs)[0]
    return shapely.set_precision(moved, 0.0) if moved.is_valid else shapely.make_valid(moved)


def _json(geometry: Row) -> str:
    return json.dumps(geometry)


def parcels_of(check: Row) -> list[str]:
    return [str(part["parcel"]) for part in check["site"].get("parts") or () if part.get("parcel")]


# --- the sections ---------------------------------------------------------------------------------


def _conclusion(check: Row, of: Mapping[str, Sequence[Row]], remains: Row | None) -> list[Block]:
    count = "　".join(
        f"{zh} {len(of[status])} 项"
        for status, zh in (("fail", "不符合"), ("unknown", "数据不足"), ("pass", "符合"), ("exempt", "不涉及"))
    )  # fmt: skip
    english = ", ".join(
        f"{len(of[status])} {en}"
        for status, en in (("fail", "fail"), ("unknown", "unknown"), ("pass", "pass"), ("exempt", "not concerned"))
    )
    more = Words(f"共审查 {len(check['findings'])} 项：{count}", english)
    blocks: list[Block] = [Verdict(words(check["conclusion"]), TONES[check["verdict"]], more)]
    if remains:
        blocks.append(Text(remains["zh"], remains["en"], "strong"))
    blocks.append(NOT_A_COMMITMENT)
    if is_synthetic(check):
        blocks.append(MADE_UP)
    return blocks


def _project(check: Row) -> list[Block]:
    project, site = check["project"], check["site"]
    industry = project.get("industry") or {}
    zones = "、".join(f"{one['zone']}（{one['share']:.1%}）" for one in site["zones"])
    purpose = check["purpose"]
    rows: list[tuple[Words, object, Unit]] = [
        (Words("项目名称", "Project"), project.get("name") or project.get("id"), ""),
        (Words("项目代码", "Project id"), project.get("id"), ""),
        (Words("行业代码", "Industry"), joined(industry.get("code"), industry.get("system")), ""),
        (Words("建设性质", "Nature"), project.get("nature"), ""),
        (Words("拟用地面积（㎡）", "Land asked for, m²"), project.get("land_m2"), "m2"),
        (Words("审查环节", "Purpose"), f"{named(purpose)} {named(purpose, 'en')}", ""),
        *(
            (Words(zh, en), project.get(name), unit)
            for name, zh, en, unit in DEMANDS
            if project.get(name) is not None
        ),
        (Words("宗地", "Parcels"), "、".join(parcels_of(check)) or "未登记地块 unregistered ground", ""),
        (Words("所在片区", "Zones"), zones or "不在园区片区内 none", ""),
        (Words("控制面积（㎡）", "Control area, m²"), site["control_area_m2"], "m2"),
        (Words("控制面积（亩）", "Control area, mu"), site["area_mu"], "mu"),
        (Words("椭球面积（㎡）", "Ellipsoid area, m²"), site["area_ellipsoid_m2"], "m2"),
        (Words("面积计算方法", "Area method"), site["area_method"], ""),
        (Words("数据截止日", "Data as of"), check["as_of"], ""),
        (Words("指标年度", "Quota year"), check["for_year"], "year"),
    ]  # fmt: skip
    blocks: list[Block] = [Facts(rows)]
    if check.get("estimated"):
        columns = (
            Column("项目", "Demand", width=1.2), Column("估算值", "Value", "number"), Column("下限", "Low", "number"),
            Column("上限", "High", "number"), Column("依据", "Basis", width=2),
        )  # fmt: skip
        found = [
            (
                f"{one['field']}（{one['unit']}）",
                one["value"],
                one["low"],
                one["high"],
                Words(one["basis"], one["source"]),
            )
            for one in check["estimated"]
        ]
        blocks.append(Table(Words("按行业估算的需求（项目未填报）", "Demands estimated by industry"), columns, found))
    return blocks


def _law(one: Row) -> Words:
    """Law text, edition, authority, and whether anybody has confirmed it."""
    asks = "" if one["verified"] == "county" else f"　{WORDS.get(one['verified'], one['verified'])}"
    return Words(f"{one['basis']}{asks}", f"{AUTHORITIES.get(one['authority'], one['authority'])} · {one['edition']}")


def _remedy(one: Row) -> Words | None:
    return words(one["remedy"]) if one.get("remedy") else None


def _subject(one: Row) -> Words:
    """What a rule is about, without its numbers."""
    return Words(one["message"]["zh"].partition("：")[0], one["message"]["en"].partition(": ")[0])


def _value(one: Row) -> str | None:
    if one["value"] is None:
        return None
    return BOUNDS.get(one.get("value_bound", ""), "") + quantity(one["value"], one["unit"] or "")


def _limit(one: Row) -> str | None:
    if one["limit"] is None:
        return None
    return f"{SIGNS.get(one.get('op') or '', '')} {quantity(one['limit'], one['unit'] or '')}".strip()


def _margin(one: Row) -> str | None:
    return None if one["margin"] is None else quantity(one["margin"], one["unit"] or "").replace("-", "−")


def _numbered(rows: Iterable[Sequence[object]]) -> list[tuple[object, ...]]:
    return [(n, *row) for n, row in enumerate(rows, start=1)]


def _failing(found: Sequence[Row]) -> Table:
    columns = (
        Column("序", "No.", width=0.35), Column("性质", "Kind", width=0.7),
        Column("审查结论", "Finding", width=3.4),
        Column("依据（条文、性质、版本）", "Basis, authority, edition", width=2.0),
        Column("补正途径", "Remedy", width=1.6),
    )  # fmt: skip
    rows = [
        (SEVERITIES[one["severity"]], words(one["message"]), _law(one), _remedy(one)) for one in found
    ]  # fmt: skip
    return Table(None, columns, _numbered(rows), tone="fail")


def _unknown(found: Sequence[Row]) -> Table:
    columns = (
        Column("序", "No.", width=0.35), Column("性质", "Kind", width=0.7),
        Column("缺什么", "What is missing", width=3.6),
        Column("图层版本", "Layer", width=1.4), Column("依据", "Basis", width=2.0),
    )  # fmt: skip
    rows = [
        (SEVERITIES[one["severity"]], words(one["message"]), one["layer_version"] or one["layer"], _law(one))
        for one in found
    ]  # fmt: skip
    return Table(None, columns, _numbered(rows), tone="unknown")


def _passing(found: Sequence[Row]) -> Table:
    columns = (
        Column("序", "No.", width=0.4), Column("事项", "Rule", width=2.7), Column("数值", "Value", "number", 1.15),
        Column("要求", "Limit", "number", 1.35), Column("余量", "Margin", "number", 1.2),
        Column("依据", "Basis, authority, edition", width=2.2),
    )  # fmt: skip
    rows = [(_subject(one), _value(one), _limit(one), _margin(one), _law(one)) for one in found]
    return Table(None, columns, _numbered(rows))


def _exempt(found: Sequence[Row]) -> Table:
    columns = (
        Column("序", "No.", width=0.35), Column("事项与原因", "Rule, and why not", width=3.4),
        Column("依据", "Basis, authority, edition", width=2.4),
    )  # fmt: skip
    return Table(None, columns, _numbered((words(one["message"]), _law(one)) for one in found))


def _opinions(given: Sequence[Row]) -> Table:
    columns = (
        Column("时间", "At", width=1.2), Column("规则", "Rule", width=1.2), Column("意见", "Decision", width=0.7),
        Column("文件", "Document", width=1.4), Column("理由", "Reason", width=2.6), Column("经办", "By", width=0.8),
    )  # fmt: skip
    rows = [
        (
            one["at"][:16].replace("T", " "), one["rule"], DECISIONS.get(one["decision"], one["decision"]),
            one["document"], one["reason"], one["by"],
        )
        for one in given
    ]  # fmt: skip
    return Table(None, columns, rows)


def _quota(check: Row) -> list[Block]:
    need = check["quota_need"]
    columns = (
        Column("指标", "Quota", width=1.8), Column("需用（㎡）", "Needed, m²", "m2"), Column("公顷", "ha", "ha", 0.8),
        Column("亩", "mu", "mu", 0.8),
    )  # fmt: skip
    rows = [
        (Words(zh, en), need[name], None if need[name] is None else need[name] / 10_000,
         None if need[name] is None else mu(need[name]))
        for name, zh, en, _ in QUOTAS
    ]  # fmt: skip
    blocks: list[Block] = [Table(Words("本项目需用", "This project"), columns, rows, indent=[one[3] for one in QUOTAS])]
    if balance := check["occupation"].get("balance"):
        heads = (
            Column("项目", "Item", width=1.8), Column("地块现状（㎡）", "On the site", "m2"),
            Column("已批不再占用", "Approved already", "m2"), Column("需用", "Need", "m2"),
            Column("可承载", "Left for it", "m2"), Column("账户", "Accounts", width=2.4),
        )  # fmt: skip
        said = [
            (Words(one["zh"], one["en"]), one["on_site_m2"], one["approved_m2"], one["need_m2"], one["balance_m2"],
             (one["account"] or "").replace(", ", "\n")) for one in balance
        ]  # fmt: skip
        blocks.append(Table(Words("指标与占补平衡", "Quota and balance"), heads, said))
    return blocks


def _where(store: Store) -> Text:
    code = store.crs.to_epsg()
    return Text(
        f"坐标系 {store.crs.name}" + (f"（EPSG:{code}）" if code else "") + "，X 为北坐标、Y 为东坐标，单位米。",
        "Local grid; X is north and Y is east, in metres. From the north-west corner clockwise.",
        "small",
    )  # fmt: skip


def _editions(check: Row) -> list[Block]:
    columns = (
        Column("图层", "Layer", width=1.5), Column("版本与摘要", "Version and digest", width=2.4),
        Column("年份", "Vintage", width=0.7), Column("来源", "Source", width=1.2),
        Column("精度（米）", "Accuracy, m", "number", 0.7), Column("合成", "Synthetic", width=0.6),
        Column("覆盖地块", "Covers the site", width=0.7),
    )  # fmt: skip
    sources = check["occupation"].get("sources") or ()
    rows: list[Sequence[object]] = [
        (Words(one["layer_zh"], one["layer_en"]), one["version"] or "未加载 not loaded", one["vintage"], one["source"],
         one["accuracy_m"], one["synthetic"], one["covers_site"]) for one in sources
    ]  # fmt: skip
    told = {one["layer"] for one in sources}
    rows += [
        (role, label, None, None, None, None, None)
        for role, label in check["layer_versions"].items()
        if role not in told
    ]
    digests: list[tuple[Words, object, Unit]] = [
        (Words("规则摘要", "Rulebook digest"), check["rulebook_digest"], ""),
        (Words("量算摘要", "Facts digest"), check["facts_digest"], ""),
        (Words("审查编号", "Check id"), check["id"], ""),
        (Words("审查摘要", "Check digest"), digest_of(check), ""),
        (Words("审查时间", "Checked at"), check["created_at"], ""),
    ]  # fmt: skip
    return [Table(None, columns, rows), Facts(digests)]


def _map(
    check: Row, store: Store, scope: Scope | None, ground: shapely.Geometry, paper: Paper, scale: int | None
) -> Page:
    window = fit(ground.bounds, scale, paper, name="site", coarser=True)
    parcels = parcels_of(check)
    project = check["project"]
    name = f"{project.get('name') or project.get('id')}　{'、'.join(parcels)}"
    subject = Subject(Words("选址范围图", "Site map"), name, ground, f"审查编号 {check['id']}")
    made = date.fromisoformat(str(check["created_at"])[:10])
    return mapsheet.sheet(subject, Ground(store, scope), window, key="site", drawn_on=made)
