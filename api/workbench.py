"""What the workbench needs before it can draw: the county, its zones, and one table of styles for map and legend."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from typing import Any

import shapely
from pyproj import CRS

from api.answers import geojson
from api.mapstyle import GROUPS, STYLES, Style
from api.pictures import TITLES
from api.scope import Scope
from layers.schema import roles
from layers.store import Store

SHOWN = {"zones", "plots", "parcels", "basic_farmland", "eco_redline", "urban_boundary", "river_management", "roads"}
RELIEFS = tuple(TITLES)
# what the workbench itself draws on top of the layers; dashes and hatches tell them apart without their colours
OVERLAYS = {
    "found": Style("check", "area", "#111111", "#ffd60a", 0.35, 2.5),
    "candidate": Style("check", "area", "#0b4f8a", "#56b4e9", 0.45, 2),
    "assigned": Style("check", "area", "#0b4f8a", "#56b4e9", 0.6, 2.5),
    "assigned_other": Style("check", "area", "#8a4b00", "#e69f00", 0.12, 2.5, dash="6 3"),
    "upload": Style("check", "area", "#111111", "#ffffff", 0.35, 3, dash="8 3"),
}


def setup(store: Store, scope: Scope) -> dict[str, Any]:
    """The county as its workbench draws it, without reading a layer but the zones, of which it has the user's.
    `focus` is where to look first: those zones together."""
    loaded = store.layers()
    have = {layer.role for layer in loaded}
    zones = _zones(store, scope)
    extent = geojson([shapely.union_all([layer.extent for layer in loaded])], store.crs)[0] if loaded else None
    return {
        "county": store.name,
        "crs": f"EPSG:{store.crs.to_epsg()}" if store.crs.to_epsg() else store.crs.name,
        "proj4": proj4(store.crs),
        "bounds": None if extent is None else list(shapely.geometry.shape(extent).bounds),
        "focus": list(shapely.union_all([shapely.box(*one["bounds"]) for one in zones]).bounds) if zones else None,
        "synthetic": any(layer.synthetic for layer in loaded),
        "zones": zones,
        "reliefs": list(RELIEFS) if "dem" in have else [],
        "groups": {name: dict(zip(("zh", "en"), _two(words), strict=True)) for name, words in GROUPS.items()},
        "styles": {
            name: {
                **asdict(style),
                "zh": roles()[name].zh,
                "en": roles()[name].en,
                "shown": name in SHOWN,
                "loaded": name in have,
            }
            if name in roles()
            else {**asdict(style), "zh": None, "en": None, "shown": False, "loaded": False}
            for name, style in {**STYLES, **OVERLAYS}.items()
        },
    }


def proj4(crs: CRS) -> str:
    """The working CRS as a PROJ string, which browsers understand; what it cannot say (names, axes) is not needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return crs.to_proj4()


def _zones(store: Store, scope: Scope) -> list[dict[str, Any]]:
    if not any(layer.role == "zones" for layer in store.layers()):
        return []
    frame = store.frame("zones")
    boxes = geojson([shapely.box(*one.bounds) for one in frame.geometry], store.crs)
    spots = geojson(
        [shapely.point_on_surface(max(shapely.get_parts(one), key=shapely.area)) for one in frame.geometry], store.crs
    )
    ids = frame["id"].astype(str)
    return [
        {
            "id": key,
            "name": str(name or key),
            "unit_code": code,
            "at": spot["coordinates"],
            "bounds": list(shapely.geometry.shape(box).bounds),
        }
        for key, name, code, spot, box in zip(
            ids, frame.get("name", ids), frame.get("unit_code", ids).astype(str), spots, boxes, strict=True
        )
        if spot is not None and scope.holds(key)
    ]


def _two(words: str) -> tuple[str, str]:
    zh, _, en = words.partition(" ")
    return zh, en
