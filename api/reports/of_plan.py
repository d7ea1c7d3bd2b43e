"""A joint plan as a report: who stands where and when, what it draws on, what is left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from api.jobs import require_done
from api.network_map import TITLES
from api.reports import costs, mapsheet
from api.reports import plate as draw
from api.reports.mapsheet import Ground, Paper, Subject, fit
from api.reports.model import (
    Block,
    Column,
    Facts,
    Figure,
    Page,
    Report,
    Section,
    Table,
    Text,
    Unit,
    Verdict,
    Words,
    digest_of,
    shown,
)
from api.reports.plate import Sheet
from api.scope import Scope
from layers.crs import parse_cached, transform
from layers.records import union_bounds
from layers.schema import roles
from layers.store import Store

Row = Mapping[str, Any]
SAID = (
    "assignments", "unplaced", "pools", "expansions", "objective", "bound", "gap", "shortfall", "scenario",
    "rulebook_digest",
)  # fmt: skip
BARS = 38  # to a page
UNITS = {"m2": "㎡", "m3d": "m³/d", "kva": "kVA", "td": "t/d", "wan": "万元", "tce": "tce"}
KINDS = {
    "new_construction": "新增建设用地", "agricultural": "其中农用地", "cultivated": "其中耕地", "paddy": "其中水田",
    "power_kva": "供电", "water_m3d": "供水", "effluent_m3d": "污水", "freight_td": "货运", "energy_tce": "能耗",
    "balance_area": "补充耕地数量", "balance_paddy": "补充水田",
}  # fmt: skip
STATUS = {"optimal": "已证最优", "feasible": "可行，未证最优", "infeasible": "无可行方案", "cancelled": "已中止"}
NOT_A_COMMITMENT = Text(
    "本方案为系统依据所载数据、规则和情景作出的联合选址建议，供研究比较，不构成行政决定，不构成供地承诺。",
    "A joint plan by a system on the stated data, rules and scenario, to be compared and discussed. It is no "
    "administrative decision and no commitment to supply land (不构成供地承诺).",
    "notice",
)


def report(
    plan: Row,
    store: Store,
    scope: Scope | None = None,
    *,
    created_at: str,
    projects: Sequence[Row] = (),
    paper: Paper = "A4",
) -> Report:
    """`plan` as GET /plans/{id} answers it, done; `projects` name what it places. Stale where it is not."""
    require_done(plan)
    names = {str(one.get("id") or one.get("name")): str(one.get("name") or one.get("id")) for one in projects}
    said = {name: plan.get(name) for name in SAID}
    digest = digest_of(said)
    placed = sorted(plan["assignments"], key=lambda one: (one["approval_year"], one["project"]))
    ground = Ground(store, scope)
    sections = [
        Section(Words("方案结论", "Outcome"), _outcome(plan, placed)),
        Section(Words("落地项目", "Placed projects"), [_placed(placed, names)]),
        Section(Words("未落地项目与原因", "Unplaced, and why"), [_unplaced(plan["unplaced"], names)]),
        Section(Words("指标与容量使用", "Pools by year"), _pools(plan["pools"])),
        Section(Words("增容购置", "Expansions bought"), [_expansions(plan)]),
        costs.section(plan.get("bill"), names),
        Section(Words("情景与数据版本", "Scenario, editions of data and rules"), _editions(plan, ground, digest)),
    ]
    return Report(
        title=Words("园区联合选址方案报告", "Joint plan"),
        county=store.name,
        key=str(plan.get("id") or digest[:12]),
        digest=digest,
        created_at=created_at,
        synthetic=any(layer.synthetic for layer in ground.layers.values()),
        sections=sections,
        pages=_map(plan, placed, ground, store, paper, created_at, digest),
    )


def _outcome(plan: Row, placed: Sequence[Row]) -> list[Block]:
    status = str(plan.get("solver_status") or plan.get("status"))
    gap = plan.get("gap")
    area_m2 = sum(one["site"]["area_m2"] for one in placed)
    more = Words(
        f"落地 {len(placed)} 个，未落地 {len(plan['unplaced'])} 个，用地 {shown(area_m2, 'm2')} ㎡",
        f"{len(placed)} placed, {len(plan['unplaced'])} not",
    )
    tone: Any = {"optimal": "good", "feasible": "warn"}.get(status, "bad")
    facts: list[tuple[Words, object, Unit]] = [
        (Words("方案价值", "Objective"), plan.get("objective"), "number"),
        (Words("上界", "Bound"), plan.get("bound"), "number"),
        (Words("差距", "Gap"), gap, "share"),
        (Words("求解状态", "Solver"), status, ""),
    ]
    blocks: list[Block] = [
        Verdict(Words(f"联合方案：{STATUS.get(status, status)}", f"Joint plan: {status}"), tone, more)
    ]
    blocks += [Facts(facts), NOT_A_COMMITMENT]
    for name, amount in (plan.get("shortfall") or {}).items():
        blocks.append(Text(f"还缺 {name}：{shown(amount, 'number')}", f"{name} is short by so much", "strong"))
    blocks += [Text(one["zh"], one["en"], "small") for one in plan.get("notes") or ()]
    return blocks


def _named(key: str, names: Mapping[str, str]) -> str:
    name = names.get(key)
    return key if name is None or name == key else f"{name}（{key}）"


def _placed(placed: Sequence[Row], names: Mapping[str, str]) -> Table:
    columns = (
        Column("序", "No.", width=0.35), Column("项目", "Project", width=2.2), Column("用地", "Site", width=1.7),
        Column("面积（㎡）", "m²", "m2", 1.0), Column("批准年", "Approval", "year", 0.6),
        Column("投产年", "Production", "year", 0.7), Column("价值", "Value", "number", 0.8),
        Column("等待事项", "Waits for", width=1.6),
    )  # fmt: skip
    rows = [
        (
            n, _named(one["project"], names) + (f" / {one['component']}" if one.get("component") else ""),
            one["site"]["name"], one["site"]["area_m2"], one["approval_year"], one["production_year"], one.get("value"),
            "\n".join(map(_waited, one["waits_for"])) or "无",
        )
        for n, one in enumerate(placed, start=1)
    ]  # fmt: skip
    total = sum(one["site"]["area_m2"] for one in placed)
    value = sum(one.get("value") or 0.0 for one in placed)
    return Table(
        None, columns, [*rows, ("", "合计", "", total, "", "", value, "")] if rows else rows, frozenset({len(rows)})
    )


def _waited(one: object) -> str:
    if isinstance(one, Mapping):
        return " ".join(str(one[name]) for name in ("zh", "en", "name", "year") if one.get(name)) or str(dict(one))
    return str(one)


def _unplaced(found: Sequence[Row], names: Mapping[str, str]) -> Table:
    columns = (Column("项目", "Project", width=1.4), Column("原因", "Why", width=3))
    rows = [
        (
            _named(one["project"], names),
            Words("；".join(why["zh"] for why in one["reasons"]), "; ".join(why["en"] for why in one["reasons"])),
        )
        for one in found
    ]
    return Table(None, columns, rows, tone="fail")


def _pools(pools: Sequence[Row]) -> list[Block]:
    used = [one for one in pools if one["used"]]
    blocks: list[Block] = []
    for start in range(0, len(used), BARS):
        some = used[start : start + BARS]
        part = f"（{start + 1}—{start + len(some)}）" if len(used) > BARS else ""
        caption = Words(f"已用与可用{part}", "used (dark) of the balance (light)")
        blocks.append(Figure(*_bars(some), caption))
    rest = len(pools) - len(used)
    if rest:
        blocks.append(Text(f"另有 {rest} 个账户年度本方案未动用，见下表。", f"{rest} more are not drawn on.", "small"))
    columns = (
        Column("账户", "Account", width=2.6), Column("种类", "Kind", width=1.1), Column("年度", "Year", "year", 0.5),
        Column("已用", "Used", "number", 1.0), Column("可用", "Balance", "number", 1.0),
        Column("余", "Left", "signed", 1.0), Column("单位", "Unit", width=0.5),
    )  # fmt: skip
    rows = [
        (
            one["name"], _kind(one["name"]), one["year"], one["used"], one["balance"],
            None if one["balance"] is None else one["balance"] - one["used"], UNITS.get(one["unit"], one["unit"]),
        )
        for one in pools
    ]  # fmt: skip
    return [*blocks, Table(None, columns, rows)]


def _kind(name: str) -> str:
    last = name.rsplit("/", 1)[-1]
    return KINDS.get(last, last)


def _bars(pools: Sequence[Row]) -> tuple[str, float, float]:
    """A bar for each pool and year: what is used of what there is."""
    left, long_mm, wide, step = 62.0, 66.0, 172.0, 5.4
    out = []
    for n, one in enumerate(pools):
        y = 1 + step * n
        balance = one["balance"]
        share = 1.0 if not balance or balance <= 0 else min(one["used"] / balance, 1.0)
        ink = "#c2003d" if share > 0.95 else "#e8730c" if share > 0.8 else "#00695c"
        label = mapsheet.clipped(f"{one['year']}  {one['name']}", 2.1, left - 2)
        amount = f"{shown(one['used'], 'number')} / {shown(balance, 'number')} {UNITS.get(one['unit'], one['unit'])}"
        out += [
            draw.words(left - 1.5, y + 2.9, label, 2.1, anchor="end", halo=False),
            f'<rect x="{left:g}" y="{y:.2f}" width="{long_mm:g}" height="3.6" fill="#e4eaf0"/>',
            f'<rect x="{left:g}" y="{y:.2f}" width="{max(long_mm * share, 0.3):.2f}" height="3.6" fill="{ink}"/>',
            draw.words(left + long_mm + 1.5, y + 2.9, amount, 2.1, anchor="start", halo=False),
        ]
    high = 2 + step * len(pools)
    return draw.svg("".join(out), wide, high), wide, high


def _expansions(plan: Row) -> Table:
    columns = (
        Column("增容", "Expansion", width=2.4),
        Column("增加", "Adds", width=2),
        Column("费用（万元）", "Cost, 10,000 CNY", "number"),
        Column("低—高", "Low to high"),
        Column("最早年份", "From", "year"),
        Column("依据", "Source", width=2),
    )
    rows = []
    for one in plan["expansions"]:
        adds = "；".join(
            f"{row['account']} +{row['amount']:,.0f} {UNITS.get(row['unit'], row['unit'])}" for row in one["adds"]
        )
        ends = [one.get(f"cost_{end}_wan") for end in ("low", "high")]
        span = "" if None in ends else f"{ends[0]:,.0f}—{ends[1]:,.0f}"
        said = "，".join(str(one[name]) for name in ("source", "confidence") if one.get(name))
        rows.append((one["name"], adds, one["cost_wan"], span, one["from_year"], said))
    return Table(None, columns, rows)


def _editions(plan: Row, ground: Ground, digest: str) -> list[Block]:
    scenario = plan["scenario"]
    told = [(name, _told(value)) for name, value in scenario.items() if value not in (None, [], {}, "")]
    layers = [
        (Words(roles()[layer.role].zh, roles()[layer.role].en), layer.label, layer.vintage, layer.source)
        for layer in ground.layers.values()
    ]
    facts: list[tuple[Words, object, Unit]] = [
        (Words("规则摘要", "Rulebook digest"), plan["rulebook_digest"], ""),
        (Words("方案摘要", "Plan digest"), digest, ""),
    ]
    return [
        Table(Words("情景", "Scenario"), (Column("项", "Name"), Column("值", "Value", width=3)), told),
        Table(
            Words("打印时的图层版本", "Layers when printed"),
            (
                Column("图层", "Layer"), Column("版本", "Version", width=2), Column("年份", "Vintage"),
                Column("来源", "Source"),
            ),
            layers,
        ),
        Facts(facts),
    ]  # fmt: skip


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return "；".join(f"{name} {_told(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        return "；".join(map(_told, value))
    return shown(value)


def _map(
    plan: Row, placed: Sequence[Row], ground: Ground, store: Store, paper: Paper, created_at: str, digest: str
) -> list[Page]:
    """The sites, numbered as in the table of placed projects, and the ways that connect them."""
    if not placed:
        return []
    shapes = np.array([_site(one["site"], store) for one in placed], dtype=object)
    numbers = [str(n) for n in range(1, len(placed) + 1)]
    frame = gpd.GeoDataFrame({"number": numbers}, geometry=shapes, crs=store.crs)
    marks = frame.set_geometry(shapely.point_on_surface(shapes), crs=store.crs)
    drawn = [(one["utility"], _site(one, store)) for one in (plan.get("bill") or {"stretches": ()})["stretches"]]
    ways = [
        Sheet(f"route_{utility}", zh, en, gpd.GeoDataFrame(geometry=mine, crs=store.crs))
        for utility, (zh, en) in TITLES.items()
        if (mine := [way for of, way in drawn if of == utility])
    ]
    extra = (
        *ways,
        Sheet("placed", "拟落地范围", "Sites", frame),
        Sheet("projects", "项目序号", "Numbers", marks, "number"),
    )
    whole = shapely.union_all(shapes)
    seen = union_bounds([whole.bounds, *(way.bounds for _, way in drawn)])
    window = fit(seen, None, paper, name="plan", coarser=True)
    area = shown(float(whole.area), "m2")
    subject = Subject(
        Words("联合选址方案图", "Plan map"), "序号见“落地项目”表", whole, f"方案摘要 {digest[:16]}",
        f"项目 {len(placed)} 个　用地 {area} ㎡", extra, is_numbered=False,
    )  # fmt: skip
    return [mapsheet.sheet(subject, ground, window, key="plan", drawn_on=date.fromisoformat(created_at[:10]))]


def _site(site: Row, store: Store) -> shapely.Geometry:
    shape = shapely.geometry.shape(site["geometry"])
    crs = parse_cached(site["crs"])
    moved: shapely.Geometry = transform(np.array([shape], dtype=object), crs, store.crs)[0]
    return moved
