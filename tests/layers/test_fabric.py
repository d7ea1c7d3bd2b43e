"""What becomes of parcels: no ground is lost, every day can be asked for, and kin is known both ways."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import fabric as ops
from layers import resurvey, tiling
from layers.errors import BadInput, Stale, UnknownName
from layers.fabric import Act, Document, Piece
from layers.gpkg import GeoPackage
from layers.ingest import from_frame
from layers.records import Snapshot
from layers.tiling import CONSERVED_M2
from tests.layers.files import EAST, NORTH, county, frame
from tests.stores import Stores

ROOT = Path(__file__).resolve().parents[2]
EVERYWHERE = (-1e9, -1e9, 1e9, 1e9)
PAPER = Document("印自然资〔2026〕1号", date(2026, 1, 5))
TODAY = datetime.now(UTC).date()


def box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    return shapely.box(EAST + west, NORTH + south, EAST + east, NORTH + north)


def line(*points: tuple[float, float]) -> shapely.Geometry:
    return shapely.LineString([(EAST + x, NORTH + y) for x, y in points])


def put(
    store: Any,
    *shapes: shapely.Geometry,
    ids: list[str],
    extent: Any = None,
    vintage: Any = None,
    **columns: Any,
):
    made = frame(shapes, id=ids, **columns)
    return store.put(from_frame(made, "parcels", source="宗地.gpkg", extent=extent, vintage=vintage), by="测绘院")


def found(opened: Any) -> Any:
    """Two squares side by side, 100 m by 100 m, and a third one apart."""
    shapes = [box(0, 0, 100, 100), box(100, 0, 200, 100), box(300, 0, 400, 100)]
    put(
        opened,
        *shapes,
        ids=["P", "Q", "R"],
        name=["甲", "乙", "丙"],
        ready=[True, True, False],
        ZDDM=["P", "Q", "R"],
        ZDMJ=[1.0, 2.0, 3.0],
    )
    return opened


@pytest.fixture
def store(stores: Stores) -> Iterator[Any]:
    opened = found(stores.new())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    opened = found(county(tmp_path_factory.mktemp("founded")))
    opened.close()
    path: Path = opened.path
    return path


@pytest.fixture
def file(tmp_path: Path, founded: Path) -> Iterator[GeoPackage]:
    """The same in a county file."""
    opened = county(tmp_path / "county", founded)
    yield opened
    opened.close()


def act(kind: Any, *parcels: str, on: date | None = None, seen: int | None = None) -> Act:
    return Act(kind, parcels, PAPER, "张三", on, seen)


def split(store: Any, parcel: str, *ids: str, at: float = 40.0, **how: Any):
    lines = [line((at, -10), (at, 110))]
    return ops.split(store.fabric, act("split", parcel, **how), [Piece(name) for name in ids], lines)


def merge(store: Any, into: str, *parcels: str, **how: Any):
    return ops.merge(store.fabric, act("merge", *parcels, **how), Piece(into))


def restore(store: Any, seq: int, on: date | None = None):
    return ops.restore(store.fabric, act("restore", on=on), seq)


def ids(store: Any, valid: date | None = None, known: date | None = None) -> list[str]:
    return [one.parcel for one in store.fabric.at(valid, known)]


def near(store: Any, **asked: Any) -> Snapshot:
    found = store.at(**asked).near("parcels", EVERYWHERE)
    assert found is not None
    return found


def later(store: Any, days: int) -> date:
    """The store's clock set some days ahead."""
    moment = datetime.now(UTC) + timedelta(days=days)
    store.fabric.clock = lambda: moment
    return moment.date()


# --- ground ------------------------------------------------------------------------------------------


def test_a_cut_makes_pieces_that_are_the_parcel(store):
    event = split(store, "P", "P1", "P2")
    west, east = store.fabric.at(ids=["P1", "P2"])
    assert (event.kind, event.parents, event.children) == ("split", ("P",), ("P1", "P2"))
    assert [one.geometry.area for one in (west, east)] == pytest.approx([4_000, 6_000], abs=1e-6)
    assert west.geometry.union(east.geometry).symmetric_difference(box(0, 0, 100, 100)).area < 1e-6
    shared = west.geometry.intersection(east.geometry)
    assert (shared.geom_type, shared.length) == ("LineString", pytest.approx(100))


def test_a_cut_drawn_a_hair_short_of_the_boundary_cuts_all_the_same(store):
    short = line((40, 0.006), (40, 99.993))
    ops.split(store.fabric, act("split", "P"), [Piece("P1"), Piece("P2")], [short])
    assert sum(one.geometry.area for one in store.fabric.at(ids=["P1", "P2"])) == pytest.approx(10_000, abs=1e-6)


