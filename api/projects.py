"""The project library: which projects are asked for, what may come in, and keeping it all or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from api.wording import fault_row
from gis.estimate import UNITS, unit_faults
from gis.needs import traits_of
from gis.rules import Rulebook
from layers.errors import BadInput, Fault
from layers.library import read
from layers.library_writing import record_of, template
from layers.records import Industry, Project
from layers.store import Store

RESERVED = ("export.", "template.xlsx")  # addresses beside those of the projects
Record = Callable[[str, str, str], None]  # (action, subject, outcome) into the audit log


def wanted(
    projects: Iterable[dict[str, Any]], stage: str | None = None, zone: str | None = None, q: str | None = None
) -> list[dict[str, Any]]:
    """The projects of a stage and a zone whose id, name or industry code has `q` in it.

    >>> wanted([{"id": "T", "name": "精制茶", "stage": "新建"}, {"id": "V", "stage": "引进"}], stage="新建", q="茶")
    [{'id': 'T', 'name': '精制茶', 'stage': '新建'}]
    """
    word = (q or "").strip().casefold()
    return [
        one
        for one in projects
        if (stage is None or one.get("stage") == stage)
        and (zone is None or one.get("zone") == zone)
        and word in f"{one['id']}\n{one.get('name', '')}\n{one.get('industry', {}).get('code', '')}".casefold()
    ]


def faults_of(project: Project, book: Rulebook) -> list[Fault]:
    """What keeps a project out of the library though its record is sound: all of it at once."""
    traits = traits_of(book)
    said: list[tuple[str, Industry | None]] = [("industry.code", project.industry)]
    said += [(f"components.{n}.industry.code", one.industry) for n, one in enumerate(project.components)]
    faults = [
        Fault(
            f"{industry.code!r} is not a code of GB/T 4754-2017 that we know",
            f"Nearest: {'; '.join(traits.nearest(industry.digits)) or 'none'}",
            feature=project.key,
            field=field,
        )
        for field, industry in said
        if industry is not None and not traits.known(industry.digits)
    ]
    faults += unit_faults([project])
    key = project.key
    if len(key) > 200 or "/" in key or not key.isprintable() or key.strip(".") != key or key.startswith(RESERVED):
        reason = f"{key[:80]!r} cannot be the address of a project"
        faults.append(Fault(reason, "Give it an id of at most 200 letters and digits", feature=key[:200], field="id"))
    return faults


def checked(project: Project, book: Rulebook) -> dict[str, Any]:
    """A project as the library keeps it, under its id; BadInput names everything that is wrong with it."""
    if faults := faults_of(project, book):
        raise BadInput("the project cannot be taken into the library", faults)
    return {**record_of(project), "id": project.key}


def take(
    path: Path,
    store: Store,
    book: Rulebook,
    record: Record,
    *,
    name: str | None = None,
    dry_run: bool = False,
    skip_faulty: bool = False,
    may: Callable[[Project, Mapping[str, Any]], list[Fault]] = lambda project, there: [],
) -> dict[str, Any]:
    """Bring a library file in: a project with a known id replaces the one that is there, no project goes.

    Nothing is stored unless every row is good; with `skip_faulty` the good ones are. A dry run stores nothing and
    tells what would be. `may` says what keeps the caller from writing a row, given the library as it is.
    """
    there = {str(one["id"]): one for one in store.list("project")}
    projects, faults = read(path, name=name, judge=lambda one: faults_of(one, book) + may(one, there))
    bodies = {one.key: {**record_of(one), "id": one.key} for one in projects}
    told: dict[str, Any] = {
        "file": name or path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "stored": bool(bodies) and not dry_run and (skip_faulty or not faults),
        "created": [key for key in bodies if key not in there],
        "updated": [key for key, body in bodies.items() if key in there and not _same(there[key], body)],
        "unchanged": [key for key, body in bodies.items() if key in there and _same(there[key], body)],
        "faults": [fault_row(one) for one in faults],
    }
    if faults and not (dry_run or skip_faulty):
        raise BadInput(f"{told['file']}: {len(faults)} faults, so that nothing was stored", faults)
    if told["stored"]:
        changed = [*told["created"], *told["updated"]]
        store.save_all([("project", key, bodies[key]) for key in changed])
        counts = ", ".join(f"{len(told[word])} {word}" for word in ("created", "updated", "unchanged"))
        record("projects-import", f"{told['file']} {told['sha256'][:12]}", f"{counts}, {len(faults)} faults")
        for key in changed:
            record("project", key, "created" if key in told["created"] else "written")
    return told


def _same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the library says the same as a file, however the two were written."""
    return record_of(Project.model_validate(old)) == record_of(Project.model_validate(new))


def empty(store: Store) -> bytes:
    """The template of this county: its zones and the units we know are in the drop-downs."""
    loaded = {layer.role for layer in store.layers()}
    zones: Sequence[str] = [str(one) for one in store.frame("zones")["id"]] if "zones" in loaded else ()
    return template({"zone": zones, "annual_output.unit": list(UNITS)})
