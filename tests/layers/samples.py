"""Layers as the store gives them, with every kind of value, absence and shape that a file format has to carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from pyproj import CRS

from layers.export import Exported, export
from layers.ingest import from_frame
from layers.records import Layer
from tests.layers.files import EAST, NORTH, square

CRS_M = CRS.from_epsg(4545)


def areas() -> gpd.GeoDataFrame:
    """Land use with a hole, with several parts (one with a hole), and plain; every kind of value and its absence."""
    hole = shapely.box(EAST + 20.1234567, NORTH + 20, EAST + 40, NORTH + 40.7654321)
    holed = square(0).difference(hole)
    many = shapely.MultiPolygon([square(2), square(4).difference(square(4).buffer(-10, join_style="mitre"))])
    return gpd.GeoDataFrame(
        {
            "id": ["0001", "乙#2", "c-3"],
            "code_system": ["GB/T 21010-2017"] * 3,
            "code": ["0101", "0103", "0601"],
            "code_name": ["水田", "旱地 <b>&\"'", None],
            "patch_area_m2": [9_999.987654321, None, 0.1],
            "survey_year": [2023, None, 2019],
            "cultivated": [True, True, False],
            "paddy": [True, False, None],
            "synthetic": [True, True, True],
            "patch_area_ha": [1.25, -0.5, None],  # in ten characters it is called as patch_area_m2
            "项目批准文号名称": ["印府〔2024〕1号", "=HYPERLINK(1)", None],  # and these two as each other
            "项目批准文号日期": pd.to_datetime(["2024-01-31 08:15:00", None, "1999-12-31 00:00:00"]),
            "备注": ["-5", "+86 851", "@ 00123\n第二行"],
            "户数": [7, 0, -3],
        },
        geometry=[holed, many, square(6)],
        crs=CRS_M,
    )


def lines() -> gpd.GeoDataFrame:
    one = shapely.LineString([(EAST, NORTH), (EAST + 10.125, NORTH + 3.5), (EAST + 20, NORTH)])
    two = shapely.MultiLineString([[(EAST, NORTH), (EAST, NORTH + 50)], [(EAST + 9, NORTH), (EAST + 9, NORTH + 50)]])
    columns = {"id": ["w1", "w2"], "name": ["一号干管", None], "diameter_mm": [300.0, 500.5], "open_year": [2027, None]}
    return gpd.GeoDataFrame(columns, geometry=[one, two], crs=CRS_M)


def points() -> gpd.GeoDataFrame:
    pair = shapely.MultiPoint([(EAST + 1, NORTH), (EAST + 2.5, NORTH + 2.5)])
    columns = {"id": ["01", "02"], "name": ["木黄村", "兴民村"]}
    return gpd.GeoDataFrame(columns, geometry=[shapely.Point(EAST, NORTH), pair], crs=CRS_M)


def lone_points() -> gpd.GeoDataFrame:
    return points().iloc[:1]


KINDS: dict[str, tuple[str, Callable[[], gpd.GeoDataFrame]]] = {
    "areas": ("land_use", areas),
    "lines": ("water_mains", lines),
    "points": ("villages", points),
    "lone points": ("villages", lone_points),
}


def stored(frame: gpd.GeoDataFrame, role: str, **said: Any) -> tuple[gpd.GeoDataFrame, Layer]:
    """A frame as the store would give it back, and its catalogue row."""
    made = from_frame(frame, role, source="测试.shp", vintage="2024", **said)
    return gpd.GeoDataFrame(made.features, geometry=made.geometries, crs=CRS_M), replace(made.layer, version=3)


def sent(folder: Path, suffix: str, frame: gpd.GeoDataFrame, layer: Layer, **asked: Any) -> Exported:
    return export(frame, layer, folder / f"图层 out{suffix}", **asked)


def reasons(made: Exported) -> str:
    return "\n".join(map(str, made.notes))
