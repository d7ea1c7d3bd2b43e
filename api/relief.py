"""The lie of the land under a map: a hillshade of the elevation model as one small PNG in web mercator."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.io import MemoryFile
from rasterio.warp import Resampling, calculate_default_transform, reproject, transform_bounds

from api.maps import Image
from gis.terrain import hillshade
from layers.records import Raster

WIDEST_PX = 900
DARKEST = 80  # so that what is drawn over the relief stays readable


_kept: WeakKeyDictionary[Raster, Image] = WeakKeyDictionary()


def grey(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Light of 0 to 1 as the greys of a map's ground; 0 where nothing is known."""
    drawn: NDArray[np.uint8] = np.nan_to_num(light * np.float32(255 - DARKEST) + DARKEST).astype(np.uint8)
    return drawn


def relief(elevation: Raster, crs: CRS) -> Image:
    """A grey hillshade (sun in the north-west, 45 degrees) and its bounds in degrees; transparent where unknown.

    Drawn once for as long as the model is held.
    """
    known = _kept.get(elevation)
    if known is None:
        known = _kept[elevation] = _drawn(elevation, crs.to_wkt())
    return known


def _drawn(elevation: Raster, crs: str) -> Image:
    step = max(1, elevation.values.shape[1] // WIDEST_PX)
    shade = grey(hillshade(np.asarray(elevation.values[::step, ::step]), elevation.cell_m * step))
    rows, columns = shade.shape
    cell_m = elevation.cell_m * step
    place = rasterio.Affine(cell_m, 0, elevation.west, 0, -cell_m, elevation.north)
    box = (elevation.west, elevation.north - rows * cell_m, elevation.west + columns * cell_m, elevation.north)
    there, width, height = calculate_default_transform(crs, "EPSG:3857", columns, rows, *box)
    out = np.zeros((height, width), dtype=np.uint8)  # 0 is transparent
    reproject(shade, out, place, src_crs=crs, dst_transform=there, dst_crs="EPSG:3857", resampling=Resampling.nearest)
    with MemoryFile() as memory:
        shape = {"width": width, "height": height, "count": 1, "dtype": "uint8", "nodata": 0}
        with memory.open(driver="PNG", crs="EPSG:3857", transform=there, **shape) as file:
            file.write(out, 1)
        png = memory.read()
    edges = (there.c, there.f + there.e * height, there.c + there.a * width, there.f)
    west, south, east, north = transform_bounds("EPSG:3857", "EPSG:4326", *edges)
    return png, (west, south, east, north)
