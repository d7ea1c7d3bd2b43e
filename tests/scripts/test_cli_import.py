"""`parkplan init`, `import` and `layers`: what is said, what is stored, and the exit code a script can rely on."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import shapely

from layers.gpkg import GeoPackage
from tests.layers.files import EAST, NORTH, bow_tie, county, frame, geojson, ring, shapefile, square, squares, write
from tests.said import Said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = county(tmp_path / "county")
    store.close()
    return store.path


def content(county: Path) -> dict[str, str]:
    return {
        str(file.relative_to(county.parent)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(county.parent.rglob("*"))
        if file.is_file()
    }


# --- init -------------------------------------------------------------------------------------------------


def test_init_makes_an_empty_county(run, tmp_path):
    said = run("init", tmp_path / "new" / "county.gpkg", "--name", "印江土家族苗族自治县")
    assert said.code == 0
    assert "made county.gpkg, working CRS EPSG:4545" in said.out
    store = GeoPackage(tmp_path / "new" / "county.gpkg")
    assert (store.name, store.crs.to_epsg(), store.layers()) == ("印江土家族苗族自治县", 4545, [])
    store.close()
    assert run("init", tmp_path / "b.gpkg", "--crs", "EPSG:4524").code == 0
    store = GeoPackage(tmp_path / "b.gpkg")
    assert (store.name, store.crs.to_epsg()) == ("b", 4524)
    store.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["county.gpkg"], "exists already"),
        (["b.gpkg", "--crs", "EPSG:4490"], "need a projected CRS in metres"),
        (["b.gpkg", "--crs", "EPSG:2360"], "西安80"),
        (["b.gpkg", "--crs", "nonsense"], "not a coordinate reference system"),
        (["b.txt"], r"does not end in \.gpkg"),
        (["postgresql://u:geheim@127.0.0.1:1/db"], "db/parkplan cannot be reached .no server listens there"),
        (["postgresql://u:geheim@127.0.0.1"], "it names no database"),
    ],
)
def test_init_says_why_not(run, path, monkeypatch, arguments, says):
    monkeypatch.chdir(path.parent)
    before = content(path)
    said = run("init", *arguments)
    assert said.code == 3
    assert said.out == ""
    assert_error(said, says)
    assert content(path) == before


def assert_error(said: Said, says: str) -> None:
    assert said.err.startswith("error: "), said.err
    assert re.search(says, said.err), said.err
    assert "Traceback" not in said.err


# --- import -------------------------------------------------------------------------------------------------


def test_import_stores_what_it_says(run, path, tmp_path):
    file = write(
        tmp_path / "片区.gpkg", frame([square(), square(1), bow_tie(2)], name=["甲", None, "丙"], BSM=["1", "2", "3"])
    )
    said = run("import", path, file, "--role", "eco_redline", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json == {
        "file": "片区.gpkg",
        "role": "eco_redline",
        "version": 1,
        "stored": True,
        "features_in": 3,
        "loaded": 2,
        "rejected": [
            "片区.gpkg, layer eco_redline, feature 3: its geometry is not valid (Self-intersection[565350 3110850])."
            " Repair it where it crosses itself"
        ],
        "notes": [],
        "found": {"format": "GeoPackage", "layer": "片区", "crs": "CGCS2000 / 3-degree Gauss-Kruger CM 108E"},
        "fields": {"id": "BSM", "name": "name"},
        "accuracy_m": None,
        "extent": "the box around the features (say --extent to change it)",
    }
    store = GeoPackage(path)
    (layer,) = store.layers()
    assert (layer.version, layer.loaded, layer.rejected, layer.source) == (1, 2, 1, "片区.gpkg")
    assert store.frame("eco_redline")["id"].tolist() == ["1", "2"]
    store.close()


def test_import_says_it_in_words_too(run, path, tmp_path):
    file = write(tmp_path / "片区.gpkg", frame([square(), bow_tie(1)], id=["a", "a"]))
    said = run("import", path, file, "--role", "zones")
    assert (said.code, said.err) == (0, "")
    assert "片区.gpkg -> zones: 2 in, loaded 1, rejected 1" in said.out
    assert "rejected: 片区.gpkg, layer zones, feature a#2: its geometry is not valid" in said.out
    assert "note: 片区.gpkg, layer zones, feature a, field id: the id 'a' stands more than once" in said.out


def test_many_faults_are_cut_in_words_and_whole_in_json(run, path, tmp_path):
    file = write(tmp_path / "a.fgb", frame([square(), *(bow_tie(n) for n in range(1, 301))]), SPATIAL_INDEX="NO")
    said = run("import", path, file, "--role", "zones", "--dry-run")
    assert said.out.count("rejected: ") == 50
    assert "... and 250 more; see --json" in said.out
    assert len(run("import", path, file, "--role", "zones", "--dry-run", "--json").json["rejected"]) == 300


def test_a_dry_run_stores_nothing(run, path, tmp_path):
    file = write(tmp_path / "a.gpkg", frame())
    before = content(path)
    said = run("import", path, file, "--role", "zones", "--dry-run")
    assert said.code == 0
    assert "2 in, would load 2, rejected 0" in said.out
    told = run("import", path, file, "--role", "zones", "--dry-run", "--json").json
    assert (told["stored"], told["version"], told["loaded"]) == (False, None, 2)
    assert content(path) == before


def test_the_options_reach_the_file(run, path, tmp_path):
    file = shapefile(tmp_path / "a.shp", frame(名称=["甲", "乙"]), encoding="GBK", without=".cpg .prj")
    options = ["--crs", "EPSG:4545", "--encoding", "GB18030", "--vintage", "2024"]
    fields = ["--field", "name=名称", "--field", "kind==belt"]
    said = run("import", path, file, "--role", "zones", *options, *fields, "--json")
    assert said.json["fields"] == {"name": "名称", "kind": "=belt"}
    assert said.json["found"]["encoding"] == "GB18030"
    store = GeoPackage(path)
    assert store.frame("zones")[["name", "kind"]].to_numpy().tolist() == [["甲", "belt"], ["乙", "belt"]]
    assert store.layers()[0].vintage == "2024"
    store.close()
    both = write(tmp_path / "two.gpkg", frame(squares(3)), layer="甲")
    write(both, frame(squares(4)), layer="乙")
    assert run("import", path, both, "--role", "plots", "--layer", "乙", "--json").json["loaded"] == 4


def test_a_layer_says_how_far_its_borders_may_be_off(run, path, tmp_path):
    file = write(tmp_path / "a.gpkg", frame())
    said = run("import", path, file, "--role", "basic_farmland", "--accuracy-m", "0.5", "--json")
    assert said.json["accuracy_m"] == 0.5
    run("import", path, file, "--role", "eco_redline")
    rows = {one["role"]: one for one in run("layers", path, "--json").json["layers"]}
    assert (rows["basic_farmland"]["accuracy_m"], rows["eco_redline"]["accuracy_m"]) == (0.5, None)
    assert rows["basic_farmland"]["imported_by"] == "operator"
    assert rows["basic_farmland"]["found"]["crs"]
    assert rows["basic_farmland"]["classification"] == "内部"
    assert run("import", path, file, "--role", "basic_farmland", "--accuracy-m", "-1").code == 2


@pytest.mark.parametrize("form", ["numbers", "file"])
def test_the_surveyed_ground_is_what_the_operator_says(run, path, tmp_path, form):
    box = (EAST - 5_000, NORTH - 5_000, EAST + 5_000, NORTH + 5_000)
    boundary = write(tmp_path / "县界.gpkg", frame([shapely.box(*box)]))
    extent = ",".join(map(str, box)) if form == "numbers" else boundary
    nothing = write(tmp_path / "红线.gpkg", frame(squares(0), name=[]))
    said = run("import", path, nothing, "--role", "eco_redline", "--extent", extent, "--json")
    assert (said.code, said.json["loaded"], said.json["extent"]) == (0, 0, "as given")
    store = GeoPackage(path)
    assert store.layers()[0].extent.bounds == box
    store.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--field", "name"], "'name' is not OURS=THEIRS"),
        (["--field", "=name"], "'=name' is not OURS=THEIRS"),
        (["--field", "name="], "'name=' is not OURS=THEIRS"),
        (["--colour", "red"], "No such option"),
        (["too", "many"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_exit_2(run, path, tmp_path, arguments, says):
    file = write(tmp_path / "a.gpkg", frame())
    said = run("import", path, file, "--role", "zones", *arguments)
    assert said.code == 2
    assert says in said.err
    assert said.out == ""


def test_what_is_missing_from_the_line_is_exit_2(run, path, tmp_path):
    assert run("import", path, tmp_path / "a.gpkg").code == 2  # no --role
    assert run("import", path).code == 2
    assert run("imprt").code == 2


@pytest.mark.parametrize(
    ("make", "arguments", "says"),
    [
        (lambda f: f / "nowhere.gpkg", ["--role", "zones"], r"nowhere\.gpkg: not found\. Check the path"),
        (lambda f: write(f / "a.gpkg", frame()), ["--role", "红线"], "no layer role '红线'; the roles are zones"),
        (lambda f: write(f / "a.gpkg", frame(crs=None)), ["--role", "zones"], "Say which it is with --crs"),
        (lambda f: write(f / "a.gpkg", frame(crs=4524)), ["--role", "zones"], "Check the zone prefix"),
        (lambda f: geojson(f / "a.geojson", ring(28.1, 108.6)), ["--role", "zones"], "axes are swapped"),
        (lambda f: write(f / "a.gpkg", frame(crs=4546)), ["--role", "zones"], "295 km from the layers"),
        (lambda f: write(f / "a.gpkg", frame()), ["--role", "land_use"], "field code: .*--field code=FIELD"),
        (lambda f: write(f / "a.gpkg", frame()), ["--role", "dem"], "cannot be read as a raster"),
        (lambda f: write(f / "a.gpkg", frame()), ["--role", "zones", "--layer", "b"], "no layer 'b'; it has a"),
        (lambda f: write(f / "a.gpkg", frame()), ["--role", "zones", "--encoding", "klingon"], "not an encoding"),
        (
            lambda f: write(f / "a.gpkg", frame()),
            ["--role", "zones", "--extent", "nowhere.shp"],
            r"no file nowhere\.shp",
        ),
        (lambda f: write(f / "a.gpkg", frame()), ["--role", "zones", "--extent", "1,2,3"], "no file 1,2,3"),
    ],
)
def test_what_cannot_be_read_is_exit_3_and_changes_nothing(run, path, tmp_path, make, arguments, says):
    file = make(tmp_path)
    run("import", path, write(tmp_path / "first.gpkg", frame()), "--role", "plots")
    before = content(path)
    said = run("import", path, file, *arguments)
    assert said.code == 3
    assert said.out == ""
    assert_error(said, says)
    assert content(path) == before
    assert run("import", path, file, *arguments, "--json").code == 3


def test_a_county_that_is_none_is_exit_3(run, tmp_path):
    file = write(tmp_path / "a.gpkg", frame())
    said = run("import", tmp_path / "none.gpkg", file, "--role", "zones")
    assert said.code == 3
    assert_error(said, "no county at none.gpkg; make one with: parkplan init none.gpkg")
    assert not (tmp_path / "none.gpkg").exists()
    said = run("import", file, file, "--role", "zones")  # a GeoPackage, and no county
    assert said.code == 3
    assert_error(said, r"a\.gpkg cannot be opened as a county")
    said = run("layers", "postgresql://u:geheim@127.0.0.1:1/county")
    assert said.code == 3
    assert_error(said, "county/parkplan cannot be reached")
    assert "geheim" not in said.err


# --- layers ---------------------------------------------------------------------------------------------------


def test_layers_lists_what_is_there_and_what_is_missing(run, path, tmp_path):
    empty = run("layers", path)
    assert empty.code == 0
    assert "missing (their rules answer unknown): zones, parcels" in empty.out.replace("\n", " ")
    for count in (2, 3):
        run("import", path, write(tmp_path / f"{count}.gpkg", frame(squares(count))), "--role", "zones")
    run("import", path, write(tmp_path / "r.gpkg", frame([square(), bow_tie(1)])), "--role", "eco_redline")
    said = run("layers", path)
    assert (said.code, said.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.out.splitlines() if line.startswith("│")]
    assert [row[:6] for row in rows] == [
        ["zones", "园区片区", "2", "3", "0", "3.gpkg"],
        ["eco_redline", "生态保护红线", "1", "1", "1", "r.gpkg"],
    ]
    told = run("layers", path, "--json").json
    assert (told["county"], told["crs"]) == ("印江", "EPSG:4545")
    assert [(one["role"], one["version"], one["features"], one["rejected"]) for one in told["layers"]] == [
        ("zones", 2, 3, 0),
        ("eco_redline", 1, 1, 1),
    ]
    assert [one["digest"][:12] for one in told["layers"]] == [row[6] for row in rows]
    assert {"parcels", "dem"} <= {one["role"] for one in told["missing"]}
    assert not {"zones", "eco_redline"} & {one["role"] for one in told["missing"]}
    assert told["layers"][0]["extent"]["type"] == "Polygon"


def test_a_layer_that_lost_all_its_ground_is_still_listed(run, path, tmp_path):
    file = write(tmp_path / "r.gpkg", frame([bow_tie()]))
    assert run("import", path, file, "--role", "eco_redline", "--extent", ",".join(map(str, square().bounds))).code == 0
    assert run("layers", path).code == 0
    assert [one["role"] for one in run("layers", path, "--json").json["layers"]] == ["eco_redline"]
    assert run("import", path, file.rename(tmp_path / "s.gpkg"), "--role", "zones").code == 3


@pytest.mark.parametrize("command", ["init", "import", "layers"])
def test_every_command_explains_itself(run, command):
    said = run(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert "COUNTY" in said.out


@pytest.mark.slow
def test_the_installed_command_says_the_same(path, tmp_path):
    file = write(tmp_path / "a.gpkg", frame(crs=None))
    command = [Path(sys.executable).with_name("parkplan"), "import", path, file, "--role", "zones"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: the file has no coordinate reference system\n  a.gpkg, layer a: it has none.")
