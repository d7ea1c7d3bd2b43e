"""A layer comes in by two people: one sends the file, another lets it in; and what changed by it can be seen."""

import io
import json
import zipfile

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from layers.gpkg import GeoPackage
from tests.api.test_service import is_problem, lonlat
from tests.counties import EAST, EXTENT, FARM, GOOD, NORTH, found_county

ONE = {"Authorization": "Bearer demo-reviewer"}
TWO = {"Authorization": "Bearer demo-reviewer-2"}


@pytest.fixture
def county(tmp_path):
    path = tmp_path / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def client(county):
    app = create_app(Settings(county=county))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def farmland(tmp_path, *boxes, crs=4545):
    """A GeoPackage of boxes at (west, south, east, north) from the county's corner."""
    path = tmp_path / "基本农田.gpkg"
    ground = [shapely.box(EAST + w, NORTH + s, EAST + e, NORTH + n) for w, s, e, n in boxes]
    frame = gpd.GeoDataFrame({"BSM": [f"F{n}" for n in range(len(boxes))]}, geometry=ground, crs=4545)
    pyogrio.write_dataframe(frame.to_crs(crs), path)
    return path


def send(client, path, headers=ONE, role="basic_farmland", **fields):
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    with path.open("rb") as file:
        return client.post(f"/layers/{role}", files={"file": (path.name, file)}, data=fields, headers=headers)


def whole():
    return lonlat(EXTENT)


def test_a_file_waits_for_a_second_person_and_then_counts(client, tmp_path):
    sent = send(client, farmland(tmp_path, (0, 0, 50, 50)), extent=whole(), vintage="2025", accuracy_m=0.5)
    assert sent.status_code == 202, sent.text
    body = sent.json()
    assert (body["state"], body["by"], body["file"]) == ("pending", "demo-reviewer", "基本农田.gpkg")
    assert body["report"]["loaded"] == body["report"]["features_in"] == 1
    assert body["report"]["fields"]["id"] == "BSM"
    where = sent.headers["location"]
    before = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [GOOD]}}).json()
    assert before["verdict"] == "clear"

    done = client.post(f"{where}/approve", headers=TWO)
    assert done.status_code == 200, done.text
    assert done.json()["state"] == "stored"
    after = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [GOOD]}}).json()
    assert after["verdict"] == "blocked"
    assert after["layer_versions"]["basic_farmland"] == done.json()["layer"]
    (row,) = [one for one in client.get("/layers").json()["layers"] if one["role"] == "basic_farmland"]
    assert (row["version"], row["vintage"]) == (2, "2025")
    assert [one["version"] for one in client.get("/layers/basic_farmland/versions").json()["versions"]] == [1, 2]


def test_the_one_who_sent_it_may_not_let_it_in(client, tmp_path):
    where = send(client, farmland(tmp_path, (0, 0, 50, 50))).headers["location"]
    is_problem(client.post(f"{where}/approve", headers=ONE), 403, "forbidden")
    assert client.get(where).json()["state"] == "pending"
    assert client.post(f"{where}/reject", json={"reason": "发错了"}, headers=ONE).json()["state"] == "rejected"


def test_an_import_is_decided_once(client, tmp_path):
    where = send(client, farmland(tmp_path, (0, 0, 50, 50))).headers["location"]
    assert client.post(f"{where}/reject", json={"reason": "旧版"}, headers=TWO).status_code == 200
    is_problem(client.post(f"{where}/approve", headers=TWO), 409, "stale")
    assert [one["version"] for one in client.get("/layers/basic_farmland/versions").json()["versions"]] == [1]


def test_a_file_that_was_exchanged_meanwhile_is_not_let_in(client, county, tmp_path):
    where = send(client, farmland(tmp_path, (0, 0, 50, 50))).headers["location"]
    (kept,) = county.with_suffix(".inbox").glob("*/*.gpkg")
    kept.write_bytes(farmland(tmp_path, (0, 0, 1, 1)).read_bytes())
    is_problem(client.post(f"{where}/approve", headers=TWO), 409, "stale")


