"""`parkplan projects`: what is printed and the exit code a script can rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from layers.access import Access
from layers.gpkg import create
from layers.library import FORMS
from scripts.county.projects import projects as examples


@pytest.fixture
def run(run):
    return lambda *arguments: run("projects", *arguments)


@pytest.fixture
def path(tmp_path) -> Path:
    store = create(tmp_path / "small.gpkg", "试验县", "EPSG:4545")
    for one in examples():
        store.save("project", one["id"], one)
    bare = {"id": "BARE", "name": "电解锰", "annual_output": {"amount": 1, "unit": "万吨"}}
    store.save("project", "BARE", bare)
    store.close()
    return tmp_path / "small.gpkg"


def test_the_list_says_what_is_not_stated_and_what_comes_next(run, path):
    code, said, _ = run(path)
    assert code == 0
    (bare,) = (line for line in said.splitlines() if "BARE" in line)
    assert "—" in bare
    (brick,) = (line for line in said.splitlines() if "PRJ-BRICK" in line)
    assert "已批准" in brick
    assert "国有建设用地使用权出让 2026-11-01" in brick
    code, said, _ = run(path, "--stage", "实施", "--json")
    assert [one["id"] for one in json.loads(said)] == ["PRJ-CONCRETE"]


@pytest.mark.parametrize("form", FORMS)
def test_a_library_goes_out_and_comes_back_unchanged(run, path, tmp_path, form):
    out = tmp_path / f"library.{form}"
    assert run(path, "export", out)[0] == 0
    code, _, err = run(path, "export", out)
    assert (code, "--overwrite" in err) == (3, True)
    code, said, _ = run(path, "import", out, "--json")
    told = json.loads(said)
    assert (code, told["created"], told["updated"], len(told["unchanged"])) == (0, [], [], len(examples()) + 1)


def test_a_faulty_row_stores_nothing_unless_it_may_be_skipped(run, path, tmp_path):
    file = tmp_path / "p.csv"
    file.write_text("项目编号,用地面积\nA,8000\nB,8亩\n", encoding="utf-8")
    code, _, err = run(path, "import", file)
    assert code == 3
    assert "p.csv" in err
    assert "row 3 B" in err
    assert "land_m2" in err
    code, said, err = run(path, "import", file, "--dry-run")
    assert (code, "1 created" in said, "row 3 B" in err) == (3, True, True)
    assert "nothing stored" in said
    code, said, err = run(path, "import", file, "--skip-faulty")
    assert (code, "1 created" in said, "row 3 B" in err) == (0, True, True)
    assert [one["id"] for one in json.loads(run(path, "--json", "--q", "A")[1]) if one["id"] == "A"] == ["A"]
    access = Access(path)
    assert [one["action"] for one in access.audit()] == ["projects-import", "project"]
    access.close()


def test_the_template_is_written_and_taken_back_as_an_empty_library(run, path, tmp_path):
    assert run(path, "template", tmp_path / "t.xlsx")[0] == 0
    code, said, _ = run(path, "import", tmp_path / "t.xlsx")
    assert (code, "0 created" in said) == (0, True)
    assert run(path, "template", tmp_path / "t.csv")[0] == 3


@pytest.mark.parametrize("words", [("import",), ("drop", "x.csv"), ("list", "x.csv"), ("--stage", "建成")])
def test_wrong_usage_ends_with_2(run, path, words):
    assert run(path, *words)[0] == 2


def test_a_file_that_is_not_there_ends_with_3(run, path, tmp_path):
    code, _, err = run(path, "import", tmp_path / "none.xlsx")
    assert (code, "none.xlsx" in err) == (3, True)
