"""Quota need = land use - construction - valid approvals, against counting squares of ten metres one by one."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.ground import Ground
from gis.landuse import KINDS
from gis.quota import QuotaNeed
from tests.worlds import kind_world, layer

DAY = date(2026, 6, 1)
SQUARES = 12  # a world of 12 x 12 squares of 10 m
LAND = {  # three_class, cultivated, paddy; None is not said
    "paddy": ("agricultural", True, True),
    "field": ("agricultural", True, False),
    "forest": ("agricultural", False, False),
    "bare": ("unused", False, False),
    "built": ("construction", False, False),
    "unsaid": (None, None, None),
    "farm, kind unsaid": ("agricultural", None, None),
}
SURE = {  # what each certainly is; and what it may be
    "new_construction": {"paddy", "field", "forest", "bare", "farm, kind unsaid"},
    "agricultural": {"paddy", "field", "forest", "farm, kind unsaid"},
    "cultivated": {"paddy", "field"},
    "paddy": {"paddy"},
}
MAYBE = {kind: sure | {"unsaid"} for kind, sure in SURE.items()}
MAYBE["cultivated"] = MAYBE["cultivated"] | {"farm, kind unsaid"}
MAYBE["paddy"] = MAYBE["paddy"] | {"farm, kind unsaid"}
DATES = {  # approved_on, valid_until -> certainly valid on DAY, possibly
    ("2025-01-01", "2027-01-01"): (True, True),
    ("2026-06-01", "2026-06-01"): (True, True),
    ("2020-01-01", "2026-05-31"): (False, False),
    ("2026-06-02", "2029-01-01"): (False, False),
    (None, "2027-01-01"): (False, True),
    ("2025-01-01", None): (False, True),
    (None, None): (False, True),
    (None, "2026-05-31"): (False, False),
    ("2026-06-02", None): (False, False),
}


def box(west, south, east, north):
    return shapely.box(west * 10, south * 10, east * 10, north * 10)


def survey(patches):
    shapes, names = [shape for shape, _ in patches], [name for _, name in patches]
    three, cultivated, paddy = zip(*(LAND[name] for name in names), strict=True)
    return layer(
        "land_use", shapes, code_system=["x"] * len(names), code=["x"] * len(names), three_class=list(three),
        cultivated=list(cultivated), paddy=list(paddy),
    )  # fmt: skip


def approvals(some):
    given_, until = [dates[0] for _, dates in some], [dates[1] for _, dates in some]
    return layer("approved_land", [shape for shape, _ in some], approved_on=given_, valid_until=until)


def need(world, *sites):
    ground = Ground(np.array(sites, dtype=object), world)
    return {kind: QuotaNeed(kind).measure(ground, 0.0) for kind in KINDS}


rectangle = st.tuples(*(st.integers(0, SQUARES - 1),) * 2, *(st.integers(1, 6),) * 2).map(
    lambda r: (r[0], r[1], min(r[0] + r[2], SQUARES), min(r[1] + r[3], SQUARES))
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.sampled_from([*LAND, None]), min_size=9, max_size=9),
    st.lists(st.tuples(rectangle, st.sampled_from(list(DATES))), max_size=4),
    st.lists(rectangle, min_size=1, max_size=3),
)
def test_the_need_is_what_counting_squares_gives(names, given_, asked):
    blocks = [(4 * (n % 3), 4 * (n // 3), 4 * (n % 3) + 4, 4 * (n // 3) + 4) for n in range(9)]
    patches = [(box(*block), name) for block, name in zip(blocks, names, strict=True) if name is not None]
    if not patches:
        return
    world = kind_world(
        land_use=survey(patches), approved_land=approvals([(box(*where), dates) for where, dates in given_])
    )
    found = need(world, *(box(*where) for where in asked))
    for number, (west, south, east, north) in enumerate(asked):
        least, most = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
        for x in range(west, east):
            for y in range(south, north):
                over = [DATES[dates] for (w, s, e, n), dates in given_ if w <= x < e and s <= y < n]
                sure, may = any(one[0] for one in over), any(one[1] for one in over)
                name = names[x // 4 + 3 * (y // 4)]
                for kind in KINDS:
                    least[kind] += 100 * (name in SURE[kind] and not may)
                    most[kind] += 100 * ((name is None or name in MAYBE[kind]) and not sure)
        for kind in KINDS:
            assert (found[kind].lo[number], found[kind].hi[number]) == (least[kind], most[kind]), kind


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(rectangle, st.sampled_from(list(LAND))), min_size=1, max_size=7),
    st.lists(st.tuples(rectangle, st.sampled_from(list(DATES))), max_size=3),
    rectangle,
)
def test_where_patches_lie_over_each_other_the_bounds_hold_the_truth_and_nest(patches, given_, asked):
    """Ground claimed twice is one of the claims: no reading of it may lie outside the bounds."""
    world = kind_world(
        land_use=survey([(box(*where), name) for where, name in patches]),
        approved_land=approvals([(box(*where), dates) for where, dates in given_]),
    )
    found = need(world, box(*asked))
    west, south, east, north = asked
    least, most = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for x in range(west, east):
        for y in range(south, north):
            names = {name for (w, s, e, n), name in patches if w <= x < e and s <= y < n}
            over = [DATES[d] for (w, s, e, n), d in given_ if w <= x < e and s <= y < n]
            sure, may = any(one[0] for one in over), any(one[1] for one in over)
            for kind in KINDS:
                least[kind] += 100 * (bool(names & SURE[kind]) and not may)
                most[kind] += 100 * ((not names or bool(names & MAYBE[kind])) and not sure)
    for kind in KINDS:
        assert (found[kind].lo[0], found[kind].hi[0]) == pytest.approx((least[kind], most[kind]), abs=0.03), kind
    for larger, smaller in pairwise(KINDS):
        assert found[larger].lo[0] >= found[smaller].lo[0]
        assert found[larger].hi[0] >= found[smaller].hi[0]


def test_every_cent_of_a_wholly_approved_site_is_saved():
    odd = shapely.Polygon([(0.1, 0.2), (77.77, 3.33), (55.5, 66.6), (3.21, 44.4)])
    world = kind_world(
        land_use=survey([(box(0, 0, 3, 12), "paddy"), (box(3, 0, 12, 12), "forest")]),
        approved_land=approvals([(box(-1, -1, 12, 12), ("2025-01-01", "2027-01-01"))]),
    )
    assert {(one.lo[0], one.hi[0]) for one in need(world, odd).values()} == {(0.0, 0.0)}


def test_without_the_layer_of_approvals_the_need_may_be_nothing():
    world = kind_world(land_use=survey([(box(0, 0, 12, 12), "paddy")]))
    world = world.without("approved_land")
    found = need(world, box(0, 0, 1, 1))["cultivated"]
    assert (found.lo[0], found.hi[0]) == (0.0, 100.0)
    unsurveyed = world.replaced(layer("approved_land", [], extent=box(5, 5, 9, 9)))
    found = need(unsurveyed, box(0, 0, 1, 1))["cultivated"]
    assert (found.lo[0], found.hi[0]) == (0.0, 100.0)


@pytest.mark.parametrize("role", ["land_use"])
def test_without_a_land_use_survey_the_need_is_unknown(role):
    found = need(kind_world().without(role), box(0, 0, 1, 1))
    assert all(np.isnan(one.lo[0]) and np.isnan(one.hi[0]) for one in found.values())


def test_ground_that_two_patches_claim_keeps_its_claim_beside_an_approval():
    """The middle square is paddy, claimed by the field too; the approval takes the field's own square."""
    world = kind_world(
        land_use=survey([(box(0, 0, 2, 1), "paddy"), (box(1, 0, 3, 1), "field")]),
        approved_land=approvals([(box(2, 0, 3, 1), ("2025-01-01", "2027-01-01"))]),
    )
    found = need(world, box(0, 0, 3, 1))
    assert {(found[kind].lo[0], found[kind].hi[0]) for kind in KINDS} == {(200.0, 200.0)}
