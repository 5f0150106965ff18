"""The studies of each referring physician of a site, in an order of their own. The series of a study have one by their UIDs already."""
import sqlalchemy as sa
from alembic import op

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None

IS_REFERRED = "referring_physician != ''"


def upgrade() -> None:
    op.create_index("ix_study_referring_physician", "study", ["site_id", "referring_physician", "study_at", "id"],
                    sqlite_where=sa.text(IS_REFERRED), postgresql_where=sa.text(IS_REFERRED))
    op.drop_index("ix_series_study_id", "series")


def downgrade() -> None:
    op.create_index("ix_series_study_id", "series", ["study_id"])
    op.drop_index("ix_study_referring_physician", "study")
