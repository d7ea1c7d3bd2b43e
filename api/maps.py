"""Maps a land bureau can read: frames in, a folium map out, one HTML page that loads nothing from elsewhere.

No storage and no HTTP here. `overview`, `zone` and `check_map` build a map; `page` dresses it for a browser
under the policy `csp`, `standalone` for a file that opens without a server. What folium renders has passed
`api.escape.safe`; what stands around the map is in `templates/map.html`, which escapes by itself.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import folium
import geopandas as gpd
import jinja2
import numpy as np
import pandas as pd
import shapely
from branca.element import Figure
from folium.map import Layer
from folium.plugins import TreeLayerControl
from folium.utilities import JsCode

from api.catalogue import purpose
from api.escape import safe
from api.mapstyle import GROUPS, ORDER, PLAIN, STYLES, Style
from api.tiles import FIRST, LAST
from layers.errors import NotInstalled

Bounds = tuple[float, float, float, float]
Image = tuple[bytes, Bounds]
"""A PNG to lie under everything, its rows evenly spaced in web mercator, and its bounds in degrees."""

MOST_FEATURES = 2_000  # of one sheet: 20,000 make a page of 35 MB, so beyond it come vector tiles, or the nearest
MOST_LABELS = 40  # names that stay on the map; with more of them they show under the mouse only
DISPLAY_DEG = 2e-5  # simplified by about 2 m for display, and only for display
ACROSS = 3_000  # a map of the whole county is simplified to as many steps across: finer nobody could see
DEG_M = 111_000  # a degree of latitude
CHINA = (73.0, 18.0, 135.0, 54.0)  # shown where nothing is loaded

STATIC = Path(__file__).parent / "static"
CSS = (
    "vendor/leaflet/dist/leaflet.css",
    "vendor/leaflet.control.layers.tree/L.Control.Layers.Tree.css",
    "vendor/leaflet.fullscreen/Control.FullScreen.css",
    "vendor/leaflet-mouse-position/src/L.Control.MousePosition.css",
    "map.css",
)
JS = (
    "vendor/leaflet/dist/leaflet.js",
    "vendor/jquery/dist/jquery.min.js",
    "vendor/leaflet.control.layers.tree/L.Control.Layers.Tree.js",
    "vendor/leaflet.fullscreen/Control.FullScreen.js",
    "vendor/leaflet-mouse-position/src/L.Control.MousePosition.js",
    "map.js",
)
TILED_JS = ("vendor/protomaps-leaflet/dist/protomaps-leaflet.js", "tiled.js")  # where a sheet comes as vector tiles

# --- words of the contract, as an officer reads them ----------------------------------------------

STATUSES = {
    "fail": ("不符合", "fails"),
    "unknown": ("无法判定", "unknown"),
    "pass": ("符合", "passes"),
    "exempt": ("不适用", "exempt"),
}
SEVERITIES = {"block": "禁止 block", "condition": "条件 condition", "warn": "提示 warning"}
UNITS = {"m2": "m²", "m3d": "m³/d", "deg": "°", "share": "", "td": "t/d", "kva": "kVA", "wan": "万元"}


def text(value: object, unit: str = "") -> str:
    """A number or cell as a person reads it, not yet escaped: missing is a dash, never `nan`.

    >>> [text(v) for v in (None, float("nan"), float("inf"), True, 2030.0, 51391.378, "木黄")]
    ['—', '—', '∞', '是 yes', '2030', '51,391.38', '木黄']
    >>> text(-188.0, "m"), text(2480.5, "m2")
    ('−188 m', '2480.5 m²')
    """
    if value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(cast(Any, value)))):
        return "—"
    if isinstance(value, (bool, np.bool_)):
        return "是 yes" if value else "否 no"
    shown = str(value)
    if isinstance(value, (float, np.floating)):
        shown = format(float(value), ",.2f" if abs(float(value)) >= 10_000 else ".2f")
        shown = shown.rstrip("0").rstrip(".").replace("inf", "∞").replace("-", "−")
    return f"{shown} {UNITS.get(unit, unit)}".rstrip()


# --- frames to layers -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """One layer as it goes onto a map.

    frame : (F,) GeoDataFrame in lon/lat; a true `synthetic` in any row puts the notice on the page
    fields : (column, label) in the order of the popup; the first one names the feature
    tiled : the service has vector tiles of the role as it is drawn here, for a page that the service serves
    """

    role: str
    zh: str
    en: str
    frame: gpd.GeoDataFrame
    fields: tuple[tuple[str, str], ...] = ()
    shown: bool = True
    tiled: bool = False

    @property
    def style(self) -> Style:
        return STYLES.get(self.role, PLAIN)

    @property
    def synthetic(self) -> bool:
        told = self.frame.get("synthetic")
        return told is not None and bool(told[told.notna()].astype(bool).any())


class Chart(folium.Map):
    """A folium map with what belongs around it; its links to other machines are gone, `page` has our own."""

    default_js: list[tuple[str, str]] = []  # noqa: RUF012 (folium's own declaration)
    default_css: list[tuple[str, str]] = []  # noqa: RUF012
    title: str
    notice: str
    detail_m: int
    sheets: Sequence[Sheet]
    check: Mapping[str, Any] | None
    plan: Mapping[str, Any] | None = None
    has_tiles: bool = False


class Tiled(Layer):
    """A sheet of too many features for a page: vector tiles of this service, painted by `static/tiled.js`."""

    _template = jinja2.Template(
        "{% macro script(this, kwargs) %}var {{ this.get_name() }} = tiledSheet({{ this.told }});{% endmacro %}"
    )

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(name=safe(sheet.zh), overlay=True, control=False, show=sheet.shown)
        self._name = "Tiled"
        paint = {**sheet.style.paint(sheet.role), "shape": sheet.style.shape, "hatch": sheet.style.hatch}
        fields = [["", "图层 Layer"], *([column, safe(label)] for column, label in sheet.fields)]
        said = {"role": sheet.role, "layer": safe(f"{sheet.zh} {sheet.en}"), "paint": paint, "fields": fields}
        self.told = json.dumps({**said, "first": FIRST, "last": LAST}, ensure_ascii=False)


def nearest(frame: gpd.GeoDataFrame, focus: shapely.Geometry, most: int = MOST_FEATURES) -> gpd.GeoDataFrame:
    """The `most` features nearest to the focus, in their old order (degrees will do to choose by)."""
    if len(frame) <= most:
        return frame
    order = np.argsort(shapely.distance(frame.geometry.values, focus), kind="stable")
    return frame.iloc[np.sort(order[:most])]


def _drawable(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Features that have a shape; collections come apart, because popups do not reach into them."""
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())]
    mixed = frame.geom_type == "GeometryCollection"
    return pd.concat([frame[~mixed], frame[mixed].explode()]) if mixed.any() else frame


