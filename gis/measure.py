"""Vector measures of sites against one layer: arrays in, arrays out, the same for one site or a million.

Every function takes sites (P,) Polygon or MultiPolygon in the working CRS (metres) and a Snapshot, whose pieces
share no ground within a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from layers.records import Bools, Floats, Geoms, Ints, Snapshot

HAIR_M = 1e-4  # boundary files carry millimetres; lon/lat with ten decimals moves a border by a hundredth of one


@dataclass(frozen=True)
class Overlaps:
    """Which site shares how much ground with which feature: a row for each pair, sorted by site, then feature.

    `inradius_m` is what the shared ground is at least wide enough for: a disc of that radius fits in. It is 0 where
    the layer states no accuracy, because nobody asks then.
    """

    site: Ints
    feature: Ints
    area_m2: Floats
    inradius_m: Floats

    def where(self, rows: Bools) -> Overlaps:
        """The rows (E,) that are kept."""
        return Overlaps(self.site[rows], self.feature[rows], self.area_m2[rows], self.inradius_m[rows])

    def per_site(self, count: int, keep: Bools | None = None) -> Floats:
        """(count,) square metres per site, over the features where `keep` (M,) holds."""
        chosen = slice(None) if keep is None else keep[self.feature]
        return summed(self.site[chosen], self.area_m2[chosen], count)


def covered_m2(sites: Geoms, layer: Snapshot, table: Overlaps, keep: Bools) -> Floats:
    """(P,) ground of each site under the features where `keep` holds, counted once where features overlap.

    Adding up areas would call a site covered by one polygon drawn twice; that must never make it pass.
    """
    total = table.per_site(len(sites), keep)
    if layer.overlapping:
        counted = layer.where(keep)
        several = np.flatnonzero(np.bincount(table.site[keep[table.feature]], minlength=len(sites)) > 1)
        for row in several:
            shared = shared_ground(sites[row], counted)
            total[row] = 0.0 if shared is None else shapely.area(shared[0])
    return total


def overlaps(sites: Geoms, layer: Snapshot) -> Overlaps:
    """The ground each site shares with each feature.

    >>> zones = Snapshot.of("zones", shapely.box([2], [0], [9], [9]))
    >>> table = overlaps(shapely.box([0, 10], [0, 0], [4, 11], [1, 1]), zones)
    >>> table.site.tolist(), table.feature.tolist(), table.area_m2.tolist()
    ([0], [0], [2.0])
    """
    site, piece = layer.tree.query(sites, predicate="intersects")
    if len(site) == 0:
        return Overlaps(site, site, np.zeros(0), np.zeros(0))
    area_m2, radius_m = _shared(sites, site, layer, piece)
    feature = layer.owner[piece]
    key = site * max(len(layer.features), 1) + feature
    order = np.argsort(key, kind="stable")
    key, area_m2 = key[order], area_m2[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    total = np.add.reduceat(area_m2, first)
    widest = np.maximum.reduceat(radius_m[order], first)
    touched = total > 0
    first = order[first][touched]
    return Overlaps(site[first].astype(np.int64), feature[first], total[touched], widest[touched])


def _shared(sites: Geoms, site: Ints, layer: Snapshot, piece: Ints) -> tuple[Floats, Floats]:
    """Area of sites[site] ∩ pieces[piece], pair by pair, and the radius of a disc that fits into it.

    Pieces wholly inside answer from their stored area. Without a stated accuracy no radius is worked out.
    """
    ours = own(sites)
    area_m2, radius_m = np.empty(len(site)), np.zeros(len(site))
    inside = shapely.contains_properly(ours[site], layer.pieces[piece])
    area_m2[inside] = layer.area_m2[piece[inside]]
    rest = ~inside
    ground = shapely.intersection(sites[site[rest]], layer.pieces[piece[rest]])
    area_m2[rest] = shapely.area(ground)
    if layer.layer.accuracy_m is not None:
        radius_m[inside] = inradius_m(layer.pieces[piece[inside]])
        radius_m[rest] = inradius_m(ground)
    return area_m2, radius_m


def inradius_m(areas: Geoms) -> Floats:
    """(K,) radius of a disc that certainly fits into each area; the true one is larger.

    With h holes, what lies within r of the border measures at most L r + pi h r^2 (B. Sz.-Nagy 1959), and the
    whole area lies within its inradius of the border.

    >>> inradius_m(shapely.box([0, 0], [0, 0], [4, 100], [4, 1])).round(3).tolist()
    [1.0, 0.495]
    """
    part, row = shapely.get_parts(areas, return_index=True)
    holes = np.pi * np.bincount(row, shapely.get_num_interior_rings(part), minlength=len(areas))
    area_m2, length_m = shapely.area(areas), shapely.length(areas)
    under = length_m + np.sqrt(length_m**2 + 4 * holes * area_m2)
    found: Floats = np.divide(2 * area_m2, under, out=np.zeros(len(areas)), where=area_m2 > 0)
    return found


def summed(row: Ints, values: Floats, count: int) -> Floats:
    """(count,) the sum of the values of each row; 0 where it has none."""
    total: Floats = np.bincount(row, values, minlength=count).astype(float)
    return total


def mean_width_m(areas: Geoms, row: Ints, count: int) -> Floats:
    """(count,) twice area over perimeter of the areas of each row together: of a strip, its width.

    >>> mean_width_m(shapely.box([0, 0], [0, 1], [100, 100], [0.1, 1.1]), np.array([0, 0]), 1).round(2).tolist()
    [0.1]
    """
    area_m2, length_m = summed(row, shapely.area(areas), count), summed(row, shapely.length(areas), count)
    width: Floats = np.divide(2 * area_m2, length_m, out=np.zeros(count), where=length_m > 0)
    return width


def shared_parts(sites: Geoms, layer: Snapshot, site: Ints, feature: Ints) -> tuple[Geoms, Ints]:
    """The ground that sites[site] shares with the features `feature`, pair by pair: its parts and their pair."""
    if len(site) == 0:
        return np.empty(0, dtype=object), np.empty(0, dtype=np.int64)
    many = len(layer.features)
    wanted = site * many + feature
    order = np.argsort(wanted)
    asked = np.unique(site)
    at, piece = layer.tree.query(sites[asked], predicate="intersects")
    key = asked[at] * many + layer.owner[piece]
    place = np.minimum(np.searchsorted(wanted[order], key), len(wanted) - 1)
    hit = wanted[order][place] == key
    ground = shapely.intersection(sites[asked[at[hit]]], layer.pieces[piece[hit]])
    return areas_of(ground, order[place[hit]])


def left_parts(sites: Geoms, layer: Snapshot, keep: Bools) -> tuple[Geoms, Ints]:
    """What the features where `keep` holds leave of each site: its parts and their site."""
    site, piece = layer.tree.query(sites, predicate="intersects")
    chosen = keep[layer.owner[piece]] & (layer.area_m2[piece] > 0)
    site, piece = site[chosen], piece[chosen]
    taken = shapely.union_all(together(layer.pieces[piece], site, len(sites))[:, None], axis=1)
    return areas_of(shapely.difference(sites, taken), np.arange(len(sites)))


def areas_of(geometries: Geoms, row: Ints) -> tuple[Geoms, Ints]:
    """The parts of geometries that have area, and the row of each."""
    part, of = shapely.get_parts(geometries, return_index=True)
    has_area = shapely.area(part) > 0
    return part[has_area], row[of[has_area]]


def together(parts: Geoms, row: Ints, count: int) -> Geoms:
    """(count,) the parts of each row as one collection; an empty one where a row has none."""
    out: Geoms = np.full(count, shapely.MultiPolygon(), dtype=object)
    if len(parts):
        order = np.argsort(row, kind="stable")
        shapely.multipolygons(parts[order], indices=row[order], out=out)
    return out


def is_hair(parts: Geoms) -> Bools:
    """(K,) whether nothing as wide as HAIR_M fits into each area: rounding of coordinates, not ground."""
    thin = inradius_m(parts) <= HAIR_M / 2
    thin[thin] = shapely.is_empty(shapely.buffer(parts[thin], -HAIR_M / 2))
    return thin


def own(geometries: Geoms) -> Geoms:
    """Prepared copies that nobody else holds: GEOS fills a prepared geometry's index in while it is asked, so that
    two threads must never ask the same one."""
    copies: Geoms = np.asarray(shapely.from_wkb(shapely.to_wkb(geometries)), dtype=object)
    shapely.prepare(copies)
    return copies


def distance_m(sites: Geoms, layer: Snapshot, reach_m: float) -> Floats:
    """(P,) plan distance from each site's edge to the nearest feature; inf where none lies within `reach_m`."""
    found = np.full(len(sites), np.inf)
    if len(layer.pieces):
        (site, _), distance = layer.tree.query_nearest(
            sites, max_distance=reach_m, return_distance=True, all_matches=False
        )
        found[site] = distance
    return found


