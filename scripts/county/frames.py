"""Frames of one role: the role's columns in the role's order, and `synthetic` on every feature."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from layers.records import Geoms
from layers.schema import role
from scripts.county.places import CRS

_DTYPES = {"number": "float64", "integer": "Int64", "boolean": "boolean", "text": object, "date": object}


def frame(role_name: str, geometries: Geoms, **columns: Any) -> gpd.GeoDataFrame:
    """Features of a role in the working CRS; a column that the role does not know is a mistake here."""
    wanted = role(role_name)
    columns.setdefault("id", [f"{role_name}-{n:05d}" for n in range(1, len(geometries) + 1)])
    columns["synthetic"] = np.ones(len(geometries), dtype=bool)
    known = {column.name: column.type for column in wanted.columns}
    strange = columns.keys() - known.keys()
    if strange:
        raise KeyError(f"{role_name} has no column {', '.join(sorted(strange))}")
    table = {}
    for name, kind in known.items():
        if name in columns:
            values = columns[name]
            if isinstance(values, str | bool | int | float):
                values = [values] * len(geometries)
            typed: Any = _DTYPES[kind]
            table[name] = pd.Series(list(values), dtype=typed)
    return gpd.GeoDataFrame(table, geometry=np.asarray(geometries, dtype=object), crs=CRS)
