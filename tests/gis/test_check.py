"""The single check, the batch and the table are one thing, and what is not known never passes."""

import numpy as np
import pytest
import shapely

from gis.check import BLOCK, check, rulebook
from gis.explain import findings, verdict
from gis.facts import FACTS
from gis.intervals import Interval
from gis.judge import Status, Verdict, margin, status
from layers.errors import BadInput
from layers.records import Industry, Project
from tests.worlds import FAR, SITE, MemoryWorld, grid, kind_world, layer

BOOK = rulebook()
CONFIRMED = BOOK.confirmed([{"rule": r.id, "document": "县定文号", "date": "2026-01-01"} for r in BOOK.rules])
TEA = Project(
    id="tea",
    land_m2=8_000,
    industry=Industry(code="C1530"),
    power_kva=400,
    water_m3d=20,
    effluent_m3d=10,
    dust=False,
    hazardous=False,
)
V2O5 = TEA.model_copy(update={"id": "v2o5", "industry": Industry(code="2613")})


def one(project, world, book=CONFIRMED, site=SITE, purpose="screening"):
    return verdict(check([site], project, book, world, purpose=purpose), 0, 0)


def found(project, world, rule, book=CONFIRMED, site=SITE, purpose="screening"):
    checked = check([site], project, book, world, purpose=purpose)
    return next(finding for finding in findings(checked, 0, 0) if finding.rule == rule)


# --- every rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda rule: rule.id)
def test_each_rule_passes_fails_and_is_unknown(rule):
    limit = 1_000.0 if isinstance(rule.limit, str) else float(rule.limit)
    worse = -1.0 if rule.op == ">=" else 1.0
    values = Interval.exact(np.array([limit, limit + worse, np.nan, np.nan]))
    applies = None if rule.when is None else Interval.exact(np.array([1.0, 1.0, 1.0, 0.0]))
    result = status(margin(values, rule.op, Interval.exact(np.full(4, limit))), applies)
    assert result[:3].tolist() == [Status.PASS, Status.FAIL, Status.UNKNOWN]
    assert result[3] == (Status.UNKNOWN if rule.when is None else Status.EXEMPT)


def test_the_book_has_what_the_county_needs():
    assert len(BOOK.rules) >= 20
    assert all(rule.basis and rule.edition and rule.at and rule.confidence for rule in BOOK.rules)


# --- verdicts, counted by hand ---------------------------------------------------------------------


def test_a_tea_plant_on_good_ground_is_clear():
    checked = check([SITE], TEA, CONFIRMED, kind_world())
    assert verdict(checked, 0, 0) is Verdict.CLEAR, [f for f in findings(checked, 0, 0) if f.status != "pass"]


def test_basic_farmland_blocks_and_the_evidence_is_the_shared_ground():
    world = kind_world(basic_farmland=layer("basic_farmland", [shapely.box(50, 0, 500, 500)], name=["甲片"]))
    assert one(TEA, world) is Verdict.BLOCKED
    finding = found(TEA, world, "farmland.basic")
    assert (finding.status, finding.value, finding.margin) == ("fail", 5_000.0, -4_999.0)
    assert finding.evidence.area == pytest.approx(5_000)
    assert "甲片" in finding.message["zh"]


def test_a_sliver_of_basic_farmland_is_conditional_not_clear():
    world = kind_world(basic_farmland=layer("basic_farmland", [shapely.box(99.995, 0, 200, 100)]))
    assert one(TEA, world) is Verdict.CONDITIONAL


def test_a_neighbour_that_only_touches_the_site_is_clear():
    world = kind_world(basic_farmland=layer("basic_farmland", [shapely.box(100, 0, 200, 100)]))
    assert one(TEA, world) is Verdict.CLEAR


