"""What is judged plain can be read, and reads as it was written; what would nest without end is not."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.sandbox.wkb import BROKEN, CURVED, DEEPEST, PLAIN, judge

POINT = shapely.Point(1, 2)
SQUARE = shapely.box(0, 0, 1, 1)
HOLED = shapely.Polygon(SQUARE.exterior.coords, [shapely.box(0.2, 0.2, 0.4, 0.4).exterior.coords])


def verdicts(*values: bytes | None) -> list[int]:
    return [int(one) for one in judge(pa.array(values, pa.binary()))]


def nested(depth: int, order: int = 1) -> bytes:
    return struct.pack("<BII" if order else ">BII", order, 7, 1) * depth + shapely.to_wkb(POINT)


shapes = st.recursive(
    st.sampled_from(
        [
            POINT,
            SQUARE,
            HOLED,
            shapely.LineString([(0, 0), (1, 1), (2, 0)]),
            shapely.Polygon(),
            shapely.Point(),
            shapely.MultiPoint([(0, 0), (1, 1)]),
            shapely.MultiPolygon([SQUARE, HOLED]),
            shapely.MultiPolygon([HOLED]),
            shapely.MultiLineString([[(0, 0), (1, 1)], [(2, 2), (3, 3), (4, 4)]]),
            shapely.GeometryCollection(),
        ]
    ),
    lambda inner: st.lists(inner, max_size=4).map(shapely.GeometryCollection),
    max_leaves=12,
)


@given(st.lists(shapes, max_size=8), st.integers(0, 1), st.sampled_from(["iso", "extended"]), st.booleans())
def test_whatever_shapely_writes_is_plain(made, order, flavor, high):
    made = [shapely.force_3d(one, 7.0) if high else one for one in made]
    values = [shapely.to_wkb(one, byte_order=order, flavor=flavor) for one in made]
    assert verdicts(*values) == [PLAIN] * len(values)


@given(shapes, st.data())
def test_what_is_cut_short_is_broken_or_geos_says_so_without_harm(made, data):
    whole = shapely.to_wkb(made)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    if verdicts(cut) == [PLAIN]:
        shapely.from_wkb(np.array([cut], dtype=object), on_invalid="ignore")


@given(st.lists(st.binary(max_size=80) | st.none(), max_size=6))
def test_any_bytes_have_a_verdict_and_plain_ones_do_no_harm(values):
    said = verdicts(*values)
    assert set(said) <= {PLAIN, CURVED, BROKEN}
    kept = [one for one, verdict in zip(values, said, strict=True) if verdict == PLAIN]
    shapely.from_wkb(np.array([*kept, None], dtype=object), on_invalid="ignore")


@pytest.mark.parametrize("order", [0, 1])
def test_nesting_has_an_end(order):
    assert verdicts(nested(DEEPEST, order), nested(DEEPEST + 1, order), nested(200_000, order)) == [
        PLAIN,
        BROKEN,
        BROKEN,
    ]


@pytest.mark.parametrize("outer", [4, 5, 6, 7])
def test_a_collection_hidden_in_any_kind_of_collection_is_found(outer):
    inner = struct.pack("<BII", 1, outer, 1) * 100_000 + shapely.to_wkb(POINT)
    second = struct.pack("<BII", 1, outer, 2) + shapely.to_wkb(POINT) + inner
    assert verdicts(inner, second) == [BROKEN, BROKEN]


def test_arcs_are_told_apart_also_within_collections():
    arc = struct.pack("<BII", 1, 8, 3) + struct.pack("<6d", 0, 0, 1, 1, 2, 0)
    curve = struct.pack("<BII", 1, 10, 1) + arc
    assert verdicts(arc, curve, struct.pack("<BII", 1, 7, 1) + curve, shapely.to_wkb(SQUARE)) == [CURVED] * 3 + [PLAIN]


def test_numbers_that_promise_too_much_are_broken():
    assert verdicts(struct.pack("<BII", 1, 6, 0xFFFFFFFF), struct.pack("<BII", 1, 99, 1), None, b"") == [BROKEN] * 4
    bombs = [struct.pack("<BII", 1, kind, 0xFFFFFFFF) for kind in (2, 3)]
    assert shapely.from_wkb(np.array(bombs, dtype=object), on_invalid="ignore").tolist() == [None, None]


def test_a_slice_of_a_column_is_judged_by_its_own_values():
    column = pa.array([nested(50), shapely.to_wkb(SQUARE), None, nested(50)], pa.binary())
    assert judge(column[1:3]).tolist() == [PLAIN, BROKEN]
    assert judge(column[:0]).tolist() == []
