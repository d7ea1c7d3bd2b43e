"""A joint plan as arrays: what was asked, read once, with every fault named.

S sites, N projects, P pools, Y purchases. A *cell* is one project on one site, numbered `site * N + project`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from layers.errors import BadInput, Fault
from layers.records import Bools, Floats, Ints

FUND = "fund"  # the pool of money for purchases, where there is a ceiling


@dataclass(frozen=True)
class Expansion:
    """What more a pool holds once somebody pays: `extra` in the pool's unit, `cost` in that of the benefit."""

    extra: float
    cost: float
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Pool:
    """What projects share: a quota account, a substation's headroom, a waterworks.

    Parameters
    ----------
    use : (S, N) what project n takes on site s, or as a tuple the product ((S,), (N,)), or the sum of R products
        ((S, R), (R, N)): what sites of R sorts let projects take
    balance : what there is to take; infinite where there is no end
    expansions : what may be bought; the same name in several pools is one purchase
    price : what one more unit costs, for `shortfall` to find the cheapest increases
    """

    name: str
    use: Any
    balance: float
    expansions: Sequence[Expansion] = ()
    price: float = 1.0


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be decided.

    benefit : (S, N), -inf where a project may not stand
    across, along : (S, Q) and (Q, N), the uses that are products, by the row in `paired` of the pool they count in
    dense : the other pools' (S, N), by their row in `full`
    balance, price : (P,); extra : (P, Y); cost : (Y,) of the purchases
    exclusive : (S,) at most one project; shared, group : (K,) site and the group of sites it shares ground with
    conflicts : (K, 2) pairs of cells that may not both be chosen
    must : (N,) has to be placed; fixed : (N,) site already decided, -1 free
    tie_row, tie_cell, tie_value : entries of the rows `these cells - those cells <= 0`, ascending by cell
    ties : how many of these rows there are
    """

    benefit: Floats
    pools: tuple[str, ...]
    purchases: tuple[str, ...]
    across: Floats
    along: Floats
    paired: Ints
    dense: tuple[Floats, ...]
    full: Ints
    balance: Floats
    price: Floats
    extra: Floats
    cost: Floats
    exclusive: Bools
    shared: Ints
    group: Ints
    conflicts: Ints
    must: Bools
    fixed: Ints
    tie_row: Ints
    tie_cell: Ints
    tie_value: Floats
    ties: int

    @property
    def shape(self) -> tuple[int, int]:
        """Sites and projects."""
        return (self.benefit.shape[0], self.benefit.shape[1])

    @cached_property
    def companions(self) -> dict[int, Ints]:
        """Project -> those that are placed with it and never without: each needs the other. The one that is named first
        leads."""
        if not self.ties:
            return {}
        project = self.tie_cell % self.shape[1]
        these, those = self.tie_value > 0, self.tie_value < 0
        left = np.full(self.ties, -1, dtype=np.int64)
        left[self.tie_row[these]] = project[these]
        pairs = np.unique(np.stack([left[self.tie_row[those]], project[those]], axis=1), axis=0)
        asked = {(int(one), int(other)) for one, other in pairs}
        found: dict[int, list[int]] = {}
        for one, other in sorted(asked):
            if (other, one) in asked and one < other:
                found.setdefault(one, []).append(other)
        return {one: np.array(some) for one, some in found.items()}

    def over(self, cells: Ints) -> Floats:
        """(ties,) by how much some cells have more of these than of those; above zero is broken."""
        on = np.isin(self.tie_cell, cells)
        return np.asarray(np.bincount(self.tie_row[on], self.tie_value[on], self.ties), dtype=float)

    @cached_property
    def cells(self) -> Ints:
        """Every open cell, ascending."""
        return np.flatnonzero(np.isfinite(self.benefit.ravel()))

    def use_at(self, cells: Ints) -> Floats:
        """(K, P) what each cell takes from each pool."""
        site, project = np.divmod(cells, self.shape[1])
        out = np.zeros((len(cells), len(self.pools)))
        if len(self.paired):
            np.add.at(out.T, self.paired, (self.across[site] * self.along[:, project].T).T)
        for row, use in zip(self.full, self.dense, strict=True):
            out[:, row] = use[site, project]
        return out

    def use_of_at(self, project: int, sites: Ints) -> Floats:
        """(K, P) what a project takes from each pool on some sites."""
        return self.use_at(sites * self.shape[1] + project)

    def value(self, site: Ints, bought: Bools) -> float:
        """The benefit of a plan, less what it buys."""
        placed = np.flatnonzero(site >= 0)
        return float(self.benefit[site[placed], placed].sum() - self.cost[bought].sum())

    def chosen(self, site: Ints) -> Ints:
        """The cells of a plan."""
        placed = np.flatnonzero(site >= 0)
        return site[placed] * self.shape[1] + placed

    def used(self, site: Ints) -> Floats:
        """(P,) what a plan takes from each pool."""
        return np.asarray(self.use_at(self.chosen(site)).sum(axis=0), dtype=float)


def read(
    benefit: ArrayLike,
    pools: Iterable[Pool],
    exclusive: bool | ArrayLike,
    overlaps: Iterable[Iterable[int]],
    conflicts: Any,
    must: bool | ArrayLike,
    fixed: Any,
    fund: float | None = None,
    needs: Iterable[tuple[ArrayLike, ArrayLike]] = (),
    spends: ArrayLike | None = None,
) -> Problem:
    """What was asked, as arrays. Raises BadInput with every fault."""
    faults: list[Fault] = []
    table = np.array(benefit, dtype=float)
    if table.ndim != 2 or 0 in table.shape:
        raise BadInput(
            "the plan cannot be read",
            [Fault(f"its shape is {table.shape}", "Give one row per site, one column per project", field="benefit")],
        )
    sites, projects = table.shape
    wrong = np.isnan(table) | np.isposinf(table)
    for site, project in np.argwhere(wrong)[:20]:
        at = f"site {site}, project {project}"
        faults.append(Fault("it is not a number", "Give a number, or -inf where not allowed", None, "benefit", at))
    read_pools = _pools(list(pools), (sites, projects), faults)
    alone = _flags(exclusive, sites, "exclusive", faults)
    needed = _flags(must, projects, "must", faults)
    shared, group = _groups(overlaps, sites, faults)
    pairs = _pairs(conflicts, (sites, projects), faults)
    decided = _fixed(fixed, table, alone, faults)
    if not faults:
        faults += _contradictions(decided, projects, shared, group, pairs)
    tied = _tied(needs, (sites, projects), faults)
    spent = _spent(spends, (sites, projects), faults)
    if faults:
        raise BadInput("the plan cannot be read", faults)
    assert read_pools is not None
    if fund is not None:
        read_pools = _with_fund(read_pools, fund, spent)
    for project in np.flatnonzero(decided >= 0):
        keep = table[decided[project], project]
        table[:, project] = -np.inf
        table[decided[project], project] = keep
    same = pairs[pairs[:, 0] == pairs[:, 1], 0]
    table.ravel()[same] = -np.inf
    pairs = pairs[np.isfinite(table.ravel()[pairs]).all(axis=1)]
    tie_row, tie_cell, tie_value = (part[np.isfinite(table.ravel()[tied[1]])] for part in tied)
    problem = replace(
        read_pools,
        benefit=table,
        exclusive=alone,
        shared=shared,
        group=group,
        conflicts=pairs,
        must=needed | (decided >= 0),
        fixed=decided,
        tie_row=tie_row,
        tie_cell=tie_cell,
        tie_value=tie_value,
        ties=int(tied[0].max(initial=-1)) + 1,
    )
    for lead, some in problem.companions.items():
        problem.must[some] |= problem.must[lead]  # whoever has to be placed brings what belongs to it
    return problem


def _pools(pools: list[Pool], shape: tuple[int, int], faults: list[Fault]) -> Problem | None:
    """The pools' part of the problem; the rest is filled in by `read`."""
    before = len(faults)
    names = [pool.name for pool in pools]
    for name in sorted({name for name in names if names.count(name) > 1 or name == FUND}):
        faults.append(
            Fault(
                "two pools have this name, or it is kept for the fund",
                "Give each pool a name of its own",
                layer=f"pool {name}",
            )
        )
    paired: list[tuple[int, Floats, Floats]] = []
    full: list[tuple[int, Floats]] = []
    for row, pool in enumerate(pools):

        def fault(reason: str, fix: str, name: str = pool.name, field: str | None = None) -> None:
            faults.append(Fault(reason, fix, layer=f"pool {name}", field=field))

        use = _use(pool.use, shape)
        if use is None:
            fault(
                f"its use is neither {shape} nor a pair of ({shape[0]},) and ({shape[1]},)", "Give either", field="use"
            )
        elif not all(np.isfinite(part).all() and (part >= 0).all() for part in use):
            fault("a use is negative or not a number", "An unknown need has to be settled before planning", field="use")
        elif len(use) == 2:
            across, along = use[0].reshape(shape[0], -1), use[1].reshape(-1, shape[1])
            paired += [(row, across[:, r], along[r]) for r in range(across.shape[1])]
        else:
            full.append((row, use[0]))
        if np.isnan(pool.balance) or np.isneginf(pool.balance):
            fault("its balance is not a number", "Unknown is not zero: settle it before planning", field="balance")
        if not (np.isfinite(pool.price) and pool.price > 0):
            fault("its price is not above zero", "Give what one unit more costs", field="price")
        for one in pool.expansions:
            if not (np.isfinite(one.extra) and one.extra >= 0 and np.isfinite(one.cost) and one.cost >= 0):
                fault(
                    "an expansion is negative or not a number", "Give extra and cost of at least 0", field="expansions"
                )
    bought = _purchases(pools, faults)
    if len(faults) > before:
        return None
    names_bought = tuple(bought)
    extra = np.zeros((len(pools), len(bought)))
    for row, pool in enumerate(pools):
        for k, one in enumerate(pool.expansions):
            extra[row, names_bought.index(purchase(pool, k))] += one.extra
    none: Any = None
    return Problem(
        none,
        tuple(names),
        names_bought,
        np.stack([across for _, across, _ in paired], axis=1) if paired else np.zeros((shape[0], 0)),
        np.stack([along for _, _, along in paired]) if paired else np.zeros((0, shape[1])),
        np.array([row for row, _, _ in paired], dtype=np.int64),
        tuple(use for _, use in full),
        np.array([row for row, _ in full], dtype=np.int64),
        np.array([pool.balance for pool in pools], dtype=float),
        np.array([pool.price for pool in pools], dtype=float),
        extra,
        np.array(list(bought.values()), dtype=float),
        *[none] * 10,
    )


