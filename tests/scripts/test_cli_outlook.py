"""`parkplan outlook` and the principles in `parkplan check`: what is printed, written, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest

from layers.gpkg import create
from tests.counties import GOOD, found_county


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("county") / "small.gpkg"
    found_county(path).close()
    return path


def test_it_prints_the_waterfall_and_writes_a_workbook(run, county, tmp_path):
    code, said, err = run("outlook", county, "--out", tmp_path / "o.xlsx")
    assert code == 0, err
    for word in ("净可建设 net", "永久基本农田", "未说明 not said", "合成数据"):
        assert word in said
    assert openpyxl.load_workbook(tmp_path / "o.xlsx").sheetnames[0] == "可建设用地"


def test_as_json_for_one_zone_on_a_day(run, county):
    code, said, _ = run("outlook", county, "--zone", "带", "--as-of", "2099-01-31", "--json")
    assert code == 0
    found = json.loads(said)
    assert found["as_of"] == "2099-01-31"
    assert [one["zone"] for one in found["zones"]] == ["zones-1"]
    assert found["total"] is None


@pytest.mark.parametrize("options", [("--zone", "nowhere"), ("--out", "o.pdf")])
def test_what_it_cannot_answer_exits_3(run, county, options):
    code, _, err = run("outlook", county, *options)
    assert code == 3
    assert "error" in err


def test_a_county_without_zones_has_no_outlook(run, tmp_path):
    create(tmp_path / "empty.gpkg", "空县", "EPSG:4545").close()
    code, _, err = run("outlook", tmp_path / "empty.gpkg")
    assert code == 3
    assert "zones" in err


def test_a_check_prints_the_principles(run, county):
    code, said, _ = run("check", county, "--project", "TEA", "--parcel", GOOD)
    assert code == 0
    assert "集中布局 园区片区内占比 100 %；适配片区内占比 100 %" in said
    assert "集中治污 集中污水处理厂可接纳 是；" in said
    assert "节约资源 万元产值用水量 未知；万元产值能耗 未知" in said
    assert "就近原料" in said
    assert "项目未说明年产值" not in said
    _, said, _ = run("check", county, "--project", "TEA", "--parcel", GOOD, "--all")
    assert "万元产值用水量 未知（项目未说明年产值）" in said
