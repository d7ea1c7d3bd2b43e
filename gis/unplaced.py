"""Why a project is left out of a plan, and why there is no plan at all."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

from gis.offers import Candidates
from gis.plan import Choice, Pool
from gis.scenario import Scenario
from gis.solver.problem import purchase
from gis.yearly import County
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


def why_left_out(
    n: int,
    county: County,
    scenario: Scenario,
    sites: Candidates,
    pools: Sequence[Pool],
    benefit: Floats,
    choice: Choice,
) -> tuple[tuple[str, str], ...]:
    """Why a project is not placed: no ground, no check, or which pools are too full for its best sites."""
    if not sites.fits[:, n].any():
        return (("没有面积合适的候选地块", "no candidate has ground of its size"),)
    if not (sites.fits[:, n] & county.allowed[:, n]).any():
        return (("面积合适的候选地块均未通过校验", "no candidate of its size passes the check"),)
    rows = np.flatnonzero(np.isfinite(benefit[:, n]))
    if not len(rows):
        if scenario.energy_cap_tce is not None and np.isnan(county.energy_tce[n]):
            return (("能耗未知，而方案设有能耗上限", "its energy is unknown and the scenario has a cap"),)
        return (("费用未知，而建设资金须列支", "what it costs the fund is unknown, and the fund has a ceiling"),)
    short: list[tuple[str, str]] = []
    blocked = np.zeros(len(rows), dtype=int)
    full = []
    for pool in pools:
        if isinstance(pool.use, tuple):
            across, along = pool.use
            use = across[rows] * along[n] if across.ndim == 1 else across[rows] @ along[:, n]
        else:
            use = pool.use[rows, n]
        more = sum(one.extra for k, one in enumerate(pool.expansions) if purchase(pool, k) in choice.expansions_used)
        left = pool.balance + more - choice.used.get(pool.name, 0.0)
        over = (use > left + 1e-9) & (use > 0)  # a pool that is overdrawn as it is keeps nobody out who draws nothing
        blocked += over
        if over.any():
            full.append((int(over.sum()), pool.name, float(use[over].min() - left)))
    if (blocked > 0).all():
        told: set[str] = set()
        for _, name, amount in sorted(full, reverse=True):
            one = re.sub(r"/\d{4}/|[ @]\S.*", "/", name)  # the same account in another window of years says no more
            if one in told or len(told) == 3:
                continue
            told.add(one)
            zh, en = pool_words(name)
            short.append((f"{zh} 至少缺 {amount:,.0f}", f"{en} is short by at least {amount:,.0f}"))
        return tuple(short)
    if (benefit[rows, n] <= 0).all():
        return (("在任何候选地块上的价值都不为正", "its value is not above zero on any candidate"),)
    if (benefit[rows[blocked == 0], n] <= 0).all():
        zh = "指标和设施够用的候选地块上，扣除费用后价值都不为正"
        return ((zh, "where quota and facilities would do, its value less its costs is not above zero"),)
    return (("可用地块已由价值更高的项目占用，或与之冲突", "projects of more value take its ground or rule it out"),)


def pool_words(name: str) -> tuple[str, str]:
    """A pool in both languages; its account is a name and stays.

    >>> pool_words("quota/520625-NE/2027/linked since 2026")
    ('quota/520625-NE/2027/linked（2026 年起）', 'quota/520625-NE/2027/linked since 2026')
    """
    account, since, year = name.partition(" since ")
    return (f"{account}（{year} 年起）" if since else account), name
