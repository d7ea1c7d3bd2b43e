"""The project library as tables: which columns its sheets have, and what a cell of each may say.

The columns follow from the records: every field that holds one value is a column, a record inside a record goes by
its dotted name (`footprint.length_m`), a list of records is a sheet of its own. Only the Chinese headings stand here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from layers import sheets
from layers.errors import Fault
from layers.records import Component, Document, Milestone, Phase, Project
from layers.schema import FALSE, TRUE

Kind = Literal["text", "number", "integer", "yes_no", "date", "list"]
NONE_HELD = "无"  # in a column of documents: the project holds none, which an empty cell does not say
ABOUT = "说明 about"  # the sheet that explains the others
MARKED = re.compile("'+[" + re.escape("".join(sheets.RISKY)) + "]")  # a text kept from being worked out (CSV)
MOST_TEXT = 2_000  # characters of one cell; no field of a project is as long

ZH = {
    "project_id": "所属项目",
    "id": "项目编号",
    "name": "名称",
    "industry.code": "行业代码",
    "nature": "建设性质",
    "stage": "项目阶段",
    "preparation": "前期深度",
    "zone": "意向片区",
    "existing_site": "现有厂区",
    "priority": "优先级",
    "land_m2": "用地面积（㎡）",
    "land_min_m2": "最小用地（㎡）",
    "land_max_m2": "最大用地（㎡）",
    "footprint.length_m": "主体长（m）",
    "footprint.width_m": "主体宽（m）",
    "linked_within_m": "最远距离（m）",
    "approval_year": "报批年",
    "start_year": "开工年",
    "production_year": "投产年",
    "annual_output.amount": "年产量",
    "annual_output.unit": "产量单位",
    "annual_output.product": "产品",
    "power_kva": "报装容量（kVA）",
    "max_demand_kva": "最大需量（kVA）",
    "dual_supply": "双电源",
    "water_m3d": "日用水（m³/d）",
    "water_peak_m3d": "高峰月日用水（m³/d）",
    "freight_td": "日货运（t/d）",
    "effluent_m3d": "日废水（m³/d）",
    "solid_waste_td": "日固废（t/d）",
    "dust": "扬尘",
    "odour": "异味",
    "noise": "噪声",
    "hazardous": "危险物质",
    "investment_wan": "总投资（万元）",
    "output_wan": "年产值（万元）",
    "tax_wan": "年税收（万元）",
    "jobs": "就业（人）",
    "floor_area_m2": "总建筑面积（㎡）",
    "building_footprint_m2": "建筑基底面积（㎡）",
    "office_land_m2": "行政办公用地（㎡）",
    "office_floor_m2": "行政办公建筑面积（㎡）",
    "energy_tce": "综合能耗（tce）",
    "equipment.clinker_line_td": "熟料线（t/d）",
    "equipment.furnace_kva": "电炉容量（kVA）",
    "equipment.rectifier_kva": "整流变压器（kVA）",
    "equipment.leach_tank_m3": "浸出槽容积（m³）",
    "equipment.film_mm": "薄膜厚度（mm）",
    "equipment.chloride_roast": "钠化焙烧",
    "equipment.induction_furnace": "中频炉",
    "equipment.solid_clay": "粘土实心砖",
    "gates.capacity_replacement": "产能置换文号",
    "gates.energy_review": "节能审查文号",
    "gates.eia": "环评批复文号",
    "gates.slaughter_permit": "定点屠宰许可文号",
    "procedure": "手续",
    "planned_on": "计划日期",
    "done_on": "办结日期",
    "document": "文号",
    "components": "组成部分",
    "phases": "分期",
    "milestones": "手续节点",
}
NOTES = {
    "project_id": "the id of the project on the first sheet; its name where it has no id",
    "id": "unique; where it is empty the name is the id",
    "industry.code": "GB/T 4754-2017, as text: C2613 or 2613; other forms lose leading zeros",
    "land_m2": "square metres, not 亩; may be empty where the yearly output is given",
    "power_kva": "报装容量; empty is unknown, never zero",
    "existing_site": "enterprise or parcel that an extension stands on",
    "linked_within_m": "how far from the main plant this part may stand",
    "approval_year": "the year whose quota is used",
    "production_year": "the year the load begins",
    "planned_on": "倒排工期: counted back from the day of production",
    "done_on": "empty while it is not done",
    **{f"gates.{one}": f"the document's number; {NONE_HELD} says that it holds none" for one in get_args(Document)},
}
NUMBER = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?([eE][-+]?\d+)?|[-+]?\.\d+([eE][-+]?\d+)?")
DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")


class Wrong(ValueError):
    """A cell that does not say what its column asks for."""


@dataclass(frozen=True)
class Column:
    """One column: the dotted name of its field, its Chinese heading, what it takes."""

    field: str
    kind: Kind
    choices: tuple[str, ...] = ()

    @property
    def zh(self) -> str:
        return ZH[self.field]

    @property
    def heading(self) -> str:
        return f"{self.zh} {self.field}"

    @property
    def fix(self) -> str:
        if self.choices:
            return f"Use one of {'、'.join(self.choices)}"
        return {
            "text": "Enter a text, not a formula",
            "number": "Enter the number alone, without its unit",
            "integer": "Enter a whole number",
            "yes_no": "Use 是 or 否, or leave it empty where nobody knows",
            "date": "Enter a date as 2026-03-31",
            "list": "Enter a JSON list of records, or leave it empty",
        }[self.kind]


@dataclass(frozen=True)
class Sheet:
    """A list of records as a sheet. `field` is the list's name in a project; the projects themselves are `projects`."""

    field: str
    zh: str
    model: type[BaseModel]
    columns: tuple[Column, ...]

    @property
    def title(self) -> str:
        return f"{self.zh} {self.field}"


