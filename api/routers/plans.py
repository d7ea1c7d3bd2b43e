"""Searches for one project and joint plans of many."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import Field

from api import adopting
from api.auth import CHECK, READ, allow
from api.comparing import compared
from api.county import County, county_of
from api.searching import criteria_of, search
from gis.rank import METHODS
from gis.scenario import Scenario
from gis.weighing import HowToRank
from layers.access import User
from layers.errors import BadInput, Fault, TooLarge, UnknownName
from layers.records import Project, Strict

router = APIRouter(tags=["plans"])
Here = Annotated[County, Depends(county_of)]
MOST_PROJECTS = 500


class SearchIn(Strict):
    """One project, and how to rank; `weights` alone is short for `ranking.weights`, by the names of the criteria."""

    project: Project | None = None
    project_id: str | None = None
    top: Annotated[int, Field(ge=1, le=200)] = 20
    weights: dict[str, float] | None = None
    ranking: HowToRank | None = None

    @property
    def how(self) -> HowToRank:
        if self.weights is None:
            return self.ranking or HowToRank()
        if self.ranking is not None:
            raise BadInput(
                "the candidates cannot be ranked as asked",
                [Fault("weights stand beside ranking", "Give ranking.weights alone", field="weights")],
            )
        return HowToRank(weights=self.weights)


class PlanIn(Strict):
    """Projects as records or as ids of the library, and what the plan is made for."""

    projects: Annotated[list[Project | str], Field(min_length=1)]
    scenario: Scenario = Field(default_factory=lambda: Scenario.model_validate({}))


@router.get("/searches/criteria")
def criteria(county: Here, user: Annotated[User, Depends(allow(*CHECK))]) -> dict[str, Any]:
    """By what candidates may be ranked, and how."""
    known = criteria_of(county.rulebook())
    named = [{"name": one.name, "zh": one.zh, "en": one.en, "better": one.better} for one in known]
    return {"methods": METHODS, "criteria": named}


@router.post("/searches")
def find(asked: SearchIn, county: Here, user: Annotated[User, Depends(allow(*CHECK))]) -> JSONResponse:
    """Ranked candidate sites; what fails hard is not ranked but counted by rule."""
    scope = county.scope(user)
    project = county.project(asked.project, asked.project_id, scope)
    with county.turn:
        found = search(
            county.store,
            project,
            county.rulebook(),
            county.store.at(),
            top=asked.top,
            ranking=asked.how,
            zones=None if scope.is_all else sorted(scope.names),
        )
    county.access.record(user.name, "search", project.key, f"{len(found['candidates'])} candidates")
    return JSONResponse(found)


@router.post("/plans", status_code=202)
def plan(asked: PlanIn, county: Here, user: Annotated[User, Depends(allow("planner"))]) -> JSONResponse:
    """A joint plan as a job; read it at its `Location`."""
    if len(asked.projects) > MOST_PROJECTS:
        raise TooLarge(f"{len(asked.projects)} projects are more than {MOST_PROJECTS}", most=MOST_PROJECTS)
    scope = county.scope(user)
    unknown: list[UnknownName] = []
    projects: list[Project] = []
    for one in asked.projects:
        try:
            projects.append(one if isinstance(one, Project) else Project.model_validate(scope.project(one)))
        except UnknownName as error:
            unknown.append(error)
    if unknown:
        raise UnknownName("; ".join(one.message for one in unknown), **unknown[0].facts)
    keys = [one.key for one in projects]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    faults = [Fault("the project stands twice", "Name each once", feature=key) for key in twice]
    if not faults:
        named = {"must": asked.scenario.must, "locks": asked.scenario.locks, "priorities": asked.scenario.priorities}
        faults = [
            Fault(f"there is no project {key!r} in this plan", "Correct the name", field=f"scenario.{row}.{key}")
            for row, some in named.items()
            for key in sorted(set(some) - set(keys))
        ]
    if faults:
        raise BadInput("the plan cannot be made", faults)
    zones = None if scope.is_all else sorted(scope.names)
    of_library = [one for one in asked.projects if isinstance(one, str)]
    job = county.plans.submit(projects, asked.scenario, user.name, zones, of_library)
    county.access.record(user.name, "plan", job["id"], f"{len(projects)} projects")
    return JSONResponse(_shown(job), 202, {"Location": f"/plans/{job['id']}"})


@router.get("/plans")
def read_all(
    county: Here,
    user: Annotated[User, Depends(allow(*READ))],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """The plans that are the user's to see, the newest first, without what came out."""
    found = []
    for job in county.plans.all():
        try:
            found.append(_brief(county.plan(job["id"], user)))
        except UnknownName:
            continue
        if len(found) == limit:
            break
    return {"plans": found}


@router.get("/plans/{plan_id}")
def read(plan_id: str, county: Here, user: Annotated[User, Depends(allow(*READ))]) -> dict[str, Any]:
    """How far a plan is, and what came out."""
    return _shown(county.plan(plan_id, user))


@router.get("/plans/{plan_id}/compare")
def compare(
    plan_id: str,
    other: Annotated[str, Query(alias="with", max_length=64)],
    county: Here,
    user: Annotated[User, Depends(allow(*READ))],
) -> dict[str, Any]:
    """Two plans that are done, side by side: who moved, what it is worth, what is bought."""
    return compared(county.plan(plan_id, user), county.plan(other, user))


@router.delete("/plans/{plan_id}")
def cancel(plan_id: str, county: Here, user: Annotated[User, Depends(allow("planner"))]) -> dict[str, Any]:
    """End a plan that is not done yet; one that is stays as it is."""
    county.plan(plan_id, user)
    found = county.plans.cancel(plan_id)
    county.access.record(user.name, "plan-cancel", plan_id, found["status"])
    return _shown(found)


@router.post("/plans/{plan_id}/adopt", status_code=201)
def adopt(plan_id: str, county: Here, user: Annotated[User, Depends(allow("planner"))]) -> JSONResponse:
    """Book a plan: ground, quota and capacity of every assignment, or nothing. What waits becomes an intention.

    A second time it answers 200 with the same reservations. 不构成供地承诺.
    """
    found, made = adopting.adopt(county, county.plan(plan_id, user), county.scope(user))
    return JSONResponse(found, 201 if made else 200, {"Location": f"/plans/{plan_id}"})


def _brief(job: dict[str, Any]) -> dict[str, Any]:
    kept = ("id", "status", "by", "created_at", "ended_at", "objective", "gap", "reason")
    counts = {name: len(job[name]) for name in ("assignments", "unplaced") if name in job}
    return {name: job[name] for name in kept if name in job} | counts | {"projects": len(job["asked"]["projects"])}


def _shown(job: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in job.items() if name not in ("process", "begun", "zones")}
