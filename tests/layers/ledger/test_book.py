"""How the books are kept, counted by hand and against a slow search."""

from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers.errors import BadInput, CapacityShort, IllegalTransition, QuotaShort
from layers.ledger import book, chain
from layers.ledger.book import Change, changed, draw, shared, take, written_off
from layers.ledger.records import Balance, Charge, Draft, Paper, Posting, account
from layers.ledger.states import ENDS, LIVE, STEPS, legal, step
from layers.records import Areas, Claim, Load

NEW, OLD = "quota/U/2026/new_construction", "quota/U/2025/new_construction@2026"


class Books:
    """Balances by name, each available only."""

    def __init__(self, **available):
        self.all = {name: Balance(name, granted=left, available=left) for name, left in available.items()}

    def balance(self, name):
        return self.all.get(name)

    def of_holder(self, holder):
        return [one for name, one in self.all.items() if account(name).holder == holder]


def tuples(largest=4):
    ints = st.integers(0, largest)
    return st.tuples(ints, ints, ints, ints).map(lambda t: tuple(sorted(t, reverse=True)))


def test_a_posting_moves_and_what_came_in_is_what_is_held():
    one = book.fold([Posting(NEW, "granted", "available", 10), Posting(NEW, "available", "reserved", 4)])[NEW]
    assert (one.granted, one.available, one.reserved) == (10, 6, 4)
    assert one.holds
    with pytest.raises(QuotaShort) as short:
        book.moved(one, Posting(NEW, "available", "recalled", 7))
    assert short.value.facts == {"account": NEW, "needed": 7, "available": 6, "unit": "m2"}


@given(tuples(6), st.lists(tuples(4), min_size=1, max_size=3))
def test_drawing_takes_all_there_is_and_every_part_nests(wanted, lots):
    taken, rest = draw(wanted, lots)
    for part, lot in zip(taken, lots, strict=True):
        assert list(part) == sorted(part, reverse=True)
        assert all(a <= b for a, b in zip(part, lot, strict=True))
    assert tuple(sum(column) for column in zip(*taken, strict=True)) == tuple(
        w - r for w, r in zip(wanted, rest, strict=True)
    )
    assert (not any(rest)) == possible(wanted, lots)


def possible(wanted, lots):
    """Whether some nested parts of the lots come to what is wanted, by trying all of them."""
    reached = {(0, 0, 0, 0)}
    for lot in lots:
        parts = [p for p in product(*(range(n + 1) for n in lot)) if list(p) == sorted(p, reverse=True)]
        reached = {tuple(map(sum, zip(a, b, strict=True))) for a in reached for b in parts}
    return tuple(wanted) in reached


@given(tuples(1_000), st.lists(st.floats(0.001, 1), min_size=1, max_size=5))
def test_a_tuple_shared_out_nests_and_comes_to_the_whole(wanted, weights):
    parts = shared(Areas(*wanted), [(str(n), weight) for n, weight in enumerate(weights)])
    assert [sum(dict(part.items())[kind] for _, part in parts) for kind, _ in Areas().items()] == list(wanted)


def test_the_oldest_quota_goes_first_and_its_farmland_with_it():
    old_farm, new_farm = (
        OLD.replace("new_construction", "agricultural"),
        NEW.replace("new_construction", "agricultural"),
    )
    books = Books(**{NEW: 100, new_farm: 100, OLD: 30, old_farm: 10})
    taken = take(Claim(Areas(50, 20), (("U", 1.0),)), 2026, books).charges
    assert set(taken) == {Charge(OLD, 30), Charge(old_farm, 10), Charge(NEW, 20), Charge(new_farm, 10)}
    with pytest.raises(QuotaShort):
        take(Claim(Areas(50), (("U", 1.0),)), 2027, books)


def test_farmland_nobody_granted_is_not_there():
    with pytest.raises(QuotaShort) as short:
        take(Claim(Areas(10, 10), (("U", 1.0),)), 2026, Books(**{NEW: 100}))
    assert short.value.facts["account"] == "quota/U/2026/agricultural"
    assert short.value.facts["available"] == 0


