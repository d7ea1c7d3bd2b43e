"""The map of a joint plan: every site in its project's colour, what waits marked, who is left out and why beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import geopandas as gpd
import shapely

from api import maps
from api.jobs import require_done
from api.mapstyle import PLAN_COLORS
from api.network_map import TITLES
from api.scope import Scope
from api.sheets import AROUND, around, lonlat, sheets
from layers.store import Store
from layers.units import mu

FIELDS = (
    ("number", "序号 No."),
    ("name", "项目 Project"),
    ("site", "用地 Site"),
    ("area_mu", "面积（亩） Area, mu"),
    ("approval_year", "批准 Approval"),
    ("production_year", "投产 Production"),
    ("value", "价值 Value"),
    ("waits", "待 Waits for"),
)
AROUND_M = 1_500.0
SHOWN = (
    "zones",
    "basic_farmland",
    "eco_redline",
    "rivers",
    "river_management",
    "roads",
    "substations",
    "water_sources",
)
TIGHTEST = 12  # pools shown beside the map, the fullest first


def plan_chart(
    store: Store,
    plan: Mapping[str, Any],
    scope: Scope | None = None,
    projects: Sequence[Mapping[str, Any]] = (),
    *,
    tiled: bool = False,
) -> maps.Chart:
    """The map of a plan that is done, with the projects it was `asked` for, else `projects`; Stale where it is not."""
    asked = plan.get("asked", {}).get("projects") or projects
    names = {one.get("id") or one.get("name"): one.get("name") or one.get("id") for one in asked}
    require_done(plan)
    rows = [_row(n, row, names) for n, row in enumerate(plan["assignments"], start=1)]
    frame = gpd.GeoDataFrame(rows, geometry="geometry", crs=store.crs) if rows else None
    own: list[maps.Sheet] = _ways(plan, store, names)
    beside: list[maps.Sheet] = []
    focus = None
    if frame is not None:
        focus = lonlat(frame)
        for n in range(len(focus)):
            mine = focus.iloc[n : n + 1]
            role, name = f"plan_{n % len(PLAN_COLORS)}", str(mine["name"].iloc[0])
            own.append(maps.Sheet(role, f"{n + 1} {name}", str(mine["project"].iloc[0]), mine, FIELDS))
        waiting = focus[focus["waits"] != ""]
        if len(waiting):
            own.append(
                maps.Sheet("plan_waits", "意向（待条件落实）", "Waits", waiting, (("waits", "待 Waits for"), *FIELDS))
            )
        box = around(shapely.box(*frame.total_bounds), AROUND_M)
        beside = _quiet(sheets(store, AROUND, box, scope=scope, tiled=tiled))
    else:
        beside = _quiet(sheets(store, AROUND, scope=scope, tiled=tiled))
    chart = maps.overview(f"{store.name} 联合选址方案 Joint plan", [*beside, *own], focus=focus)
    chart.plan = {
        **{name: plan.get(name) for name in ("id", "objective", "bound", "gap", "expansions", "notes")},
        "placed": [{**row, "extent": _extent(focus, n)} for n, row in enumerate(rows)],
        "unplaced": [{**row, "name": names.get(row["project"], row["project"])} for row in plan["unplaced"]],
        "pools": _tightest(plan["pools"]),
        "bill": plan.get("bill"),
    }
    return chart


WAY = (
    ("name", "类别 Utility"),
    ("users", "使用者 Users"),
    ("length", "长度 Length"),
)


def _ways(plan: Mapping[str, Any], store: Store, names: Mapping[Any, Any]) -> list[maps.Sheet]:
    """The ways of all connections, each stretch once; under them, broad, the stretches that several share."""
    bill = plan.get("bill") or {"stretches": []}
    rows = [
        {
            "utility": one["utility"],
            "name": " ".join(TITLES[one["utility"]]),
            "users": "、".join(_user(key, names) for key in one["users"]),
            "shared": len(one["users"]) > 1,
            "length": maps.text(one["length_m"], "m"),
            "geometry": shapely.geometry.shape(one["geometry"]),
        }
        for one in bill["stretches"]
    ]
    if not rows:
        return []
    frame = lonlat(gpd.GeoDataFrame(rows, geometry="geometry", crs=store.crs))
    found = [
        maps.Sheet(f"route_{utility}", zh, en, mine, WAY)
        for utility, (zh, en) in TITLES.items()
        if len(mine := frame[frame["utility"] == utility])
    ]
    shared = frame[frame["shared"]]
    return [maps.Sheet("plan_shared", "共用廊道", "Shared stretches", shared, WAY), *found] if len(shared) else found


def _user(key: str, names: Mapping[Any, Any]) -> str:
    project, _, part = key.partition("/")
    return " / ".join(filter(None, (str(names.get(project, project)), part)))


def _quiet(some: list[maps.Sheet]) -> list[maps.Sheet]:
    """The layers beneath, the busy ones off at first: the plan is what is looked at."""
    return [replace(one, shown=one.shown and one.role in SHOWN) for one in some]


def _row(number: int, row: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    site = row["site"]
    return {
        "number": number,
        "name": " / ".join(filter(None, (str(names.get(row["project"], row["project"])), row.get("component")))),
        "project": row["project"],
        "site": site["name"],
        "area_mu": float(mu(site["area_m2"])),
        "approval_year": row["approval_year"],
        "production_year": row["production_year"],
        "value": row["value"],
        "waits": "、".join(row["waits_for"]),
        "geometry": shapely.geometry.shape(site["geometry"]),
    }


def _extent(frame: gpd.GeoDataFrame | None, row: int) -> str:
    assert frame is not None
    return ",".join(f"{edge:.6f}" for edge in frame.geometry.iloc[row].bounds)


def _tightest(pools: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pools that are used most, by share of what they hold."""
    used = [{**one, "share": one["used"] / one["balance"]} for one in pools if one["balance"] > 0 and one["used"] > 0]
    return sorted(used, key=lambda one: -one["share"])[:TIGHTEST]
