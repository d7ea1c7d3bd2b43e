"""Quota and capacity accounts: what each has, and the entries that change it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response

from api import books
from api.auth import READ, allow
from api.county import County, county_of
from layers.access import User

router = APIRouter(prefix="/quotas", tags=["ledger"])
Here = Annotated[County, Depends(county_of)]
Reader = Annotated[User, Depends(allow(*READ))]
Reviewer = Annotated[User, Depends(allow("reviewer"))]
AsOf = Annotated[date | None, Query(description="By the end of this day; default: now")]
OnceKey = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]


@router.get("")
def read_all(
    county: Here,
    user: Reader,
    unit_code: Annotated[str | None, Query(max_length=100, description="County, town or zone; or a facility")] = None,
    year: Annotated[int | None, Query(ge=2000, le=2100, description="Origin year")] = None,
    kind: Annotated[str | None, Query(max_length=40)] = None,
    as_of: AsOf = None,
) -> dict[str, Any]:
    """Accounts with their balances by state."""
    sees = county.scope(user).account
    return books.balances(county.store.ledger, sees=sees, unit_code=unit_code, year=year, kind=kind, as_of=as_of)


@router.get("/report")
def report(
    county: Here, user: Reader, year: Annotated[int | None, Query(ge=2000, le=2100, description="Origin year")] = None
) -> dict[str, Any]:
    """指标台账: 下达, 预支, 已用 (批次, 单独选址), 冻结, 结余, 结转 by year, unit and kind."""
    return books.report(county.store.ledger, year, sees=county.scope(user).account)


@router.post("/{account:path}/entries", status_code=201)
async def enter(
    account: str, asked: books.EntryIn, county: Here, user: Reviewer, idempotency_key: OnceKey = None
) -> Response:
    """下达, 分解, 调剂, 结转, 预支, 预支清偿, 收回, 冲正: an entry on a document."""
    ready = books.enter(account, asked, user.name, idempotency_key)
    text = await books.written(county.store.ledger, ready, county.access, user.name)
    return Response(text, 201, media_type="application/json")


@router.get("/{account:path}")
def read(account: str, county: Here, user: Reader, as_of: AsOf = None) -> dict[str, Any]:
    """One account, for example `quota/520625/2026/new_construction` or `capacity/SUB-1/power_kva`."""
    return books.one_balance(county.store.ledger, account, as_of, sees=county.scope(user).account)
