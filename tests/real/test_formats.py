"""Measured files of other countries and offices go into a county and come out as they went in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS, Geod

from layers.errors import NeedCrs
from layers.formats import boundary_txt
from layers.gpkg import GeoPackage, create
from layers.ingest import Prepared, prepare
from layers.records import Floats

pytestmark = [pytest.mark.needs("shared"), pytest.mark.slow]

MOJ = {"12103-0400-76.xml": "EPSG:6677", "46505-3411-1.xml": "EPSG:6670"}
TXT = {"44120000957.txt": "0.7749", "44120001111.txt": "6.0254"}


@dataclass(frozen=True)
class Brought:
    """A layer that went through a county file which was closed and opened again."""

    prepared: Prepared
    frame: gpd.GeoDataFrame
    found: dict[str, str] = field(default_factory=dict)


def brought(folder: Path, file: Path, role: str, county_crs: str, **options: object) -> Brought:
    place = folder / "county.gpkg"
    store = create(place, "县", county_crs)
    prepared = prepare(file, role, CRS(county_crs), **options)  # type: ignore[arg-type]
    store.put(prepared, by="测绘")
    store.close()
    again = GeoPackage(place)
    frame, (layer,) = again.frame(role), again.layers()
    again.close()
    return Brought(prepared, frame, layer.found)


def points(frame: gpd.GeoDataFrame, crs: str | CRS) -> Floats:
    """(V, 2) easting and northing of every vertex, in another CRS."""
    return shapely.get_coordinates(frame.to_crs(crs).geometry.values)


def rings(frame: gpd.GeoDataFrame) -> list[list[int]]:
    """How many points each ring of each feature has."""
    return [[len(ring.coords) for ring in shapely.get_rings(geometry)] for geometry in frame.geometry]


# --- Japan: registry maps ----------------------------------------------------------------------------


@pytest.fixture(params=MOJ)
def registry_map(request, shared_data):
    return shared_data / "moj_japan_parcels" / request.param


def said(text: str, tag: str) -> list[str]:
    return re.findall(f"<{tag}>(.*?)</{tag}>", text)


@pytest.mark.parametrize("own", [True, False], ids=["its own grid", "UTM"])
def test_registry_maps_come_out_as_they_went_in(registry_map, tmp_path, own):
    file_crs = MOJ[registry_map.name]
    utm = {"EPSG:6677": "EPSG:6691", "EPSG:6670": "EPSG:6689"}[file_crs]
    fields = {"id": "筆ID", "name": "地番"}
    made = brought(tmp_path, registry_map, "parcels", file_crs if own else utm, fields=fields)
    text = registry_map.read_text(encoding="utf-8")
    assert made.prepared.rejected == made.prepared.notes == ()
    assert list(made.frame["id"]) == re.findall('<筆 id="(.*?)"', text)
    assert list(made.frame["name"]) == said(text, "地番")
    assert [place for place in made.frame["大字名"] if isinstance(place, str)] == said(text, "大字名")
    assert list(made.frame["大字コード"]) == said(text, "大字コード")
    assert made.found["市区町村名"] == said(text, "市区町村名")[0]
    measured = {
        (float(east), float(north)) for north, east in re.findall(r"<zmn:X>(.*?)</zmn:X>\s*<zmn:Y>(.*?)<", text)
    }
    back = points(made.frame, file_crs)
    if own:
        assert set(map(tuple, back)) <= measured
    else:
        assert {(round(east, 3) + 0.0, round(north, 3) + 0.0) for east, north in back} <= measured


def test_registry_maps_hold_as_many_parcels_as_published(shared_data, tmp_path):
    counts = [
        len(brought(tmp_path / str(n), shared_data / "moj_japan_parcels" / name, "parcels", crs).frame)
        for n, (name, crs) in enumerate(MOJ.items())
        if (tmp_path / str(n)).mkdir() is None
    ]
    assert counts == [1, 8]


# --- China: boundary TXT -----------------------------------------------------------------------------


@pytest.fixture(params=TXT)
def boundary_file(request, shared_data):
    return shared_data / "cn_boundary_txt" / request.param


def written(file: Path) -> list[tuple[float, float]]:
    """(easting, northing) of the point lines."""
    lines = re.findall(r"^J\d+,\d+,([\d.]+),([\d.]+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return [(float(east), float(north)) for north, east in lines]


@pytest.mark.parametrize("county_crs", ["EPSG:4526", "EPSG:4547"])
def test_boundary_files_come_out_as_they_went_in(boundary_file, tmp_path, county_crs):
    fields = {"name": "plot_name"}
    made = brought(tmp_path, boundary_file, "plots", county_crs, fields=fields)
    assert made.prepared.rejected == made.prepared.notes == ()
    (head,) = re.findall("^(.*),@$", boundary_file.read_text(encoding="utf-8"), re.MULTILINE)
    count, area, number, name, kind, sheet, use, code = head.split(",")
    row = made.frame.iloc[0]
    assert area == TXT[boundary_file.name]
    assert (row["plot_no"], row["name"], row["geometry_kind"]) == (number, name, kind)
    assert (row["sheet"], row["use"], row["code"]) == (sheet, use, code)
    assert (row["point_count"], row["declared_area_ha"]) == (int(count), float(area))
    assert round(row.geometry.area / 1e4, 4) == float(area)
    back = points(made.frame, "EPSG:4526")
    assert len(back) == int(count)
    assert np.abs(back - written(boundary_file)).max() < 0.001
    if county_crs == "EPSG:4526":
        assert [tuple(point) for point in back] == written(boundary_file)


@pytest.mark.parametrize("county_crs", ["EPSG:4526", "EPSG:4547"])
def test_boundary_files_are_written_again_byte_for_byte(boundary_file, tmp_path, county_crs):
    made = brought(tmp_path, boundary_file, "plots", county_crs)
    raw = boundary_txt.read(boundary_file.read_bytes(), name=boundary_file.name)
    profile, header = boundary_txt.as_read(raw)
    assert boundary_txt.write(made.frame, profile=profile, header=header) == boundary_file.read_bytes()


def test_an_old_datum_is_refused_through_the_sandbox_too(boundary_file, tmp_path):
    file = tmp_path / "界址.txt"
    file.write_bytes(boundary_file.read_bytes().replace("2000国家大地坐标系".encode(), "1980西安坐标系".encode()))
    with pytest.raises(NeedCrs, match="西安80"):
        prepare(file, "plots", CRS("EPSG:4526"))


def test_boundary_files_are_read_without_a_doubt(boundary_file):
    raw = boundary_txt.read(boundary_file.read_bytes(), name=boundary_file.name)
    assert raw.notes == ()
    assert raw.crs == "EPSG:4526"
    assert raw.found["encoding"] == "UTF-8"


# --- Czechia and test areas of momepy ----------------------------------------------------------------

# Helmert's rotations are not quite undone by their inverse: there and back over another datum moves a point by about
# a millimetre on the ground, which Web Mercator shows half as large again.
LAYERS = [
    ("bubenec", "plots", "plots", "EPSG:25833", 0.001),
    ("bubenec", "plots", "plots", "EPSG:5514", 0.0025),
    ("bubenec", "buildings", "plots", "EPSG:25833", 0.001),
    ("bubenec", "tessellation", "plots", "EPSG:25833", 0.001),
    ("bubenec", "streets", "roads", "EPSG:25833", 0.001),
    ("tests", "os", "plots", "EPSG:27700", 0.0),
    ("tests", "os", "plots", "EPSG:32630", 0.001),
    ("tests", "network", "roads", "EPSG:5514", 0.001),
    ("tests", "broken_network", "roads", "EPSG:5514", 0.001),
    ("tests", "test_rabs", "roads", "EPSG:25830", 0.001),
]


@pytest.mark.parametrize(("file", "layer", "role", "county_crs", "off_m"), LAYERS)
def test_momepy_layers_come_out_as_they_went_in(shared_data, tmp_path, file, layer, role, county_crs, off_m):
    path = shared_data / "czech_bubenec" / f"{file}.gpkg"
    there = pyogrio.read_dataframe(path, layer=layer)
    made = brought(tmp_path, path, role, county_crs, layer=layer)
    assert made.prepared.rejected == ()
    assert len(made.frame) == len(there)
    assert rings(made.frame) == rings(there)
    flat = shapely.get_coordinates(there.geometry.values)
    assert np.abs(points(made.frame, there.crs) - flat).max() <= off_m
    assert np.abs(points(made.frame, county_crs) - points(there, county_crs)).max() < 1e-6
    for name in there.columns.drop("geometry"):
        ours = made.prepared.layer.fields
        kept = next((column for column, source in ours.items() if source == name), name)
        assert list(made.frame[kept]) == list(there[name]), name


def test_the_published_area_of_a_plot_is_not_that_of_web_mercator(shared_data, tmp_path):
    path = shared_data / "czech_bubenec" / "bubenec.gpkg"
    there = pyogrio.read_dataframe(path, layer="plots")
    made = brought(tmp_path, path, "plots", "EPSG:5514", layer="plots")
    geod = Geod(ellps="bessel")
    exact = [abs(geod.geometry_area_perimeter(g)[0]) for g in made.frame.to_crs(made.frame.crs.geodetic_crs).geometry]
    assert np.abs(made.frame["area_ellipsoid_m2"] / exact - 1).max() < 1e-4
    assert np.abs(made.frame["area_m2"] / made.frame["area_ellipsoid_m2"] - 1).max() < 1e-3
    inflated = there.area.sum() / made.frame["area_m2"].sum()
    assert inflated == pytest.approx(1 / np.cos(np.radians(50.1)) ** 2, rel=0.01)
    assert made.frame["area_m2"].sum() / 1e4 == pytest.approx(made.frame.area.sum() / 1e4, abs=1e-4)
