"""Coordinate reference systems: which one a file is really in, and the way to the county's own.

Axis order is east, north everywhere inside (`always_xy`): CGCS2000 codes officially say north first.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from layers.cores import blockwise
from layers.errors import BadInput, Fault, NeedCrs
from layers.records import Bools, Bounds, Floats, Geoms

LONLAT = "OGC:CRS84"
# Ellipsoids of the two old Chinese datums. PROJ shifts them to CGCS2000 by nothing at all, without a word,
# which puts a boundary tens to more than a hundred metres off.
SHIFTLESS = {6378140.0: "西安80 (Xian 1980)", 6378245.0: "北京54 (Beijing 1954)"}
PLAIN_UNITS = ("degree", "unity")
WAYS = Lock()
KNOWN: dict[tuple[int, int], tuple[CRS, CRS, Way]] = {}
SAFE: dict[int, tuple[CRS, Bounds]] = {}
MOST_KNOWN = 256
MANY = 20_000  # points that are worth a transformation of the thread's own


def parse(text: str, file: str | None = None) -> CRS:
    """A CRS from what an operator types (`EPSG:4545`) or a file says (WKT).

    A shift to WGS 84 by seven zeros (`TOWGS84[0,0,0,0,0,0,0]`) is how old files say nothing; it is taken off.
    """
    try:
        crs = CRS.from_user_input(text)
        operation = crs.coordinate_operation
        if crs.is_bound and crs.source_crs is not None and operation is not None and not any(operation.towgs84):
            return crs.source_crs
        return crs
    except CRSError as error:
        raise BadInput(
            f"{text[:80]!r} is not a coordinate reference system",
            [Fault("PROJ does not know this CRS", "Write it as EPSG:4545, or give its WKT", file=file)],
        ) from error


def working(text: str) -> CRS:
    """The CRS a county keeps its ground in: projected, metres, and with a datum that can be reached."""
    crs = parse(text)
    metres = crs.is_projected and all(axis.unit_conversion_factor == 1.0 for axis in crs.axis_info[:2])
    if not metres:
        raise BadInput(
            f"{crs.name} cannot be a county's working CRS",
            [Fault("areas and distances need a projected CRS in metres", "Use for example EPSG:4545")],
        )
    refuse_shiftless(crs)
    return crs


def refuse_shiftless(crs: CRS, file: str | None = None, layer: str | None = None) -> None:
    """Raise for 西安80 and 北京54, whose shift to CGCS2000 PROJ silently takes for zero."""
    axis_m = crs.ellipsoid.semi_major_metre if crs.ellipsoid else None
    name = SHIFTLESS.get(round(axis_m, 1)) if axis_m else None
    if name:
        raise BadInput(
            f"{name} coordinates are refused",
            [
                Fault(
                    f"{crs.name} has no shift to CGCS2000 without the seven local parameters",
                    "Ask the survey office for the file in CGCS2000 (EPSG:4545 or EPSG:4524)",
                    file=file,
                    layer=layer,
                )
            ],
        )


def of_file(found: str | None, given: str | None, file: str, layer: str | None) -> CRS:
    """The CRS of a file: what the operator says, else what the file says; never a guess."""
    crs = parse(given, file) if given else parse(found, file) if found else None
    if crs is None or (given is None and crs.name.lower().startswith("undefined")):
        says = f"it says {crs.name!r}, which is none" if crs is not None else "it has none"
        raise NeedCrs(
            "the file has no coordinate reference system",
            [Fault(says, "Say which it is with --crs, for example --crs EPSG:4545", file=file, layer=layer)],
        )
    if not (crs.is_geographic or crs.is_projected):
        raise NeedCrs(
            f"{crs.name} is not a reference system for a map",
            [Fault(f"it is a {crs.type_name}", "Say with --crs which one it is", file=file, layer=layer)],
        )
    refuse_shiftless(crs, file, layer)
    refuse_contradiction(crs, file, layer)
    return crs


def refuse_contradiction(crs: CRS, file: str, layer: str | None) -> None:
    """Raise where a CRS carries an EPSG code whose unit is not the unit it describes itself with."""
    authority = crs.to_authority(min_confidence=20)
    code = crs.to_json_dict().get("id", {}).get("code") or (authority[1] if authority else None)
    if code is None:
        return
    try:
        registered = CRS.from_epsg(code)
    except CRSError:
        return
    units = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    official = [axis.unit_conversion_factor for axis in registered.axis_info[:2]]
    if crs.is_projected and not np.allclose(units, official, rtol=1e-9):
        raise NeedCrs(
            "the file's CRS contradicts itself",
            [
                Fault(
                    f"it is tagged EPSG:{code}, whose unit is {registered.axis_info[0].unit_name}, "
                    f"but describes itself in {crs.axis_info[0].unit_name}",
                    "Find out which it is and say so with --crs",
                    file=file,
                    layer=layer,
                )
            ],
        )


def refuse_twin(source: CRS, target: CRS, file: str, layer: str | None) -> None:
    """Raise where a file claims the county's very grid on another datum: one of the two tags is a slip.

    The grid of EPSG:4545 exists on three Chinese datums; a wrong tag moves a boundary and nothing looks odd.
    """
    if source.datum is None or target.datum is None:
        return
    unnamed = source.datum.name.lower().startswith("unknown")
    named_alike = _bare(source.datum.name) == _bare(target.datum.name)
    if _grid(source) == _grid(target) is not None and not unnamed and not named_alike:
        raise NeedCrs(
            "the file's CRS is the county's own grid on another datum",
            [
                Fault(
                    f"it is tagged {source.name} (datum {source.datum.name}); the county works in {target.name}",
                    "Find out which datum it is on and say so with --crs",
                    file=file,
                    layer=layer,
                )
            ],
        )


def same_code(one: CRS, other: CRS) -> bool:
    """Whether two definitions stand for the same registered CRS, however each is written down."""
    return one == other or one.to_epsg(min_confidence=70) == other.to_epsg(min_confidence=70) is not None


def _grid(crs: CRS) -> list[tuple[str, float]] | None:
    """The numbers of a projection, in metres and degrees, so that a grid in feet is seen to be the same grid."""
    operation = crs.coordinate_operation
    if not crs.is_projected or operation is None:
        return None
    return [
        (
            p.name,
            round(float(p.value), 7)
            if p.unit_name.lower() in PLAIN_UNITS
            else round(float(p.value) * p.unit_conversion_factor, 3),
        )
        for p in operation.params
    ]


def _bare(datum: str) -> str:
    """A datum's name as every notation of it agrees on."""
    return datum.lower().replace(" ensemble", "").replace("_", " ").strip()


