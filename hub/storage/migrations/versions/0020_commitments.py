"""What devices asked storage commitment for, until each has its answer."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "commitment", sa.Column("id", number, primary_key=True, autoincrement=True), sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("site_id", number, nullable=False), sa.Column("device_name", sa.String(128), nullable=False),
        sa.Column("address", sa.String(64), nullable=False), sa.Column("ae_title", sa.String(16), nullable=False),
        sa.Column("named", sa.JSON(), nullable=False), sa.Column("count", sa.Integer(), nullable=False), sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False), sa.Column("error", sa.String(512), nullable=False),
        sa.Column("created_at", Moment(), nullable=False), sa.Column("due_at", Moment(), nullable=False), sa.Column("delivered_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_commitment_site_id"), sa.PrimaryKeyConstraint("id", name="pk_commitment"))
    op.create_index("ix_commitment_state_due_at", "commitment", ["state", "due_at"])


def downgrade() -> None:
    op.drop_table("commitment")
