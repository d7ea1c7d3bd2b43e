"""A thousand random operations on parcels against plain sets of cells: ground, days and kin agree, always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from layers import fabric as ops
from layers.errors import BadInput, Stale
from layers.fabric import Act, Document, Piece, State
from layers.ingest import from_frame
from layers.tiling import CONSERVED_M2
from tests.layers.files import EAST, NORTH, frame
from tests.stores import Stores

PAPER = Document("印自然资〔2026〕1号", date(2026, 1, 5))
SIDE = 6  # a mesh of SIDE x SIDE crooked cells; a parcel is a set of them
CELLS = [(row, column) for row in range(SIDE) for column in range(SIDE)]
Cells = frozenset[tuple[int, int]]


def mesh(seed: int) -> dict[tuple[int, int], shapely.Geometry]:
    draw = np.random.default_rng(seed)
    steps = np.arange(SIDE + 1) * 50.0
    nodes = np.stack(np.meshgrid(steps, steps), axis=-1) + draw.uniform(-15, 15, (SIDE + 1, SIDE + 1, 2))
    nodes += (EAST, NORTH)
    ring = [(0, 0), (0, 1), (1, 1), (1, 0)]
    return {(r, c): shapely.Polygon([nodes[r + i, c + j] for i, j in ring]) for r, c in CELLS}


CELL_GROUND = mesh(20261122)
START = {f"S{n}": frozenset((r, c) for r, c in CELLS if r // 2 * 3 + c // 2 == n) for n in range(9)}


def ground_of(cells: Cells) -> shapely.Geometry:
    return shapely.union_all([CELL_GROUND[cell] for cell in sorted(cells)])


def parts(cells: Cells) -> list[Cells]:
    """Cells that hang together by their edges."""
    left, found = set(cells), []
    while left:
        grown, edge = set(), {left.pop()}
        while edge:
            grown |= edge
            edge = {(r + i, c + j) for r, c in edge for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))} & left
            left -= edge
        found.append(frozenset(grown))
    return found


@dataclass
class Tenure:
    """A state as the model knows it; `before` says, cell by cell, whose it was before."""

    parcel: str
    cells: Cells
    since: str
    opened: int
    before: dict[tuple[int, int], tuple[str, ...]]
    root: int = -1
    until: str | None = None
    closed: int | None = None


@dataclass
class Book:
    """Every state and every event, in plain sets."""

    states: list[Tenure] = field(default_factory=list)
    events: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # seq: kind, effective, recorded

    def live(self) -> list[Tenure]:
        return [one for one in self.states if one.until is None]

    def at(self, valid: str, known: str) -> dict[str, Cells]:
        told = {seq for seq, (_, _, recorded) in self.events.items() if recorded <= known}
        return {
            one.parcel: one.cells
            for one in self.states
            if one.opened in told
            and one.since <= valid
            and not (one.closed in told and one.until is not None and one.until <= valid)
        }

    def ancestors(self, parcel: str) -> set[str]:
        mine = [one for one in self.states if one.parcel == parcel]
        return {name for one in mine for names in one.before.values() for name in names} - {parcel}

    def write(
        self,
        seq: int,
        kind: str,
        day: str,
        recorded: str,
        parents: list[Tenure],
        children: list[tuple[str, Cells, int]],
    ) -> None:
        self.events[seq] = kind, day, recorded
        for one in parents:
            one.until, one.closed = day, seq
        for name, cells, root in children:
            held = {cell: one for one in parents for cell in one.cells}
            if kind == "restore" and not parents:
                held = dict.fromkeys(cells, self.states[root])
            before = {cell: (*held[cell].before[cell], held[cell].parcel) if cell in held else () for cell in cells}
            number = len(self.states)
            self.states.append(Tenure(name, cells, day, seq, before, number if root < 0 else root))


class Fabric(RuleBasedStateMachine):
    """Random operations on a real county and on the book; both must say the same, always."""

    done = 0
    founded: Callable[[], Any]

    def __init__(self) -> None:
        super().__init__()
        self.store = type(self).founded()
        self.book = Book()
        self.now = datetime.now(UTC)
        self.names = 0
        children = [(name, cells, -1) for name, cells in START.items()]
        self.book.write(1, "survey", ops.ALWAYS, self.now.date().isoformat(), [], children)

    def teardown(self) -> None:
        self.store.close()

    def ground(self, cells: Cells) -> shapely.Geometry:
        return ground_of(cells)

    def fresh(self, count: int) -> list[str]:
        self.names += count
        return [f"N{self.names - n}" for n in range(count)][::-1]

    def prepare(self, data: st.DataObject, kind: Any, parents: list[Tenure], since: str = ops.ALWAYS) -> Act:
        """An act on a day between what its parcels allow and today, recorded some days after the last one."""
        self.now += timedelta(days=data.draw(st.integers(0, 9)))
        self.store.fabric.clock = lambda: self.now
        earliest = max([since, *(one.since for one in parents), (self.now - timedelta(days=30)).date().isoformat()])
        span = (self.now.date() - date.fromisoformat(earliest)).days
        day = date.fromisoformat(earliest) + timedelta(days=data.draw(st.integers(0, max(0, span))))
        return Act(kind, tuple(one.parcel for one in parents), PAPER, "x", day)

    def keep(self, event: Any, act: Act, parents: list[Tenure], children: list[tuple[str, Cells, int]]) -> None:
        assert act.effective_on is not None
        assert set(event.children) == {name for name, _, _ in children}
        assert set(event.parents) == {one.parcel for one in parents}
        self.book.write(
            event.seq, act.kind, act.effective_on.isoformat(), self.now.date().isoformat(), parents, children
        )
        type(self).done += 1

    def divided(self, data: st.DataObject, cells: Cells, groups: int) -> list[Cells]:
        """The cells in non-empty groups."""
        order = data.draw(st.permutations(sorted(cells)))
        cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1), min_size=groups - 1, max_size=groups - 1)))
        return [frozenset(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]

    def several(self) -> list[Tenure]:
        return [one for one in self.book.live() if len(one.cells) > 1]

    def touching(self) -> list[list[Tenure]]:
        live = [one for one in self.book.live() if len(parts(one.cells)) == 1]
        return [[a, b] for a in live for b in live if a is not b and len(parts(a.cells | b.cells)) == 1]

    @precondition(lambda self: self.several())
    @rule(data=st.data())
    def split_as_drawn(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.several()))
        groups = self.divided(data, one.cells, min(len(one.cells), data.draw(st.integers(2, 3))))
        act, names = self.prepare(data, "split", [one]), self.fresh(len(groups))
        pieces = [Piece(name, self.ground(cells)) for name, cells in zip(names, groups, strict=True)]
        event = ops.split(self.store.fabric, act, pieces)
        self.keep(event, act, [one], [(name, cells, -1) for name, cells in zip(names, groups, strict=True)])

    @precondition(lambda self: self.several())
    @rule(data=st.data())
    def split_by_lines(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.several()))
        some, others = self.divided(data, one.cells, 2)
        lines = [shapely.intersection(self.ground(some).boundary, self.ground(others).boundary)]
        lines = [line for line in shapely.get_parts(lines) if line.geom_type == "LineString"]
        pieces = parts(some) + parts(others)
        pieces.sort(key=lambda cells: self.ground(cells).centroid.x)
        if not lines:
            return
        act, names = self.prepare(data, "split", [one]), self.fresh(len(pieces))
        event = ops.split(self.store.fabric, act, [Piece(name) for name in names], lines)
        self.keep(event, act, [one], [(name, cells, -1) for name, cells in zip(names, pieces, strict=True)])

    @precondition(lambda self: self.touching())
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.touching()))
        act, (name,) = self.prepare(data, "merge", pair), self.fresh(1)
        event = ops.merge(self.store.fabric, act, Piece(name))
        self.keep(event, act, pair, [(name, pair[0].cells | pair[1].cells, -1)])

    @precondition(lambda self: self.touching())
    @rule(data=st.data())
    def adjust(self, data: st.DataObject) -> None:
        pair = data.draw(st.sampled_from(self.touching()))
        groups = self.divided(data, pair[0].cells | pair[1].cells, 2)
        act = self.prepare(data, "adjust", pair)
        shapes = [Piece(one.parcel, self.ground(cells)) for one, cells in zip(pair, groups, strict=True)]
        event = ops.adjust(self.store.fabric, act, shapes)
        self.keep(event, act, pair, [(one.parcel, cells, -1) for one, cells in zip(pair, groups, strict=True)])

    @precondition(lambda self: len(self.book.live()) > 3)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.book.live()))
        act = self.prepare(data, "retire", [one])
        self.keep(ops.retire(self.store.fabric, act), act, [one], [])

    @rule(data=st.data())
    def register(self, data: st.DataObject) -> None:
        act = self.prepare(data, "register", [])
        day = act.effective_on.isoformat()  # type: ignore[union-attr]
        taken = {
            cell
            for one in self.book.states
            if one.until is None or one.until > max(day, one.since)
            for cell in one.cells
        }
        free = sorted(set(CELLS) - taken)
        if not free:
            return
        cells, (name,) = frozenset(data.draw(st.sets(st.sampled_from(free), min_size=1))), self.fresh(1)
        event = ops.register(self.store.fabric, act, Piece(name, self.ground(cells)))
        self.keep(event, act, [], [(name, cells, -1)])

    @precondition(lambda self: len(self.book.events) > 1)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        seq = data.draw(
            st.sampled_from(
                [n for n, (kind, _, _) in self.book.events.items() if kind not in ("survey", "register")] or [0]
            )
        )
        if not seq:
            return
        opened = [one for one in self.book.states if one.opened == seq]
        closed = [one for one in self.book.states if one.closed == seq]
        live = {one.parcel: one for one in self.book.live()}
        now = [live[one.parcel] for one in opened if one.parcel in live]
        act = self.prepare(data, "restore", now, self.book.events[seq][1])
        day = act.effective_on.isoformat()  # type: ignore[union-attr]
        cells = {cell for one in closed for cell in one.cells}
        taken = {
            cell
            for one in self.book.states
            if one.until is None or one.until > max(day, one.since)
            for cell in one.cells
        }
        if [one.root for one in now] != [one.root for one in opened] or (not opened and closed[0].parcel in live):
            with pytest.raises(Stale):
                ops.restore(self.store.fabric, act, seq)
        elif not opened and cells & taken:
            with pytest.raises(BadInput, match="another parcel's"):
                ops.restore(self.store.fabric, act, seq)
        else:
            event = ops.restore(self.store.fabric, act, seq)
            self.keep(event, act, now, [(one.parcel, one.cells, one.root) for one in closed])

    @rule(data=st.data())
    def agree(self, data: st.DataObject) -> None:
        """Any day as known on any day: the same parcels, each on its cells, no gap, no overlap, the same area."""
        first = datetime.now(UTC).date() - timedelta(days=31)
        span = (self.now.date() - first).days
        valid, known = (first + timedelta(days=data.draw(st.integers(0, span))) for _ in range(2))
        self.compare(self.store.fabric.at(valid, known), self.book.at(valid.isoformat(), known.isoformat()))
        self.compare(self.store.fabric.at(), {one.parcel: one.cells for one in self.book.live()})
        parcel = data.draw(st.sampled_from(self.book.states)).parcel
        history = self.store.fabric.history(parcel)
        assert set(history.ancestors) == self.book.ancestors(parcel)
        everybody = {one.parcel for one in self.book.states}
        assert set(history.descendants) == {name for name in everybody if parcel in self.book.ancestors(name)}

    def compare(self, stored: list[State], wanted: dict[str, Cells]) -> None:
        assert {one.parcel for one in stored} == wanted.keys()
        assert len(stored) == len(wanted)
        for one in stored:
            assert one.geometry.is_valid
            assert one.geometry.symmetric_difference(self.ground(wanted[one.parcel])).area < CONSERVED_M2
        cells = frozenset().union(*wanted.values())
        ground = self.ground(cells) if cells else shapely.Polygon()
        total = sum(one.geometry.area for one in stored)
        assert abs(total - ground.area) < CONSERVED_M2
        assert abs(shapely.union_all([one.geometry for one in stored]).area - total) < CONSERVED_M2


@pytest.fixture
def meshed(stores: Stores) -> None:
    made = from_frame(frame(map(ground_of, START.values()), id=list(START)), "parcels", source="宗地.gpkg")

    def founded() -> Any:
        opened = stores.new()
        opened.put(made, by="测绘院")
        return opened

    Fabric.founded = staticmethod(founded)


def run(examples: int, steps: int, least: int) -> None:
    Fabric.done = 0
    run_state_machine_as_test(
        Fabric,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Fabric.done >= least


def test_a_hundred_and_fifty_random_operations_keep_ground_days_and_kin(meshed):
    run(examples=6, steps=40, least=150)


@pytest.mark.slow
def test_a_thousand_random_operations_keep_ground_days_and_kin(meshed):
    run(examples=52, steps=50, least=1_000)
