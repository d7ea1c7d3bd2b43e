"""The demo county: the same for the same seed, without gaps or overlaps, true to the table of roles; and as it is found
in its file, where it shows every verdict for the reason it states. Slow: it is built twice, once to compare."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyflwdir
import pytest
import shapely

from gis.check import check, rulebook
from gis.explain import findings, verdict
from layers.codes import land_use
from layers.errors import UnknownName
from layers.gpkg import GeoPackage
from layers.records import Project
from layers.schema import role
from scripts.county import County, build
from scripts.county.places import TOWNS
from scripts.county.rivers import rivers
from scripts.county.supply import overlap_m2
from scripts.county.tour import page, scenario, tour
from scripts.founding import found

pytestmark = pytest.mark.slow


def digest(county: County) -> str:
    """Every coordinate, attribute, height and balance of a county."""
    running = hashlib.sha256(county.dem.values.tobytes())
    for name, frame in sorted(county.layers.items()):
        running.update(name.encode())
        for blob in shapely.to_wkb(np.asarray(frame.geometry.values, dtype=object)):
            running.update(blob)
        running.update(frame.drop(columns="geometry").to_csv().encode())
    running.update(county.pools.to_csv().encode())
    running.update(repr([county.projects, county.examples, county.further, county.confirmations]).encode())
    return running.hexdigest()


def digest_of_seed(seed: int) -> str:
    return digest(build(seed))


@pytest.fixture(scope="module")
def twin() -> Iterator[Future[str]]:
    """The digest of the same seed, built meanwhile in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool.submit(digest_of_seed, 1)


