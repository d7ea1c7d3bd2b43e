"""What only books in a database can do wrong: statements that fail among others, connections that drop, neighbours."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count

import psycopg
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers import postgis
from layers.errors import BadInput, Busy, GroundTaken, ParkError, QuotaShort, StoreBroken
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.keeping import Key
from layers.ledger.records import account
from layers.ledger.verify import verify
from layers.records import Areas
from tests.layers.files import county
from tests.layers.ledger.books import PAPER, QUOTA, ask, claim, held, opened, order, plot, reserve, turn

pytestmark = pytest.mark.needs("postgis")
GROWING = ("entries", "postings", "grounds", "answers")


@pytest.fixture
def store(databases):
    store = databases.new()
    opened(store.ledger)
    yield store
    store.close()


@pytest.fixture
def ledger(store):
    yield store.ledger
    found = verify(store.ledger)
    assert found.whole, found


def together(ledger, *jobs):
    """Requests that share a transaction: what each came to, an error among them."""
    gate, entered = threading.Event(), threading.Event()

    def block(page):
        entered.set()
        gate.wait()

    def outcome(work):
        try:
            return ledger.run(work)
        except ParkError as error:
            return error

    with ThreadPoolExecutor(len(jobs) + 1) as pool:
        pool.submit(ledger.run, block)
        entered.wait()
        waiting = []
        for n, job in enumerate(jobs):  # in this order
            waiting.append(pool.submit(outcome, job))
            while ledger._writer._jobs.qsize() <= n:
                pass
        gate.set()
        return [one.result() for one in waiting]


# --- one transaction, many requests -----------------------------------------------------------------------


def test_requests_of_one_transaction_see_what_the_ones_before_took_and_let_go(ledger):
    first = reserve(ledger, plot(9))
    found = together(
        ledger,
        lambda page: acts.reserve(page, ask(plot(0))),
        lambda page: acts.reserve(page, ask(plot(0))),
        lambda page: acts.turn(page, acts.Turn(first.id, "release", "planner")),
        lambda page: acts.reserve(page, ask(plot(9), claim(900))),
        lambda page: acts.reserve(page, ask(plot(1), claim(1))),
    )
    assert isinstance(found[1], GroundTaken)
    assert [found[n].state for n in (0, 2, 3)] == ["reserved", "released", "reserved"]
    assert isinstance(found[4], QuotaShort)
    assert held(ledger) == (0, 1_000, 0, 0)


def test_a_request_that_fails_after_it_has_read_its_own_writing_leaves_nothing(ledger):
    grant = acts.Order(Change("grant", account(QUOTA), Areas(50)), PAPER, "r")

    def halfway(page):
        seq = acts.order(page, grant).seq
        acts.reverse(page, seq, PAPER, "r")  # reads the entry that was just made
        acts.reserve(page, ask(plot(5), claim(10)))
        acts.reserve(page, ask(plot(5), claim(10)))

    def through(page):
        return acts.reverse(page, acts.order(page, grant).seq, PAPER, "r").seq

    found = together(
        ledger,
        lambda page: acts.reserve(page, ask(plot(0))),
        halfway,
        lambda page: acts.reserve(page, ask(plot(5), claim(10))),
        through,
    )
    assert isinstance(found[1], GroundTaken)
    assert (found[0].state, found[2].state) == ("reserved", "reserved")
    assert held(ledger) == (890, 110, 0, 0)
    assert [one.draft.event for one in ledger.entries(after=2)] == ["reserve", "reserve", "grant", "reverse"]
    assert ledger.last() == found[3]


@pytest.mark.parametrize("when", ["at once", "at the end"])
def test_one_request_that_the_database_refuses_does_not_take_the_others_with_it(ledger, when):
    key = Key("p", "k", "r")
    ledger.once(key, lambda page: "done")

    def refused(page):
        acts.reserve(page, ask(plot(7)))
        if when == "at once":
            page._ask("SELECT 1 / 0", ())
        page.answer(key, "again")  # the key is taken, which shows when it is sent

    found = together(
        ledger,
        lambda page: acts.reserve(page, ask(plot(0))),
        refused,
        lambda page: acts.reserve(page, ask(plot(1))),
    )
    assert (found[0].state, found[2].state) == ("reserved", "reserved")
    assert isinstance(found[1], StoreBroken)
    assert held(ledger) == (800, 200, 0, 0)
    assert len(ledger.holds()) == 2


def test_a_text_that_postgresql_cannot_hold_is_refused_before_anything_is_written(ledger):
    with pytest.raises(BadInput, match="PostgreSQL cannot hold"):
        reserve(ledger, plot(0), project="a\0b")
    assert held(ledger) == (1_000, 0, 0, 0)


# --- the tables keep themselves -----------------------------------------------------------------------------


@pytest.mark.parametrize("table", GROWING)
@pytest.mark.parametrize("act", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_journal_only_grows(databases, store, table, act):
    column = {"entries": "actor = 'me'", "postings": "amount = 1", "grounds": "wkb = ''", "answers": "answer = ''"}
    name = f"parkplan_ledger_{table}"
    with pytest.raises(psycopg.Error, match="the ledger only grows"):
        databases.sql(store, act.replace("{}", name, 1).format(column[table]))


@pytest.mark.parametrize("change", ["available = -1", "available = available + 1", "granted = granted + 1"])
def test_a_balance_below_zero_or_out_of_nothing_cannot_be_kept(databases, store, change):
    with pytest.raises(psycopg.errors.CheckViolation):
        databases.sql(store, f"UPDATE parkplan_ledger_balances SET {change}")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE parkplan_ledger_balances SET available = available + 1, granted = granted + 1", "balance"),
        ("DELETE FROM parkplan_ledger_reservations", "reservation"),
        ("UPDATE parkplan_ledger_holds SET freed = 9", "ground"),
        ("UPDATE parkplan_ledger_holds SET bounds = box(point(0, 0), point(1, 1)) + point(9e15, 0)", "ground"),
        ("UPDATE parkplan_ledger_grounds SET wkb = wkb || 'x'", "ground"),
        ("UPDATE parkplan_ledger_entries SET note = note || ' ' WHERE seq = 2", "chain"),
        ("UPDATE parkplan_ledger_postings SET amount = amount + 1 WHERE seq = 2", "chain"),
        ("DELETE FROM parkplan_ledger_entries WHERE seq = 2", "chain"),
    ],
)
def test_what_was_altered_past_the_triggers_is_found(databases, store, sql, what):
    turn(store.ledger, reserve(store.ledger, plot(0), claim(10, kva=5)), "apply", "planner")
    past = [f"ALTER TABLE parkplan_ledger_{table} DISABLE TRIGGER USER" for table in GROWING]
    databases.sql(store, *past, sql)
    assert verify(store.ledger).what == what


def test_a_step_back_is_refused_where_anything_was_entered_and_taken_where_nothing_was(databases, store):
    name = databases.name(store)
    with pytest.raises(BadInput, match="2 entries of the ledger would be lost"):
        postgis.migrate(name, "0002")
    before = [one.hash for one in store.ledger.journal()]
    assert postgis.migrate(name) == ("0004", "0004")
    assert [one.hash for one in store.ledger.journal()] == before
    empty = databases.new()
    empty.close()
    name = databases.name(empty)
    assert postgis.migrate(name, "0002") == ("0004", "0002")
    assert (
        databases.sql(
            empty,
            f"SELECT 1 FROM pg_tables WHERE schemaname = '{empty.place.schema}' AND tablename LIKE 'parkplan_ledger%'",
        )
        == []
    )
    assert postgis.migrate(name) == ("0002", "0004")
    with contextlib.closing(databases.again(empty)) as again:
        assert held(opened(again.ledger)) == (1_000, 0, 0, 0)


# --- the same books in both stores --------------------------------------------------------------------------


def test_the_same_acts_make_the_same_chain_byte_for_byte(databases, tmp_path, monkeypatch):
    heads, journals = [], []
    for store in (county(tmp_path / "file"), databases.new()):
        number = count()
        monkeypatch.setattr(acts, "new_id", lambda number=number: f"R{next(number):03d}")
        ledger = store.ledger
        ledger.clock = lambda: datetime(2026, 3, 1, tzinfo=UTC)
        opened(ledger)
        one = reserve(ledger, plot(0), claim(100, 60, 30, kva=40), project='项目 "甲" \\ é')
        turn(ledger, one, "apply", "planner")
        turn(ledger, one, "approve", approved=Areas(90, 50, 20))
        reserve(ledger, plot(1), claim(5), project=None, batch="批次一")
        order(ledger, "recall", QUOTA, Areas(7))
        ledger.once(Key("a", "k", "r"), lambda page: acts.reserve(page, ask(plot(2), claim(1))).id)
        heads.append(verify(ledger).head)
        journals.append(list(ledger.journal()))
        store.close()
    assert journals[0] == journals[1]
    assert heads[0] == heads[1]


coordinate = st.floats(-50, 50, allow_nan=False).map(lambda value: round(value, 3))
piece = st.one_of(
    st.builds(lambda x, y, w, h: shapely.box(x, y, x + w + 0.5, y + h + 0.5), coordinate, coordinate,
              st.floats(0, 30), st.floats(0, 30)),
    st.lists(st.tuples(coordinate, coordinate), min_size=4, max_size=8).map(
        lambda xy: shapely.MultiPoint(xy).convex_hull.buffer(1.0)
    ),
    st.builds(plot, st.integers(0, 6)),
)  # fmt: skip


@pytest.mark.slow
def test_ground_is_free_or_taken_alike_in_both_stores(databases, tmp_path):
    @settings(max_examples=15, deadline=None)
    @given(st.lists(piece, min_size=2, max_size=12))
    def alike(pieces):
        said = []
        for store in (county(tmp_path / f"file{next(number)}"), databases.new()):
            opened(store.ledger)
            outcomes = []
            for ground in pieces:
                try:
                    reserve(store.ledger, ground, claim(1))
                    outcomes.append(None)
                except GroundTaken as error:
                    outcomes.append(error.facts["overlap_m2"])
            said.append(outcomes)
            assert verify(store.ledger).whole
            store.close()
        assert said[0] == said[1]

    number = count()
    alike()


# --- neighbours, and connections that drop --------------------------------------------------------------------


def test_two_services_on_one_county_wait_for_each_other_and_nobody_starves(databases, store):
    with contextlib.closing(databases.again(store)) as other:
        done = {0: 0, 1: 0}

        def work(who):
            ledger = (store, other)[who].ledger
            for n in range(40):
                reserve(ledger, plot(100 * who + n), claim(1))
                done[who] += 1

        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(work, 0), pool.submit(work, 1)]:
                future.result()
        assert done == {0: 40, 1: 40}
        assert held(store.ledger) == held(other.ledger) == (920, 80, 0, 0)
    assert verify(store.ledger).whole


def test_who_waits_too_long_for_the_books_is_told_to_come_again(databases, store, monkeypatch):
    monkeypatch.setattr("layers.postgres.LOCK_S", 0.1)
    with contextlib.closing(databases.again(store)) as waiting, store.tables.transaction():
        store.tables.alone("ledger")
        with pytest.raises(Busy, match="is being written by somebody else"):
            reserve(waiting.ledger, plot(0))
    assert reserve(store.ledger, plot(0)).state == "reserved"


def test_dropped_connections_lose_nothing_that_was_answered(databases, store):
    """A connection is ended every few milliseconds while clients repeat with their keys."""
    stop = threading.Event()

    def drop():
        with contextlib.closing(psycopg.connect(databases.url, autocommit=True)) as admin:
            while not stop.wait(0.02):
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    def insist(n):
        for _ in range(200):
            try:
                return store.ledger.once(Key("p", f"k{n}", "r"), lambda page: acts.reserve(page, ask(plot(n))).id)
            except StoreBroken:
                continue
            except Busy:
                continue
        raise AssertionError("never answered")

    dropper = threading.Thread(target=drop)
    dropper.start()
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(insist, range(10)))
    stop.set()
    dropper.join()
    assert len(set(ids)) == 10
    assert {one.id for one in store.ledger.reservations()} == set(ids)
    assert held(store.ledger) == (0, 1_000, 0, 0)
    assert verify(store.ledger).whole
