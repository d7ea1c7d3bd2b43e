"""The map pages in a real browser, under their policy, with every other machine out of reach."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import geopandas as gpd
import numpy as np
import pytest
import shapely
from branca.utilities import write_png
from playwright.sync_api import Browser, Page

from api import maps

pytestmark = [pytest.mark.browser, pytest.mark.needs("chromium", "vendor")]

STATIC = Path(maps.__file__).parent / "static"
NONCE = "bm9uY2U"
ATTACK = (
    "<img src=x onerror=\"window.__pwned='img'\">${window.__pwned='literal'}`+(window.__pwned='tick')+`"
    "</script><script>window.__pwned='tag'</script>{{ 7 * 191 }}"
)


# --- a small made-up county -----------------------------------------------------------------------


def at(geometry: shapely.Geometry) -> shapely.Geometry:
    """Metres east and north of a point in the county, as lon/lat."""
    return shapely.transform(geometry, lambda xy: xy / [98_300, 110_800] + [108.41, 27.99])


def layer(rows: list[tuple[shapely.Geometry, dict[str, Any]]]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        [{"id": f"{n:04d}", "synthetic": True, **facts} for n, (_, facts) in enumerate(rows, start=1)],
        geometry=[at(shape) for shape, _ in rows],
        crs=4326,
    )


def blob(x: float, y: float, radius: float, seed: int) -> shapely.Geometry:
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wave = sum(rng.uniform(-0.12, 0.12) * np.sin(k * turn + rng.uniform(0, 6)) for k in range(1, 6))
    reach = radius * (1 + wave)
    return shapely.Polygon(np.column_stack([x + reach * np.cos(turn), y + 0.75 * reach * np.sin(turn)]))


ZONES = {
    "木黄片区": (-1900, 900, 1500, 1150),
    "合水片区": (1500, 1300, 1700, 1000),
    "朗溪片区": (600, -1500, 1600, 1100),
}
XS = np.linspace(-3600, 3600, 60)
RIVER = shapely.LineString(np.column_stack([XS, -250 + 220 * np.sin(XS / 800) + 60 * np.sin(XS / 210)]))
FARMLAND = [
    blob(-900, -900, 520, 1),
    blob(2300, -300, 430, 2),
    blob(-2700, -700, 450, 3),
    blob(-1080, 1330, 300, 4),
]
NAME = ("name", "名称 Name")
PARCEL = (
    ("name", "宗地代码 Parcel"),
    ("zone", "片区 Zone"),
    ("area_mu", "面积（亩） Area, mu"),
    ("ready", "净地 Ready"),
)


def plots() -> Iterator[tuple[str, shapely.Geometry]]:
    """About a hundred plots in each zone, with lanes between them."""
    for zone, (x, y, w, h) in ZONES.items():
        xs, ys = np.linspace(x - w / 2, x + w / 2, 12), np.linspace(y - h / 2, y + h / 2, 10)
        for i in range(11):
            for j in range(9):
                yield zone, shapely.box(xs[i] + 6, ys[j] + 6, xs[i + 1] - 6, ys[j + 1] - 6)


def county(name: Callable[[str], str] = str) -> list[maps.Sheet]:
    """Three zones with their parcels, a river, the three control lines, roads and supply."""

    def sheet(role: str, zh: str, en: str, *features: tuple[shapely.Geometry, str]) -> maps.Sheet:
        frame = layer([(shape, {"name": name(called)}) for shape, called in features])
        return maps.Sheet(role, name(zh), name(en), frame, ((NAME[0], name(NAME[1])),))

    boxes = {zone: shapely.box(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for zone, (x, y, w, h) in ZONES.items()}
    parcels = [
        (
            plot,
            {
                "name": f"520625GB{n:05d}",
                "zone": name(zone),
                "area_mu": plot.area * 3 / 2000,
                "ready": n % 3 == 0,
            },
        )
        for n, (zone, plot) in enumerate(plots(), start=1)
    ]
    line, point = shapely.LineString, shapely.Point
    road = line([(-3600, 150), (-1200, 190), (300, 350), (1400, 420), (3600, 700)])
    return [
        sheet(
            "zones",
            "园区片区",
            "Park zones",
            *((box.buffer(40, join_style="mitre"), zone) for zone, box in boxes.items()),
        ),
        maps.Sheet("parcels", "宗地", "Parcels", layer(parcels), PARCEL),
        sheet(
            "basic_farmland",
            "永久基本农田",
            "Permanent basic farmland",
            *((shape, "基本农田") for shape in FARMLAND),
        ),
        sheet(
            "eco_redline",
            "生态保护红线",
            "Ecological protection red line",
            (blob(-2500, -2000, 800, 5), "梵净山水源涵养"),
            (blob(3000, 2100, 500, 9), "水土保持"),
        ),
        sheet(
            "urban_boundary",
            "城镇开发边界",
            "Urban development boundary",
            (shapely.union_all(list(boxes.values())).buffer(160), "集中建设区"),
        ),
        sheet("rivers", "河流", "Rivers", (RIVER, "印江河")),
        sheet("river_management", "河道管理范围", "River management range", (RIVER.buffer(60), "印江河")),
        sheet("roads", "公路", "Roads", (road, "S304"), (line([(300, 350), (500, -700), (620, -2400)]), "X512")),
        sheet(
            "power_lines",
            "电力线路",
            "Power lines",
            (line([(-3400, 2000), (-400, 1900), (3400, 250)]), "110 kV"),
        ),
        sheet(
            "substations",
            "变电站",
            "Substations",
            (point(-500, 1880), "木黄变电站"),
            (point(2700, 650), "合水变电站"),
        ),
        sheet("water_sources", "水厂", "Water works", (point(-3000, 450), "慕龙水厂")),
        sheet("wastewater_plants", "污水处理厂", "Wastewater plants", (point(1900, -700), "朗溪污水厂")),
        sheet("villages", "村庄", "Villages", (point(-1000, 250), "坪楼村"), (point(2900, -1500), "河西村")),
        sheet(
            "karst",
            "岩溶洼地",
            "Karst sinkholes",
            (point(-300, -1900), "落水洞"),
            (point(3100, 1000), "溶洞"),
        ),
        sheet("heritage", "文物保护单位", "Heritage"),
    ]


def hillshade() -> maps.Image:
    """A made-up relief, light from the north-west, under the whole county."""
    y, x = np.mgrid[0:300, 0:400] / 30
    height = 8 * np.sin(x) + 6 * np.cos(y * 1.3 + x / 2)
    south, east = np.gradient(height)
    shade = np.clip(0.75 + 0.25 * (south + east), 0.3, 1)
    return write_png(shade), at(shapely.box(-4500, -3300, 4500, 3300)).bounds


def siting_check(say: Callable[[str], str] = str) -> dict[str, Any]:
    """A site in the western zone that touches farmland; the river's managed line is missing."""
    grounds = [plot for _, plot in plots()]
    site = (
        shapely.union_all(grounds[75:79] + grounds[84:88] + grounds[93:98])
        .buffer(7, join_style="mitre")
        .buffer(-7, join_style="mitre")
    )
    farmland = shapely.intersection(site, FARMLAND[3])
    to_river = shapely.shortest_line(site, RIVER)

    def finding(rule: str, status: str, severity: str, zh: str, en: str, **more: Any) -> dict[str, Any]:
        blank = dict.fromkeys(("value", "limit", "unit", "margin", "evidence", "remedy"))
        said = {"zh": say(zh), "en": say(en)}
        rest = {"scope": "each", "basis": say("—"), "verified": "county", "authority": "statute"}
        return {
            **blank,
            **rest,
            "rule": rule,
            "status": status,
            "severity": severity,
            "message": said,
            **more,
        }

    def geojson(shape: shapely.Geometry) -> dict[str, Any]:
        return json.loads(shapely.to_geojson(at(shape)))

    return {
        "id": "c1",
        "purpose": "pre_review",
        "verdict": "blocked",
        "conclusion": {"zh": say("系统初审：不符合"), "en": say("System review: does not comply")},
        "site": {
            "geometry": geojson(site),
            "parts": [{"parcel": say("520625GB00089")}],
            "area_mu": site.area * 3 / 2000,
        },
        "project": {"name": say("年产 20 万吨锰系新材料项目")},
        "as_of": "2026-11-20",
        "findings": [
            finding(
                "slope.mean",
                "pass",
                "warn",
                "平均坡度 8.2° 不超过 15°",
                "Mean slope is within 15°",
                value=8.2,
                limit=15,
                unit="deg",
                margin=6.8,
            ),
            finding("dust.food", "exempt", "block", "不产生粉尘，不适用", "No dust, does not apply"),
            finding(
                "power.headroom",
                "fail",
                "condition",
                "木黄变电站剩余容量不足，需增容",
                "Mu Huang substation is short of capacity and needs an expansion",
                value=12500.0,
                limit=20000.0,
                unit="kva",
                margin=-7500.0,
                basis="供电营业规则 第十六条",
                verified="memory",
                remedy={"zh": "主变增容至 80 MVA 后可满足", "en": "Passes once the transformer is 80 MVA"},
            ),
            finding(
                "river.chemical",
                "unknown",
                "block",
                "印江河河道管理范围线未入库，距离无法判定",
                "The managed line of the river is not loaded, so the distance is unknown",
                limit=1000,
                unit="m",
                value=float("nan"),
                margin=float("nan"),
                basis="长江保护法 第二十六条",
                evidence=geojson(to_river),
            ),
            finding(
                "farmland.basic",
                "fail",
                "block",
                "占用永久基本农田 31,204.6 平方米",
                "Occupies 31,204.6 m² of permanent basic farmland",
                value=31204.6,
                limit=0.0,
                unit="m2",
                margin=-31204.6,
                basis="土地管理法 第三十五条",
                evidence=geojson(farmland),
            ),
        ],
    }


