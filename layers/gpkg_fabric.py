"""The parcel fabric in a county file: four tables that only grow, and an R-tree over the boxes of the states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import shapely

from layers.fabric_register import Register

KEYS = {"events": "seq", "states": "state", "ends": "state"}
SCHEMA = """
CREATE TABLE IF NOT EXISTS parkplan_parcel_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, effective_on TEXT NOT NULL, recorded_at TEXT NOT NULL,
    actor TEXT NOT NULL, document_number TEXT, document_date TEXT, note TEXT NOT NULL DEFAULT '',
    layer_version INTEGER, undoes INTEGER, settled_m2 REAL NOT NULL DEFAULT 0,
    CHECK (kind IN ('survey', 'register', 'split', 'merge', 'adjust', 'retire', 'restore')),
    CHECK (kind = 'survey' OR (document_number IS NOT NULL AND document_date IS NOT NULL)));
CREATE TABLE IF NOT EXISTS parkplan_parcel_states (
    state INTEGER PRIMARY KEY, parcel TEXT NOT NULL, geometry BLOB NOT NULL, attributes TEXT NOT NULL,
    valid_from TEXT NOT NULL, opened_by INTEGER NOT NULL, resumes INTEGER);
CREATE TABLE IF NOT EXISTS parkplan_parcel_ends (
    state INTEGER PRIMARY KEY, valid_to TEXT NOT NULL, closed_by INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS parkplan_parcel_links (
    child INTEGER NOT NULL, parent INTEGER NOT NULL, shared_m2 REAL NOT NULL,
    PRIMARY KEY (child, parent)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parkplan_parcel_events_version ON parkplan_parcel_events (layer_version)
    WHERE layer_version IS NOT NULL;
CREATE INDEX IF NOT EXISTS parkplan_parcel_events_time ON parkplan_parcel_events (recorded_at);
CREATE INDEX IF NOT EXISTS parkplan_parcel_states_parcel ON parkplan_parcel_states (parcel);
CREATE INDEX IF NOT EXISTS parkplan_parcel_states_opened ON parkplan_parcel_states (opened_by);
CREATE INDEX IF NOT EXISTS parkplan_parcel_ends_closed ON parkplan_parcel_ends (closed_by);
CREATE INDEX IF NOT EXISTS parkplan_parcel_links_parent ON parkplan_parcel_links (parent);
CREATE VIRTUAL TABLE IF NOT EXISTS rtree_parkplan_parcel_boxes USING rtree (state, min_x, max_x, min_y, max_y);
""" + "".join(
    f"""
CREATE TRIGGER IF NOT EXISTS parkplan_parcel_{table}_stays BEFORE UPDATE ON parkplan_parcel_{table}
    BEGIN SELECT RAISE(ABORT, 'the parcel fabric only grows'); END;
CREATE TRIGGER IF NOT EXISTS parkplan_parcel_{table}_keeps BEFORE DELETE ON parkplan_parcel_{table}
    BEGIN SELECT RAISE(ABORT, 'the parcel fabric only grows'); END;
CREATE TRIGGER IF NOT EXISTS parkplan_parcel_{table}_grows BEFORE INSERT ON parkplan_parcel_{table}
    WHEN EXISTS (SELECT 1 FROM parkplan_parcel_{table} WHERE {same})
    BEGIN SELECT RAISE(ABORT, 'the parcel fabric only grows'); END;
"""
    for table, same in (
        *((table, f"{key} = NEW.{key}") for table, key in KEYS.items()),
        ("links", "child = NEW.child AND parent = NEW.parent"),
    )
)


class GeoPackageFabric(Register):
    """The fabric of one county file."""

    _boxes = "rtree_parkplan_parcel_boxes b CROSS JOIN parkplan_parcel_states s ON s.state = b.state"
    _within = "b.max_x >= :west AND b.min_x <= :east AND b.max_y >= :south AND b.min_y <= :north"

    def _store(self, rows: Sequence[tuple[Any, ...]]) -> None:
        super()._store(rows)
        boxes = shapely.bounds(shapely.from_wkb([row[2] for row in rows])).reshape(-1, 4)[:, [0, 2, 1, 3]].tolist()
        trees = ((row[0], *box) for row, box in zip(rows, boxes, strict=True))
        self._tables.append("rtree_parkplan_parcel_boxes", trees)
