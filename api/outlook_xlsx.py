"""The land reserve outlook as a workbook: the waterfall, the demand by year, who asks, and the plots."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from api.xlsx import FORMATS, HEAD, SMALL, STRONG, SYNTHETIC, TITLE, append, finish
from layers.sheets import row as cells_of
from layers.units import closed

AREA = FORMATS["m2"]
ENOUGH = {"enough": "够 enough", "short": "不够 short", "unknown": "未知 unknown"}
STATUS = {"done": "已完成", "planned": "计划", "not_yet": "未完成", "unknown": "未知"}
Cells = Sequence[object]


def workbook(found: dict[str, Any]) -> bytes:
    """The outlook as an XLSX file; every column of a waterfall adds up to its zone, in 亩 as well."""
    book = Workbook()
    assert book.active is not None
    _waterfall(book.active, found)
    _demand(book.create_sheet("用地需求"), found)
    _asks(book.create_sheet("项目用地"), found)
    _plots(book.create_sheet("地块成熟度"), found)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheet(
    sheet: Worksheet,
    found: dict[str, Any],
    title: str,
    heads: Sequence[tuple[str, str]],
    rows: Iterable[Cells],
    formats: Sequence[str | None],
) -> None:
    synthetic = f"　{SYNTHETIC}" if found["synthetic"] else ""
    for text, font in ((f"{found['county']}　{title}", TITLE), (f"截止 {found['as_of']}　内部使用{synthetic}", SMALL)):
        sheet.append(cells_of(sheet, [text]))
        sheet.cell(sheet.max_row, 1).font = font
    for number, head in enumerate(zip(*heads, strict=True)):
        append(sheet, head, font=STRONG if number == 0 else SMALL, fill=HEAD)
    for row in rows:
        append(sheet, row, formats)
    finish(sheet, 4)


def _waterfall(sheet: Worksheet, found: dict[str, Any]) -> None:
    sheet.title = "可建设用地"
    zones = found["zones"]
    heads = [("项", "Row"), ("依据", "Basis")]
    heads += [
        (f"{one['name']}（{unit}）", f"{one['zone']}, {en}")
        for one in zones
        for unit, en in (("㎡", "m²"), ("亩", "mu"))
    ]
    steps = found["steps"]
    labels: list[tuple[str, str]] = [("与前一片区重叠 shared with an earlier zone", "")]
    labels += [(f"减：{one['zh']} {one['en']}", one["basis"]) for one in steps]
    labels += [(f"无法计算：{one['zh']} not computed", one["basis"]) for one in steps]
    labels += [("净可建设用地 net buildable", "")]
    columns = []
    for one in zones:
        parts = [one["shared_m2"], *(row["taken_m2"] for row in one["waterfall"])]
        parts += [*(row["unknown_m2"] for row in one["waterfall"]), one["net_m2"]]
        in_mu = closed([part * 0.0015 for part in parts])
        columns += [[one["gross_m2"], *parts], [sum(in_mu), *in_mu]]
    whole = [("片区总面积 gross area", ""), *labels]
    rows = [[zh, basis, *(column[n] for column in columns)] for n, (zh, basis) in enumerate(whole)]
    kept = [row for row in rows if any(row[2:]) or str(row[0]).startswith(("减", "净"))]
    _sheet(sheet, found, "土地储备展望", heads, kept, [None, None, *[AREA] * len(columns)])


def _demand(sheet: Worksheet, found: dict[str, Any]) -> None:
    heads = [
        ("片区", "Zone"), ("年份", "Year"), ("项目数", "Projects"), ("需求（㎡）", "Land, m²"), ("下限（㎡）", "Low"),
        ("上限（㎡）", "High"), ("其中估算（㎡）", "of which estimated"), ("未说明用地的项目", "Without land"),
        ("累计后剩余下限（㎡）", "Left, low"), ("累计后剩余上限（㎡）", "Left, high"), ("判断", "Enough"),
    ]  # fmt: skip
    groups = [(one["name"], one["demand"]) for one in found["zones"]]
    for title, name in (("elsewhere", "未指定片区 no zone"), ("total", "合计 all")):
        if found[title] is not None:
            groups.append((name, found[title]["demand"]))
    rows = [
        [zone, one["year"] or "未说明年份", one["projects"], one["land_m2"], one["low_m2"],
         "未知" if one["high_m2"] is None else one["high_m2"], one["estimated_m2"], one["without_land"],
         one["left_low_m2"], one["left_high_m2"], ENOUGH[one["enough"]]]
        for zone, demand in groups for one in demand
    ]  # fmt: skip
    _sheet(sheet, found, "分年用地需求", heads, rows, [None, "0", None, *[AREA] * 4, None, AREA, AREA, None])


def _asks(sheet: Worksheet, found: dict[str, Any]) -> None:
    heads = [
        ("项目", "Project"), ("名称", "Name"), ("部分", "Part"), ("片区", "Zone"), ("年份", "Year"),
        ("年份依据", "Year by"), ("用地（㎡）", "Land, m²"), ("下限（㎡）", "Low"), ("上限（㎡）", "High"),
        ("估算", "Estimated"), ("已供", "Granted"),
    ]  # fmt: skip
    rows = [
        [one["project"], one["name"], one["part"], one["zone"], one["year"], one["basis"], one["land_m2"],
         one["low_m2"], one["high_m2"], "是" if one["estimated"] else "否", "是" if one["granted"] else "否"]
        for one in found["asks"]
    ]  # fmt: skip
    _sheet(sheet, found, "项目用地", heads, rows, [None] * 4 + ["0", None] + [AREA] * 3)


def _plots(sheet: Worksheet, found: dict[str, Any]) -> None:
    names = [(one["zh"], one["en"]) for one in found["plots"][0]["states"]] if found["plots"] else []
    heads = [("地块", "Plot"), ("名称", "Name"), ("片区", "Zone"), ("面积（㎡）", "Area, m²"), *names]
    rows = [
        [one["id"], one["name"], one["zone"], one["area_m2"],
         *(f"{STATUS[state['status']]} {state['on'] or ''}".strip() for state in one["states"])]
        for one in found["plots"]
    ]  # fmt: skip
    _sheet(sheet, found, "地块成熟度", heads, rows, [None, None, None, AREA])
