"""Accumulations of routes of a county: made on demand, kept in its cache folder, looked up by everybody else.

A check only looks up what is kept already. `POST /connections` and the commands make what is missing, one at a time.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import shapely

from api.answers import geojson
from gis.connections import EVERY_ROAD, Connection, connect
from gis.entrance import BESIDE_M, Entrance, entrance
from gis.ground import Routes
from gis.intervals import Interval
from gis.meetings import UTILITY_ROLES
from gis.network_report import report
from gis.routes import Reached, accumulate, key_of
from gis.rules import Rulebook
from gis.surface import Prices, Surface, surface
from layers import arrays
from layers.errors import BadInput, Fault
from layers.records import Project, Site, World
from layers.store import Store

MOST_MAPPED = 64  # accumulations mapped into one process; the pages that nobody reads cost no memory
LAST_YEAR = 2100
GROUND = "ground"  # the surface is kept under the same kind of key


class Networks:
    """Routes over a store's layers for one rulebook."""

    def __init__(self, store: Store, book: Callable[[], Rulebook]) -> None:
        self._store, self._book = store, book
        cache: Path | None = getattr(store, "cache", None)
        self._folder = None if cache is None else cache / "routes"
        self._mapped: OrderedDict[str, Any] = OrderedDict()
        self._making = Lock()

    def lookup(self, world: World, make: bool = False) -> Routes:
        """Looks up (utility, role, facility); with `make` it works out what is not kept yet."""
        prices = Prices.of(self._book())
        labels = {layer.role: layer.label for layer in self._store.layers(world.as_of)}

        def find(utility: str, role: str, facility: str) -> Reached | None:
            key = key_of(labels, world.for_year, prices, utility, role, facility)
            if key not in self._mapped:
                under = self._surface(world, labels, prices, make)
                if under is None:
                    return None
                found = self._read(key)
                if found is None and make:
                    with self._making:
                        found = self._read(key)  # somebody else may have made it meanwhile
                        if found is None:
                            found = self._made(world, prices, under, utility, role, facility)
                            self._write(key, found)
                if found is None:
                    return None
                self._remember(key, Reached(utility, under, found["total"], found["back"]))
            reached: Reached = self._mapped[key]
            return reached

        return find

    def connections(
        self, site: Site, project: Project, world: World, way_in: shapely.Point | None = None
    ) -> tuple[list[Connection], Entrance]:
        """The connections of one site, with every accumulation they need, and its entrance: that which is given, else
        the one nearest to a road. BadInput for one that lies off the site."""
        if way_in is not None and way_in.distance(site.geometry) > BESIDE_M:
            far = f"it lies {way_in.distance(site.geometry):,.0f} m from the site"
            raise BadInput(
                "the entrance is none of this site", [Fault(far, "Give a place on its border", field="entrance")]
            )
        book = self._book()
        found = connect(site.geometry, project, book, world, self.lookup(world, make=True), way_in)
        return found, entrance(site.geometry, way_in, book, world)

    def make_all(self, world: World, said: Callable[[str], None] = lambda _: None) -> int:
        """Work out the accumulation of every facility that stands in the world's year; how many there are."""
        find = self.lookup(world, make=True)
        wanted = [("road", "roads", EVERY_ROAD)]
        for utility, role in UTILITY_ROLES.items():
            layer = world.near(role, (0.0, 0.0, 0.0, 0.0))
            wanted += [] if layer is None else [(utility, role, str(one)) for one in layer.column("id")]
        for one in wanted:
            said(" ".join(one))
            find(*one)
        return len(wanted)

    def _surface(self, world: World, labels: dict[str, str], prices: Prices, make: bool) -> Surface | None:
        key = key_of(labels, world.for_year, prices, "power", "dem", GROUND)
        if key not in self._mapped:
            found = self._read(key)
            if found is None:
                made = surface(world) if make else None
                if made is None:
                    return None
                place = np.array([made.west, made.north, made.cell_m])
                found = {"codes": made.codes, "place": place, "missing": np.array(made.missing, dtype="U40")}
                self._write(key, found)
            west, north, cell_m = map(float, found["place"])
            self._remember(key, Surface(found["codes"], west, north, cell_m, tuple(map(str, found["missing"]))))
        under: Surface = self._mapped[key]
        return under

    def _made(
        self, world: World, prices: Prices, under: Surface, utility: str, role: str, facility: str
    ) -> dict[str, Any]:
        layer = world.near(role, (0.0, 0.0, 0.0, 0.0))
        pieces = np.empty(0, dtype=object) if layer is None else layer.pieces
        if layer is not None and facility != EVERY_ROAD:
            pieces = pieces[layer.column("id")[layer.owner] == facility]
        reached = accumulate(under, prices, utility, list(pieces))
        return {"total": reached.total, "back": reached.back}

    def _read(self, key: str) -> dict[str, Any] | None:
        return None if self._folder is None else arrays.kept(self._folder / key)

    def _write(self, key: str, found: dict[str, Any]) -> None:
        if self._folder is not None:
            arrays.keep(self._folder / key, found)

    def _remember(self, key: str, found: object) -> None:
        self._mapped[key] = found
        while len(self._mapped) > MOST_MAPPED:
            self._mapped.popitem(last=False)


