"""A child that was taken over gets nothing into this process: its words, links and tables are a stranger's."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from layers.errors import BadInput, NeedCrs, ParkError, TooLarge, UnknownName
from layers.reading import Defences, Limits, asking, read, read_grid
from layers.sandbox.answers import GEOMETRY, GRID, TABLE, WORDS, Answer
from tests.layers.files import geojson, ring

GOOD = {"answer": asdict(Answer("GeoPackage", "a", crs="EPSG:4545"))}
SQUARE = shapely.to_wkb(shapely.box(0, 0, 1, 1))


@pytest.fixture
def taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Read a file while the child writes to its folder whatever the test wants."""
    path = geojson(tmp_path / "a.geojson", ring())

    def ask(write: Callable[[Path], None], end: str = "", raster: bool = False) -> Any:
        def run(request: Any, out: Path, wall_s: float | None) -> str:
            write(out)
            return end

        monkeypatch.setattr(asking, "_run", run)
        return read_grid(path) if raster else read(path)

    return ask


def table(out: Path, *columns: Any, names: tuple[str, ...] = (GEOMETRY,)) -> None:
    batch = pa.record_batch(list(columns) or [pa.array([SQUARE], pa.binary())], names=list(names))
    with pa.ipc.new_file(out / TABLE, batch.schema) as writer:
        writer.write_batch(batch)


def words(out: Path, said: Any) -> None:
    (out / WORDS).write_text(json.dumps(said))


def both(said: Any, *columns: Any, names: tuple[str, ...] = (GEOMETRY,)) -> Callable[[Path], None]:
    def write(out: Path) -> None:
        words(out, said)
        table(out, *columns, names=names)

    return write


def test_an_honest_answer_is_read(taken_over):
    raw = taken_over(both(GOOD))
    assert (raw.crs, raw.found, len(raw.geometries)) == ("EPSG:4545", {"format": "GeoPackage", "layer": "a"}, 1)


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        "text",
        {"answer": {}},
        {"answer": {"format": 7}},
        {"answer": {**GOOD["answer"], "notes": [{"reason": 7}]}},
        {"error": "SystemExit", "message": "x"},
        {"error": "BadInput"},
        {"error": "BadInput", "message": "x", "faults": "x"},
        {"error": "TooLarge", "message": "x", "facts": {"message": 1}},
    ],
    ids=str,
)
def test_words_that_are_none_are_refused(said, taken_over):
    with pytest.raises(BadInput, match=r"a\.geojson cannot be read"):
        taken_over(both(said))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"{"])
def test_words_that_are_no_json_are_refused(content, taken_over):
    with pytest.raises(BadInput, match="cannot be understood"):
        taken_over(lambda out: (out / WORDS).write_bytes(content))


def test_errors_come_through_as_what_they_are(taken_over):
    for kind in (BadInput, NeedCrs, TooLarge, UnknownName):
        said = {"error": kind.__name__, "message": "said", "faults": [{"reason": "r", "fix": "f"}], "facts": {"a": 1}}
        with pytest.raises(kind, match="said") as raised:
            taken_over(both(said))
        assert type(raised.value) is kind


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no links to follow")
@pytest.mark.parametrize("name", [WORDS, TABLE])
def test_links_and_pipes_are_not_followed(name, taken_over, tmp_path):
    def linked(out: Path) -> None:
        both(GOOD)(out)
        (out / name).rename(tmp_path / "elsewhere")
        (out / name).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadInput, match="cannot be found"):
        taken_over(linked)


def test_more_words_than_agreed_are_not_read(taken_over, monkeypatch):
    monkeypatch.setattr(asking, "WORDS_BYTES", 100)
    with pytest.raises(BadInput, match="cannot be used"):
        taken_over(both(GOOD))


@pytest.mark.parametrize(
    "columns",
    [
        [pa.array([[1]]), pa.array([SQUARE], pa.binary())],
        [pa.array(["a"]).dictionary_encode(), pa.array([SQUARE], pa.binary())],
        [pa.array([{"a": 1}]), pa.array([SQUARE], pa.binary())],
        [pa.array([1]), pa.array(["text"])],
    ],
    ids=["list", "dictionary", "struct", "text for geometry"],
)
def test_tables_that_are_not_plain_are_refused(columns, taken_over):
    with pytest.raises(BadInput, match="no plain table"):
        taken_over(both(GOOD, *columns, names=("a", GEOMETRY)))


