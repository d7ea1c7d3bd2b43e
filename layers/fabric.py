"""The parcel fabric: what became of parcels, when it took effect and when it was recorded.

A parcel lives through *states*: ground and attributes from one day on. An *event* closes states and opens others,
carries the document it stands on, and only adds: nothing is ever rewritten. So two days can be asked for at once:
`valid`, the day in question, and `known`, the day whose records are asked.

Here are the records and the operations (`split`, `merge`, `adjust`, `retire`, `restore`, `register`); they work
on any `Fabric`, which is where the events are kept. The geometry is in `layers.tiling`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from layers import area, tiling
from layers.errors import BadInput, Fault, Stale, UnknownName
from layers.records import Bounds, Geoms, Layer, Snapshot
from layers.schema import role
from layers.snapshot import cut, overlapping
from layers.tiling import CONSERVED_M2, array

Kind = Literal["survey", "register", "split", "merge", "adjust", "retire", "restore"]
Value = str | bool | int | float | None
ALWAYS = "0001-01-01"  # valid since before the records: what the first survey of some ground found
# 宗地代码 (GB/T 37346-2019): county 6, 地籍区 3, 地籍子区 3, 宗地特征码 2, 顺序号 5
CODE = re.compile(r"\d{12}[GJZ][A-Z]\d{5}")
MOST_ID = 100
# What a register says of one whole parcel is not true of its parts, nor of what it became a part of.
OF_THE_WHOLE = frozenset({
    "property_unit", "parcel_area_m2", "zdmj", "mj", "area", "area_mu", "shape_area", "shape_leng", "shape_length",
    "zdszd", "zdszn", "zdszx", "zdszb", "bsm", "objectid",
})  # fmt: skip
OF_THE_SHAPE = OF_THE_WHOLE - {"property_unit", "bsm", "objectid"}  # what a new boundary alone makes untrue
MEASURED = ("area_m2", "area_ellipsoid_m2", "area_method")  # follows from the ground, and is measured again


# --- records ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """The legal document an operation stands on."""

    number: str
    date: date
    note: str = ""


@dataclass(frozen=True)
class State:
    """A parcel from one day on. `valid_to` is the first day on which it was no longer so, null while it is."""

    state: int
    parcel: str
    geometry: shapely.Geometry
    attributes: dict[str, Any]
    valid_from: str
    opened_by: int
    resumes: int | None = None
    valid_to: str | None = None
    closed_by: int | None = None

    @property
    def root(self) -> int:
        """The state that this one is or resumes: the same ground, said again by a restore."""
        return self.resumes or self.state


@dataclass(frozen=True)
class Event:
    """Something that became of parcels; `parents` and `children` are ids. `seq` orders what is known."""

    seq: int
    kind: Kind
    effective_on: str
    recorded_at: str
    actor: str
    document_number: str | None
    document_date: str | None
    note: str
    layer_version: int | None = None
    undoes: int | None = None
    settled_m2: float = 0.0
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """All that is recorded of one parcel, the oldest first; kin are ids whose ground came into it or went out of it."""

    parcel: str
    states: tuple[State, ...]
    events: tuple[Event, ...]
    ancestors: tuple[str, ...]
    descendants: tuple[str, ...]


@dataclass(frozen=True)
class Fresh:
    """A state to be opened."""

    parcel: str
    geometry: shapely.Geometry
    attributes: dict[str, Any]
    resumes: int | None = None


@dataclass(frozen=True)
class Act:
    """What is to be recorded. `seen` is the last event the caller knew of; `effective_on` is today where not said."""

    kind: Kind
    parcels: tuple[str, ...]
    document: Document
    by: str
    effective_on: date | None = None
    seen: int | None = None
    undoes: int | None = None


@dataclass(frozen=True)
class Made:
    """What an operation opens, and the ground of hairlines that it closed."""

    states: tuple[Fresh, ...] = ()
    settled_m2: float = 0.0


Make = Callable[[Sequence[State]], Made]


class Fabric(Protocol):
    """Where the events are kept. Reading never waits for a survey's registration to be asked for."""

    crs: CRS

    def record(self, act: Act, make: Make) -> Event:
        """Close the parcels of the act and open what `make` says of their states, wholly or not at all.

        Raises UnknownName for an id that never was, Stale where one is gone or has changed since `seen`, BadInput
        for a date before they stood so, an id that was used before, or ground that others hold.
        """

    def at(
        self,
        valid: date | None = None,
        known: date | None = None,
        *,
        ids: Iterable[str] | None = None,
        bounds: Bounds | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[State]:
        """The parcels that stood on a day (default: the latest), as recorded by the end of another (default: now)."""

    def history(self, parcel: str) -> History:
        """UnknownName for an id that never was."""

    def event(self, seq: int) -> tuple[Event, list[State], list[State]]:
        """An event, the states it closed and those it opened. UnknownName where there is none."""

    def fate(self, parcel: str) -> str | None:
        """What became of a parcel that is gone, in words; None for one that never was or still is."""


@dataclass(frozen=True)
class Piece:
    """What a new parcel is to be: its id, its ground where that is drawn, and attributes that are not inherited."""

    parcel: str
    geometry: shapely.Geometry | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)


