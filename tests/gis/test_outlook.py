"""The land reserve outlook: every square of a drawn zone counted once, demand by year, plots by how far they are."""

import time
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.check import rulebook
from gis.judge import Status
from gis.outlook import COUNTY, NO_ZONE, demand_of, outlook
from gis.outlook.demand import asks
from gis.outlook.readiness import State, readiness
from gis.outlook.waterfall import reserve, steps_of, zones_of
from layers.errors import UnknownName
from layers.records import AnnualOutput, Component, Industry, Milestone, Phase, Project
from tests.worlds import FAR, MemoryWorld, draw, grid, layer

BOOK = rulebook()
DAY = date(2026, 6, 1)
HA = 10_000.0
# A square is a hectare. Z is a zone of 4 x 5; letters in it are what stands in the way.
PICTURE = """
    . B R Z A Z .
    . b R Z Z Z .
    . Z L F H Z .
    . Z Z f Z O .
    . . . . . . .
"""
ALL = "BbRZALFfHO"


def county(**changes):
    """A county where everything is surveyed: B built, b built and farmland, R river, L red line, F farmland, f farmland
    and hazard, H hazard, A approved, O outside the development boundary."""
    at = draw(
        PICTURE, zone=ALL, built="Bb", open="RZALFfHO", river="R", line="L", farm="Ffb", hazard="Hf", held="A", out="O."
    )
    zone = shapely.union_all(at["zone"])
    inside = shapely.difference(shapely.box(0, 0, 700, 500), shapely.union_all(at["out"]))
    made = {
        "zones": layer("zones", [zone], name=["甲区"]),
        "land_use": layer(
            "land_use",
            [*at["built"], *at["open"], shapely.difference(shapely.box(-500, -500, 1_500, 1_500), zone)],
            three_class=["construction"] * len(at["built"]) + ["agricultural"] * (len(at["open"]) + 1),
        ),
        "river_management": layer("river_management", at["river"]),
        "eco_redline": layer("eco_redline", at["line"]),
        "basic_farmland": layer("basic_farmland", at["farm"]),
        "hazards": layer("hazards", at["hazard"], grade=["high"] * len(at["hazard"])),
        "urban_boundary": layer("urban_boundary", [inside], kind=["concentrated"]),
        "approved_land": layer("approved_land", at["held"], approved_on=["2025-01-01"], valid_until=["2027-01-01"]),
    }
    for role in ("enterprises", "nature_reserve", "water_protection", "parcels"):
        made[role] = layer(role, [])
    made |= changes
    return MemoryWorld(*made.values(), rasters=[FLAT], as_of=DAY)


FLAT = grid(np.zeros((250, 250)), west=-1_000, north=1_500, cell_m=10.0)


def fall(world):
    layer_, zones = zones_of(world)
    return reserve(world, BOOK, layer_, zones)


def taken(found, zone=0):
    return {
        step.step: (found.taken_m2[zone, n] / HA, found.unknown_m2[zone, n] / HA)
        for n, step in enumerate(found.steps)
        if found.taken_m2[zone, n] or found.unknown_m2[zone, n]
    }


def closes(found):
    for zone in range(len(found.ids)):
        parts = [found.shared_m2[zone], *found.taken_m2[zone], *found.unknown_m2[zone], found.net_m2[zone]]
        assert sum(Decimal(str(one)) for one in parts) == Decimal(str(found.gross_m2[zone]))
        assert min(parts) >= 0


# --- the waterfall ---------------------------------------------------------------------------------


def test_every_square_is_taken_once_by_the_first_constraint_that_covers_it():
    found = fall(county())
    assert found.gross_m2.tolist() == [20 * HA]
    assert taken(found) == {
        "built": (2, 0),  # B and b, though b is farmland, too
        "river_management": (2, 0),
        "eco_redline": (1, 0),
        "basic_farmland": (2, 0),  # F and f, though f is hazard, too
        "hazard_high": (1, 0),
        "outside_boundary": (1, 0),
        "approved": (1, 0),
    }
    assert found.net_m2.tolist() == [10 * HA]
    assert found.buildable[0].area == pytest.approx(10 * HA)
    closes(found)


def test_a_layer_that_is_not_loaded_leaves_the_rest_not_computed_and_nothing_buildable():
    found = fall(county().without("eco_redline"))
    assert taken(found)["eco_redline"] == (0, 11)  # the ten free squares and the red line itself
    assert taken(found)["approved"] == (1, 0)  # what a later constraint certainly takes is taken all the same
    assert found.net_m2.tolist() == [0]
    closes(found)


