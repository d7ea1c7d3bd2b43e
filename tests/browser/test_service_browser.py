"""The running service in a real browser: the pages people open first, with every other machine out of reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page

from api.app import create_app
from api.settings import Settings
from layers.crs import LONLAT, between, parse_cached
from tests.counties import EAST, FARM, NORTH, found_county, small_world
from tests.serving import serving
from tests.worlds import layer

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "vendor")]

ATTACK = "<img src=x onerror=window.__pwned=1>${window.__pwned=2}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a small county's service, and the id of a blocked check in it."""
    path = tmp_path_factory.mktemp("served") / "small.gpkg"
    found_county(path).close()
    with TestClient(create_app(Settings(county=path)), base_url="http://127.0.0.1") as client:
        made = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [FARM]}}).json()
    with serving(path) as base:
        yield base, made["id"]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a county of 20,000 parcels, one of them with markup for a name."""
    x, y = (one.ravel() * 60.0 for one in np.meshgrid(np.arange(200), np.arange(100)))
    made = layer("parcels", shapely.box(x, y, x + 50, y + 50), name=[ATTACK] * len(x))
    path = tmp_path_factory.mktemp("crowded") / "many.gpkg"
    found_county(path, small_world().replaced(made)).close()
    with serving(path) as base:
        yield base


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    yield page
    page.close()


PATHS = {
    "overview": "/maps/overview",
    "zone": "/maps/zones/zones-1",
    "check": "/maps/checks/{check}",
    "front": "/",
    "docs": "/docs",
    "outlook": "/outlook.html",
    "public": "/public",
}


@pytest.mark.parametrize("name", PATHS)
def test_the_page_opens_without_a_word_from_elsewhere(
    served: tuple[str, str], page: Page, name: str, tmp_path: Path
) -> None:
    base, check = served
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    answer = page.goto(base + PATHS[name].format(check=check), wait_until="networkidle")
    assert answer is not None
    assert answer.status == 200
    page.wait_for_timeout(500)
    if name == "docs":
        page.get_by_text("/checks/batch").first.wait_for()
    shot = tmp_path / f"{name}.png"
    page.screenshot(path=shot)
    assert said == []
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {base.removeprefix("http://")}
    text = page.inner_text("body")
    if name in ("overview", "check"):
        assert page.locator("path.leaflet-interactive").count() >= 4  # parcels, zones, farmland, river
        assert "宗地 Parcels" in text
        assert "园区片区 Park zones" in text
        assert "合成数据 synthetic data" in text
    if name == "check":
        assert "系统初审：不符合" in text
        assert "甲片基本农田" in text
    if name == "outlook":
        assert page.locator("rect.net").bounding_box() is not None
        assert page.locator("rect.taken").first.evaluate("bar => getComputedStyle(bar).fill") == "rgb(192, 88, 60)"
    if name == "public":
        assert page.locator("path.zone").count() == 1
    if name == "docs":
        assert "/checks/batch" in text


def test_names_with_markup_and_code_stay_text(served: tuple[str, str], page: Page) -> None:
    base, _ = served
    page.goto(base + "/maps/overview", wait_until="networkidle")
    shown = json.dumps(page.evaluate("() => [...document.querySelectorAll('b')].map(b => b.textContent)"))
    assert "三号地" not in shown


INK = """() => [...document.querySelectorAll("canvas.leaflet-tile")].reduce((sum, one) => {
    if (!one.width) return sum;
    const dots = one.getContext("2d").getImageData(0, 0, one.width, one.height).data;
    for (let n = 3; n < dots.length; n += 4) sum += dots[n] > 0;
    return sum;
}, 0)"""


def test_twenty_thousand_parcels_come_as_tiles_and_can_be_asked_one_by_one(
    crowded: str, page: Page, tmp_path: Path
) -> None:
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(crowded + "/maps/overview", wait_until="networkidle")
    assert answer is not None
    assert len(answer.body()) < 500_000
    page.wait_for_timeout(1_000)
    page.screenshot(path=tmp_path / "crowded.png")
    assert page.evaluate(INK) > 10_000
    assert "20,000" in page.inner_text("#legend")
    assert page.locator("#legend .partial").count() == 0
    assert any(url.startswith(f"{crowded}/tiles/parcels/") for url in asked)

    spot = page.evaluate(
        """([lat, lng]) => {
        const map = Object.entries(window).find(([name]) => name.startsWith("map_"))[1];
        map.setView([lat, lng], 17, { animate: false });
        const at = map.latLngToContainerPoint([lat, lng]), box = map.getContainer().getBoundingClientRect();
        return [at.x + box.x, at.y + box.y];
    }""",
        _middle_of_a_parcel(),
    )
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    assert page.evaluate(INK) > 10_000
    page.mouse.click(*spot)
    page.locator(".leaflet-popup-content td", has_text="parcels-10101").wait_for()
    page.screenshot(path=tmp_path / "crowded-popup.png")
    page.locator("#legend label", has_text="宗地").locator("input").click()
    page.wait_for_timeout(300)
    assert page.evaluate(INK) == 0
    assert page.evaluate("window.__pwned") is None
    assert [one for one in said if "willReadFrequently" not in one] == []
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {crowded.removeprefix("http://")}


def _middle_of_a_parcel() -> list[float]:
    lonlat = between(parse_cached("EPSG:4545"), parse_cached(LONLAT))
    lng, lat = lonlat.transform(EAST + 100 * 60.0 + 25, NORTH + 50 * 60.0 + 25)
    return [lat, lng]
