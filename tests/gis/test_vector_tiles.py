"""The encoder against another's decoder: what comes out is what went in, to the unit of the tile."""

from __future__ import annotations

import math
import zlib

import mapbox_vector_tile
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely.geometry import shape

from gis.drawing import BUDGET_BYTES, LEVELS, Drawing
from gis.vector_tiles import EXTENT, MARGIN, Attributes, encode
from gis.web_tiles import HALF_M, Tile, covering, number

HERE = Tile(12, 3283, 1715)
UNIT_M = HERE.size_m / EXTENT


def on_tile(geometry: shapely.Geometry, tile: Tile = HERE) -> shapely.Geometry:
    """A geometry drawn in the units of a tile, y upwards from its lower edge, in web mercator."""
    south = tile.north - tile.size_m
    unit_m = tile.size_m / EXTENT
    return shapely.transform(geometry, lambda xy: xy * unit_m + (tile.west, south))


def drawn(geometries: list[shapely.Geometry | None], tile: Tile = HERE, **how: float) -> list[dict]:
    shapes = np.array([*(None if one is None else on_tile(one, tile) for one in geometries), None], dtype=object)[:-1]
    said = Attributes.of(pd.DataFrame({"id": [f"f{n}" for n in range(len(shapes))]}, dtype=object))
    body = encode("parcels", shapes, np.arange(len(shapes)), said, tile, **how)
    return decoded(body)


def decoded(body: bytes) -> list[dict]:
    """The features of a tile, y downwards as the file has it; [] of no tile."""
    if not body:
        return []
    (layer,) = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True}).values()
    assert layer["version"] == 2
    assert layer["extent"] == EXTENT
    return layer["features"]


def turned(ring: list) -> float:
    """Twice the area by the surveyor's formula: positive for a shell, as the specification has it."""
    x, y = np.array(ring, dtype=float).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())


def rings(geometry: dict) -> list[list]:
    return [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]