@pytest.mark.parametrize(("gap", "expected"), [(900, Verdict.BLOCKED), (1_000, Verdict.CLEAR), (1_500, Verdict.CLEAR)])
def test_a_chemical_plant_keeps_a_kilometre_from_the_managed_shoreline(gap, expected):
    river = layer("river_management", [shapely.box(100 + gap, -5_000, 200 + gap, 5_000)])
    assert one(V2O5, kind_world(river_management=river)) is expected
    assert one(TEA, kind_world(river_management=river)) is Verdict.CLEAR


def test_a_centreline_of_the_river_does_not_stand_for_its_shoreline():
    world = kind_world(rivers=layer("rivers", [shapely.LineString([(5_000, 0), (5_000, 9)])])).without(
        "river_management"
    )
    assert one(V2O5, world) is Verdict.UNDETERMINED


def test_an_unconfirmed_row_leaves_the_answer_undetermined():
    river = layer("river_management", [shapely.box(600, 0, 700, 100)])
    assert one(V2O5, kind_world(river_management=river), book=BOOK) is Verdict.UNDETERMINED
    finding = found(V2O5, kind_world(river_management=river), "river.chemical", book=BOOK)
    assert finding.status == "fail"
    assert "待核" in finding.message["zh"]


def test_the_highway_is_measured_from_the_edge_of_its_land():
    def road(**columns):
        return kind_world(roads=layer("roads", [shapely.LineString([(-1e4, -25), (1e4, -25)])], **columns))

    assert one(TEA, road(road_class=["national"], land_width_m=[8.0])) is Verdict.CLEAR  # 25 - 4 = 21 m
    assert one(TEA, road(road_class=["national"], land_width_m=[12.0])) is Verdict.BLOCKED  # 25 - 6 = 19 m
    assert one(TEA, road(road_class=["national"], land_width_m=[np.nan])) is Verdict.UNDETERMINED
    assert one(TEA, road(road_class=[None], land_width_m=[12.0])) is Verdict.UNDETERMINED  # any class may keep 20 m
    assert one(TEA, road(road_class=["township"], land_width_m=[12.0])) is Verdict.CLEAR


def test_quota_counts_what_would_be_converted_and_nothing_twice():
    farm = layer(
        "land_use",
        [shapely.box(-1e4, -1e4, 1e4, 50), shapely.box(-1e4, 50, 1e4, 1e4)],
        code_system=["GB/T 21010-2017"] * 2,
        code=["0404", "0601"],
        three_class=["unused", "construction"],
        cultivated=[False] * 2,
        paddy=[False] * 2,
    )
    finding = found(TEA, kind_world(land_use=farm), "quota.new_construction")
    assert (finding.value, finding.limit, finding.status) == (5_000.0, 1e6, "pass")
    given = {"approved_on": ["2025-01-01"], "valid_until": ["2027-01-01"]}
    approved = layer("approved_land", [shapely.box(0, 0, 40, 100)], **given)
    assert found(TEA, kind_world(land_use=farm, approved_land=approved), "quota.new_construction").value == 3_000.0
    lapsed = layer("approved_land", [shapely.box(0, 0, 40, 100)], valid_until=["2025-01-01"])
    assert found(TEA, kind_world(land_use=farm, approved_land=lapsed), "quota.new_construction").value == 5_000.0
    short = kind_world(land_use=farm).with_pools(quota__520625__2026__new_construction=4_999.0)
    assert one(TEA, short) is Verdict.BLOCKED


def test_a_site_across_zones_is_charged_by_area():
    zones = layer(
        "zones",
        [shapely.box(-1e4, -1e4, 50, 1e4), shapely.box(50, -1e4, 1e4, 1e4)],
        industries=["15"] * 2,
        unit_code=["A", "B"],
    )
    world = kind_world(zones=zones).with_pools(
        quota__A__2026__new_construction=1e6, quota__B__2026__new_construction=2_000.0
    )
    assert found(TEA, world, "quota.new_construction").limit == pytest.approx(4_000.0)  # half of the need fits B


