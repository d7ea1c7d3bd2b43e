"""`parkplan plan`: all projects of a list on the ground at once, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from layers.errors import BadInput, Fault, NotInstalled
from layers.records import Project
from scripts.console import AsJson, County, err, out, print_json


def plan(
    county: County,
    projects: Annotated[Path | None, typer.Option(help="PS.json: a list of projects; without it, the library")] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="S.yaml: weights, years, fund, locks (see docs/planner.md)")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for plan.json, .geojson, .pdf, .docx, .xlsx, .html, map and plots"),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Book the plan: ground, quota and capacity of all of it, or nothing")
    ] = False,
    compare: Annotated[
        Path | None, typer.Option(help="Another plan.json (or the folder it is in): who moved, and what it costs")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The best joint plan, how good it is at least, and what keeps the rest out (联合选址方案)."""
    from api.adopting import book_plan, told
    from api.comparing import compared
    from api.jobs import job_of
    from api.networks import Networks
    from api.planned import dressed
    from api.planning import joint_plan
    from gis.check import rulebook
    from gis.scenario import scenario_of
    from layers.store import open_store

    chosen = scenario_of("") if scenario is None else scenario_of(_text(scenario), scenario.name)
    store = open_store(county)
    try:
        wanted = read_projects(projects) if projects is not None else library(store)
        world = store.at()
        book = rulebook().confirmed(store.list("confirmation"))

        def watch(progress: Any) -> None:
            if progress.site is not None and not as_json:
                text = f"{progress.seconds:6.1f} s  {progress.objective:,.1f}  gap {progress.gap:.2%}"
                err.print(text, end="\r", highlight=False)

        def measuring(done: int, of: int) -> None:
            if not as_json:
                err.print(f"测算候选地块 measuring candidate sites {done:,} / {of:,}", end="\r", highlight=False)

        networks = Networks(store, lambda: book)
        networks.make_all(world, lambda way: None if as_json else err.print(f"路线 ways: {way}", end="\r"))
        routes = networks.lookup(world, make=True)
        joint, measured = joint_plan(store, wanted, chosen, book, world, watch, told=measuring, routes=routes)
        found = dressed(joint, measured, world, chosen)
        if adopt and not joint.violations:
            named = [] if projects is not None else [one.key for one in wanted]
            kept = {**job_of(wanted, chosen, "operator", library=named), **found}
            store.save("plan", kept["id"], kept)
            found |= {"id": kept["id"]}
            found |= {"adopted": told(store, kept, book_plan(store, book, kept, "operator")[0])}
        if to is not None:
            write(found, to)
            write_reports(found, wanted, store, to)
            if not joint.violations:
                draw(store, {**job_of(wanted, chosen, "operator"), **found}, to)
    finally:
        store.close()
    if compare is not None:
        found |= {"compared": compared({"id": str(compare), **read_plan(compare)}, {"id": "this plan", **found})}
    if as_json:
        print_json(found)
    else:
        _show(found)
    if joint.violations:
        raise BadInput(
            "the plan does not verify",
            [Fault(one.en, "Report this: it is a fault of the planner") for one in joint.violations],
        )


