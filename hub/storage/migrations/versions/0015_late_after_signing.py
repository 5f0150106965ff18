"""Signed reports to which images were added since are found at once, and when somebody said that they stand."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

WHICH = "state IN ('final', 'amended') AND late_images"      # SQLite compares the text: it is written as the query writes it


def upgrade() -> None:
    op.add_column("reading", sa.Column("late_seen_at", Moment(), nullable=True))
    op.create_index("ix_reading_signed_late", "reading", ["changed_at"], sqlite_where=sa.text(f"{WHICH} = 1"), postgresql_where=sa.text(WHICH))


def downgrade() -> None:
    op.drop_index("ix_reading_signed_late", "reading")
    op.drop_column("reading", "late_seen_at")
