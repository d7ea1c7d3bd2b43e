"""Redrawing borders, vertex by vertex: each step gives the rows that change and their new shapes.

A place where borders meet is changed for all features that have it or for none. `fixed` (N,) says whose borders must
stay as they are. A feature that cannot be built any more comes back as None.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import shapely

from layers.quality.between import misses
from layers.quality.paths import Paths, representatives
from layers.quality.within import close_segments, spike_tips
from layers.quality.work import Work
from layers.records import Bools, Floats, Geoms, Ints

Step = Callable[[Work, Bools], tuple[Ints, Geoms]]


def without_repeats(work: Work, fixed: Bools) -> tuple[Ints, Geoms]:
    """Areas without vertices that lie on the one before them."""
    borders, _ = work.drawn()
    again = borders.node == borders.node[borders.before]
    return _rebuilt(work, fixed, borders, borders.xy, ~again, again)


def without_spikes(work: Work, fixed: Bools) -> tuple[Ints, Geoms]:
    """Areas without the tips of spikes; a tip is taken where every border that has it turns back there alike."""
    borders, _ = work.drawn()
    tip, _, _ = spike_tips(borders, work.figures["spike.angle_deg"], work.figures["spike.length_m"])
    ends = np.sort(np.stack([borders.node[borders.before[tip]], borders.node[borders.after[tip]]]), axis=0)
    tips = pd.DataFrame({"node": borders.node[tip], "one": ends[0], "other": ends[1]})
    by = tips.groupby("node")
    alike = (by["one"].nunique() == 1) & (by["other"].nunique() == 1)
    count = np.bincount(borders.node, minlength=1)
    free = _free(borders, fixed)
    nodes = [node for node in alike.index[alike] if count[node] == by.size()[node] and free[node]]
    gone = np.zeros(len(count), dtype=bool)
    gone[nodes] = True
    # of two tips beside each other one goes now and the other is looked at again
    beside = tips[gone[tips["node"]]]
    after = (gone[beside["one"]] & (beside["one"] < beside["node"])) | (
        gone[beside["other"]] & (beside["other"] < beside["node"])
    )
    gone[beside.loc[after, "node"]] = False
    drop = gone[borders.node]
    return _rebuilt(work, fixed, borders, borders.xy, ~drop, drop)


def points_joined(work: Work, fixed: Bools) -> tuple[Ints, Geoms]:
    """Areas in which neighbouring vertices closer than the tolerance are one."""
    borders, _ = work.drawn()
    reach = work.figures["near_point.distance_m"]
    start = close_segments(borders, reach)
    return _joined(work, fixed, borders, np.concatenate([start, borders.after[start]]), reach)


def nodes_joined(work: Work, fixed: Bools) -> tuple[Ints, Geoms]:
    """Areas in which vertices on unmatched borders that are closer than the tolerance are one."""
    borders, kept = work.drawn()
    missed = misses(borders, kept, work.figures["near_node.distance_m"], work.figures["near_node.on_border_m"])
    ends = np.concatenate([missed.vertex, missed.start, borders.after[missed.start]])
    return _joined(work, fixed, borders, ends, work.figures["near_node.distance_m"])


def _joined(work: Work, fixed: Bools, borders: Paths, vertex: Ints, reach_m: float) -> tuple[Ints, Geoms]:
    """The places of some vertices brought together; a fixed one draws the others to it."""
    free = _free(borders, fixed)
    node, first = np.unique(borders.node[vertex], return_index=True)
    order = np.lexsort((node, free[node]))
    node, at = node[order], vertex[first[order]]
    to = representatives(borders.xy[at], reach_m)
    moves = (to != np.arange(len(to))) & free[node]
    stands = np.arange(len(free))
    stands[node[moves]] = node[to[moves]]
    place = np.zeros((len(free), 2))
    place[borders.node] = borders.xy
    now = stands[borders.node]
    moved = now != borders.node
    return _rebuilt(work, fixed, borders, place[now], now != now[borders.before], moved)


def nodes_inserted(work: Work, fixed: Bools) -> tuple[Ints, Geoms]:
    """Areas whose border goes through the neighbour's vertex it just missed."""
    borders, kept = work.drawn()
    noise = work.figures["near_node.on_border_m"]
    found = misses(borders, kept, work.figures["near_node.distance_m"], noise)
    free = ~fixed[borders.feature[found.start]]
    vertex, start = found.vertex[free], found.start[free]
    a, b, p = borders.xy[start], borders.xy[borders.after[start]], borders.xy[vertex]
    along = ((p - a) * (b - a)).sum(axis=1) / ((b - a) ** 2).sum(axis=1)
    apart = np.minimum(np.hypot(*(p - a).T), np.hypot(*(p - b).T)) > noise
    between = (along > 0) & (along < 1) & apart
    vertex, start, along = vertex[between], start[between], along[between]
    order = np.lexsort((along, start))
    vertex, start, along = vertex[order], start[order], along[order]
    where = np.concatenate([np.arange(len(borders.xy), dtype=float), start + (1 + along) / 3])
    source = np.concatenate([np.arange(len(borders.xy)), vertex])
    owner = np.concatenate([np.arange(len(borders.xy)), start])
    order = np.argsort(where, kind="stable")
    changed = np.zeros(len(work.shapes), dtype=bool)
    changed[borders.feature[start]] = True
    return _built(work, changed, borders.feature[owner[order]], borders.run[owner[order]], borders.xy[source[order]])


def _free(borders: Paths, fixed: Bools) -> Bools:
    """(nodes,) the places that no fixed feature has."""
    free = np.ones(int(borders.node.max(initial=-1)) + 1, dtype=bool)
    free[borders.node[fixed[borders.feature]]] = False
    return free


def _rebuilt(work: Work, fixed: Bools, borders: Paths, xy: Floats, keep: Bools, touched: Bools) -> tuple[Ints, Geoms]:
    """The areas of which a vertex was touched, from the vertices that are kept."""
    changed = np.zeros(len(work.shapes), dtype=bool)
    changed[borders.feature[touched]] = True
    changed &= ~fixed
    return _built(work, changed, borders.feature[keep], borders.run[keep], xy[keep])


def _built(work: Work, changed: Bools, feature: Ints, run: Ints, xy: Floats) -> tuple[Ints, Geoms]:
    """The changed areas, each ring from its new vertices; in their old parts, with their old holes."""
    rows = np.flatnonzero(changed)
    if len(rows) == 0:
        return rows, np.zeros(0, dtype=object)
    borders, _ = work.drawn()
    runs = pd.unique(borders.run[changed[borders.feature]])
    mine = changed[feature]
    ring = np.searchsorted(runs, run[mine])
    xy = xy[mine]
    size = np.bincount(ring, minlength=len(runs))
    parts, owner = shapely.get_parts(work.shapes[rows], return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    lost = size < 3
    long = ~lost[ring]
    rings = rings.copy()
    if long.any():
        number = np.cumsum(~lost) - 1
        rings[~lost] = shapely.linearrings(xy[long], indices=number[ring[long]])
    polygons = shapely.polygons(rings, indices=part)
    after: Geoms = np.empty(len(rows), dtype=object)
    shapely.multipolygons(polygons, indices=owner, out=after)
    single = shapely.get_type_id(work.shapes[rows]) == 3
    after[single] = shapely.get_geometry(after[single], 0)
    after[np.unique(owner[part[lost]])] = None
    return rows, after
