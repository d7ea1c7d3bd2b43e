"""Who may do what: every route of the service, one line each. A route without a line fails the build.

`Row(method, path, roles)`; `body` is what is sent where a role may (a form where it is `FORM`), `well` what may come
back then beside 200, 201 and 202. Path parameters are filled in by `REAL` of test_access_table.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from layers.access import ROLES

FORM: dict[str, Any] = {}  # a form that lacks its file: 422 for those who may
OPEN = "open"  # everybody, without a key
READ = "viewer consumer planner reviewer auditor"
CHECK = "consumer planner reviewer"
EVERYBODY = " ".join(ROLES)


class Row(NamedTuple):
    """Who may call a route."""

    method: str
    path: str
    roles: str
    body: Any = None
    well: tuple[int, ...] = ()


SITE = {"parcels": ["{parcel_id}"]}
PROJECT = {"name": "精制茶", "land_m2": 8000, "zone": "{zone_id}"}
OPINION = {"rule": "quota.cultivated", "decision": "satisfied", "document": "试字2号", "reason": "已落实"}
CASE = {
    "check": "{check_id}",
    "decision": "refused",
    "document": "试字3号",
    "decided_on": "2026-01-01",
    "statement": "不同意",
}
RESERVATION = {"project_id": "{project_id}", "site": SITE, "intended": True}
GRANT = {"event": "grant", "amount": 5, "document": {"number": "试字5号", "date": "2026-01-01"}}
TABLE = (
    Row("GET", "/", OPEN),
    Row("GET", "/workbench.json", READ),
    Row("GET", "/docs", OPEN),
    Row("GET", "/openapi.json", OPEN),
    Row("GET", "/problems/{slug}", OPEN),
    Row("GET", "/favicon.ico", OPEN, well=(404,)),
    Row("GET", "/static", OPEN, well=(404,)),
    Row("GET", "/healthz", OPEN),
    Row("GET", "/readyz", OPEN),
    Row("GET", "/metrics", OPEN),
    Row("GET", "/whoami", EVERYBODY),
    Row("GET", "/checks", READ),
    Row("POST", "/checks", CHECK, {"project_id": "{project_id}", "site": SITE}),
    Row("POST", "/checks/batch", CHECK, {"project_id": "{project_id}", "sites": [SITE]}),
    Row("GET", "/checks/{check_id}", READ),
    Row("POST", "/checks/{check_id}/recheck", READ),
    Row("GET", "/checks/{check_id}/connections", READ),
    Row("GET", "/checks/{check_id}/report.geojson", READ),
    Row("GET", "/checks/{check_id}/report.xlsx", READ),
    Row("GET", "/checks/{check_id}/report.{kind}", READ),
    Row("GET", "/checks/{check_id}/opinions", READ),
    Row("POST", "/checks/{check_id}/opinions", "reviewer", OPINION, well=(422,)),  # nothing is open on that check
    Row("GET", "/projects", READ),
    Row("POST", "/projects", "planner", {**PROJECT, "id": "{new}"}),
    Row("POST", "/projects/import", "planner", FORM, well=(422,)),
    Row("GET", "/projects/export.{form}", READ),
    Row("GET", "/projects/template.xlsx", READ),
    Row("GET", "/projects/{project_id}", READ),
    Row("PUT", "/projects/{project_id}", "planner", PROJECT),
    Row("GET", "/parcels", READ),
    Row("POST", "/parcels", "reviewer", {}, well=(422,)),
    Row("POST", "/parcels/merge", "reviewer", {}, well=(422,)),
    Row("POST", "/parcels/restore", "reviewer", {}, well=(422,)),
    Row("GET", "/parcels/{parcel_id}", READ),
    Row("GET", "/parcels/{parcel_id}/history", READ),
    Row("GET", "/parcels/{parcel_id}/sheet.pdf", READ),
    Row("POST", "/sheets", READ, {"parcels": ["{parcel_id}"], "points": False}),
    Row("POST", "/parcels/{parcel_id}/split", "reviewer", {}, well=(422,)),
    Row("POST", "/parcels/{parcel_id}/adjust", "reviewer", {}, well=(422,)),
    Row("POST", "/parcels/{parcel_id}/retire", "reviewer", {}, well=(422,)),
    Row("GET", "/layers", READ),
    Row("GET", "/places?name=茶", READ),
    Row("GET", "/identify?lon=108.6&lat=28.0", READ),
    Row("POST", "/layers/{role}", "reviewer", FORM, well=(422,)),
    Row("GET", "/layers/{role}/versions", READ),
    Row("GET", "/layers/{role}/diff", READ, well=(404, 422)),  # there is one version only
    Row("GET", "/imports", READ),
    Row("GET", "/imports/{key}", READ, well=(404,)),
    Row("POST", "/imports/{key}/approve", "reviewer", well=(404,)),
    Row("POST", "/imports/{key}/reject", "reviewer", {"reason": "旧"}, well=(404,)),
    Row("POST", "/uploads", CHECK, FORM, well=(422,)),
    Row("GET", "/uploads/{upload_id}", CHECK),
    Row("GET", "/maps/overview", READ),
    Row("GET", "/maps/zones/{zone_id}", READ),
    Row("GET", "/maps/parcels/{parcel_id}", READ),
    Row("GET", "/maps/checks/{check_id}", READ),
    Row("GET", "/maps/plans/{plan_id}", READ, well=(409,)),  # perhaps not done yet
    Row("GET", "/maps/layers/{role}/diff", READ, well=(404, 422)),
    Row("GET", "/tiles/{role}.json", READ),
    Row("GET", "/tiles/{role}/{z}/{x}/{y}.mvt", READ),
    Row("GET", "/tiles/{picture}/{z}/{x}/{y}.png", READ),
    Row("GET", "/network/report", READ),
    Row("POST", "/connections", CHECK, {"project_id": "{project_id}", "site": SITE}),
    Row("GET", "/outlook", READ),
    Row("GET", "/outlook.html", READ),
    Row("GET", "/outlook.xlsx", READ),
    Row("GET", "/searches/criteria", CHECK),
    Row("POST", "/searches", CHECK, {"project_id": "{project_id}", "top": 1}),
    Row("POST", "/plans", "planner", {"projects": ["{project_id}"], "scenario": {"time_limit_s": 5}}, well=(202,)),
    Row("GET", "/plans", READ),
    Row("GET", "/plans/{plan_id}", READ),
    Row("GET", "/plans/{plan_id}/compare?with={plan_id}", READ, well=(409,)),  # perhaps not done yet
    Row("POST", "/plans/{plan_id}/adopt", "planner", well=(409, 422)),  # not done yet, or it places nobody
    Row("DELETE", "/plans/{plan_id}", "planner"),
    Row("GET", "/plans/{plan_id}/report.{kind}", READ, well=(409,)),  # perhaps not done yet
    Row("GET", "/public", OPEN),
    Row("GET", "/public/cases", OPEN),
    Row("POST", "/public/cases", "reviewer", CASE, well=(403, 409)),  # of one's own check, or decided already
    Row(
        "POST",
        "/public/cases/{key}/withdrawals",
        "reviewer",
        {"document": "试字4号", "reason": "撤回"},
        well=(404,),
    ),
    Row("GET", "/quotas", READ),
    Row("GET", "/quotas/report", READ),
    Row("GET", "/quotas/{account:path}", READ),
    Row("POST", "/quotas/{account:path}/entries", "reviewer", GRANT),
    Row("GET", "/ledger/entries", READ),
    Row("GET", "/ledger/verify", READ),
    Row("GET", "/reservations", READ),
    Row("POST", "/reservations", "planner", RESERVATION),
    Row("GET", "/reservations/{reservation_id}", READ),
    Row("GET", "/reservations/{reservation_id}/entries", READ),
    Row("POST", "/reservations/{reservation_id}/transitions", "planner reviewer", {"event": "extend"}, well=(403,)),
    Row("GET", "/supply", READ),
    Row("GET", "/users", "system_admin security_admin auditor"),
    Row("POST", "/users", "system_admin", {"name": "{new}"}),
    Row("POST", "/users/{name}/role", "security_admin", {"role": "viewer"}),
    Row("POST", "/users/{name}/disable", "system_admin security_admin"),
    Row("POST", "/users/{name}/keys", "system_admin", well=(403,)),  # of somebody else, who has one: refused
    Row("DELETE", "/users/{name}/keys/{prefix}", "security_admin", well=(404,)),
    Row("GET", "/audit", "auditor"),
    Row("GET", "/audit/verify", "auditor"),
)
