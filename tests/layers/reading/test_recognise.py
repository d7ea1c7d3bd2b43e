"""The content says what a file is; what points elsewhere is refused by name, before any library is loaded."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import BadInput
from layers.sandbox import kinds
from layers.sandbox.kinds import BY_SUFFIX, KINDS, recognise, refuse_strange_schema, sniff
from tests.layers.files import frame, geojson, ring, squares, write
from tests.layers.reading.attacks import add_table, tiff

HEADS = {
    kinds.SHP: b"\0\0\x27\x0a" + bytes(24) + b"\xe8\3\0\0" + bytes(8),
    kinds.GPKG: b"SQLite format 3\0" + bytes(52) + b"GPKG" + bytes(20),
    kinds.FGB: b"fgb\3fgb\0",
    kinds.PARQUET: b"PAR1\x15\0",
    kinds.PBF: b"\0\0\0\x0e\x0a\x09OSMHeader\x18",
    kinds.GEOJSON: b'\xef\xbb\xbf {"type" : "FeatureCollection", "features": []}',
    kinds.KML: b'<?xml version="1.0"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">',
    kinds.DXF: b"999\r\nmade by hand\r\n  0\r\nSECTION\r\n  2\r\nHEADER\r\n",
    kinds.TAB: b'!table\n!version 300\n\nDefinition Table\n  Type NATIVE Charset "Neutral"\n',
    kinds.MIF: b'Version   300\nCharset "WindowsSimpChinese"\n',
    kinds.BOUNDARY_TXT: "【属性描述】\r\n".encode("gbk"),
    kinds.MOJ_XML: '<?xml version="1.0"?><地図 xmlns="http://www.moj.go.jp/MINJI/tizuxml">'.encode(),
    kinds.TIFF: b"II*\0\x08\0\0\0",
}


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", HEADS, ids=lambda kind: kind.name)
def test_each_kind_is_known_by_its_bytes(kind, tmp_path):
    assert sniff(HEADS[kind]) is kind
    for suffix in ("", ".dat", *kind.suffixes):
        assert recognise(put(tmp_path / "given", HEADS[kind]), suffix, "a") is kind


def test_every_kind_but_a_folder_has_its_mark():
    assert {*HEADS, kinds.GDB} == set(KINDS)


@pytest.mark.parametrize(("kind", "suffix"), [*itertools.product(HEADS, sorted(BY_SUFFIX))], ids=str)
def test_the_name_must_not_say_otherwise(kind, suffix, tmp_path):
    path = put(tmp_path / "given", HEADS[kind])
    if suffix in kind.suffixes:
        assert recognise(path, suffix, "a") is kind
    else:
        with pytest.raises(BadInput, match=f"its name says {suffix}, its content is {kind.name}.*{kind.suffixes[0]}"):
            recognise(path, suffix, "a")


def test_real_files_are_known(tmp_path):
    assert recognise(write(tmp_path / "a.gpkg", frame()), ".gpkg", "a") is kinds.GPKG
    assert recognise(write(tmp_path / "a.shp", frame()), ".shp", "a") is kinds.SHP
    assert recognise(write(tmp_path / "a.fgb", frame()), ".fgb", "a") is kinds.FGB
    assert recognise(geojson(tmp_path / "a.json", ring()), ".json", "a") is kinds.GEOJSON
    assert recognise(tiff(tmp_path / "a.tif", 1.0), ".tif", "a") is kinds.TIFF
    assert recognise(write(tmp_path / "a.gdb", frame(), driver="OpenFileGDB"), ".gdb", "a") is kinds.GDB


def test_a_type_at_the_end_of_a_long_geojson_is_found(tmp_path):
    text = '{"features": [' + " " * 100_000 + '], "type": "FeatureCollection"}'
    assert recognise(put(tmp_path / "a.json", text.encode()), ".json", "a") is kinds.GEOJSON


@pytest.mark.parametrize("suffix", ["", *sorted(BY_SUFFIX)])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'<OGRVRTDataSource><OGRVRTLayer name="a"/></OGRVRTDataSource>', "virtual layer"),
        (b"\xef\xbb\xbf\n<VRTDataset rasterXSize='1' rasterYSize='1'/>", "virtual raster"),
        (b'{"type": "gdal_streamed_alg", "command_line": "gdal vector"}', "gdal_streamed_alg"),
        (b'{"a": "FeatureCollection", "type":"gdal_streamed_alg"}', "gdal_streamed_alg"),
        (b"<GDAL_WMS><Service/></GDAL_WMS>", "map service"),
        (b"words, then <OGRVRTDataSource/>", "virtual layer"),
    ],
)
def test_what_only_points_elsewhere_is_refused_by_name(content, says, suffix, tmp_path):
    with pytest.raises(BadInput, match=f"{says}.*holds no data itself"):
        recognise(put(tmp_path / "given", content), suffix, "a")


@pytest.mark.parametrize("mark", [b"<!DOCTYPE kml []>", b"<!ENTITY a 'b'>"])
def test_entities_are_refused_wherever_they_stand(mark, tmp_path):
    content = HEADS[kinds.KML] + b" " * 100_000 + mark
    with pytest.raises(BadInput, match="declares XML entities"):
        recognise(put(tmp_path / "a.kml", content), ".kml", "a")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"AC1027\0\0", "AutoCAD DWG.*DXF"),
        (b"Rar!\x1a\7", "RAR archive.*zip"),
        (b"%PDF-1.7", "it is a PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"PK\3\4", "a zip where none may be"),
        (b"SQLite format 3\0" + bytes(100), "no GeoPackage"),
        (b"!table\nDefinition Table\n  Type SEAMLESS\n", "made of others"),
        (b"!table\nopen table 'other' Interactive\ncreate view v as select * from other\n", "made of others"),
        (b"hello", "not that of"),
        (b"{}", "not that of"),
        (b"<html></html>", "not that of"),
        (b"\0", "not that of"),
    ],
)
def test_what_is_none_of_ours_is_refused_with_a_way_out(content, says, tmp_path):
    with pytest.raises(BadInput, match=says) as refused:
        recognise(put(tmp_path / "given", content), "", "a")
    assert refused.value.faults[0].fix


@given(st.binary(max_size=300))
def test_any_bytes_are_a_kind_or_refused(tmp_path_factory, content):
    path = put(tmp_path_factory.getbasetemp() / "any", content or b"\0")
    with contextlib.suppress(BadInput):
        assert recognise(path, "", "a") in KINDS


def test_recognising_loads_no_library():
    libraries = ("numpy", "pyogrio", "pyarrow", "rasterio", "pandas", "shapely")
    code = f"import sys, layers.sandbox.child, layers.sandbox.unpack; print({{*sys.modules}} & {{*{libraries!r}}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# --- the schema of a GeoPackage -------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpkg", frame(squares(2)))


def test_an_ordinary_geopackage_with_its_tree_triggers_and_a_view_passes(path):
    add_table(path, "some", "CREATE VIEW some AS SELECT * FROM a WHERE name LIKE '%1'", "view")
    refuse_strange_schema(path, "a.gpkg")


@pytest.mark.parametrize("module", ["VirtualOGR('/etc/passwd')", "VirtualShape('/x')", "fts5(a)", "csv(filename='/x')"])
@pytest.mark.parametrize("form", ["CREATE VIRTUAL TABLE t USING {}", "create\tvirtual  table t\nusing {}"])
def test_virtual_tables_are_refused(module, form, path):
    add_table(path, "t", form.format(module))
    with pytest.raises(BadInput, match="table 't' is virtual"):
        refuse_strange_schema(path, "a.gpkg")


@pytest.mark.parametrize(
    "body", ["ogr_geocode('x')", "gdal_get_pixel_value('/x', 1, 'pixel', 0, 0)", "load_extension('x')", "readfile('x')"]
)
def test_views_that_call_what_plain_sqlite_has_not_are_refused(body, path):
    add_table(path, "v", f"CREATE VIEW v AS SELECT *, {body} AS leak FROM a", "view")
    with pytest.raises(BadInput, match="view 'v' does more than look"):
        refuse_strange_schema(path, "a.gpkg")


def test_a_schema_that_cannot_be_read_is_refused(path):
    store = sqlite3.connect(path)
    store.execute("PRAGMA writable_schema = ON")
    store.execute("UPDATE sqlite_master SET sql = 'CREATE nonsense' WHERE name = 'a'")
    store.commit()
    store.close()
    with pytest.raises(BadInput, match="malformed"):
        refuse_strange_schema(path, "a.gpkg")
