"""The distance and grid kernels against the land-eligibility numbers glaes published for Aachen."""

import pytest

from scripts.real import aachen

pytestmark = [pytest.mark.needs("shared"), pytest.mark.slow]

# Pixels in degrees are resampled bilinearly by glaes; ours are counted from the raster's cells.
RESAMPLED = {"CLC 12, 0.005 deg", "CLC list, 0.005 deg", "roads prior, from 400 m, 0.001 deg"}


@pytest.fixture(scope="module")
def data(shared_data):
    return shared_data / "lc_aachen_glaes"


@pytest.fixture(scope="module")
def compared(data):
    return aachen.compare(data)


def test_the_region_has_the_published_pixels(compared, data):
    region, _ = compared
    assert region.mask.shape == (509, 304)
    assert region.pixels == 70_944
    assert len(aachen.pixels_in_degrees(data, 0.001)) == 90_296


def test_the_published_shares_are_reproduced_to_the_pixel(compared):
    _, shares = compared
    exact = [one for one in shares if one.name not in RESAMPLED]
    assert len(exact) == 15
    assert [one.count for one in exact if not one.count.agrees] == []


def test_only_pixels_on_the_rim_of_a_buffer_differ(compared):
    """glaes draws a quarter circle with 30 chords, so that its buffers are a little smaller than ours."""
    _, shares = compared
    differing = {one.name: one.count for one in shares if one.count.reached != one.count.published}
    assert differing.keys() - RESAMPLED == {
        "CDDA, YEAR > 2000, 400 m",
        "roads prior to 400 m, 500 m from the region's edge",
    }
    for name in differing.keys() - RESAMPLED:
        assert 0 < differing[name].published - differing[name].reached <= differing[name].unsure <= 3


def test_resampled_pixels_come_near_and_are_not_called_reproduced(compared):
    _, shares = compared
    for one in shares:
        if one.name in RESAMPLED:
            assert one.reached == pytest.approx(one.published, abs=0.4)
            assert not one.count.agrees


def test_ground_under_two_protected_areas_counts_once(compared, data):
    region, shares = compared
    ground = {one.name: one for one in aachen.by_area(data, region)}
    for one in ground.values():
        assert one.covered == pytest.approx(one.dissolved, abs=1e-9)
        assert one.added_up < one.covered
        assert one.counted_twice > 100
    centres = next(one for one in shares if one.name == "CDDA, all")
    assert ground["CDDA"].covered == pytest.approx(centres.published, abs=0.05)