def read_projects(path: Path) -> list[Project]:
    """A JSON list of projects, or one."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path.name} cannot be read", [Fault(str(error), "Give a JSON list of projects")]) from error
    rows = said if isinstance(said, list) else said.get("projects", [said]) if isinstance(said, dict) else [said]
    return [Project.model_validate(one) for one in rows]


def library(store: Any) -> list[Project]:
    return [Project.model_validate(one) for one in store.list("project")]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path.name} cannot be read", [Fault(str(error), "Give a UTF-8 file")]) from error


def write(found: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    features = [
        {
            "type": "Feature",
            "geometry": one["site"]["geometry"],
            "properties": {
                name: one[name] for name in ("project", "component", "value", "approval_year", "production_year")
            }
            | {"site": one["site"]["name"], "area_m2": one["site"]["area_m2"]},
        }
        for one in found["assignments"]
    ]
    crs = found["assignments"][0]["site"]["crs"] if features else None
    named = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    body = {"type": "FeatureCollection", **named, "features": features}
    (folder / "plan.geojson").write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    typer.echo(f"wrote {folder}/plan.json and plan.geojson", err=True)


def write_reports(found: dict[str, Any], projects: list[Project], store: Any, folder: Path) -> None:
    """The plan's report in every form; where nothing can be printed (no Chinese font) it is said, the rest stays."""
    from datetime import UTC, datetime

    from api.reports import docx, html, of_plan, pdf, xlsx

    made = of_plan.report(
        found, store, created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        projects=[one.model_dump(mode="json", exclude_none=True) for one in projects],
    )  # fmt: skip
    (folder / "plan.html").write_text(html.write(made), encoding="utf-8")
    (folder / "plan.xlsx").write_bytes(xlsx.write(made))
    try:
        (folder / "plan.pdf").write_bytes(pdf.write(made))
        (folder / "plan.docx").write_bytes(docx.write(made))
    except NotInstalled as error:
        err.print(f"no plan.pdf and plan.docx: {error.message}", style="yellow", markup=False, soft_wrap=True)
    typer.echo(f"wrote {folder}/plan.pdf, .docx, .xlsx and .html", err=True)


def draw(store: Any, plan: dict[str, Any], folder: Path) -> None:
    """The map as one page that opens without a server, the pools and the front as pictures."""
    from api import maps
    from api.plan_map import plan_chart
    from api.plan_plots import front_svg, pools_svg

    made = {"map.html": maps.standalone(plan_chart(store, plan)), "pools.svg": pools_svg(plan)}
    if plan["front"]:
        made["front.svg"] = front_svg(plan)
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    typer.echo(f"wrote {', '.join(made)}", err=True)


def read_plan(path: Path) -> dict[str, Any]:
    """A plan that was written before."""
    file = path / "plan.json" if path.is_dir() else path
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
        if found["status"] == "done" and found["assignments"] is not None:
            return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Give the folder that `--out` wrote, or its plan.json"
        raise BadInput(f"{path.name} holds no plan", [Fault(str(error), fix, file=path.name)]) from error
    raise BadInput(f"{path.name} holds no plan", [Fault("it is not done", "Give a plan that is", file=path.name)])


def _compared(said: dict[str, Any]) -> None:
    """Who moved, what it is worth, what is bought, and how the scenarios differ."""
    before, now = said["objective"]
    out.print(f"[bold]与另一方案比较 compared[/]  {before:,.1f} → {now:,.1f}（{now - before:+,.1f}）", highlight=False)
    out.print(f"落地 placed {said['placed'][0]} → {said['placed'][1]}", highlight=False)
    for name, (old, new) in said["scenario"].items():
        out.print(f"  {name}: {old} → {new}", highlight=False, markup=False, soft_wrap=True)
    bought = [set(one) for one in said["expansions"]]
    for sign, names in (("+", bought[1] - bought[0]), ("-", bought[0] - bought[1])):
        for name in sorted(names):
            out.print(f"  {sign} 购建 purchase {name}", highlight=False, markup=False)
    for one in said["moved"]:
        text = f"  {one['project']}: {_stands(one['from'])} → {_stands(one['to'])}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)


def _stands(at: dict[str, Any] | None) -> str:
    if at is None:
        return "不在方案中 not asked for"
    if at["site"] is None:
        return "未落地 not placed（" + "；".join(one["zh"] for one in at["reasons"]) + "）"
    return f"{at['site']} {at['approval_year']}（{at['value']:,.1f}）"


