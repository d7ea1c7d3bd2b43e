"""What comes out of the child is what the file says, whichever format and encoding it is in."""

from __future__ import annotations

import json
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pytest
import shapely
from pyarrow import parquet
from pyproj import CRS

from layers.errors import BadInput, ParkError, TooLarge, UnknownName
from layers.reading import Defences, Limits, read, read_grid
from tests.layers.files import (
    EAST,
    NORTH,
    bow_tie,
    broken,
    frame,
    geojson,
    ring,
    shapefile,
    square,
    squares,
    write,
    zipped,
)
from tests.layers.reading.attacks import tiff

NAMES = {"名称": ["木黄镇工业地块", "乙地块"], "DLBM": ["0601", "0101"], "面积": [1.5, 2.25], "层数": [3, 4]}


def plain(folder: Path, name: str, **options: Any) -> Path:
    return write(folder / name, frame(**NAMES), **options)


def geodatabase(folder: Path) -> Path:
    return plain(folder, "地块.gdb", driver="OpenFileGDB")


def zip_of(path: Path, inside: str = "某县/2024/") -> Path:
    """A file or folder in a zip, in a sub-folder."""
    whole = path.with_name("包.zip")
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")) if path.is_dir() else sorted(path.parent.glob(f"{path.stem}.*")):
            if file != whole:
                archive.write(file, f"{inside}{file.relative_to(path.parent)}")
    return whole


FORMATS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "GeoPackage": ("地块", lambda f: plain(f, "地块.gpkg")),
    "Shapefile": ("地块", lambda f: plain(f, "地块.shp", encoding="UTF-8")),
    "FlatGeobuf": ("地块", lambda f: plain(f, "地块.fgb", SPATIAL_INDEX="NO")),
    "FileGDB": ("地块", geodatabase),
    "MapInfo TAB": ("地块", lambda f: plain(f, "地块.tab", driver="MapInfo File", ENCODING="UTF-8")),
    "MapInfo MIF": ("地块", lambda f: plain(f, "地块.mif", driver="MapInfo File", FORMAT="MIF", ENCODING="UTF-8")),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zip"])
def test_every_format_says_the_same(name, packed, tmp_path):
    layer, make = FORMATS[name]
    path = make(tmp_path)
    raw = read(zip_of(path) if packed else path)
    assert (raw.found["format"], raw.found["layer"]) == (name, layer)
    for column, values in NAMES.items():
        assert raw.table[column].tolist() == values
    tolerance = 0.02 if "MapInfo" in name else 0.001  # TAB keeps coordinates as integers
    assert (
        shapely.equals_exact(shapely.normalize(raw.geometries), shapely.normalize(squares(2)), tolerance).all()
        or (shapely.area(shapely.symmetric_difference(raw.geometries, squares(2))) < 100 * tolerance).all()
    )
    if "MapInfo" not in name:
        assert CRS.from_user_input(raw.crs).to_epsg() == 4545


def test_geojson_and_kml_are_in_degrees(tmp_path):
    path = geojson(tmp_path / "地块.geojson", ring(), None, rows=[{"名称": "甲"}, {"名称": "乙"}])
    raw = read(path)
    assert raw.table["名称"].tolist() == ["甲", "乙"]
    assert (raw.geometries[0] == shapely.Polygon(ring()["coordinates"][0]), raw.geometries[1]) == (True, None)
    assert CRS.from_user_input(raw.crs).to_epsg() == 4326
    made = gpd.GeoDataFrame({"Name": ["甲"]}, geometry=[raw.geometries[0]], crs=4326)
    kml = read(write(tmp_path / "a.kml", made, driver="LIBKML"))
    assert kml.found["format"] == "KML"
    assert kml.table["Name"].tolist() == ["甲"]
    assert kml.geometries[0].equals_exact(raw.geometries[0], 1e-9)


