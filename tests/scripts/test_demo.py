"""The demo county shows every verdict for the reason it states. Slow: it builds the county once."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from gis.check import check, rulebook
from gis.explain import findings, verdict
from layers.errors import UnknownName
from layers.gpkg import GeoPackage
from layers.records import Project
from scripts.county import County
from scripts.county.tour import page, scenario, tour
from scripts.founding import found

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[GeoPackage, County]:
    path: Path = tmp_path_factory.mktemp("demo") / "county.gpkg"
    said: list[float] = []
    made = found(path, 1, lambda _, done: said.append(done))
    assert said == sorted(said)
    assert said[-1] == 1.0
    assert [item.name for item in path.parent.iterdir() if item.name.startswith(".making")] == []
    return GeoPackage(path), made


@pytest.fixture(scope="module")
def demo(founded: tuple[GeoPackage, County]) -> GeoPackage:
    return founded[0]


VERDICTS = ("clear", "warned", "conditional", "undetermined", "blocked")


CASES = (
    "chemical_by_the_river", "chemical_on_the_terrace", "slag_in_the_second_zone", "slag_upstream",
    "cement_without_replacement", "food_beside_dust", "too_steep", "quota_too_small", "first_grade_water", "red_line",
)  # fmt: skip


@pytest.mark.parametrize("case", [*VERDICTS, *CASES])
def test_every_case_has_its_site_its_verdict_and_its_reason(founded, case):
    demo, made = founded
    example = {**made.examples, **made.further}[case]
    world = demo.at()
    book = rulebook().confirmed(demo.list("confirmation"))
    parcels = demo.ground("parcels", example.site)
    site = shapely.union_all(list(parcels.values()))
    project = Project.model_validate(demo.load("project", example.project))
    checked = check([site], project, book, world)
    reasons = [(one.rule, one.status) for one in findings(checked, 0, 0) if one.status in ("fail", "unknown")]
    assert verdict(checked, 0, 0).name.lower() == example.verdict, reasons
    assert example.rule is None or example.rule in dict(reasons)
    assert demo.load("example", case)["rule"] == example.rule


def test_every_named_thing_is_found_by_its_name_and_gets_an_answer(demo):
    stops = list(tour(demo))
    assert [stop.row["name"] for stop in stops] == [row["name"] for row in scenario()]
    assert all(stop.row["name"] in stop.feature["name"] for stop in stops)
    assert len({stop.verdict for stop in stops}) >= 4
    printed = page(stops, demo.list("example"))
    assert all(stop.feature["name"] in printed for stop in stops)
    assert len(printed.splitlines()) > len(stops) + len(CASES)


def test_a_thing_that_is_not_there_is_not_toured(demo):
    row = scenario()[0] | {"name": "没有的企业"}
    with pytest.raises(UnknownName, match="没有的企业"):
        next(tour(demo, [row]))


def test_the_file_is_no_larger_than_promised(founded):
    assert founded[0].path.stat().st_size < 300e6


def test_the_county_is_big_enough_and_says_that_it_is_made_up(demo):
    layers = {layer.role: layer for layer in demo.layers()}
    assert layers["parcels"].loaded == 20_000
    assert all(layer.synthetic for layer in layers.values())
    assert all(layer.rejected == 0 for layer in layers.values())
    assert {"zones", "basic_farmland", "eco_redline", "river_management", "substations", "dem"} <= layers.keys()


def test_every_parcel_is_checked_for_every_project_and_all_outcomes_occur(demo):
    book = rulebook().confirmed(demo.list("confirmation"))
    projects = [Project.model_validate(one) for one in demo.list("project")]
    table = check(demo.frame("parcels"), projects, book, demo.at())
    assert set(np.unique(table.verdict)) >= {0, 2, 3, 4}