def _collection(sheet: Sheet, frame: gpd.GeoDataFrame, detail_deg: float) -> dict[str, Any]:
    """GeoJSON with keys of ours (f0, f1, ...) and escaped values: the browser makes HTML of both."""
    shapes = shapely.force_2d(frame.geometry.values)
    if sheet.style.group != "check":  # the ground that was judged is drawn as it was judged
        shapes = shapely.simplify(shapes, detail_deg)
    shapes = shapely.transform(shapes, lambda xy: np.round(xy, 6))  # 0.1 m
    columns = [[safe(text(value)) for value in frame[column]] for column, _ in sheet.fields]
    layer = safe(f"{sheet.zh} {sheet.en}")
    features = [
        {
            "type": "Feature",
            "id": str(row),
            "geometry": json.loads(shape),
            "properties": {"layer": layer} | {f"f{i}": cells[row] for i, cells in enumerate(columns)},
        }
        for row, shape in enumerate(shapely.to_geojson(shapes))
    ]
    return {"type": "FeatureCollection", "features": features}


def _layer(sheet: Sheet, frame: gpd.GeoDataFrame, detail_deg: float) -> folium.GeoJson:
    paint = sheet.style.paint(sheet.role)
    bare = {**paint, "fill": False}  # Leaflet would fill the hull of a line
    named = sheet.style.label and bool(sheet.fields)
    tip = {
        "permanent": len(frame) <= MOST_LABELS,
        "direction": "right" if sheet.style.shape == "point" else "center",
        "className": f"name name-{sheet.role}",
    }
    layer = folium.GeoJson(
        _collection(sheet, frame, detail_deg),
        name=safe(sheet.zh),
        style_function=lambda feature: bare if "LineString" in feature["geometry"]["type"] else paint,
        marker=folium.CircleMarker(radius=6),
        # bound one by one, because Leaflet opens a group's tooltip at one feature only
        on_each_feature=JsCode(f"(feature, shape) => shape.bindTooltip(feature.properties.f0, {json.dumps(tip)})")
        if named
        else None,
        show=sheet.shown,
        control=False,
    )
    keys = ["layer", *(f"f{i}" for i in range(len(sheet.fields)))]
    labels = ["图层 Layer", *(safe(label) for _, label in sheet.fields)]
    layer.add_child(folium.GeoJsonPopup(keys, aliases=labels, localize=False, class_name="facts"))
    return layer


