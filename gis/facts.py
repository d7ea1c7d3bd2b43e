"""What the ground is: one row per site, one named column per measurement, its unit in its name.

`FACTS` is the table of columns; each row says what is measured on which layer. Rules name these columns, so a new
measurement is one row here and one test. A fact is measured only when a rule asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gis.accuracy import Certain, Reach
from gis.earthwork import PLATFORM, Aspect
from gis.footprint import Frontage, LargestRectangle
from gis.ground import Area, Distance, EdgeDistance, Ground, Measurement, Outside, Overlap, Terrain
from gis.intervals import Interval
from gis.landuse import on_land_use
from gis.quota import QuotaBalance, QuotaNeed
from gis.sorts import IsIn, Within
from gis.ways import RoadReach, RoadRoom, RoadTrucks, RoadWorst

# The law's classes by voltage, and nothing between them: a line of 66 kV keeps the distance of 110 kV.
LINE = {
    "10": Within("voltage_kv", 1, 20),
    "110": Within("voltage_kv", 20.001, 110),
    "220": Within("voltage_kv", 110.001, 330),
    "500": Within("voltage_kv", 330.001, 1100),
}
PLANNED_INDUSTRY = ("1001", "100101", "100102", "100103")  # 用地用海分类 2023: industrial land
FIRE_MAIN_MM = 100.0  # the thinnest main that hydrants stand on (GB 50974-2014)
UNASKED_REACH_M = 5_000.0  # how far a distance is looked for when no rule says
ROAD = {name: IsIn("road_class", (name,)) for name in ("expressway", "national", "provincial", "county", "township")}

FACTS: dict[str, Measurement] = {
    "site_area_m2": Area(),
    # three control lines and what stands beside them
    "basic_farmland_m2": Overlap("basic_farmland"),
    "farmland_reserve_m2": Overlap("farmland_reserve"),
    "eco_redline_m2": Overlap("eco_redline"),
    "outside_urban_boundary_m2": Outside("urban_boundary"),
    "urban_flexible_m2": Overlap("urban_boundary", IsIn("kind", ("flexible",))),
    "urban_special_m2": Overlap("urban_boundary", IsIn("kind", ("special",))),
    "nature_core_m2": Overlap("nature_reserve", IsIn("kind", ("core",))),
    "nature_reserve_m2": Overlap("nature_reserve"),
    "environment_priority_m2": Overlap("environment_units", IsIn("kind", ("priority",)), complete=True),
    # land use
    "cultivated_m2": on_land_use("cultivated"),
    "paddy_m2": on_land_use("paddy"),
    "outside_planned_industry_m2": Outside("plan_zoning", IsIn("code", PLANNED_INDUSTRY)),
    "outside_ready_m2": Outside("parcels", IsIn("ready", (True,))),
    "forest_land_m2": Overlap("forest_land"),
    "welfare_forest_first_m2": Overlap("public_welfare_forest", IsIn("grade", ("first",))),
    "welfare_forest_m2": Overlap("public_welfare_forest"),
    "wetlands_m2": Overlap("wetlands"),
    "approved_land_m2": Overlap("approved_land"),
    "violations_m2": Overlap("violations"),
    # land quota: what a site needs and what its zones have left
    "quota_new_construction_m2": QuotaNeed("new_construction"),
    "quota_agricultural_m2": QuotaNeed("agricultural"),
    "quota_cultivated_m2": QuotaNeed("cultivated"),
    "quota_paddy_m2": QuotaNeed("paddy"),
    "quota_new_construction_balance_m2": QuotaBalance("new_construction"),
    "quota_agricultural_balance_m2": QuotaBalance("agricultural"),
    "quota_cultivated_balance_m2": QuotaBalance("cultivated"),
    # water
    "water_protection_first_m2": Overlap("water_protection", IsIn("grade", ("first",))),
    "water_protection_second_m2": Overlap("water_protection", IsIn("grade", ("second",))),
    "water_protection_quasi_m2": Overlap("water_protection", IsIn("grade", ("quasi",))),
    "intake_catchment_m2": Overlap("intake_catchments"),
    "river_management_m2": Overlap("river_management"),
    "shoreline_m": Distance("river_management"),
    # hazard, mining, heritage
    "hazard_high_m2": Overlap("hazards", IsIn("grade", ("high",))),
    "hazard_medium_m2": Overlap("hazards", IsIn("grade", ("medium",))),
    "hazard_m": Distance("hazards", IsIn("grade", ("high", "medium"))),
    "karst_m": Distance("karst"),
    "mining_rights_m2": Overlap("mining_rights"),
    "heritage_m": Distance("heritage"),
    # terrain
    "slope_mean_deg": Terrain("slope", "mean", "deg"),
    "slope_over_8_share": Terrain("slope", "mean", "share", over=8.0),
    "slope_over_15_share": Terrain("slope", "mean", "share", over=15.0),
    "slope_over_25_share": Terrain("slope", "mean", "share", over=25.0),
    "elevation_min_m": Terrain("elevation", "min", "m"),
    "elevation_max_m": Terrain("elevation", "max", "m"),
    "elevation_range_m": Terrain("elevation", "range", "m"),
    "aspect_deg": Aspect(),
    **PLATFORM,
    "largest_rectangle_m2": LargestRectangle("area_m2", "m2"),
    "largest_rectangle_length_m": LargestRectangle("length_m", "m"),
    "largest_rectangle_width_m": LargestRectangle("width_m", "m"),
    # roads, rail, power lines
    **{f"{name}_road_edge_m": EdgeDistance("roads", sort) for name, sort in ROAD.items()},
    "road_m": Distance("roads"),
    "road_frontage_m": Frontage(),
    "railway_m": EdgeDistance("railways", None, width="width_m", widest_m=30.0),
    **{
        f"line_{name}kv_m": EdgeDistance("power_lines", volts, width="width_m", widest_m=20.0)
        for name, volts in LINE.items()
    },
    "water_main_m": Distance("water_mains"),
    "fire_main_m": Distance("water_mains", Within("diameter_mm", FIRE_MAIN_MM, np.inf)),
    # the way to a trunk road over the network
    "road_reach_m": RoadReach(),
    "road_grade_share": RoadWorst("grade_share", "share"),
    "road_width_min_m": RoadWorst("width_m", "m"),
    "road_bridge_t": RoadWorst("bridge_limit_t", "t"),
    "road_trucks_max_d": RoadTrucks(),
    "road_headroom_td": RoadRoom(),
    # neighbours
    "residential_m": Distance("residential"),
    "sensitive_site_m": Distance("sensitive_sites"),
    "dust_plant_m": Distance("enterprises", IsIn("dust", (True,))),
    "food_plant_m": Distance("enterprises", IsIn("food", (True,))),
}

# For each area shared with a layer, or left by it, the part of it that no shift of the border takes away.
CERTAIN = {
    name: f"{name.removesuffix('_m2')}_certain_m2"
    for name, measured in FACTS.items()
    if isinstance(measured, (Overlap, Outside))
}
# For the ground that may not be touched at all, what may be touched given how well its border is known.
REACH = {name: f"{name.removesuffix('_m2')}_reach_m2" for name in ("basic_farmland_m2", "eco_redline_m2")}
FULL = {of: name for one in (CERTAIN, REACH) for name, of in one.items()}
FACTS |= {REACH[name]: Reach(one) for name in REACH if isinstance(one := FACTS[name], Overlap)}
FACTS |= {CERTAIN[name]: Certain(one) for name in CERTAIN if isinstance(one := FACTS[name], (Overlap, Outside))}


@dataclass(frozen=True)
class Facts:
    """Measured columns of some sites, each (P,); `reach_m` says how far a distance was looked for."""

    count: int
    columns: Mapping[str, Interval]
    reach_m: Mapping[str, float] = field(default_factory=dict)


def measure_facts(ground: Ground, names: Iterable[str], reach_m: Mapping[str, float]) -> dict[str, Interval]:
    """The named facts of a block of sites; `reach_m` as far as a rule asks, per fact."""
    return {name: FACTS[name].measure(ground, reach_m.get(name, UNASKED_REACH_M)) for name in names}
