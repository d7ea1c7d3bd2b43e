"""The audit log, for the auditor alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from api.auth import allow
from api.county import County, county_of
from api.witness import audit_seen
from layers.access import User

router = APIRouter(prefix="/audit", tags=["access"])
Here = Annotated[County, Depends(county_of)]
Auditor = Annotated[User, Depends(allow("auditor"))]
Word = Annotated[str | None, Query(max_length=200)]


@router.get("")
def read_all(
    county: Here,
    user: Auditor,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    actor: Word = None,
    action: Word = None,
    subject: Word = None,
) -> dict[str, Any]:
    """Rows after a number, in order; `next` is what to send as `after` for the rest."""
    rows = county.access.audit(after, limit, actor=actor, action=action, subject=subject)
    return {"entries": rows, "next": rows[-1]["seq"] if len(rows) == limit else None}


@router.get("/verify")
def verify(county: Here, user: Auditor) -> dict[str, Any]:
    """Whether every row is there and as it was written. `head`, kept elsewhere, proves later that none was cut off."""
    chain = county.access.verify(audit_seen(county.store))
    return {"holds": chain.holds, **asdict(chain)}
