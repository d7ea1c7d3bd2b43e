"""The parcel fabric on the wire: what may be asked to become of parcels, and how what became of them is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

import geopandas as gpd
import numpy as np
import shapely
from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from api.answers import dossier, geojson
from api.scope import Scope
from api.sites import Crs, Geometry, Position, ground_of, moved
from layers import fabric as ops
from layers.access import Access
from layers.errors import BadInput, Fault, TooLarge, UnknownName
from layers.fabric import ALWAYS, Act, Document, Event, Fabric, Kind, Piece, State
from layers.records import Strict
from layers.store import Store
from layers.units import m2, mu

MOST_PARCELS = 500  # of one operation
MOST_READ = 2_000  # at once, where many are others'
SEQ_MAX = 2**63 - 1  # the largest number that SQLite keeps
Seq = Annotated[int, Field(ge=1, le=SEQ_MAX)]
ParcelId = Annotated[str, Field(min_length=1, max_length=100)]
Value = StrictStr | StrictBool | StrictInt | StrictFloat | None
Attributes = Annotated[dict[Annotated[str, Field(max_length=100)], Value], Field(max_length=100)]


# --- what is asked ----------------------------------------------------------------------------------


class LineString(Strict):
    """RFC 7946 LineString."""

    type: Literal["LineString"]
    coordinates: Annotated[list[Position], Field(min_length=2)]
    bbox: list[float] | None = None


class MultiLineString(Strict):
    """RFC 7946 MultiLineString."""

    type: Literal["MultiLineString"]
    coordinates: Annotated[list[Annotated[list[Position], Field(min_length=2)]], Field(min_length=1)]
    bbox: list[float] | None = None


Lines = Annotated[LineString | MultiLineString, Field(discriminator="type")]


class DocumentIn(Strict):
    """The legal document that an operation stands on."""

    number: Annotated[str, Field(min_length=1, max_length=200, examples=["印自然资〔2026〕1号"])]
    date: date
    note: Annotated[str, Field(max_length=2_000)] = ""


class PieceIn(Strict):
    """A parcel to be: its id, its boundary, and the attributes that it does not inherit."""

    id: ParcelId
    geometry: Geometry
    attributes: Attributes = Field(default_factory=dict)


class Operation(Strict):
    """What every operation says. Coordinates are lon/lat unless `crs` says otherwise.

    `seen` is the `seq` the caller read last: what was done since to the parcels concerned is answered 409.
    """

    document: DocumentIn
    effective_on: date | None = None
    seen: Seq | None = None
    crs: Crs | None = None


class RegisterIn(Operation):
    """Plain ground becomes a parcel."""

    id: ParcelId
    geometry: Geometry
    attributes: Attributes = Field(default_factory=dict)


class SplitIn(Operation):
    """Either `cut` with `ids` for the pieces from west to east, or the `pieces` as they are drawn."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cut": {"type": "LineString", "coordinates": [[108.61, 28.05], [108.61, 28.06]]},
                    "ids": ["520625001001GB00101", "520625001001GB00102"],
                    "document": {"number": "印自然资〔2026〕1号", "date": "2026-01-05"},
                }
            ]
        },
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )

    cut: Lines | Annotated[list[Lines], Field(min_length=1, max_length=100)] | None = None
    ids: Annotated[list[ParcelId], Field(min_length=2, max_length=MOST_PARCELS)] | None = None
    attributes: Annotated[dict[ParcelId, Attributes], Field(max_length=MOST_PARCELS)] = Field(default_factory=dict)
    pieces: Annotated[list[PieceIn], Field(min_length=2, max_length=MOST_PARCELS)] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> SplitIn:
        if (self.cut is None) == (self.pieces is None) or (self.cut is None) != (self.ids is None):
            raise ValueError("give either cut with ids, or pieces")
        if strangers := self.attributes.keys() - set(self.ids or ()):
            raise ValueError(f"attributes for {', '.join(sorted(strangers))}, which are not among ids")
        return self


class MergeIn(Operation):
    """Several parcels become one; `multipart` allows it to be of several parts."""

    parcels: Annotated[list[ParcelId], Field(min_length=2, max_length=MOST_PARCELS)]
    id: ParcelId
    attributes: Attributes = Field(default_factory=dict)
    multipart: bool = False


