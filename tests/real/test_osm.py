"""A real OpenStreetMap extract, read by the sandboxed child, as a mountain country's roads, power and water."""

import pytest
import shapely

from layers.crs import working
from layers.errors import BadInput
from layers.ingest import prepare

UTM31 = working("EPSG:25831")
COUNTRY = shapely.box(370_000, 4_690_000, 415_000, 4_740_000)


@pytest.fixture
def extract(shared_data):
    return shared_data / "andorra_mountain" / "andorra.osm.pbf"


def test_the_roads_of_a_country_come_in_with_their_class(extract):
    made = prepare(extract, "roads", UTM31, accuracy_m=10, extent=COUNTRY)
    classes = made.features["road_class"].value_counts()
    assert made.features_in == made.layer.loaded == 581
    assert classes.to_dict() == {"provincial": 326, "county": 148, "village": 98, "township": 9}
    assert made.features["id"].is_unique
    lengths_km = shapely.length(made.geometries).sum() / 1000
    assert 200 < lengths_km < 600
    west, south, east, north = shapely.total_bounds(made.geometries)
    assert 370_000 < west < east < 415_000
    assert 4_690_000 < south < north < 4_740_000


def test_power_lines_and_water_works_come_in(extract):
    lines = prepare(extract, "power_lines", UTM31, extent=COUNTRY)
    assert lines.layer.loaded == 11
    assert set(lines.features["voltage_kv"].dropna()) == {150.0}
    assert prepare(extract, "water_sources", UTM31, extent=COUNTRY).features["kind"].tolist() == ["spring"]
    assert prepare(extract, "rivers", UTM31, extent=COUNTRY).layer.loaded == 111


def test_what_nobody_mapped_is_said(extract):
    with pytest.raises(BadInput, match="power=substation"):
        prepare(extract, "substations", UTM31)


def test_a_layer_may_still_be_chosen_by_hand(extract):
    assert prepare(extract, "villages", UTM31, layer="points").features_in == 1650


def test_who_imports_it_says_where_it_is_complete(extract):
    with pytest.raises(BadInput, match="--extent"):
        prepare(extract, "roads", UTM31)
