"""The books as a client sees them: from the first 下达 to the survey that includes the plant, and every refusal."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from fastapi.testclient import TestClient
from shapely.geometry import mapping

from api.app import create_app
from api.settings import Settings
from layers.ledger.verify import verify
from tests.counties import EAST, NORTH, TEA, found_county
from tests.worlds import kind_world, layer

HERE = "http://127.0.0.1"
COUNTY, ZONE = "quota/520625/2026/new_construction", "quota/520625-NE/2026/new_construction"
PAPER = {"number": "试字1号", "date": "2026-03-01"}
FIELD, BUILT = 5_000, 0  # east of which x the ground is paddy, and where it is built


def farming_world():
    """Built ground in the west, paddy in the east; one zone on all of it with an account of its own."""
    land = [shapely.box(-2e4, -2e4, FIELD, 2e4), shapely.box(FIELD, -2e4, 2e4, 2e4)]
    world = kind_world(
        land_use=layer(
            "land_use",
            land,
            code_system=["GB/T 21010-2017"] * 2,
            code=["0601", "0101"],
            three_class=["construction", "agricultural"],
            cultivated=[False, True],
            paddy=[False, True],
        ),
        substations=layer(
            "substations", [shapely.Point(3_000, 0), shapely.Point(9_000, 0)], feeds_from=["substations-2", None]
        ),
        parcels=layer("parcels", shapely.box([0, 100], [0, 0], [100, 200], [100, 100])),
    )
    return world.with_pools(
        **{
            "quota__520625__2026__agricultural": 1e6,
            "quota__520625__2026__cultivated": 1e6,
            "capacity__substations-2__power_kva": 4_500.0,
        }
    )


class Caller:
    """One of the demo's users."""

    def __init__(self, client, role):
        self.client, self.head = client, {"Authorization": f"Bearer demo-{role}"}

    def get(self, path, **params):
        return self.client.get(path, params=params, headers=self.head)

    def post(self, path, body, **headers):
        return self.client.post(path, json=body, headers={**self.head, **headers})

    def reserve(self, site, key, project="TEA", **more):
        who = {"project": project} if project else {}
        return self.post("/reservations", {**who, "site": site, **more}, **{"Idempotency-Key": key})

    def turn(self, made, event, **body):
        now = self.get(f"/reservations/{made['id']}")
        return self.post(
            f"/reservations/{made['id']}/transitions", {"event": event, **body}, **{"If-Match": now.headers["etag"]}
        )


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("founded")
    found_county(folder / "books.gpkg", farming_world()).close()
    return folder


