"""How candidates are to be ranked: what is asked, and everything that is wrong with it at once."""

from __future__ import annotations

import numpy as np
import pytest

from gis.rank import Criterion, ahp
from gis.weighing import Comparisons, HowToRank, read, weighed
from layers.errors import BadInput

KNOWN = [Criterion("road_m", "less"), Criterion("slope", "less"), Criterion("area", "more"), Criterion("jobs", "more")]


def faults(asked: HowToRank) -> dict[str, str]:
    with pytest.raises(BadInput) as told:
        read(asked, KNOWN)
    return {str(one.field): one.reason for one in told.value.faults}


def test_everything_wrong_with_stated_weights_is_named_at_once():
    found = faults(HowToRank(method="best", weights={"road_m": -1, "beauty": 2}, orness=3))
    assert set(found) == {
        "ranking.method", "ranking.orness", "ranking.weights.road_m", "ranking.weights.beauty",
    }  # fmt: skip
    assert faults(HowToRank(weights={"road_m": 0, "slope": 0})) == {"ranking.weights": "all of them are zero"}
    assert "ranking.orness" in faults(HowToRank(method="topsis", orness=0.2))


def test_comparisons_give_the_weights_of_the_whole_matrix_whichever_half_was_said():
    matrix = [[1, 3, 5], [1 / 3, 1, 2], [1 / 5, 1 / 2, 1]]
    upper = Comparisons(ahp={"road_m": {"slope": 3, "area": "5"}, "slope": {"area": 2}})
    lower = Comparisons(ahp={"area": {"slope": "1/2", "road_m": "1/5"}, "slope": {"road_m": 0.333}})
    for said, near in ((upper, 1e-12), (lower, 1e-3)):
        found = read(HowToRank(weights=said), KNOWN)
        assert [one.name for one in found.criteria] == ["road_m", "slope", "area"]
        assert [one.weight for one in found.criteria] == pytest.approx(ahp(matrix).weights, abs=near)
        assert found.consistency_ratio is not None
        assert found.consistency_ratio < 0.1


def test_a_pair_left_out_a_pair_said_twice_and_a_number_off_the_scale_are_named_at_once():
    said = Comparisons(ahp={"road_m": {"slope": 3, "road_m": 2}, "slope": {"road_m": 3}, "area": {"road_m": "12"}})
    found = faults(HowToRank(weights=said))
    assert set(found) == {
        "ranking.weights.ahp.road_m.slope", "ranking.weights.ahp.road_m.road_m", "ranking.weights.ahp.slope.area",
        "ranking.weights.ahp.area.road_m",
    }  # fmt: skip
    assert "not compared" in found["ranking.weights.ahp.slope.area"]
    assert "contradict" in found["ranking.weights.ahp.road_m.slope"]


def test_comparisons_that_go_in_a_circle_name_the_pair_most_at_odds():
    # all agree that road : slope : area : jobs is 8 : 4 : 2 : 1, but for jobs over road
    said = {
        "road_m": {"slope": 2, "area": 4},
        "slope": {"area": 2, "jobs": 4},
        "area": {"jobs": 2},
        "jobs": {"road_m": 5},
    }
    with pytest.raises(BadInput) as told:
        read(HowToRank(weights=Comparisons(ahp=said)), KNOWN)
    first = told.value.faults[0]
    assert first.field == "ranking.weights.ahp.road_m.jobs"
    assert "consistency ratio" in first.reason
    assert first.fix.startswith("0.2 was said")


def test_entropy_weighs_what_tells_apart_and_not_what_is_unknown():
    asked = read(HowToRank(weights="entropy"), KNOWN)
    values = np.array([[1.0, 5.0, np.nan, 1.0], [9.0, 5.0, np.nan, 1.1], [2.0, 5.0, 4.0, 1.2], [8.0, 5.0, np.nan, 1.3]])
    found = {one.name: one.weight for one in weighed(asked, values, [0, 2, 3])}
    assert found["area"] == 0
    assert found["road_m"] > found["jobs"] > 0
    assert sum(found.values()) == pytest.approx(1.0)
