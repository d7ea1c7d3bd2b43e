"""Which reference system a file is really in: the arithmetic of the codes, and the slips that move a boundary."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer

from layers import crs as crs_
from layers.errors import BadInput, NeedCrs

EAST, NORTH, LON, LAT = 564_900.0, 3_110_800.0, 108.6609, 28.1090


# --- the codes of China -------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", range(25, 46))
def test_a_three_degree_zone_has_two_codes_for_one_grid(zone):
    """With prefix 4488 + zone, without 4534 + (meridian - 75) / 3."""
    with_prefix, without = crs_.parse(f"EPSG:{4488 + zone}"), crs_.parse(f"EPSG:{4534 + zone - 25}")
    assert f"zone {zone}" in with_prefix.name
    assert f"CM {3 * zone}E" in without.name
    lon, lat = 3 * zone + 0.7, 28.0
    east, north = crs_.between(crs_.parse_cached("EPSG:4490"), without).transform(lon, lat)
    assert crs_.between(crs_.parse_cached("EPSG:4490"), with_prefix).transform(lon, lat) == pytest.approx(
        (zone * 1_000_000 + east, north), abs=1e-6
    )
    assert 500_000 < east < 600_000
    assert round(lon / 3) == zone


def test_our_county_lies_in_zone_36_wholly():
    for lon in (108.30, 108.81):
        assert round(lon / 3) == 36
    assert crs_.parse("EPSG:4524").name.endswith("zone 36")
    assert crs_.parse("EPSG:4545").name.endswith("CM 108E")


def test_east_comes_first_whatever_the_code_says():
    official = CRS(4545)
    assert [axis.direction for axis in official.axis_info] == ["north", "east"]
    east, north = crs_.between(crs_.parse_cached("EPSG:4490"), official).transform(LON, LAT)
    assert (east, north) == pytest.approx((EAST, NORTH), abs=200)
    lon, lat = crs_.to_lonlat(official).transform(EAST, NORTH)
    assert (lon, lat) == pytest.approx((LON, LAT), abs=0.002)


def test_wgs_84_is_taken_for_cgcs2000():
    """A ballpark shift of nothing: fine for display, some decimetres off for raw satellite positions."""
    point = np.array([shapely.Point(LON, LAT)])
    moved = [crs_.transform(point, CRS(code), CRS(4545))[0] for code in (4326, 4490)]
    assert moved[0].distance(moved[1]) < 1e-3


# --- what a county works in ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["EPSG:4545", "EPSG:4524", "EPSG:4547", "EPSG:32649", "EPSG:3857"])
def test_a_projected_crs_in_metres_can_be_worked_in(text):
    assert crs_.working(text) == CRS(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("EPSG:4490", "projected CRS in metres"),
        ("EPSG:4326", "projected CRS in metres"),
        ("EPSG:2225", "projected CRS in metres"),  # US survey feet
        ("EPSG:4978", "projected CRS in metres"),
        ("EPSG:5737", "projected CRS in metres"),
        ("+proj=tmerc +lon_0=108 +units=km", "projected CRS in metres"),
        ("EPSG:2360", "西安80"),
        ("EPSG:2433", "北京54"),
        ("EPSG:1", "does not know"),
        ("木黄", "does not know"),
        ("", "does not know"),
        ("x" * 10_000, "does not know"),
    ],
)
def test_other_systems_cannot(text, says):
    with pytest.raises(BadInput) as refused:
        crs_.working(text)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 400
    assert all(fault.fix for fault in refused.value.faults)


# --- the two datums whose shift PROJ takes for zero ----------------------------------------------------

XIAN = [4610, *range(2327, 2391)]
BEIJING = [4214, *range(2401, 2443)]


def test_the_trap_is_real():
    """PROJ moves a Xian 80 or Beijing 54 position by nothing, without a word; the true shift is 40 to 130 m."""
    for code in (4610, 4214):
        there = Transformer.from_crs(code, 4490, always_xy=True)
        assert there.transform(LON, LAT) == pytest.approx((LON, LAT), abs=1e-6)


@pytest.mark.parametrize(("codes", "name"), [(XIAN, "西安80"), (BEIJING, "北京54")], ids=["Xian 80", "Beijing 54"])
def test_every_code_of_the_old_datums_is_refused(codes, name):
    for code in codes:
        with pytest.raises(BadInput, match=name):
            crs_.refuse_shiftless(CRS(code))


def test_no_code_of_cgcs2000_is_refused():
    for code in (4490, 4480, *range(4491, 4555)):
        crs_.refuse_shiftless(CRS(code), "file", "layer")


# --- what a file says ----------------------------------------------------------------------------------


def test_the_operator_counts_more_than_the_file():
    assert crs_.of_file(CRS(4326).to_wkt(), "EPSG:4545", "a.shp", None) == CRS(4545)
    assert crs_.of_file(CRS(4545).to_wkt(), None, "a.shp", None) == CRS(4545)
    assert crs_.of_file(None, "EPSG:4545", "a.shp", None) == CRS(4545)
    with pytest.raises(BadInput, match="西安80"):
        crs_.of_file(CRS(4545).to_wkt(), "EPSG:2360", "a.shp", None)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "it has none"),
        (CRS.from_wkt('LOCAL_CS["Undefined Cartesian SRS",UNIT["m",1]]').to_wkt(), "which is none"),
        (CRS.from_wkt('LOCAL_CS["site",UNIT["m",1]]').to_wkt(), "Engineering"),
        (CRS(4978).to_wkt(), "Geocentric"),
        (CRS(5737).to_wkt(), "Vertical"),
    ],
)
def test_what_is_no_system_for_a_map_asks_for_one(found, says):
    with pytest.raises(NeedCrs) as asked:
        crs_.of_file(found, None, "a.shp", "a")
    (fault,) = asked.value.faults
    assert says in fault.reason
    assert "--crs" in fault.fix
    assert (fault.file, fault.layer) == ("a.shp", "a")


@pytest.mark.parametrize("code", [4545, 4524, 4490, 4326, 32649, 3857, 2225, 27700, 2193])
@pytest.mark.parametrize("dialect", ["WKT1_ESRI", "WKT1_GDAL", "WKT2_2019"])
def test_no_dialect_of_a_crs_contradicts_itself(code, dialect):
    found = CRS(code).to_wkt(dialect)
    assert crs_.of_file(found, None, "a.shp", None).to_epsg(min_confidence=20) == code


def test_a_code_whose_unit_is_not_the_unit_described_is_refused():
    feet = CRS(4545).to_wkt().replace('LENGTHUNIT["metre",1', 'LENGTHUNIT["US survey foot",0.304800609601219')
    with pytest.raises(NeedCrs, match=r"tagged EPSG:4545, whose unit is metre, but describes itself in US survey foot"):
        crs_.of_file(feet, None, "a.shp", None)


# --- the same grid on another datum ----------------------------------------------------------------------


def grid_on(datum: str) -> CRS:
    return CRS(f"+proj=tmerc +lat_0=0 +lon_0=108 +k=1 +x_0=500000 +y_0=0 {datum} +units=m +no_defs")


def test_the_countys_grid_on_another_datum_is_a_slip_of_a_tag():
    with pytest.raises(NeedCrs, match="own grid on another datum"):
        crs_.refuse_twin(grid_on("+datum=WGS84"), CRS(4545), "a.shp", None)
    for fine in (CRS(4545), CRS(4524), CRS(4546), CRS(32649), CRS(4490), grid_on("+ellps=GRS80")):
        crs_.refuse_twin(fine, CRS(4545), "a.shp", None)


# --- where coordinates cannot lie ------------------------------------------------------------------------


def bounds(east: float, north: float, side: float = 1_000.0) -> tuple[float, float, float, float]:
    return (east, north, east + side, north + side)


@pytest.mark.parametrize(
    ("code", "box", "says"),
    [
        (4545, bounds(EAST, NORTH), None),
        (4524, bounds(36e6 + EAST, NORTH), None),
        (4490, bounds(LON, LAT, 0.01), None),
        (4326, bounds(-180, -90, 360), "do not lie"),
        (4326, (-180.0, -90.0, 180.0, 90.0), None),
        (4545, bounds(36e6 + EAST, NORTH), "zone prefix"),
        (4524, bounds(EAST, NORTH), "zone prefix"),
        (4525, bounds(36e6 + EAST, NORTH), "zone prefix"),
        (4545, bounds(NORTH, EAST), "axes are swapped"),
        (4524, bounds(NORTH, 36e6 + EAST), "axes are swapped"),
        (4490, bounds(LAT, LON, 0.01), "axes are swapped"),
        (4545, bounds(LON, LAT, 0.01), "do not lie"),  # degrees said to be metres
        (4490, bounds(EAST, NORTH), "do not lie"),  # metres said to be degrees
        (4545, bounds(EAST / 1_000, NORTH / 1_000), "do not lie"),  # kilometres
        (4545, bounds(EAST - 450_000, NORTH), "do not lie"),  # far west of where the zone is used
    ],
)
def test_coordinates_that_cannot_be_in_the_crs_are_refused(code, box, says):
    if says is None:
        crs_.refuse_misplaced(CRS(code), box, "a.shp", "a")
        return
    with pytest.raises(BadInput, match=says) as refused:
        crs_.refuse_misplaced(CRS(code), box, "a.shp", "a")
    (fault,) = refused.value.faults
    assert (fault.file, fault.layer) == ("a.shp", "a")


def test_a_county_at_the_seam_of_two_zones_is_drawn_in_one_of_them():
    for lon in (106.6, 109.4, 109.9):  # the zone ends at 109.5
        east, north = Transformer.from_crs(4490, 4545, always_xy=True).transform(lon, 28.0)
        crs_.refuse_misplaced(CRS(4545), bounds(east, north), "a.shp", None)


# --- single vertices nowhere on earth ----------------------------------------------------------------------


def test_a_feature_with_a_vertex_nowhere_on_earth_is_found():
    good = shapely.box(EAST, NORTH, EAST + 9, NORTH + 9)
    shapes = np.array([good, shapely.LineString([(EAST, NORTH), (1e12, NORTH)]), None, shapely.Polygon()], dtype=object)
    assert crs_.lost(CRS(4545), shapes).tolist() == [False, True, False, False]
    degrees = np.array([shapely.Point(LON, LAT), shapely.Point(1_086.6, LAT), shapely.Point(LON, 281.0)])
    assert crs_.lost(CRS(4490), degrees).tolist() == [False, True, True]


def test_only_the_lost_vertex_becomes_infinite():
    line = np.array([shapely.LineString([(LON, LAT), (1_086.6, LAT)])])
    (moved,) = crs_.transform_lost(line, CRS(4490), CRS(4545))
    (first, second) = moved.coords
    assert first == pytest.approx((EAST, NORTH), abs=200)
    assert second == (np.inf, np.inf)


def test_there_and_back_is_the_same_place_to_a_hundredth_of_a_millimetre():
    points = shapely.points(np.random.default_rng(1).uniform((420_000, 2_990_000), (620_000, 3_190_000), (500, 2)))
    there = crs_.transform(points, CRS(4545), CRS(4490))
    back = crs_.transform(there, CRS(4490), CRS(4545))
    assert shapely.distance(points, back).max() < 1e-5
    assert crs_.transform(points, CRS(4545), CRS(4545)) is points
