"""Rules per device, where each stood and when, what its visits and checks were like, and what the doors refused."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def _number():
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key():
    return sa.Column("id", _number(), primary_key=True, autoincrement=True)


def _device(table):
    return (sa.Column("device_id", _number(), nullable=False),
            sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=f"fk_{table}_device_id"))


def upgrade() -> None:
    op.add_column("device", sa.Column("rules", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "device_site", _key(), *_device("device_site"), sa.Column("site_id", _number(), nullable=False),
        sa.Column("from_at", Moment(), nullable=False), sa.Column("until_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_device_site_site_id"), sa.PrimaryKeyConstraint("id", name="pk_device_site"))
    op.create_index("ix_device_site_device_id", "device_site", ["device_id"])
    op.execute("INSERT INTO device_site (device_id, site_id, from_at) SELECT id, site_id, created_at FROM device")
    op.create_table(
        "device_visit", _key(), *_device("device_visit"), sa.Column("began_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=False), sa.Column("address", sa.String(64), nullable=False),
        sa.Column("called", sa.String(64), nullable=False), sa.Column("longest_pdu", sa.BigInteger(), nullable=False),
        sa.Column("implementation", sa.String(128), nullable=False), sa.Column("tls", sa.String(64), nullable=False),
        sa.Column("offered", sa.JSON(), nullable=False), sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False), sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("ending", sa.String(16), nullable=False), sa.PrimaryKeyConstraint("id", name="pk_device_visit"))
    op.create_index("ix_device_visit_device_id", "device_visit", ["device_id"])
    op.create_table(
        "device_check", _key(), *_device("device_check"), sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("begun_at", Moment(), nullable=False), sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("asked_by", sa.String(64), nullable=False), sa.Column("after_instance", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False), sa.Column("result", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_device_check"))
    op.create_index("ix_device_check_device_id", "device_check", ["device_id"])
    op.create_table(
        "door_count", _key(), sa.Column("day", sa.String(10), nullable=False), sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False), sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False), sa.Column("last_address", sa.String(64), nullable=False),
        sa.Column("last_words", sa.String(256), nullable=False), sa.PrimaryKeyConstraint("id", name="pk_door_count"),
        sa.UniqueConstraint("day", "reason", "device_id", name="uq_door_count_day_reason_device_id"))


def downgrade() -> None:
    for table in ("door_count", "device_check", "device_visit", "device_site"):
        op.drop_table(table)
    op.drop_column("device", "rules")