def test_dxf_has_no_reference_system(tmp_path):
    made = gpd.GeoDataFrame(geometry=[square().exterior], crs=4545)
    raw = read(write(tmp_path / "a.dxf", made, driver="DXF"))
    assert (raw.found, raw.crs) == ({"format": "DXF", "layer": "entities"}, None)
    assert raw.table["Layer"].tolist() == ["0"]
    assert raw.geometries[0].equals(square().exterior)


# --- the same as the library gives ---------------------------------------------------------------------

MANY = {
    "whole": [1, -2, 3],
    "gap": pd.array([1, None, 3], dtype="Int32"),
    "large": [2**53 + 1, 0, -(2**40)],
    "real": [1.5, np.nan, -2.25],
    "flag": [True, False, True],
    "text": ["甲", "", None],
    "date": pd.to_datetime(["2024-01-31", None, "1999-12-31"]).astype("datetime64[ms]"),
    "time": pd.to_datetime(["2024-01-31T10:30:00", "2024-02-29T23:59:59", None]).astype("datetime64[ms]"),
    "none": pd.array([None, None, None], dtype="string"),
}
SHAPES = [square(), bow_tie(1), None]


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "geojson", "shp", "gdb"])
def test_types_are_those_that_the_library_gives(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    options = {"driver": "OpenFileGDB"} if ending == "gdb" else {"SPATIAL_INDEX": "NO"} if ending == "fgb" else {}
    write(path, gpd.GeoDataFrame(MANY, geometry=SHAPES, crs=4545), **options)
    expected = pyogrio.read_dataframe(path, on_invalid="ignore")
    raw = read(path)
    told = pd.DataFrame(expected.drop(columns="geometry"))
    assert raw.table.pop("none").isna().all() == told.pop("none").isna().all()  # text here, objects there
    pd.testing.assert_frame_equal(raw.table, told)
    assert [shape is None for shape in raw.geometries] == [shape is None for shape in expected.geometry]
    assert shapely.equals_identical(raw.geometries, np.asarray(expected.geometry.values, dtype=object))[:2].all()


def test_what_geojson_alone_can_say_is_text(tmp_path):
    rows = [{"list": [1, 2], "words": ["a", "甲"], "thing": {"a": 1}, "flag": True}, dict.fromkeys(["list"], None)]
    table = read(geojson(tmp_path / "a.geojson", ring(), ring(), rows=rows)).table
    assert json.loads(table["list"][0]) == [1, 2]
    assert json.loads(table["words"][0]) == ["a", "甲"]
    assert json.loads(table["thing"][0]) == {"a": 1}
    assert table["flag"].tolist()[0] == 1
    assert table.iloc[1].isna().all()


def test_times_with_offsets_are_in_utc(tmp_path):
    rows = [{"t": "2024-01-31T10:00:00+08:00"}, {"t": "2024-01-31T10:00:00+09:00"}]
    times = read(geojson(tmp_path / "a.geojson", ring(), ring(), rows=rows)).table["t"]
    assert [str(one) for one in times] == ["2024-01-31 02:00:00+00:00", "2024-01-31 01:00:00+00:00"]


def test_a_layer_without_features_keeps_its_columns(tmp_path):
    raw = read(write(tmp_path / "a.gpkg", frame(squares(0), name=[], n=np.array([], dtype="int32"))))
    assert (list(raw.table.columns), len(raw.geometries)) == (["name", "n"], 0)


def test_coded_values_are_codes_and_not_their_labels(tmp_path):
    path = write(tmp_path / "a.gpkg", frame(squares(2), kind=np.array([1, 2], dtype=np.int32)))
    with sqlite3.connect(path) as store:
        store.executescript(
            """
            CREATE TABLE gpkg_data_columns (table_name TEXT, column_name TEXT, name TEXT, title TEXT,
                description TEXT, mime_type TEXT, constraint_name TEXT);
            CREATE TABLE gpkg_data_column_constraints (constraint_name TEXT, constraint_type TEXT, value TEXT,
                min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC, max_is_inclusive BOOLEAN, description TEXT);
            INSERT INTO gpkg_data_columns VALUES ('a', 'kind', NULL, NULL, NULL, NULL, 'k');
            INSERT INTO gpkg_data_column_constraints VALUES ('k', 'enum', '1', NULL, NULL, NULL, NULL, 'one'),
                ('k', 'enum', '2', NULL, NULL, NULL, NULL, 'two');
            INSERT OR REPLACE INTO gpkg_extensions VALUES ('gpkg_data_columns', NULL, 'gpkg_schema', '', 'read-write');
            """
        )
    store.close()
    assert read(path).table["kind"].tolist() == [1, 2]


# --- geometry as it comes --------------------------------------------------------------------------------


def with_geometry(path: Path, *shapes: bytes) -> Path:
    """A GeoPackage whose geometries are those bytes, whatever they are."""
    write(path, frame(squares(len(shapes))), layer="a", SPATIAL_INDEX="NO")
    store = sqlite3.connect(path)
    (blob,) = store.execute("SELECT geom FROM a WHERE fid = 1").fetchone()
    for row, wkb in enumerate(shapes, 1):
        store.execute("UPDATE a SET geom = ? WHERE fid = ?", (blob[:40] + wkb, row))
    store.commit()
    store.close()
    return path


def test_arcs_are_drawn_as_lines(tmp_path):
    circle = [(EAST, NORTH), (EAST + 50, NORTH + 50), (EAST + 100, NORTH), (EAST + 50, NORTH - 50), (EAST, NORTH)]
    arcs = struct.pack("<BIIBII", 1, 10, 1, 1, 8, 5) + b"".join(struct.pack("<2d", *point) for point in circle)
    raw = read(with_geometry(tmp_path / "a.gpkg", shapely.to_wkb(square(2)), arcs))
    assert raw.geometries[0].equals(square(2))
    assert raw.geometries[1].area == pytest.approx(np.pi * 50**2, rel=1e-2)
    assert raw.table["name"].tolist() == ["地块1", "地块2"]


def test_what_geos_cannot_read_is_none_and_its_neighbours_stay(tmp_path):
    good = shapely.to_wkb(square(3))
    two_points = struct.pack("<BIII4d", 1, 3, 1, 2, EAST, NORTH, EAST + 1, NORTH)
    count_bomb = struct.pack("<BII", 1, 3, 0xFFFFFFFF)
    cut = good[:-8]
    nested = struct.pack("<BII", 1, 7, 1) * 40 + shapely.to_wkb(shapely.Point(EAST, NORTH))
    raw = read(with_geometry(tmp_path / "a.gpkg", good, two_points, count_bomb, cut, nested, b"", good))
    assert [shape is None for shape in raw.geometries] == [False, True, True, True, True, True, False]
    assert len(raw.table) == 7


def test_heights_measures_and_collections_come_through(tmp_path):
    shapes = [shapely.force_3d(square(), 480.0), shapely.GeometryCollection([square(), shapely.Point(EAST, NORTH)])]
    shapes += [shapely.MultiPolygon([square(3), square(5)]), shapely.MultiPolygon([square(7)])]
    raw = read(write(tmp_path / "a.gpkg", frame(shapes)))
    assert shapely.equals_identical(raw.geometries, np.array(shapes, dtype=object)).all()
    measured = struct.pack("<BIII", 1, 2003, 1, 4)
    for east, north in [(0, 0), (9, 0), (9, 9), (0, 0)]:
        measured += struct.pack("<3d", EAST + east, NORTH + north, 7.0)
    assert read(with_geometry(tmp_path / "m.gpkg", measured)).geometries[0].area == pytest.approx(40.5)


def test_coordinates_that_are_no_numbers_come_through(tmp_path):
    nan = broken((EAST, NORTH), (float("nan"), NORTH), (EAST, NORTH + 9))
    raw = read(write(tmp_path / "a.gpkg", frame([square(), nan])))
    assert np.isnan(shapely.get_coordinates(raw.geometries[1])).any()


# --- text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zip"])
@pytest.mark.parametrize(
    ("written", "cpg", "asked", "found"),
    [
        ("GBK", "GBK", None, None),
        ("GBK", None, None, "GB18030"),
        ("UTF-8", None, None, "UTF-8"),
        ("UTF-8", "UTF-8", None, None),
        ("GBK", "UTF-8", "GB18030", "GB18030"),
        ("UTF-8", "GBK", "UTF-8", "UTF-8"),
    ],
)
def test_a_shapefile_is_decoded_as_it_or_the_operator_says(written, cpg, asked, found, packed, tmp_path):
    path = shapefile(tmp_path / "in" / "地块.shp", frame(**NAMES), encoding=written, without=".cpg")
    if cpg:
        path.with_suffix(".cpg").write_text(cpg)
    raw = read(zipped(tmp_path / "a.zip", tmp_path / "in", "x/", "gbk") if packed else path, encoding=asked)
    assert raw.table["名称"].tolist() == NAMES["名称"]
    assert raw.found.get("encoding") == found


def test_a_lying_cpg_is_found_out_where_bytes_can_tell(tmp_path):
    path = shapefile(tmp_path / "地块.shp", frame(**NAMES), encoding="GBK", without=".cpg")
    path.with_suffix(".cpg").write_text("UTF-8")
    with pytest.raises(BadInput, match=r"not in the encoding it claims\n.*--encoding GB18030"):
        read(path)


def test_text_in_gbk_in_a_format_that_says_nothing_of_it(tmp_path):
    path = plain(tmp_path, "地块.mif", driver="MapInfo File", FORMAT="MIF", ENCODING="CP936")
    path.write_bytes(path.read_bytes().replace(b"WindowsSimpChinese", b"Neutral"))
    with pytest.raises(BadInput, match="Say --encoding GB18030"):
        read(path)
    raw = read(path, encoding="GB18030")
    assert raw.table["名称"].tolist() == NAMES["名称"]
    assert raw.found["encoding"] == "GB18030"


def test_an_encoding_that_is_none_is_said(tmp_path):
    with pytest.raises(BadInput, match="'klingon' is not an encoding"):
        read(plain(tmp_path, "a.gpkg"), encoding="klingon")


# --- which file, which layer -----------------------------------------------------------------------------


def test_the_layer_is_chosen_by_name(tmp_path):
    path = plain(tmp_path, "a.gpkg", layer="甲")
    write(path, frame(squares(3)), layer="乙")
    assert len(read(path, layer="乙").table) == 3
    with pytest.raises(BadInput, match="2 layers: 甲, 乙"):
        read(path)
    with pytest.raises(UnknownName, match="no layer '丙'; it has 甲, 乙"):
        read(path, layer="丙")
    assert len(read(plain(tmp_path, "地块.shp"), layer="地块").table) == 2


def test_side_files_are_found_whatever_the_case_of_their_names(tmp_path):
    plain(tmp_path, "a.shp", encoding="UTF-8")
    for file in list(tmp_path.iterdir()):
        file.rename(file.with_suffix(file.suffix.upper()))
    assert len(read(tmp_path / "a.SHP").table) == 2
    assert len(read(zip_of(tmp_path / "a.SHP")).table) == 2


def test_an_ending_nobody_knows_is_no_matter(tmp_path):
    path = plain(tmp_path, "a.gpkg").rename(tmp_path / "upload-7f3a")
    raw = read(path)
    assert raw.found == {"format": "GeoPackage", "layer": "a"}


def test_a_geopackage_somebody_still_works_in_is_read_with_its_journal(tmp_path):
    path = plain(tmp_path, "a.gpkg", SPATIAL_INDEX="NO")  # whose triggers call what plain SQLite lacks
    store = sqlite3.connect(path)
    store.execute("PRAGMA journal_mode = WAL")
    store.execute("PRAGMA wal_autocheckpoint = 0")
    store.execute("UPDATE a SET DLBM = 'late' WHERE fid = 1")
    store.commit()
    before = {file.name: file.read_bytes() for file in tmp_path.glob("a.gpkg*")}
    assert before["a.gpkg-wal"]
    assert read(path).table["DLBM"].tolist() == ["late", "0101"]
    assert {file.name: file.read_bytes() for file in tmp_path.glob("a.gpkg*")} == before
    store.close()
    with sqlite3.connect(path) as again:
        again.execute("PRAGMA journal_mode = WAL")
    again.close()
    assert read(path).table["DLBM"].tolist() == ["late", "0101"]


def test_a_file_that_changes_afterwards_or_is_a_link_is_no_matter(tmp_path):
    path = plain(tmp_path, "a.gpkg")
    (tmp_path / "b.gpkg").symlink_to(path)
    assert len(read(tmp_path / "b.gpkg").table) == 2


def test_a_folder_that_is_no_geodatabase_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no FileGDB"):
        read(tmp_path)
    path = geodatabase(tmp_path)
    (path / "a00000001.gdbtable").unlink()
    with pytest.raises(BadInput, match="no FileGDB"):
        read(path)


# --- formats that GDAL does not read ---------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "地块.parquet"
    frame(**NAMES).to_parquet(path)
    return path


def retold(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The same GeoParquet with another account of its geometry."""
    table = parquet.read_table(path)
    told = json.loads(table.schema.metadata[b"geo"])
    change(told)
    parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(told)}), path)
    return path


def test_geoparquet_is_read(stored):
    raw = read(stored)
    assert raw.found == {"format": "GeoParquet", "layer": "地块"}
    assert raw.table["名称"].tolist() == NAMES["名称"]
    assert shapely.equals_identical(raw.geometries, squares(2)).all()
    assert CRS.from_user_input(raw.crs).to_epsg() == 4545
    assert len(read(zip_of(stored)).table) == 2


def test_geoparquet_without_a_crs_is_in_degrees_and_null_is_unknown(stored):
    assert read(retold(stored, lambda told: told["columns"]["geometry"].pop("crs"))).crs == "OGC:CRS84"
    assert read(retold(stored, lambda told: told["columns"]["geometry"].update(crs=None))).crs is None


def test_geoparquet_that_is_none_is_refused_by_what_it_lacks(stored, tmp_path):
    with pytest.raises(BadInput, match="encoded as polygon"):
        read(retold(stored, lambda told: told["columns"]["geometry"].update(encoding="polygon")))
    with pytest.raises(BadInput, match="CRS is none that PROJ knows"):
        read(retold(stored, lambda told: told["columns"]["geometry"].update(encoding="WKB", crs={"type": "x"})))
    parquet.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="without GeoParquet's account"):
        read(tmp_path / "a.parquet")
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"地块\.parquet cannot be read"):
        read(stored)


def test_geoparquet_with_a_bounding_box_and_nested_geometry(tmp_path):
    path = tmp_path / "a.parquet"
    frame(**NAMES).to_parquet(path, write_covering_bbox=True)
    assert list(read(path).table.columns) == list(NAMES)
    table = parquet.read_table(path)
    deep = struct.pack("<BII", 1, 7, 1) * 200_000 + shapely.to_wkb(shapely.Point(EAST, NORTH))
    shapes = pa.array([shapely.to_wkb(square()), deep], pa.binary())
    parquet.write_table(table.set_column(table.schema.get_field_index("geometry"), "geometry", shapes), path)
    assert [shape is None for shape in read(path).geometries] == [False, True]


@pytest.mark.needs("shared")
def test_osm_is_read_by_layer(shared_data):
    """Counts from the data set's own SOURCE.md."""
    path = shared_data / "andorra_mountain" / "andorra.osm.pbf"
    for layer, count in (("lines", 2_081), ("multipolygons", 624)):
        raw = read(path, layer=layer)
        assert (len(raw.table), raw.found["format"]) == (count, "OSM PBF")
        assert "other_tags" in raw.table
    with pytest.raises(BadInput, match="points, lines, multilinestrings"):
        read(path)


@pytest.mark.needs("shared")
@pytest.mark.parametrize(
    ("name", "count"), [("46505-3411-1.xml", 8), ("46505-3411-1.zip", 8), ("12103-0400-76.zip", 1)]
)
def test_official_cadastral_xml_is_read_in_the_child(name, count, shared_data):
    pytest.importorskip("layers.formats.moj_xml")
    raw = read(shared_data / "moj_japan_parcels" / name)
    assert raw.found["format"] == "MOJ registry map"
    assert len(raw.table) == count


@pytest.mark.needs("shared")
def test_boundary_text_is_read_in_the_child(shared_data, tmp_path):
    pytest.importorskip("layers.formats.boundary_txt")
    path = shared_data / "cn_boundary_txt" / "44120000957.txt"
    raw = read(path)
    assert raw.found["format"] == "boundary TXT"
    assert CRS.from_user_input(raw.crs).to_epsg() == 4526
    assert len(raw.geometries) == 1
    (tmp_path / "in").mkdir()
    shutil.copy(path, tmp_path / "in")
    (tmp_path / "in" / "readme.txt").write_text("something else")
    assert len(read(zipped(tmp_path / "a.zip", tmp_path / "in")).geometries) == 1


# --- grids -------------------------------------------------------------------------------------------------


def test_a_grid_is_read_also_in_a_zip(tmp_path):
    path = tiff(tmp_path / "a.tif", 7.0)
    for one in (path, zip_of(path)):
        grid = read_grid(one)
        assert (grid.values == 7.0).all()
        assert grid.transform == (30.0, 0.0, EAST, 0.0, -30.0, NORTH)
        assert grid.bounds == (EAST, NORTH - 120, EAST + 120, NORTH)
        assert CRS.from_user_input(grid.crs).to_epsg() == 4545


def test_grids_and_layers_are_not_mistaken_for_each_other(tmp_path):
    with pytest.raises(BadInput, match=r"cannot be read as a raster\n.*it is a GeoPackage"):
        read_grid(plain(tmp_path, "a.gpkg"))
    with pytest.raises(BadInput, match=r"cannot be read\n.*it is a raster"):
        read(tiff(tmp_path / "a.tif", 7.0))


# --- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(columns=3), "has 4 columns; at most 3"),
        (Limits(features=1), "has 2 features; at most 1"),
        (Limits(vertices=9), "more than 9 vertices"),
        (Limits(file_bytes=100), "more bytes than are taken"),
    ],
    ids=["columns", "features", "vertices", "bytes"],
)
def test_limits_end_in_too_large(limits, says, tmp_path):
    for path in (plain(tmp_path, "a.gpkg"), FORMATS["MapInfo MIF"][1](tmp_path)):
        with pytest.raises(TooLarge, match=says):
            read(path, limits=limits)


@pytest.mark.parametrize("keep", [0.3, 0.97])
@pytest.mark.parametrize("ending", ["gpkg", "fgb", "shp", "geojson"])
def test_a_file_cut_short_is_never_half_a_layer_without_a_word(ending, keep, tmp_path):
    """Where the library itself says nothing of what is missing, the child says what the library says."""
    path = write(tmp_path / f"a.{ending}", frame(squares(200)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    try:
        expected = len(pyogrio.read_dataframe(path, on_invalid="ignore"))
    except Exception:
        expected = None
    try:
        assert len(read(path).table) == expected
    except ParkError:
        assert expected != 200


def test_the_fence_was_up(tmp_path, monkeypatch):
    from layers.reading import asking, state

    seen = []
    understand = asking._answer
    monkeypatch.setattr(asking, "_answer", lambda *told: seen.append(understand(*told)) or seen[-1])
    read(plain(tmp_path, "a.gpkg"))
    read(plain(tmp_path, "a.gpkg"), defences=Defences(fence=False))
    assert [one.fenced for one in seen] == [state()["files"], False]
