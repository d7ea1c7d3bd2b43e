"""A child that tries the walls instead of reading a file. Started by `layers.reading.probe`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path

from layers.sandbox import fence


def main() -> None:
    """Say as JSON what a fenced process could not do: read a file that is not its own, connect, start a program."""
    folder, canary, port, program = sys.argv[2:6]
    up = fence.raise_up([*fence.code_folders(), Path(folder)], [])
    kept = {"up": up, "files": True, "network": True, "programs": True}
    with contextlib.suppress(OSError):
        Path(canary).read_bytes()
        kept["files"] = False
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), timeout=2):
        kept["network"] = False
    sys.stdout.write(json.dumps(kept))
    sys.stdout.flush()
    with contextlib.suppress(OSError):
        os.execv(program, [program, "-c", "print('RAN')"])  # noqa: S606 - that it cannot is the point
