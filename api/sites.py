"""A site as people send it, and the ground it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import shapely
from pydantic import ConfigDict, Field, model_validator
from pyproj import CRS

from layers.crs import LONLAT, parse_cached, refuse_misplaced, refuse_shiftless, transform
from layers.errors import BadInput, Fault, TooLarge, UnknownName
from layers.records import Part, Site, Strict
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


class PartIn(Strict):
    """A registered parcel, plain ground, or the part of a parcel that the geometry names."""

    parcel: str | None = None
    geometry: Geometry | None = None

    @model_validator(mode="after")
    def _says_something(self) -> PartIn:
        if self.parcel is None and self.geometry is None:
            raise ValueError("a part needs a parcel or a geometry")
        return self


class SiteIn(Strict):
    """Exactly one of `parcels`, `geometry`, `parts`, `upload` (the id of a `POST /uploads`). Coordinates are lon/lat unless `crs` says otherwise."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"parcels": ["520625001001GB00001"]}]}, extra="forbid", frozen=True
    )

    parcels: Annotated[list[str], Field(min_length=1, max_length=500)] | None = None
    geometry: Geometry | None = None
    parts: Annotated[list[PartIn], Field(min_length=1, max_length=500)] | None = None
    upload: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    crs: Annotated[str, Field(pattern=r"^(EPSG:\d{4,6}|OGC:CRS84)$", examples=["EPSG:4545"])] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> SiteIn:
        if sum(given is not None for given in (self.parcels, self.geometry, self.parts, self.upload)) != 1:
            raise ValueError("give exactly one of parcels, geometry, parts and upload")
        return self

    def as_parts(self) -> list[PartIn]:
        if self.parcels is not None:
            return [PartIn(parcel=name) for name in self.parcels]
        return self.parts if self.parts is not None else [PartIn(geometry=self.geometry)]


def resolve(asked: Sequence[SiteIn], store: Store, max_vertices: int, max_km2: float) -> list[Site]:
    """The ground of each site in the working CRS; BadInput or UnknownName with every fault of all of them."""
    drawn = [one for one in asked if one.upload is None]
    wanted = {part.parcel for one in drawn for part in one.as_parts() if part.parcel is not None}
    parcels = _parcels(wanted, store)
    faults: list[Fault] = []
    sites: list[Site] = []
    for number, one in enumerate(asked):
        where = "site" if len(asked) == 1 else f"sites[{number}]"
        if one.upload is not None:
            parts = _uploaded(one.upload, store, where, max_vertices, faults)
        else:
            parts = [_part(part, one.crs, parcels, store.crs, where, max_vertices, faults) for part in one.as_parts()]
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


def _parcels(wanted: set[str], store: Store) -> dict[str, shapely.Geometry]:
    if not wanted:
        return {}
    found = store.ground("parcels", wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        more = f" and {len(missing) - 20} more" if len(missing) > 20 else ""
        raise UnknownName(f"no parcel {', '.join(missing[:20])}{more}", parcel_id=missing[0])
    return found


def _part(
    part: PartIn,
    crs: str | None,
    parcels: dict[str, shapely.Geometry],
    working: CRS,
    where: str,
    max_vertices: int,
    faults: list[Fault],
) -> Part | None:
    if part.geometry is None:
        assert part.parcel is not None
        return Part(parcels[part.parcel], part.parcel)
    drawn = _drawn(part.geometry, where, max_vertices, faults)
    if drawn is None:
        return None
    source = parse_cached(crs or LONLAT)
    refuse_shiftless(source)
    refuse_misplaced(source, drawn.bounds, where, None)
    moved = transform(np.array([drawn], dtype=object), source, working)[0]
    reason = None
    if not np.isfinite(moved.bounds).all():
        reason = "its coordinates do not lie where the CRS is used"
    elif not moved.is_valid:
        reason = f"its boundary crosses itself ({shapely.is_valid_reason(moved)})"
    elif moved.area <= 0:
        reason = "it has no area"
    elif part.parcel is not None:
        moved = _areas_of(shapely.intersection(moved, parcels[part.parcel]))
        reason = "it does not lie in its parcel" if moved.area <= 0 else None
    if reason is not None:
        faults.append(
            Fault(reason, "Draw a closed boundary that does not cross itself, lon/lat or with crs", feature=where)
        )
        return None
    return Part(moved, part.parcel)


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
