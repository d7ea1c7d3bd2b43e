"""Networks of real places: the roads and lines of Andorra's mountains, the grid of Rhode Island.

What nobody says stays unknown: OpenStreetMap has no loads, Rhode Island's substations have no capacity.
"""

import time
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from gis.check import check, rulebook
from gis.connections import connect
from gis.judge import Status
from gis.network_report import report
from gis.roads import RoadClasses, roads_of
from gis.routes import accumulate
from gis.surface import Prices, surface
from gis.topology import network_of
from layers.crs import working
from layers.ingest import prepare
from layers.records import Project, Snapshot
from scripts.real import rhode_island as ri
from tests.worlds import MemoryWorld, grid, layer

pytestmark = [pytest.mark.needs("shared"), pytest.mark.slow]

BOOK = rulebook()
PRICES = Prices.of(BOOK)
UTM31 = working("EPSG:25831")
WEST, NORTH, CELL, SIDE = 370_000.0, 4_722_000.0, 60.0, 600
COUNTRY = shapely.box(WEST, NORTH - SIDE * CELL, WEST + SIDE * CELL, NORTH)
PLANT = Project(id="x", land_m2=1e4, power_kva=4_000, water_m3d=300, freight_td=100)


def snapshot(made):
    """A prepared file as a snapshot, whole."""
    geometries = np.asarray(made.geometries, dtype=object)
    parts, owner = shapely.get_parts(geometries, return_index=True)
    return Snapshot(made.layer, made.features.reset_index(drop=True), parts, owner.astype(np.int64))


@pytest.fixture(scope="module")
def andorra(shared_data):
    folder = shared_data / "andorra_mountain"
    with zipfile.ZipFile(folder / "N42E001.hgt.zip") as packed:
        data = packed.read(next(one for one in packed.namelist() if one.endswith(".hgt")))
    values = np.full((SIDE, SIDE), np.nan, dtype=np.float32)
    with MemoryFile(data, filename="N42E001.hgt") as file, file.open() as source:
        reproject(
            rasterio.band(source, 1), values, dst_transform=from_origin(WEST, NORTH, CELL, CELL),
            dst_crs="EPSG:25831", dst_nodata=np.nan, resampling=Resampling.bilinear,
        )  # fmt: skip
    extract = folder / "andorra.osm.pbf"
    layers = [
        snapshot(prepare(extract, role, UTM31, extent=COUNTRY))
        for role in ("roads", "power_lines", "water_sources", "rivers")
    ]
    return MemoryWorld(*layers, rasters=[grid(values, WEST, NORTH, CELL)])


def test_the_roads_of_a_mountain_country_are_a_network_with_its_breaks(andorra):
    network = network_of(andorra.near("roads", ()))
    told = network.summary()
    assert told["edges"] >= told["features"] == 581
    lines = shapely.union_all(network.lines)
    assert told["length_km"] == pytest.approx(lines.length / 1000, rel=0.01)
    main = np.bincount(network.part[network.start], network.length_m)
    assert main[0] / main.sum() > 0.8
    assert set(network.breaks["kind"]) <= {"dangling end", "gap", "unconnected part", "duplicate", "loop"}
    assert set(network.breaks["feature"]) <= set(network.ids)


def test_the_way_to_a_main_road_in_the_mountains(andorra):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(375_000, 400_000, 300), rng.uniform(4_695_000, 4_718_000, 300)
    reach = roads_of(andorra.near("roads", ()), RoadClasses.of(BOOK)).reach(shapely.box(x, y, x + 100, y + 100))
    far = reach.distance_m.hi
    assert np.isfinite(far).mean() > 0.8  # the others stand by roads that no line joins with the rest
    assert (far[np.isfinite(far)] >= reach.access_m[np.isfinite(far)]).all()
    assert np.isinf(reach.worst("grade_share").hi[np.isfinite(far)]).all()  # nobody mapped the grades


