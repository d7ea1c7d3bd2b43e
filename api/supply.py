"""供地: approved ground that is not supplied (批而未供), and what was supplied with its timers (闲置土地)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from api.books import everything
from gis.supply import STATES, Building, Idle, idle, modes, unsupplied
from layers.ledger.keeping import Ledger
from layers.ledger.records import Reservation
from layers.units import mu


def listed(ledger: Ledger, on: date, sees: Callable[[str], bool] = everything) -> dict[str, Any]:
    """Both lists as they stand on a day, by what the ledger says now; those with a warning first.

    `sees` says of the digest of some ground whether who asks may see what is held there.
    """
    found = [one for one in ledger.reservations(("approved", "supplied")) if sees(one.ground)]
    waiting = [_waiting(one, on) for one in found if one.supplied_m2 < one.area_m2]
    supplied = [_supplied(one, supply, on) for one in found for supply in one.supplies]
    return {
        "on": on.isoformat(),
        "approved_unsupplied": sorted(waiting, key=lambda row: (row["warning"] is None, row["approved_on"])),
        "supplied": sorted(supplied, key=lambda row: (row["warning"] is None, row["reservation"])),
        "approved_unsupplied_m2": sum(row["unsupplied_m2"] for row in waiting),
        "idle_m2": sum(row["area_m2"] for row in supplied if row["state"] in ("idle", "idle_two_years")),
    }


def _waiting(one: Reservation, on: date) -> dict[str, Any]:
    assert one.approval is not None
    found = unsupplied(one.approval.date, on)
    left_m2 = one.area_m2 - one.supplied_m2
    return {
        "reservation": one.id,
        "project": one.project,
        "batch": one.batch,
        "document": one.approval.number,
        "approved_on": found.since.isoformat(),
        "days": found.days,
        "lapses_on": found.lapses_on.isoformat(),
        "area_m2": one.area_m2,
        "supplied_m2": one.supplied_m2,
        "unsupplied_m2": left_m2,
        "unsupplied_mu": float(mu(left_m2)),
        "warning": found.warning,
    }


def _supplied(one: Reservation, supply: Mapping[str, Any], on: date) -> dict[str, Any]:
    seen = {**supply, **one.progress.get(str(supply["contract"]), {})}
    found = idle(_building(seen), on)
    zh, en = STATES[found.state]
    return {
        "reservation": one.id,
        "project": one.project,
        "batch": one.batch,
        "mode": supply["mode"],
        "mode_zh": modes()[supply["mode"]].zh,
        "contract": supply["contract"],
        "winner": supply["winner"],
        "area_m2": supply["area_m2"],
        "bars": supply.get("bars"),
        "state": found.state,
        "zh": zh,
        "en": en,
        **_days(found),
        "fee_wan": found.fee_wan,
        "warning": found.warning,
    }


def _building(seen: Mapping[str, Any]) -> Building:
    def day(name: str) -> date | None:
        return date.fromisoformat(seen[name]) if seen.get(name) else None

    return Building(
        agreed_start_on=day("agreed_start_on"),
        started_on=day("started_on"),
        built_share=seen.get("built_share"),
        invested_share=seen.get("invested_share"),
        stopped_on=day("stopped_on"),
        government_cause=bool(seen.get("government_cause", False)),
        price_wan=seen.get("price_wan"),
    )


def _days(found: Idle) -> dict[str, str | None]:
    days = {"since": found.since, "idle_on": found.idle_on, "take_back_on": found.take_back_on}
    return {name: None if day is None else day.isoformat() for name, day in days.items()}