def _with_fund(problem: Problem, fund: float, spent: Floats | None) -> Problem:
    """The ceiling on purchases is one more pool, which every purchase makes smaller, and of which a placement takes
    what it spends."""
    taken = () if spent is None else (spent,)
    return replace(
        problem,
        pools=(*problem.pools, FUND),
        balance=np.append(problem.balance, fund),
        price=np.append(problem.price, 1.0),
        extra=np.vstack([problem.extra, -problem.cost]),
        dense=(*problem.dense, *taken),
        full=np.append(problem.full, [len(problem.pools)] * len(taken)).astype(np.int64),
    )


def _spent(spends: ArrayLike | None, shape: tuple[int, int], faults: list[Fault]) -> Floats | None:
    if spends is None:
        return None
    found = np.asarray(spends, dtype=float)
    if found.shape != shape or not (np.isfinite(found) & (found >= 0)).all():
        fix = f"Give {shape} amounts of at least 0"
        faults.append(Fault("a placement spends less than nothing or nobody knows what", fix, field="spends"))
    return found


def purchase(pool: Pool, k: int) -> str:
    """The name of a pool's k-th expansion: its own, else the pool's with its number."""
    return pool.expansions[k].name or f"{pool.name}#{k + 1}"


def _purchases(pools: list[Pool], faults: list[Fault]) -> dict[str, float]:
    bought: dict[str, float] = {}
    for pool in pools:
        for k, one in enumerate(pool.expansions):
            if bought.setdefault(name := purchase(pool, k), one.cost) != one.cost:
                reason = f"{name} costs {bought[name]} in one pool and {one.cost} here"
                faults.append(Fault(reason, "One purchase has one cost, stated alike", None, f"pool {pool.name}"))
    return bought