def _show(found: dict[str, Any]) -> None:
    gap = "?" if found["gap"] is None else f"{found['gap']:.2%}"
    objective = "-" if found["objective"] is None else f"{found['objective']:,.1f}"
    out.print(
        f"[bold]方案价值 {objective}[/]  gap {gap}  {found['solver_status']}  {found['seconds']} s", highlight=False
    )
    table = Table(title="落地项目 placed")
    for title in ("项目 project", "用地 site", "ha", "批准 approval", "投产 production", "价值 value"):
        table.add_column(title)
    for one in found["assignments"]:
        cells = (
            " / ".join(filter(None, (one["project"], one["component"]))),
            one["site"]["name"],
            f"{one['site']['area_m2'] / 1e4:.2f}",
        )
        table.add_row(*cells, str(one["approval_year"]), str(one["production_year"]), f"{one['value']:,.1f}")
    out.print(table)
    if found["bill"] is not None:
        _billed(found["bill"])
    for one in found["unplaced"]:
        reasons = "；".join(f"{reason['zh']} {reason['en']}" for reason in one["reasons"])
        out.print(f"未落地 unplaced {one['project']}: {reasons}", highlight=False, markup=False, soft_wrap=True)
    for name, amount in (found["shortfall"] or {}).items():
        out.print(f"还缺 short {name}: {amount:,.1f}", highlight=False, markup=False)
    if "compared" in found:
        _compared(found["compared"])
    if "adopted" in found:
        _booked(found["adopted"])
    elif found["assignments"]:
        out.print("预订本方案 to book it all: parkplan plan ... --adopt", style="dim", highlight=False, markup=False)
    for one in found["notes"]:
        out.print(f"{one['zh']} {one['en']}", style="dim", highlight=False, markup=False, soft_wrap=True)


def _billed(bill: dict[str, Any]) -> None:
    """What each pays, and what all pay together."""
    table = Table(title="费用 costs（万元 wan）")
    for title in ("项目 project", "接入 alone", "分摊 share", "土石方 earthwork", "土地 land", "合计 total"):
        table.add_column(title, justify="left" if title.startswith("项目") else "right")

    def row(name: str, *amounts: float | None) -> None:
        table.add_row(name, *("?" if one is None else f"{one:,.1f}" for one in amounts))

    for one in bill["projects"]:
        dug = one["earthwork_wan"]
        name = " / ".join(filter(None, (one["project"], one["component"])))
        costs = one["connection_wan"]
        unknown = "" if not one["unknown"] else " *"
        row(
            name + unknown, costs["alone"], costs["share"], None if dug is None else dug["typical"],
            one["land_wan"]["typical"], one["total_wan"],
        )  # fmt: skip
    all_ = bill["connection_wan"]
    owed = sum(one["total_wan"] for one in bill["projects"])
    row("合计 all", all_["alone"], all_["shared"], bill["earthwork_wan"]["typical"], bill["land_wan"]["typical"], owed)
    out.print(table)
    said = f"共用廊道节省 sharing saves {all_['saving']:,.1f}；增容 expansions {bill['purchases_wan']:,.1f}"
    out.print(f"{said}；总计 total {bill['total_wan']:,.1f}", highlight=False)
    if bill["fund"] is not None:
        fund = bill["fund"]
        paid = ", ".join(fund["covers"])
        text = f"建设资金 fund {fund['ceiling_wan']:,.1f}，列支 spent {fund['spent_wan']:,.1f}（{paid}）"
        out.print(text, highlight=False, markup=False)
    if not bill["complete"]:
        out.print("* 部分费用未知，未计入 some costs are not known and in no sum", highlight=False, markup=False)


def _booked(adopted: dict[str, Any]) -> None:
    held = len(adopted["reservations"]) - len(adopted["waiting"])
    text = f"已预留 reserved {held}，意向 intended {len(adopted['waiting'])}；{adopted['notice']['zh']}"
    out.print(text, highlight=False, markup=False)
    for one in adopted["waiting"]:
        out.print(f"  {one['project']} 待 waits for {', '.join(one['waits_for'])}", highlight=False, markup=False)
