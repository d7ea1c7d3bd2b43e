"""Pictures of the whole county as PNG tiles: the relief, the slope and what the rulebook says of the bare ground.

Each is drawn once from its layers into a grid in web mercator with overviews, kept beside the snapshots; a tile is then
a slice of it. A new version of a layer, or of the rulebook, draws it anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from threading import Lock
from typing import Any, Literal

import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject

from api.relief import grey
from api.tiles import FIRST, LAST, MERCATOR, Built
from gis.rules import Rulebook
from gis.suitability import Covered, Overlay, Suitability, overlays, slope_classes, slope_rules
from gis.terrain import hillshade, slope_deg
from gis.web_pictures import SIDE, Canvas, Numbers, averaged, cut, overviews, png, sampled
from gis.web_tiles import HALF_M, Tile
from layers.crs import between, parse_cached, to_lonlat, transform
from layers.errors import UnknownName
from layers.records import Bools, Bounds, Geoms, Raster
from layers.store import Store
from layers.tile_shelf import TileShelf

Name = Literal["hillshade", "slope", "suitability"]
FORMAT = "1"  # of what is drawn: pictures of another are drawn again
ROWS = 1024  # of the elevation model at a time
SLOPE_STEP_DEG = 0.25  # of a colour number of the slope

# 坡度分级 of the national land survey (TD/T 1055-2019): <=2, 2-6, 6-15, 15-25, >25 degrees
SLOPE_LEGEND = (
    (2.0, "#2c7bb6", "≤2°（1级）", "≤ 2°"),
    (6.0, "#abd9e9", "2°–6°（2级）", "2–6°"),
    (15.0, "#ffffbf", "6°–15°（3级）", "6–15°"),
    (25.0, "#fdae61", "15°–25°（4级）", "15–25°"),
    (np.inf, "#d7191c", ">25°（5级）", "> 25°"),
)
SUITABILITY_LEGEND: dict[Suitability, tuple[str, str, str]] = {
    Suitability.CLEAR: ("#1a9850", "无限制", "Clear"),
    Suitability.WARNED: ("#91cf60", "有提示", "Warned"),
    Suitability.CONDITIONAL: ("#fee08b", "有条件", "Conditional"),
    Suitability.UNDETERMINED: ("#969696", "数据不足或条款待核", "Undetermined: no data, or a rule to be confirmed"),
    Suitability.OUTSIDE: ("#c994c7", "仅因不在规划边界内", "Blocked only for lying outside a planned boundary"),
    Suitability.BLOCKED: ("#d73027", "禁止", "Blocked"),
}
TITLES: dict[Name, tuple[str, str]] = {
    "hillshade": ("地形晕渲", "Hillshade"),
    "slope": ("坡度", "Slope"),
    "suitability": ("用地适宜性（系统初筛，非审查结论）", "Suitability of the bare ground (a first sieve, no verdict)"),
}


@dataclass(frozen=True)
class Picture:
    """A picture ready to be sliced."""

    levels: dict[int, Numbers]
    canvas: Canvas
    palette: NDArray[np.uint8]
    smooth: bool

    def tile(self, tile: Tile) -> bytes:
        """A PNG; no bytes where nothing is drawn."""
        numbers = cut(self.levels, self.canvas, tile, smooth=self.smooth)
        return b"" if numbers is None else png(numbers, self.palette)


class Pictures:
    """The pictures of one store under its rulebook."""

    def __init__(self, store: Store, book: Callable[[], Rulebook]) -> None:
        self._store, self._book = store, book
        cache = getattr(store, "cache", None)
        self._shelf = None if cache is None else TileShelf(cache)
        self._open: dict[Name, tuple[str, Picture]] = {}
        self._drawing = Lock()

    def key(self, name: Name) -> str:
        """Names all that a picture is drawn from. UnknownName where the county has no elevation model."""
        known = {layer.role: layer for layer in self._store.layers()}
        if "dem" not in known:
            raise UnknownName(f"there is no {name} without an elevation model; import one as role dem", role="dem")
        said = [FORMAT, name, known["dem"].label]
        if name == "suitability":
            day = date.today()  # noqa: DTZ011  rules begin and end on days of the county's calendar
            book = self._book()
            asked = overlays(book, day)
            said += [f"{one.rule.id} {one.rule.is_confirmed}" for one in asked]
            said += [f"{rule.id} {rule.is_confirmed}" for rule in slope_rules(book, day)]
            said += [
                book.digest,
                *(known[role].label for role in sorted({one.fact.role for one in asked}) if role in known),
            ]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()[:24]

    def tile(self, name: Name, key: str, tile: Tile) -> bytes:
        """One tile as PNG; no bytes where nothing is drawn."""
        return self.picture(name, key).tile(tile)

    def build(self, name: Name) -> Built:
        """Draw and keep a picture, unless it is there."""
        key = self.key(name)
        is_there = self._shelf is not None and self._shelf.arrays(name, key) is not None
        picture = self.picture(name, key)
        count = sum(numbers.size // SIDE**2 for numbers in picture.levels.values())
        size = 0 if is_there else sum(numbers.size for numbers in picture.levels.values())
        return Built(count, size, size, 0)

    def picture(self, name: Name, key: str) -> Picture:
        """A picture from memory, from the cache folder, or drawn now."""
        known = self._open.get(name)
        if known is None or known[0] != key:
            with self._drawing:  # who comes second finds it done
                known = self._open.get(name)
                if known is None or known[0] != key:
                    self._open[name] = known = key, self._kept(name, key)
        return known[1]

    def _kept(self, name: Name, key: str) -> Picture:
        found = None if self._shelf is None else self._shelf.arrays(name, key)
        if found is None:
            levels, canvas = self._drawn(name)
            place = np.array([canvas.z, canvas.x, canvas.y, canvas.tiles_across, canvas.tiles_down])
            found = {"place": place, **{f"z{z}": numbers for z, numbers in levels.items()}}
            if self._shelf is not None:
                self._shelf.keep_arrays(name, key, found)
                found = self._shelf.arrays(name, key) or found
        canvas = Canvas(*map(int, found["place"]))
        levels = {int(one[1:]): numbers for one, numbers in found.items() if one != "place"}
        return Picture(levels, canvas, PALETTES[name], name != "suitability")

    def _drawn(self, name: Name) -> tuple[dict[int, Numbers], Canvas]:
        world = self._store.at()
        elevation = world.raster("dem")
        if elevation is None:
            raise UnknownName("the elevation model cannot be read", role="dem")
        canvas = self._canvas(elevation)
        if name == "suitability":
            return overviews(self._suitable(elevation, canvas), canvas, FIRST, sampled), canvas
        measure = _shades if name == "hillshade" else _slopes
        return overviews(self._warped(elevation, measure, canvas), canvas, FIRST, averaged), canvas

    def _canvas(self, elevation: Raster) -> Canvas:
        """The finest zoom whose pixels are not much smaller than the cells of the model."""
        west, south, east, north = between(self._store.crs, parse_cached(MERCATOR)).transform_bounds(*_box(elevation))
        stretch = (east - west) / (elevation.values.shape[1] * elevation.cell_m)
        pixel_m = 0.9 * elevation.cell_m * stretch
        z = int(np.clip(np.floor(np.log2(2 * HALF_M / 256 / pixel_m)), FIRST, LAST))
        return Canvas.over((west, south, east, north), z)

    def _warped(
        self, elevation: Raster, measure: Callable[[NDArray[np.float32], float], Numbers], canvas: Canvas
    ) -> Numbers:
        """What is measured of an elevation model, as colour numbers on the canvas."""
        rows = len(elevation.values)
        numbers = np.zeros(elevation.values.shape, dtype=np.uint8)
        for start in range(0, rows, ROWS):  # a county's worth of floats at once would fill the memory
            above, below = max(start - 1, 0), min(start + ROWS + 1, rows)
            part = measure(np.asarray(elevation.values[above:below]), elevation.cell_m)
            numbers[start : start + ROWS] = part[start - above :][:ROWS]
        out = np.zeros((canvas.rows, canvas.columns), dtype=np.uint8)
        reproject(
            numbers,
            out,
            src_transform=rasterio.Affine(elevation.cell_m, 0, elevation.west, 0, -elevation.cell_m, elevation.north),
            src_crs=self._store.crs.to_wkt(),
            dst_transform=rasterio.Affine(canvas.pixel_m, 0, canvas.west, 0, -canvas.pixel_m, canvas.north),
            dst_crs=MERCATOR,
            src_nodata=0,
            dst_nodata=0,
            resampling=Resampling.bilinear,
            num_threads=2,
        )
        return out

    def _suitable(self, elevation: Raster, canvas: Canvas) -> Numbers:
        """The worst that the rules of the ground say of every pixel; nothing where nothing was surveyed."""
        book, day = self._book(), date.today()  # noqa: DTZ011
        slopes = self._warped(elevation, _slopes, canvas)
        steps = np.arange(256) - 1.0
        worst = slope_classes(slope_rules(book, day), np.where(steps < 0, np.nan, steps * SLOPE_STEP_DEG))[slopes]
        by_ground: dict[Any, list[Overlay]] = {}
        for one in overlays(book, day):
            by_ground.setdefault(one.key, []).append(one)
        loaded = {layer.role for layer in self._store.layers()}
        surveyed: dict[bytes, Bools] = {}  # most layers were surveyed over the same ground
        anywhere = np.zeros(worst.shape, dtype=bool)
        for same in by_ground.values():
            role = same[0].fact.role
            if role in loaded:
                features, shapes, extent = self._ground(role)
                where = surveyed.setdefault(shapely.to_wkb(extent), canvas.burnt(np.array([extent], dtype=object)))
                anywhere |= where
                covered = same[0].covered(features, shapes, where, canvas)
            else:
                covered = np.full(worst.shape, Covered.UNKNOWN, dtype=np.uint8)
            for one in same:
                np.maximum(worst, one.classes()[covered], out=worst)
        worst[(slopes == 0) | ~anywhere] = 0
        return worst

    def _ground(self, role: str) -> tuple[pd.DataFrame, Geoms, shapely.Geometry]:
        """The attributes of a layer's features, their ground and the surveyed extent in web mercator."""
        layer, mercator = self._store.standing(role), parse_cached(MERCATOR)
        features, ground = self._store.whole(layer)
        extent = transform(np.array([layer.extent], dtype=object), self._store.crs, mercator)[0]
        return features, transform(ground, self._store.crs, mercator), extent

    def described(self, name: Name) -> dict[str, Any]:
        """TileJSON 3.0 of a picture, with its legend."""
        world = self._store.at()
        elevation = world.raster("dem")
        if elevation is None:
            raise UnknownName(f"there is no {name} without an elevation model; import one as role dem", role="dem")
        canvas = self._canvas(elevation)
        zh, en = TITLES[name]
        bounds = to_lonlat(self._store.crs).transform_bounds(*_box(elevation))
        return {
            "tilejson": "3.0.0",
            "tiles": [f"/tiles/{name}/{{z}}/{{x}}/{{y}}.png"],
            "name": name,
            "title": {"zh": zh, "en": en},
            "description": f"{zh} {en}",
            "attribution": elevation.layer.source,
            "version": "1.0.0",
            "bounds": [round(edge, 6) for edge in bounds],
            "minzoom": FIRST,
            "maxzoom": LAST,
            "native_zoom": canvas.z,
            "tile_size": 256,
            "cell_m": elevation.cell_m,
            "synthetic": elevation.layer.synthetic,
            "legend": self._legend(name),
        }

    def _legend(self, name: Name) -> list[dict[str, Any]]:
        if name == "hillshade":
            said = "光源西北，高度角45°，Horn 算法"
            return [{"colour": "#b4b4b4", "zh": said, "en": "Light from the north-west, 45° high; Horn's gradient"}]
        if name == "slope":
            return [
                {
                    "colour": colour,
                    "to_deg": None if np.isinf(top) else top,
                    "zh": zh,
                    "en": en,
                    "basis": "TD/T 1055-2019",
                }
                for top, colour, zh, en in SLOPE_LEGEND
            ]
        book, day = self._book(), date.today()  # noqa: DTZ011
        by_class: dict[int, list[dict[str, str]]] = {one: [] for one in Suitability}
        for overlay in overlays(book, day):
            worst = int(overlay.classes()[:2].max())
            by_class[worst].append(
                {"rule": overlay.rule.id, "zh": overlay.rule.zh, "en": overlay.rule.en, "layer": overlay.fact.role}
            )
        for rule in slope_rules(book, day):
            worst = int(slope_classes([rule], np.array([90.0]))[0])
            by_class[worst].append(
                {
                    "rule": rule.id,
                    "zh": f"{rule.zh} > {rule.limit:g}°",
                    "en": f"{rule.en} > {rule.limit:g}°",
                    "layer": "dem",
                }
            )
        return [
            {"class": one.name.lower(), "colour": colour, "zh": zh, "en": en, "rules": by_class[one]}
            for one, (colour, zh, en) in SUITABILITY_LEGEND.items()
        ]