# --- operations -------------------------------------------------------------------------------------


def split(fabric: Fabric, act: Act, pieces: Sequence[Piece], lines: Sequence[shapely.Geometry] = ()) -> Event:
    """One parcel becomes several: as `lines` cut it (pieces from west to east), or as the pieces are drawn."""

    def make(parents: Sequence[State]) -> Made:
        (parent,) = parents
        names = [one.parcel for one in pieces]
        if lines:
            made = tiling.cut(parent.geometry, lines, parent.parcel)
            if len(made.pieces) != len(pieces):
                areas = ", ".join(f"{one.area:,.2f} m2" for one in made.pieces)
                reason = f"the lines make {len(made.pieces)} pieces ({areas}) and {len(pieces)} ids were given"
                raise BadInput(f"{parent.parcel} cannot be divided so", [Fault(reason, "Give an id for each piece")])
        else:
            made = tiling.tile(parent.geometry, _drawn(pieces), names)
        return _made(fabric.crs, parents, pieces, made)

    return fabric.record(act, make)


def merge(fabric: Fabric, act: Act, piece: Piece, *, multipart: bool = False) -> Event:
    """Several parcels become one. Attributes on which they differ become null, unless the piece says them."""

    def make(parents: Sequence[State]) -> Made:
        if len(parents) < 2:
            raise BadInput("one parcel is merged already", [Fault("a merge takes two or more", "Name them")])
        ground = [one.geometry for one in parents]
        whole = tiling.join(ground, [one.parcel for one in parents], multipart=multipart)
        return _made(fabric.crs, parents, [piece], tiling.Tiled(array([whole])))

    return fabric.record(act, make)


def adjust(fabric: Fabric, act: Act, pieces: Sequence[Piece], boundary: Sequence[shapely.Geometry] = ()) -> Event:
    """Neighbours keep their ids and get another common boundary: a line drawn across both, or their new shapes."""

    def make(parents: Sequence[State]) -> Made:
        names = [one.parcel for one in parents]
        if len(parents) < 2:
            raise BadInput("a boundary has two sides", [Fault("one parcel was named", "Name its neighbour, too")])
        said = {one.parcel: one for one in pieces}
        ours = [said.get(name, Piece(name)) for name in names]
        ground = [one.geometry for one in parents]
        if boundary:
            made = tiling.redraw(ground, boundary, names)
        else:
            made = tiling.tile(tiling.join(ground, names, multipart=True), _drawn(ours), names)
        opened = [
            _made(fabric.crs, [parent], [piece], tiling.Tiled(array([shape])), whole=False).states[0]
            for parent, piece, shape in zip(parents, ours, made.pieces, strict=True)
        ]
        return Made(tuple(opened), made.settled_m2)

    return fabric.record(act, make)


def retire(fabric: Fabric, act: Act) -> Event:
    """A parcel leaves the register; its ground is nobody's parcel from then on."""
    return fabric.record(act, lambda parents: Made())


def register(fabric: Fabric, act: Act, piece: Piece) -> Event:
    """Plain ground becomes a parcel. BadInput where another parcel holds some of it."""
    if piece.geometry is None:
        raise BadInput("no ground to register", [Fault("the parcel has no boundary", "Draw it", feature=piece.parcel)])
    ground = shapely.force_2d(piece.geometry)
    made = tiling.Tiled(array([ground]))
    return fabric.record(act, lambda parents: _made(fabric.crs, (), [piece], made))


def restore(fabric: Fabric, act: Act, seq: int) -> Event:
    """Undo a split, merge, adjustment or retirement from a day on: what it closed stands again, ids and all.

    Raises Stale where something was done since to what it opened.
    """
    event, closed, opened = fabric.event(seq)
    if event.kind in ("survey", "register"):
        fix = "Split, merge, adjustment, retirement and restoring can be undone; retire the parcel instead"
        raise BadInput(f"a {event.kind} cannot be undone", [Fault(f"event {seq} is a {event.kind}", fix)])
    effective = act.effective_on.isoformat() if act.effective_on else event.effective_on
    if effective < event.effective_on:
        fault = Fault(f"event {seq} took effect on {event.effective_on}", "Date the restoring on that day or later")
        raise BadInput("nothing to undo on that day", [fault])

    def make(parents: Sequence[State]) -> Made:
        changed = {one.root for one in opened} ^ {one.root for one in parents}
        if changed:
            raise Stale(f"event {seq} cannot be undone: its parcels have changed since", event=seq)
        return Made(tuple(Fresh(one.parcel, one.geometry, one.attributes, one.root) for one in closed))

    return fabric.record(replace(act, parcels=tuple(one.parcel for one in opened), undoes=seq), make)


