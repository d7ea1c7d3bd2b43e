"""The books under attack: altered bytes, many processes on one file, a writer killed at any moment.

    python -m scripts.bench.ledger_faults [--tampers 1000] [--kills 200] [--processes 8] [--operations 10000]

Every altered byte of an entry, a posting or a ground must be found by `verify`. Whatever was acknowledged before a
kill must be there after it, and nothing by halves. Many processes must never promise more than there is, nor the same
ground twice. Prints a line for each and exits 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import pandas as pd
import shapely

from layers.errors import Busy, CapacityShort, GroundTaken, IllegalTransition, ParkError, QuotaShort, StoreBroken
from layers.gpkg import create
from layers.ledger import acts
from layers.ledger.book import Change
from layers.ledger.keeping import open_books
from layers.ledger.records import Paper, Reservation, account
from layers.ledger.sqlite import SqliteLedger
from layers.ledger.states import LIVE
from layers.ledger.verify import verify
from layers.records import Areas, Claim, Load

PAPER = Paper("台账压力试验", date(2026, 1, 1))
QUOTA = "quota/520625/2026/new_construction"
SIDE_M = 100.0
PLOTS, GRANTED_M2, KVA = 60, 400_000, 20_000


@contextmanager
def told(what: str) -> Iterator[None]:
    """What SQLite says of the county file, in our words."""
    try:
        yield
    except apsw.Error as error:
        raise StoreBroken(f"the county cannot be {what} ({error})") from error


def founded(folder: Path) -> Path:
    """A county whose books hold 400,000 m2 and a substation of 20,000 kVA fed by one of as much."""
    store = create(folder / "county.gpkg", "bench", "EPSG:4545")
    amounts = {QUOTA: GRANTED_M2, QUOTA.replace("new_construction", "agricultural"): GRANTED_M2}
    amounts |= {f"capacity/{name}/power_kva": KVA for name in ("S1", "S2")}
    open_books(store.ledger, pd.DataFrame({"account": list(amounts), "balance": list(amounts.values())}), PAPER)
    store.close()
    return store.path


def plot(n: int) -> shapely.Geometry:
    row, column = divmod(n, 10)
    return shapely.box(column * SIDE_M, row * SIDE_M, (column + 1) * SIDE_M, (row + 1) * SIDE_M)


def asked(n: int, by: str, m2: int = 10_000, kva: int = 400) -> acts.Ask:
    load = Load("power_kva", kva, (("capacity/S1/power_kva", "capacity/S2/power_kva"),))
    claim = Claim(Areas(m2, m2 // 2), (("520625", 1.0),), (), (load,))
    return acts.Ask(by, plot(n), claim, 2026, project=f"P{n}")


# --- a process that works on the books ----------------------------------------------------------------


def work(path: Path, operations: int, seed: int) -> None:
    """Reserve, decide, release and adjust at random; every acknowledged operation is a line on standard output."""
    draw = random.Random(seed)
    ledger = SqliteLedger(path, told)
    mine = [one.id for one in ledger.reservations(("reserved", "applied", "approved"))]  # a killed one's are ours
    counts: Counter[str] = Counter()
    for _ in range(operations):
        try:
            what, said = _one(ledger, draw, mine, f"p{seed}")
        except (ParkError, AssertionError) as error:
            counts[type(error).__name__] += 1
            if not isinstance(error, (GroundTaken, QuotaShort, CapacityShort, IllegalTransition, Busy)):
                raise
            continue
        counts["done"] += 1
        print(json.dumps([what, *said]), flush=True)
    ledger.close()
    print(json.dumps({"counts": counts}), flush=True)


def _one(ledger: SqliteLedger, draw: random.Random, mine: list[str], by: str) -> tuple[str, list[Any]]:
    dice = draw.random()
    if dice < 0.5 or not mine:
        m2, kva = draw.choice([(10_000, 400), (60_000, 300), (5_000, 3_000)])
        ask = asked(draw.randrange(PLOTS), by, m2, kva)
        made = ledger.run(lambda page: acts.reserve(page, ask))
        mine.append(made.id)
        return "reserve", [made.version, made.id, made.state]
    if dice < 0.58:
        event = draw.choice(["grant", "recall"])
        change = Change(event, account(QUOTA), Areas(1_000, 500))
        entry = ledger.run(lambda page: acts.order(page, acts.Order(change, PAPER, by)))
        return event, [entry.seq, None, None]
    key = draw.choice(mine)
    event = draw.choice(["apply", "approve", "reject", "release", "withdraw", "return", "revoke"])
    who = by if event in ("apply", "release", "withdraw") else f"reviewer-{by}"
    turn = acts.Turn(key, event, who, document=PAPER, approved=Areas(5_000) if event == "approve" else None)
    after: Reservation = ledger.run(lambda page: acts.turn(page, turn))
    if after.state not in LIVE:
        mine.remove(key)
    return event, [after.version, after.id, after.state]


def worker(path: Path, operations: int, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.bench.ledger_faults", "--work", str(path)]
    command += ["--operations", str(operations), "--seed", str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# --- what is proven -----------------------------------------------------------------------------------


@dataclass
class Found:
    """What an attack came to. `faults` is empty where the books held."""

    done: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def judge(path: Path, acknowledged: list[list[Any]], found: Found) -> None:
    """The books prove themselves, and everything that was acknowledged is in the journal."""
    ledger = SqliteLedger(path, told)
    proof = verify(ledger)
    if not proof.whole:
        found.faults.append(str(proof.reason))
    journal = {one.row[0]: (one.row[3], one.row[9]) for one in ledger.journal()}
    for what, seq, key, _ in acknowledged:
        if journal.get(seq) != (what, key):
            found.faults.append(f"{what} was acknowledged as entry {seq}, which is {journal.get(seq)}")
    grounds = Counter(one.reservation.ground for one in ledger.holds())
    found.faults += [f"{ground[:12]} has {count} winners" for ground, count in grounds.items() if count > 1]
    ledger.close()


def many(folder: Path, processes: int, operations: int) -> Found:
    """Several processes on one file at once."""
    path, found = founded(folder), Found()
    start = time.perf_counter()
    running = [worker(path, operations // processes, seed) for seed in range(processes)]
    acknowledged: list[list[Any]] = []
    for one in running:
        out, err = one.communicate(timeout=900)
        if one.returncode:
            found.faults.append(f"a process failed: {err[-500:]}")
        for line in out.splitlines():
            said = json.loads(line)
            if isinstance(said, dict):
                found.refusals.update({name: n for name, n in said["counts"].items() if name != "done"})
            else:
                acknowledged.append(said)
    found.seconds, found.done = time.perf_counter() - start, len(acknowledged)
    judge(path, acknowledged, found)
    return found


def killed(folder: Path, kills: int, seed: int = 1) -> Found:
    """A writing process killed at a random moment, again and again, on one file."""
    path, found, draw = founded(folder), Found(), random.Random(seed)
    for n in range(kills):
        one = worker(path, 1_000_000, 1_000 + n)
        assert one.stdout is not None
        first = one.stdout.readline()
        time.sleep(draw.uniform(0.0, 0.25))
        os.kill(one.pid, signal.SIGKILL)
        lines = [first, *one.communicate()[0].splitlines()]
        acknowledged = [json.loads(line) for line in lines if line.endswith(("]", "]\n"))]
        found.done += len(acknowledged)
        judge(path, acknowledged, found)
        if found.faults:
            break
    return found


def tampered(folder: Path, tampers: int, seed: int = 1) -> Found:
    """One value after the other altered behind the books' back; each must be found, and named as it was altered."""
    path, found, draw = founded(folder), Found(), random.Random(seed)
    _filled(path, draw)
    db = apsw.Connection(str(path))
    for (name,) in list(db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%ledger%'")):
        db.execute(f"DROP TRIGGER {name}")
    db.execute("PRAGMA ignore_check_constraints=ON")
    ledger = SqliteLedger(path, told)
    assert verify(ledger).whole
    spots = list(_spots(db))
    for _ in range(tampers):
        table, where, column, value = draw.choice(spots)
        new = _altered(value, draw)
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (new,))  # noqa: S608 - its own names
        if verify(ledger).whole:
            found.faults.append(f"{table}.{column} where {where}: {value!r} became {new!r}")
        key = where if column not in ("seq", "line") else where.replace(f"{column} = {value}", f"{column} = {new}")
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {key}", (value,))  # noqa: S608
        found.done += 1
    if not verify(ledger).whole:
        found.faults.append("what was put back is not what was there")
    ledger.close()
    db.close()
    return found


