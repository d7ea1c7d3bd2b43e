"""What goes in is loaded or rejected with a reason, and a file that is refused leaves the county as it was."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import CRS, Transformer

from gis.check import check, rulebook
from gis.explain import findings, verdict
from gis.judge import Verdict
from layers import ingest
from layers.errors import BadInput, Fault, NeedCrs, ParkError, UnknownName
from layers.gpkg import GeoPackage
from layers.ingest import from_frame, from_grid, prepare, read_area
from layers.records import Industry, Project, Snapshot
from layers.snapshot import cut
from tests.layers.files import (
    EAST,
    LAT,
    LON,
    NORTH,
    bow_tie,
    broken,
    county,
    frame,
    geojson,
    ring,
    shapefile,
    square,
    squares,
    write,
    zipped,
)
from tests.worlds import SITE, MemoryWorld, kind_world

TARGET = CRS(4545)
NAN, INF = float("nan"), float("inf")
NAMES = {"名称": ["木黄镇工业地块", "乙地块"], "DLBM": ["0601", "0101"]}


@dataclass(frozen=True)
class File:
    """A file, what is asked of it, and what must come of it."""

    name: str
    make: Callable[[Path], Path]
    features: int = 2
    rejected: int = 0
    notes: int = 0
    role: str = "zones"
    says: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    error: type[ParkError] = BadInput

    def __str__(self) -> str:
        return self.name


def gpkg(*geometries: Any, crs: Any = 4545, **columns: Any) -> Callable[[Path], Path]:
    return lambda folder: write(folder / "测绘.gpkg", frame(geometries or None, crs, **columns))


def shp(**options: Any) -> Callable[[Path], Path]:
    return lambda folder: shapefile(folder / "地块.shp", frame(**NAMES), **options)


def zip_of(inside: str = "", name: str = "地块.zip", **extra: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        shapefile(folder / "in" / "地块.shp", frame(**NAMES))
        return zipped(folder / name, folder / "in", inside, **extra)

    return make


def two_in_a_zip(folder: Path) -> Path:
    shapefile(folder / "in" / "甲.shp", frame(squares(3)))
    shapefile(folder / "in" / "乙.shp", frame(squares(2)))
    return zipped(folder / "两个.zip", folder / "in")


def two_layers(folder: Path) -> Path:
    path = write(folder / "两层.gpkg", frame(squares(3)), layer="甲")
    pyogrio.write_dataframe(frame(squares(2)), path, layer="乙")
    pyogrio.write_dataframe(pd.DataFrame({"note": ["no shape"]}), path, layer="说明")
    return path


def table_only(folder: Path) -> Path:
    pyogrio.write_dataframe(pd.DataFrame({"note": ["no shape"]}), folder / "表.gpkg", layer="说明")
    return folder / "表.gpkg"


def text(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut_short(make: Callable[[Path], Path], keep: float) -> Callable[[Path], Path]:
    """The file with only the first part of its bytes, as an interrupted copy leaves it."""

    def shorten(folder: Path) -> Path:
        path = make(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        return path

    return shorten


def with_prj(wkt: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = shp()(folder)
        path.with_suffix(".prj").write_text(wkt)
        return path

    return make


ESRI = (
    'PROJCS["CGCS2000_3_Degree_GK_CM_108E",GEOGCS["GCS_China_Geodetic_Coordinate_System_2000",DATUM["D_China_2000",'
    'SPHEROID["CGCS2000",6378137.0,298.257222101]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
    'PROJECTION["Gauss_Kruger"],PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],'
    'PARAMETER["Central_Meridian",108.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Latitude_Of_Origin",0.0],'
    'UNIT["Meter",1.0]]'
)
ESRI_XIAN = ESRI.replace("D_China_2000", "D_Xian_1980").replace("6378137.0,298.257222101", "6378140.0,298.257")
ESRI_WGS = ESRI.replace("D_China_2000", "D_WGS_1984").replace("298.257222101", "298.257223563")
ESRI_FEET = ESRI.replace('UNIT["Meter",1.0]', 'UNIT["Foot_US",0.3048006096012192]')


def damaged_zip(folder: Path) -> Path:
    path = zip_of()(folder)
    content = bytearray(path.read_bytes())
    content[90:110] = bytes(20)
    path.write_bytes(content)
    return path


def many_vertices(folder: Path) -> Path:
    angle = np.linspace(0, 2 * np.pi, ingest.MAX_FEATURE_VERTICES + 1)
    wheel = shapely.Polygon(np.column_stack([EAST + 500 * np.cos(angle), NORTH + 500 * np.sin(angle)]))
    return write(folder / "大.gpkg", frame([square(9), wheel]))


def five_thousand(folder: Path) -> Path:
    shapes = [bow_tie(n) if n % 2 else square(n) for n in range(10_000)]
    return write(folder / "万.fgb", frame(shapes, TBBH=[f"图斑{n}" for n in range(10_000)]), SPATIAL_INDEX="NO")


def roads(**columns: Any) -> Callable[[Path], Path]:
    count = len(next(iter(columns.values())))
    lines = [shapely.LineString([(EAST + n, NORTH), (EAST + n, NORTH + 100)]) for n in range(count)]
    return lambda folder: write(folder / "路.gpkg", frame(lines, **columns))


CLASHES = {
    "name": "ours",
    "Name": "again",
    "ID": "a-1",
    "fid": 7,
    "FID": 8,
    "geom": "text",
    "Note": "n",
    "note": "m",
    "": "nameless",
}
LONG = {"名" * 300: "field", "name": "名" * 400}
HTML = {"<b onclick=x>\"';--": "${1}", "name": "<img src=x onerror=alert(1)>"}

GOOD = [
    # --- forms of file
    File("gpkg", gpkg()),
    File("shapefile", shp()),
    File("zip", zip_of()),
    File("zip in a sub-folder", zip_of("印江县/2024年/")),
    File("zip with names in GBK", zip_of("印江县/", encoding="gbk")),
    File("zip packed on a Mac", zip_of(**{"__MACOSX/._地块.shp": b"\0"})),
    File("zip in capitals", zip_of(name="地块.ZIP")),
    File("zip of two, one named", two_in_a_zip, options={"layer": "乙"}),
    File("geojson in CRS84", lambda f: geojson(f / "a.geojson", ring(), ring(LON + 0.01))),
    File(
        "geojson with an old crs member",
        lambda f: geojson(f / "a.geojson", ring(EAST, NORTH, 100), crs="urn:ogc:def:crs:EPSG::4545"),
        features=1,
    ),
    File("flatgeobuf", lambda f: write(f / "a.fgb", frame())),
    File("one layer of several", two_layers, options={"layer": "乙"}),
    # --- text
    File("gbk with .cpg", shp(encoding="GBK"), options={"fields": {"name": "名称"}}),
    File("gbk, said", shp(encoding="GBK", without=".cpg"), options={"encoding": "GBK", "fields": {"name": "名称"}}),
    File("gbk, not said", shp(encoding="GBK", without=".cpg"), options={"fields": {"name": "名称"}}),
    File("utf-8, not said", shp(without=".cpg"), options={"fields": {"name": "名称"}}),
    File("long names", lambda f: geojson(f / "a.geojson", ring(), rows=[LONG]), features=1),
    File("html in names", lambda f: geojson(f / "a.geojson", ring(), rows=[HTML]), features=1),
    File("names that clash with ours", lambda f: geojson(f / "a.geojson", ring(), rows=[CLASHES]), features=1),
    # --- reference systems
    File("zone prefix", gpkg(*squares(2, east=EAST + 36_000_000), crs=4524)),
    File("as ArcGIS writes it", with_prj(ESRI)),
    File("no CRS, one given", gpkg(crs=None), options={"crs": "EPSG:4545"}),
    File("the given CRS counts", gpkg(crs=3857), options={"crs": "EPSG:4545"}),
    File("the given CRS settles the datum", with_prj(ESRI_WGS), options={"crs": "EPSG:4545"}),
    # --- geometries
    File("null geometry", gpkg(square(), None), rejected=1, says=("no readable geometry",)),
    File("empty geometry", gpkg(square(), shapely.Polygon()), rejected=1, says=("empty",)),
    File("bow-tie", gpkg(square(), bow_tie(1)), rejected=1, says=("crosses itself", "Self-intersection")),
    File(
        "hole outside its shell",
        gpkg(square(), shapely.Polygon(square(1).exterior.coords, [square(2).exterior.coords])),
        rejected=1,
        says=("Hole lies outside shell",),
    ),
    File(
        "NaN coordinate",
        gpkg(square(), broken((EAST, NORTH), (NAN, NORTH), (EAST, NORTH + 9))),
        rejected=1,
        says=("not a finite number",),
    ),
    File(
        "infinite coordinate",
        gpkg(square(), broken((EAST, NORTH), (INF, NORTH), (EAST, NORTH + 9))),
        rejected=1,
        says=("not a finite number",),
    ),
    File(
        "a point among areas",
        gpkg(square(), shapely.Point(EAST, NORTH)),
        rejected=1,
        says=("not an area", "takes polygon features"),
    ),
    File("an area among lines", gpkg(square(), square().exterior), role="rivers", rejected=1, says=("not a line",)),
    File(
        "a collection",
        gpkg(square(), shapely.GeometryCollection([square(1), square(1)])),
        role="karst",
        rejected=1,
        says=("points, lines or areas",),
    ),
    File("mixed, where any is welcome", gpkg(square(), shapely.Point(EAST, NORTH)), role="karst"),
    File("heights are dropped", gpkg(shapely.force_3d(square(), 480.0), square(1))),
    File(
        "a vertex nowhere on earth",
        gpkg(square(), broken((EAST, NORTH), (1e9, NORTH), (EAST, NORTH + 9))),
        rejected=1,
        says=("nowhere on earth",),
    ),
    File(
        "degrees beyond the circle",
        lambda f: geojson(f / "a.geojson", ring(), ring(1086.609)),
        rejected=1,
        says=("nowhere on earth",),
    ),
    File("too many vertices", many_vertices, rejected=1, says=("more than 1,000,000 vertices",)),
    File("five thousand faults", five_thousand, features=10_000, rejected=5_000, options={"fields": {"id": "TBBH"}}),
    # --- attributes
    File("duplicate ids", gpkg(*squares(3), id=["a", "a", "a#2"]), features=3, notes=1, says=("'a'", "a#3")),
    File("missing ids", gpkg(*squares(3), id=["zones-2", None, " "]), features=3, notes=2, says=("it has no id",)),
    File("ids as floats", gpkg(*squares(3), id=[101.0, 102.0, None]), features=3, notes=1),
    File("ids that are no number", gpkg(id=[INF, 1.0])),
    File(
        "codes keep their zeros",
        gpkg(DLBM=["0101", "0601"]),
        role="land_use",
        options={"fields": {"code_system": "=GB/T 21010-2017"}},
    ),
    File(
        "codes that lost their zeros",
        gpkg(DLBM=[101, 601]),
        role="land_use",
        notes=2,
        says=("the number 101", "read as '0101'", "leading zero"),
        options={"fields": {"code_system": "=GB/T 21010-2017"}},
    ),
    File(
        "bad numbers",
        roads(width_m=["7.5", "-1", "seven", "inf", "", None, " 8 "]),
        features=7,
        notes=3,
        role="roads",
        says=("'seven'", "'-1'", "'inf'", "at least 0"),
    ),
    File(
        "negative capacity",
        gpkg(capacity_kva=[-5.0, 5.0]),
        role="substations",
        notes=1,
        says=("'-5.0'", "counts as unknown"),
    ),
    File(
        "unknown road class",
        roads(road_class=["县道", "高铁", None]),
        features=3,
        role="roads",
        notes=1,
        says=("'高铁'", "expressway"),
    ),
    File(
        "years that are none",
        roads(open_year=["2026", "2026.5", "soon"]),
        features=3,
        role="roads",
        notes=2,
        says=("'2026.5'", "'soon'", "a whole number"),
    ),
    File("a constant field", gpkg(), options={"fields": {"kind": "=belt"}}),
    File("an alias of the survey", gpkg(BSM=[1, 2]), role="basic_farmland"),
]

REFUSED = [
    # --- not a file one can read
    File("no file", lambda f: f / "nowhere.gpkg", says=("nowhere.gpkg", "not found")),
    File("zero bytes", text("空.gpkg", b""), says=("空.gpkg", "no bytes")),
    File("text named .gpkg", text("a.gpkg", b"hello"), says=("a.gpkg", "Use GeoPackage")),
    File("gpkg cut at a tenth", cut_short(gpkg(), 0.1), says=("测绘.gpkg",)),
    File("gpkg cut in the middle", cut_short(gpkg(), 0.5), says=("测绘.gpkg",)),
    File("gpkg without its tail", cut_short(gpkg(), 0.98), says=("测绘.gpkg",)),
    File("geojson cut short", cut_short(lambda f: geojson(f / "a.geojson", ring(), ring()), 0.6), says=("a.geojson",)),
    File("no features", lambda f: write(f / "空.gpkg", frame(squares(0), name=[])), says=("空.gpkg", "--extent")),
    File("nothing usable", gpkg(bow_tie(), None), says=("no usable feature", "zones-1", "zones-2")),
    File("table without geometry", table_only, says=("without geometry", "--layer")),
    File("which of three layers", two_layers, says=("甲, 乙, 说明", "--layer")),
    File("a layer that is none", two_layers, options={"layer": "丙"}, says=("'丙'", "甲, 乙"), error=UnknownName),
    File("the table among the layers", two_layers, options={"layer": "说明"}, says=("without geometry",)),
    File("shapefile without .shx", shp(without=".shx"), says=("地块.shx",)),
    File(
        "zip without a shape",
        lambda f: zipped(f / "a.zip", text("in/readme.txt", b"")(mkdir(f / "in").parent).parent),
        says=("no readable file",),
    ),
    File("two shapes in a zip", two_in_a_zip, says=("甲.shp", "乙.shp", "--layer")),
    File("text named .zip", text("a.zip", b"PK\3\4 not really"), says=("a.zip", "Pack it again")),
    File("zip cut short", cut_short(zip_of(), 0.8), says=("地块.zip", "Pack it again")),
    File("zip with a damaged member", damaged_zip, says=("地块.zip", "Pack it again")),
    File("an encoding that is none", shp(), options={"encoding": "klingon"}, says=("'klingon'", "GB18030")),
    File("not the encoding", shp(encoding="GBK", without=".cpg"), options={"encoding": "UTF-8"}, says=("GB18030",)),
    # --- reference systems
    File("no CRS", gpkg(crs=None), says=("--crs",), error=NeedCrs),
    File("no .prj", shp(without=".prj"), says=("--crs",), error=NeedCrs),
    File("a .prj of nonsense", with_prj("Beijing"), says=("--crs",), error=NeedCrs),
    File("a local grid", with_prj('LOCAL_CS["site",UNIT["m",1]]'), says=("Engineering", "--crs"), error=NeedCrs),
    File("a CRS nobody knows", gpkg(), options={"crs": "EPSG:99999"}, says=("EPSG:99999", "EPSG:4545")),
    File("xian 80 zone", gpkg(*squares(2, east=EAST + 36_000_000), crs=2360), says=("西安80", "CGCS2000")),
    File("xian 80 degrees", gpkg(*squares(2, east=LON, north=LAT, side=0.001), crs=4610), says=("西安80",)),
    File("xian 80 as ArcGIS writes it", with_prj(ESRI_XIAN), says=("西安80",)),
    File("xian 80, given", gpkg(), options={"crs": "EPSG:2360"}, says=("西安80",)),
    File("beijing 54 zone", gpkg(*squares(2, east=EAST + 36_000_000), crs=2412), says=("北京54", "seven")),
    File("beijing 54 degrees", gpkg(*squares(2, east=LON, north=LAT, side=0.001), crs=4214), says=("北京54",)),
    File("beijing 54 without prefix", gpkg(crs=2433), says=("北京54",)),
    File("the county's grid on another datum", with_prj(ESRI_WGS), says=("datum", "--crs"), error=NeedCrs),
    File("feet under a code of metres", with_prj(ESRI_FEET), says=("metre", "foot"), error=NeedCrs),
    File("projected axes swapped", gpkg(*squares(2, east=NORTH, north=EAST)), says=("axes are swapped", "easting")),
    File(
        "geographic axes swapped",
        lambda f: geojson(f / "a.geojson", ring(LAT, LON)),
        says=("axes are swapped", "longitude"),
    ),
    File("prefix in a CRS without", gpkg(*squares(2, east=EAST + 36_000_000)), says=("zone prefix", "--crs")),
    File("no prefix in a CRS with", gpkg(crs=4524), says=("zone prefix", "--crs")),
    File("the next zone", gpkg(crs=4546), says=("outside the county", "km")),
    File("metres said to be degrees", lambda f: geojson(f / "a.geojson", ring(EAST, NORTH)), says=("WGS 84", "--crs")),
    File("another county", gpkg(*squares(2, east=EAST - 120_000)), says=("outside the county", "km")),
    # --- fields
    File("required column missing", gpkg(), role="land_use", says=("'code'", "'code_system'", "--field")),
    File("a field that is not there", gpkg(), options={"fields": {"name": "MC"}}, says=("'MC'", "Its fields are name")),
    File("a column that is not ours", gpkg(), options={"fields": {"nmae": "name"}}, says=("'nmae'", "industries")),
    File("a role that is none", gpkg(), role="farmland", says=("'farmland'", "basic_farmland"), error=UnknownName),
]


def mkdir(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A county that holds one layer, to be copied."""
    store = county(tmp_path_factory.mktemp("template"))
    store.put(from_frame(frame(squares(4)), "zones", source="first"), by="test")
    store.close()
    return store.path