def undoable(fabric: Fabric, parcel: str) -> int:
    """The event that `restore` would undo for a parcel: what opened it as it stands, or retired it."""
    history = fabric.history(parcel)
    last = history.states[-1]
    return last.closed_by or last.opened_by


def why_not(fabric: Fabric, parcel: str, as_of: date | None = None) -> str | None:
    """Why a parcel does not stand on a day, in words; None for an id that never was."""
    try:
        since = fabric.history(parcel).states[0].valid_from
    except UnknownName:
        return None
    if as_of is not None and since > as_of.isoformat():
        return f"parcel {parcel!r} did not stand on {as_of}; it was opened on {since}"
    return fabric.fate(parcel)


def _drawn(pieces: Sequence[Piece]) -> list[shapely.Geometry]:
    missing = [one.parcel for one in pieces if one.geometry is None]
    if missing:
        faults = [Fault("it is not drawn", "Send its geometry, or cut with lines", feature=name) for name in missing]
        raise BadInput("not every piece is drawn", faults)
    return [one.geometry for one in pieces]


def _made(
    crs: CRS, parents: Sequence[State], pieces: Sequence[Piece], tiled: tiling.Tiled, *, whole: bool = True
) -> Made:
    """States for pieces of ground: ids judged, attributes inherited, areas measured. Every fault at once."""
    faults: list[Fault] = []
    if whole:
        codes = bool(parents) and all(CODE.fullmatch(one.parcel) for one in parents)
        faults += _bad_ids([one.parcel for one in pieces], codes)
    inherited = _inherited(parents, OF_THE_WHOLE if whole else OF_THE_SHAPE)
    coded = [name for name in inherited if parents and all(one.attributes.get(name) == one.parcel for one in parents)]
    states = []
    for piece, shape in zip(pieces, tiled.pieces, strict=True):
        faults += _bad_attributes(piece, inherited)
        told = {**inherited, **dict.fromkeys(coded, piece.parcel), **piece.attributes}
        measured = (float(shape.area), float(area.ellipsoid_m2(shape, crs)), area.method(crs))
        told |= dict(zip(MEASURED, measured, strict=True))
        states.append(Fresh(piece.parcel, shape, told))
    if faults:
        raise BadInput("the new parcels cannot be registered", faults)
    return Made(tuple(states), tiled.settled_m2)


def _bad_ids(ids: Sequence[str], codes: bool) -> list[Fault]:
    faults = []
    for name in ids:
        if not name or name != name.strip() or len(name) > MOST_ID or not name.isprintable() or "/" in name:
            fix = f"Give up to {MOST_ID} printable characters, no slash, no space at either end"
            faults.append(Fault("it cannot be an id", fix, feature=name[:MOST_ID]))
        elif codes and not CODE.fullmatch(name):
            fix = "Give 19 characters: county 6, district 3, sub-district 3, feature 2 letters, number 5"
            faults.append(Fault("it is no parcel code (宗地代码), and its parents have one", fix, feature=name))
        elif ids.count(name) > 1:
            faults.append(Fault("the id stands more than once", "Give each piece its own", feature=name))
    return faults


def _inherited(parents: Sequence[State], lost: frozenset[str]) -> dict[str, Any]:
    """What all parents say alike; null where they differ, and for what is `lost` on the way."""
    names = dict.fromkeys(name for one in parents for name in one.attributes)
    said = {name: {repr(one.attributes.get(name)) for one in parents} for name in names}
    return {
        name: parents[0].attributes.get(name) if len(said[name]) == 1 and name.lower() not in lost else None
        for name in names
    }


