"""Stored files are hashed again in the background: how far the round is, and what was found damaged."""
from alembic import op
import sqlalchemy as sa

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table(
        'fixity_round',
        sa.Column('id', KEY, autoincrement=True, nullable=False),
        sa.Column('source', sa.String(length=16), nullable=False),
        sa.Column('after_id', sa.BigInteger(), nullable=False),
        sa.Column('files', sa.BigInteger(), nullable=False),
        sa.Column('bytes', sa.BigInteger(), nullable=False),
        sa.Column('began_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_fixity_round')))
    op.create_table(
        'damage',
        sa.Column('id', KEY, autoincrement=True, nullable=False),
        sa.Column('sha256', sa.String(length=64), nullable=False),
        sa.Column('source', sa.String(length=16), nullable=False),
        sa.Column('source_id', sa.BigInteger(), nullable=False),
        sa.Column('study_id', KEY, nullable=True),
        sa.Column('what', sa.String(length=16), nullable=False),
        sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('mended_at', sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(['study_id'], ['study.id'], name=op.f('fk_damage_study_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_damage')),
        sa.UniqueConstraint('sha256', name=op.f('uq_damage_sha256')))
    op.create_index('ix_damage_study_id', 'damage', ['study_id'], unique=False)


def downgrade() -> None:
    op.drop_table('damage')
    op.drop_table('fixity_round')
