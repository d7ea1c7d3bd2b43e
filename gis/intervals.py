"""A measured column that knows how sure it is: the true value lies between `lo` and `hi`.

Most columns are exact and `hi` is `lo`. They part where the survey ends before the search does, or where a feature
does not say which class it is. NaN on either side means that nothing is known. Nothing here judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from layers.records import Bools, Floats


@dataclass(frozen=True)
class Interval:
    """(P,), (N,) or (P, N) bounds of a column."""

    lo: Floats
    hi: Floats

    @classmethod
    def exact(cls, values: Floats) -> Interval:
        return cls(values, values)

    @classmethod
    def unknown(cls, count: int) -> Interval:
        return cls.exact(np.full(count, np.nan))

    @property
    def is_exact(self) -> bool:
        return self.hi is self.lo

    def where(self, known: Bools) -> Interval:
        """This column where `known`, unknown elsewhere."""
        if known.all():
            return self
        lo = np.where(known, self.lo, np.nan)
        return Interval.exact(lo) if self.is_exact else Interval(lo, np.where(known, self.hi, np.nan))

    def reshape(self, *shape: int) -> Interval:
        lo = self.lo.reshape(shape)
        return Interval(lo, lo if self.is_exact else self.hi.reshape(shape))

    def __getitem__(self, at: Any) -> Interval:
        lo = self.lo[at]
        return Interval(lo, lo if self.is_exact else self.hi[at])


def concatenate(parts: list[Interval]) -> Interval:
    """Blocks of one column, one after the other."""
    if len(parts) == 1:
        return parts[0]
    lo = np.concatenate([part.lo for part in parts])
    if all(part.is_exact for part in parts):
        return Interval.exact(lo)
    return Interval(lo, np.concatenate([part.hi for part in parts]))
