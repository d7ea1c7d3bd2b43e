"""What would make a failing check pass, worked out and checked again: the part of the site that complies, the shortest
move that does, what is short by how much, the cheapest upgrade, the next plots that are better.

Every remedy is asked of the same `check` as the site itself, and only those that pass are told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import shapely
from pyproj import CRS

from gis.barred import barred
from gis.check import Checked, check
from gis.expansions import Option
from gis.judge import Status, Verdict
from gis.offers import bounds_m2
from gis.remedies import Missing, missing, told_option, upgrades
from gis.rules import Rule
from gis.shifting import moved, shifts
from layers.records import Bools, Bounds, Geoms, Raster, Snapshot, World
from layers.units import mu

Kind = Literal["part", "shift", "short", "upgrade", "plot"]
SHIFT_M = (100.0, 400.0)  # the least and the most that a site is moved
TRIED = 24  # plots nearby that are checked
TOLD = 3
EDGE_M = 0.01  # taken off a part, so that rounding of coordinates leaves it clear of the border
LEAST_M2 = 1.0
SIZE = "land.enough"
HARD = ("block", "condition")
COMPASS = ("东", "东北", "北", "西北", "西", "西南", "南", "东南")
COMPASS_EN = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")
Allowed = Callable[[Geoms], Bools]


@dataclass(frozen=True)
class Remedy:
    """One way out: `mends` are the rules that failed and pass with it, `leaves` those that still do not.

    `geometry` is the ground it is on, None where the site stays; `enough` says whether it is as large as asked for.
    """

    kind: Kind
    mends: tuple[str, ...]
    leaves: tuple[str, ...]
    verdict: Verdict
    zh: str
    en: str
    geometry: shapely.Geometry | None = None
    enough: bool = True
    move_m: tuple[float, float] | None = None
    name: str | None = None
    account: str | None = None
    amount: float | None = None
    unit: str | None = None
    cost_wan: tuple[float, float, float] | None = None
    year: int | None = None


@dataclass(frozen=True)
class _Try:
    """Ground that may do, what it has to mend, and how it is told once it does."""

    kind: Kind
    ground: shapely.Geometry
    has_to: tuple[int, ...]
    rank: float
    move_m: tuple[float, float] | None = None
    name: str | None = None


def mend(checked: Checked, i: int, j: int, allowed: Allowed | None = None) -> list[Remedy]:
    """The remedies of a failing cell, by kind; empty where nothing fails.

    `allowed` says which ground may be offered at all, for those who see some zones only.
    """
    status = checked.status[:, i, j]
    failing = [row for row, rule in enumerate(checked.rules) if status[row] == Status.FAIL and rule.severity in HARD]
    if not failing:
        return []
    return [*_on_ground(checked, i, j, failing, allowed), *_of_amounts(checked, i, j, failing)]


# --- other ground -------------------------------------------------------------------------------------


def _on_ground(checked: Checked, i: int, j: int, failing: Sequence[int], allowed: Allowed | None) -> list[Remedy]:
    site = checked.sites[i]
    far_m = float(np.clip(2 * math.sqrt(site.area), *SHIFT_M))
    window = _around(site, far_m)
    status = checked.status[:, i, j]
    rows = [row for row, rule in enumerate(checked.rules) if rule.severity in HARD and status[row] != Status.EXEMPT]
    areas = {row: one for row in rows if (one := barred(checked, checked.rules[row], j, window)) is not None}
    tries = [*_parts(site, areas, failing, checked.rules), *_plots(checked, i, j, far_m)]
    levels = dict.fromkeys(_levels(areas, failing, checked.rules))
    for level in levels:
        ways = shifts(site, shapely.union_all([areas[row] for row in level]), far_m)
        has_to = tuple(row for row in level if row in failing)
        tries += [
            _Try("shift", ground, has_to, float(np.hypot(*way)), (float(way[0]), float(way[1])))
            for ground, way in zip(moved(site, ways), ways, strict=True)
            if has_to
        ]
    if allowed is not None and tries:
        tries = [one for one, may in zip(tries, allowed(_grounds(tries)), strict=True) if may]
    if not tries:
        return []
    again = check(_grounds(tries), checked.projects[j], checked.rulebook, checked.world, purpose=checked.purpose)
    found: list[tuple[_Try, Remedy]] = []
    for n, one in enumerate(tries):
        told = _told(checked, i, j, again, n, one)
        if told is not None:
            found.append((one, told))
    return _best(found)


def _around(site: shapely.Geometry, far_m: float) -> Bounds:
    west, south, east, north = site.bounds
    return west - far_m, south - far_m, east + far_m, north + far_m


def _grounds(tries: Sequence[_Try]) -> Geoms:
    return np.array([*(one.ground for one in tries), None], dtype=object)[:-1]


def _levels(
    areas: Mapping[int, shapely.Geometry], failing: Sequence[int], rules: Sequence[Rule]
) -> list[tuple[int, ...]]:
    """Which barred ground is kept out of: all of it, or where that is too much, what blocks."""
    blocks = tuple(row for row in areas if rules[row].severity == "block")
    levels = [tuple(areas), blocks]
    return [level for level in levels if any(row in failing for row in level)]


def _parts(
    site: shapely.Geometry, areas: Mapping[int, shapely.Geometry], failing: Sequence[int], rules: Sequence[Rule]
) -> list[_Try]:
    """The largest piece of the site beside the ground of each failing rule, of all that block, of all."""
    mine = [row for row in areas if row in failing]
    blocks = [row for row in mine if rules[row].severity == "block"]
    tries = []
    for wanted in dict.fromkeys([tuple(mine), tuple(blocks), *((row,) for row in mine)]):
        if not wanted:
            continue
        left = shapely.difference(site, shapely.union_all([areas[row] for row in wanted]))
        pieces = shapely.get_parts(shapely.buffer(left, -EDGE_M, join_style="mitre"))
        area = shapely.area(pieces)
        if len(pieces) and area.max() >= LEAST_M2:
            tries.append(_Try("part", pieces[int(area.argmax())], wanted, -float(area.max())))
    return tries


def _plots(checked: Checked, i: int, j: int, far_m: float) -> list[_Try]:
    """Plots (else parcels) of the project's size near the site, the nearest first; the site itself is none."""
    site, project = checked.sites[i], checked.projects[j]
    land = checked.needs["land_m2"].hi[j] if "land_m2" in checked.needs else math.nan
    least, most = bounds_m2(project, None if math.isnan(land) else float(land))
    layer = next((one for role in ("plots", "parcels") if (one := checked.world.near(role, site.bounds))), None)
    if layer is None or math.isnan(least):
        return []
    area = np.bincount(layer.owner, layer.area_m2, minlength=len(layer.features))
    near = layer.tree.query(site, predicate="dwithin", distance=10 * far_m)
    rows = np.unique(layer.owner[near])
    rows = rows[(area[rows] >= least) & (area[rows] <= most)]
    grounds = np.array([_whole(layer, row) for row in rows.tolist()] + [None], dtype=object)[:-1]
    shared = shapely.area(shapely.intersection(grounds, site))
    away = shapely.distance(grounds, site)
    order = np.argsort(away, kind="stable")
    order = order[shared[order] < 0.5 * area[rows[order]]][:TRIED]
    return [_Try("plot", grounds[n], (), float(away[n]), name=str(layer.names[rows[n]])) for n in order.tolist()]