def test_a_file_that_cannot_be_read_leaves_nothing(client, county, tmp_path):
    path = tmp_path / "broken.gpkg"
    path.write_bytes(b"SQLite format 3\0 and then nothing of the kind")
    body = is_problem(send(client, path), 422, "bad-input")
    assert "broken.gpkg" in json.dumps(body)
    assert not list(county.with_suffix(".inbox").glob("*/*"))
    assert client.get("/imports").json() == {"imports": []}


def test_every_fault_of_a_file_is_in_the_answer(client, tmp_path):
    path = farmland(tmp_path, (0, 0, 50, 50), (60, 0, 90, 50))
    frame = pyogrio.read_dataframe(path)
    frame.loc[1, "geometry"] = shapely.Polygon(
        [(EAST, NORTH), (EAST + 9, NORTH + 9), (EAST + 9, NORTH), (EAST, NORTH + 9)]
    )
    pyogrio.write_dataframe(frame, path)
    report = send(client, path).json()["report"]
    assert report["features_in"] == 2
    assert report["loaded"] == 1
    assert report["rejected"]["count"] == 1
    assert report["rejected"]["first"][0]["feature"] == "F1"


def test_secret_layers_are_refused(client, tmp_path):
    is_problem(send(client, farmland(tmp_path, (0, 0, 5, 5)), classification="秘密"), 422, "bad-input")


@pytest.mark.parametrize(
    "bad", [{"crss": "EPSG:4545"}, {"accuracy_m": "NaN"}, {"fields": "{"}, {"fields": {"nosuch": "BSM"}}]
)
def test_wrong_options_are_named(client, tmp_path, bad):
    answer = send(client, farmland(tmp_path, (0, 0, 5, 5)), **bad)
    assert answer.status_code == 422
    assert next(iter(bad)) in answer.text or "nosuch" in answer.text


def test_a_name_that_means_a_path_stays_a_name(client, county, tmp_path):
    path = farmland(tmp_path, (0, 0, 5, 5))
    files = {"file": ("../../../evil.gpkg", path.read_bytes())}
    made = client.post("/layers/basic_farmland", files=files, headers=ONE)
    assert made.json()["file"] == "evil.gpkg"
    assert not list(county.parent.parent.glob("evil*"))


def test_the_difference_of_two_versions(client, county, tmp_path):
    store = GeoPackage(county)
    old = store.frame("basic_farmland")
    store.close()
    path = tmp_path / "v2.gpkg"
    grown = gpd.GeoDataFrame(
        {"id": [old["id"][0], "new"], "name": ["乙片", "丙片"]},
        geometry=[
            shapely.union(old.geometry[0], shapely.box(*_stripe(old))),
            shapely.box(EAST, NORTH, EAST + 50, NORTH + 20),
        ],
        crs=4545,
    )
    pyogrio.write_dataframe(grown, path)
    where = send(client, path, extent=whole()).headers["location"]
    assert client.post(f"{where}/approve", headers=TWO).status_code == 200
    found = client.get("/layers/basic_farmland/diff").json()
    assert found["counts"] == {"added": 1, "gone": 0, "ground": 0, "attributes": 0, "ground+attributes": 1, "same": 0}
    first = found["changes"][0]
    assert first["fields"]["name"] == ["甲片基本农田", "乙片"]
    assert first["moved_m2"] == pytest.approx(10 * (old.total_bounds[3] - old.total_bounds[1]), abs=0.01)
    assert found["changes"][1]["new_m2"] == 1_000
    assert found["more"] == 0
    page = client.get("/maps/layers/basic_farmland/diff")
    assert page.status_code == 200
    assert "change_ground" in page.text
    assert "合成数据" in page.text, "the older version was made up"
    is_problem(client.get("/layers/basic_farmland/diff?from=7"), 404, "not-found")


def _stripe(frame):
    _west, south, east, north = frame.total_bounds
    return east, south, east + 10, north


# --- uploads ---------------------------------------------------------------------------------------


