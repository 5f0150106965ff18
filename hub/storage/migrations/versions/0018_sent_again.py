"""How often an object of a study came once more with the same content; what came after the first late object is late, too."""
import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("study", sa.Column("resent", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE instance SET late = true WHERE study_id IN (SELECT id FROM study WHERE late > 0) AND received_at >="
               " (SELECT min(early.received_at) FROM instance AS early WHERE early.study_id = instance.study_id AND early.late)")
    op.execute("UPDATE study SET late = (SELECT count(*) FROM instance WHERE instance.study_id = study.id AND instance.late) WHERE late > 0")


def downgrade() -> None:
    op.drop_column("study", "resent")
