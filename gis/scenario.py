"""What a plan is made for: objectives with their weights, years, money, what is fixed. Strict, and read from YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from gis.judge import Verdict
from layers.errors import BadInput, Fault
from layers.records import Strict

Amount = Annotated[float, Field(ge=0)]
Year = Annotated[int, Field(ge=2000, le=2100)]
Preferred = Literal["high_tech", "agri_processing", "light_industry"]
PREFERRED = {"high_tech": "高新技术", "agri_processing": "农产品加工", "light_industry": "轻工"}
Covered = Literal["connection", "earthwork", "land"]
COSTS = {"connection_wan": "connection", "earthwork_wan": "earthwork", "land_wan": "land"}
GOOD = {"clear": Verdict.CLEAR, "warned": Verdict.WARNED, "conditional": Verdict.CONDITIONAL}


Cap = Annotated[
    Annotated[Amount, Tag("always")] | Annotated[dict[Year, Amount], Tag("by_year")],
    Discriminator(lambda said: "by_year" if isinstance(said, dict) else "always"),
]


class Purchase(Strict):
    """Something the county may build, paid from the building fund (园区建设资金)."""

    name: str = Field(min_length=1)
    cost_wan: Amount
    adds: dict[str, Amount] = Field(min_length=1, description="account -> how much more it holds")
    from_year: Year | None = None
    facility: str | None = Field(None, description="what is built on, where it is one of the county's")
    cost_low_wan: Amount | None = None
    cost_high_wan: Amount | None = None
    source: str | None = None
    confidence: str | None = None


class KeepApart(Strict):
    """Projects of one kind keep a distance from those of another. A kind is a yes-or-no need, such as `is_food`."""

    kind: str
    other: str
    distance_m: Amount


class ChainBonus(Strict):
    """What a pair of projects of one industrial chain adds to a plan where they stand within a distance."""

    value: Amount
    within_m: Amount = 2_000.0


class Scenario(Strict):
    """One way to plan.

    `weights` names columns: what a project says of itself (`tax_wan`, `jobs` ...) or what is measured of a site or of
    their meeting (`power_serving_m`), or one of `COSTS`; a negative weight makes a cost. A plan's value counts in the
    unit of its weights: with the ones given here it is 万元, and 1 万元 of connections, of earthwork and of purchases
    weigh alike. Land counts by its area, unless `land_wan` has a weight. `start_years` are the years in which a project
    may be approved. `accept` is the worst verdict that may be planned on. What is left of a quota is carried over for
    `carry_years`. `spare` names one or two columns that value is traded against (帕累托前沿), each in `front_points`
    steps.
    """

    weights: dict[str, float] = Field(
        {
            "tax_wan": 1.0, "output_wan": 0.1, "jobs": 0.5, "area_m2": -0.002,
            "connection_wan": -1.0, "earthwork_wan": -1.0,
        }
    )  # fmt: skip
    start_years: Annotated[tuple[Year, ...], Field(min_length=1, max_length=10)] | None = None
    build_years: Annotated[int, Field(ge=0, le=10)] = 2
    carry_years: Annotated[int, Field(ge=0, le=5)] = 1
    accept: Annotated[str, Field(pattern="^(clear|warned|conditional)$")] = "conditional"
    fund_wan: Amount | None = None
    fund_weight: Amount = 1.0
    fund_covers: tuple[Covered, ...] = Field((), description="what the fund pays besides purchases")
    energy_cap_tce: Cap | None = Field(
        None, description="what all projects in production may use a year, or year -> what they may from then on"
    )
    purchases: tuple[Purchase, ...] = ()
    upgrades: bool = Field(True, description="may also buy what the price table knows would enlarge a facility")
    balances: dict[str, float] = Field({}, description="account -> balance to plan with instead of the county's")
    apart: tuple[KeepApart, ...] = (KeepApart(kind="is_food", other="is_dusty", distance_m=500.0),)
    chain: ChainBonus | None = None
    must: tuple[str, ...] = ()
    locks: dict[str, str] = Field({}, description="project -> site it stands on")
    priorities: dict[str, Amount] = Field({}, description="project -> what its benefit is multiplied by")
    preferred: dict[Preferred, Amount] = Field(
        {}, description="sort of industry -> what the benefit of its projects is multiplied by (优先调剂用地指标)"
    )
    alternatives: Annotated[int, Field(ge=0, le=20)] = 0
    spare: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    front_points: Annotated[int, Field(ge=2, le=12)] = 5
    time_limit_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    gap: Annotated[float, Field(ge=0, le=1)] = 0.001
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _decides_something(self) -> Scenario:
        if not any(self.weights.values()):
            raise ValueError("weights: all of them are zero, so that no plan is better than another")
        if self.start_years is not None and len(set(self.start_years)) < len(self.start_years):
            raise ValueError("start_years: a year stands twice")
        names = [one.name for one in self.purchases]
        if len(set(names)) < len(names):
            raise ValueError("purchases: a name stands twice")
        return self

    def adds(self) -> dict[str, float]:
        """Account -> what all purchases together would add."""
        found: dict[str, float] = {}
        for one in self.purchases:
            for account, amount in one.adds.items():
                found[account] = found.get(account, 0.0) + amount
        return found

    @property
    def energy_caps(self) -> dict[int, float]:
        """Year -> what all projects in production may use from then on; 0 is ever since, empty no cap."""
        cap = self.energy_cap_tce
        return dict(sorted(cap.items())) if isinstance(cap, dict) else {} if cap is None else {0: cap}

    @property
    def worst(self) -> Verdict:
        return GOOD[self.accept]


def scenario_of(text: str, file: str | None = None) -> Scenario:
    """A scenario from YAML text. Raises BadInput with every fault by its row.

    >>> scenario_of("weights: {tax_wan: 1}\\nstart_years: [2026, 2027]").start_years
    (2026, 2027)
    """
    try:
        said: Any = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise BadInput("the scenario is not YAML", [Fault(str(error), "Correct the text", file=file)]) from error
    if not isinstance(said, dict):
        raise BadInput("the scenario is no table", [Fault("it holds no fields", "Give fields and values", file=file)])
    try:
        return Scenario.model_validate(said)
    except ValidationError as error:
        faults = [
            Fault(one["msg"], "Correct the row", file=file, field=".".join(map(str, one["loc"])) or None)
            for one in error.errors()
        ]
        raise BadInput("the scenario cannot be used", faults) from error
