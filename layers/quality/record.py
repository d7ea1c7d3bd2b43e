"""What a quality check found: one row per faulty place, how many of each kind, and by which figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from layers.errors import BadInput, Fault
from layers.quality.tolerances import CHECKS, Tolerances
from layers.records import Geoms, Ints

COLUMNS = [
    "check",
    "severity",
    "feature",
    "other",
    "value",
    "unit",
    "tolerance",
    "message_zh",
    "message_en",
    "geometry",
]
GPKG = {"VERSION": "1.3"}


@dataclass(frozen=True, eq=False)
class Quality:
    """The faults of one layer.

    Parameters
    ----------
    places : one row per faulty place, in the order of the checks: check, severity (error, warn), feature and other
        (ids), value with its unit, tolerance (the figure it was held against, same unit; null where there is none),
        message_zh, message_en, geometry (the place in the working CRS; null where the feature has none)
    counts : places per check that was made; a check that is `off` for the role is not in it
    tolerances : the figures used
    features : how many features were looked at
    notes : what could not be looked at, and what was only counted, as (zh, en)
    geometries, ids : the layer itself, for pictures
    """

    places: gpd.GeoDataFrame
    counts: dict[str, int]
    tolerances: Tolerances
    features: int
    geometries: Geoms
    ids: NDArray[np.object_]
    role: str | None = None
    notes: tuple[tuple[str, str], ...] = field(default=())

    @property
    def errors(self) -> int:
        return int((self.places["severity"] == "error").sum())

    @property
    def warnings(self) -> int:
        return int((self.places["severity"] == "warn").sum())

    def to_gpkg(self, path: Path) -> None:
        """The faulty places as `quality_areas`, `quality_lines`, `quality_points`, with the tolerances as a table.

        A place that has no geometry stands in `quality_points` without one. An older file of that name is replaced.
        """
        kinds = shapely.get_dimensions(self.places.geometry.to_numpy())
        layers = (("areas", 2, "MultiPolygon"), ("lines", 1, "MultiLineString"), ("points", 0, "MultiPoint"))
        said = [{"zh": zh, "en": en} for zh, en in self.notes]
        tables = {"quality_tolerances": self.tolerances.rows, "quality_summary": self.summary()}
        tables |= {"quality_notes": pd.DataFrame(said)} if said else {}
        with replacing(path) as made:
            for name, dimension, kind in layers:
                rows = self.places[kinds == dimension if dimension else kinds <= 0]
                write_layer(rows, made, f"quality_{name}", geometry_type=kind, promote_to_multi=True)
            for name, table in tables.items():
                write_layer(table, made, name)

    def summary(self) -> pd.DataFrame:
        """One row per check: check, zh, en, severity, places, features; places is null where it was not made."""
        rows = []
        for check, (zh, en) in CHECKS.items():
            found = self.places.loc[self.places["check"] == check, "feature"]
            made = check in self.counts
            rows.append(
                {
                    "check": check,
                    "zh": zh,
                    "en": en,
                    "severity": self.tolerances.severity(check),
                    "places": self.counts[check] if made else None,
                    "features": found.nunique() if made else None,
                }
            )
        return pd.DataFrame(rows).astype({"places": "Int64", "features": "Int64"})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside a GeoPackage to write to; it takes the name when all is written, or is gone."""
    made = path.with_name(f".{path.name}.part.gpkg")
    made.unlink(missing_ok=True)
    try:
        yield made
        made.replace(path)
    except (DataSourceError, DataLayerError, OSError) as error:
        reason = Fault(str(error)[:300].rstrip("."), "Choose another folder", file=path.name)
        raise BadInput(f"{path.name} cannot be written", [reason]) from error
    finally:
        made.unlink(missing_ok=True)


def write_layer(frame: pd.DataFrame, path: Path, layer: str, **options: Any) -> None:
    """A layer or table of a GeoPackage; yes, no and unknown in one column stay what they are."""
    flags = [
        name
        for name in frame.columns
        if frame[name].dtype == object and pd.api.types.infer_dtype(frame[name], skipna=True) == "boolean"
    ]
    typed = frame.astype(dict.fromkeys(flags, "boolean"))
    pyogrio.write_dataframe(typed, path, layer=layer, driver="GPKG", dataset_options=GPKG, **options)


def faults(
    check: str,
    names: NDArray[np.object_],
    tolerances: Tolerances,
    feature: Ints,
    geometry: Geoms,
    *,
    zh: str,
    en: str,
    other: Ints | None = None,
    value: Sequence[float] | NDArray[Any] | None = None,
    unit: str = "",
    against: str | Sequence[float] | NDArray[Any] | None = None,
    more: Mapping[str, Sequence[Any] | NDArray[Any]] | None = None,
) -> pd.DataFrame:
    """Rows of `Quality.places` for (K,) faults of one check.

    `feature` and `other` are rows of `names` (-1: nobody); `against` is the name of the tolerance or the (K,)
    figures themselves; `zh` and `en` are sentences with {other}, {value}, {tolerance} and the names of `more`.
    """
    count = len(feature)
    who = names[feature]
    whom = np.full(count, None, dtype=object)
    if other is not None:
        whom[other >= 0] = names[other[other >= 0]]
    values = np.full(count, np.nan) if value is None else np.asarray(value, dtype=float)
    limit = tolerances[against] if isinstance(against, str) else np.nan if against is None else against
    limits = np.broadcast_to(np.asarray(limit, dtype=float), (count,))
    extra = more or {}
    said = [
        {"other": whom[n], "value": values[n], "tolerance": limits[n], **{name: of[n] for name, of in extra.items()}}
        for n in range(count)
    ]
    frame = pd.DataFrame(
        {
            "check": check,
            "severity": tolerances.severity(check),
            "feature": who,
            "other": whom,
            "value": values,
            "unit": unit,
            "tolerance": limits,
            "message_zh": [zh.format(**one) for one in said],
            "message_en": [en.format(**one) for one in said],
        }
    )
    frame["geometry"] = np.asarray(geometry, dtype=object)
    return frame


def joined(found: Sequence[pd.DataFrame], crs: Any) -> gpd.GeoDataFrame:
    """All faults as one frame, in the order of the checks and within them of the features."""
    some = [frame for frame in found if len(frame)]
    if not some:
        empty = {name: pd.Series(dtype=float if name in ("value", "tolerance") else object) for name in COLUMNS[:-1]}
        return gpd.GeoDataFrame(empty, geometry=gpd.GeoSeries([], crs=crs), crs=crs)
    frame = pd.concat(some, ignore_index=True)
    order = list(CHECKS)
    rank = frame["check"].map(order.index).to_numpy()
    frame = frame.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)
    return gpd.GeoDataFrame(frame[COLUMNS[:-1]], geometry=frame["geometry"].to_numpy(), crs=crs)
