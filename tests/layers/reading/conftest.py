"""A listener that nobody should ever reach, and what lies outside."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.layers.reading.attacks import Prey, prey


@dataclass
class Listener:
    port: int
    asked: list[object] = field(default_factory=list)


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    """Counts who connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard = Listener(server.getsockname()[1])

        def hear() -> None:
            while True:
                try:
                    caller, address = server.accept()
                except OSError:
                    return
                heard.asked.append(address)
                caller.close()

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        yield heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.fixture(scope="session")
def outside(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Prey:
    return prey(tmp_path_factory.mktemp("outside"), listener.port)
