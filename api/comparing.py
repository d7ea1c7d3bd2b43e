"""Two plans side by side: who moved, why one is worth more, what it costs."""

from __future__ import annotations

from typing import Any

from api.jobs import require_done


def compared(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """What `other` does differently from `one`. Stale where either is not done.

    `moved` holds the projects whose site or year differs, each with the reasons where it is not placed.
    """
    for plan in (one, other):
        require_done(plan)
    first, second = _by_project(one), _by_project(other)
    moved = [
        {"project": key, "from": first.get(key), "to": second.get(key)}
        for key in sorted(first.keys() | second.keys())
        if _place(first.get(key)) != _place(second.get(key))
    ]
    return {
        "plans": [one["id"], other["id"]],
        "objective": [one["objective"], other["objective"]],
        "bound": [one["bound"], other["bound"]],
        "placed": [sum(row["component"] is None for row in plan["assignments"]) for plan in (one, other)],
        "expansions": [[built["name"] for built in plan["expansions"]] for plan in (one, other)],
        "cost_wan": [_cost(plan, "total_wan") for plan in (one, other)],
        "connection_wan": [_cost(plan, "connection_wan", "shared") for plan in (one, other)],
        "saving_wan": [_cost(plan, "connection_wan", "saving") for plan in (one, other)],
        "scenario": {
            name: [one["scenario"][name], other["scenario"][name]]
            for name in one["scenario"]
            if one["scenario"][name] != other["scenario"].get(name)
        },
        "moved": moved,
    }


def _cost(plan: dict[str, Any], *path: str) -> float | None:
    """What a plan says it costs; None for one from before there were bills."""
    found: Any = plan.get("bill")
    for name in path:
        found = None if found is None else found[name]
    return None if found is None else float(found)


def _by_project(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {
        "/".join(filter(None, (row["project"], row["component"]))): {
            "site": row["site"]["name"],
            "approval_year": row["approval_year"],
            "value": row["value"],
            "served_by": row.get("served_by", {}),
        }
        for row in plan["assignments"]
    }
    return found | {row["project"]: {"site": None, "reasons": row["reasons"]} for row in plan["unplaced"]}


def _place(row: dict[str, Any] | None) -> Any:
    return None if row is None else (row["site"], row.get("approval_year"))
