"""Messages between the planner and its solver: eight bytes of length and an .npz of arrays, nothing unpickled."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

Message = dict[str, Any]


def write(stream: IO[bytes], lock: threading.Lock, **arrays: Any) -> None:
    held = io.BytesIO()
    np.savez(held, **arrays)
    body = held.getvalue()
    with lock:
        stream.write(len(body).to_bytes(8, "little") + body)
        stream.flush()


def read(stream: IO[bytes]) -> Iterator[Message]:
    while len(head := stream.read(8)) == 8:
        with np.load(io.BytesIO(stream.read(int.from_bytes(head, "little"))), allow_pickle=False) as held:
            yield {name: held[name] if held[name].ndim else held[name].item() for name in held.files}
