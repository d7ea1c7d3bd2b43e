"""Vector measures of sites against one layer: arrays in, arrays out, the same for one site or a million.

Every function takes sites (P,) Polygon or MultiPolygon in the working CRS (metres) and a Snapshot, whose pieces
share no ground within a feature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from layers.records import Bools, Floats, Geoms, Ints, Snapshot


@dataclass(frozen=True)
class Overlaps:
    """Which site shares how much ground with which feature: three columns, sorted by site, then feature."""

    site: Ints
    feature: Ints
    area_m2: Floats

    def per_site(self, count: int, keep: Bools | None = None) -> Floats:
        """(count,) square metres per site, over the features where `keep` (M,) holds."""
        chosen = slice(None) if keep is None else keep[self.feature]
        total: Floats = np.bincount(self.site[chosen], self.area_m2[chosen], minlength=count).astype(float)
        return total


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
        return Overlaps(site, site, np.zeros(0))
    area_m2 = _shared_area_m2(sites, site, layer, piece)
    feature = layer.owner[piece]
    key = site * max(len(layer.features), 1) + feature
    order = np.argsort(key, kind="stable")
    key, area_m2 = key[order], area_m2[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    total = np.add.reduceat(area_m2, first)
    touched = total > 0
    first = order[first][touched]
    return Overlaps(site[first].astype(np.int64), feature[first], total[touched])


def _shared_area_m2(sites: Geoms, site: Ints, layer: Snapshot, piece: Ints) -> Floats:
    """Area of sites[site] ∩ pieces[piece], pair by pair; pieces wholly inside answer from their stored area."""
    ours = own(sites)
    area_m2 = np.empty(len(site))
    inside = shapely.contains_properly(ours[site], layer.pieces[piece])
    area_m2[inside] = layer.area_m2[piece[inside]]
    rest = ~inside
    area_m2[rest] = shapely.area(shapely.intersection(sites[site[rest]], layer.pieces[piece[rest]]))
    return area_m2


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
