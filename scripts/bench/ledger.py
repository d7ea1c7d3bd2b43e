"""Durable postings and whole reservations per second, in process, beside a plain sqlite3 script on the same disk.

    python -m scripts.bench.ledger [--entries 5000] [--reservations 3000] [--callers 64]

Every caller waits for its own answer, which comes after COMMIT with synchronous=FULL. An entry is a grant of four
postings (a tuple of three kinds is three; a transfer is six). A reservation is ground, three kinds of quota, a load on
a station and on the one that feeds it, an idempotency key and its answer. The plain script does what one writes first:
one request, one transaction, a balance that is checked and updated, a row in a journal; no chain, no ground, no key.
"""

from __future__ import annotations

import argparse
import json
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import shapely

from layers.gpkg import create
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.keeping import Key, Ledger, open_books
from layers.ledger.records import Paper, account
from layers.ledger.verify import verify
from layers.records import Areas, Claim, Load

PAPER = Paper("台账测速", date(2026, 1, 1))
QUOTA = "quota/520625/2026/new_construction"
KINDS = ("new_construction", "agricultural", "cultivated")
PLENTY = 10**12
SIDE_M = 50.0


def founded(folder: Path) -> Ledger:
    amounts = {QUOTA.replace("new_construction", kind): PLENTY for kind in KINDS}
    amounts |= {f"capacity/{name}/power_kva": PLENTY for name in ("S1", "S2")}
    ledger = create(folder / "county.gpkg", "bench", "EPSG:4545").ledger
    open_books(ledger, pd.DataFrame({"account": list(amounts), "balance": list(amounts.values())}), PAPER)
    return ledger


def asked(n: int) -> acts.Ask:
    row, column = divmod(n, 200)
    ground = shapely.box(column * SIDE_M, row * SIDE_M, (column + 1) * SIDE_M, (row + 1) * SIDE_M)
    load = Load("power_kva", 40, (("capacity/S1/power_kva", "capacity/S2/power_kva"),))
    claim = Claim(Areas(2_500, 2_000, 1_000), (("520625", 1.0),), (), (load,))
    return acts.Ask("planner", ground, claim, 2026, project=f"P{n}")


def together(work: Callable[[int], float], count: int, callers: int) -> tuple[float, Sequence[float]]:
    """Seconds for all, and of each, with so many callers at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        each = list(pool.map(work, range(count)))
    return time.perf_counter() - start, each


def timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def plain(folder: Path, count: int) -> float:
    """Postings per second of a plain script: one transaction for each."""
    db = sqlite3.connect(folder / "plain.db", isolation_level=None)
    db.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE balances (account TEXT PRIMARY KEY, available INTEGER, reserved INTEGER);"
        "CREATE TABLE journal (seq INTEGER PRIMARY KEY, account TEXT, amount INTEGER, at TEXT);"
    )
    db.execute("INSERT INTO balances VALUES ('q', ?, 0)", (PLENTY,))
    start = time.perf_counter()
    for _ in range(count):
        db.execute("BEGIN IMMEDIATE")
        (left,) = db.execute("SELECT available FROM balances WHERE account = 'q'").fetchone()
        if left >= 100:
            db.execute("UPDATE balances SET available = available - 100, reserved = reserved + 100")
            db.execute("INSERT INTO journal (account, amount, at) VALUES ('q', 100, '2026')")
        db.execute("COMMIT")
    seconds = time.perf_counter() - start
    db.close()
    return count / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=5_000)
    parser.add_argument("--reservations", type=int, default=3_000)
    parser.add_argument("--callers", type=int, default=64)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledger-") as place:
        folder = Path(place)
        ledger = founded(folder)
        order = acts.Order(Change("grant", account(QUOTA), Areas(3, 2, 1)), PAPER, "reviewer")
        seconds, each = together(
            lambda n: timed(lambda: ledger.run(lambda page: acts.order(page, order))), said.entries, said.callers
        )
        postings, entry_ms = said.entries * 3 / seconds, np.percentile(each, [50, 99]) * 1e3
        asks = [asked(n) for n in range(said.reservations)]

        def reserve(n: int) -> float:
            key = Key("planner", f"k{n}", str(n))
            return timed(lambda: ledger.once(key, lambda page: acts.reserve(page, asks[n]).id))

        seconds, each = together(reserve, said.reservations, said.callers)
        reservations, reserve_ms = said.reservations / seconds, np.percentile(each, [50, 99]) * 1e3
        alone = [partial(acts.reserve, asked=asked(n)) for n in range(9_000, 9_200)]
        one = [timed(partial(ledger.run, work)) for work in alone]
        entries, start = ledger.last(), time.perf_counter()
        proof = verify(ledger)
        proven = entries / (time.perf_counter() - start)
        assert proof.whole, proof
        ledger.close()
        found = {
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "callers": said.callers,
            "postings_per_s": round(postings),
            "entry_p50_ms": round(float(entry_ms[0]), 2),
            "entry_p99_ms": round(float(entry_ms[1]), 2),
            "reservations_per_s": round(reservations),
            "reservation_p50_ms": round(float(reserve_ms[0]), 2),
            "reservation_p99_ms": round(float(reserve_ms[1]), 2),
            "reservations_per_s_one_caller": round(1 / float(np.mean(one))),
            "verify_entries_per_s": round(proven),
            "plain_sqlite3_postings_per_s": round(plain(folder, 2_000)),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
