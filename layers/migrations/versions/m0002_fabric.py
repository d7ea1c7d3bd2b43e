"""The parcel fabric: four tables that only grow; a GiST index over the ground of the states."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision: str | None = "0001"

TABLES = ("events", "states", "ends", "links")
UPGRADE = (
    """
    CREATE TABLE parkplan_parcel_events (
        seq BIGINT PRIMARY KEY, kind TEXT COLLATE "C" NOT NULL, effective_on TEXT COLLATE "C" NOT NULL,
        recorded_at TEXT COLLATE "C" NOT NULL, actor TEXT NOT NULL, document_number TEXT, document_date TEXT,
        note TEXT NOT NULL DEFAULT '', layer_version INTEGER, undoes BIGINT,
        settled_m2 DOUBLE PRECISION NOT NULL DEFAULT 0,
        CHECK (kind IN ('survey', 'register', 'split', 'merge', 'adjust', 'retire', 'restore')),
        CHECK (kind = 'survey' OR (document_number IS NOT NULL AND document_date IS NOT NULL)))
    """,
    """
    CREATE TABLE parkplan_parcel_states (
        state BIGINT PRIMARY KEY, parcel TEXT COLLATE "C" NOT NULL, geometry geometry NOT NULL,
        attributes TEXT NOT NULL, valid_from TEXT COLLATE "C" NOT NULL, opened_by BIGINT NOT NULL, resumes BIGINT)
    """,
    """
    CREATE TABLE parkplan_parcel_ends (
        state BIGINT PRIMARY KEY, valid_to TEXT COLLATE "C" NOT NULL, closed_by BIGINT NOT NULL)
    """,
    """
    CREATE TABLE parkplan_parcel_links (
        child BIGINT NOT NULL, parent BIGINT NOT NULL, shared_m2 DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (child, parent))
    """,
    "CREATE INDEX ON parkplan_parcel_events (layer_version) WHERE layer_version IS NOT NULL",
    "CREATE INDEX ON parkplan_parcel_events (recorded_at)",
    "CREATE INDEX ON parkplan_parcel_states (parcel)",
    "CREATE INDEX ON parkplan_parcel_states (opened_by)",
    "CREATE INDEX ON parkplan_parcel_states USING gist (geometry)",
    "CREATE INDEX ON parkplan_parcel_ends (closed_by)",
    "CREATE INDEX ON parkplan_parcel_links (parent)",
    """
    CREATE FUNCTION parkplan_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the parcel fabric only grows';
    END $$
    """,
    *(
        f"CREATE TRIGGER parkplan_parcel_{table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE"
        f" ON parkplan_parcel_{table} FOR EACH STATEMENT EXECUTE FUNCTION parkplan_only_grows()"
        for table in TABLES
    ),
)


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Surveys are registered again from their layers; refused where parcels were changed, which no layer holds."""
    changes = op.get_bind().execute(text("SELECT count(*) FROM parkplan_parcel_events WHERE kind <> 'survey'"))
    if count := changes.scalar_one():
        raise RuntimeError(f"{count} recorded changes of parcels would be lost")
    for table in TABLES:
        op.execute(f"DROP TABLE parkplan_parcel_{table}")
    op.execute("DROP FUNCTION parkplan_only_grows")
