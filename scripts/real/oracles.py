"""What the runs share: a published number beside ours, a layer cut as the store cuts it, a table in markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from gis import measure
from layers.ingest import Prepared
from layers.records import Bools, Floats, Geoms, Snapshot
from layers.snapshot import cut


@dataclass(frozen=True)
class Count:
    """A number of cells somebody published, and how many our kernels count.

    `unsure` cells lie so near a limit that a buffer drawn as a polygon decides otherwise than an exact distance.
    """

    name: str
    published: int
    reached: int
    unsure: int = 0

    @property
    def agrees(self) -> bool:
        return abs(self.published - self.reached) <= self.unsure


def layer_of(prepared: Prepared) -> Snapshot:
    """An imported layer as the store would cut it for measuring."""
    pieces, owner = cut(prepared.geometries)
    return Snapshot(prepared.layer, prepared.features, pieces, owner)


def outlines_of(prepared: Prepared) -> Snapshot:
    """The boundaries of an imported layer's areas, to measure how far inside a point lies."""
    pieces, owner = cut(shapely.boundary(prepared.geometries))
    return Snapshot(prepared.layer, prepared.features, pieces, owner)


def inside(points: Geoms, layer: Snapshot) -> Bools:
    """(P,) points on the ground of a layer."""
    on: Bools = measure.distance_m(points, layer, 1.0) == 0
    return on


def unsure(distance_m: Floats, buffer_m: float, quad_segs: int) -> Bools:
    """(P,) points within the limit, but perhaps not within a buffer whose quarter circle is `quad_segs` chords.

    The middle of a chord falls short of the arc by r (1 - cos(90 deg / 2 n)).

    >>> float(round(705 - 705 * np.cos(np.pi / 64), 2))
    0.85
    """
    near: Bools = (distance_m <= buffer_m) & (distance_m > buffer_m * np.cos(np.pi / 4 / quad_segs))
    return near


def markdown(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in markdown.

    >>> print(markdown(["a", "b"], [[1, "x"]]))
    | a | b |
    |---|---|
    | 1 | x |
    """
    lines = [titles, ["---"] * len(titles), *rows]
    bars = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
    bars[1] = bars[1].replace(" ", "")
    return "\n".join(bars)


def counts_table(counts: Iterable[Count]) -> str:
    return markdown(
        ["published by", "published", "ours", "may differ by", "agrees"],
        [
            [one.name, f"{one.published:,}", f"{one.reached:,}", one.unsure, "yes" if one.agrees else "**no**"]
            for one in counts
        ],
    )


def data_folder(module: str) -> Path:
    """The folder of data sets given on the command line; exit 2 where there is none."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(f"usage: python -m {module} DATA    (DATA: the folder that holds the data sets)", file=sys.stderr)
        raise SystemExit(2)
    return Path(sys.argv[1])
