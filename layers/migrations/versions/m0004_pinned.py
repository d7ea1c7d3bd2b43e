"""What answers were worked out from, by its digest, is not altered."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION parkplan_pinned() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'what answers were worked out from is not altered';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER parkplan_documents_pinned BEFORE UPDATE OR DELETE ON parkplan_documents
            FOR EACH ROW WHEN (OLD.kind IN ('rulebook', 'layers')) EXECUTE FUNCTION parkplan_pinned()
    """)


def downgrade() -> None:
    """Nothing is lost but the lock on it."""
    op.execute("DROP TRIGGER parkplan_documents_pinned ON parkplan_documents")
    op.execute("DROP FUNCTION parkplan_pinned")
