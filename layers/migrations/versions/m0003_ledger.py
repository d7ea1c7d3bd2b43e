"""The books: a journal that only grows, what it comes to, and the one function that writes both."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision: str | None = "0002"

TABLES = ("holds", "reservations", "balances", "answers", "grounds", "postings", "entries")
GROWING = ("entries", "postings", "grounds", "answers")
SOURCES = ("granted", "transferred_in", "carried_in", "advanced")
BUCKETS = (*SOURCES, "transferred_out", "recalled", "available", "reserved", "locked", "spent")
AMOUNTS = ", ".join(f"{bucket} BIGINT NOT NULL CHECK ({bucket} >= 0)" for bucket in BUCKETS)
UPGRADE = (
    """
    CREATE TABLE parkplan_ledger_entries (
        seq BIGINT PRIMARY KEY, at TEXT COLLATE "C" NOT NULL, actor TEXT NOT NULL, event TEXT NOT NULL,
        document_number TEXT, document_date TEXT, note TEXT NOT NULL, project TEXT, batch TEXT,
        reservation TEXT COLLATE "C", parcels TEXT NOT NULL, ground TEXT, reverses BIGINT, detail TEXT NOT NULL,
        previous TEXT NOT NULL, hash TEXT NOT NULL, CHECK ((document_number IS NULL) = (document_date IS NULL)))
    """,
    """
    CREATE TABLE parkplan_ledger_postings (
        seq BIGINT NOT NULL, line INTEGER NOT NULL, account TEXT COLLATE "C" NOT NULL, debit TEXT NOT NULL,
        credit TEXT NOT NULL, amount BIGINT NOT NULL CHECK (amount >= 0), PRIMARY KEY (seq, line))
    """,
    'CREATE TABLE parkplan_ledger_grounds (digest TEXT COLLATE "C" PRIMARY KEY, wkb BYTEA NOT NULL)',
    """
    CREATE TABLE parkplan_ledger_answers (
        actor TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, request TEXT NOT NULL, answer TEXT NOT NULL,
        at TEXT NOT NULL, PRIMARY KEY (actor, key))
    """,
    # rewritten all the time: room for the next version of a row beside it
    f"""
    CREATE TABLE parkplan_ledger_balances (
        account TEXT COLLATE "C" PRIMARY KEY, holder TEXT COLLATE "C" NOT NULL, {AMOUNTS},
        CHECK (granted + transferred_in + carried_in + advanced - transferred_out - recalled
               = available + reserved + locked + spent)) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE parkplan_ledger_reservations (
        id TEXT COLLATE "C" PRIMARY KEY, state TEXT NOT NULL, version BIGINT NOT NULL, expires_at TEXT COLLATE "C",
        body TEXT NOT NULL)
    """,
    """
    CREATE TABLE parkplan_ledger_holds (
        hold BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, reservation TEXT COLLATE "C" NOT NULL,
        ground TEXT COLLATE "C" NOT NULL, taken BIGINT NOT NULL, freed BIGINT, bounds BOX NOT NULL)
    """,
    "CREATE INDEX ON parkplan_ledger_entries (at)",
    "CREATE INDEX ON parkplan_ledger_entries (reservation, seq) WHERE reservation IS NOT NULL",
    "CREATE INDEX ON parkplan_ledger_entries (reverses) WHERE reverses IS NOT NULL",
    "CREATE INDEX ON parkplan_ledger_postings (account, seq)",
    "CREATE INDEX ON parkplan_ledger_balances (holder)",
    "CREATE INDEX ON parkplan_ledger_reservations (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE INDEX ON parkplan_ledger_holds USING gist (bounds) WHERE freed IS NULL",
    "CREATE INDEX ON parkplan_ledger_holds USING gist (bounds)",
    "CREATE INDEX ON parkplan_ledger_holds (taken)",
    "CREATE INDEX ON parkplan_ledger_holds (freed) WHERE freed IS NOT NULL",
    "CREATE INDEX ON parkplan_ledger_holds (reservation) WHERE freed IS NULL",
    """
    CREATE FUNCTION parkplan_ledger_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger only grows';
    END $$
    """,
    *(
        f"CREATE TRIGGER parkplan_ledger_{table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE"
        f" ON parkplan_ledger_{table} FOR EACH STATEMENT EXECUTE FUNCTION parkplan_ledger_only_grows()"
        for table in GROWING
    ),
    # Everything that requests made of the books, in one call, by one writer at a time (the lock `ledger`): statements
    # that each take rows of balances in an order of their own would wait for each other for ever.
    f"""
    CREATE FUNCTION parkplan_ledger_write(said jsonb) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        head jsonb := said -> 'entries' -> 0;
    BEGIN
        IF head ->> 'previous' <> coalesce(
            (SELECT hash FROM parkplan_ledger_entries ORDER BY seq DESC LIMIT 1), repeat('0', 64))
        THEN
            RAISE EXCEPTION 'entry % does not follow the last one', head ->> 'seq';
        END IF;
        INSERT INTO parkplan_ledger_entries
            SELECT * FROM jsonb_populate_recordset(NULL::parkplan_ledger_entries, said -> 'entries');
        INSERT INTO parkplan_ledger_postings
            SELECT * FROM jsonb_populate_recordset(NULL::parkplan_ledger_postings, said -> 'postings');
        INSERT INTO parkplan_ledger_balances
            SELECT * FROM jsonb_populate_recordset(NULL::parkplan_ledger_balances, said -> 'balances')
            ON CONFLICT (account) DO UPDATE SET {", ".join(f"{one} = excluded.{one}" for one in BUCKETS)};
        INSERT INTO parkplan_ledger_grounds
            SELECT * FROM jsonb_populate_recordset(NULL::parkplan_ledger_grounds, said -> 'grounds')
            ON CONFLICT (digest) DO NOTHING;
        INSERT INTO parkplan_ledger_reservations
            SELECT * FROM jsonb_populate_recordset(NULL::parkplan_ledger_reservations, said -> 'reservations')
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, version = excluded.version,
                expires_at = excluded.expires_at, body = excluded.body;
        UPDATE parkplan_ledger_holds held SET freed = one.freed
            FROM jsonb_populate_recordset(NULL::parkplan_ledger_holds, said -> 'frees') one
            WHERE held.reservation = one.reservation AND held.freed IS NULL;
        INSERT INTO parkplan_ledger_holds (reservation, ground, taken, freed, bounds)
            SELECT reservation, ground, taken, freed, bounds
            FROM jsonb_populate_recordset(NULL::parkplan_ledger_holds, said -> 'holds');
        INSERT INTO parkplan_ledger_answers
            SELECT * FROM jsonb_populate_recordset(NULL::parkplan_ledger_answers, said -> 'answers');
    END $$
    """,
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(text(statement.replace(":", "\\:")))


def downgrade() -> None:
    """Refused where anything was entered: no other table holds it."""
    if count := op.get_bind().execute(text("SELECT count(*) FROM parkplan_ledger_entries")).scalar_one():
        raise RuntimeError(f"{count} entries of the ledger would be lost")
    op.execute("DROP FUNCTION parkplan_ledger_write")
    for table in TABLES:
        op.execute(f"DROP TABLE parkplan_ledger_{table}")
    op.execute("DROP FUNCTION parkplan_ledger_only_grows")
