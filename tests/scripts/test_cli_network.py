"""`parkplan network` and `parkplan connect`: what is printed and written, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.counties import GOOD, found_county

PLANT = {"id": "P", "land_m2": 8000, "power_kva": 3000, "water_m3d": 200, "effluent_m3d": 0, "freight_td": 40}


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def project(tmp_path) -> Path:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(PLANT), encoding="utf-8")
    return path


def test_the_report_is_printed_and_is_json(run, county):
    code, said, _ = run("network", county)
    assert code == 0
    assert "substations substations-1: no capacity_kva" in said
    code, said, _ = run("network", county, "--json")
    assert code == 0
    assert json.loads(said)["networks"]["roads"]["edges"] == 1


def test_every_way_can_be_worked_out_beforehand(run, county):
    code, said, _ = run("network", county, "--routes", "--json")
    assert code == 0
    assert json.loads(said)["routes"] == 4  # a station, a works, a plant, the roads
    assert len(list((county.with_suffix(".cache") / "routes").iterdir())) == 5  # and the ground they share


def test_a_site_is_connected_and_its_bill_printed(run, county, project):
    code, said, _ = run("connect", county, "--project", project, "--parcel", GOOD)
    assert code == 0
    assert "木黄变电站" in said
    assert "10 kV outgoing bay" in said or "10 kV 出线间隔" in said
    assert "合计 together" in said
    code, said, _ = run("connect", county, "--project", project, "--parcel", GOOD, "--json")
    assert {one["utility"] for one in json.loads(said)["connections"]} == {"power", "water", "road"}


@pytest.mark.needs("vendor")
def test_the_routes_are_a_map_that_opens_without_a_server(run, county, project, tmp_path):
    page = tmp_path / "ways.html"
    code, _, _ = run("connect", county, "--project", project, "--parcel", GOOD, "--map", page)
    assert code == 0
    text = page.read_text("utf-8")
    assert "role-route_power" in text


def test_wrong_usage_is_2_and_what_cannot_be_read_is_3(run, county, project, tmp_path):
    assert run("connect", county, "--project", project)[0] == 2
    assert run("connect", county, "--project", project, "--parcel", "none")[0] == 3
    assert run("connect", county, "--project", project, "--parcel", GOOD, "--map", tmp_path / "ways.pdf")[0] == 3
