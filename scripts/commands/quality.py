"""`parkplan quality`: what is wrong with a layer's geometry, where, and a repair that logs every change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from layers.errors import BadInput, Fault, Refused
from scripts.console import AsJson, County, err, out, print_json

if TYPE_CHECKING:
    import pandas as pd
    from pyproj import CRS

    from layers.quality import Quality, Repaired
    from layers.records import Geoms

MOST_LINES = 20
MOST_JSON = 1_000
COLOUR = {"error": "red", "warn": "yellow"}
WORD = {"error": "错误 error", "warn": "提示 warn"}


@dataclass(frozen=True)
class Looked:
    """What is looked at: a layer of the county or a file, in the county's CRS."""

    name: str
    role: str | None
    table: pd.DataFrame
    geometries: Geoms
    ids: list[str]
    classes: list[Any] | None


def quality(
    county: County,
    what: Annotated[str, typer.Argument(metavar="ROLE|FILE", help="A layer of the county, or a file to look into")],
    to: Annotated[
        Path | None, typer.Option("--out", help="Write quality.html and quality.gpkg into this folder")
    ] = None,
    mend: Annotated[bool, typer.Option("--repair", help="Mend what can be mended within the tolerances")] = False,
    write: Annotated[Path | None, typer.Option(help="The mended layer and its log, as FILE.gpkg")] = None,
    close_slivers: Annotated[
        bool, typer.Option("--close-slivers", help="Mending closes thin overlaps, and gaps, too")
    ] = False,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Mending drops features drawn exactly as another")
    ] = False,
    tolerance: Annotated[
        list[str] | None, typer.Option(help="CHECK=VALUE instead of the table's; for example sliver.width_m=0.2")
    ] = None,
    fail_on: Annotated[str | None, typer.Option(help="error or warn: exit 10 where there is such a place")] = None,
    role: Annotated[str | None, typer.Option(help="What a FILE means: its tolerances and its id field")] = None,
    crs: Annotated[str | None, typer.Option(help="The FILE's CRS where it says none or a wrong one")] = None,
    encoding: Annotated[str | None, typer.Option(help="The FILE's text encoding, for example GB18030")] = None,
    layer: Annotated[str | None, typer.Option(help="Which layer of the FILE")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for faults of geometry (图形质量检查): invalid, duplicates, overlaps, gaps, slivers, spikes, near points.

    Exit 0 whatever is found (a report is an answer), unless --fail-on says otherwise.
    """
    from layers.quality import examine, repair, tolerances
    from layers.schema import roles

    if fail_on not in (None, "error", "warn"):
        raise typer.BadParameter("error or warn", param_hint="--fail-on")
    if write is not None:
        _refuse_target(write, mend)
    looked, target = _look(county, what, role, crs, encoding, layer, roles(), may_leave=to is None and write is None)
    figures = tolerances(looked.role, _given(tolerance or []))
    bar = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*bar, console=err, transient=True, disable=as_json) as progress:
        task = progress.add_task("", total=1.0)

        def tell(text: str, share: float) -> None:
            progress.update(task, description=text, completed=share)

        def look(geometries: Geoms, rows: Any) -> Quality:
            classes = None if looked.classes is None else [looked.classes[row] for row in rows]
            names = [looked.ids[row] for row in rows]
            return examine(
                geometries,
                names,
                crs=target,
                role=looked.role,
                tolerances_=figures,
                classes=classes,
                progress=tell,
            )

        found = look(looked.geometries, range(len(looked.geometries)))
        mended, after = None, None
        if mend:
            mended = repair(
                looked.geometries,
                looked.ids,
                figures,
                drop_duplicates=drop_duplicates,
                close_slivers=close_slivers,
                progress=tell,
            )
            after = look(mended.geometries, mended.rows)
    written = _write(found, mended, looked, target, to, write)
    if as_json:
        print_json(_answer(found, mended, after, looked, written))
    else:
        _print(found, mended, after, looked, written)
    bad = found if after is None else after
    if fail_on is not None and (bad.errors or (fail_on == "warn" and bad.warnings)):
        raise typer.Exit(10)


def _refuse_target(write: Path, mend: bool) -> None:
    if not mend:
        raise typer.BadParameter("there is nothing to write without --repair", param_hint="--write")
    if write.suffix.lower() != ".gpkg":
        raise typer.BadParameter("a mended layer is written as FILE.gpkg", param_hint="--write")
    if write.exists():
        raise BadInput(f"{write.name} exists already", [Fault("it would be overwritten", "Choose another name")])


def _given(tolerance: list[str]) -> dict[str, str]:
    given = {}
    for one in tolerance:
        name, sign, value = one.partition("=")
        if not sign or not name or not value:
            raise typer.BadParameter(f"{one!r} is not CHECK=VALUE", param_hint="--tolerance")
        given[name] = value
    return given


def _look(
    county: str,
    what: str,
    role: str | None,
    crs: str | None,
    encoding: str | None,
    layer: str | None,
    roles: Any,
    *,
    may_leave: bool,
) -> tuple[Looked, CRS]:
    """What is to be looked at, in the county's CRS, and that CRS."""
    from layers.schema import role as role_named
    from layers.store import open_store

    store = open_store(county)
    try:
        if what not in roles:
            if role is not None:
                role_named(role)
            return _file(Path(what), role, store.crs, crs, encoding, layer), store.crs
        frame = store.frame(what)
        secret = next(one.classification for one in store.layers() if one.role == what) == "秘密"
        if secret and not may_leave:
            raise Refused("a layer of 秘密 is looked at here and does not leave in a file", role=what)
    finally:
        store.close()
    classes = frame["three_class"].tolist() if "three_class" in frame else None
    table = frame.drop(columns=frame.geometry.name)
    return Looked(what, what, table, frame.geometry.to_numpy(), frame["id"].astype(str).tolist(), classes), store.crs


def _file(
    path: Path, role: str | None, target: CRS, crs: str | None, encoding: str | None, layer: str | None
) -> Looked:
    """A file's layer as it is: nothing is rejected, because what is wrong with it is the question."""
    import shapely

    from layers import crs as crs_
    from layers.reading import read

    raw = read(path, layer=layer, encoding=encoding)
    name = raw.found.get("layer", path.stem)
    source = crs_.of_file(raw.crs, crs, path.name, name)
    if crs is None:
        crs_.refuse_twin(source, target, path.name, name)
    lost = crs_.lost(source, raw.geometries)
    seen = raw.geometries[~lost & ~shapely.is_missing(raw.geometries) & ~shapely.is_empty(raw.geometries)]
    if len(seen):
        west, south, east, north = map(float, shapely.total_bounds(seen))
        crs_.refuse_misplaced(source, (west, south, east, north), path.name, name)
    moved = crs_.transform(raw.geometries, source, target).copy()
    moved[lost] = crs_.transform_lost(raw.geometries[lost], source, target)
    ids, classes = _names(raw.table, role, path.name)
    return Looked(path.name, role, raw.table, moved, ids, classes)


def _names(table: pd.DataFrame, role: str | None, file: str) -> tuple[list[str], list[Any] | None]:
    """What a file's features are called, and their three-way classes where the role has them and they can be told."""
    from layers.schema import conform
    from layers.schema import role as role_named

    wanted = role_named(role or "plots")
    try:
        ours = conform(table, wanted, {}, file=file).table
    except BadInput:  # it lacks a column the role needs; its geometry can be looked at all the same
        known = [name.lower() for name in ("id", *wanted.aliases.get("id", ()))]
        name = next((name for name in table.columns if name.lower() in known), None)
        fields = {} if name is None else {"id": name}
        ours = conform(table, role_named("plots"), fields, file=file).table
    classes = ours["three_class"].tolist() if role is not None and "three_class" in ours else None
    return ours["id"].astype(str).tolist(), classes


def _write(
    found: Quality, mended: Repaired | None, looked: Looked, target: CRS, to: Path | None, write: Path | None
) -> list[Path]:
    from layers.quality import write_page

    written = []
    if to is not None:
        try:
            to.mkdir(parents=True, exist_ok=True)
            write_page(found, to / "quality.html", looked.name)
        except OSError as error:
            fix = "Choose another folder"
            raise BadInput(f"{to.name} cannot be written to", [Fault(str(error.strerror), fix)]) from error
        found.to_gpkg(to / "quality.gpkg")
        written += [to / "quality.html", to / "quality.gpkg"]
    if write is not None and mended is not None:
        mended.to_gpkg(write, looked.table, target, looked.role or write.stem)
        written.append(write)
    return written


def _answer(
    found: Quality, mended: Repaired | None, after: Quality | None, looked: Looked, written: list[Path]
) -> dict[str, Any]:
    places = found.places.head(MOST_JSON)
    rows = places.drop(columns=places.geometry.name).astype(object)
    answer: dict[str, Any] = {
        "layer": looked.name,
        "role": looked.role,
        "features": found.features,
        "errors": found.errors,
        "warnings": found.warnings,
        "counts": found.counts,
        "notes": [{"zh": zh, "en": en} for zh, en in found.notes],
        "tolerances": found.tolerances.rows.to_dict("records"),
        "places": [
            {**row, "geometry": shape.wkt if shape is not None else None}
            for row, shape in zip(rows.where(rows.notna(), None).to_dict("records"), places.geometry, strict=True)
        ],
        "more_places": len(found.places) - len(places),
        "written": [str(path) for path in written],
    }
    if mended is not None and after is not None:
        answer["repair"] = {
            "steps": mended.steps(),
            "before_m2": round(mended.before_m2, 6),
            "after_m2": round(mended.after_m2, 6),
            "features_out": len(mended.geometries),
            "log": mended.log.head(MOST_JSON).to_dict("records"),
            "more_lines": max(len(mended.log) - MOST_JSON, 0),
            "counts": after.counts,
        }
    return answer


def _print(found: Quality, mended: Repaired | None, after: Quality | None, looked: Looked, written: list[Path]) -> None:
    table = Table(title=Text(f"图形质量检查 Quality of {looked.name}"), title_justify="left")
    for title in ("检查项 check", "级别", "处 places", "图形 features"):
        table.add_column(title, justify="right" if title.startswith(("处", "图形")) else "left")
    if after is not None:
        table.add_column("修复后 after", justify="right")
    for row in found.summary().to_dict("records"):
        made = row["check"] in found.counts
        number = f"{row['places']:,}" if made else "未查 not checked"
        severity = f"[{COLOUR[row['severity']]}]{WORD[row['severity']]}[/]" if made and row["places"] else ""
        cells = [f"{row['zh']} {row['en']}", severity, number, f"{row['features']:,}" if made else ""]
        if after is not None:
            cells.append(f"{after.counts[row['check']]:,}" if made else "")
        table.add_row(*cells)
    out.print(table)
    _say(f"{found.features:,} 个图形 features: {found.errors:,} 处错误 errors, {found.warnings:,} 处提示 warnings")
    for zh, en in found.notes:
        _say(f"  {zh} {en}")
    if mended is not None:
        _print_repair(mended, found.features)
    for path in written:
        _say(f"wrote {path}")


def _print_repair(mended: Repaired, features: int) -> None:
    from layers.quality import LEFT

    _say(
        f"修复 repair: {features:,} features in, {len(mended.geometries):,} out; area {mended.before_m2:,.3f} m² -> "
        f"{mended.after_m2:,.3f} m² ({mended.after_m2 - mended.before_m2:+,.3f} m²)"
    )
    for step, count in mended.steps().items():
        _say(f"  {step}: {count:,}")
    left = mended.left
    for line in left.head(MOST_LINES).itertuples():
        _say(f"  未改 left {line.feature}, {line.step}: {str(line.note).removeprefix(LEFT)}")
    if len(left) > MOST_LINES:
        _say(f"  ... and {len(left) - MOST_LINES:,} more; see --json, or repair_log in the file of --write")


def _say(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)
