"""A report as somebody opens it from a stick: it loads nothing, and its map measures right on paper."""

from __future__ import annotations

import io
import re
from datetime import date
from pathlib import Path

import pdfplumber
import pytest
from playwright.sync_api import Browser

from api.reports import html, of_parcels
from tests.counties import GOOD, found_county

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium")]


def test_a_page_opens_without_a_word_from_elsewhere_and_prints_to_scale(browser: Browser, tmp_path: Path) -> None:
    store = found_county(tmp_path / "county.gpkg")
    made = of_parcels.sheets(store, [GOOD], scale=2_000, drawn_on=date(2026, 6, 1))
    store.close()
    file = tmp_path / "report.html"
    file.write_text(html.write(made), encoding="utf-8")
    page = browser.new_page()
    trouble: list[str] = []
    page.on("console", lambda said: trouble.append(said.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith("file:") else trouble.append(sent.url))
    page.goto(file.as_uri())
    assert trouble == []
    assert page.locator("table tbody tr").count() == 4
    data = page.pdf(prefer_css_page_size=True, print_background=True)
    with pdfplumber.open(io.BytesIO(data)) as book:
        first, last = book.pages[0], book.pages[-1]
        assert re.search(r"第\s*1\s*.\s*共\s*2\s*.", first.extract_text())  # 页 comes back as its radical
        assert f"SHA-256 {made.digest[:16]}" in first.extract_text()
        assert f"SHA-256 {made.digest[:16]}" in last.extract_text()
        assert (last.width, last.height) == pytest.approx((595.3, 841.9), abs=1.5)
        sides = {
            round(one["width"] * 25.4 / 72, 1)
            for one in [*last.curves, *last.rects]
            if isinstance(one["stroking_color"], tuple) and one["stroking_color"][0] == pytest.approx(0.76, abs=0.01)
        }
    assert any(abs(one - 50.0) <= 0.2 for one in sides)
    page.close()
