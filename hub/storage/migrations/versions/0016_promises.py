"""Instances that a device asked storage commitment for and that were not here: evidence that a study lacks some."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "promise", sa.Column("id", number, primary_key=True, autoincrement=True), sa.Column("site_id", number, nullable=False),
        sa.Column("study_uid", sa.String(128), nullable=False), sa.Column("sop_uid", sa.String(128), nullable=False), sa.Column("at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_promise_site_id"), sa.PrimaryKeyConstraint("id", name="pk_promise"))
    op.create_index("ix_promise_study_uid_site_id", "promise", ["study_uid", "site_id"])


def downgrade() -> None:
    op.drop_table("promise")
