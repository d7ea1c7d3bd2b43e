"""The overlay kernel against areas that QGIS and geopandas published."""

import numpy as np
import pytest

from scripts.real import overlay

pytestmark = [pytest.mark.needs("shared"), pytest.mark.slow]


@pytest.fixture(scope="module")
def data(shared_data):
    return shared_data / "oracle_overlay_geopandas"


@pytest.fixture(scope="module")
def found(data):
    return {one.name: one for one in overlay.compare(data)}


def test_every_published_area_is_reproduced_to_rounding(found):
    assert {name: one.largest_error for name, one in found.items() if not one.agrees} == {}
    assert {name: len(one.published) for name, one in found.items()} == {
        "QGIS intersection, boroughs as sites": 15,
        "QGIS intersection, circles as sites": 15,
        "QGIS difference, boroughs": 5,
        "QGIS symmetric difference, circles": 11,
        "overlap intersection": 2,
        "overlap difference": 2,
        "polys intersection": 3,
        "polys difference": 2,
        "polys difference, inverse": 2,
    }


def test_a_circle_wholly_inside_a_borough_leaves_nothing(found):
    circles = found["QGIS symmetric difference, circles"]
    assert circles.published["1094680",] == 0.0
    assert circles.reached["1094680",] == 0.0


def test_totals_of_the_boroughs_agree(found):
    shared = found["QGIS intersection, boroughs as sites"]
    left = found["QGIS difference, boroughs"]
    whole = sum(left.of.values())
    assert sum(shared.reached.values()) + sum(left.published.values()) == pytest.approx(whole, rel=1e-12)


def test_pairs_that_are_not_the_same_never_agree():
    assert overlay.Areas("x", {("a",): 1.0}, {("b",): 1.0}).largest_error == np.inf


def test_us_feet_come_out_of_the_import_as_metres(data):
    through = overlay.imported(data)
    assert (through.loaded, through.rejected) == (5, 0)
    assert through.area_error < 1e-12
    # Offsets of 300 km are added in another unit: the last digits of every vertex change, and small overlaps most.
    assert through.overlap_error < 1e-10
