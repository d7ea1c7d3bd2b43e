"""The workbench without a browser: its policy, its set-up, its words in two languages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.catalogue import LANGUAGES, catalogue
from api.settings import Settings
from layers.schema import roles
from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, people, served, two_zones
from tests.counties import FARM, found_county

API = Path(__file__).resolve().parents[2] / "api"
MODULES = sorted((API / "static" / "workbench").glob("*.js"))
PAGE = (API / "templates" / "workbench.html").read_text(encoding="utf-8")
HAN = re.compile(r"[\u4e00-\u9fff]")
TEXT = "".join(one.read_text(encoding="utf-8") for one in MODULES)
# what comes before a name from the service or from the code: named("status", ...), t(`panel.${...}`)
OPEN_ENDED = (*(f"{one}." for one in re.findall(r'named\("([a-z]+)"', TEXT)), *re.findall(r"t\(`([a-z_.]+)\$\{", TEXT))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    path = tmp_path_factory.mktemp("bench") / "small.gpkg"
    found_county(path).close()
    with TestClient(create_app(Settings(county=str(path))), base_url="http://127.0.0.1") as client:
        yield client


# --- words ------------------------------------------------------------------------------------------


def test_both_languages_have_the_same_keys_with_the_same_blanks() -> None:
    zh, en = (catalogue(one) for one in LANGUAGES)
    assert list(zh) == list(en)
    blanks = re.compile(r"\{\w+\}")
    assert {key: sorted(blanks.findall(zh[key])) for key in zh} == {key: sorted(blanks.findall(en[key])) for key in en}
    assert [key for key in zh if not zh[key].strip() or not en[key].strip()] == []
    assert [key for key, said in en.items() if HAN.search(said) and key != "app.other_language"] == []


def used_keys() -> set[str]:
    found = set(re.findall(r'data-t(?:-[a-z]+)?="([a-z_.]+)"', PAGE)) | set(re.findall(r't\("([a-z_.]+)"\)', PAGE))
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        found |= set(re.findall(r'"([a-z_]+\.[a-z_]+)"', text)) & set(catalogue("zh-CN"))
        found |= set(re.findall(r'\bt\("([a-z_.]+)"', text))
    return found


def test_every_key_that_is_used_is_in_the_catalogue_and_the_other_way_round() -> None:
    known = set(catalogue("zh-CN"))
    used = used_keys()
    assert used - known == set()
    assert {key for key in known - used if not key.startswith(OPEN_ENDED)} == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda one: one.name)
def test_no_module_carries_words_of_its_own(module: Path) -> None:
    """Chinese stands in the catalogue alone (a pattern that reads what people type is no word), and so does English."""
    for line in module.read_text(encoding="utf-8").splitlines():
        code = re.sub(r"/(?:\\.|[^/\\\n])+/[gimu]*(?=[.,;)\s])", "", line.partition(" // ")[0])
        assert not HAN.search(code), line
        if line.lstrip().startswith("//"):
            continue
        # text handed to an element: two words in a row in a plain string that is no class, style or selector
        for words in re.findall(r'\},\s*"([^"]*)"', code):
            assert not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", words), line


def test_the_page_carries_no_word_beside_the_catalogue() -> None:
    bare = re.sub(r"\{\{.*?\}\}|<[^>]*>", "", PAGE, flags=re.DOTALL)
    assert re.findall(r"\w+", bare) == []
    assert not HAN.search(PAGE)


def test_no_module_writes_markup() -> None:
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        assert not re.search(r"\.(innerHTML|outerHTML)\s*\+?=|insertAdjacentHTML|document\.write|\beval\(", text), (
            module
        )


# --- the page ---------------------------------------------------------------------------------------


def test_the_page_has_a_strict_policy_and_its_import_map_is_named_in_it(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'sha256-")
    assert "unsafe" not in policy
    inline = re.findall(r"<script(?![^>]*src=)[^>]*>(.*?)</script>", answer.text, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in inline]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    for address in json.loads(inline[0])["imports"].values():
        assert client.get(address).status_code in (200, 404)  # 404: browser parts were not fetched here
    assert not re.search(r"\son\w+=|style=", answer.text)


def test_the_page_speaks_both_languages_and_falls_back_to_the_first(client: TestClient) -> None:
    assert "园区选址规划工作台" in client.get("/").text
    assert "ParkPlan workbench" in client.get("/?lang=en").text
    assert "园区选址规划工作台" in client.get("/?lang=xx").text


def test_the_page_names_the_demo_people_only_where_they_may_come_in(tmp_path: Path) -> None:
    two_zones(tmp_path / "two.gpkg").close()
    with served(tmp_path / "two.gpkg") as client:
        assert "demo-planner" in client.get("/").text
    people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        text = client.get("/").text
        assert 'data-people="[]"' in text
        assert "两片" not in text


def test_the_set_up_has_a_style_for_every_loaded_layer(client: TestClient) -> None:
    told = client.get("/workbench.json").json()
    loaded = {one["role"] for one in client.get("/layers").json()["layers"] if not roles()[one["role"]].is_raster}
    assert {role for role, style in told["styles"].items() if style["loaded"]} == loaded
    assert {style["group"] for style in told["styles"].values()} <= set(told["groups"])
    assert told["proj4"].startswith("+proj=tmerc")
    west, south, east, north = told["bounds"]
    (zone,) = told["zones"]
    assert west <= zone["at"][0] <= east
    assert south <= zone["at"][1] <= north


def test_a_zone_that_is_not_mine_is_not_in_my_set_up(tmp_path: Path) -> None:
    two_zones(tmp_path / "two.gpkg").close()
    keys = people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        mine = client.get("/workbench.json", headers=bearer(keys["west"])).json()
        assert [one["id"] for one in mine["zones"]] == ["W"]


# --- identify ---------------------------------------------------------------------------------------


def at(client: TestClient, parcel: str, **headers: str) -> dict[str, list[str]]:
    ring = client.get(f"/parcels/{parcel}").json()["site"]["geometry"]["coordinates"][0]
    lon, lat = (sum(one[axis] for one in ring[:-1]) / (len(ring) - 1) for axis in (0, 1))
    told = client.get(f"/identify?lon={lon}&lat={lat}&tolerance_m=1").json()
    return {one["role"]: [row["id"] for row in one["features"]] for one in told["layers"]}


def test_everything_at_a_point_is_told_layer_by_layer(client: TestClient) -> None:
    found = at(client, FARM)
    assert found["parcels"] == [FARM]
    assert found["basic_farmland"]
    assert "roads" not in found  # 300 m away
    assert "basic_farmland" not in at(client, "520625001001GB00001")


def test_a_line_counts_within_the_tolerance_and_an_area_only_where_it_is(client: TestClient) -> None:
    ring = client.get(f"/parcels/{FARM}").json()["site"]["geometry"]["coordinates"][0]
    lon, lat = min(one[0] for one in ring), min(one[1] for one in ring)
    outside = f"/identify?lon={lon - 0.0001}&lat={lat + 0.0004}&tolerance_m=400"
    told = {one["role"]: one["features"] for one in client.get(outside).json()["layers"]}
    assert "parcels" not in told
    assert [one["attributes"]["road_class"] for one in told["roads"]] == ["county"]


def test_the_parcels_of_another_zone_are_not_told(tmp_path: Path) -> None:
    two_zones(tmp_path / "two.gpkg").close()
    keys = people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        found = {}
        for parcel in (WEST_PARCEL, EAST_PARCEL):
            ring = client.get(f"/parcels/{parcel}", headers=bearer(keys["reviewer"])).json()["site"]["geometry"]
            lon, lat = (sum(one[axis] for one in ring["coordinates"][0][:-1]) / 4 for axis in (0, 1))
            told = client.get(f"/identify?lon={lon}&lat={lat}", headers=bearer(keys["west"])).json()
            found[parcel] = [one["role"] for one in told["layers"]]
        assert "parcels" in found[WEST_PARCEL]
        assert "parcels" not in found[EAST_PARCEL]


# --- the list of plans ------------------------------------------------------------------------------


def test_plans_are_listed_newest_first_and_only_those_one_may_see(tmp_path: Path) -> None:
    two_zones(tmp_path / "two.gpkg").close()
    keys = people(tmp_path / "two.gpkg")
    with served(tmp_path / "two.gpkg") as client:
        made = [
            client.post("/plans", json={"projects": [f"TEA-{zone}"]}, headers=bearer(keys[who])).json()["id"]
            for zone, who in (("W", "west"), ("E", "east"))
        ]
        listed = {
            who: [one["id"] for one in client.get("/plans", headers=bearer(keys[who])).json()["plans"]]
            for who in ("west", "east", "reviewer")
        }
        assert listed == {"west": [made[0]], "east": [made[1]], "reviewer": made[::-1]}