@pytest.fixture
def county(tmp_path, founded):
    shutil.copytree(founded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "books.gpkg"


@pytest.fixture
def client(county):
    with TestClient(create_app(Settings(county=county)), base_url=HERE) as client:
        yield client
        found = client.get("/ledger/verify", headers={"Authorization": "Bearer demo-auditor"}).json()
        assert found["whole"], found


@pytest.fixture
def planner(client):
    return Caller(client, "planner")


@pytest.fixture
def reviewer(client):
    return Caller(client, "reviewer")


def box(west, south, east, north):
    return {
        "geometry": mapping(shapely.box(EAST + west, NORTH + south, EAST + east, NORTH + north)),
        "crs": "EPSG:4545",
    }


def field(n, side=100):
    """A square of paddy, a hundred metres apart from the next."""
    west = FIELD + 200 * n
    return box(west, 0, west + side, side)


def balance(who, account):
    found = who.get(f"/quotas/{account}").json()
    came = found["granted"] + found["transferred_in"] + found["carried_in"] + found["advanced"]
    held = found["available"] + found["reserved"] + found["locked"] + found["spent"]
    assert came - found["transferred_out"] - found["recalled"] == held
    return {name: found[name] for name in ("available", "reserved", "locked", "spent")}


def is_problem(response, status, slug):
    assert (response.status_code, response.json()["type"]) == (status, f"/problems/{slug}"), response.text
    return response.json()


def test_from_grant_to_commission(planner, reviewer):
    granted = reviewer.post(
        f"/quotas/{COUNTY}/entries",
        {
            "event": "下达",
            "areas": {"new_construction_m2": 20_000, "agricultural_m2": 10_000, "cultivated_m2": 5_000},
            "document": PAPER,
        },
    )
    assert granted.status_code == 201
    assert granted.json()["entry"]["event"] == "grant"
    assert balance(planner, COUNTY)["available"] == 1_020_000

    made = planner.reserve(field(0), "k1")
    assert made.status_code == 201, made.text
    one = made.json()
    assert made.headers["location"] == f"/reservations/{one['id']}"
    assert one["state"] == "reserved"
    assert "不构成供地承诺" in one["notice"]["zh"]
    assert one["quota_need"] == dict.fromkeys(
        ("new_construction_m2", "agricultural_m2", "cultivated_m2", "paddy_m2"), 10_000
    )
    assert balance(planner, COUNTY) == {"available": 1_010_000, "reserved": 10_000, "locked": 0, "spent": 0}
    assert balance(planner, "capacity/substations-1/power_kva")["reserved"] == 400
    assert balance(planner, "capacity/substations-2/power_kva")["reserved"] == 400  # upstream, too
    assert balance(planner, "capacity/water_sources-1/water_m3d")["reserved"] == 20
    assert {one["kind"] for one in one["not_taken"]} == {"balance_area", "balance_paddy", "balance_yield", "freight_td"}

    assert planner.turn(one, "apply").json()["state"] == "applied"
    assert balance(planner, COUNTY)["locked"] == 10_000
    less = {"new_construction_m2": 9_000, "agricultural_m2": 8_000, "cultivated_m2": 8_000}
    approved = reviewer.turn(one, "approve", approved=less, document=PAPER).json()
    assert approved["state"] == "approved"
    assert approved["approved"]["new_construction_m2"] == 9_000
    assert balance(planner, COUNTY) == {"available": 1_011_000, "reserved": 0, "locked": 0, "spent": 9_000}
    assert balance(planner, "quota/520625/2026/cultivated")["spent"] == 8_000
    assert balance(planner, "capacity/substations-1/power_kva")["spent"] == 400

    deal = {
        "mode": "出让",
        "contract": "HT-1",
        "winner": "另一家公司",
        "area_m2": 4_000,
        "agreed_start_on": "2024-01-01",
    }
    part = reviewer.turn(one, "supply", supply=deal).json()
    assert (part["state"], part["supplied_m2"], part["unsupplied_m2"]) == ("supplied", 4_000, 6_000)
    rest = reviewer.turn(one, "supply", supply={**deal, "contract": "HT-2", "area_m2": 6_001})
    assert is_problem(rest, 422, "bad-input")["errors"][0]["field"] == "supply.area_m2"
    lists = planner.get("/supply", on="2026-06-01").json()
    assert [row["unsupplied_m2"] for row in lists["approved_unsupplied"]] == [6_000]
    assert [(row["state"], row["take_back_on"]) for row in lists["supplied"]] == [("idle_two_years", "2026-01-01")]
    progress = {"contract": "HT-1", "started_on": "2024-02-01"}
    assert reviewer.turn(one, "progress", progress=progress).status_code == 200
    assert planner.get("/supply", on="2026-06-01").json()["supplied"][0]["state"] == "started"
    assert balance(planner, COUNTY)["spent"] == 9_000  # a supply uses no plan quota

    done = reviewer.turn(one, "commission", document=PAPER, surveyed_on="2026-05-01").json()
    assert done["state"] == "commissioned"
    after = planner.get("/quotas/capacity/substations-1/power_kva").json()
    assert (after["available"], after["spent"], after["recalled"]) == (4_600, 0, 400)  # the survey has it now
    taken = planner.reserve(field(0), "k-again")
    assert is_problem(taken, 409, "ground-taken")["reservation"] == one["id"]


def test_the_report_and_the_journal_say_the_same(planner, reviewer):
    one = planner.reserve(field(0), "k1").json()
    planner.turn(one, "apply")
    reviewer.turn(one, "approve", document=PAPER)
    rows = {row["account"]: row for row in planner.get("/quotas/report", year=2026).json()["rows"]}
    assert (rows[COUNTY]["spent"], rows[COUNTY]["spent_project"], rows[COUNTY]["spent_batch"]) == (10_000, 10_000, 0)
    entries = planner.get("/ledger/entries", account=COUNTY).json()["entries"]
    assert [entry["event"] for entry in entries] == ["grant", "reserve", "apply", "approve"]
    assert entries[1]["postings"][0] == {
        "account": COUNTY, "debit": "available", "credit": "reserved", "amount": 10_000, "unit": "m2",
    }  # fmt: skip
    first = planner.get("/ledger/entries", limit=2).json()
    assert [entry["seq"] for entry in first["entries"]] == [1, 2]
    assert planner.get("/ledger/entries", after=first["next"], limit=1).json()["entries"][0]["seq"] == 3
    assert [entry["event"] for entry in planner.get(f"/reservations/{one['id']}/entries").json()["entries"]] == [
        "reserve", "apply", "approve",
    ]  # fmt: skip


def test_built_ground_costs_no_quota(planner):
    one = planner.reserve(box(0, 0, 100, 100), "k").json()
    assert one["quota_need"]["new_construction_m2"] == 0
    assert all(not charge["account"].startswith("quota/") for charge in one["charges"])


def test_neighbours_share_an_edge_and_two_parts_of_one_parcel_are_two_holds(planner):
    assert planner.reserve(box(0, 0, 50, 100), "a").status_code == 201
    assert planner.reserve(box(50, 0, 100, 100), "b").status_code == 201
    assert planner.reserve(box(100, 0, 200, 100), "c").status_code == 201
    assert is_problem(planner.reserve({"parcels": ["parcels-1"]}, "d"), 409, "ground-taken")["overlap_m2"] == 5_000


def test_the_same_key_gives_the_same_answer_for_ever(planner, reviewer):
    first = planner.reserve(field(0), "same")
    planner.turn(first.json(), "apply")
    again = planner.reserve(field(0), "same")
    assert (again.status_code, again.json()) == (201, first.json())
    is_problem(planner.reserve(field(1), "same"), 422, "idempotency-key-reused")
    assert balance(planner, COUNTY)["locked"] == 10_000
    refused = is_problem(planner.reserve(field(0), "other"), 409, "ground-taken")
    planner.turn(first.json(), "withdraw")
    assert is_problem(planner.reserve(field(0), "other"), 409, "ground-taken") == refused
    body = {"event": "grant", "areas": {"new_construction_m2": 5}, "document": PAPER}
    posted = [reviewer.post(f"/quotas/{COUNTY}/entries", body, **{"Idempotency-Key": "g"}).json() for _ in range(2)]
    assert posted[0] == posted[1]


def test_what_is_short_says_of_what_and_how_much(planner, reviewer):
    recall = {"event": "recall", "areas": {"new_construction_m2": 995_000}, "document": PAPER}
    assert reviewer.post(f"/quotas/{COUNTY}/entries", recall).status_code == 201
    found = is_problem(planner.reserve(field(0), "q"), 409, "quota-short")
    assert (found["account"], found["needed"], found["available"], found["unit"]) == (COUNTY, 10_000, 5_000, "m2")
    below = {"event": "recall", "areas": {"new_construction_m2": 5_001}, "document": PAPER}
    assert is_problem(reviewer.post(f"/quotas/{COUNTY}/entries", below), 409, "quota-short")["available"] == 5_000
    large = {**TEA, "id": "BIG", "power_kva": 4_600}
    found = is_problem(planner.reserve(box(0, 0, 9, 9), "c", project=large), 409, "capacity-short")
    assert (found["account"], found["needed"]) == ("capacity/substations-2/power_kva", 4_600)
    assert (found["available"], found["unit"]) == (4_500, "kva")
    assert balance(planner, "capacity/water_sources-1/water_m3d")["reserved"] == 0  # nothing by halves
    assert is_problem(planner.reserve(field(0), "z", charge_to="520625-NE"), 409, "quota-short")["available"] == 0


def test_quota_goes_down_to_a_zone_is_carried_over_and_is_used_the_oldest_first(planner, reviewer):
    old = "quota/520625/2025/new_construction"
    areas = {"new_construction_m2": 6_000, "agricultural_m2": 6_000, "cultivated_m2": 6_000}

    def post(account, event, **body):
        return reviewer.post(f"/quotas/{account}/entries", {"event": event, "document": PAPER, **body})

    assert post(old, "grant", areas=areas).status_code == 201
    assert is_problem(post(old, "结转", areas=areas, to_year=2029), 422, "bad-input")
    assert post(old, "结转", areas=areas, to_year=2026).status_code == 201
    assert planner.get(f"/quotas/{old}@2026").json()["carried_in"] == 6_000
    assert post(COUNTY, "分解", areas=areas, to="520625-NE").status_code == 201
    assert balance(planner, ZONE)["available"] == 6_000
    one = planner.reserve(field(0), "k", charge_to="520625").json()
    charged = {charge["account"]: charge["amount"] for charge in one["charges"] if "new_con" in charge["account"]}
    assert charged == {f"{old}@2026": 6_000, COUNTY: 4_000}
    check = {"project_id": "TEA", "site": field(1), "purpose": "conversion", "for_year": 2026}
    found = planner.post("/checks", check).json()["findings"]
    (quota,) = (one for one in found if one["rule"] == "quota.new_construction")
    assert (quota["value"], quota["limit"], quota["status"]) == (10_000, 6_000, "fail")  # of the zone it lies in


def test_a_check_sees_ground_that_others_hold_and_not_its_own(planner):
    def held(project):
        found = planner.post("/checks", {"project": project, "site": box(50, 0, 150, 100)}).json()
        (finding,) = (one for one in found["findings"] if one["rule"] == "ground.held")
        return found["id"], found["verdict"], finding["status"], finding["value"]

    other = {**TEA, "id": "OTHER"}
    assert held(other)[2:] == ("pass", 0)
    one = planner.reserve(box(0, 0, 100, 100), "k").json()
    check, *said = held(other)
    assert said == ["blocked", "fail", 5_000]
    assert held(TEA)[2:] == ("pass", 0)
    planner.turn(one, "release")
    assert held(other)[2:] == ("pass", 0)
    again = planner.post(f"/checks/{check}/recheck", {}).json()
    assert again["same"], again["differences"]


def test_who_may_and_nobody_decides_on_their_own_request(client, planner, reviewer):
    one = planner.reserve(field(0), "k").json()
    is_problem(reviewer.reserve(field(1), "k"), 403, "forbidden")
    is_problem(
        planner.post(f"/quotas/{COUNTY}/entries", {"event": "grant", "amount": 5, "document": PAPER}), 403, "forbidden"
    )
    planner.turn(one, "apply")
    is_problem(planner.turn(one, "approve", document=PAPER), 403, "forbidden")
    is_problem(reviewer.turn(one, "withdraw"), 403, "forbidden")
    for role in ("system", "security"):
        is_problem(Caller(client, role).get("/quotas"), 403, "forbidden")
        is_problem(Caller(client, role).reserve(field(1), "k"), 403, "forbidden")
    assert Caller(client, "auditor").get("/quotas").status_code == 200
    is_problem(Caller(client, "auditor").reserve(field(1), "k"), 403, "forbidden")


def test_a_transition_says_what_it_saw(planner):
    one = planner.reserve(field(0), "k").json()
    path = f"/reservations/{one['id']}/transitions"
    is_problem(planner.post(path, {"event": "apply"}), 428, "precondition-required")
    is_problem(planner.post(path, {"event": "apply"}, **{"If-Match": '"1"'}), 409, "stale")
    is_problem(planner.post(path, {"event": "apply"}, **{"If-Match": "x"}), 422, "bad-input")
    found = is_problem(planner.turn(one, "withdraw"), 422, "illegal-transition")
    assert found["legal"] == "apply, extend, release, expire"
    assert planner.get(f"/reservations/{one['id']}").json() == one


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"expires_at": "2001-01-01T00:00:00Z"}, "bad-input"),
        ({"expires_at": "2027-01-01"}, "invalid-request"),
        ({"batch": "批1"}, "invalid-request"),
        ({"colour": "red"}, "invalid-request"),
        ({"project": "NOBODY"}, "not-found"),
        ({"site": {"parcels": ["NONE"]}}, "not-found"),
    ],
)
def test_what_cannot_be_reserved_is_refused_and_writes_nothing(planner, body, slug):
    before = planner.get("/ledger/entries").json()
    found = planner.post("/reservations", {"project": "TEA", "site": field(0), **body}, **{"Idempotency-Key": "k"})
    assert found.json()["type"] == f"/problems/{slug}", found.text
    is_problem(planner.post("/reservations", {"project": "TEA", "site": field(0)}), 422, "invalid-request")
    assert planner.get("/ledger/entries").json() == before


