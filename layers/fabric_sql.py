"""The queries over the tables of the parcel fabric, in words of both stores; the tables are in each store's own.

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
STATE = (
    "s.state, s.parcel, s.geometry, s.attributes, s.valid_from, s.opened_by, s.resumes, e.valid_to, e.closed_by"
    " FROM {source} LEFT JOIN parkplan_parcel_ends e ON e.state = s.state AND e.closed_by <= :known"
)
STATES = "parkplan_parcel_states s"
STANDS = "s.opened_by <= :known AND s.valid_from <= :valid AND (e.valid_to IS NULL OR e.valid_to > :valid)"
EVENT = (
    "seq, kind, effective_on, recorded_at, actor, document_number, document_date, note, layer_version, undoes,"
    " settled_m2"
)
