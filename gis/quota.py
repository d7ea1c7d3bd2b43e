"""Land quota (用地指标): how much a site needs and how much the zones it lies in have left.

Need = land use - construction land - ground under a valid approval: ground that was converted costs nothing twice.
The areas nest (new construction ⊇ agricultural ⊇ cultivated, paddy apart) and are never added up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import shapely

from gis import measure
from gis.ground import SLIVER_M2, Ground, Shown, counted, shared, split, unmapped_m2
from gis.intervals import Interval
from gis.landuse import KINDS, LandUse, OfKind, land_use, publish
from gis.published import Published, hundredths
from layers.records import Bools, Floats, Geoms, Ints, Snapshot
from layers.units import rounded

ACCOUNT = re.compile(r"quota/(?P<unit>[^/@]+)/(?P<year>\d{4})/(?P<kind>[a-z_]+)(?:@(?P<carried>\d{4}))?")
UNTIL_USED = ("balance_area", "balance_paddy", "balance_yield", "linked")
DUST_SHARE = 1e-6  # a hair across a zone's border is charged to nobody
__all__ = ["KINDS", "Approval", "QuotaBalance", "QuotaNeed", "in_force", "left"]


@dataclass(frozen=True)
class QuotaNeed:
    """Square metres of a site that would have to be converted: land use less what is built or validly approved.

    Ground whose class is not known may need quota, so it counts in the upper bound alone. An approval that does not
    say its dates may or may not be in force, so it saves nothing there and everything in the lower bound; without
    the layer of approvals nobody knows what is converted already, and the lower bound is zero.
    An approval counts for whatever purpose its batch was given: the tables name batch and document, people judge.
    """

    kind: str
    role: str = "land_use"
    unit: str = "m2"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        return ground.once(self, self._measure)

    def _measure(self, ground: Ground) -> Interval:
        found = land_use(ground)
        if found is None:
            return Interval.unknown(ground.count)
        over = left(ground)
        certain, possible = counted(found.layer, OfKind(self.kind))
        lo = np.where(over.known, found.on(self.kind, over.least, certain), 0) / 100
        hi = (found.on(self.kind, over.most, possible) + over.uncovered) / 100
        doubled = np.flatnonzero(found.parts.doubled_m2 > 0)
        if len(doubled) and certain is not possible:
            # a patch of unknown class may lie under another, which was given the ground
            open_ = over.open[doubled]
            gross = measure.covered_m2(open_, found.layer, measure.overlaps(open_, found.layer), possible)
            hi[doubled] = np.maximum(hi[doubled], rounded(gross, 2) + over.uncovered[doubled] / 100)
            if self.kind != KINDS[0]:  # rounding must not lift a part over its whole
                whole = QuotaNeed(KINDS[KINDS.index(self.kind) - 1]).measure(ground, 0.0).hi
                hi = np.fmin(hi, whole)
        hi = np.maximum(lo, hi)
        return (Interval.exact(lo) if (lo == hi).all() else Interval(lo, hi)).where(ground.surveyed(found.layer))

    def evidence(self, site: shapely.Geometry, ground: Ground, reach_m: float) -> Shown | None:
        layer = ground.layer(self.role)
        return None if layer is None else shared(site, split(layer, OfKind(self.kind))[1])


@dataclass(frozen=True)
class Approval:
    """What of the published land use no valid approval covers, in hundredths of a square metre.

    `least`, `most` (K,): rows of the land use without what may be, or certainly is, approved. `uncovered` (P,):
    ground without a land-use patch and certainly without approval. `open` (P,): the sites without what is certainly
    approved. `known` (P,): the approvals were surveyed there.
    """

    least: Ints
    most: Ints
    uncovered: Ints
    open: Geoms
    known: Bools


def left(ground: Ground) -> Approval:
    """The land use of a block of sites without ground under a valid approval (批而未供, 批次), worked out once."""
    return ground.once("unapproved", _left)


def _left(ground: Ground) -> Approval:
    found = land_use(ground)
    assert found is not None
    approved = ground.layer("approved_land")
    parts, nobody = found.parts, np.zeros(ground.count, dtype=bool)
    if approved is None:
        return Approval(parts.hundredths, parts.hundredths, parts.uncovered, ground.sites, nobody)
    sure, may = in_force(approved, ground.world.as_of.isoformat())
    most, uncovered, open_ = _without(ground, found, approved, sure)
    least = most if (sure == may).all() else _without(ground, found, approved, may)[0]
    return Approval(least, most, uncovered, open_, ground.surveyed(approved))


def _without(ground: Ground, found: LandUse, approved: Snapshot, keep: Bools) -> tuple[Ints, Ints, Geoms]:
    """The published rows, the uncovered ground, and the sites themselves, less the approvals that count."""
    parts = found.parts
    rows, uncovered = parts.hundredths, parts.uncovered
    table = ground.overlaps("approved_land", approved)
    here = np.unique(table.site[keep[table.feature] & (table.area_m2 > SLIVER_M2)])
    if len(here) == 0:
        return rows, uncovered, ground.sites
    rows, uncovered, open_ = rows.copy(), uncovered.copy(), ground.sites.copy()
    open_[here] = _outside(ground.sites[here], approved.once(("counts", keep.tobytes()), lambda all_: all_.where(keep)))
    over = measure.overlaps(open_[here], found.layer)
    stays_m2 = _of_each(over.site, over.feature, over.area_m2, here, parts, len(found.layer.features))
    mine = np.isin(parts.site, here)
    share = np.clip(stays_m2 / parts.gross_m2, 0.0, 1.0)
    rows[mine] = np.floor(parts.hundredths * share + 0.5).astype(np.int64)[mine]
    open_m2 = unmapped_m2(open_[here], shapely.area(open_[here]), found.layer, over)
    uncovered[here] = np.minimum(uncovered[here], hundredths(open_m2))
    twice = here[parts.doubled_m2[here] > 0]
    if len(twice):  # of ground that several patches claim, each keeps what it was given
        left_ = publish(Ground(open_[twice], ground.world), found.layer)
        kept = _of_each(left_.site, left_.feature, left_.hundredths, twice, parts, len(found.layer.features))
        at = np.isin(parts.site, twice)
        rows[at] = np.minimum(parts.hundredths, kept.astype(np.int64))[at]
    return rows, uncovered, open_


def _outside(sites: Geoms, approved: Snapshot) -> Geoms:
    """What is left of each site without the approved ground."""
    site, piece = approved.tree.query(sites, predicate="intersects")
    covered = [shapely.union_all(approved.pieces[piece[site == row]]) for row in range(len(sites))]
    without: Geoms = shapely.difference(sites, np.array(covered, dtype=object))
    return without


def _of_each(site: Ints, feature: Ints, values: Floats | Ints, rows: Ints, parts: Published, count: int) -> Floats:
    """(K,) what a table, whose sites are `rows` of the block, says of each published pair; zero where it has none."""
    key = rows[site] * count + feature
    wanted = parts.site * count + parts.feature
    if len(key) == 0:
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    return np.where(key[at] == wanted, values[at], 0.0)


def in_force(approved: Snapshot, day: str) -> tuple[Bools, Bools]:
    """(M,) approvals that are certainly valid on a day, and those that may be: one that does not say a date may."""
    return approved.once(("in force", day), lambda layer: _in_force(layer, day))


def _in_force(approved: Snapshot, day: str) -> tuple[Bools, Bools]:
    given, until = approved.column("approved_on"), approved.column("valid_until")
    said_given, said_until = pd.notna(given), pd.notna(until)
    started = np.array([isinstance(one, str) and one <= day for one in given], dtype=bool)
    lasts = np.array([isinstance(one, str) and one >= day for one in until], dtype=bool)
    sure = started & lasts
    return sure, (started | ~said_given) & (lasts | ~said_until)


@dataclass(frozen=True)
class QuotaBalance:
    """The largest need a site's zones can still carry for the asked year, charged to each zone by area.

    A zone without an account of its own draws on the county's, which is also charged for ground outside all zones.
    """

    kind: str
    role: str = "zones"
    unit: str = "m2"

    def measure(self, ground: Ground, reach_m: float) -> Interval:
        left = accounts(ground).get(self.kind)
        zones = ground.layer(self.role)
        if zones is None or not left:
            return Interval.unknown(ground.count)
        table = ground.overlaps(self.role, zones)
        codes = zones.once("unit_code", _unit_codes)
        county = county_of(left, codes)
        county_left = left[county] if county is not None else np.nan
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


def county_of(units: Iterable[str], codes: Sequence[str]) -> str | None:
    """The one unit with an account that all zones belong to and that is none of them."""
    county = [unit for unit in units if unit not in codes and all(code.startswith(unit) for code in codes if code)]
    return county[0] if len(county) == 1 else None


def shares(ground: Ground, kind: str) -> list[tuple[str, float]] | None:
    """Which units the first site of a block is charged to for a kind of quota, by area, as `QuotaBalance` reads it.

    None where nobody knows: no zones loaded, the site not wholly in their survey, or ground whose unit keeps no
    account of the kind.
    """
    left, zones = accounts(ground).get(kind), ground.layer("zones")
    if not left or zones is None or not ground.surveyed(zones)[0]:
        return None
    codes = zones.once("unit_code", _unit_codes)
    county = county_of(left, codes)
    table = ground.overlaps("zones", zones)
    mine = table.site == 0
    parts = [(codes[row], m2) for row, m2 in zip(table.feature[mine], table.area_m2[mine], strict=True)]
    parts.append(("", float(unmapped_m2(ground.sites, ground.area_m2, zones, table)[0])))
    found: dict[str, float] = {}
    for code, m2 in parts:
        if m2 / ground.area_m2[0] > DUST_SHARE:
            unit = code if code in left else county
            if unit is None:
                return None
            found[unit] = found.get(unit, 0.0) + float(m2)
    whole = sum(found.values())
    return [(unit, m2 / whole) for unit, m2 in sorted(found.items())]


def _unit_codes(zones: Snapshot) -> list[str]:
    return [code if isinstance(code, str) else "" for code in zones.column("unit_code")]


def accounts(ground: Ground) -> dict[str, dict[str, float]]:
    """Kind -> unit -> balance of the quota that may be used in the asked year, what was carried into it with it."""
    return ground.once("quota accounts", _accounts)


def _accounts(ground: Ground) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for account, balance in ground.world.pools().items():
        said = _said(account)
        if said is not None and may_use(said["kind"], int(said["year"]), said["carried"], ground.world.for_year):
            units = found.setdefault(said["kind"], {})
            units[said["unit"]] = units.get(said["unit"], 0.0) + balance
    return found


@lru_cache(maxsize=65_536)
def _said(account: str) -> re.Match[str] | None:
    return ACCOUNT.fullmatch(account)


def may_use(kind: str, year: int, carried: str | None, for_year: int) -> bool:
    """Whether quota of an origin year may be used for a year: plan quota in its own or the one it was carried into,
    the others (占补, 增减挂钩) until they are used up."""
    return year <= for_year if kind in UNTIL_USED else int(carried or year) == for_year
