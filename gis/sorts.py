"""Which features of a layer count, by what they say of themselves: those that certainly do and those that may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from layers.records import Bools


class Sort(Protocol):
    """Which features of a layer count: those that certainly do and those that may."""

    def __call__(self, features: pd.DataFrame) -> tuple[Bools, Bools]: ...


@dataclass(frozen=True)
class IsIn:
    """Features whose column holds one of the values; null may be any of them."""

    column: str
    values: tuple[object, ...]

    def __call__(self, features: pd.DataFrame) -> tuple[Bools, Bools]:
        if self.column not in features:
            none = np.zeros(len(features), dtype=bool)
            return none, ~none
        column = features[self.column]
        certain = column.isin(self.values).to_numpy(dtype=bool)
        return certain, certain | column.isna().to_numpy(dtype=bool)


@dataclass(frozen=True)
class Within:
    """Features whose number lies in [low, high]; null may lie there."""

    column: str
    low: float
    high: float

    def __call__(self, features: pd.DataFrame) -> tuple[Bools, Bools]:
        if self.column not in features:
            none = np.zeros(len(features), dtype=bool)
            return none, ~none
        column = features[self.column].to_numpy(dtype=float)
        certain = (column >= self.low) & (column <= self.high)
        return certain, certain | np.isnan(column)
