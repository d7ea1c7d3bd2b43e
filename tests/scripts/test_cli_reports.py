"""`parkplan check --report`, `sheets`, `map` and `plan --out` write files that open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.counties import FARM, GOOD, found_county
from tests.said import Run

pytestmark = pytest.mark.needs("font", "vendor")
STARTS = {"pdf": b"%PDF-", "docx": b"PK", "xlsx": b"PK", "html": b"<!DOCTYPE html>", "geojson": b"{"}


@pytest.fixture
def county(tmp_path: Path) -> Path:
    path = tmp_path / "county.gpkg"
    found_county(path).close()
    return path


@pytest.mark.parametrize("kind", STARTS)
def test_a_check_is_reported_in_each_form(run: Run, county: Path, tmp_path: Path, kind: str) -> None:
    to = tmp_path / f"review.{kind}"
    assert run("check", county, "--project", "TEA", "--parcel", FARM, "--report", to).code == 12
    assert to.read_bytes().startswith(STARTS[kind])


def test_a_form_that_is_none_is_named_with_those_that_are(run: Run, county: Path, tmp_path: Path) -> None:
    said = run("check", county, "--project", "TEA", "--parcel", GOOD, "--report", tmp_path / "review.odt")
    assert said.code == 3
    assert ".pdf, .docx, .html, .xlsx or .geojson" in said.err


def test_sheets_are_written_or_refused_whole(run: Run, county: Path, tmp_path: Path) -> None:
    to = tmp_path / "sheets.pdf"
    assert run("sheets", county, GOOD, FARM, "--scale", "2000", "--paper", "A3", "--out", to).code == 0
    assert to.read_bytes().startswith(b"%PDF-")
    small = run("sheets", county, GOOD, "--scale", "500", "--out", tmp_path / "no.pdf")
    assert small.code == 3
    assert "Use 1:1000 on A4" in small.err
    assert not (tmp_path / "no.pdf").exists()
    assert run("sheets", county, GOOD, "--scale", "700", "--out", tmp_path / "no.pdf").code == 2
    assert run("sheets", county, "NONE", "--out", tmp_path / "no.pdf").code == 3


def test_a_plan_is_written_in_every_form_and_its_map_from_the_file(run: Run, county: Path, tmp_path: Path) -> None:
    to = tmp_path / "plan"
    scenario = tmp_path / "s.yaml"
    scenario.write_text("weights: {area_m2: 1.0}\n", encoding="utf-8")
    assert run("plan", county, "--scenario", scenario, "--out", to).code == 0
    assert {one.name for one in to.iterdir()} == {
        "plan.json", "plan.geojson", "plan.pdf", "plan.docx", "plan.xlsx", "plan.html",
        "map.html", "pools.svg",
    }  # fmt: skip
    assert run("map", county, "--plan", to / "plan.json", "--out", tmp_path / "plan-map.html").code == 0
    assert "role-plan_0" in (tmp_path / "plan-map.html").read_text("utf-8")
    (tmp_path / "broken.json").write_text("[", encoding="utf-8")
    assert run("map", county, "--plan", tmp_path / "broken.json", "--out", tmp_path / "x.html").code == 3


def test_any_map_is_one_file(run: Run, county: Path, tmp_path: Path) -> None:
    said = run("check", county, "--project", "TEA", "--parcel", GOOD, "--json")
    key = json.loads(said.out)["id"]
    for n, words in enumerate(([], ["--parcel", GOOD], ["--check", key])):
        to = tmp_path / f"map{n}.html"
        assert run("map", county, *words, "--out", to).code == 0
        text = to.read_text("utf-8")
        assert 'src="' not in text.replace('src="data:', "")
    assert run("map", county, "--parcel", GOOD, "--check", key, "--out", tmp_path / "x.html").code == 2
    assert run("map", county, "--zone", "nowhere", "--out", tmp_path / "x.html").code == 3
