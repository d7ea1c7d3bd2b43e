"""Ellipsoid area (椭球面积), which surveys and registers use beside the plane area of the working CRS.

In EPSG:4545 the two differ by up to 1.5e-4 within one county, so an answer gives both and names the method.

The area meant is that of the ground which the *straight lines of the grid* enclose. The cylindrical equal-area map
carries ellipsoid areas to a plane; how many square metres of it a square unit of the grid holds is a smooth function,
so over the box of a layer a polynomial says it (`_Density`), and a polygon's area is that polynomial integrated over
it, for which the polygon's moments up to the second order suffice. Where they do not (a polygon of tens of kilometres,
a layer across half a continent), the edges themselves are followed on the map (`_followed_m2`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import overload

import numpy as np
import shapely
from numpy.polynomial import chebyshev
from pyproj import CRS

from layers.cores import blockwise
from layers.crs import LONLAT, between, parse_cached
from layers.records import Floats, Geoms, Ints
from layers.rings import Rings, cross, parts

DEGREE = 12
LEAST_HALF_BOX = 10_000.0  # metres; over less, rounding of the coordinates would show in their differences
RELATIVE = 1e-10  # what leaving out third moments may cost: 0.0001 m2 in a square kilometre
STEP_M = 500.0  # edges are followed in parabolas no longer than this
FEW = 16  # so many are followed in the time that the density over their box takes
METRES_PER_DEGREE = 111_320.0


@overload
def ellipsoid_m2(geometries: Geoms, crs: CRS) -> Floats: ...
@overload
def ellipsoid_m2(geometries: shapely.Geometry, crs: CRS) -> float: ...
def ellipsoid_m2(geometries: Geoms | shapely.Geometry, crs: CRS) -> Floats | float:
    """Area of polygons on the CRS's own ellipsoid, their edges being straight in the CRS.

    Agrees with Karney's geodesic areas (`pyproj.Geod`) of densified rings within 0.001 m2 up to a square kilometre and
    1e-9 of the area beyond; the two ways of this module agree within 1e-9.

    Parameters
    ----------
    geometries : (N,) Polygon or MultiPolygon, any way round, or a single one
    crs : their CRS, projected or geographic

    Returns
    -------
    (N,) float64, square metres, or one number for one geometry; 0 for an empty geometry and for points and lines,
    NaN where there is none
    """
    if geometries is None or isinstance(geometries, shapely.Geometry):
        return float(ellipsoid_m2(np.array([geometries], dtype=object), crs)[0])
    geometries = np.asarray(geometries, dtype=object)
    alone, owner = parts(geometries)
    areal = (shapely.get_dimensions(alone) == 2) & ~shapely.is_empty(alone)
    found = np.bincount(owner[areal], _alone_m2(alone[areal], crs), minlength=len(geometries))
    return np.where(shapely.is_missing(geometries), np.nan, found)


def method(crs: CRS) -> str:
    """How the area that stands beside the ellipsoid area was measured, as every answer says it."""
    return f"plane, {crs.name}"


def _alone_m2(polygons: Geoms, crs: CRS) -> Floats:
    """(N,) areas of plain polygons, none of them empty."""
    if len(polygons) <= FEW:
        return _followed_m2(polygons, crs)
    density = _Density.over(shapely.total_bounds(polygons), crs)
    if density is None:
        return np.concatenate(blockwise(lambda block: _followed_m2(block, crs), polygons))
    found = np.concatenate(blockwise(density.integral, polygons))
    far = np.isnan(found)
    found[far] = _followed_m2(polygons[far], crs)
    return found


def _totals(rings: Rings, *of_edge: Floats) -> Iterator[Floats]:
    """(N,) sums over each polygon's edges, shells counted in and holes out. The first array sums up to areas."""
    sums = [rings.sums(one) for one in of_edge]
    signs = rings.signs(sums[0])
    for one in sums:
        yield np.bincount(rings.polygon, signs * one).astype(np.float64, copy=False)


# --- polygons small beside the ellipsoid: moments ---------------------------------------------------


