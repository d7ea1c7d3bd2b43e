"""The service as a client sees it: answers by the contract, problems that say what to do, and it stays up."""

import json

import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from shapely.geometry import mapping

from api.app import create_app
from api.settings import Settings
from layers.access import Access
from layers.crs import LONLAT, parse_cached, transform, working
from layers.errors import Refused, UnknownName
from tests.counties import EAST, FARM, GOOD, NORTH, TEA, found_county

HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def county(tmp_path_factory):
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


@pytest.fixture(scope="module")
def client(county):
    with TestClient(create_app(Settings(county=county)), base_url=HERE, raise_server_exceptions=False) as client:
        yield client


def lonlat(geometry):
    return mapping(transform(np.array([geometry]), working("EPSG:4545"), parse_cached(LONLAT))[0])


def box(west, south, east, north):
    return shapely.box(EAST + west, NORTH + south, EAST + east, NORTH + north)


def post(client, path="/checks", **body):
    return client.post(path, json=body)


def is_problem(response, status, slug):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert body["detail"]
    assert body["fix"]
    return body


# --- answers ---------------------------------------------------------------------------------------


def test_a_good_parcel_is_clear_and_the_answer_is_kept(client):
    made = post(client, project_id="TEA", site={"parcels": [GOOD]})
    assert made.status_code == 201
    body = made.json()
    assert body["verdict"] == "clear", [f for f in body["findings"] if f["status"] not in ("pass", "exempt")]
    assert body["conclusion"]["zh"] == "系统初审：符合"
    assert made.headers["location"] == f"/checks/{body['id']}"
    assert client.get(made.headers["location"]).json() == body
    assert body["site"]["area_m2"] == 10_000.0
    assert body["site"]["area_mu"] == 15.0
    assert 0 < body["site"]["area_m2"] - body["site"]["area_ellipsoid_m2"] < 2
    assert body["site"]["zones"] == [{"zone": "zones-1", "share": 1.0}]
    assert body["quota_need"]["new_construction_m2"] == 0.0
    assert body["land_use"][0]["code"] == "0601"
    assert body["layer_versions"]["basic_farmland"].startswith("basic_farmland@1:")
    keys = {"rule", "status", "severity", "scope", "value", "limit", "unit", "margin", "basis", "edition", "authority"}
    keys |= {"verified", "layer", "layer_version", "message", "remedy", "evidence"}
    assert all(keys <= finding.keys() for finding in body["findings"])


def test_a_blocked_parcel_is_an_answer_not_an_error(client):
    made = post(client, project=TEA, site={"parcels": [FARM]})
    assert made.status_code == 201
    body = made.json()
    assert body["verdict"] == "blocked"
    (finding,) = [f for f in body["findings"] if f["rule"] == "farmland.basic"]
    assert finding["status"] == "fail"
    assert finding["value"] == pytest.approx(10_000)
    assert finding["features"] == ["甲片基本农田"]
    lon, lat = shapely.from_geojson(json.dumps(finding["evidence"])).centroid.coords[0]
    assert (lon, lat) == pytest.approx((108.61, 28.05), abs=0.05)


@pytest.mark.parametrize("crs", [None, "EPSG:4545", "EPSG:4524"])
def test_a_drawn_boundary_gives_the_parcels_answer(client, crs):
    ground = box(0, 0, 100, 100)
    site = {"geometry": lonlat(ground)}
    if crs == "EPSG:4545":
        site = {"geometry": mapping(ground), "crs": crs}
    if crs == "EPSG:4524":
        site = {"geometry": mapping(shapely.transform(ground, lambda xy: np.add(xy, (36_000_000, 0)))), "crs": crs}
    drawn = post(client, project_id="TEA", site=site).json()
    parcel = post(client, project_id="TEA", site={"parcels": [GOOD]}).json()
    assert drawn["verdict"] == parcel["verdict"]
    assert drawn["site"]["area_m2"] == pytest.approx(parcel["site"]["area_m2"], rel=1e-6)


def test_several_parts_are_one_site(client):
    parts = [{"parcel": GOOD}, {"geometry": lonlat(box(300, 0, 350, 100))}]
    body = post(client, project_id="TEA", site={"parts": parts}).json()
    assert len(body["site"]["parts"]) == 2
    assert body["site"]["parts"][0]["parcel"] == GOOD
    assert body["site"]["area_m2"] == pytest.approx(15_000, abs=0.1)


def test_a_part_of_a_parcel_is_the_ground_that_is_drawn_in_it(client):
    parts = [{"parcel": GOOD, "geometry": lonlat(box(50, 0, 100, 50))}]
    body = post(client, project_id="TEA", site={"parts": parts}).json()
    assert body["site"]["area_m2"] == pytest.approx(2_500, abs=0.1)


