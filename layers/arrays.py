"""Arrays that are dear to make and cheap to keep: under a key that says what they were made of, in the cache folder.

Whatever lies there can be made again; a folder that is not whole counts as not there.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.snapshot import staging

WHOLE = "whole"  # written last: without it the folder was cut short


def keep(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays to a folder that appears wholly or not at all; one that is there stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with staging(folder.parent) as place:
        made = place / "made"
        made.mkdir()
        for name, values in arrays.items():
            np.save(made / f"{name}.npy", values)
        (made / WHOLE).write_text("")
        if not (folder / WHOLE).is_file():
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was faster
                made.rename(folder)


def kept(folder: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of a folder, mapped into memory; None where they are not whole."""
    if not (folder / WHOLE).is_file():
        return None
    try:
        return {file.stem: np.load(file, mmap_mode="r") for file in sorted(folder.glob("*.npy"))}
    except (OSError, ValueError):
        return None