def test_the_nearest_substation_with_enough_left_serves():
    two = layer("substations", [shapely.Point(600, 0), shapely.Point(4_100, 0)], name=["满", "余"])
    world = kind_world(substations=two).with_pools(
        **{"capacity__substations-1__power_kva": 100.0, "capacity__substations-2__power_kva": 9_000.0}
    )
    assert found(TEA, world, "power.reach").value == pytest.approx(4_000)
    assert found(TEA, world, "power.headroom").limit == 9_000
    hungry = TEA.model_copy(update={"power_kva": 9_500.0})
    assert one(hungry, world) is Verdict.CONDITIONAL
    assert found(hungry, world, "power.headroom").margin == -500
    untold = world.with_pools(**{"capacity__substations-2__power_kva": np.nan})
    assert one(hungry, untold) is Verdict.UNDETERMINED


def test_food_keeps_its_distance_from_dust():
    plant = layer("enterprises", [shapely.Point(500, 50)], name=["老水泥厂"], dust=[True], food=[False])
    assert one(TEA, kind_world(enterprises=plant)) is Verdict.BLOCKED
    silent = layer("enterprises", [shapely.Point(500, 50)], name=["某厂"], dust=[None], food=[False])
    assert one(TEA, kind_world(enterprises=silent)) is Verdict.UNDETERMINED


def test_steep_ground_is_conditional_and_no_terrain_is_undetermined():
    world = kind_world()
    x = np.tile(np.arange(200) * 20.0, (200, 1))
    world._rasters["dem"] = grid(x * np.tan(np.radians(20)), west=-2_000, north=2_000, cell_m=20.0)
    assert one(TEA, world) is Verdict.CONDITIONAL
    assert found(TEA, world, "slope.mean").value == pytest.approx(20, abs=1e-3)
    assert one(TEA, kind_world().without("dem")) is Verdict.UNDETERMINED


def test_what_a_project_does_not_say_is_unknown():
    silent = Project(id="x", land_m2=8_000)
    assert one(silent, kind_world()) is Verdict.UNDETERMINED
    finding = found(silent, kind_world(), "power.headroom")
    assert finding.status == "unknown"
    assert "power_kva" in finding.message["en"]


def test_a_chemical_rule_passes_far_away_whatever_the_industry():
    assert found(Project(id="x", land_m2=8_000), kind_world(), "river.chemical").status == "pass"


def test_an_unknown_industry_is_refused_with_its_neighbours():
    with pytest.raises(BadInput) as refused:
        check([SITE], TEA.model_copy(update={"industry": Industry(code="C1599")}), BOOK, kind_world())
    assert "153 精制茶加工" in str(refused.value) or "15" in str(refused.value)


def test_first_screening_does_not_ask_for_floor_areas():
    asked = {rule.id for rule in BOOK.asked("screening", kind_world().as_of)}
    assert "indicator.coverage" not in asked
    assert "indicator.coverage" in {rule.id for rule in BOOK.asked("supply", kind_world().as_of)}


def test_a_year_before_the_substation_opens_gives_the_other_answer():
    # The world leaves out what is not open yet; the rules never see it.
    later = kind_world()
    assert one(TEA, later) is Verdict.CLEAR
    assert one(TEA, later.replaced(layer("substations", []))) is Verdict.CONDITIONAL


# --- the surveyed extent ---------------------------------------------------------------------------


def test_a_site_partly_outside_the_survey_is_unknown():
    half = layer("eco_redline", [], extent=shapely.box(50, -1e5, 1e5, 1e5))
    assert one(TEA, kind_world(eco_redline=half)) is Verdict.UNDETERMINED


def test_a_survey_that_ends_nearby_vouches_no_farther_than_its_end():
    near_end = shapely.box(-300, -300, 400, 400)  # the site lies 300 m inside
    world = kind_world(river_management=layer("river_management", [], extent=near_end))
    assert one(V2O5, world) is Verdict.UNDETERMINED
    finding = found(V2O5, world, "river.chemical")
    assert finding.status == "unknown"
    inside = layer("river_management", [shapely.box(300, 0, 310, 10)], extent=near_end)
    assert found(V2O5, kind_world(river_management=inside), "river.chemical").status == "fail"