def test_a_batch_is_answered_in_order_and_equals_single_checks(client):
    sites = [{"parcels": [FARM]}, {"parcels": [GOOD]}, {"geometry": lonlat(box(0, 0, 90, 90))}]
    answered = post(client, "/checks/batch", project_id="TEA", sites=sites)
    assert answered.status_code == 200
    for site, one in zip(sites, answered.json()["checks"], strict=True):
        single = post(client, project_id="TEA", site=site).json()
        same = ("verdict", "findings", "facts", "facts_digest", "land_use", "occupation")
        assert {key: one[key] for key in same} == {key: single[key] for key in same}


def test_purpose_and_year_are_honoured(client):
    body = post(client, project_id="TEA", site={"parcels": [GOOD]}, purpose="supply", for_year=2030).json()
    assert body["purpose"] == "supply"
    assert body["for_year"] == 2030
    assert "indicator.coverage" in {finding["rule"] for finding in body["findings"]}


def test_as_of_a_day_before_the_layers_came_nothing_is_known(client):
    body = post(client, project_id="TEA", site={"parcels": [GOOD]}, as_of="2020-01-01").json()
    assert body["verdict"] == "undetermined"
    assert body["layer_versions"] == {"placed": "placed@0:ledger-00000"}  # of the books it is known: nobody held any


def test_the_catalogue_says_what_is_loaded_and_what_is_missing(client):
    body = client.get("/layers").json()
    loaded = {one["role"]: one for one in body["layers"]}
    assert loaded["parcels"]["features"] == 3
    assert loaded["parcels"]["synthetic"] is True
    assert loaded["parcels"]["extent"]["type"] == "Polygon"
    assert {"dem", "roads"} <= loaded.keys()
    assert "plan_zoning" in {one["role"] for one in body["missing"]}
    assert body["crs"] == "EPSG:4545"


def test_a_parcels_dossier(client):
    body = client.get(f"/parcels/{FARM}").json()
    assert body["id"] == FARM
    assert body["attributes"]["name"] == "二号地"
    (farmland,) = [row for row in body["occupation"]["control_lines"] if row["feature"] == "basic_farmland-1"]
    assert farmland["area_m2"] == 10_000.0


def test_the_report_as_geojson(client):
    made = post(client, project_id="TEA", site={"parcels": [FARM]}).json()
    report = client.get(f"/checks/{made['id']}/report.geojson")
    assert report.headers["content-type"] == "application/geo+json"
    assert report.json()["features"][0]["properties"]["verdict"] == "blocked"


@pytest.mark.parametrize(
    "path", ["/maps/overview", "/maps/zones/zones-1", f"/maps/parcels/{GOOD}", "/", "/docs", "/problems/bad-input"]
)
def test_pages_come_from_this_process_alone(client, path):
    page = client.get(path)
    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    without_namespaces = page.text.replace("http://www.w3.org", "")
    assert "http://" not in without_namespaces
    assert "https://" not in without_namespaces


def test_a_check_has_its_map(client):
    made = post(client, project_id="TEA", site={"parcels": [FARM]}).json()
    page = client.get(f"/maps/checks/{made['id']}")
    assert page.status_code == 200
    assert "占用永久基本农田" in page.text
    assert "合成数据 synthetic data" in page.text


def test_names_with_html_are_text_on_the_map(client):
    page = client.get("/maps/overview").text
    assert "<b>三号地" not in page
    assert "${1+1}" not in page