def _whole(layer: Snapshot, row: int) -> shapely.Geometry:
    pieces = layer.pieces[layer.owner == row]
    return pieces[0] if len(pieces) == 1 else shapely.union_all(pieces)


def _told(checked: Checked, i: int, j: int, again: Checked, n: int, one: _Try) -> Remedy | None:
    """A remedy where the second check bears it out; else nothing."""
    was, now = _passing(checked, i, j), _passing(again, n, 0)
    verdict = Verdict(int(again.verdict[n, 0]))
    worse = [checked.rules[row].id for row in np.flatnonzero(_hard(checked) & was & ~now).tolist()]
    mends, leaves = _outcome(checked, i, j, now)
    small = one.kind == "part" and SIZE in leaves
    if one.kind == "plot":
        if verdict > Verdict.CONDITIONAL or verdict >= checked.verdict[i, j]:
            return None
    elif not now[list(one.has_to)].all() or not mends or set(worse) - {SIZE if small else ""}:
        return None
    zh, en = _words(one, rules_named(checked, one.has_to), verdict, small)
    return Remedy(one.kind, mends, leaves, verdict, zh, en, one.ground, not small, one.move_m, one.name)


def _passing(checked: Checked, i: int, j: int) -> Bools:
    """(R,) the rules that a cell passes or that do not apply to it."""
    said = checked.status[:, i, j]
    passing: Bools = (said == int(Status.PASS)) | (said == int(Status.EXEMPT))
    return passing


def _hard(checked: Checked) -> Bools:
    return np.array([rule.severity in HARD for rule in checked.rules])


