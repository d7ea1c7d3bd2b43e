"""Opinions on checks: how a reviewer closes a condition, on which document."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from api.answers import check_id as new_id
from api.auth import READ, allow
from api.county import County, county_of
from api.opinions import asker, refuse, remains
from api.recheck import book_of
from layers.access import User
from layers.errors import UnknownName
from layers.records import Strict

router = APIRouter(prefix="/checks", tags=["checks"])
Here = Annotated[County, Depends(county_of)]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class DocumentIn(Strict):
    """A document by number and date."""

    number: Text
    date: date


class OpinionIn(Strict):
    """`satisfied`: the condition is met by now; `overridden`: set aside for the reason; `maintained`: it stays."""

    rule: Annotated[str, Field(min_length=1, max_length=100, examples=["forest.land"])]
    decision: Literal["satisfied", "maintained", "overridden"]
    document: Annotated[Text | DocumentIn, Field(examples=["黔林审〔2026〕8号"])]
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]


@router.post("/{check_id}/opinions", status_code=201)
def create(check_id: str, said: OpinionIn, county: Here, user: Annotated[User, Depends(allow("reviewer"))]) -> Response:
    """Say of a failing or unknown finding what became of it. The verdict stays; never on a check of one's own."""
    check = county.scope(user).check(check_id)
    books = [county.rulebook()]
    with suppress(UnknownName):  # a check from before rulebooks were kept: today's book decides
        books.append(book_of(county.store.load("rulebook", check["rulebook_digest"])))
    refuse(check, said.rule, said.decision, user.name, asker(county.store, county.access, check_id), books)
    key = new_id()
    body = {
        "id": key,
        "check": check_id,
        **said.model_dump(mode="json"),
        "by": user.name,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    text = county.store.save("opinion", key, body)
    county.access.record(user.name, "opinion", f"{check_id} {said.rule}", said.decision)
    return Response(text, 201, {"Location": f"/checks/{check_id}/opinions"}, "application/json")


@router.get("/{check_id}/opinions")
def read_all(check_id: str, county: Here, user: Annotated[User, Depends(allow(*READ))]) -> dict[str, Any]:
    """The opinions on a check, the oldest first, and what they leave open."""
    check = county.scope(user).check(check_id)
    given = county.opinions.of(check_id)
    return {"check": check_id, "opinions": given, "remains": remains(check["findings"], given)}
