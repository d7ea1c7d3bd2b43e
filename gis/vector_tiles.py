"""Features as Mapbox Vector Tiles 2.1, encoded as arrays: no loop runs over features or vertices.

In: geometries in web mercator (EPSG:3857) and their attributes as codes into a table of values. Out: the bytes of a
tile with one layer. https://github.com/mapbox/vector-tile-spec/tree/master/2.1

The body of a layer is nothing but variable-length integers, so it is laid out as one array of whole numbers (`_layout`)
and turned into bytes in one go (`_varints`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from gis.web_tiles import Tile
from layers.records import Bools, Floats, Geoms, Ints

Bytes = NDArray[np.uint8]
EXTENT = 4096
MARGIN = 64 / EXTENT  # drawn beyond the edge, so that outlines along the cut stay out of sight
POINT, LINE, POLYGON = 1, 2, 3  # the specification's numbers; GEOS says 3 of a polygon, too
COLLECTION = 7  # of GEOS
PIXELS = 512  # a tile's side on the screen
UNITS = EXTENT // PIXELS  # of a pixel


@dataclass(frozen=True)
class Attributes:
    """What features say of themselves, as tiles say it.

    `codes` (F, K) is the row of `values` that each feature has for each of `keys`, -1 where it has none; `values`
    (V,) are fields of a layer, ready to be written.
    """

    keys: tuple[str, ...]
    codes: NDArray[np.int32]
    values: NDArray[np.object_]

    @classmethod
    def of(cls, columns: pd.DataFrame) -> Attributes:
        """The columns of a frame: texts as texts, booleans as booleans, null as nothing.

        >>> said = Attributes.of(pd.DataFrame({"id": ["a", "b"], "name": ["茶", None]}))
        >>> said.codes.tolist(), [value[4:].decode() for value in said.values]
        ([[0, 2], [1, -1]], ['a', 'b', '茶'])
        """
        codes = np.full(columns.shape, -1, dtype=np.int32)
        values: list[bytes] = []
        for n, name in enumerate(columns):
            mine, unique = pd.factorize(columns[name])
            codes[:, n] = np.where(mine >= 0, mine + len(values), -1)
            values += [_value(one) for one in unique]
        return cls(tuple(map(str, columns)), codes, np.array([*values, None], dtype=object)[:-1])

    def take(self, rows: Ints | Bools) -> Attributes:
        """Those of some features."""
        return Attributes(self.keys, self.codes[rows], self.values)


def _value(value: object) -> bytes:
    is_truth = isinstance(value, (bool, np.bool_))
    return _field(0x22, bytes([0x38, bool(value)]) if is_truth else _field(0x0A, str(value).encode()))


def _field(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def encode(
    name: str,
    shapes: Geoms,
    rows: Ints,
    said: Attributes,
    tile: Tile,
    *,
    coarse_px: float = 0.0,
    least_px2: float = 0.0,
) -> bytes:
    """A tile of one layer named `name`; no bytes at all where nothing is in it.

    Parameters
    ----------
    shapes : (N,) any geometries in EPSG:3857; null and empty ones are left out
    rows : (N,) the row of `said` of each; those of one row become one feature
    said : (F,) attributes
    coarse_px : vertices are moved to a grid of this many screen pixels (a tile has 512 a side), the same for both sides
        of a common border; 0 is the grid of the tile itself, an eighth of a pixel
    least_px2 : holes of fewer square pixels are closed
    """
    parts, at = _clipped(shapes, tile)
    drawn = _drawn(parts, rows[at], tile, max(1, round(coarse_px * UNITS)), 2 * least_px2 * UNITS**2)
    if len(drawn.row) == 0:
        return b""
    codes = said.codes[drawn.row]
    used, mine = np.unique(codes, return_inverse=True)
    body = _layout(drawn, mine.reshape(codes.shape) - int(used[0] == -1))
    keys = b"".join(_field(0x1A, key.encode()) for key in said.keys)
    values = b"".join(said.values[used[used >= 0]])
    layer = b"".join([b"\x78\x02", _field(0x0A, name.encode()), body, keys, values, b"\x28", _varint(EXTENT)])
    return _field(0x1A, layer)


def _clipped(shapes: Geoms, tile: Tile) -> tuple[Geoms, Ints]:
    """Those of the geometries that touch the tile and its margin, in single geometries, and where each comes from.

    Lines and points are cut here, ground by `_cut`: GEOS gives a wrong area where a hole touches its shell.
    """
    west, south, east, north = tile.bounds(MARGIN)
    left, bottom, right, top = shapely.bounds(shapes).T
    at = np.flatnonzero((left <= east) & (right >= west) & (bottom <= north) & (top >= south))  # NaN is nowhere
    across = ~((left >= west) & (right <= east) & (bottom >= south) & (top <= north))[at]
    cut = shapes[at]
    across &= (shapely.get_dimensions(cut) < 2) | (shapely.get_type_id(cut) == COLLECTION)
    cut[across] = shapely.clip_by_rect(cut[across], west, south, east, north)
    parts, owner = shapely.get_parts(cut, return_index=True)
    while (shapely.get_type_id(parts) > POLYGON).any():  # a collection may hold others
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
    return parts, at[owner]


class _Drawn(NamedTuple):
    """Features as drawing commands: (F,) row, kind and length in commands, and all commands in a row."""

    row: Ints
    kind: Ints
    length: Ints
    commands: Ints


def _drawn(parts: Geoms, owner: Ints, tile: Tile, step: int, least: float) -> _Drawn:
    """Single geometries as commands, those of one row and kind together."""
    kind = shapely.get_dimensions(parts) + 1
    order = np.lexsort((np.arange(len(parts)), kind, owner))
    parts, owner, kind = parts[order], owner[order], kind[order]
    # A path is a ring, a line, or all the points of a feature; `feature` numbers runs of equal row and kind.
    feature = np.cumsum(_starts(owner * 4 + kind)) - 1
    is_area = kind == POLYGON
    rings, part = shapely.get_rings(parts[is_area], return_index=True)
    slots = np.ones(len(parts), dtype=np.int64)
    slots[is_area] = np.bincount(part, minlength=int(is_area.sum()))
    part_of = np.repeat(np.arange(len(parts)), slots)
    pieces = parts[part_of]
    pieces[is_area[part_of]] = rings
    xy, path = shapely.get_coordinates(pieces, return_index=True)
    scale = EXTENT / tile.size_m
    x, y = (xy[:, 0] - tile.west) * scale, (tile.north - xy[:, 1]) * scale
    open_end = np.append(_starts(path)[1:], True)[: len(path)] & is_area[part_of][path]  # a ring's end is its beginning
    x, y, path = _cut(x[~open_end], y[~open_end], path[~open_end], is_area[part_of])
    x, y = (np.rint(one / step).astype(np.int64) * step for one in (x, y))
    shell = _starts(part_of)  # the first ring of a part
    return _commands(x, y, path, part_of, shell, feature[part_of], kind[part_of], owner[part_of], least)


def _cut(x: Floats, y: Floats, path: Ints, is_area: Bools) -> tuple[Floats, Floats, Ints]:
    """The vertices of (P,) paths with the rings among them cut to the tile and its margin (Sutherland and Hodgman).

    A ring stays one ring, which runs along the edge between its pieces: its area is that of what lies inside.
    """
    low, high = -MARGIN * EXTENT, EXTENT * (1 + MARGIN)
    for along, sign, bound in (("x", 1, low), ("x", -1, high), ("y", 1, low), ("y", -1, high)):
        here = x if along == "x" else y
        inside = sign * (here - bound) >= 0
        if inside.all():
            continue
        beyond = np.zeros(len(is_area), dtype=bool)
        beyond[path[~inside]] = True
        inside |= ~(beyond & is_area)[path]
        after = _after(path)
        crosses = inside != inside[after]
        share = np.zeros(len(x))
        share[crosses] = (bound - here[crosses]) / (here[after][crosses] - here[crosses])
        count = inside.astype(np.int64) + crosses
        at = np.cumsum(count) - count
        kept, cut = np.flatnonzero(inside), np.flatnonzero(crosses)
        size = int(count.sum())
        new_x, new_y = np.empty(size), np.empty(size)
        for new, old in ((new_x, x), (new_y, y)):
            new[at[kept]] = old[kept]
            new[at[cut] + inside[cut]] = old[cut] + share[cut] * (old[after[cut]] - old[cut])
        (new_x if along == "x" else new_y)[at[cut] + inside[cut]] = bound
        x, y, path = new_x, new_y, np.repeat(path, count)
    return x, y, path


def _after(path: Ints) -> Ints:
    """(V,) the vertex that follows each in its ring, the first after the last.

    >>> _after(np.array([0, 0, 0, 4, 4])).tolist()
    [1, 2, 0, 4, 3]
    """
    after = np.arange(1, len(path) + 1)
    begins = _starts(path)
    after[np.append(begins[1:], True)[: len(path)]] = np.flatnonzero(begins)
    return after


def _starts(values: Ints) -> Bools:
    """(N,) whether each is another than the one before it.

    >>> _starts(np.array([7, 7, 3])).tolist()
    [True, False, True]
    """
    first = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first


def _commands(
    x: Ints,
    y: Ints,
    path: Ints,
    part: Ints,
    shell: Bools,
    feature: Ints,
    kind: Ints,
    owner: Ints,
    least: float,
) -> _Drawn:
    """The commands of paths whose (V,) vertices are whole units; the other arrays but `path` (V,) are by path.

    Holes of twice their area below `least` are closed.
    """
    count = len(part)
    is_area, is_point = kind == POLYGON, kind == POINT
    keep = _starts(path) | _starts(x) | _starts(y)  # not a vertex on the one before it
    after = _after(path)
    keep &= ~is_area[path] | _starts(path) | (x != x[after]) | (y != y[after]) | (after > np.arange(len(path)))
    x, y, path = x[keep], y[keep], path[keep]
    x, y, path = _unbent(x, y, path, is_point, is_area)
    number = np.bincount(path, minlength=count)
    first = np.cumsum(number) - number
    after = _after(path)
    twice = np.bincount(path, x * y[after] - x[after] * y, minlength=count)  # the area, exact in whole numbers
    good = np.where(is_area, (number > 2) & (twice != 0), np.where(is_point, number > 0, number > 1))
    good &= ~is_area | shell | (np.abs(twice) >= least) & _of_shell(good, part, shell)  # no hole without its ground
    # With y downwards the specification wants shells with a positive area and holes with a negative one.
    turned = is_area & (shell == (twice < 0))
    kept = good[path]
    vertex = np.arange(len(path))
    vertex = np.where(turned[path], first[path] + number[path] - 1 - (vertex - first[path]), vertex)[kept]
    x, y = x[vertex], y[vertex]
    renumber = np.cumsum(good) - 1
    path = renumber[path[kept]]
    number, feature, kind, owner = number[good], feature[good], kind[good], owner[good]
    return _laid(x, y, path, number, feature, kind, owner)


def _unbent(x: Ints, y: Ints, path: Ints, is_point: Bools, is_area: Bools) -> tuple[Ints, Ints, Ints]:
    """Without the vertices that lie on the straight way from the one before to the one after."""
    if len(path) < 3:
        return x, y, path
    inner = ~is_point[path]
    inner[0] = inner[-1] = False
    inner[1:-1] &= (path[1:-1] == path[:-2]) & (path[1:-1] == path[2:])
    at = np.flatnonzero(inner)
    ahead_x, ahead_y = x[at + 1] - x[at], y[at + 1] - y[at]
    back_x, back_y = x[at] - x[at - 1], y[at] - y[at - 1]
    straight = (back_x * ahead_y == back_y * ahead_x) & (back_x * ahead_x + back_y * ahead_y > 0)
    keep = np.ones(len(path), dtype=bool)
    keep[at[straight]] = False
    return x[keep], y[keep], path[keep]


def _of_shell(good: Bools, part: Ints, shell: Bools) -> Bools:
    """Whether the first path of each path's part is good."""
    has = np.zeros(int(part.max(initial=-1)) + 1, dtype=bool)
    has[part[shell]] = good[shell]
    return has[part]


