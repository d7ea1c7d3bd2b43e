"""Clients of the books: some in one process, each of which asks until it is answered. `ledger_http` starts them.

    python -m scripts.bench.ledger_clients --port 8000 --operations 100 --clients 4 --seed 1

It imports the standard library alone: eight of these that each load all of GDAL would be most of the load.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

ACCOUNT = "/quotas/quota/520625/2026/new_construction"
PAPER = {"number": "压力试验", "date": "2026-03-01"}
PLANNER = ("apply", "release", "withdraw", "extend")
REVIEWER = ("approve", "reject", "return", "revoke")
FIELD_M = 5_000  # east of it the ground is paddy
SMALL, LARGE = 60, 30  # plots of 1 ha and of 9 ha
REFUSED = ("ground-taken", "quota-short", "capacity-short", "illegal-transition", "stale")
WARM = 5  # operations of each client before its clock starts: the first ones load layers and open connections
LONGEST_S = 900.0  # a server that is killed again and again does not get far


class Wire:
    """One kept connection that speaks just enough HTTP/1.1: a client's own work takes from the same two cores."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, path: str, text: bytes, head: Mapping[str, str]) -> tuple[int, bytes, str]:
        """Status, body and ETag; OSError where the connection ends before the answer does."""
        self.socket.sendall(_request(method, path, text, head))
        heard = self._more(b"")
        while (end := heard.find(b"\r\n\r\n")) < 0:
            heard = self._more(heard)
        said = heard[:end].decode("latin-1").split("\r\n")
        named = {name.lower(): value for name, _, value in (line.partition(": ") for line in said[1:])}
        wanted = end + 4 + int(named["content-length"])
        while len(heard) < wanted:
            heard = self._more(heard)
        return int(said[0].split()[1]), heard[end + 4 : wanted], named.get("etag", "")

    def leave(self, method: str, path: str, text: bytes, head: Mapping[str, str], where: float) -> None:
        """Hang up in the middle of a request, or (the half of the times) after the whole of it."""
        request = _request(method, path, text, head)
        self.socket.sendall(request[: int(len(request) * min(2 * where, 1.0))])
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no goodbye
        self.close()

    def _more(self, heard: bytes) -> bytes:
        some = self.socket.recv(65_536)
        if not some:
            raise ConnectionResetError("the server hung up")
        return heard + some

    def close(self) -> None:
        self.socket.close()


