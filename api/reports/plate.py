"""A piece of the map at true scale as SVG: one unit of the drawing is one millimetre of paper.

No storage and no paper size here: frames in the working CRS in, one drawing out. Everything is vector; text passes
`api.escape.safe`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from api.escape import safe
from api.mapstyle import ORDER, PLAIN, STYLES, Style
from api.reports.boundary import rings
from api.reports.model import plain
from layers.records import Bounds, Floats, Geoms

FONTS = "Noto Sans CJK SC, Source Han Sans SC, Noto Sans SC, Microsoft YaHei, PingFang SC, SimHei, sans-serif"
FINE_MM = 0.04  # outlines of what lies around are simplified by as much of paper: finer nobody could see
BEYOND_MM = 4.0  # drawn beyond the frame, so that no edge of the cut shows
MOST_POINTS = 400  # boundary points with a mark; the table has them all
PX_MM = 0.26  # of paper to a pixel of the screen map's line widths
TICK_MM = 50.0
AROUND_A_POINT = ((0.0, -1.4), (1.0, 0.8), (-1.0, 0.8), (0.0, 3.2), (1.0, -0.8), (-1.0, -0.8), (1.0, 2.6), (-1.0, 2.6))
FINE_SCALE = 10_000  # coarser than that lines are drawn at half their width


@dataclass(frozen=True)
class Window:
    """A window onto the ground: its north-western corner in the working CRS and its size on paper."""

    west: float
    north: float
    scale: int
    width_mm: float
    height_mm: float

    @classmethod
    def around(cls, bounds: Bounds, scale: int, width_mm: float, height_mm: float) -> Window:
        """With the middle of `bounds` in its middle."""
        west, south, east, north = bounds
        per_mm = scale / 1000
        return cls(
            (west + east) / 2 - width_mm / 2 * per_mm, (south + north) / 2 + height_mm / 2 * per_mm,
            scale, width_mm, height_mm,
        )  # fmt: skip

    @property
    def bounds(self) -> Bounds:
        per_mm = self.scale / 1000
        return (self.west, self.north - self.height_mm * per_mm, self.west + self.width_mm * per_mm, self.north)

    @property
    def drawn(self) -> Bounds:
        """A little more than is seen."""
        more = BEYOND_MM * self.scale / 1000
        west, south, east, north = self.bounds
        return (west - more, south - more, east + more, north + more)

    def mm(self, xy: Floats) -> Floats:
        """(n, 2) metres of the working CRS -> millimetres from the upper left corner."""
        return np.asarray((xy - (self.west, self.north)) * (1000 / self.scale) * (1.0, -1.0))


@dataclass(frozen=True)
class Sheet:
    """A layer on a plate: a frame in the working CRS, the column that names its features, and its words."""

    role: str
    zh: str
    en: str
    frame: gpd.GeoDataFrame
    label: str | None = None

    @property
    def style(self) -> Style:
        return STYLES.get(self.role, PLAIN)


@dataclass(frozen=True)
class Plate:
    """What was drawn: SVG elements in millimetres, and the layers with something in the window, the highest first."""

    body: str
    defs: str
    drawn: tuple[Sheet, ...]


def plate(window: Window, sheets: Sequence[Sheet], ground: shapely.Geometry | None = None, *, key: str = "p") -> Plate:
    """The sheets in the order of `api.mapstyle`, the ground itself above them with its points and sides.

    `key` keeps the names of one drawing apart from those of another on the same HTML page.
    """
    clip = f'<clipPath id="{key}-clip"><rect width="{window.width_mm:g}" height="{window.height_mm:g}"/></clipPath>'
    defs, body, labels, drawn = [clip], [], [], []
    taken: list[Bounds] = [(window.width_mm - 13, 0.0, window.width_mm - 3, 21.0)]  # the north arrow
    xs, ys = lines_of_grid(window)
    for x, y in window.mm(np.array([(x, y) for x in xs for y in ys]).reshape(-1, 2)).tolist():
        taken.append((x - 2, y - 2, x + 2, y + 2))
    subject = _subject(ground, window, taken) if ground is not None else ""
    border = shapely.transform(shapely.boundary(ground), window.mm) if ground is not None else shapely.LineString()
    shapely.prepare(border)
    for sheet in sorted(sheets, key=lambda one: -ORDER.get(one.role, -1)):  # the highest choose their labels' place
        frame = sheet.frame
        shapes = _clipped(np.asarray(frame.geometry.values, dtype=object), window)
        there = ~shapely.is_empty(shapes) & ~shapely.is_missing(shapes)
        if not there.any():
            continue
        drawn.append(sheet)
        body.append(
            f"<g {_pen(sheet.style, sheet.role, key, window.scale)}>{_shapes(shapes[there], window, sheet.style)}</g>"
        )
        if sheet.style.hatch:
            defs.append(_hatch(sheet.style, sheet.role, key))
        if sheet.label is not None:
            names = frame[sheet.label].to_numpy()[there]
            labels.append(_names(shapes[there], names, window, sheet, taken, border))
    inside = f'<g clip-path="url(#{key}-clip)">{"".join(reversed(body))}{subject}{"".join(labels)}</g>'
    return Plate(inside, "".join(defs), tuple(drawn))


def _clipped(shapes: Geoms, window: Window) -> Geoms:
    if not len(shapes):
        return shapes
    cut = shapely.clip_by_rect(shapely.make_valid(shapely.force_2d(shapes)), *window.drawn)
    return np.asarray(shapely.simplify(cut, FINE_MM * window.scale / 1000), dtype=object)


def _shapes(shapes: Geoms, window: Window, style: Style) -> str:
    """One path for areas and lines, a circle for each point."""
    parts = shapely.get_parts(shapes)
    dimension = shapely.get_dimensions(parts)
    lines = [*shapely.get_rings(parts[dimension == 2]), *parts[dimension == 1]]
    found = "".join(path(shapely.get_coordinates(one), window) for one in lines)
    closed = f'<path d="{found}"/>' if found else ""
    points = window.mm(shapely.get_coordinates(parts[dimension == 0]))
    return closed + "".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="0.9"/>' for x, y in points.tolist())


def path(xy: Floats, window: Window) -> str:
    """SVG path data of a ring or a line to a thousandth of a millimetre."""
    at = np.round(window.mm(xy), 3)
    closed = len(at) > 2 and bool((at[0] == at[-1]).all())
    text = "L".join(f"{x:g} {y:g}" for x, y in (at[:-1] if closed else at).tolist())
    return f"M{text}Z" if closed else f"M{text}"


def _pen(style: Style, role: str, key: str, scale: int = 1_000) -> str:
    has_fill = style.hatch or style.fill is not None
    fill = f"url(#{key}-hatch-{role})" if style.hatch else style.fill if has_fill and style.shape != "line" else "none"
    dash = [f"{float(one) * PX_MM:.2g}" for one in (style.dash or "").split()]
    dashed = f' stroke-dasharray="{" ".join(dash)}"' if dash else ""
    width = 0.15 if style.shape == "point" else max(style.weight * PX_MM * (0.6 if scale <= FINE_SCALE else 0.3), 0.08)
    opacity = "" if style.hatch else f' fill-opacity="{style.opacity:g}"'
    return (
        f'stroke="{style.color}" stroke-width="{width:.2g}"{dashed} stroke-linejoin="round" '
        f'fill="{fill}"{opacity} fill-rule="evenodd"'
    )


def _hatch(style: Style, role: str, key: str) -> str:
    return (
        f'<pattern id="{key}-hatch-{role}" width="1.6" height="1.6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0.8 0V1.6" stroke="{style.color}" stroke-width="0.35" '
        'stroke-opacity="0.75"/></pattern>'
    )  # fmt: skip


def words(x: float, y: float, text: object, size: float, *, color: str = "#222", anchor: str = "middle",
          weight: str = "400", halo: bool = True, turn: float | None = None) -> str:  # fmt: skip
    """Text on a plate; its halo is a stroke under it, so that it is read on any ground."""
    around = ' stroke="#fff" stroke-width="0.5" stroke-linejoin="round" paint-order="stroke"' if halo else ""
    turned = f' transform="rotate({turn:.1f} {x:.2f} {y:.2f})"' if turn is not None else ""
    return (
        f'<text x="{x:.2f}" y="{y:.2f}" font-family="{FONTS}" font-size="{size:g}" font-weight="{weight}" '
        f'fill="{color}" text-anchor="{anchor}"{around}{turned}>{safe(plain(str(text)))}</text>'
    )


def width_of(text: str, size: float) -> float:
    """About how wide a text is, in millimetres."""
    return size * sum(1.0 if ord(one) > 0x2E7F else 0.56 for one in text)


def _names(
    shapes: Geoms, names: np.ndarray, window: Window, sheet: Sheet, taken: list[Bounds], border: shapely.Geometry
) -> str:
    """A name for each feature where it has room and covers no other; a parcel's id in full, else its last seven."""
    size = 1.9 if sheet.role in ("parcels", "land_use") else 2.3
    is_point = sheet.style.shape == "point"
    spots = window.mm(shapely.get_coordinates(shapely.point_on_surface(shapes)))
    widths = np.ptp(shapely.bounds(shapes).reshape(-1, 2, 2), axis=1)[:, 0] * 1000 / window.scale
    out = []
    for (x, y), name, room in zip(spots.tolist(), names.tolist(), widths.tolist(), strict=True):
        if not isinstance(name, str) or not name:
            continue
        text = name if is_point or width_of(name, size) <= room else name[-7:] if sheet.role == "parcels" else ""
        text = text if len(text) <= 24 else text[:23] + "…"
        wide = width_of(text, size)
        if not text or (not is_point and wide > room):
            continue
        for dx, dy in AROUND_A_POINT if is_point else ((0.0, 0.36 * size),):
            at, base = x + dx * (1.4 + wide / 2), y + dy
            box = (at - wide / 2, base - size, at + wide / 2, base + size * 0.2)
            outside = box[0] < 0 or box[2] > window.width_mm or box[1] < 0 or box[3] > window.height_mm
            if not outside and not _covers(box, taken) and not shapely.intersects(border, shapely.box(*box)):
                taken.append(box)
                color = sheet.style.fill or "#222" if is_point else "#444"
                out.append(words(at, base, text, size, color=color, weight="700" if is_point else "400"))
                break
    return "".join(out)