def _laid(x: Ints, y: Ints, path: Ints, number: Ints, feature: Ints, kind: Ints, owner: Ints) -> _Drawn:
    """Vertices of (P,) paths as commands: move to the first, line to the others, close where it is a ring."""
    if len(path) == 0:
        nothing = np.empty(0, dtype=np.int64)
        return _Drawn(nothing, nothing, nothing, nothing)
    is_point, is_area = kind == POINT, kind == POLYGON
    size = 1 + 2 * number + ~is_point + is_area
    start = np.cumsum(size) - size
    first = np.cumsum(number) - number
    fresh = _starts(feature)
    moved = _starts(feature[path])  # a feature's first vertex is told from the tile's corner
    within = np.arange(len(path)) - first[path]
    at = start[path] + 1 + 2 * within + ((within > 0) & ~is_point[path])
    commands = np.empty(int(size.sum()), dtype=np.int64)
    commands[at] = _zigzag(np.where(moved, x, np.diff(x, prepend=0)))
    commands[at + 1] = _zigzag(np.where(moved, y, np.diff(y, prepend=0)))
    commands[start] = np.where(is_point, number, 1) << 3 | 1
    line = ~is_point
    commands[start[line] + 3] = (number[line] - 1) << 3 | 2
    commands[start[is_area] + size[is_area] - 1] = 15
    begins = np.flatnonzero(fresh)
    return _Drawn(owner[begins], kind[begins], np.add.reduceat(size, begins), commands)