class AdjustIn(Operation):
    """The parcel and its neighbours `with` get a new common boundary: a line across them, or their new shapes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)

    neighbours: Annotated[list[ParcelId], Field(min_length=1, max_length=50, alias="with")]
    boundary: Lines | None = None
    pieces: Annotated[list[PieceIn], Field(min_length=2, max_length=51)] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> AdjustIn:
        if (self.boundary is None) == (self.pieces is None):
            raise ValueError("give either boundary or pieces")
        return self


class RetireIn(Operation):
    """The parcel leaves the register."""


class RestoreIn(Operation):
    """Undo an event, or the last thing that was done to a parcel: what it closed stands again."""

    event: Seq | None = None
    parcel: ParcelId | None = None

    @model_validator(mode="after")
    def _one_of(self) -> RestoreIn:
        if (self.event is None) == (self.parcel is None):
            raise ValueError("give either event or parcel")
        return self


# --- what is done -----------------------------------------------------------------------------------


def register(store: Store, asked: RegisterIn, by: str, most: int) -> Event:
    (piece,) = _pieces([PieceIn(id=asked.id, geometry=asked.geometry, attributes=asked.attributes)], asked, store, most)
    return ops.register(store.fabric, _act("register", (), asked, by), piece)


def split(store: Store, parcel: str, asked: SplitIn, by: str, most: int) -> Event:
    act = _act("split", (parcel,), asked, by)
    if asked.pieces is not None:
        return ops.split(store.fabric, act, _pieces(asked.pieces, asked, store, most))
    pieces = [Piece(name, None, asked.attributes.get(name, {})) for name in asked.ids or ()]
    cuts = asked.cut if isinstance(asked.cut, list) else [asked.cut] if asked.cut else []
    return ops.split(store.fabric, act, pieces, _lines(cuts, asked, store, most))


def merge(store: Store, asked: MergeIn, by: str, most: int) -> Event:
    piece = Piece(asked.id, None, asked.attributes)
    return ops.merge(store.fabric, _act("merge", asked.parcels, asked, by), piece, multipart=asked.multipart)


def adjust(store: Store, parcel: str, asked: AdjustIn, by: str, most: int) -> Event:
    act = _act("adjust", (parcel, *asked.neighbours), asked, by)
    if asked.boundary is not None:
        return ops.adjust(store.fabric, act, [], _lines([asked.boundary], asked, store, most))
    pieces = _pieces(asked.pieces or (), asked, store, most)
    if {one.parcel for one in pieces} != set(act.parcels):
        fix = f"Draw each of {', '.join(act.parcels)} once"
        raise BadInput("the pieces are not the parcels", [Fault("other parcels are drawn than named", fix)])
    return ops.adjust(store.fabric, act, pieces)


def retire(store: Store, parcel: str, asked: RetireIn, by: str, most: int) -> Event:
    return ops.retire(store.fabric, _act("retire", (parcel,), asked, by))


def restore(store: Store, asked: RestoreIn, by: str, most: int) -> Event:
    seq = asked.event if asked.event is not None else ops.undoable(store.fabric, str(asked.parcel))
    return ops.restore(store.fabric, _act("restore", (), asked, by), seq)


def _act(kind: Kind, parcels: Iterable[str], asked: Operation, by: str) -> Act:
    document = Document(asked.document.number, asked.document.date, asked.document.note)
    return Act(kind, tuple(parcels), document, by, asked.effective_on, asked.seen)


def _pieces(drawn: Sequence[PieceIn], asked: Operation, store: Store, most: int) -> list[Piece]:
    faults: list[Fault] = []
    ground = [ground_of(one.geometry, asked.crs, store.crs, one.id, most, faults) for one in drawn]
    if faults:
        raise BadInput("the boundaries cannot be used", faults)
    return [Piece(one.id, shape, one.attributes) for one, shape in zip(drawn, ground, strict=True)]


def _lines(drawn: Sequence[LineString | MultiLineString], asked: Operation, store: Store, most: int) -> list[Any]:
    paths = [path for one in drawn for path in ([one.coordinates] if isinstance(one, LineString) else one.coordinates)]
    vertices = sum(len(path) for path in paths)
    if vertices > most:
        raise TooLarge(f"the lines have {vertices:,} vertices, more than {most:,}", vertices=vertices)
    lines = [shapely.LineString([position[:2] for position in path]) for path in paths]
    there = moved(np.array(lines, dtype=object), asked.crs, store.crs, "line")
    if not np.isfinite(shapely.bounds(there)).all():
        fix = "Send lon/lat, or say crs"
        raise BadInput("the lines cannot be used", [Fault("they do not lie where the CRS is used", fix)])
    return list(there)


def audit(access: Access, event: Event) -> None:
    """What was done, in the audit log."""
    subject = ", ".join(event.parents or event.children)[:200]
    outcome = f"event {event.seq} by {event.document_number}: {', '.join(event.children) or 'nothing'}"
    access.record(event.actor, f"parcels-{event.kind}", subject, outcome[:400])


# --- what is told -----------------------------------------------------------------------------------


def told(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "kind": event.kind,
        "effective_on": day(event.effective_on),
        "recorded_at": event.recorded_at,
        "actor": event.actor,
        "document": None
        if event.document_number is None
        else {"number": event.document_number, "date": event.document_date, "note": event.note},
        "source": event.note if event.kind == "survey" else None,
        "layer_version": event.layer_version,
        "undoes": event.undoes,
        "settled_m2": round(event.settled_m2, 4),
        "parents": list(event.parents),
        "children": list(event.children),
    }


def state(one: State, drawn: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": one.parcel,
        "seq": one.opened_by,
        "valid_from": day(one.valid_from),
        "valid_to": one.valid_to,
        "closed_by": one.closed_by,
        "area_m2": float(m2(one.geometry.area)),
        "area_mu": float(mu(one.geometry.area)),
        "attributes": one.attributes,
        "geometry": drawn,
    }


def day(said: str) -> str | None:
    """A day, or null for what stands since before the records."""
    return None if said == ALWAYS else said


def states(store: Store, some: Sequence[State]) -> list[dict[str, Any]]:
    drawn = geojson([one.geometry for one in some], store.crs)
    return [state(one, shape) for one, shape in zip(some, drawn, strict=True)]


def done(store: Store, event: Event) -> dict[str, Any]:
    """An event with what it closed and opened."""
    _, closed, opened = store.fabric.event(event.seq)
    return {"event": told(event), "closed": states(store, closed), "opened": states(store, opened)}


def history(store: Store, parcel: str) -> dict[str, Any]:
    """All that is recorded of a parcel, the oldest first, whether it still stands or not."""
    found = store.fabric.history(parcel)
    last = found.states[-1]
    events = {one.seq: one for one in found.events}
    return {
        "id": parcel,
        "stands": last.closed_by is None,
        "became": store.fabric.fate(parcel),
        "states": states(store, found.states),
        "events": [told(one) for one in found.events],
        "parents": list(events[last.opened_by].parents),
        "children": list(events[last.closed_by].children) if last.closed_by else [],
        "ancestors": list(found.ancestors),
        "descendants": list(found.descendants),
    }


def parcel(store: Store, name: str, as_of: date | None, known: date | None) -> dict[str, Any]:
    """A parcel's dossier as it stood on a day, by what was recorded by the end of another."""
    one = standing(store.fabric, name, as_of, known)
    found = dossier(ops.frame([one], store.crs), store.at(as_of))
    event = store.fabric.event(one.opened_by)[0]
    ends = {"valid_from": day(one.valid_from), "valid_to": one.valid_to}
    return {**found, **ends, "seq": one.opened_by, "event": told(event), "known": known.isoformat() if known else None}


