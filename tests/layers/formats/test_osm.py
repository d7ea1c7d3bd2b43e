"""Tagged things as a role's features: a small extract, told the way GDAL's OSM driver tells it."""

import numpy as np
import pandas as pd
import pytest
import shapely

from layers.errors import BadInput
from layers.formats import osm
from layers.records import RawLayer

LINE = shapely.LineString([(108.6, 28.1), (108.7, 28.1)])
OUTLINE = shapely.LineString([(108.6, 28.1), (108.61, 28.1), (108.61, 28.11), (108.6, 28.1)])
POINT = shapely.Point(108.6, 28.1)
AREA = shapely.box(108.6, 28.1, 108.7, 28.2)


def hstore(**tags):
    return ",".join(f'"{key}"=>"{value}"' for key, value in tags.items()) or None


def raw(*rows):
    """(geometry, GDAL's columns) for each thing."""
    table = pd.DataFrame([columns for _, columns in rows], dtype=object)
    return RawLayer(table, np.array([*(ground for ground, _ in rows), None], dtype=object)[:-1], "EPSG:4326")


def test_roads_are_the_public_ones_with_their_class_and_bridge_limit():
    lines = raw(
        (LINE, {"osm_id": "1", "name": "国道 326", "highway": "trunk", "other_tags": hstore(width="12 m")}),
        (LINE, {"osm_id": "2", "highway": "tertiary_link", "other_tags": hstore(bridge="yes", maxweight="20 t")}),
        (LINE, {"osm_id": "3", "highway": "tertiary", "other_tags": hstore(maxweight="20", width="20'")}),
        (LINE, {"osm_id": "4", "highway": "footway"}),
        (LINE, {"osm_id": "5", "waterway": "river"}),
    )
    found = osm.pick("roads", [lines], file="x.osm.pbf")
    rows = found.table.set_index("id")
    assert list(rows.index) == ["w1", "w2", "w3"]
    assert rows["road_class"].tolist() == ["trunk", "tertiary", "tertiary"]
    assert rows["width_m"].tolist() == [12, None, pytest.approx(6.096)]
    assert rows["bridge_limit_t"].tolist() == [None, 20, None], "a limit without a bridge is not the bridge's"


def test_a_substation_is_a_point_an_outline_or_an_area():
    points = raw((POINT, {"osm_id": "1", "other_tags": hstore(power="substation", voltage="110000;35000")}))
    lines = raw(
        (OUTLINE, {"osm_id": "2", "other_tags": hstore(power="substation", voltage="35000")}),
        (LINE, {"osm_id": "3", "other_tags": hstore(power="line", voltage="35000")}),
    )
    areas = raw((AREA, {"osm_id": None, "osm_way_id": "4", "name": "合水", "other_tags": hstore(power="substation")}))
    found = osm.pick("substations", [points, lines, areas], file="x.osm.pbf")
    assert found.table["id"].tolist() == ["n1", "w2", "w4"]
    assert found.table["voltage_kv"].tolist() == [110, 35, None]
    assert [one.geom_type for one in found.geometries] == ["Point", "Polygon", "Polygon"]


def test_a_pipeline_counts_as_a_main_only_when_it_carries_water():
    lines = raw(
        (LINE, {"osm_id": "1", "man_made": "pipeline", "other_tags": hstore(substance="water", diameter="600")}),
        (LINE, {"osm_id": "2", "man_made": "pipeline", "other_tags": hstore(substance="gas")}),
        (LINE, {"osm_id": "3", "man_made": "pipeline"}),
    )
    found = osm.pick("water_mains", [lines, raw()], file="x.osm.pbf")
    assert found.table[["id", "diameter_mm"]].to_numpy().tolist() == [["w1", 600]]


def test_quotes_inside_a_tag_are_read():
    text = r'"name:en"=>"the \"old\" road","highway"=>"primary"'
    assert osm._tags({"other_tags": text}) == {"name:en": 'the "old" road', "highway": "primary"}


def test_an_extract_without_the_thing_says_what_was_looked_for():
    with pytest.raises(BadInput, match="power=substation"):
        osm.pick("substations", [raw(), raw(), raw()], file="x.osm.pbf")


def test_a_role_volunteers_do_not_map_is_refused():
    with pytest.raises(BadInput, match="no basic_farmland"):
        osm.layers_for("basic_farmland")