@pytest.mark.parametrize(
    ("lines", "names", "says"),
    [
        ([line((40, -10), (40, 50))], ["A", "B"], "a cut ends inside after 50.00 m"),
        ([line((40, -10), (40, -5))], ["A", "B"], "the lines cut nothing off"),
        ([line((40, -10), (40, 110)), line((60, -10), (60, 110))], ["A", "B"], "the lines make 3 pieces"),
        ([line((0.0005, -10), (0.0005, 110))], ["A", "B"], "is no parcel"),
        ([line((40, -10), (40, 110)), line((40.005, -10), (40.005, 110))], ["A", "B", "C"], "0.500 m2 is no parcel"),
        ([line((40, -10), (40, 110))], ["A", "A"], "the id stands more than once"),
        ([line((40, -10), (40, 110))], ["A", "Q"], "the id was used before"),
        ([line((40, -10), (40, 110))], ["A", " B"], "it cannot be an id"),
        ([line((40, -10), (40, 110))], ["A", "a/b"], "it cannot be an id"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_and_nothing_is_kept(store, lines, names, says):
    before = store.fabric.history("P")
    with pytest.raises(BadInput, match=says):
        ops.split(store.fabric, act("split", "P"), [Piece(name) for name in names], lines)
    assert store.fabric.history("P") == before


def test_drawn_pieces_take_the_parcels_own_boundary(store):
    off = 0.004  # what six decimals of a degree would not even tell
    drawn = [box(off, -off, 50, 100), box(50 + off, 0, 100, 100 + off)]
    event = ops.split(store.fabric, act("split", "P"), [Piece("A", drawn[0]), Piece("B", drawn[1])])
    a, b = store.fabric.at(ids=["A", "B"])
    assert a.geometry.union(b.geometry).symmetric_difference(box(0, 0, 100, 100)).area < 1e-6
    assert a.geometry.intersection(b.geometry).area == 0
    assert 0 < event.settled_m2 < 2
    assert a.geometry.area == pytest.approx(5_000, abs=1)


def test_every_fault_of_drawn_pieces_is_said_at_once(store):
    drawn = [box(-20, 0, 50, 100), box(45, 0, 80, 100)]
    with pytest.raises(BadInput) as told:
        ops.split(store.fabric, act("split", "P"), [Piece("A", drawn[0]), Piece("B", drawn[1])])
    said = str(told.value)
    assert "2,000.00 m2 of it lie outside" in said
    assert "A, B: they share 500.00 m2" in said
    assert "2,000.00 m2 around" in said
    assert "belong to no piece" in said


def test_a_piece_may_be_of_several_parts(store):
    outer = shapely.union_all([box(0, 0, 30, 100), box(70, 0, 100, 100)])
    ops.split(store.fabric, act("split", "P"), [Piece("A", outer), Piece("B", box(30, 0, 70, 100))])
    a, b = store.fabric.at(ids=["A", "B"])
    assert (a.geometry.geom_type, a.geometry.area, b.geometry.area) == ("MultiPolygon", 6_000, 4_000)


def test_merged_parcels_share_a_boundary_or_say_that_they_do_not(store):
    merge(store, "M", "P", "Q")
    (whole,) = store.fabric.at(ids=["M"])
    assert (whole.geometry.geom_type, whole.geometry.area) == ("Polygon", 20_000)
    with pytest.raises(BadInput, match="they share no common boundary"):
        merge(store, "N", "M", "R")
    ops.merge(store.fabric, act("merge", "M", "R"), Piece("N"), multipart=True)
    assert store.fabric.at(ids=["N"])[0].geometry.geom_type == "MultiPolygon"


def test_a_merge_across_a_boundary_noded_on_one_side_only_is_one_polygon():
    slanted = shapely.Polygon([(EAST, NORTH), (EAST + 97.3, NORTH + 11.7), (EAST + 90, NORTH + 80), (EAST, NORTH + 70)])
    below = shapely.Polygon([(EAST, NORTH), (EAST + 97.3, NORTH + 11.7), (EAST + 99, NORTH - 60), (EAST, NORTH - 50)])
    cuts = [line((x, -100), (x + 3.1, 100)) for x in (11.1, 33.3, 71.7)]
    pieces = tiling.cut(slanted, cuts, "S").pieces  # their new vertices lie beside the neighbour's edge, not on it
    for n, piece in enumerate(pieces):
        joined = tiling.join([below, piece], ["below", str(n)])
        assert joined.geom_type == "Polygon"
        assert joined.area == pytest.approx(below.area + piece.area, abs=1e-6)
    whole = tiling.join([below, *pieces], list("abcde"))
    assert (whole.geom_type, len(whole.interiors)) == ("Polygon", 0)
    assert whole.area == pytest.approx(below.area + slanted.area, abs=1e-6)


def test_overlapping_parcels_are_not_merged_silently(stores):
    store = stores.new()
    put(store, box(0, 0, 100, 100), box(98, 0, 200, 100), ids=["P", "Q"])
    with pytest.raises(BadInput, match=r"they share 200.00 m2"):
        merge(store, "M", "P", "Q")
    store.close()


def test_a_boundary_is_adjusted_by_a_line_or_by_new_shapes(store):
    ops.adjust(store.fabric, act("adjust", "P", "Q"), [], [line((90, -5), (120, 105))])
    p, q = store.fabric.at(ids=["P", "Q"])
    assert p.geometry.area == pytest.approx(10_500, abs=1e-6)
    assert p.geometry.area + q.geometry.area == pytest.approx(20_000, abs=1e-6)
    assert shapely.relate_pattern(p.geometry, q.geometry, "F***1****")
    drawn = [Piece("P", box(0, 0, 60, 100)), Piece("Q", box(60, 0, 200, 100))]
    ops.adjust(store.fabric, act("adjust", "P", "Q"), drawn)
    assert [one.geometry.area for one in store.fabric.at(ids=["P", "Q"])] == pytest.approx([6_000, 14_000])
    with pytest.raises(BadInput, match="it would be left without ground"):
        ops.adjust(store.fabric, act("adjust", "P", "Q"), [], [line((-5, 50), (205, 50))])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.tuples(st.floats(0, 6.28), st.floats(-0.6, 0.6)), min_size=1, max_size=4),
)
def test_any_lines_cut_any_parcel_without_gain_or_loss(seed, lines):
    draw = np.random.default_rng(seed)
    angle = np.sort(draw.uniform(0, 2 * np.pi, 17))
    reach = draw.uniform(60, 250, 17)
    ground = shapely.Polygon(np.column_stack([EAST + reach * np.cos(angle), NORTH + reach * np.sin(angle)]))
    if not ground.is_valid:
        return
    drawn = []
    for turn, off in lines:
        across = np.array([np.cos(turn), np.sin(turn)])
        middle = np.array([EAST, NORTH]) + 100 * off * np.array([-across[1], across[0]])
        drawn.append(shapely.LineString([middle - 400 * across, middle + 400 * across]))
    try:
        pieces = tiling.cut(ground, drawn, "G").pieces
    except BadInput as refused:  # a piece too small, or a line beside the parcel
        if "no parcel" in str(refused) or "nothing off" in str(refused):
            return
        raise
    assert abs(shapely.area(pieces).sum() - ground.area) < CONSERVED_M2
    assert abs(shapely.union_all(pieces).area - ground.area) < CONSERVED_M2
    again = tiling.tile(ground, list(pieces), [str(n) for n in range(len(pieces))])
    assert shapely.area(again.pieces) == pytest.approx(shapely.area(pieces), abs=CONSERVED_M2)
    whole = tiling.join(
        list(pieces[np.argsort(draw.random(len(pieces)))]), list(map(str, range(len(pieces)))), multipart=True
    )
    assert whole.symmetric_difference(ground).area < CONSERVED_M2


# --- words -------------------------------------------------------------------------------------------


def test_attributes_are_inherited_unless_said_or_untrue_of_a_part(store):
    pieces = [Piece("P1", None, {"name": "甲一"}), Piece("P2", None, {"ready": None})]
    ops.split(store.fabric, act("split", "P"), pieces, [line((40, -10), (40, 110))])
    one, two = (state.attributes for state in store.fabric.at(ids=["P1", "P2"]))
    assert (one["name"], one["ready"], one["parcel_code"]) == ("甲一", True, "P1")
    assert one["parcel_area_m2"] is None  # what the register said of the whole
    assert (one["area_m2"], one["area_ellipsoid_m2"]) == (pytest.approx(4_000), pytest.approx(3_999.58, abs=0.01))
    assert (two["name"], two["ready"]) == ("甲", None)
    merge(store, "M", "P1", "P2")
    assert store.fabric.at(ids=["M"])[0].attributes["name"] is None
    with pytest.raises(BadInput) as told:
        ops.split(
            store.fabric,
            act("split", "Q"),
            [Piece("Q1", None, {"owner": "x", "id": "y"}), Piece("Q2", None, {"ready": "yes", "name": 3})],
            [line((140, -10), (140, 110))],
        )
    assert sorted(fault.field for fault in told.value.faults) == ["id", "name", "owner", "ready"]


def test_a_parcel_code_has_codes_for_children(stores):
    store = stores.new()
    put(store, box(0, 0, 100, 100), ids=["520625001001GB00001"])
    with pytest.raises(BadInput, match="no parcel code") as told:
        split(store, "520625001001GB00001", "520625001001GB00002", "520625001001XX00003")
    assert [fault.feature for fault in told.value.faults] == ["520625001001XX00003"]
    split(store, "520625001001GB00001", "520625001001GB00002", "520625001001GB00003")
    store.close()


# --- people ------------------------------------------------------------------------------------------


def test_the_second_of_two_who_split_a_parcel_is_told_what_became_of_it(store):
    split(store, "P", "P1", "P2")
    with pytest.raises(Stale, match=r"parcel 'P' stands no more .* split by 印自然资〔2026〕1号.* 'P1', 'P2'"):
        split(store, "P", "X1", "X2")
    with pytest.raises(UnknownName, match="no parcel 'nobody'"):
        split(store, "nobody", "X1", "X2")
    assert store.fabric.at(ids=["X1", "X2"]) == []


def test_who_saw_an_older_shape_is_told_so(store):
    seen = store.fabric.history("P").events[-1].seq
    ops.adjust(store.fabric, act("adjust", "P", "Q"), [], [line((90, -5), (90, 105))])
    with pytest.raises(Stale, match=f"has changed since event {seen}"):
        split(store, "P", "P1", "P2", seen=seen)
    split(store, "P", "P1", "P2", seen=seen + 1)


def test_an_operation_takes_effect_neither_before_its_parcels_nor_in_the_future(store):
    split(store, "P", "P1", "P2", on=TODAY)
    with pytest.raises(BadInput, match=f"stand as they are since {TODAY}"):
        merge(store, "M", "P1", "P2", on=TODAY - timedelta(days=1))
    with pytest.raises(BadInput, match="still to come"):
        merge(store, "M", "P1", "P2", on=TODAY + timedelta(days=2))
    merge(store, "M", "P1", "P2", on=TODAY)
    assert ids(store) == ["M", "Q", "R"]


def test_an_operation_takes_no_effect_before_its_document_was_made(store):
    with pytest.raises(BadInput, match="its document was made on 2026-01-05") as told:
        split(store, "P", "P1", "P2", on=PAPER.date - timedelta(days=1))
    assert [fault.field for fault in told.value.faults] == ["effective_on"]
    assert ids(store) == ["P", "Q", "R"]
    split(store, "P", "P1", "P2", on=PAPER.date)
    assert store.fabric.at(ids=["P1"])[0].valid_from == "2026-01-05"


def test_a_document_that_is_still_to_be_made_makes_nothing(store):
    paper = Document("印自然资〔2999〕1号", TODAY + timedelta(days=3))
    with pytest.raises(BadInput, match="still to come"):
        ops.retire(store.fabric, Act("retire", ("P",), paper, "张三"))
    assert ids(store) == ["P", "Q", "R"]


def test_a_county_without_parcels_has_no_fabric(stores):
    store = stores.new()
    with pytest.raises(UnknownName, match="import a layer"):
        ops.register(store.fabric, act("register"), Piece("N", box(0, 0, 1, 1)))
    assert store.fabric.at() == []
    store.close()


def test_plain_ground_is_registered_where_nobody_holds_it(store):
    with pytest.raises(BadInput, match=r"5,000.00 m2 of it are parcel 'R'"):
        ops.register(store.fabric, act("register"), Piece("N", box(250, 0, 350, 100)))
    ops.register(store.fabric, act("register"), Piece("N", box(200, 0, 300, 100), {"name": "新"}))
    assert ids(store) == ["N", "P", "Q", "R"]
    ops.retire(store.fabric, act("retire", "N"))
    assert ids(store) == ["P", "Q", "R"]
    assert store.fabric.fate("N") == f"parcel 'N' stands no more since {TODAY}: retired by {PAPER.number}"
    restore(store, ops.undoable(store.fabric, "N"))
    assert ids(store) == ["N", "P", "Q", "R"]
    ops.retire(store.fabric, act("retire", "N"))
    ops.register(store.fabric, act("register"), Piece("N2", box(200, 0, 250, 100)))
    with pytest.raises(BadInput, match="are parcel 'N2'"):
        restore(store, ops.undoable(store.fabric, "N"))


# --- kin ---------------------------------------------------------------------------------------------


def kin(store: Any, parcel: str) -> tuple[set[str], set[str]]:
    history = store.fabric.history(parcel)
    return set(history.ancestors), set(history.descendants)


def test_unmerging_brings_the_parcels_back_and_leaves_no_false_kin(store):
    split(store, "P", "P1", "P2")
    merged = merge(store, "M", "P2", "Q")
    assert kin(store, "M") == ({"P", "P2", "Q"}, set())
    restore(store, merged.seq)
    assert ids(store) == ["P1", "P2", "Q", "R"]
    assert kin(store, "Q") == ({"M"}, {"M"})
    assert kin(store, "P2") == ({"P", "M"}, {"M"})
    assert kin(store, "P") == (set(), {"P1", "P2", "M"})
    assert kin(store, "M") == ({"P", "P2", "Q"}, {"P2", "Q"})
    assert kin(store, "P1") == ({"P"}, set())


def test_steps_are_undone_one_after_the_other_and_an_undoing_can_be_undone(store):
    first = split(store, "P", "P1", "P2")
    second = split(store, "P2", "P3", "P4", at=70.0)
    with pytest.raises(Stale, match="'P2' stands no more"):
        restore(store, first.seq)
    restore(store, second.seq)
    undone = restore(store, first.seq)
    assert ids(store) == ["P", "Q", "R"]
    assert store.fabric.at(ids=["P"])[0].geometry.equals(box(0, 0, 100, 100))
    restore(store, undone.seq)
    assert ids(store) == ["P1", "P2", "Q", "R"]
    assert kin(store, "P4") == ({"P", "P2"}, {"P", "P2"})
    with pytest.raises(BadInput, match="a survey cannot be undone"):
        restore(store, 1)


def test_who_gave_ground_in_an_adjustment_is_an_ancestor_who_gave_none_is_not(store):
    ops.adjust(store.fabric, act("adjust", "P", "Q"), [], [line((90, -5), (90, 105))])
    assert kin(store, "Q") == ({"P"}, set())
    assert kin(store, "P") == (set(), {"Q"})


# --- days --------------------------------------------------------------------------------------------


def test_what_was_known_on_a_day_of_another_day(store):
    surveyed = TODAY
    took_effect, asked, recorded = (surveyed + timedelta(days=n) for n in (10, 20, 40))
    later(store, 40)
    split(store, "P", "P1", "P2", on=took_effect)
    before, after = ["P", "Q", "R"], ["P1", "P2", "Q", "R"]
    assert ids(store, asked, recorded - timedelta(days=1)) == before  # nobody knew yet
    assert ids(store, asked, recorded) == after
    assert ids(store, took_effect, recorded) == after
    assert ids(store, took_effect - timedelta(days=1), recorded) == before
    assert ids(store, asked) == ids(store) == after
    assert ids(store, date(1990, 1, 1)) == before  # no record says otherwise
    assert ids(store, asked, surveyed - timedelta(days=1)) == []
    state = store.fabric.history("P").states[0]
    assert (state.valid_from, state.valid_to) == (ops.ALWAYS, took_effect.isoformat())


def test_a_correction_recorded_late_changes_what_is_known_and_not_what_was(store):
    """The boundary of P and Q was wrong since day 5; it is found out on day 30."""
    later(store, 3)
    split(store, "R", "R1", "R2", at=350.0)
    recorded = later(store, 30)
    wrong_since = TODAY + timedelta(days=5)
    ops.adjust(store.fabric, act("adjust", "P", "Q", on=wrong_since), [], [line((90, -5), (90, 105))])

    def area(valid: int, known: int) -> float:
        (one,) = store.fabric.at(TODAY + timedelta(days=valid), TODAY + timedelta(days=known), ids=["P"])
        return round(one.geometry.area)

    assert {(v, k): area(v, k) for v in (4, 5, 29, 30) for k in (0, 29, 30)} == {
        (4, 0): 10_000, (4, 29): 10_000, (4, 30): 10_000,
        (5, 0): 10_000, (5, 29): 10_000, (5, 30): 9_000,
        (29, 0): 10_000, (29, 29): 10_000, (29, 30): 9_000,
        (30, 0): 10_000, (30, 29): 10_000, (30, 30): 9_000,
    }  # fmt: skip
    event = store.fabric.history("P").events[-1]
    assert (event.effective_on, event.recorded_at[:10]) == (wrong_since.isoformat(), recorded.isoformat())


def test_a_clock_that_was_set_back_does_not_put_events_in_another_order(store):
    later(store, 10)
    split(store, "P", "P1", "P2")
    later(store, 2)
    merge(store, "M", "P1", "P2")
    times = [one.recorded_at for one in store.fabric.history("P1").events]
    assert times == sorted(times)
    assert ids(store, None, TODAY + timedelta(days=2)) == ["P", "Q", "R"]


# --- the layer `parcels` -----------------------------------------------------------------------------


def test_a_survey_that_nothing_followed_is_read_as_before(store):
    assert near(store).layer.label.startswith("parcels@1:")
    assert near(store).layer.edits is None
    assert near(store) is near(store)


def test_the_layer_says_what_the_fabric_says(store):
    label = near(store).layer.label
    event = split(store, "P", "P1", "P2")
    found = near(store)
    assert found.layer.label == label.replace("@1:", f"@1+{event.seq}:")
    assert near(store) is found
    assert found.features["id"].tolist() == ["Q", "R", "P1", "P2"]
    assert found.features["ready"].tolist() == [True, False, True, True]
    assert [round(found.area_m2[found.owner == row].sum()) for row in range(4)] == [10_000, 10_000, 4_000, 6_000]
    assert store.frame("parcels")["id"].tolist() == ["Q", "R", "P1", "P2"]
    assert store.frame("parcels", ids=["P1", "P"])["id"].tolist() == ["P1"]
    assert store.frame("parcels", version=1)["id"].tolist() == ["P", "Q", "R"]
    assert store.frame("parcels", bounds=box(1, 1, 2, 2).bounds)["id"].tolist() == ["P1"]
    assert store.ground("parcels", ["P", "P2"]).keys() == {"P2"}
    assert store.layers()[0].loaded == 3


def test_a_label_brings_back_the_parcels_an_answer_saw(store):
    split(store, "P", "P1", "P2")
    label = near(store).layer.label
    merge(store, "M", "P1", "P2")
    assert near(store).features["id"].tolist() == ["Q", "R", "M"]
    again = store.seen({"parcels": label}, TODAY, TODAY.year, {}).near("parcels", EVERYWHERE)
    assert again is not None
    assert (again.layer.label, again.features["id"].tolist()) == (label, ["Q", "R", "P1", "P2"])


def test_a_past_day_is_answered_as_the_parcels_were_known_then(store):
    split_on = later(store, 5)
    split(store, "P", "P1", "P2")
    assert near(store, as_of=split_on - timedelta(days=1)).features["id"].tolist() == ["P", "Q", "R"]
    assert near(store, as_of=split_on).features["id"].tolist() == ["Q", "R", "P1", "P2"]
    assert store.at(TODAY - timedelta(days=1)).near("parcels", EVERYWHERE) is None
    assert store.frame("parcels", as_of=split_on - timedelta(days=1))["id"].tolist() == ["P", "Q", "R"]
    assert store.frame("parcels", as_of=split_on, ids=["P", "P1"])["id"].tolist() == ["P1"]
    assert store.ground("parcels", ["P", "P1"], as_of=TODAY).keys() == {"P"}


def test_another_survey_opens_closes_and_knows_successors(store):
    split(store, "P", "P1", "P2")
    shapes = [box(0, 0, 40, 100), box(40, 0, 100, 60), box(40, 60, 100, 100), box(100, 0, 190, 100)]
    names = ["甲", "甲", "甲", "乙"]
    told: dict[str, Any] = {"name": names, "ready": [True] * 4, "ZDDM": ["P1", "N1", "N2", "Q"]}
    told["vintage"] = TODAY.isoformat()
    put(store, *shapes, ids=["P1", "N1", "N2", "Q"], extent=box(-10, -10, 250, 110), **told)
    assert ids(store) == ["N1", "N2", "P1", "Q", "R"]  # R lies outside of what was surveyed
    assert kin(store, "N1") == ({"P", "P2"}, set())
    assert kin(store, "P") == (set(), {"P1", "P2", "N1", "N2"})
    assert len(store.fabric.history("P1").states) == 1  # the same ground, the same words
    assert len(store.fabric.history("Q").states) == 2
    last = store.fabric.history("P2").events[-1]
    assert (last.kind, last.layer_version, last.parents, last.children) == ("survey", 2, ("P2",), ("N1", "N2"))
    assert sorted(near(store).features["id"]) == ["N1", "N2", "P1", "Q", "R"]
    assert near(store).layer.label.startswith("parcels@2+")
    merge(store, "M", "N1", "N2")
    assert sorted(near(store).features["id"]) == ["M", "P1", "Q", "R"]


def test_a_survey_older_than_a_split_does_not_undo_it(store):
    on = TODAY - timedelta(days=10)
    split(store, "P", "P1", "P2", on=on)
    shapes = [box(0, 0, 100, 100), box(100, 0, 200, 90)]
    put(store, *shapes, ids=["P", "Q"], name=["甲", "乙"], vintage=(on - timedelta(days=1)).isoformat())
    assert ids(store) == ["P1", "P2", "Q", "R"]
    assert store.fabric.at(ids=["Q"])[0].geometry.area == 9_000
    assert sorted(near(store).features["id"]) == ["P1", "P2", "Q", "R"]


def test_a_survey_of_other_ground_stands_since_before_the_records(store):
    put(store, box(900, 0, 950, 50), ids=["S"])
    (one,) = store.fabric.at(ids=["S"])
    assert one.valid_from == ops.ALWAYS
    assert ids(store) == ["P", "Q", "R", "S"]
    assert sorted(store.frame("parcels")["id"]) == ["P", "Q", "R", "S"]


def test_a_parcel_beside_the_surveyed_ground_gives_way_to_what_took_its_ground(store):
    put(store, box(305, 0, 460, 100), ids=["S"], extent=box(355, -10, 470, 110))
    assert ids(store) == ["P", "Q", "S"]
    assert kin(store, "S") == ({"R"}, set())
    assert store.fabric.at(ids=["S"])[0].valid_from == TODAY.isoformat()  # until then it was R


def survey(store: Any, shapes: dict[str, shapely.Geometry], **said: Any) -> None:
    put(store, *shapes.values(), ids=list(shapes), **said)


SQUARES = {"P": box(0, 0, 100, 100), "Q": box(100, 0, 200, 100), "R": box(300, 0, 400, 100)}
ALL_OF_IT = box(-10, -10, 410, 110)


def test_a_survey_that_finds_nothing_new_opens_nothing(stores):
    store = stores.new()
    survey(store, SQUARES)
    survey(store, SQUARES)
    assert ids(store) == ["P", "Q", "R"]
    assert [len(store.fabric.history(name).states) for name in SQUARES] == [1, 1, 1]
    store.close()


def test_a_survey_that_only_drops_a_parcel_closes_it(stores):
    store = stores.new()
    survey(store, SQUARES)
    survey(store, {"P": SQUARES["P"], "Q": SQUARES["Q"]}, extent=ALL_OF_IT)
    assert ids(store) == ["P", "Q"]
    assert str(store.fabric.fate("R")).endswith("dropped by the survey recorded as event 2")
    store.close()


def refused(store: Any, shapes: dict[str, shapely.Geometry], **said: Any) -> BadInput:
    """A survey that is refused and leaves the parcels as they were."""
    before = [(one.parcel, one.geometry.wkt) for one in store.fabric.at()]
    with pytest.raises(BadInput) as told:
        survey(store, shapes, **said)
    assert [(one.parcel, one.geometry.wkt) for one in store.fabric.at()] == before
    assert [layer.version for layer in store.layers()] == [1]
    return told.value


def test_a_sliver_in_a_parcel_does_not_close_it(store):
    (fault,) = refused(store, {"S": box(0, 0, 100, 2)}).faults
    assert (fault.feature, fault.reason[:41]) == ("S", "overlaps parcel 'P' by 200.00 m2, the res")
    assert "--extent" in fault.fix
    survey(store, {"S": box(0, 0, 100, 2)}, extent=box(0, 0, 100, 100))
    assert ids(store) == ["Q", "R", "S"]  # the rest was looked at, and nobody holds it


@pytest.mark.parametrize(("north", "goes"), [(89, False), (91, True)])
def test_successors_together_take_the_place_of_a_parcel_they_cover(store, north, goes):
    halves = {"S1": box(0, 0, 50, north), "S2": box(50, 0, 100, north)}
    if goes:
        survey(store, halves)
        assert ids(store) == ["Q", "R", "S1", "S2"]
        assert kin(store, "P") == (set(), {"S1", "S2"})
    else:
        assert [fault.feature for fault in refused(store, halves).faults] == ["S1", "S2"]


def test_a_parcel_half_of_which_was_surveyed_stays(store):
    survey(store, {"S": box(400, 0, 450, 100)}, extent=box(340, -10, 460, 110))
    assert ids(store) == ["P", "Q", "R", "S"]


def test_half_of_a_parcel_is_no_successor_of_it_even_where_its_middle_was_surveyed(store):
    (fault,) = refused(store, {"S": box(340, 0, 450, 100)}).faults
    assert fault.reason.startswith("overlaps parcel 'R' by 6,000.00 m2")


AGO = {
    "2024": (date(2024, 1, 1), date(2024, 12, 31)),
    "2024年": (date(2024, 1, 1), date(2024, 12, 31)),
    "2024年度": (date(2024, 1, 1), date(2024, 12, 31)),
    "2024-02": (date(2024, 2, 1), date(2024, 2, 29)),
    "2023/02": (date(2023, 2, 1), date(2023, 2, 28)),
    "202406": (date(2024, 6, 1), date(2024, 6, 30)),
    "2024年6月": (date(2024, 6, 1), date(2024, 6, 30)),
    "2024年6月9日": (date(2024, 6, 9), date(2024, 6, 9)),
    " 20240609 ": (date(2024, 6, 9), date(2024, 6, 9)),
    "2030": (date(2026, 3, 1), date(2026, 3, 1)),
    "2026": (date(2026, 1, 1), date(2026, 3, 1)),
    "2024-13": None,
    "2023-02-29": None,
    "20246": None,
    "第三次国土调查": None,
    "": None,
    None: None,
}


@pytest.mark.parametrize(("vintage", "days"), AGO.items(), ids=map(repr, AGO))
def test_a_vintage_is_a_day_a_month_or_a_year(vintage, days):
    first, last = (day.isoformat() for day in days) if days else (ops.ALWAYS, "2026-03-01")
    assert resurvey.period_of(vintage, "2026-03-01") == (first, last)


@pytest.mark.parametrize("vintage", ["2024", "2024-06", "2024年", "2024-06-01"])
def test_a_survey_of_an_older_year_or_month_does_not_undo_a_split(store, vintage):
    split(store, "P", "P1", "P2")
    survey(store, SQUARES | {"Q": box(100, 0, 200, 90)}, vintage=vintage)
    assert ids(store) == ["P1", "P2", "Q", "R"]
    assert store.fabric.at(ids=["Q"])[0].valid_from == resurvey.period_of(vintage, "2026-01-01")[1]


@pytest.mark.parametrize("vintage", [None, "第三次调查", f"{TODAY:%Y}"])
def test_a_survey_that_may_be_older_than_a_split_has_to_say_its_day(store, vintage):
    if vintage == f"{TODAY:%Y}" and TODAY.timetuple().tm_yday == 1:
        pytest.skip("the year has one day yet")
    split(store, "P", "P1", "P2")
    (fault,) = refused(store, SQUARES, vintage=vintage).faults
    assert (fault.file, fault.layer, fault.field) == ("宗地.gpkg", "parcels", "vintage")
    assert "P, P1, P2" in fault.reason
    assert "--vintage" in fault.fix
    survey(store, SQUARES, vintage=TODAY.isoformat())
    assert ids(store) == ["P", "Q", "R"]


def test_a_survey_without_vintage_asks_for_none_where_nothing_was_done(store):
    ops.retire(store.fabric, act("retire", "P"))
    refused(store, {"P": box(900, 0, 950, 50)})  # elsewhere, with the id of a parcel that was retired
    survey(store, {"S": box(900, 0, 950, 50)})
    assert ids(store) == ["Q", "R", "S"]


def test_a_new_parcel_of_an_old_survey_does_not_lie_over_what_was_split_since(store):
    split(store, "P", "P1", "P2")
    faults = refused(store, {"S": box(0, 0, 100, 100)}, vintage="2024").faults
    assert [fault.feature for fault in faults] == ["S", "S"]
    assert all(f"as it is since {TODAY}" in fault.reason for fault in faults)
    assert {fault.reason.split("'")[1] for fault in faults} == {"P1", "P2"}


def test_an_older_county_file_keeps_what_its_later_surveys_did_not_see(file):
    """A layer that is there already is not refused: what it did not see as a whole stays."""
    again = without_fabric(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(again.fabric), "survey", lambda *_, **__: None)
        survey(again, {"S": box(0, 0, 100, 2)})
    again.close()
    again = GeoPackage(file.path)
    try:
        assert ids(again) == ["P", "Q", "R", "S"]
    finally:
        again.close()


def sql(path: Path, *statements: str) -> list[Any]:
    """What another program sees and does; by the store's own SQLite, as two in one process drop each other's locks."""
    with contextlib.closing(apsw.Connection(str(path))) as other:
        return [list(other.execute(statement)) for statement in statements][-1]


def surveys(path: Path) -> list[Any]:
    return sql(path, "SELECT kind, layer_version FROM parkplan_parcel_events ORDER BY seq")


def without_fabric(store: Any) -> GeoPackage:
    """The county as a version before the fabric left it."""
    store.close()
    tables = [f"parkplan_parcel_{table}" for table in ("events", "states", "ends", "links")]
    drop = [f"DROP TRIGGER {table}_{what}" for table in tables for what in ("stays", "keeps", "grows")]
    sql(store.path, *drop, *(f"DROP TABLE {table}" for table in (*tables, "rtree_parkplan_parcel_boxes")))
    return GeoPackage(store.path)


def test_a_survey_is_registered_with_the_layer_itself(file):
    assert surveys(file.path) == [("survey", 1)]
    again = without_fabric(file)
    put(again, box(0, 0, 100, 90), ids=["P"])
    again.close()
    assert surveys(file.path) == [("survey", 1), ("survey", 2)]


def test_an_older_county_file_gets_its_fabric_when_it_is_asked(file):
    put(file, box(0, 0, 100, 90), box(300, 0, 400, 100), ids=["P", "R"], extent=box(-10, -10, 410, 110))
    again = without_fabric(file)
    try:
        assert surveys(file.path) == []
        assert again.frame("parcels")["id"].tolist() == ["P", "R"]
        assert surveys(file.path) == [("survey", 1), ("survey", 2)]
        assert [one.layer_version for one in again.fabric.history("P").events] == [1, 2]
        split(again, "P", "P1", "P2")
        assert ids(again) == ["P1", "P2", "R"]
    finally:
        again.close()


def test_two_programs_see_each_others_events(stores, store):
    other = stores.again(store)
    try:
        assert near(other).features["id"].tolist() == ["P", "Q", "R"]
        split(store, "P", "P1", "P2")
        assert near(other).features["id"].tolist() == ["Q", "R", "P1", "P2"]
        with pytest.raises(Stale):
            split(other, "P", "X1", "X2")
    finally:
        other.close()


# --- it only grows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE parkplan_parcel_events SET effective_on = '2000-01-01'",
        "UPDATE parkplan_parcel_states SET parcel = 'X'",
        "UPDATE parkplan_parcel_ends SET valid_to = '2000-01-01'",
        "UPDATE parkplan_parcel_links SET shared_m2 = 0",
        "DELETE FROM parkplan_parcel_events",
        "DELETE FROM parkplan_parcel_states",
        "DELETE FROM parkplan_parcel_ends",
        "DELETE FROM parkplan_parcel_links",
        "INSERT OR REPLACE INTO parkplan_parcel_ends SELECT * FROM parkplan_parcel_ends",
        "INSERT OR REPLACE INTO parkplan_parcel_states SELECT * FROM parkplan_parcel_states",
        "REPLACE INTO parkplan_parcel_events SELECT * FROM parkplan_parcel_events",
        "REPLACE INTO parkplan_parcel_links SELECT * FROM parkplan_parcel_links",
    ],
)
def test_what_is_recorded_is_not_rewritten(file, harm):
    split(file, "P", "P1", "P2")
    before = file.fabric.history("P")
    with pytest.raises(apsw.ConstraintError, match="only grows"):
        sql(file.path, harm)
    assert file.fabric.history("P") == before


