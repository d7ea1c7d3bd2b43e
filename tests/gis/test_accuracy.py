"""A hit is certain, a boundary touch or none; slivers are shown, classed and never the reason for a refusal."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.affinity import rotate, translate

from gis import measure
from gis.accuracy import Certain, Reach, classes
from gis.check import check, rulebook
from gis.explain import Finding, findings, verdict
from gis.facts import CERTAIN, FACTS, FULL, REACH
from gis.ground import Ground, Outside, Overlap
from gis.judge import Verdict
from gis.rules import Tolerance
from gis.sorts import IsIn
from layers.errors import BadInput
from layers.ingest import from_frame
from layers.records import Industry, Project, Snapshot
from layers.snapshot import cut
from tests.worlds import FAR, SITE, MemoryWorld, kind_world, layer

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
FARMLAND = Overlap("basic_farmland")


def stating(accuracy_m: float | None, one: Snapshot) -> Snapshot:
    """The layer with a stated accuracy."""
    stated = replace(one.layer, accuracy_m=accuracy_m)
    return Snapshot(stated, one.features, one.pieces, one.owner, one.overlapping)


def farmland(accuracy_m, *areas, site=SITE, **columns):
    """(shared, certain) square metres of a site on farmland of that accuracy."""
    return both(FARMLAND, stating(accuracy_m, layer("basic_farmland", areas, **columns)), site)


def both(fact: Overlap | Outside, one: Snapshot, site=SITE):
    ground = Ground(np.array([site], dtype=object), MemoryWorld(one))
    full, sure = fact.measure(ground, 0.0), Certain(fact).measure(ground, 0.0)
    assert (full.lo == full.hi).all()
    assert (sure.hi == sure.lo).all() or (sure.hi == full.hi).all()
    return round(float(full.hi[0]), 6), round(float(sure.lo[0]), 6)


def bounds(accuracy_m, *areas, site=SITE):
    """The certain ground at least and at most."""
    one = stating(accuracy_m, layer("basic_farmland", areas))
    sure = Certain(FARMLAND).measure(Ground(np.array([site], dtype=object), MemoryWorld(one)), 0.0)
    return round(float(sure.lo[0]), 6), round(float(sure.hi[0]), 6)


# --- hits, counted by hand --------------------------------------------------------------------------


def test_a_deep_hit_is_certain():
    assert farmland(0.5, shapely.box(50, 0, 500, 500)) == (5_000, 5_000)


def test_a_strip_along_the_border_is_a_boundary_touch_when_the_accuracy_is_coarser():
    strip = shapely.box(99.95, 0, 500, 100)  # 5 cm of 100 m
    assert farmland(0.5, strip) == (5, 0)
    assert farmland(0.04, strip) == (5, 5)


def test_a_hit_as_deep_as_the_accuracy_is_not_deeper():
    assert farmland(0.5, shapely.box(99.5, 0, 500, 100)) == (50, 0)
    assert farmland(0.5, shapely.box(99.4, -5, 500, 105)) == (60, 60)


def test_a_hit_too_deep_for_a_sliver_is_not_forgiven_by_a_coarse_layer():
    """At 20 m: 1.5 m along the border is a sliver, 3 m may be there or not, 30 m is certain."""
    widths = {width_m: bounds(20, shapely.box(100 - width_m, -200, 500, 300)) for width_m in (1.5, 3, 30)}
    assert widths == {1.5: (0, 0), 3: (0, 300), 30: (3_000, 3_000)}
    assert bounds(2.5, shapely.box(98.1, -200, 500, 300)) == (0, 0)


def test_a_hit_of_a_tenth_of_the_site_is_no_sliver_however_narrow():
    road = shapely.box(0, 0, 1_000, 1)
    assert bounds(1.5, shapely.box(-500, -500, 2_000, 1), site=road) == (0, 1_000)
    assert bounds(0.5, shapely.box(-500, -500, 2_000, 0.11), site=road) == (0, 110)
    assert bounds(0.5, shapely.box(-500, -500, 2_000, 0.09), site=road) == (0, 0)


def test_what_is_too_large_for_a_sliver_outside_a_layer_is_not_forgiven_either():
    for west_m, at_most in ((98.5, 0), (97, 300)):
        edge = layer("urban_boundary", [shapely.box(-900, -900, west_m, 900)])
        ground = Ground(np.array([SITE]), MemoryWorld(stating(20, edge)))
        sure = Certain(Outside("urban_boundary")).measure(ground, 0.0)
        assert (sure.lo[0], sure.hi[0].round(6)) == (0, at_most)


def test_sites_measured_together_are_forgiven_each_for_itself():
    one = stating(
        20.0, layer("basic_farmland", [shapely.box(97, -200, 150, 300), shapely.box(998.5, -200, 1_050, 300)])
    )
    sites = shapely.box([0, 900, 3_000], 0, [100, 1_000, 3_100], 100)
    sure = Certain(FARMLAND).measure(Ground(sites, MemoryWorld(one)), 0.0)
    assert (sure.lo.tolist(), sure.hi.round(6).tolist()) == ([0, 0, 0], [300, 0, 0])


# --- a border drawn beside the site ------------------------------------------------------------------


def reach(accuracy_m, *areas, sites=(SITE,)):
    one = stating(accuracy_m, layer("basic_farmland", areas))
    found = Reach(FARMLAND).measure(Ground(np.array(sites, dtype=object), MemoryWorld(one)), 0.0)
    assert (found.lo == found.hi).all()
    return found.hi.round(6).tolist()


def test_a_border_within_the_accuracy_may_lie_inside():
    beside = shapely.box(101, -200, 500, 300)  # 1 m off
    assert reach(20, beside) == [1_900]
    assert reach(0.9, beside) == reach(None, beside) == reach(0.0, beside) == [0]
    assert reach(0.6, shapely.box(100, -200, 500, 300)) == [60]  # neighbours


def test_ground_that_is_shared_is_reported_as_it_is():
    assert reach(20, shapely.box(99, -200, 500, 300)) == [100]
    sites = (SITE, translate(SITE, -5), translate(SITE, -500))
    assert reach(20, shapely.box(99, -200, 500, 300), sites=sites) == [100, 1_600, 0]


def test_a_corner_just_within_the_accuracy_is_within():
    off = 0.99999 * 20 / np.hypot(np.cos(0.13), np.sin(0.13))
    corner = shapely.box(100 + off * np.cos(0.13), 100 + off * np.sin(0.13), 500, 500)
    assert reach(20, corner)[0] >= 0.01


def test_nobody_knows_what_lies_beside_ground_nobody_surveyed():
    half = stating(20, layer("basic_farmland", [shapely.box(101, 0, 200, 100)], extent=shapely.box(50, 0, 300, 90)))
    assert np.isnan(Reach(FARMLAND).measure(Ground(np.array([SITE]), MemoryWorld(half)), 0.0).hi[0])
    assert np.isnan(Reach(FARMLAND).measure(Ground(np.array([SITE]), MemoryWorld()), 0.0).hi[0])


# --- more hits ---------------------------------------------------------------------------------------


def test_a_narrow_site_in_the_middle_of_farmland_is_certain():
    road = shapely.box(0, 0, 1_000, 1)
    assert farmland(0.6, shapely.box(-500, -500, 2_000, 500), site=road) == (1_000, 1_000)


def test_a_narrow_site_along_the_border_is_not():
    road = shapely.box(0, 0, 1_000, 1)
    assert farmland(1.5, shapely.box(-500, -500, 2_000, 1), site=road) == (1_000, 0)
    assert farmland(0.9, shapely.box(-500, -500, 2_000, 1), site=road) == (1_000, 1_000)


def test_where_a_neighbour_of_the_class_begins_there_is_no_border():
    """Terraces of 1 m: each is narrower than twice the accuracy, together they are a field."""
    terraces = [shapely.box(-50, y, 150, y + 1) for y in range(-20, 120)]
    assert farmland(0.8, *terraces) == (10_000, 10_000)
    assert farmland(0.8, terraces[30]) == (100, 0)


def test_a_millimetre_between_neighbours_is_no_border_and_a_hand_is_one():
    near = [shapely.box(-50, y + 0.0004, 150, y + 0.9996) for y in range(-20, 120)]
    assert farmland(0.8, *near)[1] == pytest.approx(9_992)
    apart = [shapely.box(-50, y, 150, y + 0.9) for y in range(-20, 120)]
    assert farmland(0.8, *apart) == (9_000, 0)


def test_a_neighbour_of_another_class_is_a_border():
    strips = [shapely.box(*across, 100) for across in ((40, 0, 50), (50, 0, 50.3), (50.3, 0, 300))]
    kinds = layer("nature_reserve", strips, kind=["general", "core", "general"])
    core = Overlap("nature_reserve", IsIn("kind", ("core",)))
    assert both(core, stating(0.5, kinds)) == (30, 0)
    assert both(Overlap("nature_reserve"), stating(0.5, kinds)) == (6_000, 6_000)


def test_a_cut_line_is_no_border():
    """A feature of 4,000 vertices in pieces: a 1 m strip across it all is certain, wherever it was cut."""
    field = shapely.Point(0, 0).buffer(1_000, quad_segs=1_000)
    pieces, owner = cut(np.array([field]))
    assert len(pieces) > 8
    whole = layer("basic_farmland", [field])
    one = stating(5.0, Snapshot(whole.layer, whole.features, pieces, owner, overlapping=False))
    for x in np.unique(shapely.bounds(pieces)[:, 0])[1:6]:  # the strip lies on the cut itself
        full, sure = both(FARMLAND, one, shapely.box(x - 0.5, -200, x + 0.5, 200))
        assert (full, sure) == (400, 400)
    assert both(FARMLAND, one, shapely.box(998, -0.5, 1_100, 0.5))[1] == 0  # 2 m deep at the edge


def test_a_hole_has_a_border():
    ring = shapely.box(-500, -500, 600, 600).difference(shapely.box(0.3, 0.3, 99.7, 99.7))
    assert farmland(0.5, ring) == (pytest.approx(10_000 - 99.4**2), 0)
    assert farmland(0.2, ring)[1] == pytest.approx(10_000 - 99.4**2)


def test_many_small_holes_are_not_taken_for_a_wide_hit():
    """Area over perimeter says that it is wide; the holes say that nothing of it is deep."""
    x, y = np.mgrid[0.5:40:1, 0.5:40:1].reshape(2, -1)
    sieve = shapely.box(-50, -50, 90, 90).difference(shapely.union_all(shapely.box(x, y, x + 0.01, y + 0.01)))
    inner = shapely.box(0.4, 0.4, 39.6, 39.6)
    ground = shapely.intersection(inner, sieve)
    assert ground.area / ground.length > 0.8 > measure.inradius_m(np.array([ground]))[0]
    assert farmland(0.8, sieve, site=inner)[1] == 0


def test_outside_the_boundary_by_a_sliver_is_a_touch():
    urban = Outside("urban_boundary")
    edge = layer("urban_boundary", [shapely.box(-900, -900, 99.9, 900)])
    assert both(urban, stating(0.5, edge)) == (10, 0)
    assert both(urban, stating(0.05, edge)) == (10, 10)
    far = layer("urban_boundary", [shapely.box(500, 500, 900, 900)])
    assert both(urban, stating(20.0, far)) == (10_000, 10_000)


def test_outside_counts_each_piece_of_ground_by_itself():
    """A corner that reaches out 3 m is certain; the sliver along the other side is not."""
    edge = shapely.box(-900, -900, 99.9, 97).union(shapely.box(-900, 90, 0, 900)).union(shapely.box(20, 90, 99.9, 900))
    full, sure = both(Outside("urban_boundary"), stating(0.5, layer("urban_boundary", [edge])))
    assert (full, sure) == (pytest.approx(10 + 20 * 3), 60)


def test_a_narrow_site_beside_the_boundary_is_certainly_outside_only_where_it_is_far():
    strip = shapely.box(0, 0, 100, 0.2)
    urban = Outside("urban_boundary")
    assert both(urban, stating(0.5, layer("urban_boundary", [shapely.box(0, -50, 100, 0)])), strip) == (20, 0)
    assert both(urban, stating(0.5, layer("urban_boundary", [shapely.box(0, -50, 100, -9)])), strip) == (20, 20)


def test_a_layer_that_states_no_accuracy_has_the_digitising_tolerance_and_both_halves_of_it():
    assert farmland(None, shapely.box(99.995, 0, 200, 100)) == (0.5, 0)  # half a square metre, 5 mm wide
    assert farmland(None, shapely.box(99.98, 0, 200, 100)) == (2, 2)  # narrow, but more than a square metre
    assert farmland(None, shapely.box(99.3, 99.3, 200, 200)) == (0.49, 0.49)  # little, but as wide as it is long


def test_slivers_count_together_however_the_features_are_divided():
    parts = [shapely.box(99.98, y, 200, y + 20) for y in range(0, 100, 20)]  # 5 times 0.4 m2
    assert farmland(None, *parts) == farmland(None, shapely.box(99.98, 0, 200, 100)) == (2, 2)


def test_a_sliver_is_one_in_company_too():
    """Sites measured together: 2 m2 in five slivers, one sliver of half a square metre, a deep hit."""
    parts = [shapely.box(99.98, y, 200, y + 20) for y in range(0, 100, 20)]
    one = layer("basic_farmland", [*parts, shapely.box(999.995, 0, 1_200, 100), shapely.box(2_000, 0, 2_050, 100)])
    sites = shapely.box([0, 900, 2_000], 0, [100, 1_000, 2_100], 100)
    sure = Certain(FARMLAND).measure(Ground(sites, MemoryWorld(one)), 0.0)
    assert sure.hi.round(6).tolist() == [2, 0, 5_000]


def test_an_accuracy_of_zero_takes_every_hit_at_its_word():
    assert farmland(0.0, shapely.box(99.999, 0, 200, 100)) == (0.1, 0.1)


def test_only_rounding_is_no_hit():
    assert farmland(0.5, shapely.box(99.99995, 0, 200, 100)) == (0, 0)  # a twentieth of a millimetre
    assert farmland(0.0, shapely.box(99.99995, 0, 200, 100)) == (0, 0)
    assert farmland(0.5, shapely.box(99.9998, 0, 200, 100)) == (0.02, 0)
    hook = shapely.box(99.99998, 0, 200, 100).union(shapely.box(99.95, 99.95, 200, 100))
    assert farmland(0.5, hook)[0] == pytest.approx(0.0045, abs=1e-5)  # a real corner on a long hair
    beyond = layer("urban_boundary", [shapely.box(-900, -900, 99.99995, 900)])
    assert both(Outside("urban_boundary"), beyond) == (0, 0)


def test_features_drawn_twice_are_counted_once():
    deep, strip = shapely.box(50, 0, 500, 50), shapely.box(-50, 99.8, 150, 200)
    assert farmland(0.5, deep, deep, strip, strip) == (2_520, 2_500)


def test_ground_of_unknown_class_is_certain_in_the_upper_bound_only():
    unsaid = layer("nature_reserve", [shapely.box(50, 0, 500, 500)], kind=[None])
    core = Overlap("nature_reserve", IsIn("kind", ("core",)))
    sure = Certain(core).measure(Ground(np.array([SITE]), MemoryWorld(stating(0.5, unsaid))), 0.0)
    assert (sure.lo[0], sure.hi[0]) == (0, 5_000)


def test_a_layer_nobody_loaded_and_ground_nobody_surveyed_stay_unknown():
    ground = Ground(np.array([SITE]), MemoryWorld())
    assert np.isnan(Certain(FARMLAND).measure(ground, 0.0).hi[0])
    half = layer("basic_farmland", [], extent=shapely.box(50, 0, 90, 90))
    assert np.isnan(Certain(FARMLAND).measure(Ground(np.array([SITE]), MemoryWorld(half)), 0.0).hi[0])


def test_rows_of_the_occupation_tables_say_how_sure_they_are():
    fields = [shapely.box(50, 0, 500, 50), shapely.box(-50, 99.8, 150, 200), shapely.box(-9, 0, 0.00003, 100)]
    one = stating(0.5, layer("basic_farmland", fields))
    found = classes(Ground(np.array([SITE]), MemoryWorld(one)), "basic_farmland")
    assert found.accuracy.tolist() == ["certain", "boundary", "none"]
    assert found.width_m[1] == pytest.approx(0.2, rel=0.01)
    assert np.isnan(found.width_m[0])


def test_the_assumed_tolerance_is_a_row_of_the_rulebook():
    assert BOOK.tolerances["*"] == Tolerance(0.1, 1.0, stated=False)
    table = BOOK.tables["positional_accuracy"].copy()
    table.loc[len(table)] = ["basic_farmland", "2", "", "县定", "assumption"]
    book = replace(CONFIRMED, tables={**CONFIRMED.tables, "positional_accuracy": table})
    world = kind_world(basic_farmland=layer("basic_farmland", [shapely.box(98.5, 0, 200, 100)]))
    assert verdict(check([SITE], TEA, CONFIRMED, world), 0, 0) is Verdict.BLOCKED
    assert verdict(check([SITE], TEA, book, world), 0, 0) is Verdict.CONDITIONAL
    assert book.digest != CONFIRMED.digest
    table = check([SITE, translate(SITE, 900)], TEA, book, world)
    said = {one.rule: one.message["zh"] for one in findings(table, 0, 0)}
    assert "假定容差 2 m）" in said["farmland.basic_touch"]


# --- what it makes of a verdict ---------------------------------------------------------------------


def ask(world, purpose="screening") -> tuple[Verdict, dict[str, Finding]]:
    checked = check([SITE], TEA, CONFIRMED, world, purpose=purpose)
    return verdict(checked, 0, 0), {one.rule: one for one in findings(checked, 0, 0)}


def strip_of(role, accuracy_m, width_m=0.06, **columns):
    drawn = layer(role, [shapely.box(100 - width_m, -5, 300, 105)], **columns)
    return kind_world(**{role: stating(accuracy_m, drawn)})


@pytest.mark.parametrize(
    ("role", "main", "touch"),
    [
        ("basic_farmland", "farmland.basic", "farmland.basic_touch"),
        ("eco_redline", "redline.ecological", "redline.ecological_touch"),
    ],
)
def test_any_touch_of_farmland_or_red_line_is_conditional(role, main, touch):
    result, found = ask(strip_of(role, 0.5))
    assert result is Verdict.CONDITIONAL
    assert (found[main].status, found[main].accuracy, found[main].value) == ("pass", "boundary", 0.0)
    assert (found[touch].status, found[touch].accuracy) == ("fail", "boundary")
    assert found[touch].value == pytest.approx(6)
    assert found[touch].evidence is not None
    assert "边界触碰，宽约 0.06 m（图层精度 0.5 m），待校核" in found[touch].message["zh"]
    assert "boundary touch about 0.06 m wide" in found[touch].message["en"]
    for dust in (0.001, 0.0002):
        assert ask(strip_of(role, 0.5, dust))[0] is Verdict.CONDITIONAL
    assert ask(strip_of(role, 0.05))[0] is Verdict.BLOCKED
    assert ask(strip_of(role, None))[0] is Verdict.BLOCKED  # 6 m2 is more than the assumed tolerance
    assert "假定" in ask(strip_of(role, None, 0.005))[1][touch].message["zh"]


@pytest.mark.parametrize(
    ("role", "main", "touch"),
    [
        ("basic_farmland", "farmland.basic", "farmland.basic_touch"),
        ("eco_redline", "redline.ecological", "redline.ecological_touch"),
    ],
)
def test_farmland_and_red_line_beside_a_site_are_conditional_as_far_as_they_may_be_off(role, main, touch):
    result, found = ask(strip_of(role, 20, -1))  # drawn 1 m beside the site
    assert result is Verdict.CONDITIONAL
    one = found[touch]
    assert (found[main].status, one.status, one.accuracy) == ("pass", "fail", "boundary")
    assert (round(one.value), one.value_bound) == (1_900, "at_most")
    assert one.evidence is not None
    assert one.evidence.area == pytest.approx(1_900)
    assert one.features
    assert "图层边界距地块 1.00 m，图层精度 20 m，边界可能在地块内" in one.message["zh"]
    assert "drawn 1.00 m off and accurate to 20 m, so that it may lie inside" in one.message["en"]
    usual = ask(kind_world())[0]
    assert ask(strip_of(role, 0.9, -1))[0] is usual
    assert ask(strip_of(role, None, -1))[0] is usual
    assert ask(strip_of(role, None, 0))[0] is usual
    assert ask(strip_of(role, 0.6, 0))[0] is Verdict.CONDITIONAL  # neighbours, by the layer's own statement
    _, found = ask(strip_of(role, 0.5))
    assert (found[touch].value_bound, found[touch].value) == ("exact", pytest.approx(6))


COARSE = {
    "basic_farmland": ("farmland.basic", {}),
    "eco_redline": ("redline.ecological", {}),
    "nature_reserve": ("reserve.core", {"kind": ["core"]}),
    "water_protection": ("water.first", {"grade": ["first"]}),
    "river_management": ("river.management", {}),
    "forest_land": ("forest.land", {}),
}


@pytest.mark.parametrize("role", COARSE)
@pytest.mark.parametrize("accuracy_m", [20, 1_000])
def test_a_coarse_layer_turns_no_refusal_into_a_warning(role, accuracy_m):
    rule, columns = COARSE[role]
    result, found = ask(strip_of(role, accuracy_m, 15, **columns))
    assert result is Verdict.UNDETERMINED
    assert (found[rule].status, found[rule].accuracy) == ("unknown", "boundary")
    assert (found[rule].value, found[rule].value_bound) == (pytest.approx(1_500), "at_most")
    assert "不止窄条，须核实边界" in found[rule].message["zh"]
    assert "too much for a sliver" in found[rule].message["en"]
    whole, _ = ask(strip_of(role, 1_000, 105, **columns))  # the whole site lies in it
    assert whole is Verdict.UNDETERMINED


@pytest.mark.parametrize("accuracy_m", [20.01, 1_000, -1, float("nan"), float("inf")])
def test_an_accuracy_that_forgives_everything_is_refused(accuracy_m):
    frame = gpd.GeoDataFrame({"name": ["a"]}, geometry=[SITE], crs=4545)
    with pytest.raises(BadInput) as refused:
        from_frame(frame, "basic_farmland", source="field.shp", accuracy_m=accuracy_m)
    (fault,) = refused.value.faults
    assert (fault.file, fault.layer, fault.field) == ("field.shp", "basic_farmland", "accuracy_m")
    assert fault.fix
    assert from_frame(frame, "basic_farmland", source="field.shp", accuracy_m=20).layer.accuracy_m == 20


WARNED_AT = {
    "urban_special_m2": ("urban_boundary", {"kind": ["special"]}, "screening"),
    "urban_flexible_m2": ("urban_boundary", {"kind": ["flexible"]}, "screening"),
    "nature_core_m2": ("nature_reserve", {"kind": ["core"]}, "screening"),
    "nature_reserve_m2": ("nature_reserve", {"kind": ["general"]}, "screening"),
    "environment_priority_m2": ("environment_units", {"kind": ["priority"]}, "screening"),
    "water_protection_first_m2": ("water_protection", {"grade": ["first"]}, "screening"),
    "water_protection_second_m2": ("water_protection", {"grade": ["second"]}, "screening"),
    "water_protection_quasi_m2": ("water_protection", {"grade": ["quasi"]}, "screening"),
    "river_management_m2": ("river_management", {}, "screening"),
    "forest_land_m2": ("forest_land", {}, "screening"),
    "welfare_forest_first_m2": ("public_welfare_forest", {"grade": ["first"]}, "screening"),
    "wetlands_m2": ("wetlands", {}, "screening"),
    "hazard_high_m2": ("hazards", {"grade": ["high"]}, "screening"),
    "hazard_medium_m2": ("hazards", {"grade": ["medium"]}, "screening"),
    "farmland_reserve_m2": ("farmland_reserve", {}, "screening"),
    "mining_rights_m2": ("mining_rights", {}, "pre_review"),
}
KEPT_WHOLE = ("urban_boundary", "environment_units")


def beside(role, width_m, columns, accuracy_m):
    """A strip of the class along the site's border, the rest of the ground as it was where the layer covers all."""
    strip = shapely.box(100 - width_m, -5, 300, 105)
    if role not in KEPT_WHOLE:
        return kind_world(**{role: stating(accuracy_m, layer(role, [strip], **columns))})
    rest = shapely.box(-2e4, -2e4, 2e4, 2e4).difference(strip)
    usual = {"urban_boundary": "concentrated", "environment_units": "general"}[role]
    return kind_world(**{role: stating(accuracy_m, layer(role, [strip, rest], kind=[*columns["kind"], usual]))})


