"""`parkplan outlook`: how much buildable land is left, who asks for it and when, which plots are ready."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, err, out, print_json

ENOUGH = {"enough": "[green]够 enough[/]", "short": "[red]不够 short[/]", "unknown": "[yellow]未知 unknown[/]"}


def outlook(
    county: County,
    zone: Annotated[str | None, typer.Option(help="One zone, by id or name (片区)")] = None,
    as_of: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The county as known on a day")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Write FILE.xlsx")] = None,
    as_json: AsJson = False,
) -> None:
    """Buildable land left in each zone against the library's demand by year, and readiness of plots (土地储备展望)."""
    from api.outlook import Outlooks
    from api.outlook_xlsx import workbook
    from gis.check import rulebook
    from layers.store import open_store

    if to is not None and to.suffix.lower() != ".xlsx":
        raise BadInput(f"no outlook in {to.suffix or 'that form'}", [Fault("unknown kind", "Use .xlsx", file=to.name)])
    store = open_store(county)
    try:
        found = Outlooks(store, rulebook).get(as_of.date() if as_of else None, zone)
    finally:
        store.close()
    if to is not None:
        to.write_bytes(workbook(found))
        typer.echo(f"wrote {to}", err=True)
    if as_json:
        print_json(found)
        return
    title = f"{found['county']} 土地储备展望 {found['as_of']}"
    out.print(f"[bold]{title}[/]{'  合成数据 synthetic' if found['synthetic'] else ''}", highlight=False)
    if found["missing"]:
        err.print(f"未加载 not loaded: {', '.join(found['missing'])}", highlight=False)
    out.print(_waterfall(found))
    out.print(_demand(found))
    _plots(found)


def _hectares(m2: float | None) -> str:
    return "?" if m2 is None else f"{m2 / 1e4:,.2f}"


def _waterfall(found: dict[str, Any]) -> Table:
    table = Table(title="可建设用地 buildable land, ha")
    table.add_column("项 row")
    columns = [*found["zones"], *([found["total"]] if found["total"] else [])]
    for one in columns:
        table.add_column(one.get("name", "合计 all"), justify="right")
    table.add_row("总面积 gross", *(_hectares(one["gross_m2"]) for one in columns))
    shared = [one.get("shared_m2", 0.0) for one in columns]
    if any(shared):
        table.add_row("− 重叠 shared", *map(_hectares, shared))
    for n, step in enumerate(found["steps"]):
        table.add_row(f"− {step['zh']} {step['en']}", *(_hectares(one["waterfall"][n]["taken_m2"]) for one in columns))
    table.add_row("− 无法计算 not computed", *(_hectares(one["unknown_m2"]) for one in columns))
    table.add_row("= 净可建设 net", *(_hectares(one["net_m2"]) for one in columns), style="bold")
    return table


def _demand(found: dict[str, Any]) -> Table:
    table = Table(title="用地需求 demand, ha")
    for name in ("片区 zone", "年份 year", "项目 projects", "需求 land", "估算 estimated", "剩余 left", "判断 enough"):
        table.add_column(name, justify="left" if name.startswith(("片", "判")) else "right")
    groups = [(one["name"], one["demand"]) for one in found["zones"]]
    groups += [("未指定 no zone", found["elsewhere"]["demand"])] if found["elsewhere"] else []
    groups += [("合计 all", found["total"]["demand"])] if found["total"] else []
    for name, rows in groups:
        for one in rows:
            low, high = one["left_low_m2"], one["left_high_m2"]
            left = _hectares(low) if low == high else f"{_hectares(low)} – {_hectares(high)}"
            more = f" (+{one['without_land']} ?)" if one["without_land"] else ""
            table.add_row(
                name,
                str(one["year"] or "未说明 not said"),
                str(one["projects"]),
                f"{_hectares(one['land_m2'])}{more}",
                _hectares(one["estimated_m2"]) if one["estimated_m2"] else "",
                left,
                ENOUGH[one["enough"]],
            )
    return table


def _plots(found: dict[str, Any]) -> None:
    for one in found["zones"]:
        if one["cleared"] is not None:
            ready, planned, not_yet, unknown = map(_hectares, one["cleared"].values())
            text = f"{one['name']}: 净地 ready {ready} ha，计划 planned {planned}，"
            text += f"未完成 not yet {not_yet}，未知 unknown {unknown}"
            out.print(text, highlight=False, markup=False, soft_wrap=True)
    out.print(f"{len(found['plots'])} 个地块 plots; --json lists each with its dates", highlight=False)
