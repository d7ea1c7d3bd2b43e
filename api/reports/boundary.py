"""Boundary points (界址点) of ground: from the north-west corner clockwise, numbered through all its rings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from api.reports.model import Block, Column, Table, Text, Words
from layers.records import Floats

MOST_ROWS = 1_000  # on paper: a traced outline of 50,000 points would be a book


@dataclass(frozen=True)
class Ring:
    """(n, 2) easting and northing of the points of one ring, not closed; `first` the number of the first of them."""

    points: Floats
    first: int
    is_hole: bool

    @property
    def names(self) -> list[str]:
        return [f"J{self.first + n}" for n in range(len(self.points))]

    @property
    def sides_m(self) -> Floats:
        """(n,) from each point to the next."""
        return np.asarray(np.hypot(*(np.roll(self.points, -1, axis=0) - self.points).T))


def rings(ground: shapely.Geometry) -> list[Ring]:
    """The rings of areas, shells clockwise, holes against the clock, each begun at its north-western point.

    >>> [ring.points.tolist() for ring in rings(shapely.box(0, 0, 4, 2))]
    [[[0.0, 2.0], [4.0, 2.0], [4.0, 0.0], [0.0, 0.0]]]
    """
    found, first = [], 1
    for part in shapely.get_parts(ground):
        if shapely.get_dimensions(part) != 2:
            continue
        for is_hole, ring in ((False, part.exterior), *((True, one) for one in part.interiors)):
            points = shapely.get_coordinates(ring)[:-1]
            if shapely.is_ccw(ring) != is_hole:
                points = points[::-1]
            x, y = points.T
            start = int(np.argmin((x - x.min()) ** 2 + (y - y.max()) ** 2))
            found.append(Ring(np.roll(points, -start, axis=0), first, is_hole))
            first += len(points)
    return found


def points(ground: shapely.Geometry, title: Words | None = None) -> list[Block]:
    """The table of points; of a boundary with more than `MOST_ROWS` the first, and a word on where the rest is."""
    whole = table(ground, title)
    rest = len(whole.rows) - MOST_ROWS
    if rest <= 0:
        return [whole]
    said = Text(
        f"界址点共 {len(whole.rows):,} 个，表中列前 {MOST_ROWS:,} 个，其余见边界文件。",
        f"{len(whole.rows):,} points; the first {MOST_ROWS:,} are listed, the rest stands in the boundary's file.",
        "strong",
    )
    return [said, replace(whole, rows=whole.rows[:MOST_ROWS])]


def table(ground: shapely.Geometry, title: Words | None = None) -> Table:
    """The points with their coordinates in the local grid (X north, Y east) and the side to the next point."""
    rows: list[tuple[object, ...]] = []
    for ring in rings(ground):
        names, sides = ring.names, ring.sides_m
        for n, (east, north) in enumerate(ring.points.tolist()):
            rows.append((names[n], north, east, f"{names[n]}—{names[(n + 1) % len(names)]}", float(sides[n])))
    columns = (
        Column("点号", "Point", width=0.7), Column("X（北）米", "X north, m", "m"),
        Column("Y（东）米", "Y east, m", "m"), Column("边", "Side", width=0.9),
        Column("边长（米）", "Length, m", "m", 0.8),
    )  # fmt: skip
    return Table(title, columns, rows)
