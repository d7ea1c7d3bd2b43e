"""Rounding as surveyors do it by hand, and tables whose printed parts add up to the printed total."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from layers.units import SQUARE_METRES_PER_MU, closed, exact, ha, m2, mu, round_half_up, rounded

PLACES = st.integers(0, 6)
FLOATS = st.floats(-1e9, 1e9)
AREAS = st.lists(st.floats(0, 1e7), max_size=30)


def test_a_mu_is_two_thousand_thirds_of_a_square_metre():
    assert math.isclose(15 * SQUARE_METRES_PER_MU, 10_000)
    assert mu(2_000) == Decimal("3.00")


@pytest.mark.parametrize(
    ("value", "places", "printed"),
    [
        (2.675, 2, "2.68"),  # in binary a hair below
        (1.005, 2, "1.01"),
        (2.665, 2, "2.67"),  # half to even would say 2.66
        (0.5, 0, "1"),
        (1.5, 0, "2"),
        (2.5, 0, "3"),
        (-2.5, 0, "-3"),
        (-0.004, 2, "0.00"),  # no minus before nothing
        (0.285 * 100, 0, "29"),  # 28.499999999999996 in binary; on paper it is 28.5
        (1234.5, -2, "1.2E+3"),
        (10**20 + 0.5, 2, "100000000000000000000.00"),
        (Decimal("0.12345678901234567890125"), 22, "0.1234567890123456789013"),
        (7, 2, "7.00"),
    ],
)
def test_five_goes_up_in_the_decimal_that_people_read(value, places, printed):
    assert str(round_half_up(value, places)) == printed


def test_what_is_not_known_stays_unknown():
    assert round_half_up(float("nan"), 2).is_nan()
    assert round_half_up(float("-inf"), 2) == Decimal("-Infinity")
    assert np.isnan(rounded([np.nan], 2)).all()
    assert rounded([np.inf, -np.inf], 2).tolist() == [np.inf, -np.inf]


def test_areas_carry_the_decimals_that_registers_carry():
    assert (str(m2(57_993.944_999)), str(ha(57_993.94)), str(mu(57_993.94))) == ("57993.94", "5.7994", "86.99")
    assert str(ha(0.5)) == "0.0001"  # half of the last place
    assert str(mu(Decimal("3.3333333"))) == "0.00"


@given(st.decimals(-(10**9), 10**9, places=4), PLACES)
def test_a_float_of_a_typed_number_rounds_as_the_number(typed, places):
    wanted = typed.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    assert exact(float(typed)) == typed
    assert round_half_up(float(typed), places) == round_half_up(typed, places) == wanted


@given(FLOATS, PLACES)
def test_rounding_moves_by_half_a_place_at_most_and_once_is_enough(value, places):
    once = round_half_up(value, places)
    assert abs(Fraction(once) - Fraction(value)) <= Fraction(1, 2 * 10**places) + abs(Fraction(value)) / 10**14
    assert round_half_up(once, places) == once
    assert round_half_up(-value, places) == -once


@given(st.lists(st.one_of(FLOATS, st.decimals(-10_000, 10_000, places=3).map(float), st.floats())), PLACES)
@example([2.675, -2.675, 0.285 * 100, 1e300, -0.0, 5e-324, 0.49999999999999994], 2)
@example([0.5, 0.49999999999999994, 4503599627370497.5, 9007199254740993.0], 0)
def test_an_array_rounds_as_its_numbers_do(values, places):
    one_by_one = np.array([float(round_half_up(value, places)) for value in values])
    np.testing.assert_array_equal(rounded(values, places), one_by_one)


def test_an_array_keeps_its_shape():
    assert rounded(2.675, 2).shape == ()
    assert rounded([[2.675], [1.0]], 2).tolist() == [[2.68], [1.0]]


# --- closing --------------------------------------------------------------------------------------


@given(AREAS, PLACES)
def test_parts_close_to_their_rounded_sum_and_each_is_rounded_up_or_down(parts, places):
    made = closed(parts, places=places)
    assert sum(made) == round_half_up(
        Decimal(sum(Fraction(exact(p)) * 10**17 for p in parts).__floor__()).scaleb(-17), places
    )
    for part, one in zip(parts, made, strict=True):
        assert one >= 0
        assert abs(Fraction(one) - Fraction(exact(part))) < Fraction(1, 10**places)
        assert -one.as_tuple().exponent == places


@given(AREAS.filter(lambda parts: sum(parts) > 1), st.floats(0, 1e7), PLACES)
def test_parts_close_to_a_given_total(parts, total, places):
    made = closed(parts, total, places)
    assert sum(made) == round_half_up(total, places)
    for part, one in zip(parts, made, strict=True):
        assert one >= 0
        assert part or not one  # zero stays zero


@given(st.lists(st.decimals(0, 10**6, places=2), max_size=20))
def test_parts_that_need_no_rounding_stay(parts):
    assert closed(parts) == parts


@given(AREAS, st.randoms())
def test_the_order_of_the_rows_decides_only_between_equals(parts, random):
    mixed = list(range(len(parts)))
    random.shuffle(mixed)
    moved = closed([parts[n] for n in mixed])
    assert sorted(zip(parts, closed(parts), strict=True)) == sorted(zip((parts[n] for n in mixed), moved, strict=True))


def test_the_last_digits_go_to_the_largest_remainders_then_to_the_larger_then_to_the_earlier():
    assert [str(one) for one in closed([0.006, 1.007, 2.007])] == ["0.00", "1.01", "2.01"]
    assert [str(one) for one in closed([1.005, 2.005])] == ["1.00", "2.01"]
    assert [str(one) for one in closed([0.333, 0.333, 0.334])] == ["0.33", "0.33", "0.34"]
    assert [str(one) for one in closed([0.005, 0.005])] == ["0.01", "0.00"]


def test_a_land_use_table_closes_to_the_control_area_of_its_site():
    parts = [12_345.674, 3_210.005, 0.0, 44.331]
    assert sum(closed(parts, 15_600.01)) == Decimal("15600.01")
    assert sum(closed(parts, 15_612.0)) == Decimal("15612.00")  # 0.08 % more: shared out in proportion
    assert closed(parts, 15_612.0)[0] == Decimal("12355.16")


@pytest.mark.parametrize(
    ("parts", "total"), [([1.0, -1.0], None), ([float("nan")], None), ([0.0], 1.0), ([], 5), ([1.0], -1.0)]
)
def test_what_cannot_close_is_refused(parts, total):
    with pytest.raises(ValueError, match="close"):
        closed(parts, total)


def test_an_empty_table_closes_to_nothing():
    assert closed([]) == []
    assert closed([0.0, 0.0], 0) == [0, 0]
