"""What an export carries, how it is written, and what it refuses: metadata, safety, wholeness."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import apsw
import geopandas as gpd
import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from pyproj import CRS

from layers import field_map
from layers.errors import BadInput, Refused
from layers.export import FORMATS, export
from layers.export import tables as tables_
from layers.ingest import from_grid, prepare
from layers.units import round_half_up
from tests.layers.files import EAST, NORTH, county, square
from tests.layers.samples import CRS_M, areas, lines, points, reasons, sent, stored

RISKY = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "=cmd|' /C calc'!A0"]


def risky() -> tuple[gpd.GeoDataFrame, Any]:
    names = [*RISKY, "00123", "520625001001000001", "#N/A", "木黄 & <b>"]
    made = gpd.GeoDataFrame(
        {
            "id": [f"{n:03}" for n in range(len(names))],
            "name": [None] * len(names),
            "=A1": names,
            "n": [-1.5] * len(names),
        },
        geometry=[square(n) for n in range(len(names))],
        crs=CRS_M,
    )
    return stored(made, "zones")


# --- what goes along ------------------------------------------------------------------------------


def said_of(path: Path, files: tuple[Path, ...]) -> dict[str, Any]:
    """What a file says about its layer, wherever that is."""
    if path.suffix == ".gpkg":
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        (text,) = next(db.execute("SELECT metadata FROM gpkg_metadata"))
        db.close()
        found = {one.get("key"): one.text for one in ET.fromstring(text).iter("MDI")}
        return found or {one.attrib["key"]: one.text for one in ET.fromstring(text).iter() if "key" in one.attrib}
    if path.suffix == ".parquet":
        told: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"parkplan"])
        return told
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        rows = [[cell.value for cell in row] for row in book["说明 about"].iter_rows(max_col=2)]
        return dict(rows[: rows.index([None, None])])  # type: ignore[arg-type]
    (beside,) = [one for one in files if one.name == f"{path.name}.about.json"]
    read: dict[str, Any] = json.loads(beside.read_text("utf-8"))
    return read


@pytest.mark.parametrize("suffix", sorted(set(FORMATS) - {".txt"}))
def test_every_file_says_what_it_is(suffix: str, tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    made = sent(tmp_path, suffix, frame, layer)
    told = said_of(made.files[0], made.files)
    assert told["digest"] == layer.digest
    assert told["role"] == "land_use"
    assert str(told["version"]) == "3"
    assert told["source"] == "测试.shp"
    assert told["vintage"] == "2024"
    assert told["synthetic"] in (True, "true")
    assert told["classification"] == "内部"
    assert "内部使用" in told["handling"]
    assert "内部使用" in reasons(made)
    assert "合成数据" in reasons(made)
    assert {one.name for one in tmp_path.iterdir()} == {one.name for one in made.files}


def test_synthetic_goes_along_whatever_is_chosen(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    made = sent(tmp_path, ".gpkg", frame, layer, fields=["code", "id"])
    read = pyogrio.read_dataframe(made.files[0])
    assert list(read.columns) == ["code", "id", "synthetic", "geometry"]
    assert read["synthetic"].all()
    with pytest.raises(BadInput, match="field nmae") as caught:
        sent(tmp_path, ".fgb", frame, layer, fields=["nmae", "id", "cdoe"])
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize("word", ["秘密", "机密", "", "secret"])
def test_a_layer_that_may_not_leave_does_not(word: str, tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    with pytest.raises(Refused, match="is not exported"):
        sent(tmp_path, ".gpkg", frame, replace(layer, classification=word))
    assert list(tmp_path.iterdir()) == []
    free = sent(tmp_path, ".gpkg", frame, replace(layer, classification="公开"))
    assert "内部使用" not in reasons(free)


# --- what is refused ------------------------------------------------------------------------------


def test_a_grid_has_no_features_to_export(tmp_path: Path) -> None:
    made = from_grid(np.zeros((4, 4), dtype=np.float32), EAST, NORTH, 10.0, "dem", source="dem.tif")
    frame, _ = stored(points(), "villages")
    for role in ("dem", "slope", "imagery"):
        with pytest.raises(BadInput, match=f"the layer {role} is a grid"):
            sent(tmp_path, ".gpkg", frame, replace(made.layer, role=role))


@pytest.mark.parametrize("name", ["x", "x.tif", "x.exe", ".gpkg", "x.dwg"])
def test_an_unknown_ending_names_the_known_ones(name: str, tmp_path: Path) -> None:
    frame, layer = stored(points(), "villages")
    with pytest.raises(BadInput, match=re.escape(".shp.zip")):
        export(frame, layer, tmp_path / name)


def test_a_wrong_crs_or_encoding_is_refused(tmp_path: Path) -> None:
    frame, layer = stored(points(), "villages")
    for asked, words in (
        ({"crs": "EPSG:999999"}, "not a coordinate reference system"),
        ({"crs": "EPSG:2382"}, "西安80"),
        ({"encoding": "latin-1"}, "GB18030, GBK, UTF-8"),
        ({"encoding": "klingon"}, "GB18030, GBK, UTF-8"),
        ({"encoding": "GBK"}, "always in UTF-8"),
    ):
        with pytest.raises(BadInput, match=words):
            sent(tmp_path, ".gpkg", frame, layer, **asked)
    for suffix in (".geojson", ".kml"):
        with pytest.raises(BadInput, match="longitude and latitude"):
            sent(tmp_path, suffix, frame, layer, crs="EPSG:4545")
        sent(tmp_path, suffix, frame, layer, crs="EPSG:4326")


def test_a_geometry_with_no_place_is_named(tmp_path: Path) -> None:
    frame, layer = stored(points(), "villages")
    frame.loc[1, "geometry"] = shapely.Point()
    with pytest.raises(BadInput) as caught:
        sent(tmp_path, ".fgb", frame, layer)
    assert [fault.feature for fault in caught.value.faults] == ["02"]


def test_another_crs_moves_the_ground_and_is_in_the_file(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    for suffix, code in ((".gpkg", 4490), (".shp", 4490), (".fgb", 4524), (".parquet", 4524)):
        path = sent(tmp_path, suffix, frame, layer, crs=f"EPSG:{code}").files[0]
        read = gpd.read_parquet(path) if suffix == ".parquet" else pyogrio.read_dataframe(path)
        assert read.crs.to_epsg(min_confidence=20) == code
        west, south, _, _ = read.total_bounds
        assert (west, south) == pytest.approx(
            (36_564_900 if code == 4524 else 108.66, NORTH if code == 4524 else 28.11), rel=1e-4
        )
        back = read.to_crs(CRS_M).set_index("id").loc[frame["id"]].geometry.values
        assert shapely.hausdorff_distance(np.asarray(back), np.asarray(frame.geometry.values)).max() < 1e-6


# --- whole or not at all --------------------------------------------------------------------------


class Crash(Exception):
    pass


@pytest.mark.parametrize("suffix", sorted(set(FORMATS) - {".txt"}))
def test_a_crash_in_the_middle_leaves_nothing(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("layers.export.outgoing.BATCH", 1)
    monkeypatch.setattr(tables_, "BATCH", 1)
    frame, layer = stored(areas(), "land_use")

    def stop(done: int) -> None:
        if done >= 2:
            raise Crash

    with pytest.raises(Crash):
        sent(tmp_path, suffix, frame, layer, progress=stop)
    assert list(tmp_path.iterdir()) == []
    first = sent(tmp_path, suffix, frame, layer)
    before = content(tmp_path)
    with pytest.raises(Crash):
        sent(tmp_path, suffix, frame.iloc[:2], layer, progress=stop, overwrite=True)
    assert content(tmp_path) == before
    assert {one.name for one in first.files} == {one.name for one in tmp_path.iterdir()}


@pytest.mark.parametrize("first", [True, False], ids=["nothing there", "old files there"])
@pytest.mark.parametrize("suffix", [".shp", ".gdb", ".kml"])
def test_a_crash_while_moving_in_leaves_what_was_there(
    suffix: str, first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, layer = stored(areas(), "land_use")
    if not first:
        sent(tmp_path, suffix, frame, layer)
    before = content(tmp_path)
    moves = 0
    while True:
        moves += 1
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", failing(moves))
            if caught := refusal(lambda: sent(tmp_path, suffix, frame.iloc[:1], layer, overwrite=True)):
                assert "No space left" in caught
                assert content(tmp_path) == before
                continue
        break
    assert moves > len(list(tmp_path.iterdir()))  # each file was moved once at least, and each move failed once
    assert content(tmp_path) != before


def failing(at: int) -> Callable[[Path, Path], Path]:
    """`Path.rename` that finds the disk full once, at the n-th move."""
    rename, count = Path.rename, iter(range(1, 1_000))

    def move(self: Path, target: Path) -> Path:
        if next(count) == at:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    return move


def refusal(act: Callable[[], Any]) -> str:
    try:
        act()
    except BadInput as error:
        return str(error)
    return ""


def content(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.mark.parametrize("suffix", sorted(set(FORMATS) - {".txt"}))
def test_what_is_there_stays_unless_said(suffix: str, tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    made = sent(tmp_path, suffix, frame, layer)
    before = content(tmp_path)
    with pytest.raises(BadInput, match="is there already"):
        sent(tmp_path, suffix, frame.iloc[:1], layer)
    assert content(tmp_path) == before
    again = sent(tmp_path, suffix, frame.iloc[:1], layer, overwrite=True)
    assert again.files == made.files
    assert content(tmp_path) != before


def test_one_part_that_is_there_is_enough_to_refuse(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    (tmp_path / "图层 out.dbf").write_bytes(b"somebody's")
    with pytest.raises(BadInput, match=re.escape("图层 out.dbf is there already")):
        sent(tmp_path, ".shp", frame, layer)
    assert content(tmp_path) == {"图层 out.dbf": b"somebody's"}


def test_an_old_spatial_index_does_not_stay_beside_a_new_shapefile(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    sent(tmp_path, ".shp", frame, layer)
    (tmp_path / "图层 out.sbn").write_bytes(b"old")
    sent(tmp_path, ".shp", frame, layer, overwrite=True)
    assert not (tmp_path / "图层 out.sbn").exists()


def test_a_county_or_a_file_in_use_is_never_replaced(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    store = county(tmp_path / "c")
    store.close()
    before = store.path.read_bytes()
    with pytest.raises(Refused, match="is a county"):
        export(frame, layer, store.path, overwrite=True)
    assert store.path.read_bytes() == before
    sent(tmp_path, ".gpkg", frame, layer)
    (tmp_path / "图层 out.gpkg-wal").write_bytes(b"")
    with pytest.raises(BadInput, match="open in another program"):
        sent(tmp_path, ".gpkg", frame, layer, overwrite=True)


def test_a_folder_that_is_not_there_or_not_ours_is_said(tmp_path: Path) -> None:
    frame, layer = stored(points(), "villages")
    with pytest.raises(BadInput, match="no folder nowhere"):
        sent(tmp_path / "nowhere", ".gpkg", frame, layer)


# --- format by format -----------------------------------------------------------------------------


def test_geojson_is_as_rfc_7946_has_it(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    text = sent(tmp_path, ".geojson", frame, layer).files[0].read_text("utf-8")
    document = json.loads(text)
    assert "crs" not in document
    for feature in document["features"]:
        for polygon in shapely.get_parts(shapely.from_geojson(json.dumps(feature["geometry"]))):
            assert polygon.exterior.is_ccw
            assert not any(ring.is_ccw for ring in polygon.interiors)
    (west, south) = shapely.get_coordinates(shapely.from_geojson(text)).min(axis=0)
    assert (west, south) == pytest.approx((108.66, 28.11), abs=0.01)  # longitude first
    assert max(len(number) for number in re.findall(r"108\.(\d+)", text)) >= 8
    near = gpd.GeoDataFrame(
        {"id": ["a", "b"]}, geometry=[shapely.Point(EAST, NORTH), shapely.Point(EAST + 0.001, NORTH)], crs=CRS_M
    )
    frame, layer = stored(near, "villages")
    read = pyogrio.read_dataframe(sent(tmp_path, ".geojson", frame, layer, overwrite=True).files[0]).to_crs(CRS_M)
    assert read.geometry.iloc[0].distance(read.geometry.iloc[1]) == pytest.approx(0.001, abs=0.0002)


def test_kml_is_well_formed_whatever_is_in_it(tmp_path: Path) -> None:
    made = gpd.GeoDataFrame(
        {
            "id": ["a<&\"'", "b"],
            "name": ["]]> \x01<b>", "木黄"],
            "begin": ["开始", None],
            "备注": ["\x0b\x1f", "x"],
            "<\"&'>": ["x", "y"],
        },
        geometry=[square(0), square(2)],
        crs=CRS_M,
    )
    frame, layer = stored(made, "zones")
    out = sent(tmp_path, ".kml", frame, layer)
    tree = ET.parse(out.files[0])
    kml = "{http://www.opengis.net/kml/2.2}"
    marks = list(tree.iter(f"{kml}Placemark"))
    assert "cannot hold" in reasons(out)
    assert [mark.findtext(f"{kml}name") for mark in marks] == ["]] > \ufffd<b>", "木黄"]
    fields = {one.get("name"): one.text for one in marks[0].iter(f"{kml}SimpleData")}
    assert fields["begin_2"] == "开始"  # `begin` would be a time
    assert fields["feature_id"] == "a<&\"'"
    assert fields[field_map.read(tmp_path / "图层 out.fields.csv")["<\"&'>"]] == "x"
    assert prepare(out.files[0], "zones", CRS_M, field_map={"id": "feature_id"}).features["id"].to_list() == [
        "a<&\"'",
        "b",
    ]
    assert {(note.feature, note.field) for note in out.notes if note.feature} == {
        ("a<&\"'", "name"),
        ("a<&\"'", "备注"),
    }


def test_geoparquet_is_what_others_read(tmp_path: Path) -> None:
    frame, layer = stored(areas(), "land_use")
    path = sent(tmp_path, ".parquet", frame, layer).files[0]
    read = gpd.read_parquet(path)
    assert read.crs == CRS.from_epsg(4545)
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 4545}
    assert geo["columns"]["geometry"]["bbox"] == pytest.approx(list(frame.total_bounds))
    assert sorted(geo["columns"]["geometry"]["geometry_types"]) == ["MultiPolygon", "Polygon"]
    assert (read.geom_equals(frame.geometry)).all()


def test_dxf_says_its_crs_beside_it(tmp_path: Path) -> None:
    frame, layer = stored(lines(), "water_mains")
    made = sent(tmp_path, ".dxf", frame, layer)
    assert "EPSG:4545" in reasons(made)
    assert json.loads(made.files[1].read_text("utf-8"))["crs_code"] == "EPSG:4545"
    assert set(pyogrio.read_dataframe(made.files[0])["Layer"]) == {"water_mains"}


# --- tables ---------------------------------------------------------------------------------------


def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path) -> None:
    frame, layer = risky()
    path = sent(tmp_path, ".xlsx", frame, layer).files[0]
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/"):
                assert b"<f" not in archive.read(name)
        assert b'quotePrefix="1"' in archive.read("xl/styles.xml")
    sheet = openpyxl.load_workbook(path)["zones"]
    columns = {cell.value: cell.column for cell in sheet[1]}
    kept = [sheet.cell(row, columns["=A1"]) for row in range(2, sheet.max_row + 1)]
    assert [cell.value.replace("_x000D_", "\r").replace("\n", "\r") for cell in kept] == frame["=A1"].to_list()
    assert {cell.data_type for cell in kept} == {"s"}
    assert sheet.cell(2, columns["id"]).value == "000"
    assert sheet.cell(2, columns["id"]).number_format == "@"
    assert sheet.cell(2, columns["n"]).value == -1.5


def test_a_workbook_has_areas_half_up_and_geometry_only_on_request(tmp_path: Path) -> None:
    made = gpd.GeoDataFrame({"id": ["1"]}, geometry=[shapely.box(EAST, NORTH, EAST + 1, NORTH + 2.675)], crs=CRS_M)
    frame, layer = stored(made, "zones")
    sheet = openpyxl.load_workbook(sent(tmp_path, ".xlsx", frame, layer).files[0])["zones"]
    read = dict(zip([cell.value for cell in sheet[1]], [cell.value for cell in sheet[2]], strict=True))
    area = float(shapely.area(frame.geometry.iloc[0]))
    assert read["area_m2"] == float(round_half_up(area, 2))
    assert read["area_mu"] == pytest.approx(area * 3 / 2000, abs=5e-5)
    assert "wkt" not in read
    sheet = openpyxl.load_workbook(sent(tmp_path, ".xlsx", frame, layer, with_wkt=True, overwrite=True).files[0])[
        "zones"
    ]
    read = dict(zip([cell.value for cell in sheet[1]], [cell.value for cell in sheet[2]], strict=True))
    assert shapely.from_wkt(read["wkt"]).equals_exact(frame.geometry.iloc[0], 1e-4)


def test_lines_have_lengths_and_points_have_places(tmp_path: Path) -> None:
    for role, made, column, value in (
        ("water_mains", lines(), "length_m", 100.0),
        ("villages", points(), "east_m", EAST + 1.75),
    ):
        frame, layer = stored(made, role)
        sheet = openpyxl.load_workbook(sent(tmp_path, ".xlsx", frame, layer, overwrite=True).files[0])[role]
        read = dict(zip([cell.value for cell in sheet[1]], [cell.value for cell in sheet[3]], strict=True))
        assert read[column] == value


def test_a_layer_too_long_for_a_sheet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_, "MOST_ROWS", 2)
    frame, layer = stored(areas(), "land_use")
    with pytest.raises(BadInput, match="a sheet holds 2 rows"):
        sent(tmp_path, ".xlsx", frame, layer)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".shp", ".geojson", ".kml"])
def test_a_number_without_end_is_null_and_said(suffix: str, tmp_path: Path) -> None:
    made = gpd.GeoDataFrame({"id": ["a", "b"], "x": [np.inf, 1.5]}, geometry=[square(0), square(2)], crs=CRS_M)
    frame, layer = stored(made, "zones")
    out = sent(tmp_path, suffix, frame, layer)
    assert [(note.feature, note.field) for note in out.notes if note.feature] == [("a", "x")]
    assert "inf" not in out.files[0].read_bytes().decode("latin-1").lower()
    assert pyogrio.read_dataframe(out.files[0])["x"].isna().tolist() == [True, False]


def test_text_too_long_for_a_cell_is_said(tmp_path: Path) -> None:
    made = gpd.GeoDataFrame(
        {"id": ["a", "b"], "name": ["字" * 32_768, "\x0b"]}, geometry=[square(0), square(2)], crs=CRS_M
    )
    frame, layer = stored(made, "zones")
    out = sent(tmp_path, ".xlsx", frame, layer)
    assert "32,767" in reasons(out)
    assert openpyxl.load_workbook(out.files[0])["zones"]["B2"].value == "字" * 32_766 + "…"


def test_csv_is_utf8_with_a_mark_and_no_formula(tmp_path: Path) -> None:
    frame, layer = risky()
    made = sent(tmp_path, ".csv", frame, layer)
    assert made.files[0].read_bytes().startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(made.files[0].read_bytes().decode("utf-8-sig"), newline="")))
    assert not any(value.startswith(("=", "+", "@", "\t", "\r", "＝")) for row in rows for value in row.values())
    assert "'=A1" in rows[0]
    told = [row["'=A1"] for row in rows]
    assert told == ["'" + one if n < len(RISKY) else one for n, one in enumerate(frame["=A1"])]
    assert rows[0]["n"] == "-1.5"  # a number stays one
    assert "formulas" in reasons(made)
    gbk = sent(tmp_path, ".csv", frame, layer, overwrite=True, encoding="GB18030").files[0].read_bytes()
    assert "木黄" in gbk.decode("GB18030")
