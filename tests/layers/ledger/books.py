"""Small books for tests: the stores that keep them, and shorthand for what is done to them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import shapely

from layers.gpkg import create
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.keeping import Ledger, open_books
from layers.ledger.records import Paper, Reservation, account
from layers.records import Areas, Claim, Load

PAPER = Paper("试字1号", date(2026, 1, 1))
QUOTA = "quota/520625/2026/new_construction"
POWER = "capacity/S1/power_kva"


def file_books(folder: Path) -> Ledger:
    """The books of a fresh county file."""
    return create(folder / "county.gpkg", "县", "EPSG:4545").ledger


STORES = {"gpkg": file_books}  # every store passes the same tests


def opened(ledger: Ledger, **more: float) -> Ledger:
    """1,000 m2 of new construction (600 agricultural, 300 cultivated) and 100 kVA."""
    amounts = {QUOTA: 1_000, f"{QUOTA[:18]}agricultural": 600, f"{QUOTA[:18]}cultivated": 300, POWER: 100, **more}
    open_books(ledger, pd.DataFrame({"account": list(amounts), "balance": list(amounts.values())}), PAPER)
    return ledger


def plot(n: int, side: float = 10.0) -> shapely.Geometry:
    """A square beside the next: plots n and n + 1 share an edge."""
    return shapely.box(n * side, 0, (n + 1) * side, side)


def claim(new: int = 0, agricultural: int = 0, cultivated: int = 0, kva: int = 0) -> Claim:
    loads = (Load("power_kva", kva, ((POWER,),)),) if kva else ()
    return Claim(Areas(new, agricultural, cultivated), (("520625", 1.0),), (), loads)


def ask(ground: shapely.Geometry, wanted: Claim | None = None, by: str = "planner", **more: object) -> acts.Ask:
    return acts.Ask(by, ground, wanted or claim(100), 2026, **({"project": "P"} | more))  # type: ignore[arg-type]


def reserve(ledger: Ledger, *args: object, **more: object) -> Reservation:
    return ledger.run(lambda page: acts.reserve(page, ask(*args, **more)))  # type: ignore[arg-type]


def turn(ledger: Ledger, one: Reservation, event: str, by: str = "reviewer", **more: object) -> Reservation:
    asked = acts.Turn(one.id, event, by, **({"document": PAPER} | more))  # type: ignore[arg-type]
    return ledger.run(lambda page: acts.turn(page, asked))


def order(ledger: Ledger, event: str, name: str, amount: Areas | int, **more: object) -> None:
    change = Change(event, account(name), amount, **more)  # type: ignore[arg-type]
    ledger.run(lambda page: acts.order(page, acts.Order(change, PAPER, "reviewer")))


def held(ledger: Ledger, name: str = QUOTA) -> tuple[int, int, int, int]:
    """available, reserved, locked, spent."""
    (found,) = [one for one in ledger.balances() if one.account == name]
    assert found.holds
    return found.available, found.reserved, found.locked, found.spent
