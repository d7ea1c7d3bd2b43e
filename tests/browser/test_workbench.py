"""The workbench in a real browser: the main path of each user, in both languages, with nothing from elsewhere."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from playwright.sync_api import Browser, Error, Page, expect
from pyproj import Transformer

from layers.access import Access
from tests.counties import EAST, FARM, GOOD, NORTH, TEA, closed_county, found_county, small_world
from tests.serving import serving
from tests.worlds import layer

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "vendor")]

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
YEAR = datetime.now(UTC).astimezone().year
expect.set_options(timeout=30_000)
ATTACK = "<img src=x onerror=\"window.__pwned='img'\">${window.__pwned='literal'}"
RICH = {**TEA, "tax_wan": 500, "output_wan": 3_000, "jobs": 60}
PANELS = ("layers", "check", "history", "search", "projects", "plan", "quota", "parcels")


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    """A county of three parcels on cultivated land, with quota for one and a half of them."""
    ground = shapely.box(-2e4, -2e4, 2e4, 2e4)
    field: dict[str, Any] = {"code_system": ["TD/T 1055-2019"], "code": ["0103"], "code_name": ["旱地"]}
    fields = layer("land_use", [ground], **field, three_class=["agricultural"], cultivated=[True], paddy=[False])
    kinds = ("new_construction", "agricultural", "cultivated")
    pools = {f"quota__520625__{YEAR}__{kind}": 15_000.0 for kind in kinds}
    store = found_county(tmp_path / "small.gpkg", small_world().replaced(fields).with_pools(**pools))
    rich = {**RICH, "stage": "引进"}
    store.save("project", "TEA", rich)
    store.save("project", "OIL", {**rich, "id": "OIL", "name": "菜籽油", "tax_wan": 300})
    store.save("project", "EVIL", {**rich, "id": "EVIL", "name": ATTACK, "stage": "储备", "tax_wan": 200})
    store.close()
    with serving(tmp_path / "small.gpkg") as address:
        yield address


@pytest.fixture
def page(browser: Browser, base: str) -> Iterator[Page]:
    """A page in which any word on the console, any broken policy and any request elsewhere is a fault."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    opened = context.new_page()
    said: list[str] = []
    opened.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error(`CSP ${e.blockedURI}`))")
    opened.on("console", lambda one: said.append(f"{one.type}: {one.text}") if one.type != "info" else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    ours = (f"{base}/", "data:", f"blob:{base}")
    opened.on("request", lambda one: None if one.url.startswith(ours) else said.append(one.url))
    opened.said = said  # type: ignore[attr-defined]
    yield opened
    assert opened.evaluate("window.__pwned ?? null") is None
    expected = getattr(opened, "expected", ())
    assert [one for one in said if not any(word in one for word in expected)] == []
    context.close()


def open_(page: Page, base: str, hash_: str = "", query: str = "") -> None:
    page.goto(f"{base}/{query}{hash_}")
    expect(page.locator("body[data-ready=yes]")).to_be_attached(timeout=60_000)


def go(page: Page, panel: str) -> None:
    page.click(f"[data-panel={panel}]")
    expect(page.locator(f"[data-panel={panel}][aria-current=page]")).to_be_visible()


def boundary(path: Path) -> Path:
    """The first parcel as a boundary TXT, in GB18030, with the zone's number in its eastings."""
    corners = [(0, 0), (0, 100), (100, 100), (100, 0), (0, 0)]
    attributes = (
        "坐标系=2000国家大地坐标系",
        "几度分带=3",
        "投影类型=高斯克吕格",
        "计量单位=米",
        "带号=36",
        "精度=0.001",
    )
    head = "\n".join(["[属性描述]", *attributes, "转换参数=,,,,,,", "[地块坐标]", ""])
    rows = [f"J{n % 4 + 1},1,{NORTH + y:.3f},{36_000_000 + EAST + x:.3f}" for n, (x, y) in enumerate(corners)]
    path.write_bytes((head + "5,1.0000,1,茶厂,面,,工业用地,,@\n" + "\n".join(rows)).encode("gb18030"))
    return path


# --- the three paths --------------------------------------------------------------------------------


def test_the_bureau_uploads_a_boundary_and_takes_the_report_home(page: Page, base: str, tmp_path: Path) -> None:
    open_(page, base)
    go(page, "check")
    page.select_option("#project-choice", "TEA")
    page.set_input_files("#boundary", boundary(tmp_path / "茶厂.txt"))
    found = page.locator(".way .facts").first
    expect(found).to_contain_text("CGCS2000 / 3-degree Gauss-Kruger zone 36")
    expect(found).to_contain_text("GB18030")
    expect(found).to_contain_text("15 亩 · 1 公顷 · 10,000 m²")
    expect(page.locator(".way .good")).to_have_text("未发现问题")
    page.click("#run-check")
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("有条件符合")
    expect(verdict.locator(".sign")).to_have_text("◐")  # not by colour alone
    expect(page.locator("#live")).to_contain_text("审查结论")
    cultivated = page.locator(".finding", has_text="占用耕地，须占补平衡").first
    expect(cultivated).to_contain_text("土地管理法 第三十条")
    cultivated.get_by_role("button", name="在地图上显示").click()
    with page.expect_download() as loading:
        page.click("[data-form=geojson]")
    drawn = json.loads(Path(loading.value.path()).read_text())
    assert drawn["features"][0]["properties"]["verdict"] == "conditional"
    with page.expect_download() as loading:
        page.click("[data-form=xlsx]")
    assert Path(loading.value.path()).read_bytes()[:2] == b"PK"
    paths = page.request.get(f"{base}/openapi.json").json()["paths"]
    printed = any(path.startswith("/checks/{check_id}/report.{") for path in paths)
    assert page.locator("[data-form=pdf]").count() == printed  # a link where there is a report, and none where not
    if printed:
        with page.expect_download() as loading:
            page.click("[data-form=pdf]")
        with pytest.importorskip("pdfplumber").open(loading.value.path()) as book:
            text = "".join(sheet.extract_text() or "" for sheet in book.pages)
        assert "旱地" in text
        assert "10,000" in text


def test_a_faulty_boundary_says_every_fault(page: Page, base: str, tmp_path: Path) -> None:
    bad = tmp_path / "bow.geojson"
    lonlat = Transformer.from_crs(4545, 4326, always_xy=True)
    bow = [lonlat.transform(EAST + x, NORTH + y) for x, y in ((0, 0), (100, 100), (100, 0), (0, 100), (0, 0))]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [bow]}}
    bad.write_text(json.dumps({"type": "FeatureCollection", "features": [feature, feature]}))
    page.expected = ("422",)  # type: ignore[attr-defined]
    open_(page, base, "#panel=check")
    page.set_input_files("#boundary", bad)
    expect(page.locator(".way .problem")).to_be_visible()


