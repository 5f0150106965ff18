"""What becomes of a study after it was read: packed originals, legal holds, removals by rule and their tombstones."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def _number():
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key():
    return sa.Column("id", _number(), primary_key=True, autoincrement=True)


def _text(name, length):
    return sa.Column(name, sa.String(length), nullable=False)


def _to(table, name, to, nullable=False):
    return (sa.Column(name, _number(), nullable=nullable), sa.ForeignKeyConstraint([name], [f"{to}.id"], name=f"fk_{table}_{name}"))


def upgrade() -> None:
    op.create_table(
        "archived", _key(), _text("sha256", 64), *_to("archived", "study_id", "study"), _text("outcome", 16),
        sa.Column("size", sa.BigInteger(), nullable=False), sa.Column("packed_size", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False), sa.Column("dropped_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_archived"), sa.UniqueConstraint("sha256", name="uq_archived_sha256"))
    op.create_index("ix_archived_study_id", "archived", ["study_id"])
    op.create_table(
        "archived_study", _key(), *_to("archived_study", "study_id", "study"), sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False), sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False), sa.Column("packed_size", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False), sa.PrimaryKeyConstraint("id", name="pk_archived_study"),
        sa.UniqueConstraint("study_id", name="uq_archived_study_study_id"))
    op.create_table(
        "legal_hold", _key(), *_to("legal_hold", "study_id", "study"), _text("why", 512), *_to("legal_hold", "account_id", "account", True),
        _text("who", 64), sa.Column("at", Moment(), nullable=False), sa.Column("ended_at", Moment(), nullable=True), _text("ended_by", 64),
        _text("ended_why", 512), sa.PrimaryKeyConstraint("id", name="pk_legal_hold"))
    op.create_index("ix_legal_hold_study_id", "legal_hold", ["study_id"])
    op.create_table(
        "removal", _key(), *_to("removal", "study_id", "study"), _text("study_uid", 128), _text("rule", 32), _text("rules_version", 32),
        _text("kept_until", 10), sa.Column("instances", sa.Integer(), nullable=False), sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False), *_to("removal", "account_id", "account", True), _text("who", 64),
        sa.Column("at", Moment(), nullable=False), sa.Column("ended_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_removal"), sa.UniqueConstraint("study_id", name="uq_removal_study_id"))
    op.create_index("ix_removal_study_uid", "removal", ["study_uid"])
    op.create_table(
        "tombstone", _key(), *_to("tombstone", "removal_id", "removal"), _text("series_uid", 128), _text("sop_uid", 128), _text("sop_class", 128),
        _text("sha256", 64), sa.Column("files", sa.JSON(), nullable=False), sa.PrimaryKeyConstraint("id", name="pk_tombstone"),
        sa.UniqueConstraint("sop_uid", name="uq_tombstone_sop_uid"))
    op.create_index("ix_tombstone_removal_id", "tombstone", ["removal_id"])
    op.create_index("ix_tombstone_sha256", "tombstone", ["sha256"])
    op.create_index("ix_artifact_sha256", "artifact", ["sha256"])


def downgrade() -> None:
    op.drop_index("ix_artifact_sha256", "artifact")
    for table in ("tombstone", "removal", "legal_hold", "archived_study", "archived"):
        op.drop_table(table)
