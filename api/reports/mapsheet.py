"""Map sheets (图幅): ground on paper at a true scale, in the county's own grid, with all that makes it a document.

A sheet says which layers it draws and in which edition; what is not loaded is not drawn and not in the legend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import geopandas as gpd
import numpy as np
import shapely

from api.reports import plate as draw
from api.reports.model import Page, Words, shown
from api.reports.plate import Plate, Sheet, Window, width_of
from api.scope import Scope
from api.sheets import AROUND, FROM_AFAR
from layers.errors import BadInput, Fault
from layers.fabric import State
from layers.records import Bounds, Layer
from layers.schema import roles
from layers.store import Store
from layers.units import m2, mu

Paper = Literal["A4", "A3"]
PAPERS: dict[Paper, tuple[float, float]] = {"A4": (210.0, 297.0), "A3": (297.0, 420.0)}
SCALES = (500, 1_000, 2_000, 5_000, 10_000)
COARSER = (
    25_000,
    50_000,
    75_000,
    100_000,
    150_000,
    200_000,
    250_000,
    500_000,
)  # for a report of ground that no sheet holds
SIDE_MM, TOP_MM, BAND_MM, FOOT_MM = 17.0, 33.0, 44.0, 14.0  # around the drawing: sides, title, legend, page number
EDGE_MM = 5.0  # between the coordinates below the drawing and the band
ROOM_MM = 12.0  # left free around the ground, for its points and its neighbours
DETAIL = 2_000  # the coarsest scale at which land use is drawn
DRAWN = tuple(role for role in AROUND if role != "zones")
LABELS = {"parcels": "id", "land_use": "code_name"}
NOT_MEASURED = "图上面积、边长由坐标计算；本图不作权属证明，不构成供地承诺"
SYNTHETIC = "合成数据，仅供演示 Synthetic data, for demonstration only"


@dataclass(frozen=True)
class Subject:
    """What a sheet is of: ground in the working CRS, its words, and the ids of its own parcels."""

    title: Words
    name: str
    ground: shapely.Geometry
    note: str = ""
    facts: str = ""  # instead of its area and its length around
    extra: tuple[Sheet, ...] = ()
    is_numbered: bool = True  # with boundary points and lengths of sides


def fit(bounds: Bounds, scale: int | None, paper: Paper, *, name: str = "", coarser: bool = False) -> Window:
    """The window that shows `bounds` on the paper, upright or across: at a scale, or at the finest that fits.

    BadInput where it does not fit, with the scale that does; `coarser` allows scales beyond 1:10 000.
    """
    west, south, east, north = bounds
    asked = (scale,) if scale is not None else (*SCALES, *COARSER) if coarser else SCALES
    for one in asked:
        for width, height in _windows(paper, east - west, north - south):
            inside_w, inside_h = (width - 2 * ROOM_MM) * one / 1000, (height - 2 * ROOM_MM) * one / 1000
            if east - west <= inside_w and north - south <= inside_h:
                return Window.around(bounds, one, width, height)
    size = f"{east - west:,.0f} × {north - south:,.0f} m"
    if scale is not None:
        better = [
            f"1:{one} on {other}"
            for other in PAPERS
            for one in SCALES
            if any(
                east - west <= (w - 2 * ROOM_MM) * one / 1000 and north - south <= (h - 2 * ROOM_MM) * one / 1000
                for w, h in _windows(other, east - west, north - south)
            )
        ]  # fmt: skip
        fix = f"Use {better[0]}" if better else "Ask for a part of it: no sheet up to 1:10 000 on A3 holds it"
    else:
        fix = "Ask for A3 paper, or for a part of it"
    said = f"1:{scale} on {paper}" if scale is not None else f"{paper} up to 1:{SCALES[-1]}"
    raise BadInput("the sheet cannot be drawn", [Fault(f"its {size} do not fit {said}", fix, feature=name or None)])


def _windows(paper: Paper, wide_m: float, high_m: float) -> list[tuple[float, float]]:
    """The sizes of the drawing on paper, upright and across, the one like the ground first."""
    short, long = PAPERS[paper]
    more = TOP_MM + EDGE_MM + BAND_MM + FOOT_MM
    sizes = [(short - 2 * SIDE_MM, long - more), (long - 2 * SIDE_MM, short - more)]
    return sizes[::-1] if wide_m > high_m else sizes


class Ground:
    """The layers around some windows, read once for all of them, with the editions they are of."""

    def __init__(self, store: Store, scope: Scope | None = None, as_of: date | None = None) -> None:
        self._store, self._scope, self._as_of = store, scope, as_of
        self.layers: Mapping[str, Layer] = {layer.role: layer for layer in store.layers(as_of)}
        self._read: dict[str, tuple[Bounds, gpd.GeoDataFrame]] = {}

    def prepare(self, role: str, bounds: Bounds) -> None:
        """Read a layer for all of `bounds`, so that the windows inside it are cut from memory."""
        self._read[role] = (bounds, self._frame(role, bounds))

    def sheets(self, window: Window) -> list[Sheet]:
        some = DRAWN if window.scale <= SCALES[-1] else FROM_AFAR
        wanted = [role for role in some if role in self.layers]
        if window.scale <= DETAIL and "land_use" in self.layers:
            wanted.append("land_use")
        made = []
        for role in wanted:
            frame = self.frame(role, window.drawn)
            if len(frame):
                known = roles()[role]
                named = window.scale <= SCALES[-1] or role == "zones"
                label = next((name for name in (LABELS.get(role), "name") if name in frame), None) if named else None
                made.append(Sheet(role, known.zh, known.en, frame, label))
        return made

    def frame(self, role: str, bounds: Bounds) -> gpd.GeoDataFrame:
        held = self._read.get(role)
        if held is not None and shapely.box(*held[0]).covers(shapely.box(*bounds)):
            frame = held[1]
            return frame.iloc[np.sort(frame.sindex.query(shapely.box(*bounds)))]
        return self._frame(role, bounds)

    def _frame(self, role: str, bounds: Bounds) -> gpd.GeoDataFrame:
        frame = self._store.frame(role, bounds=bounds, as_of=self._as_of)
        if role == "parcels" and self._scope is not None and not self._scope.is_all:
            frame = frame[self._scope.sees(frame.geometry.to_numpy())]
        return frame

    def is_synthetic(self, sheet: Sheet) -> bool:
        told = sheet.frame.get("synthetic")
        by_row = told is not None and bool(told[told.notna()].astype(bool).any())
        return by_row or (sheet.role in self.layers and self.layers[sheet.role].synthetic)

    @property
    def crs_name(self) -> str:
        code = self._store.crs.to_epsg()
        return self._store.crs.name + (f"（EPSG:{code}）" if code else "")

    @property
    def county(self) -> str:
        return self._store.name


def sheet(subject: Subject, ground: Ground, window: Window, *, key: str, drawn_on: date) -> Page:
    """One page: title, drawing, legend, scale, stamp block. `key` names its parts within one document."""
    sheets = [*ground.sheets(window), *subject.extra]
    made = draw.plate(window, sheets, subject.ground if subject.is_numbered else None, key=key)
    wide, high = window.width_mm + 2 * SIDE_MM, window.height_mm + TOP_MM + EDGE_MM + BAND_MM + FOOT_MM
    synthetic = any(ground.is_synthetic(one) for one in made.drawn)
    below = TOP_MM + window.height_mm + EDGE_MM
    body = "".join((
        f'<rect width="{wide:g}" height="{high:g}" fill="#fff"/>',
        _head(subject, wide, synthetic, ground),
        f'<g transform="translate({SIDE_MM:g} {TOP_MM:g})">{made.body}{draw.grid(window)}</g>',
        draw.north_arrow(SIDE_MM + window.width_mm - 8, TOP_MM + 9),
        f'<g transform="translate({SIDE_MM - 7:g} {below:g})">',
        _band(subject, ground, made, window, wide - 2 * SIDE_MM + 14, key, drawn_on),
        "</g>",
    ))  # fmt: skip
    return Page(draw.svg(body, wide, high, made.defs), wide, high, subject.title)


def _head(subject: Subject, wide: float, synthetic: bool, ground: Ground) -> str:
    area = m2(float(subject.ground.area))
    perimeter = shown(float(subject.ground.length), "number")
    facts = subject.facts or f"面积 {area:,} ㎡（{mu(area):,} 亩）　周长 {perimeter} m"
    room = wide - 2 * SIDE_MM
    name = clipped(subject.name, 3.2, room - width_of(facts, 3.2) - 6)
    out = [
        draw.words(wide / 2, 16.6, f"{subject.title.zh}　{subject.title.en}", 5.2, weight="700", halo=False),
        draw.words(SIDE_MM, 25.2, name, 3.2, anchor="start", weight="700", halo=False),
        draw.words(wide - SIDE_MM, 25.2, facts, 3.2, anchor="end", halo=False),
        draw.words(SIDE_MM - 7, 9.0, ground.county, 2.6, anchor="start", color="#555", halo=False),
    ]
    notice = f"{SYNTHETIC}　内部使用" if synthetic else "内部使用 Internal use"
    out.append(draw.words(wide - SIDE_MM + 7, 9.0, notice, 2.6, anchor="end", color="#b35c00", halo=False))
    return "".join(out)


def _band(subject: Subject, ground: Ground, made: Plate, window: Window, wide: float, key: str, drawn_on: date) -> str:
    """Legend, scale and grid, stamp block, side by side under the drawing."""
    left, right = wide * 0.42, wide * 0.70
    lines = f"M{left:.2f} 0V{BAND_MM:g}M{right:.2f} 0V{BAND_MM:g}"
    return "".join((
        f'<rect width="{wide:g}" height="{BAND_MM:g}" fill="none" stroke="#111" stroke-width="0.25"/>',
        f'<path d="{lines}" stroke="#111" stroke-width="0.15"/>',
        _legend(subject, made, left, key),
        f'<g transform="translate({left:.2f} 0)">{_scale(ground, made, window, right - left)}</g>',
        f'<g transform="translate({right:.2f} 0)">{_stamp(subject, wide - right, drawn_on)}</g>',
    ))  # fmt: skip


def _legend(subject: Subject, made: Plate, wide: float, key: str) -> str:
    out = [draw.words(3, 5, "图例 Legend", 2.6, anchor="start", weight="700", halo=False)]
    own = (
        '<rect x="{x:.2f}" y="{y:.2f}" width="6" height="3" fill="#c2003d" fill-opacity="0.08" stroke="#c2003d" '
        'stroke-width="0.5"/>'
    )
    per_column = 8
    columns = min(-(-(len(made.drawn) + 1) // per_column), 2 if wide < 105 else 3)
    most = per_column * columns
    first = ["本宗地、界址点 Ground and its points"] if subject.is_numbered else []
    over = len(made.drawn) + len(first) > most
    shown_layers = made.drawn[: most - len(first) - over]
    rest = [f"另有 {len(made.drawn) - len(shown_layers)} 个图层 more layers"] if over else []
    column = (wide - 3) / columns
    texts = [*first, *(f"{one.zh} {one.en}" for one in shown_layers), *rest]
    for n, text in enumerate(texts):
        x, y = 3 + column * (n // per_column), 7.4 + 4.5 * (n % per_column)
        if n < len(first):
            out.append(own.format(x=x, y=y))
        elif n < len(first) + len(shown_layers):
            out.append(draw.swatch(shown_layers[n - len(first)], x, y, key))
        out.append(draw.words(x + 7.5, y + 2.4, clipped(text, 2.0, column - 9), 2.0, anchor="start", halo=False))
    return "".join(out)


def _scale(ground: Ground, made: Plate, window: Window, wide: float) -> str:
    step = draw.step_m(window.scale)
    editions = "、".join(
        ground.layers[one.role].label[: len(one.role) + 11] for one in made.drawn if one.role in ground.layers
    )
    said = [
        f"坐标系 {ground.crs_name}",
        f"格网间隔 {step:g} m，坐标单位 米（X 北、Y 东），上方为坐标北",
        f"数据版本 {editions}",
    ]
    out = [
        draw.words(wide / 2, 7.4, f"比例尺 Scale 1:{window.scale:,}".replace(",", " "), 3.6, weight="700", halo=False),
        draw.scale_bar(wide / 2 - 20, 13.2, window.scale),
    ]
    y = 19.0
    for text in said:
        for line in wrapped(text, 1.9, wide - 5, 5 if text.startswith("数据") else 2):
            out.append(draw.words(2.5, y, line, 1.9, anchor="start", color="#333", halo=False))
            y += 2.9
    return "".join(out)


def _stamp(subject: Subject, wide: float, drawn_on: date) -> str:
    fields = ("绘图 Drawn", "检查 Checked", "审核 Approved")
    out = []
    for n, label in enumerate(fields):
        y = 6.5 + 6.5 * n
        out.append(draw.words(2.5, y, label, 2.3, anchor="start", halo=False))
        out.append(f'<path d="M21 {y + 0.8:.2f}H{wide - 3:.2f}" stroke="#777" stroke-width="0.12"/>')
    out.append(draw.words(2.5, 26, f"打印日期 {drawn_on.isoformat()}", 2.3, anchor="start", halo=False))
    out.append(draw.words(wide - 3, 26, "（盖章）Stamp", 2.3, anchor="end", color="#888", halo=False))
    y = 31.5
    for line in [*wrapped(NOT_MEASURED, 1.9, wide - 5, 2), *wrapped(subject.note, 1.9, wide - 5, 3)]:
        out.append(draw.words(2.5, y, line, 1.9, anchor="start", color="#555", halo=False))
        y += 2.9
    return "".join(out)


def clipped(text: str, size: float, wide: float) -> str:
    """A text that fits on one line, its end left out where it does not."""
    if width_of(text, size) <= wide:
        return text
    while text and width_of(text + "…", size) > wide:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, size: float, wide: float, most: int) -> list[str]:
    """A text on at most so many lines; Chinese breaks anywhere, and so do long names."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most:
        fits = len(rest)
        while width_of(rest[:fits], size) > wide:
            fits -= 1
        if len(lines) == most - 1:
            lines.append(clipped(rest, size, wide))
            break
        gap = rest.rfind(" ", max(fits - 14, 1), fits + 1)  # a Latin word stays whole where it can
        at = gap if fits < len(rest) and gap > 0 and rest[fits - 1] < "\u2e80" else max(fits, 1)
        lines.append(rest[:at])
        rest = rest[at:].lstrip()
    return lines


def of_parcel(state: State, neighbours: Sequence[str]) -> Subject:
    """A parcel as the fabric has it."""
    name = state.attributes.get("name")
    said = f"宗地代码 {state.parcel}" + (f"　{name}" if isinstance(name, str) and name else "")
    beside = f"邻宗（代码后 10 位）{'、'.join(one[-10:] for one in neighbours)}" if neighbours else ""
    return Subject(Words("宗地图", "Parcel map"), said, state.geometry, beside)
