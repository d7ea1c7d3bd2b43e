"""The command line and the service on a county in a database: the same words, no secret, nothing beside the URL."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.errors import Refused
from layers.store import open_store
from tests.counties import EAST, GOOD, NORTH, TEA, fill_county
from tests.layers.files import frame, square, squares, write
from tests.said import Run
from tests.stores import InDatabase

pytestmark = pytest.mark.needs("postgis")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def url(databases: InDatabase) -> str:
    """A county of a few features."""
    with contextlib.closing(databases.new()) as store:
        fill_county(store)
        return databases.name(store)


def _ids(file: Path) -> set[str]:
    return {one["properties"]["id"] for one in json.loads(file.read_text())["features"]}


def test_a_county_is_made_filled_looked_at_and_changed_by_its_url(run: Run, databases: InDatabase, tmp_path: Path):
    url = databases.fresh()
    label = f"postgres/{url.partition('schema=')[2]}"
    made = run("init", url, "--name", "印江")
    assert (made.code, made.err) == (0, "")
    assert made.out.startswith(f"made {label}, working CRS EPSG:4545. Next: parkplan import URL FILE")
    again = run("init", url)
    assert (again.code, again.err.splitlines()[0]) == (3, f"error: {label} exists already")
    file = write(tmp_path / "宗地.gpkg", frame(squares(3), id=["P", "Q", "R"]))
    said = run("import", url, file, "--role", "parcels", "--json")
    assert (said.code, said.json["version"], said.json["loaded"]) == (0, 1, 3)
    assert run("import", url, file, "--role", "parcels", "--dry-run", "--json").json["stored"] is False
    assert [one["role"] for one in run("layers", url, "--json").json["layers"]] == ["parcels"]
    x, (_, south, _, north) = square().centroid.x, square().bounds
    line = f"{x},{south - 1} {x},{north + 1}"
    paper = ("--document", "1", "--date", "2026-01-05", "--crs", "EPSG:4545")
    split = run("parcels", url, "split", "P", "--cut", line, "--id", "P1", "--id", "P2", *paper)
    assert split.code == 0, split.err
    assert run("parcels", url, "history", "P1", "--json").json["ancestors"] == ["P"]
    out = tmp_path / "out.geojson"
    assert run("export", url, "parcels", out).code == 0
    assert _ids(out) == {"P1", "P2", "Q", "R"}  # as they stand
    assert run("export", url, "parcels", out, "--version", 1, "--overwrite").code == 0
    assert _ids(out) == {"P", "Q", "R"}  # as surveyed
    assert run("quality", url, "parcels", "--json").code == 0
    assert run("doctor", url).out.count("parcels") == 1
    assert run("migrate", url, "--json").json == {"county": label, "was": "0004", "is": "0004"}


def test_a_check_says_the_same_words_and_codes_and_can_be_asked_again(run: Run, url: str, tmp_path: Path):
    project = tmp_path / "tea.json"
    project.write_text(json.dumps(TEA))
    said = run("check", url, "--project", project, "--parcel", GOOD, "--json")
    assert said.code in (0, 10, 11), said.err
    assert run("recheck", url, said.json["id"]).code == 0
    assert run("projects", url, "--json").json[0]["id"] == "TEA"


def test_the_books_are_kept_and_proven_and_a_backup_brings_them_back(run: Run, url: str, tmp_path: Path):
    account = "quota/520625/2030/new_construction"
    paper = ("--document", "8号", "--date", "2030-03-01")
    assert run("quota", url, "grant", account, "--areas", "20000,15000,6000", *paper).code == 0
    shown = run("quota", url, "show", account, "--json").json["accounts"]
    assert [one["available"] for one in shown] == [20_000]
    assert run("supply", url, "--json").json["approved_unsupplied"] == []
    proof = run("verify", url, "--json")
    assert (proof.code, proof.json["whole"]) == (0, True)
    file = tmp_path / "county.backup"
    made = run("backup", url, file, "--json")
    assert (made.code, made.json["head"]) == (0, proof.json["head"]), made.err
    assert run("backup", url, file).code == 3
    taken = run("restore", file, url)
    assert (taken.code, "exists already" in taken.err) == (3, True)
    with contextlib.closing(psycopg.connect(url.partition("?")[0], autocommit=True)) as admin:
        admin.execute("DROP DATABASE IF EXISTS back")
        admin.execute("CREATE DATABASE back")
    base, _, schema = url.partition("?")
    back = f"{base.rpartition('/')[0]}/back?{schema}"
    restored = run("restore", file, back)
    assert restored.code == 0, restored.err
    assert "一致 whole" in restored.out
    assert run("verify", back, "--json").json["head"] == proof.json["head"]


def test_users_of_a_county_in_a_database_open_it_to_the_network(run: Run, url: str, tmp_path: Path):
    with pytest.raises(Refused, match="without users"):
        create_app(Settings(county=url, host="0.0.0.0"))
    key = run("users", url, "add", "甲", "--role", "viewer").out.strip()
    app = create_app(Settings(county=url, host="0.0.0.0"))
    app.state.county.store.close()
    assert app.state.county.access.recognise(key).name == "甲"
    (users,) = (tmp_path / "state").rglob("*.access")  # until they are kept in the database, too
    assert users.stat().st_mode & 0o077 == 0
    assert users.parent.stat().st_mode & 0o077 == 0
    app.state.county.access.close()


def test_the_service_answers_from_the_database(url: str):
    ground = shapely.geometry.mapping(shapely.box(EAST + 10, NORTH + 10, EAST + 90, NORTH + 90))
    with TestClient(create_app(Settings(county=url)), base_url="http://127.0.0.1") as client:
        assert client.get("/readyz").status_code == 200
        site = {"geometry": ground, "crs": "EPSG:4545"}
        said = client.post("/checks", json={"project": TEA, "site": site})
        assert said.status_code == 201, said.text
        again = client.get(f"/checks/{said.json()['id']}").json()
        assert again == said.json()
        assert client.get(f"/parcels/{GOOD}").status_code == 200
        assert client.get("/projects").json()["projects"][0]["id"] == "TEA"
        assert client.get("/maps/overview").status_code == 200
        assert len(client.get("/layers").json()["layers"]) > 20
        everything = client.get("/openapi.json").text + client.get("/readyz").text + client.get("/metrics").text
        assert "postgresql://" not in everything


@pytest.mark.slow
def test_serve_runs_two_processes_on_one_county(url: str):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "scripts.cli", "serve", url, "--port", str(port), "--workers", "2"]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        deadline, said = time.monotonic() + 60, b""
        while not said and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                said = urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).read()
            time.sleep(0.2)
        assert json.loads(said)
        body: Any = json.dumps({"project": TEA, "site": {"parcels": [GOOD]}}).encode()
        found = set()
        for _ in range(8):
            ask = urllib.request.Request(f"http://127.0.0.1:{port}/checks", body, {"content-type": "application/json"})
            found.add(json.load(urllib.request.urlopen(ask, timeout=60))["verdict"])
        assert len(found) == 1
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
    with contextlib.closing(open_store(url)) as store:
        assert len(store.list("check")) == 8