def assert_says_where_and_how(fault: Fault) -> None:
    assert fault.file or fault.feature or fault.field
    assert fault.reason
    assert fault.fix
    assert fault.fix in str(fault)
    assert ".." not in str(fault)


@pytest.mark.parametrize("file", GOOD, ids=str)
def test_what_goes_in_is_loaded_or_rejected(file, tmp_path):
    prepared = prepare(file.make(mkdir(tmp_path / "sent")), file.role, TARGET, **file.options)
    layer, faults = prepared.layer, (*prepared.rejected, *prepared.notes)
    assert (prepared.features_in, layer.rejected, len(prepared.rejected)) == (
        file.features,
        file.rejected,
        file.rejected,
    )
    assert len(prepared.notes) == file.notes, prepared.notes
    for fault in faults:
        assert_says_where_and_how(fault)
    assert len({fault.feature for fault in prepared.rejected}) == file.rejected
    told = "\n".join(map(str, faults))
    assert all(word in told for word in file.says), told

    assert prepared.features["id"].is_unique
    assert prepared.features["id"].map(type).eq(str).all()
    assert shapely.is_valid(prepared.geometries).all()
    assert not shapely.has_z(prepared.geometries).any()
    store = county(tmp_path / "county")
    try:
        stored = store.put(prepared, by="test")
        assert (stored.version, stored.loaded, stored.rejected) == (1, file.features - file.rejected, file.rejected)
        assert len(store.frame(file.role)) == stored.loaded
    finally:
        store.close()