@pytest.mark.parametrize("column", WARNED_AT)
def test_a_boundary_touch_of_any_other_layer_is_warned_and_never_clear(column):
    role, columns, purpose = WARNED_AT[column]
    usual, _ = ask(kind_world(), purpose)
    result, found = ask(beside(role, 0.06, columns, 0.5), purpose)
    assert result == max(usual, Verdict.WARNED)
    touch = [one for one in found.values() if one.layer == role and one.status == "fail"]
    assert [(one.accuracy, one.severity) for one in touch] == [("boundary", "warn")] * len(touch)
    assert touch
    deep, _ = ask(beside(role, 30, columns, 0.5), purpose)
    assert deep >= result


def test_a_sliver_outside_the_urban_boundary_is_warned():
    edge = layer("urban_boundary", [shapely.box(-9e3, -9e3, 99.94, 9e3)], kind=["concentrated"])
    result, found = ask(kind_world(urban_boundary=stating(0.5, edge)))
    assert result is Verdict.WARNED
    assert (found["boundary.outside"].status, found["boundary.outside"].accuracy) == ("pass", "boundary")
    assert found["boundary.outside_touch"].value == pytest.approx(6)
    assert ask(kind_world(urban_boundary=stating(0.05, edge)))[0] is Verdict.BLOCKED


