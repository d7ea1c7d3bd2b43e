"""政务公开: what anybody may see without a key. A drawing too coarse to measure on, and the cases that were decided.

Nothing here says a parcel, a coordinate, a project's name or a person's: the drawing has its corners on a lattice of
100 m whose origin is not told, a case its trade, its zone and its area to a tenth of a hectare. What is public is
published by a reviewer, and withdrawn by a further document; nothing is ever deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import numpy as np
import shapely
from pydantic import Field

from api.answers import check_id
from gis.rules import Rulebook
from layers.access import User
from layers.errors import BadInput, Exists, Fault, Refused, UnknownName
from layers.records import Industry, Strict
from layers.schema import roles
from layers.store import Store

COARSE_M = 100.0
CASE, WITHDRAWAL = "public_case", "public_withdrawal"
NEVER = ("basic_farmland", "eco_redline")  # what no decision can agree to
PERSONAL = re.compile(r"(?<!\d)(1[3-9]\d{9}|\d{17}[\dXx])(?!\d)")  # a mobile number, an identity number
Text = Annotated[str, Field(min_length=1, max_length=200)]


class CaseIn(Strict):
    """A decided case: the check it rests on, and the document it was decided by."""

    check: Text
    decision: Literal["agreed", "refused"]
    document: Text
    decided_on: date
    statement: Annotated[str, Field(min_length=1, max_length=2_000)]


class WithdrawalIn(Strict):
    """Why a published case no longer holds, and by which document."""

    document: Text
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


def drawing(store: Store) -> dict[str, Any]:
    """The county and its park zones on a lattice of 100 m, as SVG paths in whole units of it, north up."""
    layers = {layer.role: layer for layer in store.layers()}
    if "zones" not in layers:
        raise UnknownName("no layer of park zones is loaded", role="zones")
    frame = store.frame("zones")
    outline = layers.get("land_use", layers["zones"]).extent
    shapes = _coarse(np.array([outline, *frame.geometry], dtype=object))
    west, south, east, north = shapely.total_bounds(shapes)
    names = frame["name"] if "name" in frame else frame["id"]
    placed = shapely.transform(shapes, lambda xy: np.column_stack((xy[:, 0] - west, north - xy[:, 1])) / COARSE_M)
    return {
        "width": round((east - west) / COARSE_M),
        "height": round((north - south) / COARSE_M),
        "outline": _path(placed[0]),
        "zones": [
            {"name": str(name), "path": _path(shape), **_label(shape)}
            for name, shape in zip(names, placed[1:], strict=True)
            if not shape.is_empty
        ],
        "synthetic": any(layer.synthetic for layer in layers.values()),
    }


def _coarse(shapes: Any) -> Any:
    return shapely.set_precision(shapely.simplify(shapes, COARSE_M), COARSE_M)


def _path(shape: shapely.Geometry) -> str:
    rings = shapely.get_rings(shapely.get_parts(shape))
    return "".join(
        "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in shapely.get_coordinates(one)[:-1]) + "Z" for one in rings
    )


def _label(shape: shapely.Geometry) -> dict[str, int]:
    point = shapely.point_on_surface(shape)
    return {"x": round(point.x), "y": round(point.y)}


def publish(
    store: Store, book: Rulebook, check: Mapping[str, Any], asker: str | None, asked: CaseIn, by: User, today: date
) -> dict[str, Any]:
    """A case for the public on a check, kept as a document. Never by the one who asked the check."""
    if asker == by.name:
        raise Refused("whoever asked a check does not publish its decision", check=asked.check)
    faults = []
    if asked.decided_on > today:
        faults.append(Fault("it is decided on a day to come", "Publish it when it is decided", field="decided_on"))
    for name in ("statement", "document"):
        if PERSONAL.search(getattr(asked, name)):
            faults.append(Fault("it holds a number of a person", "Take telephone and identity numbers out", field=name))
    if asked.decision == "agreed" and (standing := _stands_against(check)):
        reason = f"the check fails {', '.join(standing)}, which no decision lifts"
        faults.append(Fault(reason, "Refuse it, or check other ground", field="decision"))
    if faults:
        raise BadInput("the case cannot be published", faults)
    if any(one["check"] == asked.check and one["withdrawn"] is None for one in _all(store)):
        raise Exists("the decision on this check is public already; withdraw it first", check=asked.check)
    case = {
        "id": check_id(),
        **asked.model_dump(mode="json"),
        "industry": _industry(book, check["project"].get("industry")),
        "zones": _zone_names(store, [one["zone"] for one in check["site"]["zones"]]),
        "area_ha": round(check["site"]["area_m2"] / 1e4, 1),
        "verdict": check["verdict"],
        "conclusion": check["conclusion"],
        "by": by.name,
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    store.save(CASE, case["id"], case)
    return shown({**case, "withdrawn": None})


def withdraw(store: Store, case_id: str, asked: WithdrawalIn, by: User) -> dict[str, Any]:
    """A further document that takes a case back; both stay public."""
    case = store.load(CASE, case_id)
    if any(one["case"] == case_id for one in store.list(WITHDRAWAL)):
        raise Exists("the case is withdrawn already", case=case_id)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    taken = {"case": case_id, **asked.model_dump(mode="json"), "by": by.name, "at": now}
    store.save(WITHDRAWAL, case_id, taken)
    return shown({**case, "withdrawn": taken})


def cases(store: Store) -> list[dict[str, Any]]:
    """Every case that was ever published, the latest decision first."""
    found = sorted(_all(store), key=lambda one: (one["decided_on"], one["published_at"]), reverse=True)
    return [shown(one) for one in found]


def _all(store: Store) -> list[dict[str, Any]]:
    taken = {one["case"]: one for one in store.list(WITHDRAWAL)}
    return [{**one, "withdrawn": taken.get(one["id"])} for one in store.list(CASE)]


def shown(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the public sees of a case: no user, no project, no check."""
    kept = ("id", "decision", "document", "decided_on", "statement", "industry", "zones", "area_ha", "verdict")
    taken = case["withdrawn"]
    return {
        **{name: case[name] for name in kept},
        "conclusion": case["conclusion"],
        "published_on": case["published_at"][:10],
        "withdrawn": None
        if taken is None
        else {"document": taken["document"], "reason": taken["reason"], "on": taken["at"][:10]},
    }


def _industry(book: Rulebook, said: Mapping[str, str] | None) -> dict[str, str] | None:
    """The trade in words; a class that the table does not hold is called by its group."""
    if said is None:
        return None
    digits, rows = Industry.model_validate(said).digits, book.tables["industries"].set_index("code")
    code = next((one for one in (digits, digits[:3], digits[:2]) if one in rows.index), None)
    zh, en = ("", "") if code is None else (str(rows.at[code, name]) for name in ("name_zh", "name_en"))
    return {"code": said["code"], "name_zh": zh, "name_en": en}


def _zone_names(store: Store, ids: list[str]) -> list[str]:
    if not ids:
        return []
    frame = store.frame("zones", ids=ids)
    names = dict(zip(frame["id"], frame["name"] if "name" in frame else frame["id"], strict=True))
    return [str(names.get(one) or one) for one in ids]


def _stands_against(check: Mapping[str, Any]) -> list[str]:
    failed = (one for one in check["findings"] if one["status"] == "fail" and one["severity"] == "block")
    return sorted({roles()[one["layer"]].en for one in failed if one["layer"] in NEVER})
