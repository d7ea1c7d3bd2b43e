"""The land tables: classes, patches and owners of the ground, all from one published overlap in whole hundredths."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from gis.ground import Ground, counted
from gis.landuse import ROLE, LandUse, OfKind, deduct_share, land_use, ridges_of
from gis.occupation.case import Case, Row, Rows, area, m2, said, share
from gis.published import close
from layers.records import Floats, Ints, Snapshot
from layers.units import round_half_up

STATE_OWNED = ("10", "20", "21")  # QSXZ, TD/T 1057-2020
COLLECTIVE = ("30", "31", "32", "33", "34", "40", "41")
OWNERS = ("state", "collective", "owner_not_said")
RIDGES = "1203"  # 田坎
CLASSES = ("1", "2", "3", "4", "5")  # of slope: <=2, 2-6, 6-15, 15-25, >25 degrees
SYSTEMS = ("GB/T 21010-2017", "TD/T 1055-2019", "YDYH-2023")  # in all of them 01-04 begin the same four groups
BY_CODE = {"0102": "irrigated", "0103": "dry"}
BY_GROUP = {"02": "orchard", "03": "forest", "04": "grassland"}
SUMMARY = (  # item, part of, Chinese, English
    ("agricultural", None, "农用地", "Agricultural land"),
    ("cultivated", "agricultural", "耕地", "Cultivated land"),
    ("paddy", "cultivated", "水田", "Paddy"),
    ("irrigated", "cultivated", "水浇地", "Irrigated land"),
    ("dry", "cultivated", "旱地", "Dry land"),
    ("cultivated_other", "cultivated", "耕地（未分）", "Cultivated, kind not said"),
    ("orchard", "agricultural", "园地", "Orchards and gardens"),
    ("forest", "agricultural", "林地", "Forest"),
    ("grassland", "agricultural", "草地", "Grassland"),
    ("ridges", "agricultural", "田坎", "Field ridges"),
    ("other_agricultural", "agricultural", "其他农用地", "Other agricultural land"),
    ("construction", None, "建设用地", "Construction land"),
    ("unused", None, "未利用地", "Unused land"),
    ("unknown", None, "地类不明", "Class not known"),
    ("uncovered", None, "未覆盖（无图斑）", "Not covered by any patch"),
)


@dataclass(frozen=True, eq=False)
class Parts:
    """The published patches of the one site, split into what is the patch's class and its ridges; all (K,)."""

    found: LandUse
    whole: Ints
    ridges: Ints
    leaf: list[str]  # the row of the summary that the net part belongs to
    owner: list[str]  # state, collective, or owner_not_said
    patch_class: list[str | None]
    survey_slope: Ints | None  # (K, 6) hundredths by slope class of the slope survey, the last where it says none

    @property
    def net(self) -> Ints:
        return self.whole - self.ridges

    def column(self, name: str) -> list[object]:
        return [said(value) for value in self.found.layer.column(name)[self.found.parts.feature]]


def parts_of(ground: Ground) -> Parts | None:
    """The patches under the one site of `ground`, worked out once; None where no survey is loaded."""
    return ground.once("land parts", _parts)


def _parts(ground: Ground) -> Parts | None:
    found = land_use(ground)
    if found is None:
        return None
    rows = found.parts.feature
    leaf = found.layer.once("leaf", _leaves)[rows]
    owner = [_owner(one) for one in found.layer.column("ownership")[rows]]
    slope = [said(one) for one in found.layer.column("slope_class")[rows]]
    return Parts(
        found, found.parts.hundredths, found.ridges, leaf.tolist(), owner, slope, _by_survey_slope(ground, found)
    )


def _leaves(layer: Snapshot) -> np.ndarray:
    """(M,) the most detailed row of the summary that each patch certainly belongs to."""
    system, code = layer.column("code_system"), layer.column("code")
    leaf = np.full(len(code), "unknown", dtype=object)
    three = layer.features.get("three_class", pd.Series(None, index=layer.features.index, dtype=object))
    leaf[(three == "construction").to_numpy()] = "construction"
    leaf[counted(layer, OfKind("new_construction"))[0]] = "unused"
    agricultural = counted(layer, OfKind("agricultural"))[0]
    leaf[agricultural] = [
        ("ridges" if c == RIDGES else BY_GROUP.get(c[:2], "other_agricultural"))
        if s in SYSTEMS
        else "other_agricultural"
        for s, c in _texts(system[agricultural], code[agricultural])
    ]
    cultivated = counted(layer, OfKind("cultivated"))[0]
    leaf[cultivated] = [
        BY_CODE.get(c, "cultivated_other") if s in SYSTEMS else "cultivated_other"
        for s, c in _texts(system[cultivated], code[cultivated])
    ]
    leaf[counted(layer, OfKind("paddy"))[0]] = "paddy"
    return leaf


