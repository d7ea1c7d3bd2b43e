"""Tiles that were drawn once, beside the snapshots: one folder for each thing drawn, named by what it was drawn from.

`<cache>/tiles/<name>-<key>` holds the numbers of its tiles, where each ends, and all of them in a row, mapped into
memory. The key says all that a tile depends on, so a new version of a layer has a folder of its own, and the folder of
the version before it goes. Whatever lies there can be drawn again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers import arrays


class Drawn:
    """The tiles of one folder."""

    def __init__(self, numbers: NDArray[np.int64], ends: NDArray[np.int64], body: NDArray[np.uint8]) -> None:
        self._place = {number: row for row, number in enumerate(numbers.tolist())}
        self._ends = [0, *ends.tolist()]
        self._body = body

    def __len__(self) -> int:
        return len(self._place)

    @property
    def numbers(self) -> list[int]:
        """Of the tiles that hold something."""
        return list(self._place)

    def get(self, number: int) -> bytes:
        """A tile by its number; no bytes where nothing is in it."""
        row = self._place.get(number)
        return b"" if row is None else self._body[self._ends[row] : self._ends[row + 1]].tobytes()


class TileShelf:
    """The drawn tiles of a county; `cache` is where its snapshots are."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "tiles"
        self._open: dict[str, tuple[str, Drawn | None]] = {}

    def find(self, name: str, key: str) -> Drawn | None:
        """What was drawn under a name from just this; None where nothing was."""
        known = self._open.get(name)
        if known is None or known[0] != key or known[1] is None:
            found = self.arrays(name, key)
            drawn = None if found is None else Drawn(found["numbers"], found["ends"], found["body"])
            self._open[name] = known = (key, drawn)
        return known[1]

    def keep(self, name: str, key: str, tiles: Mapping[int, bytes]) -> None:
        """Keep tiles by number under a name; those drawn from something else go."""
        body = b"".join(tiles.values())
        self.keep_arrays(
            name,
            key,
            {
                "numbers": np.array(list(tiles), dtype=np.int64),
                "ends": np.cumsum([len(one) for one in tiles.values()], dtype=np.int64),
                "body": np.frombuffer(body, dtype=np.uint8),
            },
        )

    def arrays(self, name: str, key: str) -> dict[str, NDArray[Any]] | None:
        """Arrays kept under a name and key, mapped into memory; None where they are not whole."""
        return arrays.kept(self._folder / f"{name}-{key}")

    def keep_arrays(self, name: str, key: str, found: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under a name; those under another key go."""
        arrays.keep(self._folder / f"{name}-{key}", found)
        for old in self._folder.glob(f"{name}-*"):
            if old.name != f"{name}-{key}" and "-" not in old.name.removeprefix(f"{name}-"):
                with contextlib.suppress(OSError):  # another process has it open, where that forbids it
                    shutil.rmtree(old)
