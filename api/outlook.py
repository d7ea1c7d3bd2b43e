"""The land reserve outlook as JSON: the one place where it is dressed, for HTTP, page, workbook and command."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from threading import Lock
from typing import Any

from api.scope import Scope
from gis.judge import Status
from gis.outlook import COUNTY, NO_ZONE, Outlook, Year, demand_of, outlook
from gis.outlook.readiness import STATES, State
from gis.rules import Rulebook
from layers.errors import UnknownName
from layers.records import Project
from layers.store import Store

MOST_KEPT = 4
ENOUGH = {Status.PASS: "enough", Status.FAIL: "short", Status.UNKNOWN: "unknown"}
WORDS = {state: state.name.lower() for state in State}


class Outlooks:
    """Outlooks of a store, worked out once for the layers, projects and rules they rest on."""

    def __init__(self, store: Store, book: Callable[[], Rulebook]) -> None:
        self._store, self._book = store, book
        self._kept: OrderedDict[tuple[object, ...], dict[str, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, as_of: date | None = None, zone: str | None = None) -> dict[str, Any]:
        """The outlook on a day (today by default), of one zone by id or name where it is named."""
        day, book = as_of or self._store.at().as_of, self._book()
        labels = tuple(layer.label for layer in self._store.layers(as_of))
        key = (day, labels, book.digest, self._store.stamp("project"))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = _whole(self._store, book, as_of)
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            found = self._kept[key]
        return found if zone is None else _of_zone(found, zone)


def seen(found: dict[str, Any], scope: Scope) -> dict[str, Any]:
    """The outlook as somebody who holds some zones sees it (decision 0006): these alone, and no sum over others."""
    return found if scope.is_all else _only(found, [one for one in found["zones"] if scope.holds(one["zone"])])


def _of_zone(found: dict[str, Any], zone: str) -> dict[str, Any]:
    chosen = [one for one in found["zones"] if zone in (one["zone"], one["name"])]
    if not chosen:
        raise UnknownName(f"no zone {zone!r}", zone_id=zone)
    return _only(found, chosen)


def _only(found: dict[str, Any], chosen: list[dict[str, Any]]) -> dict[str, Any]:
    keys = {one["zone"] for one in chosen}
    parts = {name: [one for one in found[name] if one["zone"] in keys] for name in ("asks", "plots")}
    return {**found, "zones": chosen, "total": None, "elsewhere": None, **parts}


def _whole(store: Store, book: Rulebook, as_of: date | None) -> dict[str, Any]:
    world = store.at(as_of)
    projects = [Project.model_validate(one) for one in store.list("project")]
    found = outlook(world, projects, book)
    read = {"zones", "plots", *(step.role for step in found.reserve.steps)}
    layers = [layer for layer in store.layers(as_of) if layer.role in read]
    return {
        "county": store.name,
        "as_of": world.as_of.isoformat(),
        "synthetic": any(layer.synthetic for layer in layers),
        "steps": [asdict(step) for step in found.reserve.steps],
        "zones": [_zone(found, n) for n in range(len(found.reserve.ids))],
        "total": _total(found),
        "elsewhere": {"demand": _demand(found, NO_ZONE), "cleared": _cleared(found, -1)},
        "asks": [{**asdict(one), "high_m2": _finite(one.high_m2)} for one in found.asks],
        "plots": _plots(found),
        "missing": sorted(read - {layer.role for layer in layers}),
        "layer_versions": {layer.role: layer.label for layer in layers},
        "rulebook_digest": book.digest,
    }


def _zone(found: Outlook, n: int) -> dict[str, Any]:
    left = found.reserve
    return {
        "zone": left.ids[n],
        "name": left.names[n],
        "gross_m2": float(left.gross_m2[n]),
        "shared_m2": float(left.shared_m2[n]),
        "waterfall": [
            {"step": step.step, "taken_m2": float(left.taken_m2[n, k]), "unknown_m2": float(left.unknown_m2[n, k])}
            for k, step in enumerate(left.steps)
        ],
        "unknown_m2": _sum(left.unknown_m2[n]),
        "net_m2": float(left.net_m2[n]),
        "demand": _demand(found, left.ids[n]),
        "cleared": _cleared(found, n),
    }


def _total(found: Outlook) -> dict[str, Any]:
    """All zones together; ground of two zones counts once."""
    left = found.reserve
    return {
        "gross_m2": round(_sum(left.gross_m2) - _sum(left.shared_m2), 2),
        "waterfall": [
            {"step": step.step, "taken_m2": _sum(left.taken_m2[:, k]), "unknown_m2": _sum(left.unknown_m2[:, k])}
            for k, step in enumerate(left.steps)
        ],
        "unknown_m2": _sum(left.unknown_m2),
        "net_m2": _sum(left.net_m2),
        "demand": _demand(found, COUNTY),
        "cleared": _cleared(found, slice(None)),
    }


def _sum(hundredths: Any) -> float:
    return round(float(hundredths.sum()), 2)


def _finite(number: float) -> float | None:
    return round(number, 2) if math.isfinite(number) else None


def _demand(found: Outlook, zone: str) -> list[dict[str, Any]]:
    return [_year(one) for one in demand_of(found, zone)]


def _year(one: Year) -> dict[str, Any]:
    """Bounds that are not finite are null: nobody can say how much."""
    said = {key: _finite(value) if key.endswith("_m2") else value for key, value in asdict(one).items()}
    return {**said, "enough": ENOUGH[one.enough]}


def _cleared(found: Outlook, at: int | slice) -> dict[str, float] | None:
    """Ground of plots by how far their 净地 is; null where no layer of plots is loaded."""
    if found.cleared is None:
        return None
    row = found.cleared[at].reshape(-1, len(State)).sum(axis=0)
    return {f"{WORDS[state]}_m2": round(float(row[state]), 2) for state in State}


def _plots(found: Outlook) -> list[dict[str, Any]]:
    of = found.plots
    if of is None:
        return []
    names = [name for name, _, _ in STATES]
    return [
        {
            "id": of.ids[n],
            "name": of.names[n],
            "zone": found.plot_zones[n],
            "area_m2": round(float(of.area_m2[n]), 2),
            "states": [
                {"state": name, "zh": zh, "en": en, "status": WORDS[State(of.state[n, k])], "on": of.on[n, k]}
                for k, (name, zh, en) in enumerate(STATES)
            ],
            "reached": names[of.reached[n]] if of.reached[n] >= 0 else None,
            "next": names[of.next[n]] if of.next[n] < len(names) else None,
        }
        for n in range(len(of.ids))
    ]