def _bad_attributes(piece: Piece, inherited: Mapping[str, Any]) -> list[Fault]:
    """Attributes that the layer does not have, or values that its columns do not take."""
    columns = {one.name: one for one in role("parcels").columns}
    faults = []
    for name, value in piece.attributes.items():
        column = columns.get(name)
        if name in ("id", *MEASURED) or (name not in inherited and column is None):
            known = ", ".join(one for one in dict.fromkeys([*inherited, *list(columns)[1:]]) if one not in MEASURED)
            faults.append(Fault("the layer has no such attribute", f"It has {known}", feature=piece.parcel, field=name))
        elif value is not None and column is not None:
            wanted = {"boolean": "bool", "number": "int float", "integer": "int"}.get(column.type, "str")
            if type(value).__name__ not in wanted.split():
                fix = f"Give a {column.type}"
                faults.append(Fault("the value does not fit", fix, feature=piece.parcel, field=name))
    return faults


# --- states as tables -------------------------------------------------------------------------------


def frame(states: Sequence[State], crs: CRS, columns: Sequence[str] = ()) -> gpd.GeoDataFrame:
    """States as a layer's frame: `id`, attributes, geometry. `columns` stand even where no state has them."""
    table = table_of(states, columns)
    return gpd.GeoDataFrame(table, geometry=array([one.geometry for one in states]), crs=crs)


def table_of(states: Sequence[State], columns: Sequence[str] = ()) -> pd.DataFrame:
    names = dict.fromkeys([*columns, *(name for one in states for name in one.attributes)])
    names.pop("id", None)
    values: dict[str, Any] = {"id": np.array([*(one.parcel for one in states), None], dtype=object)[:-1]}
    for name in names:
        cells = [one.attributes.get(name) for one in states]
        numbers = all(one is None or (isinstance(one, (int, float)) and not isinstance(one, bool)) for one in cells)
        if numbers and any(one is not None for one in cells):
            values[name] = np.array([np.nan if one is None else one for one in cells], dtype=float)
        else:
            values[name] = np.array([*cells, None], dtype=object)[:-1]
    return pd.DataFrame(values)


@dataclass(frozen=True)
class Edits:
    """What differs from a survey's file: ids whose row no longer stands, and the states that stand instead."""

    gone: frozenset[str]
    fresh: tuple[State, ...]


def patched_table(table: pd.DataFrame, geometries: Geoms, edits: Edits) -> tuple[pd.DataFrame, Geoms]:
    """A survey's features with the edits: rows that stand in their order, then the new ones."""
    keep = ~table["id"].isin(edits.gone).to_numpy()
    fresh = table_of(edits.fresh, list(table.columns))
    ground = np.concatenate([geometries[keep], array([one.geometry for one in edits.fresh])])
    return _stacked(table[keep], fresh), ground


def patched(base: Snapshot, layer: Layer, edits: Edits) -> Snapshot:
    """A survey's snapshot with the edits, as a snapshot of `layer`."""
    keep = ~base.features["id"].isin(edits.gone).to_numpy()
    kept = base.where(keep)
    pieces, owner = cut(array([one.geometry for one in edits.fresh]))
    features = _stacked(kept.features, table_of(edits.fresh, list(base.features.columns)))
    pieces = np.concatenate([kept.pieces, pieces])
    owner = np.concatenate([kept.owner, owner + len(kept.features)])
    near = np.unique(shapely.STRtree(pieces).query(pieces[len(kept.pieces) :])[1])
    shared = base.overlapping or overlapping(pieces[near], owner[near])
    return Snapshot(layer, features, pieces, owner, shared)


def _stacked(above: pd.DataFrame, below: pd.DataFrame) -> pd.DataFrame:
    """Rows under rows, column by column, so that a column without values does not change its kind."""
    made = {}
    for name in dict.fromkeys([*above.columns, *below.columns]):
        columns = [_column(one, name) for one in (above, below)]
        if columns[0].dtype != columns[1].dtype:
            columns = _alike(*columns)
        made[name] = np.concatenate(columns)
    return pd.DataFrame(made)


def _column(table: pd.DataFrame, name: str) -> Any:
    return table[name].to_numpy() if name in table else np.full(len(table), None, dtype=object)


def _alike(above: Any, below: Any) -> list[Any]:
    """Two columns of one kind: numbers where both hold numbers or nothing, else plain objects."""
    plain = [one.astype(object) for one in (above, below)]
    numbers = all(value is None or type(value) in (int, float) for column in plain for value in column)
    if numbers and np.issubdtype(above.dtype, np.number):
        return [np.array([np.nan if one is None else one for one in column], dtype=float) for column in plain]
    if above.dtype == bool and all(type(value) is bool for value in plain[1]):
        return [above, below.astype(bool)]
    return plain


def conserved(some: Sequence[shapely.Geometry], others: Sequence[shapely.Geometry]) -> bool:
    """Whether two lists of ground come to the same within CONSERVED_M2."""
    return bool(abs(shapely.area(array(some)).sum() - shapely.area(array(others)).sum()) <= CONSERVED_M2)
