"""Where would a project stand best? Candidates of a county checked, then ranked on the principles and the distances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import shapely

from api.answers import answer, asked_columns
from api.planning import measure
from gis.judge import Status, Verdict
from gis.principles import principles_of
from gis.rank import Criterion, Ranking, rank, robustness
from gis.rules import Rulebook
from layers.errors import BadInput, Fault
from layers.records import Floats, Part, Project, Site, World
from layers.store import Store

SAME = 1e-6  # ends of a range no farther apart than that are one number: sums in another order
ALSO: dict[str, tuple[Literal["more", "less"], str, str]] = {
    "area_m2": ("less", "用地面积", "area taken"),
    "power_serving_m": ("less", "供电距离", "distance to the substation that serves"),
    "water_serving_m": ("less", "供水距离", "distance to the waterworks that serve"),
    "quota_cultivated_m2": ("less", "占用耕地", "cultivated land taken"),
    "slope_mean_deg": ("less", "平均坡度", "mean slope"),
}


def search(
    store: Store,
    project: Project,
    book: Rulebook,
    world: World,
    *,
    top: int = 20,
    weights: Mapping[str, float] | None = None,
    zones: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Ranked candidates; those that fail hard are counted by rule, those of which too little is known come after the
    others. Weights by the names of `criteria`; what is not named weighs nothing where any is."""
    criteria = _criteria(book, weights)
    named = [one.name for one in criteria if one.name != "area_m2"]
    found = measure(store, [project], book, world, [*named, *asked_columns(book)], zones=zones)
    checked, sites = found.checked, found.sites
    rows = np.flatnonzero(sites.fits[:, 0])
    verdict = checked.verdict[rows, 0]
    values = np.column_stack([_column(found, one.name)[rows] for one in criteria])
    tiers = [np.flatnonzero(verdict <= Verdict.CONDITIONAL), np.flatnonzero(verdict == Verdict.UNDETERMINED)]
    listed: list[dict[str, Any]] = []
    firsts: Ranking | None = None
    for tier in tiers:
        if not len(tier):
            continue
        ranking = rank(values[tier], criteria)
        firsts = firsts or ranking
        for at in ranking.order[: max(top - len(listed), 0)]:
            i = int(rows[tier[at]])
            site = Site.of(Part(sites.ground[i]))
            told = answer(checked, i, 0, site)
            listed.append(
                {
                    "rank": len(listed) + 1,
                    "name": sites.names[i],
                    "site": told["site"],
                    "verdict": told["verdict"],
                    "score": round(float(ranking.score[at]), 6),
                    "best_rank": int(ranking.best_rank[at]),
                    "criteria": {
                        one.name: _number(values[tier[at], column]) for column, one in enumerate(ranking.criteria)
                    },
                    "findings": [one for one in told["findings"] if one["status"] in ("fail", "unknown")],
                }
            )
    blocked = rows[verdict == Verdict.BLOCKED]
    rejected = Counter[str]()
    for rule, status in zip(checked.rules, checked.status, strict=True):
        if rule.severity == "block" and (count := int((status[blocked, 0] == Status.FAIL).sum())):
            rejected[rule.id] = count
    return {
        "project": project.model_dump(mode="json", exclude_none=True),
        "considered": len(rows),
        "candidates": listed,
        "rejected": dict(rejected.most_common()),
        "criteria": [
            {"name": one.name, "zh": one.zh, "en": one.en, "better": one.better, "weight": one.weight}
            for one in criteria
        ],
        "robustness": None if firsts is None else _robustness(firsts, [sites.names[rows[k]] for k in _tier(tiers)]),
        "notes": [] if firsts is None else [{"zh": zh, "en": en} for zh, en in firsts.notes],
        "rulebook_digest": book.digest,
    }


def _tier(tiers: list[Any]) -> Any:
    return next(one for one in tiers if len(one))


def _criteria(book: Rulebook, weights: Mapping[str, float] | None) -> list[Criterion]:
    known = [Criterion(one.measure, one.better, 1.0, one.zh, one.en) for one in principles_of(book)]
    known += [Criterion(name, better, 1.0, zh, en) for name, (better, zh, en) in ALSO.items()]
    if weights is None:
        return known
    names = [one.name for one in known]
    if unknown := sorted(set(weights) - set(names)):
        raise BadInput(
            "the weights cannot be used",
            [Fault("no criterion has this name", f"One of {', '.join(names)}", field=name) for name in unknown],
        )
    return [
        Criterion(one.name, one.better, float(weights[one.name]), one.zh, one.en)
        for one in known
        if one.name in weights
    ]


def _column(found: Any, name: str) -> Floats:
    """(S,) a criterion; what is known only as a range counts as unknown, but for ends that differ by rounding alone."""
    checked = found.checked
    if name == "area_m2":
        return np.asarray(shapely.area(found.sites.ground), dtype=float)
    if name in checked.meetings:
        one = checked.meetings[name]
        low, high = one.lo[:, 0], one.hi[:, 0]
    else:
        one = checked.facts.columns[name]
        low, high = one.lo, one.hi
    return np.where(np.isclose(low, high, rtol=SAME, atol=SAME), high, np.nan)


def _robustness(ranking: Ranking, names: list[str]) -> dict[str, Any]:
    found = robustness(ranking, draws=2_000, places=3)
    first = np.argsort(-found.acceptability[:, 0], kind="stable")[:5]
    return {
        "draws": found.draws,
        "first_place": [
            {"name": names[row], "share": round(float(found.acceptability[row, 0]), 4)}
            for row in first
            if found.acceptability[row, 0] > 0
        ],
        "keeps_winner": {
            one.name: [round(float(end), 4) for end in ends]
            for one, ends in zip(ranking.criteria, found.keeps_winner, strict=True)
        },
        "drives": {
            one.name: round(float(places), 3) for one, places in zip(ranking.criteria, found.drives, strict=True)
        },
    }


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