def _request(method: str, path: str, text: bytes, head: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    first = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {len(text)}\r\n\r\n"
    return first.encode() + text


class Client:
    """One connection; asks until it is answered."""

    def __init__(self, port: int, seed: int, here: dict[str, Any]) -> None:
        self.here = here  # where the county lies, and a project of its library
        self.port, self.draw, self.number, self.seed = port, random.Random(seed), 0, seed
        self.wire: Wire | None = None
        self.mine: dict[str, str] = {}  # reservation -> its ETag
        self.found: list[dict[str, Any]] = []
        self.drops = float(here.get("drops", 0.0))
        self.full = 0

    def send(self, method: str, path: str, who: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
        """Status, body and ETag of the first answer."""
        head = {"Authorization": f"Bearer demo-{who}", "Content-Type": "application/json", **headers}
        text = b"" if body is None else json.dumps(body).encode()
        start = time.monotonic()
        while time.monotonic() - start < LONGEST_S:
            try:
                self.wire = self.wire or Wire(self.port)
                if self.drops and self.draw.random() < self.drops:
                    self.wire.leave(method, path, text, head, self.draw.random())
                    raise ConnectionAbortedError("we hung up")
                status, said, etag = self.wire.ask(method, path, text, head)
                if status not in (503, 507):
                    return status, json.loads(said), etag
                self.full += status == 507
            except OSError:
                if self.wire is not None:
                    self.wire.close()
                self.wire = None
            time.sleep(0.05)
        raise TimeoutError(f"{method} {path} was never answered")

    def key(self) -> str:
        self.number += 1
        return f"{self.seed}-{self.number}"

    def act(self) -> None:
        dice = self.draw.random()
        if dice < 0.35 or not self.mine:
            self._reserve()
        elif dice < 0.42:
            self._adjust()
        else:
            self._turn()

    def _ask(self, path: str, who: str, body: Any, **more: str) -> tuple[int, Any, str]:
        key, start = self.key(), time.perf_counter()
        status, said, etag = self.send("POST", path, who, body, **{"Idempotency-Key": key}, **more)
        ms = (time.perf_counter() - start) * 1e3
        one: dict[str, Any] = {"path": path, "at": time.time(), "ms": ms, "status": status}
        one |= {
            "said": said.get("type", "").rpartition("/")[2],
            "id": said.get("id"),
            "version": said.get("version"),
            "fault": "",
            "warm": self.number > WARM,
        }
        if status >= 500 or (status >= 400 and one["said"] not in REFUSED and one["said"] != "forbidden"):
            one["fault"] = f"{path}: {status} {json.dumps(said)[:300]}"
        if self.draw.random() < 0.05 and (status < 300 or one["said"] in REFUSED[:3]):
            again = self.send("POST", path, who, body, **{"Idempotency-Key": key}, **more)
            if again[:2] != (status, said):
                one["fault"] = f"{path}: the key {key} was answered {status} and then {again[0]}"
        self.found.append(one)
        return status, said, etag

    def _reserve(self) -> None:
        n, kind = self.draw.randrange(SMALL), self.draw.random()
        west, south, side = FIELD_M + 100 * (n % 10), 100 * (n // 10), 100
        project = {**self.here["project"], "id": f"P{self.key()}", "power_kva": 300}
        if kind < 0.2:  # farmland that the quota does not reach for
            n = self.draw.randrange(LARGE)
            west, south, side = FIELD_M + 300 * (n % 10), 3_000 + 300 * (n // 10), 300
        elif kind < 0.55:  # a smelter: two of them fill a station
            project["power_kva"] = 9_000
        east, north = self.here["east"], self.here["north"]
        ring = [(0, 0), (side, 0), (side, side), (0, side), (0, 0)]
        shape = {"type": "Polygon", "coordinates": [[[east + west + x, north + south + y] for x, y in ring]]}
        body = {"project": project, "site": {"geometry": shape, "crs": "EPSG:4545"}, "for_year": 2026}
        status, said, etag = self._ask("/reservations", "planner", body)
        if status == 201:
            self.mine[said["id"]] = etag

    def _turn(self) -> None:
        key = self.draw.choice(list(self.mine))
        event = self.draw.choice((*PLANNER, *REVIEWER, "release", "release"))
        seen = '"1"' if self.draw.random() < 0.2 else self.mine[key]
        who = "planner" if event in PLANNER else "reviewer"
        body = {"event": event, "document": PAPER}
        status, said, etag = self._ask(f"/reservations/{key}/transitions", who, body, **{"If-Match": seen})
        if status == 200:
            self.mine[key] = etag
            if not said["events"]:
                del self.mine[key]

    def _adjust(self) -> None:
        areas = {"new_construction_m2": 1_000, "agricultural_m2": 500, "cultivated_m2": 200}
        event = self.draw.choice(("grant", "recall"))
        self._ask(f"{ACCOUNT}/entries", "reviewer", {"event": event, "areas": areas, "document": PAPER})


def clients(port: int, operations: int, count: int, seed: int) -> None:
    """Some clients in one process, told on standard input what the county is; prints what they found.

    It says `warm` once each of them was answered a few times: a trouble that begins before that troubles nobody.
    """
    print("ready", flush=True)
    here = json.loads(sys.stdin.readline())
    enough = threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        enough.set()

    threading.Thread(target=listen, daemon=True).start()
    some = [Client(port, seed * 1_000 + n, here) for n in range(count)]
    warmed = threading.Barrier(count + 1)

    def run(one: Client) -> None:
        done = 0
        while done < operations // count or not enough.is_set():
            one.act()
            done += 1
            if done == WARM:
                warmed.wait(LONGEST_S)

    threads = [threading.Thread(target=run, args=(one,)) for one in some]
    for thread in threads:
        thread.start()
    warmed.wait(LONGEST_S)
    print("warm", flush=True)
    for thread in threads:
        thread.join()
    print(json.dumps({"found": [found for one in some for found in one.found], "full": sum(one.full for one in some)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("port", "operations", "clients", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    said = parser.parse_args()
    clients(said.port, said.operations, said.clients, said.seed)


if __name__ == "__main__":
    main()
