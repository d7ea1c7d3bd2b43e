"""The colours of land classes on the map, by the first two digits of their code; the same digits mean other things in
another code system, so a table belongs to its systems or is not used."""

from __future__ import annotations

import numpy as np

from layers.records import Snapshot

Row = tuple[str, str, str]  # colour, zh, en
SURVEY: dict[str, Row] = {
    "00": ("#9bd3c8", "湿地", "Wetland"),
    "01": ("#fbf3b4", "耕地", "Cultivated land"),
    "02": ("#e3d98a", "园地", "Garden land"),
    "03": ("#a9cf96", "林地", "Forest"),
    "04": ("#d3e6a5", "草地", "Grassland"),
    "05": ("#e7a6b5", "商业服务业用地", "Commercial"),
    "06": ("#c3a184", "工矿用地", "Industry and mining"),
    "07": ("#f0c193", "住宅用地", "Residential"),
    "08": ("#dba3cf", "公共管理与公共服务用地", "Public services"),
    "09": ("#b9a9c9", "特殊用地", "Special use"),
    "10": ("#bcc3c9", "交通运输用地", "Transport"),
    "11": ("#a5cbe8", "水域及水利设施用地", "Water"),
    "12": ("#e0ded6", "其他土地", "Other land"),
}
PLAN: dict[str, Row] = {
    "01": SURVEY["01"],
    "02": SURVEY["02"],
    "03": SURVEY["03"],
    "04": SURVEY["04"],
    "05": SURVEY["00"],
    "06": ("#d9d08f", "农业设施建设用地", "Agricultural facilities"),
    "07": ("#f0c193", "居住用地", "Residential"),
    "08": SURVEY["08"],
    "09": SURVEY["05"],
    "10": SURVEY["06"],
    "11": ("#a48b9c", "仓储用地", "Storage"),
    "12": SURVEY["10"],
    "13": ("#8fb0c0", "公用设施用地", "Utilities"),
    "14": ("#8fca7d", "绿地与开敞空间用地", "Green and open space"),
    "15": SURVEY["09"],
    "16": ("#ffffff", "留白用地", "Reserved blank land"),
    "17": SURVEY["11"],
    "23": SURVEY["12"],
}
BY_SYSTEM = {"TD/T 1055-2019": SURVEY, "GB/T 21010-2017": SURVEY, "YDYH-2023": PLAN}


def classes(snapshot: Snapshot | None) -> dict[str, Row] | None:
    """The colours of a layer's classes by two digits; None where its codes are of no or of several systems."""
    return None if snapshot is None else snapshot.once("land colours", _classes)


def legend(snapshot: Snapshot | None) -> list[dict[str, str]]:
    """The same as rows of a legend; none for a layer without such classes."""
    rows = classes(snapshot) or {}
    return [{"digits": digits, "colour": colour, "zh": zh, "en": en} for digits, (colour, zh, en) in rows.items()]


def _classes(snapshot: Snapshot) -> dict[str, Row] | None:
    said = snapshot.column("code_system")
    systems = {one for one in np.unique(said.astype(str)) if one in BY_SYSTEM}
    if len(systems) != 1 or not np.isin(said.astype(str), list(systems)).all():
        return None
    held = {str(code)[:2] for code in snapshot.column("code") if code is not None}
    return {digits: row for digits, row in BY_SYSTEM[systems.pop()].items() if digits in held}
