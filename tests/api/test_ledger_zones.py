"""What a planner of some zones sees of the books, and what is put on record of it."""

import pytest
import shapely
from shapely.geometry import mapping

from layers.access import Access
from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, people, served, two_zones
from tests.counties import EAST, NORTH

PAPER = {"number": "试字1号", "date": "2026-03-01"}


class Books:
    def __init__(self, client, keys):
        self.client, self.keys, self.count = client, keys, 0

    def get(self, who, path, **params):
        return self.client.get(path, params=params, headers=bearer(self.keys[who]))

    def post(self, who, path, body):
        self.count += 1
        head = {**bearer(self.keys[who]), "Idempotency-Key": f"n{self.count}", "If-Match": "*"}
        return self.client.post(path, json=body, headers=head)

    def reserve(self, who, site, **more):
        zone = {"west": "W", "east": "E"}.get(who, "W")
        return self.post(who, "/reservations", {"project_id": f"TEA-{zone}", "site": site, **more})


@pytest.fixture
def books(tmp_path):
    path = tmp_path / "two.gpkg"
    two_zones(path).close()
    keys = people(path)
    with served(path) as client:
        yield Books(client, keys)


@pytest.fixture
def held(books):
    """One reservation in either zone: its id."""
    made = {"west": WEST_PARCEL, "east": EAST_PARCEL}
    return {who: books.reserve(who, {"parcels": [parcel]}).json()["id"] for who, parcel in made.items()}


def never(answer, key):
    assert answer.status_code == 404
    return answer.text.replace(key, "?")


def box(west, south, east, north):
    return {
        "geometry": mapping(shapely.box(EAST + west, NORTH + south, EAST + east, NORTH + north)),
        "crs": "EPSG:4545",
    }


def test_another_zones_reservation_is_not_there_to_be_read_or_turned(books, held):
    for path in ("", "/entries"):
        assert books.get("west", f"/reservations/{held['west']}{path}").status_code == 200
        other = books.get("west", f"/reservations/{held['east']}{path}")
        assert never(other, held["east"]) == never(books.get("west", f"/reservations/R0{path}"), "R0")
        assert books.get("planner", f"/reservations/{held['east']}{path}").status_code == 200
    for event in ("apply", "release", "extend"):
        other = books.post("west", f"/reservations/{held['east']}/transitions", {"event": event})
        assert never(other, held["east"]) == never(
            books.post("west", "/reservations/R0/transitions", {"event": event}), "R0"
        )
    assert books.get("east", f"/reservations/{held['east']}").json()["state"] == "reserved"
    assert books.post("west", f"/reservations/{held['west']}/transitions", {"event": "release"}).status_code == 200


def test_lists_leave_another_zone_out_and_no_page_names_it(books, held):
    more = books.reserve("west", box(0, 1_000, 50, 1_050)).json()["id"]
    mine = [held["west"], more]
    first = books.get("west", "/reservations", limit=1).json()
    assert ([one["id"] for one in first["reservations"]], first["next"]) == (mine[:1], mine[0])
    second = books.get("west", "/reservations", limit=1, after=mine[0]).json()
    assert ([one["id"] for one in second["reservations"]], second["next"]) == (mine[1:], None)
    assert len(books.get("viewer", "/reservations").json()["reservations"]) == 3
    for limit in (1, 200):
        after, found = 0, []
        while after is not None:
            page = books.get("west", "/ledger/entries", limit=limit, after=after).json()
            after, found = page["next"], found + page["entries"]
        assert {one["reservation"] for one in found} == {None, *mine}
        assert held["east"] not in str(found)


def test_supply_lists_and_sums_what_lies_in_ones_own_zones(books, held):
    for who in ("west", "east"):
        books.post(who, f"/reservations/{held[who]}/transitions", {"event": "apply"})
        approve = {"event": "approve", "document": PAPER}
        assert books.post("reviewer", f"/reservations/{held[who]}/transitions", approve).status_code == 200
    found = books.get("west", "/supply").json()
    assert [one["reservation"] for one in found["approved_unsupplied"]] == [held["west"]]
    assert found["approved_unsupplied_m2"] == 10_000
    assert books.get("planner", "/supply").json()["approved_unsupplied_m2"] == 20_000


def test_another_zones_quota_is_not_there_and_cannot_be_charged(books):
    areas = {"new_construction_m2": 9, "agricultural_m2": 0, "cultivated_m2": 0}
    for unit in ("U-W", "U-E", "TOWN"):
        path = f"/quotas/quota/{unit}/2026/new_construction"
        made = books.post("reviewer", f"{path}/entries", {"event": "grant", "areas": areas, "document": PAPER})
        assert made.status_code == 201, made.text
    there = "quota/{}/2026/new_construction"
    seen = {one["unit_code"] for one in books.get("west", "/quotas").json()["accounts"]}
    assert {"U-W", "TOWN"} <= seen
    assert "U-E" not in seen
    assert "U-E" not in books.get("west", "/quotas/report").text
    assert "U-E" not in books.get("west", "/ledger/entries").text
    assert books.get("west", f"/quotas/{there.format('U-W')}").status_code == 200
    other, none = (books.get("west", f"/quotas/{there.format(unit)}") for unit in ("U-E", "U-X"))
    assert never(other, "U-E") == never(none, "U-X")
    refused = books.reserve("west", {"parcels": [WEST_PARCEL]}, charge_to="U-E")
    assert refused.status_code == 403


def test_ground_of_another_zone_cannot_be_reserved_and_a_refusal_names_nobody_elses(books, held):
    assert books.reserve("west", {"parcels": [EAST_PARCEL]}).status_code == 404
    assert books.reserve("west", box(200, 0, 300, 100)).status_code == 403
    # beyond all zones: what somebody else holds there is taken, and whose it is nobody of the west is told
    beyond = box(0, 5_050, 100, 5_150)
    key = books.reserve("planner", beyond).json()["id"]
    reaching = box(0, 4_900, 100, 5_100)
    said = books.reserve("west", reaching)
    assert said.status_code == 409
    assert key not in said.text
    assert said.json()["overlap_m2"] == 5_000
    assert key in books.reserve("planner", reaching).text
    own = books.reserve("west", {"parcels": [WEST_PARCEL]})
    assert held["west"] in own.text


def test_every_write_and_every_look_at_a_decision_is_on_record(books, held, tmp_path):
    books.get("viewer", f"/reservations/{held['west']}")
    books.get("viewer", f"/reservations/{held['west']}/entries")
    books.get("viewer", "/reservations")
    books.get("viewer", "/ledger/entries")
    books.get("viewer", "/supply")
    books.get("west", f"/reservations/{held['east']}")
    access = Access(tmp_path / "two.gpkg")
    rows = [(one["actor"], one["action"], one["subject"], one["outcome"]) for one in access.audit(limit=100)]
    access.close()
    looks = ("/reservations/{reservation_id}", "/reservations/{reservation_id}/entries")
    wanted = [("planner-west", "reserve", held["west"], "TEA-W"), ("planner-east", "reserve", held["east"], "TEA-E")]
    wanted += [("viewer-1", f"GET {path}", held["west"], "200") for path in looks]
    wanted += [("viewer-1", f"GET {path}", "", "200") for path in ("/reservations", "/ledger/entries", "/supply")]
    wanted += [("planner-west", f"GET {looks[0]}", held["east"], "refused 404")]
    assert [row for row in rows if row in wanted] == wanted
