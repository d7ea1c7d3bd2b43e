"""`parkplan export`: what is written, what is said, and the exit code a script can rely on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pyogrio
import pytest

from layers.gpkg import GeoPackage
from layers.ingest import from_frame, from_grid
from tests.layers.files import EAST, NORTH, county
from tests.layers.samples import areas, points
from tests.said import Run


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A county with two versions of its land use, one layer that may not leave, and a grid."""
    store = county(tmp_path_factory.mktemp("county"))
    store.put(from_frame(areas().iloc[:2], "land_use", source="old"), by="tests")
    store.put(from_frame(areas(), "land_use", source="new"), by="tests")
    store.put(from_frame(points(), "villages", source="tests", classification="秘密"), by="tests")
    grid = np.zeros((4, 4), dtype=np.float32)
    store.put(from_grid(grid, EAST, NORTH, 10.0, "dem", source="tests"), by="tests")
    store.close()
    return store.path


def test_a_layer_is_written_and_its_losses_are_said(run: Run, path: Path, tmp_path: Path) -> None:
    said = run("export", path, "land_use", tmp_path / "out.shp")
    assert said.code == 0
    assert "land_use@2" in said.out
    assert "3 features" in said.out
    assert "内部使用" in said.out
    assert "patch_area_m2 -> " in said.out
    for part in ("dbf", "shx", "prj", "cpg", "fields.csv", "shp.about.json"):
        assert f"out.{part}" in said.out
        assert (tmp_path / f"out.{part}").exists()


def test_an_import_with_the_field_map_has_the_original_columns(run: Run, path: Path, tmp_path: Path) -> None:
    run("export", path, "land_use", tmp_path / "out.shp")
    other = county(tmp_path / "other")
    other.close()
    said = run(
        *("import", other.path, tmp_path / "out.shp", "--role", "land_use", "--json"),
        *("--field-map", tmp_path / "out.fields.csv"),
    )
    assert said.code == 0, said.err
    assert said.json["fields"]["patch_area_m2"] == "patch_area"  # as the file calls it
    theirs, ours = GeoPackage(other.path), GeoPackage(path)
    back, was = theirs.frame("land_use"), ours.frame("land_use")
    theirs.close()
    ours.close()
    assert set(was.columns) <= set(back.columns)
    assert back["项目批准文号名称"].to_list()[:2] == was["项目批准文号名称"].to_list()[:2]
    assert back["id"].to_list() == was["id"].to_list()
    (tmp_path / "no.csv").write_text("x")
    refused = run("import", other.path, tmp_path / "out.shp", "--role", "land_use", "--field-map", tmp_path / "no.csv")
    assert refused.code == 3


def test_one_version_one_day_some_features(run: Run, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.gpkg"

    def count(*asked: object) -> int:
        said = run("export", path, "land_use", file, "--overwrite", "--json", *asked)
        assert said.code == 0, said.err
        assert pyogrio.read_info(file)["features"] == said.json["features"]
        features: int = said.json["features"]
        return features

    assert count() == 3
    assert count("--version", 1) == 2
    assert count("--as-of", "2999-01-01") == 3
    assert count("--ids", "0001, c-3") == 2
    assert count("--bounds", f"{EAST},{NORTH},{EAST + 1},{NORTH + 1}") == 1
    assert count("--bounds", "0,0,1,1") == 0
    (tmp_path / "ids.txt").write_text("﻿乙#2\n\n", encoding="utf-8")
    assert count("--ids", tmp_path / "ids.txt") == 1
    assert count("--fields", "id,code") == 3
    assert set(pyogrio.read_info(file)["fields"]) == {"id", "code", "synthetic"}
    assert count("--crs", "EPSG:4490") == 3
    assert pyogrio.read_info(file)["crs"] == "EPSG:4490"


def test_a_table_for_people(run: Run, path: Path, tmp_path: Path) -> None:
    said = run("export", path, "land_use", tmp_path / "out.xlsx", "--wkt")
    assert said.code == 0
    header = [cell.value for cell in openpyxl.load_workbook(tmp_path / "out.xlsx")["land_use"][1]]
    assert {"id", "area_m2", "area_mu", "wkt"} <= set(header)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("land_use", "out.tif"), ".shp.zip"),
        (("nothing", "out.gpkg"), "no layer role"),
        (("roads", "out.gpkg"), "this county has no layer 'roads'"),
        (("dem", "out.gpkg"), "is a grid"),
        (("villages", "out.gpkg"), "秘密"),
        (("land_use", "out.gpkg", "--version", "9"), "in version 9"),
        (("land_use", "out.gpkg", "--as-of", "2001-01-01"), "on 2001-01-01"),
        (("land_use", "out.gpkg", "--ids", "0001,x,y"), "2 of the ids"),
        (("land_use", "out.gpkg", "--fields", "id,nmae"), "nmae"),
        (("land_use", "out.gpkg", "--crs", "EPSG:1"), "reference system"),
        (("land_use", "out.kml", "--encoding", "GBK"), "always in UTF-8"),
    ],
)
def test_what_cannot_be_exported_is_said(
    run: Run, path: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    role, file, *rest = arguments
    said = run("export", path, role, tmp_path / file, *rest)
    assert said.code == 3
    assert words in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "rest", [("--bounds", "1,2,3"), ("--bounds", "3,0,1,9"), ("--version", "1", "--as-of", "2026-01-01")]
)
def test_wrong_usage_is_exit_2(run: Run, path: Path, tmp_path: Path, rest: tuple[str, ...]) -> None:
    assert run("export", path, "land_use", tmp_path / "out.gpkg", *rest).code == 2


def test_a_file_that_is_there_and_the_county_itself_stay(run: Run, path: Path, tmp_path: Path) -> None:
    (tmp_path / "out.gpkg").write_bytes(b"somebody's")
    said = run("export", path, "land_use", tmp_path / "out.gpkg")
    assert said.code == 3
    assert "--overwrite" in said.err
    assert (tmp_path / "out.gpkg").read_bytes() == b"somebody's"
    before = path.read_bytes()
    assert run("export", path, "land_use", path, "--overwrite").code == 3
    assert run("export", path, "land_use", path.parent / "." / path.name, "--overwrite").code == 3
    assert path.read_bytes() == before


def test_the_help_teaches_every_format(run: Run) -> None:
    from layers.export import FORMATS

    said = run("export", "--help")
    assert said.code == 0
    for suffix in FORMATS:
        assert suffix in said.out
