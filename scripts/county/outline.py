"""The county's line: drawn by hand around the towns, roughened, and sized to the area the county states."""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.records import Floats, Geoms, Ints
from scripts.county.noise import smooth_noise
from scripts.county.places import EAST, NORTH, SOUTH, WEST, draws

AREA_M2 = 1_969e6  # as the county states it; its real line is controlled data and is not drawn here
STEP_M = 180.0
# kilometres in EPSG:4545 (x - 500, y - 3000), clockwise from 龙门口 in the west; made up, but around the real towns
CORNERS_KM = (
    (28.9, 101.2), (31.0, 106.5), (31.2, 115.5), (34.2, 122.4), (38.6, 126.2), (44.6, 126.6), (51.0, 130.4),
    (56.3, 138.0), (59.8, 129.0), (60.2, 122.2), (65.4, 118.4), (71.0, 116.2), (75.4, 111.5), (81.0, 106.3),
    (74.8, 100.2), (74.6, 93.0), (70.4, 88.6), (62.8, 86.4), (58.4, 79.6), (55.6, 71.0), (53.2, 63.0),
    (50.4, 58.6), (47.2, 50.8), (44.8, 58.8), (41.6, 64.6), (41.4, 72.6), (36.8, 77.6), (31.2, 81.6),
    (31.4, 90.0), (32.2, 96.0),
)  # fmt: skip


@cache
def outline() -> shapely.Polygon:
    """The county, EPSG:4545: it reaches all four sides of the window and measures AREA_M2 to the hectare."""
    knots = np.array(CORNERS_KM) * 1_000 + [500_000, 3_000_000]
    closed = shapely.LinearRing(_rounded(knots, 3))
    along = np.arange(0.0, closed.length, STEP_M)
    points = shapely.get_coordinates(shapely.line_interpolate_point(closed, along))
    ahead = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    across = np.column_stack([-ahead[:, 1], ahead[:, 0]]) / np.hypot(*ahead.T)[:, None]
    rng = draws(0, "county line")  # one county for every seed: what differs is its ground
    broad, fine = (smooth_noise(points[:, :1], points[:, 1:], wave_m, rng) for wave_m in (4_800, 1_300))
    rough = 900 * broad + 300 * fine
    drawn = shapely.Polygon(points + across * rough)
    window = shapely.box(WEST, SOUTH, EAST, NORTH)
    low, high = -4_000.0, 4_000.0
    for _ in range(40):  # the area grows with the width of the seam
        seam = (low + high) / 2
        grown = shapely.intersection(shapely.buffer(drawn, seam, join_style="mitre"), window)
        low, high = (seam, high) if grown.area < AREA_M2 else (low, seam)
    parts = shapely.get_parts(shapely.set_precision(grown, 0.001))
    return cast("shapely.Polygon", shapely.Polygon(shapely.get_exterior_ring(parts[np.argmax(shapely.area(parts))])))


def clipped(shapes: Geoms) -> Geoms:
    """Each shape's part inside the county; what lies wholly inside stays as it is."""
    county = outline()
    shapely.prepare(county)
    out = np.asarray(shapes, dtype=object).copy()
    over = ~shapely.covers(county, out)
    out[over] = shapely.intersection(out[over], county)
    return out


def parts_within(polygons: Geoms) -> tuple[Geoms, Ints]:
    """The single polygons that are left of each inside the county, and which it was; crumbs below a square metre go."""
    parts, owner = shapely.get_parts(clipped(polygons), return_index=True)
    worth = shapely.area(parts) > 1.0
    return parts[worth], owner[worth]


def is_inside(x: Floats, y: Floats, depth_m: float = 0.0) -> NDArray[np.bool_]:
    """Does each place lie in the county, at least `depth_m` from its line? A negative depth reaches beyond it."""
    reach = outline() if depth_m == 0 else shapely.buffer(outline(), -depth_m)
    shapely.prepare(reach)
    x, y = np.broadcast_arrays(x, y)
    inside: NDArray[np.bool_] = shapely.contains_xy(reach, x, y)
    return inside


def _rounded(corners: Floats, times: int) -> Floats:
    """Chaikin's corners cut, on a closed line."""
    for _ in range(times):
        ahead = np.roll(corners, -1, axis=0)
        cut = np.empty((2 * len(corners), 2))
        cut[0::2], cut[1::2] = 0.75 * corners + 0.25 * ahead, 0.25 * corners + 0.75 * ahead
        corners = cut
    return corners
