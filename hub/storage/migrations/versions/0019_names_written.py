"""How often the names of each device were surely read in which encoding."""
import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("device", sa.Column("written", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("device", "written")
