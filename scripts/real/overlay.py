"""New York boroughs and circles: the overlay QGIS computed, measured again with our kernel.

    python -m scripts.real.overlay DATA

geopandas keeps these files as the expected result of its own overlays (geopandas/tests/data/overlay, BSD-3-Clause).
The coordinates are US feet or bare degrees; the kernel does not mind, so areas are compared in the files' own unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import CRS

from gis import measure
from layers.ingest import prepare
from layers.records import Layer, Snapshot
from layers.snapshot import cut
from scripts.real.oracles import data_folder, layer_of, markdown

# QGIS wrote its vertices as doubles, so the results differ only by the rounding of sums over some 10,000 vertices.
RELATIVE = 1e-12
US_FOOT_M = 1200 / 3937
Key = tuple[str, ...]
METRES = CRS.from_epsg(32118)  # NAD83 / New York Long Island: the boroughs' own grid in metres


@dataclass(frozen=True)
class Areas:
    """Published areas and ours by key. `of` is the area a difference was taken from; elsewhere the area itself."""

    name: str
    published: Mapping[Key, float]
    reached: Mapping[Key, float]
    of: Mapping[Key, float] | None = None

    @property
    def largest_error(self) -> float:
        """The largest difference, as a share of the area it comes from; infinite where the pairs are not the same."""
        if self.published.keys() != self.reached.keys():
            return np.inf
        of = self.of or self.published
        return max(abs(self.reached[key] - area) / of[key] for key, area in self.published.items())

    @property
    def agrees(self) -> bool:
        return self.largest_error <= RELATIVE


def read(folder: Path, name: str) -> gpd.GeoDataFrame:
    """A file's features on a bare plane, as its overlay was computed."""
    return pyogrio.read_dataframe(folder / name).set_crs(None, allow_override=True)


def _layer(frame: gpd.GeoDataFrame) -> Snapshot:
    """A layer in the frame's own coordinates, cut into pieces as the store cuts it."""
    geometries = np.asarray(frame.geometry.values, dtype=object)
    pieces, owner = cut(geometries)
    extent = shapely.box(*shapely.total_bounds(geometries))
    catalogued = Layer("plots", 1, "file", "file", extent, loaded=len(frame))
    return Snapshot(catalogued, pd.DataFrame({"id": [str(row) for row in range(len(frame))]}), pieces, owner)


def _shared(sites: gpd.GeoDataFrame, layer: gpd.GeoDataFrame, keys: tuple[str, str]) -> dict[Key, float]:
    """Area each site shares with each feature, keyed by their names."""
    table = measure.overlaps(np.asarray(sites.geometry.values, dtype=object), _layer(layer))
    named = zip(sites[keys[0]].to_numpy()[table.site], layer[keys[1]].to_numpy()[table.feature], strict=True)
    return {(str(one), str(other)): float(area) for (one, other), area in zip(named, table.area_m2, strict=True)}


def _left(sites: gpd.GeoDataFrame, layer: gpd.GeoDataFrame, key: str) -> dict[Key, float]:
    """Area of each site that no feature covers: its own less what it shares. Right where no features overlap."""
    geometries = np.asarray(sites.geometry.values, dtype=object)
    left = shapely.area(geometries) - measure.overlaps(geometries, _layer(layer)).per_site(len(sites))
    return {(str(name),): float(area) for name, area in zip(sites[key], left, strict=True)}


def _published(frame: gpd.GeoDataFrame, *keys: str) -> dict[Key, float]:
    """Areas of a result file by its key columns, a feature without ground being zero."""
    rows = zip(frame[list(keys)].itertuples(index=False), frame.geometry.area.fillna(0), strict=True)
    return {tuple(map(str, row)): float(area) for row, area in rows}


def compare(data: Path) -> list[Areas]:
    """Every published area that `measure.overlaps` can answer."""
    overlay = data / "overlay"
    return [*_boroughs(overlay / "nybb_qgis"), *_figures(overlay, "overlap"), *_figures(overlay, "polys")]


