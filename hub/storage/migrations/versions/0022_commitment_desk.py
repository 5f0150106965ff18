"""Which gateway holds a storage commitment, and when it was asked, however often its device is called again."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commitment", sa.Column("holder", sa.String(128), nullable=False, server_default=""))
    op.add_column("commitment", sa.Column("asked_at", Moment(), nullable=False, server_default="1970-01-01 00:00:00"))
    op.execute("UPDATE commitment SET asked_at = created_at")


def downgrade() -> None:
    for name in ("asked_at", "holder"):
        op.drop_column("commitment", name)
