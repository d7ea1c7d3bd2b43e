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

from api.places import EVER, places
from gis.check import check, rulebook
from gis.explain import CONCLUSION, Finding, findings, verdict
from gis.judge import Verdict
from gis.needs import measure_needs
from gis.rules import Rulebook
from layers.crs import LONLAT, parse_cached, transform
from layers.errors import UnknownName
from layers.records import Project
from layers.store import Store, open_store

SCENARIO = Path(__file__).with_name("scenario.csv")
WORDS = {"fail": "不满足", "unknown": "资料不足"}
WEIGHT = ("block", "condition", "warn")
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
    """The named things of the speech: what each is, where to find it, which project to ask for, how sure it is."""
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
        feature = _found(row, store)
        project = Project.model_validate(store.load("project", row["project"]))
        here = _spot(feature, store) if feature["at"] else None
        inside = zones == (project.zone or "")
        candidates = np.flatnonzero(inside) if inside.any() else np.arange(len(ids))
        chosen = candidates[_beside(polygons[candidates], here, _land_m2(project, book))]
        site = shapely.union_all(polygons[chosen])
        answer = check([site], project, book, world)
        said = (one for one in findings(answer, 0, 0) if one.status in WORDS)
        heaviest = tuple(sorted(said, key=lambda one: (WEIGHT.index(one.severity), one.status != "fail")))
        yield Stop(row, feature, project, tuple(ids[chosen]), verdict(answer, 0, 0), heaviest)


def page(stops: list[Stop], cases: list[dict[str, Any]]) -> str:
    """The page in Markdown: a table for each kind, in the order of the scenario; then the county's stated cases."""
    lines = [TOP]
    kind = ""
    for stop in stops:
        if stop.row["kind"] != kind:
            kind = stop.row["kind"]
            lines += ["", f"## {kind}", "", HEAD, "|---" * 6 + "|"]
        lines.append(_line(stop))
    lines += ["", "## 情形 Cases", "", "One site for each verdict and for single rules, found by overlay; a test holds"]
    lines += ["each to its verdict and its rule. `parkplan check COUNTY --project … --parcel …` shows it.", "", CASES]
    lines.append("|---" * 5 + "|")
    lines.extend(_case(case) for case in cases)
    return "\n".join(lines) + "\n"


def _found(row: dict[str, str], store: Store) -> dict[str, Any]:
    if row["role"] == "projects":
        project = store.load("project", row["project"])
        if row["name"] not in str(project.get("name")):
            raise UnknownName(f"no project {row['project']} is named like {row['name']!r}")
        return {"role": "projects", "id": row["project"], "name": project["name"], "at": None}
    layers = [layer for layer in store.layers() if layer.role == row["role"]]
    for one in places(row["name"], store.at(for_year=EVER), layers, [], most=1):
        return one
    raise UnknownName(f"nothing in {row['role']} is named like {row['name']!r}", role=row["role"])


def _spot(feature: dict[str, Any], store: Store) -> shapely.Point:
    lonlat = np.array([shapely.Point(feature["at"])], dtype=object)
    spot: shapely.Point = transform(lonlat, parse_cached(LONLAT), store.crs)[0]
    return spot


def _land_m2(project: Project, book: Rulebook) -> float:
    """What the project asks for, or the middle of the estimate from its yearly output."""
    need = measure_needs((project,), book)["land_m2"]
    return float(need.lo[0] + need.hi[0]) / 2


def _beside(polygons: np.ndarray, here: shapely.Point | None, land_m2: float) -> np.ndarray:
    """The parcels nearest to a place that together hold the land; without a place, around the largest parcel."""
    start = here if here is not None else shapely.centroid(polygons[int(np.argmax(shapely.area(polygons)))])
    first = int(np.argmin(shapely.distance(polygons, start)))
    order = np.argsort(shapely.distance(polygons, polygons[first]), kind="stable")
    enough = int(np.searchsorted(np.cumsum(shapely.area(polygons[order])), land_m2)) + 1
    return order[:enough]


def _line(stop: Stop) -> str:
    row, feature = stop.row, stop.feature
    where = f"{feature['at'][0]:.4f}, {feature['at'][1]:.4f}" if feature["at"] else "—"
    said = dict.fromkeys((SOURCES[row["source"]], SOURCES[row["confidence"]]))
    note = f" ({row['note']})" if row["note"] else ""
    zh, en = CONCLUSION[stop.verdict]
    reasons = "；".join(f"`{one.rule}` {WORDS[one.status]}" for one in stop.reasons[:3])
    return (
        f"| {row['name']} {row['en']} | {feature['name']} `{feature['role']}` | {where} | {'；'.join(said)}{note} "
        f"| {row['project']} | **{zh}** {en}{'：' if reasons else ''}{reasons} |"
    )


def _case(case: dict[str, Any]) -> str:
    parcels = f"{case['site'][0]}" + (f" … ({len(case['site'])})" if len(case["site"]) > 1 else "")
    zh, en = CONCLUSION[Verdict[case["verdict"].upper()]]
    rule = f"`{case['rule']}`" if case["rule"] else "—"
    return f"| {case['project']} | {parcels} | **{zh}** {en} | {rule} | {case['zh']} {case['en']} |"


CASES = "| 项目 Project | 宗地 Parcels | 结论 Answer | 决定的规则 Deciding rule | 原因 Why |"
HEAD = (
    "| 名称 Named | 在哪里 Found as | 经纬度 Lon, lat | 来源 Source | 项目 Project | 邻近地块的结论 Answer beside it |"
)
TOP = """# 示例县 The demo county

`parkplan demo` builds the county that a planning speech talks of: one belt, two zones (一带两区), on made-up ground.
**Every feature is synthetic (合成数据)** and says so on every map and export. Names are the speech's; places, courses,
voltages and capacities are assumptions, since no public source gives them. The ground: 1,969 km², 377.7 m where the
river leaves (龙门口) to 2,493.8 m (梵净山), every cell draining to the edge; 印江河 runs 木黄, 合水, 朗溪, the seat.
The rows of the rulebook count as confirmed by the county, with a made-up document.

The tables below are printed from the county file (seed 1) by `python -m scripts.county.tour`. For each named thing
one project is checked (screening) on the parcels of its zone nearest to the place that together hold it.
`parkplan find COUNTY NAME` and `GET /places?name=` find each of them."""


def main(county: str) -> None:
    store = open_store(county)
    sys.stdout.write(page(list(tour(store)), store.list("example")))
    store.close()


if __name__ == "__main__":
    main(sys.argv[1])
