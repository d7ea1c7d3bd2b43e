"""A county in a notebook or a script: the same checks, maps and reports as the service, in three lines.

    from api.notebook import County
    county = County("demo/county.gpkg")
    county.check({"name": "精制茶", "land_m2": 8000}, parcels=["520625001001GB00001"])

What is last in a cell is shown; `save` writes it to a file. Nothing is kept in the county by looking at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from api import maps, xlsx
from api.county import County as Served
from api.escape import safe
from api.plan_map import plan_chart
from api.planned import dressed
from api.planning import joint_plan
from api.reports import docx, html, of_check, of_parcels, of_plan, pdf
from api.reports import xlsx as book
from api.reports.mapsheet import Paper
from api.reports.model import Report
from api.routers import maps as charts
from api.routers.checks import as_features
from api.settings import Settings
from api.sites import SiteIn, resolve
from gis.scenario import Scenario
from layers.access import Access
from layers.errors import BadInput, Fault
from layers.places import beside, settled
from layers.records import Project, Purpose
from layers.store import Store, open_store

HIGH_PX = 640


class Map:
    """A folium map; shown in a cell, or saved as one page that opens without a server."""

    def __init__(self, chart: maps.Chart) -> None:
        self.chart = chart

    def save(self, path: str | Path) -> Path:
        return _written(Path(path), maps.standalone(self.chart).encode())

    def _repr_html_(self) -> str:
        return _framed(maps.standalone(self.chart), scripts=True)


class Check:
    """An answered check: `answer` is the contract's JSON."""

    def __init__(self, answer: dict[str, Any], store: Store) -> None:
        self.answer, self._store = answer, store

    @property
    def verdict(self) -> str:
        return str(self.answer["verdict"])

    @property
    def findings(self) -> pd.DataFrame:
        """A row for each rule, without the drawn evidence."""
        rows = [{**one, "message": one["message"]["zh"]} for one in self.answer["findings"]]
        return pd.DataFrame(rows).drop(columns=["evidence", "remedy", "features"])

    @property
    def map(self) -> Map:
        return Map(charts.check_chart(self._store, self.answer))

    @property
    def report(self) -> Report:
        return of_check.report(self.answer, self._store)

    def save(self, path: str | Path) -> Path:
        """The report as .pdf, .docx, .html, .xlsx or .geojson."""
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".xlsx":
            return _written(path, xlsx.workbook(self.answer))
        if kind == ".geojson":
            return _written(path, json.dumps(as_features(self.answer), ensure_ascii=False).encode())
        return _saved(self.report, path)

    def _repr_html_(self) -> str:
        return _framed(html.write(self.report))


class Plan:
    """A joint plan: `answer` is the contract's JSON."""

    def __init__(self, answer: dict[str, Any], projects: Sequence[Mapping[str, Any]], store: Store) -> None:
        self.answer, self._projects, self._store = answer, projects, store
        self._made = datetime.now(UTC).isoformat(timespec="seconds")

    @property
    def map(self) -> Map:
        return Map(plan_chart(self._store, self.answer, projects=self._projects))

    @property
    def report(self) -> Report:
        return of_plan.report(self.answer, self._store, created_at=self._made, projects=self._projects)

    def save(self, path: str | Path) -> Path:
        """The report as .pdf, .docx, .html or .xlsx."""
        return _saved(self.report, Path(path))

    def _repr_html_(self) -> str:
        return _framed(html.write(self.report))


class County:
    """A county file or database, read as its owner reads it."""

    def __init__(self, county: str | Path) -> None:
        where = settled(str(county))
        self._store = open_store(where)
        self._access = Access(beside(where))
        self._served = Served(self._store, self._access, Settings(county=where))

    def __enter__(self) -> County:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()
        self._access.close()

    @property
    def layers(self) -> pd.DataFrame:
        """What is loaded: role, version, features, source."""
        rows = [(one.role, one.version, one.loaded, one.source, one.vintage) for one in self._store.layers()]
        return pd.DataFrame(rows, columns=["role", "version", "features", "source", "vintage"])

    def check(
        self,
        project: Mapping[str, Any] | str,
        parcels: Sequence[str] | None = None,
        geometry: Mapping[str, Any] | None = None,
        *,
        crs: str | None = None,
        purpose: Purpose = "screening",
        as_of: date | None = None,
        for_year: int | None = None,
    ) -> Check:
        """May this project (a record, or an id of the library) stand on these parcels, or on this GeoJSON ground?"""
        site = SiteIn.model_validate({"parcels": parcels, "geometry": geometry, "crs": crs}, strict=False)
        ground = resolve([site], self._store, *self._served.site_limits, as_of)
        (found,) = self._served.check(ground, self._project(project), purpose, as_of, for_year)
        return Check(found, self._store)

    def plan(
        self, projects: Iterable[Mapping[str, Any] | str] | None = None, scenario: Mapping[str, Any] | None = None
    ) -> Plan:
        """Where projects (default: the library) fit together."""
        wanted = [self._project(one) for one in (self._store.list("project") if projects is None else projects)]
        chosen = Scenario.model_validate(dict(scenario or {}))
        world = self._store.at()
        routes = self._served.networks.lookup(world, make=True)
        joint, measured = joint_plan(self._store, wanted, chosen, self._served.rulebook(), world, routes=routes)
        named = [one.model_dump(mode="json", exclude_none=True) for one in wanted]
        return Plan(dressed(joint, measured, world, chosen), named, self._store)

    def map(self, *, zone: str | None = None, parcel: str | None = None, as_of: date | None = None) -> Map:
        """The county, one of its zones or one of its parcels."""
        if zone is not None:
            return Map(charts.zone_chart(self._store, zone))
        if parcel is not None:
            return Map(charts.parcel_chart(self._store, parcel, as_of))
        return Map(charts.overview_chart(self._store))

    def sheets(
        self, parcels: Sequence[str], path: str | Path, *, scale: int | None = None, paper: Paper = "A4"
    ) -> Path:
        """Map sheets of parcels at true scale, as one PDF."""
        made = of_parcels.sheets(self._store, parcels, scale=scale, paper=paper, drawn_on=datetime.now(UTC).date())
        return _written(Path(path), pdf.write(made))

    def _project(self, said: Mapping[str, Any] | str) -> Project:
        return Project.model_validate(self._store.load("project", said) if isinstance(said, str) else dict(said))


def _saved(report: Report, path: Path) -> Path:
    kind = path.suffix.lower()
    if kind == ".html":
        return _written(path, html.write(report).encode())
    write = {".pdf": pdf.write, ".docx": docx.write, ".xlsx": book.write}.get(kind)
    if write is None:
        fix = "Use .pdf, .docx, .html or .xlsx"
        raise BadInput(f"no report in {kind or 'that form'}", [Fault("unknown kind", fix, file=path.name)])
    return _written(path, write(report))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _framed(page: str, *, scripts: bool = False) -> str:
    """A page in a frame of its own, so that neither its style nor its scripts reach the notebook."""
    may = "allow-scripts" if scripts else ""
    return f'<iframe sandbox="{may}" srcdoc="{safe(page)}" width="100%" height="{HIGH_PX}"></iframe>'