def test_the_committee_plans_locks_plans_again_compares_and_adopts(page: Page, base: str) -> None:
    served = "/plans/{plan_id}/adopt" in page.request.get(f"{base}/openapi.json").json()["paths"]
    page.expected = () if served else ("404",)  # type: ignore[attr-defined]
    open_(page, base)
    go(page, "projects")
    page.locator("thead input[type=checkbox]").check()
    page.click("#plan-these")
    page.click("#run-plan")
    expect(page.locator(".board")).to_be_visible(timeout=60_000)
    first = page.evaluate("location.hash")
    assert page.locator(".figures").first.inner_text().split("\n")[1].endswith("/ 3")
    assert page.locator(".card").count() >= 1
    expect(page.get_by_role("heading", name="费用（万元，典型单价）")).to_be_visible()
    expect(page.get_by_role("group", name="费用（万元，典型单价）")).to_contain_text("供电 木黄变电站")
    placed = page.locator("tr[data-project]:not(.unplaced)").first
    site = placed.locator(".card button").inner_text()
    placed.locator(".lock input").check()
    expect(placed.locator(".lock")).to_have_text(site)
    page.click("#run-plan")
    expect(page.locator("#comparison table").first).to_be_visible(timeout=60_000)
    assert page.evaluate("location.hash") != first
    expect(page.locator("#comparison")).to_contain_text(site)  # the lock is what differs between the two
    expect(page.locator("tr[data-project]:not(.unplaced) .card.locked button").first).to_have_text(site)
    page.click("#adopt-plan")
    expect(page.locator("#adoption .good" if served else "#adoption .problem")).to_be_visible()