@pytest.mark.parametrize("file", REFUSED, ids=str)
def test_a_refused_file_leaves_the_county_as_it_was(file, tmp_path, template):
    store = county(tmp_path / "county", template)
    try:
        path, before = file.make(mkdir(tmp_path / "sent")), state(store)
        with pytest.raises(file.error) as refused:
            store.put(prepare(path, file.role, store.crs, neighbourhood=store.bounds(), **file.options), by="test")
        assert type(refused.value) is file.error
        if isinstance(refused.value, BadInput):
            assert refused.value.faults
            for fault in refused.value.faults:
                assert_says_where_and_how(fault)
        assert all(word in str(refused.value) for word in file.says), str(refused.value)
        assert state(store) == before
    finally:
        store.close()


def state(store: GeoPackage) -> tuple[Any, ...]:
    """Every byte of the county's files, and its list of layers."""
    folder = store.path.parent
    content = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".gpkg-shm"
    }
    return content, store.layers()


def read(name: str, folder: Path, **more: Any) -> ingest.Prepared:
    """One of the good files, read again to be looked at closely."""
    file = next(one for one in GOOD if one.name == name)
    return prepare(file.make(folder), file.role, TARGET, **{**file.options, **more})


def test_the_corpus_is_as_large_as_we_say():
    assert len({file.name for file in (*GOOD, *REFUSED)}) == len(GOOD) + len(REFUSED) >= 80