def _box(grid: Raster) -> Bounds:
    rows, columns = grid.values.shape
    return grid.west, grid.north - rows * grid.cell_m, grid.west + columns * grid.cell_m, grid.north


def _shades(elevation_m: NDArray[np.float32], cell_m: float) -> Numbers:
    return grey(hillshade(elevation_m, cell_m))


def _slopes(elevation_m: NDArray[np.float32], cell_m: float) -> Numbers:
    """Slopes as colour numbers: 1 is level, each further one SLOPE_STEP_DEG more; 0 where it is not known."""
    slope = slope_deg(elevation_m, cell_m)
    numbers: Numbers = np.nan_to_num(np.minimum(slope / SLOPE_STEP_DEG, 253) + 1.5, nan=0.0).astype(np.uint8)
    return numbers


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _palettes() -> dict[str, NDArray[np.uint8]]:
    grey_scale = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    grey_scale[:, 3] = 255
    steps_deg = (np.arange(256) - 1) * SLOPE_STEP_DEG
    tops = np.array([top for top, *_ in SLOPE_LEGEND])
    colours = np.array([(*_rgb(colour), 255) for _, colour, *_ in SLOPE_LEGEND], dtype=np.uint8)
    slopes = colours[np.searchsorted(tops, steps_deg)]
    classes = np.array(
        [(0, 0, 0, 0), *((*_rgb(colour), 255) for colour, *_ in SUITABILITY_LEGEND.values())], dtype=np.uint8
    )
    for one in (grey_scale, slopes):
        one[0] = 0
    return {"hillshade": grey_scale, "slope": slopes, "suitability": classes}


PALETTES = _palettes()