def refuse_misplaced(crs: CRS, bounds: Bounds, file: str, layer: str | None) -> None:
    """Raise where the coordinates cannot be in the CRS the file names: swapped axes, wrong zone, wrong unit."""
    if _plausible(crs, bounds):
        return
    west, south, east, north = bounds
    swapped = _plausible(crs, (south, west, north, east))
    reason = (
        "the axes are swapped: northing stands where easting belongs"
        if swapped
        else f"its coordinates ({west:.6g}, {south:.6g}) to ({east:.6g}, {north:.6g}) do not lie where "
        f"{crs.name} is used"
    )
    fix = (
        "Export it again with easting (or longitude) first"
        if swapped
        else "Check the zone prefix and the unit, then say the right CRS with --crs"
    )
    raise BadInput("the coordinates do not fit the CRS", [Fault(reason, fix, file=file, layer=layer)])


def lost(crs: CRS, geometries: Geoms) -> Bools:
    """(N,) whether a corner of each geometry's box is nowhere on earth: a slip of one vertex, or of the whole file.

    >>> lost(CRS(4545), np.array([shapely.Point(564900, 3110800), shapely.Point(1e300, 3110800), None])).tolist()
    [False, True, False]
    """
    west, south, east, north = shapely.bounds(geometries).T
    off = _off_earth(crs, np.concatenate([west, east]), np.concatenate([south, north])).reshape(2, -1)
    corners: Bools = off.any(axis=0) & ~np.isnan(west)
    return corners


def _off_earth(crs: CRS, x: Floats, y: Floats) -> Bools:
    lon, lat = to_lonlat(crs).transform(x, y)
    off: Bools = ~((np.abs(lon) <= 360) & (np.abs(lat) <= 90))
    return off