# --- what the text of a file becomes -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["gbk with .cpg", "gbk, said", "gbk, not said", "utf-8, not said"])
def test_chinese_names_are_read_whatever_the_file_says_of_its_encoding(name, tmp_path):
    prepared = read(name, tmp_path)
    assert prepared.features["name"].tolist() == NAMES["名称"]
    assert prepared.features["DLBM"].tolist() == NAMES["DLBM"]
    assert prepared.layer.fields == {"name": "名称"}
    assert prepared.found.get("encoding") == {
        "gbk, said": "GBK",
        "gbk, not said": "GB18030",
        "utf-8, not said": "UTF-8",
    }.get(name)


def test_a_name_cut_in_the_middle_of_a_character_loses_that_character_only(tmp_path):
    path = shapefile(tmp_path / "a.shp", frame(**NAMES), encoding="GBK", without=".cpg")
    table = path.with_suffix(".dbf")
    whole = NAMES["名称"][0].encode("gbk")
    table.write_bytes(table.read_bytes().replace(whole, whole[:-1] + b" "))
    prepared = prepare(path, "zones", TARGET, fields={"name": "名称"})
    assert prepared.features["name"].tolist() == ["木黄镇工业地", "乙地块"]


def test_no_field_is_lost_where_names_clash(tmp_path):
    features = read("names that clash with ours", tmp_path).features
    assert features.loc[0, ["id", "name", "Name_2", "fid_2", "FID_3", "geom_2", "Note", "note_2", ""]].tolist() == [
        "a-1",
        "ours",
        "again",
        7,
        8,
        "text",
        "n",
        "m",
        "nameless",
    ]


