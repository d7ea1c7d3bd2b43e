"""How often somebody may try a wrong key: so and so many a minute from one address, fewer for one key's first letters.

In memory and bounded; each server process counts for itself. A key that was recognised before is never held up.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_REMEMBERED = 10_000


class Tries:
    """Failures of the last minute by address, and by address and prefix."""

    def __init__(
        self, most: int = 30, most_prefix: int = 6, window_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most, self.most_prefix, self.window_s = most, most_prefix, window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()  # (address, prefix or "")

    def wait_s(self, source: str, prefix: str) -> int:
        """Seconds until the next try is looked at; 0 where it is at once."""
        now = self._clock()
        with self._lock:
            ends = [
                since + self.window_s
                for name, most in ((prefix, self.most_prefix), ("", self.most))
                for since, count in [self._failed.get((source, name), (0.0, 0))]
                if count >= most and since + self.window_s > now
            ]
        return int(max(ends) - now) + 1 if ends else 0

    def failed(self, source: str, prefix: str) -> None:
        now = self._clock()
        with self._lock:
            for name in (prefix, ""):
                since, count = self._failed.pop((source, name), (now, 0))
                fresh = since + self.window_s > now
                self._failed[source, name] = (since, count + 1) if fresh else (now, 1)
            while len(self._failed) > MOST_REMEMBERED:
                self._failed.popitem(last=False)
