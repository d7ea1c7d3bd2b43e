"""`parkplan search`: where a project would stand best."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from layers.errors import BadInput, Fault
from scripts.console import AsJson, County, out, print_json

if TYPE_CHECKING:
    from gis.weighing import HowToRank

BAR = 12  # characters


def search(
    county: County,
    project: Annotated[str, typer.Option(help="P.json, or the id of a project of the library")],
    top: Annotated[int, typer.Option(min=1, max=200)] = 20,
    method: Annotated[str, typer.Option(help="topsis, weighted_sum or owa")] = "topsis",
    weights: Annotated[
        str | None, typer.Option(help="CRITERION=WEIGHT,...; what is not named weighs nothing; without it, all alike")
    ] = None,
    weight: Annotated[list[str] | None, typer.Option(help="CRITERION=WEIGHT, one at a time")] = None,
    weigh: Annotated[
        str | None, typer.Option(help="entropy: by what tells the candidates apart; ahp: by --comparisons")
    ] = None,
    comparisons: Annotated[
        Path | None,
        typer.Option(help="FILE.csv, a square table of criteria (3, 1/3, empty), or FILE.json {a: {b: 3}}"),
    ] = None,
    orness: Annotated[
        float | None, typer.Option(help="owa alone: 0 a site is as good as its weakest side ... 1 as its strongest")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ranked candidate sites for one project; what fails hard is counted by rule (选址推荐)."""
    from api.searching import search as find
    from gis.check import rulebook
    from layers.store import open_store
    from scripts.reading import read_project

    named = [*(weights.split(",") if weights else ()), *(weight or ())]
    asked = _asked(method, named, weigh, comparisons, orness)
    store = open_store(county)
    try:
        wanted = read_project(project, store)
        book = rulebook().confirmed(store.list("confirmation"))
        found = find(store, wanted, book, store.at(), top=top, ranking=asked)
    finally:
        store.close()
    if as_json:
        print_json(found)
    else:
        _show(found)


def _asked(
    method: str, named: list[str], weigh: str | None, comparisons: Path | None, orness: float | None
) -> HowToRank:
    """How to rank, from the options; those that contradict each other are wrong usage."""
    from gis.weighing import Comparisons, HowToRank

    if weigh not in (None, "entropy", "ahp"):
        raise typer.BadParameter(f"{weigh!r} is neither entropy nor ahp", param_hint="--weigh")
    if named and (weigh or comparisons):
        raise typer.BadParameter("weights are stated or worked out, not both", param_hint="--weights")
    if (weigh == "ahp") != (comparisons is not None):
        raise typer.BadParameter("ahp and --comparisons FILE belong together", param_hint="--weigh")
    if comparisons is not None:
        return HowToRank(method=method, weights=Comparisons(ahp=read_comparisons(comparisons)), orness=orness)
    if weigh == "entropy":
        return HowToRank(method=method, weights="entropy", orness=orness)
    return HowToRank(method=method, weights=dict(map(_weight, named)) if named else None, orness=orness)


def read_comparisons(path: Path) -> dict[str, dict[str, float | str]]:
    """Comparisons in pairs: JSON as in a request, or CSV whose first row and first column name the criteria.

    Raises BadInput that names the file and the row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            said = json.loads(text)
            said = said.get("ahp", said) if isinstance(said, dict) else said
            if not isinstance(said, dict) or not all(isinstance(one, dict) for one in said.values()):
                raise ValueError("it is not {criterion: {criterion: times}}")
            return {one: dict(others) for one, others in said.items()}
    except (OSError, ValueError) as error:
        fix = "Give a UTF-8 file of comparisons, .csv or .json"
        raise BadInput(
            f"{path.name} cannot be read", [Fault(getattr(error, "strerror", None) or str(error), fix, file=path.name)]
        ) from error
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    names = rows[0][1:] if rows else []
    fix = "The first row names the criteria, and so does the first cell of each further row"
    faults = [
        Fault(f"it has {len(row) - 1} numbers for {len(names)} criteria", fix, file=path.name, feature=row[0])
        for row in rows[1:]
        if len(row) - 1 > len(names)
    ]
    if not names:
        faults.append(Fault("it names no criteria", fix, file=path.name))
    if faults:
        raise BadInput(f"{path.name} cannot be read", faults)
    told: dict[str, dict[str, float | str]] = {name: {} for name in names}
    for row in rows[1:]:
        told.setdefault(row[0], {}).update({name: cell for name, cell in zip(names, row[1:], strict=False) if cell})
    return told


def _weight(said: str) -> tuple[str, float]:
    name, _, number = said.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        raise typer.BadParameter(f"{said!r} is not CRITERION=WEIGHT", param_hint="--weights") from None


def _show(found: dict[str, Any]) -> None:
    how = found["ranking"]
    words = [how["method"], f"权重 weights: {how['weights']}"]
    if how["orness"] is not None:
        words.append(f"orness {how['orness']:g}")
    if how["consistency_ratio"] is not None:
        words.append(f"一致性比率 consistency ratio {how['consistency_ratio']:.3f}")
    table = Table(title=f"{found['considered']} 个候选 candidates · {' · '.join(words)}")
    for title in (
        "#",
        "用地 site",
        "ha",
        "结论 verdict",
        "得分 score",
        "其他方法 others",
        "未通过或未知 fails or unknown",
    ):
        table.add_column(title)
    for one in found["candidates"]:
        rules = ", ".join(finding["rule"] for finding in one["findings"][:4])
        hectares = f"{one['site']['area_m2'] / 1e4:.2f}"
        others = "\n".join(f"{name} {place}" for name, place in one["ranks"].items() if name != how["method"])
        table.add_row(str(one["rank"]), one["name"], hectares, one["verdict"], f"{one['score']:.3f}", others, rules)
    out.print(table)
    _weighing(found)
    for rule, count in found["rejected"].items():
        out.print(f"否决 rejected by {rule}: {count}", highlight=False)
    for one in found["notes"]:
        out.print(f"{one['zh']} {one['en']}", style="dim", highlight=False, markup=False, soft_wrap=True)


def _weighing(found: dict[str, Any]) -> None:
    """What weighs how much, between which weights the first stays first, and who else might be it."""
    robust = found["robustness"]
    if robust is None:
        return
    table = Table(title="指标与权重 what the rank rests on")
    for title in ("指标 criterion", "权重 weight", "第一名不变 the first stays first", "影响名次 places moved"):
        table.add_column(title)
    most = max(one["weight"] for one in found["criteria"]) or 1.0
    idle: dict[str, list[str]] = {}
    for one in sorted(found["criteria"], key=lambda row: -row["weight"]):
        if not one["matters"]:
            idle.setdefault(f"{one['why']['zh']} {one['why']['en']}", []).append(f"{one['zh']} {one['name']}")
            continue
        low, high = robust["keeps_winner"][one["name"]]
        bar = f"{one['weight']:.3f} {'█' * round(BAR * one['weight'] / most)}"
        moved = f"{robust['drives'][one['name']]:.1f}"
        table.add_row(f"{one['zh']} {one['name']}", bar, f"{low:.3f}–{high:.3f}", moved)
    if table.row_count:
        out.print(table)
    for why, names in idle.items():
        out.print(f"{why}: {'; '.join(names)}", highlight=False, markup=False, soft_wrap=True)
    said = f"随机权重 {robust['draws']:,} 次，居首的份额 share of {robust['draws']:,} random weights that put it first:"
    out.print(said, highlight=False)
    for one in robust["first_place"]:
        out.print(f"  {'█' * round(BAR * one['share']):<{BAR}} {one['share']:6.1%}  {one['name']}", highlight=False)