def test_names_are_kept_as_they_are_however_long_or_strange(tmp_path):
    store = county(tmp_path / "county")
    try:
        store.put(read("long names", tmp_path), by="test")
        assert store.frame("zones").loc[0, [*LONG]].to_dict() == LONG
        store.put(read("html in names", tmp_path), by="test")
        assert store.frame("zones").loc[0, [*HTML]].to_dict() == HTML
    finally:
        store.close()


# --- what the numbers become ------------------------------------------------------------------------


def test_codes_and_ids_stay_text(tmp_path):
    assert read("codes keep their zeros", tmp_path).features["code"].tolist() == ["0101", "0601"]
    assert read("codes keep their zeros", tmp_path).features["three_class"].tolist() == ["agricultural", "construction"]
    assert read("codes that lost their zeros", tmp_path).features["code"].tolist() == ["0101", "0601"]
    assert read("ids as floats", tmp_path).features["id"].tolist() == ["101", "102", "zones-3"]
    assert read("duplicate ids", tmp_path).features["id"].tolist() == ["a", "a#3", "a#2"]
    assert read("missing ids", tmp_path).features["id"].tolist() == ["zones-2", "zones-2#2", "zones-3"]
    assert read("an alias of the survey", tmp_path).features["id"].tolist() == ["1", "2"]


