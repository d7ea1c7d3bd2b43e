"""The occupation review: figures counted by hand, sums that close, and one overlap for facts and tables alike."""

from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.check import check, rulebook
from gis.explain import findings
from gis.ground import Ground
from gis.landuse import on_land_use
from gis.occupation import TABLES, Case, control_area_m2, tables
from gis.published import close, published
from layers.records import Industry, Project
from layers.units import closed
from tests.worlds import SITE, MemoryWorld, kind_world, layer

SYSTEM = "TD/T 1055-2019"
CLASSES = {  # code -> three_class, cultivated, paddy
    "0101": ("agricultural", True, True),
    "0102": ("agricultural", True, False),
    "0103": ("agricultural", True, False),
    "0201": ("agricultural", False, False),
    "0301": ("agricultural", False, False),
    "0401": ("agricultural", False, False),
    "1203": ("agricultural", False, False),
    "1006": ("agricultural", False, False),
    "0601": ("construction", False, False),
    "0404": ("unused", False, False),
    "????": (None, None, None),
}
TEA = Project(id="tea", land_m2=8_000, industry=Industry(code="C1530"), power_kva=400, water_m3d=20, effluent_m3d=10)


def survey(shapes, codes, **columns):
    three, cultivated, paddy = zip(*(CLASSES[code] for code in codes), strict=True)
    return layer(
        "land_use", shapes, code_system=[SYSTEM] * len(codes), code=list(codes), code_name=[f"地类{c}" for c in codes],
        three_class=list(three), cultivated=list(cultivated), paddy=list(paddy), **columns,
    )  # fmt: skip


def terraces(**more):
    """Half the site is terraced paddy with 12 % ridges; the patch goes on beyond the site, and a corner has no patch.

    A 0101  5,000 m2 of 10,000    B 0201  3,000 m2    C 0601  1,200 m2    D 0404  600 m2    no patch  200 m2
    """
    nan = float("nan")
    return survey(
        [shapely.box(-50, 0, 50, 100), shapely.box(50, 0, 100, 60), shapely.box(50, 60, 80, 100),
         shapely.box(80, 60, 100, 90)],
        ["0101", "0201", "0601", "0404"],
        ownership=["30", "31", "20", None],
        patch_area_m2=[9_990.0, 3_000.0, 1_200.0, 600.0],
        net_area_m2=[8_791.2, 3_000.0, 1_200.0, 600.0],
        deducted_code=["1203", None, None, None],
        deduct_share=[0.12, nan, nan, nan],
        deducted_area_m2=[1_198.8, nan, nan, nan],
        slope_class=["3", None, None, None],
        seat_code=["5206251030070000000"] * 3 + ["5206251030080000000"],
        seat_name=["甲村"] * 3 + ["乙村"],
        owner_code=["5206251030070100000", "5206251030070200000", "5206251030000000000", None],
        owner_name=["甲村一组", "甲村二组", "某镇", None],
        patch_no=["12", "13", "14", "15"],
        survey_year=[2023] * 4,
        **more,
    )  # fmt: skip


def spelled(world, site=SITE, project=TEA, purpose="screening", own=frozenset()):
    checked = check([site], project, rulebook(), world, purpose=purpose)
    case = Case.of(checked, 0, 0, findings(checked, 0, 0), {}, own=own)
    return tables(case), checked


