"""Errors as RFC 9457 `application/problem+json`. The only file that knows both our errors and HTTP."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from api.wording import both, fault_row, field_zh, pointer
from layers.access import scrub
from layers.errors import (
    BadInput,
    Busy,
    CapacityShort,
    Exists,
    GroundTaken,
    IllegalTransition,
    KeyReused,
    NeedCrs,
    NeedSeen,
    NoRoom,
    NotInstalled,
    ParkError,
    QuotaShort,
    Refused,
    Stale,
    StoreBroken,
    TooLarge,
    UnknownName,
    Unreachable,
)

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 100  # of a request with thousands of faults, enough to see what is wrong

# slug: (status, title zh, title en, what to do)
PROBLEMS: dict[str, tuple[int, str, str, str]] = {
    "invalid-request": (
        422,
        "请求内容有误",
        "The request is not valid",
        "Correct every field named in `errors` and send it again.",
    ),
    "bad-input": (
        422,
        "输入数据无法使用",
        "The input cannot be used",
        "Correct what `errors` names; each entry says how.",
    ),
    "crs-needed": (
        422,
        "缺少坐标系",
        "The coordinate reference system is missing",
        "Say `crs`, for example EPSG:4545, or send lon/lat.",
    ),
    "not-found": (404, "没有这个对象", "There is no such thing", "Check the id; another zone's ids answer the same."),
    "unauthorized": (401, "需要有效的密钥", "A valid key is needed", "Send `Authorization: Bearer <key>`."),
    "forbidden": (403, "没有权限", "Your role may not do this", "Ask somebody with the role named in `detail`."),
    "too-many-tries": (
        429,
        "尝试次数过多",
        "Too many wrong keys",
        "Try again after `Retry-After` seconds, with the right key.",
    ),
    "stale": (409, "内容已被他人更改", "Somebody was faster", "Read it again and decide on what it is now."),
    "ground-taken": (
        409,
        "地块已被占用",
        "The ground is held already",
        "Choose other ground, or wait until `reservation` ends; neighbours may share an edge.",
    ),
    "quota-short": (
        409,
        "指标不足",
        "The quota is short",
        "`account` lacks `needed` - `available`; have more entered (下达、调剂), or name another unit in charge_to.",
    ),
    "capacity-short": (
        409,
        "设施容量不足",
        "The capacity is short",
        "`account` lacks `needed` - `available`; ask for less, or wait for an expansion.",
    ),
    "illegal-transition": (
        422,
        "状态不允许该操作",
        "It is not possible in this state",
        "`legal` names what is possible from `state`.",
    ),
    "idempotency-key-reused": (
        422,
        "幂等键已用于其他请求",
        "The Idempotency-Key was used for another request",
        "Send a new key with a new request; the same key repeats the first one.",
    ),
    "precondition-required": (
        428,
        "缺少 If-Match",
        "If-Match is missing",
        "Read it, and send its `ETag` as `If-Match`.",
    ),
    "exists": (409, "已经存在", "It exists already", "Change the one that exists, or choose another id."),
    "too-large": (413, "请求过大", "The request is too large", "Send fewer sites or a simpler boundary."),
    "busy": (503, "服务繁忙", "The service is busy", "Try again after `Retry-After` seconds."),
    "no-room": (
        507,
        "磁盘空间不足",
        "The disk is full",
        "Nothing was done. Tell the operator; ask again, with the same Idempotency-Key, after `Retry-After` seconds.",
    ),
    "unreachable": (
        503,
        "数据库暂时无法访问",
        "The database does not answer",
        "Try again, with the same Idempotency-Key, after `Retry-After` seconds.",
    ),
    "store-broken": (
        503,
        "县级数据文件无法读取",
        "The county file cannot be read",
        "Tell the operator; `parkplan doctor` names the fault.",
    ),
    "not-installed": (
        503,
        "本机缺少所需组件",
        "This machine lacks what the answer needs",
        "Tell the operator; `detail` names what to install.",
    ),
    "method-not-allowed": (405, "不支持该方法", "The method is not allowed here", "See /docs."),
    "malformed": (
        400,
        "请求无法解析",
        "The request cannot be parsed",
        "Send well-formed JSON, UTF-8, not nested deeper than 100.",
    ),
    "internal": (500, "服务内部错误", "Something went wrong here", "Tell the operator the `instance` of this answer."),
}
LATER = {slug: {"Retry-After": seconds} for slug, seconds in (("busy", "5"), ("unreachable", "5"), ("no-room", "30"))}
SLUGS: tuple[tuple[type[ParkError], str], ...] = (
    (NeedCrs, "crs-needed"),
    (IllegalTransition, "illegal-transition"),
    (KeyReused, "idempotency-key-reused"),
    (BadInput, "bad-input"),
    (UnknownName, "not-found"),
    (Refused, "forbidden"),
    (TooLarge, "too-large"),
    (Stale, "stale"),
    (NeedSeen, "precondition-required"),
    (GroundTaken, "ground-taken"),
    (QuotaShort, "quota-short"),
    (CapacityShort, "capacity-short"),
    (Exists, "exists"),
    (Busy, "busy"),
    (NotInstalled, "not-installed"),
    (NoRoom, "no-room"),
    (Unreachable, "unreachable"),
    (StoreBroken, "store-broken"),
)


def problem(
    slug: str, detail: str, facts: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """What is wrong and what to do, in two languages; `facts` never hide the standard's own members."""
    status, zh, en, fix = PROBLEMS[slug]
    body: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": en,
        "title_zh": zh,
        "status": status,
        **both("detail", detail),
        **both("fix", fix),
    }
    return JSONResponse(
        _scrubbed({**(facts or {}), **body}), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def _scrubbed(value: Any) -> Any:
    """What is told, without the keys that somebody put where an id belongs."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {name: _scrubbed(one) for name, one in value.items()}
    return [_scrubbed(one) for one in value] if isinstance(value, list) else value


def install(app: FastAPI) -> None:
    """Answer every error of this application as a problem."""

    @app.exception_handler(ParkError)
    async def park_error(request: Request, error: ParkError) -> Response:
        slug = next((name for kind, name in SLUGS if isinstance(error, kind)), "internal")
        if slug in ("internal", "store-broken", "no-room", "unreachable"):
            log.error("%s %s: %s", request.method, scrub(request.url.path), error, exc_info=error)
        facts: dict[str, Any] = {k: v for k, v in error.facts.items() if isinstance(v, (str, int, float, bool))}
        if isinstance(error, BadInput):
            facts["errors"] = [fault_row(fault) for fault in error.faults[:MOST_FAULTS]]
        return problem(slug, error.message, facts, LATER.get(slug))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            return problem("malformed", "the body is not JSON")
        return _invalid(error.errors())

    @app.exception_handler(ValidationError)
    async def invalid_record(request: Request, error: ValidationError) -> Response:
        return _invalid(error.errors(include_url=False, include_input=False))

    @app.exception_handler(UnicodeEncodeError)
    async def no_text(request: Request, error: UnicodeEncodeError) -> Response:
        return problem("malformed", "a text holds half a character (a lone surrogate), which is no Unicode")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        slug = {401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}
        slug[429] = "too-many-tries"
        chosen = slug.get(error.status_code, "malformed" if error.status_code < 500 else "internal")
        return problem(chosen, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def internal(request: Request, error: Exception) -> Response:
        instance = secrets.token_hex(6)
        log.error("%s %s (%s)", request.method, scrub(request.url.path), instance, exc_info=error)
        return problem("internal", "the fault was written to the service's log", {"instance": instance})


def _invalid(faults: Any) -> Response:
    errors = [
        {
            "field": ".".join(str(step) for step in fault["loc"] if step != "body"),
            **_place(fault["loc"]),
            "reason": fault["msg"],
            "reason_zh": field_zh(fault["type"], fault.get("ctx") or {}, fault["msg"]),
        }
        for fault in faults[:MOST_FAULTS]
    ]
    count = len(faults)
    said = "1 field is not valid" if count == 1 else f"{count} fields are not valid"
    return problem("invalid-request", said, {"errors": errors})


def _place(steps: Sequence[int | str]) -> dict[str, str]:
    """Where a fault lies, as RFC 9457 has it: a pointer into the body, or the name of a parameter."""
    if steps and steps[0] in ("query", "path", "header", "cookie"):
        return {"parameter": str(steps[-1])}
    return {"pointer": pointer(steps[1:] if steps and steps[0] == "body" else steps)}
