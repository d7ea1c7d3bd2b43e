"""The project library: its stages and procedures, one by one or as a file."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request, Response, UploadFile
from pydantic import Field

from api.answers import check_id
from api.auth import READ, allow
from api.county import County, county_of
from api.projects import checked, empty, take, wanted
from layers import library
from layers.access import User
from layers.errors import BadInput, Exists, Fault
from layers.library_writing import to_bytes
from layers.records import Project, Stage, Strict

router = APIRouter(prefix="/projects", tags=["projects"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]
Planner = Annotated[User, Depends(allow("planner"))]
MEDIA = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}


class Asked(Strict):
    """Which projects: of a stage, preferring a zone, with a word in their id, name or industry code."""

    stage: Stage | None = None
    zone: Annotated[str, Field(max_length=200)] | None = None
    q: Annotated[str, Field(max_length=200)] | None = None


class ImportForm(Strict):
    """The library as a file. `dry_run` only tells; `skip_faulty` stores the good rows although others are not."""

    file: UploadFile
    dry_run: bool = False
    skip_faulty: bool = False


@router.get("", response_model=None, responses={200: {"content": {"text/csv": {}}}})
def read_all(asked: Annotated[Asked, Query()], request: Request, county: Here, user: Reader) -> Any:
    """The projects of the library; as CSV where `Accept` says so."""
    found = wanted(county.scope(user).projects(), asked.stage, asked.zone, asked.q)
    if request.headers.get("accept", "").partition(";")[0].partition(",")[0].strip() == "text/csv":
        return _file(found, "csv")
    return {"projects": found}


@router.get("/export.{form}", response_class=Response)
def export(form: library.Form, asked: Annotated[Asked, Query()], county: Here, user: Reader) -> Response:
    """The library as a file that `POST /projects/import` takes back."""
    return _file(wanted(county.scope(user).projects(), asked.stage, asked.zone, asked.q), form)


@router.get("/template.xlsx", response_class=Response)
def template(county: Here, user: Reader) -> Response:
    """An empty library to fill in: headings, drop-downs, a sheet that explains each column."""
    return Response(empty(county.store), 200, {"Content-Disposition": _named("项目库模板.xlsx")}, MEDIA["xlsx"])


@router.post("", status_code=201)
def create(project: Project, county: Here, user: Planner) -> Response:
    """Add a project under its id (its name where it has none); 409 where there is one already."""
    body = checked(project, county.rulebook())
    county.scope(user).may_write(project.zone)
    with county.turn:
        if any(one["id"] == body["id"] for one in county.store.list("project")):
            raise Exists(f"there is a project {body['id']!r} already", project=body["id"])
        text = county.store.save("project", body["id"], body)
    county.access.record(user.name, "project", body["id"], "created")
    return Response(text, 201, {"Location": f"/projects/{quote(body['id'])}"}, "application/json")


@router.post("/import")
def bring_in(
    said: Annotated[ImportForm, Form(media_type="multipart/form-data")], county: Here, user: Planner
) -> dict[str, Any]:
    """Take a library in from XLSX, CSV or JSON: all rows or none, every faulty one named."""
    key = check_id()
    kept = county.inbox.keep(key, said.file.filename or "", said.file.file)
    try:
        with county.reading():
            return take(
                kept.path,
                county.store,
                county.rulebook(),
                lambda action, subject, outcome: county.access.record(user.name, action, subject, outcome),
                dry_run=said.dry_run,
                skip_faulty=said.skip_faulty,
                may=county.scope(user).faults,
            )
    finally:
        county.inbox.drop(key)


@router.get("/{project_id}")
def read(project_id: str, county: Here, user: Reader) -> dict[str, Any]:
    return county.scope(user).project(project_id)


@router.put("/{project_id}")
def write(project_id: str, project: Project, county: Here, user: Planner) -> dict[str, Any]:
    """Set a project of the library; its industry code must be one we know. Those who hold some zones only change
    what is there."""
    scope = county.scope(user)
    if not scope.is_all:
        scope.project(project_id)
    if project.id not in (None, project_id):
        raise BadInput("two ids", [Fault(f"the path says {project_id!r}", "Send the same id or none", field="id")])
    named = Project.model_validate({**project.model_dump(), "id": project_id})
    body = checked(named, county.rulebook())
    scope.may_write(named.zone)
    county.store.save("project", project_id, body)
    county.access.record(user.name, "project", project_id, "written")
    return body


def _file(found: list[dict[str, Any]], form: library.Form) -> Response:
    content = to_bytes([Project.model_validate(one) for one in found], form)
    return Response(content, 200, {"Content-Disposition": _named(f"项目库.{form}")}, MEDIA[form])


def _named(name: str) -> str:
    """A file name that is not ASCII, as RFC 6266 writes it."""
    return f"attachment; filename=\"projects.{name.rpartition('.')[2]}\"; filename*=UTF-8''{quote(name)}"
