"""A land-use survey (地类图斑) for benches: a true coverage whose borders wiggle, with the fields of a real one."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from layers.records import Geoms

SIDE_M = 90.0
WEST, SOUTH = 530_000.0, 3_060_000.0  # EPSG:4545
ALONG, UP = 7, 6  # vertices between the corners of a border: 4 + 2 * 7 + 2 * 6 = 30 in a ring
CLASSES = {
    "0101": "水田", "0103": "旱地", "0201": "果园", "0301": "乔木林地", "0305": "灌木林地", "0404": "其他草地",
    "0601": "工业用地", "0702": "农村宅基地", "1003": "公路用地", "1006": "农村道路", "1101": "河流水面",
    "1206": "裸土地",
}  # fmt: skip


def survey(count: int, *, broken: int = 0, seed: int = 1) -> gpd.GeoDataFrame:
    """`count` polygons of 30 vertices that tile a field without gap or overlap, EPSG:4545; the same for a seed always.

    The rings of `broken` of them cross themselves.
    """
    rng = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(count)))
    geometries = _coverage(columns, -(-count // columns), rng)[:count]
    for row in rng.choice(count, broken, replace=False):
        ring = shapely.get_coordinates(geometries[row])
        ring[[2, 20]] = ring[[20, 2]]
        geometries[row] = shapely.Polygon(ring)
    return gpd.GeoDataFrame(_attributes(geometries, rng), geometry=geometries, crs=4545)


def _coverage(columns: int, rows: int, rng: np.random.Generator) -> Geoms:
    """Cells of a lattice whose corners are moved and whose borders are drawn once and used by both sides."""
    x, y = np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0))
    corner = np.stack([x, y], axis=-1) + rng.uniform(-0.2, 0.2, (rows + 1, columns + 1, 2))
    east = _border(corner[:, :-1], corner[:, 1:], ALONG, rng)
    north = _border(corner[:-1], corner[1:], UP, rng)
    rings = np.concatenate(
        [east[:-1], north[:, 1:], east[1:, :, ::-1], north[:, :-1, ::-1]],
        axis=2,
    )
    keep = np.r_[0 : ALONG + 1, ALONG + 2 : ALONG + UP + 3, ALONG + UP + 4 : 2 * ALONG + UP + 5]
    keep = np.r_[keep, 2 * ALONG + UP + 6 : rings.shape[2]]
    flat = rings[:, :, keep].reshape(rows * columns, len(keep), 2) * SIDE_M + (WEST, SOUTH)
    return np.asarray(shapely.polygons(np.round(flat, 4)), dtype=object)


def _border(
    start: NDArray[np.float64], end: NDArray[np.float64], between: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(..., between + 2, 2) points from corner to corner, off the straight line by a little."""
    along = np.linspace(0, 1, between + 2)[:, None]
    line = start[:, :, None] * (1 - along) + end[:, :, None] * along
    line[:, :, 1:-1] += rng.uniform(-0.035, 0.035, (*start.shape[:2], between, 2))
    return line


def _attributes(geometries: Geoms, rng: np.random.Generator) -> pd.DataFrame:
    """Fields as in TD/T 1057-2020, table DLTB."""
    count = len(geometries)
    number = np.arange(1, count + 1)
    code = rng.choice(list(CLASSES), count)
    village = np.char.add("520625103", np.char.zfill((200 + number // 900).astype(str), 3))
    area_m2 = np.round(shapely.area(geometries), 2)
    ridge = np.where(np.isin(code, ["0101", "0103"]), 0.1257, 0.0)
    names = np.char.add("村民小组", (number // 900).astype(str))
    return pd.DataFrame(
        {
            "BSM": np.char.add("520625211000", np.char.zfill(number.astype(str), 6)),
            "YSDM": "2001010100",
            "TBBH": np.char.zfill((number % 900).astype(str), 4),
            "DLBM": code,
            "DLMC": [CLASSES[one] for one in code],
            "QSXZ": rng.choice(["20", "30"], count),
            "QSDWDM": np.char.add(village, "0000000"),
            "QSDWMC": names,
            "ZLDWDM": np.char.add(village, "0000000"),
            "ZLDWMC": names,
            "TBMJ": area_m2,
            "KCXS": ridge,
            "KCMJ": np.round(area_m2 * ridge, 2),
            "TBDLMJ": area_m2 - np.round(area_m2 * ridge, 2),
            "GDPDJB": np.where(ridge > 0, "2", ""),
            "SJNF": 2025,
        }
    )
