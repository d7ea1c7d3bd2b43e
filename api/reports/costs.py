"""What a plan costs, as sections of its report: by project, by utility, every connection, and the fund."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.costing import NAMES
from api.reports.model import Block, Column, Facts, Section, Table, Text, Unit, Words, words

Row = Mapping[str, Any]


def section(bill: Row | None, names: Mapping[str, str]) -> Section:
    """The bill of a plan; a plan that was made before there were bills has none."""
    title = Words("费用", "What it costs")
    if bill is None:
        return Section(title, [Text("本方案未计算费用。", "No cost was worked out for this plan.", "small")])
    blocks: list[Block] = [_summary(bill), Text(bill["rule"]["zh"], bill["rule"]["en"], "small")]
    if not bill["complete"]:
        blocks.append(Text(*_unknown(bill, names), "strong"))
    return Section(title, [*blocks, _projects(bill, names), _utilities(bill), _connections(bill, names)])


def _summary(bill: Row) -> Facts:
    connection = bill["connection_wan"]
    facts: list[tuple[Words, object, Unit]] = [
        (Words("合计（万元）", "Total, 10,000 CNY"), bill["total_wan"], "number"),
        (Words("接入工程", "Connections"), connection["shared"], "number"),
        (Words("共用廊道节省", "Saved by sharing"), connection["saving"], "number"),
        (Words("土石方", "Earthwork"), bill["earthwork_wan"]["typical"], "number"),
        (Words("土地", "Land"), bill["land_wan"]["typical"], "number"),
        (Words("增容购置", "Expansions"), bill["purchases_wan"], "number"),
    ]
    if bill["fund"] is not None:
        covers = "、".join(COVERED[one] for one in bill["fund"]["covers"])
        facts += [
            (Words(f"建设资金（列支：{covers}）", "Fund"), bill["fund"]["ceiling_wan"], "number"),
            (Words("列支后余", "Left of the fund"), bill["fund"]["left_wan"], "signed"),
        ]
    return Facts(facts)


COVERED = {"purchases": "增容购置", "connection": "接入工程", "earthwork": "土石方", "land": "土地"}


def _unknown(bill: Row, names: Mapping[str, str]) -> tuple[str, str]:
    some = [(_name(one, names), one["unknown"]) for one in bill["projects"] if one["unknown"]]
    zh = "；".join(f"{name}（{'、'.join(NAMES[what][0] for what in unknown)}）" for name, unknown in some)
    en = "; ".join(f"{name} ({', '.join(NAMES[what][1] for what in unknown)})" for name, unknown in some)
    return f"以下费用未知，未计入合计：{zh}", f"Not known and in no sum: {en}"


def _name(one: Row, names: Mapping[str, str]) -> str:
    name = names.get(one["project"], one["project"])
    return name if one["component"] is None else f"{name} / {one['component']}"


def _typical(band: Row | None) -> float | None:
    return None if band is None else float(band["typical"])


def _projects(bill: Row, names: Mapping[str, str]) -> Table:
    columns = (
        Column("项目", "Project", width=2.0), Column("接入（单独）", "Alone", "number"),
        Column("接入（分摊）", "Share", "number"), Column("节省", "Saved", "number", 0.8),
        Column("土石方", "Earthwork", "number"), Column("土地", "Land", "number"), Column("合计", "Total", "number"),
        Column("未知", "Unknown", width=0.9),
    )  # fmt: skip
    rows: list[Sequence[object]] = [
        (
            _name(one, names), one["connection_wan"]["alone"], one["connection_wan"]["share"],
            one["connection_wan"]["saving"], _typical(one["earthwork_wan"]), _typical(one["land_wan"]),
            one["total_wan"], "、".join(NAMES[what][0] for what in one["unknown"]) or "无",
        )
        for one in bill["projects"]
    ]  # fmt: skip
    all_ = bill["connection_wan"]
    owed = sum(round(one["total_wan"] * 1e4) for one in bill["projects"]) / 1e4
    rows.append(
        (
            "合计", all_["alone"], all_["shared"], all_["saving"], bill["earthwork_wan"]["typical"],
            bill["land_wan"]["typical"], owed, "",
        )
    )  # fmt: skip
    title = Words("各项目费用（万元，典型单价）", "By project, 10,000 CNY at typical prices")
    return Table(title, columns, rows, frozenset({len(rows) - 1}))


def _utilities(bill: Row) -> Table:
    columns = (
        Column("类别", "Utility"), Column("条数", "Count", "year", 0.5), Column("单独合计", "Alone", "number"),
        Column("共用后合计", "Shared", "number"), Column("节省", "Saved", "number"), Column("低价", "Low", "number"),
        Column("高价", "High", "number"), Column("各自（m）", "m alone", "number"),
        Column("实建（m）", "m built", "number"),
    )  # fmt: skip
    rows = [
        (
            Words(*NAMES[one["utility"]]), one["connections"], one["alone_wan"], one["shared_wan"], one["saving_wan"],
            one["low_wan"], one["high_wan"], one["alone_m"], one["dug_m"],
        )
        for one in bill["utilities"]
    ]  # fmt: skip
    return Table(Words("按类别（万元）", "By utility, 10,000 CNY"), columns, rows)


def _connections(bill: Row, names: Mapping[str, str]) -> Table:
    columns = (
        Column("项目", "Project", width=1.8), Column("类别", "Utility", width=0.7), Column("接自", "From", width=1.8),
        Column("规格", "Grade", width=0.7), Column("长度（m）", "m", "number", 0.8),
        Column("单独", "Alone", "number", 0.8),
        Column("分摊", "Share", "number", 0.8), Column("说明", "Notes", width=1.6),
    )  # fmt: skip
    rows = [
        (
            _name(one, names), NAMES[link["utility"]][0], link["name"], link["grade"], link["length_m"],
            link["alone_wan"], link["share_wan"], words_of(link["notes"]),
        )
        for one in bill["projects"]
        for link in one["connections"]
    ]  # fmt: skip
    return Table(Words("接入工程明细（万元）", "Every connection, 10,000 CNY"), columns, rows)


def words_of(notes: Sequence[Row]) -> object:
    said = [words(one) for one in notes]
    return Words("；".join(one.zh for one in said), "; ".join(one.en for one in said)) if said else ""
