"""Parcels over HTTP: split, merged, restored by the people who may, told for any day, named in checks and on maps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from shapely.geometry import mapping

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from layers.crs import LONLAT, parse_cached, transform, working
from layers.gpkg import GeoPackage
from layers.ingest import from_frame
from tests.counties import EAST, EXTENT, FARM, GOOD, NORTH, TEA, found_county
from tests.layers.files import county as copied

HERE = "http://127.0.0.1"
PAPER = {"number": "印自然资〔2026〕1号", "date": "2026-01-05"}
WEST, RIGHT = "520625001001GB00011", "520625001001GB00012"
TODAY = datetime.now(UTC).date()
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = found_county(tmp_path_factory.mktemp("founded") / "county.gpkg")
    plots = gpd.GeoDataFrame({"id": ["收储1号"]}, geometry=[box(0, 300, 80, 380)], crs=4545)
    store.put(from_frame(plots, "plots", source="tests", extent=EXTENT), by="tests")
    store.close()
    return store.path


@pytest.fixture
def path(tmp_path: Path, founded: Path) -> Path:
    opened = copied(tmp_path, founded)
    opened.close()
    return opened.path


@pytest.fixture
def client(path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(county=path)), base_url=HERE, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="module")
def reader(founded: Path) -> Iterator[TestClient]:
    """A service over the county as it was founded, for what changes nothing."""
    with TestClient(create_app(Settings(county=founded)), base_url=HERE, raise_server_exceptions=False) as made:
        yield made


def box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    return shapely.box(EAST + west, NORTH + south, EAST + east, NORTH + north)


def line(*points: tuple[float, float]) -> dict[str, Any]:
    return lonlat(shapely.LineString([(EAST + x, NORTH + y) for x, y in points]))


def lonlat(geometry: shapely.Geometry) -> dict[str, Any]:
    return dict(mapping(transform(np.array([geometry]), working("EPSG:4545"), parse_cached(LONLAT))[0]))


def post(client: TestClient, path: str, key: str = "demo-reviewer", **body: Any) -> Any:
    body = {"document": PAPER, **body} if path.startswith("/parcels") else body
    return client.post(path, json=body, headers={"Authorization": f"Bearer {key}"})


def split(client: TestClient, parcel: str = GOOD, ids: tuple[str, ...] = (WEST, RIGHT), **body: Any) -> Any:
    asked = {"cut": line((40, -10), (40, 110)), "ids": list(ids), **body}
    return post(client, f"/parcels/{parcel}/split", **asked)


def is_problem(answer: Any, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{slug}"
    return body


def test_a_split_is_answered_with_what_it_closed_and_opened(client):
    made = split(client, attributes={WEST: {"name": "西半"}})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/parcels/{WEST}/history"
    body = made.json()
    assert (body["event"]["kind"], body["event"]["actor"]) == ("split", "demo-reviewer")
    assert body["event"]["document"] == {**PAPER, "note": ""}
    assert [one["id"] for one in body["closed"]] == [GOOD]
    assert [(one["id"], one["area_m2"], one["area_mu"]) for one in body["opened"]] == [
        (WEST, 4_000.0, 6.0),
        (RIGHT, 6_000.0, 9.0),
    ]
    assert [one["attributes"]["name"] for one in body["opened"]] == ["西半", "一号地"]
    dossier = client.get(f"/parcels/{WEST}").json()
    assert dossier["site"]["area_m2"] == 4_000.0
    assert dossier["event"]["parents"] == [GOOD]
    assert dossier["valid_from"] == TODAY.isoformat()


def test_a_gone_parcel_says_what_became_of_it_and_stands_on_its_days(client):
    split(client)
    gone = is_problem(client.get(f"/parcels/{GOOD}"), 404, "not-found")
    for word in ("split by", PAPER["number"], WEST, RIGHT):
        assert word in gone["detail"]
    then = client.get(f"/parcels/{GOOD}", params={"as_of": YESTERDAY}).json()
    assert (then["site"]["area_m2"], then["valid_from"], then["valid_to"]) == (10_000.0, None, TODAY.isoformat())
    early = is_problem(client.get(f"/parcels/{WEST}", params={"as_of": YESTERDAY}), 404, "not-found")
    assert f"was opened on {TODAY}" in early["detail"]
    is_problem(client.get(f"/parcels/{GOOD}", params={"known": YESTERDAY}), 404, "not-found")
    assert "no parcel 'nobody'" in is_problem(client.get("/parcels/nobody"), 404, "not-found")["detail"]


def test_the_history_names_kin_both_ways(client):
    split(client)
    merged = post(client, "/parcels/merge", parcels=[WEST, RIGHT], id="520625001001GB00013").json()
    found = client.get(f"/parcels/{RIGHT}/history").json()
    assert (found["stands"], found["parents"], found["children"]) == (False, [GOOD], ["520625001001GB00013"])
    assert (found["ancestors"], found["descendants"]) == ([GOOD], ["520625001001GB00013"])
    assert [one["kind"] for one in found["events"]] == ["split", "merge"]
    assert found["states"][0]["geometry"]["type"] == "Polygon"
    assert merged["opened"][0]["area_m2"] == 10_000.0
    old = client.get(f"/parcels/{GOOD}/history").json()
    assert (old["events"][0]["kind"], old["events"][0]["document"]) == ("survey", None)
    assert old["descendants"] == [WEST, RIGHT, "520625001001GB00013"]
    is_problem(client.get("/parcels/nobody/history"), 404, "not-found")


def test_a_merge_is_undone_and_the_ids_return(client):
    split(client)
    merged = post(client, "/parcels/merge", parcels=[WEST, RIGHT], id="520625001001GB00013").json()
    undone = post(client, "/parcels/restore", event=merged["event"]["seq"])
    assert undone.status_code == 201, undone.text
    assert [one["id"] for one in undone.json()["opened"]] == [WEST, RIGHT]
    is_problem(post(client, "/parcels/restore", event=merged["event"]["seq"]), 409, "stale")
    assert post(client, "/parcels/restore", parcel=GOOD).json()["opened"][0]["id"] == GOOD
    assert client.get(f"/parcels/{GOOD}").status_code == 200
    is_problem(post(client, "/parcels/restore", event=1), 422, "bad-input")
    is_problem(post(client, "/parcels/restore", event=99), 404, "not-found")
    is_problem(post(client, "/parcels/restore", event=2**63 - 1), 404, "not-found")


def test_boundaries_move_parcels_retire_and_plain_ground_is_registered(client):
    split(client)
    moved = post(client, f"/parcels/{WEST}/adjust", **{"with": [RIGHT]}, boundary=line((60, -1), (60, 101)))
    assert [one["area_m2"] for one in moved.json()["opened"]] == [6_000.0, 4_000.0]
    pieces = [
        {"id": WEST, "geometry": lonlat(box(0, 0, 30, 100))},
        {"id": RIGHT, "geometry": lonlat(box(30, 0, 100, 100))},
    ]
    moved = post(client, f"/parcels/{WEST}/adjust", **{"with": [RIGHT]}, pieces=pieces)
    assert [one["area_m2"] for one in moved.json()["opened"]] == pytest.approx([3_000, 7_000], abs=0.02)
    other = post(client, f"/parcels/{WEST}/adjust", **{"with": [RIGHT]}, pieces=[pieces[0], {**pieces[1], "id": FARM}])
    is_problem(other, 422, "bad-input")
    assert post(client, f"/parcels/{WEST}/retire").json()["opened"] == []
    new = {"id": "520625001001GB00099", "geometry": lonlat(box(0, 0, 20, 100)), "attributes": {"name": "新"}}
    assert post(client, "/parcels", **new).status_code == 201
    again = post(client, "/parcels", **{**new, "id": "520625001001GB00098"})
    assert "520625001001GB00099" in is_problem(again, 422, "bad-input")["errors"][0]["reason"]


def test_pieces_may_be_drawn_in_a_named_crs(client):
    pieces = [{"id": name, "geometry": dict(mapping(shape))} for name, shape in (
        (WEST, box(0, 0, 50, 100)), (RIGHT, box(50, 0, 100, 100)))]  # fmt: skip
    made = post(client, f"/parcels/{GOOD}/split", pieces=pieces, crs="EPSG:4545")
    assert [one["area_m2"] for one in made.json()["opened"]] == [5_000.0, 5_000.0]


def test_a_page_of_parcels_is_bounded_and_goes_on(client):
    split(client)
    whole = client.get("/parcels").json()
    assert whole["numberReturned"] == 4
    assert whole["next"] is None
    first = client.get("/parcels", params={"limit": 3}).json()
    rest = client.get("/parcels", params={"limit": 3, "after": first["next"]}).json()
    assert [one["id"] for one in [*first["features"], *rest["features"]]] == [one["id"] for one in whole["features"]]
    west, south, east, north = shapely.geometry.shape(lonlat(box(5, 5, 30, 30))).bounds
    window = {"bbox": f"{west},{south},{east},{north}"}
    answer = client.get("/parcels", params=window)
    assert answer.headers["content-type"] == "application/geo+json"
    assert [one["id"] for one in answer.json()["features"]] == [WEST]
    then = client.get("/parcels", params={**window, "as_of": YESTERDAY}).json()
    assert [one["id"] for one in then["features"]] == [GOOD]
    assert client.get("/parcels", params={**window, "known": YESTERDAY}).json()["features"] == []
    for bad in (
        "1,2,3",
        "a,b,c,d",
        "108,28,107,29",
        "nan,0,1,1",
        "0,0,1,91",
        "108,28,108,28",
        "108,28,108,29",
        "108,28,109,28",
    ):
        is_problem(client.get("/parcels", params={"bbox": bad}), 422, "bad-input")
    is_problem(client.get("/parcels", params={"limit": 5_000}), 422, "invalid-request")


def test_of_two_who_split_a_parcel_one_is_told_409(client):
    with ThreadPoolExecutor(2) as pool:
        asked = [(WEST, RIGHT), ("520625001001GB00021", "520625001001GB00022")]
        answers = list(pool.map(lambda ids: split(client, ids=ids), asked))
    assert sorted(one.status_code for one in answers) == [201, 409]
    late = next(one for one in answers if one.status_code == 409)
    assert is_problem(late, 409, "stale")["parcel_id"] == GOOD
    assert client.get("/parcels").json()["numberReturned"] == 4


def test_who_read_before_the_boundary_moved_is_told_409(client):
    split(client)
    seen = client.get(f"/parcels/{WEST}").json()["seq"]
    post(client, f"/parcels/{WEST}/adjust", **{"with": [RIGHT]}, boundary=line((60, -1), (60, 101)))
    is_problem(post(client, f"/parcels/{WEST}/retire", seen=seen), 409, "stale")


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110))}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST]}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "pieces": []}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "typo": 1}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "document": None}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "attributes": {"x": {}}}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "attributes": {WEST: {"name": [1]}}}, "invalid-request"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "crs": "/etc/passwd"}, "invalid-request"),
    ({"cut": {"type": "Point", "coordinates": [1, 2]}, "ids": [WEST, RIGHT]}, "invalid-request"),
    ({"cut": {"type": "LineString", "coordinates": [[28, 108], [28.1, 108]]}, "ids": [WEST, RIGHT]}, "bad-input"),
    ({"cut": {"type": "LineString", "coordinates": [[108.6, 28], [108.6, 28]]}, "ids": [WEST, RIGHT]}, "bad-input"),
    ({"cut": line((140, -10), (140, 110)), "ids": [WEST, RIGHT]}, "bad-input"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, "短"]}, "bad-input"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, FARM]}, "bad-input"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "effective_on": "2999-01-01"}, "bad-input"),
    ({"cut": line((40, -10), (40, 110)), "ids": [WEST, RIGHT], "effective_on": "2026-01-04"}, "bad-input"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "slug"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_split_so_is_a_problem_and_nothing_is_kept(reader, body, slug):
    asked = {key: value for key, value in {"document": PAPER, **body}.items() if value is not None}
    answer = reader.post(f"/parcels/{GOOD}/split", json=asked, headers={"Authorization": "Bearer demo-reviewer"})
    is_problem(answer, 422, slug)
    assert reader.get("/parcels").json()["numberReturned"] == 3


def test_only_the_reviewer_may_and_it_is_in_the_audit_log(client, path):
    for key in ("demo-viewer", "demo-consumer", "demo-planner", "demo-auditor", "demo-system", "demo-security"):
        is_problem(post(client, f"/parcels/{GOOD}/retire", key=key), 403, "forbidden")
    split(client)
    access = Access(path)
    rows = access.audit(limit=100_000)
    access.close()
    (row,) = [one for one in rows if one["action"] == "parcels-split"]
    assert (row["actor"], row["subject"]) == ("demo-reviewer", GOOD)
    assert WEST in row["outcome"]
    assert PAPER["number"] in row["outcome"]


@pytest.mark.parametrize("number", [0, 2**63, 2**70])
def test_a_number_that_no_event_can_have_is_told_so(reader, number):
    is_problem(post(reader, "/parcels/restore", event=number), 422, "invalid-request")
    is_problem(post(reader, f"/parcels/{GOOD}/retire", seen=number), 422, "invalid-request")


# --- checks and maps ---------------------------------------------------------------------------------


def check(client: TestClient, site: dict[str, Any], **body: Any) -> Any:
    return post(client, "/checks", project=TEA, site=site, **body)


def test_a_check_names_parcels_as_they_stand_and_as_they_stood(client):
    before = check(client, {"parcels": [GOOD]}).json()
    split(client)
    gone = is_problem(check(client, {"parcels": [GOOD]}), 404, "not-found")
    assert WEST in gone["detail"]
    both = check(client, {"parcels": [WEST, RIGHT]}).json()
    assert both["site"]["area_m2"] == before["site"]["area_m2"] == 10_000.0
    assert both["verdict"] == before["verdict"]
    then = check(client, {"parcels": [GOOD]}, as_of=YESTERDAY)
    assert (then.status_code, then.json()["site"]["area_m2"]) == (201, 10_000.0)
    is_problem(check(client, {"parcels": [WEST]}, as_of=YESTERDAY), 404, "not-found")


def test_what_is_measured_on_parcels_reads_them_as_they_became(client, path):
    site = {"geometry": lonlat(box(0, 0, 100, 100))}
    labels = [check(client, site).json()["layer_versions"].get("parcels")]
    split(client)
    labels.append(check(client, site).json()["layer_versions"].get("parcels"))
    store = GeoPackage(path)
    wanted = [layer.label for layer in store.versions("parcels")]
    store.close()
    assert labels[0] in (*wanted, None)  # null where no rule of the purpose reads the parcels
    assert labels[1] is None or "+" in labels[1]
    assert labels[0] != labels[1] or labels == [None, None]


def test_plots_are_sites_as_good_as_parcels(reader):
    whole = check(reader, {"parts": [{"plot": "收储1号"}]}).json()
    assert whole["site"]["area_m2"] == 6_400.0
    assert whole["site"]["parts"][0]["plot"] == "收储1号"
    part = {"plot": "收储1号", "geometry": lonlat(box(40, 300, 80, 380))}
    mixed = check(reader, {"parts": [part, {"parcel": GOOD}]}).json()
    assert mixed["site"]["area_m2"] == pytest.approx(13_200, abs=0.1)
    assert "no plot 收储2号" in is_problem(check(reader, {"parts": [{"plot": "收储2号"}]}), 404, "not-found")["detail"]
    is_problem(check(reader, {"parts": [{"plot": "收储1号", "parcel": GOOD}]}), 422, "invalid-request")
    for beyond in (box(500, 0, 600, 100), box(40, 290, 200, 400)):
        away = {"plot": "收储1号", "geometry": lonlat(beyond)}
        is_problem(check(reader, {"parts": [away]}), 422, "bad-input")


def test_the_map_of_a_parcel_shows_what_it_came_of_and_any_day(client):
    split(client)
    page = client.get(f"/maps/parcels/{WEST}")
    assert page.status_code == 200
    assert written("前宗地") in page.text
    assert GOOD in page.text
    is_problem(client.get(f"/maps/parcels/{GOOD}"), 404, "not-found")
    then = client.get(f"/maps/parcels/{GOOD}", params={"as_of": YESTERDAY})
    assert then.status_code == 200
    assert f"宗地 {GOOD}（{YESTERDAY}）" in then.text
    assert written("后续宗地") in then.text
    assert WEST in then.text


def written(text: str) -> str:
    """Text as it stands in a page's script."""
    return json.dumps(text).strip('"')
