"""`parkplan tiles`: everything drawn once, and said what it came to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.counties import found_county
from tests.said import Run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = found_county(tmp_path / "county.gpkg")
    store.close()
    return store.path


def test_tiles_are_drawn_once(run: Run, path: Path) -> None:
    said = run("tiles", path, "--json")
    assert said.code == 0, said.err
    made = {one["name"]: one for one in json.loads(said.out)["tiles"]}
    assert made["parcels"]["tiles"] >= 5
    assert 0 < made["parcels"]["most"] <= 300_000
    assert {"hillshade", "slope", "suitability"} <= made.keys()
    assert "dem" not in made
    again = {one["name"]: one for one in json.loads(run("tiles", path, "--json").out)["tiles"]}
    assert all(one["stored"] == 0 for one in again.values())
    assert "已有 there" in run("tiles", path).out