def _columns(model: type[BaseModel], prefix: str = "") -> Iterator[Column]:
    for name, about in model.model_fields.items():
        field, said = prefix + name, _plain(about.annotation)
        if field.endswith("industry.system"):
            continue  # there is one
        if get_origin(said) is Literal:
            yield Column(field, "text", get_args(said))
        elif get_origin(said) is dict:
            yield from (Column(f"{field}.{one}", "text") for one in get_args(get_args(said)[0]))
        elif get_origin(said) is tuple:
            continue
        elif isinstance(said, type) and issubclass(said, BaseModel):
            yield from _columns(said, f"{field}.")
        else:
            yield Column(field, KINDS[said])


def _plain(said: Any) -> Any:
    """A field's type without `| None` and without its bounds."""
    if get_origin(said) in (Union, UnionType):
        (said,) = (one for one in get_args(said) if one is not type(None))
        return _plain(said)
    return _plain(get_args(said)[0]) if get_origin(said) is Annotated else said


KINDS: dict[Any, Kind] = {str: "text", float: "number", int: "integer", bool: "yes_no", date: "date"}
OWNER = Column("project_id", "text")


def _in_order(model: type[BaseModel]) -> tuple[Column, ...]:
    """As the headings above are listed, not as the classes happen to inherit."""
    places = list(ZH)
    return tuple(sorted(_columns(model), key=lambda one: places.index(one.field)))


PARTS = tuple(
    Sheet(field, zh, model, (OWNER, *_in_order(model)))
    for field, zh, model in (
        ("components", "组成部分", Component),
        ("phases", "分期", Phase),
        ("milestones", "手续节点", Milestone),
    )
)
PROJECTS = Sheet("projects", "项目", Project, _in_order(Project))
FLAT = Sheet("projects", "项目", Project, (*PROJECTS.columns, *(Column(part.field, "list") for part in PARTS)))


# --- one cell --------------------------------------------------------------------------------------


def value_of(column: Column, said: object) -> Any:
    """What a cell says, as its field takes it; None where it is empty. Wrong where it says something else.

    >>> value_of(Column("dust", "yes_no"), "否"), value_of(Column("land_m2", "number"), "70,000")
    (False, 70000.0)
    """
    if isinstance(said, str):
        said = said.strip()
    if said is None or said == "":
        return None
    if isinstance(said, str) and len(said) > MOST_TEXT and column.kind != "list":
        raise Wrong(f"{len(said):,} characters are more than the {MOST_TEXT:,} of a cell")
    if column.field.endswith("industry.code") and isinstance(said, (int, float)) and said < 1000:
        raise Wrong(f"the cell holds the number {said}, so that leading zeros of the code may be lost")
    if column.field.startswith("gates.") and said == NONE_HELD:
        return None
    return READ[column.kind](said)


def _text(said: Any) -> str:
    if isinstance(said, datetime) and said.time() == time():
        said = said.date()
    if isinstance(said, float) and said.is_integer():
        said = int(said)
    return str(said)


def _number(said: Any) -> float:
    if isinstance(said, (bool, date, time)) or (isinstance(said, str) and not NUMBER.fullmatch(said)):
        raise Wrong(f"{_short(said)} is no number")
    return float(said.replace(",", "") if isinstance(said, str) else said)


def _yes_no(said: Any) -> bool:
    word = _text(said).lower()
    if word not in TRUE | FALSE:
        raise Wrong(f"{_short(said)} is neither 是 nor 否")
    return word in TRUE


def _date(said: Any) -> date:
    if isinstance(said, datetime) and said.time() == time():
        return said.date()
    found = DAY.fullmatch(said) if isinstance(said, str) else None
    try:
        if found:
            return date(*map(int, found.groups()))
    except ValueError:
        pass  # 2026-02-30
    raise Wrong(f"{_short(said)} is no date")


def _list(said: Any) -> list[Any]:
    try:
        found = json.loads(said) if isinstance(said, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Wrong(f"{_short(said)} is no JSON list")
    return found


def _short(said: Any) -> str:
    word = str(said)
    return repr(word if len(word) <= 40 else word[:39] + "…")


READ: Mapping[Kind, Any] = {
    "text": _text,
    "number": _number,
    "integer": _number,  # the record says that it is whole
    "yes_no": _yes_no,
    "date": _date,
    "list": _list,
}


def said_of(record: Mapping[str, Any], column: Column) -> Any:
    """The cell of a record (as `model_dump` gives it): the other way round."""
    head, _, rest = column.field.partition(".")
    value = record.get(head)
    if column.kind == "list":
        return json.dumps(value, ensure_ascii=False) if value else None
    if head == "gates":
        return None if not value or rest not in value else value[rest] or NONE_HELD
    if rest:
        value = (value or {}).get(rest)
    if column.kind == "yes_no" and value is not None:
        return "是" if value else "否"
    return date.fromisoformat(value) if column.kind == "date" and value else value


def fault_of(column: Column, error: Wrong) -> Fault:
    return Fault(f"{column.zh}: {error}", column.fix, field=column.field)
