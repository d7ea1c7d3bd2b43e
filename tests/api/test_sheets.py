"""The project library on the overview: marks in the zones that projects prefer."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from api.routers.maps import overview_chart
from api.sheets import intended
from layers.gpkg import GeoPackage
from tests.counties import found_county


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> GeoPackage:
    return found_county(Path(tmp_path_factory.mktemp("sheets")) / "county.gpkg")


def test_projects_stand_in_the_zone_they_prefer_each_at_a_place_of_its_own(store: GeoPackage) -> None:
    zone = store.frame("zones").iloc[0]
    wanted = [{"id": f"P{n}", "name": f"项目{n}", "zone": zone["id"]} for n in range(5)]
    (sheet,) = intended(store, [*wanted, {"id": "ELSEWHERE", "name": "无片区"}, {"id": "X", "zone": "no-such-zone"}])
    assert sheet.frame["id"].tolist() == ["P0", "P1", "P2", "P3", "P4"]
    spots = sheet.frame.to_crs(store.crs).geometry
    assert all(zone.geometry.buffer(0.5).contains(spots))
    assert len({(round(p.x), round(p.y)) for p in spots}) == 5
    assert sheet.synthetic


def test_without_a_project_that_names_a_zone_nothing_is_drawn(store: GeoPackage) -> None:
    assert intended(store, []) == []
    assert intended(store, [{"id": "P", "name": "无片区"}]) == []


def test_the_overview_names_them(store: GeoPackage) -> None:
    zone = store.frame("zones").iloc[0]["id"]
    store.save("project", "IN-ZONE", {"id": "IN-ZONE", "name": "片区内<b>项目</b>", "land_m2": 1.0, "zone": zone})
    chart = overview_chart(store)
    drawn = next(sheet for sheet in chart.sheets if sheet.role == "projects")
    assert "IN-ZONE" in drawn.frame["id"].tolist()
    assert shapely.get_type_id(drawn.frame.geometry.values).tolist() == [0] * len(drawn.frame)
