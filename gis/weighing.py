"""How candidates are to be ranked, as people ask for it: a method, and weights stated, by entropy, or by comparisons.

What is wrong with a request is said all at once, each fault by the criterion or the pair that it stands on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from gis.rank import CONSISTENT, METHODS, RANDOM_INDEX, Criterion, Method, ahp, entropy_weights, scaled
from layers.errors import BadInput, Fault
from layers.records import Floats, Strict

SCALE = 9.0  # Saaty 1980: from equally important, 1, to extremely more important, 9
SHOWN = 3  # strained pairs named of comparisons that contradict each other
Times = Annotated[float | str, Field(description="a number, or a fraction as text: 1/3")]


class Comparisons(Strict):
    """Criteria compared in pairs (层次分析法): `ahp[a][b]` is how many times more a matters than b, each pair once."""

    ahp: dict[str, dict[str, Times]]


def _sort(said: Any) -> str:
    if isinstance(said, str):
        return "entropy"
    return "ahp" if isinstance(said, Comparisons) or (isinstance(said, dict) and "ahp" in said) else "stated"


Weights = Annotated[
    Annotated[dict[str, float], Tag("stated")]
    | Annotated[Literal["entropy"], Tag("entropy")]
    | Annotated[Comparisons, Tag("ahp")],
    Discriminator(_sort),
]


class HowToRank(Strict):
    """A method and weights; without weights all criteria weigh alike. `orness` is of OWA alone."""

    method: Annotated[str, Field(description=f"one of {', '.join(METHODS)}")] = "topsis"
    weights: Weights | None = None
    orness: float | None = None


@dataclass(frozen=True)
class Weighing:
    """A request that was read: the criteria that count, weighed but for `entropy`, which needs the candidates."""

    method: Method
    criteria: tuple[Criterion, ...]
    by: Literal["equal", "stated", "entropy", "ahp"] = "equal"
    orness: float = 0.5
    consistency_ratio: float | None = None


def read(asked: HowToRank, known: Sequence[Criterion]) -> Weighing:
    """Raises BadInput with every fault of a request at once.

    >>> found = read(HowToRank(weights=Comparisons(ahp={"a": {"b": "3"}})), [Criterion("a", "more"),
    ...              Criterion("b", "less"), Criterion("c", "less")])
    >>> [(one.name, round(one.weight, 2)) for one in found.criteria], found.consistency_ratio
    ([('a', 0.75), ('b', 0.25)], 0.0)
    """
    faults = []
    method: Method = next((one for one in METHODS if one == asked.method), "topsis")
    if asked.method not in METHODS:
        faults.append(_fault(f"there is no {asked.method!r}", f"One of {', '.join(METHODS)}", "method"))
    if asked.orness is not None and not 0 <= asked.orness <= 1:
        faults.append(_fault(f"it is {asked.orness:g}", "Give a number from 0 to 1", "orness"))
    if asked.orness is not None and asked.method in METHODS and asked.method != "owa":
        faults.append(_fault(f"{asked.method} has no orness", "Leave it out, or ask for the method owa", "orness"))
    orness = 0.5 if asked.orness is None else asked.orness
    if asked.weights is None or asked.weights == "entropy":
        found = Weighing(method, tuple(known), "entropy" if asked.weights else "equal", orness)
    elif isinstance(asked.weights, Comparisons):
        weights, ratio = _compared(asked.weights.ahp, known, faults)
        found = Weighing(method, _of(known, weights), "ahp", orness, ratio)
    else:
        found = Weighing(method, _of(known, _stated(asked.weights, known, faults)), "stated", orness)
    if faults:
        raise BadInput("the candidates cannot be ranked as asked", faults)
    return found


def weighed(asked: Weighing, values: Floats, matters: Sequence[int]) -> list[Criterion]:
    """The criteria that tell candidates apart, with the weights they are ranked by; values are (P, C)."""
    criteria = [asked.criteria[at] for at in matters]
    if asked.by == "entropy" and len(values) > 1:
        weights = entropy_weights(scaled(values[:, list(matters)], criteria, unknown_is=math.nan))
        return [replace(one, weight=weight) for one, weight in zip(criteria, weights.tolist(), strict=True)]
    if not any(one.weight for one in criteria):  # what was given a weight is the same everywhere
        return [replace(one, weight=1.0) for one in criteria]
    return criteria


def _of(known: Sequence[Criterion], weights: Mapping[str, float]) -> tuple[Criterion, ...]:
    return tuple(replace(one, weight=float(weights[one.name])) for one in known if one.name in weights)


def _fault(reason: str, fix: str, *row: str) -> Fault:
    return Fault(reason, fix, field=".".join(("ranking", *row)))


def _strangers(names: Sequence[str], known: Sequence[Criterion], row: str) -> list[Fault]:
    words = [one.name for one in known]
    fix = f"One of {', '.join(words)}"
    return [_fault("no criterion has this name", fix, row, name) for name in names if name not in words]


def _stated(weights: Mapping[str, float], known: Sequence[Criterion], faults: list[Fault]) -> Mapping[str, float]:
    faults += _strangers(list(weights), known, "weights")
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            faults.append(_fault(f"its weight is {weight:g}", "Give a number of at least 0", "weights", name))
    if not any(weights.values()):
        faults.append(_fault("all of them are zero", "Give at least one criterion a weight", "weights"))
    return weights


def _compared(
    said: Mapping[str, Mapping[str, float | str]], known: Sequence[Criterion], faults: list[Fault]
) -> tuple[dict[str, float], float]:
    """Weights and consistency ratio of comparisons, each of which may be said in one direction or in both."""
    row = "weights.ahp"
    names = list(dict.fromkeys(name for one, others in said.items() for name in (one, *others)))
    mine = _strangers(names, known, row)
    if not 2 <= len(names) < len(RANDOM_INDEX):
        mine.append(_fault(f"it compares {len(names)} criteria", f"Compare 2 to {len(RANDOM_INDEX) - 1}", row))
    times: dict[tuple[str, str], float] = {}
    for one, others in said.items():
        for other, text in others.items():
            number = _times(text)
            if number is None or not 1 / SCALE - 1e-6 <= number <= SCALE:
                fix = f"Give a number or a fraction from 1/{SCALE:g} to {SCALE:g}"
                mine.append(_fault(f"{text!r} does not say how many times more", fix, row, one, other))
                number = math.nan
            elif one == other and number != 1:
                mine.append(_fault("a criterion matters as much as itself", "Give 1, or leave it out", row, one, other))
            times[one, other] = number
    for one, other in itertools.combinations(names, 2):
        there, back = times.get((one, other)), times.get((other, one))
        if there is None and back is None:
            fix = f"Say how many times more {one} matters than {other}, or the other way round"
            mine.append(_fault("this pair was not compared", fix, row, one, other))
        elif there is not None and back is not None and abs(there * back - 1) > 0.02:
            fix = f"If one is {there:g}, the other is 1/{there:g}; say each pair once"
            mine.append(_fault(f"the two ways of this pair contradict each other: {there:g} and {back:g}", fix, row,
                               one, other))  # fmt: skip
    faults += mine
    if mine:
        return {}, math.nan
    matrix = [
        [1.0 if one == other else times[one, other] if (one, other) in times else 1 / times[other, one]
         for other in names] for one in names
    ]  # fmt: skip
    # a fraction cut off (0.33) is made whole by the half that was said first
    for i, j in itertools.combinations(range(len(names)), 2):
        matrix[j][i] = 1 / matrix[i][j]
    found = ahp(matrix)
    if found.consistency_ratio > CONSISTENT:
        for i, j, is_said, fits in found.strained[:SHOWN]:
            reason = f"the comparisons contradict each other (consistency ratio {found.consistency_ratio:.3f} > 0.1)"
            fix = f"{is_said:.3g} was said; the others together say about {fits:.2g}: compare this pair again"
            faults.append(_fault(reason, fix, row, names[i], names[j]))
    return dict(zip(names, found.weights.tolist(), strict=True)), found.consistency_ratio


def _times(said: float | str) -> float | None:
    """
    >>> _times("1/4"), _times(3), _times("much")
    (0.25, 3.0, None)
    """
    over, _, under = str(said).partition("/")
    try:
        number = float(over) / float(under or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return number if math.isfinite(number) and number > 0 else None
