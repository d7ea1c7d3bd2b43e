"""Map pages: what they contain, what they leave out, and what they say about it."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import yaml

from api import maps, mapstyle
from api.maps import Sheet

ROOT = Path(__file__).resolve().parents[2]


def frame(shapes: list[Any], **columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"name": [f"n{i}" for i in range(len(shapes))]} | columns, geometry=shapes, crs=4326)


def square(x: float = 108.4, y: float = 28.0, side: float = 0.01) -> shapely.Geometry:
    return shapely.box(x, y, x + side, y + side)


def parcels(count: int = 3, **columns: Any) -> Sheet:
    shapes = [square(108.4 + 0.01 * i) for i in range(count)]
    return Sheet("parcels", "宗地", "Parcels", frame(shapes, **columns), (("name", "名称 Name"),))


def geojson(shape: shapely.Geometry) -> dict[str, Any]:
    return dict(json.loads(shapely.to_geojson(shape)))


def finding(rule: str, status: str, severity: str = "block", **more: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("value", "limit", "unit", "margin", "evidence", "remedy"))
    message = {"zh": f"{rule} 的结论", "en": f"what {rule} found"}
    rest = {"severity": severity, "message": message, "basis": "土地管理法", "verified": "county"}
    return {**blank, **rest, "rule": rule, "status": status, **more}


def check(*findings: dict[str, Any]) -> dict[str, Any]:
    return {
        "purpose": "screening",
        "verdict": "blocked",
        "conclusion": {"zh": "系统初审：不符合", "en": "System review: does not comply"},
        "site": {"geometry": geojson(square()), "parts": [{"parcel": "GB00001"}], "area_mu": 15.0},
        "project": {"id": "p1", "name": "锰系新材料"},
        "as_of": "2026-11-20",
        "findings": list(findings),
    }


def features(html: str) -> list[dict[str, Any]]:
    """All GeoJSON features that the page's script adds to the map."""
    found = re.findall(r"_add\((\{.*\})\);", html)
    return [feature for text in found for feature in json.loads(text)["features"]]


def legend(html: str) -> str:
    """The labels of the layer control, as they stand in the script."""
    return "".join(re.findall(r'"label": "(.*?)",\n', html)).replace('\\"', "'")


