"""How far the main raw material of a project is: ore under a mining right, fields of the crop, plants that supply it.

`raw_materials.csv` names, for a class of GB/T 4754, the material and the layers where it is looked for; a class that
makes several products has a row for each. A licence to explore is no source yet. A layer that is not loaded may hold a
nearer source, so the distance is then an upper bound; an industry without a row is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import shapely

from gis import measure
from gis.estimate import closest
from gis.ground import Distance, Ground, Shown, split
from gis.intervals import Interval
from gis.rules import Rulebook
from layers.records import Bools, Project

REACH_M = 50_000.0  # how far a raw material is looked for: across the county and no further


@dataclass(frozen=True)
class Holds:
    """Features that hold a material: a mineral that may be mined, a class of land by its system, a plant's industry."""

    column: str
    values: tuple[str, ...]

    def __call__(self, features: pd.DataFrame) -> tuple[Bools, Bools]:
        none = np.zeros(len(features), dtype=bool)
        if self.column not in features:
            return none, ~none
        said = features[self.column]
        if self.column == "code":
            return _either(said, [_of_system(features, value) for value in self.values])
        if self.column == "industry":
            digits = said.fillna("").astype("str").str.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            coarse = digits.map(lambda one: any(value.startswith(one) for value in self.values)).to_numpy(dtype=bool)
            certain, possible = _either(said, [digits.str.startswith(self.values).to_numpy(dtype=bool)])
            return certain, possible | coarse & said.notna().to_numpy()
        certain, possible = _either(said, [said.isin(self.values).to_numpy(dtype=bool)])
        kind = features["kind"] if "kind" in features else pd.Series(None, index=features.index, dtype=object)
        return certain & (kind == "mining").to_numpy(dtype=bool), possible & (kind != "exploration").to_numpy(
            dtype=bool
        )


def _either(said: pd.Series, found: list[Bools]) -> tuple[Bools, Bools]:
    certain: Bools = np.any(found, axis=0)
    return certain, certain | said.isna().to_numpy(dtype=bool)


def _of_system(features: pd.DataFrame, value: str) -> Bools:
    system, _, prefix = value.rpartition(":")
    starts = features["code"].fillna("").astype("str").str.startswith(prefix).to_numpy(dtype=bool)
    return starts & (features["code_system"] == system).to_numpy(dtype=bool)


@dataclass(frozen=True)
class Material:
    """What a plant lives on and where it is looked for."""

    zh: str
    en: str
    places: tuple[Distance, ...]


class Materials:
    """`raw_materials.csv` as a lookup: the longest prefix, then the product, decide."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._of: dict[tuple[str, str], Material] = {}
        for key, group in rows.groupby(["code_prefix", "product"], sort=False):
            places = tuple(
                Distance(role, Holds(column, tuple(values.split("|"))))
                for role, column, values in zip(group["role"], group["column"], group["values"], strict=True)
            )
            first = group.iloc[0]
            self._of[(str(key[0]), str(key[1]))] = Material(str(first["name_zh"]), str(first["name_en"]), places)

    def of(self, project: Project) -> Material | None:
        """None where the project does not say what it makes, or nobody noted what that is made of."""
        if project.industry is None:
            return None
        digits = project.industry.digits
        product = project.annual_output.product if project.annual_output is not None else None
        for length in range(len(digits), 1, -1):
            rows = {only: one for (prefix, only), one in self._of.items() if prefix == digits[:length]}
            named = closest([only for only in rows if only], product or project.name or "")
            if named is not None or "" in rows:
                return rows[named or ""]
        return None


@lru_cache(maxsize=8)
def materials_of(book: Rulebook) -> Materials | None:
    rows = book.tables.get("raw_materials")
    return None if rows is None else Materials(rows)


def material(ground: Ground, project: Project) -> Material | None:
    table = None if ground.book is None else materials_of(ground.book)
    return None if table is None else table.of(project)


@dataclass(frozen=True)
class RawMaterial:
    """Metres from a site to the nearest source of the project's main raw material."""

    role: None = None
    unit: str = "m"

    def measure(self, ground: Ground, projects: Sequence[Project], needs: object) -> Interval:
        columns = [self._one(ground, material(ground, project)) for project in projects]
        return Interval(np.stack([one.lo for one in columns], axis=1), np.stack([one.hi for one in columns], axis=1))

    def _one(self, ground: Ground, of: Material | None) -> Interval:
        if of is None:
            return Interval.unknown(ground.count)
        return ground.once(("raw material", of.places), lambda all_: _nearest(all_, of.places))

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: object
    ) -> Shown | None:
        of = material(ground, projects[0])
        found = [one for place in (of.places if of is not None else ()) for one in _certain(site, ground, place)]
        return min(found, key=lambda one: shapely.length(one.geometry), default=None)


def _certain(site: shapely.Geometry, ground: Ground, place: Distance) -> Iterator[Shown]:
    """The line to the nearest feature of a layer that certainly holds the material."""
    layer = ground.layer(place.role)
    if layer is not None:
        sure = split(layer, place.sort)[0]
        found = measure.nearest(site, sure, REACH_M)
        if found is not None:
            yield Shown(found[0], (sure.names[found[1]],))


def _nearest(ground: Ground, places: Sequence[Distance]) -> Interval:
    """The nearest of all places; of one whose survey does not reach here nobody knows how near it is."""
    found = [one.measure(ground, REACH_M) for one in places]
    lo = np.min([np.where(np.isnan(one.lo), 0.0, one.lo) for one in found], axis=0)
    hi = np.min([np.where(np.isnan(one.hi), np.inf, one.hi) for one in found], axis=0)
    return Interval(lo, hi).where(~np.all([np.isnan(one.hi) for one in found], axis=0))
