"""Why there is no plan at all: which of the projects that have to be placed rule each other out, or what they lack."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from gis.offers import Candidates
from layers.records import Bools, Floats, Ints


def contradictions(
    must: Bools, sites: Candidates, benefit: Floats, conflicts: Ints, keys: Sequence[str]
) -> dict[int, list[str]]:
    """Project that has to be placed -> those that have to be as well and never can be beside it, whatever the year."""
    count = len(sites.ground)
    open_ = np.asarray(np.isfinite(benefit).reshape(-1, count, benefit.shape[1]).any(axis=0), dtype=bool)
    groups = sites.overlaps()
    found: dict[int, list[str]] = {}
    for i, j in itertools.combinations(np.flatnonzero(must).tolist(), 2):
        both: Bools = open_[:, i][:, None] & open_[:, j][None, :]
        np.fill_diagonal(both, val=False)
        for group in groups:
            both[np.ix_(group, group)] = False
        for one, other in ((i, j), (j, i)):
            kept = conflicts[(conflicts[:, 1] == one) & (conflicts[:, 3] == other)]
            a, b = kept[:, 0] % count, kept[:, 2] % count
            both[(a, b) if one == i else (b, a)] = False
        if not both.any() and open_[:, i].any() and open_[:, j].any():
            found.setdefault(i, []).append(keys[j])
            found.setdefault(j, []).append(keys[i])
    return found


def why_none(
    n: int, must: Bools, against: dict[int, list[str]], shortfall: dict[str, float] | None
) -> tuple[tuple[str, str], ...]:
    """Why no plan exists at all, as it concerns a project that has ground to stand on."""
    if others := against.get(n):
        zh, en = "、".join(others), ", ".join(others)
        return ((f"必须落地，但与同样必须落地的 {zh} 不能并存", f"has to be placed and so has {en}: never both"),)
    if must[n] and shortfall:
        words = [(pool_words(name), amount) for name, amount in shortfall.items()]
        zh = "、".join(f"{name} 缺 {amount:,.0f}" for (name, _), amount in words)
        en = ", ".join(f"{name} short by {amount:,.0f}" for (_, name), amount in words)
        return ((f"必须落地的项目同时落地，至少还缺：{zh}", f"to place all that has to be, at the least: {en}"),)
    if must[n]:
        return (("必须落地的项目无法同时落地", "what has to be placed cannot be placed together"),)
    return (("没有可行方案：必须落地的项目无法同时落地", "there is no plan: what has to be placed cannot be"),)


def pool_words(name: str) -> tuple[str, str]:
    """A pool in both languages; its account is a name and stays.

    >>> pool_words("quota/520625-NE/2027/linked since 2026")
    ('quota/520625-NE/2027/linked（2026 年起）', 'quota/520625-NE/2027/linked since 2026')
    """
    account, since, year = name.partition(" since ")
    return (f"{account}（{year} 年起）" if since else account), name