ASKED = sorted(
    {
        FACTS[column].role
        for rule in BOOK.asked("screening", kind_world().as_of)
        for column in rule.columns
        if column in FACTS and FACTS[column].role and rule.severity != "warn" and rule.when is None
    }
)


@pytest.mark.parametrize("role", ASKED)
def test_a_layer_nobody_loaded_is_unknown_not_zero(role):
    assert one(V2O5, kind_world().without(role)) is Verdict.UNDETERMINED


def test_a_thousand_faults_never_make_an_answer_better():
    """Layers removed, cropped, or robbed of their attributes: the verdict is never clear unless it was, and never
    clear when a layer the rules read is gone from the site."""
    rng = np.random.default_rng(20260601)
    worse = 0
    for _ in range(1_000):
        site = shapely.box(*(corner := rng.uniform(-3_000, 3_000, 2)), *(corner + rng.uniform(60, 140, 2)))
        hits = {
            role: layer(role, [shapely.box(*(at := rng.uniform(-3_200, 3_200, 2)), *(at + rng.uniform(50, 900)))])
            for role in rng.choice(["basic_farmland", "eco_redline", "wetlands", "river_management"], 2, replace=False)
        }
        world = kind_world(**hits)
        truth = one(V2O5, world, site=site)
        role = str(rng.choice(ASKED))
        fault = rng.integers(3)
        if fault == 0 or role == "dem":
            broken = world.without(role)
        else:
            whole = world.near(role, site.bounds)
            west, _, east, _ = site.bounds
            middle = (west + east) / 2
            part = shapely.box(middle, -1e5, 1e5, 1e5) if fault == 1 else shapely.box(-1e5, -1e5, middle, 1e5)
            broken = world.replaced(layer(role, whole.pieces, part, **dict(whole.features.drop(columns="id"))))
        answer = one(V2O5, broken, site=site)
        assert answer >= Verdict.UNDETERMINED, (role, fault, truth)
        worse += answer > truth
    assert worse > 100, "the faults changed nothing, so that the test proved nothing"


# --- one and many ----------------------------------------------------------------------------------


def random_world(rng) -> MemoryWorld:
    def blobs(count):
        corner = rng.uniform(-2_000, 2_000, (count, 2))
        return shapely.box(*corner.T, *(corner + rng.uniform(20, 800, (count, 2))).T)

    rivers = layer("river_management", blobs(4), extent=shapely.box(-1_500, -2_500, 3_000, 3_000))
    roads = [shapely.LineString(rng.uniform(-2_500, 2_500, (6, 2))) for _ in range(6)]
    classes = rng.choice(["national", "county", "township", None], 6).tolist()
    widths = rng.choice([8.0, 20.0, np.nan], 6)
    return kind_world(
        basic_farmland=layer("basic_farmland", blobs(5)),
        hazards=layer("hazards", blobs(3), grade=rng.choice(["high", "medium", None], 3).tolist()),
        river_management=rivers,
        roads=layer("roads", roads, road_class=classes, land_width_m=widths),
    )


@pytest.mark.parametrize("seed", range(8))
def test_single_check_batch_and_table_agree(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    world = random_world(rng)
    corner = rng.uniform(-1_900, 1_700, (40, 2))
    sites = shapely.box(*corner.T, *(corner + rng.uniform(30, 200, (40, 2))).T)
    projects = [TEA, V2O5, Project(id="bare", land_m2=3_000)]
    monkeypatch.setattr("gis.check.BLOCK", 7)
    table = check(sites, projects, CONFIRMED, world)
    for j, project in enumerate(projects):
        column = check(sites, project, CONFIRMED, world)
        assert (column.status[:, :, 0] == table.status[:, :, j]).all()
        for i in rng.choice(40, 8, replace=False):
            cell = check([sites[i]], project, CONFIRMED, world)
            assert (cell.status[:, 0, 0] == table.status[:, i, j]).all()
            for name, column_ in cell.facts.columns.items():
                assert column_.hi[0] == pytest.approx(table.facts.columns[name].hi[i], rel=1e-12, nan_ok=True), name
            assert [f.message for f in findings(cell, 0, 0)] == [f.message for f in findings(table, int(i), j)]


def test_sites_that_are_not_areas_are_all_named():
    bad = [shapely.Point(0, 0), SITE, shapely.Polygon(), shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])]
    with pytest.raises(BadInput) as refused:
        check(bad, TEA, BOOK, kind_world())
    assert [fault.feature for fault in refused.value.faults] == ["site 1", "site 3", "site 4"]