# --- the server and the browser -------------------------------------------------------------------


class Handler(SimpleHTTPRequestHandler):
    """The pages handed to it, under their policy, and api/static."""

    pages: ClassVar[dict[str, str]] = {}

    def translate_path(self, path: str) -> str:
        return str(STATIC / path.removeprefix("/static/").split("?")[0])

    def do_GET(self) -> None:
        if self.path not in self.pages:
            return super().do_GET()
        body = self.pages[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", maps.csp(NONCE))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass
class Visit:
    """An open page, and all it complained of or asked from elsewhere."""

    page: Page
    trouble: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Visit]]:
    context = browser.new_context()

    def open_(html: str, width: int = 1280, height: int = 800) -> Visit:
        Handler.pages["/page"] = html
        seen = Visit(context.new_page())
        seen.page.set_viewport_size({"width": width, "height": height})
        seen.page.on(
            "console",
            lambda said: seen.trouble.append(said.text) if said.type in ("error", "warning") else None,
        )
        seen.page.on("pageerror", lambda error: seen.trouble.append(str(error)))
        seen.page.on("requestfailed", lambda request: seen.trouble.append(request.url))
        seen.page.on(
            "request",
            lambda request: None if request.url.startswith((address, "data:")) else seen.trouble.append(request.url),
        )
        seen.page.goto(f"{address}/page")
        seen.page.wait_for_selector("#legend .leaflet-control-layers")
        seen.page.wait_for_timeout(300)
        return seen

    yield open_
    context.close()


