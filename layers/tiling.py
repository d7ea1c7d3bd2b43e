"""Ground divided, joined and divided anew, so that nothing is lost between neighbours.

What is drawn is never stored as drawn: pieces are made from the ground itself, noded with what was drawn, so that
neighbours share every vertex and the pieces are the ground. A line drawn within NEAR_M of a boundary is that boundary.
Pure functions over geometries in one projected CRS, metres; every fault of a drawing is said at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from layers.errors import BadInput, Fault
from layers.records import Floats, Geoms, Ints

CONSERVED_M2 = 0.01  # ground that an operation may gain or lose in all; what two parcels may be said to share
NEAR_M = 0.01  # lon/lat of seven decimals and boundary files of two put a point this far from where it was
TOUCH_M = 1e-4  # a vertex that noding put on a neighbour's edge lies this near to it
SMALLEST_M2 = 0.1  # assumption: what is smaller is no parcel


@dataclass(frozen=True)
class Tiled:
    """`pieces` (K,) tile the ground; `settled_m2` is the ground of hairline gaps and overlaps closed on the way."""

    pieces: Geoms
    settled_m2: float = 0.0


def array(shapes: Sequence[shapely.Geometry]) -> Geoms:
    return np.array([*shapes, None], dtype=object)[:-1]


def cut(ground: shapely.Geometry, lines: Sequence[shapely.Geometry], name: str) -> Tiled:
    """The pieces into which lines cut the ground, from west to east, then north to south.

    Raises BadInput where a line ends inside, where nothing is cut off, or where a piece is no parcel.

    >>> made = cut(shapely.box(0, 0, 10, 10), [shapely.LineString([(4, -1), (4, 11)])], "A")
    >>> shapely.area(made.pieces).tolist()
    [40.0, 60.0]
    """
    drawn = shapely.get_parts(shapely.line_merge(shapely.union_all([shapely.force_2d(line) for line in lines])))
    faces, loose = _faces(ground, [_lengthened(line, shapely.boundary(ground)) for line in drawn])
    faults = [
        Fault(f"a cut ends inside after {length:.2f} m", "Draw it across, from boundary to boundary", feature=name)
        for length in shapely.length(shapely.intersection(shapely.get_parts(loose), ground))
        if length > 2 * NEAR_M
    ]
    if len(faces) < 2:
        faults.append(Fault("the lines cut nothing off", "Draw each line across the parcel", feature=name))
    faults += _too_small(faces, [name] * len(faces))
    if faults:
        raise BadInput(f"{name} cannot be divided so", faults)
    middle = shapely.get_coordinates(shapely.centroid(faces))
    return Tiled(faces[np.lexsort((-middle[:, 1], middle[:, 0]))])


def tile(ground: shapely.Geometry, wanted: Sequence[shapely.Geometry], names: Sequence[str]) -> Tiled:
    """The ground divided as `wanted` (K,) draws it. Hairlines go to the neighbour they share the longest edge with.

    Raises BadInput with every gap, overlap and piece that reaches outside by more than a hairline.

    >>> made = tile(shapely.box(0, 0, 10, 10), [shapely.box(0, 0, 4, 10), shapely.box(4.001, 0, 10, 10)], "AB")
    >>> bool(shapely.area(made.pieces).sum() == 100.0), round(made.settled_m2, 3)
    (True, 0.01)
    """
    drawn = array([_snapped(shapely.force_2d(one), ground) for one in wanted])
    outside = shapely.difference(drawn, ground)
    faults = [
        Fault(f"{area:,.2f} m2 of it lie outside", "Keep it inside the ground that is divided", feature=name)
        for name, area, wide in zip(names, shapely.area(outside), _is_wide(outside), strict=True)
        if wide
    ]
    faces, _ = _faces(ground, list(shapely.boundary(drawn)))
    points = shapely.point_on_surface(faces)
    shapely.prepare(drawn)
    covers = shapely.contains(drawn[:, None], points[None, :])
    count = covers.sum(axis=0)
    wide = _is_wide(faces)
    for face in np.flatnonzero(wide & (count != 1)):
        area = shapely.area(faces[face])
        if count[face]:
            who = ", ".join(np.asarray(names)[covers[:, face]])
            faults.append(Fault(f"they share {area:,.2f} m2", "Draw a common boundary once", feature=who))
        else:
            where = points[face]
            reason = f"{area:,.2f} m2 around {where.x:.1f}, {where.y:.1f} belong to no piece"
            faults.append(Fault(reason, "Draw the pieces so that they cover all of the ground"))
    owner = np.where(wide & (count == 1), covers.argmax(axis=0), -1)
    if not faults:
        owner = _settle(faces, owner)
        empty = [name for row, name in enumerate(names) if not (owner == row).any()]
        faults += [Fault("it has no ground of its own", "Leave it out or draw it", feature=name) for name in empty]
    if faults:
        raise BadInput("the pieces are not the ground", faults)
    pieces = array([shapely.union_all(faces[owner == row]) for row in range(len(names))])
    faults = _too_small(pieces, names)
    left = float(abs(shapely.area(pieces).sum() - ground.area))
    if left > CONSERVED_M2:  # noding failed: refuse rather than lose ground
        faults.append(Fault(f"{left:.3f} m2 would be gained or lost", "Draw the boundary with fewer, clearer points"))
    if faults:
        raise BadInput("the pieces are not the ground", faults)
    return Tiled(pieces, float(shapely.area(faces[~(wide & (count == 1))]).sum()))


def join(shapes: Sequence[shapely.Geometry], names: Sequence[str], *, multipart: bool = False) -> shapely.Geometry:
    """The ground of several parcels as one; vertices that lie on a neighbour's edge become his, too.

    Raises BadInput where they share ground, or do not hang together and `multipart` does not say that they may.

    >>> join([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], "AB").area
    2.0
    """
    whole = shapely.force_2d(shapes[0])
    for one in shapes[1:]:
        other = _snapped(shapely.force_2d(one), whole, TOUCH_M)
        whole = shapely.union_all([_snapped(whole, other, TOUCH_M), other])
    faults = []
    shared = float(shapely.area(array(shapes)).sum() - whole.area)
    if shared > CONSERVED_M2:
        fix = "Adjust their common boundary first"
        faults.append(Fault(f"they share {shared:,.2f} m2", fix, feature=", ".join(names)))
    if shapely.get_num_geometries(whole) > 1 and not multipart:
        fix = "Say multipart if one parcel of several parts is meant"
        faults.append(Fault("they share no common boundary", fix, feature=", ".join(names)))
    if faults:
        raise BadInput(f"{', '.join(names)} cannot be one parcel", faults)
    return whole


def redraw(shapes: Sequence[shapely.Geometry], boundary: Sequence[shapely.Geometry], names: Sequence[str]) -> Tiled:
    """Neighbours (K,) with a new common boundary: their ground is cut anew, each face stays with whom it mostly was.

    >>> line = shapely.LineString([(0.8, 0), (1.4, 1)])
    >>> made = redraw([shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)], [line], "AB")
    >>> shapely.area(made.pieces).round(9).tolist()
    [1.1, 0.9]
    """
    ground = join(shapes, names)
    faces = cut(ground, boundary, ", ".join(names)).pieces
    shared = shapely.area(shapely.intersection(faces[:, None], array(shapes)[None, :]))
    owner = shared.argmax(axis=1)
    none = [name for row, name in enumerate(names) if not (owner == row).any()]
    if none:
        fix = "Draw it so that each keeps more than half of a side, or send the new shapes"
        faults = [Fault("it would be left without ground", fix, feature=name) for name in none]
        raise BadInput("the boundary cannot be moved so", faults)
    return Tiled(array([shapely.union_all(faces[owner == row]) for row in range(len(names))]))


def overlap_m2(some: Geoms, others: Geoms) -> tuple[Ints, Ints, Floats]:
    """Which of `some` share ground with which of `others`, beyond what rounding leaves, and how much."""
    first, second = shapely.STRtree(others).query(some, predicate="intersects")
    area = shapely.area(shapely.intersection(some[first], others[second]))
    keep = area > CONSERVED_M2
    return first[keep].astype(np.int64), second[keep].astype(np.int64), area[keep]


def _faces(ground: shapely.Geometry, lines: Sequence[shapely.Geometry]) -> tuple[Geoms, shapely.Geometry]:
    """The faces of the ground's boundary noded with lines, and what of the lines bounds no face."""
    noded = shapely.get_parts(shapely.union_all([shapely.boundary(ground), *lines]))
    faces, _, loose, _ = shapely.polygonize_full(noded)
    faces = shapely.get_parts(faces)
    shapely.prepare(ground)
    return faces[shapely.contains(ground, shapely.point_on_surface(faces))], loose