def _boroughs(folder: Path) -> list[Areas]:
    boroughs, circles = read(folder, "polydf.shp"), read(folder, "polydf2.shp")
    shared = _published(read(folder, "qgis-intersection.shp"), "BoroCode", "value1")
    apart = read(folder, "qgis-symmetric_difference.shp")
    alone = apart[apart["value1"].notna()].astype({"value1": "int64"})
    return [
        Areas("QGIS intersection, boroughs as sites", shared, _shared(boroughs, circles, ("BoroCode", "value1"))),
        Areas(
            "QGIS intersection, circles as sites",
            {(circle, borough): area for (borough, circle), area in shared.items()},
            _shared(circles, boroughs, ("value1", "BoroCode")),
        ),
        Areas(
            "QGIS difference, boroughs",
            _published(read(folder, "qgis-difference.shp"), "BoroCode"),
            _left(boroughs, circles, "BoroCode"),
            _published(boroughs, "BoroCode"),
        ),
        Areas(
            "QGIS symmetric difference, circles",
            _published(alone, "value1"),
            _left(circles, boroughs, "value1"),
            _published(circles, "value1"),
        ),
    ]


def _figures(overlay: Path, name: str) -> list[Areas]:
    one, other, result = {
        "overlap": ("df1_overlap", "df2_overlap", "df1_df2_overlap"),
        "polys": ("df1", "df2", "df1_df2"),
    }[name]
    folder = overlay / name
    sites, layer = read(folder, f"{one}.geojson"), read(folder, f"{other}.geojson")
    shared = _published(read(folder, f"{result}-intersection.geojson"), "col1", "col2")
    left = _published(read(folder, f"{result}-difference.geojson"), "col1")
    found = [
        Areas(f"{name} intersection", shared, _shared(sites, layer, ("col1", "col2"))),
        Areas(f"{name} difference", left, _left(sites, layer, "col1"), _published(sites, "col1")),
    ]
    if name == "polys":
        back = _published(read(folder, f"{result}-difference-inverse.geojson"), "col2")
        found.append(Areas("polys difference, inverse", back, _left(layer, sites, "col2"), _published(layer, "col2")))
    return found


@dataclass(frozen=True)
class Imported:
    """The same overlay through the import, in metres: the largest error of an area and of an overlap, as shares."""

    loaded: int
    rejected: int
    crs: str
    area_error: float
    overlap_error: float


def imported(data: Path) -> Imported:
    """The zipped boroughs and the circles brought from US feet to a working CRS in metres."""
    folder = data / "overlay" / "nybb_qgis"
    boroughs = prepare(data / "nybb_16a.zip", "plots", METRES)
    circles = prepare(folder / "polydf2.shp", "plots", METRES)
    codes = boroughs.features["BoroCode"].astype(str).to_numpy()
    values = circles.features["value1"].astype(str).to_numpy()
    table = measure.overlaps(boroughs.geometries, layer_of(circles))
    areas = zip(((code,) for code in codes), shapely.area(boroughs.geometries), strict=True)
    shared = zip(zip(codes[table.site], values[table.feature], strict=True), table.area_m2, strict=True)
    return Imported(
        boroughs.layer.loaded,
        boroughs.layer.rejected,
        boroughs.found["crs"],
        _in_feet(areas, _published(read(folder, "polydf.shp"), "BoroCode")),
        _in_feet(shared, _published(read(folder, "qgis-intersection.shp"), "BoroCode", "value1")),
    )


def _in_feet(areas_m2: Iterable[tuple[Key, float]], published: Mapping[Key, float]) -> float:
    found = {key: area / US_FOOT_M**2 for key, area in areas_m2}
    return Areas("in feet", published, found).largest_error


def main() -> None:
    data = data_folder("scripts.real.overlay") / "oracle_overlay_geopandas"
    found = compare(data)
    print(
        markdown(
            ["result file", "areas", "published total", "ours total", "largest error", "agrees (1e-12)"],
            [
                [
                    one.name,
                    len(one.published),
                    f"{sum(one.published.values()):,.6f}",
                    f"{sum(one.reached.values()):,.6f}",
                    f"{one.largest_error:.1e}",
                    "yes" if one.agrees else "**no**",
                ]
                for one in found
            ],
        )
    )
    intersection = found[0]
    print("\nEach pair, square feet:\n")
    print(
        markdown(
            ["borough", "circle", "QGIS", "ours"],
            [
                [*key, f"{area:,.4f}", f"{intersection.reached[key]:,.4f}"]
                for key, area in intersection.published.items()
            ],
        )
    )
    through = imported(data)
    print(
        f"\nThrough the import into {METRES.name}: {through.loaded} loaded, {through.rejected} rejected, "
        f"found {through.crs}; largest error of an area "
        f"{through.area_error:.1e}, of an overlap against QGIS {through.overlap_error:.1e}"
    )


if __name__ == "__main__":
    main()