def test_a_running_plan_shows_how_far_it_is_and_can_be_stopped(page: Page, base: str) -> None:
    open_(page, base, "#panel=projects")
    page.locator("thead input[type=checkbox]").check()
    page.click("#plan-these")
    page.route(re.compile(r"/plans/[0-9a-f]+$"), _running)
    page.click("#run-plan")
    expect(page.locator("#plan-progress")).to_contain_text("上界")
    expect(page.locator("#cancel-plan")).to_be_visible()
    page.unroute_all(behavior="wait")


def _running(route: Any) -> None:
    """A plan that takes long, as the service tells of one: small counties are planned before anybody looks."""
    told = route.fetch().json()
    progress = {"seconds": 4.0, "objective": 900.0, "bound": 1_000.0, "gap": 0.11}
    route.fulfill(json={**told, "status": "running", "progress": progress})


def test_a_check_shows_who_would_serve_and_at_what_cost(page: Page, base: str) -> None:
    open_(page, base, "#panel=check&project=TEA")
    page.get_by_role("button", name="宗地代码").click()
    page.fill("#parcel-ids", GOOD)
    page.click("#run-check")
    page.get_by_text("接入方案").click()
    page.get_by_role("button", name="显示路线与费用").click()
    table = page.get_by_role("group", name="接入方案：供电、供水、排水、进场道路")
    expect(table).to_contain_text("木黄变电站", timeout=60_000)
    expect(table).to_contain_text("DN150")


def test_the_quota_clerk_finds_why_an_account_is_short(page: Page, base: str) -> None:
    page.expected = ("409",)  # type: ignore[attr-defined]  # the refusal itself
    open_(page, base, "#panel=check&project=TEA")
    page.get_by_role("button", name="宗地代码").click()
    page.fill("#parcel-ids", GOOD)
    page.click("#run-check")
    page.get_by_text("预留用地与指标").click()
    page.get_by_role("button", name="预留", exact=True).click()
    expect(page.get_by_text("不构成供地承诺。")).to_have_count(2)
    page.fill("#parcel-ids", "520625001001GB00003")
    page.select_option("#project-choice", "OIL")
    page.click("#run-check")
    expect(page.locator("#outcome .facts").first).to_contain_text("菜籽油")
    page.get_by_text("预留用地与指标").click()
    page.get_by_role("button", name="预留", exact=True).click()
    expect(page.locator("#outcome .problem").last).to_contain_text("指标不足")
    page.get_by_role("button", name="查看该账户为何不足").click()
    why = page.locator("#why")
    expect(why).to_contain_text("余 7.5 亩")
    expect(why).to_contain_text("精制茶 15 亩")
    expect(page.locator("#account tbody tr", has_text="预留").first).to_be_visible()
    expect(page.locator("#account", has_text="试字1号")).to_be_visible()  # the document behind the figure
    bars = page.locator(".stackbar").first.get_attribute("aria-label")
    assert bars is not None
    assert "预留 10,000" in bars


# --- what holds everywhere --------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_panel_is_accessible(page: Page, base: str, language: str) -> None:
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: npm ci --ignore-scripts")
    open_(page, base, f"#lang={language}")
    _axe(page)
    for panel in PANELS:
        go(page, panel)
        expect(page.locator("#panel h2").first).to_be_visible()
        page.wait_for_timeout(400)
        _axe(page)
    go(page, "check")
    page.get_by_role("button", name={"zh-CN": "宗地代码", "en": "Parcel ids"}[language]).click()
    page.fill("#parcel-ids", FARM)
    page.click("#run-check")
    expect(page.locator("#verdict")).to_contain_text({"zh-CN": "不符合", "en": "Blocked"}[language])
    _axe(page)
    page.mouse.click(900, 400)
    expect(page.locator("#drawer .hit").first).to_be_visible()
    _axe(page)
    if language == "en":
        assert not re.search(r"[\u4e00-\u9fff]", page.locator("#rail").inner_text())


