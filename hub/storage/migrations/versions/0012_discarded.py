"""What is left of a discarded object of the quarantine desk whose bytes were removed by rule."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "held_removal", sa.Column("id", number, primary_key=True, autoincrement=True), sa.Column("held_id", number, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False), sa.Column("size", sa.BigInteger(), nullable=False), sa.Column("files", sa.JSON(), nullable=False),
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in (("rule", 32), ("rules_version", 32), ("kept_until", 10))),
        sa.Column("account_id", number, nullable=True), sa.Column("who", sa.String(64), nullable=False),
        sa.Column("at", Moment(), nullable=False), sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["held_id"], ["held.id"], name="fk_held_removal_held_id"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_held_removal_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_held_removal"), sa.UniqueConstraint("held_id", name="uq_held_removal_held_id"))
    op.create_index("ix_held_removal_sha256", "held_removal", ["sha256"])


def downgrade() -> None:
    op.drop_table("held_removal")