def test_what_cannot_be_read_is_null_and_never_zero(tmp_path):
    width = read("bad numbers", tmp_path).features["width_m"]
    np.testing.assert_array_equal(width, [7.5, NAN, NAN, NAN, NAN, NAN, 8.0])
    assert read("unknown road class", tmp_path).features["road_class"].isna().tolist() == [False, True, True]


def test_all_faulty_features_are_named(tmp_path):
    prepared = read("five thousand faults", tmp_path)
    assert [fault.feature for fault in prepared.rejected] == [f"图斑{n}" for n in range(1, 10_000, 2)]


# --- where it lies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["zone prefix", "as ArcGIS writes it", "the given CRS counts", "flatgeobuf"])
def test_the_same_ground_comes_out_of_every_grid(name, tmp_path):
    ground = shapely.union_all(read(name, tmp_path).geometries)
    assert ground.symmetric_difference(shapely.union_all(squares(2))).area < 1e-3


def test_longitude_and_latitude_are_moved_to_the_working_crs(tmp_path):
    west, south, *_ = read("geojson in CRS84", tmp_path).geometries[0].bounds
    east, north = Transformer.from_crs("EPSG:4490", "EPSG:4545", always_xy=True).transform(LON, LAT)
    assert (west, south) == pytest.approx((east, north), abs=1.0)


