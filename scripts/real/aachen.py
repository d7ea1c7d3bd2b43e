"""Aachen, glaes: the published land-eligibility numbers, counted again with our kernels.

    python -m scripts.real.aachen DATA

glaes (FZJ-IEK3-VSA/glaes, MIT) publishes the share of a region that stays available after an exclusion in its
`glaes/test/test_ExclusionCalculator.py`. It draws the region as 100 m pixels in EPSG:3035 and burns every exclusion
into them: a pixel is excluded when its *centre* lies in the excluded ground. Where a buffer is asked, each geometry
is first grown by OGR with 30 chords to a quarter circle, and then burnt. So the same question to our kernels is:
how far is the centre from the layer. A pixel of the same grid is read by `terrain.cells`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
import shapely
from pyproj import CRS
from rasterio.features import shapes

from gis import measure, terrain
from layers import crs as crs_
from layers.ingest import Prepared, from_frame, prepare
from layers.records import Bools, Floats, Geoms, Raster, Snapshot
from scripts.real.oracles import Count, data_folder, inside, layer_of, markdown, outlines_of, unsure

CELL_M = 100.0
OGR_QUAD_SEGS = 30
TARGET = CRS.from_epsg(3035)


@dataclass(frozen=True)
class Share:
    """A published percentage of the region, and ours; `pixels` says how many pixels the region has."""

    name: str
    published: float
    reached: float
    pixels: int
    unsure: int = 0
    how: str = ""

    @property
    def count(self) -> Count:
        """The same as whole pixels: a published percentage is a count of pixels."""
        published, reached = (round(share * self.pixels / 100) for share in (self.published, self.reached))
        return Count(self.name, published, reached, self.unsure)


@dataclass(frozen=True, eq=False)
class Region:
    """The pixels of the region mask whose centre lies in the region, and the grid they belong to."""

    outline: Prepared
    west: float
    north: float
    mask: Bools
    centres: Geoms
    cells: Geoms

    @property
    def pixels(self) -> int:
        return len(self.centres)


@dataclass
class Published:
    """The comparison as it grows."""

    region: Region
    shares: list[Share] = field(default_factory=list)

    def add(self, name: str, published: float, available: Bools, doubtful: Bools | None = None) -> None:
        doubt = 0 if doubtful is None else int(doubtful.sum())
        percent = 100.0 * float(available.mean())
        self.shares.append(Share(name, published, percent, self.region.pixels, doubt, "pixel centre"))


def region_of(data: Path) -> Region:
    """The region mask: 100 m pixels on whole hundreds of metres around the outline, centre inside."""
    outline = prepare(data / "aachenShapefile.shp", "plots", TARGET)
    west, south, east, north = shapely.total_bounds(outline.geometries)
    west, south = np.floor([west / CELL_M, south / CELL_M]) * CELL_M
    east, north = np.ceil([east / CELL_M, north / CELL_M]) * CELL_M
    columns, rows = round((east - west) / CELL_M), round((north - south) / CELL_M)
    x, y = np.meshgrid(west + CELL_M * (np.arange(columns) + 0.5), north - CELL_M * (np.arange(rows) + 0.5))
    centres = shapely.points(x.ravel(), y.ravel())
    mask = inside(centres, layer_of(outline))
    half = CELL_M / 2
    x, y = x.ravel()[mask], y.ravel()[mask]
    cells = shapely.box(x - half, y - half, x + half, y + half)
    return Region(outline, float(west), float(north), mask.reshape(rows, columns), centres[mask], cells)


def value_at(cells: Geoms, grid: Raster) -> Floats:
    """(P,) the value of the one grid cell whose centre each small site holds."""
    site, row, column = terrain.cells(cells, grid)
    found = np.full(len(cells), np.nan)
    found[site] = np.where(row >= 0, grid.values[row, column], np.nan)
    return found


def grid_of(data: Path, name: str) -> Raster:
    """A GeoTIFF of the folder."""
    found = prepare(data / name, "imagery", TARGET).raster
    assert found is not None
    return found


def patches(mask: Bools, west: float, north: float, name: str) -> Prepared:
    """Areas of touching pixels of a mask, as a layer."""
    at = rasterio.transform.from_origin(west, north, CELL_M, CELL_M)
    found = [shapely.geometry.shape(shape) for shape, _ in shapes(mask.astype(np.uint8), mask=mask, transform=at)]
    return _drawn(found, name)


def _drawn(geometries: Iterable[shapely.Geometry], name: str) -> Prepared:
    return from_frame(gpd.GeoDataFrame(geometry=list(geometries), crs=TARGET), "plots", source=name)


def compare(data: Path) -> tuple[Region, list[Share]]:
    """Every published share that a distance or a grid value can answer."""
    region = region_of(data)
    found = Published(region)
    centres = region.centres
    protected = layer_of(prepare(data / "CDDA_aachenClipped.shp", "nature_reserve", TARGET))
    young = protected.where(protected.features["YEAR"].to_numpy() > 2000)
    in_young = inside(centres, young)
    far_m = measure.distance_m(centres, young, 401.0)
    found.add("CDDA, all", 76.47581482, ~inside(centres, protected))
    found.add("CDDA, YEAR > 2000", 86.89811707, ~in_young)
    found.add("CDDA, YEAR > 2000, 400 m", 77.95021057, far_m > 400, unsure(far_m, 400, OGR_QUAD_SEGS))

    corine = grid_of(data, "clc-aachen_clipped.tif")
    cover = value_at(region.cells, corine)
    found.add("CLC 12", 82.8033, cover != 12)
    found.add("CLC 5 to 12", 81.16260529, (cover < 5) | (cover > 12))
    found.add("CLC up to 12", 58.52362442, cover > 12)
    found.add("CLC from 13", 41.47637558, cover < 13)

    roads = layer_of(prepare(data / "aachenRoads.shp", "roads", TARGET))
    main = roads.where(roads.features["type"].isin(["motorway", "primary", "trunk"]).to_numpy())
    road_m = measure.distance_m(centres, main, 201.0)
    urban = layer_of(patches((corine.values >= 1) & (corine.values <= 2), corine.west, corine.north, "CLC 1-2"))
    urban_m = measure.distance_m(centres, urban, 1001.0)
    free = (cover < 12) | (cover > 22)
    found.add(
        "set: CLC 12-22, CLC 1-2 with 1,000 m, main roads with 200 m",
        15.230323,
        free & (urban_m > 1000) & (road_m > 200),
        free & (unsure(road_m, 200, OGR_QUAD_SEGS) | unsure(urban_m, 1000, OGR_QUAD_SEGS)),
    )

    # The prior raster holds classes of distance; class 5 ends at 400 m.
    near_class = value_at(region.cells, grid_of(data, "roads_prior_clip.tif"))
    beyond = near_class > 5
    found.add("roads prior, from 400 m", 24.77587891, ~beyond)
    found.add("roads prior to 400 m, CDDA > 2000, CLC up to 12", 37.1109619141, beyond & ~in_young & (cover > 12))
    edge_m = measure.distance_m(centres, outlines_of(region.outline), 501.0)
    found.add(
        "roads prior to 400 m, 500 m from the region's edge",
        63.68544388,
        beyond & (edge_m > 500),
        beyond & unsure(edge_m, 500, OGR_QUAD_SEGS),
    )
    kept = np.zeros(region.mask.shape, dtype=bool)
    kept[region.mask] = beyond
    shrunk_m = measure.distance_m(centres, outlines_of(patches(kept, region.west, region.north, "available")), 501.0)
    found.add(
        "roads prior to 400 m, shrunk by 500 m",
        41.88655853,
        beyond & (shrunk_m > 500),
        beyond & unsure(shrunk_m, 500, OGR_QUAD_SEGS),
    )

    at = shapely.get_coordinates(prepare(data / "aachen_points.shp", "sensitive_sites", TARGET).geometries)
    turn = 2 * np.pi * np.arange(30) / 30
    rings = _around(at, 1000 * np.column_stack([np.cos(turn), np.sin(turn)]), 45)
    squares = _around(at, 1000 * np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]), 25)
    out_of_rings = ~inside(centres, layer_of(_drawn(rings, "ellipses")))
    found.add("13 points, ellipses", 95.61485115020298, out_of_rings)
    found.add(
        "13 points, ellipses and rectangles",
        94.36879792512404,
        out_of_rings & ~inside(centres, layer_of(_drawn(squares, "rectangles"))),
    )
    return region, [*found.shares, *degrees(data, protected, corine, near_class=grid_of(data, "roads_prior_clip.tif"))]


def _around(centres: Floats, corners: Floats, turned_deg: float) -> list[shapely.Geometry]:
    """The same figure, turned to the left, drawn around each centre."""
    angle = np.radians(turned_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return [shapely.Polygon(corners @ turn + centre) for centre in centres]


def degrees(data: Path, protected: Snapshot, corine: Raster, near_class: Raster) -> list[Share]:
    """The shares glaes publishes for pixels in degrees.

    It resamples a raster to such pixels bilinearly, so that a pixel may be half excluded; we have no such kernel and
    count the raster's own cells in each pixel, or read the one below its centre.
    """
    coarse, fine = pixels_in_degrees(data, 0.005), pixels_in_degrees(data, 0.001)
    site, row, column = terrain.cells(_in_metres(coarse, 0.005), corine)
    cover = corine.values[row, column]

    def free(excluded: Bools) -> float:
        per_pixel = np.bincount(site, excluded.astype(float)) / np.bincount(site)
        return 100.0 * float(1 - per_pixel.mean())

    listed = np.isin(cover, [12, 29, 33])
    for low, high in ((-np.inf, 1), (5, 6), (23, 26), (40, np.inf)):
        listed |= (cover >= low) & (cover <= high)
    outside = ~inside(shapely.points(_moved(coarse)), protected)
    near = value_at(_in_metres(fine, 1e-5), near_class)
    pixels = len(coarse)
    return [
        Share("CDDA, all, 0.005 deg", 76.31578827, 100.0 * float(outside.mean()), pixels, 0, "pixel centre"),
        Share("CLC 12, 0.005 deg", 82.95262909, free(cover == 12), pixels, 0, "cells per pixel"),
        Share("CLC list, 0.005 deg", 49.5872573853, free(listed), pixels, 0, "cells per pixel"),
        Share(
            "roads prior, from 400 m, 0.001 deg",
            24.83173180,
            100.0 * float((near <= 5).mean()),
            len(fine),
            0,
            "cell under the centre",
        ),
    ]


def pixels_in_degrees(data: Path, size_deg: float) -> Floats:
    """(P, 2) longitude and latitude of the pixels of a mask in EPSG:4326 whose centre lies in the region."""
    outline = pyogrio.read_dataframe(data / "aachenShapefile.shp").geometry.iloc[0]
    west, south, east, north = outline.bounds
    west, south = np.floor([west / size_deg, south / size_deg]) * size_deg
    east, north = np.ceil([east / size_deg, north / size_deg]) * size_deg
    columns, rows = round((east - west) / size_deg), round((north - south) / size_deg)
    x, y = np.meshgrid(west + size_deg * (np.arange(columns) + 0.5), north - size_deg * (np.arange(rows) + 0.5))
    keep = shapely.contains_xy(outline, x.ravel(), y.ravel())
    return np.column_stack([x.ravel()[keep], y.ravel()[keep]])


def _moved(lonlat: Floats) -> Floats:
    return np.column_stack(crs_.between(crs_.parse_cached(crs_.LONLAT), TARGET).transform(*lonlat.T))


def _in_metres(lonlat: Floats, size_deg: float) -> Geoms:
    """(P,) pixels in degrees as areas of the working CRS."""
    half = size_deg / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    ring = _moved((lonlat[:, None, :] + corners).reshape(-1, 2)).reshape(-1, 4, 2)
    found: Geoms = shapely.polygons(ring)
    return found


@dataclass(frozen=True)
class ByArea:
    """What the pixel-centre rule leaves out: the share of the region's own ground, from overlaps of whole cells."""

    name: str
    dissolved: float
    covered: float
    added_up: float
    counted_twice: int
    said_covered: int