def test_a_frame_in_another_crs_is_brought_to_the_county():
    import geopandas as gpd

    frame = gpd.GeoDataFrame(geometry=[shapely.box(500_000, 3_100_000, 500_100, 3_100_100)], crs=4545)
    there = check(frame, TEA, BOOK, kind_world())
    again = check(frame.to_crs(4490), TEA, BOOK, kind_world())
    assert again.facts.columns["site_area_m2"].hi == pytest.approx(there.facts.columns["site_area_m2"].hi, rel=1e-6)
    assert FAR.is_valid


def test_ground_covered_twice_is_covered_once():
    """Two copies of half a boundary do not make a whole one."""
    half = shapely.box(-1e4, -1e4, 50, 1e4)
    twice = layer("urban_boundary", [half, half], kind=["concentrated"] * 2)
    finding = found(TEA, kind_world(urban_boundary=twice), "boundary.outside")
    assert (finding.status, finding.value) == ("fail", 5_000.0)
    zones = layer("zones", [half, half], industries=["15"] * 2, unit_code=["A"] * 2)
    assert found(TEA, kind_world(zones=zones), "zone.industry").value == 5_000.0


def test_a_grade_nobody_wrote_down_is_not_no_grade():
    unsaid = layer("water_protection", [shapely.box(0, 0, 50, 50)], grade=[None])
    assert one(TEA, kind_world(water_protection=unsaid)) is Verdict.UNDETERMINED


# --- what a hostile reader found -------------------------------------------------------------------


def test_an_industry_said_too_coarsely_is_not_harmless():
    river = kind_world(river_management=layer("river_management", [shapely.box(200, 0, 300, 100)]))
    coarse = TEA.model_copy(update={"industry": Industry(code="C27")})  # some groups of 27 are chemical, some are not
    assert found(coarse, river, "river.chemical").status == "unknown"


@pytest.mark.parametrize("purpose", ["screening", "pre_review", "conversion", "supply", "entry", "verification"])
def test_a_county_without_layers_is_clear_for_nothing(purpose):
    mine = Project(id="m", land_m2=5_000, industry=Industry(code="0820"), power_kva=100, water_m3d=1, effluent_m3d=0)
    assert one(mine, MemoryWorld(), purpose=purpose) >= Verdict.UNDETERMINED


def test_ground_the_land_use_survey_left_out_may_be_cultivated():
    gap = layer("land_use", [shapely.box(0, 0, 50, 100)], code_system=["GB/T 21010-2017"], code=["0601"],
                three_class=["construction"], cultivated=[False], paddy=[False])  # fmt: skip
    assert found(TEA, kind_world(land_use=gap), "farmland.cultivated").status == "unknown"


def test_a_zone_drawn_twice_hides_no_ground_outside_it():
    half = shapely.box(-1e4, -1e4, 50, 1e4)
    zones = layer("zones", [half, half], industries=["15"] * 2, unit_code=["520625-A"] * 2)
    world = kind_world(zones=zones).with_pools(
        **{"quota__520625-A__2026__new_construction": 1e6, "quota__520625__2026__new_construction": 0.0}
    )
    assert found(TEA, world, "quota.new_construction").limit == 0.0


def test_another_towns_account_is_not_the_countys():
    world = kind_world()
    world._pools = {"quota/OTHER/2026/new_construction": 1e6}
    assert found(TEA, world, "quota.new_construction").status == "unknown"


