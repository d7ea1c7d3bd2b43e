"""The demo county shows every verdict for the reason it states. Slow: it builds the county once."""

from pathlib import Path

import numpy as np
import pytest
import shapely

from gis.check import check, rulebook
from gis.explain import findings, verdict
from layers.gpkg import GeoPackage
from layers.records import Project
from scripts.county import County
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


@pytest.mark.parametrize("expected", VERDICTS)
def test_every_verdict_has_its_example(founded, expected):
    demo, made = founded
    example = made.examples[expected]
    world = demo.at()
    book = rulebook().confirmed(demo.list("confirmation"))
    parcels = demo.ground("parcels", example.site)
    site = shapely.union_all(list(parcels.values()))
    project = Project.model_validate(demo.load("project", example.project))
    checked = check([site], project, book, world)
    reasons = [(one.rule, one.status) for one in findings(checked, 0, 0) if one.status in ("fail", "unknown")]
    assert verdict(checked, 0, 0).name.lower() == expected, reasons


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
