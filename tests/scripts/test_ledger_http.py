"""The books over HTTP under load, in short; `python -m scripts.bench.ledger_http` is the long form."""

import contextlib
import tempfile
from pathlib import Path

import pytest

from scripts.bench.ledger_http import (
    SMALL_MB,
    attack,
    filling,
    found_county,
    killing,
    server_on,
    small_disk,
    terminating,
)
from tests.stores import Stores

pytestmark = pytest.mark.slow


@pytest.fixture
def county(stores: Stores, tmp_path) -> str:
    return found_county(stores.fresh() if stores.kind == "postgis" else tmp_path / "county.gpkg")


def test_many_clients_are_never_promised_too_much_and_a_key_counts_once(county):
    found = attack(county, operations=320, processes=2, count=8)
    assert found.faults == []
    assert found.done == 320
    assert {"ground-taken", "illegal-transition", "stale"} <= found.refusals.keys()


def test_a_server_killed_under_load_keeps_what_it_answered_and_nothing_by_halves(county):
    found = attack(county, operations=320, processes=2, count=8, trouble=killing(5))
    assert found.faults == []
    assert found.troubles == 5
    assert found.done >= 320


def test_who_hangs_up_in_the_middle_of_a_request_finds_it_done_once_or_not_at_all(county, stores):
    trouble = terminating(county, 5) if stores.kind == "postgis" else None
    found = attack(county, operations=320, processes=2, count=8, trouble=trouble, drops=0.1)
    assert found.faults == []
    assert found.done >= 320


def test_a_full_disk_is_said_and_forgotten_when_there_is_room_again(stores):
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-", dir="/tmp")))
        try:
            stack.enter_context(small_disk(folder, SMALL_MB))
        except PermissionError as error:
            pytest.skip(str(error))
        url = stack.enter_context(server_on(folder)) if stores.kind == "postgis" else ""
        county = found_county(url or folder / "county.gpkg")
        found = attack(county, operations=160, processes=2, count=8, trouble=filling(folder, 1))
    assert found.faults == []
    assert found.full > 0
    assert found.done >= 160
