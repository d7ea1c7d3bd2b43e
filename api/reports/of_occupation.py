"""The occupation tables of a check as a report shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from api.reports.model import Block, Column, Table, Text, Words, joined
from api.xlsx import WORDS, converted
from gis.occupation import TABLES
from layers.units import exact

Row = Mapping[str, Any]
MOST_ROWS = 300  # of an occupation table on paper
CUT = ("ownership_summary", "control_lines", "planning", "allocation")
AREA = (Column("面积（㎡）", "m²", "m2", 1.1), Column("公顷", "ha", "ha", 0.8), Column("亩", "mu", "mu", 0.8))
OWNED = (Column("国有（㎡）", "State, m²", "m2", 1.0), Column("集体（㎡）", "Collective, m²", "m2", 1.1))


def occupation(found: Mapping[str, Sequence[Row]]) -> list[Block]:
    """What a site occupies, as `gis.occupation` counted it; what is too long for paper is cut and says so."""
    tables, cut = _capped(found)
    made: list[Block] = []
    if rows := tables.get("land_class_summary"):
        made.append(_classes(rows))
    if rows := tables.get("land_classes"):
        made.append(_land_use(rows))
    if rows := tables.get("ownership_summary"):
        made.append(_owners(rows))
    if rows := tables.get("control_lines"):
        made.append(_lines(rows))
    if rows := tables.get("planning"):
        columns = (
            Column("图层", "Layer", width=1.2), Column("规划分区或用途", "Planned zone or use", width=2),
            Column("面积（㎡）", "m²", "m2"), Column("占比", "Share", "share", 0.7),
            Column("批准文号", "Document", width=1.2),
        )  # fmt: skip
        said = [
            (one["layer_zh"], joined(one.get("zone"), one.get("name")), one["area_m2"], one["share"],
             one.get("document")) for one in rows
        ]  # fmt: skip
        made.append(Table(Words("规划符合性", "Planning"), columns, said))
    if rows := tables.get("allocation"):
        columns = (
            Column("图层", "Layer", width=1.2), Column("要素", "Feature", width=1.6),
            Column("文号或合同", "Document", width=1.2), Column("面积（㎡）", "m²", "m2"),
            Column("结论", "Finding", width=1.6),
        )  # fmt: skip
        said = [
            (one["layer_zh"], joined(one.get("feature"), one.get("name")), one.get("document"), one["area_m2"],
             one["zh"]) for one in rows
        ]  # fmt: skip
        made.append(Table(Words("已批已供核查", "Double allocation"), columns, said))
    made.extend(cut)
    if rows := tables.get("notes"):
        made.extend(Text(one["zh"], one.get("en") or "", "small") for one in rows)
    return made


def _capped(tables: Mapping[str, Sequence[Row]]) -> tuple[dict[str, Sequence[Row]], list[Text]]:
    """Tables short enough for paper, and a word for each that was cut; totals stand last and stay."""
    kept, cut = {}, []
    for name, rows in tables.items():
        kept[name] = rows
        if len(rows) > MOST_ROWS and name in CUT:
            kept[name] = [*rows[: MOST_ROWS - 1], rows[-1]]
            rest = len(rows) - MOST_ROWS
            zh, en = TABLES[name].zh, TABLES[name].en
            cut.append(
                Text(f"“{zh}”另有 {rest:,} 行，见 XLSX 报告。", f"{en}: {rest:,} more rows in the workbook.", "strong")
            )
    return kept, cut


def _classes(rows: Sequence[Row]) -> Table:
    columns = (Column("地类", "Class", width=1.9), *AREA, Column("占比", "Share", "share", 0.8), *OWNED)
    other = converted(rows, "land_class_summary")
    said = [
        (Words(one["zh"], one["en"]), one["area_m2"], *pair, one["share"], one["state_m2"], one["collective_m2"])
        for one, pair in zip(rows, other, strict=True)
    ]
    strong = frozenset(n for n, one in enumerate(rows) if one["item"] == "total" or not one.get("level"))
    return Table(
        Words("三大类与地类汇总", "Land classes"), columns, said, strong, [int(one.get("level") or 0) for one in rows]
    )


def _land_use(rows: Sequence[Row]) -> Table:
    columns = (
        Column("编码", "Code", width=0.7), Column("地类名称", "Class", width=1.5), *AREA, *OWNED,
        Column("分类标准", "System", width=1.3),
    )  # fmt: skip
    other = converted(rows, "land_classes")
    said: list[Sequence[object]] = [
        (one["code"], one["name"], one["area_m2"], *pair, one["state_m2"], one["collective_m2"], one["system"])
        for one, pair in zip(rows, other, strict=True)
    ]
    sums = [
        sum((exact(one[name] or 0) for one in rows), Decimal(0)) for name in ("area_m2", "state_m2", "collective_m2")
    ]
    whole = [sum((pair[n] or Decimal(0) for pair in other), Decimal(0)) for n in (0, 1)]
    said.append(("合计", "", sums[0], *whole, *sums[1:], ""))
    return Table(Words("现状分类面积", "Land use by code"), columns, said, frozenset({len(rows)}))


def _owners(rows: Sequence[Row]) -> Table:
    columns = (
        Column("坐落单位", "Seat", width=1.2), Column("权属单位", "Owner", width=1.4), *AREA,
        Column("占比", "Share", "share", 0.8), *OWNED,
    )  # fmt: skip
    other = converted(rows, "ownership_summary")
    said = [
        (
            "合计" if one["kind"] == "total" else joined(one["seat_name"], one.get("village_code")),
            None if one["kind"] == "total" else joined(one["owner_name"], one.get("owner_code")) or "权属单位未载明",
            one["area_m2"], *pair, one["share"], one["state_m2"], one["collective_m2"],
        )
        for one, pair in zip(rows, other, strict=True)
    ]  # fmt: skip
    strong = frozenset(n for n, one in enumerate(rows) if one["kind"] == "total")
    return Table(Words("权属汇总", "Owners"), columns, said, strong)


def _lines(rows: Sequence[Row]) -> Table:
    columns = (
        Column("控制线", "Control line", width=1.4), Column("要素", "Feature", width=1.6),
        Column("压占（㎡）", "m²", "m2"), Column("占比", "Share", "share", 0.7),
        Column("判定", "Status", width=0.8), Column("依据", "Basis", width=2),
    )  # fmt: skip
    said = [
        (one["layer_zh"], joined(one.get("name"), one.get("feature")), one["area_m2"], one["share"],
         WORDS.get(one["status"] or "", one["status"]), one["basis"]) for one in rows
    ]  # fmt: skip
    return Table(Words("三条控制线", "Control lines"), columns, said)