def _texts(system: np.ndarray, code: np.ndarray) -> list[tuple[str, str]]:
    return [(str(one), str(other)) for one, other in zip(system, code, strict=True)]


def _owner(code: object) -> str:
    return "state" if code in STATE_OWNED else "collective" if code in COLLECTIVE else "owner_not_said"


def _by_survey_slope(ground: Ground, found: LandUse) -> Ints | None:
    """(K, 6) each patch's published area by the class of the slope survey, closed; None where none is loaded."""
    slopes = ground.layer("survey_slope")
    if slopes is None:
        return None
    site, rows = ground.sites[0], found.parts.feature
    kind = slopes.column("slope_class")
    over = np.zeros((len(rows), len(CLASSES) + 1))
    mine = _clipped(site, found.layer)
    theirs = _clipped(site, slopes)
    at, other = shapely.STRtree(mine[0]).query(theirs[0], predicate="intersects")[::-1]
    shared_m2 = shapely.area(shapely.intersection(mine[0][at], theirs[0][other]))
    place = {int(feature): row for row, feature in enumerate(rows)}
    for patch, slope, square_metres in zip(mine[1][at], theirs[1][other], shared_m2, strict=True):
        if int(patch) in place and kind[slope] in CLASSES:
            over[place[int(patch)], CLASSES.index(kind[slope])] += square_metres
    whole = found.parts.hundredths / 100
    total = over.sum(axis=1)
    over *= (whole / np.maximum(total, np.maximum(found.parts.gross_m2, 1e-9)))[:, None]
    over[:, -1] = np.maximum(whole - over.sum(axis=1), 0.0)
    return _closed_rows(over, found.parts.hundredths)


def _clipped(site: shapely.Geometry, layer: Snapshot) -> tuple[np.ndarray, Ints]:
    piece = layer.tree.query(site, predicate="intersects")
    shared = shapely.intersection(site, layer.pieces[piece])
    some = shapely.area(shared) > 0
    return shared[some], layer.owner[piece[some]]


def _closed_rows(square_metres: Floats, whole: Ints) -> Ints:
    """(K, C) each row closed to its own total."""
    rows, columns = square_metres.shape
    return close(np.repeat(np.arange(rows), columns), square_metres.ravel(), whole).reshape(rows, columns)


def land_class_summary(ground: Ground) -> Rows:
    """地类汇总: 农用地 with its groups, 建设用地, 未利用地, what is not known, and the total: the control area."""
    parts = parts_of(ground)
    if parts is None:
        return []
    whole = int(parts.found.parts.control[0])
    leaves: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for leaf, hundredths, owner, patch_class, slopes in _pieces(parts):
        row = leaves[leaf]
        row["area"] += hundredths
        row[owner] += hundredths
        if patch_class in CLASSES:
            row[f"patch_slope_{patch_class}"] += hundredths
        for name, one in zip(CLASSES, slopes, strict=False):
            row[f"survey_slope_{name}"] += one
    leaves["uncovered"] = defaultdict(int, area=int(parts.found.parts.uncovered[0]))
    for item, part_of, _, _ in reversed(SUMMARY):
        if part_of is not None:
            for name, amount in leaves[item].items():
                leaves[part_of][name] += amount
    kinds = (parts.survey_slope is not None, any(one in CLASSES for one in parts.patch_class))
    rows = [
        _summary_row(item, part_of, zh, en, leaves[item], whole, kinds)
        for item, part_of, zh, en in SUMMARY
        if leaves[item]["area"] or item not in ("cultivated_other", "ridges", "unknown", "uncovered")
    ]
    total: dict[str, int] = defaultdict(int)
    for item, part_of, _, _ in SUMMARY:
        if part_of is None:
            for name, amount in leaves[item].items():
                total[name] += amount
    return [*rows, _summary_row("total", None, "合计", "Total", total, whole, kinds)]


def _pieces(parts: Parts) -> list[tuple[str, int, str, str | None, list[int]]]:
    """Leaf, hundredths, owner, the patch's slope class and the survey's, for each patch and for its ridges."""
    count = len(parts.leaf)
    slopes = np.zeros((count, 0), dtype=np.int64) if parts.survey_slope is None else parts.survey_slope
    ridge_share = parts.ridges / np.maximum(parts.whole, 1)
    ridge_slopes = _closed_rows(slopes * ridge_share[:, None] / 100, parts.ridges) if slopes.size else slopes
    found = []
    for row, (leaf, owner, kind) in enumerate(zip(parts.leaf, parts.owner, parts.patch_class, strict=True)):
        net = int(parts.whole[row] - parts.ridges[row])
        found.append((leaf, net, owner, kind, (slopes[row] - ridge_slopes[row]).tolist()))
        if parts.ridges[row]:
            found.append(("ridges", int(parts.ridges[row]), owner, kind, ridge_slopes[row].tolist()))
    return found


