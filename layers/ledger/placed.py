"""Ground that is held, as the layer `placed`: checks and searches see it as they see any other."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import shapely

from layers.errors import UnknownName
from layers.ledger.keeping import Ledger
from layers.records import Bounds, Geoms, Layer, Snapshot
from layers.snapshot import cut

ROLE = "placed"
MARK = "ledger-"
EVERYWHERE = shapely.box(-1e8, -1e8, 1e8, 1e8)  # who holds ground is known everywhere: the books are the only place


def layer(ledger: Ledger, seq: int | None = None) -> Layer:
    """What was held after an entry (default: the last). The version is the entry that last took or freed ground."""
    return _layer(ledger.held_since(seq))


def _layer(version: int) -> Layer:
    return Layer(ROLE, version, f"{MARK}{version:05d}", "ledger", EVERYWHERE, loaded=0, accuracy_m=0.0)


def labelled(label: str) -> Layer:
    """The layer as an answer saw it, by its label: the journal never changes, so its version says it all."""
    version = re.fullmatch(rf"{ROLE}@(\d+):.*", label)
    if version is None:
        raise UnknownName(f"this county has no layer {label}", role=ROLE)
    return _layer(int(version[1]))


def whole(ledger: Ledger, of: Layer, bounds: Bounds | None = None) -> tuple[pd.DataFrame, Geoms]:
    """Held ground around the bounds: its reservation as id, for whom it is held, and the ground."""
    held = ledger.holds(of.version, bounds)
    shapes = np.array([*(one.ground for one in held), None], dtype=object)[:-1]
    features = pd.DataFrame(
        {
            "id": [one.reservation.id for one in held],
            "name": [one.reservation.project or one.reservation.batch for one in held],
            "project": [one.reservation.project for one in held],
            "batch": [one.reservation.batch for one in held],
        },
        dtype=object,
    )
    return features, shapes


def snapshot(ledger: Ledger, of: Layer, bounds: Bounds | None = None) -> Snapshot:
    """Held ground around the bounds, ready to be measured."""
    features, shapes = whole(ledger, of, bounds)
    if not len(shapes):
        return Snapshot(of, features, shapes, np.empty(0, dtype=np.int64), overlapping=False)
    pieces, owner = cut(shapes)
    return Snapshot(of, features, pieces, owner, overlapping=False)