def standing(fabric: Fabric, name: str, as_of: date | None, known: date | None = None) -> State:
    """The parcel on a day; UnknownName says what became of it where it does not stand then."""
    found = fabric.at(as_of, known, ids=[name])
    if not found:
        raise UnknownName(ops.why_not(fabric, name, as_of) or f"no parcel {name!r}", parcel_id=name)
    return found[0]


def lineage(store: Store, one: State) -> list[tuple[str, str, str, gpd.GeoDataFrame]]:
    """The states a parcel's state came of and those it became, as frames with `since` and `until`: what a map shows."""
    before = store.fabric.event(one.opened_by)[1]
    after = store.fabric.event(one.closed_by)[2] if one.closed_by else []
    found = []
    for role, zh, en, some in (
        ("parcels_before", "前宗地", "Former parcels", before),
        ("parcels_after", "后续宗地", "Next parcels", after),
    ):
        frame = ops.frame(some, store.crs)
        since, until = [day(kin.valid_from) for kin in some], [kin.valid_to for kin in some]
        found.append((role, zh, en, frame.assign(since=since, until=until)))
    return found


def page(
    store: Store,
    bbox: Sequence[float] | None,
    as_of: date | None,
    known: date | None,
    after: str | None,
    limit: int,
    scope: Scope,
) -> dict[str, Any]:
    """Parcels of a window that the user sees as GeoJSON, by id; `next` is what to send as `after` for the rest."""
    bounds = None
    if bbox is not None:
        window = shapely.segmentize(shapely.box(*bbox), 0.01)
        bounds = tuple(moved(np.array([window], dtype=object), None, store.crs, "bbox")[0].bounds)
        if not np.isfinite(bounds).all():
            fix = "Send west,south,east,north in degrees"
            raise BadInput("no such window", [Fault("bbox is not where the county's CRS is used", fix, field="bbox")])
    found: list[State] = []
    step = limit + 1 if scope.is_all else max(limit + 1, MOST_READ)
    while len(found) <= limit:  # others' parcels are passed over, so that not even `next` names them
        some = store.fabric.at(as_of, known, bounds=bounds, after=after, limit=step)
        mine = scope.sees(np.array([one.geometry for one in some], dtype=object))
        found += [one for one, is_mine in zip(some, mine, strict=True) if is_mine]
        if len(some) < step:
            break
        after = some[-1].parcel
    features = []
    for one in states(store, found[:limit]):
        shape, name = one.pop("geometry"), one.pop("id")
        features.append({"type": "Feature", "id": name, "geometry": shape, "properties": one})
    return {
        "type": "FeatureCollection",
        "features": features,
        "numberReturned": len(features),
        "next": found[limit - 1].parcel if len(found) > limit else None,
        "as_of": as_of.isoformat() if as_of else None,
        "known": known.isoformat() if known else None,
    }