def test_health_readiness_metrics_and_openapi(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    assert set(ready["sandbox"]) == {"landlock", "files", "network", "limits"}
    assert "parkplan_answers_total" in client.get("/metrics").text
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/checks", "/checks/batch", "/layers", "/parcels/{parcel_id}"} <= document["paths"].keys()


def test_a_project_can_be_written_and_read(client):
    body = {"name": "包装袋", "land_m2": 5000, "industry": {"code": "C2923"}}
    assert client.put("/projects/BAGS", json=body).status_code == 200
    assert client.get("/projects/BAGS").json()["name"] == "包装袋"
    assert {"TEA", "BAGS"} <= {one["id"] for one in client.get("/projects").json()["projects"]}


# --- bad input -------------------------------------------------------------------------------------

SITE = {"parcels": [GOOD]}
SQUARE = [[108.6, 28.0], [108.601, 28.0], [108.601, 28.001], [108.6, 28.0]]
BAD = [
    ({"project": {"id": "x"}, "site": SITE}, 422, "invalid-request"),
    ({"project": {**TEA, "land_m2": -1}, "site": SITE}, 422, "invalid-request"),
    ({"project": {**TEA, "power_kva": "lots"}, "site": SITE}, 422, "invalid-request"),
    ({"project": {**TEA, "typo": 1}, "site": SITE}, 422, "invalid-request"),
    ({"project": {"land_m2": 10}, "site": SITE}, 422, "invalid-request"),
    ({"project": {**TEA, "land_min_m2": 9, "land_max_m2": 8}, "site": SITE}, 422, "invalid-request"),
    ({"project": {**TEA, "industry": {"code": "1599"}}, "site": SITE}, 422, "bad-input"),
    ({"project": {**TEA, "industry": {"code": "hello"}}, "site": SITE}, 422, "invalid-request"),
    ({"project": TEA, "project_id": "TEA", "site": SITE}, 422, "bad-input"),
    ({"site": SITE}, 422, "bad-input"),
    ({"project_id": "nobody", "site": SITE}, 404, "not-found"),
    ({"project": TEA}, 422, "invalid-request"),
    ({"project": TEA, "site": {}}, 422, "invalid-request"),
    ({"project": TEA, "site": {"parcels": []}}, 422, "invalid-request"),
    ({"project": TEA, "site": {"parcels": ["no such parcel"]}}, 404, "not-found"),
    (
        {"project": TEA, "site": {"parcels": [GOOD], "geometry": None, "parts": [{"parcel": GOOD}]}},
        422,
        "invalid-request",
    ),
    ({"project": TEA, "site": {"parcels": [GOOD, GOOD]}}, 422, "bad-input"),
    ({"project": TEA, "site": {"geometry": {"type": "Point", "coordinates": [108.6, 28.0]}}}, 422, "invalid-request"),
    ({"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": []}}}, 422, "invalid-request"),
    ({"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [SQUARE[:3]]}}}, 422, "invalid-request"),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [[*SQUARE[:3], [108.7, 28.1]]]}}},
        422,
        "bad-input",
    ),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [[p[::-1] for p in SQUARE]]}}},
        422,
        "bad-input",
    ),
    (
        {
            "project": TEA,
            "site": {
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[108.6, 28], [108.7, 28.1], [108.7, 28], [108.6, 28.1], [108.6, 28]]],
                }
            },
        },
        422,
        "bad-input",
    ),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [[[1e308, 1e308]] * 4]}}},
        422,
        "bad-input",
    ),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [[[108.6, 28.0]] * 4]}}},
        422,
        "bad-input",
    ),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [SQUARE]}, "crs": "EPSG:2360"}},
        422,
        "bad-input",
    ),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [SQUARE]}, "crs": "EPSG:999999"}},
        422,
        "bad-input",
    ),
    (
        {"project": TEA, "site": {"geometry": {"type": "Polygon", "coordinates": [SQUARE]}, "crs": "/etc/passwd"}},
        422,
        "invalid-request",
    ),
    ({"project": TEA, "site": SITE, "purpose": "fun"}, 422, "invalid-request"),
    ({"project": TEA, "site": SITE, "for_year": 99999}, 422, "invalid-request"),
    ({"project": TEA, "site": SITE, "as_of": "yesterday"}, 422, "invalid-request"),
]


@pytest.mark.parametrize(("body", "status", "slug"), BAD, ids=range(len(BAD)))
def test_bad_input_is_a_problem_with_its_fix(client, body, status, slug):
    is_problem(post(client, **body), status, slug)
    assert client.get("/healthz").status_code == 200


def test_every_fault_of_a_request_is_named(client):
    body = is_problem(post(client, project={"id": "x", "land_m2": 0, "jobs": -1}, site={}), 422, "invalid-request")
    assert {"project.land_m2", "project.jobs"} <= {one["field"] for one in body["errors"]}


def test_an_unknown_industry_is_answered_with_its_neighbours(client):
    body = is_problem(post(client, project={**TEA, "industry": {"code": "1599"}}, site=SITE), 422, "bad-input")
    assert "15" in body["errors"][0]["fix"]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 422),
        (b"not json", 400),
        (b'{"project": ', 400),
        (b'{"project": {"id": "x", "land_m2": NaN}, "site": {"parcels": ["a"]}}', 422),
        (b'{"project": {"id": "x", "land_m2": 1e999}, "site": {"parcels": ["a"]}}', 422),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
        (b"\xff\xfe\x00", 400),
        (b"{'project': 1}", 400),
    ],
    ids=["empty", "text", "cut", "nan", "inf", "deep list", "deep object", "bytes", "quotes"],
)
def test_bodies_that_are_no_json_or_worse(client, raw, status):
    response = client.post("/checks", content=raw, headers={"content-type": "application/json"})
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/healthz").status_code == 200


