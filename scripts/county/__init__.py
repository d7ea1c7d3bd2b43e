"""The demo county: made-up ground in the shape of a karst mountain county, the same for the same seed.

places, noise, lattice          what everything is drawn with
terrain > settle > roads        valleys, then villages, then the roads that reach them
park > ribbons > cover          zones and blocks, cut by roads and rivers, over a full land-use survey
control, hazard, people,
utilities, supply               the layers that rules ask for
projects, pools, examples       what to check, against which balances, and one site for every verdict
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from scripts.county.control import controls
from scripts.county.cover import cover
from scripts.county.examples import Example, examples
from scripts.county.hazard import hazards, karst_extent
from scripts.county.outline import outline
from scripts.county.park import parcels as parcels_of
from scripts.county.park import park
from scripts.county.people import enterprises, people
from scripts.county.places import CRS, NAME, NORTH, WEST
from scripts.county.pools import pools
from scripts.county.projects import projects
from scripts.county.ribbons import ribbons
from scripts.county.roads import roads
from scripts.county.settle import villages
from scripts.county.supply import supply
from scripts.county.terrain import CELL_M, mean_slope_deg, terrain
from scripts.county.utilities import utilities

__all__ = ["Confirmation", "County", "Dem", "Example", "build"]

Progress = Callable[[str, float], None]


class Dem(NamedTuple):
    """Heights in metres; row 0 is north."""

    values: NDArray[np.float32]
    west: float
    north: float
    cell_m: float


class Confirmation(NamedTuple):
    """The demo county's word that the rulebook's rows hold there."""

    on: date
    document: str


@dataclass(frozen=True, eq=False)
class County:
    """Everything a store needs to become the demo county.

    `extent` is the ground surveyed; `extents` says where a role's survey covered less. All geometry is EPSG:4545.
    `examples` shows each verdict on one site, `further` single rules.
    """

    name: str
    crs: str
    layers: dict[str, gpd.GeoDataFrame]
    extent: shapely.Polygon
    extents: dict[str, shapely.Geometry]
    dem: Dem
    pools: pd.DataFrame
    projects: list[dict[str, Any]]
    confirmations: tuple[Confirmation, ...]
    examples: dict[str, Example]
    further: dict[str, Example]


def build(seed: int = 1, *, parcels: int = 20_000, progress: Progress | None = None) -> County:
    """The demo county of a seed.

    Parameters
    ----------
    parcels : how many, nearest to the zones first
    progress : told what is being made and the share that is done
    """
    say = progress or (lambda _what, _share: None)
    say("地形 terrain", 0.0)
    land = terrain(seed)
    say("园区 zones", 0.2)
    ground = park(seed, land)
    say("道路 roads", 0.4)
    settled = villages(seed, land, ground.zones.geometry.to_numpy())
    benches = np.array([(bench.x, bench.y) for bench in land.benches.values()])
    network = roads(seed, land, settled.points, benches, ground.pads)
    strips = ribbons(seed, land, network)
    say("地类 land use", 0.5)
    plants = enterprises(land, ground)
    survey = cover(seed, land, ground, settled, strips, plants.geometry.to_numpy())
    say("宗地 parcels", 0.65)
    ready, supplied = supply(seed, parcels_of(ground, strips.polygons, parcels), survey)
    say("管控线 control lines", 0.75)
    layers: dict[str, gpd.GeoDataFrame] = {
        "zones": ground.zones,
        "parcels": ready,
        "land_use": survey.land_use,
        "urban_boundary": ground.urban_boundary,
        "plan_zoning": ground.plan_zoning,
        **controls(seed, land, ground, survey),
        "rivers": strips.rivers,
        "river_management": strips.river_management,
        "roads": network,
        "railways": strips.railways,
        **utilities(seed, land),
        **hazards(seed, land),
        **people(seed, settled, survey),
        "enterprises": plants,
        **supplied,
    }
    say("示例 examples", 0.9)
    slope_deg = mean_slope_deg(land.slope_deg, np.asarray(ready.geometry.values, dtype=object))
    asked = projects()
    verdicts, further = examples(layers, slope_deg, asked, karst_extent())
    made = County(
        name=NAME,
        crs=CRS,
        layers=layers,
        extent=outline(),
        extents={"karst": karst_extent()},
        dem=Dem(land.dem, WEST, NORTH, CELL_M),
        pools=pools(seed, layers),
        projects=asked,
        confirmations=(Confirmation(date(2026, 1, 15), "示例县确认书(合成)"),),
        examples=verdicts,
        further=further,
    )
    say("完成 done", 1.0)
    return made
