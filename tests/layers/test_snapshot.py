"""What is cut at import: pieces, whether features share ground, and the digest that names the content."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from layers import snapshot
from layers.records import Geoms, Layer
from layers.snapshot import DUST_M2, as_wkb, cut, digest_of, overlapping
from scripts.bench.survey import survey

EXTENT = shapely.box(0, 0, 1, 1)


# --- features that share ground -------------------------------------------------------------------


def share_ground(geometries: Geoms) -> bool:
    """The slow way: every pair."""
    return any(
        shapely.area(shapely.intersection(one, other)) > DUST_M2
        for n, one in enumerate(geometries)
        for other in geometries[n + 1 :]
    )


def found(geometries: Any) -> bool:
    shapes = np.array([*geometries, None], dtype=object)[:-1]
    return overlapping(*cut(shapes))


def squares(columns: int, rows: int, side: float = 1.0, west: float = 0.0) -> Geoms:
    x, y = np.meshgrid(np.arange(columns) * side + west, np.arange(rows) * side)
    return shapely.box(x, y, x + side, y + side).ravel()


@st.composite
def blocks(draw: st.DrawFn) -> shapely.Geometry:
    """A rectangle on a small grid, perhaps with a hole, drawn either way round, starting anywhere."""
    west, south = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shape = shapely.box(west, south, west + width, south + height)
    if width > 2 and height > 2 and draw(st.booleans()):
        shape = shape.difference(shapely.box(west + 1, south + 1, west + 2, south + 2))
    if draw(st.booleans()):
        shape = shape.reverse()
    if draw(st.booleans()):
        shape = shapely.segmentize(shape, 1)
    return shape


@settings(max_examples=400, deadline=None)
@given(st.lists(blocks(), max_size=6))
@example([shapely.box(0, 0, 1, 1)] * 2)
@example([shapely.box(0, 0, 3, 3), shapely.box(1, 1, 2, 2)])
def test_shared_ground_is_found_as_by_looking_at_every_pair(shapes):
    assert found(shapes) == share_ground(np.array(shapes, dtype=object))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(blocks(), min_size=1, max_size=3), max_size=3))
def test_parts_of_one_feature_may_lie_on_each_other_and_those_of_two_may_not(features):
    shapes = [shapely.union_all(parts) for parts in features]
    assert found(shapes) == share_ground(np.array(shapes, dtype=object))


def test_two_whole_coverages_on_each_other_are_found_though_their_inner_borders_match():
    ours, theirs = squares(8, 8), squares(4, 4, side=2.0)
    assert not found(ours)
    assert not found(theirs)
    assert found([*ours, *theirs])
    assert found([*ours, *squares(8, 8, west=0.5)])
    assert found([*ours, *ours])


def test_a_border_that_both_sides_draw_with_other_vertices_is_no_overlap():
    left = shapely.box(0, 0, 1, 4)
    right = shapely.segmentize(shapely.box(1, 0, 2, 4), 0.5)
    assert not found([left, right])
    assert found([left, shapely.transform(right, lambda xy: xy - np.array([0.01, 0]))])


def test_dust_along_a_border_is_no_overlap():
    assert not found([shapely.box(0, 0, 1, 1), shapely.box(1 - 0.9 * DUST_M2, 0, 2, 1)])
    assert found([shapely.box(0, 0, 1, 1), shapely.box(1 - 1.1 * DUST_M2, 0, 2, 1)])


def test_an_enclave_in_a_hole_is_no_overlap_and_one_without_a_hole_is():
    yard, around = shapely.box(2, 2, 3, 3), shapely.box(0, 0, 5, 5)
    assert not found([around.difference(yard), yard])
    assert not found([around.difference(yard).reverse(), yard.reverse()])
    assert found([around, yard])
    assert found([around.difference(yard), yard, yard])  # three on a border, none of which is on the rim


def test_features_cut_into_pieces_share_ground_no_more_than_before():
    angle = np.linspace(0, 2 * np.pi, 2_000, endpoint=False)
    coast = shapely.Polygon(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * 1_000)
    sea = shapely.box(-2_000, -2_000, 2_000, 2_000).difference(coast)
    assert len(cut(np.array([coast, sea]))[0]) > 10
    assert not found([coast, sea])
    assert found([coast, sea, shapely.box(900, 0, 1_100, 10)])


def test_only_the_rim_of_a_coverage_is_looked_at_pair_by_pair(monkeypatch):
    cells = survey(2_500).geometry.to_numpy()
    looked_at = snapshot._unmatched(cells)
    rim = np.array([n % 50 in (0, 49) or n // 50 in (0, 49) for n in range(2_500)])
    assert looked_at[rim].all()
    assert looked_at[~rim].mean() < 0.02  # a few by chance
    monkeypatch.setattr(snapshot, "_share_ground", lambda first, second: len(first) > 5 * rim.sum())
    assert not overlapping(*cut(cells))


def test_no_areas_share_no_ground():
    assert not found([])
    assert not found([shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)]), shapely.Polygon()])


# --- the digest -----------------------------------------------------------------------------------


def digest(**columns: Any) -> str:
    return digest_of("zones", pd.DataFrame(columns), as_wkb(np.array([EXTENT, EXTENT])), EXTENT)


def test_equal_content_has_one_digest_however_it_is_held():
    assert digest(a=["x", None]) == digest(a=pd.Series(["x", None], dtype="str"))
    assert digest(a=["x", None]) == digest(a=pd.Series(["x", np.nan], dtype=object))
    assert digest(a=["x", "x"]) == digest(a=pd.Categorical(["x", "x"]).astype(object))
    assert digest(a=[1.0, np.nan]) == digest(a=pd.array([1.0, None], dtype="Float64"))
    assert digest(a=[True, False]) == digest(a=pd.Series([True, False], dtype=object))
    assert digest(a=np.array([1, 2], np.int16)) == digest(a=np.array([1, 2], np.int64))
    assert digest(a=pd.Series(["zx", "x", None], dtype="str")[1:].reset_index(drop=True)) == digest(a=["x", None])
    assert digest(a=[None, None]) == digest(a=[np.nan, np.nan])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["", "a"], [None, "a"]),
        (["1", "2"], [1, 2]),
        ([1, 2], [1.0, 2.0]),
        ([True, False], [1, 0]),
        ([0.0, 1.0], [np.nan, 1.0]),
        ([b"a", b"b"], ["a", "b"]),
        ([1, "a"], ["1", "a"]),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), ["2024-01-01", "2024-01-02"]),
    ],
)
def test_other_content_has_another_digest(one, other):
    assert digest(a=one) != digest(a=other)
    assert digest(a=one) == digest(a=one)


def test_the_digest_knows_columns_rows_and_ground():
    assert digest(a=["x", "y"]) != digest(b=["x", "y"])
    assert digest(a=["x", "y"]) != digest(a=["x", "y"], b=[None, None])
    table = pd.DataFrame({"id": ["1"]})
    known = {
        digest_of(role, table, as_wkb(np.array([shape])), extent)
        for role in ("zones", "plots")
        for shape in (EXTENT, EXTENT.reverse(), shapely.box(0, 0, 1, 1 + 1e-12))
        for extent in (EXTENT, shapely.box(0, 0, 2, 2))
    }
    assert len(known) == 12


# --- kept and read back ---------------------------------------------------------------------------


def test_pieces_come_back_in_order_whether_they_were_cut_or_not(tmp_path):
    angle = np.linspace(0, 2 * np.pi, 700, endpoint=False)
    lake = shapely.Polygon(np.stack([np.cos(angle), np.sin(angle)], axis=-1) * 100)
    pair = shapely.MultiPolygon([shapely.box(200, 0, 201, 1), shapely.box(300, 0, 301, 1)])
    shapes = np.array([shapely.box(400, 0, 401, 1), lake, pair, shapely.box(500, 0, 501, 1)])
    features = pd.DataFrame({"id": list("abcd"), "ready": [True, None, False, True]})
    layer = Layer("plots", 1, "x", "test", EXTENT, loaded=4)
    snapshot.write(tmp_path / "kept", features, shapes)
    read = snapshot.read(tmp_path / "kept", layer)
    pieces, owner = cut(shapes)
    assert shapely.equals_exact(read.pieces, pieces).all()
    np.testing.assert_array_equal(read.owner, owner)
    assert set(owner.tolist()) == {0, 1, 2, 3}
    whole, geometries = snapshot.read_whole(tmp_path / "kept", layer)
    assert shapely.equals_exact(geometries, shapes).all()
    assert whole["id"].tolist() == list("abcd")