def _plausible(crs: CRS, bounds: Bounds) -> bool:
    """Whether a box may lie where the CRS is used. What lies within a box that does is not asked again."""
    west, south, east, north = bounds
    known = SAFE.get(id(crs))
    if known is not None and known[0] is crs:
        box = known[1]
        if box[0] <= west <= east <= box[2] and box[1] <= south <= north <= box[3]:
            return True
    if not _lies(crs, bounds):
        return False
    wide = 0.5 if crs.is_geographic else 50_000.0  # the next site of the county will be near
    around = (west - wide, south - wide, east + wide, north + wide)
    if west <= east and south <= north and _lies(crs, around):
        if len(SAFE) >= MOST_KNOWN:
            SAFE.clear()
        SAFE[id(crs)] = crs, around
    return True


def _lies(crs: CRS, bounds: Bounds) -> bool:
    lonlat = np.array(to_lonlat(crs).transform_bounds(*bounds))
    if not np.isfinite(lonlat).all() or (np.abs(lonlat[[1, 3]]) > 90).any() or (np.abs(lonlat) > 360).any():
        return False
    area = crs.area_of_use
    if area is None:
        return True
    slack = 1.0  # a county at the seam of two zones is drawn in one of them; a wrong zone is farther off
    west, south, east, north = lonlat
    beside = west > area.east + slack or east < area.west - slack
    return not (south > area.north + slack or north < area.south - slack or (beside and area.west < area.east))


class Way:
    """From one CRS to another.

    PROJ builds a transformation anew in each thread, which takes a sixth of a second: few points are moved by one
    thread of the process, and only many by the thread that asks.
    """

    def __init__(self, source: CRS, target: CRS) -> None:
        self._ends = source, target
        self._making = Lock()

    @cached_property
    def stays(self) -> bool:
        """Whether both ends are one CRS."""
        source, target = self._ends
        return bool(source == target)

    @cached_property
    def _made(self) -> Transformer:
        return Transformer.from_crs(*self._ends, always_xy=True)

    @property
    def _transformer(self) -> Transformer:
        with self._making:  # made by whoever moves first
            return self._made

    def transform(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Coordinates in (east, north) or (lon, lat) order, moved; infinite where PROJ cannot follow."""
        if np.size(x) > MANY:
            moved = self._transformer.transform(x, y)
        else:
            moved = _mover(os.getpid()).submit(lambda: self._transformer.transform(x, y)).result()
        east, north = moved
        return east, north

    def transform_bounds(self, west: float, south: float, east: float, north: float) -> tuple[float, ...]:
        here = west, south, east, north
        return _mover(os.getpid()).submit(lambda: self._transformer.transform_bounds(*here)).result()


@lru_cache(maxsize=1)
def _mover(process: int) -> ThreadPoolExecutor:
    """The thread that moves points in a process; a forked one has none of its parent's."""
    return ThreadPoolExecutor(1, "crs")


def between(source: CRS, target: CRS) -> Way:
    """Found by which two objects they are: to compare two definitions costs more than to move a boundary."""
    ends = id(source), id(target)
    known = KNOWN.get(ends)
    if known is not None:
        return known[2]
    with WAYS:  # many who ask at once share one
        way = _between(source, target)
        if len(KNOWN) >= MOST_KNOWN:
            KNOWN.clear()
        KNOWN[ends] = source, target, way  # holding both: their numbers are not given away while they are here
        return way


@lru_cache(maxsize=64)
def _between(source: CRS, target: CRS) -> Way:
    return Way(source, target)


def to_lonlat(crs: CRS) -> Way:
    return between(crs, parse_cached(LONLAT))


@lru_cache(maxsize=64)
def parse_cached(text: str) -> CRS:
    return parse(text)


def transform(geometries: Geoms, source: CRS, target: CRS) -> Geoms:
    """Geometries moved from one CRS to another; (N,) in, (N,) out, infinite where PROJ cannot follow."""
    to = between(source, target)
    if to.stays:
        return geometries
    moved: list[Geoms] = blockwise(lambda block: shapely.transform(block, to.transform, interleaved=False), geometries)
    return np.concatenate([np.empty(0, dtype=object), *moved])


def transform_lost(geometries: Geoms, source: CRS, target: CRS) -> Geoms:
    """The same for geometries that are `lost`: infinite at the very vertices that are nowhere on earth."""

    def move(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        off = _off_earth(source, x, y)
        east, north = between(source, target).transform(x, y)
        return np.where(off, np.inf, east), np.where(off, np.inf, north)

    moved: Geoms = shapely.transform(geometries, move, interleaved=False)
    return moved
