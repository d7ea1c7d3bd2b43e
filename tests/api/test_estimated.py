"""A project that gives only name, industry and output: what the service answers, and that it answers it again."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.store import open_store
from tests.counties import GOOD, found_county

EMM = {
    "name": "年产3万吨电解金属锰",
    "industry": {"code": "C3140"},
    "annual_output": {"amount": 3, "unit": "万吨"},
    "gates": {"energy_review": None},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture(scope="module")
def client(path):
    with TestClient(create_app(Settings(county=path)), base_url="http://127.0.0.1:8000") as client:
        yield client


def test_the_answer_lists_what_was_estimated_and_keeps_what_was_said(client):
    response = client.post("/checks", json={"project": EMM, "site": {"parcels": [GOOD]}})
    assert response.status_code == 201, response.text
    body = response.json()
    power = next(one for one in body["estimated"] if one["field"] == "power_kva")
    assert set(power) == {"field", "value", "low", "high", "unit", "basis", "source", "confidence"}
    assert power["value"] == pytest.approx(28_409.09, abs=0.01)
    assert "power_kva" not in body["project"]
    assert body["project"]["gates"] == {"energy_review": None}
    assert body["verdict"] in ("undetermined", "blocked")
    headroom = next(one for one in body["findings"] if one["rule"] == "power.headroom")
    assert headroom["status"] != "pass"


def test_a_project_that_says_its_demands_is_not_estimated(client):
    said = {**EMM, "land_m2": 8_000, "power_kva": 1, "water_m3d": 1, "water_peak_m3d": 1, "freight_td": 1,
            "effluent_m3d": 0, "solid_waste_td": 0}  # fmt: skip
    assert client.post("/checks", json={"project": said, "site": {"parcels": [GOOD]}}).json()["estimated"] == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"annual_output": None}, "project"),
        ({"annual_output": {"amount": 1, "unit": "cartload"}}, "annual_output.unit"),
        ({"annual_output": {"amount": -1, "unit": "t"}}, "project.annual_output.amount"),
        ({"gates": {"blessing": "x"}}, "project.gates"),
        ({"equipment": {"furnace": 1}}, "project.equipment.furnace"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(client, wrong, field):
    response = client.post("/checks", json={"project": EMM | wrong, "site": {"parcels": [GOOD]}})
    assert response.status_code == 422, response.text
    assert any(one["field"].startswith(field) for one in response.json()["errors"])


def test_an_estimated_check_asked_again_gives_the_same(client, path):
    key = client.post("/checks", json={"project": EMM, "site": {"parcels": [GOOD]}}).json()["id"]
    from api.recheck import recheck

    store = open_store(path)
    try:
        again = recheck(store, key)
    finally:
        store.close()
    assert again["same"], again["differences"]


def test_a_countys_own_table_of_indicators_is_read_at_the_next_check(client, path):
    plant = {"id": "p", "land_m2": 8_000, "industry": {"code": "3021"}, "floor_area_m2": 4_000}

    def ratio():
        body = client.post("/checks", json={"project": plant, "site": {"parcels": [GOOD]}, "purpose": "supply"}).json()
        return next(one for one in body["findings"] if one["rule"] == "indicator.floor_area_ratio")

    assert ratio()["status"] == "unknown"
    store = open_store(path)
    row = {"indicator": "floor_area_ratio", "code_prefix": "30", "value": "0.7", "source": "县局文件"}
    store.save("indicators", "floor_area_ratio:30", row)
    store.close()
    assert (ratio()["status"], ratio()["limit"]) == ("fail", 0.7)
