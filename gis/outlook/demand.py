"""How much land the project library asks for, by preferred zone and year.

The year is that of the phase's approval, else of its start; without phases that of the milestone which grants the
land (农转用, 供地, 出让 ...), else of the start of works. What says none of them stands under "year not said". Land a
project leaves out is estimated from its output (`gis.estimate`) and marked; where nothing can be estimated it is
unknown, which makes every sum it enters open upwards. A component is ground of its own, beside that of the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np

from gis.estimate import estimate
from gis.intervals import Interval
from gis.judge import Status, margin, status
from gis.rules import Rulebook
from layers.records import Milestone, Project

GRANTS = ("出让", "划拨", "供地", "农用地转用", "农转用", "用地批复", "用地审批")
STARTS = ("施工许可", "开工")
Basis = Literal["approval_year", "start_year", "milestone", "unsaid"]


@dataclass(frozen=True)
class Ask:
    """A piece of land somebody asks for: `low` to `high` square metres, `high` infinite where nobody can say.

    `granted` where a milestone says that the land was given on or before the day: it is no demand any more.
    """

    project: str
    name: str
    part: str
    zone: str
    year: int | None
    basis: Basis
    land_m2: float | None
    low_m2: float
    high_m2: float
    estimated: bool = False
    granted: bool = False


@dataclass(frozen=True)
class Year:
    """What one zone is asked for in one year, and what is left of its net buildable ground from then on.

    Bounds in square metres; `year` None is "not said" and comes last. `enough` is whether the net ground still
    carries everything up to here.
    """

    zone: str
    year: int | None
    projects: int
    land_m2: float
    low_m2: float
    high_m2: float
    estimated_m2: float
    without_land: int
    left_low_m2: float
    left_high_m2: float
    enough: Status


def asks(projects: Iterable[Project], book: Rulebook, zones: Mapping[str, str], day: date) -> list[Ask]:
    """Every piece of land the projects ask for; `zones` leads ids and names to ids, others are no zone of ours ("")."""
    return [one for project in projects for one in _of(project, book, zones, day)]


def _of(project: Project, book: Rulebook, zones: Mapping[str, str], day: date) -> Iterator[Ask]:
    grants = [one for one in project.milestones if any(word in one.procedure for word in GRANTS)]
    given = [one.done_on for one in grants if one.done_on is not None and one.done_on <= day]
    until = min(given).year if given else None
    zone = zones.get(project.zone or "", "")
    year, basis = _year(project, grants)
    whole = _land(
        Ask(project.key, project.name or project.key, "", zone, year, basis, None, 0.0, np.inf), project, book
    )
    parts = [
        replace(
            _sized(whole, phase.land_m2),
            part=f"第{number}期 phase {number}",
            year=phase.approval_year or phase.start_year,
            basis="approval_year" if phase.approval_year else "start_year" if phase.start_year else "unsaid",
        )
        for number, phase in enumerate(project.phases, 1)
    ]
    yield from (replace(one, granted=until is not None and one.year is not None and one.year <= until) for one in parts)
    if not parts:
        yield replace(whole, granted=until is not None)
    elif project.land_m2 is not None and project.land_m2 > (said := sum(one.low_m2 for one in parts)):
        rest = _sized(whole, project.land_m2 - said)
        yield replace(rest, part="各期之外 beyond its phases", year=None, basis="unsaid")
    first = min(parts, key=lambda one: one.year or 9999) if parts else whole
    for component in project.components:
        yard = _sized(whole, component.land_m2)
        yield replace(yard, part=component.name, year=first.year, basis=first.basis, granted=until is not None)


def _sized(ask: Ask, land_m2: float) -> Ask:
    return replace(ask, land_m2=land_m2, low_m2=land_m2, high_m2=land_m2, estimated=False)


def _land(ask: Ask, project: Project, book: Rulebook) -> Ask:
    """What the project says, else what can be estimated; as it is where neither."""
    if project.land_m2 is not None:
        return _sized(ask, project.land_m2)
    for one in estimate(project, book).estimates:
        if one.field == "land_m2":
            return replace(ask, land_m2=one.value, low_m2=one.low, high_m2=one.high, estimated=True)
    return ask


def _year(project: Project, grants: Sequence[Milestone]) -> tuple[int | None, Basis]:
    starts = [one for one in project.milestones if any(word in one.procedure for word in STARTS)]
    for milestones in (grants, starts):
        days = [one.done_on or one.planned_on for one in milestones]
        said = [one for one in days if one is not None]
        if said:
            return min(said).year, "milestone"
    return None, "unsaid"


def by_year(found: Iterable[Ask], zone: str | None, net: Interval | None) -> list[Year]:
    """The open demand of one zone (of all where None) by year, against `net` square metres (one number) of ground."""
    mine = [one for one in found if not one.granted and (zone is None or one.zone == zone)]
    years = sorted({one.year for one in mine}, key=lambda year: (year is None, year or 0))
    rows, low, high = [], 0.0, 0.0
    for year in years:
        now = [one for one in mine if one.year == year]
        low += sum(one.low_m2 for one in now)
        high += sum(one.high_m2 for one in now)
        ground = net if net is not None else Interval.unknown(1)
        left = margin(ground, ">=", Interval(np.array([low]), np.array([high])))
        rows.append(
            Year(
                "" if zone is None else zone,
                year,
                len({one.project for one in now}),
                sum(one.land_m2 or 0.0 for one in now),
                sum(one.low_m2 for one in now),
                sum(one.high_m2 for one in now),
                sum((one.land_m2 or 0.0 for one in now if one.estimated), 0.0),
                sum(one.land_m2 is None for one in now),
                float(left.lo[0]),
                float(left.hi[0]),
                Status(int(status(left)[0])),
            )
        )
    return rows