def _summary_row(
    item: str, part_of: str | None, zh: str, en: str, sums: dict[str, int], whole: int, kinds: tuple[bool, bool]
) -> Row:
    by_survey, by_patch = kinds
    slopes = {
        f"{kind}_{name}_m2": sums.get(f"{kind}_{name}", 0) / 100 if known else None
        for kind, known in (("survey_slope", by_survey), ("patch_slope", by_patch))
        for name in CLASSES
    }
    steep = slopes["survey_slope_5_m2"] if by_survey else slopes["patch_slope_5_m2"]
    depth = 0 if part_of is None else 1 if part_of == "agricultural" else 2
    owners = {f"{name}_m2": sums.get(name, 0) / 100 for name in OWNERS}
    return {
        "item": item, "zh": zh, "en": en, "level": depth, "part_of": part_of, "area_m2": sums.get("area", 0) / 100,
        "share": share(sums.get("area", 0), whole), **owners, "over_25_m2": steep, **slopes,
    }  # fmt: skip


def land_classes(ground: Ground) -> Rows:
    """The contract's land-use table: one row a code, largest first, the deducted ridges as the class they are."""
    parts = parts_of(ground)
    if parts is None:
        return []
    classes: dict[tuple[str, str], dict[str, int]] = {}
    names: dict[tuple[str, str], str] = {}
    columns = zip(
        parts.column("code_system"), parts.column("code"), parts.column("code_name"), parts.column("deducted_code"),
        parts.net.tolist(), parts.ridges.tolist(), parts.owner, strict=True,
    )  # fmt: skip
    for system, code, name, deducted, net, ridges, owner in columns:
        shares = [((str(system), str(code)), name if isinstance(name, str) else "", net)]
        if ridges:
            other = str(deducted) if deducted is not None else RIDGES
            shares.append(((str(system), other), "田坎" if other == RIDGES else "", ridges))
        for key, called, hundredths in shares:
            names[key] = names.get(key) or called
            sums = classes.setdefault(key, {"area": 0, "state": 0, "collective": 0, "owner_not_said": 0})
            sums["area"] += hundredths
            sums[owner] += hundredths
    return [
        {
            "system": system,
            "edition": system.rsplit("-", 1)[-1],
            "code": code,
            "name": names[system, code],
            **{f"{name}_m2": sums[name] / 100 for name in ("area", "state", "collective")},
        }
        for (system, code), sums in sorted(classes.items(), key=lambda item: (-item[1]["area"], item[0]))
    ]


def uncovered(ground: Ground) -> Rows:
    """Ground without any patch, as the row of no class that closes the table by code."""
    parts = parts_of(ground)
    left = 0 if parts is None else int(parts.found.parts.uncovered[0])
    area_m2 = {"area_m2": left / 100, "state_m2": 0.0, "collective_m2": 0.0}
    return [{"system": None, "edition": None, "code": None, "name": "未覆盖", **area_m2}] if left else []


def patches(case: Case) -> Rows:
    """图斑明细: every patch under the site, the survey's own areas scaled to the part and closed beside (平差)."""
    parts = parts_of(case.ground)
    if parts is None:
        return []
    published, layer = parts.found.parts, parts.found.layer
    whole = int(published.control[0])
    names = (
        "seat_name", "seat_code", "owner_name", "owner_code", "patch_no", "id", "survey_year", "code_system", "code",
        "code_name", "ownership", "terrain_kind", "slope_class", "deducted_code", "patch_area_m2", "net_area_m2",
    )  # fmt: skip
    ours = {"code_system": "system", "code_name": "name"}
    columns = {ours.get(name, name): parts.column(name) for name in names}
    scaled = _scaled(parts)
    sure = case.accuracy(ROLE)
    given = deduct_share(layer)[published.feature]
    rows = []
    for row in range(len(parts.leaf)):
        one = {name: values[row] for name, values in columns.items()}
        rows.append(
            {
                "kind": "patch",
                **one,
                "patch_area_m2": area(one["patch_area_m2"]),
                "net_area_m2": area(one["net_area_m2"]),
                "deduct_share": float(round_half_up(float(given[row]), 4)),
                "area_m2": int(parts.whole[row]) / 100,
                "net_m2": int(parts.net[row]) / 100,
                "deducted_m2": int(parts.ridges[row]) / 100,
                "share": share(int(parts.whole[row]), whole),
                **{name: values[row] for name, values in scaled.items()},
                "accuracy": sure[row],
            }
        )
    rows.sort(key=lambda one: tuple(str(one[name] or "") for name in ("seat_code", "code", "patch_no", "id")))
    left = int(published.uncovered[0])
    if left:
        nothing = dict.fromkeys(rows[0] if rows else columns)
        rows.append(
            nothing | {"kind": "uncovered", "name": "未覆盖", "area_m2": left / 100, "share": share(left, whole)}
        )
    return rows


