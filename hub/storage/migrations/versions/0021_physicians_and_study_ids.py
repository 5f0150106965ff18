"""The referring physician and the Study ID of each study, told in every list and searched."""
import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

UNTOLD = "referring_unsure IS NULL"
LENGTHS = {"referring_physician": 256, "study_number": 64}


def _text(name: str, length: int, **more) -> sa.Column:
    return sa.Column(name, sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql"), **more)


def upgrade() -> None:
    """No row is touched: the studies that there are have their values in their files only, which workers look into afterwards."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "physician_name", _text("form", 64, nullable=False), sa.Column("kind", sa.Integer(), autoincrement=False, nullable=False),
        _text("name", 256, nullable=False), sa.Column("site_id", number, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name="fk_physician_name_site_id"),
        sa.PrimaryKeyConstraint("form", "kind", "name", "site_id", name="pk_physician_name"), sqlite_with_rowid=False)
    op.create_index("ix_physician_name_name_site_id", "physician_name", ["name", "site_id"])
    op.add_column("study", sa.Column("referring_unsure", sa.Boolean(), nullable=True))
    for name, length in LENGTHS.items():
        op.add_column("study", _text(name, length, nullable=True))
    op.create_index("ix_study_study_number_id", "study", ["study_number", "id"])
    op.create_index("ix_study_untold", "study", ["id"], sqlite_where=sa.text(UNTOLD), postgresql_where=sa.text(UNTOLD))


def downgrade() -> None:
    op.drop_table("physician_name")
    op.drop_index("ix_study_untold", "study")
    op.drop_index("ix_study_study_number_id", "study")
    for name in LENGTHS:
        op.drop_column("study", name)
    op.drop_column("study", "referring_unsure")
