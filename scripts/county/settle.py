"""Where people live: villages on the gentler ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layers.records import Floats, Geoms
from scripts.county.burn import is_near
from scripts.county.outline import is_inside
from scripts.county.places import EAST, NORTH, SOUTH, TOWNS, WEST, draws
from scripts.county.terrain import Terrain

SPACING_M = 850.0
SYLLABLES = ("坪", "溪", "沟", "坝", "寨", "岩", "塘", "湾", "岭", "坡", "井", "田")
FIRST = (
    "大",
    "小",
    "上",
    "下",
    "新",
    "老",
    "龙",
    "凤",
    "石",
    "水",
    "杨",
    "张",
    "李",
    "田",
    "冉",
    "任",
    "陈",
    "黄",
    "白",
    "青",
)


@dataclass(frozen=True, eq=False)
class Villages:
    points: Floats  # (V, 2)
    names: tuple[str, ...]


def villages(seed: int, terrain: Terrain, taken: Geoms, *, most: int = 640) -> Villages:
    """Spots on gentle ground that keep their distance from each other, from the water and from `taken` ground."""
    rng = draws(seed, "villages")
    tried = rng.random((60_000, 2)) * [EAST - WEST, NORTH - SOUTH] + [WEST, SOUTH]
    tried = tried[is_inside(tried[:, 0], tried[:, 1], depth_m=600.0)]
    x, y = tried.T
    steep = np.max([terrain.slope_at(x + dx, y + dy) for dx in (-60, 0, 60) for dy in (-60, 0, 60)], axis=0)
    likely = (steep < 16) & (terrain.height_at(x, y) < 1_500)
    likely &= ~is_near([river.line for river in terrain.rivers], x, y, 130.0)
    tried = tried[likely & ~is_near(taken, x, y, 260.0)]
    chosen = np.array([t.at for t in TOWNS])
    for spot in tried:
        if len(chosen) >= most + len(TOWNS):
            break
        if np.hypot(*(chosen - spot).T).min() > SPACING_M:
            chosen = np.vstack([chosen, spot])
    points = np.round(chosen[len(TOWNS) :], 3)
    picks = rng.integers(0, [len(FIRST), len(SYLLABLES), len(FIRST)], size=(len(points), 3))
    names = tuple(f"{FIRST[a]}{FIRST[c] if a != c else ''}{SYLLABLES[b]}村" for a, b, c in picks)
    return Villages(points, names)
