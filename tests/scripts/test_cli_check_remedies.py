"""`parkplan check --remedies` prints ways out."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api.test_remedies import SMALL
from tests.counties import FARM, found_county
from tests.said import Run


def test_a_blocked_parcel_says_what_else_would_do(run: Run, tmp_path: Path) -> None:
    found_county(tmp_path / "small.gpkg").close()
    (tmp_path / "p.json").write_text(json.dumps(SMALL), encoding="utf-8")
    said = run("check", tmp_path / "small.gpkg", "--project", tmp_path / "p.json", "--parcel", FARM, "--remedies")
    assert said.code == 12
    assert "改用一号地" in said.out
    assert "改用" not in run("check", tmp_path / "small.gpkg", "--project", tmp_path / "p.json", "--parcel", FARM).out
