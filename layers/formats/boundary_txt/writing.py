"""A layer as a strict boundary TXT: what is written is what the header speaks of, to the last digit."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers.crs import to_lonlat
from layers.errors import BadInput, Fault
from layers.formats.boundary_txt.parsing import half_width, numeric
from layers.formats.boundary_txt.profile import (
    ATTRIBUTES,
    COMPUTED,
    KINDS,
    PLACES,
    STANDARD,
    UNITS,
    Profile,
    Zone,
    zone_of,
)
from layers.records import Geoms

SLACK_DEG = 1.0  # ground at the seam of two zones is drawn in one of them
Ring = list[tuple[int, int]]  # (easting, northing) in units of the last decimal, not closed


@dataclass
class _Faults:
    frame: gpd.GeoDataFrame
    found: list[Fault]

    def add(self, row: int | None, reason: str, fix: str, field: str | None = None) -> None:
        feature = None
        if row is not None:
            number = self.frame["plot_no"].iloc[row] if "plot_no" in self.frame else None
            feature = f"plot {row + 1}" if pd.isna(number) else f"plot {row + 1} {number}"
        self.found.append(Fault(reason, fix, feature=feature, field=field))


def write(
    frame: gpd.GeoDataFrame,
    *,
    profile: Profile = STANDARD,
    header: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> bytes:
    """The plots of a frame as a boundary TXT.

    Parameters
    ----------
    frame : areas, lines or points in a Gauss-Krüger grid of CGCS2000, columns named as in `Profile.columns`, text.
        What the profile has no column for is left out; point_count, declared_area_ha and geometry_kind are worked out.
    profile : columns, units and habits of the office that will read it
    header : lines of [属性描述] by key, in order; those that follow from the frame are added where they are missing
    encoding : GBK (the profile's own), UTF-8, UTF-8-SIG or GB18030

    Each ring starts at its north-west point, the outer ones clockwise, holes counter-clockwise; ring numbers run on
    over all parts of a plot, point numbers J1, J2, ... too. Coordinates are rounded first and the area is
    computed from the rounded ones, exactly, rounded half up.

    Raises BadInput with every fault where the format cannot hold what is asked.
    """
    faults = _Faults(frame, [])
    spoken = encoding or profile.encoding
    geometries: Geoms = np.asarray(frame.geometry.values, dtype=object)
    zone = zone_of(frame.crs)
    if zone is None:
        said = frame.crs.name if frame.crs is not None else "no reference system"
        fix = "Bring the layer into one first, for example EPSG:4524 or EPSG:4545"
        faults.add(None, f"the layer is in {said}, which is no Gauss-Krüger grid of CGCS2000", fix)
    else:
        _refuse_outside(frame, geometries, zone, faults)
    attributes = _attributes(header or {}, profile, zone, faults)
    fields = _fields(frame, profile, faults)
    lines = ["[属性描述]", *(f"{key}={value}" for key, value in attributes.items()), "[地块坐标]"]
    for row, geometry in enumerate(geometries):
        lines += _plot(row, geometry, {name: values[row] for name, values in fields.items()}, profile, zone, faults)
    _refuse_unwritable(attributes, fields, profile, spoken, faults)
    if faults.found:
        raise BadInput("the layer cannot be written as a boundary TXT", faults.found)
    return "".join(f"{line}{profile.line_end}" for line in lines).encode(spoken)


# --- one plot ----------------------------------------------------------------------------------------


def _plot(
    row: int, geometry: shapely.Geometry, fields: dict[str, str], profile: Profile, zone: Zone | None, faults: _Faults
) -> list[str]:
    """The lines of one plot; none, and a fault, where it cannot be written."""
    reason = _unwritable(geometry)
    if reason:
        faults.add(row, *reason)
        return []
    dimension = int(shapely.get_dimensions(geometry))
    shift = 0
    if zone is not None and zone.prefix != profile.zone_prefix:
        shift = zone.number * 10 ** (6 + profile.decimals) * (1 if profile.zone_prefix else -1)
    rings = [[(east + shift, north) for east, north in _rounded(part, profile.decimals)] for part in _parts(geometry)]
    doubled = 0
    if dimension == 2:
        rings = [_north_west_first(ring[:-1]) for ring in rings]
        doubled = -sum(_doubled_area(ring) for ring in rings)  # clockwise counts for less than nothing
    if reason := _spoilt(geometry, rings, dimension, profile.decimals):
        faults.add(row, *reason)
        return []
    points = _points(rings, dimension, profile)
    metres2 = Fraction(doubled, 2 * 100**profile.decimals)
    kind = next(name for name, value in KINDS.items() if value == dimension)
    known = fields | {
        "point_count": str(len(points)),
        "declared_area_ha": _area(metres2, profile.area_unit),
        "geometry_kind": kind,
    }
    return [",".join([*(known.get(column, "") for column in profile.columns), "@"]), *points]


def _unwritable(geometry: shapely.Geometry | None) -> tuple[str, str] | None:
    if geometry is None or geometry.is_empty:
        return "it has no geometry", "Draw it or leave the row out"
    if geometry.geom_type == "GeometryCollection":
        return "it mixes points, lines and areas", "Write each kind as a plot of its own"
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        return "a coordinate is not a finite number", "Correct the coordinates"
    if geometry.has_z:
        return "it has heights, which the format cannot hold", "Drop them first"
    if not geometry.is_valid:
        return f"its geometry is not valid ({shapely.is_valid_reason(geometry)})", "Repair it first"
    return None


def _parts(geometry: shapely.Geometry) -> Iterator[shapely.Geometry]:
    """Rings, lines or points in writing order: each part's outer ring clockwise, then its holes the other way."""
    for part in shapely.get_parts(shapely.orient_polygons(geometry, exterior_cw=True)):
        if part.geom_type == "Polygon":
            yield part.exterior
            yield from part.interiors
        else:
            yield part


def _rounded(part: shapely.Geometry, decimals: int) -> Ring:
    """Coordinates as whole numbers of the last decimal, as printing them would round."""
    return [
        (int(f"{east:.{decimals}f}".replace(".", "")), int(f"{north:.{decimals}f}".replace(".", "")))
        for east, north in shapely.get_coordinates(part).tolist()
    ]


def _north_west_first(ring: Ring) -> Ring:
    """The ring from the point nearest the north-west corner of its box; of equals the northern one."""
    west, north = min(east for east, _ in ring), max(north for _, north in ring)
    first = min(range(len(ring)), key=lambda n: ((ring[n][0] - west) ** 2 + (ring[n][1] - north) ** 2, -ring[n][1]))
    return ring[first:] + ring[:first]


def _doubled_area(ring: Ring) -> int:
    """Twice the signed area, counter-clockwise positive; whole numbers, so nothing is lost.

    >>> _doubled_area([(0, 0), (3, 0), (3, 2), (0, 2)])
    12
    """
    return sum(x * v - u * y for (x, y), (u, v) in zip(ring, ring[1:] + ring[:1], strict=True))


def _spoilt(geometry: shapely.Geometry, rings: list[Ring], dimension: int, decimals: int) -> tuple[str, str] | None:
    """Why the rounded plot is not the plot any more; points that fall together would be a repair nobody asked for."""
    if dimension == 0:
        return None
    step = f"{10.0**-decimals:g} m"
    for ring in rings:
        around = ring + ring[:1] if dimension == 2 else ring
        for (x, y), (u, v) in pairwise(around):
            if (x, y) == (u, v):
                at = f"{x / 10**decimals:.{decimals}f} {y / 10**decimals:.{decimals}f}"
                return f"two points next to each other fall together at {at} when rounded to {step}", "Take one out"
    if dimension == 2:
        east, north = rings[0][0]  # near the origin, where floats hold the rounded points exactly
        shape = _as_polygons(geometry, [[(x - east, y - north) for x, y in ring] for ring in rings])
        if not shape.is_valid:
            return f"it is not valid any more once rounded to {step}", "Widen it where it is that narrow, or repair it"
    return None


def _as_polygons(geometry: shapely.Geometry, rings: list[Ring]) -> shapely.Geometry:
    rest = iter(rings)
    parts = [shapely.Polygon(next(rest), [next(rest) for _ in part.interiors]) for part in shapely.get_parts(geometry)]
    return shapely.MultiPolygon(parts)


def _points(rings: list[Ring], dimension: int, profile: Profile) -> list[str]:
    """点号,圈号,X,Y of every point. The points of a 点 all stand in ring 1."""
    lines, number = [], 0
    for ring_number, ring in enumerate(rings, 1):
        first = number + 1
        for east, north in ring:
            number += 1
            lines.append(_point(number, ring_number if dimension else 1, east, north, profile))
        if dimension == 2 and profile.closed:
            lines.append(_point(first, ring_number, *ring[0], profile))
    return lines


def _point(number: int, ring: int, east: int, north: int, profile: Profile) -> str:
    x, y = _decimal(north, profile.decimals), _decimal(east, profile.decimals)
    return f"J{number},{ring},{x},{y}" if profile.northing_first else f"J{number},{ring},{y},{x}"


def _decimal(value: int, decimals: int) -> str:
    """
    >>> _decimal(3111000000, 3), _decimal(-5, 2)
    ('3111000.000', '-0.05')
    """
    return format(Decimal(value).scaleb(-decimals), "f")


def _area(metres2: Fraction, unit: str) -> str:
    """
    >>> _area(Fraction(12345, 2), "ha"), _area(Fraction(1000), "mu")
    ('0.6173', '1.50')
    """
    places = PLACES[unit]
    return _decimal(math.floor(metres2 / UNITS[unit] * 10**places + Fraction(1, 2)), places)


# --- the layer as a whole ----------------------------------------------------------------------------


def _refuse_outside(frame: gpd.GeoDataFrame, geometries: Geoms, zone: Zone, faults: _Faults) -> None:
    """Ground that does not lie in the zone: its easting would carry a number that is not its own."""
    points, owner = shapely.get_coordinates(geometries, return_index=True)
    finite = np.isfinite(points).all(axis=1)
    lon, lat = to_lonlat(frame.crs).transform(*points[finite].T)
    plain = points[finite, 0] - (zone.number * 1e6 if zone.prefix else 0)
    off = np.abs(lon - zone.meridian_deg) > zone.width_deg / 2 + SLACK_DEG
    off |= ~np.isfinite(lon) | ~((lat >= 0) & (lat < 60)) | (plain < 1e5) | (plain >= 1e6)
    for row in np.unique(owner[finite][off]):
        east, north = points[finite][off & (owner[finite] == row)][0]
        reason = f"its point {east:.3f} {north:.3f} lies outside zone {zone.number} ({zone.meridian_deg}°E)"
        faults.add(int(row), reason, "Check the CRS of the layer, or write it in the zone it lies in")


def _attributes(header: Mapping[str, str], profile: Profile, zone: Zone | None, faults: _Faults) -> dict[str, str]:
    """The lines of [属性描述]: those given, in their order, then what is missing of those that follow."""
    follows = {"坐标系": "2000国家大地坐标系", "投影类型": "高斯克吕格", "计量单位": "米"}
    follows["精度"] = f"{10.0**-profile.decimals:.{profile.decimals}f}"
    follows["转换参数"] = "0,0,0,0,0,0,0"
    if zone is not None:
        follows |= {"几度分带": str(zone.width_deg), "带号": str(zone.number)}
    for key in ("几度分带", "带号", "精度"):
        given = numeric(header[key]) if key in header else None
        if key in header and key in follows and given != float(follows[key]):
            faults.add(None, f"{key}={header[key]} is asked for, but it is {follows[key]}", "Leave it out", key)
    if "坐标系" in header and "2000" not in half_width(header["坐标系"]):
        faults.add(None, f"坐标系={header['坐标系']} is asked for, but it is CGCS2000", "Leave it out", "坐标系")
    return dict(header) | {key: follows[key] for key in ATTRIBUTES if key in follows and key not in header}


def _fields(frame: gpd.GeoDataFrame, profile: Profile, faults: _Faults) -> dict[str, list[str]]:
    """The text of each column a person gives; anything that is not text is refused, for 0101 is not 101."""
    fields: dict[str, list[str]] = {}
    for column in profile.columns:
        if column in COMPUTED or column not in frame:
            continue
        values = ["" if pd.isna(value) else value for value in frame[column]]
        for row, value in enumerate(values):
            if not isinstance(value, str):
                faults.add(row, f"{value!r} is not text", "Give it as text: leading zeros count", column)
        fields[column] = [str(value) for value in values]
    return fields


def _refuse_unwritable(
    attributes: Mapping[str, str], fields: Mapping[str, list[str]], profile: Profile, encoding: str, faults: _Faults
) -> None:
    """Text that the lines of the format, or the encoding, cannot hold."""
    try:
        "".encode(encoding)
    except LookupError:
        faults.add(None, f"{encoding!r} is not an encoding", "Say GBK, GB18030, UTF-8 or UTF-8-SIG")
        encoding = "UTF-8"
    for key, value in attributes.items():
        if any(character in key for character in "=[]【】＝") or not key:
            faults.add(None, f"{key!r} cannot be a key of [属性描述]", "Leave it out", key)
        for reason, fix in (*_unwritable_text(key, "", encoding), *_unwritable_text(value, "", encoding)):
            faults.add(None, reason, fix, key)
    for column, values in fields.items():
        reserved = "@" if column == "plot_name" and profile.names_hold_commas else "@,"
        for row, value in enumerate(values):
            for reason, fix in _unwritable_text(value, reserved, encoding):
                faults.add(row, reason, fix, column)


def _unwritable_text(text: str, reserved: str, encoding: str) -> Iterator[tuple[str, str]]:
    """What of a text cannot be written, and what to do about it."""
    for character in reserved:
        if character in text:
            fix = "Take it out" + (", or use a profile that lets names hold commas" if character == "," else "")
            yield f"{text[:40]!r} holds {character!r}, which separates the header's fields", fix
    if any(unicodedata.category(character) == "Cc" for character in text):
        yield f"{text[:40]!r} holds a line end or another control character", "Take it out"
    if text != text.strip().strip("\ufeff"):
        yield f"{text[:40]!r} begins or ends with a blank, which a reader takes off", "Take it off"
    foreign = sorted({character for character in text if not _encodes(character, encoding)})
    if foreign:
        named = ", ".join(f"{character} (U+{ord(character):04X})" for character in foreign)
        named = named.encode("utf-8", "replace").decode()
        yield f"{encoding} has no character for {named}", "Write the file in UTF-8 or GB18030, or another character"


def _encodes(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