def test_a_line_finds_its_way_over_the_mountains(andorra):
    under = surface(andorra, 60.0)
    assert "land_use" in under.missing
    line = andorra.near("power_lines", ())
    reached = accumulate(under, PRICES, "power", list(line.pieces))
    site = shapely.box(380_000, 4_712_000, 380_200, 4_712_200)
    start = time.perf_counter()
    route = reached.route(site)
    assert time.perf_counter() - start < 0.1
    straight = shapely.distance(site, shapely.union_all(line.pieces))
    assert straight * 0.9 <= route.length_m <= straight * 4
    assert route.effort_m(PRICES) >= route.length_m


def test_what_nobody_mapped_is_unknown_there(andorra):
    site = shapely.box(380_000, 4_712_000, 380_200, 4_712_200)
    checked = check([site], PLANT, BOOK, andorra, purpose="entry")
    by_rule = {rule.id: Status(int(checked.status[n, 0, 0])) for n, rule in enumerate(checked.rules)}
    assert by_rule["power.reach"] is Status.UNKNOWN  # no substations were mapped
    assert by_rule["water.headroom"] is Status.UNKNOWN
    assert by_rule["road.grade"] is Status.UNKNOWN
    found = connect(site, PLANT, BOOK, andorra, lambda *_: None)
    assert {one.utility: one.status for one in found}["power"] == "none"
    assert report(andorra).networks["power_lines"]["features"] == 11


@pytest.fixture(scope="module")
def rhode_island(shared_data, tmp_path_factory):
    data = shared_data / "siting_rhode_island"
    target = working(ri.COUNTY_CRS)
    wanted = {one.role: one for one in ri.sources(data, tmp_path_factory.mktemp("ri"))}
    layers = []
    for role in ("substations", "power_lines", "river_management", "railways"):
        one = wanted[role]
        layers.append(snapshot(prepare(one.file, role, target, crs=one.crs, fields=one.fields)))
    slope = prepare(wanted["slope"].file, "slope", target)
    return MemoryWorld(*layers, rasters=[slope.raster])


def test_the_grid_of_rhode_island_has_its_breaks_reported(rhode_island):
    found = report(rhode_island)
    told = found.networks["power_lines"]
    assert told["features"] == 606
    assert told["edges"] > 600
    kinds = {(one["role"], one["kind"]) for one in found.breaks}
    assert ("substations", "no capacity_kva") in kinds
    assert ("substations", "no voltage_kv") in kinds
    assert all(one["feature"] for one in found.breaks)


def test_a_station_of_unknown_capacity_leaves_a_site_undetermined_and_a_route_is_drawn(rhode_island):
    stations = rhode_island.near("substations", ())
    middle = rhode_island.raster("slope").layer.extent.centroid  # the stations reach far beyond the state
    site = shapely.box(middle.x, middle.y, middle.x + 200, middle.y + 200)
    checked = check([site], PLANT, BOOK, rhode_island, purpose="entry")
    by_rule = {rule.id: Status(int(checked.status[n, 0, 0])) for n, rule in enumerate(checked.rules)}
    assert by_rule["power.headroom"] is not Status.PASS
    under = surface(rhode_island, 100.0)

    def routes(utility, role, facility):
        found = rhode_island.near(role, ())
        if found is None or utility == "road":
            return None
        at = list(found.column("id")).index(facility)
        return accumulate(under, PRICES, utility, list(found.pieces[found.owner == at]))

    nearest = stations.where(np.isin(np.arange(len(stations.features)), [int(np.argmin(
        shapely.distance(stations.pieces, middle)
    ))]))  # fmt: skip
    world = rhode_island.replaced(nearest)
    power = connect(site, PLANT, BOOK, world, routes)[0]
    assert power.status == "unknown"
    assert power.route is not None
    assert power.cost_wan[1] > 0
    assert isinstance(power.route.line, shapely.LineString)


def test_lines_without_anything_said_make_a_network_all_the_same():
    bare = layer("roads", [shapely.LineString([(0, 0), (100, 0)])])
    reach = roads_of(bare, RoadClasses.of(BOOK)).reach(np.array([shapely.box(0, 10, 10, 20)]))
    assert np.isinf(reach.distance_m.hi[0])
    assert gpd.GeoSeries([reach.course(0)]).notna().all()
