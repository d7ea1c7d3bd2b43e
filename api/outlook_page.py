"""The outlook as a page: what the template draws, worked out here so that it holds nothing but text and bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layers.units import ha, mu

WIDE = 1000.0  # a bar's own units, across
ENOUGH = {"enough": ("够", "enough"), "short": ("不够", "short"), "unknown": ("未知", "unknown")}
STATUS = {
    "done": ("已完成", "done"),
    "planned": ("计划", "planned"),
    "not_yet": ("未完成", "not yet"),
    "unknown": ("未知", "not said"),
}
HAIR = 2.0  # so that a sliver is still seen
Bar = dict[str, Any]


def page(found: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `outlook.html` for an answer of `api.outlook`."""
    zones = [_zone(one, one["name"], found["steps"]) for one in found["zones"]]
    total = found["total"]
    if total is not None and len(zones) > 1:
        zones.insert(0, _zone({**total, "shared_m2": 0.0}, "各片区合计 all zones", found["steps"]))
    elsewhere = found["elsewhere"]
    return {
        "county": found["county"],
        "as_of": found["as_of"],
        "synthetic": found["synthetic"],
        "zones": zones,
        "elsewhere": [] if elsewhere is None else _demand(elsewhere["demand"]),
        "plots": found["plots"],
        "estimated": [one for one in found["asks"] if one["estimated"]],
        "statuses": STATUS,
        "missing": found["missing"],
    }


def _zone(one: Mapping[str, Any], name: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    gross_m2 = one["gross_m2"] or 1.0
    bars: list[Bar] = [_bar("gross", "片区总面积", "gross area", "", 0.0, one["gross_m2"], gross_m2)]
    left_m2 = one["gross_m2"]
    falls = [("shared", "与前一片区重叠", "shared with an earlier zone", "", one["shared_m2"])]
    falls += [
        ("taken", step["zh"], step["en"], step["basis"], row["taken_m2"])
        for step, row in zip(steps, one["waterfall"], strict=True)
    ]
    falls += [
        ("unknown", f"无法计算：{step['zh']}", f"not computed: {step['en']}", step["basis"], row["unknown_m2"])
        for step, row in zip(steps, one["waterfall"], strict=True)
    ]
    for kind, zh, en, basis, amount_m2 in falls:
        left_m2 -= amount_m2
        if amount_m2:
            bars.append(_bar(kind, zh, en, basis, left_m2, amount_m2, gross_m2))
    bars.append(_bar("net", "净可建设用地", "net buildable", "", 0.0, one["net_m2"], gross_m2))
    cleared = one["cleared"]
    return {
        "name": name,
        "bars": bars,
        "untouched": [step for step, row in zip(steps, one["waterfall"], strict=True) if not any(_of(row))],
        "demand": _demand(one["demand"]),
        "cleared": None if cleared is None else [(*STATUS[key], _areas(cleared[f"{key}_m2"])) for key in STATUS],
    }


def _of(row: Mapping[str, Any]) -> tuple[float, float]:
    return row["taken_m2"], row["unknown_m2"]


def _bar(kind: str, zh: str, en: str, basis: str, start_m2: float, amount_m2: float, gross_m2: float) -> Bar:
    x = max(start_m2, 0.0) / gross_m2 * WIDE
    return {
        "kind": kind,
        "zh": zh,
        "en": en,
        "basis": basis,
        "x": f"{x:.2f}",
        "width": f"{max(amount_m2 / gross_m2 * WIDE, HAIR) if amount_m2 else 0.0:.2f}",
        "share": f"{amount_m2 / gross_m2:.1%}",
        "minus": kind not in ("gross", "net"),
        "area": _areas(amount_m2),
    }


def _areas(m2: float) -> dict[str, str]:
    return {"ha": f"{ha(m2):,.2f}", "mu": f"{mu(m2):,.1f}"}


def _demand(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **one,
            "land": _areas(one["land_m2"]),
            "low": _areas(one["low_m2"]),
            "high": None if one["high_m2"] is None else _areas(one["high_m2"]),
            "spread": one["high_m2"] != one["low_m2"],
            "estimated": _areas(one["estimated_m2"]) if one["estimated_m2"] else None,
            "left_low": None if one["left_low_m2"] is None else _areas(one["left_low_m2"]),
            "left_high": None if one["left_high_m2"] is None else _areas(one["left_high_m2"]),
            "said": ENOUGH[one["enough"]],
        }
        for one in rows
    ]
