"""The project library."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from api.auth import READ, allow
from api.county import County, county_of
from gis.needs import measure_needs
from layers.access import User
from layers.errors import BadInput, Fault
from layers.records import Project

router = APIRouter(prefix="/projects", tags=["projects"])


@router.get("")
def read_all(
    county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    """Every project of the library."""
    return {"projects": county.store.list("project")}


@router.get("/{project_id}")
def read(
    project_id: str, county: Annotated[County, Depends(county_of)], user: Annotated[User, Depends(allow(*READ))]
) -> dict[str, Any]:
    return county.store.load("project", project_id)


@router.put("/{project_id}")
def write(
    project_id: str,
    project: Project,
    county: Annotated[County, Depends(county_of)],
    user: Annotated[User, Depends(allow("planner"))],
) -> dict[str, Any]:
    """Set a project of the library; its industry code must be one we know."""
    if project.id not in (None, project_id):
        raise BadInput("two ids", [Fault(f"the path says {project_id!r}", "Send the same id or none", field="id")])
    measure_needs([project], county.rulebook())
    body = {**project.model_dump(mode="json", exclude_none=True), "id": project_id}
    county.store.save("project", project_id, body)
    county.access.record(user.name, "project", project_id, "written")
    return body
