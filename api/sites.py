"""A site as people send it, and the ground it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

import numpy as np
import shapely
from pydantic import ConfigDict, Field, model_validator
from pyproj import CRS

from layers.crs import LONLAT, parse_cached, refuse_misplaced, refuse_shiftless, transform
from layers.errors import BadInput, Fault, TooLarge, UnknownName
from layers.fabric import why_not
from layers.records import Geoms, Part, Site, Strict
from layers.store import Store

Position = Annotated[list[float], Field(min_length=2, max_length=3)]
Ring = Annotated[list[Position], Field(min_length=4)]


class Polygon(Strict):
    """RFC 7946 Polygon."""

    type: Literal["Polygon"]
    coordinates: Annotated[list[Ring], Field(min_length=1)]
    bbox: list[float] | None = None


class MultiPolygon(Strict):
    """RFC 7946 MultiPolygon."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Annotated[list[Ring], Field(min_length=1)]], Field(min_length=1)]
    bbox: list[float] | None = None


Geometry = Annotated[Polygon | MultiPolygon, Field(discriminator="type")]
Crs = Annotated[str, Field(pattern=r"^(EPSG:\d{4,6}|OGC:CRS84)$", examples=["EPSG:4545"])]


class PartIn(Strict):
    """A registered parcel, a plot, plain ground, or the part of a parcel or plot that the geometry names."""

    parcel: str | None = None
    plot: str | None = None
    geometry: Geometry | None = None

    @model_validator(mode="after")
    def _says_something(self) -> PartIn:
        if self.parcel is None and self.plot is None and self.geometry is None:
            raise ValueError("a part needs a parcel, a plot or a geometry")
        if self.parcel is not None and self.plot is not None:
            raise ValueError("a part is of a parcel or of a plot, not of both")
        return self


