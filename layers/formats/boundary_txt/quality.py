"""What looks odd in the plots of a boundary file: reported with line and point number, never repaired."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import shapely

from layers.errors import Fault
from layers.formats.boundary_txt.parsing import Document, Plot
from layers.formats.boundary_txt.rings import Built, Run
from layers.records import Geoms

NEAR_M = 0.001  # two points of a ring closer than this are one point measured twice
HAIR_M = 0.05  # boundary points of neighbours that differ by less are meant to be one point
SPIKE_DEG = 1.0  # edges that enclose less run out and back
NOISE_M = 1e-6  # of eastings of eight digits kept as floats
NAMED = 5  # pairs named in one sentence; the rest are counted


def look(document: Document, built: Sequence[Built], geometries: Geoms) -> list[Fault]:
    """Near and repeated points, rings that touch or cross themselves, spikes, numbers used twice, and shared
    boundary points of neighbours that differ by a hair."""
    notes: list[Fault] = []
    for one in built:
        notes += _numbers(document, one.plot)
        for run in one.runs if one.dimension else ():
            notes += _near(document, one, run)
            notes += _spikes(document, one, run)
    return notes + _invalid(document, built, geometries) + _neighbours(document, built)


def _at(document: Document, plot: Plot, row: int, reason: str, fix: str) -> Fault:
    return document.fault(reason, fix, plot, plot.lines[row], plot.numbers[row])


def _numbers(document: Document, plot: Plot) -> list[Fault]:
    """Point numbers that stand in one plot for two places."""
    places: dict[str, set[tuple[float, float]]] = defaultdict(set)
    for number, x, y in zip(plot.numbers, plot.first, plot.second, strict=True):
        places[number].add((x, y))
    again = [number or "(none)" for number, at in places.items() if len(at) > 1]
    if not again:
        return []
    more = f" and {len(again) - NAMED} more" if len(again) > NAMED else ""
    reason = f"point numbers stand for several points each: {', '.join(again[:NAMED])}{more}"
    return [document.fault(reason, "Number the points of a plot once each", plot, plot.line)]


def _near(document: Document, built: Built, run: Run) -> list[Fault]:
    """Points of a ring that are closer than a millimetre: next to each other, or where the ring comes back."""
    count = len(run.points)
    tree = shapely.STRtree(shapely.points(run.points))
    one, other = tree.query(tree.geometries, predicate="dwithin", distance=NEAR_M - NOISE_M)
    notes = []
    for a, b in zip(one, other, strict=True):
        if a >= b:
            continue
        around = built.dimension == 2 and (a, b) == (0, count - 1)
        name = built.plot.numbers[run.rows[a]]
        if b - a == 1 or around:
            reason, fix = f"it lies on point {name} or within a millimetre of it", "Take one of the two out"
        elif built.dimension == 1 and (a, b) == (0, count - 1):
            continue  # a line may come back to where it began
        else:
            reason, fix = f"the ring touches itself here, at point {name}", "Split it into two rings"
        notes.append(_at(document, built.plot, run.rows[b], reason, fix))
    return notes


def _spikes(document: Document, built: Built, run: Run) -> list[Fault]:
    back, on = np.roll(run.points, 1, axis=0) - run.points, np.roll(run.points, -1, axis=0) - run.points
    lengths = np.hypot(*back.T) * np.hypot(*on.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        angle = np.degrees(np.arccos(np.clip((back * on).sum(axis=1) / lengths, -1, 1)))
    sharp = angle < SPIKE_DEG
    if built.dimension == 1:
        sharp[[0, -1]] = False
    reason = "the boundary runs out and back here: a spike of {:.3f}°"
    return [
        _at(document, built.plot, run.rows[row], reason.format(angle[row]), "See whether the point is right")
        for row in np.flatnonzero(sharp)
    ]


def _invalid(document: Document, built: Sequence[Built], geometries: Geoms) -> list[Fault]:
    notes = []
    for row in map(int, np.flatnonzero(~shapely.is_valid(geometries) & ~shapely.is_missing(geometries))):
        one = built[row]
        reason = str(shapely.is_valid_reason(geometries[row]))
        place = reason.partition("[")[2].rstrip("]").split()
        points = np.concatenate([run.points for run in one.runs])
        rows = np.concatenate([run.rows for run in one.runs])
        nearest = 0
        if len(place) >= 2:
            nearest = int(np.argmin(np.hypot(*(points - np.array(place[:2], dtype=float)).T)))
        notes.append(_at(document, one.plot, rows[nearest], f"{reason}, near this point", "Correct its boundary"))
    return notes


def _neighbours(document: Document, built: Sequence[Built]) -> list[Fault]:
    """Boundary points of two plots that lie a hair apart, one sentence for each pair of plots."""
    runs = [(row, run) for row, one in enumerate(built) if one.dimension for run in one.runs]
    if len({row for row, _ in runs}) < 2:
        return []
    points = np.concatenate([run.points for _, run in runs])
    plot = np.concatenate([np.full(len(run.points), row) for row, run in runs])
    point = np.concatenate([run.rows for _, run in runs])
    places, at = np.unique(points, axis=0, return_inverse=True)
    tree = shapely.STRtree(shapely.points(places))
    one, other = tree.query(tree.geometries, predicate="dwithin", distance=HAIR_M)
    apart = (one < other) & (np.hypot(*(places[one] - places[other]).T) > NOISE_M)
    held = defaultdict(list)
    near = np.unique(np.concatenate([one[apart], other[apart]]))
    for index in np.flatnonzero(np.isin(at.ravel(), near)):
        held[int(at.ravel()[index])].append(int(index))
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for a, b in zip(one[apart], other[apart], strict=True):
        for i in held[int(a)]:
            for j in held[int(b)]:
                if plot[i] != plot[j]:
                    first, second = sorted((i, j), key=lambda n: int(plot[n]))
                    pairs[int(plot[first]), int(plot[second])].append((first, second))
    notes = []
    for (first, second), close in pairs.items():
        here, there = built[first].plot, built[second].plot
        said = ", ".join(
            f"{here.numbers[point[i]]} and {there.numbers[point[j]]} "
            f"({np.hypot(*(points[i] - points[j])) * 1000:.1f} mm)"
            for i, j in close[:NAMED]
        )
        more = f" and {len(close) - NAMED} more" if len(close) > NAMED else ""
        reason = f"its boundary points differ by a hair from those of {there.label}: {said}{more}"
        fix = "Give neighbours the same coordinates for a shared point"
        notes.append(document.fault(reason, fix, here, here.lines[point[close[0][0]]]))
    return notes