# folium binds one popup to a whole layer, so a click has to climb to it
OPEN_EVERY_POPUP = """async () => {
    const map = Object.entries(window).find(([name]) => name.startsWith("map_"))[1];
    const shapes = [];
    map.eachLayer(layer => { if (layer.feature) shapes.push(layer); });
    let opened = 0;
    for (const shape of shapes) {
        const latlng = shape.getLatLng ? shape.getLatLng() : shape.getBounds().getCenter();
        shape.fire("click", { latlng }, true);
        opened += document.querySelectorAll(".leaflet-popup-content td").length > 0;
        if (shape.getTooltip()) shape.openTooltip();
        map.closePopup();
    }
    await new Promise(done => setTimeout(done, 300));
    return [shapes.length, opened];
}"""


def overlaps(page: Page) -> list[str]:
    """Pairs of boxes of the page that cover each other."""
    parts = ["header", ".folium-map", ".verdict", ".findings", "#legend", "aside > footer"]
    boxes = {part: page.locator(part).bounding_box() for part in parts if page.locator(part).count()}
    return [
        f"{one} {other}"
        for one, a in boxes.items()
        for other, b in boxes.items()
        if one < other
        and min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"]) > 1
        and min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"]) > 1
    ]


# --- what must be true ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1280, 800), (1024, 768)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("which", ["overview", "zone", "check"])
def test_a_map_draws_its_features_quietly_and_nothing_covers_anything(
    visit: Callable[..., Visit], tmp_path: Path, which: str, size: tuple[int, int]
) -> None:
    sheets = county()
    chart = {
        "overview": lambda: maps.overview("示范县园区总览 Overview of the demo county", sheets, image=hillshade()),
        "zone": lambda: maps.zone("朗溪片区 Langxi zone", sheets[0].frame.iloc[[2]], sheets[1:]),
        "check": lambda: maps.check_map(siting_check(), sheets),
    }[which]()
    seen = visit(maps.page(chart, nonce=NONCE), *size)
    seen.page.screenshot(path=tmp_path / f"{which}-{size[0]}.png")
    pictures = seen.page.locator("img.leaflet-image-layer").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert pictures == ([400] if which == "overview" else [])
    assert seen.trouble == []
    assert overlaps(seen.page) == []
    assert seen.page.locator("path.role-parcels").count() == 297
    assert seen.page.locator("path.role-zones").count() == (1 if which == "zone" else 3)
    assert seen.page.locator(".badge.synthetic").is_visible()
    drawn = seen.page.locator("path.role-parcels").evaluate_all(
        "all => all.filter(p => p.getAttribute('d') !== 'M0 0').length"
    )
    assert drawn > 20


