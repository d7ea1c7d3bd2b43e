"""Areas that stand with every feature of a polygon layer, measured once, when it comes in."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import CRS

from layers.area import ellipsoid_m2
from layers.errors import BadInput
from layers.ingest import from_frame, prepare
from layers.schema import roles
from layers.snapshot import as_wkb, digest_of
from tests.layers.files import county, frame, square, squares, write

CRS_4545 = CRS(4545)
AREAS = ["area_m2", "area_ellipsoid_m2", "area_method"]


def test_every_polygon_role_has_the_columns_and_no_other():
    for role in roles().values():
        assert (role.measured == tuple(AREAS)) == (role.geometry == "polygon"), role.name


def test_a_feature_carries_its_plane_and_its_ellipsoid_area_and_how_they_were_measured():
    made = from_frame(frame(squares(3)), "zones", source="t")
    assert made.features["area_m2"].tolist() == pytest.approx([10_000.0] * 3)
    assert made.features["area_ellipsoid_m2"].tolist() == ellipsoid_m2(squares(3), CRS_4545).tolist()
    assert (made.features["area_m2"] > made.features["area_ellipsoid_m2"]).all()
    assert set(made.features["area_method"]) == {"plane, CGCS2000 / 3-degree Gauss-Kruger CM 108E"}
    assert made.layer.fields == {"name": "name"}


def test_a_layer_that_is_no_area_has_none():
    lines = frame([shapely.LineString([(5.6e5, 3.11e6), (5.7e5, 3.11e6)])])
    assert not set(AREAS) & set(from_frame(lines, "rivers", source="t").features)
    assert not set(AREAS) & set(from_frame(frame(), "roads", source="t").features)


def test_the_areas_are_those_of_what_was_loaded():
    shapes = [square(0), shapely.Polygon(), square(1, side=50.0)]
    made = from_frame(frame(shapes), "zones", source="t", extent=shapely.box(0, 0, 1e6, 1e7))
    np.testing.assert_allclose(made.features["area_m2"], shapely.area(made.geometries))
    assert len(made.features) == 2


def test_the_survey_keeps_its_own_word_beside_ours():
    told = frame(squares(2), DLBM=["0101", "0201"], TBMJ=[9_990.0, 10_010.0])
    made = from_frame(told, "land_use", source="t", fields={"code_system": "=GB/T 21010-2017"})
    assert made.features["patch_area_m2"].tolist() == [9_990.0, 10_010.0]
    assert made.features["area_m2"].tolist() == pytest.approx([10_000.0] * 2)


@pytest.mark.parametrize("name", ["area_m2", "AREA_M2", "area_ellipsoid_m2", "area_method"])
def test_a_field_of_that_name_is_kept_under_another_and_said(name):
    values = ["图解", "解析"] if name == "area_method" else [1.0, None]
    made = from_frame(frame(squares(2), **{name: values}), "zones", source="t")
    assert made.features[f"{name}_2"].iloc[0] == values[0]
    assert made.features["area_m2"].tolist() == pytest.approx([10_000.0] * 2)
    (note,) = (one for one in made.notes if one.field == name.lower())
    assert f"{name}_2" in note.fix


def test_a_measured_column_cannot_be_bound():
    with pytest.raises(BadInput) as refused:
        from_frame(frame(squares(1), MJ=[1.0]), "zones", source="t", fields={"area_m2": "MJ"})
    assert "area_m2" in str(refused.value.faults)


@pytest.mark.parametrize("ending", ["gpkg", "geojson"])
def test_what_was_exported_from_here_comes_in_again_without_doubles(tmp_path, ending):
    once = from_frame(frame(squares(2)), "zones", source="t")
    table = frame(once.geometries, **{name: once.features[name].tolist() for name in once.features})
    table["area_m2"] = table["area_m2"].round(2)
    path = write(tmp_path / f"out.{ending}", table)
    again = prepare(path, "zones", CRS_4545)
    assert list(again.features) == list(once.features)
    assert not [note for note in again.notes if note.field in AREAS]


def test_areas_do_not_change_what_the_layer_is_called():
    """They follow from the ground and the CRS, and their last bit may differ between machines."""
    made = from_frame(frame(squares(2)), "zones", source="t")
    plain = made.features.drop(columns=AREAS)
    assert made.layer.digest == digest_of("zones", plain, as_wkb(made.geometries), made.layer.extent)
    assert made.layer.digest != digest_of("zones", made.features, as_wkb(made.geometries), made.layer.extent)


def test_the_areas_are_in_the_county_file_and_in_what_is_rebuilt_from_it(tmp_path):
    store = county(tmp_path)
    made = from_frame(frame(squares(3)), "zones", source="t")
    layer = store.put(made, by="t")
    for file in (store.cache / layer.digest).iterdir():
        file.unlink()
    again = store.frame("zones")
    for name in AREAS[:2]:
        assert again[name].tolist() == made.features[name].tolist()
    assert again["area_method"].tolist() == made.features["area_method"].tolist()
    store.close()
