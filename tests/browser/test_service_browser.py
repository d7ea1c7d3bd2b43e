"""The running service in a real browser: the pages people open first, with every other machine out of reach."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page

from api.app import create_app
from api.settings import Settings
from tests.counties import FARM, found_county

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "vendor")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a small county's service, and the id of a blocked check in it."""
    path = tmp_path_factory.mktemp("served") / "small.gpkg"
    found_county(path).close()
    with TestClient(create_app(Settings(county=path)), base_url="http://127.0.0.1") as client:
        made = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [FARM]}}).json()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(Settings(county=path, port=port))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", made["id"]
    server.should_exit = True
    thread.join(timeout=30)


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