def test_an_operation_without_a_document_is_refused_by_the_file_itself(file):
    insert = "INSERT INTO parkplan_parcel_events (kind, effective_on, recorded_at, actor)"
    with pytest.raises(apsw.ConstraintError, match="CHECK"):
        sql(file.path, f"{insert} VALUES ('split', '2026-01-01', '2026-01-01', 'x')")


KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
import shapely
from layers import fabric, gpkg_fabric
from layers.gpkg import GeoPackage

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def split(path, moment, x):
    store = GeoPackage(Path(path))
    if moment == "before the commit":
        store._db.set_commit_hook(die)
    elif moment == "after the commit":
        gpkg_fabric.GeoPackageFabric.event = die
    else:
        setattr(gpkg_fabric.GeoPackageFabric, moment, die)
    cut = shapely.LineString([(x, 0), (x, 1e8)])
    paper = fabric.Document("1", date(2026, 1, 1))
    pieces = [fabric.Piece("P1"), fabric.Piece("P2")]
    fabric.split(store.fabric, fabric.Act("split", ("P",), paper, "x"), pieces, [cut])

x, *asked = sys.argv[1:]
for path, moment in zip(asked[::2], asked[1::2]):
    child = os.fork()
    if child == 0:
        split(path, moment, float(x))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked here")