@dataclass(frozen=True)
class _Density:
    """Square metres of the ellipsoid per square unit of the grid, as Chebyshev polynomials over a box.

    `terms` are the density and its derivatives x, y, xx, xy, yy; `third` bounds the third ones.
    """

    centre: Floats
    half: Floats
    terms: Floats
    third: float

    @classmethod
    def over(cls, bounds: Floats, crs: CRS) -> _Density | None:
        """The density over a box; None where no polynomial of DEGREE follows it."""
        centre = (bounds[:2] + bounds[2:]) / 2
        half = np.maximum((bounds[2:] - bounds[:2]) / 2, LEAST_HALF_BOX * _units_per_metre(crs))
        node = chebyshev.chebpts1(DEGREE + 1)
        values = chebyshev.chebvander(node, DEGREE)
        fit = np.linalg.inv(values)
        x, y = (centre[:, None] + half[:, None] * node)[:, :, None]
        grid_x, grid_y = np.broadcast_arrays(x, y.T)
        mapped = _equal_area(grid_x.ravel(), grid_y.ravel(), crs, np.array([0]))
        if not np.isfinite(mapped).all():
            return None
        to_map = [fit @ one.reshape(grid_x.shape) @ fit.T for one in mapped.T]
        slope = [
            values[:, : one.shape[0]] @ one @ values[:, : one.shape[1]].T
            for east_or_north in to_map
            for one in (_slope(east_or_north, 1, 0), _slope(east_or_north, 0, 1))
        ]
        density = fit @ np.abs(slope[0] * slope[3] - slope[1] * slope[2]) @ fit.T
        kept = np.abs(density) > RELATIVE / 10 * density[0, 0]
        if kept[-2:].any() or kept[:, -2:].any():
            return None
        density = density[: kept.any(axis=1).nonzero()[0][-1] + 1, : kept.any(axis=0).nonzero()[0][-1] + 1]
        density = density / half.prod()
        terms = np.zeros((*density.shape, 6))
        for n, (along_x, along_y) in enumerate([(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]):
            one = _slope(density, along_x, along_y) / (half[0] ** along_x * half[1] ** along_y)
            terms[: one.shape[0], : one.shape[1], n] = one
        third = sum(
            weight * np.abs(_slope(density, n, 3 - n)).sum() / (half[0] ** n * half[1] ** (3 - n))
            for n, weight in enumerate((1, 3, 3, 1))
        )
        return cls(centre, half, terms, float(third / density[0, 0]))

    def integral(self, polygons: Geoms) -> Floats:
        """(N,) the density integrated over polygons; NaN where one reaches too far for its second moments."""
        box = shapely.bounds(polygons)
        middle = (box[:, :2] + box[:, 2:]) / 2
        rings = Rings.of(polygons)
        at = middle[rings.of_edge(rings.polygon)]
        (ax, ay), (bx, by) = (rings.start - at).T, (rings.end - at).T
        twice = ax * by - bx * ay
        x, y = ax + bx, ay + by
        moments = _totals(
            rings,
            twice / 2,
            twice * x / 6,
            twice * y / 6,
            twice * (x * x - ax * bx) / 24,
            twice * (2 * x * y - ax * by - bx * ay) / 24,
            twice * (y * y - ay * by) / 24,
        )
        x, y = ((middle - self.centre) / self.half).T
        terms = np.asarray(chebyshev.chebval2d(x, y, self.terms))
        found: Floats = sum(map(np.multiply, moments, terms), np.zeros(len(box)))
        reach = np.hypot(*(box[:, 2:] - box[:, :2]).T) / 2
        found[reach**3 / 6 * self.third > RELATIVE] = np.nan
        return found


def _slope(polynomial: Floats, along_x: int, along_y: int) -> Floats:
    """A derivative of a Chebyshev series in two variables, over the box from -1 to 1."""
    slope = chebyshev.chebder(chebyshev.chebder(polynomial, along_x, axis=0), along_y, axis=1)
    return slope.astype(np.float64, copy=False)


# --- any polygon: its edges, followed on the equal-area map -----------------------------------------


def _followed_m2(polygons: Geoms, crs: CRS) -> Floats:
    """(N,) areas on the equal-area map, each straight piece of the grid being a parabola there through three points."""
    if len(polygons) == 0:
        return np.empty(0)
    rings = Rings.of(shapely.segmentize(polygons, STEP_M * _units_per_metre(crs)))
    edges = rings.of_edge(rings.polygon)
    origin = np.searchsorted(edges, edges)
    x, y = np.concatenate([rings.start, (rings.start + rings.end) / 2, rings.end]).T
    mapped = _equal_area(x, y, crs, np.tile(origin, 3)).reshape(3, -1, 2)
    start, middle, end = mapped - mapped[0, origin]
    chord, bow = end - start, middle - (start + end) / 2
    (found,) = _totals(rings, cross(start, end) / 2 - 2 / 3 * cross(chord, bow))
    return found


def _equal_area(x: Floats, y: Floats, crs: CRS, origin: Ints) -> Floats:
    """(N, 2) metres on the cylindrical equal-area map of the CRS's ellipsoid (Snyder 1987, p. 81), from CRS
    coordinates; longitudes count from those of the rows `origin`, so that nothing tears where they jump."""
    ellipsoid = crs.ellipsoid
    assert ellipsoid is not None
    a, b = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    e = np.sqrt(max(0.0, 1 - (b / a) ** 2))
    lon, lat = between(crs, crs.geodetic_crs or parse_cached(LONLAT)).transform(x, y)
    with np.errstate(invalid="ignore"):  # the box of a layer may reach to where its CRS ends
        east = a * np.radians((lon - lon[origin] + 180) % 360 - 180)
        sine = np.sin(np.radians(lat))
    stretched = np.arctanh(e * sine) / e if e else sine
    return np.stack([east, b * b / (2 * a) * (sine / (1 - (e * sine) ** 2) + stretched)], axis=-1)


def _units_per_metre(crs: CRS) -> float:
    return 1 / METRES_PER_DEGREE if crs.is_geographic else 1 / crs.axis_info[0].unit_conversion_factor
