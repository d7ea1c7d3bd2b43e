"""What changed between two versions of a layer, on squares of 100 m that can be counted."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.difference import CHANGES, compare, order
from tests.layers.files import frame, square, squares


def layer(ids: str, **columns: list[object]) -> gpd.GeoDataFrame:
    return frame(squares(len(ids)), id=list(ids), **columns)


def test_the_same_layer_has_no_difference():
    found = compare(layer("abc", name=["甲", None, "丙"]), layer("abc", name=["甲", None, "丙"]))
    assert found.counts == {**dict.fromkeys(CHANGES, 0), "same": 3}
    assert len(found.changes) == 0


def test_added_and_gone_features_are_named_with_their_ground():
    old, new = layer("abc"), layer("abc").iloc[1:]
    new = gpd.GeoDataFrame({"id": ["b", "c", "d"]}, geometry=[*new.geometry, square(7)], crs=4545)
    found = compare(old, new)
    assert found.counts["added"] == found.counts["gone"] == 1
    assert found.same == 2
    rows = found.changes.set_index("change")
    assert rows.loc["added", "feature"] == "d"
    assert rows.loc["added", "new_m2"] == 10_000
    assert rows.loc["gone", "feature"] == "a"
    assert rows.loc["gone", "geometry"].equals(square(0))
    assert np.isnan(rows.loc["added", "old_m2"])


def test_ground_that_moved_is_measured_and_shown():
    old = layer("ab")
    new = old.copy()
    west, south, east, north = square(0).bounds
    new.geometry = [shapely.box(west, south, east + 10, north), old.geometry[1]]
    found = compare(old, new)
    (row,) = found.changes.itertuples()
    assert (row.change, row.feature, row.old_m2, row.new_m2) == ("ground", "a", 10_000, 11_000)
    assert row.moved_m2 == pytest.approx(1_000)
    assert row.geometry.bounds == (east, south, east + 10, north)


def test_a_changed_word_is_told_with_what_it_was():
    found = compare(layer("ab", name=["旱地", "林地"], n=[1.0, None]), layer("ab", name=["水田", "林地"], n=[1.0, 2.0]))
    told = {row.feature: json.loads(row.fields) for row in found.changes.itertuples()}
    assert told == {"a": {"name": ["旱地", "水田"]}, "b": {"n": [None, 2.0]}}
    assert found.counts["attributes"] == 2
    assert found.changes["moved_m2"].sum() == 0


def test_a_ring_that_starts_elsewhere_is_the_same_ground():
    old = layer("a")
    ring = list(old.geometry[0].exterior.coords)[:-1]
    turned = old.copy()
    turned.geometry = [shapely.Polygon([*ring[2:], *ring[:2]][::-1])]
    assert compare(old, turned).same == 1


def test_a_vertex_on_a_straight_edge_is_shown_though_no_ground_moved():
    old = layer("a")
    new = old.copy()
    new.geometry = [shapely.segmentize(old.geometry[0], 50)]
    (row,) = compare(old, new).changes.itertuples()
    assert row.change == "ground"
    assert row.moved_m2 == 0
    assert row.geometry.equals(old.geometry[0])


def test_features_without_ids_of_their_own_are_matched_by_ground():
    old = frame(squares(3), id=["plots-1", "plots-2", "plots-3"], name=["甲", "乙", "丙"])
    new = frame(squares(3)[[2, 0]], id=["plots-1", "plots-2"], name=["丙", "甲"])
    found = compare(old, new, by_ground=True)
    assert found.matched_by == "ground"
    assert found.counts["gone"] == 1
    assert found.same == 2
    assert compare(old, new).counts["ground+attributes"] == 2, "by made-up ids they would look redrawn"


def test_two_features_on_the_same_ground_stay_two():
    twin = frame(np.array([square(0), square(0)], dtype=object), id=["a", "b"])
    assert compare(twin, twin.iloc[:1], by_ground=True).counts == {**dict.fromkeys(CHANGES, 0), "gone": 1, "same": 1}


def test_columns_that_came_or_went_are_named():
    found = compare(layer("a", name=["甲"]), layer("a", grade=["一"]))
    assert (found.columns_added, found.columns_gone) == (("grade",), ("name",))
    assert found.same == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("kgrda"), min_size=1, max_size=12))
def test_every_feature_is_counted_once(fates):
    """k kept, g gone, r redrawn, d told anew, a added."""
    old_rows = [(f"f{n}", square(n), "x") for n, fate in enumerate(fates) if fate != "a"]
    new_rows = [
        (f"f{n}", square(n, side=90.0) if fate == "r" else square(n), "y" if fate == "d" else "x")
        for n, fate in enumerate(fates)
        if fate != "g"
    ]

    def made(rows):
        ids, ground, words = zip(*rows, strict=True) if rows else ((), (), ())
        return gpd.GeoDataFrame({"id": list(ids), "name": list(words)}, geometry=list(ground), crs=4545)

    found = compare(made(old_rows), made(new_rows[::-1]))
    counts = {letter: fates.count(letter) for letter in "kgrda"}
    assert found.counts == {
        "added": counts["a"],
        "gone": counts["g"],
        "ground": counts["r"],
        "attributes": counts["d"],
        "ground+attributes": 0,
        "same": counts["k"],
    }
    assert list(found.changes["moved_m2"].iloc[order(found.changes)]) == sorted(found.changes["moved_m2"], reverse=True)