@pytest.mark.parametrize(
    ("account", "body", "slug"),
    [
        ("quota/520625/2026/nonsense", {"event": "grant", "amount": 5}, "bad-input"),
        (COUNTY, {"event": "grant", "areas": {"new_construction_m2": -5}}, "invalid-request"),
        (COUNTY, {"event": "grant", "areas": {"new_construction_m2": 5, "agricultural_m2": 6}}, "bad-input"),
        (COUNTY, {"event": "grant", "areas": {"new_construction_m2": 5.5}}, "invalid-request"),
        (COUNTY, {"event": "grant", "amount": 5}, "bad-input"),
        (COUNTY, {"event": "steal", "areas": {"new_construction_m2": 5}}, "invalid-request"),
        (COUNTY, {"event": "allot", "areas": {"new_construction_m2": 5}}, "bad-input"),
        (COUNTY, {"event": "recall", "areas": {"new_construction_m2": 0}}, "bad-input"),
        (COUNTY, {"event": "settle", "areas": {"new_construction_m2": 5}}, "quota-short"),
        ("quota/520625/2026/agricultural", {"event": "grant", "amount": 5}, "bad-input"),
        ("quota/999999/2026/linked", {"event": "recall", "amount": 5}, "not-found"),
        ("capacity/substations-1/power_kva", {"event": "advance", "amount": 5}, "bad-input"),
    ],
)
def test_entries_that_cannot_be_are_refused_and_write_nothing(reviewer, account, body, slug):
    before = reviewer.get("/ledger/entries").json()
    found = reviewer.post(f"/quotas/{account}/entries", {**body, "document": PAPER})
    assert found.json()["type"] == f"/problems/{slug}", found.text
    assert reviewer.post(f"/quotas/{account}/entries", body).status_code == 422  # no document
    assert reviewer.get("/ledger/entries").json() == before


