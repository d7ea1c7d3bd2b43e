"""The tables of the books in a county file.

The journal (entries, postings, grounds, answers) only grows, which triggers see to. Balances, reservations and holds
are what the journal comes to, kept so that nobody has to add it up; `verify` proves that they are equal.
"""

from __future__ import annotations

from layers.ledger.chain import COLUMNS
from layers.ledger.records import BUCKETS

_TEN = ", ".join(
    f"{bucket} INTEGER NOT NULL CHECK (typeof({bucket}) = 'integer' AND {bucket} >= 0)" for bucket in BUCKETS
)
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS parkplan_ledger_entries (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, actor TEXT NOT NULL, event TEXT NOT NULL, document_number TEXT,
    document_date TEXT, note TEXT NOT NULL, project TEXT, batch TEXT, reservation TEXT, parcels TEXT NOT NULL,
    ground TEXT, reverses INTEGER, detail TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL,
    CHECK ((document_number IS NULL) = (document_date IS NULL)));
CREATE TABLE IF NOT EXISTS parkplan_ledger_postings (
    seq INTEGER NOT NULL, line INTEGER NOT NULL, account TEXT NOT NULL, debit TEXT NOT NULL, credit TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (typeof(amount) = 'integer' AND amount >= 0), PRIMARY KEY (seq, line)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parkplan_ledger_grounds (digest TEXT PRIMARY KEY, wkb BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS parkplan_ledger_answers (
    actor TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, answer TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (actor, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parkplan_ledger_balances (
    account TEXT PRIMARY KEY, holder TEXT NOT NULL, {_TEN},
    CHECK (granted + transferred_in + carried_in + advanced - transferred_out - recalled
           = available + reserved + locked + spent)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parkplan_ledger_reservations (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL, expires_at TEXT, body TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parkplan_ledger_holds (
    hold INTEGER PRIMARY KEY, reservation TEXT NOT NULL, ground TEXT NOT NULL, taken INTEGER NOT NULL, freed INTEGER);
CREATE VIRTUAL TABLE IF NOT EXISTS rtree_parkplan_ledger_boxes USING rtree (hold, min_x, max_x, min_y, max_y);
CREATE INDEX IF NOT EXISTS parkplan_ledger_postings_account ON parkplan_ledger_postings (account, seq);
CREATE INDEX IF NOT EXISTS parkplan_ledger_entries_reservation ON parkplan_ledger_entries (reservation, seq)
    WHERE reservation IS NOT NULL;
CREATE INDEX IF NOT EXISTS parkplan_ledger_entries_reverses ON parkplan_ledger_entries (reverses)
    WHERE reverses IS NOT NULL;
CREATE INDEX IF NOT EXISTS parkplan_ledger_balances_holder ON parkplan_ledger_balances (holder);
CREATE INDEX IF NOT EXISTS parkplan_ledger_reservations_due ON parkplan_ledger_reservations (expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS parkplan_ledger_holds_taken ON parkplan_ledger_holds (taken);
CREATE INDEX IF NOT EXISTS parkplan_ledger_holds_freed ON parkplan_ledger_holds (freed) WHERE freed IS NOT NULL;
CREATE INDEX IF NOT EXISTS parkplan_ledger_holds_live ON parkplan_ledger_holds (reservation) WHERE freed IS NULL;
""" + "".join(
    f"""
CREATE TRIGGER IF NOT EXISTS parkplan_ledger_{table}_stays BEFORE UPDATE ON parkplan_ledger_{table}
    BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS parkplan_ledger_{table}_keeps BEFORE DELETE ON parkplan_ledger_{table}
    BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS parkplan_ledger_{table}_grows BEFORE INSERT ON parkplan_ledger_{table}
    WHEN EXISTS (SELECT 1 FROM parkplan_ledger_{table} WHERE {same})
    BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
"""
    for table, same in (
        ("entries", "seq = NEW.seq"),
        ("postings", "seq = NEW.seq AND line = NEW.line"),
        ("grounds", "digest = NEW.digest"),
        ("answers", "actor = NEW.actor AND key = NEW.key"),
    )
)
ROW = ", ".join(COLUMNS)
TEN = ", ".join(BUCKETS)
LAST = "SELECT seq, at, hash FROM parkplan_ledger_entries ORDER BY seq DESC LIMIT 1"
INSERT_ENTRY = (
    f"INSERT INTO parkplan_ledger_entries ({ROW}, previous, hash) VALUES ({', '.join('?' * (len(COLUMNS) + 2))})"
)
INSERT_POSTING = "INSERT INTO parkplan_ledger_postings VALUES (?,?,?,?,?,?)"
PUT_BALANCE = (
    f"INSERT INTO parkplan_ledger_balances (account, holder, {TEN}) VALUES ({', '.join('?' * (len(BUCKETS) + 2))})"
    " ON CONFLICT (account) DO UPDATE SET " + ", ".join(f"{bucket} = excluded.{bucket}" for bucket in BUCKETS)
)
PUT_RESERVATION = "INSERT OR REPLACE INTO parkplan_ledger_reservations VALUES (?,?,?,?,?)"
BOXED = "b.max_x >= ? AND b.min_x <= ? AND b.max_y >= ? AND b.min_y <= ?"
NEAR = (
    "SELECT h.reservation, g.wkb FROM rtree_parkplan_ledger_boxes b"
    " CROSS JOIN parkplan_ledger_holds h ON h.hold = b.hold JOIN parkplan_ledger_grounds g ON g.digest = h.ground"
    f" WHERE {BOXED} AND h.freed IS NULL"
)
HELD = (
    "SELECT r.body, g.wkb, h.taken, h.freed FROM rtree_parkplan_ledger_boxes b"
    " CROSS JOIN parkplan_ledger_holds h ON h.hold = b.hold JOIN parkplan_ledger_grounds g ON g.digest = h.ground"
    " JOIN parkplan_ledger_reservations r ON r.id = h.reservation"
    f" WHERE {BOXED} AND h.taken <= ? AND (h.freed IS NULL OR h.freed > ?) ORDER BY h.hold"
)
DUE = (
    "SELECT id FROM parkplan_ledger_reservations WHERE expires_at IS NOT NULL AND expires_at <= ?"
    " ORDER BY expires_at LIMIT 200"
)
