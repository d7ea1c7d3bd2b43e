"""A stored check asked again on what it saw gives the same answer, whatever happened to the county since."""

from datetime import date

import geopandas as gpd
import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.recheck import book_document, book_of
from api.settings import Settings
from gis.check import rulebook
from layers.gpkg import GeoPackage
from layers.ingest import from_frame
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.records import Paper, account
from layers.records import Areas
from tests.api.test_service import is_problem, lonlat
from tests.counties import EAST, EXTENT, FARM, GOOD, NORTH, TEA, found_county


@pytest.fixture
def county(tmp_path):
    path = tmp_path / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def client(county):
    with TestClient(create_app(Settings(county=county)), base_url="http://127.0.0.1") as client:
        yield client


def ask(client, **site):
    return client.post("/checks", json={"project": TEA, "site": site}).json()


def change_everything(county):
    """Farmland over the good parcel, balances gone, a rule confirmed by another document."""
    store = GeoPackage(county)
    ground = gpd.GeoDataFrame(
        {"id": ["new"]}, geometry=[shapely.box(EAST - 50, NORTH - 50, EAST + 500, NORTH + 500)], crs=4545
    )
    store.put(from_frame(ground, "basic_farmland", source="later", extent=EXTENT), by="tests")
    for name, left in store.pools().items():
        amount = Areas(int(left)) if name.startswith("quota") else int(left)
        order = acts.Order(Change("recall", account(name), amount), Paper("收1号", date(2026, 6, 1)), "tests")
        store.ledger.run(lambda page, order=order: acts.order(page, order))
    store.save("confirmation", "farmland.basic", {"rule": "farmland.basic", "document": "新", "date": "2026-06-01"})
    store.close()


@pytest.mark.parametrize("site", [{"parcels": [GOOD]}, {"parcels": [FARM]}, "drawn"])
def test_the_same_answer_after_everything_changed(client, county, site):
    corners = [(0.123, 0.456), (80.1, 3.7), (77.77, 90.9), (2.2, 66.6)]
    drawn = shapely.Polygon([(EAST + x, NORTH + y) for x, y in corners])
    wanted = {"geometry": lonlat(drawn)} if site == "drawn" else site
    was = ask(client, **wanted)
    change_everything(county)
    now = ask(client, **wanted)
    assert now["rulebook_digest"] != was["rulebook_digest"]
    assert now["layer_versions"] != was["layer_versions"]
    again = client.post(f"/checks/{was['id']}/recheck").json()
    assert again["same"], again["differences"]
    assert again["layer_versions"] == was["layer_versions"]
    if site != {"parcels": [FARM]}:
        assert now["verdict"] == "blocked", "or the test changed nothing that matters"


def test_an_answer_that_was_tampered_with_is_found_out(client, county):
    was = ask(client, parcels=[FARM])
    store = GeoPackage(county)
    store.save("check", was["id"], {**was, "verdict": "clear", "facts": {**was["facts"], "basic_farmland_m2": 0.0}})
    store.close()
    again = client.post(f"/checks/{was['id']}/recheck").json()
    assert not again["same"]
    assert {"field": "verdict", "was": "clear", "is": "blocked"} in again["differences"]
    assert any(one["field"] == "facts.basic_farmland_m2" for one in again["differences"])


def test_a_check_nobody_made_is_not_found(client):
    is_problem(client.post("/checks/nope/recheck"), 404, "not-found")


def test_a_rulebook_survives_being_kept():
    book = rulebook()
    again = book_of(book_document(book))
    assert again.digest == book.digest
    assert again.rules == book.rules
