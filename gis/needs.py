"""What projects ask for: one row per project, one named column per need. What was not said is NaN, never zero.

What a project leaves out and industry knowledge can estimate from its yearly output is an interval (`estimate`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from gis.estimate import amount_of, closest, estimate, unit_faults
from gis.indicators import LIMITS, Limits
from gis.intervals import Interval
from gis.rules import Rulebook
from layers.errors import BadInput, Fault
from layers.records import Document, Floats, Project

PAYLOAD_T = 25.0  # assumption: of the truck that a plant's freight is counted in (domain table road_classes)

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
        self.limits = Limits(tables)
        industries = tables["industries"]
        self._names = dict(zip(industries["code"], industries["name_zh"], strict=True))
        voltages = tables["voltages"]
        voltages = voltages[voltages["supply_kv"].astype(float) >= 10]  # below that a transformer serves, not a station
        self._most_kva = voltages["max_kva"].astype(float).to_numpy()
        self._kv = voltages["supply_kv"].astype(float).to_numpy()
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

    def supply_kv(self, power_kva: float | None) -> float | None:
        """The lowest voltage of a station that carries a load."""
        if power_kva is None:
            return None
        return float(self._kv[np.searchsorted(self._most_kva, power_kva)])

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


def _land(project: Project) -> float | None:
    """The ground a project asks for: its own word, else that of its phases together."""
    phases = sum(phase.land_m2 for phase in project.phases)
    return project.land_m2 if project.land_m2 is not None else phases or None


def _per_hectare(amount: float | None, project: Project) -> float | None:
    land_m2 = _land(project)
    return None if amount is None or land_m2 is None else amount / (land_m2 / 10_000)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def trucks_d(freight_td: float | None) -> float | None:
    """Truck passages a day: each load comes full or leaves full, and the truck runs the other way empty.

    >>> trucks_d(250.0)
    20.0
    """
    return None if freight_td is None else freight_td * 2 / PAYLOAD_T


def _flag(amount: float | None) -> float | None:
    return None if amount is None else float(amount > 0)


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


def _class(*prefixes: str) -> Need:
    """Whether a project is of some classes of GB/T 4754; unknown where its code is too coarse to tell."""

    def of(project: Project, traits: Traits) -> float | None:
        if project.industry is None:
            return None
        digits = project.industry.digits
        if digits.startswith(prefixes):
            return 1.0
        return None if any(prefix.startswith(digits) for prefix in prefixes) else 0.0

    return of


def _makes(names: str, *prefixes: str) -> Need:
    """Whether a project makes a product of some classes; unknown in those classes until it names its product."""
    of_class = _class(*prefixes)

    def makes(project: Project, traits: Traits) -> float | None:
        inside = of_class(project, traits)
        if inside == 0.0:
            return inside
        product = None if project.annual_output is None else project.annual_output.product
        if product is not None:
            return float(closest([names], product) is not None)
        return 1.0 if inside and closest([names], project.name or "") is not None else None

    return makes


def _lacks(document: Document) -> Need:
    """Whether a project says that it holds no such document; unknown where it says nothing of it."""

    def lacks(project: Project, traits: Traits) -> float | None:
        if project.gates is None or document not in project.gates:
            return None
        return float(project.gates[document] is None)

    return lacks


def _equipment(name: str) -> Need:
    def said(project: Project, traits: Traits) -> float | None:
        value = None if project.equipment is None else getattr(project.equipment, name)
        return None if value is None else float(value)

    return said


def _made(unit: str) -> Need:
    """Yearly output, where it is counted in this unit."""

    def made(project: Project, traits: Traits) -> float | None:
        if project.annual_output is None:
            return None
        amount, counted = amount_of(project.annual_output)
        return amount if counted == unit else None

    return made


def _energy_tce_per_unit(project: Project, traits: Traits) -> float | None:
    if project.annual_output is None:
        return None
    return _ratio(project.energy_tce, amount_of(project.annual_output)[0])


def _burns_clinker(project: Project, traits: Traits) -> float | None:
    line_td = None if project.equipment is None else project.equipment.clinker_line_td
    return traits.of(project, "cement_clinker") if line_td is None else float(line_td > 0)


def _limit(indicator: str) -> Need:
    return lambda project, traits: traits.limits.limit(indicator, project)


NEEDS: dict[str, Need] = {
    "land_m2": lambda p, t: _land(p),
    "land_min_m2": lambda p, t: p.land_min_m2 or _land(p),
    "land_max_m2": lambda p, t: p.land_max_m2 or np.inf,
    "has_land_max": lambda p, t: float(p.land_max_m2 is not None),
    "power_kva": lambda p, t: _whole(p, "power_kva"),
    "power_reach_m": lambda p, t: t.reach_m(_whole(p, "power_kva")),
    "supply_kv": lambda p, t: t.supply_kv(_whole(p, "power_kva")),
    "wants_dual_supply": lambda p, t: None if p.dual_supply is None else float(p.dual_supply),
    "water_m3d": lambda p, t: _most(_whole(p, "water_peak_m3d"), _whole(p, "water_m3d")),
    "water_mean_m3d": lambda p, t: _whole(p, "water_m3d"),
    "output_wan": lambda p, t: p.output_wan,
    "energy_tce": lambda p, t: p.energy_tce,
    "freight_td": lambda p, t: _whole(p, "freight_td"),
    "trucks_d": lambda p, t: trucks_d(_whole(p, "freight_td")),
    "hauls": lambda p, t: _flag(_whole(p, "freight_td")),
    "effluent_m3d": lambda p, t: _whole(p, "effluent_m3d"),
    # the control indicators and what their table asks of the industry; NaN where it is not loaded
    "floor_area_ratio": lambda p, t: _ratio(p.floor_area_m2, _land(p)),
    "building_coverage_share": lambda p, t: _ratio(p.building_footprint_m2, _land(p)),
    "office_land_share": lambda p, t: _ratio(p.office_land_m2, _land(p)),
    "office_floor_share": lambda p, t: _ratio(p.office_floor_m2, p.floor_area_m2),
    "investment_wan_per_ha": lambda p, t: _per_hectare(p.investment_wan, p),
    "output_wan_per_ha": lambda p, t: _per_hectare(p.output_wan, p),
    "tax_wan_per_ha": lambda p, t: _per_hectare(p.tax_wan, p),
    **{column: _limit(indicator) for column, indicator in LIMITS.items()},
    # what the plant is
    "is_chemical": _trait("chemical"),
    "is_food": _trait("food"),
    "is_dusty": lambda p, t: _either(p.dust, t.of(p, "dust")),
    "is_hazardous": lambda p, t: _either(p.hazardous, t.of(p, "hazardous")),
    "is_two_high": _trait("two_high"),
    "is_slaughter": _trait("slaughter"),
    "is_cement_clinker": _burns_clinker,
    "discharges": _discharges,
    "is_manufacturing": lambda p, t: None if p.industry is None else float("13" <= p.industry.digits[:2] <= "43"),
    "is_steelmaking": _class("311", "312"),
    "is_flat_glass": _class("3041"),
    "is_silicon": _class("3218"),
    "is_waste_yard": _class("7723"),
    "is_plastic_film": _class("2921", "2923"),
    "is_electrolytic_manganese": _makes("电解金属锰|电解锰", "3140"),
    "is_vanadium": _makes("五氧化二钒|钒", "2613", "3239"),
    "is_fired_brick": _makes("烧结|多孔砖|节能砖", "3031"),
    "is_pig_slaughter": _makes("生猪|猪", "1351"),
    # what the policy gates ask: documents held, equipment, output, energy
    "energy_review_missing": _lacks("energy_review"),
    "capacity_replacement_missing": _lacks("capacity_replacement"),
    "slaughter_permit_missing": _lacks("slaughter_permit"),
    "eia_missing": _lacks("eia"),
    "clinker_line_td": _equipment("clinker_line_td"),
    "furnace_kva": _equipment("furnace_kva"),
    "rectifier_kva": _equipment("rectifier_kva"),
    "leach_tank_m3": _equipment("leach_tank_m3"),
    "film_mm": _equipment("film_mm"),
    "is_chloride_roast": _equipment("chloride_roast"),
    "is_induction_furnace": _equipment("induction_furnace"),
    "is_solid_clay": _equipment("solid_clay"),
    "output_head": _made("head"),
    "output_10k_brick": _made("10k_brick"),
    "energy_tce_per_unit": _energy_tce_per_unit,
    "energy_tce_per_unit_max": lambda p, t: t.limits.energy_tce_per_unit(p),
}
STATED = {"discharges"}  # the classification says it better than an estimate of how much


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
    if faults := unit_faults(projects):
        raise BadInput("unknown unit of output", faults)
    made = [estimate(project, rulebook) for project in projects]
    said = _table(projects, traits)
    if not any(one.estimates for one in made):
        return {name: Interval.exact(row) for name, row in zip(NEEDS, said, strict=True)}
    # Every need grows or shrinks steadily with what is estimated, so its own ends are those of the estimate.
    low, high = _table([one.low for one in made], traits), _table([one.high for one in made], traits)
    ends = {
        name: Interval(*end) for name, *end in zip(NEEDS, np.minimum(low, high), np.maximum(low, high), strict=True)
    }
    return ends | {name: Interval.exact(row) for name, row in zip(NEEDS, said, strict=True) if name in STATED}


def estimated_needs(project: Project, rulebook: Rulebook) -> frozenset[str]:
    """The need columns of a project that rest on an estimate."""
    made, traits = estimate(project, rulebook), traits_of(rulebook)
    if not made.estimates:
        return frozenset()
    rest = (name for name in NEEDS if name not in STATED)
    return frozenset(name for name in rest if NEEDS[name](made.high, traits) != NEEDS[name](project, traits))


def _table(projects: Sequence[Project], traits: Traits) -> Floats:
    """(needs, N) every need of some projects; NaN where nothing is known."""
    return np.array([[need(project, traits) for project in projects] for need in NEEDS.values()], dtype=float)