def test_a_boundary_of_too_many_vertices_is_refused(client):
    ring = [[108.6 + n * 1e-8, 28.0 + (n % 2) * 1e-3] for n in range(25_000)]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    is_problem(post(client, project=TEA, site={"geometry": geometry}), 413, "too-large")


def test_a_ten_million_vertex_body_is_refused_unread(client):
    huge = b'{"x":"' + b"1" * (9 * 2**20) + b'"}'
    is_problem(client.post("/checks", content=huge, headers={"content-type": "application/json"}), 413, "too-large")

    def drops():
        for _ in range(200):
            yield b" " * 2**16

    is_problem(client.post("/checks", content=drops(), headers={"content-type": "application/json"}), 413, "too-large")


def test_too_many_sites_are_refused(client):
    is_problem(post(client, "/checks/batch", project=TEA, sites=[SITE] * 1_001), 413, "too-large")


@pytest.mark.parametrize("path", ["/nope", "/checks/nope", "/parcels/nope", "/maps/zones/nope", "/problems/nope"])
def test_what_is_not_there_is_a_problem_too(client, path):
    is_problem(client.get(path), 404, "not-found")


def test_a_method_that_is_not_offered_is_a_problem(client):
    is_problem(client.delete("/checks"), 405, "method-not-allowed")


def test_half_the_county_is_not_one_site(client):
    wide = {"geometry": lonlat(box(-9_000, -9_000, 9_000, 9_000))}
    is_problem(post(client, project=TEA, site=wide), 413, "too-large")
    each = {"geometry": lonlat(box(-2_000, -2_000, 2_000, 2_000))}
    is_problem(post(client, "/checks/batch", project=TEA, sites=[each] * 10), 413, "too-large")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"project_id": "TEA", "site": {"parcels": ["\\ud800"]}}',
        b'{"project_id": "\\ud800", "site": {"parcels": ["a"]}}',
    ],
)
def test_half_a_character_is_no_text(client, raw):
    answer = client.post("/checks", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_part_that_leaves_its_parcel_elsewhere_is_refused(client):
    ground = box(0, 0, 50, 50).union(box(100, 50, 150, 90))  # the second square only shares an edge with the parcel
    sent = post(client, project_id="TEA", site={"parts": [{"parcel": GOOD, "geometry": lonlat(ground)}]})
    assert "2,000" in json.dumps(is_problem(sent, 422, "bad-input"))


def test_a_site_sent_back_gets_the_same_answer(client):
    first = post(client, project=TEA | {"land_m2": 10_000}, site={"parcels": [GOOD]}).json()
    again = post(client, project=TEA | {"land_m2": 10_000}, site={"geometry": first["site"]["geometry"]}).json()
    assert first["verdict"] == again["verdict"] == "clear"


# --- who may ---------------------------------------------------------------------------------------


def test_a_wrong_key_is_401_even_on_loopback(client):
    answer = client.get("/layers", headers={"Authorization": "Bearer wrong"})
    is_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_page_whose_name_was_bent_to_this_machine_is_turned_away(client):
    assert client.get("/projects", headers={"Host": "evil.example"}).status_code == 400


def test_no_key_on_loopback_is_the_demo_planner(client):
    assert client.get("/whoami").json() == {"name": "demo-planner", "role": "planner", "zones": None}


def test_beyond_loopback_there_must_be_users_and_demo_keys_are_dead(tmp_path):
    path = tmp_path / "open.gpkg"
    found_county(path).close()
    open_to_all = Settings(county=path, host="0.0.0.0")
    with pytest.raises(Refused, match="without users"):
        create_app(open_to_all)
    access = Access(path)
    key = access.add("reviewer-1", "reviewer")
    access.close()
    with TestClient(create_app(open_to_all)) as client:
        is_problem(client.get("/layers"), 401, "unauthorized")
        assert client.get("/").status_code == 200  # the shell, which holds nothing of the county
        is_problem(client.get("/workbench.json"), 401, "unauthorized")
        is_problem(client.get("/layers", headers={"Authorization": "Bearer demo-planner"}), 401, "unauthorized")
        assert client.get("/layers", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_checks_are_in_the_audit_log(county, client):
    made = post(client, project_id="TEA", site=SITE).json()
    access = Access(county)
    rows = access.audit(limit=100_000)
    access.close()
    assert {"actor": "demo-planner", "action": "check", "subject": made["id"], "outcome": "clear"}.items() <= rows[
        -1
    ].items()


def test_a_county_that_is_not_there_or_none(tmp_path):
    with pytest.raises(UnknownName, match="parkplan init"):
        create_app(Settings(county=tmp_path / "none.gpkg"))