def _use(use: Any, shape: tuple[int, int]) -> tuple[Floats, ...] | None:
    if isinstance(use, tuple) and len(use) == 2:  # a list of two is a table of two sites
        across, along = (np.asarray(part, dtype=float) for part in use)
        if (across.shape, along.shape) == ((shape[0],), (shape[1],)):
            return (across, along)
        if (
            across.ndim == along.ndim == 2
            and across.shape[0] == shape[0]
            and along.shape == (across.shape[1], shape[1])
        ):
            return (across, along)
    try:
        full = np.asarray(use, dtype=float)
    except ValueError:
        return None
    return (full,) if full.shape == shape else None


def _flags(value: bool | ArrayLike, length: int, name: str, faults: list[Fault]) -> Bools:
    flags = np.asarray(value)
    if flags.shape not in ((), (length,)) or flags.dtype != bool:
        reason = f"it is {flags.dtype} of shape {flags.shape}"
        faults.append(Fault(reason, f"Give true, false or ({length},) of them", field=name))
        return np.zeros(length, dtype=bool)
    return np.array(np.broadcast_to(flags, (length,)))


def _groups(overlaps: Iterable[Iterable[int]], sites: int, faults: list[Fault]) -> tuple[Ints, Ints]:
    groups = [np.unique(np.asarray(list(one), dtype=np.int64)) for one in overlaps]
    for row, one in enumerate(groups):
        if len(one) and (one[0] < 0 or one[-1] >= sites):
            reason = f"it names site {int(one[0] if one[0] < 0 else one[-1])} of {sites}"
            faults.append(Fault(reason, "Sites are counted from 0", None, "overlaps", f"group {row}"))
    groups = [one for one in groups if len(one) > 1]
    none: Ints = np.zeros(0, dtype=np.int64)
    sizes = [len(one) for one in groups]
    return np.concatenate([none, *groups]), np.repeat(np.arange(len(groups)), sizes)


