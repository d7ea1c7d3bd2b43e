"""The verifier finds every seeded fault and is silent on plans that hold."""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely

from gis.verify_plan import Placement, Step, Stock, verify
from scripts.bench.plan_faults import broken, plan_of


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_that_holds_raises_no_alarm(seed):
    placements, stocks, asked = plan_of(seed)
    began = time.perf_counter()
    assert verify(placements, stocks, **asked) == ()
    assert time.perf_counter() - began < 1.0


def test_every_seeded_fault_is_found():
    rng = np.random.default_rng(4)
    held = plan_of(9)
    for _ in range(150):  # a thousand in scripts.bench.plan
        placements, stocks, asked = list(held[0]), held[1], dict(held[2])
        what = broken(rng, placements, stocks, asked)
        assert what in {one.what for one in verify(placements, stocks, **asked)}


def test_what_is_left_of_a_quota_is_carried_for_so_many_years_and_no_more():
    ground = shapely.box(0, 0, 1, 1)
    late = [Placement("p", ground, (Step(2028, 2028, 2029, {"land": 5.0}),))]
    granted = {2026: 5.0}
    assert verify(late, [Stock("land", "quota", granted, carried_years=2)]) == ()
    (short,) = verify(late, [Stock("land", "quota", granted, carried_years=1)])
    assert (short.what, short.who, short.amount) == ("pool", ("land", "2028"), 5.0)
