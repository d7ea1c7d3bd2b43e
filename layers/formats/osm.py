"""OpenStreetMap extracts: which tagged things are a role's features, and what their tags say in our columns.

GDAL reads the `.pbf` (in the sandboxed child) and gives tags it has no column for as one text, `other_tags`. What a
volunteer mapped is no survey: it is complete nowhere and its positions are some metres off, so that who imports it
says where it was looked at and how accurate it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pandas as pd
import shapely

from layers.errors import BadInput, Fault
from layers.records import Geoms, Ints, RawLayer

PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')
NUMBER = re.compile(r"\d+(?:\.\d+)?")
PREFIX = {"points": "n", "lines": "w", "multilinestrings": "r", "multipolygons": "r"}  # ids run per kind of thing
FEET_M, POUND_T = 0.3048, 0.00045359237


@lru_cache(maxsize=1)
def _table() -> pd.DataFrame:
    with files("layers.formats").joinpath("osm.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def layers_for(role: str) -> tuple[str, ...]:
    """The layers GDAL makes of an extract in which a role's features are; BadInput for a role that OSM has not."""
    rows = _table()[_table()["role"] == role]
    if rows.empty:
        known = ", ".join(dict.fromkeys(_table()["role"]))
        fix = f"Choose one with --layer, or import another role: {known}"
        raise BadInput(f"an OpenStreetMap extract has no {role}", [Fault("the role has no tags", fix, layer=role)])
    return tuple(dict.fromkeys(" ".join(rows["layers"]).split()))


def pick(role: str, raws: Sequence[RawLayer], *, file: str) -> RawLayer:
    """A role's features among the layers `layers_for(role)` names, in that order, as one layer in our columns.

    `id` is the OSM id with n, w or r in front (node, way, relation). What a tag does not say is null.
    """
    picked = [_picked(role, layer, raw) for layer, raw in zip(layers_for(role), raws, strict=True)]
    tables, grounds = zip(*picked, strict=True)
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        tags = "; ".join(f"{row.key}={'|'.join(row.values)}" for row in _rows(role))
        fix = "Check that the extract covers the county"
        raise BadInput(f"{file} has no {role}", [Fault(f"nothing in it is tagged {tags}", fix, file=file, layer=role)])
    geometries: Geoms = np.concatenate(grounds)
    found = {"layer": " ".join(layers_for(role)), "encoding": "UTF-8", "format": "OSM"}
    notes = tuple(note for raw in raws for note in raw.notes)
    return RawLayer(table, geometries, raws[0].crs, found, notes)


def _rows(role: str) -> list[Row]:
    return [Row(*row) for row in _table().loc[_table()["role"] == role].itertuples(index=False, name=None)]


class Row:
    """One line of `osm.csv`: things of these layers whose `key` is one of `values` (and `also` holds)."""

    def __init__(self, role: str, layers: str, key: str, values: str, also: str) -> None:
        self.layers, self.key, self.values = tuple(layers.split()), key, tuple(values.split())
        self.also = tuple(also.split("=")) if also else None

    def holds(self, tags: dict[str, str]) -> bool:
        return tags.get(self.key) in self.values and (self.also is None or tags.get(self.also[0]) == self.also[1])


def _picked(role: str, layer: str, raw: RawLayer) -> tuple[pd.DataFrame, Geoms]:
    rules = [row for row in _rows(role) if layer in row.layers]
    records = raw.table.astype(object).to_dict("records")
    told = [_tags({str(key): value for key, value in record.items()}) for record in records]
    rows = [n for n, tags in enumerate(told) if any(rule.holds(tags) for rule in rules)]
    kept = [told[n] for n in rows]
    table = pd.DataFrame(
        {
            "id": [_id(layer, tags) for tags in kept],
            "name": [tags.get("name") for tags in kept],
            **{column: [say(tags) for tags in kept] for column, say in COLUMNS.get(role, {}).items()},
        },
        dtype=object,
    )
    ground: Geoms = raw.geometries[rows]
    return table, _outlined(ground) if "points" in layers_for(role) else ground


def _outlined(ground: Geoms) -> Geoms:
    """Closed lines as the areas they are drawn around: GDAL takes the outline of a works for a line."""
    areas = ground.copy()
    closed = (shapely.get_type_id(ground) == 1) & shapely.is_closed(ground) & (shapely.get_num_points(ground) > 3)
    areas[closed] = shapely.polygons(
        shapely.linearrings(shapely.get_coordinates(ground[closed]), indices=_ring(ground[closed]))
    )
    return areas


def _ring(lines: Geoms) -> Ints:
    return np.repeat(np.arange(len(lines)), shapely.get_num_coordinates(lines)).astype(np.int64)


def _tags(record: dict[str, object]) -> dict[str, str]:
    """Every tag of a thing, GDAL's columns and `other_tags` alike."""
    tags = {
        str(key): str(value) for key, value in record.items() if isinstance(value, (str, int, float)) and value == value
    }
    for key, value in PAIR.findall(tags.pop("other_tags", "")):
        tags[_unescaped(key)] = _unescaped(value)
    return tags


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _id(layer: str, tags: dict[str, str]) -> str:
    """An area may be a closed way or a relation; GDAL says which by the column it fills."""
    if "osm_id" in tags:
        return PREFIX[layer] + tags["osm_id"]
    return "w" + tags.get("osm_way_id", "")


# --- what tags say in our columns (keys and units: the OSM wiki's "Map features") ------------------------------------


def _number(text: str | None) -> float | None:
    """The largest number of a tag: `110000;35000` is a line or a station of both."""
    found = [float(one) for one in NUMBER.findall(text or "")]
    return max(found) if found else None


def _metres(tags: dict[str, str]) -> float | None:
    said = tags.get("width", "")
    number = _number(said.split("'")[0])
    return number * FEET_M if number is not None and ("ft" in said or "'" in said) else number


def _tonnes(tags: dict[str, str]) -> float | None:
    """The weight limit of a bridge; a limit elsewhere on the road is not the bridge's."""
    said = tags.get("maxweight", "")
    number = _number(said)
    if tags.get("bridge", "no") == "no" or number is None:
        return None
    return number * POUND_T if "lb" in said else number


def _kilovolts(tags: dict[str, str]) -> float | None:
    volts = _number(tags.get("voltage"))
    return volts / 1000 if volts else None


def _road_class(tags: dict[str, str]) -> str:
    return tags["highway"].removesuffix("_link")


COLUMNS: dict[str, dict[str, Callable[[dict[str, str]], object]]] = {
    "roads": {"road_class": _road_class, "width_m": _metres, "bridge_limit_t": _tonnes},
    "power_lines": {"voltage_kv": _kilovolts},
    "substations": {"voltage_kv": _kilovolts},
    "water_sources": {"kind": lambda tags: tags.get("man_made") or tags.get("natural")},
    "water_mains": {"diameter_mm": lambda tags: _number(tags.get("diameter"))},
}