def _filled(path: Path, draw: random.Random) -> None:
    ledger = SqliteLedger(path, told)
    mine: list[str] = []
    done = 0
    while done < 60:
        try:
            _one(ledger, draw, mine, "p")
            done += 1
        except ParkError:
            continue
    ledger.close()


def _spots(db: apsw.Connection) -> Iterator[tuple[str, str, str, Any]]:
    """Every value of every entry, posting and ground: table, which row, column, value."""
    for table, key in (
        ("parkplan_ledger_entries", ("seq",)),
        ("parkplan_ledger_postings", ("seq", "line")),
        ("parkplan_ledger_grounds", ("rowid",)),
    ):
        names = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        for row in db.execute(f"SELECT {', '.join([*key, *names])} FROM {table}").fetchall():  # noqa: S608
            where = " AND ".join(f"{name} = {value}" for name, value in zip(key, row, strict=False))
            for name, value in zip(names, row[len(key) :], strict=True):
                yield table, where, name, value


def _altered(value: Any, draw: random.Random) -> Any:
    """A value with one byte of it changed; a number by a bit, nothing into something."""
    if value is None:
        return "x"
    if isinstance(value, int):
        return value + 100_000 if value < 50_000 and draw.random() < 0.5 else value + 1_000_003
    raw = bytearray(value.encode() if isinstance(value, str) else value)
    if not raw:
        return " "
    while True:
        place = draw.randrange(len(raw))
        changed = bytearray(raw)
        changed[place] ^= 1 << draw.randrange(8)
        if isinstance(value, bytes):
            return bytes(changed)
        try:
            return changed.decode()
        except UnicodeDecodeError:
            continue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tampers", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.work is not None:
        work(said.work, said.operations, said.seed)
        return
    faults: list[str] = []
    attacks: tuple[tuple[str, Callable[[Path], Found]], ...] = (
        (f"{said.tampers:,} altered values", lambda place: tampered(place, said.tampers)),
        (f"{said.processes} processes", lambda place: many(place, said.processes, said.operations)),
        (f"{said.kills} kills", lambda place: killed(place, said.kills)),
    )
    for name, attack in attacks:
        with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
            start = time.perf_counter()
            found = attack(Path(folder))
            refused = ", ".join(f"{word} {count:,}" for word, count in sorted(found.refusals.items()))
            ends = f"{len(found.faults)} faults; {time.perf_counter() - start:.1f} s"
            print(f"{name}: {found.done:,} done; refused {refused or 'nothing'}; {ends}", flush=True)
            faults += found.faults
    for one in faults[:20]:
        print(f"  {one}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