def test_a_table_whose_offsets_lead_outside_or_whose_text_is_none_is_refused(taken_over):
    def outside(out: Path) -> None:
        both(GOOD)(out)
        content = (out / TABLE).read_bytes()
        offsets = struct.pack("<2i", 0, len(SQUARE))
        head, found, tail = content.rpartition(offsets)
        assert found
        (out / TABLE).write_bytes(head + struct.pack("<2i", 0, 1 << 30) + tail)

    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 2)), pa.py_buffer(b"\xff\xfe")]
    )
    for write in (outside, both(GOOD, text, pa.array([SQUARE], pa.binary()), names=("a", GEOMETRY))):
        with pytest.raises(BadInput, match="cannot be understood"):
            taken_over(write)


def test_a_table_that_is_no_arrow_or_missing_is_refused(taken_over):
    def junk(out: Path) -> None:
        words(out, GOOD)
        (out / TABLE).write_bytes(b"ARROW1\0\0" + bytes(100))

    with pytest.raises(BadInput, match="cannot be understood"):
        taken_over(junk)
    with pytest.raises(BadInput, match="cannot be found"):
        taken_over(lambda out: words(out, GOOD))


def test_geometry_that_would_end_this_process_is_none(taken_over):
    deep = struct.pack("<BII", 1, 7, 1) * 200_000 + shapely.to_wkb(shapely.Point(0, 0))
    raw = taken_over(both(GOOD, pa.array([deep, SQUARE, b"x"], pa.binary())))
    assert [one is None for one in raw.geometries] == [True, False, True]


class Trap:
    """Whoever unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_grid_is_not_unpickled(taken_over, tmp_path):
    place = {**GOOD["answer"], "transform": [1, 0, 0, 0, -1, 0], "bounds": [0, 0, 1, 1]}

    def hidden(values: Any) -> Callable[[Path], None]:
        def write(out: Path) -> None:
            words(out, {"answer": place})
            np.save(out / GRID, values, allow_pickle=True)

        return write

    assert taken_over(hidden(np.zeros((2, 2), np.float32)), raster=True).values.shape == (2, 2)
    for values in (
        np.array([[Trap(tmp_path / "sprung")]], dtype=object),
        np.zeros(3, np.float32),
        np.zeros((2, 2), np.int64),
    ):
        with pytest.raises(BadInput, match="no grid"):
            taken_over(hidden(values), raster=True)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("end", "kind"), [("late", TooLarge), ("SIGXCPU", TooLarge), ("SIGKILL", TooLarge), ("SIGSEGV", BadInput)]
)
def test_an_end_that_was_not_well_is_told(end, kind, taken_over):
    with pytest.raises(kind, match=r"a\.geojson"):
        taken_over(both(GOOD), end)


@pytest.mark.skipif(sys.platform == "win32", reason="processes end differently there")
def test_a_child_that_hangs_is_ended_with_all_it_started(tmp_path, monkeypatch):
    """A child that sleeps, with a child of its own that sleeps too."""
    sleep = "import time; time.sleep(99)"
    code = f"import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleep!r}]);"
    group = tmp_path / "group"
    code += f"open({str(group)!r}, 'w').write(str(os.getpgid(0))); {sleep}"
    monkeypatch.setattr(asking, "START", code)
    with pytest.raises(TooLarge, match="more time"):
        read(geojson(tmp_path / "a.geojson", ring()), limits=Limits(wall_s=2.0))
    assert _is_gone(int(group.read_text()))


def _is_gone(group: int, patience: int = 100) -> bool:
    """Whether no process of the group is left; the last one may still have to be buried."""
    for _ in range(patience):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = geojson(tmp_path / "a.geojson", ring())
    read(path)
    with pytest.raises(ParkError):
        read(path, layer="none")
    with pytest.raises(TooLarge):
        read(path, limits=Limits(wall_s=0.01), defences=Defences())
    assert [one.name for one in tmp_path.iterdir()] == ["a.geojson"]
