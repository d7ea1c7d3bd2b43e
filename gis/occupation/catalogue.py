"""Every table of the review with its columns: stable English keys, the title a bureau prints, and the unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """`unit` says what a number is: m2, share (0 to 1), m, or nothing for text."""

    name: str
    zh: str
    en: str
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """`adds_up` columns come to the control area of the site; a column named `area_m2` is the one to print in ha."""

    zh: str
    en: str
    columns: tuple[Column, ...]


def _columns(text: str) -> tuple[Column, ...]:
    """One column a line: name | Chinese | English."""
    rows = (tuple(cell.strip() for cell in line.split("|")) for line in text.splitlines() if line.strip())
    return tuple(Column(name, zh, en, _unit(name)) for name, zh, en in rows)


def _unit(name: str) -> str:
    for ending, unit in (("_m2", "m2"), ("share", "share")):
        if name.endswith(ending):
            return unit
    return ""


LAYER = """
layer | 图层代号 | Layer role
layer_zh | 图层 | Layer
layer_en | 图层（英文） | Layer, English
"""
SLOPES = "\n".join(
    f"{kind}_{level}_m2 | {zh}{level}级 | {en} {level}"
    for kind, zh, en in (
        ("survey_slope", "坡度图", "Slope survey class"),
        ("patch_slope", "图斑坡度", "Patch slope class"),
    )
    for level in range(1, 6)
)
TABLES: dict[str, Table] = {
    "basic": Table("基本信息", "Basic facts", _columns("""
        item | 代号 | Item
        zh | 项目 | Item, Chinese
        en | 英文 | Item, English
        value | 内容 | Value
        """)),
    "sources": Table("数据来源", "Sources", _columns(LAYER + """
        version | 版本 | Version
        vintage | 年份 | Vintage
        source | 来源 | Source
        accuracy_m | 边界精度（米） | Accuracy, m
        synthetic | 合成数据 | Synthetic
        covers_site | 调查范围覆盖 | Surveyed on the site
        """)),
    "land_class_summary": Table("地类汇总", "Land classes", _columns("""
        item | 代号 | Item
        zh | 地类 | Class
        en | 英文 | Class, English
        level | 级 | Level
        part_of | 属于 | Part of
        area_m2 | 面积 | Area
        share | 占比 | Share
        state_m2 | 国有 | State-owned
        collective_m2 | 集体 | Collective
        owner_not_said_m2 | 权属不明 | Owner not said
        over_25_m2 | 其中坡度>25° | Steeper than 25 degrees
        """ + SLOPES)),
    "land_classes": Table("分类面积", "Land use by code", _columns("""
        system | 分类标准 | System
        edition | 版本 | Edition
        code | 地类编码 | Code
        name | 地类名称 | Name
        area_m2 | 面积 | Area
        state_m2 | 国有 | State-owned
        collective_m2 | 集体 | Collective
        """)),
    "patches": Table("图斑明细", "Patches", _columns("""
        kind | 类型 | Kind
        seat_name | 坐落单位（村） | Seat
        seat_code | 坐落代码 | Seat code
        owner_name | 权属单位 | Owner
        owner_code | 权属代码 | Owner code
        patch_no | 图斑编号 | Patch number
        id | 标识码 | Id
        survey_year | 数据年份 | Survey year
        system | 分类标准 | System
        code | 地类编码 | Code
        name | 地类名称 | Class
        ownership | 权属性质 | Ownership
        terrain_kind | 耕地类型 | Terrain kind
        slope_class | 坡度级 | Slope class
        deducted_code | 扣除地类 | Deducted class
        deduct_share | 扣除系数 | Deducted share
        patch_area_m2 | 图斑面积（全） | Area of the whole patch
        net_area_m2 | 图斑地类面积（全） | Net area of the whole patch
        area_m2 | 压占面积 | Occupied area
        net_m2 | 压占地类面积 | Occupied, net
        deducted_m2 | 压占扣除（田坎） | Occupied, deducted
        share | 占比 | Share
        scaled_patch_m2 | 折算图斑面积 | Survey area, scaled
        scaled_net_m2 | 折算地类面积 | Survey net area, scaled
        adjusted_patch_m2 | 平差图斑面积 | Survey area, closed
        adjusted_net_m2 | 平差地类面积 | Survey net area, closed
        accuracy | 精度 | Accuracy
        """)),
    "ownership_summary": Table("权属汇总", "Owners", _columns("""
        kind | 类型 | Kind
        town_code | 乡镇代码 | Town code
        village_code | 村代码 | Village code
        seat_name | 坐落单位 | Seat
        owner_code | 权属单位代码 | Owner code
        owner_name | 权属单位 | Owner
        area_m2 | 面积 | Area
        share | 占比 | Share
        state_m2 | 国有 | State-owned
        collective_m2 | 集体 | Collective
        owner_not_said_m2 | 权属不明 | Owner not said
        """)),
    "planning": Table("规划符合性", "Planning", _columns(LAYER + """
        part | 部分 | Part
        feature | 要素 | Feature
        zone | 规划分区 | Planned zone
        system | 分类标准 | System
        code | 规划用途代码 | Planned use code
        name | 规划用途 | Planned use
        inside_urban_boundary | 开发边界内 | Inside the boundary
        document | 批准文号 | Document
        area_m2 | 面积 | Area
        share | 占比 | Share
        accuracy | 精度 | Accuracy
        """)),
    "control_lines": Table("三线", "Control lines", _columns(LAYER + """
        part | 部分 | Part
        feature | 要素 | Feature
        name | 名称 | Name
        area_m2 | 压占面积 | Occupied area
        share | 占比 | Share
        accuracy | 精度 | Accuracy
        rule | 规则 | Rule
        status | 判定 | Status
        basis | 依据 | Basis
        """)),
    "restrictions": Table("限制要素", "Restrictions", _columns(LAYER + """
        part | 部分 | Part
        feature | 要素 | Features
        measure | 量 | Measure
        value | 数值 | Value
        bound | 界 | Bound
        unit | 单位 | Unit
        op | 要求 | Required
        limit | 阈值 | Limit
        rule | 规则 | Rule
        zh | 说明 | Rule, Chinese
        status | 判定 | Status
        basis | 来源 | Basis
        accuracy | 精度 | Accuracy
        """)),
    "allocation": Table("已批已供核查", "Double allocation", _columns(LAYER + """
        feature | 要素 | Feature
        name | 名称 | Name
        document | 文号或合同 | Document
        approved_on | 批准日期 | Approved on
        valid_until | 有效期至 | Valid until
        land_purpose | 用途 | Purpose
        right_nature | 权利性质 | Right
        area_m2 | 压占面积 | Occupied area
        share | 占比 | Share
        accuracy | 精度 | Accuracy
        finding | 结论 | Finding
        zh | 说明 | Finding, Chinese
        """)),
    "balance": Table("指标与占补平衡", "Quota and balance", _columns("""
        item | 代号 | Item
        zh | 项目 | Item, Chinese
        en | 英文 | Item, English
        on_site_m2 | 地块现状 | On the site
        approved_m2 | 已批不再占用 | Approved already
        need_m2 | 需用 | Need
        need_least_m2 | 至少需用 | Need at least
        balance_m2 | 可承载 | Left for it
        yield_kg | 产能（千克） | Yield, kg
        account | 账户 | Accounts
        """)),
    "land_saving": Table("节地评价", "Land saving", _columns("""
        item | 代号 | Item
        zh | 指标 | Indicator
        en | 英文 | Indicator, English
        value | 数值 | Value
        unit | 单位 | Unit
        op | 要求 | Required
        limit | 标准 | Limit
        status | 判定 | Status
        basis | 依据 | Basis
        edition | 版本 | Edition
        verified | 核实 | Verified
        nature | 性质 | Nature
        """)),
    "notes": Table("说明", "Notes", _columns("""
        item | 代号 | Item
        zh | 说明 | Note
        en | 英文 | Note, English
        """)),
}  # fmt: skip
