"""Ellipsoid area (椭球面积), which surveys and registers use beside the plane area of the working CRS.

In EPSG:4545 the two differ by up to 1.5e-4 within one county, so an answer gives both and names the method.
"""

from __future__ import annotations

import shapely
from pyproj import CRS, Geod

from layers.crs import LONLAT, between, parse_cached

SQUARE_METRES_PER_MU = 2000 / 3
SEGMENT_M = 50.0  # a straight line of the grid bends on the ellipsoid


def ellipsoid_m2(geometry: shapely.Geometry, crs: CRS) -> float:
    """Area of a Polygon or MultiPolygon on the CRS's own ellipsoid (Karney's method, through `pyproj.Geod`)."""
    ellipsoid = crs.ellipsoid
    assert ellipsoid is not None
    geod = Geod(a=ellipsoid.semi_major_metre, rf=ellipsoid.inverse_flattening)
    to_lonlat = between(crs, crs.geodetic_crs or parse_cached(LONLAT))
    dense = shapely.segmentize(geometry, SEGMENT_M)
    lonlat = shapely.transform(dense, to_lonlat.transform, interleaved=False)
    return abs(float(geod.geometry_area_perimeter(shapely.orient_polygons(lonlat))[0]))
