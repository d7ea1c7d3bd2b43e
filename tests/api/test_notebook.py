"""A county in a notebook: what the documentation shows runs, and what a cell shows stays in its frame."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.notebook import County
from layers.errors import BadInput
from tests.counties import FARM, GOOD, TEA, found_county

pytestmark = pytest.mark.needs("font", "vendor")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "reports.md"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("notebook") / "county.gpkg"
    found_county(path).close()
    return path


@pytest.fixture
def county(path: Path) -> Iterator[County]:
    with County(path) as county:
        yield county


def framed(cell: Any) -> tuple[str, str]:
    """The sandbox and the page of a shown cell."""
    found = re.fullmatch(r'<iframe sandbox="([^"]*)" srcdoc="([^"]*)" [^<>]*></iframe>', cell._repr_html_())
    assert found is not None
    return found[1], html.unescape(found[2])


def test_the_example_of_the_documentation_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(from api\.notebook import.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    said = example.replace("demo/county.gpkg", str(path)).replace("520625001363JB00002", GOOD)
    names: dict[str, Any] = {}
    exec(said, names)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["parcel.html", "review.docx", "review.pdf", "sheets.pdf"]
    assert names["checked"].verdict == "undetermined"  # it says little of the project
    names["county"].close()


def test_a_check_is_shown_as_its_report_and_nothing_is_kept(county: County) -> None:
    checked = county.check(TEA, [FARM])
    sandbox, page = framed(checked)
    assert sandbox == ""
    assert checked.verdict == "blocked"
    assert "系统初审：不符合" in page
    assert set(checked.findings["status"]) >= {"pass", "fail"}
    assert county._store.list("check") == []


def test_ground_may_be_drawn(county: County) -> None:
    drawn = county.check("TEA", [GOOD]).answer["site"]
    again = county.check("TEA", geometry=drawn["geometry"]).answer
    assert again["site"]["area_m2"] == pytest.approx(drawn["area_m2"], abs=0.05)


def test_maps_may_run_their_scripts_and_reach_nothing_else(county: County) -> None:
    for cell in (county.map(), county.map(parcel=GOOD), county.check(TEA, [GOOD]).map):
        sandbox, page = framed(cell)
        assert sandbox == "allow-scripts"
        assert "</html>" in page
        assert not re.search(r"<(script|link|img|iframe)[^<>]+(src|href)\s*=\s*[\"']?(https?:|//)", page)


def test_a_plan_is_shown_and_saved(county: County, tmp_path: Path) -> None:
    plan = county.plan([{**TEA, "id": "A"}], {"time_limit_s": 5, "weights": {"area_m2": 1.0}})
    assert plan.answer["assignments"]
    assert "联合选址方案报告" in framed(plan)[1]
    for name in ("plan.pdf", "plan.docx", "plan.xlsx", "plan.html"):
        assert plan.save(tmp_path / name).stat().st_size > 1_000
    assert "role-plan_0" in framed(plan.map)[1]
    with pytest.raises(BadInput, match=r"no report in \.odt"):
        plan.save(tmp_path / "plan.odt")
