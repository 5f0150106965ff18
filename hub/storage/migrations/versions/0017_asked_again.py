"""When a damaged original was asked of its sender again, and what that said."""
import sqlalchemy as sa
from alembic import op

from hub.storage.moment import Moment

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("damage", sa.Column("asked_at", Moment(), nullable=True))
    op.add_column("damage", sa.Column("answer", sa.String(200), nullable=False, server_default=""))


def downgrade() -> None:
    for name in ("answer", "asked_at"):
        op.drop_column("damage", name)
