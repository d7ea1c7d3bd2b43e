"""Who of a plan can be booked today, and what the others wait for: a purchase that is not built or granted yet, or
quota that has to be carried into the year it is approved in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gis.quota import UNTIL_USED
from gis.scenario import Purchase
from gis.verify_plan import Step
from gis.yearly import EVER, granted_of

Want = tuple[str, int | None]


@dataclass(frozen=True)
class Asking:
    """One placement: what it takes in which year, and what it is worth."""

    project: str
    value: float
    steps: tuple[Step, ...]


def waits(
    placed: Iterable[Asking], accounts: Mapping[str, float], bought: Sequence[Purchase], carry_years: int
) -> dict[str, tuple[str, ...]]:
    """Project -> what it waits for, empty where the books hold all it takes; the earliest and most valuable come first.

    A name is that of a purchase, or the account that has to be there: `quota/U/2026/new_construction@2027` is what is
    carried over.

    >>> step = Step(2026, 2026, 2028, {"capacity/S1/power_kva": 60.0})
    >>> grown = Purchase(name="二号主变", cost_wan=1, adds={"capacity/S1/power_kva": 50})
    >>> waits([Asking("a", 2, (step,)), Asking("b", 1, (step,))], {"capacity/S1/power_kva": 100.0}, [grown], 1)
    {'a': (), 'b': ('二号主变',)}
    """
    left: dict[Want, float] = {(name, None): math.floor(one) for name, one in accounts.items() if math.isfinite(one)}
    granted = granted_of(accounts)
    for (unit, kind), years in granted.items():
        left |= {(f"quota/{unit}/{kind}", year): math.floor(amount) for year, amount in years.items()}
    drawn: dict[str, float] = {}  # of what is used until it is used up, whichever year it was granted in
    found: dict[str, tuple[str, ...]] = {}
    for one in sorted(placed, key=lambda one: (min(s.approval_year for s in one.steps), -one.value, one.project)):
        wants: dict[Want, int] = {}
        for step in one.steps:
            for name, amount in step.takes.items():
                if "/" not in name:
                    continue  # a cap of the scenario, no account
                want = (name, step.approval_year if name.startswith("quota/") else None)
                wants[want] = wants.get(want, 0) + math.ceil(round(amount, 3))

        def there(want: Want) -> float:
            name, year = want
            _, unit, kind = name.split("/")
            if year is None or kind not in UNTIL_USED:
                return left.get(want, 0)
            until = sum(amount for origin, amount in granted.get((unit, kind), {}).items() if origin <= year)
            return math.floor(until) - drawn.get(name, 0.0)

        short = [want for want, amount in wants.items() if amount > there(want)]
        if not short:
            for want, amount in wants.items():
                left[want] = left.get(want, 0) - amount
                drawn[want[0]] = drawn.get(want[0], 0.0) + amount
        names = [name for want in short for name in _sources(want, accounts, bought, carry_years)]
        found[one.project] = tuple(dict.fromkeys(names))
    return found


def _sources(want: Want, accounts: Mapping[str, float], bought: Sequence[Purchase], carry_years: int) -> list[str]:
    name, year = want
    if year is None:
        return [one.name for one in bought if name in one.adds] or [name]
    _, unit, kind = name.split("/")
    if kind in UNTIL_USED:
        origins = [f"quota/{unit}/{origin}/{kind}" for origin in range(year - EVER, year + 1)]
        return [one.name for one in bought if any(origin in one.adds for origin in origins)] or origins[-1:]
    origins = [f"quota/{unit}/{origin}/{kind}" for origin in range(year - carry_years, year + 1)]
    purchased = [one.name for one in bought if any(origin in one.adds for origin in origins)]
    carried = [f"{origin}@{year}" for origin in origins[:-1] if accounts.get(origin, 0.0) > 0]
    return purchased or carried or origins[-1:]
