"""Ways to rank over HTTP and by the command line, on a small county with two candidates that pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.searching import alike, one_number
from layers.errors import BadInput
from scripts import cli


def asked(client: TestClient, **ranking: Any) -> dict[str, Any]:
    answer = client.post("/searches", json={"project_id": "TEA", "ranking": ranking})
    found: dict[str, Any] = answer.json()
    assert answer.status_code == 200, found
    return found


@pytest.mark.parametrize("method", ["topsis", "weighted_sum", "owa"])
@pytest.mark.parametrize(
    "weights",
    [
        None,
        "entropy",
        {"area_m2": 1, "inside_zones_share": 2},
        {"ahp": {"area_m2": {"slope_mean_deg": "1/3"}}},
    ],
)
def test_every_method_goes_with_every_way_to_weigh(client: TestClient, method: str, weights: Any) -> None:
    found = asked(client, method=method, weights=weights)
    assert found["ranking"]["method"] == method
    assert [one["rank"] for one in found["candidates"]] == [1, 2]
    assert all(one["ranks"][method] == one["rank"] for one in found["candidates"])
    mattering = [one for one in found["criteria"] if one["matters"]]
    if mattering:
        assert sum(one["weight"] for one in found["criteria"]) == pytest.approx(1.0, abs=1e-4)
    assert found["robustness"]["draws"] == 10_000
    assert found["rejected"]["farmland.basic"] == 1
    if isinstance(weights, dict) and "ahp" in weights:
        shares = {one["name"]: one["weight"] for one in found["criteria"]}
        assert set(shares) == {"area_m2", "slope_mean_deg"}
        assert found["ranking"]["consistency_ratio"] == 0


def test_a_criterion_that_is_the_same_everywhere_is_said_not_to_matter(client: TestClient) -> None:
    found = asked(client)
    area = next(one for one in found["criteria"] if one["name"] == "area_m2")
    assert (area["matters"], area["weight"]) == (False, 0.0)
    assert area["same"] == {"low": 10_000.0, "high": 10_000.0}
    assert "does not matter here" in area["why"]["en"]
    assert "area_m2" not in found["robustness"]["keeps_winner"]
    assert all("area_m2" not in one["scaled"] for one in found["candidates"])


def test_ends_of_a_range_that_differ_by_rounding_are_one_number() -> None:
    low = np.array([12.0, 12.0, np.inf, np.nan, 3.0])
    high = np.array([12.0 + 1e-10, 13.0, np.inf, np.nan, 3.0])
    assert np.isnan(one_number(low, high)).tolist() == [False, True, False, True, False]


def test_a_range_that_is_the_same_everywhere_tells_nothing_apart() -> None:
    low, high = np.array([[1.0, 1.0, np.nan], [1.0, 1.0, np.nan]]), np.array([[2.0, 2.0, np.nan], [2.0, 3.0, np.nan]])
    assert alike(low, high) == [True, False, True]


def test_what_is_wrong_with_a_ranking_is_a_problem_that_names_each_row(client: TestClient) -> None:
    wrong = client.post(
        "/searches",
        json={"project_id": "TEA", "ranking": {"method": "best", "weights": {"beauty": 1, "area_m2": -2}}},
    )
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    named = {one["field"] for one in wrong.json()["errors"]}
    assert named == {"ranking.method", "ranking.weights.beauty", "ranking.weights.area_m2"}
    both = {"project_id": "TEA", "weights": {"area_m2": 1}, "ranking": {"method": "owa"}}
    assert client.post("/searches", json=both).status_code == 422
    odd = {"project_id": "TEA", "ranking": {"weights": {"ahp": {"area_m2": 3}}}}
    assert client.post("/searches", json=odd).json()["errors"][0]["field"].startswith("ranking.weights.ahp")


def test_the_command_line_ranks_by_comparisons_of_a_table(path: Path, tmp_path: Path) -> None:
    compared = tmp_path / "compared.csv"
    compared.write_text(",area_m2,slope_mean_deg,water_serving_m\narea_m2,1,3,5\nslope_mean_deg,,1,2\n", "utf-8")
    run = ["search", str(path), "--project", "TEA", "--method", "weighted_sum"]
    said = CliRunner().invoke(cli.app, [*run, "--weigh", "ahp", "--comparisons", str(compared), "--json"])
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert found["ranking"]["weights"] == "ahp"
    assert 0 < found["ranking"]["consistency_ratio"] < 0.1
    assert len(found["candidates"]) == 2
    shown = CliRunner().invoke(cli.app, [*run, "--weigh", "entropy"])
    assert shown.exit_code == 0, shown.output
    assert "does not matter here" in shown.output
    stated = CliRunner().invoke(cli.app, [*run, "--weights", "area_m2=1,beauty=2"])
    assert isinstance(stated.exception, BadInput)
    assert stated.exception.faults[0].field == "ranking.weights.beauty"
    for odd in (["--weigh", "guess"], ["--weigh", "ahp"], ["--weights", "a=1", "--weigh", "entropy"]):
        assert CliRunner().invoke(cli.app, [*run, *odd]).exit_code == 2