def test_ground_outside_the_survey_is_not_computed():
    half = shapely.box(-1e4, -1e4, 500, 1e4)  # the eastern column of the zone was not surveyed
    found = fall(county(hazards=layer("hazards", [], extent=half)))
    assert taken(found)["hazard_high"] == (0, 3)  # three Z; O is taken by the boundary
    assert found.net_m2.tolist() == [8 * HA]  # ten and H, which is no hazard now, less those three
    closes(found)


def test_a_class_nobody_said_is_not_computed_and_an_approval_without_dates_neither():
    at = draw(PICTURE, hazard="Hf", held="A")
    untold = county(
        hazards=layer("hazards", at["hazard"], grade=[None] * 2),
        approved_land=layer("approved_land", at["held"], approved_on=[None], valid_until=[None]),
    )
    found = fall(untold)
    assert taken(found)["hazard_high"] == (0, 1)
    assert taken(found)["approved"] == (0, 1)
    assert found.net_m2.tolist() == [10 * HA]
    closes(found)


def test_an_approval_that_ran_out_holds_nothing():
    at = draw(PICTURE, held="A")
    old = layer("approved_land", at["held"], approved_on=["2020-01-01"], valid_until=["2022-01-01"])
    assert fall(county(approved_land=old)).net_m2.tolist() == [11 * HA]


def test_what_the_land_use_survey_leaves_out_may_be_built():
    bare = county(land_use=layer("land_use", [shapely.box(0, 0, 500, 500)], three_class=["agricultural"]))
    found = fall(bare)
    assert taken(found)["built"] == (0, 3)
    closes(found)


def test_the_special_part_of_the_boundary_is_outside_and_an_unsaid_part_is_not_computed():
    parts = shapely.box([0, 200, 300], [0, 0, 0], [200, 300, 700], [500, 500, 500])
    found = fall(county(urban_boundary=layer("urban_boundary", parts, kind=["special", None, "concentrated"])))
    # the western column holds B, b and two Z; the next R, R, L, Z
    assert taken(found)["outside_boundary"] == (2, 1)
    closes(found)


def test_steep_cells_are_taken_one_by_one_and_cells_without_a_height_are_not_computed():
    heights = np.tile(np.arange(250, dtype=np.float32) * 10, (250, 1))  # 45 degrees towards the east
    heights[:, :130] = 0.0  # flat up to x = 300; the cells on both sides of the edge are steep
    steep = MemoryWorld(
        layer("zones", [shapely.box(0, 0, 600, 100)], name=["坡"]),
        rasters=[grid(heights, west=-1_000, north=1_500, cell_m=10.0)],
        as_of=DAY,
    )
    found = fall(steep)
    step = [one.step for one in found.steps].index("steep")
    assert found.taken_m2[0, step] == pytest.approx(31_000)  # from the cell west of the edge to the border
    holed = heights.copy()
    holed[140:150, 100:110] = np.nan  # 10 x 10 cells over x 0..100, y 0..100, and the ring around them has no slope
    found = fall(
        MemoryWorld(
            layer("zones", [shapely.box(0, 0, 600, 100)], name=["坡"]),
            *[layer(role, []) for role in ("enterprises", "river_management", "eco_redline", "nature_reserve")],
            *[
                layer(role, [])
                for role in ("water_protection", "basic_farmland", "hazards", "approved_land", "parcels")
            ],
            layer("land_use", [FAR], three_class=["unused"]),
            layer("urban_boundary", [FAR], kind=["flexible"]),
            rasters=[grid(holed, west=-1_000, north=1_500, cell_m=10.0)],
            as_of=DAY,
        )
    )
    assert taken(found) == {"steep": (3.1, pytest.approx(1.1))}  # the hole and one column of its ring
    assert found.net_m2.tolist() == [60_000 - 31_000 - 11_000]
    outside = fall(county().without("dem"))
    assert outside.net_m2.tolist() == [0]


def test_ground_of_two_zones_counts_for_the_first():
    two = layer("zones", shapely.box([100, 300], [100, 100], [400, 600], [500, 500]), name=["甲", "乙"])
    found = fall(county(zones=two))
    assert found.shared_m2.tolist() == [0, 4 * HA]
    assert found.gross_m2.tolist() == [12 * HA, 12 * HA]
    assert (found.net_m2.sum(), found.shared_m2.sum()) == (10 * HA, 4 * HA)
    closes(found)


def test_the_order_is_a_table_and_every_row_stands_on_a_law():
    steps = steps_of(BOOK)
    assert [one.step for one in steps[:3]] == ["built", "plants", "river_management"]
    assert all(one.basis and one.source and one.zh and one.en for one in steps)
    assert {one.how for one in steps} == {"covered", "complete", "in_force", "outside", "steeper"}
    assert {one.unsaid for one in steps} == {"unknown", "none"}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-200, 800, allow_nan=False).map(lambda one: round(one, 3)) for _ in range(2)]),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["river_management", "eco_redline", "basic_farmland"]),
)
def test_any_drawing_closes_to_the_hundredth(corners, role):
    shapes = [shapely.box(x, y, x + 137.77, y + 59.3) for x, y in corners]
    for world in (county(**{role: layer(role, shapes)}), county(**{role: layer(role, shapes, extent=shapes[0])})):
        closes(fall(world))