class Tags(HTMLParser):
    """Elements with their attribute names, and the plain text, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


# --- nothing from elsewhere, nothing inline without its nonce -------------------------------------


@pytest.mark.parametrize("chart", ["overview", "zone", "check", "folium"])
def test_a_page_names_no_other_machine(chart: str) -> None:
    whole = maps.overview("图", [parcels()], image=(b"\x89PNG", (108.0, 27.0, 109.0, 28.0)))
    html = {
        "overview": lambda: maps.page(whole),
        "zone": lambda: maps.page(maps.zone("图", frame([square()]), [parcels()])),
        "check": lambda: maps.page(maps.check_map(check(finding("a", "fail", evidence=geojson(square()))), [])),
        "folium": lambda: str(whole.get_root().render()),  # even when someone saves it without `page`
    }[chart]()
    assert set(re.findall(r"https?://[^\s\"'<>]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert "//cdn" not in html


def test_every_inline_script_carries_the_nonce_and_no_style_is_inline() -> None:
    html = maps.page(maps.overview("图", [parcels()]), nonce='n0"nce')
    opened = re.findall(r"<script[^>]*>", html)
    assert len(opened) == len(maps.JS) + 1
    assert [tag for tag in opened if "src=" not in tag] == ['<script nonce="n0&#34;nce">']
    assert "<style" not in html
    assert not re.search(r"<[^>]+\s(style|on\w+)=", html)


def test_assets_come_from_where_the_caller_says() -> None:
    html = maps.page(maps.overview("图", [parcels()]), static="/park/static")
    asked = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert {path for path in asked if path != "data:,"} == {f"/park/static/{path}" for path in maps.CSS + maps.JS}


@pytest.mark.needs("vendor")
def test_every_asset_a_page_asks_for_is_there() -> None:
    assert [path for path in maps.CSS + maps.JS + maps.TILED_JS if not (maps.STATIC / path).is_file()] == []


@pytest.mark.needs("vendor")
def test_a_standalone_page_asks_for_no_file_at_all() -> None:
    html = maps.standalone(maps.overview("图", [parcels()]))
    assert re.findall(r"<(?:script|link)[^>]+(?:src|href)=\"(?!data:,)", html) == []
    assert re.findall(r"url\((?![\"']?(?:data:|#))", html) == []
    assert "L.map(" in html


def test_the_policy_allows_our_own_files_and_the_nonce_only() -> None:
    policy = maps.csp("abc")
    assert "'nonce-abc'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


# --- text is text ---------------------------------------------------------------------------------

ATTACKS = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "${alert(1)}`",
    "{{ 7 * 191 }}{% raw %}{#",
    '" onclick="alert(1)',
    "' onclick='alert(1)",
    "a\u2028b\\",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_name_label_title_or_message_becomes_an_element_or_code(attack: str) -> None:
    def made(word: str) -> str:
        sheet = Sheet("zones", word, word, frame([square()], **{word: [word]}), ((word, word), ("name", word)))
        said = {"zh": word, "en": word}
        row = finding(word, "fail", message=said, basis=word, unit=word, value=1.0, remedy=said)
        asked = check({**row, "evidence": geojson(square())})
        asked |= {"conclusion": said, "project": {"name": word}, "as_of": word, "verdict": word}
        asked["site"]["parts"] = [{"parcel": word}]
        return maps.page(maps.check_map(asked, [sheet], notice=word)) + maps.page(maps.overview(word, [sheet]))

    plain, spoilt = made("无害"), made(attack)
    assert Tags(spoilt).seen == Tags(plain).seen
    assert "1337" not in spoilt
    # inside the script the names stand as data: nothing in them can end a string, a literal or the script
    code = "".join(re.findall(r"<script>(.*?)</script>", spoilt, flags=re.DOTALL))
    assert attack not in code
    assert "alert(1)}" not in code


def test_a_column_that_is_called_like_code_never_reaches_the_script() -> None:
    sheet = Sheet("parcels", "宗地", "Parcels", frame([square()], __proto__=["x"]), (("__proto__", "字段"),))
    assert "__proto__" not in maps.page(maps.overview("图", [sheet]))


# --- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "said"),
    [([True, False], True), ([None, True], True), ([1, 0], True), ([False, False], False), ([None, np.nan], False)],
)
def test_one_synthetic_feature_puts_the_notice_on_every_map(column: list[Any], said: bool) -> None:
    sheet = parcels(2, synthetic=column)
    hidden = Sheet(sheet.role, sheet.zh, sheet.en, sheet.frame, shown=False)
    for chart in (maps.overview("图", [hidden]), maps.zone("图", sheet.frame, []), maps.check_map(check(), [hidden])):
        assert ("合成数据 synthetic data" in maps.page(chart)) is said


def test_a_map_of_real_features_carries_no_synthetic_notice_but_says_who_may_see_it() -> None:
    html = maps.page(maps.overview("图", [parcels()]))
    assert "synthetic data" not in html
    assert "内部使用 Internal use" in html
    assert "审图号 GS(2026)1" in maps.page(maps.overview("图", [parcels()], notice="审图号 GS(2026)1"))


def test_beyond_two_thousand_the_nearest_are_drawn_and_the_legend_says_so() -> None:
    xs, ys = np.meshgrid(np.linspace(108.0, 108.2, 200), np.linspace(28.0, 28.1, 100))
    sheet = Sheet("villages", "村庄", "Villages", frame(list(shapely.points(xs.ravel(), ys.ravel()))))
    near = frame([square(108.19, 28.09)])
    html = maps.page(maps.overview("图", [sheet], focus=near))
    drawn = features(html)
    assert len(drawn) == 2_000
    assert "仅显示邻近部分<br>2,000 of 20,000 shown" in json.loads(f'"{legend(html)}"')
    assert max(shapely.distance(shapely.Point(f["geometry"]["coordinates"]), near.geometry[0]) for f in drawn) < 0.06


def test_beyond_two_thousand_a_page_of_the_service_asks_for_tiles_and_a_lone_file_cannot() -> None:
    shapes = list(shapely.points(np.linspace(108.0, 108.2, 2_001), 28.0))
    many = Sheet("villages", "村庄", "Villages", frame(shapes), (("name", "名称 Name"),), tiled=True)
    few = Sheet("parcels", "宗地", "Parcels", frame([square()]), tiled=True)
    chart = maps.overview("图", [many, few])
    html = maps.page(chart)
    assert [feature["properties"]["layer"] for feature in features(html)] == ["宗地 Parcels"]
    assert 'tiledSheet({"role": "villages"' in html
    assert "<small>2,001</small>" in json.loads(f'"{legend(html)}"')
    assert all(f"/static/{path}" in html for path in maps.TILED_JS)
    with pytest.raises(ValueError, match="stand alone"):
        maps.standalone(chart)


def test_the_nearest_keep_their_order() -> None:
    line = frame([shapely.Point(x, 0) for x in (5, 1, 9, 2)])
    assert list(maps.nearest(line, shapely.Point(0, 0), most=2)["name"]) == ["n1", "n3"]


def test_findings_stand_with_fails_first_then_unknowns_and_the_rest_folded_away() -> None:
    rows = [
        finding("passes", "pass"),
        finding("warns", "fail", "warn"),
        finding("unknown", "unknown"),
        finding("blocks", "fail"),
        finding("exempt", "exempt"),
    ]
    html = maps.page(maps.check_map(check(*rows), []))
    at = [html.index(f"what {rule} found") for rule in ("blocks", "warns", "unknown", "passes", "exempt")]
    assert at == sorted(at)
    assert at[2] < html.index("<details>") < at[3]
    assert html.index("blocks 的结论") < at[0]


def test_a_finding_shows_numbers_basis_remedy_and_what_nobody_has_verified() -> None:
    row = finding(
        "a",
        "fail",
        value=812.0,
        limit=1000,
        unit="m",
        margin=-188.0,
        verified="memory",
        remedy={"zh": "退让", "en": "Step back"},
    )
    text = Tags(maps.page(maps.check_map(check(row), []))).text
    for said in (
        "812 m",
        "1000 m",
        "−188 m",
        "土地管理法",
        "待核",
        "退让 Step back",
        "不符合 fails",
        "系统初审：不符合",
    ):
        assert said in text


def test_evidence_is_drawn_by_status_with_the_number_of_its_finding() -> None:
    rows = [
        finding("b", "unknown", evidence=geojson(shapely.LineString([(108.4, 28), (108.5, 28)]))),
        finding("a", "fail", evidence=geojson(square(side=0.001))),
        finding("c", "pass"),
    ]
    html = maps.page(maps.check_map(check(*rows), []))
    drawn = {feature["properties"]["layer"]: feature["properties"].get("f0") for feature in features(html)}
    assert drawn == {
        "选址范围 Site": "GB00001",
        "依据：不符合 Evidence: fails": "1",
        "依据：无法判定 Evidence: unknown": "2",
    }
    assert re.search(r'data-bounds="108\.400000,28\.000000,108\.401000,28\.001000"[^>]*>1<', html)
    assert re.search(r"disabled[^>]*>3<", html)


# --- geometry -------------------------------------------------------------------------------------


def test_coordinates_have_six_decimals_and_two_dimensions() -> None:
    sheet = Sheet("villages", "村庄", "Villages", frame([shapely.Point(108.123456789, 28.987654321, 850.0)]))
    assert features(maps.page(maps.overview("图", [sheet])))[0]["geometry"]["coordinates"] == [108.123457, 28.987654]


def test_layers_are_simplified_for_display_but_the_judged_ground_is_not() -> None:
    edge = [(108.4 + i * 1e-5, 28 + (i % 2) * 1e-5) for i in range(100)]  # a tooth of 1 m each metre
    wavy = shapely.Polygon([*edge, (108.401, 28.01), (108.4, 28.01)])
    asked = check() | {"site": {"geometry": geojson(wavy), "parts": [], "area_mu": 1.0}}
    html = maps.page(maps.check_map(asked, [Sheet("parcels", "宗地", "Parcels", frame([wavy]))]))
    points = {f["properties"]["layer"]: len(f["geometry"]["coordinates"][0]) for f in features(html)}
    assert points["选址范围 Site"] == 103
    assert points["宗地 Parcels"] < 10


def test_missing_and_empty_shapes_are_left_out_and_collections_come_apart() -> None:
    both = shapely.GeometryCollection([square(), shapely.Point(108.5, 28.1)])
    sheet = Sheet("hazards", "灾害", "Hazards", frame([None, shapely.Point(), both, square()]))
    kinds = [f["geometry"]["type"] for f in features(maps.page(maps.overview("图", [sheet])))]
    assert sorted(kinds) == ["Point", "Polygon", "Polygon"]


@pytest.mark.parametrize("sheets", [[], [Sheet("rivers", "河流", "Rivers", frame([]))]], ids=["none", "empty"])
def test_a_county_with_nothing_in_it_is_still_a_map(sheets: list[Sheet]) -> None:
    html = maps.page(maps.overview("空县 Empty county", sheets))
    assert "L.map(" in html
    assert features(html) == []


def test_missing_cells_are_a_dash_never_nan() -> None:
    sheet = Sheet(
        "parcels",
        "宗地",
        "Parcels",
        frame([square(), square()], area_m2=[np.nan, 1234.5], when=[pd.NaT, pd.Timestamp("2026-11-20")]),
        (("area_m2", "面积"), ("when", "日期")),
    )
    cells = [(f["properties"]["f0"], f["properties"]["f1"]) for f in features(maps.page(maps.overview("图", [sheet])))]
    assert cells[0] == ("—", "—")
    assert cells[1][0] == "1234.5"


# --- styles ---------------------------------------------------------------------------------------


def test_every_vector_role_has_a_style_of_its_own() -> None:
    roles = yaml.safe_load((ROOT / "layers" / "roles.yaml").read_text("utf-8"))["roles"]
    vector = {role for role, said in roles.items() if said["geometry"] != "raster"}
    assert vector - set(mapstyle.STYLES) == set()
    seen = [(s.color, s.fill, s.dash, s.hatch, s.shape, s.weight) for s in mapstyle.STYLES.values()]
    assert len(set(seen)) == len(seen)


def test_a_role_the_table_does_not_know_is_drawn_plainly() -> None:
    sheet = Sheet("something_new", "新图层", "New layer", frame([square()]))
    assert len(features(maps.page(maps.overview("图", [sheet])))) == 1


def test_a_line_is_never_filled_though_its_role_has_a_fill() -> None:
    def filled(shape: shapely.Geometry) -> Any:
        html = maps.page(maps.overview("图", [Sheet("hazards", "灾害", "Hazards", frame([shape]))]))
        return json.loads(re.findall(r"default:\s+return (\{.*\});", html)[0])["fill"]

    assert filled(square())
    assert not filled(shapely.LineString([(108.4, 28), (108.5, 28.1)]))


def test_layers_are_drawn_in_the_order_of_the_table_and_listed_from_the_top() -> None:
    sheets = [
        Sheet(role, role, role, frame([square()])) for role in ("substations", "parcels", "basic_farmland", "zones")
    ]
    html = maps.page(maps.overview("图", sheets))
    drawn = [feature["properties"]["layer"].split()[0] for feature in features(html)]
    assert drawn == ["basic_farmland", "zones", "parcels", "substations"]
    named = legend(html)
    assert named.index("parcels") < named.index("zones")


def test_a_map_changes_nothing_that_was_handed_to_it() -> None:
    asked = check(finding("a", "fail", evidence=geojson(square())))
    before, sheet = copy.deepcopy(asked), parcels()
    columns = list(sheet.frame.columns)
    maps.page(maps.check_map(asked, [sheet]))
    assert asked == before
    assert list(sheet.frame.columns) == columns
