"""The books of a county file under attack, in short; `python -m scripts.bench.ledger_faults` is the long form."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from time import sleep

import apsw
import pytest

from layers import sqlite_tables
from layers.errors import NoRoom
from layers.ledger import acts
from layers.ledger.records import Reservation
from layers.ledger.sqlite import SqliteLedger
from layers.ledger.verify import verify
from scripts.bench.ledger_faults import asked, founded, killed, many, tampered, told
from tests.layers.ledger.books import PAPER, claim, file_books, opened, plot, reserve, turn


def fresh(stores):
    """The URL of a county that is not there yet; nothing for one in a file."""
    return stores.fresh() if stores.kind == "postgis" else ""


def test_every_altered_value_of_the_journal_is_found(tmp_path):
    found = tampered(tmp_path, 200)
    assert found.done == 200
    assert found.faults == []


@pytest.mark.slow
def test_several_processes_never_promise_too_much_nor_the_same_ground_twice(stores, tmp_path):
    found = many(tmp_path, 3, 900, fresh(stores))
    assert found.faults == []
    assert found.done > 100
    assert {"GroundTaken", "QuotaShort", "CapacityShort", "IllegalTransition"} <= found.refusals.keys()


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_kill_and_nothing_by_halves(stores, tmp_path):
    found = killed(tmp_path, 6, 1, fresh(stores))
    assert found.faults == []
    assert found.done > 50


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE parkplan_ledger_balances SET available = available + 1, granted = granted + 1", "balance"),
        ("DELETE FROM parkplan_ledger_balances", "balance"),
        ("UPDATE parkplan_ledger_reservations SET state = 'approved'", "reservation"),
        ("UPDATE parkplan_ledger_reservations SET body = '{}'", "kept"),
        ("DELETE FROM parkplan_ledger_reservations", "reservation"),
        ("UPDATE parkplan_ledger_holds SET freed = 9", "ground"),
        ("DELETE FROM parkplan_ledger_holds", "ground"),
        ("DELETE FROM parkplan_ledger_grounds", "ground"),
        ("DELETE FROM rtree_parkplan_ledger_boxes", "ground"),
        ("DELETE FROM parkplan_ledger_entries WHERE seq = 2", "chain"),
        ("DELETE FROM parkplan_ledger_postings WHERE seq = 2", "chain"),
    ],
)
def test_what_is_kept_beside_the_journal_is_proven_by_it(tmp_path, sql, what):
    ledger = opened(file_books(tmp_path))
    one = reserve(ledger, plot(0), claim(10, kva=5))
    turn(ledger, one, "apply", "planner")
    ledger.close()
    path = tmp_path / "county.gpkg"
    db = apsw.Connection(str(path))
    with pytest.raises(apsw.ConstraintError, match="only grows"):
        db.execute("UPDATE parkplan_ledger_entries SET actor = 'me'")
    with pytest.raises(apsw.ConstraintError, match="only grows"):
        db.execute("INSERT OR REPLACE INTO parkplan_ledger_entries SELECT * FROM parkplan_ledger_entries")
    for (name,) in list(db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%ledger%'")):
        db.execute(f"DROP TRIGGER {name}")
    db.execute(sql)
    db.close()
    again = SqliteLedger(path, told)
    found = verify(again)
    again.close()
    assert not found.whole
    assert found.what == what, found


def test_a_full_disk_gives_up_the_whole_transaction_and_leaves_nothing_by_halves(tmp_path):
    ledger = SqliteLedger(Path(founded(tmp_path)), partial(sqlite_tables.told, tmp_path / "county.gpkg"))
    made = ledger.run(lambda page: acts.reserve(page, asked(1, "p")))
    db = apsw.Connection(str(tmp_path / "county.gpkg"))
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.close()
    assert ledger._pen is not None
    ledger._pen.execute(f"PRAGMA max_page_count={pages + 1}")
    ledger._pen.execute("PRAGMA cache_size=1; PRAGMA cache_spill=1")
    long = "x" * 200_000

    def noted(n: int) -> Reservation:
        return ledger.run(lambda page: acts.reserve(page, replace(asked(n, "p"), record={"id": "P", "note": long})))

    with ThreadPoolExecutor(8) as pool:
        outcomes = [one.exception() for one in [pool.submit(noted, n) for n in range(2, 20)]]
    assert any(isinstance(one, NoRoom) for one in outcomes)
    there = {one.id for one in ledger.reservations()}
    assert len(there) == 1 + sum(one is None for one in outcomes)
    assert made.id in there
    ledger._pen.execute("PRAGMA max_page_count=1000000")
    ledger.run(lambda page: acts.reserve(page, asked(30, "p")))
    assert verify(ledger).whole
    ledger.close()


def test_where_sqlite_gives_up_the_transaction_of_many_each_is_done_alone(tmp_path):
    ledger = SqliteLedger(Path(founded(tmp_path)), partial(sqlite_tables.told, tmp_path / "county.gpkg"))
    started, go = Event(), Event()

    def slow(page):
        started.set()
        go.wait(30)

    def lost(page):
        acts.reserve(page, asked(2, "p"))
        page._db.execute("ROLLBACK")  # as SQLite does by itself on some faults of the disk
        raise apsw.FullError

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ledger.run, slow)
        started.wait(30)
        others = [pool.submit(ledger.run, lost)]
        others += [pool.submit(ledger.run, partial(acts.reserve, asked=asked(n, "p"))) for n in (3, 4)]
        while ledger._writer._jobs.qsize() < 3:
            sleep(0.01)
        go.set()
    assert first.exception() is None
    assert isinstance(others[0].exception(), NoRoom)
    assert {one.project for one in ledger.reservations()} == {"P3", "P4"}
    assert verify(ledger).whole
    ledger.close()


def test_a_balance_below_zero_cannot_be_kept(tmp_path):
    path = founded(tmp_path)
    db = apsw.Connection(str(path))
    with pytest.raises(apsw.ConstraintError, match="CHECK"):
        db.execute("UPDATE parkplan_ledger_balances SET available = -1")
    with pytest.raises(apsw.ConstraintError, match="CHECK"):
        db.execute("UPDATE parkplan_ledger_balances SET available = available + 1")
    db.close()
    assert PAPER.number