def test_a_split_killed_at_any_step_is_there_wholly_or_not_at_all(tmp_path, founded):
    moments = {"_close": False, "_open": False, "_link": False, "before the commit": False, "after the commit": True}
    paths = {}
    for moment in moments:
        opened = county(tmp_path / moment, founded)
        opened.close()
        paths[moment] = opened.path
    asked = [str(word) for moment, path in paths.items() for word in (path, moment)]
    run = [sys.executable, "-c", KILLED, str(EAST + 40), *asked]
    said = subprocess.run(run, cwd=ROOT, timeout=120, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(-signal.SIGKILL)] * len(moments)
    for moment, split_done in moments.items():
        assert sql(paths[moment], "PRAGMA integrity_check") == [("ok",)]
        tables = ("rtree_parkplan_parcel_boxes", "parkplan_parcel_states")
        boxes, states = (sql(paths[moment], f"SELECT count(*) FROM {table}") for table in tables)
        assert boxes == states
        again = GeoPackage(paths[moment])
        try:
            assert ids(again) == (["P1", "P2", "Q", "R"] if split_done else ["P", "Q", "R"])
            assert sum(one.geometry.area for one in again.fabric.at()) == pytest.approx(30_000)
            if not split_done:
                split(again, "P", "P1", "P2")
            assert near(again).features["id"].tolist() == ["Q", "R", "P1", "P2"]
        finally:
            again.close()
