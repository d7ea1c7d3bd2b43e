"""`POST /checks` under load: ten clients against a served county, each with one connection, one check at a time.

    python -m scripts.bench.serve demo/county.gpkg [--clients 10] [--seconds 20] [--workers 2]

The service is started here on loopback and stopped at the end; the clients share its two cores with it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from layers.gpkg import GeoPackage


def client(port: int, bodies: list[bytes], until: float, seed: int, took: list[float], failed: list[int]) -> None:
    """Send checks one after the other until the time is up; only whole answers count."""
    choose = random.Random(seed)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < until:
        start = time.perf_counter()
        line.request("POST", "/checks", choose.choice(bodies), {"Content-Type": "application/json"})
        answer = line.getresponse()
        answer.read()
        took.append(time.perf_counter() - start)
        if answer.status != 201:
            failed.append(answer.status)
    line.close()


def wait_until_ready(port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            line.request("GET", "/readyz")
            if line.getresponse().status == 200:
                return
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def main() -> None:
    say = argparse.ArgumentParser(description=__doc__)
    say.add_argument("county", type=Path)
    say.add_argument("--clients", type=int, default=10)
    say.add_argument("--seconds", type=float, default=20)
    say.add_argument("--workers", type=int, default=2)
    say.add_argument("--port", type=int, default=8765)
    said = say.parse_args()
    store = GeoPackage(said.county)
    parcels = store.frame("parcels")["id"].sample(500, random_state=1)
    projects = [project["id"] for project in store.list("project")]
    store.close()
    bodies = [
        json.dumps({"project_id": projects[n % len(projects)], "site": {"parcels": [parcel]}}).encode()
        for n, parcel in enumerate(parcels)
    ]
    command = [sys.executable, "-m", "scripts.cli", "serve", str(said.county), "--no-tiles", "--port", str(said.port)]
    server = subprocess.Popen([*command, "--workers", str(said.workers)])
    try:
        wait_until_ready(said.port)
        for seconds in (3.0, said.seconds):  # the first round warms every worker and is not counted
            took: list[float] = []
            failed: list[int] = []
            until = time.monotonic() + seconds
            threads = [
                threading.Thread(target=client, args=(said.port, bodies, until, n, took, failed))
                for n in range(said.clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        p50, p95, p99 = np.percentile(np.array(took) * 1e3, [50, 95, 99])
        rate = len(took) / said.seconds
        print(
            f"{said.clients} clients, {said.workers} workers: {len(took)} checks, {rate:.0f}/s, {len(failed)} not 201"
        )
        print(f"p50 {p50:.1f} ms   p95 {p95:.1f} ms   p99 {p99:.1f} ms")
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