def test_a_zone_of_20_000_patches_takes_seconds():
    rng = np.random.default_rng(1)
    side = np.arange(142) * 25.0
    west, south = (one.ravel() for one in np.meshgrid(side, side))
    cells = shapely.box(west, south, west + 25, south + 25)
    kinds = np.array(["construction", "agricultural", "unused", None], dtype=object)[rng.integers(0, 4, len(cells))]
    whole = layer("zones", [shapely.box(0, 0, 3_550, 3_550)], name=["大"])
    world = county(
        zones=whole,
        land_use=layer("land_use", cells, three_class=kinds),
        parcels=layer("parcels", cells, right_nature=np.where(rng.random(len(cells)) < 0.1, "出让", None)),
    )
    started = time.perf_counter()
    found = fall(world)
    assert time.perf_counter() - started < 20  # about 2 s on a quiet core
    closes(found)
    assert found.taken_m2[0, 0] == 625.0 * (kinds == "construction").sum()


# --- demand ----------------------------------------------------------------------------------------

ZONES = {"zones-1": "zones-1", "甲区": "zones-1"}


def wants(*projects):
    return outlook(county(), projects, BOOK)


def test_demand_by_year_from_phases_milestones_and_nothing():
    phased = Project(
        id="A",
        zone="甲区",
        land_m2=60_000,
        phases=(Phase(approval_year=2027, land_m2=30_000), Phase(start_year=2029, land_m2=20_000)),
    )
    planned = Project(
        id="B",
        zone="zones-1",
        land_m2=40_000,
        milestones=(
            Milestone(procedure="用地预审与选址意见书", planned_on=date(2026, 1, 1)),
            Milestone(procedure="国有建设用地使用权出让", planned_on=date(2027, 3, 1)),
        ),
        components=(Component(name="堆场", land_m2=5_000, linked_within_m=500),),
    )
    started = Project(
        id="C", zone="别处", land_m2=7_000, milestones=(Milestone(procedure="施工许可", planned_on=date(2028, 1, 1)),)
    )
    found = wants(phased, planned, started)
    rows = {one.year: one for one in demand_of(found, "zones-1")}
    assert {year: one.land_m2 for year, one in rows.items()} == {2027: 75_000, 2029: 20_000, None: 10_000}
    assert rows[2027].projects == 2
    assert [rows[year].left_low_m2 for year in (2027, 2029, None)] == [25_000, 5_000, -5_000]
    assert [rows[year].enough for year in (2027, 2029, None)] == [Status.PASS, Status.PASS, Status.FAIL]
    (elsewhere,) = demand_of(found, NO_ZONE)
    assert (elsewhere.year, elsewhere.land_m2, elsewhere.enough) == (2028, 7_000, Status.UNKNOWN)
    assert {one.year: one.land_m2 for one in demand_of(found, COUNTY)} == {
        2027: 75_000,
        2028: 7_000,
        2029: 20_000,
        None: 10_000,
    }


def test_land_that_was_granted_is_no_demand_any_more():
    done = Milestone(procedure="国有建设用地使用权出让", planned_on=date(2026, 1, 1), done_on=date(2026, 5, 1))
    project = Project(id="A", zone="甲区", land_m2=9_000, milestones=(done,))
    assert demand_of(wants(project), "zones-1") == []
    assert asks([project], BOOK, ZONES, date(2026, 4, 30))[0].granted is False
    two = project.model_copy(
        update={"phases": (Phase(approval_year=2026, land_m2=4_000), Phase(approval_year=2028, land_m2=5_000))}
    )
    assert [one.granted for one in asks([two], BOOK, ZONES, DAY)] == [True, False]


def test_estimated_land_is_marked_and_what_nobody_can_estimate_leaves_the_sum_open():
    made = AnnualOutput(amount=30_000, unit="t", product="电解金属锰")
    guessed = Project(id="E", zone="甲区", industry=Industry(code="3140"), annual_output=made)
    (row,) = demand_of(wants(guessed), "zones-1")
    assert row.estimated_m2 == row.land_m2 > 0
    assert row.low_m2 < row.land_m2 < row.high_m2
    blank = Project(id="U", zone="甲区", annual_output=AnnualOutput(amount=1, unit="t"))
    (row,) = demand_of(wants(blank), "zones-1")
    assert (row.land_m2, row.without_land, row.high_m2) == (0, 1, np.inf)
    assert row.enough is Status.UNKNOWN
    assert row.left_low_m2 == -np.inf