def of(rows, **wanted):
    (found,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return found


def total(rows, name="area_m2", **wanted):
    chosen = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return sum(Decimal(str(row[name])) for row in chosen if row[name] is not None)


# --- counted by hand -------------------------------------------------------------------------------


def test_the_land_class_table_counts_ridges_apart_and_what_has_no_patch():
    rows = spelled(kind_world(land_use=terraces()))[0]["land_class_summary"]
    areas = {row["item"]: row["area_m2"] for row in rows}
    assert areas == {
        "agricultural": 8_000.0, "cultivated": 4_400.0, "paddy": 4_400.0, "irrigated": 0.0, "dry": 0.0,
        "orchard": 3_000.0, "forest": 0.0, "grassland": 0.0, "ridges": 600.0, "other_agricultural": 0.0,
        "construction": 1_200.0, "unused": 600.0, "uncovered": 200.0, "total": 10_000.0,
    }  # fmt: skip
    farm = of(rows, item="agricultural")
    assert (farm["state_m2"], farm["collective_m2"], farm["owner_not_said_m2"]) == (0.0, 8_000.0, 0.0)
    assert of(rows, item="unused")["owner_not_said_m2"] == 600.0
    assert of(rows, item="total")["state_m2"] == 1_200.0
    assert of(rows, item="paddy")["share"] == 0.44


def test_a_patch_is_scaled_by_its_share_and_closed_to_the_control_area():
    rows = spelled(kind_world(land_use=terraces()))[0]["patches"]
    paddy = of(rows, code="0101")
    assert (paddy["area_m2"], paddy["net_m2"], paddy["deducted_m2"]) == (5_000.0, 4_400.0, 600.0)
    assert (paddy["scaled_patch_m2"], paddy["scaled_net_m2"]) == (4_995.0, 4_395.6)  # 9,990.00 and 8,791.20 / 2
    # 4,995 + 3,000 + 1,200 + 600 = 9,795 and the site covers 9,800: 4,995 x 9,800 / 9,795 = 4,997.5498
    assert (paddy["adjusted_patch_m2"], paddy["adjusted_net_m2"]) == (4_997.55, 4_397.84)  # less 599.71 of ridges
    assert total(rows, "adjusted_patch_m2") == Decimal("9800.00")
    assert (paddy["seat_name"], paddy["patch_no"], paddy["survey_year"]) == ("甲村", "12", 2023)
    assert of(rows, kind="uncovered")["area_m2"] == 200.0


def test_ridges_are_a_class_of_the_table_by_code():
    rows = spelled(kind_world(land_use=terraces()))[0]["land_classes"]
    assert {(row["code"], row["area_m2"]) for row in rows} == {
        ("0101", 4_400.0), ("0201", 3_000.0), ("0601", 1_200.0), ("0404", 600.0), ("1203", 600.0), (None, 200.0),
    }  # fmt: skip
    ridges = of(rows, code="1203")
    assert (ridges["name"], ridges["system"], ridges["collective_m2"]) == ("田坎", SYSTEM, 600.0)


def test_owners_are_summed_by_town_village_and_group():
    rows = spelled(kind_world(land_use=terraces()))[0]["ownership_summary"]
    first = of(rows, owner_name="甲村一组")
    assert (first["area_m2"], first["town_code"], first["village_code"]) == (5_000.0, "520625103", "520625103007")
    whole = of(rows, kind="total")
    assert (whole["area_m2"], whole["state_m2"], whole["collective_m2"]) == (10_000.0, 1_200.0, 8_000.0)
    assert total(rows, kind="owner") + total(rows, kind="uncovered") == Decimal("10000.0")


def test_the_slope_of_the_survey_and_of_the_patch_stand_side_by_side():
    slopes = layer(
        "survey_slope", [shapely.box(-500, -500, 25, 500), shapely.box(25, -500, 500, 500)], slope_class=["5", "2"]
    )
    rows = spelled(kind_world(land_use=terraces(), survey_slope=slopes))[0]["land_class_summary"]
    paddy = of(rows, item="paddy")
    assert (paddy["survey_slope_5_m2"], paddy["survey_slope_2_m2"]) == (2_200.0, 2_200.0)
    assert (paddy["patch_slope_3_m2"], paddy["patch_slope_5_m2"]) == (4_400.0, 0.0)
    assert of(rows, item="ridges")["survey_slope_5_m2"] == 300.0
    assert of(rows, item="total")["over_25_m2"] == 2_500.0
    without = spelled(kind_world(land_use=terraces()))[0]["land_class_summary"]
    assert of(without, item="paddy")["survey_slope_5_m2"] is None


def test_the_share_of_ridges_is_read_from_areas_where_only_they_are_given():
    nan = float("nan")
    for given_ in (
        {"deducted_area_m2": [240.0], "patch_area_m2": [2_000.0]},
        {"net_area_m2": [1_760.0], "patch_area_m2": [2_000.0], "deducted_code": ["1203"]},
    ):
        made = survey([SITE], ["0103"], **given_)
        assert of(spelled(kind_world(land_use=made))[0]["patches"], kind="patch")["deducted_m2"] == 1_200.0
    silent = survey([SITE], ["0103"], deducted_code=["1203"], deduct_share=[nan])
    found = spelled(kind_world(land_use=silent))[0]
    assert of(found["patches"], kind="patch")["deducted_m2"] == 0.0
    assert of(found["notes"], item="no_deduct_share")
    built = survey([SITE], ["0601"], deducted_code=["1203"], deduct_share=[0.12])
    assert of(spelled(kind_world(land_use=built))[0]["patches"], kind="patch")["deducted_m2"] == 0.0


def test_patches_drawn_over_each_other_count_once_under_the_stricter_class_and_are_told():
    twice = survey([shapely.box(0, 0, 60, 100), shapely.box(40, 0, 100, 100)], ["0601", "0101"])
    found, checked = spelled(kind_world(land_use=twice))
    areas = {row["code"]: row["area_m2"] for row in found["patches"]}
    assert areas == {"0601": 4_000.0, "0101": 6_000.0}
    assert "2,000.00" in of(found["notes"], item="overlapping")["zh"]
    assert checked.column("cultivated_m2", 0, 0).hi[0] == 6_000.0


# --- plan, lines, restrictions, claims -------------------------------------------------------------


def test_the_plan_and_the_boundary_each_close_to_the_control_area():
    zoning = layer(
        "plan_zoning", [shapely.box(0, 0, 100, 70)], code_system=["YDYH-2023"], code=["100102"],
        code_name=["二类工业用地"], document=["示例府函1号"],
    )  # fmt: skip
    boundary = layer("urban_boundary", [shapely.box(0, 0, 80, 100)], kind=["concentrated"])
    rows = spelled(kind_world(plan_zoning=zoning, urban_boundary=boundary))[0]["planning"]
    assert of(rows, code="100102")["area_m2"] == 7_000.0
    assert of(rows, part="use", zone="无规划用途")["area_m2"] == 3_000.0
    inside, outside = of(rows, inside_urban_boundary=True), of(rows, inside_urban_boundary=False)
    assert (inside["zone"], inside["area_m2"], outside["area_m2"]) == ("城镇集中建设区", 8_000.0, 2_000.0)


def test_a_line_says_what_it_takes_and_which_rule_asks():
    farmland = layer("basic_farmland", [shapely.box(90, 0, 200, 100)], name=["甲片"])
    rows = spelled(kind_world(basic_farmland=farmland).without("eco_redline"))[0]["control_lines"]
    assert of(rows, name="甲片")["area_m2"] == 1_000.0
    whole = of(rows, layer="basic_farmland", part="total")
    assert (whole["area_m2"], whole["share"], whole["status"]) == (1_000.0, 0.1, "fail")
    assert "farmland.basic" in whole["rule"]
    missing = of(rows, layer="eco_redline")
    assert (missing["area_m2"], missing["status"]) == (None, "unknown")
    assert of(rows, layer="urban_boundary", part="outside")["area_m2"] == 0.0


def test_a_touch_is_never_rounded_to_nothing():
    sliver = layer("eco_redline", [shapely.box(99.99999, 0, 200, 100)])  # a thousandth of a square metre
    (row,) = [row for row in spelled(kind_world(eco_redline=sliver))[0]["control_lines"] if row["part"] == "feature"]
    assert 0 < row["area_m2"] < 0.01


def test_restrictions_hold_the_rules_and_the_features_with_their_limits():
    wet = layer("wetlands", [shapely.box(0, 0, 10, 100)], name=["沼泽"])
    rows = spelled(kind_world(wetlands=wet).without("mining_rights"))[0]["restrictions"]
    rule = of(rows, rule="wetlands.any")
    assert (rule["value"], rule["limit"], rule["status"], rule["measure"]) == (1_000.0, 1.0, "fail", "overlap")
    assert of(rows, part="feature", feature="沼泽")["value"] == 1_000.0
    assert of(rows, layer="mining_rights")["status"] == "unknown"
    assert not [row for row in rows if row["status"] == "exempt"]


@pytest.mark.parametrize(
    ("dates", "finding"),
    [
        (("2025-01-01", "2027-01-01"), "valid"),
        (("2020-01-01", "2022-01-01"), "lapsed"),
        (("2027-01-01", "2029-01-01"), "not_yet"),
        ((None, "2027-01-01"), "undated"),
        (("2025-01-01", None), "undated"),
    ],
)
def test_an_approval_is_told_with_what_it_is_worth(dates, finding):
    batch = layer("approved_land", [SITE], document=["批1号"], approved_on=[dates[0]], valid_until=[dates[1]])
    row = of(spelled(kind_world(approved_land=batch))[0]["allocation"], layer="approved_land")
    assert (row["finding"], row["document"], row["area_m2"]) == (finding, "批1号", 10_000.0)


def test_ground_supplied_already_is_a_double_allocation_unless_it_is_the_site_itself():
    parcels = layer(
        "parcels", [shapely.box(0, 0, 50, 100), shapely.box(50, 0, 100, 100)],
        right_nature=["出让", None], ready=[True] * 2,
    )  # fmt: skip
    world = kind_world(parcels=parcels)
    rows = spelled(world)[0]["allocation"]
    assert of(rows, feature="parcels-1")["finding"] == "supplied"
    assert of(rows, feature="parcels-2")["finding"] == "registered"
    assert of(spelled(world, own=frozenset({"parcels-1"}))[0]["allocation"], feature="parcels-1")["finding"] == "own"
    assert of(rows, layer="violations")["finding"] == "not_loaded"


def test_ground_that_the_ledger_holds_for_another_is_a_double_allocation_and_ones_own_is_not():
    held = layer("placed", [shapely.box(0, 0, 50, 100)], name=["他项"], project=["P9"], batch=[None])
    rows = spelled(kind_world(placed=held))[0]["allocation"]
    row = of(rows, layer="placed")
    assert (row["finding"], row["name"], row["area_m2"]) == ("held", "他项", 5_000.0)
    own = layer("placed", [shapely.box(0, 0, 50, 100)], name=["自己"], project=[TEA.key], batch=[None])
    assert all(row["layer"] != "placed" for row in spelled(kind_world(placed=own))[0]["allocation"])
    assert all(row["layer"] != "placed" for row in spelled(kind_world())[0]["allocation"])


# --- quota and indicators --------------------------------------------------------------------------


def test_the_balance_is_the_nested_tuple_less_what_is_approved():
    batch = layer("approved_land", [shapely.box(0, 0, 25, 100)], approved_on=["2025-01-01"], valid_until=["2027-01-01"])
    world = kind_world(land_use=terraces(), approved_land=batch)
    rows = spelled(world)[0]["balance"]
    # 2,500 of the paddy patch are approved: 2,500 are left, 2,200 of them without ridges; 200 m2 may be anything
    assert {row["item"]: (row["need_least_m2"], row["need_m2"]) for row in rows[:4]} == {
        "new_construction": (6_100.0, 6_300.0), "agricultural": (5_500.0, 5_700.0), "cultivated": (2_200.0, 2_400.0),
        "paddy": (2_200.0, 2_400.0),
    }  # fmt: skip
    assert of(rows, item="supplement_area")["need_m2"] == 2_400.0
    assert of(rows, item="supplement_yield")["need_m2"] is None
    assert of(rows, item="new_construction")["balance_m2"] == 1e6
    whole = survey([SITE], ["0101"], deduct_share=[0.12])
    exact = of(spelled(kind_world(land_use=whole, approved_land=batch))[0]["balance"], item="cultivated")
    assert (exact["on_site_m2"], exact["approved_m2"], exact["need_m2"]) == (8_800.0, 2_200.0, 6_600.0)


def test_indicators_without_a_limit_are_unknown_and_those_with_one_are_judged():
    project = TEA.model_copy(
        update={"floor_area_m2": 8_000.0, "building_footprint_m2": 3_000.0, "office_land_m2": 400.0, "tax_wan": 40.0}
    )
    rows = {row["item"]: row for row in spelled(kind_world(), project=project)[0]["land_saving"]}
    assert (rows["building_coverage_share"]["value"], rows["building_coverage_share"]["status"]) == (0.375, "fail")
    assert (rows["office_land_share"]["value"], rows["office_land_share"]["status"]) == (0.05, "pass")
    assert (rows["floor_area_ratio"]["value"], rows["floor_area_ratio"]["status"]) == (1.0, "unknown")
    assert (rows["tax_wan_per_ha"]["value"], rows["tax_wan_per_ha"]["limit"]) == (50.0, None)


# --- shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world", [kind_world(land_use=terraces()), MemoryWorld()], ids=["all loaded", "nothing loaded"]
)
def test_every_table_has_the_columns_of_the_catalogue(world):
    found, _ = spelled(world)
    assert list(found) == list(TABLES)
    for name, rows in found.items():
        wanted = {column.name for column in TABLES[name].columns}
        assert all(set(row) == wanted for row in rows), name
    for table in TABLES.values():
        assert table.zh
        assert all(column.zh and column.en for column in table.columns)