def by_area(data: Path, region: Region) -> list[ByArea]:
    """Per protected layer the percentage of ground that is free, and what its own overlapping features do to a sum.

    `dissolved` is measured on the features joined to one; `covered` by the kernel that counts shared ground once.
    `counted_twice` cells share ground with two features at once; `said_covered` of them are taken for wholly covered
    although some of their ground is free.
    """
    found = []
    for name in ("CDDA_aachenClipped.shp", "Natura2000_aachenClipped.shp"):
        layer = prepare(data / name, "nature_reserve", TARGET)
        once = _drawn(shapely.get_parts(shapely.union_all(layer.geometries)), name)
        cells = region.pixels
        kept = layer_of(layer)
        table = measure.overlaps(region.cells, kept)
        added = table.per_site(cells) / CELL_M**2
        covered = measure.covered_m2(region.cells, kept, table, np.ones(len(kept.features), dtype=bool)) / CELL_M**2
        taken = measure.overlaps(region.cells, layer_of(once)).per_site(cells) / CELL_M**2
        found.append(
            ByArea(
                name.split("_")[0],
                100.0 * float(1 - taken.mean()),
                100.0 * float(1 - covered.mean()),
                100.0 * float(1 - added.mean()),
                int((added > taken + 1e-6).sum()),
                int(((added > 1 - 1e-4) & (taken < 1 - 1e-4)).sum()),
            )
        )
    return found


