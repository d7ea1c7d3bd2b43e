"""`parkplan plan` on both stores: what it plans it can book."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from xml.etree import ElementTree

from layers.store import open_store
from tests.counties import GOOD, fill_county, found_county
from tests.said import Run
from tests.stores import Stores

SCENARIO = "weights: {land_m2: 1}\nstart_years: [2026]\n"


def test_two_scenarios_are_laid_side_by_side_and_drawn(run: Run, tmp_path: Path) -> None:
    found_county(tmp_path / "small.gpkg").close()
    (tmp_path / "s.yaml").write_text(SCENARIO + "spare: [area_m2]\n", encoding="utf-8")
    first = run("plan", tmp_path / "small.gpkg", "--scenario", tmp_path / "s.yaml", "--out", tmp_path / "one")
    assert first.code == 0, first.err
    plan = json.loads((tmp_path / "one" / "plan.json").read_text(encoding="utf-8"))
    assert [(one["value"], one["spent"]["area_m2"]) for one in plan["front"]] == [(8000.0, 10000.0), (0.0, 0.0)]
    for name in ("pools.svg", "front.svg"):
        drawn = ElementTree.parse(tmp_path / "one" / name)
        assert drawn.getroot().tag.endswith("svg")
    assert "quota/520625" not in (tmp_path / "one" / "front.svg").read_text(encoding="utf-8")
    assert "落地 1 项" in (tmp_path / "one" / "map.html").read_text(encoding="utf-8")
    stands = plan["assignments"][0]["site"]["name"]
    other = next(name for name in (GOOD, "520625001001GB00003") if name != stands)
    (tmp_path / "t.yaml").write_text(SCENARIO + f"locks: {{TEA: '{other}'}}\n", encoding="utf-8")
    asked = ("plan", tmp_path / "small.gpkg", "--scenario", tmp_path / "t.yaml", "--compare", tmp_path / "one")
    said = run(*asked).out
    assert f"TEA: {stands} 2026（8,000.0） → {other} 2026（8,000.0）" in said
    assert run(*asked, "--json").json["compared"]["moved"][0]["project"] == "TEA"
    assert run(*asked[:-1], tmp_path / "nowhere").code == 3


def test_the_command_books_what_it_planned(run: Run, stores: Stores, tmp_path: Path) -> None:
    with contextlib.closing(stores.new()) as store:
        fill_county(store)
        name = stores.name(store)
    (tmp_path / "s.yaml").write_text(SCENARIO, encoding="utf-8")
    asked = ("plan", name, "--scenario", tmp_path / "s.yaml")
    assert "--adopt" in run(*asked).out
    said = run(*asked, "--adopt", "--json")
    assert said.code == 0, said.err
    (one,) = said.json["adopted"]["reservations"]
    assert (one["state"], one["project"], one["created_by"]) == ("reserved", "TEA", "operator")
    with contextlib.closing(open_store(name)) as store:
        kept = store.ledger.reservation(one["id"]).plan
        assert kept is not None
        assert kept["id"] == said.json["id"]
        assert store.load("plan", said.json["id"])["status"] == "done"
    other = run(*asked, "--adopt")  # the project stands there already
    assert other.code == 3
    assert f"held by reservation {one['id']}" in other.err
