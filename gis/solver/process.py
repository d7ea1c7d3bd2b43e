"""The solver's child as its parent sees it: ask, listen until a deadline, end it with all it started."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from gis.solver import wire
from layers.errors import SolverDied

ROOT = str(Path(__file__).parents[2])  # where `gis` is
HOLDS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Solver:
    """A child process with HiGHS in it. Messages are dictionaries of arrays; see `gis.solver.child`.

    niceness : how far it steps back for other processes
    """

    def __init__(self, niceness: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gis.solver.child", str(niceness)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a group of its own: what is ended is the child and all that it started
            env={**os.environ, **dict.fromkeys(HOLDS, "1"), "PYTHONPATH": ROOT},
        )
        self._heard: queue.SimpleQueue[wire.Message | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._errors: list[bytes] = []
        for does in (self._listen, self._listen_to_errors):
            threading.Thread(target=does, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError, EOFError):
            for message in wire.read(self._process.stdout):
                self._heard.put(message)
        self._heard.put(None)

    def _listen_to_errors(self) -> None:
        assert self._process.stderr is not None
        with contextlib.suppress(ValueError, OSError):
            for line in self._process.stderr:
                self._errors = [*self._errors[-20:], line]

    def ask(self, do: str, **arrays: Any) -> None:
        assert self._process.stdin is not None
        try:
            wire.write(self._process.stdin, self._lock, do=do, **arrays)
        except (BrokenPipeError, OSError, ValueError):
            raise self._died() from None

    def answers(self, until: float) -> Iterator[wire.Message | None]:
        """Messages as they come; None each tenth of a second in which there was none. Ends at `until` (monotonic)."""
        while (left := until - time.monotonic()) > 0:
            try:
                message = self._heard.get(timeout=min(left, 0.1))
            except queue.Empty:
                yield None
                continue
            if message is None:
                raise self._died()
            yield message

    def _died(self) -> SolverDied:
        said = b"".join(self._errors).decode(errors="replace").strip().splitlines()
        return SolverDied("the solver ended without an answer", said=said[-1] if said else "")

    def __enter__(self) -> Solver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()
