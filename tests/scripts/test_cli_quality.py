"""`parkplan quality`: what it says of a layer and of a file, what it writes, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely

from layers.gpkg import GeoPackage
from layers.ingest import from_frame
from tests.layers.files import EAST, NORTH, bow_tie, county, frame, square, write
from tests.said import Run


def near(west: float, south: float, wide: float, high: float) -> shapely.Geometry:
    return shapely.box(EAST + west, NORTH + south, EAST + west + wide, NORTH + south + high)


def layer() -> gpd.GeoDataFrame:
    """A parcel, one that lies 1 m into it, and one with two points 2 mm apart."""
    close = shapely.Polygon([(EAST, NORTH + 100), (EAST + 50, NORTH + 100), (EAST + 50, NORTH + 150),
                             (EAST + 50, NORTH + 150.002), (EAST, NORTH + 150.002)])  # fmt: skip
    shapes = [near(0, 0, 50, 50), near(49, 0, 50, 50), close]
    return frame(shapes, ZDDM=["A1", "A2", "<b>A3"], ready=[True, None, False])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = county(tmp_path / "county")
    made = layer().rename(columns={"ZDDM": "id"})
    store.put(from_frame(made, "parcels", source="drawn.gpkg"), by="tester")
    store.close()
    return store.path


def test_a_layer_of_the_county_is_looked_at(run: Run, path: Path) -> None:
    said = run("quality", path, "parcels")
    assert said.code == 0
    assert "3 个图形 features: 1 处错误 errors, 1 处提示 warnings" in said.out


def test_the_answer_in_json_names_place_feature_and_tolerance(run: Run, path: Path) -> None:
    said = run("quality", path, "parcels", "--json").json
    assert {name: count for name, count in said["counts"].items() if count} == {"overlap": 1, "near_point": 1}
    overlap, close = said["places"]
    assert (overlap["feature"], overlap["other"], overlap["value"], overlap["unit"]) == ("A1", "A2", 50.0, "m2")
    assert close["tolerance"] == 0.01
    assert close["geometry"].startswith("POINT")
    assert {row["check"] for row in said["tolerances"]} >= {"near_point.distance_m", "repair.change_m2"}


def test_a_given_tolerance_holds(run: Run, path: Path) -> None:
    said = run("quality", path, "parcels", "--json", "--tolerance", "near_point.distance_m=0.001").json
    assert said["counts"]["near_point"] == 0


@pytest.mark.parametrize(("on", "code"), [("error", 10), ("warn", 10)])
def test_a_script_may_fail_on_what_is_found(run: Run, path: Path, on: str, code: int) -> None:
    assert run("quality", path, "parcels", "--fail-on", on).code == code


def test_a_warning_is_no_error(run: Run, path: Path) -> None:
    off = ("--tolerance", "overlap.severity=warn")
    assert run("quality", path, "parcels", "--fail-on", "error", *off).code == 0
    assert run("quality", path, "parcels", "--fail-on", "warn", *off).code == 10


def test_a_report_is_written_as_page_and_gpkg(run: Run, path: Path, tmp_path: Path) -> None:
    said = run("quality", path, "parcels", "--out", tmp_path / "new" / "report")
    assert said.code == 0
    page = (tmp_path / "new" / "report" / "quality.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;A3" in page
    assert "<b>A3" not in page
    areas = pyogrio.read_dataframe(tmp_path / "new" / "report" / "quality.gpkg", layer="quality_areas")
    assert areas["check"].tolist() == ["overlap"]


def test_a_file_is_looked_at_as_it_is_and_mended_and_can_be_imported(run: Run, path: Path, tmp_path: Path) -> None:
    raw = frame([*layer().geometry, bow_tie(3), None], ZDDM=["A1", "A2", "A3", "X", "Y"])
    file = write(tmp_path / "survey.gpkg", raw)
    mended = tmp_path / "mended.gpkg"
    said = run("quality", path, file, "--role", "parcels", "--repair", "--write", mended, "--json").json
    assert {name: n for name, n in said["counts"].items() if n} == {
        "degenerate": 1,
        "invalid": 1,
        "overlap": 1,
        "near_point": 1,
    }
    assert said["repair"]["features_out"] == 5
    assert said["repair"]["counts"]["near_point"] == 0
    log = pyogrio.read_dataframe(mended, layer="repair_log")
    assert [row["feature"] for row in said["repair"]["log"]] == log["feature"].tolist()
    assert {"X", "Y", "A3", "*"} == set(log["feature"])
    stored = run("import", path, mended, "--role", "parcels", "--layer", "parcels", "--json").json
    assert (stored["features_in"], stored["loaded"], stored["version"]) == (5, 3, 2)
    store = GeoPackage(path)
    ids = set(store.frame("parcels")["id"])
    store.close()
    assert ids == {"A1", "A2", "A3"}


def test_a_file_in_degrees_is_measured_in_metres(run: Run, path: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "survey.geojson", layer().to_crs("OGC:CRS84"))
    overlap = run("quality", path, file, "--role", "parcels", "--json").json["places"][0]
    assert overlap["value"] == pytest.approx(50, abs=0.01)


def test_a_file_that_lacks_what_its_role_needs_is_looked_at_all_the_same(run: Run, path: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "dltb.gpkg", frame([near(0, 0, 50, 50), near(10, 10, 5, 5)], BSM=["7001", "7002"]))
    said = run("quality", path, file, "--role", "land_use", "--json").json
    assert said["places"][0]["feature"] == "7001"
    assert any("unknown class" in note["en"] for note in said["notes"])


def test_the_repair_is_told_with_its_areas(run: Run, path: Path, tmp_path: Path) -> None:
    said = run("quality", path, "parcels", "--repair")
    assert "3 features in, 3 out" in said.out
    assert "合并过近点 points too close joined: 1" in said.out


def test_what_is_not_a_file_is_said(run: Run, path: Path) -> None:
    assert run("quality", path, "nowhere.gpkg").code == 3
    assert run("quality", path, "land_use").code == 3  # not loaded


def test_a_file_without_a_crs_is_asked_for_it(run: Run, path: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "bare.gpkg", frame([square()], crs=None))
    said = run("quality", path, file)
    assert said.code == 3
    assert "--crs" in said.err
    assert run("quality", path, file, "--crs", "EPSG:4545").code == 0


def test_wrong_usage_and_wrong_tolerances_are_told_apart(run: Run, path: Path, tmp_path: Path) -> None:
    assert run("quality", path, "parcels", "--write", tmp_path / "m.gpkg").code == 2
    assert run("quality", path, "parcels", "--repair", "--write", tmp_path / "m.shp").code == 2
    assert run("quality", path, "parcels", "--fail-on", "all").code == 2
    assert run("quality", path, "parcels", "--tolerance", "spike").code == 2
    said = run("quality", path, "parcels", "--tolerance", "spikes=3", "--tolerance", "gap.width_m=wide")
    assert said.code == 3
    assert "field spikes" in said.err
    assert "field gap.width_m" in said.err


def test_a_file_that_is_there_is_not_overwritten(run: Run, path: Path, tmp_path: Path) -> None:
    there = tmp_path / "m.gpkg"
    there.write_bytes(b"mine")
    assert run("quality", path, "parcels", "--repair", "--write", there).code == 3
    assert there.read_bytes() == b"mine"


def test_a_secret_layer_does_not_leave_in_a_file(run: Run, tmp_path: Path) -> None:
    store = county(tmp_path / "county")
    made = from_frame(layer().rename(columns={"ZDDM": "id"}), "parcels", source="x", classification="秘密")
    store.put(made, by="tester")
    store.close()
    assert run("quality", store.path, "parcels").code == 0
    assert run("quality", store.path, "parcels", "--out", tmp_path / "report").code == 3
    assert not (tmp_path / "report").exists()
