"""Faults drawn on purpose, one of each kind, found once and in the right place; repairs that keep their bounds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from layers.errors import BadInput
from layers.quality import CHECKS, Quality, Repaired, examine, repair, tolerances, write_page
from layers.quality.paths import paths, representatives, unmatched
from layers.quality.tolerances import SEVERITIES, table
from layers.quality.valid import made_valid
from layers.records import Geoms

EAST, NORTH = 564_900.0, 3_110_800.0


def at(*shapes: Any) -> Geoms:
    """Shapes drawn near the origin, moved to where a county lies, so that coordinates have their real size."""
    moved = [None if one is None else shapely.transform(one, lambda xy: xy + np.array([EAST, NORTH])) for one in shapes]
    return np.array([*moved, None], dtype=object)[:-1]


def names(count: int) -> list[str]:
    return [chr(ord("a") + n) for n in range(count)]


def look(*shapes: Any, role: str | None = None, classes: Sequence[str | None] | None = None, **given: Any) -> Quality:
    """The quality of shapes a, b, c, ...; `given` are tolerances with `__` for the dot."""
    figures = tolerances(role, {name.replace("__", "."): value for name, value in given.items()})
    drawn = at(*shapes)
    return examine(drawn, names(len(drawn)), crs=4545, role=role, classes=classes, tolerances_=figures)


def grid(across: int = 3, side: float = 50.0, but: Sequence[int] = ()) -> list[Polygon]:
    """Squares that share their vertices, row by row from the south west."""
    cells = [(n % across, n // across) for n in range(across * across) if n not in but]
    return [box(x * side, y * side, (x + 1) * side, (y + 1) * side) for x, y in cells]


def found_once(quality: Quality, check: str) -> Any:
    """The only fault there is; it must be of that check."""
    assert quality.counts == {name: int(name == check) for name in quality.counts}
    (row,) = quality.places.to_dict("records")
    assert row["check"] == check
    return row


def shifted(geometry: Any) -> Any:
    return shapely.transform(geometry, lambda xy: xy - np.array([EAST, NORTH]))


SQUARE = box(0, 0, 50, 50)
BOW_TIE = Polygon([(0, 0), (40, 40), (40, 0), (0, 40)])
NEEDLE = [(0, 0), (50, 0), (50, 50), (25.06, 50), (25.03, 55), (25, 50), (0, 50)]  # 0.06 m wide, 5 m long
TWICE_IN_FOUR = [(0, 0), (50, 0), (50, 30), (50, 30.02), (50, 50), (0, 50)]


# --- what is fine -------------------------------------------------------------------------------------


def test_a_coverage_that_shares_its_vertices_has_no_fault() -> None:
    quality = look(*grid(), role="land_use", classes=["agricultural"] * 9)
    assert quality.counts == dict.fromkeys(CHECKS, 0)
    assert len(quality.places) == 0
    assert quality.notes == ()
    assert quality.features == 9


def test_a_corner_that_lies_on_the_neighbours_border_is_no_fault() -> None:
    quality = look(box(0, 0, 50, 100), box(50, 0, 100, 50), box(50, 50, 100, 100), role="land_use")
    assert sum(quality.counts.values()) == 0


def test_neighbours_that_share_a_wiggly_border_have_no_fault() -> None:
    border = [(50, 0), (52.3, 11.1), (49.7, 23.9), (50, 50)]
    left = Polygon([(0, 0), *border, (0, 50)])
    right = Polygon([*border[::-1], (100, 0), (100, 50)])
    assert sum(look(left, right).counts.values()) == 0


def test_features_that_stand_apart_have_no_fault() -> None:
    assert sum(look(box(0, 0, 20, 20), box(30, 0, 50, 20), box(0, 40, 20, 60)).counts.values()) == 0


def test_an_empty_layer_has_no_fault() -> None:
    quality = look()
    assert quality.features == 0
    assert sum(quality.counts.values()) == 0


def test_a_road_of_parcels_is_no_gap_and_ground_missing_from_the_land_use_is() -> None:
    ring = grid(but=[4])
    assert sum(look(*ring, role="parcels").counts.values()) == 0
    gap = found_once(look(*ring, role="land_use"), "gap")
    assert gap["value"] == pytest.approx(50)
    assert gap["severity"] == "error"
    assert shifted(gap["geometry"]).equals(box(50, 50, 100, 100))


# --- one fault of each kind ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (None, "no geometry"),
        (Polygon(), "is empty"),
        (Polygon([(0, 0), (10, 10), (20, 20)]), "no area"),
        (LineString([(0, 0), (10, 0), (10, 9)]), "not closed"),
        (Point(3, 3), "not of the kind"),
    ],
)
def test_a_feature_without_ground_is_degenerate(shape: Any, said: str) -> None:
    row = found_once(look(box(100, 100, 150, 150), shape, role="parcels"), "degenerate")
    assert row["feature"] == "b"
    assert said in row["message_en"]


def test_coordinates_that_are_no_numbers_are_degenerate() -> None:
    with np.errstate(invalid="ignore"):
        row = found_once(look(SQUARE, Polygon([(60, 0), (70, np.nan), (70, 10)])), "degenerate")
    assert (row["feature"], row["geometry"]) == ("b", None)


def test_an_open_border_is_placed_between_its_ends() -> None:
    row = found_once(look(LineString([(0, 0), (10, 0), (10, 9), (0, 8)]), role="parcels"), "degenerate")
    assert shifted(row["geometry"]).equals(Point(0, 4))


def test_a_border_that_crosses_itself_is_invalid_at_the_crossing() -> None:
    row = found_once(look(BOW_TIE), "invalid")
    assert shifted(row["geometry"]).distance(Point(20, 20)) < 1e-6
    assert row["message_zh"] == "边界自相交"


def test_the_same_ground_drawn_from_another_corner_is_a_duplicate() -> None:
    again = Polygon([(50, 50), (50, 0), (0, 0), (0, 50)])
    row = found_once(look(SQUARE, box(60, 0, 90, 30), again), "duplicate")
    assert (row["feature"], row["other"], row["value"]) == ("c", "a", 1.0)


def test_the_same_ground_with_one_vertex_more_is_a_duplicate() -> None:
    again = Polygon([(0, 0), (25, 0), (50, 0), (50, 50), (0, 50)])
    row = found_once(look(SQUARE, again), "duplicate")
    assert (row["feature"], row["other"]) == ("b", "a")


def test_ground_drawn_three_times_is_two_duplicates() -> None:
    quality = look(SQUARE, SQUARE, SQUARE)
    assert quality.counts["duplicate"] == 2
    assert quality.counts["overlap"] == 0


def test_a_repeated_line_is_a_duplicate_too() -> None:
    row = found_once(look(LineString([(0, 0), (9, 9)]), LineString([(9, 9), (0, 0)])), "duplicate")
    assert row["feature"] == "b"


def test_an_overlap_is_found_with_its_area_and_ground() -> None:
    row = found_once(look(SQUARE, box(49, 0, 100, 50), role="parcels"), "overlap")
    assert (row["feature"], row["other"], row["severity"]) == ("a", "b", "error")
    assert row["value"] == pytest.approx(50)
    assert shifted(row["geometry"]).equals(box(49, 0, 50, 50))


def test_a_feature_inside_another_overlaps_it_though_no_borders_cross() -> None:
    row = found_once(look(SQUARE, box(10, 10, 20, 20)), "overlap")
    assert row["value"] == pytest.approx(100)


def test_a_layer_laid_over_another_whole_one_overlaps_everywhere() -> None:
    quality = look(*grid(2), *(shapely.affinity.translate(one, 25, 0) for one in grid(2)))
    assert quality.counts["overlap"] == 6  # two rows of: 1 on 1', 2 on 1', 2 on 2'


def test_an_overlap_in_two_places_is_one_fault_of_the_pair() -> None:
    comb = Polygon([(50, 0), (100, 0), (100, 50), (50, 50), (49, 50), (49, 40), (50, 40), (50, 10), (49, 10), (49, 0)])
    row = found_once(look(SQUARE, comb), "overlap")
    assert row["value"] == pytest.approx(20)
    assert shapely.get_num_geometries(row["geometry"]) == 2


def test_features_of_a_role_that_may_lie_on_each_other_are_warned_of() -> None:
    assert found_once(look(SQUARE, box(10, 10, 60, 60), role="hazards"), "overlap")["severity"] == "warn"


def test_a_strip_left_out_between_features_is_a_gap() -> None:
    middle = box(50, 50, 99.5, 100)
    row = found_once(look(*grid(but=[4]), middle, role="land_use"), "gap")
    assert row["value"] == pytest.approx(0.5, rel=1e-3)
    assert shifted(row["geometry"]).symmetric_difference(box(99.5, 50, 100, 100)).area < 0.02
    assert {row["feature"], row["other"]} == {"e", "i"}  # the neighbours on its long sides


def test_a_narrow_hole_of_one_feature_is_a_gap_and_a_wide_one_is_not() -> None:
    holed = SQUARE - box(10, 10, 10.5, 40)
    assert found_once(look(holed), "gap")["feature"] == "a"
    assert sum(look(SQUARE - box(10, 10, 20, 40)).counts.values()) == 0


def test_a_gap_round_an_island_is_found_whole() -> None:
    holed = SQUARE - box(10, 10, 40, 40)
    island = box(10.5, 10.5, 39.5, 39.5)
    row = found_once(look(holed, island), "gap")
    assert shapely.area(row["geometry"]) == pytest.approx(900 - 841)
    assert row["value"] == pytest.approx(0.5, rel=0.02)


def test_a_gap_closed_by_a_corner_on_a_border_is_found_though_the_corner_is_off_by_rounding() -> None:
    corner = 1e-9 / 3
    parts = [box(0, 0, 50, 100), box(50 + corner, 0, 100, 49.5), box(50 + corner, 50, 100, 100), box(100, 0, 150, 100)]
    assert found_once(look(*parts), "gap")["value"] == pytest.approx(0.5, rel=1e-2)


def test_a_hole_filled_by_a_feature_is_no_gap() -> None:
    ring = SQUARE - box(10, 10, 10.5, 40)
    assert sum(look(ring, box(10, 10, 10.5, 40)).counts.values()) == 0


def test_a_thin_small_overlap_is_a_sliver() -> None:
    row = found_once(look(SQUARE, Polygon([(49.94, 20), (100, 20), (100, 30), (49.94, 30)])), "sliver")
    assert (row["feature"], row["other"], row["severity"]) == ("a", "b", "warn")
    assert row["value"] == pytest.approx(0.06, rel=0.01)
    assert "0.6" in row["message_en"]


def test_a_thin_small_gap_is_a_sliver() -> None:
    row = found_once(look(SQUARE - box(20, 20, 20.08, 30), role="land_use"), "sliver")
    assert row["value"] == pytest.approx(0.08, rel=0.01)
    assert "gap" in row["message_en"]


def test_a_thin_overlap_of_much_ground_is_no_sliver() -> None:
    row = found_once(look(SQUARE, box(49.92, 0, 100, 50)), "overlap")
    assert row["value"] == pytest.approx(4)


def test_an_overlap_of_rounding_is_counted_and_not_listed() -> None:
    quality = look(SQUARE, box(50 - 1e-6, 0, 100, 50))
    assert sum(quality.counts.values()) == 0
    assert "1 overlaps of at most 0.001 m² or 0.0001 m width" in quality.notes[0][1]


def test_a_border_that_turns_back_on_itself_is_a_spike() -> None:
    row = found_once(look(Polygon(NEEDLE)), "spike")
    assert shifted(row["geometry"]).distance(Point(25.03, 55)) < 1e-6
    assert row["value"] == pytest.approx(np.degrees(2 * np.arctan(0.03 / 5)), rel=1e-6)
    assert row["other"] is None


def test_a_spike_the_neighbour_follows_is_one_fault_of_both() -> None:
    above = Polygon([(0, 50), (25, 50), (25.03, 55), (25.06, 50), (50, 50), (50, 90), (0, 90)])
    row = found_once(look(Polygon(NEEDLE), above), "spike")
    assert (row["feature"], row["other"]) == ("a", "b")


def test_a_sharp_corner_wider_than_the_angle_is_no_spike() -> None:
    assert look(Polygon([(0, 0), (100, 0), (100, 2)])).counts["spike"] == 0


def test_two_points_too_close_are_found_in_their_middle() -> None:
    row = found_once(look(Polygon(TWICE_IN_FOUR)), "near_point")
    assert row["value"] == pytest.approx(0.02)
    assert shifted(row["geometry"]).distance(Point(50, 30.01)) < 1e-6


def test_two_points_too_close_on_a_common_border_are_one_fault() -> None:
    right = Polygon([(50, 0), (100, 0), (100, 50), (50, 50), (50, 30.02), (50, 30)])
    row = found_once(look(Polygon(TWICE_IN_FOUR), right), "near_point")
    assert (row["feature"], row["other"]) == ("a", "b")


def test_a_repeated_point_is_a_near_point_of_no_distance() -> None:
    row = found_once(look(Polygon([(0, 0), (50, 0), (50, 0), (50, 50)])), "near_point")
    assert row["value"] == 0


def test_points_of_a_line_too_close_are_found() -> None:
    line = LineString([(0, 0), (10, 0), (10.01, 0), (30, 5)])
    row = found_once(look(line, role="rivers"), "near_point")
    assert row["value"] == pytest.approx(0.01)


def test_a_corner_that_just_misses_a_border_is_found() -> None:
    row = found_once(look(SQUARE, Polygon([(50.03, 25), (90, 10), (90, 40)])), "near_node")
    assert (row["feature"], row["other"]) == ("b", "a")
    assert row["value"] == pytest.approx(0.03)
    assert shifted(row["geometry"]).distance(Point(50.03, 25)) < 1e-6


def test_two_corners_that_miss_each_other_are_one_fault() -> None:
    assert found_once(look(SQUARE, box(50.02, 50.02, 90, 90)), "near_node")["value"] == pytest.approx(0.02 * 2**0.5)


def test_a_corner_beyond_the_tolerance_misses_nothing() -> None:
    assert sum(look(SQUARE, Polygon([(50.06, 25), (90, 10), (90, 40)])).counts.values()) == 0


def test_a_part_left_over_from_editing_is_tiny() -> None:
    row = found_once(look(MultiPolygon([SQUARE, box(60, 0, 61, 0.5)])), "tiny")
    assert row["value"] == pytest.approx(0.5)
    assert shifted(row["geometry"]).equals(box(60, 0, 61, 0.5))


def test_the_smallest_patch_goes_by_class_and_an_unknown_class_by_the_lowest() -> None:
    patch = box(0, 0, 30, 10)  # 300 m²: enough for construction, too small for farmland and for other land
    where = [shapely.affinity.translate(patch, n * 100, 0) for n in range(4)]
    quality = look(*where, role="land_use", classes=["construction", "agricultural", "unused", None])
    assert quality.places["feature"].tolist() == ["b", "c"]
    assert quality.places["tolerance"].tolist() == [400, 600]
    assert "1 features of unknown class" in quality.notes[0][1]


# --- checks together ----------------------------------------------------------------------------------


def test_the_ground_of_an_invalid_feature_is_compared_all_the_same() -> None:
    below, on_its_wing = box(15, 0, 25, 4), box(35, 10, 39, 20)
    assert look(BOW_TIE, below).counts["overlap"] == 0
    quality = look(BOW_TIE, on_its_wing)
    assert (quality.counts["invalid"], quality.counts["overlap"]) == (1, 1)


def test_a_check_that_is_off_is_not_counted() -> None:
    quality = look(SQUARE, box(40, 0, 90, 50), overlap__severity="off")
    assert "overlap" not in quality.counts
    assert len(quality.places) == 0
    assert quality.summary().set_index("check")["places"].isna().sum() == 1


def test_a_given_tolerance_holds_and_is_said() -> None:
    found_once(look(SQUARE, box(49, 0, 100, 50), role="parcels", sliver__width_m=2, sliver__area_m2=60), "sliver")
    given_row = tolerances("parcels", {"sliver.width_m": 2}).rows.set_index("check").loc["sliver.width_m"]
    assert (given_row["value"], given_row["role"]) == ("2", "given")


def test_progress_goes_from_nothing_to_all() -> None:
    told: list[float] = []
    drawn = at(*grid(), None)
    examine(drawn, names(10), role="land_use", progress=lambda text, share: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


corner_m = st.integers(0, 40).map(lambda n: n / 2)
boxes = st.tuples(corner_m, corner_m, st.integers(2, 20), st.integers(2, 20)).map(
    lambda one: box(one[0], one[1], one[0] + one[2] / 2, one[1] + one[3] / 2)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(boxes, min_size=2, max_size=12, unique_by=lambda one: one.wkt))
def test_overlaps_are_those_of_every_pair_taken_by_itself(drawn: list[Polygon]) -> None:
    quality = look(*drawn, tiny__severity="off")
    expected = {
        (one, other): drawn[one].intersection(drawn[other]).area
        for one, other in combinations(range(len(drawn)), 2)
        if drawn[one].intersection(drawn[other]).area > 0
    }
    said = quality.places[quality.places["check"] == "overlap"]
    order = {name: n for n, name in enumerate(names(len(drawn)))}
    found = {(order[a], order[b]): v for a, b, v in zip(said["feature"], said["other"], said["value"], strict=True)}
    assert found == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=14, unique_by=lambda one: one.wkt), st.sampled_from([1, 2, 4, 256]))
def test_gaps_are_the_holes_of_the_joint_ground_however_it_is_cut_into_tiles(drawn: list[Polygon], tile: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("layers.quality.between.TILE", tile)
        quality = look(*drawn, gap__width_m=1000)
    joint = shapely.union_all(drawn)
    solid = shapely.union_all([Polygon(part.exterior) for part in shapely.get_parts(joint)])
    missing = solid.difference(joint)
    found = quality.places[quality.places["check"] == "gap"].geometry.to_numpy()
    assert shapely.area(found).sum() == pytest.approx(missing.area, abs=1e-3)
    assert shapely.union_all(shifted(found)).symmetric_difference(missing).area < 1e-2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(range(16)), min_size=2, max_size=16, unique=True), st.integers(0, 15), st.booleans())
def test_a_coverage_is_clean_exactly_where_geos_calls_it_one(cells: list[int], bent: int, bend: bool) -> None:
    drawn = [grid(4)[n] for n in cells]
    if bend:
        n = bent % len(drawn)
        drawn[n] = shapely.affinity.translate(drawn[n], 0.3, 0)
    quality = look(*drawn, gap__width_m=0.4)
    clean = not (quality.counts["overlap"] or quality.counts["gap"] or quality.counts["near_node"])
    geos = shapely.coverage_is_valid(at(*drawn), gap_width=0.4)
    assert clean or not geos
    if geos:
        assert sum(quality.counts.values()) == 0


def test_many_tiles_find_the_same_gaps_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    holed = [cell - shapely.buffer(cell.centroid, 0.3) if n % 3 == 0 else cell for n, cell in enumerate(grid(12, 10))]
    holed[40] = shapely.buffer(holed[40], -0.2, join_style="mitre")
    whole = look(*holed)
    monkeypatch.setattr("layers.quality.between.TILE", 9)
    tiled = look(*holed)
    assert whole.counts["gap"] + whole.counts["sliver"] == 49
    assert tiled.counts == whole.counts
    assert shapely.area(tiled.places.geometry).sum() == pytest.approx(shapely.area(whole.places.geometry).sum())


def test_a_hole_of_one_tile_may_hold_the_features_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.quality.between.TILE", 1)
    ring = box(0, 0, 90, 90) - box(10, 10, 80, 80)
    inside = [box(10, 10, 45, 80), box(45.5, 10, 80, 80)]
    row = found_once(look(ring, *inside), "gap")
    assert shapely.area(row["geometry"]) == pytest.approx(35)


def test_a_hole_of_one_tile_may_be_half_covered_by_a_feature_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.quality.between.TILE", 1)
    ring = box(0, 0, 90, 90) - box(10, 10, 80, 80)
    quality = look(ring, box(5, 5, 45, 85), box(45.5, 5, 85, 85), overlap__severity="off")
    assert shapely.area(found_once(quality, "gap")["geometry"]) == pytest.approx(35)


def test_a_gap_that_lies_in_holes_of_two_tiles_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.quality.between.TILE", 1)
    outer, inner = box(0, 0, 90, 90) - box(10, 10, 80, 80), box(10, 10, 80, 80) - box(20, 20, 70, 70)
    assert shapely.area(found_once(look(outer, inner, box(20.5, 20, 70, 70)), "gap")["geometry"]) == pytest.approx(25)


# --- tolerances ---------------------------------------------------------------------------------------


def test_every_tolerance_says_where_it_comes_from() -> None:
    rows = table()
    assert (rows[["source", "confidence", "unit"]] != "").all().all()
    assert not rows.duplicated(["role", "check"]).any()
    from layers.schema import roles

    assert set(rows["role"]) - {"*"} <= set(roles())
    for row in rows.to_dict("records"):
        if row["unit"] == "word":
            assert row["value"] in SEVERITIES
        else:
            assert row["check"].endswith(f"_{row['unit']}") or row["unit"] == "share"
            assert float(row["value"]) >= 0


def test_all_wrong_tolerances_are_named_at_once() -> None:
    with pytest.raises(BadInput) as raised:
        tolerances("parcels", {"spikes": 3, "gap.width_m": "wide", "gap.severity": "loud", "sliver.width_m": -1})
    assert [fault.field for fault in raised.value.faults] == ["spikes", "gap.width_m", "gap.severity", "sliver.width_m"]


# --- the report ---------------------------------------------------------------------------------------


def planted() -> Quality:
    drawn = at(*grid(), box(10, 10, 60, 20), BOW_TIE, None, LineString([(0, 0), (9, 9), (0, 9)]), Polygon(NEEDLE))
    ids = [*names(9), "<script>alert(1)</script>", "${7*7}", "无几何", "{{ 7*7 }}", "needle"]
    return examine(drawn, ids, crs=4545, role="land_use")


def test_the_page_escapes_what_a_file_said_and_asks_for_nothing(tmp_path: Path) -> None:
    quality = planted()
    write_page(quality, tmp_path / "q.html", "<img src=x onerror=alert(1)>.gpkg")
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r"<b>([^<]*)</b>", page)
    addresses = set(re.findall(r"https?://[^\"' <]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<[^>]*\b(src|href)=", page)


def test_the_page_shows_counts_pictures_and_tolerances(tmp_path: Path) -> None:
    quality = planted()
    write_page(quality, tmp_path / "q.html")
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert page.count("<circle") > len(quality.places) / 2
    for zh, en in CHECKS.values():
        assert zh in page
        assert en.replace("'", "&#39;") in page
    for row in quality.tolerances.rows.to_dict("records"):
        assert row["check"] in page
    assert "nan" not in page


def test_the_page_lists_a_bounded_number_and_says_how_many_more(tmp_path: Path) -> None:
    quality = look(*(box(x, 0, x + 0.9, 0.9) for x in range(0, 120, 2)))
    assert quality.counts["tiny"] == 60
    write_page(quality, tmp_path / "q.html")
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "and 20 more in the GPKG" in page
    assert page.count("<figure>") == 8


def test_the_page_of_a_clean_layer_says_so(tmp_path: Path) -> None:
    write_page(look(*grid(), role="parcels"), tmp_path / "q.html")
    assert "no fault found" in (tmp_path / "q.html").read_text(encoding="utf-8")


def test_the_gpkg_holds_every_place_by_kind_and_the_tolerances(tmp_path: Path) -> None:
    quality = planted()
    quality.to_gpkg(tmp_path / "q.gpkg")
    quality.to_gpkg(tmp_path / "q.gpkg")  # again, over itself
    kinds = dict(pyogrio.list_layers(tmp_path / "q.gpkg"))
    assert kinds["quality_areas"] == "MultiPolygon"
    assert kinds["quality_points"] == "MultiPoint"
    frames = [pyogrio.read_dataframe(tmp_path / "q.gpkg", layer=f"quality_{k}") for k in ("areas", "lines", "points")]
    assert sum(map(len, frames)) == len(quality.places)
    assert frames[0].crs == 4545
    assert frames[2].geometry.isna().sum() == 1
    assert set(frames[2].loc[frames[2].geometry.isna(), "feature"]) == {"无几何"}
    assert len(pyogrio.read_dataframe(tmp_path / "q.gpkg", layer="quality_tolerances")) == len(quality.tolerances.rows)
    assert list(tmp_path.iterdir()) == [tmp_path / "q.gpkg"]


def test_a_report_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        planted().to_gpkg(tmp_path / "nowhere" / "q.gpkg")


def test_the_gpkg_of_a_clean_layer_is_there_too(tmp_path: Path) -> None:
    look(*grid()).to_gpkg(tmp_path / "q.gpkg")
    assert len(pyogrio.read_dataframe(tmp_path / "q.gpkg", layer="quality_areas")) == 0


# --- repair -------------------------------------------------------------------------------------------


def mend(*shapes: Any, role: str | None = None, **options: Any) -> Repaired:
    flags = {name: options.pop(name) for name in ("drop_duplicates", "close_slivers") if name in options}
    figures = tolerances(role, {name.replace("__", "."): value for name, value in options.items()})
    drawn = at(*shapes)
    mended = repair(drawn, names(len(drawn)), figures, **flags)
    kept_in_bounds(drawn, mended, figures)
    return mended


def kept_in_bounds(drawn: Geoms, mended: Repaired, figures: Any) -> None:
    """What every repair promises, whatever was drawn."""
    was, now = np.nan_to_num(shapely.area(drawn)), np.nan_to_num(shapely.area(mended.geometries))
    change = now - was[mended.rows]
    bound = np.minimum(figures["repair.change_m2"], figures["repair.change_share"] * np.maximum(was[mended.rows], now))
    assert (np.abs(change) <= bound + 1e-6).all()
    lines = mended.changed.groupby("feature")["change_m2"].sum()
    ids = np.array(names(len(drawn)), dtype=object)
    moved = ~shapely.equals_exact(mended.geometries, drawn[mended.rows]) & ~shapely.is_missing(mended.geometries)
    assert set(ids[mended.rows][moved]) <= set(lines.index)
    for name, by in zip(ids[mended.rows], change, strict=True):
        assert lines.get(name, 0.0) == pytest.approx(by, abs=1e-6)
    gone = np.setdiff1d(np.arange(len(drawn)), mended.rows)
    assert set(mended.log.loc[mended.log["step"].str.startswith("删除"), "feature"]) == set(ids[gone])
    assert mended.before_m2 == pytest.approx(was.sum())
    assert mended.after_m2 == pytest.approx(now.sum())


def steps(mended: Repaired) -> list[str]:
    return mended.changed["step"].str.split().str[0].tolist()


def test_a_clean_coverage_is_left_as_it_is() -> None:
    mended = mend(*grid(), close_slivers=True, drop_duplicates=True)
    assert len(mended.log) == 1
    assert shapely.equals_exact(mended.geometries, at(*grid())).all()


def test_an_invalid_area_is_made_valid_where_its_area_stays() -> None:
    touching = Polygon([(0, 0), (50, 0), (50, 50), (25, 50), (30, 20), (20, 20), (25, 50), (0, 50)])  # hole on a leash
    mended = mend(touching)
    assert steps(mended) == ["有效化"]
    assert mended.geometries[0].is_valid
    assert shapely.area(mended.geometries[0]) == pytest.approx(2500 - 150)


def test_an_invalid_area_whose_area_would_change_is_left_and_said() -> None:
    mended = mend(BOW_TIE)
    assert len(mended.changed) == 0
    assert "at most" in mended.left["note"].iloc[0]
    assert not mended.geometries[0].is_valid


def test_a_bow_tie_is_mended_where_the_bound_allows_it() -> None:
    mended = mend(BOW_TIE, repair__change_m2=1000, repair__change_share=1)
    assert shapely.area(mended.geometries[0]) == pytest.approx(800)


def test_a_repeated_point_goes_and_the_area_stays() -> None:
    mended = mend(Polygon([(0, 0), (50, 0), (50, 0), (50, 50)]))
    assert steps(mended) == ["去除重复点"]
    assert shapely.get_num_coordinates(mended.geometries[0]) == 4


def test_a_spike_goes() -> None:
    mended = mend(Polygon(NEEDLE))
    assert "去除尖刺" in steps(mended)
    assert mended.changed["change_m2"].sum() == pytest.approx(-0.15, abs=1e-6)
    assert shapely.bounds(mended.geometries[0])[3] == NORTH + 50


def test_a_spike_the_neighbour_follows_goes_from_both() -> None:
    above = Polygon([(0, 50), (25, 50), (25.03, 55), (25.06, 50), (50, 50), (50, 90), (0, 90)])
    mended = mend(Polygon(NEEDLE), above)
    assert mended.changed["change_m2"].sum() == pytest.approx(0, abs=1e-6)
    assert shapely.coverage_is_valid(mended.geometries)


def test_a_spike_of_more_ground_than_the_bound_stays_and_is_said() -> None:
    mended = mend(Polygon(NEEDLE), repair__change_m2=0.1)
    assert len(mended.changed) == 0
    assert mended.left["step"].str.contains("尖刺").any()
    assert shapely.bounds(mended.geometries[0])[3] == NORTH + 55


def test_where_one_neighbour_may_not_change_the_other_does_not_either() -> None:
    """The spike is within the bound of the large one and beyond that of the small one."""
    small = Polygon([(24, 50), (25, 50), (25.03, 55), (25.06, 50), (26, 50), (26, 90), (24, 90)])
    large = Polygon([*NEEDLE[:3], (26, 50), *NEEDLE[3:6], (24, 50), NEEDLE[6]])
    mended = mend(large, small)
    assert shapely.equals_exact(mended.geometries, at(large, small)).all()
    assert set(mended.left["feature"]) == {"b"}


def test_points_too_close_become_one_in_every_feature_that_has_them() -> None:
    right = Polygon([(50, 0), (100, 0), (100, 50), (50, 50), (50, 30.02), (50, 30)])
    mended = mend(Polygon(TWICE_IN_FOUR), right)
    assert shapely.get_num_coordinates(mended.geometries).tolist() == [6, 6]
    assert shapely.coverage_is_valid(mended.geometries)


def test_a_corner_that_misses_a_border_becomes_a_vertex_of_it() -> None:
    mended = mend(SQUARE, Polygon([(50.03, 25), (90, 10), (90, 40)]))
    assert steps(mended) == ["节点咬合"]
    assert mended.changed["feature"].tolist() == ["a"]
    corner = [EAST + 50.03, NORTH + 25]
    assert corner in shapely.get_coordinates(mended.geometries[0]).tolist()
    assert sum(examine(mended.geometries, "ab").counts.values()) == 0


def test_two_corners_that_miss_each_other_are_joined() -> None:
    mended = mend(SQUARE, box(50.02, 50.02, 90, 90))
    assert mended.geometries[0].intersection(mended.geometries[1]).equals(Point(EAST + 50, NORTH + 50))


def test_duplicates_stay_unless_it_is_asked_for() -> None:
    assert len(mend(SQUARE, SQUARE).geometries) == 2
    mended = mend(SQUARE, box(60, 0, 90, 30), SQUARE, drop_duplicates=True)
    assert mended.rows.tolist() == [0, 1]
    line = mended.changed.iloc[0]
    assert (line["feature"], line["change_m2"]) == ("c", -2500)
    assert "a, which stays" in line["note"]


def test_a_sliver_gap_goes_to_the_neighbour_with_the_longest_border_where_asked() -> None:
    strip = box(50, 20, 50.08, 30)  # between a and b; b has its three other sides
    left, right = box(0, 0, 50, 50), box(50, 0, 100, 50) - strip
    assert len(mend(left, right).changed) == 0
    mended = mend(left, right, close_slivers=True)
    assert mended.changed["feature"].tolist() == ["b"]
    assert mended.changed["change_m2"].tolist() == pytest.approx([0.8])
    assert examine(mended.geometries, "ab").counts["sliver"] == 0


def test_a_sliver_overlap_is_given_to_one_of_the_two_where_asked() -> None:
    right = Polygon([(50, 0), (100, 0), (100, 50), (50, 50), (50, 30), (49.94, 30), (49.94, 20), (50, 20)])
    assert len(mend(SQUARE, right).changed) == 0
    mended = mend(SQUARE, right, close_slivers=True)
    assert mended.geometries[0].intersection(mended.geometries[1]).area < 1e-3
    assert shapely.area(mended.geometries).sum() == pytest.approx(5000, abs=1e-3)
    assert mended.changed["feature"].tolist() == ["b"]  # a has three sides of that ground, b the fourth


def test_a_gap_of_more_ground_than_the_bound_stays_and_is_said() -> None:
    mended = mend(*grid(but=[4]), role="land_use", close_slivers=True)
    assert len(mended.changed) == 0
    assert mended.left["step"].str.startswith("闭合").tolist() == [True]


def test_what_is_no_area_comes_back_as_it_was() -> None:
    drawn = at(None, LineString([(0, 0), (0, 0.01), (9, 9)]), Point(1, 1), SQUARE)
    mended = repair(drawn, names(4))
    assert len(mended.geometries) == 4
    assert mended.geometries[0] is None
    assert shapely.equals_exact(mended.geometries[1:], drawn[1:]).all()
    assert mended.left["feature"].tolist() == ["a"]


def test_the_mended_layer_is_written_with_its_log_and_attributes(tmp_path: Path) -> None:
    import pandas as pd

    mended = mend(Polygon(NEEDLE), SQUARE, SQUARE, drop_duplicates=True)
    rows = pd.DataFrame({"name": ["x", "y", "z"], "fid": [7, 7, 7], "ready": [True, None, False]})
    mended.to_gpkg(tmp_path / "m.gpkg", rows, 4545, "plots")
    frame = pyogrio.read_dataframe(tmp_path / "m.gpkg", layer="plots")
    assert frame["name"].tolist() == ["x", "y"]
    assert frame["fid_1"].tolist() == [7, 7]
    log = pyogrio.read_dataframe(tmp_path / "m.gpkg", layer="repair_log")
    assert len(log) == len(mended.log)
    assert log["note"].iloc[-1] == "3 features in, 2 out"


jitter = st.lists(st.floats(-0.09, 0.09), min_size=32, max_size=32)
faults = st.lists(st.sampled_from(["spike", "near", "repeat", "bow", "twin", "gap"]), max_size=4)


@settings(max_examples=40, deadline=None)
@example(by=[0.0] * 9 + [0.0859375] + [0.0] * 5 + [-0.0625] + [0.0] * 16, kinds=[], change_m2=1.0, close_slivers=True)
@example(by=[0.0] * 4 + [0.0625] + [0.0] * 27, kinds=["spike", "spike"], change_m2=1.0, close_slivers=True)
@given(jitter, faults, st.sampled_from([1.0, 0.05, 50.0]), st.booleans())
def test_a_repair_keeps_its_bounds_and_a_second_one_finds_nothing_to_do(
    by: list[float], kinds: list[str], change_m2: float, close_slivers: bool
) -> None:
    drawn = bent(by, kinds)
    figures = tolerances("land_use", {"repair.change_m2": change_m2, "gap.width_m": 1})
    ids = names(len(drawn))
    mended = repair(drawn, ids, figures, close_slivers=close_slivers)
    assert len(mended.geometries) == len(drawn)
    kept_in_bounds(drawn, mended, figures)
    if mended.left["note"].str.contains("at most").any():
        return  # what the bound stopped may be within it when the next repair begins
    again = repair(mended.geometries, ids, figures, close_slivers=close_slivers)
    assert again.changed[["feature", "step"]].to_numpy().tolist() == []
    assert shapely.equals_exact(again.geometries, mended.geometries).all()


def bent(by: list[float], kinds: list[str]) -> Geoms:
    """Nine squares, some of them moved a little by themselves, some with a fault of their own."""
    cells = at(*grid())
    for n in range(0, 9, 2):
        coordinates = shapely.get_coordinates(cells[n])
        coordinates[:4] += np.round(np.array(by[n : n + 8]).reshape(4, 2), 3)
        coordinates[4] = coordinates[0]
        cells[n] = Polygon(coordinates)
    for n, kind in enumerate(kinds):
        xy = shapely.get_coordinates(cells[n])
        if kind == "spike":
            xy = np.insert(xy, 2, (xy[1] + xy[2]) / 2 + [[0, 0], [3, 0.02], [0.01, 0.04]], axis=0)
        elif kind == "near":
            xy = np.insert(xy, 2, xy[1] + [0, 0.03], axis=0)
        elif kind == "repeat":
            xy = np.insert(xy, 2, xy[1], axis=0)
        elif kind == "bow":
            xy = xy[[0, 2, 1, 3, 0]]
        elif kind == "gap":
            xy = np.insert(xy, 2, [xy[1] + [0, 10], xy[1] + [-0.07, 15], xy[1] + [0, 20]], axis=0)
        cells[n] = Polygon(xy)
        if kind == "twin":
            cells = np.append(cells, cells[n])
    return cells


# --- deadlines ----------------------------------------------------------------------------------------


def bomb(vertices: int = 5_000) -> Polygon:
    """A border that crosses itself millions of times: 80 KiB that keep GEOS busy for more than a minute."""
    return Polygon(np.random.default_rng(0).uniform(0, 1000, (vertices, 2)))


def test_an_area_that_takes_too_long_is_given_up_and_the_next_is_not() -> None:
    circle = shapely.get_coordinates(Point(0, 0).buffer(9, quad_segs=64))
    crossed = Polygon(np.concatenate([circle[:100], circle[110:99:-1], circle[111:]]))
    assert not crossed.is_valid
    answer = made_valid(np.array([bomb(), crossed, BOW_TIE], dtype=object), 1.5)
    assert "within 1.5 s" in answer.reasons[0]
    assert answer.reasons[1:] == ("", "")
    assert answer.geometries[0] is None
    assert shapely.is_valid(answer.geometries[1:]).all()


def test_many_that_take_too_long_do_not_take_many_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.quality.valid.PATIENCE", 2)
    answer = made_valid(np.array([bomb()] * 5, dtype=object), 0.3)
    assert sum("within" in reason for reason in answer.reasons) <= 3
    assert "not tried" in answer.reasons[-1]


def test_a_layer_with_such_an_area_is_examined_and_the_area_is_named() -> None:
    quality = look(bomb(), box(100, 100, 200, 200), box(1500, 0, 1600, 90), repair__deadline_s=0.3)
    assert quality.counts["invalid"] == 1
    assert quality.counts["overlap"] == 0
    assert "a was not compared with others" in quality.notes[0][1]
    mended = repair(at(bomb()), ["a"], tolerances(None, {"repair.deadline_s": 0.3}))
    assert "within" in mended.left["note"].iloc[0]
    assert shapely.equals_exact(mended.geometries, at(bomb())).all()


def test_a_child_that_dies_is_a_reason_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    popen = subprocess.Popen
    monkeypatch.setattr(
        "layers.quality.valid.subprocess.Popen",
        lambda command, **pipes: popen([sys.executable, "-c", "import os; os.abort()"], **pipes),
    )
    answer = made_valid(np.array([bomb(200)], dtype=object), 5)
    assert answer.reasons == ("the process that should make it valid failed",)


# --- arrays -------------------------------------------------------------------------------------------


def test_common_borders_are_matched_and_the_outline_is_not() -> None:
    borders = paths(np.array(grid(2), dtype=object))
    kept = unmatched(borders, borders.starts(), np.ones(4, dtype=bool))
    assert len(borders.starts()) == 16
    assert len(kept) == 8
    one_invalid = np.array([False, True, True, True])
    assert len(unmatched(borders, borders.starts(), one_invalid)) == 12


def test_ground_drawn_twice_has_no_common_border() -> None:
    borders = paths(np.array([SQUARE, SQUARE], dtype=object))
    assert len(unmatched(borders, borders.starts(), np.ones(2, dtype=bool))) == 8


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=30))
def test_nobody_is_farther_from_its_stand_in_than_the_distance(points: list[tuple[int, int]]) -> None:
    xy = np.array(points, dtype=float)
    stands = representatives(xy, 2.0)
    assert (np.hypot(*(xy - xy[stands]).T) <= 2.0).all()
    chosen = xy[np.unique(stands)]
    assert all(np.hypot(*(one - other)) > 2.0 for one, other in combinations(chosen, 2))
    assert (stands[stands] == stands).all()