def test_a_shapefile_in_capitals_in_a_zip_in_a_relative_path_is_found(tmp_path, monkeypatch):
    read("zip in capitals", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert prepare(Path("地块.ZIP"), "zones", TARGET).features_in == 2


def test_a_file_far_away_is_welcome_where_the_county_holds_nothing_yet(tmp_path):
    file = next(one for one in REFUSED if one.name == "another county")
    assert prepare(file.make(tmp_path), "zones", TARGET).features_in == 2


def test_a_boundary_that_crosses_itself_is_no_site(tmp_path):
    assert read_area(gpkg()(tmp_path), TARGET).area == pytest.approx(20_000)
    with pytest.raises(BadInput, match=r"feature plots-2.*Self-intersection"):
        read_area(gpkg(square(), bow_tie(1))(mkdir(tmp_path / "bad")), TARGET)


# --- what was rejected is unknown, never free ---------------------------------------------------------

BOOK = rulebook()
CONFIRMED = BOOK.confirmed([{"rule": r.id, "document": "县定文号", "date": "2026-01-01"} for r in BOOK.rules])
TEA = Project(
    id="tea",
    land_m2=8_000,
    industry=Industry(code="C1530"),
    power_kva=400,
    water_m3d=20,
    effluent_m3d=10,
    dust=False,
    hazardous=False,
)
SURVEYED = shapely.box(-1e4, -1e4, 1e4, 1e4)


def redline(*geometries: Any, role: str = "eco_redline", **options: Any) -> ingest.Prepared:
    return from_frame(frame(geometries), role, source="红线.gpkg", extent=SURVEYED, **options)


def world_of(prepared: ingest.Prepared) -> MemoryWorld:
    pieces, owner = cut(prepared.geometries)
    snapshot = Snapshot(prepared.layer, prepared.features, pieces, owner)
    return kind_world(**{prepared.layer.role: snapshot})


def answer(world: MemoryWorld, site: shapely.Geometry, rule: str) -> tuple[Verdict, str]:
    checked = check([site], TEA, CONFIRMED, world)
    status = next(one.status for one in findings(checked, 0, 0) if one.rule == rule)
    return verdict(checked, 0, 0), status


ON_IT = shapely.box(1_000, 0, 1_100, 100)
BROKEN_LINES = {
    "bow-tie": bow_tie(0, 1_000, 600, -500),
    "infinite": broken((600, -500), (1_600, -500), (1_600, 500), (INF, 0)),
    "nowhere on earth": broken((600, -500), (1_600, -500), (1_600, 500), (INF, 1e300)),
    "not a number": broken((600, -500), (NAN, -500), (1_600, 500), (600, 500)),
    "drawn as a line": shapely.LineString([(600, -500), (1_600, -500), (1_600, 500), (600, 500)]),
    "a collection": shapely.GeometryCollection([shapely.box(600, -500, 1_600, 500)]),
}


@pytest.mark.parametrize("shape", BROKEN_LINES.values(), ids=BROKEN_LINES)
def test_ground_under_a_rejected_red_line_is_unknown_never_clear(shape):
    prepared = redline(shapely.box(5_000, 5_000, 6_000, 6_000), shape)
    assert prepared.layer.rejected == 1
    world = world_of(prepared)
    assert answer(world, ON_IT, "redline.ecological") == (Verdict.UNDETERMINED, "unknown")
    assert answer(world, shapely.box(550, 0, 650, 100), "redline.ecological")[1] == "unknown"  # half on it
    placed = np.isfinite(shapely.get_coordinates(shape)).all()  # else it may have been anywhere
    elsewhere = (Verdict.CLEAR, "pass") if placed else (Verdict.UNDETERMINED, "unknown")
    assert answer(world, SITE, "redline.ecological") == elsewhere
    assert answer(world, shapely.box(5_500, 5_500, 5_600, 5_600), "redline.ecological")[0] is Verdict.BLOCKED


@pytest.mark.parametrize("shape", [None, shapely.Polygon()], ids=["null", "empty"])
def test_a_red_line_without_a_place_may_lie_anywhere(shape):
    prepared = redline(shapely.box(5_000, 5_000, 6_000, 6_000), shape)
    assert prepared.layer.extent.is_empty
    assert "counts as unknown everywhere" in prepared.rejected[0].fix
    world = world_of(prepared)
    assert answer(world, SITE, "redline.ecological") == (Verdict.UNDETERMINED, "unknown")
    assert answer(world, shapely.box(5_500, 5_500, 5_600, 5_600), "redline.ecological")[0] is Verdict.BLOCKED


def test_a_layer_that_lost_all_its_features_is_unknown_where_they_lay():
    world = world_of(redline(BROKEN_LINES["bow-tie"]))
    assert answer(world, ON_IT, "redline.ecological")[1] == "unknown"
    assert answer(world, SITE, "redline.ecological")[1] == "pass"


def test_a_distance_is_vouched_for_only_as_far_as_the_rejected_ground():
    plant = TEA.model_copy(update={"id": "v2o5", "industry": Industry(code="2613")})
    world = world_of(redline(shapely.box(7_000, -100, 7_100, 100), BROKEN_LINES["bow-tie"], role="river_management"))

    def shoreline(site: shapely.Geometry) -> str:
        checked = check([site], plant, CONFIRMED, world)
        return next(one.status for one in findings(checked, 0, 0) if one.rule == "river.chemical")

    assert shoreline(SITE) == "unknown"  # 500 m from ground nobody could read, and the rule looks 1,000 m far
    assert shoreline(shapely.box(-1_000, 0, -900, 100)) == "pass"
    assert shoreline(shapely.box(6_500, 0, 6_600, 100)) == "fail"


def test_the_stored_county_keeps_rejected_ground_unknown(tmp_path):
    store = county(tmp_path / "county")
    try:
        store.put(redline(shapely.box(5_000, 5_000, 6_000, 6_000), BROKEN_LINES["bow-tie"]), by="test")
        shutil.rmtree(store.cache)
        snapshot = store.at().near("eco_redline", SURVEYED.bounds)
        assert snapshot is not None
        world = kind_world(eco_redline=snapshot)
        assert answer(world, ON_IT, "redline.ecological") == (Verdict.UNDETERMINED, "unknown")
        assert answer(world, SITE, "redline.ecological") == (Verdict.CLEAR, "pass")
    finally:
        store.close()


def test_a_survey_that_found_nothing_is_clear_ground(tmp_path):
    path = write(tmp_path / "空.gpkg", frame(squares(0), name=[]))
    prepared = prepare(path, "eco_redline", TARGET, extent=SURVEYED)
    assert (prepared.features_in, prepared.layer.extent) == (0, SURVEYED)
    store = county(tmp_path / "county")
    try:
        store.put(prepared, by="test")
        shutil.rmtree(store.cache)
        snapshot = store.at().near("eco_redline", SURVEYED.bounds)
        assert snapshot is not None
        assert answer(kind_world(eco_redline=snapshot), SITE, "redline.ecological") == (Verdict.CLEAR, "pass")
    finally:
        store.close()


# --- grids ------------------------------------------------------------------------------------------


def tiff(
    path: Path, values: np.ndarray, crs: str | None = "EPSG:4545", nodata: float | None = -32768, **place: Any
) -> Path:
    transform = place.get("transform") or rasterio.transform.from_origin(EAST, NORTH, 30.0, 30.0)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[1],
        height=values.shape[0],
        count=1,
        dtype=values.dtype,
        crs=crs,
        nodata=nodata,
        transform=transform,
    ) as file:
        file.write(values, 1)
    return path


