"""Pictures: which pixels ground covers, what a tile shows at every zoom, and the PNG itself."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from rasterio.io import MemoryFile

from gis.terrain import hillshade
from gis.web_pictures import SIDE, Canvas, averaged, cut, overviews, png, sampled
from gis.web_tiles import Tile

CANVAS = Canvas(13, 6566, 3431, 1, 2)


def at(x0: float, y0: float, x1: float, y1: float) -> shapely.Geometry:
    """A box in the pixels of the canvas, rows downwards."""
    return shapely.box(
        CANVAS.west + x0 * CANVAS.pixel_m,
        CANVAS.north - y1 * CANVAS.pixel_m,
        CANVAS.west + x1 * CANVAS.pixel_m,
        CANVAS.north - y0 * CANVAS.pixel_m,
    )


def test_a_pixel_is_covered_where_its_centre_is() -> None:
    holed = at(10, 300, 20, 310).difference(at(12, 302, 14, 304))
    burnt = CANVAS.burnt(np.array([holed, at(15, 305, 30, 312), at(-50, -50, 0.6, 0.6), at(250, 500, 900, 900)]))
    hand = np.zeros((512, 256), dtype=bool)
    hand[300:310, 10:20] = True
    hand[302:304, 12:14] = False
    hand[305:312, 15:30] = True
    hand[0, 0] = True
    hand[500:, 250:] = True
    assert (burnt == hand).all()
    assert not CANVAS.burnt(np.empty(0, dtype=object)).any()


def test_overviews_are_aligned_to_their_tiles_and_cut_again() -> None:
    numbers = np.zeros((512, 256), dtype=np.uint8)
    numbers[40:60, 100:140] = 200
    levels = overviews(numbers, CANVAS, 11, sampled)
    assert {z: one.shape for z, one in levels.items()} == {
        13: (512, 256),
        12: (512, 256),
        11: (512, 256),
    }  # rows 3431 and 3432 lie in two tiles at 12 and at 11
    whole = cut(levels, CANVAS, Tile(13, 6566, 3431), smooth=False)
    assert whole is not None
    assert (whole == numbers[:256]).all()
    assert cut(levels, CANVAS, Tile(13, 6566, 3432), smooth=False) is None  # nothing drawn
    assert cut(levels, CANVAS, Tile(13, 6565, 3431), smooth=False) is None  # beside the canvas
    assert cut(levels, CANVAS, Tile(16, 0, 0), smooth=True) is None
    half = cut(levels, CANVAS, Tile(12, 3283, 1715), smooth=False)
    assert half is not None
    # row 3431 of zoom 13 is the lower half of row 1715 of zoom 12, column 6566 the left half of column 3283
    assert (half[128 + 20 : 128 + 30, 50:70] == 200).all()
    assert np.count_nonzero(half) == 200


@pytest.mark.parametrize("smooth", [False, True])
def test_closer_than_the_finest_level_the_same_ground_is_drawn_larger(smooth: bool) -> None:
    numbers = np.full((512, 256), 100, dtype=np.uint8)
    numbers[:, 128:] = 200
    levels = overviews(numbers, CANVAS, 13, averaged)
    close = cut(levels, CANVAS, Tile(14, 6566 * 2 + 1, 3431 * 2), smooth=smooth)
    assert close is not None
    assert (close[:, 8:] == 200).all()
    closer = cut(levels, CANVAS, Tile(15, 6566 * 4 + 1, 3431 * 4), smooth=smooth)
    assert closer is not None
    assert (closer[:, :240] == 100).all()
    edge = closer[0, 240:].tolist()
    assert edge == sorted(edge)
    assert (len(set(edge)) > 1) == smooth


def test_means_leave_out_what_is_not_drawn() -> None:
    assert averaged(np.array([[0, 0, 9, 11], [0, 7, 0, 0]], dtype=np.uint8)).tolist() == [[7, 10]]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_png_is_read_back_colour_by_colour() -> None:
    numbers = np.arange(SIDE * SIDE, dtype=np.uint32).reshape(SIDE, SIDE).astype(np.uint8)
    palette = np.random.default_rng(1).integers(0, 255, (256, 4), dtype=np.uint8)
    with MemoryFile(png(numbers, palette)) as memory, memory.open() as picture:
        assert (picture.read(1) == numbers).all()
        said = picture.colormap(1)
    assert [said[n] for n in range(256)] == [tuple(row) for row in palette.tolist()]


def test_ground_that_faces_the_sun_is_light_and_what_turns_away_dark() -> None:
    steps = np.arange(9, dtype=np.float32) * 10
    east, south = np.meshgrid(steps, steps)
    towards_north_west, away, flat = (hillshade(z, 10.0)[4, 4] for z in (east + south, -east - south, 0 * east))
    assert away < 0.1 < flat < towards_north_west
    assert towards_north_west == pytest.approx((2 + np.sqrt(2)) / (2 * np.sqrt(3)))
    broken = east.copy()
    broken[4, 4] = np.nan
    assert np.isnan(hillshade(broken, 10.0)[3:6, 3:6][[0, 0, 2, 2], [0, 2, 0, 2]]).all()