def flipped(geometry: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(geometry, lambda xy: np.column_stack([xy[:, 0], EXTENT - xy[:, 1]]))


WINDOW = shapely.box(-MARGIN * EXTENT, -MARGIN * EXTENT, EXTENT * (1 + MARGIN), EXTENT * (1 + MARGIN))


@st.composite
def grounds(draw: st.DrawFn) -> shapely.Geometry:
    """Ground of any shape around a tile: of one or several parts, with holes, across the edge, or next to nothing."""
    n = draw(st.integers(1, 5))
    size = draw(st.sampled_from([0.3, 2.0, 40.0, 900.0, 6000.0]))
    parts = []
    for _ in range(n):
        x, y = draw(st.floats(-900, 5000)), draw(st.floats(-900, 5000))
        corners = draw(st.integers(3, 12))
        angles = np.sort(np.array([draw(st.floats(0, 6.28)) for _ in range(corners)]))
        radii = np.array([draw(st.floats(0.2, 1.0)) for _ in range(corners)]) * size
        around = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
        parts.append(shapely.Polygon(around).buffer(0))
    ground = shapely.union_all(parts)
    if draw(st.booleans()):
        ground = shapely.difference(ground, shapely.affinity.scale(parts[0], 0.5, 0.5))
    return ground


@settings(max_examples=150, deadline=None)
@given(st.lists(grounds(), min_size=1, max_size=4))
def test_ground_comes_back_to_the_unit_wherever_it_lies(given_grounds: list[shapely.Geometry]) -> None:
    found = {one["properties"]["id"]: one["geometry"] for one in drawn(list(given_grounds))}
    for n, ground in enumerate(given_grounds):
        here = shapely.intersection(flipped(ground), WINDOW)
        slack = 0.75 * shapely.length(here) + 3 * shapely.get_num_coordinates(here)  # half a unit along every edge
        if f"f{n}" not in found:
            assert shapely.area(here) <= slack
            continue
        signed = 0.0
        for polygon in rings(found[f"f{n}"]):
            shell, *holes = [turned(ring) for ring in polygon]
            assert shell > 0
            assert all(hole < 0 for hole in holes)
            signed += shell / 2 + sum(hole / 2 for hole in holes)
        assert signed == pytest.approx(shapely.area(here), abs=slack)
        xy = shapely.get_coordinates(shape(found[f"f{n}"]))
        assert (xy >= -MARGIN * EXTENT - 1).all()
        assert (xy <= EXTENT * (1 + MARGIN) + 1).all()


def test_a_hole_is_a_hole_and_parts_are_one_feature() -> None:
    holed = shapely.box(100, 100, 500, 500).difference(shapely.box(200, 200, 300, 300))
    found = drawn([shapely.MultiPolygon([holed, shapely.box(1000, 1000, 1100, 1100)])])
    assert [one["geometry"]["type"] for one in found] == ["MultiPolygon"]
    ground = shape(found[0]["geometry"])
    assert ground.equals(flipped(shapely.MultiPolygon([holed, shapely.box(1000, 1000, 1100, 1100)])))


def test_lines_and_points_come_back_as_they_are() -> None:
    line = shapely.LineString([(0, 0), (100, 50), (90, 60)])
    lines = shapely.MultiLineString([[(0, 0), (10, 0)], [(20, 20), (20, 30)]])
    point, points = shapely.Point(7, 9), shapely.MultiPoint([(1, 2), (3, 4)])
    found = drawn([line, lines, point, points])
    assert [one["geometry"]["type"] for one in found] == ["LineString", "MultiLineString", "Point", "MultiPoint"]
    for one, source in zip(found, (line, lines, point, points), strict=True):
        assert shapely.equals_exact(shapely.normalize(shape(one["geometry"])), shapely.normalize(flipped(source)), 0.5)


def test_a_line_across_the_edge_goes_on_in_the_next_tile() -> None:
    across = shapely.LineString([(-500, 100), (5000, 100)])
    (found,) = drawn([across])
    assert shape(found["geometry"]).bounds == (-64, EXTENT - 100, EXTENT + 64, EXTENT - 100)


def test_what_is_empty_missing_elsewhere_or_less_than_a_unit_is_left_out() -> None:
    assert drawn([None, shapely.Polygon(), shapely.box(9000, 9000, 9100, 9100), shapely.box(5.1, 5.1, 5.3, 5.3)]) == []
    assert drawn([]) == []
    kept = drawn([None, shapely.box(0, 0, 10, 10), shapely.box(5.1, 5.1, 5.3, 5.3)])
    assert [one["properties"]["id"] for one in kept] == ["f1"]


def test_a_collection_gives_its_ground_lines_and_points() -> None:
    mixed = shapely.GeometryCollection([shapely.box(0, 0, 10, 10), shapely.LineString([(0, 0), (9, 9)])])
    assert sorted(one["geometry"]["type"] for one in drawn([mixed])) == ["LineString", "Polygon"]


def test_both_sides_of_a_border_keep_it_common_on_a_coarse_grid() -> None:
    rng = np.random.default_rng(3)
    border = np.column_stack([np.linspace(0, 4000, 900), 2000 + rng.normal(0, 2, 900).cumsum()])
    below = shapely.Polygon([*border, (4000, 0), (0, 0)])
    above = shapely.Polygon([*border, (4000, 4000), (0, 4000)])
    first, second = (shape(one["geometry"]) for one in drawn([below, above], coarse_px=1.0))
    assert first.intersection(second).area == 0
    assert first.union(second).area == pytest.approx(4000 * 4000)
    assert len(first.exterior.coords) < len(border)


def test_values_are_texts_truths_or_nothing_and_stay_what_they_were() -> None:
    name = "<img src=x onerror=alert(1)>${1+1}"
    frame = pd.DataFrame({"id": ["1", "2"], "name": [name, None], "synthetic": [True, None]}, dtype=object)
    shapes = np.array([on_tile(shapely.Point(n, n)) for n in (1, 2)])
    body = encode("land_use", shapes, np.arange(2), Attributes.of(frame), HERE)
    assert [one["properties"] for one in decoded(body)] == [
        {"id": "1", "name": name, "synthetic": True},
        {"id": "2"},
    ]


def test_texts_longer_than_a_byte_can_count_are_whole() -> None:
    frame = pd.DataFrame({"id": ["茶" * 300]}, dtype=object)
    body = encode("plots", np.array([on_tile(shapely.Point(5, 5))]), np.arange(1), Attributes.of(frame), HERE)
    assert decoded(body)[0]["properties"] == {"id": "茶" * 300}


# --- a whole layer ----------------------------------------------------------------------------------


def chequered(side: int, count: int) -> Drawing:
    """count x count squares that cover a tile of zoom 12 without a gap."""
    at = np.arange(count) * side
    x, y = (one.ravel() for one in np.meshgrid(at, at))
    shapes = np.array([on_tile(one) for one in shapely.box(x, y, x + side, y + side)])
    ids = [f"patch-{n:06d}-of-a-survey-that-has-long-names" for n in range(len(shapes))]
    return Drawing("land_use", shapes, Attributes.of(pd.DataFrame({"id": ids}, dtype=object)))


def test_a_tile_of_a_small_zoom_stays_within_its_budget_and_as_full_as_the_land() -> None:
    drawing = chequered(side=16, count=250)  # 62,500 patches of two pixels' side
    made = drawing.tile(HERE)
    assert len(zlib.compress(made)) <= BUDGET_BYTES
    found = decoded(made)
    assert 1_000 < len(found) < 62_500
    assert sum(shape(one["geometry"]).area for one in found) == pytest.approx(4000 * 4000, rel=0.15)
    out = drawing.tile(Tile(8, HERE.x >> 4, HERE.y >> 4))
    assert 0 < len(zlib.compress(out)) <= BUDGET_BYTES
    assert sum(shape(one["geometry"]).area for one in decoded(out)) == pytest.approx((4000 / 16) ** 2, rel=0.25)


def test_a_few_small_features_are_all_there_at_every_zoom() -> None:
    drawing = chequered(side=4, count=5)
    for zoom in range(8, 14):
        at = HERE.x >> (12 - zoom) if zoom < 13 else HERE.x * 2, HERE.y >> (12 - zoom) if zoom < 13 else HERE.y * 2 + 1
        assert len(decoded(drawing.tile(Tile(zoom, *at)))) == 25


def test_what_is_taken_out_leaves_no_trace() -> None:
    drawing = chequered(side=16, count=250)
    keep = np.zeros(62_500, dtype=bool)
    keep[:300] = True
    only = drawing.take(keep)
    assert {one["properties"]["id"] for one in decoded(only.tile(HERE))} == {
        f"patch-{n:06d}-of-a-survey-that-has-long-names" for n in range(300)
    }


def test_an_outline_of_many_corners_is_straightened_to_what_a_small_zoom_can_show() -> None:
    turn = np.linspace(0, 2 * np.pi, 60_000, endpoint=False)
    reach = 1_500 + 40 * np.sin(turn * 700) + 15 * np.random.default_rng(1).uniform(-1, 1, len(turn))
    east = shapely.Polygon(np.column_stack([2_000 + reach * np.cos(turn), 2_000 + reach * np.sin(turn)]))
    left = on_tile(shapely.difference(shapely.box(0, 0, 4_000, 4_000), east))
    drawing = Drawing("eco_redline", np.array([on_tile(east), left]), Attributes.of(pd.DataFrame({"id": ["a", "b"]})))
    for z in range(8, 13):
        found = decoded(drawing.tile(Tile(z, HERE.x >> (12 - z), HERE.y >> (12 - z))))
        drawn_units = [shape(one["geometry"]).area * 4 ** (12 - z) for one in found]
        assert max(shapely.get_num_coordinates(shape(one["geometry"])) for one in found) <= 4_000
        assert drawn_units == pytest.approx([east.area, 4_000**2 - east.area], rel=0.06)
        assert sum(drawn_units) == pytest.approx(4_000**2, rel=1e-3)  # the border between them is one line
    fine = Tile(13, HERE.x * 2, HERE.y * 2)
    assert max(shapely.get_num_coordinates(shape(one["geometry"])) for one in decoded(drawing.tile(fine))) > 4_000


def test_an_empty_layer_has_no_tiles() -> None:
    drawing = Drawing("plots", np.empty(0, dtype=object), Attributes.of(pd.DataFrame({"id": []}, dtype=object)))
    assert drawing.bounds is None
    assert drawing.tile(HERE) == b""


def test_levels_only_get_coarser() -> None:
    assert list(LEVELS) == sorted(LEVELS)


def test_the_grid_is_that_of_the_web() -> None:
    to_metres = Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
    for tile in (Tile(0, 0, 0), HERE, Tile(16, 52539, 27442)):
        lon = tile.x / 2**tile.z * 360 - 180
        lat = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * tile.y / 2**tile.z))))
        west, _, _, north = tile.bounds()
        assert (west, north) == pytest.approx(to_metres.transform(lon, lat), abs=1e-6)
    box = HERE.bounds(-0.001)
    assert covering(box, 12).tolist() == [[HERE.x, HERE.y]]
    assert len({int(number(*one)) for one in (HERE, Tile(13, HERE.x, HERE.y), Tile(12, HERE.y, HERE.x))}) == 3
    assert not Tile(3, 8, 0).exists
    assert covering((-2 * HALF_M, -1, -HALF_M - 1, 1), 2)[:, 0].tolist() == [0, 0]


def test_a_hole_that_touches_its_shell_is_cut_like_any_other() -> None:
    """GEOS's clip_by_rect gave four times the area of this one."""
    touch = (2037.229809874458, 852.5602790703431)
    shell = [
        (2510.0112550993317, 1190.6800120898008),
        (4845.986556389678, -1897.7728239894154),
        touch,
        (1100.9775610360512, 1769.3379800902626),
    ]
    hole = [(3909.7343075512717, -980.9951229694959), (2741.746656906098, 563.2312950701122), touch]
    ground = shapely.Polygon(shell, [hole])
    (found,) = drawn([ground])
    signed = sum(turned(ring) / 2 for polygon in rings(found["geometry"]) for ring in polygon)
    assert signed == pytest.approx(shapely.intersection(ground, shapely.box(-64, -64, 4160, 4160)).area, rel=0.01)
