"""What is wrong with the networks of a county, feature by feature: drawing, attributes, what is still to come.

Nothing here stops anything: a facility without a capacity answers unknown, a road in a part of its own has no reach,
and the rest works. The report is for whoever mends the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely

from gis.topology import network_of
from layers.records import Bools, Snapshot, World

LINES = ("roads", "power_lines", "water_mains")
FACILITIES = ("substations", "power_plants", "water_sources", "wastewater_plants")
ANYWHERE = (0.0, 0.0, 0.0, 0.0)
Test = Callable[[Mapping[str, Any]], Bools]


@dataclass(frozen=True)
class Report:
    """networks : role -> counts;  breaks : rows (role, kind, feature, other, x, y, metres, note)
    planned : rows (role, feature, name, open_year) of what opens in some year"""

    networks: dict[str, dict[str, int | float]]
    breaks: list[dict[str, Any]]
    planned: list[dict[str, Any]]


@dataclass(frozen=True)
class Rule:
    """A fault of an attribute: what it is called, and on which rows it holds."""

    kind: str
    note: str
    holds: Test


def _missing(name: str, note: str) -> Rule:
    return Rule(f"no {name}", note, lambda columns: np.isnan(columns[name]))


def _negative(name: str) -> Rule:
    return Rule(f"negative {name}", "it cannot be below zero, and counts as unknown", lambda c: c[name] < 0)


def _over(load: str, capacity: str) -> Rule:
    note = "more is drawn than there is"
    return Rule(f"{load} over {capacity}", note, lambda columns: np.asarray(columns[load] > columns[capacity]))


ATTRIBUTES: dict[str, tuple[Rule, ...]] = {
    "substations": (
        _missing("voltage_kv", "it may serve up to 10 kV; above that nobody knows"),
        _missing("capacity_kva", "what it has left is unknown, so that it never passes"),
        _negative("capacity_kva"),
        _negative("load_kva"),
        _over("load_kva", "capacity_kva"),
        Rule("one transformer", "no N-1: when it fails nobody is supplied", lambda c: c["transformers"] == 1),
    ),
    "water_sources": (
        _missing("capacity_m3d", "what it has left is unknown, so that it never passes"),
        _negative("capacity_m3d"),
        _over("load_m3d", "capacity_m3d"),
        Rule(
            "overdrawn yield",
            "capacity, ecological flow and rights together are more than the dry year yields",
            lambda c: (
                c["capacity_m3d"] + np.nan_to_num(c["ecological_flow_m3d"]) + np.nan_to_num(c["rights_m3d"])
                > c["yield_m3d"]
            ),
        ),
        Rule(
            "weak guarantee",
            "towns and industry ask for 90-97 % (GB 50013-2018)",
            lambda c: c["yield_guarantee_share"] < 0.9,
        ),
    ),
    "wastewater_plants": (
        _missing("capacity_m3d", "what it has left is unknown, so that it never passes"),
        _negative("capacity_m3d"),
        _over("load_m3d", "capacity_m3d"),
    ),
    "water_mains": (_missing("diameter_mm", "whether hydrants may stand on it is unknown"),),
    "power_lines": (_missing("voltage_kv", "its distance classes are unknown"),),
    "roads": (Rule("no road_class", "what it carries is unknown", lambda c: np.asarray(pd.isna(c["road_class"]))),),
}
TEXTS = ("road_class",)


def report(world: World, later: World | None = None) -> Report:
    """The report on the layers of a world, asked for its year; `later` holds what opens after it, for the plans."""
    networks: dict[str, dict[str, int | float]] = {}
    breaks: list[dict[str, Any]] = []
    planned: list[dict[str, Any]] = []
    known: set[str] = set()
    layers = {role: world.near(role, ANYWHERE) for role in (*LINES, *FACILITIES)}
    for layer in layers.values():
        known |= set() if layer is None else {str(one) for one in layer.column("id")}
    for role, layer in layers.items():
        if layer is None:
            continue
        if role in LINES:
            network = network_of(layer)
            networks[role] = network.summary()
            breaks += [{"role": role, **row} for row in _records(network.breaks)]
        breaks += [{"role": role, **row} for row in _faults(role, layer, known)]
    if (stations := layers["substations"]) is not None and (lines := layers["power_lines"]) is not None:
        breaks += [{"role": "substations", **row} for row in _weakly_fed(stations, lines)]
    for role in layers:
        whole = (world if later is None else later).near(role, ANYWHERE)
        planned += [] if whole is None else _planned(role, whole)
    return Report(networks, breaks, sorted(planned, key=lambda one: one["open_year"]))


def _records(table: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for values in table.itertuples(index=False, name=None):
        yield dict(zip(map(str, table.columns), values, strict=True))


def _faults(role: str, layer: Snapshot, known: set[str]) -> Iterable[dict[str, Any]]:
    place = _places(layer)
    for rule in ATTRIBUTES.get(role, ()):
        columns = _Columns(layer)
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(rule.holds(columns))
        yield from (_row(layer, place, int(row), rule.kind, rule.note) for row in rows)
    for name in ("feeds_from", "from_id", "to_id"):
        for row, said in enumerate(layer.column(name)):
            if not pd.isna(said) and str(said) not in known:
                note = "no facility of that id is there in this year"
                yield {**_row(layer, place, row, f"{name} unknown", note), "other": str(said)}
    yield from (
        _row(layer, place, row, "feeds itself", "following feeds_from comes back to it") for row in _circles(layer)
    )


def _weakly_fed(stations: Snapshot, lines: Snapshot) -> Iterable[dict[str, Any]]:
    """Stations whose feeding lines carry less than their transformers, where all limits are known."""
    limit_kva = lines.column("limit_kva").astype(float)
    ends = [{str(a), str(b)} for a, b in zip(lines.column("from_id"), lines.column("to_id"), strict=True)]
    capacity_kva, place = stations.column("capacity_kva").astype(float), _places(stations)
    for row, (one, above) in enumerate(zip(stations.column("id"), stations.column("feeds_from"), strict=True)):
        feeding = [n for n, pair in enumerate(ends) if pair == {str(one), str(above)}]
        carried_kva = limit_kva[feeding].sum()
        if feeding and carried_kva < capacity_kva[row]:  # a limit that nobody said makes the sum NaN, and says nothing
            note = f"its lines from {above} carry {carried_kva:,.0f} kVA of its {capacity_kva[row]:,.0f}"
            yield _row(stations, place, row, "weak feeding line", note)


def _circles(layer: Snapshot) -> list[int]:
    ids = [str(one) for one in layer.column("id")]
    above = {one: str(up) for one, up in zip(ids, layer.column("feeds_from"), strict=True) if not pd.isna(up)}
    found = []
    for row, start in enumerate(ids):
        name, seen = above.get(start), {start}
        while name is not None and name not in seen:
            seen.add(name)
            name = above.get(name)
        if name == start:
            found.append(row)
    return found


class _Columns(dict[str, Any]):
    """Columns as numbers (texts as they are), read when a rule asks."""

    def __init__(self, layer: Snapshot) -> None:
        super().__init__()
        self._layer = layer

    def __missing__(self, name: str) -> Any:
        column = self._layer.column(name)
        self[name] = column if name in TEXTS else column.astype(float)
        return self[name]


def _places(layer: Snapshot) -> np.ndarray:
    place = np.full((len(layer.features), 2), np.nan)
    if len(layer.pieces):
        first = np.flatnonzero(np.diff(layer.owner, prepend=-1))
        place[layer.owner[first]] = shapely.get_coordinates(shapely.point_on_surface(layer.pieces[first]))
    return place


def _row(layer: Snapshot, place: np.ndarray, row: int, kind: str, note: str) -> dict[str, Any]:
    x, y = place[row]
    feature = str(layer.column("id")[row])
    return {
        "kind": kind, "feature": feature, "other": "", "x": float(x), "y": float(y), "metres": np.nan, "note": note,
    }  # fmt: skip


def _planned(role: str, layer: Snapshot) -> list[dict[str, Any]]:
    years = layer.column("open_year").astype(float)
    return [
        {
            "role": role,
            "feature": str(layer.column("id")[row]),
            "name": layer.names[row],
            "open_year": int(years[row]),
        }
        for row in np.flatnonzero(~np.isnan(years))
    ]
