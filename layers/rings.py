"""The borders of polygons as flat arrays, an edge a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.records import Floats, Geoms, Ints

T = TypeVar("T", bound=np.generic)


def parts(geometries: Geoms) -> tuple[Geoms, Ints]:
    """The single-part geometries in geometries, and the row each came from; those that have one part are not copied."""
    if (shapely.get_type_id(geometries) <= 3).all():
        there = ~shapely.is_missing(geometries)
        return geometries[there], np.flatnonzero(there)
    found, row = shapely.get_parts(geometries, return_index=True)
    return found, row.astype(np.int64)


@dataclass(frozen=True)
class Rings:
    """Rings of polygons.

    `vertices` (V, 2) ring after ring; `at` (E,) the vertex an edge starts at, its end being the next one;
    `first` (R,) each ring's first edge; `polygon` (R,) the polygon it belongs to, whose first ring is its shell.
    """

    vertices: Floats
    at: Ints
    first: Ints
    polygon: Ints

    @classmethod
    def of(cls, polygons: Geoms) -> Rings:
        """The rings of (N,) Polygons, none of them empty."""
        holes = shapely.get_num_interior_rings(polygons)
        polygon = np.repeat(np.arange(len(polygons)), holes + 1)
        plain = (holes == 0)[polygon]
        size = np.empty(len(polygon), dtype=np.int64)
        size[plain] = shapely.get_num_coordinates(polygons[holes == 0])
        size[~plain] = shapely.get_num_coordinates(shapely.get_rings(polygons[holes > 0]))
        vertices = shapely.get_coordinates(polygons)
        is_edge = np.ones(len(vertices), dtype=bool)
        is_edge[np.cumsum(size) - 1] = False
        return cls(vertices, np.flatnonzero(is_edge), np.cumsum(size - 1) - size + 1, polygon)

    @property
    def start(self) -> Floats:
        return self.vertices[self.at]

    @property
    def end(self) -> Floats:
        return self.vertices[self.at + 1]

    def of_edge(self, of_ring: NDArray[T]) -> NDArray[T]:
        """(E, ...) what is said of the ring of each edge."""
        return np.repeat(of_ring, np.diff(self.first, append=len(self.at)), axis=0)

    def sums(self, of_edge: Floats) -> Floats:
        """(R,) sums over the edges of each ring."""
        return np.asarray(np.add.reduceat(of_edge, self.first))

    def signs(self, area: Floats) -> Floats:
        """(R,) what a ring's sums are counted with so that ground is positive and holes are taken out.

        `area` (R,) is positive where the ring runs against the clock.
        """
        shell = np.diff(self.polygon, prepend=-1) > 0
        return np.sign(area) * np.where(shell, 1.0, -1.0)


def cross(one: Floats, other: Floats) -> Floats:
    """(N,) twice the area between two plane vectors (N, 2) each."""
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