def _outcome(checked: Checked, i: int, j: int, now: Bools) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The rules that failed and pass now, and those that still do not."""
    mended = now & (checked.status[:, i, j] == int(Status.FAIL))
    left = ~now & _hard(checked)
    rules = checked.rules
    return tuple(rules[n].id for n in np.flatnonzero(mended)), tuple(rules[n].id for n in np.flatnonzero(left))


def rules_named(checked: Checked, rows: Iterable[int]) -> tuple[str, str]:
    some = [checked.rules[row] for row in rows]
    return "、".join(one.zh for one in some), ", ".join(one.en for one in some)


def _words(one: _Try, asked: tuple[str, str], verdict: Verdict, small: bool) -> tuple[str, str]:
    area_m2 = float(one.ground.area)
    area = f"{area_m2:,.0f} m²（{float(mu(area_m2)):,.2f} 亩）", f"{area_m2:,.0f} m²"
    if one.kind == "part":
        less = ("，小于项目用地下限", "; that is less than the project needs") if small else ("", "")
        return (
            f"避开（{asked[0]}）后最大连片 {area[0]}{less[0]}",
            f"clear of ({asked[1]}): {area[1]} in one piece{less[1]}",
        )
    if one.kind == "shift":
        east, north = one.move_m or (0.0, 0.0)
        turn = round(math.atan2(north, east) / (math.pi / 4)) % 8
        far_m = math.hypot(east, north)
        return f"整体向{COMPASS[turn]}移动 {far_m:,.1f} m", f"move it {far_m:,.1f} m to the {COMPASS_EN[turn]}"
    said = {Verdict.CLEAR: "符合", Verdict.WARNED: "符合（有提示）"}.get(verdict, "有条件符合")
    return f"改用{one.name}（{area[0]}，相距 {one.rank:,.0f} m）：{said}", (
        f"take {one.name} ({area[1]}, {one.rank:,.0f} m away): {verdict.name.lower()}"
    )


def _best(found: Sequence[tuple[_Try, Remedy]]) -> list[Remedy]:
    """For each kind and what it has to mend the best one, ground told once; of plots those with the best verdicts, the
    nearest first."""
    out: list[Remedy] = []
    seen: set[Any] = set()
    for one, told in sorted(found, key=lambda pair: (pair[0].rank, -len(pair[0].has_to))):
        asked = one.kind, one.has_to
        ground = one.kind, told.mends, round(one.rank, 1)
        if one.kind != "plot" and asked not in seen:
            if ground not in seen:
                out.append(told)
            seen |= {asked, ground}
    out.sort(key=lambda told: (told.kind, not told.enough, -len(told.mends)))
    plots = sorted((pair for pair in found if pair[0].kind == "plot"), key=lambda pair: (pair[1].verdict, pair[0].rank))
    return [*out, *(told for _, told in plots[:TOLD])]


# --- more of what is short ----------------------------------------------------------------------------


def _of_amounts(checked: Checked, i: int, j: int, failing: Sequence[int]) -> list[Remedy]:
    """What is short, and the cheapest upgrade that makes up for it; each asked again with that much more."""
    ground, found = checked.ground(i), []
    for row in failing:
        short = missing(checked, checked.rules[row], j, ground)
        if short is None:
            continue
        told = _with_more(checked, i, j, row, short.amounts)
        if told is not None:
            found.append(_short(checked, row, short, *told))
        for option in upgrades(checked, short):
            told = _with_more(checked, i, j, row, {option.account: option.extra})
            if told is not None:
                found.append(_upgrade(checked, row, option, *told))
                break
    return found


def _with_more(
    checked: Checked, i: int, j: int, row: int, more: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...], Verdict] | None:
    """What a site and project come to where accounts hold more; None where the rule does not pass then."""
    world = Raised(checked.world, more)
    again = check([checked.sites[i]], checked.projects[j], checked.rulebook, world, purpose=checked.purpose)
    now = _passing(again, 0, 0)
    if not now[row]:
        return None
    return *_outcome(checked, i, j, now), Verdict(int(again.verdict[0, 0]))


def _short(
    checked: Checked, row: int, short: Missing, mends: tuple[str, ...], leaves: tuple[str, ...], verdict: Verdict
) -> Remedy:
    account, amount = max(short.amounts.items(), key=lambda one: one[1])
    zh, en = short.words()
    return Remedy("short", mends, leaves, verdict, zh, en, None, account=account, amount=amount, unit=short.unit)


def _upgrade(
    checked: Checked, row: int, option: Option, mends: tuple[str, ...], leaves: tuple[str, ...], verdict: Verdict
) -> Remedy:
    zh, en = told_option(option)
    return Remedy(
        "upgrade", mends, leaves, verdict, zh, en, None, account=option.account, amount=option.extra,
        unit=option.unit, cost_wan=option.cost_wan, year=option.year, name=option.facility,
    )  # fmt: skip


@dataclass(frozen=True)
class Raised:
    """A world in which some accounts hold more."""

    world: World
    more: Mapping[str, float]

    @property
    def as_of(self) -> date:
        return self.world.as_of

    @property
    def for_year(self) -> int:
        return self.world.for_year

    @property
    def crs(self) -> CRS:
        return self.world.crs

    def near(self, role: str, bounds: Bounds) -> Snapshot | None:
        return self.world.near(role, bounds)

    def raster(self, role: str) -> Raster | None:
        return self.world.raster(role)

    def pools(self) -> Mapping[str, float]:
        pools = self.world.pools()
        return {**pools, **{name: pools.get(name, 0.0) + amount for name, amount in self.more.items()}}
