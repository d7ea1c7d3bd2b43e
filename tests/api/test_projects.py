"""The project library over HTTP: one by one, and as a file with every faulty row named."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from layers.library import read
from layers.records import Project
from scripts.county.projects import projects as examples
from tests.counties import TEA, found_county

HERE = "http://127.0.0.1"
NEW = {"id": "NEW", "name": "竹制品", "industry": {"code": "2041"}, "land_m2": 9_000, "stage": "储备", "zone": "Z"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def county(template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "small.gpkg"
    path.write_bytes(template.read_bytes())
    return path


@pytest.fixture
def client(county: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(county=county)), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def ids(client: TestClient, **query: str) -> list[str]:
    return [one["id"] for one in client.get("/projects", params=query).json()["projects"]]


def send(client: TestClient, name: str, data: bytes, **options: Any) -> Any:
    return client.post("/projects/import", files={"file": (name, data)}, data=options)


def audit(county: Path) -> list[tuple[str, str, str]]:
    access = Access(county)
    rows = access.audit(limit=10_000)
    access.close()
    return [(one["action"], one["subject"], one["outcome"]) for one in rows]


def test_a_project_is_added_once_and_changed_by_its_address(client, county):
    made = client.post("/projects", json=NEW)
    assert made.status_code == 201
    assert made.headers["location"] == "/projects/NEW"
    assert client.get("/projects/NEW").json() == made.json()
    again = client.post("/projects", json=NEW)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/exists")
    assert again.json()["project"] == "NEW"
    changed = client.put("/projects/NEW", json={**NEW, "stage": "引进", "preparation": "可研"})
    assert (changed.status_code, changed.json()["preparation"]) == (200, "可研")
    assert [row for row in audit(county) if row[0] == "project"] == [
        ("project", "NEW", "created"),
        ("project", "NEW", "written"),
    ]


def test_a_milestone_and_a_preparation_are_checked(client):
    wrong = client.post("/projects", json={**NEW, "preparation": "也许", "milestones": [{"planned_on": "soon"}]})
    assert wrong.status_code == 422
    assert {one["field"] for one in wrong.json()["errors"]} == {
        "preparation",
        "milestones.0.procedure",
        "milestones.0.planned_on",
    }


@pytest.mark.parametrize("key", ["a/b", "..", "export.csv", "template.xlsx", "x\ny"])
def test_an_id_that_is_no_address_is_refused(client, key):
    answer = client.post("/projects", json={**NEW, "id": key})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "id")


def test_unknown_industries_of_the_project_and_its_parts_are_named_together(client):
    part = {"name": "渣场", "industry": {"code": "9998"}, "land_m2": 5, "linked_within_m": 10}
    answer = client.post("/projects", json={**NEW, "industry": {"code": "9999"}, "components": [part]})
    assert [one["field"] for one in answer.json()["errors"]] == ["industry.code", "components.0.industry.code"]


def test_the_list_is_filtered_by_stage_zone_and_word(client):
    client.post("/projects", json=NEW)
    assert ids(client) == ["NEW", "TEA"]
    assert ids(client, stage="储备") == ["NEW"]
    assert ids(client, zone="Z", q="竹制") == ["NEW"]
    assert ids(client, q="153") == ["TEA"]
    assert ids(client, q="nothing") == []
    assert client.get("/projects", params={"stage": "建成"}).status_code == 422


@pytest.mark.parametrize("form", ["xlsx", "csv", "json"])
def test_what_is_exported_can_be_imported_and_changes_nothing(client, tmp_path, form):
    wanted = [Project.model_validate(one) for one in examples()]
    for one in examples():
        assert client.post("/projects", json=one).status_code == 201
    answer = client.get(f"/projects/export.{form}")
    assert f"projects.{form}" in answer.headers["content-disposition"]
    (tmp_path / f"x.{form}").write_bytes(answer.content)
    found, faults = read(tmp_path / f"x.{form}")
    assert faults == []
    assert {one.key: one for one in found} == {one.key: one for one in [*wanted, Project.model_validate(TEA)]}
    told = send(client, f"x.{form}", answer.content).json()
    assert (told["created"], told["updated"], len(told["unchanged"])) == ([], [], len(wanted) + 1)


def test_the_list_as_csv_where_the_client_accepts_it(client):
    answer = client.get("/projects", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.decode("utf-8-sig").startswith("项目编号 id,")
    assert client.get("/projects/export.pdf").status_code == 422


def test_an_import_with_a_faulty_row_stores_nothing_and_names_the_cell(client, county):
    bad = b"id,land_m2,industry.code\nA,8000,1530\nB,many,1530\nC,8000,9999\n"
    answer = send(client, "p.csv", bad)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-input")
    named = [(one["file"], one["feature"], one["field"]) for one in answer.json()["errors"]]
    assert named == [("p.csv", "row 3 B", "land_m2"), ("p.csv", "row 4 C", "industry.code")]
    assert ids(client) == ["TEA"]
    assert audit(county) == []


def test_a_dry_run_tells_and_stores_nothing_and_the_good_rows_may_be_let_in(client, county):
    data = b"id,name,land_m2\nA,new,8000\nB,bad,many\nTEA,changed,8000\n"
    told = send(client, "p.csv", data, dry_run="true").json()
    assert (told["stored"], told["created"], told["updated"], len(told["faults"])) == (False, ["A"], ["TEA"], 1)
    assert ids(client) == ["TEA"]
    good = b"id,name,land_m2\nA,new,8000\n"
    assert send(client, "p.csv", good, dry_run="true").json()["created"] == ["A"]
    assert not send(client, "p.csv", data, dry_run="true", skip_faulty="true").json()["stored"]
    assert ids(client) == ["TEA"]
    told = send(client, "p.csv", data, skip_faulty="true").json()
    assert told["stored"]
    assert ids(client) == ["A", "TEA"]
    assert client.get("/projects/TEA").json() == {"id": "TEA", "name": "changed", "land_m2": 8_000}
    rows = audit(county)
    assert [row[0] for row in rows[:3]] == ["POST /projects/import"] * 3  # a dry run is on record as a request
    assert rows[3][0] == "projects-import"
    assert rows[4:] == [("project", "A", "created"), ("project", "TEA", "written")]


def test_a_file_that_is_no_library_is_a_problem_and_nothing_stays_of_it(client, county):
    answer = send(client, "p.xlsx", b"PK no zip")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-input")
    folder = county.with_suffix(".inbox")
    assert not folder.exists() or not list(folder.iterdir())


def test_the_template_offers_the_zones_of_the_county(client):
    made = openpyxl.load_workbook(io.BytesIO(client.get("/projects/template.xlsx").content))
    listed = {one.formula1 for one in made.worksheets[0].data_validations.dataValidation}
    assert any("zones-1" in one for one in listed)
    assert any("万吨" in one for one in listed)
