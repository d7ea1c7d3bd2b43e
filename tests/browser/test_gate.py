"""Pages that the browser opens by itself, with a real user's key: it travels in the header and nowhere else."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.counties import closed_county
from tests.serving import serving

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "vendor")]
expect.set_options(timeout=30_000)


def test_a_map_page_opens_with_the_key_of_the_workbench(browser: Browser, tmp_path: Path) -> None:
    key = closed_county(tmp_path / "closed.gpkg")
    context = browser.new_context()
    asked: list[str] = []
    said: list[str] = []
    context.on("request", lambda one: asked.append(one.url))
    context.on("page", lambda one: one.on("pageerror", lambda error: said.append(str(error))))
    with serving(tmp_path / "closed.gpkg") as address:
        page = context.new_page()
        page.goto(address)
        page.fill("#key", key)
        page.keyboard.press("Enter")
        expect(page.locator("body[data-ready=yes]")).to_be_attached(timeout=60_000)
        page.evaluate("document.querySelectorAll('#panel details').forEach((one) => { one.open = true; })")
        with context.expect_page() as opening:
            page.click("a[href='/maps/overview']")
        _shows_a_map(opening.value)
        opening.value.reload()
        _shows_a_map(opening.value)
        with context.expect_page() as opening:
            page.click("a[href='/outlook.html']")
        expect(opening.value.locator("h1")).to_contain_text("土地储备展望")
        assert context.cookies() == []
        assert not [one for one in asked if key[:8] in one]
        assert said == []
    context.close()


def _shows_a_map(page: Page) -> None:
    expect(page.locator(".leaflet-container")).to_be_visible()
    expect(page.locator("#legend .leaflet-control-layers")).to_be_visible()
    assert page.url.endswith("/maps/overview")


def test_who_comes_to_a_map_page_without_a_key_is_asked_for_one(browser: Browser, tmp_path: Path) -> None:
    key = closed_county(tmp_path / "closed.gpkg")
    with serving(tmp_path / "closed.gpkg") as address:
        page = browser.new_page()
        page.goto(f"{address}/maps/overview")
        assert "试验县" not in page.content()
        page.fill("#key", "no key at all")
        page.keyboard.press("Enter")
        expect(page.locator("#refused")).to_contain_text(re.compile("密钥无法识别"))
        assert page.evaluate("sessionStorage.length") == 0
        page.fill("#key", key)
        page.keyboard.press("Enter")
        _shows_a_map(page)
        page.close()
