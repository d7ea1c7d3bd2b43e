"""Files as survey offices send them, good and broken, written the way their software writes them."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from layers.gpkg import GeoPackage, create
from layers.records import Geoms

EAST, NORTH = 564_900.0, 3_110_800.0  # a corner of 木黄 in EPSG:4545
LON, LAT = 108.6609, 28.1090  # the same corner


def square(n: int = 0, side: float = 100.0, east: float = EAST, north: float = NORTH) -> shapely.Geometry:
    """The n-th of a row of squares that do not touch."""
    west = east + n * 2 * side
    return shapely.box(west, north, west + side, north + side)


def squares(count: int, **corner: float) -> Geoms:
    return np.array([square(n, **corner) for n in range(count)], dtype=object)


def bow_tie(n: int = 0, side: float = 100.0, east: float = EAST, north: float = NORTH) -> shapely.Geometry:
    west, south, east_, north_ = square(n, side, east, north).bounds
    return shapely.Polygon([(west, south), (east_, north_), (east_, south), (west, north_)])


def broken(*points: tuple[float, float]) -> shapely.Geometry:
    """A polygon with coordinates that are no numbers."""
    with np.errstate(invalid="ignore"):
        return shapely.Polygon(points)


def frame(geometries: Iterable[Any] | None = None, crs: Any = 4545, **columns: Sequence[Any]) -> gpd.GeoDataFrame:
    shapes = squares(2) if geometries is None else np.array([*geometries, None], dtype=object)[:-1]
    return gpd.GeoDataFrame(columns or {"name": [f"地块{n + 1}" for n in range(len(shapes))]}, geometry=shapes, crs=crs)


def write(path: Path, made: gpd.GeoDataFrame, **options: Any) -> Path:
    """Write a file by the ending of its name; GDAL's own complaints about what is asked of it are not ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")
        pyogrio.write_dataframe(made, path, **options)
    return path


def shapefile(path: Path, made: gpd.GeoDataFrame, *, encoding: str = "UTF-8", without: str = "") -> Path:
    """A Shapefile with its side files, less those named in `without`."""
    write(path, made, encoding=encoding)
    for suffix in without.split():
        path.with_suffix(suffix).unlink()
    return path


def zipped(path: Path, folder: Path, inside: str = "", encoding: str | None = None, **extra: bytes) -> Path:
    """A folder's files in a zip, under `inside`; with an encoding the names are written as old packers do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            info = zipfile.ZipInfo(inside + file.name)
            if encoding:
                info = _OldName(inside + file.name)
                info.said = encoding
            archive.writestr(info, file.read_bytes())
        for name, content in extra.items():
            archive.writestr(name, content)
    return path


class _OldName(zipfile.ZipInfo):
    """A member whose name is written in a local encoding, without the flag that says UTF-8."""

    said = "cp437"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
        return self.filename.encode(self.said), self.flag_bits


def ring(west: float = LON, south: float = LAT, side: float = 0.001) -> dict[str, Any]:
    east, north = west + side, south + side
    return {
        "type": "Polygon",
        "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
    }


def geojson(path: Path, *shapes: dict[str, Any] | None, rows: Sequence[dict[str, Any]] = (), crs: str = "") -> Path:
    """A GeoJSON file by hand; without `crs` its coordinates are longitude and latitude."""
    properties = rows or [{"name": f"地块{n + 1}"} for n in range(len(shapes))]
    document: dict[str, Any] = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": row, "geometry": shape}
            for row, shape in zip(properties, shapes, strict=True)
        ],
    }
    if crs:
        document["crs"] = {"type": "name", "properties": {"name": crs}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return path


def county(folder: Path, template: Path | None = None) -> GeoPackage:
    """A county in a folder of its own: empty, or a copy of another one's files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "county.gpkg"
    if template is None:
        return create(path, "印江", "EPSG:4545")
    shutil.copy(template, path)
    if template.with_suffix(".cache").exists():
        shutil.copytree(template.with_suffix(".cache"), path.with_suffix(".cache"))
    return GeoPackage(path)
