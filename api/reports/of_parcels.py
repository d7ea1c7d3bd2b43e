"""Map sheets of parcels, one after the other in one document: what a clerk prints for a morning's visits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import shapely

from api.parcels import standing
from api.reports import boundary, mapsheet
from api.reports.mapsheet import DRAWN, Ground, Paper, fit
from api.reports.model import Page, Report, Section, Words, digest_of
from api.scope import Scope
from layers.errors import BadInput, Fault, TooLarge
from layers.fabric import State
from layers.records import union_bounds
from layers.store import Store

MOST_SHEETS = 200
NEAR_M = 0.05  # parcels this near are neighbours: a shared border that two surveys drew apart
CLOSE_M = 5_000.0  # parcels that lie within so much of each other are read together


def sheets(
    store: Store,
    ids: Sequence[str],
    *,
    scale: int | None = None,
    paper: Paper = "A4",
    as_of: date | None = None,
    drawn_on: date,
    scope: Scope | None = None,
    points: bool = True,
) -> Report:
    """A sheet for each parcel in the order asked, with the tables of their points before them.

    BadInput with every parcel that does not fit; TooLarge beyond 200.
    """
    if len(ids) > MOST_SHEETS:
        raise TooLarge(f"{len(ids)} sheets are more than {MOST_SHEETS} in one document", most=MOST_SHEETS)
    ground = Ground(store, scope, as_of)
    states = [standing(store.fabric, name, as_of) for name in ids]
    faults: list[Fault] = []
    windows = []
    for state in states:
        try:
            windows.append(fit(state.geometry.bounds, scale, paper, name=state.parcel))
        except BadInput as error:
            faults += error.faults
    if faults:
        raise BadInput("some sheets cannot be drawn", faults)
    _read_together(ground, [window.drawn for window in windows])
    pages: list[Page] = []
    for n, (state, window) in enumerate(zip(states, windows, strict=True)):
        subject = mapsheet.of_parcel(state, neighbours(ground, state))
        pages.append(mapsheet.sheet(subject, ground, window, key=f"s{n}", drawn_on=drawn_on))
    said = {
        "parcels": [[state.parcel, shapely.to_wkb(state.geometry, hex=True)] for state in states],
        "layers": {role: layer.label for role, layer in sorted(ground.layers.items())},
        "scale": scale,
        "paper": paper,
    }
    tables = [
        block
        for state in states
        for block in boundary.points(state.geometry, Words(f"宗地 {state.parcel}", "Boundary points"))
    ]
    where = f"{ground.crs_name}，X 为北、Y 为东，单位米"
    return Report(
        title=Words("宗地图册" if len(states) > 1 else "宗地图", "Parcel maps" if len(states) > 1 else "Parcel map"),
        county=store.name,
        key=states[0].parcel if len(states) == 1 else f"{len(states)} 幅",
        digest=digest_of(said),
        created_at=f"{drawn_on.isoformat()}T00:00:00+00:00",
        synthetic=any(ground.layers[role].synthetic for role in DRAWN if role in ground.layers),
        sections=[Section(Words("界址点成果表", where), tables)] if points else [],
        pages=pages,
    )


def _read_together(ground: Ground, boxes: Sequence[tuple[float, float, float, float]]) -> None:
    """Where the windows lie together, each layer is read once for all of them."""
    if len(boxes) < 3:
        return
    whole = union_bounds(boxes)
    if max(whole[2] - whole[0], whole[3] - whole[1]) <= CLOSE_M:
        for role in (*DRAWN, "land_use"):
            if role in ground.layers:
                ground.prepare(role, whole)


def neighbours(ground: Ground, state: State) -> list[str]:
    """The ids of the parcels beside one, sorted."""
    if "parcels" not in ground.layers:
        return []
    west, south, east, north = state.geometry.bounds
    frame = ground.frame("parcels", (west - 1, south - 1, east + 1, north + 1))
    near = shapely.dwithin(np.asarray(frame.geometry.values, dtype=object), state.geometry, NEAR_M)
    return sorted({str(one) for one in frame["id"][near]} - {state.parcel})
