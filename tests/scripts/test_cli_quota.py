"""The books from the command line: an entry, the balances, the proof, and what the proof says of a county altered."""

import json

import apsw
import pytest
from typer.testing import CliRunner

from layers.gpkg import create
from layers.ledger.states import LIVE
from scripts.cli import app
from tests.layers.ledger.books import claim, plot, reserve, turn

NEW = "quota/520625/2026/new_construction"
PAPER = ["--document", "黔自然资〔2026〕8号", "--date", "2026-03-01"]


def run(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def county(tmp_path):
    path = tmp_path / "county.gpkg"
    create(path, "县", "EPSG:4545").close()
    made = run("quota", path, "grant", NEW, "--areas", "20000,15000,6000", *PAPER)
    assert made.exit_code == 0, made.output
    assert json.loads(made.output)["entry"]["seq"] == 1
    return path


def test_an_entry_is_made_shown_and_proven(county):
    assert run("quota", county, "allot", NEW, "--areas", "5000", "--to", "520625-NE", *PAPER).exit_code == 0
    shown = json.loads(run("quota", county, "show", "--unit", "520625-NE", "--json").output)["accounts"]
    assert [(one["account"], one["available"]) for one in shown] == [("quota/520625-NE/2026/new_construction", 5_000)]
    assert "15,000" in run("quota", county).output
    assert len(json.loads(run("quota", county, "report", "--json").output)["rows"]) == 4
    assert "下达 grant operator" in run("quota", county, "journal", NEW).output
    proof = run("verify", county)
    assert (proof.exit_code, "2 entries" in proof.output) == (0, True), proof.output


def test_wrong_usage_is_said_and_writes_nothing(county):
    assert run("quota", county, "grant", NEW, "--areas", "1").exit_code == 2  # no document
    assert run("quota", county, "steal", NEW).exit_code == 2
    assert run("quota", county, "grant", NEW, "--areas", "a,b", *PAPER).exit_code == 1
    assert json.loads(run("verify", county, "--json").output)["entries"] == 1


def test_verify_names_what_does_not_hold(county):
    db = apsw.Connection(str(county))
    db.execute("UPDATE parkplan_ledger_balances SET granted = granted + 1, available = available + 1")
    db.close()
    proof = run("verify", county)
    assert proof.exit_code == 1
    assert "another balance" in proof.output
    assert json.loads(run("verify", county, "--json").output)["what"] == "balance"


def test_supply_lists_what_waits_and_what_is_idle(county):
    from layers.gpkg import GeoPackage

    store = GeoPackage(county)
    one = reserve(store.ledger, plot(0), claim(100))
    turn(store.ledger, one, "apply", "planner")
    turn(store.ledger, one, "approve")
    deal = {"mode": "grant", "contract": "HT-7", "winner": "某公司", "area_m2": 60, "agreed_start_on": "2026-06-01"}
    turn(store.ledger, one, "supply", supply=deal)
    assert len(store.ledger.reservations(LIVE)) == 1
    store.close()
    said = run("supply", county, "--on", "2027-07-01").output
    assert "HT-7" in said
    assert "征缴土地闲置费" in said
    found = json.loads(run("supply", county, "--on", "2027-07-01", "--json").output)
    assert (found["approved_unsupplied_m2"], found["idle_m2"]) == (40, 60)