def _covers(box: Bounds, taken: Sequence[Bounds]) -> bool:
    return any(box[0] < one[2] and one[0] < box[2] and box[1] < one[3] and one[1] < box[3] for one in taken)


def _subject(ground: shapely.Geometry, window: Window, taken: list[Bounds]) -> str:
    """The ground in red as it was judged, not simplified; its points numbered, its longer sides measured."""
    body = "".join(path(shapely.get_coordinates(one), window) for one in shapely.get_rings(shapely.get_parts(ground)))
    out = [
        f'<path class="ground" d="{body}" fill="#c2003d" fill-opacity="0.08" fill-rule="evenodd" stroke="#c2003d" '
        'stroke-width="0.5" stroke-linejoin="miter"/>'
    ]  # fmt: skip
    marks, sides = [], []
    for ring in rings(ground):
        at = window.mm(ring.points)
        if ring.first + len(at) > MOST_POINTS:
            break
        away = _outward(at)
        for n, (name, (x, y)) in enumerate(zip(ring.names, at.tolist(), strict=True)):
            marks.append(
                f'<circle cx="{x:.3f}" cy="{y:.3f}" r="0.55" fill="#fff" stroke="#c2003d" stroke-width="0.25"/>'
            )
            tx, ty = x + away[n][0] * 2.4, y + away[n][1] * 2.4 + 0.7
            box = (tx - width_of(name, 2.1) / 2, ty - 2.0, tx + width_of(name, 2.1) / 2, ty + 0.3)
            if not _covers(box, taken):
                taken.append(box)
                marks.append(words(tx, ty, name, 2.1, color="#c2003d", weight="700"))
        for n, length_m in enumerate(ring.sides_m.tolist()):
            sides.append(_side(at[n], at[(n + 1) % len(at)], length_m, taken))
    return "".join([*out, *sides, *marks])


