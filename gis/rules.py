"""The rulebook: every rule one inequality between two named columns, with the law it stands on.

There are no expressions, so there is nothing to parse and nothing to inject. The whole book is refused when one
row names a column that does not exist or is harder than its authority allows.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

import pandas as pd
import yaml

from gis.judge import Op
from layers.errors import BadInput, Fault
from layers.records import PURPOSES, Purpose

Severity = Literal["block", "condition", "warn"]
HARDEST = {"statute": "block", "standard": "block", "policy": "condition", "assumption": "warn"}
HARDNESS = {"warn": 0, "condition": 1, "block": 2}
TABLES = (
    "connection_prices",
    "control_indicators",
    "earthwork_prices",
    "energy_benchmarks",
    "industries",
    "industry_chains",
    "industry_demand",
    "industry_traits",
    "land_prices",
    "landuse_classes",
    "positional_accuracy",
    "principles",
    "raw_materials",
    "reserve_steps",
    "road_classes",
    "voltages",
)
REACH_SLACK_M = 1.0  # look a little past the limit, so that "nothing found" is beyond it and not on it


@dataclass(frozen=True)
class Rule:
    """One inequality. `limit` is a number or the name of a column; `when` absent means always."""

    id: str
    zh: str
    en: str
    value: str
    op: Op
    limit: float | str
    at: tuple[Purpose, ...]
    severity: Severity
    basis: str
    edition: str
    authority: str
    verified: str
    level: str = "national"
    scope: Literal["each", "sum", "apart"] = "each"
    when: str | None = None
    pool: str | None = None
    other: str | None = None
    reach_m: float | None = None
    since: date | None = None
    until: date | None = None
    replaces: str | None = None
    document: str | None = None
    confidence: str = ""
    note: str = ""
    waivable: bool = True  # False: no opinion closes it, whatever the document (api.opinions)

    @property
    def columns(self) -> tuple[str, ...]:
        named = (self.value, self.limit if isinstance(self.limit, str) else None, self.when)
        return tuple(name for name in named if name is not None)

    @property
    def is_confirmed(self) -> bool:
        return self.verified != "memory"

    def in_force(self, on: date) -> bool:
        return (self.since is None or self.since <= on) and (self.until is None or on <= self.until)


@dataclass(frozen=True)
class Tolerance:
    """How far a layer's borders may be off. What reaches no deeper than `depth_m` inside them and takes, with all of
    its class on the site, no more than `area_m2` is a boundary touch."""

    depth_m: float
    area_m2: float = math.inf
    stated: bool = True


@dataclass(frozen=True, eq=False)
class Rulebook:
    """The rules and the tables they and the needs read; `digest` is what a verdict pins."""

    rules: tuple[Rule, ...]
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        text = json.dumps([_digested(rule) for rule in self.rules], default=str, sort_keys=True, ensure_ascii=False)
        running = hashlib.sha256(text.encode())
        for name in sorted(self.tables):
            running.update(self.tables[name].to_csv(index=False).encode())
        return running.hexdigest()

    @cached_property
    def tolerances(self) -> dict[str, Tolerance]:
        """For layers that state no accuracy, by role; "*" for the roles that are not named."""
        rows = self.tables.get("positional_accuracy")
        return tolerances() if rows is None else _tolerances(rows)

    def asked(self, purpose: Purpose, on: date) -> tuple[Rule, ...]:
        """The rules in force on a day that are asked at this purpose, in the order of the book."""
        return tuple(rule for rule in self.rules if purpose in rule.at and rule.in_force(on))

    def confirmed(self, confirmations: Iterable[Mapping[str, Any]]) -> Rulebook:
        """The book with the rows a county has confirmed, each by document and date, at their full severity."""
        by_rule = {entry["rule"]: f"{entry['document']} {entry['date']}" for entry in confirmations}
        rules = tuple(
            replace(rule, verified="county", document=by_rule[rule.id]) if rule.id in by_rule else rule
            for rule in self.rules
        )
        return replace(self, rules=rules)


def _digested(rule: Rule) -> dict[str, Any]:
    """A row as the digest reads it. A field that came later is left out where it says what always held, so that the
    digests of kept rulebooks stay."""
    row = asdict(rule)
    return {name: value for name, value in row.items() if name != "waivable" or not value}


def reach_m(rules: Iterable[Rule]) -> dict[str, float]:
    """How far each column has to be looked for: as far as the farthest limit that is set on it."""
    reach: dict[str, float] = {}
    for rule in rules:
        far = rule.reach_m if rule.reach_m is not None else rule.limit
        if isinstance(far, (int, float)):
            reach[rule.value] = max(reach.get(rule.value, 0.0), float(far) + REACH_SLACK_M)
    return reach


def load(columns: Iterable[str], source: Traversable | None = None) -> Rulebook:
    """The rulebook shipped with this package, checked as a whole against the columns that exist."""
    folder = source if source is not None else files("gis").joinpath("rulebook")
    rows = yaml.safe_load(folder.joinpath("rules.yaml").read_text(encoding="utf-8"))
    return Rulebook(read_rules(rows, columns), {name: _table(folder, name) for name in TABLES})


@cache
def tolerances() -> dict[str, Tolerance]:
    """What the rulebook shipped with this package assumes of layers that state no accuracy."""
    return _tolerances(shipped("positional_accuracy"))


@cache
def shipped(name: str) -> pd.DataFrame:
    """A table of the rulebook shipped with this package."""
    return _table(files("gis").joinpath("rulebook"), name)


def _tolerances(rows: pd.DataFrame) -> dict[str, Tolerance]:
    return {
        role: Tolerance(float(depth_m), float(area_m2) if area_m2 else math.inf, stated=False)
        for role, depth_m, area_m2 in zip(rows["role"], rows["accuracy_m"], rows["area_m2"], strict=True)
    }


def _table(folder: Traversable, name: str) -> pd.DataFrame:
    with folder.joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def read_rules(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> tuple[Rule, ...]:
    """Rules from rows; BadInput with every fault of the whole book."""
    known = set(columns)
    rules: list[Rule] = []
    faults: list[Fault] = []
    for number, row in enumerate(rows, start=1):
        name = str(row.get("id", f"row {number}"))
        try:
            rule = Rule(**{**row, "at": tuple(row.get("at", PURPOSES))})
        except TypeError as error:
            faults.append(Fault(str(error), "See Rule for the fields of a row", layer="rulebook", feature=name))
            continue
        rules.append(rule)
        faults.extend(Fault(reason, fix, layer="rulebook", feature=name) for reason, fix in _faults(rule, known))
    ids = [rule.id for rule in rules]
    faults.extend(
        Fault("the id stands twice", "Ids are never reused", layer="rulebook", feature=name)
        for name in sorted({name for name in ids if ids.count(name) > 1})
    )
    faults.extend(
        Fault(f"it replaces {rule.replaces!r}, which is no rule", "Name the rule it replaces", feature=rule.id)
        for rule in rules
        if rule.replaces is not None and rule.replaces not in ids
    )
    if faults:
        raise BadInput("the rulebook is refused as a whole", faults)
    return tuple(rules)


def _faults(rule: Rule, known: set[str]) -> Iterable[tuple[str, str]]:
    for name in rule.columns:
        if name not in known:
            yield f"it names the column {name!r}, which does not exist", "Use a column of FACTS, NEEDS or MEETINGS"
    if rule.op not in (">=", "<="):
        yield f"its op is {rule.op!r}", "Use >= or <="
    if rule.severity not in HARDNESS or rule.authority not in HARDEST:
        yield "its severity or authority is unknown", f"Use {', '.join(HARDNESS)} and {', '.join(HARDEST)}"
    elif HARDNESS[rule.severity] > HARDNESS[HARDEST[rule.authority]]:
        yield f"a {rule.authority} may not {rule.severity}", f"At most {HARDEST[rule.authority]}"
    if rule.verified not in ("memory", "seen", "county"):
        yield f"verified is {rule.verified!r}", "Use memory, seen or county"
    if unknown := set(rule.at) - set(PURPOSES):
        yield f"it is asked at {', '.join(sorted(unknown))}", f"The purposes are {', '.join(PURPOSES)}"
    if rule.value.endswith("_m") and isinstance(rule.limit, str) and rule.reach_m is None:
        yield "its limit is a column, so nobody knows how far to look", "Give reach_m"
    if rule.replaces is not None and not rule.document:
        yield "it replaces a rule without naming its document", "Give document"