def test_a_hit_that_is_no_hit_and_a_rule_without_ground_say_so():
    _, found = ask(kind_world())
    assert found["farmland.basic"].accuracy == "none"
    assert found["slope.mean"].accuracy is None
    assert found["highway.national"].accuracy is None
    _, found = ask(kind_world().without("eco_redline"))
    assert found["redline.ecological"].accuracy is None
    _, found = ask(strip_of("basic_farmland", 0.5, 40))
    assert found["farmland.basic"].accuracy == found["farmland.basic_touch"].accuracy == "certain"
    _, found = ask(strip_of("farmland_reserve", 0.5, 40))  # no rule asks for its certain part
    assert found["farmland.reserve"].accuracy == "certain"


COVERED_BY = {"nature_core_m2": "nature_reserve_m2", **REACH}


def test_every_rule_that_leaves_touches_out_has_one_that_shows_them():
    for rule in BOOK.rules:
        if rule.value not in FULL:
            continue
        full = COVERED_BY.get(FULL[rule.value], FULL[rule.value])
        shows = [
            one
            for one in BOOK.rules
            if one.value == full and one.limit == 0 and one.when in (None, rule.when) and set(rule.at) <= set(one.at)
        ]
        assert shows, rule.id


def test_no_rule_that_blocks_reads_ground_a_sliver_could_make_up():
    assert not [rule.id for rule in BOOK.rules if rule.severity == "block" and rule.value in CERTAIN]