@pytest.fixture(scope="module")
def founded(twin: Future[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[GeoPackage, County]:
    path: Path = tmp_path_factory.mktemp("demo") / "county.gpkg"
    said: list[float] = []
    made = found(path, 1, lambda _, done: said.append(done))
    assert said == sorted(said)
    assert said[-1] == 1.0
    assert [item.name for item in path.parent.iterdir() if item.name.startswith(".making")] == []
    return GeoPackage(path), made


@pytest.fixture(scope="module")
def county(founded: tuple[GeoPackage, County]) -> County:
    return founded[1]


@pytest.fixture(scope="module")
def demo(founded: tuple[GeoPackage, County]) -> GeoPackage:
    return founded[0]


def shapes(county: County, name: str) -> np.ndarray:
    return np.asarray(county.layers[name].geometry.values, dtype=object)


def test_the_same_seed_gives_the_same_bytes(county: County, twin: Future[str]) -> None:
    assert digest(county) == twin.result()


def test_another_seed_gives_another_county(county: County) -> None:
    other = shapely.intersection(rivers(2)[0].line, county.extent)
    assert other.distance(shapes(county, "rivers")[0]) < 1_000  # the same valley, another course
    assert other.hausdorff_distance(shapes(county, "rivers")[0]) > 100


def test_the_county_measures_what_it_states(county: County) -> None:
    assert county.extent.area == pytest.approx(1_969e6, rel=1e-6)
    west, south, east, north = county.extent.bounds
    box = (529_710, 3_053_265, 579_775, 3_136_054)  # 108.303-108.808 E, 27.592-28.337 N
    assert np.abs(np.array([west, south, east, north]) - box).max() < 1_600
    assert all(county.extent.contains(shapely.Point(town.at)) for town in TOWNS)


def test_land_use_covers_the_county_without_gap_or_overlap(county: County) -> None:
    patches = shapes(county, "land_use")
    assert len(patches) >= 150_000
    assert shapely.coverage_is_valid(patches)
    assert shapely.area(patches).sum() == pytest.approx(county.extent.area, rel=1e-12)
    assert shapely.symmetric_difference(shapely.coverage_union_all(patches), county.extent).area < 0.01
    assert (county.layers["land_use"]["patch_area_m2"] > 100).all()


def test_fields_and_forest_have_about_their_real_shares(county: County) -> None:
    frame = county.layers["land_use"]
    area = frame["patch_area_m2"].groupby(frame["code"]).sum() / county.extent.area
    assert 0.55 < area[area.index.str.startswith("03")].sum() < 0.75  # 70.4 % of the real one
    assert 0.18 < area[["0101", "0102", "0103"]].sum() < 0.30  # 513.9 of 1,969 km2


def test_environment_units_tessellate_too(county: County) -> None:
    units = shapes(county, "environment_units")
    assert shapely.coverage_is_valid(units)
    assert shapely.area(units).sum() == pytest.approx(county.extent.area, rel=1e-12)


def test_parcels_share_borders_and_no_ground(county: County) -> None:
    parcels = shapes(county, "parcels")
    assert len(parcels) == 20_000
    assert shapely.is_valid(parcels).all()
    a, b = shapely.STRtree(parcels).query(parcels, predicate="intersects")
    pairs = a < b
    assert shapely.area(shapely.intersection(parcels[a[pairs]], parcels[b[pairs]])).max() < 1e-6
    assert (shapely.length(shapely.intersection(parcels[a[pairs]], parcels[b[pairs]])) > 20).sum() > 20_000
    area_m2 = shapely.area(parcels)
    assert area_m2.min() >= 3_000
    assert area_m2.max() <= 60_000


def test_parcels_keep_three_kilometres_from_the_edge_of_the_survey(county: County) -> None:
    assert shapely.distance(shapes(county, "parcels"), county.extent.exterior).min() >= 3_000


def test_parcel_codes_are_well_formed_and_unique(county: County) -> None:
    ids = county.layers["parcels"]["id"]
    assert ids.is_unique
    assert all(re.fullmatch(r"\d{6}\d{3}\d{3}[GJZ][A-Z]\d{5}", one) for one in ids)


def test_a_zone_parcel_lies_wholly_in_its_zone(county: County) -> None:
    zones = county.layers["zones"].set_index("id").geometry
    parcels = county.layers["parcels"]
    inside = parcels[parcels["zone"].notna()]
    share = overlap_m2(np.asarray(inside.geometry.values, dtype=object), zones.to_numpy()) / inside.area
    assert share.min() > 1 - 1e-9


def test_every_frame_conforms_to_its_role(county: County) -> None:
    dimension = {"polygon": {2}, "line": {1}, "any": {0, 1, 2}}
    ground = county.extent.buffer(0.01)
    shapely.prepare(ground)
    for name, frame in county.layers.items():
        wanted = role(name)
        known = {column.name: column for column in wanted.columns}
        assert set(frame.columns) - {"geometry"} <= known.keys(), name
        assert wanted.required <= set(frame.columns), name
        assert frame["id"].is_unique, name
        assert all(isinstance(one, str) and one for one in frame["id"]), name
        assert frame["synthetic"].all(), name
        assert str(frame.crs) == county.crs, name
        geometries = np.asarray(frame.geometry.values, dtype=object)
        assert len(geometries), name
        assert shapely.is_valid(geometries).all(), name
        assert not shapely.is_empty(geometries).any(), name
        assert set(shapely.get_dimensions(geometries)) <= dimension[wanted.geometry], name
        assert shapely.covers(ground, geometries).all(), name
        for column in known.values():
            if column.name in frame and column.codes:
                assert set(frame[column.name].dropna()) <= set(column.codes), (name, column.name)


def test_land_use_codes_are_of_their_system(county: County) -> None:
    known = land_use().set_index(["code_system", "code"])["name_zh"]
    for name in ("land_use", "plan_zoning"):
        frame = county.layers[name]
        for system, code, word in set(zip(frame["code_system"], frame["code"], frame["code_name"], strict=True)):
            assert known[system, code] == word, (system, code)


def test_the_ground_has_peaks_valleys_and_flats(county: County) -> None:
    z = county.dem.values
    assert z.dtype == np.float32
    assert np.isfinite(z).all()
    assert county.dem.cell_m == 12.5
    assert z.min() == pytest.approx(377.7, abs=0.01)
    assert z.max() == pytest.approx(2_493.8, abs=0.01)
    west, south, east, north = county.extent.bounds
    assert county.dem.west < west < east < county.dem.west + z.shape[1] * 12.5
    assert county.dem.north - z.shape[0] * 12.5 < south < north < county.dem.north
    x = np.broadcast_to(county.dem.west + 12.5 * np.arange(z.shape[1]), z.shape)
    assert z[x > 565_000].mean() > z[x < 545_000].mean() + 300  # the east is high
    rise = np.hypot(*np.gradient(z, county.dem.cell_m))
    assert (rise < np.tan(np.radians(8))).mean() > 0.08
    assert (rise > np.tan(np.radians(25))).mean() > 0.08


def test_every_cell_drains_to_the_edge_and_the_river_passes_its_towns_in_order(county: County) -> None:
    z, cell_m = county.dem.values, county.dem.cell_m
    filled, direction = pyflwdir.dem.fill_depressions(z, outlets="edge")
    assert np.abs(filled - z).max() < 0.011  # heights are kept to the centimetre; nothing else had to be filled
    flow = pyflwdir.from_array(direction, ftype="d8", check_ftype=False)
    head = next(town for town in TOWNS if town.name == "木黄镇").at
    area = flow.upstream_area()
    row, column = int((county.dem.north - head[1]) / cell_m), int((head[0] - county.dem.west) / cell_m)
    around = area[row - 60 : row + 61, column - 60 : column + 61]
    down, right = np.unravel_index(np.argmax(around), around.shape)
    run, below = [int((row - 60 + down) * z.shape[1] + column - 60 + right)], flow.idxs_ds
    while below[run[-1]] != run[-1]:
        run.append(int(below[run[-1]]))
    path = np.array(run)
    x = county.dem.west + (path % z.shape[1] + 0.5) * cell_m
    y = county.dem.north - (path // z.shape[1] + 0.5) * cell_m
    passed = []
    for name in ("合水镇", "朗溪镇", "峨岭街道", "中兴街道"):
        town = next(town for town in TOWNS if town.name == name)
        away = np.hypot(x - town.at[0], y - town.at[1])
        assert away.min() < 1_300, name
        passed.append(int(np.argmin(away)))
    assert passed == sorted(passed)
    assert x[-1] < county.extent.bounds[0]  # and out in the west
    named = shapes(county, "rivers")[0]
    inside = shapely.contains_xy(county.extent, x, y)
    assert np.percentile(shapely.distance(shapely.points(x[inside], y[inside]), named), 95) < 60


def test_protected_ground_is_as_intricate_as_real_ground(county: County) -> None:
    assert shapely.get_num_coordinates(shapes(county, "eco_redline")).max() >= 50_000
    farmland = shapes(county, "basic_farmland")
    assert shapely.get_num_coordinates(farmland).max() > 5_000
    assert shapely.get_num_interior_rings(farmland).max() > 10


def test_projects_are_projects(county: County) -> None:
    keys = [Project.model_validate(project).key for project in county.projects]
    assert len(set(keys)) == len(keys) >= 26


def test_every_facility_has_an_account_and_quotas_nest(county: County) -> None:
    balance = county.pools.set_index("account")["balance"]
    assert balance.index.is_unique
    assert (balance >= 0).all()
    for station in county.layers["substations"]["id"]:
        assert f"capacity/{station}/power_kva" in balance
    for unit in ("520625", *county.layers["zones"]["unit_code"]):
        for year in range(2025, 2029):
            whole, farm, field = (
                balance[f"quota/{unit}/{year}/{kind}"] for kind in ("new_construction", "agricultural", "cultivated")
            )
            assert whole >= farm >= field > 0


def test_an_example_for_every_verdict_names_a_project_and_parcels_that_hold_it(county: County) -> None:
    land = {project["id"]: project.get("land_m2", 0.0) for project in county.projects}
    area = county.layers["parcels"].set_index("id").area
    assert set(county.examples) == {"clear", "warned", "conditional", "undetermined", "blocked"}
    for word, example in {**county.examples, **county.further}.items():
        assert isinstance(example.site, list), word
        total = area[example.site].sum()
        assert total >= land[example.project] or word in {"blocked", "first_grade_water", "red_line"}


def test_the_karst_survey_stops_short_of_the_undetermined_site(county: County) -> None:
    parcels = county.layers["parcels"].set_index("id").geometry
    (site,) = county.examples["undetermined"].site[:1]
    assert county.extents["karst"].disjoint(parcels[site])
    assert county.extents["karst"].contains(parcels[county.examples["clear"].site[0]])


# --- as it stands in its file ----------------------------------------------------------------------

VERDICTS = ("clear", "warned", "conditional", "undetermined", "blocked")


CASES = (
    "chemical_by_the_river", "chemical_on_the_terrace", "slag_in_the_second_zone", "slag_upstream",
    "cement_without_replacement", "food_beside_dust", "too_steep", "quota_too_small", "first_grade_water", "red_line",
)  # fmt: skip


@pytest.mark.parametrize("case", [*VERDICTS, *CASES])
def test_every_case_has_its_site_its_verdict_and_its_reason(founded, case):
    demo, made = founded
    example = {**made.examples, **made.further}[case]
    world = demo.at()
    book = rulebook().confirmed(demo.list("confirmation"))
    parcels = demo.ground("parcels", example.site)
    site = shapely.union_all(list(parcels.values()))
    project = Project.model_validate(demo.load("project", example.project))
    checked = check([site], project, book, world)
    reasons = [(one.rule, one.status) for one in findings(checked, 0, 0) if one.status in ("fail", "unknown")]
    assert verdict(checked, 0, 0).name.lower() == example.verdict, reasons
    assert example.rule is None or example.rule in dict(reasons)
    assert demo.load("example", case)["rule"] == example.rule


def test_every_named_thing_is_found_by_its_name_and_gets_an_answer(demo):
    stops = list(tour(demo))
    assert [stop.row["name"] for stop in stops] == [row["name"] for row in scenario()]
    assert all(stop.row["name"] in stop.feature["name"] for stop in stops)
    said = {stop.verdict.name.lower() for stop in stops}
    assert said | {case["verdict"] for case in demo.list("example")} == set(VERDICTS)
    assert len(said) >= 3
    printed = page(stops, demo.list("example"))
    assert all(stop.feature["name"] in printed for stop in stops)
    assert len(printed.splitlines()) > len(stops) + len(CASES)


def test_a_thing_that_is_not_there_is_not_toured(demo):
    row = scenario()[0] | {"name": "没有的企业"}
    with pytest.raises(UnknownName, match="没有的企业"):
        next(tour(demo, [row]))


def test_the_file_is_no_larger_than_promised(founded):
    assert founded[0].path.stat().st_size < 300e6


def test_the_county_is_big_enough_and_says_that_it_is_made_up(demo):
    layers = {layer.role: layer for layer in demo.layers()}
    assert layers["parcels"].loaded == 20_000
    assert all(layer.synthetic for layer in layers.values())
    assert all(layer.rejected == 0 for layer in layers.values())
    assert {"zones", "basic_farmland", "eco_redline", "river_management", "substations", "dem"} <= layers.keys()


def test_every_parcel_is_checked_for_every_project_and_all_outcomes_occur(demo):
    book = rulebook().confirmed(demo.list("confirmation"))
    projects = [Project.model_validate(one) for one in demo.list("project")]
    table = check(demo.frame("parcels"), projects, book, demo.at())
    assert set(np.unique(table.verdict)) >= {0, 2, 3, 4}
