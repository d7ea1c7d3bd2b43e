import geopandas as gpd
import pytest
import shapely

from layers.errors import BadInput
from layers.ingest import from_frame
from layers.schema import roles
from layers.snapshot import cut, overlapping


@pytest.mark.parametrize(
    ("role", "column", "theirs", "ours"),
    [
        ("water_protection", "grade", "一级", "first"),
        ("water_protection", "grade", "Ⅱ级", "second"),
        ("water_protection", "grade", "三级", None),  # not "none of the grades": nobody knows which
        ("hazards", "grade", "高易发", "high"),
        ("hazards", "grade", "first", None),
        ("urban_boundary", "kind", "集中建设区", "concentrated"),
        ("urban_boundary", "kind", "村庄", None),
        ("roads", "road_class", "国道", "national"),
        ("mining_rights", "mineral", "石灰岩", "limestone"),
        ("mining_rights", "mineral", "龙血石", None),
        ("mining_rights", "kind", "探矿权", "exploration"),
        ("plots", "cleared_on", "2026年3月1日", "2026-03-01"),
        ("plots", "cleared_on", "2026", None),  # a year names no day
    ],
)
def test_a_class_is_one_we_know_or_not_said(role, column, theirs, ours):
    line = role == "roads"
    shape = shapely.LineString([(0, 0), (9, 9)]) if line else shapely.box(0, 0, 9, 9)
    frame = gpd.GeoDataFrame({column: [theirs]}, geometry=[shape], crs=4545)
    made = from_frame(frame, role, source="file")
    assert made.features[column].iloc[0] == ours
    assert len(made.notes) == (ours is None)


def test_every_role_of_the_contract_is_there():
    wanted = [
        "zones",
        "parcels",
        "plots",
        "land_use",
        "basic_farmland",
        "farmland_reserve",
        "eco_redline",
        "urban_boundary",
        "nature_reserve",
        "water_protection",
        "river_management",
        "rivers",
        "forest_land",
        "public_welfare_forest",
        "wetlands",
        "environment_units",
        "survey_slope",
        "roads",
        "railways",
        "substations",
        "power_lines",
        "power_plants",
        "water_sources",
        "water_mains",
        "wastewater_plants",
        "hazards",
        "karst",
        "mining_rights",
        "heritage",
        "residential",
        "villages",
        "sensitive_sites",
        "enterprises",
        "approved_land",
        "idle_land",
        "violations",
        "plan_zoning",
        "imagery",
        "dem",
    ]
    assert set(wanted) <= roles().keys()
    assert all(role.zh and role.en for role in roles().values())


def test_features_that_share_ground_are_known_and_neighbours_are_not():
    neighbours = shapely.box([0, 10], [0, 0], [10, 20], [10, 10])
    assert not overlapping(*cut(neighbours))
    assert overlapping(*cut(shapely.box([0, 9], [0, 0], [10, 20], [10, 10])))
    assert overlapping(*cut(shapely.box([0, 2], [0, 2], [10, 3], [10, 3])))  # one inside the other


def test_what_the_county_keeps_itself_is_not_imported(tmp_path):
    from layers.gpkg import create

    store = create(tmp_path / "county.gpkg", "县", "EPSG:4545")
    frame = gpd.GeoDataFrame({"id": ["a"]}, geometry=[shapely.box(0, 0, 9, 9)], crs=4545)
    with pytest.raises(BadInput, match="placed is not imported"):
        store.put(from_frame(frame, "placed", source="file"), by="test")
    held = store.at().near("placed", (0, 0, 9, 9))
    assert len(held.pieces) == 0  # nobody holds any ground, and that is known
    store.close()