def _zigzag(values: Ints) -> Ints:
    """Whole numbers with their sign in the last bit.

    >>> _zigzag(np.array([0, -1, 1, -2])).tolist()
    [0, 1, 2, 3]
    """
    return (values << 1) ^ (values >> 63)


def _layout(drawn: _Drawn, codes: Ints) -> bytes:
    """The features of a layer: 0x12 length [0x12 length tags] [0x18 kind] [0x22 length geometry], each."""
    says = codes >= 0
    tag_count = 2 * says.sum(axis=1)
    key = np.broadcast_to(np.arange(codes.shape[1]), codes.shape)
    tags = np.stack([key[says], codes[says]], axis=1).ravel()
    tag_bytes = _summed(_width(tags), tag_count)
    command_bytes = _summed(_width(drawn.commands), drawn.length)
    whole = 1 + _width(tag_bytes) + tag_bytes + 2 + 1 + _width(command_bytes) + command_bytes
    size = 8 + tag_count + drawn.length
    start = np.cumsum(size) - size
    out = np.empty(int(size.sum()), dtype=np.int64)
    middle = start + 4 + tag_count
    out[start], out[start + 1], out[start + 2], out[start + 3] = 0x12, whole, 0x12, tag_bytes
    out[middle], out[middle + 1], out[middle + 2], out[middle + 3] = 0x18, drawn.kind, 0x22, command_bytes
    out[_spread(start + 4, tag_count)] = tags
    out[_spread(middle + 4, drawn.length)] = drawn.commands
    return _varints(out).tobytes()


