import numpy as np
import pytest
from pyproj import CRS
from rasterio.io import MemoryFile

from api.relief import relief
from tests.worlds import grid


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_relief_is_a_small_picture_of_the_ground_and_clear_where_nothing_is_known():
    x, y = np.meshgrid(np.arange(120), np.arange(80))
    heights = (300 * np.sin(x / 9) + 200 * np.cos(y / 7)).astype(np.float32)
    heights[:20, :20] = np.nan
    model = grid(heights, west=560_000, north=3_105_000, cell_m=50.0)
    png, (west, south, east, north) = relief(model, CRS(4545))
    with MemoryFile(png) as memory, memory.open() as picture:
        shade = picture.read(1)
    assert 108.5 < west < east < 108.75
    assert 27.9 < south < north < 28.1
    assert (shade[5:12, 5:12] == 0).all()
    middle = shade[shade.shape[0] // 2 :, shade.shape[1] // 2 :]
    assert middle[middle > 0].std() > 10
    assert relief(model, CRS(4545))[0] is png
