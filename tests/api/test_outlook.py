"""The outlook and the principles over HTTP: one answer as JSON, as a page and as a workbook."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import geopandas as gpd
import openpyxl
import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from layers.ingest import from_frame
from layers.records import Project
from tests.api.two_zones import bearer, people, served, two_zones
from tests.counties import EAST, EXTENT, GOOD, NORTH, found_county

HERE = "http://127.0.0.1"
BAD_NAME = "一期 <b>${1}</b>"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    store = found_county(path)
    squares = [shapely.box(EAST + x, NORTH, EAST + x + 100, NORTH + 100) for x in (2_000, 2_200)]
    plots = {
        "id": ["DK-1", "DK-2"],
        "name": [BAD_NAME, "=2+2"],
        "cleared_on": ["2026-01-01", None],
        "conditions_on": ["2099-01-01", None],
    }
    store.put(
        from_frame(gpd.GeoDataFrame(plots, geometry=squares, crs=4545), "plots", source="t", extent=EXTENT), by="t"
    )
    for project in (
        {
            "id": "PH",
            "name": "分期",
            "zone": "带",
            "phases": [{"approval_year": 2027, "land_m2": 30_000}],
            "land_m2": 1,
        },
        {
            "id": "EST",
            "name": "电解金属锰",
            "zone": "zones-1",
            "industry": {"code": "3140"},
            "annual_output": {"amount": 30_000, "unit": "t", "product": "电解金属锰"},
        },
    ):
        store.save(
            "project", str(project["id"]), Project.model_validate(project).model_dump(mode="json", exclude_none=True)
        )
    store.close()
    return path


@pytest.fixture(scope="module")
def client(path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(county=path)), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def outlook(client: TestClient, **query: str) -> Any:
    made = client.get("/outlook", params=query)
    assert made.status_code == 200, made.text
    return made.json()


def test_the_waterfall_of_each_zone_closes_and_names_its_laws(client: TestClient) -> None:
    found = outlook(client)
    (zone,) = found["zones"]
    parts = [zone["shared_m2"], zone["unknown_m2"], zone["net_m2"], *(one["taken_m2"] for one in zone["waterfall"])]
    assert sum(Decimal(str(one)) for one in parts) == Decimal(str(zone["gross_m2"])) == Decimal("1600000000.0")
    assert all(step["basis"] for step in found["steps"])
    assert found["synthetic"] is True
    assert found["missing"] == []
    assert zone["net_m2"] == 0  # all of it is built-up land in this county
    assert {one["step"]: one["taken_m2"] for one in zone["waterfall"]}["built"] == 1.6e9


def test_demand_by_year_marks_what_is_estimated(client: TestClient) -> None:
    (zone,) = outlook(client)["zones"]
    phased, unsaid = zone["demand"]
    assert (phased["year"], phased["land_m2"], phased["enough"]) == (2027, 30_000, "short")
    assert unsaid["year"] is None
    assert unsaid["estimated_m2"] == unsaid["land_m2"] > 0
    assert unsaid["low_m2"] < unsaid["high_m2"]
    assert {one["project"]: one["estimated"] for one in outlook(client)["asks"]}["EST"] is True
    (elsewhere,) = outlook(client)["elsewhere"]["demand"]  # the county's own project names no zone
    assert (elsewhere["land_m2"], elsewhere["enough"]) == (8_000, "unknown")


def test_plots_say_what_is_done_planned_and_not_said(client: TestClient) -> None:
    one, other = outlook(client)["plots"]
    assert (one["reached"], one["next"], one["zone"]) == ("cleared_on", "reserved_on", "zones-1")
    assert [state["status"] for state in one["states"]] == ["unknown", "unknown", "done", "unknown", "planned"]
    assert one["states"][2]["on"] == "2026-01-01"
    assert other["reached"] is None
    assert outlook(client)["zones"][0]["cleared"]["done_m2"] == 10_000
    later = outlook(client, as_of="2099-01-01")
    assert later["plots"][0]["states"][4] == {
        "state": "conditions_on", "zh": "规划条件出具", "en": "planning conditions issued", "status": "done",
        "on": "2099-01-01",
    }  # fmt: skip
    assert later["plots"][0]["next"] is None
    before_the_layers_came = client.get("/outlook", params={"as_of": "2020-01-01"})
    assert before_the_layers_came.status_code == 404


def test_one_zone_by_id_or_name_and_no_other(client: TestClient) -> None:
    assert outlook(client, zone="带")["zones"] == outlook(client, zone="zones-1")["zones"]
    assert {one["project"] for one in outlook(client, zone="带")["asks"]} == {"PH", "EST"}
    assert client.get("/outlook", params={"zone": "nowhere"}).status_code == 404
    assert client.get("/outlook", params={"color": "red"}).status_code == 422


def test_a_new_project_changes_the_outlook(client: TestClient) -> None:
    before = len(outlook(client)["asks"])
    body = {"id": "LATE", "land_m2": 5_000, "zone": "带"}
    assert client.post("/projects", json=body).status_code == 201
    assert len(outlook(client)["asks"]) == before + 1


def test_the_page_is_drawn_here_and_holds_no_code(client: TestClient) -> None:
    made = client.get("/outlook", headers={"accept": "text/html,*/*"})
    assert made.headers["content-type"].startswith("text/html")
    assert made.text == client.get("/outlook.html").text
    csp = made.headers["content-security-policy"]
    assert "default-src 'none'" in csp
    assert "unsafe" not in csp
    assert not re.search(r"<script|style=|https?://", made.text)
    assert "合成数据" in made.text
    assert "&lt;b&gt;${1}&lt;/b&gt;" in made.text
    assert BAD_NAME not in made.text
    widths = [float(one) for one in re.findall(r'<rect x="[\d.]+" y="2" width="([\d.]+)"', made.text)]
    assert max(widths) == 1_000.0
    assert "其中估算" in made.text
    assert "2099-01-01" in made.text


def test_the_workbook_adds_up_and_holds_no_formula(client: TestClient) -> None:
    made = client.get("/outlook.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(made.content))
    assert book.sheetnames == ["可建设用地", "用地需求", "项目用地", "地块成熟度"]
    rows = list(book["可建设用地"].iter_rows(min_row=5, values_only=True))
    for column in (2, 3):  # m² and 亩
        gross, *rest = (Decimal(str(row[column])) for row in rows)
        assert sum(rest) == gross
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert all(cell.data_type != "f" for cell in cells)


def test_who_may_read(path: Path, tmp_path: Path) -> None:
    guarded = tmp_path / "guarded.gpkg"
    guarded.write_bytes(path.read_bytes())
    access = Access(guarded)
    key = access.add("看", "viewer")
    access.close()
    with TestClient(create_app(Settings(county=guarded)), base_url=HERE) as client:
        assert client.get("/outlook").status_code == 401
        assert client.get("/outlook", headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_a_check_carries_the_five_principles_and_nearness(client: TestClient) -> None:
    body = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [GOOD]}}).json()
    assert {one["principle"] for one in body["principles"]} == {
        "agglomeration", "concentration", "intensity", "economy", "central_treatment"
    }  # fmt: skip
    assert [one["measure"] for one in body["nearness"]] == ["raw_material_m"]
    by = {one["measure"]: one for one in body["principles"]}
    assert by["same_chain_plants"]["value"] == 0.0  # surveyed, none there
    assert (by["same_chain_m"]["high"], by["same_chain_m"]["bound"]) == (None, "at_least")  # as far as was surveyed
    assert by["energy_tce_per_wan"]["bound"] == "unknown"
    assert by["inside_fitting_zone_share"]["value"] == 1.0
    assert by["effluent_served"]["value"] == 1.0
    assert by["investment_intensity_ratio"]["value"] is None
    assert by["investment_intensity_ratio"]["note"]["zh"] == "项目未说明投资额或用地"
    assert set(by["water_m3_per_wan"]) == {
        "principle", "zh", "en", "measure", "name", "value", "low", "high", "bound", "unit", "better", "note"
    }  # fmt: skip
    assert client.post(f"/checks/{body['id']}/recheck").json()["same"] is True


def test_a_planner_of_one_zone_sees_its_outlook_and_no_other(tmp_path: Path) -> None:
    two_zones(tmp_path / "two.gpkg").close()
    keys = people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        whole = client.get("/outlook", headers=bearer(keys["reviewer"])).json()
        west = client.get("/outlook", headers=bearer(keys["west"])).json()
        assert [one["zone"] for one in whole["zones"]] == ["W", "E"]
        assert west["zones"] == whole["zones"][:1]
        assert [one["project"] for one in west["asks"]] == ["TEA-W"]
        assert (west["total"], west["elsewhere"]) == (None, None)
        for name in ("E", "东区", "nowhere"):
            told = client.get("/outlook", params={"zone": name}, headers=bearer(keys["west"]))
            assert told.status_code == 404
            assert told.json()["detail"] == f"no zone {name!r}"
        page = client.get("/outlook.html", headers=bearer(keys["west"])).text
        assert "西区" in page
        assert "东区" not in page
        assert "TEA-E" not in page
        book = openpyxl.load_workbook(io.BytesIO(client.get("/outlook.xlsx", headers=bearer(keys["west"])).content))
        assert [row[0] for row in book["项目用地"].iter_rows(min_row=5, values_only=True)] == ["TEA-W"]
