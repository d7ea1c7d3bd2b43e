"""The registry maps of the Japanese Ministry of Justice (登記所備付地図, 地籍フォーマット XML): parcels as areas.

A map holds points, curves between points and surfaces of curves, each by an id; a parcel (筆) names its surface.
X is north and Y is east, in metres of a plane rectangular zone (公共座標N系) of JGD2011, or in a local system that
nothing is known of (任意座標系).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # what is parsed declares no entity: see _refuse_declarations
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import PurePath

import numpy as np
import pandas as pd
import shapely

from layers.errors import BadInput, Fault
from layers.records import Geoms, RawLayer

MAP = "{http://www.moj.go.jp/MINJI/tizuxml}"
DRAWING = "{http://www.moj.go.jp/MINJI/tizuzumen}"
ZONES = range(1, 20)
EPSG_BEFORE_ZONE_1 = 6668  # JGD2011 / Japan Plane Rectangular CS I is 6669, XIX is 6687
HEADER = ("地図名", "市区町村コード", "市区町村名", "座標系", "測地系判別")
PLACE = ("大字コード", "丁目コード", "小字コード", "予備コード", "大字名", "丁目名", "小字名", "予備名")
PARCEL = (*PLACE, "地番", "精度区分", "座標値種別", "筆界未定構成筆")

Point = tuple[float, float]


def read(data: bytes, *, name: str, encoding: str | None = None) -> RawLayer:
    """The parcels of one registry map, (easting, northing) in metres.

    Columns are the map's own: `筆ID`, the codes and names of the place, `地番`, and what is said of its accuracy,
    null where a parcel does not carry one. `crs` is None for 任意座標系, with a note. A parcel whose surface cannot
    be put together has no geometry and a note.

    Raises BadInput where the bytes are no such map, or declare a document type or entities.
    """
    _refuse_declarations(data, name)
    try:
        root = ET.fromstring(data, ET.XMLParser(encoding=encoding))  # noqa: S314 (no declarations, no entities)
    except (ET.ParseError, LookupError, ValueError) as error:
        fix = "Copy the file again; a registry map is XML in UTF-8"
        raise BadInput(f"{name} is not XML that can be read", [Fault(str(error), fix, file=name)]) from error
    if root.tag != f"{MAP}地図":
        fix = "Send a registry map (登記所備付地図データ, 地籍フォーマット)"
        raise BadInput(f"{name} is not a registry map", [Fault(f"its root is {root.tag[:80]}", fix, file=name)])
    notes: list[Fault] = []
    curves = _curves(root)
    said = {key: text for key in HEADER if (text := root.findtext(f"{MAP}{key}"))}
    surfaces = {surface.get("id"): surface for surface in root.iter(f"{DRAWING}GM_Surface")}
    rows, shapes = [], []
    for parcel in root.iter(f"{MAP}筆"):
        row = {"筆ID": parcel.get("id")} | {key: parcel.findtext(f"{MAP}{key}") for key in PARCEL}
        rows.append(row)
        try:
            shapes.append(_area(surfaces[_idref(parcel.find(f"{MAP}形状"))], curves))
        except (KeyError, ValueError) as error:
            shapes.append(None)
            reason = f"its surface cannot be put together: {str(error)[:120]} does not fit"
            fix = "Ask the registry for the map again"
            notes.append(Fault(reason, fix, file=name, feature=f"{row['筆ID']} {row['地番']}"))
    table = pd.DataFrame(rows, columns=["筆ID", *PARCEL], dtype=object).dropna(axis=1, how="all")
    geometries: Geoms = np.array([*shapes, None], dtype=object)[:-1]
    found = {"format": "MOJ registry map", "layer": PurePath(name).stem, **said}
    return RawLayer(table, geometries, _crs(said, name, notes), found, tuple(notes))


def _refuse_declarations(data: bytes, name: str) -> None:
    """A document type may name entities that grow without end or read other files; a registry map has none.

    Only bytes in which `<!DOCTYPE` would be seen are let through: UTF-16 and its kin are not.
    """
    if b"\0" in data or re.search(rb"<!\s*(DOCTYPE|ENTITY)", data, re.IGNORECASE):
        fix = "Send the map as the registry publishes it, in UTF-8 and without a document type"
        raise BadInput(f"{name} is refused", [Fault("it declares a document type or is not UTF-8", fix, file=name)])


def _crs(said: Mapping[str, str], name: str, notes: list[Fault]) -> str | None:
    """EPSG code of 公共座標N系; None and a note for a local system, or where the datum is not said.

    Maps surveyed on the Tokyo datum of before 2002 lie some 400 m off; 測地系判別 says that one was not (測量) or was
    brought over (変換).
    """
    system = said.get("座標系", "")
    zone = re.fullmatch(r"公共座標(\d{1,2})系", system)
    if zone is None or int(zone[1]) not in ZONES:
        reason, fix = f"座標系 is {system or 'not said'}: where the map lies is not known", "if the registry knows"
    elif said.get("測地系判別") not in ("測量", "変換"):
        reason = f"測地系判別 is {said.get('測地系判別', 'not said')}: the datum of the map is not known"
        fix = f"EPSG:{EPSG_BEFORE_ZONE_1 + int(zone[1])} if it is JGD2011"
    else:
        return f"EPSG:{EPSG_BEFORE_ZONE_1 + int(zone[1])}"
    notes.append(Fault(reason, f"Say which grid it is with --crs, {fix}", file=name, field="座標系"))
    return None


def _idref(element: ET.Element | None) -> str:
    if element is None or "idref" not in element.attrib:
        raise ValueError("a reference that is missing")
    return element.attrib["idref"]


def _position(element: ET.Element | None) -> Point:
    """(easting, northing) of an element that holds X (north) and Y (east)."""
    north, east = (element.findtext(f"{DRAWING}{axis}") if element is not None else None for axis in "XY")
    if north is None or east is None:
        raise ValueError("a position without X and Y")
    return float(east), float(north)


def _curves(root: ET.Element) -> dict[str, list[Point]]:
    """The points of every curve by its id; a curve that cannot be read is left out and missed by its parcels."""
    points: dict[str, Point] = {}
    for point in root.iter(f"{DRAWING}GM_Point"):
        with suppress(ValueError):
            points[point.get("id", "")] = _position(point.find(f".//{DRAWING}DirectPosition"))
    curves: dict[str, list[Point]] = {}
    for curve in root.iter(f"{DRAWING}GM_Curve"):
        with suppress(ValueError, KeyError):
            columns = curve.iter(f"{DRAWING}GM_PointArray.column")
            curves[curve.get("id", "")] = [_control_point(column, points) for column in columns]
    return curves


def _control_point(column: ET.Element, points: Mapping[str, Point]) -> Point:
    """A point of a curve: written out, or one of the map's points by its id."""
    direct = column.find(f"{DRAWING}GM_Position.direct")
    if direct is not None:
        return _position(direct)
    return points[_idref(column.find(f".//{DRAWING}GM_PointRef.point"))]


