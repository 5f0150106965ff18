"""Which gateway holds a storage commitment that was asked."""
import sqlalchemy as sa
from alembic import op

revision = '0023'
down_revision = '0020'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commitment", sa.Column("holder", sa.String(128), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("commitment", "holder")
