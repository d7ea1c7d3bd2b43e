"""Land quota (用地指标): how much a site needs and how much the zones it lies in have left.

Need = land use - construction land - ground under a valid approval: ground that was converted costs nothing twice.
The areas nest (new construction ⊇ agricultural ⊇ cultivated, paddy apart) and are never added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely

from gis import measure
from gis.ground import Ground, IsIn, Shown, Sort, counted, shared, split, unmapped_m2
from gis.intervals import Interval
from gis.measure import Overlaps
from layers.records import Bools, Floats, Geoms, Ints, Snapshot

DUST_SHARE = 1e-6  # a hair across a zone's border is charged to nobody
KINDS: dict[str, Sort] = {
    "new_construction": IsIn("three_class", ("agricultural", "unused")),
    "agricultural": IsIn("three_class", ("agricultural",)),
    "cultivated": IsIn("cultivated", (True,)),
    "paddy": IsIn("paddy", (True,)),
}


@dataclass(frozen=True)
class QuotaNeed:
    """Square metres of a site that would have to be converted.

    Ground whose class is not known may need quota, so it counts in the upper bound alone; without the layer of
    approvals nobody knows what is converted already, so the lower bound is zero.
    """

    kind: str
    role: str = "land_use"
    unit: str = "m2"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        land_use = ground.layer(self.role)
        if land_use is None:
            return Interval.unknown(ground.count)
        approved = ground.layer("approved_land")
        lo, hi = self._on(ground.sites, ground.area_m2, land_use, ground.overlaps(self.role, land_use))
        if approved is None:
            lo = np.zeros_like(hi)
        else:
            rows, left = _unapproved(ground, approved)
            if len(rows):
                table = measure.overlaps(left, land_use)
                lo[rows], hi[rows] = self._on(left, shapely.area(left), land_use, table)
            lo[~ground.surveyed(approved)] = 0.0
        return Interval(lo, hi).where(ground.surveyed(land_use))

    def _on(self, sites: Geoms, area_m2: Floats, land_use: Snapshot, table: Overlaps) -> tuple[Floats, Floats]:
        certain, possible = counted(land_use, KINDS[self.kind])
        lo = measure.covered_m2(sites, land_use, table, certain)
        hi = lo if certain is possible else measure.covered_m2(sites, land_use, table, possible)
        return lo.copy(), hi + unmapped_m2(sites, area_m2, land_use, table)

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        land_use = ground.layer(self.role)
        if land_use is None:
            return None
        return shared(site, split(land_use, KINDS[self.kind])[1])


def _unapproved(ground: Ground, approved: Snapshot) -> tuple[Ints, Geoms]:
    """The sites that touch ground under a valid approval, and what is left of each without it.

    An approval without an end date is not known to be valid, so it saves nothing.
    """
    day = ground.world.as_of.isoformat()
    pieces = approved.once(("valid", day), lambda layer: layer.where(_valid_on(layer, day)))
    site, piece = pieces.tree.query(ground.sites, predicate="intersects")
    rows = np.unique(site)
    covered = [shapely.union_all(pieces.pieces[piece[site == row]]) for row in rows]
    return rows, shapely.difference(ground.sites[rows], np.array(covered, dtype=object))


def _valid_on(approved: Snapshot, day: str) -> Bools:
    """Approvals given by that day and not yet lapsed; one that does not say its dates is not known to be valid."""
    given, until = approved.column("approved_on"), approved.column("valid_until")
    return np.array(
        [
            isinstance(end, str) and end >= day and not (isinstance(start, str) and start > day)
            for start, end in zip(given, until, strict=True)
        ],
        dtype=bool,
    )


@dataclass(frozen=True)
class QuotaBalance:
    """The largest need a site's zones can still carry for the asked year, charged to each zone by area.

    A zone without an account of its own draws on the county's, which is also charged for ground outside all zones.
    """

    kind: str
    role: str = "zones"
    unit: str = "m2"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        left = _balances(ground.world.pools(), ground.world.for_year, self.kind)
        zones = ground.layer(self.role)
        if zones is None or not left:
            return Interval.unknown(ground.count)
        table = ground.overlaps(self.role, zones)
        codes = zones.once("unit_code", _unit_codes)
        county = [
            left[unit] for unit in left if unit not in codes and all(code.startswith(unit) for code in codes if code)
        ]
        county_left = county[0] if len(county) == 1 else np.nan
        balance = np.maximum([left.get(code, county_left) for code in codes], 0.0)
        share = table.area_m2 / ground.area_m2[table.site]
        counts = share > DUST_SHARE
        carries = np.full(ground.count, np.inf)
        with np.errstate(invalid="ignore"):  # an unknown balance makes an unknown limit
            np.minimum.at(carries, table.site[counts], balance[table.feature[counts]] / share[counts])
        outside = unmapped_m2(ground.sites, ground.area_m2, zones, table) / ground.area_m2
        beyond = outside > DUST_SHARE
        carries[beyond] = np.minimum(carries[beyond], np.maximum(county_left, 0.0) / outside[beyond])
        return Interval.exact(carries).where(ground.surveyed(zones))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        return None


def _unit_codes(zones: Snapshot) -> list[str]:
    return [code if isinstance(code, str) else "" for code in zones.column("unit_code")]


def _balances(pools: Mapping[str, float], year: int, kind: str) -> dict[str, float]:
    """Balance by unit of the accounts `quota/<unit>/<year>/<kind>`."""
    tail = f"/{year}/{kind}"
    return {
        account[len("quota/") : -len(tail)]: balance
        for account, balance in pools.items()
        if account.endswith(tail) and account.startswith("quota/")
    }
