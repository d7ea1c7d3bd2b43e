"""A boundary TXT as one layer: its plots in file order, its CRS by the zone, every oddity noted, nothing repaired."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pandas as pd
import shapely

from layers.crs import SHIFTLESS
from layers.errors import BadInput, Fault, NeedCrs
from layers.formats.boundary_txt import quality, rings
from layers.formats.boundary_txt.parsing import Document, Plot, half_width, numeric, parse
from layers.formats.boundary_txt.profile import KINDS, NUMBERS, PROFILES, STANDARD, UNITS, Profile, Zone
from layers.records import Bools, Floats, Geoms, RawLayer

XIAN, BEIJING = SHIFTLESS.values()
PREFIXED = (13e6, 46e6)  # eastings with the zone in front: 8 digits
NORTHING = (0.0, 1e7)
PLAIN = (1e5, 1e6)  # eastings without: 6 digits
MAX_NOTES = 10_000  # past that they are counted
AREA_SLACK_HA, AREA_SLACK_SHARE = 0.0001, 0.001


def read(data: bytes, *, name: str, encoding: str | None = None, profile: Profile | None = None) -> RawLayer:
    """One layer from the bytes of a boundary TXT.

    Parameters
    ----------
    data : the file
    name : what to call it in messages
    encoding : what the file is written in; without it BOM, then strict UTF-8, then GB18030
    profile : the habits of the office that wrote it; without it 8 header columns, 13 of land consolidation, or 8 and
        `extra_1`, `extra_2`, ...

    Returns
    -------
    RawLayer with a row for every plot, two of the same header included. Coordinates are (easting, northing) in metres
    as the file has them; `crs` None where the file does not say what is needed. A plot that cannot be read
    has no geometry and a note that says why; so has everything that looks odd, which is left as it is.

    Raises BadInput with every fault where the file as a whole cannot be read: no plot in it, axes swapped, several
    zones; NeedCrs where it is in 西安80 or 北京54, whose shift to CGCS2000 nobody can guess.
    """
    document = parse(data, name, encoding, profile)
    if not document.plots:
        fix = "Send a boundary file (国土 TXT): 点号,圈号,X,Y lines under a header that ends in ,@"
        raise BadInput(f"{name} holds no plot", [*document.notes, Fault("no header line ends in @", fix, file=name)])
    north_first = profile is None or profile.northing_first
    zone, refused = _zone(document, north_first)
    refused = _old_datum(document) + refused
    if refused:
        old = any("seven" in fault.reason for fault in refused)
        unusable = [fault for plot in document.plots for fault in plot.unreadable]
        raise (NeedCrs if old else BadInput)(f"{name} cannot be read as it is", _told([*refused, *unusable], name))
    crs = _crs(document, zone)
    built = [rings.build(document, plot, north_first) for plot in document.plots]
    geometries: Geoms = np.array([*(one.geometry for one in built), None], dtype=object)[:-1]
    table = _table(document, profile or STANDARD)
    notes = [
        *(fault for plot in document.plots for fault in plot.unreadable),
        *document.notes,
        *_counts(document, table, geometries),
        *_areas(document, table, geometries, profile or STANDARD),
        *quality.look(document, built, geometries),
    ]
    found = {
        "format": "boundary TXT",
        "layer": PurePath(name).stem,
        "encoding": document.encoding,
        "line_end": "CRLF" if document.line_end == "\r\n" else "LF",
        "profile": document.profile,
        "decimals": str(document.decimals),
        "zone_prefix": "yes" if zone and zone.prefix else "no",
        "closed": "yes" if any(one.closed for one in built) else "no",
        "header": "\n".join(f"{key}={value}" for key, value in document.attributes.items()),
    }
    return RawLayer(table, geometries, crs, found, tuple(_told(notes, name)))


def _told(faults: list[Fault], file: str) -> list[Fault]:
    """The first MAX_NOTES faults, and how many more there are."""
    more = len(faults) - MAX_NOTES
    said = [Fault(f"{more:,} more places look odd", "Correct those named first, then read the file again", file=file)]
    return faults[:MAX_NOTES] + said if more > 0 else faults


def as_read(raw: RawLayer) -> tuple[Profile, dict[str, str]]:
    """The profile and the [属性描述] by which `write` gives back a strictly written file byte for byte."""
    found = raw.found
    profile = replace(
        PROFILES.get(found["profile"], STANDARD),
        columns=tuple(raw.table.columns),
        closed=found["closed"] == "yes",
        zone_prefix=found["zone_prefix"] == "yes",
        decimals=min(6, int(found["decimals"])),
        encoding=found["encoding"],
        line_end="\r\n" if found["line_end"] == "CRLF" else "\n",
    )
    pairs = (line.partition("=") for line in found["header"].splitlines())
    return profile, {key: value for key, _, value in pairs}


# --- where the coordinates are -----------------------------------------------------------------------


def _zone(document: Document, north_first: bool) -> tuple[Zone | None, list[Fault]]:
    """The zone all plots lie in, as their digits say it; number 0 where the eastings carry none.

    Faults for the whole file: northing and easting change places, or plots lie in different zones. A plot whose
    own points disagree is made unreadable instead.
    """
    zones: dict[Zone, Plot] = {}
    swapped: list[tuple[Plot, int]] = []
    right = 0
    for plot in document.plots:
        one, other = np.array(plot.first), np.array(plot.second)
        north, east = (one, other) if north_first else (other, one)
        prefixed = _within(north, NORTHING) & _within(east, PREFIXED)
        plain = _within(north, NORTHING) & _within(east, PLAIN)
        turned = (_within(east, NORTHING) & _within(north, PREFIXED)) | (
            _within(east, (1e6, 1e7)) & _within(north, PLAIN)
        )
        number = np.where(prefixed, east // 1e6, 0).astype(int)
        known = plain | (prefixed & np.isin(number, list(NUMBERS)))
        swapped += [(plot, plot.lines[row]) for row in np.flatnonzero(turned)]
        right += int(known.sum())
        for row in np.flatnonzero(~known & ~turned):
            reason = f"{plot.first[row]:.3f}, {plot.second[row]:.3f} is no point of a Gauss-Krüger grid in metres"
            fix = "Give a northing of 7 digits, then an easting of 8 with the zone or 6 without"
            plot.unreadable.append(document.fault(reason, fix, plot, plot.lines[row], plot.numbers[row]))
        said = {Zone(int(n), bool(p)) for n, p in zip(number[known], prefixed[known], strict=True)}
        if len(said) > 1:
            reason = f"its points lie in several zones ({_listed(said)})"
            plot.unreadable.append(document.fault(reason, "Correct the zone prefix of the points", plot, plot.line))
        elif said:
            zones.setdefault(said.pop(), plot)
    if swapped and not right:
        plot, line = swapped[0]
        reason = f"the axes are swapped: easting stands where northing belongs, in all {len(swapped)} points"
        fix = "Export it again with northing (X) first, or read it with a profile whose northing_first is false"
        return None, [document.fault(reason, fix, plot, line)]
    for plot, line in swapped:
        plot.unreadable.append(
            document.fault("northing and easting are swapped here", "Write northing first", plot, line)
        )
    if len(zones) > 1:
        reason = f"its plots lie in several zones ({_listed(zones)})"
        fix = "Send one file for each zone"
        return None, [document.fault(reason, fix, plot, plot.line) for plot in list(zones.values())[1:]]
    return next(iter(zones), None), []


def _listed(zones: Iterable[Zone]) -> str:
    return ", ".join(sorted(str(zone.number) if zone.prefix else "no prefix" for zone in zones))


def _within(values: Floats, span: tuple[float, float]) -> Bools:
    return (values >= span[0]) & (values < span[1])


# The whole name, in the ways offices write it: a 2000 somewhere in a name says nothing of the datum.
CGCS2000 = (
    r"^(?=.*2000)(cgcs[ _-]?2000)?(中国|国家)?(2000)?(中国|国家)?(大地)?(坐标系统?)?"
    r"(\(?(cgcs[ _-]?2000|2000)\)?)?(坐标系统?)?$|^china geodetic coordinate system 2000$"
)


def _old_datum(document: Document) -> list[Fault]:
    said = half_width(document.attributes.get("坐标系", "")).lower()
    name = XIAN if re.search("西安|xi.?an|1980", said) else BEIJING if re.search("北京|beijing|1954", said) else None
    if name is None:  # a 2000 beside it may be a year, or what it was to become
        return []
    reason = (
        f"{name} coordinates are refused: 坐标系={said} has no shift to CGCS2000 without the seven local parameters"
    )
    if any(numeric(part) for part in document.attributes.get("转换参数", "").split(",")):
        reason += "; 转换参数 gives numbers, but neither their direction nor their units"
    fix = "Ask the survey office for the file in CGCS2000 (2000国家大地坐标系)"
    return [Fault(reason, fix, file=document.file, field="坐标系")]


def _crs(document: Document, zone: Zone | None) -> str | None:
    """EPSG code of the grid; None, and a note that says what is missing, where the file does not say enough."""
    attributes = document.attributes
    if zone is None:
        return None
    said, width = numeric(attributes.get("带号", "")), numeric(attributes.get("几度分带", ""))
    if zone.prefix:
        reason = f"带号={said:g} contradicts the eastings" if said is not None and said != zone.number else None
    elif said not in NUMBERS:
        reason = "the eastings have no zone prefix and 带号 does not name a zone"
        fix = "Say which grid it is with --crs, for example --crs EPSG:4545"
        document.notes.append(Fault(reason, fix, file=document.file, field="带号"))
        return None
    else:
        zone, reason = Zone(int(said), False), None
    if reason:
        fix = f"Zone {zone.number} of the eastings counts (EPSG:{zone.epsg}); correct 带号"
        document.notes.append(Fault(reason, fix, file=document.file, field="带号"))
    if width not in (None, zone.width_deg):
        reason, fix = f"几度分带={width:g}, but zone {zone.number} is a {zone.width_deg}° zone", "The zone counts"
        document.notes.append(Fault(reason, f"{fix} (EPSG:{zone.epsg}); correct 几度分带", document.file))
    unsaid = [
        Fault(
            f"{key}={attributes[key]}" if key in attributes else f"the file does not say its {key}",
            f"If it is {wanted}, say --crs EPSG:{zone.epsg}",
            file=document.file,
            field=key,
        )
        for key, pattern, wanted, needed in (
            ("坐标系", CGCS2000, "CGCS2000 (2000国家大地坐标系)", True),
            ("投影类型", "高斯|gauss", "高斯克吕格", False),
            ("计量单位", "^(米|m|metre|meter)$", "in metres", False),
        )
        if (attributes.get(key) or needed)
        and not re.search(pattern, half_width(attributes.get(key, "")).strip().lower())
    ]
    document.notes += unsaid
    return None if unsaid else f"EPSG:{zone.epsg}"


# --- what the header says ----------------------------------------------------------------------------


def _table(document: Document, profile: Profile) -> pd.DataFrame:
    """The header fields under our names; null where a field is blank or is no number."""
    columns: dict[str, list[object]] = {
        column: [plot.fields.get(column) or None for plot in document.plots] for column in document.columns
    }
    table = pd.DataFrame(columns, dtype=object)
    sizes = {"declared_area_ha": float(UNITS[profile.area_unit] / UNITS["ha"]), "point_count": 1.0}
    for column, size in sizes.items():
        if column in table:
            read = table[column].map(lambda text: np.nan if text is None else numeric(text)).astype(float)
            for row in np.flatnonzero(read.isna() & table[column].notna()):
                plot = document.plots[row]
                reason = f"{table[column][row]!r} is not a number"
                document.notes.append(document.fault(reason, f"Correct {column}", plot, plot.line))
            table[column] = read * size if size != 1.0 else read
    if "point_count" in table:
        whole = table["point_count"].notna().all() and (table["point_count"] % 1 == 0).all()
        table["point_count"] = table["point_count"].astype(int) if whole else table["point_count"]
    return table


def _counts(document: Document, table: pd.DataFrame, geometries: Geoms) -> list[Fault]:
    """界址点数 against the points there are, the repeated last point of a ring counted or not."""
    if "point_count" not in table:
        return []
    notes = []
    for row, (plot, said) in enumerate(zip(document.plots, table["point_count"].tolist(), strict=True)):
        if geometries[row] is None or said == len(plot.lines):
            continue
        if said != len(plot.lines) - rings.repeated(plot):
            reason = f"界址点数 says {plot.fields.get('point_count')}, but {len(plot.lines)} points follow"
            fix = "See whether points are missing; the points of the file were taken"
            notes.append(document.fault(reason, fix, plot, plot.line))
    return notes


def _areas(document: Document, table: pd.DataFrame, geometries: Geoms, profile: Profile) -> list[Fault]:
    """地块面积 against the plane area of the coordinates, with a guess at the unit that would explain it."""
    if "declared_area_ha" not in table:
        return []
    notes = []
    declared_ha, measured_m2 = table["declared_area_ha"].tolist(), shapely.area(geometries)
    valid = shapely.is_valid(geometries)
    for row, plot in enumerate(document.plots):
        kind = plot.fields.get("geometry_kind") or "面"
        if not valid[row] or KINDS.get(kind) != 2:
            continue
        said_ha, really_ha = declared_ha[row], float(measured_m2[row]) / 1e4
        if abs(said_ha - really_ha) <= AREA_SLACK_HA + AREA_SLACK_SHARE * really_ha:
            continue
        written = said_ha / float(UNITS[profile.area_unit] / UNITS["ha"])
        units = [
            unit
            for unit, size in UNITS.items()
            if abs(written * float(size) - measured_m2[row]) <= AREA_SLACK_SHARE * measured_m2[row] + 1
        ]
        reason = f"地块面积 says {plot.fields.get('declared_area_ha') or 'nothing'}"
        reason += f", the coordinates give {really_ha:.4f} ha"
        guess = f"It looks like {units[0]}: read it with a profile whose area_unit is {units[0]}" if units else ""
        notes.append(document.fault(reason, guess or "See which of the two is right", plot, plot.line))
    return notes
