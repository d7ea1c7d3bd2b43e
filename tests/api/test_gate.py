"""A page without a key: a program is told the problem, a person's browser gets a shell that holds nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.counties import closed_county

PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    closed_county(tmp_path / "closed.gpkg")
    with TestClient(create_app(Settings(county=tmp_path / "closed.gpkg")), "http://127.0.0.1") as opened:
        yield opened


@pytest.mark.parametrize("path", ["/maps/overview", "/maps/checks/none", "/outlook.html", "/outlook"])
def test_a_browser_without_a_key_gets_the_shell_and_nothing_of_the_county(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=PAGE)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (401, "text/html")
    assert "/static/gate.js" in answer.text
    assert "试验县" not in answer.text
    assert "no-store" in answer.headers["cache-control"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers", [{}, {"Accept": "application/json"}, {**PAGE, "Authorization": "Bearer no-key-of-anybody"}]
)
def test_a_program_and_a_wrong_key_are_told_the_problem(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.get("/maps/overview", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json()["detail_zh"] == "缺少密钥，或密钥无法识别"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_shell_is_of_pages_alone(client: TestClient) -> None:
    assert (
        client.get("/tiles/parcels/12/3296/1710.mvt", headers=PAGE).headers["content-type"]
        == "application/problem+json"
    )
