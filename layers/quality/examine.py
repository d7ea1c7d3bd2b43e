"""What is wrong with a layer's geometry, and where: every check of `tolerances.CHECKS` over arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from layers.quality import between, within
from layers.quality.paths import Paths, paths, unmatched
from layers.quality.record import Quality, faults, joined
from layers.quality.tolerances import CHECKS, Tolerances, tolerances
from layers.quality.valid import made_valid
from layers.records import Bools, Floats, Geoms, Ints
from layers.schema import role as role_named

Progress = Callable[[str, float], None]
DIMENSION = {"polygon": 2, "line": 1, "point": 0}
# What is said to be under way, and the share of the whole that is done when it begins.
STAGES = {"valid": 0.0, "borders": 0.1, "overlaps": 0.2, "gaps": 0.6, "nodes": 0.75, "report": 0.95}


@dataclass(frozen=True)
class Ground:
    """A layer made ready for the checks between features.

    Parameters
    ----------
    areas : (N,) valid areas to compare: the layer's own, or the ground an invalid one's rings enclose; None where
        there is none
    rows : (M,) rows that have such an area
    paths : the borders as they were drawn
    kept : segments of them that are no common border of two features
    invalid : (N,) whether a feature was not valid as drawn
    untold : (id row, reason) of invalid features whose ground could not be made out
    """

    areas: Geoms
    rows: Ints
    paths: Paths
    kept: Ints
    invalid: Bools
    untold: tuple[tuple[int, str], ...]


def prepare(geometries: Geoms, measurable: Bools, deadline_s: float, progress: Callable[[float], None]) -> Ground:
    """Valid areas and flat borders of a layer; `measurable` (N,) leaves out what has no ground at all."""
    shapes = geometries.copy()
    shapes[~measurable] = None
    invalid = measurable & ~within.trusted(shapes, measurable)
    is_area = np.isin(shapely.get_type_id(shapes), (3, 6))
    areas = shapes.copy()
    areas[~is_area] = None
    broken = np.flatnonzero(invalid & is_area)
    mended = made_valid(areas[broken], deadline_s, progress)
    areas[broken] = mended.geometries
    untold = tuple((int(row), why) for row, why in zip(broken, mended.reasons, strict=True) if why)
    drawn = paths(shapes)
    starts = drawn.starts()
    on_area = starts[is_area[drawn.feature[starts]]]
    kept = unmatched(drawn, on_area, ~invalid)
    return Ground(areas, np.flatnonzero(~shapely.is_missing(areas)), drawn, kept, invalid, untold)


def examine(
    geometries: Geoms,
    ids: Sequence[Any] | NDArray[Any],
    *,
    crs: Any = None,
    role: str | None = None,
    tolerances_: Tolerances | None = None,
    classes: Sequence[str | None] | NDArray[Any] | None = None,
    progress: Progress | None = None,
) -> Quality:
    """Look for every kind of fault a layer's geometry can have.

    Parameters
    ----------
    geometries : (N,) in a projected CRS, metres; None where a feature has none
    ids : (N,) what the features are called; need not be unique
    role : whose tolerances hold and what kind of geometry is expected; without it those of `*` and any kind
    tolerances_ : the figures, where they are not the role's own
    classes : (N,) construction, agricultural or unused, for the smallest mapped patch
    progress : told what is being done and the share (0 to 1) that is done

    A coverage whose neighbours share their vertices has no fault. Ground is compared as GEOS makes it valid; an
    invalid feature whose ground cannot be made out in time is left out of the comparison, and `notes` says so.

    >>> found = examine(np.array([shapely.box(0, 0, 10, 10), shapely.box(9, 0, 20, 10)]), ["a", "b"])
    >>> found.places[["check", "feature", "other", "value"]].values.tolist()
    [['overlap', 'a', 'b', 10.0]]
    """
    tell = progress or (lambda text, share: None)
    figures = tolerances_ or tolerances(role)
    shapes: Geoms = shapely.force_2d(np.asarray(geometries, dtype=object))
    names = np.array([*map(str, ids), None], dtype=object)[:-1]
    checks = [check for check in CHECKS if figures.severity(check) != "off"]
    kind = role_named(role).geometry if role is not None else "any"

    def stage(name: str, text: str) -> Callable[[float], None]:
        starts, ends = STAGES[name], [*STAGES.values(), 1.0][list(STAGES).index(name) + 1]
        tell(text, starts)
        return lambda share: tell(text, starts + share * (ends - starts))

    step = stage("valid", "几何有效性 validity")
    zh, en = within.without_ground(shapes, DIMENSION.get(kind))
    ground = prepare(shapes, zh == "", figures["repair.deadline_s"], step)
    stage("borders", "尖刺与邻近点 spikes and near points")
    found: dict[str, list[pd.DataFrame]] = {check: [] for check in CHECKS}
    found["degenerate"].append(within.degenerate(shapes, names, figures, zh, en))
    found["invalid"].append(within.invalid(shapes, names, figures, np.flatnonzero(ground.invalid)))
    found["spike"].append(within.spikes(ground.paths, names, figures))
    found["near_point"].append(within.near_points(ground.paths, names, figures))
    least = within.smallest_m2(figures, None if classes is None else np.asarray(classes, dtype=object), len(shapes))
    found["tiny"].append(within.tiny(ground.areas, names, figures, ground.rows, least))
    notes = [*_untold(ground, names), *_unclassed(figures, classes, len(shapes))]
    step = stage("overlaps", "重叠与重复 overlaps and duplicates")
    notes += _overlaps(shapes, ground, names, figures, found, checks, step)
    stage("gaps", "缝隙 gaps")
    notes += _gaps(ground, names, figures, found, checks)
    stage("nodes", "节点咬合 nodes against neighbours' borders")
    if "near_node" in checks:
        found["near_node"].append(_near_nodes(ground, names, figures))
    stage("report", "汇总 report")
    frames = [frame for check in checks for frame in found[check]]
    places = joined(frames, crs)
    counted = places["check"].value_counts()
    counts = {check: int(counted.get(check, 0)) for check in checks}
    tell("完成 done", 1.0)
    return Quality(places, counts, figures, len(shapes), shapes, names, role, tuple(notes))


def is_dust(figures: Tolerances) -> between.Class:
    """Whether ground (width, area) is so thin or small that only the rounding of coordinates made it."""

    def dust(width_m: Floats, area_m2: Floats) -> Bools:
        either: Bools = (width_m <= figures["dust.width_m"]) | (area_m2 <= figures["dust.area_m2"])
        return either

    return dust


def is_thin(figures: Tolerances) -> between.Class:
    """Whether ground (width, area) is a digitising sliver: thin and small, both."""

    def thin(width_m: Floats, area_m2: Floats) -> Bools:
        both: Bools = (width_m < figures["sliver.width_m"]) & (area_m2 <= figures["sliver.area_m2"])
        return both

    return thin


def twins(
    shapes: Geoms, ground: Ground, figures: Tolerances, step: between.Step
) -> tuple[between.Pairs, between.Pairs]:
    """Pairs that are the same ground, and the other pairs that share some, whole; dust among them."""
    drawn = np.flatnonzero(~shapely.is_missing(shapes) & ~shapely.is_empty(shapes))
    alike = between.same(shapes, drawn)
    # what lies on a feature drawn twice is told of the first alone
    found = between.overlapping(ground.areas, np.setdiff1d(ground.rows, alike[1]), step)
    joint = shapely.area(ground.areas[found.one]) + shapely.area(ground.areas[found.other]) - found.area_m2
    share = found.area_m2 / joint
    double = share >= figures["duplicate.share"]
    first = np.concatenate([alike[0], found.one[double]])
    again = np.concatenate([alike[1], found.other[double]])
    shares = np.concatenate([np.ones(len(alike[0])), share[double]])
    order = np.lexsort((again, first))
    first, again = first[order], again[order]
    same = between.Pairs(first, again, shapes[again], shapely.area(shapes[again]), shares[order])
    rest = between.Pairs(*(part[~double] for part in (found.one, found.other, found.ground, found.area_m2, share)))
    return same, rest


def _overlaps(
    shapes: Geoms,
    ground: Ground,
    names: NDArray[np.object_],
    figures: Tolerances,
    found: dict[str, list[pd.DataFrame]],
    checks: list[str],
    step: between.Step,
) -> list[tuple[str, str]]:
    if not {"duplicate", "overlap", "sliver"} & set(checks):
        return []
    same, rest = twins(shapes, ground, figures, step)
    found["duplicate"].append(
        faults(
            "duplicate",
            names,
            figures,
            same.other,
            same.ground,
            other=same.one,
            value=same.width_m,
            unit="share",
            against="duplicate.share",
            zh="与 {other} 是同一块地，面积 {area:,.2f} m²",
            en="the same ground as {other}, {area:,.2f} m²",
            more={"area": same.area_m2},
        )
    )
    thick, thin = between.by_class(rest, is_thin(figures))
    ignored: list[float] = []
    for check, pairs, zh, en in (
        ("overlap", thick, "与 {other} 重叠 {area:,.3f} m²", "overlaps {other} by {area:,.3f} m²"),
        (
            "sliver",
            thin,
            "与 {other} 细碎重叠 {area:,.3f} m²，宽约 {width:.3f} m",
            "a thin overlap with {other}: {area:,.3f} m², about {width:.3f} m wide",
        ),
    ):
        big = ~is_dust(figures)(pairs.width_m, pairs.area_m2)
        ignored += pairs.area_m2[~big].tolist()
        width = pairs.width_m[big]
        thinly = check == "sliver"
        found[check].append(
            faults(
                check,
                names,
                figures,
                pairs.one[big],
                pairs.ground[big],
                other=pairs.other[big],
                value=width if thinly else pairs.area_m2[big],
                unit="m" if thinly else "m2",
                against="sliver.width_m" if thinly else "dust.area_m2",
                zh=zh,
                en=en,
                more={"area": pairs.area_m2[big], "width": width},
            )
        )
    return _dust("重叠", "overlaps", len(ignored), sum(ignored), figures)


def _dust(zh: str, en: str, count: int, area_m2: float, figures: Tolerances) -> list[tuple[str, str]]:
    if not count:
        return []
    most, wide = figures["dust.area_m2"], figures["dust.width_m"]
    return [
        (
            f"{count} 处{zh}不超过 {most:g} m² 或窄于 {wide:g} m（合计 {area_m2:.2g} m²），视为坐标舍入，未逐处列出",
            f"{count} {en} of at most {most:g} m² or {wide:g} m width ({area_m2:.2g} m² together) are rounding of "
            "coordinates and not listed",
        )
    ]


def _gaps(
    ground: Ground,
    names: NDArray[np.object_],
    figures: Tolerances,
    found: dict[str, list[pd.DataFrame]],
    checks: list[str],
) -> list[tuple[str, str]]:
    if not {"gap", "sliver"} & set(checks):
        return []
    narrower = max(figures["gap.width_m"], figures["sliver.width_m"])
    gaps, dust_m2 = between.gaps(ground.paths, ground.kept, ground.areas, ground.rows, narrower, is_dust(figures))
    whose = [row for row, _ in ground.untold]
    if whose:  # where an unreadable feature lies may be its ground and no gap
        hidden = shapely.union_all(shapely.box(*shapely.bounds(ground_of(ground, whose)).T))
        clear = ~shapely.intersects(gaps.ground, hidden)
        gaps = between.Gaps(*(part[clear] for part in (gaps.ground, gaps.area_m2, gaps.width_m, gaps.one, gaps.other)))
    thin = is_thin(figures)(gaps.width_m, gaps.area_m2)
    wide = ~thin & (gaps.width_m < figures["gap.width_m"])
    for check, keep, zh, en in (
        ("gap", wide, "缝隙 {area:,.3f} m²，宽约 {value:.3f} m", "a gap of {area:,.3f} m², about {value:.3f} m wide"),
        (
            "sliver",
            thin,
            "细碎缝隙 {area:,.3f} m²，宽约 {value:.3f} m",
            "a thin gap of {area:,.3f} m², about {value:.3f} m wide",
        ),
    ):
        found[check].append(
            faults(
                check,
                names,
                figures,
                gaps.one[keep],
                gaps.ground[keep],
                other=gaps.other[keep],
                value=gaps.width_m[keep],
                unit="m",
                against=f"{check}.width_m",
                zh=zh,
                en=en,
                more={"area": gaps.area_m2[keep]},
            )
        )
    return _dust("缝隙", "gaps", len(dust_m2), float(dust_m2.sum()), figures)


def ground_of(ground: Ground, rows: list[int]) -> Geoms:
    """The drawn vertices of features as point clouds: all that is known of where an unreadable feature lies."""
    clouds = [shapely.MultiPoint(ground.paths.xy[ground.paths.feature == row]) for row in rows]
    return np.array(clouds, dtype=object)


def _near_nodes(ground: Ground, names: NDArray[np.object_], figures: Tolerances) -> pd.DataFrame:
    within_m = figures["near_node.distance_m"]
    drawn = ground.paths
    # the borders of what could not be made valid in time may cross a million times
    known = ~np.isin(drawn.feature[ground.kept], [row for row, _ in ground.untold])
    missed = between.misses(drawn, ground.kept[known], within_m, figures["near_node.on_border_m"])
    missed = between.once(missed, drawn, 2 * within_m)
    return faults(
        "near_node",
        names,
        figures,
        drawn.feature[missed.vertex],
        shapely.points(drawn.xy[missed.vertex]),
        other=drawn.feature[missed.start],
        value=missed.distance_m,
        unit="m",
        against="near_node.distance_m",
        zh="节点距 {other} 的边界 {value:.4f} m，未与其节点重合",
        en="a vertex {value:.4f} m from the border of {other}, which has no vertex there",
    )


def _untold(ground: Ground, names: NDArray[np.object_]) -> list[tuple[str, str]]:
    return [
        (
            f"{names[row]} 无法在时限内变为有效几何，未与其他图形比较",
            f"{names[row]} was not compared with others: {why}",
        )
        for row, why in ground.untold
    ]


def _unclassed(figures: Tolerances, classes: Any, count: int) -> list[tuple[str, str]]:
    """How many features were held against the lowest figure because nobody said what class they are."""
    if not any(f"tiny.{one}_m2" in figures for one in within.CLASSES):
        return []
    unknown = count if classes is None else int((~np.isin(np.asarray(classes, dtype=str), within.CLASSES)).sum())
    if not unknown:
        return []
    return [
        (
            f"{unknown} 个图形地类未知，按最低的最小上图面积检查",
            f"{unknown} features of unknown class were held against the lowest smallest patch",
        )
    ]