# --- the maps -------------------------------------------------------------------------------------


def overview(
    title: str,
    sheets: Sequence[Sheet],
    *,
    focus: gpd.GeoDataFrame | None = None,
    notice: str | None = None,
    image: Image | None = None,
    check: Mapping[str, Any] | None = None,
) -> Chart:
    """The sheets on a plain ground, all of them in view, or the ground around `focus` (lon/lat)."""
    bounds = _bounds([sheet.frame for sheet in sheets] if focus is None else [focus])
    centre = shapely.box(*bounds).centroid
    aim = centre if focus is None else shapely.box(*bounds)
    west, south, east, north = bounds if focus is None else aim.buffer(0.3 * math.dist(bounds[:2], bounds[2:])).bounds
    chart = Chart((centre.y, centre.x), tiles=None, zoom_control=False, zoom_snap=0.1)
    chart.title, chart.sheets, chart.check = title, sheets, check
    chart.notice = notice or "内部使用 Internal use"
    detail_deg = max(DISPLAY_DEG, max(east - west, north - south) / ACROSS)
    chart.detail_m = round(detail_deg * DEG_M)
    if image is not None:
        png, (left, bottom, right, top) = image
        url = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
        lies = [[bottom, left], [top, right]]
        folium.raster_layers.ImageOverlay(url, lies, opacity=0.6, pane="tilePane").add_to(chart)

    legend: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    layers: list[Layer] = []
    for sheet in sorted(sheets, key=lambda sheet: ORDER.get(sheet.role, -1)):
        whole = _drawable(sheet.frame)
        is_tiled = sheet.tiled and len(whole) > MOST_FEATURES
        frame = whole if is_tiled else nearest(whole, aim)
        count = f"<small>{len(whole):,}</small>"
        if len(frame) < len(whole):
            count = f'<small class="partial">仅显示邻近部分<br>{len(frame):,} of {len(whole):,} shown</small>'
        name = f'<span>{safe(sheet.zh)} <span class="en">{safe(sheet.en)}</span></span>{count}'
        row: dict[str, Any] = {"label": sheet.style.swatch(sheet.role) + name}
        if len(frame):
            layer = Tiled(sheet) if is_tiled else _layer(sheet, frame, detail_deg)
            chart.has_tiles |= is_tiled
            chart.add_child(layer)
            layers.append(layer)
            row["layer"] = layer
        else:
            row["label"] = '<input type="checkbox" disabled>' + row["label"]
        legend[sheet.style.group].insert(0, row)  # what is drawn on top stands on top
    chart.keep_in_front(*layers)  # a layer switched on again returns to its place, not to the top
    groups = [{"label": GROUPS[group], "children": rows} for group, rows in legend.items() if rows]
    tree = TreeLayerControl(overlay_tree=groups, closed_symbol="▸", opened_symbol="▾", collapsed=False)
    tree.default_js = tree.default_css = []
    tree.add_to(chart)
    chart.fit_bounds([[south, west], [north, east]], padding=(24, 24), max_zoom=17)
    return chart


def zone(
    title: str,
    zone_frame: gpd.GeoDataFrame,
    sheets: Sequence[Sheet],
    *,
    fields: tuple[tuple[str, str], ...] = (("name", "名称 Name"),),
    notice: str | None = None,
    image: Image | None = None,
) -> Chart:
    """One park zone with what lies around it."""
    own = Sheet("zones", "本园区片区", "This zone", zone_frame, fields)
    return overview(title, [*sheets, own], focus=zone_frame, notice=notice, image=image)


def check_map(
    check: Mapping[str, Any],
    sheets: Sequence[Sheet],
    *,
    notice: str | None = None,
    image: Image | None = None,
) -> Chart:
    """One siting check (the contract's Check): the site, its evidence by status, the findings beside it."""
    findings = [{**row, "number": n} for n, row in enumerate(sorted(check["findings"], key=_urgency), start=1)]
    named = [str(part["parcel"]) for part in check["site"].get("parts") or () if part.get("parcel")]
    parcels = "、".join(named) or "未登记地块 unregistered ground"
    site = _frame([{**check["site"], "parcels": parcels}], "geometry")
    fields: tuple[tuple[str, str], ...] = (("parcels", "宗地 Parcels"), ("area_mu", "面积（亩） Area, mu"))
    own = [Sheet("site", "选址范围", "Site", site, fields)]
    fields = (("number", "序号 No."), ("zh", "结论 Finding"), ("basis", "依据 Basis"), ("rule", "规则 Rule"))
    for status, (zh, en) in STATUSES.items():
        rows = [row for row in findings if row["status"] == status and row.get("evidence")]
        if rows:
            drawn = _frame([{**row, "zh": row["message"]["zh"]} for row in rows], "evidence")
            shown = status in ("fail", "unknown")
            own.append(Sheet(f"evidence_{status}", f"依据：{zh}", f"Evidence: {en}", drawn, fields, shown))
    project = check.get("project") or {}
    title = f"{project.get('name') or project.get('id') or ''} 选址审查 Siting check"
    told = {**check, "parcels": parcels, "findings": findings}
    return overview(title, [*sheets, *own], focus=site, notice=notice, image=image, check=told)


