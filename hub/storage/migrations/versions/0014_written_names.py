"""Names as they are written in one order for all sites: how a name begins is looked up once, not once a site."""
import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

IS_WRITTEN = sa.text("kind = 0")


def upgrade() -> None:
    op.create_index("ix_patient_name_written", "patient_name", ["form", "patient_id"], sqlite_where=IS_WRITTEN, postgresql_where=IS_WRITTEN)


def downgrade() -> None:
    op.drop_index("ix_patient_name_written", table_name="patient_name")