def _area(surface: ET.Element, curves: dict[str, list[Point]]) -> shapely.Geometry:
    """A surface as an area: each ring the chain of its curves, whichever way each of them is drawn."""
    patches = []
    for boundary in surface.iter(f"{DRAWING}GM_SurfaceBoundary"):
        outer = boundary.find(f"{DRAWING}GM_SurfaceBoundary.exterior")
        inner = boundary.findall(f"{DRAWING}GM_SurfaceBoundary.interior")
        if outer is None:
            raise ValueError("a boundary without an exterior")
        rings = [
            _chain(curves[_idref(curve)] for curve in ring.iter(f"{DRAWING}GM_CompositeCurve.generator"))
            for side in (outer, *inner)
            for ring in side.iter(f"{DRAWING}GM_Ring")
        ]
        patches.append(shapely.Polygon(rings[0], rings[1:]))
    if not patches:
        raise ValueError("a surface without a boundary")
    return patches[0] if len(patches) == 1 else shapely.MultiPolygon(patches)


def _chain(curves: Iterable[list[Point]]) -> list[Point]:
    """Curves end to end, each turned round where that is how it meets the one before.

    >>> _chain([[(0, 0), (1, 0)], [(1, 1), (1, 0)], [(1, 1), (0, 0)]])
    [(0, 0), (1, 0), (1, 1), (0, 0)]
    """
    chain: list[Point] = []
    for number, curve in enumerate(curves):
        if number == 1 and chain[-1] not in (curve[0], curve[-1]):
            chain.reverse()  # the first was drawn against the second
        if chain and curve[0] != chain[-1]:
            curve = curve[::-1]  # noqa: PLW2901
        if chain and curve[0] != chain[-1]:
            raise ValueError("curves that do not meet")
        chain += curve[1:] if chain else curve
    if len(chain) < 4 or chain[0] != chain[-1]:
        raise ValueError("a ring that is not closed")
    return chain
