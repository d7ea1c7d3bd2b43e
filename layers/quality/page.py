"""The quality report as one page: a picture first, then the kinds of fault, then the figures they were held against.

It opens offline: no script, no request. Everything a file said is escaped by the template engine.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from jinja2 import Environment, StrictUndefined

from layers.quality.pictures import COLOURS, details, overview
from layers.quality.record import Quality
from layers.schema import role

MOST_PICTURES = 8
MOST_ROWS = 40


def write_page(quality: Quality, path: Path, title: str = "") -> None:
    """The report as one page that opens offline."""
    path.write_text(page(quality, title), encoding="utf-8")


def page(quality: Quality, title: str = "") -> str:
    """The report as HTML text; `title` names the layer or file that was looked at."""
    text = files("layers.quality").joinpath("page.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    known = role(quality.role) if quality.role is not None else None
    return template.from_string(text).render(
        title=title or (quality.role or "layer"),
        role=f"{known.zh} {known.en}" if known is not None else "",
        quality=quality,
        picture=overview(quality),
        summary=_summary(quality),
        sections=[_section(quality, check) for check, count in quality.counts.items() if count],
        tolerances=quality.tolerances.rows.to_dict("records"),
        colours=COLOURS,
    )


def _summary(quality: Quality) -> list[dict[Any, Any]]:
    table = quality.summary().astype(object)
    return [dict(row) for _, row in table.where(table.notna(), None).iterrows()]


def _section(quality: Quality, check: str) -> dict[str, Any]:
    """One check's places, gravest first, bounded: some with a picture, some as rows, the others counted."""
    rows = np.flatnonzero(quality.places["check"] == check)
    listed = rows[_gravest_first(check, quality.places["value"].to_numpy(dtype=float)[rows])][:MOST_ROWS]
    pictured = listed[:MOST_PICTURES]
    return {
        "check": check,
        "count": len(rows),
        "more": len(rows) - len(listed),
        "pictures": [
            (drawn, quality.places.iloc[row]) for drawn, row in zip(details(quality, pictured), pictured, strict=True)
        ],
        "rows": [(quality.places.iloc[row], _where(quality.places.geometry.iloc[row])) for row in listed],
    }


def _gravest_first(check: str, value: Any) -> Any:
    """An overlap is the worse the larger it is; a sliver, spike or near point the smaller."""
    large = check in ("duplicate", "overlap", "gap")
    return pd.Series(-value if large else value).argsort(kind="stable").to_numpy()


def _where(shape: shapely.Geometry | None) -> str:
    """East and north of a place, for the search box of a GIS."""
    if shape is None or shapely.is_empty(shape):
        return ""
    at = shapely.point_on_surface(shape)
    return f"{shapely.get_x(at):.3f}, {shapely.get_y(at):.3f}"
