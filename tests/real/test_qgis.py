"""QGIS, which others wrote, opens the county file and every exported format as they are meant.

QGIS lives under the system's own Python, so it is asked in a child process:

    apt-get install -y --no-install-recommends python3-qgis qgis-providers

With 1.5 GB it is too big to be required of the pipeline: where it is missing these tests are skipped with that reason,
also in CI.
"""

from __future__ import annotations

import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from layers.gpkg import GeoPackage
from layers.ingest import from_frame, from_grid
from tests.conftest import ROOT
from tests.layers.files import EAST, NORTH, county
from tests.layers.samples import areas, lines, lone_points, points, sent, stored

PYTHON = "/usr/bin/python3"
QUIET = {"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
# What QGIS reads in each layer named, and every message it logs above "info", as one line of JSON. The arguments are
# names|FILE, vector|FILE[|layername=NAME], raster|GPKG:FILE:TABLE.
ASK = """
import json, sys
from qgis.core import (Qgis, QgsApplication, QgsPointXY, QgsProviderRegistry, QgsRasterLayer, QgsVectorLayer,
                       QgsWkbTypes)

QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
messages = []
app.messageLog().messageReceived[str, str, Qgis.MessageLevel].connect(
    lambda text, tag, level: messages.append([tag, text]) if level in (Qgis.Warning, Qgis.Critical) else None)
app.initQgis()
assert {"ogr", "gdal"} <= set(QgsProviderRegistry.instance().providerList())


def box(layer):
    extent = layer.extent()
    return [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]


def plain(value):
    if value is None or (hasattr(value, "isNull") and value.isNull()):
        return None
    return value if isinstance(value, (bool, int, float, str)) else str(value.toString(1))


def vector(uri):
    layer = QgsVectorLayer(uri, uri.rpartition("layername=")[2], "ogr")
    names = [field.name() for field in layer.fields()]
    rows, areas = {}, {}
    for feature in layer.getFeatures():
        row = dict(zip(names, map(plain, feature.attributes())))
        key = str(row.get("id", row.get("feature_id", len(rows))))
        rows[key], areas[key] = row, feature.geometry().area()
    return {"name": layer.name(), "valid": layer.isValid(), "crs": layer.crs().authid(), "extent": box(layer),
            "features": len(rows), "counted": layer.featureCount(), "rows": rows, "areas": areas,
            "shape": QgsWkbTypes.geometryDisplayString(layer.geometryType())}


def raster(uri):
    layer = QgsRasterLayer(uri, uri.rpartition(":")[2], "gdal")
    extent, cell = layer.extent(), layer.rasterUnitsPerPixelX()
    at = lambda x, y: layer.dataProvider().sample(QgsPointXY(x, y), 1)[0]
    return {"name": layer.name(), "valid": layer.isValid(), "crs": layer.crs().authid(), "extent": box(layer),
            "width": layer.width(), "height": layer.height(), "cell": cell,
            "north_west": at(extent.xMinimum() + cell / 2, extent.yMaximum() - cell / 2),
            "south_east": at(extent.xMaximum() - cell / 2, extent.yMinimum() + cell / 2)}


def names(path):
    found = QgsProviderRegistry.instance().querySublayers(path)
    return {"name": "names", "names": [one.name() for one in found], "titles": [one.description() for one in found]}


told = [globals()[kind](uri) for kind, _, uri in (one.partition("|") for one in sys.argv[1:])]
print()
print(json.dumps({"layers": told, "messages": messages}), flush=True)
app.exitQgis()
"""
SHAPES = {"areas": "Polygon", "lines": "Line", "points": "Point"}


@lru_cache(maxsize=1)
def missing() -> str:
    """Why QGIS cannot be asked; empty where it can."""
    if not Path(PYTHON).exists():
        return f"no {PYTHON}"
    try:
        asked = subprocess.run(
            [PYTHON, "-c", "import qgis.core"], check=False, capture_output=True, env=QUIET, timeout=120
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (
        "" if asked.returncode == 0 else "python3-qgis is not installed (apt-get install python3-qgis qgis-providers)"
    )


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "QGIS is here")]


