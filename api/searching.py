"""Where would a project stand best? Candidates of a county checked, then ranked on the principles and the distances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import shapely

from api.answers import answer, asked_columns
from api.planning import measure
from gis.judge import Status, Verdict
from gis.principles import principles_of
from gis.rank import METHODS, Criterion, Ranking, rank, robustness
from gis.rules import Rulebook
from gis.weighing import HowToRank, Weighing, read, weighed
from layers.records import Floats, Part, Project, Site, World
from layers.store import Store

DRAWS = 10_000
OWA_SCORES = 5_000_000  # draws x candidates that OWA, the slowest method, is asked for
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
    ranking: HowToRank | None = None,
    zones: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Ranked candidates; those that fail hard are counted by rule, those of which too little is known come after the
    others. A criterion that is the same at every candidate is said and left out of the ranking."""
    asked = read(ranking or HowToRank(), criteria_of(book))
    criteria = asked.criteria
    named = [one.name for one in criteria if one.name != "area_m2"]
    found = measure(store, [project], book, world, [*named, *asked_columns(book)], zones=zones)
    checked, sites = found.checked, found.sites
    rows = np.flatnonzero(sites.fits[:, 0])
    verdict = checked.verdict[rows, 0]
    ends = [_column(found, one.name) for one in criteria]
    low, high = (np.column_stack([one[side][rows] for one in ends]) for side in (0, 1))
    values = one_number(low, high)
    tiers = [np.flatnonzero(verdict <= Verdict.CONDITIONAL), np.flatnonzero(verdict == Verdict.UNDETERMINED)]
    tiers = [one for one in tiers if len(one)]
    listed: list[dict[str, Any]] = []
    ranked: list[tuple[Weighing, list[int], Ranking]] = []
    for tier in tiers:
        same = alike(low[tier], high[tier])
        matters = [at for at in range(len(criteria)) if not same[at]] or list(range(len(criteria)))
        table = values[tier][:, matters]
        weights = weighed(asked, values[tier], matters)
        ranks = {method: rank(table, weights, method=method, orness=asked.orness) for method in METHODS}
        ordered = ranks[asked.method]
        ranked.append((asked, matters, ordered))
        for at in ordered.order[: max(top - len(listed), 0)]:
            i = int(rows[tier[at]])
            site = Site.of(Part(sites.ground[i]))
            told = answer(checked, i, 0, site)
            before = sum(len(one) for one in tiers[: len(ranked) - 1])
            listed.append(
                {
                    "rank": len(listed) + 1,
                    "name": sites.names[i],
                    "site": told["site"],
                    "verdict": told["verdict"],
                    "score": round(float(ordered.score[at]), 6),
                    "best_rank": before + int(ordered.best_rank[at]),
                    "ranks": {method: before + int(one.rank[at]) for method, one in ranks.items()},
                    "criteria": {one.name: _number(values[tier[at], k]) for k, one in enumerate(criteria)},
                    "scaled": {
                        one.name: round(float(ordered.scaled[at, k]), 4) for k, one in enumerate(ordered.criteria)
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
        "ranking": {
            "method": asked.method,
            "weights": asked.by,
            "orness": asked.orness if asked.method == "owa" else None,
            "consistency_ratio": None if asked.consistency_ratio is None else round(asked.consistency_ratio, 4),
        },
        "criteria": _told(criteria, ranked, low, high, tiers),
        "robustness": _robustness(ranked[0][2], [sites.names[rows[k]] for k in tiers[0]]) if ranked else None,
        "notes": [{"zh": zh, "en": en} for zh, en in ranked[0][2].notes] if ranked else [],
        "rulebook_digest": book.digest,
    }


def criteria_of(book: Rulebook) -> list[Criterion]:
    """What candidates may be ranked by: the measures of the principles, and a few distances and areas."""
    known = [Criterion(one.measure, one.better, 1.0, one.zh, one.en) for one in principles_of(book)]
    return known + [Criterion(name, better, 1.0, zh, en) for name, (better, zh, en) in ALSO.items()]


def one_number(low: Floats, high: Floats) -> Floats:
    """What is known; NaN where it is only a range, but for ends that differ by rounding alone."""
    return np.where(np.isclose(low, high, rtol=SAME, atol=SAME), high, np.nan)


def alike(low: Floats, high: Floats) -> list[bool]:
    """(C,) whether a criterion, or the range in which it is known, is the same at every one of (P, C) candidates."""
    return [
        all(bool(np.isclose(side, side[0], rtol=SAME, atol=SAME, equal_nan=True).all()) for side in ends)
        for ends in zip(low.T, high.T, strict=True)
    ]


def _told(
    criteria: Sequence[Criterion],
    ranked: Sequence[tuple[Weighing, list[int], Ranking]],
    low: Floats,
    high: Floats,
    tiers: Sequence[Any],
) -> list[dict[str, Any]]:
    """Each criterion with its share of the weight, or why it has none: it is the same at every candidate compared."""
    if not ranked:
        return [{"name": one.name, "zh": one.zh, "en": one.en, "better": one.better} for one in criteria]
    _, matters, first = ranked[0]
    share = {one.name: float(weight) for one, weight in zip(first.criteria, first.weights, strict=True)}
    told = []
    for at, one in enumerate(criteria):
        row: dict[str, Any] = {"name": one.name, "zh": one.zh, "en": one.en, "better": one.better}
        row |= {"weight": round(share.get(one.name, 0.0), 6), "matters": at in matters and len(tiers[0]) > 1}
        if not row["matters"]:
            ends = float(low[tiers[0][0], at]), float(high[tiers[0][0], at])
            row |= {"same": {"low": _number(ends[0]), "high": _number(ends[1])}, "why": _why(*ends, len(tiers[0]))}
        told.append(row)
    return told


def _why(low: float, high: float, count: int) -> dict[str, str]:
    if count == 1:
        return {"zh": "仅一个候选，无从比较", "en": "there is one candidate and nothing to compare"}
    if np.isnan(high):
        return {"zh": "各候选均未知，此处不起作用", "en": "unknown at every candidate: does not matter here"}
    if np.isinf(low):
        return {
            "zh": "各候选查找范围内均无，此处不起作用",
            "en": "none within reach of any candidate: does not matter here",
        }
    if np.isclose(low, high, rtol=SAME, atol=SAME):
        return {"zh": "各候选相同，此处不起作用", "en": "the same at every candidate: does not matter here"}
    return {
        "zh": "各候选同为一个区间，此处不起作用",
        "en": "the same range at every candidate: does not matter here",
    }


def _column(found: Any, name: str) -> tuple[Floats, Floats]:
    """(S,) twice: between which ends a criterion is known."""
    checked = found.checked
    if name == "area_m2":
        area = np.asarray(shapely.area(found.sites.ground), dtype=float)
        return area, area
    if name in checked.meetings:
        one = checked.meetings[name]
        return one.lo[:, 0], one.hi[:, 0]
    one = checked.facts.columns[name]
    return one.lo, one.hi


def _robustness(ranking: Ranking, names: list[str]) -> dict[str, Any]:
    draws = DRAWS if ranking.method != "owa" else int(np.clip(OWA_SCORES / max(len(names), 1), 500, DRAWS))
    found = robustness(ranking, draws=draws, places=3)
    first = np.argsort(-found.acceptability[:, 0], kind="stable")[:5]
    return {
        "draws": found.draws,
        "first_place": [
            {"name": names[row], "share": round(float(found.acceptability[row, 0]), 4)}
            | {"first_three": round(float(found.acceptability[row].sum()), 4)}
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
