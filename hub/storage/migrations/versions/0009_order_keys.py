"""Orders from an information system: which of its keys became which order, so that one sent twice is placed once."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "order_key", sa.Column("id", whole, primary_key=True, autoincrement=True), sa.Column("sender_id", whole, nullable=False),
        sa.Column("key", sa.String(128), nullable=False), sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("order_id", whole, nullable=False), sa.Column("received_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["sender_id"], ["device.id"], name="fk_order_key_sender_id"),
        sa.ForeignKeyConstraint(["order_id"], ["exam_order.id"], name="fk_order_key_order_id"), sa.PrimaryKeyConstraint("id", name="pk_order_key"),
        sa.UniqueConstraint("sender_id", "key", name="uq_order_key_sender_id_key"))


def downgrade() -> None:
    op.drop_table("order_key")
