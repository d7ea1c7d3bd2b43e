"""The parcel fabric from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import mapping

from layers.access import Access
from layers.ingest import from_frame
from scripts import cli
from tests.layers.files import EAST, NORTH, county, frame, square

PAPER = ("--document", "印自然资〔2026〕1号", "--date", "2026-01-05")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    store = county(tmp_path)
    shapes = [square(0), square(0, east=EAST + 100)]
    store.put(from_frame(frame(shapes, id=["P", "Q"], name=["甲", "乙"]), "parcels", source="宗地.gpkg"), by="测绘院")
    store.close()
    return store.path


@pytest.fixture
def run(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def said(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["parkplan", "parcels", str(path), *words])
        with pytest.raises(SystemExit) as done:
            cli.main()
        told = capsys.readouterr()
        return int(done.value.code or 0), told.out + told.err

    return said


def test_parcels_are_split_merged_and_restored_and_their_history_is_told(run, path):
    cut = f"{EAST + 40},{NORTH - 1} {EAST + 40},{NORTH + 101}"
    code, said = run("split", "P", "--cut", cut, "--crs", "EPSG:4545", "--id", "A", "--id", "B", *PAPER, "--json")
    assert code == 0, said
    assert [(one["id"], one["area_m2"]) for one in json.loads(said)["opened"]] == [("A", 4_000.0), ("B", 6_000.0)]
    code, said = run("merge", "B", "Q", "--into", "M", *PAPER)
    assert (code, "＋ M  16,000.00 m²（24.00 亩）" in said) == (0, True), said
    code, said = run("history", "M", "--json")
    assert json.loads(said)["ancestors"] == ["P", "Q", "B"]
    assert run("restore", "--parcel", "M", *PAPER)[0] == 0
    code, said = run("history", "M")
    assert (code, "历史 gone" in said, "descendants: Q, B" in said) == (0, True, True), said
    access = Access(path)
    assert [one["action"] for one in access.audit()] == ["parcels-split", "parcels-merge", "parcels-restore"]
    access.close()


def test_an_export_holds_the_parcels_that_stand_and_the_survey_where_it_is_asked_for(run, path, tmp_path, monkeypatch):
    cut = f"{EAST + 40},{NORTH - 1} {EAST + 40},{NORTH + 101}"
    assert run("split", "P", "--cut", cut, "--crs", "EPSG:4545", "--id", "A", "--id", "B", *PAPER)[0] == 0
    for n, (more, ids) in enumerate([((), {"A", "B", "Q"}), (("--version", "1"), {"P", "Q"})]):
        out = tmp_path / f"out{n}.geojson"
        monkeypatch.setattr("sys.argv", ["parkplan", "export", str(path), "parcels", str(out), *more])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert not done.value.code
        assert {one["properties"]["id"] for one in json.loads(out.read_text(encoding="utf-8"))["features"]} == ids


def test_pieces_come_from_a_file_and_boundaries_move(run, tmp_path):
    shapes = {"A": (0, 0, 100, 50), "B": (0, 50, 100, 100)}
    features = [
        {
            "type": "Feature",
            "properties": {"id": name, "name": f"{name}地"},
            "geometry": mapping(shapely.box(EAST + w, NORTH + s, EAST + e, NORTH + n)),
        }
        for name, (w, s, e, n) in shapes.items()
    ]
    file = tmp_path / "pieces.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    code, said = run("split", "P", "--pieces", str(file), "--crs", "EPSG:4545", *PAPER, "--json")
    assert code == 0, said
    assert [one["attributes"]["name"] for one in json.loads(said)["opened"]] == ["A地", "B地"]
    line = f"{EAST - 1},{NORTH + 30} {EAST + 101},{NORTH + 30}"
    code, said = run("adjust", "A", "--with", "B", "--boundary", line, "--crs", "EPSG:4545", *PAPER, "--json")
    assert code == 0, said
    assert [one["area_m2"] for one in json.loads(said)["opened"]] == [3_000.0, 7_000.0]
    assert run("retire", "A", *PAPER)[0] == 0


def test_what_cannot_be_is_said_with_its_fix_and_exit_3(run, tmp_path):
    code, said = run("split", "P", "--cut", "nowhere.geojson", "--id", "A", "--id", "B", *PAPER)
    assert (code, "Give a GeoJSON file" in said) == (3, True), said
    cut = f"{EAST + 40},{NORTH - 1} {EAST + 40},{NORTH + 50}"
    code, said = run("split", "P", "--cut", cut, "--crs", "EPSG:4545", "--id", "A", "--id", "B", *PAPER)
    assert (code, "Draw it across" in said) == (3, True), said
    code, said = run("history", "nobody")
    assert (code, "no parcel 'nobody'" in said) == (3, True), said
    assert run("split", "P", "--cut", cut)[0] == 2  # no document, no change