@pytest.mark.parametrize("which", ["overview", "check"])
def test_no_text_of_a_layer_or_a_finding_runs_as_script(visit: Callable[..., Visit], which: str) -> None:
    def spoil(said: str) -> str:
        return said + ATTACK

    sheets = county(spoil)
    chart = (
        maps.overview(ATTACK, sheets, notice=ATTACK)
        if which == "overview"
        else maps.check_map(siting_check(spoil), sheets)
    )
    seen = visit(maps.page(chart, nonce=NONCE))
    shapes, opened = seen.page.evaluate(OPEN_EVERY_POPUP)
    assert opened == shapes > 300
    for label in seen.page.locator("#legend input:enabled").all():
        label.click()
        label.click()
    assert seen.page.evaluate("window.__pwned") is None
    assert "1337" not in seen.page.content()
    assert seen.page.locator("img[src=x]").count() == 0
    assert seen.trouble == []


def test_a_finding_leads_to_its_evidence(visit: Callable[..., Visit]) -> None:
    seen = visit(maps.page(maps.check_map(siting_check(), county()), nonce=NONCE))
    before = seen.page.locator("path.role-evidence_fail").get_attribute("d")
    seen.page.get_by_role("button", name="1", exact=True).click()
    seen.page.wait_for_timeout(500)
    assert seen.page.locator("path.role-evidence_fail").get_attribute("d") != before
    assert seen.trouble == []


def test_a_layer_switched_off_and_on_again_returns_to_its_place(visit: Callable[..., Visit]) -> None:
    seen = visit(maps.page(maps.overview("图", county()), nonce=NONCE))
    order = "paths => [...new Set(paths.map(p => p.getAttribute('class').match(/role-\\w+/)[0]))]"
    before = seen.page.locator("path.leaflet-interactive").evaluate_all(order)
    box = seen.page.locator("#legend label", has_text="永久基本农田").locator("input")
    box.click()
    assert seen.page.locator("path.role-basic_farmland").count() == 0
    box.click()
    assert seen.page.locator("path.leaflet-interactive").evaluate_all(order) == before


def test_a_standalone_page_opens_from_a_file(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "map.html"
    file.write_text(maps.standalone(maps.check_map(siting_check(), county())), encoding="utf-8")
    page = browser.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on(
        "request",
        lambda request: trouble.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
    )
    page.on("requestfailed", lambda request: trouble.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("#legend .leaflet-control-layers")
    assert page.locator("path.role-parcels").count() == 297
    assert trouble == []


def test_clicks_measure_while_measuring_and_identify_nothing(visit: Callable[..., Visit]) -> None:
    """A square drawn by four clicks: the length around and the area agree with each other and with the scale bar."""
    seen = visit(maps.page(maps.overview("量测", county()), nonce=NONCE))
    page = seen.page
    page.locator(".measure a").click()
    for x, y in ((400, 300), (600, 300), (600, 500), (400, 500)):
        page.mouse.click(x, y)
        page.wait_for_timeout(50)
    said = page.locator(".measured").inner_text()
    found = re.match(r"([\d.]+) (m|km)\u3000(\d+) m²\u3000([\d.]+) ha\u3000([\d.]+) 亩", said)
    assert found is not None, said
    side_m = float(found[1]) * (1000 if found[2] == "km" else 1) / 3
    assert float(found[3]) == pytest.approx(side_m**2, rel=0.01)
    assert float(found[5]) == pytest.approx(float(found[3]) * 0.0015, rel=0.001)
    bar = page.locator(".leaflet-control-scale-line").first
    width, text = bar.evaluate("b => parseFloat(b.style.width)"), bar.inner_text()
    bar_m = float(text.split()[0]) * (1000 if "km" in text else 1)
    assert side_m == pytest.approx(200 * bar_m / width, rel=0.03)
    assert page.locator(".leaflet-popup").count() == 0
    page.keyboard.press("Escape")
    assert not page.locator(".measured").is_visible()
    page.mouse.click(500, 400)
    assert seen.trouble == []
