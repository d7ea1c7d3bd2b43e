"""A layer's table in the county file: every kind of column, geometry and index as GDAL and QGIS expect them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import apsw
import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import CRS

from layers.gpkg_tables import read_features, write_features
from layers.ingest import Prepared, from_frame
from tests.layers.files import EAST, NORTH, county, frame, squares

STAMPS = ["2024-01-01T10:00:00.123", None]
# a column of a survey, the type it is declared with, what stands in the table
COLUMNS: dict[str, tuple[Any, str, list[Any]]] = {
    "words": (["甲", None], "TEXT", ["甲", None]),
    "own_words": (pd.Series(["甲", None], dtype="str"), "TEXT", ["甲", None]),
    "nothing": ([None, None], "TEXT", [None, None]),
    "truths": ([True, False], "BOOLEAN", [1, 0]),
    "half_truths": ([True, None], "BOOLEAN", [1, None]),
    "whole": ([1, -(2**60)], "INTEGER", [1, -(2**60)]),
    "short": (np.array([1, 2], np.int16), "SMALLINT", [1, 2]),
    "medium": (np.array([1, 2], np.int32), "MEDIUMINT", [1, 2]),
    "missing": (pd.array([1, None], dtype="Int64"), "INTEGER", [1, None]),
    "real": ([1.5, np.nan], "REAL", [1.5, None]),
    "stamp": (pd.to_datetime(STAMPS), "DATETIME", ["2024-01-01T10:00:00.123", None]),
    "zoned": (pd.to_datetime(STAMPS).tz_localize("Asia/Shanghai"), "DATETIME", ["2024-01-01T02:00:00.123Z", None]),
    "day": ([datetime.date(2024, 1, 1), None], "TEXT", ["2024-01-01", None]),
    "mixed": ([1, "a"], "TEXT", ["1", "a"]),
    "list": ([[1, 2], None], "TEXT", ["[1, 2]", None]),
}


def kept(path: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """Declared types and contents of the table `t` of a file."""
    db = apsw.Connection(str(path))
    declared = dict(db.execute("SELECT name, type FROM pragma_table_info('t')"))
    rows = pd.DataFrame(list(db.execute("SELECT * FROM t ORDER BY fid")), columns=list(declared), dtype=object)
    db.close()
    return declared, rows


def written(path: Path, made: Prepared) -> Path:
    write_features(path, "t", made, CRS(4545))
    return path


def test_every_kind_of_column_is_kept_in_its_type(tmp_path):
    table = frame(squares(2), **{name: values for name, (values, _, _) in COLUMNS.items()})
    declared, rows = kept(written(tmp_path / "t.gpkg", from_frame(table, "zones", source="t")))
    assert {name: declared[name] for name in COLUMNS} == {name: kind for name, (_, kind, _) in COLUMNS.items()}
    assert {name: rows[name].tolist() for name in COLUMNS} == {name: said for name, (_, _, said) in COLUMNS.items()}


def test_a_flag_nobody_knows_is_a_flag_all_the_same(tmp_path):
    made = from_frame(frame(squares(2), ready=[None, None]), "plots", source="t")
    path = written(tmp_path / "t.gpkg", made)
    assert kept(path)[0]["ready"] == "BOOLEAN"


def test_flags_come_back_as_flags_those_of_the_role_and_those_of_the_file(tmp_path):
    made = from_frame(frame(squares(3), ready=["是", None, "否"], mine=[True, False, True]), "plots", source="t")
    db = apsw.Connection(str(written(tmp_path / "t.gpkg", made)))
    features, _ = read_features(db, "t", "plots")
    assert features["ready"].tolist() == [True, None, False]
    assert features["mine"].tolist() == [True, False, True]
    db.close()


SHAPES: dict[str, tuple[str, list[Any], str]] = {
    "areas": ("zones", [*squares(1), shapely.MultiPolygon(list(squares(2, north=NORTH + 1e3)))], "MultiPolygon"),
    "lines": ("rivers", [shapely.LineString([(EAST, NORTH), (EAST + 9, NORTH)])], "MultiLineString"),
    "anything": ("roads", [shapely.Point(EAST, NORTH), *squares(1)], "Unknown"),
}


@pytest.mark.parametrize(("role", "shapes", "kind"), SHAPES.values(), ids=SHAPES)
def test_geometries_stand_in_the_kind_the_table_declares_and_come_back_as_they_were(tmp_path, role, shapes, kind):
    path = written(tmp_path / "t.gpkg", from_frame(frame(shapes), role, source="t"))
    assert pyogrio.read_info(path)["geometry_type"] == kind
    read = pyogrio.read_dataframe(path)
    assert shapely.equals(read.geometry.to_numpy(), np.array(shapes)).all()
    if kind != "Unknown":
        assert set(read.geom_type) == {kind}
    db = apsw.Connection(str(path))
    _, geometries = read_features(db, "t", role)
    assert shapely.equals_exact(geometries, np.array(shapes)).all()
    db.close()


def test_a_survey_that_found_nothing_is_a_table_without_rows(tmp_path):
    made = from_frame(frame([]), "zones", source="t", extent=shapely.box(0, 0, 1, 1))
    path = written(tmp_path / "t.gpkg", made)
    assert pyogrio.read_info(path)["features"] == 0


def test_the_index_moved_into_the_county_is_whole_and_grows_with_the_table(tmp_path):
    store = county(tmp_path)
    east, north = np.meshgrid(EAST + np.arange(40) * 10.0, NORTH + np.arange(40) * 10.0)
    store.put(from_frame(frame(shapely.box(east, north, east + 9, north + 9).ravel()), "plots", source="t"), by="t")
    store.close()
    db = apsw.Connection(str(tmp_path / "county.gpkg"))
    assert list(db.execute("SELECT rtreecheck('rtree_plots_v1_geom')")) == [("ok",)]
    window = f"SELECT count(*) FROM rtree_plots_v1_geom WHERE maxx >= {EAST + 100} AND minx <= {EAST + 118}"
    assert list(db.execute(window)) == [(80,)]
    db.close()
    path = tmp_path / "county.gpkg"
    box = (EAST + 1, NORTH + 1, EAST + 12, NORTH + 12)
    assert len(pyogrio.read_dataframe(path, layer="plots_v1", bbox=box)) == 4
    more = gpd.GeoDataFrame({"id": ["new"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4545)
    pyogrio.write_dataframe(more, path, layer="plots_v1", append=True, promote_to_multi=True)
    assert pyogrio.read_dataframe(path, layer="plots_v1", bbox=(0, 0, 1, 1))["id"].tolist() == ["new"]