def test_a_grid_is_read_as_it_is_and_no_value_is_nan(tmp_path):
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    values[1, 2] = -32768
    prepared = prepare(tiff(tmp_path / "dem.tif", values), "dem", TARGET)
    raster = prepared.raster
    assert raster is not None
    expected = values.astype(np.float32)
    expected[1, 2] = NAN
    np.testing.assert_array_equal(raster.values, expected)
    assert (raster.west, raster.north, raster.cell_m) == (EAST, NORTH, 30.0)
    assert prepared.layer.extent.bounds == (EAST, NORTH - 90, EAST + 120, NORTH)


def test_a_grid_in_degrees_is_brought_to_square_metres(tmp_path):
    values = np.full((40, 40), 800, dtype=np.float32)
    transform = rasterio.transform.from_origin(LON, LAT, 1 / 3600, 1 / 3600)
    prepared = prepare(tiff(tmp_path / "dem.tif", values, "EPSG:4326", None, transform=transform), "dem", TARGET)
    raster = prepared.raster
    assert raster is not None
    assert np.nanmin(raster.values) == np.nanmax(raster.values) == 800
    assert 25 < raster.cell_m < 32
    west, _, _, north = prepared.layer.extent.bounds
    assert (west, north) == pytest.approx(Transformer.from_crs(4326, 4545, always_xy=True).transform(LON, LAT), abs=60)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"crs": None}, "--crs"),
        ({"crs": "EPSG:2360"}, "西安80"),
        ({"crs": "EPSG:4524"}, "zone prefix"),
        ({"crs": "EPSG:4546"}, "outside the county"),
    ],
)
def test_a_grid_in_the_wrong_place_is_refused(options, says, tmp_path):
    path = tiff(tmp_path / "dem.tif", np.zeros((3, 3), dtype=np.float32), **options)
    with pytest.raises(BadInput, match=says) as refused:
        prepare(path, "dem", TARGET, neighbourhood=square().bounds)
    assert [fault.file for fault in refused.value.faults] == ["dem.tif"]


def test_what_is_no_grid_is_refused(tmp_path):
    for path in (gpkg()(tmp_path), text("a.tif", b"II*\0 not really")(tmp_path)):
        with pytest.raises(BadInput, match="cannot be read as a raster"):
            prepare(path, "dem", TARGET)


# --- the same content, the same name ----------------------------------------------------------------


def test_the_digest_names_the_content():
    def digest(role: str = "zones", **changes: Any) -> str:
        told = {"geometries": squares(2), "name": ["甲", "乙"], **changes}
        return from_frame(frame(told.pop("geometries"), **told), role, source="x").layer.digest

    known = [
        digest(),
        digest("plots"),
        digest(name=["甲", "丙"]),
        digest(name=["乙", "甲"]),
        digest(name=["甲", None]),
        digest(geometries=squares(2, east=EAST + 0.001)),
        digest(kind=["belt", "belt"]),
    ]
    assert len(set(known)) == len(known)
    assert digest() == known[0]
    assert from_grid(np.zeros((2, 2), np.float32), 0, 0, 10, "dem", source="x").layer.digest != known[0]


def test_a_county_file_in_the_making_is_not_locked_by_reading_a_survey(tmp_path):
    """GDAL reads the survey while SQLite holds the county: the two must not meet in one file."""
    store = county(tmp_path)
    try:
        store.put(from_frame(frame(), "zones", source="x"), by="test")
        with sqlite3.connect(tmp_path / "county.gpkg") as other:
            assert other.execute("SELECT count(*) FROM zones_v1").fetchone() == (2,)
        other.close()
        assert store.frame("zones").shape[0] == 2
    finally:
        store.close()


def test_what_a_grid_cannot_take_is_refused_not_reported_as_used(tmp_path):
    path = tiff(tmp_path / "dem.tif", np.zeros((3, 3), dtype=np.float32))
    with pytest.raises(BadInput) as refused:
        prepare(path, "dem", TARGET, encoding="GBK", fields={"a": "b"}, extent=shapely.box(0, 0, 1, 1))
    assert len(refused.value.faults) == 3
    made = prepare(path, "dem", TARGET, accuracy_m=2.5, classification="公开")
    assert (made.layer.accuracy_m, made.layer.classification) == (2.5, "公开")
    assert made.raster is not None
    assert made.raster.layer == made.layer
