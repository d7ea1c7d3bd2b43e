"""Every named thing of the scenario with its place and what a project would hear there, as a page of the docs.

    python -m scripts.county.tour demo/county.gpkg > docs/demo-county.md

The page is printed from the county file; nothing in it is written by hand but `scenario.csv` and the words around.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from api.places import places
from gis.check import Rulebook, check, rulebook
from gis.explain import CONCLUSION, Finding, findings, verdict
from gis.judge import Verdict
from layers.crs import LONLAT, parse_cached, transform
from layers.errors import UnknownName
from layers.records import Project, World
from layers.store import Store, open_store

SCENARIO = Path(__file__).with_name("scenario.csv")
WORDS = {"fail": "不满足", "unknown": "资料不足"}
SOURCES = {"speech": "讲话 speech", "invented": "虚构 invented", "assumption": "假设 assumption"}


@dataclass(frozen=True)
class Stop:
    """One row of the scenario, found: `feature` as `api.places` says it, the site beside it, the answer there."""

    row: dict[str, str]
    feature: dict[str, Any]
    project: Project
    parcels: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[Finding, ...]


def scenario() -> list[dict[str, str]]:
    """The named things of the speech: name, kind, the role to find it in, the project to ask for, source, confidence."""
    with SCENARIO.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tour(store: Store, rows: list[dict[str, str]] | None = None) -> Iterator[Stop]:
    """Each named thing with the answer for its project on the nearest parcels that hold it.

    UnknownName where the county has nothing of that name.
    """
    world, book = store.at(), rulebook().confirmed(store.list("confirmation"))
    parcels = store.frame("parcels")
    ids = parcels["id"].to_numpy()
    polygons = np.asarray(parcels.geometry.values, dtype=object)
    zones = parcels["zone"].fillna("").to_numpy()
    for row in rows if rows is not None else scenario():
        feature = _found(row, store, world)
        project = Project.model_validate(store.load("project", row["project"]))
        here = _spot(feature, store) if feature["at"] else None
        inside = zones == (project.zone or "")
        candidates = np.flatnonzero(inside) if inside.any() else np.arange(len(ids))
        chosen = candidates[_beside(polygons[candidates], here, _land_m2(project, book, world))]
        site = shapely.union_all(polygons[chosen])
        answer = check([site], project, book, world)
        said = tuple(one for one in findings(answer, 0, 0) if one.status in WORDS)
        yield Stop(row, feature, project, tuple(ids[chosen]), verdict(answer, 0, 0), said)


def page(stops: list[Stop]) -> str:
    """The page in Markdown: a table for each kind, in the order of the scenario."""
    lines = [TOP]
    kind = ""
    for stop in stops:
        if stop.row["kind"] != kind:
            kind = stop.row["kind"]
            lines += ["", f"## {kind}", "", HEAD, "|---|---|---|---|---|---|"]
        lines.append(_line(stop))
    return "\n".join(lines) + "\n" + BOTTOM


def _found(row: dict[str, str], store: Store, world: World) -> dict[str, Any]:
    if row["role"] == "projects":
        project = store.load("project", row["project"])
        if row["name"] not in str(project.get("name")):
            raise UnknownName(f"no project {row['project']} is named like {row['name']!r}")
        return {"role": "projects", "id": row["project"], "name": project["name"], "at": None}
    layers = [layer for layer in store.layers() if layer.role == row["role"]]
    for one in places(row["name"], world, layers, [], most=1):
        return one
    raise UnknownName(f"nothing in {row['role']} is named like {row['name']!r}", role=row["role"])


def _spot(feature: dict[str, Any], store: Store) -> shapely.Point:
    lonlat = np.array([shapely.Point(feature["at"])], dtype=object)
    spot: shapely.Point = transform(lonlat, parse_cached(LONLAT), store.crs)[0]
    return spot


def _land_m2(project: Project, book: Rulebook, world: World) -> float:
    """What the project asks for, or the middle of the estimate from its yearly output."""
    asked = check([shapely.box(0, 0, 1, 1)], project, book, world, rules=[]) if project.land_m2 is None else None
    if asked is None:
        return float(project.land_m2 or 0.0)
    need = asked.needs["land_m2"]
    return float((need.lo[0] + need.hi[0]) / 2)


def _beside(polygons: np.ndarray, here: shapely.Point | None, land_m2: float) -> np.ndarray:
    """The parcels nearest to a place that together hold the land; without a place, around the largest parcel."""
    start = here if here is not None else shapely.centroid(polygons[int(np.argmax(shapely.area(polygons)))])
    first = int(np.argmin(shapely.distance(polygons, start)))
    order = np.argsort(shapely.distance(polygons, polygons[first]), kind="stable")
    enough = int(np.searchsorted(np.cumsum(shapely.area(polygons[order])), land_m2)) + 1
    return order[:enough]


def _line(stop: Stop) -> str:
    row, feature = stop.row, stop.feature
    where = f"{feature['at'][0]:.4f}, {feature['at'][1]:.4f}" if feature["at"] else "项目库 library"
    zh, en = CONCLUSION[stop.verdict]
    reasons = "；".join(f"{WORDS[one.status]}：{one.rule}" for one in stop.reasons[:3]) or "—"
    source = f"{SOURCES[row['source']]}；{SOURCES[row['confidence']]}" if row["source"] != row["confidence"] else SOURCES[row["source"]]
    note = f"（{row['note']}）" if row["note"] else ""
    return (
        f"| {row['name']} {row['en']} | `{feature['role']}` {feature['name']} | {where} | {source}{note} "
        f"| {row['project']} | **{zh}** {en}：{reasons} |"
    )