def ask(home: Path, *uris: str) -> dict[str, Any]:
    """What QGIS says of each layer, and every warning of its own log or of the GDAL in it."""
    run = subprocess.run(
        [PYTHON, "-c", ASK, *uris],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**QUIET, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    told["messages"] += [line for line in run.stderr.splitlines() if line.startswith(("Warning", "ERROR"))]
    return told


def a_county(folder: Path) -> GeoPackage:
    store = county(folder)
    for role, made in (("land_use", areas()), ("water_mains", lines()), ("villages", points())):
        store.put(from_frame(made, role, source="tests"), by="tests")
    store.put(from_frame(areas().iloc[:2], "land_use", source="tests"), by="tests")  # a second version beside the first
    grid = np.add.outer(np.arange(60, dtype=np.float32), np.arange(80, dtype=np.float32))
    store.put(from_grid(grid, EAST, NORTH + 600, 10.0, "dem", source="tests"), by="tests")
    return store


def test_a_warning_of_qgis_is_heard(tmp_path: Path) -> None:
    (tmp_path / "x.gpkg").write_bytes(b"SQLite format 3\0" + b"junk" * 100)
    told = ask(tmp_path, f"vector|{tmp_path / 'x.gpkg'}", f"raster|GPKG:{tmp_path / 'x.gpkg'}:dem")
    assert not any(one["valid"] for one in told["layers"])
    assert any("not a database" in str(one) for one in told["messages"])
    assert any(str(one).startswith("ERROR") for one in told["messages"])


def test_qgis_reads_the_county_file_as_it_is_meant(tmp_path: Path) -> None:
    store = a_county(tmp_path / "县")
    store.close()
    told = ask(tmp_path, f"names|{store.path}", *vector_uris(store.path), f"raster|GPKG:{store.path}:dem_v1")
    layers = {one["name"]: one for one in told["layers"]}
    assert told["messages"] == []
    assert {"land_use_v1", "land_use_v2", "water_mains_v1", "villages_v1", "数字高程模型 dem v1"} <= set(
        layers["names"]["names"]
    )
    for name, made, kind in (
        ("land_use_v1", areas(), "areas"),
        ("land_use_v2", areas().iloc[:2], "areas"),
        ("water_mains_v1", lines(), "lines"),
        ("villages_v1", points(), "points"),
    ):
        one = layers[name]
        assert one["valid"]
        assert one["crs"] == "EPSG:4545"
        assert one["features"] == len(made)
        assert one["shape"] == SHAPES[kind]
        assert one["extent"] == pytest.approx(list(made.total_bounds), abs=1e-6)  # east first
    assert layers["land_use_v1"]["rows"]["0001"]["code_name"] == "水田"
    assert layers["land_use_v1"]["rows"]["0001"]["code"] == "0101"
    assert layers["land_use_v1"]["areas"]["0001"] == pytest.approx(float(shapely.area(areas().geometry.iloc[0])))
    assert layers["villages_v1"]["rows"]["01"]["name"] == "木黄村"
    grid = layers["dem_v1"]
    assert grid["valid"]
    assert grid["crs"] == "EPSG:4545"
    assert (grid["width"], grid["height"], grid["cell"]) == (80, 60, 10.0)
    assert grid["extent"] == pytest.approx([EAST, NORTH, EAST + 800, NORTH + 600])
    assert grid["north_west"] == 0.0
    assert grid["south_east"] == 59 + 79


@pytest.mark.parametrize("kind", ["areas", "lines", "points"])
def test_qgis_reads_every_format_as_it_is_meant(kind: str, tmp_path: Path) -> None:
    role, made = {
        "areas": ("land_use", areas()),
        "lines": ("water_mains", lines()),
        "points": ("villages", lone_points()),
    }[kind]
    frame, layer = stored(made, role)
    suffixes = [".gpkg", ".shp", ".zip", ".gdb", ".fgb", ".geojson", ".kml", ".dxf"]
    uris = []
    for suffix in suffixes:
        path = sent(tmp_path, suffix, frame, layer).files[0]
        uris.append(f"vector|/vsizip/{path}" if suffix == ".zip" else f"vector|{path}")
    told = ask(tmp_path, *uris)
    assert told["messages"] == []
    for suffix, one in zip(suffixes, told["layers"], strict=True):
        assert one["valid"], suffix
        assert one["shape"] == SHAPES[kind], suffix
        lonlat = suffix in (".geojson", ".kml")
        if suffix == ".dxf":
            assert one["features"] == len(shapely.get_parts(np.asarray(frame.geometry.values)))
            assert one["extent"] == pytest.approx(list(frame.total_bounds), abs=1e-6)
            continue
        assert one["features"] == one["counted"] == len(frame), suffix
        assert one["crs"] in (("EPSG:4326", "OGC:CRS84") if lonlat else ("EPSG:4545",)), suffix
        expected = frame.to_crs(4326).total_bounds if lonlat else frame.total_bounds
        assert one["extent"] == pytest.approx(list(expected), abs=1e-6 if lonlat else 1e-3), suffix
        rows = one["rows"]
        for key, name in zip(frame["id"], frame["code_name" if kind == "areas" else "name"], strict=True):
            told_name = rows[key]["code_name"] if kind == "areas" else rows[key].get("name", rows[key].get("Name"))
            assert told_name == (name if isinstance(name, str) else None), suffix
        if kind == "areas":
            assert rows["0001"]["code"] == "0101", suffix
            assert rows["乙#2"]["备注"] == "+86 851", suffix
            assert rows["0001"]["synthetic"] in (True, 1), suffix


def test_qgis_opens_the_demo_county_without_a_word(tmp_path: Path) -> None:
    path = ROOT / "demo" / "county.gpkg"
    if not path.exists():
        pytest.skip("no demo county (./scripts/demo builds it)")
    copy = tmp_path / "county.gpkg"
    copy.write_bytes(path.read_bytes())
    store = GeoPackage(copy)
    loaded = {f"{one.role}_v{one.version}": one for one in store.layers()}
    crs = store.crs
    store.close()
    rasters = [name for name in loaded if name.startswith(("dem_", "slope_", "imagery_"))]
    told = ask(tmp_path, *vector_uris(copy), *(f"raster|GPKG:{copy}:{name}" for name in rasters))
    layers = {one["name"]: one for one in told["layers"]}
    assert told["messages"] == []
    assert set(loaded) <= set(layers)
    for name, one in loaded.items():
        assert layers[name]["valid"], name
        assert layers[name]["crs"] == f"EPSG:{crs.to_epsg()}", name
        if name not in rasters:
            assert layers[name]["features"] == one.loaded, name


def vector_uris(path: Path) -> list[str]:
    """Every feature table of the county, as QGIS itself would list them."""
    with_geometry = gpd.list_layers(path).dropna(subset=["geometry_type"])
    return [f"vector|{path}|layername={name}" for name in with_geometry["name"]]
