"""New layer versions: one reviewer sends the file, another looks at what was read of it and lets it in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import Field

from api.answers import check_id
from api.auth import READ, allow
from api.county import County, county_of
from api.imports import ImportIn, read_layer, report
from layers.access import User
from layers.errors import Refused, Stale
from layers.records import Layer, Strict
from layers.schema import role as role_of

router = APIRouter(tags=["layers"])
Here = Annotated[County, Depends(county_of)]
Reviewer = Annotated[User, Depends(allow("reviewer"))]
Reader = Annotated[User, Depends(allow(*READ))]


class ImportForm(ImportIn):
    """The file, and what it does not say itself."""

    file: UploadFile


class Decision(Strict):
    """Why an import is turned down; the one who sent it reads this."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


@router.post("/layers/{role}", status_code=202)
def create(
    role: str, said: Annotated[ImportForm, Form(media_type="multipart/form-data")], county: Here, user: Reviewer
) -> Response:
    """Read a file as a layer of the role; it is stored when a second reviewer approves it (`/imports/{id}/approve`)."""
    role_of(role)
    options = ImportIn.model_validate(said.model_dump(exclude={"file"}))
    key, name = check_id(), said.file.filename or ""
    kept = county.inbox.keep(key, name, said.file.file)
    try:
        with county.reading():
            prepared = read_layer(kept.path, role, county.store, options)
    except BaseException:
        county.inbox.drop(key)
        raise
    body = {
        "id": key,
        "state": "pending",
        "file": kept.path.name,
        "sha256": kept.sha256,
        "size_bytes": kept.size_bytes,
        "options": options.model_dump(mode="json", exclude_none=True),
        "report": report(prepared, prepared.layer, extent_given=options.extent is not None),
        "by": user.name,
        "at": _now(),
    }
    text = county.store.save("import", key, body)
    county.access.record(user.name, "import", f"{key} {role}", "pending")
    return Response(text, 202, {"Location": f"/imports/{key}"}, "application/json")


@router.get("/imports")
def read_all(county: Here, user: Reader) -> dict[str, Any]:
    """Every import that was sent, the latest first."""
    return {"imports": sorted(county.store.list("import"), key=lambda one: str(one["id"]), reverse=True)}


@router.get("/imports/{key}")
def read(key: str, county: Here, user: Reader) -> dict[str, Any]:
    """One import: what was read of the file, who sent it, who decided."""
    return county.store.load("import", key)


@router.post("/imports/{key}/approve")
def approve(key: str, county: Here, user: Reviewer) -> JSONResponse:
    """Store what was read as a new version beside the older ones. Never one's own import."""
    county.store.load("import", key)
    with county.inbox.turn(key):
        body = _pending(key, county, user)
        options = ImportIn.model_validate(body["options"])
        with county.reading():
            prepared = read_layer(county.inbox.find(key, body["file"]), body["report"]["role"], county.store, options)
        if prepared.layer.digest != body["report"]["digest"]:
            raise Stale("the file does not read as it did when it was sent; reject it and send it again")
        # named in the layer's own row: should this process end between the two writes, the next one sees it is done
        named = replace(prepared.layer, found={**prepared.layer.found, "import": key})
        layer = _stored(county, body) or county.store.put(
            replace(prepared, layer=named), by=body["by"], approved_by=user.name
        )
        told = report(prepared, layer, extent_given=options.extent is not None)
        done = {**body, "state": "stored", "layer": layer.label, "report": told, **_decided(user)}
        county.store.save("import", key, done)
    county.access.record(user.name, "import", f"{key} {layer.label}", "stored")
    return JSONResponse(done)


@router.post("/imports/{key}/reject")
def reject(key: str, said: Decision, county: Here, user: Reviewer) -> JSONResponse:
    """Turn an import down, with the reason. One's own may be taken back, too."""
    county.store.load("import", key)
    with county.inbox.turn(key):
        body = _pending(key, county, None)
        done = {**body, "state": "rejected", "reason": said.reason, **_decided(user)}
        county.store.save("import", key, done)
    county.access.record(user.name, "import", f"{key} {body['report']['role']}", "rejected")
    return JSONResponse(done)


def _pending(key: str, county: County, approver: User | None) -> dict[str, Any]:
    """The import as it is now that nobody else can decide on it. The file stays kept whatever is decided."""
    body = county.store.load("import", key)
    if approver is None and _stored(county, body) is not None:
        raise Stale("this import is stored already; approve it to say so")
    if body["state"] != "pending":
        raise Stale(f"this import is {body['state']} already, by {body['decided_by']}")
    if approver is not None and approver.name == body["by"]:
        raise Refused("a second person approves an import; this one is your own")
    return body


def _stored(county: County, body: dict[str, Any]) -> Layer | None:
    """The layer version this import has become, though nobody wrote down that it has."""
    role = body["report"]["role"]
    known = [one for one in county.store.layers() if one.role == role] and county.store.versions(role)
    return next((one for one in known if one.found.get("import") == body["id"]), None)


def _decided(user: User) -> dict[str, str]:
    return {"decided_by": user.name, "decided_at": _now()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
