"""The supply life cycle (供地): approved and not supplied (批而未供), and idle land (闲置土地), as dated states.

Pure functions of dates and amounts; the terms are rows of `rulebook/idle_land.csv` and `rulebook/supply_modes.csv`
with their sources. Whether land is idle is established by the bureau (认定); what is told here is when it is due.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

import pandas as pd

from layers.errors import BadInput, Fault

STATES = {
    "in_time": ("在约定期内", "within the agreed time"),
    "started": ("已动工", "started"),
    "late": ("逾期未动工", "late, not yet a year"),
    "idle": ("闲置满一年", "idle for a year"),
    "idle_two_years": ("闲置满二年", "idle for two years"),
    "stopped": ("中止开发", "stopped, not yet a year"),
    "not_its_fault": ("政府原因，不计闲置", "held up by the government, which does not count"),
    "unknown": ("缺约定动工日期，无法判定", "the agreed day is not said"),
}


@dataclass(frozen=True)
class Mode:
    """A way to supply land; years where the law bounds them."""

    mode: str
    zh: str
    en: str
    least_years: float | None
    most_years: float | None
    source: str


@cache
def modes() -> dict[str, Mode]:
    rows = _table("supply_modes")
    return {
        row["mode"]: Mode(
            row["mode"],
            row["zh"],
            row["en"],
            float(row["least_years"]) if row["least_years"] else None,
            float(row["most_years"]) if row["most_years"] else None,
            row["source"],
        )
        for row in rows.to_dict("records")
    }


@cache
def terms() -> dict[str, float]:
    rows = _table("idle_land")
    return dict(zip(rows["name"], rows["value"].astype(float), strict=True))


def _table(name: str) -> pd.DataFrame:
    with files("gis").joinpath("rulebook").joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def judge_term(mode: str, years: float | None) -> None:
    """BadInput where a mode does not last that long; nothing where no term is said."""
    asked = modes()[mode]
    least, most = asked.least_years or 0.0, asked.most_years
    if years is None or ((most is None or years <= most) and years >= least):
        return
    fix = f"{asked.zh}: {least:g} to {most:g} years ({asked.source})"
    raise BadInput("the term is not lawful", [Fault(f"{years:g} years", fix, field="supply.term_years")])


@dataclass(frozen=True)
class Building:
    """What is known of one supply. Dates not known are None; shares 0 to 1 of what should be started and invested."""

    agreed_start_on: date | None
    started_on: date | None = None
    built_share: float | None = None
    invested_share: float | None = None
    stopped_on: date | None = None
    government_cause: bool = False
    price_wan: float | None = None


@dataclass(frozen=True)
class Idle:
    """A supply on a day: its state and since when, the days that come next, what the owner owes, and a warning."""

    state: str
    since: date | None
    idle_on: date | None = None
    take_back_on: date | None = None
    fee_wan: float | None = None
    warning: str | None = None


def idle(of: Building, on: date) -> Idle:
    """Whether supplied land is idle on a day.

    >>> idle(Building(date(2024, 3, 1), price_wan=500.0), date(2025, 3, 1))
    Idle(state='idle', since=datetime.date(2025, 3, 1), idle_on=datetime.date(2025, 3, 1),
         take_back_on=datetime.date(2026, 3, 1), fee_wan=100.0, warning='闲置满一年：征缴土地闲置费')
    """
    if of.government_cause:
        return Idle("not_its_fault", None)
    begun = of.started_on is not None and of.started_on <= on
    if begun and not _stands_still(of, on):
        return Idle("started", of.started_on)
    due = of.stopped_on if begun else of.agreed_start_on
    if due is None:
        return Idle("unknown", None)
    term = terms()
    idle_on, take_back_on = months_after(due, term["idle_after"]), months_after(due, term["taken_back_after"])
    if on >= take_back_on:
        return Idle("idle_two_years", take_back_on, idle_on, take_back_on, None, "闲置满二年：无偿收回土地使用权")
    if on >= idle_on:
        fee = None if of.price_wan is None else round(of.price_wan * term["idle_fee"], 4)
        said = "闲置满一年：征缴土地闲置费" + _soon(on, take_back_on, "，即将满二年")
        return Idle("idle", idle_on, idle_on, take_back_on, fee, said)
    state = "stopped" if begun else "late" if on > due else "in_time"
    said = _soon(on, idle_on if state != "in_time" else due, "即将满一年" if state != "in_time" else "约定动工日临近")
    return Idle(state, due if state != "in_time" else None, idle_on, take_back_on, None, said or None)


def _stands_still(of: Building, on: date) -> bool:
    """Started, stopped, and less than a third built or less than a quarter invested."""
    if of.stopped_on is None or of.stopped_on > on:
        return False
    little = of.built_share is not None and of.built_share < terms()["least_built"]
    return little or (of.invested_share is not None and of.invested_share < terms()["least_invested"])


def _soon(on: date, day: date, said: str) -> str:
    return said if day - timedelta(days=terms()["warn_before"]) <= on < day else ""


@dataclass(frozen=True)
class Unsupplied:
    """Approved ground that is not supplied: since when, when the approval lapses, and a warning."""

    since: date
    lapses_on: date
    days: int
    warning: str | None


def unsupplied(approved_on: date, on: date) -> Unsupplied:
    """批而未供: how long approved ground has waited.

    >>> unsupplied(date(2024, 2, 29), date(2026, 1, 1)).lapses_on
    datetime.date(2026, 2, 28)
    """
    lapses = months_after(approved_on, terms()["approval_lapses"])
    said = "批文已满二年未供，可能失效" if on >= lapses else _soon(on, lapses, "批文即将满二年") or None
    return Unsupplied(approved_on, lapses, (on - approved_on).days, said)


def months_after(day: date, months: float) -> date:
    """The same day some months later, or the last of a shorter month."""
    years, month = divmod(day.month - 1 + int(months), 12)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))
