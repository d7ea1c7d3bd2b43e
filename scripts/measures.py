"""The measures of a check (五项原则, 就近原料) in words: a line for each principle."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

UNITS = {"share": "%", "times": "倍", "m3/wan": "m³/万元", "tce/wan": "tce/万元", "plants": "家"}
FLAGS = {(1, 1): "是", (0, 0): "否"}


def lines(found: dict[str, Any], *, notes: bool) -> Iterator[tuple[str, str]]:
    """(principle, its measures) of a check; with `notes` why a measure is not known, or whom it is about."""
    for name, rows in groupby((*found["principles"], *found["nearness"]), key=lambda one: one["zh"]):
        yield name, "；".join(_said(one, notes) for one in rows)


def _said(one: dict[str, Any], notes: bool) -> str:
    note = f"（{one['note']['zh']}）" if notes and one["note"] else ""
    return f"{one['name']['zh']} {_amount(one)}{note}"


def _amount(one: dict[str, Any]) -> str:
    """The amount and its unit, or between which it lies."""
    if one["bound"] in ("unknown", "none_found"):
        return "未知" if one["bound"] == "unknown" else "调查范围内未见"
    if one["unit"] == "flag":
        return FLAGS.get((one["low"], one["high"]), "未知")
    low, high, unit = _number(one["low"], one), _number(one["high"], one), UNITS.get(one["unit"], one["unit"])
    return {"exact": f"{low} {unit}", "at_least": f"不小于 {low} {unit}"}.get(one["bound"], f"{low} – {high} {unit}")


def _number(end: float | None, one: dict[str, Any]) -> str:
    if end is None:
        return "?"
    shown = end * 100 if one["unit"] == "share" else end
    return f"{shown:,.0f}" if abs(shown) >= 1_000 else f"{shown:.4g}"