def _outward(at: Floats) -> list[tuple[float, float]]:
    """(n,) away from the ground at each point: shells run clockwise on the ground, holes against the clock."""
    before, after = at - np.roll(at, 1, axis=0), np.roll(at, -1, axis=0) - at
    found = []
    for (bx, by), (ax, ay) in zip(before.tolist(), after.tolist(), strict=True):
        b, a = np.hypot(bx, by) or 1.0, np.hypot(ax, ay) or 1.0
        x, y = by / b + ay / a, -bx / b - ax / a  # left of the way, y pointing down the page
        size = np.hypot(x, y)
        found.append((x / size, y / size) if size > 1e-6 else (bx / b, by / b))
    return found


def _side(one: Floats, other: Floats, length_m: float, taken: list[Bounds]) -> str:
    """A side's length along it, inside, where it has room."""
    (x, y), (dx, dy) = ((one + other) / 2).tolist(), (other - one).tolist()
    long_mm = float(np.hypot(dx, dy))
    text = f"{length_m:.2f}"
    if long_mm < width_of(text, 1.8) + 4:
        return ""
    x, y = x - dy / long_mm * 2.0, y + dx / long_mm * 2.0  # right of the way: inside
    box = (x - 1.5, y - 1.5, x + 1.5, y + 1.5)
    if _covers(box, taken):
        return ""
    taken.append(box)
    angle = float(np.degrees(np.arctan2(dy, dx)))
    angle = angle - 180 if angle > 90 else angle + 180 if angle <= -90 else angle
    tilt = np.radians(angle)
    x, y = x - np.sin(tilt) * 0.6, y + np.cos(tilt) * 0.6  # from the base line to the middle of the digits
    return words(x, y, text, 1.8, color="#7a0026", turn=angle)