def test_an_approval_given_later_does_not_count_yet():
    farm = layer("land_use", [shapely.box(-1e3, -1e3, 1e3, 1e3)], code_system=["GB/T 21010-2017"], code=["0404"],
                 three_class=["unused"], cultivated=[False], paddy=[False])  # fmt: skip
    later = layer("approved_land", [SITE], approved_on=["2030-01-01"], valid_until=["2032-01-01"])
    assert found(TEA, kind_world(land_use=farm, approved_land=later), "quota.new_construction").value == 10_000.0


@pytest.mark.parametrize(
    ("kv", "rule"), [(10.0, None), (66.0, "line.110kv"), (500.0, "line.500kv"), (800.0, "line.500kv")]
)
def test_a_line_through_the_site_is_seen_whatever_its_voltage(kv, rule):
    line = layer("power_lines", [shapely.LineString([(-50, 50), (150, 50)])], voltage_kv=[kv], width_m=[6.0])
    status = {f.rule: f.status for f in findings(check([SITE], TEA, CONFIRMED, kind_world(power_lines=line)), 0, 0)}
    assert {name for name in ("line.110kv", "line.220kv", "line.500kv") if status[name] == "fail"} == ({rule} - {None})


def test_a_wire_drawn_by_its_middle_alone_does_not_pass_nearby():
    near = layer("power_lines", [shapely.LineString([(110.5, -500), (110.5, 500)])], voltage_kv=[110.0])
    assert found(TEA, kind_world(power_lines=near), "line.110kv").status == "unknown"


def test_phases_together_draw_what_they_say():
    phased = Project.model_validate({**TEA.model_dump(), "phases": [{"land_m2": 4_000, "power_kva": 9_000}] * 2})
    assert found(phased, kind_world(), "power.headroom").value == 18_000


def test_a_replacing_rule_that_does_not_apply_replaces_nothing():
    from dataclasses import replace

    farmland = next(rule for rule in CONFIRMED.rules if rule.id == "farmland.basic")
    newer = replace(farmland, id="x.new", replaces="farmland.basic", when="is_chemical", document="文")
    book = replace(CONFIRMED, rules=(*CONFIRMED.rules, newer))
    world = kind_world(basic_farmland=layer("basic_farmland", [SITE]))
    assert found(TEA, world, "farmland.basic", book=book).status == "fail"
    assert found(V2O5, world, "farmland.basic", book=book).status == "exempt"


def test_shared_ground_is_shown_once_where_features_overlap():
    half = shapely.box(0, 0, 50, 100)
    world = kind_world(basic_farmland=layer("basic_farmland", [half, half]))
    assert found(TEA, world, "farmland.basic").value == 5_000.0


def test_what_was_found_blocks_even_where_the_survey_does_not_vouch():
    found_there = layer("eco_redline", [shapely.box(0, 0, 50, 100)], extent=shapely.Polygon())
    finding = found(TEA, kind_world(eco_redline=found_there), "redline.ecological")
    assert (finding.status, finding.value) == ("fail", 5_000.0)


def test_a_check_of_many_sites_says_how_far_it_is():
    told = []
    sites = np.repeat(np.array([SITE], dtype=object), BLOCK + 5)
    check(sites, Project(id="p", land_m2=8000), CONFIRMED, kind_world(), told=lambda done, of: told.append((done, of)))
    assert told == [(BLOCK, BLOCK + 5), (BLOCK + 5, BLOCK + 5)]


def test_whoever_listens_may_end_the_measuring_within_a_few_blocks(monkeypatch):
    import gis.check

    measured = []
    kept = gis.check.measure_facts
    monkeypatch.setattr(gis.check, "BLOCK", 1)
    monkeypatch.setattr(gis.check, "measure_facts", lambda *given: measured.append(1) or kept(*given))

    def enough(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check([SITE] * 400, Project(id="p", land_m2=8000), CONFIRMED, kind_world(), told=enough)
    assert 1 <= len(measured) < 100
