"""Where things are named: the window, the towns, and what a seed draws.

Positions of towns are labels on made-up ground: approximate, and no survey stands behind them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from pyproj import Transformer

CRS = "EPSG:4545"
COUNTY = "520625"
NAME = "印江示例县(合成数据)"

# metres in EPSG:4545; every layer is surveyed over this ground unless its extent says otherwise
WEST, SOUTH, EAST, NORTH = 535_000.0, 3_093_000.0, 572_000.0, 3_120_000.0
MARGIN_M = 3_100.0  # no parcel lies closer to the window's edge


@dataclass(frozen=True)
class Town:
    """A town's label. `division` is its three digits in a parcel code (地籍区)."""

    name: str
    lon: float
    lat: float
    radius_m: float
    division: str

    @property
    def at(self) -> tuple[float, float]:
        x, y = _TO_WORKING.transform(self.lon, self.lat)
        return float(x), float(y)


_TO_WORKING = Transformer.from_crs("EPSG:4490", CRS, always_xy=True)

TOWNS = (
    Town("峨岭街道", 108.410, 27.995, 1500.0, "001"),
    Town("朗溪镇", 108.500, 28.020, 620.0, "002"),
    Town("合水镇", 108.575, 28.060, 620.0, "003"),
    Town("木黄镇", 108.670, 28.120, 760.0, "004"),
    Town("板溪镇", 108.420, 28.070, 480.0, "005"),
    Town("天堂镇", 108.500, 28.150, 480.0, "006"),
    Town("紫薇镇", 108.600, 27.972, 420.0, "007"),
    Town("新业社区", 108.690, 28.050, 420.0, "008"),
    Town("中兴街道", 108.363, 28.010, 520.0, "009"),
)


def town(name: str) -> Town:
    return next(t for t in TOWNS if t.name.startswith(name))


def draws(seed: int, subject: str) -> np.random.Generator:
    """The random numbers of one subject, so that a change to one layer leaves the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(subject.encode())])