def main() -> None:
    data = data_folder("scripts.real.aachen") / "lc_aachen_glaes"
    start = time.perf_counter()
    region, shares = compare(data)
    seconds = time.perf_counter() - start
    rows, columns = region.mask.shape
    print(f"Region mask: {rows} x {columns}, {region.pixels:,} pixels; compared in {seconds:.1f} s\n")
    print(
        markdown(
            [
                "exclusion",
                "published %",
                "ours %",
                "pixels published",
                "pixels ours",
                "may differ by",
                "measured",
                "reproduced",
            ],
            [
                [
                    one.name,
                    one.published,
                    f"{one.reached:.6f}",
                    f"{one.count.published:,}",
                    f"{one.count.reached:,}",
                    one.unsure,
                    one.how,
                    "yes" if one.count.agrees else "**no**",
                ]
                for one in shares
            ],
        )
    )
    print("\nGround instead of pixel centres (nothing published):\n")
    print(
        markdown(
            [
                "layer",
                "available %, features joined",
                "`covered_m2`",
                "overlaps added up",
                "cells counted twice",
                "of them wrongly covered",
            ],
            [
                [
                    one.name,
                    f"{one.dissolved:.6f}",
                    f"{one.covered:.6f}",
                    f"{one.added_up:.6f}",
                    f"{one.counted_twice:,}",
                    one.said_covered,
                ]
                for one in by_area(data, region)
            ],
        )
    )


if __name__ == "__main__":
    main()