def test_an_advance_is_made_good_and_an_entry_is_undone_by_another(reviewer):
    def post(event, **body):
        return reviewer.post(f"/quotas/{COUNTY}/entries", {"event": event, "document": PAPER, **body})

    areas = {"new_construction_m2": 500}
    assert post("预支", areas=areas).status_code == 201
    assert reviewer.get(f"/quotas/{COUNTY}").json()["advanced"] == 500
    assert post("预支清偿", areas=areas).status_code == 201
    found = reviewer.get(f"/quotas/{COUNTY}").json()
    assert (found["advanced"], found["granted"], found["available"]) == (0, 1_000_500, 1_000_500)
    wrong = post("grant", areas={"new_construction_m2": 7}).json()["entry"]["seq"]
    undone = post("冲正", reversal_of=wrong)
    assert undone.json()["entry"]["reversal_of"] == wrong
    is_problem(post("reverse", reversal_of=wrong), 409, "stale")
    assert balance(reviewer, COUNTY)["available"] == 1_000_500


def test_an_intention_holds_nothing_until_it_is_reserved(planner):
    first = planner.reserve(field(0), "a", intended=True).json()
    second = planner.reserve(field(0), "b", intended=True).json()
    assert (first["state"], first["charges"]) == ("intended", [])
    assert planner.turn(second, "reserve").json()["charges"]
    is_problem(planner.turn(first, "reserve"), 409, "ground-taken")
    assert planner.turn(first, "release").json()["state"] == "released"