def step_m(scale: int) -> float:
    """Between two lines of the grid: about 50 mm of paper, a round number on the ground.

    >>> [step_m(scale) for scale in (500, 2_000, 10_000, 75_000, 150_000)]
    [25.0, 100.0, 500.0, 2500.0, 5000.0]
    """
    most = TICK_MM * scale / 1000
    power = 10.0 ** np.floor(np.log10(most))
    return float(max(one * power for one in (1, 2, 2.5, 5) if one * power <= most))


def lines_of_grid(window: Window) -> tuple[Floats, Floats]:
    """Eastings and northings of the grid's lines in a window."""
    west, south, east, north = window.bounds
    step = step_m(window.scale)
    xs = np.arange(np.ceil(west / step), np.floor(east / step) + 1) * step
    return xs, np.arange(np.ceil(south / step), np.floor(north / step) + 1) * step


def grid(window: Window) -> str:
    """The frame, crosses of the local grid inside, ticks with full coordinates around."""
    per_mm = window.scale / 1000
    west, north = window.west, window.north
    xs, ys = lines_of_grid(window)
    out = [
        f'<rect width="{window.width_mm:g}" height="{window.height_mm:g}" fill="none" stroke="#111" '
        'stroke-width="0.35"/>'
    ]
    strokes = []
    for x in xs.tolist():
        at = (x - west) / per_mm
        strokes.append(f"M{at:.3f} -1.5V0M{at:.3f} {window.height_mm:g}v1.5")
        out.append(words(at, -2.2, f"{x:,.0f}".replace(",", " "), 2.0, halo=False))
        out.append(words(at, window.height_mm + 3.8, f"{x:,.0f}".replace(",", " "), 2.0, halo=False))
    for y in ys.tolist():
        at = (north - y) / per_mm
        strokes.append(f"M-1.5 {at:.3f}H0M{window.width_mm:g} {at:.3f}h1.5")
        for side in (-2.4, window.width_mm + 3.8):
            out.append(words(side, at, f"{y:,.0f}".replace(",", " "), 2.0, halo=False, turn=-90))
    crosses = [
        f"M{(x - west) / per_mm - 2:.3f} {(north - y) / per_mm:.3f}h4m-2 -2v4" for x in xs.tolist() for y in ys.tolist()
    ]  # fmt: skip
    out.append(f'<path d="{"".join(strokes)}" stroke="#111" stroke-width="0.2" fill="none"/>')
    out.append(f'<path d="{"".join(crosses)}" stroke="#111" stroke-width="0.12" fill="none"/>')
    return "".join(out)


def swatch(sheet: Sheet, x: float, y: float, key: str) -> str:
    """The legend's small picture, drawn with the plate's own pen."""
    outline = {
        "area": f'<rect x="{x:.2f}" y="{y:.2f}" width="6" height="3"/>',
        "line": f'<path d="M{x:.2f} {y + 2.4:.2f}l2 -1.6l2 1.6l2 -1.6"/>',
        "point": f'<circle cx="{x + 3:.2f}" cy="{y + 1.5:.2f}" r="0.9"/>',
    }[sheet.style.shape]
    return f"<g {_pen(sheet.style, sheet.role, key)}>{outline}</g>"


def scale_bar(x: float, y: float, scale: int) -> str:
    """Four fields of 10 mm of paper, with the metres they are on the ground."""
    fields = [
        f'<rect x="{x + 10 * n:.2f}" y="{y:.2f}" width="10" height="1.2" fill="{"#111" if n % 2 == 0 else "#fff"}" '
        'stroke="#111" stroke-width="0.15"/>'
        for n in range(4)
    ]  # fmt: skip
    marks = [words(x + 10 * n, y - 0.9, f"{scale / 100 * n:g}", 1.9, halo=False) for n in range(4)]
    return "".join([*fields, *marks, words(x + 40, y - 0.9, f"{scale / 100 * 4:g} m", 1.9, halo=False)])


def north_arrow(x: float, y: float) -> str:
    """Grid north: up."""
    return (
        f'<path d="M{x} {y}l3 10l-3 -2.2l-3 2.2z" fill="#111"/><path d="M{x} {y}l3 10l-3 -2.2z" fill="#fff" '
        f'stroke="#111" stroke-width="0.2"/>{words(x, y - 0.8, "N", 3, weight="700", halo=False)}'
    )


def svg(body: str, width_mm: float, height_mm: float, defs: str = "") -> str:
    """A whole drawing, its size in millimetres."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_mm:g}mm" height="{height_mm:g}mm" '
        f'viewBox="0 0 {width_mm:g} {height_mm:g}"><defs>{defs}</defs>{body}</svg>'
    )
