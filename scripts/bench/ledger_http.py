"""The books over HTTP under load, as clients see them: reserve, decide, release, adjust, repeat, by many at once.

    python -m scripts.bench.ledger_http [--operations 10000] [--processes 8] [--clients 32] [--county postgis]
                                        [--kills 200 | --terminations 200 | --full 5] [--drops 0.05]

Serves a small county of its own on loopback. Every client waits for its answer; a request that got none (503, 507, or
no connection) is sent again with the same Idempotency-Key until it is answered. With `--kills` the server is killed
(9) at random moments and started anew; with `--terminations` the database hangs up on everybody; with `--full` the
disk (a small one in memory, which takes root) is filled and given room again; with `--drops` the clients hang up on
this share of their requests before they are answered. The load goes on until all of that was done. Afterwards the
books prove themselves, everything that was acknowledged must be in the journal once, every piece of ground has at most
one holder, and a key that is sent again gives the same answer.
Prints operations per second, milliseconds, and what was refused; exits 1 where anything does not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from layers.ledger.verify import verify
from layers.places import url as url_of
from layers.store import create_store, open_store
from scripts.bench.ledger import place as place_of
from scripts.bench.ledger_clients import ACCOUNT, LONGEST_S, REFUSED

GRANTED_M2, POWER_KVA = 500_000.0, 20_000.0
FEWEST = 0.05  # of all refusals, for each reason: a load that is refused for one reason alone proves little
SMALL_MB = 128


@dataclass
class Found:
    """What a run came to. `faults` is empty where the books held."""

    done: int = 0
    seconds: float = 0.0
    per_s: float = 0.0
    ms: list[float] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    troubles: int = 0
    full: int = 0  # answers that said that the disk is full

    def rarest_share(self) -> float:
        return min(self.refusals[name] for name in REFUSED) / max(sum(self.refusals.values()), 1)


# --- the server -----------------------------------------------------------------------------------------


class Server:
    """`parkplan serve` in a process of its own, which can be killed and started anew on the same port."""

    def __init__(self, county: str, workers: int = 1) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-c", "from scripts.cli import main; main()", "serve", county, "--no-tiles"]
        self._command += ["--port", str(self.port), "--workers", str(workers)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        start = time.monotonic()
        while time.monotonic() - start < LONGEST_S:
            wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(wire):
                wire.request("GET", "/readyz")
                with wire.getresponse() as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.05)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def serving(county: str, workers: int = 1) -> Iterator[Server]:
    server = Server(county, workers)
    try:
        yield server
    finally:
        server.stop()


def found_county(county: str | Path) -> str:
    """A county of built ground in the west and paddy in the east, with little to give away."""
    from tests.api import test_ledger
    from tests.counties import fill_county

    store = create_store(county, "试验县", "EPSG:4545")
    kinds = ("new_construction", "agricultural", "cultivated")
    pools = {f"quota__520625__2026__{kind}": GRANTED_M2 for kind in kinds}
    pools |= {f"capacity__substations-{n}__power_kva": POWER_KVA for n in (1, 2)}
    world = test_ledger.farming_world().with_pools(**pools)  # type: ignore[no-untyped-call]
    fill_county(store, world)
    store.close()
    return str(county)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A disk in memory on a folder. PermissionError where we may not mount."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise PermissionError(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextlib.contextmanager
def server_on(folder: Path) -> Iterator[str]:
    """The URL of a county in a database server of our own whose tables lie in a folder; its log lies elsewhere: without
    room for that the server stops, and somebody has to start it again."""
    import psycopg

    from tests.postgres import server

    place = folder / "tables"
    place.mkdir()
    folder.chmod(0o755)
    shutil.chown(place, "postgres")
    with server(("shared_buffers=64MB",)) as url:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            db.execute("ALTER DATABASE postgres SET default_tablespace = small")
        yield f"{url}?schema=bench"


# --- an attack ------------------------------------------------------------------------------------------


Trouble = Callable[[Server], int]  # makes it while clients ask, and says how often


def killing(kills: int) -> Trouble:
    """The server is killed at random moments and started anew."""

    def trouble(server: Server) -> int:
        draw = random.Random(1)
        for _ in range(kills):
            time.sleep(draw.uniform(0.05, 1.0))
            server.kill()
            server.start()
        return kills

    return trouble


def terminating(url: str, times: int) -> Trouble:
    """The database hangs up on everybody, at random moments."""

    def trouble(server: Server) -> int:
        import psycopg

        draw, ended = random.Random(1), 0
        with psycopg.connect(url_of(url).conninfo, autocommit=True) as db:
            for _ in range(times):
                time.sleep(draw.uniform(0.05, 0.3))
                sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                sql += " AND datname = current_database() AND backend_type = 'client backend'"
                row = db.execute(sql).fetchone()
                ended += row is not None and row[0] > 0
        return ended

    return trouble


def filling(folder: Path, times: int) -> Trouble:
    """The disk of a folder is filled to the last byte, for a while, and has room again."""

    def trouble(server: Server) -> int:
        for _ in range(times):
            with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4_096))
            time.sleep(1.5)
            (folder / "ballast").unlink()
            time.sleep(1.0)
        return times

    return trouble


def attack(
    county: str,
    operations: int,
    processes: int = 8,
    count: int = 32,
    trouble: Trouble | None = None,
    drops: float = 0.0,
    workers: int = 1,
) -> Found:
    """Many clients on a served county, for as long as the trouble lasts, and until all of them are answered."""
    from tests.counties import EAST, NORTH, TEA

    found = Found()
    here = json.dumps({"east": EAST, "north": NORTH, "project": TEA, "drops": drops})
    with serving(county, workers) as server:
        command = [sys.executable, "-m", "scripts.bench.ledger_clients", "--port", str(server.port)]
        command += ["--operations", str(operations // processes), "--clients", str(max(count // processes, 1))]
        running = [
            subprocess.Popen([*command, "--seed", str(n + 1)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for n in range(processes)
        ]
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()  # it is ready; all of them start together
        for one in running:
            assert one.stdin is not None
            one.stdin.write(f"{here}\n")
            one.stdin.flush()
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()  # it is warm: the first answers of a server are slow, and no trouble should miss them
        try:
            found.troubles = trouble(server) if trouble is not None else 0
        except BaseException:  # nobody is left to wait for an answer
            for one in running:
                one.kill()
            raise
        for one in running:
            assert one.stdin is not None
            one.stdin.write("enough\n")
            one.stdin.flush()
        outcomes = [json.loads(one.communicate()[0] or '{"found": [], "full": 0}') for one in running]
        said, found.full = [one["found"] for one in outcomes], sum(one["full"] for one in outcomes)
        found.faults += [f"a client ended with {one.returncode}" for one in running if one.returncode]
    each = [one for some in said for one in some]
    warm = [one for one in each if one["warm"]]
    found.done, found.ms = len(each), [one["ms"] for one in warm]
    if warm:
        found.seconds = max(one["at"] for one in warm) - min(one["at"] - one["ms"] / 1e3 for one in warm)
        found.per_s = len(warm) / found.seconds
    found.refusals = Counter(one["said"] for one in each if one["status"] >= 400)
    found.faults += [one["fault"] for one in each if one["fault"]]
    judge(county, each, found)
    return found


def judge(county: str, each: list[dict[str, Any]], found: Found) -> None:
    """The books prove themselves; what was acknowledged is in the journal, once."""
    store = open_store(county)
    try:
        proof = verify(store.ledger)
        journal = {one.row[0]: one.row[9] for one in store.ledger.journal()}
        grounds = Counter(one.reservation.ground for one in store.ledger.holds())
    finally:
        store.close()
    if not proof.whole:
        found.faults.append(f"{proof.what}: {proof.reason}")
    acknowledged = [one for one in each if one["status"] < 300 and one["version"] is not None]
    for one in acknowledged:
        if journal.get(one["version"]) != one["id"]:
            found.faults.append(f"entry {one['version']} was acknowledged for {one['id']} and is not there")
    twice = Counter(one["version"] for one in acknowledged)
    found.faults += [f"entry {seq} was acknowledged {times} times" for seq, times in twice.items() if times > 1]
    entered = sum(1 for one in each if one["status"] < 300)
    opening = sum(1 for one in journal.values() if one is None) - sum(
        1 for one in each if one["status"] < 300 and one["path"].startswith(ACCOUNT)
    )
    if len(journal) != opening + entered:
        found.faults.append(f"{entered} were acknowledged, {len(journal) - opening} are in the journal")
    found.faults += [f"{ground[:12]} has {times} holders" for ground, times in grounds.items() if times > 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--terminations", type=int, default=0, help="of the database's connections")
    parser.add_argument("--full", type=int, default=0, help="how often the disk is filled; takes root")
    parser.add_argument("--drops", type=float, default=0.0, help="share of requests that a client hangs up on")
    parser.add_argument("--workers", type=int, default=1, help="of the server")
    parser.add_argument("--county", default="", help="postgresql://..., or postgis")
    said = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-")))
        if said.full:
            stack.enter_context(small_disk(folder, SMALL_MB))
        url = stack.enter_context(server_on(folder) if said.full and said.county else place_of(said.county))
        county = found_county(url or folder / "county.gpkg")
        trouble: Trouble | None = killing(said.kills) if said.kills else None
        trouble = terminating(county, said.terminations) if said.terminations else trouble
        trouble = filling(folder, said.full) if said.full else trouble
        found = attack(county, said.operations, said.processes, said.clients, trouble, said.drops, said.workers)
    if (rarest := found.rarest_share()) < FEWEST:
        found.faults.append(f"the rarest reason of a refusal is {rarest:.1%} of them, less than {FEWEST:.0%}")
    p50, p99 = np.percentile(found.ms, [50, 99]) if found.ms else (0, 0)
    told = {
        "store": "PostgreSQL" if said.county else "GeoPackage",
        "clients": said.clients,
        "operations": found.done,
        "operations_per_s": round(found.per_s),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "refused": dict(found.refusals),
        "rarest_refusal_share": round(found.rarest_share(), 3),
        "troubles": found.troubles,
        "answered_full": found.full,
        "faults": found.faults[:20],
    }
    print(json.dumps(told, ensure_ascii=False, indent=2))
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    main()
