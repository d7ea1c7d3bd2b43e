"""Well-known binary that is safe to hand to GEOS, judged on its bytes alone.

GEOS reads a collection within a collection by calling itself, so that 1.8 MB nested 200,000 deep end the process.
Points, lines and polygons cannot nest and need no walk; of the others nearly all hold one part.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAIN, CURVED, BROKEN = 0, 1, 2
DEEPEST = 32  # what GDAL reads as well
SRID = 0x20000000
Z_OR_M = (0x80000000, 0x40000000)
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


def judge(column: Any) -> Bytes:
    """PLAIN, CURVED or BROKEN for each value of an Arrow binary array; nulls count as BROKEN.

    BROKEN is nested deeper than DEEPEST, cut short, or no geometry type; CURVED holds arcs, which GEOS knows not.
    """
    _, offsets, data = column.buffers()
    count = len(column)
    ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + count + 1].astype(np.int64)
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    return _judge(content, ends[:-1], np.diff(ends))


def _judge(data: Bytes, starts: Ints, sizes: Ints) -> Bytes:
    verdict = np.full(len(starts), BROKEN, dtype=np.uint8)
    rows = np.flatnonzero(sizes >= 9)
    code, little = _types(data, starts[rows])
    verdict[rows[(code >= 1) & (code <= 3)]] = PLAIN
    verdict[rows[(code >= 8) & (code <= 17)]] = CURVED
    several = (code >= 4) & (code <= 7)
    rows, little = rows[several], little[several]
    parts = _numbers(data, starts[rows] + 5, little)
    verdict[rows[parts == 0]] = PLAIN
    alone = np.flatnonzero((parts == 1) & (sizes[rows] >= 18))
    inner, _ = _types(data, starts[rows[alone]] + 9)
    simple = alone[(inner >= 1) & (inner <= 3)]
    verdict[rows[simple]] = PLAIN
    left = parts > 0
    left[simple] = False
    view = memoryview(data.data)
    for row in rows[left]:
        verdict[row] = _walk(view[starts[row] : starts[row] + sizes[row]])
    return verdict


def _types(data: Bytes, at: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Geometry type without its Z and M, 0 where it is none, and whether numbers are little-endian."""
    order = data[at]
    number = _numbers(data, at + 1, order == 1)
    code = (number & 0x0FFFFFFF) % 1000
    code[(order > 1) | (number & SRID > 0) | (number & 0x0FFFFFFF >= 4000)] = 0
    return code, order == 1


def _numbers(data: Bytes, at: Ints, little: NDArray[np.bool_]) -> Ints:
    """Unsigned 32-bit numbers at those places."""
    four = data[at[:, None] + np.arange(4)].astype(np.int64)
    forwards = four @ np.array([1, 1 << 8, 1 << 16, 1 << 24])
    numbers: Ints = np.where(little, forwards, four @ np.array([1 << 24, 1 << 16, 1 << 8, 1]))
    return numbers


def _walk(wkb: memoryview) -> int:
    """The verdict on one geometry of parts, by visiting each without recursion."""
    at = 0
    open_: list[int] = []  # how many children each open collection still waits for
    try:
        while True:
            order = "<I" if wkb[at] == 1 else ">I"
            (number,) = struct.unpack_from(order, wkb, at + 1)
            code, at = (number & 0x0FFFFFFF) % 1000, at + 5
            point = 8 * (2 + sum((number & flag) > 0 for flag in Z_OR_M) + (0, 1, 1, 2)[(number & 0x0FFFFFFF) // 1000])
            if 8 <= code <= 17:
                return CURVED
            if not 1 <= code <= 7 or number & SRID:
                return BROKEN
            if open_:
                open_[-1] -= 1
            if code == 1:
                at += point
            else:
                (count,) = struct.unpack_from(order, wkb, at)
                at += 4
                if code == 2:
                    at += count * point
                elif code == 3:
                    for _ in range(count):
                        (vertices,) = struct.unpack_from(order, wkb, at)
                        at += 4 + vertices * point
                else:
                    open_.append(count)
            while open_ and open_[-1] == 0:
                open_.pop()
            if not open_:
                return PLAIN if at <= len(wkb) else BROKEN
            if len(open_) > DEEPEST:
                return BROKEN
    except (struct.error, IndexError):
        return BROKEN
