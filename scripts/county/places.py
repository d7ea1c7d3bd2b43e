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

# metres in EPSG:4545: the box of 108.303-108.808 E, 27.592-28.337 N. The terrain fills it; surveys end at the outline
WEST, SOUTH, EAST, NORTH = 529_600.0, 3_053_200.0, 579_800.0, 3_136_200.0
MARGIN_M = 3_100.0  # no parcel lies closer to the county's line
LOWEST_M, HIGHEST_M = 377.7, 2_493.8  # 龙门口, where the river leaves the county; 梵净山


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
    Town("刀坝镇", 108.560, 28.230, 400.0, "010"),
    Town("沙子坡镇", 108.420, 28.200, 440.0, "011"),
    Town("杉树镇", 108.370, 28.120, 360.0, "012"),
    Town("缠溪镇", 108.510, 27.860, 400.0, "013"),
    Town("洋溪镇", 108.500, 27.770, 400.0, "014"),
    Town("新寨镇", 108.430, 27.880, 380.0, "015"),
    Town("杨柳镇", 108.480, 27.720, 360.0, "016"),
    Town("罗场乡", 108.370, 27.870, 340.0, "017"),
)


def town(name: str) -> Town:
    return next(t for t in TOWNS if t.name.startswith(name))


def draws(seed: int, subject: str) -> np.random.Generator:
    """The random numbers of one subject, so that a change to one layer leaves the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(subject.encode())])
