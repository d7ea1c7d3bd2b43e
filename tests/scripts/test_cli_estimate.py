"""`parkplan estimate` and `parkplan indicators`: what is printed and the exit code a script can rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from layers.gpkg import create


@pytest.fixture
def path(tmp_path) -> Path:
    create(tmp_path / "small.gpkg", "试验县", "EPSG:4545").close()
    return tmp_path / "small.gpkg"


def test_30_kt_of_manganese_need_about_28_mva(run):
    code, said, err = run("estimate", "--industry", "C3140", "--output", 30_000, "--unit", "t")
    assert code == 0
    assert "28,409" in said
    assert "23,923" in said
    assert "38,194" in said
    assert "mem-mid" in said
    assert "环境工程技术学报" in said
    assert "has to name its own" in err  # ferro-alloys share the code


def test_as_json_every_figure_has_its_ends_source_and_confidence(run):
    code, said, _ = run(
        "estimate", "--industry", "1391", "--output", 0.5, "--unit", "万吨", "--product", "红薯淀粉", "--json"
    )
    assert code == 0
    found = {one["field"]: one for one in json.loads(said)["estimates"]}
    assert found["water_peak_m3d"]["value"] == pytest.approx(0.4 * 70_000 / 30)
    for one in found.values():
        assert one["low"] <= one["value"] <= one["high"]
        assert one["source"]
        assert one["confidence"]
        assert one["basis"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--industry", "C3140", "--output", 1, "--unit", "cartload"), "annual_output.unit"),
        (("--industry", "C9999", "--output", 1), "industry.code"),
        (("--industry", "0610", "--output", 1), "Ask the investor"),
        (("--industry", "3011", "--output", 1), "水泥粉磨"),  # two products: which?
        (("--industry", "3140", "--output", 1, "--product", "硅铁"), "电解金属锰"),
        (("--industry", "3140", "--output", 0), "greater than 0"),
    ],
)
def test_what_cannot_be_estimated_is_said_with_its_fix(run, arguments, word):
    code, _, err = run("estimate", *arguments)
    assert code == 3
    assert word in err


def test_a_county_loads_its_indicators_and_judges_by_them(run, path, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("indicator,code_prefix,value,source\nfloor_area_ratio,30,0.7,县局文件\n", encoding="utf-8-sig")
    code, said, _ = run("indicators", path, table, "--json")
    assert code == 0
    own = [row for row in json.loads(said) if row["indicator"] == "floor_area_ratio"]
    assert [(row["code_prefix"], row["value"], row["source"]) for row in own] == [("30", "0.7", "县局文件")]
    again = json.loads(run("indicators", path, "--json")[1])
    assert own[0] in again
    assert "办公" not in said
    assert "0.07" in run("indicators", path)[1]  # the shipped share of office land stands


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("indicator,code_prefix,value\nfloor_area_ratio,30,0.7\n", "source"),
        ("indicator,code_prefix,value,source\nfloor_area_ratio,C30,0.7,x\n", "code_prefix"),
        ("", "indicator"),
    ],
)
def test_a_faulty_table_is_refused_and_nothing_is_kept(run, path, tmp_path, text, word):
    table = tmp_path / "table.csv"
    table.write_text(text, encoding="utf-8")
    code, _, err = run("indicators", path, table)
    assert code == 3
    assert word in err
    assert "floor_area_ratio" not in run("indicators", path)[1]
