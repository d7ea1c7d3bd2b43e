"""What every store of the books does: durable, one winner, nothing by halves. The same tests for each of them."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from layers.errors import (
    BadInput,
    CapacityShort,
    GroundTaken,
    IllegalTransition,
    KeyReused,
    ParkError,
    QuotaShort,
    Refused,
    Stale,
    StoreBroken,
    UnknownName,
)
from layers.ledger import acts
from layers.ledger.keeping import Key
from layers.ledger.placed import layer, snapshot
from layers.ledger.records import Posting
from layers.ledger.states import LIVE, STEPS
from layers.ledger.verify import verify
from layers.records import Areas
from tests.layers.ledger.books import POWER, QUOTA, ask, claim, held, opened, order, plot, reserve, turn


@pytest.fixture
def store(stores):
    store = stores.new()
    yield store
    store.close()


@pytest.fixture
def ledger(store):
    ledger = opened(store.ledger)
    yield ledger
    found = verify(ledger)
    assert found.whole, found


def test_a_whole_life(ledger):
    one = reserve(ledger, plot(0), claim(100, 60, 30, kva=40))
    assert held(ledger) == (900, 100, 0, 0)
    assert held(ledger, POWER) == (60, 40, 0, 0)
    turn(ledger, one, "apply", "planner")
    back = turn(ledger, one, "return")
    assert back.expires_at is not None
    turn(ledger, one, "apply", "planner")
    turn(ledger, one, "approve", approved=Areas(80, 50, 30))
    assert held(ledger) == (920, 0, 0, 80)
    deal = {"mode": "grant", "contract": "1", "winner": "W"}
    half = turn(ledger, one, "supply", supply={**deal, "area_m2": 50})
    assert half.supplied_m2 == 50
    assert turn(ledger, one, "supply", supply=deal).supplied_m2 == 100  # all that is left
    turn(ledger, one, "commission")
    assert held(ledger, POWER) == (60, 0, 0, 0)  # the survey has the load now
    assert held(ledger) == (920, 0, 0, 80)
    turn(ledger, one, "release")
    reserve(ledger, plot(0))


def test_ground_is_held_once_and_neighbours_share_an_edge(ledger):
    one = reserve(ledger, plot(1))
    reserve(ledger, plot(0))
    reserve(ledger, plot(2))
    before = ledger.last()
    with pytest.raises(GroundTaken) as taken:
        reserve(ledger, shapely.box(15, 9, 17, 11), claim())
    assert taken.value.facts["reservation"] == one.id
    assert ledger.last() == before
    reserve(ledger, shapely.box(15, 9.95, 25, 12), claim())  # 0.5 m2 on each: a sliver
    with pytest.raises(GroundTaken):
        reserve(ledger, shapely.MultiPolygon([plot(50), shapely.box(12, 2, 14, 4)]), claim())


def test_what_is_short_takes_nothing(ledger):
    with pytest.raises(QuotaShort):
        reserve(ledger, plot(0), claim(1_001, kva=1))
    with pytest.raises(QuotaShort):
        reserve(ledger, plot(0), claim(700, 601))
    with pytest.raises(CapacityShort):
        reserve(ledger, plot(0), claim(100, kva=101))
    assert held(ledger) == (1_000, 0, 0, 0)
    assert ledger.holds() == []


def test_lowering_below_what_is_used_is_refused(ledger):
    reserve(ledger, plot(0), claim(400))
    with pytest.raises(QuotaShort):
        order(ledger, "recall", QUOTA, Areas(601))
    with pytest.raises(QuotaShort):
        order(ledger, "allot", QUOTA, Areas(601), to="520625-A")
    order(ledger, "recall", QUOTA, Areas(600))
    assert held(ledger) == (0, 400, 0, 0)


def test_a_reversal_that_would_go_below_zero_is_refused(ledger):
    order(ledger, "grant", QUOTA, Areas(50))
    seq = ledger.last()
    reserve(ledger, plot(0), claim(1_050))
    with pytest.raises(QuotaShort):
        ledger.run(lambda page: acts.reverse(page, seq, acts.Paper("x", datetime.now(UTC).date()), "reviewer"))


def test_one_key_one_effect_the_same_answer_for_ever(ledger):
    def once(key, request, ground):
        return ledger.once(Key("p", key, request), lambda page: acts.reserve(page, ask(ground)).id)

    first = once("k", "a", plot(0))
    assert once("k", "a", plot(0)) == first == ledger.answered(Key("p", "k", "a"))
    with pytest.raises(KeyReused):
        once("k", "b", plot(1))
    assert ledger.once(Key("q", "k", "b"), lambda page: "another's") == "another's"  # a key is its actor's own
    with pytest.raises(GroundTaken) as refused:
        once("l", "a", plot(0))
    turn(ledger, ledger.reservation(first), "release", "p")
    with pytest.raises(GroundTaken) as again:
        once("l", "a", plot(0))
    assert again.value.facts == refused.value.facts
    with pytest.raises(BadInput):  # what was asked wrongly may be asked rightly
        ledger.once(Key("p", "m", "a"), lambda page: acts.reserve(page, ask(plot(0), project=None)).id)
    assert once("m", "b", plot(0))
    assert len(ledger.reservations(LIVE)) == 1


def test_what_was_seen_must_still_be_so(ledger):
    one = reserve(ledger, plot(0))
    turn(ledger, one, "apply", "planner", seen=one.version)
    with pytest.raises(Stale):
        turn(ledger, one, "withdraw", "planner", seen=one.version)
    with pytest.raises(UnknownName):
        ledger.reservation("R0")


@pytest.mark.parametrize("event", ["approve", "reject", "return"])
def test_nobody_decides_on_their_own_request(ledger, event):
    one = reserve(ledger, plot(0), by="a")
    turn(ledger, one, "apply", "b")
    for own in ("a", "b"):
        with pytest.raises(Refused):
            turn(ledger, one, event, own)
    turn(ledger, one, event, "c")


def test_only_what_is_reserved_expires(ledger):
    held_, applied = reserve(ledger, plot(0)), reserve(ledger, plot(1))
    turn(ledger, applied, "apply", "planner")
    now = datetime.now(UTC)
    ledger.clock = lambda: now + timedelta(days=1_000)
    assert held(ledger) == (900, 0, 100, 0)
    assert ledger.reservation(held_.id).state == "expired"
    assert ledger.reservation(applied.id).state == "applied"
    assert [one.reservation.id for one in ledger.holds()] == [applied.id]
    assert ledger.entries()[-1].draft.actor == "system"


def test_many_that_are_due_expire_together_and_before_anybody_reads(ledger):
    made = [reserve(ledger, plot(n), claim()) for n in range(250)]  # more than expire in one transaction
    now = datetime.now(UTC)
    ledger.clock = lambda: now + timedelta(days=181)
    assert ledger.holds() == []
    assert {one.state for one in ledger.reservations()} == {"expired"}
    assert len(ledger.reservations()) == len(made)


def test_the_books_of_an_earlier_entry_are_still_there(ledger):
    one = reserve(ledger, plot(0), claim(100))
    then = ledger.last()
    turn(ledger, one, "release", "planner")
    (old,) = [balance for balance in ledger.balances(until=then) if balance.account == QUOTA]
    assert (old.available, old.reserved) == (900, 100)
    was = snapshot(ledger, layer(ledger, then))
    assert was.features["id"].tolist() == [one.id]
    assert len(snapshot(ledger, layer(ledger)).pieces) == 0


def test_a_clock_that_is_set_back_does_not_go_back_in_the_books(ledger):
    reserve(ledger, plot(0))
    ledger.clock = lambda: datetime(2001, 1, 1, tzinfo=UTC)
    reserve(ledger, plot(1))
    times = [entry.at for entry in ledger.entries()]
    assert times == sorted(times)


def test_many_at_once_have_one_winner_for_each_plot_and_never_too_much(ledger):
    won, lost = [], []

    def run(seed):
        for n in range(12):
            try:
                won.append(reserve(ledger, plot((n * 5 + seed) % 12), claim(100), by=f"p{seed}"))
            except ParkError as error:
                lost.append(type(error))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 10  # as much as there is quota
    assert held(ledger) == (0, 1_000, 0, 0)
    assert len({one.ground for one in won}) == 10
    assert set(lost) == {GroundTaken, QuotaShort}


def test_one_request_that_fails_does_not_take_the_others_with_it(ledger):
    def half(page):
        acts.reserve(page, ask(plot(0)))
        raise ValueError("after the entry was made")

    gate = threading.Event()
    waiting = threading.Thread(target=lambda: ledger.run(lambda page: gate.wait(5)))
    waiting.start()  # the writer waits here, so that the next three share a transaction
    found = []

    def call(work):
        try:
            found.append(ledger.run(work))
        except ValueError as error:
            found.append(error)

    threads = [
        threading.Thread(target=call, args=(work,))
        for work in (half, lambda page: acts.reserve(page, ask(plot(0))), lambda page: acts.reserve(page, ask(plot(1))))
    ]
    for one in threads:
        one.start()
    gate.set()
    for one in [waiting, *threads]:
        one.join()
    assert len(ledger.reservations()) == 2
    assert held(ledger) == (800, 200, 0, 0)


# --- against a tiny model -----------------------------------------------------------------------------


class Model(RuleBasedStateMachine):
    """The books beside a dictionary: every answer and every refusal must be the dictionary's."""

    stores = None

    @initialize()
    def found(self):
        self.store = Model.stores.new()
        self.ledger = opened(self.store.ledger)
        self.free, self.kva = 1_000, 100
        self.live = {}  # id -> [state, plot, new, kva]

    @rule(n=st.integers(0, 5), new=st.integers(0, 500), kva=st.integers(0, 60))
    def reserve(self, n, new, kva):
        taken = any(one[1] == n for one in self.live.values())
        try:
            made = reserve(self.ledger, plot(n), claim(new, kva=kva))
        except GroundTaken:
            assert taken
        except QuotaShort:
            assert not taken
            assert new > self.free
        except CapacityShort:
            assert not taken
            assert new <= self.free
            assert kva > self.kva
        else:
            assert not taken
            self.free, self.kva = self.free - new, self.kva - kva
            self.live[made.id] = ["reserved", n, new, kva]
            assert min(self.free, self.kva) >= 0

    @precondition(lambda self: self.live)
    @rule(data=st.data(), event=st.sampled_from(sorted({event for _, event in STEPS if event != "intend"})))
    def turn(self, data, event):
        key = data.draw(st.sampled_from(sorted(self.live)))
        one = self.live[key]
        more, part = {}, one[2] // 2
        if event == "approve":
            more["approved"] = Areas(part)
        if event == "supply":
            more["supply"] = {"mode": "grant", "contract": "1", "winner": "W", "area_m2": 1}
        if event == "progress":
            more["progress"] = {"1": {}}
        try:
            by = "planner" if event in ("apply", "withdraw") else "reviewer"
            after = turn(self.ledger, self.ledger.reservation(key), event, by, **more)
        except IllegalTransition:
            assert (one[0], event) not in STEPS
            return
        way = STEPS[one[0], event]
        assert after.state == way.to
        if event == "approve":
            self.free += one[2] - part
            one[2] = part
        if event == "commission":
            one[3] = 0
        if way.to not in LIVE:
            was = self.live.pop(key)
            if was[0] != "commissioned":
                self.free, self.kva = self.free + was[2], self.kva + was[3]
        else:
            one[0] = way.to

    @rule(amount=st.integers(1, 400), event=st.sampled_from(["grant", "recall", "advance", "allot"]))
    def order(self, amount, event):
        more = {"to": "520625-A"} if event == "allot" else {}
        try:
            order(self.ledger, event, QUOTA, Areas(amount), **more)
        except QuotaShort:
            assert event in ("recall", "allot")
            assert amount > self.free
        else:
            self.free += amount if event in ("grant", "advance") else -amount

    @invariant()
    def the_same(self):
        if not hasattr(self, "ledger"):
            return
        assert held(self.ledger)[0] == self.free
        assert held(self.ledger, POWER)[0] == self.kva
        assert {one.reservation.id for one in self.ledger.holds()} == set(self.live)

    def teardown(self):
        if hasattr(self, "ledger"):
            found = verify(self.ledger)
            self.store.close()
            assert found.whole, found


