"""Land use under a site, by the published overlap: what is farmland, paddy, agricultural or yet to be converted.

A survey patch may hold a share of field ridges (田坎, `deduct_share`): that share is no cultivated land, it is a
class of its own (`deducted_code`, 1203), agricultural all the same (TD/T 1057-2020: KCMJ = TBMJ x KCXS,
TBDLMJ = TBMJ - KCMJ).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from gis import measure
from gis.ground import Ground, Overlap, Read, as_found, counted
from gis.intervals import Interval
from gis.published import Published, published
from layers.records import Bools, Floats, Ints, Snapshot
from layers.units import rounded

ROLE = "land_use"
KINDS = ("new_construction", "agricultural", "cultivated", "paddy")  # each holds the next
WITHOUT_RIDGES = ("cultivated", "paddy")


@dataclass(frozen=True)
class OfKind:
    """Patches that are of a kind: certainly, or possibly where the survey does not say.

    The kinds nest whatever the columns say: paddy is cultivated, cultivated is agricultural, agricultural would have
    to be converted.
    """

    kind: str

    def __call__(self, features: pd.DataFrame) -> tuple[Bools, Bools]:
        three = _said(features, "three_class")
        paddy, may_paddy = _flag(features, "paddy")
        cultivated, may_cultivated = _flag(features, "cultivated")
        cultivated = cultivated | paddy
        agricultural = (three == "agricultural").to_numpy() | cultivated
        converts = (three == "unused").to_numpy() | agricultural
        may_convert = converts | ~(three == "construction").to_numpy()
        may_agricultural = agricultural | three.isna().to_numpy()
        may_cultivated = cultivated | may_cultivated & may_agricultural
        may_paddy = paddy | may_paddy & may_cultivated
        sure = dict(zip(KINDS, (converts, agricultural, cultivated, paddy), strict=True))
        may = dict(zip(KINDS, (may_convert, may_agricultural, may_cultivated, may_paddy), strict=True))
        return sure[self.kind], may[self.kind]


def _said(features: pd.DataFrame, column: str) -> pd.Series:
    return features[column] if column in features else pd.Series(None, index=features.index, dtype=object)


def _flag(features: pd.DataFrame, column: str) -> tuple[Bools, Bools]:
    """Where a boolean column is true, and where nobody said."""
    said = _said(features, column)
    return said.isin([True]).to_numpy(dtype=bool), said.isna().to_numpy(dtype=bool)


@dataclass(frozen=True)
class LandUse:
    """The published overlap of a block of sites with the land-use survey.

    `ridges` (K,) is the deducted part of each row, in the same hundredths as the row it is part of.
    """

    layer: Snapshot
    parts: Published
    ridges: Ints

    def on(self, kind: str, parts: Ints, keep: Bools) -> Ints:
        """(P,) hundredths of each site on the patches where `keep` (M,) holds, ridges left out where the kind asks.

        `parts` (K,) are the hundredths of each row that count: the published ones, or what is left of them.
        """
        whole = parts - ridges_of(self.layer, self.parts.feature, parts) if kind in WITHOUT_RIDGES else parts
        return self.parts.per_site(whole, keep)

    def on_m2(self, ground: Ground, kind: str, keep: Bools) -> Floats:
        """(P,) square metres on the patches where `keep` (M,) holds."""
        on = self.on(kind, self.parts.hundredths, keep) / 100
        doubled = self.parts.doubled_m2 > 0
        if doubled.any() and keep is not counted(self.layer, OfKind(kind))[0]:
            # a patch of unknown class may lie under another, which was given the ground
            gross = measure.covered_m2(ground.sites, self.layer, ground.overlaps(ROLE, self.layer), keep)
            covered = (self.parts.control - self.parts.uncovered) / 100
            on = np.where(doubled, np.maximum(on, np.minimum(rounded(gross, 2), covered)), on)
        return on


def land_use(ground: Ground) -> LandUse | None:
    """The land use of a block of sites, worked out once; None where no survey is loaded."""
    layer = ground.layer(ROLE)
    return None if layer is None else ground.once(ROLE, partial(_land_use, layer))


def publish(ground: Ground, layer: Snapshot) -> Published:
    """The closed overlap with a land-use survey; ground that several patches claim goes to the strictest class."""
    return published(ground, layer, layer.once("rank", _rank))


def _land_use(layer: Snapshot, ground: Ground) -> LandUse:
    parts = publish(ground, layer)
    return LandUse(layer, parts, ridges_of(layer, parts.feature, parts.hundredths))


def ridges_of(layer: Snapshot, feature: Ints, parts: Ints) -> Ints:
    """(K,) the deducted part of pieces of patches, in hundredths, half up."""
    share = deduct_share(layer)[feature]
    return np.floor(parts * share + 0.5).astype(np.int64) if share.any() else np.zeros_like(parts)


def _rank(layer: Snapshot) -> Ints:
    """Who gets ground that several patches claim: the class that asks most, so that it never looks cheaper."""
    rank = np.full(len(layer.features), 5, dtype=np.int64)
    rank[counted(layer, OfKind("new_construction"))[1]] = 4  # may have to be converted: its class is not known
    for place, kind in ((3, "new_construction"), (2, "agricultural"), (1, "cultivated"), (0, "paddy")):
        rank[counted(layer, OfKind(kind))[0]] = place
    return rank


def deduct_share(layer: Snapshot) -> Floats:
    """(M,) share of each patch that is deducted (KCXS); from the patch's areas where only they are given.

    Zero where the survey says nothing: then all of it counts as the patch's own class, which is the most it can be.
    """
    return layer.once("deduct share", _deduct_share)


def _deduct_share(layer: Snapshot) -> Floats:
    said, part, whole, net = (
        layer.column(name).astype(float)
        for name in ("deduct_share", "deducted_area_m2", "patch_area_m2", "net_area_m2")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.isnan(said), part / whole, said)
        share = np.where(np.isnan(share) & pd.notna(layer.column("deducted_code")), 1 - net / whole, share)
    share = np.clip(np.nan_to_num(share, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)
    return np.where(counted(layer, OfKind("agricultural"))[0], share, 0.0)  # ridges lie between fields


@dataclass(frozen=True)
class OnLandUse(Overlap):
    """Square metres of a site on land of a kind, by the published overlap; what nobody mapped may be anything."""

    def bounds(self, ground: Ground, read: Read) -> Interval:
        found = land_use(ground)
        if found is None:
            return Interval.unknown(ground.count)
        certain, possible = counted(found.layer, self.sort)
        lo = read(ground, found.layer, certain)
        hi = lo if certain is possible else np.maximum(lo, read(ground, found.layer, possible))
        return as_found(ground, found.layer, lo, hi + found.parts.uncovered / 100)

    def shared_m2(self, ground: Ground, layer: Snapshot, keep: Bools) -> Floats:
        found = land_use(ground)
        assert found is not None
        assert isinstance(self.sort, OfKind)
        return found.on_m2(ground, self.sort.kind, keep)


def on_land_use(kind: str) -> OnLandUse:
    return OnLandUse(ROLE, OfKind(kind), complete=True)