def _axe(page: Page) -> None:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    bad = [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    assert bad == []


def test_without_webgl_the_same_work_is_done_on_pictures(page: Page, base: str) -> None:
    page.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) "
        "{ return kind.startsWith('webgl') ? null : real.call(this, kind, ...more); };"
    )
    open_(page, base)
    assert page.locator("body").get_attribute("data-map") == "flat"
    expect(page.locator("#map-note")).to_contain_text("没有 WebGL")
    go(page, "check")
    page.get_by_role("button", name="宗地代码").click()
    page.fill("#parcel-ids", FARM)
    page.click("#run-check")
    expect(page.locator("#verdict")).to_contain_text("不符合")
    assert page.locator("#map path.leaflet-interactive").count() >= 2  # the site and the farmland it takes


def test_a_link_brings_everything_back(page: Page, base: str) -> None:
    open_(page, base, "#panel=check&project=TEA")
    page.get_by_role("button", name="宗地代码").click()
    page.fill("#parcel-ids", FARM)
    page.click("#run-check")
    expect(page.locator("#verdict")).to_be_visible()
    page.click("#language")
    expect(page.locator("#verdict")).to_contain_text("Blocked")
    page.select_option("#grid", "numbered")
    page.wait_for_timeout(500)
    link = page.evaluate("location.href")
    assert re.search(r"check=[0-9a-f]+", link)
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#verdict")).to_contain_text("Blocked", timeout=30_000)
    assert page.locator("#grid").input_value() == "numbered"
    again = re.search(r"at=([^&]+)", page.evaluate("location.hash"))
    was = re.search(r"at=([^&]+)", link)
    assert again is not None
    assert was is not None
    assert again[1] == was[1]


def test_clicks_identify_but_not_while_drawing(page: Page, base: str) -> None:
    lonlat = Transformer.from_crs(4545, 4326, always_xy=True)
    lon, lat = lonlat.transform(EAST + 50, NORTH + 250)
    open_(page, base, f"#at={lon:.6f},{lat:.6f},17&panel=check")
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.get_by_role("button", name="绘制", exact=True).click()
    page.get_by_role("button", name="绘多边形").click()
    for dx, dy in ((-60, -60), (60, -60), (60, 60), (-60, 60), (-60, 60)):
        page.mouse.move(x + dx, y + dy)
        page.mouse.click(x + dx, y + dy)
        page.wait_for_timeout(120)
        assert page.locator("#drawer").is_hidden()
    expect(page.locator(".way")).to_contain_text("地块已绘制")
    page.select_option("#project-choice", "TEA")
    page.click("#run-check")
    expect(page.locator("#verdict")).to_be_visible()
    page.mouse.click(x, y)
    expect(page.locator("#drawer")).to_contain_text("永久基本农田")
    expect(page.locator("#drawer")).to_contain_text(FARM)
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()


def test_a_library_goes_out_and_comes_back(page: Page, base: str, tmp_path: Path) -> None:
    open_(page, base, "#panel=projects")
    page.get_by_text("导入与导出").click()
    with page.expect_download() as loading:
        page.get_by_role("button", name="projects.json").click()
    kept = json.loads(Path(loading.value.path()).read_text(encoding="utf-8"))
    rows = kept["projects"] if isinstance(kept, dict) else kept
    assert {row["id"] for row in rows} == {"TEA", "OIL", "EVIL"}
    next(row for row in rows if row["id"] == "OIL")["jobs"] = 77
    (tmp_path / "back.json").write_text(json.dumps(kept), encoding="utf-8")
    page.set_input_files("#panel input[type=file]", tmp_path / "back.json")
    page.get_by_role("button", name="只检查").click()
    expect(page.locator("#taken")).to_contain_text("只检查，未写入。 新增 0，更新 1，不变 2。")
    page.get_by_role("button", name="导入", exact=True).click()
    expect(page.locator("#taken")).to_contain_text("已导入。")
    assert page.request.get(f"{base}/projects/OIL").json()["jobs"] == 77


def test_a_search_leads_from_the_list_to_the_map_and_back(page: Page, base: str) -> None:
    open_(page, base, "#panel=search&project=TEA")
    page.click("#run-search")
    expect(page.locator("tr[data-rank]").first).to_be_visible()
    page.locator("tr[data-rank='1'] button").click()
    expect(page.locator("#candidate")).to_contain_text("1 · 520625001001GB0000")
    page.wait_for_timeout(800)
    page.locator("tr[data-rank='1'] button").click()  # closed again
    expect(page.locator("#candidate")).to_have_count(0)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("tr.chosen")).to_have_attribute("data-rank", "1")


