"""Pictures of a served county: what a pixel says is what a check of that ground says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from rasterio.io import MemoryFile

from api.pictures import SLOPE_LEGEND, SUITABILITY_LEGEND
from gis.check import check
from gis.judge import outcome
from gis.suitability import CLASS_OF, Suitability, overlays, slope_rules
from gis.web_tiles import covering
from layers.crs import between, parse_cached
from layers.ingest import from_grid
from layers.records import Project
from tests.api.two_zones import bearer, people, served, two_zones
from tests.counties import EAST, NORTH, TEA

HERE = (EAST - 3_000, NORTH - 3_000, EAST + 3_000, NORTH + 3_000)


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    path = tmp_path_factory.mktemp("pictures") / "two.gpkg"
    store = two_zones(path)
    x, y = np.meshgrid(np.arange(500) * 20.0, np.arange(500) * 20.0)
    heights = (400 + 90 * np.sin(x / 300) * np.cos(y / 410)).astype(np.float32)
    heights[:60, :60] = np.nan
    store.put(from_grid(heights, EAST - 5e3, NORTH + 5e3, 20.0, "dem", source="tests", synthetic=True), by="tests")
    store.close()
    keys = people(path)
    with served(path) as client:
        yield client, keys


def get(county: Any, path: str, **headers: str) -> Any:
    client, keys = county
    return client.get(f"/tiles/{path}", headers={**bearer(keys["viewer"]), **headers})


def at_12(county: Any) -> str:
    box = between(parse_cached("EPSG:4545"), parse_cached("EPSG:3857")).transform_bounds(*HERE)
    x, y = covering(box, 12)[0].tolist()
    return f"12/{x}/{y}"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", ["hillshade", "slope", "suitability"])
def test_each_picture_is_a_png_that_is_not_sent_twice(county: Any, name: str) -> None:
    first = get(county, f"{name}/{at_12(county)}.png")
    assert first.status_code == 200, first.text
    assert first.headers["content-type"] == "image/png"
    assert first.headers["cache-control"] == "private, no-cache"
    with MemoryFile(first.content) as memory, memory.open() as picture:
        assert (picture.width, picture.height) == (256, 256)
        assert len(np.unique(picture.read(1))) > 2
    again = get(county, f"{name}/{at_12(county)}.png", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert get(county, f"{name}/12/0/0.png").status_code == 204
    for path, status in ((f"{name}/17/0/0.png", 404), (f"{name}/12/-1/0.png", 422), ("dem/12/0/0.png", 422)):
        answer = get(county, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_new_elevation_model_draws_them_anew(county: Any) -> None:
    client, _ = county
    before = get(county, f"hillshade/{at_12(county)}.png")
    store = client.app.state.county.store
    flat = np.full((500, 500), 7, dtype=np.float32)
    store.put(from_grid(flat, EAST - 5e3, NORTH + 5e3, 20.0, "dem", source="tests", synthetic=True), by="tests")
    after = get(county, f"hillshade/{at_12(county)}.png", **{"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.content != before.content
    store.put(from_grid(_again(), EAST - 5e3, NORTH + 5e3, 20.0, "dem", source="tests", synthetic=True), by="tests")


def _again() -> Any:
    x, y = np.meshgrid(np.arange(500) * 20.0, np.arange(500) * 20.0)
    return (400 + 90 * np.sin(x / 300) * np.cos(y / 410)).astype(np.float32)


def test_legends_say_what_the_colours_mean(county: Any) -> None:
    slope = get(county, "slope.json").json()
    assert [one["to_deg"] for one in slope["legend"]] == [2.0, 6.0, 15.0, 25.0, None]
    assert slope["synthetic"] is True
    told = get(county, "suitability.json").json()
    classes = {one["class"]: one for one in told["legend"]}
    assert list(classes) == ["clear", "warned", "conditional", "undetermined", "outside", "blocked"]
    assert "farmland.basic" in {one["rule"] for one in classes["blocked"]["rules"]}
    assert [one["rule"] for one in classes["outside"]["rules"]] == ["boundary.outside"]
    assert "slope.mean" in {one["rule"] for one in classes["conditional"]["rules"]}
    assert len({one["colour"] for one in told["legend"]}) == len(SUITABILITY_LEGEND)
    assert len(SLOPE_LEGEND) == 5


def test_a_pixel_says_what_a_check_of_its_ground_says(county: Any) -> None:
    served_county, today = county[0].app.state.county, date.today()  # noqa: DTZ011
    pictures, book = served_county.pictures, served_county.rulebook()
    picture = pictures.picture("suitability", pictures.key("suitability"))
    canvas = picture.canvas
    to_ground = between(parse_cached("EPSG:3857"), parse_cached("EPSG:4545"))
    west, south, east, north = between(parse_cached("EPSG:4545"), parse_cached("EPSG:3857")).transform_bounds(*HERE)
    rng = np.random.default_rng(5)
    column = ((rng.uniform(west, east, 400) - canvas.west) / canvas.pixel_m).astype(int)
    row = ((canvas.north - rng.uniform(south, north, 400)) / canvas.pixel_m).astype(int)
    x, y = to_ground.transform(
        canvas.west + (column + 0.5) * canvas.pixel_m, canvas.north - (row + 0.5) * canvas.pixel_m
    )
    asked = [one.rule for one in overlays(book, today)]
    world = served_county.store.at()
    frames = [served_county.store.frame(role) for role in sorted({one.fact.role for one in overlays(book, today)})]
    borders = shapely.union_all([shapely.boundary(one.geometry.union_all()) for one in frames])
    clear_of = shapely.distance(shapely.points(x, y), borders) > 5  # beside a border a check asks how well it is known
    x, y, row, column = x[clear_of], y[clear_of], row[clear_of], column[clear_of]
    assert len(x) > 300
    sites = list(shapely.box(x - 2, y - 2, x + 2, y + 2))
    checked = check(sites, Project.model_validate(TEA), book, world)
    worst = np.full(len(x), Suitability.CLEAR, dtype=np.uint8)
    for rule, statuses in zip(checked.rules, checked.status[:, :, 0], strict=True):
        if rule.id in {one.id for one in asked}:
            np.maximum(worst, CLASS_OF[outcome(statuses, rule.severity, rule.is_confirmed)], out=worst)
    drawn = picture.levels[canvas.z][row, column]
    blocked = np.where(drawn == Suitability.OUTSIDE, Suitability.BLOCKED, drawn)
    steep = slope_rules(book, today)  # judged on a mean of other cells than a site of a metre
    assert {rule.id for rule in steep} == {"slope.mean", "slope.platform"}
    assert (blocked >= worst).all()
    differs = blocked != worst
    assert (blocked[differs] <= Suitability.CONDITIONAL).all()  # by slope alone
    assert len(np.unique(blocked)) > 1


def test_without_an_elevation_model_there_is_no_picture(tmp_path_factory: pytest.TempPathFactory) -> None:
    from layers.gpkg import create

    path = tmp_path_factory.mktemp("bare") / "bare.gpkg"
    create(path, "空县", "EPSG:4545").close()
    with served(path) as client:
        for path_ in ("hillshade.json", "slope/12/0/0.png", "suitability.json"):
            answer = client.get(f"/tiles/{path_}", headers=bearer("demo-viewer"))
            assert answer.status_code == 404
            assert "elevation model" in answer.json()["detail"]