def upload(client, path, **fields):
    with path.open("rb") as file:
        return client.post("/uploads", files={"file": (path.name, file)}, data=fields)


def zipped_shapefile(tmp_path, *boxes):
    frame = pyogrio.read_dataframe(farmland(tmp_path, *boxes))
    frame["名称"] = [f"地块{n}" for n in range(len(frame))]
    pyogrio.write_dataframe(frame, tmp_path / "范围.shp", encoding="GB18030")
    packed = tmp_path / "boundary.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for part in tmp_path.glob("范围.*"):
            if part.suffix != ".cpg":
                archive.write(part, f"报件/{part.name}")
    return packed


def test_a_boundary_is_read_shown_and_checked(client, tmp_path):
    made = upload(client, zipped_shapefile(tmp_path, (0, 0, 100, 50), (0, 50, 100, 100)))
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["usable"]
    assert body["faults"] == []
    assert body["found"]["encoding"] == "GB18030"
    assert "CGCS2000" in body["found"]["crs"]
    assert body["area_m2"] == 10_000
    assert body["area_mu"] == 15
    assert [one["attributes"]["名称"] for one in body["features"]] == ["地块0", "地块1"]
    assert client.get(made.headers["location"]).json() == body
    checked = client.post("/checks", json={"project_id": "TEA", "site": {"upload": body["id"]}}).json()
    parcel = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [GOOD]}}).json()
    assert checked["facts"] == parcel["facts"]
    assert len(checked["site"]["parts"]) == 2


def test_a_boundary_with_a_fault_is_shown_and_not_checked(client, tmp_path):
    path = farmland(tmp_path, (0, 0, 50, 50), (60, 0, 90, 50))
    frame = pyogrio.read_dataframe(path)
    frame.loc[1, "geometry"] = shapely.Polygon(
        [(EAST, NORTH), (EAST + 9, NORTH + 9), (EAST + 9, NORTH), (EAST, NORTH + 9)]
    )
    pyogrio.write_dataframe(frame, path)
    body = upload(client, path).json()
    assert not body["usable"]
    assert len(body["faults"]) == 1
    is_problem(client.post("/checks", json={"project_id": "TEA", "site": {"upload": body["id"]}}), 422, "bad-input")


def test_an_upload_nobody_sent_is_not_found(client):
    is_problem(client.post("/checks", json={"project_id": "TEA", "site": {"upload": "0" * 23}}), 404, "not-found")


def test_a_boundary_without_a_reference_system_asks_for_it(client, tmp_path):
    path = tmp_path / "no-crs.gpkg"
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(EAST, NORTH, EAST + 9, NORTH + 9)])
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.write_dataframe(frame, path)
    is_problem(upload(client, path), 422, "crs-needed")
    assert upload(client, path, crs="EPSG:4545").json()["area_m2"] == 81


def test_an_empty_form_and_a_nameless_file_are_refused(client):
    assert client.post("/uploads", data={"crs": "EPSG:4545"}).status_code == 422
    assert client.post("/uploads", files={"file": ("...", io.BytesIO(b"x"))}).status_code == 422


def test_a_file_larger_than_the_limit_is_refused(county, tmp_path):
    app = create_app(Settings(county=county, max_upload_bytes=1_000))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        is_problem(upload(client, farmland(tmp_path, (0, 0, 5, 5))), 413, "too-large")


def test_too_many_readers_are_asked_to_come_again(county, tmp_path):
    app = create_app(Settings(county=county, max_readers=1, reader_wait_s=0.01))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        with app.state.county.reading():
            answer = is_problem(upload(client, farmland(tmp_path, (0, 0, 5, 5))), 503, "busy")
        assert answer
        assert upload(client, farmland(tmp_path, (0, 0, 5, 5))).status_code == 201


def test_parcels_named_by_other_files_keep_their_ground(client):
    """The fixtures' farmland is where the tests think it is."""
    body = client.post("/checks", json={"project_id": "TEA", "site": {"parcels": [FARM]}}).json()
    assert body["verdict"] == "blocked"
    assert np.isclose(body["facts"]["basic_farmland_m2"], 10_000)


