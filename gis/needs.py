"""What projects ask for: one row per project, one named column per need. What was not said is NaN, never zero."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from gis.intervals import Interval
from gis.rules import Rulebook
from layers.errors import BadInput, Fault
from layers.records import Floats, Project

Need = Callable[[Project, "Traits"], float | None]

TRAITS = (
    "chemical",
    "food",
    "dust",
    "hazardous",
    "two_high",
    "smelting",
    "discharges",
    "slaughter",
    "cement_clinker",
    "furnace",
)


class Traits:
    """What a GB/T 4754 code says of a plant: the longest prefix in `industry_traits` wins for each trait."""

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        rows = tables["industry_traits"]
        self._value = {
            (trait, prefix): float(value)
            for trait, prefix, value in zip(rows["trait"], rows["code_prefix"], rows["value"], strict=True)
        }
        self._of: dict[tuple[str, str], float | None] = {}
        industries = tables["industries"]
        self._names = dict(zip(industries["code"], industries["name_zh"], strict=True))
        voltages = tables["voltages"]
        voltages = voltages[voltages["supply_kv"].astype(float) >= 10]  # below that a transformer serves, not a station
        self._most_kva = voltages["max_kva"].astype(float).to_numpy()
        self._reach_m = voltages["economic_reach_m"].astype(float).to_numpy()

    def of(self, project: Project, trait: str) -> float | None:
        """1 or 0; None where the project does not say its industry, or says it too coarsely to tell."""
        if project.industry is None:
            return None
        key = (trait, project.industry.digits)
        if key not in self._of:
            self._of[key] = self._read(*key)
        return self._of[key]

    def _read(self, trait: str, digits: str) -> float | None:
        found = self._longest(trait, digits)
        finer = {value for (name, prefix), value in self._value.items() if name == trait and prefix.startswith(digits)}
        return found if finer <= {found} else None

    def _longest(self, trait: str, digits: str) -> float:
        for length in range(len(digits), 1, -1):
            value = self._value.get((trait, digits[:length]))
            if value is not None:
                return value
        return 0.0

    def reach_m(self, power_kva: float | None) -> float | None:
        """How far the lowest voltage that carries a load goes economically."""
        if power_kva is None:
            return None
        return float(self._reach_m[np.searchsorted(self._most_kva, power_kva)])

    def known(self, digits: str) -> bool:
        """A code is known when it, or the group it belongs to, stands in the classification we hold."""
        return digits in self._names or (len(digits) == 4 and digits[:3] in self._names)

    def nearest(self, digits: str) -> list[str]:
        close = difflib.get_close_matches(digits, self._names, n=4, cutoff=0.5)
        same = [code for code in self._names if code.startswith(digits[:2]) and len(code) >= 3]
        return [f"{code} {self._names[code]}" for code in dict.fromkeys([*close, *same[:3]])][:4]


@lru_cache(maxsize=8)
def traits_of(rulebook: Rulebook) -> Traits:
    return Traits(rulebook.tables)


def _per_hectare(amount: float | None, project: Project) -> float | None:
    return None if amount is None else amount / (project.land_m2 / 10_000)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or whole is None else part / whole


def _either(said: bool | None, trait: float | None) -> float | None:
    return trait if said is None else float(said)


def _whole(project: Project, demand: str) -> float | None:
    """What the whole project draws: its own word, or all its phases together where they ask for more."""
    phases = [getattr(phase, demand) for phase in project.phases]
    said = [amount for amount in phases if amount is not None]
    return _most(getattr(project, demand), sum(said) if said else None)


def _most(*amounts: float | None) -> float | None:
    return max((amount for amount in amounts if amount is not None), default=None)


def _discharges(project: Project, traits: Traits) -> float | None:
    effluent_m3d = _whole(project, "effluent_m3d")
    if effluent_m3d is not None:
        return float(effluent_m3d > 0)
    return traits.of(project, "discharges")


def _trait(name: str) -> Need:
    return lambda project, traits: traits.of(project, name)


NEEDS: dict[str, Need] = {
    "land_m2": lambda p, t: p.land_m2,
    "land_min_m2": lambda p, t: p.land_min_m2 or p.land_m2,
    "land_max_m2": lambda p, t: p.land_max_m2 or np.inf,
    "has_land_max": lambda p, t: float(p.land_max_m2 is not None),
    "power_kva": lambda p, t: _whole(p, "power_kva"),
    "power_reach_m": lambda p, t: t.reach_m(_whole(p, "power_kva")),
    "water_m3d": lambda p, t: _most(_whole(p, "water_peak_m3d"), _whole(p, "water_m3d")),
    "freight_td": lambda p, t: _whole(p, "freight_td"),
    "effluent_m3d": lambda p, t: _whole(p, "effluent_m3d"),
    "floor_area_ratio": lambda p, t: _ratio(p.floor_area_m2, p.land_m2),
    "floor_area_ratio_min": lambda p, t: None,  # the 2023 table was not seen by anybody here: unknown, never a pass
    "building_coverage_share": lambda p, t: _ratio(p.building_footprint_m2, p.land_m2),
    "office_land_share": lambda p, t: _ratio(p.office_land_m2, p.land_m2),
    "investment_wan_per_ha": lambda p, t: _per_hectare(p.investment_wan, p),
    "is_chemical": _trait("chemical"),
    "is_food": _trait("food"),
    "is_dusty": lambda p, t: _either(p.dust, t.of(p, "dust")),
    "is_hazardous": lambda p, t: _either(p.hazardous, t.of(p, "hazardous")),
    "is_two_high": _trait("two_high"),
    "is_slaughter": _trait("slaughter"),
    "is_cement_clinker": _trait("cement_clinker"),
    "discharges": _discharges,
    "is_manufacturing": lambda p, t: None if p.industry is None else float("13" <= p.industry.digits[:2] <= "43"),
}


def measure_needs(projects: Sequence[Project], rulebook: Rulebook) -> dict[str, Interval]:
    """Every need column of some projects, each (N,); BadInput names every unknown industry code at once."""
    traits = traits_of(rulebook)
    faults = [
        Fault(
            f"{project.industry.code!r} is not a code of GB/T 4754-2017 that we know",
            f"Nearest: {'; '.join(traits.nearest(project.industry.digits)) or 'none'}",
            feature=project.key,
            field="industry.code",
        )
        for project in projects
        if project.industry is not None and not traits.known(project.industry.digits)
    ]
    if faults:
        raise BadInput("unknown industry code", faults)
    return {name: Interval.exact(_column(need, projects, traits)) for name, need in NEEDS.items()}


def _column(need: Need, projects: Sequence[Project], traits: Traits) -> Floats:
    said = [need(project, traits) for project in projects]
    return np.array([np.nan if value is None else value for value in said], dtype=float)