def test_without_a_land_use_survey_nothing_is_zero():
    found, _ = spelled(MemoryWorld())
    assert found["land_class_summary"] == found["patches"] == found["ownership_summary"] == []
    assert {row["need_m2"] for row in found["balance"]} == {None}
    assert {row["area_m2"] for row in found["control_lines"]} == {None}
    assert of(found["notes"], item="not_loaded")


# --- closing, for any world ------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=12))
def test_closing_many_sites_at_once_is_closing_each_by_largest_remainder(parts):
    parts = [round(part, 6) for part in parts]
    whole = np.floor(np.array([sum(parts) * 100 + 0.5])).astype(np.int64)
    if abs(sum(parts) * 100 % 1 - 0.5) < 1e-4:  # a tie: binary noise decides
        return
    ours = close(np.zeros(len(parts), dtype=np.int64), np.array(parts), whole)
    assert (ours / 100).tolist() == pytest.approx([float(one) for one in closed(parts, places=2)], abs=1e-9)


EDGE = st.floats(-20, 120).map(lambda x: round(x, 4))
WORLD = st.tuples(
    st.lists(EDGE, min_size=1, max_size=4, unique=True),
    st.lists(EDGE, min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(sorted(CLASSES)), min_size=25, max_size=25),
    st.lists(st.sampled_from([0.0, 0.0731, 0.12, 1 / 3]), min_size=25, max_size=25),
    st.integers(0, 24),
    st.booleans(),
)