def _urgency(finding: Mapping[str, Any]) -> tuple[int, int]:
    """Fails before unknowns before the rest; within each, what blocks before what warns."""
    return list(STATUSES).index(finding["status"]), list(SEVERITIES).index(finding["severity"])


def _frame(rows: Sequence[Mapping[str, Any]], geometry: str) -> gpd.GeoDataFrame:
    shapes = shapely.from_geojson([json.dumps(row[geometry]) for row in rows])
    return gpd.GeoDataFrame([dict(row) for row in rows]).set_geometry(shapes, crs=4326)


def _bounds(frames: Iterable[gpd.GeoDataFrame]) -> Bounds:
    boxes = np.array([frame.total_bounds for frame in frames]).reshape(-1, 4)
    boxes = boxes[np.isfinite(boxes).all(axis=1)]
    if len(boxes) == 0:
        return CHINA
    (west, south), (east, north) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    return west, south, east, north


# --- the page -------------------------------------------------------------------------------------


def csp(nonce: str) -> str:
    """The Content-Security-Policy under which `page(chart, nonce=nonce)` works: our own files alone."""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )


def page(chart: Chart, *, static: str = "/static", nonce: str | None = None) -> str:
    """The map as an HTML page; vendored parts come from `{static}/vendor`, our own from `{static}`."""
    return _compose(chart, static=static, nonce=nonce, styles=(), scripts=())


def standalone(chart: Chart, *, folder: Path = STATIC) -> str:
    """The same page with every part inside it: it opens from a memory stick, without a server.

    NotInstalled where the browser parts were never fetched; ValueError for a map that needs a service's tiles.
    """
    if chart.has_tiles:
        raise ValueError("a map with tiles of the service cannot stand alone: draw it from sheets that are not tiled")
    lacking = [path for path in (*CSS, *JS) if not (folder / path).is_file()]
    if lacking:
        said = (
            "the browser parts are not there, so that no map can be written: run ./scripts/demo once, it fetches them"
        )
        raise NotInstalled(said, what="browser-parts")
    styles = [_inlined(folder / path) for path in CSS]
    scripts = [(folder / path).read_text("utf-8").replace("</script", r"<\/script") for path in JS]
    return _compose(chart, static=None, nonce=None, styles=styles, scripts=scripts)


def _inlined(stylesheet: Path) -> str:
    """A stylesheet with the pictures it names inside it."""

    def picture(found: re.Match[str]) -> str:
        file = stylesheet.parent / found[1]
        kind = {".svg": "svg+xml"}.get(file.suffix, file.suffix[1:])
        return f"url(data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')})"

    return re.sub(r"url\([\"']?(?!data:|#)([^\"')]+)[\"']?\)", picture, stylesheet.read_text("utf-8"))


def _compose(chart: Chart, **parts: Any) -> str:
    """folium's script in a page of our own, so that none of folium's inline styles and links come along."""
    figure = cast(Figure, chart.get_root())
    chart.render()  # type: ignore[no-untyped-call]
    drawn = {sheet.role for sheet in chart.sheets}
    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["text"] = text
    pages.filters["extent"] = _extent
    return pages.get_template("map.html").render(
        chart=chart,
        synthetic=any(sheet.synthetic for sheet in chart.sheets),
        hatched={role: style for role, style in STYLES.items() if style.hatch and role in drawn},
        script=figure.script.render(),
        statuses=STATUSES,
        severities=SEVERITIES,
        purpose=lambda name: f"{purpose(name)} {purpose(name, 'en')}",
        css=CSS,
        js=(*JS, *TILED_JS) if chart.has_tiles else JS,
        **parts,
    )


def _extent(evidence: Mapping[str, Any]) -> str:
    """Where a click on a finding goes."""
    return ",".join(f"{edge:.6f}" for edge in shapely.bounds(shapely.from_geojson(json.dumps(evidence))))