def test_candidates_are_ranked_by_a_method_and_by_comparisons_in_pairs(page: Page, base: str) -> None:
    open_(page, base, "#panel=search&project=TEA")
    page.get_by_text("比选方法与权重").click()
    page.select_option("#rank-method", "owa")
    page.fill("#rank-orness", "0.2")
    page.select_option("#rank-way", "ahp")
    page.check("[data-compared=area_m2]")
    page.check("[data-compared=slope_mean_deg]")
    page.select_option("[data-pair]", "1/3")
    page.click("#run-search")
    expect(page.locator("#grounds")).to_contain_text("有序加权平均（OWA） · 层次分析法（AHP） · 乐观程度 0.2")
    expect(page.locator("#grounds")).to_contain_text("一致性比率 0")
    page.select_option("#rank-way", "stated")
    for slider in page.locator("[data-criterion]").all():
        slider.fill("0")
    page.expected = ("422",)  # type: ignore[attr-defined]
    page.click("#run-search")
    expect(page.locator("#candidates .problem")).to_contain_text("ranking.weights")


def test_each_user_sees_only_what_they_may(page: Page, base: str) -> None:
    open_(page, base)
    page.select_option("#people", "demo-viewer")
    page.wait_for_timeout(800)
    expect(page.locator("body[data-ready=yes]")).to_be_attached(timeout=60_000)
    go(page, "check")
    expect(page.locator("#panel")).to_contain_text("不能执行此操作")
    expect(page.locator("#run-check")).to_be_disabled()
    page.expected = ("403",)  # type: ignore[attr-defined]
    page.select_option("#people", "demo-system")
    expect(page.locator(".gate")).to_contain_text("没有权限", timeout=20_000)


def test_a_reviewer_closes_a_condition_on_a_document(page: Page, base: str) -> None:
    open_(page, base, "#panel=check&project=TEA")
    page.get_by_role("button", name="宗地代码").click()
    page.fill("#parcel-ids", GOOD)
    page.click("#run-check")
    expect(page.locator("#remains")).to_contain_text("未办结")
    check = re.search(r"check=([0-9a-f]+)", page.evaluate("new Promise(d => setTimeout(() => d(location.hash), 300))"))
    assert check is not None
    page.evaluate("sessionStorage.setItem('parkplan.key', 'demo-reviewer')")
    page.goto("about:blank")
    open_(page, base, f"#panel=check&check={check[1]}")
    rules = page.locator(".opinion select").first.locator("option").count()
    for _ in range(rules):
        page.fill("#opinion-document", "示例占补〔2026〕1号")
        page.fill("#opinion-reason", "补充耕地已验收")
        with page.expect_response(re.compile("/opinions$")):
            page.get_by_role("button", name="提交意见").click()
        page.wait_for_timeout(300)
        open_rules = page.locator("#remains").inner_text()
        if "全部办结" in open_rules:
            break
        named = re.search(r"（([a-z_.]+)", open_rules)
        assert named is not None
        page.locator(".opinion select").first.select_option(named[1])
    expect(page.locator("#remains")).to_contain_text("意见已全部办结")
    expect(page.locator("#verdict")).to_contain_text("有条件符合")  # the verdict stays