def patchwork(drawn):
    """A land-use survey of up to 25 boxes with one hole in it, and one box more over some of them."""
    across, up, codes, shares, hole, doubled = drawn
    xs, ys = [-30.0, *sorted(across), 130.0], [-30.0, *sorted(up), 130.0]
    boxes = [shapely.box(w, s, e, n) for w, e in pairwise(xs) for s, n in pairwise(ys)]
    kept = [n for n in range(len(boxes)) if n != hole]
    shapes, names, ridges = [boxes[n] for n in kept], [codes[n] for n in kept], [shares[n] for n in kept]
    if doubled:
        shapes, names, ridges = [*shapes, shapely.box(10, 10, 60, 60)], [*names, codes[-1]], [*ridges, shares[-1]]
    owners = [("20", "30", None)[n % 3] for n in range(len(names))]
    made = survey(shapes, names, deduct_share=ridges, ownership=owners)
    made.overlapping = doubled
    return made


@settings(deadline=None, max_examples=30)
@given(WORLD)
def test_tables_close_exactly_and_agree_with_the_facts(drawn):
    doubled = drawn[-1]
    made = patchwork(drawn)
    site = shapely.Polygon([(0.1234, 3.3), (97.7, 0.777), (88.8888, 91.01), (3, 77.7777)])
    found, checked = spelled(kind_world(land_use=made), site=site)
    control = Decimal(str(control_area_m2(site)))
    summary = found["land_class_summary"]
    for name in ("land_classes", "patches"):
        assert total(found[name]) == control, name
    assert total(summary, level=0) - total(summary, item="total") == control == total(summary, item="total")
    assert total(found["ownership_summary"]) == 2 * control  # with its own total row
    for parent in ("agricultural", "cultivated"):
        children = [row for row in summary if row["part_of"] == parent]
        assert total(children) == total(summary, item=parent)
    left = total(summary, item="uncovered") + total(summary, item="unknown")
    for fact, item in (("cultivated_m2", "cultivated"), ("paddy_m2", "paddy")):
        interval = checked.column(fact, 0, 0) if fact in checked.facts.columns else None
        interval = interval or on_land_use(item).measure(checked.ground(0), 0.0)
        assert Decimal(str(interval.lo[0])) == total(summary, item=item)
        most = float(control if doubled else total(summary, item=item) + left)
        assert float(interval.hi[0]) <= most + 1e-6  # sums of hundredths as floats
    need = {row["item"]: row for row in found["balance"]}
    assert need["new_construction"]["need_least_m2"] == float(
        total(summary, item="agricultural") + total(summary, item="unused")
    )
    for larger, smaller in (
        ("new_construction", "agricultural"),
        ("agricultural", "cultivated"),
        ("cultivated", "paddy"),
    ):
        for bound in ("need_m2", "need_least_m2"):
            assert need[larger][bound] >= need[smaller][bound]


@settings(deadline=None, max_examples=40)
@given(WORLD, st.integers(1, 30))
def test_a_block_of_sites_is_published_as_each_alone(drawn, count):
    made = patchwork(drawn)
    sites = np.array([shapely.box(n, n / 3, 30 + 2.1717 * n, 40.3 + n) for n in range(count)])
    world = kind_world(land_use=made)
    together = published(Ground(sites, world), made)
    assert (together.per_site(together.hundredths) + together.uncovered == together.control).all()
    for n in range(0, count, 7):
        alone = published(Ground(sites[n : n + 1], world), made)
        mine = together.site == n
        assert together.hundredths[mine].tolist() == alone.hundredths.tolist()
        assert together.uncovered[n] == alone.uncovered[0]
