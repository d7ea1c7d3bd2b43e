"""No attack of attacks.py gets anything, whichever one layer of defence is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layers.errors import BadInput, ParkError, TooLarge
from layers.reading import Defences, Limits, read, read_grid, state
from tests.layers.files import frame, geojson, ring, squares, write
from tests.layers.reading import attacks
from tests.layers.reading.attacks import ATTACKS, LAYERS, NONE, SECRET, SECRET_VALUE, Attack

SMALL = Limits(cpu_s=2, wall_s=4.0, memory_bytes=2 << 30)
ENDLESS = [one for one in ATTACKS if "deadline" in one.stopped_by]  # with nothing on they would run on
DEADLY = [one for one in ATTACKS if "answer" in one.stopped_by]  # with nothing on this process would die
ROOT = Path(__file__).resolve().parents[3]


def got(attack: Attack, path: Path, listener, defences: Defences) -> str | None:
    """What an attack came home with: the secret, a connection, or that it was read in spite of its size."""
    before = len(listener.asked)
    found = _found(attack, path, defences)
    return found or ("connection" if len(listener.asked) > before else None)


def _found(attack: Attack, path: Path, defences: Defences) -> str | None:
    try:
        if attack.raster:
            grid = read_grid(path, limits=SMALL, defences=defences)
            return "secret" if SECRET_VALUE in grid.values or SECRET_VALUE in grid.transform else None
        raw = read(path, layer=attack.layer, limits=SMALL, defences=defences)
    except ParkError as error:
        bounded = attack not in ENDLESS or isinstance(error, TooLarge)
        return "secret" if SECRET in str(error) else None if bounded else "another error"
    if SECRET in raw.table.to_string(max_colwidth=None) or SECRET in str(raw.found):
        return "secret"
    if attack in DEADLY:
        return None if [shape is None for shape in raw.geometries] == [False, True] else "geometry"
    return "time" if attack in ENDLESS else None


def possible(layer: str) -> None:
    if layer == "fence" and not (state()["files"] and state()["network"]):
        pytest.skip("this kernel has no Landlock that covers files and TCP")


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_no_attack_gets_anything(attack, tmp_path, outside, listener):
    assert got(attack, attack.make(tmp_path, outside), listener, Defences()) is None


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one not in (*ENDLESS, *DEADLY)], ids=str)
def test_without_any_defence_it_would_succeed(attack, tmp_path, outside, listener):
    path = attack.make(tmp_path, outside)
    assert got(attack, path, listener, NONE) == ("connection" if "address" in attack.name else "secret")


@pytest.mark.skipif(sys.platform == "win32", reason="how a process dies is another matter there")
def test_without_any_defence_nested_wkb_ends_the_process_that_asked(tmp_path, outside):
    path = attacks.nested(tmp_path, outside)
    program = (
        "import sys, pathlib; from layers.reading import read; from tests.layers.reading.attacks import NONE;"
        "read(pathlib.Path(sys.argv[1]), defences=NONE)"
    )
    aside = {**os.environ, "TMPDIR": str(tmp_path)}  # where it can leave what it no longer clears away
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, cwd=ROOT, env=aside, capture_output=True, check=False, timeout=60)
    assert done.returncode < 0


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_no_attack_gets_anything_with_one_layer_missing(attack, layer, tmp_path, outside, listener):
    if attack.name.startswith("VRT named") and attack.name != "VRT named a.gpkg" and layer not in attack.stopped_by:
        pytest.skip("shown with a.gpkg")
    path = attack.make(tmp_path, outside)
    assert got(attack, path, listener, replace(Defences(), **{layer: False})) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "layer"),
    [pytest.param(one, layer, id=f"{one}-{layer}") for one in ATTACKS for layer in sorted(one.stopped_by)],
)
def test_each_layer_that_is_said_to_stop_an_attack_stops_it_alone(attack, layer, tmp_path, outside, listener):
    possible(layer)
    path = attack.make(tmp_path, outside)
    assert got(attack, path, listener, replace(NONE, **{layer: True})) is None


def test_every_attack_is_stopped_by_two_layers_or_more():
    assert all(len(one.stopped_by) >= 2 for one in ATTACKS)


# --- what no layer has to stop, because there is no way ------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:{port}/a.geojson",
        "/vsicurl/http://127.0.0.1:{port}/a.geojson",
        "/vsicurl?header_file={secret}&url=http://127.0.0.1:{port}/",
        "/vsizip//vsicurl/http://127.0.0.1:{port}/a.zip",
        "CSV:{secret}",
        "GeoJSON:{secret}",
        "vrt://{secret}",
        "WFS:http://127.0.0.1:{port}/",
        "PG:host=127.0.0.1 port={port}",
        '{{"type": "FeatureCollection", "features": []}}',
        "<OGRVRTDataSource></OGRVRTDataSource>",
    ],
)
def test_a_string_is_a_path_and_nothing_else(text, outside, listener):
    before = len(listener.asked)
    path = Path(text.format(port=listener.port, secret=outside.vector))
    for defences in (Defences(), NONE):
        for ask in (read, read_grid):
            with pytest.raises(BadInput, match="there is no file"):
                ask(path, defences=defences)
    assert len(listener.asked) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_a_pipe_or_a_device_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.geojson")
    for path in (tmp_path / "a.geojson", Path("/dev/zero"), Path("/dev/null")):
        for defences in (Defences(), NONE):
            with pytest.raises(BadInput, match="no plain file"):
                read(path, defences=defences)


def test_a_layer_name_is_no_sql(tmp_path):
    path = write(tmp_path / "a.gpkg", frame(squares(1)))
    for name in ("SELECT * FROM a", "a' OR '1'='1", 'a"; DROP TABLE a; --', "a|subset", ""):
        with pytest.raises(ParkError, match="no layer"):
            read(path, layer=name)
    assert len(read(path).table) == 1


@pytest.mark.slow
def test_xml_entities_are_refused_and_would_get_nothing(tmp_path, outside, listener):
    path = attacks.entities(tmp_path, outside)
    with pytest.raises(BadInput, match="declares XML entities"):
        read(path)
    for layer in (None, *LAYERS):
        defences = replace(Defences(), **dict.fromkeys({"magic", layer or "magic"}, False))
        assert got(Attack("entities", attacks.entities, frozenset()), path, listener, defences) is None


@pytest.mark.skipif(sys.platform != "linux", reason="address space is bounded on Linux")
def test_memory_is_bounded(tmp_path):
    """A GeoTIFF of a few hundred kilobytes that is 64 million cells."""
    path = attacks.tiff(tmp_path / "a.tif", 1.0, side=8_000)
    assert path.stat().st_size < 1 << 20
    only = replace(NONE, rlimits=True, deadline=True)
    with pytest.raises(TooLarge, match="memory"):
        read_grid(path, limits=Limits(memory_bytes=400 << 20), defences=only)
    with pytest.raises(TooLarge, match="64,000,000 cells"):
        read_grid(path, limits=Limits(cells=30_000_000))
    assert read_grid(path, defences=only).values.shape == (8_000, 8_000)


def test_coordinates_that_are_no_numbers_come_back_as_they_are(tmp_path):
    path = geojson(tmp_path / "a.geojson", ring())
    path.write_text(path.read_text().replace("28.109,", "NaN,").replace("28.109]", "1e308]"))
    raw = read(path)
    assert len(raw.geometries) == 1
    assert raw.geometries[0] is not None
    assert not np.isfinite(raw.geometries[0].bounds).all() or max(raw.geometries[0].bounds) > 1e300
