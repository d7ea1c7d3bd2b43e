"""The county as the thinking sees it: layers of one day as snapshots, asked for one year."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import Protocol

from pyproj import CRS

from layers.errors import ParkError, Unreachable
from layers.ledger import placed
from layers.ledger.keeping import Ledger, Left
from layers.records import Bounds, Layer, Raster, Snapshot

log = logging.getLogger(__name__)


class Source(Protocol):
    """What a world asks of its store."""

    crs: CRS
    ledger: Ledger

    def left(self, until: int | None = None) -> Left: ...

    def snapshot(self, layer: Layer) -> Snapshot | Raster: ...


class StoredWorld:
    """The county as of one day, asked for one year. What opens later is not there yet."""

    def __init__(
        self,
        store: Source,
        as_of: date,
        for_year: int,
        layers: Mapping[str, Layer],
        pools: Mapping[str, float] | None = None,
        until: int | None = None,
    ) -> None:
        self._store = store
        self._layers = layers
        self.as_of = as_of
        self.for_year = for_year
        self.crs = store.crs
        self._pools = pools
        self._until = until
        self.books: int | None = None  # the entry after which the pools were read

    @property
    def labels(self) -> dict[str, str]:
        """Role -> the version it is seen in; not `placed`, which changes with every entry of the books."""
        return {role: layer.label for role, layer in sorted(self._layers.items()) if role != placed.ROLE}

    def near(self, role: str, bounds: Bounds) -> Snapshot | None:
        if role == placed.ROLE:  # changes all the time, and only what is near matters
            return placed.snapshot(self._store.ledger, self._layers[role], bounds) if role in self._layers else None
        # The whole layer is mapped once per process, so that a window of it would cost more than all of it.
        found = self._load(role)
        if not isinstance(found, Snapshot):
            return None
        if "open_year" in found.features:
            opens = found.once("open_year", lambda layer: layer.features["open_year"].to_numpy(dtype=float))
            return found.once(("open", self.for_year), lambda layer: layer.where(~(opens > self.for_year)))
        return found

    def raster(self, role: str) -> Raster | None:
        found = self._load(role)
        return found if isinstance(found, Raster) else None

    def pools(self) -> Mapping[str, float]:
        if self._pools is None:
            left = self._store.left(self._until)
            self._pools, self.books = left.by_account, left.seq
        return self._pools

    def _load(self, role: str) -> Snapshot | Raster | None:
        layer = self._layers.get(role)
        if layer is None:
            return None
        try:
            return self._store.snapshot(layer)
        except Unreachable:
            raise
        except (ParkError, OSError):
            # A layer that cannot be read is a layer nobody loaded: the rules on it answer unknown.
            log.exception("the layer %s cannot be read", layer.label)
            return None
