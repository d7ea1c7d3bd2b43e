"""Tiles over HTTP: what is in them, for whom, and how they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import pytest
from fastapi.testclient import TestClient

from tests.api.two_zones import EAST_PARCEL, WEST_PARCEL, bearer, people, served, two_zones

AT = "12/3283/1715"  # where the small county lies


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, dict[str, str]]]:
    path = tmp_path_factory.mktemp("tiles") / "two.gpkg"
    two_zones(path).close()
    keys = people(path)
    with served(path) as client:
        yield client, keys


def get(county: tuple[TestClient, dict[str, str]], path: str, who: str = "viewer", **headers: str) -> Any:
    client, keys = county
    return client.get(f"/tiles/{path}", headers={**bearer(keys[who]), **headers})


def features(answer: Any, role: str) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    layers = mapbox_vector_tile.decode(answer.content)
    assert list(layers) == [role]
    assert layers[role]["extent"] == 4096
    return layers[role]["features"]


def test_a_tile_says_of_each_feature_what_the_map_shows(county: Any) -> None:
    found = {
        one["properties"]["id"]: one["properties"] for one in features(get(county, f"parcels/{AT}.mvt"), "parcels")
    }
    assert found[EAST_PARCEL] == {
        "id": EAST_PARCEL,
        "name": "<b>三号地</b>${1+1}",
        "area_m2": "10000",
        "synthetic": True,
    }
    assert len(found) == 3


def test_what_a_zone_hides_is_in_no_tile_of_others(county: Any) -> None:
    def seen(who: str) -> set[str]:
        return {one["properties"]["id"] for one in features(get(county, f"parcels/{AT}.mvt", who), "parcels")}

    assert EAST_PARCEL in seen("viewer")
    assert WEST_PARCEL in seen("west")
    assert seen("east") == {EAST_PARCEL}
    assert EAST_PARCEL not in seen("west")
    assert get(county, f"parcels/{AT}.mvt", "west").headers["etag"] != get(county, f"parcels/{AT}.mvt").headers["etag"]
    basic = [get(county, f"basic_farmland/{AT}.mvt", who) for who in ("viewer", "west")]
    assert basic[0].content == basic[1].content


def test_a_tile_that_is_known_is_not_sent_again(county: Any) -> None:
    first = get(county, f"parcels/{AT}.mvt")
    assert first.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in first.headers["vary"]
    tag = first.headers["etag"]
    for said in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = get(county, f"parcels/{AT}.mvt", **{"If-None-Match": said})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert get(county, f"parcels/{AT}.mvt", "east", **{"If-None-Match": tag}).status_code == 200


def test_where_nothing_is_there_is_no_content(county: Any) -> None:
    empty = get(county, "parcels/12/0/0.mvt")
    assert (empty.status_code, empty.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("no_such_role/12/0/0.mvt", 404),
        ("villages/12/0/0.mvt", 404),  # a role that is not loaded
        ("dem/12/0/0.mvt", 404),
        ("parcels/7/0/0.mvt", 404),
        ("parcels/17/0/0.mvt", 404),
        ("parcels/12/4096/0.mvt", 404),
        ("parcels/12/-1/0.mvt", 422),
        ("parcels/x/0/0.mvt", 422),
        ("parcels/12/1.5/0.mvt", 422),
        ("parcels/12/9999999999999999999999/0.mvt", 422),
        ("no_such_role.json", 404),
    ],
)
def test_a_tile_that_cannot_be_is_a_problem(county: Any, path: str, status: int) -> None:
    answer = get(county, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_tiles_of_a_layer_describe_themselves(county: Any) -> None:
    told = get(county, "parcels.json").json()
    assert told["tilejson"] == "3.0.0"
    assert told["tiles"] == ["/tiles/parcels/{z}/{x}/{y}.mvt"]
    assert told["vector_layers"][0]["id"] == "parcels"
    assert told["vector_layers"][0]["fields"] == {
        "id": "String",
        "name": "String",
        "area_m2": "String",
        "synthetic": "Boolean",
    }
    west, south, east, north = told["bounds"]
    assert 108 < west < east < 110
    assert 27 < south < north < 29
