"""Work spread over the cores says what it says on one."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import CRS

from layers.area import ellipsoid_m2
from layers.cores import BLOCK, blockwise
from layers.crs import between, transform
from layers.snapshot import _unmatched

COUNT = 2 * BLOCK + 7
EAST, NORTH = np.meshgrid(5.5e5 + np.arange(200) * 10.0, 3.0e6 + np.arange(-(-COUNT // 200)) * 10.0)
CELLS = shapely.box(EAST, NORTH, EAST + 10, NORTH + 10 + EAST / 1e6).ravel()[:COUNT]


def test_blocks_come_back_in_order_and_each_row_once():
    rows = np.arange(COUNT)
    assert (np.concatenate(blockwise(lambda one, other: one + other, rows, rows)) == 2 * rows).all()
    assert blockwise(len, np.arange(0)) == []


def test_a_fault_in_a_block_is_the_fault_of_the_whole():
    with pytest.raises(ZeroDivisionError):
        blockwise(lambda rows: 1 // int(rows[0] < BLOCK), np.arange(COUNT))


def test_a_layer_of_several_blocks_moves_and_is_measured_as_its_features_are():
    source, target = CRS(4545), CRS(4490)
    at_once = shapely.transform(CELLS, between(source, target).transform, interleaved=False)
    assert shapely.equals_exact(transform(CELLS, source, target), at_once).all()
    some = [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, COUNT - 1]
    one_by_one = [ellipsoid_m2(CELLS[row], source) for row in some]
    assert ellipsoid_m2(CELLS, source)[some] == pytest.approx(one_by_one, rel=1e-9)


def test_borders_match_across_blocks():
    cells = shapely.box(EAST, NORTH, EAST + 10, NORTH + 10).ravel()[: len(EAST) // 2 * 400]
    inner = ~_unmatched(cells).reshape(-1, 200)[1:-1, 1:-1]
    assert inner.mean() > 0.98
