"""Least effort over a grid from some cells to all others, with a link back from every cell: one pass, any way a lookup.

A step costs its length times the mean weight of its two cells. Cells wait in buckets as wide as the cheapest step, so
that whatever lies in the first bucket is final and no heap is needed. The passing over 4.8 M cells is compiled (numba);
without a compiler's help it would take minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.records import Floats, Ints

Codes = NDArray[np.uint16]
Links = NDArray[np.int8]
DOWN = np.array([-1, -1, -1, 0, 0, 1, 1, 1])  # rows and columns of the eight neighbours, by the number of a link
RIGHT = np.array([-1, 0, 1, -1, 1, -1, 0, 1])
NOWHERE, SOURCE = -1, 8
MOST_BUCKETS = 1_000_000


def spread(codes: Codes, weight: Floats, sources: Ints, cell_m: float) -> tuple[Floats, Links]:
    """The least effort from any source to every cell, in metres of ground of weight 1.

    Parameters
    ----------
    codes : (R, C) what each cell is
    weight : (K,) effort per metre in a cell of each code; inf: no way leads through
    sources : (S,) flat numbers of cells (row * C + column)

    Returns
    -------
    total (R, C) float64, inf where no way leads
    back (R, C) int8, the neighbour towards the source, -1 none, 8 a source

    Examples
    --------
    >>> total, back = spread(np.zeros((1, 3), dtype=np.uint16), np.array([2.0]), np.array([0]), 10.0)
    >>> total.tolist(), back.tolist()
    ([[0.0, 20.0, 40.0]], [[8, 3, 3]])
    """
    finite = weight[np.isfinite(weight)]
    if len(finite) == 0 or finite.min() <= 0:
        raise ValueError("weights must be positive")
    rows, columns = codes.shape
    width = float(finite.min()) * cell_m
    buckets = int(min(np.ceil(finite.max() / finite.min() * np.sqrt(2)) + 2, MOST_BUCKETS))
    width = max(width, float(finite.max()) * np.sqrt(2) * cell_m / (buckets - 2))
    # a rim that no way crosses spares every step the question whether it leaves the grid
    wall = np.uint16(len(weight))
    fenced = np.full((rows + 2, columns + 2), wall, dtype=np.uint16)
    fenced[1:-1, 1:-1] = codes
    weights = np.append(weight.astype(np.float64), np.inf)
    start = (sources // columns + 1) * (columns + 2) + sources % columns + 1
    move = DOWN * (columns + 2) + RIGHT
    half = np.where((DOWN != 0) & (RIGHT != 0), np.sqrt(2), 1.0) * cell_m / 2
    total, back = _compiled()(fenced.reshape(-1), weights, start.astype(np.int64), move, half, width, buckets)
    shape = (rows + 2, columns + 2)
    return total.reshape(shape)[1:-1, 1:-1], back.reshape(shape)[1:-1, 1:-1]


@cache
def _compiled() -> Callable[..., Any]:
    import numba  # half a second to import, and only who spreads needs it

    try:
        made: Callable[..., Any] = numba.njit(cache=True, nogil=True)(_passes)
    except RuntimeError:  # nowhere to keep the compiled code: compile it in every process
        made = numba.njit(nogil=True)(_passes)
    return made


def _passes(codes: Any, weights: Any, sources: Any, move: Any, half: Any, width: float, buckets: int) -> Any:
    count = codes.size
    total = np.full(count, np.inf)
    back = np.full(count, np.int8(-1))
    following = np.full(count, np.int32(-1))  # doubly linked lists, one for each bucket
    before = np.full(count, np.int32(-1))
    head = np.full(buckets, np.int32(-1))
    waiting = 0
    for n in range(len(sources)):
        cell = sources[n]
        if total[cell] > 0.0:
            total[cell] = 0.0
            back[cell] = 8
            following[cell] = head[0]
            if head[0] >= 0:
                before[head[0]] = cell
            head[0] = cell
            waiting += 1
    now = 0
    while waiting > 0:
        place = now % buckets
        while head[place] >= 0:
            cell = head[place]
            head[place] = following[cell]
            if head[place] >= 0:
                before[head[place]] = -1
            following[cell] = -1
            waiting -= 1
            here, effort = weights[codes[cell]], total[cell]
            for n in range(8):
                there = cell + move[n]
                reached = effort + half[n] * (here + weights[codes[there]])
                was = total[there]
                if reached < was:
                    if was < np.inf:  # it may wait in a later bucket, and leaves it
                        old = int(was / width) % buckets
                        up, down = before[there], following[there]
                        if up >= 0 or down >= 0 or head[old] == there:
                            if up >= 0:
                                following[up] = down
                            else:
                                head[old] = down
                            if down >= 0:
                                before[down] = up
                            waiting -= 1
                    total[there] = reached
                    back[there] = 7 - n
                    place_of = int(reached / width) % buckets
                    following[there] = head[place_of]
                    before[there] = -1
                    if head[place_of] >= 0:
                        before[head[place_of]] = there
                    head[place_of] = there
                    waiting += 1
        now += 1
    return total, back


def way(back: Links, row: int, column: int) -> tuple[Ints, Ints]:
    """(K,) rows and columns of the cells from one cell to the source it was reached from; empty where none leads."""
    if back[row, column] == NOWHERE:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    columns = back.shape[1]
    steps = (DOWN * columns + RIGHT).tolist()
    flat = back.reshape(-1)
    cell = row * columns + column
    cells = [cell]
    link = int(flat[cell])
    while link != SOURCE:
        cell += steps[link]
        cells.append(cell)
        link = int(flat[cell])
    at = np.array(cells, dtype=np.int64)
    return at // columns, at % columns
