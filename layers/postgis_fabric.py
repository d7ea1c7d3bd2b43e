"""The parcel fabric in PostgreSQL: the same tables, its boxes in the GiST index over the states' ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from pyproj import CRS

from layers.fabric_register import Register
from layers.fabric_sql import STATES
from layers.postgres import with_srid
from layers.records import Geoms
from layers.tables import Tables


class PostgisFabric(Register):
    """The fabric of one county in a database."""

    _boxes = STATES

    def __init__(
        self, tables: Tables, crs: CRS, read: Callable[[str, str], tuple[pd.DataFrame, Geoms]], srid: int
    ) -> None:
        super().__init__(tables, crs, read)
        self._srid = srid
        self._within = f"s.geometry && ST_MakeEnvelope(:west, :south, :east, :north, {srid})"

    def _store(self, rows: Sequence[tuple[Any, ...]]) -> None:
        told = ((state, parcel, with_srid(wkb, self._srid).hex(), *rest) for state, parcel, wkb, *rest in rows)
        super()._store(list(told))