class SiteIn(Strict):
    """Exactly one of `parcels`, `geometry`, `parts`, `upload` (the id of a `POST /uploads`).

    Coordinates are lon/lat unless `crs` says otherwise.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"parcels": ["520625001001GB00001"]}]}, extra="forbid", frozen=True
    )

    parcels: Annotated[list[str], Field(min_length=1, max_length=500)] | None = None
    geometry: Geometry | None = None
    parts: Annotated[list[PartIn], Field(min_length=1, max_length=500)] | None = None
    upload: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    crs: Crs | None = None

    @model_validator(mode="after")
    def _one_of(self) -> SiteIn:
        if sum(given is not None for given in (self.parcels, self.geometry, self.parts, self.upload)) != 1:
            raise ValueError("give exactly one of parcels, geometry, parts and upload")
        return self

    def as_parts(self) -> list[PartIn]:
        if self.parcels is not None:
            return [PartIn(parcel=name) for name in self.parcels]
        return self.parts if self.parts is not None else [PartIn(geometry=self.geometry)]


def resolve(
    asked: Sequence[SiteIn], store: Store, max_vertices: int, max_km2: float, as_of: date | None = None
) -> list[Site]:
    """The ground of each site in the working CRS, parcels and plots as they stood on a day (default: as they stand).

    BadInput or UnknownName with every fault of all of them.
    """
    drawn = [part for one in asked if one.upload is None for part in one.as_parts()]
    named = {
        "parcels": _named("parcels", {part.parcel for part in drawn if part.parcel is not None}, store, as_of),
        "plots": _named("plots", {part.plot for part in drawn if part.plot is not None}, store, as_of),
    }
    faults: list[Fault] = []
    sites: list[Site] = []
    for number, one in enumerate(asked):
        where = "site" if len(asked) == 1 else f"sites[{number}]"
        if one.upload is not None:
            parts = _uploaded(one.upload, store, where, max_vertices, faults)
        else:
            parts = [_part(part, one.crs, named, store.crs, where, max_vertices, faults) for part in one.as_parts()]
        usable = [part for part in parts if part is not None]
        if usable and len(usable) == len(parts):
            site = Site.of(*usable)
            overlap_m2 = sum(part.geometry.area for part in usable) - site.geometry.area
            if overlap_m2 > 1.0:
                fix = "Name each piece of ground once"
                faults.append(Fault(f"its parts share {overlap_m2:,.1f} m2", fix, feature=where))
            sites.append(site)
    if faults:
        raise BadInput("the site cannot be used", faults)
    total_km2 = sum(site.geometry.area for site in sites) / 1e6
    if total_km2 > max_km2:
        raise TooLarge(f"{total_km2:,.0f} km2 are more than {max_km2:,.0f} km2 in one request", area_km2=total_km2)
    return sites


def _uploaded(key: str, store: Store, where: str, max_vertices: int, faults: list[Fault]) -> list[Part | None]:
    """The features of a boundary file, each a part. A file with a fault would make a site that is too small."""
    kept = store.load("upload_ground", key)
    if not kept["parts"]:
        fix = f"Correct what GET /uploads/{key} names and send the file again"
        faults.append(Fault("the boundary has faults", fix, file=kept["file"], feature=where))
        return []
    ground = shapely.from_wkb(np.array(kept["parts"], dtype=object))
    vertices = int(shapely.get_num_coordinates(ground).sum())
    if vertices > max_vertices:
        raise TooLarge(f"{where} has {vertices:,} vertices, more than {max_vertices:,}", vertices=vertices)
    return [Part(one) for one in ground]


def _named(role: str, wanted: set[str], store: Store, as_of: date | None) -> dict[str, shapely.Geometry]:
    if not wanted:
        return {}
    found = store.ground(role, {*wanted, *(f"{name}#2" for name in wanted)}, as_of)
    twice = sorted(name for name in wanted if f"{name}#2" in found)
    if twice:
        fix = "Give each an id of its own and import the layer again, or draw the ground"
        raise BadInput(
            "which ground is meant?",
            [Fault("the id stands twice in its layer", fix, layer=role, feature=one) for one in twice],
        )
    missing = sorted(wanted - found.keys())
    if missing:
        noun = role.removesuffix("s")
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        said = [f"no {noun} {', '.join(missing[:20])}{more}"]
        if role == "parcels":
            said += [word for name in missing[:20] if (word := why_not(store.fabric, name, as_of)) is not None]
        raise UnknownName("; ".join(said), **{f"{noun}_id": missing[0]})
    return found


def _part(
    part: PartIn,
    crs: str | None,
    named: dict[str, dict[str, shapely.Geometry]],
    working: CRS,
    where: str,
    max_vertices: int,
    faults: list[Fault],
) -> Part | None:
    whole = named["parcels"][part.parcel] if part.parcel is not None else None
    whole = named["plots"][part.plot] if part.plot is not None else whole
    if part.geometry is None:
        return Part(whole, part.parcel, part.plot)
    ground = ground_of(part.geometry, crs, working, where, max_vertices, faults)
    if ground is None:
        return None
    if whole is not None:
        outside_m2 = shapely.difference(ground, whole).area
        if outside_m2 > 1.0:  # silently cut off, ground would go unchecked that somebody asked for
            reason = (
                f"{outside_m2:,.1f} m2 of it lie outside the {'parcel' if part.parcel is not None else 'plot'} it names"
            )
            faults.append(
                Fault(reason, "Draw within it, or send what lies outside as a part of its own", feature=where)
            )
            return None
        ground = _areas_of(shapely.intersection(ground, whole))
        if ground.area <= 0:
            reason = f"it does not lie in its {'parcel' if part.parcel is not None else 'plot'}"
            faults.append(Fault(reason, "Draw the part of it that is meant", feature=where))
            return None
    return Part(ground, part.parcel, part.plot)


def ground_of(
    geometry: Polygon | MultiPolygon, crs: str | None, working: CRS, where: str, max_vertices: int, faults: list[Fault]
) -> shapely.Geometry | None:
    """A boundary as it was sent, as ground in the working CRS; None where a fault was added."""
    drawn = _drawn(geometry, where, max_vertices, faults)
    if drawn is None:
        return None
    there: shapely.Geometry = moved(np.array([drawn], dtype=object), crs, working, where)[0]
    reason = None
    if not np.isfinite(there.bounds).all():
        reason = "its coordinates do not lie where the CRS is used"
    elif not there.is_valid:
        reason = f"its boundary crosses itself ({shapely.is_valid_reason(there)})"
    elif there.area <= 0:
        reason = "it has no area"
    if reason is not None:
        fix = "Draw a closed boundary that does not cross itself, lon/lat or with crs"
        faults.append(Fault(reason, fix, feature=where))
        return None
    return there


def moved(drawn: Geoms, crs: str | None, working: CRS, where: str) -> Geoms:
    """What was sent, in the working CRS; BadInput where its CRS cannot be trusted or it lies elsewhere."""
    source = parse_cached(crs or LONLAT)
    refuse_shiftless(source)
    west, south, east, north = map(float, shapely.total_bounds(drawn))
    refuse_misplaced(source, (west, south, east, north), where, None)
    return transform(drawn, source, working)


def _areas_of(geometry: shapely.Geometry) -> shapely.Geometry:
    """The areas of an intersection, without the edges and corners that touch."""
    parts = shapely.get_parts(geometry)
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _drawn(
    geometry: Polygon | MultiPolygon, where: str, max_vertices: int, faults: list[Fault]
) -> shapely.Geometry | None:
    """The shapely geometry of what was sent, closed and counted."""
    polygons = [geometry.coordinates] if isinstance(geometry, Polygon) else geometry.coordinates
    vertices = sum(len(ring) for rings in polygons for ring in rings)
    if vertices > max_vertices:
        raise TooLarge(f"{where} has {vertices:,} vertices, more than {max_vertices:,}", vertices=vertices)
    for rings in polygons:
        for ring in rings:
            if ring[0][:2] != ring[-1][:2]:
                fix = "Repeat the first position at the end (RFC 7946)"
                faults.append(Fault("a ring is not closed", fix, feature=where))
                return None
    made = [
        shapely.Polygon([p[:2] for p in rings[0]], [[p[:2] for p in hole] for hole in rings[1:]]) for rings in polygons
    ]
    return made[0] if len(made) == 1 else shapely.MultiPolygon(made)
