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
        typer.Option("--out", help="Folder for plan.json, .geojson and the report as .pdf .docx .xlsx .html"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The best joint plan, how good it is at least, and what keeps the rest out (联合选址方案)."""
    from api.planning import dressed, joint_plan
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

        joint, measured = joint_plan(store, wanted, chosen, book, world, watch)
        found = dressed(joint, measured, world, chosen)
        if to is not None:
            write(found, to)
            write_reports(found, wanted, store, to)
    finally:
        store.close()
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
            "properties": {name: one[name] for name in ("project", "value", "approval_year", "production_year")}
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
        cells = (one["project"], one["site"]["name"], f"{one['site']['area_m2'] / 1e4:.2f}")
        table.add_row(*cells, str(one["approval_year"]), str(one["production_year"]), f"{one['value']:,.1f}")
    out.print(table)
    for one in found["unplaced"]:
        reasons = "；".join(f"{reason['zh']} {reason['en']}" for reason in one["reasons"])
        out.print(f"未落地 unplaced {one['project']}: {reasons}", highlight=False, markup=False, soft_wrap=True)
    for name, amount in (found["shortfall"] or {}).items():
        out.print(f"还缺 short {name}: {amount:,.1f}", highlight=False, markup=False)
    for one in found["notes"]:
        out.print(f"{one['zh']} {one['en']}", style="dim", highlight=False, markup=False, soft_wrap=True)
