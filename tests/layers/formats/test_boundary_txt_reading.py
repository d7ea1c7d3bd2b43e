"""What the boundary TXT reader makes of files as offices write them; the numbers are those of the known pitfalls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from layers.errors import BadInput, NeedCrs
from layers.formats import boundary_txt
from layers.formats.boundary_txt import LAND_CONSOLIDATION, STANDARD, Profile
from tests.layers.formats.texts import EAST, NORTH, box, hole, plot, read, said_of, text

SQUARE = plot(box(0, 0, 100, 100), area="1.0000")


def example() -> str:
    """Two plots: 300 m x 200 m less a hole of 50 m x 40 m, and a triangle with a square beside it."""
    first = plot(box(0, -200, 300, 0), hole(100, -120, 150, -80), area="5.8000", number="YJ-NE-001")
    triangle = [(400, 0), (480.5, -39.75), (430, -140)]
    return text(first, plot(triangle, box(500, -160, 560, -100), area="0.8639", number="YJ-NE-002"))


def test_a_worked_example_gives_the_areas_worked_out_by_hand():
    raw = read(example())
    assert raw.crs == "EPSG:4524"
    assert [g.area for g in raw.geometries] == pytest.approx([58_000.0, 8_638.75], abs=1e-6)
    assert list(raw.table["declared_area_ha"]) == [5.8, 0.8639]
    assert list(raw.table["point_count"]) == [10, 9]
    assert list(raw.table["plot_no"]) == ["YJ-NE-001", "YJ-NE-002"]
    assert list(raw.table["code"]) == ["0601", "0601"]
    assert raw.geometries[0].bounds == (EAST, NORTH - 200, EAST + 300, NORTH)
    assert raw.notes == ()
    assert raw.found["encoding"] == "GB18030"
    assert (raw.found["layer"], raw.found["profile"], raw.found["line_end"]) == ("界址", "standard", "CRLF")


# --- the thirteen pitfalls ---------------------------------------------------------------------------


def swapped(lines: list[str]) -> list[str]:
    head, *points = lines
    return [head, *(",".join([*line.split(",")[:2], *reversed(line.split(",")[2:])]) for line in points)]


@pytest.mark.parametrize("east", [EAST, EAST - 36e6])
def test_pitfall_01_swapped_axes_are_refused_and_the_line_is_named(east):
    file = text(swapped(plot(box(0, 0, 100, 100), area="1.0000", east=east)))
    with pytest.raises(BadInput) as refused:
        read(file)
    (fault,) = refused.value.faults
    assert "axes are swapped" in fault.reason
    assert fault.field == "line 12"
    assert fault.feature == "plot 1 A-1"
    asked = read(file, profile=replace(STANDARD, northing_first=False))
    assert asked.geometries[0].bounds == (east, NORTH, east + 100, NORTH + 100)


def test_pitfall_01_one_point_swapped_makes_its_plot_unreadable():
    lines = plot(box(0, 0, 100, 100), area="1.0000")
    lines[2] = swapped(lines)[2]
    raw = read(text(lines, SQUARE))
    assert raw.geometries[0] is None
    assert raw.geometries[1].area == pytest.approx(10_000)
    assert "northing and easting are swapped here" in said_of(raw)
    assert raw.notes[0].field == "line 13"


@pytest.mark.parametrize(
    ("east", "said", "crs"),
    [
        (36_564_900.0, {}, "EPSG:4524"),
        (564_900.0, {}, "EPSG:4545"),
        (25_500_000.0, {"带号": "25"}, "EPSG:4513"),
        (45_500_000.0, {"带号": "45"}, "EPSG:4533"),
        (500_000.0, {"带号": "25"}, "EPSG:4534"),
        (500_000.0, {"带号": "45"}, "EPSG:4554"),
        (19_500_000.0, {"带号": "19", "几度分带": "6"}, "EPSG:4497"),
        (13_500_000.0, {"带号": "13", "几度分带": "6"}, "EPSG:4491"),
        (23_500_000.0, {"带号": "23", "几度分带": "6"}, "EPSG:4501"),
        (500_000.0, {"带号": "13", "几度分带": "6"}, "EPSG:4502"),
        (500_000.0, {"带号": "23", "几度分带": "6"}, "EPSG:4512"),
        (36_564_900.0, {"带号": None, "几度分带": None}, "EPSG:4524"),
    ],
)
def test_pitfall_02_the_zone_is_read_from_the_digits(east, said, crs):
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", east=east), said=said))
    assert raw.crs == crs
    assert raw.notes == ()


def test_pitfall_02_the_prefix_wins_over_the_header_and_the_contradiction_is_noted():
    raw = read(text(SQUARE, said={"带号": "38"}))
    assert raw.crs == "EPSG:4524"
    (note,) = raw.notes
    assert "带号=38 contradicts" in note.reason
    assert "EPSG:4524" in note.fix
    (wide,) = read(text(SQUARE, said={"几度分带": "6"})).notes
    assert "几度分带=6, but zone 36 is a 3° zone" in wide.reason


def test_pitfall_02_without_prefix_and_without_zone_the_crs_is_asked_for():
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", east=564_900.0), said={"带号": None}))
    assert raw.crs is None
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert "带号 does not name a zone" in said_of(raw)
    assert "--crs" in said_of(raw)


def test_pitfall_02_plots_of_several_zones_are_refused():
    with pytest.raises(BadInput, match=r"several zones \(36, 37\)"):
        read(text(SQUARE, plot(box(0, 0, 1, 1), east=37_500_000.0)))
    with pytest.raises(BadInput, match="several zones"):
        read(text(SQUARE, plot(box(0, 0, 1, 1), east=564_900.0)))


def test_pitfall_03_a_ring_in_a_ring_is_a_hole_and_a_ring_beside_it_a_part():
    rings = [box(0, 0, 100, 100), hole(10, 10, 90, 90), box(20, 20, 80, 80), hole(30, 30, 40, 40), box(200, 0, 210, 10)]
    raw = read(text(plot(*rings)))
    parts = shapely.get_parts(raw.geometries[0])
    assert [len(part.interiors) for part in parts] == [1, 1, 0]
    assert raw.geometries[0].is_valid
    assert raw.geometries[0].area == pytest.approx(10_000 - 6_400 + 3_600 - 100 + 100)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_pitfall_03_the_order_of_the_rings_does_not_matter(order):
    rings = [box(0, 0, 100, 100), box(10, 10, 90, 90), box(20, 20, 80, 80)]
    raw = read(text(plot(*(rings[n] for n in order))))
    assert raw.geometries[0].area == pytest.approx(10_000 - 6_400 + 3_600)


def test_pitfall_03_a_hole_that_touches_the_rim_stays_a_hole():
    raw = read(text(plot(box(0, 0, 100, 100), [(0, 50), (50, 25), (50, 75)])))
    assert len(raw.geometries[0].interiors) == 1
    assert raw.geometries[0].is_valid


def test_pitfall_04_two_plots_with_the_same_header_stay_two():
    raw = read(text(SQUARE, plot(box(200, 0, 300, 100), area="1.0000")))
    assert len(raw.table) == len(raw.geometries) == 2
    assert list(raw.table["plot_no"]) == ["A-1", "A-1"]
    assert raw.geometries[0].distance(raw.geometries[1]) == pytest.approx(100)


def test_pitfall_05_unknown_keys_are_kept():
    raw = read(text(SQUARE, said={"审核人": "甲=乙", "带号": "36"}))
    assert "审核人=甲=乙" in raw.found["header"].splitlines()
    assert raw.notes == ()


@pytest.mark.parametrize(
    "spelled",
    [
        "{number},{ring},{x},{y},",
        " {number} , {ring} ,\t{x}, {y} ",
        "{number}\t{ring}\t{x}\t{y}",
        "{number} {ring} {x} {y}",
        "{number}，{ring}，{x}，{y}",
        "{number},{ring},{x} {y}",
        "\u3000{number},{ring},{x},{y}",
    ],
)
def test_pitfall_05_points_are_read_however_their_fields_are_parted(spelled):
    head, *points = SQUARE
    lines = [head]
    for point in points:
        number, ring, x, y = point.split(",")
        lines.append(spelled.format(number=number, ring=ring, x=x, y=y))
    raw = read(text(lines))
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert raw.notes == ()


def test_pitfall_05_full_width_digits_and_punctuation_are_read():
    wide = str.maketrans("0123456789.,J@[]=-", "０１２３４５６７８９．，Ｊ＠［］＝－")
    lines = [line.translate(wide) for line in text(SQUARE).splitlines()]
    raw = read("\n".join(lines))
    assert raw.crs == "EPSG:4524"
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert list(raw.table["declared_area_ha"]) == [1.0]
    assert "full-width commas" in said_of(raw)


def test_pitfall_05_a_line_that_is_no_point_makes_its_plot_unreadable_and_no_other():
    broken = [*SQUARE[:3], "J2,1,3111000.000", *SQUARE[3:], "J9,1,abc,36564900.000"]
    raw = read(text(broken, SQUARE))
    assert raw.geometries[0] is None
    assert raw.geometries[1] is not None
    assert len(raw.table) == 2
    assert [note.field for note in raw.notes] == ["line 14", "line 18"]
    assert all("neither a point" in note.reason for note in raw.notes)


@pytest.mark.parametrize("odd", ["J1,,{x},{y}", "J1,1,,{x},{y}", ",1,{x}", "1,{x},{y}"])
def test_pitfall_05_a_point_without_its_ring_number_or_a_coordinate_is_not_guessed(odd):
    head, point, *points = SQUARE
    x, y = point.split(",")[2:]
    raw = read(text([head, odd.format(x=x, y=y), *points]))
    assert raw.geometries[0] is None
    assert "neither a point" in said_of(raw)


def test_pitfall_05_what_follows_the_easting_is_noted():
    head, *points = SQUARE
    raw = read(text([head, points[0] + ",812.5", *points[1:]]))
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert "'812.5' follows the easting" in said_of(raw)


@pytest.mark.parametrize(
    ("encoding", "spoken"),
    [("gb18030", "GB18030"), ("gbk", "GB18030"), ("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8-SIG"), ("utf-16", "UTF-16")],
)
def test_pitfall_06_every_encoding_is_read(encoding, spoken):
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", name="木黄镇凤仪村")).encode(encoding))
    assert list(raw.table["plot_name"]) == ["木黄镇凤仪村"]
    assert list(raw.table["use"]) == ["工业用地"]
    assert raw.found["encoding"] == spoken
    assert raw.crs == "EPSG:4524"
    assert raw.notes == ()


def test_pitfall_06_a_character_outside_gbk_is_read_from_gb18030():
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", name="𠮷村")).encode("gb18030"))
    assert list(raw.table["plot_name"]) == ["𠮷村"]


def test_pitfall_06_bytes_of_no_encoding_are_refused_with_their_line():
    data = text(SQUARE).encode("gbk").replace(b"A-1", b"A\xff1")
    with pytest.raises(BadInput) as refused:
        read(data)
    assert refused.value.faults[0].field == "line 11"
    with pytest.raises(BadInput, match="not UTF-8"):
        read(text(SQUARE).encode("gbk"), encoding="UTF-8")
    with pytest.raises(BadInput, match="is not an encoding"):
        read(text(SQUARE), encoding="GBK-9")


def test_pitfall_07_a_bom_glued_on_blank_lines_and_full_width_brackets():
    body = text(SQUARE).replace("[", "【").replace("]", "】").replace("\r\n", "\r\n\r\n \t\r\n")
    raw = read(("\ufeff\ufeff" + body).encode("utf-8"))
    assert raw.crs == "EPSG:4524"
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert raw.notes == ()


def test_pitfall_07_without_attributes_the_plots_are_read_and_the_datum_is_asked_for():
    for file in ("\n".join(SQUARE), "[地块坐标]\r" + "\r".join(SQUARE)):
        raw = read(file)
        assert raw.geometries[0].area == pytest.approx(10_000)
        assert raw.crs is None
        assert "does not say its 坐标系. If it is CGCS2000" in said_of(raw)
        assert "--crs EPSG:4524" in said_of(raw)


def test_pitfall_07_other_sections_are_left_alone_and_said():
    raw = read("[项目信息]\n联系=a@b\n合计,1\n" + text(SQUARE))
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert "2 lines stand in sections" in said_of(raw)


@pytest.mark.parametrize(("area", "unit"), [("10000", "m2"), ("15.00", "mu"), ("0.01", "km2")])
def test_pitfall_08_an_area_in_another_unit_is_flagged_and_the_unit_guessed(area, unit):
    file = text(plot(box(0, 0, 100, 100), area=area))
    raw = read(file)
    assert list(raw.table["declared_area_ha"]) == [float(area)]
    (note,) = raw.notes
    assert f"地块面积 says {area}, the coordinates give 1.0000 ha" in note.reason
    assert f"It looks like {unit}" in note.fix
    asked = read(file, profile=replace(STANDARD, area_unit=unit))
    assert list(asked.table["declared_area_ha"]) == pytest.approx([1.0])
    assert asked.notes == ()


@pytest.mark.parametrize(("area", "odd"), [("1.0010", 0), ("1.0012", 1), ("0.9990", 0), ("0.9988", 1), ("", 1)])
def test_pitfall_08_a_difference_counts_beyond_a_ten_thousandth_hectare_and_a_thousandth(area, odd):
    assert len(read(text(plot(box(0, 0, 100, 100), area=area))).notes) == odd


def test_pitfall_09_near_points_self_touching_rings_and_spikes_are_reported_and_left():
    near = [*box(0, 0, 100, 100), (0.0004, 0.0004)]
    head, *points = plot(near, area="1.0000")
    points[4] = f"J5,1,{NORTH + 0.0004:.4f},{EAST + 0.0004:.4f}"
    touching = [(200, 0), (250, 50), (300, 0), (300, 100), (250, 50), (200, 100)]
    spiked = [(400, 100), (450, 100), (450.2, 300), (450.4, 100), (500, 100), (500, 0), (400, 0)]
    twice = [*box(600, 0, 700, 100), (600, 0)]
    raw = read(text([head, *points], plot(touching), plot(spiked), plot(twice)))
    said = {(note.feature, note.field): note.reason for note in raw.notes if "地块面积" not in note.reason}
    assert "lies on point J4" in said[("plot 1 A-1", "line 16, point J5")]
    assert "touches itself here, at point J2" in said[("plot 2 A-1", "line 23, point J5")]
    assert "a spike of 0.115°" in said[("plot 3 A-1", "line 29, point J3")]
    assert "lies on point J4" in said[("plot 4 A-1", "line 40, point J5")]
    assert len(said) == 4 + 1  # the ring that touches itself is not valid either, which is said of the same place
    assert [len(shapely.get_coordinates(geometry)) for geometry in raw.geometries] == [6, 7, 8, 6]


def test_pitfall_09_a_last_point_that_all_but_repeats_the_first_lies_on_it():
    head, *points = plot([*box(0, 0, 100, 100), (0, 99.5)], area="1.0000", closed=False)
    points[4] = f"J5,1,{NORTH + 99.9996:.4f},{EAST:.4f}"
    (note,) = read(text([head, *points])).notes
    assert "lies on point J1" in note.reason
    assert note.field == "line 16, point J5"


def test_pitfall_09_a_ring_that_crosses_itself_is_named_by_its_nearest_point():
    raw = read(text(plot([(0, 0), (100, 100), (100, 0), (0, 101)])))
    assert not raw.geometries[0].is_valid
    assert "Self-intersection" in said_of(raw)
    assert "near this point" in said_of(raw)


def test_pitfall_11_the_old_datums_are_refused():
    for said, name in (
        ("1980西安坐标系", "西安80"),
        ("1980西安坐标系(2000年测)", "西安80"),
        ("北京54 转2000前", "北京54"),
        ("西安80", "西安80"),
        ("1954年北京坐标系", "北京54"),
        ("新北京54坐标系", "北京54"),
        ("Xian 1980", "西安80"),
    ):
        with pytest.raises(NeedCrs) as refused:
            read(text(SQUARE, said={"坐标系": said}))
        (fault,) = refused.value.faults
        assert f"{name}" in fault.reason
        assert "seven local parameters" in fault.reason
        assert fault.field == "坐标系"


def test_pitfall_11_numbers_without_direction_and_units_do_not_help_and_every_fault_is_said():
    broken = [*SQUARE, "J9,1,abc,def"]
    with pytest.raises(NeedCrs) as refused:
        read(text(broken, said={"坐标系": "1980西安坐标系", "转换参数": "12.5,3,4,0.1,0.2,0.3,1"}))
    assert "neither their direction nor their units" in str(refused.value)
    assert "neither a point" in str(refused.value)


@pytest.mark.parametrize(
    "said", [{"坐标系": "独立坐标系"}, {"坐标系": None}, {"投影类型": "墨卡托"}, {"计量单位": "公里"}]
)
def test_pitfall_11_any_other_system_is_asked_for(said):
    raw = read(text(SQUARE, said=said))
    assert raw.crs is None
    (note,) = raw.notes
    assert note.field == next(iter(said))
    assert "say --crs EPSG:4524" in note.fix


def test_pitfall_12_a_comma_in_a_name_is_refused_unless_the_profile_says_so():
    file = text(plot(box(0, 0, 100, 100), area="1.0000", name="木黄镇,一号地"), SQUARE)
    raw = read(file)
    assert raw.geometries[0] is None
    assert raw.geometries[1] is not None
    assert "may hold a comma" in said_of(raw)
    named = read(file, profile=replace(STANDARD, names_hold_commas=True))
    assert list(named.table["plot_name"]) == ["木黄镇,一号地", "木黄地块"]
    assert list(named.table["code"]) == ["0601", "0601"]
    assert named.notes == ()


def test_pitfall_12_more_fields_than_the_profile_has_are_refused():
    file = text(plot(box(0, 0, 100, 100), area="1.0000", extra="甲,"))
    assert read(file).notes == ()
    raw = read(file, profile=STANDARD)
    assert raw.geometries[0] is None
    assert "the header has 9 fields" in said_of(raw)


def test_pitfall_12_a_full_width_comma_is_part_of_a_name():
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", name="木黄镇，一号地")))
    assert list(raw.table["plot_name"]) == ["木黄镇，一号地"]
    assert raw.notes == ()


def test_pitfall_13_a_number_used_twice_in_a_plot_is_reported_once():
    head, *points = plot(box(0, 0, 100, 100), hole(20, 20, 30, 30), area="0.9900")
    again = [line.replace("J5", "J1").replace("J6", "J2") for line in points]
    (note,) = read(text([head, *again])).notes
    assert "stand for several points each: J1, J2" in note.reason
    assert read(text([head, *points])).notes == ()


def test_pitfall_13_shared_points_of_neighbours_that_differ_by_a_hair_are_reported():
    beside = [(100.004, 100), (200, 100), (200, 0), (100, 0)]
    raw = read(text(SQUARE, plot(beside, area="1.0000", number="A-2")))
    (note,) = raw.notes
    assert note.feature == "plot 1 A-1"
    assert "hair from those of plot 2 A-2: J2 and J1 (4.0 mm)" in note.reason
    same = read(text(SQUARE, plot(box(100, 0, 200, 100), area="1.0000", number="A-2")))
    assert same.notes == ()
    far = read(text(SQUARE, plot(box(100.06, 0, 200.06, 100), area="1.0000", number="A-2")))
    assert far.notes == ()


# --- what else a file may hold -----------------------------------------------------------------------


@pytest.mark.parametrize(("closed", "count", "noted"), [(True, 5, 0), (True, 4, 0), (False, 4, 0), (False, 5, 1)])
def test_a_repeated_last_point_is_dropped_and_may_be_counted_or_not(closed, count, noted):
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", closed=closed, count=count)))
    assert shapely.get_num_coordinates(raw.geometries)[0] == 5
    assert len(raw.notes) == noted
    if noted:
        assert "界址点数 says 5, but 4 points follow" in said_of(raw)


def test_lines_and_points_are_read_as_such():
    raw = read(
        text(
            plot([(0, 0), (10, 0), (10, 10)], kind="线"),
            plot([(0, 0), (10, 0)], [(20, 0), (30, 0)], kind="线"),
            plot([(5, 5)], kind="点"),
            plot([(5, 5), (6, 6)], kind="点"),
            plot([(0, 0), (10, 0), (10, 10), (0, 0)], kind="线"),
        )
    )
    assert [g.geom_type for g in raw.geometries] == [
        "LineString",
        "MultiLineString",
        "Point",
        "MultiPoint",
        "LineString",
    ]
    assert raw.geometries[4].is_closed
    assert raw.geometries[0].length == pytest.approx(20)
    assert raw.crs == "EPSG:4524"
    assert raw.notes == ()


def test_the_columns_of_land_consolidation_have_names():
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", extra="水田,0101,8,7,备注,")))
    assert raw.found["profile"] == "land consolidation"
    assert tuple(raw.table.columns) == LAND_CONSOLIDATION.columns
    assert list(raw.table["grade_after"]) == ["7"]


def test_other_columns_are_kept_by_number():
    raw = read(text(SQUARE, plot(box(200, 0, 300, 100), area="1.0000", extra="甲,乙,")))
    assert list(raw.table["extra_1"]) == [None, "甲"]
    assert list(raw.table["extra_2"]) == [None, "乙"]
    own = Profile("own", (*STANDARD.columns, "keeper", "year"))
    asked = read(text(plot(box(0, 0, 100, 100), area="1.0000", extra="甲,2026,")), profile=own)
    assert list(asked.table["year"]) == ["2026"]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (plot(box(0, 0, 1, 1), kind="多边形"), "图形属性 is '多边形'"),
        (plot([(0, 0), (1, 1)]), "fewer than 3 different points"),
        (plot([(0, 0), (1, 1), (0, 0), (1, 1)]), "fewer than 3 different points"),
        (plot([(0, 0)], kind="线"), "fewer than 2 different points"),
        (plot(), "it has no points"),
        (plot(box(0, 0, 1, 1), east=24_500_000.0), "no point of a Gauss-Krüger grid"),
        (plot(box(0, 0, 1, 1), east=108.6), "no point of a Gauss-Krüger grid"),
    ],
)
def test_a_plot_that_cannot_be_read_is_counted_and_says_why(lines, says):
    raw = read(text(lines, SQUARE))
    assert [g is None for g in raw.geometries] == [True, False]
    assert says in said_of(raw)
    assert all(note.file == "界址.txt" and note.feature == "plot 1 A-1" for note in raw.notes)


def test_points_of_two_zones_in_one_plot_make_it_unreadable():
    lines = plot(box(0, 0, 100, 100))
    lines[2] = lines[2].replace(",36", ",37")
    raw = read(text(lines, SQUARE))
    assert raw.geometries[0] is None
    assert raw.crs == "EPSG:4524"
    assert "several zones (36, 37)" in said_of(raw)


def test_points_before_any_header_are_a_plot_nobody_can_read():
    raw = read(text(SQUARE[1:], SQUARE))
    assert [g is None for g in raw.geometries] == [True, False]
    assert "before any plot header" in said_of(raw)


def test_a_header_without_its_mark_is_still_a_header():
    raw = read(text(SQUARE, [SQUARE[0].replace(",@", ""), *plot(box(200, 0, 300, 100))[1:]]))
    assert len(raw.table) == 2
    assert list(raw.table["code"]) == ["0601", "0601"]
    assert "does not end in @" in said_of(raw)


def test_an_empty_kind_is_read_as_an_area_and_said():
    raw = read(text(plot(box(0, 0, 100, 100), area="1.0000", kind="面")).replace(",面,", ",,"))
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert list(raw.table["geometry_kind"]) == [None]
    assert "图形属性 is empty" in said_of(raw)


def test_a_header_short_of_fields_is_read_and_said():
    raw = read(text(["5,1.0000,A-1,木黄,面,@", *SQUARE[1:]]))
    assert raw.geometries[0].area == pytest.approx(10_000)
    assert list(raw.table["code"]) == [None]
    assert "5 of 8 fields" in said_of(raw)


def test_numbers_that_are_none_are_unknown_and_said():
    raw = read(text(["5,一公顷,A-1,木黄,面,,,0601,@", *SQUARE[1:]]))
    assert np.isnan(raw.table["declared_area_ha"][0])
    assert "'一公顷' is not a number" in said_of(raw)


def test_a_ring_number_that_comes_back_is_said():
    head, *points = plot(box(0, 0, 10, 10), box(20, 0, 30, 10), box(40, 0, 50, 10))
    raw = read(text([head, *(line.replace(",3,3", ",1,3") for line in points)]))
    assert len(shapely.get_parts(raw.geometries[0])) == 3
    assert "圈号 1 comes back" in said_of(raw)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"[\xca\xf4]\n", b"id,x,y\n1,2,3\n", b"<html></html>"])
def test_a_file_without_plots_is_refused(data):
    with pytest.raises(BadInput, match="holds no plot"):
        read(data)


@pytest.mark.parametrize("number", ["nan", "inf", "1e6", "3_111_000", "0x10", "--1", "3,111,000.0"])
def test_only_plain_digits_are_a_coordinate(number):
    head, *points = SQUARE
    raw = read(text([head, f"J1,1,{number},36564900.000", *points[1:]]))
    assert raw.geometries[0] is None


def test_past_many_notes_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(boundary_txt.reading, "MAX_NOTES", 2)
    said = read(text(*[plot(box(200 * n, 0, 200 * n + 100, 100), area="9.0000") for n in range(5)])).notes
    assert len(said) == 3
    assert said[-1].reason == "3 more places look odd"


def test_an_unknown_unit_or_precision_is_no_profile():
    with pytest.raises(ValueError, match="ha, m2, mu, km2"):
        Profile(area_unit="acre")
    with pytest.raises(ValueError, match="0 to 6"):
        Profile(decimals=9)


@pytest.mark.parametrize("said", ["WGS84(2000)", "独立坐标系2000", "地方坐标系(2000)"])
def test_a_2000_somewhere_in_a_name_is_not_cgcs2000(said):
    found = read(text(plot(box(0, 0, 100, 100)), said={"坐标系": said}))
    assert found.crs is None
    assert any(note.field == "坐标系" for note in found.notes)


@pytest.mark.parametrize("said", ["CGCS2000", "国家2000大地坐标系", "2000国家大地坐标系（CGCS2000）", "2000坐标系"])
def test_the_names_offices_use_for_cgcs2000_are_known(said):
    assert read(text(plot(box(0, 0, 100, 100)), said={"坐标系": said})).crs == "EPSG:4524"