def _settle(faces: Geoms, owner: Ints) -> Ints:
    """Hairline faces, which nobody or several want, given to the neighbour with the longest common edge."""
    owner = owner.copy()
    while (owner < 0).any():
        settled = np.flatnonzero(owner >= 0)
        given = owner.copy()
        for face in np.flatnonzero(owner < 0):
            edge = shapely.length(shapely.intersection(shapely.boundary(faces[face]), shapely.boundary(faces[settled])))
            if len(edge) and edge.max() > 0:
                given[face] = owner[settled[edge.argmax()]]
        if (given == owner).all():
            break  # a hairline that touches nothing: the sum of the pieces will tell
        owner = given
    return owner


def _is_wide(shapes: Geoms) -> np.ndarray:
    """Whether a shape is more than a hairline: somewhere wider than twice NEAR_M."""
    wide: np.ndarray = ~shapely.is_empty(shapely.buffer(shapes, -NEAR_M, quad_segs=1))
    return wide


def _snapped(shape: shapely.Geometry, to: shapely.Geometry, tolerance_m: float = NEAR_M) -> shapely.Geometry:
    moved = shapely.snap(shape, to, tolerance_m)
    return moved if moved.is_valid and not moved.is_empty else shape


def _lengthened(line: shapely.Geometry, to: shapely.Geometry) -> shapely.Geometry:
    """A line whose ends lie within NEAR_M of a boundary, drawn on by as much, so that it reaches it."""
    xy = shapely.get_coordinates(line)
    near = shapely.distance(shapely.points(xy[[0, -1]]), to) <= NEAR_M
    if shapely.is_closed(line) or not near.any():
        return line
    ends = xy[[0, -1]] - xy[[1, -2]]
    ends *= NEAR_M / np.hypot(*ends.T)[:, None]
    ends += xy[[0, -1]]
    return shapely.linestrings(np.concatenate([ends[:1][near[:1]], xy, ends[1:][near[1:]]]))


def _too_small(pieces: Geoms, names: Sequence[str]) -> list[Fault]:
    fix = f"Leave at least {SMALLEST_M2} m2, somewhere wider than {2 * NEAR_M} m"
    return [
        Fault(f"a piece of {area:.3f} m2 is no parcel", fix, feature=name)
        for name, area, wide in zip(names, shapely.area(pieces), _is_wide(pieces), strict=True)
        if area < SMALLEST_M2 or not wide
    ]