def _pairs(conflicts: Any, shape: tuple[int, int], faults: list[Fault]) -> Ints:
    rows = np.asarray(conflicts if isinstance(conflicts, np.ndarray) else list(conflicts), dtype=np.int64)
    if rows.size == 0:
        return np.zeros((0, 2), dtype=np.int64)
    if rows.ndim != 2 or rows.shape[1] != 4:
        faults.append(
            Fault(f"their shape is {rows.shape}", "Give (site, project, site, project) rows", field="conflicts")
        )
        return np.zeros((0, 2), dtype=np.int64)
    outside = ((rows < 0) | (rows >= np.array([*shape, *shape]))).any(axis=1)
    for row in np.flatnonzero(outside)[:20]:
        reason = f"{tuple(rows[row].tolist())} names no site or project there is"
        faults.append(Fault(reason, "Both are counted from 0", None, "conflicts", f"row {row}"))
    pairs = np.stack([rows[:, 0] * shape[1] + rows[:, 1], rows[:, 2] * shape[1] + rows[:, 3]], axis=1)
    pairs.sort(axis=1)
    cells = np.int64(shape[0] * shape[1])
    each = np.unique(pairs[~outside, 0] * cells + pairs[~outside, 1])  # as one number: ten times as fast
    return np.stack(np.divmod(each, cells), axis=1)


def _tied(
    needs: Iterable[tuple[ArrayLike, ArrayLike]], shape: tuple[int, int], faults: list[Fault]
) -> tuple[Ints, Ints, Floats]:
    """(row, cell, +1 or -1) of every cell that needs another or is needed, ascending by cell."""
    parts: list[tuple[Ints, Ints, Floats]] = []
    for row, sides in enumerate(needs):
        cells = []
        for side in sides:
            pairs = np.asarray(side, dtype=np.int64).reshape(-1, 2)
            if ((pairs < 0) | (pairs >= np.array(shape))).any():
                fix = "Both are counted from 0"
                faults.append(Fault("it names a site or project there is not", fix, None, "needs", f"row {row}"))
            cells.append(pairs[:, 0] * shape[1] + pairs[:, 1])
        here, there = cells
        for sign, mine, other in ((1.0, here, there), (-1.0, there, here)):
            left = np.setdiff1d(mine, other)  # what is on both sides needs nothing but itself
            parts.append((np.full(len(left), row, dtype=np.int64), left, np.full(len(left), sign)))
    none: Ints = np.zeros(0, dtype=np.int64)
    if not parts:
        return none, none, np.zeros(0)
    rows, of, values = (np.concatenate([part[k] for part in parts]) for k in range(3))
    order = np.argsort(of, kind="stable")
    return rows[order], of[order], values[order]


def _fixed(fixed: Any, table: Floats, alone: Bools, faults: list[Fault]) -> Ints:
    sites, projects = table.shape
    decided = np.full(projects, -1, dtype=np.int64)
    taken: dict[int, int] = {}
    for row, (project, site) in enumerate(fixed):

        def fault(reason: str, fix: str, row: int = row) -> None:
            faults.append(Fault(reason, fix, None, "fixed", f"row {row}"))

        if not (0 <= project < projects and 0 <= site < sites):
            fault(f"there is no project {project} or no site {site}", "Give (project, site), both counted from 0")
        elif decided[project] not in (-1, site):
            fault(f"project {project} is on site {decided[project]} already", "Decide on one of them")
        elif not np.isfinite(table[site, project]):
            fault(f"project {project} is not allowed on site {site}", "Take the lock off, or see why it is blocked")
        elif alone[site] and taken.get(site, project) != project:
            fault(f"site {site} is taken by project {taken[site]}", "Only one project can stand there")
        else:
            decided[project] = site
            taken[int(site)] = int(project)
    return decided


def _contradictions(decided: Ints, projects: int, shared: Ints, group: Ints, pairs: Ints) -> list[Fault]:
    """What was fixed and cannot be together."""
    faults = []
    placed = np.flatnonzero(decided >= 0)
    used = np.isin(shared, decided[placed])
    for one in np.flatnonzero(np.bincount(group[used]) > 1):
        names = ", ".join(str(site) for site in shared[used & (group == one)])
        faults.append(Fault(f"sites {names} share ground", "Only one of them can be fixed", None, "fixed"))
    cells = decided[placed] * projects + placed
    for first, second in pairs[np.isin(pairs, cells).all(axis=1)]:
        (a, i), (b, j) = divmod(int(first), projects), divmod(int(second), projects)
        faults.append(Fault(f"project {i} on site {a} rules out project {j} on site {b}", "Fix one", None, "fixed"))
    return faults
