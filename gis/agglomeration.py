"""Plants of the same industrial chain around a site: how many, and how far the nearest is.

`industry_chains.csv` says which classes of GB/T 4754 a chain runs through. A class that several products share belongs
to a chain by its product; where a plant does not name one, or its code is too coarse, it *may* belong and counts in
one bound only. An industry of no chain has no neighbours to count: its columns are unknown, not zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import shapely

from gis.estimate import closest
from gis.ground import Ground, Shown
from gis.intervals import Interval
from gis.rules import Rulebook
from layers.records import Bools, Floats, Project, Snapshot

WITHIN_M = 10_000.0  # assumption: a quarter of an hour on a valley road, within which plants share suppliers and repair
Members = tuple[frozenset[str], frozenset[str]]  # chains a plant certainly belongs to, and those it may
NONE: Members = (frozenset(), frozenset())


class Chains:
    """`industry_chains.csv` as a lookup."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = list(zip(rows["chain"], rows["code_prefix"], rows["product"], strict=True))
        self.names = {
            chain: (zh, en) for chain, zh, en in zip(rows["chain"], rows["name_zh"], rows["name_en"], strict=True)
        }

    def of(self, digits: str, product: str | None, name: str = "") -> Members:
        """The chains of an industry; `product` decides where a class holds several, a name only confirms.

        >>> table = pd.DataFrame([["m", "锰", "manganese", "2613", "锰"], ["v", "钒", "vanadium", "2613", "钒"]],
        ...                      columns=["chain", "name_zh", "name_en", "code_prefix", "product"])
        >>> [sorted(one) for one in Chains(table).of("2613", None, "钒业公司")]
        [['v'], ['m', 'v']]
        """
        sure, may = set(), set()
        for chain, prefix, only in self._rows:
            if prefix.startswith(digits) and prefix != digits:
                may.add(chain)
            elif digits.startswith(prefix):
                if not only or closest([only], product or name) is not None:
                    sure.add(chain)
                elif product is None:
                    may.add(chain)
        return frozenset(sure), frozenset(sure | may)

    def of_project(self, project: Project) -> Members:
        if project.industry is None:
            return NONE
        product = project.annual_output.product if project.annual_output is not None else None
        return self.of(project.industry.digits, product, project.name or "")

    def of_plants(self, layer: Snapshot) -> list[Members | None]:
        """(M,) the chains of each plant; None where it does not say its industry."""
        said = zip(layer.column("industry"), layer.names, strict=True)
        return [
            self.of(code.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), None, name) if isinstance(code, str) else None
            for code, name in said
        ]


@lru_cache(maxsize=8)
def chains_of(book: Rulebook) -> Chains | None:
    """The chains of a rulebook; None in a book from before there were any."""
    rows = book.tables.get("industry_chains")
    return None if rows is None else Chains(rows)


def kin(ground: Ground, layer: Snapshot, project: Project) -> tuple[Bools, Bools] | None:
    """(M,) plants that certainly are of the project's chain, and those that may be; None where it has no chain."""
    chains = None if ground.book is None else chains_of(ground.book)
    if chains is None:
        return None
    sure, may = chains.of_project(project)
    if not may:
        return None
    plants = layer.once(("chains", chains), chains.of_plants)
    certain = np.array([one is not None and bool(sure & one[0]) for one in plants], dtype=bool)
    possible = np.array([one is None or bool(may & one[1]) for one in plants], dtype=bool)
    return certain, possible


@dataclass(frozen=True)
class SameChain:
    """How many plants of a project's chain stand within reach of a site, or how far the nearest stands."""

    count: bool
    unit: str
    role: str = "enterprises"

    def measure(self, ground: Ground, projects: Sequence[Project], needs: object) -> Interval:
        layer = ground.layer(self.role)
        shape = (ground.count, len(projects))
        if layer is None:
            return Interval.exact(np.full(shape, np.nan))
        to_each_m, depth_m = ground.matrix_m(self.role, layer), ground.depth_m(layer)
        lo, hi = np.full(shape, np.nan), np.full(shape, np.nan)
        for column, project in enumerate(projects):
            found = kin(ground, layer, project)
            if found is not None:
                read = _counted if self.count else _nearest
                lo[:, column], hi[:, column] = read(to_each_m, *found, depth_m)
        return Interval(lo, hi).where(np.broadcast_to(depth_m[:, None] >= 0, shape))

    def evidence(
        self, site: shapely.Geometry, ground: Ground, projects: Sequence[Project], needs: object
    ) -> Shown | None:
        layer = ground.layer(self.role)
        found = None if layer is None or not len(layer.features) else kin(ground, layer, projects[0])
        if layer is None or found is None:
            return None
        to_each_m = np.where(found[0], ground.matrix_m(self.role, layer)[0], np.inf)
        near = [row for row in np.argsort(to_each_m, kind="stable") if to_each_m[row] <= WITHIN_M]
        chosen = near if self.count else near[:1]
        return Shown(None, tuple(layer.names[row] for row in chosen[:5])) if chosen else None


def _counted(to_each_m: Floats, sure: Bools, may: Bools, depth_m: Floats) -> tuple[Floats, Floats]:
    """Beyond the end of the survey there may be any number more."""
    near = to_each_m <= WITHIN_M
    most = near[:, may].sum(axis=1).astype(float)
    return near[:, sure].sum(axis=1).astype(float), np.where(depth_m >= WITHIN_M, most, np.inf)


def _nearest(to_each_m: Floats, sure: Bools, may: Bools, depth_m: Floats) -> tuple[Floats, Floats]:
    hi = to_each_m[:, sure].min(axis=1, initial=np.inf)
    lo = to_each_m[:, may].min(axis=1, initial=np.inf)
    return np.minimum(lo, np.where(lo <= depth_m, lo, depth_m)), hi
