"""The strict writer, and that what is written comes back: every kind of geometry, every habit of a profile."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import translate

from layers.errors import BadInput
from layers.formats import boundary_txt
from layers.formats.boundary_txt import LAND_CONSOLIDATION, STANDARD, Profile, as_read, write
from tests.layers.formats.texts import EAST, NORTH, SAID, box, hole, plot, read, said_of, text

FIELDS = ("plot_no", "plot_name", "sheet", "use", "code")


def frame(*geometries: shapely.Geometry | None, crs: object = 4524, **columns: list[object]) -> gpd.GeoDataFrame:
    """A layer near 木黄; geometries are in metres from its corner."""
    west = EAST if crs == 4524 else EAST - 36e6
    moved = [None if g is None else translate(g, west, NORTH) for g in geometries]
    return gpd.GeoDataFrame(columns, geometry=np.array([*moved, None], dtype=object)[:-1], crs=crs)


def lines(data: bytes, encoding: str = "gbk") -> list[str]:
    return data.decode(encoding).splitlines()


def heads(data: bytes) -> list[str]:
    return [line for line in lines(data) if line.endswith("@")]


def points(data: bytes) -> list[list[str]]:
    return [line.split(",") for line in lines(data) if line.startswith("J")]


def refused(made: gpd.GeoDataFrame, **options: object) -> str:
    with pytest.raises(BadInput) as error:
        write(made, **options)  # type: ignore[arg-type]
    return str(error.value)


SQUARE = shapely.box(0, 0, 100, 100)


# --- the form ----------------------------------------------------------------------------------------


def test_a_file_is_written_to_the_letter():
    made = frame(
        shapely.Polygon([(0, 0), (100, 0), (100, 100), (0, 100)], [[(10, 10), (10, 20), (20, 20), (20, 10)]]),
        plot_no=["A-1"],
        plot_name=["木黄"],
        code=["0601"],
    )
    header = {"数据产生单位": "某局", "数据产生日期": "2026-11-22"}
    assert lines(write(made, header=header)) == [
        "[属性描述]",
        "数据产生单位=某局",
        "数据产生日期=2026-11-22",
        "坐标系=2000国家大地坐标系",
        "几度分带=3",
        "投影类型=高斯克吕格",
        "计量单位=米",
        "带号=36",
        "精度=0.001",
        "转换参数=0,0,0,0,0,0,0",
        "[地块坐标]",
        "10,0.9900,A-1,木黄,面,,,0601,@",
        "J1,1,3111100.000,36564900.000",
        "J2,1,3111100.000,36565000.000",
        "J3,1,3111000.000,36565000.000",
        "J4,1,3111000.000,36564900.000",
        "J1,1,3111100.000,36564900.000",
        "J5,2,3111020.000,36564910.000",
        "J6,2,3111010.000,36564910.000",
        "J7,2,3111010.000,36564920.000",
        "J8,2,3111020.000,36564920.000",
        "J5,2,3111020.000,36564910.000",
    ]


def test_the_default_is_gbk_with_windows_line_ends():
    data = write(frame(SQUARE, plot_name=["木黄"]))
    assert "木黄".encode("gbk") in data
    assert data.count(b"\r\n") == data.count(b"\n") == len(lines(data))


def test_utf_8_is_written_with_or_without_its_mark():
    made = frame(SQUARE, plot_name=["𠮷村"])
    assert "𠮷村".encode() in write(made, encoding="UTF-8")
    assert write(made, encoding="UTF-8-SIG").startswith(b"\xef\xbb\xbf[")
    assert list(read(write(made, encoding="GB18030")).table["plot_name"]) == ["𠮷村"]


def test_ring_and_point_numbers_run_on_over_parts_and_holes():
    with_hole = SQUARE.difference(shapely.box(10, 10, 20, 20))
    made = frame(shapely.MultiPolygon([with_hole, shapely.box(200, 0, 210, 10)]))
    assert [point[:2] for point in points(write(made))] == [
        *(["J1", "1"], ["J2", "1"], ["J3", "1"], ["J4", "1"], ["J1", "1"]),
        *(["J5", "2"], ["J6", "2"], ["J7", "2"], ["J8", "2"], ["J5", "2"]),
        *(["J9", "3"], ["J10", "3"], ["J11", "3"], ["J12", "3"], ["J9", "3"]),
    ]


def test_lines_and_points_have_no_area_and_their_kind():
    made = frame(
        shapely.LineString([(0, 0), (10, 0), (0, 0.5)]),
        shapely.MultiPoint([(0, 0), (5, 5)]),
        shapely.MultiLineString([[(0, 0), (1, 0)], [(5, 0), (6, 0)]]),
    )
    written = write(made)
    assert heads(written) == [
        "3,0.0000,,,线,,,,@",
        "2,0.0000,,,点,,,,@",
        "4,0.0000,,,线,,,,@",
    ]
    assert [point[1] for point in points(written)] == ["1", "1", "1", "1", "1", "1", "1", "2", "2"]


def test_an_open_profile_repeats_no_point_and_counts_none():
    written = write(frame(SQUARE), profile=replace(STANDARD, closed=False))
    assert heads(written)[0].startswith("4,1.0000,")
    assert [point[0] for point in points(written)] == ["J1", "J2", "J3", "J4"]


@pytest.mark.parametrize(
    ("crs", "prefix", "first"),
    [
        (4524, True, "36564900.000"),
        (4524, False, "564900.000"),
        (4545, True, "36564900.000"),
        (4545, False, "564900.000"),
    ],
)
def test_the_zone_prefix_is_the_profiles_whichever_grid_the_layer_is_in(crs, prefix, first):
    data = write(frame(SQUARE, crs=crs), profile=replace(STANDARD, zone_prefix=prefix))
    assert points(data)[3][3] == first
    assert read(data).crs == ("EPSG:4524" if prefix else "EPSG:4545")


def test_a_six_degree_zone_is_named_by_its_own_numbers():
    made = gpd.GeoDataFrame(geometry=[shapely.box(300_000, 3_111_000, 300_100, 3_111_100)], crs=4508)
    data = write(made)
    assert {"几度分带=6", "带号=19"} <= set(lines(data))
    assert read(data).crs == "EPSG:4497"


@pytest.mark.parametrize(("unit", "area"), [("ha", "1.2345"), ("m2", "12345.00"), ("mu", "18.52"), ("km2", "0.012345")])
def test_the_area_is_in_the_profiles_unit(unit, area):
    made = frame(shapely.box(0, 0, 123.45, 100))
    (head,) = heads(write(made, profile=replace(STANDARD, area_unit=unit)))
    assert head.split(",")[1] == area


def test_pitfall_10_coordinates_are_rounded_before_the_area_is_computed():
    width, height = 100.000_49, 50_000.0  # 500.0024 ha before rounding, 500.0000 ha after
    data = write(frame(shapely.box(0, 0, width, height)))
    assert heads(data)[0].split(",")[1] == "500.0000"
    assert read(data).geometries[0].area == pytest.approx(5_000_000, abs=1e-3)


def test_pitfall_10_a_tie_is_rounded_half_up_and_exactly():
    made = frame(shapely.box(0, 0, 101, 0.5), shapely.box(0, 0, 0.5, 0.999), shapely.box(0, 0, 10_001, 0.5))
    assert [head.split(",")[1] for head in heads(write(made))] == [
        "0.0051",
        "0.0000",
        "0.5001",
    ]  # 50.5, 0.4995 and 5000.5 square metres


def test_pitfall_10_a_large_plot_with_many_points_has_its_area_to_the_last_digit():
    angles = np.linspace(0, 2 * math.pi, 5_000, endpoint=False)
    circle = shapely.Polygon(np.column_stack([60_000 * np.cos(angles), 60_000 * np.sin(angles)]))
    data = write(frame(circle))
    ring = [(Decimal(east), Decimal(north)) for _, _, north, east in points(data)]
    exact = abs(sum(x * v - u * y for (x, y), (u, v) in pairwise(ring))) / 2
    assert Decimal(heads(data)[0].split(",")[1]) == (exact / 10_000).quantize(Decimal("0.0001"))


# --- what it refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"plot_name": ["a,b"]}, "holds ','"),
        ({"plot_name": ["a@b"]}, "holds '@'"),
        ({"plot_name": ["a\nb"]}, "line end"),
        ({"plot_name": ["a\rb"]}, "line end"),
        ({"plot_name": ["a\x00b"]}, "control character"),
        ({"plot_name": [" a"]}, "begins or ends with a blank"),
        ({"plot_name": ["a\u3000"]}, "begins or ends with a blank"),
        ({"plot_name": ["𠮷村é"]}, "GBK has no character for 𠮷 (U+20BB7)"),
        ({"code": [601]}, "601 is not text"),
        ({"code": [101.0]}, "leading zeros count"),
    ],
)
def test_text_the_format_cannot_hold_is_refused_by_plot_and_field(columns, says):
    said = refused(frame(SQUARE, plot_no=["A-1"], **columns))
    assert says in said
    assert f"feature plot 1 A-1, field {next(iter(columns))}" in said


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        (None, "no geometry"),
        (shapely.Polygon(), "no geometry"),
        (shapely.GeometryCollection([SQUARE, shapely.Point(0, 0)]), "mixes points, lines and areas"),
        (shapely.Point(math.nan, 0), "not a finite number"),
        (shapely.force_3d(SQUARE), "heights"),
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "Self-intersection"),
        (shapely.box(0, 0, 0.0004, 10), "fall together"),
        (shapely.LineString([(0, 0), (0.0001, 0)]), "fall together"),
        (shapely.Polygon([(0, 0), (100, 0), (100, 10), (50, 0.0004), (0, 10)]), "not valid any more once rounded"),
        (shapely.box(400_000, 0, 400_100, 100), "outside zone 36"),
        (shapely.box(-350_000, 0, -349_900, 100), "outside zone 36"),
        (shapely.box(0, -4e6, 100, -3.9e6), "outside zone 36"),
    ],
)
def test_ground_the_format_cannot_hold_is_refused_by_plot(geometry, says):
    with np.errstate(invalid="ignore"):
        made = frame(SQUARE, geometry, plot_no=["A-1", "A-2"])
    said = refused(made)
    assert says in said
    assert "feature plot 2 A-2" in said
    assert "A-1" not in said


def test_every_fault_is_said_at_once():
    made = frame(SQUARE, None, shapely.Point(math.nan, 0), plot_name=["a,b", "c@d", "𠮷"], code=[1, "2", "3"])
    with pytest.raises(BadInput) as error:
        write(made, header={"带号": "38", "坐标系": "1980西安坐标系", "精度": "0.01", "备注": "𠮷", "a[": "1"})
    assert len(error.value.faults) == 11


@pytest.mark.parametrize("crs", [4326, 4490, 3857, 2338, 32648, None])
def test_a_layer_outside_the_grids_of_cgcs2000_is_refused(crs):
    made = gpd.GeoDataFrame(geometry=list(frame(SQUARE).geometry), crs=crs)
    assert "no Gauss-Krüger grid of CGCS2000" in refused(made)


def test_an_unknown_encoding_is_refused():
    assert "'GBK-9' is not an encoding" in refused(frame(SQUARE), encoding="GBK-9")


def test_a_comma_in_a_name_is_written_where_the_profile_lets_it_and_nowhere_else():
    commas = replace(STANDARD, names_hold_commas=True)
    data = write(frame(SQUARE, plot_name=["甲,乙"]), profile=commas)
    assert list(read(data, profile=commas).table["plot_name"]) == ["甲,乙"]
    assert "holds ','" in refused(frame(SQUARE, use=["甲,乙"]), profile=commas)


# --- there and back ----------------------------------------------------------------------------------


def star(draw: st.DrawFn, least: float, most: float, east: float) -> list[tuple[float, float]]:
    """A ring round a centre, its points at growing angles between two radii; more decimals than are written."""
    count = draw(st.integers(3, 7))
    turn = draw(st.floats(0, 1))
    radius = st.floats(least, most, allow_subnormal=False)
    angles = [2 * math.pi * (n + turn) / count for n in range(count)]
    return [(east + r * math.cos(a), r * math.sin(a)) for a in angles if (r := draw(radius))]


@st.composite
def ground(draw: st.DrawFn) -> shapely.Geometry:
    """An area with or without a hole, an island in it and further parts; a line or several; a point or several."""
    kind = draw(st.sampled_from(["area", "line", "point"]))
    parts: list[shapely.Geometry] = []
    for n in range(draw(st.integers(1, 3))):
        east = 300.0 * n
        if kind == "area":
            inner = [star(draw, 20, 22, east)] if draw(st.booleans()) else []
            parts.append(shapely.Polygon(star(draw, 60, 100, east), inner))
            if inner and draw(st.booleans()):
                parts.append(shapely.Polygon(star(draw, 3, 8, east)))
        elif kind == "line":
            ring = star(draw, 10, 100, east)
            parts.append(shapely.LineString([*ring, ring[0]] if draw(st.booleans()) else ring))
        else:
            parts.append(shapely.Point(star(draw, 10, 100, east)[0]))
    if len(parts) == 1:
        return parts[0]
    together = {"area": shapely.MultiPolygon, "line": shapely.MultiLineString, "point": shapely.MultiPoint}
    return together[kind](parts)


WORDS = st.text(st.characters(codec="gbk", exclude_categories=("Cc", "Zs", "Zl", "Zp"), exclude_characters="@,"))
PROFILE = st.builds(
    Profile,
    columns=st.sampled_from(
        [STANDARD.columns, LAND_CONSOLIDATION.columns, (*STANDARD.columns, "extra_1"), (*STANDARD.columns, "a", "b")]
    ),
    names_hold_commas=st.booleans(),
    area_unit=st.sampled_from(["ha", "m2", "mu", "km2"]),
    closed=st.booleans(),
    zone_prefix=st.booleans(),
    northing_first=st.booleans(),
    decimals=st.integers(2, 5),
    encoding=st.sampled_from(["GBK", "GB18030", "UTF-8", "UTF-8-SIG"]),
    line_end=st.sampled_from(["\r\n", "\n"]),
)


@settings(max_examples=150, deadline=None)
@given(st.data(), PROFILE, st.lists(ground(), min_size=1, max_size=4))
def test_what_is_written_comes_back(data, profile, shapes):
    count = len(shapes)
    texts = [column for column in profile.columns if column not in boundary_txt.profile.COMPUTED]
    columns = {column: data.draw(st.lists(WORDS, min_size=count, max_size=count)) for column in texts}
    apart = [translate(shape, 0, 1_000 * n) for n, shape in enumerate(shapes)]  # or their points may be a hair apart
    made = frame(*apart, crs=data.draw(st.sampled_from([4524, 4545])), **columns)
    written = write(made, profile=profile, header={"数据产生单位": "某局"})
    raw = read(written, profile=profile)
    shift = (36e6 if profile.zone_prefix else 0) - (36e6 if made.crs == "EPSG:4524" else 0)
    for before, after in zip(made.geometry, raw.geometries, strict=True):
        printed = shapely.transform(before, np.vectorize(lambda v: float(f"{v:.{profile.decimals}f}")))
        assert shapely.equals_exact(after, translate(printed, shift), 1e-7, normalize=True)
        assert after.geom_type == before.geom_type
    assert {column: [value or "" for value in raw.table[column]] for column in texts} == columns
    assert raw.crs == ("EPSG:4524" if profile.zone_prefix else "EPSG:4545")
    measured = np.array([geometry.area for geometry in raw.geometries]) / 1e4
    assert np.abs(raw.table["declared_area_ha"] - measured).max() <= 0.000_5  # mu with 2 decimals: 3.3 m2
    assert not [note for note in raw.notes if "spike" not in note.reason]
    again = gpd.GeoDataFrame(raw.table, geometry=raw.geometries, crs=raw.crs)
    assert write(again, profile=profile, header={"数据产生单位": "某局"} | as_read(raw)[1]) == written


@settings(max_examples=60, deadline=None)
@given(st.lists(ground(), min_size=1, max_size=3), st.booleans(), st.sampled_from(["GBK", "UTF-8", "UTF-8-SIG"]))
def test_a_strict_file_is_given_back_byte_for_byte_by_what_was_read(shapes, prefix, encoding):
    profile = replace(STANDARD, zone_prefix=prefix, encoding=encoding, line_end="\n" if prefix else "\r\n")
    columns = {column: [f"甲{n}" for n in range(len(shapes))] for column in FIELDS}
    written = write(frame(*shapes, **columns), profile=profile, header={"格式版本号": "1.01版本", "备注": "乙=丙"})
    raw = read(written)
    own, header = as_read(raw)
    again = gpd.GeoDataFrame(raw.table, geometry=raw.geometries, crs=raw.crs)
    if shapely.get_dimensions(raw.geometries).max() == 2:
        assert own == replace(profile, encoding=raw.found["encoding"])
    assert write(again, profile=own, header=header) == written


def test_a_file_written_by_hand_is_given_back_byte_for_byte():
    content = text(
        plot(box(0, -200, 300, 0), hole(100, -120, 150, -80), area="5.8000"),
        plot([(400, 0), (480.5, -39.75), (430, -140)], box(500, -160, 560, -100), area="0.8639", number="A-2"),
        plot([(0, 0), (10, 0), (10, 10)], kind="线", number="A-3"),
        plot([(5, 5)], kind="点", number="A-4"),
    )
    raw = read(content)
    assert said_of(raw) == ""
    profile, header = as_read(raw)
    assert header == SAID
    assert write(gpd.GeoDataFrame(raw.table, geometry=raw.geometries, crs=raw.crs), profile=profile, header=header) == (
        content.encode("gbk")
    )
