"""A county made of somebody else's files: what loads, what is refused, and what can be said of every parcel."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import CRS

from gis.judge import Status, Verdict
from layers.errors import BadInput, NeedCrs
from layers.gpkg import create
from layers.ingest import prepare
from scripts.real import rhode_island as ri

pytestmark = [pytest.mark.needs("shared"), pytest.mark.slow]

TARGET = CRS.from_user_input(ri.COUNTY_CRS)
LOADED = {
    "parcels": 3_514,
    "zones": 5,
    "river_management": 1_087,
    "railways": 450,
    "residential": 100,
    "substations": 445,
    "power_lines": 606,
    "nature_reserve": 2_808,
    "slope": 1,
    "imagery": 1,
}


@pytest.fixture(scope="module")
def data(shared_data):
    return shared_data / "siting_rhode_island"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("rhode_island")


@pytest.fixture(scope="module")
def wanted(data, work):
    return ri.sources(data, work)


@pytest.fixture(scope="module")
def run(data, work, wanted):
    """The county at its three stages; the order matters, so they are run once."""
    store = create(work / "ri.gpkg", "Rhode Island", ri.COUNTY_CRS)
    imports = ri.load(store, wanted)
    stages = {"A": ri.judge(store, "A")}
    absent = ri.missing(store, data, work)
    empty = ri.load(store, absent)
    stages["B"] = ri.judge(store, "B")
    stages["C"] = ri.judge(store, "C", ri.suppose(store, data, work))
    yield store, imports, empty, stages
    store.close()


# --- what loads --------------------------------------------------------------------------------------


def test_features_in_are_loaded_or_rejected(run, data):
    _, imports, _, _ = run
    assert {one.source.role: one.prepared.layer.loaded for one in imports} == LOADED
    for one in imports:
        assert one.prepared.features_in == one.prepared.layer.loaded + one.prepared.layer.rejected
        assert one.prepared.layer.rejected == 0
    parts = [one.prepared.features_in for one in imports if one.source.role in ("substations", "power_lines")]
    categories = pyogrio.read_dataframe(data / ri.LINES, read_geometry=False)["category"]
    left_out = categories.isin(["LoadCen", "PCALoadCen"]).sum()  # no role fits them
    assert (left_out, sum(parts) + left_out) == (120, len(categories)) == (120, 1_171)


def test_voltages_are_read_from_the_field_that_was_named(run):
    store, *_ = run
    lines = store.frame("power_lines")
    assert lines["voltage_kv"].notna().all()
    assert set(lines["voltage_kv"]) >= {69.0, 115.0, 138.0, 230.0, 345.0}


def test_every_layer_lies_in_rhode_island(run):
    store, *_ = run
    parcels = shapely.box(*store.frame("parcels").total_bounds)
    for role in ("zones", "river_management", "railways", "substations", "power_lines", "nature_reserve"):
        assert shapely.distance(parcels, shapely.union_all(store.frame(role).geometry.to_numpy())) < 2_000, role


def test_a_grid_of_the_same_crs_is_stored_as_it_is(run, data):
    store, *_ = run
    with rasterio.open(data / "ri_nlcd.tif") as file:
        assert (store.at().raster("imagery").values == file.read(1)).all()
    with rasterio.open(data / "ri_srtm_slope.tif") as file:
        np.testing.assert_allclose(store.at().raster("slope").values, file.read(1), atol=1e-6)


# --- what is refused ---------------------------------------------------------------------------------


def test_parcels_without_a_crs_are_refused_until_somebody_says_it(data):
    with pytest.raises(NeedCrs, match="Undefined geographic SRS"):
        prepare(data / ri.PARCELS, "parcels", TARGET)
    assert prepare(data / ri.PARCELS, "parcels", TARGET, crs=ri.NAD83).layer.loaded == 3_514


def test_the_invalid_parcel_is_rejected_with_its_reason(data, run):
    file = data / "RI_Parcels" / "invalid" / "Rhode_Island.gpkg"
    with pytest.raises(BadInput, match="Self-intersection"):
        prepare(file, "parcels", TARGET)
    store, *_ = run
    whole = shapely.box(*store.bounds())
    found = prepare(file, "parcels", TARGET, extent=whole)
    assert (found.features_in, found.layer.loaded, found.layer.rejected) == (1, 0, 1)
    assert "Ring Self-intersection" in found.rejected[0].reason
    assert found.rejected[0].feature == "parcels-1"
    # Nobody knows what is there, so its ground counts as not surveyed.
    assert found.layer.extent.area < whole.area


def test_a_raster_tagged_with_another_datum_on_the_same_grid_is_refused(data):
    file = data / "ri_nlcd.tif"
    with pytest.raises(NeedCrs, match="own grid on another datum") as refused:
        prepare(file, "imagery", TARGET)
    assert "NSRS2007" in refused.value.faults[0].reason
    found = prepare(file, "imagery", TARGET, crs=ri.COUNTY_CRS)
    assert found.raster.values.shape == (1_434, 972)
    assert found.raster.cell_m == 90.0


def test_a_raster_tagged_in_feet_is_refused(data, work):
    """Its numbers are metres under a tag in US feet: the county's own grid, said in another unit and datum."""
    with pytest.raises(NeedCrs, match="own grid on another datum"):
        prepare(ri.in_us_feet(data, work), "slope", TARGET)