def test_the_full_overlap_is_published_beside_its_certain_part():
    facts = check([SITE], TEA, CONFIRMED, strip_of("nature_reserve", 0.5, kind=["core"])).facts.columns
    assert facts["nature_core_m2"].hi[0] == pytest.approx(6)
    assert facts["nature_core_certain_m2"].hi[0] == 0
    assert set(CERTAIN.values()) <= set(FACTS)


# --- properties -------------------------------------------------------------------------------------

sizes = st.floats(0.02, 40)
corners = st.tuples(st.floats(-20, 110), st.floats(-20, 110))


@st.composite
def fields(draw):
    """One to five turned boxes, some of them neighbours that share an edge."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        x, y = draw(corners)
        wide, high = draw(sizes), draw(sizes)
        pair = [shapely.box(x, y, x + wide, y + high)]
        if draw(st.booleans()):
            pair.append(shapely.box(x + wide, y, x + wide + draw(sizes), y + high))
        turn = draw(st.sampled_from([0.0, 17.0, 45.0]))
        made += [rotate(one, turn, origin=(x, y)) for one in pair]
    return made


@settings(max_examples=150, deadline=None)
@given(fields(), st.floats(0.01, 10), st.floats(1.05, 3))
def test_certain_ground_is_part_of_the_hit_and_shrinks_as_the_accuracy_grows(areas, accuracy_m, times):
    full, sure = farmland(accuracy_m, *areas)
    again, less = farmland(accuracy_m * times, *areas)
    assert full == again
    assert 0 <= less <= sure + 1e-6
    assert sure <= full + 1e-6
    assert farmland(0.0, *areas)[1] == full


@settings(max_examples=150, deadline=None)
@given(fields(), st.floats(0.01, 10), st.floats(0, 360), st.floats(0, 0.99))
def test_no_shift_within_the_accuracy_takes_a_certain_hit_away(areas, accuracy_m, degrees, share):
    _, sure = farmland(accuracy_m, *areas)
    if sure == 0:
        return
    away = share * accuracy_m * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    moved = [translate(one, *away) for one in areas]
    assert SITE.intersection(shapely.union_all(moved)).area > 0


@settings(max_examples=100, deadline=None)
@given(fields(), st.floats(0.01, 10))
def test_what_is_not_certain_can_be_taken_away_by_eroding_the_border(areas, accuracy_m):
    """An oracle: the whole border grown by the accuracy covers every boundary touch."""
    full, sure = farmland(accuracy_m, *areas)
    whole = shapely.union_all(areas, grid_size=1e-6)
    core = whole.buffer(-accuracy_m, quad_segs=32)
    if sure == 0 and full > 0:
        assert SITE.intersection(whole.buffer(-accuracy_m * 1.05, quad_segs=32)).area < 1e-4
    if SITE.intersection(core).area == 0:
        assert sure == 0


@pytest.mark.parametrize("seed", range(4))
def test_one_site_and_many_have_the_same_classes(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-500, 500, (60, 2))
    areas = shapely.box(*corner.T, *(corner + rng.uniform(0.05, 90, (60, 2))).T)
    world = kind_world(
        basic_farmland=stating(float(rng.choice([0.3, 2.0])), layer("basic_farmland", areas)),
        urban_boundary=stating(1.0, layer("urban_boundary", areas[:30], kind=["concentrated"] * 30)),
        hazards=layer("hazards", areas[::2], grade=rng.choice(["high", "medium", None], 30).tolist()),
    )
    at = rng.uniform(-500, 480, (40, 2))
    sites = shapely.box(*at.T, *(at + rng.uniform(0.2, 60, (40, 2))).T)
    west, south, _, north = shapely.bounds(areas[:4]).T
    sites[:4] = shapely.box(west - 20, south - 20, west + 0.05, north)  # beside a field, and 5 cm on it
    many = check(sites, TEA, CONFIRMED, world)
    seen = set()
    for i in range(40):
        alone = check([sites[i]], TEA, CONFIRMED, world)
        assert (alone.status[:, 0, 0] == many.status[:, i, 0]).all()
        said = [one.accuracy for one in findings(alone, 0, 0)]
        assert said == [one.accuracy for one in findings(many, i, 0)]
        seen |= set(said)
    assert {"certain", "boundary", "none"} <= seen
    assert FAR.is_valid
