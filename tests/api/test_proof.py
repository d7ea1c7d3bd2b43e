"""What was decided can be proven: checks and reservations are asked again on what they saw, on either store, and what
was altered behind the books' back is named."""

import json
from contextlib import closing

import geopandas as gpd
import pytest
import shapely
from fastapi.testclient import TestClient
from shapely import affinity

from api import proof
from api.app import create_app
from api.county import County
from api.settings import Settings
from layers.access import Access
from layers.ingest import from_frame
from layers.ledger import acts
from layers.places import beside
from layers.store import open_store
from tests.api.test_ledger import HERE, Caller, box, farming_world
from tests.counties import TEA, fill_county

EAST_OF_IT = {**TEA, "id": "P2"}


@pytest.fixture
def place(stores):
    """A county with a check, two reservations, one of them of an intention, and a batch's."""
    store = stores.new()
    fill_county(store, farming_world())
    store.close()
    name = stores.name(store)
    with TestClient(create_app(Settings(county=name)), base_url=HERE) as client:
        planner = Caller(client, "planner")
        site = box(5_000, 0, 5_100, 100)
        assert planner.post("/checks", {"project": TEA, "site": site}).status_code == 201
        assert planner.reserve(site, "k1", project={**TEA, "power_kva": 100}).status_code == 201
        wish = planner.reserve(box(6_000, 0, 6_100, 100), "k2", project=EAST_OF_IT, intended=True).json()
        assert wish["pinned"] is None
        held = planner.turn(wish, "reserve").json()
        assert set(held["pinned"]) == {"rulebook", "layers", "books", "as_of", "program", "facts"}
        assert planner.reserve(box(7_000, 0, 7_100, 100), "k3", project=None, batch="一批").status_code == 201
    return name


def proven(name, **how):
    with closing(open_store(name)) as store:
        return proof.prove(store, **how)


def test_what_was_decided_holds_whatever_happened_since(place):
    found = proven(place)
    assert found.whole, found.reason
    assert (found.checks, found.checks_again, found.reservations, found.reservations_again) == (1, 1, 3, 3)
    assert (found.rulebooks, found.unpinned, found.other_program) == (1, 0, [])
    with closing(open_store(place)) as store:
        ground = gpd.GeoDataFrame(
            {"id": ["new"], "code": ["0601"], "code_system": ["GB/T 21010-2017"], "three_class": ["construction"]},
            geometry=[shapely.box(*store.bounds())],
            crs=4545,
        )
        store.put(from_frame(ground, "land_use", source="later", extent=shapely.box(*store.bounds())), by="tests")
        store.save("confirmation", "farmland.basic", {"rule": "farmland.basic", "document": "新", "date": "2026-06-01"})
        again = proof.prove(store)
    assert again.whole, again.reason
    assert (again.checks_again, again.reservations_again) == (1, 3)
    assert proven(place, again=False).checks_again == 0


def test_facts_that_were_altered_and_a_verdict_that_was_altered_are_named(place):
    with closing(open_store(place)) as store:
        ((key, was),) = ((key, store.load("check", key)) for key in store.keys("check"))
        store.save("check", key, {**was, "facts": {**was["facts"], "basic_farmland_m2": 7.0}})
        found = proof.prove(store)
        assert (found.what, found.id) == ("check", key)
        assert "not what was measured" in found.reason
        store.save("check", key, {**was, "verdict": "clear" if was["verdict"] != "clear" else "blocked"})
        assert proof.prove(store, again=False).whole
        found = proof.prove(store)
        assert (found.what, found.id) == ("check", key)
        assert "verdict" in found.reason


def test_a_rulebook_that_was_used_is_not_altered_and_where_it_is_that_is_named(place, stores):
    with closing(open_store(place)) as store:
        (digest,) = store.keys("rulebook")
        was = store.load("rulebook", digest)
        store.save("rulebook", digest, {**was, "rules": was["rules"][1:]})
        assert store.load("rulebook", digest) == was
        for sql in ("UPDATE parkplan_documents SET body = '{}'", "DELETE FROM parkplan_documents"):
            with pytest.raises(Exception, match="not altered"):
                stores.sql(store, f"{sql} WHERE kind = 'rulebook'")
        if stores.kind == "gpkg":
            body = json.dumps({**was, "rules": was["rules"][1:]}).replace("'", "''")
            drop = "DROP TRIGGER parkplan_documents_update"
            stores.sql(store, drop, f"UPDATE parkplan_documents SET body = '{body}' WHERE kind = 'rulebook'")
            found = proof.prove(store)
            assert (found.what, found.id) == ("rulebook", digest)


def test_a_reservation_that_took_what_its_layers_do_not_say_is_named(place):
    with closing(open_store(place)) as store:
        first = store.ledger.reservations()[0]
        opened = store.ledger.history(first.id)[0].draft
        ground = store.ledger.ground(first.ground)
        ask = acts.Ask(
            "somebody",
            affinity.translate(ground, -4_000),  # where it is built: it would take nothing
            first.claim,
            2026,
            project="P9",
            record=opened.detail["project"],
            pinned=opened.detail["pinned"],
        )
        made = store.ledger.run(lambda page: acts.reserve(page, ask))
        found = proof.prove(store)
    assert (found.what, found.id) == ("reservation", made.id)


def test_pins_are_kept_once(place):
    with closing(open_store(place)) as store, closing(Access(beside(place))) as access:
        county = County(store, access, Settings(county=place))
        world = store.at()
        world.pools()
        assert county.pin(county.rulebook(), world)["layers"] in store.keys("layers")
        assert len(store.keys("layers")) == 1