# --- what can be said of the parcels -------------------------------------------------------------------


def test_a_missing_survey_leaves_every_parcel_undetermined_never_clear(run):
    _, _, empty, stages = run
    stage = stages["A"]
    assert stage.verdicts["undetermined"] + stage.verdicts["blocked"] == 3_514
    assert stage.checked.verdict.min() >= Verdict.UNDETERMINED
    for rule in ("farmland.basic", "redline.ecological", "boundary.outside", "highway.national", "water.reach"):
        assert (stage.status(rule) == Status.UNKNOWN).all(), rule
    # The only thing that is sure of a lot without surveys is that it is too small.
    assert stage.verdicts["blocked"] == (stage.status("land.enough") == Status.FAIL).sum()
    assert {"basic_farmland", "eco_redline", "roads", "urban_boundary"} <= {one.source.role for one in empty}


def test_layers_that_are_there_are_measured(run):
    stage = run[3]["A"]
    for rule in ("river.management", "slope.mean"):
        assert (stage.status(rule) != Status.UNKNOWN).all(), rule
    for rule in ("railway.zone", "line.110kv", "line.220kv"):  # drawn by the middle: unknown beside them, else known
        assert (stage.status(rule) != Status.UNKNOWN).mean() > 0.95, rule
    assert (stage.status("railway.zone") == Status.FAIL).any()
    assert (stage.status("river.management") == Status.FAIL).any()


def test_protected_ground_whose_kind_nobody_said_may_be_a_core(run):
    stage = run[3]["A"]
    on_it = stage.status("reserve.any") == Status.FAIL
    assert on_it.any()
    assert (stage.status("reserve.core")[on_it] == Status.UNKNOWN).all()
    assert (stage.status("reserve.core")[~on_it] == Status.PASS).all()


def test_a_survey_that_found_nothing_answers(run):
    """No farmland found passes; no urban boundary found means that every lot lies outside it."""
    stage = run[3]["B"]
    for rule in ("farmland.basic", "redline.ecological", "highway.national", "karst.distance", "wetlands.any"):
        assert (stage.status(rule) == Status.PASS).all(), rule
    for rule in ("road.reach", "water.reach"):
        assert (stage.status(rule) == Status.FAIL).all(), rule
    assert stage.verdicts["blocked"] == 3_514
    outside = stage.status("boundary.outside") == Status.FAIL
    # one lot is smaller than the square metre that is tolerated
    assert (~outside).sum() == (run[0].frame("parcels").area < 1).sum() == 1


def test_what_a_county_would_add_brings_other_verdicts(run):
    stage = run[3]["C"]
    assert sum(stage.verdicts.values()) == 3_514
    assert stage.verdicts["clear"] == 0  # a survey found neither road nor waterworks
    assert stage.verdicts["conditional"] > 500
    assert stage.verdicts["undetermined"] > 0


# --- numbers that reVX published ----------------------------------------------------------------------


def test_setbacks_published_by_revx_are_reproduced_but_for_the_rim(data):
    found = {one.name: one for one in ri.oracles(data)}
    assert {name: one.published for name, one in found.items()} == {
        "generic_rails.tif, 705 m": 35_734,
        "structures, 705 m": 6_830,
        "water, 100 m": 88_994,
        "inside a parcel, 100 m from its line": 438,
    }
    for one in found.values():
        assert one.agrees, one
        assert one.unsure < 1e-3 * one.published + 1
        assert one.reached >= one.published  # chords lie inside the arc, so that theirs excludes less


# --- the same by the command line -----------------------------------------------------------------------


def test_the_command_line_makes_the_same_county(run, wanted, work):
    # one source for each kind of argument; scripts/real/rhode_island.py runs them all
    some = [one for one in wanted if one.role in ("parcels", "power_lines", "nature_reserve", "slope")]
    ran = ri.by_command(work / "by_command.gpkg", some, "parcels-1")
    made, *imports, layers, checked = ran
    assert [one.status for one in (made, *imports, layers)] == [0] * 6, [one.err for one in ran]
    reports = [json.loads(one.out) for one in imports]
    assert {one["role"]: one["loaded"] for one in reports} == {one.role: LOADED[one.role] for one in some}
    assert all(one["features_in"] == one["loaded"] + len(one["rejected"]) for one in reports)
    first = {one.source.role: one.prepared.layer.digest for one in run[1]}
    listed = {one["role"]: one["digest"] for one in json.loads(layers.out)["layers"]}
    assert listed == {one.role: first[one.role] for one in some}
    assert checked.status == 11
    assert json.loads(checked.out)["verdict"] == "undetermined"


def test_the_command_line_refuses_parcels_without_a_crs(work, data):
    county = work / "refuses.gpkg"
    create(county, "Rhode Island", ri.COUNTY_CRS).close()
    ran = ri.parkplan("import", str(county), str(data / ri.PARCELS), "--role", "parcels")
    assert ran.status == 3
    assert "Undefined geographic SRS" in ran.err
    assert "--crs" in ran.err
