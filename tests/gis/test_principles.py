"""The five principles as measures, and nearness to raw material: counted by hand on drawn ground."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from gis.agglomeration import chains_of
from gis.check import check, rulebook
from gis.indicators import with_indicators
from gis.meetings import MEETINGS
from gis.principles import FIVE, columns_of, measured, principles_of
from layers.records import AnnualOutput, Industry, Project
from layers.schema import roles
from tests.worlds import FAR, SITE, kind_world, layer

BOOK = rulebook()
METAL = Project(
    id="EMM",
    name="电解金属锰",
    land_m2=10_000,
    industry=Industry(code="3140"),
    water_m3d=100,
    effluent_m3d=200,
    output_wan=5_000,
    energy_tce=2_000,
    investment_wan=3_000,
)
TEA = Project(id="TEA", land_m2=10_000, industry=Industry(code="1530"))


def point(east):
    return shapely.Point(east, 50)


def plants(*said, extent=FAR):
    """Plants as (metres east of the site's edge, industry, name)."""
    east, industry, name = zip(*said, strict=True)
    return layer("enterprises", [point(100 + one) for one in east], extent, industry=list(industry), name=list(name))


def found(world=None, project=METAL, book=BOOK, site=SITE):
    checked = check([site], project, book, world or kind_world(), extra=columns_of(book))
    return {one.of.measure: one for one in measured(checked, 0, 0)}


def ends(one):
    return (one.low, one.high)


def test_the_table_covers_the_five_principles_and_every_row_is_a_column_with_its_unit():
    table = principles_of(BOOK)
    assert {one.principle for one in table} == {*FIVE, "raw_material"}
    assert all(MEETINGS[one.measure].unit == one.unit for one in table)
    assert {one.better for one in table} == {"more", "less"}


def test_every_code_and_layer_the_tables_name_is_one_we_know():
    industries = set(BOOK.tables["industries"]["code"])
    for name in ("industry_chains", "raw_materials"):
        for prefix in BOOK.tables[name]["code_prefix"]:
            assert prefix in industries or prefix[:3] in industries, (name, prefix)
    minerals = {one.name: one.codes for one in roles()["mining_rights"].columns}["mineral"]
    for row in BOOK.tables["raw_materials"].to_dict("records"):
        assert row["column"] in {one.name for one in roles()[row["role"]].columns}
        assert row["column"] != "mineral" or set(row["values"].split("|")) <= set(minerals), row


# --- agglomeration ---------------------------------------------------------------------------------


def test_plants_of_the_same_chain_are_counted_within_ten_kilometres():
    world = kind_world(
        enterprises=plants(
            (500, "3140", "甲厂"), (2_000, "1530", "茶"), (9_000, "C0820", "锰矿"), (10_001, "3140", "远")
        )
    )
    now = found(world)
    assert ends(now["same_chain_plants"]) == (2, 2)
    assert now["same_chain_plants"].note == ("甲厂、锰矿", "甲厂、锰矿")
    assert now["same_chain_m"].value == 500


def test_a_plant_that_does_not_say_its_industry_may_be_of_the_chain():
    now = found(kind_world(enterprises=plants((300, None, "甲"), (500, "3140", "乙"))))
    assert ends(now["same_chain_plants"]) == (1, 2)
    assert ends(now["same_chain_m"]) == (300, 500)


def test_a_class_of_several_products_belongs_to_a_chain_by_its_product():
    chains = chains_of(BOOK)
    assert chains.of("2613", "五氧化二钒") == (frozenset({"vanadium"}),) * 2
    assert chains.of("2613", "碳酸钡") == (frozenset(), frozenset())
    assert chains.of("2613", None) == (frozenset(), frozenset({"manganese", "vanadium"}))
    assert "manganese" in chains.of("31", None)[1]  # too coarse to tell
    assert chains.of("31", None)[0] == frozenset()


def test_no_plant_at_all_is_zero_and_infinitely_far_but_only_where_it_was_surveyed():
    assert ends(found()["same_chain_plants"]) == (0, 0)
    assert found()["same_chain_m"].bound == "at_least"  # as far as was surveyed
    assert found()["same_chain_m"].low > 900_000
    near = kind_world(enterprises=plants((500, "3140", "甲"), extent=shapely.box(-2_000, -2_000, 2_000, 2_000)))
    assert ends(found(near)["same_chain_plants"]) == (1, np.inf)  # beyond the survey there may be more
    assert found(near)["same_chain_plants"].bound == "at_least"
    assert ends(found(near)["same_chain_m"]) == (500, 500)
    half = kind_world(enterprises=plants((500, "3140", "甲"), extent=shapely.box(50, -2_000, 2_000, 2_000)))
    assert np.isnan(ends(found(half)["same_chain_plants"])).all()


@pytest.mark.parametrize(
    ("project", "world", "why"),
    [
        (METAL, kind_world().without("enterprises"), "所需图层未加载"),
        (METAL.model_copy(update={"industry": None}), kind_world(), "项目未说明行业"),
        (METAL.model_copy(update={"industry": Industry(code="2761")}), kind_world(), "产业链表没有该行业"),
    ],
)
def test_agglomeration_that_cannot_be_counted_is_unknown_and_says_why(project, world, why):
    one = found(world, project)["same_chain_plants"]
    assert np.isnan(ends(one)).all()
    assert (one.value, one.bound) == (None, "unknown")
    assert one.note[0] == why


# --- layout, land, resources, treatment ------------------------------------------------------------


def test_shares_inside_the_park_and_inside_a_zone_that_takes_the_industry():
    two = layer(
        "zones", shapely.box([0, 40], [0, 0], [40, 90], [100, 100]), industries=["31", "15"], unit_code=["a", "b"]
    )
    now = found(kind_world(zones=two))
    assert now["inside_zones_share"].value == pytest.approx(0.9)
    assert now["inside_fitting_zone_share"].value == pytest.approx(0.4)
    untold = layer("zones", shapely.box([0], [0], [40], [100]), industries=[None], unit_code=["a"])
    assert ends(found(kind_world(zones=untold))["inside_fitting_zone_share"]) == pytest.approx((0, 0.4))
    assert np.isnan(found(kind_world().without("zones"))["inside_zones_share"].high)


def test_land_intensity_is_unknown_until_the_table_of_2023_is_loaded():
    one = found()["investment_intensity_ratio"]
    assert one.value is None
    assert "2023 版控制指标表未加载" in one.note[0]
    book = with_indicators(
        BOOK, [{"indicator": "investment_wan_per_ha", "code_prefix": "*", "value": 2_000, "source": "县局"}]
    )
    now = found(book=book)
    assert now["investment_intensity_ratio"].value == pytest.approx(1.5)  # 3,000 on a hectare, 2,000 asked
    assert now["tax_intensity_ratio"].note == ("项目未说明税收或用地", "the project does not say its tax or land")


def test_water_and_energy_per_output():
    now = found()
    assert ends(now["water_m3_per_wan"]) == pytest.approx((100 * 300 / 5_000, 100 * 350 / 5_000))  # 300 to 350 days
    assert now["energy_tce_per_wan"].value == pytest.approx(0.4)
    untold = found(project=METAL.model_copy(update={"output_wan": None}))
    assert untold["energy_tce_per_wan"].note[0] == "项目未说明年产值"
    assert found(project=METAL.model_copy(update={"output_wan": 0.0}))["energy_tce_per_wan"].value is None


def test_an_estimated_draw_gives_an_interval():
    project = Project(
        id="E",
        name="电解金属锰",
        industry=Industry(code="3140"),
        annual_output=AnnualOutput(amount=30_000, unit="t", product="电解金属锰"),
        output_wan=45_000,
    )
    now = found(project=project)["water_m3_per_wan"]
    assert 0 < now.low < now.high
    assert now.value is None


def test_effluent_is_served_where_a_plant_within_reach_has_room():
    world = kind_world()  # one plant 2.4 km off with room for 500
    assert ends(found(world)["effluent_served"]) == (1, 1)
    assert found(world)["effluent_serving_m"].value == 2_400
    full = world.with_pools(**{"capacity__wastewater_plants-1__effluent_m3d": 199.0})
    assert ends(found(full)["effluent_served"]) == (0, 0)
    untold = world.with_pools(**{"capacity__wastewater_plants-1__effluent_m3d": np.nan})
    assert ends(found(untold)["effluent_served"]) == (0, 1)  # nobody knows what is left
    silent = found(world, METAL.model_copy(update={"effluent_m3d": None}))["effluent_served"]
    assert np.isnan(silent.high)
    assert silent.note[0] == "项目未说明废水量"


# --- raw material ----------------------------------------------------------------------------------


def rights(*said, extent=FAR):
    east, mineral, kind = zip(*said, strict=True)
    boxes = [shapely.box(100 + one, 0, 150 + one, 100) for one in east]
    named = [f"矿{n}" for n, _ in enumerate(said)]
    return layer("mining_rights", boxes, extent, mineral=list(mineral), kind=list(kind), name=named)


def test_the_nearest_ore_that_may_be_mined_and_its_name():
    world = kind_world(
        mining_rights=rights(
            (100, "limestone", "mining"), (300, "manganese", "exploration"), (900, "manganese", "mining")
        )
    )
    one = found(world)["raw_material_m"]
    assert one.value == 900
    assert one.note == ("锰矿：矿2", "manganese ore: 矿2")
    assert one.of.better == "less"


def test_a_right_that_does_not_say_its_mineral_may_be_the_one():
    world = kind_world(mining_rights=rights((100, None, None), (900, "manganese", "mining")))
    assert ends(found(world)["raw_material_m"]) == (100, 900)


def test_a_layer_that_is_not_loaded_may_hold_a_nearer_source():
    world = kind_world(mining_rights=rights((900, "manganese", "mining"))).without("enterprises")
    assert ends(found(world)["raw_material_m"]) == (0, 900)
    none = kind_world().without("enterprises").without("mining_rights")
    assert np.isnan(ends(found(none)["raw_material_m"])).all()
    assert found()["raw_material_m"].bound == "none_found"  # both surveyed, none there


def test_tea_is_looked_for_in_tea_fields_by_code_and_system():
    fields = layer(
        "land_use",
        shapely.box([-1e4, 600, 300], [-1e4, 0, 0], [500, 700, 400], [1e4, 100, 100]),
        code_system=["GB/T 21010-2017", "TD/T 1055-2019", "GB/T 21010-2007"],
        code=["0601", "0202K", "0202"],
        three_class=["construction", "agricultural", "agricultural"],
    )
    assert found(kind_world(land_use=fields), TEA)["raw_material_m"].value == 500
    silent = TEA.model_copy(update={"industry": Industry(code="2761")})
    assert found(project=silent)["raw_material_m"].note[0] == "原料表没有该产品"


# --- as one table ----------------------------------------------------------------------------------


def test_many_sites_and_projects_give_what_each_cell_gives_alone():
    world = kind_world(enterprises=plants((500, "3140", "甲"), (2_000, "1530", "茶")))
    sites = [SITE, shapely.box(400, 0, 500, 100), shapely.box(3_000, 0, 3_100, 50)]
    projects = [METAL, TEA]
    whole = check(sites, projects, BOOK, world, extra=columns_of(BOOK))
    for i, site in enumerate(sites):
        for j, project in enumerate(projects):
            alone = found(world, project, site=site)
            for one in measured(whole, i, j):
                assert ends(one) == pytest.approx(ends(alone[one.of.measure]), nan_ok=True), one.of.measure
                assert one.note == alone[one.of.measure].note


def test_a_book_from_before_has_no_measures():
    old = replace(BOOK, tables={name: table for name, table in BOOK.tables.items() if name != "principles"})
    assert columns_of(old) == ()
    assert found(book=old) == {}