def test_the_keyboard_reaches_everything(page: Page, base: str) -> None:
    open_(page, base)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Alt+2")
    expect(page.locator("[data-panel=check]")).to_have_attribute("aria-current", "page")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find-text"
    page.keyboard.type(GOOD)
    page.keyboard.press("Enter")
    expect(page.locator("#find-results button").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer h2")).to_have_text("宗地档案")
    expect(page.locator("#drawer")).to_contain_text("旱地")


@pytest.mark.parametrize(
    "form",
    ["X {north:.2f} Y {east:.2f}", "{north:.2f}, 36{east:.2f}", "{east:.2f} {north:.2f}", "{lat:.7f}, {lon:.7f}",
     "{dms_lat}N {dms_lon}E", "东经{dms_lon} 北纬{dms_lat}"],
)  # fmt: skip
def test_a_coordinate_in_any_form_is_the_same_place(page: Page, base: str, form: str) -> None:
    lon, lat = 108.612345, 28.054321
    east, north = Transformer.from_crs(4326, 4545, always_xy=True).transform(lon, lat)

    def dms(value: float) -> str:
        minutes = (value % 1) * 60
        return f"{int(value)}°{int(minutes)}′{(minutes % 1) * 60:.3f}″"

    said = form.format(east=east, north=north, lon=lon, lat=lat, dms_lat=dms(lat), dms_lon=dms(lon))
    open_(page, base)
    at = page.evaluate("async (said) => (await import('/static/workbench/coordinates.js')).parsed(said, 108)", said)
    assert at == pytest.approx([lon, lat], abs=2e-7)


def test_the_page_measures_as_the_service_does(page: Page, base: str) -> None:
    lonlat = Transformer.from_crs(4545, 4326, always_xy=True)
    ring = [lonlat.transform(EAST + x, NORTH + y) for x, y in ((0, 0), (300, 0), (300, 200), (0, 200), (0, 0))]
    open_(page, base)
    found = page.evaluate(
        "async (ring) => { const { areaOf, lengthOf } = await import('/static/workbench/coordinates.js');"
        " const { app } = await import('/static/workbench/app.js');"
        " return [areaOf(app.setup.proj4, [ring]), lengthOf(app.setup.proj4, ring)]; }",
        ring,
    )
    assert found == pytest.approx([60_000.0, 1_000.0], abs=0.01)


def test_markup_in_a_name_stays_text(page: Page, base: str) -> None:
    open_(page, base, "#panel=projects&project=EVIL")
    expect(page.locator("#panel")).to_contain_text("<img src=x onerror")
    page.fill("#find-text", "onerror")
    page.keyboard.press("Enter")
    expect(page.locator("#find-results")).to_contain_text("<img src=x")
    assert page.locator("img[src=x]").count() == 0


def test_who_has_no_key_is_asked_for_one(browser: Browser, tmp_path: Path) -> None:
    key = closed_county(tmp_path / "closed.gpkg")
    with serving(tmp_path / "closed.gpkg") as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.locator(".gate h2")).to_have_text("请输入密钥")
        assert "试验县" not in page.content()
        page.fill("#key", key)
        page.keyboard.press("Enter")
        expect(page.locator("#county")).to_have_text("试验县", timeout=30_000)
        page.close()


# --- people who mean no good, and machines that fail -------------------------------------------------

WORDS = {
    "LONG": "长" * 300,
    "WIDE": "W" * 300,
    "CODE": "${7*7}{{7*7}}`",
    "CELL": "=cmd|'/c calc'!A1",
    "TAG": '"><svg onload=window.__pwned=1>',
}


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_names_of_any_kind_break_no_panel(page: Page, base: str, language: str) -> None:
    for key, name in WORDS.items():
        said = {**TEA, "id": key, "name": name, "stage": "储备"}
        assert page.request.post(f"{base}/projects", data=said).status == 201
    asked = {"projects": [{**TEA, "id": key, "name": name} for key, name in WORDS.items()]}
    plan = page.request.post(f"{base}/plans", data=asked).json()
    check = page.request.post(f"{base}/checks", data={"project_id": "TAG", "site": {"parcels": [GOOD]}}).json()
    until = time.monotonic() + 60
    while page.request.get(f"{base}/plans/{plan['id']}").json()["status"] != "done" and time.monotonic() < until:
        time.sleep(0.1)
    for panel in PANELS:
        page.goto("about:blank")
        open_(page, base, f"#panel={panel}&plan={plan['id']}&check={check['id']}&project=LONG", f"?lang={language}")
        page.wait_for_timeout(700)
        wider = page.evaluate(WIDER)
        assert wider == [], (panel, wider)
        text = page.locator("body").inner_text()
        assert "undefined" not in text
        assert "[object" not in text
        assert "NaN" not in text
    assert page.locator("svg[onload]").count() == 0


WIDER = """() => [document.documentElement, ...document.querySelectorAll("#panel, #panel > *")]
    .filter((one) => one.clientWidth && one.scrollWidth > one.clientWidth + 2)
    .filter((one) => !["auto", "scroll"].includes(getComputedStyle(one).overflowX))
    .map((one) => `${one.tagName}.${one.className} ${one.scrollWidth} > ${one.clientWidth}`)"""