def test_a_load_takes_the_nearest_that_has_enough_and_all_upstream():
    near, far, top = (f"capacity/{name}/power_kva" for name in ("near", "far", "top"))
    routes = ((near, top), (far, top))
    books = Books(**{near: 50, far: 500, top: 60})
    assert take(Claim(loads=(Load("power_kva", 50, routes),)), 2026, books).charges == (
        Charge(near, 50),
        Charge(top, 50),
    )
    assert take(Claim(loads=(Load("power_kva", 55, routes),)), 2026, books).charges == (
        Charge(far, 55),
        Charge(top, 55),
    )
    with pytest.raises(CapacityShort) as short:
        take(Claim(loads=(Load("power_kva", 61, routes),)), 2026, books)
    assert short.value.facts == {"account": near, "needed": 61, "available": 50, "unit": "kva"}


def test_what_was_approved_is_written_off_and_the_rest_is_free():
    power, made_good = "capacity/S/power_kva", "quota/U/2024/balance_area"
    charges = [Charge(OLD, 30), Charge(NEW, 20), Charge(power, 5), Charge(made_good, 8)]
    moved = {(one.account, one.credit): one.amount for one in written_off(charges, Areas(35))}
    assert moved == {
        (OLD, "spent"): 30,
        (NEW, "spent"): 5,
        (NEW, "available"): 15,
        (power, "spent"): 5,
        (made_good, "available"): 8,  # no cultivated ground was approved
    }
    with pytest.raises(BadInput, match="more was approved"):
        written_off(charges, Areas(51))


def test_a_transfer_leaves_one_account_and_comes_to_another():
    postings = changed(Change("allot", account(NEW), Areas(10, 5), to="V"))
    assert [(one.account, one.debit, one.credit, one.amount) for one in postings] == [
        (NEW, "available", "transferred_out", 10),
        ("quota/V/2026/new_construction", "transferred_in", "available", 10),
        ("quota/U/2026/agricultural", "available", "transferred_out", 5),
        ("quota/V/2026/agricultural", "transferred_in", "available", 5),
    ]


@pytest.mark.parametrize(
    ("year", "to_year", "good"), [(2025, 2026, 1), (2025, 2028, 1), (2025, 2029, 0), (2025, 2025, 0)]
)
def test_quota_is_carried_for_three_years_at_most(year, to_year, good):
    change = Change("carry_over", account(f"quota/U/{year}/new_construction"), Areas(1), to_year=to_year)
    if good:
        assert changed(change)[1].account == f"quota/U/{year}/new_construction@{to_year}"
        again = Change("carry_over", account(changed(change)[1].account), Areas(1), to_year=to_year + 1)
        assert (to_year + 1 <= 2028) == (not book._faults(again))
    else:
        with pytest.raises(BadInput):
            changed(change)


@pytest.mark.parametrize("areas", [(1, 2), (5, 4, 5), (5, 4, 3, 4), (-1,)])
def test_areas_that_do_not_nest_are_none(areas):
    with pytest.raises(BadInput, match="do not nest"):
        Areas(*areas)


@pytest.mark.parametrize(
    "name", ["quota/U/26/linked", "quota/U/2026/ha", "capacity/S/m2", "quota/U/2026/linked@2026", "x"]
)
def test_a_name_that_is_no_account_is_refused(name):
    with pytest.raises(BadInput, match="is no account"):
        account(name)


def test_every_state_can_be_reached_and_ends_are_ends():
    reached = {step_.to for step_ in STEPS.values()}
    assert reached == {"intended", *LIVE, *ENDS}
    assert all(not legal(end) for end in ENDS)
    with pytest.raises(IllegalTransition) as refused:
        step("applied", "supply")
    assert refused.value.facts["legal"] == "return, approve, reject, withdraw"


def test_the_chain_names_the_first_entry_that_does_not_hold():
    drafts = [
        Draft("a", "grant", (Posting(NEW, "granted", "available", n),), Paper("1", date(2026, 1, 1))) for n in (1, 2, 3)
    ]
    kept, previous = [], chain.FIRST
    for seq, draft in enumerate(drafts, start=1):
        kept.append(chain.stored(seq, "t", draft, previous))
        previous = kept[-1].hash
    assert chain.broken(kept) is None
    assert chain.entry(kept[0]).draft == drafts[0]
    assert chain.broken(kept[:2] + kept[:0], (3, previous)) == (3, "the journal ends at entry 2, its head says 3")
    assert chain.broken([kept[0], kept[2]])[0] == 2
    assert chain.broken([kept[1]])[0] == 1