# --- what a hostile reader found -----------------------------------------------------------------------


def test_ground_outside_the_parcel_it_names_is_refused_not_cut_off(client):
    over = lonlat(shapely.box(EAST, NORTH, EAST + 100, NORTH + 300))
    body = {"project_id": "TEA", "site": {"parts": [{"parcel": GOOD, "geometry": over}]}}
    assert "20,000" in json.dumps(is_problem(client.post("/checks", json=body), 422, "bad-input"))
    within = lonlat(shapely.box(EAST, NORTH, EAST + 100, NORTH + 50))
    body["site"] = {"parts": [{"parcel": GOOD, "geometry": within}]}
    assert client.post("/checks", json=body).json()["site"]["area_m2"] == 5_000


def test_a_plot_whose_id_stands_twice_is_not_guessed(client, tmp_path):
    path = tmp_path / "plots.gpkg"
    ground = [shapely.box(EAST, NORTH, EAST + 50, NORTH + 50), shapely.box(EAST, NORTH + 200, EAST + 50, NORTH + 250)]
    pyogrio.write_dataframe(gpd.GeoDataFrame({"id": ["X", "X"]}, geometry=ground, crs=4545), path)
    where = send(client, path, role="plots").headers["location"]
    assert client.post(f"{where}/approve", headers=TWO).status_code == 200
    asked = {"project_id": "TEA", "site": {"parts": [{"plot": "X"}]}}
    assert "twice" in json.dumps(is_problem(client.post("/checks", json=asked), 422, "bad-input"))


def test_a_boundary_that_overlaps_itself_is_not_usable(client, tmp_path):
    body = upload(client, farmland(tmp_path, (0, 0, 100, 100), (40, 40, 60, 60))).json()
    assert not body["usable"]
    assert "400.0 m2" in json.dumps(body["faults"])


def test_an_approval_cut_short_is_finished_not_repeated(client, county, tmp_path):
    where = send(client, farmland(tmp_path, (0, 0, 50, 50)), extent=whole()).headers["location"]
    pending = client.get(where).json()
    assert client.post(f"{where}/approve", headers=TWO).status_code == 200
    store = GeoPackage(county)
    store.save("import", pending["id"], pending)  # as it would be had the process ended between the two writes
    store.close()
    is_problem(client.post(f"{where}/reject", json={"reason": "x"}, headers=TWO), 409, "stale")
    assert client.post(f"{where}/approve", headers=TWO).json()["state"] == "stored"
    assert [one["version"] for one in client.get("/layers/basic_farmland/versions").json()["versions"]] == [1, 2]


RING = [[108.6, 28.0], [108.7, 28.0], [108.7, 28.1], [108.6, 28.1]]


@pytest.mark.parametrize(
    "bad",
    [
        {"fields": "[" * 100_000},
        {"extent": {"type": "Polygon", "coordinates": [RING]}},
        {"extent": {"type": "Polygon", "coordinates": [[RING[0], RING[2], RING[1], RING[3], RING[0]]]}},
        {"extent": {"type": "Polygon", "coordinates": [[[1e308, 1e308], [1, 2], [3, 4], [1e308, 1e308]]]}},
        {"encoding": "\0"},
        {"accuracy_m": "1000"},
    ],
    ids=["nested", "unclosed", "bow tie", "far", "encoding", "accuracy"],
)
def test_options_that_cannot_be_meant_are_answered(client, county, tmp_path, bad):
    answer = send(client, farmland(tmp_path, (0, 0, 5, 5)), **bad)
    assert answer.status_code == 422, answer.text
    assert not list(county.with_suffix(".inbox").glob("*"))


@pytest.mark.parametrize("name", ["..", ".", "x" * 300])
def test_a_name_that_is_none_leaves_no_folder(client, county, name):
    assert client.post("/uploads", files={"file": (name, io.BytesIO(b"x"))}).status_code == 422
    assert not list(county.with_suffix(".inbox").glob("*"))