def test_a_batch_holds_ground_and_quota_before_any_project_is_named(planner, reviewer):
    one = planner.reserve(field(0), "k", project=None, batch="2026年第1批次").json()
    assert (one["batch"], one["project"]) == ("2026年第1批次", None)
    assert all(charge["account"].startswith("quota/") for charge in one["charges"])
    planner.turn(one, "apply")
    is_problem(reviewer.turn(one, "approve"), 422, "bad-input")  # without its document
    assert reviewer.turn(one, "approve", document=PAPER).json()["state"] == "approved"
    assert reviewer.turn(one, "revoke", document=PAPER).json()["state"] == "revoked"
    assert balance(planner, COUNTY) == {"available": 1_000_000, "reserved": 0, "locked": 0, "spent": 0}
    assert planner.reserve(field(0), "k2").status_code == 201


def test_linked_quota_is_held_instead_of_the_plan_and_follows_what_is_approved(planner, reviewer):
    linked = "quota/520625/2025/linked"
    before = balance(planner, COUNTY)["available"]
    is_problem(planner.reserve(field(0), "L0", linked=True), 422, "bad-input")  # nobody keeps any
    granted = {"event": "grant", "amount": 15_000, "document": PAPER}
    assert reviewer.post(f"/quotas/{linked}/entries", granted).status_code == 201
    one = planner.reserve(field(0), "L1", linked=True).json()
    assert [(name["account"], name["amount"]) for name in one["charges"] if "quota" in name["account"]] == [
        (linked, 10_000)
    ]
    assert one["quota_need"]["cultivated_m2"] == 10_000
    assert {"balance_area", "balance_paddy"} <= {name["kind"] for name in one["not_taken"]}
    assert balance(planner, COUNTY)["available"] == before
    short = is_problem(planner.reserve(field(2), "L2", linked=True), 409, "quota-short")
    assert (short["needed"], short["available"]) == (10_000, 5_000)
    assert short["account"] == "quota/520625/2026/linked"
    assert planner.turn(one, "apply").status_code == 200
    areas = {"new_construction_m2": 9_000, "agricultural_m2": 9_000, "cultivated_m2": 8_000}
    over = {**areas, "new_construction_m2": 11_000}
    is_problem(reviewer.turn(one, "approve", document=PAPER, approved=over), 422, "bad-input")
    assert reviewer.turn(one, "approve", document=PAPER, approved=areas).status_code == 200
    now = balance(planner, linked)
    assert (now["spent"], now["available"], now["locked"]) == (9_000, 6_000, 0)
    row = next(row for row in planner.get("/quotas/report").json()["rows"] if row["account"] == linked)
    assert row["spent_project"] == 9_000
    wish = planner.reserve(field(4), "L3", intended=True).json()
    assert planner.turn(wish, "apply", linked=True).status_code == 422
    is_problem(planner.turn(wish, "reserve", linked=True), 409, "quota-short")


