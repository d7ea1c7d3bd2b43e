"""Terrain facts of real places: the mountains of Andorra (SRTM) and the slope grid of Rhode Island."""

import zipfile

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import geometry_mask
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from gis.facts import measure_facts
from gis.ground import Ground
from tests.worlds import MemoryWorld, grid

pytestmark = pytest.mark.needs("shared")

CELL = 90.0
WEST, NORTH, ROWS, COLUMNS = 366_000.0, 4_724_000.0, 400, 400  # EPSG:25831, Andorra and around


@pytest.fixture(scope="module")
def andorra(shared_data):
    """SRTM in metres, bilinear."""
    with zipfile.ZipFile(shared_data / "andorra_mountain" / "N42E001.hgt.zip") as packed:
        name = next(one for one in packed.namelist() if one.endswith(".hgt"))
        data = packed.read(name)
    values = np.full((ROWS, COLUMNS), np.nan, dtype=np.float32)
    with MemoryFile(data, filename="N42E001.hgt") as file, file.open() as source:
        heights = source.read(1, masked=True)  # voids are -32768
        assert (heights.min(), heights.max()) == (349, 3100)
        reproject(
            rasterio.band(source, 1),
            values,
            dst_transform=from_origin(WEST, NORTH, CELL, CELL),
            dst_crs="EPSG:25831",
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    return grid(values, WEST, NORTH, CELL)


def squares(west, north, side_m, count, seed=1):
    rng = np.random.default_rng(seed)
    x, y = west + rng.uniform(4_000, 30_000, count), north - rng.uniform(4_000, 30_000, count)
    return shapely.box(x, y - side_m, x + side_m, y)


def test_platforms_in_the_mountains(andorra):
    sites = squares(WEST, NORTH, 300.0, 200)
    asked = ["cut_m3", "fill_m3", "tilted_cut_m3", "terraces_cut_m3", "retaining_m", "slope_mean_deg", "aspect_deg"]
    asked += ["elevation_min_m", "elevation_max_m", "platform_level_m", "earthwork_cost_wan", "earth_surplus_m3"]
    found = measure_facts(Ground(sites, MemoryWorld(rasters=[andorra])), asked, {})
    known = ~np.isnan(found["cut_m3"].lo)
    assert known.mean() > 0.9
    at = {name: column.lo[known] for name, column in found.items()}
    assert (
        (at["platform_level_m"] > at["elevation_min_m"] - 40) & (at["platform_level_m"] < at["elevation_max_m"] + 40)
    ).all()
    assert np.abs(at["earth_surplus_m3"]).max() < 1.0
    assert (at["tilted_cut_m3"] <= at["cut_m3"] + 1).all()
    assert (at["terraces_cut_m3"] < at["cut_m3"]).all()
    # a mountain side is nearly a plane: the cut of a square on a slope is about tan(slope) L^3 / 8
    plane = np.tan(np.radians(at["slope_mean_deg"])) * 300.0**3 / 8
    assert np.median(at["cut_m3"] / plane) == pytest.approx(1.0, abs=0.15)
    assert (found["earthwork_cost_wan"].hi[known] > at["earthwork_cost_wan"]).all()


def test_slope_and_aspect_beside_a_second_method(andorra):
    """Horn's 3 x 3 beside central differences (numpy): alike on smooth ground, within a few degrees everywhere."""
    south, east = np.gradient(andorra.values.astype(float), CELL)
    slope = np.degrees(np.arctan(np.hypot(south, east)))
    sites = squares(WEST, NORTH, 900.0, 60)
    found = measure_facts(Ground(sites, MemoryWorld(rasters=[andorra])), ["slope_mean_deg", "slope_over_25_share"], {})
    place = from_origin(WEST, NORTH, CELL, CELL)
    ours, theirs = [], []
    for row, site in enumerate(sites):
        inside = geometry_mask([site], slope.shape, place, invert=True)
        if not np.isnan(found["slope_mean_deg"].lo[row]):
            ours.append((found["slope_mean_deg"].lo[row], found["slope_over_25_share"].lo[row]))
            theirs.append((slope[inside].mean(), (slope[inside] > 25).mean()))
    ours, theirs = np.array(ours), np.array(theirs)
    assert len(ours) > 50
    assert np.abs(ours[:, 0] - theirs[:, 0]).max() < 2.0
    assert np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1] > 0.99
    assert np.abs(ours[:, 1] - theirs[:, 1]).mean() < 0.06


def test_the_stored_slope_of_rhode_island(shared_data):
    """Slope as others computed it (90 m cells), read by rasterio site by site and by us all at once."""
    with rasterio.open(shared_data / "siting_rhode_island" / "ri_srtm_slope.tif") as source:
        values, place = source.read(1).astype(np.float32), source.transform
        nodata = source.nodata
    if nodata is not None:
        values[values == np.float32(nodata)] = np.nan
    cell = place.a
    world = MemoryWorld(rasters=[grid(values, place.c, place.f, cell, role="slope")])
    sites = squares(place.c, place.f, 1_000.0, 80)
    found = measure_facts(Ground(sites, world), ["slope_mean_deg", "slope_over_8_share", "cut_m3"], {})
    assert np.isnan(found["cut_m3"].lo).all()  # slope alone gives no heights
    compared = 0
    for row, site in enumerate(sites):
        cells = values[geometry_mask([site], values.shape, place, invert=True)].astype(float)
        assert found["slope_mean_deg"].lo[row] == pytest.approx(cells.mean(), rel=1e-6, nan_ok=True)
        if not np.isnan(cells).any():
            assert found["slope_over_8_share"].lo[row] == pytest.approx((cells > 8).mean())
            compared += 1
    assert compared > 20