def told(one: Connection, world: World) -> dict[str, Any]:
    """A connection as JSON: the bill line by line, the way as lon/lat GeoJSON."""
    line = None if one.route is None else one.route.line
    return {**told_without_way(one), "route": geojson([line], world.crs)[0]}


def told_without_way(one: Connection) -> dict[str, Any]:
    """A connection as JSON: who serves, and the bill line by line."""
    return {
        "utility": one.utility,
        "status": one.status,
        "facility": one.facility,
        "name": one.name,
        "need": _number(one.need),
        "headroom": _number(one.headroom),
        "short": _number(one.shortage),
        "unit": one.unit,
        "distance_m": _number(one.distance_m),
        "grade": one.grade,
        "length_m": None if one.route is None else round(one.route.length_m, 1),
        "cost_wan": _band(one.cost_wan),
        "confidence": one.confidence,
        "items": [
            {
                "name": {"zh": item.zh, "en": item.en},
                "quantity": round(item.quantity, 3),
                "unit": item.unit,
                "cost_wan": _band(item.wan),
                "confidence": item.confidence,
            }
            for item in one.items
        ],
        "notes": [{"zh": zh, "en": en} for zh, en in one.notes],
    }


def _band(wan: tuple[float, float, float] | None) -> dict[str, float] | None:
    return None if wan is None else dict(zip(("low", "typical", "high"), (round(one, 3) for one in wan), strict=True))


def _number(amount: float) -> float | None:
    return round(amount, 3) if np.isfinite(amount) else None


def dressed(found: list[Connection], way_in: Entrance, site: Site, world: World) -> dict[str, Any]:
    """The answer of a site: every connection, what they cost together where each has a price, and the way in."""
    costs = [one.cost_wan for one in found if one.cost_wan is not None]
    priced = len(costs) == len(found)
    total = tuple(sum(one[end] for one in costs) for end in range(3)) if costs and priced else None
    return {
        "site": geojson([site.geometry], world.crs)[0],
        "for_year": world.for_year,
        "as_of": world.as_of.isoformat(),
        "connections": [told(one, world) for one in found],
        "cost_wan": None if total is None else _band((total[0], total[1], total[2])),
        "entrance": _entered(way_in, world),
    }


def _entered(one: Entrance, world: World) -> dict[str, Any]:
    at, course = geojson([one.at, one.course], world.crs)
    return {
        "given": one.is_given,
        "at": at,
        "trunk_road_m": _ends(one.distance_m),
        **{f"worst_{name}": _ends(said) for name, said in one.worst.items()},
        "roads": list(one.roads),
        "course": course,
    }


def _ends(one: Interval) -> list[float | None] | None:
    """Low and high of one site; null for an end without bound, and for what nobody knows."""
    low, high = float(one.lo[0]), float(one.hi[0])
    return None if math.isnan(low) else [_number(low), _number(high)]


def as_features(found: dict[str, Any]) -> dict[str, Any]:
    """An answer of `dressed` as a GeoJSON feature collection: the site, its entrance, every way that is known."""
    rows = [
        ({"kind": "site"}, found["site"]),
        ({"kind": "entrance", "given": found["entrance"]["given"]}, found["entrance"]["at"]),
    ]
    if found["entrance"]["course"] is not None:
        rows.append(({"kind": "course", "roads": found["entrance"]["roads"]}, found["entrance"]["course"]))
    for one in found["connections"]:
        said = {name: value for name, value in one.items() if name != "route"}
        rows.append(({"kind": "connection", **said}, one["route"]))
    features = [{"type": "Feature", "properties": said, "geometry": shape} for said, shape in rows]
    whole = {name: found[name] for name in ("for_year", "as_of", "cost_wan")}
    return {"type": "FeatureCollection", **whole, "features": features}


def network_report(store: Store, as_of: date | None = None, for_year: int | None = None) -> dict[str, Any]:
    """The report on every network as JSON, with all that is planned; places of breaks as lon/lat points."""
    world = store.at(as_of, for_year)
    found = report(world, store.at(as_of, LAST_YEAR))
    points = [None if np.isnan(row["x"]) else shapely.Point(row["x"], row["y"]) for row in found.breaks]
    drawn = geojson(points, world.crs)
    rows = [
        {name: value for name, value in row.items() if name not in ("x", "y")}
        | {"metres": _number(row["metres"]), "at": place}
        for row, place in zip(found.breaks, drawn, strict=True)
    ]
    return {"for_year": world.for_year, "networks": found.networks, "breaks": rows, "planned": found.planned}