def test_what_is_not_extended_expires(client, planner):
    ledger = client.app.state.county.store.ledger
    one = planner.reserve(field(0), "k").json()
    now = datetime.now(UTC)
    ledger.clock = lambda: now + timedelta(days=179)
    until = (now + timedelta(days=400)).isoformat()
    assert planner.turn(one, "extend", expires_at=until).json()["expires_at"] > one["expires_at"]
    ledger.clock = lambda: now + timedelta(days=401)
    assert planner.get(f"/reservations/{one['id']}").json()["state"] == "expired"
    assert balance(planner, COUNTY)["reserved"] == 0
    assert planner.reserve(field(0), "k2", for_year=2026).status_code == 201


def test_a_term_longer_than_the_law_allows_is_refused(planner, reviewer):
    one = planner.reserve(field(0), "k").json()
    planner.turn(one, "apply")
    reviewer.turn(one, "approve", document=PAPER)
    deal = {"mode": "租赁", "contract": "HT", "winner": "某公司", "term_years": 25}
    is_problem(reviewer.turn(one, "supply", supply=deal), 422, "bad-input")
    is_problem(
        reviewer.turn(one, "supply", supply={**deal, "mode": "标准地", "term_years": 40}), 422, "invalid-request"
    )
    bars = {"investment_wan_per_mu": 200, "tax_wan_per_mu": 15, "floor_area_ratio": 1.0}
    deal |= {"mode": "标准地", "term_years": 40}
    supplied = reviewer.turn(one, "supply", supply={**deal, "bars": bars}).json()
    assert supplied["supplies"][0]["bars"]["tax_wan_per_mu"] == 15


def test_the_books_are_whole_when_the_county_is_opened_again(county, planner):
    from layers.gpkg import GeoPackage

    planner.reserve(field(0), "k")
    store = GeoPackage(county)
    found = verify(store.ledger)
    store.close()
    assert found.whole
    assert (found.reservations, found.holds) == (1, 1)
