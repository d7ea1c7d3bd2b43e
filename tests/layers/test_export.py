"""Export: what leaves comes back as it was, or the notes say what did not."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers import field_map
from layers.errors import BadInput
from layers.export import FORMATS, Exported
from layers.export.columns import Names, cut
from layers.ingest import Prepared, from_frame, prepare
from tests.layers.files import EAST, NORTH, square
from tests.layers.samples import CRS_M, KINDS, areas, reasons, sent, stored

# How far a vertex may be from where it was, in metres; the format's own doing, beside a float's last digit.
PRECISION_M = {
    ".gpkg": 1e-9,
    ".shp": 1e-9,
    ".shp.zip": 1e-9,
    ".zip": 1e-9,
    ".gdb": 1e-4,  # its grid of 0.1 mm
    ".gdb.zip": 1e-4,
    ".parquet": 1e-9,
    ".fgb": 1e-9,
    ".geojson": 2e-4,  # nine decimals of a degree
    ".kml": 1e-6,  # fifteen digits
    ".dxf": 1e-8,
    ".txt": 1e-3,
}
TABLES = {".xlsx", ".csv"}
SHAPED = sorted(PRECISION_M)
KEEPING = sorted(set(PRECISION_M) - {".dxf", ".txt"})  # formats that carry every attribute


def received(made: Exported, role: str, *, quick: bool = False) -> Prepared:
    """The file imported as anybody's: with the field map of the export, and the CRS said where a file cannot say it.

    `quick` reads in this process what GDAL can read, because each import has a child process of its own.
    """
    path = made.files[0]
    said = "EPSG:4545" if path.suffix == ".dxf" else None
    names = {} if path.suffix == ".dxf" else made.fields
    if not quick or path.suffix == ".txt":
        return prepare(path, role, CRS_M, field_map=names, crs=said)
    if path.suffix == ".parquet":
        frame = gpd.read_parquet(path)
    else:
        frame = pyogrio.read_dataframe(f"/vsizip/{path}" if path.suffix == ".zip" else path)
        frame = frame if said is None else frame.set_crs(said)
    frame = frame.to_crs(CRS_M)
    columns = field_map.restored(pd.DataFrame(frame.drop(columns="geometry")), names)
    return from_frame(gpd.GeoDataFrame(columns, geometry=frame.geometry.values, crs=CRS_M), role, source=path.name)


def plain(value: Any) -> Any:
    """A value as its meaning: null is None, 1.0 is 1, a time is its text."""
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.tz_localize(None).isoformat()
    return value.item() if isinstance(value, np.generic) else value


# --- there and back -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", SHAPED)
def test_what_leaves_comes_back(suffix: str, kind: str, tmp_path: Path) -> None:
    role, make = KINDS[kind]
    if suffix in (".dxf", ".txt") and kind == "areas":
        role = "plots"  # land use needs its code system, which these two cannot carry
    frame, layer = stored(make(), role)
    made = sent(tmp_path, suffix, frame, layer)
    back = received(made, role, quick=kind != "areas")
    assert back.rejected == ()
    theirs = np.asarray(frame.geometry.values)
    if suffix == ".dxf":  # one entity per part, which the notes say
        theirs = shapely.get_parts(theirs)
        assert ("one entity per part" in reasons(made)) == (len(theirs) > len(frame))
    elif suffix == ".fgb":
        assert "spatial order" in reasons(made)
    ours = back.geometries
    if suffix != ".dxf":
        order = pd.Index(back.features["id"]).get_indexer(frame["id"])
        assert (order >= 0).all()
        assert len(order) == len(back.features)
        ours = back.geometries[order]
    assert len(ours) == len(theirs)
    assert shapely.get_num_geometries(ours).tolist() == shapely.get_num_geometries(theirs).tolist()
    assert shapely.get_num_coordinates(ours).tolist() == shapely.get_num_coordinates(theirs).tolist()
    assert shapely.hausdorff_distance(ours, theirs).max() <= PRECISION_M[suffix]
    if kind == "areas" and suffix in KEEPING:
        same_attributes(suffix, made, frame, back)
    assert shapely.area(ours) == pytest.approx(shapely.area(theirs), abs=500 * PRECISION_M[suffix])


def same_attributes(suffix: str, made: Exported, frame: gpd.GeoDataFrame, back: Prepared) -> None:
    """Every value as it was; what a format turns into something else is in the notes."""
    table = back.features.set_index("id").loc[frame["id"]].reset_index()
    assert back.layer.synthetic
    for name in areas().columns.drop("geometry"):
        ours, theirs = [plain(v) for v in frame[name]], [plain(v) for v in table[name]]
        if suffix == ".kml" and name == "户数":
            assert "text" in reasons(made)
            theirs = [int(v) for v in theirs]
        if name.startswith("patch_area"):  # KML and .dbf write numbers with 15 digits
            assert [None if v is None else float(f"{v:.14g}") for v in theirs] == [
                None if v is None else float(f"{v:.14g}") for v in ours
            ]
        else:
            assert theirs == ours, name


@pytest.mark.parametrize("suffix", KEEPING)
def test_dates_come_back(suffix: str, tmp_path: Path) -> None:
    made = gpd.GeoDataFrame(
        {"id": ["1", "2"], "approved_on": ["2024-01-31", None], "valid_until": [None, "1899-12-31"]},
        geometry=[square(0), square(2)],
        crs=CRS_M,
    )
    frame, layer = stored(made, "approved_land")
    back = (
        received(sent(tmp_path, suffix, frame, layer), "approved_land", quick=True)
        .features.set_index("id")
        .loc[["1", "2"]]
    )
    assert [plain(v) for v in back["approved_on"]] == ["2024-01-31", None]
    assert [plain(v) for v in back["valid_until"]] == [None, "1899-12-31"]


def test_a_gis_sees_dates_and_booleans_as_such(tmp_path: Path) -> None:
    made = gpd.GeoDataFrame({"approved_on": ["2024-01-31"], "synthetic": [True]}, geometry=[square(0)], crs=CRS_M)
    frame, layer = stored(made, "approved_land")
    for suffix in (".gpkg", ".geojson"):
        path = sent(tmp_path, suffix, frame, layer).files[0]
        info = pyogrio.read_info(path)
        types = dict(zip(info["fields"], zip(info["ogr_types"], info["ogr_subtypes"], strict=True), strict=True))
        date = next(name for name in types if name.startswith("approved_o"))
        assert types[date][0] == "OFTDate", suffix
        assert types["synthetic"][1] == "OFSTBoolean", suffix


@pytest.mark.parametrize("suffix", sorted(set(FORMATS) - {".dxf", ".txt"}))
@pytest.mark.parametrize("kind", ["areas", "points"])
def test_an_empty_layer_is_an_empty_file(suffix: str, kind: str, tmp_path: Path) -> None:
    role, make = KINDS[kind]
    frame, layer = stored(make(), role)
    made = sent(tmp_path, suffix, frame.iloc[:0], layer)
    assert made.features == 0
    if suffix in TABLES:
        return
    if suffix in (".geojson", ".kml"):
        assert "cannot say which fields" in reasons(made)
        assert pyogrio.read_info(made.files[0])["features"] == 0
        return
    if suffix == ".parquet":
        assert len(gpd.read_parquet(made.files[0])) == 0
        return
    path = f"/vsizip/{made.files[0]}" if suffix.endswith(".zip") else made.files[0]
    read = pyogrio.read_dataframe(path)
    assert len(read) == 0
    assert {made.fields[name] for name in ("id", "synthetic") if name in made.fields} <= set(read.columns)


# --- Shapefile ------------------------------------------------------------------------------------


def test_the_field_map_brings_the_original_columns_back(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    made = sent(tmp_path, ".shp", frame, layer)
    theirs = set(pyogrio.read_info(made.files[0])["fields"])
    names = field_map.read(tmp_path / "图层 out.fields.csv")
    assert set(names) == set(frame.columns) - {"geometry"}
    assert set(names.values()) == theirs
    assert len(theirs) == len(names)
    assert all(len(name.encode("GB18030")) <= 10 for name in theirs)
    assert names["patch_area_m2"] != names["patch_area_ha"]
    assert "patch_area_m2 -> " in reasons(made)
    read = pyogrio.read_dataframe(made.files[0])
    assert set(field_map.restored(read, names).columns) == set(frame.columns)
    lines = list(csv.reader(io.StringIO((tmp_path / "图层 out.fields.csv").read_text("utf-8-sig"))))
    assert lines[0] == ["our name", "file's name", "type", "中文名"]
    assert ["code", "code", "text", "地类编码"] in lines
    assert ["paddy", "paddy", "boolean", "水田"] in lines


def test_a_broken_field_map_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.fields.csv").write_text("a;b\n")
    with pytest.raises(BadInput, match="not a field map"):
        field_map.read(tmp_path / "x.fields.csv")


def test_long_text_is_cut_at_a_character_and_said(tmp_path: Path) -> None:
    made = gpd.GeoDataFrame(
        {"id": ["fits", "long", "odd"], "name": ["汉" * 127, "汉" * 128, "a" + "汉" * 127]},
        geometry=[square(0), square(2), square(4)],
        crs=CRS_M,
    )
    frame, layer = stored(made, "zones")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = sent(tmp_path, ".shp", frame, layer)
    assert {(note.feature, note.field) for note in out.notes if note.feature} == {("long", "name"), ("odd", "name")}
    assert "254 bytes in GB18030" in reasons(out)
    read = pyogrio.read_dataframe(out.files[0])["name"].to_list()
    assert read == ["汉" * 127, "汉" * 127, "a" + "汉" * 126]
    whole = sent(tmp_path, ".gpkg", frame, layer)
    assert pyogrio.read_dataframe(whole.files[0])["name"].to_list() == frame["name"].to_list()


def test_a_shapefile_is_gb18030_and_says_so(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    sent(tmp_path, ".shp", frame, layer)
    assert (tmp_path / "图层 out.cpg").read_text() == "GB18030"
    assert "水田".encode("GB18030") in (tmp_path / "图层 out.dbf").read_bytes()
    sent(tmp_path, ".shp", frame, layer, encoding="utf8", overwrite=True)
    assert (tmp_path / "图层 out.cpg").read_text() == "UTF-8"
    assert "水田".encode() in (tmp_path / "图层 out.dbf").read_bytes()


def test_what_gbk_cannot_write_is_refused_by_feature_and_field(tmp_path: Path) -> None:
    made = gpd.GeoDataFrame({"id": ["a", "b"], "name": ["木黄", "𠮷野"]}, geometry=[square(0), square(2)], crs=CRS_M)
    frame, layer = stored(made, "zones")
    for suffix in (".shp", ".csv", ".txt"):
        with pytest.raises(BadInput) as caught:
            sent(tmp_path, suffix, frame, layer, encoding="GBK")
        assert "𠮷" in str(caught.value) or "b" in str(caught.value)
        assert list(tmp_path.iterdir()) == []
    out = sent(tmp_path, ".shp", frame, layer)
    assert received(out, "zones", quick=True).features["name"].to_list() == ["木黄", "𠮷野"]


def test_a_zip_holds_every_part_and_nothing_else(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    for suffix in (".zip", ".shp.zip"):
        made = sent(tmp_path, suffix, frame, layer, overwrite=True)
        with zipfile.ZipFile(made.files[0]) as archive:
            assert archive.testzip() is None
            endings = sorted(name.removeprefix("图层 out") for name in archive.namelist())
        assert endings == [".cpg", ".dbf", ".fields.csv", ".prj", ".shp", ".shx"]
        assert [one.name for one in made.files] == [f"图层 out{suffix}", f"图层 out{suffix}.about.json"]


@pytest.mark.parametrize("suffix", [".shp", ".gdb"])
def test_a_format_of_one_kind_refuses_a_layer_of_several(suffix: str, tmp_path: Path) -> None:
    mixed = gpd.GeoDataFrame({"id": ["1", "2"]}, geometry=[square(0), shapely.Point(EAST, NORTH)], crs=CRS_M)
    frame, layer = stored(mixed, "villages")
    with pytest.raises(BadInput, match="one kind of geometry"):
        sent(tmp_path, suffix, frame, layer)
    assert list(tmp_path.iterdir()) == []
    assert len(received(sent(tmp_path, ".gpkg", frame, layer), "villages", quick=True).features) == 2


names_ = st.lists(st.text(st.sampled_from("abcAB_红线地块 #"), min_size=1, max_size=14), unique=True, max_size=12)


@given(names_)
def test_names_are_unique_short_and_whole_whatever_they_were(columns: list[str]) -> None:
    given_ = Names(most=10, plain=True).of(columns, "GB18030")
    assert list(given_) == columns
    assert len({name.lower() for name in given_.values()}) == len(columns)
    assert all(0 < len(name.encode("GB18030")) <= 10 for name in given_.values())


@given(st.text(max_size=60), st.integers(1, 40), st.sampled_from(["GB18030", "UTF-8"]))
def test_cut_keeps_as_many_whole_characters_as_fit(text: str, most: int, encoding: str) -> None:
    kept = cut(text, most, encoding)
    assert text.startswith(kept)
    assert len(kept.encode(encoding)) <= most
    assert kept == text or len(text[: len(kept) + 1].encode(encoding)) > most