def _scaled(parts: Parts) -> dict[str, list[float | None]]:
    """TBMJ and TBDLMJ by the share of each patch that lies in the site, and both closed to what the site covers.

    TBMJ' = TBMJ x A(clip) / A(whole); where every patch says its area they are adjusted in proportion, so that they
    add up to the part of the control area that has patches, and TBMJ' - TBDLMJ' to the deducted part.
    """
    published, layer = parts.found.parts, parts.found.layer
    count = len(parts.leaf)
    whole_m2 = layer.once("whole m2", _whole_m2)[published.feature]
    doubled = published.doubled_m2[published.site] > 0
    clip_m2 = np.where(doubled, published.hundredths / 100, published.gross_m2)
    ratio = np.clip(clip_m2 / np.maximum(whole_m2, 1e-9), 0.0, 1.0)
    patch = layer.column("patch_area_m2")[published.feature].astype(float) * ratio
    net = layer.column("net_area_m2")[published.feature].astype(float) * ratio
    found: dict[str, list[float | None]] = {
        "scaled_patch_m2": [None if np.isnan(one) else m2(float(one)) for one in patch],
        "scaled_net_m2": [None if np.isnan(one) else m2(float(one)) for one in net],
        "adjusted_patch_m2": [None] * count,
        "adjusted_net_m2": [None] * count,
    }
    covered = int(published.hundredths.sum())
    if count and not np.isnan(patch).any() and patch.sum() > 0:
        whole = np.array([covered])
        adjusted = close(np.zeros(count, dtype=np.int64), patch * (covered / 100 / patch.sum()), whole)
        net_of_it = adjusted - ridges_of(layer, published.feature, adjusted)
        found["adjusted_patch_m2"] = (adjusted / 100).tolist()
        found["adjusted_net_m2"] = (net_of_it / 100).tolist()
    return found


def _whole_m2(layer: Snapshot) -> Floats:
    return np.bincount(layer.owner, layer.area_m2, minlength=len(layer.features)).astype(float)


def ownership_summary(ground: Ground) -> Rows:
    """权属汇总: town, village and owner, with state and collective ground; the rows add up to the control area."""
    parts = parts_of(ground)
    if parts is None:
        return []
    whole = int(parts.found.parts.control[0])
    names = ("seat_code", "seat_name", "owner_code", "owner_name")
    sums: dict[tuple[object, ...], dict[str, int]] = {}
    keys = zip(*(parts.column(name) for name in names), strict=True)
    for key, hundredths, owner in zip(keys, parts.whole.tolist(), parts.owner, strict=True):
        row = sums.setdefault(key, {"area": 0, "state": 0, "collective": 0, "owner_not_said": 0})
        row["area"] += hundredths
        row[owner] += hundredths
    rows = []
    for key, row in sorted(sums.items(), key=lambda item: tuple(str(one or "") for one in item[0])):
        seat_code, seat_name, owner_code, owner_name = key
        place = str(seat_code or owner_code or "")
        rows.append(
            {
                "kind": "owner",
                "town_code": place[:9] if len(place) >= 9 else None,
                "village_code": place[:12] if len(place) >= 12 else None,
                "seat_name": seat_name,
                "owner_code": owner_code,
                "owner_name": owner_name,
                "area_m2": row["area"] / 100,
                "share": share(row["area"], whole),
                **{f"{name}_m2": row[name] / 100 for name in OWNERS},
            }
        )
    left = int(parts.found.parts.uncovered[0])
    blank = dict.fromkeys(("town_code", "village_code", "seat_name", "owner_code", "owner_name"))
    none = {"state_m2": 0.0, "collective_m2": 0.0, "owner_not_said_m2": 0.0}
    if left:
        uncovered = {"seat_name": "未覆盖", "area_m2": left / 100, "share": share(left, whole)}
        rows.append({"kind": "uncovered", **blank, **none, **uncovered})
    total = {f"{name}_m2": sum(row[name] for row in sums.values()) / 100 for name in OWNERS}
    return [*rows, {"kind": "total", **blank, "area_m2": whole / 100, **total, "share": share(whole, whole)}]
