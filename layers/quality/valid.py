"""Making areas valid, with a deadline: a small self-crossing polygon can keep GEOS busy for minutes.

Small ones are mended here. The others go one by one to a child process, which is ended when one takes too long.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import shapely

from layers.quality import valid_child
from layers.records import Geoms

SMALL = 128  # vertices; the worst of them take about 20 ms
PATIENCE = 6  # deadlines in all: a layer of a thousand bombs is not a thousand deadlines


@dataclass(frozen=True)
class Validated:
    """`geometries` are areas, or None where it could not be done, and then `reasons` says why (else empty)."""

    geometries: Geoms
    reasons: tuple[str, ...]


def made_valid(geometries: Geoms, deadline_s: float, progress: Callable[[float], None] | None = None) -> Validated:
    """Each of the invalid areas as the ground its rings enclose (GEOS "structure" method), areas alone.

    Parameters
    ----------
    geometries : (N,) Polygon or MultiPolygon, invalid
    deadline_s : the longest time one may take; PATIENCE times that for all together
    """
    made: Geoms = np.full(len(geometries), None, dtype=object)
    reasons = [""] * len(geometries)
    count = shapely.get_num_coordinates(geometries)
    ends_at = time.monotonic() + deadline_s * PATIENCE
    helper = _Helper()
    try:
        for row, shape in enumerate(geometries):
            left_s = min(deadline_s, ends_at - time.monotonic())
            if left_s <= 0:
                reasons[row] = f"not tried: {PATIENCE} deadlines of {deadline_s:g} s were used up before it"
            elif count[row] <= SMALL:
                made[row] = valid_child.areas(shape)
            else:
                made[row], reasons[row] = helper.ask(shape, left_s)
            if not reasons[row] and (made[row] is None or made[row].is_empty):
                made[row], reasons[row] = None, "its rings enclose no ground"
            if progress is not None:
                progress((row + 1) / len(geometries))
    finally:
        helper.end()
    return Validated(made, tuple(reasons))


class _Helper:
    """A child that makes one geometry valid at a time; started when first needed, and anew after it was ended."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._waiter = ThreadPoolExecutor(1)

    def ask(self, shape: shapely.Geometry, deadline_s: float) -> tuple[shapely.Geometry | None, str]:
        if self._child is None:
            command = [sys.executable, "-I", str(Path(valid_child.__file__))]
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
            )
        child = self._child
        answer = self._waiter.submit(_exchange, child, shapely.to_wkb(shape))
        try:
            return shapely.from_wkb(answer.result(deadline_s)), ""
        except TookTooLong:
            reason = f"it could not be made valid within {deadline_s:.3g} s"
        except (EOFError, OSError, shapely.errors.GEOSException):
            reason = "the process that should make it valid failed"
        self._stop()
        return None, reason

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                _close(pipe)
            self._child = None

    def end(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._waiter.shutdown()
        self._stop()


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows loads nothing without


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        try:
            pipe.close()
        except OSError:  # what was still to be written goes nowhere now
            return


def _exchange(child: subprocess.Popen[bytes], wkb: bytes) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(struct.pack("<Q", len(wkb)) + wkb)
    child.stdin.flush()
    answer = valid_child.receive(child.stdout)
    if answer is None:
        raise EOFError("the child ended")
    return answer
