"""A warped lattice: draw labels on its cells, get polygons that share their borders to the last bit.

Every border vertex is looked up in one table of coordinates, so neighbours cannot disagree about it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

from layers.records import Bools, Floats, Geoms, Ints
from scripts.county.noise import smooth_noise
from scripts.county.places import EAST, NORTH, SOUTH, WEST

Labels = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Lattice:
    """Vertices x, y (R + 1, C + 1) of R x C cells; `keep` marks vertices that a border may not skip."""

    x: Floats
    y: Floats
    keep: Bools | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.x.shape[0] - 1, self.x.shape[1] - 1

    def centres(self) -> tuple[Floats, Floats]:
        """The middle of each cell, x and y (R, C)."""
        return _middle(self.x), _middle(self.y)

    def keeping(self, *drawings: Ints) -> Lattice:
        """The lattice with every vertex kept where a border of these labels turns or branches, so that they nest."""
        keep = np.logical_or.reduce([_junctions(cells.astype(np.int32)) for cells in drawings])
        return Lattice(self.x, self.y, keep if self.keep is None else keep | self.keep)

    def halved(self, rng: np.random.Generator, jitter_m: float) -> Lattice:
        """The same ground in cells half as wide, their new vertices shaken."""
        x, y = (_between(values) for values in (self.x, self.y))
        new = np.ones(x.shape, dtype=bool)
        new[::2, ::2] = False
        new[[0, -1], :] = False
        new[:, [0, -1]] = False
        for values in (x, y):
            values[new] += (rng.random(int(new.sum())) - 0.5) * 2 * jitter_m
        return Lattice(np.round(x, 3), np.round(y, 3))

    def polygons(self, labels: Ints, *, rounds: int = 0) -> tuple[Geoms, Ints]:
        """Neighbouring cells of one label as polygons; 0 is no ground. Cells that touch at a corner stay apart.

        Parameters
        ----------
        labels : (R, C) integers
        rounds : how often borders are smoothed; where three labels meet they stay

        Returns
        -------
        (M,) Polygon, and (M,) the label of each
        """
        cells = np.ascontiguousarray(labels, dtype=np.int32)
        x, y = _smoothed(self.x, self.y, cells, rounds)
        rings: list[list[tuple[float, float]]] = []
        ring_owner: list[int] = []
        values: list[int] = []
        for shape, value in rasterio.features.shapes(cells, mask=cells != 0, connectivity=4):
            for ring in shape["coordinates"]:
                rings.append(ring)
                ring_owner.append(len(values))
            values.append(int(value))
        if not values:
            return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
        corners = np.array([corner for ring in rings for corner in ring])
        index = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        steps = shapely.segmentize(shapely.linearrings(corners, indices=index), 1.0)
        nodes, index = shapely.get_coordinates(steps, return_index=True)
        column, row = np.rint(nodes).astype(np.int64).T
        if self.keep is not None:
            kept = (self.keep | _junctions(cells))[row, column]
            column, row, index = column[kept], row[kept], index[kept]
        outlines = shapely.linearrings(x[row, column], y[row, column], indices=index)
        return shapely.polygons(*_shells_and_holes(outlines, np.array(ring_owner))), np.array(values)


def window_lattice(step_m: float, rng: np.random.Generator, *, warp_m: float = 90.0, jitter: float = 0.22) -> Lattice:
    """A lattice whose outer border is exactly the window and whose inside is bent like fields on a hillside."""
    columns, rows = round((EAST - WEST) / step_m), round((NORTH - SOUTH) / step_m)
    x, y = np.meshgrid(np.linspace(WEST, EAST, columns + 1), np.linspace(NORTH, SOUTH, rows + 1))
    inside = np.minimum.reduce([x - WEST, EAST - x, y - SOUTH, NORTH - y])
    calm = np.clip(inside / (6 * warp_m), 0.0, 1.0)
    bend = [smooth_noise(x, y, 1_300.0, rng) * 1.6 * warp_m * calm for _ in "xy"]
    shake = [(rng.random(x.shape) - 0.5) * 2 * jitter * step_m * (inside > 1.0) for _ in "xy"]
    return Lattice(np.round(x + bend[0] + shake[0], 3), np.round(y + bend[1] + shake[1], 3))


def _middle(vertices: Floats) -> Floats:
    middle: Floats = (vertices[1:, 1:] + vertices[1:, :-1] + vertices[:-1, 1:] + vertices[:-1, :-1]) / 4
    return middle


def _between(vertices: Floats) -> Floats:
    """Vertices with the middles between them."""
    rows, columns = vertices.shape
    dense: Floats = np.empty((2 * rows - 1, 2 * columns - 1))
    dense[::2, ::2] = vertices
    dense[::2, 1::2] = (vertices[:, 1:] + vertices[:, :-1]) / 2
    dense[1::2] = (dense[:-1:2] + dense[2::2]) / 2
    return dense


def _borders(cells: Labels) -> tuple[Bools, Bools, Bools, Bools]:
    """For each vertex (R + 1, C + 1): is the edge to its north, south, west, east neighbour a border?"""
    around = np.pad(cells, 1, constant_values=-1)
    vertical = around[:, 1:] != around[:, :-1]  # (R + 2, C + 1): edges between a column and the next
    horizontal = around[1:, :] != around[:-1, :]  # (R + 1, C + 2)
    return vertical[:-1], vertical[1:], horizontal[:, :-1], horizontal[:, 1:]


def _junctions(cells: Labels) -> Bools:
    """Vertices where a border ends, turns or branches into others."""
    north, south, west, east = _borders(cells)
    straight = (north & south & ~west & ~east) | (west & east & ~north & ~south)
    junction: Bools = ~straight
    return junction


def _smoothed(x: Floats, y: Floats, cells: Labels, rounds: int) -> tuple[Floats, Floats]:
    if rounds == 0:
        return x, y
    north, south, west, east = _borders(cells)
    free = north.astype(int) + south + west + east == 2
    free[[0, -1], :] = False
    free[:, [0, -1]] = False
    row, column = np.nonzero(free)
    offsets = [
        (mask[row, column], row + dr, column + dc)
        for mask, dr, dc in ((north, -1, 0), (south, 1, 0), (west, 0, -1), (east, 0, 1))
    ]
    for _ in range(rounds):
        moved = []
        for values in (x, y):
            neighbours = np.zeros(len(row))
            for mask, r, c in offsets:
                neighbours[mask] += values[r[mask], c[mask]]
            smooth = values.copy()
            smooth[row, column] = np.round(values[row, column] / 2 + neighbours / 4, 3)
            moved.append(smooth)
        x, y = moved
    return x, y


def _shells_and_holes(rings: Geoms, owner: Ints) -> tuple[Geoms, Geoms]:
    """Outer rings, and their holes as a ragged array padded with None; the first ring of an owner is its shell."""
    nth = np.arange(len(owner)) - np.searchsorted(owner, owner)
    holes: Geoms = np.full((int(owner[-1]) + 1, max(int(nth.max()), 1)), None, dtype=object)
    inner = nth > 0
    holes[owner[inner], nth[inner] - 1] = rings[inner]
    return rings[~inner], holes
