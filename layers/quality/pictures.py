"""Small drawings of where the faults of a layer lie. They hold numbers and fixed words only, nothing a file said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from shapely.errors import GEOSException

from layers.quality.record import Quality
from layers.quality.tolerances import CHECKS
from layers.records import Floats, Geoms, Ints

COLOURS = {
    "degenerate": "#6b7280",
    "invalid": "#b91c1c",
    "duplicate": "#7c3aed",
    "overlap": "#ea580c",
    "gap": "#0369a1",
    "sliver": "#0d9488",
    "spike": "#be185d",
    "near_point": "#a16207",
    "near_node": "#4d7c0f",
    "tiny": "#1f2937",
}
WIDE, LEAST_HIGH, MOST_HIGH = 600, 200, 520  # pixels of the overview
SIDE = 168  # pixels of a detail
CELL, SPOT = 4, 12  # pixels: a cell of a crowded layer, and how far apart spots are told apart
MOST_DRAWN = 20_000  # vertices; a layer of more is drawn as the cells it covers
AROUND = 'fill-opacity="0.16" fill-rule="evenodd" stroke="#3f5a4b" stroke-width="0.9"'
MOST_NEAR = 40  # features drawn in one detail


class View:
    """A window of the ground on a picture: metres in, pixels from its upper left corner out."""

    def __init__(self, west: float, south: float, east: float, north: float, wide: float, high: float) -> None:
        self.scale = min(wide / max(east - west, 1e-9), high / max(north - south, 1e-9))
        self.west = (west + east) / 2 - wide / 2 / self.scale
        self.north = (south + north) / 2 + high / 2 / self.scale
        self.wide, self.high = wide, high

    @property
    def ground(self) -> tuple[float, float, float, float]:
        return (self.west, self.north - self.high / self.scale, self.west + self.wide / self.scale, self.north)

    def pixels(self, xy: Floats) -> Floats:
        drawn: Floats = np.stack([xy[:, 0] - self.west, self.north - xy[:, 1]], axis=1) * self.scale
        return drawn

    def path(self, shape: shapely.Geometry) -> str:
        """The `d` of an SVG path: rings closed, lines open."""
        parts = shapely.get_parts(shape)
        rings = shapely.get_rings(parts)
        lines = parts[shapely.get_dimensions(parts) == 1]
        drawn = [(ring, "Z") for ring in rings] + [(line, "") for line in lines]
        return "".join(_run(self.pixels(shapely.get_coordinates(one))) + end for one, end in drawn)


def _run(pixels: Floats) -> str:
    steps = np.round(pixels, 1)
    if len(steps) > 2:
        steps = steps[np.concatenate([[True], (steps[1:] != steps[:-1]).any(axis=1)])]
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in steps)


def _svg(view: View, body: list[str], label: str) -> str:
    size = f'width="{view.wide:g}" height="{view.high:g}" viewBox="0 0 {view.wide:g} {view.high:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">{"".join(body)}</svg>'


def overview(quality: Quality) -> str:
    """The whole layer in grey with a spot for every place that has a fault, larger where there are many."""
    drawable = np.flatnonzero(np.isfinite(shapely.bounds(quality.geometries)).all(axis=1))
    shapes = quality.geometries[drawable]
    finite = np.isfinite(shapely.bounds(quality.places.geometry.to_numpy())).all(axis=1)
    places = quality.places[finite]
    if len(shapes) == 0:
        return ""
    west, south, east, north = shapely.total_bounds(shapes)
    high = float(np.clip(WIDE * (north - south) / max(east - west, 1e-9), LEAST_HIGH, MOST_HIGH))
    margin = 0.03 * max(east - west, north - south, 1.0)
    view = View(west - margin, south - margin, east + margin, north + margin, WIDE, high)
    body = [f'<rect width="{WIDE}" height="{high:g}" fill="#fbfbf9"/>', _backdrop(view, shapes)]
    return _svg(view, [*body, *_spots(view, places), _scale_bar(view)], "faults of the layer 图层问题分布")


def _backdrop(view: View, shapes: Geoms) -> str:
    if shapely.get_num_coordinates(shapes).sum() <= MOST_DRAWN:
        d = "".join(view.path(shape) for shape in shapes)
        return f'<path d="{d}" fill="#e6ebe7" fill-rule="evenodd" stroke="#aab5ae" stroke-width="0.6"/>'
    across, down = int(view.wide // CELL), int(view.high // CELL)
    column, row = (grid.ravel() for grid in np.meshgrid(np.arange(across), np.arange(down)))
    step = CELL / view.scale
    cells = shapely.box(
        view.west + column * step,
        view.north - (row + 1) * step,
        view.west + (column + 1) * step,
        view.north - row * step,
    )
    hit = np.unique(shapely.STRtree(shapely.box(*shapely.bounds(shapes).T)).query(cells)[0])
    d = "".join(f"M{x} {y}h{CELL}v{CELL}h-{CELL}Z" for x, y in zip(column[hit] * CELL, row[hit] * CELL, strict=True))
    return f'<path d="{d}" fill="#e1e7e2"/>'


def _spots(view: View, places: pd.DataFrame) -> list[str]:
    """Faults of one kind that fall together are one spot whose area grows with their number."""
    points = shapely.get_coordinates(shapely.centroid(places["geometry"].to_numpy()))
    pixels = view.pixels(points)
    order = list(CHECKS)[::-1]  # the grave ones are drawn last, on top
    spots = pd.DataFrame(
        {
            "rank": places["check"].map(order.index).to_numpy(),
            "column": np.floor(pixels[:, 0] / SPOT),
            "row": np.floor(pixels[:, 1] / SPOT),
            "x": pixels[:, 0],
            "y": pixels[:, 1],
        }
    )
    grouped = spots.groupby(["rank", "row", "column"], sort=True)
    drawn = []
    for _, here in grouped:
        check = order[int(here["rank"].iloc[0])]
        radius = min(4 + 1.6 * np.log10(len(here)), 10)
        zh, en = CHECKS[check]
        drawn.append(
            f'<circle cx="{here["x"].mean():.1f}" cy="{here["y"].mean():.1f}" r="{radius:.1f}" fill="{COLOURS[check]}"'
            f' fill-opacity="0.8" stroke="#fff" stroke-width="0.8"><title>{zh} {en}: {len(here)}</title></circle>'
        )
    return drawn


def _scale_bar(view: View) -> str:
    metres = 10.0 ** np.floor(np.log10(view.wide / view.scale / 4))
    metres = max(step * metres for step in (1, 2, 5) if step * metres <= view.wide / view.scale / 4)
    long, y = metres * view.scale, view.high - 12
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    return (
        f'<path d="M12 {y - 4:g}v4h{long:.1f}v-4" fill="none" stroke="#333" stroke-width="1.2"/>'
        f'<text x="{16 + long:.1f}" y="{y:g}" font-size="11" fill="#333">{text}</text>'
    )


def details(quality: Quality, rows: Ints) -> list[str]:
    """A close look at each of some places (rows of `places`): the fault in colour, what lies around it in grey."""
    if len(rows) == 0:
        return []
    tree = shapely.STRtree(quality.geometries)
    return [_detail(quality, tree, int(row)) for row in rows]


def _detail(quality: Quality, tree: shapely.STRtree, row: int) -> str:
    place = quality.places.iloc[row]
    shape, check = place["geometry"], place["check"]
    box = shapely.bounds(shape)
    if not np.isfinite(box).all():
        return ""
    reach = 0.35 * max(box[2] - box[0], box[3] - box[1]) + _around_m(check, place["value"], quality, tree, shape)
    view = View(box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach, SIDE, SIDE)
    window = shapely.box(*view.ground)
    body = [f'<rect width="{SIDE}" height="{SIDE}" fill="#fbfbf9"/>']
    for near in np.sort(tree.query(window))[:MOST_NEAR]:
        d = view.path(_clipped(quality.geometries[near], view.ground))
        fill = "#5b7f6a" if shapely.get_dimensions(quality.geometries[near]) == 2 else "none"
        body.append(f'<path d="{d}" fill="{fill}" {AROUND}/>')
    colour = COLOURS[check]
    if shapely.get_dimensions(shape) == 0:
        ((x, y),) = view.pixels(shapely.get_coordinates(shape))
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="{colour}" stroke-width="2"/>')
    else:
        d = view.path(_clipped(shape, view.ground))
        body.append(f'<path d="{d}" fill="{colour}" fill-opacity="0.55" stroke="{colour}" stroke-width="2"/>')
    return _svg(view, [*body, _scale_bar(view)], "close view 局部图")


def _around_m(check: str, value: float, quality: Quality, tree: shapely.STRtree, shape: shapely.Geometry) -> float:
    """How much ground to show about a fault: a point says nothing of its own size."""
    if shapely.get_dimensions(shape) > 0:
        return 0.01
    if check.startswith("near"):
        return max(6 * value, 0.02)
    near = tree.query(shapely.buffer(shape, 0.01))
    west, south, east, north = shapely.total_bounds(quality.geometries[near]) if len(near) else (0, 0, 40, 40)
    return float(max(0.15 * max(east - west, north - south), 0.5))


def _clipped(shape: shapely.Geometry, window: tuple[float, float, float, float]) -> shapely.Geometry:
    try:
        return shapely.clip_by_rect(shape, *window)
    except GEOSException:  # an invalid area: its border can always be drawn
        return shapely.clip_by_rect(shapely.boundary(shape), *window)
