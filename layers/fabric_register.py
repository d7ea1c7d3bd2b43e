"""Where the events of the parcel fabric are kept: four tables of a county that only grow, in either store.

A state's end is a row of its own, so that closing a parcel rewrites nothing: who asks for what was known on an
earlier day leaves out the rows that came later. Parents and children of an event are what it closed and opened.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import shapely
from pyproj import CRS

from layers import resurvey
from layers.errors import BadInput, Fault, Stale, StoreBroken, UnknownName
from layers.fabric import ALWAYS, Act, Edits, Event, Fresh, History, Make, State, conserved
from layers.fabric_sql import (
    EFFECTIVE,
    ENDED_LATER,
    EVENT,
    EVER,
    EVERYTHING,
    FOREVER,
    STANDS,
    STATE,
    STATES,
    SURVEY,
    TOUCHED,
)
from layers.records import Bounds, Geoms
from layers.tables import Tables
from layers.tiling import CONSERVED_M2, array, overlap_m2

log = logging.getLogger(__name__)
DID = {
    "survey": "dropped by the survey recorded as event",
    "split": "split by",
    "merge": "merged by",
    "adjust": "adjusted by",
    "retire": "retired by",
    "restore": "undone by",
}


class Register:
    """The fabric of one county over its tables. `read` gives a parcels layer's features, by table and role.

    A store says over which tables its index of boxes finds states, `_boxes`, and how, `_within`.
    """

    _boxes: str
    _within: str

    def __init__(self, tables: Tables, crs: CRS, read: Callable[[str, str], tuple[pd.DataFrame, Geoms]]) -> None:
        self.crs = crs
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._tables, self._read = tables, read
        self._surveys: dict[int, int] = {}  # version of the layer -> its event
        self._aside: dict[int, tuple[tuple[int, ...], frozenset[str]]] = {}

    # --- writing ----------------------------------------------------------------------------------

    def record(self, act: Act, make: Make) -> Event:
        with self._tables.writing():
            self.catch_up()
            if not self._one("SELECT max(seq) FROM parkplan_parcel_events"):
                raise UnknownName("this county has no parcels yet; import a layer of them first", role="parcels")
            now = self._now()
            parents = self._parents(act)
            effective = self._effective(act, parents, now)
            made = make(parents)
            self._judge_ids(act, [one.parcel for one in made.states])
            if not parents:
                self._judge_ground(made.states, effective)
            ground = [one.geometry for one in parents], [one.geometry for one in made.states]
            if parents and made.states and not conserved(*ground):
                raise BadInput("ground would be gained or lost", [Fault("the areas do not agree", "Report this")])
            document = act.document
            seq = self._insert_event(
                *(act.kind, effective, now, act.by, document.number, document.date.isoformat(), document.note),
                *(None, act.undoes, made.settled_m2),
            )
            self._close([(one.state, effective, seq) for one in parents])
            opened = self._open([_row(one, effective, seq) for one in made.states])
            if parents and made.states:
                child, parent, shared = overlap_m2(array(ground[1]), array(ground[0]))
                pairs = zip(child.tolist(), parent.tolist(), shared.tolist(), strict=True)
                self._link([(opened[c], parents[p].state, m2) for c, p, m2 in pairs])
            elif act.kind == "restore":
                resumed = zip(opened, made.states, strict=True)
                self._link([(state, one.resumes, float(one.geometry.area)) for state, one in resumed if one.resumes])
        return self.event(seq)[0]

    def _now(self) -> str:
        """The moment of recording; order is by sequence, so a clock that was set back does not go back here."""
        last = self._one("SELECT recorded_at FROM parkplan_parcel_events ORDER BY seq DESC LIMIT 1")
        return max(self.clock().astimezone(UTC).isoformat(timespec="microseconds"), last or "")

    def _parents(self, act: Act) -> list[State]:
        if len(set(act.parcels)) < len(act.parcels):
            fix = "Name each parcel once"
            raise BadInput("a parcel is named twice", [Fault("the same id stands more than once", fix)])
        standing = {one.parcel: one for one in self.at(ids=act.parcels)}
        for name in act.parcels:
            if name not in standing:
                fate = self.fate(name)
                if fate is None:
                    raise UnknownName(f"no parcel {name!r}", parcel_id=name)
                raise Stale(fate, parcel_id=name)
            if act.seen is not None and standing[name].opened_by > act.seen:
                raise Stale(f"parcel {name!r} has changed since event {act.seen}", parcel_id=name)
        return [standing[name] for name in act.parcels]

    def _effective(self, act: Act, parents: Sequence[State], now: str) -> str:
        today, made = now[:10], act.document.date.isoformat()
        since = max([one.valid_from for one in parents], default=ALWAYS)
        if act.undoes is not None:
            since = max(since, str(self._one(EFFECTIVE, act.undoes)))
        said = act.effective_on.isoformat() if act.effective_on else max(today, since, made)
        tomorrow = (date.fromisoformat(today) + timedelta(days=1)).isoformat()  # it is later in the day in the east
        faults = []
        if said > tomorrow:
            faults.append(Fault(f"{said} is still to come", "Record it on its day", field="effective_on"))
        if said < made:
            fix = "Give the document's day or a later one"
            faults.append(Fault(f"its document was made on {made}", fix, field="effective_on"))
        if said < since:
            fix = "Give that day or a later one"
            faults.append(Fault(f"the parcels stand as they are since {since}", fix, field="effective_on"))
        if faults:
            raise BadInput("the day it takes effect cannot be", faults)
        return said

    def _judge_ids(self, act: Act, ids: Sequence[str]) -> None:
        if act.kind in ("adjust", "restore"):
            again = [name for name in ids if name not in act.parcels and self.at(ids=[name])]
            if again:
                raise Stale(f"parcel {again[0]!r} stands already", parcel_id=again[0])
            return
        fix = "Give one that was never used; ids tell parcels apart for ever"
        used = [name for name in ids if self._one(EVER, name)]
        faults = [Fault("the id was used before", fix, feature=name) for name in used]
        if faults:
            raise BadInput("the new parcels cannot be registered", faults)

    def _judge_ground(self, states: Sequence[Fresh], effective: str) -> None:
        """No other parcel may hold the ground on that day or any later one."""
        faults = []
        for one in states:
            where = f"SELECT {STATE.format(source=self._boxes)} WHERE {self._within}"
            where += " AND (e.valid_to IS NULL OR e.valid_to > :day)"
            boxed = self._states(where, _box(one.geometry.bounds) | {"day": effective, "known": EVERYTHING})
            others = [other for other in boxed if other.valid_to is None or other.valid_to > other.valid_from]
            _, row, shared = overlap_m2(array([one.geometry]), array([other.geometry for other in others]))
            for n, m2 in zip(row, shared, strict=True):
                reason = f"{m2:,.2f} m2 of it are parcel {others[n].parcel!r}"
                faults.append(Fault(reason, "Adjust or retire that one", feature=one.parcel))
        if faults:
            raise BadInput("the ground is another parcel's", faults)

    def _insert_event(self, *values: Any) -> int:
        seq = 1 + int(self._one("SELECT max(seq) FROM parkplan_parcel_events") or 0)
        self._tables.append("parkplan_parcel_events", [(seq, *values)])
        return seq

    def _close(self, rows: Sequence[tuple[int, str, int]]) -> None:
        self._tables.append("parkplan_parcel_ends", rows)

    def _open(self, rows: Sequence[tuple[Any, ...]]) -> range:
        """Insert (parcel, geometry, attributes, valid_from, opened_by, resumes) rows; returns the states' numbers."""
        first = int(self._one("SELECT max(state) FROM parkplan_parcel_states") or 0) + 1
        states = range(first, first + len(rows))
        self._store([(state, *row) for state, row in zip(states, rows, strict=True)])
        return states

    def _store(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """The rows of states, as they stand in their table; the geometry is WKB."""
        self._tables.append("parkplan_parcel_states", rows)

    def _link(self, rows: Sequence[tuple[int, int, float]]) -> None:
        self._tables.append("parkplan_parcel_links", rows)

    # --- surveys ----------------------------------------------------------------------------------

    def catch_up(self) -> int:
        """Register the versions of the parcels layer that came before this fabric did; returns its last event."""
        ((latest, known, last),) = self._tables.all(
            "SELECT (SELECT max(version) FROM parkplan_layers WHERE role = 'parcels'),"
            " (SELECT max(layer_version) FROM parkplan_parcel_events WHERE layer_version IS NOT NULL),"
            " (SELECT max(seq) FROM parkplan_parcel_events)"
        )
        if latest is None or latest == known:
            return last or 0
        with self._tables.writing():
            sql = "SELECT version, table_name FROM parkplan_layers WHERE role = 'parcels' AND version > ?"
            for version, table in sorted(self._tables.all(sql, (known or 0,))):
                try:
                    self.survey(version, *self._read(table, "parcels"), judge=False)
                except (shapely.errors.GEOSException, LookupError, TypeError, ValueError) as error:
                    raise StoreBroken(
                        f"the layer {table} cannot be read from the county file", role="parcels"
                    ) from error
            return int(self._one("SELECT max(seq) FROM parkplan_parcel_events") or 0)

    def survey(self, version: int, features: pd.DataFrame, geometries: Geoms, *, judge: bool = True) -> None:
        """A version of the parcels layer as an event: in the caller's transaction, after its catalogue row.

        Without `judge` the layer was accepted before: no parcel is closed that the survey did not see as a whole.
        """
        ((at, by, source, vintage, extent),) = self._tables.all(
            "SELECT imported_at, imported_by, source, vintage, extent FROM parkplan_layers"
            " WHERE role = 'parcels' AND version = ?",
            (version,),
        )
        now = max(at, self._one("SELECT recorded_at FROM parkplan_parcel_events ORDER BY seq DESC LIMIT 1") or "")
        start, day = resurvey.period_of(vintage, now[:10])
        seq = self._insert_event("survey", day, now, by, None, None, str(source), version, None, 0.0)
        rows = resurvey.Rows(features, geometries)
        ground = shapely.from_wkb(extent)
        old = self._states(f"SELECT {STATE.format(source=STATES)} WHERE {STANDS}", {"valid": FOREVER, "known": seq})
        since: Sequence[str] = [ALWAYS] * len(rows.ids)
        opened_rows = list(range(len(rows.ids)))
        found = None
        if judge:
            touched = self._tables.all(TOUCHED, {"first": start, "last": day})
            resurvey.judge_vintage(rows, ground, touched, str(source), vintage)
        if old:
            before = "SELECT extent FROM parkplan_layers WHERE role = 'parcels' AND version < ?"
            found = resurvey.compare(
                rows,
                old,
                day,
                surveyed=ground,
                before=shapely.union_all(shapely.from_wkb(self._column(before, version))),
                ended_later=set(self._column(ENDED_LATER, day)),
                ever={name for name in rows.ids if self._one(EVER, name)},
            )
            if found.faults and judge:
                raise BadInput("the survey lies over parcels that it does not replace", found.faults)
            opened_rows, since = found.opened, found.since
            self._close([(state, day, seq) for state in found.closed])
        told = [(*rows.stored(row), first, seq, None) for row, first in zip(opened_rows, since, strict=True)]
        opened = self._open(told)
        closed = len(found.closed) if found else 0
        log.info("parcels@%d: %d states of parcels opened, %d closed", version, len(opened), closed)
        if found is not None:
            self._link([(opened[row], state, m2) for row, state, m2 in found.links])

    # --- reading ----------------------------------------------------------------------------------

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
        self.catch_up()
        with self._tables.reading():
            asked: dict[str, Any] = {
                "valid": valid.isoformat() if valid else FOREVER,
                "known": self._known(known),
                "after": after or "",
                "limit": EVERYTHING if limit is None else limit,
            }
            page = "AND s.parcel > :after ORDER BY s.parcel LIMIT :limit"
            if ids is not None:
                sql = f"SELECT {STATE.format(source=STATES)} WHERE s.parcel = :parcel AND {STANDS}"
                return [one for name in ids for one in self._states(sql, asked | {"parcel": name})]
            if bounds is None:
                return self._states(f"SELECT {STATE.format(source=STATES)} WHERE {STANDS} {page}", asked)
            sql, window = (
                f"SELECT {STATE.format(source=self._boxes)} WHERE {self._within} AND {STANDS} {page}",
                shapely.box(*bounds),
            )
            found: list[State] = []
            while True:  # what only its box touches does not count, so that a page may take another query
                boxed = self._states(sql, asked | _box(bounds))
                touch = shapely.intersects(array([one.geometry for one in boxed]), window)
                found += [one for one, meets in zip(boxed, touch, strict=True) if meets]
                if limit is None or len(found) >= limit or len(boxed) < limit:
                    return found[:limit]
                asked["after"] = boxed[-1].parcel

    def _known(self, day: date | None) -> int:
        """The last event recorded by the end of a day."""
        if day is None:
            return EVERYTHING
        last = self._one(
            "SELECT seq FROM parkplan_parcel_events WHERE recorded_at <= ? ORDER BY recorded_at DESC, seq DESC LIMIT 1",
            f"{day.isoformat()}T99",
        )
        return int(last or 0)

    def _states(self, sql: str, asked: dict[str, Any]) -> list[State]:
        rows = self._tables.all(sql, asked)
        shapes = shapely.from_wkb([row[2] for row in rows])
        return [
            State(state, parcel, shape, json.loads(told), since, opened_by, resumes, valid_to, closed_by)
            for (state, parcel, _, told, since, opened_by, resumes, valid_to, closed_by), shape in zip(
                rows, shapes, strict=True
            )
        ]

    def event(self, seq: int) -> tuple[Event, list[State], list[State]]:
        with self._tables.reading():
            rows = self._tables.all(f"SELECT {EVENT} FROM parkplan_parcel_events WHERE seq = ?", (seq,))
            if not rows:
                raise UnknownName(f"no event {seq} of the parcel fabric", event=seq)
            (found,) = rows
            many = found[1] == "survey"  # touches a whole layer: who asks for a parcel sees its own share
            asked = {"known": EVERYTHING, "seq": seq}
            source = f"{STATES} JOIN parkplan_parcel_ends c ON c.state = s.state AND c.closed_by = :seq"
            closed = [] if many else self._states(f"SELECT {STATE.format(source=source)} ORDER BY s.state", asked)
            sql = f"SELECT {STATE.format(source=STATES)} WHERE s.opened_by = :seq ORDER BY s.state"
            opened = [] if many else self._states(sql, asked)
            names = [tuple(one.parcel for one in some) for some in (closed, opened)]
            return replace(Event(*found), parents=names[0], children=names[1]), closed, opened

    def history(self, parcel: str) -> History:
        self.catch_up()
        with self._tables.reading():
            sql = f"SELECT {STATE.format(source=STATES)} WHERE s.parcel = :parcel ORDER BY s.state"
            states = self._states(sql, {"parcel": parcel, "known": EVERYTHING})
            if not states:
                raise UnknownName(f"no parcel {parcel!r}", parcel_id=parcel)
            numbers = {one.opened_by for one in states} | {one.closed_by for one in states if one.closed_by}
            events = [self._event_of(seq, states) for seq in sorted(numbers)]
            up, down = self._kin(parcel, "child", "parent"), self._kin(parcel, "parent", "child")
            return History(parcel, tuple(states), tuple(events), up, down)

    def _event_of(self, seq: int, states: Sequence[State]) -> Event:
        """An event as one parcel sees it; of a survey only its own share."""
        event, _, _ = self.event(seq)
        if event.kind != "survey":
            return event
        opened = [one.state for one in states if one.opened_by == seq]
        closed = [one.state for one in states if one.closed_by == seq]
        parents = [name for state in opened for name in self._linked(state, "child", "parent")]
        children = [name for state in closed for name in self._linked(state, "parent", "child")]
        own = states[0].parcel
        parents, children = parents + [own] * bool(closed), children + [own] * bool(opened)
        return replace(event, parents=tuple(dict.fromkeys(parents)), children=tuple(dict.fromkeys(children)))

    def _linked(self, state: int, own: str, other: str) -> list[str]:
        sql = (
            f"SELECT s.parcel FROM parkplan_parcel_links l JOIN parkplan_parcel_states s ON s.state = l.{other}"
            f" WHERE l.{own} = ?"
        )
        return self._column(sql, state)

    def _kin(self, parcel: str, own: str, other: str) -> tuple[str, ...]:
        """Ids whose ground came into a parcel, or its ground into them: reached by links, and sharing ground with it.

        What was merged and then restored shares no ground with its former partner, so un-merging leaves none behind.
        """
        rows = self._tables.all(
            "WITH RECURSIVE kin (origin, state) AS ("
            " SELECT state, state FROM parkplan_parcel_states WHERE parcel = ?"
            f" UNION SELECT kin.origin, l.{other} FROM parkplan_parcel_links l JOIN kin ON l.{own} = kin.state)"
            " SELECT kin.origin, kin.state, s.parcel FROM kin JOIN parkplan_parcel_states s ON s.state = kin.state"
            " WHERE s.parcel <> ? ORDER BY kin.state",
            (parcel, parcel),
        )
        if not rows:
            return ()
        ground = self._ground({number for origin, state, _ in rows for number in (origin, state)})
        mine, theirs = (array([ground[row[n]] for row in rows]) for n in (0, 1))
        shared = shapely.area(shapely.intersection(mine, theirs)) > CONSERVED_M2
        return tuple(dict.fromkeys(row[2] for row, shares in zip(rows, shared, strict=True) if shares))

    def _ground(self, states: Iterable[int]) -> dict[int, shapely.Geometry]:
        sql = "SELECT geometry FROM parkplan_parcel_states WHERE state = ?"
        return {state: shapely.from_wkb(self._one(sql, state)) for state in states}

    def fate(self, parcel: str) -> str | None:
        self.catch_up()
        with self._tables.reading():
            sql = f"SELECT {STATE.format(source=STATES)} WHERE s.parcel = :parcel ORDER BY s.state DESC LIMIT 1"
            found = self._states(sql, {"parcel": parcel, "known": EVERYTHING})
            if not found or found[0].closed_by is None:
                return None
            event, children = self.event(found[0].closed_by)[0], self._linked(found[0].state, "parent", "child")
            by = event.document_number or str(event.seq)
            became = f"; its ground is now part of {', '.join(map(repr, children[:20]))}" if children else ""
            return f"parcel {parcel!r} stands no more since {event.effective_on}: {DID[event.kind]} {by}{became}"

    # --- beside the layer that was surveyed ----------------------------------------------------------

    def edits(self, version: int, known: date | None = None) -> int | None:
        """The last event that made the parcels differ from a survey's file; None where they are as the file says."""
        last = self.catch_up()
        last = last if known is None else min(last, self._known(known))
        surveyed = self._surveyed(version)
        return last if last > surveyed or any(self._beside(version, surveyed)) else None

    def _surveyed(self, version: int) -> int:
        """The event of a survey, which never changes; 0 where there is none."""
        if version not in self._surveys:
            seq = int(self._one(SURVEY, version) or 0)
            if not seq:
                return 0
            self._surveys[version] = seq
        return self._surveys[version]

    def changes(self, version: int, until: int) -> Edits:
        """What differs at event `until` from the file of a survey."""
        with self._tables.reading():
            surveyed = int(self._one(SURVEY, version) or 0)
            extra, missing = self._beside(version, surveyed)
            gone = self._column(
                "SELECT s.parcel FROM parkplan_parcel_ends e JOIN parkplan_parcel_states s USING (state)"
                " WHERE e.closed_by > ? AND e.closed_by <= ? AND s.opened_by <= ?",
                *(surveyed, until, surveyed),
            )
            sql = f"SELECT {STATE.format(source=STATES)} WHERE {{}} AND e.valid_to IS NULL ORDER BY s.state"
            asked = {"known": until, "surveyed": surveyed}
            fresh = self._states(sql.format("s.opened_by > :surveyed AND s.opened_by <= :known"), asked)
            for state in extra:
                fresh += self._states(sql.format("s.state = :state"), asked | {"state": state})
            return Edits(frozenset(gone) | missing, tuple(fresh))

    def _beside(self, version: int, surveyed: int) -> tuple[tuple[int, ...], frozenset[str]]:
        """What the fabric kept beside a survey's file: states that stand all the same, and ids whose row does not."""
        if version not in self._aside:
            day = self._one(EFFECTIVE, surveyed)
            rows = self._tables.all(
                "SELECT s.state, s.parcel, s.valid_from FROM parkplan_parcel_states s"
                " LEFT JOIN parkplan_parcel_ends e ON e.state = s.state AND e.closed_by <= ?"
                " WHERE s.opened_by <= ? AND e.state IS NULL",
                (surveyed, surveyed),
            )
            stored = set(self._column(f'SELECT id FROM "parcels_v{version}"'))
            extra = [(state, name) for state, name, since in rows if name not in stored or since > day]
            missing = stored - {name for _, name, _ in rows} | {name for _, name in extra} & stored
            self._aside[version] = tuple(state for state, _ in extra), frozenset(missing)
        return self._aside[version]

    def _column(self, sql: str, *bindings: Any) -> list[Any]:
        return [value for (value,) in self._tables.all(sql, bindings)]

    def _one(self, sql: str, *bindings: Any) -> Any:
        rows = self._tables.all(sql, bindings)
        return rows[0][0] if rows else None


def _row(one: Fresh, effective: str, seq: int) -> tuple[Any, ...]:
    return one.parcel, shapely.to_wkb(one.geometry), resurvey.AS_JSON(one.attributes), effective, seq, one.resumes


def _box(bounds: Bounds) -> dict[str, float]:
    return dict(zip(("west", "south", "east", "north"), map(float, bounds), strict=True))
