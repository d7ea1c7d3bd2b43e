"""The timers of supplied land on the day before, the day itself and after; the modes with their terms."""

from datetime import date

import pytest

from gis.supply import Building, idle, judge_term, modes, months_after, unsupplied
from layers.errors import BadInput

DUE = date(2024, 2, 29)


@pytest.mark.parametrize(
    ("day", "state"),
    [
        (date(2024, 2, 29), "in_time"),
        (date(2024, 3, 1), "late"),
        (date(2025, 2, 27), "late"),
        (date(2025, 2, 28), "idle"),
        (date(2026, 2, 27), "idle"),
        (date(2026, 2, 28), "idle_two_years"),
    ],
)
def test_land_nobody_started_on_is_idle_after_a_year_and_taken_back_after_two(day, state):
    assert idle(Building(DUE), day).state == state


def test_the_fee_is_a_fifth_of_the_price_and_unknown_without_one():
    assert idle(Building(DUE, price_wan=1_234.5), date(2025, 6, 1)).fee_wan == 246.9
    assert idle(Building(DUE), date(2025, 6, 1)).fee_wan is None


@pytest.mark.parametrize(
    ("built", "invested", "state"),
    [(0.33, 0.9, "idle"), (0.34, 0.25, "started"), (0.9, 0.24, "idle"), (None, None, "started")],
)
def test_what_was_started_and_stopped_is_idle_where_little_was_done(built, invested, state):
    of = Building(DUE, date(2024, 3, 5), built, invested, stopped_on=date(2024, 6, 1))
    assert idle(of, date(2025, 6, 1)).state == state
    assert idle(of, date(2024, 5, 31)).state == "started"


def test_what_the_government_holds_up_does_not_count_and_what_nobody_said_is_unknown():
    assert idle(Building(DUE, government_cause=True), date(2030, 1, 1)).state == "not_its_fault"
    assert idle(Building(None), date(2030, 1, 1)).state == "unknown"


def test_a_warning_comes_ninety_days_before():
    assert idle(Building(DUE), date(2024, 11, 29)).warning is None
    assert idle(Building(DUE), date(2024, 11, 30)).warning == "即将满一年"
    assert unsupplied(date(2024, 6, 1), date(2026, 3, 2)).warning is None
    assert unsupplied(date(2024, 6, 1), date(2026, 3, 3)).warning == "批文即将满二年"
    assert unsupplied(date(2024, 6, 1), date(2026, 6, 1)).warning == "批文已满二年未供，可能失效"


def test_every_mode_keeps_its_term():
    for name, mode in modes().items():
        judge_term(name, mode.most_years)
        judge_term(name, None)
    for name, years in (("grant", 50.1), ("lease", 21), ("lease", 4)):
        with pytest.raises(BadInput, match="not lawful"):
            judge_term(name, years)


def test_a_month_later_is_the_same_day_or_the_last_of_the_month():
    assert months_after(date(2025, 11, 30), 3) == date(2026, 2, 28)
    assert months_after(date(2025, 12, 15), 12) == date(2026, 12, 15)
