"""`parkplan projects`: the project library, listed, brought in, written out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from rich.table import Table

from api.wording import line_of
from layers.errors import BadInput, Fault
from layers.records import Stage
from layers.store import Store
from scripts.console import AsJson, County, err, out, print_json, spoken

MOST_SHOWN = 100  # faults; --json lists all
Action = Literal["list", "import", "export", "template"]
STAGES = get_args(Stage)


def projects(
    county: County,
    action: Annotated[str, typer.Argument(help="list, import FILE, export FILE or template FILE.xlsx")] = "list",
    file: Annotated[Path | None, typer.Argument(help="The library: .xlsx, .csv or .json")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="import: only tell what would happen")] = False,
    skip_faulty: Annotated[
        bool, typer.Option("--skip-faulty", help="import: store the good rows, list others")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="export, template: replace FILE")] = False,
    stage: Annotated[str | None, typer.Option(help=f"Only this stage: {' '.join(STAGES)}")] = None,
    zone: Annotated[str | None, typer.Option(help="Only projects that prefer this zone (意向片区)")] = None,
    q: Annotated[str | None, typer.Option(help="Only where id, name or industry code has this word")] = None,
    as_json: AsJson = False,
) -> None:
    """The project library (项目库): list it, import or export it as XLSX, CSV or JSON, write an empty template.

    An import takes all rows or none and names every faulty one; a project with a known id replaces the one there.
    """
    from layers.store import open_store

    if action not in get_args(Action):
        raise typer.BadParameter(f"one of {', '.join(get_args(Action))}", param_hint="ACTION")
    if (file is None) != (action == "list"):
        wrong = "a list needs no file" if file else f"{action} needs a file"
        raise typer.BadParameter(wrong, param_hint="FILE")
    if stage is not None and stage not in STAGES:
        raise typer.BadParameter(f"one of {', '.join(STAGES)}", param_hint="--stage")
    store = open_store(county)
    try:
        if file is None:
            _list(store, stage, zone, q, as_json)
        elif action == "import":
            _import(store, county, file, dry_run, skip_faulty, as_json)
        else:
            _write(store, file, action, overwrite, stage, zone, q)
    finally:
        store.close()


def _list(store: Store, stage: str | None, zone: str | None, q: str | None, as_json: bool) -> None:
    from api.projects import wanted

    found = wanted(store.list("project"), stage, zone, q)
    if as_json:
        print_json(found)
        return
    table = Table(title="项目库 Project library")
    for title in (
        "id",
        "项目 name",
        "行业 industry",
        "阶段 stage",
        "深度 preparation",
        "用地 land, m²",
        "下一手续 next",
    ):
        table.add_column(title, justify="right" if title.startswith("用地") else "left")
    for one in found:
        land = "—" if one.get("land_m2") is None else f"{one['land_m2']:,.0f}"
        industry = one.get("industry", {}).get("code", "")
        words = (one["id"], one.get("name", ""), industry, one.get("stage", ""), one.get("preparation", ""))
        table.add_row(*words, land, _next(one))
    out.print(table)
    err.print(f"{len(found)} projects", highlight=False)


def _next(project: dict[str, Any]) -> str:
    """The open procedure that is planned first."""
    open_ = [one for one in project.get("milestones", ()) if not one.get("done_on")]
    first = min(open_, key=lambda one: one.get("planned_on") or "9999", default=None)
    return f"{first['procedure']} {first.get('planned_on') or ''}".strip() if first else ""


def _import(store: Store, county: str, file: Path, dry_run: bool, skip_faulty: bool, as_json: bool) -> None:
    from api.county import County as Served
    from api.projects import take
    from api.settings import Settings
    from layers.access import Access
    from layers.places import beside

    access = Access(beside(county))
    try:
        book = Served(store, access, Settings(county=county)).rulebook()
        told = take(
            file,
            store,
            book,
            lambda action, subject, outcome: access.record("operator", action, subject, outcome),
            dry_run=dry_run,
            skip_faulty=skip_faulty,
        )
    finally:
        access.close()
    if as_json:
        print_json(told)
    else:
        _tell(told, dry_run)
    if told["faults"] and not (skip_faulty and told["stored"]):
        raise typer.Exit(3)


def _tell(told: dict[str, Any], dry_run: bool) -> None:
    state = (
        "stored 已入库" if told["stored"] else "dry run: nothing stored 试运行" if dry_run else "nothing stored 未入库"
    )
    counts = ", ".join(f"{len(told[word])} {word}" for word in ("created", "updated", "unchanged"))
    out.print(f"{told['file']}: {counts}, {len(told['faults'])} faults; {state}", highlight=False, markup=False)
    for one in told["faults"][:MOST_SHOWN]:
        for language, _ in spoken({"zh": "", "en": ""}):
            err.print(f"  {line_of(one, language)}", highlight=False, markup=False, soft_wrap=True)
    if len(told["faults"]) > MOST_SHOWN:
        err.print(f"  {len(told['faults']) - MOST_SHOWN} more; --json lists all", highlight=False)


def _write(
    store: Store, file: Path, action: str, overwrite: bool, stage: str | None, zone: str | None, q: str | None
) -> None:
    from api.projects import empty, wanted
    from layers.library import form_of
    from layers.library_writing import to_bytes
    from layers.records import Project

    form = form_of(file.name)
    if action == "template" and form != "xlsx":
        fault = Fault("a template has drop-downs", "Call it .xlsx", file=file.name)
        raise BadInput("a template is a workbook", [fault])
    if file.exists() and not overwrite:
        fault = Fault("the file is there", "Choose another name, or say --overwrite", file=file.name)
        raise BadInput(f"{file.name} exists already", [fault])
    if action == "template":
        content = empty(store)
    else:
        found = wanted(store.list("project"), stage, zone, q)
        content = to_bytes([Project.model_validate(one) for one in found], form)
    try:
        file.write_bytes(content)
    except OSError as error:
        fault = Fault(str(error.strerror), "Check the folder", file=file.name)
        raise BadInput(f"{file.name} cannot be written", [fault]) from error
    err.print(f"wrote {file}", highlight=False, markup=False, soft_wrap=True)
