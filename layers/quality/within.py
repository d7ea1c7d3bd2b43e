"""Faults a feature has all by itself: no ground, not valid, spikes, points too close, too small."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from layers.quality.paths import Paths
from layers.quality.record import faults
from layers.quality.tolerances import Tolerances
from layers.records import Bools, Floats, Geoms, Ints

Names = NDArray[np.object_]
# GEOS's reasons in Chinese; the place follows in brackets.
REASONS = {
    "Self-intersection": "边界自相交",
    "Ring Self-intersection": "边界在一点自接触",
    "Hole lies outside shell": "内环落在外环之外",
    "Holes are nested": "内环相互嵌套",
    "Nested shells": "外环相互嵌套",
    "Interior is disconnected": "内部被分割",
    "Duplicate Rings": "环重复",
    "Too few points in geometry component": "点数不足",
    "Invalid Coordinate": "坐标无效",
    "Ring is not closed": "环未闭合",
}
PLACE = re.compile(r"\[(\S+) (\S+)\]")
DUST_M2 = 1e-6  # what a flat ring in coordinates of millions may still seem to hold
CLASSES = ("construction", "agricultural", "unused")


def without_ground(geometries: Geoms, dimension: int | None) -> tuple[Names, Names]:
    """(N,) why a feature cannot be measured, in Chinese and English; empty where it can.

    `dimension` is what the role takes: 2 areas, 1 lines, 0 points, None any.
    """
    missing = shapely.is_missing(geometries)
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    wild = np.zeros(len(geometries), dtype=bool)
    wild[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    is_area = np.isin(shapely.get_type_id(geometries), (3, 6))
    is_line = np.isin(shapely.get_type_id(geometries), (1, 2, 5))
    flat = np.zeros(len(geometries), dtype=bool)
    thin = np.flatnonzero(is_area & ~wild)
    thin = thin[shapely.area(geometries[thin]) < DUST_M2]  # a bow tie may be among them, and has ground
    flat[thin] = shapely.area(shapely.convex_hull(geometries[thin])) < DUST_M2
    flat[is_line & ~wild] = shapely.length(geometries[is_line & ~wild]) == 0
    open_ = is_line & (dimension == 2)
    kind = shapely.get_dimensions(geometries)
    other = (kind != dimension) if dimension is not None else np.zeros(len(geometries), dtype=bool)
    other |= shapely.get_type_id(geometries) == 7
    zh = np.full(len(geometries), "", dtype=object)
    en = zh.copy()
    for mask, chinese, english in (
        (other, "几何类型与图层不符", "its geometry is not of the kind this layer takes"),
        (open_, "面图层中的线：边界未闭合", "a line in a layer of areas: its border is not closed"),
        (flat, "面积或长度为零", "it has no area or length"),
        (shapely.is_empty(geometries) & ~missing, "几何为空", "its geometry is empty"),
        (wild, "坐标不是有限数", "a coordinate is not a finite number"),
        (missing, "没有几何", "it has no geometry"),
    ):
        zh[mask], en[mask] = chinese, english
    return zh, en


def degenerate(geometries: Geoms, names: Names, tolerances: Tolerances, zh: Names, en: Names) -> pd.DataFrame:
    """A row per feature that cannot be measured; its place is between the open ends where there are any."""
    rows = np.flatnonzero(zh != "")
    finite = geometries[rows].copy()
    finite[[("finite" in str(reason)) for reason in en[rows]]] = None
    place = shapely.centroid(finite)
    line = shapely.get_type_id(finite) == 1
    line[line] = ~shapely.is_empty(finite[line])
    ends = [shapely.get_point(finite[line], n) for n in (0, -1)]
    place[line] = shapely.centroid(shapely.multipoints(np.stack(ends, axis=1)))
    place[shapely.is_empty(place)] = None
    more = {"why_zh": zh[rows], "why_en": en[rows]}
    return faults("degenerate", names, tolerances, rows, place, zh="{why_zh}", en="{why_en}", more=more)


def invalid(geometries: Geoms, names: Names, tolerances: Tolerances, rows: Ints) -> pd.DataFrame:
    """A row per invalid feature, at the first place GEOS objects to."""
    said = [str(reason) for reason in shapely.is_valid_reason(geometries[rows])]
    found = [PLACE.search(reason) for reason in said]
    place = np.array([shapely.Point(float(at[1]), float(at[2])) if at else None for at in found] + [None])[:-1]
    plain = [PLACE.sub("", reason).strip() for reason in said]
    more = {"why_zh": [REASONS.get(reason, reason) for reason in plain], "why_en": plain}
    return faults("invalid", names, tolerances, rows, place, zh="{why_zh}", en="{why_en}", more=more)


def spike_tips(paths: Paths, angle_deg: float, length_m: float) -> tuple[Ints, Floats, Floats]:
    """The vertices at which a border turns back on itself: (K,) vertex, angle in degrees, shorter side in metres."""
    inner = np.flatnonzero((paths.before >= 0) & (paths.after >= 0))
    back = paths.xy[paths.before[inner]] - paths.xy[inner]
    on = paths.xy[paths.after[inner]] - paths.xy[inner]
    length = np.minimum(np.hypot(*back.T), np.hypot(*on.T))
    cross = back[:, 0] * on[:, 1] - back[:, 1] * on[:, 0]
    angle = np.degrees(np.abs(np.arctan2(cross, (back * on).sum(axis=1))))
    sharp = (length >= length_m) & (length > 0) & (angle < angle_deg)
    return inner[sharp], angle[sharp], length[sharp]


def spikes(paths: Paths, names: Names, tolerances: Tolerances) -> pd.DataFrame:
    """A row per spike; where a neighbour follows it exactly it is one fault of both."""
    tip, angle, length = spike_tips(paths, tolerances["spike.angle_deg"], tolerances["spike.length_m"])
    sides = np.sort(np.stack([paths.node[paths.before[tip]], paths.node[paths.after[tip]]]), axis=0)
    key = pd.MultiIndex.from_arrays([paths.node[tip], *sides])
    first, other = _once(key, paths.feature[tip])
    tip, angle, length = tip[first], angle[first], length[first]
    return faults(
        "spike",
        names,
        tolerances,
        paths.feature[tip],
        shapely.points(paths.xy[tip]),
        other=other,
        value=angle,
        unit="deg",
        against="spike.angle_deg",
        zh="尖刺：夹角 {value:.3f}°，短边 {length:.2f} m",
        en="spike of {value:.3f} degrees, shorter side {length:.2f} m",
        more={"length": length},
    )


def close_segments(paths: Paths, within_m: float) -> Ints:
    """The vertices (starts of segments) whose next vertex is closer than the tolerance, or lies on it."""
    starts = np.flatnonzero(paths.after >= 0)
    step = np.hypot(*(paths.xy[paths.after[starts]] - paths.xy[starts]).T)
    near: Ints = starts[(step < within_m) | (step == 0)]
    return near


def near_points(paths: Paths, names: Names, tolerances: Tolerances) -> pd.DataFrame:
    """A row per pair of neighbouring vertices that are too close; a common border is told once."""
    start = close_segments(paths, tolerances["near_point.distance_m"])
    end = paths.after[start]
    key = pd.MultiIndex.from_arrays([*np.sort(np.stack([paths.node[start], paths.node[end]]), axis=0)])
    first, other = _once(key, paths.feature[start])
    start, end = start[first], end[first]
    return faults(
        "near_point",
        names,
        tolerances,
        paths.feature[start],
        shapely.points((paths.xy[start] + paths.xy[end]) / 2),
        other=other,
        value=np.hypot(*(paths.xy[end] - paths.xy[start]).T),
        unit="m",
        against="near_point.distance_m",
        zh="相邻两点相距 {value:.4f} m",
        en="two neighbouring points are {value:.4f} m apart",
    )


def _once(key: pd.MultiIndex, feature: Ints) -> tuple[Ints, Ints]:
    """For each distinct key: its first row, and another feature that has it too (-1: none)."""
    number, _ = pd.factorize(key)
    first = np.flatnonzero(~pd.Series(number).duplicated().to_numpy())
    other = np.full(len(first), -1, dtype=np.int64)
    another = np.flatnonzero(feature != feature[first][number])
    other[number[another[::-1]]] = feature[another[::-1]]
    return first, other


def smallest_m2(tolerances: Tolerances, classes: Names | None, count: int) -> Floats:
    """(N,) the smallest patch worth mapping, per feature: by its three-way class where the role has such figures.

    A feature whose class nobody knows is held against the lowest of them, below which it is too small for certain.
    """
    known = [f"tiny.{one}_m2" for one in CLASSES if f"tiny.{one}_m2" in tolerances]
    least = np.full(count, min((tolerances[name] for name in known), default=tolerances["tiny.area_m2"]))
    if classes is not None:
        for name in known:
            least[classes == name.removeprefix("tiny.").removesuffix("_m2")] = tolerances[name]
    return least


def tiny(geometries: Geoms, names: Names, tolerances: Tolerances, rows: Ints, least_m2: Floats) -> pd.DataFrame:
    """A row per part of an area that is smaller than the smallest patch worth mapping."""
    parts, owner = shapely.get_parts(geometries[rows], return_index=True)
    owner = rows[owner]
    area = shapely.area(parts)
    small = area < least_m2[owner]
    return faults(
        "tiny",
        names,
        tolerances,
        owner[small],
        parts[small],
        value=area[small],
        unit="m2",
        against=least_m2[owner[small]],
        zh="图形面积 {value:,.3f} m²，小于 {tolerance:g} m²",
        en="a part of {value:,.3f} m², smaller than {tolerance:g} m²",
    )


def trusted(geometries: Geoms, measurable: Bools) -> Bools:
    """(N,) whether a feature is a valid area, line or point."""
    valid = measurable.copy()
    valid[measurable] = shapely.is_valid(geometries[measurable])
    return valid