def _spread(start: Ints, count: Ints) -> Ints:
    """The numbers from each start on, so many of each.

    >>> _spread(np.array([5, 9]), np.array([2, 1])).tolist()
    [5, 6, 9]
    """
    first = np.cumsum(count) - count
    spread: Ints = np.repeat(start - first, count) + np.arange(int(count.sum()))
    return spread


def _summed(values: Ints, count: Ints) -> Ints:
    """Sums of runs of values, `count` in each."""
    total = np.concatenate([[0], np.cumsum(values)])
    end = np.cumsum(count)
    summed: Ints = total[end] - total[end - count]
    return summed


def _width(values: Ints) -> Ints:
    """How many bytes each number takes as a varint; for numbers below 2^35."""
    width = np.ones(len(values), dtype=np.int64)
    for bits in (7, 14, 21, 28):
        width += values >= 1 << bits
    return width


def _varints(values: Ints) -> Bytes:
    """Numbers as varints, one after the other.

    >>> _varints(np.array([1, 300])).tolist()
    [1, 172, 2]
    """
    width = _width(values)
    end = np.cumsum(width)
    out = np.empty(int(end[-1]) if len(end) else 0, dtype=np.uint8)
    start = end - width
    for nth in range(int(width.max(initial=0))):
        those = np.flatnonzero(width > nth)
        more = (width[those] > nth + 1) << 7
        out[start[those] + nth] = (values[those] >> (7 * nth)) & 127 | more
    return out
