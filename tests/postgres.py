"""A throwaway PostGIS server: made in a temporary folder, on a port of loopback that was free, gone with the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGE = "postgresql-15-postgis-3"
# what is lost when the machine dies is of no interest here
SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=60")
# an order of words that is not that of their bytes, as most servers have
COLLATION = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=zh-CN")
START_S = 60


def programs() -> Path | None:
    """The folder of the newest server that has PostGIS; None where there is none."""
    made = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if there := shutil.which("initdb"):
        made.append(Path(there).resolve().parent)
    shares = ("/usr/share/postgresql/{}/extension", "{}/../share/extension", "{}/../share/postgresql/extension")
    for folder in sorted(made, reverse=True):
        version = folder.parent.name
        for share in shares:
            if Path(share.format(version if "{}/.." not in share else folder), "postgis.control").is_file():
                return folder
    return None


def missing() -> str | None:
    """Why no server can be started, in words for the report; None where one can."""
    if programs() is None:
        return f"{PACKAGE} is not installed (./scripts/test installs it where it may)"
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        return "PostgreSQL does not run as root, and there is no runuser to become another"
    return None


@contextlib.contextmanager
def server(settings: Sequence[str] = SETTINGS) -> Iterator[str]:
    """The URL of a server's `postgres` database, which asks for no password."""
    folder = programs()
    assert folder is not None
    with tempfile.TemporaryDirectory(prefix="parkplan-pg-", dir="/tmp") as name:
        place = Path(name)
        as_owner: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(place, "postgres")
            as_owner = ["runuser", "-u", "postgres", "--"]
        place.chmod(0o755)
        log, cluster = place / "log", place / "cluster"
        made = [folder / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N", *COLLATION]
        subprocess.run([*as_owner, *map(str, made)], check=True, capture_output=True, cwd=place)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        told = [f"-c{one}" for one in (*settings, f"port={port}", "listen_addresses=127.0.0.1")]
        run = [folder / "postgres", "-D", cluster, f"-cunix_socket_directories={place}", *told]
        with log.open("wb") as words:
            process = subprocess.Popen([*as_owner, *map(str, run)], stdout=words, stderr=words, cwd=place)
        try:
            _wait(process, port, log)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _stop(process, cluster)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    start = time.monotonic()
    while time.monotonic() - start < START_S:
        if process.poll() is not None:
            break
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2_000:]}")


def _stop(process: subprocess.Popen[bytes], cluster: Path) -> None:
    """A fast shutdown of the server itself; what started it for us ends with it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        os.kill(int((cluster / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
