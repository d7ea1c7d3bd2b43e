"""The tables of the parcel fabric in a county file, and the queries over them.

A state stands on a day, by what was known at an event, where it was opened by then and not ended by then: an end
that was recorded later does not count, whatever day it speaks of.
"""

from __future__ import annotations

FOREVER = "9999-12-31"
EVERYTHING = 2**62  # more events than there will be
EVER = "SELECT 1 FROM parkplan_parcel_states WHERE parcel = ?"
EFFECTIVE = "SELECT effective_on FROM parkplan_parcel_events WHERE seq = ?"
ENDED_LATER = (
    "SELECT s.parcel FROM parkplan_parcel_ends e JOIN parkplan_parcel_states s USING (state) WHERE e.valid_to > ?"
)
TOUCHED = " UNION ALL ".join(
    f"SELECT s.parcel, s.geometry FROM parkplan_parcel_events v {states}"
    " WHERE v.kind <> 'survey' AND v.effective_on > :first AND v.effective_on <= :last"
    for states in (
        "JOIN parkplan_parcel_states s ON s.opened_by = v.seq",
        "JOIN parkplan_parcel_ends e ON e.closed_by = v.seq JOIN parkplan_parcel_states s USING (state)",
    )
)
SURVEY = "SELECT seq FROM parkplan_parcel_events WHERE layer_version = ?"
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
STATE = (
    "s.state, s.parcel, s.geometry, s.attributes, s.valid_from, s.opened_by, s.resumes, e.valid_to, e.closed_by"
    " FROM {source} LEFT JOIN parkplan_parcel_ends e ON e.state = s.state AND e.closed_by <= :known"
)
STATES = "parkplan_parcel_states s"
BOXES = "rtree_parkplan_parcel_boxes b CROSS JOIN parkplan_parcel_states s ON s.state = b.state"
STANDS = "s.opened_by <= :known AND s.valid_from <= :valid AND (e.valid_to IS NULL OR e.valid_to > :valid)"
WITHIN = "b.max_x >= :west AND b.min_x <= :east AND b.max_y >= :south AND b.min_y <= :north"
EVENT = (
    "seq, kind, effective_on, recorded_at, actor, document_number, document_date, note, layer_version, undoes,"
    " settled_m2"
)