def test_ground_that_was_not_computed_may_or_may_not_be_enough():
    project = Project(id="A", zone="甲区", land_m2=50_000)
    found = outlook(county().without("eco_redline"), [project], BOOK)
    (row,) = demand_of(found, "zones-1")
    assert row.enough is Status.UNKNOWN
    assert (row.left_low_m2, row.left_high_m2) == (-50_000, 60_000)
    big = project.model_copy(update={"land_m2": 110_001.0})
    assert demand_of(outlook(county().without("eco_redline"), [big], BOOK), "zones-1")[0].enough is Status.FAIL


YEAR = st.none() | st.integers(2026, 2030)
PHASE = st.builds(Phase, approval_year=YEAR, start_year=YEAR, land_m2=st.integers(1, 90_000).map(float))
LIBRARY = st.lists(
    st.builds(
        Project,
        id=st.uuids().map(str),
        name=st.just("某项目"),
        zone=st.sampled_from([None, "甲区", "zones-1", "别处"]),
        land_m2=st.integers(1, 200_000).map(float),
        phases=st.lists(PHASE, max_size=3).map(tuple),
        components=st.lists(
            st.builds(
                Component, name=st.just("堆场"), land_m2=st.integers(1, 9_000).map(float), linked_within_m=st.just(1.0)
            ),
            max_size=1,
        ).map(tuple),
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(LIBRARY)
def test_no_land_that_is_asked_for_is_lost_or_counted_twice(projects):
    found = wants(*projects)
    by = {zone: demand_of(found, zone) for zone in (COUNTY, NO_ZONE, "zones-1")}
    land = {zone: sum(one.land_m2 for one in rows) for zone, rows in by.items()}
    asked = sum(
        max(one.land_m2, sum(phase.land_m2 for phase in one.phases)) + sum(part.land_m2 for part in one.components)
        for one in projects
    )
    assert land[COUNTY] == pytest.approx(asked) == pytest.approx(land[NO_ZONE] + land["zones-1"])
    if by["zones-1"]:
        assert by["zones-1"][-1].left_low_m2 == pytest.approx(100_000 - land["zones-1"])


def test_an_empty_library_asks_for_nothing_and_no_zones_is_no_answer():
    found = wants()
    assert [demand_of(found, zone) for zone in (COUNTY, NO_ZONE, "zones-1")] == [[], [], []]
    with pytest.raises(UnknownName):
        outlook(county().without("zones"), [], BOOK)


# --- plots -----------------------------------------------------------------------------------------

NAMES = ("expropriated_on", "compensated_on", "cleared_on", "reserved_on", "conditions_on")


def plots(*rows, ready=None):
    squares = [shapely.box(100 * n, 0, 100 * n + 100, 100) for n in range(len(rows))]
    said = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    return layer("plots", squares, ready=list(ready or [None] * len(rows)), **said)


def test_a_date_is_done_planned_or_not_said():
    found = readiness(
        plots(
            ("2025-01-01", "2025-02-01", "2026-06-01", None, "2027-01-01"),
            (None, None, None, None, None),
            ("2026-06-02", None, None, None, None),
            tuple("2020-01-01" for _ in NAMES),
        ),
        DAY,
    )
    done, planned, unknown = State.DONE, State.PLANNED, State.UNKNOWN
    assert found.state.tolist() == [
        [done, done, done, unknown, planned],
        [unknown] * 5,
        [planned, *[unknown] * 4],
        [done] * 5,
    ]
    assert found.reached.tolist() == [2, -1, -1, 4]
    assert found.next.tolist() == [3, 0, 0, 5]
    assert found.on[0, 2] == "2026-06-01"


def test_ready_speaks_for_cleared_ground_whose_date_is_not_said():
    nothing = (None,) * 5
    dated = (None, None, "2027-01-01", None, None)
    found = readiness(plots(nothing, nothing, nothing, dated, ready=[True, False, None, True]), DAY)
    assert found.state[:, 2].tolist() == [State.DONE, State.NOT_YET, State.UNKNOWN, State.PLANNED]


def test_ready_ground_by_zone_counts_shared_ground_once():
    nothing = (None,) * 5
    some = plots(nothing, nothing, nothing, nothing, ready=[True, False, None, True])
    zones = layer("zones", shapely.box([50, 200], [0, 0], [300, 250], [50, 100]), name=["甲", "乙"])
    found = outlook(county(zones=zones, plots=some), [], BOOK)
    assert found.cleared.tolist() == [
        [2_500, 0, 5_000, 5_000],  # half the width of the first plot, all of the second and third, 50 m high
        [0, 0, 0, 2_500],  # the upper half of the third is left for the second zone
        [17_500, 0, 5_000, 2_500],
    ]
    assert outlook(county(), [], BOOK).plots is None