def test_a_service_that_stops_is_named_and_work_goes_on_when_it_is_back(page: Page, base: str) -> None:
    page.expected = ("ERR_FAILED", "Failed to load resource", "net::", "Failed to fetch")  # type: ignore[attr-defined]
    open_(page, base, "#panel=check")
    page.route("**/*", lambda route: route.abort())
    for panel in PANELS:
        page.click(f"[data-panel={panel}]")
        page.wait_for_timeout(300)
    expect(page.locator("#panel .problem")).to_contain_text("服务没有应答")
    page.unroute("**/*")
    for panel in PANELS:
        go(page, panel)
    expect(page.locator("#panel .problem")).to_have_count(0)


def test_two_tabs_adopt_the_same_plan_and_the_second_is_told(page: Page, base: str) -> None:
    page.expected = ("Failed to load resource",)  # type: ignore[attr-defined]
    plan = page.request.post(f"{base}/plans", data={"projects": [RICH]}).json()
    until = time.monotonic() + 60
    while page.request.get(f"{base}/plans/{plan['id']}").json()["status"] != "done" and time.monotonic() < until:
        time.sleep(0.1)
    other = page.context.new_page()
    for one in (page, other):
        open_(one, base, f"#panel=plan&plan={plan['id']}")
        expect(one.locator("#adopt-plan")).to_be_visible()
        one.on("dialog", lambda dialog: dialog.accept())
    for one in (page, other):
        one.click("#adopt-plan")
        expect(one.locator("#adoption")).to_contain_text("采纳" if one is page else "此前已采纳")
    kept = page.request.get(f"{base}/reservations").json()
    held = [row for row in kept["reservations"] if row["state"] == "reserved"]
    assert len(held) == 1
    other.close()


def test_back_and_forward_go_between_links(page: Page, base: str) -> None:
    open_(page, base, "#panel=quota")
    page.evaluate("location.hash = '#panel=projects&project=OIL'")
    page.wait_for_timeout(500)
    expect(page.locator("body[data-ready=yes]")).to_be_attached(timeout=60_000)
    expect(page.locator("[data-panel=projects][aria-current=page]")).to_be_visible()
    page.go_back()
    expect(page.locator("[data-panel=quota][aria-current=page]")).to_be_visible()
    page.go_forward()
    expect(page.locator("[data-panel=projects][aria-current=page]")).to_be_visible()


def test_a_key_that_is_taken_away_leads_back_to_the_gate(browser: Browser, tmp_path: Path) -> None:
    found_county(tmp_path / "closed.gpkg").close()
    access = Access(tmp_path / "closed.gpkg")
    key = access.add("planner-1", "planner", ["*"])
    with serving(tmp_path / "closed.gpkg") as address:
        page = browser.new_page()
        page.goto(address)
        page.fill("#key", key)
        page.keyboard.press("Enter")
        expect(page.locator("#county")).to_have_text("试验县", timeout=30_000)
        access.disable("planner-1", by="security-1")
        with suppress(Error):  # the map may have noticed already
            page.evaluate("document.querySelector('[data-panel=quota]').click()")
        expect(page.locator(".gate h2")).to_have_text("请输入密钥")
        assert page.evaluate("sessionStorage.length") == 0
        page.close()
    access.close()


def test_a_check_is_found_again_and_its_answer_opened(page: Page, base: str) -> None:
    made = page.request.post(f"{base}/checks", data={"project_id": "TEA", "site": {"parcels": [GOOD]}}).json()
    page.request.post(f"{base}/checks", data={"project_id": "OIL", "site": {"parcels": [FARM]}})
    open_(page, base, "#panel=history")
    expect(page.locator("#past-checks [data-check]")).to_have_count(2)
    page.fill("#find-checks input[name=project]", RICH["name"])
    page.click("#find-checks button")
    expect(page.locator("#past-checks [data-check]")).to_have_count(1)
    page.click(f"[data-check='{made['id']}'] button.link >> nth=0")
    expect(page.locator("#verdict")).to_contain_text(made["conclusion"]["zh"])
    page.evaluate(f"location.hash = '#panel=layers&parcel={GOOD}'")
    expect(page.locator(f"#drawer [data-check='{made['id']}']")).to_be_visible(timeout=60_000)
