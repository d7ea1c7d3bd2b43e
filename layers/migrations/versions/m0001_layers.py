"""The catalogue of layers, and documents."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision: str | None = None

# `written` grows with every change of a row, so that a sum of it tells whether anything changed.
UPGRADE = (
    "CREATE SEQUENCE parkplan_written",
    'CREATE TABLE parkplan_county (key TEXT COLLATE "C" PRIMARY KEY, value TEXT NOT NULL)',
    """
    CREATE TABLE parkplan_layers (
        role TEXT COLLATE "C" NOT NULL, version INTEGER NOT NULL, table_name TEXT COLLATE "C" NOT NULL UNIQUE,
        digest TEXT COLLATE "C" NOT NULL, source TEXT NOT NULL, vintage TEXT, extent BYTEA NOT NULL,
        loaded INTEGER NOT NULL, rejected INTEGER NOT NULL, synthetic INTEGER NOT NULL, fields TEXT NOT NULL,
        imported_at TEXT COLLATE "C" NOT NULL, imported_by TEXT NOT NULL, found TEXT NOT NULL DEFAULT '{}',
        accuracy_m DOUBLE PRECISION, classification TEXT NOT NULL DEFAULT '内部', approved_by TEXT,
        PRIMARY KEY (role, version))
    """,
    # how a layer's table is read back: its columns as Arrow's schema, or the frame of its grid as JSON
    'CREATE TABLE parkplan_tables (table_name TEXT COLLATE "C" PRIMARY KEY, columns BYTEA, grid TEXT)',
    """
    CREATE TABLE parkplan_documents (
        kind TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, body TEXT NOT NULL, saved_at TEXT NOT NULL,
        written BIGINT NOT NULL DEFAULT nextval('parkplan_written'), PRIMARY KEY (kind, key))
    """,
    """
    CREATE FUNCTION parkplan_rewritten() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.written := nextval((quote_ident(TG_TABLE_SCHEMA) || '.parkplan_written')::regclass);
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER parkplan_documents_rewritten BEFORE UPDATE ON parkplan_documents"
    " FOR EACH ROW EXECUTE FUNCTION parkplan_rewritten()",
)
TABLES = ("documents", "tables", "layers", "county")


def upgrade() -> None:
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Back to a schema without a county; refused while it holds layers or documents."""
    held = op.get_bind().execute(
        text("SELECT (SELECT count(*) FROM parkplan_layers) + (SELECT count(*) FROM parkplan_documents)")
    )
    if count := held.scalar_one():
        raise RuntimeError(f"{count} layers and documents would be lost")
    for table in TABLES:
        op.execute(f"DROP TABLE parkplan_{table}")
    op.execute("DROP FUNCTION parkplan_rewritten")
    op.execute("DROP SEQUENCE parkplan_written")