def edge_distance_m(sites: Geoms, layer: Snapshot, half_width_m: Floats, reach_m: float) -> Floats:
    """(P,) distance to the edge of strips drawn as centrelines, `half_width_m` (M,) to each side.

    Zero within the strip; inf where no edge lies within `reach_m`.
    """
    found = np.full(len(sites), np.inf)
    if len(layer.pieces):
        widest = float(half_width_m.max(initial=0.0))
        site, piece = layer.tree.query(sites, predicate="dwithin", distance=reach_m + widest)
        half = half_width_m[layer.owner[piece]]
        gap = np.maximum(shapely.distance(sites[site], layer.pieces[piece]) - half, 0.0)
        np.minimum.at(found, site, gap)
        found[found > reach_m] = np.inf
    return found


def nearest(site: shapely.Geometry, layer: Snapshot, reach_m: float) -> tuple[shapely.Geometry, int] | None:
    """The straight line from a site to the nearest feature, and its row; None where none lies within reach."""
    if len(layer.pieces) == 0:
        return None
    piece = layer.tree.query_nearest(site, max_distance=reach_m, all_matches=False)
    if len(piece) == 0:
        return None
    return shapely.shortest_line(site, layer.pieces[piece[0]]), int(layer.owner[piece[0]])


def shared_ground(site: shapely.Geometry, layer: Snapshot) -> tuple[shapely.Geometry, Ints] | None:
    """The part of a site that lies in the layer, as one geometry, and the rows it touches; None without area."""
    piece = layer.tree.query(site, predicate="intersects")
    ground = shapely.intersection(site, layer.pieces[piece])
    touched = shapely.area(ground) > 0
    if not touched.any():
        return None
    return shapely.union_all(ground[touched]), np.unique(layer.owner[piece[touched]])


def matrix_m(sites: Geoms, features: Geoms) -> Floats:
    """(P, K) distance from every site to every feature, for layers of few features."""
    between: Floats = shapely.distance(sites[:, None], features[None, :])
    return between


def depth_m(sites: Geoms, extent: shapely.Geometry) -> Floats:
    """(P,) how far each site lies inside an extent; -1 where it is not wholly inside."""
    inside = shapely.covers(own(np.array([extent], dtype=object))[0], sites)
    found = np.full(len(sites), -1.0)
    found[inside] = shapely.distance(sites[inside], shapely.boundary(extent))
    return found
