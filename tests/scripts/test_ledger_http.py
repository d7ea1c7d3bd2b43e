"""The books over HTTP under load, in short; `python -m scripts.bench.ledger_http` is the long form."""

import pytest

from scripts.bench.ledger_http import attack, found_county
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
    found = attack(county, operations=320, processes=2, count=8, kills=5)
    assert found.faults == []
    assert found.kills == 5
    assert found.done == 320