@pytest.mark.slow
def test_the_books_are_those_of_a_tiny_model(stores):
    Model.stores = stores
    run_state_machine_as_test(Model, settings=settings(max_examples=25, stateful_step_count=40, deadline=None))


def test_a_posting_that_is_made_by_hand_is_judged_like_any_other(ledger):
    draft = acts.Draft("x", "recall", (Posting(QUOTA, "available", "recalled", 1_001),))
    with pytest.raises(QuotaShort):
        ledger.run(lambda page: page.append(draft))


def test_who_gives_up_before_their_turn_finds_nothing_done_and_the_others_are_answered(ledger):
    begun, go, heard = threading.Event(), threading.Event(), []

    def slow(page):
        begun.set()
        assert go.wait(30)
        return "first"

    def done(text):
        return lambda page: made.append(text) or text

    made = []
    first = ledger.begin(slow, None, heard.append)
    assert begun.wait(30)
    given_up, last = ledger.begin(done("given up"), None, heard.append), ledger.begin(done("last"), None, heard.append)
    assert given_up.cancel()
    go.set()
    assert (first.result(30), last.result(30)) == ("first", "last")
    assert (made, heard) == (["last"], ["first", "last"])


def test_what_cannot_be_put_on_record_is_no_answer_and_the_key_tells_what_became_of_it(ledger):
    def broken(text):
        raise StoreBroken("the log is full")

    key = Key("a", "k", "r")
    with pytest.raises(StoreBroken):
        ledger.begin(lambda page: "done", key, broken).result(30)
    assert ledger.answered(key) == "done"
