"""How far each plot has come on a day: 征收, 补偿, 净地, 收储, 规划条件, each done, planned, not yet, or not said.

A date on or before the day is done, a later one is planned, none is unknown; no state is inferred from another.
`ready` of the layer speaks for 净地 where its date is not said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
import shapely
from numpy.typing import NDArray

from gis import measure
from layers.records import Floats, Geoms, Snapshot
from layers.units import closed


class State(IntEnum):
    DONE = 0
    PLANNED = 1
    NOT_YET = 2
    UNKNOWN = 3


STATES = (
    ("expropriated_on", "征收批复", "expropriation approved"),
    ("compensated_on", "补偿到位", "compensation paid"),
    ("cleared_on", "净地", "cleared"),
    ("reserved_on", "收储入库", "in the land reserve"),
    ("conditions_on", "规划条件出具", "planning conditions issued"),
)
CLEARED = 2


@dataclass(frozen=True)
class Readiness:
    """(K, 5) state and date (ISO, None) of every plot; `reached` (K,) the last state that is done, -1 none;
    `next` (K,) the first after it, 5 where all are done."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    state: NDArray[np.int8]
    on: NDArray[np.object_]
    reached: NDArray[np.int64]
    next: NDArray[np.int64]
    area_m2: Floats


def readiness(plots: Snapshot, day: date) -> Readiness:
    """The states of every plot on a day."""
    on = np.stack([plots.column(name) for name, _, _ in STATES], axis=1).astype(object)
    said = np.array([[isinstance(one, str) for one in row] for row in on], dtype=bool).reshape(-1, len(STATES))
    on[~said] = None
    iso = np.where(said, on, np.array("9999-12-31", dtype=object)).astype("U10")
    state = np.select([~said, iso <= day.isoformat()], [State.UNKNOWN, State.DONE], State.PLANNED).astype(np.int8)
    ready = plots.column("ready")
    silent = ~said[:, CLEARED]
    state[silent & (ready == True), CLEARED] = State.DONE  # noqa: E712  an object column: null is neither
    state[silent & (ready == False), CLEARED] = State.NOT_YET  # noqa: E712
    done = state == State.DONE
    last = len(STATES) - 1 - np.argmax(done[:, ::-1], axis=1)
    reached = np.where(done.any(axis=1), last, -1).astype(np.int64)
    area_m2 = np.zeros(len(plots.features))
    np.add.at(area_m2, plots.owner, plots.area_m2)
    return Readiness(
        tuple(str(one) for one in plots.column("id")), tuple(plots.names), state, on, reached, reached + 1, area_m2
    )


def zones_of_plots(plots: Snapshot, zones: Snapshot) -> tuple[str, ...]:
    """(K,) id of the zone that holds the most of each plot; "" where none holds any."""
    whole = [shapely.union_all(plots.pieces[plots.owner == row]) for row in range(len(plots.features))]
    table = measure.overlaps(np.array([*whole, None], dtype=object)[:-1], zones)
    found = np.full(len(whole), "", dtype=object)
    order = np.argsort(table.area_m2, kind="stable")
    found[table.site[order]] = zones.column("id")[table.feature[order]]
    return tuple(str(one) for one in found)


def cleared_m2(found: Readiness, plots: Snapshot, zones: Geoms) -> Floats:
    """(Z + 1, 4) square metres of the plots by the state of their 净地, per zone, the last row outside all zones.

    Where plots or zones share ground it counts once: for the first zone, and for the best state.
    """
    classes = found.state[:, CLEARED]
    whole = [shapely.union_all(plots.pieces[(classes[plots.owner] == one) & (plots.area_m2 > 0)]) for one in State]
    rows, taken = [], shapely.MultiPolygon()
    everything = shapely.union_all(np.array(whole, dtype=object))
    for zone in [*zones, shapely.union(everything, everything)]:
        left = shapely.difference(zone, taken)
        taken = shapely.union(taken, zone)
        row = []
        for ground in whole:
            row.append(shapely.intersection(left, ground).area)
            left = shapely.difference(left, ground)
        rows.append([float(one) for one in closed(row)])
    return np.array(rows)
