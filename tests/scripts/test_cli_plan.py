"""`parkplan plan` on both stores: what it plans it can book."""

from __future__ import annotations

import contextlib
from pathlib import Path

from layers.store import open_store
from tests.counties import fill_county
from tests.said import Run
from tests.stores import Stores

SCENARIO = "weights: {land_m2: 1}\nstart_years: [2026]\n"


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
        assert store.ledger.reservation(one["id"]).plan["id"] == said.json["id"]
        assert store.load("plan", said.json["id"])["status"] == "done"
    other = run(*asked, "--adopt")  # the project stands there already
    assert other.code == 3
    assert f"held by reservation {one['id']}" in other.err
